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
 * Locks: creating locks the run's row, and then counters of budgets; task_lock(), for
 * an end, the run's row, the text's lock (chunk.c), then the task's row.
 *
 * Errors: PT402 for what does not fit into a budget; PT404 for a task that the caller
 * cannot see or change, one and the same message; PT409 for transitions and retries;
 * PT422 for values.
 */
#include "task/task.h"

#include "budget/budget.h"
#include "catalog/pg_type.h"
#include "commands/async.h"
#include "json/jsonb_util.h"
#include "shard/shard_call.h"
#include "store/direct.h"
#include "store/identity.h"
#include "store/store.h"
#include "task/request_compact.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

PG_FUNCTION_INFO_V1(airun_create_task);

/* What ai_task_summary has of a task that does not stream */
ColumnList	task_summary_columns = {TABLE_TASKS, {TASK_SUMMARY_NAMES}};

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

/* Is it what a task that has expired says of itself, and nothing else? */
bool
task_error_is_expiry(const Field *error)
{
	JsonbContainer *object;
	JsonbValue	code;

	if (error->isnull || !JB_ROOT_IS_OBJECT(DatumGetJsonbP(error->value)))
		return false;
	object = &DatumGetJsonbP(error->value)->root;
	return JsonContainerSize(object) == 1 && jsonb_field(object, "code", &code) &&
		jsonb_string_is(&code, "expired");
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
			 errhint("An end is final; state what it lacks, such as its usage, with the status "
					 "that it has, or create another task with airun_create_task(run_id).") :
			 errhint("A task goes from pending to streaming, and from either to completed, error "
					 "or cancelled.")));
}

/* ---------- values ---------- */

/* PT422 unless it can be waited for so long; absent is fine */
void
task_check_timeout(const Field *timeout)
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

#define CHECK_LENGTH(name, type, longest, ...) \
	if (longest > 0) check_length(#name, &fields->name, longest);

/* PT422 unless what is stated about a new task is acceptable */
void
task_check_fields(const TaskFields *fields)
{
	TASK_CREATION_LIST(CHECK_LENGTH)
	check_object("metadata", &fields->metadata);
	task_check_timeout(&fields->timeout);
}

/* Milliseconds between two times, exact to the microsecond */
Numeric
task_elapsed(TimestampTz from, TimestampTz to)
{
	return int64_div_fast_to_numeric(Max(to - from, 0), 3);
}

/* ---------- finding ---------- */

/* Run a statement that finds the runs of a task; PT409 where there are two */
static bool
find_run(Statement *find, const pg_uuid_t *task_id, pg_uuid_t *run_id)
{
	Args		args = {0};
	uint64		found;
	bool		isnull;

	arg_uuid(&args, task_id);
	found = statement_write(find, &args);
	if (found > 1)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_CONFLICT),
				 errmsg("task id \"%s\" is in more than one run", uuid_string(task_id)),
				 errhint("Say which one, with run_id.")));
	if (found == 1)
		*run_id = *DatumGetUUIDP(result_value(0, 1, &isnull));
	return found == 1;
}

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

	return find_run(&find, task_id, run_id);
}

/* The same where the run may be deleted */
static bool
find_deleted_run(const pg_uuid_t *task_id, pg_uuid_t *run_id)
{
	static Statement find = {
		"SELECT t.run_id FROM airun.tasks AS t WHERE t.task_id" EQ "$1 LIMIT 2", 1, {UUIDOID}
	};

	return find_run(&find, task_id, run_id);
}

/*
 * The run that an argument names, or else that of the task, or PT404.  A deleted
 * one, too, where there is no other: what has begun in it goes on to its end.
 */
pg_uuid_t
task_run_argument(FunctionCallInfo fcinfo, int argument, const pg_uuid_t *task_id)
{
	pg_uuid_t	run_id;

	if (!PG_ARGISNULL(argument))
		return *PG_GETARG_UUID_P(argument);
	if (!task_find_run(task_id, &run_id) && !find_deleted_run(task_id, &run_id))
		task_not_found(task_id);
	return run_id;
}

/* Does the index tell at once that no task has the id? */
static bool
task_id_is_free(const pg_uuid_t *task_id)
{
	DirectScan	find;
	bool		is_free;

	if (!store_is_granted(TABLE_TASKS, ACL_SELECT) ||
		!direct_scan_begin(&find, TASKS_BY_ID, AccessShareLock, task_id, NULL, NULL))
		return false;
	is_free = find.row == NULL;
	direct_scan_end(&find);
	return is_free;
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

	if (task_id_is_free(task_id))
		return false;
	arg_uuid(&args, task_id);
	arg_uuid(&args, run_id);
	if (statement_write(&find, &args) == 0)
		return false;
	if (!DatumGetBool(result_value(0, 1, &isnull)))
		task_refuse_taken(task_id);
	return true;
}

/* The columns that are read of a task that is locked: those that TaskState has as they are, */
#define STATE_FIELD_LIST(COLUMN) \
	TASK_END_LIST(COLUMN) COLUMN(error) COLUMN(client_cost) COLUMN(cost_details) \
	COLUMN(price_status) COLUMN(usage_buckets) COLUMN(provider) COLUMN(model_id) COLUMN(endpoint) \
	COLUMN(metadata) COLUMN(region) COLUMN(speed) COLUMN(holds)

/* and all of them */
#define STATE_LIST(COLUMN) \
	COLUMN(generation) COLUMN(status) COLUMN(created_at) COLUMN(text_in_answer) \
	COLUMN(answer_seq) COLUMN(response_length) STATE_FIELD_LIST(COLUMN)
#define STATE_NAME(name, ...)	#name,
#define STATE_NUMBER(name, ...)	STATE_##name,
#define STATE_FIELD(name, ...) \
	state->name = (Field) {values[STATE_##name], nulls[STATE_##name]};

static ColumnList state_columns = {TABLE_TASKS, {STATE_LIST(STATE_NAME)}};
enum
{
	STATE_LIST(STATE_NUMBER)
	STATE_COUNT
};

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

/*
 * Lock the run, deleted or not, the task's text and the task, and tell how they
 * stand; or PT404.
 */
void
task_lock(const pg_uuid_t *run_id, const pg_uuid_t *task_id, TaskState *state)
{
	static Statement lock = {
		"SELECT " COLUMNS ", t.ctid FROM airun.tasks AS t WHERE " THIS_TASK
		" FOR NO KEY UPDATE OF t",
		2, {UUIDOID, UUIDOID}, &state_columns
	};
	Datum		values[STATE_COUNT + 1];
	bool		nulls[STATE_COUNT + 1];

	if (!run_try_lock(run_id, &state->run) && !run_try_lock_deleted(run_id, &state->run))
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
		state->place = *(ItemPointer) DatumGetPointer(values[STATE_COUNT]);
	}

	state->noun = "task";
	state->status = task_status_word(DatumGetTextPP(values[STATE_status]));
	state->created_at = DatumGetTimestampTz(values[STATE_created_at]);
	state->text_in_answer = DatumGetBool(values[STATE_text_in_answer]);
	state->answer_seq = nulls[STATE_answer_seq] ? 0 : DatumGetInt64(values[STATE_answer_seq]);
	state->response_length = DatumGetInt64(values[STATE_response_length]);
	STATE_FIELD_LIST(STATE_FIELD)
	if (state->status != TASK_STREAMING || !chunk_find(run_id, task_id, &state->stream))
		chunk_begin(&state->stream, DatumGetInt32(values[STATE_generation]));
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

/* Have the write write what the creation of a task writes */
static void
add_columns(RowWrite *insert)
{
	for (int i = 0; i < Natts_tasks; i++)
	{
		if (task_columns[i].write == AT_CREATION || task_columns[i].write == AT_BOTH)
			task_write_add(insert, i + 1, WRITE_SET);
	}
}

#define SET_STATED(name, ...)	task_row_field(row, Anum_tasks_##name, &fields->name);

/* What a new task has of what is stated, and its beginnings */
static void
fill_new_row(TaskRow *row, const TaskFields *fields, TimestampTz now)
{
	TASK_CREATION_LIST(SET_STATED)
	if (fields->metadata.isnull)
		task_row_set(row, Anum_tasks_metadata,
					 DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")), false);
	task_row_set(row, Anum_tasks_created_at, TimestampTzGetDatum(now), false);
	task_row_set(row, Anum_tasks_updated_at, TimestampTzGetDatum(now), false);
	task_row_set(row, Anum_tasks_status,
				 PointerGetDatum(cstring_to_text(task_status_name(TASK_PENDING))), false);
	task_row_set(row, Anum_tasks_response_length, Int64GetDatum(0), false);
	task_row_set(row, Anum_tasks_generation, Int32GetDatum(0), false);
	task_row_set(row, Anum_tasks_text_in_answer, BoolGetDatum(false), false);
}

/* Hold of the budgets that a new task counts in, or PT402 */
static Field
hold_of_budgets(const pg_uuid_t *run_id, const TaskFields *fields, TimestampTz now)
{
	BudgetSubject subject = {
		.run_id = run_id,
		.user_id = {(Datum) 0, true},
		.service = fields->service,
		.task_name = fields->task_name,
		.provider = fields->provider,
		.endpoint = fields->endpoint,
		.model_id = fields->model_id,
		.metadata = fields->metadata,
		.request_data = fields->request_data,
		.at = now,
	};
	pg_uuid_t	caller;

	if (caller_id(&caller))
		subject.user_id = (Field) {UUIDPGetDatum(&caller), false};
	return budget_take(&subject);
}

/*
 * Insert a task.  The run is locked and its counter moved by now, and the
 * messages that go in are stored.  inputs_from, inputs_to: their seqs, 0 for
 * none.  Returns the summary.
 */
ResultRow
task_insert(const pg_uuid_t *run_id, const pg_uuid_t *task_id, TaskFields *fields,
			RunState *run, int64 inputs_from, int64 inputs_to)
{
	static RowWrite insert = {.table = TABLE_TASKS, .returning = &task_summary_columns};
	const Field unknown = {(Datum) 0, true};
	TimestampTz now = GetCurrentTimestamp();
	Field		reference = unknown;
	Field		holds;
	ResultRow	summary;
	TaskRow		row;
	Args		args = {0};
	pg_uuid_t	caller;

	shard_check_id(task_id);
	holds = hold_of_budgets(run_id, fields, now);
	if (!fields->request_data.isnull)
		(void) request_compact(run_id, run->message_count, &fields->request_data, &reference);

	if (insert.column_count == 0)
		add_columns(&insert);
	task_row_begin(&row, run_id, task_id);
	fill_new_row(&row, fields, now);
	if (caller_id(&caller))
		task_row_set(&row, Anum_tasks_user_id, UUIDPGetDatum(&caller), false);
	task_row_set(&row, Anum_tasks_inputs_from, Int64GetDatum(inputs_from), inputs_from == 0);
	task_row_set(&row, Anum_tasks_inputs_to, Int64GetDatum(inputs_to), inputs_to == 0);
	task_row_field(&row, Anum_tasks_request_reference, &reference);
	task_row_field(&row, Anum_tasks_holds, &holds);
	task_write_args(&insert, &row, &args);
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

#define TAKE_ARGUMENT(name, type, ...) \
	fields.name = argument_field(fcinfo, argument(&next, skipped)); \
	if ((type) == JSONBOID) \
		(void) unwrap_json(&fields.name);

/* The number of the next argument, which is not the one that is skipped */
static int
argument(int *next, int skipped)
{
	if (*next == skipped)
		(*next)++;
	return (*next)++;
}

/*
 * What a call states about a new task, from the arguments that such functions
 * have in one order, beginning with service; skipped: another one among them.
 */
TaskFields
task_arguments(FunctionCallInfo fcinfo, int first, int skipped)
{
	TaskFields	fields;
	int			next = first;

	check_argument_count(fcinfo, first + TASK_CREATION_COUNT + (skipped >= first ? 1 : 0));
	TASK_CREATION_LIST(TAKE_ARGUMENT)
	return fields;
}

/*
 * airun_create_task(run_id, task_id, service, ..., timeout) returns
 * ai_task_summary
 */
Datum
airun_create_task(PG_FUNCTION_ARGS)
{
	TaskFields	fields = task_arguments(fcinfo, 2, -1);
	pg_uuid_t  *run_id = run_id_argument(fcinfo, 0);
	pg_uuid_t	task_id;
	RunState	run;
	ResultRow	summary;
	Datum		result;

	task_check_fields(&fields);
	if (PG_ARGISNULL(1))
		uuid_generate_within(&task_id, run_id);
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
