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
#include VEC_EXPLAIN_HEADER_COMPAT
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "planner/topk.h"
#include "planner/topk_heap.h"
#include "storage/bufmgr.h"
#include "storage/shmem.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

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
	AttrNumber	column;			/* the vector's */
	int			column_arg;		/* which argument of the distance it is */
	ExprState  *value;			/* the other argument */
	MemoryContext value_context;	/* holds the other argument's datum */
	bool		value_isnull;
	FmgrInfo	distance;
	FunctionCallInfo call;		/* of the distance, with both arguments */
	uint64		null_key;		/* of rows without a distance */
	uint64		nan_key;
	uint64		worst;			/* keys above it are left out */
	TopkHeap	heap;			/* an array in order once done */
	bool		done;			/* has the table been scanned? */
	int			next;			/* entry to return next */
} TopkScanState;

/* evaluate the other argument of the distance, in plain form */
static void
evaluate_value(TopkScanState *state)
{
	ExprContext *econtext = state->css.ss.ps.ps_ExprContext;
	NullableDatum *arg = &state->call->args[1 - state->column_arg];
	MemoryContext caller;

	ResetExprContext(econtext);
	MemoryContextReset(state->value_context);
	arg->value = ExecEvalExprSwitchContext(state->value, econtext, &arg->isnull);
	state->value_isnull = arg->isnull;
	if (arg->isnull)
		return;
	caller = MemoryContextSwitchTo(state->value_context);
	arg->value = PointerGetDatum(PG_DETOAST_DATUM_COPY(arg->value));
	MemoryContextSwitchTo(caller);
}

/* the order of a row by its vector; memory of the per-tuple context */
static inline uint64
key_of_vector(TopkScanState *state, Datum vector, bool isnull, MemoryContext per_tuple)
{
	FunctionCallInfo call = state->call;
	MemoryContext caller;
	Datum		distance;

	if (isnull || state->value_isnull)
		return state->null_key; /* the function is strict */
	call->args[state->column_arg].value = vector;
	call->isnull = false;
	caller = MemoryContextSwitchTo(per_tuple);
	distance = FunctionCallInvoke(call);
	MemoryContextSwitchTo(caller);
	return call->isnull ? state->null_key : topk_key(DatumGetFloat8(distance), state->nan_key);
}

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
		vector = heap_getattr(tuple, state->column, desc, &isnull);
		topk_heap_offer(&state->heap, key_of_vector(state, vector, isnull, per_tuple),
						&tuple->t_self);
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
		vector = slot_getattr(slot, state->column, &isnull);
		topk_heap_offer(&state->heap,
						key_of_vector(state, vector, isnull, econtext->ecxt_per_tuple_memory),
						&slot->tts_tid);
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
	topk_heap_reset(&state->heap, state->worst);
	evaluate_value(state);
	if (node->ps.qual != NULL)
		scan_filtered(state, node->ss_currentScanDesc);
	else
		scan_all(state, node->ss_currentScanDesc);
	topk_heap_sort(&state->heap);
	state->next = 0;
	state->done = true;
}

/*
 * The next row of the result.  Its version was visible to this snapshot, which
 * is held, so it is still there.
 */
static TupleTableSlot *
topk_exec(CustomScanState *css)
{
	TopkScanState *state = (TopkScanState *) css;
	ScanState  *node = &css->ss;
	ProjectionInfo *projection = node->ps.ps_ProjInfo;
	TupleTableSlot *slot = node->ss_ScanTupleSlot;
	ItemPointerData tid;

	if (!state->done)
		compute(state);
	if (state->next >= state->heap.count)
	{
		ExecClearTuple(slot);	/* release its page */
		return projection == NULL ? slot : ExecClearTuple(projection->pi_state.resultslot);
	}

	topk_place_to_tid(state->heap.entries[state->next++].place, &tid);
	if (!table_tuple_fetch_row_version(node->ss_currentRelation, &tid,
									   node->ps.state->es_snapshot, slot))
		elog(ERROR, "row (%u,%u) of \"%s\" has vanished from the snapshot",
			 ItemPointerGetBlockNumber(&tid), ItemPointerGetOffsetNumber(&tid),
			 RelationGetRelationName(node->ss_currentRelation));
	if (projection == NULL)
		return slot;
	ResetExprContext(node->ps.ps_ExprContext);
	node->ps.ps_ExprContext->ecxt_scantuple = slot;
	return ExecProject(projection);
}

static void
topk_rescan(CustomScanState *css)
{
	TopkScanState *state = (TopkScanState *) css;
	TableScanDesc scan = css->ss.ss_currentScanDesc;

	ExecScanReScan(&css->ss);
	state->next = 0;
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

/*
 * The server has set the node up to scan virtual tuples; ours are the table's.
 * What it compiled for the former is compiled anew.
 */
static void
use_slot_of_table(ScanState *node, EState *estate)
{
	Relation	table = node->ss_currentRelation;

	node->ps.subPlan = NIL;		/* both below list theirs again */
	ExecInitScanTupleSlot(estate, node, RelationGetDescr(table), table_slot_callbacks(table));
	ExecAssignScanProjectionInfo(node);
	node->ps.qual = ExecInitQual(node->ps.plan->qual, &node->ps);
}

/* of a column, or a domain's cast to its type */
static AttrNumber
column_number(Node *argument)
{
	while (IsA(argument, RelabelType))
		argument = (Node *) ((RelabelType *) argument)->arg;
	return castNode(Var, argument)->varattno;
}

/* where rows without a distance go */
static void
set_keys(TopkScanState *state, List *private)
{
	int			first = intVal(list_nth(private, TOPK_FIRST));

	state->null_key = (first & TOPK_NULL_FIRST) != 0 ? TOPK_KEY_NULL_FIRST : TOPK_KEY_NULL_LAST;
	state->nan_key = (first & TOPK_NAN_FIRST) != 0 ? TOPK_KEY_NAN_FIRST : TOPK_KEY_NAN_LAST;
	state->worst = TOPK_KEY_NULL_LAST;
	if (intVal(list_nth(private, TOPK_SKIP_NULLS)) == 0)
		return;
	state->null_key = TOPK_KEY_NULL_LAST;
	state->worst = TOPK_KEY_NAN_LAST;
}

static void
topk_begin(CustomScanState *css, EState *estate, int eflags)
{
	TopkScanState *state = (TopkScanState *) css;
	CustomScan *plan = (CustomScan *) css->ss.ps.plan;
	OpExpr	   *distance = linitial_node(OpExpr, plan->custom_exprs);
	int			rows = intVal(list_nth(plan->custom_private, TOPK_ROWS));

	use_slot_of_table(&css->ss, estate);

	/* checks, as for any expression, that the user may execute the function */
	ExecInitExpr((Expr *) distance, &css->ss.ps);
	fmgr_info(distance->opfuncid, &state->distance);
	fmgr_info_set_expr((Node *) distance, &state->distance);
	state->call = palloc0(SizeForFunctionCallInfo(2));
	InitFunctionCallInfoData(*state->call, &state->distance, 2, distance->inputcollid,
							 NULL, NULL);

	state->column_arg = intVal(list_nth(plan->custom_private, TOPK_COLUMN_ARG));
	state->column = column_number(list_nth(distance->args, state->column_arg));
	state->call->args[state->column_arg].isnull = false;
	state->value = ExecInitExpr(list_nth(distance->args, 1 - state->column_arg), &css->ss.ps);
	state->value_context = AllocSetContextCreate(CurrentMemoryContext, "VectorTopK value",
												 ALLOCSET_SMALL_SIZES);
	set_keys(state, plan->custom_private);
	state->heap.capacity = rows;
	state->heap.entries = palloc(mul_size(rows, sizeof(TopkEntry)));
}

static void
topk_explain(CustomScanState *css, List *ancestors, ExplainState *es)
{
	Plan	   *plan = css->ss.ps.plan;
	List	   *context = set_deparse_context_plan(es->deparse_cxt, plan, ancestors);
	Node	   *distance = linitial(((CustomScan *) plan)->custom_exprs);
	bool		prefix = es->verbose || list_length(es->rtable) > 1;

	ExplainPropertyText("Order By", deparse_expression(distance, context, prefix, false), es);
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
