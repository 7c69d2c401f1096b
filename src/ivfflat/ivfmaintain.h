/*-------------------------------------------------------------------------
 *
 * ivfmaintain.h
 *	  What the files that maintain an index share (README.md, "Maintenance").
 *
 *	ivfmaintain.c	looks at all pages, frees some, decides what to write anew
 *	ivftargets.c	which lists there will be
 *	ivfrewrite.c	writes them, and a directory that names them
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_IVFMAINTAIN_H
#define VECEXT_IVFMAINTAIN_H

#include "ivfflat/ivfbuild.h"

/* a list, as its pages are */
typedef struct IvfListState
{
	uint32		id;				/* of its chain */
	uint32		list;			/* its number in the directory */
	double		rows;
	double		cleared;		/* places without a row */
	double		pages;
} IvfListState;

/* what becomes of a list whose rows are written anew */
typedef enum IvfFate
{
	IVF_FATE_PACK,				/* the same rows, without gaps */
	IVF_FATE_KEEP,				/* its centroid stays, rows may go elsewhere */
	IVF_FATE_SPLIT,				/* several new centroids */
	IVF_FATE_DROP				/* its rows go elsewhere */
} IvfFate;

typedef struct IvfRewrite
{
	uint32		id;				/* of the list's chain */
	uint32		rows;			/* about */
	IvfFate		fate;
	int			parts;			/* IVF_FATE_SPLIT: how many */
	int			span;			/* of it and of so many less one behind it, which are dropped */
	bool		gaps;			/* worth writing anew for its gaps alone */

	/* set by ivf_rewrite() */
	uint32		list;			/* number in the directory */
	BlockNumber first;
	int			target;			/* its own, or -1 */
	BlockNumber end;			/* list page whose rows are the last taken so far */
} IvfRewrite;

/* a step, which ends with a switch of directories */
typedef struct IvfStep
{
	Relation	rel;
	const IvfIndex *index;
	IvfDirectory *directory;
	IvfRewrite *rewrites;
	int			nrewrites;
	uint8	   *room;			/* for a record of the directory */
	IvfBuild	build;			/* centroids of the lists to be, and the sort */
	uint32		first_id;		/* of the lists to be */
	IvfListRecord *records;		/* of the lists to be */

	/* one list page at a time */
	char	   *page;			/* copy of a page */
	IvfListCopy *copy;
	Size		copy_room;
	uint8	   *record;
	uint8	   *block;
} IvfStep;

/* ivfrewrite.c */
extern void ivf_rewrite(Relation rel, IvfRewrite *rewrites, int n);
extern BlockNumber ivf_step_page(IvfStep *step, uint32 id, BlockNumber blkno);
extern float ivf_step_floats(IvfStep *step, int place, float *floats);
extern const struct varlena *ivf_step_plain(IvfStep *step, int place);

/* ivftargets.c */
extern bool ivf_make_targets(IvfStep *step);

/* ivfmaintain.c */
extern void ivf_maintain(IndexVacuumInfo *info, IndexBulkDeleteResult *stats);

#endif							/* VECEXT_IVFMAINTAIN_H */
