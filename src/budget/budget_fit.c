/*
 * budget_fit.c
 *		How a task or call that starts fits into the budgets that it counts in.
 *
 * It needs something of one counter of each, or of several, and has to fit into all of
 * them.  Of several that it does not fit into, the tightest is the one to tell of:
 * waiting for another would not help.  Whose model has no price is helped by no waiting at
 * all; what is exhausted comes before what is only held by others; then the counter of
 * which the least part of what is needed is left, and of equals the one that begins anew
 * last.
 *
 * Looks lock nothing, and promise nothing.
 */
#include "budget/budget_fit.h"

#include "budget/decimal.h"
#include "catalog/pg_type.h"
#include "store/store.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

/* ---------- amounts ---------- */

/* How much of a budget is neither spent nor held */
Numeric
budget_remaining(const BudgetStand *stand)
{
	return decimal_sub(decimal_sub(stand->limit, stand->spent), stand->held);
}

/* Why what is needed does not fit; NULL where it does */
const char *
budget_refusal_reason(const BudgetNeed *need, const BudgetStand *stand)
{
	if (decimal_sign(need->amount) <= 0 || decimal_cmp(need->amount, budget_remaining(stand)) <= 0)
		return NULL;
	if (decimal_cmp(need->amount, decimal_sub(stand->limit, stand->spent)) <= 0)
		return "in_flight";
	return "exhausted";
}

/* How many tokens of output would fit, of each answer; -1 where that does not decide */
int64
budget_affordable(const BudgetNeed *need, const BudgetStand *stand)
{
	Numeric		rest = decimal_sub(budget_remaining(stand), need->base);
	Datum		tokens;

	if (need->budget->measure == MEASURE_CALLS || decimal_sign(need->rate) <= 0)
		return -1;
	if (decimal_sign(rest) <= 0)
		return 0;
	tokens = DirectFunctionCall2(numeric_div_trunc, NumericGetDatum(rest),
								 NumericGetDatum(decimal_mul(need->rate,
															 decimal_of(need->answers))));
	return decimal_cmp(DatumGetNumeric(tokens), decimal_of(PG_INT32_MAX)) > 0 ? PG_INT32_MAX :
		DatumGetInt64(DirectFunctionCall1(numeric_int8, tokens));
}

/* ---------- fits ---------- */

/* The counters of all budgets, in the order of their ids, and what is needed of each */
List *
budget_fits(const BudgetSubject *subject, const Budget *budgets, int count)
{
	BudgetEstimate estimate = {0};
	RunFacts	facts = {0};
	List	   *fits = NIL;

	for (int i = 0; i < count; i++)
	{
		List	   *values = budget_values(&budgets[i], subject, &facts);
		BudgetFit	of_budget = {.value = NULL};
		Period		period;
		ListCell   *cell;

		if (values == NIL)
			continue;
		period = period_of(&budgets[i].period, subject->at);
		of_budget.need = budget_need(&budgets[i], subject, &estimate);
		of_budget.need.resets_at = period.ends_at;
		of_budget.period_key = period.key;
		of_budget.reason = of_budget.need.is_unpriced ? "unpriced" : NULL;
		foreach(cell, values)
		{
			BudgetFit  *fit = palloc_object(BudgetFit);

			*fit = of_budget;
			fit->value = lfirst(cell);
			fits = lappend(fits, fit);
		}
	}
	return fits;
}

/* Set how its counter stands */
void
budget_fit_stands(BudgetFit *fit, const BudgetStand *stand)
{
	fit->stand = *stand;
	if (!fit->need.is_unpriced && fit->need.budget->is_hard)
		fit->reason = budget_refusal_reason(&fit->need, stand);
}

/* Look how its counter stands; snapshot: NULL for what is committed by now */
void
budget_fit_look(BudgetFit *fit, Snapshot snapshot)
{
	static Statement read = {
		"SELECT b.amount" PLUS "COALESCE(pg_catalog.sum(p.credit), 0), "
		"COALESCE(pg_catalog.sum(p.spent" PLUS "p.estimated), 0), "
		"COALESCE(pg_catalog.sum(p.held), 0) "
		"FROM airun.budgets AS b LEFT JOIN airun.budget_periods AS p ON p.budget_id" EQ "b.id "
		"AND p.value" EQ "$2 AND p.period_key" EQ "$3 WHERE b.id" EQ "$1 GROUP BY b.amount",
		3, {INT8OID, TEXTOID, TEXTOID}
	};
	BudgetStand stand = {decimal_of(0), decimal_of(0), decimal_of(0)};
	Oid			owner = store_table_owner("budgets");
	Args		args = {0};
	uint64		count;
	bool		isnull;

	arg_int64(&args, fit->need.budget->id);
	arg_pointer(&args, cstring_to_text(fit->value));
	arg_pointer(&args, cstring_to_text(fit->period_key));
	count = snapshot == NULL ? statement_write_as_owner(&read, &args, owner) :
		statement_as_owner_at(&read, &args, owner, snapshot);
	if (count == 1)
	{
		stand.limit = DatumGetNumericCopy(result_value(0, 1, &isnull));
		stand.spent = DatumGetNumericCopy(result_value(0, 2, &isnull));
		stand.held = DatumGetNumericCopy(result_value(0, 3, &isnull));
	}
	budget_fit_stands(fit, &stand);
}

/* How soon it would fit: the later, the less */
static int
reason_rank(const BudgetFit *fit)
{
	if (fit->reason == NULL)
		return 3;
	if (fit->need.is_unpriced)
		return 0;
	return strcmp(fit->reason, "in_flight") == 0 ? 2 : 1;
}

/* Which has the smaller part of what is needed left?  Who needs nothing has any. */
static int
share_order(const BudgetFit *a, const BudgetFit *b)
{
	bool		a_needs = decimal_sign(a->need.amount) > 0;
	bool		b_needs = decimal_sign(b->need.amount) > 0;

	if (!a_needs || !b_needs)
		return (int) b_needs - (int) a_needs;
	return decimal_cmp(decimal_mul(budget_remaining(&a->stand), b->need.amount),
					   decimal_mul(budget_remaining(&b->stand), a->need.amount));
}

/* The tightest first, for list_sort() */
int
budget_fit_order(const ListCell *a, const ListCell *b)
{
	const BudgetFit *left = lfirst(a);
	const BudgetFit *right = lfirst(b);
	int			order = reason_rank(left) - reason_rank(right);

	if (order == 0)
		order = share_order(left, right);
	if (order == 0 && left->need.resets_at != right->need.resets_at)
		order = left->need.resets_at > right->need.resets_at ? -1 : 1;
	if (order == 0)
		order = left->need.budget->id < right->need.budget->id ? -1 :
			left->need.budget->id > right->need.budget->id;
	return order != 0 ? order : strcmp(left->value, right->value);
}
