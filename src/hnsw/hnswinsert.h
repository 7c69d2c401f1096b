/*-------------------------------------------------------------------------
 *
 * hnswinsert.h
 *	  What the files that insert a node share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_HNSWINSERT_H
#define VECEXT_HNSWINSERT_H

#include "hnsw/hnsw.h"

/* a node that was met, as it was then */
typedef struct InsertNode
{
	uint32		id;
	bool		usable;			/* the slot could be read, and is not FREE */
	bool		page_has_room;	/* its page had a FREE slot */
	uint8_t    *slot;			/* copy of the nav slot */
	float	   *coords;			/* its sketched coordinates, once asked for */
} InsertNode;

typedef struct InsertLink
{
	float		distance;		/* from the new node */
	InsertNode *node;
} InsertLink;

/* links of the new node's upper slot on one level */
typedef struct InsertUpper
{
	int			nlinks;
	uint32	   *links;			/* m upper slots */
	uint8_t   **slots;			/* copies of them */
} InsertUpper;

struct insert_nodes_hash;

/* an insert under way; lives in one memory context */
typedef struct HnswInsert
{
	Relation	rel;
	HnswIndex  *index;
	HnswValue  *value;
	HnswQuery  *query;
	ItemPointerData tid;

	struct insert_nodes_hash *nodes;
	uint32		seen_node;		/* entry point the search began from */
	uint32		seen_upper;
	InsertLink *candidates;		/* live nodes found, nearest first */
	int			ncandidates;
	InsertLink *links;			/* chosen ones */
	int			nlinks;
	float	   *coords;			/* of the new node */

	uint32		node;			/* LINK_NONE until it is LIVE */
	uint16		generation;
	int			level;
	uint32		upper;			/* first upper slot, or LINK_NONE */
	InsertUpper uppers[HNSW_MAX_LEVEL];
} HnswInsert;

/* distances among the ends of a full list and a node that wants to be on it */
typedef struct ListChoice
{
	int			n;
	float	   *own;			/* from the list's owner to each */
	float	   *to_new;			/* from the new node to each */
	float		new_own;		/* from the owner to the new node */
	float		(*pair) (void *arg, int i, int j);
	bool		(*spare) (void *arg, int i);	/* may it go?  NULL: any may */
	void	   *arg;
} ListChoice;

/* hnswlink.c */
extern InsertNode *hnsw_fetch(HnswInsert *insert, uint32 id, bool again);
extern void hnsw_select_links(HnswInsert *insert, int keep);
extern void hnsw_set_links(HnswInsert *insert, uint8_t *slot);
extern void hnsw_store_links(HnswInsert *insert);
extern void hnsw_back_links(HnswInsert *insert);
extern int	hnsw_choose_place(const ListChoice *choice, bool force);
extern void hnsw_insert_nodes_init(HnswInsert *insert);

/* hnswupper.c */
extern int	hnsw_draw_level(const HnswIndex *index, ItemPointer tid);
extern void hnsw_upper_search(HnswInsert *insert);
extern void hnsw_upper_write(HnswInsert *insert, uint32 node, uint16 generation);
extern void hnsw_upper_back_links(HnswInsert *insert);

#endif							/* VECEXT_HNSWINSERT_H */
