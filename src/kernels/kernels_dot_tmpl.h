/*-------------------------------------------------------------------------
 *
 * kernels_dot_tmpl.h
 *	  Products of two codes, over abstract lanes; see kernels_codes_tmpl.h.
 *
 * A file of its own because AVX-512 has two ways to multiply bytes (hence no
 * guard).  Sums of 255 * 255 stay below 2^31 up to 32,768 coordinates.
 *
 *	SumLane					32-bit sums
 *	I_ZERO()
 *	I_DOT(acc, x, y)		add the products of the bytes of two BitLanes
 *	I_DOT_SMALL(acc, x, y)	the same, every byte below 16
 *	I_JOIN(x, y)			the sums of both
 *	I_TOTAL(acc)
 *
 *-------------------------------------------------------------------------
 */

#ifndef DOT_ROWS
#define DOT_ROWS	4
#endif

/* sum of a[i] * b[i], one coordinate per byte */
VEC_TARGET static int32_t
FN(dot_u8) (const uint8_t *a, const uint8_t *b, int dim)
{
	SumLane		acc0 = I_ZERO();
	SumLane		acc1 = I_ZERO();
	size_t		bytes = (size_t) dim;
	size_t		i = 0;

	for (; bytes - i >= 2 * B_WIDTH; i += 2 * B_WIDTH)
	{
		acc0 = I_DOT(acc0, B_LOAD(a + i), B_LOAD(b + i));
		acc1 = I_DOT(acc1, B_LOAD(a + i + B_WIDTH), B_LOAD(b + i + B_WIDTH));
	}
	for (; bytes - i >= B_WIDTH; i += B_WIDTH)
		acc0 = I_DOT(acc0, B_LOAD(a + i), B_LOAD(b + i));
	if (i < bytes)
		acc1 = I_DOT(acc1, B_PART(a + i, bytes - i), B_PART(b + i, bytes - i));

	return I_TOTAL(I_JOIN(acc0, acc1));
}

/* the same, two coordinates per byte */
VEC_TARGET static int32_t
FN(dot_u4) (const uint8_t *a, const uint8_t *b, int dim)
{
	SumLane		acc = I_ZERO();
	size_t		bytes = ((size_t) dim + 1) / 2;

	for (size_t i = 0; i < bytes; i += B_WIDTH)
	{
		bool		full = bytes - i >= B_WIDTH;
		BitLane		x = full ? B_LOAD(a + i) : B_PART(a + i, bytes - i);
		BitLane		y = full ? B_LOAD(b + i) : B_PART(b + i, bytes - i);

		acc = I_DOT_SMALL(acc, B_FIELD(x, 0, 15), B_FIELD(y, 0, 15));
		acc = I_DOT_SMALL(acc, B_FIELD(x, 4, 15), B_FIELD(y, 4, 15));
	}

	return I_TOTAL(acc);
}

/* one step of DOT_ROWS products: bytes i and on of a and of each row */
VEC_TARGET VEC_INLINE void
FN(dot_u4_step) (SumLane *acc, BitLane x, const uint8_t *const *rows, size_t i, size_t left)
{
	BitLane		low = B_FIELD(x, 0, 15);
	BitLane		high = B_FIELD(x, 4, 15);

	VEC_UNROLL
	for (int j = 0; j < DOT_ROWS; j++)
	{
		BitLane		y = left >= B_WIDTH ? B_LOAD(rows[j] + i) : B_PART(rows[j] + i, left);

		acc[j] = I_DOT_SMALL(acc[j], low, B_FIELD(y, 0, 15));
		acc[j] = I_DOT_SMALL(acc[j], high, B_FIELD(y, 4, 15));
	}
}

/* dot_u4 of a and each of n rows, some at a time so that none waits for another */
VEC_TARGET static void
FN(dot_u4_rows) (const uint8_t *a, const uint8_t *const *rows, int n, int dim, int32_t *out)
{
	size_t		bytes = ((size_t) dim + 1) / 2;
	int			done = 0;

	for (; done < n && n >= DOT_ROWS; done += DOT_ROWS)
	{
		SumLane		acc[DOT_ROWS];
		size_t		i = 0;

		/* the last go takes some rows again rather than the rest one by one */
		done = n - done < DOT_ROWS ? n - DOT_ROWS : done;
		VEC_UNROLL
		for (int j = 0; j < DOT_ROWS; j++)
			acc[j] = I_ZERO();
		for (; bytes - i >= B_WIDTH; i += B_WIDTH)
			FN(dot_u4_step) (acc, B_LOAD(a + i), rows + done, i, B_WIDTH);
		if (i < bytes)
			FN(dot_u4_step) (acc, B_PART(a + i, bytes - i), rows + done, i, bytes - i);
		VEC_UNROLL
		for (int j = 0; j < DOT_ROWS; j++)
			out[done + j] = I_TOTAL(acc[j]);
	}
	for (; done < n; done++)
		out[done] = FN(dot_u4) (a, rows[done], dim);
}

/* the same, four coordinates per byte */
VEC_TARGET static int32_t
FN(dot_u2) (const uint8_t *a, const uint8_t *b, int dim)
{
	SumLane		acc = I_ZERO();
	size_t		bytes = ((size_t) dim + 3) / 4;

	for (size_t i = 0; i < bytes; i += B_WIDTH)
	{
		bool		full = bytes - i >= B_WIDTH;
		BitLane		x = full ? B_LOAD(a + i) : B_PART(a + i, bytes - i);
		BitLane		y = full ? B_LOAD(b + i) : B_PART(b + i, bytes - i);

		acc = I_DOT_SMALL(acc, B_FIELD(x, 0, 3), B_FIELD(y, 0, 3));
		acc = I_DOT_SMALL(acc, B_FIELD(x, 2, 3), B_FIELD(y, 2, 3));
		acc = I_DOT_SMALL(acc, B_FIELD(x, 4, 3), B_FIELD(y, 4, 3));
		acc = I_DOT_SMALL(acc, B_FIELD(x, 6, 3), B_FIELD(y, 6, 3));
	}

	return I_TOTAL(acc);
}
