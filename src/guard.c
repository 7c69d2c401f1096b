/*-------------------------------------------------------------------------
 *
 * guard.c
 *	  Keeps vecext and pgvector apart.
 *
 * They offer the same types, access methods and settings, so a database holds
 * one of them and a session may load one library.  Without this guard the
 * second library to load would fail, on each statement anew, with a message
 * about a setting that is defined twice.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/xact.h"
#include "commands/extension.h"
#include "guard.h"
#include "miscadmin.h"
#include "utils/guc.h"

/* has pgvector's library defined its settings in this session? */
static bool
pgvector_is_loaded(void)
{
	static const char *const settings[] = {"hnsw.ef_search", "ivfflat.probes"};

	for (int i = 0; i < lengthof(settings); i++)
	{
		/* a SET before any library is loaded leaves a mere placeholder */
		if (GetConfigOption(settings[i], true, false) != NULL &&
			(GetConfigOptionFlags(settings[i], true) & GUC_CUSTOM_PLACEHOLDER) == 0)
			return true;
	}
	return false;
}

/* is vecext, complete, an extension of the session's database? */
static bool
vecext_is_installed(void)
{
	return IsTransactionState() && OidIsValid(MyDatabaseId) && !creating_extension &&
		OidIsValid(get_extension_oid("vecext", true));
}

/*
 * vec_guard_session
 *		Called first when our library is loaded: refuse to share a session.
 *
 * Raises 55000.  It is an error while pgvector may still be wanted.  It ends
 * the session where the database has changed to vecext meanwhile: no statement
 * on vectors could succeed here any more, and a connection pool would never
 * know.
 */
void
vec_guard_session(void)
{
	bool		replaced;

	if (!pgvector_is_loaded())
		return;

	replaced = vecext_is_installed();
	ereport(replaced ? FATAL : ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("vecext cannot be loaded: this session uses the library of pgvector"),
			 replaced ?
			 errdetail("The database has changed from pgvector to vecext since the session began.") :
			 errdetail("Both libraries define the same types, access methods and settings."),
			 errhint("Open a new session.")));
}

/*
 * Called by the install script: refuse a database that has pgvector.  Raises
 * 55000.
 */
VEC_SQL_FUNCTION(vecext_install_guard)
{
	if (OidIsValid(get_extension_oid("vector", true)))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("vecext cannot be installed in a database that has pgvector"),
				 errdetail("Extension \"vector\" offers the same types, operators and access methods."),
				 errhint("Create vecext in a new database and load a dump of this one into it, "
						 "without its CREATE EXTENSION vector.")));
	PG_RETURN_VOID();
}
