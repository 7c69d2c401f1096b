/*-------------------------------------------------------------------------
 *
 * distance.c
 *	  Distances in double, for the rare sums that float cannot hold.
 *
 * The square of a float is at most 1.2e77 and at least 1.9e-90: nothing
 * overflows or vanishes here.  Plain C: this path is rare, and the same on
 * every instruction set.
 *
 *-------------------------------------------------------------------------
 */
#include "kernels/distance.h"

#include <string.h>

/* an element at any alignment, widened */
static inline double
element(const float *v, int i)
{
	float		x;

	memcpy(&x, (const char *) v + (size_t) i * sizeof(x), sizeof(x));
	return x;
}

/*
 * vec_l2sq_wide
 *		Squared Euclidean distance.
 */
double
vec_l2sq_wide(const float *a, const float *b, int dim)
{
	double		sum = 0;

	for (int i = 0; i < dim; i++)
	{
		double		diff = element(a, i) - element(b, i);

		sum += diff * diff;
	}
	return sum;
}

/*
 * vec_dot_wide
 *		Inner product.
 */
double
vec_dot_wide(const float *a, const float *b, int dim)
{
	double		sum = 0;

	for (int i = 0; i < dim; i++)
		sum += element(a, i) * element(b, i);
	return sum;
}

/*
 * vec_l1_wide
 *		Sum of absolute differences.
 */
double
vec_l1_wide(const float *a, const float *b, int dim)
{
	double		sum = 0;

	for (int i = 0; i < dim; i++)
		sum += fabs(element(a, i) - element(b, i));
	return sum;
}

/*
 * vec_cosine_wide
 *		The three sums of a cosine.
 */
void
vec_cosine_wide(const float *a, const float *b, int dim, VecCosineSumsWide *sums)
{
	double		dot = 0;
	double		normsq_a = 0;
	double		normsq_b = 0;

	for (int i = 0; i < dim; i++)
	{
		double		x = element(a, i);
		double		y = element(b, i);

		dot += x * y;
		normsq_a += x * x;
		normsq_b += y * y;
	}
	sums->dot = dot;
	sums->normsq_a = normsq_a;
	sums->normsq_b = normsq_b;
}
