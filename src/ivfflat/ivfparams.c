/*-------------------------------------------------------------------------
 *
 * ivfparams.c
 *	  The parameters of a new index: what the user chose, and what we choose
 *	  by type, dimensions and number of rows.
 *
 *-------------------------------------------------------------------------
 */
#include "ivfflat/ivfbuild.h"

#include <math.h>

/* one-bit codes of fewer dimensions tell too little of a distance */
#define LEAST_RABITQ_DIM	64

/*
 * Lists that are chosen by themselves: the square root of the rows, of which
 * each has this many at least.  To rank lists by their codes costs little, so
 * that more lists are better than a thousandth of the rows: CPU per query at
 * recall 0.97 or 0.98 with 55, 128, 256, 512, 1024 lists: > 163, 150, 136, 120,
 * 106 us (text, 55,081 x 384, lists of which 5 % or less are read).  Beyond the
 * root it gains little, and recall with the default of one probe drops.
 */
#define ROWS_PER_LIST		100

static const IvfOptions default_options = {
	.lists = 0,
	.quantizer = -1,
	.refine = -1,
};

/*
 * ivf_lists_for
 *		The number of lists for so many rows, where the user gave none.
 */
int
ivf_lists_for(double rows)
{
	double		lists = Min(rows / ROWS_PER_LIST, sqrt(Max(rows, 0)));

	return (int) Max(IVF_MIN_LISTS, Min(lists, IVF_MAX_LISTS));
}

static void
choose_codes(const IvfOptions *options, const VecMetric *metric, IvfParams *params)
{
	bool		floats = params->space == IVF_SPACE_FLOAT;

	if (!floats && options->quantizer >= 0 && options->quantizer != LIST_NONE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("this operator class takes no quantizer but \"none\""),
				 errdetail("Codes exist for vector and halfvec with Euclidean distance, inner "
						   "product and cosine distance.")));
	if (!floats)
		params->quantizer = LIST_NONE;
	else if (options->quantizer >= 0)
		params->quantizer = options->quantizer;
	else
		params->quantizer = params->dim < LEAST_RABITQ_DIM ? LIST_NONE : LIST_RABITQ;

	params->refine = options->refine < 0 ? REFINE_FULL : options->refine;
	if (params->quantizer == LIST_NONE && params->refine != REFINE_FULL)
	{
		/* nobody asked for both: the wish for records decides */
		if (floats && options->quantizer < 0)
			params->quantizer = LIST_INT8;
		else
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("refine must be \"full\" if there is no quantizer")));
	}
	if (params->quantizer == LIST_NONE)
		params->record_size = metric->type->fixed_size ?
			MAXALIGN(metric->type->size(params->dim)) : 0;
	else
		params->record_size = MAXALIGN(am_record_size(metric, (RefineKind) params->refine,
													  params->dim));
}

/*
 * ivf_choose_params
 *		Parameters of an index to be built.  config becomes what the model is to
 *		be, for IVF_SPACE_FLOAT.
 *
 * Raises 0A000, 22023, 54000 for columns and options that do not fit.
 */
void
ivf_choose_params(Relation rel, const VecMetric *metric, IvfParams *params, QuantConfig *config)
{
	const IvfOptions *options = (const IvfOptions *) rel->rd_options;

	if (options == NULL)
		options = &default_options;
	memset(params, 0, sizeof(*params));
	memset(config, 0, sizeof(*config));
	params->dim = am_column_dim(rel, metric->type, "ivfflat");
	params->metric = metric->kind;
	params->lists = options->lists;
	params->space = metric->type->to_floats != NULL && metric->kind <= VEC_METRIC_COSINE ?
		IVF_SPACE_FLOAT : IVF_SPACE_VALUE;
	choose_codes(options, metric, params);

	config->dim = params->dim;
	config->metric = (QuantMetric) params->metric;
	config->sketch_dims = -1;
	config->seed = 42;
}

/*
 * ivf_finish_params
 *		Shapes of an index whose other parameters are known.
 */
void
ivf_finish_params(IvfIndex *index)
{
	ivf_shapes(index);
	index->params.list_rows = index->list.rows;
	index->params.list_size = index->list.size;
	index->params.part_rows = index->part.rows;
	index->params.part_size = index->part.size;
}
