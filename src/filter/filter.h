/*-------------------------------------------------------------------------
 *
 * filter.h
 *	  Filter columns of an index: how their values become words that can be
 *	  compared without the values, and how conditions are tested on those.
 *
 * README.md says what a word of each type holds.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_FILTER_H
#define VECEXT_FILTER_H

#include "compat.h"

#include "access/skey.h"
#include "nodes/pg_list.h"
#include "utils/relcache.h"

/*
 * Strategies of filter operator classes.  1 is left to the ordering operator of
 * the vector's classes, so that no number means two things.
 */
#define FILTER_LESS				2
#define FILTER_LESS_EQUAL		3
#define FILTER_EQUAL			4
#define FILTER_GREATER_EQUAL	5
#define FILTER_GREATER			6
#define FILTER_OVERLAP			7
#define FILTER_CONTAINS			8
#define FILTER_NSTRATEGIES		8

/* rows that filter_test_block() takes at most */
#define FILTER_BLOCK			32

typedef struct FilterColumn FilterColumn;

/* how the filter columns of an index become words */
typedef struct FilterSet
{
	int			nwords;			/* of a row: 1 + ncolumns; word 0 has a bit for each NULL */
	int			ncolumns;
	FilterColumn *columns;
} FilterSet;

typedef enum FilterResult
{
	FILTER_NO,					/* the row does not qualify */
	FILTER_MAYBE,				/* only the row itself can tell: recheck */
	FILTER_YES
} FilterResult;

typedef struct FilterTest FilterTest;

/* the conditions of a scan */
typedef struct FilterQuery
{
	int			ntests;			/* 0: every row qualifies */
	bool		never;			/* no row qualifies */
	FilterTest *tests;
} FilterQuery;

/* filter_set.c */
extern uint32 filter_strategies(Oid type);
extern FilterSet *filter_open(Relation index, MemoryContext context);
extern void filter_encode(const FilterSet *set, const Datum *values, const bool *isnull,
						  uint64 *keys);

/* filter_query.c */
extern FilterQuery *filter_query(const FilterSet *set, ScanKey keys, int nkeys,
								 MemoryContext context);

/* filter_test.c */
extern FilterResult filter_test(const FilterQuery *query, const uint64 *keys);
extern uint32 filter_test_block(const FilterQuery *query, const uint64 *words, int stride, int n,
								uint32 *maybe);
extern void filter_prefetch(const FilterQuery *query, const uint64 *words, int stride);
extern uint32 filter_may_block(const FilterQuery *query, const uint64 *words, int stride,
							   const uint32 *nulls, int nulls_stride);

#endif							/* VECEXT_FILTER_H */
