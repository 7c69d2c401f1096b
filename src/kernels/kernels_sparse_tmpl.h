/*-------------------------------------------------------------------------
 *
 * kernels_sparse_tmpl.h
 *	  Merges of two sparse vectors, a block of indices at a time.
 *
 * The blocks at the front of both lists are compared all with all; then the
 * one whose last index is smaller is left, both if they end alike.  No index
 * behind a block left can be in it, so no pair is missed, and real data have
 * few pairs.  (The scheme is that of SIMD set intersection: Lemire, Boytsov,
 * Kurz, "SIMD compression and the intersection of sorted integers", 2016.)
 * Which block is left is arithmetic, not a branch, which would be a coin toss.
 *
 * An element without partner adds its own term, a pair the term of both.  The
 * textbook's |a|^2 + |b|^2 - 2ab would save half the squares and cancel.
 *
 * Every step leaves a block, and blocks lie inside their lists, whatever the
 * indices: damaged lists give a wrong sum, no more.
 *
 *-------------------------------------------------------------------------
 */

/*
 * A list this many times longer than the other is searched, not merged: a
 * search costs a dozen mispredictions, a merge 1/L_WIDTH of a scalar one.
 */
#define SPARSE_GALLOP_RATIO (8 * (L_WIDTH + 1))

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

/* where a merge stands in one of its lists, and what it found there only */
typedef struct FN(Side)
{
	const int32_t *index;		/* the block at the front and all that follows */
	const float *value;
	int			left;			/* elements from there on */
	unsigned	paired;			/* lanes of the block whose index is in both lists */
	WideLane	alone;			/* sum over the elements without partner */
} FN(Side);

/* what a pair adds; op is a constant wherever this is inlined */
VEC_TARGET VEC_INLINE double
FN(pair_term) (VecOp op, double x, double y)
{
	double		diff = x - y;

	if (op == VEC_OP_DOT)
		return x * y;
	return op == VEC_OP_L2SQ ? diff * diff : __builtin_fabs(diff);
}

/* add those of the first n elements that "lanes" names and that are in no pair */
VEC_TARGET VEC_INLINE void
FN(add_alone) (VecOp op, FN(Side) *side, int n, unsigned lanes)
{
	Lane		x;

	if (op == VEC_OP_DOT)
		return;
	x = L_PICK_F32(side->value, n, lanes & ~side->paired);
	side->alone = op == VEC_OP_L2SQ ? W_ADD_SQUARE(side->alone, x) :
		W_ADD(side->alone, L_ABS(x));
}

/*
 * What the pairs of two blocks add; "hits", not 0, are the lanes of a whose
 * index is among the first n of b.
 */
VEC_TARGET VEC_INLINE double
FN(sum_pairs) (VecOp op, FN(Side) *a, unsigned hits, FN(Side) *b, int n)
{
	double		sum = 0;
	IndexLane	block = n == L_WIDTH ? I_LOAD(b->index) : I_PART(b->index, n);

	a->paired |= hits;
	do
	{
		int			i = __builtin_ctz(hits);
		int			j;

		/* a lane beyond n may be equal too, but the lowest one is not beyond */
		j = __builtin_ctz(I_BITS(I_EQUAL(block, a->index[i])));
		b->paired |= 1u << j;
		sum += FN(pair_term) (op, a->value[i], b->value[j]);
		hits &= hits - 1;
	} while (hits != 0);
	return sum;
}

/* lanes of the block at "index" that are among the first n of "others" */
VEC_TARGET VEC_INLINE unsigned
FN(find_any) (const int32_t *index, int width, const int32_t *others, int n)
{
	IndexLane	block = width == L_WIDTH ? I_LOAD(index) : I_PART(index, width);
	IndexMatch	found = I_EQUAL(block, others[0]);

	/* the last one again in place of those that are not there */
	for (int i = 1; i < L_WIDTH; i++)
		found = I_OR(found, I_EQUAL(block, others[i < n ? i : n - 1]));
	return I_BITS(found) & FIRST_BITS(width);
}

/* go to the next block if "leave" */
VEC_TARGET VEC_INLINE void
FN(next_block) (VecOp op, FN(Side) *side, int n, bool leave)
{
	unsigned	mask = -(unsigned) leave;

	FN(add_alone) (op, side, n, FIRST_BITS(n) & mask);
	n &= (int) mask;
	side->index += n;
	side->value += n;
	side->left -= n;
	side->paired &= ~mask;
}

/* one step, with blocks of na and nb elements; returns what their pairs add */
VEC_TARGET VEC_INLINE double
FN(merge_blocks) (VecOp op, FN(Side) *a, int na, FN(Side) *b, int nb)
{
	double		sum = 0;
	int32_t		last_a = a->index[na - 1];
	int32_t		last_b = b->index[nb - 1];
	unsigned	hits = FN(find_any) (a->index, na, b->index, nb);

	if (hits != 0)
		sum = FN(sum_pairs) (op, a, hits, b, nb);
	FN(next_block) (op, a, na, last_a <= last_b);
	FN(next_block) (op, b, nb, last_b <= last_a);
	return sum;
}

VEC_INLINE int
FN(block_size) (const FN(Side) *side)
{
	return side->left < L_WIDTH ? side->left : L_WIDTH;
}

VEC_TARGET VEC_INLINE double
FN(merge) (VecOp op, const VecSparse *va, const VecSparse *vb)
{
	FN(Side) a = {va->index, va->value, va->nnz, 0, W_ZERO()};
	FN(Side) b = {vb->index, vb->value, vb->nnz, 0, W_ZERO()};
	double		pairs = 0;

	while (a.left >= L_WIDTH && b.left >= L_WIDTH)
		pairs += FN(merge_blocks) (op, &a, L_WIDTH, &b, L_WIDTH);
	while (a.left > 0 && b.left > 0)
		pairs += FN(merge_blocks) (op, &a, FN(block_size) (&a), &b, FN(block_size) (&b));
	if (op == VEC_OP_DOT)
		return pairs;

	while (a.left > 0)
		FN(next_block) (op, &a, FN(block_size) (&a), true);
	while (b.left > 0)
		FN(next_block) (op, &b, FN(block_size) (&b), true);
	return W_SUM(a.alone) + W_SUM(b.alone) + pairs;
}

/* inner product */
VEC_TARGET static double
FN(dot_sparse) (const VecSparse *a, const VecSparse *b)
{
	if (a->nnz / SPARSE_GALLOP_RATIO > b->nnz)
		return FN(dot_sparse_gallop) (b, a);
	if (b->nnz / SPARSE_GALLOP_RATIO > a->nnz)
		return FN(dot_sparse_gallop) (a, b);
	return FN(merge) (VEC_OP_DOT, a, b);
}

/* squared Euclidean distance */
VEC_TARGET static double
FN(l2sq_sparse) (const VecSparse *a, const VecSparse *b)
{
	return FN(merge) (VEC_OP_L2SQ, a, b);
}

/* sum of absolute differences */
VEC_TARGET static double
FN(l1_sparse) (const VecSparse *a, const VecSparse *b)
{
	return FN(merge) (VEC_OP_L1, a, b);
}
