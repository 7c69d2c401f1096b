/*-------------------------------------------------------------------------
 *
 * kernels_avx512.c
 *	  Kernels for x86-64 with AVX-512 F, BW, VL, DQ: sixteen floats a lane.
 *
 * Bits are counted by table lookup, which every such CPU can, and once more
 * by VPOPCNTDQ; bytes are multiplied by widening, and once more by VNNI.
 * dispatch.c puts those kernels into a copy of the table where the CPU has
 * the instruction.
 *
 *-------------------------------------------------------------------------
 */
#include "kernels/kernels_isa.h"

#ifdef __x86_64__
#include <immintrin.h>

#define VEC_ISA		avx512
#define VEC_TARGET	__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq")))

typedef __m512 Lane;
typedef __m512i BitLane;
typedef __m512i IndexLane;
typedef __mmask16 IndexMatch;
typedef __m128i TextLane;
typedef struct WideLane
{
	__m512d		low;
	__m512d		high;
} WideLane;

VEC_TARGET VEC_INLINE WideLane
wide_zero(void)
{
	WideLane	w = {_mm512_setzero_pd(), _mm512_setzero_pd()};

	return w;
}

VEC_TARGET VEC_INLINE WideLane
widen(Lane x)
{
	WideLane	w = {_mm512_cvtps_pd(_mm512_castps512_ps256(x)),
					 _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1))};

	return w;
}

VEC_TARGET VEC_INLINE WideLane
wide_add(WideLane x, WideLane y)
{
	WideLane	w = {_mm512_add_pd(x.low, y.low), _mm512_add_pd(x.high, y.high)};

	return w;
}

VEC_TARGET VEC_INLINE WideLane
wide_sub(WideLane x, WideLane y)
{
	WideLane	w = {_mm512_sub_pd(x.low, y.low), _mm512_sub_pd(x.high, y.high)};

	return w;
}

VEC_TARGET VEC_INLINE WideLane
wide_abs(WideLane x)
{
	WideLane	w = {_mm512_abs_pd(x.low), _mm512_abs_pd(x.high)};

	return w;
}

VEC_TARGET VEC_INLINE WideLane
wide_fma(WideLane x, WideLane y, WideLane z)
{
	WideLane	w = {_mm512_fmadd_pd(x.low, y.low, z.low), _mm512_fmadd_pd(x.high, y.high, z.high)};

	return w;
}

/* population count of each byte, by looking up its nibbles (Mula) */
VEC_TARGET VEC_INLINE __m512i
count_bytes(__m512i x)
{
	__m512i		table = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3,
															 1, 2, 2, 3, 2, 3, 3, 4));
	__m512i		nibble = _mm512_set1_epi8(0x0f);
	__m512i		low = _mm512_and_si512(x, nibble);
	__m512i		high = _mm512_and_si512(_mm512_srli_epi16(x, 4), nibble);

	return _mm512_add_epi8(_mm512_shuffle_epi8(table, low), _mm512_shuffle_epi8(table, high));
}

VEC_TARGET VEC_INLINE __m512i
swap32(__m512i x)
{
	return _mm512_shuffle_epi8(x, _mm512_broadcast_i32x4(_mm_setr_epi8(3, 2, 1, 0, 7, 6, 5, 4,
																	   11, 10, 9, 8,
																	   15, 14, 13, 12)));
}

/* decimal digits, 16 bytes a number, to two numbers of eight digits for each */
VEC_TARGET VEC_INLINE __m512i
join_digits(__m512i x, __m512i y)
{
	__m512i		tens = _mm512_set1_epi16(1 << 8 | 10);
	__m512i		hundreds = _mm512_set1_epi32(1 << 16 | 100);
	__m512i		myriads = _mm512_set1_epi32(1 << 16 | 10000);
	__m512i		fours;

	fours = _mm512_packus_epi32(_mm512_madd_epi16(_mm512_maddubs_epi16(x, tens), hundreds),
							   _mm512_madd_epi16(_mm512_maddubs_epi16(y, tens), hundreds));
	return _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7),
									_mm512_madd_epi16(fours, myriads));
}

typedef __m512i WordLane;
typedef __m512i SumLane;

/* Hadamard transform of sixteen lanes: strides 1, 2, 4 and 8 */
VEC_TARGET VEC_INLINE __m512
hadamard16(__m512 x)
{
	__m512		zero = _mm512_setzero_ps();
	__m512		other;

	other = _mm512_permute_ps(x, 0xB1);
	x = _mm512_add_ps(other, _mm512_mask_sub_ps(x, 0xAAAA, zero, x));
	other = _mm512_permute_ps(x, 0x4E);
	x = _mm512_add_ps(other, _mm512_mask_sub_ps(x, 0xCCCC, zero, x));
	other = _mm512_shuffle_f32x4(x, x, 0xB1);
	x = _mm512_add_ps(other, _mm512_mask_sub_ps(x, 0xF0F0, zero, x));
	other = _mm512_shuffle_f32x4(x, x, 0x4E);
	return _mm512_add_ps(other, _mm512_mask_sub_ps(x, 0xFF00, zero, x));
}

/* products of unsigned bytes: widened to 16 bits, added in pairs */
VEC_TARGET VEC_INLINE __m512i
dot_bytes(__m512i acc, __m512i x, __m512i y)
{
	__m512i		zero = _mm512_setzero_si512();
	__m512i		low = _mm512_madd_epi16(_mm512_unpacklo_epi8(x, zero),
										_mm512_unpacklo_epi8(y, zero));
	__m512i		high = _mm512_madd_epi16(_mm512_unpackhi_epi8(x, zero),
										 _mm512_unpackhi_epi8(y, zero));

	return _mm512_add_epi32(acc, _mm512_add_epi32(low, high));
}

/* products of unsigned bytes with signed ones */
VEC_TARGET VEC_INLINE __m512i
dot_signed_bytes(__m512i acc, __m512i x, __m512i y)
{
	__m512i		zero = _mm512_setzero_si512();
	__m512i		low = _mm512_madd_epi16(_mm512_unpacklo_epi8(x, zero),
										_mm512_srai_epi16(_mm512_unpacklo_epi8(zero, y), 8));
	__m512i		high = _mm512_madd_epi16(_mm512_unpackhi_epi8(x, zero),
										 _mm512_srai_epi16(_mm512_unpackhi_epi8(zero, y), 8));

	return _mm512_add_epi32(acc, _mm512_add_epi32(low, high));
}

VEC_TARGET VEC_INLINE __m512i
dot_small_bytes(__m512i acc, __m512i x, __m512i y)
{
	return _mm512_add_epi32(acc, _mm512_madd_epi16(_mm512_maddubs_epi16(x, y),
												   _mm512_set1_epi16(1)));
}

VEC_TARGET VEC_INLINE __m128i
fold_sums(__m512i x)
{
	__m256i		y = _mm256_add_epi16(_mm512_castsi512_si256(x), _mm512_extracti64x4_epi64(x, 1));

	return _mm_add_epi16(_mm256_castsi256_si128(y), _mm256_extracti128_si256(y, 1));
}

/* even bytes are what "whole" holds beyond 256 times the odd ones */
VEC_TARGET VEC_INLINE void
store_sums(uint16_t *out, __m512i whole, __m512i high)
{
	__m128i		e = fold_sums(_mm512_sub_epi16(whole, _mm512_slli_epi16(high, 8)));
	__m128i		o = fold_sums(high);

	_mm_storeu_si128((__m128i *) out, _mm_unpacklo_epi16(e, o));
	_mm_storeu_si128((__m128i *) (out + 8), _mm_unpackhi_epi16(e, o));
}

/* the first n of 16 lanes, of 64 bytes */
#define FIRST16(n)				((__mmask16) FIRST_BITS(n))
#define FIRST64(n)				((__mmask64) ((UINT64_C(1) << (n)) - 1))

#define TO_HALF(x)				_mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT)

#define L_WIDTH					16
#define L_ZERO()				_mm512_setzero_ps()
#define L_ADD(x, y)				_mm512_add_ps(x, y)
#define L_SUB(x, y)				_mm512_sub_ps(x, y)
#define L_ABS(x)				_mm512_abs_ps(x)
#define L_FMA(x, y, z)			_mm512_fmadd_ps(x, y, z)
#define L_SUM(x)				_mm512_reduce_add_ps(x)

#define L_LOAD_F32(p)			_mm512_loadu_ps(p)
#define L_LOAD_F16(p)			_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *) (p)))
#define L_PART_F32(p, n)		_mm512_maskz_loadu_ps(FIRST16(n), p)
#define L_PART_F16(p, n)		_mm512_cvtph_ps(_mm256_maskz_loadu_epi16(FIRST16(n), p))
#define L_STORE_F32(p, x)		_mm512_storeu_ps(p, x)
#define L_STORE_F16(p, x)		_mm256_storeu_si256((__m256i *) (p), TO_HALF(x))
#define L_STORE_PART_F32(p, x, n)	_mm512_mask_storeu_ps(p, FIRST16(n), x)
#define L_STORE_PART_F16(p, x, n)	_mm256_mask_storeu_epi16(p, FIRST16(n), TO_HALF(x))

#define L_PICK_F32(p, n, bits)	((void) (n), _mm512_maskz_loadu_ps((__mmask16) (bits), p))

#define I_LOAD(p)				_mm512_loadu_si512(p)
#define I_PART(p, n)			_mm512_maskz_loadu_epi32(FIRST16(n), p)
#define I_ALL(index)			_mm512_set1_epi32(index)
#define I_EQUAL(x, y)			_mm512_cmpeq_epi32_mask(x, y)
#define I_OR(x, y)				_mm512_kor(x, y)
#define I_BITS(match)			((unsigned) (match))

#define W_ZERO()				wide_zero()
#define W_WIDEN(x)				widen(x)
#define W_ADD(x, y)				wide_add(x, y)
#define W_SUB(x, y)				wide_sub(x, y)
#define W_ABS(x)				wide_abs(x)
#define W_FMA(x, y, z)			wide_fma(x, y, z)
#define W_SUM(w)				_mm512_reduce_add_pd(_mm512_add_pd((w).low, (w).high))

#define B_WIDTH					64
#define B_ZERO()				_mm512_setzero_si512()
#define B_LOAD(p)				_mm512_loadu_si512(p)
#define B_PART(p, n)			_mm512_maskz_loadu_epi8(FIRST64(n), p)
#define B_STORE(p, x)			_mm512_storeu_si512(p, x)
#define B_XOR(x, y)				_mm512_xor_si512(x, y)
#define B_AND(x, y)				_mm512_and_si512(x, y)
#define B_COUNT(x)				count_bytes(x)
#define B_ADD(x, y)				_mm512_add_epi8(x, y)
#define B_FLUSH(acc, x) \
	_mm512_add_epi64(acc, _mm512_sad_epu8(x, _mm512_setzero_si512()))
#define B_TOTAL(acc)			((uint64_t) _mm512_reduce_add_epi64(acc))
#define B_SWAP32(x)				swap32(x)
#define B_SWAP16(x) \
	_mm512_or_si512(_mm512_slli_epi16(x, 8), _mm512_srli_epi16(x, 8))

#define T_LOAD(p)				_mm_loadu_si128((const __m128i *) (p))
#define T_STORE(p, x)			_mm_storeu_si128((__m128i *) (p), x)
#define T_ALL(byte)				_mm_set1_epi8(byte)
#define T_AND(x, y)				_mm_and_si128(x, y)
#define T_XOR(x, y)				_mm_xor_si128(x, y)
#define T_PICK(x, index)		_mm_shuffle_epi8(x, index)
#define T_FIND(x, byte)			__builtin_ctz(_mm_cmpeq_epi8_mask(x, T_ALL(byte)) | 1u << 16)
#define T_ABOVE(x, byte)		((unsigned) _mm_cmpgt_epu8_mask(x, T_ALL(byte)))
#define T_WIDE_MAX(x, y)		_mm512_max_epu8(x, y)
#define T_WIDE_ABOVE(x, byte)	(_mm512_cmpgt_epu8_mask(x, _mm512_set1_epi8(byte)) != 0)
#define T_JOIN(x, y)			join_digits(x, y)
#define T_MASK64(p, byte)		_mm512_cmpeq_epi8_mask(_mm512_loadu_si512(p), _mm512_set1_epi8(byte))

#define L_SET(f)				_mm512_set1_ps(f)
#define L_MIN(x, y)				_mm512_min_ps(x, y)
#define L_MAX(x, y)				_mm512_max_ps(x, y)
#define L_TRUNC(x) \
	_mm512_roundscale_ps(x, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC)
#define L_LOAD_U16(p) \
	_mm512_cvtepi32_ps(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *) (p))))
#define L_PART_U16(p, n) \
	_mm512_cvtepi32_ps(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(FIRST16(n), p)))
#define L_FLIP(x, bits) \
	_mm512_mask_xor_ps(x, (__mmask16) (bits), x, _mm512_set1_ps(-0.0f))
#define L_HADAMARD(x)			hadamard16(x)
#define L_LOAD_BYTES(p)			_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *) (p)))
#define L_PART_BYTES(p, n)		_mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(FIRST16(n), p))
#define L_FIELD(w, shift, mask) \
	_mm512_cvtepi32_ps(_mm512_and_si512(_mm512_srli_epi32(w, shift), _mm512_set1_epi32(mask)))
#define B_FIELD(x, shift, mask) \
	_mm512_and_si512(_mm512_srli_epi16(x, shift), _mm512_set1_epi8(mask))

#define I_ZERO()				_mm512_setzero_si512()
#define I_DOT(acc, x, y)		dot_bytes(acc, x, y)
#define I_DOT_SMALL(acc, x, y)	dot_small_bytes(acc, x, y)
#define I_JOIN(x, y)			_mm512_add_epi32(x, y)
#define I_TOTAL(acc)			_mm512_reduce_add_epi32(acc)

#define G_ROWS					8
#define G_PANELS				2
#define L_BITS_NGE(x, y)		((unsigned) _mm512_cmp_ps_mask(x, y, _CMP_NGE_UQ))
#define I_DOT_SIGNED(acc, x, y)	dot_signed_bytes(acc, x, y)

#define S_SHUFFLE(table, x)		_mm512_shuffle_epi8(table, x)
#define S_PAIR(x, y)			_mm512_mask_blend_epi64(0xAA, x, y)
#define S_ADD(x, y)				_mm512_add_epi16(x, y)
#define S_HIGH(x)				_mm512_srli_epi16(x, 8)
#define S_STORE(out, whole, high)	store_sums(out, whole, high)

#include "kernels/kernels_tmpl.h"

/* the bit kernels again, counting 64 bits at a time */
#undef VEC_ISA
#undef VEC_TARGET
#undef B_COUNT
#undef B_ADD
#undef B_FLUSH

#define VEC_ISA		avx512_vpopcntdq
#define VEC_TARGET	__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vpopcntdq")))

#define B_COUNT(x)				_mm512_popcnt_epi64(x)
#define B_ADD(x, y)				_mm512_add_epi64(x, y)
#define B_FLUSH(acc, x)			_mm512_add_epi64(acc, x)

#include "kernels/kernels_bits_tmpl.h"

/*
 * vec_kernels_use_vpopcntdq
 *		Replace the bit kernels of an AVX-512 table by those that need VPOPCNTDQ.
 */
void
vec_kernels_use_vpopcntdq(VecKernels *table)
{
	table->hamming_bits = FN(hamming_bits);
	table->jaccard_bits = FN(jaccard_bits);
}

/*
 * The products of codes again, four to an instruction.  It takes one operand
 * as signed: 128 is taken off each byte of y, and 128 times the sum of x is
 * added in the end.
 */
#undef VEC_ISA
#undef VEC_TARGET
#undef I_ZERO
#undef I_DOT
#undef I_DOT_SMALL
#undef I_JOIN
#undef I_TOTAL

#define VEC_ISA		avx512_vnni
#define VEC_TARGET	__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")))

typedef struct VnniSum
{
	__m512i		products;
	__m512i		sum;			/* of the bytes of x */
} VnniSum;

VEC_TARGET VEC_INLINE VnniSum
vnni_zero(void)
{
	VnniSum		s = {_mm512_setzero_si512(), _mm512_setzero_si512()};

	return s;
}

VEC_TARGET VEC_INLINE VnniSum
vnni_dot(VnniSum s, __m512i x, __m512i y)
{
	s.products = _mm512_dpbusd_epi32(s.products, x, _mm512_xor_si512(y, _mm512_set1_epi8(-128)));
	s.sum = _mm512_dpbusd_epi32(s.sum, x, _mm512_set1_epi8(1));
	return s;
}

VEC_TARGET VEC_INLINE VnniSum
vnni_dot_small(VnniSum s, __m512i x, __m512i y)
{
	s.products = _mm512_dpbusd_epi32(s.products, x, y);
	return s;
}

VEC_TARGET VEC_INLINE VnniSum
vnni_join(VnniSum s, VnniSum t)
{
	s.products = _mm512_add_epi32(s.products, t.products);
	s.sum = _mm512_add_epi32(s.sum, t.sum);
	return s;
}

VEC_TARGET VEC_INLINE int32_t
vnni_total(VnniSum s)
{
	return _mm512_reduce_add_epi32(_mm512_add_epi32(s.products, _mm512_slli_epi32(s.sum, 7)));
}

#define SumLane					VnniSum
#define I_ZERO()				vnni_zero()
#define I_DOT(acc, x, y)		vnni_dot(acc, x, y)
#define I_DOT_SMALL(acc, x, y)	vnni_dot_small(acc, x, y)
#define I_JOIN(x, y)			vnni_join(x, y)
#define I_TOTAL(acc)			vnni_total(acc)

#include "kernels/kernels_dot_tmpl.h"

/*
 * vec_kernels_use_vnni
 *		Replace the products of codes in an AVX-512 table by those that need
 *		VNNI.
 */
void
vec_kernels_use_vnni(VecKernels *table)
{
	table->dot_u8 = FN(dot_u8);
	table->dot_u4 = FN(dot_u4);
	table->dot_u4_rows = FN(dot_u4_rows);
	table->dot_u2 = FN(dot_u2);
}

#endif							/* __x86_64__ */
