/*
 * budget_refusal.h
 *		Why a budget refuses, in words and for programs.
 */
#ifndef AIRUN_BUDGET_REFUSAL_H
#define AIRUN_BUDGET_REFUSAL_H

#include "airun.h"

#include "budget/budget_estimate.h"

/* How a counter stands, all its slots together */
typedef struct BudgetStand
{
	Numeric		limit;
	Numeric		spent;			/* with what is estimated */
	Numeric		held;
} BudgetStand;

extern const char *budget_refusal_reason(const BudgetNeed *need, const BudgetStand *stand);
extern int64 budget_affordable(const BudgetNeed *need, const BudgetStand *stand);
pg_noreturn extern void budget_refuse(const BudgetNeed *need, const char *value,
									  const BudgetStand *stand);
pg_noreturn extern void budget_refuse_unpriced(const BudgetNeed *need, const char *value,
											   const BudgetSubject *subject);

#endif							/* AIRUN_BUDGET_REFUSAL_H */
