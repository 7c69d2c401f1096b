/*-------------------------------------------------------------------------
 *
 * place.c
 *	  The list of any row, after training.
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "cluster/cluster_private.h"

static size_t
align_up(size_t n)
{
	return (n + 63) / 64 * 64;
}

/*
 * cluster_place_size
 *		Bytes of scratch to place nrows rows at once.
 */
size_t
cluster_place_size(const ClusterArea *area, int nrows)
{
	return align_up((size_t) nrows * 2 * sizeof(int32_t)) +
		align_up((size_t) (area->max_groups + 2) * sizeof(int32_t)) +
		(size_t) ROW_BLOCK * (size_t) area->dim * sizeof(float);
}

/* rows as the area knows them: in its scale */
static void
take_rows(const View *view, const float *const *rows, const int32_t *which, int n,
		  float *copy, const float **taken)
{
	for (int i = 0; i < n; i++)
	{
		taken[i] = rows[which ? which[i] : i];
		if (view->area->scale != 1)
		{
			float	   *x = copy + (size_t) i * (size_t) view->dim;

			for (int d = 0; d < view->dim; d++)
				x[d] = taken[i][d] * view->area->scale;
			taken[i] = x;
		}
	}
}

/* the lists near a group, for n rows in it */
static void
place_group(const View *view, int g, const float *const *rows, const int32_t *which, int n,
			int32_t *list, float *copy)
{
	const int32_t *near = view->near + (size_t) g * (size_t) view->area->reach;
	Span		all = {0, view->area->coarse_slot};
	Span		spans[ROW_BLOCK];
	int			nspans = 0;

	for (int j = 0; j < view->area->reach; j++)
	{
		int			begin = view->group_slot[near[j]];
		int			end = view->group_slot[near[j] + 1];

		if (begin < end)
			spans[nspans++] = (Span) {begin, end - begin};
	}

	for (int i = 0; i < n; i += ROW_BLOCK)
	{
		int			m = n - i < ROW_BLOCK ? n - i : ROW_BLOCK;
		const float *x[ROW_BLOCK];
		float		score[ROW_BLOCK];
		int32_t		slot[ROW_BLOCK];

		take_rows(view, rows, which ? which + i : NULL, m, copy, x);
		floats_nearest(view, x, m, spans, nspans, score, slot);
		for (int j = 0; j < m; j++)
		{
			/* spans without lists, or sums that overflowed */
			if (slot[j] < 0)
				floats_nearest(view, x + j, 1, &all, 1, score + j, slot + j);
			list[which ? which[i + j] : i + j] = slot[j] < 0 ? 0 : view->slot_id[slot[j]];
		}
	}
}

/*
 * cluster_place
 *		The nearest list of each of nrows rows of dim floats, of any length if
 *		the training was spherical.
 *
 * Looks at the groups near a row's own, as passes do, so it may miss a list
 * that is nearer.  Thousands of rows at once are best.  The area is only read:
 * any number of processes may do this at once.
 */
void
cluster_place(const ClusterArea *area, const float *const *rows, int nrows, int32_t *list,
			  void *scratch)
{
	View		view = cluster_view(area, NULL);
	int32_t    *group = scratch;
	int32_t    *order = group + nrows;
	int32_t    *start = (int32_t *) (void *) ((char *) scratch +
											  align_up((size_t) nrows * 2 * sizeof(int32_t)));
	float	   *copy = (float *) (void *) ((char *) start +
										   align_up((size_t) (area->max_groups + 2) * sizeof(int32_t)));
	Span		coarse = {area->coarse_slot, area->split_slot - area->coarse_slot};
	int			begin = 0;

	if (view.groups == 1)
	{
		for (int i = 0; i < nrows; i += ROW_BLOCK)
			place_group(&view, 0, rows + i, NULL, nrows - i < ROW_BLOCK ? nrows - i : ROW_BLOCK,
						list + i, copy);
		return;
	}

	memset(start, 0, (size_t) (view.groups + 1) * sizeof(int32_t));
	for (int i = 0; i < nrows; i += ROW_BLOCK)
	{
		int			m = nrows - i < ROW_BLOCK ? nrows - i : ROW_BLOCK;
		const float *x[ROW_BLOCK];
		float		score[ROW_BLOCK];

		take_rows(&view, rows + i, NULL, m, copy, x);
		floats_nearest(&view, x, m, &coarse, 1, score, group + i);
		for (int j = i; j < i + m; j++)
		{
			group[j] = group[j] < 0 ? 0 : group[j] - area->coarse_slot;
			start[group[j] + 1]++;
		}
	}
	for (int g = 0; g < view.groups; g++)
		start[g + 1] += start[g];
	for (int i = 0; i < nrows; i++)
		order[start[group[i]]++] = i;
	for (int g = 0; g < view.groups; g++)
	{
		if (start[g] > begin)
			place_group(&view, g, rows, order + begin, start[g] - begin, list, copy);
		begin = start[g];
	}
}
