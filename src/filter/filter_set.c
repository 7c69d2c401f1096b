/*-------------------------------------------------------------------------
 *
 * filter_set.c
 *	  The filter columns of an index, and the words of a row.
 *
 *-------------------------------------------------------------------------
 */
#include "filter/filter_private.h"

#include "access/htup_details.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_database.h"
#include "catalog/pg_type_d.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#define ORDERED \
	(1 << FILTER_LESS | 1 << FILTER_LESS_EQUAL | 1 << FILTER_EQUAL | 1 << FILTER_GREATER_EQUAL | \
	 1 << FILTER_GREATER)
#define SET_LIKE	(1 << FILTER_EQUAL | 1 << FILTER_OVERLAP | 1 << FILTER_CONTAINS)

/* input types of filter operator classes */
static const struct
{
	Oid			type;
	FilterKind	kind;
	uint32		strategies;
	Oid			element;
}			filter_types[] = {
	{BOOLOID, FILTER_INTEGER, ORDERED, InvalidOid},
	{INT2OID, FILTER_INTEGER, ORDERED, InvalidOid},
	{INT4OID, FILTER_INTEGER, ORDERED, InvalidOid},
	{INT8OID, FILTER_INTEGER, ORDERED, InvalidOid},
	{FLOAT4OID, FILTER_FLOAT, ORDERED, InvalidOid},
	{FLOAT8OID, FILTER_FLOAT, ORDERED, InvalidOid},
	{NUMERICOID, FILTER_NUMERIC, ORDERED, InvalidOid},
	{DATEOID, FILTER_DATE, ORDERED, InvalidOid},
	{TIMESTAMPOID, FILTER_TIMESTAMP, ORDERED, InvalidOid},
	{TIMESTAMPTZOID, FILTER_TIMESTAMP, ORDERED, InvalidOid},
	{UUIDOID, FILTER_UUID, ORDERED, InvalidOid},
	{TEXTOID, FILTER_TEXT, ORDERED, InvalidOid},
	{ANYENUMOID, FILTER_ENUM, ORDERED, InvalidOid},
	{INT2ARRAYOID, FILTER_ARRAY, SET_LIKE, INT2OID},
	{INT4ARRAYOID, FILTER_ARRAY, SET_LIKE, INT4OID},
	{INT8ARRAYOID, FILTER_ARRAY, SET_LIKE, INT8OID},
	{TEXTARRAYOID, FILTER_ARRAY, SET_LIKE, TEXTOID},
	{VARCHARARRAYOID, FILTER_ARRAY, SET_LIKE, VARCHAROID},
};

static int
find_type(Oid type)
{
	for (int i = 0; i < (int) lengthof(filter_types); i++)
	{
		if (filter_types[i].type == type)
			return i;
	}
	return -1;
}

/*
 * filter_strategies
 *		A bit for each strategy number of a filter operator class of that input
 *		type; 0 if there can be none.
 */
uint32
filter_strategies(Oid type)
{
	int			i = find_type(type);

	return i < 0 ? 0 : filter_types[i].strategies;
}

/* whether a locale's name, an attribute of a catalog's row, is one of bytes */
static bool
name_is_bytes(int cache, HeapTuple tuple, AttrNumber attribute)
{
	bool		isnull;
	Datum		value = SysCacheGetAttr(cache, tuple, attribute, &isnull);
	char	   *name = isnull ? NULL : TextDatumGetCString(value);

	return name != NULL && (strcmp(name, "C") == 0 || strcmp(name, "POSIX") == 0);
}

/*
 * Whether a collation has the order of bytes: C and POSIX of libc, and all of the
 * server's own provider, 'b' from PostgreSQL 17 on.  The server would tell by a
 * header that needs those of ICU.  Fixed for the life of an index, for words
 * depend on it.
 */
static bool
orders_bytes(Oid collation)
{
	bool		by_default = collation == DEFAULT_COLLATION_OID;
	int			cache = by_default ? DATABASEOID : COLLOID;
	HeapTuple	tuple = SearchSysCache1(cache,
										ObjectIdGetDatum(by_default ? MyDatabaseId : collation));
	char		provider;
	bool		bytes;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for collation %u", collation);
	provider = by_default ? ((Form_pg_database) GETSTRUCT(tuple))->datlocprovider :
		((Form_pg_collation) GETSTRUCT(tuple))->collprovider;
	bytes = provider == 'b' ||
		(provider == COLLPROVIDER_LIBC &&
		 name_is_bytes(cache, tuple, by_default ? Anum_pg_database_datcollate :
					   Anum_pg_collation_collcollate));
	ReleaseSysCache(tuple);
	return bytes;
}

static FilterCollation
collation_of(Oid collation)
{
	if (!OidIsValid(collation))
		return FILTER_BYTES;	/* no text */
	if (!get_collation_isdeterministic(collation))
		return FILTER_UNKNOWN;
	return orders_bytes(collation) ? FILTER_BYTES : FILTER_DETERMINISTIC;
}

static void
open_column(Relation index, int attno, FilterColumn *column)
{
	Oid			type = index->rd_opcintype[attno - 1];
	int			i = find_type(type);

	if (i < 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("column %d of index \"%s\" cannot be a filter", attno,
						RelationGetRelationName(index)),
				 errdetail("Only the first column can be ordered by distance; the others have "
						   "operator classes of ordinary types.")));
	column->kind = filter_types[i].kind;
	column->type = type;
	column->element = filter_types[i].element;
	column->collation = collation_of(index->rd_indcollation[attno - 1]);
}

/*
 * filter_open
 *		The filter columns of an index, in "context"; NULL if it has none.
 *
 * Reads catalogs.  Raises 0A000 if a column but the first has an operator class
 * that is not one of filters.
 */
FilterSet *
filter_open(Relation index, MemoryContext context)
{
	int			n = IndexRelationGetNumberOfKeyAttributes(index) - 1;
	FilterSet  *set;

	if (n < 1)
		return NULL;
	set = MemoryContextAllocZero(context, sizeof(FilterSet));
	set->columns = MemoryContextAllocZero(context, sizeof(FilterColumn) * n);
	set->ncolumns = n;
	set->nwords = n + 1;
	for (int i = 0; i < n; i++)
		open_column(index, i + 2, &set->columns[i]);
	return set;
}

/*
 * filter_encode
 *		The words of a row: set->nwords of them.
 *
 * values and isnull are those of all columns of the index, the vector first.
 * Detoasts in the current memory context, which the caller resets.
 */
void
filter_encode(const FilterSet *set, const Datum *values, const bool *isnull, uint64 *keys)
{
	keys[0] = 0;
	for (int i = 0; i < set->ncolumns; i++)
	{
		if (isnull[i + 1])
		{
			keys[0] |= UINT64CONST(1) << i;
			keys[i + 1] = 0;
		}
		else
			keys[i + 1] = filter_key(&set->columns[i], values[i + 1]);
	}
}
