/*-------------------------------------------------------------------------
 *
 * topk_rows.h
 *	  The k nearest rows, whatever scan they come from.
 *
 * A scan node embeds TopkRows and offers it the rows that pass its filter; then
 * it fetches the rows that were kept.
 *
 *	topk_rows_begin			when the node begins
 *	topk_rows_reserve		how many to keep, before each start if it may change
 *	topk_rows_start			before the first row of a scan
 *	topk_rows_offer			for each row
 *	topk_rows_finish		after the last
 *	topk_rows_next			the result, row by row
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_TOPK_ROWS_H
#define VECEXT_TOPK_ROWS_H

#include "postgres.h"

#include "commands/explain.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "nodes/execnodes.h"
#include "planner/topk_heap.h"
#include "utils/memutils.h"

typedef struct TopkRows
{
	AttrNumber	column;			/* the vector's; 0: it is computed */
	ExprState  *vector;			/* how, or NULL */
	int			column_arg;		/* which argument of the distance it is */
	ExprState  *value;			/* the other argument */
	MemoryContext value_context;	/* holds the other argument's datum */
	bool		value_isnull;
	FmgrInfo	distance;
	FunctionCallInfo call;		/* of the distance, with both arguments */
	uint64		null_key;		/* of rows without a distance */
	uint64		nan_key;
	uint64		worst;			/* keys above it are left out */
	TopkHeap	heap;			/* an array in order once finished */
	int			room;			/* entries allocated */
	int			next;			/* entry to return next */
} TopkRows;

extern void topk_rows_begin(TopkRows *rows, ScanState *node, OpExpr *distance, List *private);
extern void topk_rows_reserve(TopkRows *rows, int n);
extern void topk_rows_start(TopkRows *rows, ExprContext *econtext);
extern void topk_rows_start_behind(TopkRows *rows, ExprContext *econtext, int n);
extern void topk_rows_finish(TopkRows *rows);
extern TupleTableSlot *topk_rows_fetch(TopkRows *rows, ScanState *node);
extern TupleTableSlot *topk_rows_next(TopkRows *rows, ScanState *node);

extern void topk_use_slot_of_table(ScanState *node, EState *estate);
extern TupleTableSlot *topk_end_of_scan(ScanState *node);
extern void topk_explain_expression(const char *label, Node *expression, ScanState *node,
									List *ancestors, ExplainState *es);

/* the order of a row by its vector; memory of the per-tuple context */
static inline uint64
topk_key_of_vector(TopkRows *rows, Datum vector, bool isnull, MemoryContext per_tuple)
{
	FunctionCallInfo call = rows->call;
	MemoryContext caller;
	Datum		distance;

	if (isnull || rows->value_isnull)
		return rows->null_key;	/* the function is strict */
	call->args[rows->column_arg].value = vector;
	call->isnull = false;
	caller = MemoryContextSwitchTo(per_tuple);
	distance = FunctionCallInvoke(call);
	MemoryContextSwitchTo(caller);
	return call->isnull ? rows->null_key : topk_key(DatumGetFloat8(distance), rows->nan_key);
}

/* the vector of the row that is the context's scan tuple */
static inline Datum
topk_vector(TopkRows *rows, ExprContext *econtext, bool *isnull)
{
	if (rows->vector != NULL)
		return ExecEvalExprSwitchContext(rows->vector, econtext, isnull);
	return slot_getattr(econtext->ecxt_scantuple, rows->column, isnull);
}

/* a row that passed the filter, by its vector and place */
static inline void
topk_rows_offer(TopkRows *rows, Datum vector, bool isnull, const ItemPointerData *tid,
				MemoryContext per_tuple)
{
	topk_heap_offer(&rows->heap, topk_key_of_vector(rows, vector, isnull, per_tuple), tid);
}

#endif							/* VECEXT_TOPK_ROWS_H */
