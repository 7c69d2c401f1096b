/*-------------------------------------------------------------------------
 *
 * ivfvalue.c
 *	  From a datum to what the index stores of it, and back from bytes.
 *
 *-------------------------------------------------------------------------
 */
#include "ivfflat/ivf.h"

#include <math.h>

/*
 * ivf_to_floats
 *		The elements of a plain value as lists see them: for cosine of unit
 *		length (zero stays zero).  IVF_SPACE_FLOAT only.
 */
void
ivf_to_floats(const IvfIndex *index, const struct varlena *plain, float *floats)
{
	int			dim = index->params.dim;
	double		norm;

	index->metric->type->to_floats(plain, floats);
	if (index->metric->kind != VEC_METRIC_COSINE)
		return;
	norm = refine_query_norm(floats, dim);
	if (!(norm > 0))
		return;
	for (int i = 0; i < dim; i++)
		floats[i] = (float) (floats[i] / norm);
}

/*
 * ivf_value
 *		What is to be known of a datum, palloc'd.
 *
 * Raises 22000 unless its dimensions are the column's.
 */
void
ivf_value(const IvfIndex *index, Datum datum, IvfValue *value)
{
	const VecMetric *metric = index->metric;
	int			dim;

	value->plain = metric->type->plain(datum);
	dim = metric->type->dim(value->plain);
	if (dim != index->params.dim)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("expected %d dimensions, not %d", index->params.dim, dim)));
	value->defined = metric->is_defined(value->plain);
	value->floats = NULL;
	if (index->params.space == IVF_SPACE_FLOAT)
	{
		value->floats = palloc(sizeof(float) * dim);
		ivf_to_floats(index, value->plain, value->floats);
	}
}

/*
 * ivf_record
 *		Write the record of a plain value: returns its size, a multiple of
 *		MAXALIGN; "record" has list.record_size bytes, aligned.
 *
 * scratch has dim floats; used unless the record is the plain value.
 */
Size
ivf_record(const IvfIndex *index, const struct varlena *plain, float *scratch, uint8 *record)
{
	const IvfParams *params = &index->params;
	Size		size = index->list.ends ? MAXALIGN(VARSIZE(plain)) : params->record_size;

	if (size == 0)
		return 0;
	memset(record + size - MAXIMUM_ALIGNOF, 0, MAXIMUM_ALIGNOF);
	if (params->refine == REFINE_FULL)
		memcpy(record, plain, VARSIZE(plain));
	else
	{
		/* not of unit length: bounds are those of the value itself */
		index->metric->type->to_floats(plain, scratch);
		refine_encode((RefineKind) params->refine, scratch, params->dim, record);
	}
	return size;
}

/*
 * ivf_plain
 *		Bytes of a record, or a stored centroid, as a plain value.
 *
 * Its own length may be less than "size" by what aligns records.  Raises XX002
 * if they are not one.
 */
const struct varlena *
ivf_plain(const IvfIndex *index, Relation rel, const uint8 *bytes, Size size)
{
	const struct varlena *plain = (const struct varlena *) bytes;

	if (size >= VARHDRSZ + sizeof(int32) && VARATT_IS_4B_U(plain) && VARSIZE(plain) <= size &&
		MAXALIGN(VARSIZE(plain)) == size)
		plain = am_check_plain(index->metric->type, index->params.dim, bytes, VARSIZE(plain));
	else
		plain = NULL;
	if (plain == NULL)
		am_corrupt(rel, InvalidBlockNumber, "A stored value is damaged.");
	return plain;
}

/*
 * ivf_value_distance
 *		How far a plain value is from a centroid, where lists are made and rows
 *		put into them: finite and at least 0.
 *
 * The operator's distance, but for inner products the angle: else the longest
 * centroid would have all rows.
 */
double
ivf_value_distance(const VecMetric *metric, const struct varlena *a, const struct varlena *b)
{
	double		distance = metric->distance(a, b);

	if (metric->kind == VEC_METRIC_IP)
	{
		double		product = sqrt(metric->distance(a, a) * metric->distance(b, b));

		distance = product > 0 ? 1 + distance / product : 1;
	}
	if (!(distance < 1e30))
		return 1e30;
	return Max(distance, 0);
}
