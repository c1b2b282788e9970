/*
 * ended_task.h
 *		What an UPDATE may still do to a task that has ended.
 */
#ifndef AIRUN_ENDED_TASK_H
#define AIRUN_ENDED_TASK_H

#include "airun.h"

#include "store/row_trigger.h"
#include "task/task.h"

extern bool ended_task_is_late_save(Row *row);
extern void ended_task_drop_save(Row *row, TaskStatus from, TaskStatus *to);
extern bool ended_task_lacks(Row *row, TaskStatus status, bool *brings_usage);
extern bool expired_task_ends(Row *row, TaskStatus from, TaskStatus to);
extern void expired_task_end(Row *row, TimestampTz now);

#endif							/* AIRUN_ENDED_TASK_H */
