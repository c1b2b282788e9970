/*
 * budget.c
 *		Budgets that are new, and the check of their counters.
 *
 * airun_set_budget() and airun_check_budgets() do their work in SQL (budget.sql).  Here
 * is what that asks of the rules by which tasks start (budget_rules.c).
 *
 * Locks: the row of the task or call; the caller has locked its table.
 */
#include "budget/budget.h"

#include "budget/budget_counter.h"
#include "budget/decimal.h"
#include "catalog/pg_type.h"
#include "json/jsonb_util.h"
#include "store/store.h"
#include "usage/rollup.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(airun_store_hold_open);
PG_FUNCTION_INFO_V1(airun_check_budgets);

/* What budgets ask of a task or call, as columns of t */
#define SUBJECT_COLUMNS \
	"t.user_id, t.service, t.task_name, t.provider, t.endpoint, t.model_id, t.metadata, " \
	"t.created_at"

static Field
result_field(int column)
{
	Field		field;

	field.value = result_value(0, column, &field.isnull);
	return field;
}

/* Read a task, or without a run a call; false where there is none */
static bool
read_subject(const pg_uuid_t *run_id, const pg_uuid_t *id, BudgetSubject *subject)
{
	static Statement task = {
		"SELECT " SUBJECT_COLUMNS ", NULL::pg_catalog.text FROM airun.tasks AS t "
		"WHERE t.run_id" EQ "$1 AND t.task_id" EQ "$2",
		2, {UUIDOID, UUIDOID}
	};
	static Statement call = {
		"SELECT " SUBJECT_COLUMNS ", t.source_type FROM airun.calls AS t "
		"WHERE $1 IS NULL AND t.id" EQ "$2",
		2, {UUIDOID, UUIDOID}
	};
	Args		args = {0};

	arg_uuid(&args, run_id);
	arg_uuid(&args, id);
	if (statement_write_as_owner(run_id != NULL ? &task : &call, &args,
								 store_table_owner("tasks")) != 1)
		return false;
	*subject = (BudgetSubject) {
		.run_id = run_id,
		.user_id = result_field(1),
		.service = result_field(2),
		.task_name = result_field(3),
		.provider = result_field(4),
		.endpoint = result_field(5),
		.model_id = result_field(6),
		.metadata = result_field(7),
		.at = DatumGetTimestampTz(result_field(8).value),
		.source_type = result_field(9),
		.request_data = {(Datum) 0, true},
		.is_paid = true,
	};
	return true;
}

static const Budget *
find_budget(int64 id)
{
	const Budget *budgets;
	int			count = budget_rules_open(&budgets);

	for (int i = 0; i < count; i++)
	{
		if (budgets[i].id == id)
			return &budgets[i];
	}
	ereport(ERROR,
			(errcode(ERRCODE_AIRUN_NOT_FOUND),
			 errmsg("there is no budget " INT64_FORMAT " in force", id),
			 errhint("airun_set_budget() makes one.")));
}

/* The holds of a task or call in one budget: of nothing, but where calls are counted */
static Jsonb *
holds_of_open(const Budget *budget, const BudgetSubject *subject)
{
	RunFacts	facts = {0};
	List	   *values = budget_values(budget, subject, &facts);
	Period		period = period_of(&budget->period, subject->at);
	Numeric		zero = decimal_of(0);
	Numeric		held = decimal_of(budget->measure == MEASURE_CALLS ? 1 : 0);
	int			numbers = budget->measure == MEASURE_CALLS ? 1 :
		budget->measure == MEASURE_TOKENS ? 2 : 3;
	JsonbBuilder builder = {0};
	ListCell   *cell;

	jsonb_begin_array(&builder);
	foreach(cell, values)
	{
		CounterKey	key = counter_key(budget, lfirst(cell), period.key, subject);
		int64		counter = counter_find(&key, false);

		if (budget->measure == MEASURE_CALLS)
			counter_change(counter, &(CounterChange) {held, zero, zero, zero});
		jsonb_begin_array(&builder);
		jsonb_put_numeric(&builder, decimal_of(counter), true);
		jsonb_put_numeric(&builder, held, true);
		for (int i = 1; i < numbers; i++)
			jsonb_put_numeric(&builder, zero, true);
		jsonb_close(&builder, true);
	}
	jsonb_close(&builder, true);
	return jsonb_finish(&builder);
}

/*
 * airun_store_hold_open(budget_id, run_id, id) returns void
 *
 * Has a task, or without a run a call, that has not ended count in a budget that is new.
 */
Datum
airun_store_hold_open(PG_FUNCTION_ARGS)
{
#define ADD_HOLDS \
	" SET holds = pg_catalog.replace((COALESCE(t.holds, '[]')::pg_catalog.jsonb " \
	"OPERATOR(pg_catalog.||) $3)::pg_catalog.text, ' ', '') WHERE "
	static Statement task = {
		"UPDATE airun.tasks AS t" ADD_HOLDS "t.run_id" EQ "$1 AND t.task_id" EQ "$2",
		3, {UUIDOID, UUIDOID, JSONBOID}
	};
	static Statement call = {
		"UPDATE airun.calls AS t" ADD_HOLDS "$1 IS NULL AND t.id" EQ "$2",
		3, {UUIDOID, UUIDOID, JSONBOID}
	};
	pg_uuid_t  *run_id = PG_ARGISNULL(1) ? NULL : PG_GETARG_UUID_P(1);
	BudgetSubject subject;
	Jsonb	   *holds;
	Args		args = {0};

	if (PG_ARGISNULL(0) || PG_ARGISNULL(2))
		PG_RETURN_VOID();
	store_require_owner("airun_store_hold_open");
	store_open(false);
	if (read_subject(run_id, PG_GETARG_UUID_P(2), &subject))
	{
		holds = holds_of_open(find_budget(PG_GETARG_INT64(0)), &subject);
		arg_uuid(&args, run_id);
		arg_uuid(&args, PG_GETARG_UUID_P(2));
		arg_pointer(&args, holds);
		if (JB_ROOT_COUNT(holds) > 0 && run_id != NULL)
			statement_write_task_as_owner(&task, &args, run_id, PG_GETARG_UUID_P(2),
										  store_table_owner("tasks"));
		else if (JB_ROOT_COUNT(holds) > 0)
			statement_write_as_owner(&call, &args, store_table_owner("calls"));
	}
	store_close();
	PG_RETURN_VOID();
}

/* airun_check_budgets() returns setof ai_problem */
Datum
airun_check_budgets(PG_FUNCTION_ARGS)
{
	static Statement check = {
		"SELECT p.* FROM " EXTSCHEMA ".airun_store_budget_problems() AS p", 0, {0}
	};

	return problems_as_owner(fcinfo, &check);
}
