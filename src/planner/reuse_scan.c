/*-------------------------------------------------------------------------
 *
 * reuse_scan.c
 *	  Executor of VectorDistance: hands up the distance an index scan has.
 *
 * The index scan below returns the row of the table, and its access method has
 * left the row's distance in the scan descriptor.  This node evaluates the
 * filter and the target list the scan would have, over both, and ends where no
 * farther row can pass the filter.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/htup_details.h"
#include "access/relscan.h"
#include "am/am_scan.h"
#include VEC_EXPLAIN_HEADER_COMPAT
#include "executor/executor.h"
#include "executor/nodeIndexscan.h"
#include "lib/pairingheap.h"
#include "nodes/extensible.h"
#include "nodes/makefuncs.h"
#include "planner/reuse.h"
#include "planner/topk_heap.h"
#include "utils/ruleutils.h"

/* the second pass has four times the candidates of the first, each further one twice */
#define MAX_PASSES		7

typedef struct ReuseRow
{
	uint64		place;			/* of the row in the table */
	char		status;
} ReuseRow;

#define SH_PREFIX		reuse_rows
#define SH_ELEMENT_TYPE	ReuseRow
#define SH_KEY_TYPE		uint64
#define SH_KEY			place
#define SH_HASH_KEY(table, key)	((uint32) ((key) * UINT64CONST(0x9E3779B97F4A7C15) >> 32))
#define SH_EQUAL(table, a, b)	((a) == (b))
#define SH_SCOPE		static inline
#define SH_DEFINE
#define SH_DECLARE
#include "lib/simplehash.h"

typedef struct ReuseScanState
{
	CustomScanState css;
	ExprState  *distance;		/* where the index cannot tell */
	TupleTableSlot *slot;		/* of one column, the distance: OUTER_VAR 1 */
	ExprState  *within;			/* no row follows one for which it fails; or NULL */
	reuse_rows_hash *returned;	/* rows within, if there is such a condition */
	int			pass;			/* how many times the scan was begun again */
	int			found;			/* rows within that the last pass was first to find */
	bool		ended;
} ReuseScanState;

static inline IndexScanState *
scan_below(ReuseScanState *state)
{
	return castNode(IndexScanState, outerPlanState(&state->css));
}

/* no row waits to be returned later than the index returned it? */
static inline bool
in_index_order(const IndexScanState *scan)
{
	return !scan->iss_ReachedEnd &&
		(scan->iss_ReorderQueue == NULL || pairingheap_is_empty(scan->iss_ReorderQueue));
}

/*
 * Is the row just returned the one the access method returned last, with the
 * distance the operator would compute?  A row that EvalPlanQual put in place of
 * the scan's never met the index.
 */
static inline bool
index_tells(const IndexScanState *scan)
{
	return in_index_order(scan) && scan->ss.ps.state->es_epq_active == NULL &&
		scan->iss_ScanDesc != NULL && !scan->iss_ScanDesc->xs_recheckorderby &&
		scan->iss_ScanDesc->xs_orderbyvals != NULL;
}

/* the distance of the row in the scan slot, for OUTER_VAR 1 */
static inline void
set_distance(ReuseScanState *state, const IndexScanState *scan, bool told, ExprContext *econtext)
{
	Datum	   *value = state->slot->tts_values;
	bool	   *isnull = state->slot->tts_isnull;

	if (!told)
	{
		*value = ExecEvalExpr(state->distance, econtext, isnull);
		return;
	}

	/* the operator is strict; the index may return anything for a NULL value */
	*isnull = (scan->iss_ScanDesc->orderByData->sk_flags & SK_ISNULL) != 0 ||
		scan->iss_ScanDesc->xs_orderbynulls[0];
	*value = scan->iss_ScanDesc->xs_orderbyvals[0];
}

/*
 * Is this row within for the first time?  Its place is the tuple's: the slot's
 * own is not set for rows that waited in the reorder queue.
 */
static bool
is_new_row(ReuseScanState *state, TupleTableSlot *slot)
{
	bool		copied;
	bool		known;
	HeapTuple	tuple = ExecFetchSlotHeapTuple(slot, false, &copied);

	reuse_rows_insert(state->returned, topk_place(&tuple->t_self), &known);
	if (copied)
		heap_freetuple(tuple);
	if (!known)
		state->found++;
	return !known;
}

/*
 * The next row of the index scan, which is begun with more candidates the more
 * passes there were.
 */
static TupleTableSlot *
next_row(ReuseScanState *state, IndexScanState *scan)
{
	TupleTableSlot *slot;

	if (state->pass == 0)
		return ExecProcNode(&scan->ss.ps);

	PG_TRY();
	{
		am_scan_effort.times = 2 << state->pass;
		am_scan_effort.at_least = (int) Min(state->returned->members * 2, INT_MAX);
		slot = ExecProcNode(&scan->ss.ps);
	}
	PG_FINALLY();
	{
		am_scan_effort = AM_SCAN_EFFORT_USUAL;
	}
	PG_END_TRY();
	return slot;
}

/*
 * The scan has come to a row that is not within, or to its end.  An index that
 * is not exact may have missed nearer ones: search again, more thoroughly, until
 * that finds none.
 */
static bool
begin_again(ReuseScanState *state)
{
	if (state->within == NULL || state->css.ss.ps.state->es_epq_active != NULL ||
		state->pass == MAX_PASSES || (state->pass > 0 && state->found == 0))
		return false;
	state->pass++;
	state->found = 0;
	ExecReScan(outerPlanState(&state->css));
	return true;
}

static TupleTableSlot *
end_of_scan(ReuseScanState *state)
{
	PlanState  *ps = &state->css.ss.ps;

	state->ended = true;
	ExecClearTuple(state->css.ss.ss_ScanTupleSlot);	/* release its page */
	return ps->ps_ProjInfo == NULL ? NULL :
		ExecClearTuple(ps->ps_ProjInfo->pi_state.resultslot);
}

static TupleTableSlot *
reuse_exec(CustomScanState *css)
{
	ReuseScanState *state = (ReuseScanState *) css;
	IndexScanState *scan = scan_below(state);
	PlanState  *ps = &css->ss.ps;
	ExprContext *econtext = ps->ps_ExprContext;

	while (!state->ended)
	{
		bool		in_order = in_index_order(scan);
		TupleTableSlot *slot = next_row(state, scan);

		if (TupIsNull(slot))
		{
			if (begin_again(state))
				continue;
			break;
		}

		ResetExprContext(econtext);
		econtext->ecxt_scantuple = slot;
		econtext->ecxt_outertuple = state->slot;
		/* slots' values are read in place, so this need not be stored again */
		set_distance(state, scan, in_order && index_tells(scan), econtext);
		if (!ExecQual(state->within, econtext))
		{
			/* what EvalPlanQual has put in place is one row, in no order */
			if (ps->state->es_epq_active == NULL && !begin_again(state))
				break;
			continue;
		}
		if (state->returned != NULL && !is_new_row(state, slot))
			continue;
		if (ExecQual(ps->qual, econtext))
			return ps->ps_ProjInfo == NULL ? slot : ExecProject(ps->ps_ProjInfo);
		InstrCountFiltered1(css, 1);
	}
	return end_of_scan(state);
}

/*
 * The scan below returns rows of the table as they are: without a projection,
 * which its target list, the distance, would make.  They are in its slot, which
 * is ours too, for WHERE CURRENT OF looks there.
 */
static void
reuse_begin(CustomScanState *css, EState *estate, int eflags)
{
	ReuseScanState *state = (ReuseScanState *) css;
	CustomScan *plan = (CustomScan *) css->ss.ps.plan;
	PlanState  *ps = &css->ss.ps;
	IndexScanState *scan;

	outerPlanState(css) = ExecInitNode(outerPlan(plan), estate, eflags);
	scan = scan_below(state);
	scan->ss.ps.ps_ProjInfo = NULL;
	state->slot = ExecInitExtraTupleSlot(estate, ExecGetResultType(&scan->ss.ps),
										 &TTSOpsVirtual);
	ExecStoreAllNullTuple(state->slot);

	css->ss.ss_ScanTupleSlot = scan->ss.ss_ScanTupleSlot;
	ps->scandesc = scan->ss.ps.scandesc;
	ps->scanops = scan->ss.ps.scanops;
	ps->scanopsfixed = scan->ss.ps.scanopsfixed;
	ps->scanopsset = true;
	ps->outerops = &TTSOpsVirtual;
	ps->outeropsfixed = true;
	ps->outeropsset = true;

	/* the server compiled them for virtual slots */
	ps->subPlan = NIL;			/* both below list theirs again */
	ExecAssignScanProjectionInfo(&css->ss);
	ps->qual = ExecInitQual(plan->scan.plan.qual, ps);
	state->distance = ExecInitExpr(linitial(plan->custom_exprs), ps);
	state->within = ExecInitQual(list_copy_tail(plan->custom_exprs, 1), ps);
	if (state->within != NULL)
		state->returned = reuse_rows_create(CurrentMemoryContext, 64, NULL);
}

static void
reuse_rescan(CustomScanState *css)
{
	ReuseScanState *state = (ReuseScanState *) css;

	ExecScanReScan(&css->ss);
	state->ended = false;
	state->pass = 0;
	state->found = 0;
	if (state->returned != NULL)
		reuse_rows_reset(state->returned);
	if (outerPlanState(css)->chgParam == NULL)
		ExecReScan(outerPlanState(css));
}

static void
reuse_explain(CustomScanState *css, List *ancestors, ExplainState *es)
{
	Plan	   *plan = css->ss.ps.plan;
	List	   *within = list_copy_tail(((CustomScan *) plan)->custom_exprs, 1);
	List	   *context = set_deparse_context_plan(es->deparse_cxt, plan, ancestors);
	bool		prefix = es->verbose || list_length(es->rtable) > 1;

	if (within != NIL)
		ExplainPropertyText("Distance Cond",
							deparse_expression((Node *) make_ands_explicit(within), context,
											   prefix, false), es);
}

static void
reuse_end(CustomScanState *css)
{
	ExecEndNode(outerPlanState(css));
}

static const CustomExecMethods reuse_exec_methods = {
	.CustomName = "VectorDistance",
	.BeginCustomScan = reuse_begin,
	.ExecCustomScan = reuse_exec,
	.EndCustomScan = reuse_end,
	.ReScanCustomScan = reuse_rescan,
	.ExplainCustomScan = reuse_explain,
};

static Node *
create_reuse_state(CustomScan *plan)
{
	ReuseScanState *state = palloc0(sizeof(ReuseScanState));

	NodeSetTag(state, T_CustomScanState);
	state->css.methods = &reuse_exec_methods;
	return (Node *) state;
}

const CustomScanMethods reuse_scan_methods = {
	.CustomName = "VectorDistance",
	.CreateCustomScanState = create_reuse_state,
};
