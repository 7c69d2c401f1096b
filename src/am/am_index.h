/*-------------------------------------------------------------------------
 *
 * am_index.h
 *	  Opening an index and reaching its pages: what access methods share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_AM_INDEX_H
#define VECEXT_AM_INDEX_H

#include "compat.h"

#include "lib/ilist.h"
#include "quant/quant.h"
#include "storage/bufmgr.h"
#include "types/metric.h"
#include "utils/relcache.h"

/*
 * First member of what an access method keeps per backend of an open index.
 * Found again by storage (relfilenumber and build_id), kept while a memory
 * context that opened it lives.
 */
typedef struct AmCached
{
	const char *am;				/* whose and what; compared by address */
	RelFileLocatorCompat locator;	/* compat.h: RelFileNode before PG 16 */
	uint64		build_id;
	struct AmPin *pins;			/* by memory context; none: may be dropped */
	dlist_node	node;
	MemoryContext context;		/* holds the struct and all it points to */
	Size		bytes;			/* of the context, for the cache's limit */
} AmCached;

extern AmCached *am_cache_find(const char *am, Relation rel, uint64 build_id);
extern void am_cache_add(AmCached *cached, const char *am, Relation rel, uint64 build_id);
extern void am_cache_pin(AmCached *cached);

/* whether a locked page is what its reader expects */
typedef bool (*AmPageOk) (Page page, const void *arg);

extern Buffer am_lock_page(Buffer buffer, int mode, AmPageOk ok, const void *arg);
extern Buffer am_read_page(Relation rel, BlockNumber blkno, int mode, AmPageOk ok,
						   const void *arg);
extern bool am_block_exists(Relation rel, BlockNumber blkno);
pg_noreturn extern void am_corrupt(Relation rel, BlockNumber blkno, const char *what);

extern const VecMetric *am_metric(Relation rel);
extern int	am_column_dim(Relation rel, const VecTypeOps *type, const char *am);
extern Size am_record_size(const VecMetric *metric, RefineKind refine, int dim);
extern const struct varlena *am_check_plain(const VecTypeOps *type, int dim, const void *bytes,
											Size size);

/* am_validate.c */
extern bool am_validate(Oid opclass, const char *am);

/* conditions that an index path has on the vector */
struct IndexPath;
extern bool am_asks_for_vector(const struct IndexPath *path);

#endif							/* VECEXT_AM_INDEX_H */
