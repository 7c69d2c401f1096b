/*-------------------------------------------------------------------------
 *
 * mean.h
 *	  Middles of plain values, for metric.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_MEAN_H
#define VECEXT_MEAN_H

#include "types/dense.h"
#include "types/metric.h"

extern struct varlena *dense_mean(const DenseType *type, struct varlena **rows, int n);
extern struct varlena *sparse_mean(struct varlena **rows, int n, VecMetricKind kind);
extern struct varlena *bit_mean(struct varlena **rows, int n, VecMetricKind kind);

#endif							/* VECEXT_MEAN_H */
