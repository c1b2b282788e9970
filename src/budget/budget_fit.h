/*
 * budget_fit.h
 *		How a task or call that starts fits into the budgets that it counts in.
 */
#ifndef AIRUN_BUDGET_FIT_H
#define AIRUN_BUDGET_FIT_H

#include "airun.h"

#include "budget/budget_estimate.h"
#include "utils/snapshot.h"

/* How a counter stands, all its slots together */
typedef struct BudgetStand
{
	Numeric		limit;
	Numeric		spent;			/* with what is estimated */
	Numeric		held;
} BudgetStand;

/* What is needed of one counter, and how that stands */
typedef struct BudgetFit
{
	BudgetNeed	need;
	const char *value;
	const char *period_key;
	BudgetStand stand;
	const char *reason;			/* why it does not fit, or NULL */
} BudgetFit;

extern List *budget_fits(const BudgetSubject *subject, const Budget *budgets, int count);
extern void budget_fit_look(BudgetFit *fit, Snapshot snapshot);
extern void budget_fit_stands(BudgetFit *fit, const BudgetStand *stand);
extern int	budget_fit_order(const ListCell *a, const ListCell *b);
extern Numeric budget_remaining(const BudgetStand *stand);
extern const char *budget_refusal_reason(const BudgetNeed *need, const BudgetStand *stand);
extern int64 budget_affordable(const BudgetNeed *need, const BudgetStand *stand);

#endif							/* AIRUN_BUDGET_FIT_H */
