/*
 * task.c
 *		A task: one request to a model; what it is, and its beginning.
 *
 * pending -> streaming -> completed | error | cancelled; pending may go
 * straight to any end, and the ends are final (task_end.c).  Whoever creates or
 * ends a task moves its run's totals in the same step, by what the task's own
 * figures change.
 *
 * A call that is repeated has no second effect: creating with a task_id that
 * the run has already returns that task.  Messages that a request repeats from
 * its run are not stored again (request_compact.c).
 *
 * Locks: creating locks the run's row; task_lock(), for an end, the run's row,
 * the text's lock (chunk.c), then the task's row.
 *
 * Errors: PT404 for a task that the caller cannot see or change, one and the
 * same message; PT409 for transitions and retries; PT422 for values.
 */
#include "task/task.h"

#include "catalog/pg_type.h"
#include "commands/async.h"
#include "store/direct.h"
#include "store/identity.h"
#include "store/store.h"
#include "task/request_compact.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

PG_FUNCTION_INFO_V1(airun_create_task);

/* What ai_task_summary has of a task that does not stream */
ColumnList	task_summary_columns = {TABLE_TASKS, {TASK_SUMMARY_NAMES}};

/* The longest endpoint, in characters */
#define MAX_ENDPOINT		2000

/* The longest that a task may be without progress */
#define MAX_TIMEOUT_DAYS	366

/* ---------- refusals ---------- */

/* The caller can see the id in another run */
void
task_refuse_taken(const pg_uuid_t *task_id)
{
	ereport(ERROR,
			(errcode(ERRCODE_AIRUN_CONFLICT),
			 errmsg("task id \"%s\" is taken", uuid_string(task_id)),
			 errdetail("It is a task of another run."),
			 errhint("Choose another id, or leave it out.")));
}

/* The id in an argument that must be there */
pg_uuid_t *
task_id_argument(FunctionCallInfo fcinfo, int argument)
{
	if (PG_ARGISNULL(argument))
		refuse_null("task_id");
	return PG_GETARG_UUID_P(argument);
}

/* ---------- status ---------- */

static const char *const status_names[] = {
	"pending", "streaming", "completed", "error", "cancelled"
};

/* The word for a status, as it is stored */
const char *
task_status_name(TaskStatus status)
{
	return status_names[status];
}

/* The status that a word means, or PT422 */
TaskStatus
task_status_word(text *status)
{
	char	   *word = text_to_cstring(status);

	for (int i = 0; i < lengthof(status_names); i++)
	{
		if (strcmp(word, status_names[i]) == 0)
			return (TaskStatus) i;
	}
	if (strcmp(word, "failed") == 0)
		return TASK_ERROR;
	if (strcmp(word, "canceled") == 0)
		return TASK_CANCELLED;
	ereport(ERROR,
			(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
			 errmsg("\"%s\" is not a status of a task", excerpt(word, strlen(word))),
			 errhint("A task is pending, streaming, completed, error or cancelled.")));
}

/* Is it one of the three ends? */
bool
task_is_final(TaskStatus status)
{
	return status >= TASK_COMPLETED;
}

/* PT409 unless a task may go this way */
void
task_check_transition(const pg_uuid_t *task_id, TaskStatus from, TaskStatus to)
{
	if (from == to || (!task_is_final(from) && to != TASK_PENDING))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_AIRUN_CONFLICT),
			 errmsg("task \"%s\" is %s and cannot become %s",
					uuid_string(task_id), status_names[from], status_names[to]),
			 errdetail("The task has the status \"%s\".", status_names[from]),
			 task_is_final(from) ?
			 errhint("An end is final; create another task with airun_create_task(run_id).") :
			 errhint("A task goes from pending to streaming, and from either to completed, error or cancelled.")));
}

/* ---------- values ---------- */

static void
check_timeout(const Field *timeout)
{
	const Interval longest = {.day = MAX_TIMEOUT_DAYS};
	Interval   *stated;

	if (timeout->isnull)
		return;
	stated = DatumGetIntervalP(timeout->value);
	if (stated->month >= 0 && stated->day >= 0 && stated->time >= 0 &&
		(stated->month > 0 || stated->day > 0 || stated->time > 0) &&
		DatumGetBool(DirectFunctionCall2(interval_le, timeout->value,
										 IntervalPGetDatum(&longest))))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
			 errmsg("\"timeout\" must be longer than nothing and at most %d days",
					MAX_TIMEOUT_DAYS),
			 errdetail("Found %s.",
					   DatumGetCString(DirectFunctionCall1(interval_out, timeout->value))),
			 errhint("Leave it out to have airun.task_timeout.")));
}

/* PT422 unless what is stated about a new task is acceptable */
void
task_check_fields(const TaskFields *fields)
{
	check_length("service", &fields->service, MAX_TASK_WORD);
	check_length("task_name", &fields->task_name, MAX_TASK_WORD);
	check_length("provider", &fields->provider, MAX_TASK_WORD);
	check_length("endpoint", &fields->endpoint, MAX_ENDPOINT);
	check_length("model_id", &fields->model_id, MAX_TASK_WORD);
	check_object("metadata", &fields->metadata);
	check_timeout(&fields->timeout);
}

/* Milliseconds between two times, exact to the microsecond */
Numeric
task_elapsed(TimestampTz from, TimestampTz to)
{
	return int64_div_fast_to_numeric(Max(to - from, 0), 3);
}

/* ---------- finding ---------- */

/*
 * The run of a task, where the caller can see both and the run is not
 * deleted.  PT409 where the id is in two runs.
 */
bool
task_find_run(const pg_uuid_t *task_id, pg_uuid_t *run_id)
{
	/*
	 * A subquery for each row that is found, not a join: before the tables are
	 * analyzed for the first time that would begin with all the runs.
	 */
	static Statement find = {
		"SELECT t.run_id FROM airun.tasks AS t WHERE t.task_id" EQ "$1 AND "
		"(SELECT r.deleted_at IS NULL FROM airun.runs AS r WHERE r.id" EQ "t.run_id) LIMIT 2",
		1, {UUIDOID}
	};
	Args		args = {0};
	uint64		found;
	bool		isnull;

	arg_uuid(&args, task_id);
	found = statement_write(&find, &args);
	if (found > 1)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_CONFLICT),
				 errmsg("task id \"%s\" is in more than one run", uuid_string(task_id)),
				 errhint("Say which one, with run_id.")));
	if (found == 1)
		*run_id = *DatumGetUUIDP(result_value(0, 1, &isnull));
	return found == 1;
}

/* The run that an argument names, or else that of the task, or PT404 */
pg_uuid_t
task_run_argument(FunctionCallInfo fcinfo, int argument, const pg_uuid_t *task_id)
{
	pg_uuid_t	run_id;

	if (!PG_ARGISNULL(argument))
		return *PG_GETARG_UUID_P(argument);
	if (!task_find_run(task_id, &run_id))
		task_not_found(task_id);
	return run_id;
}

/*
 * Is the task in the run, which is locked by now?  PT409 where the caller can
 * see the id in another run.
 */
bool
task_is_in_run(const pg_uuid_t *run_id, const pg_uuid_t *task_id)
{
	static Statement find = {
		"SELECT t.run_id" EQ "$2 FROM airun.tasks AS t WHERE t.task_id" EQ "$1 "
		"ORDER BY 1 DESC LIMIT 1",
		2, {UUIDOID, UUIDOID}
	};
	Args		args = {0};
	bool		isnull;

	arg_uuid(&args, task_id);
	arg_uuid(&args, run_id);
	if (statement_write(&find, &args) == 0)
		return false;
	if (!DatumGetBool(result_value(0, 1, &isnull)))
		task_refuse_taken(task_id);
	return true;
}

/* The columns that are read of a task that is locked */
static ColumnList state_columns = {
	TABLE_TASKS, {
		"generation", "status", "created_at", "text_in_answer", "answer_seq", "tokens_total",
		"cost", "response_text", "usage", "tokens_input", "tokens_output", "client_cost",
		"provider", "model_id", "time_to_first_token", "cost_details"
	}
};
#define TASK_STATE_COLUMNS	16

/*
 * The usual case: the task can be found and locked without a plan.  Returns
 * false for any other.
 */
static bool
lock_at_once(const pg_uuid_t *run_id, const pg_uuid_t *task_id, TaskState *state,
			 Datum *values, bool *nulls)
{
	DirectScan	find;
	bool		locked;

	if (!store_is_granted(TABLE_TASKS, ACL_SELECT | ACL_UPDATE) ||
		!direct_scan_begin(&find, TASKS_KEY, RowExclusiveLock, run_id, task_id, NULL))
		return false;
	locked = find.row != NULL && direct_scan_values(&find, &state_columns, values, nulls) &&
		direct_scan_lock(&find);
	if (locked)
		state->place = find.row->t_self;
	direct_scan_end(&find);
	return locked;
}

/* Lock the run, the task's text and the task, and tell how they stand; or PT404 */
void
task_lock(const pg_uuid_t *run_id, const pg_uuid_t *task_id, TaskState *state)
{
	static Statement lock = {
		"SELECT " COLUMNS ", t.ctid FROM airun.tasks AS t WHERE " THIS_TASK
		" FOR NO KEY UPDATE OF t",
		2, {UUIDOID, UUIDOID}, &state_columns
	};
	Field	   *const fields[] = {
		&state->tokens_total, &state->cost, &state->response_text, &state->usage,
		&state->tokens_input, &state->tokens_output, &state->client_cost,
		&state->provider, &state->model_id, &state->time_to_first_token,
		&state->cost_details
	};
	Datum		values[TASK_STATE_COLUMNS + 1];
	bool		nulls[TASK_STATE_COLUMNS + 1];
	int			column = 0;
	int32		generation;

	if (!run_try_lock(run_id, &state->run))
		task_not_found(task_id);
	chunk_lock(run_id, task_id);

	if (!lock_at_once(run_id, task_id, state, values, nulls))
	{
		Args		args = {0};
		ResultRow	locked;

		arg_uuid(&args, run_id);
		arg_uuid(&args, task_id);
		if (statement_read_latest(&lock, &args, run_id) != 1)
			task_not_found(task_id);
		locked = result_row();
		result_row_values(&locked, values, nulls);
		state->place = *(ItemPointer) DatumGetPointer(values[TASK_STATE_COLUMNS]);
	}

	generation = DatumGetInt32(values[column++]);
	state->status = task_status_word(DatumGetTextPP(values[column++]));
	state->created_at = DatumGetTimestampTz(values[column++]);
	state->text_in_answer = DatumGetBool(values[column++]);
	state->answer_seq = nulls[column] ? 0 : DatumGetInt64(values[column]);
	column++;
	for (int i = 0; i < lengthof(fields); i++, column++)
		*fields[i] = (Field) {values[column], nulls[column]};
	if (state->status != TASK_STREAMING || !chunk_find(run_id, task_id, &state->stream))
		chunk_begin(&state->stream, generation);
}

/* The summary of a task that is there */
ResultRow
task_read_summary(const pg_uuid_t *run_id, const pg_uuid_t *task_id)
{
	static Statement read = {
		"SELECT " TASK_SUMMARY " FROM airun.tasks AS t WHERE " THIS_TASK,
		2, {UUIDOID, UUIDOID}
	};
	Args		args = {0};

	arg_uuid(&args, run_id);
	arg_uuid(&args, task_id);
	if (statement_write_internal(&read, &args, run_id) != 1)
		task_not_found(task_id);
	return result_row();
}

/*
 * A site's own trigger may have changed the figures of a task as it was
 * written (a price, say).  summary is of what is stored: move the run by the
 * difference from what was assumed.  Returns the summary as it stands then.
 */
ResultRow
task_settle_difference(const pg_uuid_t *run_id, const pg_uuid_t *task_id, RunState *run,
					   const ResultRow *summary, const Field *assumed_total,
					   const Field *assumed_cost)
{
	Numeric		zero = int64_to_numeric(0);
	RunChange	change = {0};
	Datum		cost;
	Datum		value;
	bool		isnull;

	value = result_row_value(summary, Anum_task_summary_tokens_total, &isnull);
	change.tokens = (isnull ? 0 : DatumGetInt64(value)) -
		(assumed_total->isnull ? 0 : DatumGetInt64(assumed_total->value));
	value = result_row_value(summary, Anum_task_summary_cost, &isnull);
	cost = DirectFunctionCall2(numeric_sub, isnull ? NumericGetDatum(zero) : value,
							   assumed_cost->isnull ? NumericGetDatum(zero) : assumed_cost->value);
	if (change.tokens == 0 &&
		DatumGetBool(DirectFunctionCall2(numeric_eq, cost, NumericGetDatum(zero))))
		return *summary;
	change.cost = DatumGetNumeric(cost);
	run_change(run_id, &change, run);
	return task_read_summary(run_id, task_id);
}

/*
 * Wake up who listens, where airun.notify says so: the payload tells which
 * task has moved and how far, and anybody who listens can read it.
 */
void
task_notify(const pg_uuid_t *run_id, const pg_uuid_t *task_id, TaskStatus status,
			int32 position, int32 generation)
{
	if (airun_notify)
		Async_Notify("airun",
					 psprintf("{\"run_id\":\"%s\",\"task_id\":\"%s\",\"status\":\"%s\","
							  "\"position\":%d,\"generation\":%d}",
							  uuid_string(run_id), uuid_string(task_id),
							  status_names[status], position, generation));
}

/* ---------- creation ---------- */

/*
 * Insert a task.  The run is locked and its counter moved by now, and the
 * messages that go in are stored.  inputs_from, inputs_to: their seqs, 0 for
 * none.  Returns the summary.
 */
ResultRow
task_insert(const pg_uuid_t *run_id, const pg_uuid_t *task_id, TaskFields *fields,
			RunState *run, int64 inputs_from, int64 inputs_to)
{
	static RowWrite insert = {
		.table = TABLE_TASKS,
		.column_count = 20,
		.columns = {
			{"run_id", UUIDOID}, {"task_id", UUIDOID}, {"user_id", UUIDOID},
			{"created_at", TIMESTAMPTZOID}, {"updated_at", TIMESTAMPTZOID},
			{"inputs_from", INT8OID}, {"inputs_to", INT8OID}, {"status", TEXTOID},
			{"response_length", INT8OID}, {"generation", INT4OID},
			{"text_in_answer", BOOLOID}, {"service", TEXTOID}, {"task_name", TEXTOID},
			{"provider", TEXTOID}, {"endpoint", TEXTOID}, {"model_id", TEXTOID},
			{"metadata", JSONBOID}, {"timeout", INTERVALOID}, {"request_data", JSONBOID},
			{"request_reference", JSONBOID}
		},
		.returning = &task_summary_columns
	};
	const Field unknown = {(Datum) 0, true};
	TimestampTz now = GetCurrentTimestamp();
	Field		reference = unknown;
	Field		metadata = fields->metadata;
	ResultRow	summary;
	Args		args = {0};
	pg_uuid_t	caller;

	if (!fields->request_data.isnull)
		(void) request_compact(run_id, run->message_count, &fields->request_data, &reference);

	arg_uuid(&args, run_id);
	arg_uuid(&args, task_id);
	arg_uuid(&args, caller_id(&caller) ? &caller : NULL);
	arg_time(&args, now);
	arg_time(&args, now);
	arg_add(&args, Int64GetDatum(inputs_from), inputs_from == 0);
	arg_add(&args, Int64GetDatum(inputs_to), inputs_to == 0);
	arg_pointer(&args, cstring_to_text(task_status_name(TASK_PENDING)));
	arg_int64(&args, 0);
	arg_add(&args, Int32GetDatum(0), false);
	arg_add(&args, BoolGetDatum(false), false);
	arg_field(&args, &fields->service);
	arg_field(&args, &fields->task_name);
	arg_field(&args, &fields->provider);
	arg_field(&args, &fields->endpoint);
	arg_field(&args, &fields->model_id);
	if (metadata.isnull)
		metadata = (Field) {DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")), false};
	arg_field(&args, &metadata);
	arg_field(&args, &fields->timeout);
	arg_field(&args, &fields->request_data);
	arg_field(&args, &reference);
	if (!direct_insert(&insert, &args, false, &summary))
	{
		if (statement_write_task(row_write_statement(&insert), &args, run_id, task_id) != 1)
			ereport(ERROR,
					(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
					 errmsg("a trigger on airun.tasks has suppressed a task")));
		summary = result_row();
	}
	return task_settle_difference(run_id, task_id, run, &summary, &unknown, &unknown);
}

/*
 * airun_create_task(run_id, task_id, service, task_name, provider, endpoint,
 * model_id, request_data, metadata, timeout) returns ai_task_summary
 */
Datum
airun_create_task(PG_FUNCTION_ARGS)
{
	TaskFields	fields = {
		.service = argument_field(fcinfo, 2),
		.task_name = argument_field(fcinfo, 3),
		.provider = argument_field(fcinfo, 4),
		.endpoint = argument_field(fcinfo, 5),
		.model_id = argument_field(fcinfo, 6),
		.request_data = argument_field(fcinfo, 7),
		.metadata = argument_field(fcinfo, 8),
		.timeout = argument_field(fcinfo, 9),
	};
	pg_uuid_t  *run_id = run_id_argument(fcinfo, 0);
	pg_uuid_t	task_id;
	RunState	run;
	ResultRow	summary;
	Datum		result;

	task_check_fields(&fields);
	if (PG_ARGISNULL(1))
		uuid_generate_v7(&task_id);
	else
		task_id = *PG_GETARG_UUID_P(1);

	store_open(true);
	run_lock(run_id, &run);
	if (!PG_ARGISNULL(1) && task_is_in_run(run_id, &task_id))
		summary = task_read_summary(run_id, &task_id);
	else
	{
		if (run.is_completed)
			run_refuse_completed(run_id);
		run_change(run_id, &(RunChange) {.tasks = 1, .status = "active"}, &run);
		summary = task_insert(run_id, &task_id, &fields, &run, 0, 0);
	}
	result = result_row_composite(fcinfo, &summary);
	store_close();
	PG_RETURN_DATUM(result);
}
