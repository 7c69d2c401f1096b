/*-------------------------------------------------------------------------
 *
 * settings.h
 *	  Settings of the whole extension.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_SETTINGS_H
#define VECEXT_SETTINGS_H

extern void vec_settings_init(void);

#endif							/* VECEXT_SETTINGS_H */
