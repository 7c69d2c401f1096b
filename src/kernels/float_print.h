/*-------------------------------------------------------------------------
 *
 * float_print.h
 *	  Floats to text: the fewest digits that read back as the same float.
 *
 * float_print.c has the format and the algorithm.  No function here ends the
 * text with a zero byte; each returns the first byte after it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_FLOAT_PRINT_H
#define VECEXT_FLOAT_PRINT_H

#include <stdint.h>

/*
 * Bytes that a number may write to, not all of which its text takes: the
 * longest text has VEC_FLOAT_MAX_LEN, as "-1.17549435e-38".
 */
#define VEC_FLOAT_ROOM		16
#define VEC_FLOAT_MAX_LEN	15

/* the same for "index:number" and a comma */
#define VEC_SPARSE_ROOM		(10 + 1 + VEC_FLOAT_ROOM + 1)

extern char *vec_print_float(char *p, float value);
extern char *vec_print_floats(char *p, const float *x, int n);
extern char *vec_print_sparse(char *p, const int32_t *index, const float *value, int n);

#endif							/* VECEXT_FLOAT_PRINT_H */
