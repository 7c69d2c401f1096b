/*-------------------------------------------------------------------------
 *
 * am_xlog.h
 *	  Changes of known bytes of pages, logged as generic WAL.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_AM_XLOG_H
#define VECEXT_AM_XLOG_H

#include "postgres.h"

#include "access/generic_xlog.h"
#include "storage/bufmgr.h"
#include "utils/relcache.h"

typedef struct AmXlog AmXlog;

extern AmXlog *am_xlog_start(Relation rel);
extern int	am_xlog_buffer(AmXlog *xlog, Buffer buffer);
extern void am_xlog_put(AmXlog *xlog, int block, const void *at, const void *bytes, Size n);
extern void am_xlog_cover(AmXlog *xlog, int block, const void *end);
extern void am_xlog_finish(AmXlog *xlog);

#endif							/* VECEXT_AM_XLOG_H */
