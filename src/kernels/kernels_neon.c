/*-------------------------------------------------------------------------
 *
 * kernels_neon.c
 *	  Kernels for AArch64, where every CPU has NEON: four floats a lane.
 *
 *-------------------------------------------------------------------------
 */
#include "kernels/kernels_isa.h"

#ifdef __aarch64__
#include <arm_neon.h>

#define VEC_ISA		neon
#define VEC_TARGET

typedef float32x4_t Lane;
typedef uint8x16_t BitLane;
typedef int32x4_t IndexLane;
typedef uint32x4_t IndexMatch;
typedef uint8x16_t TextLane;
typedef struct WideLane
{
	float64x2_t low;
	float64x2_t high;
} WideLane;

/* n floats, 0 < n < 4 */
VEC_INLINE float32x4_t
load_part_f32(const void *p, int n)
{
	const uint8_t *bytes = p;
	float		x[4] = {0, 0, 0, 0};

	memcpy(&x[0], bytes, sizeof(float));
	if (n > 1)
		memcpy(&x[1], bytes + sizeof(float), sizeof(float));
	if (n > 2)
		memcpy(&x[2], bytes + 2 * sizeof(float), sizeof(float));
	return vld1q_f32(x);
}

/* 1, 2, 4, 8 */
VEC_INLINE uint32x4_t
lane_bits(void)
{
	static const uint32_t bits[4] = {1, 2, 4, 8};

	return vld1q_u32(bits);
}

/* of n floats, 0 < n <= 4, those whose bit is set */
VEC_INLINE float32x4_t
pick_f32(const float *p, int n, unsigned bits)
{
	float32x4_t x = n == 4 ? vld1q_f32(p) : load_part_f32(p, n);
	uint32x4_t	wanted = vtstq_u32(vdupq_n_u32(bits), lane_bits());

	return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(x), wanted));
}

/* n halves, 0 < n < 4 */
VEC_INLINE float32x4_t
load_part_f16(const void *p, int n)
{
	const uint8_t *bytes = p;
	vec_half	x[4] = {0, 0, 0, 0};

	memcpy(&x[0], bytes, sizeof(vec_half));
	if (n > 1)
		memcpy(&x[1], bytes + sizeof(vec_half), sizeof(vec_half));
	if (n > 2)
		memcpy(&x[2], bytes + 2 * sizeof(vec_half), sizeof(vec_half));
	return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(x)));
}

VEC_INLINE uint16x4_t
to_half(float32x4_t x)
{
	return vreinterpret_u16_f16(vcvt_f16_f32(x));
}

VEC_INLINE void
store_part_f32(void *p, float32x4_t lane, int n)
{
	float		x[4];

	vst1q_f32(x, lane);
	memcpy(p, x, (size_t) n * sizeof(float));
}

VEC_INLINE void
store_part_f16(void *p, float32x4_t lane, int n)
{
	vec_half	x[4];

	vst1_u16(x, to_half(lane));
	memcpy(p, x, (size_t) n * sizeof(vec_half));
}

/* n bytes, 0 < n < 16 */
VEC_INLINE uint8x16_t
load_part_bits(const uint8_t *p, size_t n)
{
	uint64_t	low;

	if (n < 8)
		return vreinterpretq_u8_u64(vcombine_u64(vcreate_u64(vec_load_bytes(p, n)),
												 vcreate_u64(0)));

	memcpy(&low, p, sizeof(low));
	return vreinterpretq_u8_u64(vcombine_u64(vcreate_u64(low),
											 vcreate_u64(vec_load_bytes(p + 8, n - 8))));
}

VEC_INLINE WideLane
wide_zero(void)
{
	WideLane	w = {vdupq_n_f64(0), vdupq_n_f64(0)};

	return w;
}

VEC_INLINE WideLane
widen(float32x4_t x)
{
	WideLane	w = {vcvt_f64_f32(vget_low_f32(x)), vcvt_high_f64_f32(x)};

	return w;
}

VEC_INLINE WideLane
wide_add(WideLane x, WideLane y)
{
	WideLane	w = {vaddq_f64(x.low, y.low), vaddq_f64(x.high, y.high)};

	return w;
}

VEC_INLINE WideLane
wide_sub(WideLane x, WideLane y)
{
	WideLane	w = {vsubq_f64(x.low, y.low), vsubq_f64(x.high, y.high)};

	return w;
}

VEC_INLINE WideLane
wide_abs(WideLane x)
{
	WideLane	w = {vabsq_f64(x.low), vabsq_f64(x.high)};

	return w;
}

VEC_INLINE WideLane
wide_fma(WideLane x, WideLane y, WideLane z)
{
	WideLane	w = {vfmaq_f64(z.low, x.low, y.low), vfmaq_f64(z.high, x.high, y.high)};

	return w;
}

/* accumulators hold two 64-bit sums */
VEC_INLINE uint8x16_t
flush_counts(uint8x16_t acc, uint8x16_t counts)
{
	uint64x2_t	sums = vpaddlq_u32(vpaddlq_u16(vpaddlq_u8(counts)));

	return vreinterpretq_u8_u64(vaddq_u64(vreinterpretq_u64_u8(acc), sums));
}

/* decimal digits, 16 bytes a number, to numbers of eight digits */
VEC_INLINE uint32x4_t
join_eights(uint8x16_t x)
{
	uint8x16_t	tens = vreinterpretq_u8_u16(vdupq_n_u16(1 << 8 | 10));
	uint16x8_t	hundreds = vreinterpretq_u16_u32(vdupq_n_u32(1 << 16 | 100));
	uint32x4_t	myriads = vreinterpretq_u32_u64(vdupq_n_u64(UINT64_C(1) << 32 | 10000));
	uint16x8_t	pairs = vpaddlq_u8(vmulq_u8(x, tens));
	uint32x4_t	fours = vpaddlq_u16(vmulq_u16(pairs, hundreds));

	return vreinterpretq_u32_u64(vpaddlq_u32(vmulq_u32(fours, myriads)));
}

/* two of them, the zeros between dropped */
VEC_INLINE uint8x16_t
join_digits(uint8x16_t x, uint8x16_t y)
{
	return vreinterpretq_u8_u32(vuzp1q_u32(join_eights(x), join_eights(y)));
}

/* four bits for each byte: the lower half of every 16-bit lane shifted by four */
VEC_INLINE uint64_t
mask_of_lanes(uint8x16_t match)
{
	return vget_lane_u64(vreinterpret_u64_u8(vshrn_n_u16(vreinterpretq_u16_u8(match), 4)), 0);
}

VEC_INLINE int
find_byte(uint8x16_t x, uint8_t byte)
{
	uint64_t	mask = mask_of_lanes(vceqq_u8(x, vdupq_n_u8(byte)));

	return mask == 0 ? 16 : __builtin_ctzll(mask) >> 2;
}

/* a bit for each of 64 bytes that is c */
VEC_INLINE uint64_t
mask_of_byte(const char *p, char c)
{
	const uint8_t *bytes = (const uint8_t *) p;
	uint8x16_t	all = vdupq_n_u8((uint8_t) c);
	uint8x16_t	bits = vreinterpretq_u8_u64(vdupq_n_u64(UINT64_C(0x8040201008040201)));
	uint8x16_t	first = vandq_u8(vceqq_u8(vld1q_u8(bytes), all), bits);
	uint8x16_t	second = vandq_u8(vceqq_u8(vld1q_u8(bytes + 16), all), bits);
	uint8x16_t	third = vandq_u8(vceqq_u8(vld1q_u8(bytes + 32), all), bits);
	uint8x16_t	fourth = vandq_u8(vceqq_u8(vld1q_u8(bytes + 48), all), bits);
	uint8x16_t	sums = vpaddq_u8(vpaddq_u8(first, second), vpaddq_u8(third, fourth));

	return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(sums, sums)), 0);
}

typedef uint32x4_t WordLane;
typedef uint32x4_t SumLane;

/* Hadamard transform of four lanes: strides 1 and 2 */
VEC_INLINE float32x4_t
hadamard4(float32x4_t x)
{
	const float32x4_t sign1 = {1, -1, 1, -1};
	const float32x4_t sign2 = {1, 1, -1, -1};

	x = vfmaq_f32(vrev64q_f32(x), x, sign1);
	return vfmaq_f32(vextq_f32(x, x, 2), x, sign2);
}

/* change the sign of lane i where bit i is set */
VEC_INLINE float32x4_t
flip_lanes(float32x4_t x, uint32_t bits)
{
	const int32x4_t up = {31, 30, 29, 28};
	uint32x4_t	sign = vandq_u32(vshlq_u32(vdupq_n_u32(bits), up), vdupq_n_u32(0x80000000));

	return vreinterpretq_f32_u32(veorq_u32(vreinterpretq_u32_f32(x), sign));
}

/* n 16-bit numbers, 0 < n < 4 */
VEC_INLINE float32x4_t
load_part_u16(const uint16_t *p, int n)
{
	uint16_t	x[4] = {0, 0, 0, 0};

	memcpy(x, p, (size_t) n * sizeof(*p));
	return vcvtq_f32_u32(vmovl_u16(vld1_u16(x)));
}

/* n bytes as numbers, 0 < n <= 4 */
VEC_INLINE uint32x4_t
load_words(const uint8_t *p, int n)
{
	uint64_t	bytes;

	if (n >= 4)
	{
		uint32_t	word;

		memcpy(&word, p, sizeof(word));
		bytes = word;
	}
	else
		bytes = vec_load_bytes(p, (size_t) n);
	return vmovl_u16(vget_low_u16(vmovl_u8(vcreate_u8(bytes))));
}

VEC_INLINE uint32x4_t
dot_bytes(uint32x4_t acc, uint8x16_t x, uint8x16_t y)
{
	acc = vpadalq_u16(acc, vmull_u8(vget_low_u8(x), vget_low_u8(y)));
	return vpadalq_u16(acc, vmull_high_u8(x, y));
}

/* products of unsigned bytes with signed ones, as 32-bit words that wrap */
VEC_INLINE uint32x4_t
dot_signed_bytes(uint32x4_t acc, uint8x16_t x, uint8x16_t y)
{
	int16x8_t	x0 = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(x)));
	int16x8_t	x1 = vreinterpretq_s16_u16(vmovl_high_u8(x));
	int16x8_t	y0 = vmovl_s8(vget_low_s8(vreinterpretq_s8_u8(y)));
	int16x8_t	y1 = vmovl_high_s8(vreinterpretq_s8_u8(y));
	int32x4_t	sum = vreinterpretq_s32_u32(acc);

	sum = vmlal_s16(sum, vget_low_s16(x0), vget_low_s16(y0));
	sum = vmlal_high_s16(sum, x0, y0);
	sum = vmlal_s16(sum, vget_low_s16(x1), vget_low_s16(y1));
	return vreinterpretq_u32_s32(vmlal_high_s16(sum, x1, y1));
}

/* vshlq with a count that may be zero, which vshrq_n forbids */
VEC_INLINE uint32x4_t
shift_words(uint32x4_t w, int shift)
{
	return vshlq_u32(w, vdupq_n_s32(-shift));
}

VEC_INLINE uint8x16_t
shift_bytes(uint8x16_t x, int shift)
{
	return vshlq_u8(x, vdupq_n_s8((int8_t) -shift));
}

VEC_INLINE uint8x16_t
add_sums(uint8x16_t x, uint8x16_t y)
{
	return vreinterpretq_u8_u16(vaddq_u16(vreinterpretq_u16_u8(x), vreinterpretq_u16_u8(y)));
}

VEC_INLINE uint8x16_t
high_bytes(uint8x16_t x)
{
	return vreinterpretq_u8_u16(vshrq_n_u16(vreinterpretq_u16_u8(x), 8));
}

/* even bytes are what "whole" holds beyond 256 times the odd ones */
VEC_INLINE void
store_sums(uint16_t *out, uint8x16_t whole, uint8x16_t high)
{
	uint16x8_t	odd = vreinterpretq_u16_u8(high);
	uint16x8_t	even = vsubq_u16(vreinterpretq_u16_u8(whole), vshlq_n_u16(odd, 8));

	vst1q_u16(out, vzip1q_u16(even, odd));
	vst1q_u16(out + 8, vzip2q_u16(even, odd));
}

#define L_WIDTH					4
#define L_ZERO()				vdupq_n_f32(0)
#define L_ADD(x, y)				vaddq_f32(x, y)
#define L_SUB(x, y)				vsubq_f32(x, y)
#define L_ABS(x)				vabsq_f32(x)
#define L_FMA(x, y, z)			vfmaq_f32(z, x, y)
#define L_SUM(x)				vaddvq_f32(x)

#define L_LOAD_F32(p)			vld1q_f32(p)
#define L_LOAD_F16(p)			vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)))
#define L_PART_F32(p, n)		load_part_f32(p, n)
#define L_PART_F16(p, n)		load_part_f16(p, n)
#define L_STORE_F32(p, x)		vst1q_f32(p, x)
#define L_STORE_F16(p, x)		vst1_u16(p, to_half(x))
#define L_STORE_PART_F32(p, x, n)	store_part_f32(p, x, n)
#define L_STORE_PART_F16(p, x, n)	store_part_f16(p, x, n)

#define L_PICK_F32(p, n, bits)	pick_f32(p, n, bits)

#define I_LOAD(p)				vld1q_s32(p)
#define I_PART(p, n)			vreinterpretq_s32_f32(load_part_f32(p, n))
#define I_ALL(index)			vdupq_n_s32(index)
#define I_EQUAL(x, y)			vceqq_s32(x, y)
#define I_OR(x, y)				vorrq_u32(x, y)
#define I_BITS(match)			((unsigned) vaddvq_u32(vandq_u32(match, lane_bits())))

#define W_ZERO()				wide_zero()
#define W_WIDEN(x)				widen(x)
#define W_ADD(x, y)				wide_add(x, y)
#define W_SUB(x, y)				wide_sub(x, y)
#define W_ABS(x)				wide_abs(x)
#define W_FMA(x, y, z)			wide_fma(x, y, z)
#define W_SUM(w)				vaddvq_f64(vaddq_f64((w).low, (w).high))

#define B_WIDTH					16
#define B_ZERO()				vdupq_n_u8(0)
#define B_LOAD(p)				vld1q_u8(p)
#define B_PART(p, n)			load_part_bits(p, n)
#define B_STORE(p, x)			vst1q_u8(p, x)
#define B_XOR(x, y)				veorq_u8(x, y)
#define B_AND(x, y)				vandq_u8(x, y)
#define B_COUNT(x)				vcntq_u8(x)
#define B_ADD(x, y)				vaddq_u8(x, y)
#define B_FLUSH(acc, x)			flush_counts(acc, x)
#define B_TOTAL(acc)			vaddvq_u64(vreinterpretq_u64_u8(acc))
#define B_SWAP32(x)				vrev32q_u8(x)
#define B_SWAP16(x)				vrev16q_u8(x)

/* pairs of numbers are stored as one: the first must come lowest */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define T_LOAD(p)				vld1q_u8((const uint8_t *) (p))
#define T_STORE(p, x)			vst1q_u8(p, x)
#define T_ALL(byte)				vdupq_n_u8(byte)
#define T_AND(x, y)				vandq_u8(x, y)
#define T_XOR(x, y)				veorq_u8(x, y)
#define T_PICK(x, index)		vqtbl1q_u8(x, index)
#define T_FIND(x, byte)			find_byte(x, byte)
#define T_ABOVE(x, byte)		((unsigned) (vmaxvq_u8(x) > (byte)))
#define T_WIDE_MAX(x, y)		vmaxq_u8(x, y)
#define T_WIDE_ABOVE(x, byte)	T_ABOVE(x, byte)
#define T_JOIN(x, y)			join_digits(x, y)
#define T_MASK64(p, byte)		mask_of_byte(p, byte)
#endif

#define L_SET(f)				vdupq_n_f32(f)
#define L_MIN(x, y)				vminq_f32(x, y)
#define L_MAX(x, y)				vmaxq_f32(x, y)
#define L_TRUNC(x)				vrndq_f32(x)
#define L_LOAD_U16(p)			vcvtq_f32_u32(vmovl_u16(vld1_u16(p)))
#define L_PART_U16(p, n)		load_part_u16(p, n)
#define L_FLIP(x, bits)			flip_lanes(x, bits)
#define L_HADAMARD(x)			hadamard4(x)
#define L_LOAD_BYTES(p)			load_words(p, 4)
#define L_PART_BYTES(p, n)		load_words(p, n)
#define L_FIELD(w, shift, mask) \
	vcvtq_f32_u32(vandq_u32(shift_words(w, shift), vdupq_n_u32(mask)))
#define B_FIELD(x, shift, mask)	vandq_u8(shift_bytes(x, shift), vdupq_n_u8(mask))

#define I_ZERO()				vdupq_n_u32(0)
#define I_DOT(acc, x, y)		dot_bytes(acc, x, y)
#define I_DOT_SMALL(acc, x, y)	dot_bytes(acc, x, y)
#define I_JOIN(x, y)			vaddq_u32(x, y)
#define I_TOTAL(acc)			((int32_t) vaddvq_u32(acc))

#define G_ROWS					4
#define G_PANELS				1
#define L_BITS_NGE(x, y)		I_BITS(vmvnq_u32(vcgeq_f32(x, y)))
#define I_DOT_SIGNED(acc, x, y)	dot_signed_bytes(acc, x, y)

#define S_SHUFFLE(table, x)		vqtbl1q_u8(table, x)
#define S_PAIR(x, y)			vcombine_u8(vget_low_u8(x), vget_high_u8(y))
#define S_ADD(x, y)				add_sums(x, y)
#define S_HIGH(x)				high_bytes(x)
#define S_STORE(out, whole, high)	store_sums(out, whole, high)

#include "kernels/kernels_tmpl.h"

#endif							/* __aarch64__ */
