/*-------------------------------------------------------------------------
 *
 * local.c
 *	  k-means inside one process: the lists of a group, a list cut in two.
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "cluster/cluster_private.h"
#include "quant/quant.h"

/* a number below n */
static int
draw(uint64_t *state, int n)
{
	return (int) (quant_random(state) % (uint64_t) n);
}

/* uniform in [0, 1) */
static double
draw_unit(uint64_t *state)
{
	return (double) (quant_random(state) >> 11) * 0x1p-53;
}

/*
 * A row drawn with probability proportional to its distance from the nearest
 * start so far (k-means++: Arthur, Vassilvitskii, 2007), which "score" holds;
 * -1 if all are 0.
 */
static int
draw_far_row(const View *view, const int32_t *rows, int n, uint64_t *state)
{
	double		total = 0;
	double		left;

	for (int i = 0; i < n; i++)
		total += view->score[rows[i]];
	if (!(total > 0))
		return -1;

	left = draw_unit(state) * total;
	for (int i = 0; i < n; i++)
	{
		left -= view->score[rows[i]];
		if (left < 0 && view->score[rows[i]] > 0)
			return rows[i];
	}
	for (int i = n - 1; i > 0; i--)
	{
		if (view->score[rows[i]] > 0)
			return rows[i];
	}
	return rows[0];
}

/* lower the distances to the nearest start by those to a new one */
static void
add_start(const View *view, const int32_t *rows, int n, int centroid, bool first)
{
	for (int i = 0; i < n; i++)
	{
		float		d = (float) point_distance(view, centroid, rows[i]);

		if (first || d < view->score[rows[i]])
			view->score[rows[i]] = d;
		if (i % PIECE_ROWS == 0)
			cluster_tick(view);
	}
}

/* k rows as the first centroids: far apart if they are few, else any */
static void
choose_starts(const View *view, const int32_t *rows, int n, int first, int k, uint64_t *state)
{
	int			step = n / k;

	for (int i = 0; i < k; i++)
	{
		int			row;

		if (k > FEW_LISTS || i == 0)
			/* one of each k-th part, so that none is taken twice */
			row = rows[i * step + draw(state, step > 0 ? step : 1)];
		else
		{
			row = draw_far_row(view, rows, n, state);
			if (row < 0)
				row = rows[draw(state, n)];
		}
		point_copy_row(view, first + i, row);
		if (k <= FEW_LISTS && i + 1 < k)
			add_start(view, rows, n, first + i, i == 0);
	}
}

/* sort rows by list into "member", and take means; lists without rows take one */
static void
take_means(const View *view, const int32_t *rows, int n, int32_t *member, int first, int k,
		   uint64_t *state)
{
	int32_t		begin = 0;

	repair_count(view, first, k, rows, n);
	for (int i = 0; i < n; i++)
		member[view->start[view->list[rows[i]]]++] = rows[i];
	for (int c = first; c < first + k; c++)
	{
		if (view->count[c] > 0)
			point_mean(view, c, member + begin, view->count[c]);
		else
			point_copy_row(view, c, rows[draw(state, n)]);
		begin += view->count[c];
		cluster_tick(view);
	}
}

/*
 * local_kmeans
 *		Lloyd's k-means: centroids first .. first + k - 1 of n >= k rows.
 *
 * The slots from "slot" on, k of them rounded up to panels, are used and left
 * with the centroids; "member" has room for n rows.  Lists and scores of the
 * rows are those before the last means.
 */
void
local_kmeans(const View *view, const int32_t *rows, int n, int32_t *member, int first, int k,
			 int slot, uint64_t seed, int iterations)
{
	uint64_t	state = seed;
	int			nslots = (k + VEC_PANEL - 1) / VEC_PANEL * VEC_PANEL;
	Span		span = {slot, nslots};

	choose_starts(view, rows, n, first, k, &state);
	for (int i = 0; i <= iterations; i++)
	{
		for (int s = 0; s < nslots; s++)
			point_fill_slot(view, slot + s, s < k ? first + s : -1);
		if (i == iterations)
			break;
		point_nearest(view, rows, n, &span, 1);
		take_means(view, rows, n, member, first, k, &state);
	}
}

/* put rows of list "from" before those of "to"; returns how many there are */
static int
partition(const View *view, int32_t *rows, int n, int from)
{
	int			low = 0;

	for (int i = 0; i < n; i++)
	{
		if (view->list[rows[i]] == from)
		{
			int32_t		row = rows[i];

			rows[i] = rows[low];
			rows[low++] = row;
		}
	}
	return low;
}

/*
 * local_bisect
 *		Cut list "from", of n rows, in two, of which "to" is the other.
 *
 * False if its rows are equal, or as good as: then the list is as before.
 */
bool
local_bisect(const View *view, int32_t *rows, int n, int from, int to, uint64_t seed)
{
	int			slot = view->area->split_slot;
	Span		span = {slot, VEC_PANEL};
	uint64_t	state = seed;
	int			row;

	if (n < 2)
		return false;
	point_copy_row(view, to, rows[draw(&state, n)]);
	add_start(view, rows, n, to, true);
	row = draw_far_row(view, rows, n, &state);
	if (row < 0)
		return false;
	point_copy_row(view, from, row);

	for (int i = 2; i < VEC_PANEL; i++)
		point_fill_slot(view, slot + i, -1);
	for (int i = 0; i < 4; i++)
	{
		int			low;

		point_fill_slot(view, slot, from);
		point_fill_slot(view, slot + 1, to);
		point_nearest(view, rows, n, &span, 1);
		low = partition(view, rows, n, from);
		if (low == 0 || low == n)
		{
			for (int j = 0; j < n; j++)
				view->list[rows[j]] = from;
			point_mean(view, from, rows, n);
			return false;
		}
		point_mean(view, from, rows, low);
		point_mean(view, to, rows + low, n - low);
		view->count[from] = low;
		view->count[to] = n - low;
	}
	return true;
}
