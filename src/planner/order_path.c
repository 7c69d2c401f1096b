/*-------------------------------------------------------------------------
 *
 * order_path.c
 *	  Offers index scans for orders that the server does not see an index has:
 *	  1 - distance descending, and distance followed by other keys; and for
 *	  distance < r, which an index by the distance answers from its beginning.
 *
 * README.md ("Orders") says which, and when the result is the same.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/sdir.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "planner/order.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

/* the argument of the distance that is the index's column, as a number; or -1 */
static int
index_argument(IndexOptInfo *index, int column, OpExpr *distance)
{
	for (int i = 0; i < 2; i++)
	{
		Node	   *value = list_nth(distance->args, 1 - i);

		if (match_index_to_operand(list_nth(distance->args, i), column, index) &&
			!contain_var_clause(value) && !contain_volatile_functions(value))
			return i;
	}
	return -1;
}

/* the distance with the index's column on the left, if the index orders by it */
static OpExpr *
distance_of_index(IndexOptInfo *index, int column, OpExpr *distance, Oid sort_family)
{
	int			argument = index_argument(index, column, distance);
	Oid			operator = distance->opno;
	OpExpr	   *clause;

	if (argument == 1)
		operator = get_commutator(operator);
	if (argument < 0 || !OidIsValid(operator) ||
		get_op_opfamily_sortfamily(operator, index->opfamily[column]) != sort_family)
		return NULL;
	clause = makeNode(OpExpr);
	*clause = *distance;
	clause->opno = operator;
	clause->opfuncid = get_opcode(operator);
	if (argument == 1)
		clause->args = list_make2(lsecond(distance->args), linitial(distance->args));
	return clause;
}

/* the part of the rows that conditions which end the scan let through */
static double
share_before_stop(PlannerInfo *root, RelOptInfo *rel, OpExpr *distance)
{
	List	   *stop = NIL;
	ListCell   *cell;

	foreach(cell, rel->baserestrictinfo)
	{
		RestrictInfo *info = lfirst_node(RestrictInfo, cell);

		if (vec_is_stop_condition((Node *) info->clause, distance))
			stop = lappend(stop, info);
	}
	return clauselist_selectivity(root, stop, 0, JOIN_INNER, NULL);
}

/*
 * vec_ordered_path
 *		The first key of the order by this index, with these conditions of it, if it has
 *		the distance; else NULL.
 */
IndexPath *
vec_ordered_path(PlannerInfo *root, RelOptInfo *rel, IndexOptInfo *index, List *clauses,
				 PathKey *key, OpExpr *distance)
{
	if (!index->amcanorderbyop || !index->amhasgettuple ||
		(index->indpred != NIL && !index->predOK))
		return NULL;
	for (int column = 0; column < index->nkeycolumns; column++)
	{
		OpExpr	   *clause = distance_of_index(index, column, distance, key->pk_opfamily);

		if (clause != NULL)
			return create_index_path(root, index, clauses, list_make1(clause),
									 list_make1_int(column), list_make1(key),
									 ForwardScanDirection, false, rel->lateral_relids, 1.0,
									 false);
	}
	return NULL;
}

/* offer it; the scan is ended after "share" of the rows */
static void
add_path_of_index(PlannerInfo *root, RelOptInfo *rel, IndexOptInfo *index, PathKey *key,
				  OpExpr *distance, double share)
{
	IndexPath  *path = vec_ordered_path(root, rel, index,
										vec_filter_clauses(root, index, NIL), key, distance);

	if (path == NULL)
		return;
	path->path.total_cost = path->path.startup_cost +
		share * (path->path.total_cost - path->path.startup_cost);
	add_path(rel, &path->path);
}

/*
 * vec_order_places_null
 *		An index does not have NULLs.  Is that where the key wants them?
 */
bool
vec_order_places_null(PlannerInfo *root, RelOptInfo *rel, PathKey *key, OpExpr *distance)
{
	Node	   *value = linitial(distance->args);

	if (contain_var_clause(lsecond(distance->args)))
		value = lsecond(distance->args);
	return !key->pk_nulls_first || vec_is_never_null(root, rel, value);
}

/*
 * vec_order_places_none
 *		An index returns rows without a distance last: NaN after all others, NULL
 *		not at all.  Is that where the key wants them?
 */
bool
vec_order_places_none(PlannerInfo *root, RelOptInfo *rel, PathKey *key, OpExpr *distance,
					  VecSimilarityOrder similarity)
{
	return vec_order_places_null(root, rel, key, distance) &&
		(vec_pathkey_ascends_compat(key) || similarity == VEC_SIMILARITY_ON ||
		 (similarity == VEC_SIMILARITY_EXACT && !vec_distance_may_be_nan(distance)));
}

/*
 * vec_add_ordered_paths
 *		Offer index scans for the first key of the query's order.  "stops": will
 *		VectorDistance end them where the filter says so?
 */
void
vec_add_ordered_paths(PlannerInfo *root, RelOptInfo *rel, VecSimilarityOrder similarity,
					  bool stops)
{
	PathKey    *key;
	VecOrder	order;
	double		share = 1;
	ListCell   *cell;

	if (root->query_pathkeys == NIL || rel->indexlist == NIL || IS_DUMMY_REL(rel))
		return;
	key = linitial_node(PathKey, root->query_pathkeys);
	if (!vec_order_of_pathkey(root, rel, key, &order) ||
		!vec_order_places_none(root, rel, key, order.distance, similarity))
		return;
	if (stops)
		share = share_before_stop(root, rel, order.distance);
	/* the server has done so itself */
	if (share == 1 && order.plain && !key->pk_nulls_first &&
		list_length(root->query_pathkeys) == 1)
		return;

	foreach(cell, rel->indexlist)
		add_path_of_index(root, rel, lfirst_node(IndexOptInfo, cell), key, order.distance, share);
}

/* the key of an order by a distance */
static PathKey *
key_of_distance(PlannerInfo *root, OpExpr *distance)
{
	TypeCacheEntry *float8 = lookup_type_cache(FLOAT8OID,
											   TYPECACHE_BTREE_OPFAMILY | TYPECACHE_EQ_OPR);
	EquivalenceClass *eclass;

	eclass = vec_eclass_for_sort_compat(root, (Expr *) distance,
										get_mergejoin_opfamilies(float8->eq_opr), FLOAT8OID);
	return make_canonical_pathkey(root, eclass, float8->btree_opf, VEC_ASCENDING_COMPAT, false);
}

/* the distance that a condition ends scans by, or NULL */
static OpExpr *
distance_of_condition(Node *clause)
{
	VecOrder	order;

	if (!IsA(clause, OpExpr) || list_length(((OpExpr *) clause)->args) != 2)
		return NULL;
	for (int i = 0; i < 2; i++)
	{
		if (vec_order_of_expression(list_nth(((OpExpr *) clause)->args, i), &order) &&
			vec_is_stop_condition(clause, order.distance))
			return order.distance;
	}
	return NULL;
}

/*
 * vec_has_stop_condition
 *		Is there a condition on rel's rows that ends scans by a distance?
 */
bool
vec_has_stop_condition(RelOptInfo *rel)
{
	ListCell   *cell;

	foreach(cell, rel->baserestrictinfo)
	{
		if (distance_of_condition((Node *) lfirst_node(RestrictInfo, cell)->clause) != NULL)
			return true;
	}
	return false;
}

/*
 * vec_add_range_paths
 *		Offer index scans that VectorDistance ends, for conditions on a distance
 *		that nothing is ordered by.
 *
 * Only where rows are read, for an approximate index may miss some; and for
 * tables by themselves: the server would take the key for one of all parts.
 */
void
vec_add_range_paths(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte)
{
	ListCell   *cell;

	if (rel->reloptkind != RELOPT_BASEREL || rte->rtekind != RTE_RELATION || rte->inh ||
		rel->indexlist == NIL || IS_DUMMY_REL(rel) ||
		root->parse->commandType != CMD_SELECT || root->parse->rowMarks != NIL)
		return;
	foreach(cell, rel->baserestrictinfo)
	{
		RestrictInfo *info = lfirst_node(RestrictInfo, cell);
		OpExpr	   *distance = distance_of_condition((Node *) info->clause);
		ListCell   *other;
		PathKey    *key;
		double		share;

		if (distance == NULL)
			continue;
		key = key_of_distance(root, distance);
		/* offered for the query's own order */
		if (root->query_pathkeys != NIL && linitial(root->query_pathkeys) == key)
			continue;
		share = share_before_stop(root, rel, distance);
		foreach(other, rel->indexlist)
			add_path_of_index(root, rel, lfirst_node(IndexOptInfo, other), key, distance, share);
	}
}

/*
 * vec_cheapest_ordered_path
 *		The index scan that has rel's first rows by a distance soonest, whatever
 *		the filter lets through; NULL if there is none.
 */
IndexPath *
vec_cheapest_ordered_path(PlannerInfo *root, RelOptInfo *rel, OpExpr *distance,
						  VecSimilarityOrder similarity)
{
	PathKey    *key = linitial_node(PathKey, root->query_pathkeys);
	double		rows = rel->rows;
	IndexPath  *cheapest = NULL;
	ListCell   *cell;

	if (!vec_order_places_none(root, rel, key, distance, similarity))
		return NULL;
	rel->rows = Max(rel->tuples, 1);	/* cost estimates look there */
	foreach(cell, rel->indexlist)
	{
		IndexPath  *path = vec_ordered_path(root, rel, lfirst_node(IndexOptInfo, cell), NIL, key,
										 distance);

		if (path != NULL && (cheapest == NULL ||
							 path->path.startup_cost < cheapest->path.startup_cost))
			cheapest = path;
	}
	rel->rows = rows;
	return cheapest;
}
