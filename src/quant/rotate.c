/*-------------------------------------------------------------------------
 *
 * rotate.c
 *	  A fast random orthogonal map for any dimension.
 *
 * Four rounds of random sign flips and a Hadamard transform; where dim is no
 * power of two, the transform takes the largest power-of-two prefix in even
 * rounds and suffix in odd ones, and each round ends with a rotation by 45
 * degrees of the pairs (i, i + dim / 2), which carries what the transform
 * did not touch into the rest ("FHT-Kac", RaBitQ library).  O(dim log dim)
 * time, 4 * dim bits of state.
 *
 *-------------------------------------------------------------------------
 */
#include "quant/quant.h"

#include <math.h>

#define ROUNDS		4

static size_t
round_size(int dim)
{
	return ((size_t) dim + 15) / 16 * 2;
}

/*
 * rotate_signs_size
 *		Bytes of the sign bits of all rounds.
 */
size_t
rotate_signs_size(int dim)
{
	return ROUNDS * round_size(dim);
}

/*
 * rotate_make_signs
 *		Draw the sign bits; the same seed gives the same map everywhere.
 */
void
rotate_make_signs(uint64_t seed, int dim, uint8_t *signs)
{
	size_t		size = rotate_signs_size(dim);

	for (size_t i = 0; i < size; i++)
		signs[i] = (uint8_t) (quant_random(&seed) >> 56);
}

/*
 * rotate_apply
 *		Rotate x, dim floats, in place.  Length is kept but for rounding.
 */
void
rotate_apply(const uint8_t *signs, int dim, float *x)
{
	const float cosine = 0.70710678f;
	int			n = 1;
	int			half = dim / 2;
	float		scale;

	while (n * 2 <= dim)
		n *= 2;
	scale = (float) (1 / sqrt((double) n));

	for (int round = 0; round < ROUNDS; round++)
	{
		float	   *low = x;
		float	   *high = x + half;

		vec_kernels->flip_signs(x, signs + (size_t) round * round_size(dim), dim);
		vec_kernels->hadamard_f32(round % 2 == 0 ? x : x + dim - n, n, scale);
		if (n == dim)
			continue;

		for (int i = 0; i < half; i++)
		{
			float		a = low[i];
			float		b = high[i];

			low[i] = (a + b) * cosine;
			high[i] = (a - b) * cosine;
		}
	}
}
