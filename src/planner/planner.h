/*-------------------------------------------------------------------------
 *
 * planner.h
 *	  The paths vecext offers to the planner.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_PLANNER_H
#define VECEXT_PLANNER_H

extern void vec_planner_init(void);

#endif							/* VECEXT_PLANNER_H */
