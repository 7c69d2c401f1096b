/*-------------------------------------------------------------------------
 *
 * topk_rows.c
 *	  The k nearest rows, whatever scan they come from.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/tableam.h"
#include VEC_EXPLAIN_HEADER_COMPAT
#include "executor/executor.h"
#include "nodes/value.h"
#include "planner/topk.h"
#include "planner/topk_rows.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

/* of a column, or a domain's cast to its type; 0 of what is computed */
static AttrNumber
column_number(Node *argument)
{
	while (IsA(argument, RelabelType))
		argument = (Node *) ((RelabelType *) argument)->arg;
	return IsA(argument, Var) ? ((Var *) argument)->varattno : 0;
}

/* where rows without a distance go */
static void
set_keys(TopkRows *rows, List *private)
{
	int			first = intVal(list_nth(private, TOPK_FIRST));

	rows->null_key = (first & TOPK_NULL_FIRST) != 0 ? TOPK_KEY_NULL_FIRST : TOPK_KEY_NULL_LAST;
	rows->nan_key = (first & TOPK_NAN_FIRST) != 0 ? TOPK_KEY_NAN_FIRST : TOPK_KEY_NAN_LAST;
	rows->worst = TOPK_KEY_NULL_LAST;
	if (intVal(list_nth(private, TOPK_SKIP_NULLS)) == 0)
		return;
	rows->null_key = TOPK_KEY_NULL_LAST;
	rows->worst = TOPK_KEY_NAN_LAST;
}

/*
 * topk_rows_begin
 *		When the node begins: the distance is compiled.  "private" are the integers
 *		of TopkPrivate.
 *
 * Memory of the current context.  Fails if the user may not execute the function.
 */
void
topk_rows_begin(TopkRows *rows, ScanState *node, OpExpr *distance, List *private)
{
	/* checks, as for any expression, that the user may execute the function */
	ExecInitExpr((Expr *) distance, &node->ps);
	fmgr_info(distance->opfuncid, &rows->distance);
	fmgr_info_set_expr((Node *) distance, &rows->distance);
	rows->call = palloc0(SizeForFunctionCallInfo(2));
	InitFunctionCallInfoData(*rows->call, &rows->distance, 2, distance->inputcollid, NULL, NULL);

	rows->column_arg = intVal(list_nth(private, TOPK_COLUMN_ARG));
	rows->column = column_number(list_nth(distance->args, rows->column_arg));
	rows->vector = rows->column != 0 ? NULL :
		ExecInitExpr(list_nth(distance->args, rows->column_arg), &node->ps);
	rows->call->args[rows->column_arg].isnull = false;
	rows->value = ExecInitExpr(list_nth(distance->args, 1 - rows->column_arg), &node->ps);
	rows->value_context = AllocSetContextCreate(CurrentMemoryContext, "VectorTopK value",
												ALLOCSET_SMALL_SIZES);
	set_keys(rows, private);
}

/*
 * topk_rows_reserve
 *		Keep n rows, at least 1.  Memory of value_context's parent.
 */
void
topk_rows_reserve(TopkRows *rows, int n)
{
	rows->heap.capacity = n;
	if (n <= rows->room)
		return;
	if (rows->heap.entries != NULL)
		pfree(rows->heap.entries);
	rows->heap.entries = MemoryContextAlloc(MemoryContextGetParent(rows->value_context),
											mul_size(n, sizeof(TopkEntry)));
	rows->room = n;
}

/* evaluate the other argument of the distance, in plain form */
static void
evaluate_value(TopkRows *rows, ExprContext *econtext)
{
	NullableDatum *arg = &rows->call->args[1 - rows->column_arg];
	MemoryContext caller;

	ResetExprContext(econtext);
	MemoryContextReset(rows->value_context);
	arg->value = ExecEvalExprSwitchContext(rows->value, econtext, &arg->isnull);
	rows->value_isnull = arg->isnull;
	if (arg->isnull)
		return;
	caller = MemoryContextSwitchTo(rows->value_context);
	arg->value = PointerGetDatum(PG_DETOAST_DATUM_COPY(arg->value));
	MemoryContextSwitchTo(caller);
}

/*
 * topk_rows_start
 *		Keep none yet; the value is that of the parameters as they are now.
 */
void
topk_rows_start(TopkRows *rows, ExprContext *econtext)
{
	topk_heap_reset(&rows->heap, TOPK_ENTRY_FIRST, rows->worst);
	evaluate_value(rows, econtext);
	rows->next = 0;
}

/*
 * topk_rows_start_behind
 *		Keep n rows that come after those kept last, of which there is one or more.
 */
void
topk_rows_start_behind(TopkRows *rows, ExprContext *econtext, int n)
{
	TopkEntry	last = rows->heap.entries[rows->heap.count - 1];

	topk_rows_reserve(rows, n);
	topk_heap_reset(&rows->heap, last, rows->worst);
	evaluate_value(rows, econtext);
	rows->next = 0;
}

/*
 * topk_rows_finish
 *		All rows were offered: put the kept ones in order.
 */
void
topk_rows_finish(TopkRows *rows)
{
	topk_heap_sort(&rows->heap);
	rows->next = 0;
}

/*
 * topk_rows_fetch
 *		The next of the kept rows, or NULL; in the node's scan slot.
 *
 * Its version was visible to this snapshot, which is held, so it is still there.
 */
TupleTableSlot *
topk_rows_fetch(TopkRows *rows, ScanState *node)
{
	TupleTableSlot *slot = node->ss_ScanTupleSlot;
	ItemPointerData tid;

	if (rows->next >= rows->heap.count)
		return NULL;
	topk_place_to_tid(rows->heap.entries[rows->next++].place, &tid);
	if (!table_tuple_fetch_row_version(node->ss_currentRelation, &tid,
									   node->ps.state->es_snapshot, slot))
		elog(ERROR, "row (%u,%u) of \"%s\" has vanished from the snapshot",
			 ItemPointerGetBlockNumber(&tid), ItemPointerGetOffsetNumber(&tid),
			 RelationGetRelationName(node->ss_currentRelation));
	return slot;
}

/*
 * topk_rows_next
 *		The same, projected.
 */
TupleTableSlot *
topk_rows_next(TopkRows *rows, ScanState *node)
{
	ProjectionInfo *projection = node->ps.ps_ProjInfo;
	TupleTableSlot *slot = topk_rows_fetch(rows, node);

	if (slot == NULL || projection == NULL)
		return slot;
	ResetExprContext(node->ps.ps_ExprContext);
	node->ps.ps_ExprContext->ecxt_scantuple = slot;
	return ExecProject(projection);
}

/*
 * topk_end_of_scan
 *		What the node returns at the end; the page of the last row is released.
 */
TupleTableSlot *
topk_end_of_scan(ScanState *node)
{
	ExecClearTuple(node->ss_ScanTupleSlot);
	return node->ps.ps_ProjInfo == NULL ? node->ss_ScanTupleSlot :
		ExecClearTuple(node->ps.ps_ProjInfo->pi_state.resultslot);
}

/*
 * topk_use_slot_of_table
 *		The server has set the node up to scan virtual tuples; ours are the
 *		table's.  What it compiled for the former is compiled anew.
 */
void
topk_use_slot_of_table(ScanState *node, EState *estate)
{
	Relation	table = node->ss_currentRelation;

	node->ps.subPlan = NIL;		/* both below list theirs again */
	ExecInitScanTupleSlot(estate, node, RelationGetDescr(table), table_slot_callbacks(table));
	ExecAssignScanProjectionInfo(node);
	node->ps.qual = ExecInitQual(node->ps.plan->qual, &node->ps);
}

/*
 * topk_explain_expression
 *		A line of EXPLAIN with an expression over the node's table.
 */
void
topk_explain_expression(const char *label, Node *expression, ScanState *node, List *ancestors,
						ExplainState *es)
{
	List	   *context = set_deparse_context_plan(es->deparse_cxt, node->ps.plan, ancestors);
	bool		prefix = es->verbose || list_length(es->rtable) > 1;

	ExplainPropertyText(label, deparse_expression(expression, context, prefix, false), es);
}
