/*
 * task_end.c
 *		The end of a task: completed, failed or cancelled.
 *
 * Whoever ends a task settles its text, its figures (end_stated.c) and its cost
 * (charge.c), and moves its run's totals in the same step by what these change.
 *
 * An end is final, and takes what it lacks.  A call that is repeated with the same
 * status brings what has not been stated before, such as the usage of what was
 * stopped: that is stored, charged and rolled up, once.  What stands is compared
 * where it is status, text, usage or tokens, and with others the call is PT409; cost,
 * times and all else stand as they are.  The tokens that a usage says, alone or in the
 * answer, go before those that the client has counted, as at the end; and those that a
 * call states beside a usage are not compared.
 *
 * A task that has expired (lease.c) has not been ended by who works on it: his end
 * counts as if nothing had been, and the error of the expiry goes.
 *
 * A run that is deleted takes the ends of its tasks, since they have been paid for.
 *
 * Where the message that comes out of the task has the task's text, the text is
 * stored in that message alone.
 *
 * Locks: those of task_lock(): the run's row, the text's lock, the task's row.
 *
 * Errors: PT404 for a task that the caller cannot see or change, one and the
 * same message; PT409 for transitions and retries; PT422 for values.
 */
#include "task/task_end.h"

#include "catalog/pg_type.h"
#include "json/jsonb_copy.h"
#include "json/jsonb_util.h"
#include "store/direct.h"
#include "store/identity.h"
#include "store/store.h"
#include "task/task_entry.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

PG_FUNCTION_INFO_V1(airun_complete_task);
PG_FUNCTION_INFO_V1(airun_fail_task);
PG_FUNCTION_INFO_V1(airun_cancel_task);

/* ---------- its text ---------- */

/* The text of a finished task that is locked, or NULL for none */
text *
task_text(const pg_uuid_t *run_id, const TaskState *state)
{
	static Statement read_answer = {
		"SELECT a.message FROM airun.messages AS a "
		"WHERE a.run_id" EQ "$1 AND a.seq" EQ "$2",
		2, {UUIDOID, INT8OID}
	};
	Args		args = {0};
	bool		isnull;

	if (!state->text_in_answer)
		return state->response_text.isnull ? NULL : DatumGetTextPP(state->response_text.value);
	arg_uuid(&args, run_id);
	arg_int64(&args, state->answer_seq);
	if (statement_write_internal(&read_answer, &args, run_id) != 1)
		return NULL;
	return message_text(DatumGetJsonbP(result_value(0, 1, &isnull)));
}

/* Does the message that comes out of a task say its text? */
bool
task_text_is_in(text *spoken, const NewMessage *answer)
{
	text	   *said = answer != NULL && spoken != NULL ? message_text(answer->message) : NULL;

	return said != NULL && text_equal(said, spoken);
}

/* ---------- the end ---------- */

/* By how much a run's cost changes; NULL for nothing */
static Numeric
cost_difference(const Field *new, const Field *old)
{
	Datum		zero = NumericGetDatum(int64_to_numeric(0));

	if (new->isnull && old->isnull)
		return NULL;
	return DatumGetNumeric(DirectFunctionCall2(numeric_sub, new->isnull ? zero : new->value,
											   old->isnull ? zero : old->value));
}

/*
 * The final text: what is stated, or else what has been streamed; NULL for
 * none.  What has been streamed is removed.  A stated text that does not go
 * on from it is another generation.
 */
static text *
take_text(const pg_uuid_t *run_id, const pg_uuid_t *task_id, const TaskState *state,
		  const TaskEnd *end, int32 *generation)
{
	text	   *stated = end->response_text.isnull ? NULL :
		DatumGetTextPP(end->response_text.value);

	*generation = state->stream.generation;
	if (task_is_final(state->status))
	{
		text	   *had = task_text(run_id, state);

		if (stated != NULL && had != NULL && !text_begins(stated, had))
			(*generation)++;
		return stated != NULL ? stated : had;
	}
	if (state->stream.chars == 0)
		return stated;
	if (stated == NULL)
		return chunk_take(run_id, task_id);
	if (!chunk_is_beginning_of(&state->stream, stated))
		(*generation)++;
	chunk_remove(run_id, task_id);
	return stated;
}

/* Have the write write what the end of a task writes */
static void
add_columns(RowWrite *finish)
{
	for (int i = 0; i < Natts_tasks; i++)
	{
		if (task_columns[i].write == AT_END_IF_GIVEN)
			task_write_add(finish, i + 1, WRITE_IF_GIVEN);
		else if (task_columns[i].write != AT_CREATION)
			task_write_add(finish, i + 1, WRITE_SET);
	}
}

#define SET_STATED(name, ...)	task_row_field(row, Anum_tasks_##name, &end->name);

/* What is stated about the end, and its time */
static void
fill_stated(TaskRow *row, const TaskEnd *end, TimestampTz now)
{
	TASK_END_LIST(SET_STATED)
	task_row_field(row, Anum_tasks_region, &end->region);
	task_row_field(row, Anum_tasks_speed, &end->speed);
	task_row_field(row, Anum_tasks_usage_buckets, &end->usage_buckets);
	task_row_field(row, Anum_tasks_error, &end->error);
	task_row_set(row, Anum_tasks_status,
				 PointerGetDatum(cstring_to_text(task_status_name(end->status))), false);
	task_row_set(row, Anum_tasks_updated_at, TimestampTzGetDatum(now), false);
	task_row_set(row, Anum_tasks_completed_at, TimestampTzGetDatum(now), false);
}

/* What the task costs: a cost that is stated is the client's */
static void
fill_charge(TaskRow *row, const TaskEnd *end, const Charge *charge)
{
	task_row_field(row, Anum_tasks_client_cost, &end->cost);
	task_row_field(row, Anum_tasks_cost, &charge->cost);
	task_row_field(row, Anum_tasks_cost_details, &charge->cost_details);
	task_row_field(row, Anum_tasks_price_status, &charge->price_status);
}

/* Has another task of the run failed since a time? */
static bool
another_has_failed(const pg_uuid_t *run_id, const pg_uuid_t *task_id, TimestampTz since)
{
	static Statement find = {
		"SELECT FROM airun.tasks AS t WHERE t.run_id" EQ "$1 AND t.task_id" NE "$2 "
		"AND t.status" EQ "'error' AND t.completed_at" GE "$3 LIMIT 1",
		3, {UUIDOID, UUIDOID, TIMESTAMPTZOID}
	};
	Args		args = {0};

	arg_uuid(&args, run_id);
	arg_uuid(&args, task_id);
	arg_time(&args, since);
	return statement_write_internal(&find, &args, run_id) > 0;
}

/*
 * What becomes of the run's status; NULL for nothing.  One that an expiry has set
 * to error is set back by another end, unless another task has failed since.
 */
static const char *
run_status_after(const pg_uuid_t *run_id, const pg_uuid_t *task_id, const TaskState *state,
				 const TaskEnd *end, bool appends)
{
	bool		expired = end_has_expired(state);

	if (state->run.is_completed)
		return NULL;
	if (end->status == TASK_ERROR)
		return expired ? NULL : "error";
	if (appends || (expired && !another_has_failed(run_id, task_id, state->created_at)))
		return "active";
	return NULL;
}

/*
 * End a task that is locked and takes the end, and move its run's totals by
 * what changes.  answer: the message that comes out of it, to be stored by
 * the caller at the seq that it is given here; NULL for none.  Returns the
 * summary.
 */
ResultRow
task_end(const pg_uuid_t *run_id, const pg_uuid_t *task_id, TaskState *state,
		 TaskEnd *end, NewMessage *answer)
{
	static RowWrite finish = {
		.table = TABLE_TASKS,
		.key_count = 2,
		.keys = {TASK_KEYS},
		.returning = &task_summary_columns
	};
	TimestampTz now = GetCurrentTimestamp();
	Numeric		elapsed = task_elapsed(state->created_at, now);
	Field		elapsed_field = {NumericGetDatum(elapsed), false};
	Field		total = end_resolve_total(state, end);
	Charge		charge;
	Field		first_token = end->time_to_first_token;
	RunChange	change = {0};
	int64		answer_seq = 0;
	int32		generation;
	text	   *spoken = take_text(run_id, task_id, state, end, &generation);
	bool		in_answer = task_text_is_in(spoken, answer);
	int32		length = spoken != NULL ? text_chars(spoken) : 0;
	ResultRow	summary;
	TaskRow		row;
	Args		args = {0};

	/* Nobody saw a token before the whole answer: that was the first, then */
	if (first_token.isnull && state->time_to_first_token.isnull &&
		end->status == TASK_COMPLETED)
		first_token = end->total_time.isnull ? elapsed_field : end->total_time;

	end_compute_charge(state, end, &total, &charge);
	if (!total.isnull)
		change.tokens = DatumGetInt64(total.value);
	if (!state->tokens_total.isnull)
		change.tokens -= DatumGetInt64(state->tokens_total.value);
	change.cost = cost_difference(&charge.cost, &state->cost);
	if (answer != NULL && !answer->is_stored)
		change.messages = 1;
	change.status = run_status_after(run_id, task_id, state, end, change.messages > 0);
	run_change(run_id, &change, &state->run);
	if (answer != NULL)
		answer_seq = answer->is_stored ? answer->seq : state->run.message_count;

	if (finish.column_count == 0)
		add_columns(&finish);
	task_row_begin(&row, run_id, task_id);
	fill_stated(&row, end, now);
	if (end->error.isnull && !end_has_expired(state))
		task_row_field(&row, Anum_tasks_error, &state->error);
	task_row_field(&row, Anum_tasks_tokens_total, &total);
	fill_charge(&row, end, &charge);
	task_row_field(&row, Anum_tasks_time_to_first_token, &first_token);
	if (end->total_time.isnull)
		task_row_field(&row, Anum_tasks_total_time, &elapsed_field);
	task_row_set(&row, Anum_tasks_response_text, PointerGetDatum(spoken),
				 in_answer || spoken == NULL);
	task_row_set(&row, Anum_tasks_response_length, Int64GetDatum(length), false);
	task_row_set(&row, Anum_tasks_generation, Int32GetDatum(generation), false);
	task_row_set(&row, Anum_tasks_text_in_answer, BoolGetDatum(in_answer), false);
	task_row_set(&row, Anum_tasks_answer_seq, Int64GetDatum(answer_seq), answer_seq == 0);
	task_write_args(&finish, &row, &args);
	if (!direct_update(&finish, &args, &state->place, &summary))
	{
		if (statement_write_task(row_write_statement(&finish), &args, run_id, task_id) != 1)
			task_not_found(task_id);
		summary = result_row();
	}
	summary = task_settle_difference(run_id, task_id, &state->run, &summary, &total, &charge.cost);
	task_enter_end(state, &summary, end->usage_buckets.isnull ? &state->usage_buckets :
				   &end->usage_buckets);
	task_notify(run_id, task_id, end->status, length, generation);
	return summary;
}


/* ---------- what comes after the end ---------- */

/* Is it a column that is counted and charged anew with what comes late? */
static bool
is_figure(int column)
{
	return column == Anum_tasks_tokens_input || column == Anum_tasks_tokens_output ||
		column == Anum_tasks_tokens_total || column == Anum_tasks_usage_buckets ||
		column == Anum_tasks_cost || column == Anum_tasks_cost_details ||
		column == Anum_tasks_price_status;
}

/* Have the write write what may come late */
static void
add_late_columns(RowWrite *write)
{
	for (int i = 1; i <= Natts_tasks; i++)
	{
		if (is_figure(i))
			task_write_add(write, i, WRITE_SET);
		else if (task_columns[i - 1].rule == COLUMN_LATE)
			task_write_add(write, i, WRITE_IF_GIVEN);
	}
	task_write_add(write, Anum_tasks_region, WRITE_IF_GIVEN);
	task_write_add(write, Anum_tasks_speed, WRITE_IF_GIVEN);
	task_write_add(write, Anum_tasks_client_cost, WRITE_IF_GIVEN);
	task_write_add(write, Anum_tasks_response_length, WRITE_IF_GIVEN);
	task_write_add(write, Anum_tasks_updated_at, WRITE_LATEST);
}

/* Write to a finished task what it has lacked, and what it costs and has used with it */
static ResultRow
write_late(const pg_uuid_t *run_id, const pg_uuid_t *task_id, TaskState *state,
		   const TaskEnd *end, const Field *total, const Charge *charge)
{
	static RowWrite write = {
		.table = TABLE_TASKS,
		.key_count = 2,
		.keys = {TASK_KEYS},
		.returning = &task_summary_columns
	};
	ResultRow	summary;
	TaskRow		row;
	Args		args = {0};

	if (write.column_count == 0)
		add_late_columns(&write);
	task_row_begin(&row, run_id, task_id);
	fill_stated(&row, end, GetCurrentTimestamp());
	task_row_field(&row, Anum_tasks_tokens_total, total);
	fill_charge(&row, end, charge);
	if (!end->response_text.isnull)
		task_row_set(&row, Anum_tasks_response_length,
					 Int64GetDatum(text_chars(DatumGetTextPP(end->response_text.value))), false);
	task_write_args(&write, &row, &args);
	if (direct_update(&write, &args, &state->place, &summary))
		return summary;
	if (statement_write_task(row_write_statement(&write), &args, run_id, task_id) != 1)
		task_not_found(task_id);
	return result_row();
}

/*
 * A finished task that is locked is ended again: PT409 where the call states
 * something else than what stands.  What it states, and the task lacks, is stored
 * and charged, and moves the run's totals.  Returns whether there was any.
 */
bool
task_end_again(const pg_uuid_t *run_id, const pg_uuid_t *task_id, TaskState *state,
			   TaskEnd *end)
{
	Charge		charge = {
		.cost = state->cost,
		.cost_details = state->cost_details,
		.price_status = state->price_status
	};
	RunChange	change = {0};
	Field		total;
	ResultRow	summary;

	task_check_transition(task_id, state->status, end->status);
	end_check_repeated(run_id, task_id, state, end);
	if (!end_leave_what_lacks(state, end))
		return false;
	total = end_late_total(state, end);
	if (end_changes_charge(end))
	{
		end_compute_charge(state, end, &total, &charge);
		change.tokens = (total.isnull ? 0 : DatumGetInt64(total.value)) -
			(state->tokens_total.isnull ? 0 : DatumGetInt64(state->tokens_total.value));
		change.cost = cost_difference(&charge.cost, &state->cost);
		run_change(run_id, &change, &state->run);
	}
	end_fill_counts(state, end);
	summary = write_late(run_id, task_id, state, end, &total, &charge);
	summary = task_settle_difference(run_id, task_id, &state->run, &summary, &total, &charge.cost);
	task_enter_end(state, &summary, &end->usage_buckets);
	if (!end->response_text.isnull)
		state->response_text = end->response_text;
	return true;
}

/* ---------- the functions ---------- */

/* For the three functions that end a task; run_id is their last argument */
static Datum
end_task(FunctionCallInfo fcinfo, TaskEnd *end)
{
	pg_uuid_t  *task_id = task_id_argument(fcinfo, 0);
	pg_uuid_t	run_id;
	TaskState	state;
	ResultRow	summary;
	Datum		result;

	task_end_unwrap(end);
	task_check_end(end);
	store_open(true);
	run_id = task_run_argument(fcinfo, PG_NARGS() - 1, task_id);
	task_lock(&run_id, task_id, &state);
	task_count_stated(end, &state);
	if (task_takes_end(&state, end))
		summary = task_end(&run_id, task_id, &state, end, NULL);
	else
	{
		(void) task_end_again(&run_id, task_id, &state, end);
		summary = task_read_summary(&run_id, task_id);
	}
	result = result_row_composite(fcinfo, &summary);
	store_close();
	return result;
}

/*
 * airun_complete_task(task_id, response_text, usage, ..., run_id)
 * returns ai_task_summary
 */
Datum
airun_complete_task(PG_FUNCTION_ARGS)
{
	TaskEnd		end = task_end_arguments(fcinfo, 1, TASK_COMPLETED);

	PG_RETURN_DATUM(end_task(fcinfo, &end));
}

/*
 * airun_cancel_task(task_id, response_text, usage, ..., run_id)
 * returns ai_task_summary
 */
Datum
airun_cancel_task(PG_FUNCTION_ARGS)
{
	TaskEnd		end = task_end_arguments(fcinfo, 1, TASK_CANCELLED);

	PG_RETURN_DATUM(end_task(fcinfo, &end));
}

/*
 * airun_fail_task(task_id, error, usage, response_text, tokens_input, ...,
 * run_id) returns ai_task_summary
 */
Datum
airun_fail_task(PG_FUNCTION_ARGS)
{
	TaskEnd		end = task_end_arguments(fcinfo, 2, TASK_ERROR);

	/* Here usage comes before the text: it is known more often */
	end.usage = argument_field(fcinfo, 2);
	end.response_text = argument_field(fcinfo, 3);
	end.error = json_argument(fcinfo, 1);
	PG_RETURN_DATUM(end_task(fcinfo, &end));
}
