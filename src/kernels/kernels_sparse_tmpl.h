/*-------------------------------------------------------------------------
 *
 * kernels_sparse_tmpl.h
 *	  Merges of two sparse vectors; scalar on every instruction set.
 *
 * Which list advances is arithmetic, not a branch: on real data the branch
 * would be a coin toss.  Products and squares of floats are exact in double.
 *
 *-------------------------------------------------------------------------
 */

/* a list this many times longer than the other is searched, not merged */
#define SPARSE_GALLOP_RATIO 32

/* first position from "start" on whose index is not below "wanted" */
VEC_TARGET static inline int
FN(sparse_seek) (const VecSparse *v, int start, int32_t wanted)
{
	int			low = start;
	int			left = v->nnz - start;
	unsigned	step = 1;

	for (; step < (unsigned) left; step *= 2)
	{
		if (v->index[low + (int) step] >= wanted)
		{
			left = (int) step;
			break;
		}
		low += (int) step;
		left -= (int) step;
	}
	while (left > 0)
	{
		int			half = left / 2;

		if (v->index[low + half] < wanted)
		{
			low += half + 1;
			left -= half + 1;
		}
		else
			left = half;
	}
	return low;
}

VEC_TARGET static double
FN(dot_sparse_gallop) (const VecSparse *few, const VecSparse *many)
{
	double		sum = 0;
	int			j = 0;

	for (int i = 0; i < few->nnz; i++)
	{
		j = FN(sparse_seek) (many, j, few->index[i]);
		if (j == many->nnz)
			break;
		if (many->index[j] == few->index[i])
			sum += (double) few->value[i] * many->value[j];
	}
	return sum;
}

/* inner product */
VEC_TARGET static double
FN(dot_sparse) (const VecSparse *a, const VecSparse *b)
{
	double		sum = 0;
	int			i = 0;
	int			j = 0;

	if (a->nnz / SPARSE_GALLOP_RATIO > b->nnz)
		return FN(dot_sparse_gallop) (b, a);
	if (b->nnz / SPARSE_GALLOP_RATIO > a->nnz)
		return FN(dot_sparse_gallop) (a, b);

	while (i < a->nnz && j < b->nnz)
	{
		int32_t		x = a->index[i];
		int32_t		y = b->index[j];
		double		product = (double) a->value[i] * b->value[j];

		sum += x == y ? product : 0;
		i += x <= y;
		j += y <= x;
	}
	return sum;
}

/* what one index adds to the sum; op is a constant wherever this is inlined */
VEC_TARGET VEC_INLINE double
FN(sparse_term) (VecOp op, double diff)
{
	return op == VEC_OP_L2SQ ? diff * diff : __builtin_fabs(diff);
}

/* *value if "wanted", else 0; masked, as compilers would rather branch */
VEC_TARGET VEC_INLINE float
FN(value_if) (bool wanted, const float *value)
{
	uint32_t	bits;
	float		result;

	memcpy(&bits, value, sizeof(bits));
	bits &= -(uint32_t) wanted;
	memcpy(&result, &bits, sizeof(result));
	return result;
}

/* sum over the union of the indices */
VEC_TARGET VEC_INLINE double
FN(sum_sparse) (VecOp op, const VecSparse *a, const VecSparse *b)
{
	double		sum = 0;
	int			i = 0;
	int			j = 0;

	while (i < a->nnz && j < b->nnz)
	{
		int32_t		x = a->index[i];
		int32_t		y = b->index[j];
		double		av = FN(value_if) (x <= y, a->value + i);
		double		bv = FN(value_if) (y <= x, b->value + j);

		sum += FN(sparse_term) (op, av - bv);
		i += x <= y;
		j += y <= x;
	}
	for (; i < a->nnz; i++)
		sum += FN(sparse_term) (op, a->value[i]);
	for (; j < b->nnz; j++)
		sum += FN(sparse_term) (op, b->value[j]);
	return sum;
}

/* squared Euclidean distance */
VEC_TARGET static double
FN(l2sq_sparse) (const VecSparse *a, const VecSparse *b)
{
	return FN(sum_sparse) (VEC_OP_L2SQ, a, b);
}

/* sum of absolute differences */
VEC_TARGET static double
FN(l1_sparse) (const VecSparse *a, const VecSparse *b)
{
	return FN(sum_sparse) (VEC_OP_L1, a, b);
}
