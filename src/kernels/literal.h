/*-------------------------------------------------------------------------
 *
 * literal.h
 *	  Text of vectors to numbers: [e1,e2,...] and {i1:v1,...}/dim.
 *
 * Server-free, so that a fuzzer can run it.  The caller turns the outcome
 * into a message with an SQLSTATE.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_LITERAL_H
#define VECEXT_LITERAL_H

#include <stddef.h>
#include <stdint.h>

typedef enum VecParseStatus
{
	VEC_PARSE_OK,
	VEC_PARSE_NO_OPENING,		/* first non-blank is not the bracket or brace */
	VEC_PARSE_SYNTAX,			/* premature end, bad number, stray comma */
	VEC_PARSE_NO_DIMS,			/* sparse: nothing like "/dim" after the brace */
	VEC_PARSE_JUNK,				/* text after the end */
	VEC_PARSE_EMPTY,			/* dense: no element */
	VEC_PARSE_TOO_MANY,			/* more than max elements */
	VEC_PARSE_OUT_OF_RANGE,		/* number beyond the element type; see token */
	VEC_PARSE_NAN,
	VEC_PARSE_INFINITE
} VecParseStatus;

typedef struct VecParseResult
{
	VecParseStatus status;
	int			count;			/* elements stored */
	int			dim;			/* sparse: the number after the slash, clamped to int */
	const char *token;			/* OUT_OF_RANGE: start of the number in the text */
	int			token_len;
} VecParseResult;

/*
 * One element of a sparse literal.  The index is as written, 1-based, clamped
 * to int and not checked: compare before subtracting 1, it may be INT32_MIN.
 */
typedef struct VecSparseItem
{
	int32_t		index;
	float		value;
} VecSparseItem;

/* "stop" is the text's terminating zero byte; see float_parse.c */
extern float vec_parse_float(const char *text, const char *stop, const char **end, int *error);

/* a whole literal, ended by a zero byte; see literal.c */
extern void vec_parse_dense(const char *text, float *out, int max, float limit,
							VecParseResult *result);
extern void vec_parse_sparse(const char *text, VecSparseItem *out, int max,
							 VecParseResult *result);

#endif							/* VECEXT_LITERAL_H */
