/*-------------------------------------------------------------------------
 *
 * vecext.c
 *	  Entry of the library.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "guard.h"
#include "hnsw/hnsw.h"
#include "ivfflat/ivf.h"
#include "planner/planner.h"
#include "settings.h"
#include "utils/guc.h"

PG_MODULE_MAGIC_COMPAT;

extern VEC_EXPORT void _PG_init(void);

/* called once per process, when the server loads the library */
void
_PG_init(void)
{
	vec_guard_session();
	vec_settings_init();
	hnsw_init();
	ivf_init();
	vec_planner_init();
	MarkGUCPrefixReserved("vecext");
}
