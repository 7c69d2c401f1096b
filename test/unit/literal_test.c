/*-------------------------------------------------------------------------
 *
 * literal_test.c
 *	  Text parsing: floats against strtof(), literals against a table.
 *
 * Build and run from the root:
 *	  cc -O2 -Isrc test/unit/literal_test.c src/kernels/[a-z]*.c -lm \
 *		  -o /tmp/literal_test && /tmp/literal_test
 *
 * Once more with -DVEC_FLOAT_PORTABLE for what big-endian machines run.
 * Arguments: seed (1), and a factor on the number of random strings (1).
 * TAP on standard output; exit status 1 if a test fails.
 *
 * Every string is parsed where its zero byte is the last byte before a page
 * that may not be read, so that reading past it ends the program.  Literals
 * are parsed by every table of kernels that this CPU can run; those made for
 * the block kernels start or end at such a page, and so does their result.
 *
 *-------------------------------------------------------------------------
 */
#define _DEFAULT_SOURCE

#include <float.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../fuzz/literal_slow.h"
#include "kernels/float_parse.h"
#include "kernels/kernels.h"
#include "kernels/literal.h"

#define TEXT_SIZE	4096		/* bytes of the longest string, and more */
#define MAX_ITEMS	16000

static int	ntests = 0;
static int	nfailed = 0;

static char *front;				/* first byte that may be read */
static char *guard;				/* first byte that may not be read again */
static float *values_guard;		/* the same, of room for MAX_ITEMS floats */
static long nstrings = 0;		/* compared in all */
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

/* ---- random numbers and text ------------------------------------------ */

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

/* uniform in low to high, both included */
static int
random_int(int low, int high)
{
	return low + (int) ((random64() >> 32) % (uint64_t) (high - low + 1));
}

static char *
put_digits(char *p, int n)
{
	while (n-- > 0)
		*p++ = (char) ('0' + random_int(0, 9));
	return p;
}

static char *
put_repeated(char *p, char c, int n)
{
	memset(p, c, (size_t) n);
	return p + n;
}

static char *
put_number(char *p, uint64_t n)
{
	char		digits[20];
	int			i = 20;

	do
		digits[--i] = (char) ('0' + n % 10);
	while ((n /= 10) != 0);
	memcpy(p, digits + i, (size_t) (20 - i));
	return p + 20 - i;
}

static char *
put_exponent(char *p, int exponent)
{
	*p++ = (random64() & 1) ? 'e' : 'E';
	if (exponent < 0)
		*p++ = '-';
	else if (random64() & 1)
		*p++ = '+';
	return put_number(p, (uint64_t) abs(exponent));
}

static char *
put_sign(char *p)
{
	int			which = random_int(0, 4);

	if (which < 2)
		*p++ = '-';
	else if (which == 2)
		*p++ = '+';
	return p;
}

/* any positive finite float, subnormals included */
static float
random_positive(void)
{
	uint32_t	bits = (uint32_t) (random64() >> 32) % 0x7F800000;
	float		value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

/* ---- comparison with strtof() ------------------------------------------ */

#define PENDING_LONGEST	60		/* bytes of a number; longer ones do not go in blocks */

/* numbers that strtof() takes whole, to be read again as a block */
static struct
{
	char		text[VEC_TEXT_WINDOW + VEC_TEXT_BLOCK * (PENDING_LONGEST + 1)];
	int32_t		commas[1 + VEC_TEXT_BLOCK]; /* the first is before the numbers */
	float		expected[VEC_TEXT_BLOCK];
	int			n;
} pending;

static long ntaken = 0;			/* numbers that a block kernel took */

/* read the pending numbers with each table; those left out have another number after them */
static void
compare_block(void)
{
	size_t		len = (size_t) pending.commas[pending.n] + 1;
	char	   *text = guard - len;

	/* the window of the first number */
	memset(pending.text, '7', VEC_TEXT_WINDOW);
	memcpy(text, pending.text, len);

	for (int k = 0; vec_kernels_usable(k) != NULL; k++)
	{
		const VecKernels *table = vec_kernels_usable(k);

		for (int i = 0; i < pending.n; i++)
		{
			float		values[VEC_TEXT_BLOCK];
			int			good = table->parse_block(text, pending.commas + 1 + i, pending.n - i,
												  INFINITY, values);

			if (good > pending.n - i ||
				memcmp(values, pending.expected + i, sizeof(float) * (size_t) good) != 0)
			{
				if (nwrong++ < 5)
					printf("# %s: block \"%.*s\" from number %d\n", table->name, (int) len,
						   text, i);
				break;
			}
			ntaken += good;
			i += good;
		}
	}
	pending.n = 0;
}

static void
add_to_block(const char *text, size_t len, float expected)
{
	int32_t		start;

	if (len > PENDING_LONGEST)
		return;
	if (pending.n == 0)
		pending.commas[0] = VEC_TEXT_WINDOW - 1;
	start = pending.commas[pending.n] + 1;
	memcpy(pending.text + start, text, len);
	pending.text[start + (int32_t) len] = ',';
	pending.expected[pending.n++] = expected;
	pending.commas[pending.n] = start + (int32_t) len;
	if (pending.n == VEC_TEXT_BLOCK)
		compare_block();
}

/* compare one string of len bytes; says what differs, the first few times */
static void
compare(const char *text, size_t len)
{
	char	   *copy = guard - len - 1;
	char	   *expected_end;
	const char *end;
	int			expected_error;
	int			error = -1;
	float		expected;
	float		value;

	memcpy(copy, text, len);
	copy[len] = '\0';

	errno = 0;
	expected = strtof(copy, &expected_end);
	expected_error = (errno == ERANGE) ? ERANGE : 0;
	value = vec_parse_float(copy, copy + len, &end, &error);

	if (expected_end == copy + len && expected_error == 0 && isfinite(expected))
		add_to_block(text, len, expected);

	nstrings++;
	if (memcmp(&value, &expected, sizeof(value)) == 0 &&
		end == expected_end && error == expected_error)
		return;
	if (nwrong++ < 5)
		printf("# \"%s\": %a, %d bytes, error %d; strtof: %a, %d bytes, error %d\n",
			   copy, (double) value, (int) (end - copy), error,
			   (double) expected, (int) (expected_end - copy), expected_error);
}

static void
compare_string(const char *text)
{
	compare(text, strlen(text));
}

/* digits, point, exponent: each part may be missing */
static void
random_decimal(char *text)
{
	char	   *p = put_sign(text);

	p = put_digits(p, random_int(0, 12));
	if (random64() & 1)
	{
		*p++ = '.';
		p = put_digits(p, random_int(0, 25));
	}
	if (random64() & 1)
		p = put_exponent(p, random_int(-60, 50));
	compare(text, (size_t) (p - text));
}

/* up to 19 digits and an exponent: what one multiplication must decide */
static void
random_scaled(char *text)
{
	char	   *p = put_number(text, random64() >> random_int(0, 63));

	p = put_exponent(p, random_int(-66, 42));
	compare(text, (size_t) (p - text));
}

/* like the elements of an embedding */
static void
random_element(char *text)
{
	char	   *p = put_sign(text);

	*p++ = '0';
	*p++ = '.';
	p = put_repeated(p, '0', random_int(0, 4));
	p = put_digits(p, random_int(1, 18));
	compare(text, (size_t) (p - text));
}

static void
random_float(char *text)
{
	compare(text, (size_t) sprintf(text, "%.*g", random_int(1, 17),
								   (double) random_positive()));
}

static void
random_double(char *text)
{
	double		value = (double) random_positive() * (1 + (double) random_int(-999, 999) * 1e-9);

	compare(text, (size_t) sprintf(text, "%.*e", random_int(12, 22), value));
}

/*
 * The exact midpoint of two floats, its neighbors one digit away, and its
 * first digits.  A midpoint has up to 113 significant digits.
 */
static void
random_midpoint(char *text)
{
	float		low = random_positive();
	float		high = nextafterf(low, INFINITY);
	double		middle;
	char		digits[160];
	int			n = 114;
	char	   *p;

	/* above FLT_MAX: 2^128 has no float, but the midpoint overflows */
	middle = ((double) low + (isinf(high) ? 0x1p128 : (double) high)) / 2;
	sprintf(digits, "%.113e", middle);
	memmove(digits + 1, digits + 2, 113);	/* over the point */
	while (digits[n - 1] == '0')
		n--;

#define COMPARE(length, tail) \
	do { \
		*text = digits[0]; \
		text[1] = '.'; \
		memcpy(text + 2, digits + 1, (size_t) (length) - 1); \
		p = text + 1 + (length) + sprintf(text + 1 + (length), "%s%s", tail, digits + 115); \
		compare(text, (size_t) (p - text)); \
	} while (0)

	COMPARE(n, "");
	COMPARE(n, "1");
	COMPARE(n, "00000000000000000000001");
	digits[n - 1]--;
	COMPARE(n, "");
	COMPARE(n, "9999999");
	if (n > 19)
	{
		COMPARE(19, "");
		COMPARE(20, "");
		COMPARE(17, "5");
	}
#undef COMPARE
}

/* midpoints short enough for the fast ways: 25 bits times 2^k */
static void
random_short_midpoint(char *text)
{
	uint64_t	w = (random64() >> 40) | 0x1000001;
	int			k = random_int(-16, 38);
	int			zeros = random_int(0, 4);
	char	   *p;

	/* 2^-1 is 5 / 10 */
	for (int i = 0; i > k; i--)
		w *= 5;
	p = put_number(text, k > 0 ? w << k : w);
	if (zeros > 1)
		p = put_repeated(p, '0', zeros);
	if (k < 0 || zeros > 1)
		p = put_exponent(p, (k < 0 ? k : 0) - (zeros > 1 ? zeros : 0));
	compare(text, (size_t) (p - text));
}

/* midpoints printed with as many digits as double has: on it in double, not in truth */
static void
random_near_midpoint(char *text)
{
	double		middle = ldexp((double) ((random64() >> 40) | 0x1000001), random_int(-80, 50));

	compare(text, (size_t) sprintf(text, "%.*g", random_int(14, 17), middle));
}

/* around the largest float, the smallest normal and subnormal ones, and zero */
static void
random_boundary(char *text)
{
	static const char *const bases[] = {
		"3.40282356779733661637539395458142568447e38", "3.4028234663852885981170418e38",
		"1.17549435082228750796873653722224568e-38", "1.17549428075736e-38",
		"1.17549431579035e-38", "1.401298464324817070923729583289916e-45",
		"7.006492321624085354618647916449580e-46", "2.1019476964872256063856e-45", "1e-46", "4e38"
	};
	const char *base = bases[random_int(0, (int) (sizeof(bases) / sizeof(bases[0])) - 1)];
	char	   *p = put_sign(text);
	int			mantissa = (int) (strchr(base, 'e') - base);
	int			keep = random_int(1, mantissa);

	memcpy(p, base, (size_t) keep);
	p = put_digits(p + keep, random_int(0, 6));
	p += sprintf(p, "%s", base + mantissa);
	compare(text, (size_t) (p - text));
}

/* hundreds of digits, or zeros that an exponent makes up for */
static void
random_long(char *text)
{
	char	   *p = put_sign(text);
	int			zeros = random_int(0, 400);

	switch (random_int(0, 4))
	{
		case 0:
			p = put_digits(p, random_int(1, 400));
			p = put_exponent(p, -random_int(0, 400));
			break;
		case 1:
			*p++ = '0';
			*p++ = '.';
			p = put_repeated(p, '0', zeros);
			p = put_digits(p, random_int(1, 300));
			p = put_exponent(p, zeros + random_int(-50, 45));
			break;
		case 2:
			p = put_digits(p, random_int(1, 25));
			p = put_repeated(p, '0', zeros);
			p = put_exponent(p, -zeros + random_int(-60, 45));
			break;
		case 3:
			p = put_repeated(p, '0', zeros);
			p = put_digits(p, random_int(1, 15));
			*p++ = '.';
			p = put_digits(p, random_int(0, 100));
			break;
		default:
			p = put_digits(p, random_int(1, 3));
			*p++ = '.';
			p = put_digits(p, random_int(0, 20));
			p = put_repeated(p, '0', zeros);
			*p++ = '1';
	}
	compare(text, (size_t) (p - text));
}

/* anything made of the bytes that mean something to strtof() */
static void
random_syntax(char *text)
{
	static const char alphabet[] =
	"00112345678999....++--eeEExXpPinfatyINFATY()_ \t,]:}af\200\260\377";
	int			n = random_int(0, 24);

	for (int i = 0; i < n; i++)
		text[i] = alphabet[random_int(0, (int) sizeof(alphabet) - 2)];
	compare(text, (size_t) n);
}

static void
random_hexadecimal(char *text)
{
	char	   *p = put_sign(text);

	p += sprintf(p, "0x%" PRIx64 ".%" PRIx64, random64() >> random_int(8, 63),
				 random64() >> random_int(0, 63));
	if (random64() & 1)
		p += sprintf(p, "p%d", random_int(-180, 130));
	compare(text, (size_t) (p - text));
}

typedef struct Generator
{
	const char *name;
	void		(*generate) (char *text);
	long		rounds;
} Generator;

static const Generator generators[] = {
	{"random digits and exponents", random_decimal, 2000000},
	{"integers of 64 bits, scaled", random_scaled, 2500000},
	{"elements of embeddings", random_element, 2000000},
	{"floats printed with 1 to 17 digits", random_float, 1000000},
	{"doubles", random_double, 500000},
	{"exact midpoints of floats, and a digit more or less", random_midpoint, 200000},
	{"short midpoints", random_short_midpoint, 1000000},
	{"midpoints rounded to 14 to 17 digits", random_near_midpoint, 1000000},
	{"boundaries of overflow and underflow", random_boundary, 700000},
	{"long strings of digits and zeros", random_long, 300000},
	{"random syntax", random_syntax, 2000000},
	{"hexadecimal", random_hexadecimal, 200000},
};

static void
test_random(int factor)
{
	char		text[TEXT_SIZE];

	for (size_t g = 0; g < sizeof(generators) / sizeof(generators[0]); g++)
	{
		long		before = nstrings;

		nwrong = 0;
		for (long i = 0; i < generators[g].rounds * factor; i++)
			generators[g].generate(text);
		ok(nwrong == 0, "as strtof: %s: %ld of %ld differ",
		   generators[g].name, nwrong, nstrings - before);
	}
}

static void
test_fixed(void)
{
	static const char *const texts[] = {
		"", "+", "-", ".", "+.", "-.", "..", ".e", "+.e", ".e1", "e", "e1", "-e1", "1e", "1e+",
		"1e-", "1e+-1", "1e++1", "1.e", "1.e1", ".5", "5.", "5.e-1", "-.5e1", "+5", "+-5", "--5",
		"- 5", "1 e5", "1e 5", "1.2.3", "1..2", "0", "-0", "+0", "00", "-00.00", "0.", ".0", "-.0",
		"0e5", "0e", "0.e", "0e99999999999999999999", "-0e-99999999999999999999", "0x", "0x.",
		"0xp1",
		"0x1", "0X1P3", "0x1p", "0x1p+", "0x.8", "0x1.8p1", "-0x1p-149", "0x1p-150", "0x1.8p-150",
		"0x1p128", "0x1.fffffep127", "0x1.ffffffp127", "00x1", "1x", "0b1", "x1", "1.0x", "0.0x1",
		"inf", "INF", "-inf", "+inf", "Infinity", "infinit", "infin", "infinityx", "in", "i",
		"nan", "NAN",
		"-nan", "nan(", "nan()", "nan(123)", "nan(0x7fffff)", "nan(1", "nan(ab_1)", "nan(-)", "na", "n",
		"infe1", "1inf", "1e99999999999", "-1e99999999999", "1e-99999999999", "-1e-99999999999",
		"1e18446744073709551616", "1e-18446744073709551617", "1e4294967296", "1e-4294967295",
		"1e9223372036854775808", "0.0000001e18446744073709551620", "3.4028235677973366e38",
		"3.4028235677973365e38", "3.4028235677973367e38", "340282356779733661637539395458142568447",
		"340282356779733661637539395458142568448", "340282346638528859811704183484516925440",
		"340282366920938463463374607431768211456", "18446744073709551615", "18446744073709551616",
		"36893488147419103232", "184467440737095516160000000", "9223372036854775808", "16777217",
		"16777217.0", "16777217.00000000000000000000000", "16777217.00000000000000000000001",
		"16777216.99999999999999999999999", "16777219", "9007199254740993", "9007199791611905",
		"9007199791611904", "9007199791611906", "1.00000005960464477539062500000000000000000000000",
		"1.00000005960464477539062499999999999999999999999", "1.000000059604644775390625",
		"1.00000005960464477539062500000000000000000000001", "0.000000059604644775390625",
		"1.1754943508222875e-38", "1.1754943508222874e-38", "1.17549431e-38", "1.1754942e-38",
		"1.4e-45", "7.0064923216240854e-46", "7.0064923216240853e-46", "7e-46", "1e-45", "1e-46",
		"1e-400", "0.1", "0.1f", "1,5", "1]", " 1", "\t\n\v\f\r1", "1\240", "\2401",
		"1e0000000000000000001",
		"1e-0000000000000000000000000000001", "00000000000000000000000000000000000001.5",
		"0.0000000000000000000000000000000000000000000000000000000000000000000001e75"
	};

	nwrong = 0;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		compare_string(texts[i]);
	ok(nwrong == 0, "as strtof: %d chosen strings: %ld differ",
	   (int) (sizeof(texts) / sizeof(texts[0])), nwrong);
}

/* the value and end are strtof()'s by way 3 too: that it is rare needs a test */
static void
test_share_of_slow(void)
{
	char		text[TEXT_SIZE];
	const int	total = 1000000;
	const int	most = (FLT_EVAL_METHOD == 0 || FLT_EVAL_METHOD == 1) ? 10 : 1000;
	int			nslow = 0;

	for (int i = 0; i < total; i++)
	{
		const char *end;
		float		value;
		char	   *p = put_sign(text);

		*p++ = '0';
		*p++ = '.';
		p = put_digits(p, random_int(1, 22));
		if (i % 4 == 0)
			p = put_exponent(p, random_int(-15, 30));
		*p = '\0';
		nslow += !vec_parse_float_fast(text, p, &end, &value);
	}
	ok(nslow <= most, "%d of %d ordinary numbers need strtof", nslow, total);
}

/* ---- the table of powers ----------------------------------------------- */

#define BIG_WORDS	12			/* 384 bits */

static void
big_multiply(uint32_t *big, uint32_t factor)
{
	uint64_t	carry = 0;

	for (int i = 0; i < BIG_WORDS; i++)
	{
		carry += (uint64_t) big[i] * factor;
		big[i] = (uint32_t) carry;
		carry >>= 32;
	}
}

static void
big_shift_left(uint32_t *big, int bits)
{
	while (bits-- > 0)
		big_multiply(big, 2);
}

static int
big_compare(const uint32_t *a, const uint32_t *b)
{
	for (int i = BIG_WORDS - 1; i >= 0; i--)
		if (a[i] != b[i])
			return a[i] < b[i] ? -1 : 1;
	return 0;
}

static int
big_length(const uint32_t *big)
{
	for (int i = BIG_WORDS * 32 - 1; i >= 0; i--)
		if (big[i / 32] >> (i % 32) & 1)
			return i + 1;
	return 0;
}

/* (entry + add) * 2^shift * 5^power */
static void
big_entry(uint32_t *big, uint64_t entry, uint32_t add, int shift, int power)
{
	memset(big, 0, BIG_WORDS * sizeof(uint32_t));
	big[0] = (uint32_t) entry;
	big[1] = (uint32_t) (entry >> 32);
	for (int i = 0; add != 0 && ++big[i] == 0; i++)
		;
	big_shift_left(big, shift);
	for (int i = 0; i < power; i++)
		big_multiply(big, 5);
}

/*
 * entry <= 5^q * 2^s < entry + 1, with the s that makes the entry 64 bits
 * long.  Both sides times what makes them integers.
 */
static bool
power_is_right(int q)
{
	uint64_t	entry = vec_power_of_five[q - VEC_MIN_POWER];
	uint32_t	power[BIG_WORDS];
	uint32_t	low[BIG_WORDS];
	uint32_t	high[BIG_WORDS];
	int			length;

	if (entry >> 63 == 0)
		return false;

	big_entry(power, 1, 0, 0, abs(q));
	length = big_length(power);
	if (q >= 0)
	{
		big_shift_left(power, length < 64 ? 64 - length : 0);
		big_entry(low, entry, 0, length > 64 ? length - 64 : 0, 0);
		big_entry(high, entry, 1, length > 64 ? length - 64 : 0, 0);
	}
	else
	{
		/* 2^s against entry * 5^-q; either s = length + 63, or the entry is too long */
		big_entry(power, 1, 0, length + 63, 0);
		big_entry(low, entry, 0, 0, -q);
		big_entry(high, entry, 1, 0, -q);
	}
	return big_compare(low, power) <= 0 && big_compare(power, high) < 0;
}

static void
test_powers(void)
{
	int			wrong = 0;

	for (int q = VEC_MIN_POWER; q <= VEC_MAX_POWER; q++)
		if (!power_is_right(q))
		{
			wrong++;
			printf("# 5^%d\n", q);
		}
	ok(wrong == 0, "table: %d of %d powers of five are wrong", wrong,
	   VEC_MAX_POWER - VEC_MIN_POWER + 1);

	wrong = 0;
	for (int q = 0; q <= 22; q++)
	{
		char		text[16];

		snprintf(text, sizeof(text), "1e%d", q);
		wrong += vec_power_of_ten[q] != strtod(text, NULL);
		wrong += q < 8 && vec_power_of_ten_int[q] != strtod(text, NULL);
	}
	ok(wrong == 0, "table: %d powers of ten are wrong", wrong);
}

/* ---- literals ----------------------------------------------------------- */

#define HALF_LIMIT	65520.0f

static const char *const status_names[] = {
	"OK", "NO_OPENING", "SYNTAX", "NO_DIMS", "JUNK", "EMPTY", "TOO_MANY", "OUT_OF_RANGE", "NAN",
	"INFINITE"
};

typedef struct DenseCase
{
	const char *text;
	VecParseStatus status;
	int			max;
	float		limit;
	const char *detail;			/* OK: the elements; OUT_OF_RANGE: the token */
} DenseCase;

static const DenseCase dense_cases[] = {
	{"[1,2,3]", VEC_PARSE_OK, 3, INFINITY, "1 2 3"},
	{" \t\n\r\v\f[ \t\n\r\v\f1 \t\n\r\v\f, \t\n\r\v\f2 \t\n\r\v\f] \t\n\r\v\f",
	VEC_PARSE_OK, 3, INFINITY, "1 2"},
	{"[1.,.5,1e3,+2,0x1p4,-0,1E-2]", VEC_PARSE_OK, 9, INFINITY, "1 0.5 1000 2 16 -0 0.01"},
	{"[1e-46,-1e-46,1e-40]", VEC_PARSE_OK, 3, INFINITY, "0 -0 9.99995e-41"},
	{"[3.4028235e38]", VEC_PARSE_OK, 3, INFINITY, "3.40282e+38"},
	{"[65519.99,-65504,1e-8]", VEC_PARSE_OK, 3, HALF_LIMIT, "65520 -65504 1e-08"},
	{"[0.1]", VEC_PARSE_OK, 1, INFINITY, "0.1"},

	{"", VEC_PARSE_NO_OPENING, 3, INFINITY, NULL},
	{"  ", VEC_PARSE_NO_OPENING, 3, INFINITY, NULL},
	{"1,2", VEC_PARSE_NO_OPENING, 3, INFINITY, NULL},
	{"{1,2}", VEC_PARSE_NO_OPENING, 3, INFINITY, NULL},
	{"x[1]", VEC_PARSE_NO_OPENING, 3, INFINITY, NULL},
	{"\240[1]", VEC_PARSE_NO_OPENING, 3, INFINITY, NULL},
	{"]", VEC_PARSE_NO_OPENING, 3, INFINITY, NULL},

	{"[]", VEC_PARSE_EMPTY, 3, INFINITY, NULL},
	{" [ \v] ", VEC_PARSE_EMPTY, 3, INFINITY, NULL},
	{"[]", VEC_PARSE_EMPTY, 0, INFINITY, NULL},
	{"[]x", VEC_PARSE_EMPTY, 3, INFINITY, NULL},

	{"[", VEC_PARSE_SYNTAX, 3, INFINITY, NULL},
	{"[ ", VEC_PARSE_SYNTAX, 3, INFINITY, NULL},
	{"[1", VEC_PARSE_SYNTAX, 3, INFINITY, NULL},
	{"[1 ", VEC_PARSE_SYNTAX, 3, INFINITY, NULL},
	{"[1,", VEC_PARSE_SYNTAX, 3, INFINITY, NULL},
	{"[1,2", VEC_PARSE_SYNTAX, 3, INFINITY, NULL},
	{"[1,]", VEC_PARSE_SYNTAX, 3, INFINITY, NULL},
	{"[,1]", VEC_PARSE_SYNTAX, 3, INFINITY, NULL},
	{"[1,,2]", VEC_PARSE_SYNTAX, 3, INFINITY, NULL},
	{"[,]", VEC_PARSE_SYNTAX, 3, INFINITY, NULL},
	{"[1 2]", VEC_PARSE_SYNTAX, 3, INFINITY, NULL},
	{"[1;2]", VEC_PARSE_SYNTAX, 3, INFINITY, NULL},
	{"[1e,2]", VEC_PARSE_SYNTAX, 3, INFINITY, NULL},
	{"[a]", VEC_PARSE_SYNTAX, 3, INFINITY, NULL},
	{"[[1]]", VEC_PARSE_SYNTAX, 3, INFINITY, NULL},
	{"[1}", VEC_PARSE_SYNTAX, 3, INFINITY, NULL},
	{"[- 1]", VEC_PARSE_SYNTAX, 3, INFINITY, NULL},
	{"[in]", VEC_PARSE_SYNTAX, 3, INFINITY, NULL},

	{"[1]x", VEC_PARSE_JUNK, 3, INFINITY, NULL},
	{"[1] ]", VEC_PARSE_JUNK, 3, INFINITY, NULL},
	{"[1],", VEC_PARSE_JUNK, 3, INFINITY, NULL},

	{"[nan]", VEC_PARSE_NAN, 3, INFINITY, NULL},
	{"[1, -NaN(12)", VEC_PARSE_NAN, 3, HALF_LIMIT, NULL},
	{"[inf]", VEC_PARSE_INFINITE, 3, INFINITY, NULL},
	{"[-Infinity", VEC_PARSE_INFINITE, 3, INFINITY, NULL},
	{"[inf]", VEC_PARSE_INFINITE, 3, HALF_LIMIT, NULL},
	{"[infinit]", VEC_PARSE_INFINITE, 3, INFINITY, NULL},
	{"[infinity,x", VEC_PARSE_INFINITE, 3, HALF_LIMIT, NULL},

	{"[4e38]", VEC_PARSE_OUT_OF_RANGE, 3, INFINITY, "4e38"},
	{"[1, -4e38 , nan", VEC_PARSE_OUT_OF_RANGE, 3, INFINITY, "-4e38"},
	{"[1e99999999999]", VEC_PARSE_OUT_OF_RANGE, 3, HALF_LIMIT, "1e99999999999"},
	{"[0x1p200]", VEC_PARSE_OUT_OF_RANGE, 3, INFINITY, "0x1p200"},
	{"[65520]", VEC_PARSE_OUT_OF_RANGE, 3, HALF_LIMIT, "65520"},
	{"[0,-65519.9999 ]", VEC_PARSE_OUT_OF_RANGE, 3, HALF_LIMIT, "-65519.9999"},

	/* which error wins: the first from the left, but too many before its text */
	{"[1,2,3,4]", VEC_PARSE_TOO_MANY, 3, INFINITY, NULL},
	{"[1,2,3,", VEC_PARSE_TOO_MANY, 3, INFINITY, NULL},
	{"[1,2,3,]", VEC_PARSE_TOO_MANY, 3, INFINITY, NULL},
	{"[1,2,3,nan]x", VEC_PARSE_TOO_MANY, 3, INFINITY, NULL},
	{"[1,2,3]", VEC_PARSE_OK, 3, INFINITY, "1 2 3"},
	{"[1,2,3", VEC_PARSE_SYNTAX, 3, INFINITY, NULL},
	{"[1,2,3 4,5]", VEC_PARSE_SYNTAX, 3, INFINITY, NULL},
	{"[1,x,3,4]", VEC_PARSE_SYNTAX, 3, INFINITY, NULL},
	{"[1,2,3]x", VEC_PARSE_JUNK, 3, INFINITY, NULL},
	{"[nan,4e38,x", VEC_PARSE_NAN, 3, INFINITY, NULL},
	{"[4e38x", VEC_PARSE_OUT_OF_RANGE, 3, INFINITY, "4e38"},
	{"[1]4e38", VEC_PARSE_JUNK, 3, INFINITY, NULL},
};

/* copy to where reading past the end is seen */
static const char *
guarded(const char *text)
{
	return strcpy(guard - strlen(text) - 1, text);
}

/* "detail" as the case has it; dense if items is NULL */
static const char *
describe(const VecParseResult *result, const float *values, const VecSparseItem *items)
{
	static char buffer[TEXT_SIZE];
	char	   *p = buffer;

	*p = '\0';
	if (result->status == VEC_PARSE_OUT_OF_RANGE)
		sprintf(p, "%.*s", result->token_len, result->token);
	else if (result->status == VEC_PARSE_OK)
	{
		for (int i = 0; i < result->count; i++)
			if (items)
				p += sprintf(p, "%s%d:%g", i ? " " : "", items[i].index, (double) items[i].value);
			else
				p += sprintf(p, "%s%g", i ? " " : "", (double) values[i]);
		if (items)
			sprintf(p, "/%d", result->dim);
	}
	return buffer;
}

static void
check_case(const char *text, VecParseStatus status, const char *detail,
		   const VecParseResult *result, const char *got)
{
	const char *table = vec_kernels->name;
	char		shown[TEXT_SIZE];
	int			n = 0;
	bool		passed = result->status == status &&
		strcmp(detail ? detail : "", got) == 0 &&
		(status == VEC_PARSE_OUT_OF_RANGE) == (result->token != NULL);

	/* control characters would spoil the TAP line, a # would end its name */
	for (const char *c = text; *c && n < 60; c++)
		shown[n++] = (*c > ' ' && *c < 127 && *c != '#') ? *c : '_';
	shown[n] = '\0';
	ok(passed, "%s: %s: %s %s", table, shown, status_names[status], detail ? detail : "");
	if (!passed)
		printf("# got %s \"%s\"\n", status_names[result->status], got);
}

static void
test_dense(void)
{
	float		values[MAX_ITEMS];

	for (size_t i = 0; i < sizeof(dense_cases) / sizeof(dense_cases[0]); i++)
	{
		const DenseCase *c = &dense_cases[i];
		VecParseResult result;

		vec_parse_dense(guarded(c->text), values, c->max, c->limit, &result);
		check_case(c->text, c->status, c->detail, &result, describe(&result, values, NULL));
	}
}

typedef struct SparseCase
{
	const char *text;
	VecParseStatus status;
	int			max;
	const char *detail;			/* OK: the items; OUT_OF_RANGE: the token */
} SparseCase;

static const SparseCase sparse_cases[] = {
	{"{1:1,3:2}/5", VEC_PARSE_OK, 9, "1:1 3:2/5"},
	{"{3:2,1:1}/5", VEC_PARSE_OK, 9, "3:2 1:1/5"},
	{" { 1 : 1.5 , 3 : -2e1 } / 5 ", VEC_PARSE_OK, 9, "1:1.5 3:-20/5"},
	{"\v{\f1\t:\n1\r,\v3\f:\t2\n}\r/\v5\f", VEC_PARSE_OK, 9, "1:1 3:2/5"},
	{"{}/5", VEC_PARSE_OK, 9, "/5"},
	{" { } / 5 ", VEC_PARSE_OK, 9, "/5"},
	{"{}/-3", VEC_PARSE_OK, 9, "/-3"},
	{"{1:0,2:-0,3:0e9,4:1}/5", VEC_PARSE_OK, 9, "4:1/5"},
	{"{1:1,1:2,1:0}/5", VEC_PARSE_OK, 9, "1:1 1:2/5"},
	{"{+1:0x1p1,-7:.5,0:1.}/+5", VEC_PARSE_OK, 9, "1:2 -7:0.5 0:1/5"},
	{"{2147483647:1,-2147483648:1}/1000000000", VEC_PARSE_OK, 9,
	"2147483647:1 -2147483648:1/1000000000"},
	{"{2147483648:1,-2147483649:1}/99999999999999999999999", VEC_PARSE_OK, 9,
	"2147483647:1 -2147483648:1/2147483647"},
	{"{99999999999999999999:1,-99999999999999999999:1}/-9223372036854775809", VEC_PARSE_OK, 9,
	"2147483647:1 -2147483648:1/-2147483648"},
	{"{0000000000000000000000007:1}/00000000000000000000009", VEC_PARSE_OK, 9, "7:1/9"},
	{"{1:1e-40}/5", VEC_PARSE_OK, 9, "1:9.99995e-41/5"},

	{"", VEC_PARSE_NO_OPENING, 9, NULL},
	{"1:1}/5", VEC_PARSE_NO_OPENING, 9, NULL},
	{"[1:1]/5", VEC_PARSE_NO_OPENING, 9, NULL},
	{"/5", VEC_PARSE_NO_OPENING, 9, NULL},

	{"{", VEC_PARSE_SYNTAX, 9, NULL},
	{"{1", VEC_PARSE_SYNTAX, 9, NULL},
	{"{1:", VEC_PARSE_SYNTAX, 9, NULL},
	{"{1:1", VEC_PARSE_SYNTAX, 9, NULL},
	{"{1:1,", VEC_PARSE_SYNTAX, 9, NULL},
	{"{1:1,}/5", VEC_PARSE_SYNTAX, 9, NULL},
	{"{,1:1}/5", VEC_PARSE_SYNTAX, 9, NULL},
	{"{,}/5", VEC_PARSE_SYNTAX, 9, NULL},
	{"{1:1,,2:1}/5", VEC_PARSE_SYNTAX, 9, NULL},
	{"{:1}/5", VEC_PARSE_SYNTAX, 9, NULL},
	{"{1:}/5", VEC_PARSE_SYNTAX, 9, NULL},
	{"{1}/5", VEC_PARSE_SYNTAX, 9, NULL},
	{"{1 1}/5", VEC_PARSE_SYNTAX, 9, NULL},
	{"{1.5:1}/5", VEC_PARSE_SYNTAX, 9, NULL},
	{"{0x1:1}/5", VEC_PARSE_SYNTAX, 9, NULL},
	{"{- 1:1}/5", VEC_PARSE_SYNTAX, 9, NULL},
	{"{a:1}/5", VEC_PARSE_SYNTAX, 9, NULL},
	{"{1:a}/5", VEC_PARSE_SYNTAX, 9, NULL},
	{"{1:1;2:1}/5", VEC_PARSE_SYNTAX, 9, NULL},
	{"{1:1]/5", VEC_PARSE_SYNTAX, 9, NULL},
	{"{}/", VEC_PARSE_SYNTAX, 9, NULL},
	{"{}/ x", VEC_PARSE_SYNTAX, 9, NULL},
	{"{}/-", VEC_PARSE_SYNTAX, 9, NULL},

	{"{}", VEC_PARSE_NO_DIMS, 9, NULL},
	{"{1:1} ", VEC_PARSE_NO_DIMS, 9, NULL},
	{"{1:1}5", VEC_PARSE_NO_DIMS, 9, NULL},
	{"{}x/5", VEC_PARSE_NO_DIMS, 9, NULL},

	{"{}/5x", VEC_PARSE_JUNK, 9, NULL},
	{"{}/5.0", VEC_PARSE_JUNK, 9, NULL},
	{"{1:1}/5 }", VEC_PARSE_JUNK, 9, NULL},
	{"{1:1}/5,", VEC_PARSE_JUNK, 9, NULL},

	{"{1:nan}/5", VEC_PARSE_NAN, 9, NULL},
	{"{1:inf}/5", VEC_PARSE_INFINITE, 9, NULL},
	{"{1:4e38}/5", VEC_PARSE_OUT_OF_RANGE, 9, "4e38"},
	{"{1: -4e38 }/5", VEC_PARSE_OUT_OF_RANGE, 9, "-4e38"},
	{"{1:1e-46}/5", VEC_PARSE_OUT_OF_RANGE, 9, "1e-46"},
	{"{1:-1e-99999999999}/5", VEC_PARSE_OUT_OF_RANGE, 9, "-1e-99999999999"},

	/* commas before anything; then the first error from the left */
	{"{1:1,2:1,3:1}/5", VEC_PARSE_OK, 3, "1:1 2:1 3:1/5"},
	{"{1:1,2:1,3:1,4:1}/5", VEC_PARSE_TOO_MANY, 3, NULL},
	{"{1:0,2:0,3:0,4:0}/5", VEC_PARSE_TOO_MANY, 3, NULL},
	{"x,,,", VEC_PARSE_TOO_MANY, 3, NULL},
	{"{1:nan}/5,,,", VEC_PARSE_TOO_MANY, 3, NULL},
	{"x,,", VEC_PARSE_NO_OPENING, 3, NULL},
	{"{1:nan,2:4e38,x", VEC_PARSE_NAN, 3, NULL},
	{"{1:1e-46,2:nan", VEC_PARSE_OUT_OF_RANGE, 3, "1e-46"},
	{"{x:nan}", VEC_PARSE_SYNTAX, 3, NULL},
	{"{}", VEC_PARSE_TOO_MANY, 0, NULL},
};

static void
test_sparse(void)
{
	VecSparseItem items[MAX_ITEMS];

	for (size_t i = 0; i < sizeof(sparse_cases) / sizeof(sparse_cases[0]); i++)
	{
		const SparseCase *c = &sparse_cases[i];
		VecParseResult result;

		vec_parse_sparse(guarded(c->text), items, c->max, &result);
		check_case(c->text, c->status, c->detail, &result, describe(&result, NULL, items));
	}
}

/* the real limit: 16,000 elements pass, the next one does not */
static void
test_most_elements(void)
{
	static float values[MAX_ITEMS];
	static VecSparseItem items[MAX_ITEMS];
	VecParseResult result;
	char	   *text = malloc(MAX_ITEMS * 12 + 64);

	if (text == NULL)
		abort();
	for (int extra = 0; extra < 2; extra++)
	{
		char	   *p = text;
		VecParseStatus status = extra ? VEC_PARSE_TOO_MANY : VEC_PARSE_OK;
		int			sum = 0;

		for (int i = 1; i <= MAX_ITEMS + extra; i++)
			p += sprintf(p, "%c%d", i == 1 ? '[' : ',', i);
		strcpy(p, "]");
		vec_parse_dense(text, values, MAX_ITEMS, INFINITY, &result);
		for (int i = 0; i < result.count; i++)
			sum += (int) values[i] == i + 1;
		ok(result.status == status && sum == MAX_ITEMS, "%s: dense, %d elements: %s",
		   vec_kernels->name, MAX_ITEMS + extra, status_names[status]);

		p = text;
		sum = 0;
		for (int i = 1; i <= MAX_ITEMS + extra; i++)
			p += sprintf(p, "%c%d:%d", i == 1 ? '{' : ',', i, -i);
		strcpy(p, "}/16001");
		vec_parse_sparse(text, items, MAX_ITEMS, &result);
		for (int i = 0; i < result.count; i++)
			sum += items[i].index == i + 1 && (int) items[i].value == -i - 1;
		ok(result.status == status && sum == (extra ? 0 : MAX_ITEMS), "%s: sparse, %d items: %s",
		   vec_kernels->name, MAX_ITEMS + extra, status_names[status]);
	}
	free(text);
}

/* ---- literals by blocks -------------------------------------------------- */

/* compare with the slow parser; text may lie anywhere before the guard */
static void
compare_literal(const char *text, int max, float limit)
{
	static float slow[MAX_ITEMS];
	VecParseResult slow_result = {.status = VEC_PARSE_OK};
	VecParseResult result;
	size_t		room = strlen(text) / 2 + 1;
	float	   *values = values_guard - (room < (size_t) max ? room : (size_t) max);

	slow_result.status = slow_dense(text, slow, max, limit, &slow_result);
	vec_parse_dense(text, values, max, limit, &result);
	nstrings++;
	if (result.status == slow_result.status && result.count == slow_result.count &&
		result.token == slow_result.token && result.token_len == slow_result.token_len &&
		memcmp(values, slow, sizeof(float) * (size_t) result.count) == 0)
		return;
	if (nwrong++ < 5)
		printf("# %s, at most %d below %g: \"%s\": %s, %d elements; strtof: %s, %d\n",
			   vec_kernels->name, max, (double) limit, text, status_names[result.status],
			   result.count, status_names[slow_result.status], slow_result.count);
}

/* where it starts after, and where it ends before, a page that may not be read */
static void
compare_literal_guarded(const char *text, int max, float limit)
{
	compare_literal(strcpy(front, text), max, limit);
	compare_literal(guarded(text), max, limit);
}

/* whether the number at text, as double, lies in the middle of two floats */
static bool
is_midpoint(const char *text)
{
	double		x = strtod(text, NULL);
	float		near = (float) x;
	float		other = nextafterf(near, x > (double) near ? INFINITY : -INFINITY);

	return ((double) near + (double) other) / 2 == x;
}

/*
 * Every length, place of the point and sign, at every place of 64 bytes: both
 * value and that the block kernels take what they should.
 */
static void
test_shapes(void)
{
	const VecKernels *table = vec_kernels;
	bool		by_blocks = strcmp(table->name, "scalar") != 0;
	long		nmissed = 0;
	int			start = 0;

	nwrong = 0;
	for (int length = 1; length <= 40; length++)
		for (int point = 0; point <= length; point++)
			for (int negative = 0; negative <= 1; negative++)
			{
				char		text[TEXT_SIZE];
				char	   *p = put_repeated(text, ' ', start++ % 64);
				int32_t		commas[2];
				float		value;
				int			takes;
				bool		should_take;

				*p++ = '[';
				for (int i = 0; i < 50; i++)
				{
					*p = '-';
					p = put_digits(p + negative, length);
					if (point < length)
						p[point - length] = '.';
					*p++ = ',';
				}
				strcpy(p - 1, "]");
				compare_literal_guarded(text, MAX_ITEMS, INFINITY);

				/* the last number, alone, up to the bracket */
				commas[1] = (int32_t) (guard - 2 - front);
				commas[0] = commas[1] - (length + negative + 1);
				takes = table->parse_block(front, commas + 1, 1, INFINITY, &value);
				should_take = length > (point < length) && length <= VEC_TEXT_LONGEST &&
					(length <= VEC_TEXT_WINDOW || point < VEC_TEXT_WINDOW);

				/* midpoints are left out, and so may be few digits in a full window */
				if (takes != (by_blocks && should_take))
					nmissed += takes != 0 ||
						(length <= VEC_TEXT_WINDOW && !is_midpoint(front + commas[0] + 1));
			}
	ok(nwrong == 0, "%s: as strtof: literals of one shape: %ld differ", table->name, nwrong);
	ok(nmissed == 0, "%s: %ld shapes taken or left out wrongly", table->name, nmissed);
}

/* one element, most of them of a kind */
static char *
put_element(char *p, int kind)
{
	static const char *const odd[] = {
		"1e-5", "-1.5E+3", "0x1p-3", "65520", "65519.9999", "-65504", "4e38", "1e-46", "inf",
		"nan", "", ".", "-", "-.", "+1", "--1", "1.2.3", "..1", " 1", "1 ", "1 2", "1]", "1\n",
		"\t-2.5", "0", "-0", "-0.0", ".5", "5.", "-.5", "1-", "1;", "a", "[1", "1\2602", "1/2", "1:2",
		"00000000000000000000000000000001", "000000000000000000000000000000001",
		"0.000000000000000000000000000001", "0.0000000000000000000000000000001",
		"16777217", "16777219.0", "9007199254740993", "9999999999999999", "99999999999999999"
	};

	if (random_int(0, 40) == 0)
		kind = random_int(0, 9);
	switch (kind)
	{
		case 0:
		case 1:
			return p + sprintf(p, "%s", odd[random_int(0, (int) (sizeof(odd) / sizeof(odd[0])) - 1)]);
		case 2:
			return p + sprintf(p, "%.9g", (double) random_int(-999999999, 999999999) * 1e-10);
		case 3:
			return p + sprintf(p, "%.17g", (double) random_int(-999999999, 999999999) * 1.1e-10);
		case 4:
			return p + sprintf(p, "%.*f", random_int(0, 12), (double) random_int(-2000, 2000) / 7);
		case 5:
			return p + sprintf(p, "%.*g", random_int(1, 17), (double) random_positive());
		case 6:
			p = put_sign(p);
			p = put_digits(p, random_int(0, 20));
			if (random64() & 1)
				*p++ = '.';
			return put_digits(p, random_int(0, 20));
		default:
			return p + sprintf(p, "%d", random_int(-300, 300));
	}
}

/* literals of up to three chunks, some of them spoilt */
static void
test_random_literals(int rounds)
{
	static const int maxima[] = {1, 15, 16, 17, 48, 60};
	char		text[TEXT_SIZE];

	nwrong = 0;
	for (int i = 0; i < rounds; i++)
	{
		/* elements that are no number at all seldom come in a row */
		int			kind = random_int(2, 9);
		int			n = (random64() & 1) ? random_int(1, 20) : random_int(1, 400);
		int			max = (random64() & 3) ? MAX_ITEMS : maxima[random_int(0, 5)];
		char	   *p = put_repeated(text, ' ', random_int(0, 70));

		*p++ = '[';
		while (n-- > 0 && p - text < TEXT_SIZE - 64)
		{
			p = put_element(p, kind);
			*p++ = ',';
		}
		strcpy(p - 1, random_int(0, 9) ? "]" : "");
		if (random_int(0, 5) == 0)
			text[random_int(0, (int) strlen(text) - 1)] = "0123456789.,-+ ]e\t"[random_int(0, 18)];
		compare_literal_guarded(text, max, (random64() & 1) ? INFINITY : HALF_LIMIT);
	}
	ok(nwrong == 0, "%s: as strtof: %d random literals: %ld differ", vec_kernels->name,
	   rounds, nwrong);
}

/* memory of that many bytes and more between two pages that may not be accessed */
static char *
guarded_memory(size_t size, char **end)
{
	size_t		page = (size_t) sysconf(_SC_PAGESIZE);
	size_t		room = (size / page + 1) * page;
	char	   *memory = mmap(NULL, room + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED || mprotect(memory + page, room, PROT_READ | PROT_WRITE) != 0)
	{
		printf("Bail out! no guarded memory\n");
		exit(1);
	}
	*end = memory + page + room;
	return memory + page;
}

int
main(int argc, char **argv)
{
	int			factor = argc > 2 ? atoi(argv[2]) : 1;
	char	   *end;

	random_state = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
	front = guarded_memory(TEXT_SIZE, &guard);
	guarded_memory(MAX_ITEMS * sizeof(float), &end);
	values_guard = (float *) (void *) end;
	vec_kernels_init();
	printf("# seed %" PRIu64 "\n", random_state);

	test_powers();
	test_fixed();
	test_random(factor);
	ok(nstrings >= 10000000L * factor, "%ld strings compared with strtof", nstrings);
	ok(ntaken > 0 || vec_kernels_usable(1) == NULL, "%ld of them compared in blocks", ntaken);
	test_share_of_slow();
	for (int k = 0; vec_kernels_usable(k) != NULL; k++)
	{
		vec_kernels = vec_kernels_usable(k);
		test_dense();
		test_sparse();
		test_most_elements();
		test_shapes();
		test_random_literals(20000 * (factor > 0 ? factor : 1));
	}

	printf("1..%d\n", ntests);
	return nfailed != 0;
}
