/*-------------------------------------------------------------------------
 *
 * slot.h
 *	  The nav slot: a node as bytes, in memory or on a page.
 *
 * Defined here once, so that the search over arrays of page images and the
 * search over buffers are the same code.
 *
 * Nav slot, version 1; L links, padded to P, a multiple of SKETCH_ALIGN
 *
 *	off  size  field        meaning
 *	---  ----  -----------  ----------------------------------------------
 *	  0     1  state        SLOT_FREE, SLOT_LIVE, SLOT_DEAD
 *	  1     1  level        highest level of the node
 *	  2     1  nlinks       places in use, LINK_NONE among them allowed
 *	  3     1  flags        SLOT_MIXED, or zero
 *	  4     2  generation   bumped when the slot is freed
 *	  6     2  version      of the links: bumped when they change
 *	  8     6  tid          heap row, as ItemPointerData
 *	 14     2  unused       zero
 *	 16     4  more          further rows of the node: overflow slot, or NONE
 *	 20     4  upper        the node's upper slot at level 1, or NONE
 *	 24    4P  links        node ids
 *		    2P  offsets      of the sketches, halves
 *		    2P  scales       of the sketches, halves
 *		     c  sketches     packed codes
 *		     n  code         nav code, aligned for float
 *		     k  keys         of the row "tid", 8 bytes each, aligned for 8 bytes
 *
 * Upper slot, one per node and level above 0
 *
 *	  0     4  node         its nav slot
 *	  4     2  generation   of the nav slot when this was written
 *	  6     1  level
 *	  7     1  nlinks
 *	  8    4m  links        upper slots of the same level
 *		     n  code
 *
 * The upper slots of a node follow each other, level 1 first.
 *
 * Entry slot: where every search with sketches starts, the sketched links
 * from the origin of nav space to chosen nodes
 *
 *	  0     4  nlinks       a multiple of SKETCH_ALIGN, at most 248
 *	  4     4  unused       zero
 *	  8		   links, offsets, scales, sketches as in a nav slot
 *
 * A stored slot is trusted for nothing: ids are checked by whoever pins, and
 * no field here is used as a length without slot_ok().
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_SLOT_H
#define VECEXT_SLOT_H

#include <string.h>

#include "quant/quant.h"

#define SLOT_FREE		0
#define SLOT_LIVE		1
#define SLOT_DEAD		2

/* flag: the node's rows may have other keys than those in the slot */
#define SLOT_MIXED		1

#define LINK_NONE		UINT32_MAX
#define ENTRY_MAX_LINKS	248

#define SLOT_TID_SIZE	6

typedef struct NavSlotHead
{
	uint8_t		state;
	uint8_t		level;
	uint8_t		nlinks;
	uint8_t		flags;
	uint16_t	generation;
	uint16_t	version;
	uint8_t		tid[SLOT_TID_SIZE];
	uint16_t	unused1;
	uint32_t	more;
	uint32_t	upper;
} NavSlotHead;

typedef struct UpperSlotHead
{
	uint32_t	node;
	uint16_t	generation;
	uint8_t		level;
	uint8_t		nlinks;
} UpperSlotHead;

/* offsets that follow from the index's options; the same in every slot */
typedef struct SlotLayout
{
	int			links;			/* L: most links of a nav slot */
	int			padded_links;	/* P */
	int			upper_links;	/* m */
	int			nav_bits;
	int			ngroups;		/* of a sketch; 0: no sketches */
	int			nkeys;
	uint32_t	links_offset;
	uint32_t	offsets_offset;
	uint32_t	scales_offset;
	uint32_t	sketches_offset;
	uint32_t	code_offset;
	uint32_t	code_size;
	uint32_t	keys_offset;
	uint32_t	size;			/* of a nav slot, a multiple of 8 */
	uint32_t	upper_code_offset;
	uint32_t	upper_size;		/* a multiple of 8 */
} SlotLayout;

/* links a nav slot keeps, for an index built with m */
static inline int
slot_links_for(int m)
{
	return m + m / 2;
}

static inline const NavSlotHead *
slot_head(const uint8_t *slot)
{
	return (const NavSlotHead *) (const void *) slot;
}

static inline const uint32_t *
slot_links(const SlotLayout *layout, const uint8_t *slot)
{
	return (const uint32_t *) (const void *) (slot + layout->links_offset);
}

static inline const vec_half *
slot_offsets(const SlotLayout *layout, const uint8_t *slot)
{
	return (const vec_half *) (const void *) (slot + layout->offsets_offset);
}

static inline const vec_half *
slot_scales(const SlotLayout *layout, const uint8_t *slot)
{
	return (const vec_half *) (const void *) (slot + layout->scales_offset);
}

static inline const uint64_t *
slot_keys(const SlotLayout *layout, const uint8_t *slot)
{
	return (const uint64_t *) (const void *) (slot + layout->keys_offset);
}

static inline void
slot_set_keys(const SlotLayout *layout, uint8_t *slot, const uint64_t *keys)
{
	if (layout->nkeys > 0)
		memcpy(slot + layout->keys_offset, keys, (size_t) layout->nkeys * sizeof(*keys));
}

/* whether the fields a reader uses as lengths are in range */
static inline bool
slot_ok(const SlotLayout *layout, const uint8_t *slot)
{
	return slot_head(slot)->nlinks <= layout->links && slot_head(slot)->state <= SLOT_DEAD;
}

extern void slot_layout(SlotLayout *layout, const QuantModel *model, int m, int nkeys);
extern void slot_layout_exact(SlotLayout *layout, size_t code_size, int m, int nkeys);

extern void slot_init(const SlotLayout *layout, uint8_t *slot, int level, const uint8_t *tid,
					  const uint8_t *code);
extern void slot_set_link(const SlotLayout *layout, uint8_t *slot, int i, uint32_t id,
						  const SketchEdge *edge);
extern void slot_clear_links(const SlotLayout *layout, uint8_t *slot, int from);
extern void slot_clear_link(const SlotLayout *layout, uint8_t *slot, int i);

extern void upper_init(const SlotLayout *layout, uint8_t *slot, uint32_t node, int level,
					   const uint32_t *links, int nlinks, const uint8_t *code);

extern size_t entry_size(int ngroups, int nlinks);
extern void entry_init(uint8_t *entry, int ngroups, int nlinks);
extern void entry_set_link(uint8_t *entry, int ngroups, int i, uint32_t id,
						   const SketchEdge *edge);
extern void entry_clear_link(uint8_t *entry, int ngroups, int i);
extern int	entry_estimate(const QuantQuery *query, const uint8_t *entry, size_t size,
						   float *estimate);

static inline const uint32_t *
entry_links(const uint8_t *entry)
{
	return (const uint32_t *) (const void *) (entry + 8);
}

#endif							/* VECEXT_SLOT_H */
