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
add_wide(WideLane w, float32x4_t x)
{
	w.low = vaddq_f64(w.low, vcvt_f64_f32(vget_low_f32(x)));
	w.high = vaddq_f64(w.high, vcvt_high_f64_f32(x));
	return w;
}

VEC_INLINE WideLane
add_square(WideLane w, float32x4_t x)
{
	float64x2_t low = vcvt_f64_f32(vget_low_f32(x));
	float64x2_t high = vcvt_high_f64_f32(x);

	w.low = vfmaq_f64(w.low, low, low);
	w.high = vfmaq_f64(w.high, high, high);
	return w;
}

/* accumulators hold two 64-bit sums */
VEC_INLINE uint8x16_t
flush_counts(uint8x16_t acc, uint8x16_t counts)
{
	uint64x2_t	sums = vpaddlq_u32(vpaddlq_u16(vpaddlq_u8(counts)));

	return vreinterpretq_u8_u64(vaddq_u64(vreinterpretq_u64_u8(acc), sums));
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
#define I_EQUAL(x, index)		vceqq_s32(x, vdupq_n_s32(index))
#define I_OR(x, y)				vorrq_u32(x, y)
#define I_BITS(match)			((unsigned) vaddvq_u32(vandq_u32(match, lane_bits())))

#define W_ZERO()				wide_zero()
#define W_ADD(w, x)				add_wide(w, x)
#define W_ADD_SQUARE(w, x)		add_square(w, x)
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

#include "kernels/kernels_tmpl.h"

#endif							/* __aarch64__ */
