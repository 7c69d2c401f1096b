/*-------------------------------------------------------------------------
 *
 * float_block.h
 *	  The digits of a block of floats at a time, for loops of float_print.c.
 *
 * Plain C without a condition, a function of its own for each instruction set
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

/* 10^0 to 10^22; float_parse.c */
extern const double vec_power_of_ten[23];

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
	uint32_t	special[VEC_PRINT_BLOCK];	/* not 0: left out, none of this holds */
} VecPrintBlock;

/* the range: 1e-4f and 1e6f */
#define VEC_FIXED_MIN_BITS	UINT32_C(0x38D1B717)
#define VEC_FIXED_MAX_BITS	UINT32_C(0x49742400)

/* 1 if this float, as bits, is left out: by the sign of each difference */
static inline __attribute__((always_inline)) uint32_t
vec_block_leaves_out(uint32_t bits)
{
	uint32_t	magnitude = bits & 0x7FFFFFFF;

	return ((magnitude - VEC_FIXED_MIN_BITS) | (VEC_FIXED_MAX_BITS - 1 - magnitude) |
			((bits & 0x007FFFFF) - 1)) >> 31;
}

/* 1 if x is negative, 0 if it is positive or zero */
static inline __attribute__((always_inline)) uint32_t
vec_sign_bit(double x)
{
	uint64_t	bits;

	memcpy(&bits, &x, sizeof(bits));
	return (uint32_t) (bits >> 63);
}

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
	uint32_t	magnitudes[VEC_PRINT_BLOCK];
	double		scale[VEC_PRINT_BLOCK];

	for (int i = 0; i < VEC_PRINT_BLOCK; i++)
	{
		uint32_t	bits;
		uint32_t	special;
		int32_t		q;

		memcpy(&bits, &x[i], sizeof(bits));
		special = vec_block_leaves_out(bits);
		block->special[i] = special;

		/* something harmless instead: 1 */
		bits = (bits & 0x7FFFFFFF & (special - 1)) | (0x3F800000 & -special);
		magnitudes[i] = bits;

		/* floor(log10(2^q)), the shifted value kept positive */
		q = (int32_t) (bits >> 23) - 150;
		k[i] = ((q * 1262611 + (128 << 22)) >> 22) - 128;
	}

	/* a loop of its own: gathering is slow on many CPUs */
	for (int i = 0; i < VEC_PRINT_BLOCK; i++)
		scale[i] = vec_power_of_ten[-k[i]];

	for (int i = 0; i < VEC_PRINT_BLOCK; i++)
	{
		uint64_t	half_bits = (uint64_t) ((magnitudes[i] >> 23) - 151 + 1023) << 52;
		float		value;
		double		half;
		double		scaled;
		double		rest;
		double		rounded;
		uint64_t	nearest;
		uint32_t	down;
		uint32_t	up;

		memcpy(&value, &magnitudes[i], sizeof(value));
		memcpy(&half, &half_bits, sizeof(half));
		half *= scale[i];
		scaled = (double) value * scale[i];
		tens[i] = (uint32_t) (((uint64_t) (uint32_t) (int32_t) scaled * 0xCCCCCCCD) >> 35);
		rest = scaled - (double) (int32_t) (tens[i] * 10);

		/* 1.5 * 2^52 leaves the nearest integer in the low bits, ties to even */
		rounded = rest + 6755399441055744.0;
		memcpy(&nearest, &rounded, sizeof(nearest));
		down = vec_sign_bit(rest - half);
		up = vec_sign_bit(10.0 - rest - half);
		ones[i] = (uint32_t) nearest & ((down | up) - 1);
		tens[i] += up;
	}
}

/*
 * vec_block_prepare
 *		How to write VEC_PRINT_BLOCK floats.
 */
static inline __attribute__((always_inline)) void
vec_block_prepare(const float *x, VecPrintBlock *block)
{
	uint32_t	tens[VEC_PRINT_BLOCK];
	uint32_t	ones[VEC_PRINT_BLOCK];
	int32_t		exponent[VEC_PRINT_BLOCK];
	uint32_t	first[VEC_PRINT_BLOCK];
	uint32_t	second[VEC_PRINT_BLOCK];
	uint64_t	skip[VEC_PRINT_BLOCK];	/* bits of leading zeros */
	uint64_t	kept[VEC_PRINT_BLOCK];	/* bits of digits before the point */

	vec_block_decimals(x, block, tens, ones, exponent);

	for (int i = 0; i < VEC_PRINT_BLOCK; i++)
	{
		uint32_t	fours = (uint32_t) (((uint64_t) tens[i] * 3518437209) >> 45);
		uint32_t	zeros = ((tens[i] - 10000000) >> 31) + ((tens[i] - 1000000) >> 31);
		int32_t		after;
		int32_t		before;

		first[i] = vec_four_digits(fours);
		second[i] = vec_four_digits(tens[i] - fours * 10000);
		exponent[i] += 8 - (int32_t) zeros;

		after = -(int32_t) ((uint32_t) exponent[i] >> 31);
		before = (exponent[i] + 1) & ~after;
		block->before[i] = before;
		block->offset[i] = before + 1 - (exponent[i] & after);
		block->has_ninth[i] = ((zeros - 1) & -ones[i]) >> 31;
		block->ninth[i] = ones[i] + '0';
		skip[i] = zeros * 8;
		kept[i] = (uint64_t) before * 8;
	}

	for (int i = 0; i < VEC_PRINT_BLOCK; i++)
	{
		uint64_t	digits = ((uint64_t) second[i] << 32 | first[i]) >> skip[i];
		uint64_t	unit = UINT64_C(1) << kept[i];
		uint64_t	head = unit * '.';
		uint64_t	none;

		/* the ninth follows; if there are eight before it, all its bits drop out */
		digits |= (uint64_t) ones[i] << 8 << (56 - skip[i]);
		block->digits[i] = digits;
		digits += UINT64_C(0x3030303030303030);
		head |= digits & (unit - 1);

		/* "0.000000" if there is nothing before the point */
		none = -(unit & 1);
		block->head[i] = (head & ~none) | (UINT64_C(0x3030303030302E30) & none);
		block->tail[i] = digits >> kept[i];
	}
}

#endif							/* VECEXT_FLOAT_BLOCK_H */
