/*-------------------------------------------------------------------------
 *
 * search.c
 *	  What every search does the same, wherever its slots lie.
 *
 *-------------------------------------------------------------------------
 */
#include "graph/search.h"

/*
 * Nodes a search of this size may meet: links whose estimate was good enough.
 * With estimates these are some three to a candidate, without them up to twenty
 * but fewer the wider the search; large searches have less room to spare.
 */
static size_t
visited_slots(int max_ef)
{
	size_t		ample = max_ef < 1024 ? max_ef : 1024;
	size_t		most = ample * 32 + ((size_t) max_ef - ample) * 8 + 2048;
	size_t		slots = 4096;

	while (slots < most)
		slots *= 2;
	return slots;
}

static size_t
align_up(size_t n)
{
	return (n + 63) / 64 * 64;
}

/*
 * search_size
 *		Bytes for searches with at most max_ef candidates and max_keep results.
 */
size_t
search_size(int max_ef, int max_keep)
{
	return align_up(((size_t) max_ef + 1) * sizeof(SearchCandidate)) +
		align_up((size_t) max_ef + 1) +
		align_up(((size_t) max_keep + 1) * sizeof(SearchResult)) +
		visited_slots(max_ef) * sizeof(SearchVisit);
}

/*
 * search_init
 *		Lay out the memory of searches.
 */
void
search_init(GraphSearch *search, int max_ef, int max_keep, void *memory)
{
	char	   *next = memory;

	memset(search, 0, sizeof(*search));
	search->max_ef = max_ef;
	search->max_keep = max_keep;
	search->candidates = (SearchCandidate *) (void *) next;
	next += align_up(((size_t) max_ef + 1) * sizeof(SearchCandidate));
	search->state = (uint8_t *) next;
	next += align_up((size_t) max_ef + 1);
	search->results = (SearchResult *) (void *) next;
	next += align_up(((size_t) max_keep + 1) * sizeof(SearchResult));
	search->visited = (SearchVisit *) (void *) next;
	search->visited_mask = (uint32_t) visited_slots(max_ef) - 1;
	memset(search->visited, 0, visited_slots(max_ef) * sizeof(SearchVisit));
}

/*
 * search_start
 *		Begin a search: ef candidates, keep results, neither above what the
 *		memory was made for.  Add starting points next, then run it.
 */
void
search_start(GraphSearch *search, const SlotLayout *layout, const QuantQuery *query,
			 int ef, int keep)
{
	search->layout = layout;
	search->query = query;
	search->ef = ef < search->max_ef ? ef : search->max_ef;
	search->keep = keep < search->max_keep ? keep : search->max_keep;
	search->nresults = 0;
	search->nexpanded = 0;
	search->nestimated = 0;
	search_start_level(search, search->ef);
}

/*
 * search_start_level
 *		Forget candidates and what was met, and go on with ef candidates, not
 *		more than the memory was made for.
 */
void
search_start_level(GraphSearch *search, int ef)
{
	search->ef = ef;
	search->stop = ef;
	search->ncandidates = 0;
	search->visited_used = 0;
	search->full = false;
	search->epoch += 2;
	if (search->epoch >= UINT32_MAX - 2)
	{
		memset(search->visited, 0, ((size_t) search->visited_mask + 1) * sizeof(SearchVisit));
		search->epoch = 2;
	}
}

/*
 * search_add_start
 *		A node to start from, with its distance or an estimate.
 */
void
search_add_start(GraphSearch *search, uint32_t id, float distance)
{
	SearchVisit *visit = search_visit(search, id);

	if (visit == NULL || !(distance < visit->distance))
		return;
	visit->distance = distance;
	search_add_candidate(search, id, distance);
}

/* merge the links of an entry slot into the nearest few; returns how many those are */
static int
nearest_links(GraphSearch *search, const uint8_t *entry, size_t size, SearchCandidate *best,
			  int nbest)
{
	float		estimate[ENTRY_MAX_LINKS];
	int			n = entry_estimate(search->query, entry, size, estimate);

	search->nestimated += (uint32_t) n;
	for (int i = 0; i < n; i++)
	{
		int			j;

		if (entry_links(entry)[i] == LINK_NONE ||
			(nbest == SEARCH_STARTS && !(estimate[i] < best[nbest - 1].distance)))
			continue;
		j = nbest < SEARCH_STARTS ? nbest++ : nbest - 1;
		for (; j > 0 && best[j - 1].distance > estimate[i]; j--)
			best[j] = best[j - 1];
		best[j].distance = estimate[i];
		best[j].id = entry_links(entry)[i];
	}
	return nbest;
}

/*
 * search_from_entry
 *		Start from the nearest few nodes that n entry slots name, each "size"
 *		bytes, one behind the other.
 */
void
search_from_entry(GraphSearch *search, const uint8_t *entries, size_t size, int n)
{
	SearchCandidate best[SEARCH_STARTS];
	int			nbest = 0;

	for (int i = 0; i < n; i++)
		nbest = nearest_links(search, entries + (size_t) i * size, size, best, nbest);
	for (int i = 0; i < nbest; i++)
		search_add_start(search, best[i].id, best[i].distance);
}

/*
 * search_add_result
 *		Remember a live node whose own distance is known, if near enough.
 */
void
search_add_result(GraphSearch *search, uint32_t id, float distance, const uint8_t *slot)
{
	SearchResult *results = search->results;
	int			n = search->nresults;
	int			i;

	if (n == search->keep && !(distance < results[n - 1].distance))
		return;
	i = n < search->keep ? n : n - 1;
	search->nresults = i + 1;
	for (; i > 0 && results[i - 1].distance > distance; i--)
		results[i] = results[i - 1];
	results[i].distance = distance;
	results[i].id = id;
	results[i].generation = slot_head(slot)->generation;
	memcpy(results[i].tid, slot_head(slot)->tid, SLOT_TID_SIZE);
}
