/*
 * usage_settle.h
 *		From the parts that a usage states to disjoint buckets.
 */
#ifndef AIRUN_USAGE_SETTLE_H
#define AIRUN_USAGE_SETTLE_H

#include "airun.h"

#include "pricing/usage_shapes.h"

/* The parts of a usage as its provider states them; USAGE_UNKNOWN where not */
typedef struct UsageParts
{
	int64		count[PART_COUNT];
} UsageParts;

extern void usage_settle(UsageParts *parts, int flags, Usage *usage);

#endif							/* AIRUN_USAGE_SETTLE_H */
