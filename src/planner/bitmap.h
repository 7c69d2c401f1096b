/*-------------------------------------------------------------------------
 *
 * bitmap.h
 *	  VectorBitmap: what its planner half tells its executor half.
 *
 * custom_plans: the plan that makes the bitmap; then, if there is one, a scan of
 * an index that has the order, without a target list.
 *
 * custom_exprs, in the order of BitmapExprs.  custom_private: the members of
 * TopkPrivate, then those of BitmapPrivate.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_BITMAP_H
#define VECEXT_BITMAP_H

#include "postgres.h"

#include "nodes/extensible.h"
#include "nodes/pathnodes.h"
#include "planner/bitmap_cost.h"
#include "planner/order.h"
#include "planner/topk.h"

typedef enum BitmapExprs
{
	BITMAP_DISTANCE,
	BITMAP_COUNT,				/* LIMIT, a NULL constant if there is none */
	BITMAP_OFFSET,				/* OFFSET, likewise */
	BITMAP_RECHECK				/* what rows meet that the bitmap is sure of */
} BitmapExprs;

typedef enum BitmapPrivate
{
	BITMAP_COSTS = TOPK_NPRIVATE,	/* bitmap_costs_to_list() */
	BITMAP_STRATEGY,			/* the one expected, BitmapStrategy */
	BITMAP_BATCH				/* rows that are found at first; 0: LIMIT says how many */
} BitmapPrivate;

extern void vec_add_bitmap_path(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte,
								VecSimilarityOrder similarity);

extern const CustomScanMethods bitmap_scan_methods;

#endif							/* VECEXT_BITMAP_H */
