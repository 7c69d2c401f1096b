/*-------------------------------------------------------------------------
 *
 * text_block.h
 *	  Text of a block of numbers to floats, for the loops of literal.c.
 *
 * Reading one number after the other is one long chain: where a number starts
 * is known when the one before has been read.  Here the commas are found
 * first, 64 bytes at a time, and numbers are read between them, each alone, so
 * that many are in flight.  (G. Langdale and D. Lemire, "Parsing Gigabytes of
 * JSON per Second", The VLDB Journal 28, 2019, for the index.)
 *
 * Read here is -?digits[.digits] of at most VEC_TEXT_LONGEST bytes, without
 * blanks.  The first 16 bytes, the point dropped, make an integer w; with k
 * digits of them after the point the number is w * 10^-k, or, if digits
 * follow, less than (w + 1) * 10^-k.  Both bounds are taken in double, moved
 * apart by more than what rounding may have moved them, and rounded to float;
 * if that gives the same float, it is the right one.  Whatever is left out or
 * undecided is for vec_parse_float().
 *
 * kernels_text_tmpl.h has the loops over bytes, in vector instructions.  What
 * is here is plain C without a condition, a function of its own for each
 * instruction set, so that the compiler makes vector code of it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_TEXT_BLOCK_H
#define VECEXT_TEXT_BLOCK_H

#include <stdint.h>
#include <string.h>

#define VEC_TEXT_BLOCK		16	/* numbers */
#define VEC_TEXT_LONGEST	32	/* bytes of a number, sign not counted */
#define VEC_TEXT_WINDOW		16	/* bytes that make w; readable before a block's text */
#define VEC_TEXT_CHUNK		1024	/* bytes to index; a multiple of 64 */

/* what find_commas() may write for a chunk */
#define VEC_TEXT_COMMAS		(VEC_TEXT_CHUNK + 8)

/* what the bytes of each number say */
typedef struct VecTextBlock
{
	uint8_t		bytes[VEC_TEXT_BLOCK][VEC_TEXT_WINDOW]; /* digits, right-aligned, if no other */
	uint64_t	digits[VEC_TEXT_BLOCK]; /* w: first eight digits low, last eight high */
	double		scale[VEC_TEXT_BLOCK];	/* 10^-k */
	int32_t		length[VEC_TEXT_BLOCK]; /* bytes after the sign */
	int32_t		point[VEC_TEXT_BLOCK];	/* its byte in the window, 16: none */
	uint32_t	negative[VEC_TEXT_BLOCK];	/* 0 or 1 */
	uint32_t	left_out[VEC_TEXT_BLOCK];	/* not 0: the value is not to be used */
	uint32_t	any_left_out;	/* 0: none is */
	uint32_t	any_cut;		/* 0: no number goes beyond its window */
} VecTextBlock;

/* the scale for each byte where the point may be; 16: no point */
static const double vec_text_scale[VEC_TEXT_WINDOW + 1] = {
	1e-15, 1e-14, 1e-13, 1e-12, 1e-11, 1e-10, 1e-9, 1e-8,
	1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1e0, 1e0
};

/* for each byte where the point may be: which byte goes where, to drop it */
static const uint8_t vec_text_pick[VEC_TEXT_WINDOW + 1][VEC_TEXT_WINDOW] = {
	{128, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
	{128, 0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
	{128, 0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
	{128, 0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
	{128, 0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
	{128, 0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
	{128, 0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15},
	{128, 0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15},
	{128, 0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15},
	{128, 0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15},
	{128, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15},
	{128, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 14, 15},
	{128, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15},
	{128, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 15},
	{128, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15},
	{128, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14},
	{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
};

/* n as double; a bit pattern, as not all sets convert 64-bit lanes */
static inline __attribute__((always_inline)) double
vec_text_double(uint64_t n)
{
	uint64_t	bits = n | UINT64_C(0x4330000000000000);
	double		result;

	memcpy(&result, &bits, sizeof(result));
	return result - 4503599627370496.0;
}

/*
 * Round each number to float, and tell which to leave out: where bounds differ,
 * the magnitude is not below "limit", or the length is wrong.  Three roundings
 * at most lie between a bound's exact value and its double (w, the scale and
 * the product; those of w and the scale exclude each other): 2^-50 covers them
 * and its own.
 */
static inline __attribute__((always_inline)) void
vec_text_round(VecTextBlock *block, float limit, float *out)
{
	uint32_t	limit_bits;
	uint32_t	any_left_out = 0;
	uint32_t	any_cut = 0;

	memcpy(&limit_bits, &limit, sizeof(limit_bits));

	for (int i = 0; i < VEC_TEXT_BLOCK; i++)
	{
		uint64_t	digits = block->digits[i];
		double		w = vec_text_double(digits & 0xFFFFFFFF) * 1e8 +
			vec_text_double(digits >> 32);
		uint32_t	cut = (uint32_t) (VEC_TEXT_WINDOW - block->length[i]) >> 31;
		float		low = (float) (w * block->scale[i] * (1 - 0x1p-50));
		float		high = (float) ((w + (double) (int32_t) cut) * block->scale[i] *
									(1 + 0x1p-50));
		uint32_t	low_bits;
		uint32_t	high_bits;
		uint32_t	has_point = (uint32_t) (block->point[i] - VEC_TEXT_WINDOW) >> 31;
		uint32_t	bad;

		memcpy(&low_bits, &low, sizeof(low_bits));
		memcpy(&high_bits, &high, sizeof(high_bits));

		/* signs of differences: no digit, too long, too large; cut before the point */
		bad = (uint32_t) (block->length[i] - (int32_t) has_point - 1) |
			(uint32_t) (VEC_TEXT_LONGEST - block->length[i]) |
			(limit_bits - 1 - low_bits);
		bad = (bad >> 31) | (cut & (has_point ^ 1)) | (low_bits ^ high_bits);
		block->left_out[i] = bad;
		any_left_out |= bad;
		any_cut |= cut;

		low_bits |= block->negative[i] << 31;
		memcpy(&out[i], &low_bits, sizeof(low_bits));
	}
	block->any_left_out = any_left_out;
	block->any_cut = any_cut;
}

#endif							/* VECEXT_TEXT_BLOCK_H */
