/*-------------------------------------------------------------------------
 *
 * hnsw_page.h
 *	  The disk format of the hnsw access method, and nothing else.
 *
 * A change that moves any field needs a new HNSW_VERSION, a reader for the old
 * one, and a row in README.md's table.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_HNSW_PAGE_H
#define VECEXT_HNSW_PAGE_H

#include "postgres.h"

#include "graph/slot.h"
#include "storage/block.h"
#include "storage/bufpage.h"
#include "storage/itemptr.h"

#define HNSW_MAGIC			0x56454857
#define HNSW_VERSION		2
#define HNSW_MIN_VERSION	1

/* an index without filter columns is of version 1, which is the same without keys */
#define HNSW_VERSION_OF(nwords)	((nwords) > 0 ? 2 : 1)
#define HNSW_PAGE_ID		0xFFA8

/*
 * Every page
 *
 *	     0 +--------------------------------------------------+
 *	       | PageHeaderData, no line pointers                 |
 *	    24 +--------------------------------------------------+
 *	       | slots, records, bytes; pd_lower after the last   |
 *	       | byte in use, zeros behind it                     |
 *	  8184 +--------------------------------------------------+   pd_upper
 *	       | HnswPageOpaqueData                               |
 *	  8192 +--------------------------------------------------+   (BLCKSZ 8192)
 */
typedef struct HnswPageOpaqueData
{
	BlockNumber next;			/* value pages: the next one, or invalid */
	uint16		kind;			/* HnswPageKind */
	uint16		page_id;		/* HNSW_PAGE_ID */
} HnswPageOpaqueData;

typedef HnswPageOpaqueData *HnswPageOpaque;

typedef enum HnswPageKind
{
	HNSW_PAGE_META = 1,
	HNSW_PAGE_MODEL,			/* bytes of the quantisation model */
	HNSW_PAGE_ENTRY,			/* an entry slot of graph/slot.h */
	HNSW_PAGE_NAV,				/* nav slots, from offset HNSW_PAGE_START */
	HNSW_PAGE_REFINE,			/* a part of a segment's stream of records */
	HNSW_PAGE_UPPER,			/* upper slots */
	HNSW_PAGE_TIDS,				/* tids slots */
	HNSW_PAGE_VALUE,			/* one node's exact value beyond its slot */
	HNSW_PAGE_FILTER			/* a segment's keys, by column */
} HnswPageKind;

#define HNSW_PAGE_START		MAXALIGN(SizeOfPageHeaderData)
#define HNSW_PAGE_ROOM		(BLCKSZ - HNSW_PAGE_START - sizeof(HnswPageOpaqueData))

#define HnswPageGetOpaque(page)	((HnswPageOpaque) PageGetSpecialPointer(page))
#define HnswPageData(page)		((uint8 *) (page) + HNSW_PAGE_START)

/*
 * A run of blocks: nnav nav pages, then the refine pages of their nodes, then,
 * with filter columns, their filter pages.  Node ids of a segment are consecutive.
 */
typedef struct HnswSegment
{
	BlockNumber start;
	uint32		first_node;
	uint32		nnav;			/* nav pages; nodes = nnav * slots per page */
} HnswSegment;

#define HNSW_MAX_SEGMENTS	500

/* what a node's code is */
typedef enum HnswCodec
{
	HNSW_CODEC_COMPACT,			/* nav code of the model, sketches, refine record */
	HNSW_CODEC_EXACT			/* the plain value: no sketch, no refine record */
} HnswCodec;

/*
 * An exact code is an int32, the length of the plain value, and its first
 * bytes; the rest lies in a chain of value pages.  The first of them is in the
 * four bytes after the length, invalid if there is none.
 */
typedef struct HnswExactHead
{
	int32		length;
	BlockNumber rest;
} HnswExactHead;

/* parameters: fixed by the build */
typedef struct HnswParams
{
	int32		dim;
	uint16		metric;			/* VecMetricKind */
	uint16		codec;			/* HnswCodec */
	uint16		m;
	uint16		ef_construction;
	uint16		refine;			/* RefineKind */
	uint16		nav_bits;
	uint16		sketch_bits;	/* 0: no sketches */
	uint8		more_entries;	/* entry slots beyond the first */
	uint8		nwords;			/* filter keys of a row; 0: no filter columns */
	uint32		exact_size;		/* bytes of an exact value kept in the slot */
	uint32		slot_size;		/* these follow from the above; for checking */
	uint32		upper_size;
	uint32		refine_size;
} HnswParams;

/* the metapage, from HNSW_PAGE_START */
typedef struct HnswMetaPageData
{
	uint32		magic;
	uint32		version;
	uint64		build_id;		/* random: tells storage that was rebuilt */
	HnswParams	params;
	BlockNumber model_start;	/* first model page; consecutive */
	uint32		model_bytes;	/* 0: none */
	BlockNumber entry_page;		/* the first entry slot, or invalid; consecutive */

	/* hints */
	uint32		entry_upper;	/* top level upper slot, or LINK_NONE */
	uint32		entry_node;		/* any node, or LINK_NONE */
	uint16		entry_level;	/* of entry_upper */
	uint16		entry_version;	/* counts changes of the entry slots, wraps */
	BlockNumber upper_hint;		/* an upper page with room, or invalid */
	BlockNumber tids_hint;		/* a tids page with room, or invalid */
	uint32		free_hint;		/* no slot of a lower node id is known to be free */
	uint32		ndead;			/* DEAD slots waiting for repair */

	uint32		nsegments;
	HnswSegment segments[HNSW_MAX_SEGMENTS];
} HnswMetaPageData;

typedef HnswMetaPageData *HnswMetaPage;

#define HnswPageGetMeta(page)	((HnswMetaPage) HnswPageData(page))

/*
 * Further rows of a node.  Its id, like that of an upper slot, is its block
 * times the slots of a page plus its place there.
 *
 * With filter columns the keys of the rows follow, at HNSW_TIDS_KEYS: nwords of
 * the first row, then of the second, ...
 */
#define HNSW_TIDS_PER_SLOT	9

typedef struct HnswTidsSlot
{
	uint32		next;			/* tids slot, or LINK_NONE */
	uint16		ntids;			/* 0: free */
	ItemPointerData tids[HNSW_TIDS_PER_SLOT];
} HnswTidsSlot;

#define HNSW_TIDS_KEYS		MAXALIGN(sizeof(HnswTidsSlot))

static inline Size
hnsw_tids_size(int nwords)
{
	return nwords == 0 ? sizeof(HnswTidsSlot) :
		HNSW_TIDS_KEYS + HNSW_TIDS_PER_SLOT * (Size) nwords * sizeof(uint64);
}

/* keys of the i-th row */
static inline uint64 *
hnsw_tids_keys(HnswTidsSlot *slot, int nwords, int i)
{
	return (uint64 *) (void *) ((char *) slot + HNSW_TIDS_KEYS) + i * nwords;
}

/*
 * A filter page: the keys of "entries" nodes of a segment, whose ids follow each
 * other, by column: the words of the first column, of the second, ...  Behind
 * them bits for each node, 32 to a word: whether there is one, whether it is
 * mixed, and for each column whether its word is that of a NULL.
 */
#define HNSW_FILTER_BLOCK	32

typedef enum HnswFilterBits
{
	HNSW_FILTER_USED,			/* the node may be LIVE */
	HNSW_FILTER_MIXED,			/* whatever the words say, it may have any */
	HNSW_FILTER_NULLS			/* of the first column */
} HnswFilterBits;

/* nodes that a filter page has room for; a multiple of HNSW_FILTER_BLOCK */
static inline uint32
hnsw_filter_entries(int ncolumns)
{
	Size		block = HNSW_FILTER_BLOCK * (Size) ncolumns * sizeof(uint64) +
		(HNSW_FILTER_NULLS + (Size) ncolumns) * sizeof(uint32);

	return (uint32) (HNSW_PAGE_ROOM / block * HNSW_FILTER_BLOCK);
}

StaticAssertDecl(sizeof(HnswPageOpaqueData) == 8, "HnswPageOpaqueData is a disk format");
StaticAssertDecl(sizeof(HnswSegment) == 12, "HnswSegment is a disk format");
StaticAssertDecl(sizeof(HnswParams) == 36, "HnswParams is a disk format");
StaticAssertDecl(offsetof(HnswMetaPageData, segments) == 96, "HnswMetaPageData is a disk format");
StaticAssertDecl(sizeof(HnswTidsSlot) == 60, "HnswTidsSlot is a disk format");
StaticAssertDecl(sizeof(HnswMetaPageData) <= HNSW_PAGE_ROOM, "the metapage must fit");

#endif							/* VECEXT_HNSW_PAGE_H */
