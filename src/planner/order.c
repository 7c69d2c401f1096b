/*-------------------------------------------------------------------------
 *
 * order.c
 *	  Which distance a query is ordered by, whatever the expression around it.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/appendinfo.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "optimizer/paths.h"
#include "parser/parsetree.h"
#include "planner/order.h"
#include "types/cost.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

/*
 * vec_is_same_for_all
 *		Is an expression's value the same for all rows of a scan?
 */
bool
vec_is_same_for_all(Node *node)
{
	return !contain_var_clause(node) && !contain_volatile_functions(node) &&
		!contain_subplans(node);
}

/* is it a constant number other than 0?  Its sign */
static int
sign_of_constant(Node *node)
{
	double		value;

	if (!IsA(node, Const) || ((Const *) node)->constisnull ||
		((Const *) node)->consttype != FLOAT8OID)
		return 0;
	value = DatumGetFloat8(((Const *) node)->constvalue);
	if (isnan(value) || isinf(value) || value == 0)
		return 0;
	return value > 0 ? 1 : -1;
}

/*
 * The argument of an arithmetic operator that its result grows with (*sign 1) or
 * shrinks with (*sign -1), if the rest is constant; else NULL.
 */
static Node *
monotone_argument(OpExpr *operation, int *sign)
{
	Node	   *left = linitial(operation->args);
	Node	   *right = list_length(operation->args) == 2 ? lsecond(operation->args) : NULL;

	*sign = 1;
	set_opfuncid(operation);
	switch (operation->opfuncid)
	{
		case F_FLOAT8UP:
			return left;
		case F_FLOAT8UM:
			*sign = -1;
			return left;
		case F_FLOAT8PL:
		case F_FLOAT48PL:
		case F_FLOAT84PL:
			return vec_is_same_for_all(left) ? right : vec_is_same_for_all(right) ? left : NULL;
		case F_FLOAT8MI:
		case F_FLOAT48MI:
		case F_FLOAT84MI:
			if (vec_is_same_for_all(right))
				return left;
			*sign = -1;
			return vec_is_same_for_all(left) ? right : NULL;
		case F_FLOAT8MUL:
			*sign = sign_of_constant(left);
			if (*sign != 0)
				return right;
			*sign = sign_of_constant(right);
			return *sign != 0 ? left : NULL;
		case F_FLOAT8DIV:
			*sign = sign_of_constant(right);
			return *sign != 0 ? left : NULL;
		default:
			return NULL;
	}
}

/*
 * vec_order_of_expression
 *		Is this a distance, or arithmetic that grows or shrinks with one?
 *
 * Where the distance grows, the expression grows (or shrinks) or stays the same;
 * both are NULL, and NaN, for the same rows.
 */
bool
vec_order_of_expression(Node *expression, VecOrder *order)
{
	OpExpr	   *operation;
	int			sign = 1;

	order->shrinks = false;
	for (order->plain = true;; order->plain = false)
	{
		if (expression == NULL || !IsA(expression, OpExpr))
			return false;
		operation = (OpExpr *) expression;
		if (operation->opresulttype != FLOAT8OID || operation->opretset)
			return false;
		set_opfuncid(operation);
		if (list_length(operation->args) == 2 && func_strict(operation->opfuncid) &&
			vec_is_distance_function(operation->opfuncid))
			break;
		expression = monotone_argument(operation, &sign);
		if (sign < 0)
			order->shrinks = !order->shrinks;
	}
	order->distance = operation;
	return !contain_volatile_functions((Node *) operation) &&
		!contain_subplans((Node *) operation);
}

/*
 * vec_query_relids
 *		The rel of the FROM clause that rel is, or is a part of.
 */
Relids
vec_query_relids(RelOptInfo *rel)
{
	return rel->top_parent_relids != NULL ? rel->top_parent_relids : rel->relids;
}

/* an expression over the FROM clause's rel as one over rel, a part of it */
static Node *
expression_of_part(PlannerInfo *root, Node *node, Index rti)
{
	AppendRelInfo *part = root->append_rel_array ? root->append_rel_array[rti] : NULL;

	if (part == NULL)
		return node;
	node = expression_of_part(root, node, part->parent_relid);
	return adjust_appendrel_attrs(root, node, 1, &part);
}

/*
 * vec_order_of_pathkey
 *		The distance of rel's rows that a key of an order comes from: nearest
 *		first, by the default order of double precision.  False if there is none.
 *
 * Where the key descends, order->shrinks is true, and NULL and NaN come first
 * unless the key says otherwise.
 */
bool
vec_order_of_pathkey(PlannerInfo *root, RelOptInfo *rel, PathKey *key, VecOrder *order)
{
	TypeCacheEntry *float8 = lookup_type_cache(FLOAT8OID, TYPECACHE_BTREE_OPFAMILY);
	ListCell   *cell;

	if (key->pk_opfamily != float8->btree_opf || key->pk_eclass->ec_has_volatile)
		return false;
	foreach(cell, key->pk_eclass->ec_members)
	{
		EquivalenceMember *member = lfirst_node(EquivalenceMember, cell);
		Node	   *node = (Node *) member->em_expr;

		if (member->em_is_child || !bms_equal(member->em_relids, vec_query_relids(rel)))
			continue;
		node = expression_of_part(root, node, rel->relid);
		if (vec_order_of_expression(node, order) &&
			order->shrinks == !vec_pathkey_ascends_compat(key))
			return true;
	}
	return false;
}

/*
 * vec_distance_may_be_nan
 *		Are there vectors without a distance to others, as zero under cosine?
 */
bool
vec_distance_may_be_nan(OpExpr *distance)
{
	char	   *name = get_func_name(distance->opfuncid);

	return name == NULL ||
		(strcmp(name, "l2_distance") != 0 && strcmp(name, "l1_distance") != 0 &&
		 strcmp(name, "hamming_distance") != 0 &&
		 strstr(name, "_negative_inner_product") == NULL);
}

/*
 * vec_commute_distance
 *		b <-> a for a <-> b; NULL if there is no such operator.
 */
OpExpr *
vec_commute_distance(OpExpr *distance)
{
	Oid			commutator = get_commutator(distance->opno);
	OpExpr	   *result;

	if (!OidIsValid(commutator) || list_length(distance->args) != 2)
		return NULL;
	result = makeNode(OpExpr);
	*result = *distance;
	result->opno = commutator;
	result->opfuncid = get_opcode(commutator);
	result->args = list_make2(lsecond(distance->args), linitial(distance->args));
	return result;
}

/* does the operator hold for small left (or, commuted, right) arguments? */
static bool
is_less(Oid function, bool commuted)
{
	switch (function)
	{
		case F_FLOAT8LT:
		case F_FLOAT8LE:
		case F_FLOAT84LT:
		case F_FLOAT84LE:
		case F_FLOAT48LT:
		case F_FLOAT48LE:
			return !commuted;
		case F_FLOAT8GT:
		case F_FLOAT8GE:
		case F_FLOAT84GT:
		case F_FLOAT84GE:
		case F_FLOAT48GT:
		case F_FLOAT48GE:
			return commuted;
		default:
			return false;
	}
}

static bool
is_greater(Oid function, bool commuted)
{
	return is_less(function, !commuted);
}

/*
 * vec_is_stop_condition
 *		Is this a condition that, where it fails for one row, fails for all that
 *		are farther?
 *
 * distance < r is one.  1 - distance > r is one unless there are NaNs, which are
 * greater than all r.
 */
bool
vec_is_stop_condition(Node *clause, OpExpr *distance)
{
	OpExpr	   *comparison = (OpExpr *) clause;
	VecOrder	order;

	if (!IsA(clause, OpExpr) || list_length(comparison->args) != 2)
		return false;
	set_opfuncid(comparison);
	for (int i = 0; i < 2; i++)
	{
		Node	   *bound = list_nth(comparison->args, 1 - i);

		if (!vec_order_of_expression(list_nth(comparison->args, i), &order) ||
			!(equal(order.distance, distance) ||
			  equal(order.distance, vec_commute_distance(distance))) ||
			!vec_is_same_for_all(bound))
			continue;
		return order.shrinks ?
			is_greater(comparison->opfuncid, i == 1) &&
			!vec_distance_may_be_nan(order.distance) :
			is_less(comparison->opfuncid, i == 1);
	}
	return false;
}

/* is the clause NULL wherever the expression is? */
static bool
is_strict_in(Node *clause, Node *expression)
{
	List	   *args = NIL;
	ListCell   *cell;

	if (clause == NULL)
		return false;
	if (equal(clause, expression))
		return true;
	check_stack_depth();
	if (IsA(clause, RelabelType))
		return is_strict_in((Node *) ((RelabelType *) clause)->arg, expression);
	if (IsA(clause, FuncExpr) && func_strict(((FuncExpr *) clause)->funcid))
		args = ((FuncExpr *) clause)->args;
	else if (IsA(clause, OpExpr))
	{
		set_opfuncid((OpExpr *) clause);
		if (func_strict(((OpExpr *) clause)->opfuncid))
			args = ((OpExpr *) clause)->args;
	}
	foreach(cell, args)
	{
		if (is_strict_in((Node *) lfirst(cell), expression))
			return true;
	}
	return false;
}

/* does the clause drop rows for which the expression is NULL? */
static bool
drops_null(Node *clause, Node *expression)
{
	if (IsA(clause, NullTest))
		return ((NullTest *) clause)->nulltesttype == IS_NOT_NULL &&
			is_strict_in((Node *) ((NullTest *) clause)->arg, expression);
	return is_strict_in(clause, expression);
}

/* does a column of the table have a NOT NULL constraint that holds? */
static bool
is_not_null_column(RelOptInfo *rel, Oid relid, AttrNumber column)
{
	HeapTuple	tuple = SearchSysCacheAttNum(relid, column);
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return false;
	result = ((Form_pg_attribute) GETSTRUCT(tuple))->attnotnull;
	ReleaseSysCache(tuple);
	return result && vec_not_null_holds_compat(rel, column);
}

/*
 * vec_is_never_null
 *		Is an expression over columns of rel NULL for no row that the query's
 *		own filter, or the table's constraints, let through?
 *
 * Casts are taken to return a value for a value.
 */
bool
vec_is_never_null(PlannerInfo *root, RelOptInfo *rel, Node *expression)
{
	ListCell   *cell;

	foreach(cell, rel->baserestrictinfo)
	{
		if (drops_null((Node *) lfirst_node(RestrictInfo, cell)->clause, expression))
			return true;
	}
	if (IsA(expression, RelabelType))
		return vec_is_never_null(root, rel, (Node *) ((RelabelType *) expression)->arg);
	if (IsA(expression, FuncExpr) &&
		((FuncExpr *) expression)->funcformat != COERCE_EXPLICIT_CALL &&
		func_strict(((FuncExpr *) expression)->funcid))
		return vec_is_never_null(root, rel, linitial(((FuncExpr *) expression)->args));
	if (IsA(expression, Var) && ((Var *) expression)->varno == (int) rel->relid)
		return is_not_null_column(rel, planner_rt_fetch(rel->relid, root)->relid,
								  ((Var *) expression)->varattno);
	return false;
}
