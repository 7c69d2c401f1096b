/*-------------------------------------------------------------------------
 *
 * restrict.h
 *	  A search of which only some nodes are results; restrict_tmpl.h has the
 *	  loop, README.md ("Restricted searches") why it goes as it does.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_RESTRICT_H
#define VECEXT_RESTRICT_H

#include "graph/search.h"

/* nearest candidates kept in order, their slots on the way to the cache */
#define RESTRICT_FRONT	4

typedef struct RestrictedSearch
{
	GraphSearch base;			/* its candidates are a heap here, nearest on top */
	int			nfront;
	SearchCandidate front[RESTRICT_FRONT];	/* nearer than those, nearest first */
	double		wanted;			/* results that shall be settled */
	double		margin;			/* nodes expanded beyond what they need */
	uint32_t	max_nodes;		/* to expand at most */
	const uint64_t *among;		/* bits of the nodes to go to; NULL: all */
	uint32_t	among_limit;	/* no node from here on */
	uint32_t	patience;		/* nodes to expand after it has settled */
	uint32_t	settled;		/* nodes expanded when it had; 0: not yet */
	uint32_t	late;			/* results found since, among those wanted */
	uint32_t	naccepted;		/* nodes expanded that could be results */
	uint32_t	ndistances;
} RestrictedSearch;

/* why a search has ended */
typedef enum RestrictedEnd
{
	RESTRICTED_SETTLED,			/* the results wanted are there */
	RESTRICTED_EXHAUSTED,		/* every node that can be reached was expanded */
	RESTRICTED_NODES,			/* max_nodes were */
	RESTRICTED_ROOM				/* a further node might not fit: grow it, or end */
} RestrictedEnd;

extern size_t restricted_size(uint32_t candidates, int max_keep);
extern void restricted_init(RestrictedSearch *search, uint32_t candidates, int max_keep,
							void *memory);
extern void restricted_grow(RestrictedSearch *search, uint32_t candidates, int max_keep,
							void *memory);
extern void restricted_start(RestrictedSearch *search, const SlotLayout *layout,
							 const QuantQuery *query, double margin);
extern bool restricted_push(RestrictedSearch *search, SearchCandidate candidate);
extern SearchCandidate restricted_pop(RestrictedSearch *search);
extern bool restricted_fill(RestrictedSearch *search);
extern void restricted_narrow(RestrictedSearch *search, const uint64_t *among, uint32_t limit);
extern bool restricted_settled(RestrictedSearch *search, float nearest);

/* may the search go to a node? */
static inline bool
restricted_among(const RestrictedSearch *search, uint32_t id)
{
	return search->among == NULL ||
		(id < search->among_limit && (search->among[id / 64] >> (id % 64) & 1) != 0);
}

/* room for a node, all of its links and what is in front? */
static inline bool
restricted_room(const RestrictedSearch *search)
{
	const GraphSearch *base = &search->base;
	uint32_t	more = VEC_SCAN_MAX_LINKS + RESTRICT_FRONT;

	return base->nresults < base->max_keep && base->ncandidates + (int) more < base->max_ef &&
		base->visited_used + more < base->visited_mask / 4 * 3;
}

#endif							/* VECEXT_RESTRICT_H */
