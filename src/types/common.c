/*-------------------------------------------------------------------------
 *
 * common.c
 *	  Checks and conversions that every vector type needs.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/shortest_dec.h"
#include "kernels/kernels.h"
#include "types/common.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

/*
 * vec_typmod_in
 *		The type modifier of type(n): n itself.
 *
 * Raises 22023 unless there is exactly one modifier in 1..max_dim.
 */
int32
vec_typmod_in(ArrayType *modifiers, int max_dim, const char *type)
{
	int			n;
	int32	   *values = ArrayGetIntegerTypmods(modifiers, &n);

	if (n != 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid type modifier for type %s", type),
				 errdetail("It takes one modifier, the number of dimensions.")));
	if (values[0] < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("dimensions for type %s must be at least 1", type)));
	if (values[0] > max_dim)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("dimensions for type %s cannot exceed %d", type, max_dim)));

	return values[0];
}

/*
 * vec_check_dim
 *		Is dim a possible number of dimensions?
 *
 * Reports 22000 below 1 and 54000 above max_dim.
 */
bool
vec_check_dim(int dim, int max_dim, const char *type, Node *escontext)
{
	if (dim < 1)
		ereturn(escontext, false,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("%s must have at least 1 dimension", type)));
	if (dim > max_dim)
		ereturn(escontext, false,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("%s cannot have more than %d dimensions", type, max_dim)));
	return true;
}

/*
 * vec_check_typmod
 *		Does a value of dim dimensions fit the column's modifier (-1: any)?
 *
 * Reports 22000.
 */
bool
vec_check_typmod(int32 typmod, int dim, Node *escontext)
{
	if (typmod != -1 && typmod != dim)
		ereturn(escontext, false,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("expected %d dimensions, not %d", typmod, dim)));
	return true;
}

/*
 * vec_check_finite
 *		Raises 22000 if one of the n elements is NaN or infinite.
 */
void
vec_check_finite(const float *x, int n, const char *type)
{
	if (likely(vec_kernels->finite_f32(x, n)))
		return;

	for (int i = 0; i < n; i++)
	{
		if (isnan(x[i]))
			ereport(ERROR,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("NaN not allowed in %s", type)));
		if (isinf(x[i]))
			ereport(ERROR,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("infinite value not allowed in %s", type)));
	}
}

/*
 * vec_parse_failed
 *		Report why a literal could not be read; max is the limit it hit.
 */
void
vec_parse_failed(const VecParseResult *result, const char *literal,
				 const char *type, int max, Node *escontext)
{
	bool		sparse = strcmp(type, "sparsevec") == 0;

	switch (result->status)
	{
		case VEC_PARSE_OK:
			break;
		case VEC_PARSE_NO_OPENING:
			errsave(escontext,
					(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					 errmsg("invalid input syntax for type %s: \"%s\"", type, literal),
					 errdetail("The text of a %s starts with \"%c\".", type, sparse ? '{' : '[')));
			break;
		case VEC_PARSE_SYNTAX:
			errsave(escontext,
					(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					 errmsg("invalid input syntax for type %s: \"%s\"", type, literal)));
			break;
		case VEC_PARSE_NO_DIMS:
			errsave(escontext,
					(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					 errmsg("invalid input syntax for type %s: \"%s\"", type, literal),
					 errdetail("Unexpected end of input: \"/\" and the number of dimensions are missing.")));
			break;
		case VEC_PARSE_JUNK:
			errsave(escontext,
					(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					 errmsg("invalid input syntax for type %s: \"%s\"", type, literal),
					 errdetail("There is junk after the %s.",
							   sparse ? "number of dimensions" : "closing bracket")));
			break;
		case VEC_PARSE_EMPTY:
			vec_check_dim(0, max, type, escontext);
			break;
		case VEC_PARSE_TOO_MANY:
			if (sparse)
				errsave(escontext,
						(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						 errmsg("%s cannot have more than %d non-zero elements", type, max)));
			else
				vec_check_dim(max + 1, max, type, escontext);
			break;
		case VEC_PARSE_OUT_OF_RANGE:
			errsave(escontext,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("\"%.*s\" is out of range for type %s",
							result->token_len, result->token, type)));
			break;
		case VEC_PARSE_NAN:
			errsave(escontext,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("NaN not allowed in %s", type)));
			break;
		case VEC_PARSE_INFINITE:
			errsave(escontext,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("infinite value not allowed in %s", type)));
			break;
	}
}

/*
 * vec_array_to_floats
 *		The elements of a numeric array as floats, palloc'd in the current
 *		context; their number in *n (may be 0).
 *
 * double precision narrows as C does, so too large a value becomes infinite;
 * numeric goes through the server's own conversion and its range errors.
 * Raises 22000 for more than one array dimension or an element type that is
 * not a number, 22004 for a NULL.
 */
float *
vec_array_to_floats(ArrayType *array, int *n)
{
	const char *data = ARR_DATA_PTR(array);
	float	   *x;

	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("array must be 1-dimensional")));
	if (array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("array must not contain nulls")));

	*n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	x = palloc(mul_size(Max(*n, 1), sizeof(float)));

	switch (ARR_ELEMTYPE(array))
	{
		case FLOAT4OID:
			memcpy(x, data, mul_size(*n, sizeof(float)));
			break;
		case FLOAT8OID:
			for (int i = 0; i < *n; i++)
				x[i] = (float) ((const float8 *) data)[i];
			break;
		case INT2OID:
			for (int i = 0; i < *n; i++)
				x[i] = (float) ((const int16 *) data)[i];
			break;
		case INT4OID:
			for (int i = 0; i < *n; i++)
				x[i] = (float) ((const int32 *) data)[i];
			break;
		case INT8OID:
			for (int i = 0; i < *n; i++)
				x[i] = (float) ((const int64 *) data)[i];
			break;
		case NUMERICOID:
			{
				Datum	   *elements;
				int			count;

				deconstruct_array(array, NUMERICOID, -1, false, TYPALIGN_INT,
								  &elements, NULL, &count);
				for (int i = 0; i < count; i++)
					x[i] = DatumGetFloat4(DirectFunctionCall1(numeric_float4, elements[i]));
				pfree(elements);
				break;
			}
		default:
			ereport(ERROR,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("unsupported array type: %s",
							format_type_be(ARR_ELEMTYPE(array)))));
	}

	return x;
}

/* raises 22000: two operands that must have equal dimensions do not */
void
vec_different_dims(int a, int b, const char *type)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("different %s dimensions %d and %d", type, a, b)));
}

/* raises XX001: a stored value whose header and size disagree */
void
vec_datum_damaged(const char *type)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("damaged value of type %s", type),
			 errdetail("Its size does not fit the number of elements in its header.")));
}

/* raises 22003: x is finite but beyond the largest half */
void
vec_half_overflow(float x)
{
	char		text[FLOAT_SHORTEST_DECIMAL_LEN];

	float_to_shortest_decimal_buf(x, text);
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("\"%s\" is out of range for type halfvec", text)));
}
