/*
 * sketch.h
 *		Counts of durations in bins, from which percentiles are read.
 */
#ifndef AIRUN_SKETCH_H
#define AIRUN_SKETCH_H

#include "airun.h"

extern int16 sketch_bin(int64 duration);

#endif							/* AIRUN_SKETCH_H */
