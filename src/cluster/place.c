/*-------------------------------------------------------------------------
 *
 * place.c
 *	  The list of any row, after training.
 *
 *-------------------------------------------------------------------------
 */
#include "cluster/cluster_private.h"

static size_t
align_up(size_t n)
{
	return (n + 63) / 64 * 64;
}

/* rows placed at once; where they must be scaled first, a block */
static int
rows_at_once(const ClusterArea *area, int nrows)
{
	int			most = area->scale != 1 ? ROW_BLOCK : MAX_REACH_ROWS;

	return nrows < most ? nrows : most;
}

/* what place_rows() needs beside the rows: for each row four words, and scratch */
static size_t
row_bytes(int n)
{
	return align_up((size_t) n * sizeof(float *)) + 3 * align_up((size_t) n * sizeof(int32_t));
}

/*
 * cluster_place_size
 *		Bytes of scratch, aligned to 64, to place nrows rows at once.
 */
size_t
cluster_place_size(const ClusterArea *area, int nrows)
{
	int			n = rows_at_once(area, nrows);
	size_t		copies = area->scale != 1 ? (size_t) n * (size_t) area->dim * sizeof(float) : 0;

	return row_bytes(n) + align_up(reach_size(area, n)) + copies;
}

/* rows as the area knows them: in its scale */
static void
take_rows(const View *view, const float *const *rows, int n, float *copy, const float **taken)
{
	for (int i = 0; i < n; i++)
	{
		taken[i] = rows[i];
		if (view->area->scale != 1)
		{
			float	   *x = copy + (size_t) i * (size_t) view->dim;

			for (int d = 0; d < view->dim; d++)
				x[d] = taken[i][d] * view->area->scale;
			taken[i] = x;
		}
	}
}

/* as many rows as rows_at_once() says */
static void
place_rows(const View *view, const float *const *rows, int n, int32_t *list, char *scratch)
{
	const ClusterArea *area = view->area;
	Span		coarse = {area->coarse_slot, area->split_slot - area->coarse_slot};
	const float **taken = (const float **) (void *) scratch;
	int32_t    *home = (int32_t *) (void *) (scratch + align_up((size_t) n * sizeof(float *)));
	int32_t    *slot = home + align_up((size_t) n * sizeof(int32_t)) / sizeof(int32_t);
	float	   *score = (float *) (void *) (slot + align_up((size_t) n * sizeof(int32_t)) /
											sizeof(int32_t));
	char	   *rest = scratch + row_bytes(n);

	take_rows(view, rows, n, (float *) (void *) (rest + align_up(reach_size(area, n))), taken);
	if (area->reach < area->groups)
	{
		for (int i = 0; i < n; i += ROW_BLOCK)
			floats_nearest(view, taken + i, n - i < ROW_BLOCK ? n - i : ROW_BLOCK, &coarse, 1,
						   score + i, home + i);
		for (int i = 0; i < n; i++)
			home[i] = home[i] < 0 ? 0 : home[i] - area->coarse_slot;
	}
	reach_nearest(view, taken, home, n, score, slot, rest);
	for (int i = 0; i < n; i++)
		list[i] = slot[i] < 0 ? 0 : view->slot_id[slot[i]];
}

/*
 * cluster_place
 *		The nearest list of each of nrows rows of dim floats, of any length if
 *		the training was spherical; scratch has cluster_place_size() bytes.
 *
 * Looks at the groups nearest to a row, as passes do, so it may miss a list
 * that is nearer.  Thousands of rows at once are best.  The area is only read:
 * any number of processes may do this at once.
 */
void
cluster_place(const ClusterArea *area, const float *const *rows, int nrows, int32_t *list,
			  void *scratch)
{
	View		view = cluster_view(area, NULL);
	int			most = rows_at_once(area, nrows);

	for (int i = 0; i < nrows; i += most)
		place_rows(&view, rows + i, nrows - i < most ? nrows - i : most, list + i, scratch);
}
