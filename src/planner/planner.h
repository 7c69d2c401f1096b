/*-------------------------------------------------------------------------
 *
 * planner.h
 *	  The paths vecext offers to the planner.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_PLANNER_H
#define VECEXT_PLANNER_H

#include "postgres.h"

#include "nodes/pathnodes.h"

extern void vec_planner_init(void);

/* cached.c */
extern bool vec_wants_near_rows(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte);
extern void vec_add_cached_paths(PlannerInfo *root, RelOptInfo *rel);
extern PathTarget *vec_target_with_distance(PlannerInfo *root, RelOptInfo *rel,
											OpExpr *distance, bool junk);
extern void vec_reuse_distance_costs(PlannerInfo *root, RelOptInfo *rel);

#endif							/* VECEXT_PLANNER_H */
