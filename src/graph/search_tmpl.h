/*-------------------------------------------------------------------------
 *
 * search_tmpl.h
 *	  The search itself, written once over a way to reach slots (no guard).
 *
 * Whoever includes this file defines
 *
 *	GS_NAME(name)				names of the functions made
 *	GS_CONTEXT					type of what the following take as "context"
 *	GS_PIN(context, id)			address of a nav slot, at least layout->size
 *								bytes, valid until unpinned; NULL if there is
 *								no such slot
 *	GS_UNPIN(context, id)
 *	GS_PREFETCH(context, id)	may do nothing
 *	GS_DISTANCE(context, code)	nav distance between the query and a code
 *	GS_PIN_UPPER(context, id) GS_UNPIN_UPPER(context, id)	upper slots
 *
 * and gets GS_NAME(run) and GS_NAME(descend).  At most one slot is pinned at
 * a time.  Links are hints: they may lead to slots that do not exist, are
 * free or serve another node by now.
 *
 *-------------------------------------------------------------------------
 */

#define GS_AHEAD	2			/* candidates prefetched */

/* let the memory system start on those to be expanded next, from place "from" on */
static inline void
GS_NAME(prefetch_next) (GraphSearch *search, GS_CONTEXT *context, int from)
{
	int			left = GS_AHEAD;

	(void) context;				/* where prefetching does nothing */
	for (int i = from; i < search->ncandidates && left > 0; i++)
	{
		if (search->state[i] & SEARCH_EXPANDED)
			continue;
		left--;
		if (search->state[i] & SEARCH_PREFETCHED)
			continue;
		search->state[i] |= SEARCH_PREFETCHED;
		GS_PREFETCH(context, search->candidates[i].id);
	}
}

/*
 * Add the links of a pinned slot whose estimates are good enough; returns the
 * lowest place a candidate went to.
 */
static inline int
GS_NAME(add_estimated) (GraphSearch *search, const uint8_t *slot, float own, int lowest)
{
	const SlotLayout *layout = search->layout;
	const uint32_t *links = slot_links(layout, slot);
	float		estimate[VEC_SCAN_MAX_LINKS];
	uint8_t		near[VEC_SCAN_MAX_LINKS];
	int			nlinks = slot_head(slot)->nlinks;
	int			nnear;

	sketch_estimate(search->query, slot + layout->sketches_offset, slot_offsets(layout, slot),
					slot_scales(layout, slot), layout->padded_links, own, estimate);
	search->nestimated += (uint32_t) nlinks;
	nnear = search_near(search, estimate, nlinks, near);

	for (int i = 0; i < nnear; i++)
	{
		uint32_t	id = links[near[i]];
		float		distance = estimate[near[i]];
		SearchVisit *visit;
		int			place;

		if (id == LINK_NONE)
			continue;
		visit = search_visit(search, id);
		if (visit == NULL || visit->epoch != search->epoch || !(distance < visit->distance))
			continue;
		visit->distance = distance;
		place = search_add_candidate(search, id, distance);
		lowest = place < lowest ? place : lowest;
	}
	return lowest;
}

/* without sketches: read every link's own code; the slot is not pinned */
static inline int
GS_NAME(add_exact) (GraphSearch *search, GS_CONTEXT *context, const uint32_t *links, int nlinks,
					int lowest)
{
	const SlotLayout *layout = search->layout;

	for (int i = 0; i < nlinks; i++)
	{
		SearchVisit *visit;
		const uint8_t *slot;
		float		distance;
		int			place;

		if (links[i] == LINK_NONE)
			continue;
		visit = search_visit(search, links[i]);
		if (visit == NULL || visit->distance < __builtin_inff())
			continue;
		visit->distance = 0;	/* met; only its being finite matters */
		slot = GS_PIN(context, links[i]);
		if (slot == NULL)
			continue;
		if (slot_ok(layout, slot) && slot_head(slot)->state != SLOT_FREE)
		{
			distance = GS_DISTANCE(context, slot + layout->code_offset);
			place = search_add_candidate(search, links[i], distance);
			lowest = place < lowest ? place : lowest;
		}
		GS_UNPIN(context, links[i]);
	}
	return lowest;
}

/*
 * GS_NAME(run)
 *		Expand candidates, nearest first, until none of the first search->stop is
 *		left; afterwards search->results holds what was found, nearest first by
 *		own code.  With a higher stop it may be called again, and goes on.
 */
static void
GS_NAME(run) (GraphSearch *search, GS_CONTEXT *context)
{
	const SlotLayout *layout = search->layout;
	bool		sketches = layout->ngroups > 0;
	int			current = 0;

	while (current < search->ncandidates && current < search->stop)
	{
		uint32_t	id = search->candidates[current].id;
		float		own = search->candidates[current].distance;
		int			lowest = current + 1;
		SearchVisit *visit;
		const uint8_t *slot;

		if (search->state[current] & SEARCH_EXPANDED)
		{
			current++;
			continue;
		}
		search->state[current] |= SEARCH_EXPANDED;

		/* a better estimate may have brought it here before */
		visit = search_visit(search, id);
		if (visit == NULL || visit->epoch != search->epoch)
			continue;
		visit->epoch |= 1;
		slot = GS_PIN(context, id);
		if (slot == NULL)
			continue;
		search->nexpanded++;

		if (slot_ok(layout, slot) && slot_head(slot)->state != SLOT_FREE)
		{
			if (sketches)
			{
				GS_NAME(prefetch_next) (search, context, current + 1);
				own = GS_DISTANCE(context, slot + layout->code_offset);
			}
			if (slot_head(slot)->state == SLOT_LIVE)
				search_add_result(search, id, own, slot);
			if (sketches)
			{
				lowest = GS_NAME(add_estimated) (search, slot, own, lowest);
				GS_NAME(prefetch_next) (search, context, lowest);
			}
			else
			{
				uint32_t	links[VEC_SCAN_MAX_LINKS];
				int			nlinks = slot_head(slot)->nlinks;

				memcpy(links, slot_links(layout, slot), (size_t) nlinks * sizeof(*links));
				GS_UNPIN(context, id);
				lowest = GS_NAME(add_exact) (search, context, links, nlinks, lowest);
				current = lowest <= current ? lowest : current + 1;
				continue;
			}
		}
		GS_UNPIN(context, id);
		current = lowest <= current ? lowest : current + 1;
	}
}

/*
 * Make an upper slot a candidate, if it is one of that level and met for the
 * first time; returns its place.
 */
static inline int
GS_NAME(add_upper) (GraphSearch *search, GS_CONTEXT *context, uint32_t id, int level)
{
	SearchVisit *visit = id == LINK_NONE ? NULL : search_visit(search, id);
	const uint8_t *slot;
	const UpperSlotHead *head;
	int			place = search->ef;

	if (visit == NULL || visit->distance < __builtin_inff())
		return place;
	visit->distance = 0;		/* met; only its being finite matters */
	slot = GS_PIN_UPPER(context, id);
	if (slot == NULL)
		return place;
	head = (const UpperSlotHead *) (const void *) slot;
	if (head->level == level)
		place = search_add_candidate(search, id,
									 GS_DISTANCE(context, slot +
												 search->layout->upper_code_offset));
	GS_UNPIN_UPPER(context, id);
	return place;
}

/* expand the candidates of a level, nearest first, until none is left */
static void
GS_NAME(run_level) (GraphSearch *search, GS_CONTEXT *context, int level)
{
	const SlotLayout *layout = search->layout;
	int			current = 0;

	while (current < search->ncandidates)
	{
		uint32_t	links[VEC_SCAN_MAX_LINKS];
		uint32_t	id = search->candidates[current].id;
		const uint8_t *slot;
		int			lowest = current + 1;
		int			nlinks = 0;

		if (search->state[current] & SEARCH_EXPANDED)
		{
			current++;
			continue;
		}
		search->state[current] |= SEARCH_EXPANDED;
		slot = GS_PIN_UPPER(context, id);
		if (slot != NULL)
		{
			const UpperSlotHead *head = (const UpperSlotHead *) (const void *) slot;

			if (head->nlinks <= layout->upper_links && head->level == level)
				nlinks = head->nlinks;
			memcpy(links, slot + sizeof(*head), (size_t) nlinks * sizeof(*links));
			GS_UNPIN_UPPER(context, id);
		}
		for (int i = 0; i < nlinks; i++)
		{
			int			place = GS_NAME(add_upper) (search, context, links[i], level);

			lowest = place < lowest ? place : lowest;
		}
		current = lowest <= current ? lowest : current + 1;
	}
}

/* the node of an upper slot of level 1, or LINK_NONE */
static uint32_t
GS_NAME(node_of_upper) (GS_CONTEXT *context, uint32_t id)
{
	const uint8_t *slot = GS_PIN_UPPER(context, id);
	uint32_t	node = LINK_NONE;

	if (slot == NULL)
		return LINK_NONE;
	if (((const UpperSlotHead *) (const void *) slot)->level == 1)
		node = ((const UpperSlotHead *) (const void *) slot)->node;
	GS_UNPIN_UPPER(context, id);
	return node;
}

/*
 * GS_NAME(descend)
 *		Search the levels above 0, from an upper slot of that level down, and
 *		make the nodes found the search's starts.
 *
 * Each level is searched with a few candidates, not one: where values lie in
 * clusters, the nearest slot of a high level is often of another cluster than
 * the query, and a walk that never steps away from it ends there.  A level
 * meets at most as many slots as the visited set has room for.
 */
static void
GS_NAME(descend) (GraphSearch *search, GS_CONTEXT *context, uint32_t upper, int level)
{
	SearchCandidate found[SEARCH_UPPER_EF];
	int			ef = search->ef;
	int			nfound = 1;

	found[0].id = upper;
	for (; level > 0 && nfound > 0; level--)
	{
		search_start_level(search, ef < SEARCH_UPPER_EF ? ef : SEARCH_UPPER_EF);
		for (int i = 0; i < nfound; i++)
			GS_NAME(add_upper) (search, context, found[i].id, level);
		GS_NAME(run_level) (search, context, level);
		nfound = search->ncandidates;
		memcpy(found, search->candidates, (size_t) nfound * sizeof(*found));
		/* the slots of a node follow each other, level 1 first */
		for (int i = 0; i < nfound; i++)
			found[i].id = level > 1 ? found[i].id - 1 :
				GS_NAME(node_of_upper) (context, found[i].id);
	}
	search_start_level(search, ef);
	for (int i = 0; i < nfound; i++)
	{
		if (found[i].id != LINK_NONE)
			search_add_start(search, found[i].id, found[i].distance);
	}
}

#undef GS_AHEAD
