/*-------------------------------------------------------------------------
 *
 * point.c
 *	  Rows and centroids: vectors of floats, or whatever ClusterOps knows.
 *
 * The score of a row and a centroid is half the squared distance less half
 * the squared length of the row (spherical: minus the inner product), so that
 * one product per pair is all there is to compute.  For ClusterOps it is the
 * distance.
 *
 *-------------------------------------------------------------------------
 */
#include <math.h>
#include <string.h>

#include "cluster/cluster_private.h"

/*
 * point_copy_row
 *		The centroid becomes a row.
 */
void
point_copy_row(const View *view, int centroid, int row)
{
	if (view->dim == 0)
		view->run->ops->copy_row(view->run->ops_context, centroid, row);
	else
		memcpy(centroid_at(view, centroid), row_at(view, row),
			   (size_t) view->dim * sizeof(float));
}

/*
 * point_copy_centroid
 *		The centroid becomes another, different one.
 */
void
point_copy_centroid(const View *view, int centroid, int from)
{
	if (view->dim == 0)
		view->run->ops->copy_centroid(view->run->ops_context, centroid, from);
	else
		memcpy(centroid_at(view, centroid), centroid_at(view, from),
			   (size_t) view->dim * sizeof(float));
}

/* multiply a vector; vanishing ones stay zero */
static void
set_length(float *x, int dim, double length)
{
	float		factor = length > 0 ? (float) (1 / length) : 0;

	for (int i = 0; i < dim; i++)
		x[i] *= factor;
}

/*
 * point_mean
 *		The centroid becomes the mean of n > 0 rows; of length 1 if spherical.
 */
void
point_mean(const View *view, int centroid, const int32_t *rows, int n)
{
	const float one = 1;
	float	   *c;

	if (view->dim == 0)
	{
		view->run->ops->mean(view->run->ops_context, centroid, rows, n);
		return;
	}

	c = centroid_at(view, centroid);
	memset(c, 0, (size_t) view->dim * sizeof(float));
	for (int i = 0; i < n; i++)
		vec_kernels->add_rows_f32(c, row_at(view, rows[i]), 0, &one, 1, view->dim);
	if (view->area->spherical)
		set_length(c, view->dim, sqrt(vec_kernels->normsq_f32(c, view->dim)));
	else
		set_length(c, view->dim, n);
}

/*
 * point_distance
 *		Between a centroid and a row; squared for floats.
 */
double
point_distance(const View *view, int centroid, int row)
{
	if (view->dim == 0)
		return view->run->ops->distance(view->run->ops_context, centroid, row);
	return vec_kernels->l2sq_f32(centroid_at(view, centroid), row_at(view, row), view->dim);
}

/*
 * point_between
 *		Between two centroids; squared for floats.
 */
double
point_between(const View *view, int a, int b)
{
	if (view->dim == 0)
		return view->run->ops->between(view->run->ops_context, a, b);
	return vec_kernels->l2sq_f32(centroid_at(view, a), centroid_at(view, b), view->dim);
}

/*
 * point_fill_slot
 *		Put a centroid, or none (-1), into a slot.
 */
void
point_fill_slot(const View *view, int slot, int centroid)
{
	float	   *column = view->panels +
		(size_t) (slot / VEC_PANEL) * (size_t) view->dim * VEC_PANEL + slot % VEC_PANEL;

	view->slot_id[slot] = centroid;
	if (centroid < 0)
	{
		for (int i = 0; i < view->dim; i++)
			column[i * VEC_PANEL] = 0;
		view->bias[slot] = INFINITY;
		return;
	}

	view->bias[slot] = 0;
	if (view->dim > 0)
	{
		const float *c = centroid_at(view, centroid);

		for (int i = 0; i < view->dim; i++)
			column[i * VEC_PANEL] = c[i];
		if (!view->area->spherical)
			view->bias[slot] = (float) (vec_kernels->normsq_f32(c, view->dim) / 2);
	}
}

/*
 * floats_nearest
 *		Score and slot of the nearest centroid in the spans, for n <= ROW_BLOCK
 *		rows; slot -1 if the spans have none.
 */
void
floats_nearest(const View *view, const float *const *rows, int n, const Span *spans, int nspans,
			   float *score, int32_t *slot)
{
	for (int i = 0; i < n; i++)
	{
		score[i] = INFINITY;
		slot[i] = -1;
	}
	for (int i = 0; i < nspans; i++)
	{
		size_t		panel = (size_t) (spans[i].first / VEC_PANEL);

		vec_kernels->nearest_rows(rows, n, view->panels + panel * (size_t) view->dim * VEC_PANEL,
								  view->bias + spans[i].first, spans[i].count / VEC_PANEL,
								  view->dim, spans[i].first, score, slot);
	}
}

static void
ops_nearest(const View *view, const int32_t *rows, int n, const Span *spans, int nspans,
			float *score, int32_t *slot)
{
	for (int i = 0; i < n; i++)
	{
		double		best = INFINITY;

		slot[i] = -1;
		for (int s = 0; s < nspans; s++)
		{
			for (int j = spans[s].first; j < spans[s].first + spans[s].count; j++)
			{
				double		d;

				if (view->slot_id[j] < 0)
					continue;
				d = point_distance(view, view->slot_id[j], rows[i]);
				if (d < best || slot[i] < 0)
				{
					best = d;
					slot[i] = j;
				}
			}
		}
		score[i] = (float) best;
		cluster_tick(view);
	}
}

/*
 * point_nearest
 *		Set list and score of rows to the nearest centroid in the spans.
 *
 * Spans begin and end at whole panels.  Rows keep -1 if the spans are empty.
 */
void
point_nearest(const View *view, const int32_t *rows, int n, const Span *spans, int nspans)
{
	for (int i = 0; i < n; i += ROW_BLOCK)
	{
		int			m = n - i < ROW_BLOCK ? n - i : ROW_BLOCK;
		const float *x[ROW_BLOCK];
		float		score[ROW_BLOCK];
		int32_t		slot[ROW_BLOCK];

		if (view->dim == 0)
			ops_nearest(view, rows + i, m, spans, nspans, score, slot);
		else
		{
			for (int j = 0; j < m; j++)
				x[j] = row_at(view, rows[i + j]);
			floats_nearest(view, x, m, spans, nspans, score, slot);
		}
		for (int j = 0; j < m; j++)
		{
			view->list[rows[i + j]] = slot[j] < 0 ? -1 : view->slot_id[slot[j]];
			view->score[rows[i + j]] = score[j];
		}
		cluster_tick(view);
	}
}
