/*-------------------------------------------------------------------------
 *
 * mean.c
 *	  Middles of plain values: what is near to all of them.
 *
 * The mean of dense and sparse values, the median of sparse ones for L1, the
 * majority of bits.  Equal values have themselves as their middle.
 *
 *-------------------------------------------------------------------------
 */
#include "types/mean.h"

#include <math.h>

#include "kernels/kernels.h"
#include "miscadmin.h"
#include "types/sparsevec.h"
#include "utils/varbit.h"

/* elements a sparse mean keeps, for each that a value has on average */
#define SPARSE_KEEP		2
#define SPARSE_LEAST	16

typedef struct Element
{
	int32		index;
	float		value;
} Element;

/*
 * dense_mean
 *		The mean of n > 0 values of equal dimensions, palloc'd.
 */
struct varlena *
dense_mean(const DenseType *type, struct varlena **rows, int n)
{
	int			dim = ((const DenseVector *) rows[0])->dim;
	Size		size = dense_size(type, dim);
	DenseVector *result = palloc0(size);
	double	   *sum = palloc0(sizeof(double) * dim);
	float	   *mean;

	SET_VARSIZE(result, size);
	result->dim = (int16) dim;
	for (int i = 0; i < n; i++)
	{
		const DenseVector *row = (const DenseVector *) rows[i];
		const float *x = type->widen(row);

		for (int j = 0; j < dim; j++)
			sum[j] += x[j];
		if ((const char *) x != row->x)
			pfree((void *) x);
	}
	mean = type->scratch(result);
	for (int j = 0; j < dim; j++)
		mean[j] = (float) (sum[j] / n);
	type->narrow(mean, result);
	if ((char *) mean != result->x)
		pfree(mean);
	pfree(sum);
	return (struct varlena *) result;
}

/* by index, then by value */
static int
compare_elements(const void *a, const void *b)
{
	const Element *x = a;
	const Element *y = b;

	if (x->index != y->index)
		return x->index < y->index ? -1 : 1;
	return x->value < y->value ? -1 : x->value > y->value;
}

/* the largest first, then by index */
static int
compare_sizes(const void *a, const void *b)
{
	const Element *x = a;
	const Element *y = b;
	float		p = fabsf(x->value);
	float		q = fabsf(y->value);

	if (p != q)
		return p > q ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

/* all elements of the values, sorted; of length 1 where the angle counts */
static int64
gather_elements(struct varlena **rows, int n, VecMetricKind kind, Element *all)
{
	int64		nall = 0;

	for (int i = 0; i < n; i++)
	{
		const SparseVector *row = (const SparseVector *) rows[i];
		const float *values = SPARSEVEC_VALUES(row);
		double		weight = 1;

		if (kind == VEC_METRIC_IP || kind == VEC_METRIC_COSINE)
			weight = 1 / sqrt(vec_kernels->normsq_f32(values, row->nnz));
		if (!isfinite(weight))
			continue;
		for (int j = 0; j < row->nnz; j++)
		{
			all[nall].index = row->index[j];
			all[nall++].value = (float) (values[j] * weight);
		}
	}
	qsort(all, nall, sizeof(Element), compare_elements);
	return nall;
}

/* the median of n numbers: c > 0 of them, sorted, and zeros */
static float
median(const Element *sorted, int64 c, int n)
{
	int64		negative = 0;
	int64		zeros = n - c;

	while (negative < c && sorted[negative].value < 0)
		negative++;
	if (n / 2 < negative)
		return sorted[n / 2].value;
	return n / 2 < negative + zeros ? 0 : sorted[n / 2 - zeros].value;
}

/* one element for each index, in place; returns how many are not zero */
static int64
merge_elements(Element *all, int64 nall, int n, VecMetricKind kind)
{
	int64		merged = 0;

	for (int64 i = 0, next; i < nall; i = next)
	{
		Element		element = all[i];
		double		sum = 0;

		for (next = i; next < nall && all[next].index == element.index; next++)
			sum += all[next].value;
		element.value = kind == VEC_METRIC_L1 ? median(all + i, next - i, n) : (float) (sum / n);
		if (element.value != 0)
			all[merged++] = element;
	}
	return merged;
}

/*
 * sparse_mean
 *		The mean of n > 0 sparse values of equal dimensions, or of their
 *		directions, or the median of each element for L1; palloc'd.
 *
 * Only the largest elements are kept: twice as many as the values have on
 * average, so that distances to it take little longer than between values.
 */
struct varlena *
sparse_mean(struct varlena **rows, int n, VecMetricKind kind)
{
	int64		nall = 0;
	int64		keep;
	Element    *all;
	SparseVector *result;

	for (int i = 0; i < n; i++)
		nall += ((const SparseVector *) rows[i])->nnz;
	keep = Min(Max(nall / n * SPARSE_KEEP, SPARSE_LEAST), SPARSEVEC_MAX_NNZ);
	all = MemoryContextAllocHuge(CurrentMemoryContext,
								 mul_size(sizeof(Element), (Size) nall + 1));
	nall = gather_elements(rows, n, kind, all);
	nall = merge_elements(all, nall, n, kind);
	if (nall > keep)
	{
		qsort(all, nall, sizeof(Element), compare_sizes);
		nall = keep;
		qsort(all, nall, sizeof(Element), compare_elements);
	}

	result = palloc0(SPARSEVEC_SIZE(nall));
	SET_VARSIZE(result, SPARSEVEC_SIZE(nall));
	result->dim = ((const SparseVector *) rows[0])->dim;
	result->nnz = (int32) nall;
	for (int64 i = 0; i < nall; i++)
	{
		result->index[i] = all[i].index;
		SPARSEVEC_VALUES(result)[i] = all[i].value;
	}
	pfree(all);
	return (struct varlena *) result;
}

/* the least count of a bit at which at most "most" bits are as frequent */
static int32
least_count(const int32 *count, int dim, int n, int64 most)
{
	int64	   *bits = palloc0(sizeof(int64) * ((Size) n + 1));
	int64		sum = 0;
	int32		least = n;

	for (int i = 0; i < dim; i++)
		bits[count[i]]++;
	for (; least > 0; least--)
	{
		sum += bits[least];
		if (sum > most)
			break;
	}
	pfree(bits);
	return least + 1;
}

/*
 * bit_mean
 *		The bits that most of n > 0 values of equal length have; palloc'd.
 *
 * For Jaccard as many as the values have on average: where few bits are set, no
 * bit need be in most values.
 */
struct varlena *
bit_mean(struct varlena **rows, int n, VecMetricKind kind)
{
	int			dim = VARBITLEN((VarBit *) rows[0]);
	Size		size = VARBITTOTALLEN(dim);
	VarBit	   *result = palloc0(size);
	int32	   *count = palloc0(sizeof(int32) * dim);
	int64		set = 0;
	int32		least = n / 2 + 1;

	for (int i = 0; i < n; i++)
	{
		const bits8 *bits = VARBITS((VarBit *) rows[i]);

		for (int j = 0; j < dim; j++)
			count[j] += bits[j / BITS_PER_BYTE] >> (BITS_PER_BYTE - 1 - j % BITS_PER_BYTE) & 1;
	}
	for (int j = 0; j < dim; j++)
		set += count[j];
	if (kind == VEC_METRIC_JACCARD)
		least = least_count(count, dim, n, (set + n - 1) / n);

	SET_VARSIZE(result, size);
	VARBITLEN(result) = dim;
	for (int j = 0; j < dim; j++)
	{
		if (count[j] >= least)
			VARBITS(result)[j / BITS_PER_BYTE] |= 1 << (BITS_PER_BYTE - 1 - j % BITS_PER_BYTE);
	}
	pfree(count);
	return (struct varlena *) result;
}
