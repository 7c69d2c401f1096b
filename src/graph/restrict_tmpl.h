/*-------------------------------------------------------------------------
 *
 * restrict_tmpl.h
 *	  The restricted search, over a way to reach slots (no guard).
 *
 * Include it behind search_tmpl.h, with the same macros and
 *
 *	GS_ACCEPTS(context, slot)	whether a LIVE node may be a result
 *
 * and get GS_NAME(run_restricted).
 *
 *-------------------------------------------------------------------------
 */

/* add a candidate that was met for the first time, or is nearer than thought */
static inline void
GS_NAME(push) (RestrictedSearch *search, GS_CONTEXT *context, uint32_t id, float distance)
{
	SearchCandidate candidate = {distance, id};

	if (restricted_push(search, candidate))
		GS_PREFETCH(context, id);
	(void) context;
}

/* the links of a pinned slot, as its sketches have them */
static inline void
GS_NAME(push_estimated) (RestrictedSearch *search, GS_CONTEXT *context, const uint8_t *slot,
						 float own)
{
	GraphSearch *base = &search->base;
	const SlotLayout *layout = base->layout;
	const uint32_t *links = slot_links(layout, slot);
	float		estimate[VEC_SCAN_MAX_LINKS];
	int			nlinks = slot_head(slot)->nlinks;

	sketch_estimate(base->query, slot + layout->sketches_offset, slot_offsets(layout, slot),
					slot_scales(layout, slot), layout->padded_links, own, estimate);
	base->nestimated += (uint32_t) nlinks;
	for (int i = 0; i < nlinks; i++)
	{
		SearchVisit *visit;

		if (links[i] == LINK_NONE || !restricted_among(search, links[i]))
			continue;
		visit = search_visit(base, links[i]);
		if (visit == NULL || visit->epoch != base->epoch || !(estimate[i] < visit->distance))
			continue;
		visit->distance = estimate[i];
		GS_NAME(push) (search, context, links[i], estimate[i]);
	}
}

/* without sketches: every link's own code is read; the slot is not pinned */
static inline void
GS_NAME(push_exact) (RestrictedSearch *search, GS_CONTEXT *context, const uint32_t *links,
					 int nlinks)
{
	GraphSearch *base = &search->base;
	const SlotLayout *layout = base->layout;

	for (int i = 0; i < nlinks; i++)
	{
		SearchVisit *visit = links[i] == LINK_NONE || !restricted_among(search, links[i]) ? NULL :
			search_visit(base, links[i]);
		const uint8_t *slot;

		if (visit == NULL || visit->distance < __builtin_inff())
			continue;
		visit->distance = 0;	/* met; only its being finite matters */
		slot = GS_PIN(context, links[i]);
		if (slot == NULL)
			continue;
		if (slot_ok(layout, slot) && slot_head(slot)->state != SLOT_FREE)
		{
			float		distance = GS_DISTANCE(context, slot + layout->code_offset);

			search->ndistances++;
			if (distance < __builtin_inff())
				GS_NAME(push) (search, context, links[i], distance);
		}
		GS_UNPIN(context, links[i]);
	}
}

/* a pinned slot: is it a result, and where does it lead to?  Unpins it. */
static inline void
GS_NAME(expand_restricted) (RestrictedSearch *search, GS_CONTEXT *context,
							SearchCandidate candidate, const uint8_t *slot)
{
	GraphSearch *base = &search->base;
	const SlotLayout *layout = base->layout;
	float		own = candidate.distance;
	uint32_t	links[VEC_SCAN_MAX_LINKS];
	int			nlinks = 0;

	if (slot_ok(layout, slot) && slot_head(slot)->state != SLOT_FREE)
	{
		bool		accepted = slot_head(slot)->state == SLOT_LIVE && GS_ACCEPTS(context, slot);

		if (layout->ngroups > 0)
		{
			own = GS_DISTANCE(context, slot + layout->code_offset);
			search->ndistances++;
		}
		if (accepted)
		{
			search->naccepted++;
			if (search->settled > 0 && base->nresults >= search->wanted &&
				own < base->results[(int) search->wanted - 1].distance)
				search->late++;
			search_add_result(base, candidate.id, own, slot);
		}
		nlinks = slot_head(slot)->nlinks;
		if (layout->ngroups > 0)
			GS_NAME(push_estimated) (search, context, slot, own);
		else
			memcpy(links, slot_links(layout, slot), (size_t) nlinks * sizeof(*links));
	}
	GS_UNPIN(context, candidate.id);
	if (layout->ngroups == 0)
		GS_NAME(push_exact) (search, context, links, nlinks);
}

/*
 * GS_NAME(run_restricted)
 *		Expand candidates, nearest first, until search->wanted results are
 *		settled; says why it ended.  It may be called again with more wanted,
 *		more nodes or more room, and goes on.
 */
static RestrictedEnd
GS_NAME(run_restricted) (RestrictedSearch *search, GS_CONTEXT *context)
{
	GraphSearch *base = &search->base;
	SearchCandidate candidate;

	for (;;)
	{
		SearchVisit *visit;
		const uint8_t *slot;

		while (restricted_fill(search))
			GS_PREFETCH(context, search->front[search->nfront - 1].id);
		if (search->nfront == 0)
			return RESTRICTED_EXHAUSTED;
		if (restricted_settled(search, search->front[0].distance))
			return RESTRICTED_SETTLED;
		if (base->nexpanded >= search->max_nodes)
			return RESTRICTED_NODES;
		if (!restricted_room(search))
			return RESTRICTED_ROOM;
		candidate = restricted_pop(search);

		/* a better estimate may have brought it here before */
		visit = search_visit(base, candidate.id);
		if (visit == NULL || visit->epoch != base->epoch)
			continue;
		visit->epoch |= 1;
		slot = GS_PIN(context, candidate.id);
		if (slot == NULL)
			continue;
		base->nexpanded++;
		GS_NAME(expand_restricted) (search, context, candidate, slot);
	}
}
