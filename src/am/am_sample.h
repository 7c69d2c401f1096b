/*-------------------------------------------------------------------------
 *
 * am_sample.h
 *	  A sample of the table to be indexed.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_AM_SAMPLE_H
#define VECEXT_AM_SAMPLE_H

#include "compat.h"

#include "quant/quant.h"
#include "types/metric.h"
#include "utils/relcache.h"

typedef struct AmSample
{
	Relation	heap;
	Relation	rel;
	struct IndexInfo *info;
	const VecMetric *metric;
	int			dim;
	int			room;			/* rows wanted */

	/* takes a row to a place below room, which may be taken; NULL: count only */
	void		(*store) (void *context, int place, const struct varlena *plain);
	void	   *context;

	/* results */
	int			nrows;			/* stored */
	double		rows;			/* of the table, with a value; estimated */
	bool		whole;			/* all of it was read: rows is exact */
	Size		value_mean;		/* bytes of a plain value; estimated */
	Size		value_most;
} AmSample;

extern void am_sample(AmSample *sample);

#endif							/* VECEXT_AM_SAMPLE_H */
