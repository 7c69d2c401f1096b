/*-------------------------------------------------------------------------
 *
 * planner.c
 *	  Where vecext enters the planner, and the settings that keep it out.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "am/am_cost.h"
#include "nodes/extensible.h"
#include "optimizer/paths.h"
#include "optimizer/plancat.h"
#include "optimizer/planner.h"
#include "planner/bitmap.h"
#include "planner/explain.h"
#include "planner/order.h"
#include "planner/planner.h"
#include "planner/reuse.h"
#include "planner/topk.h"
#include "utils/guc.h"

static bool enable_topk = true;
static bool enable_bitmap = true;
static bool enable_distance_reuse = true;
int			vec_similarity_order = VEC_SIMILARITY_ON;

static const struct config_enum_entry similarity_options[] = {
	{"off", VEC_SIMILARITY_OFF, false},
	{"exact", VEC_SIMILARITY_EXACT, false},
	{"on", VEC_SIMILARITY_ON, false},
	{NULL, 0, false}
};

static const struct config_enum_entry strategy_options[] = {
	{"auto", BITMAP_NSTRATEGIES, false},
	{"exact", BITMAP_EXACT, false},
	{"restricted", BITMAP_RESTRICTED, false},
	{"filtered", BITMAP_FILTERED, false},
	{NULL, 0, false}
};

static set_rel_pathlist_hook_type previous_pathlist_hook = NULL;
static planner_hook_type previous_planner_hook = NULL;
static get_relation_info_hook_type previous_relation_hook = NULL;

/* our own */
static void
add_own_paths(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte)
{
	if (enable_topk)
		vec_add_topk_paths(root, rel, rte);
	vec_filter_paths(root, rel);
	if (enable_bitmap)
		vec_add_bitmap_path(root, rel, rte, (VecSimilarityOrder) vec_similarity_order);
	vec_add_ordered_paths(root, rel, (VecSimilarityOrder) vec_similarity_order,
						  enable_distance_reuse);
	if (enable_distance_reuse)
		vec_add_range_paths(root, rel, rte);
	vec_note_choices(root, rel, rte);
}

/* set_rel_pathlist_hook */
static void
add_paths(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte)
{
	AmPrices	prices;

	if (previous_pathlist_hook != NULL)
		previous_pathlist_hook(root, rel, rti, rte);
	if (!vec_wants_near_rows(root, rel, rte))
	{
		add_own_paths(root, rel, rte);
		return;
	}

	am_price_cached_pages(Max(root->total_table_pages, rel->pages), &prices);
	PG_TRY();
	{
		vec_add_cached_paths(root, rel);
		add_own_paths(root, rel, rte);
		if (enable_distance_reuse)
			vec_reuse_distance_costs(root, rel);
	}
	PG_FINALLY();
	{
		am_restore_prices(&prices);
	}
	PG_END_TRY();
}

/* get_relation_info_hook */
static void
edit_relation(PlannerInfo *root, Oid relation, bool inhparent, RelOptInfo *rel)
{
	if (previous_relation_hook != NULL)
		previous_relation_hook(root, relation, inhparent, rel);
	vec_hide_indexes(rel);
}

/* planner_hook */
static PlannedStmt *
plan_query(Query *parse, const char *query_string, int options, ParamListInfo params)
{
	PlannedStmt *stmt;

	if (previous_planner_hook != NULL)
		stmt = previous_planner_hook(parse, query_string, options, params);
	else
		stmt = standard_planner(parse, query_string, options, params);
	vec_finish_index_scans(stmt);
	if (enable_distance_reuse)
		vec_reuse_distances(stmt);
	return stmt;
}

/*
 * vec_planner_init
 *		Define the settings and enter the planner; called once per process.
 */
void
vec_planner_init(void)
{
	DefineCustomBoolVariable("vecext.enable_topk",
							 "Enables the planner's use of VectorTopK plans.",
							 "They answer ORDER BY distance LIMIT without an index.",
							 &enable_topk,
							 true,
							 PGC_USERSET, GUC_EXPLAIN,
							 NULL, NULL, NULL);
	DefineCustomBoolVariable("vecext.enable_bitmap",
							 "Enables the planner's use of VectorBitmap plans.",
							 "They answer WHERE ... ORDER BY distance LIMIT by other indexes.",
							 &enable_bitmap,
							 true,
							 PGC_USERSET, GUC_EXPLAIN,
							 NULL, NULL, NULL);
	DefineCustomEnumVariable("vecext.bitmap_strategy",
							 "Selects how VectorBitmap searches a set of rows.",
							 "Meant for tests and bug reports; \"auto\" is right otherwise.",
							 &bitmap_strategy,
							 BITMAP_NSTRATEGIES,
							 strategy_options,
							 PGC_USERSET, GUC_EXPLAIN | GUC_NOT_IN_SAMPLE,
							 NULL, NULL, NULL);
	DefineCustomBoolVariable("vecext.enable_distance_reuse",
							 "Enables the reuse of distances that an index has computed.",
							 "When off, they are computed again from each row of the result.",
							 &enable_distance_reuse,
							 true,
							 PGC_USERSET, GUC_EXPLAIN,
							 NULL, NULL, NULL);
	DefineCustomEnumVariable("vecext.similarity_order",
							 "Selects when an index orders by similarity, as 1 - distance DESC.",
							 "\"on\" if NULLs are not to come first, \"exact\" if no NaN could "
							 "either, \"off\" never.",
							 &vec_similarity_order,
							 VEC_SIMILARITY_ON,
							 similarity_options,
							 PGC_USERSET, GUC_EXPLAIN,
							 NULL, NULL, NULL);
	RegisterCustomScanMethods(&topk_scan_methods);
	RegisterCustomScanMethods(&bitmap_scan_methods);
	RegisterCustomScanMethods(&reuse_scan_methods);
	previous_pathlist_hook = set_rel_pathlist_hook;
	set_rel_pathlist_hook = add_paths;
	previous_relation_hook = get_relation_info_hook;
	get_relation_info_hook = edit_relation;
	previous_planner_hook = planner_hook;
	planner_hook = plan_query;
}
