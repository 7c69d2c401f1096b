/*-------------------------------------------------------------------------
 *
 * kernels_test.c
 *	  Every kernel of every usable table against a double reference.
 *
 * No server: see run.sh.  Prints one TAP line per table and property; a
 * failure is preceded by the first case that failed.  Data come from a fixed
 * seed, the same for every run.
 *
 * All buffers lie against an inaccessible page, so a read or write one byte
 * outside ends the test with the name of the kernel at work.
 *
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE

#include <float.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernels/distance.h"
#include "kernels/kernels_isa.h"

#define SEED			UINT64_C(20240607)
#define MAX_DIM			16000
#define DENSE_DIMS		2100	/* every dimension up to here */
#define MAX_ROWS		9

/* half a unit in the last place of 1.0f, and the contract of README.md */
#define UNIT			0x1p-24
#define SUM_ERROR		(80 * UNIT)
#define LOST_TERM		0x1p-149

/*--- reporting ---------------------------------------------------------*/

static int	ntests = 0;
static int	nfailed = 0;
static const char *table_name;	/* table under test */
static const char *at_work = "set-up";	/* kernel under test, for the fault handler */

/* one TAP line */
static void
report(bool passed, const char *property)
{
	ntests++;
	if (!passed)
		nfailed++;
	printf("%s %d - %s: %s\n", passed ? "ok" : "not ok", ntests, table_name, property);
	fflush(stdout);
}

/* explain a failure; returns false so that callers can return it */
static bool __attribute__((format(printf, 1, 2)))
failed(const char *format,...)
{
	va_list		args;

	printf("# %s %s (seed %llu): ", table_name, at_work, (unsigned long long) SEED);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	return false;
}

/* a read or write outside a buffer; only async-signal-safe calls here */
static void
on_fault(int signo)
{
	static const char start[] = "Bail out! access outside a buffer in ";
	ssize_t		ignored;

	(void) signo;
	ignored = write(STDOUT_FILENO, start, sizeof(start) - 1);
	ignored = write(STDOUT_FILENO, table_name, strlen(table_name));
	ignored = write(STDOUT_FILENO, " ", 1);
	ignored = write(STDOUT_FILENO, at_work, strlen(at_work));
	ignored = write(STDOUT_FILENO, "\n", 1);
	(void) ignored;
	_exit(2);
}

/*--- random numbers (splitmix64) ---------------------------------------*/

static uint64_t rng_state;

static uint64_t
rng(void)
{
	uint64_t	x = (rng_state += UINT64_C(0x9e3779b97f4a7c15));

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/* uniform in [-1, 1) */
static float
rng_float(void)
{
	return (float) (rng() >> 40) * 0x1p-23f - 1;
}

static float
float_of_bits(uint32_t bits)
{
	float		x;

	memcpy(&x, &bits, sizeof(x));
	return x;
}

static uint32_t
bits_of_float(float x)
{
	uint32_t	bits;

	memcpy(&bits, &x, sizeof(bits));
	return bits;
}

/*--- references --------------------------------------------------------*/

static double
ref_half(vec_half half)
{
	int			exponent = half >> 10 & 31;
	int			mantissa = half & 0x3ff;
	double		x;

	if (exponent == 31)
		x = mantissa ? NAN : INFINITY;
	else if (exponent == 0)
		x = ldexp(mantissa, -24);
	else
		x = ldexp(1024 + mantissa, exponent - 25);
	return half & 0x8000 ? -x : x;
}

/* nearest half of a float, by arithmetic on its value rather than its bits */
static vec_half
ref_to_half(float x)
{
	vec_half	sign = signbit(x) ? 0x8000 : 0;
	double		magnitude = fabs((double) x);
	int			exponent;
	int			mantissa;

	if (isnan(x))
		return sign | 0x7e00 | (bits_of_float(x) >> 13 & 0x3ff);
	if (magnitude >= 65520)
		return sign | 0x7c00;
	frexp(magnitude, &exponent);
	if (magnitude == 0 || exponent < -13)
		exponent = -13;			/* subnormal */
	mantissa = (int) nearbyint(ldexp(magnitude, 11 - exponent));
	/* the leading bit, where there is one, adds one to the exponent field */
	return (vec_half) (sign + ((exponent + 13) << 10) + mantissa);
}

/* sums in double, and the sums of the magnitudes of their terms */
typedef struct RefSums
{
	double		l2sq;
	double		dot;
	double		absdot;
	double		l1;
	double		normsq_a;
	double		normsq_b;
} RefSums;

static void
ref_add(RefSums *ref, double x, double y)
{
	ref->l2sq += (x - y) * (x - y);
	ref->dot += x * y;
	ref->absdot += fabs(x * y);
	ref->l1 += fabs(x - y);
	ref->normsq_a += x * x;
	ref->normsq_b += y * y;
}

/*--- buffers between inaccessible pages --------------------------------*/

typedef struct Arena
{
	char	   *start;
	char	   *end;
} Arena;

static Arena
arena_create(size_t bytes)
{
	size_t		page = (size_t) sysconf(_SC_PAGESIZE);
	size_t		body = (bytes + page - 1) / page * page;
	char	   *base = mmap(NULL, body + 2 * page, PROT_READ | PROT_WRITE,
							MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	Arena		arena;

	if (base == MAP_FAILED ||
		mprotect(base, page, PROT_NONE) != 0 ||
		mprotect(base + page + body, page, PROT_NONE) != 0)
	{
		printf("Bail out! cannot map %zu bytes\n", bytes);
		exit(2);
	}
	arena.start = base + page;
	arena.end = arena.start + body;
	return arena;
}

/*
 * A vector of each length at both ends of an arena: the last dim elements
 * and, with the same values, the first dim.
 */
typedef struct Vectors
{
	Arena		a;
	Arena		b;
	Arena		half_a;
	Arena		half_b;
	Arena		out;
} Vectors;

static Vectors vectors;

static void
fill_vectors(float (*value) (int which, int i))
{
	float	   *a = (float *) vectors.a.end - MAX_DIM;
	float	   *b = (float *) vectors.b.end - MAX_DIM;
	vec_half   *half_a = (vec_half *) vectors.half_a.end - MAX_DIM;
	vec_half   *half_b = (vec_half *) vectors.half_b.end - MAX_DIM;

	rng_state = SEED;
	for (int i = 0; i < MAX_DIM; i++)
	{
		a[i] = value(0, i);
		b[i] = value(1, i);
		half_a[i] = ref_to_half(a[i]);
		half_b[i] = ref_to_half(b[i]);
	}
	memmove(vectors.a.start, a, MAX_DIM * sizeof(float));
	memmove(vectors.b.start, b, MAX_DIM * sizeof(float));
	memmove(vectors.half_a.start, half_a, MAX_DIM * sizeof(vec_half));
	memmove(vectors.half_b.start, half_b, MAX_DIM * sizeof(vec_half));
}

static float
uniform_value(int which, int i)
{
	(void) which;
	(void) i;
	return rng_float();
}

/* all terms alike: every rounding goes the same way */
static float
biased_value(int which, int i)
{
	(void) i;
	return which == 0 ? 0.7f : 0.1f;
}

/* magnitudes from 2^-12 to 2^11 */
static float
spread_value(int which, int i)
{
	(void) which;
	(void) i;
	return ldexpf(rng_float(), (int) (rng() % 24) - 12);
}

/*--- dense kernels -----------------------------------------------------*/

static bool
near(int dim, const char *what, double got, double want, double terms)
{
	double		bound = SUM_ERROR * terms + dim * LOST_TERM;

	if (fabs(got - want) <= bound)
		return true;
	return failed("%s of dim %d is %.9g, not %.9g +- %.3g", what, dim, got, want, bound);
}

static bool
near_wide(int dim, double got, double want)
{
	if (fabs(got - want) <= (dim + 4) * 0x1p-53 * want)
		return true;
	return failed("dim %d is %.17g, not %.17g", dim, got, want);
}

static bool
check_f32(const VecKernels *k, const float *a, const float *b, int dim)
{
	RefSums		ref = {0};
	VecCosineSums sums;

	for (int i = 0; i < dim; i++)
		ref_add(&ref, a[i], b[i]);

	at_work = "cosine_f32";
	k->cosine_f32(a, b, dim, &sums);
	if (!near(dim, "dot", sums.dot, ref.dot, ref.absdot) ||
		!near(dim, "normsq_a", sums.normsq_a, ref.normsq_a, ref.normsq_a) ||
		!near(dim, "normsq_b", sums.normsq_b, ref.normsq_b, ref.normsq_b))
		return false;
	at_work = "normsq_f32";
	if (!near_wide(dim, k->normsq_f32(a, dim), ref.normsq_a))
		return false;
	at_work = "finite_f32";
	if (!k->finite_f32(a, dim))
		return failed("dim %d is finite", dim);
	at_work = "l2sq_f32";
	if (!near(dim, "sum", k->l2sq_f32(a, b, dim), ref.l2sq, ref.l2sq))
		return false;
	at_work = "dot_f32";
	if (!near(dim, "sum", k->dot_f32(a, b, dim), ref.dot, ref.absdot))
		return false;
	at_work = "l1_f32";
	return near(dim, "sum", k->l1_f32(a, b, dim), ref.l1, ref.l1);
}

static bool
check_f16(const VecKernels *k, const vec_half *a, const vec_half *b, int dim)
{
	RefSums		ref = {0};
	VecCosineSums sums;

	for (int i = 0; i < dim; i++)
		ref_add(&ref, ref_half(a[i]), ref_half(b[i]));

	at_work = "cosine_f16";
	k->cosine_f16(a, b, dim, &sums);
	if (!near(dim, "dot", sums.dot, ref.dot, ref.absdot) ||
		!near(dim, "normsq_a", sums.normsq_a, ref.normsq_a, ref.normsq_a) ||
		!near(dim, "normsq_b", sums.normsq_b, ref.normsq_b, ref.normsq_b))
		return false;
	at_work = "normsq_f16";
	if (!near_wide(dim, k->normsq_f16(a, dim), ref.normsq_a))
		return false;
	at_work = "finite_f16";
	if (!k->finite_f16(a, dim))
		return failed("dim %d is finite", dim);
	at_work = "l2sq_f16";
	if (!near(dim, "sum", k->l2sq_f16(a, b, dim), ref.l2sq, ref.l2sq))
		return false;
	at_work = "dot_f16";
	if (!near(dim, "sum", k->dot_f16(a, b, dim), ref.dot, ref.absdot))
		return false;
	at_work = "l1_f16";
	return near(dim, "sum", k->l1_f16(a, b, dim), ref.l1, ref.l1);
}

typedef bool (*DimCheck) (const VecKernels *k, int dim);

/* against the page behind, then the page before */
static bool
f32_of_dim(const VecKernels *k, int dim)
{
	return check_f32(k, (float *) vectors.a.end - dim, (float *) vectors.b.end - dim, dim) &&
		check_f32(k, (float *) vectors.a.start, (float *) vectors.b.start, dim);
}

static bool
f16_of_dim(const VecKernels *k, int dim)
{
	return check_f16(k, (vec_half *) vectors.half_a.end - dim,
					 (vec_half *) vectors.half_b.end - dim, dim) &&
		check_f16(k, (vec_half *) vectors.half_a.start, (vec_half *) vectors.half_b.start, dim);
}

static bool
for_every_dim(const VecKernels *k, DimCheck check)
{
	for (int dim = 0; dim <= DENSE_DIMS; dim++)
	{
		if (!check(k, dim))
			return false;
	}
	return check(k, 4096) && check(k, MAX_DIM);
}

/* dimensions around each width and unrolling, and the usual ones */
static const int some_dims[] = {1, 2, 3, 4, 5, 7, 8, 9, 13, 15, 16, 17, 23, 31, 32, 33, 47, 63,
	64, 65, 96, 100, 127, 128, 129, 255, 256, 257, 511, 513, 768, 1000, 1023, 1025, 1536,
	2047, 2049, 4095, 4096, 4097, 8191, 8193, MAX_DIM};

static bool
for_some_dims(const VecKernels *k, DimCheck check)
{
	for (size_t i = 0; i < sizeof(some_dims) / sizeof(some_dims[0]); i++)
	{
		if (!check(k, some_dims[i]))
			return false;
	}
	return true;
}

/*
 * Rows at the end of the arena, the last one against the page behind; the
 * stride leaves a gap of three elements.
 */
static bool
check_many(const VecKernels *k, int dim, int nrows)
{
	size_t		stride = (size_t) dim + 3;
	size_t		span = (size_t) (nrows - 1) * stride + (size_t) dim;
	const float *query = (float *) vectors.a.end - dim;
	const float *rows = (float *) vectors.b.end - span;
	const vec_half *half_rows = (vec_half *) vectors.half_b.end - span;
	float	   *l2sq = (float *) vectors.out.end - nrows;
	float	   *dot = (float *) vectors.out.start;

	at_work = "l2sq_many_f32";
	k->l2sq_many_f32(query, rows, stride, nrows, dim, l2sq);
	at_work = "dot_many_f32";
	k->dot_many_f32(query, rows, stride, nrows, dim, dot);
	for (int r = 0; r < nrows; r++)
	{
		RefSums		ref = {0};

		for (int i = 0; i < dim; i++)
			ref_add(&ref, query[i], rows[(size_t) r * stride + (size_t) i]);
		if (!near(dim, "l2sq", l2sq[r], ref.l2sq, ref.l2sq) ||
			!near(dim, "dot", dot[r], ref.dot, ref.absdot))
			return failed("row %d of %d", r, nrows);
	}

	at_work = "l2sq_many_f16";
	k->l2sq_many_f16(query, half_rows, stride, nrows, dim, l2sq);
	at_work = "dot_many_f16";
	k->dot_many_f16(query, half_rows, stride, nrows, dim, dot);
	for (int r = 0; r < nrows; r++)
	{
		RefSums		ref = {0};

		for (int i = 0; i < dim; i++)
			ref_add(&ref, query[i], ref_half(half_rows[(size_t) r * stride + (size_t) i]));
		if (!near(dim, "l2sq", l2sq[r], ref.l2sq, ref.l2sq) ||
			!near(dim, "dot", dot[r], ref.dot, ref.absdot))
			return failed("row %d of %d", r, nrows);
	}
	return true;
}

/* as many rows as fit, up to nine, of every dimension; one to nine of some */
static bool
many_of_dim(const VecKernels *k, int dim)
{
	int			fit = (MAX_DIM + 3) / (dim + 3);

	return dim == 0 || check_many(k, dim, fit < MAX_ROWS ? fit : MAX_ROWS);
}

static bool
test_row_counts(const VecKernels *k)
{
	for (int dim = 1; dim <= 70; dim++)
	{
		for (int nrows = 1; nrows <= MAX_ROWS; nrows++)
		{
			if (!check_many(k, dim, nrows))
				return false;
		}
	}

	/* no row: nothing is read or written */
	at_work = "*_many, no row";
	k->l2sq_many_f32(NULL, NULL, 0, 0, 5, NULL);
	k->dot_many_f16(NULL, NULL, 0, 0, 5, NULL);
	return true;
}

/* a vector at every byte offset gives the very result of the aligned one */
static bool
unaligned_dim(const VecKernels *k, int dim)
{
	size_t		bytes = (size_t) dim * sizeof(float);
	const float *a = (float *) vectors.a.start;
	const float *b = (float *) vectors.b.start;
	const vec_half *half_a = (vec_half *) vectors.half_a.start;
	const vec_half *half_b = (vec_half *) vectors.half_b.start;
	static char copies[4][MAX_DIM * sizeof(float) + 128];

	for (size_t offset = 1; offset < 64; offset = dim > 600 ? offset * 2 + 1 : offset + 1)
	{
		const void *ua = memcpy(copies[0] + offset, a, bytes);
		const void *ub = memcpy(copies[1] + 63 - offset, b, bytes);
		const void *uhalf_a = memcpy(copies[2] + offset, half_a, bytes / 2);
		const void *uhalf_b = memcpy(copies[3] + 63 - offset, half_b, bytes / 2);
		VecCosineSums s;
		VecCosineSums us;

		at_work = "unaligned float";
		k->cosine_f32(a, b, dim, &s);
		k->cosine_f32(ua, ub, dim, &us);
		if (k->l2sq_f32(ua, ub, dim) != k->l2sq_f32(a, b, dim) ||
			k->dot_f32(ua, ub, dim) != k->dot_f32(a, b, dim) ||
			k->l1_f32(ua, ub, dim) != k->l1_f32(a, b, dim) ||
			k->normsq_f32(ua, dim) != k->normsq_f32(a, dim) ||
			!k->finite_f32(ua, dim) || memcmp(&s, &us, sizeof(s)) != 0)
			return failed("dim %d at offset %zu", dim, offset);
		at_work = "unaligned half";
		k->cosine_f16(half_a, half_b, dim, &s);
		k->cosine_f16(uhalf_a, uhalf_b, dim, &us);
		if (k->l2sq_f16(uhalf_a, uhalf_b, dim) != k->l2sq_f16(half_a, half_b, dim) ||
			k->dot_f16(uhalf_a, uhalf_b, dim) != k->dot_f16(half_a, half_b, dim) ||
			k->l1_f16(uhalf_a, uhalf_b, dim) != k->l1_f16(half_a, half_b, dim) ||
			k->normsq_f16(uhalf_a, dim) != k->normsq_f16(half_a, dim) ||
			!k->finite_f16(uhalf_a, dim) || memcmp(&s, &us, sizeof(s)) != 0)
			return failed("dim %d at offset %zu", dim, offset);
	}
	return true;
}

/*--- NaN, infinity, extremes -------------------------------------------*/

/* one special element anywhere must show in every sum and in finite_* */
static bool
test_special(const VecKernels *k)
{
	static const uint32_t specials[] = {0x7f800000, 0xff800000, 0x7fc00000, 0x7f800001,
	0xffffffff};
	enum
	{
		DIM = 150
	};
	float		a[DIM];
	float		b[DIM];
	vec_half	half_a[DIM];
	vec_half	half_b[DIM];
	VecCosineSums s;

	for (int i = 0; i < DIM; i++)
	{
		a[i] = b[i] = 1;
		half_a[i] = half_b[i] = 0x3c00;
	}
	for (int dim = 1; dim <= DIM; dim++)
	{
		for (int n = 0; n < 5; n++)
		{
			int			i = (int) (rng() % (unsigned) dim);

			a[i] = float_of_bits(specials[n]);
			half_a[i] = (vec_half) (n < 2 ? 0x7c00 | n << 15 : 0x7c01 + (int) (rng() % 0x3ff));
			at_work = "special float";
			k->cosine_f32(a, b, dim, &s);
			if (k->finite_f32(a, dim) || isfinite(k->l2sq_f32(a, b, dim)) ||
				isfinite(k->l1_f32(a, b, dim)) || isfinite(k->normsq_f32(a, dim)) ||
				isfinite(k->dot_f32(a, b, dim)) || isfinite(s.dot) || isfinite(s.normsq_a) ||
				s.normsq_b != (float) dim || (n >= 2) != !!isnan(k->dot_f32(a, b, dim)))
				return failed("bits %08x at %d of %d", specials[n], i, dim);
			at_work = "special half";
			k->cosine_f16(half_a, half_b, dim, &s);
			if (k->finite_f16(half_a, dim) || isfinite(k->l2sq_f16(half_a, half_b, dim)) ||
				isfinite(k->l1_f16(half_a, half_b, dim)) ||
				isfinite(k->normsq_f16(half_a, dim)) ||
				isfinite(k->dot_f16(half_a, half_b, dim)) || isfinite(s.dot) ||
				isfinite(s.normsq_a) || s.normsq_b != (float) dim ||
				(n >= 2) != !!isnan(k->dot_f16(half_a, half_b, dim)))
				return failed("bits %04x at %d of %d", half_a[i], i, dim);
			a[i] = 1;
			half_a[i] = 0x3c00;
		}
	}
	return true;
}

/* one vector filled with one value, one with another; results by formula */
static bool
test_extremes(const VecKernels *k)
{
	static float a[MAX_DIM];
	static float b[MAX_DIM];
	static const float values[] = {0, -0.0f, FLT_MAX, -FLT_MAX, 1e38f, 1e20f, -1e20f, 1e19f, 1,
		-1, 1e-19f, 1e-20f, 1e-30f, FLT_MIN, -FLT_MIN, 0x1p-149f, -0x1p-149f, 3e-45f};
	const int	nvalues = sizeof(values) / sizeof(values[0]);

	for (int n = 0; n < nvalues * nvalues * 6; n++)
	{
		static const int dims[] = {1, 3, 8, 17, 130, 2053};
		int			dim = dims[n % 6];
		double		x = values[n / 6 % nvalues];
		double		y = values[n / 6 / nvalues];
		double		diff = x - y;
		float		got;

		for (int i = 0; i < dim; i++)
		{
			a[i] = (float) x;
			b[i] = (float) y;
		}
		at_work = "finite_f32 of extremes";
		if (!k->finite_f32(a, dim))
			return failed("dim %d of %g", dim, x);
		at_work = "normsq_f32 of extremes";
		if (!near_wide(dim, k->normsq_f32(a, dim), dim * x * x))
			return false;

		/* float sums are right within the bound, or infinite beyond float's range */
		at_work = "l2sq_f32 of extremes";
		got = k->l2sq_f32(a, b, dim);
		if (dim * diff * diff > FLT_MAX ? !isinf(got) && dim * diff * diff > 1.00001 * FLT_MAX :
			!near(dim, "sum", got, dim * diff * diff, dim * diff * diff))
			return failed("%g and %g", x, y);
		at_work = "l1_f32 of extremes";
		got = k->l1_f32(a, b, dim);
		if (dim * fabs(diff) > FLT_MAX ? !isinf(got) && dim * fabs(diff) > 1.00001 * FLT_MAX :
			!near(dim, "sum", got, dim * fabs(diff), dim * fabs(diff)))
			return failed("%g and %g", x, y);
		at_work = "dot_f32 of extremes";
		got = k->dot_f32(a, b, dim);
		if (dim * fabs(x * y) > FLT_MAX ?
			!isinf(got) && dim * fabs(x * y) > 1.00001 * FLT_MAX :
			!near(dim, "sum", got, dim * x * y, dim * fabs(x * y)))
			return failed("%g and %g", x, y);
	}
	return true;
}

/* the largest halves, and the smallest, at the largest dimension */
static bool
test_half_extremes(const VecKernels *k)
{
	static vec_half a[MAX_DIM];
	static vec_half b[MAX_DIM];
	static const vec_half values[] = {0, 0x8000, 0x7bff, 0xfbff, 0x0001, 0x8001, 0x03ff, 0x0400};

	for (int n = 0; n < 64; n++)
	{
		for (int i = 0; i < MAX_DIM; i++)
		{
			a[i] = values[n % 8];
			b[i] = values[n / 8];
		}
		if (!check_f16(k, a, b, MAX_DIM) || !check_f16(k, a, b, 37))
			return failed("halves %04x and %04x", values[n % 8], values[n / 8]);
	}
	return true;
}

/* equal vectors: distance exactly zero, three equal sums */
static bool
test_equal(const VecKernels *k)
{
	for (int dim = 1; dim <= DENSE_DIMS; dim++)
	{
		const float *a = (float *) vectors.a.start;
		const vec_half *half = (vec_half *) vectors.half_a.start;
		VecCosineSums s;
		VecCosineSums half_s;

		at_work = "equal vectors";
		k->cosine_f32(a, a, dim, &s);
		k->cosine_f16(half, half, dim, &half_s);
		if (k->l2sq_f32(a, a, dim) != 0 || k->l1_f32(a, a, dim) != 0 ||
			k->l2sq_f16(half, half, dim) != 0 || k->l1_f16(half, half, dim) != 0 ||
			s.dot != s.normsq_a || s.dot != s.normsq_b ||
			half_s.dot != half_s.normsq_a || half_s.dot != half_s.normsq_b)
			return failed("dim %d", dim);
	}
	return true;
}

/* small integers: the same bits on every instruction set, as regression tests expect */
static bool
test_integers(const VecKernels *k)
{
	static float a[MAX_DIM];
	static float b[MAX_DIM];

	rng_state = SEED;
	for (int dim = 1; dim <= 3000; dim += dim < 300 ? 1 : 37)
	{
		RefSums		ref = {0};

		for (int i = 0; i < dim; i++)
		{
			a[i] = (float) (int) (rng() % 21) - 10;
			b[i] = (float) (int) (rng() % 21) - 10;
			ref_add(&ref, a[i], b[i]);
		}
		at_work = "small integers";
		if (k->l2sq_f32(a, b, dim) != ref.l2sq || k->dot_f32(a, b, dim) != ref.dot ||
			k->l1_f32(a, b, dim) != ref.l1)
			return failed("dim %d", dim);
	}
	return true;
}

/*--- bits --------------------------------------------------------------*/

static unsigned
ref_popcount(uint8_t byte)
{
	unsigned	count = 0;

	for (; byte; byte &= (uint8_t) (byte - 1))
		count++;
	return count;
}

static bool
check_bits(const VecKernels *k, const uint8_t *a, const uint8_t *b, size_t bytes)
{
	VecBitSums	ref = {0, 0, 0};
	VecBitSums	got;
	uint64_t	differ = 0;

	for (size_t i = 0; i < bytes; i++)
	{
		ref.both += ref_popcount(a[i] & b[i]);
		ref.a += ref_popcount(a[i]);
		ref.b += ref_popcount(b[i]);
		differ += ref_popcount(a[i] ^ b[i]);
	}
	at_work = "jaccard_bits";
	k->jaccard_bits(a, b, bytes, &got);
	if (got.both != ref.both || got.a != ref.a || got.b != ref.b)
		return failed("%zu bytes", bytes);
	at_work = "hamming_bits";
	if (k->hamming_bits(a, b, bytes) != differ)
		return failed("%zu bytes", bytes);
	return true;
}

/* every length in bits of 0 to 300 bytes, padding zero, at both ends of a page */
static bool
test_bits(const VecKernels *k)
{
	rng_state = SEED;
	for (size_t nbits = 0; nbits <= 2400; nbits++)
	{
		size_t		bytes = (nbits + 7) / 8;
		uint8_t    *a = (uint8_t *) vectors.a.end - bytes;
		uint8_t    *b = (uint8_t *) vectors.b.end - bytes;

		for (size_t i = 0; i < bytes; i++)
		{
			a[i] = (uint8_t) rng();
			b[i] = (uint8_t) rng();
		}
		if (nbits % 8 != 0)
		{
			a[bytes - 1] &= (uint8_t) (0xff << (8 - nbits % 8));
			b[bytes - 1] &= (uint8_t) (0xff << (8 - nbits % 8));
		}
		if (!check_bits(k, a, b, bytes))
			return false;
		memcpy(vectors.a.start, a, bytes);
		memcpy(vectors.b.start, b, bytes);
		if (!check_bits(k, (uint8_t *) vectors.a.start, (uint8_t *) vectors.b.start, bytes))
			return false;
	}
	return true;
}

/* long strings of ones would overflow a counter that is not emptied in time */
static bool
test_long_bits(const VecKernels *k)
{
	size_t		bytes = MAX_DIM * sizeof(float);

	for (int n = 0; n < 4; n++)
	{
		memset(vectors.a.start, n & 1 ? 0xff : 0, bytes);
		memset(vectors.b.start, n & 2 ? 0xff : 0, bytes);
		for (size_t length = 1; length <= bytes; length = length * 3 + 1)
		{
			if (!check_bits(k, (uint8_t *) vectors.a.start, (uint8_t *) vectors.b.start, length))
				return false;
		}
		if (!check_bits(k, (uint8_t *) vectors.a.start, (uint8_t *) vectors.b.start, bytes))
			return false;
	}
	return true;
}

/*--- sparse ------------------------------------------------------------*/

/* sums of a merge in long double, and the sum of the magnitudes of a*b */
typedef struct RefSparse
{
	long double l2sq;
	long double dot;
	long double absdot;
	long double l1;
} RefSparse;

static void
ref_sparse_add(RefSparse *ref, long double x, long double y)
{
	ref->l2sq += (x - y) * (x - y);
	ref->dot += x * y;
	ref->absdot += fabsl(x * y);
	ref->l1 += fabsl(x - y);
}

static RefSparse
ref_sparse(const VecSparse *a, const VecSparse *b)
{
	RefSparse	ref = {0, 0, 0, 0};
	int			i = 0;
	int			j = 0;

	while (i < a->nnz || j < b->nnz)
	{
		if (j == b->nnz || (i < a->nnz && a->index[i] < b->index[j]))
			ref_sparse_add(&ref, a->value[i++], 0);
		else if (i == a->nnz || b->index[j] < a->index[i])
			ref_sparse_add(&ref, 0, b->value[j++]);
		else
			ref_sparse_add(&ref, a->value[i++], b->value[j++]);
	}
	return ref;
}

/* the contract of README.md: 2 (nnz + nnz) * 2^-53 of the terms */
static bool
near_sparse(const VecSparse *a, const VecSparse *b, double got, long double want,
			long double terms)
{
	long double bound = 2.0L * (a->nnz + b->nnz) * 0x1p-53L * terms;

	if (fabsl(got - want) <= bound)
		return true;
	return failed("%d and %d elements: %.17g, not %.17Lg +- %.3Lg", a->nnz, b->nnz, got, want,
				  bound);
}

static bool
check_sparse(const VecKernels *k, const VecSparse *a, const VecSparse *b)
{
	RefSparse	ref = ref_sparse(a, b);
	double		got;

	at_work = "l2sq_sparse";
	if (!near_sparse(a, b, k->l2sq_sparse(a, b), ref.l2sq, ref.l2sq))
		return false;
	at_work = "l1_sparse";
	if (!near_sparse(a, b, k->l1_sparse(a, b), ref.l1, ref.l1))
		return false;
	at_work = "dot_sparse";
	got = k->dot_sparse(a, b);
	return fabsl(got - ref.dot) <= 2.0L * (a->nnz + b->nnz) * 0x1p-53L * ref.absdot ||
		failed("%d and %d elements: %.17g, not %.17Lg", a->nnz, b->nnz, got, ref.dot);
}

/* the four arrays of a pair, each against a page end */
static VecSparse
sparse_at_end(const Arena *indices, const Arena *values, int nnz, const int32_t *index,
			  const float *value)
{
	size_t		bytes = (size_t) nnz * sizeof(int32_t);
	VecSparse	v = {nnz, NULL, NULL};

	v.index = memcpy(indices->end - bytes, index, bytes);
	v.value = memcpy(values->end - bytes, value, bytes);
	return v;
}

static VecSparse
sparse_at_start(const Arena *indices, const Arena *values, const VecSparse *v)
{
	size_t		bytes = (size_t) v->nnz * sizeof(int32_t);
	VecSparse	copy = {v->nnz, NULL, NULL};

	copy.index = memmove(indices->start, v->index, bytes);
	copy.value = memmove(values->start, v->value, bytes);
	return copy;
}

/* kinds of values; the last is derived from the partner's */
typedef enum SparseKind
{
	SPARSE_UNIFORM,
	SPARSE_SPREAD,				/* 2^-149 to 2^127 */
	SPARSE_NEAR,				/* pairs differ by a unit in the last place, or not */
	SPARSE_KINDS
} SparseKind;

static float
sparse_value(SparseKind kind)
{
	float		x = rng_float();

	if (kind == SPARSE_SPREAD)
		x = ldexpf(x, (int) (rng() % 276) - 148);
	return x == 0 ? 1 : x;
}

/*
 * Two lists of na and nb elements, of which "percent" of the shorter are
 * common if there is room, in random order of appearance.
 */
static void
make_sparse(int na, int nb, int percent, SparseKind kind, VecSparse *a, VecSparse *b)
{
	static int32_t index[2][MAX_DIM];
	static float value[2][MAX_DIM];
	int			common = (na < nb ? na : nb) * percent / 100;
	int			left[3] = {na - common, nb - common, common};
	int			n[2] = {0, 0};
	int32_t		next = (int32_t) (rng() % 3);

	while (left[0] + left[1] + left[2] > 0)
	{
		int			turn = (int) (rng() % (uint64_t) (left[0] + left[1] + left[2]));
		int			which = turn < left[0] ? 0 : turn < left[0] + left[1] ? 1 : 2;
		float		x = sparse_value(kind);

		for (int side = 0; side < 2; side++)
		{
			if (which == 1 - side)
				continue;
			index[side][n[side]] = next;
			value[side][n[side]++] = x;
			if (kind != SPARSE_NEAR)
				x = sparse_value(kind);
			else if (rng() % 4 == 0)
				x = nextafterf(x, 2);
		}
		left[which]--;
		next += 1 + (int32_t) (rng() % 5);
	}
	*a = sparse_at_end(&vectors.a, &vectors.b, na, index[0], value[0]);
	*b = sparse_at_end(&vectors.half_a, &vectors.half_b, nb, index[1], value[1]);
}

static bool
check_sparse_sizes(const VecKernels *k, int na, int nb, int percent, SparseKind kind)
{
	VecSparse	a;
	VecSparse	b;
	VecSparse	a_start;
	VecSparse	b_start;

	make_sparse(na, nb, percent, kind, &a, &b);
	if (!check_sparse(k, &a, &b))
		return failed("%d %% common, values of kind %d", percent, (int) kind);
	at_work = "sparse, equal vectors";
	if (k->l2sq_sparse(&a, &a) != 0 || k->l1_sparse(&a, &a) != 0)
		return failed("%d elements: not 0", na);
	a_start = sparse_at_start(&vectors.a, &vectors.b, &a);
	b_start = sparse_at_start(&vectors.half_a, &vectors.half_b, &b);
	return check_sparse(k, &b_start, &a_start);
}

/* lengths of 0 to 300 on both sides, and the longest, with every overlap */
static bool
test_sparse(const VecKernels *k)
{
	static const int percents[] = {0, 3, 20, 50, 80, 97, 100};
	static const int lengths[] = {0, 1, 17, 500, 4000, MAX_DIM};

	rng_state = SEED;
	for (int n = 0; n <= 300; n++)
	{
		for (int p = 0; p < 7; p++)
		{
			SparseKind	kind = (SparseKind) (rng() % SPARSE_KINDS);
			int			other = n < 40 ? (int) (rng() % 40) : (int) (rng() % 301);

			if (!check_sparse_sizes(k, n, other, percents[p], kind) ||
				!check_sparse_sizes(k, n, n, percents[p], kind))
				return false;
		}
	}
	for (int n = 0; n < 6 * 7; n++)
	{
		if (!check_sparse_sizes(k, MAX_DIM, lengths[n % 6], percents[n / 6],
								(SparseKind) ((n + n / 6) % SPARSE_KINDS)))
			return false;
	}
	return true;
}

/* every set of indices below nine against every other */
static bool
test_sparse_exhaustive(const VecKernels *k)
{
	for (unsigned sets = 0; sets < 1u << 18; sets++)
	{
		int32_t		index[2][9];
		float		value[2][9];
		int			n[2] = {0, 0};
		VecSparse	a;
		VecSparse	b;

		for (int bit = 0; bit < 18; bit++)
		{
			int			side = bit / 9;

			if ((sets >> bit & 1) == 0)
				continue;
			index[side][n[side]] = bit % 9;
			value[side][n[side]++] = (float) (bit + 1);
		}
		a = sparse_at_end(&vectors.a, &vectors.b, n[0], index[0], value[0]);
		b = sparse_at_end(&vectors.half_a, &vectors.half_b, n[1], index[1], value[1]);
		if (!check_sparse(k, &a, &b))
			return failed("sets %x", sets);
	}
	return true;
}

/* indices in no order, repeated, negative: any result, but nothing read outside, and an end */
static bool
test_sparse_damaged(const VecKernels *k)
{
	static const int32_t odd[] = {INT32_MIN, -1, 0, 0, 1, INT32_MAX};
	static int32_t index[2][700];
	static float value[2][700];

	rng_state = SEED;
	at_work = "sparse, damaged";
	for (int round = 0; round < 20000; round++)
	{
		int			n[2];
		uint64_t	range = (uint64_t) 1 << rng() % 12;
		VecSparse	a;
		VecSparse	b;

		for (int side = 0; side < 2; side++)
		{
			n[side] = (int) (rng() % (rng() % 8 == 0 ? 700 : 50));
			for (int i = 0; i < n[side]; i++)
			{
				index[side][i] = rng() % 4 == 0 ? odd[rng() % 6] : (int32_t) (rng() % range);
				value[side][i] = rng_float();
			}
		}
		a = sparse_at_end(&vectors.a, &vectors.b, n[0], index[0], value[0]);
		b = sparse_at_end(&vectors.half_a, &vectors.half_b, n[1], index[1], value[1]);
		if (!isfinite(k->l2sq_sparse(&a, &b)) || !isfinite(k->l1_sparse(&a, &b)) ||
			!isfinite(k->dot_sparse(&a, &b)))
			return failed("not finite");
	}
	return true;
}

/* one element against a long list: every place it can fall, and the gaps */
static bool
test_sparse_gallop(const VecKernels *k)
{
	static int32_t index[1000];
	static float value[1000];

	for (int i = 0; i < 1000; i++)
	{
		index[i] = i < 999 ? 2 * i + 1 : INT32_MAX;
		value[i] = (float) (i + 1);
	}
	at_work = "dot_sparse, galloping";
	for (int nnz = 100; nnz <= 1000; nnz += 225)
	{
		for (int i = 0; i <= 2 * nnz; i++)
		{
			int32_t		wanted[2] = {i, INT32_MAX};
			float		two[2] = {2, 0.5f};
			VecSparse	few = {2, wanted, two};
			VecSparse	many = {nnz, index, value};
			double		want = nnz == 1000 ? 500 : 0;

			if (i % 2 == 1 && i / 2 < nnz && i / 2 < 999)
				want += 2.0 * (i / 2 + 1);
			if (k->dot_sparse(&few, &many) != want || k->dot_sparse(&many, &few) != want)
				return failed("index %d in %d elements", i, nnz);
		}
	}
	return true;
}

/* where float would overflow or vanish */
static bool
test_sparse_extremes(const VecKernels *k)
{
	int32_t		index[2] = {3, 9};
	float		large[2] = {FLT_MAX, -FLT_MAX};
	float		opposite[2] = {-FLT_MAX, FLT_MAX};
	float		small[2] = {0x1p-149f, 0x1p-149f};
	VecSparse	a = {2, index, large};
	VecSparse	b = {2, index, opposite};
	VecSparse	c = {2, index, small};

	at_work = "sparse extremes";
	if (k->l2sq_sparse(&a, &b) != 8 * (double) FLT_MAX * FLT_MAX ||
		k->l1_sparse(&a, &b) != 4 * (double) FLT_MAX ||
		k->dot_sparse(&a, &b) != -2 * (double) FLT_MAX * FLT_MAX ||
		k->dot_sparse(&c, &c) != 0x1p-297)
		return failed("wrong");
	return true;
}

/*--- conversion --------------------------------------------------------*/

/* all halves to floats and back */
static bool
test_all_halves(const VecKernels *k)
{
	static vec_half halves[65536];
	static vec_half back[65536];
	static float floats[65536];

	for (int i = 0; i < 65536; i++)
		halves[i] = (vec_half) i;
	at_work = "half_to_float";
	k->half_to_float(halves, floats, 65536);
	at_work = "float_to_half";
	k->float_to_half(floats, back, 65536);
	for (int i = 0; i < 65536; i++)
	{
		bool		is_nan = (i & 0x7fff) > 0x7c00;
		uint32_t	nan_bits = (uint32_t) (i & 0x8000) << 16 | 0x7fc00000 |
			(uint32_t) (i & 0x3ff) << 13;

		at_work = "half_to_float";
		if (is_nan ? bits_of_float(floats[i]) != nan_bits :
			bits_of_float(floats[i]) != bits_of_float((float) ref_half((vec_half) i)))
			return failed("half %04x became float %08x", i, bits_of_float(floats[i]));
		at_work = "float_to_half";
		if (back[i] != (is_nan ? i | 0x200 : i))
			return failed("half %04x came back as %04x", i, back[i]);
	}
	return true;
}

static bool
check_to_half(const VecKernels *k, const float *x, int n)
{
	static vec_half got[4096];

	k->float_to_half(x, got, n);
	for (int i = 0; i < n; i++)
	{
		if (got[i] != ref_to_half(x[i]))
			return failed("float %08x became half %04x, not %04x", bits_of_float(x[i]), got[i],
						  ref_to_half(x[i]));
	}
	return true;
}

/* both neighbours of every midpoint between halves, the midpoint, and random bits */
static bool
test_rounding(const VecKernels *k)
{
	static float x[4096];
	int			n = 0;

	rng_state = SEED;
	at_work = "float_to_half";
	for (int i = 0; i < 0x7c00; i++)
	{
		double		low = ref_half((vec_half) i);
		double		high = i == 0x7bff ? 65536 : ref_half((vec_half) (i + 1));
		float		middle = (float) ((low + high) / 2);

		for (int side = 0; side < 4; side++)
		{
			float		sign = side & 1 ? -1.0f : 1.0f;

			x[n++] = sign * nextafterf(middle, side & 2 ? INFINITY : 0);
			x[n++] = sign * middle;
		}
		if (n == 4096)
		{
			if (!check_to_half(k, x, n))
				return false;
			n = 0;
		}
	}
	if (!check_to_half(k, x, n))
		return false;

	for (int round = 0; round < 250; round++)
	{
		for (n = 0; n < 4096; n++)
			x[n] = float_of_bits((uint32_t) rng());
		if (!check_to_half(k, x, n))
			return false;
	}
	return true;
}

/* every length, against both pages; nothing outside is written either */
static bool
convert_dim(const VecKernels *k, int dim)
{
	const vec_half *half = (vec_half *) vectors.half_a.end - dim;
	const float *a = (float *) vectors.a.end - dim;
	float	   *floats = (float *) vectors.out.end - dim;
	vec_half   *halves = (vec_half *) vectors.out.end - dim;

	memset(vectors.out.end - (size_t) dim * 4 - 4, 0x5a, (size_t) dim * 4 + 4);
	at_work = "half_to_float";
	k->half_to_float(half, floats, dim);
	for (int i = 0; i < dim; i++)
	{
		if (floats[i] != ref_half(half[i]))
			return failed("element %d of %d", i, dim);
	}
	at_work = "float_to_half";
	k->float_to_half(a, halves, dim);
	for (int i = 0; i < dim; i++)
	{
		if (halves[i] != ref_to_half(a[i]))
			return failed("element %d of %d", i, dim);
	}

	/* what follows is untouched */
	memset(vectors.out.start, 0x5a, (size_t) dim * 4 + 64);
	k->float_to_half(a, (vec_half *) vectors.out.start, dim);
	for (int i = 0; i < 32; i++)
	{
		if (vectors.out.start[(size_t) dim * 2 + (size_t) i] != 0x5a)
			return failed("wrote behind %d elements", dim);
	}
	at_work = "half_to_float";
	k->half_to_float(half, (float *) vectors.out.start, dim);
	for (int i = 0; i < 64; i++)
	{
		if (vectors.out.start[(size_t) dim * 4 + (size_t) i] != 0x5a)
			return failed("wrote behind %d elements", dim);
	}
	return true;
}

/* one direction of one swap: to another buffer, then in place */
static bool
check_swap(void (*swap) (const void *, void *, int), int size, int n)
{
	size_t		bytes = (size_t) size * (size_t) n;
	uint8_t    *src = (uint8_t *) vectors.a.end - bytes;
	uint8_t    *dst = (uint8_t *) vectors.out.end - bytes;
	uint8_t    *in_place = (uint8_t *) vectors.out.start;

	memcpy(in_place, src, bytes);
	in_place[bytes] = 0x5a;
	swap(src, dst, n);
	swap(in_place, in_place, n);
	for (size_t i = 0; i < bytes; i++)
	{
		size_t		from = i / (size_t) size * (size_t) size + (size_t) size - 1 - i % (size_t) size;

		if (dst[i] != src[from] || in_place[i] != src[from])
			return failed("byte %zu of %d elements", i, n);
	}
	return in_place[bytes] == 0x5a || failed("wrote behind %d elements", n);
}

static bool
swap_dim(const VecKernels *k, int dim)
{
	at_work = "swap_bytes32";
	if (!check_swap(k->swap_bytes32, 4, dim))
		return false;
	at_work = "swap_bytes16";
	return check_swap(k->swap_bytes16, 2, dim);
}

/*--- distance.h --------------------------------------------------------*/

static bool
same_distance(const char *what, double got, double want, double slack, const float *a,
			  const float *b)
{
	if (isfinite(got) && fabs(got - want) <= slack && (got != 0) == (want != 0))
		return true;
	return failed("%s of [%g,%g...] and [%g,%g...] is %.9g, not %.9g", what, a[0], a[1], b[0],
				  b[1], got, want);
}

/*
 * Whatever the magnitudes, the result is that of double arithmetic: finite,
 * and zero only if the true sum is.
 */
static bool
check_distances(const float *a, const float *b, int dim)
{
	RefSums		ref = {0};
	double		cosine;

	for (int i = 0; i < dim; i++)
		ref_add(&ref, a[i], b[i]);
	/* the slack of the float path and of the terms it may lose (README.md) */
	if (!same_distance("l2sq", vec_l2sq_f32(a, b, dim), ref.l2sq, 1e-5 * ref.l2sq, a, b) ||
		!same_distance("l1", vec_l1_f32(a, b, dim), ref.l1, 1e-5 * ref.l1, a, b))
		return false;
	if (ref.absdot == fabs(ref.dot) &&
		!same_distance("dot", vec_dot_f32(a, b, dim), ref.dot, 1e-5 * ref.absdot, a, b))
		return false;
	if (!isfinite(vec_dot_f32(a, b, dim)) ||
		fabs(vec_dot_f32(a, b, dim) - ref.dot) > 1e-5 * ref.absdot)
		return failed("dot is %g, not %g", vec_dot_f32(a, b, dim), ref.dot);

	cosine = vec_cosine_f32(a, b, dim);
	if (ref.normsq_a == 0 || ref.normsq_b == 0)
		return isnan(cosine) || failed("cosine of a zero vector is %g", cosine);
	if (!(fabs(cosine - (1 - ref.dot / sqrt(ref.normsq_a * ref.normsq_b))) <= 2e-5) ||
		cosine < 0 || cosine > 2)
		return failed("cosine is %g", cosine);
	return vec_cosine_f32(a, a, dim) == 0 || failed("cosine to itself is not 0");
}

static bool
test_distances(void)
{
	static float a[4096];
	static float b[4096];
	static const int dims[] = {1, 2, 3, 7, 16, 100, 768, 4096};

	rng_state = SEED;
	at_work = "distance.h";
	for (int n = 0; n < 8 * 32 * 8; n++)
	{
		int			dim = dims[n % 8];
		int			scale_a = n / 8 % 32 * 8 + n / 8 % 29 - 149;	/* to 2^126 */
		int			scale_b = n / 256 % 8 * 37 - 140;

		for (int i = 0; i < dim; i++)
		{
			a[i] = ldexpf(rng_float(), scale_a);
			b[i] = n & 1 ? ldexpf(rng_float(), scale_b) : a[i] + ldexpf(rng_float(), scale_b);
			if (rng() % 4 == 0)
				a[i] = 0;
			if (!isfinite(b[i]))
				b[i] = FLT_MAX;
		}
		if (!check_distances(a, b, dim))
			return false;
	}
	return true;
}

/* the cases the promise names, and the ends of the range */
static bool
test_promises(void)
{
	static const float ends[] = {0, 0x1p-149f, FLT_MIN, 1e-30f, 1e-20f, 3.1e-14f, 3.2e-14f, 1e-10f,
		1, 1e18f, 9.99e18f, 1.0e19f, 1.85e19f, 1e20f, 1e38f, FLT_MAX};
	const int	n = sizeof(ends) / sizeof(ends[0]);
	float		x[2] = {1e20f, 0};
	float		y[2] = {1e-30f, 0};
	float		z[2] = {1e-30f, 1e-30f};
	float		zero[2] = {0, 0};

	at_work = "distance.h";
	if (fabs(sqrt(vec_l2sq_f32(x, zero, 2)) / 1e20 - 1) > 1e-6 ||
		vec_cosine_f32(y, y, 2) != 0 ||
		fabs(sqrt(vec_l2sq_f32(z, zero, 2)) / 1.41421356e-30 - 1) > 1e-6)
		return failed("a promised case");
	for (int i = 0; i < n * n * n * n; i++)
	{
		float		a[2] = {ends[i % n], -ends[i / n % n]};
		float		b[2] = {-ends[i / n / n % n], ends[i / n / n / n]};

		if (!check_distances(a, b, 2))
			return false;
		b[0] = -b[0];
		if (!check_distances(a, b, 2))
			return false;
	}
	return true;
}

/* norms at which the inner product of equal directions could round to infinity */
static bool
test_near_overflow(void)
{
	static float a[3000];

	rng_state = SEED;
	at_work = "distance.h near overflow";
	for (int round = 0; round < 400; round++)
	{
		int			dim = 1 + (int) (rng() % 3000);
		float		scale = (float) sqrt((0.25 + round / 400.0) * FLT_MAX / dim);

		for (int i = 0; i < dim; i++)
			a[i] = scale * (1 + rng_float() * 1e-3f);
		if (!isfinite(vec_l2sq_f32(a, a, dim)) || vec_cosine_f32(a, a, dim) != 0 ||
			!isfinite(vec_dot_f32(a, a, dim)))
			return failed("dim %d, element %g", dim, scale);
	}
	return true;
}

/*--- dispatch ----------------------------------------------------------*/

/* every kernel of the list is there */
static bool
is_complete(const VecKernels *k)
{
#define X(result, kernel, args) \
	if (k->kernel == NULL) \
		return failed("%s has no " #kernel, k->name);
	VEC_KERNELS(X)
#undef X
	return true;
}

static bool
test_dispatch(void)
{
	int			n = 0;

	at_work = "dispatch";
	if (vec_kernels == NULL)
		return failed("no table before vec_kernels_init()");
	vec_kernels_init();
	if (vec_kernels != vec_kernels_usable(0))
		return failed("not the best table");
	for (; vec_kernels_usable(n) != NULL; n++)
	{
		if (vec_kernels_find(vec_kernels_usable(n)->name) != vec_kernels_usable(n))
			return failed("%s not found by name", vec_kernels_usable(n)->name);
		if (!is_complete(vec_kernels_usable(n)))
			return false;
	}
	if (n == 0 || vec_kernels_usable(n - 1) != &vec_kernels_scalar)
		return failed("scalar is not the last table");
	if (vec_kernels_usable(-1) != NULL || vec_kernels_usable(n + 1) != NULL)
		return failed("a table outside the list");
	if (vec_kernels_find("") != NULL || vec_kernels_find("sse9") != NULL)
		return failed("a table that does not exist");
	return true;
}

static void
test_table(const VecKernels *k, const char *name)
{
	table_name = name;

	fill_vectors(uniform_value);
	report(for_every_dim(k, f32_of_dim), "float sums, dims 0..2100, 4096, 16000");
	report(for_every_dim(k, f16_of_dim), "half sums, dims 0..2100, 4096, 16000");
	report(for_every_dim(k, many_of_dim), "many rows, dims 1..2100, 4096, 16000");
	report(test_row_counts(k), "many rows, 0..9 rows");
	report(for_some_dims(k, unaligned_dim), "any alignment, same result");
	report(test_equal(k), "equal vectors, exact zero");
	fill_vectors(biased_value);
	report(for_some_dims(k, f32_of_dim) && for_some_dims(k, f16_of_dim) &&
		   for_some_dims(k, many_of_dim), "one-sided rounding");
	fill_vectors(spread_value);
	report(for_some_dims(k, f32_of_dim) && for_some_dims(k, f16_of_dim) &&
		   for_some_dims(k, many_of_dim), "mixed magnitudes");
	report(test_integers(k), "small integers, exact");
	report(test_special(k), "NaN and infinity show");
	report(test_extremes(k), "float extremes");
	report(test_half_extremes(k), "half extremes");
	report(test_all_halves(k), "all 65536 halves, both ways");
	report(test_rounding(k), "halves to nearest even");
	report(for_every_dim(k, convert_dim), "conversions, every length");
	report(for_every_dim(k, swap_dim), "byte swaps, every length");
	report(test_bits(k), "bit strings, 0..2400 bits");
	report(test_long_bits(k), "long bit strings");
	report(test_sparse(k), "sparse sums");
	report(test_sparse_exhaustive(k), "sparse, every pair of small sets");
	report(test_sparse_damaged(k), "sparse, damaged");
	report(test_sparse_gallop(k), "sparse, one list much longer");
	report(test_sparse_extremes(k), "sparse extremes");

	vec_kernels = k;
	report(test_distances(), "distances stay finite, random magnitudes");
	report(test_promises(), "distances stay finite, ends of the range");
	report(test_near_overflow(), "distances stay finite, near overflow");
}

int
main(void)
{
	size_t		bytes = 2 * (MAX_DIM + 64) * sizeof(float);	/* both ends, no overlap */
	struct sigaction action = {.sa_handler = on_fault};

	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);

	vectors.a = arena_create(bytes);
	vectors.b = arena_create(bytes);
	vectors.half_a = arena_create(bytes);
	vectors.half_b = arena_create(bytes);
	vectors.out = arena_create(bytes);

	table_name = "dispatch";
	report(test_dispatch(), "tables and names");
	for (int i = 0; vec_kernels_usable(i) != NULL; i++)
		test_table(vec_kernels_usable(i), vec_kernels_usable(i)->name);

#ifdef __x86_64__
	/* the table of a CPU without VPOPCNTDQ and VNNI, where dispatch prefers the other */
	if (vec_kernels_find("avx512") != NULL && vec_kernels_find("avx512") != &vec_kernels_avx512)
		test_table(&vec_kernels_avx512, "avx512 without vpopcntdq and vnni");
#endif

	printf("1..%d\n", ntests);
	if (nfailed > 0)
		printf("# %d of %d failed\n", nfailed, ntests);
	return nfailed > 0;
}
