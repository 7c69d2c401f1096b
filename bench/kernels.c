/*-------------------------------------------------------------------------
 *
 * kernels.c
 *	  Throughput of every kernel, beside what the machine can do at best.
 *
 * For each kernel, table and dimension: gigabytes of rows per second from
 * the cache and from memory, the first also as a share of the multiply-add
 * peak of that instruction set, the second as a share of the bandwidth of a
 * plain sum over the same memory; both limits are measured in the same run.
 *
 *	kernels [megabytes of streamed memory, default 1024 [part of a name]]
 *
 * See bench/README.md for how to read the table.
 *
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "kernels/kernels_isa.h"

#define CACHE_BYTES		(24 * 1024)	/* of rows; with the query, inside a 32 kB L1 */
#define WINDOW_BYTES	((size_t) 32 << 20)	/* streamed in one measurement */
#define MAX_DIM			1536
#define MAX_ROWS		(WINDOW_BYTES / 16)
#define SPARSE_ROWS		8
#define REPEATS			12		/* the best counts: others may use the machine */
#define SECONDS			0.0015	/* of one repeat, at least */

static const int dims[] = {128, 768, 1536};

#define NDIMS ((int) (sizeof(dims) / sizeof(dims[0])))

/* rows to compare with the query, one after the other */
typedef struct Job
{
	const VecKernels *table;
	const void *query;
	const char *rows;
	int			nrows;
	int			dim;
} Job;

/* how to run one kernel */
typedef struct Bench
{
	void		(*run) (const Job *job);
	int			row_bits;		/* bits of row per dimension */
	int			ops;			/* vector multiply-adds per element; 0: not such a kernel */
} Bench;

static float query[MAX_DIM];
static char output[MAX_DIM * sizeof(float)];
static float *results;
static VecSparse sparse_query;
static VecSparse sparse_rows[SPARSE_ROWS];

/* results end here, so that no call is optimised away */
static volatile double sink;

/*--- one runner per kernel ---------------------------------------------*/

#define PAIR_RUNNER(kernel, elem) \
	static void run_##kernel(const Job *j) \
	{ \
		double		sum = 0; \
		for (int r = 0; r < j->nrows; r++) \
			sum += j->table->kernel(j->query, (const elem *) j->rows + (size_t) r * j->dim, j->dim); \
		sink += sum; \
	}

#define ONE_RUNNER(kernel, elem) \
	static void run_##kernel(const Job *j) \
	{ \
		double		sum = 0; \
		for (int r = 0; r < j->nrows; r++) \
			sum += j->table->kernel((const elem *) j->rows + (size_t) r * j->dim, j->dim); \
		sink += sum; \
	}

#define COSINE_RUNNER(kernel, elem) \
	static void run_##kernel(const Job *j) \
	{ \
		VecCosineSums s; \
		double		sum = 0; \
		for (int r = 0; r < j->nrows; r++) \
		{ \
			j->table->kernel(j->query, (const elem *) j->rows + (size_t) r * j->dim, j->dim, &s); \
			sum += s.dot; \
		} \
		sink += sum; \
	}

#define MANY_RUNNER(kernel, elem) \
	static void run_##kernel(const Job *j) \
	{ \
		j->table->kernel(query, (const elem *) j->rows, (size_t) j->dim, j->nrows, j->dim, \
						 results); \
		sink += results[j->nrows - 1]; \
	}

#define MAP_RUNNER(kernel, from, to) \
	static void run_##kernel(const Job *j) \
	{ \
		for (int r = 0; r < j->nrows; r++) \
			j->table->kernel((const void *) ((const from *) j->rows + (size_t) r * j->dim), \
							 (void *) output, j->dim); \
		sink += output[0]; \
	}

#define SPARSE_RUNNER(kernel) \
	static void run_##kernel(const Job *j) \
	{ \
		double		sum = 0; \
		for (int r = 0; r < SPARSE_ROWS; r++) \
			sum += j->table->kernel(&sparse_query, &sparse_rows[r]); \
		sink += sum; \
	}

PAIR_RUNNER(l2sq_f32, float)
PAIR_RUNNER(dot_f32, float)
PAIR_RUNNER(l1_f32, float)
COSINE_RUNNER(cosine_f32, float)
ONE_RUNNER(normsq_f32, float)
MANY_RUNNER(l2sq_many_f32, float)
MANY_RUNNER(dot_many_f32, float)
PAIR_RUNNER(l2sq_f16, vec_half)
PAIR_RUNNER(dot_f16, vec_half)
PAIR_RUNNER(l1_f16, vec_half)
COSINE_RUNNER(cosine_f16, vec_half)
ONE_RUNNER(normsq_f16, vec_half)
MANY_RUNNER(l2sq_many_f16, vec_half)
MANY_RUNNER(dot_many_f16, vec_half)
SPARSE_RUNNER(l2sq_sparse)
SPARSE_RUNNER(dot_sparse)
SPARSE_RUNNER(l1_sparse)
MAP_RUNNER(half_to_float, vec_half, float)
MAP_RUNNER(float_to_half, float, vec_half)
ONE_RUNNER(finite_f32, float)
ONE_RUNNER(finite_f16, vec_half)
MAP_RUNNER(swap_bytes32, float, float)
MAP_RUNNER(swap_bytes16, vec_half, vec_half)

static void
run_hamming_bits(const Job *j)
{
	size_t		bytes = (size_t) j->dim / 8;
	uint64_t	sum = 0;

	for (int r = 0; r < j->nrows; r++)
		sum += j->table->hamming_bits(j->query, (const uint8_t *) j->rows + (size_t) r * bytes,
									  bytes);
	sink += (double) sum;
}

static void
run_jaccard_bits(const Job *j)
{
	size_t		bytes = (size_t) j->dim / 8;
	uint64_t	sum = 0;
	VecBitSums	s;

	for (int r = 0; r < j->nrows; r++)
	{
		j->table->jaccard_bits(j->query, (const uint8_t *) j->rows + (size_t) r * bytes, bytes, &s);
		sum += s.both;
	}
	sink += (double) sum;
}

/* codes: "dim" levels of so many bits */
#define CODE_RUNNER(kernel, bits, other) \
	static void run_##kernel(const Job *j) \
	{ \
		size_t		bytes = (size_t) j->dim * (bits) / 8; \
		double		sum = 0; \
		for (int r = 0; r < j->nrows; r++) \
			sum += j->table->kernel((const uint8_t *) j->rows + (size_t) r * bytes, other, j->dim); \
		sink += sum; \
	}

CODE_RUNNER(dot_u8_f32, 8, query)
CODE_RUNNER(dot_u4_f32, 4, query)
CODE_RUNNER(dot_u2_f32, 2, query)
CODE_RUNNER(dot_u8, 8, (const uint8_t *) j->query)
CODE_RUNNER(dot_u4, 4, (const uint8_t *) j->query)
CODE_RUNNER(dot_u2, 2, (const uint8_t *) j->query)
CODE_RUNNER(dot_u8_s8, 8, (const int8_t *) j->query)

/* as many rows at a time as a node has links */
static void
run_dot_u4_rows(const Job *j)
{
	const uint8_t *row[32];
	int32_t		dot[32];
	size_t		bytes = (size_t) j->dim / 2;
	double		sum = 0;

	for (int r = 0; r < j->nrows; r += 32)
	{
		int			n = j->nrows - r < 32 ? j->nrows - r : 32;

		for (int i = 0; i < n; i++)
			row[i] = (const uint8_t *) j->rows + (size_t) (r + i) * bytes;
		j->table->dot_u4_rows(j->query, row, n, j->dim, dot);
		for (int i = 0; i < n; i++)
			sum += dot[i];
	}
	sink += sum;
}

static void
run_l2sq_u8_f32(const Job *j)
{
	double		sum = 0;

	for (int r = 0; r < j->nrows; r++)
		sum += j->table->l2sq_u8_f32((const uint8_t *) j->rows + (size_t) r * j->dim, query,
									 -1, 0.01f, j->dim);
	sink += sum;
}

static void
run_fit_code_f32(const Job *j)
{
	float		xy;
	float		yy;

	for (int r = 0; r < j->nrows; r++)
	{
		j->table->fit_code_f32((const float *) j->rows + (size_t) r * j->dim, j->dim, 1, 4,
							   &xy, &yy);
		sink += xy;
	}
}

/* a row is a node: 24 links of dim / 8 groups, two bits for a quarter of dim */
static void
run_scan_links(const Job *j)
{
	static const uint8_t lut[MAX_DIM / 8 * 16];
	static const vec_half zero[24];
	VecScanTable table = {lut, j->dim / 8, 1, 0};
	float		estimate[24];

	for (int r = 0; r < j->nrows; r++)
	{
		j->table->scan_links(&table, (const uint8_t *) j->rows + (size_t) r * j->dim * 3 / 2,
							 zero, zero, 24, 0, estimate);
		sink += estimate[0];
	}
}

/* rows against two panels of VEC_PANEL, eight at a time */
static void
run_nearest_rows(const Job *j)
{
	static float panels[2 * VEC_PANEL * MAX_DIM];
	static const float bias[2 * VEC_PANEL];
	const float *row[8];
	float		score[8];
	int32_t		index[8];

	for (int r = 0; r < j->nrows; r += 8)
	{
		int			n = j->nrows - r < 8 ? j->nrows - r : 8;

		for (int i = 0; i < n; i++)
		{
			row[i] = (const float *) j->rows + (size_t) (r + i) * j->dim;
			score[i] = -1;
		}
		j->table->nearest_rows(row, n, panels, bias, 2, j->dim, 0, score, index);
		sink += score[0];
	}
}

/* a row is a block of 32 one-bit codes */
static void
run_scan_block(const Job *j)
{
	static const uint8_t lut[MAX_DIM / 4 * 16];
	static const float terms[3 * VEC_BLOCK];
	VecListTable table = {lut, NULL, j->dim / 4, j->dim, 1, 0};
	VecListAt	at = {0, 0, 0, 0};
	float		estimate[VEC_BLOCK];
	float		lower[VEC_BLOCK];

	for (int r = 0; r < j->nrows; r++)
		sink += j->table->scan_block(&table, (const uint8_t *) j->rows + (size_t) r * j->dim * 4,
									 terms, &at, estimate, lower);
}

static void
run_scan_bytes(const Job *j)
{
	static const float terms[3 * VEC_BLOCK];
	VecListTable table = {NULL, j->query, j->dim / 4, j->dim, 1, 0};
	VecListAt	at = {0, 0, 0, 0};
	float		estimate[VEC_BLOCK];
	float		lower[VEC_BLOCK];

	for (int r = 0; r < j->nrows; r += VEC_BLOCK)
		sink += j->table->scan_bytes(&table, (const uint8_t *) j->rows + (size_t) r * j->dim,
									 (size_t) j->dim,
									 j->nrows - r < VEC_BLOCK ? j->nrows - r : VEC_BLOCK,
									 terms, &at, estimate, lower);
}

static void
run_mask_block(const Job *j)
{
	for (int r = 0; r < j->nrows; r++)
	{
		const float *row = (const float *) j->rows + (size_t) r * j->dim;

		for (int i = 0; i < j->dim; i += VEC_BLOCK)
			sink += j->table->mask_block(row + i, 0);
	}
}

static void
run_sign_code_f32(const Job *j)
{
	VecSignSums sums;

	for (int r = 0; r < j->nrows; r++)
	{
		j->table->sign_code_f32((const float *) j->rows + (size_t) r * j->dim, j->query, NULL,
								j->dim, (uint8_t *) output, &sums);
		sink += (float) sums.yr;
	}
}

static void
run_flip_signs(const Job *j)
{
	for (int r = 0; r < j->nrows; r++)
		j->table->flip_signs((float *) output, (const uint8_t *) j->rows + (size_t) r * j->dim / 8,
							 j->dim);
	sink += output[0];
}

/* of the largest power of two in dim; the rows are only counted */
static void
run_hadamard_f32(const Job *j)
{
	int			n = 1;

	while (n * 2 <= j->dim)
		n *= 2;
	for (int r = 0; r < j->nrows; r++)
		j->table->hadamard_f32((float *) output, n, 0.03125f);
	sink += output[0];
}

static void
run_add_rows_f32(const Job *j)
{
	static const float coef[8] = {1, -1, 1, -1, 1, -1, 1, -1};

	for (int r = 0; r + 8 <= j->nrows; r += 8)
		j->table->add_rows_f32((float *) output, (const float *) j->rows + (size_t) r * j->dim,
							   (size_t) j->dim, coef, 8, j->dim);
	sink += output[0];
}

/*
 * Operations that need a floating-point port; widening halves is not
 * counted.  Sparse rows hold "dim" elements, an index and a value each.
 */
/* kernels of text have benchmarks of their own: literal.c and float_print.c */
#define bench_print_block	bench_elsewhere
#define bench_find_commas	bench_elsewhere
#define bench_parse_block	bench_elsewhere
static const Bench bench_elsewhere = {NULL, 0, 0};
static const Bench bench_l2sq_f32 = {run_l2sq_f32, 32, 2};
static const Bench bench_dot_f32 = {run_dot_f32, 32, 1};
static const Bench bench_l1_f32 = {run_l1_f32, 32, 2};
static const Bench bench_cosine_f32 = {run_cosine_f32, 32, 3};
static const Bench bench_normsq_f32 = {run_normsq_f32, 32, 0};
static const Bench bench_l2sq_many_f32 = {run_l2sq_many_f32, 32, 2};
static const Bench bench_dot_many_f32 = {run_dot_many_f32, 32, 1};
static const Bench bench_l2sq_f16 = {run_l2sq_f16, 16, 2};
static const Bench bench_dot_f16 = {run_dot_f16, 16, 1};
static const Bench bench_l1_f16 = {run_l1_f16, 16, 2};
static const Bench bench_cosine_f16 = {run_cosine_f16, 16, 3};
static const Bench bench_normsq_f16 = {run_normsq_f16, 16, 0};
static const Bench bench_l2sq_many_f16 = {run_l2sq_many_f16, 16, 2};
static const Bench bench_dot_many_f16 = {run_dot_many_f16, 16, 1};
static const Bench bench_hamming_bits = {run_hamming_bits, 1, 0};
static const Bench bench_jaccard_bits = {run_jaccard_bits, 1, 0};
static const Bench bench_l2sq_sparse = {run_l2sq_sparse, 64, 0};
static const Bench bench_dot_sparse = {run_dot_sparse, 64, 0};
static const Bench bench_l1_sparse = {run_l1_sparse, 64, 0};
static const Bench bench_half_to_float = {run_half_to_float, 16, 0};
static const Bench bench_float_to_half = {run_float_to_half, 32, 0};
static const Bench bench_finite_f32 = {run_finite_f32, 32, 0};
static const Bench bench_finite_f16 = {run_finite_f16, 16, 0};
static const Bench bench_swap_bytes32 = {run_swap_bytes32, 32, 0};
static const Bench bench_swap_bytes16 = {run_swap_bytes16, 16, 0};
static const Bench bench_dot_u8_f32 = {run_dot_u8_f32, 8, 1};
static const Bench bench_dot_u4_f32 = {run_dot_u4_f32, 4, 1};
static const Bench bench_dot_u2_f32 = {run_dot_u2_f32, 2, 1};
static const Bench bench_dot_u8 = {run_dot_u8, 8, 0};
static const Bench bench_dot_u4 = {run_dot_u4, 4, 0};
static const Bench bench_dot_u4_rows = {run_dot_u4_rows, 4, 0};
static const Bench bench_dot_u2 = {run_dot_u2, 2, 0};
static const Bench bench_l2sq_u8_f32 = {run_l2sq_u8_f32, 8, 3};
static const Bench bench_fit_code_f32 = {run_fit_code_f32, 32, 0};
static const Bench bench_scan_links = {run_scan_links, 12, 0};
static const Bench bench_nearest_rows = {run_nearest_rows, 32, 2 * VEC_PANEL};
static const Bench bench_scan_block = {run_scan_block, 32, 0};
static const Bench bench_scan_bytes = {run_scan_bytes, 8, 0};
static const Bench bench_mask_block = {run_mask_block, 32, 0};
static const Bench bench_dot_u8_s8 = {run_dot_u8_s8, 8, 0};
static const Bench bench_sign_code_f32 = {run_sign_code_f32, 32, 0};
static const Bench bench_flip_signs = {run_flip_signs, 1, 0};
static const Bench bench_hadamard_f32 = {run_hadamard_f32, 32, 0};
static const Bench bench_add_rows_f32 = {run_add_rows_f32, 32, 1};

/* every kernel of the list */
static const struct
{
	const char *name;
	const Bench *bench;
}			benches[] = {
#define X(result, kernel, args) {#kernel, &bench_##kernel},
	VEC_KERNELS(X)
#undef X
};

/*--- limits of the machine ---------------------------------------------*/

/* seconds of CPU time: what other processes take is not counted */
static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double) t.tv_sec + (double) t.tv_nsec * 1e-9;
}

/* 16 independent chains of multiply-adds; the compiler unrolls and fuses them */
#define PEAK(isa, width, attribute) \
	typedef float Peak_##isa __attribute__((vector_size((width) * sizeof(float)))); \
	attribute static void peak_##isa(int n) \
	{ \
		float		start = (float) sink; \
		Peak_##isa	m = (Peak_##isa) {0} + 0.999f; \
		Peak_##isa	c = (Peak_##isa) {0} + 0.001f; \
		Peak_##isa	a0 = m + start, a1 = a0 + c, a2 = a1 + c, a3 = a2 + c; \
		Peak_##isa	a4 = a3 + c, a5 = a4 + c, a6 = a5 + c, a7 = a6 + c; \
		Peak_##isa	a8 = a7 + c, a9 = a8 + c, a10 = a9 + c, a11 = a10 + c; \
		for (int i = 0; i < n; i++) \
		{ \
			a0 = a0 * m + c; a1 = a1 * m + c; a2 = a2 * m + c; a3 = a3 * m + c; \
			a4 = a4 * m + c; a5 = a5 * m + c; a6 = a6 * m + c; a7 = a7 * m + c; \
			a8 = a8 * m + c; a9 = a9 * m + c; a10 = a10 * m + c; a11 = a11 * m + c; \
		} \
		a0 += a1 + a2 + a3 + a4 + a5 + a6 + a7 + a8 + a9 + a10 + a11; \
		sink += a0[0]; \
	}

#define PEAK_CHAINS 12

PEAK(scalar, 4, )
#ifdef __x86_64__
PEAK(avx2, 8, __attribute__((target("avx2,fma"))))
PEAK(avx512, 16, __attribute__((target("avx512f"))))
#endif
#ifdef __aarch64__
PEAK(neon, 4, )
#endif

/* float multiply-adds per second of this table's instructions */
static double
fma_peak(const VecKernels *k)
{
	void		(*run) (int n) = peak_scalar;
	int			width = 4;
	double		best = 1e9;

#ifdef __x86_64__
	if (k == vec_kernels_find("avx2"))
	{
		run = peak_avx2;
		width = 8;
	}
	if (k == vec_kernels_find("avx512"))
	{
		run = peak_avx512;
		width = 16;
	}
#endif
#ifdef __aarch64__
	if (k == vec_kernels_find("neon"))
		run = peak_neon;
#endif
	for (int i = 0; i < 10; i++)
	{
		double		start = now();

		run(1000000);
		if (now() - start < best)
			best = now() - start;
	}
	return 1e6 * PEAK_CHAINS * width / best;
}

/* sum of a window, by vectors of the widest table; returns seconds */
#define READER(isa, width, attribute) \
	typedef uint64_t Read_##isa __attribute__((vector_size(width))); \
	attribute static void read_##isa(const char *p, size_t bytes) \
	{ \
		const Read_##isa *v = (const Read_##isa *) (const void *) p; \
		Read_##isa	s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0}; \
		for (size_t i = 0; i < bytes / (width); i += 4) \
		{ \
			s0 += v[i]; s1 += v[i + 1]; s2 += v[i + 2]; s3 += v[i + 3]; \
		} \
		s0 += s1 + s2 + s3; \
		sink += (double) s0[0]; \
	}

READER(scalar, 16, )
#ifdef __x86_64__
READER(avx2, 32, __attribute__((target("avx2"))))
READER(avx512, 64, __attribute__((target("avx512f"))))
#endif

/* the memory that is streamed: windows taken in turn, so each is cold again */
static char *memory;
static size_t memory_bytes;
static size_t next_window;

static const char *
cold_window(void)
{
	const char *window = memory + next_window;

	next_window += WINDOW_BYTES;
	if (next_window + WINDOW_BYTES > memory_bytes)
		next_window = 0;
	return window;
}

/* best bytes per second of a plain sum */
static double
memory_bandwidth(void)
{
	double		best = 1e9;

	for (int i = 0; i < 2 * (int) (memory_bytes / WINDOW_BYTES); i++)
	{
		const char *window = cold_window();
		double		start = now();

#ifdef __x86_64__
		if (vec_kernels_find("avx512") != NULL)
			read_avx512(window, WINDOW_BYTES);
		else if (vec_kernels_find("avx2") != NULL)
			read_avx2(window, WINDOW_BYTES);
		else
#endif
			read_scalar(window, WINDOW_BYTES);
		if (now() - start < best)
			best = now() - start;
	}
	return (double) WINDOW_BYTES / best;
}

/*--- measuring ---------------------------------------------------------*/

/* best bytes of rows per second with all rows in cache */
static double
cached(const Bench *bench, const VecKernels *k, int dim, size_t row_bytes)
{
	int			nrows = bench->row_bits == 64 ? SPARSE_ROWS : (int) (CACHE_BYTES / row_bytes);
	Job			job = {k, query, memory, nrows, dim};
	double		best = 0;

	for (int i = 0; i < REPEATS; i++)
	{
		double		start = now();
		double		elapsed;
		int			rounds = 0;

		do
		{
			for (int n = 0; n < 8; n++)
				bench->run(&job);
			rounds += 8;
			elapsed = now() - start;
		} while (elapsed < SECONDS);
		if ((double) rounds * nrows * (double) row_bytes / elapsed > best)
			best = (double) rounds * nrows * (double) row_bytes / elapsed;
	}
	return best;
}

/* best bytes of rows per second with all rows in memory */
static double
streamed(const Bench *bench, const VecKernels *k, int dim, size_t row_bytes)
{
	int			nrows = (int) (WINDOW_BYTES / row_bytes);
	double		best = 0;

	for (int i = 0; i < REPEATS; i++)
	{
		Job			job = {k, query, cold_window(), nrows, dim};
		double		start = now();
		double		rate;

		bench->run(&job);
		rate = (double) nrows * (double) row_bytes / (now() - start);
		if (rate > best)
			best = rate;
	}
	return best;
}

/* a sparse vector of nnz elements, indices 1 to "gap" apart */
static void
make_sparse(VecSparse *v, int nnz, unsigned gap, unsigned seed)
{
	int32_t    *index = realloc((void *) v->index, (size_t) nnz * sizeof(int32_t));
	float	   *value = realloc((void *) v->value, (size_t) nnz * sizeof(float));
	int32_t		last = -1;

	if (index == NULL || value == NULL)
		exit(1);
	for (int i = 0; i < nnz; i++)
	{
		seed = seed * 1103515245 + 12345;
		last += 1 + (int32_t) ((seed >> 16) % gap);
		index[i] = last;
		value[i] = (float) i;
	}
	v->nnz = nnz;
	v->index = index;
	v->value = value;
}

static void
print_cell(const Bench *bench, const VecKernels *k, int dim, double peak, double bandwidth)
{
	size_t		row_bytes = (size_t) dim * (size_t) bench->row_bits / 8;
	double		rate = cached(bench, k, dim, row_bytes);
	double		ops = rate * 8 / bench->row_bits * bench->ops;

	printf(" | %6.1f", rate / 1e9);
	if (bench->ops > 0)
		printf(" %3.0f%%", 100 * ops / peak);
	else
		printf("     ");
	if (bench->row_bits == 64)
	{
		printf("              ");
		return;
	}
	rate = streamed(bench, k, dim, row_bytes);
	printf("  %6.1f %4.0f%%", rate / 1e9, 100 * rate / bandwidth);
}

/* shapes of sparse data: non-zeros, and largest gap of a row */
static const struct
{
	const char *name;
	int			query_nnz;
	int			row_nnz;
	unsigned	gap;
}			shapes[] = {
	{"45 of 30,522 (SPLADE)", 45, 45, 1355},
	{"100 of 30,000", 100, 100, 599},
	{"100 of 200", 100, 100, 3},
	{"100 of 100", 100, 100, 1},
	{"20 and 1,000 of 30,000", 20, 1000, 59},
};

/* nanoseconds per call of every sparse kernel on every shape, rows in cache */
static void
print_sparse_shapes(void)
{
	printf("\nnanoseconds per call on sparse vectors\n\n");
	for (size_t i = 0; i < sizeof(benches) / sizeof(benches[0]); i++)
	{
		if (benches[i].bench->row_bits != 64)
			continue;
		for (size_t s = 0; s < sizeof(shapes) / sizeof(shapes[0]); s++)
		{
			make_sparse(&sparse_query, shapes[s].query_nnz,
						shapes[s].gap * (unsigned) (shapes[s].row_nnz / shapes[s].query_nnz), 1);
			for (int r = 0; r < SPARSE_ROWS; r++)
				make_sparse(&sparse_rows[r], shapes[s].row_nnz, shapes[s].gap, 2 + (unsigned) r);
			printf("%-14s %-24s", benches[i].name, shapes[s].name);
			for (int t = 0; vec_kernels_usable(t) != NULL; t++)
				printf(" | %-7s %7.1f", vec_kernels_usable(t)->name,
					   1e9 / cached(benches[i].bench, vec_kernels_usable(t), 1, 1));
			printf("\n");
		}
	}
}

/*
 * Every 16 bits are a half in [1,2) and every 32 bits a normal float:
 * subnormals would measure something else.
 */
static void
fill_memory(size_t bytes)
{
	uint64_t	x = 1;

	memory_bytes = bytes;
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	results = malloc(MAX_ROWS * sizeof(float));
	if (memory == MAP_FAILED || results == NULL)
	{
		fprintf(stderr, "cannot allocate %zu bytes\n", bytes);
		exit(1);
	}
	madvise(memory, bytes, MADV_HUGEPAGE);
	memset(results, 0, MAX_ROWS * sizeof(float));
	for (size_t i = 0; i < bytes; i += sizeof(x))
	{
		uint64_t	halves;

		x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		halves = (x >> 5 & UINT64_C(0x03ff03ff03ff03ff)) | UINT64_C(0x3c003c003c003c00);
		memcpy(memory + i, &halves, sizeof(halves));
	}
	memcpy(query, memory + bytes / 2, sizeof(query));
}

int
main(int argc, char **argv)
{
	size_t		megabytes = argc > 1 ? strtoul(argv[1], NULL, 10) : 1024;
	const char *wanted = argc > 2 ? argv[2] : "";
	double		bandwidth;

	if (megabytes < 64 || megabytes > 1 << 20)
	{
		fprintf(stderr, "usage: kernels [megabytes, 64 or more [part of a kernel's name]]\n");
		return 2;
	}
	vec_kernels_init();
	fill_memory(megabytes << 20);
	bandwidth = memory_bandwidth();
	printf("read bandwidth of one core: %.1f GB/s (plain sum over %zu MB)\n", bandwidth / 1e9,
		   megabytes);
	for (int t = 0; vec_kernels_usable(t) != NULL; t++)
		printf("multiply-add peak, %s: %.1f G/s\n", vec_kernels_usable(t)->name,
			   fma_peak(vec_kernels_usable(t)) / 1e9);

	printf("\nGB/s of rows: cached, share of multiply-add peak; streamed, share of bandwidth\n\n"
		   "%-14s %-7s", "kernel", "table");
	for (int d = 0; d < NDIMS; d++)
		printf(" | dim %4d: cache      memory", dims[d]);
	printf("\n");
	for (size_t i = 0; i < sizeof(benches) / sizeof(benches[0]); i++)
	{
		if (strstr(benches[i].name, wanted) == NULL || benches[i].bench->run == NULL)
			continue;
		for (int t = 0; vec_kernels_usable(t) != NULL; t++)
		{
			const VecKernels *k = vec_kernels_usable(t);
			double		peak = fma_peak(k);

			printf("%-14s %-7s", benches[i].name, k->name);
			for (int d = 0; d < NDIMS; d++)
			{
				make_sparse(&sparse_query, dims[d], 19, 1);
				for (int r = 0; r < SPARSE_ROWS; r++)
					make_sparse(&sparse_rows[r], dims[d], 19, 2 + (unsigned) r);
				print_cell(benches[i].bench, k, dims[d], peak, bandwidth);
				fflush(stdout);
			}
			printf("\n");
		}
	}
	if (strstr("sparse", wanted) != NULL)
		print_sparse_shapes();
	return 0;
}
