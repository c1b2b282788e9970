/*
 * task_entry.h
 *		What the ledger is told of tasks.
 */
#ifndef AIRUN_TASK_ENTRY_H
#define AIRUN_TASK_ENTRY_H

#include "airun.h"

#include "budget/budget.h"
#include "commands/trigger.h"
#include "task/task.h"
#include "usage/ledger.h"

extern UsageEntry task_entry(const ResultRow *summary, const Field *buckets,
							 const Field *source_type);
extern void task_enter_end(const TaskState *before, const ResultRow *summary,
						   const Field *buckets);
extern BudgetState task_budget_state(const ResultRow *summary, const Field *holds);
extern void task_enter_rows(TriggerData *trigger);
extern void task_release_rows(TriggerData *trigger);

#endif							/* AIRUN_TASK_ENTRY_H */
