/*-------------------------------------------------------------------------
 *
 * kernels_avx2.c
 *	  Kernels for x86-64 with AVX2, FMA and F16C: eight floats a lane.
 *
 *-------------------------------------------------------------------------
 */
#include "kernels/kernels_isa.h"

#ifdef __x86_64__
#include <immintrin.h>

#define VEC_ISA		avx2
#define VEC_TARGET	__attribute__((target("avx2,fma,f16c,popcnt")))

typedef __m256 Lane;
typedef __m256i BitLane;
typedef __m256i IndexLane;
typedef __m256i IndexMatch;
typedef __m128i TextLane;
typedef struct WideLane
{
	__m256d		low;
	__m256d		high;
} WideLane;

/* all ones in the first n of eight lanes, 0 <= n <= 8 */
VEC_TARGET VEC_INLINE __m256i
first_lanes(int n)
{
	static const int32_t mask[16] = {-1, -1, -1, -1, -1, -1, -1, -1};

	return _mm256_loadu_si256((const __m256i *) (mask + 8 - n));
}

/* all ones in the lanes whose bit is set */
VEC_TARGET VEC_INLINE __m256i
lanes_of_bits(unsigned bits)
{
	__m256i		bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);

	return _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32((int) bits), bit), bit);
}

/* n halves, 0 < n < 8 */
VEC_TARGET VEC_INLINE __m128i
load_part_f16(const void *p, int n)
{
	const uint8_t *bytes = p;
	uint64_t	low;

	if (n < 4)
		return _mm_cvtsi64_si128((int64_t) vec_load_bytes(bytes, (size_t) n * 2));

	memcpy(&low, bytes, sizeof(low));
	return _mm_set_epi64x((int64_t) vec_load_bytes(bytes + 8, (size_t) n * 2 - 8),
						  (int64_t) low);
}

VEC_TARGET VEC_INLINE void
store_part_f16(void *p, Lane x, int n)
{
	vec_half	halves[8];

	_mm_storeu_si128((__m128i *) halves, _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
	memcpy(p, halves, (size_t) n * sizeof(vec_half));
}

/* n bytes, 0 < n < 32: whole words by mask, the rest put behind them */
VEC_TARGET VEC_INLINE __m256i
load_part_bits(const uint8_t *p, size_t n)
{
	int			words = (int) (n / 4);
	__m256i		body = _mm256_maskload_epi32((const int *) p, first_lanes(words));
	__m256i		rest = _mm256_set1_epi32((int) vec_load_bytes(p + words * 4, n % 4));
	__m256i		lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
	__m256i		here = _mm256_cmpeq_epi32(lane, _mm256_set1_epi32(words));

	return _mm256_or_si256(body, _mm256_and_si256(rest, here));
}

VEC_TARGET VEC_INLINE float
sum_lanes(__m256 x)
{
	__m128		y = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));

	y = _mm_add_ps(y, _mm_movehl_ps(y, y));
	return _mm_cvtss_f32(_mm_add_ss(y, _mm_movehdup_ps(y)));
}

VEC_TARGET VEC_INLINE WideLane
wide_zero(void)
{
	WideLane	w = {_mm256_setzero_pd(), _mm256_setzero_pd()};

	return w;
}

VEC_TARGET VEC_INLINE WideLane
widen(Lane x)
{
	WideLane	w = {_mm256_cvtps_pd(_mm256_castps256_ps128(x)),
					 _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1))};

	return w;
}

VEC_TARGET VEC_INLINE WideLane
wide_add(WideLane x, WideLane y)
{
	WideLane	w = {_mm256_add_pd(x.low, y.low), _mm256_add_pd(x.high, y.high)};

	return w;
}

VEC_TARGET VEC_INLINE WideLane
wide_sub(WideLane x, WideLane y)
{
	WideLane	w = {_mm256_sub_pd(x.low, y.low), _mm256_sub_pd(x.high, y.high)};

	return w;
}

VEC_TARGET VEC_INLINE WideLane
wide_abs(WideLane x)
{
	WideLane	w = {_mm256_andnot_pd(_mm256_set1_pd(-0.0), x.low),
					 _mm256_andnot_pd(_mm256_set1_pd(-0.0), x.high)};

	return w;
}

VEC_TARGET VEC_INLINE WideLane
wide_fma(WideLane x, WideLane y, WideLane z)
{
	WideLane	w = {_mm256_fmadd_pd(x.low, y.low, z.low), _mm256_fmadd_pd(x.high, y.high, z.high)};

	return w;
}

VEC_TARGET VEC_INLINE double
sum_wide(WideLane w)
{
	__m256d		x = _mm256_add_pd(w.low, w.high);
	__m128d		y = _mm_add_pd(_mm256_castpd256_pd128(x), _mm256_extractf128_pd(x, 1));

	return _mm_cvtsd_f64(_mm_add_sd(y, _mm_unpackhi_pd(y, y)));
}

/* population count of each byte, by looking up its nibbles (Mula) */
VEC_TARGET VEC_INLINE __m256i
count_bytes(__m256i x)
{
	__m256i		table = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
										 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
	__m256i		nibble = _mm256_set1_epi8(0x0f);
	__m256i		low = _mm256_and_si256(x, nibble);
	__m256i		high = _mm256_and_si256(_mm256_srli_epi16(x, 4), nibble);

	return _mm256_add_epi8(_mm256_shuffle_epi8(table, low), _mm256_shuffle_epi8(table, high));
}

VEC_TARGET VEC_INLINE uint64_t
sum_bits(__m256i x)
{
	__m128i		y = _mm_add_epi64(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));

	return (uint64_t) _mm_cvtsi128_si64(_mm_add_epi64(y, _mm_unpackhi_epi64(y, y)));
}

VEC_TARGET VEC_INLINE __m256i
swap32(__m256i x)
{
	return _mm256_shuffle_epi8(x, _mm256_setr_epi8(3, 2, 1, 0, 7, 6, 5, 4,
												   11, 10, 9, 8, 15, 14, 13, 12,
												   3, 2, 1, 0, 7, 6, 5, 4,
												   11, 10, 9, 8, 15, 14, 13, 12));
}

/* decimal digits, 16 bytes a number, to two numbers of eight digits for each */
VEC_TARGET VEC_INLINE __m256i
join_digits(__m256i x, __m256i y)
{
	__m256i		tens = _mm256_set1_epi16(1 << 8 | 10);
	__m256i		hundreds = _mm256_set1_epi32(1 << 16 | 100);
	__m256i		myriads = _mm256_set1_epi32(1 << 16 | 10000);
	__m256i		fours;

	fours = _mm256_packus_epi32(_mm256_madd_epi16(_mm256_maddubs_epi16(x, tens), hundreds),
							   _mm256_madd_epi16(_mm256_maddubs_epi16(y, tens), hundreds));
	return _mm256_permute4x64_epi64(_mm256_madd_epi16(fours, myriads), 0xD8);
}

/* a bit for each of 64 bytes that is c */
VEC_TARGET VEC_INLINE uint64_t
mask_of_byte(const char *p, char c)
{
	__m256i		all = _mm256_set1_epi8(c);
	__m256i		low = _mm256_cmpeq_epi8(_mm256_loadu_si256((const __m256i *) p), all);
	__m256i		high = _mm256_cmpeq_epi8(_mm256_loadu_si256((const __m256i *) (p + 32)), all);

	return (uint64_t) (uint32_t) _mm256_movemask_epi8(high) << 32 |
		(uint32_t) _mm256_movemask_epi8(low);
}

typedef __m256i WordLane;
typedef __m256i SumLane;

/* Hadamard transform of eight lanes: strides 1, 2 and 4 */
VEC_TARGET VEC_INLINE __m256
hadamard8(__m256 x)
{
	const __m256 sign1 = _mm256_setr_ps(0, -0.0f, 0, -0.0f, 0, -0.0f, 0, -0.0f);
	const __m256 sign2 = _mm256_setr_ps(0, 0, -0.0f, -0.0f, 0, 0, -0.0f, -0.0f);
	const __m256 sign4 = _mm256_setr_ps(0, 0, 0, 0, -0.0f, -0.0f, -0.0f, -0.0f);

	x = _mm256_add_ps(_mm256_xor_ps(x, sign1), _mm256_permute_ps(x, 0xB1));
	x = _mm256_add_ps(_mm256_xor_ps(x, sign2), _mm256_permute_ps(x, 0x4E));
	return _mm256_add_ps(_mm256_xor_ps(x, sign4), _mm256_permute2f128_ps(x, x, 1));
}

/* change the sign of lane i where bit i is set */
VEC_TARGET VEC_INLINE __m256
flip_lanes(__m256 x, uint32_t bits)
{
	const __m256i bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
	__m256i		set = _mm256_and_si256(_mm256_set1_epi32((int) bits), bit);
	__m256i		mask = _mm256_cmpeq_epi32(set, bit);

	return _mm256_xor_ps(x, _mm256_and_ps(_mm256_castsi256_ps(mask), _mm256_set1_ps(-0.0f)));
}

/* n 16-bit numbers, 0 < n < 8 */
VEC_TARGET VEC_INLINE __m256
load_part_u16(const uint16_t *p, int n)
{
	uint16_t	x[8] = {0};

	memcpy(x, p, (size_t) n * sizeof(*p));
	return _mm256_cvtepi32_ps(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *) x)));
}

/* products of unsigned bytes: widened to 16 bits, added in pairs */
VEC_TARGET VEC_INLINE __m256i
dot_bytes(__m256i acc, __m256i x, __m256i y)
{
	__m256i		zero = _mm256_setzero_si256();
	__m256i		low = _mm256_madd_epi16(_mm256_unpacklo_epi8(x, zero),
										_mm256_unpacklo_epi8(y, zero));
	__m256i		high = _mm256_madd_epi16(_mm256_unpackhi_epi8(x, zero),
										 _mm256_unpackhi_epi8(y, zero));

	return _mm256_add_epi32(acc, _mm256_add_epi32(low, high));
}

VEC_TARGET VEC_INLINE __m256i
dot_small_bytes(__m256i acc, __m256i x, __m256i y)
{
	return _mm256_add_epi32(acc, _mm256_madd_epi16(_mm256_maddubs_epi16(x, y),
												   _mm256_set1_epi16(1)));
}

/* products of unsigned bytes with signed ones */
VEC_TARGET VEC_INLINE __m256i
dot_signed_bytes(__m256i acc, __m256i x, __m256i y)
{
	__m256i		zero = _mm256_setzero_si256();
	__m256i		low = _mm256_madd_epi16(_mm256_unpacklo_epi8(x, zero),
										_mm256_srai_epi16(_mm256_unpacklo_epi8(zero, y), 8));
	__m256i		high = _mm256_madd_epi16(_mm256_unpackhi_epi8(x, zero),
										 _mm256_srai_epi16(_mm256_unpackhi_epi8(zero, y), 8));

	return _mm256_add_epi32(acc, _mm256_add_epi32(low, high));
}

VEC_TARGET VEC_INLINE int32_t
sum_words(__m256i x)
{
	__m128i		y = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));

	y = _mm_add_epi32(y, _mm_shuffle_epi32(y, 0x4E));
	return _mm_cvtsi128_si32(_mm_add_epi32(y, _mm_shuffle_epi32(y, 0xB1)));
}

/* even bytes are what "whole" holds beyond 256 times the odd ones */
VEC_TARGET VEC_INLINE void
store_sums(uint16_t *out, __m256i whole, __m256i high)
{
	__m256i		even = _mm256_sub_epi16(whole, _mm256_slli_epi16(high, 8));
	__m128i		e = _mm_add_epi16(_mm256_castsi256_si128(even), _mm256_extracti128_si256(even, 1));
	__m128i		o = _mm_add_epi16(_mm256_castsi256_si128(high), _mm256_extracti128_si256(high, 1));

	_mm_storeu_si128((__m128i *) out, _mm_unpacklo_epi16(e, o));
	_mm_storeu_si128((__m128i *) (out + 8), _mm_unpackhi_epi16(e, o));
}

#define L_WIDTH					8
#define L_ZERO()				_mm256_setzero_ps()
#define L_ADD(x, y)				_mm256_add_ps(x, y)
#define L_SUB(x, y)				_mm256_sub_ps(x, y)
#define L_ABS(x)				_mm256_andnot_ps(_mm256_set1_ps(-0.0f), x)
#define L_FMA(x, y, z)			_mm256_fmadd_ps(x, y, z)
#define L_SUM(x)				sum_lanes(x)

#define L_LOAD_F32(p)			_mm256_loadu_ps(p)
#define L_LOAD_F16(p)			_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *) (p)))
#define L_PART_F32(p, n)		_mm256_maskload_ps(p, first_lanes(n))
#define L_PART_F16(p, n)		_mm256_cvtph_ps(load_part_f16(p, n))
#define L_STORE_F32(p, x)		_mm256_storeu_ps(p, x)
#define L_STORE_F16(p, x) \
	_mm_storeu_si128((__m128i *) (p), _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT))
#define L_STORE_PART_F32(p, x, n)	_mm256_maskstore_ps(p, first_lanes(n), x)
#define L_STORE_PART_F16(p, x, n)	store_part_f16(p, x, n)

#define L_PICK_F32(p, n, bits)	((void) (n), _mm256_maskload_ps(p, lanes_of_bits(bits)))

#define I_LOAD(p)				_mm256_loadu_si256((const __m256i *) (p))
#define I_PART(p, n)			_mm256_maskload_epi32(p, first_lanes(n))
#define I_ALL(index)			_mm256_set1_epi32(index)
#define I_EQUAL(x, y)			_mm256_cmpeq_epi32(x, y)
#define I_OR(x, y)				_mm256_or_si256(x, y)
#define I_BITS(match)			((unsigned) _mm256_movemask_ps(_mm256_castsi256_ps(match)))

#define W_ZERO()				wide_zero()
#define W_WIDEN(x)				widen(x)
#define W_ADD(x, y)				wide_add(x, y)
#define W_SUB(x, y)				wide_sub(x, y)
#define W_ABS(x)				wide_abs(x)
#define W_FMA(x, y, z)			wide_fma(x, y, z)
#define W_SUM(w)				sum_wide(w)

#define B_WIDTH					32
#define B_ZERO()				_mm256_setzero_si256()
#define B_LOAD(p)				_mm256_loadu_si256((const __m256i *) (p))
#define B_PART(p, n)			load_part_bits(p, n)
#define B_STORE(p, x)			_mm256_storeu_si256((__m256i *) (p), x)
#define B_XOR(x, y)				_mm256_xor_si256(x, y)
#define B_AND(x, y)				_mm256_and_si256(x, y)
#define B_COUNT(x)				count_bytes(x)
#define B_ADD(x, y)				_mm256_add_epi8(x, y)
#define B_FLUSH(acc, x) \
	_mm256_add_epi64(acc, _mm256_sad_epu8(x, _mm256_setzero_si256()))
#define B_TOTAL(acc)			sum_bits(acc)
#define B_SWAP32(x)				swap32(x)
#define B_SWAP16(x) \
	_mm256_or_si256(_mm256_slli_epi16(x, 8), _mm256_srli_epi16(x, 8))

#define T_LOAD(p)				_mm_loadu_si128((const __m128i *) (p))
#define T_STORE(p, x)			_mm_storeu_si128((__m128i *) (p), x)
#define T_ALL(byte)				_mm_set1_epi8(byte)
#define T_AND(x, y)				_mm_and_si128(x, y)
#define T_XOR(x, y)				_mm_xor_si128(x, y)
#define T_PICK(x, index)		_mm_shuffle_epi8(x, index)
#define T_FIND(x, byte) \
	__builtin_ctz((unsigned) _mm_movemask_epi8(_mm_cmpeq_epi8(x, T_ALL(byte))) | 1u << 16)
#define T_ABOVE(x, byte) \
	((unsigned) _mm_movemask_epi8(_mm_adds_epu8(x, T_ALL(127 - (byte)))))
#define T_WIDE_MAX(x, y)		_mm256_max_epu8(x, y)
#define T_WIDE_ABOVE(x, byte) \
	((unsigned) _mm256_movemask_epi8(_mm256_adds_epu8(x, _mm256_set1_epi8(127 - (byte)))))
#define T_JOIN(x, y)			join_digits(x, y)
#define T_MASK64(p, byte)		mask_of_byte(p, byte)

#define L_SET(f)				_mm256_set1_ps(f)
#define L_MIN(x, y)				_mm256_min_ps(x, y)
#define L_MAX(x, y)				_mm256_max_ps(x, y)
#define L_TRUNC(x)				_mm256_round_ps(x, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC)
#define L_LOAD_U16(p) \
	_mm256_cvtepi32_ps(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *) (p))))
#define L_PART_U16(p, n)		load_part_u16(p, n)
#define L_FLIP(x, bits)			flip_lanes(x, bits)
#define L_HADAMARD(x)			hadamard8(x)
#define L_LOAD_BYTES(p)			_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *) (p)))
#define L_PART_BYTES(p, n) \
	_mm256_cvtepu8_epi32(_mm_cvtsi64_si128((int64_t) vec_load_bytes(p, (size_t) (n))))
#define L_FIELD(w, shift, mask) \
	_mm256_cvtepi32_ps(_mm256_and_si256(_mm256_srli_epi32(w, shift), _mm256_set1_epi32(mask)))
#define B_FIELD(x, shift, mask) \
	_mm256_and_si256(_mm256_srli_epi16(x, shift), _mm256_set1_epi8(mask))

#define I_ZERO()				_mm256_setzero_si256()
#define I_DOT(acc, x, y)		dot_bytes(acc, x, y)
#define I_DOT_SMALL(acc, x, y)	dot_small_bytes(acc, x, y)
#define I_JOIN(x, y)			_mm256_add_epi32(x, y)
#define I_TOTAL(acc)			sum_words(acc)

#define G_ROWS					4
#define G_PANELS				1
#define L_BITS_NGE(x, y) \
	((unsigned) _mm256_movemask_ps(_mm256_cmp_ps(x, y, _CMP_NGE_UQ)))
#define I_DOT_SIGNED(acc, x, y)	dot_signed_bytes(acc, x, y)

#define S_SHUFFLE(table, x)		_mm256_shuffle_epi8(table, x)
#define S_PAIR(x, y)			_mm256_blend_epi32(x, y, 0xCC)
#define S_ADD(x, y)				_mm256_add_epi16(x, y)
#define S_HIGH(x)				_mm256_srli_epi16(x, 8)
#define S_STORE(out, whole, high)	store_sums(out, whole, high)

#include "kernels/kernels_tmpl.h"

#endif							/* __x86_64__ */
