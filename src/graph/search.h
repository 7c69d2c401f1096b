/*-------------------------------------------------------------------------
 *
 * search.h
 *	  State of a search over nav slots; search_tmpl.h has the loop.
 *
 * All memory is the caller's, in one piece of search_size() bytes, and serves
 * any number of searches one after another.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_SEARCH_H
#define VECEXT_SEARCH_H

#include "graph/slot.h"

/* entries to start from: the nearest few, as estimated */
#define SEARCH_STARTS	4

/* candidates on levels above 0 */
#define SEARCH_UPPER_EF	8

typedef struct SearchCandidate
{
	float		distance;		/* estimated; exact without sketches */
	uint32_t	id;
} SearchCandidate;

#define SEARCH_EXPANDED		1
#define SEARCH_PREFETCHED	2

/* a node whose own code was read */
typedef struct SearchResult
{
	float		distance;		/* by its code */
	uint32_t	id;
	uint16_t	generation;		/* of the slot when it was read */
	uint8_t		tid[SLOT_TID_SIZE];
} SearchResult;

typedef struct SearchVisit
{
	uint32_t	id;
	uint32_t	epoch;			/* times two, plus one once expanded */
	float		distance;		/* least estimate so far */
} SearchVisit;

typedef struct GraphSearch
{
	const SlotLayout *layout;
	const QuantQuery *query;	/* NULL where codes are exact values */
	int			ef;				/* candidates kept */
	int			stop;			/* of these are expanded; a later run may go on */
	int			keep;			/* results kept */
	int			max_ef;
	int			max_keep;
	int			ncandidates;
	int			nresults;
	SearchCandidate *candidates;	/* nearest first */
	uint8_t    *state;			/* of each candidate: SEARCH_EXPANDED ... */
	SearchResult *results;		/* nearest first */
	SearchVisit *visited;
	uint32_t	visited_mask;
	uint32_t	visited_used;
	uint32_t	epoch;
	bool		full;			/* the visited set had no more room */

	/* statistics of the search */
	uint32_t	nexpanded;
	uint32_t	nestimated;
} GraphSearch;

extern size_t search_size(int max_ef, int max_keep);
extern void search_init(GraphSearch *search, int max_ef, int max_keep, void *memory);
extern void search_start(GraphSearch *search, const SlotLayout *layout, const QuantQuery *query,
						 int ef, int keep);
extern void search_start_level(GraphSearch *search, int ef);
extern void search_from_entry(GraphSearch *search, const uint8_t *entries, size_t size, int n);
extern void search_add_start(GraphSearch *search, uint32_t id, float distance);

/* what follows serves search_tmpl.h */

/*
 * The visit of a node, made if there is none; a new one has an old epoch.
 * NULL when there is no room.
 */
static inline SearchVisit *
search_visit(GraphSearch *search, uint32_t id)
{
	uint32_t	slot = (id * UINT32_C(2654435761) >> 7) & search->visited_mask;
	SearchVisit *visit = &search->visited[slot];

	while (visit->epoch >= search->epoch)
	{
		if (visit->id == id)
			return visit;
		slot = (slot + 1) & search->visited_mask;
		visit = &search->visited[slot];
	}
	if (search->visited_used >= search->visited_mask / 4 * 3)
	{
		search->full = true;
		return NULL;
	}
	search->visited_used++;
	visit->id = id;
	visit->epoch = search->epoch;
	visit->distance = __builtin_inff();
	return visit;
}

/*
 * Put a candidate into its place; returns the place, or ef if it is too far,
 * as is NaN.
 */
static inline int
search_add_candidate(GraphSearch *search, uint32_t id, float distance)
{
	SearchCandidate *candidates = search->candidates;
	int			n = search->ncandidates;
	int			low = 0;
	int			moved;

	if (n == search->ef && !(distance < candidates[n - 1].distance))
		return search->ef;

	/* steps of fixed length: which way to go cannot be predicted */
	for (int left = n; left > 0;)
	{
		int			half = (left + 1) / 2;

		low += candidates[low + half - 1].distance > distance ? 0 : half;
		left -= half;
	}
	moved = (n < search->ef ? n : n - 1) - low;
	memmove(candidates + low + 1, candidates + low, (size_t) moved * sizeof(*candidates));
	memmove(search->state + low + 1, search->state + low, (size_t) moved);
	candidates[low].distance = distance;
	candidates[low].id = id;
	search->state[low] = 0;
	search->ncandidates += n < search->ef;
	return low;
}

/*
 * Which of n estimates are near enough to become candidates, in order; returns
 * how many.
 */
static inline int
search_near(const GraphSearch *search, const float *estimate, int n, uint8_t *near)
{
	float		limit = search->ncandidates < search->ef ? __builtin_inff() :
		search->candidates[search->ef - 1].distance;
	int			nnear = 0;

	for (int i = 0; i < n; i++)
	{
		near[nnear] = (uint8_t) i;
		nnear += estimate[i] < limit;
	}
	return nnear;
}

extern void search_add_result(GraphSearch *search, uint32_t id, float distance,
							  const uint8_t *slot);

#endif							/* VECEXT_SEARCH_H */
