/*-------------------------------------------------------------------------
 *
 * am_sample.c
 *	  A sample of the table to be indexed.
 *
 * Blocks are drawn at random; of their rows a reservoir keeps as many as
 * training can use (Vitter's algorithm R).  Should they hold too few rows of
 * the index, as with a selective predicate, the whole table is read.
 *
 *-------------------------------------------------------------------------
 */
#include "am/am_sample.h"

#include <math.h>

#include "access/tableam.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/sampling.h"

/* blocks read beyond what should do */
#define SPARE_BLOCKS	32

typedef struct Sampling
{
	AmSample   *sample;
	double		seen;
	double		value_bytes;
	uint64		state;			/* of the random numbers */
	MemoryContext context;		/* of one row */
} Sampling;

static void
sample_row(Relation rel, ItemPointer tid, Datum *values, bool *isnull, bool alive, void *arg)
{
	Sampling   *s = arg;
	AmSample   *sample = s->sample;
	MemoryContext old;
	struct varlena *plain;
	int			place = sample->nrows;

	if (isnull[0])
		return;
	s->seen++;
	old = MemoryContextSwitchTo(s->context);
	plain = sample->metric->type->plain(values[0]);
	s->value_bytes += VARSIZE(plain);
	sample->value_most = Max(sample->value_most, VARSIZE(plain));
	if (sample->nrows == sample->room)
		place = (int) Min(quant_random(&s->state) % (uint64) s->seen, INT_MAX);
	if (sample->store != NULL && place < sample->room &&
		sample->metric->type->dim(plain) == sample->dim && sample->metric->is_defined(plain))
	{
		sample->store(sample->context, place, plain);
		sample->nrows += sample->nrows < sample->room;
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(s->context);
}

/* read some blocks, or all if there are not many more; returns how many */
static BlockNumber
sample_blocks(Sampling *s, BlockNumber wanted)
{
	AmSample   *sample = s->sample;
	BlockNumber nblocks = RelationGetNumberOfBlocks(sample->heap);
	BlockSamplerData sampler;

	s->seen = s->value_bytes = 0;
	sample->nrows = 0;
	if (wanted >= nblocks)
	{
		table_index_build_scan(sample->heap, sample->rel, sample->info, false, false, sample_row,
							   s, NULL);
		return nblocks;
	}
	BlockSampler_Init(&sampler, nblocks, wanted, 42);
	while (BlockSampler_HasMore(&sampler))
	{
		CHECK_FOR_INTERRUPTS();
		table_index_build_range_scan(sample->heap, sample->rel, sample->info, false, false, false,
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

/*
 * am_sample
 *		Store at most sample->room rows, and estimate what the table has.
 *
 * Rows without a distance are not stored, nor are those of other dimensions.
 */
void
am_sample(AmSample *sample)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(sample->heap);
	Sampling	s = {.sample = sample, .state = 7};
	BlockNumber read;

	s.context = AllocSetContextCreate(CurrentMemoryContext, "sampled row",
									  ALLOCSET_DEFAULT_SIZES);
	sample->value_most = 0;
	read = sample_blocks(&s, blocks_for(sample->heap, sample->room));
	if (read < nblocks && s.seen > 0 && s.seen < sample->room)
	{
		double		more = ceil(1.2 * sample->room / s.seen * read);

		read = sample_blocks(&s, more < nblocks ? (BlockNumber) more : nblocks);
	}
	if (read < nblocks && s.seen < sample->room / 2)
		read = sample_blocks(&s, nblocks);

	sample->whole = read >= nblocks;
	sample->rows = read > 0 ? s.seen * nblocks / read : 0;
	sample->value_mean = s.seen > 0 ? (Size) (s.value_bytes / s.seen) : 0;
	MemoryContextDelete(s.context);
}
