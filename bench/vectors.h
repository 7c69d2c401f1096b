/*-------------------------------------------------------------------------
 *
 * vectors.h
 *	  Files of vectors and exact answers, for the harnesses of this folder.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_BENCH_VECTORS_H
#define VECEXT_BENCH_VECTORS_H

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "quant/quant.h"

#define K				10
#define MAX_QUERIES		1000
#define GT_MAGIC		UINT64_C(0x3154475645434558)

static void __attribute__((noreturn, format(printf, 1, 2)))
die(const char *format,...)
{
	va_list		args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

/* zeroed memory that only costs what is touched */
static void *
get_memory(size_t size)
{
	void	   *p = mmap(NULL, size ? size : 1, PROT_READ | PROT_WRITE,
						 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		die("cannot get %zu bytes: %s", size, strerror(errno));
	return p;
}

static double
seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double) t.tv_sec + (double) t.tv_nsec * 1e-9;
}

static void
no_tick(void)
{
}

/*--- data ----------------------------------------------------------------*/

typedef struct Vectors
{
	int			n;
	int			dim;
	float	   *x;				/* n rows of dim */
} Vectors;

static bool
has_suffix(const char *name, const char *suffix)
{
	size_t		n = strlen(name);
	size_t		m = strlen(suffix);

	return n >= m && strcmp(name + n - m, suffix) == 0;
}

static void
read_exactly(FILE *file, void *p, size_t size, const char *name)
{
	if (fread(p, 1, size, file) != size)
		die("%s: too short", name);
}

/* one row of an element type, widened */
static void
widen(const void *raw, size_t element, float *x, int dim)
{
	if (element == 1)
	{
		for (int i = 0; i < dim; i++)
			x[i] = ((const uint8_t *) raw)[i];
	}
	else if (element == 2)
		vec_kernels->half_to_float(raw, x, dim);
	else
		memcpy(x, raw, (size_t) dim * sizeof(float));
}

static Vectors
load_bin(FILE *file, const char *name, size_t element, int most)
{
	uint32_t	head[2];
	Vectors		v;
	uint8_t    *raw;

	read_exactly(file, head, sizeof(head), name);
	if (head[0] == 0 || head[1] == 0 || head[1] > QUANT_MAX_DIM || head[0] > 100000000)
		die("%s: %u vectors of %u dimensions?", name, head[0], head[1]);
	v.n = (int) head[0] < most ? (int) head[0] : most;
	v.dim = (int) head[1];
	v.x = get_memory((size_t) v.n * (size_t) v.dim * sizeof(float));
	raw = malloc((size_t) v.dim * element);
	for (int i = 0; i < v.n; i++)
	{
		read_exactly(file, raw, (size_t) v.dim * element, name);
		widen(raw, element, v.x + (size_t) i * (size_t) v.dim, v.dim);
	}
	free(raw);
	return v;
}

static Vectors
load_fvecs(FILE *file, const char *name, int most)
{
	Vectors		v = {0, 0, NULL};
	int32_t		dim;
	size_t		room = 0;

	while (v.n < most && fread(&dim, sizeof(dim), 1, file) == 1)
	{
		if (dim < 1 || dim > QUANT_MAX_DIM || (v.n > 0 && dim != v.dim))
			die("%s: vector %d has %d dimensions", name, v.n, dim);
		v.dim = dim;
		if ((size_t) v.n == room)
		{
			room = room ? room * 2 : 1024;
			v.x = realloc(v.x, room * (size_t) dim * sizeof(float));
		}
		read_exactly(file, v.x + (size_t) v.n * (size_t) dim, (size_t) dim * sizeof(float), name);
		v.n++;
	}
	return v;
}

static Vectors
load(const char *name, int most)
{
	char		command[4096];
	char		plain[4096];
	bool		packed = has_suffix(name, ".gz");
	FILE	   *file;
	Vectors		v;

	snprintf(plain, sizeof(plain), "%s", name);
	if (packed)
	{
		if (strchr(name, '\'') != NULL)
			die("%s: quotes in a name are not supported", name);
		plain[strlen(plain) - 3] = '\0';
		snprintf(command, sizeof(command), "gzip -dc '%s'", name);
		file = popen(command, "r");
	}
	else
		file = fopen(name, "rb");
	if (file == NULL)
		die("%s: %s", name, strerror(errno));

	if (has_suffix(plain, ".u8bin"))
		v = load_bin(file, name, 1, most);
	else if (has_suffix(plain, ".f16bin"))
		v = load_bin(file, name, 2, most);
	else if (has_suffix(plain, ".f32bin"))
		v = load_bin(file, name, 4, most);
	else if (has_suffix(plain, ".fvecs"))
		v = load_fvecs(file, name, most);
	else
		die("%s: unknown kind of file", name);
	if (packed)
		pclose(file);
	else
		fclose(file);
	return v;
}

static void
normalise(Vectors *v)
{
	for (int i = 0; i < v->n; i++)
	{
		float	   *x = v->x + (size_t) i * (size_t) v->dim;
		double		norm = sqrt(vec_kernels->normsq_f32(x, v->dim));

		for (int j = 0; j < v->dim && norm > 0; j++)
			x[j] = (float) (x[j] / norm);
	}
}

static const float *
row_of(const Vectors *v, uint32_t i)
{
	return v->x + (size_t) i * (size_t) v->dim;
}

/*--- exact answers -------------------------------------------------------*/

/* smaller is nearer; vectors are normalised for cosine */
static float
exact_distance(QuantMetric metric, const float *q, const float *x, int dim)
{
	return metric == QUANT_IP ? -vec_kernels->dot_f32(q, x, dim) :
		vec_kernels->l2sq_f32(q, x, dim);
}

static void
exact_search(const Vectors *base, const float *q, QuantMetric metric, float *nearest)
{
	float		block[256];
	int			n = 0;

	for (int i = 0; i < base->n; i += 256)
	{
		int			count = base->n - i < 256 ? base->n - i : 256;
		const float *rows = row_of(base, (uint32_t) i);

		if (metric == QUANT_IP)
			vec_kernels->dot_many_f32(q, rows, (size_t) base->dim, count, base->dim, block);
		else
			vec_kernels->l2sq_many_f32(q, rows, (size_t) base->dim, count, base->dim, block);
		for (int b = 0; b < count; b++)
		{
			float		d = metric == QUANT_IP ? -block[b] : block[b];
			int			j;

			if (n == K && d >= nearest[K - 1])
				continue;
			j = n < K ? n++ : K - 1;
			for (; j > 0 && nearest[j - 1] > d; j--)
				nearest[j] = nearest[j - 1];
			nearest[j] = d;
		}
	}
}

/* a number that changes with the data, for the cache of exact answers */
static uint64_t
fingerprint(const Vectors *v, uint64_t hash)
{
	for (size_t i = 0; i < (size_t) v->n * (size_t) v->dim; i += 17)
	{
		uint32_t	bits;

		memcpy(&bits, v->x + i, sizeof(bits));
		hash = (hash ^ bits) * UINT64_C(0x9E3779B97F4A7C15);
		hash ^= hash >> 29;
	}
	return hash ^ (uint64_t) v->n << 32 ^ (uint64_t) v->dim;
}

/* distances of the K nearest of each query, from the cache if it has them */
static float *
exact_answers(const Vectors *base, const Vectors *query, QuantMetric metric, const char *cache)
{
	size_t		size = (size_t) query->n * K * sizeof(float);
	float	   *nearest = malloc(size);
	uint64_t	key[2] = {GT_MAGIC, 0};
	uint64_t	found[2];
	char		name[4096];
	FILE	   *file;

	key[1] = fingerprint(query, fingerprint(base, (uint64_t) metric + 1));
	snprintf(name, sizeof(name), "%s/exact-%016llx", cache, (unsigned long long) key[1]);
	file = fopen(name, "rb");
	if (file != NULL)
	{
		bool		ok = fread(found, sizeof(found), 1, file) == 1 &&
			memcmp(found, key, sizeof(key)) == 0 && fread(nearest, size, 1, file) == 1;

		fclose(file);
		if (ok)
			return nearest;
	}

	for (int i = 0; i < query->n; i++)
		exact_search(base, row_of(query, (uint32_t) i), metric, nearest + (size_t) i * K);
	file = fopen(name, "wb");
	if (file != NULL)
	{
		fwrite(key, sizeof(key), 1, file);
		fwrite(nearest, size, 1, file);
		fclose(file);
	}
	return nearest;
}

#endif							/* VECEXT_BENCH_VECTORS_H */
