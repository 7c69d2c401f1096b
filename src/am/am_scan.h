/*-------------------------------------------------------------------------
 *
 * am_scan.h
 *	  What a plan node asks of the index scan below it, beyond the server's
 *	  interface.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VECEXT_AM_SCAN_H
#define VECEXT_AM_SCAN_H

/*
 * How thorough the next scan to start shall be: it begins with so many times
 * the candidates its settings say, and with no fewer than so many.  Whoever
 * changes it restores AM_SCAN_EFFORT_USUAL.
 */
typedef struct AmScanEffort
{
	int			times;
	int			at_least;
} AmScanEffort;

#define AM_SCAN_EFFORT_USUAL	((AmScanEffort) {.times = 1, .at_least = 0})

extern AmScanEffort am_scan_effort;

#endif							/* VECEXT_AM_SCAN_H */
