/*-------------------------------------------------------------------------
 *
 * hnswspace.c
 *	  Where new nodes, upper slots and rows go: segments, free slots, and
 *	  lists of pages with room.
 *
 * Blocks are added under the relation extension lock, initialised and logged,
 * and only then published in the metapage.  A crash, a cancel or a full disk in
 * between leaves blocks that nothing names; the next segment takes them if they
 * are the last.
 *
 *-------------------------------------------------------------------------
 */
#include "hnsw/hnsw.h"

#include "access/xloginsert.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/lmgr.h"

#define SEGMENT_PART		16	/* a new segment has this part of the nodes there are */
#define SEGMENT_MIN_PAGES	4
#define SEGMENT_MAX_BLOCKS	2048	/* while the directory has room */
#define EXTEND_BATCH		64
#define STRIPES				8	/* parts of a segment that backends fill side by side */
#define WALK_PAGES			32	/* pages looked at from the free hint */
#define CURSOR_PAGES		3	/* pages looked at from where this backend was */
#define HINT_STEP			8	/* pages the hint moves before it is written */
#define ROOM_TRIES			16

/*--- pages ---------------------------------------------------------------*/

static bool
page_is(Page page, HnswPageKind kind)
{
	return !PageIsNew(page) && PageGetSpecialSize(page) == MAXALIGN(sizeof(HnswPageOpaqueData)) &&
		HnswPageGetOpaque(page)->page_id == HNSW_PAGE_ID &&
		HnswPageGetOpaque(page)->kind == kind;
}

/*
 * hnsw_page_cover
 *		Count the page's bytes up to "end", an address in it, as used.
 *
 * For an image registered with generic WAL, before it is written behind
 * pd_lower: what lies in the hole is not logged.
 */
void
hnsw_page_cover(Page page, const uint8_t *end)
{
	LocationIndex lower = (LocationIndex) (end - (uint8_t *) page);

	if (((PageHeader) page)->pd_lower < lower)
		((PageHeader) page)->pd_lower = lower;
}

/*
 * hnsw_new_page
 *		Add a page to the relation; returns it locked exclusively, with nothing
 *		on it, not yet logged: the caller registers it as a full image.
 *
 * The caller may hold a nav page's lock: whoever holds the extension lock
 * waits for no page but new ones and the metapage.
 */
Buffer
hnsw_new_page(Relation rel)
{
	Buffer		buffer;
	BlockNumber blkno;

	LockRelationForExtension(rel, ExclusiveLock);
	vec_extend_compat(rel, 1, &buffer, &blkno);
	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	UnlockRelationForExtension(rel, ExclusiveLock);
	return buffer;
}

/*--- segments ------------------------------------------------------------*/

/* nav pages of the next segment */
static uint32
segment_pages(Relation rel, const HnswIndex *index)
{
	uint64		nodes = hnsw_node_limit(index);
	uint64		pages = nodes / (uint32) index->slots_per_page / SEGMENT_PART;
	uint64		per_page = 1 + hnsw_refine_blocks(index, 1);

	/* small steps while they are many; the directory must last */
	if (index->nsegments < HNSW_MAX_SEGMENTS / 2 && pages > SEGMENT_MAX_BLOCKS / per_page)
		pages = SEGMENT_MAX_BLOCKS / per_page;
	if (pages < SEGMENT_MIN_PAGES)
		pages = SEGMENT_MIN_PAGES;

	if (index->nsegments >= HNSW_MAX_SEGMENTS ||
		nodes + pages * (uint32) index->slots_per_page >= LINK_NONE)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("index \"%s\" cannot grow any more", RelationGetRelationName(rel)),
				 errhint("REINDEX it.")));
	return (uint32) pages;
}

/*
 * A page that no one uses: of zeros, or of a segment and empty.  Outside of the
 * directory's segments only a failed attempt to add one leaves such pages.
 */
static bool
is_left_over(BlockNumber blkno, Relation rel)
{
	Buffer		buffer = ReadBuffer(rel, blkno);
	Page		page = BufferGetPage(buffer);
	bool		result;

	/* whoever has added it locks it before the extension lock is free */
	if (!ConditionalLockBuffer(buffer))
	{
		ReleaseBuffer(buffer);
		return false;
	}
	result = PageIsNew(page) ||
		(((PageHeader) page)->pd_lower == HNSW_PAGE_START &&
		 (page_is(page, HNSW_PAGE_NAV) || page_is(page, HNSW_PAGE_REFINE) ||
		  page_is(page, HNSW_PAGE_FILTER)));
	UnlockReleaseBuffer(buffer);
	return result;
}

/*
 * Where to put nblocks blocks, and how many of them are there: an attempt that
 * was cancelled or found the disk full may have left some at the end.
 */
static BlockNumber
segment_start(Relation rel, const HnswIndex *index, uint32 nblocks, uint32 *there)
{
	BlockNumber end = RelationGetNumberOfBlocks(rel);
	BlockNumber start = end;
	BlockNumber first = 1;

	for (uint32 i = 0; i < index->nsegments; i++)
	{
		const HnswSegment *segment = &index->segments[i];
		uint64		after = (uint64) segment->start + hnsw_segment_blocks(index, segment);

		first = (BlockNumber) Max(first, Min(after, end));
	}
	while (start > first && end - start < nblocks && is_left_over(start - 1, rel))
		start--;
	*there = end - start;
	return start;
}

/* add nnav nav pages, their refine and filter pages, empty; returns the first block */
static BlockNumber
extend_segment(Relation rel, const HnswIndex *index, uint32 nnav, uint32 nblocks)
{
	Buffer		buffers[EXTEND_BATCH];
	uint32		done;
	uint32		filters = nnav + hnsw_refine_blocks(index, nnav);
	BlockNumber start = segment_start(rel, index, nblocks, &done);

	while (done < nblocks)
	{
		BlockNumber first;
		int			n = vec_extend_compat(rel, (int) Min(nblocks - done, EXTEND_BATCH), buffers,
										  &first);

		if (first != start + done)
			elog(ERROR, "blocks added to index \"%s\" do not follow each other",
				 RelationGetRelationName(rel));
		for (int i = 0; i < n; i++, done++)
			ReleaseBuffer(buffers[i]);
		CHECK_FOR_INTERRUPTS();
	}

	/* not before there is room for all */
	for (uint32 i = 0; i < nblocks; i++)
	{
		Buffer		buffer = ReadBuffer(rel, start + i);

		LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
		hnsw_page_init(BufferGetPage(buffer), i < nnav ? HNSW_PAGE_NAV :
					   i < filters ? HNSW_PAGE_REFINE : HNSW_PAGE_FILTER, 0);
		MarkBufferDirty(buffer);
		UnlockReleaseBuffer(buffer);
	}
	return start;
}

/* name the segment in the directory */
static void
publish_segment(Relation rel, HnswIndex *index, BlockNumber start, uint32 nnav)
{
	Buffer		buffer = hnsw_read(rel, 0, BUFFER_LOCK_EXCLUSIVE, HNSW_PAGE_META);
	GenericXLogState *state = GenericXLogStart(rel);
	HnswMetaPage meta = HnswPageGetMeta(GenericXLogRegisterBuffer(state, buffer, 0));
	HnswSegment *segment;

	if (meta->nsegments != index->nsegments || meta->nsegments >= HNSW_MAX_SEGMENTS)
		hnsw_corrupt(rel, 0, "number of segments changed");
	segment = &meta->segments[meta->nsegments];
	segment->start = start;
	segment->first_node = hnsw_node_limit(index);
	segment->nnav = nnav;
	meta->nsegments++;
	GenericXLogFinish(state);
	UnlockReleaseBuffer(buffer);
}

/*
 * hnsw_add_segment
 *		Append a segment of free slots, unless someone else did since "index"
 *		was refreshed; refreshes it.  Holds no lock before and after.
 */
void
hnsw_add_segment(Relation rel, HnswIndex *index)
{
	uint32		known = index->nsegments;
	uint32		nnav;
	uint32		nblocks;
	BlockNumber start;

	LockRelationForExtension(rel, ExclusiveLock);
	hnsw_refresh(index, rel);
	if (index->nsegments == known)
	{
		nnav = segment_pages(rel, index);
		nblocks = nnav + hnsw_refine_blocks(index, nnav) + hnsw_filter_blocks(index, nnav);
		start = extend_segment(rel, index, nnav, nblocks);
		if (RelationNeedsWAL(rel))
			log_newpage_range(rel, MAIN_FORKNUM, start, start + nblocks, true);
		publish_segment(rel, index, start, nnav);
		hnsw_refresh(index, rel);
	}
	UnlockRelationForExtension(rel, ExclusiveLock);
}

/*--- free slots ----------------------------------------------------------*/

static int
find_free(const HnswIndex *index, Page page)
{
	for (int i = 0; i < index->slots_per_page; i++)
	{
		if (slot_head(hnsw_slot(index, page, i))->state == SLOT_FREE)
			return i;
	}
	return -1;
}

typedef enum Probe
{
	PROBE_TAKEN,				/* *buffer is locked and has a free slot */
	PROBE_FULL,
	PROBE_BUSY					/* someone else works there: go elsewhere */
} Probe;

/* try to take a slot on a nav page, without waiting for its lock */
static Probe
probe(Relation rel, HnswIndex *index, BlockNumber blkno, Buffer *buffer, uint32 *node)
{
	Page		page;
	int			slot;

	*buffer = ReadBuffer(rel, blkno);
	if (!ConditionalLockBuffer(*buffer))
	{
		ReleaseBuffer(*buffer);
		return PROBE_BUSY;
	}
	page = BufferGetPage(*buffer);
	if (!page_is(page, HNSW_PAGE_NAV))
		hnsw_corrupt(rel, blkno, "not a nav page");
	slot = find_free(index, page);
	if (slot < 0)
	{
		UnlockReleaseBuffer(*buffer);
		return PROBE_FULL;
	}
	*node = hnsw_node_at(index, blkno, slot);
	return PROBE_TAKEN;
}

/* the same for a node's page, which may not exist */
static Probe
probe_node(Relation rel, HnswIndex *index, uint32 near, Buffer *buffer, uint32 *node)
{
	BlockNumber blkno;
	int			slot;

	if (!hnsw_locate(index, near, &blkno, &slot))
		return PROBE_FULL;
	return probe(rel, index, blkno, buffer, node);
}

/* pages from where this backend took its last slot */
static bool
probe_cursor(Relation rel, HnswIndex *index, Buffer *buffer, uint32 *node)
{
	uint32		near = index->insert_node;

	if (near == 0)
		return false;
	for (int i = 0; i < CURSOR_PAGES; i++, near += (uint32) index->slots_per_page)
	{
		if (near >= hnsw_node_limit(index))
			return false;
		if (probe_node(rel, index, near, buffer, node) == PROBE_TAKEN)
			return true;
	}
	return false;
}

/* remember that no slot below node "to" is known to be free */
static void
move_hint(Relation rel, uint32 from, uint32 to)
{
	Buffer		buffer = hnsw_read(rel, 0, BUFFER_LOCK_EXCLUSIVE, HNSW_PAGE_META);

	/* else vacuum has freed some, or another insert moved it */
	if (HnswPageGetMeta(BufferGetPage(buffer))->free_hint == from)
	{
		GenericXLogState *state = GenericXLogStart(rel);

		HnswPageGetMeta(GenericXLogRegisterBuffer(state, buffer, 0))->free_hint = to;
		GenericXLogFinish(state);
	}
	UnlockReleaseBuffer(buffer);
}

/* at most npages from the free hint up to the last segment: what vacuum has freed */
static bool
probe_freed(Relation rel, HnswIndex *index, uint32 npages, Buffer *buffer, uint32 *node)
{
	uint32		step = (uint32) index->slots_per_page;
	uint32		last = index->segments[index->nsegments - 1].first_node;
	Buffer		meta = hnsw_read(rel, 0, BUFFER_LOCK_SHARE, HNSW_PAGE_META);
	uint32		hint = HnswPageGetMeta(BufferGetPage(meta))->free_hint;
	uint32		at = hint;
	uint32		full_to = hint;
	bool		taken = false;

	UnlockReleaseBuffer(meta);
	for (uint32 i = 0; i < npages && at < last && !taken; i++)
	{
		Probe		result = probe_node(rel, index, at, buffer, node);

		CHECK_FOR_INTERRUPTS();
		taken = result == PROBE_TAKEN;
		if (result == PROBE_FULL && full_to == at)
			full_to += step;
		at += step;
	}

	/* the metapage comes after the nav page in the order of locks */
	if (full_to - hint >= HINT_STEP * step || (full_to >= last && hint < last))
		move_hint(rel, hint, Min(full_to, last));
	return taken;
}

/* whether a nav page has no free slot; a look without much ado */
static bool
is_full(Relation rel, HnswIndex *index, BlockNumber blkno)
{
	Buffer		buffer = hnsw_read(rel, blkno, BUFFER_LOCK_SHARE, HNSW_PAGE_NAV);
	bool		full = find_free(index, BufferGetPage(buffer)) < 0;

	UnlockReleaseBuffer(buffer);
	return full;
}

/*
 * Pages of a stripe are filled in order, so that a binary search finds where
 * to go on; slots taken out of order only make it miss some.
 */
static bool
probe_stripe(Relation rel, HnswIndex *index, BlockNumber low, BlockNumber end, Buffer *buffer,
			 uint32 *node)
{
	BlockNumber high = end - 1;

	if (low >= end || is_full(rel, index, high))
		return false;
	while (low < high)
	{
		BlockNumber middle = low + (high - low) / 2;

		if (is_full(rel, index, middle))
			low = middle + 1;
		else
			high = middle;
	}
	for (int i = 0; i < CURSOR_PAGES && high + i < end; i++)
	{
		if (probe(rel, index, high + i, buffer, node) == PROBE_TAKEN)
			return true;
	}
	return false;
}

/* the last segment; each backend begins with a stripe of its own */
static bool
probe_last(Relation rel, HnswIndex *index, Buffer *buffer, uint32 *node)
{
	const HnswSegment *segment = &index->segments[index->nsegments - 1];
	uint32		nstripes = Min(STRIPES, segment->nnav);
	uint32		first = murmurhash32((uint32) MyProcPid) % nstripes;

	for (uint32 i = 0; i < nstripes; i++)
	{
		uint64		stripe = (first + i) % nstripes;
		BlockNumber low = segment->start + (BlockNumber) (stripe * segment->nnav / nstripes);
		BlockNumber end = segment->start + (BlockNumber) ((stripe + 1) * segment->nnav / nstripes);

		if (probe_stripe(rel, index, low, end, buffer, node))
			return true;
	}
	return false;
}

/*
 * hnsw_free_slot
 *		Find a FREE slot: on the page of one of "near", nodes whose pages seemed
 *		to have one, else wherever there is one, else in a new segment.
 *
 * Returns the node id; its page is locked exclusively in *buffer, so that the
 * slot stays free until the caller fills it or lets go.  Holds no lock before.
 */
uint32
hnsw_free_slot(Relation rel, HnswIndex *index, const uint32 *near, int nnear, Buffer *buffer)
{
	uint32		node;

	for (int i = 0; i < nnear; i++)
	{
		if (probe_node(rel, index, near[i], buffer, &node) == PROBE_TAKEN)
			return node;
	}
	for (;;)
	{
		if (index->nsegments > 0 &&
			(probe_cursor(rel, index, buffer, &node) ||
			 probe_freed(rel, index, WALK_PAGES, buffer, &node) ||
			 probe_last(rel, index, buffer, &node) ||
			 probe_freed(rel, index, PG_UINT32_MAX, buffer, &node)))
		{
			index->insert_node = node;
			return node;
		}
		CHECK_FOR_INTERRUPTS();
		hnsw_add_segment(rel, index);
		index->insert_node = 0;
	}
}

/*--- pages with room -----------------------------------------------------*/

/*
 * Upper and tids pages with room form a list: the hint in the metapage is its
 * head, "next" of a page leads on, 0 at the end and invalid off the list.
 */
static BlockNumber *
room_hint(HnswMetaPage meta, HnswPageKind kind)
{
	return kind == HNSW_PAGE_TIDS ? &meta->tids_hint : &meta->upper_hint;
}

static BlockNumber
read_room_hint(Relation rel, HnswPageKind kind)
{
	Buffer		buffer = hnsw_read(rel, 0, BUFFER_LOCK_SHARE, HNSW_PAGE_META);
	BlockNumber hint = *room_hint(HnswPageGetMeta(BufferGetPage(buffer)), kind);

	UnlockReleaseBuffer(buffer);
	return hint == 0 ? InvalidBlockNumber : hint;
}

/* put a locked page at the head of the list; if it is new, make it one */
static void
push_room(Relation rel, Buffer buffer, HnswPageKind kind, bool fresh)
{
	Buffer		metabuf = hnsw_read(rel, 0, BUFFER_LOCK_EXCLUSIVE, HNSW_PAGE_META);
	BlockNumber blkno = BufferGetBlockNumber(buffer);
	GenericXLogState *state = GenericXLogStart(rel);
	Page		page = GenericXLogRegisterBuffer(state, buffer,
												 fresh ? GENERIC_XLOG_FULL_IMAGE : 0);
	HnswMetaPage meta = HnswPageGetMeta(GenericXLogRegisterBuffer(state, metabuf, 0));
	BlockNumber *hint = room_hint(meta, kind);

	if (fresh)
		hnsw_page_init(page, kind, 0);
	/* a new page may be on the list of an index that has lost its last blocks */
	if (*hint == blkno && !fresh)
		GenericXLogAbort(state);
	else
	{
		HnswPageGetOpaque(page)->next =
			*hint == InvalidBlockNumber || *hint == blkno ? 0 : *hint;
		*hint = blkno;
		GenericXLogFinish(state);
	}
	UnlockReleaseBuffer(metabuf);
}

/* take a locked page without room off the head of the list */
static void
pop_room(Relation rel, Buffer buffer, HnswPageKind kind)
{
	Buffer		metabuf = hnsw_read(rel, 0, BUFFER_LOCK_EXCLUSIVE, HNSW_PAGE_META);
	GenericXLogState *state = GenericXLogStart(rel);
	Page		page = GenericXLogRegisterBuffer(state, buffer, 0);
	HnswMetaPage meta = HnswPageGetMeta(GenericXLogRegisterBuffer(state, metabuf, 0));
	BlockNumber *hint = room_hint(meta, kind);

	if (*hint != BufferGetBlockNumber(buffer))
		GenericXLogAbort(state);
	else
	{
		*hint = HnswPageGetOpaque(page)->next == 0 ? InvalidBlockNumber :
			HnswPageGetOpaque(page)->next;
		HnswPageGetOpaque(page)->next = InvalidBlockNumber;
		GenericXLogFinish(state);
	}
	UnlockReleaseBuffer(metabuf);
}

/*
 * hnsw_add_room
 *		Tell that a page of upper or tids slots, locked exclusively, has room
 *		again.  One WAL record, none if it is known.
 */
void
hnsw_add_room(Relation rel, Buffer buffer, HnswPageKind kind)
{
	if (HnswPageGetOpaque(BufferGetPage(buffer))->next == InvalidBlockNumber)
		push_room(rel, buffer, kind, false);
}

/*
 * hnsw_find_room
 *		A page of upper or tids slots with room for n slots in a row, locked
 *		exclusively; *place is the first of them.
 *
 * find(page, per_page, slot_size, n) returns a place, or -1.
 */
Buffer
hnsw_find_room(Relation rel, HnswPageKind kind, HnswFindPlace find, const void *arg, int n,
			   int *place)
{
	Buffer		buffer;

	for (int i = 0; i < ROOM_TRIES; i++)
	{
		BlockNumber hint = read_room_hint(rel, kind);

		if (hint == InvalidBlockNumber)
			break;
		buffer = hnsw_read_hint(rel, hint, BUFFER_LOCK_EXCLUSIVE, kind);
		if (!BufferIsValid(buffer))
			break;
		*place = find(BufferGetPage(buffer), arg, n);
		if (*place >= 0)
			return buffer;
		/* room for fewer: it stays on the list, below the new page */
		if (n > 1 && find(BufferGetPage(buffer), arg, 1) >= 0)
		{
			UnlockReleaseBuffer(buffer);
			break;
		}
		pop_room(rel, buffer, kind);
		UnlockReleaseBuffer(buffer);
	}

	buffer = hnsw_new_page(rel);
	push_room(rel, buffer, kind, true);
	*place = find(BufferGetPage(buffer), arg, n);
	if (*place < 0)
		elog(ERROR, "no room for %d slots on a new page of index \"%s\"", n,
			 RelationGetRelationName(rel));
	return buffer;
}
