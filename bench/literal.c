/*-------------------------------------------------------------------------
 *
 * literal.c
 *	  Nanoseconds per element of vec_parse_dense() beside a loop of strtof().
 *
 * make -C bench literal
 *
 * Each row is another distribution of numbers, each pair of columns a table of
 * kernels that this CPU can run.  100 different literals, so
 * that the branch predictor cannot learn one by heart; the best of 15 rounds.
 *
 *-------------------------------------------------------------------------
 */
#define _POSIX_C_SOURCE 200809L

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernels/kernels.h"
#include "kernels/literal.h"

#define DIM			1536
#define LITERALS	100
#define ROUNDS		15
#define MAX_ELEMENT 32			/* bytes, comma included */

static uint64_t seed = 42;

/* uniform in [0, 1) */
static double
uniform(void)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (double) (seed >> 11) / 9007199254740992.0;
}

/* an element of a unit vector of 1536 dimensions, about normal */
static double
element(void)
{
	double		sum = 0;

	for (int i = 0; i < 12; i++)
		sum += uniform();
	return (sum - 6) * 0.0255;
}

static int
print_short(char *s)
{
	return sprintf(s, "%.4f", element());
}

static int
print_float(char *s)
{
	return sprintf(s, "%.9g", (double) (float) element());
}

/* what PostgreSQL, Python and JavaScript print: the fewest digits that do */
static int
print_shortest_float(char *s)
{
	float		value = (float) element();
	int			digits = 6;

	do
		sprintf(s, "%.*g", digits++, (double) value);
	while (strtof(s, NULL) != value);
	return (int) strlen(s);
}

static int
print_double(char *s)
{
	return sprintf(s, "%.17g", element());
}

/* floats as doubles, what JSON writers make of a float array */
static int
print_float_as_double(char *s)
{
	return sprintf(s, "%.17g", (double) (float) element());
}

static int
print_exponent(char *s)
{
	return sprintf(s, "%.8e", element());
}

/* SIFT descriptors: bytes, many of them small */
static int
print_byte(char *s)
{
	double		x = uniform();

	return sprintf(s, "%d", (int) (x * x * 180));
}

typedef struct Distribution
{
	const char *name;
	int			(*print) (char *s);
} Distribution;

static const Distribution distributions[] = {
	{"4 decimals", print_short},
	{"9 digits", print_float},
	{"shortest float", print_shortest_float},
	{"17 digits", print_double},
	{"float printed as double", print_float_as_double},
	{"9 digits, exponent", print_exponent},
	{"small integers", print_byte},
};

/* the loop to beat: no white space, no checks but the comma */
static int
parse_by_strtof(const char *text, float *out)
{
	int			count = 0;
	char	   *p = (char *) text;

	do
		out[count++] = strtof(p + 1, &p);
	while (*p == ',');
	return count;
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec * 1e9 + (double) t.tv_nsec;
}

/* nanoseconds per element, best round; "fast" selects the parser */
static double
measure(char *const *texts, int fast, float *out)
{
	double		best = INFINITY;

	for (int round = 0; round < ROUNDS; round++)
	{
		double		start = now();
		double		spent;

		for (int i = 0; i < LITERALS; i++)
		{
			VecParseResult result = {.count = 0};

			if (fast)
				vec_parse_dense(texts[i], out, DIM, INFINITY, &result);
			else
				result.count = parse_by_strtof(texts[i], out);
			if (result.count != DIM)
				abort();
		}
		spent = (now() - start) / (LITERALS * DIM);
		if (spent < best)
			best = spent;
	}
	return best;
}

int
main(void)
{
	char	   *texts[LITERALS];
	float		out[DIM];

	for (int i = 0; i < LITERALS; i++)
		if ((texts[i] = malloc(DIM * MAX_ELEMENT + 3)) == NULL)
			abort();

	vec_kernels_init();
	printf("%-26s %8s %8s", "ns per element", "bytes", "strtof");
	for (int k = 0; vec_kernels_usable(k) != NULL; k++)
		printf(" %8s %8s", vec_kernels_usable(k)->name, "times");
	printf("\n");

	for (size_t d = 0; d < sizeof(distributions) / sizeof(distributions[0]); d++)
	{
		size_t		bytes = 0;
		double		slow;

		for (int i = 0; i < LITERALS; i++)
		{
			char	   *p = texts[i];

			for (int e = 0; e < DIM; e++)
			{
				*p++ = e == 0 ? '[' : ',';
				p += distributions[d].print(p);
			}
			strcpy(p, "]");
			bytes += (size_t) (p - texts[i]);
		}
		slow = measure(texts, 0, out);
		printf("%-26s %8.1f %8.1f", distributions[d].name,
			   (double) bytes / (LITERALS * DIM), slow);
		for (int k = 0; vec_kernels_usable(k) != NULL; k++)
		{
			double		fast;

			vec_kernels = vec_kernels_usable(k);
			fast = measure(texts, 1, out);
			printf(" %8.1f %8.1f", fast, slow / fast);
		}
		printf("\n");
	}

	for (int i = 0; i < LITERALS; i++)
		free(texts[i]);
	return 0;
}
