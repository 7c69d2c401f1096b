/*-------------------------------------------------------------------------
 *
 * cost.c
 *	  What a distance costs, told to the planner by the size of its operands.
 *
 * A fixed procost cannot be honest: two vectors of 128 dimensions that lie in
 * the row take about as long as two integer operators, one of 1536 that lies
 * out of line a hundred times that.  The planner needs the difference to
 * choose a parallel plan where it pays.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <math.h>

#include "access/detoast.h"
#include "access/heaptoast.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "nodes/supportnodes.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "types/common.h"
#include "types/cost.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/*
 * Measured against integer addition in a warm server, about 8 ns a call: a
 * kernel takes 512 bytes in that time, detoasting 2.4 us for two chunks and
 * 2.8 us for four.
 */
#define BYTES_PER_OPERATOR	512.0
#define DETOAST_OPERATORS	250.0
#define CHUNK_OPERATORS		30.0

/* bytes of a value where nothing is known */
#define DEFAULT_BYTES 1024.0

/* bytes of a value of the type with this modifier; 0 if unknown */
static double
bytes_of_typmod(Oid type, int32 typmod)
{
	HeapTuple	tuple;
	double		bytes = 0;

	if (typmod < 1)
		return 0;
	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	if (HeapTupleIsValid(tuple))
	{
		const char *name = NameStr(((Form_pg_type) GETSTRUCT(tuple))->typname);

		if (strcmp(name, "vector") == 0)
			bytes = 8 + 4.0 * typmod;
		else if (strcmp(name, "halfvec") == 0)
			bytes = 8 + 2.0 * typmod;
		else if (type == BITOID || type == VARBITOID)
			bytes = 8 + typmod / 8.0;
		ReleaseSysCache(tuple);
	}
	return bytes;
}

/* average width in its row of a column, from the statistics; 0 if unknown */
static double
width_of_var(PlannerInfo *root, Var *var)
{
	RangeTblEntry *rte;

	if (root == NULL || var->varlevelsup != 0 || IS_SPECIAL_VARNO(var->varno) ||
		var->varattno <= 0)
		return 0;
	rte = planner_rt_fetch(var->varno, root);
	return rte->rtekind == RTE_RELATION ? get_attavgwidth(rte->relid, var->varattno) : 0;
}

/*
 * The cost of reading one operand, in operators; its size goes to *bytes
 * (0: unknown).
 */
static double
operand_cost(PlannerInfo *root, Node *operand, double *bytes)
{
	double		width;

	*bytes = bytes_of_typmod(exprType(operand), exprTypmod(operand));
	if (IsA(operand, Const))
	{
		Const	   *constant = (Const *) operand;

		if (!constant->constisnull)
			*bytes = toast_raw_datum_size(constant->constvalue);
		return 0;				/* in memory, detoasted */
	}
	if (!IsA(operand, Var))
		return 0;

	width = width_of_var(root, (Var *) operand);
	if (*bytes == 0)
		*bytes = width;
	/* out of line if the statistics say so or, without any, if it must be */
	if (width > 0 ? width < *bytes / 2 : *bytes > TOAST_TUPLE_THRESHOLD)
		return DETOAST_OPERATORS +
			CHUNK_OPERATORS * ceil(*bytes / TOAST_MAX_CHUNK_SIZE);
	return 0;
}

/* arguments of the call, NIL if the node has none that we know */
static List *
call_arguments(Node *node)
{
	if (node == NULL)
		return NIL;
	if (IsA(node, FuncExpr))
		return ((FuncExpr *) node)->args;
	if (IsA(node, OpExpr) || IsA(node, DistinctExpr) || IsA(node, NullIfExpr))
		return ((OpExpr *) node)->args;
	return NIL;
}

/*
 * Planner support function of every distance function: the cost per call.
 * Leaves the question to procost where it cannot see the arguments.
 */
VEC_SQL_FUNCTION(vecext_distance_support)
{
	Node	   *request = (Node *) PG_GETARG_POINTER(0);
	SupportRequestCost *cost;
	List	   *arguments;
	ListCell   *cell;
	double		largest = 0;
	double		operators = 1;

	if (!IsA(request, SupportRequestCost))
		PG_RETURN_POINTER(NULL);
	cost = (SupportRequestCost *) request;
	arguments = call_arguments(cost->node);
	if (arguments == NIL)
		PG_RETURN_POINTER(NULL);

	foreach(cell, arguments)
	{
		double		bytes;

		operators += operand_cost(cost->root, (Node *) lfirst(cell), &bytes);
		largest = Max(largest, bytes);
	}
	if (largest == 0)
		largest = DEFAULT_BYTES;

	cost->startup = 0;
	cost->per_tuple = cpu_operator_cost * (operators + largest / BYTES_PER_OPERATOR);
	PG_RETURN_POINTER(cost);
}

/*
 * vec_is_distance_function
 *		Is this one of the distance functions of vecext's types?
 *
 * They are those whose planner support function is ours: two arguments, strict,
 * immutable, double precision result.  Its address tells, so that neither
 * names nor schemas matter.
 */
bool
vec_is_distance_function(Oid function)
{
	RegProcedure support = get_func_support(function);
	FmgrInfo	info;

	if (!RegProcedureIsValid(support))
		return false;
	fmgr_info(support, &info);
	return info.fn_addr == vecext_distance_support;
}
