/*-------------------------------------------------------------------------
 *
 * ivfvacuum.c
 *	  Removal of dead rows (README.md, "Bulk delete").
 *
 *-------------------------------------------------------------------------
 */
#include "ivfflat/ivfmaintain.h"

#include "commands/vacuum.h"
#include "miscadmin.h"

typedef struct BulkDelete
{
	Relation	rel;
	const IvfIndex *index;
	IndexBulkDeleteCallback callback;
	void	   *callback_state;
	double		removed;
	double		kept;
} BulkDelete;

/* count the rows of a locked list page; how many are dead */
static int
count_dead(BulkDelete *bulk, const IvfShape *shape, Page page)
{
	ItemPointerData *tids = ivf_list_tids(shape, page);
	int			nrows = ivf_list_head(page)->nrows;
	int			dead = 0;

	for (int i = 0; i < nrows; i++)
	{
		if (!ItemPointerIsValid(&tids[i]))
			continue;
		if (bulk->callback(&tids[i], bulk->callback_state))
			dead++;
		else
			bulk->kept++;
	}
	return dead;
}

/* clear the dead TIDs of a list page, in one record */
static void
clear_dead(BulkDelete *bulk, const IvfShape *shape, Buffer buffer)
{
	GenericXLogState *state = GenericXLogStart(bulk->rel);
	Page		page = GenericXLogRegisterBuffer(state, buffer, 0);
	IvfListHead *head = ivf_list_head(page);
	ItemPointerData *tids = ivf_list_tids(shape, page);

	for (int i = 0; i < head->nrows; i++)
	{
		if (!ItemPointerIsValid(&tids[i]) || !bulk->callback(&tids[i], bulk->callback_state))
			continue;
		ItemPointerSetInvalid(&tids[i]);
		head->ncleared++;
		bulk->removed++;
	}
	GenericXLogFinish(state);
}

static void
delete_from_block(BulkDelete *bulk, BlockNumber blkno)
{
	IvfPageKind kind;
	uint32		id;
	Buffer		buffer = ivf_read_any(bulk->rel, blkno, BUFFER_LOCK_EXCLUSIVE, &kind, &id);

	if (!BufferIsValid(buffer))
		return;
	if (kind == IVF_PAGE_LIST)
	{
		bool		undefined = (ivf_list_head(BufferGetPage(buffer))->flags &
								 IVF_LIST_UNDEFINED) != 0;
		const IvfShape *shape = undefined ? &bulk->index->undefined : &bulk->index->list;

		if (!ivf_list_ok(shape, BufferGetPage(buffer)))
			am_corrupt(bulk->rel, blkno, "The counts of a list page do not agree.");
		if (count_dead(bulk, shape, BufferGetPage(buffer)) > 0)
			clear_dead(bulk, shape, buffer);
	}
	UnlockReleaseBuffer(buffer);
}

/*
 * ivfbulkdelete
 *		ambulkdelete: clear the TIDs that the callback says are dead.
 */
IndexBulkDeleteResult *
ivfbulkdelete(IndexVacuumInfo *info, IndexBulkDeleteResult *stats,
			  IndexBulkDeleteCallback callback, void *state)
{
	BulkDelete	bulk = {.rel = info->index, .callback = callback, .callback_state = state};
	BlockNumber nblocks = RelationGetNumberOfBlocks(info->index);

	if (stats == NULL)
		stats = palloc0(sizeof(IndexBulkDeleteResult));
	bulk.index = ivf_open(info->index, NULL);
	for (BlockNumber blkno = 1; blkno < nblocks; blkno++)
	{
		vacuum_delay_point_vacuum_compat();
		delete_from_block(&bulk, blkno);
	}
	stats->num_pages = nblocks;
	stats->num_index_tuples = bulk.kept;
	stats->tuples_removed += bulk.removed;
	return stats;
}

/*
 * ivfvacuumcleanup
 *		amvacuumcleanup: maintenance (ivfmaintain.c).
 */
IndexBulkDeleteResult *
ivfvacuumcleanup(IndexVacuumInfo *info, IndexBulkDeleteResult *stats)
{
	if (info->analyze_only)
		return stats;
	if (stats == NULL)
		stats = palloc0(sizeof(IndexBulkDeleteResult));
	ivf_maintain(info, stats);
	return stats;
}
