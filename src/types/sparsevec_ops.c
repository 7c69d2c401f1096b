/*-------------------------------------------------------------------------
 *
 * sparsevec_ops.c
 *	  Distances, norm and order of sparsevec values.
 *
 * Every sum is taken in double, so finite values have finite distances and
 * none vanishes: squares of floats lie within 1e-90 and 1e77.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <math.h>

#include "kernels/distance.h"
#include "kernels/kernels.h"
#include "types/common.h"
#include "types/sparse.h"
#include "utils/float.h"

/* how the kernels see a value */
static inline VecSparse
view(const SparseVector *vec)
{
	VecSparse	result = {vec->nnz, vec->index, SPARSEVEC_VALUES(vec)};

	return result;
}

/* the two arguments of a distance function, of equal dimensions or 22000 */
static inline void
get_operands(FunctionCallInfo fcinfo, VecSparse *a, VecSparse *b)
{
	SparseVector *va = PG_GETARG_SPARSE(0);
	SparseVector *vb = PG_GETARG_SPARSE(1);

	vec_check_same_dim(va->dim, vb->dim, "sparsevec");
	*a = view(va);
	*b = view(vb);
}

VEC_SQL_FUNCTION(vecext_sparsevec_l2_distance)
{
	VecSparse	a;
	VecSparse	b;

	get_operands(fcinfo, &a, &b);
	PG_RETURN_FLOAT8(sqrt(vec_kernels->l2sq_sparse(&a, &b)));
}

VEC_SQL_FUNCTION(vecext_sparsevec_l2_squared_distance)
{
	VecSparse	a;
	VecSparse	b;

	get_operands(fcinfo, &a, &b);
	PG_RETURN_FLOAT8(vec_kernels->l2sq_sparse(&a, &b));
}

VEC_SQL_FUNCTION(vecext_sparsevec_inner_product)
{
	VecSparse	a;
	VecSparse	b;

	get_operands(fcinfo, &a, &b);
	PG_RETURN_FLOAT8(vec_kernels->dot_sparse(&a, &b));
}

VEC_SQL_FUNCTION(vecext_sparsevec_negative_inner_product)
{
	VecSparse	a;
	VecSparse	b;

	get_operands(fcinfo, &a, &b);
	PG_RETURN_FLOAT8(-vec_kernels->dot_sparse(&a, &b));
}

/* NaN if either operand is zero */
VEC_SQL_FUNCTION(vecext_sparsevec_cosine_distance)
{
	VecSparse	a;
	VecSparse	b;

	get_operands(fcinfo, &a, &b);
	PG_RETURN_FLOAT8(vec_cosine_of_sums(vec_kernels->dot_sparse(&a, &b),
										vec_kernels->normsq_f32(a.value, a.nnz),
										vec_kernels->normsq_f32(b.value, b.nnz)));
}

VEC_SQL_FUNCTION(vecext_sparsevec_l1_distance)
{
	VecSparse	a;
	VecSparse	b;

	get_operands(fcinfo, &a, &b);
	PG_RETURN_FLOAT8(vec_kernels->l1_sparse(&a, &b));
}

VEC_SQL_FUNCTION(vecext_sparsevec_dims)
{
	PG_RETURN_INT32(PG_GETARG_SPARSE(0)->dim);
}

VEC_SQL_FUNCTION(vecext_sparsevec_l2_norm)
{
	SparseVector *vec = PG_GETARG_SPARSE(0);

	PG_RETURN_FLOAT8(sqrt(vec_kernels->normsq_f32(SPARSEVEC_VALUES(vec), vec->nnz)));
}

/* elements that vanish are dropped; the zero vector stays as it is */
VEC_SQL_FUNCTION(vecext_sparsevec_l2_normalize)
{
	SparseVector *vec = PG_GETARG_SPARSE(0);
	const float *value = SPARSEVEC_VALUES(vec);
	double		norm = sqrt(vec_kernels->normsq_f32(value, vec->nnz));
	SparseVector *result = sparse_new(vec->dim, vec->nnz);
	float	   *result_value = SPARSEVEC_VALUES(result);

	memcpy(result->index, vec->index, (Size) vec->nnz * sizeof(int32));
	for (int i = 0; i < vec->nnz; i++)
	{
		result_value[i] = (float) (value[i] / norm);
		if (unlikely(isinf(result_value[i])))
			float_overflow_error();
	}

	PG_RETURN_POINTER(sparse_drop_zeros(result));
}

/* ------------------------------------------------------------------------
 * Order
 * ------------------------------------------------------------------------
 */

/*
 * Order of the equivalent dense vectors: -1, 0, 1.
 *
 * Where only one side stores an element, the other has a zero there, so the
 * sign decides.  Beyond the other's dimensions there is no zero either, and
 * the shorter one comes first.
 */
static int
compare(const SparseVector *a, const SparseVector *b)
{
	const float *va = SPARSEVEC_VALUES(a);
	const float *vb = SPARSEVEC_VALUES(b);
	int			n = Min(a->nnz, b->nnz);

	for (int i = 0; i < n; i++)
	{
		if (a->index[i] < b->index[i])
			return va[i] > 0 ? 1 : -1;
		if (a->index[i] > b->index[i])
			return vb[i] > 0 ? -1 : 1;
		if (va[i] < vb[i])
			return -1;
		if (va[i] > vb[i])
			return 1;
	}

	if (a->nnz > n && a->index[n] < b->dim)
		return va[n] > 0 ? 1 : -1;
	if (b->nnz > n && b->index[n] < a->dim)
		return vb[n] > 0 ? -1 : 1;

	return (a->dim > b->dim) - (a->dim < b->dim);
}

/* btree calls these without resetting memory in between: free the copies */
static int
compare_args(FunctionCallInfo fcinfo)
{
	SparseVector *a = PG_GETARG_SPARSE(0);
	SparseVector *b = PG_GETARG_SPARSE(1);
	int			order = compare(a, b);

	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return order;
}

VEC_SQL_FUNCTION(vecext_sparsevec_lt)
{
	PG_RETURN_BOOL(compare_args(fcinfo) < 0);
}

VEC_SQL_FUNCTION(vecext_sparsevec_le)
{
	PG_RETURN_BOOL(compare_args(fcinfo) <= 0);
}

VEC_SQL_FUNCTION(vecext_sparsevec_eq)
{
	PG_RETURN_BOOL(compare_args(fcinfo) == 0);
}

VEC_SQL_FUNCTION(vecext_sparsevec_ne)
{
	PG_RETURN_BOOL(compare_args(fcinfo) != 0);
}

VEC_SQL_FUNCTION(vecext_sparsevec_ge)
{
	PG_RETURN_BOOL(compare_args(fcinfo) >= 0);
}

VEC_SQL_FUNCTION(vecext_sparsevec_gt)
{
	PG_RETURN_BOOL(compare_args(fcinfo) > 0);
}

VEC_SQL_FUNCTION(vecext_sparsevec_cmp)
{
	PG_RETURN_INT32(compare_args(fcinfo));
}
