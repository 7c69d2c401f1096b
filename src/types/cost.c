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
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
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
 * kernel takes 512 bytes in that time, and 64 bytes of rows that lie one after
 * another in a table (0.05 us a row at 64 dimensions, 0.25 at 384, 0.54 at 768);
 * detoasting takes 2.4 us for two chunks and 2.8 us for four.
 */
#define BYTES_PER_OPERATOR	512.0
#define ROW_BYTES_PER_OPERATOR	64.0
#define DETOAST_OPERATORS	250.0
#define CHUNK_OPERATORS		30.0

/* - of double precision, which has no symbol in the server's headers */
#define FLOAT8_MINUS_OPERATOR 585

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

/* an operand: its bytes (0: unknown), and whether they lie in the row or the TOAST table */
typedef struct Operand
{
	double		bytes;
	bool		in_row;
	bool		out_of_line;
} Operand;

static Operand
measure_operand(PlannerInfo *root, Node *node)
{
	Operand		operand = {bytes_of_typmod(exprType(node), exprTypmod(node)), false, false};
	double		width;

	if (IsA(node, Const))
	{
		Const	   *constant = (Const *) node;

		if (!constant->constisnull)
			operand.bytes = toast_raw_datum_size(constant->constvalue);
	}
	else if (IsA(node, Param) && ((Param *) node)->paramkind == PARAM_EXEC)
	{
		/* from a row of another table, as it lies there; detoasted by each call */
		operand.out_of_line = operand.bytes > TOAST_TUPLE_THRESHOLD;
	}
	else if (IsA(node, Var))
	{
		width = width_of_var(root, (Var *) node);
		if (operand.bytes == 0)
			operand.bytes = width;
		/* so the statistics say or, where there are none, so it must be */
		operand.out_of_line = width > 0 ?
			width < operand.bytes / 2 : operand.bytes > TOAST_TUPLE_THRESHOLD;
		operand.in_row = !operand.out_of_line;
	}
	return operand;
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

/* the cost per call; false where the arguments cannot be seen */
static bool
cost_of_call(SupportRequestCost *cost)
{
	List	   *arguments = call_arguments(cost->node);
	ListCell   *cell;
	double		largest = 0;
	double		operators = 1;

	if (arguments == NIL)
		return false;
	foreach(cell, arguments)
	{
		Operand		operand = measure_operand(cost->root, (Node *) lfirst(cell));

		if (operand.out_of_line)
			operators += DETOAST_OPERATORS +
				CHUNK_OPERATORS * ceil(operand.bytes / TOAST_MAX_CHUNK_SIZE);
		if (operand.in_row)
			operators += operand.bytes / ROW_BYTES_PER_OPERATOR;
		largest = Max(largest, operand.bytes);
	}
	if (largest == 0)
		largest = DEFAULT_BYTES;

	cost->startup = 0;
	cost->per_tuple = cpu_operator_cost * (operators + largest / BYTES_PER_OPERATOR);
	return true;
}

/* an operator of the function's schema and arguments; its function, or invalid */
static Oid
operator_beside(const char *name, Oid function, const FuncExpr *call, Oid *implementation)
{
	Oid			operator = GetSysCacheOid4(OPERNAMENSP, Anum_pg_operator_oid,
										   CStringGetDatum(name),
										   ObjectIdGetDatum(exprType(linitial(call->args))),
										   ObjectIdGetDatum(exprType(lsecond(call->args))),
										   ObjectIdGetDatum(get_func_namespace(function)));

	*implementation = OidIsValid(operator) ? get_opcode(operator) : InvalidOid;
	return operator;
}

static Node *
make_operator(Oid operator, List *args)
{
	Expr	   *result = make_opclause(operator, FLOAT8OID, false, linitial(args),
									   list_length(args) == 2 ? lsecond(args) : NULL,
									   InvalidOid, InvalidOid);

	set_opfuncid((OpExpr *) result);
	return (Node *) result;
}

/*
 * The operator for a call of the function behind it, for only operators are
 * known to indexes: a <-> b for l2_distance(a, b), and - (a <#> b) for
 * inner_product(a, b).  NULL if there is none.
 */
static Node *
operator_of_call(const FuncExpr *call)
{
	static const char *const names[] = {"<->", "<=>", "<+>", "<#>", "<~>", "<%>"};
	Oid			implementation;
	Oid			operator;
	char	   *name;

	if (list_length(call->args) != 2 || call->funcresulttype != FLOAT8OID)
		return NULL;
	for (int i = 0; i < lengthof(names); i++)
	{
		operator = operator_beside(names[i], call->funcid, call, &implementation);
		if (implementation == call->funcid)
			return make_operator(operator, call->args);
	}

	name = get_func_name(call->funcid);
	if (name == NULL || strcmp(name, "inner_product") != 0)
		return NULL;
	operator = operator_beside("<#>", call->funcid, call, &implementation);
	if (!OidIsValid(implementation) || !vec_is_distance_function(implementation))
		return NULL;
	return make_operator(FLOAT8_MINUS_OPERATOR, list_make1(make_operator(operator, call->args)));
}

/*
 * Planner support function of every distance function: the cost per call, left
 * to procost where it cannot be told, and operators for calls.
 */
VEC_SQL_FUNCTION(vecext_distance_support)
{
	Node	   *request = (Node *) PG_GETARG_POINTER(0);

	if (IsA(request, SupportRequestCost))
		PG_RETURN_POINTER(cost_of_call((SupportRequestCost *) request) ? request : NULL);
	if (IsA(request, SupportRequestSimplify))
		PG_RETURN_POINTER(operator_of_call(((SupportRequestSimplify *) request)->fcall));
	PG_RETURN_POINTER(NULL);
}

/*
 * vec_toast_pages
 *		Pages of TOAST tables that computing a distance for so many rows reads.
 */
double
vec_toast_pages(PlannerInfo *root, Node *distance, double rows)
{
	double		bytes = 0;
	ListCell   *cell;

	foreach(cell, call_arguments(distance))
	{
		Operand		operand = measure_operand(root, (Node *) lfirst(cell));

		if (operand.out_of_line && IsA(lfirst(cell), Var))
			bytes += operand.bytes;
	}
	return ceil(rows * bytes / BLCKSZ);
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
