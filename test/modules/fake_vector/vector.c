/*-------------------------------------------------------------------------
 *
 * vector.c
 *	  A stand-in for pgvector's library in tests of the guard: it defines the
 *	  settings by which vecext recognises pgvector, and one function.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/guc.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

static int	ef_search;
static int	probes;

void
_PG_init(void)
{
	DefineCustomIntVariable("hnsw.ef_search", "Stand-in.", NULL, &ef_search,
							40, 1, 1000, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("ivfflat.probes", "Stand-in.", NULL, &probes,
							1, 1, 32768, PGC_USERSET, 0, NULL, NULL, NULL);
}

PG_FUNCTION_INFO_V1(fake_vector_loaded);

Datum
fake_vector_loaded(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(true);
}
