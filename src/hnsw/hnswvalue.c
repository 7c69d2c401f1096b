/*-------------------------------------------------------------------------
 *
 * hnswvalue.c
 *	  From a datum to what the index stores of it.
 *
 * With compact codes that is a nav code and a refine record; the record of
 * refine = full is the plain value itself, so that its distance is what the
 * operator returns, to the bit.  With exact codes the value is the code.
 *
 *-------------------------------------------------------------------------
 */
#include "hnsw/hnsw.h"

/*
 * hnsw_record_encode
 *		Write the refine record of a value: params.refine_size bytes, aligned
 *		for float.
 */
void
hnsw_record_encode(const HnswIndex *index, const HnswValue *value, uint8_t *record)
{
	const HnswParams *params = &index->params;

	if (params->refine == REFINE_FULL)
		memcpy(record, value->plain, params->refine_size);
	else
		refine_encode(params->refine, value->floats, params->dim, record);
}

/*
 * hnsw_check_plain
 *		Bytes from a page as a plain value of the index's dimensions, or NULL
 *		if they are not one.
 *
 * "bytes" is aligned for int.  Raises XX001 where the length agrees and the
 * rest of the value's header does not.
 */
const struct varlena *
hnsw_check_plain(const HnswIndex *index, const void *bytes, Size size)
{
	return am_check_plain(index->metric->type, index->params.dim, bytes, size);
}

/* the code of an exact value; where its rest lies is not known yet */
static void
exact_encode(const HnswIndex *index, const struct varlena *plain, uint8_t *code)
{
	HnswExactHead head = {(int32) VARSIZE(plain), InvalidBlockNumber};

	memset(code, 0, index->layout.code_size);
	memcpy(code, &head, sizeof(head));
	memcpy(code + sizeof(head), plain, Min(VARSIZE(plain), index->params.exact_size));
}

/* the nav image and its code, and the refine record */
static void
compact_encode(const HnswIndex *index, HnswValue *value)
{
	const HnswParams *params = &index->params;
	float		slack;

	value->floats = palloc(sizeof(float) * params->dim);
	value->nav = palloc(sizeof(float) * params->dim);
	value->refine = palloc0(MAXALIGN(params->refine_size + 1));
	index->metric->type->to_floats(value->plain, value->floats);
	slack = quant_map(index->model, value->floats, value->nav);
	nav_encode(index->model, index->model->nav_bits, value->nav, slack, value->code);
	hnsw_record_encode(index, value, value->refine);
}

/*
 * hnsw_value
 *		All that an insert stores of a datum, palloc'd; keys are for the caller
 *		to fill.
 *
 * Raises 22000 unless its dimensions are the column's.
 */
HnswValue *
hnsw_value(HnswIndex *index, Datum datum)
{
	const VecMetric *metric = index->metric;
	HnswValue  *value = palloc0(sizeof(HnswValue));
	int			dim;

	value->plain = metric->type->plain(datum);
	dim = metric->type->dim(value->plain);
	if (dim != index->params.dim)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("expected %d dimensions, not %d", index->params.dim, dim)));
	value->defined = metric->is_defined(value->plain);
	value->code = palloc0(MAXALIGN(index->layout.code_size));
	value->keys = palloc0((index->params.nwords + 1) * sizeof(uint64));
	if (index->params.codec == HNSW_CODEC_EXACT)
		exact_encode(index, value->plain, value->code);
	else
		compact_encode(index, value);
	return value;
}
