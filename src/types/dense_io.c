/*-------------------------------------------------------------------------
 *
 * dense_io.c
 *	  Text, binary and array forms of vector and halfvec.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <math.h>

#include "access/detoast.h"
#include "catalog/pg_type.h"
#include "kernels/float_print.h"
#include "kernels/kernels.h"
#include "libpq/pqformat.h"
#include "types/dense.h"
#include "utils/fmgrprotos.h"

/*
 * dense_new
 *		A value of dim elements in the current context; elements are not set.
 *
 * The caller has checked dim.
 */
DenseVector *
dense_new(const DenseType *type, int dim)
{
	Size		size = dense_size(type, dim);
	DenseVector *v = palloc(size);

	SET_VARSIZE(v, size);
	v->dim = dim;
	v->unused = 0;
	return v;
}

/*
 * dense_dim
 *		The dimensions of a datum, reading no more of it than its header.
 *
 * Raises XX001 if its size does not fit.
 */
int
dense_dim(Datum datum, const DenseType *type)
{
	DenseVector *head = (DenseVector *)
		PG_DETOAST_DATUM_SLICE(datum, 0, offsetof(DenseVector, x) - VARHDRSZ);

	if (VARSIZE(head) != offsetof(DenseVector, x) || head->dim < 1 ||
		toast_raw_datum_size(datum) != dense_size(type, head->dim))
		vec_datum_damaged(type->name);
	return head->dim;
}

/*
 * dense_from_floats
 *		A value of the type with these elements, in the current context.
 *
 * Raises 22000 or 54000 for a bad dim, 22000 for an element that is not
 * finite, 22003 for one the type cannot hold.
 */
DenseVector *
dense_from_floats(const DenseType *type, const float *x, int dim)
{
	DenseVector *v;

	vec_check_dim(dim, DENSE_MAX_DIM, type->name, NULL);
	vec_check_finite(x, dim, type->name);

	v = dense_new(type, dim);
	type->narrow(x, v);
	if (type->limit != INFINITY)
		for (int i = 0; i < dim; i++)
			if (fabsf(x[i]) >= type->limit)
				vec_half_overflow(x[i]);
	return v;
}

/*
 * dense_in
 *		Input function: [e1,e2,...].  Errors are soft where the caller asks.
 */
Datum
dense_in(FunctionCallInfo fcinfo, const DenseType *type)
{
	const char *literal = PG_GETARG_CSTRING(0);
	int32		typmod = PG_GETARG_INT32(2);
	Size		length = strlen(literal);
	/* an element takes at least two characters with its comma */
	int			capacity = Min(length / 2 + 1, DENSE_MAX_DIM);
	DenseVector *v = dense_new(type, capacity);
	float	   *x = type->scratch(v);
	VecParseResult result;

	vec_parse_dense(literal, x, DENSE_MAX_DIM, type->limit, &result);
	if (unlikely(result.status != VEC_PARSE_OK))
	{
		vec_parse_failed(&result, literal, type->name, DENSE_MAX_DIM, fcinfo->context);
		PG_RETURN_NULL();
	}
	if (!vec_check_typmod(typmod, result.count, fcinfo->context))
		PG_RETURN_NULL();

	v->dim = result.count;
	SET_VARSIZE(v, dense_size(type, result.count));
	type->narrow(x, v);
	PG_RETURN_POINTER(v);
}

/*
 * dense_out
 *		Output function: shortest decimals that round-trip as float.
 */
Datum
dense_out(FunctionCallInfo fcinfo, const DenseType *type)
{
	const DenseVector *v = PG_GETARG_DENSE(0, type);
	const float *x = type->widen(v);
	char	   *text = palloc((Size) v->dim * VEC_FLOAT_ROOM + 3);
	char	   *p = text;

	*p++ = '[';
	p = vec_print_floats(p, x, v->dim);
	*p++ = ']';
	*p = '\0';
	PG_RETURN_CSTRING(text);
}

/* copy n elements between memory order and network order */
static void
copy_network_order(const DenseType *type, const void *src, void *dst, int n)
{
#ifdef WORDS_BIGENDIAN
	memcpy(dst, src, (Size) n * type->elem_size);
#else
	type->swap(src, dst, n);
#endif
}

/*
 * dense_recv
 *		Binary input: uint16 dim, uint16 zero, elements in network order.
 */
Datum
dense_recv(FunctionCallInfo fcinfo, const DenseType *type)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	int32		typmod = PG_GETARG_INT32(2);
	int			dim = pq_getmsgint(buf, 2);
	int			unused = pq_getmsgint(buf, 2);
	const char *elements;
	DenseVector *v;

	vec_check_dim(dim, DENSE_MAX_DIM, type->name, NULL);
	vec_check_typmod(typmod, dim, NULL);
	if (unused != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("expected unused bytes of %s to be 0, not %d", type->name, unused)));

	elements = pq_getmsgbytes(buf, dim * type->elem_size);
	v = dense_new(type, dim);
	copy_network_order(type, elements, DENSE_ELEMENTS(v), dim);
	vec_check_finite(type->widen(v), dim, type->name);
	PG_RETURN_POINTER(v);
}

/*
 * dense_send
 *		Binary output, see dense_recv.
 */
Datum
dense_send(FunctionCallInfo fcinfo, const DenseType *type)
{
	const DenseVector *v = PG_GETARG_DENSE(0, type);
	Size		size = VARHDRSZ + 2 * sizeof(uint16) + (Size) type->elem_size * v->dim;
	bytea	   *result = palloc(size);
	uint16		header[2] = {pg_hton16(v->dim), 0};

	SET_VARSIZE(result, size);
	memcpy(VARDATA(result), header, sizeof(header));
	copy_network_order(type, v->x, VARDATA(result) + sizeof(header), v->dim);
	PG_RETURN_BYTEA_P(result);
}

/*
 * dense_cast_typmod
 *		Length coercion: only checks.
 */
Datum
dense_cast_typmod(FunctionCallInfo fcinfo, const DenseType *type)
{
	DenseVector *v = PG_GETARG_DENSE(0, type);

	vec_check_typmod(PG_GETARG_INT32(1), v->dim, NULL);
	PG_RETURN_POINTER(v);
}

/*
 * dense_from_array
 *		Cast from an array of numbers.
 */
Datum
dense_from_array(FunctionCallInfo fcinfo, const DenseType *type)
{
	int			dim;
	float	   *x = vec_array_to_floats(PG_GETARG_ARRAYTYPE_P(0), &dim);

	vec_check_dim(dim, DENSE_MAX_DIM, type->name, NULL);
	vec_check_typmod(PG_GETARG_INT32(1), dim, NULL);
	PG_RETURN_POINTER(dense_from_floats(type, x, dim));
}

/*
 * dense_to_array
 *		Cast to real[], lower bound 1.
 */
Datum
dense_to_array(FunctionCallInfo fcinfo, const DenseType *type)
{
	const DenseVector *v = PG_GETARG_DENSE(0, type);
	Size		size = ARR_OVERHEAD_NONULLS(1) + sizeof(float4) * v->dim;
	ArrayType  *array = palloc0(size);

	SET_VARSIZE(array, size);
	array->ndim = 1;
	array->elemtype = FLOAT4OID;
	ARR_DIMS(array)[0] = v->dim;
	ARR_LBOUND(array)[0] = 1;
	memcpy(ARR_DATA_PTR(array), type->widen(v), sizeof(float4) * v->dim);
	PG_RETURN_ARRAYTYPE_P(array);
}

/*
 * dense_convert
 *		Cast from one dense type to the other.
 */
Datum
dense_convert(FunctionCallInfo fcinfo, const DenseType *from, const DenseType *to)
{
	const DenseVector *v = PG_GETARG_DENSE(0, from);

	vec_check_typmod(PG_GETARG_INT32(1), v->dim, NULL);
	PG_RETURN_POINTER(dense_from_floats(to, from->widen(v), v->dim));
}
