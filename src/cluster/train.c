/*-------------------------------------------------------------------------
 *
 * train.c
 *	  The training from start to end.
 *
 *	1. about sqrt(lists) groups, by k-means of some of the rows
 *	2. each group's lists, by k-means of its rows
 *	3. passes over all rows: each goes to the nearest list in the groups nearest
 *	   to it; lists without rows or with too many are mended; new means
 *
 *-------------------------------------------------------------------------
 */
#include <math.h>
#include <string.h>

#include "cluster/cluster_private.h"
#include "quant/quant.h"

/* pieces that threads do between two ticks */
#define THREAD_PIECES	32

/* rows a group that the groups are made from, and how often */
#define GROUP_ROWS		256
#define GROUP_STEPS		6

/* groups that a row is compared with, and kept as near for each of them */
#define DEFAULT_REACH	8
#define NEAR_GROUPS		3

static inline int
min_int(int a, int b)
{
	return a < b ? a : b;
}

/* have a task done */
static void
share(const View *view, TaskKind kind, int first, int count)
{
	int			unit = kind == TASK_MEANS ? PIECE_LISTS : kind == TASK_SPLIT ? 1 : PIECE_ROWS;
	ClusterTask task = {kind, (count + unit - 1) / unit, first, count};

	if (view->run->share != NULL)
	{
		view->run->share(view->run->share_context, view->area, &task);
		return;
	}
#ifdef _OPENMP
	if (task.npieces > 1)
	{
		/* tick may longjmp, which must not leave a parallel region */
		ClusterRun	quiet = *view->run;

		quiet.tick = NULL;
		for (int i = 0; i < task.npieces; i += THREAD_PIECES)
		{
			int			end = min_int(task.npieces, i + THREAD_PIECES);

#pragma omp parallel for schedule(dynamic)
			for (int p = i; p < end; p++)
				cluster_piece(view->area, &task, p, &quiet);
			cluster_tick(view);
		}
		return;
	}
#endif
	for (int i = 0; i < task.npieces; i++)
		cluster_piece(view->area, &task, i, view->run);
}

/* a power of two that brings the largest number near 1, if squares need it */
static float
choose_scale(const View *view)
{
	size_t		n = (size_t) view->area->nrows * (size_t) view->dim;
	float		largest = 0;
	int			exponent;

	for (size_t i = 0; i < n; i++)
	{
		float		x = fabsf(view->sample[i]);

		if (x > largest)
			largest = x;
		if (i % (1 << 20) == 0)
			cluster_tick(view);
	}
	if (largest == 0 || (largest > 0x1p-20f && largest < 0x1p20f))
		return 1;
	frexpf(largest, &exponent);
	/* a float's own largest power is 2^127 */
	return ldexpf(1, exponent < -126 ? 126 : -exponent);
}

/* rows in random order (Fisher, Yates) */
static void
shuffle(const View *view, uint64_t *state)
{
	int			n = view->area->nrows;

	for (int i = 0; i < n; i++)
		view->order[i] = i;
	for (int i = n - 1; i > 0; i--)
	{
		int			j = (int) (quant_random(state) % (uint64_t) (i + 1));
		int32_t		row = view->order[i];

		view->order[i] = view->order[j];
		view->order[j] = row;
	}
}

static void
fill_coarse_slots(const View *view)
{
	ClusterArea *area = view->area;

	for (int i = area->coarse_slot; i < area->split_slot; i++)
	{
		int			g = i - area->coarse_slot;

		point_fill_slot(view, i, g < view->groups ? view->lists + g : -1);
	}
}

/* sort the first n rows of "order" into "member", by centroids from "first" on */
static void
sort_members(const View *view, int first, int k, const int32_t *rows, int n)
{
	repair_count(view, first, k, rows, n);
	for (int i = 0; i < n; i++)
	{
		int			row = rows ? rows[i] : i;

		if (view->list[row] >= 0)
			view->member[view->start[view->list[row]]++] = row;
	}
}

/* the centroids of groups, and the group of each row */
static void
make_groups(const View *view, uint64_t *state)
{
	ClusterArea *area = view->area;
	int			n = min_int(area->nrows, view->groups * GROUP_ROWS);
	int			step = n / view->groups;

	for (int g = 0; g < view->groups; g++)
		point_copy_row(view, view->lists + g, view->order[g * step]);
	for (int i = 0; i < GROUP_STEPS; i++)
	{
		fill_coarse_slots(view);
		share(view, TASK_COARSE, 0, n);
		sort_members(view, view->lists, view->groups, view->order, n);
		for (int g = 0; g < view->groups; g++)
		{
			if (view->count[view->lists + g] == 0)
				point_copy_row(view, view->lists + g,
							   view->order[quant_random(state) % (uint64_t) n]);
		}
		share(view, TASK_MEANS, view->lists, view->groups);
	}
	fill_coarse_slots(view);
	share(view, TASK_COARSE, 0, area->nrows);
}

/* put "order" into the order of groups, which "list" holds */
static void
sort_by_group(const View *view)
{
	int			n = view->area->nrows;

	for (int i = 0; i < n; i++)
	{
		int			list = view->list[i];

		view->group[i] = view->groups == 1 || list < 0 ? 0 : list - view->lists;
	}
	memset(view->group_row, 0, (size_t) (view->groups + 1) * sizeof(int32_t));
	for (int i = 0; i < n; i++)
		view->group_row[view->group[i] + 1]++;
	for (int g = 0; g < view->groups; g++)
		view->group_row[g + 1] += view->group_row[g];

	/* the shuffled order stays within a group */
	memcpy(view->member, view->order, (size_t) n * sizeof(int32_t));
	for (int i = 0; i < n; i++)
		view->order[view->group_row[view->group[view->member[i]]]++] = view->member[i];
	for (int g = view->groups; g > 0; g--)
		view->group_row[g] = view->group_row[g - 1];
	view->group_row[0] = 0;
}

/* share lists out among groups by their rows; at least one to each, as long as they last */
static void
divide_lists(const View *view)
{
	int			lists = min_int(view->lists, view->area->nrows);
	int			rows = view->area->nrows;
	int			first = 0;
	int			slot = 0;

	for (int g = 0; g < view->groups; g++)
	{
		int			n = view->group_row[g + 1] - view->group_row[g];
		int			k = rows > 0 ? (int) ((double) n * lists / rows + 0.5) : 0;

		k = k < 1 ? 1 : k;
		k = min_int(k, min_int(n, lists));
		view->group_list[g] = first;
		view->group_slot[g] = slot;
		first += k;
		slot += (k + VEC_PANEL - 1) / VEC_PANEL * VEC_PANEL;
		lists -= k;
		rows -= n;
	}
	view->group_list[view->groups] = first;
	view->group_slot[view->groups] = slot;
	for (int i = first; i < view->lists; i++)
		view->group_of[i] = 0;
}

/* for each group those nearest to it, itself first */
static void
find_near_groups(const View *view)
{
	int			nnear = view->area->nnear;

	for (int g = 0; g < view->groups; g++)
	{
		int32_t    *near = view->near + (size_t) g * (size_t) nnear;
		int			n = 0;

		for (int h = 0; h < view->groups; h++)
		{
			double		d = g == h ? -1 : point_between(view, view->lists + g, view->lists + h);
			int			j;

			for (j = n; j > 0; j--)
			{
				double		e = near[j - 1] == g ? -1 :
					point_between(view, view->lists + g, view->lists + near[j - 1]);

				if (e <= d)
					break;
				if (j < nnear)
					near[j] = near[j - 1];
			}
			if (j < nnear)
				near[j] = h;
			n = min_int(n + 1, nnear);
		}
		cluster_tick(view);
	}
}

/* one pass: nearest lists, mended, and new means */
static void
pass(const View *view, bool first, bool last)
{
	ClusterArea *area = view->area;
	double		sum = 0;

	if (!first && area->reach < view->groups)
	{
		/* a row without a list (repair.c) stays in its group */
		for (int i = 0; i < area->nrows; i++)
			view->list[i] = view->lists +
				(view->list[i] >= 0 ? view->group_of[view->list[i]] : view->group[i]);
		sort_by_group(view);
	}
	share(view, TASK_FINE, 0, area->nrows);
	for (int i = 0; i < area->nrows; i++)
		sum += view->dim > 0 ? fmax(0, view->norm[i] + 2.0 * view->score[i]) : view->score[i];
	area->inertia = sum / area->nrows / ((double) area->scale * area->scale);

	repair_lists(view, !last);
	sort_members(view, 0, view->lists, NULL, area->nrows);
	share(view, TASK_MEANS, 0, view->lists);
	repair_slots(view);
}

/*
 * Groups' centroids again, as means of their lists' ones by rows: lists have
 * moved, and rows are placed by these.
 */
static void
renew_groups(const View *view)
{
	int			dim = view->dim;

	if (dim == 0 || view->groups == 1)
		return;
	for (int g = 0; g < view->groups; g++)
	{
		float	   *c = centroid_at(view, view->lists + g);
		double		rows = 0;

		for (int i = 0; i < view->lists; i++)
		{
			float		weight = (float) view->count[i];

			if (view->count[i] == 0 || view->group_of[i] != g)
				continue;
			if (rows == 0)
				memset(c, 0, (size_t) dim * sizeof(float));
			rows += weight;
			vec_kernels->add_rows_f32(c, centroid_at(view, i), 0, &weight, 1, dim);
		}
		for (int i = 0; i < dim && rows > 0; i++)
			c[i] /= (float) rows;
		cluster_tick(view);
	}
	fill_coarse_slots(view);
	find_near_groups(view);
}

/* close the gaps that lists without rows leave, and undo the scale */
static int
finish(const View *view)
{
	ClusterArea *area = view->area;
	int			n = 0;

	for (int i = 0; i < view->lists; i++)
	{
		view->start[i] = n;
		if (view->count[i] == 0)
			continue;
		if (n < i)
		{
			point_copy_centroid(view, n, i);
			view->count[n] = view->count[i];
			view->group_of[n] = view->group_of[i];
		}
		n++;
	}
	for (int i = 0; i < area->nrows; i++)
	{
		if (view->list[i] >= 0)
			view->list[i] = view->start[view->list[i]];
	}
	for (int i = n; i < view->lists; i++)
		view->count[i] = 0;
	repair_slots(view);
	renew_groups(view);
	if (area->scale != 1)
	{
		for (size_t i = 0; i < (size_t) n * (size_t) view->dim; i++)
			view->centroid[i] /= area->scale;
	}
	area->found = n;
	return n;
}

/* set up a view for nrows rows */
static View
begin(ClusterArea *area, int nrows, const ClusterRun *run)
{
	View		view;

	area->nrows = nrows;
	area->groups = min_int(area->max_groups, nrows / 16 > 1 ? nrows / 16 : 1);
	area->reach = min_int(area->reach_wanted ? area->reach_wanted : DEFAULT_REACH, MAX_REACH);
	area->reach = min_int(area->reach, area->groups);
	area->nnear = min_int(area->reach * NEAR_GROUPS, area->groups);
	area->split_slot = area->max_slots - VEC_PANEL;
	area->coarse_slot = area->split_slot -
		(area->max_groups + VEC_PANEL - 1) / VEC_PANEL * VEC_PANEL;
	area->splits = 0;
	area->found = 0;
	area->inertia = 0;
	area->scale = 1;

	view = cluster_view(area, run);
	if (view.dim > 0)
	{
		if (nrows > 0)
			area->scale = choose_scale(&view);
		share(&view, TASK_PREPARE, 0, nrows);
	}
	return view;
}

/*
 * cluster_train
 *		Make centroids from the first nrows rows of the sample.
 *
 * Returns how many there are: fewer than wanted if there are fewer different
 * rows, 0 without rows.  The rows are changed (scale, length).  The same
 * sample and seed give the same centroids on the same instruction set,
 * whoever shares the work.
 */
int
cluster_train(ClusterArea *area, int nrows, const ClusterRun *run)
{
	View		view = begin(area, nrows, run);
	uint64_t	state = area->seed;

	if (nrows == 0)
		return 0;
	shuffle(&view, &state);
	if (view.groups > 1)
		make_groups(&view, &state);
	sort_by_group(&view);
	divide_lists(&view);
	/* slots that no group takes */
	for (int i = view.group_slot[view.groups]; i < area->coarse_slot; i++)
		point_fill_slot(&view, i, -1);
	if (view.groups > 1)
		find_near_groups(&view);
	else
		view.near[0] = 0;
	share(&view, TASK_SPLIT, 0, view.groups);

	repair_lists(&view, area->passes > 0);
	sort_members(&view, 0, view.lists, NULL, nrows);
	share(&view, TASK_MEANS, 0, view.lists);
	repair_slots(&view);

	for (int i = 1; i <= area->passes; i++)
		pass(&view, i == 1, i == area->passes);
	return finish(&view);
}

/*
 * cluster_adopt
 *		Take the first nrows rows of the sample themselves as centroids: what a
 *		caller brings, to be placed by.  nrows is at most "lists".
 */
int
cluster_adopt(ClusterArea *area, int nrows, const ClusterRun *run)
{
	View		view = begin(area, nrows, run);
	uint64_t	state = area->seed;

	if (nrows == 0)
		return 0;
	shuffle(&view, &state);
	if (view.groups > 1)
		make_groups(&view, &state);
	sort_by_group(&view);
	if (view.groups > 1)
		find_near_groups(&view);
	else
		view.near[0] = 0;
	for (int i = 0; i < view.lists; i++)
	{
		view.count[i] = i < nrows;
		view.group_of[i] = i < nrows ? view.group[i] : 0;
		if (i >= nrows)
			continue;
		point_copy_row(&view, i, i);
		view.list[i] = i;
	}
	return finish(&view);
}
