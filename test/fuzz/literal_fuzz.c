/*-------------------------------------------------------------------------
 *
 * literal_fuzz.c
 *	  libFuzzer target: the text parsers against slow ones made of libc calls.
 *
 * Each input is parsed as a number, as a dense literal with the limits of
 * vector and halfvec, and as a sparse literal, from a heap copy of its exact
 * size, so that AddressSanitizer sees a read past the end.  The reference
 * below reads like surface text: strtof(), strtol(), isspace(), nothing fast.
 * A difference aborts.  run.sh builds and runs it.
 *
 *-------------------------------------------------------------------------
 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/literal.h"

#define MAX_ELEMENTS	64		/* inputs are short: the limit must be in reach */

int			LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool same, const char *what, const char *text)
{
	if (same)
		return;
	fprintf(stderr, "%s differs for \"%s\"\n", what, text);
	abort();
}

static const char *
after_space(const char *p)
{
	while (isspace((unsigned char) *p))
		p++;
	return p;
}

/* one number, checked; returns what follows it and white space, or NULL */
static const char *
slow_number(const char *p, float limit, bool refuse_underflow, float *value, VecParseResult *result)
{
	char	   *end;

	p = after_space(p);
	errno = 0;
	*value = strtof(p, &end);
	result->status = VEC_PARSE_OK;
	if (end == p)
		result->status = VEC_PARSE_SYNTAX;
	else if (errno == ERANGE && (isinf(*value) || (refuse_underflow && *value == 0)))
		result->status = VEC_PARSE_OUT_OF_RANGE;
	else if (isnan(*value))
		result->status = VEC_PARSE_NAN;
	else if (isinf(*value))
		result->status = VEC_PARSE_INFINITE;
	else if (fabsf(*value) >= limit)
		result->status = VEC_PARSE_OUT_OF_RANGE;

	if (result->status == VEC_PARSE_OUT_OF_RANGE)
	{
		result->token = p;
		result->token_len = (int) (end - p);
	}
	return result->status == VEC_PARSE_OK ? after_space(end) : NULL;
}

static VecParseStatus
slow_dense(const char *p, float *out, int max, float limit, VecParseResult *result)
{
	p = after_space(p);
	if (*p++ != '[')
		return VEC_PARSE_NO_OPENING;
	if (*after_space(p) == ']')
		return VEC_PARSE_EMPTY;

	while (result->count < max)
	{
		p = slow_number(p, limit, false, &out[result->count], result);
		if (p == NULL)
			return result->status;
		result->count++;
		if (*p == ']')
			return *after_space(p + 1) ? VEC_PARSE_JUNK : VEC_PARSE_OK;
		if (*p++ != ',')
			return VEC_PARSE_SYNTAX;
	}
	return VEC_PARSE_TOO_MANY;
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

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char	   *text = malloc(size + 1);
	size_t		len;
	int			max = size % 3 == 0 ? 3 : MAX_ELEMENTS;

	if (text == NULL)
		return 0;
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';

	/* text ends at the first zero byte: move it to the end of the block */
	len = strlen(text);
	memmove(text + size - len, text, len + 1);

	check_float(text + size - len, text + size);
	check_dense(text + size - len, max, INFINITY);
	check_dense(text + size - len, max, 65520.0f);
	check_sparse(text + size - len, max);
	free(text);
	return 0;
}
