/*
 * work.h
 *		The steps of upkeep, for airun_work() and for the worker.
 */
#ifndef AIRUN_WORK_H
#define AIRUN_WORK_H

#include "airun.h"

extern bool work_is_possible(void);
extern bool work_round(int64 max_ms, bool shows_steps);

#endif							/* AIRUN_WORK_H */
