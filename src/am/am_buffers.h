/*-------------------------------------------------------------------------
 *
 * am_buffers.h
 *	  Which buffers held an index's pages last.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_AM_BUFFERS_H
#define VECEXT_AM_BUFFERS_H

#include "am/am_index.h"

/* the buffer of each block that was read, by the low bits of the block number: a hint */
typedef struct AmBuffers
{
	Buffer	   *last;			/* NULL: none known */
	uint32		mask;
} AmBuffers;

extern void am_make_buffers(AmCached *index, AmBuffers *buffers, Relation rel);
extern Buffer am_pin_known(const AmBuffers *buffers, Relation rel, BlockNumber blkno);
extern const char *am_prefetch_page(const AmBuffers *buffers, BlockNumber blkno);

static inline void
am_remember_buffer(AmBuffers *buffers, BlockNumber blkno, Buffer buffer)
{
	if (buffers->last != NULL)
		buffers->last[blkno & buffers->mask] = buffer;
}

#endif							/* VECEXT_AM_BUFFERS_H */
