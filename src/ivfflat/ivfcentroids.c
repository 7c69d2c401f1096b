/*-------------------------------------------------------------------------
 *
 * ivfcentroids.c
 *	  Centroids that the user brings: WITH (centroids = 'schema.table').
 *
 * The build runs as the owner of the table to be indexed, whose rights on the
 * table of centroids count.
 *
 *-------------------------------------------------------------------------
 */
#include "ivfflat/ivfbuild.h"

#include "catalog/namespace.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/regproc.h"

/* rows fetched at once */
#define FETCH_ROWS	100

static void
complain(const char *table, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("centroids cannot be read from \"%s\"", table),
			 errdetail("%s", detail),
			 errhint("The first column of the table must be of the indexed type and hold one "
					 "centroid for each list, none of them null.")));
}

/* the table, as a name to be put into a query */
static char *
table_name(const char *table)
{
	List	   *names = stringToQualifiedNameList_compat(table);
	Oid			relid = RangeVarGetRelid(makeRangeVarFromNameList(names), NoLock, false);

	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
									  get_rel_name(relid));
}

/* a column of the indexed type? */
static void
check_type(const IvfBuild *build, const char *table, TupleDesc desc)
{
	Oid			wanted = getBaseType(TupleDescAttr(RelationGetDescr(build->rel), 0)->atttypid);

	if (desc->natts < 1 || getBaseType(TupleDescAttr(desc, 0)->atttypid) != wanted)
		complain(table, "Its first column is not of the indexed type.");
}

/* check a centroid and copy it to build->train_context */
static struct varlena *
take_centroid(const IvfBuild *build, const char *table, HeapTuple tuple, TupleDesc desc)
{
	const VecMetric *metric = build->index.metric;
	struct varlena *plain;
	struct varlena *copy;
	Datum		value;
	bool		isnull;

	value = heap_getattr(tuple, 1, desc, &isnull);
	if (isnull)
		complain(table, "One of the centroids is null.");
	plain = metric->type->plain(value);
	if (metric->type->dim(plain) != build->index.params.dim)
		complain(table, "One of the centroids has other dimensions than the indexed column.");
	if (!metric->is_defined(plain))
		complain(table, "One of the centroids has no direction.");
	copy = MemoryContextAlloc(build->train_context, VARSIZE(plain));
	memcpy(copy, plain, VARSIZE(plain));
	return copy;
}

/*
 * ivf_read_centroids
 *		The centroids of a table, copied to build->train_context; how many.
 *
 * Raises 22023 if they will not do, what reading a table raises, and 54000 if
 * maintenance_work_mem is too small for them.
 */
int
ivf_read_centroids(IvfBuild *build, const char *table, struct varlena ***values)
{
	char	   *name = table_name(table);
	struct varlena **taken;
	Portal		portal;
	Size		bytes = 0;
	int			n = 0;

	taken = MemoryContextAllocZero(build->train_context, sizeof(struct varlena *) * IVF_MAX_LISTS);
	SPI_connect();
	portal = SPI_cursor_open_with_args(NULL, psprintf("SELECT * FROM %s", name), 0, NULL, NULL,
									   NULL, true, 0);
	for (;;)
	{
		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		if (SPI_processed == 0)
			break;
		check_type(build, table, SPI_tuptable->tupdesc);
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			if (n == IVF_MAX_LISTS)
				complain(table, psprintf("It has more than %d rows.", IVF_MAX_LISTS));
			taken[n] = take_centroid(build, table, SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
			bytes += VARSIZE(taken[n++]);
			if (bytes > build->limit / 4)
				ereport(ERROR,
						(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						 errmsg("the centroids of \"%s\" do not fit in maintenance_work_mem",
								table),
						 errhint("Increase maintenance_work_mem.")));
		}
		SPI_freetuptable(SPI_tuptable);
		CHECK_FOR_INTERRUPTS();
	}
	SPI_cursor_close(portal);
	SPI_finish();
	if (n == 0)
		complain(table, "It has no rows.");
	*values = taken;
	return n;
}
