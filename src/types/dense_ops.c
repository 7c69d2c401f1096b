/*-------------------------------------------------------------------------
 *
 * dense_ops.c
 *	  Arithmetic and comparison of vector and halfvec.
 *
 * Elements are computed as floats and rounded into the type once.  For halves
 * that equals rounding the exact result: float has more than twice their
 * digits (Figueroa, "When is double rounding innocuous?", 1995).
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <math.h>

#include "kernels/kernels.h"
#include "types/dense.h"
#include "utils/float.h"
#include "utils/varbit.h"

/* round floats into the value; 22003 if an element became infinite */
static Datum
store_checked(const float *x, DenseVector *result, const DenseType *type)
{
	type->narrow(x, result);
	if (unlikely(!vec_kernels->finite_f32(type->widen(result), result->dim)))
		float_overflow_error();
	PG_RETURN_POINTER(result);
}

/* operands of a binary operator, their dimensions equal */
typedef struct DensePair
{
	DenseVector *result;
	float	   *x;				/* where to compute the result */
	const float *a;
	const float *b;
	int			dim;
} DensePair;

static DensePair
get_pair(FunctionCallInfo fcinfo, const DenseType *type)
{
	const DenseVector *a = PG_GETARG_DENSE(0, type);
	const DenseVector *b = PG_GETARG_DENSE(1, type);
	DensePair	pair;

	vec_check_same_dim(a->dim, b->dim, type->name);
	pair.dim = a->dim;
	pair.a = type->widen(a);
	pair.b = type->widen(b);
	/* as transition function of sum() the first operand is ours to change */
	pair.result = AggCheckCallContext(fcinfo, NULL) ?
		(DenseVector *) a : dense_new(type, a->dim);
	pair.x = type->scratch(pair.result);
	return pair;
}

/*
 * dense_add
 *		Operator +, and the transition and combine function of sum().
 *
 * Raises 22000 for different dimensions, 22003 on overflow.
 */
Datum
dense_add(FunctionCallInfo fcinfo, const DenseType *type)
{
	DensePair	p = get_pair(fcinfo, type);

	for (int i = 0; i < p.dim; i++)
		p.x[i] = p.a[i] + p.b[i];
	return store_checked(p.x, p.result, type);
}

/* operator -; errors as dense_add */
Datum
dense_sub(FunctionCallInfo fcinfo, const DenseType *type)
{
	DensePair	p = get_pair(fcinfo, type);

	for (int i = 0; i < p.dim; i++)
		p.x[i] = p.a[i] - p.b[i];
	return store_checked(p.x, p.result, type);
}

/*
 * dense_mul
 *		Operator *, element by element.
 *
 * Errors as dense_add, and 22003 where two non-zero factors give zero.
 */
Datum
dense_mul(FunctionCallInfo fcinfo, const DenseType *type)
{
	DensePair	p = get_pair(fcinfo, type);
	const float *product;

	for (int i = 0; i < p.dim; i++)
		p.x[i] = p.a[i] * p.b[i];
	store_checked(p.x, p.result, type);

	product = type->widen(p.result);
	for (int i = 0; i < p.dim; i++)
		if (product[i] == 0 && p.a[i] != 0 && p.b[i] != 0)
			float_underflow_error();
	PG_RETURN_POINTER(p.result);
}

/* unary minus; cannot fail */
Datum
dense_neg(FunctionCallInfo fcinfo, const DenseType *type)
{
	const DenseVector *v = PG_GETARG_DENSE(0, type);
	const float *a = type->widen(v);
	DenseVector *result = dense_new(type, v->dim);
	float	   *x = type->scratch(result);

	for (int i = 0; i < v->dim; i++)
		x[i] = -a[i];
	type->narrow(x, result);
	PG_RETURN_POINTER(result);
}

/*
 * dense_scale
 *		Every element times a number.
 *
 * Raises 22000 if the factor is not finite, 22003 where an element overflows
 * or a non-zero one times a non-zero factor gives zero.
 */
Datum
dense_scale(const DenseVector *v, float factor, const DenseType *type)
{
	const float *a = type->widen(v);
	DenseVector *result = dense_new(type, v->dim);
	float	   *x = type->scratch(result);
	const float *product;

	vec_check_finite(&factor, 1, type->name);
	for (int i = 0; i < v->dim; i++)
		x[i] = a[i] * factor;
	store_checked(x, result, type);

	product = type->widen(result);
	for (int i = 0; i < v->dim; i++)
		if (product[i] == 0 && a[i] != 0 && factor != 0)
			float_underflow_error();
	PG_RETURN_POINTER(result);
}

/*
 * dense_divide
 *		Every element divided by a number.
 *
 * Errors as dense_scale, and 22012 for zero.
 */
Datum
dense_divide(const DenseVector *v, float divisor, const DenseType *type)
{
	const float *a = type->widen(v);
	DenseVector *result = dense_new(type, v->dim);
	float	   *x = type->scratch(result);
	const float *quotient;

	vec_check_finite(&divisor, 1, type->name);
	if (divisor == 0)
		float_zero_divide_error();
	for (int i = 0; i < v->dim; i++)
		x[i] = a[i] / divisor;
	store_checked(x, result, type);

	quotient = type->widen(result);
	for (int i = 0; i < v->dim; i++)
		if (quotient[i] == 0 && a[i] != 0)
			float_underflow_error();
	PG_RETURN_POINTER(result);
}

/* operator ||; 54000 if the result has too many dimensions */
Datum
dense_concat(FunctionCallInfo fcinfo, const DenseType *type)
{
	const DenseVector *a = PG_GETARG_DENSE(0, type);
	const DenseVector *b = PG_GETARG_DENSE(1, type);
	int			dim = a->dim + b->dim;
	DenseVector *result;

	vec_check_dim(dim, DENSE_MAX_DIM, type->name, NULL);
	result = dense_new(type, dim);
	memcpy(result->x, a->x, (Size) type->elem_size * a->dim);
	memcpy(result->x + (Size) type->elem_size * a->dim, b->x, (Size) type->elem_size * b->dim);
	PG_RETURN_POINTER(result);
}

/*
 * dense_normalize
 *		v scaled to unit length, given its squared norm; the zero vector stays
 *		zero.
 *
 * Raises 22003 on overflow.
 */
Datum
dense_normalize(const DenseVector *v, double normsq, const DenseType *type)
{
	const float *a = type->widen(v);
	DenseVector *result = dense_new(type, v->dim);
	float	   *x = type->scratch(result);
	double		norm = sqrt(normsq);

	for (int i = 0; i < v->dim; i++)
		x[i] = norm > 0 ? (float) (a[i] / norm) : 0;
	return store_checked(x, result, type);
}

/*
 * dense_slice
 *		Elements first..last, counted from 1 and clipped to the vector, or
 *		NULL if that is none.
 */
DenseVector *
dense_slice(const DenseVector *v, int64 first, int64 last, const DenseType *type)
{
	DenseVector *result;

	first = Max(first, 1);
	last = Min(last, v->dim);
	if (first > last)
		return NULL;

	result = dense_new(type, (int) (last - first + 1));
	memcpy(result->x, v->x + (Size) type->elem_size * (first - 1),
		   (Size) type->elem_size * result->dim);
	return result;
}

/*
 * dense_subvector
 *		subvector(v, start, count), clipped as substring() does.
 *
 * Raises 22000 if nothing is left.
 */
Datum
dense_subvector(FunctionCallInfo fcinfo, const DenseType *type)
{
	const DenseVector *v = PG_GETARG_DENSE(0, type);
	int64		start = PG_GETARG_INT32(1);
	int64		count = PG_GETARG_INT32(2);
	DenseVector *result = dense_slice(v, start, start + count - 1, type);

	if (result == NULL)
		vec_check_dim(0, DENSE_MAX_DIM, type->name, NULL);
	PG_RETURN_POINTER(result);
}

/* binary_quantize: bit i is set if element i is positive */
Datum
dense_binary_quantize(FunctionCallInfo fcinfo, const DenseType *type)
{
	const DenseVector *v = PG_GETARG_DENSE(0, type);
	const float *a = type->widen(v);
	Size		size = VARBITTOTALLEN(v->dim);
	VarBit	   *result = palloc0(size);
	bits8	   *bits = VARBITS(result);

	SET_VARSIZE(result, size);
	VARBITLEN(result) = v->dim;
	for (int i = 0; i < v->dim; i++)
		bits[i / 8] |= (a[i] > 0) << (7 - i % 8);
	PG_RETURN_VARBIT_P(result);
}

/*
 * dense_compare
 *		Lexicographic order of arguments 0 and 1, then the shorter first:
 *		negative, 0 or positive.  Frees what it detoasts: a btree build or a
 *		sort calls it in a long-lived context.
 */
int
dense_compare(FunctionCallInfo fcinfo, const DenseType *type)
{
	DenseVector *a = PG_GETARG_DENSE(0, type);
	DenseVector *b = PG_GETARG_DENSE(1, type);
	int			order = type->compare(a, b, Min(a->dim, b->dim));

	if (order == 0)
		order = (a->dim > b->dim) - (a->dim < b->dim);
	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return order;
}
