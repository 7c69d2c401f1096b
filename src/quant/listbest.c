/*-------------------------------------------------------------------------
 *
 * listbest.c
 *	  The k nearest of what a search has seen, and the search for centers.
 *
 *-------------------------------------------------------------------------
 */
#include "quant/list.h"

/*
 * list_best_size
 *		Bytes of the arrays for k.
 */
size_t
list_best_size(int k)
{
	return (size_t) k * (sizeof(uint64_t) + sizeof(float));
}

/*
 * list_best_init
 *		None yet of k; memory is aligned to 8 bytes.
 */
void
list_best_init(ListBest *best, int k, void *memory)
{
	best->k = k;
	best->n = 0;
	best->id = memory;
	best->distance = (float *) (best->id + k);
}

/* sink an entry from place i of a heap of n */
static void
sift_down(ListBest *best, int i, int n, float distance, uint64_t id)
{
	for (;;)
	{
		int			child = 2 * i + 1;

		if (child >= n)
			break;
		if (child + 1 < n && best->distance[child + 1] > best->distance[child])
			child++;
		if (!(best->distance[child] > distance))
			break;
		best->distance[i] = best->distance[child];
		best->id[i] = best->id[child];
		i = child;
	}
	best->distance[i] = distance;
	best->id[i] = id;
}

/*
 * list_best_replace
 *		Take one more, in place of the farthest if there are k already.
 */
void
list_best_replace(ListBest *best, float distance, uint64_t id)
{
	int			i;

	if (best->n == best->k)
	{
		sift_down(best, 0, best->n, distance, id);
		return;
	}
	for (i = best->n++; i > 0 && best->distance[(i - 1) / 2] < distance; i = (i - 1) / 2)
	{
		best->distance[i] = best->distance[(i - 1) / 2];
		best->id[i] = best->id[(i - 1) / 2];
	}
	best->distance[i] = distance;
	best->id[i] = id;
}

/*
 * list_best_sort
 *		Nearest first; the heap is no more until list_best_init().
 */
void
list_best_sort(ListBest *best)
{
	for (int n = best->n - 1; n > 0; n--)
	{
		float		distance = best->distance[n];
		uint64_t	id = best->id[n];

		best->distance[n] = best->distance[0];
		best->id[n] = best->id[0];
		sift_down(best, 0, n, distance, id);
	}
}

/*
 * list_centers
 *		The nearest best->k of centers as blocks of LIST_RABITQ, with the origin of
 *		nav space as their center; sorted, by exact list distance.
 *
 * Block b lies at blocks + b * block_stride, its ListBlockTerms at terms +
 * b * terms_stride, aligned for float.  "center" is asked for those only that
 * may be among the nearest, by the statistical bound (epsilon > 0).  scratch has
 * 2 * (ncenters + LIST_BLOCK) floats.  Returns how many were asked for.
 */
int
list_centers(const ListQuery *query, const uint8_t *blocks, size_t block_stride,
			 const uint8_t *terms, size_t terms_stride, int ncenters, float epsilon,
			 ListCenterFn center, void *context, float *scratch, ListBest *best)
{
	float	   *estimate = scratch;
	float	   *lower = scratch + ncenters + LIST_BLOCK;
	float		length = query->norm;
	ListPlace	place = {0, {0, 0, 0, INFINITY}};
	float		threshold;
	int			asked = 0;

	/* the origin: no floats of it are needed */
	if (query->model->metric == QUANT_IP)
	{
		place.at.base = -query->mean_dot;
		length = (float) sqrt(vec_kernels->normsq_f32(query->seen, query->model->dim));
	}
	else
		place.at.base = query->norm * query->norm;
	place.at.radius = epsilon * length;

	/* the k-th upper bound: what lies above it is not among the nearest */
	for (int i = 0; i < ncenters; i += LIST_BLOCK)
	{
		int			n = ncenters - i < LIST_BLOCK ? ncenters - i : LIST_BLOCK;
		size_t		b = (size_t) (i / LIST_BLOCK);

		vec_kernels->scan_block(&query->center_table, blocks + b * block_stride,
								(const float *) (const void *) (terms + b * terms_stride),
								&place.at, estimate + i, lower + i);
		for (int j = i; j < i + n; j++)
			list_best_add(best, 2 * estimate[j] - lower[j], (uint64_t) j);
	}
	threshold = list_best_threshold(best);

	best->n = 0;
	for (int i = 0; i < ncenters; i++)
	{
		const float *c;

		if (lower[i] > threshold || lower[i] >= list_best_threshold(best))
			continue;
		c = center(context, i);
		asked++;
		if (c != NULL)
			list_best_add(best, list_center_distance(query, c), (uint64_t) i);
	}
	list_best_sort(best);
	return asked;
}
