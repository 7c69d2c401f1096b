/*-------------------------------------------------------------------------
 *
 * float_block.h
 *	  The digits of a block of floats at a time, for loops of float_print.c.
 *
 * Plain C without a branch, a function of its own for each instruction set
 * (kernels_tmpl.h), so that the compiler makes vector code of it.  Each float
 * is worked on alone; a block is what is in flight.
 *
 * Taken here are floats that print without an exponent, 10^-4 <= |x| < 10^6,
 * and are no power of two.  With them 10^-k, as in float_print.c, is an
 * integer of at most 28 bits times a power of two: all of the algorithm is
 * exact in double, comparisons and ties included.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_FLOAT_BLOCK_H
#define VECEXT_FLOAT_BLOCK_H

#include <stdint.h>
#include <string.h>

#define VEC_PRINT_BLOCK		16

/*
 * How to write each number: eight bytes of "head" at its start, eight of
 * "tail" at "offset", one of "ninth" where the tail has the ninth digit.
 * float_print.c:put_decimal() says what that makes.
 */
typedef struct VecPrintBlock
{
	uint64_t	head[VEC_PRINT_BLOCK];
	uint64_t	tail[VEC_PRINT_BLOCK];
	uint64_t	digits[VEC_PRINT_BLOCK];	/* zero bytes at the top: trailing zeros */
	uint32_t	ninth[VEC_PRINT_BLOCK]; /* digit, as text */
	uint32_t	has_ninth[VEC_PRINT_BLOCK]; /* 1 if there is one and it is not zero */
	int32_t		before[VEC_PRINT_BLOCK];	/* digits before the point */
	int32_t		offset[VEC_PRINT_BLOCK];
	uint32_t	special[VEC_PRINT_BLOCK];	/* not 0: not taken, none of this holds */
	uint32_t	nintegers;		/* how many are integers below 10^6 in magnitude */
} VecPrintBlock;

/* first bits, exponent and row of the tables: 2^-14 <= 1e-4f */
#define VEC_FIXED_MIN_BITS		UINT32_C(0x38D1B717)	/* 1e-4f */
#define VEC_FIXED_MAX_BITS		UINT32_C(0x49742400)	/* 1e6f */
#define VEC_FIXED_MIN_EXPONENT	113
#define VEC_FIXED_ROWS			34

/* for each exponent: 10^-k; half the distance of floats, times 10^-k; k */
extern const double vec_fixed_scale[VEC_FIXED_ROWS];
extern const double vec_fixed_half[VEC_FIXED_ROWS];
extern const int32_t vec_fixed_power[VEC_FIXED_ROWS];

/* a number below 10^4 as four digits, a byte each, the first in the lowest */
static inline __attribute__((always_inline)) uint32_t
vec_four_digits(uint32_t n)
{
	uint32_t	hundreds = (n * 10486) >> 20;
	uint32_t	pairs = (n - hundreds * 100) << 16 | hundreds;
	uint32_t	tens = ((pairs * 103) >> 10) & 0x000F000F;

	return ((pairs - tens * 10) << 8) + tens;
}

/* the shortest decimals, (tens * 10 + ones) * 10^k; see float_print.c */
static inline __attribute__((always_inline)) void
vec_block_decimals(const float *x, VecPrintBlock *block,
				   uint32_t *tens, uint32_t *ones, int32_t *k)
{
	uint32_t	nintegers = 0;

	for (int i = 0; i < VEC_PRINT_BLOCK; i++)
	{
		uint32_t	bits;
		uint32_t	magnitude;
		uint32_t	large;
		uint32_t	special;
		float		value;
		double		scaled;
		double		half;
		double		rest;
		double		rounded;
		uint64_t	nearest;
		uint32_t	row;
		uint32_t	down;
		uint32_t	up;

		memcpy(&bits, &x[i], sizeof(bits));
		magnitude = bits & 0x7FFFFFFF;
		large = magnitude >= VEC_FIXED_MAX_BITS;
		special = (large | (magnitude < VEC_FIXED_MIN_BITS) | ((bits & 0x007FFFFF) == 0));
		block->special[i] = special;

		magnitude = large ? 0x3FC00000 : magnitude; /* 1.5, no integer */
		memcpy(&value, &magnitude, sizeof(value));
		nintegers += (float) (int32_t) value == value;

		magnitude = special ? 0x3FC00000 : magnitude;
		memcpy(&value, &magnitude, sizeof(value));
		row = (magnitude >> 23) - VEC_FIXED_MIN_EXPONENT;
		scaled = (double) value * vec_fixed_scale[row];
		half = vec_fixed_half[row];
		tens[i] = (uint32_t) (((uint64_t) (uint32_t) (int32_t) scaled * 0xCCCCCCCD) >> 35);
		rest = scaled - (double) (int32_t) (tens[i] * 10);

		/* 1.5 * 2^52 leaves the nearest integer in the low bits, ties to even */
		rounded = rest + 6755399441055744.0;
		memcpy(&nearest, &rounded, sizeof(nearest));
		down = rest < half;
		up = 10.0 - rest < half;
		ones[i] = (uint32_t) nearest & ((down | up) - 1);
		tens[i] += up;
		k[i] = vec_fixed_power[row];
	}
	block->nintegers = nintegers;
}

/* from 16 decimals to their text */
static inline __attribute__((always_inline)) void
vec_block_prepare(const float *x, VecPrintBlock *block)
{
	uint32_t	tens[VEC_PRINT_BLOCK];
	uint32_t	ones[VEC_PRINT_BLOCK];
	uint32_t	zeros[VEC_PRINT_BLOCK];
	int32_t		exponent[VEC_PRINT_BLOCK];
	uint32_t	first[VEC_PRINT_BLOCK];
	uint32_t	second[VEC_PRINT_BLOCK];

	vec_block_decimals(x, block, tens, ones, exponent);

	for (int i = 0; i < VEC_PRINT_BLOCK; i++)
	{
		uint32_t	fours = (uint32_t) (((uint64_t) tens[i] * 3518437209) >> 45);
		int32_t		after;

		first[i] = vec_four_digits(fours);
		second[i] = vec_four_digits(tens[i] - fours * 10000);
		zeros[i] = (tens[i] < 10000000) + (tens[i] < 1000000);
		exponent[i] += 8 - (int32_t) zeros[i];

		after = -(exponent[i] < 0);
		block->before[i] = (exponent[i] + 1) & ~after;
		block->offset[i] = block->before[i] + 1 - (exponent[i] & after);
		block->has_ninth[i] = (zeros[i] == 0) & (ones[i] != 0);
		block->ninth[i] = ones[i] + '0';
	}

	for (int i = 0; i < VEC_PRINT_BLOCK; i++)
	{
		uint64_t	skip = (uint64_t) zeros[i] * 8;
		uint64_t	before = (uint64_t) (uint32_t) block->before[i] * 8;
		uint64_t	digits = ((uint64_t) second[i] << 32 | first[i]) >> skip;
		uint64_t	head = (uint64_t) '.' << before;

		digits |= (uint64_t) ones[i] << 8 << (56 - skip);
		block->digits[i] = digits;
		digits += UINT64_C(0x3030303030303030);
		head |= digits & ((UINT64_C(1) << before) - 1);
		block->head[i] = before == 0 ? UINT64_C(0x3030303030302E30) : head;
		block->tail[i] = digits >> before;
	}
}

#endif							/* VECEXT_FLOAT_BLOCK_H */
