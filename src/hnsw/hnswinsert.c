/*-------------------------------------------------------------------------
 *
 * hnswinsert.c
 *	  Inserting a row (README.md, "Insert").
 *
 *-------------------------------------------------------------------------
 */
#include "hnsw/hnswinsert.h"

#include <math.h>

#include "access/genam.h"
#include "am/am_xlog.h"
#include "hnsw/hnswscan.h"
#include "nodes/execnodes.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#define NEAR_PAGES		4		/* neighbors whose pages are tried for a free slot */
#define NEAREST			2		/* neighbors whose records are compared, whatever their codes */
#define INSERT_TRIES	3
#define INSERT_MEMORY	((Size) 1024 * 1024)
#define RECORD_PAGES	(MAX_GENERIC_XLOG_PAGES - 2)	/* refine pages of a slot's record */

/*--- equal values --------------------------------------------------------*/

/* whether a node's refine record is the new value's */
static bool
same_record(HnswInsert *insert, uint32 node)
{
	Size		size = insert->index->params.refine_size;
	Size		done = 0;
	BlockNumber blkno;
	int			offset;
	bool		same = true;

	if (size == 0)
		return true;
	if (!hnsw_locate_refine(insert->index, node, &blkno, &offset))
		return false;
	while (done < size && same)
	{
		Buffer		buffer = hnsw_read(insert->rel, blkno++, BUFFER_LOCK_SHARE, HNSW_PAGE_REFINE);
		Size		n = Min(size - done, HNSW_PAGE_ROOM - (Size) offset);

		same = memcmp(HnswPageData(BufferGetPage(buffer)) + offset,
					  insert->value->refine + done, n) == 0;
		UnlockReleaseBuffer(buffer);
		done += n;
		offset = 0;
	}
	return same;
}

/* whether an exact code stands for the new value; the codes' heads differ in "rest" */
static bool
same_exact(HnswInsert *insert, const uint8_t *code)
{
	Size		done = insert->index->params.exact_size;
	HnswExactHead head;
	HnswExactHead own;
	bool		same;

	memcpy(&head, code, sizeof(head));
	memcpy(&own, insert->value->code, sizeof(own));
	same = head.length == own.length &&
		memcmp(code + sizeof(head), insert->value->code + sizeof(own), done) == 0;
	while (same && done < (Size) own.length)
	{
		Buffer		buffer = hnsw_read_hint(insert->rel, head.rest, BUFFER_LOCK_SHARE,
											HNSW_PAGE_VALUE);
		Size		n = Min((Size) own.length - done, HNSW_PAGE_ROOM);

		if (!BufferIsValid(buffer))
			return false;
		same = memcmp(HnswPageData(BufferGetPage(buffer)), (char *) insert->value->plain + done,
					  n) == 0;
		head.rest = HnswPageGetOpaque(BufferGetPage(buffer))->next;
		UnlockReleaseBuffer(buffer);
		done += n;
	}
	return same;
}

/*
 * Whether a node, one of the nearest or not, has the new value.  What was read
 * is only sure once the node's generation is seen again, under the lock that
 * adds the row.
 *
 * The build makes codes from others of more bits, so an equal value may have
 * another code; its record is the same, and says all that is returned of it.
 */
static bool
same_value(HnswInsert *insert, const InsertNode *node, bool nearest)
{
	const HnswIndex *index = insert->index;
	const uint8_t *code = node->slot + index->layout.code_offset;

	if (index->params.codec == HNSW_CODEC_EXACT)
		return same_exact(insert, code);
	if (memcmp(code, insert->value->code, index->layout.code_size) != 0 &&
		(!nearest || index->params.refine_size == 0))
		return false;
	return same_record(insert, node->id);
}

/* add the row to a node, if it still is the one that was read */
static bool
add_row(HnswInsert *insert, const InsertNode *node)
{
	HnswIndex  *index = insert->index;
	BlockNumber blkno;
	int			slotno;
	Buffer		buffer;
	const NavSlotHead *head;
	bool		same;

	if (!hnsw_locate(index, node->id, &blkno, &slotno))
		return false;
	buffer = hnsw_read(insert->rel, blkno, BUFFER_LOCK_EXCLUSIVE, HNSW_PAGE_NAV);
	head = slot_head(hnsw_slot(index, BufferGetPage(buffer), slotno));
	same = head->state == SLOT_LIVE && head->generation == slot_head(node->slot)->generation;
	if (same)
	{
		GenericXLogState *state;
		Page		page;
		Buffer		tids;

		if (hnsw_differs(index, hnsw_slot(index, BufferGetPage(buffer), slotno),
						 insert->value->keys))
			hnsw_filter_widen(insert->rel, index, node->id);
		state = GenericXLogStart(insert->rel);
		page = GenericXLogRegisterBuffer(state, buffer, 0);
		tids = hnsw_add_tid(insert->rel, index, state, hnsw_slot(index, page, slotno),
							&insert->tid, insert->value->keys);
		GenericXLogFinish(state);
		UnlockReleaseBuffer(tids);
	}
	UnlockReleaseBuffer(buffer);
	return same;
}

/* share the node of an equal value, if one was found */
static bool
add_to_equal(HnswInsert *insert)
{
	for (int i = 0; i < insert->ncandidates; i++)
	{
		if (same_value(insert, insert->candidates[i].node, i < NEAREST) &&
			add_row(insert, insert->candidates[i].node))
			return true;
	}
	return false;
}

/*--- values --------------------------------------------------------------*/

/*
 * The blocks for the rest of an exact value: those the slot had when it was
 * used before, and new ones.
 */
static BlockNumber *
value_blocks(HnswInsert *insert, BlockNumber old, int n, BlockNumber *left)
{
	BlockNumber *blocks = palloc(sizeof(BlockNumber) * (Size) n);
	int			i;

	for (i = 0; i < n && old != 0 && old != InvalidBlockNumber; i++)
	{
		Buffer		buffer = hnsw_read_hint(insert->rel, old, BUFFER_LOCK_SHARE, HNSW_PAGE_VALUE);

		if (!BufferIsValid(buffer))
			break;
		blocks[i] = old;
		old = HnswPageGetOpaque(BufferGetPage(buffer))->next;
		UnlockReleaseBuffer(buffer);
	}
	*left = i == n ? old : InvalidBlockNumber;
	for (; i < n; i++)
	{
		Buffer		buffer = hnsw_new_page(insert->rel);

		blocks[i] = BufferGetBlockNumber(buffer);
		UnlockReleaseBuffer(buffer);
	}
	return blocks;
}

/*
 * Write the rest of an exact value, and where it is into its code.  "old" is
 * the code the slot had: value pages stay with their slot when it is freed.
 */
static void
write_value(HnswInsert *insert, const uint8_t *old)
{
	Size		done = insert->index->params.exact_size;
	BlockNumber *blocks;
	BlockNumber left;
	HnswExactHead was;
	HnswExactHead head;
	Size		length;
	int			n;

	memcpy(&was, old, sizeof(was));
	memcpy(&head, insert->value->code, sizeof(head));
	length = (Size) head.length;
	n = length > done ? (int) ((length - done + HNSW_PAGE_ROOM - 1) / HNSW_PAGE_ROOM) : 0;
	blocks = value_blocks(insert, was.rest, n, &left);
	for (int i = 0; i < n; i++)
	{
		Size		bytes = Min(length - done, HNSW_PAGE_ROOM);
		Buffer		buffer = ReadBuffer(insert->rel, blocks[i]);
		GenericXLogState *state = GenericXLogStart(insert->rel);
		Page		page;

		LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
		page = GenericXLogRegisterBuffer(state, buffer, GENERIC_XLOG_FULL_IMAGE);
		hnsw_page_init(page, HNSW_PAGE_VALUE, bytes);
		memcpy(HnswPageData(page), (char *) insert->value->plain + done, bytes);
		HnswPageGetOpaque(page)->next = i + 1 < n ? blocks[i + 1] : left;
		GenericXLogFinish(state);
		UnlockReleaseBuffer(buffer);
		done += bytes;
	}
	head.rest = n > 0 ? blocks[0] : (was.rest == 0 ? InvalidBlockNumber : was.rest);
	memcpy(insert->value->code, &head, sizeof(head));
	pfree(blocks);
}

/* part of a refine record on one page, in the record "xlog" */
static Buffer
write_record_part(HnswInsert *insert, AmXlog *xlog, BlockNumber blkno, Size offset,
				  Size done, Size n)
{
	Buffer		buffer = hnsw_read(insert->rel, blkno, BUFFER_LOCK_EXCLUSIVE, HNSW_PAGE_REFINE);
	int			block = am_xlog_buffer(xlog, buffer);
	uint8_t    *to = HnswPageData(BufferGetPage(buffer)) + offset;

	am_xlog_cover(xlog, block, to + n);
	am_xlog_put(xlog, block, to, insert->value->refine + done, n);
	return buffer;
}

/*
 * The refine record, into pages of the slot's WAL record if they fit, else
 * into records of their own: with "xlog" NULL those, before the slot's.
 * Returns how many buffers the caller must release.
 */
static int
write_record(HnswInsert *insert, AmXlog *xlog, uint32 node, Buffer *buffers)
{
	Size		size = insert->index->params.refine_size;
	Size		done = 0;
	BlockNumber blkno;
	int			offset;
	int			nbuffers = 0;
	bool		fits;

	if (size == 0)
		return 0;
	if (!hnsw_locate_refine(insert->index, node, &blkno, &offset))
		elog(ERROR, "node %u has no refine record", node);
	fits = offset + size <= RECORD_PAGES * HNSW_PAGE_ROOM;
	if (fits != (xlog != NULL))
		return 0;
	while (done < size)
	{
		Size		n = Min(size - done, HNSW_PAGE_ROOM - (Size) offset);

		if (fits)
			buffers[nbuffers++] = write_record_part(insert, xlog, blkno, offset, done, n);
		else
		{
			AmXlog	   *own = am_xlog_start(insert->rel);
			Buffer		buffer = write_record_part(insert, own, blkno, offset, done, n);

			am_xlog_finish(own);
			UnlockReleaseBuffer(buffer);
		}
		blkno++;
		done += n;
		offset = 0;
	}
	return nbuffers;
}

/*--- the new node --------------------------------------------------------*/

/*
 * Take a FREE slot and make it LIVE, with its links (H1, H2).  Its page stays
 * locked over all records, so that nobody else takes the slot.
 */
static void
make_live(HnswInsert *insert)
{
	HnswIndex  *index = insert->index;
	uint32		near[NEAR_PAGES] = {0};
	int			nnear = 0;
	Buffer		buffer;
	Buffer		refine[RECORD_PAGES];
	Buffer		filter = InvalidBuffer;
	AmXlog	   *xlog;
	BlockNumber blkno;
	uint8_t    *slot;
	uint8_t    *image = palloc0(index->layout.size);
	NavSlotHead *head = (NavSlotHead *) (void *) image;
	uint32		node;
	int			nrefine;
	int			slotno;

	/* all that takes time, before anybody has to wait */
	slot_init(&index->layout, image, insert->level, (uint8_t *) &insert->tid,
			  insert->value->code);
	slot_set_keys(&index->layout, image, insert->value->keys);
	hnsw_set_links(insert, image);

	for (int i = 0; i < insert->ncandidates && i < 2 * NEAR_PAGES && nnear < NEAR_PAGES; i++)
	{
		if (insert->candidates[i].node->page_has_room)
			near[nnear++] = insert->candidates[i].node->id;
	}
	node = hnsw_free_slot(insert->rel, index, near, nnear, &buffer);
	if (!hnsw_locate(index, node, &blkno, &slotno))
		elog(ERROR, "node %u is nowhere", node);
	slot = hnsw_slot(index, BufferGetPage(buffer), slotno);
	insert->generation = slot_head(slot)->generation;
	if (index->params.codec == HNSW_CODEC_EXACT)
		write_value(insert, slot + index->layout.code_offset);
	hnsw_upper_write(insert, node, insert->generation);

	head->generation = insert->generation;
	head->upper = insert->upper;
	memcpy(image + index->layout.code_offset, insert->value->code, index->layout.code_size);
	write_record(insert, NULL, node, NULL);
	xlog = am_xlog_start(insert->rel);
	am_xlog_buffer(xlog, buffer);
	am_xlog_cover(xlog, 0, slot + index->layout.size);
	am_xlog_put(xlog, 0, slot, image, index->layout.size);
	nrefine = write_record(insert, xlog, node, refine);
	if (index->filter_entries > 0)
		filter = hnsw_filter_put(insert->rel, index, xlog, node, insert->value->keys);
	am_xlog_finish(xlog);
	if (BufferIsValid(filter))
		UnlockReleaseBuffer(filter);
	for (int i = 0; i < nrefine; i++)
		UnlockReleaseBuffer(refine[i]);
	UnlockReleaseBuffer(buffer);
	insert->node = node;
	pfree(image);
}

/*--- entry point ---------------------------------------------------------*/

/*
 * Make the new node the entry point: when it is the highest, or when there was
 * none from which anything could be found.  False if another came before.
 */
static bool
set_entry(HnswInsert *insert, bool first)
{
	Buffer		buffer = hnsw_read(insert->rel, 0, BUFFER_LOCK_EXCLUSIVE, HNSW_PAGE_META);
	HnswMetaPage meta = HnswPageGetMeta(BufferGetPage(buffer));
	bool		set;

	if (first)
		set = meta->entry_node == insert->seen_node && meta->entry_upper == insert->seen_upper;
	else
		set = insert->level > meta->entry_level;
	if (set)
	{
		GenericXLogState *state = GenericXLogStart(insert->rel);

		meta = HnswPageGetMeta(GenericXLogRegisterBuffer(state, buffer, 0));
		meta->entry_node = insert->node;
		meta->entry_upper = insert->level > 0 ? insert->upper + (uint32) (insert->level - 1) :
			LINK_NONE;
		meta->entry_level = (uint16) insert->level;
		GenericXLogFinish(state);
	}
	UnlockReleaseBuffer(buffer);
	return set;
}

/*--- inserting -----------------------------------------------------------*/

/* the live nodes near the new value, nearest first */
static void
find_candidates(HnswInsert *insert)
{
	GraphSearch *search = &insert->query->search;
	int			ef = insert->index->params.ef_construction;

	insert->seen_node = insert->index->entry_node;
	insert->seen_upper = insert->index->entry_upper;
	hnsw_search(insert->query, hnsw_beam(insert->index->layout.ngroups > 0, ef), ef);
	insert->ncandidates = 0;
	for (int i = 0; i < search->nresults; i++)
	{
		InsertNode *node = hnsw_fetch(insert, search->results[i].id, false);

		if (!node->usable || slot_head(node->slot)->state != SLOT_LIVE ||
			slot_head(node->slot)->generation != search->results[i].generation ||
			node->id == insert->node)
			continue;
		insert->candidates[insert->ncandidates].distance = search->results[i].distance;
		insert->candidates[insert->ncandidates++].node = node;
	}
}

/* link a node that has become LIVE, both ways */
static void
link_node(HnswInsert *insert)
{
	HnswIndex  *index = insert->index;

	for (int i = 0; insert->nlinks == 0 && i < INSERT_TRIES; i++)
	{
		/* alone in the graph, unless another came first */
		if (set_entry(insert, true))
			return;
		hnsw_refresh(index, insert->rel);
		find_candidates(insert);
		hnsw_select_links(insert, index->params.m);
		if (insert->nlinks > 0)
			hnsw_store_links(insert);
	}
	hnsw_back_links(insert);
	hnsw_upper_back_links(insert);
	if (insert->level > index->entry_level)
		set_entry(insert, false);
}

static HnswInsert *
begin_insert(Relation rel, HnswIndex *index, HnswValue *value, ItemPointer tid)
{
	HnswInsert *insert = palloc0(sizeof(HnswInsert));
	int			ef = index->params.ef_construction;

	insert->rel = rel;
	insert->index = index;
	insert->value = value;
	insert->tid = *tid;
	insert->node = LINK_NONE;
	insert->upper = LINK_NONE;
	if (!value->defined)
		return insert;

	insert->query = hnsw_query(index, rel, PointerGetDatum(value->plain), false,
							   hnsw_beam(index->layout.ngroups > 0, ef), ef);
	insert->candidates = palloc(sizeof(InsertLink) * (Size) ef);
	insert->links = palloc(sizeof(InsertLink) * (Size) index->params.m);
	hnsw_insert_nodes_init(insert);
	/* where searches start from the entry slot, upper levels have no use */
	if (index->nentries == 0)
		insert->level = hnsw_draw_level(index, tid);
	return insert;
}

/*
 * hnsw_insert_value
 *		Insert a row with its value, in the current memory context, which the
 *		caller resets; index->entry_... and the directory are up to date.
 *
 * Holds no lock before and after.  Raises XX002 for damaged pages, and what
 * extending the relation may raise.
 */
void
hnsw_insert_value(Relation rel, HnswIndex *index, HnswValue *value, ItemPointer tid)
{
	HnswInsert *insert = begin_insert(rel, index, value, tid);

	/* no distance to anything: found by the sweep only */
	if (!value->defined)
	{
		make_live(insert);
		return;
	}
	find_candidates(insert);
	if (add_to_equal(insert))
		return;
	hnsw_select_links(insert, index->params.m);
	hnsw_upper_search(insert);
	make_live(insert);
	link_node(insert);
}

/*
 * hnswinsert
 *		aminsert.  A NULL is not indexed.
 */
bool
hnswinsert(Relation rel, Datum *values, bool *isnull, ItemPointer tid, Relation heap,
		   IndexUniqueCheck unique, bool unchanged, IndexInfo *info)
{
	static MemoryContext context = NULL;
	MemoryContext old;
	HnswIndex  *index;
	HnswValue  *value;

	if (isnull[0])
		return false;

	/* kept by the backend: to ask the system for its pages takes as long as a search */
	if (context == NULL)
		context = AllocSetContextCreate(TopMemoryContext, "hnsw insert", 0,
										INSERT_MEMORY, ALLOCSET_DEFAULT_MAXSIZE);
	MemoryContextReset(context);
	old = MemoryContextSwitchTo(context);
	index = hnsw_open(rel);
	value = hnsw_value(index, values[0]);
	if (index->filters != NULL)
		filter_encode(index->filters, values, isnull, value->keys);
	hnsw_insert_value(rel, index, value, tid);
	MemoryContextSwitchTo(old);
	MemoryContextReset(context);
	return false;
}
