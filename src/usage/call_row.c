/*
 * call_row.c
 *		Rows of airun.calls, and what the ledger and budgets are told of them.
 *
 * Nobody but the owner of the store may write the table, and so it is in his name that
 * rows are read and written here; the callers of this answer for the right to.  A call
 * that begins holds of the budgets that it counts in; what becomes of its charge is
 * entered (ledger.c), and told to these (budget_hold.c).
 *
 * Locks: the call's row, and then counters of budgets.
 *
 * Errors: PT402 for a call that begins and does not fit into a budget.
 */
#include "usage/call_row.h"

#include "budget/budget.h"
#include "lib/stringinfo.h"
#include "shard/shard_call.h"
#include "store/store.h"
#include "task/task.h"
#include "usage/ledger.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

const CallColumn call_columns[CALL_COLUMNS] = {
#define CALL_DEFINITION(name, type, ...)	{#name, type},
	CALL_LIST(CALL_DEFINITION)
};

/* Those of ai_call, in order */
#define CALL_RESULT \
	"c.id, c.user_id, c.kind, c.source_type, c.service, c.task_name, c.provider, c.endpoint, " \
	"c.model_id, c.status, c.error_code, c.tokens_input, c.tokens_output, c.tokens_total, " \
	"c.usage, c.cost, c.cost_details, c.price_status, c.client_cost, c.time_to_first_token, " \
	"c.total_time, c.served_model, c.service_tier, c.billed, c.provider_cost, c.region, " \
	"c.speed, c.usage_buckets, c.metadata, c.timeout, c.created_at, c.updated_at, " \
	"c.completed_at"

static const Field absent = {(Datum) 0, true};

/* The columns in a statement, as CALL_COLUMNS says, each behind something */
static void
append_names(StringInfo sql, const char *before)
{
	for (int i = 0; i < CALL_COLUMNS; i++)
		appendStringInfo(sql, "%s%s%s", i > 0 ? ", " : "", before, call_columns[i].name);
}

static void
append_parameters(StringInfo sql)
{
	for (int i = 0; i < CALL_COLUMNS; i++)
		appendStringInfo(sql, "%s$%d", i > 0 ? ", " : "", i + 1);
}

/* Write a row by one of the two statements.  Returns whether one was written. */
static bool
write_row(Statement *statement, const char *begin, const char *middle, const char *end,
		  const CallRow *row, ResultRow *result)
{
	Args		args = {0};

	if (statement->sql == NULL)
	{
		StringInfoData sql;

		initStringInfo(&sql);
		appendStringInfoString(&sql, begin);
		append_names(&sql, "");
		appendStringInfoString(&sql, middle);
		append_parameters(&sql);
		appendStringInfo(&sql, "%s RETURNING " CALL_RESULT, end);
		for (int i = 0; i < CALL_COLUMNS; i++)
			statement->argtypes[i] = call_columns[i].type;
		statement->nargs = CALL_COLUMNS;
		statement->sql = MemoryContextStrdup(TopMemoryContext, sql.data);
	}
	for (int i = 0; i < CALL_COLUMNS; i++)
		arg_field(&args, &row->field[i]);
	if (statement_write_as_owner(statement, &args, store_table_owner("calls")) != 1)
		return false;
	*result = result_row();
	return true;
}

#define WORD_OF_ROW(name)	entry->name = row->field[CALL_##name];

/* The ledger's entry of a call that has ended */
static void
entry_of(const CallRow *row, UsageEntry *entry)
{
	memset(entry, 0, sizeof(UsageEntry));
	entry->at = DatumGetTimestampTz(row->field[CALL_created_at].value);
	entry->kind = TextDatumGetCString(row->field[CALL_kind].value);
	entry->charge_id = *DatumGetUUIDP(row->field[CALL_id].value);
	entry->user_id = row->field[CALL_user_id];
	USAGE_WORD_LIST(WORD_OF_ROW)
	entry->cost = row->field[CALL_cost];
	usage_set_tokens(entry, &row->field[CALL_tokens_total], &row->field[CALL_tokens_output],
					 &row->field[CALL_usage_buckets]);
	usage_set_times(entry, &row->field[CALL_time_to_first_token], &row->field[CALL_total_time]);
}

/* A call, as far as its holds ask */
static BudgetState
budget_state_of(const CallRow *row)
{
	TaskStatus	status = task_status_word(DatumGetTextPP(row->field[CALL_status].value));

	return (BudgetState) {
		.holds = row->field[CALL_holds],
		.has_ended = !row->field[CALL_completed_at].isnull,
		.is_completed = status == TASK_COMPLETED,
		.cost = row->field[CALL_cost],
		.tokens = row->field[CALL_tokens_total],
	};
}

/* Tell budgets of a call that has changed; one that is new, or that has gone, has NULL there */
static void
settle_budgets(const CallRow *before, const CallRow *after)
{
	BudgetState was;
	BudgetState is;

	if (after != NULL && after->field[CALL_holds].isnull)
		return;
	if (after == NULL && before != NULL && before->field[CALL_holds].isnull)
		return;
	if (before != NULL)
		was = budget_state_of(before);
	if (after != NULL)
		is = budget_state_of(after);
	budget_settle(before != NULL ? &was : NULL, after != NULL ? &is : NULL);
}

/* Hold of the budgets that a call counts in which is about to be inserted, or PT402 */
static void
hold_of_budgets(CallRow *row)
{
	BudgetSubject subject = {
		.user_id = row->field[CALL_user_id],
		.source_type = row->field[CALL_source_type],
		.service = row->field[CALL_service],
		.task_name = row->field[CALL_task_name],
		.provider = row->field[CALL_provider],
		.endpoint = row->field[CALL_endpoint],
		.model_id = row->field[CALL_model_id],
		.metadata = row->field[CALL_metadata],
		.request_data = absent,
		.at = DatumGetTimestampTz(row->field[CALL_created_at].value),
		.is_tool = strcmp(TextDatumGetCString(row->field[CALL_kind].value), "tool") == 0,
		.is_paid = !row->field[CALL_completed_at].isnull,
	};

	row->field[CALL_holds] = budget_take(&subject);
}

/* Insert a call, unless there is one with its id; one that has ended is entered */
bool
call_insert(CallRow *row, ResultRow *result)
{
	static Statement insert;
	UsageEntry	entry;

	shard_check_id(DatumGetUUIDP(row->field[CALL_id].value));
	hold_of_budgets(row);
	if (!write_row(&insert, "INSERT INTO airun.calls AS c (", ") VALUES (",
				   ") ON CONFLICT (id) DO NOTHING", row, result))
	{
		if (row->field[CALL_completed_at].isnull)
			settle_budgets(row, NULL);
		return false;
	}
	if (!row->field[CALL_completed_at].isnull)
	{
		entry_of(row, &entry);
		usage_write_entry(&entry, 1);
		settle_budgets(NULL, row);
	}
	return true;
}

/* Write a call that is locked, and enter what becomes of its charge */
void
call_update(const CallRow *before, const CallRow *row, ResultRow *result)
{
	static Statement update;
	UsageEntry	was;
	UsageEntry	is;

	if (!write_row(&update, "UPDATE airun.calls AS c SET (", ") = ROW (",
				   ") WHERE c.id" EQ "$1", row, result))
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
				 errmsg("a trigger on airun.calls has suppressed a change")));
	entry_of(row, &is);
	if (before->field[CALL_completed_at].isnull)
		usage_write_entry(&is, 1);
	else
	{
		entry_of(before, &was);
		usage_write_change(&was, &is);
	}
	settle_budgets(before, row);
}

/* Lock the caller's call of this id and read it; or return false */
bool
call_lock(const Caller *caller, const pg_uuid_t *id, CallRow *row)
{
	static Statement lock = {NULL, 3, {UUIDOID, BOOLOID, UUIDOID}};
	Args		args = {0};

	if (lock.sql == NULL)
	{
		StringInfoData sql;

		initStringInfo(&sql);
		appendStringInfoString(&sql, "SELECT ");
		append_names(&sql, "c.");
		appendStringInfoString(&sql, " FROM airun.calls AS c WHERE c.id" EQ "$1 "
							   "AND (NOT $2 OR c.user_id" EQ "$3) FOR NO KEY UPDATE OF c");
		lock.sql = MemoryContextStrdup(TopMemoryContext, sql.data);
	}
	arg_uuid(&args, id);
	arg_add(&args, BoolGetDatum(caller->is_bound), false);
	arg_field(&args, &caller->user_id);
	if (statement_write_as_owner(&lock, &args, store_table_owner("calls")) != 1)
		return false;
	for (int i = 0; i < CALL_COLUMNS; i++)
		row->field[i].value = result_value(0, i + 1, &row->field[i].isnull);
	return true;
}

/* The call as it stands */
ResultRow
call_read(const pg_uuid_t *id)
{
	static Statement read = {
		"SELECT " CALL_RESULT " FROM airun.calls AS c WHERE c.id" EQ "$1", 1, {UUIDOID}
	};
	Args		args = {0};

	arg_uuid(&args, id);
	(void) statement_write_as_owner(&read, &args, store_table_owner("calls"));
	return result_row();
}

/*
 * Is there a call of this id, anybody's?  Then it is begun by nobody again, and holds
 * nothing more.
 */
bool
call_is_there(const pg_uuid_t *id)
{
	static Statement find = {
		"SELECT FROM airun.calls AS c WHERE c.id" EQ "$1", 1, {UUIDOID}
	};
	Args		args = {0};

	arg_uuid(&args, id);
	return statement_write_as_owner(&find, &args, store_table_owner("calls")) == 1;
}
