/*-------------------------------------------------------------------------
 *
 * kernels.h
 *	  Every arithmetic kernel, once, and the table the CPU's best set fills.
 *
 * No PostgreSQL header here or in any file of this folder: the kernels build
 * into the extension, the unit test and the benchmark alike.  README.md has
 * the numerical contract.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_KERNELS_H
#define VECEXT_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/float_block.h"
#include "kernels/text_block.h"

/* IEEE 754 binary16, as bits */
typedef uint16_t vec_half;

/* the three sums of a cosine, taken in one pass */
typedef struct VecCosineSums
{
	float		dot;			/* sum a*b */
	float		normsq_a;		/* sum a*a */
	float		normsq_b;		/* sum b*b */
} VecCosineSums;

/* population counts of two bit strings, taken in one pass */
typedef struct VecBitSums
{
	uint64_t	both;			/* |a and b| */
	uint64_t	a;				/* |a| */
	uint64_t	b;				/* |b| */
} VecBitSums;

/* a sparse vector: ascending zero-based indices and their values */
typedef struct VecSparse
{
	int			nnz;
	const int32_t *index;
	const float *value;
} VecSparse;

/* what scan_links needs of the query; see kernels_codes_tmpl.h */
typedef struct VecScanTable
{
	const uint8_t *lut;			/* 16 bytes for each group of four code bits */
	int			ngroups;		/* a multiple of 4, at most 256 */
	float		step;			/* value of one unit of the table */
	float		bias;			/* added to every sum */
} VecScanTable;

/* vectors interleaved for nearest_rows, vectors in a block of codes */
#define VEC_PANEL			16
#define VEC_BLOCK			32

/* what scan_block and scan_bytes need of a query; see kernels_lists_tmpl.h */
typedef struct VecListTable
{
	const uint8_t *lut;			/* scan_block: 16 bytes for each group of four bits */
	const int8_t *levels;		/* scan_bytes: the query, one byte a coordinate */
	int			ngroups;
	int			dim;
	float		step;			/* value of one unit of a sum */
	float		bias;			/* added to every sum */
} VecListTable;

/* where a query stands to a list: estimate = base + offset + scale * dot */
typedef struct VecListAt
{
	float		base;
	float		radius;			/* lower = estimate + scale * shift - error * radius */
	float		shift;
	float		threshold;
} VecListAt;

/* sums over the coordinates of a residual r, its signs y and its center c */
typedef struct VecSignSums
{
	double		rr;				/* r^2 */
	double		yr;				/* y r, which is |r| */
	double		yc;				/* y c */
	double		rc;				/* r c; with a mean only */
	double		cc;				/* c^2; with a mean only */
} VecSignSums;

/* most links scan_links takes at once */
#define VEC_SCAN_MAX_LINKS	256

/*
 * The list: X(result, name, arguments).  Table, instruction sets and benchmark
 * expand it: a kernel forgotten there does not compile.
 *
 * Dense kernels take "dim" elements at any alignment and never read past
 * them.  The *_many kernels compare one float query with "nrows" rows that
 * lie "stride" elements apart and write nrows results to "out".  Sparse
 * arguments and "out" have the alignment of their C types.
 */
#define VEC_DENSE_ARGS(elem)	(const elem *a, const elem *b, int dim)
#define VEC_MANY_ARGS(elem)		(const float *query, const elem *rows, \
								 size_t stride, int nrows, int dim, float *out)

#define VEC_CODE_ARGS	(const uint8_t *code, const float *query, int dim)

#define VEC_KERNELS(X) \
	/* dense, float */ \
	X(float, l2sq_f32, VEC_DENSE_ARGS(float)) \
	X(float, dot_f32, VEC_DENSE_ARGS(float)) \
	X(float, l1_f32, VEC_DENSE_ARGS(float)) \
	X(void, cosine_f32, (const float *a, const float *b, int dim, VecCosineSums *sums)) \
	X(double, normsq_f32, (const float *a, int dim)) \
	X(void, l2sq_many_f32, VEC_MANY_ARGS(float)) \
	X(void, dot_many_f32, VEC_MANY_ARGS(float)) \
	/* dense, half: widened to float, accumulated in float */ \
	X(float, l2sq_f16, VEC_DENSE_ARGS(vec_half)) \
	X(float, dot_f16, VEC_DENSE_ARGS(vec_half)) \
	X(float, l1_f16, VEC_DENSE_ARGS(vec_half)) \
	X(void, cosine_f16, (const vec_half *a, const vec_half *b, int dim, VecCosineSums *sums)) \
	X(double, normsq_f16, (const vec_half *a, int dim)) \
	X(void, l2sq_many_f16, VEC_MANY_ARGS(vec_half)) \
	X(void, dot_many_f16, VEC_MANY_ARGS(vec_half)) \
	/* bits: whole bytes, padding bits must be zero */ \
	X(uint64_t, hamming_bits, (const uint8_t *a, const uint8_t *b, size_t bytes)) \
	X(void, jaccard_bits, (const uint8_t *a, const uint8_t *b, size_t bytes, VecBitSums *sums)) \
	/* sparse: accumulated in double */ \
	X(double, l2sq_sparse, (const VecSparse *a, const VecSparse *b)) \
	X(double, dot_sparse, (const VecSparse *a, const VecSparse *b)) \
	X(double, l1_sparse, (const VecSparse *a, const VecSparse *b)) \
	/* conversion; rounds to nearest even; too large a float becomes infinity */ \
	X(void, half_to_float, (const vec_half *src, float *dst, int dim)) \
	X(void, float_to_half, (const float *src, vec_half *dst, int dim)) \
	/* true if no element is NaN or infinite */ \
	X(bool, finite_f32, (const float *a, int dim)) \
	X(bool, finite_f16, (const vec_half *a, int dim)) \
	/* codes; kernels_codes_tmpl.h says how they lie in bytes */ \
	X(float, dot_u8_f32, VEC_CODE_ARGS) \
	X(float, dot_u4_f32, VEC_CODE_ARGS) \
	X(float, dot_u2_f32, VEC_CODE_ARGS) \
	X(int32_t, dot_u8, (const uint8_t *a, const uint8_t *b, int dim)) \
	X(int32_t, dot_u4, (const uint8_t *a, const uint8_t *b, int dim)) \
	X(void, dot_u4_rows, (const uint8_t *a, const uint8_t *const *rows, int n, int dim, \
						  int32_t *out)) \
	X(int32_t, dot_u2, (const uint8_t *a, const uint8_t *b, int dim)) \
	X(float, l2sq_u8_f32, (const uint8_t *code, const float *query, float offset, \
						   float step, int dim)) \
	X(void, fit_code_f32, (const float *x, int dim, float inverse_step, int bits, \
						   float *xy, float *yy)) \
	X(void, scan_links, (const VecScanTable *table, const uint8_t *codes, \
						 const vec_half *offset, const vec_half *scale, \
						 int nlinks, float base, float *estimate)) \
	/* lists: rows against panels, a query against blocks; kernels_lists_tmpl.h */ \
	X(void, nearest_rows, (const float *const *rows, int nrows, const float *panels, \
						   const float *bias, int npanels, int dim, int32_t first, \
						   float *score, int32_t *index)) \
	X(uint32_t, scan_block, (const VecListTable *table, const uint8_t *codes, \
							 const float *terms, const VecListAt *at, \
							 float *estimate, float *lower)) \
	X(uint32_t, scan_bytes, (const VecListTable *table, const uint8_t *codes, size_t stride, \
							 int n, const float *terms, const VecListAt *at, \
							 float *estimate, float *lower)) \
	X(uint32_t, mask_block, (const float *lower, float threshold)) \
	X(int32_t, dot_u8_s8, (const uint8_t *a, const int8_t *b, int dim)) \
	X(void, sign_code_f32, (const float *x, const float *center, const float *mean, int dim, \
							uint8_t *code, VecSignSums *sums)) \
	/* linear maps */ \
	X(void, flip_signs, (float *x, const uint8_t *bits, int dim)) \
	X(void, hadamard_f32, (float *x, int n, float scale)) \
	X(void, add_rows_f32, (float *y, const float *rows, size_t stride, \
						   const float *coef, int nrows, int dim)) \
	/* byte order reversed element by element; src and dst may be the same */ \
	X(void, swap_bytes32, (const void *src, void *dst, int n)) \
	X(void, swap_bytes16, (const void *src, void *dst, int n)) \
	/* the text of VEC_PRINT_BLOCK floats; see float_block.h */ \
	X(void, print_block, (const float *x, VecPrintBlock *block)) \
	/* commas of a text and the numbers between them; see text_block.h */ \
	X(int, find_commas, (const char *p, int size, int32_t offset, int32_t *commas)) \
	X(int, parse_block, (const char *text, const int32_t *commas, int n, float limit, \
						 float *out))

typedef struct VecKernels
{
	const char *name;			/* value of vecext.simd that selects it */
#define X(result, kernel, args) result (*kernel) args;
	VEC_KERNELS(X)
#undef X
} VecKernels;

/* the table in use; never NULL after vec_kernels_init() */
extern const VecKernels *vec_kernels;

extern void vec_kernels_init(void);
extern const VecKernels *vec_kernels_find(const char *name);
extern const VecKernels *vec_kernels_usable(int i);

#endif							/* VECEXT_KERNELS_H */
