/*-------------------------------------------------------------------------
 *
 * dense.h
 *	  What vector and halfvec share: everything but the element.
 *
 * Both datums are a header of 8 bytes and an array, so each body exists once
 * and works through a DenseType.  It is called per value, never per element.
 * Only the distances are written out per type, in vector.c and halfvec.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_DENSE_H
#define VECEXT_DENSE_H

#include "compat.h"

#include "types/common.h"

#define DENSE_MAX_DIM 16000

/* bytes; a row of more is not followed by another on its page */
#define DENSE_MAX_PREFETCH 4096

/* header of Vector and of HalfVector */
typedef struct DenseVector
{
	int32		vl_len_;		/* varlena header (do not touch directly!) */
	int16		dim;
	int16		unused;
	char		x[FLEXIBLE_ARRAY_MEMBER];
} DenseVector;

typedef struct DenseType
{
	const char *name;			/* for messages */
	int			elem_size;		/* bytes of an element */
	float		limit;			/* text: smallest magnitude out of range */

	/* elements as floats: the value's own array or a palloc'd copy */
	const float *(*widen) (const DenseVector *v);
	/* array in which to compute v's elements: its own or palloc'd ... */
	float	   *(*scratch) (DenseVector *v);
	/* ... and round them into the value; too large becomes infinite */
	void		(*narrow) (const float *src, DenseVector *v);
	/* lexicographic order of the first n elements: -1, 0, 1 */
	int			(*compare) (const DenseVector *a, const DenseVector *b, int n);
	/* network byte order to native and back */
	void		(*swap) (const void *src, void *dst, int n);
} DenseType;

extern const DenseType dense_vector;
extern const DenseType dense_halfvec;

/* bytes of a value of dim elements */
static inline Size
dense_size(const DenseType *type, int dim)
{
	return offsetof(DenseVector, x) + (Size) type->elem_size * dim;
}

/* the elements in memory order of the type */
#define DENSE_ELEMENTS(v)	((void *) (v)->x)

extern DenseVector *dense_new(const DenseType *type, int dim);
extern int	dense_dim(Datum datum, const DenseType *type);

/*
 * A datum in plain form, its size checked against its header: XX001 if they
 * disagree.  May be palloc'd in the current context.
 */
static inline DenseVector *
dense_get(Datum datum, const DenseType *type)
{
	DenseVector *v = (DenseVector *) PG_DETOAST_DATUM(datum);

	if (unlikely(v->dim < 1 || VARSIZE(v) != dense_size(type, v->dim)))
		vec_datum_damaged(type->name);
	return v;
}

/*
 * Ask for the memory right below a value while it is being worked on.  A
 * sequential scan walks the rows of a page downwards in memory, each row
 * upwards, a pattern that hardware does not foresee; so the next row's vector
 * is waited for in full.  Only a hint: the addresses need not be valid.
 */
static inline void
dense_prefetch_below(const DenseVector *v)
{
	const char *p = (const char *) v;
	int			size = Min(VARSIZE(v), DENSE_MAX_PREFETCH) + 64;

	for (int offset = size; offset > 0; offset -= 64)
		__builtin_prefetch(p - offset);
}

#define PG_GETARG_DENSE(n, type)	dense_get(PG_GETARG_DATUM(n), type)

/* dense_io.c */
extern Datum dense_in(FunctionCallInfo fcinfo, const DenseType *type);
extern Datum dense_out(FunctionCallInfo fcinfo, const DenseType *type);
extern Datum dense_recv(FunctionCallInfo fcinfo, const DenseType *type);
extern Datum dense_send(FunctionCallInfo fcinfo, const DenseType *type);
extern Datum dense_cast_typmod(FunctionCallInfo fcinfo, const DenseType *type);
extern Datum dense_from_array(FunctionCallInfo fcinfo, const DenseType *type);
extern Datum dense_to_array(FunctionCallInfo fcinfo, const DenseType *type);
extern Datum dense_convert(FunctionCallInfo fcinfo, const DenseType *from, const DenseType *to);
extern DenseVector *dense_from_floats(const DenseType *type, const float *x, int dim);

/* dense_ops.c */
extern Datum dense_add(FunctionCallInfo fcinfo, const DenseType *type);
extern Datum dense_sub(FunctionCallInfo fcinfo, const DenseType *type);
extern Datum dense_mul(FunctionCallInfo fcinfo, const DenseType *type);
extern Datum dense_neg(FunctionCallInfo fcinfo, const DenseType *type);
extern Datum dense_scale(const DenseVector *v, float factor, const DenseType *type);
extern Datum dense_divide(const DenseVector *v, float divisor, const DenseType *type);
extern Datum dense_concat(FunctionCallInfo fcinfo, const DenseType *type);
extern Datum dense_normalize(const DenseVector *v, double normsq, const DenseType *type);
extern Datum dense_subvector(FunctionCallInfo fcinfo, const DenseType *type);
extern DenseVector *dense_slice(const DenseVector *v, int64 first, int64 last,
								const DenseType *type);
extern Datum dense_binary_quantize(FunctionCallInfo fcinfo, const DenseType *type);
extern int	dense_compare(FunctionCallInfo fcinfo, const DenseType *type);

/* dense_agg.c */
extern Datum dense_accum(FunctionCallInfo fcinfo, const DenseType *type);
extern Datum dense_avg(FunctionCallInfo fcinfo, const DenseType *type);

#endif							/* VECEXT_DENSE_H */
