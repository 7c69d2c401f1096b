/*-------------------------------------------------------------------------
 *
 * metric.h
 *	  All that an access method may know of a type and of a distance.
 *
 * An operator class names a metric by its support function 1, an SQL function
 * that returns a pointer to one of the rows of metric.c.  An access method
 * calls through it per value, never per element, and has no switch on types.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_METRIC_H
#define VECEXT_METRIC_H

#include "compat.h"

/* number of the support function that returns the metric */
#define VEC_METRIC_PROC 1

typedef enum VecMetricKind
{
	VEC_METRIC_L2,
	VEC_METRIC_IP,				/* inner product times -1 */
	VEC_METRIC_COSINE,
	VEC_METRIC_L1,
	VEC_METRIC_HAMMING,
	VEC_METRIC_JACCARD
} VecMetricKind;

/*
 * A "plain" value is detoasted, its size checked against its header; plain()
 * makes one, in the current memory context or in place, and raises XX001.
 * The other functions take plain values.
 */
typedef struct VecTypeOps
{
	const char *name;			/* for messages */
	const char *extent;			/* the same: what the type calls its dimensions */
	int			max_dim;		/* largest type modifier an index takes */
	size_t		(*size) (int dim);	/* most bytes of a plain value */
	bool		fixed_size;		/* every value of these dimensions has as many */
	struct varlena *(*plain) (Datum value);
	int			(*dim) (const struct varlena *value);

	/*
	 * The elements as floats, into an array of dim floats; NULL for types whose
	 * values are not arrays of numbers.  Only these can have compact codes.
	 */
	void		(*to_floats) (const struct varlena *value, float *x);

	/* non-zero elements, where they are what is stored; else NULL */
	int			(*nnz) (const struct varlena *value);

	/* a value near to n > 0 of equal dimensions, palloc'd: their mean or the like */
	struct varlena *(*mean) (struct varlena **rows, int n, VecMetricKind kind);
} VecTypeOps;

typedef struct VecMetric
{
	const VecTypeOps *type;
	VecMetricKind kind;

	/*
	 * What the operator returns, for plain values of equal dimensions: smaller
	 * is nearer.  NaN where the distance is not defined.
	 */
	double		(*distance) (const struct varlena *a, const struct varlena *b);

	/* false for a value without a distance to any other: zero under cosine */
	bool		(*is_defined) (const struct varlena *value);
} VecMetric;

#endif							/* VECEXT_METRIC_H */
