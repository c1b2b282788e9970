/*
 * budget_status.c
 *		How budgets stand, and whether a call would fit.
 *
 * A user is told of the budgets of users, as far as they are his own: what others have
 * used of a budget for all is nobody's business but the owner's and reporters'.  Who
 * asks whether a call would fit is told by all budgets that it would count in, as a
 * refusal would.  Amounts are told where the budget shows them.
 *
 * A page of the usage has the same, of each budget the fullest counters.
 *
 * Read as the owner of the tables, who alone may read them.  Nothing is locked.
 *
 * Errors: PT404 for a run that the caller cannot see.
 */
#include "airun.h"

#include "access/xact.h"
#include "budget/budget_fit.h"
#include "budget/budget_status.h"
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

/*
 * Budgets in force, "b", in their current periods, "p", with counters, "c": $1 the
 * only name, $2 whether the caller sees all, $3 the caller, $4 the time.
 */
#define STANDING(counters) \
	"FROM airun.budgets AS b CROSS JOIN LATERAL " \
	EXTSCHEMA ".airun_store_period(b.period, b.zone, b.anchor, $4) AS p " \
	"LEFT JOIN LATERAL (" counters ") AS c ON true " \
	"WHERE b.valid_to IS NULL AND ($1 IS NULL OR b.name" EQ "$1) AND ($2 OR (" \
	"b.scope" EQ "'user' AND $3 IS NOT NULL AND (b.scope_value IS NULL OR " \
	"b.scope_value" EQ "$3))) "
#define COUNTERS(value) \
	"SELECT q.value, pg_catalog.sum(q.credit) AS credit, " \
	"pg_catalog.sum(q.spent) AS spent, pg_catalog.sum(q.estimated) AS estimated, " \
	"pg_catalog.sum(q.held) AS held, " \
	"pg_catalog.sum(q.spent" PLUS "q.estimated" PLUS "q.held) AS used " \
	"FROM airun.budget_periods AS q WHERE q.budget_id" EQ "b.id " \
	"AND q.period_key" EQ "p.period_key AND " value " GROUP BY q.value"
#define VISIBLE			"($2 OR q.value" EQ "$3)"
#define VALUE \
	"COALESCE(c.value, CASE WHEN b.scope" EQ "'all' THEN '' " \
	"WHEN NOT $2 THEN $3 ELSE b.scope_value END)"
#define FINITE(time)	"CASE WHEN pg_catalog.isfinite(" time ") THEN " time " END"
#define SHOWN(amount) \
	"CASE WHEN $2 OR b.show_amounts THEN pg_catalog.trim_scale(" amount ") END"
#define LIMIT			"(b.amount" PLUS "COALESCE(c.credit, 0))"
#define REST			"(" LIMIT MINUS "COALESCE(c.used, 0))"
#define STANDING_ARGS	TEXTOID, BOOLOID, TEXTOID, TIMESTAMPTZOID

/* Run a statement over STANDING, whose further parameters follow in args */
static uint64
read_standing(Statement *read, Args *args, Oid function)
{
	statement_in_extension(read, function);
	return statement_as_owner_at(read, args, store_table_owner("budgets"), GetActiveSnapshot());
}

static void
standing_args(Args *args, const Field *name, bool all)
{
	pg_uuid_t	caller;

	arg_field(args, name);
	arg_add(args, BoolGetDatum(all), false);
	arg_pointer(args, caller_id(&caller) ? cstring_to_text(uuid_string(&caller)) : NULL);
	arg_time(args, GetCurrentStatementStartTimestamp());
}

/* airun_budget_status(budget) returns setof ai_budget */
Datum
airun_budget_status(PG_FUNCTION_ARGS)
{
	static Statement read = {
		"SELECT b.name, b.scope, " VALUE ", b.measure, b.mode, b.period, "
		FINITE("p.starts_at") ", " FINITE("p.ends_at") ", "
		SHOWN(LIMIT) ", " SHOWN("COALESCE(c.spent, 0)") ", " SHOWN("COALESCE(c.estimated, 0)") ", "
		SHOWN("COALESCE(c.held, 0)") ", " SHOWN(REST) ", " REST LE "0 "
		STANDING(COUNTERS(VISIBLE)) "ORDER BY b.name, c.value",
		4, {STANDING_ARGS}
	};
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Field		name = argument_field(fcinfo, 0);
	Args		args = {0};
	uint64		count;

	result_begin_rows(fcinfo, STATUS_COLUMNS);
	store_open(false);
	standing_args(&args, &name, sees_all());
	count = read_standing(&read, &args, fcinfo->flinfo->fn_oid);
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

static char *
standing_text(uint64 row, int column)
{
	return SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);
}

static int
standing_number(uint64 row, int column)
{
	bool		isnull;

	return (int) DatumGetInt64(result_value(row, column, &isnull));
}

/* A row of what budget_read_fullest() asks for */
static BudgetRow
standing_row(uint64 row)
{
	bool		isnull;

	return (BudgetRow) {
		.name = standing_text(row, 1),
		.scope = standing_text(row, 2),
		.value = standing_text(row, 3),
		.measure = standing_text(row, 4),
		.mode = standing_text(row, 5),
		.period = standing_text(row, 6),
		.resets_at = standing_text(row, 7),
		.amount = standing_text(row, 8),
		.spent = standing_text(row, 9),
		.held = standing_text(row, 10),
		.share = standing_text(row, 11),
		.is_exhausted = DatumGetBool(result_value(row, 12, &isnull)),
		.place = standing_number(row, 13),
		.counters = standing_number(row, 14),
		.rank = standing_number(row, 15),
		.budgets = standing_number(row, 16)
	};
}

/* The $7 fullest counters of a budget, by value and place; where the limit is 0, all are full */
#define FULL_AT	"(b.amount" PLUS "COALESCE(pg_catalog.sum(q.credit), 0))"
#define FULLEST \
	"SELECT h.value, pg_catalog.row_number() OVER w AS place FROM (SELECT g.* FROM (" \
	"SELECT q.value, pg_catalog.sum((q.spent" PLUS "q.estimated" PLUS "q.held)" \
	"::pg_catalog.float8) " \
	"OPERATOR(pg_catalog./) CASE WHEN " FULL_AT GT "0 THEN " FULL_AT \
	"::pg_catalog.float8 END AS share " \
	"FROM airun.budget_periods AS q WHERE q.budget_id" EQ "b.id " \
	"AND q.period_key" EQ "p.period_key AND " VISIBLE " GROUP BY q.value) AS g " \
	"ORDER BY " BY_SHARE("g") " LIMIT $7) AS h WINDOW w AS (ORDER BY " BY_SHARE("h") ")"
#define BY_SHARE(of)	of ".share DESC, " of ".value COLLATE pg_catalog.\"C\""

/*
 * The fullest counters of the budgets in force that have the fullest ones, a budget's one
 * after the other; with sees_all of everybody, otherwise the caller's own.  Returns how
 * many rows.  An amount that is not shown does not tell by its place either.
 */
int
budget_read_fullest(Oid function, bool all, const char *zone, int max_budgets, int max_counters,
					BudgetRow **rows)
{
	static Statement read = {
		"WITH s AS (SELECT b.id, p.period_key, b.name, COALESCE(b.scope_key, b.scope) AS scope, "
		"CASE WHEN " VALUE NE "'' THEN " VALUE " END AS value, b.measure, b.mode, b.period, "
		"pg_catalog.to_char(pg_catalog.timezone($5, " FINITE("p.ends_at") "), "
		"'YYYY-MM-DD HH24:MI') AS resets_at, "
		SHOWN(LIMIT) " AS amount, " SHOWN("COALESCE(c.spent" PLUS "c.estimated, 0)") " AS spent, "
		SHOWN("COALESCE(c.held, 0)") " AS held, "
		SHOWN("pg_catalog.round(CASE WHEN " LIMIT GT "0 THEN COALESCE(c.used, 0) "
			  "OPERATOR(pg_catalog./) " LIMIT " ELSE 1 END, 6)") " AS share, "
		REST LE "0 AS is_exhausted, COALESCE(c.place, 1) AS place "
		STANDING("SELECT e.*, f.place FROM (" FULLEST ") AS f CROSS JOIN LATERAL ("
				 COUNTERS("q.value" EQ "f.value") ") AS e") "), "
		"t AS (SELECT s.*, pg_catalog.max(s.share) OVER (PARTITION BY s.id) AS fullest FROM s), "
		"u AS (SELECT t.*, pg_catalog.dense_rank() OVER (ORDER BY t.fullest DESC NULLS LAST, "
		"t.name COLLATE pg_catalog.\"C\") AS rank FROM t), "
		"v AS (SELECT u.*, pg_catalog.max(u.rank) OVER () AS budgets FROM u) "
		"SELECT v.name, v.scope, v.value, v.measure, v.mode, v.period, v.resets_at, "
		"v.amount, v.spent, v.held, v.share, v.is_exhausted, v.place, "
		"CASE WHEN v.place" LT "$7 THEN v.place ELSE ("
		"SELECT pg_catalog.count(*) FROM (SELECT DISTINCT q.value FROM airun.budget_periods AS q "
		"WHERE q.budget_id" EQ "v.id AND q.period_key" EQ "v.period_key AND " VISIBLE
		") AS n) END, v.rank, v.budgets "
		"FROM v WHERE v.rank" LE "$6 ORDER BY v.rank, v.place",
		7, {STANDING_ARGS, TEXTOID, INT8OID, INT8OID}
	};
	Field		any = {(Datum) 0, true};
	Args		args = {0};
	int			count;

	standing_args(&args, &any, all);
	arg_pointer(&args, cstring_to_text(zone));
	arg_int64(&args, max_budgets);
	arg_int64(&args, max_counters);
	count = (int) read_standing(&read, &args, function);
	*rows = palloc_array(BudgetRow, Max(count, 1));
	for (int i = 0; i < count; i++)
		(*rows)[i] = standing_row(i);
	return count;
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
