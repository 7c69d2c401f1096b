/*-------------------------------------------------------------------------
 *
 * hnswbatch.c
 *	  The batches of a scan: how wide it searches next, and when it reads all.
 *
 * The first is one search of the graph, and returns the nearest three quarters of
 * hnsw.ef_search nodes.  If the executor asks for
 * more, a search twice as wide follows, of which two thirds are returned, less
 * those that were; it goes on from the last one where that kept candidates
 * enough.  When a search would cost more than to read all nodes, or the graph
 * gives nothing new, the sweep (hnswsweep.c) returns all that is left.
 *
 * Under strict_order a row that is found when a farther one was returned
 * already is put off to the very end: a row out of place is better than one
 * that is missing.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "hnsw/hnswbatch.h"
#include "hnsw/hnswscan.h"
#include "miscadmin.h"
#include "utils/memutils.h"

/* results refined, at least, when those before did not do */
#define MORE_REFINED	4

/*
 * hnsw_scan_prepare
 *		Have a query with memory for searches of this beam.
 *
 * What it had before is left to the context: each is at least twice the last, so
 * that is not more.
 */
void
hnsw_scan_prepare(HnswScan *so, int beam)
{
	MemoryContext old;

	if (so->query != NULL && so->query_beam >= beam)
		return;
	old = MemoryContextSwitchTo(so->query_context);
	if (so->query != NULL)
		hnsw_search_memory(&so->query->search, beam, beam);
	else
		so->query = hnsw_query(so->index, so->rel, so->value, so->isnull, beam, beam);
	so->query_beam = beam;
	MemoryContextSwitchTo(old);
}

/*
 * hnsw_scan_beam
 *		The beam of a search that stands for so many candidates.
 */
int
hnsw_scan_beam(const HnswScan *so, int ef)
{
	return hnsw_beam(so->index->layout.ngroups > 0, ef);
}

static bool
search_fits(const HnswScan *so, int ef)
{
	int			beam = hnsw_scan_beam(so, ef);

	return search_size(beam, beam) <= so->memory;
}

/* how far shall a search be able to go on that begins with so->reach? */
static int
widest_search(const HnswScan *so)
{
	int			widest = so->reach;

	if (so->seen == NULL)
		return widest;
	while (widest < so->reach * GO_ON && search_fits(so, widest * WIDER))
		widest *= WIDER;
	return widest;
}

/*
 * Search as far as ef_search = so->reach does, from where the last search is if
 * it can go on so far; the first of the results refined, in order.
 */
static void
search_batch(HnswScan *so)
{
	GraphSearch *search;
	int			beam = hnsw_scan_beam(so, so->reach);

	if (so->reach > so->widest)
	{
		int			widest;

		so->widest = widest_search(so);
		widest = hnsw_scan_beam(so, so->widest);
		hnsw_scan_prepare(so, widest);
		hnsw_search_start(so->query, widest, widest);
	}
	hnsw_search_run(so->query, beam);
	search = &so->query->search;
	so->examined = search->nexpanded;
	so->exhausted = search->ncandidates < beam || search->full;
	so->results = search->results;
	so->nresults = search->nresults;
	hnsw_scan_refine_batch(so);
}

/* would the next search cost more than to read everything, or too much memory? */
static bool
sweep_is_cheaper(const HnswScan *so)
{
	const HnswIndex *index = so->index;
	double		record = index->params.refine_size > 0 ? index->params.refine_size :
		index->layout.code_size;
	double		sweep = hnsw_node_limit(index) * (HEAD_BYTES + record);
	double		search = (double) so->reach * (HNSW_EXPAND_BYTES + index->layout.size + record);

	return search * SWEEP_TIMES > sweep || !search_fits(so, so->reach);
}

/*
 * hnsw_scan_start_sweep
 *		Start the sweep: under strict_order behind the last returned, else with
 *		all.
 */
void
hnsw_scan_start_sweep(HnswScan *so)
{
	so->phase = HNSW_SCAN_SWEEP;
	hnsw_scan_prepare(so, 1);
	if (so->mode == HNSW_ITERATIVE_STRICT)
	{
		so->bound = so->last;
		so->has_bound = so->has_last;
	}
	else
		so->has_last = false;
	hnsw_sweep(so);
}

/* first batch */
static void
start_batches(HnswScan *so)
{
	so->reach = so->ef;
	so->target = RETURNED_FIRST(so->ef);
	if (so->mode == HNSW_ITERATIVE_OFF)
	{
		so->target = so->ef;
		so->max_tuples = so->ef;
	}
	if (so->constant ||
		hnsw_node_limit(so->index) / SMALL_SHARE <= (uint32) hnsw_scan_beam(so, so->ef))
	{
		hnsw_scan_start_sweep(so);
		return;
	}
	so->phase = HNSW_SCAN_SEARCH;
	if (so->restricted)
	{
		so->target = hnsw_restricted_first(so);
		hnsw_restricted_batch(so);
		return;
	}
	search_batch(so);

	/* there is no other batch: fill this one */
	for (int i = 0; i < 3 && so->mode == HNSW_ITERATIVE_OFF && so->nresults < so->ef &&
		 !so->exhausted; i++)
	{
		so->reach *= 2;
		so->nfound = 0;
		search_batch(so);
	}
}

/* the batch after a search */
static void
after_search(HnswScan *so)
{
	if (so->nrefined < so->nresults && so->returned < so->target)
	{
		hnsw_scan_refine(so, so->nrefined + Max(MORE_REFINED, so->nrefined / 4));
		hnsw_scan_set_ready(so);
		return;
	}
	if (so->mode == HNSW_ITERATIVE_OFF)
	{
		so->phase = HNSW_SCAN_END;
		return;
	}
	if (so->restricted)
	{
		hnsw_scan_remember(so);
		so->target = so->target > INT_MAX / 4 ? INT_MAX / 2 : so->target * 2;
		hnsw_restricted_batch(so);
		return;
	}
	if (so->examined >= so->max_tuples || so->returned >= so->max_tuples)
	{
		/* no more work; what the last search found is still good */
		hnsw_scan_refine(so, so->nresults);
		so->nready = so->nfound;
		so->phase = HNSW_SCAN_END;
		return;
	}

	hnsw_scan_remember(so);
	so->reach = so->reach > INT_MAX / 8 ? INT_MAX / 4 : so->reach * WIDER;
	so->target = RETURNED_LATER(so->reach);
	if (so->exhausted || sweep_is_cheaper(so))
		hnsw_scan_start_sweep(so);
	else
		search_batch(so);
}

/* the batch after a pass of the sweep */
static void
after_sweep(HnswScan *so)
{
	if (so->nready < so->nfound)
		hnsw_sweep_sort(so);
	else if (so->mode == HNSW_ITERATIVE_OFF ||
			 (!so->constant && so->returned >= so->max_tuples))
		so->phase = HNSW_SCAN_END;
	else if (!so->complete)
		hnsw_sweep(so);
	else if (so->phase == HNSW_SCAN_SWEEP && so->has_bound)
	{
		so->phase = HNSW_SCAN_LATE;
		so->has_last = false;
		hnsw_sweep(so);
	}
	else
		so->phase = HNSW_SCAN_END;
}

/*
 * hnsw_scan_next
 *		The next node in order; false at the end of the scan.
 */
bool
hnsw_scan_next(HnswScan *so, HnswFound *found)
{
	while (so->next >= so->nready)
	{
		CHECK_FOR_INTERRUPTS();
		switch (so->phase)
		{
			case HNSW_SCAN_START:
				start_batches(so);
				break;
			case HNSW_SCAN_SEARCH:
				after_search(so);
				break;
			case HNSW_SCAN_SWEEP:
			case HNSW_SCAN_LATE:
				after_sweep(so);
				break;
			case HNSW_SCAN_END:
				return false;
		}
	}
	*found = so->found[so->next++];
	so->last = *found;
	so->has_last = true;
	so->returned++;
	return true;
}
