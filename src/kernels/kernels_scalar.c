/*-------------------------------------------------------------------------
 *
 * kernels_scalar.c
 *	  Kernels in plain C: the reference, and what any other CPU runs.
 *
 * A lane is one float.  No assumption about byte order, alignment or vector
 * instructions; the compiler may use those every CPU of the target has.
 *
 *-------------------------------------------------------------------------
 */
#include "kernels/kernels_isa.h"

#define VEC_ISA		scalar
#define VEC_TARGET

typedef float Lane;
typedef double WideLane;
typedef uint64_t BitLane;
typedef int32_t IndexLane;
typedef bool IndexMatch;

static inline float
load_f32(const void *p)
{
	float		x;

	memcpy(&x, p, sizeof(x));
	return x;
}

static inline uint64_t
load_bits(const void *p)
{
	uint64_t	x;

	memcpy(&x, p, sizeof(x));
	return x;
}

/* *p or zero; masked, as compilers would rather branch */
static inline float
pick_f32(const void *p, unsigned bits)
{
	uint32_t	x;
	float		result;

	memcpy(&x, p, sizeof(x));
	x &= -(uint32_t) (bits & 1);
	memcpy(&result, &x, sizeof(result));
	return result;
}

static inline void
store_f32(void *p, float x)
{
	memcpy(p, &x, sizeof(x));
}

static inline void
store_bits(void *p, uint64_t x)
{
	memcpy(p, &x, sizeof(x));
}

/* binary16 to float, exact */
static inline float
load_f16(const void *p)
{
	vec_half	half;
	uint32_t	sign;
	uint32_t	magnitude;
	uint32_t	bits;
	float		result;

	memcpy(&half, p, sizeof(half));
	sign = (uint32_t) (half & 0x8000) << 16;
	magnitude = half & 0x7fff;

	if (magnitude >= 0x7c00)	/* infinity, or NaN made quiet */
		bits = 0x7f800000 | magnitude << 13 | (magnitude > 0x7c00 ? 0x400000 : 0);
	else if (magnitude >= 0x0400)	/* normal: from bias 15 to bias 127 */
		bits = (magnitude << 13) + ((127 - 15) << 23);
	else						/* subnormal: a count of 2^-24 */
	{
		result = (float) (int32_t) magnitude * 0x1p-24f;
		memcpy(&bits, &result, sizeof(bits));
	}

	bits |= sign;
	memcpy(&result, &bits, sizeof(result));
	return result;
}

/* float to binary16, to nearest even; NaN keeps the top of its payload */
static inline void
store_f16(void *p, float x)
{
	uint32_t	bits;
	uint32_t	magnitude;
	uint32_t	result;
	vec_half	half;

	memcpy(&bits, &x, sizeof(bits));
	magnitude = bits & 0x7fffffff;

	if (magnitude > 0x7f800000)
		result = 0x7e00 | (magnitude >> 13 & 0x03ff);
	else if (magnitude >= 0x477ff000)	/* 65520, halfway beyond the largest */
		result = 0x7c00;
	else if (magnitude >= 0x38800000)	/* 2^-14: normal, a carry may run up */
	{
		magnitude -= (127 - 15) << 23;
		result = (magnitude + 0x0fff + (magnitude >> 13 & 1)) >> 13;
	}
	else if (magnitude > 0x33000000)	/* above half of 2^-24: subnormal */
	{
		uint32_t	mantissa = (magnitude & 0x007fffff) | 0x00800000;
		uint32_t	shift = 126 - (magnitude >> 23);
		uint32_t	half_ulp = (uint32_t) 1 << (shift - 1);

		result = (mantissa + half_ulp - 1 + (mantissa >> shift & 1)) >> shift;
	}
	else
		result = 0;

	half = (vec_half) (bits >> 16 & 0x8000) | (vec_half) result;
	memcpy(p, &half, sizeof(half));
}

/* population count of each byte */
static inline uint64_t
count_bytes(uint64_t x)
{
	x -= x >> 1 & UINT64_C(0x5555555555555555);
	x = (x & UINT64_C(0x3333333333333333)) + (x >> 2 & UINT64_C(0x3333333333333333));
	return (x + (x >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
}

/* sum of eight bytes */
static inline uint64_t
sum_bytes(uint64_t x)
{
	x = (x & UINT64_C(0x00ff00ff00ff00ff)) + (x >> 8 & UINT64_C(0x00ff00ff00ff00ff));
	return x * UINT64_C(0x0001000100010001) >> 48;
}

static inline uint64_t
swap16(uint64_t x)
{
	return (x & UINT64_C(0x00ff00ff00ff00ff)) << 8 | (x >> 8 & UINT64_C(0x00ff00ff00ff00ff));
}

static inline uint64_t
swap32(uint64_t x)
{
	x = swap16(x);
	return (x & UINT64_C(0x0000ffff0000ffff)) << 16 | (x >> 16 & UINT64_C(0x0000ffff0000ffff));
}

static inline float
load_u16(const void *p)
{
	uint16_t	x;

	memcpy(&x, p, sizeof(x));
	return x;
}

/* sum of the products of eight bytes */
static inline int32_t
dot_bytes(uint64_t x, uint64_t y)
{
	int32_t		sum = 0;

	for (int shift = 0; shift < 64; shift += 8)
		sum += (int32_t) (x >> shift & 255) * (int32_t) (y >> shift & 255);
	return sum;
}

/* the same, of unsigned bytes with signed ones */
static inline int32_t
dot_signed_bytes(uint64_t x, uint64_t y)
{
	int32_t		sum = 0;

	for (int shift = 0; shift < 64; shift += 8)
		sum += (int32_t) (x >> shift & 255) * (int8_t) (y >> shift & 255);
	return sum;
}

typedef uint32_t WordLane;
typedef int32_t SumLane;

#define L_WIDTH					1
#define L_ZERO()				0.0f
#define L_ADD(x, y)				((x) + (y))
#define L_SUB(x, y)				((x) - (y))
#define L_ABS(x)				__builtin_fabsf(x)
#define L_FMA(x, y, z)			((x) * (y) + (z))
#define L_SUM(x)				(x)

#define L_LOAD_F32(p)			load_f32(p)
#define L_LOAD_F16(p)			load_f16(p)
#define L_STORE_F32(p, x)		store_f32(p, x)
#define L_STORE_F16(p, x)		store_f16(p, x)

/* no part is ever shorter than one element */
#define L_PART_F32(p, n)		((void) (n), load_f32(p))
#define L_PART_F16(p, n)		((void) (n), load_f16(p))
#define L_STORE_PART_F32(p, x, n)	((void) (n), store_f32(p, x))
#define L_STORE_PART_F16(p, x, n)	((void) (n), store_f16(p, x))

#define L_PICK_F32(p, n, bits)	((void) (n), pick_f32(p, bits))

#define I_LOAD(p)				(*(p))
#define I_PART(p, n)			((void) (n), *(p))
#define I_ALL(index)			(index)
#define I_EQUAL(x, y)			((x) == (y))
#define I_OR(x, y)				((x) | (y))
#define I_BITS(match)			((unsigned) (match))

#define W_ZERO()				0.0
#define W_WIDEN(x)				((double) (x))
#define W_ADD(x, y)				((x) + (y))
#define W_SUB(x, y)				((x) - (y))
#define W_ABS(x)				__builtin_fabs(x)
#define W_FMA(x, y, z)			((x) * (y) + (z))
#define W_SUM(w)				(w)

#define B_WIDTH					sizeof(uint64_t)
#define B_ZERO()				UINT64_C(0)
#define B_LOAD(p)				load_bits(p)
#define B_PART(p, n)			vec_load_bytes(p, n)
#define B_STORE(p, x)			store_bits(p, x)
#define B_XOR(x, y)				((x) ^ (y))
#define B_AND(x, y)				((x) & (y))
#define B_COUNT(x)				count_bytes(x)
#define B_ADD(x, y)				((x) + (y))
#define B_FLUSH(acc, x)			((acc) + sum_bytes(x))
#define B_TOTAL(acc)			(acc)
#define B_SWAP32(x)				swap32(x)
#define B_SWAP16(x)				swap16(x)

#define L_SET(f)				(f)
#define L_MIN(x, y)				((x) < (y) ? (x) : (y))
#define L_MAX(x, y)				((x) > (y) ? (x) : (y))
#define L_TRUNC(x)				__builtin_truncf(x)
#define L_LOAD_U16(p)			load_u16(p)
#define L_PART_U16(p, n)		((void) (n), load_u16(p))
#define L_FLIP(x, bits)			((bits) & 1 ? -(x) : (x))
#define L_HADAMARD(x)			(x)
#define L_LOAD_BYTES(p)			((uint32_t) *(p))
#define L_PART_BYTES(p, n)		((void) (n), (uint32_t) *(p))
#define L_FIELD(w, shift, mask)	((float) ((w) >> (shift) & (mask)))
#define B_FIELD(x, shift, mask) \
	((x) >> (shift) & (mask) * UINT64_C(0x0101010101010101))

#define I_ZERO()				0
#define I_DOT(acc, x, y)		((acc) + dot_bytes(x, y))
#define I_DOT_SMALL(acc, x, y)	((acc) + dot_bytes(x, y))
#define I_JOIN(x, y)			((x) + (y))
#define I_TOTAL(acc)			(acc)

#define G_ROWS					1
#define G_PANELS				1
#define L_BITS_NGE(x, y)		((unsigned) !((x) >= (y)))
#define I_DOT_SIGNED(acc, x, y)	((acc) + dot_signed_bytes(x, y))

#include "kernels/kernels_tmpl.h"
