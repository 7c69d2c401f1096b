/*-------------------------------------------------------------------------
 *
 * area.c
 *	  The memory of a training: size, layout, what callers read from it.
 *
 *-------------------------------------------------------------------------
 */
#include <math.h>
#include <string.h>

#include "cluster/cluster_private.h"

#define MAX_DIM			16000

/* passes over all rows; of those that ClusterOps compares, which takes longer */
#define FLOAT_PASSES	6
#define OTHER_PASSES	3

static size_t
align_up(size_t n)
{
	return (n + 63) / 64 * 64;
}

static int
panels_up(int n)
{
	return (n + VEC_PANEL - 1) / VEC_PANEL * VEC_PANEL;
}

static int
groups_for(int lists)
{
	return lists < MIN_GROUPED ? 1 : (int) (sqrt((double) lists) + 0.5);
}

/*
 * cluster_config_ok
 *		Whether the options are within their limits.
 */
bool
cluster_config_ok(const ClusterConfig *config)
{
	return config->dim >= 0 && config->dim <= MAX_DIM &&
		config->rows >= 1 && config->rows <= CLUSTER_MAX_ROWS &&
		config->lists >= 1 && config->lists <= CLUSTER_MAX_LISTS &&
		config->passes >= -1 && config->passes <= 1000 && config->reach >= 0 &&
		(config->balance == 0 || config->balance >= 1.5f);
}

/* set every offset; returns the size of all */
static size_t
lay_out(ClusterArea *area)
{
	size_t		rows = (size_t) area->rows;
	size_t		dim = (size_t) area->dim;
	size_t		groups = (size_t) area->max_groups;
	size_t		centroids = (size_t) area->lists + groups;
	size_t		slots = (size_t) area->max_slots;
	size_t		size = align_up(sizeof(ClusterArea));

#define PLACE(field, bytes) (area->field = size, size += align_up(bytes))
	PLACE(sample, rows * dim * sizeof(float));
	PLACE(centroid, centroids * dim * sizeof(float));
	PLACE(panels, slots * dim * sizeof(float));
	PLACE(bias, slots * sizeof(float));
	PLACE(slot_id, slots * sizeof(int32_t));
	PLACE(norm, rows * sizeof(float));
	PLACE(score, rows * sizeof(float));
	PLACE(list, rows * sizeof(int32_t));
	PLACE(group, rows * sizeof(int32_t));
	PLACE(order, rows * sizeof(int32_t));
	PLACE(member, rows * sizeof(int32_t));
	PLACE(count, centroids * sizeof(int32_t));
	PLACE(start, centroids * sizeof(int32_t));
	PLACE(group_of, (size_t) area->lists * sizeof(int32_t));
	PLACE(group_row, (groups + 1) * sizeof(int32_t));
	PLACE(group_slot, (groups + 1) * sizeof(int32_t));
	PLACE(group_list, (groups + 1) * sizeof(int32_t));
	PLACE(near, groups * groups * sizeof(int32_t));
	PLACE(sorted, (size_t) area->lists * sizeof(uint64_t));
	PLACE(stuck, (size_t) area->lists);
#undef PLACE
	return size;
}

static void
set_head(ClusterArea *area, const ClusterConfig *config)
{
	memset(area, 0, sizeof(*area));
	area->dim = config->dim;
	area->rows = config->rows;
	area->lists = config->lists;
	area->max_groups = groups_for(config->lists);
	area->max_slots = panels_up(config->lists + (VEC_PANEL - 1) * area->max_groups) +
		panels_up(area->max_groups) + VEC_PANEL;
	area->spherical = config->spherical;
	area->passes = config->passes < 0 ? 0 : config->passes > 0 ? config->passes :
		config->dim > 0 ? FLOAT_PASSES : OTHER_PASSES;
	area->reach_wanted = config->reach;
	area->balance = config->balance == 0 ? 4 : config->balance;
	area->scale = 1;
	area->seed = config->seed;
}

/*
 * cluster_area_size
 *		Bytes of the area, sample included; the configuration must be ok.
 *
 * About (rows + 2.5 * lists) * dim floats: with at most 2^30 rows of 16,000
 * floats nothing here overflows 64 bits.
 */
size_t
cluster_area_size(const ClusterConfig *config)
{
	ClusterArea area;

	set_head(&area, config);
	return lay_out(&area);
}

/*
 * cluster_area_init
 *		Lay the area out in memory of cluster_area_size() bytes, aligned to 64.
 */
ClusterArea *
cluster_area_init(void *memory, const ClusterConfig *config)
{
	ClusterArea *area = memory;

	set_head(area, config);
	lay_out(area);
	return area;
}

/*
 * cluster_view
 *		Pointers into the area, for the calling process.
 */
View
cluster_view(const ClusterArea *area, const ClusterRun *run)
{
	char	   *base = (char *) (uintptr_t) area;
	View		view;

	view.area = (ClusterArea *) base;
	view.run = run;
	view.dim = area->dim;
	view.lists = area->lists;
	view.groups = area->groups;
	view.sample = (float *) (base + area->sample);
	view.centroid = (float *) (base + area->centroid);
	view.panels = (float *) (base + area->panels);
	view.bias = (float *) (base + area->bias);
	view.slot_id = (int32_t *) (base + area->slot_id);
	view.norm = (float *) (base + area->norm);
	view.score = (float *) (base + area->score);
	view.list = (int32_t *) (base + area->list);
	view.group = (int32_t *) (base + area->group);
	view.order = (int32_t *) (base + area->order);
	view.member = (int32_t *) (base + area->member);
	view.count = (int32_t *) (base + area->count);
	view.start = (int32_t *) (base + area->start);
	view.group_of = (int32_t *) (base + area->group_of);
	view.group_row = (int32_t *) (base + area->group_row);
	view.group_slot = (int32_t *) (base + area->group_slot);
	view.group_list = (int32_t *) (base + area->group_list);
	view.near = (int32_t *) (base + area->near);
	view.sorted = (uint64_t *) (base + area->sorted);
	view.stuck = (uint8_t *) (base + area->stuck);
	return view;
}

/*
 * cluster_sample
 *		Where the caller puts its rows, one after the other; training changes
 *		them (scale, length).
 */
float *
cluster_sample(ClusterArea *area)
{
	return cluster_view(area, NULL).sample;
}

/*
 * cluster_centroids
 *		The centroids, as many as cluster_train() returned, dim floats each.
 */
const float *
cluster_centroids(const ClusterArea *area)
{
	return cluster_view(area, NULL).centroid;
}

/*
 * cluster_lists
 *		The list of each row of the sample.
 */
const int32_t *
cluster_lists(const ClusterArea *area)
{
	return cluster_view(area, NULL).list;
}

/*
 * cluster_groups
 *		The group of each list: lists of a group lie near each other.
 */
const int32_t *
cluster_groups(const ClusterArea *area)
{
	return cluster_view(area, NULL).group_of;
}

/*
 * cluster_ops_centroids
 *		How many centroids ClusterOps must have room for.
 */
int
cluster_ops_centroids(const ClusterConfig *config)
{
	return config->lists + groups_for(config->lists);
}

/*
 * cluster_stats
 *		What the training found, about the rows of the sample.
 */
void
cluster_stats(const ClusterArea *area, ClusterStats *stats)
{
	View		view = cluster_view(area, NULL);

	memset(stats, 0, sizeof(*stats));
	stats->lists = area->found;
	stats->empty = area->lists - area->found;
	stats->inertia = area->inertia;
	stats->splits = area->splits;
	if (area->found == 0)
		return;
	stats->mean = (double) area->nrows / area->found;
	stats->smallest = stats->largest = view.count[0];
	for (int i = 1; i < area->found; i++)
	{
		if (view.count[i] < stats->smallest)
			stats->smallest = view.count[i];
		if (view.count[i] > stats->largest)
			stats->largest = view.count[i];
	}
}
