/*-------------------------------------------------------------------------
 *
 * metric.c
 *	  One row per type and metric, and the functions that return them.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <math.h>

#include "kernels/distance.h"
#include "types/bitvec.h"
#include "types/dense.h"
#include "types/mean.h"
#include "types/metric.h"
#include "types/sparse.h"
#include "utils/varbit.h"

/* Types */

static struct varlena *
vector_plain(Datum value)
{
	return (struct varlena *) dense_get(value, &dense_vector);
}

static struct varlena *
halfvec_plain(Datum value)
{
	return (struct varlena *) dense_get(value, &dense_halfvec);
}

static int
dense_plain_dim(const struct varlena *value)
{
	return ((const DenseVector *) value)->dim;
}

static void
vector_to_floats(const struct varlena *value, float *x)
{
	const DenseVector *v = (const DenseVector *) value;

	memcpy(x, v->x, sizeof(float) * v->dim);
}

static void
halfvec_to_floats(const struct varlena *value, float *x)
{
	const DenseVector *v = (const DenseVector *) value;

	vec_kernels->half_to_float((const vec_half *) v->x, x, v->dim);
}

static struct varlena *
sparsevec_plain(Datum value)
{
	return (struct varlena *) sparse_get(value);
}

static size_t
vector_size(int dim)
{
	return dense_size(&dense_vector, dim);
}

static size_t
halfvec_size(int dim)
{
	return dense_size(&dense_halfvec, dim);
}

static size_t
sparsevec_size(int dim)
{
	return SPARSEVEC_SIZE(Min(dim, SPARSEVEC_MAX_NNZ));
}

static size_t
bit_size(int dim)
{
	return VARBITTOTALLEN(dim);
}

static int
sparsevec_dim(const struct varlena *value)
{
	return ((const SparseVector *) value)->dim;
}

static int
sparsevec_nnz(const struct varlena *value)
{
	return ((const SparseVector *) value)->nnz;
}

static struct varlena *
bit_plain(Datum value)
{
	return (struct varlena *) bitvec_get(value);
}

static int
bit_dim(const struct varlena *value)
{
	return VARBITLEN((const VarBit *) value);
}

static struct varlena *
vector_mean(struct varlena **rows, int n, VecMetricKind kind)
{
	return dense_mean(&dense_vector, rows, n);
}

static struct varlena *
halfvec_mean(struct varlena **rows, int n, VecMetricKind kind)
{
	return dense_mean(&dense_halfvec, rows, n);
}

static const VecTypeOps vector_ops = {
	.name = "vector",
	.extent = "dimensions",
	.max_dim = DENSE_MAX_DIM,
	.size = vector_size,
	.fixed_size = true,
	.plain = vector_plain,
	.dim = dense_plain_dim,
	.to_floats = vector_to_floats,
	.mean = vector_mean,
};

static const VecTypeOps halfvec_ops = {
	.name = "halfvec",
	.extent = "dimensions",
	.max_dim = DENSE_MAX_DIM,
	.size = halfvec_size,
	.fixed_size = true,
	.plain = halfvec_plain,
	.dim = dense_plain_dim,
	.to_floats = halfvec_to_floats,
	.mean = halfvec_mean,
};

static const VecTypeOps sparsevec_ops = {
	.name = "sparsevec",
	.extent = "dimensions",
	.max_dim = SPARSEVEC_MAX_DIM,
	.size = sparsevec_size,
	.plain = sparsevec_plain,
	.dim = sparsevec_dim,
	.nnz = sparsevec_nnz,
	.mean = sparse_mean,
};

static const VecTypeOps bit_ops = {
	.name = "bit",
	.extent = "lengths",
	.max_dim = 64000,
	.size = bit_size,
	.fixed_size = true,
	.plain = bit_plain,
	.dim = bit_dim,
	.mean = bit_mean,
};

/* Distances of plain values of equal dimensions */

/* arguments of a vector kernel */
#define VECTOR_ARGS(a, b) \
	(const float *) ((const DenseVector *) (a))->x, \
	(const float *) ((const DenseVector *) (b))->x, ((const DenseVector *) (a))->dim

static double
vector_l2(const struct varlena *a, const struct varlena *b)
{
	return sqrt(vec_l2sq_f32(VECTOR_ARGS(a, b)));
}

static double
vector_ip(const struct varlena *a, const struct varlena *b)
{
	return -vec_dot_f32(VECTOR_ARGS(a, b));
}

static double
vector_cosine(const struct varlena *a, const struct varlena *b)
{
	return vec_cosine_f32(VECTOR_ARGS(a, b));
}

static double
vector_l1(const struct varlena *a, const struct varlena *b)
{
	return vec_l1_f32(VECTOR_ARGS(a, b));
}

/* arguments of a halfvec kernel */
#define HALFVEC_ARGS(a, b) \
	(const vec_half *) ((const DenseVector *) (a))->x, \
	(const vec_half *) ((const DenseVector *) (b))->x, ((const DenseVector *) (a))->dim

static double
halfvec_l2(const struct varlena *a, const struct varlena *b)
{
	return sqrt((double) vec_kernels->l2sq_f16(HALFVEC_ARGS(a, b)));
}

static double
halfvec_ip(const struct varlena *a, const struct varlena *b)
{
	return -(double) vec_kernels->dot_f16(HALFVEC_ARGS(a, b));
}

static double
halfvec_cosine(const struct varlena *a, const struct varlena *b)
{
	return vec_cosine_f16(HALFVEC_ARGS(a, b));
}

static double
halfvec_l1(const struct varlena *a, const struct varlena *b)
{
	return vec_kernels->l1_f16(HALFVEC_ARGS(a, b));
}

static VecSparse
sparse_view(const struct varlena *value)
{
	const SparseVector *v = (const SparseVector *) value;
	VecSparse	view = {v->nnz, v->index, SPARSEVEC_VALUES(v)};

	return view;
}

static double
sparse_normsq(const struct varlena *value)
{
	const SparseVector *v = (const SparseVector *) value;

	return vec_kernels->normsq_f32(SPARSEVEC_VALUES(v), v->nnz);
}

static double
sparsevec_l2(const struct varlena *a, const struct varlena *b)
{
	VecSparse	x = sparse_view(a);
	VecSparse	y = sparse_view(b);

	return sqrt(vec_kernels->l2sq_sparse(&x, &y));
}

static double
sparsevec_ip(const struct varlena *a, const struct varlena *b)
{
	VecSparse	x = sparse_view(a);
	VecSparse	y = sparse_view(b);

	return -vec_kernels->dot_sparse(&x, &y);
}

static double
sparsevec_cosine(const struct varlena *a, const struct varlena *b)
{
	VecSparse	x = sparse_view(a);
	VecSparse	y = sparse_view(b);

	return vec_cosine_of_sums(vec_kernels->dot_sparse(&x, &y),
							  sparse_normsq(a), sparse_normsq(b));
}

static double
sparsevec_l1(const struct varlena *a, const struct varlena *b)
{
	VecSparse	x = sparse_view(a);
	VecSparse	y = sparse_view(b);

	return vec_kernels->l1_sparse(&x, &y);
}

static double
bit_hamming(const struct varlena *a, const struct varlena *b)
{
	return bitvec_hamming((const VarBit *) a, (const VarBit *) b);
}

static double
bit_jaccard(const struct varlena *a, const struct varlena *b)
{
	return bitvec_jaccard((const VarBit *) a, (const VarBit *) b);
}

/* Values without a direction */

static bool
always_defined(const struct varlena *value)
{
	return true;
}

static bool
vector_has_direction(const struct varlena *value)
{
	const DenseVector *v = (const DenseVector *) value;

	return vec_kernels->normsq_f32((const float *) v->x, v->dim) > 0;
}

static bool
halfvec_has_direction(const struct varlena *value)
{
	const DenseVector *v = (const DenseVector *) value;

	return vec_kernels->normsq_f16((const vec_half *) v->x, v->dim) > 0;
}

static bool
sparsevec_has_direction(const struct varlena *value)
{
	return ((const SparseVector *) value)->nnz > 0;
}

/* Support functions */

#define METRIC(type_name, metric, kind_name, defined) \
	VEC_SQL_FUNCTION(vecext_##type_name##_##metric##_metric) \
	{ \
		static const VecMetric row = { \
			.type = &type_name##_ops, \
			.kind = VEC_METRIC_##kind_name, \
			.distance = type_name##_##metric, \
			.is_defined = defined, \
		}; \
		PG_RETURN_POINTER(&row); \
	}

METRIC(vector, l2, L2, always_defined)
METRIC(vector, ip, IP, always_defined)
METRIC(vector, cosine, COSINE, vector_has_direction)
METRIC(vector, l1, L1, always_defined)
METRIC(halfvec, l2, L2, always_defined)
METRIC(halfvec, ip, IP, always_defined)
METRIC(halfvec, cosine, COSINE, halfvec_has_direction)
METRIC(halfvec, l1, L1, always_defined)
METRIC(sparsevec, l2, L2, always_defined)
METRIC(sparsevec, ip, IP, always_defined)
METRIC(sparsevec, cosine, COSINE, sparsevec_has_direction)
METRIC(sparsevec, l1, L1, always_defined)
METRIC(bit, hamming, HAMMING, always_defined)
METRIC(bit, jaccard, JACCARD, always_defined)
