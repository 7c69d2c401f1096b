/*-------------------------------------------------------------------------
 *
 * hnswcheck.h
 *	  What hnswcheck.c and hnswstats.c share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_HNSWCHECK_H
#define VECEXT_HNSWCHECK_H

#include "am/am_check.h"

extern void hnsw_check_init(void);
extern void hnsw_stats(Relation rel, AmReport *report);

#endif							/* VECEXT_HNSWCHECK_H */
