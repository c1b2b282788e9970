/*
 * utility_call.c
 *		Calls of models and tools that belong to no run.
 *
 * A title that is made, a prompt that is improved, a search of the web: what such
 * a call has used and cost is kept, and nothing of what was said.  Of a usage the
 * figures and single words are kept; metadata has a kilobyte at most.  A call is
 * described, counted and charged as a task is (end_stated.c), and its end is as
 * final: it takes what it lacked, and an expiry gives way to the end of who works
 * on it.  A tool has no price as a rule: the cost that is stated is its cost, then.
 *
 * What has been paid for is always taken: what is wrong with what is said about it
 * is left out, with the reason in cost_details.  Only a beginning is refused for it.
 *
 * No two calls have a row in common, so that any number of them goes on at once: the
 * ledger's entries (ledger.c) are rows of their own.
 *
 * Nobody but the owner of the store may write airun.calls, and so it is in his name
 * that they are written here; the caller must be one who may create tasks, and the
 * call his own, unless row security does not bind him.
 *
 * Locks: the call's row.  airun_expire_calls() waits for none.
 *
 * Errors: PT401 when nobody is calling, 42501 for who may not create tasks; PT404
 * for a call that is not there, or not the caller's; PT409 for what stands
 * otherwise, and for ids that are taken; PT422 for values.
 */
#include "usage/utility_call.h"

#include "catalog/pg_type.h"
#include "json/json_text.h"
#include "json/jsonb_copy.h"
#include "json/jsonb_util.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "shard/shard_call.h"
#include "store/identity.h"
#include "store/store.h"
#include "task/end_stated.h"
#include "task/lease.h"
#include "usage/call_content.h"
#include "upkeep/upkeep.h"
#include "usage/ledger.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(airun_meter);
PG_FUNCTION_INFO_V1(airun_start_call);
PG_FUNCTION_INFO_V1(airun_end_call);
PG_FUNCTION_INFO_V1(airun_expire_calls);

/* The most that one call expires */
#define MAX_EXPIRED		10000

/*
 * What a caller states about a call as such, which is never changed, each as
 * COLUMN(name, type, longest)
 */
#define NATURE_LIST(COLUMN) \
	COLUMN(kind, TEXTOID, 0) \
	COLUMN(source_type, TEXTOID, MAX_TASK_WORD) \
	COLUMN(service, TEXTOID, MAX_TASK_WORD) \
	COLUMN(task_name, TEXTOID, MAX_TASK_WORD) \
	COLUMN(provider, TEXTOID, MAX_TASK_WORD) \
	COLUMN(endpoint, TEXTOID, MAX_ENDPOINT) \
	COLUMN(model_id, TEXTOID, MAX_TASK_WORD)

/* What its end states, and TaskEnd has by the same name */
#define STATED_LIST(COLUMN) \
	COLUMN(usage, JSONBOID) \
	COLUMN(usage_buckets, JSONBOID) \
	COLUMN(tokens_input, INT8OID) \
	COLUMN(tokens_output, INT8OID) \
	COLUMN(time_to_first_token, NUMERICOID) \
	COLUMN(total_time, NUMERICOID) \
	COLUMN(served_model, TEXTOID) \
	COLUMN(service_tier, TEXTOID) \
	COLUMN(region, TEXTOID) \
	COLUMN(speed, TEXTOID) \
	COLUMN(billed, BOOLOID) \
	COLUMN(provider_cost, NUMERICOID)

/* The columns of airun.calls */
#define CALL_LIST(COLUMN) \
	COLUMN(id, UUIDOID) COLUMN(user_id, UUIDOID) \
	NATURE_LIST(COLUMN) \
	COLUMN(status, TEXTOID) COLUMN(error_code, TEXTOID) \
	STATED_LIST(COLUMN) \
	COLUMN(tokens_total, INT8OID) COLUMN(cost, NUMERICOID) COLUMN(cost_details, JSONBOID) \
	COLUMN(price_status, TEXTOID) COLUMN(client_cost, NUMERICOID) \
	COLUMN(metadata, JSONBOID) COLUMN(timeout, INTERVALOID) \
	COLUMN(created_at, TIMESTAMPTZOID) COLUMN(updated_at, TIMESTAMPTZOID) \
	COLUMN(completed_at, TIMESTAMPTZOID)

#define CALL_NUMBER(name, ...)	CALL_##name,
enum
{
	CALL_LIST(CALL_NUMBER)
	CALL_COLUMNS
};

static const struct
{
	const char *name;
	Oid			type;
}			call_columns[] = {
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

/* A row of the table; what is not set is NULL */
typedef struct CallRow
{
	Field		field[CALL_COLUMNS];
} CallRow;

static const Field absent = {(Datum) 0, true};

static Field
word_field(const char *word)
{
	return (Field) {CStringGetTextDatum(word), false};
}

static Field
time_field(TimestampTz time)
{
	return (Field) {TimestampTzGetDatum(time), false};
}

static Field
document_field(const char *document)
{
	return (Field) {DirectFunctionCall1(jsonb_in, CStringGetDatum(document)), false};
}

/* ---------- what is stated ---------- */

/* PT422 unless it is a kind of call */
static void
check_kind(const Field *kind)
{
	char	   *word;

	if (kind->isnull)
		refuse_null("kind");
	word = TextDatumGetCString(kind->value);
	if (strcmp(word, "call") != 0 && strcmp(word, "tool") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("\"%s\" is not a kind of call", excerpt(word, strlen(word))),
				 errhint("It is \"call\", of a model, or \"tool\".")));
}

/* The end that a word means, or PT422 */
static TaskStatus
end_argument(FunctionCallInfo fcinfo, int i)
{
	TaskStatus	status;

	if (PG_ARGISNULL(i))
		refuse_null("status");
	status = task_status_word(PG_GETARG_TEXT_PP(i));
	if (!task_is_final(status))
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("\"%s\" is not an end of a call", task_status_name(status)),
				 errhint("A call ends as completed, error or cancelled.")));
	return status;
}

/* The arguments that airun_meter() and airun_end_call() have in one order, from usage on */
static void
take_figures(FunctionCallInfo fcinfo, int first, TaskEnd *end)
{
	end->usage = json_argument(fcinfo, first);
	end->tokens_input = argument_field(fcinfo, first + 1);
	end->tokens_output = argument_field(fcinfo, first + 2);
	end->tokens_total = argument_field(fcinfo, first + 3);
	end->cost = argument_decimal(fcinfo, first + 4);
	end->time_to_first_token = argument_decimal(fcinfo, first + 5);
	end->total_time = argument_decimal(fcinfo, first + 6);
}

/* And those from served_model on */
static void
take_served(FunctionCallInfo fcinfo, int first, TaskEnd *end)
{
	Field		error_code = argument_field(fcinfo, first + 4);

	end->served_model = argument_field(fcinfo, first);
	end->service_tier = argument_field(fcinfo, first + 1);
	end->billed = argument_field(fcinfo, first + 2);
	end->provider_cost = argument_decimal(fcinfo, first + 3);
	call_take_error_code(end, &error_code);
}

/* And those from service to model_id */
static void
take_names(FunctionCallInfo fcinfo, int first, CallRow *call)
{
	call->field[CALL_service] = argument_field(fcinfo, first);
	call->field[CALL_task_name] = argument_field(fcinfo, first + 1);
	call->field[CALL_provider] = argument_field(fcinfo, first + 2);
	call->field[CALL_endpoint] = argument_field(fcinfo, first + 3);
	call->field[CALL_model_id] = argument_field(fcinfo, first + 4);
}

#define LEAVE_OUT_LONG(name, type, longest) \
	if ((longest) > 0) leave_out_long(end, #name, &call->field[CALL_##name], longest);

static void
leave_out_long(TaskEnd *end, const char *name, Field *field, int longest)
{
	int			length = field->isnull ? 0 : text_chars(DatumGetTextPP(field->value));

	if (length > longest)
		end_leave_out(end, name, field,
					  psprintf("it has %d characters, more than %d", length, longest));
}

/* Leave out what cannot be kept of a call that has been paid for */
static void
settle_nature(TaskEnd *end, CallRow *call)
{
	Field	   *metadata = &call->field[CALL_metadata];
	const char *problem = call_metadata_problem(metadata);

	NATURE_LIST(LEAVE_OUT_LONG)
	if (problem != NULL)
		end_leave_out(end, "metadata", metadata, problem);
}

#define CHECK_LONG(name, type, longest) \
	if ((longest) > 0) check_length(#name, &call->field[CALL_##name], longest);

/* PT422 for what cannot be kept of a call that begins */
static void
check_nature(const CallRow *call)
{
	const Field *metadata = &call->field[CALL_metadata];

	NATURE_LIST(CHECK_LONG)
	check_object("metadata", metadata);
	task_check_timeout(&call->field[CALL_timeout]);
	if (call_metadata_problem(metadata) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("\"metadata\" is too long"),
				 errdetail("It has %d bytes; at most %d are allowed.",
						   call_document_length(metadata), CALL_MAX_METADATA),
				 errhint("Nothing of what is said to a model or by it belongs there.")));
}

/* ---------- the table ---------- */

/* Who is calling; and may he touch what others have? */
typedef struct Caller
{
	Field		user_id;
	pg_uuid_t	id;
	bool		is_bound;
} Caller;

/* Enter: store_open(), and 42501 for who may not create tasks */
static void
open_for(Caller *caller)
{
	store_open(true);
	store_require_rights("tasks", ACL_INSERT, "insert");
	caller->is_bound = store_binds_caller();
	caller->user_id = absent;
	if (caller_id(&caller->id))
		caller->user_id = (Field) {UUIDPGetDatum(&caller->id), false};
}

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

/* Insert a call, unless there is one with its id; one that has ended is entered */
static bool
insert_row(const CallRow *row, ResultRow *result)
{
	static Statement insert;
	UsageEntry	entry;

	shard_check_id(DatumGetUUIDP(row->field[CALL_id].value));
	if (!write_row(&insert, "INSERT INTO airun.calls AS c (", ") VALUES (",
				   ") ON CONFLICT (id) DO NOTHING", row, result))
		return false;
	if (!row->field[CALL_completed_at].isnull)
	{
		entry_of(row, &entry);
		usage_write_entry(&entry, 1);
	}
	return true;
}

/* Write a call that is locked, and enter what becomes of its charge */
static void
update_row(const CallRow *before, const CallRow *row, ResultRow *result)
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
}

/* Lock the caller's call of this id and read it; or return false */
static bool
lock_row(const Caller *caller, const pg_uuid_t *id, CallRow *row)
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
static ResultRow
read_row(const pg_uuid_t *id)
{
	static Statement read = {
		"SELECT " CALL_RESULT " FROM airun.calls AS c WHERE c.id" EQ "$1", 1, {UUIDOID}
	};
	Args		args = {0};

	arg_uuid(&args, id);
	(void) statement_write_as_owner(&read, &args, store_table_owner("calls"));
	return result_row();
}

/* ---------- its end ---------- */

#define STATE_OF_ROW(name, ...)	state->name = row->field[CALL_##name];
#define STATE_IS_ABSENT(name, ...)	state->name = absent;

/* A call as a task that has no run and no text */
static void
state_of(const CallRow *row, TaskState *state)
{
	const Field *error_code = &row->field[CALL_error_code];

	memset(state, 0, sizeof(TaskState));
	state->noun = "call";
	TASK_END_LIST(STATE_IS_ABSENT)
	STATE_OF_ROW(usage)
	STATE_OF_ROW(tokens_input)
	STATE_OF_ROW(tokens_output)
	STATE_OF_ROW(tokens_total)
	STATE_OF_ROW(cost)
	STATE_OF_ROW(time_to_first_token)
	STATE_OF_ROW(total_time)
	STATE_OF_ROW(served_model)
	STATE_OF_ROW(service_tier)
	STATE_OF_ROW(billed)
	STATE_OF_ROW(provider_cost)
	STATE_OF_ROW(region)
	STATE_OF_ROW(speed)
	STATE_OF_ROW(client_cost)
	STATE_OF_ROW(cost_details)
	STATE_OF_ROW(price_status)
	STATE_OF_ROW(provider)
	STATE_OF_ROW(model_id)
	STATE_OF_ROW(endpoint)
	STATE_OF_ROW(metadata)
	state->status = task_status_word(DatumGetTextPP(row->field[CALL_status].value));
	state->created_at = DatumGetTimestampTz(row->field[CALL_created_at].value);
	state->error = absent;
	if (!error_code->isnull)
	{
		text	   *code = DatumGetTextPP(error_code->value);

		state->error.value = JsonbPGetDatum(jsonb_set_string(NULL, "code", VARDATA_ANY(code),
															 VARSIZE_ANY_EXHDR(code)));
		state->error.isnull = false;
	}
}

/* A tool has no price as a rule: what is stated is what it costs, then */
static void
price_row(const CallRow *row, const TaskState *state, const TaskEnd *end, Charge *charge)
{
	bool		is_tool = strcmp(TextDatumGetCString(row->field[CALL_kind].value), "tool") == 0;
	const Field *stated = end->cost.isnull ? &state->client_cost : &end->cost;

	end_compute_charge(state, end, charge);
	if (!is_tool || !charge->cost.isnull || stated->isnull)
		return;
	charge->cost = *stated;
	charge->price_status = word_field("client");
}

#define ROW_OF_END(name, ...) \
	if (!end->name.isnull) \
		row->field[CALL_##name] = end->name;

/* What is stated goes to the row, with what it costs */
static void
put_end(CallRow *row, const TaskEnd *end, const Field *total, const Charge *charge)
{
	STATED_LIST(ROW_OF_END)
	if (!end->cost.isnull)
		row->field[CALL_client_cost] = end->cost;
	row->field[CALL_tokens_total] = *total;
	row->field[CALL_cost] = charge->cost;
	row->field[CALL_cost_details] = charge->cost_details;
	row->field[CALL_price_status] = charge->price_status;
	row->field[CALL_updated_at] = time_field(GetCurrentTimestamp());
}

/* The row of a call that ends now, by what is stated */
static void
end_row(CallRow *row, TaskState *state, TaskEnd *end)
{
	Field		total = end_resolve_total(state, end);
	Charge		cost;

	price_row(row, state, end, &cost);
	put_end(row, end, &total, &cost);
	row->field[CALL_status] = word_field(task_status_name(end->status));
	row->field[CALL_error_code] = call_error_code(&end->error);
	row->field[CALL_completed_at] = row->field[CALL_updated_at];
}

/*
 * What an end that is repeated states, and the call lacks, goes to its row: PT409
 * where something else stands.  Returns whether there was any.
 */
static bool
end_row_again(CallRow *row, TaskState *state, TaskEnd *end)
{
	const pg_uuid_t *id = DatumGetUUIDP(row->field[CALL_id].value);
	Field		total;
	Charge		cost = {
		.cost = state->cost,
		.cost_details = state->cost_details,
		.price_status = state->price_status
	};

	if (state->status != end->status)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_CONFLICT),
				 errmsg("call \"%s\" is %s and cannot become %s", uuid_string(id),
						task_status_name(state->status), task_status_name(end->status)),
				 errhint("An end is final; state what it lacks, such as its usage, with the status that it has.")));
	end_check_repeated(NULL, id, state, end);
	if (!end_leave_what_lacks(state, end))
		return false;
	total = end_late_total(state, end);
	if (end_changes_charge(end))
		price_row(row, state, end, &cost);
	put_end(row, end, &total, &cost);
	if (!end->error.isnull)
		row->field[CALL_error_code] = call_error_code(&end->error);
	return true;
}

/* End a call that is locked */
static ResultRow
end_locked(CallRow *row, TaskEnd *end)
{
	const pg_uuid_t *id = DatumGetUUIDP(row->field[CALL_id].value);
	const CallRow before = *row;
	TaskState	state;
	ResultRow	result;

	state_of(row, &state);
	task_count_stated(end, &state);
	call_keep_figures(end);
	if (task_takes_end(&state, end))
	{
		end_row(row, &state, end);
		if (end->total_time.isnull)
			row->field[CALL_total_time] = (Field) {
				NumericGetDatum(task_elapsed(state.created_at, GetCurrentTimestamp())), false
			};
	}
	else if (!end_row_again(row, &state, end))
		return read_row(id);
	update_row(&before, row, &result);
	return result;
}

/* ---------- the functions ---------- */

/* A call that begins now */
static void
begin_row(CallRow *row, const Caller *caller, const pg_uuid_t *id)
{
	Field		now = time_field(GetCurrentTimestamp());

	row->field[CALL_id] = (Field) {UUIDPGetDatum(id), false};
	row->field[CALL_user_id] = caller->user_id;
	row->field[CALL_status] = word_field(task_status_name(TASK_PENDING));
	if (row->field[CALL_metadata].isnull)
		row->field[CALL_metadata] = document_field("{}");
	row->field[CALL_created_at] = now;
	row->field[CALL_updated_at] = now;
}

static bool
same_word(const Field *a, const Field *b)
{
	return text_equal(DatumGetTextPP(a->value), DatumGetTextPP(b->value));
}

#define CHECK_NATURE(name, ...) \
	check_same(row, stated, CALL_##name);

/* PT409 where a call that stands is another one than what is stated */
static void
check_same(const CallRow *row, const CallRow *stated, int column)
{
	const Field *stands = &row->field[column];
	const Field *said = &stated->field[column];

	if (said->isnull || (!stands->isnull && same_word(stands, said)))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_AIRUN_CONFLICT),
			 errmsg("call \"%s\" is there already, with another \"%s\"",
					uuid_string(DatumGetUUIDP(row->field[CALL_id].value)),
					call_columns[column].name),
			 stands->isnull ? errdetail("It has none.") :
			 errdetail("What stands is \"%s\".", TextDatumGetCString(stands->value)),
			 errhint("Repeat a call only with the values that it had, or choose another id.")));
}

/* Lock the call that has the id, and is the same as is stated; PT409 for another one */
static void
lock_same(const Caller *caller, const pg_uuid_t *id, const CallRow *stated, CallRow *row)
{
	if (!lock_row(caller, id, row))
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_CONFLICT),
				 errmsg("call id \"%s\" is taken", uuid_string(id)),
				 errhint("Choose another id, or leave it out.")));
	NATURE_LIST(CHECK_NATURE)
}

static void
id_argument(FunctionCallInfo fcinfo, pg_uuid_t *id)
{
	pg_uuid_t	caller;

	if (PG_ARGISNULL(0))
		uuid_generate_for(id, caller_id(&caller) ? &caller : NULL);
	else
		*id = *PG_GETARG_UUID_P(0);
}

static void
clear_row(CallRow *row)
{
	for (int i = 0; i < CALL_COLUMNS; i++)
		row->field[i] = absent;
}

/* The end of a call that nobody has begun: what is stated stays as it is */
static void
end_new(CallRow *row, TaskEnd end)
{
	TaskState	state;

	state_of(row, &state);
	task_count_stated(&end, &state);
	call_keep_figures(&end);
	end_row(row, &state, &end);
}

/* airun_meter(call_id, service, ..., metadata) returns ai_call */
Datum
airun_meter(PG_FUNCTION_ARGS)
{
	TaskEnd		end;
	CallRow		stated;
	CallRow		row;
	Caller		caller;
	ResultRow	result;
	pg_uuid_t	id;
	Datum		call;

	check_argument_count(fcinfo, 22);
	id_argument(fcinfo, &id);
	end = task_end_nothing(end_argument(fcinfo, 13));
	clear_row(&stated);
	take_names(fcinfo, 1, &stated);
	take_figures(fcinfo, 6, &end);
	stated.field[CALL_kind] = argument_field(fcinfo, 14);
	stated.field[CALL_source_type] = argument_field(fcinfo, 15);
	take_served(fcinfo, 16, &end);
	stated.field[CALL_metadata] = json_argument(fcinfo, 21);
	check_kind(&stated.field[CALL_kind]);
	settle_nature(&end, &stated);
	task_check_end(&end);

	open_for(&caller);
	row = stated;
	begin_row(&row, &caller, &id);
	end_new(&row, end);
	if (!insert_row(&row, &result))
	{
		lock_same(&caller, &id, &stated, &row);
		result = end_locked(&row, &end);
	}
	call = result_row_composite(fcinfo, &result);
	store_close();
	PG_RETURN_DATUM(call);
}

/* airun_start_call(call_id, service, ..., timeout) returns ai_call */
Datum
airun_start_call(PG_FUNCTION_ARGS)
{
	CallRow		stated;
	CallRow		row;
	Caller		caller;
	ResultRow	result;
	pg_uuid_t	id;
	Datum		call;

	check_argument_count(fcinfo, 10);
	id_argument(fcinfo, &id);
	clear_row(&stated);
	take_names(fcinfo, 1, &stated);
	stated.field[CALL_kind] = argument_field(fcinfo, 6);
	stated.field[CALL_source_type] = argument_field(fcinfo, 7);
	stated.field[CALL_metadata] = json_argument(fcinfo, 8);
	stated.field[CALL_timeout] = argument_field(fcinfo, 9);
	check_kind(&stated.field[CALL_kind]);
	check_nature(&stated);

	open_for(&caller);
	row = stated;
	begin_row(&row, &caller, &id);
	if (!insert_row(&row, &result))
	{
		lock_same(&caller, &id, &stated, &row);
		result = read_row(&id);
	}
	call = result_row_composite(fcinfo, &result);
	store_close();
	PG_RETURN_DATUM(call);
}

/* airun_end_call(call_id, usage, ..., error_code) returns ai_call */
Datum
airun_end_call(PG_FUNCTION_ARGS)
{
	TaskEnd		end;
	CallRow		row;
	Caller		caller;
	ResultRow	result;
	pg_uuid_t  *id;
	Datum		call;

	check_argument_count(fcinfo, 14);
	if (PG_ARGISNULL(0))
		refuse_null("call_id");
	id = PG_GETARG_UUID_P(0);
	end = task_end_nothing(end_argument(fcinfo, 8));
	take_figures(fcinfo, 1, &end);
	take_served(fcinfo, 9, &end);
	task_check_end(&end);

	open_for(&caller);
	if (!lock_row(&caller, id, &row))
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_NOT_FOUND),
				 errmsg("call \"%s\" does not exist", uuid_string(id)),
				 errhint("Begin it with airun_start_call(), or record it with airun_meter().")));
	result = end_locked(&row, &end);
	call = result_row_composite(fcinfo, &result);
	store_close();
	PG_RETURN_DATUM(call);
}

/* ---------- calls that do not end ---------- */

/* End a call, which is locked, as one that nobody works on any more */
static void
expire(const Caller *caller, const pg_uuid_t *id)
{
	TaskEnd		end = task_end_nothing(TASK_ERROR);
	CallRow		row;

	end.error = document_field(EXPIRY_ERROR);
	if (lock_row(caller, id, &row))
		(void) end_locked(&row, &end);
}

/* airun_expire_calls(max_calls) returns integer */
Datum
airun_expire_calls(PG_FUNCTION_ARGS)
{
	static Statement find = {
		"SELECT c.id FROM airun.calls AS c WHERE c.completed_at IS NULL "
		"AND (c.updated_at" PLUS "COALESCE(c.timeout, $2))" LT "$1 "
		"AND (NOT $3 OR c.user_id" EQ "$4) ORDER BY c.updated_at LIMIT $5 "
		"FOR NO KEY UPDATE OF c SKIP LOCKED",
		5, {TIMESTAMPTZOID, INTERVALOID, BOOLOID, UUIDOID, INT8OID}
	};
	int64		max_calls;
	SPITupleTable *found;
	Caller		caller;
	Operator	operator;
	bool		is_operator;
	Args		args = {0};
	uint64		count;

	if (PG_ARGISNULL(0))
		refuse_null("max_calls");
	max_calls = PG_GETARG_INT64(0);
	if (max_calls < 1 || max_calls > MAX_EXPIRED)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("\"max_calls\" must be between 1 and %d, not " INT64_FORMAT,
						MAX_EXPIRED, max_calls),
				 errhint("Call airun_expire_calls() again for more.")));
	is_operator = operator_begin(&operator);
	open_for(&caller);
	arg_time(&args, GetCurrentTimestamp());
	arg_add(&args, lease_default_timeout(), false);
	arg_add(&args, BoolGetDatum(caller.is_bound), false);
	arg_field(&args, &caller.user_id);
	arg_int64(&args, max_calls);
	count = statement_write_as_owner(&find, &args, store_table_owner("calls"));
	found = SPI_tuptable;
	for (uint64 i = 0; i < count; i++)
	{
		bool		isnull;

		CHECK_FOR_INTERRUPTS();
		expire(&caller, DatumGetUUIDP(SPI_getbinval(found->vals[i], found->tupdesc, 1, &isnull)));
	}
	store_close();
	if (is_operator)
		operator_end(&operator);
	PG_RETURN_INT32((int32) count);
}

/* ---------- charged again ---------- */

static bool
same_amount(const Field *a, const Field *b)
{
	if (a->isnull || b->isnull)
		return a->isnull == b->isnull;
	return DatumGetBool(DirectFunctionCall2(numeric_eq, a->value, b->value));
}

/*
 * Give a call another charge, unless it has another cost by now than the one
 * before.  Returns whether it has been written.  For the owner of the store.
 */
bool
call_charge_again(const pg_uuid_t *id, const Field *before, const Charge *charge)
{
	const Caller owner = {.is_bound = false, .user_id = absent};
	CallRow		row;
	CallRow		charged;
	ResultRow	result;

	if (!lock_row(&owner, id, &row) || row.field[CALL_completed_at].isnull ||
		!same_amount(&row.field[CALL_cost], before))
		return false;
	charged = row;
	charged.field[CALL_cost] = charge->cost;
	charged.field[CALL_cost_details] = charge->cost_details;
	charged.field[CALL_price_status] = charge->price_status;
	update_row(&row, &charged, &result);
	return true;
}
