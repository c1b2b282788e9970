/*
 * budget_refusal.h
 *		Why a budget refuses, in words and for programs.
 */
#ifndef AIRUN_BUDGET_REFUSAL_H
#define AIRUN_BUDGET_REFUSAL_H

#include "airun.h"

#include "budget/budget_fit.h"

pg_noreturn extern void budget_refuse(const BudgetFit *fit, const BudgetSubject *subject);

#endif							/* AIRUN_BUDGET_REFUSAL_H */
