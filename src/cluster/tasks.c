/*-------------------------------------------------------------------------
 *
 * tasks.c
 *	  The pieces of a training that processes may share.
 *
 * A piece reads what earlier tasks left and writes what is its own: rows by
 * their place in "order", groups, centroids.  So pieces of a task need no
 * lock, and the result does not depend on who does them.
 *
 *-------------------------------------------------------------------------
 */
#include <math.h>

#include "cluster/cluster_private.h"

/* iterations of k-means within a group; of one that is all there is */
#define SPLIT_STEPS		6
#define SINGLE_STEPS	12

/* rows a list that its group's k-means looks at; more make no better start */
#define SPLIT_ROWS		256

/* what reach_size() is at most for the rows of a piece */
#define FINE_SCRATCH	(2 * PIECE_ROWS * MAX_REACH * 2 + 1024)

static inline int
min_int(int a, int b)
{
	return a < b ? a : b;
}

/* bring rows to the area's scale or to length 1; "norm" as View says */
static void
prepare_rows(const View *view, int first, int n)
{
	float		scale = view->area->scale;

	for (int r = first; r < first + n; r++)
	{
		float	   *x = row_at(view, r);
		double		normsq;

		if (scale != 1)
		{
			for (int i = 0; i < view->dim; i++)
				x[i] *= scale;
		}
		normsq = vec_kernels->normsq_f32(x, view->dim);
		if (view->area->spherical)
		{
			double		factor = normsq > 0 ? 1 / sqrt(normsq) : 0;

			for (int i = 0; i < view->dim; i++)
				x[i] = (float) (x[i] * factor);
			normsq = normsq > 0 ? 2 : 0;
		}
		view->norm[r] = (float) normsq;
	}
}

static void
coarse_rows(const View *view, int first, int n)
{
	int			count = view->area->split_slot - view->area->coarse_slot;
	Span		span = {view->area->coarse_slot, count};

	point_nearest(view, view->order + first, n, &span, 1);
}

/* k-means of a group's own rows */
static void
split_group(const View *view, int g)
{
	const int32_t *rows = view->order + view->group_row[g];
	int			n = view->group_row[g + 1] - view->group_row[g];
	int			first = view->group_list[g];
	int			k = view->group_list[g + 1] - first;
	int			m = n / SPLIT_ROWS > k ? k * SPLIT_ROWS : n;

	for (int i = first; i < first + k; i++)
		view->group_of[i] = g;
	if (k == 0)
	{
		for (int i = 0; i < n; i++)
			view->list[rows[i]] = -1;
		return;
	}

	/* rows of a group are in no order, so the first m are as good as any */
	local_kmeans(view, rows, m, view->member + view->group_row[g], first, k,
				 view->group_slot[g], view->area->seed ^ (uint64_t) g << 32,
				 view->groups == 1 ? SINGLE_STEPS : SPLIT_STEPS);
	if (m < n)
	{
		Span		span = {view->group_slot[g], view->group_slot[g + 1] - view->group_slot[g]};

		point_nearest(view, rows + m, n - m, &span, 1);
	}
}

/* the nearest list within each row's reach */
static void
fine_rows(const View *view, int first, int n)
{
	const int32_t *rows = view->order + first;
	_Alignas(64) char scratch[FINE_SCRATCH];
	const float *x[PIECE_ROWS] = {NULL};
	int32_t		home[PIECE_ROWS] = {0};
	float		score[PIECE_ROWS];
	int32_t		slot[PIECE_ROWS];

	if (view->dim == 0)
	{
		for (int i = 0; i < n; i++)
			reach_other(view, rows[i]);
		return;
	}
	for (int i = 0; i < n; i++)
	{
		x[i] = row_at(view, rows[i]);
		home[i] = view->group[rows[i]];
	}
	reach_nearest(view, x, home, n, score, slot, scratch);
	for (int i = 0; i < n; i++)
	{
		view->list[rows[i]] = slot[i] < 0 ? -1 : view->slot_id[slot[i]];
		view->score[rows[i]] = score[i];
	}
}

/* "start" is where the part of each in "member" ends */
static void
take_means(const View *view, int first, int n)
{
	for (int i = first; i < first + n; i++)
	{
		if (view->count[i] > 0)
			point_mean(view, i, view->member + view->start[i] - view->count[i], view->count[i]);
		cluster_tick(view);
	}
}

/*
 * cluster_piece
 *		Do one piece of a task; of "run" ops, context and tick are used.
 */
void
cluster_piece(ClusterArea *area, const ClusterTask *task, int piece, const ClusterRun *run)
{
	View		view = cluster_view(area, run);
	int			unit = task->kind == TASK_MEANS ? PIECE_LISTS :
		task->kind == TASK_SPLIT ? 1 : PIECE_ROWS;
	int			first = piece * unit;
	int			n = min_int(unit, task->count - first);

	if (n <= 0)
		return;
	first += task->first;
	switch ((TaskKind) task->kind)
	{
		case TASK_PREPARE:
			prepare_rows(&view, first, n);
			break;
		case TASK_COARSE:
			coarse_rows(&view, first, n);
			break;
		case TASK_SPLIT:
			split_group(&view, first);
			break;
		case TASK_FINE:
			fine_rows(&view, first, n);
			break;
		case TASK_MEANS:
			take_means(&view, first, n);
			break;
	}
	cluster_tick(&view);
}
