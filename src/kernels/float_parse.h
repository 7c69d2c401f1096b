/*-------------------------------------------------------------------------
 *
 * float_parse.h
 *	  The fast path of vec_parse_float(), inline for the loops of literal.c.
 *
 * float_parse.c explains the algorithm.  Nobody else includes this file but
 * float_print.c, which shares the table, and the unit test, which checks it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_FLOAT_PARSE_H
#define VECEXT_FLOAT_PARSE_H

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * Eight digits at a time needs the first digit in the lowest byte.  Big-endian
 * machines read byte by byte; -DVEC_FLOAT_PORTABLE makes any machine do so.
 */
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && \
	!defined(VEC_FLOAT_PORTABLE)
#define VEC_FLOAT_SWAR
#endif

#define VEC_MAX_DIGITS	19		/* any 19 digits fit in 64 bits */

/*
 * Powers in the table.  Reading needs those that can scale a 64-bit integer to
 * a normal float, -57 to 38; printing needs -31 to 46.
 */
#define VEC_MIN_POWER	(-57)
#define VEC_MAX_POWER	46

/* 5^q, q from VEC_MIN_POWER up: its first 64 bits, truncated */
extern const uint64_t vec_power_of_five[VEC_MAX_POWER - VEC_MIN_POWER + 1];

/* 10^0 to 10^22: exact in double */
extern const double vec_power_of_ten[23];

/* 10^0 to 10^7 */
extern const uint32_t vec_power_of_ten_int[8];

extern uint64_t vec_read_first_digits(const char *p, int64_t *dropped);
extern float vec_parse_float_slow(const char *text, const char **end, int *error);

/* true for 0 to 9, whatever the locale */
static inline bool
vec_is_digit(char c)
{
	return (unsigned char) (c - '0') <= 9;
}

#ifdef VEC_FLOAT_SWAR
/* eight digits, each in its byte, the first in the lowest */
static inline uint64_t
vec_join_digits(uint64_t digits)
{
	const uint64_t mask = 0x000000FF000000FF;

	digits = digits * 10 + (digits >> 8);
	return ((digits & mask) * 0x000F424000000064 +
			((digits >> 16) & mask) * 0x0000271000000001) >> 32;
}
#endif

/*
 * Append the digits at p to the number *w, modulo 2^64.  Returns the first
 * byte that is none.  *stop is no digit; nothing after it is read.
 */
static inline const char *
vec_read_digits(const char *p, const char *stop, uint64_t *w)
{
#ifdef VEC_FLOAT_SWAR
	while (stop - p >= 8)
	{
		uint64_t	digits;
		uint64_t	others;
		int			n;

		memcpy(&digits, p, 8);
		digits ^= 0x3030303030303030;

		/* the top bit of the first byte above 9; carries spoil later bytes only */
		others = ((digits + 0x7676767676767676) | digits) & 0x8080808080808080;
		if (others == 0)
		{
			*w = *w * 100000000 + vec_join_digits(digits);
			p += 8;
			continue;
		}

		/* drop the others at the top; zeros come in as leading digits */
		n = __builtin_ctzll(others) >> 3;
		digits = (digits << (8 * (7 - n))) << 8;
		*w = *w * vec_power_of_ten_int[n] + vec_join_digits(digits);
		return p + n;
	}
#else
	(void) stop;
#endif

	for (; vec_is_digit(*p); p++)
		*w = *w * 10 + (uint64_t) (*p - '0');
	return p;
}

/*
 * Add the exponent that may follow p to *exponent.  Returns the first byte
 * after it: p itself if there are no digits, as in "1e" and "1e+".
 */
static inline const char *
vec_read_exponent(const char *p, int64_t *exponent)
{
	const char *digit = p + 1;
	bool		negative = (*digit == '-');
	int64_t		value = 0;

	if (*digit == '-' || *digit == '+')
		digit++;
	if (!vec_is_digit(*digit))
		return p;

	/* far beyond what any number of digits in memory could make up for */
	for (; vec_is_digit(*digit); digit++)
		if (value < INT64_C(100000000000000000))
			value = value * 10 + (*digit - '0');

	*exponent += negative ? -value : value;
	return digit;
}

/* upper half of a 128-bit product */
static inline uint64_t
vec_multiply_high(uint64_t a, uint64_t b)
{
#if defined(__SIZEOF_INT128__) && !defined(VEC_FLOAT_PORTABLE)
	__extension__ typedef unsigned __int128 Wide;

	return (uint64_t) (((Wide) a * b) >> 64);
#else
	uint64_t	alow = a & 0xFFFFFFFF;
	uint64_t	ahigh = a >> 32;
	uint64_t	blow = b & 0xFFFFFFFF;
	uint64_t	bhigh = b >> 32;
	uint64_t	middle = ahigh * blow + ((alow * blow) >> 32);
	uint64_t	carry = (middle & 0xFFFFFFFF) + alow * bhigh;

	return ahigh * bhigh + (middle >> 32) + (carry >> 32);
#endif
}

/*
 * Round w * 10^q to float, where w is in [1, 2^53] and q in [-22, 22]: one
 * correctly rounded operation on exact doubles (Clinger).  Rounding its
 * result again can only go wrong if that is inexact and lies on a midpoint of
 * two floats; returns false if it lies there and may be inexact.
 */
static inline bool
vec_scale_exact(uint64_t w, int q, float *value)
{
	double		number = (double) (int64_t) w;
	double		result;
	uint64_t	bits;

	if (q < 0)
		result = number / vec_power_of_ten[-q];
	else
		result = number * vec_power_of_ten[q];

	*value = (float) result;
	memcpy(&bits, &result, sizeof(bits));
	if ((bits & 0x1FFFFFFF) != 0x10000000)
		return true;

	/* a midpoint has 25 bits, 5^12 has 28: the product below is exact */
	if (q < 0)
		return q >= -12 && result * vec_power_of_ten[-q] == number;
	return result < 9007199254740992.0;
}

/*
 * Round x * 10^q to float, where x is w itself or, if "truncated", anything
 * in [w, w + 1]; w > 0, q in [VEC_MIN_POWER, VEC_MAX_POWER].  Returns false
 * if 64 bits of 5^q do not tell which float, or the float is not normal.
 */
static inline bool
vec_scale_approx(uint64_t w, int q, bool truncated, float *value)
{
	int			zeros = __builtin_clzll(w);
	uint64_t	product = vec_multiply_high(w << zeros, vec_power_of_five[q - VEC_MIN_POWER]);
	int			shift = 39 + (int) (product >> 63);
	uint64_t	half = UINT64_C(1) << (shift - 1);
	uint64_t	rest = product & ((half << 1) - 1);
	uint32_t	mantissa = (uint32_t) (product >> shift);	/* 24 bits */
	uint64_t	error = 2 + (truncated ? UINT64_C(1) << zeros : 0);
	int			exponent;
	uint32_t	bits;

	/* the true product is in [product, product + error) */
	if (half - rest < error)
		return false;
	mantissa += (rest > half);

	/* plus floor(log2(10^q)), the shifted value kept positive */
	exponent = shift + 151 - zeros + ((217706 * q + (256 << 16)) >> 16) - 256;
	if (exponent < 1 || exponent > 254)
		return false;

	/* the mantissa's top bit adds one to the exponent, a carry one more */
	bits = ((uint32_t) (exponent - 1) << 23) + mantissa;
	if (bits >= 0x7F800000)
		return false;
	memcpy(value, &bits, sizeof(bits));
	return true;
}

/*
 * vec_parse_float_fast
 *		As vec_parse_float(), for the decimal numbers that can be decided with
 *		one multiplication and raise no error.  Returns false for the others
 *		and for what is no number.
 */
static inline bool
vec_parse_float_fast(const char *text, const char *stop, const char **end, float *value)
{
	bool		negative = (*text == '-');
	const char *first = text + (negative | (*text == '+'));
	const char *p = first;
	uint64_t	w = 0;
	int64_t		q = 0;
	ptrdiff_t	ndigits;		/* less a zero before the point */
	bool		truncated = false;

	/* one digit before the point is the rule in vectors */
	if (vec_is_digit(p[0]) && p[1] == '.')
	{
		w = (uint64_t) (*p++ - '0');
		ndigits = (w != 0);
	}
	else
	{
		p = vec_read_digits(p, stop, &w);
		ndigits = p - first;
		if (ndigits == 0 && *p != '.')
			return false;
	}
	if (*p == '.')
	{
		const char *point = p++;

		p = vec_read_digits(p, stop, &w);
		q = point + 1 - p;
		ndigits -= q;
		if (p - first == 1)
			return false;
	}

	if ((*p | 0x20) == 'e')
		p = vec_read_exponent(p, &q);
	else if ((*p | 0x20) == 'x')
		return false;			/* may be hexadecimal */
	*end = p;

	if (ndigits > VEC_MAX_DIGITS)
	{
		int64_t		dropped = 0;

		w = vec_read_first_digits(first, &dropped);
		q += dropped;
		truncated = (dropped != 0);
	}

	if (w == 0)
		*value = 0;
#if FLT_EVAL_METHOD == 0 || FLT_EVAL_METHOD == 1
	else if (!truncated && w <= UINT64_C(1) << 53 && q >= -22 && q <= 22)
	{
		if (!vec_scale_exact(w, (int) q, value))
			return false;
	}
#endif
	else if (q < VEC_MIN_POWER || q > VEC_MAX_POWER ||
			 !vec_scale_approx(w, (int) q, truncated, value))
		return false;

	/* no branch: signs are unpredictable */
	*value = copysignf(*value, negative ? -1.0f : 1.0f);
	return true;
}

#endif							/* VECEXT_FLOAT_PARSE_H */
