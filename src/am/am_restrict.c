/*-------------------------------------------------------------------------
 *
 * am_restrict.c
 *	  Restricting an index scan to a set of rows, whatever its access method.
 *
 *-------------------------------------------------------------------------
 */
#include "am/am_restrict.h"

#include "utils/rel.h"

#define MAX_METHODS		4

static struct
{
	amgettuple_function owner;
	AmRestrict	restrict_scan;
}			methods[MAX_METHODS];
static int	nmethods = 0;

/*
 * am_register_restrict
 *		Make it known that an access method's scans can be restricted, when the
 *		library is loaded.
 */
void
am_register_restrict(amgettuple_function owner, AmRestrict restrict_scan)
{
	if (nmethods == MAX_METHODS)
		elog(ERROR, "too many access methods");
	methods[nmethods].owner = owner;
	methods[nmethods].restrict_scan = restrict_scan;
	nmethods++;
}

/*
 * am_restrict_scan
 *		Let a scan return only rows that are accepted; NULL: all rows.  False
 *		if its index is not of an access method of ours.
 *
 * To be called after index_rescan() and before the first row, each time:
 * index_rescan() takes a restriction away.
 */
bool
am_restrict_scan(IndexScanDesc scan, AmRestriction *restriction)
{
	for (int i = 0; i < nmethods; i++)
	{
		if (scan->indexRelation->rd_indam->amgettuple == methods[i].owner)
		{
			methods[i].restrict_scan(scan, restriction);
			return true;
		}
	}
	return false;
}
