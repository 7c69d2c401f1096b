/*-------------------------------------------------------------------------
 *
 * hnswscan.c
 *	  Index scans as the server sees them: rows in the order of their distance to
 *	  one value.
 *
 * hnswbatch.c searches, hnswfound.c puts in order; here nodes become rows.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <math.h>

#include "access/heapam.h"
#include "access/relscan.h"
#include "am/am_scan.h"
#include "catalog/pg_type.h"
#include "hnsw/hnswscan.h"
#include "pgstat.h"
#include "utils/float.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* most candidates a scan begins with, whatever is asked of it */
#define MAX_EFFORT		100000

/* load the rows of the next node that still has some; false at the end */
static bool
next_rows(HnswScan *so)
{
	HnswFound	found;
	bool		same;

	so->next_tid = 0;
	so->tids.n = 0;
	so->tids.query = so->restricted ? so->query : NULL;
	while (hnsw_scan_next(so, &found))
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
	hnsw_scan_prepare(so, so->restricted ? 1 : hnsw_scan_beam(so, so->ef));
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
