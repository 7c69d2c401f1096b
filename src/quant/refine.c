/*-------------------------------------------------------------------------
 *
 * refine.c
 *	  Refine records: what the last candidates are ranked by.
 *
 * A record gives a distance and a lower bound for what the SQL operator will
 * compute.  The bound must hold always: an index that returns a larger one
 * makes the executor fail.  So it allows for the residual of the record, for
 * rounding here, and for the float kernels behind the operator.
 *
 *-------------------------------------------------------------------------
 */
#include "quant/quant.h"

#include <math.h>
#include <string.h>

#include "kernels/distance.h"

/*
 * What a float kernel may be wrong by, relative to the sum of the absolute
 * terms: 80 half units by the kernels' contract, on both sides, and as much
 * again.
 */
#define SUM_ERROR	2e-5

/* products too small for a float: 16,000 of them, and as much again */
#define LOST_SUM	1e-33

typedef struct Int8Head
{
	float		residual;
	float		offset;
	float		step;
} Int8Head;

/*
 * refine_size
 *		Bytes of a record.
 */
size_t
refine_size(RefineKind kind, int dim)
{
	switch (kind)
	{
		case REFINE_FULL:
			return (size_t) dim * sizeof(float);
		case REFINE_HALF:
			return sizeof(float) + ((size_t) dim * sizeof(vec_half) + 3) / 4 * 4;
		case REFINE_INT8:
			return sizeof(Int8Head) + ((size_t) dim + 3) / 4 * 4;
		case REFINE_HEAP:
			break;
	}
	return 0;
}

/* a float not below x */
static float
round_length_up(double x)
{
	return x < 3e38 ? (float) (x * (1 + 0x1p-22) + 1e-44) : INFINITY;
}

static void
encode_half(const float *x, int dim, uint8_t *record)
{
	float		residual;
	double		sum = 0;

	for (int i = 0; i < dim; i++)
	{
		vec_half	half;
		float		back;

		vec_kernels->float_to_half(x + i, &half, 1);
		if ((half & 0x7fff) == 0x7c00)
			half--;				/* too large: the largest finite one */
		memcpy(record + sizeof(residual) + (size_t) i * sizeof(half), &half, sizeof(half));
		vec_kernels->half_to_float(&half, &back, 1);
		sum += ((double) x[i] - back) * ((double) x[i] - back);
	}
	residual = round_length_up(sqrt(sum));
	memcpy(record, &residual, sizeof(residual));
}

static void
encode_int8(const float *x, int dim, uint8_t *record)
{
	uint8_t    *levels = record + sizeof(Int8Head);
	Int8Head	head;
	double		low = x[0];
	double		high = x[0];
	double		sum = 0;
	double		inverse_step;
	double		largest;

	for (int i = 1; i < dim; i++)
	{
		low = fmin(low, x[i]);
		high = fmax(high, x[i]);
	}
	/* of the largest floats only the bound is lost */
	if (high - low > 3e38)
		high = low + 3e38;
	head.offset = (float) low;
	head.step = (float) ((high - low) / 255);
	inverse_step = head.step > 0 ? 1 / (double) head.step : 0;

	for (int i = 0; i < dim; i++)
	{
		double		level = floor((x[i] - low) * inverse_step + 0.5);
		double		back;

		levels[i] = (uint8_t) (level < 0 ? 0 : level < 255 ? level : 255);
		back = (double) head.offset + (double) head.step * levels[i];
		sum += (x[i] - back) * (x[i] - back);
	}

	/* the kernels decode in float: two roundings of at most the largest value */
	largest = fmax(fabs(low), fabs(high));
	head.residual = round_length_up(sqrt(sum) + sqrt((double) dim) * 0x1p-21 * largest);
	memcpy(record, &head, sizeof(head));
}

/*
 * refine_encode
 *		Write the record of x: dim finite floats.  A record is aligned for float.
 *
 * For cosine x need not have length 1.
 */
void
refine_encode(RefineKind kind, const float *x, int dim, uint8_t *record)
{
	memset(record, 0, refine_size(kind, dim));
	if (kind == REFINE_FULL)
		memcpy(record, x, (size_t) dim * sizeof(float));
	else if (kind == REFINE_HALF)
		encode_half(x, dim, record);
	else if (kind == REFINE_INT8)
		encode_int8(x, dim, record);
}

/*
 * refine_query_norm
 *		Length of a query, for refine_distance().
 */
double
refine_query_norm(const float *q, int dim)
{
	return sqrt(vec_kernels->normsq_f32(q, dim));
}

/* the three sums between query and decoded record */
typedef struct Sums
{
	double		l2sq;
	double		dot;
	double		normsq;			/* of the decoded vector */
} Sums;

static Sums
sums_half(QuantMetric metric, const float *q, const uint8_t *record, int dim)
{
	const vec_half *half = (const vec_half *) (const void *) (record + sizeof(float));
	Sums		sums = {0, 0, 0};
	float		one;

	if (metric == QUANT_L2)
	{
		vec_kernels->l2sq_many_f16(q, half, (size_t) dim, 1, dim, &one);
		sums.l2sq = one;
		return sums;
	}
	vec_kernels->dot_many_f16(q, half, (size_t) dim, 1, dim, &one);
	sums.dot = one;
	sums.normsq = vec_kernels->normsq_f16(half, dim);
	return sums;
}

static Sums
sums_int8(QuantMetric metric, const float *q, const uint8_t *record, int dim)
{
	const uint8_t *levels = record + sizeof(Int8Head);
	Int8Head	head;
	Sums		sums = {0, 0, 0};
	double		q_sum = 0;
	double		x_sum = 0;

	memcpy(&head, record, sizeof(head));
	if (metric == QUANT_L2)
	{
		sums.l2sq = vec_kernels->l2sq_u8_f32(levels, q, head.offset, head.step, dim);
		return sums;
	}
	for (int i = 0; i < dim; i++)
	{
		q_sum += q[i];
		x_sum += levels[i];
	}
	for (int i = 0; i < dim; i++)
		sums.dot += (double) q[i] * levels[i];
	sums.dot = head.offset * q_sum + head.step * sums.dot;
	sums.normsq = (double) head.offset * head.offset * dim +
		2.0 * head.offset * head.step * x_sum +
		(double) head.step * head.step * vec_kernels->dot_u8(levels, levels, dim);
	return sums;
}

static RefineResult
result_l2(double l2sq, double residual)
{
	RefineResult result = {sqrt(l2sq), 0};
	double		bound = result.distance * (1 - SUM_ERROR) - residual;

	/* squares that vanished: 16,000 terms of at most the least float */
	bound -= 2e-21;
	if (isfinite(result.distance) && bound > 0)
		result.bound = bound * (1 - SUM_ERROR);
	return result;
}

static RefineResult
result_product(double dot, double q_norm, double x_norm, double residual)
{
	RefineResult result = {-dot, -INFINITY};
	double		bound = -dot - q_norm * residual - 2 * SUM_ERROR * q_norm * (x_norm + residual);

	bound -= LOST_SUM;
	if (isfinite(dot) && isfinite(bound))
		result.bound = bound;
	return result;
}

/*
 * 1 - cos: the angle of x differs from that of the decoded vector by at most
 * asin(residual / x_norm) <= pi/2 * residual / x_norm, and the cosine's slope
 * is at most 1.
 */
static RefineResult
result_cosine(double dot, double q_norm, double x_norm, double residual)
{
	RefineResult result = {1, 0};
	double		similarity = dot / (q_norm * x_norm);
	double		turn = 1.5707964 * residual / x_norm + LOST_SUM / (q_norm * x_norm);

	if (!isfinite(similarity) || residual >= x_norm)
	{
		/* SQL says NaN for a zero vector, and NaN sorts last */
		if (q_norm == 0 || (x_norm == 0 && residual == 0))
			result.bound = result.distance = NAN;
		return result;
	}
	result.distance = 1 - fmax(-1, fmin(1, similarity));
	result.bound = fmax(0, result.distance - turn - 2 * SUM_ERROR);
	return result;
}

/*
 * refine_distance
 *		Distance and bound, in SQL units, between q and the vector of a record.
 *
 * q_norm is refine_query_norm() of q.  REFINE_HEAP has no record and must not
 * come here; nav_lower_bound() serves it.  A bound for REFINE_FULL allows for
 * the operator's rounding; callers that return the distance itself compute
 * it as the operator does.
 */
RefineResult
refine_distance(RefineKind kind, QuantMetric metric, const float *q, double q_norm,
				const uint8_t *record, int dim)
{
	Sums		sums = {0, 0, 0};
	float		residual = 0;
	double		x_norm;

	if (kind == REFINE_FULL)
	{
		const float *x = (const float *) (const void *) record;

		if (metric == QUANT_L2)
			sums.l2sq = vec_l2sq_f32(q, x, dim);
		else
		{
			sums.dot = vec_dot_f32(q, x, dim);
			sums.normsq = vec_kernels->normsq_f32(x, dim);
		}
	}
	else
	{
		memcpy(&residual, record, sizeof(residual));
		sums = kind == REFINE_HALF ? sums_half(metric, q, record, dim) :
			sums_int8(metric, q, record, dim);
	}

	if (metric == QUANT_L2)
		return result_l2(sums.l2sq, residual);

	x_norm = sqrt(sums.normsq > 0 ? sums.normsq : 0);
	if (metric == QUANT_IP)
		return result_product(sums.dot, q_norm, x_norm, residual);
	return result_cosine(sums.dot, q_norm, x_norm, residual);
}

/*
 * refine_decode
 *		The dim elements a record stands for; returns what their distance from
 *		the value's own is at most.  0 for REFINE_HEAP, which has no record.
 */
double
refine_decode(RefineKind kind, const uint8_t *record, int dim, float *x)
{
	Int8Head	head;
	float		residual = 0;

	switch (kind)
	{
		case REFINE_FULL:
			memcpy(x, record, (size_t) dim * sizeof(float));
			break;
		case REFINE_HALF:
			memcpy(&residual, record, sizeof(residual));
			for (int i = 0; i < dim; i++)
			{
				vec_half	half;

				memcpy(&half, record + sizeof(residual) + (size_t) i * sizeof(half), sizeof(half));
				vec_kernels->half_to_float(&half, x + i, 1);
			}
			break;
		case REFINE_INT8:
			memcpy(&head, record, sizeof(head));
			residual = head.residual;
			for (int i = 0; i < dim; i++)
				x[i] = head.offset + head.step * (float) record[sizeof(head) + (size_t) i];
			break;
		case REFINE_HEAP:
			break;
	}
	return residual;
}
