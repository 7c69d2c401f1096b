/*-------------------------------------------------------------------------
 *
 * slot.c
 *	  Writing slots; see slot.h.
 *
 *-------------------------------------------------------------------------
 */
#include "graph/slot.h"

/* a half farther than any offset a link has: 60000.0 */
#define HALF_FAR	0x7b53

static uint32_t
align_up(size_t n, size_t to)
{
	return (uint32_t) ((n + to - 1) / to * to);
}

/* offsets for codes of this size, with ngroups groups per sketch */
static void
lay_out(SlotLayout *layout, size_t code_size, int ngroups, int m, int nkeys)
{
	size_t		padded;

	layout->links = slot_links_for(m);
	layout->padded_links = (layout->links + SKETCH_ALIGN - 1) / SKETCH_ALIGN * SKETCH_ALIGN;
	layout->upper_links = m;
	layout->ngroups = ngroups;
	layout->nkeys = nkeys;
	layout->code_size = (uint32_t) code_size;
	padded = (size_t) layout->padded_links;

	layout->links_offset = sizeof(NavSlotHead);
	layout->offsets_offset = layout->links_offset + (uint32_t) (padded * sizeof(uint32_t));
	layout->scales_offset = layout->offsets_offset;
	layout->sketches_offset = layout->offsets_offset;
	if (ngroups > 0)
	{
		layout->scales_offset += (uint32_t) (padded * sizeof(vec_half));
		layout->sketches_offset = layout->scales_offset + (uint32_t) (padded * sizeof(vec_half));
	}
	layout->code_offset = align_up(layout->sketches_offset + padded * (size_t) ngroups / 2, 4);
	layout->keys_offset = layout->code_offset + layout->code_size;
	if (nkeys > 0)
		layout->keys_offset = align_up(layout->keys_offset, 8);
	layout->size = align_up(layout->keys_offset + (size_t) nkeys * 8, 8);

	layout->upper_code_offset = (uint32_t) (sizeof(UpperSlotHead) + (size_t) m * sizeof(uint32_t));
	layout->upper_size = align_up(layout->upper_code_offset + code_size, 8);
}

/*
 * slot_layout
 *		Offsets for an index whose codes a model makes.
 *
 * The size may be more than a page has room for: the caller must check.
 */
void
slot_layout(SlotLayout *layout, const QuantModel *model, int m, int nkeys)
{
	layout->nav_bits = model->nav_bits;
	lay_out(layout, nav_code_size(model->dim, model->nav_bits), sketch_groups(model), m, nkeys);
}

/*
 * slot_layout_exact
 *		Offsets for an index whose codes are exact values: no sketches.
 */
void
slot_layout_exact(SlotLayout *layout, size_t code_size, int m, int nkeys)
{
	layout->nav_bits = 0;
	lay_out(layout, code_size, 0, m, nkeys);
}

/*
 * slot_init
 *		Write a live slot without links; tid has SLOT_TID_SIZE bytes.
 *
 * The generation is kept: the slot may have been used before.
 */
void
slot_init(const SlotLayout *layout, uint8_t *slot, int level, const uint8_t *tid,
		  const uint8_t *code)
{
	NavSlotHead head = {0};

	head.state = SLOT_LIVE;
	head.level = (uint8_t) level;
	head.generation = slot_head(slot)->generation;
	head.more = LINK_NONE;
	head.upper = LINK_NONE;
	memcpy(head.tid, tid, SLOT_TID_SIZE);
	memset(slot, 0, layout->size);
	memcpy(slot, &head, sizeof(head));
	memcpy(slot + layout->code_offset, code, layout->code_size);
	slot_clear_links(layout, slot, 0);
}

/*
 * slot_set_link
 *		Write the i-th link with its sketch, NULL if the index has none.
 */
void
slot_set_link(const SlotLayout *layout, uint8_t *slot, int i, uint32_t id, const SketchEdge *edge)
{
	NavSlotHead *head = (NavSlotHead *) (void *) slot;

	memcpy(slot + layout->links_offset + (size_t) i * sizeof(id), &id, sizeof(id));
	if (layout->ngroups > 0)
	{
		memcpy(slot + layout->offsets_offset + (size_t) i * sizeof(vec_half), &edge->offset,
			   sizeof(vec_half));
		memcpy(slot + layout->scales_offset + (size_t) i * sizeof(vec_half), &edge->scale,
			   sizeof(vec_half));
		sketch_put(slot + layout->sketches_offset, layout->ngroups, layout->padded_links, i,
				   edge->group);
	}
	if (head->nlinks <= i)
		head->nlinks = (uint8_t) (i + 1);
}

/*
 * slot_clear_links
 *		Remove the links from place "from" on.
 */
void
slot_clear_links(const SlotLayout *layout, uint8_t *slot, int from)
{
	NavSlotHead *head = (NavSlotHead *) (void *) slot;
	SketchEdge	none;

	memset(&none, 0, sizeof(none));
	none.offset = HALF_FAR;
	for (int i = from; i < layout->padded_links; i++)
		slot_set_link(layout, slot, i, LINK_NONE, &none);
	head->nlinks = (uint8_t) from;
}

/*
 * slot_clear_link
 *		Let one link lead nowhere; the others stay where they are.
 */
void
slot_clear_link(const SlotLayout *layout, uint8_t *slot, int i)
{
	SketchEdge	none;

	memset(&none, 0, sizeof(none));
	none.offset = HALF_FAR;
	slot_set_link(layout, slot, i, LINK_NONE, &none);
}

/*
 * upper_init
 *		Write an upper slot.
 */
void
upper_init(const SlotLayout *layout, uint8_t *slot, uint32_t node, int level,
		   const uint32_t *links, int nlinks, const uint8_t *code)
{
	UpperSlotHead head = {0};

	head.node = node;
	head.level = (uint8_t) level;
	head.nlinks = (uint8_t) nlinks;
	memset(slot, 0, layout->upper_size);
	memcpy(slot, &head, sizeof(head));
	if (nlinks > 0)
		memcpy(slot + sizeof(head), links, (size_t) nlinks * sizeof(uint32_t));
	memcpy(slot + layout->upper_code_offset, code, layout->code_size);
}

/*--- entry slot ----------------------------------------------------------*/

/*
 * entry_size
 *		Bytes of an entry slot with nlinks links, a multiple of SKETCH_ALIGN.
 */
size_t
entry_size(int ngroups, int nlinks)
{
	return 8 + (size_t) nlinks * (sizeof(uint32_t) + 2 * sizeof(vec_half) + (size_t) ngroups / 2);
}

/*
 * entry_room
 *		Links an entry slot of at most "size" bytes has room for.
 */
int
entry_room(int ngroups, size_t size)
{
	int			nlinks = ENTRY_MAX_LINKS;

	while (nlinks > 0 && entry_size(ngroups, nlinks) > size)
		nlinks -= SKETCH_ALIGN;
	return nlinks;
}

/*
 * entry_init
 *		Write an entry slot whose links lead nowhere.
 */
void
entry_init(uint8_t *entry, int ngroups, int nlinks)
{
	SketchEdge	none;

	memset(entry, 0, entry_size(ngroups, nlinks));
	memset(&none, 0, sizeof(none));
	none.offset = HALF_FAR;
	memcpy(entry, &nlinks, sizeof(nlinks));
	for (int i = 0; i < nlinks; i++)
		entry_set_link(entry, ngroups, i, LINK_NONE, &none);
}

/*
 * entry_set_link
 *		Write the i-th link of an entry slot.
 */
void
entry_set_link(uint8_t *entry, int ngroups, int i, uint32_t id, const SketchEdge *edge)
{
	int			nlinks;
	uint8_t    *next = entry + 8;
	size_t		n;

	memcpy(&nlinks, entry, sizeof(nlinks));
	n = (size_t) nlinks;
	memcpy(next + (size_t) i * sizeof(id), &id, sizeof(id));
	next += n * sizeof(id);
	memcpy(next + (size_t) i * sizeof(vec_half), &edge->offset, sizeof(vec_half));
	next += n * sizeof(vec_half);
	memcpy(next + (size_t) i * sizeof(vec_half), &edge->scale, sizeof(vec_half));
	next += n * sizeof(vec_half);
	sketch_put(next, ngroups, nlinks, i, edge->group);
}

/*
 * entry_clear_link
 *		Let one link of an entry slot lead nowhere.
 */
void
entry_clear_link(uint8_t *entry, int ngroups, int i)
{
	SketchEdge	none;

	memset(&none, 0, sizeof(none));
	none.offset = HALF_FAR;
	entry_set_link(entry, ngroups, i, LINK_NONE, &none);
}

/*
 * entry_count
 *		Links of an entry slot of "size" bytes; 0 if it is damaged.
 */
int
entry_count(int ngroups, const uint8_t *entry, size_t size)
{
	int32_t		nlinks;

	memcpy(&nlinks, entry, sizeof(nlinks));
	if (ngroups == 0 || nlinks <= 0 || nlinks > ENTRY_MAX_LINKS || nlinks % SKETCH_ALIGN != 0 ||
		entry_size(ngroups, nlinks) > size)
		return 0;
	return nlinks;
}

/*
 * entry_estimate
 *		Nav distances of the entry's links, at most ENTRY_MAX_LINKS; returns how
 *		many, 0 if the slot, of "size" bytes, is damaged.
 */
int
entry_estimate(const QuantQuery *query, const uint8_t *entry, size_t size, float *estimate)
{
	int			nlinks = entry_count(query->table.ngroups, entry, size);
	const uint8_t *offsets;
	const uint8_t *scales;
	float		base;

	if (nlinks == 0)
		return 0;

	/* the origin of nav space: the mean */
	base = query->model->metric == QUANT_IP ? query->base : query->normsq;
	offsets = entry + 8 + (size_t) nlinks * sizeof(uint32_t);
	scales = offsets + (size_t) nlinks * sizeof(vec_half);
	sketch_estimate(query, scales + (size_t) nlinks * sizeof(vec_half),
					(const vec_half *) (const void *) offsets,
					(const vec_half *) (const void *) scales, nlinks, base, estimate);
	return nlinks;
}
