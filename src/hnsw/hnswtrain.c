/*-------------------------------------------------------------------------
 *
 * hnswtrain.c
 *	  A sample of the table to be indexed, and the model trained on it.
 *
 * am/am_sample.c draws it.
 *
 *-------------------------------------------------------------------------
 */
#include "hnsw/hnswbuild.h"

#include "am/am_sample.h"
#include "commands/progress.h"
#include "pgstat.h"
#include "utils/memutils.h"

/* where sampled rows go */
typedef struct Rows
{
	const VecTypeOps *type;
	int			dim;
	float	   *floats;
} Rows;

static void
store_row(void *context, int place, const struct varlena *plain)
{
	Rows	   *rows = context;

	rows->type->to_floats(plain, rows->floats + (Size) place * rows->dim);
}

/* a model in the build's context */
static QuantModel *
train_model(HnswBuild *build, const QuantConfig *config, float *rows, int nrows)
{
	QuantModel *model = MemoryContextAllocHuge(build->context, quant_model_max_size(config));
	void	   *scratch;

	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, HNSW_PHASE_TRAIN);
	scratch = MemoryContextAllocHuge(build->context, quant_train_scratch(config));
	memset(model, 0, quant_model_max_size(config));
	if (nrows == 0)
		quant_model_init(model, config, NULL);
	else
		quant_train(model, config, rows, nrows, scratch, hnsw_build_tick);
	pfree(scratch);
	return model;
}

/*
 * hnsw_train
 *		Sample the table, and complete build->index with a model trained on it,
 *		or for exact codes with the size of values.
 *
 * The sample takes at most a quarter of the build's memory.
 */
void
hnsw_train(HnswBuild *build, const QuantConfig *config)
{
	HnswIndex  *index = &build->index;
	bool		compact = index->params.codec == HNSW_CODEC_COMPACT;
	Size		row_size = sizeof(float) * index->params.dim;
	Rows		rows = {index->metric->type, index->params.dim, NULL};
	AmSample	sample = {.heap = build->heap, .rel = build->rel, .info = build->info,
		.metric = index->metric, .dim = index->params.dim, .room = 1000, .context = &rows};
	QuantModel *model = NULL;

	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, HNSW_PHASE_SAMPLE);
	if (compact)
	{
		Size		most = Max(build->limit / 4 / row_size, 64);

		sample.room = (int) Min(most, (Size) quant_sample_rows(config));
		sample.store = store_row;
		rows.floats = MemoryContextAllocHuge(build->context, mul_size(sample.room, row_size));
	}
	am_sample(&sample);
	build->sample.rows = sample.rows;
	build->sample.value_mean = sample.value_mean;
	build->sample.value_most = sample.value_most;
	if (compact)
	{
		model = train_model(build, config, rows.floats, sample.nrows);
		pfree(rows.floats);
	}
	else
		hnsw_choose_exact_size(index->metric, &index->params, build->sample.value_most);
	hnsw_set_model(index, build->rel, model);
}
