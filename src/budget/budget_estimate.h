/*
 * budget_estimate.h
 *		What a task or call that starts may use and cost at the most.
 */
#ifndef AIRUN_BUDGET_ESTIMATE_H
#define AIRUN_BUDGET_ESTIMATE_H

#include "airun.h"

#include "budget/budget_rules.h"

/* Parts that are asked for once */
typedef struct BudgetEstimate
{
	bool		has_tokens;
	int64		input;			/* tokens that go in */
	int64		answers;		/* that it asks for */
	int64		output;			/* that may come out, of all answers */
	bool		writes_cache;	/* it asks for that */
	char	   *service_tier;	/* that it asks for, or NULL */
	bool		has_price;
	Numeric		base;			/* what all but the output costs; NULL without a price */
	Numeric		rate;			/* what a token of output costs */
} BudgetEstimate;

/* What is needed of a budget: base, and rate for each token that may come out */
typedef struct BudgetNeed
{
	const Budget *budget;
	bool		is_unpriced;	/* and the budget does not let it pass */
	Numeric		base;
	Numeric		rate;
	Numeric		amount;
	int64		answers;		/* that share what may come out */
	TimestampTz resets_at;
} BudgetNeed;

extern BudgetNeed budget_need(const Budget *budget, const BudgetSubject *subject,
							  BudgetEstimate *estimate);

#endif							/* AIRUN_BUDGET_ESTIMATE_H */
