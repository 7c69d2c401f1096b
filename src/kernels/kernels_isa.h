/*-------------------------------------------------------------------------
 *
 * kernels_isa.h
 *	  What the instruction sets share; private to this folder and its test.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_KERNELS_ISA_H
#define VECEXT_KERNELS_ISA_H

#include <stdint.h>
#include <string.h>

#include "kernels/kernels.h"

/* FN(l2sq_f32) is l2sq_f32_avx2 in kernels_avx2.c */
#define VEC_PASTE_(a, b)	a##_##b
#define VEC_PASTE(a, b)		VEC_PASTE_(a, b)
#define VEC_STRING_(a)		#a
#define VEC_STRING(a)		VEC_STRING_(a)
#define FN(name)			VEC_PASTE(name, VEC_ISA)

/* for bodies whose VecOp must be a constant, or whose lanes must not be spilled */
#define VEC_INLINE			static inline __attribute__((always_inline))

/* what one step of a sum over two vectors adds */
typedef enum VecOp
{
	VEC_OP_L2SQ,				/* (x - y)^2 */
	VEC_OP_DOT,					/* x * y */
	VEC_OP_L1					/* |x - y| */
} VecOp;

/*
 * Makes clang forget what it knows of an integer or pointer; no instruction.
 * gcc makes better code without.
 */
#ifdef __clang__
#define VEC_OPAQUE(x)		__asm__("" : "+r" (x))
#else
#define VEC_OPAQUE(x)		((void) 0)
#endif

/*
 * Before a loop of at most 16 steps, whose arrays shall live in registers; a
 * compiler that keeps them in memory is right, and ten times slower.
 */
#ifdef __clang__
#define VEC_UNROLL			_Pragma("clang loop unroll(full)")
#else
#define VEC_UNROLL			_Pragma("GCC unroll 16")
#endif

/* the lowest n of 32 bits, 0 <= n < 32 */
#define FIRST_BITS(n)		((1u << (n)) - 1)

/* the tables; a CPU may run one only if vec_kernels_usable() lists it */
extern const VecKernels vec_kernels_scalar;

#ifdef __x86_64__
extern const VecKernels vec_kernels_avx2;
extern const VecKernels vec_kernels_avx512;

extern void vec_kernels_use_vpopcntdq(VecKernels *table);
extern void vec_kernels_use_vnni(VecKernels *table);
#endif
#ifdef __aarch64__
extern const VecKernels vec_kernels_neon;
#endif

/*
 * Fewer than eight bytes as a number, first byte lowest on a little-endian
 * CPU; elsewhere the order is unspecified, which population counts forgive.
 */
VEC_INLINE uint64_t
vec_load_bytes(const uint8_t *p, size_t n)
{
	uint64_t	result = 0;
	int			shift = 0;

	if (n & 4)
	{
		uint32_t	word;

		memcpy(&word, p, sizeof(word));
		result = word;
		shift = 32;
		p += 4;
	}
	if (n & 2)
	{
		uint16_t	word;

		memcpy(&word, p, sizeof(word));
		result |= (uint64_t) word << shift;
		shift += 16;
		p += 2;
	}
	if (n & 1)
		result |= (uint64_t) *p << shift;

	return result;
}

#endif							/* VECEXT_KERNELS_ISA_H */
