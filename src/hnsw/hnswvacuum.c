/*-------------------------------------------------------------------------
 *
 * hnswvacuum.c
 *	  Removal of dead rows, and return of their space.
 *
 * ambulkdelete makes one pass over the nav pages: dead TIDs go, and a node
 * without TIDs becomes DEAD.  It changes no link, so it may run in a parallel
 * worker, and may be called several times.
 *
 * amvacuumcleanup makes a round over the DEAD nodes of a range of ids, usually
 * of all:
 *
 *	1. note		which slots are DEAD, FREE, LIVE, in bitmaps by node id
 *	2. repair	links that lead to the DEAD (hnswrepair.c), without searches;
 *				note which nodes are linked at all
 *	3. the same for upper slots, entry slot, entry point
 *	4. relink	LIVE nodes that nobody links to
 *	5. free		those noted in step 1 and still DEAD
 *
 * A crash or error between any two page changes leaves DEAD nodes, which are
 * navigated through and never returned, for the next vacuum (H1, H4).
 *
 *-------------------------------------------------------------------------
 */
#include "hnsw/hnswvacuum.h"

#include "commands/vacuum.h"
#include "miscadmin.h"
#include "utils/memutils.h"

/* least bytes for bitmaps, whatever maintenance_work_mem says */
#define MIN_BITMAPS		(64 * 1024)

/* bitmaps of a round */
#define NBITMAPS		4

/*--- reading -------------------------------------------------------------*/

/* a page by the ring of buffers of this vacuum, locked */
static Buffer
vacuum_read(Relation rel, BufferAccessStrategy strategy, BlockNumber blkno, int mode,
			HnswPageKind kind)
{
	Buffer		ring = ReadBufferExtended(rel, MAIN_FORKNUM, blkno, RBM_NORMAL, strategy);
	Buffer		buffer = hnsw_read(rel, blkno, mode, kind);

	ReleaseBuffer(ring);
	return buffer;
}

static inline NavSlotHead *
head_of(uint8_t *slot)
{
	return (NavSlotHead *) (void *) slot;
}

/* change the count of DEAD slots the metapage names; it is a hint */
static void
note_dead(Relation rel, int64 change, bool absolute)
{
	Buffer		buffer = hnsw_read(rel, 0, BUFFER_LOCK_EXCLUSIVE, HNSW_PAGE_META);
	GenericXLogState *state = GenericXLogStart(rel);
	HnswMetaPage meta = HnswPageGetMeta(GenericXLogRegisterBuffer(state, buffer, 0));
	int64		ndead = absolute ? change : (int64) meta->ndead + change;

	meta->ndead = (uint32) Max(0, Min(ndead, (int64) PG_UINT32_MAX));
	GenericXLogFinish(state);
	UnlockReleaseBuffer(buffer);
}

/*--- ambulkdelete --------------------------------------------------------*/

typedef struct BulkDelete
{
	Relation	rel;
	HnswIndex  *index;
	BufferAccessStrategy strategy;
	IndexBulkDeleteCallback callback;
	void	   *callback_state;
	double		removed;
	double		kept;
	uint32		ndead;			/* nodes that became DEAD */
} BulkDelete;

/* whether a slot without further rows loses its only one */
static bool
loses_all(BulkDelete *bulk, const NavSlotHead *head)
{
	ItemPointerData tid;

	if (head->state != SLOT_LIVE || head->more != LINK_NONE)
		return false;
	memcpy(&tid, head->tid, sizeof(tid));
	return bulk->callback(&tid, bulk->callback_state);
}

/* nodes with chains: a few records each; returns how many became DEAD */
static uint32
delete_from_chains(BulkDelete *bulk, Buffer buffer)
{
	HnswIndex  *index = bulk->index;
	Page		page = BufferGetPage(buffer);
	uint32		ndead = 0;

	for (int i = 0; i < index->slots_per_page; i++)
	{
		const NavSlotHead *head = head_of(hnsw_slot(index, page, i));

		if (head->state == SLOT_LIVE && head->more != LINK_NONE)
			ndead += !hnsw_remove_tids(bulk->rel, index, buffer, i, bulk->callback,
									   bulk->callback_state, &bulk->removed, &bulk->kept);
	}
	return ndead;
}

/* the others: one record for all; "last" tells those that had a chain before */
static uint32
delete_single(BulkDelete *bulk, Buffer buffer, const bool *last)
{
	HnswIndex  *index = bulk->index;
	Page		page = BufferGetPage(buffer);
	GenericXLogState *state = NULL;
	ItemPointerData none;
	uint32		ndead = 0;

	ItemPointerSetInvalid(&none);
	for (int i = 0; i < index->slots_per_page; i++)
	{
		NavSlotHead *head = head_of(hnsw_slot(index, page, i));

		if (last[i])
			continue;
		if (!loses_all(bulk, head))
		{
			bulk->kept += head->state == SLOT_LIVE;
			continue;
		}
		if (state == NULL)
		{
			state = GenericXLogStart(bulk->rel);
			page = GenericXLogRegisterBuffer(state, buffer, 0);
			head = head_of(hnsw_slot(index, page, i));
		}
		memcpy(head->tid, &none, SLOT_TID_SIZE);
		head->state = SLOT_DEAD;
		bulk->removed++;
		ndead++;
	}
	if (state != NULL)
		GenericXLogFinish(state);
	return ndead;
}

/* remove dead TIDs from the slots of a page */
static void
delete_from_page(BulkDelete *bulk, BlockNumber blkno)
{
	HnswIndex  *index = bulk->index;
	Buffer		buffer = vacuum_read(bulk->rel, bulk->strategy, blkno, BUFFER_LOCK_EXCLUSIVE,
									 HNSW_PAGE_NAV);
	bool		chained[HNSW_PAGE_ROOM / sizeof(NavSlotHead)];
	uint32		ndead;

	/* a node that keeps only its first row has been counted with its chain */
	for (int i = 0; i < index->slots_per_page; i++)
	{
		const NavSlotHead *head = head_of(hnsw_slot(index, BufferGetPage(buffer), i));

		chained[i] = head->state == SLOT_LIVE && head->more != LINK_NONE;
	}
	ndead = delete_from_chains(bulk, buffer);
	ndead += delete_single(bulk, buffer, chained);
	UnlockReleaseBuffer(buffer);

	/* at once for the first, so that a crash leaves a trace for the next vacuum */
	if (bulk->ndead == 0 && ndead > 0)
		note_dead(bulk->rel, 1, false);
	bulk->ndead += ndead;
}

/*
 * hnswbulkdelete
 *		ambulkdelete: remove the TIDs the callback says are dead.
 *
 * Takes one nav page lock at a time.  Raises XX002 for a damaged page.
 */
IndexBulkDeleteResult *
hnswbulkdelete(IndexVacuumInfo *info, IndexBulkDeleteResult *stats,
			   IndexBulkDeleteCallback callback, void *state)
{
	BulkDelete	bulk = {
		.rel = info->index,
		.index = hnsw_open(info->index),
		.strategy = info->strategy,
		.callback = callback,
		.callback_state = state
	};

	if (stats == NULL)
		stats = palloc0(sizeof(*stats));

	/* segments added meanwhile hold only rows that are younger than this vacuum */
	hnsw_refresh(bulk.index, info->index);
	for (uint32 s = 0; s < bulk.index->nsegments; s++)
	{
		HnswSegment segment = bulk.index->segments[s];

		for (uint32 i = 0; i < segment.nnav; i++)
		{
			vacuum_delay_point_vacuum_compat();
			delete_from_page(&bulk, segment.start + i);
		}
	}
	if (bulk.ndead > 1)
		note_dead(info->index, (int64) bulk.ndead - 1, false);

	stats->num_pages = RelationGetNumberOfBlocks(info->index);
	stats->num_index_tuples = bulk.kept;
	stats->estimated_count = false;
	stats->tuples_removed += bulk.removed;
	return stats;
}

/*--- amvacuumcleanup -----------------------------------------------------*/

/* do something to every nav page whose nodes are in first .. last - 1 */
static void
each_nav_page(HnswVacuum *vacuum, uint32 first, uint32 last,
			  void (*step) (HnswVacuum *vacuum, BlockNumber blkno, uint32 first_node))
{
	HnswIndex  *index = vacuum->index;
	uint32		per_page = (uint32) index->slots_per_page;

	for (uint32 s = 0; s < index->nsegments; s++)
	{
		HnswSegment segment = index->segments[s];

		for (uint32 i = 0; i < segment.nnav; i++)
		{
			uint32		node = segment.first_node + i * per_page;

			if (node >= last || node + per_page <= first)
				continue;
			vacuum_delay_point_vacuum_compat();
			step(vacuum, segment.start + i, node);
			MemoryContextReset(vacuum->temp);
		}
	}
}

/* step 1: bitmaps */
static void
note_states(HnswVacuum *vacuum, BlockNumber blkno, uint32 first_node)
{
	HnswIndex  *index = vacuum->index;
	Buffer		buffer = vacuum_read(vacuum->rel, vacuum->strategy, blkno, BUFFER_LOCK_SHARE,
									 HNSW_PAGE_NAV);
	Page		page = BufferGetPage(buffer);

	for (int i = 0; i < index->slots_per_page; i++)
	{
		const NavSlotHead *head = slot_head(hnsw_slot(index, page, i));
		uint32		node = first_node + (uint32) i;

		if (head->state == SLOT_DEAD)
		{
			hnsw_set_bit(vacuum, vacuum->dead, node);
			vacuum->ndead += node >= vacuum->first && node < vacuum->last;
		}
		else if (head->state == SLOT_FREE)
			hnsw_set_bit(vacuum, vacuum->free, node);
		else if (head->state == SLOT_LIVE && (head->flags & SLOT_APART) == 0)
		{
			hnsw_set_bit(vacuum, vacuum->live, node);
			vacuum->any_live = node;
		}
	}
	UnlockReleaseBuffer(buffer);
}

/* whether any bit of a page's nodes is set */
static bool
page_has_bit(const HnswVacuum *vacuum, const uint8 *bits, uint32 first_node)
{
	for (int i = 0; i < vacuum->index->slots_per_page; i++)
	{
		if (hnsw_bit(vacuum, bits, first_node + (uint32) i))
			return true;
	}
	return false;
}

/* step 5: DEAD becomes FREE; the generation tells whoever remembers the node */
static void
free_slots(HnswVacuum *vacuum, BlockNumber blkno, uint32 first_node)
{
	HnswIndex  *index = vacuum->index;
	Buffer		buffer;
	GenericXLogState *state;
	Page		page;

	if (!page_has_bit(vacuum, vacuum->dead, first_node))
		return;
	buffer = vacuum_read(vacuum->rel, vacuum->strategy, blkno, BUFFER_LOCK_EXCLUSIVE,
						 HNSW_PAGE_NAV);
	state = GenericXLogStart(vacuum->rel);
	page = GenericXLogRegisterBuffer(state, buffer, 0);
	for (int i = 0; i < index->slots_per_page; i++)
	{
		NavSlotHead *head = head_of(hnsw_slot(index, page, i));

		if (!hnsw_bit(vacuum, vacuum->dead, first_node + (uint32) i) || head->state != SLOT_DEAD)
			continue;
		head->state = SLOT_FREE;
		head->generation++;
		head->upper = LINK_NONE;
	}
	GenericXLogFinish(state);
	UnlockReleaseBuffer(buffer);
}

/* the least node id with a bit set, or LINK_NONE */
static uint32
first_bit(const HnswVacuum *vacuum, const uint8 *bits)
{
	for (uint32 node = vacuum->first; node < vacuum->last; node++)
	{
		if (hnsw_bit(vacuum, bits, node))
			return node;
	}
	return LINK_NONE;
}

/* tell inserts where there is room, and the next vacuum what is left */
static void
note_freed(HnswVacuum *vacuum)
{
	uint32		lowest = first_bit(vacuum, vacuum->dead);
	Buffer		buffer = hnsw_read(vacuum->rel, 0, BUFFER_LOCK_EXCLUSIVE, HNSW_PAGE_META);
	GenericXLogState *state = GenericXLogStart(vacuum->rel);
	HnswMetaPage meta = HnswPageGetMeta(GenericXLogRegisterBuffer(state, buffer, 0));

	meta->free_hint = Min(meta->free_hint, lowest);
	meta->ndead -= Min(meta->ndead, vacuum->ndead);
	GenericXLogFinish(state);
	UnlockReleaseBuffer(buffer);
}

/* whether a block may be an upper page: outside segments, meta and model */
static bool
outside_segments(const HnswIndex *index, const HnswSegment *segment, BlockNumber blkno)
{
	return blkno > 0;
}

/* step 3 for one page, if it is an upper page at all */
static void
each_upper_page(HnswVacuum *vacuum, void (*step) (HnswVacuum *vacuum, BlockNumber blkno))
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(vacuum->rel);
	BlockNumber blkno = 1;

	if (vacuum->index->uppers_per_page == 0)
		return;
	while (blkno < nblocks)
	{
		BlockNumber skip = hnsw_segment_end(vacuum->index, blkno);

		if (skip != InvalidBlockNumber)
		{
			blkno = skip;
			continue;
		}
		vacuum_delay_point_vacuum_compat();
		step(vacuum, blkno++);
		MemoryContextReset(vacuum->temp);
	}
}
