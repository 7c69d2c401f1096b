/*-------------------------------------------------------------------------
 *
 * hnswquery.c
 *	  Searching the graph on pages, and the distances of what was found.
 *
 * Instantiates graph/search_tmpl.h over shared buffers.  One page is locked
 * at a time, value pages apart; the page last used stays pinned, for the next
 * slot is often on it, until hnsw_search() returns.
 *
 * What links lead to is a hint (H4): a slot that is not there, or not what it
 * should be, is passed over.
 *
 *-------------------------------------------------------------------------
 */
#include "hnsw/hnsw.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* a restricted search that needs more room gets so many times as much, up to so much */
#define RESTRICTED_GROWS	4
#define MAX_RESTRICTED		((uint32) 1 << 26)

/*--- exact codes ---------------------------------------------------------*/

/*
 * The value behind an exact code, or NULL if its parts do not fit together.
 * "code" lies on a locked page or in memory; "room" has plain_size bytes and
 * takes a value of more than one part.
 */
static const struct varlena *
exact_value(const HnswIndex *index, Relation rel, const uint8_t *code, uint8_t *room)
{
	Size		first = index->params.exact_size;
	HnswExactHead head;
	Size		size;

	memcpy(&head, code, sizeof(head));
	if (head.length < 0 || (Size) head.length > index->plain_size)
		return NULL;
	size = head.length;
	code += sizeof(head);
	if (size <= first)
		return hnsw_check_plain(index, code, size);

	memcpy(room, code, first);
	while (first < size)
	{
		Size		n = Min(size - first, HNSW_PAGE_ROOM);
		Buffer		buffer = hnsw_read_hint(rel, head.rest, BUFFER_LOCK_SHARE, HNSW_PAGE_VALUE);
		Page		page;

		if (!BufferIsValid(buffer))
			return NULL;
		page = BufferGetPage(buffer);
		memcpy(room + first, HnswPageData(page), n);
		head.rest = HnswPageGetOpaque(page)->next;
		UnlockReleaseBuffer(buffer);
		first += n;
	}
	return hnsw_check_plain(index, room, size);
}

/* infinite where there is no value, so that nobody goes there */
static float
exact_distance(const HnswIndex *index, const struct varlena *a, const struct varlena *b)
{
	return a == NULL || b == NULL ? INFINITY : (float) index->metric->distance(a, b);
}

/*
 * hnsw_code_distance
 *		Distance between the query and a code, to compare candidates by: nav
 *		units for compact codes, the operator's for exact ones.
 */
float
hnsw_code_distance(HnswQuery *query, const uint8_t *code)
{
	HnswIndex  *index = query->index;

	if (query->plain == NULL)
		return 0;
	if (query->quant != NULL)
		return nav_distance(query->quant, index->layout.nav_bits, code);
	return exact_distance(index, query->plain,
						  exact_value(index, query->rel, code, query->exact));
}

/*
 * hnsw_pair_distance
 *		The same between two codes.
 */
float
hnsw_pair_distance(HnswIndex *index, Relation rel, const uint8_t *a, const uint8_t *b)
{
	uint8_t    *room = NULL;
	float		distance;

	if (index->model != NULL)
		return nav_pair(index->model, index->layout.nav_bits, a, b);
	if (index->plain_size > index->params.exact_size)
		room = palloc(2 * MAXALIGN(index->plain_size));
	distance = exact_distance(index, exact_value(index, rel, a, room),
							  exact_value(index, rel, b,
										  room ? room + MAXALIGN(index->plain_size) : NULL));
	if (room != NULL)
		pfree(room);
	return distance;
}

/*--- reaching slots ------------------------------------------------------*/

/* pin and share-lock a page, keeping the pin of the one before if it is that */
static bool
lock_page(HnswQuery *query, Buffer *kept, BlockNumber blkno, HnswPageKind kind)
{
	CHECK_FOR_INTERRUPTS();
	query->npages++;
	if (BufferIsValid(*kept))
	{
		if (BufferGetBlockNumber(*kept) == blkno)
		{
			LockBuffer(*kept, BUFFER_LOCK_SHARE);
			return true;
		}
		ReleaseBuffer(*kept);
		*kept = InvalidBuffer;
	}
	*kept = hnsw_read_known(query->index, query->rel, blkno, kind);
	return BufferIsValid(*kept);
}

static const uint8_t *
pin_nav(HnswQuery *query, uint32 node)
{
	BlockNumber blkno;
	int			slot;

	if (!hnsw_locate(query->index, node, &blkno, &slot) ||
		!lock_page(query, &query->nav_buffer, blkno, HNSW_PAGE_NAV))
		return NULL;
	return hnsw_slot(query->index, BufferGetPage(query->nav_buffer), slot);
}

/* the slot will be needed soon */
static void
prefetch_nav(const HnswQuery *query, uint32 node)
{
	BlockNumber blkno;
	int			slot;
	Size		size = query->index->layout.size;

	if (hnsw_locate(query->index, node, &blkno, &slot))
		hnsw_prefetch(query->index, blkno, (Size) slot * size, size);
}

/* upper slots have ids made of block and place */
static const uint8_t *
pin_upper(HnswQuery *query, uint32 id)
{
	uint32		per_page = query->index->uppers_per_page;

	if (id == LINK_NONE ||
		!lock_page(query, &query->upper_buffer, id / per_page, HNSW_PAGE_UPPER))
		return NULL;
	return HnswPageData(BufferGetPage(query->upper_buffer)) +
		(Size) (id % per_page) * query->index->layout.upper_size;
}

static void
release_pages(HnswQuery *query)
{
	if (BufferIsValid(query->nav_buffer))
		ReleaseBuffer(query->nav_buffer);
	if (BufferIsValid(query->upper_buffer))
		ReleaseBuffer(query->upper_buffer);
	query->nav_buffer = InvalidBuffer;
	query->upper_buffer = InvalidBuffer;
}

#define GS_NAME(name)				pages_##name
#define GS_CONTEXT					HnswQuery
#define GS_PIN(context, id)			pin_nav(context, id)
#define GS_UNPIN(context, id)		LockBuffer((context)->nav_buffer, BUFFER_LOCK_UNLOCK)
#define GS_PREFETCH(context, id)	prefetch_nav(context, id)
#define GS_DISTANCE(context, code)	hnsw_code_distance(context, code)
#define GS_PIN_UPPER(context, id)	pin_upper(context, id)
#define GS_UNPIN_UPPER(context, id) LockBuffer((context)->upper_buffer, BUFFER_LOCK_UNLOCK)
#define GS_ACCEPTS(context, slot)	hnsw_accepts(context, slot)
#include "graph/search_tmpl.h"
#include "graph/restrict_tmpl.h"

/*--- memory of searches --------------------------------------------------*/

/*
 * The memory of one search is kept for the next query: to get and clear it
 * takes as long as expanding ten nodes.  Visits of earlier queries do no harm,
 * for epochs go on.
 */
#define MAX_KEPT_MEMORY	(2 * 1024 * 1024)

static GraphSearch kept;		/* candidates == NULL: none */
static bool kept_in_use = false;

typedef struct KeptUse
{
	MemoryContextCallback callback;
	GraphSearch *search;
} KeptUse;

/* the context of the query goes away */
static void
return_kept(void *arg)
{
	KeptUse    *use = arg;

	if (use->search->candidates == kept.candidates)
		kept.epoch = use->search->epoch;
	kept_in_use = false;
}

/* memory for max_ef and max_keep in "kept", if that may be */
static void
grow_kept(int max_ef, int max_keep)
{
	Size		size = search_size(max_ef, max_keep);
	void	   *memory;

	if (kept_in_use || size > MAX_KEPT_MEMORY ||
		(max_ef <= kept.max_ef && max_keep <= kept.max_keep))
		return;
	memory = MemoryContextAlloc(TopMemoryContext, size);
	if (kept.candidates != NULL)
		pfree(kept.candidates);
	search_init(&kept, max_ef, max_keep, memory);
}

/*
 * hnsw_search_memory
 *		Prepare "search" for at most max_ef candidates and max_keep results.  It
 *		lives in the current memory context and is zero or was prepared before;
 *		what it had then is left to the context.
 */
void
hnsw_search_memory(GraphSearch *search, int max_ef, int max_keep)
{
	/* a search that grows takes memory of its own, and what is kept stays its */
	if (kept_in_use && search->candidates == kept.candidates)
		kept.epoch = search->epoch;
	grow_kept(max_ef, max_keep);
	if (kept_in_use || max_ef > kept.max_ef || max_keep > kept.max_keep)
		search_init(search, max_ef, max_keep,
					palloc_extended(search_size(max_ef, max_keep), MCXT_ALLOC_HUGE));
	else
	{
		KeptUse    *use = palloc(sizeof(KeptUse));

		*search = kept;
		use->search = search;
		use->callback.func = return_kept;
		use->callback.arg = use;
		MemoryContextRegisterResetCallback(CurrentMemoryContext, &use->callback);
		kept_in_use = true;
	}
}

/*--- queries -------------------------------------------------------------*/

/* the query value in all the forms distances need; a NULL has none */
static void
set_value(HnswQuery *query, Datum datum)
{
	HnswIndex  *index = query->index;
	const VecTypeOps *type = index->metric->type;
	int			dim;

	query->plain = type->plain(datum);
	dim = type->dim(query->plain);
	if (dim != index->params.dim)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("different %s %s %d and %d", type->name, type->extent,
						index->params.dim, dim)));
	if (index->model == NULL)
		return;
	query->floats = palloc(sizeof(float) * dim);
	type->to_floats(query->plain, query->floats);
	query->norm = refine_query_norm(query->floats, dim);
	quant_query_set(query->quant, query->floats);
}

/*
 * hnsw_query
 *		A query and its memory, palloc'd, for searches of at most max_ef
 *		candidates and max_keep results.
 *
 * With isnull every distance is zero.  Raises 22000 for other dimensions than
 * the column's.
 */
HnswQuery *
hnsw_query(HnswIndex *index, Relation rel, Datum datum, bool isnull, int max_ef, int max_keep)
{
	HnswQuery  *query = palloc0(sizeof(HnswQuery));

	query->index = index;
	query->rel = rel;
	am_make_buffers(&index->cached, &index->pages, rel);
	query->nav_buffer = InvalidBuffer;
	query->upper_buffer = InvalidBuffer;
	if (index->model != NULL)
	{
		query->quant = quant_query_init(index->model, palloc0(quant_query_size(index->model)));
		query->record = palloc(MAXALIGN(index->params.refine_size + 1));
		if (isnull)
			quant_query_set(query->quant, palloc0(sizeof(float) * index->params.dim));
	}
	else if (index->plain_size > index->params.exact_size)
		query->exact = palloc(index->plain_size);
	if (!isnull)
		set_value(query, datum);
	hnsw_search_memory(&query->search, max_ef, max_keep);
	return query;
}

/* start from a node, wherever it is: when there is neither entry nor level */
static void
start_from_node(HnswQuery *query, GraphSearch *search, uint32 node)
{
	const SlotLayout *layout = &query->index->layout;
	const uint8_t *slot = pin_nav(query, node);
	float		distance;

	if (slot == NULL)
		return;
	if (slot_ok(layout, slot) && slot_head(slot)->state != SLOT_FREE)
	{
		distance = hnsw_code_distance(query, slot + layout->code_offset);
		search_add_start(search, node, distance);
	}
	LockBuffer(query->nav_buffer, BUFFER_LOCK_UNLOCK);
}

/* where a search of level 0 starts */
static void
add_starts(HnswQuery *query, GraphSearch *search)
{
	HnswIndex  *index = query->index;

	if (index->nentries > 0)
		search_from_entry(search, index->entry, HNSW_PAGE_ROOM, index->nentries);
	if (search->ncandidates == 0 && index->entry_level > 0)
		pages_descend(search, query, index->entry_upper, index->entry_level);
	if (search->ncandidates == 0)
		start_from_node(query, search, index->entry_node);
	release_pages(query);
}

/*
 * hnsw_search_start
 *		Begin a search of level 0 that keeps ef candidates and "keep" results.
 */
void
hnsw_search_start(HnswQuery *query, int ef, int keep)
{
	search_start(&query->search, &query->index->layout, query->quant, ef, keep);
	add_starts(query, &query->search);
}

/*
 * hnsw_search_run
 *		Search until the nearest "stop" candidates are expanded: what a search
 *		with that many finds.  It may go on from there with a higher "stop", up
 *		to the number kept.  No pin or lock is left.
 */
void
hnsw_search_run(HnswQuery *query, int stop)
{
	query->search.stop = Min(stop, query->search.ef);
	pages_run(&query->search, query);
	release_pages(query);
}

/*
 * hnsw_search
 *		Search level 0 with ef candidates; query->search has at most "keep"
 *		results afterwards, nearest first by code.  No pin or lock is left.
 */
void
hnsw_search(HnswQuery *query, int ef, int keep)
{
	hnsw_search_start(query, ef, keep);
	hnsw_search_run(query, ef);
}

/*
 * hnsw_restricted_start
 *		Begin a search of level 0 whose results hnsw_accepts(), with room for so
 *		many candidates and results at first, from the current memory context.
 */
void
hnsw_restricted_start(HnswQuery *query, uint32 candidates, int keep, double margin)
{
	query->restricted = palloc(sizeof(RestrictedSearch));
	restricted_init(query->restricted, candidates, keep,
					palloc(restricted_size(candidates, keep)));
	restricted_start(query->restricted, &query->index->layout, query->quant, margin);
	add_starts(query, &query->restricted->base);
}

/*
 * hnsw_restricted_seed
 *		Let the search go on from a node, too.  A page may stay pinned, until
 *		hnsw_restricted_stop().
 */
void
hnsw_restricted_seed(HnswQuery *query, uint32 node)
{
	RestrictedSearch *search = query->restricted;
	const SlotLayout *layout = &query->index->layout;
	const uint8_t *slot = pin_nav(query, node);
	SearchCandidate candidate = {INFINITY, node};
	SearchVisit *visit;

	if (slot == NULL)
		return;
	if (slot_ok(layout, slot) && slot_head(slot)->state != SLOT_FREE)
		candidate.distance = hnsw_code_distance(query, slot + layout->code_offset);
	LockBuffer(query->nav_buffer, BUFFER_LOCK_UNLOCK);
	search->ndistances++;
	visit = restricted_room(search) ? search_visit(&search->base, node) : NULL;
	if (visit != NULL && candidate.distance < visit->distance)
	{
		visit->distance = candidate.distance;
		restricted_push(search, candidate);
	}
}

/*
 * hnsw_restricted_stop
 *		No pin is left, if the search does not run again.
 */
void
hnsw_restricted_stop(HnswQuery *query)
{
	release_pages(query);
}

/* more room for a search, if there may be so much; false if not */
static bool
grow_restricted(RestrictedSearch *search, Size memory)
{
	uint32		candidates = (uint32) search->base.max_ef * RESTRICTED_GROWS;
	int			keep = search->base.max_keep * RESTRICTED_GROWS;
	void	   *old = search->base.candidates;

	/* for a moment there are both */
	if (candidates > MAX_RESTRICTED ||
		restricted_size(candidates, keep) / RESTRICTED_GROWS * (RESTRICTED_GROWS + 1) > memory)
		return false;
	restricted_grow(search, candidates, keep,
					MemoryContextAllocExtended(GetMemoryChunkContext(old),
											   restricted_size(candidates, keep),
											   MCXT_ALLOC_HUGE));
	pfree(old);
	return true;
}

/*
 * hnsw_restricted_run
 *		Search until so many results are settled, with at most so many nodes
 *		expanded in all, in at most so many bytes.  It may go on from there with
 *		more of each.  No pin or lock is left.
 */
RestrictedEnd
hnsw_restricted_run(HnswQuery *query, double wanted, uint32 max_nodes, Size memory)
{
	RestrictedSearch *search = query->restricted;
	RestrictedEnd end;

	if (search->wanted != wanted)
		search->settled = search->late = 0;
	search->wanted = wanted;
	search->max_nodes = max_nodes;
	do
		end = pages_run_restricted(search, query);
	while (end == RESTRICTED_ROOM && grow_restricted(search, memory));
	release_pages(query);
	return end;
}

/*--- refining ------------------------------------------------------------*/

/*
 * hnsw_prefetch_record
 *		A node's distance will be asked for soon.
 */
void
hnsw_prefetch_record(const HnswQuery *query, uint32 node)
{
	Size		size = query->index->params.refine_size;
	BlockNumber blkno;
	int			offset;

	if (query->plain == NULL || !hnsw_locate_refine(query->index, node, &blkno, &offset))
		return;
	hnsw_prefetch(query->index, blkno, offset, size);
	if (offset + size > HNSW_PAGE_ROOM)
		hnsw_prefetch(query->index, blkno + 1, 0, offset + size - HNSW_PAGE_ROOM);
}

static Buffer
lock_refine_page(HnswQuery *query, BlockNumber blkno)
{
	Buffer		buffer = hnsw_read_known(query->index, query->rel, blkno, HNSW_PAGE_REFINE);

	query->npages++;
	if (!BufferIsValid(buffer))
		hnsw_corrupt(query->rel, blkno, "The page is missing or not of the kind it should be.");
	return buffer;
}

/* put a refine record together that lies on several pages */
static void
copy_record(HnswQuery *query, BlockNumber blkno, int offset)
{
	Size		size = query->index->params.refine_size;
	Size		done = 0;

	while (done < size)
	{
		Buffer		buffer = lock_refine_page(query, blkno++);
		Size		n = Min(size - done, HNSW_PAGE_ROOM - offset);

		memcpy(query->record + done, HnswPageData(BufferGetPage(buffer)) + offset, n);
		UnlockReleaseBuffer(buffer);
		done += n;
		offset = 0;
	}
}

/* distance by a record, aligned for float */
static RefineResult
record_distance(HnswQuery *query, const uint8_t *record)
{
	HnswIndex  *index = query->index;
	const HnswParams *params = &index->params;
	const struct varlena *value;
	RefineResult result;

	if (params->refine != REFINE_FULL)
		return refine_distance(params->refine, (QuantMetric) params->metric, query->floats,
							   query->norm, record, params->dim);
	value = hnsw_check_plain(index, record, params->refine_size);
	if (value == NULL)
		hnsw_corrupt(query->rel, InvalidBlockNumber, "A refine record is damaged.");
	result.distance = result.bound = index->metric->distance(query->plain, value);
	return result;
}

/* the same for a record on one page, where it lies, or put together first */
static RefineResult
refine_by_record(HnswQuery *query, uint32 node)
{
	const HnswParams *params = &query->index->params;
	RefineResult result;
	BlockNumber blkno;
	Buffer		buffer;
	int			offset;

	if (!hnsw_locate_refine(query->index, node, &blkno, &offset))
		elog(ERROR, "node %u has no refine record", node);
	if (offset % sizeof(float) != 0 || offset + params->refine_size > HNSW_PAGE_ROOM)
	{
		copy_record(query, blkno, offset);
		return record_distance(query, query->record);
	}
	buffer = lock_refine_page(query, blkno);
	result = record_distance(query, HnswPageData(BufferGetPage(buffer)) + offset);
	UnlockReleaseBuffer(buffer);
	return result;
}

/* by the node's own code: exact codes, and when no records are kept */
static RefineResult
refine_by_code(HnswQuery *query, uint32 node)
{
	HnswIndex  *index = query->index;
	RefineResult result;
	BlockNumber blkno;
	int			slot;
	Buffer		buffer;
	const uint8_t *code;

	if (!hnsw_locate(index, node, &blkno, &slot))
		elog(ERROR, "there is no node %u", node);
	buffer = hnsw_read(query->rel, blkno, BUFFER_LOCK_SHARE, HNSW_PAGE_NAV);
	code = hnsw_slot(index, BufferGetPage(buffer), slot);
	if (slot_head(code)->state == SLOT_FREE)
	{
		/* freed since it was found: its bytes say nothing */
		UnlockReleaseBuffer(buffer);
		result.distance = result.bound = INFINITY;
		return result;
	}
	code += index->layout.code_offset;
	if (query->quant != NULL)
	{
		int			bits = index->layout.nav_bits;

		result.distance = quant_to_sql(index->model, nav_distance(query->quant, bits, code));
		result.bound = nav_lower_bound(query->quant, bits, code);
	}
	else
	{
		const struct varlena *value = exact_value(index, query->rel, code, query->exact);

		if (value == NULL)
			hnsw_corrupt(query->rel, blkno, "An exact value is damaged.");
		result.distance = result.bound = index->metric->distance(query->plain, value);
	}
	UnlockReleaseBuffer(buffer);
	return result;
}

/*
 * hnsw_refine
 *		Distance of a node that exists, in SQL units, and a number the
 *		operator's result cannot be below.
 *
 * They are equal, and what the operator returns, for exact codes and with
 * refine = full.  NaN where there is no distance.  Raises XX002.
 */
RefineResult
hnsw_refine(HnswQuery *query, uint32 node)
{
	RefineResult result = {0, 0};

	if (query->plain == NULL)
		return result;
	if (query->index->params.refine_size == 0)
		return refine_by_code(query, node);

	return refine_by_record(query, node);
}

/*
 * hnsw_refine_many
 *		hnsw_refine() for n nodes, of which neighbors by number lie together:
 *		each page is locked once.
 */
void
hnsw_refine_many(HnswQuery *query, const uint32 *nodes, int n, RefineResult *results)
{
	Size		size = query->index->params.refine_size;
	Buffer		buffer = InvalidBuffer;
	BlockNumber locked = InvalidBlockNumber;

	for (int i = 0; i < n; i++)
	{
		BlockNumber blkno;
		int			offset;

		if (query->plain != NULL && hnsw_locate_refine(query->index, nodes[i], &blkno, &offset) &&
			offset % sizeof(float) == 0 && offset + size <= HNSW_PAGE_ROOM)
		{
			if (blkno != locked)
			{
				if (BufferIsValid(buffer))
					UnlockReleaseBuffer(buffer);
				buffer = InvalidBuffer;
				buffer = lock_refine_page(query, blkno);
				locked = blkno;
			}
			results[i] = record_distance(query, HnswPageData(BufferGetPage(buffer)) + offset);
			continue;
		}
		if (BufferIsValid(buffer))
			UnlockReleaseBuffer(buffer);
		buffer = InvalidBuffer;
		locked = InvalidBlockNumber;
		results[i] = hnsw_refine(query, nodes[i]);
	}
	if (BufferIsValid(buffer))
		UnlockReleaseBuffer(buffer);
}

/*--- rows of a node ------------------------------------------------------*/

/*
 * hnsw_node_rows
 *		The rows of a node, palloc'd; rows->query says which ones.  False if it
 *		is not LIVE or not of that generation.
 */
bool
hnsw_node_rows(Relation rel, HnswIndex *index, uint32 node, uint16 generation, HnswRows *rows)
{
	const uint8_t *place;
	const NavSlotHead *head;
	const uint64 *keys;
	ItemPointerData tid;
	BlockNumber blkno;
	Buffer		buffer;
	int			slot;
	bool		live;

	rows->n = 0;
	rows->recheck = false;
	if (!hnsw_locate(index, node, &blkno, &slot))
		return false;
	buffer = hnsw_read_known(index, rel, blkno, HNSW_PAGE_NAV);
	if (!BufferIsValid(buffer))
		hnsw_corrupt(rel, blkno, "The page is missing or not of the kind it should be.");
	place = hnsw_slot(index, BufferGetPage(buffer), slot);
	head = slot_head(place);
	keys = slot_keys(&index->layout, place);
	live = head->state == SLOT_LIVE && head->generation == generation;
	if (live)
	{
		rows->room = 1;
		rows->tids = palloc(sizeof(ItemPointerData));
		memcpy(&tid, head->tid, sizeof(tid));
		hnsw_add_row(rows, &tid, keys);
		hnsw_chain_rows(rel, index, head->more, (head->flags & SLOT_MIXED) != 0 ? NULL : keys,
						rows);
	}
	UnlockReleaseBuffer(buffer);
	return live;
}
