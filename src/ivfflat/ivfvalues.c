/*-------------------------------------------------------------------------
 *
 * ivfvalues.c
 *	  Centroids that are plain values.
 *
 * src/cluster asks for distances and for "what serves as a mean": what the type
 * has for one, or the row that is nearest to some others (a medoid, of a few) if
 * that is better.
 *
 *-------------------------------------------------------------------------
 */
#include "ivfflat/ivfbuild.h"

#include "miscadmin.h"
#include "utils/memutils.h"

/* rows tried as the middle of a list, and rows they are compared with */
#define TRIED		8
#define COMPARED	24

/* rows a mean is made of */
#define AVERAGED	256

typedef struct Values
{
	const VecMetric *metric;
	struct varlena **rows;
	struct varlena **centroid;	/* some row, or made of several */
	bool	   *made;			/* by centroid: palloc'd for it alone */
	MemoryContext context;
} Values;

/* "value" was palloc'd for this centroid if it was made */
static void
set_centroid(Values *values, int centroid, struct varlena *value, bool made)
{
	if (values->made[centroid])
		pfree(values->centroid[centroid]);
	values->centroid[centroid] = value;
	values->made[centroid] = made;
}

static void
copy_row(void *context, int centroid, int row)
{
	Values	   *values = context;

	set_centroid(values, centroid, values->rows[row], false);
}

static void
copy_centroid(void *context, int centroid, int from)
{
	Values	   *values = context;
	struct varlena *value = values->centroid[from];

	if (values->made[from])
	{
		Size		size = VARSIZE(value);

		value = MemoryContextAlloc(values->context, size);
		memcpy(value, values->centroid[from], size);
	}
	set_centroid(values, centroid, value, values->made[from]);
}

static double
row_distance(void *context, int centroid, int row)
{
	Values	   *values = context;

	return ivf_value_distance(values->metric, values->rows[row], values->centroid[centroid]);
}

static double
between(void *context, int centroid, int other)
{
	Values	   *values = context;

	return ivf_value_distance(values->metric, values->centroid[other],
							  values->centroid[centroid]);
}

/* sum of distances to some rows */
static double
sum_distances(const Values *values, const struct varlena *middle, const int32_t *rows, int n)
{
	int			compared = Min(n, COMPARED);
	double		sum = 0;

	for (int i = 0; i < compared; i++)
		sum += ivf_value_distance(values->metric, values->rows[rows[(int64) i * n / compared]],
								  middle);
	return sum;
}

/* the type's mean of the rows, or of some if they are many */
static struct varlena *
type_mean(const Values *values, const int32_t *rows, int n)
{
	struct varlena *some[AVERAGED];
	int			averaged = Min(n, AVERAGED);
	MemoryContext old = MemoryContextSwitchTo(values->context);
	struct varlena *result;

	for (int i = 0; i < averaged; i++)
		some[i] = values->rows[rows[(int64) i * n / averaged]];
	result = values->metric->type->mean(some, averaged, values->metric->kind);
	MemoryContextSwitchTo(old);
	return result;
}

/* the mean, or the row, of some, with the least sum of distances to some */
static void
middle(void *context, int centroid, const int32_t *rows, int n)
{
	Values	   *values = context;
	int			tried = Min(n, TRIED);
	struct varlena *best;
	double		least;

	CHECK_FOR_INTERRUPTS();
	best = type_mean(values, rows, n);
	least = sum_distances(values, best, rows, n);
	set_centroid(values, centroid, best, true);
	for (int i = 0; i < tried; i++)
	{
		struct varlena *row = values->rows[rows[(int64) i * n / tried]];
		double		sum = sum_distances(values, row, rows, n);

		if (sum < least)
		{
			least = sum;
			set_centroid(values, centroid, row, false);
		}
	}
}

static const ClusterOps value_ops = {
	.copy_row = copy_row,
	.copy_centroid = copy_centroid,
	.mean = middle,
	.distance = row_distance,
	.between = between,
};

/* the centroid becomes a value of its own */
static void
copy_if_row(Values *values, int centroid)
{
	const struct varlena *row = values->centroid[centroid];
	struct varlena *copy;

	if (values->made[centroid])
		return;
	copy = MemoryContextAlloc(values->context, VARSIZE(row));
	memcpy(copy, row, VARSIZE(row));
	set_centroid(values, centroid, copy, true);
}

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
	int			ncentroids = cluster_ops_centroids(&config);
	int			n;

	state.context = build->train_context;
	state.centroid = MemoryContextAllocZero(build->train_context,
											sizeof(struct varlena *) * ncentroids);
	state.made = MemoryContextAllocZero(build->train_context, sizeof(bool) * ncentroids);
	n = cluster_train(area, nrows, &run);
	for (int i = 0; i < ncentroids; i++)
	{
		if (i < n)
		{
			copy_if_row(&state, i);
			values[i] = state.centroid[i];
		}
		else
			set_centroid(&state, i, NULL, false);
	}
	pfree(state.centroid);
	pfree(state.made);
	pfree(memory);
	return n;
}
