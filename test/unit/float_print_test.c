/*-------------------------------------------------------------------------
 *
 * float_print_test.c
 *	  Printed floats against the rule they must follow, in exact integers.
 *
 * Built and run by run.sh.  Arguments: seed (1), and a factor on the number of
 * random floats (1).  TAP on standard output; exit status 1 if a test fails.
 *
 * Each float is printed alone and among others, with each instruction set in
 * turn.  Its text is read back digit by digit and must
 *
 *	- have the form that the server's float4out gives these digits,
 *	- lie strictly between the midpoints to the neighboring floats,
 *	- have no multiple of the next power of ten there,
 *	- have no neighbor there that is closer, or as close and even,
 *	- give the same bits to strtof().
 *
 *-------------------------------------------------------------------------
 */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/float_print.h"
#include "kernels/kernels.h"

#define BATCH	64
#define GUARD	0x7F			/* no byte of any text */

static int	ntests = 0;
static int	nfailed = 0;
static long nfloats = 0;		/* checked in all */
static long nwrong = 0;			/* of these, in the current test */

static void
ok(bool passed, const char *format,...)
{
	va_list		args;

	ntests++;
	nfailed += !passed;
	printf("%s %d - ", passed ? "ok" : "not ok", ntests);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
}

static uint64_t random_state;

/* splitmix64 (Steele, Lea and Flood, 2014) */
static uint64_t
random64(void)
{
	uint64_t	x = (random_state += 0x9E3779B97F4A7C15);

	x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
	x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
	return x ^ (x >> 31);
}

static uint32_t
random_below(uint32_t n)
{
	return (uint32_t) ((random64() >> 32) * n >> 32);
}

static float
from_bits(uint32_t bits)
{
	float		value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

static uint32_t
to_bits(float value)
{
	uint32_t	bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

/* ---- the rule --------------------------------------------------------- */

#define WORDS			16		/* 512 bits */
#define MIN_POWER		(-46)	/* of ten, in texts */
#define MAX_POWER		39
#define MIN_EXPONENT	(-149)	/* of two: floats are c * 2^q, c < 2^24 */
#define MAX_EXPONENT	104

/* numbers times 2^151 * 10^46, which makes integers of all that are compared */
typedef struct Big
{
	uint32_t	word[WORDS];
} Big;

static Big	power_of_two[MAX_EXPONENT - MIN_EXPONENT + 1];	/* 2^q / 4 */
static Big	power_of_ten[MAX_POWER - MIN_POWER + 1];

static Big
times(const Big *a, uint32_t factor)
{
	Big			result;
	uint64_t	carry = 0;

	for (int i = 0; i < WORDS; i++)
	{
		carry += (uint64_t) a->word[i] * factor;
		result.word[i] = (uint32_t) carry;
		carry >>= 32;
	}
	if (carry != 0)
		abort();
	return result;
}

static int
compare(const Big *a, const Big *b)
{
	for (int i = WORDS - 1; i >= 0; i--)
		if (a->word[i] != b->word[i])
			return a->word[i] < b->word[i] ? -1 : 1;
	return 0;
}

/* |a - b| */
static Big
distance(const Big *a, const Big *b)
{
	const Big  *high = compare(a, b) >= 0 ? a : b;
	const Big  *low = high == a ? b : a;
	Big			result;
	int64_t		borrow = 0;

	for (int i = 0; i < WORDS; i++)
	{
		borrow += (int64_t) high->word[i] - low->word[i];
		result.word[i] = (uint32_t) borrow;
		borrow >>= 32;
	}
	return result;
}

static void
make_tables(void)
{
	Big			big = {{1}};

	for (int i = 0; i < -MIN_POWER; i++)
		big = times(&big, 10);
	for (int q = MIN_EXPONENT; q <= MAX_EXPONENT; q++, big = times(&big, 2))
		power_of_two[q - MIN_EXPONENT] = big;

	big = (Big) {{1}};
	for (int i = 0; i < 151; i++)
		big = times(&big, 2);
	for (int k = MIN_POWER; k <= MAX_POWER; k++, big = times(&big, 10))
		power_of_ten[k - MIN_POWER] = big;
}

/* digits * 10^k strictly between low and high? */
static bool
is_between(uint32_t digits, int k, const Big *low, const Big *high, Big *number)
{
	*number = times(&power_of_ten[k - MIN_POWER], digits);
	return compare(low, number) < 0 && compare(number, high) < 0;
}

/* is digits * 10^k what the rule makes of the positive float? */
static const char *
judge(uint32_t magnitude, uint32_t digits, int k)
{
	uint32_t	mantissa = magnitude & 0x7FFFFF;
	int			exponent = (int) (magnitude >> 23);
	uint32_t	c = exponent > 0 ? mantissa | 0x800000 : mantissa;
	const Big  *unit = &power_of_two[(exponent > 0 ? exponent : 1) - 1];
	Big			low = times(unit, c * 4 - (mantissa == 0 && exponent > 1 ? 1 : 2));
	Big			value = times(unit, c * 4);
	Big			high = times(unit, c * 4 + 2);
	Big			number;
	Big			other;
	Big			error;

	if (k < MIN_POWER || k >= MAX_POWER)
		return "exponent";
	if (!is_between(digits, k, &low, &high, &number))
		return "outside";
	if (is_between(digits / 10, k + 1, &low, &high, &other) ||
		is_between(digits / 10 + 1, k + 1, &low, &high, &other))
		return "too long";

	error = distance(&number, &value);
	for (int step = -1; step <= 1; step += 2)
		if (is_between(digits + (uint32_t) step, k, &low, &high, &other))
		{
			Big			others = distance(&other, &value);
			int			order = compare(&others, &error);

			if (order < 0 || (order == 0 && digits % 2 != 0))
				return "not closest";
		}
	return NULL;
}

/* digits * 10^k as the server writes it */
static void
format_decimal(char *text, uint32_t digits, int k)
{
	char		string[12];
	int			length = sprintf(string, "%" PRIu32, digits);
	int			exponent = length - 1 + k;

	if (exponent < -4 || exponent > 5)
		sprintf(text, "%.1s%s%se%c%02d", string, length > 1 ? "." : "", string + 1,
				exponent < 0 ? '-' : '+', abs(exponent));
	else if (exponent < 0)
		sprintf(text, "0.%.*s%s", -exponent - 1, "000", string);
	else if (k >= 0)
		sprintf(text, "%s%.*s", string, k, "00000");
	else
		sprintf(text, "%.*s.%s", exponent + 1, string, string + exponent + 1);
}

/* what is wrong with the text of a finite float, NULL if nothing */
static const char *
check_text(float value, const char *text)
{
	uint32_t	bits = to_bits(value);
	const char *p = text + (bits >> 31);
	char		again[64];
	uint32_t	digits = 0;
	int			k = 0;

	if (bits >> 31 && *text != '-')
		return "no sign";
	if ((bits & 0x7FFFFFFF) == 0)
		return strcmp(p, "0") == 0 ? NULL : "not zero";
	if (strlen(text) > VEC_FLOAT_MAX_LEN)
		return "long";

	for (bool point = false; (*p >= '0' && *p <= '9') || (*p == '.' && !point); p++)
	{
		if (*p == '.')
			point = true;
		else if (digits >= 100000000)
			return "ten digits";
		else
		{
			digits = digits * 10 + (uint32_t) (*p - '0');
			k -= point;
		}
	}
	if (digits == 0)
		return "no digit";
	for (; digits % 10 == 0; k++)
		digits /= 10;
	if (*p == 'e')
		k += atoi(p + 1);

	format_decimal(again, digits, k);
	if (strcmp(again, text + (bits >> 31)) != 0)
		return "form";
	if (to_bits(strtof(text, NULL)) != bits)
		return "strtof";
	return judge(bits & 0x7FFFFFFF, digits, k);
}

/* ---- printing ---------------------------------------------------------- */

static float batch[BATCH];
static int	nbatch = 0;

static void
complain(float value, const char *text, const char *what)
{
	if (nwrong++ < 5)
		printf("# %a (%08" PRIX32 "), %s: \"%s\": %s\n", (double) value, to_bits(value),
			   vec_kernels->name, text, what);
}

/* print alone; nothing may be written beyond the room */
static void
print_alone(float value, char *text)
{
	char		buffer[VEC_FLOAT_ROOM + 16];
	char	   *end;

	memset(buffer, GUARD, sizeof(buffer));
	end = vec_print_float(buffer, value);
	for (size_t i = VEC_FLOAT_ROOM; i < sizeof(buffer); i++)
		if (buffer[i] != GUARD)
			complain(value, "", "wrote too far");
	memcpy(text, buffer, (size_t) (end - buffer));
	text[end - buffer] = '\0';
}

/* print the batch with the next instruction set, and check each float in it */
static void
flush(void)
{
	static int	set = 0;
	char		text[BATCH * VEC_FLOAT_ROOM + 16];
	char	   *end;
	char	   *p = text;

	if (nbatch == 0)
		return;
	vec_kernels = vec_kernels_usable(set++);
	if (vec_kernels == NULL)
	{
		vec_kernels = vec_kernels_usable(0);
		set = 1;
	}

	memset(text, GUARD, sizeof(text));
	end = vec_print_floats(text, batch, nbatch);
	for (size_t i = (size_t) nbatch * VEC_FLOAT_ROOM; i < sizeof(text); i++)
		if (text[i] != GUARD)
			complain(batch[nbatch - 1], "", "wrote too far in a batch");
	*end = ',';
	for (int i = 0; i < nbatch; i++)
	{
		char	   *comma = memchr(p, ',', (size_t) (end + 1 - p));
		char		alone[VEC_FLOAT_ROOM + 1];
		const char *what = NULL;

		if (comma == NULL)
		{
			complain(batch[i], "", "missing");
			break;
		}
		*comma = '\0';
		print_alone(batch[i], alone);
		if (strcmp(alone, p) != 0)
			complain(batch[i], p, "not as alone");
		if ((what = check_text(batch[i], alone)) != NULL)
			complain(batch[i], alone, what);
		p = comma + 1;
	}
	if (p != end + 1)
		complain(batch[0], "", "text after the last");
	nfloats += nbatch;
	nbatch = 0;
}

static void
check(float value)
{
	batch[nbatch++] = value;
	if (nbatch == BATCH)
		flush();
}

/* a float and those around it, both signs */
static void
check_around(uint32_t bits, uint32_t n)
{
	for (uint32_t b = bits > n ? bits - n : 0; b <= bits + n && b < 0x7F800000; b++)
	{
		check(from_bits(b));
		check(from_bits(b | 0x80000000));
	}
}

static void
done(const char *name)
{
	flush();
	ok(nwrong == 0, "%s: %ld wrong", name, nwrong);
	nwrong = 0;
}

/* ---- the floats -------------------------------------------------------- */

static void
test_fixed(void)
{
	static const struct
	{
		float		value;
		const char *text;
	}			cases[] = {
		{0.0f, "0"}, {-0.0f, "-0"}, {1.0f, "1"}, {-1.5f, "-1.5"}, {0.1f, "0.1"},
		{100000.0f, "100000"}, {999999.0f, "999999"}, {1e6f, "1e+06"}, {999999.94f, "999999.94"},
		{1234567.0f, "1.234567e+06"}, {1200000.0f, "1.2e+06"}, {16777216.0f, "1.6777216e+07"},
		{1e-4f, "0.0001"}, {9.9999e-5f, "9.9999e-05"}, {-0.00012345678f, "-0.00012345678"},
		{123.456f, "123.456"}, {-12345.678f, "-12345.678"}, {0.5f, "0.5"}, {0.0625f, "0.0625"},
		{3.4028234663852886e38f, "3.4028235e+38"}, {-1.1754943508222875e-38f, "-1.1754944e-38"},
		{1.401298464324817e-45f, "1e-45"}, {1e10f, "1e+10"}, {8589934592.0f, "8.589935e+09"},
		{INFINITY, "Infinity"}, {-INFINITY, "-Infinity"}, {NAN, "NaN"}, {-NAN, "NaN"}
	};
	char		text[VEC_FLOAT_ROOM + 1];
	char		list[5 * VEC_FLOAT_ROOM];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		print_alone(cases[i].value, text);
		ok(strcmp(text, cases[i].text) == 0, "\"%s\", not \"%s\"", cases[i].text, text);
	}

	*vec_print_floats(list, (float[]) {NAN, -INFINITY, 1.5f, -NAN, 2}, 5) = '\0';
	ok(strcmp(list, "NaN,-Infinity,1.5,NaN,2") == 0, "\"%s\"", list);
	ok(vec_print_floats(list, NULL, 0) == list, "no float, no text");
}

static void
test_systematic(void)
{
	for (int i = 0; i <= 1 << 20; i++)
		check((float) (i % 2 ? -i : i));
	done("integers to 2^20");

	for (uint32_t e = 0; e <= 255; e++)
		check_around(e << 23, 100);
	for (uint32_t e = 0; e < 255; e++)
		for (int b = 0; b < 23; b++)
			check_around(e << 23 | UINT32_C(1) << b, 2);
	done("each exponent, and single bits");

	for (int k = -46; k <= 38; k++)
		for (int d = 1; d <= 9; d++)
		{
			char		text[32];
			float		value;

			snprintf(text, sizeof(text), "%de%d", d, k);
			value = strtof(text, NULL);
			if (isfinite(value))
				check_around(to_bits(value), 30);
		}
	done("around powers of ten and their multiples");

	for (uint32_t bits = 1; bits < 1 << 16; bits++)
		check(from_bits(bits));
	done("subnormals");

	/* ten bits after the first, smallest to largest half */
	for (uint32_t bits = 0x38800000; bits < 0x47800000; bits += 1 << 13)
		check(from_bits(bits));
	done("halves");
}

static void
test_random(int factor)
{
	char		text[32];

	for (int i = 0; i < 1500000 * factor; i++)
		check(from_bits(random_below(0x7F800000) | (uint32_t) (random64() & 0x80000000)));
	done("any bits");

	for (int i = 0; i < 1500000 * factor; i++)
		check((float) ((double) (int64_t) random64() * 0x1p-63 * (i % 3 ? 0.1 : 5)));
	done("elements of embeddings");

	for (int i = 0; i < 500000 * factor; i++)
		check(ldexpf((float) (int32_t) random_below(1 << 24), -(int) random_below(40)));
	done("few bits after the point: ties");

	for (int i = 0; i < 500000 * factor; i++)
	{
		sprintf(text, "%" PRIu32 "5e%d", random_below(100000000) >> random_below(24),
				(int) random_below(80) - 46);
		if (isfinite(strtof(text, NULL)))
			check(strtof(text, NULL));
	}
	done("decimals that end in five");

	for (int i = 0; i < 300000 * factor; i++)
		check(from_bits(random_below(0x01000000)));
	done("small numbers, subnormals");
}

/* batches of every size, integers and what a block leaves out among them */
static void
test_batches(int factor)
{
	for (int i = 0; i < 4000 * factor; i++)
	{
		uint32_t	n = 1 + random_below(BATCH);
		uint32_t	kind = random_below(4);

		for (uint32_t j = 0; j < n; j++)
		{
			if (kind == 0 || random_below(8) == 0)
				check((float) random_below(300) - 100);
			else if (random_below(16) == 0)
				check(ldexpf(1, (int) random_below(100) - 50));
			else
				check((float) random_below(1 << 30) * 0x1p-25f);
		}
		flush();
	}
	done("batches");
}

static void
test_sparse(void)
{
	static const int32_t edges[] = {
		0, 8, 9, 98, 99, 99998, 9999998, 9999999, 99999998, 99999999, 100000000, 999999999,
		INT32_MAX - 1, INT32_MAX, INT32_MIN, -2, -1
	};
	const int	nedges = (int) (sizeof(edges) / sizeof(edges[0]));
	int			wrong = 0;

	for (int i = 0; i < 20000; i++)
	{
		int32_t		index[8];
		float		value[8];
		int			n = (int) random_below(9);
		char		text[8 * VEC_SPARSE_ROOM + 16];
		char		expected[8 * 40] = "";
		char	   *q = expected;

		for (int j = 0; j < n; j++)
		{
			char		alone[VEC_FLOAT_ROOM + 1];

			index[j] = i < nedges ? edges[i] : (int32_t) (random64() >> 32 >> random_below(32));
			value[j] = j % 2 ? from_bits(random_below(0x7F800000) | 0x80000000) : -1.17549435e-38f;
			print_alone(value[j], alone);
			q += sprintf(q, "%s%" PRIu32 ":%s", j ? "," : "", (uint32_t) index[j] + 1, alone);
		}
		memset(text, GUARD, sizeof(text));
		q = vec_print_sparse(text, index, value, n);
		for (int j = n * (int) VEC_SPARSE_ROOM; j < (int) sizeof(text); j++)
			wrong += text[j] != GUARD;
		*q = '\0';
		if (strcmp(text, expected) != 0 && wrong++ < 5)
			printf("# \"%s\", not \"%s\"\n", text, expected);
	}
	ok(wrong == 0, "sparse: %d wrong", wrong);
}

int
main(int argc, char **argv)
{
	int			factor = argc > 2 ? atoi(argv[2]) : 1;

	random_state = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
	printf("# seed %" PRIu64 "\n", random_state);
	vec_kernels_init();
	make_tables();

	test_fixed();
	test_systematic();
	test_random(factor);
	test_batches(factor);
	test_sparse();
	ok(nfloats >= 5000000, "%ld floats checked", nfloats);

	printf("1..%d\n", ntests);
	return nfailed != 0;
}
