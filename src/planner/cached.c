/*-------------------------------------------------------------------------
 *
 * cached.c
 *	  All plans of a query for the rows nearest to a value, priced by what is in
 *	  the cache and by the distances that they compute.
 *
 * The server prices pages as if most came from disk, except for what it knows
 * to be read again.  An index is judged by how long its search takes, mostly in
 * memory; so must be what it is compared with, or a bitmap of a hundred pages
 * seems ten times slower than it is.  README.md ("Prices").
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "am/am_cost.h"
#include "catalog/pg_class.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/tlist.h"
#include "planner/order.h"
#include "planner/planner.h"

/*
 * vec_wants_near_rows
 *		Is rel the only table of FROM, or a part of it, and the first key of the
 *		query's order a distance of its rows, or such a distance limited?
 */
bool
vec_wants_near_rows(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte)
{
	VecOrder	order;

	if (!IS_SIMPLE_REL(rel) || IS_DUMMY_REL(rel) ||
		rte->rtekind != RTE_RELATION || rte->inh || rte->tablesample != NULL ||
		(rte->relkind != RELKIND_RELATION && rte->relkind != RELKIND_MATVIEW) ||
		!bms_equal(vec_query_relids(rel), root->all_baserels))
		return false;
	return (root->query_pathkeys != NIL &&
			vec_order_of_pathkey(root, rel, linitial_node(PathKey, root->query_pathkeys),
								 &order)) ||
		vec_has_stop_condition(rel);
}

/*
 * vec_add_cached_paths
 *		The server's own paths again, at the prices now in force: they take the
 *		place of those that differ in nothing but cost.
 */
void
vec_add_cached_paths(PlannerInfo *root, RelOptInfo *rel)
{
	int			workers;

	add_path(rel, create_seqscan_path(root, rel, rel->lateral_relids, 0));
	if (rel->consider_parallel && rel->lateral_relids == NULL)
	{
		workers = compute_parallel_worker(rel, rel->pages, -1, max_parallel_workers_per_gather);
		if (workers > 0)
			add_partial_path(rel, create_seqscan_path(root, rel, NULL, workers));
	}
	create_index_paths(root, rel);
}

/* is the distance in the target list that the server puts on top of rel's paths? */
static bool
is_order_of_rows(PlannerInfo *root)
{
	Query	   *parse = root->parse;

	return root->query_pathkeys == root->sort_pathkeys && parse->sortClause != NIL &&
		parse->groupClause == NIL && parse->groupingSets == NIL && !parse->hasAggs &&
		!parse->hasWindowFuncs && parse->distinctClause == NIL && !parse->hasTargetSRFs &&
		parse->setOperations == NULL;
}

/*
 * vec_target_with_distance
 *		The target of rel's paths for a path whose rows come with their distance:
 *		the server adds no more than the rest of what its own target costs.
 *		"junk": only if nobody reads the distance, which otherwise is computed.
 */
PathTarget *
vec_target_with_distance(PlannerInfo *root, RelOptInfo *rel, OpExpr *distance, bool junk)
{
	PathTarget *target;
	QualCost	cost;

	if (!is_order_of_rows(root) ||
		(junk && !get_sortgroupclause_tle(linitial_node(SortGroupClause, root->parse->sortClause),
										  root->parse->targetList)->resjunk))
		return rel->reltarget;
	cost_qual_eval_node(&cost, (Node *) distance, root);
	target = copy_pathtarget(rel->reltarget);
	target->cost.per_tuple += cost.per_tuple;
	return target;
}

/*
 * vec_reuse_distance_costs
 *		Do not charge index scans for distances that the index has computed.
 */
void
vec_reuse_distance_costs(PlannerInfo *root, RelOptInfo *rel)
{
	ListCell   *cell;

	foreach(cell, rel->pathlist)
	{
		IndexPath  *path = (IndexPath *) lfirst(cell);
		VecOrder	order;

		if (IsA(path, IndexPath) && list_length(path->indexorderbys) == 1 &&
			path->path.pathtarget == rel->reltarget &&
			vec_order_of_expression(linitial(path->indexorderbys), &order))
			path->path.pathtarget = vec_target_with_distance(root, rel, order.distance, false);
	}
}
