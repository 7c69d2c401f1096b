/*-------------------------------------------------------------------------
 *
 * ivfscan.c
 *	  Index scans: rows in the order of their distance to one value
 *	  (README.md, "Scans").
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <math.h>

#include "access/relscan.h"
#include "am/am_scan.h"
#include "catalog/pg_type.h"
#include "ivfflat/ivfscan.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/float.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* lists that are enough for as many rows of a pass are read at first (ivffilter.c) */
#define FIRST_RETURNED	(IVF_ENOUGH_BEST / 2)

/*
 * A stage gets more lists when one of so many rows was returned or is late: what is
 * nearer in those than the rows returned till then comes late, too.
 */
#define RETURNED_TIMES	2

/* rows of the first pass, and how many times more those after it have */
#define FIRST_KEEP		128
#define KEEP_FACTOR		8

/* where there are conditions so many times the lists are ranked that are read */
#define RANK_AHEAD		4

/*
 * Spreads taken off a code's estimate.  At 1.9, RaBitQ's own, one of a hundred
 * true neighbors comes too late for its place; at 3 a fifth more records are
 * read (28 instead of 23 for ten rows; text, 384 dimensions) and recall is that
 * of the lists read.
 */
#define ROW_EPSILON		3.0f

/*--- results -------------------------------------------------------------*/

static void
add_result(IvfScan *so, IvfResults *results, const IvfResult *result)
{
	if (results->n == results->room)
	{
		results->room = Max(64, results->room * 2);
		if (results->rows == NULL)
			results->rows = MemoryContextAllocHuge(so->context,
												   sizeof(IvfResult) * (Size) results->room);
		else
			results->rows = repalloc_huge(results->rows,
										  sizeof(IvfResult) * (Size) results->room);
	}
	results->rows[results->n++] = *result;
}

/* into the heap */
static void
push_ready(IvfScan *so, const IvfResult *result)
{
	IvfResult  *rows;
	int			i = so->ready.n;

	add_result(so, &so->ready, result);
	rows = so->ready.rows;
	for (; i > 0 && ivf_result_cmp(result, &rows[(i - 1) / 2]) < 0; i = (i - 1) / 2)
		rows[i] = rows[(i - 1) / 2];
	rows[i] = *result;
}

/* the nearest out of the heap */
static IvfResult
pop_ready(IvfScan *so)
{
	IvfResult  *rows = so->ready.rows;
	IvfResult	top = rows[0];
	IvfResult	last = rows[--so->ready.n];
	int			i = 0;

	for (;;)
	{
		int			child = 2 * i + 1;

		if (child >= so->ready.n)
			break;
		if (child + 1 < so->ready.n && ivf_result_cmp(&rows[child + 1], &rows[child]) < 0)
			child++;
		if (ivf_result_cmp(&last, &rows[child]) <= 0)
			break;
		rows[i] = rows[child];
		i = child;
	}
	rows[i] = last;
	return top;
}

static int
compare_results(const void *a, const void *b)
{
	return ivf_result_cmp(a, b);
}

/*--- stages and passes ---------------------------------------------------*/

/* room for the rows of a pass */
static void
set_keep(IvfScan *so, int keep)
{
	so->keep = Min(keep, so->most);
	so->found = so->found == NULL ?
		MemoryContextAllocHuge(so->query_context, sizeof(IvfFound) * 2 * (Size) so->keep) :
		repalloc_huge(so->found, sizeof(IvfFound) * 2 * (Size) so->keep);
}

/*
 * Rank so many lists, and add those that are new, until there are "end".  Codes
 * of centroids may miss one, another time another.
 */
static void
rank_lists(IvfScan *so, int wanted, int end)
{
	MemoryContext old = MemoryContextSwitchTo(so->query_context);
	IvfNear    *near = palloc(sizeof(IvfNear) * (Size) wanted);
	int			n = ivf_near_lists(&so->lists, wanted, near);

	if (so->read == NULL)
		so->read = palloc0(so->directory->nlists / 8 + 1);
	so->ranked = so->ranked == NULL ? palloc(sizeof(IvfNear) * (Size) end) :
		repalloc(so->ranked, sizeof(IvfNear) * (Size) end);
	so->cuts = so->cuts == NULL ? palloc(sizeof(IvfFound) * (Size) end) :
		repalloc(so->cuts, sizeof(IvfFound) * (Size) end);
	for (int i = 0; i < n && so->nranked < end; i++)
	{
		uint32		list = near[i].list;

		if ((so->read[list / 8] & 1 << list % 8) != 0)
			continue;
		so->read[list / 8] |= 1 << list % 8;
		so->cuts[so->nranked] = (IvfFound) {.key = -INFINITY};	/* block 0 is no list page */
		so->ranked[so->nranked++] = near[i];
	}
	pfree(near);
	MemoryContextSwitchTo(old);
}

/* rank lists up to "end", if there are so many; returns how far the stage can go */
static int
ranked_to(IvfScan *so, int64 end)
{
	int			most = (int) Min(end, so->max_lists);
	int			ahead = (int) Min((int64) most * (so->selective ? RANK_AHEAD : 1),
								  so->directory->nlists);

	if (most > so->nranked)
		rank_lists(so, ahead, ahead);
	if (most > so->nranked)
		rank_lists(so, (int) so->directory->nlists, most);
	return Min(most, so->nranked);
}

/* add lists to the stage, unless it has enough */
static bool
add_lists(IvfScan *so)
{
	int			end;

	if (!so->selective)
		return false;
	end = ranked_to(so, (int64) so->end_list +
					ivf_enough_step(so, so->end_list - so->first_list));
	if (end == so->end_list || ivf_enough(so, end))
		return false;
	so->end_list = end;
	return true;
}

/* read lists from number "done" on, and as many more as are needed */
static void
read_stage(IvfScan *so, int done)
{
	do
	{
		ivf_pass_lists(so, done, so->end_list);
		done = so->end_list;
	} while (add_lists(so));
	ivf_pass_end(so);
}

/* begin a stage of so many lists; false if there are none */
static bool
start_stage(IvfScan *so, int nlists)
{
	int			done = so->end_list;

	so->first_list = done;
	so->end_list = ranked_to(so, (int64) so->end_list + nlists);
	if (so->end_list == done)
		return false;
	so->returned = 0;
	ivf_pass_begin(so);
	read_stage(so, done);
	return true;
}

/*
 * More rows are asked for than the lists were read for: where there are
 * conditions, those that are missing; later, when half of the rows have been
 * returned, twice as many.
 */
static void
widen_stage(IvfScan *so)
{
	int			done = so->end_list;

	ivf_pass_resume(so);
	if (so->selective && !so->wide)
	{
		so->wide = true;
		if (!add_lists(so))
			return;
	}
	else
		so->end_list = ranked_to(so, 2 * (int64) done - so->first_list);
	if (so->end_list > done)
		read_stage(so, done);
}

/* is it time to? */
static inline bool
stage_is_narrow(const IvfScan *so)
{
	if (so->mode == IVF_ITERATIVE_OFF || so->end_list >= so->max_lists)
		return false;
	return so->selective && !so->wide ? so->returned >= FIRST_RETURNED :
		(so->returned + so->late.n) * RETURNED_TIMES >= so->qualified;
}

/* the next pass of a stage that had to drop rows */
static void
next_pass(IvfScan *so)
{
	ivf_pass_cut(so, &so->limit);
	set_keep(so, so->keep > INT_MAX / 2 / KEEP_FACTOR ? so->keep : so->keep * KEEP_FACTOR);
	ivf_pass_begin(so);
	so->wide = true;
	read_stage(so, so->first_list);
}

/* can no row that is not refined yet come before the top of the heap? */
static bool
top_is_next(IvfScan *so)
{
	double		bound;

	if (so->ready.n == 0)
		return false;
	if (so->next < so->nfound)
		bound = ivf_found_bound(so, ivf_next_found(so));
	else if (so->full)
		bound = ivf_found_bound(so, &so->limit);
	else
		return true;
	return so->ready.rows[0].distance <= bound;
}

/* refine the next row; too near for its place: for the end */
static void
refine_next(IvfScan *so)
{
	IvfResult	result;

	ivf_refine(so, ivf_next_found(so), &result);
	so->next++;
	if (so->mode != IVF_ITERATIVE_RELAXED && so->has_last &&
		float8_cmp_internal(result.distance, so->last.distance) < 0)
		add_result(so, &so->late, &result);
	else
		push_ready(so, &result);
}

/* all lists are done, or as many as may be read */
static void
end_lists(IvfScan *so)
{
	so->phase = IVF_SCAN_LATE;
	if (so->restriction != NULL && so->end_list < (int) so->directory->nlists)
		so->restriction->gave_up = true;
	if (so->late.n > 0)
		qsort(so->late.rows, so->late.n, sizeof(IvfResult), compare_results);
}

/* the next row of the lists, in order; false at their end */
static bool
next_of_lists(IvfScan *so, IvfResult *result)
{
	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		if (stage_is_narrow(so))
			widen_stage(so);
		if (top_is_next(so))
		{
			*result = pop_ready(so);
			so->returned++;
			return true;
		}
		if (so->next < so->nfound)
			refine_next(so);
		else if (so->full)
			next_pass(so);
		else if (so->mode == IVF_ITERATIVE_OFF || !start_stage(so, so->end_list))
		{
			end_lists(so);
			return false;
		}
	}
}

/*--- rows without a distance ---------------------------------------------*/

/* forget the rows of the copied page that do not qualify */
static void
drop_unqualified(IvfScan *so, Page page)
{
	ivf_qualifying(so, so->chain_shape, page);
	for (int i = 0; i < so->ntids; i++)
	{
		if ((so->pass[i / IVF_BLOCK_ROWS] >> i % IVF_BLOCK_ROWS & 1) == 0)
			ItemPointerSetInvalid(&so->tids[i]);
	}
}

/* begin to read chains of a shape as they lie */
static void
start_chain(IvfScan *so, const IvfShape *shape, BlockNumber first, uint32 id)
{
	so->chain_shape = shape;
	so->next_block = first;
	so->chain_id = id;
	so->chain_steps = 0;
}

/* the rows of the next list page of the chain; false at its end */
static bool
next_chain_page(IvfScan *so)
{
	Buffer		buffer;
	Page		page;
	int			nrows;

	if (!BlockNumberIsValid(so->next_block))
		return false;
	CHECK_FOR_INTERRUPTS();
	if (!am_block_exists(so->rel, so->chain_steps++))
		am_corrupt(so->rel, so->next_block, "A chain of list pages has no end.");
	buffer = ivf_read(so->rel, so->next_block, BUFFER_LOCK_SHARE, IVF_PAGE_LIST, so->chain_id);
	page = BufferGetPage(buffer);
	if (!ivf_list_ok(so->chain_shape, page))
		am_corrupt(so->rel, so->next_block, "The counts of a list page do not agree.");
	nrows = ivf_list_head(page)->nrows;
	memcpy(so->tids, ivf_list_tids(so->chain_shape, page), nrows * sizeof(ItemPointerData));
	so->ntids = nrows;
	so->next_tid = 0;
	drop_unqualified(so, page);
	so->next_block = ivf_list_head(page)->next;
	UnlockReleaseBuffer(buffer);
	return true;
}

/* the next row of the chain */
static bool
next_of_chain(IvfScan *so, IvfResult *result)
{
	for (;;)
	{
		while (so->next_tid < so->ntids)
		{
			int			i = so->next_tid++;

			result->tid = so->tids[i];
			result->recheck = (so->maybe[i / IVF_BLOCK_ROWS] >> i % IVF_BLOCK_ROWS & 1) != 0;
			if (ItemPointerIsValid(&result->tid))
				return true;
		}
		if (!next_chain_page(so))
			return false;
	}
}

/* the undefined come last, if all lists were read */
static void
start_undefined(IvfScan *so)
{
	so->phase = IVF_SCAN_END;
	if (!BlockNumberIsValid(so->directory->undefined_first))
		return;
	if (!so->constant && so->end_list < (int) so->directory->nlists)
		return;
	so->phase = IVF_SCAN_UNDEFINED;
	start_chain(so, &so->index->undefined, so->directory->undefined_first,
				so->directory->undefined_id);
}

/* the next row of all lists, as they lie */
static bool
next_constant(IvfScan *so, IvfResult *result)
{
	while (!next_of_chain(so, result))
	{
		IvfListRecord record;
		Size		size;

		if (so->list == so->directory->nlists)
			return false;
		memcpy(&record, ivf_list_record(so->index, so->directory, so->rel, so->list++,
										so->lists.room, &size), sizeof(record));
		start_chain(so, &so->index->list, record.first, record.id);
	}
	result->distance = so->isnull ? 0 : get_float8_nan();
	return true;
}

/*--- the scan ------------------------------------------------------------*/

/* the next row; false at the end */
static bool
next_row(IvfScan *so, IvfResult *result)
{
	switch (so->phase)
	{
		case IVF_SCAN_START:
		case IVF_SCAN_LISTS:
			if (next_of_lists(so, result))
				return true;
			/* FALLTHROUGH */
		case IVF_SCAN_LATE:
			if (so->next_late < so->late.n)
			{
				*result = so->late.rows[so->next_late++];
				return true;
			}
			start_undefined(so);
			break;
		case IVF_SCAN_CONSTANT:
			if (next_constant(so, result))
				return true;
			start_undefined(so);
			break;
		case IVF_SCAN_UNDEFINED:
		case IVF_SCAN_END:
			break;
	}
	if (so->phase != IVF_SCAN_UNDEFINED)
		return false;
	result->distance = so->isnull ? 0 : get_float8_nan();
	if (next_of_chain(so, result))
		return true;
	so->phase = IVF_SCAN_END;
	return false;
}

/*
 * ivfbeginscan
 *		Make a scan; it keeps index and directory until it ends or is rescanned.
 */
IndexScanDesc
ivfbeginscan(Relation rel, int nkeys, int norderbys)
{
	IndexScanDesc scan = RelationGetIndexScan(rel, nkeys, norderbys);
	IvfScan    *so = palloc0(sizeof(IvfScan));

	so->rel = rel;
	so->context = AllocSetContextCreate(CurrentMemoryContext, "ivfflat scan",
										ALLOCSET_SMALL_SIZES);
	so->query_context = AllocSetContextCreate(so->context, "ivfflat query",
											  ALLOCSET_DEFAULT_SIZES);
	so->pass_context = AllocSetContextCreate(so->context, "ivfflat pass",
											 ALLOCSET_DEFAULT_SIZES);
	so->phase = IVF_SCAN_END;
	scan->opaque = so;
	if (norderbys > 0)
	{
		scan->xs_orderbyvals = palloc0(mul_size(norderbys, sizeof(Datum)));
		scan->xs_orderbynulls = palloc0(mul_size(norderbys, sizeof(bool)));
		memset(scan->xs_orderbynulls, true, norderbys * sizeof(bool));
	}
	return scan;
}

/*
 * ivfrescan
 *		A new value to search for.
 *
 * Nothing is read before the first row is asked for, so that a node of a plan
 * that is never executed costs nothing.
 */
void
ivfrescan(IndexScanDesc scan, ScanKey keys, int nkeys, ScanKey orderbys, int norderbys)
{
	IvfScan    *so = (IvfScan *) scan->opaque;
	IvfScan		fresh = {0};

	if (keys != NULL && scan->numberOfKeys > 0)
		memmove(scan->keyData, keys, scan->numberOfKeys * sizeof(ScanKeyData));
	if (orderbys != NULL && scan->numberOfOrderBys > 0)
		memmove(scan->orderByData, orderbys, scan->numberOfOrderBys * sizeof(ScanKeyData));

	MemoryContextReset(so->query_context);
	MemoryContextReset(so->pass_context);
	fresh.rel = so->rel;
	fresh.context = so->context;
	fresh.query_context = so->query_context;
	fresh.pass_context = so->pass_context;
	fresh.pages = so->pages;
	fresh.page_room = so->page_room;
	fresh.ready.rows = so->ready.rows;
	fresh.ready.room = so->ready.room;
	fresh.late.rows = so->late.rows;
	fresh.late.room = so->late.room;
	fresh.phase = IVF_SCAN_START;
	*so = fresh;
}

/* lists that the first stage reads, by the settings */
static int
first_probes(const IvfDirectory *directory)
{
	if (ivf_probes > 0)
		return ivf_probes;
	return (int) ceil(sqrt((double) directory->nlists));
}

/* and as many times more as a plan node above asks for; rows it has enough of */
static int
more_probes(const IvfScan *so, int probes)
{
	int64		more = (int64) probes * am_scan_effort.times;

	if (so->mode == IVF_ITERATIVE_OFF)
		return probes;
	return (int) Min(Max(more, probes), so->max_lists);
}

/* the query against codes: of centroids, and of rows */
static void
set_queries(IvfScan *so)
{
	const IvfIndex *index = so->index;
	ListQuantizer quantizer = (ListQuantizer) index->params.quantizer;

	so->list_query = list_query_init(index->model, quantizer,
									 palloc(list_query_size(index->model, quantizer)));
	list_query_set(so->list_query, so->query.floats);
	so->floats = palloc(sizeof(float) * index->params.dim);
	index->metric->type->to_floats(so->query.plain, so->floats);
	so->norm = refine_query_norm(so->floats, index->params.dim);
}

/* the query in all the forms distances need */
static void
set_query(IvfScan *so)
{
	const IvfIndex *index = so->index;
	const VecTypeOps *type = index->metric->type;
	struct varlena *plain;
	int			dim;

	if (so->isnull)
		return;
	plain = type->plain(so->value);
	dim = type->dim(plain);
	if (dim != index->params.dim)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("different %s %s %d and %d", type->name, type->extent,
						index->params.dim, dim)));
	ivf_value(index, PointerGetDatum(plain), &so->query);
	if (index->params.space == IVF_SPACE_FLOAT)
		set_queries(so);
}

/* memory for passes; which bound of codes they use */
static void
set_passes(IvfScan *so)
{
	const IvfShape *shape = &so->index->list;
	const IvfParams *params = &so->index->params;
	int			probes = first_probes(so->directory);

	so->max_lists = (int) Min((uint32) Max(ivf_max_probes, probes), so->directory->nlists);
	if (so->mode == IVF_ITERATIVE_OFF)
		so->max_lists = Min(so->max_lists, probes);
	probes = more_probes(so, probes);

	/* exact: bounds that always hold rule out little; records lie in a row */
	so->codes = params->quantizer != LIST_NONE &&
		(params->record_size == 0 || probes < (int) so->directory->nlists);
	so->recheck = params->quantizer != LIST_NONE && params->refine != REFINE_FULL;
	so->epsilon = params->refine == REFINE_HEAP ? LIST_RIGOROUS : ROW_EPSILON;
	so->most = (int) Min(Max(so->memory / (4 * sizeof(IvfFound)), 64), INT_MAX / 4);
	set_keep(so, FIRST_KEEP);
	if (so->mode != IVF_ITERATIVE_OFF && (so->filter != NULL || so->restriction != NULL))
		so->selective = true;
	so->record = palloc(MAXALIGN(shape->record_size + 1));
	if (so->codes && !shape->inline_blocks)
		so->block = palloc(shape->block_bytes);
	so->phase = IVF_SCAN_LISTS;
	start_stage(so, probes);
}

/* conditions on filter columns; memory for which rows qualify */
static void
set_filter(IndexScanDesc scan, IvfScan *so)
{
	int			rows = Max(so->index->list.rows, so->index->undefined.rows);
	int			blocks = rows / IVF_BLOCK_ROWS + 1;

	so->tids = palloc(sizeof(ItemPointerData) * rows);
	so->pass = palloc(sizeof(uint32) * blocks);
	so->maybe = palloc(sizeof(uint32) * blocks);
	if (scan->numberOfKeys == 0)
		return;
	so->filter = filter_query(so->index->filters, scan->keyData, scan->numberOfKeys,
							  CurrentMemoryContext);
	if (so->filter->ntests == 0 && !so->filter->never)
		so->filter = NULL;
}

/* take settings and value, open the index */
static void
start_scan(IndexScanDesc scan, IvfScan *so)
{
	ScanKey		key = scan->orderByData;
	double		memory = work_mem * 1024.0 * ivf_scan_mem_multiplier;
	MemoryContext old;

	if (scan->numberOfOrderBys != 1 || key->sk_attno != 1)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot scan ivfflat index without one ORDER BY")));
	if (scan->xs_snapshot != NULL && !IsMVCCSnapshot(scan->xs_snapshot))
		elog(ERROR, "non-MVCC snapshots are not supported with ivfflat");

	pgstat_count_index_scan(so->rel);
	index_scan_count_compat(scan);

	so->mode = (IvfIterativeScan) ivf_iterative_scan;
	so->memory = (Size) Min(memory, (double) MaxAllocHugeSize / 2);
	so->value = key->sk_argument;
	so->isnull = (key->sk_flags & SK_ISNULL) != 0;

	so->blocks_read = ivf_blocks_read();
	old = MemoryContextSwitchTo(so->query_context);
	so->index = ivf_open(so->rel, &so->directory);	/* pinned by the context */
	am_make_buffers(&so->index->cached, &so->index->buffers, so->rel);
	set_filter(scan, so);
	set_query(so);
	so->constant = so->isnull || !so->query.defined;
	ivf_lists_init(&so->lists, so->index, so->directory, so->rel, so->list_query, so->query.plain,
				   true);
	if (so->filter != NULL && so->filter->never)
		so->phase = IVF_SCAN_END;
	else if (so->constant)
	{
		so->phase = IVF_SCAN_CONSTANT;
		so->next_block = InvalidBlockNumber;
	}
	else
		set_passes(so);
	MemoryContextSwitchTo(old);
}

/*
 * ivfgettuple
 *		The next row, and what it is ordered by.
 *
 * Raises 22000 for a value of other dimensions, XX002 for damaged pages, on a
 * standby 40001 if the primary has recycled a page.
 */
bool
ivfgettuple(IndexScanDesc scan, ScanDirection dir)
{
	IvfScan    *so = (IvfScan *) scan->opaque;
	Oid			types[1] = {FLOAT8OID};
	IndexOrderByDistance distance;
	IvfResult	result = {0};

	Assert(ScanDirectionIsForward(dir));

	if (so->phase == IVF_SCAN_START)
		start_scan(scan, so);
	if (!next_row(so, &result))
		return false;
	so->last = result;
	so->has_last = true;

	scan->xs_heaptid = result.tid;
	if (!am_block_exists(scan->heapRelation, ItemPointerGetBlockNumber(&scan->xs_heaptid)))
		am_corrupt(so->rel, InvalidBlockNumber, "A row is not in the table.");
	scan->xs_recheck = result.recheck;
	distance.value = result.distance;
	distance.isnull = false;
	index_store_float8_orderby_distances(scan, types, &distance, so->recheck);
	return true;
}

/*
 * ivf_restrict
 *		Let the scan about to start return only rows of a set; NULL: all rows.
 */
void
ivf_restrict(IndexScanDesc scan, AmRestriction *restriction)
{
	((IvfScan *) scan->opaque)->restriction = restriction;
}

/*
 * ivfendscan
 *		End a scan.
 */
void
ivfendscan(IndexScanDesc scan)
{
	IvfScan    *so = (IvfScan *) scan->opaque;

	MemoryContextDelete(so->context);
	pfree(so);
	scan->opaque = NULL;
}
