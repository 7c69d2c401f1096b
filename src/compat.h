/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  What differs between PostgreSQL 15 and 18, and how symbols are exported.
 *
 * The only file that mentions PG_VERSION_NUM.  Wrappers take the newest
 * signature and end in _compat; dropping a version means deleting the blocks
 * that name the next one.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_COMPAT_H
#define VECEXT_COMPAT_H

#include "postgres.h"

#include "fmgr.h"

#if PG_VERSION_NUM < 150000
#error "vecext needs PostgreSQL 15 or later"
#endif

/* PG 16 moved the varlena macros out of postgres.h. */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/*
 * Export exactly the functions SQL calls.  The server loads libraries with
 * global binding, so a visible helper could be taken for another extension's.
 * PG 16 hides symbols by default; on 15 PGDLLEXPORT is empty and does not
 * bring them back, hence our own attribute.
 */
#define VEC_EXPORT __attribute__((visibility("default")))
#define VEC_SQL_FUNCTION(f) \
	extern VEC_EXPORT Datum f(PG_FUNCTION_ARGS); \
	extern VEC_EXPORT const Pg_finfo_record *pg_finfo_##f(void); \
	PG_FUNCTION_INFO_V1(f); \
	Datum		f(PG_FUNCTION_ARGS)

#endif							/* VECEXT_COMPAT_H */
