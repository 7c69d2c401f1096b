/*-------------------------------------------------------------------------
 *
 * filter_private.h
 *	  What the files of this folder share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_FILTER_PRIVATE_H
#define VECEXT_FILTER_PRIVATE_H

#include "filter/filter.h"

/* how the words of a type are made and compared */
typedef enum FilterKind
{
	FILTER_INTEGER,				/* bool too */
	FILTER_FLOAT,
	FILTER_NUMERIC,
	FILTER_DATE,
	FILTER_TIMESTAMP,			/* with time zone too */
	FILTER_UUID,
	FILTER_TEXT,
	FILTER_ENUM,
	FILTER_ARRAY
} FilterKind;

/* what words say of text, by its collation */
typedef enum FilterCollation
{
	FILTER_BYTES,				/* order of bytes */
	FILTER_DETERMINISTIC,		/* equal means equal bytes */
	FILTER_UNKNOWN				/* nothing */
} FilterCollation;

struct FilterColumn
{
	FilterKind	kind;
	Oid			type;			/* the operator class's input type */
	Oid			element;		/* FILTER_ARRAY: of its elements */
	FilterCollation collation;
};

/*
 * A constant among the words of a column.  Words below "below" are of smaller
 * values, words above "above" of larger ones; between, if there is anything,
 * only the value tells, unless order_exact: then all of these equal the
 * constant.  below is above + 1 where no word can be the constant's.  Equal
 * values have a word from equal_low to equal_high; equal_exact: no others have.
 */
typedef struct FilterPoint
{
	uint64		below;
	uint64		above;
	uint64		equal_low;
	uint64		equal_high;
	bool		order_exact;
	bool		equal_exact;
} FilterPoint;

/* filter_key.c */
extern uint64 filter_key(const FilterColumn *column, Datum value);

/* filter_point.c */
extern bool filter_point(const FilterColumn *column, Datum value, Oid type, FilterPoint *point);

typedef enum FilterTestKind
{
	FILTER_TEST_RANGE,			/* low to high, for sure from sure_low to sure_high */
	FILTER_TEST_SET,			/* one of set[], sorted */
	FILTER_TEST_ANY,			/* all bits of one of set[] */
	FILTER_TEST_NULL,
	FILTER_TEST_NOT_NULL
} FilterTestKind;

struct FilterTest
{
	FilterTestKind kind;
	int			column;			/* number of its bit in word 0; its word is the one after */
	uint64		low;
	uint64		high;
	uint64		sure_low;		/* greater than sure_high: never sure */
	uint64		sure_high;
	bool		exact;			/* of FILTER_TEST_SET */
	int			n;
	uint64	   *set;
};

#endif							/* VECEXT_FILTER_PRIVATE_H */
