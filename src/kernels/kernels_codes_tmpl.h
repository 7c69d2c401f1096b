/*-------------------------------------------------------------------------
 *
 * kernels_codes_tmpl.h
 *	  Loops over compact codes, over abstract lanes; see kernels_tmpl.h.
 *
 * A code holds one small unsigned number per coordinate.  With fewer than
 * eight bits the coordinates of one byte lie far apart, not side by side:
 * with part = ceil(dim / 2), byte j of a 4-bit code holds coordinate j in
 * its low and part + j in its high nibble; with part = ceil(dim / 4), byte j
 * of a 2-bit code holds j, part + j, 2 * part + j, 3 * part + j from the low
 * bits up.  Fields past dim are zero.  So a lane of bytes widens into lanes
 * of neighbouring coordinates without a shuffle.
 *
 * What the lanes add to those of kernels_tmpl.h:
 *
 *	L_SET(f) L_MIN L_MAX		f in all lanes; the smaller, the larger
 *	L_TRUNC(x)					towards zero
 *	L_LOAD_U16(p) L_PART_U16(p, n)	16-bit counts, widened to float
 *	L_FLIP(x, bits)				change sign where the lane's bit is set
 *	L_HADAMARD(x)				Hadamard transform inside the lane, unscaled
 *	WordLane					L_WIDTH unsigned numbers
 *	L_LOAD_BYTES(p) L_PART_BYTES(p, n)
 *	L_FIELD(w, shift, mask)		(w >> shift) & mask, as a Lane
 *	B_FIELD(x, shift, mask)		the same in each byte, as a BitLane
 *	S_SHUFFLE(table, x)			look up 16 bytes in each table of 16; not
 *								defined where bytes do not come by sixteens
 *	S_PAIR(x, y)				of 16 bytes the first 8 of x, the last 8 of y
 *	S_ADD(x, y) S_HIGH(x)		16-bit sums; shift right by 8
 *	S_STORE(out, whole, high)	16 sums, of the groups of 16 bytes together
 *
 *-------------------------------------------------------------------------
 */

/* n floats, 0 < n <= L_WIDTH */
VEC_TARGET VEC_INLINE Lane
FN(load_upto) (const float *p, int n)
{
	return n >= L_WIDTH ? L_LOAD_F32(p) : L_PART_F32(p, n);
}

/* sums of field * query over dim bytes; shift and mask are constants */
VEC_TARGET VEC_INLINE Lane
FN(dot_field) (const uint8_t *code, int shift, int mask, const float *query, int dim)
{
	Lane		acc0 = L_ZERO();
	Lane		acc1 = L_ZERO();
	int			i = 0;

	for (; i + 2 * L_WIDTH <= dim; i += 2 * L_WIDTH)
	{
		WordLane	w0 = L_LOAD_BYTES(code + i);
		WordLane	w1 = L_LOAD_BYTES(code + i + L_WIDTH);

		acc0 = L_FMA(L_FIELD(w0, shift, mask), L_LOAD_F32(query + i), acc0);
		acc1 = L_FMA(L_FIELD(w1, shift, mask), L_LOAD_F32(query + i + L_WIDTH), acc1);
	}
	for (; i < dim; i += L_WIDTH)
	{
		int			n = dim - i;
		WordLane	w = n >= L_WIDTH ? L_LOAD_BYTES(code + i) : L_PART_BYTES(code + i, n);

		acc0 = L_FMA(L_FIELD(w, shift, mask), FN(load_upto) (query + i, n), acc0);
	}

	return L_ADD(acc0, acc1);
}

/* sum of code[i] * query[i], one coordinate per byte */
VEC_TARGET static float
FN(dot_u8_f32) (const uint8_t *code, const float *query, int dim)
{
	return L_SUM(FN(dot_field) (code, 0, 255, query, dim));
}

/* the same, two coordinates per byte */
VEC_TARGET static float
FN(dot_u4_f32) (const uint8_t *code, const float *query, int dim)
{
	int			part = (dim + 1) / 2;

	return L_SUM(L_ADD(FN(dot_field) (code, 0, 15, query, part),
					   FN(dot_field) (code, 4, 15, query + part, dim - part)));
}

/* the same, four coordinates per byte; the last parts may be short or empty */
VEC_TARGET static float
FN(dot_u2_f32) (const uint8_t *code, const float *query, int dim)
{
	int			part = (dim + 3) / 4;
	int			n1 = dim > part ? (dim - part < part ? dim - part : part) : 0;
	int			n2 = dim > 2 * part ? (dim - 2 * part < part ? dim - 2 * part : part) : 0;
	int			n3 = dim > 3 * part ? dim - 3 * part : 0;
	Lane		acc = FN(dot_field) (code, 0, 3, query, part);

	acc = L_ADD(acc, FN(dot_field) (code, 2, 3, query + (n1 ? part : 0), n1));
	acc = L_ADD(acc, FN(dot_field) (code, 4, 3, query + (n2 ? 2 * part : 0), n2));
	acc = L_ADD(acc, FN(dot_field) (code, 6, 3, query + (n3 ? 3 * part : 0), n3));
	return L_SUM(acc);
}

/* sum of (query[i] - (offset + step * code[i]))^2 */
VEC_TARGET static float
FN(l2sq_u8_f32) (const uint8_t *code, const float *query, float offset, float step, int dim)
{
	Lane		acc = L_ZERO();
	double		total = 0;

	for (int i = 0; i < dim; i += L_WIDTH)
	{
		int			n = dim - i;
		Lane		diff;

		if (n >= L_WIDTH)
		{
			Lane		x = L_FMA(L_FIELD(L_LOAD_BYTES(code + i), 0, 255),
								  L_SET(step), L_SET(offset));

			diff = L_SUB(L_LOAD_F32(query + i), x);
			acc = L_FMA(diff, diff, acc);
		}
		else
		{
			/* lanes past the end would add offset^2 */
			for (int j = i; j < dim; j++)
			{
				float		d = query[j] - (offset + step * (float) code[j]);

				total += (double) d * d;
			}
		}

		if (i / L_WIDTH % 64 == 63)
		{
			total += L_SUM(acc);
			acc = L_ZERO();
		}
	}

	return (float) (total + L_SUM(acc));
}

/* change the sign of x[i] where bit i is set; bits end at a multiple of 2 bytes */
VEC_TARGET static void
FN(flip_signs) (float *x, const uint8_t *bits, int dim)
{
	for (int i = 0; i < dim; i += L_WIDTH)
	{
		uint32_t	lane_bits = bits[i / 8];

		if (L_WIDTH > 8)
			lane_bits |= (uint32_t) bits[i / 8 + 1] << 8;
		lane_bits >>= i % 8;

		if (dim - i >= L_WIDTH)
			L_STORE_F32(x + i, L_FLIP(L_LOAD_F32(x + i), lane_bits));
		else
			L_STORE_PART_F32(x + i, L_FLIP(L_PART_F32(x + i, dim - i), lane_bits), dim - i);
	}
}

/* Hadamard transform in place of n numbers, a power of two, times scale */
VEC_TARGET static void
FN(hadamard_f32) (float *x, int n, float scale)
{
	int			h = 1;

	if (n >= L_WIDTH)
	{
		for (int i = 0; i < n; i += L_WIDTH)
		{
			Lane		y = L_HADAMARD(L_LOAD_F32(x + i));

			L_STORE_F32(x + i, L_FMA(y, L_SET(scale), L_ZERO()));
		}
		h = L_WIDTH;
	}
	else
	{
		for (int i = 0; i < n; i++)
			x[i] *= scale;
	}

	for (; h < n; h *= 2)
	{
		for (int i = 0; i < n; i += 2 * h)
		{
			float	   *a = x + i;
			float	   *b = x + i + h;

			if (h >= L_WIDTH)
			{
				for (int j = 0; j < h; j += L_WIDTH)
				{
					Lane		s = L_LOAD_F32(a + j);
					Lane		t = L_LOAD_F32(b + j);

					L_STORE_F32(a + j, L_ADD(s, t));
					L_STORE_F32(b + j, L_SUB(s, t));
				}
			}
			else
			{
				for (int j = 0; j < h; j++)
				{
					float		s = a[j];
					float		t = b[j];

					a[j] = s + t;
					b[j] = s - t;
				}
			}
		}
	}
}

/* y += sum of coef[r] * row r; four rows to one pass over y */
VEC_TARGET static void
FN(add_rows_f32) (float *y, const float *rows, size_t stride, const float *coef, int nrows, int dim)
{
	int			r = 0;

	for (; r + 4 <= nrows; r += 4)
	{
		const float *x = rows + (size_t) r * stride;
		int			i = 0;

		for (; i + L_WIDTH <= dim; i += L_WIDTH)
		{
			Lane		acc = L_LOAD_F32(y + i);

			acc = L_FMA(L_SET(coef[r]), L_LOAD_F32(x + i), acc);
			acc = L_FMA(L_SET(coef[r + 1]), L_LOAD_F32(x + stride + i), acc);
			acc = L_FMA(L_SET(coef[r + 2]), L_LOAD_F32(x + 2 * stride + i), acc);
			acc = L_FMA(L_SET(coef[r + 3]), L_LOAD_F32(x + 3 * stride + i), acc);
			L_STORE_F32(y + i, acc);
		}
		for (; i < dim; i++)
			y[i] += coef[r] * x[i] + coef[r + 1] * x[stride + i] +
				coef[r + 2] * x[2 * stride + i] + coef[r + 3] * x[3 * stride + i];
	}
	for (; r < nrows; r++)
	{
		const float *x = rows + (size_t) r * stride;
		int			i = 0;

		for (; i + L_WIDTH <= dim; i += L_WIDTH)
			L_STORE_F32(y + i, L_FMA(L_SET(coef[r]), L_LOAD_F32(x + i), L_LOAD_F32(y + i)));
		for (; i < dim; i++)
			y[i] += coef[r] * x[i];
	}
}

/*
 * How well x quantised to "bits" with this step resembles x: with y the
 * centred levels, sum of y * x and sum of y * y.
 */
VEC_TARGET static void
FN(fit_code_f32) (const float *x, int dim, float inverse_step, int bits, float *xy, float *yy)
{
	float		half = (float) (1 << (bits - 1));
	float		top = 2 * half - 1;
	Lane		acc_xy = L_ZERO();
	Lane		acc_yy = L_ZERO();
	float		rest_xy = 0;
	float		rest_yy = 0;
	int			i = 0;

	for (; i + L_WIDTH <= dim; i += L_WIDTH)
	{
		Lane		v = L_LOAD_F32(x + i);
		Lane		y = L_FMA(v, L_SET(inverse_step), L_SET(half));

		y = L_TRUNC(L_MIN(L_MAX(y, L_ZERO()), L_SET(top)));
		y = L_SUB(y, L_SET(half - 0.5f));
		acc_xy = L_FMA(y, v, acc_xy);
		acc_yy = L_FMA(y, y, acc_yy);
	}
	for (; i < dim; i++)
	{
		float		y = x[i] * inverse_step + half;

		y = y > 0 ? (y < top ? y : top) : 0;
		y = (float) (int) y - (half - 0.5f);
		rest_xy += y * x[i];
		rest_yy += y * y;
	}

	*xy = L_SUM(acc_xy) + rest_xy;
	*yy = L_SUM(acc_yy) + rest_yy;
}

/* 16-bit sums of table entries, for 16 links and then, if asked for, for 8 */
#ifdef S_SHUFFLE

#define S_UNITS			((int) (B_WIDTH / 16))

/* "n" units of 16 bytes, 0 < n <= S_UNITS */
VEC_TARGET VEC_INLINE BitLane
FN(load_units) (const uint8_t *p, int n)
{
	return n >= S_UNITS ? B_LOAD(p) : B_PART(p, (size_t) n * 16);
}

VEC_TARGET VEC_INLINE void
FN(scan16) (const uint8_t *lut, const uint8_t *codes, int ngroups, uint16_t *sums)
{
	BitLane		whole = B_ZERO();
	BitLane		high = B_ZERO();
	int			units = ngroups / 2;

	for (int i = 0; i < units; i += S_UNITS)
	{
		BitLane		x = FN(load_units) (codes + i * 16, units - i);
		BitLane		low_table = FN(load_units) (lut + i * 16, units - i);
		BitLane		high_table = FN(load_units) (lut + (units + i) * 16, units - i);
		BitLane		v = S_SHUFFLE(low_table, B_FIELD(x, 0, 15));
		BitLane		w = S_SHUFFLE(high_table, B_FIELD(x, 4, 15));

		whole = S_ADD(whole, S_ADD(v, w));
		high = S_ADD(high, S_ADD(S_HIGH(v), S_HIGH(w)));
	}
	S_STORE(sums, whole, high);
}

VEC_TARGET VEC_INLINE void
FN(scan8) (const uint8_t *lut, const uint8_t *codes, int ngroups, uint16_t *sums)
{
	BitLane		whole = B_ZERO();
	BitLane		high = B_ZERO();
	uint16_t	both[16];
	int			units = ngroups / 4;

	for (int i = 0; i < units; i += S_UNITS)
	{
		int			n = units - i;
		BitLane		x = FN(load_units) (codes + i * 16, n);
		BitLane		low = B_FIELD(x, 0, 15);
		BitLane		up = B_FIELD(x, 4, 15);
		BitLane		v = S_PAIR(S_SHUFFLE(FN(load_units) (lut + i * 16, n), low),
							   S_SHUFFLE(FN(load_units) (lut + (units + i) * 16, n), low));
		BitLane		w = S_PAIR(S_SHUFFLE(FN(load_units) (lut + (2 * units + i) * 16, n), up),
							   S_SHUFFLE(FN(load_units) (lut + (3 * units + i) * 16, n), up));

		whole = S_ADD(whole, S_ADD(v, w));
		high = S_ADD(high, S_ADD(S_HIGH(v), S_HIGH(w)));
	}
	S_STORE(both, whole, high);
	for (int i = 0; i < 8; i++)
		sums[i] = (uint16_t) (both[i] + both[i + 8]);
}

#undef S_UNITS
#else

static inline void
FN(scan16) (const uint8_t *lut, const uint8_t *codes, int ngroups, uint16_t *sums)
{
	int			units = ngroups / 2;

	memset(sums, 0, 16 * sizeof(*sums));
	for (int i = 0; i < units; i++)
	{
		for (int j = 0; j < 16; j++)
		{
			uint8_t		x = codes[i * 16 + j];

			sums[j] = (uint16_t) (sums[j] + lut[i * 16 + (x & 15)] +
								  lut[(units + i) * 16 + (x >> 4)]);
		}
	}
}

static inline void
FN(scan8) (const uint8_t *lut, const uint8_t *codes, int ngroups, uint16_t *sums)
{
	int			units = ngroups / 4;

	memset(sums, 0, 8 * sizeof(*sums));
	for (int i = 0; i < units; i++)
	{
		for (int j = 0; j < 16; j++)
		{
			uint8_t		x = codes[i * 16 + j];
			int			unit = j < 8 ? i : units + i;

			sums[j % 8] = (uint16_t) (sums[j % 8] + lut[unit * 16 + (x & 15)] +
									  lut[(2 * units + unit) * 16 + (x >> 4)]);
		}
	}
}
#endif

/*
 * Estimates for all links of a node.  Per 16 links: ngroups / 2 units of 16
 * bytes; byte j of unit i holds link j's groups i (low nibble) and
 * ngroups / 2 + i.  For 8 last links: ngroups / 4 units; with
 * part = ngroups / 4, byte j < 8 of unit i holds groups i and 2 * part + i
 * of link j, byte 8 + j its groups part + i and 3 * part + i.
 */
VEC_TARGET static void
FN(scan_links) (const VecScanTable *table, const uint8_t *codes, const vec_half *offset,
				const vec_half *scale, int nlinks, float base, float *estimate)
{
	uint16_t	sums[VEC_SCAN_MAX_LINKS];
	Lane		step = L_SET(table->step);
	Lane		bias = L_SET(table->bias);
	int			i = 0;

	for (; i + 16 <= nlinks; i += 16)
	{
		FN(scan16) (table->lut, codes, table->ngroups, sums + i);
		codes += (size_t) table->ngroups * 8;
	}
	if (i < nlinks)
		FN(scan8) (table->lut, codes, table->ngroups, sums + i);

	for (i = 0; i < nlinks; i += L_WIDTH)
	{
		int			n = nlinks - i;

		if (n >= L_WIDTH)
		{
			Lane		dot = L_FMA(L_LOAD_U16(sums + i), step, bias);
			Lane		start = L_ADD(L_LOAD_F16(offset + i), L_SET(base));

			L_STORE_F32(estimate + i, L_FMA(L_LOAD_F16(scale + i), dot, start));
		}
		else
		{
			Lane		dot = L_FMA(L_PART_U16(sums + i, n), step, bias);
			Lane		start = L_ADD(L_PART_F16(offset + i, n), L_SET(base));

			L_STORE_PART_F32(estimate + i, L_FMA(L_PART_F16(scale + i, n), dot, start), n);
		}
	}
}
