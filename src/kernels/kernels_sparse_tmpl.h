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
 * Equal blocks, as dense data have them, are paired lane by lane.
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

/* where a merge stands in one of its lists */
typedef struct FN(Side)
{
	const int32_t *index;		/* the block at the front and all that follows */
	const float *value;
	int			left;			/* elements from there on */
	unsigned	paired;			/* lanes of the block whose index is in both lists */
	WideLane	sum;
} FN(Side);

/* the first n indices, or values, of the block; lanes behind them are zero */
VEC_TARGET VEC_INLINE IndexLane
FN(indices) (const FN(Side) *side, int n)
{
	return n == L_WIDTH ? I_LOAD(side->index) : I_PART(side->index, n);
}

VEC_TARGET VEC_INLINE WideLane
FN(values) (const FN(Side) *side, int n, unsigned lanes)
{
	return W_WIDEN(L_PICK_F32(side->value, n, lanes));
}

/* one step of a sum; op is a constant wherever this is inlined */
VEC_TARGET VEC_INLINE WideLane
FN(wide_step) (VecOp op, WideLane acc, WideLane x, WideLane y)
{
	WideLane	diff;

	if (op == VEC_OP_DOT)
		return W_FMA(x, y, acc);

	diff = W_SUB(x, y);
	return op == VEC_OP_L2SQ ? W_FMA(diff, diff, acc) : W_ADD(acc, W_ABS(diff));
}

/* what one pair adds */
VEC_TARGET VEC_INLINE double
FN(pair_term) (VecOp op, double x, double y)
{
	double		diff = x - y;

	if (op == VEC_OP_DOT)
		return x * y;
	return op == VEC_OP_L2SQ ? diff * diff : __builtin_fabs(diff);
}

/* go n elements on if "mask" is all ones, stay if it is 0 */
VEC_TARGET VEC_INLINE void
FN(advance) (FN(Side) *side, int n, unsigned mask)
{
	n &= (int) mask;
	side->index += n;
	side->value += n;
	side->left -= n;
	side->paired &= ~mask;
}

/* leave the block, unless "leave" is false; what is in no pair adds its own term */
VEC_TARGET VEC_INLINE void
FN(leave_block) (VecOp op, FN(Side) *side, int n, bool leave)
{
	unsigned	mask = -(unsigned) leave;
	unsigned	alone;

	VEC_OPAQUE(mask);			/* else there is a branch on "leave" */
	alone = FIRST_BITS(n) & mask & ~side->paired;
	if (op != VEC_OP_DOT)
		side->sum = FN(wide_step) (op, side->sum, FN(values) (side, n, alone), W_ZERO());
	FN(advance) (side, n, mask);
}

/* pair the two blocks lane by lane, and leave both */
VEC_TARGET VEC_INLINE void
FN(pair_all) (VecOp op, FN(Side) *a, FN(Side) *b, int n)
{
	a->sum = FN(wide_step) (op, a->sum, FN(values) (a, n, FIRST_BITS(n)),
							FN(values) (b, n, FIRST_BITS(n)));
	FN(advance) (a, n, -1u);
	FN(advance) (b, n, -1u);
}

/* lanes of "block" that are among the first n of "others" */
VEC_TARGET VEC_INLINE unsigned
FN(find_any) (IndexLane block, const int32_t *others, int n)
{
	IndexMatch	found;

	VEC_OPAQUE(others);			/* else a loaded block is taken apart */
	found = I_EQUAL(block, I_ALL(others[0]));
	/* the last one again in place of those that are not there */
	for (int i = 1; i < L_WIDTH; i++)
		found = I_OR(found, I_EQUAL(block, I_ALL(others[i < n ? i : n - 1])));
	return I_BITS(found);
}

/* what the pairs add; "hits", not 0, are the lanes of a with a partner in block_b */
VEC_TARGET VEC_INLINE double
FN(sum_pairs) (VecOp op, FN(Side) *a, unsigned hits, FN(Side) *b, IndexLane block_b)
{
	double		sum = 0;

	a->paired |= hits;
	do
	{
		int			i = __builtin_ctz(hits);
		IndexMatch	found = I_EQUAL(block_b, I_ALL(a->index[i]));

		/* a zero behind a part may be equal too, but the lowest lane is the partner */
		int			j = __builtin_ctz(I_BITS(found));

		b->paired |= 1u << j;
		sum += FN(pair_term) (op, a->value[i], b->value[j]);
		hits &= hits - 1;
	} while (hits != 0);
	return sum;
}

/*
 * One step, with blocks of na and nb elements.  Returns what single pairs add;
 * all else goes into the sides' sums.
 */
VEC_TARGET VEC_INLINE double
FN(merge_blocks) (VecOp op, FN(Side) *a, int na, FN(Side) *b, int nb)
{
	IndexLane	block_a = FN(indices) (a, na);
	IndexLane	block_b = FN(indices) (b, nb);
	int32_t		last_a = a->index[na - 1];
	int32_t		last_b = b->index[nb - 1];
	double		sum = 0;
	unsigned	hits;

	if (na == nb && I_BITS(I_EQUAL(block_a, block_b)) == FIRST_BITS(L_WIDTH))
	{
		FN(pair_all) (op, a, b, na);
		return 0;
	}

	/* blocks of one are equal or have no pair */
	hits = L_WIDTH == 1 ? 0 : FN(find_any) (block_a, b->index, nb) & FIRST_BITS(na);
	if (hits != 0)
		sum = FN(sum_pairs) (op, a, hits, b, block_b);
	FN(leave_block) (op, a, na, last_a <= last_b);
	FN(leave_block) (op, b, nb, last_b <= last_a);
	return sum;
}

/* elements of the block at the front */
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

	while (op != VEC_OP_DOT && a.left > 0)
		FN(leave_block) (op, &a, FN(block_size) (&a), true);
	while (op != VEC_OP_DOT && b.left > 0)
		FN(leave_block) (op, &b, FN(block_size) (&b), true);
	return W_SUM(W_ADD(a.sum, b.sum)) + pairs;
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
