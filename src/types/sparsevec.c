/*-------------------------------------------------------------------------
 *
 * sparsevec.c
 *	  The sparsevec type: text and binary form, type modifier, casts.
 *
 * In text {index:value,...}/dim counts from 1, in the datum and on the wire
 * from 0.  sparsevec.h has the layout and what must hold of it.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "kernels/float_print.h"
#include "kernels/kernels.h"
#include "kernels/literal.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "types/common.h"
#include "types/dense.h"
#include "types/sparse.h"
#include "utils/array.h"
#include "utils/builtins.h"

/*
 * sparse_get
 *		Detoast a sparsevec and check its outer shape.
 *
 * Afterwards index[] and value[] may be read up to nnz.  What they hold is
 * not checked: who uses an index as an address must compare it with dim.
 * Returns the datum itself or a copy in the current memory context.  Raises
 * XX001.
 */
SparseVector *
sparse_get(Datum datum)
{
	SparseVector *vec = (SparseVector *) PG_DETOAST_DATUM(datum);
	Size		size = VARSIZE(vec);

	if (unlikely(size < SPARSEVEC_SIZE(0) ||
				 vec->dim < 1 || vec->dim > SPARSEVEC_MAX_DIM ||
				 vec->nnz < 0 || vec->nnz > SPARSEVEC_MAX_NNZ || vec->nnz > vec->dim ||
				 size != SPARSEVEC_SIZE(vec->nnz)))
		vec_datum_damaged("sparsevec");

	return vec;
}

/*
 * sparse_new
 *		Allocate a sparsevec; the caller fills index[] and value[].
 *
 * dim and nnz must have been checked.  Memory: current context.
 */
SparseVector *
sparse_new(int dim, int nnz)
{
	Size		size = SPARSEVEC_SIZE(nnz);
	SparseVector *vec = (SparseVector *) palloc(size);

	Assert(dim >= 1 && nnz >= 0 && nnz <= SPARSEVEC_MAX_NNZ);

	SET_VARSIZE(vec, size);
	vec->dim = dim;
	vec->nnz = nnz;
	vec->unused = 0;
	return vec;
}

/*
 * sparse_drop_zeros
 *		Remove elements whose value is zero.
 *
 * Returns vec itself if there are none, else a new value in the current
 * memory context.
 */
SparseVector *
sparse_drop_zeros(SparseVector *vec)
{
	const float *value = SPARSEVEC_VALUES(vec);
	SparseVector *result;
	float	   *result_value;
	int			kept = 0;

	for (int i = 0; i < vec->nnz; i++)
		kept += value[i] != 0;
	if (kept == vec->nnz)
		return vec;

	result = sparse_new(vec->dim, kept);
	result_value = SPARSEVEC_VALUES(result);
	kept = 0;
	for (int i = 0; i < vec->nnz; i++)
	{
		if (value[i] == 0)
			continue;
		result->index[kept] = vec->index[i];
		result_value[kept] = value[i];
		kept++;
	}
	return result;
}

/*
 * sparse_check_nnz
 *		May a sparsevec have so many elements?  Reports 54000.
 */
bool
sparse_check_nnz(int64 nnz, Node *escontext)
{
	if (nnz > SPARSEVEC_MAX_NNZ)
		ereturn(escontext, false,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("sparsevec cannot have more than %d non-zero elements",
						SPARSEVEC_MAX_NNZ)));
	return true;
}

/*
 * Element i of index[] against the bounds and its predecessor.  Reports 22000.
 */
static bool
check_index(const int32 *index, int i, int dim, Node *escontext)
{
	if (index[i] < 0 || index[i] >= dim)
		ereturn(escontext, false,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("sparsevec has an index outside its dimensions")));
	if (i > 0 && index[i] < index[i - 1])
		ereturn(escontext, false,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("sparsevec indices are not in ascending order")));
	if (i > 0 && index[i] == index[i - 1])
		ereturn(escontext, false,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("sparsevec has duplicate indices")));
	return true;
}

/* ------------------------------------------------------------------------
 * Text
 * ------------------------------------------------------------------------
 */

static int
compare_items(const void *a, const void *b)
{
	int32		ia = ((const VecSparseItem *) a)->index;
	int32		ib = ((const VecSparseItem *) b)->index;

	return (ia > ib) - (ia < ib);
}

/* drop zero values and sort what is left by index; returns how many remain */
static int
tidy_items(VecSparseItem *items, int n)
{
	bool		ascending = true;
	int			kept = 0;

	for (int i = 0; i < n; i++)
	{
		if (items[i].value == 0)
			continue;
		if (kept > 0 && items[i].index < items[kept - 1].index)
			ascending = false;
		items[kept++] = items[i];
	}

	if (!ascending)
		qsort(items, kept, sizeof(VecSparseItem), compare_items);
	return kept;
}

/* an upper limit of the elements a literal can have: its commas and one */
static int64
count_elements(const char *literal)
{
	size_t		len = strlen(literal);
	int64		n = 1;

	for (size_t i = 0; i < len; i++)
		n += literal[i] == ',';
	return n;
}

VEC_SQL_FUNCTION(vecext_sparsevec_in)
{
	const char *literal = PG_GETARG_CSTRING(0);
	int32		typmod = PG_GETARG_INT32(2);
	Node	   *escontext = (Node *) fcinfo->context;
	int64		max = count_elements(literal);
	VecSparseItem *items;
	VecParseResult parsed;
	SparseVector *vec;
	float	   *value;
	int			nnz;

	if (!sparse_check_nnz(max, escontext))
		PG_RETURN_NULL();
	items = (VecSparseItem *) palloc(mul_size(max, sizeof(VecSparseItem)));

	vec_parse_sparse(literal, items, (int) max, &parsed);
	if (parsed.status != VEC_PARSE_OK)
	{
		vec_parse_failed(&parsed, literal, "sparsevec", SPARSEVEC_MAX_NNZ, escontext);
		PG_RETURN_NULL();
	}
	if (!vec_check_dim(parsed.dim, SPARSEVEC_MAX_DIM, "sparsevec", escontext) ||
		!vec_check_typmod(typmod, parsed.dim, escontext))
		PG_RETURN_NULL();

	nnz = tidy_items(items, parsed.count);
	vec = sparse_new(parsed.dim, nnz);
	value = SPARSEVEC_VALUES(vec);
	for (int i = 0; i < nnz; i++)
	{
		/* 1-based in text; an index clamped to INT_MIN must not wrap */
		vec->index[i] = items[i].index < 1 ? -1 : items[i].index - 1;
		value[i] = items[i].value;
		if (!check_index(vec->index, i, vec->dim, escontext))
			PG_RETURN_NULL();
	}

	pfree(items);
	PG_RETURN_POINTER(vec);
}

VEC_SQL_FUNCTION(vecext_sparsevec_out)
{
	SparseVector *vec = PG_GETARG_SPARSE(0);
	/* braces, slash, dim with a sign, terminator */
	char	   *text = (char *) palloc((Size) vec->nnz * VEC_SPARSE_ROOM + 3 + 11 + 1);
	char	   *p = text;

	*p++ = '{';
	p = vec_print_sparse(p, vec->index, SPARSEVEC_VALUES(vec), vec->nnz);
	*p++ = '}';
	*p++ = '/';
	p += pg_ultoa_n((uint32) vec->dim, p);
	*p = '\0';

	PG_RETURN_CSTRING(text);
}

VEC_SQL_FUNCTION(vecext_sparsevec_typmod_in)
{
	ArrayType  *ta = PG_GETARG_ARRAYTYPE_P(0);

	PG_RETURN_INT32(vec_typmod_in(ta, SPARSEVEC_MAX_DIM, "sparsevec"));
}

/* ------------------------------------------------------------------------
 * Binary: int32 dim, nnz, unused; int32 index[nnz]; float4 value[nnz]
 * ------------------------------------------------------------------------
 */

/* n words of 32 bits between network and native byte order */
static void
copy_network32(const void *src, void *dst, int n)
{
#ifdef WORDS_BIGENDIAN
	memcpy(dst, src, (Size) n * sizeof(int32));
#else
	vec_kernels->swap_bytes32(src, dst, n);
#endif
}

VEC_SQL_FUNCTION(vecext_sparsevec_recv)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	int32		typmod = PG_GETARG_INT32(2);
	int32		dim = (int32) pq_getmsgint(buf, 4);
	int32		nnz = (int32) pq_getmsgint(buf, 4);
	int32		unused = (int32) pq_getmsgint(buf, 4);
	SparseVector *vec;
	float	   *value;
	const char *bytes;

	vec_check_dim(dim, SPARSEVEC_MAX_DIM, "sparsevec", NULL);
	if (nnz < 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("number of sparsevec elements is negative")));
	sparse_check_nnz(nnz, NULL);
	if (nnz > dim)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("sparsevec has more elements than dimensions")));
	vec_check_typmod(typmod, dim, NULL);
	if (unused != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("expected unused field of sparsevec to be 0, not %d", unused)));

	/* the message must hold the bytes before memory is spent on them */
	bytes = pq_getmsgbytes(buf, nnz * (int) sizeof(int32));
	vec = sparse_new(dim, nnz);
	value = SPARSEVEC_VALUES(vec);
	copy_network32(bytes, vec->index, nnz);
	for (int i = 0; i < nnz; i++)
		check_index(vec->index, i, dim, NULL);

	bytes = pq_getmsgbytes(buf, nnz * (int) sizeof(float));
	copy_network32(bytes, value, nnz);
	vec_check_finite(value, nnz, "sparsevec");
	for (int i = 0; i < nnz; i++)
	{
		if (value[i] == 0)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("binary sparsevec must not hold zero values")));
	}

	PG_RETURN_POINTER(vec);
}

VEC_SQL_FUNCTION(vecext_sparsevec_send)
{
	SparseVector *vec = PG_GETARG_SPARSE(0);
	int			words = 2 * vec->nnz;
	StringInfoData buf;

	pq_begintypsend(&buf);
	pq_sendint32(&buf, vec->dim);
	pq_sendint32(&buf, vec->nnz);
	pq_sendint32(&buf, vec->unused);

	/* indices and values are neighbors and both made of 32-bit words */
	enlargeStringInfo(&buf, words * (int) sizeof(int32));
	copy_network32(vec->index, buf.data + buf.len, words);
	buf.len += words * (int) sizeof(int32);

	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

/* ------------------------------------------------------------------------
 * Casts
 * ------------------------------------------------------------------------
 */

VEC_SQL_FUNCTION(vecext_sparsevec)
{
	SparseVector *vec = PG_GETARG_SPARSE(0);

	vec_check_typmod(PG_GETARG_INT32(1), vec->dim, NULL);
	PG_RETURN_POINTER(vec);
}

/*
 * The non-zero ones among dim floats, which must be finite.  Raises 54000 if
 * they are too many.
 */
static SparseVector *
from_floats(const float *x, int dim)
{
	SparseVector *vec;
	float	   *value;
	int			nnz = 0;

	for (int i = 0; i < dim; i++)
		nnz += x[i] != 0;
	sparse_check_nnz(nnz, NULL);

	vec = sparse_new(dim, nnz);
	value = SPARSEVEC_VALUES(vec);
	nnz = 0;
	for (int i = 0; i < dim; i++)
	{
		if (x[i] == 0)
			continue;
		vec->index[nnz] = i;
		value[nnz] = x[i];
		nnz++;
	}
	return vec;
}

/* all dim elements, palloc'd; raises XX001 for an index out of bounds */
static float *
to_floats(const SparseVector *vec)
{
	float	   *x = (float *) palloc0(mul_size(vec->dim, sizeof(float)));
	const float *value = SPARSEVEC_VALUES(vec);

	for (int i = 0; i < vec->nnz; i++)
	{
		if ((uint32) vec->index[i] >= (uint32) vec->dim)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("damaged value of type sparsevec"),
					 errdetail("Element %d has an index outside the dimensions.", i + 1)));
		x[vec->index[i]] = value[i];
	}
	return x;
}

VEC_SQL_FUNCTION(vecext_array_to_sparsevec)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(0);
	int			dim;
	float	   *x = vec_array_to_floats(array, &dim);

	vec_check_dim(dim, SPARSEVEC_MAX_DIM, "sparsevec", NULL);
	vec_check_typmod(PG_GETARG_INT32(1), dim, NULL);
	vec_check_finite(x, dim, "sparsevec");
	PG_RETURN_POINTER(from_floats(x, dim));
}

static Datum
dense_to_sparsevec(FunctionCallInfo fcinfo, const DenseType *type)
{
	DenseVector *vec = PG_GETARG_DENSE(0, type);

	vec_check_typmod(PG_GETARG_INT32(1), vec->dim, NULL);
	PG_RETURN_POINTER(from_floats(type->widen(vec), vec->dim));
}

VEC_SQL_FUNCTION(vecext_vector_to_sparsevec)
{
	return dense_to_sparsevec(fcinfo, &dense_vector);
}

VEC_SQL_FUNCTION(vecext_halfvec_to_sparsevec)
{
	return dense_to_sparsevec(fcinfo, &dense_halfvec);
}

static Datum
sparsevec_to_dense(FunctionCallInfo fcinfo, const DenseType *type)
{
	SparseVector *vec = PG_GETARG_SPARSE(0);

	vec_check_dim(vec->dim, DENSE_MAX_DIM, type->name, NULL);
	vec_check_typmod(PG_GETARG_INT32(1), vec->dim, NULL);
	PG_RETURN_POINTER(dense_from_floats(type, to_floats(vec), vec->dim));
}

VEC_SQL_FUNCTION(vecext_sparsevec_to_vector)
{
	return sparsevec_to_dense(fcinfo, &dense_vector);
}

VEC_SQL_FUNCTION(vecext_sparsevec_to_halfvec)
{
	return sparsevec_to_dense(fcinfo, &dense_halfvec);
}
