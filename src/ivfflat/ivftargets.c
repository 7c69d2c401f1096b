/*-------------------------------------------------------------------------
 *
 * ivftargets.c
 *	  Maintenance: the centroids of the lists that a step will write.
 *
 * Floats are clustered in nav space, where distances are those of the vectors
 * (times a scale), so no centroid has to be mapped back.
 *
 *-------------------------------------------------------------------------
 */
#include "ivfflat/ivfmaintain.h"

#include "miscadmin.h"
#include "utils/memutils.h"

/* rows of the sample for each list that is made, and in all at least */
#define ROWS_PER_PART	64
#define LEAST_ROWS		1024

/* where sampled rows go */
typedef struct Sample
{
	int			room;
	int			n;
	float	   *floats;
	struct varlena **values;
} Sample;

static void *
aligned_memory(IvfStep *step, Size size)
{
	return (void *) TYPEALIGN(64, MemoryContextAllocHuge(step->build.train_context,
														 add_size(size, 64)));
}

/*--- the sample ----------------------------------------------------------*/

static void
take_row(IvfStep *step, int place, Sample *sample)
{
	const struct varlena *plain;
	struct varlena *copy;

	if (sample->floats != NULL)
	{
		float	   *to = sample->floats + (Size) sample->n * step->index->params.dim;

		ivf_step_floats(step, place, to);
	}
	else
	{
		plain = ivf_step_plain(step, place);
		copy = MemoryContextAlloc(step->build.train_context, MAXALIGN(VARSIZE(plain)));
		memcpy(copy, plain, VARSIZE(plain));
		sample->values[sample->n] = copy;
	}
	sample->n++;
}

/* every so-manieth row of a list; "next" and "seen" count on over several */
static void
sample_list(IvfStep *step, const IvfRewrite *rewrite, double stride, double *next, double *seen,
			Sample *sample)
{
	BlockNumber steps = 0;

	for (BlockNumber blkno = rewrite->first;
		 BlockNumberIsValid(blkno) && sample->n < sample->room;)
	{
		BlockNumber following = ivf_step_page(step, rewrite->id, blkno);
		const ItemPointerData *tids = ivf_list_tids(&step->index->list, (Page) step->page);

		for (int i = 0; i < step->copy->nrows && sample->n < sample->room; i++)
		{
			if (!ItemPointerIsValid(&tids[i]) || (*seen)++ < *next)
				continue;
			*next += stride;
			take_row(step, i, sample);
		}
		if (!am_block_exists(step->rel, steps++))
			am_corrupt(step->rel, blkno, "A chain of list pages has no end.");
		blkno = following;
	}
}

/* rows of a list, and of those that it is split together with, evenly from all */
static void
sample_lists(IvfStep *step, const IvfRewrite *rewrite, Sample *sample)
{
	double		rows = 0;
	double		next = 0;
	double		seen = 0;

	for (int i = 0; i < rewrite->span; i++)
		rows += rewrite[i].rows;
	for (int i = 0; i < rewrite->span; i++)
		sample_list(step, &rewrite[i], Max(1.0, rows / sample->room), &next, &seen, sample);
}

/*--- one list into several -----------------------------------------------*/

/* rows of a sample that memory has room for, and an area for them */
static int
sample_room(const IvfStep *step, ClusterConfig *config, Size row_bytes)
{
	double		rows = Max(LEAST_ROWS, ROWS_PER_PART * (double) config->lists);

	config->rows = (int) Max(config->lists, rows);
	while (config->rows > config->lists &&
		   cluster_area_size(config) + config->rows * row_bytes > step->build.limit / 2)
		config->rows = Max(config->lists, config->rows / 2);
	return config->rows;
}

static int
split_floats(IvfStep *step, const IvfRewrite *rewrite, float *centers)
{
	int			dim = step->index->params.dim;
	ClusterConfig config = {.dim = dim, .lists = rewrite->parts, .seed = rewrite->id};
	ClusterRun	run = {.tick = ivf_build_tick};
	Sample		sample = {.room = sample_room(step, &config, 0)};
	ClusterArea *area = cluster_area_init(aligned_memory(step, cluster_area_size(&config)),
										  &config);
	int			n;

	sample.floats = cluster_sample(area);
	sample_lists(step, rewrite, &sample);
	n = sample.n > 0 ? cluster_train(area, sample.n, &run) : 0;
	memcpy(centers, cluster_centroids(area), sizeof(float) * dim * n);
	return n;
}

static int
split_values(IvfStep *step, const IvfRewrite *rewrite, struct varlena **values)
{
	ClusterConfig config = {.lists = rewrite->parts};
	Sample		sample = {.room = sample_room(step, &config, step->index->list.record_size)};

	sample.values = MemoryContextAlloc(step->build.train_context,
									   mul_size(sizeof(struct varlena *), sample.room));
	sample_lists(step, rewrite, &sample);
	return sample.n == 0 ? 0 :
		ivf_cluster_values(&step->build, sample.values, sample.n, rewrite->parts, values);
}

/*--- all of them ---------------------------------------------------------*/

/* the centroid that a list has, as a target; false if it has none */
static bool
keep_center(IvfStep *step, const IvfRewrite *rewrite, int target)
{
	IvfCentroids *c = &step->build.centroids;
	int			dim = step->index->params.dim;
	Size		size;
	const uint8 *record = ivf_list_record(step->index, step->directory, step->rel,
										  rewrite->list, step->room, &size);
	const struct varlena *plain;

	if (c->centers != NULL)
	{
		memcpy(c->centers + (Size) target * dim, record + sizeof(IvfListRecord),
			   sizeof(float) * dim);
		return true;
	}
	c->values[target] = NULL;
	if (size <= sizeof(IvfListRecord))
		return rewrite->fate == IVF_FATE_PACK;
	plain = ivf_plain(step->index, step->rel, record + sizeof(IvfListRecord),
					  size - sizeof(IvfListRecord));
	c->values[target] = MemoryContextAlloc(step->build.context, MAXALIGN(VARSIZE(plain)));
	memcpy(c->values[target], plain, VARSIZE(plain));
	return true;
}

/* new centroids for a list, from its rows, behind the targets there are */
static int
split(IvfStep *step, const IvfRewrite *rewrite)
{
	IvfCentroids *c = &step->build.centroids;
	int			n;

	if (c->centers != NULL)
		n = split_floats(step, rewrite,
						 c->centers + (Size) c->nlists * step->index->params.dim);
	else
	{
		n = split_values(step, rewrite, c->values + c->nlists);
		for (int i = c->nlists; i < c->nlists + n; i++)
		{
			struct varlena *value = c->values[i];

			c->values[i] = MemoryContextAlloc(step->build.context, MAXALIGN(VARSIZE(value)));
			memcpy(c->values[i], value, VARSIZE(value));
		}
	}
	MemoryContextReset(step->build.train_context);
	return n;
}

/* whether a target has the centroid that the list has: its rows are all equal */
static bool
same_center(const IvfStep *step, const IvfRewrite *rewrite, int target)
{
	const IvfCentroids *c = &step->build.centroids;
	int			dim = step->index->params.dim;
	Size		size;
	const uint8 *record = ivf_list_record(step->index, step->directory, step->rel,
										  rewrite->list, step->room, &size);

	record += sizeof(IvfListRecord);
	size -= Min(size, sizeof(IvfListRecord));
	if (c->centers != NULL)
		return memcmp(record, c->centers + (Size) target * dim, sizeof(float) * dim) == 0;
	return size >= VARSIZE(c->values[target]) &&
		memcmp(record, c->values[target], VARSIZE(c->values[target])) == 0;
}

/* what places rows among the targets */
static void
make_area(IvfStep *step)
{
	IvfCentroids *c = &step->build.centroids;
	ClusterConfig config = {.dim = step->index->params.dim, .rows = c->nlists,
		.lists = c->nlists, .seed = 42};
	ClusterRun	run = {.tick = ivf_build_tick};
	Size		size = cluster_area_size(&config);
	void	   *memory = MemoryContextAllocHuge(step->build.context, add_size(size, 64));

	c->area = cluster_area_init((void *) TYPEALIGN(64, memory), &config);
	memcpy(cluster_sample(c->area), c->centers, sizeof(float) * config.dim * c->nlists);
	if (cluster_adopt(c->area, c->nlists, &run) != c->nlists)
		elog(ERROR, "centroids of index \"%s\" are lost",
			 RelationGetRelationName(step->rel));
}

/*
 * ivf_make_targets
 *		Choose the lists to be, step->build.centroids, and for each list that is
 *		written anew its own, if its centroid stays.
 *
 * There is at least one; a list that cannot be split stays.  Returns whether
 * anything changes by that: a long list of equal rows shall not be written anew
 * by every vacuum.
 */
bool
ivf_make_targets(IvfStep *step)
{
	IvfCentroids *c = &step->build.centroids;
	Size		most = 0;
	bool		changes = false;

	for (int i = 0; i < step->nrewrites; i++)
		most += step->rewrites[i].fate == IVF_FATE_SPLIT ? Max(1, step->rewrites[i].parts) : 1;
	if (step->index->params.space == IVF_SPACE_FLOAT)
		c->centers = MemoryContextAllocHuge(step->build.context,
											mul_size(sizeof(float) * step->index->params.dim,
													 most));
	else
		c->values = MemoryContextAllocHuge(step->build.context,
										   mul_size(sizeof(struct varlena *), most));

	for (int i = 0; i < step->nrewrites; i++)
	{
		IvfRewrite *rewrite = &step->rewrites[i];
		int			n = 0;

		CHECK_FOR_INTERRUPTS();
		rewrite->target = -1;
		changes |= rewrite->fate == IVF_FATE_DROP || rewrite->fate == IVF_FATE_PACK ||
			rewrite->gaps;
		if (rewrite->fate == IVF_FATE_DROP)
			continue;
		if (rewrite->fate == IVF_FATE_SPLIT)
			n = split(step, rewrite);
		changes |= n > 1 || (n == 1 && !same_center(step, rewrite, c->nlists));
		if (n == 0 && keep_center(step, rewrite, c->nlists))
		{
			rewrite->target = c->nlists;
			n = 1;
		}
		c->nlists += n;
	}
	if (c->nlists == 0)
	{
		step->rewrites[0].fate = IVF_FATE_PACK;
		keep_center(step, &step->rewrites[0], 0);
		step->rewrites[0].target = 0;
		c->nlists = 1;
	}
	if (changes && c->centers != NULL)
		make_area(step);
	return changes;
}
