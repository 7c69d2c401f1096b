/*-------------------------------------------------------------------------
 *
 * am_disk.c
 *	  Room on the disk of an index, for work that VACUUM may leave undone.
 *
 * A relation that cannot be extended raises an error, which nothing short of a
 * subtransaction undoes, and VACUUM has none.  So the file system is asked first.
 * It may be wrong the next moment: then the error is raised.
 *
 *-------------------------------------------------------------------------
 */
#include "am/am_disk.h"

#include <math.h>
#include <sys/statvfs.h>

#include "common/relpath.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/smgr.h"
#include "utils/rel.h"

/* pages of which a page of the free space map keeps account, nearly; its upper levels */
#define FSM_SLOTS	4000
#define FSM_UPPER	3

/*
 * am_disk_pages
 *		Pages that the file system of a relation has room for; infinite if it does
 *		not say.
 */
double
am_disk_pages(Relation rel)
{
	Oid			tablespace = rel->rd_rel->reltablespace;
	char	   *path = GetDatabasePath(MyDatabaseId, OidIsValid(tablespace) ? tablespace :
									   MyDatabaseTableSpace);
	struct statvfs room;
	bool		known = statvfs(path, &room) == 0;

	pfree(path);
	return known ? (double) room.f_bavail * room.f_frsize / BLCKSZ : INFINITY;
}

/*
 * am_fsm_has_room
 *		Whether free pages of a relation of so many blocks can be recorded.
 */
bool
am_fsm_has_room(Relation rel, BlockNumber nblocks)
{
	BlockNumber wanted = nblocks / FSM_SLOTS + FSM_UPPER;

	if (smgrexists(RelationGetSmgr(rel), FSM_FORKNUM) &&
		RelationGetNumberOfBlocksInFork(rel, FSM_FORKNUM) >= wanted)
		return true;
	return am_disk_pages(rel) > wanted;
}
