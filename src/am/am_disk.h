/*-------------------------------------------------------------------------
 *
 * am_disk.h
 *	  Room on the disk of an index.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_AM_DISK_H
#define VECEXT_AM_DISK_H

#include "compat.h"

#include "storage/block.h"
#include "utils/relcache.h"

extern double am_disk_pages(Relation rel);
extern bool am_fsm_has_room(Relation rel, BlockNumber nblocks);

#endif							/* VECEXT_AM_DISK_H */
