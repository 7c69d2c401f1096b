/*-------------------------------------------------------------------------
 *
 * explain_why.c
 *	  What keeps an index from returning the rows of a query in order: each rule
 *	  of order.c and order_path.c, said in words.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "am/am_cost.h"
#include "catalog/pg_index.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/paths.h"
#include "optimizer/tlist.h"
#include "planner/explain.h"
#include "planner/order.h"
#include "types/cost.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

/*--- the order of the query ------------------------------------------------*/

/* the first distance within an expression, as operator or call; else NULL */
static bool
find_distance(Node *node, Node **found)
{
	if (node == NULL)
		return false;
	if (IsA(node, OpExpr))
		set_opfuncid((OpExpr *) node);
	if ((IsA(node, OpExpr) && vec_is_distance_function(((OpExpr *) node)->opfuncid)) ||
		(IsA(node, FuncExpr) && vec_is_distance_function(((FuncExpr *) node)->funcid)))
	{
		*found = node;
		return true;
	}
	return expression_tree_walker(node, find_distance, found);
}

static List *
arguments_of(Node *distance)
{
	return IsA(distance, OpExpr) ? ((OpExpr *) distance)->args : ((FuncExpr *) distance)->args;
}

/* is the query's order that of its ORDER BY, or one of grouping ...? */
static bool
is_order_of_rows(PlannerInfo *root)
{
	Query	   *parse = root->parse;

	if (parse->setOperations != NULL || parse->groupClause != NIL ||
		parse->groupingSets != NIL || parse->hasAggs)
		return false;
	return root->query_pathkeys == root->sort_pathkeys;
}

/* may an outer join put NULLs in place of rel's rows? */
static bool
is_nullable(PlannerInfo *root, RelOptInfo *rel)
{
	Relids		relids = vec_query_relids(rel);
	ListCell   *cell;

	foreach(cell, root->join_info_list)
	{
		SpecialJoinInfo *join = lfirst_node(SpecialJoinInfo, cell);

		if ((join->jointype == JOIN_LEFT || join->jointype == JOIN_FULL) &&
			bms_overlap(relids, join->syn_righthand))
			return true;
		if (join->jointype == JOIN_FULL && bms_overlap(relids, join->syn_lefthand))
			return true;
	}
	return false;
}

/* why the two operands do not do; NULL if they do */
static const char *
why_not_operands(PlannerInfo *root, RelOptInfo *rel, Node *distance)
{
	List	   *args = arguments_of(distance);
	Node	   *left = linitial(args);
	Node	   *right = lsecond(args);

	if (contain_volatile_functions(distance))
		return "The value compared with is volatile: it may differ for each row.  A scalar "
			"subquery, (SELECT ...), is computed once.";
	if (contain_subplans(distance))
		return "The value compared with is a subquery that is computed for each row.";
	if (contain_var_clause(left) && contain_var_clause(right))
		return "Both operands of the distance have columns: one must be the same for all rows "
			"of the table.";
	if (!bms_overlap(pull_varnos(root, distance), vec_query_relids(rel)))
		return "ORDER BY has a distance of another table.";
	if (is_nullable(root, rel))
		return "An outer join puts NULLs in place of rows of the table, after it was read.";
	return NULL;
}

/* why the expression around a distance does not do; NULL if it does */
static const char *
why_not_expression(PlannerInfo *root, RelOptInfo *rel, PathKey *key, Node *expression,
				   Node *distance)
{
	VecOrder	order;

	if (!vec_order_of_expression(expression, &order))
		return "The distance is within an expression whose order need not be the distance's: "
			"only + - * / with values that are the same for all rows can be seen through.";
	if (!vec_order_of_pathkey(root, rel, key, &order))
		return order.shrinks == !vec_pathkey_ascends_compat(key) ?
			"ORDER BY is not by the default order of double precision." :
			"ORDER BY wants the farthest rows first: an index returns the nearest first.";
	return NULL;
}

/*
 * vec_why_not_ordered
 *		Why no index could return the rows of a table in the order of the query;
 *		NULL if one could.
 */
const char *
vec_why_not_ordered(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte)
{
	Query	   *parse = root->parse;
	Node	   *expression;
	Node	   *distance = NULL;
	const char *why;

	if (parse->sortClause == NIL)
		return "There is no ORDER BY at the table's level of the query.";
	if (!is_order_of_rows(root))
		return "Rows are grouped, aggregated, combined or made distinct before ORDER BY.";
	if (rte->tablesample != NULL)
		return "TABLESAMPLE reads the table itself.";
	if (root->query_pathkeys == NIL)
		return "ORDER BY is by a value that is the same for all rows.";
	expression = get_sortgroupclause_expr(linitial_node(SortGroupClause, parse->sortClause),
										  parse->targetList);
	find_distance(expression, &distance);
	if (distance == NULL)
		return "The first key of ORDER BY is not a distance.";
	why = why_not_operands(root, rel, distance);
	if (why != NULL)
		return why;
	return why_not_expression(root, rel, linitial_node(PathKey, root->query_pathkeys),
							  expression, distance);
}

/*--- an index ----------------------------------------------------------------*/

static IndexOptInfo *
find_index(RelOptInfo *rel, Oid oid)
{
	ListCell   *cell;

	foreach(cell, rel->indexlist)
	{
		if (lfirst_node(IndexOptInfo, cell)->indexoid == oid)
			return lfirst_node(IndexOptInfo, cell);
	}
	return NULL;
}

/* what an expression is without casts of one argument */
static Node *
without_casts(Node *node)
{
	for (;;)
	{
		if (IsA(node, RelabelType))
			node = (Node *) ((RelabelType *) node)->arg;
		else if (IsA(node, CoerceViaIO))
			node = (Node *) ((CoerceViaIO *) node)->arg;
		else if (IsA(node, FuncExpr) && ((FuncExpr *) node)->funcformat != COERCE_EXPLICIT_CALL &&
				 ((FuncExpr *) node)->args != NIL)
			node = linitial(((FuncExpr *) node)->args);
		else
			return node;
	}
}

static char *
opclass_of(Relation index)
{
	bool		isnull;
	Datum		classes = SysCacheGetAttr(INDEXRELID, index->rd_indextuple,
										  Anum_pg_index_indclass, &isnull);

	return generate_opclass_name(((oidvector *) DatumGetPointer(classes))->values[0]);
}

/* why an index does not have the distance; NULL if it has */
static const char *
why_not_distance(IndexOptInfo *info, Relation index, OpExpr *distance)
{
	ListCell   *cell;

	foreach(cell, distance->args)
	{
		Node	   *operand = (Node *) lfirst(cell);

		if (!contain_var_clause(operand))
			continue;
		if (match_index_to_operand(operand, 0, info))
			return psprintf("Its operator class %s does not serve the operator %s.",
							opclass_of(index), get_opname(distance->opno));
		if (match_index_to_operand(without_casts(operand), 0, info))
			return psprintf("The query casts the indexed column to %s: the cast must be in the "
							"index's expression, too.", format_type_be(exprType(operand)));
	}
	return "It is on another column or expression than the distance of ORDER BY.";
}

/* why the order's NULLs and NaNs are not where the index has them; NULL if they are */
static const char *
why_not_nulls(PlannerInfo *root, RelOptInfo *rel, PathKey *key, OpExpr *distance)
{
	if (!vec_order_places_null(root, rel, key, distance))
		return "ORDER BY puts NULLs first, which the index does not have: NULLS LAST, or a NOT "
			"NULL constraint or condition on the column, allows it.";
	if (!vec_order_places_none(root, rel, key, distance,
							   (VecSimilarityOrder) vec_similarity_order))
		return psprintf("vecext.similarity_order = %s keeps it from a descending similarity.",
						GetConfigOption("vecext.similarity_order", false, false));
	return NULL;
}

/* columns of the filter that the index does not have, as text; NULL if none */
static char *
columns_not_in(RelOptInfo *rel, Oid table, IndexOptInfo *info)
{
	Bitmapset  *columns = NULL;
	char	   *names = NULL;
	int			column = -1;
	ListCell   *cell;

	foreach(cell, rel->baserestrictinfo)
		pull_varattnos((Node *) lfirst_node(RestrictInfo, cell)->clause, rel->relid, &columns);
	for (int i = 0; i < info->nkeycolumns; i++)
		columns = bms_del_member(columns,
								 info->indexkeys[i] - FirstLowInvalidHeapAttributeNumber);
	while ((column = bms_next_member(columns, column)) >= 0)
	{
		AttrNumber	attnum = column + FirstLowInvalidHeapAttributeNumber;
		char	   *name = get_attname(table, attnum, true);

		if (attnum <= 0 || name == NULL)
			continue;
		names = names == NULL ? name : psprintf("%s, %s", names, name);
	}
	return names;
}

/* what there is to say about the use of an index */
static const char *
remark_on(PlannerInfo *root, RelOptInfo *rel, IndexOptInfo *info, Oid table)
{
	char	   *columns = columns_not_in(rel, table, info);
	double		tuples = Max(info->tuples, 1);

	if (root->parse->limitCount == NULL && root->limit_tuples < 0)
		return "There is no LIMIT, so all rows are wanted.";
	if (root->limit_tuples < 0)
		return "LIMIT is not known when the query is planned.";
	if (columns != NULL)
		return psprintf("About %.0f rows of the index are needed to find %.0f that pass the "
						"filter; columns of the filter that the index does not have: %s.",
						Min(tuples, root->limit_tuples * tuples / Max(rel->rows, 1)),
						root->limit_tuples, columns);
	return psprintf("LIMIT wants %.0f of about %.0f rows.", root->limit_tuples, rel->rows);
}

/*
 * vec_judge_index
 *		Fill in whether an index of rel could return the rows in order, and if not,
 *		why; called when vec_why_not_ordered() has found nothing.
 */
void
vec_judge_index(PlannerInfo *root, RelOptInfo *rel, Relation index, VecChoice *choice)
{
	IndexOptInfo *info = find_index(rel, RelationGetRelid(index));
	PathKey    *key = linitial_node(PathKey, root->query_pathkeys);
	VecOrder	order;
	IndexPath  *path;

	if (info == NULL)
	{
		choice->obstacle = index->rd_index->indisvalid ?
			"The planner was not told of it: it is newer than the transaction's snapshot, or "
			"hidden by another extension." :
			"It is not valid: REINDEX it.";
		return;
	}
	choice->remark = remark_on(root, rel, info, choice->table);
	if (info->indpred != NIL && !info->predOK)
	{
		choice->obstacle = "Its predicate does not follow from the query's filter.";
		return;
	}
	if (!vec_order_of_pathkey(root, rel, key, &order))
		return;
	path = vec_ordered_path(root, rel, info, vec_filter_clauses(root, info, NIL), key,
							order.distance);
	if (path == NULL)
	{
		choice->obstacle = why_not_distance(info, index, order.distance);
		return;
	}
	choice->obstacle = why_not_nulls(root, rel, key, order.distance);
	if (choice->obstacle == NULL && path->path.total_cost >= AM_NEVER && root->parse->rowMarks != NIL)
		choice->obstacle = "It returns rows by bounds of their distance (refine), in which they "
			"lose the address that FOR UPDATE and FOR SHARE lock.";
	if (choice->obstacle == NULL && !enable_indexscan)
		choice->obstacle = "enable_indexscan is off.";
}
