/*-------------------------------------------------------------------------
 *
 * ivftrain.c
 *	  Model and centroids of a new index: from a sample of the table, or from
 *	  a table of centroids.
 *
 *-------------------------------------------------------------------------
 */
#include "ivfflat/ivfbuild.h"

#include <math.h>

#include "commands/progress.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* rows of the sample for each list, and in all at least */
#define ROWS_PER_CENTROID	50
#define LEAST_ROWS			10000

/* rows that the table's size is estimated from */
#define COUNT_ROWS			1000

/*
 * ivf_build_tick
 *		For long computations that have no other place to be interrupted.
 */
void
ivf_build_tick(void)
{
	CHECK_FOR_INTERRUPTS();
}

/*--- sampling ------------------------------------------------------------*/

/* where sampled rows go: floats to the area, others as copies */
typedef struct Rows
{
	const IvfIndex *index;
	float	   *floats;
	struct varlena **values;
	MemoryContext context;
} Rows;

static void
store_row(void *context, int place, const struct varlena *plain)
{
	Rows	   *rows = context;

	if (rows->floats != NULL)
		ivf_to_floats(rows->index, plain, rows->floats + (Size) place * rows->index->params.dim);
	else
	{
		if (rows->values[place] != NULL)
			pfree(rows->values[place]);
		rows->values[place] = MemoryContextAlloc(rows->context, VARSIZE(plain));
		memcpy(rows->values[place], plain, VARSIZE(plain));
	}
}

static AmSample
new_sample(IvfBuild *build, int room)
{
	AmSample	sample = {.heap = build->heap, .rel = build->rel, .info = build->info,
		.metric = build->index.metric, .dim = build->index.params.dim, .room = room};

	return sample;
}

/* count the table, and what values take */
static void
count_table(IvfBuild *build, Size *value_bytes)
{
	AmSample	sample = new_sample(build, COUNT_ROWS);

	am_sample(&sample);
	build->table_rows = sample.rows;
	build->most_rows = sample.whole ? sample.rows : sample.rows * 1.2 + 1000;
	*value_bytes = build->value_mean = sample.value_mean;
}

/*--- how many ------------------------------------------------------------*/

/* lists that are wanted, by option or by rows */
static int
wanted_lists(const IvfBuild *build)
{
	return build->index.params.lists > 0 ? (int) build->index.params.lists :
		ivf_lists_for(build->table_rows);
}

/* lists to make room for: each needs a row of its own */
static int
possible_lists(const IvfBuild *build)
{
	return (int) Max(1, Min(wanted_lists(build), build->most_rows));
}

/* memory for centroids in nav space beside the area */
static Size
centers_size(const IvfBuild *build, int lists)
{
	return mul_size(sizeof(float) * build->index.params.dim, lists);
}

static ClusterConfig
cluster_config(const IvfBuild *build, int rows, int lists)
{
	ClusterConfig config = {.dim = build->index.params.dim, .rows = rows, .lists = lists,
		.spherical = build->index.metric->kind == VEC_METRIC_COSINE, .seed = 42};

	return config;
}

/*
 * Rows of the sample: as many as training can use and memory has room for.
 * Raises 54000 if that is not one for each list.
 */
static int
sample_rows(const IvfBuild *build, int lists)
{
	double		rows = Max(ROWS_PER_CENTROID * (double) lists, LEAST_ROWS);
	ClusterConfig config = cluster_config(build, lists, lists);
	Size		least = cluster_area_size(&config) + centers_size(build, lists);
	Size		row;

	rows = Min(rows, build->most_rows);
	config.rows = lists + 1000;
	row = (cluster_area_size(&config) + centers_size(build, lists) - least) / 1000 + 1;
	if (least > build->limit)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("memory required is %zu MB, maintenance_work_mem is %d MB",
						(least >> 20) + 1, maintenance_work_mem / 1024),
				 errhint("Increase maintenance_work_mem, or build with fewer lists.")));
	rows = Min(rows, lists + (double) (build->limit - least) / row);
	return (int) Max(rows, lists);
}

static void
report_little_data(int rows, int lists)
{
	if (rows < lists)
		ereport(NOTICE,
				(errmsg("ivfflat index created with little data"),
				 errdetail("There are %d different values to make %d lists from.", rows, lists),
				 errhint("Vacuum adds lists as the table grows; REINDEX makes all of them.")));
}

/*--- floats --------------------------------------------------------------*/

static void *
get_memory(IvfBuild *build, Size size)
{
	return (void *) TYPEALIGN(64, MemoryContextAllocHuge(build->train_context, add_size(size, 64)));
}

/* the images of centroids in nav space */
static void
map_centers(IvfBuild *build)
{
	IvfCentroids *c = &build->centroids;
	Size		dim = build->index.params.dim;
	const float *centroids = cluster_centroids(c->area);

	c->centers = MemoryContextAllocHuge(build->train_context, centers_size(build, c->nlists));
	for (int i = 0; i < c->nlists; i++)
		quant_map(build->index.model, centroids + i * dim, c->centers + i * dim);
}

/* mean and scale from the sample, before it is changed by clustering */
static void
train_model(IvfBuild *build, const QuantConfig *config, float *rows, int nrows)
{
	QuantModel *model = MemoryContextAllocHuge(build->context, quant_model_max_size(config));
	void	   *scratch = MemoryContextAllocHuge(build->context, quant_train_scratch(config));

	memset(model, 0, quant_model_max_size(config));
	if (nrows == 0)
		quant_model_init(model, config, NULL);
	else
		quant_train(model, config, rows, nrows, scratch, ivf_build_tick);
	pfree(scratch);
	ivf_set_model(&build->index, model, build->context);
}

/*
 * ivf_one_list
 *		An untrained model and one list around the origin: for a table without
 *		rows.
 */
void
ivf_one_list(IvfBuild *build, const QuantConfig *config)
{
	IvfCentroids *c = &build->centroids;

	c->nlists = 1;
	c->values = NULL;
	if (build->index.params.space == IVF_SPACE_FLOAT)
	{
		if (build->index.model == NULL)
			train_model(build, config, NULL, 0);
		c->centers = MemoryContextAllocZero(build->train_context, centers_size(build, 1));
	}
}

static void
train_floats(IvfBuild *build, const QuantConfig *quant_config)
{
	IvfCentroids *c = &build->centroids;
	int			lists = possible_lists(build);
	ClusterConfig config = cluster_config(build, sample_rows(build, lists), lists);
	ClusterRun	run = {.tick = ivf_build_tick};
	AmSample	sample = new_sample(build, config.rows);
	Rows		rows = {.index = &build->index};
	void	   *memory;

	c->area_size = cluster_area_size(&config);
	memory = ivf_parallel_memory(build, c->area_size);
	c->area = cluster_area_init(memory != NULL ? memory : get_memory(build, c->area_size),
								&config);
	rows.floats = cluster_sample(c->area);
	sample.store = store_row;
	sample.context = &rows;
	am_sample(&sample);

	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, IVF_PHASE_TRAIN);
	train_model(build, quant_config, rows.floats, sample.nrows);
	ivf_parallel_begin(build, lists);
	if (build->parallel && memory != NULL)
	{
		run.share = ivf_team_share;
		run.share_context = &build->shared->team;
	}
	c->nlists = sample.nrows > 0 ? cluster_train(c->area, sample.nrows, &run) : 0;
	if (build->index.params.lists > 0)
		report_little_data(c->nlists, wanted_lists(build));
	if (c->nlists > 0)
		map_centers(build);
}

/*--- plain values --------------------------------------------------------*/

static void
train_values(IvfBuild *build, Size value_bytes)
{
	IvfCentroids *c = &build->centroids;
	int			lists = possible_lists(build);
	double		room = Max(ROWS_PER_CENTROID * (double) lists, LEAST_ROWS);
	double		memory = (double) build->limit / (value_bytes + 128);
	AmSample	sample;
	Rows		rows = {.index = &build->index, .context = build->context};

	room = Min(room, build->most_rows);
	if (memory < lists)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("memory required is %zu MB, maintenance_work_mem is %d MB",
						((Size) lists * (value_bytes + 128) >> 20) + 1,
						maintenance_work_mem / 1024),
				 errhint("Increase maintenance_work_mem, or build with fewer lists.")));
	sample = new_sample(build, (int) Max(Min(room, memory), lists));
	rows.values = MemoryContextAllocZero(build->train_context,
										 mul_size(sizeof(struct varlena *), sample.room));
	sample.store = store_row;
	sample.context = &rows;
	am_sample(&sample);

	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, IVF_PHASE_TRAIN);
	c->values = MemoryContextAllocZero(build->train_context,
									   mul_size(sizeof(struct varlena *), lists));
	c->nlists = sample.nrows > 0 ?
		ivf_cluster_values(build, rows.values, sample.nrows, lists, c->values) : 0;
	if (build->index.params.lists > 0)
		report_little_data(c->nlists, wanted_lists(build));
}

/*--- centroids from a table ----------------------------------------------*/

/* floats: an area that places by them, and a model trained on them */
static void
adopt_floats(IvfBuild *build, const QuantConfig *quant_config, struct varlena **values, int n)
{
	IvfCentroids *c = &build->centroids;
	ClusterConfig config = cluster_config(build, n, n);
	ClusterRun	run = {.tick = ivf_build_tick};
	Size		dim = build->index.params.dim;
	float	   *rows;

	c->area_size = cluster_area_size(&config);
	c->area = cluster_area_init(get_memory(build, c->area_size), &config);
	rows = cluster_sample(c->area);
	for (int i = 0; i < n; i++)
		ivf_to_floats(&build->index, values[i], rows + i * dim);
	train_model(build, quant_config, rows, n);
	c->nlists = cluster_adopt(c->area, n, &run);
	map_centers(build);
}

static void
adopt(IvfBuild *build, const QuantConfig *config, const char *table)
{
	struct varlena **values;
	int			n = ivf_read_centroids(build, table, &values);

	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, IVF_PHASE_TRAIN);
	if (build->index.params.space == IVF_SPACE_FLOAT)
	{
		adopt_floats(build, config, values, n);
		return;
	}
	build->centroids.values = values;
	build->centroids.nlists = n;
}

/*
 * ivf_train
 *		Sample the table, and make model and centroids; workers are started.
 *
 * Raises 54000 if maintenance_work_mem is too small for the lists asked for.
 */
void
ivf_train(IvfBuild *build, const QuantConfig *config)
{
	const IvfOptions *options = (const IvfOptions *) build->rel->rd_options;
	const char *table = options == NULL || options->centroids == 0 ? NULL :
		(const char *) options + options->centroids;
	Size		value_bytes;

	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, IVF_PHASE_SAMPLE);
	count_table(build, &value_bytes);
	if (table != NULL)
		adopt(build, config, table);
	else if (build->index.params.space == IVF_SPACE_FLOAT)
		train_floats(build, config);
	else
		train_values(build, value_bytes);
	if (build->centroids.nlists == 0)
		ivf_one_list(build, config);
	if (table != NULL || build->index.params.space != IVF_SPACE_FLOAT)
		ivf_parallel_begin(build, build->centroids.nlists);
}
