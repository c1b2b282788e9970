/*
 * budget.h
 *		Budgets: what tasks and calls hold of them, and what they have spent.
 */
#ifndef AIRUN_BUDGET_H
#define AIRUN_BUDGET_H

#include "airun.h"

#include "store/args.h"
#include "utils/uuid.h"

/* A task or call that starts, as far as budgets ask; what is not known is absent */
typedef struct BudgetSubject
{
	const pg_uuid_t *run_id;	/* NULL for a call */
	Field		user_id;
	Field		source_type;	/* of a call; that of a task is its run's */
	Field		service;
	Field		task_name;
	Field		provider;
	Field		endpoint;
	Field		model_id;
	Field		metadata;
	Field		request_data;	/* with its messages */
	TimestampTz at;				/* its created_at: decides about the period */
	bool		is_tool;		/* has no price, as a rule */
	bool		is_paid;		/* has ended already: nothing is held, nothing refused */
} BudgetSubject;

/* How a task or call stands, as far as its holds ask */
typedef struct BudgetState
{
	Field		holds;			/* its column */
	bool		has_ended;
	bool		is_completed;	/* by its status */
	Field		cost;
	Field		tokens;			/* in total */
	int64		length;			/* of its text, in characters */
} BudgetState;

/* What many tasks change, until it is written */
typedef struct BudgetChanges BudgetChanges;

extern Field budget_take(const BudgetSubject *subject);
extern bool budget_is_any(void);
extern void budget_settle(const BudgetState *before, const BudgetState *after);
extern BudgetChanges *budget_changes_begin(void);
extern void budget_changes_add(BudgetChanges *changes, const BudgetState *before,
							   const BudgetState *after);
extern void budget_changes_write(BudgetChanges *changes);
extern bool budget_defer_begin(void);
extern void budget_defer_end(bool is_first);
extern Datum budget_deferred_counters(void);

#endif							/* AIRUN_BUDGET_H */
