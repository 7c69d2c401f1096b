/*-------------------------------------------------------------------------
 *
 * distance.h
 *	  Distances that stay finite: a float kernel, and double where it fails.
 *
 * For finite input each function returns the distance a user would expect,
 * however large or small the elements: the float kernel runs first, and only
 * a result outside the range in which its squares neither overflow nor
 * vanish is computed again in double (promise P10).  README.md derives the
 * bounds.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_DISTANCE_H
#define VECEXT_DISTANCE_H

#include <math.h>

#include "kernels/kernels.h"

/* the same three sums in double */
typedef struct VecCosineSumsWide
{
	double		dot;
	double		normsq_a;
	double		normsq_b;
} VecCosineSumsWide;

/*
 * Double-precision references, used on the rare path.  Any alignment, no
 * read past dim.
 */
extern double vec_l2sq_wide(const float *a, const float *b, int dim);
extern double vec_dot_wide(const float *a, const float *b, int dim);
extern double vec_l1_wide(const float *a, const float *b, int dim);
extern void vec_cosine_wide(const float *a, const float *b, int dim, VecCosineSumsWide *sums);

/*
 * Below this a sum of squares may have lost terms to underflow: 16,000 lost
 * terms of at most FLT_MIN each are 2e-34, a relative error of 2e-7 here.
 */
#define VEC_SMALLEST_SAFE_SUM	1e-27f

/*
 * Above this it is near overflow.  Not FLT_MAX: where both norms pass, the
 * inner product of the same vectors must pass as well, rounding included.
 */
#define VEC_LARGEST_SAFE_SUM	1e38f

/* true if a float sum of products can be trusted; false for NaN too */
static inline bool
vec_sum_is_safe(float sum)
{
	float		magnitude = fabsf(sum);

	return magnitude >= VEC_SMALLEST_SAFE_SUM && magnitude <= VEC_LARGEST_SAFE_SUM;
}

/* squared Euclidean distance; equal vectors give 0 */
static inline double
vec_l2sq_f32(const float *a, const float *b, int dim)
{
	float		sum = vec_kernels->l2sq_f32(a, b, dim);

	return vec_sum_is_safe(sum) ? sum : vec_l2sq_wide(a, b, dim);
}

/* inner product */
static inline double
vec_dot_f32(const float *a, const float *b, int dim)
{
	float		sum = vec_kernels->dot_f32(a, b, dim);

	return vec_sum_is_safe(sum) ? sum : vec_dot_wide(a, b, dim);
}

/* sum of absolute differences; nothing vanishes here, but it can overflow */
static inline double
vec_l1_f32(const float *a, const float *b, int dim)
{
	float		sum = vec_kernels->l1_f32(a, b, dim);

	return sum <= VEC_LARGEST_SAFE_SUM ? sum : vec_l1_wide(a, b, dim);
}

/* 1 - cosine of three sums; NaN if either vector is zero */
static inline double
vec_cosine_of_sums(double dot, double normsq_a, double normsq_b)
{
	double		similarity = dot / sqrt(normsq_a * normsq_b);

	if (similarity > 1)
		similarity = 1;
	else if (similarity < -1)
		similarity = -1;
	return 1 - similarity;
}

/* cosine distance; NaN if either vector is zero */
static inline double
vec_cosine_f32(const float *a, const float *b, int dim)
{
	VecCosineSums sums;
	VecCosineSumsWide wide;

	vec_kernels->cosine_f32(a, b, dim, &sums);
	if (vec_sum_is_safe(sums.normsq_a) && vec_sum_is_safe(sums.normsq_b))
		return vec_cosine_of_sums(sums.dot, sums.normsq_a, sums.normsq_b);

	vec_cosine_wide(a, b, dim, &wide);
	return vec_cosine_of_sums(wide.dot, wide.normsq_a, wide.normsq_b);
}

/* angle between unit vectors as a share of a half turn, from their inner product */
static inline double
vec_spherical_of_dot(double dot)
{
	if (dot > 1)
		dot = 1;
	else if (dot < -1)
		dot = -1;
	return acos(dot) / 3.14159265358979323846;
}

/*
 * Halves need no second path: the largest square, 65504^2 times 16,000, and
 * the smallest, (2^-24)^2, are far inside float's range.
 */
static inline double
vec_cosine_f16(const vec_half *a, const vec_half *b, int dim)
{
	VecCosineSums sums;

	vec_kernels->cosine_f16(a, b, dim, &sums);
	return vec_cosine_of_sums(sums.dot, sums.normsq_a, sums.normsq_b);
}

#endif							/* VECEXT_DISTANCE_H */
