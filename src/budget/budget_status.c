/*
 * budget_status.c
 *		How budgets stand, and whether a call would fit.
 *
 * A user is told of the budgets of users, as far as they are his own: what others have
 * used of a budget for all is nobody's business but the owner's and reporters'.  Who
 * asks whether a call would fit is told by all budgets that it would count in, as a
 * refusal would.  Amounts are told where the budget shows them.
 *
 * Read as the owner of the tables, who alone may read them.  Nothing is locked.
 *
 * Errors: PT404 for a run that the caller cannot see.
 */
#include "airun.h"

#include "access/xact.h"
#include "budget/budget_fit.h"
#include "budget/decimal.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "run/run.h"
#include "store/identity.h"
#include "store/store.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(airun_budget_status);
PG_FUNCTION_INFO_V1(airun_budget_check);

/* The columns of ai_budget and of ai_budget_fit */
#define STATUS_COLUMNS	14
#define FIT_COLUMNS		8

/* May the caller see what everybody has used? */
static bool
sees_all(void)
{
	return !store_binds_caller() ||
		pg_class_aclcheck(store_table_oid("usage_daily"), GetUserId(), ACL_SELECT) == ACLCHECK_OK;
}

/* airun_budget_status(budget) returns setof ai_budget */
Datum
airun_budget_status(PG_FUNCTION_ARGS)
{
#define FINITE(time)	"CASE WHEN pg_catalog.isfinite(" time ") THEN " time " END"
#define SHOWN(amount) \
	"CASE WHEN $2 OR b.show_amounts THEN pg_catalog.trim_scale(" amount ") END"
#define LIMIT			"(b.amount" PLUS "COALESCE(c.credit, 0))"
#define REST			"(" LIMIT MINUS "COALESCE(c.used, 0))"
	static Statement read = {
		"SELECT b.name, b.scope, COALESCE(c.value, CASE WHEN b.scope" EQ "'all' THEN '' "
		"WHEN NOT $2 THEN $3 ELSE b.scope_value END), "
		"b.measure, b.mode, b.period, " FINITE("p.starts_at") ", " FINITE("p.ends_at") ", "
		SHOWN(LIMIT) ", " SHOWN("COALESCE(c.spent, 0)") ", " SHOWN("COALESCE(c.estimated, 0)") ", "
		SHOWN("COALESCE(c.held, 0)") ", " SHOWN(REST) ", " REST LE "0 "
		"FROM airun.budgets AS b CROSS JOIN LATERAL "
		EXTSCHEMA ".airun_store_period(b.period, b.zone, b.anchor, $4) AS p "
		"LEFT JOIN LATERAL (SELECT q.value, pg_catalog.sum(q.credit) AS credit, "
		"pg_catalog.sum(q.spent) AS spent, pg_catalog.sum(q.estimated) AS estimated, "
		"pg_catalog.sum(q.held) AS held, "
		"pg_catalog.sum(q.spent" PLUS "q.estimated" PLUS "q.held) AS used "
		"FROM airun.budget_periods AS q WHERE q.budget_id" EQ "b.id "
		"AND q.period_key" EQ "p.period_key AND ($2 OR q.value" EQ "$3) GROUP BY q.value) AS c ON true "
		"WHERE b.valid_to IS NULL AND ($1 IS NULL OR b.name" EQ "$1) AND ($2 OR (b.scope" EQ "'user' "
		"AND $3 IS NOT NULL AND (b.scope_value IS NULL OR b.scope_value" EQ "$3))) "
		"ORDER BY b.name, c.value",
		4, {TEXTOID, BOOLOID, TEXTOID, TIMESTAMPTZOID}
	};
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Field		name = argument_field(fcinfo, 0);
	pg_uuid_t	caller;
	Args		args = {0};
	uint64		count;

	result_begin_rows(fcinfo, STATUS_COLUMNS);
	store_open(false);
	arg_field(&args, &name);
	arg_add(&args, BoolGetDatum(sees_all()), false);
	arg_pointer(&args, caller_id(&caller) ? cstring_to_text(uuid_string(&caller)) : NULL);
	arg_time(&args, GetCurrentStatementStartTimestamp());
	statement_in_extension(&read, fcinfo->flinfo->fn_oid);
	count = statement_as_owner_at(&read, &args, store_table_owner("budgets"), GetActiveSnapshot());
	for (uint64 i = 0; i < count; i++)
	{
		Datum		values[STATUS_COLUMNS];
		bool		nulls[STATUS_COLUMNS];

		for (int column = 0; column < STATUS_COLUMNS; column++)
			values[column] = result_value(i, column + 1, &nulls[column]);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	store_close();
	return (Datum) 0;
}

/* PT404 unless the caller sees the run */
static void
require_run(const pg_uuid_t *run_id)
{
	static Statement find = {
		"SELECT FROM airun.runs AS r WHERE " LIVE_RUN, 1, {UUIDOID}
	};
	Args		args = {0};

	arg_uuid(&args, run_id);
	if (statement_read(&find, &args, 0) != 1)
		run_not_found(run_id);
}

/* One row of airun_budget_check() */
static void
put_fit(ReturnSetInfo *rsinfo, const BudgetFit *fit, bool is_shown)
{
	const BudgetNeed *need = &fit->need;
	int64		affordable = need->is_unpriced ? -1 : budget_affordable(need, &fit->stand);
	Datum		values[FIT_COLUMNS] = {
		CStringGetTextDatum(need->budget->name),
		CStringGetTextDatum(fit->value),
		BoolGetDatum(fit->reason == NULL),
		fit->reason == NULL ? (Datum) 0 : CStringGetTextDatum(fit->reason),
		decimal_trim(need->amount),
		decimal_trim(budget_remaining(&fit->stand)),
		Int64GetDatum(affordable),
		TimestampTzGetDatum(need->resets_at)
	};
	bool		nulls[FIT_COLUMNS] = {
		false, false, false, fit->reason == NULL, !is_shown || need->is_unpriced, !is_shown,
		!is_shown || affordable < 0, TIMESTAMP_NOT_FINITE(need->resets_at)
	};

	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * airun_budget_check(model_id, provider, request_data, run_id, service, task_name,
 * metadata) returns setof ai_budget_fit
 *
 * The tightest budget first, which is the one that a refusal would name.
 */
Datum
airun_budget_check(PG_FUNCTION_ARGS)
{
	BudgetSubject subject = {
		.run_id = PG_ARGISNULL(3) ? NULL : PG_GETARG_UUID_P(3),
		.user_id = {(Datum) 0, true},
		.source_type = {(Datum) 0, true},
		.model_id = argument_field(fcinfo, 0),
		.provider = argument_field(fcinfo, 1),
		.endpoint = {(Datum) 0, true},
		.request_data = json_argument(fcinfo, 2),
		.service = argument_field(fcinfo, 4),
		.task_name = argument_field(fcinfo, 5),
		.metadata = json_argument(fcinfo, 6),
		.at = GetCurrentStatementStartTimestamp(),
	};
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	const Budget *budgets = NULL;
	pg_uuid_t	caller;
	int			count;
	List	   *fits;
	ListCell   *cell;

	result_begin_rows(fcinfo, FIT_COLUMNS);
	store_open(false);
	if (caller_id(&caller))
		subject.user_id = (Field) {UUIDPGetDatum(&caller), false};
	if (subject.run_id != NULL)
		require_run(subject.run_id);
	count = airun_budget_enforce ? budget_rules_open(&budgets) : 0;
	fits = budget_fits(&subject, budgets, count);
	foreach(cell, fits)
	{
		budget_fit_look(lfirst(cell), GetActiveSnapshot());
	}
	list_sort(fits, budget_fit_order);
	foreach(cell, fits)
	{
		const BudgetFit *fit = lfirst(cell);

		put_fit(rsinfo, fit, fit->need.budget->show_amounts || sees_all());
	}
	store_close();
	return (Datum) 0;
}
