/*-------------------------------------------------------------------------
 *
 * hnswtrain.c
 *	  A sample of the table to be indexed, and the model trained on it.
 *
 * Blocks are drawn at random; of their rows a reservoir keeps as many as
 * training can use (Vitter's algorithm R).  Should they hold too few rows of
 * the index, as with a selective predicate, the whole table is read.
 *
 *-------------------------------------------------------------------------
 */
#include "hnsw/hnswbuild.h"

#include <math.h>

#include "access/tableam.h"
#include "commands/progress.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/sampling.h"

/* blocks read beyond what should do */
#define SPARE_BLOCKS	32

typedef struct Sampling
{
	const VecMetric *metric;
	int			dim;
	float	   *rows;			/* NULL: count and measure only */
	int			room;
	int			nrows;			/* in the reservoir */
	double		seen;
	double		value_bytes;
	Size		value_most;
	uint64		state;			/* of the random numbers */
	MemoryContext context;		/* of one row */
} Sampling;

static void
sample_row(Relation rel, ItemPointer tid, Datum *values, bool *isnull, bool alive, void *arg)
{
	Sampling   *s = arg;
	MemoryContext old;
	struct varlena *plain;
	int			place = s->nrows;

	if (isnull[0])
		return;
	s->seen++;
	old = MemoryContextSwitchTo(s->context);
	plain = s->metric->type->plain(values[0]);
	s->value_bytes += VARSIZE(plain);
	s->value_most = Max(s->value_most, VARSIZE(plain));
	if (s->nrows == s->room)
		place = (int) Min(quant_random(&s->state) % (uint64) s->seen, INT_MAX);
	if (s->rows != NULL && place < s->room && s->metric->type->dim(plain) == s->dim &&
		s->metric->is_defined(plain))
	{
		s->metric->type->to_floats(plain, s->rows + (Size) place * s->dim);
		s->nrows += s->nrows < s->room;
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(s->context);
}

/* read some blocks, or all if there are not many more; returns how many */
static BlockNumber
sample_blocks(HnswBuild *build, Sampling *s, BlockNumber wanted)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(build->heap);
	BlockSamplerData sampler;

	s->seen = s->value_bytes = 0;
	s->nrows = 0;
	if (wanted >= nblocks)
	{
		table_index_build_scan(build->heap, build->rel, build->info, false, false, sample_row, s,
							   NULL);
		return nblocks;
	}
	BlockSampler_Init(&sampler, nblocks, wanted, 42);
	while (BlockSampler_HasMore(&sampler))
	{
		CHECK_FOR_INTERRUPTS();
		table_index_build_range_scan(build->heap, build->rel, build->info, false, false, false,
									 BlockSampler_Next(&sampler), 1, sample_row, s, NULL);
	}
	return wanted;
}

/* blocks that should hold so many rows, by the server's statistics */
static BlockNumber
blocks_for(Relation heap, double rows)
{
	BlockNumber pages;
	double		tuples;
	double		visible;
	double		wanted;

	table_relation_estimate_size(heap, NULL, &pages, &tuples, &visible);
	wanted = rows * pages / Max(tuples, 1) + SPARE_BLOCKS;
	return wanted < MaxBlockNumber ? (BlockNumber) wanted : MaxBlockNumber;
}

/* fill the sampling, and what is to be known of the table */
static void
take_sample(HnswBuild *build, Sampling *s)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(build->heap);
	BlockNumber read;

	read = sample_blocks(build, s, blocks_for(build->heap, s->room));
	if (read < nblocks && s->seen > 0 && s->seen < s->room)
	{
		double		more = ceil(1.2 * s->room / s->seen * read);

		read = sample_blocks(build, s, more < nblocks ? (BlockNumber) more : nblocks);
	}
	if (read < nblocks && s->seen < s->room / 2)
		read = sample_blocks(build, s, nblocks);

	build->sample.rows = read > 0 ? s->seen * nblocks / read : 0;
	build->sample.value_mean = s->seen > 0 ? (Size) (s->value_bytes / s->seen) : 0;
	build->sample.value_most = s->value_most;
}

/* a model in the build's context */
static QuantModel *
train_model(HnswBuild *build, const QuantConfig *config, Sampling *s)
{
	QuantModel *model = MemoryContextAllocHuge(build->context, quant_model_max_size(config));
	void	   *scratch;

	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, HNSW_PHASE_TRAIN);
	scratch = MemoryContextAllocHuge(build->context, quant_train_scratch(config));
	memset(model, 0, quant_model_max_size(config));
	if (s->nrows == 0)
		quant_model_init(model, config, NULL);
	else
		quant_train(model, config, s->rows, s->nrows, scratch, hnsw_build_tick);
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
	Sampling	s = {.metric = index->metric, .dim = index->params.dim, .state = 7};
	QuantModel *model = NULL;

	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, HNSW_PHASE_SAMPLE);
	s.context = AllocSetContextCreate(build->context, "hnsw sample", ALLOCSET_DEFAULT_SIZES);
	s.room = 1000;
	if (compact)
	{
		Size		most = Max(build->limit / 4 / row_size, 64);

		s.room = (int) Min(most, (Size) quant_sample_rows(config));
		s.rows = MemoryContextAllocHuge(build->context, mul_size(s.room, row_size));
	}
	take_sample(build, &s);
	if (compact)
	{
		model = train_model(build, config, &s);
		pfree(s.rows);
	}
	else
		hnsw_choose_exact_size(index->metric, &index->params, build->sample.value_most);
	MemoryContextDelete(s.context);
	hnsw_set_model(index, build->rel, model);
}
