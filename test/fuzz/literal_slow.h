/*-------------------------------------------------------------------------
 *
 * literal_slow.h
 *	  The text parsers once more, made of libc calls: the reference.
 *
 * Reads like surface text: strtof(), strtol(), isspace(), nothing fast.  For
 * the fuzzer and the unit test.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_LITERAL_SLOW_H
#define VECEXT_LITERAL_SLOW_H

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "kernels/literal.h"

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

#endif							/* VECEXT_LITERAL_SLOW_H */
