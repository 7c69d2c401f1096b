/*-------------------------------------------------------------------------
 *
 * halfvec.h
 *	  The datum of type halfvec: dense, IEEE 754 binary16.
 *
 * Installed for other extensions.  A stored datum may be short or out of
 * line; detoast before use.
 *
 *	off  size   field   meaning
 *	---  -----  ------  --------------------------------------------
 *	  0  4      varlena header
 *	  4  2      dim     number of elements, 1..HALFVEC_MAX_DIM
 *	  6  2      unused  zero
 *	  8  2*dim  x       bits of the elements, all finite
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_HALFVEC_H
#define VECEXT_HALFVEC_H

#include "postgres.h"

#define HALFVEC_MAX_DIM 16000

typedef struct HalfVector
{
	int32		vl_len_;		/* varlena header (do not touch directly!) */
	int16		dim;
	int16		unused;
	uint16		x[FLEXIBLE_ARRAY_MEMBER];
} HalfVector;

#define HALFVEC_SIZE(dim)	(offsetof(HalfVector, x) + sizeof(uint16) * (dim))

StaticAssertDecl(offsetof(HalfVector, x) == 8, "HalfVector is a disk format");

#endif							/* VECEXT_HALFVEC_H */
