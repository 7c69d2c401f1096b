/*-------------------------------------------------------------------------
 *
 * filter_point.c
 *	  Where a constant lies among the words of a column, perhaps of another type
 *	  of the same family.
 *
 *-------------------------------------------------------------------------
 */
#include "filter/filter_key.h"

#include "catalog/pg_type_d.h"
#include "datatype/timestamp.h"
#include "utils/date.h"
#include "utils/timestamp.h"

/*
 * With a time zone on one side only, the zone at that time decides, and on no
 * account more than so many days: between, the row itself is looked at.
 */
#define ZONE_DAYS	2

static void
set_point(FilterPoint *point, uint64 below, uint64 above, bool exact)
{
	point->below = point->equal_low = below;
	point->above = point->equal_high = above;
	point->order_exact = point->equal_exact = exact;
}

/* the point is one word, which others may have unless exact */
static void
set_word(FilterPoint *point, uint64 word, bool exact)
{
	set_point(point, word, word, exact);
}

static void
bytes_point(FilterPoint *point, uint64 word)
{
	set_point(point, word & ~FILTER_HASH_MASK, word | FILTER_HASH_MASK, false);
	point->equal_low = point->equal_high = word;
}

/* the order of words says nothing */
static void
unordered_point(FilterPoint *point, uint64 word, bool exact)
{
	set_point(point, 0, PG_UINT64_MAX, false);
	point->equal_low = point->equal_high = word;
	point->equal_exact = exact;
}

static void
text_point(const FilterColumn *column, Datum value, FilterPoint *point)
{
	uint64		word = filter_key(column, value);

	if (column->collation == FILTER_BYTES)
		bytes_point(point, word);
	else if (column->collation == FILTER_DETERMINISTIC)
		unordered_point(point, word, false);
	else
		set_point(point, 0, PG_UINT64_MAX, false);
}

static bool
float_point(Datum value, Oid type, FilterPoint *point)
{
	if (type == FLOAT4OID)
		set_word(point, filter_key_float(DatumGetFloat4(value)), true);
	else if (type == FLOAT8OID)
		set_word(point, filter_key_float(DatumGetFloat8(value)), true);
	else
		return false;
	return true;
}

/* a time of a day of a date column */
static void
date_of_timestamp(Timestamp time, bool zone, FilterPoint *point)
{
	int64		day = time / USECS_PER_DAY;
	bool		midnight = time % USECS_PER_DAY == 0;

	if (time < 0 && !midnight)
		day--;
	if (TIMESTAMP_IS_NOBEGIN(time))
		set_word(point, filter_key_int(DATEVAL_NOBEGIN), true);
	else if (TIMESTAMP_IS_NOEND(time))
		set_word(point, filter_key_int(DATEVAL_NOEND), true);
	else if (zone)
		set_point(point, filter_key_int(day - ZONE_DAYS), filter_key_int(day + ZONE_DAYS), false);
	else if (midnight)
		set_word(point, filter_key_int(day), true);
	else
		set_point(point, filter_key_int(day + 1), filter_key_int(day), true);
}

static void
time_point(int64 time, bool zone, FilterPoint *point)
{
	int64		margin = ZONE_DAYS * USECS_PER_DAY;

	if (!zone || TIMESTAMP_NOT_FINITE(time))
		set_word(point, filter_key_int(time), true);
	else
		set_point(point, filter_key_int(Max(time, PG_INT64_MIN + margin) - margin),
				  filter_key_int(Min(time, PG_INT64_MAX - margin) + margin), false);
}

/* the start of a day in a column of timestamps */
static void
timestamp_of_date(DateADT date, bool zone, FilterPoint *point)
{
	if (DATE_IS_NOBEGIN(date))
		set_word(point, filter_key_int(DT_NOBEGIN), true);
	else if (DATE_IS_NOEND(date))
		set_word(point, filter_key_int(DT_NOEND), true);
	else if (date >= TIMESTAMP_END_JULIAN - POSTGRES_EPOCH_JDATE)
		/* later than any timestamp but infinity */
		set_point(point, filter_key_int(DT_NOEND), filter_key_int(DT_NOEND) - 1, true);
	else
		time_point(date * USECS_PER_DAY, zone, point);
}

static bool
timestamp_point(Oid column, Datum value, Oid type, FilterPoint *point)
{
	switch (type)
	{
		case DATEOID:
			timestamp_of_date(DatumGetDateADT(value), column == TIMESTAMPTZOID, point);
			return true;
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			time_point(DatumGetTimestamp(value), column != type, point);
			return true;
		default:
			return false;
	}
}

static bool
date_point(Datum value, Oid type, FilterPoint *point)
{
	switch (type)
	{
		case DATEOID:
			set_word(point, filter_key_int(DatumGetDateADT(value)), true);
			return true;
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			date_of_timestamp(DatumGetTimestamp(value), type == TIMESTAMPTZOID, point);
			return true;
		default:
			return false;
	}
}

static bool
integer_point(const FilterColumn *column, Datum value, Oid type, FilterPoint *point)
{
	if ((type == BOOLOID) != (column->type == BOOLOID) ||
		(type != BOOLOID && type != INT2OID && type != INT4OID && type != INT8OID))
		return false;
	set_word(point, filter_key_int(filter_integer(type, value)), true);
	return true;
}

/*
 * filter_point
 *		Where a constant of some type, not NULL, lies among the words of a column;
 *		false if the column's words cannot be compared with that type.
 */
bool
filter_point(const FilterColumn *column, Datum value, Oid type, FilterPoint *point)
{
	switch (column->kind)
	{
		case FILTER_INTEGER:
			return integer_point(column, value, type, point);
		case FILTER_FLOAT:
			return float_point(value, type, point);
		case FILTER_DATE:
			return date_point(value, type, point);
		case FILTER_TIMESTAMP:
			return timestamp_point(column->type, value, type, point);
		default:
			break;
	}
	if (type != column->type)
		return false;
	if (column->kind == FILTER_NUMERIC)
		set_word(point, filter_key_numeric(value), false);
	else if (column->kind == FILTER_UUID)
		bytes_point(point, filter_key(column, value));
	else if (column->kind == FILTER_TEXT)
		text_point(column, value, point);
	else if (column->kind == FILTER_ENUM)
		unordered_point(point, filter_key(column, value), true);
	else
		return false;
	return true;
}
