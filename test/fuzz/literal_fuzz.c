/*-------------------------------------------------------------------------
 *
 * literal_fuzz.c
 *	  libFuzzer target: the text parsers against slow ones made of libc calls.
 *
 * The last byte of an input selects the kernels, out of those this CPU can
 * run; what is before is parsed as a number, as a dense literal with the
 * limits of vector and halfvec, and as a sparse literal, from a heap copy of
 * its exact size, so that AddressSanitizer sees a read past its ends.  A
 * difference to literal_slow.h aborts.  run.sh builds and runs it.
 *
 *-------------------------------------------------------------------------
 */
#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <string.h>

#include "kernels/kernels.h"
#include "literal_slow.h"

#define MAX_ELEMENTS	1024

int			LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool same, const char *what, const char *text)
{
	if (same)
		return;
	fprintf(stderr, "%s differs for \"%s\"\n", what, text);
	abort();
}

/* an integer as strtol() reads it, clamped; false if there is none */
static bool
slow_integer(const char **p, int *value)
{
	char	   *end;
	long		number = strtol(*p, &end, 10);

	if (end == *p)
		return false;
	*value = number > INT_MAX ? INT_MAX : number < INT_MIN ? INT_MIN : (int) number;
	*p = after_space(end);
	return true;
}

static VecParseStatus
slow_sparse(const char *p, VecSparseItem *out, int max, VecParseResult *result)
{
	int			most = 1;

	for (const char *c = p; *c; c++)
		most += (*c == ',');
	if (most > max)
		return VEC_PARSE_TOO_MANY;

	p = after_space(p);
	if (*p++ != '{')
		return VEC_PARSE_NO_OPENING;
	p = after_space(p);
	while (*p != '}' || p[-1] == ',')
	{
		VecSparseItem item;

		if (!slow_integer(&p, &item.index) || *p++ != ':')
			return VEC_PARSE_SYNTAX;
		p = slow_number(p, INFINITY, true, &item.value, result);
		if (p == NULL)
			return result->status;
		if (item.value != 0)
			out[result->count++] = item;
		if (*p == '}')
			break;
		if (*p != ',')
			return VEC_PARSE_SYNTAX;
		p++;
	}
	p = after_space(p + 1);
	if (*p++ != '/')
		return VEC_PARSE_NO_DIMS;
	if (!slow_integer(&p, &result->dim))
		return VEC_PARSE_SYNTAX;
	return *p ? VEC_PARSE_JUNK : VEC_PARSE_OK;
}

static void
compare_results(const char *what, const char *text, const VecParseResult *a,
				const VecParseResult *b)
{
	require(a->status == b->status, what, text);
	require(a->count == b->count, what, text);
	require(a->token == b->token && a->token_len == b->token_len, what, text);
	if (a->status == VEC_PARSE_OK)
		require(a->dim == b->dim, what, text);
}

static void
check_float(const char *text, const char *stop)
{
	char	   *slow_end;
	const char *end;
	float		slow;
	float		value;
	int			slow_error;
	int			error;

	errno = 0;
	slow = strtof(text, &slow_end);
	slow_error = (errno == ERANGE) ? ERANGE : 0;
	value = vec_parse_float(text, stop, &end, &error);
	require(memcmp(&value, &slow, sizeof(value)) == 0, "number", text);
	require(end == slow_end, "end of number", text);
	require(error == slow_error, "error of number", text);
}

static void
check_dense(const char *text, int max, float limit)
{
	VecParseResult slow_result = {.status = VEC_PARSE_OK};
	VecParseResult result;
	float		slow[MAX_ELEMENTS];
	size_t		room = strlen(text) / 2 + 1;	/* what vec_parse_dense() asks for */
	float	   *values = malloc(sizeof(float) * (room < (size_t) max ? room : (size_t) max));

	if (values == NULL)
		return;
	slow_result.status = slow_dense(text, slow, max, limit, &slow_result);
	vec_parse_dense(text, values, max, limit, &result);
	compare_results("dense literal", text, &result, &slow_result);
	require(memcmp(values, slow, sizeof(float) * (size_t) result.count) == 0, "element", text);
	free(values);
}

static void
check_sparse(const char *text, int max)
{
	VecParseResult slow_result = {.status = VEC_PARSE_OK};
	VecParseResult result;
	VecSparseItem slow[MAX_ELEMENTS];
	VecSparseItem *items = malloc(sizeof(VecSparseItem) * (size_t) max);

	if (items == NULL)
		return;
	slow_result.status = slow_sparse(text, slow, max, &slow_result);
	vec_parse_sparse(text, items, max, &result);
	compare_results("sparse literal", text, &result, &slow_result);
	require(memcmp(items, slow, sizeof(VecSparseItem) * (size_t) result.count) == 0, "item", text);
	free(items);
}

/* the table that a byte stands for */
static const VecKernels *
table_of(uint8_t byte)
{
	int			n = 0;

	if (vec_kernels_usable(0) == NULL)
		vec_kernels_init();
	while (vec_kernels_usable(n) != NULL)
		n++;
	return vec_kernels_usable(byte % n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* inputs are short: limits must be in reach, in and between blocks */
	static const int maxima[3] = {3, 40, MAX_ELEMENTS};
	int			max = maxima[size % 3];
	char	   *text;
	size_t		len;

	if (size == 0)
		return 0;
	vec_kernels = table_of(data[--size]);

	/* text ends at the first zero byte: give it memory of its own */
	len = size == 0 ? 0 : strnlen((const char *) data, size);
	text = malloc(len + 1);
	if (text == NULL)
		return 0;
	memcpy(text, data, len);
	text[len] = '\0';

	check_float(text, text + len);
	check_dense(text, max, INFINITY);
	check_dense(text, max, 65520.0f);
	check_sparse(text, max);
	free(text);
	return 0;
}
