/*-------------------------------------------------------------------------
 *
 * topk_scan.c
 *	  Executor of VectorTopK: one pass over the table that keeps the k nearest
 *	  rows, then fetches these.
 *
 * What is gained over Sort on SeqScan is what happens per row that is not kept:
 * no slot, no projection, no datum handed to a sort, one comparison.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/parallel.h"
#include "access/relscan.h"
#include "access/tableam.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "planner/topk.h"
#include "planner/topk_rows.h"
#include "storage/bufmgr.h"
#include "storage/shmem.h"
#include "utils/rel.h"

#define CACHE_LINE 64

/* how far to look ahead: more than memory's latency, less than the L1 cache */
#define BYTES_AHEAD 4096
#define MAX_ROWS_AHEAD 8

/* of a row that the filter is likely to drop */
#define FILTER_BYTES 128

/* what the prefetching of one scan remembers */
typedef struct TopkPrefetch
{
	int			bytes;			/* of a row to ask for, at most */
	const char *page;			/* the last one seen */
	bool		consecutive;	/* did it follow its predecessor in memory? */
	int			rows_ahead;
} TopkPrefetch;

typedef struct TopkScanState
{
	CustomScanState css;
	TopkRows	rows;
	bool		done;			/* has the table been scanned? */
} TopkScanState;

/* hint at a stretch of memory, which need not exist */
static inline void
prefetch_memory(const char *start, int length)
{
	for (int offset = 0; offset < length; offset += CACHE_LINE)
		__builtin_prefetch(start + offset);
}

/* hint at the nth visible tuple of the page */
static inline void
prefetch_tuple(HeapScanDesc scan, const TopkPrefetch *prefetch, int n)
{
	ItemId		item = PageGetItemId(unconstify(char *, prefetch->page), scan->rs_vistuples[n]);

	prefetch_memory(prefetch->page + ItemIdGetOffset(item),
					Min((int) ItemIdGetLength(item), prefetch->bytes));
}

/* on the first tuple of a page */
static inline void
prefetch_begin_page(HeapScanDesc scan, TopkPrefetch *prefetch, const char *page)
{
	int			rows = BYTES_AHEAD / (int) scan->rs_ctup.t_len;

	prefetch->consecutive = page == prefetch->page + BLCKSZ;
	prefetch->page = page;
	prefetch->rows_ahead = Max(1, Min(rows, MAX_ROWS_AHEAD));
	if (prefetch->consecutive)
		return;					/* done before */
	rows = Min(prefetch->rows_ahead, (int) (scan->rs_ntuples - scan->rs_cindex));
	for (int i = 1; i < rows; i++)
		prefetch_tuple(scan, prefetch, scan->rs_cindex + i);
}

/*
 * Hint at what the scan will read some rows after its current tuple.
 *
 * A page holds its rows from the end downwards, each of them upwards, a pattern
 * that hardware does not foresee, and the work on a row is done before memory
 * answers.  Where the page followed its predecessor in the buffer pool, the
 * next one is taken to do so too, and to hold rows of the same length.
 */
static inline void
prefetch_ahead(HeapScanDesc scan, TopkPrefetch *prefetch)
{
	const char *page = BufferGetPage(scan->rs_cbuf);
	int			length = (int) scan->rs_ctup.t_len;
	int			n;				/* row of the next page */

	if ((scan->rs_base.rs_flags & SO_ALLOW_PAGEMODE) == 0)
		return;					/* rs_vistuples is not set */
	if (page != prefetch->page)
		prefetch_begin_page(scan, prefetch, page);

	n = (int) scan->rs_cindex + prefetch->rows_ahead - (int) scan->rs_ntuples;
	if (n < 0)
		prefetch_tuple(scan, prefetch, scan->rs_cindex + prefetch->rows_ahead);
	else if (prefetch->consecutive)
	{
		if (n == 0)
			prefetch_memory(page + BLCKSZ, 2 * CACHE_LINE);
		prefetch_memory(page + 2 * BLCKSZ - (n + 1) * length, Min(length, prefetch->bytes));
	}
}

/* every visible row */
static void
scan_all(TopkScanState *state, TableScanDesc scan)
{
	MemoryContext per_tuple = state->css.ss.ps.ps_ExprContext->ecxt_per_tuple_memory;
	TupleDesc	desc = RelationGetDescr(scan->rs_rd);
	TopkPrefetch prefetch = {.bytes = BYTES_AHEAD};
	HeapTuple	tuple;

	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		bool		isnull;
		Datum		vector;

		CHECK_FOR_INTERRUPTS();
		prefetch_ahead((HeapScanDesc) scan, &prefetch);
		vector = heap_getattr(tuple, state->rows.column, desc, &isnull);
		topk_rows_offer(&state->rows, vector, isnull, &tuple->t_self, per_tuple);
		MemoryContextReset(per_tuple);
	}
}

/* the visible rows that pass the filter */
static void
scan_filtered(TopkScanState *state, TableScanDesc scan)
{
	ScanState  *node = &state->css.ss;
	ExprContext *econtext = node->ps.ps_ExprContext;
	TupleTableSlot *slot = node->ss_ScanTupleSlot;
	TopkPrefetch prefetch = {.bytes = FILTER_BYTES};

	econtext->ecxt_scantuple = slot;
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		bool		isnull;
		Datum		vector;

		CHECK_FOR_INTERRUPTS();
		prefetch_ahead((HeapScanDesc) scan, &prefetch);
		ResetExprContext(econtext);
		if (!ExecQual(node->ps.qual, econtext))
		{
			InstrCountFiltered1(node, 1);
			prefetch.bytes = FILTER_BYTES;
			continue;
		}
		prefetch.bytes = BYTES_AHEAD;	/* as many rows as pass will be asked for whole */
		vector = slot_getattr(slot, state->rows.column, &isnull);
		topk_rows_offer(&state->rows, vector, isnull, &slot->tts_tid,
						econtext->ecxt_per_tuple_memory);
	}
	ExecClearTuple(slot);
	ResetExprContext(econtext);
}

/* find the rows to return */
static void
compute(TopkScanState *state)
{
	ScanState  *node = &state->css.ss;

	/* parallel scans were begun when shared memory was set up */
	if (node->ss_currentScanDesc == NULL)
		node->ss_currentScanDesc = table_beginscan(node->ss_currentRelation,
												   node->ps.state->es_snapshot, 0, NULL);
	topk_rows_start(&state->rows, node->ps.ps_ExprContext);
	if (node->ps.qual != NULL)
		scan_filtered(state, node->ss_currentScanDesc);
	else
		scan_all(state, node->ss_currentScanDesc);
	topk_rows_finish(&state->rows);
	state->done = true;
}

static TupleTableSlot *
topk_exec(CustomScanState *css)
{
	TopkScanState *state = (TopkScanState *) css;
	TupleTableSlot *slot;

	if (!state->done)
		compute(state);
	slot = topk_rows_next(&state->rows, &css->ss);
	return TupIsNull(slot) ? topk_end_of_scan(&css->ss) : slot;
}

static void
topk_rescan(CustomScanState *css)
{
	TopkScanState *state = (TopkScanState *) css;
	TableScanDesc scan = css->ss.ss_currentScanDesc;

	ExecScanReScan(&css->ss);
	state->rows.next = 0;
	/* the same parameters give the same rows; a parallel scan starts afresh */
	if (css->ss.ps.chgParam == NULL && !css->ss.ps.plan->parallel_aware)
		return;
	state->done = false;
	if (scan != NULL)
		table_rescan(scan, NULL);
}

static void
topk_end(CustomScanState *css)
{
	if (css->ss.ss_currentScanDesc != NULL)
		table_endscan(css->ss.ss_currentScanDesc);
}

static void
topk_begin(CustomScanState *css, EState *estate, int eflags)
{
	TopkScanState *state = (TopkScanState *) css;
	CustomScan *plan = (CustomScan *) css->ss.ps.plan;

	topk_use_slot_of_table(&css->ss, estate);
	topk_rows_begin(&state->rows, &css->ss, linitial_node(OpExpr, plan->custom_exprs),
					plan->custom_private);
	topk_rows_reserve(&state->rows, intVal(list_nth(plan->custom_private, TOPK_ROWS)));
}

static void
topk_explain(CustomScanState *css, List *ancestors, ExplainState *es)
{
	topk_explain_expression("Order By", linitial(((CustomScan *) css->ss.ps.plan)->custom_exprs),
							&css->ss, ancestors, es);
}

/* parallel query: the table's blocks are shared out, all else is private */

static Size
topk_estimate_dsm(CustomScanState *css, ParallelContext *pcxt)
{
	return table_parallelscan_estimate(css->ss.ss_currentRelation,
									   css->ss.ps.state->es_snapshot);
}

static void
topk_initialize_dsm(CustomScanState *css, ParallelContext *pcxt, void *shared)
{
	Relation	table = css->ss.ss_currentRelation;

	table_parallelscan_initialize(table, shared, css->ss.ps.state->es_snapshot);
	css->ss.ss_currentScanDesc = table_beginscan_parallel(table, shared);
}

static void
topk_reinitialize_dsm(CustomScanState *css, ParallelContext *pcxt, void *shared)
{
	table_parallelscan_reinitialize(css->ss.ss_currentRelation, shared);
}

static void
topk_initialize_worker(CustomScanState *css, shm_toc *toc, void *shared)
{
	css->ss.ss_currentScanDesc = table_beginscan_parallel(css->ss.ss_currentRelation, shared);
}

static const CustomExecMethods topk_exec_methods = {
	.CustomName = "VectorTopK",
	.BeginCustomScan = topk_begin,
	.ExecCustomScan = topk_exec,
	.EndCustomScan = topk_end,
	.ReScanCustomScan = topk_rescan,
	.EstimateDSMCustomScan = topk_estimate_dsm,
	.InitializeDSMCustomScan = topk_initialize_dsm,
	.ReInitializeDSMCustomScan = topk_reinitialize_dsm,
	.InitializeWorkerCustomScan = topk_initialize_worker,
	.ExplainCustomScan = topk_explain,
};

static Node *
create_topk_state(CustomScan *plan)
{
	TopkScanState *state = palloc0(sizeof(TopkScanState));

	NodeSetTag(state, T_CustomScanState);
	state->css.methods = &topk_exec_methods;
	return (Node *) state;
}

const CustomScanMethods topk_scan_methods = {
	.CustomName = "VectorTopK",
	.CreateCustomScanState = create_topk_state,
};
