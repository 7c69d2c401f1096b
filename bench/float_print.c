/*-------------------------------------------------------------------------
 *
 * float_print.c
 *	  Nanoseconds per element of vec_print_floats() beside snprintf("%.9g").
 *
 * make -C bench float_print; build/bench/float_print [INSTRUCTION_SET]
 *
 * Each row is another distribution of numbers.  100 different vectors, so that
 * the branch predictor cannot learn one by heart; the best of 15 rounds.
 *
 * With -DSERVER, and libpgcommon.a and libpgport.a of "pg_config --libdir"
 * after -lm, it times the server's own function as well.
 *
 *-------------------------------------------------------------------------
 */
#define _POSIX_C_SOURCE 200809L

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernels/float_print.h"
#include "kernels/kernels.h"

#define DIM			1536
#define VECTORS		100
#define ROUNDS		15

static uint64_t seed = 42;

static uint32_t
random32(void)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t) (seed >> 32);
}

/* uniform in [0, 1) */
static double
uniform(void)
{
	return random32() / 4294967296.0;
}

/* about normal, variance 1 */
static float
normal(void)
{
	double		sum = 0;

	for (int i = 0; i < 12; i++)
		sum += uniform();
	return (float) (sum - 6);
}

/* an element of a unit vector of 1536 dimensions */
static float
embedding(void)
{
	return normal() * 0.0255f;
}

/* the same after rounding to 11 bits, as halfvec prints it */
static float
half(void)
{
	float		value = embedding();
	uint32_t	bits;

	memcpy(&bits, &value, sizeof(bits));
	bits = (bits + 0x1000) & 0xFFFFE000;
	memcpy(&value, &bits, sizeof(bits));
	return value;
}

static float
short_decimal(void)
{
	return (float) (round(embedding() * 1e4) / 1e4);
}

/* SIFT descriptors: bytes, many of them small */
static float
byte(void)
{
	double		x = uniform();

	return (float) (int) (x * x * 180);
}

static float
any_float(void)
{
	uint32_t	bits;
	float		value;

	do
		bits = random32();
	while ((bits & 0x7F800000) == 0x7F800000);
	memcpy(&value, &bits, sizeof(value));
	return value;
}

typedef struct Distribution
{
	const char *name;
	float		(*draw) (void);
} Distribution;

static const Distribution distributions[] = {
	{"embedding", embedding},
	{"standard normal", normal},
	{"embedding as half", half},
	{"4 decimals", short_decimal},
	{"small integers", byte},
	{"any float, exponents", any_float},
};

static char *
print_by_snprintf(char *p, const float *x, int n)
{
	for (int i = 0; i < n; i++)
		p += sprintf(p, i > 0 ? ",%.9g" : "%.9g", (double) x[i]);
	return p;
}

#ifdef SERVER
extern int	float_to_shortest_decimal_bufn(float value, char *text);

static char *
print_by_server(char *p, const float *x, int n)
{
	for (int i = 0; i < n; i++)
	{
		if (i > 0)
			*p++ = ',';
		p += float_to_shortest_decimal_bufn(x[i], p);
	}
	return p;
}
#endif

typedef char *(*Printer) (char *p, const float *x, int n);

static const Printer printers[] = {
	print_by_snprintf,
#ifdef SERVER
	print_by_server,
#endif
	vec_print_floats
};

#define NPRINTERS	((int) (sizeof(printers) / sizeof(printers[0])))

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec * 1e9 + (double) t.tv_nsec;
}

/* nanoseconds per element, best round; *bytes is what one vector takes */
static double
measure(Printer print, const float *vectors, char *text, double *bytes)
{
	double		best = INFINITY;

	for (int round = 0; round < ROUNDS; round++)
	{
		double		start = now();
		double		spent;
		size_t		total = 0;

		for (int i = 0; i < VECTORS; i++)
			total += (size_t) (print(text, vectors + i * DIM, DIM) - text);
		spent = (now() - start) / (VECTORS * DIM);
		if (spent < best)
			best = spent;
		*bytes = (double) total / (VECTORS * DIM);
	}
	return best;
}

int
main(int argc, char **argv)
{
	float	   *vectors = malloc(sizeof(float) * DIM * VECTORS);
	char	   *text = malloc(DIM * 32);

	if (vectors == NULL || text == NULL)
		abort();
	vec_kernels_init();
	if (argc > 1 && (vec_kernels = vec_kernels_find(argv[1])) == NULL)
		return 1;

	printf("%-22s %8s %9s%s %8s %8s\n", "ns per element", "bytes", "snprintf",
		   NPRINTERS > 2 ? "   server" : "", "vecext", "times");
	for (size_t d = 0; d < sizeof(distributions) / sizeof(distributions[0]); d++)
	{
		double		spent[NPRINTERS];
		double		bytes = 0;

		for (int i = 0; i < DIM * VECTORS; i++)
			vectors[i] = distributions[d].draw();
		for (int i = 0; i < NPRINTERS; i++)
			spent[i] = measure(printers[i], vectors, text, &bytes);

		printf("%-22s %8.1f", distributions[d].name, bytes);
		for (int i = 0; i < NPRINTERS; i++)
			printf(" %8.1f", spent[i]);
		printf(" %8.1f\n", spent[NPRINTERS - 2] / spent[NPRINTERS - 1]);
	}

	free(vectors);
	free(text);
	return 0;
}
