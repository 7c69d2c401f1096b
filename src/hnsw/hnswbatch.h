/*-------------------------------------------------------------------------
 *
 * hnswbatch.h
 *	  How wide the searches of a scan are: hnswbatch.c does it, hnswcost.c tells
 *	  the planner.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_HNSWBATCH_H
#define VECEXT_HNSWBATCH_H

/*
 * A search finds the nearest of its candidates completely, the farther ones
 * less and less.  So many are returned before a wider one: of the first, which
 * mostly is the last, and of those after it, whose rows are all read.
 */
#define RETURNED_FIRST(ef)		Max((ef) - (ef) / 4, Min(ef, 10))
#define RETURNED_LATER(reach)	((reach) / 3 * 2)

/* how much wider a search is, and how far one shall be able to go on */
#define WIDER		2
#define GO_ON		4

/* the next search is not likely the last, so the sweep may cost so many times as much */
#define SWEEP_TIMES		2
#define HEAD_BYTES		64		/* read of a slot by the sweep */

/* sweep at once when the first beam is more than this part */
#define SMALL_SHARE		2

/* results of the first search that are refined at once */
#define FIRST_REFINED	12

#endif							/* VECEXT_HNSWBATCH_H */
