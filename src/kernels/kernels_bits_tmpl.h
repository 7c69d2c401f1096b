/*-------------------------------------------------------------------------
 *
 * kernels_bits_tmpl.h
 *	  Loops over bit strings, over abstract lanes; see kernels_tmpl.h.
 *
 * A file of its own because AVX-512 has two ways to count (hence no guard).
 *
 *	B_COUNT(x)			population counts of the parts of a lane
 *	B_ADD(x, y)			add such counts; four of them must not overflow
 *	B_FLUSH(acc, x)		add the counts to an accumulator that never overflows
 *	B_TOTAL(acc)		sum of an accumulator
 *
 *-------------------------------------------------------------------------
 */

/* sum of the counts of four lanes */
#define B_COUNT4(w, x, y, z) \
	B_ADD(B_ADD(B_COUNT(w), B_COUNT(x)), B_ADD(B_COUNT(y), B_COUNT(z)))

/* number of bits that differ */
VEC_TARGET static uint64_t
FN(hamming_bits) (const uint8_t *a, const uint8_t *b, size_t bytes)
{
	BitLane		acc = B_ZERO();
	size_t		i = 0;

	for (; bytes - i >= 4 * B_WIDTH; i += 4 * B_WIDTH)
	{
		BitLane		x0 = B_XOR(B_LOAD(a + i), B_LOAD(b + i));
		BitLane		x1 = B_XOR(B_LOAD(a + i + B_WIDTH), B_LOAD(b + i + B_WIDTH));
		BitLane		x2 = B_XOR(B_LOAD(a + i + 2 * B_WIDTH), B_LOAD(b + i + 2 * B_WIDTH));
		BitLane		x3 = B_XOR(B_LOAD(a + i + 3 * B_WIDTH), B_LOAD(b + i + 3 * B_WIDTH));

		acc = B_FLUSH(acc, B_COUNT4(x0, x1, x2, x3));
	}
	for (; bytes - i >= B_WIDTH; i += B_WIDTH)
		acc = B_FLUSH(acc, B_COUNT(B_XOR(B_LOAD(a + i), B_LOAD(b + i))));
	if (i < bytes)
		acc = B_FLUSH(acc, B_COUNT(B_XOR(B_PART(a + i, bytes - i), B_PART(b + i, bytes - i))));

	return B_TOTAL(acc);
}

/* population counts of both strings and of their intersection */
VEC_TARGET static void
FN(jaccard_bits) (const uint8_t *a, const uint8_t *b, size_t bytes, VecBitSums *sums)
{
	BitLane		both = B_ZERO();
	BitLane		count_a = B_ZERO();
	BitLane		count_b = B_ZERO();
	BitLane		x;
	BitLane		y;
	size_t		i = 0;

	for (; bytes - i >= 4 * B_WIDTH; i += 4 * B_WIDTH)
	{
		BitLane		x0 = B_LOAD(a + i);
		BitLane		x1 = B_LOAD(a + i + B_WIDTH);
		BitLane		x2 = B_LOAD(a + i + 2 * B_WIDTH);
		BitLane		x3 = B_LOAD(a + i + 3 * B_WIDTH);
		BitLane		y0 = B_LOAD(b + i);
		BitLane		y1 = B_LOAD(b + i + B_WIDTH);
		BitLane		y2 = B_LOAD(b + i + 2 * B_WIDTH);
		BitLane		y3 = B_LOAD(b + i + 3 * B_WIDTH);

		count_a = B_FLUSH(count_a, B_COUNT4(x0, x1, x2, x3));
		count_b = B_FLUSH(count_b, B_COUNT4(y0, y1, y2, y3));
		both = B_FLUSH(both, B_COUNT4(B_AND(x0, y0), B_AND(x1, y1),
									  B_AND(x2, y2), B_AND(x3, y3)));
	}
	for (; i < bytes; i += B_WIDTH)
	{
		if (bytes - i >= B_WIDTH)
		{
			x = B_LOAD(a + i);
			y = B_LOAD(b + i);
		}
		else
		{
			x = B_PART(a + i, bytes - i);
			y = B_PART(b + i, bytes - i);
		}
		count_a = B_FLUSH(count_a, B_COUNT(x));
		count_b = B_FLUSH(count_b, B_COUNT(y));
		both = B_FLUSH(both, B_COUNT(B_AND(x, y)));
	}

	sums->both = B_TOTAL(both);
	sums->a = B_TOTAL(count_a);
	sums->b = B_TOTAL(count_b);
}

#undef B_COUNT4
