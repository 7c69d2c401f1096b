/*-------------------------------------------------------------------------
 *
 * guard.h
 *	  Keeps vecext and pgvector apart.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_GUARD_H
#define VECEXT_GUARD_H

extern void vec_guard_session(void);

#endif							/* VECEXT_GUARD_H */
