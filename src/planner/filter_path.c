/*-------------------------------------------------------------------------
 *
 * filter_path.c
 *	  Gives conditions on filter columns to index scans that order by a distance,
 *	  where the server does not do so itself.
 *
 * Before PostgreSQL 17 it takes an index for unordered if "= ANY" is asked of any
 * column but the first, and before 16 it knows boolean columns (WHERE active) of
 * its own access methods only.  Scans that we offer for other orders
 * (order_path.c) have no conditions at first.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/transam.h"
#include "am/am_check.h"
#include "catalog/pg_operator_d.h"
#include "catalog/pg_type_d.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "planner/order.h"
#include "utils/lsyscache.h"

/* what is not the column: no column of the table, and the same for all its rows */
static bool
is_constant(Node *node)
{
	return !contain_var_clause(node) && !contain_volatile_functions(node);
}

/* a condition "left operator right" on the index's column */
static bool
matches(IndexOptInfo *index, int column, Node *left, Node *right, Oid operator, Oid collation)
{
	Oid			wanted = index->indexcollations[column];

	return match_index_to_operand(left, column, index) && is_constant(right) &&
		(!OidIsValid(wanted) || wanted == collation) &&
		op_in_opfamily(operator, index->opfamily[column]);
}

static RestrictInfo *
match_operator(IndexOptInfo *index, int column, RestrictInfo *info, OpExpr *clause)
{
	Oid			commutator;

	if (list_length(clause->args) != 2)
		return NULL;
	if (matches(index, column, linitial(clause->args), lsecond(clause->args), clause->opno,
				clause->inputcollid))
		return info;
	commutator = get_commutator(clause->opno);
	if (OidIsValid(commutator) &&
		matches(index, column, lsecond(clause->args), linitial(clause->args), commutator,
				clause->inputcollid))
		return commute_restrictinfo(info, commutator);
	return NULL;
}

/* WHERE column, NOT column, column IS TRUE or FALSE */
static RestrictInfo *
match_boolean(PlannerInfo *root, IndexOptInfo *index, int column, Expr *clause)
{
	bool		value = true;

	if (index->opcintype[column] != BOOLOID)
		return NULL;
	if (is_notclause(clause))
	{
		clause = get_notclausearg(clause);
		value = false;
	}
	else if (IsA(clause, BooleanTest))
	{
		BoolTestType type = ((BooleanTest *) clause)->booltesttype;

		if (type != IS_TRUE && type != IS_FALSE)
			return NULL;
		value = type == IS_TRUE;
		clause = ((BooleanTest *) clause)->arg;
	}
	if (!match_index_to_operand((Node *) clause, column, index))
		return NULL;
	clause = make_opclause(BooleanEqualOperator, BOOLOID, false, clause,
						   (Expr *) makeBoolConst(value, false), InvalidOid, InvalidOid);
	return make_simple_restrictinfo(root, clause);
}

/* what an index is asked for a condition of the query, on a column; or NULL */
static RestrictInfo *
match_column(PlannerInfo *root, IndexOptInfo *index, int column, RestrictInfo *info)
{
	Expr	   *clause = info->clause;

	if (IsA(clause, OpExpr))
		return match_operator(index, column, info, (OpExpr *) clause);
	if (IsA(clause, ScalarArrayOpExpr))
	{
		ScalarArrayOpExpr *any = (ScalarArrayOpExpr *) clause;

		return any->useOr && matches(index, column, linitial(any->args), lsecond(any->args),
									 any->opno, any->inputcollid) ? info : NULL;
	}
	if (IsA(clause, NullTest) && !((NullTest *) clause)->argisrow)
		return match_index_to_operand((Node *) ((NullTest *) clause)->arg, column, index) ?
			info : NULL;
	return match_boolean(root, index, column, clause);
}

/* whether a condition of the query is among those of the index already */
static bool
is_asked(List *clauses, RestrictInfo *info)
{
	ListCell   *cell;

	foreach(cell, clauses)
	{
		if (lfirst_node(IndexClause, cell)->rinfo == info)
			return true;
	}
	return false;
}

/* conditions of the query on a column that are not among "clauses", added to them */
static List *
add_conditions(PlannerInfo *root, IndexOptInfo *index, int column, List *clauses)
{
	ListCell   *cell;

	foreach(cell, index->indrestrictinfo)
	{
		RestrictInfo *info = lfirst_node(RestrictInfo, cell);
		RestrictInfo *condition;
		IndexClause *clause;

		if (info->pseudoconstant || !restriction_is_securely_promotable(info, index->rel) ||
			is_asked(clauses, info))
			continue;
		condition = match_column(root, index, column, info);
		if (condition == NULL)
			continue;
		clause = makeNode(IndexClause);
		clause->rinfo = info;
		clause->indexquals = list_make1(condition);
		clause->indexcol = (AttrNumber) column;
		clauses = lappend(clauses, clause);
	}
	return clauses;
}

static bool
has_filters(const IndexOptInfo *index)
{
	return index->nkeycolumns > 1 && index->amcanorderbyop && index->amhasgettuple &&
		index->relam >= FirstNormalObjectId && am_is_ours(index->relam);
}

/*
 * vec_filter_clauses
 *		Conditions on filter columns as an index is asked for them, beside those
 *		that it is asked for already; in order of columns.
 */
List *
vec_filter_clauses(PlannerInfo *root, IndexOptInfo *index, List *asked)
{
	List	   *clauses = NIL;
	ListCell   *cell;

	if (!has_filters(index))
		return asked;
	for (int column = 0; column < index->nkeycolumns; column++)
	{
		foreach(cell, asked)
		{
			if (lfirst_node(IndexClause, cell)->indexcol == column)
				clauses = lappend(clauses, lfirst(cell));
		}
		if (column > 0)
			clauses = add_conditions(root, index, column, clauses);
	}
	return clauses;
}

/*
 * vec_filter_paths
 *		Replace ordered scans that leave conditions to the executor.
 */
void
vec_filter_paths(PlannerInfo *root, RelOptInfo *rel)
{
	List	   *paths = NIL;
	ListCell   *cell;

	foreach(cell, rel->pathlist)
	{
		IndexPath  *path = lfirst(cell);

		if (IsA(path, IndexPath) && path->indexorderbys != NIL && path->path.param_info == NULL)
			paths = lappend(paths, path);
	}
	foreach(cell, paths)
	{
		IndexPath  *path = lfirst_node(IndexPath, cell);
		List	   *clauses = vec_filter_clauses(root, path->indexinfo, path->indexclauses);

		if (list_length(clauses) == list_length(path->indexclauses))
			continue;
		rel->pathlist = list_delete_ptr(rel->pathlist, path);
		add_path(rel, (Path *)
				 create_index_path(root, path->indexinfo, clauses, path->indexorderbys,
								   path->indexorderbycols, path->path.pathkeys,
								   ForwardScanDirection, false, rel->lateral_relids, 1.0, false));
	}
}
