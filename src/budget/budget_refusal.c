/*
 * budget_refusal.c
 *		Why a budget refuses, in words and for programs.
 *
 * PT402, with a JSON object as its detail: which budget, the reason, when it begins
 * anew, and, unless the budget hides its amounts, the figures.
 *
 *	exhausted	what is needed does not fit beside what has been spent
 *	in_flight	it would, if all that is held came to nothing: try again soon
 *	unpriced	no price says what the model costs
 *
 * Of several budgets that refuse, the tightest is named (budget_fit.c).  A refusal is an
 * error: the whole call is undone, the messages that it brought included, and nothing is
 * held or counted.
 */
#include "budget/budget_refusal.h"

#include "budget/decimal.h"
#include "catalog/pg_type.h"
#include "json/jsonb_util.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/json.h"

static void
put_string(JsonbBuilder *builder, const char *key, const char *value)
{
	if (value == NULL || value[0] == '\0')
		return;
	jsonb_put_key(builder, key);
	jsonb_put_string(builder, value, false);
}

static void
put_number(JsonbBuilder *builder, const char *key, Numeric value)
{
	jsonb_put_key(builder, key);
	jsonb_put_numeric(builder, DatumGetNumeric(decimal_trim(value)), false);
}

/* When the budget begins anew, with the offset of its zone; NULL for never */
static char *
reset_time(const BudgetNeed *need)
{
	char	   *buffer;
	char	   *string;
	struct pg_tm tm;
	fsec_t		fsec;
	int			offset;

	if (TIMESTAMP_NOT_FINITE(need->resets_at) ||
		timestamp2tm(need->resets_at, &offset, &tm, &fsec, NULL, need->budget->period.zone) != 0)
		return NULL;
	buffer = palloc(MAXDATELEN + 1);
	string = JsonEncodeDateTime(buffer, TimestampTzGetDatum(need->resets_at), TIMESTAMPTZOID,
								&offset);
	return string;
}

/* The detail of a refusal; stand: NULL where the figures do not matter */
static char *
describe(const BudgetNeed *need, const char *value, const char *reason, const BudgetStand *stand)
{
	const Budget *budget = need->budget;
	JsonbBuilder builder = {0};

	jsonb_begin_object(&builder);
	put_string(&builder, "reason", reason);
	put_string(&builder, "budget", budget->name);
	put_string(&builder, "scope", budget_scope_word(budget->scope));
	put_string(&builder, "value", value);
	put_string(&builder, "measure", budget_measure_word(budget->measure));
	put_string(&builder, "period", period_word(budget->period.kind));
	if (budget->period.kind != PERIOD_NONE)
	{
		put_string(&builder, "zone", pg_get_timezone_name(budget->period.zone));
		put_string(&builder, "resets_at", reset_time(need));
	}
	if (stand != NULL && budget->show_amounts)
	{
		int64		affordable = budget_affordable(need, stand);

		put_number(&builder, "limit", stand->limit);
		put_number(&builder, "spent", stand->spent);
		put_number(&builder, "held", stand->held);
		put_number(&builder, "remaining", budget_remaining(stand));
		put_number(&builder, "needed", need->amount);
		if (affordable >= 0)
			put_number(&builder, "affordable_output_tokens", decimal_of(affordable));
	}
	jsonb_close(&builder, false);
	return JsonbToCString(NULL, &jsonb_finish(&builder)->root, 0);
}

/* What there is to do about it */
static const char *
advice(const BudgetNeed *need, const char *reason, const BudgetStand *stand)
{
	int64		affordable = need->budget->show_amounts ? budget_affordable(need, stand) : -1;
	char	   *resets_at = reset_time(need);

	if (strcmp(reason, "in_flight") == 0)
		return "It fits once others that are under way have ended: try again soon.  What "
			"nobody works on any more holds its part until airun_expire_tasks() has ended it.";
	if (affordable > 0)
		return psprintf("Ask for at most " INT64_FORMAT " tokens of output.", affordable);
	if (resets_at != NULL)
		return psprintf("Wait until %s, or have the owner of the store raise the budget.",
						resets_at);
	return "Have the owner of the store raise the budget.";
}

/* PT402: what is needed does not fit */
pg_noreturn static void
refuse_amount(const BudgetFit *fit)
{
	const BudgetNeed *need = &fit->need;

	ereport(ERROR,
			(errcode(ERRCODE_AIRUN_OVER_BUDGET),
			 strcmp(fit->reason, "in_flight") == 0 ?
			 errmsg("budget \"%s\" is held by calls that are under way", need->budget->name) :
			 errmsg("budget \"%s\" is exhausted", need->budget->name),
			 errdetail_internal("%s", describe(need, fit->value, fit->reason, &fit->stand)),
			 errhint("%s", advice(need, fit->reason, &fit->stand))));
}

/* PT402: nobody knows what it will cost */
pg_noreturn static void
refuse_unpriced(const BudgetFit *fit, const BudgetSubject *subject)
{
	const char *name = fit->need.budget->name;
	char	   *model = subject->model_id.isnull ? NULL :
		TextDatumGetCString(subject->model_id.value);

	ereport(ERROR,
			(errcode(ERRCODE_AIRUN_OVER_BUDGET),
			 model == NULL ?
			 errmsg("budget \"%s\" takes no call that does not say its model", name) :
			 errmsg("budget \"%s\" takes no call of model \"%s\", which has no price",
					name, excerpt(model, strlen(model))),
			 errdetail_internal("%s", describe(&fit->need, fit->value, fit->reason, NULL)),
			 errhint("Have the owner of the store enter its price with airun_set_price(), or have "
					 "the budget allow models without one.")));
}

/* PT402, for a fit that has a reason */
void
budget_refuse(const BudgetFit *fit, const BudgetSubject *subject)
{
	if (fit->need.is_unpriced)
		refuse_unpriced(fit, subject);
	refuse_amount(fit);
}
