/*-------------------------------------------------------------------------
 *
 * sparsevec.h
 *	  The datum of type sparsevec: indices and values of the non-zeros.
 *
 * Installed for other extensions.  A stored datum may be short or out of
 * line; detoast before use.
 *
 *	off         size   field   meaning
 *	----------  -----  ------  -----------------------------------------
 *	  0         4      varlena header
 *	  4         4      dim     1..SPARSEVEC_MAX_DIM
 *	  8         4      nnz     non-zeros, 0..SPARSEVEC_MAX_NNZ, <= dim
 *	 12         4      unused  zero
 *	 16         4*nnz  index   zero-based, strictly ascending, < dim
 *	 16+4*nnz   4*nnz  value   finite, never zero
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_SPARSEVEC_H
#define VECEXT_SPARSEVEC_H

#include "postgres.h"

#define SPARSEVEC_MAX_DIM 1000000000
#define SPARSEVEC_MAX_NNZ 16000

typedef struct SparseVector
{
	int32		vl_len_;		/* varlena header (do not touch directly!) */
	int32		dim;
	int32		nnz;
	int32		unused;
	int32		index[FLEXIBLE_ARRAY_MEMBER];	/* values follow */
} SparseVector;

#define SPARSEVEC_SIZE(nnz) \
	(offsetof(SparseVector, index) + (sizeof(int32) + sizeof(float)) * (nnz))
#define SPARSEVEC_VALUES(v)	((float *) ((v)->index + (v)->nnz))

StaticAssertDecl(offsetof(SparseVector, index) == 16, "SparseVector is a disk format");

#endif							/* VECEXT_SPARSEVEC_H */
