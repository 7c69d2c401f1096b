/*-------------------------------------------------------------------------
 *
 * float_print.c
 *	  Float to shortest decimal text, byte for byte as the server prints it.
 *
 * The digits are those of the server's float4out with extra_float_digits > 0:
 * of all decimals strictly between the midpoints to the two neighboring
 * floats, those with the fewest digits; of these the one closest to the
 * float; of two equally close the even one.  (The midpoints are left out even
 * where reading would round them to this float.)  The decimal exponent of the
 * first digit decides the form: from -4 to 5 as 0.000123 and 123000, else as
 * 1.23e-05; an exponent has a sign and two digits.
 *
 * Let the float be c * 2^q, so that its neighbors are 2^q away, and 10^k the
 * largest power of ten up to 2^q.  The interval of decimals that read back is
 * 2^q wide: it holds at least one multiple of 10^k and at most one of
 * 10^(k+1).  One product of c and 64 bits of 10^-k gives x = c * 2^q / 10^k as
 * a fixed-point number with 64 fractional bits; half the interval's width,
 * 2^q / 10^k / 2, comes from the same power.  Then
 *
 *	1. if one of the multiples of ten around x is in the interval, it is the
 *	   shortest, after its trailing zeros are dropped;
 *	2. else the integer nearest to x is.
 *
 * (R. Giulietti, "The Schubfach way to render doubles", 2020, reduced to one
 * multiplication; U. Adams' Ryu, PLDI 2018, is what the server does.)
 *
 * The power is rounded up, so x is too large by up to 2^-36.  Where it should
 * be equal to a midpoint or a tie it is therefore the same or slightly larger,
 * and elsewhere it is further away from them than that: SLACK lies between the
 * two.  That it does for every float was checked by printing all 2^32.
 *
 * Where the mantissa is 2^23, the lower neighbor is only half as far away, and
 * 10^k may be too coarse.  That, subnormals, NaN and infinity take a way of
 * their own; integers below 10^6 and zero take a short cut.
 *
 * Vectors hold random digits, so what costs is branches that depend on them.
 * The way from the float to its text has none but those named here: digits are
 * kept as text in registers, first digit in the lowest byte, and more is
 * written than is kept.
 *
 * Lists of floats go by blocks of 16: float_block.h computes the same in double,
 * in vector code, for the floats it takes; the way above prints the others.
 *
 * Rejected: Dragonbox, whose gain is fewer multiplications; here they overlap
 * with those of the next element.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>

#include "kernels/float_block.h"
#include "kernels/float_parse.h"
#include "kernels/float_print.h"
#include "kernels/kernels.h"

#define HIDDEN_BIT		(UINT32_C(1) << 23)
#define INFINITY_BITS	UINT32_C(0x7F800000)
#define MILLION_BITS	UINT32_C(0x49742400)	/* 1e6f */

/* float_block.h wants double arithmetic that is not wider than double */
#define BLOCKS_EXACT	(FLT_EVAL_METHOD == 0 || FLT_EVAL_METHOD == 1)

#define ZEROS			UINT64_C(0x3030303030303030)	/* "00000000" */
#define ZERO_POINT		UINT64_C(0x3030303030302E30)	/* "0.000000" */

#define TIE				(UINT64_C(1) << 63)
#define SLACK			(UINT64_C(1) << 30)	/* units of 2^-64 */

/*
 * A positive decimal: (tens * 10 + ones) * 10^exponent.  Kept apart because the
 * algorithm finds them so and text has them so: tens are up to eight digits.
 */
typedef struct Decimal
{
	uint32_t	tens;
	uint32_t	ones;
	int			exponent;
} Decimal;

/* a float in units of 10^k */
typedef struct Scaled
{
	uint32_t	whole;
	uint64_t	part;			/* units of 2^-64 */
	uint64_t	half;			/* half the distance to the next float, 2^-60 */
} Scaled;

/* floor(log10(2^q)) for |q| <= 150; the shifted value kept positive */
static inline int
floor_log10(int q)
{
	return (int) ((uint32_t) (q * 1262611 + (128 << 22)) >> 22) - 128;
}

/* floor(log2(10^q)), likewise for the powers in the table */
static inline int
floor_log2(int q)
{
	return (int) ((uint32_t) (q * 217706 + (256 << 16)) >> 16) - 256;
}

/* the low byte first, whatever the machine */
static inline void
put_eight(char *p, uint64_t text)
{
#ifdef VEC_FLOAT_SWAR
	memcpy(p, &text, 8);
#else
	for (int i = 0; i < 8; i++)
		p[i] = (char) (text >> (8 * i));
#endif
}

/* a number below 10^8 as eight digits, a byte each (P. Khuong, 2017) */
static inline uint64_t
split_digits(uint32_t n)
{
	uint32_t	fours = n / 10000;
	uint64_t	x = fours | (uint64_t) (n - fours * 10000) << 32;
	uint64_t	y = ((x * 10486) >> 20) & 0x0000007F0000007F;

	x = ((x - y * 100) << 16) + y;
	y = ((x * 103) >> 10) & 0x000F000F000F000F;
	return ((x - y * 10) << 8) + y;
}

/* a number below 10^8 without leading zeros */
static inline char *
put_small(char *p, uint32_t n)
{
	uint64_t	digits = split_digits(n);

	/* the last digit stays, even 0 */
	int			zeros = __builtin_ctzll(digits | UINT64_C(1) << 56) >> 3;

	put_eight(p, (digits + ZEROS) >> (8 * zeros));
	return p + 8 - zeros;
}

/* c * 2^q / 10^k; 2^q / 10^k is in [1, 100), "half" is right only below 10 */
static inline Scaled
scale(uint32_t c, int q, int k)
{
	uint64_t	power = vec_power_of_five[-k - VEC_MIN_POWER] + 1;
	int			shift = q + floor_log2(-k);
	uint64_t	factor = (uint64_t) c << (shift + 1);
	Scaled		x;

	x.whole = (uint32_t) vec_multiply_high(factor, power);
	x.part = factor * power;
	x.half = power >> ((4 - shift) & 63);
	return x;
}

/* is the integer nearest to x above it? */
static inline bool
rounds_up(Scaled x)
{
	return x.part >= TIE + (x.whole & 1 ? 0 : SLACK);
}

/* the rule for a float whose neighbors are both 2^q away */
static inline Decimal
shortest(uint32_t c, int q)
{
	int			k = floor_log10(q);
	Scaled		x = scale(c, q, k);
	uint32_t	tens = x.whole / 10;
	uint32_t	ones = x.whole - tens * 10;
	uint64_t	below = (uint64_t) ones << 60 | x.part >> 4;	/* units of 2^-60 */
	uint64_t	above = (UINT64_C(10) << 60) - below;
	uint32_t	down = below < x.half;
	uint32_t	up = above + (SLACK >> 4) < x.half;

	/* a nine does not round up here: "up" is set then */
	Decimal		result = {tens + up, (ones + rounds_up(x)) & ((down | up) - 1), k};

	return result;
}

/* the rule for 2^23 * 2^q, where the lower neighbor is 2^(q-1) away */
static Decimal
shortest_uneven(int q)
{
	int			k = floor_log10(q);
	Scaled		x = scale(HIDDEN_BIT, q, k);
	uint32_t	ones = x.whole % 10;
	uint64_t	part = x.part >> 4;
	uint64_t	below = (uint64_t) ones << 60 | part;
	uint64_t	above = (UINT64_C(10) << 60) - below;
	bool		down = part < x.half >> 1;
	bool		up = (UINT64_C(1) << 60) - part + (SLACK >> 4) < x.half;
	uint32_t	digits = x.whole;
	Decimal		result;

	if (below < x.half >> 1)
		digits -= ones;
	else if (above + (SLACK >> 4) < x.half)
		digits += 10 - ones;
	else if (down && up)
		digits += rounds_up(x);
	else if (up)
		digits++;
	else if (!down)
	{
		x = scale(HIDDEN_BIT, q, --k);
		digits = x.whole + rounds_up(x);
	}

	result.tens = digits / 10;
	result.ones = digits % 10;
	result.exponent = k;
	return result;
}

/* exponent form; see put_decimal() */
static char *
put_scientific(char *p, uint64_t digits, uint32_t ninth, int length, int exponent)
{
	uint32_t	magnitude = (uint32_t) abs(exponent);

	p[0] = (char) (digits & 0xFF);
	put_eight(p + 1, (digits & ~UINT64_C(0xFF)) | '.');
	p[9] = (char) ('0' + ninth);
	p += length + (length > 1);
	p[0] = 'e';
	p[1] = exponent < 0 ? '-' : '+';
	p[2] = (char) ('0' + magnitude / 10);
	p[3] = (char) ('0' + magnitude % 10);
	return p + 4;
}

/* print a decimal with tens in [1, 10^8) */
static inline char *
put_decimal(char *p, Decimal decimal)
{
	uint64_t	tens = split_digits(decimal.tens);
	int			zeros = __builtin_ctzll(tens) >> 3;		/* leading */
	int			exponent = decimal.exponent + 8 - zeros;
	int			length = 8 - (__builtin_clzll(tens) >> 3);	/* less trailing zeros */
	int			after = -(exponent < 0);	/* all bits, or none */
	int			before;			/* digits before the point */
	int			offset;			/* where those after it go */
	uint64_t	digits;			/* the first eight, as text */
	uint64_t	head;

	length += (9 - length) & -(int) (decimal.ones != 0);
	length -= zeros;

	/* the ones follow the tens; if these are eight, all their bits drop out */
	digits = tens >> (8 * zeros) | (uint64_t) decimal.ones << 8 << (56 - 8 * zeros);
	digits += ZEROS;
	if (exponent < -4 || exponent > 5)
		return put_scientific(p, digits, decimal.ones, length, exponent);

	before = (exponent + 1) & ~after;
	offset = before + 1 - (exponent & after);
	head = (uint64_t) '.' << (8 * before);
	head |= digits & ((UINT64_C(1) << (8 * before)) - 1);
	head += (ZERO_POINT - '.') & (uint64_t) (int64_t) after;

	put_eight(p, head);
	put_eight(p + offset, digits >> (8 * before));
	p[offset + 8 - before] = (char) ('0' + decimal.ones);

	/* an integer has no point */
	return p + (length > before ? offset - before + length : before);
}

/* what the fast way leaves over: magnitude is the bits without the sign */
static char *
put_rare(char *p, uint32_t magnitude, bool negative)
{
	Decimal		decimal;

	if (magnitude > INFINITY_BITS)
	{
		memcpy(p - negative, "NaN", 3);
		return p - negative + 3;
	}
	if (magnitude == INFINITY_BITS)
	{
		memcpy(p, "Infinity", 8);
		return p + 8;
	}

	if (magnitude <= HIDDEN_BIT)
		decimal = shortest(magnitude, -149);
	else
		decimal = shortest_uneven((int) (magnitude >> 23) - 150);
	if (decimal.tens == 0)
	{
		decimal.tens = decimal.ones;
		decimal.ones = 0;
		decimal.exponent--;
	}
	return put_decimal(p, decimal);
}

/* bits of a float */
static inline uint32_t
bits_of(float value)
{
	uint32_t	bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

/* is it an integer below 10^6 in magnitude? */
static inline bool
is_integer(float value)
{
	return (bits_of(value) & 0x7FFFFFFF) < MILLION_BITS && (float) (int32_t) value == value;
}

/* vec_print_float(), inline */
static inline char *
put_float(char *p, float value)
{
	uint32_t	bits = bits_of(value);
	uint32_t	magnitude = bits & 0x7FFFFFFF;
	uint32_t	mantissa = bits & (HIDDEN_BIT - 1);

	*p = '-';
	p += bits >> 31;

	if (is_integer(value))
		return put_small(p, (uint32_t) abs((int32_t) value));
	if (mantissa == 0 || magnitude - HIDDEN_BIT >= INFINITY_BITS - HIDDEN_BIT)
		return put_rare(p, magnitude, bits >> 31);

	return put_decimal(p, shortest(mantissa | HIDDEN_BIT, (int) (magnitude >> 23) - 150));
}

/*
 * vec_print_float
 *		Print a float: shortest decimal that reads back, NaN, [-]Infinity.
 *
 * Writes to up to VEC_FLOAT_ROOM bytes at p.  Returns the end of the text,
 * at most VEC_FLOAT_MAX_LEN bytes on.
 */
char *
vec_print_float(char *p, float value)
{
	return put_float(p, value);
}

/* are all n? */
static bool
are_integers(const float *x, int n)
{
	for (int i = 0; i < n; i++)
		if (!is_integer(x[i]))
			return false;
	return true;
}

/* those, a comma after each */
static char *
put_integers(char *p, const float *x, int n)
{
	for (int i = 0; i < n; i++)
	{
		*p = '-';
		p = put_small(p + (bits_of(x[i]) >> 31), (uint32_t) abs((int32_t) x[i]));
		*p++ = ',';
	}
	return p;
}

/* the floats of a block, a comma after each; as put_decimal() ends */
static char *
put_block(char *p, const float *x, const VecPrintBlock *block)
{
	for (int i = 0; i < VEC_PRINT_BLOCK; i++)
	{
		uint64_t	digits;
		int			before = block->before[i];
		int			offset = block->offset[i];
		int			length;
		int			end;

		if (block->special[i])
		{
			p = put_float(p, x[i]);
			*p++ = ',';
			continue;
		}

		*p = '-';
		p += bits_of(x[i]) >> 31;
		put_eight(p, block->head[i]);
		put_eight(p + offset, block->tail[i]);
		p[offset - before + 8] = (char) block->ninth[i];

		/* a ninth digit means that none of the eight is a trailing zero */
		digits = block->digits[i] | (uint64_t) block->has_ninth[i] << 63;
		length = 8 + (int) block->has_ninth[i] - (__builtin_clzll(digits) >> 3);
		end = length + offset - before;
		end = length > before ? end : before;
		p[end] = ',';
		p += end + 1;
	}
	return p;
}

/* up to VEC_PRINT_BLOCK floats one by one, a comma after each */
static char *
put_singly(char *p, const float *x, int n)
{
	for (int i = 0; i < n; i++)
	{
		p = put_float(p, x[i]);
		*p++ = ',';
	}
	return p;
}

/*
 * vec_print_floats
 *		Print n floats with commas between them.
 *
 * As vec_print_float() for each; n * VEC_FLOAT_ROOM bytes at p are enough.
 */
char *
vec_print_floats(char *p, const float *x, int n)
{
	for (int i = 0; i < n; i += VEC_PRINT_BLOCK)
	{
		int			count = n - i < VEC_PRINT_BLOCK ? n - i : VEC_PRINT_BLOCK;
		const float *values = x + i;

		/* a look at the first: neighbors are alike */
		if (is_integer(*values) && are_integers(values, count))
			p = put_integers(p, values, count);
		else if (!BLOCKS_EXACT || count < VEC_PRINT_BLOCK ||
				 (vec_block_leaves_out(bits_of(*values)) && !is_integer(*values)))
			p = put_singly(p, values, count);
		else
		{
			VecPrintBlock block;

			vec_kernels->print_block(values, &block);
			p = put_block(p, values, &block);
		}
	}
	return p - (n > 0);
}

/*
 * vec_print_sparse
 *		Print n elements as index:value, counting from 1, commas between them.
 *
 * An index prints as uint32, whatever it is.  n * VEC_SPARSE_ROOM bytes at p
 * are enough.
 */
char *
vec_print_sparse(char *p, const int32_t *index, const float *value, int n)
{
	for (int i = 0; i < n; i++)
	{
		uint32_t	number = (uint32_t) index[i] + 1;

		if (number >= 100000000)
		{
			p = put_small(p, number / 100000000);
			put_eight(p, split_digits(number % 100000000) + ZEROS);
			p += 8;
		}
		else
			p = put_small(p, number);
		*p++ = ':';
		p = put_float(p, value[i]);
		*p++ = ',';
	}
	return p - (n > 0);
}
