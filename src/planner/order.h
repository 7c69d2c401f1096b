/*-------------------------------------------------------------------------
 *
 * order.h
 *	  Expressions that rows are ordered by, and the distance behind them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_ORDER_H
#define VECEXT_ORDER_H

#include "postgres.h"

#include "nodes/pathnodes.h"

/* what vecext.similarity_order allows */
typedef enum VecSimilarityOrder
{
	VEC_SIMILARITY_OFF,
	VEC_SIMILARITY_EXACT,
	VEC_SIMILARITY_ON
} VecSimilarityOrder;

/* an order by an expression that grows, or shrinks, with a distance */
typedef struct VecOrder
{
	OpExpr	   *distance;
	bool		shrinks;		/* as 1 - distance does */
	bool		plain;			/* the expression is the distance itself */
} VecOrder;

extern bool vec_is_same_for_all(Node *node);
extern bool vec_order_of_expression(Node *expression, VecOrder *order);
extern bool vec_order_of_pathkey(PlannerInfo *root, RelOptInfo *rel, PathKey *key,
								 VecOrder *order);
extern bool vec_distance_may_be_nan(OpExpr *distance);
extern OpExpr *vec_commute_distance(OpExpr *distance);
extern bool vec_is_stop_condition(Node *clause, OpExpr *distance);
extern bool vec_is_never_null(PlannerInfo *root, RelOptInfo *rel, Node *expression);
extern Relids vec_query_relids(RelOptInfo *rel);

extern void vec_add_ordered_paths(PlannerInfo *root, RelOptInfo *rel,
								  VecSimilarityOrder similarity, bool stops);
extern IndexPath *vec_cheapest_ordered_path(PlannerInfo *root, RelOptInfo *rel,
											OpExpr *distance, VecSimilarityOrder similarity);

extern bool vec_has_stop_condition(RelOptInfo *rel);
extern void vec_add_range_paths(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte);

/* filter_path.c */
extern List *vec_filter_clauses(PlannerInfo *root, IndexOptInfo *index, List *asked);
extern void vec_filter_paths(PlannerInfo *root, RelOptInfo *rel);

/* for explain_why.c */
extern IndexPath *vec_ordered_path(PlannerInfo *root, RelOptInfo *rel, IndexOptInfo *index,
								   List *clauses, PathKey *key, OpExpr *distance);
extern bool vec_order_places_null(PlannerInfo *root, RelOptInfo *rel, PathKey *key,
								  OpExpr *distance);
extern bool vec_order_places_none(PlannerInfo *root, RelOptInfo *rel, PathKey *key,
								  OpExpr *distance, VecSimilarityOrder similarity);

/* planner.c */
extern int	vec_similarity_order;	/* VecSimilarityOrder */

#endif							/* VECEXT_ORDER_H */
