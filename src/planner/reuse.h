/*-------------------------------------------------------------------------
 *
 * reuse.h
 *	  Distance once: what the index has computed is not computed again.
 *
 * VectorDistance, the plan node: custom_exprs holds the distance, one OpExpr,
 * and the conditions that end the scan where they fail; its outer plan is the
 * index scan, and OUTER_VAR 1 in its expressions is the distance.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_REUSE_H
#define VECEXT_REUSE_H

#include "postgres.h"

#include "nodes/extensible.h"
#include "nodes/plannodes.h"

typedef void (*PlanVisitor) (Plan *plan, void *context);

extern void vec_walk_plan(Plan *plan, PlanVisitor visitor, void *context);
extern void vec_finish_index_scans(PlannedStmt *stmt);
extern void vec_reuse_distances(PlannedStmt *stmt);

extern const CustomScanMethods reuse_scan_methods;

#endif							/* VECEXT_REUSE_H */
