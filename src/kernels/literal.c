/*-------------------------------------------------------------------------
 *
 * literal.c
 *	  Text of vectors to numbers: [e1,e2,...] and {i1:v1,...}/dim.
 *
 *	dense	blank* '[' element (',' element)* ']' blank*
 *	element	blank* number blank*
 *
 *	sparse	blank* '{' ( item (',' item)* )? '}' blank* '/' integer blank*
 *	item	integer ':' blank* number blank*
 *	integer	blank* sign? digit+ blank*
 *
 * Blanks may also stand between the brackets of "[ ]" and "{ }"; number is
 * what strtof() accepts.  Reading stops at the first error from the left,
 * with two exceptions: a sparse literal's commas are counted before anything
 * else, and an element too many is an error before it is looked at.
 *
 * The functions read the text once, never past its terminating zero byte,
 * store into the caller's array alone and allocate nothing.
 *
 *-------------------------------------------------------------------------
 */
#include <limits.h>
#include <math.h>

#include "kernels/float_parse.h"
#include "kernels/kernels.h"
#include "kernels/literal.h"

/* white space of the C locale */
static inline bool
is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static inline const char *
skip_blanks(const char *p)
{
	while (is_blank(*p))
		p++;
	return p;
}

static void
clear_result(VecParseResult *result)
{
	result->status = VEC_PARSE_OK;
	result->count = 0;
	result->dim = 0;
	result->token = NULL;
	result->token_len = 0;
}

/*
 * The number at p, which ends at the zero byte "stop", blanks around it
 * skipped.  Returns where to go on.  Anything but a finite number of smaller
 * magnitude than "limit" is an error: sets result->status and returns NULL.
 * So is a number that underflows to zero, if "refuse_underflow".
 */
static inline const char *
read_number(const char *p, const char *stop, float limit, bool refuse_underflow,
			float *value, VecParseResult *result)
{
	const char *end;
	int			error = 0;

	p = skip_blanks(p);
	if (!vec_parse_float_fast(p, stop, &end, value))
		*value = vec_parse_float_slow(p, &end, &error);

	if (end == p)
		result->status = VEC_PARSE_SYNTAX;
	else if (isnan(*value))
		result->status = VEC_PARSE_NAN;
	else if (isinf(*value) && error == 0)
		result->status = VEC_PARSE_INFINITE;
	else if (fabsf(*value) >= limit || (refuse_underflow && error != 0 && *value == 0))
	{
		result->status = VEC_PARSE_OUT_OF_RANGE;
		result->token = p;
		result->token_len = (int) (end - p);
	}
	else
		return skip_blanks(end);

	return NULL;
}

/*
 * The integer at p, blanks around it skipped, as strtol() reads it in base 10
 * but clamped to int.  Returns where to go on, NULL if there is no integer.
 */
static const char *
read_integer(const char *p, int32_t *value)
{
	int64_t		magnitude = 0;
	bool		negative;

	p = skip_blanks(p);
	negative = (*p == '-');
	if (*p == '-' || *p == '+')
		p++;
	if (!vec_is_digit(*p))
		return NULL;

	for (; vec_is_digit(*p); p++)
		if (magnitude <= INT32_MAX)
			magnitude = magnitude * 10 + (*p - '0');

	if (negative)
		*value = magnitude > INT32_MAX ? INT32_MIN : (int32_t) -magnitude;
	else
		*value = magnitude > INT32_MAX ? INT32_MAX : (int32_t) magnitude;
	return skip_blanks(p);
}

/*
 * Commas ahead in a literal, for reading by blocks.  Offsets count from the
 * start of the text.  A number starts after the comma before it.
 */
typedef struct CommaIndex
{
	int			n;
	int			next;			/* first not used yet */
	int32_t		end;			/* of the text looked at */
	int			wait;			/* numbers to read singly before trying again */
	int			misses;			/* blocks in a row that were not worth it */
	int32_t		commas[1 + VEC_TEXT_BLOCK + VEC_TEXT_COMMAS];	/* from 1; one is before them */
} CommaIndex;

#define MAX_MISSES	5

/*
 * Make the index start at p, where a number starts, and fill it with a block
 * of commas or all there are within a chunk.
 */
static void
fill_index(CommaIndex *index, const char *text, const char *p, const char *stop)
{
	int32_t		start = (int32_t) (p - text);
	int			left;

	/* numbers read singly */
	while (index->next < index->n && index->commas[1 + index->next] < start)
		index->next++;
	left = index->n - index->next;
	if (left >= VEC_TEXT_BLOCK)
		return;

	memmove(index->commas + 1, index->commas + 1 + index->next, (size_t) left * sizeof(int32_t));
	index->next = 0;
	index->n = left;
	if (index->end < start)
		index->end = start;
	if (index->end < stop - text)
	{
		const char *from = text + index->end;
		int			size = stop - from < VEC_TEXT_CHUNK ? (int) (stop - from) : VEC_TEXT_CHUNK;

		index->n += vec_kernels->find_commas(from, size, index->end, index->commas + 1 + left);
		index->end += size;
	}
}

/*
 * Read the numbers at p, block by block, as long as they are simple and
 * followed by a comma.  Adds at most max - *count to *count and returns where
 * the next one starts.
 */
static const char *
read_blocks(CommaIndex *index, const char *text, const char *p, const char *stop, float limit,
			int max, float *out, int *count)
{
	int			good;
	int			n;

	do
	{
		int32_t    *commas;

		fill_index(index, text, p, stop);
		n = index->n - index->next;
		n = n < VEC_TEXT_BLOCK ? n : VEC_TEXT_BLOCK;
		n = n < max - *count ? n : max - *count;
		if (n == 0)
		{
			good = 0;
			break;
		}
		commas = index->commas + 1 + index->next;
		commas[-1] = (int32_t) (p - text) - 1;
		good = vec_kernels->parse_block(text, commas, n, limit, out + *count);
		*count += good;
		index->next += good;
		if (good > 0)
			p = text + commas[good - 1] + 1;
	} while (good == VEC_TEXT_BLOCK);

	/* neighbors are alike: not worth it if nearly all have to be read again */
	if (good < VEC_TEXT_BLOCK / 4)
	{
		index->wait = VEC_TEXT_BLOCK << index->misses;
		index->misses += (index->misses < MAX_MISSES);
	}
	else
		index->misses = 0;
	return p;
}

/*
 * vec_parse_dense
 *		Read [e1,e2,...] into "out", which has room for "max" floats, or for
 *		strlen(text) / 2 + 1 if that is less.
 *
 * "limit" is the smallest magnitude that the element type cannot hold,
 * INFINITY for float.  Numbers too small become zero, silently.  On success
 * result->count is the number of elements, 1 to max.  On failure it is the
 * number stored until then; result->token points into the text.
 */
void
vec_parse_dense(const char *text, float *out, int max, float limit, VecParseResult *result)
{
	const char *stop = text + strlen(text);
	const char *p = skip_blanks(text);
	CommaIndex	index;
	int			count = 0;

	clear_result(result);

	if (*p != '[')
	{
		result->status = VEC_PARSE_NO_OPENING;
		return;
	}
	p = skip_blanks(p + 1);
	if (*p == ']')
	{
		result->status = VEC_PARSE_EMPTY;
		return;
	}

	index.n = index.next = index.end = index.misses = 0;
	index.wait = stop - text < INT32_MAX / 2 ? 0 : INT_MAX;
	for (;; p++)
	{
		if (--index.wait < 0 && p - text >= VEC_TEXT_WINDOW)
			p = read_blocks(&index, text, p, stop, limit, max, out, &count);
		if (count == max)
		{
			result->status = VEC_PARSE_TOO_MANY;
			break;
		}
		p = read_number(p, stop, limit, false, &out[count], result);
		if (p == NULL)
			break;
		count++;
		if (*p == ',')
			continue;

		if (*p != ']')
			result->status = VEC_PARSE_SYNTAX;
		else if (*skip_blanks(p + 1) != '\0')
			result->status = VEC_PARSE_JUNK;
		break;
	}
	result->count = count;
}

/*
 * The items of a sparse literal, p being after the opening brace.  Returns
 * where the closing brace is, or NULL with result->status set.
 */
static const char *
read_items(const char *p, const char *stop, VecSparseItem *out, VecParseResult *result)
{
	p = skip_blanks(p);
	if (*p == '}')
		return p;

	for (;; p++)
	{
		VecSparseItem *item = &out[result->count];

		p = read_integer(p, &item->index);
		if (p == NULL || *p != ':')
			break;
		p = read_number(p + 1, stop, INFINITY, true, &item->value, result);
		if (p == NULL)
			return NULL;
		if (item->value != 0)
			result->count++;
		if (*p == '}')
			return p;
		if (*p != ',')
			break;
	}

	result->status = VEC_PARSE_SYNTAX;
	return NULL;
}

/*
 * vec_parse_sparse
 *		Read {i1:v1,i2:v2,...}/dim into "out", which has room for "max" items.
 *
 * Items are stored as written, less those of value zero: indices may be out
 * of bounds, unordered and repeated, as may be dim, which the caller checks
 * first.  A number other than zero that becomes zero is out of range.  On
 * failure result->count is the number of items stored until then.
 */
void
vec_parse_sparse(const char *text, VecSparseItem *out, int max, VecParseResult *result)
{
	size_t		len = strlen(text);
	const char *stop = text + len;
	const char *p = skip_blanks(text);
	size_t		commas = 0;

	clear_result(result);

	/* bounds the number of items, whatever they are */
	for (size_t i = 0; i < len; i++)
		commas += (text[i] == ',');
	if (max < 1 || commas > (size_t) max - 1)
	{
		result->status = VEC_PARSE_TOO_MANY;
		return;
	}

	if (*p != '{')
	{
		result->status = VEC_PARSE_NO_OPENING;
		return;
	}
	p = read_items(p + 1, stop, out, result);
	if (p == NULL)
		return;

	p = skip_blanks(p + 1);
	if (*p != '/')
	{
		result->status = VEC_PARSE_NO_DIMS;
		return;
	}
	p = read_integer(p + 1, &result->dim);
	if (p == NULL)
		result->status = VEC_PARSE_SYNTAX;
	else if (*p != '\0')
		result->status = VEC_PARSE_JUNK;
}
