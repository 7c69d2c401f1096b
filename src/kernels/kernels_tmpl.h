/*-------------------------------------------------------------------------
 *
 * kernels_tmpl.h
 *	  Every loop, written once over abstract lanes.
 *
 * Each kernels_<isa>.c defines the lanes and includes this file once (hence
 * no guard).  p is a pointer of any alignment; n counts elements or bytes,
 * 0 < n < width; a "part" reads or writes nothing beyond n, and the lanes it
 * does not read are zero.
 *
 *	VEC_ISA, VEC_TARGET			name; attribute that enables the instructions
 *	Lane, L_WIDTH				floats, how many
 *	L_ZERO() L_ADD L_SUB L_ABS	arithmetic
 *	L_FMA(x, y, z)				x * y + z, fused or not
 *	L_SUM(x)					sum of the lanes, as float
 *	L_LOAD_F32(p) L_PART_F32(p, n)
 *	L_LOAD_F16(p) L_PART_F16(p, n)			halves, widened
 *	L_STORE_F32(p, x) L_STORE_PART_F32(p, x, n)
 *	L_STORE_F16(p, x) L_STORE_PART_F16(p, x, n)	rounded to nearest even
 *	L_PICK_F32(p, n, bits)		the lanes below n whose bit is set, 0 < n <= width;
 *								the others zero
 *	WideLane					as many doubles
 *	W_ZERO() W_ADD W_SUB W_ABS W_FMA W_SUM	as for Lane
 *	W_WIDEN(x)					from Lane, exact
 *	IndexLane, IndexMatch		int32_t, as many as floats; how comparisons come out
 *	I_LOAD(p) I_PART(p, n)		p is aligned as int32_t
 *	I_ALL(index)				one index in every lane
 *	I_EQUAL(x, y)				which lanes are equal
 *	I_OR I_BITS(match)			either; as one bit per lane, the first lowest
 *	BitLane, B_WIDTH			bytes, how many
 *	B_ZERO() B_LOAD(p) B_PART(p, n) B_STORE(p, x) B_XOR B_AND
 *	B_SWAP32(x) B_SWAP16(x)		reverse the bytes of each 4 or 2
 *	and those of kernels_bits_tmpl.h, kernels_text_tmpl.h, kernels_codes_tmpl.h,
 *	kernels_dot_tmpl.h, kernels_lists_tmpl.h
 *
 *-------------------------------------------------------------------------
 */

/* one step of a sum; op is a constant wherever this is inlined */
VEC_TARGET VEC_INLINE Lane
FN(step) (VecOp op, Lane acc, Lane x, Lane y)
{
	Lane		diff;

	if (op == VEC_OP_DOT)
		return L_FMA(x, y, acc);

	diff = L_SUB(x, y);
	return op == VEC_OP_L2SQ ? L_FMA(diff, diff, acc) : L_ADD(acc, L_ABS(diff));
}

/* w + x^2; squares of floats are exact in double */
VEC_TARGET VEC_INLINE WideLane
FN(add_square) (WideLane w, Lane x)
{
	WideLane	wide = W_WIDEN(x);

	return W_FMA(wide, wide, w);
}

#define ELEM			float
#define ELEM_NAME		f32
#define E_LOAD(p)		L_LOAD_F32(p)
#define E_PART(p, n)	L_PART_F32(p, n)
#include "kernels/kernels_dense_tmpl.h"

#define ELEM			vec_half
#define ELEM_NAME		f16
#define E_LOAD(p)		L_LOAD_F16(p)
#define E_PART(p, n)	L_PART_F16(p, n)
#include "kernels/kernels_dense_tmpl.h"

#include "kernels/kernels_bits_tmpl.h"
#include "kernels/kernels_sparse_tmpl.h"
#include "kernels/kernels_text_tmpl.h"
#include "kernels/kernels_codes_tmpl.h"
#include "kernels/kernels_dot_tmpl.h"
#include "kernels/kernels_lists_tmpl.h"

/* halves to floats, exact; a signalling NaN becomes quiet */
VEC_TARGET static void
FN(half_to_float) (const vec_half *src, float *dst, int dim)
{
	int			i = 0;

	for (; i + L_WIDTH <= dim; i += L_WIDTH)
		L_STORE_F32(dst + i, L_LOAD_F16(src + i));
	if (i < dim)
		L_STORE_PART_F32(dst + i, L_PART_F16(src + i, dim - i), dim - i);
}

/* floats to halves, to nearest even */
VEC_TARGET static void
FN(float_to_half) (const float *src, vec_half *dst, int dim)
{
	int			i = 0;

	for (; i + L_WIDTH <= dim; i += L_WIDTH)
		L_STORE_F16(dst + i, L_LOAD_F32(src + i));
	if (i < dim)
		L_STORE_PART_F16(dst + i, L_PART_F32(src + i, dim - i), dim - i);
}

/* reverse the bytes of n 32-bit elements */
VEC_TARGET static void
FN(swap_bytes32) (const void *src, void *dst, int n)
{
	const uint8_t *s = src;
	uint8_t    *d = dst;
	size_t		bytes = (size_t) n * 4;
	size_t		i = 0;

	for (; bytes - i >= B_WIDTH; i += B_WIDTH)
		B_STORE(d + i, B_SWAP32(B_LOAD(s + i)));
	for (; i < bytes; i += 4)
	{
		uint32_t	word;

		memcpy(&word, s + i, sizeof(word));
		word = (word & 0x00ff00ff) << 8 | (word >> 8 & 0x00ff00ff);
		word = word << 16 | word >> 16;
		memcpy(d + i, &word, sizeof(word));
	}
}

/* reverse the bytes of n 16-bit elements */
VEC_TARGET static void
FN(swap_bytes16) (const void *src, void *dst, int n)
{
	const uint8_t *s = src;
	uint8_t    *d = dst;
	size_t		bytes = (size_t) n * 2;
	size_t		i = 0;

	for (; bytes - i >= B_WIDTH; i += B_WIDTH)
		B_STORE(d + i, B_SWAP16(B_LOAD(s + i)));
	for (; i < bytes; i += 2)
	{
		uint16_t	word;

		memcpy(&word, s + i, sizeof(word));
		word = (uint16_t) (word << 8 | word >> 8);
		memcpy(d + i, &word, sizeof(word));
	}
}

/* the text of a block of floats */
VEC_TARGET static void
FN(print_block) (const float *x, VecPrintBlock *block)
{
	vec_block_prepare(x, block);
}

const VecKernels FN(vec_kernels) = {
	.name = VEC_STRING(VEC_ISA),
#define X(result, kernel, args) .kernel = FN(kernel),
	VEC_KERNELS(X)
#undef X
};
