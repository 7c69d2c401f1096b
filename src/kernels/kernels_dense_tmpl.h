/*-------------------------------------------------------------------------
 *
 * kernels_dense_tmpl.h
 *	  Loops over dense vectors of one element type, over abstract lanes.
 *
 * Included by kernels_tmpl.h once per element type (hence no guard), with
 *
 *	ELEM			element type
 *	ELEM_NAME		f32 or f16
 *	E_LOAD(p)		L_WIDTH elements, widened to float
 *	E_PART(p, n)	n elements, 0 < n < L_WIDTH, the other lanes zero
 *
 * Sums run in blocks: no accumulator takes more than about 64 terms before
 * it is added to a double, so the error bound does not grow with "dim"
 * (README.md, "Accumulators").
 *
 *-------------------------------------------------------------------------
 */

#define EFN(name)		FN(VEC_PASTE(name, ELEM_NAME))

/* elements per block with four accumulators, and with two */
#define BLOCK4			(64 * 4 * L_WIDTH)
#define BLOCK2			(64 * 2 * L_WIDTH)

/* one block of a sum over two vectors; four accumulators hide the latency */
VEC_TARGET VEC_INLINE float
EFN(sum_block) (VecOp op, const ELEM *a, const ELEM *b, int dim)
{
	Lane		acc0 = L_ZERO();
	Lane		acc1 = L_ZERO();
	Lane		acc2 = L_ZERO();
	Lane		acc3 = L_ZERO();
	int			i = 0;

	for (; i + 4 * L_WIDTH <= dim; i += 4 * L_WIDTH)
	{
		const ELEM *x = a + i;
		const ELEM *y = b + i;

		acc0 = FN(step) (op, acc0, E_LOAD(x), E_LOAD(y));
		acc1 = FN(step) (op, acc1, E_LOAD(x + L_WIDTH), E_LOAD(y + L_WIDTH));
		acc2 = FN(step) (op, acc2, E_LOAD(x + 2 * L_WIDTH), E_LOAD(y + 2 * L_WIDTH));
		acc3 = FN(step) (op, acc3, E_LOAD(x + 3 * L_WIDTH), E_LOAD(y + 3 * L_WIDTH));
	}
	for (; i + L_WIDTH <= dim; i += L_WIDTH)
		acc0 = FN(step) (op, acc0, E_LOAD(a + i), E_LOAD(b + i));
	if (i < dim)
		acc1 = FN(step) (op, acc1, E_PART(a + i, dim - i), E_PART(b + i, dim - i));

	return L_SUM(L_ADD(L_ADD(acc0, acc1), L_ADD(acc2, acc3)));
}

VEC_TARGET VEC_INLINE float
EFN(sum) (VecOp op, const ELEM *a, const ELEM *b, int dim)
{
	double		total = 0;
	int			i = 0;

	if (dim <= BLOCK4)
		return EFN(sum_block) (op, a, b, dim);

	for (; i + BLOCK4 <= dim; i += BLOCK4)
		total += EFN(sum_block) (op, a + i, b + i, BLOCK4);
	return (float) (total + EFN(sum_block) (op, a + i, b + i, dim - i));
}

/* squared Euclidean distance */
VEC_TARGET static float
EFN(l2sq) (const ELEM *a, const ELEM *b, int dim)
{
	return EFN(sum) (VEC_OP_L2SQ, a, b, dim);
}

/* inner product */
VEC_TARGET static float
EFN(dot) (const ELEM *a, const ELEM *b, int dim)
{
	return EFN(sum) (VEC_OP_DOT, a, b, dim);
}

/* sum of absolute differences */
VEC_TARGET static float
EFN(l1) (const ELEM *a, const ELEM *b, int dim)
{
	return EFN(sum) (VEC_OP_L1, a, b, dim);
}

/*
 * One block of the three sums of a cosine.  They take the same path, so that
 * equal vectors give three equal sums and a distance of exactly zero.
 */
VEC_TARGET VEC_INLINE void
EFN(cosine_block) (const ELEM *a, const ELEM *b, int dim, VecCosineSums *sums)
{
	Lane		dot0 = L_ZERO(), dot1 = L_ZERO(), dot2 = L_ZERO(), dot3 = L_ZERO();
	Lane		a0 = L_ZERO(), a1 = L_ZERO(), a2 = L_ZERO(), a3 = L_ZERO();
	Lane		b0 = L_ZERO(), b1 = L_ZERO(), b2 = L_ZERO(), b3 = L_ZERO();
	Lane		x;
	Lane		y;
	int			i = 0;

	for (; i + 4 * L_WIDTH <= dim; i += 4 * L_WIDTH)
	{
		x = E_LOAD(a + i);
		y = E_LOAD(b + i);
		dot0 = L_FMA(x, y, dot0);
		a0 = L_FMA(x, x, a0);
		b0 = L_FMA(y, y, b0);
		x = E_LOAD(a + i + L_WIDTH);
		y = E_LOAD(b + i + L_WIDTH);
		dot1 = L_FMA(x, y, dot1);
		a1 = L_FMA(x, x, a1);
		b1 = L_FMA(y, y, b1);
		x = E_LOAD(a + i + 2 * L_WIDTH);
		y = E_LOAD(b + i + 2 * L_WIDTH);
		dot2 = L_FMA(x, y, dot2);
		a2 = L_FMA(x, x, a2);
		b2 = L_FMA(y, y, b2);
		x = E_LOAD(a + i + 3 * L_WIDTH);
		y = E_LOAD(b + i + 3 * L_WIDTH);
		dot3 = L_FMA(x, y, dot3);
		a3 = L_FMA(x, x, a3);
		b3 = L_FMA(y, y, b3);
	}
	for (; i + L_WIDTH <= dim; i += L_WIDTH)
	{
		x = E_LOAD(a + i);
		y = E_LOAD(b + i);
		dot0 = L_FMA(x, y, dot0);
		a0 = L_FMA(x, x, a0);
		b0 = L_FMA(y, y, b0);
	}
	if (i < dim)
	{
		x = E_PART(a + i, dim - i);
		y = E_PART(b + i, dim - i);
		dot1 = L_FMA(x, y, dot1);
		a1 = L_FMA(x, x, a1);
		b1 = L_FMA(y, y, b1);
	}

	sums->dot = L_SUM(L_ADD(L_ADD(dot0, dot1), L_ADD(dot2, dot3)));
	sums->normsq_a = L_SUM(L_ADD(L_ADD(a0, a1), L_ADD(a2, a3)));
	sums->normsq_b = L_SUM(L_ADD(L_ADD(b0, b1), L_ADD(b2, b3)));
}

/* the three sums of a cosine in one pass */
VEC_TARGET static void
EFN(cosine) (const ELEM *a, const ELEM *b, int dim, VecCosineSums *sums)
{
	double		dot = 0;
	double		normsq_a = 0;
	double		normsq_b = 0;
	int			i;

	if (dim <= BLOCK4)
	{
		EFN(cosine_block) (a, b, dim, sums);
		return;
	}

	for (i = 0; i < dim; i += BLOCK4)
	{
		VecCosineSums part;

		EFN(cosine_block) (a + i, b + i, dim - i < BLOCK4 ? dim - i : BLOCK4, &part);
		dot += part.dot;
		normsq_a += part.normsq_a;
		normsq_b += part.normsq_b;
	}
	sums->dot = (float) dot;
	sums->normsq_a = (float) normsq_a;
	sums->normsq_b = (float) normsq_b;
}

/* sum of squares, in double */
VEC_TARGET static double
EFN(normsq) (const ELEM *a, int dim)
{
	WideLane	acc0 = W_ZERO();
	WideLane	acc1 = W_ZERO();
	int			i = 0;

	for (; i + 2 * L_WIDTH <= dim; i += 2 * L_WIDTH)
	{
		acc0 = FN(add_square) (acc0, E_LOAD(a + i));
		acc1 = FN(add_square) (acc1, E_LOAD(a + i + L_WIDTH));
	}
	for (; i + L_WIDTH <= dim; i += L_WIDTH)
		acc0 = FN(add_square) (acc0, E_LOAD(a + i));
	if (i < dim)
		acc1 = FN(add_square) (acc1, E_PART(a + i, dim - i));

	return W_SUM(acc0) + W_SUM(acc1);
}

/* one block of a sum over the query and each of four rows */
VEC_TARGET VEC_INLINE void
EFN(rows4_block) (VecOp op, const float *query, const ELEM *row, size_t stride, int dim,
				  double *totals)
{
	const ELEM *row1 = row + stride;
	const ELEM *row2 = row + 2 * stride;
	const ELEM *row3 = row + 3 * stride;
	Lane		acc0 = L_ZERO(), acc1 = L_ZERO(), acc2 = L_ZERO(), acc3 = L_ZERO();
	Lane		odd0 = L_ZERO(), odd1 = L_ZERO(), odd2 = L_ZERO(), odd3 = L_ZERO();
	Lane		q;
	int			i = 0;

	for (; i + 2 * L_WIDTH <= dim; i += 2 * L_WIDTH)
	{
		q = L_LOAD_F32(query + i);
		acc0 = FN(step) (op, acc0, q, E_LOAD(row + i));
		acc1 = FN(step) (op, acc1, q, E_LOAD(row1 + i));
		acc2 = FN(step) (op, acc2, q, E_LOAD(row2 + i));
		acc3 = FN(step) (op, acc3, q, E_LOAD(row3 + i));
		q = L_LOAD_F32(query + i + L_WIDTH);
		odd0 = FN(step) (op, odd0, q, E_LOAD(row + i + L_WIDTH));
		odd1 = FN(step) (op, odd1, q, E_LOAD(row1 + i + L_WIDTH));
		odd2 = FN(step) (op, odd2, q, E_LOAD(row2 + i + L_WIDTH));
		odd3 = FN(step) (op, odd3, q, E_LOAD(row3 + i + L_WIDTH));
	}
	if (i + L_WIDTH <= dim)
	{
		q = L_LOAD_F32(query + i);
		acc0 = FN(step) (op, acc0, q, E_LOAD(row + i));
		acc1 = FN(step) (op, acc1, q, E_LOAD(row1 + i));
		acc2 = FN(step) (op, acc2, q, E_LOAD(row2 + i));
		acc3 = FN(step) (op, acc3, q, E_LOAD(row3 + i));
		i += L_WIDTH;
	}
	if (i < dim)
	{
		q = L_PART_F32(query + i, dim - i);
		odd0 = FN(step) (op, odd0, q, E_PART(row + i, dim - i));
		odd1 = FN(step) (op, odd1, q, E_PART(row1 + i, dim - i));
		odd2 = FN(step) (op, odd2, q, E_PART(row2 + i, dim - i));
		odd3 = FN(step) (op, odd3, q, E_PART(row3 + i, dim - i));
	}

	totals[0] += L_SUM(L_ADD(acc0, odd0));
	totals[1] += L_SUM(L_ADD(acc1, odd1));
	totals[2] += L_SUM(L_ADD(acc2, odd2));
	totals[3] += L_SUM(L_ADD(acc3, odd3));
}

/* one block of a sum over the query and one row, for the last rows */
VEC_TARGET VEC_INLINE float
EFN(row_block) (VecOp op, const float *query, const ELEM *row, int dim)
{
	Lane		acc0 = L_ZERO();
	Lane		acc1 = L_ZERO();
	int			i = 0;

	for (; i + 2 * L_WIDTH <= dim; i += 2 * L_WIDTH)
	{
		acc0 = FN(step) (op, acc0, L_LOAD_F32(query + i), E_LOAD(row + i));
		acc1 = FN(step) (op, acc1, L_LOAD_F32(query + i + L_WIDTH), E_LOAD(row + i + L_WIDTH));
	}
	if (i + L_WIDTH <= dim)
	{
		acc0 = FN(step) (op, acc0, L_LOAD_F32(query + i), E_LOAD(row + i));
		i += L_WIDTH;
	}
	if (i < dim)
		acc1 = FN(step) (op, acc1, L_PART_F32(query + i, dim - i), E_PART(row + i, dim - i));

	return L_SUM(L_ADD(acc0, acc1));
}

/* a sum over the query and each row, four rows for each load of the query */
VEC_TARGET VEC_INLINE void
EFN(sum_many) (VecOp op, const float *query, const ELEM *rows, size_t stride, int nrows,
			   int dim, float *out)
{
	int			r = 0;
	int			i;

	for (; r + 4 <= nrows; r += 4)
	{
		double		totals[4] = {0, 0, 0, 0};

		for (i = 0; i < dim; i += BLOCK2)
			EFN(rows4_block) (op, query + i, rows + r * stride + i, stride,
							  dim - i < BLOCK2 ? dim - i : BLOCK2, totals);
		out[r] = (float) totals[0];
		out[r + 1] = (float) totals[1];
		out[r + 2] = (float) totals[2];
		out[r + 3] = (float) totals[3];
	}
	for (; r < nrows; r++)
	{
		double		total = 0;

		for (i = 0; i < dim; i += BLOCK2)
			total += EFN(row_block) (op, query + i, rows + r * stride + i,
									 dim - i < BLOCK2 ? dim - i : BLOCK2);
		out[r] = (float) total;
	}
}

/* squared Euclidean distance of the query to each row */
VEC_TARGET static void
EFN(l2sq_many) (const float *query, const ELEM *rows, size_t stride, int nrows, int dim,
				float *out)
{
	EFN(sum_many) (VEC_OP_L2SQ, query, rows, stride, nrows, dim, out);
}

/* inner product of the query with each row */
VEC_TARGET static void
EFN(dot_many) (const float *query, const ELEM *rows, size_t stride, int nrows, int dim,
			   float *out)
{
	EFN(sum_many) (VEC_OP_DOT, query, rows, stride, nrows, dim, out);
}

/*
 * True if no element is NaN or infinite: zero times such an element is NaN,
 * and stays NaN in the sum; zero times any other is zero.
 */
VEC_TARGET static bool
EFN(finite) (const ELEM *a, int dim)
{
	Lane		zero = L_ZERO();
	Lane		acc0 = L_ZERO();
	Lane		acc1 = L_ZERO();
	int			i = 0;

	for (; i + 2 * L_WIDTH <= dim; i += 2 * L_WIDTH)
	{
		acc0 = L_FMA(E_LOAD(a + i), zero, acc0);
		acc1 = L_FMA(E_LOAD(a + i + L_WIDTH), zero, acc1);
	}
	for (; i + L_WIDTH <= dim; i += L_WIDTH)
		acc0 = L_FMA(E_LOAD(a + i), zero, acc0);
	if (i < dim)
		acc1 = L_FMA(E_PART(a + i, dim - i), zero, acc1);

	return L_SUM(L_ADD(acc0, acc1)) == 0;
}

#undef EFN
#undef BLOCK4
#undef BLOCK2
#undef ELEM
#undef ELEM_NAME
#undef E_LOAD
#undef E_PART
