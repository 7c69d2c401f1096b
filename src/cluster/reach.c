/*-------------------------------------------------------------------------
 *
 * reach.c
 *	  The nearest list of each of some rows, among those of the groups that are
 *	  nearest to the row itself.
 *
 * Rows are sorted by the groups they look at, so that a group's panels meet many
 * rows at once.
 *
 *-------------------------------------------------------------------------
 */
#include <math.h>
#include <string.h>

#include "cluster/cluster_private.h"

static size_t
align_up(size_t n)
{
	return (n + 63) / 64 * 64;
}

/*
 * reach_size
 *		Bytes of scratch, aligned to 64, for n rows.
 */
size_t
reach_size(const ClusterArea *area, int n)
{
	size_t		pairs = (size_t) n * (size_t) area->reach;

	return 2 * align_up(pairs * sizeof(uint16_t)) +
		align_up((size_t) (area->groups + 2) * sizeof(int32_t));
}

/* keep the "reach" groups with the least scores, best first; returns how many */
static int
keep_group(int group, double score, int reach, double *best, uint16_t *wanted, int n)
{
	int			i = n < reach ? n : n - 1;

	if (n == reach && !(score < best[n - 1]))
		return n;
	for (; i > 0 && best[i - 1] > score; i--)
	{
		best[i] = best[i - 1];
		wanted[i] = wanted[i - 1];
	}
	best[i] = score;
	wanted[i] = (uint16_t) group;
	return n < reach ? n + 1 : n;
}

/* the groups to look at for a row that lies in group "home": "reach" of those near it */
static void
choose_groups(const View *view, const float *row, int home, uint16_t *wanted)
{
	const ClusterArea *area = view->area;
	const int32_t *near = view->near + (size_t) home * (size_t) area->nnear;
	double		best[MAX_REACH];
	int			n = 0;

	for (int i = 0; i < area->nnear; i++)
	{
		double		score = view->bias[area->coarse_slot + near[i]] -
			vec_kernels->dot_f32(row, centroid_at(view, view->lists + near[i]), view->dim);

		n = keep_group(near[i], score, area->reach, best, wanted, n);
	}
}

/* the rows that look at a group, against its lists */
static void
look_at_group(const View *view, int group, const float *const *rows, const uint16_t *which, int n,
			  float *score, int32_t *slot)
{
	int			first = view->group_slot[group];
	Span		span = {first, view->group_slot[group + 1] - first};

	if (span.count == 0)
		return;
	for (int i = 0; i < n; i += ROW_BLOCK)
	{
		int			m = n - i < ROW_BLOCK ? n - i : ROW_BLOCK;
		const float *x[ROW_BLOCK];
		float		s[ROW_BLOCK];
		int32_t		at[ROW_BLOCK];

		for (int j = 0; j < m; j++)
			x[j] = rows[which[i + j]];
		floats_nearest(view, x, m, &span, 1, s, at);
		for (int j = 0; j < m; j++)
		{
			int			row = which[i + j];

			if (at[j] >= 0 && (slot[row] < 0 || s[j] < score[row]))
			{
				score[row] = s[j];
				slot[row] = at[j];
			}
		}
	}
}

/*
 * reach_nearest
 *		Score and slot of the nearest list of each of n <= MAX_REACH_ROWS rows, in
 *		the area's scale; slot -1 if there is none.
 *
 * home[i] is the group that row i lies in, or one near it.
 */
void
reach_nearest(const View *view, const float *const *rows, const int32_t *home, int n,
			  float *score, int32_t *slot, void *scratch)
{
	const ClusterArea *area = view->area;
	Span		all = {0, view->group_slot[area->groups]};
	size_t		reach = (size_t) area->reach;
	size_t		pairs = (size_t) n * reach;
	uint16_t   *wanted = scratch;
	uint16_t   *which = (uint16_t *) (void *) ((char *) scratch +
											   align_up(pairs * sizeof(uint16_t)));
	int32_t    *start = (int32_t *) (void *) ((char *) which + align_up(pairs * sizeof(uint16_t)));
	int32_t		begin = 0;

	if (area->reach == area->groups)
	{
		for (int i = 0; i < n; i += ROW_BLOCK)
			floats_nearest(view, rows + i, n - i < ROW_BLOCK ? n - i : ROW_BLOCK, &all, 1,
						   score + i, slot + i);
		return;
	}

	memset(start, 0, (size_t) (area->groups + 1) * sizeof(int32_t));
	for (int i = 0; i < n; i++)
	{
		score[i] = INFINITY;
		slot[i] = -1;
		choose_groups(view, rows[i], home[i], wanted + (size_t) i * reach);
	}
	for (size_t i = 0; i < pairs; i++)
		start[wanted[i] + 1]++;
	for (int g = 0; g < area->groups; g++)
		start[g + 1] += start[g];
	for (size_t i = 0; i < pairs; i++)
		which[start[wanted[i]]++] = (uint16_t) (i / reach);
	for (int g = 0; g < area->groups; g++)
	{
		look_at_group(view, g, rows, which + begin, start[g] - begin, score, slot);
		begin = start[g];
	}

	/* groups without lists, or sums that overflowed */
	for (int i = 0; i < n; i++)
	{
		if (slot[i] < 0)
			floats_nearest(view, rows + i, 1, &all, 1, score + i, slot + i);
	}
}

/*
 * reach_other
 *		The same of one row of ClusterOps: its list and score.
 */
void
reach_other(const View *view, int32_t row)
{
	const ClusterArea *area = view->area;
	const int32_t *near = view->near + (size_t) view->group[row] * (size_t) area->nnear;
	double		best[MAX_REACH];
	uint16_t	wanted[MAX_REACH];
	Span		spans[MAX_REACH];
	Span		all = {0, view->group_slot[area->groups]};
	int			n = 0;

	for (int i = 0; i < area->nnear; i++)
	{
		double		distance = area->nnear == area->reach ? i :
			point_distance(view, view->lists + near[i], row);

		n = keep_group(near[i], distance, area->reach, best, wanted, n);
	}
	for (int i = 0; i < n; i++)
	{
		spans[i].first = view->group_slot[wanted[i]];
		spans[i].count = view->group_slot[wanted[i] + 1] - spans[i].first;
	}
	point_nearest(view, &row, 1, spans, n);
	if (view->list[row] < 0)
		point_nearest(view, &row, 1, &all, 1);
}
