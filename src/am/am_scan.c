/*-------------------------------------------------------------------------
 *
 * am_scan.c
 *	  What a plan node asks of the index scan below it.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "am/am_scan.h"

AmScanEffort am_scan_effort = {.times = 1};
