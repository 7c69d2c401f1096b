/*-------------------------------------------------------------------------
 *
 * halfvec.c
 *	  Type halfvec: the SQL functions, and distances on halves.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <math.h>

#include "kernels/distance.h"
#include "types/dense.h"
#include "types/halfvec.h"
#include "utils/fmgrprotos.h"

StaticAssertDecl(DENSE_MAX_DIM == HALFVEC_MAX_DIM, "halfvec is a dense type");
StaticAssertDecl(offsetof(DenseVector, x) == offsetof(HalfVector, x), "halfvec is a dense type");

/* the smallest magnitude that rounds to infinity: half an ulp above 65504 */
#define HALF_LIMIT 65520.0f

static const float *
halfvec_widen(const DenseVector *v)
{
	float	   *x = palloc(sizeof(float) * v->dim);

	vec_kernels->half_to_float((const vec_half *) v->x, x, v->dim);
	return x;
}

static float *
halfvec_scratch(DenseVector *v)
{
	return palloc(sizeof(float) * v->dim);
}

static void
halfvec_narrow(const float *src, DenseVector *v)
{
	vec_kernels->float_to_half(src, (vec_half *) v->x, v->dim);
}

/*
 * A half's bits as an integer in the order of its value: sign and magnitude
 * to two's complement, so that both zeros are 0.
 */
static inline int
half_order(vec_half h)
{
	return (h & 0x8000) ? -(h & 0x7FFF) : h;
}

static int
halfvec_compare(const DenseVector *a, const DenseVector *b, int n)
{
	const vec_half *x = (const vec_half *) a->x;
	const vec_half *y = (const vec_half *) b->x;

	for (int i = 0; i < n; i++)
		if (half_order(x[i]) != half_order(y[i]))
			return half_order(x[i]) < half_order(y[i]) ? -1 : 1;
	return 0;
}

static void
halfvec_swap(const void *src, void *dst, int n)
{
	vec_kernels->swap_bytes16(src, dst, n);
}

const DenseType dense_halfvec = {
	.name = "halfvec",
	.elem_size = sizeof(vec_half),
	.limit = HALF_LIMIT,
	.widen = halfvec_widen,
	.scratch = halfvec_scratch,
	.narrow = halfvec_narrow,
	.compare = halfvec_compare,
	.swap = halfvec_swap,
};

/* Input, output, casts */

VEC_SQL_FUNCTION(vecext_halfvec_in)
{
	return dense_in(fcinfo, &dense_halfvec);
}

VEC_SQL_FUNCTION(vecext_halfvec_out)
{
	return dense_out(fcinfo, &dense_halfvec);
}

VEC_SQL_FUNCTION(vecext_halfvec_typmod_in)
{
	PG_RETURN_INT32(vec_typmod_in(PG_GETARG_ARRAYTYPE_P(0), HALFVEC_MAX_DIM, "halfvec"));
}

VEC_SQL_FUNCTION(vecext_halfvec_recv)
{
	return dense_recv(fcinfo, &dense_halfvec);
}

VEC_SQL_FUNCTION(vecext_halfvec_send)
{
	return dense_send(fcinfo, &dense_halfvec);
}

VEC_SQL_FUNCTION(vecext_halfvec)
{
	return dense_cast_typmod(fcinfo, &dense_halfvec);
}

VEC_SQL_FUNCTION(vecext_array_to_halfvec)
{
	return dense_from_array(fcinfo, &dense_halfvec);
}

VEC_SQL_FUNCTION(vecext_halfvec_to_float4)
{
	return dense_to_array(fcinfo, &dense_halfvec);
}

VEC_SQL_FUNCTION(vecext_vector_to_halfvec)
{
	return dense_convert(fcinfo, &dense_vector, &dense_halfvec);
}

/* Distances: both operands checked, no sum can overflow or vanish */

typedef struct HalfPair
{
	const vec_half *a;
	const vec_half *b;
	int			dim;
} HalfPair;

static inline HalfPair
get_halves(FunctionCallInfo fcinfo)
{
	const DenseVector *a = PG_GETARG_DENSE(0, &dense_halfvec);
	const DenseVector *b = PG_GETARG_DENSE(1, &dense_halfvec);
	HalfPair	pair;

	vec_check_same_dim(a->dim, b->dim, "halfvec");
	dense_prefetch_below(a);
	pair.a = (const vec_half *) a->x;
	pair.b = (const vec_half *) b->x;
	pair.dim = a->dim;
	return pair;
}

VEC_SQL_FUNCTION(vecext_halfvec_l2_distance)
{
	HalfPair	p = get_halves(fcinfo);

	PG_RETURN_FLOAT8(sqrt((double) vec_kernels->l2sq_f16(p.a, p.b, p.dim)));
}

VEC_SQL_FUNCTION(vecext_halfvec_l2_squared_distance)
{
	HalfPair	p = get_halves(fcinfo);

	PG_RETURN_FLOAT8(vec_kernels->l2sq_f16(p.a, p.b, p.dim));
}

VEC_SQL_FUNCTION(vecext_halfvec_inner_product)
{
	HalfPair	p = get_halves(fcinfo);

	PG_RETURN_FLOAT8(vec_kernels->dot_f16(p.a, p.b, p.dim));
}

VEC_SQL_FUNCTION(vecext_halfvec_negative_inner_product)
{
	HalfPair	p = get_halves(fcinfo);

	PG_RETURN_FLOAT8(-(double) vec_kernels->dot_f16(p.a, p.b, p.dim));
}

VEC_SQL_FUNCTION(vecext_halfvec_cosine_distance)
{
	HalfPair	p = get_halves(fcinfo);

	PG_RETURN_FLOAT8(vec_cosine_f16(p.a, p.b, p.dim));
}

/* angle between unit vectors as a share of a half turn */
VEC_SQL_FUNCTION(vecext_halfvec_spherical_distance)
{
	HalfPair	p = get_halves(fcinfo);

	PG_RETURN_FLOAT8(vec_spherical_of_dot(vec_kernels->dot_f16(p.a, p.b, p.dim)));
}

VEC_SQL_FUNCTION(vecext_halfvec_l1_distance)
{
	HalfPair	p = get_halves(fcinfo);

	PG_RETURN_FLOAT8(vec_kernels->l1_f16(p.a, p.b, p.dim));
}

/* Properties and parts */

VEC_SQL_FUNCTION(vecext_halfvec_dims)
{
	PG_RETURN_INT32(dense_dim(PG_GETARG_DATUM(0), &dense_halfvec));
}

VEC_SQL_FUNCTION(vecext_halfvec_norm)
{
	const DenseVector *v = PG_GETARG_DENSE(0, &dense_halfvec);

	PG_RETURN_FLOAT8(sqrt(vec_kernels->normsq_f16((const vec_half *) v->x, v->dim)));
}

VEC_SQL_FUNCTION(vecext_halfvec_l2_normalize)
{
	const DenseVector *v = PG_GETARG_DENSE(0, &dense_halfvec);

	return dense_normalize(v, vec_kernels->normsq_f16((const vec_half *) v->x, v->dim),
						   &dense_halfvec);
}

VEC_SQL_FUNCTION(vecext_halfvec_binary_quantize)
{
	return dense_binary_quantize(fcinfo, &dense_halfvec);
}

VEC_SQL_FUNCTION(vecext_halfvec_subvector)
{
	return dense_subvector(fcinfo, &dense_halfvec);
}

/* Arithmetic */

VEC_SQL_FUNCTION(vecext_halfvec_add)
{
	return dense_add(fcinfo, &dense_halfvec);
}

VEC_SQL_FUNCTION(vecext_halfvec_sub)
{
	return dense_sub(fcinfo, &dense_halfvec);
}

VEC_SQL_FUNCTION(vecext_halfvec_mul)
{
	return dense_mul(fcinfo, &dense_halfvec);
}

VEC_SQL_FUNCTION(vecext_halfvec_neg)
{
	return dense_neg(fcinfo, &dense_halfvec);
}

VEC_SQL_FUNCTION(vecext_halfvec_scale)
{
	return dense_scale(PG_GETARG_DENSE(0, &dense_halfvec), PG_GETARG_FLOAT4(1), &dense_halfvec);
}

/* the same with the number first */
VEC_SQL_FUNCTION(vecext_halfvec_scale_left)
{
	return dense_scale(PG_GETARG_DENSE(1, &dense_halfvec), PG_GETARG_FLOAT4(0), &dense_halfvec);
}

VEC_SQL_FUNCTION(vecext_halfvec_divide)
{
	return dense_divide(PG_GETARG_DENSE(0, &dense_halfvec), PG_GETARG_FLOAT4(1), &dense_halfvec);
}

VEC_SQL_FUNCTION(vecext_halfvec_concat)
{
	return dense_concat(fcinfo, &dense_halfvec);
}

/* Comparison */

VEC_SQL_FUNCTION(vecext_halfvec_lt)
{
	PG_RETURN_BOOL(dense_compare(fcinfo, &dense_halfvec) < 0);
}

VEC_SQL_FUNCTION(vecext_halfvec_le)
{
	PG_RETURN_BOOL(dense_compare(fcinfo, &dense_halfvec) <= 0);
}

VEC_SQL_FUNCTION(vecext_halfvec_eq)
{
	PG_RETURN_BOOL(dense_compare(fcinfo, &dense_halfvec) == 0);
}

VEC_SQL_FUNCTION(vecext_halfvec_ne)
{
	PG_RETURN_BOOL(dense_compare(fcinfo, &dense_halfvec) != 0);
}

VEC_SQL_FUNCTION(vecext_halfvec_ge)
{
	PG_RETURN_BOOL(dense_compare(fcinfo, &dense_halfvec) >= 0);
}

VEC_SQL_FUNCTION(vecext_halfvec_gt)
{
	PG_RETURN_BOOL(dense_compare(fcinfo, &dense_halfvec) > 0);
}

VEC_SQL_FUNCTION(vecext_halfvec_cmp)
{
	PG_RETURN_INT32(dense_compare(fcinfo, &dense_halfvec));
}

/* Aggregates */

VEC_SQL_FUNCTION(vecext_halfvec_accum)
{
	return dense_accum(fcinfo, &dense_halfvec);
}

VEC_SQL_FUNCTION(vecext_halfvec_avg)
{
	return dense_avg(fcinfo, &dense_halfvec);
}
