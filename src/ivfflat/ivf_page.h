/*-------------------------------------------------------------------------
 *
 * ivf_page.h
 *	  The disk format of the ivfflat access method, and nothing else.
 *
 * A change that moves any field needs a new IVF_VERSION, a reader for the old
 * one, and a row in README.md's table.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_IVF_PAGE_H
#define VECEXT_IVF_PAGE_H

#include "postgres.h"

#include "storage/block.h"
#include "storage/bufpage.h"
#include "storage/itemptr.h"

#define IVF_MAGIC			0x56454958
#define IVF_VERSION			1
#define IVF_MIN_VERSION		1
#define IVF_PAGE_ID			0xFFA9

/*
 * Every page
 *
 *	     0 +--------------------------------------------------+
 *	       | PageHeaderData, no line pointers                 |
 *	    24 +--------------------------------------------------+
 *	       | contents by kind; pd_lower after the last byte   |
 *	       | in use (list pages: that may be used)            |
 *	  8184 +--------------------------------------------------+   pd_upper
 *	       | IvfPageOpaqueData                                |
 *	  8192 +--------------------------------------------------+   (BLCKSZ 8192)
 */
typedef struct IvfPageOpaqueData
{
	uint32		id;				/* chain or directory it belongs to; 0: none */
	uint16		kind;			/* IvfPageKind */
	uint16		page_id;		/* IVF_PAGE_ID */
} IvfPageOpaqueData;

typedef IvfPageOpaqueData *IvfPageOpaque;

typedef enum IvfPageKind
{
	IVF_PAGE_META = 1,
	IVF_PAGE_MODEL,				/* bytes of the quantisation model */
	IVF_PAGE_LIST,				/* IvfListHead, arrays, blocks; see ivf_shape() */
	IVF_PAGE_PART,				/* the same, of the directory: rows are lists */
	IVF_PAGE_CODE,				/* stream of blocks that are not on the list page */
	IVF_PAGE_RECORD,			/* stream of records */
	IVF_PAGE_FREE
} IvfPageKind;

#define IVF_PAGE_START		MAXALIGN(SizeOfPageHeaderData)
#define IVF_PAGE_ROOM		(BLCKSZ - IVF_PAGE_START - sizeof(IvfPageOpaqueData))

#define IvfPageGetOpaque(page)	((IvfPageOpaque) PageGetSpecialPointer(page))
#define IvfPageData(page)		((uint8 *) (page) + IVF_PAGE_START)

/* rows of a block */
#define IVF_BLOCK_ROWS		32

/* most code or record pages of a list page */
#define IVF_MAX_STREAM		320

/*
 * A list page, from IVF_PAGE_START
 *
 *	IvfListHead
 *	BlockNumber		codes[shape.code_pages]
 *	BlockNumber		records[shape.record_pages]
 *	ItemPointerData	tids[shape.rows]
 *	uint32			ends[shape.rows]	only if records differ in size: the
 *										end of each in the stream
 *	uint64			keys[shape.rows / 32, rounded up][shape.nwords][32]
 *										only if there are filter columns: of each
 *										32 rows the first words, then the second
 *										ones and so on (src/filter/README.md)
 *	blocks[shape.rows / 32]				only if shape.inline_blocks
 *
 * Each array begins MAXALIGNed.
 */
typedef struct IvfListHead
{
	BlockNumber next;			/* of the chain, or invalid */
	BlockNumber last;			/* first page: hint, a page near the end of the chain */
	uint16		flags;
	uint16		nrows;			/* places in use: 0 to nrows - 1 */
	uint16		ncleared;		/* of nrows, those with an invalid TID */
	uint16		ncodes;			/* code pages in use */
	uint16		nrecords;		/* record pages in use */
	uint16		unused[3];
} IvfListHead;

/* flags */
#define IVF_LIST_SEALED		0x0001	/* gets no more rows */
#define IVF_LIST_UNDEFINED	0x0002	/* of the rows without a distance; another shape */

/* a record of the directory; the centroid follows: in nav space, or a plain value */
typedef struct IvfListRecord
{
	BlockNumber first;			/* page of the chain */
	uint32		id;				/* of the chain */
	float		spread;			/* mean distance of rows to the centroid when written */
	uint32		rows;			/* when it was written */
} IvfListRecord;

/* how vectors are handled */
typedef enum IvfSpace
{
	IVF_SPACE_FLOAT,			/* arrays of numbers; L2, inner product, cosine */
	IVF_SPACE_VALUE				/* by the distance of plain values alone */
} IvfSpace;

/* parameters: fixed by the build */
typedef struct IvfParams
{
	int32		dim;
	uint16		metric;			/* VecMetricKind */
	uint16		space;			/* IvfSpace */
	uint16		quantizer;		/* ListQuantizer; LIST_NONE: records are plain values */
	uint16		refine;			/* RefineKind; full with LIST_NONE */
	uint32		lists;			/* option: 0 if maintenance chooses */
	uint32		record_size;	/* bytes; 0: they differ, or there are none */
	uint32		list_rows;		/* these follow from the above; for checking */
	uint32		list_size;
	uint32		part_rows;
	uint32		part_size;
} IvfParams;

/* parts of a directory: 32768 lists, at least 32 on each, and as many again */
#define IVF_MAX_PARTS		1920

/* the metapage, from IVF_PAGE_START */
typedef struct IvfMetaPageData
{
	uint32		magic;
	uint32		version;
	uint64		build_id;		/* random: tells storage that was rebuilt */
	IvfParams	params;
	BlockNumber model_start;	/* first model page; consecutive */
	uint32		model_bytes;	/* 0: none */

	uint32		next_id;		/* the next chain or directory gets it */
	BlockNumber undefined_first;	/* list of rows without a distance, or invalid */
	uint32		undefined_id;

	/* the directory; changed by one record */
	uint32		directory;		/* its id, not below that of its parts and chains */
	uint64		switch_xid;		/* the next full xid when it became current */
	uint64		trained_rows;	/* rows of the table when centroids were trained, about */
	uint32		nlists;
	uint32		nparts;
	BlockNumber parts[IVF_MAX_PARTS];
} IvfMetaPageData;

typedef IvfMetaPageData *IvfMetaPage;

#define IvfPageGetMeta(page)	((IvfMetaPage) IvfPageData(page))

StaticAssertDecl(sizeof(IvfPageOpaqueData) == 8, "IvfPageOpaqueData is a disk format");
StaticAssertDecl(sizeof(IvfListHead) == 24, "IvfListHead is a disk format");
StaticAssertDecl(sizeof(IvfListRecord) == 16, "IvfListRecord is a disk format");
StaticAssertDecl(sizeof(IvfParams) == 36, "IvfParams is a disk format");
StaticAssertDecl(offsetof(IvfMetaPageData, parts) == 104, "IvfMetaPageData is a disk format");
StaticAssertDecl(sizeof(IvfMetaPageData) <= IVF_PAGE_ROOM, "the metapage must fit");

#endif							/* VECEXT_IVF_PAGE_H */
