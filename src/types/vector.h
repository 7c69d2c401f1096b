/*-------------------------------------------------------------------------
 *
 * vector.h
 *	  The datum of type vector: dense, single precision.
 *
 * Installed for other extensions.  A stored datum may be short or out of
 * line; detoast before use.
 *
 *	off  size   field   meaning
 *	---  -----  ------  --------------------------------------------
 *	  0  4      varlena header
 *	  4  2      dim     number of elements, 1..VECTOR_MAX_DIM
 *	  6  2      unused  zero
 *	  8  4*dim  x       elements, all finite
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_VECTOR_H
#define VECEXT_VECTOR_H

#include "postgres.h"

#define VECTOR_MAX_DIM 16000

typedef struct Vector
{
	int32		vl_len_;		/* varlena header (do not touch directly!) */
	int16		dim;
	int16		unused;
	float		x[FLEXIBLE_ARRAY_MEMBER];
} Vector;

#define VECTOR_SIZE(dim)	(offsetof(Vector, x) + sizeof(float) * (dim))

StaticAssertDecl(offsetof(Vector, x) == 8, "Vector is a disk format");

#endif							/* VECEXT_VECTOR_H */
