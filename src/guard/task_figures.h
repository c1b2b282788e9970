/*
 * task_figures.h
 *		What a row says that a task has used and cost.
 */
#ifndef AIRUN_TASK_FIGURES_H
#define AIRUN_TASK_FIGURES_H

#include "airun.h"

#include "store/row_trigger.h"
#include "task/task.h"

extern void task_figures_check(Row *row, TaskStatus status);
extern bool task_figures_count_answer(Row *row, TaskStatus status);
extern void task_figures_take(Row *row, TaskStatus status, bool brings_usage);

#endif							/* AIRUN_TASK_FIGURES_H */
