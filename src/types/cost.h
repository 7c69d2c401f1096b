/*-------------------------------------------------------------------------
 *
 * cost.h
 *	  What the planner's side may know of distance functions.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_TYPES_COST_H
#define VECEXT_TYPES_COST_H

#include "compat.h"

extern bool vec_is_distance_function(Oid function);

#endif							/* VECEXT_TYPES_COST_H */
