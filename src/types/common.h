/*-------------------------------------------------------------------------
 *
 * common.h
 *	  Checks and conversions that every vector type needs.
 *
 * Functions that take an escontext report there (PG 16 and later: a caller
 * such as pg_input_is_valid() or COPY ... ON_ERROR may want to go on) and
 * return false; with NULL they raise.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_TYPES_COMMON_H
#define VECEXT_TYPES_COMMON_H

#include "compat.h"

#include "kernels/literal.h"
#include "nodes/nodes.h"
#include "utils/array.h"

extern int32 vec_typmod_in(ArrayType *modifiers, int max_dim, const char *type);
extern bool vec_check_dim(int dim, int max_dim, const char *type, Node *escontext);
extern bool vec_check_typmod(int32 typmod, int dim, Node *escontext);
extern void vec_check_finite(const float *x, int n, const char *type);
extern void vec_parse_failed(const VecParseResult *result, const char *literal,
							 const char *type, int max, Node *escontext);
extern float *vec_array_to_floats(ArrayType *array, int *n);

pg_noreturn extern void vec_different_dims(int a, int b, const char *type);
pg_noreturn extern void vec_datum_damaged(const char *type);
pg_noreturn extern void vec_half_overflow(float x);

/* raises 22000 unless the two operands have equal dimensions */
static inline void
vec_check_same_dim(int a, int b, const char *type)
{
	if (unlikely(a != b))
		vec_different_dims(a, b, type);
}

#endif							/* VECEXT_TYPES_COMMON_H */
