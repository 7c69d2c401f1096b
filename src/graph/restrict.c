/*-------------------------------------------------------------------------
 *
 * restrict.c
 *	  What every restricted search does the same, wherever its slots lie.
 *
 *-------------------------------------------------------------------------
 */
#include "graph/restrict.h"

#define ARITY	4

static size_t
align_up(size_t n)
{
	return (n + 63) / 64 * 64;
}

static uint32_t
visited_for(uint32_t candidates)
{
	uint32_t	slots = 1024;

	while (slots < UINT32_C(1) << 31 && slots / 4 * 3 < candidates)
		slots *= 2;
	return slots;
}

/*
 * restricted_size
 *		Bytes for searches that keep so many candidates and meet as many nodes.
 */
size_t
restricted_size(uint32_t candidates, int max_keep)
{
	return align_up(((size_t) candidates + 1) * sizeof(SearchCandidate)) +
		align_up((size_t) candidates + 1) +
		align_up(((size_t) max_keep + 1) * sizeof(SearchResult)) +
		(size_t) visited_for(candidates) * sizeof(SearchVisit);
}

/*
 * restricted_init
 *		Lay out the memory of searches.
 */
void
restricted_init(RestrictedSearch *search, uint32_t candidates, int max_keep, void *memory)
{
	GraphSearch *base = &search->base;
	char	   *next = memory;

	memset(search, 0, sizeof(*search));
	base->max_ef = (int) candidates;
	base->max_keep = max_keep;
	base->candidates = (SearchCandidate *) (void *) next;
	next += align_up(((size_t) candidates + 1) * sizeof(SearchCandidate));
	base->state = (uint8_t *) next;
	next += align_up((size_t) candidates + 1);
	base->results = (SearchResult *) (void *) next;
	next += align_up(((size_t) max_keep + 1) * sizeof(SearchResult));
	base->visited = (SearchVisit *) (void *) next;
	base->visited_mask = visited_for(candidates) - 1;
	memset(base->visited, 0, ((size_t) base->visited_mask + 1) * sizeof(SearchVisit));
}

/*
 * restricted_grow
 *		Move a search under way to larger memory, as for restricted_init(); the
 *		old one is the caller's again.
 */
void
restricted_grow(RestrictedSearch *search, uint32_t candidates, int max_keep, void *memory)
{
	RestrictedSearch old = *search;
	GraphSearch *base = &search->base;
	RestrictedSearch room;

	restricted_init(&room, candidates, max_keep, memory);
	base->ef = base->stop = base->max_ef = room.base.max_ef;
	base->keep = base->max_keep = max_keep;
	base->candidates = room.base.candidates;
	base->state = room.base.state;
	base->results = room.base.results;
	base->visited = room.base.visited;
	base->visited_mask = room.base.visited_mask;
	base->visited_used = 0;
	memcpy(base->candidates, old.base.candidates,
		   (size_t) base->ncandidates * sizeof(SearchCandidate));
	memcpy(base->results, old.base.results, (size_t) base->nresults * sizeof(SearchResult));
	for (uint32_t i = 0; i <= old.base.visited_mask; i++)
	{
		const SearchVisit *from = &old.base.visited[i];
		SearchVisit *to = from->epoch < old.base.epoch ? NULL : search_visit(base, from->id);

		if (to == NULL)
			continue;
		to->distance = from->distance;
		to->epoch = from->epoch;
	}
}

/* the heap's top is its least; place i has the children ARITY i + 1 ... */
static void
heap_up(SearchCandidate *heap, int i, SearchCandidate moved)
{
	while (i > 0)
	{
		int			parent = (i - 1) / ARITY;

		if (!(moved.distance < heap[parent].distance))
			break;
		heap[i] = heap[parent];
		i = parent;
	}
	heap[i] = moved;
}

static void
heap_down(SearchCandidate *heap, int n, int i, SearchCandidate moved)
{
	for (;;)
	{
		int			first = ARITY * i + 1;
		int			last = first + ARITY < n ? first + ARITY : n;
		int			least = first;

		if (first >= n)
			break;
		for (int child = first + 1; child < last; child++)
			least = heap[child].distance < heap[least].distance ? child : least;
		if (!(heap[least].distance < moved.distance))
			break;
		heap[i] = heap[least];
		i = least;
	}
	heap[i] = moved;
}

/* restricted_room() has seen to it that there is room */
static void
heap_add(GraphSearch *base, SearchCandidate candidate)
{
	if (base->ncandidates < base->max_ef)
		heap_up(base->candidates, base->ncandidates++, candidate);
}

static SearchCandidate
heap_take(GraphSearch *base)
{
	SearchCandidate top = base->candidates[0];
	int			n = --base->ncandidates;

	if (n > 0)
		heap_down(base->candidates, n, 0, base->candidates[n]);
	return top;
}

/*
 * restricted_push
 *		Add a candidate; true if it is among the nearest.
 */
bool
restricted_push(RestrictedSearch *search, SearchCandidate candidate)
{
	int			i = search->nfront - 1;

	if (i < 0 || !(candidate.distance < search->front[i].distance))
	{
		heap_add(&search->base, candidate);
		return false;
	}
	if (search->nfront == RESTRICT_FRONT)
		heap_add(&search->base, search->front[i--]);
	else
		search->nfront++;
	for (; i >= 0 && candidate.distance < search->front[i].distance; i--)
		search->front[i + 1] = search->front[i];
	search->front[i + 1] = candidate;
	return true;
}

/*
 * restricted_pop
 *		Take the nearest candidate; there is one.
 */
SearchCandidate
restricted_pop(RestrictedSearch *search)
{
	SearchCandidate candidate = search->front[0];

	search->nfront--;
	memmove(search->front, search->front + 1,
			(size_t) search->nfront * sizeof(SearchCandidate));
	return candidate;
}

/*
 * restricted_fill
 *		Move the next candidate from the heap to the front; false if there is
 *		none or no room.
 */
bool
restricted_fill(RestrictedSearch *search)
{
	if (search->nfront == RESTRICT_FRONT || search->base.ncandidates == 0)
		return false;
	search->front[search->nfront++] = heap_take(&search->base);
	return true;
}

/*
 * restricted_start
 *		Begin a search; add starting points to search->base next, as for any,
 *		then run it.
 */
void
restricted_start(RestrictedSearch *search, const SlotLayout *layout, const QuantQuery *query,
				 double margin)
{
	search_start(&search->base, layout, query, search->base.max_ef, search->base.max_keep);
	search->nfront = 0;
	search->margin = margin;
	search->naccepted = 0;
	search->ndistances = 0;
	search->among = NULL;
	search->patience = search->settled = search->late = 0;
}

/*
 * restricted_narrow
 *		From now on go to no nodes but those whose bits are set; they live as long
 *		as the search.
 */
void
restricted_narrow(RestrictedSearch *search, const uint64_t *among, uint32_t limit)
{
	GraphSearch *base = &search->base;
	int			n = base->ncandidates;
	int			nfront = search->nfront;

	search->among = among;
	search->among_limit = limit;
	base->ncandidates = search->nfront = 0;
	for (int i = 0; i < n; i++)
	{
		/* its place is not beyond i */
		if (restricted_among(search, base->candidates[i].id))
			heap_add(base, base->candidates[i]);
	}
	for (int i = 0; i < nfront; i++)
	{
		if (restricted_among(search, search->front[i].id))
			heap_add(base, search->front[i]);
	}
}

/*
 * restricted_settled
 *		Whether the nearest search->wanted results are found, as far as a search
 *		can tell whose nearest candidate is that far.
 */
bool
restricted_settled(RestrictedSearch *search, float nearest)
{
	const GraphSearch *base = &search->base;
	double		part = (double) search->naccepted / (base->nexpanded + 1);
	double		enough = search->wanted + search->margin * part;
	bool		is_near;

	if (base->nresults < enough)
		return false;
	is_near = nearest < base->results[(int) enough - 1].distance;
	if (search->patience == 0)
		return !is_near;
	if (search->settled == 0 && is_near)
		return false;
	if (search->settled == 0)
		search->settled = base->nexpanded;
	return base->nexpanded - search->settled >= search->patience;
}
