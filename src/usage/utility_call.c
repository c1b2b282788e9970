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
 * ledger's entries (ledger.c) are rows of their own.  Where there are budgets, they
 * have their counters (budget_counter.c).
 *
 * Who calls must be one who may create tasks, and the call his own, unless row security
 * does not bind him.
 *
 * Locks: the call's row, and then counters of budgets.  airun_expire_calls() waits for
 * no call, and comes to counters at last, for all that it has ended.
 *
 * Errors: PT401 when nobody is calling, 42501 for who may not create tasks; PT402 for a
 * beginning that does not fit into a budget; PT404 for a call that is not there, or not
 * the caller's; PT409 for what stands otherwise, and for ids that are taken; PT422 for
 * values.
 */
#include "usage/utility_call.h"

#include "budget/budget.h"
#include "catalog/pg_type.h"
#include "json/json_text.h"
#include "json/jsonb_copy.h"
#include "json/jsonb_util.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "shard/shard_call.h"
#include "store/identity.h"
#include "store/store.h"
#include "task/end_stated.h"
#include "task/lease.h"
#include "upkeep/upkeep.h"
#include "usage/call_content.h"
#include "usage/call_row.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

PG_FUNCTION_INFO_V1(airun_meter);
PG_FUNCTION_INFO_V1(airun_start_call);
PG_FUNCTION_INFO_V1(airun_end_call);
PG_FUNCTION_INFO_V1(airun_expire_calls);

/* The most that one call expires */
#define MAX_EXPIRED		10000

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

/* ---------- who calls ---------- */

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
	STATE_OF_ROW(usage_buckets)
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
price_row(const CallRow *row, const TaskState *state, const TaskEnd *end, const Field *total,
		  Charge *charge)
{
	bool		is_tool = strcmp(TextDatumGetCString(row->field[CALL_kind].value), "tool") == 0;
	const Field *stated = end->cost.isnull ? &state->client_cost : &end->cost;

	end_compute_charge(state, end, total, charge);
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

	price_row(row, state, end, &total, &cost);
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
				 errhint("An end is final; state what it lacks, such as its usage, with the "
						 "status that it has.")));
	end_check_repeated(NULL, id, state, end);
	if (!end_leave_what_lacks(state, end))
		return false;
	total = end_late_total(state, end);
	if (end_changes_charge(end))
		price_row(row, state, end, &total, &cost);
	end_fill_counts(state, end);
	row->field[CALL_tokens_input] = end->tokens_input;
	row->field[CALL_tokens_output] = end->tokens_output;
	row->field[CALL_usage_buckets] = end->usage_buckets;
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
		return call_read(id);
	call_update(&before, row, &result);
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

#define CHECK_NATURE(name, ...) \
	check_same(row, stated, CALL_##name);

/* PT409 where a call that stands is another one than what is stated */
static void
check_same(const CallRow *row, const CallRow *stated, int column)
{
	const Field *stands = &row->field[column];
	const Field *said = &stated->field[column];

	if (said->isnull || (!stands->isnull && text_equal(DatumGetTextPP(stands->value),
													   DatumGetTextPP(said->value))))
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
	if (!call_lock(caller, id, row))
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
	if (!call_insert(&row, &result))
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
	if ((!PG_ARGISNULL(0) && budget_is_any() && call_is_there(&id)) || !call_insert(&row, &result))
	{
		lock_same(&caller, &id, &stated, &row);
		result = call_read(&id);
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
	if (!call_lock(&caller, id, &row))
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
	if (call_lock(caller, id, &row))
		(void) end_locked(&row, &end);
}

/* airun_expire_calls(max_calls) returns integer; on a shard not of a bucket that is moving */
Datum
airun_expire_calls(PG_FUNCTION_ARGS)
{
	static Statement find = {
		"SELECT c.id, c.user_id FROM airun.calls AS c WHERE c.completed_at IS NULL "
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
	Bitmapset  *moving;
	int32		expired = 0;
	uint64		count;
	bool		defers;

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
	defers = budget_defer_begin();
	moving = shard_moving_buckets(true);
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
		Field		user;

		CHECK_FOR_INTERRUPTS();
		user.value = SPI_getbinval(found->vals[i], found->tupdesc, 2, &user.isnull);
		if (shard_has_user(moving, &user))
			continue;
		expire(&caller, DatumGetUUIDP(SPI_getbinval(found->vals[i], found->tupdesc, 1, &isnull)));
		expired++;
	}
	budget_defer_end(defers);
	store_close();
	if (is_operator)
		operator_end(&operator);
	PG_RETURN_INT32(expired);
}

/* ---------- charged again ---------- */

/* Give a call another charge, for the owner of the store.  Has it been written? */
bool
call_charge_again(const pg_uuid_t *id, const Charge *charge)
{
	const Caller owner = {.is_bound = false, .user_id = absent};
	CallRow		row;
	CallRow		charged;
	ResultRow	result;

	if (!call_lock(&owner, id, &row))
		return false;
	charged = row;
	charged.field[CALL_cost] = charge->cost;
	charged.field[CALL_cost_details] = charge->cost_details;
	charged.field[CALL_price_status] = charge->price_status;
	call_update(&row, &charged, &result);
	return true;
}
