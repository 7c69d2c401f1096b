/*-------------------------------------------------------------------------
 *
 * dense_agg.c
 *	  avg() over vector and halfvec.
 *
 * The state is a float8[]: the number of rows, then the sum of each element
 * in double.  Length 1 means nothing has been added.  As transition function
 * we own the state and add to it in place; called by hand we copy.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "types/dense.h"
#include "utils/float.h"

/* the state's numbers and how many; XX000 if it is not such an array */
static float8 *
get_state(ArrayType *state, int *n)
{
	if (ARR_NDIM(state) != 1 || ARR_DIMS(state)[0] < 1 || ARR_HASNULL(state) ||
		ARR_ELEMTYPE(state) != FLOAT8OID)
		elog(ERROR, "state of a vector average must be a non-empty array of double precision");
	*n = ARR_DIMS(state)[0];
	return (float8 *) ARR_DATA_PTR(state);
}

/* a zeroed state of n numbers in the current context */
static ArrayType *
new_state(int n)
{
	Size		size = add_size(ARR_OVERHEAD_NONULLS(1), mul_size(n, sizeof(float8)));
	ArrayType  *state = palloc0(size);

	SET_VARSIZE(state, size);
	state->ndim = 1;
	state->elemtype = FLOAT8OID;
	ARR_DIMS(state)[0] = n;
	ARR_LBOUND(state)[0] = 1;
	return state;
}

/* argument 0, ours to change, as a state of n numbers */
static ArrayType *
writable_state(FunctionCallInfo fcinfo, ArrayType *state, int n)
{
	ArrayType  *copy;

	if (ARR_DIMS(state)[0] == n && AggCheckCallContext(fcinfo, NULL))
		return state;

	copy = new_state(n);
	memcpy(ARR_DATA_PTR(copy), ARR_DATA_PTR(state),
		   Min(n, ARR_DIMS(state)[0]) * sizeof(float8));
	return copy;
}

static void
check_state_dim(int expected, int actual)
{
	if (expected != actual)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("expected %d dimensions, not %d", expected, actual)));
}

/*
 * dense_accum
 *		Add a value (argument 1) to a state (argument 0).
 *
 * Raises 22000 for other dimensions than before, 22003 if a sum overflows.
 */
Datum
dense_accum(FunctionCallInfo fcinfo, const DenseType *type)
{
	ArrayType  *state = PG_GETARG_ARRAYTYPE_P(0);
	const DenseVector *v = PG_GETARG_DENSE(1, type);
	const float *x = type->widen(v);
	int			n;
	float8	   *sums;
	bool		finite = true;

	get_state(state, &n);
	if (n > 1)
		check_state_dim(n - 1, v->dim);

	state = writable_state(fcinfo, state, v->dim + 1);
	sums = (float8 *) ARR_DATA_PTR(state);
	sums[0] += 1;
	for (int i = 0; i < v->dim; i++)
	{
		sums[i + 1] += x[i];
		finite &= !isinf(sums[i + 1]);
	}
	if (!finite)
		float_overflow_error();
	PG_RETURN_ARRAYTYPE_P(state);
}

VEC_SQL_FUNCTION(vecext_vector_combine);

/* the sum of two states; errors as dense_accum */
Datum
vecext_vector_combine(PG_FUNCTION_ARGS)
{
	ArrayType  *a = PG_GETARG_ARRAYTYPE_P(0);
	ArrayType  *b = PG_GETARG_ARRAYTYPE_P(1);
	int			na;
	int			nb;
	float8	   *sums;
	const float8 *others;
	bool		finite = true;

	get_state(a, &na);
	others = get_state(b, &nb);
	if (na == 1)
		PG_RETURN_ARRAYTYPE_P(b);
	if (nb == 1)
		PG_RETURN_ARRAYTYPE_P(a);
	check_state_dim(na - 1, nb - 1);

	a = writable_state(fcinfo, a, na);
	sums = (float8 *) ARR_DATA_PTR(a);
	for (int i = 0; i < na; i++)
	{
		sums[i] += others[i];
		finite &= !isinf(sums[i]);
	}
	if (!finite)
		float_overflow_error();
	PG_RETURN_ARRAYTYPE_P(a);
}

/*
 * dense_avg
 *		The average a state stands for; NULL if nothing was added.
 *
 * Raises 22000 or 22003 if the type cannot hold it.
 */
Datum
dense_avg(FunctionCallInfo fcinfo, const DenseType *type)
{
	int			n;
	const float8 *sums = get_state(PG_GETARG_ARRAYTYPE_P(0), &n);
	float	   *x;

	if (sums[0] == 0)
		PG_RETURN_NULL();

	vec_check_dim(n - 1, DENSE_MAX_DIM, type->name, NULL);
	x = palloc(mul_size(n - 1, sizeof(float)));
	for (int i = 0; i < n - 1; i++)
		x[i] = (float) (sums[i + 1] / sums[0]);
	PG_RETURN_POINTER(dense_from_floats(type, x, n - 1));
}
