/*
 * budget_rules.h
 *		The budgets in force, as a backend keeps them, and whom they are for.
 */
#ifndef AIRUN_BUDGET_RULES_H
#define AIRUN_BUDGET_RULES_H

#include "airun.h"

#include "budget/budget.h"
#include "budget/budget_period.h"
#include "nodes/pg_list.h"
#include "utils/numeric.h"

typedef enum BudgetScope
{
	SCOPE_ALL,
	SCOPE_USER,
	SCOPE_SOURCE,
	SCOPE_PROVIDER,
	SCOPE_MODEL,
	SCOPE_SERVICE,
	SCOPE_TASK_NAME,
	SCOPE_TAG,
	SCOPE_METADATA,
	SCOPE_RUN
} BudgetScope;

typedef enum BudgetMeasure
{
	MEASURE_COST,
	MEASURE_TOKENS,
	MEASURE_CALLS
} BudgetMeasure;

/* What a budget of cost does about a model that has no price */
typedef enum BudgetUnpriced
{
	UNPRICED_BLOCK,
	UNPRICED_ALLOW,
	UNPRICED_ASSUME
} BudgetUnpriced;

/* A row of airun.budgets that is in force */
typedef struct Budget
{
	int64		id;
	char	   *name;
	BudgetScope scope;
	char	   *scope_key;		/* of metadata, or NULL */
	char	   *scope_value;	/* NULL: each value has a counter of its own */
	BudgetMeasure measure;
	PeriodRule	period;
	bool		is_hard;
	BudgetUnpriced unpriced;
	Numeric		assumed_rate;	/* what a token of a model without a price is taken to cost */
	bool		show_amounts;
	int			slots;
} Budget;

/* What is asked of a run, once any budget asks */
typedef struct RunFacts
{
	bool		is_known;
	Field		source_type;
	Field		tags;
	Field		metadata;
	List	   *ancestors;		/* its id and those of the runs that it forks, as text */
} RunFacts;

extern int	budget_rules_open(const Budget **budgets);
extern List *budget_values(const Budget *budget, const BudgetSubject *subject, RunFacts *facts);
extern const char *budget_scope_word(BudgetScope scope);
extern const char *budget_measure_word(BudgetMeasure measure);

#endif							/* AIRUN_BUDGET_RULES_H */
