/*-------------------------------------------------------------------------
 *
 * kernels_lists_tmpl.h
 *	  Loops over lists of vectors, over abstract lanes; see kernels_tmpl.h.
 *
 * A *panel* holds VEC_PANEL vectors interleaved: number c of coordinate d lies
 * at d * VEC_PANEL + c.  So one coordinate of a row meets all of them in a few
 * lanes, sums need no horizontal step, and any dimension has no tail.
 *
 * A *block* holds the codes of VEC_BLOCK vectors.  One-bit codes: four
 * coordinates make a group; group g takes the 16 bytes from 16 * g on, of
 * which byte j holds the group of vector j in its low nibble and of vector
 * 16 + j in its high one ("fast-scan": Andre, Kermarrec, Le Scouarnec, VLDB
 * 2015).  Byte codes: one vector after the other.
 *
 * What the lanes add to those of kernels_codes_tmpl.h:
 *
 *	G_ROWS, G_PANELS		rows and panels that one tile of sums takes
 *	L_BITS_NGE(x, y)		a bit for each lane where not x >= y, so for NaN too
 *	I_DOT_SIGNED(acc, x, y)	add the products of unsigned with signed bytes
 *
 *-------------------------------------------------------------------------
 */

#define G_LANES			(VEC_PANEL / L_WIDTH)

/*
 * Compare n <= G_ROWS rows with np panels; np is a constant.  Rows short of
 * G_ROWS repeat the last.
 */
VEC_TARGET VEC_INLINE void
FN(nearest_tile) (const float *const *rows, int n, const float *panels, const float *bias,
				  int np, int dim, int32_t first, float *score, int32_t *index)
{
	const float *x[G_ROWS];
	Lane		acc[G_ROWS][G_PANELS * G_LANES];

	VEC_UNROLL
	for (int i = 0; i < G_ROWS; i++)
	{
		x[i] = rows[i < n ? i : n - 1];
		VEC_UNROLL
		for (int j = 0; j < np * G_LANES; j++)
			acc[i][j] = L_ZERO();
	}

	for (int d = 0; d < dim; d++)
	{
		Lane		c[G_PANELS * G_LANES];

		VEC_UNROLL
		for (int j = 0; j < np * G_LANES; j++)
			c[j] = L_LOAD_F32(panels + (size_t) (j / G_LANES) * (size_t) dim * VEC_PANEL +
							  (size_t) d * VEC_PANEL + (size_t) (j % G_LANES) * L_WIDTH);
		VEC_UNROLL
		for (int i = 0; i < G_ROWS; i++)
		{
			Lane		v = L_SET(x[i][d]);

			VEC_UNROLL
			for (int j = 0; j < np * G_LANES; j++)
				acc[i][j] = L_FMA(v, c[j], acc[i][j]);
		}
	}

	VEC_UNROLL
	for (int i = 0; i < G_ROWS; i++)
	{
		if (i >= n)
			break;
		VEC_UNROLL
		for (int j = 0; j < np * G_LANES; j++)
		{
			Lane		s = L_SUB(L_LOAD_F32(bias + j * L_WIDTH), acc[i][j]);
			float		value[L_WIDTH];

			if (L_BITS_NGE(s, L_SET(score[i])) == 0)
				continue;
			L_STORE_F32(value, s);
			for (int l = 0; l < L_WIDTH; l++)
			{
				if (value[l] < score[i])
				{
					score[i] = value[l];
					index[i] = first + j * L_WIDTH + l;
				}
			}
		}
	}
}

/*
 * For each row the vector with the least bias - <row, vector>, if that is less
 * than score[row]: then score and index (first + its number) are set.  Of
 * equal ones the first wins.
 */
VEC_TARGET static void
FN(nearest_rows) (const float *const *rows, int nrows, const float *panels, const float *bias,
				  int npanels, int dim, int32_t first, float *score, int32_t *index)
{
	size_t		size = (size_t) dim * VEC_PANEL;
	int			p = 0;

	for (; G_PANELS > 1 && p + G_PANELS <= npanels; p += G_PANELS)
	{
		for (int r = 0; r < nrows; r += G_ROWS)
			FN(nearest_tile) (rows + r, nrows - r < G_ROWS ? nrows - r : G_ROWS,
							  panels + (size_t) p * size, bias + p * VEC_PANEL, G_PANELS, dim,
							  first + p * VEC_PANEL, score + r, index + r);
	}
	for (; p < npanels; p++)
	{
		for (int r = 0; r < nrows; r += G_ROWS)
			FN(nearest_tile) (rows + r, nrows - r < G_ROWS ? nrows - r : G_ROWS,
							  panels + (size_t) p * size, bias + p * VEC_PANEL, 1, dim,
							  first + p * VEC_PANEL, score + r, index + r);
	}
}

#undef G_LANES

/* 16-bit sums of table entries of at most 256 groups, for 32 vectors */
#ifdef S_SHUFFLE

#define S_UNITS			((int) (B_WIDTH / 16))

VEC_TARGET VEC_INLINE void
FN(scan32) (const uint8_t *lut, const uint8_t *codes, int ngroups, uint16_t *sums)
{
	BitLane		whole0 = B_ZERO();
	BitLane		high0 = B_ZERO();
	BitLane		whole1 = B_ZERO();
	BitLane		high1 = B_ZERO();

	for (int i = 0; i < ngroups; i += S_UNITS)
	{
		BitLane		x = FN(load_units) (codes + i * 16, ngroups - i);
		BitLane		t = FN(load_units) (lut + i * 16, ngroups - i);
		BitLane		v = S_SHUFFLE(t, B_FIELD(x, 0, 15));
		BitLane		w = S_SHUFFLE(t, B_FIELD(x, 4, 15));

		whole0 = S_ADD(whole0, v);
		high0 = S_ADD(high0, S_HIGH(v));
		whole1 = S_ADD(whole1, w);
		high1 = S_ADD(high1, S_HIGH(w));
	}
	S_STORE(sums, whole0, high0);
	S_STORE(sums + 16, whole1, high1);
}

#undef S_UNITS
#else

static inline void
FN(scan32) (const uint8_t *lut, const uint8_t *codes, int ngroups, uint16_t *sums)
{
	memset(sums, 0, VEC_BLOCK * sizeof(*sums));
	for (int g = 0; g < ngroups; g++)
	{
		for (int j = 0; j < 16; j++)
		{
			uint8_t		x = codes[g * 16 + j];

			sums[j] = (uint16_t) (sums[j] + lut[g * 16 + (x & 15)]);
			sums[16 + j] = (uint16_t) (sums[16 + j] + lut[g * 16 + (x >> 4)]);
		}
	}
}
#endif

/* from sums to estimates, lower bounds, and the mask of those below the threshold */
VEC_TARGET VEC_INLINE uint32_t
FN(finish_block) (const VecListTable *table, const float *sums, const float *terms,
				  const VecListAt *at, float *estimate, float *lower)
{
	const float *offset = terms;
	const float *scale = terms + VEC_BLOCK;
	const float *error = terms + 2 * VEC_BLOCK;
	Lane		step = L_SET(table->step);
	Lane		bias = L_SET(table->bias);
	Lane		base = L_SET(at->base);
	Lane		minus_radius = L_SET(-at->radius);
	Lane		shift = L_SET(at->shift);
	Lane		threshold = L_SET(at->threshold);
	uint32_t	mask = 0;

	for (int i = 0; i < VEC_BLOCK; i += L_WIDTH)
	{
		Lane		dot = L_FMA(L_LOAD_F32(sums + i), step, bias);
		Lane		s = L_LOAD_F32(scale + i);
		Lane		e = L_FMA(s, dot, L_ADD(L_LOAD_F32(offset + i), base));
		Lane		b = L_FMA(L_LOAD_F32(error + i), minus_radius, L_FMA(s, shift, e));

		L_STORE_F32(estimate + i, e);
		L_STORE_F32(lower + i, b);
		mask |= (uint32_t) L_BITS_NGE(b, threshold) << i;
	}
	return mask;
}

/*
 * Estimates and lower bounds for a block of one-bit codes; terms are the
 * offsets, scales and errors of its vectors.  A bit of the result is set
 * where the lower bound is not at or above the threshold.
 */
VEC_TARGET static uint32_t
FN(scan_block) (const VecListTable *table, const uint8_t *codes, const float *terms,
				const VecListAt *at, float *estimate, float *lower)
{
	uint16_t	part[VEC_BLOCK];
	float		sums[VEC_BLOCK];
	int			ngroups = table->ngroups;

	FN(scan32) (table->lut, codes, ngroups < 256 ? ngroups : 256, part);
	for (int i = 0; i < VEC_BLOCK; i += L_WIDTH)
		L_STORE_F32(sums + i, L_LOAD_U16(part + i));

	/* integers below 2^24 add up without rounding */
	for (int g = 256; g < ngroups; g += 256)
	{
		FN(scan32) (table->lut + g * 16, codes + g * 16,
					ngroups - g < 256 ? ngroups - g : 256, part);
		for (int i = 0; i < VEC_BLOCK; i += L_WIDTH)
			L_STORE_F32(sums + i, L_ADD(L_LOAD_F32(sums + i), L_LOAD_U16(part + i)));
	}

	return FN(finish_block) (table, sums, terms, at, estimate, lower);
}

/* sum of a[i] * b[i], unsigned bytes with signed ones */
VEC_TARGET static int32_t
FN(dot_u8_s8) (const uint8_t *a, const int8_t *b, int dim)
{
	const uint8_t *signed_bytes = (const uint8_t *) b;
	SumLane		acc = I_ZERO();
	size_t		bytes = (size_t) dim;
	size_t		i = 0;

	for (; bytes - i >= B_WIDTH; i += B_WIDTH)
		acc = I_DOT_SIGNED(acc, B_LOAD(a + i), B_LOAD(signed_bytes + i));
	if (i < bytes)
		acc = I_DOT_SIGNED(acc, B_PART(a + i, bytes - i), B_PART(signed_bytes + i, bytes - i));

	return (int32_t) I_TOTAL(acc);
}

/* the same as scan_block for byte codes, "stride" bytes apart, n <= VEC_BLOCK of them */
VEC_TARGET static uint32_t
FN(scan_bytes) (const VecListTable *table, const uint8_t *codes, size_t stride, int n,
				const float *terms, const VecListAt *at, float *estimate, float *lower)
{
	float		sums[VEC_BLOCK] = {0};
	uint32_t	mask;

	for (int i = 0; i < n; i++)
		sums[i] = (float) FN(dot_u8_s8) (codes + (size_t) i * stride, table->levels, table->dim);

	mask = FN(finish_block) (table, sums, terms, at, estimate, lower);
	return n < VEC_BLOCK ? mask & FIRST_BITS(n) : mask;
}

/* which of VEC_BLOCK numbers are not at or above the threshold */
VEC_TARGET static uint32_t
FN(mask_block) (const float *lower, float threshold)
{
	uint32_t	mask = 0;

	for (int i = 0; i < VEC_BLOCK; i += L_WIDTH)
		mask |= (uint32_t) L_BITS_NGE(L_LOAD_F32(lower + i), L_SET(threshold)) << i;
	return mask;
}

/* the sums of sign_code_f32 while they are taken */
typedef struct FN(SignAcc)
{
	WideLane	rr;
	WideLane	yr;
	WideLane	yc;
	WideLane	rc;
	WideLane	cc;
} FN(SignAcc);

/* a lane of sign_code_f32; "with_mean" is a constant; returns a bit for each r > 0 */
VEC_TARGET VEC_INLINE uint32_t
FN(sign_step) (Lane x, Lane center, Lane mean, bool with_mean, FN(SignAcc) *acc)
{
	WideLane	r = W_SUB(W_WIDEN(x), W_WIDEN(center));
	uint32_t	bits = (uint32_t) L_BITS_NGE(center, x);

	acc->rr = W_FMA(r, r, acc->rr);
	acc->yr = W_ADD(acc->yr, W_ABS(r));
	acc->yc = W_ADD(acc->yc, W_WIDEN(L_FLIP(center, ~bits)));
	if (with_mean)
	{
		WideLane	c = W_ADD(W_WIDEN(center), W_WIDEN(mean));

		acc->yc = W_ADD(acc->yc, W_WIDEN(L_FLIP(mean, ~bits)));
		acc->rc = W_FMA(r, c, acc->rc);
		acc->cc = W_FMA(c, c, acc->cc);
	}
	return bits;
}

/* n bits of the coordinates from i on, i a multiple of L_WIDTH, into a code of zeros */
VEC_INLINE void
FN(put_bits) (uint8_t *code, int i, uint32_t bits, int n)
{
	if (L_WIDTH < 8)
		code[i / 8] = (uint8_t) (code[i / 8] | bits << i % 8);
	else
	{
		for (int b = 0; b < n; b += 8)
			code[(i + b) / 8] = (uint8_t) (bits >> b);
	}
}

VEC_TARGET VEC_INLINE void
FN(sign_code) (const float *x, const float *center, const float *mean, int dim, bool with_mean,
			   uint8_t *code, VecSignSums *sums)
{
	FN(SignAcc) acc = {W_ZERO(), W_ZERO(), W_ZERO(), W_ZERO(), W_ZERO()};
	int			i = 0;

	for (; i + L_WIDTH <= dim; i += L_WIDTH)
		FN(put_bits) (code, i, FN(sign_step) (L_LOAD_F32(x + i), L_LOAD_F32(center + i),
											  with_mean ? L_LOAD_F32(mean + i) : L_ZERO(),
											  with_mean, &acc), L_WIDTH);
	if (i < dim)
		FN(put_bits) (code, i, FN(sign_step) (L_PART_F32(x + i, dim - i),
											  L_PART_F32(center + i, dim - i),
											  with_mean ? L_PART_F32(mean + i, dim - i) : L_ZERO(),
											  with_mean, &acc), dim - i);
	sums->rr = W_SUM(acc.rr);
	sums->yr = W_SUM(acc.yr);
	sums->yc = W_SUM(acc.yc);
	sums->rc = W_SUM(acc.rc);
	sums->cc = W_SUM(acc.cc);
}

/*
 * The signs of r = x - center as bits of a code of (dim + 7) / 8 bytes, one for
 * r > 0, and sums with y = 1 or -1 by the sign; c is the center, plus the mean
 * if that is not NULL.
 */
VEC_TARGET static void
FN(sign_code_f32) (const float *x, const float *center, const float *mean, int dim,
				   uint8_t *code, VecSignSums *sums)
{
	memset(code, 0, ((size_t) dim + 7) / 8);
	if (mean != NULL)
		FN(sign_code) (x, center, mean, dim, true, code, sums);
	else
		FN(sign_code) (x, center, mean, dim, false, code, sums);
}
