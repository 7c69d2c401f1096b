/*-------------------------------------------------------------------------
 *
 * hnswscan.c
 *	  Index scans: rows in the order of their distance to one value.
 *
 * A scan works in batches.  The first is one search of the graph, and returns
 * the nearest three quarters of hnsw.ef_search nodes.  If the executor asks for
 * more, a search twice as wide follows, of which two thirds are returned, less
 * those that were; it goes on from the last one where that kept candidates
 * enough.  When a search would cost more than to read all nodes, or the graph
 * gives nothing new, the sweep (hnswsweep.c) returns all that is left.
 *
 * Under strict_order a row that is found when a farther one was returned
 * already is put off to the very end: a row out of place is better than one
 * that is missing.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <float.h>
#include <math.h>

#include "access/heapam.h"
#include "access/relscan.h"
#include "am/am_scan.h"
#include "catalog/pg_type.h"
#include "hnsw/hnswbatch.h"
#include "hnsw/hnswscan.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/float.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/*
 * Results are refined in the order of their codes and only as far as rows are
 * asked for: FIRST_REFINED at first, and so many more, at least, when that did not
 * do.  A row is returned when it is nearer than the next code says, less this
 * many times the root mean square of what codes were wrong by.
 */
#define MORE_REFINED	4
#define CODE_ERRORS		4

/* where distances are lower bounds, rows are returned of so many refined */
#define RETURNED_OF_REFINED(n)	(((n) - 4) / 2)

/* most candidates a scan begins with, whatever is asked of it */
#define MAX_EFFORT		100000

/* refine records fetched ahead */
#define RECORDS_AHEAD	2

#define SH_PREFIX		hnsw_seen
#define SH_ELEMENT_TYPE	HnswSeen
#define SH_KEY_TYPE		uint64
#define SH_KEY			key
#define SH_HASH_KEY(table, key)	((uint32) ((key) * UINT64CONST(0x9E3779B97F4A7C15) >> 32))
#define SH_EQUAL(table, a, b)	((a) == (b))
#define SH_SCOPE		static inline
#define SH_DEFINE
#define SH_DECLARE
#include "lib/simplehash.h"

#define ST_SORT			sort_found
#define ST_ELEMENT_TYPE	HnswFound
#define ST_COMPARE(a, b)	hnsw_found_cmp(a, b)
#define ST_SCOPE		static
#define ST_DEFINE
#include "lib/sort_template.h"

/*
 * hnsw_scan_sort
 *		Sort a batch, nearest first.
 */
void
hnsw_scan_sort(HnswFound *found, int n)
{
	sort_found(found, (size_t) n);
}

/*
 * hnsw_scan_room
 *		Make room for n nodes in the batch, in the scan's context.
 */
void
hnsw_scan_room(HnswScan *so, int n)
{
	int			room;

	if (n <= so->max_found)
		return;
	room = Max(n, Max(64, so->max_found + so->max_found / 2));
	if (so->found == NULL)
		so->found = MemoryContextAllocHuge(so->context, mul_size(room, sizeof(HnswFound)));
	else
		so->found = repalloc_huge(so->found, mul_size(room, sizeof(HnswFound)));
	so->max_found = room;
}

/*
 * hnsw_scan_seen
 *		Did an earlier search return this node?
 */
bool
hnsw_scan_seen(HnswScan *so, const HnswFound *found)
{
	HnswSeen   *seen;

	if (so->seen == NULL)
		return false;
	seen = hnsw_seen_lookup(so->seen, HnswSeenKey(found));
	return seen != NULL && seen->returned;
}

/*
 * hnsw_scan_distance
 *		What a node is ordered by: the operator's distance, or a lower bound of
 *		it if so->recheck.
 */
double
hnsw_scan_distance(HnswScan *so, uint32 node)
{
	RefineResult result;

	if (so->isnull)
		return 0;
	if (so->constant)
		return get_float8_nan();
	result = hnsw_refine(so->query, node);
	return so->recheck ? result.bound : result.distance;
}

/* note that a node was refined; false if it was before */
static bool
remember_refined(HnswScan *so, const HnswFound *node)
{
	HnswSeen   *seen;
	bool		found;

	seen = hnsw_seen_insert(so->seen, HnswSeenKey(node), &found);
	if (!found)
		seen->returned = false;
	return !found;
}

/* remember what the last batch returned, and keep what it did not */
static void
remember_batch(HnswScan *so)
{
	if (so->seen == NULL)
	{
		so->seen = hnsw_seen_create(so->query_context, (uint32) so->nfound + 64, NULL);
		for (int i = 0; i < so->nfound; i++)
			remember_refined(so, &so->found[i]);
	}
	for (int i = 0; i < so->next; i++)
		hnsw_seen_lookup(so->seen, HnswSeenKey(&so->found[i]))->returned = true;
	so->nfound -= so->next;
	if (so->nfound > 0)			/* else there may be no array */
		memmove(so->found, so->found + so->next, so->nfound * sizeof(HnswFound));
	so->next = 0;
	so->nready = 0;
}

/*
 * A query with memory for searches of this beam.  What it had before is left
 * to the context: each is at least twice the last, so that is not more.
 */
static void
prepare_query(HnswScan *so, int beam)
{
	MemoryContext old;

	if (so->query != NULL && so->query_beam >= beam)
		return;
	old = MemoryContextSwitchTo(so->query_context);
	if (so->query != NULL)
		hnsw_search_memory(&so->query->search, beam, beam);
	else
		so->query = hnsw_query(so->index, so->rel, so->value, so->isnull, beam, beam);
	so->query_beam = beam;
	MemoryContextSwitchTo(old);
}

/* what a code was wrong by, in nav units */
static void
note_code_error(HnswScan *so, double distance, float by_code)
{
	double		error;

	if (so->recheck || so->index->model == NULL)
		return;
	error = quant_from_sql(so->index->model, distance) - by_code;
	if (isfinite(error))
	{
		so->code_errors += error * error;
		so->ncode_errors++;
	}
}

/*
 * Refine results up to the n-th and put them into their places behind those
 * that were returned.  What is nearer than the last returned is left for the
 * late phase, unless order is relaxed.
 */
static void
refine_results(HnswScan *so, int n)
{
	const SearchResult *results = so->results;

	n = Min(n, so->nresults);
	hnsw_scan_room(so, so->nfound + n - so->nrefined);
	for (int i = so->nrefined; i < Min(n, so->nrefined + RECORDS_AHEAD); i++)
		hnsw_prefetch_record(so->query, results[i].id);
	for (; so->nrefined < n; so->nrefined++)
	{
		HnswFound  *found = &so->found[so->nfound];

		found->node = results[so->nrefined].id;
		found->generation = results[so->nrefined].generation;
		if (so->nrefined + RECORDS_AHEAD < n)
			hnsw_prefetch_record(so->query, results[so->nrefined + RECORDS_AHEAD].id);
		if (so->seen != NULL && !remember_refined(so, found))
			continue;
		found->distance = hnsw_scan_distance(so, found->node);
		so->ndistances++;
		hnsw_prefetch_row(so->index, results[so->nrefined].tid);
		note_code_error(so, found->distance, results[so->nrefined].distance);
		if (so->mode != HNSW_ITERATIVE_RELAXED && so->has_last &&
			hnsw_found_cmp(found, &so->last) < 0)
			continue;
		so->nfound++;
	}
	hnsw_scan_sort(so->found + so->next, so->nfound - so->next);
}

/*
 * No unrefined result of the search is expected to be nearer than this, in SQL
 * units.
 */
static double
next_distance(const HnswScan *so)
{
	const QuantModel *model = so->index->model;
	double		next = so->results[so->nrefined].distance;

	if (model == NULL)
		return next - fabs(next) * FLT_EPSILON;
	if (so->ncode_errors > 0)
		next -= CODE_ERRORS * sqrt(so->code_errors / so->ncode_errors);
	return quant_to_sql(model, (float) next);
}

/* how many of the batch are surely in their places, as far as codes can tell? */
static void
set_ready(HnswScan *so)
{
	int64		most = so->next + so->target - so->returned;
	double		next;

	so->nready = (int) Min(so->nfound, most);
	if (so->nrefined >= so->nresults)
		return;

	next = next_distance(so);
	if (so->recheck)
		so->nready = Min(so->nready, RETURNED_OF_REFINED(so->nrefined));
	while (so->nready > so->next && !(so->found[so->nready - 1].distance <= next))
		so->nready--;
}

static int
beam_for(const HnswScan *so, int ef)
{
	return hnsw_beam(so->index->layout.ngroups > 0, ef);
}

static bool
search_fits(const HnswScan *so, int ef)
{
	int			beam = beam_for(so, ef);

	return search_size(beam, beam) <= so->memory;
}

/* how far shall a search be able to go on that begins with so->reach? */
static int
widest_search(const HnswScan *so)
{
	int			widest = so->reach;

	if (so->seen == NULL)
		return widest;
	while (widest < so->reach * GO_ON && search_fits(so, widest * WIDER))
		widest *= WIDER;
	return widest;
}

/*
 * hnsw_scan_refine_batch
 *		The first of the results of a search refined, in order.
 */
void
hnsw_scan_refine_batch(HnswScan *so)
{
	int			most = FIRST_REFINED * (so->recheck ? 2 : 1);

	so->nrefined = 0;
	if (so->seen != NULL)
		most = so->recheck ? so->nresults : so->target + so->target / 8;
	refine_results(so, most);
	set_ready(so);
}

/*
 * Search as far as ef_search = so->reach does, from where the last search is if
 * it can go on so far; the first of the results refined, in order.
 */
static void
search_batch(HnswScan *so)
{
	GraphSearch *search;
	int			beam = beam_for(so, so->reach);

	if (so->reach > so->widest)
	{
		int			widest;

		so->widest = widest_search(so);
		widest = beam_for(so, so->widest);
		prepare_query(so, widest);
		hnsw_search_start(so->query, widest, widest);
	}
	hnsw_search_run(so->query, beam);
	search = &so->query->search;
	so->examined = search->nexpanded;
	so->exhausted = search->ncandidates < beam || search->full;
	so->results = search->results;
	so->nresults = search->nresults;
	hnsw_scan_refine_batch(so);
}

/* would the next search cost more than to read everything, or too much memory? */
static bool
sweep_is_cheaper(const HnswScan *so)
{
	const HnswIndex *index = so->index;
	double		record = index->params.refine_size > 0 ? index->params.refine_size :
		index->layout.code_size;
	double		sweep = hnsw_node_limit(index) * (HEAD_BYTES + record);
	double		search = (double) so->reach * (HNSW_EXPAND_BYTES + index->layout.size + record);

	return search * SWEEP_TIMES > sweep || !search_fits(so, so->reach);
}

/*
 * hnsw_scan_start_sweep
 *		Start the sweep: under strict_order behind the last returned, else with
 *		all.
 */
void
hnsw_scan_start_sweep(HnswScan *so)
{
	so->phase = HNSW_SCAN_SWEEP;
	prepare_query(so, 1);
	if (so->mode == HNSW_ITERATIVE_STRICT)
	{
		so->bound = so->last;
		so->has_bound = so->has_last;
	}
	else
		so->has_last = false;
	hnsw_sweep(so);
}

/* first batch */
static void
start_batches(HnswScan *so)
{
	so->reach = so->ef;
	so->target = RETURNED_FIRST(so->ef);
	if (so->mode == HNSW_ITERATIVE_OFF)
	{
		so->target = so->ef;
		so->max_tuples = so->ef;
	}
	if (so->constant ||
		hnsw_node_limit(so->index) / SMALL_SHARE <= (uint32) beam_for(so, so->ef))
	{
		hnsw_scan_start_sweep(so);
		return;
	}
	so->phase = HNSW_SCAN_SEARCH;
	if (so->restricted)
	{
		so->target = hnsw_restricted_first(so);
		hnsw_restricted_batch(so);
		return;
	}
	search_batch(so);

	/* there is no other batch: fill this one */
	for (int i = 0; i < 3 && so->mode == HNSW_ITERATIVE_OFF && so->nresults < so->ef &&
		 !so->exhausted; i++)
	{
		so->reach *= 2;
		so->nfound = 0;
		search_batch(so);
	}
}

/* the batch after a search */
static void
after_search(HnswScan *so)
{
	if (so->nrefined < so->nresults && so->returned < so->target)
	{
		refine_results(so, so->nrefined + Max(MORE_REFINED, so->nrefined / 4));
		set_ready(so);
		return;
	}
	if (so->mode == HNSW_ITERATIVE_OFF)
	{
		so->phase = HNSW_SCAN_END;
		return;
	}
	if (so->restricted)
	{
		remember_batch(so);
		so->target = so->target > INT_MAX / 4 ? INT_MAX / 2 : so->target * 2;
		hnsw_restricted_batch(so);
		return;
	}
	if (so->examined >= so->max_tuples || so->returned >= so->max_tuples)
	{
		/* no more work; what the last search found is still good */
		refine_results(so, so->nresults);
		so->nready = so->nfound;
		so->phase = HNSW_SCAN_END;
		return;
	}

	remember_batch(so);
	so->reach = so->reach > INT_MAX / 8 ? INT_MAX / 4 : so->reach * WIDER;
	so->target = RETURNED_LATER(so->reach);
	if (so->exhausted || sweep_is_cheaper(so))
		hnsw_scan_start_sweep(so);
	else
		search_batch(so);
}

/* the batch after a pass of the sweep */
static void
after_sweep(HnswScan *so)
{
	if (so->nready < so->nfound)
		hnsw_sweep_sort(so);
	else if (so->mode == HNSW_ITERATIVE_OFF ||
			 (!so->constant && so->returned >= so->max_tuples))
		so->phase = HNSW_SCAN_END;
	else if (!so->complete)
		hnsw_sweep(so);
	else if (so->phase == HNSW_SCAN_SWEEP && so->has_bound)
	{
		so->phase = HNSW_SCAN_LATE;
		so->has_last = false;
		hnsw_sweep(so);
	}
	else
		so->phase = HNSW_SCAN_END;
}

/* the next node in order; false at the end of the scan */
static bool
next_node(HnswScan *so, HnswFound *found)
{
	while (so->next >= so->nready)
	{
		CHECK_FOR_INTERRUPTS();
		switch (so->phase)
		{
			case HNSW_SCAN_START:
				start_batches(so);
				break;
			case HNSW_SCAN_SEARCH:
				after_search(so);
				break;
			case HNSW_SCAN_SWEEP:
			case HNSW_SCAN_LATE:
				after_sweep(so);
				break;
			case HNSW_SCAN_END:
				return false;
		}
	}
	*found = so->found[so->next++];
	so->last = *found;
	so->has_last = true;
	so->returned++;
	return true;
}

/* load the rows of the next node that still has some; false at the end */
static bool
next_rows(HnswScan *so)
{
	HnswFound	found;
	bool		same;

	so->next_tid = 0;
	so->tids.n = 0;
	so->tids.query = so->restricted ? so->query : NULL;
	while (next_node(so, &found))
	{
		MemoryContext old;

		MemoryContextReset(so->row_context);
		old = MemoryContextSwitchTo(so->row_context);
		/* the refine bytes were read before: now LIVE and the generation (H3) */
		same = hnsw_node_rows(so->rel, so->index, found.node, found.generation, &so->tids);
		MemoryContextSwitchTo(old);
		if (same && so->tids.n > 0)
			return true;
		so->tids.n = 0;
	}
	return false;
}

/*
 * hnswbeginscan
 *		Make a scan; it keeps the index open until it ends.
 */
IndexScanDesc
hnswbeginscan(Relation rel, int nkeys, int norderbys)
{
	IndexScanDesc scan = RelationGetIndexScan(rel, nkeys, norderbys);
	HnswScan   *so = palloc0(sizeof(HnswScan));

	so->rel = rel;
	so->context = AllocSetContextCreate(CurrentMemoryContext, "hnsw scan",
										ALLOCSET_SMALL_SIZES);
	so->query_context = AllocSetContextCreate(so->context, "hnsw query",
											  ALLOCSET_DEFAULT_SIZES);
	so->row_context = AllocSetContextCreate(so->context, "hnsw rows",
											ALLOCSET_SMALL_SIZES);
	so->phase = HNSW_SCAN_END;
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
 * hnswrescan
 *		A new value to search for.  Memory of the batch is used again.
 *
 * Nothing is read before the first row is asked for, so that a node of a plan
 * that is never executed costs nothing.
 */
void
hnswrescan(IndexScanDesc scan, ScanKey keys, int nkeys, ScanKey orderbys, int norderbys)
{
	HnswScan   *so = (HnswScan *) scan->opaque;
	HnswScan	fresh = {0};

	if (keys != NULL && scan->numberOfKeys > 0)
		memmove(scan->keyData, keys, scan->numberOfKeys * sizeof(ScanKeyData));
	if (orderbys != NULL && scan->numberOfOrderBys > 0)
		memmove(scan->orderByData, orderbys, scan->numberOfOrderBys * sizeof(ScanKeyData));

	MemoryContextReset(so->query_context);
	MemoryContextReset(so->row_context);
	fresh.rel = so->rel;
	fresh.index = so->index;
	fresh.context = so->context;
	fresh.query_context = so->query_context;
	fresh.row_context = so->row_context;
	fresh.found = so->found;
	fresh.max_found = so->max_found;
	fresh.phase = HNSW_SCAN_START;
	*so = fresh;
}

static bool
is_heap(Relation rel)
{
	return rel->rd_tableam == GetHeapamTableAmRoutine();
}

/* where was the row that the executor read last?  Only to fetch ahead. */
static void
remember_row(IndexScanDesc scan, HnswIndex *index)
{
	const IndexFetchHeapData *fetch = (const IndexFetchHeapData *) scan->xs_heapfetch;

	if (fetch != NULL && index->rows.last != NULL && is_heap(scan->heapRelation) &&
		BufferIsValid(fetch->xs_cbuf))
		am_remember_buffer(&index->rows, BufferGetBlockNumber(fetch->xs_cbuf), fetch->xs_cbuf);
}

/* the conditions on filter columns, if there are any */
static void
set_filter(IndexScanDesc scan, HnswScan *so)
{
	if (scan->numberOfKeys == 0)
		return;
	so->filter = filter_query(so->index->filters, scan->keyData, scan->numberOfKeys,
							  so->query_context);
	if (so->filter->ntests == 0 && !so->filter->never)
		so->filter = NULL;
}

/* take settings and value, open the index */
static void
start_scan(IndexScanDesc scan, HnswScan *so)
{
	ScanKey		key = scan->orderByData;
	double		memory = work_mem * 1024.0 * hnsw_scan_mem_multiplier;

	if (scan->numberOfOrderBys != 1 || key->sk_attno != 1)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot scan hnsw index without one ORDER BY")));
	if (scan->xs_snapshot != NULL && !IsMVCCSnapshot(scan->xs_snapshot))
		elog(ERROR, "non-MVCC snapshots are not supported with hnsw");

	pgstat_count_index_scan(so->rel);
	index_scan_count_compat(scan);

	so->mode = (HnswIterativeScan) hnsw_iterative_scan;
	so->ef = hnsw_ef_search;
	if (so->mode != HNSW_ITERATIVE_OFF)
		so->ef = Min(Max(so->ef * am_scan_effort.times, am_scan_effort.at_least), MAX_EFFORT);
	so->max_tuples = hnsw_max_scan_tuples;
	so->memory = (Size) Min(memory / 2, (double) MaxAllocHugeSize / 2);
	so->value = key->sk_argument;
	so->isnull = (key->sk_flags & SK_ISNULL) != 0;

	if (so->index == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(so->context);

		so->index = hnsw_open(so->rel);	/* pinned by the context */
		MemoryContextSwitchTo(old);
	}
	else
		hnsw_refresh(so->index, so->rel);
	if (is_heap(scan->heapRelation))
		am_make_buffers(&so->index->cached, &so->index->rows, scan->heapRelation);
	set_filter(scan, so);
	so->restricted = so->rows != NULL || so->filter != NULL;
	prepare_query(so, so->restricted ? 1 : beam_for(so, so->ef));
	so->query->rows = so->rows;
	so->query->filter = so->filter;
	if (so->filter != NULL && so->filter->never)
		so->phase = HNSW_SCAN_END;
	so->constant = so->isnull || !so->index->metric->is_defined(so->query->plain);
	so->recheck = !so->constant && so->index->params.codec == HNSW_CODEC_COMPACT &&
		so->index->params.refine != REFINE_FULL;
}

/*
 * hnswgettuple
 *		The next row, and what it is ordered by.
 *
 * Raises 22000 for a value of other dimensions, XX002 for damaged pages.
 */
bool
hnswgettuple(IndexScanDesc scan, ScanDirection dir)
{
	HnswScan   *so = (HnswScan *) scan->opaque;
	Oid			types[1] = {FLOAT8OID};
	IndexOrderByDistance distance;

	Assert(ScanDirectionIsForward(dir));

	if (so->phase == HNSW_SCAN_START && so->query == NULL)
		start_scan(scan, so);
	else
		remember_row(scan, so->index);
	if (so->next_tid >= so->tids.n)
	{
		bool		more = next_rows(so);

		if (so->restricted)
			hnsw_restricted_count(so);
		if (!more)
			return false;
	}

	scan->xs_heaptid = so->tids.tids[so->next_tid++];
	if (!ItemPointerIsValid(&scan->xs_heaptid) ||
		!am_block_exists(scan->heapRelation, ItemPointerGetBlockNumber(&scan->xs_heaptid)))
		hnsw_corrupt(so->rel, InvalidBlockNumber, "A row is not in the table.");
	scan->xs_recheck = so->tids.recheck;
	distance.value = so->last.distance;
	distance.isnull = false;
	index_store_float8_orderby_distances(scan, types, &distance, so->recheck);
	return true;
}

/*
 * hnswendscan
 *		End a scan.
 */
void
hnswendscan(IndexScanDesc scan)
{
	HnswScan   *so = (HnswScan *) scan->opaque;

	MemoryContextDelete(so->context);
	pfree(so);
	scan->opaque = NULL;
}
