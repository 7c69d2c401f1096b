/*-------------------------------------------------------------------------
 *
 * filter_key.h
 *	  Words of single values.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_FILTER_KEY_H
#define VECEXT_FILTER_KEY_H

#include "filter/filter_private.h"

/* of text and uuid: bytes in order, then a hash */
#define FILTER_PREFIX_BYTES		5
#define FILTER_HASH_BITS		24
#define FILTER_HASH_MASK		((UINT64CONST(1) << FILTER_HASH_BITS) - 1)

extern uint64 filter_key_int(int64 value);
extern uint64 filter_key_float(double value);
extern uint64 filter_key_numeric(Datum value);
extern uint64 filter_key_bytes(const unsigned char *bytes, int size);
extern uint64 *filter_key_elements(const FilterColumn *column, Datum value, int *n,
								   bool *has_null);
extern int64 filter_integer(Oid type, Datum value);

#endif							/* VECEXT_FILTER_KEY_H */
