/*-------------------------------------------------------------------------
 *
 * ivfvalues.c
 *	  Centroids that are plain values, for types and metrics without means.
 *
 * src/cluster asks for distances and for "what serves as a mean": of some
 * rows of a list that which is nearest to some others (a medoid, of a few).
 *
 *-------------------------------------------------------------------------
 */
#include "ivfflat/ivfbuild.h"

#include "miscadmin.h"
#include "utils/memutils.h"

/* rows tried as the middle of a list, and rows they are compared with */
#define TRIED		8
#define COMPARED	24

typedef struct Values
{
	const VecMetric *metric;
	struct varlena **rows;
	int32_t    *row_of;			/* by centroid */
} Values;

static void
copy_row(void *context, int centroid, int row)
{
	((Values *) context)->row_of[centroid] = row;
}

static void
copy_centroid(void *context, int centroid, int from)
{
	Values	   *values = context;

	values->row_of[centroid] = values->row_of[from];
}

static double
row_distance(void *context, int centroid, int row)
{
	Values	   *values = context;

	return ivf_value_distance(values->metric, values->rows[row],
							  values->rows[values->row_of[centroid]]);
}

static double
between(void *context, int centroid, int other)
{
	return row_distance(context, centroid, ((Values *) context)->row_of[other]);
}

/* the row, of some, with the least sum of distances to some */
static void
medoid(void *context, int centroid, const int32_t *rows, int n)
{
	Values	   *values = context;
	int			tried = Min(n, TRIED);
	int			compared = Min(n, COMPARED);
	double		least = -1;

	CHECK_FOR_INTERRUPTS();
	for (int i = 0; i < tried; i++)
	{
		int32_t		row = rows[(int64) i * n / tried];
		double		sum = 0;

		for (int j = 0; j < compared; j++)
			sum += ivf_value_distance(values->metric, values->rows[rows[(int64) j * n / compared]],
									  values->rows[row]);
		if (least < 0 || sum < least)
		{
			least = sum;
			values->row_of[centroid] = row;
		}
	}
}

static const ClusterOps value_ops = {
	.copy_row = copy_row,
	.copy_centroid = copy_centroid,
	.mean = medoid,
	.distance = row_distance,
	.between = between,
};

/*
 * ivf_cluster_values
 *		Choose at most "lists" centroids among nrows > 0 plain values; copies of
 *		them, in build->train_context, go to "values".  Returns how many.
 */
int
ivf_cluster_values(IvfBuild *build, struct varlena **rows, int nrows, int lists,
				   struct varlena **values)
{
	Values		state = {.metric = build->index.metric, .rows = rows};
	ClusterConfig config = {.rows = nrows, .lists = lists, .seed = 42};
	ClusterRun	run = {.ops = &value_ops, .ops_context = &state, .tick = ivf_build_tick};
	void	   *memory = MemoryContextAllocHuge(build->train_context, cluster_area_size(&config) + 64);
	ClusterArea *area = cluster_area_init((void *) TYPEALIGN(64, memory), &config);
	int			n;

	state.row_of = MemoryContextAllocZero(build->train_context,
										  sizeof(int32_t) * cluster_ops_centroids(&config));
	n = cluster_train(area, nrows, &run);
	for (int i = 0; i < n; i++)
	{
		const struct varlena *row = rows[state.row_of[i]];

		values[i] = MemoryContextAlloc(build->train_context, VARSIZE(row));
		memcpy(values[i], row, VARSIZE(row));
	}
	pfree(state.row_of);
	pfree(memory);
	return n;
}
