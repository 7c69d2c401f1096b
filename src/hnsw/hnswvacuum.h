/*-------------------------------------------------------------------------
 *
 * hnswvacuum.h
 *	  What the files of vacuum share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_HNSWVACUUM_H
#define VECEXT_HNSWVACUUM_H

#include "hnsw/hnsw.h"

#include "access/genam.h"
#include "am/am_xlog.h"

/* a slot as it was when read: enough to choose links by */
typedef struct HnswCopy
{
	uint32		id;				/* LINK_NONE: the place is empty */
	uint8		state;			/* SLOT_...; an upper slot is LIVE or FREE */
	uint8		level;			/* of an upper slot; else 0 */
	uint8		nlinks;
	bool		has_coords;
	uint32	   *links;
	uint8_t    *code;
	float	   *coords;			/* sketched coordinates, once has_coords */
} HnswCopy;

/* copies of slots by id; a new one takes the place of an older one */
typedef struct HnswCopies
{
	bool		upper;			/* ids are of upper slots */
	uint32		nplaces;
	HnswCopy   *places;
} HnswCopies;

/*
 * One amvacuumcleanup.  Bitmaps are over the node ids first .. last - 1; if
 * memory does not suffice for all nodes, there are several rounds.
 */
typedef struct HnswVacuum
{
	Relation	rel;
	HnswIndex  *index;
	BufferAccessStrategy strategy;
	MemoryContext context;		/* lives as long as the vacuum */
	MemoryContext temp;			/* reset after each page */

	uint32		limit;			/* nodes there were when the vacuum began */
	uint32		lowest;			/* node that was freed, or LINK_NONE */
	uint32		first;
	uint32		last;
	uint8	   *dead;			/* DEAD when the round began */
	uint8	   *free;			/* FREE when the round began */
	uint8	   *live;			/* LIVE when the round began, and part of the graph */
	uint8	   *linked;			/* reached, or, without lists, named by a LIVE node */
	uint32		ndead;

	uint32	   *lists;			/* layout.links for each node; NULL: not kept */
	uint32	   *queue;			/* nodes reached */
	uint32		nreached;
	uint32		nwalked;		/* those of them whose lists were looked at */
	bool		cut;			/* a full list has lost a link for another */

	uint32	   *dead_uppers;	/* upper slots of dead nodes, ascending */
	uint32		ndead_uppers;
	uint32		room_uppers;
	uint32		best_upper;		/* of the highest level among the others */
	uint32		best_node;
	int			best_level;
	uint32		any_live;		/* some LIVE node, or LINK_NONE */

	HnswCopies	navs;
	HnswCopies	uppers;
	float	   *nav;			/* nav-space vector, scratch */
	float	   *from;			/* sketched coordinates, scratch */
	uint8_t    *code;			/* scratch */
} HnswVacuum;

#define HNSW_MAX_CANDIDATES	256
#define HNSW_MAX_WALK		64		/* dead nodes walked through for one list */

/* a list of links being chosen anew */
typedef struct HnswChoice
{
	HnswVacuum *vacuum;
	HnswCopies *copies;
	uint32		self;
	int			level;
	const uint8_t *code;		/* of the node itself */
	uint32		links[VEC_SCAN_MAX_LINKS];	/* kept, then added */
	int			nlinks;
	int			most;			/* links there is room for */
	SearchCandidate candidates[HNSW_MAX_CANDIDATES];
	int			ncandidates;
	uint32		walk[HNSW_MAX_WALK]; /* dead nodes, those not yet looked at last */
	int			nwalk;
} HnswChoice;

static inline bool
hnsw_bit(const HnswVacuum *vacuum, const uint8 *bits, uint32 node)
{
	uint32		i = node - vacuum->first;

	return node >= vacuum->first && node < vacuum->last && (bits[i / 8] >> (i % 8) & 1) != 0;
}

static inline void
hnsw_set_bit(const HnswVacuum *vacuum, uint8 *bits, uint32 node)
{
	uint32		i = node - vacuum->first;

	if (node >= vacuum->first && node < vacuum->last)
		bits[i / 8] |= (uint8) (1 << (i % 8));
}

/*
 * Whether a LIVE node is kept out of the graph, having no distance to any
 * value; under cosine alone there are such.
 */
static inline bool
hnsw_is_apart(const HnswIndex *index, const NavSlotHead *head)
{
	return head->nlinks == 0 && index->metric->kind == VEC_METRIC_COSINE;
}

static inline UpperSlotHead *
hnsw_upper_slot(const HnswIndex *index, Page page, int place)
{
	return (UpperSlotHead *) (void *) (HnswPageData(page) +
									   (Size) place * index->layout.upper_size);
}

/*
 * A list of so many live links is left alone: to choose others costs much more
 * than to drop the dead, and the places serve inserts, which need not replace
 * anything then.  A list that has lost more is filled up at once.
 */
static inline int
hnsw_enough_links(const SlotLayout *layout)
{
	return layout->links - layout->links / 6;
}

/* hnswvacuum.c */
extern Buffer hnsw_vacuum_read(Relation rel, BufferAccessStrategy strategy, BlockNumber blkno,
							   int mode, HnswPageKind kind);

/* hnswchoose.c */
extern void hnsw_repair_init(HnswVacuum *vacuum, Size memory);
extern void hnsw_repair_reset(HnswVacuum *vacuum);
extern void hnsw_add_dead_upper(HnswVacuum *vacuum, uint32 upper);
extern bool hnsw_is_dead_upper(const HnswVacuum *vacuum, uint32 upper);
extern HnswCopy *hnsw_fetch_copy(HnswVacuum *vacuum, HnswCopies *copies, uint32 id);
extern const float *hnsw_copy_coords(HnswVacuum *vacuum, HnswCopy *copy);
extern int	hnsw_link_state(HnswVacuum *vacuum, HnswCopies *copies, uint32 id);
extern bool hnsw_is_chosen(const HnswChoice *choice, uint32 id);
extern void hnsw_add_walk(HnswChoice *choice, uint32 id);
extern void hnsw_add_candidate(HnswChoice *choice, uint32 id);
extern void hnsw_gather(HnswChoice *choice);
extern void hnsw_sort_candidates(SearchCandidate *candidates, int n);
extern void hnsw_choose_links(HnswChoice *choice);
extern int	hnsw_split_links(HnswChoice *choice, const uint32 *links, int nlinks);
extern void hnsw_start_choice(HnswChoice *choice, HnswVacuum *vacuum, HnswCopies *copies,
							  uint32 self, const uint8_t *code, int most);

/* hnswrepair.c */
extern void hnsw_repair_page(HnswVacuum *vacuum, BlockNumber blkno, uint32 first_node);
extern void hnsw_repair_upper_page(HnswVacuum *vacuum, BlockNumber blkno);
extern void hnsw_repair_entry(HnswVacuum *vacuum);
extern void hnsw_put_link(HnswVacuum *vacuum, uint8_t *slot, int place, uint32 id);
extern void hnsw_set_from(HnswVacuum *vacuum, const uint8_t *slot);
extern int	hnsw_find_link(const SlotLayout *layout, const uint8_t *slot, uint32 id);
extern int	hnsw_find_place(const SlotLayout *layout, const uint8_t *slot);
extern void hnsw_image_set_links(HnswVacuum *vacuum, uint8_t *slot, const HnswChoice *choice);
extern bool hnsw_image_store_links(const SlotLayout *layout, AmXlog *xlog, const uint8_t *slot,
								   const uint8_t *image);

/* hnswreach.c */
extern void hnsw_reach_init(HnswVacuum *vacuum, Size memory);
extern void hnsw_note_links(HnswVacuum *vacuum, uint32 first_node, Page copy);
extern void hnsw_add_start(HnswVacuum *vacuum, uint32 node);
extern void hnsw_relink(HnswVacuum *vacuum);

#endif							/* VECEXT_HNSWVACUUM_H */
