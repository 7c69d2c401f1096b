/*-------------------------------------------------------------------------
 *
 * vector.c
 *	  Type vector: the SQL functions, and distances on floats.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <math.h>

#include "kernels/distance.h"
#include "types/dense.h"
#include "types/vector.h"
#include "utils/fmgrprotos.h"

StaticAssertDecl(DENSE_MAX_DIM == VECTOR_MAX_DIM, "vector is a dense type");
StaticAssertDecl(offsetof(DenseVector, x) == offsetof(Vector, x), "vector is a dense type");

/* the elements are floats already: nothing to convert */

static const float *
vector_widen(const DenseVector *v)
{
	return (const float *) v->x;
}

static float *
vector_scratch(DenseVector *v)
{
	return (float *) v->x;
}

static void
vector_narrow(const float *src, DenseVector *v)
{
	if (src != (const float *) v->x)
		memcpy(v->x, src, sizeof(float) * v->dim);
}

static int
vector_compare(const DenseVector *a, const DenseVector *b, int n)
{
	const float *x = (const float *) a->x;
	const float *y = (const float *) b->x;

	for (int i = 0; i < n; i++)
		if (x[i] != y[i])
			return x[i] < y[i] ? -1 : 1;
	return 0;
}

static void
vector_swap(const void *src, void *dst, int n)
{
	vec_kernels->swap_bytes32(src, dst, n);
}

const DenseType dense_vector = {
	.name = "vector",
	.elem_size = sizeof(float),
	.limit = INFINITY,
	.widen = vector_widen,
	.scratch = vector_scratch,
	.narrow = vector_narrow,
	.compare = vector_compare,
	.swap = vector_swap,
};

/* Input, output, casts */

VEC_SQL_FUNCTION(vecext_vector_in)
{
	return dense_in(fcinfo, &dense_vector);
}

VEC_SQL_FUNCTION(vecext_vector_out)
{
	return dense_out(fcinfo, &dense_vector);
}

VEC_SQL_FUNCTION(vecext_vector_typmod_in)
{
	PG_RETURN_INT32(vec_typmod_in(PG_GETARG_ARRAYTYPE_P(0), VECTOR_MAX_DIM, "vector"));
}

VEC_SQL_FUNCTION(vecext_vector_recv)
{
	return dense_recv(fcinfo, &dense_vector);
}

VEC_SQL_FUNCTION(vecext_vector_send)
{
	return dense_send(fcinfo, &dense_vector);
}

VEC_SQL_FUNCTION(vecext_vector)
{
	return dense_cast_typmod(fcinfo, &dense_vector);
}

VEC_SQL_FUNCTION(vecext_array_to_vector)
{
	return dense_from_array(fcinfo, &dense_vector);
}

VEC_SQL_FUNCTION(vecext_vector_to_float4)
{
	return dense_to_array(fcinfo, &dense_vector);
}

VEC_SQL_FUNCTION(vecext_halfvec_to_vector)
{
	return dense_convert(fcinfo, &dense_halfvec, &dense_vector);
}

/* Distances: both operands checked, the arithmetic in kernels/distance.h */

typedef struct FloatPair
{
	const float *a;
	const float *b;
	int			dim;
} FloatPair;

static inline FloatPair
get_floats(FunctionCallInfo fcinfo)
{
	const DenseVector *a = PG_GETARG_DENSE(0, &dense_vector);
	const DenseVector *b = PG_GETARG_DENSE(1, &dense_vector);
	FloatPair	pair;

	vec_check_same_dim(a->dim, b->dim, "vector");
	dense_prefetch_below(a);
	pair.a = (const float *) a->x;
	pair.b = (const float *) b->x;
	pair.dim = a->dim;
	return pair;
}

VEC_SQL_FUNCTION(vecext_vector_l2_distance)
{
	FloatPair	p = get_floats(fcinfo);

	PG_RETURN_FLOAT8(sqrt(vec_l2sq_f32(p.a, p.b, p.dim)));
}

VEC_SQL_FUNCTION(vecext_vector_l2_squared_distance)
{
	FloatPair	p = get_floats(fcinfo);

	PG_RETURN_FLOAT8(vec_l2sq_f32(p.a, p.b, p.dim));
}

VEC_SQL_FUNCTION(vecext_vector_inner_product)
{
	FloatPair	p = get_floats(fcinfo);

	PG_RETURN_FLOAT8(vec_dot_f32(p.a, p.b, p.dim));
}

VEC_SQL_FUNCTION(vecext_vector_negative_inner_product)
{
	FloatPair	p = get_floats(fcinfo);

	PG_RETURN_FLOAT8(-vec_dot_f32(p.a, p.b, p.dim));
}

VEC_SQL_FUNCTION(vecext_vector_cosine_distance)
{
	FloatPair	p = get_floats(fcinfo);

	PG_RETURN_FLOAT8(vec_cosine_f32(p.a, p.b, p.dim));
}

/* angle between unit vectors as a share of a half turn */
VEC_SQL_FUNCTION(vecext_vector_spherical_distance)
{
	FloatPair	p = get_floats(fcinfo);

	PG_RETURN_FLOAT8(vec_spherical_of_dot(vec_dot_f32(p.a, p.b, p.dim)));
}

VEC_SQL_FUNCTION(vecext_vector_l1_distance)
{
	FloatPair	p = get_floats(fcinfo);

	PG_RETURN_FLOAT8(vec_l1_f32(p.a, p.b, p.dim));
}

/* Properties and parts */

VEC_SQL_FUNCTION(vecext_vector_dims)
{
	PG_RETURN_INT32(dense_dim(PG_GETARG_DATUM(0), &dense_vector));
}

VEC_SQL_FUNCTION(vecext_vector_norm)
{
	const DenseVector *v = PG_GETARG_DENSE(0, &dense_vector);

	PG_RETURN_FLOAT8(sqrt(vec_kernels->normsq_f32((const float *) v->x, v->dim)));
}

VEC_SQL_FUNCTION(vecext_vector_l2_normalize)
{
	const DenseVector *v = PG_GETARG_DENSE(0, &dense_vector);

	return dense_normalize(v, vec_kernels->normsq_f32((const float *) v->x, v->dim),
						   &dense_vector);
}

VEC_SQL_FUNCTION(vecext_vector_binary_quantize)
{
	return dense_binary_quantize(fcinfo, &dense_vector);
}

VEC_SQL_FUNCTION(vecext_vector_subvector)
{
	return dense_subvector(fcinfo, &dense_vector);
}

/* Arithmetic */

VEC_SQL_FUNCTION(vecext_vector_add)
{
	return dense_add(fcinfo, &dense_vector);
}

VEC_SQL_FUNCTION(vecext_vector_sub)
{
	return dense_sub(fcinfo, &dense_vector);
}

VEC_SQL_FUNCTION(vecext_vector_mul)
{
	return dense_mul(fcinfo, &dense_vector);
}

VEC_SQL_FUNCTION(vecext_vector_neg)
{
	return dense_neg(fcinfo, &dense_vector);
}

VEC_SQL_FUNCTION(vecext_vector_scale)
{
	return dense_scale(PG_GETARG_DENSE(0, &dense_vector), PG_GETARG_FLOAT4(1), &dense_vector);
}

/* the same with the number first */
VEC_SQL_FUNCTION(vecext_vector_scale_left)
{
	return dense_scale(PG_GETARG_DENSE(1, &dense_vector), PG_GETARG_FLOAT4(0), &dense_vector);
}

VEC_SQL_FUNCTION(vecext_vector_divide)
{
	return dense_divide(PG_GETARG_DENSE(0, &dense_vector), PG_GETARG_FLOAT4(1), &dense_vector);
}

VEC_SQL_FUNCTION(vecext_vector_concat)
{
	return dense_concat(fcinfo, &dense_vector);
}

/* Comparison */

VEC_SQL_FUNCTION(vecext_vector_lt)
{
	PG_RETURN_BOOL(dense_compare(fcinfo, &dense_vector) < 0);
}

VEC_SQL_FUNCTION(vecext_vector_le)
{
	PG_RETURN_BOOL(dense_compare(fcinfo, &dense_vector) <= 0);
}

VEC_SQL_FUNCTION(vecext_vector_eq)
{
	PG_RETURN_BOOL(dense_compare(fcinfo, &dense_vector) == 0);
}

VEC_SQL_FUNCTION(vecext_vector_ne)
{
	PG_RETURN_BOOL(dense_compare(fcinfo, &dense_vector) != 0);
}

VEC_SQL_FUNCTION(vecext_vector_ge)
{
	PG_RETURN_BOOL(dense_compare(fcinfo, &dense_vector) >= 0);
}

VEC_SQL_FUNCTION(vecext_vector_gt)
{
	PG_RETURN_BOOL(dense_compare(fcinfo, &dense_vector) > 0);
}

VEC_SQL_FUNCTION(vecext_vector_cmp)
{
	PG_RETURN_INT32(dense_compare(fcinfo, &dense_vector));
}

/* Aggregates */

VEC_SQL_FUNCTION(vecext_vector_accum)
{
	return dense_accum(fcinfo, &dense_vector);
}

VEC_SQL_FUNCTION(vecext_vector_avg)
{
	return dense_avg(fcinfo, &dense_vector);
}

/* Test data */

/* splitmix64 (Steele, Lea and Flood, "Fast splittable PRNGs", 2014) */
static uint64
next_random(uint64 *state)
{
	uint64		z = (*state += UINT64CONST(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64CONST(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64CONST(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

/*
 * random_vector(dims, seed): elements uniform in [-1, 1), multiples of 2^-23,
 * the same on every machine.
 */
VEC_SQL_FUNCTION(vecext_random_vector)
{
	int			dim = PG_GETARG_INT32(0);
	uint64		state = (uint64) PG_GETARG_INT64(1);
	DenseVector *v;
	float	   *x;

	vec_check_dim(dim, VECTOR_MAX_DIM, "vector", NULL);
	v = dense_new(&dense_vector, dim);
	x = (float *) v->x;
	for (int i = 0; i < dim; i++)
		x[i] = (float) (next_random(&state) >> 40) / (1 << 23) - 1;
	PG_RETURN_POINTER(v);
}
