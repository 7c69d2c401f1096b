/*-------------------------------------------------------------------------
 *
 * ivfcheckrow.c
 *	  Checks of what a place of a list page holds: code and record.
 *
 *-------------------------------------------------------------------------
 */
#include "ivfflat/ivfcheck.h"

#include <math.h>

#include "miscadmin.h"

/* what the same code of the same value may differ by on another processor */
#define TOLERANCE		1e-3
#define CODE_TOLERANCE	0.02	/* part of the code's elements */

static const ListTerms *
terms_of(const uint8 *row)
{
	return (const ListTerms *) (const void *) row;
}

/* F4: terms are numbers; error is infinite where nothing is known of a vector */
static bool
terms_ok(const ListTerms *terms)
{
	return isfinite(terms->offset) && isfinite(terms->scale) && terms->error >= 0;
}

static bool
nearly(double a, double b, double unit)
{
	if (!isfinite(a) || !isfinite(b))
		return a == b;
	return fabs(a - b) <= TOLERANCE * (fabs(a) + fabs(b) + unit);
}

/* whether a code is that of a vector in nav space, seen from a center */
static bool
code_fits(IvfCheck *check, ListQuantizer quantizer, const float *nav, float slack,
		  const float *center, const uint8 *row)
{
	int			dim = check->index->params.dim;
	Size		bytes = ivf_row_bytes(quantizer, dim);
	uint8	   *made = palloc(bytes);
	const ListTerms *terms = terms_of(made);
	int			differ = 0;
	double		norm = 0;
	double		distance = 0;

	ivf_encode(check->index->model, quantizer, nav, slack, center, made);
	for (int i = 0; i < dim; i++)
	{
		double		d = (double) nav[i] - center[i];

		norm += (double) nav[i] * nav[i] + (double) center[i] * center[i];
		distance += d * d;
	}
	/* of a vector that is the center, rounding makes the code */
	if (!(distance > 1e-9 * norm))
		return true;
	for (Size i = sizeof(ListTerms); i < bytes; i++)
	{
		if (quantizer == LIST_INT8)
			differ += abs((int8) made[i] - (int8) row[i]) > 1;
		else
		{
			for (int bits = made[i] ^ row[i]; bits != 0; bits &= bits - 1)
				differ++;
		}
	}
	return differ <= CODE_TOLERANCE * dim &&
		nearly(terms->offset, terms_of(row)->offset, norm) &&
		nearly(terms->scale, terms_of(row)->scale, 0) &&
		nearly(terms->error, terms_of(row)->error, sqrt(norm));
}

/* a plain value, or NULL if bytes are none */
static const struct varlena *
plain_of(IvfCheck *check, const uint8 *bytes, Size size)
{
	const struct varlena *volatile plain = NULL;
	MemoryContext context = CurrentMemoryContext;

	PG_TRY();
	{
		plain = ivf_plain(check->index, check->rel, bytes, size);
	}
	PG_CATCH();
	{
		/* nothing was done but look at memory: no need of a subtransaction */
		MemoryContextSwitchTo(context);
		if (geterrcode() != ERRCODE_DATA_CORRUPTED && geterrcode() != ERRCODE_INDEX_CORRUPTED)
			PG_RE_THROW();
		FlushErrorState();
		plain = NULL;
	}
	PG_END_TRY();
	return plain;
}

/* whether a record is one, and the code, if there is one, that of its value */
static bool
record_fits(IvfCheck *check, const uint8 *record, Size size, const uint8 *row,
			const float *center)
{
	IvfIndex   *index = check->index;
	int			dim = index->params.dim;
	const struct varlena *plain;
	float		slack;

	if (index->params.refine != REFINE_FULL)
	{
		float		residual = refine_decode((RefineKind) index->params.refine, record, dim,
											 check->floats);
		double		sum = 0;

		for (int i = 0; i < dim; i++)
			sum += fabs(check->floats[i]);
		return residual >= 0 && isfinite(residual) && isfinite(sum);
	}
	plain = plain_of(check, record, size);
	if (plain == NULL)
		return false;
	if (row == NULL)
		return true;
	ivf_to_floats(index, plain, check->floats);
	slack = quant_map(index->model, check->floats, check->nav);
	return code_fits(check, index->list.quantizer, check->nav, slack, center, row);
}

/* the code of a place, alone, in "row" */
static void
get_code(IvfCheck *check, const IvfShape *shape, Page page, const IvfListCopy *copy, int place,
		 uint8 *block, uint8 *row)
{
	const uint8 *from = block;

	if (shape->inline_blocks)
		from = ivf_list_block(shape, page, place / IVF_BLOCK_ROWS);
	else if (place % IVF_BLOCK_ROWS == 0)
		ivf_read_block(check->rel, shape, copy, place / IVF_BLOCK_ROWS, block);
	ivf_block_get(shape, check->index->params.dim, from, place % IVF_BLOCK_ROWS, row);
}

/*
 * ivf_check_rows
 *		F4: codes are numbers; L2: code and record of a place are of one value.
 *		"center" is the list's, in nav space.
 */
void
ivf_check_rows(IvfCheck *check, const IvfShape *shape, Page page, const IvfListCopy *copy,
			   const float *center)
{
	bool		codes = shape->row_bytes > 0;
	uint8	   *block = palloc(Max(shape->block_bytes, 1));
	uint8	   *row = palloc(Max(shape->row_bytes, 1));
	uint8	   *record = palloc(MAXALIGN(shape->record_size) + MAXIMUM_ALIGNOF);

	for (int i = 0; i < copy->nrows; i++)
	{
		Size		size = ivf_record_bytes(shape, copy->ends, i);

		CHECK_FOR_INTERRUPTS();
		if (codes)
			get_code(check, shape, page, copy, i, block, row);
		if (!ItemPointerIsValid(&ivf_list_tids(shape, page)[i]))
			continue;
		if (codes && !terms_ok(terms_of(row)))
		{
			am_report(check->report, "F4", copy->blkno, "place %d has an impossible code", i);
			continue;
		}
		if (size == 0 && shape->record_size == 0)
			continue;
		ivf_read_record(check->rel, shape, copy, i, record);
		if (!record_fits(check, record, size, codes ? row : NULL, center))
			am_report(check->report, "L2", copy->blkno,
					  "code and record of place %d are not of one value", i);
	}
}

/*
 * ivf_check_center
 *		F4: the centroid of a list is one; L4: its code in the directory is that
 *		of it.  The part's page is check->part_page.
 */
void
ivf_check_center(IvfCheck *check, const IvfListCopy *part, int place, const uint8 *record,
				 Size size)
{
	const IvfShape *shape = &check->index->part;
	const float *center = (const float *) (const void *) (record + sizeof(IvfListRecord));
	uint8	   *block;
	uint8	   *row;

	if (check->index->params.space != IVF_SPACE_FLOAT)
	{
		/* the one list of an index built without rows has no centroid */
		if (size > sizeof(IvfListRecord) &&
			plain_of(check, record + sizeof(IvfListRecord), size - sizeof(IvfListRecord)) == NULL)
			am_report(check->report, "F4", part->blkno, "the centroid of list %d is no value",
					  place);
		return;
	}
	for (int i = 0; i < check->index->params.dim; i++)
	{
		if (!isfinite(center[i]))
		{
			am_report(check->report, "F4", part->blkno, "the centroid of list %d is not finite",
					  place);
			return;
		}
	}
	block = palloc(shape->block_bytes);
	row = palloc(shape->row_bytes);
	if (!shape->inline_blocks && place % IVF_BLOCK_ROWS != 0)
		ivf_read_block(check->rel, shape, part, place / IVF_BLOCK_ROWS, block);
	get_code(check, shape, (Page) check->part_page, part, place, block, row);
	if (!terms_ok(terms_of(row)))
		am_report(check->report, "F4", part->blkno, "the code of list %d is impossible", place);
	else if (!code_fits(check, LIST_RABITQ, center, 0, check->origin, row))
		am_report(check->report, "L4", part->blkno,
				  "the code of list %d is not that of its centroid", place);
	pfree(row);
	pfree(block);
}
