/*-------------------------------------------------------------------------
 *
 * codes_test.c
 *	  The kernels on codes, of every usable table, against plain loops.
 *
 * Integer results must be equal; float ones within the rounding of a sum of
 * "dim" terms.  Buffers end where the allocation ends, so that a sanitizer
 * sees a read past them.
 *
 *-------------------------------------------------------------------------
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "kernels/kernels_isa.h"

#define MAX_DIM		1600
#define UNIT		0x1p-24

static uint64_t random_state = 12345;
static int	ntests = 0;
static int	nfailed = 0;
static const VecKernels *table;

static uint32_t
random_bits(void)
{
	random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t) (random_state >> 33);
}

/* uniform in [-1, 1) */
static float
random_float(void)
{
	return (float) ((double) random_bits() / 0x1p30 - 1.0);
}

static void
report(bool passed, const char *property)
{
	ntests++;
	nfailed += !passed;
	printf("%s %d - %s: %s\n", passed ? "ok" : "not ok", ntests, table->name, property);
}

/* a buffer of exactly this size, filled at random */
static uint8_t *
random_bytes(size_t n)
{
	uint8_t    *p = malloc(n ? n : 1);

	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t) random_bits();
	return p;
}

static float *
random_floats(size_t n)
{
	float	   *p = malloc((n ? n : 1) * sizeof(float));

	for (size_t i = 0; i < n; i++)
		p[i] = random_float();
	return p;
}

/* level of coordinate i, as kernels_codes_tmpl.h lays codes out */
static int
level_of(const uint8_t *code, int bits, int dim, int i)
{
	int			per_byte = 8 / bits;
	int			part = (dim + per_byte - 1) / per_byte;

	return code[i % part] >> (i / part * bits) & ((1 << bits) - 1);
}

/* fields past dim are zero in a valid code */
static uint8_t *
random_code(int bits, int dim)
{
	int			per_byte = 8 / bits;
	int			part = (dim + per_byte - 1) / per_byte;
	uint8_t    *code = random_bytes((size_t) part);

	for (int i = dim; i < part * per_byte; i++)
		code[i % part] &= (uint8_t) ~(((1 << bits) - 1) << (i / part * bits));
	return code;
}

static bool
near_sum(float value, double expected, double magnitude)
{
	if (fabs(value - expected) <= 100 * UNIT * magnitude + 1e-30)
		return true;
	printf("# %g instead of %g\n", value, expected);
	return false;
}

/* products of a code with floats and with another code */
static bool
check_dot(int bits, int dim)
{
	uint8_t    *a = random_code(bits, dim);
	uint8_t    *b = random_code(bits, dim);
	float	   *q = random_floats((size_t) dim);
	double		dot = 0;
	double		magnitude = 0;
	int64_t		exact = 0;
	bool		ok;

	for (int i = 0; i < dim; i++)
	{
		dot += level_of(a, bits, dim, i) * (double) q[i];
		magnitude += level_of(a, bits, dim, i) * fabs(q[i]);
		exact += level_of(a, bits, dim, i) * level_of(b, bits, dim, i);
	}
	if (bits == 8)
		ok = near_sum(table->dot_u8_f32(a, q, dim), dot, magnitude) &&
			table->dot_u8(a, b, dim) == exact;
	else if (bits == 4)
		ok = near_sum(table->dot_u4_f32(a, q, dim), dot, magnitude) &&
			table->dot_u4(a, b, dim) == exact;
	else
		ok = near_sum(table->dot_u2_f32(a, q, dim), dot, magnitude) &&
			table->dot_u2(a, b, dim) == exact;
	free(a);
	free(b);
	free(q);
	return ok;
}

/* products of a code with several others: each as if it were alone */
static bool
check_rows(int dim)
{
	enum
	{
		ROWS = 11
	};
	uint8_t    *a = random_code(4, dim);
	const uint8_t *rows[ROWS];
	int32_t		out[ROWS + 1];
	bool		ok = true;

	for (int i = 0; i < ROWS; i++)
		rows[i] = random_code(4, dim);
	for (int n = 0; n <= ROWS; n++)
	{
		memset(out, 0x55, sizeof(out));
		table->dot_u4_rows(a, rows, n, dim, out);
		for (int i = 0; i < n; i++)
			ok = ok && out[i] == table->dot_u4(a, rows[i], dim);
		ok = ok && out[n] == 0x55555555;
	}
	for (int i = 0; i < ROWS; i++)
		free((void *) rows[i]);
	free(a);
	return ok;
}

static bool
check_l2sq(int dim)
{
	uint8_t    *a = random_code(8, dim);
	float	   *q = random_floats((size_t) dim);
	double		sum = 0;
	bool		ok;

	for (int i = 0; i < dim; i++)
	{
		double		d = q[i] - (-1 + (double) 0.0078125f * a[i]);

		sum += d * d;
	}
	ok = near_sum(table->l2sq_u8_f32(a, q, -1, 0.0078125f, dim), sum, sum + dim * 1e-4);
	free(a);
	free(q);
	return ok;
}

static bool
check_fit(int bits, int dim)
{
	float	   *x = random_floats((size_t) dim);
	double		half = 1 << (bits - 1);
	double		exact_xy = 0;
	double		exact_yy = 0;
	float		xy;
	float		yy;
	bool		ok;

	/* a power of two, so that no level is a matter of rounding */
	for (int i = 0; i < dim; i++)
	{
		double		level = floor(x[i] * 0.5 * half * 4 + half);
		double		y;

		level = level < 0 ? 0 : level > 2 * half - 1 ? 2 * half - 1 : level;
		y = level - half + 0.5;
		exact_xy += y * x[i];
		exact_yy += y * y;
	}
	table->fit_code_f32(x, dim, (float) (2 * half), bits, &xy, &yy);
	ok = near_sum(xy, exact_xy, exact_yy + dim) && near_sum(yy, exact_yy, exact_yy);
	free(x);
	return ok;
}

/* signs of a residual, ties and the last byte included; sums against long double */
static bool
check_sign_code(int dim, bool with_mean)
{
	float	   *x = random_floats((size_t) dim);
	float	   *center = random_floats((size_t) dim);
	float	   *mean = random_floats((size_t) dim);
	size_t		size = ((size_t) dim + 7) / 8;
	uint8_t    *code = malloc(size + 1);
	VecSignSums sums;
	long double exact[5] = {0};
	long double terms[5] = {0};
	double		got[5];
	bool		ok = true;

	memset(code, 0xa5, size + 1);
	x[dim / 2] = center[dim / 2];
	table->sign_code_f32(x, center, with_mean ? mean : NULL, dim, code, &sums);
	for (int i = 0; i < dim; i++)
	{
		long double r = (long double) x[i] - center[i];
		long double y = r > 0 ? 1 : -1;
		long double c = center[i] + (with_mean ? (long double) mean[i] : 0);
		long double term[5] = {r * r, y * r, y * c, r * c, c * c};

		for (int k = 0; k < 5; k++)
		{
			exact[k] += term[k];
			terms[k] += fabsl(term[k]) + (k == 2 ? fabsl((long double) mean[i]) * 2 : 0);
		}
		ok = ok && (code[i / 8] >> i % 8 & 1) == (r > 0);
	}
	for (size_t i = (size_t) dim; i < size * 8; i++)
		ok = ok && (code[i / 8] >> i % 8 & 1) == 0;
	ok = ok && code[size] == 0xa5;
	memcpy(got, &sums, sizeof(got));
	for (int k = 0; k < (with_mean ? 5 : 3); k++)
		ok = ok && fabsl(got[k] - exact[k]) <= (dim + 4) * 0x1p-52L * terms[k];
	free(x);
	free(center);
	free(mean);
	free(code);
	return ok;
}

/* signs, Hadamard (applied twice it is the identity times n), row sums */
static bool
check_maps(int dim)
{
	float	   *x = random_floats((size_t) dim);
	float	   *y = malloc((size_t) dim * sizeof(float));
	uint8_t    *bits = random_bytes((size_t) (dim + 15) / 16 * 2);
	float	   *rows = random_floats((size_t) dim * 7);
	float		coef[7] = {1, -2, 0.5f, 3, -1, 0.25f, 2};
	bool		ok = true;
	int			n = 1;

	memcpy(y, x, (size_t) dim * sizeof(float));
	table->flip_signs(y, bits, dim);
	for (int i = 0; i < dim; i++)
		ok = ok && y[i] == ((bits[i / 8] >> (i % 8) & 1) ? -x[i] : x[i]);

	while (n * 2 <= dim)
		n *= 2;
	memcpy(y, x, (size_t) dim * sizeof(float));
	table->hadamard_f32(y, n, 1);
	for (int k = 0; k < n; k += n > 8 ? n / 8 + 1 : 1)
	{
		double		sum = 0;

		for (int i = 0; i < n; i++)
			sum += __builtin_parity((unsigned) (i & k)) ? -x[i] : x[i];
		ok = ok && near_sum(y[k], sum, n);
	}
	table->hadamard_f32(y, n, 1.0f / (float) n);
	for (int i = 0; i < n; i++)
		ok = ok && near_sum(y[i], x[i], 4);

	memcpy(y, x, (size_t) dim * sizeof(float));
	table->add_rows_f32(y, rows, (size_t) dim, coef, 7, dim);
	for (int i = 0; i < dim; i++)
	{
		double		sum = x[i];

		for (int r = 0; r < 7; r++)
			sum += (double) coef[r] * rows[(size_t) r * (size_t) dim + (size_t) i];
		ok = ok && near_sum(y[i], sum, 10);
	}
	free(x);
	free(y);
	free(bits);
	free(rows);
	return ok;
}

/* group g of link j, by the layout scan_links documents */
static int
group_of(const uint8_t *codes, int nlinks, int ngroups, int j, int g)
{
	const uint8_t *block = codes + (size_t) (j / 16) * (size_t) ngroups * 8;

	if (j < nlinks / 16 * 16)
	{
		int			part = ngroups / 2;

		return block[g % part * 16 + j % 16] >> (g / part * 4) & 15;
	}
	else
	{
		int			part = ngroups / 4;
		int			column = j % 8 + (g / part % 2) * 8;

		return block[g % part * 16 + column] >> (g / part / 2 * 4) & 15;
	}
}

static bool
check_scan(int nlinks, int ngroups)
{
	uint8_t    *lut = random_bytes((size_t) ngroups * 16);
	uint8_t    *codes = random_bytes((size_t) nlinks * (size_t) ngroups / 2);
	vec_half   *offset = malloc((size_t) nlinks * sizeof(vec_half));
	vec_half   *scale = malloc((size_t) nlinks * sizeof(vec_half));
	float	   *offset32 = random_floats((size_t) nlinks);
	float	   *scale32 = random_floats((size_t) nlinks);
	float	   *out = malloc((size_t) nlinks * sizeof(float));
	VecScanTable query = {lut, ngroups, 0.01f, -3};
	bool		ok = true;

	vec_kernels_scalar.float_to_half(offset32, offset, nlinks);
	vec_kernels_scalar.float_to_half(scale32, scale, nlinks);
	vec_kernels_scalar.half_to_float(offset, offset32, nlinks);
	vec_kernels_scalar.half_to_float(scale, scale32, nlinks);
	table->scan_links(&query, codes, offset, scale, nlinks, 5, out);
	for (int j = 0; j < nlinks; j++)
	{
		int			sum = 0;
		double		dot;

		for (int g = 0; g < ngroups; g++)
			sum += lut[g * 16 + group_of(codes, nlinks, ngroups, j, g)];
		dot = sum * (double) query.step + query.bias;
		ok = ok && near_sum(out[j], 5 + offset32[j] + scale32[j] * dot, 10 + sum * 0.01);
	}
	free(lut);
	free(codes);
	free(offset);
	free(scale);
	free(offset32);
	free(scale32);
	free(out);
	return ok;
}

/* rows against panels: the nearest, the first of equals, none if all are farther */
static bool
check_nearest(int nrows, int npanels, int dim)
{
	int			n = npanels * VEC_PANEL;
	float	   *x = random_floats((size_t) nrows * (size_t) dim);
	float	   *panels = random_floats((size_t) n * (size_t) dim);
	float	   *bias = random_floats((size_t) n);
	float	   *score = random_floats((size_t) nrows);
	int32_t    *index = malloc((size_t) nrows * sizeof(int32_t));
	const float **row = malloc((size_t) nrows * sizeof(*row));
	bool		ok = true;

	/* some places are empty; the last two are the same */
	bias[n / 2] = INFINITY;
	bias[n - 1] = bias[n - 2];
	for (int d = 0; d < dim; d++)
	{
		float	   *last = panels + ((size_t) (npanels - 1) * (size_t) dim + (size_t) d) * VEC_PANEL;

		last[VEC_PANEL - 1] = last[VEC_PANEL - 2];
	}
	for (int r = 0; r < nrows; r++)
	{
		row[r] = x + (size_t) r * (size_t) dim;
		score[r] = r % 7 == 3 ? -1e9f : INFINITY;
		index[r] = -5;
	}

	table->nearest_rows(row, nrows, panels, bias, npanels, dim, 100, score, index);
	for (int r = 0; r < nrows && ok; r++)
	{
		double		least = INFINITY;
		double		found = INFINITY;

		if (r % 7 == 3)
		{
			ok = score[r] == -1e9f && index[r] == -5;
			continue;
		}
		for (int c = 0; c < n; c++)
		{
			double		s = bias[c];

			for (int d = 0; d < dim; d++)
				s -= (double) row[r][d] *
					panels[((size_t) (c / VEC_PANEL) * (size_t) dim + (size_t) d) * VEC_PANEL +
						   (size_t) (c % VEC_PANEL)];
			least = s < least ? s : least;
			if (c == index[r] - 100)
				found = s;
		}
		ok = index[r] >= 100 && index[r] != 100 + n - 1 && near_sum(score[r], found, dim + 1) &&
			near_sum((float) found, least, dim + 1);
	}
	free(x);
	free(panels);
	free(bias);
	free(score);
	free(index);
	free(row);
	return ok;
}

/* the terms of a block, some of them as in empty places */
static float *
random_terms(void)
{
	float	   *terms = random_floats(3 * VEC_BLOCK);

	terms[5] = INFINITY;
	terms[VEC_BLOCK + 5] = 0;
	terms[2 * VEC_BLOCK + 5] = 0;
	return terms;
}

/* estimates, bounds and mask, from the sums a plain loop makes */
static bool
finished(const VecListTable *list, const VecListAt *at, const float *terms, const int64_t *sums,
		 int n, const float *estimate, const float *lower, uint32_t mask)
{
	uint32_t	expected = 0;
	bool		ok = true;

	for (int j = 0; j < n; j++)
	{
		double		dot = (double) sums[j] * list->step + list->bias;
		double		e = at->base + (double) terms[j] + terms[VEC_BLOCK + j] * dot;
		double		b = e + (double) terms[VEC_BLOCK + j] * at->shift -
			(double) terms[2 * VEC_BLOCK + j] * at->radius;
		double		size = 10 + fabs((double) sums[j] * list->step) + fabs(list->bias);

		if (!(lower[j] >= at->threshold))
			expected |= UINT32_C(1) << j;
		if (j == 5)
			ok = ok && estimate[j] == INFINITY && lower[j] == INFINITY && !(mask >> j & 1);
		else
			ok = ok && near_sum(estimate[j], e, size) && near_sum(lower[j], b, size);
	}
	return ok && mask == expected;
}

static bool
check_block(int ngroups)
{
	uint8_t    *lut = random_bytes((size_t) ngroups * 16);
	uint8_t    *codes = random_bytes((size_t) ngroups * 16);
	float	   *terms = random_terms();
	VecListTable list = {lut, NULL, ngroups, ngroups * 4, 0.01f, -3};
	VecListAt	at = {2, 0.5f, 0.25f, 1.5f};
	float		estimate[VEC_BLOCK];
	float		lower[VEC_BLOCK];
	int64_t		sums[VEC_BLOCK] = {0};
	uint32_t	mask;
	bool		ok;

	for (int g = 0; g < ngroups; g++)
	{
		for (int j = 0; j < VEC_BLOCK; j++)
			sums[j] += lut[g * 16 + (codes[g * 16 + j % 16] >> j / 16 * 4 & 15)];
	}
	mask = table->scan_block(&list, codes, terms, &at, estimate, lower);
	ok = finished(&list, &at, terms, sums, VEC_BLOCK, estimate, lower, mask);

	/* numbers that are none pass every threshold */
	lower[3] = NAN;
	ok = ok && (table->mask_block(lower, -INFINITY) == UINT32_C(1) << 3);
	at.threshold = 0.5f;
	mask = 0;
	for (int j = 0; j < VEC_BLOCK; j++)
		mask |= (uint32_t) !(lower[j] >= 0.5f) << j;
	ok = ok && table->mask_block(lower, 0.5f) == mask;
	free(lut);
	free(codes);
	free(terms);
	return ok;
}

static bool
check_bytes(int dim, int n)
{
	size_t		stride = (size_t) (dim + 3) / 4 * 4;
	int8_t	   *query = (int8_t *) random_bytes((size_t) dim);
	uint8_t    *codes = random_bytes((size_t) n * stride);
	float	   *terms = random_terms();
	VecListTable list = {NULL, query, 0, dim, 0.0001f, -3};
	VecListAt	at = {2, 0.5f, 0.25f, 1.5f};
	float		estimate[VEC_BLOCK];
	float		lower[VEC_BLOCK];
	int64_t		sums[VEC_BLOCK] = {0};
	uint32_t	mask;
	bool		ok = true;

	/* the extremes, which 16-bit sums would not hold */
	if (n > 1)
	{
		memset(codes, 255, (size_t) dim);
		memset(query, -127, (size_t) dim / 2);
	}
	for (int j = 0; j < n; j++)
	{
		for (int d = 0; d < dim; d++)
			sums[j] += codes[(size_t) j * stride + (size_t) d] * query[d];
		ok = ok && table->dot_u8_s8(codes + (size_t) j * stride, query, dim) == sums[j];
	}
	mask = table->scan_bytes(&list, codes, stride, n, terms, &at, estimate, lower);
	ok = ok && finished(&list, &at, terms, sums, n, estimate, lower, mask);
	free(query);
	free(codes);
	free(terms);
	return ok;
}

static void
test_table(void)
{
	static const char *const dot_name[] = {"2-bit products", "4-bit products", "8-bit products"};
	bool		ok;

	for (int b = 0; b < 3; b++)
	{
		ok = true;
		for (int dim = 1; dim <= MAX_DIM && ok; dim += dim < 300 ? 1 : 97)
			ok = check_dot(2 << b, dim);
		report(ok && check_dot(2 << b, 16000), dot_name[b]);
	}
	ok = true;
	for (int dim = 1; dim <= 300 && ok; dim++)
		ok = check_rows(dim);
	report(ok && check_rows(16000), "dot_u4_rows is dot_u4 of each row");

	ok = true;
	for (int dim = 1; dim <= MAX_DIM && ok; dim += dim < 300 ? 1 : 97)
		ok = check_l2sq(dim);
	report(ok, "distance to an 8-bit code");

	ok = true;
	for (int dim = 1; dim <= 300 && ok; dim++)
		ok = check_fit(2, dim) && check_fit(4, dim) && check_fit(8, dim);
	report(ok, "fit of a code");

	ok = true;
	for (int dim = 1; dim <= MAX_DIM && ok; dim += dim < 200 ? 1 : 97)
		ok = check_maps(dim);
	report(ok, "signs, Hadamard, sum of rows");

	ok = true;
	for (int dim = 1; dim <= MAX_DIM && ok; dim += dim < 200 ? 1 : 97)
		ok = check_sign_code(dim, false) && check_sign_code(dim, true);
	report(ok, "signs of a residual and their sums");

	ok = true;
	for (int nlinks = 8; nlinks <= VEC_SCAN_MAX_LINKS && ok; nlinks += 8)
	{
		for (int ngroups = 4; ngroups <= 256 && ok; ngroups += ngroups < 100 ? 4 : 52)
			ok = check_scan(nlinks, ngroups);
	}
	report(ok, "estimates of links");

	ok = true;
	for (int dim = 1; dim <= 70 && ok; dim += dim < 20 ? 1 : 7)
	{
		for (int nrows = 1; nrows <= 17 && ok; nrows += nrows < 9 ? 1 : 8)
			ok = check_nearest(nrows, 1 + dim % 5, dim);
	}
	report(ok && check_nearest(64, 3, 16000), "nearest of panels");

	ok = true;
	for (int ngroups = 1; ngroups <= 4000 && ok; ngroups += ngroups < 270 ? 1 : 97)
		ok = check_block(ngroups);
	report(ok && check_block(4000), "blocks of one-bit codes");

	ok = true;
	for (int dim = 1; dim <= MAX_DIM && ok; dim += dim < 140 ? 1 : 97)
		ok = check_bytes(dim, 1 + dim % VEC_BLOCK);
	report(ok && check_bytes(16000, VEC_BLOCK), "blocks of byte codes");
}

int
main(void)
{
	vec_kernels_init();
	for (int i = 0; (table = vec_kernels_usable(i)) != NULL; i++)
		test_table();
	printf("1..%d\n", ntests);
	return nfailed > 0;
}
