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

/*
 * What a vacuum takes beside bitmaps, lists and copies of slots, with the few of
 * the latter it cannot do without; and the least for bitmaps, whatever
 * maintenance_work_mem says.
 */
#define OTHER_MEMORY	((Size) 960 * 1024)
#define MIN_BITMAPS		((Size) 32 * 1024)

/* bitmaps of a round */
#define NBITMAPS		4

/*--- reading -------------------------------------------------------------*/

/*
 * hnsw_vacuum_read
 *		As hnsw_read(), through the ring of buffers of this vacuum.
 */
Buffer
hnsw_vacuum_read(Relation rel, BufferAccessStrategy strategy, BlockNumber blkno, int mode,
			HnswPageKind kind)
{
	Buffer		ring = InvalidBuffer;
	Buffer		buffer;

	if (am_block_exists(rel, blkno))
		ring = ReadBufferExtended(rel, MAIN_FORKNUM, blkno, RBM_NORMAL, strategy);
	buffer = hnsw_read(rel, blkno, mode, kind);
	if (BufferIsValid(ring))
		ReleaseBuffer(ring);
	return buffer;
}

/*
 * hnsw_note_repair
 *		Tell the next vacuum of so many nodes that are DEAD, or LIVE and perhaps
 *		no longer linked; it is a hint.  Locks the metapage.
 */
void
hnsw_note_repair(Relation rel, uint32 added)
{
	Buffer		buffer = hnsw_read(rel, 0, BUFFER_LOCK_EXCLUSIVE, HNSW_PAGE_META);
	GenericXLogState *state = GenericXLogStart(rel);
	HnswMetaPage meta = HnswPageGetMeta(GenericXLogRegisterBuffer(state, buffer, 0));

	meta->ndead += Min(added, PG_UINT32_MAX - meta->ndead);
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

/*
 * Remove dead TIDs from nodes that have one row each, in one record for the
 * page; returns how many became DEAD.  *chained tells of others.
 */
static uint32
delete_single(BulkDelete *bulk, Buffer buffer, bool *chained)
{
	Page		page = BufferGetPage(buffer);
	AmXlog	   *xlog = am_xlog_start(bulk->rel);
	uint32		ndead = 0;

	am_xlog_buffer(xlog, buffer);
	*chained = false;
	for (int i = 0; i < bulk->index->slots_per_page; i++)
	{
		const uint8_t *slot = hnsw_slot(bulk->index, page, i);
		NavSlotHead head = *slot_head(slot);
		ItemPointerData tid;

		if (head.state != SLOT_LIVE)
			continue;
		if (head.more != LINK_NONE)
		{
			*chained = true;
			continue;
		}
		memcpy(&tid, head.tid, sizeof(tid));
		if (!bulk->callback(&tid, bulk->callback_state))
		{
			bulk->kept++;
			continue;
		}
		ItemPointerSetInvalid(&tid);
		memcpy(head.tid, &tid, sizeof(tid));
		head.state = SLOT_DEAD;
		am_xlog_put(xlog, 0, slot, &head, sizeof(head));
		bulk->removed++;
		ndead++;
	}
	am_xlog_finish(xlog);
	return ndead;
}

/* remove dead TIDs from nodes with chains, one by one */
static uint32
delete_chained(BulkDelete *bulk, Buffer buffer)
{
	uint32		ndead = 0;

	for (int i = 0; i < bulk->index->slots_per_page; i++)
	{
		const NavSlotHead *head = slot_head(hnsw_slot(bulk->index, BufferGetPage(buffer), i));

		if (head->state != SLOT_LIVE || head->more == LINK_NONE)
			continue;
		if (!hnsw_remove_tids(bulk->rel, bulk->index, buffer, i, bulk->callback,
							  bulk->callback_state, &bulk->removed, &bulk->kept))
			ndead++;
	}
	return ndead;
}

/* remove dead TIDs from the nodes of a page */
static void
delete_from_page(BulkDelete *bulk, BlockNumber blkno)
{
	Buffer		buffer = hnsw_vacuum_read(bulk->rel, bulk->strategy, blkno, BUFFER_LOCK_EXCLUSIVE,
									 HNSW_PAGE_NAV);
	bool		chained;
	uint32		ndead = delete_single(bulk, buffer, &chained);

	if (chained)
		ndead += delete_chained(bulk, buffer);
	UnlockReleaseBuffer(buffer);

	/* at once for the first, so that a crash leaves a trace for the next vacuum */
	if (bulk->ndead == 0 && ndead > 0)
		hnsw_note_repair(bulk->rel, 1);
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
		hnsw_note_repair(info->index, bulk.ndead - 1);

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
	Buffer		buffer = hnsw_vacuum_read(vacuum->rel, vacuum->strategy, blkno, BUFFER_LOCK_SHARE,
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
		else if (head->state == SLOT_LIVE && !hnsw_is_apart(index, head))
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

/* the filter entries of the slots of a page that will be FREE; before they are */
static void
clear_entries(HnswVacuum *vacuum, Page page, uint32 first_node)
{
	for (int i = 0; i < vacuum->index->slots_per_page; i++)
	{
		uint32		node = first_node + (uint32) i;

		if (hnsw_bit(vacuum, vacuum->dead, node) &&
			slot_head(hnsw_slot(vacuum->index, page, i))->state == SLOT_DEAD)
			hnsw_filter_clear(vacuum->rel, vacuum->index, node);
	}
}

/* step 5: DEAD becomes FREE; the generation tells whoever remembers the node */
static void
free_slots(HnswVacuum *vacuum, BlockNumber blkno, uint32 first_node)
{
	HnswIndex  *index = vacuum->index;
	Buffer		buffer;
	AmXlog	   *xlog;

	if (!page_has_bit(vacuum, vacuum->dead, first_node))
		return;
	buffer = hnsw_vacuum_read(vacuum->rel, vacuum->strategy, blkno, BUFFER_LOCK_EXCLUSIVE,
						 HNSW_PAGE_NAV);
	if (index->filter_entries > 0)
		clear_entries(vacuum, BufferGetPage(buffer), first_node);
	xlog = am_xlog_start(vacuum->rel);
	am_xlog_buffer(xlog, buffer);
	for (int i = 0; i < index->slots_per_page; i++)
	{
		const uint8_t *slot = hnsw_slot(index, BufferGetPage(buffer), i);
		NavSlotHead head = *slot_head(slot);

		if (!hnsw_bit(vacuum, vacuum->dead, first_node + (uint32) i) || head.state != SLOT_DEAD)
			continue;
		head.state = SLOT_FREE;
		head.generation++;
		head.upper = LINK_NONE;
		am_xlog_put(xlog, 0, slot, &head, sizeof(head));
	}
	am_xlog_finish(xlog);
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

/* tell inserts where there is room, and the next vacuum what came meanwhile */
static void
note_repaired(HnswVacuum *vacuum, uint32 repaired)
{
	Buffer		buffer = hnsw_read(vacuum->rel, 0, BUFFER_LOCK_EXCLUSIVE, HNSW_PAGE_META);
	GenericXLogState *state = GenericXLogStart(vacuum->rel);
	HnswMetaPage meta = HnswPageGetMeta(GenericXLogRegisterBuffer(state, buffer, 0));

	meta->free_hint = Min(meta->free_hint, vacuum->lowest);
	meta->ndead -= Min(meta->ndead, repaired);
	GenericXLogFinish(state);
	UnlockReleaseBuffer(buffer);
}

/* the block after the segment that a block lies in, or invalid */
static BlockNumber
segment_end(const HnswIndex *index, BlockNumber blkno)
{
	for (uint32 s = 0; s < index->nsegments; s++)
	{
		const HnswSegment *segment = &index->segments[s];
		BlockNumber end = segment->start + hnsw_segment_blocks(index, segment);

		if (blkno >= segment->start && blkno < end)
			return end;
	}
	return InvalidBlockNumber;
}

/* do something to every block that may be an upper page */
static void
each_upper_page(HnswVacuum *vacuum, void (*step) (HnswVacuum *vacuum, BlockNumber blkno))
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(vacuum->rel);
	BlockNumber blkno = 1;

	if (vacuum->index->uppers_per_page == 0)
		return;
	while (blkno < nblocks)
	{
		BlockNumber end = segment_end(vacuum->index, blkno);

		if (BlockNumberIsValid(end))
		{
			blkno = end;
			continue;
		}
		vacuum_delay_point_vacuum_compat();
		step(vacuum, blkno++);
		MemoryContextReset(vacuum->temp);
	}
}

/*
 * Whether a node that exists has this upper slot.  An insert holds the node's
 * page from before it writes upper slots until the node is LIVE; so a node that
 * does not have it now never will: the insert failed, or the server did.
 */
static bool
has_upper(HnswVacuum *vacuum, const UpperSlotHead *upper, uint32 id)
{
	HnswIndex  *index = vacuum->index;
	BlockNumber blkno;
	Buffer		buffer;
	const NavSlotHead *head;
	int			slot;
	bool		has;

	if (!hnsw_locate(index, upper->node, &blkno, &slot))
		return false;
	buffer = hnsw_read(vacuum->rel, blkno, BUFFER_LOCK_SHARE, HNSW_PAGE_NAV);
	head = slot_head(hnsw_slot(index, BufferGetPage(buffer), slot));
	has = head->state != SLOT_FREE && head->generation == upper->generation &&
		head->upper == id - (upper->level - 1u);
	UnlockReleaseBuffer(buffer);
	return has;
}

/* step 3: remember upper slots nobody has or DEAD nodes have, and the best of the others */
static void
note_uppers(HnswVacuum *vacuum, BlockNumber blkno)
{
	HnswIndex  *index = vacuum->index;
	Buffer		buffer = hnsw_read_hint(vacuum->rel, blkno, BUFFER_LOCK_SHARE, HNSW_PAGE_UPPER);
	UpperSlotHead *heads;

	if (!BufferIsValid(buffer))
		return;
	heads = MemoryContextAlloc(vacuum->temp,
							   sizeof(UpperSlotHead) * (Size) index->uppers_per_page);
	for (int i = 0; i < index->uppers_per_page; i++)
		heads[i] = *hnsw_upper_slot(index, BufferGetPage(buffer), i);
	UnlockReleaseBuffer(buffer);

	hnsw_refresh(index, vacuum->rel);	/* a node may be in a new segment */
	for (int i = 0; i < index->uppers_per_page; i++)
	{
		uint32		id = blkno * (uint32) index->uppers_per_page + (uint32) i;
		const UpperSlotHead *head = &heads[i];
		bool		here = head->node >= vacuum->first && head->node < vacuum->last;

		if (head->level == 0)
			continue;
		if (hnsw_bit(vacuum, vacuum->dead, head->node) ||
			((here || vacuum->last == vacuum->limit) && !has_upper(vacuum, head, id)))
			hnsw_add_dead_upper(vacuum, id);
		else
		{
			hnsw_add_start(vacuum, head->node);
			if (head->level > vacuum->best_level && head->level <= HNSW_MAX_LEVEL &&
				head->node < hnsw_node_limit(index))
			{
				vacuum->best_level = head->level;
				vacuum->best_upper = id;
				vacuum->best_node = head->node;
			}
		}
	}
}

/* the upper slots noted become FREE, all zeros; vacuum alone does that, so they are in use */
static void
free_uppers(HnswVacuum *vacuum)
{
	HnswIndex  *index = vacuum->index;
	uint32		per_page = (uint32) index->uppers_per_page;
	uint32		i = 0;

	while (i < vacuum->ndead_uppers)
	{
		BlockNumber blkno = vacuum->dead_uppers[i] / per_page;
		Buffer		buffer = hnsw_read(vacuum->rel, blkno, BUFFER_LOCK_EXCLUSIVE,
									   HNSW_PAGE_UPPER);
		GenericXLogState *state = GenericXLogStart(vacuum->rel);
		Page		page = GenericXLogRegisterBuffer(state, buffer, 0);

		for (; i < vacuum->ndead_uppers && vacuum->dead_uppers[i] / per_page == blkno; i++)
			memset(hnsw_upper_slot(index, page, (int) (vacuum->dead_uppers[i] % per_page)), 0,
				   index->layout.upper_size);
		GenericXLogFinish(state);
		hnsw_add_room(vacuum->rel, buffer, HNSW_PAGE_UPPER);
		UnlockReleaseBuffer(buffer);
		vacuum_delay_point_vacuum_compat();
	}
}

/* one round over the nodes first .. last - 1 */
static void
vacuum_round(HnswVacuum *vacuum, uint32 first, uint32 last)
{
	Size		bytes = (last - first) / 8 + 1;

	vacuum->first = first;
	vacuum->last = last;
	vacuum->ndead = 0;
	vacuum->ndead_uppers = 0;
	vacuum->best_level = 0;
	vacuum->best_upper = LINK_NONE;
	vacuum->best_node = LINK_NONE;
	memset(vacuum->dead, 0, bytes);
	memset(vacuum->free, 0, bytes);
	memset(vacuum->live, 0, bytes);
	memset(vacuum->linked, 0, bytes);

	vacuum->nreached = 0;
	vacuum->nwalked = 0;

	each_nav_page(vacuum, first, last, note_states);
	hnsw_repair_reset(vacuum);
	each_nav_page(vacuum, 0, vacuum->limit, hnsw_repair_page);
	each_upper_page(vacuum, note_uppers);
	if (vacuum->ndead_uppers > 0)
		each_upper_page(vacuum, hnsw_repair_upper_page);
	hnsw_repair_entry(vacuum);
	hnsw_relink(vacuum);
	free_uppers(vacuum);
	if (vacuum->ndead > 0)
	{
		each_nav_page(vacuum, first, last, free_slots);
		vacuum->lowest = Min(vacuum->lowest, first_bit(vacuum, vacuum->dead));
	}
}

/* how much the metapage says that there is to repair */
static uint32
to_repair(Relation rel)
{
	Buffer		buffer = hnsw_read(rel, 0, BUFFER_LOCK_SHARE, HNSW_PAGE_META);
	uint32		result = HnswPageGetMeta(BufferGetPage(buffer))->ndead;

	UnlockReleaseBuffer(buffer);
	return result;
}

/* repair and free, in as few rounds as memory allows */
static void
vacuum_graph(IndexVacuumInfo *info, HnswIndex *index, uint32 repaired)
{
	HnswVacuum	vacuum = {
		.rel = info->index,
		.index = index,
		.strategy = info->strategy,
		.limit = hnsw_node_limit(index),
		.lowest = LINK_NONE,
		.any_live = LINK_NONE
	};
	Size		memory = (Size) maintenance_work_mem * 1024 - OTHER_MEMORY;
	uint32		limit = vacuum.limit;
	Size		bytes;
	uint32		per_round;

	/* bitmaps take what they need of a half, copies of slots the rest */
	bytes = Max(memory / 2, MIN_BITMAPS) / NBITMAPS;
	bytes = Min(bytes, ((Size) limit + 7) / 8 + 1);
	per_round = (uint32) Min((Size) limit, (bytes - 1) * 8);

	vacuum.context = AllocSetContextCreate(CurrentMemoryContext, "hnsw vacuum",
										   ALLOCSET_DEFAULT_SIZES);
	vacuum.temp = AllocSetContextCreate(vacuum.context, "hnsw vacuum page",
										ALLOCSET_DEFAULT_SIZES);
	vacuum.dead = MemoryContextAllocHuge(vacuum.context, bytes);
	vacuum.free = MemoryContextAllocHuge(vacuum.context, bytes);
	vacuum.live = MemoryContextAllocHuge(vacuum.context, bytes);
	vacuum.linked = MemoryContextAllocHuge(vacuum.context, bytes);
	hnsw_repair_init(&vacuum, memory / 4);
	if (per_round >= limit && memory - memory / 4 > NBITMAPS * bytes)
		hnsw_reach_init(&vacuum, memory - memory / 4 - NBITMAPS * bytes);
	for (uint32 first = 0; first < limit; first += Min(per_round, limit - first))
	{
		ereport(DEBUG1,
				(errmsg_internal("vacuuming nodes %u to %u of index \"%s\"", first,
								 first + Min(per_round, limit - first) - 1,
								 RelationGetRelationName(info->index))));
		vacuum_round(&vacuum, first, first + Min(per_round, limit - first));
	}
	note_repaired(&vacuum, repaired);
	MemoryContextDelete(vacuum.context);
}

/*
 * hnswvacuumcleanup
 *		amvacuumcleanup: repair the graph around DEAD nodes and free them.
 *
 * Does nothing for ANALYZE, nor when the metapage tells of no node to repair.
 * Takes one page lock at a time.  Raises XX002 for a damaged page.
 */
IndexBulkDeleteResult *
hnswvacuumcleanup(IndexVacuumInfo *info, IndexBulkDeleteResult *stats)
{
	uint32		nodes;

	if (info->analyze_only)
		return stats;
	nodes = to_repair(info->index);
	if (nodes > 0)
		vacuum_graph(info, hnsw_open(info->index), nodes);
	if (stats != NULL)
		stats->num_pages = RelationGetNumberOfBlocks(info->index);
	return stats;
}
