/*-------------------------------------------------------------------------
 *
 * cluster_private.h
 *	  The area of a training, and how its parts see it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_CLUSTER_PRIVATE_H
#define VECEXT_CLUSTER_PRIVATE_H

#include "cluster/cluster.h"
#include "kernels/kernels.h"

/* rows that meet a panel together, and rows of a piece */
#define ROW_BLOCK		64
#define PIECE_ROWS		256
#define PIECE_LISTS		16

/* groups that a row may be compared with; rows that are sorted by them at once */
#define MAX_REACH		32
#define MAX_REACH_ROWS	2048

/* k-means of this few take care to start far apart */
#define FEW_LISTS		16

/* below this many lists there is one group */
#define MIN_GROUPED		64

typedef enum TaskKind
{
	TASK_PREPARE,				/* rows: scale, normalise, lengths */
	TASK_COARSE,				/* places of "order": the nearest group */
	TASK_SPLIT,					/* groups: their lists, from their own rows */
	TASK_FINE,					/* places of "order": the nearest list within reach */
	TASK_MEANS					/* centroids: the mean of their rows */
} TaskKind;

/*
 * The arrays follow the head at these offsets.  "Rows" are numbered as the
 * caller put them.  Centroids 0 .. lists - 1 are the lists', the next
 * "groups" those of groups.
 *
 * A *slot* is a column of a panel.  Each group has consecutive slots from a
 * multiple of VEC_PANEL on, so that all its lists meet a row in few kernel
 * calls; behind them come the slots of the groups themselves, and one panel
 * for splitting lists.
 */
struct ClusterArea
{
	int32_t		dim;
	int32_t		rows;
	int32_t		lists;
	int32_t		max_groups;
	int32_t		max_slots;
	int32_t		spherical;
	int32_t		passes;
	int32_t		reach_wanted;
	float		balance;
	float		scale;			/* of the rows in the area, a power of two */
	uint64_t	seed;
	/* of this training */
	int32_t		nrows;
	int32_t		groups;
	int32_t		reach;
	int32_t		nnear;			/* groups kept as near to each */
	int32_t		coarse_slot;	/* first of the groups' own */
	int32_t		split_slot;		/* the panel for splitting */
	int32_t		found;			/* real lists, at the end */
	int32_t		splits;
	double		inertia;
	/* where the arrays are */
	size_t		sample;
	size_t		centroid;
	size_t		panels;
	size_t		bias;
	size_t		slot_id;
	size_t		norm;
	size_t		score;
	size_t		list;
	size_t		group;
	size_t		order;
	size_t		member;
	size_t		count;
	size_t		start;
	size_t		group_of;
	size_t		group_row;
	size_t		group_slot;
	size_t		group_list;
	size_t		near;
	size_t		sorted;
	size_t		stuck;
};

/* the same as pointers, for one process */
typedef struct View
{
	ClusterArea *area;
	const ClusterRun *run;
	int			dim;
	int			lists;
	int			groups;
	float	   *sample;			/* rows of dim */
	float	   *centroid;		/* of lists, then of groups */
	float	   *panels;			/* by slots */
	float	   *bias;			/* by slot: half the squared length; infinite if unused */
	int32_t    *slot_id;		/* centroid of a slot, or -1 */
	float	   *norm;			/* by row: what makes 2 * score a squared distance */
	float	   *score;			/* by row: of its list */
	int32_t    *list;			/* by row, or -1 */
	int32_t    *group;			/* by row */
	int32_t    *order;			/* rows, by group */
	int32_t    *member;			/* rows, by list */
	int32_t    *count;			/* by centroid: rows */
	int32_t    *start;			/* by centroid: end of its part of "member" */
	int32_t    *group_of;		/* by list */
	int32_t    *group_row;		/* by group: first place in "order"; and one more */
	int32_t    *group_slot;		/* by group: first slot; and one more */
	int32_t    *group_list;		/* by group: first list of the start; and one more */
	int32_t    *near;			/* by group: "nnear" groups, nearest first */
	uint64_t   *sorted;			/* by list: scratch for sorting */
	uint8_t    *stuck;			/* by list: all rows equal, cannot be split */
} View;

/* consecutive slots to compare with */
typedef struct Span
{
	int			first;
	int			count;
} Span;

static inline float *
row_at(const View *view, int row)
{
	return view->sample + (size_t) row * (size_t) view->dim;
}

static inline float *
centroid_at(const View *view, int centroid)
{
	return view->centroid + (size_t) centroid * (size_t) view->dim;
}

static inline void
cluster_tick(const View *view)
{
	if (view->run != NULL && view->run->tick != NULL)
		view->run->tick();
}

/* area.c */
extern View cluster_view(const ClusterArea *area, const ClusterRun *run);

/* point.c: rows and centroids, floats or not */
extern void point_copy_row(const View *view, int centroid, int row);
extern void point_copy_centroid(const View *view, int centroid, int from);
extern void point_mean(const View *view, int centroid, const int32_t *rows, int n);
extern double point_distance(const View *view, int centroid, int row);
extern double point_between(const View *view, int a, int b);
extern void point_fill_slot(const View *view, int slot, int centroid);
extern void point_nearest(const View *view, const int32_t *rows, int n, const Span *spans,
						  int nspans);
extern void floats_nearest(const View *view, const float *const *rows, int n,
						   const Span *spans, int nspans, float *score, int32_t *slot);

/* reach.c: among the groups near a row */
extern size_t reach_size(const ClusterArea *area, int n);
extern void reach_nearest(const View *view, const float *const *rows, const int32_t *home, int n,
						  float *score, int32_t *slot, void *scratch);
extern void reach_other(const View *view, int32_t row);

/* local.c: k-means inside one process */
extern void local_kmeans(const View *view, const int32_t *rows, int n, int32_t *member,
						 int first, int k, int slot, uint64_t seed, int iterations);
extern bool local_bisect(const View *view, int32_t *rows, int n, int from, int to,
						 uint64_t seed);

/* repair.c */
extern void repair_count(const View *view, int first, int n, const int32_t *rows, int nrows);
extern void repair_lists(const View *view, bool dissolve);
extern void repair_slots(const View *view);

#endif							/* VECEXT_CLUSTER_PRIVATE_H */
