/*-------------------------------------------------------------------------
 *
 * repair.c
 *	  Lists without rows, lists with too many, and the slots of all.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "cluster/cluster_private.h"
#include "quant/quant.h"

/* more rounds than it takes to halve all rows down to one */
#define MAX_ROUNDS		32

/*
 * repair_count
 *		Count the rows of n centroids from "first" on, and set "start" to where
 *		each one's part of "member" begins.
 *
 * rows NULL means rows 0 .. nrows - 1.
 */
void
repair_count(const View *view, int first, int n, const int32_t *rows, int nrows)
{
	int32_t		sum = 0;

	memset(view->count + first, 0, (size_t) n * sizeof(int32_t));
	for (int i = 0; i < nrows; i++)
	{
		int32_t		list = view->list[rows ? rows[i] : i];

		if (list >= 0)
			view->count[list]++;
	}
	for (int i = first; i < first + n; i++)
	{
		view->start[i] = sum;
		sum += view->count[i];
	}
}

/*
 * repair_slots
 *		Give each list that has rows a slot in its group's panels.
 */
void
repair_slots(const View *view)
{
	int			slot = 0;

	/* count, then begin of each group, rounded up to panels */
	memset(view->group_slot, 0, (size_t) (view->groups + 1) * sizeof(int32_t));
	for (int i = 0; i < view->lists; i++)
	{
		if (view->count[i] > 0)
			view->group_slot[view->group_of[i]]++;
	}
	for (int g = 0; g <= view->groups; g++)
	{
		int			n = view->group_slot[g];

		view->group_slot[g] = slot;
		slot += (n + VEC_PANEL - 1) / VEC_PANEL * VEC_PANEL;
	}
	for (int i = 0; i < slot; i++)
		view->slot_id[i] = -1;

	/* lists of the start are not needed any more: a cursor for each group */
	memcpy(view->group_list, view->group_slot, (size_t) view->groups * sizeof(int32_t));
	for (int i = 0; i < view->lists; i++)
	{
		if (view->count[i] > 0)
			view->slot_id[view->group_list[view->group_of[i]]++] = i;
	}
	for (int i = 0; i < slot; i++)
	{
		point_fill_slot(view, i, view->slot_id[i]);
		if (i % PIECE_LISTS == 0)
			cluster_tick(view);
	}
}

static int
compare(const void *a, const void *b)
{
	uint64_t	x = *(const uint64_t *) a;
	uint64_t	y = *(const uint64_t *) b;

	return x < y ? -1 : x > y;
}

/* lists by number of rows, fewest first, in "sorted": count above, number below */
static void
sort_lists(const View *view)
{
	repair_count(view, 0, view->lists, NULL, view->area->nrows);
	for (int i = 0; i < view->lists; i++)
		view->sorted[i] = (uint64_t) (uint32_t) view->count[i] << 32 | (uint32_t) i;
	qsort(view->sorted, (size_t) view->lists, sizeof(uint64_t), compare);
}

static inline int
sorted_list(const View *view, int i)
{
	return (int) (view->sorted[i] & UINT32_MAX);
}

/* rows that make a list too large */
static double
too_many(const View *view)
{
	return (double) view->area->balance * view->area->nrows / view->lists + 1;
}

/*
 * Dissolve small lists while there are more lists too large than lists
 * without rows: their rows are left to the next pass.
 */
static void
dissolve_small(const View *view)
{
	double		mean = (double) view->area->nrows / view->lists;
	int			large = 0;
	int			empty = 0;

	sort_lists(view);
	for (int i = 0; i < view->lists; i++)
	{
		large += view->count[i] > too_many(view) && !view->stuck[i];
		empty += view->count[i] == 0;
	}
	for (int i = empty; i < view->lists && empty < large; i++, empty++)
	{
		int			list = sorted_list(view, i);

		if (view->count[list] > mean / 4)
			break;
		view->count[list] = -1;
	}
	for (int i = 0; i < view->area->nrows; i++)
	{
		if (view->list[i] >= 0 && view->count[view->list[i]] < 0)
			view->list[i] = -1;
	}
}

/* the largest list at or below place i of "sorted" that can be cut, or -1 */
static int
find_large(const View *view, int i)
{
	for (; i >= 0; i--)
	{
		int			list = sorted_list(view, i);

		if (view->count[list] < 2)
			return -1;
		if (!view->stuck[list])
			return i;
	}
	return -1;
}

/*
 * One round of cutting the largest lists in two until none is empty: each is
 * cut once, and none of less than half the rows of the largest, which is
 * better cut again in the next round.  Returns whether anything changed.
 */
static bool
fill_empty(const View *view, int round)
{
	int			nlists = view->lists;
	int			place = nlists - 1;
	int			most = 0;
	bool		changed = false;

	sort_lists(view);
	for (int i = 0; i < view->area->nrows; i++)
	{
		if (view->list[i] >= 0)
			view->member[view->start[view->list[i]]++] = i;
	}

	for (int i = 0; i < nlists && view->sorted[i] >> 32 == 0;)
	{
		int			to = sorted_list(view, i);
		int			from;
		int			n;

		place = find_large(view, place);
		if (place < 0)
			break;
		from = sorted_list(view, place--);
		n = view->count[from];
		if (most == 0)
			most = n;
		if (n < most / 2)
			break;

		changed = true;
		if (local_bisect(view, view->member + view->start[from] - n, n, from, to,
						 view->area->seed ^ (uint64_t) from << 20 ^ (uint64_t) round))
		{
			view->group_of[to] = view->group_of[from];
			view->area->splits++;
			i++;
		}
		else
			view->stuck[from] = 1;
	}
	return changed;
}

/*
 * repair_lists
 *		After rows have got lists: make lists without rows from the largest,
 *		and, if small ones may be dissolved, do so for the sake of large ones.
 *
 * Dissolved lists leave rows without a list, for the next pass.
 */
void
repair_lists(const View *view, bool dissolve)
{
	memset(view->stuck, 0, (size_t) view->lists);
	if (dissolve)
		dissolve_small(view);
	for (int round = 0; round < MAX_ROUNDS; round++)
	{
		if (!fill_empty(view, round))
			break;
	}
	repair_count(view, 0, view->lists, NULL, view->area->nrows);
}
