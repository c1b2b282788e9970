/*
 * task_end.c
 *		The end of a task: completed, failed or cancelled.
 *
 * What a call states about an end is checked here.  Whoever ends a task settles
 * its text, its figures and its cost (charge.c), and moves its run's totals in
 * the same step by what these change.
 *
 * An end is final, and takes what it lacks.  A call that is repeated with the same
 * status brings what has not been stated before, such as the usage of what was
 * stopped: that is stored, charged and rolled up, once.  What stands is compared
 * where it is status, text, usage or tokens, and with others the call is PT409; cost,
 * times and all else stand as they are.  The tokens that a usage says go before those
 * that the client has counted, as at the end.
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

#include "access/detoast.h"
#include "catalog/pg_type.h"
#include "json/jsonb_copy.h"
#include "json/jsonb_util.h"
#include "pricing/charge.h"
#include "store/direct.h"
#include "store/identity.h"
#include "store/store.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

PG_FUNCTION_INFO_V1(airun_complete_task);
PG_FUNCTION_INFO_V1(airun_fail_task);
PG_FUNCTION_INFO_V1(airun_cancel_task);

/* The most that one task may state, so that sums stay far from any limit */
#define MAX_TOKENS			INT64CONST(1000000000000)
#define MAX_SCALE			30
static const char max_amount[] = "1000000000000";

/* ---------- what is stated ---------- */

/* What input and output make together, as far as they are known */
Field
task_sum_tokens(const Field *input, const Field *output)
{
	int64		sum = 0;

	if (!input->isnull)
		sum += DatumGetInt64(input->value);
	if (!output->isnull)
		sum += DatumGetInt64(output->value);
	return (Field) {Int64GetDatum(sum), input->isnull && output->isnull};
}

/* A figure that cannot be is left out of a task's end, which stands; here is why */
static void
leave_out(TaskEnd *end, const char *name, Field *field, const char *reason)
{
	end->left_out = (Field) {
		JsonbPGetDatum(jsonb_set_string(end->left_out.isnull ? NULL :
										DatumGetJsonbP(end->left_out.value),
										name, reason, strlen(reason))), false
	};
	*field = (Field) {(Datum) 0, true};
}

static void
settle_tokens(TaskEnd *end, const char *name, Field *field)
{
	int64		tokens = DatumGetInt64(field->value);

	if (!field->isnull && (tokens < 0 || tokens > MAX_TOKENS))
		leave_out(end, name, field,
				  psprintf(INT64_FORMAT " is not between 0 and " INT64_FORMAT,
						   tokens, MAX_TOKENS));
}

/*
 * An amount of money or time: finite, not negative, not absurd.  NaN compares
 * as greater than any number, so that one comparison finds it, too.
 */
static void
settle_amount(TaskEnd *end, const char *name, Field *field)
{
	Datum		max;

	if (field->isnull)
		return;
	max = DirectFunctionCall3(numeric_in, CStringGetDatum(max_amount),
							  ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
	if (DatumGetBool(DirectFunctionCall2(numeric_gt, field->value, max)) ||
		DatumGetBool(DirectFunctionCall2(numeric_lt, field->value,
										 NumericGetDatum(int64_to_numeric(0)))))
		leave_out(end, name, field,
				  psprintf("%.100s is not between 0 and %s",
						   DatumGetCString(DirectFunctionCall1(numeric_out, field->value)),
						   max_amount));
	else if (DatumGetInt32(DirectFunctionCall1(numeric_scale, field->value)) > MAX_SCALE)
		leave_out(end, name, field, psprintf("it has more than %d decimal places", MAX_SCALE));
}

/*
 * Leave out a total that is less than the parts that are known: those are
 * added up, then.
 */
static void
settle_total(TaskEnd *end, const Field *input, const Field *output)
{
	int64		parts = DatumGetInt64(task_sum_tokens(input, output).value);

	if (!end->tokens_total.isnull && DatumGetInt64(end->tokens_total.value) < parts)
		leave_out(end, "tokens_total", &end->tokens_total,
				  psprintf(INT64_FORMAT " is less than its parts, " INT64_FORMAT,
						   DatumGetInt64(end->tokens_total.value), parts));
}

/* A word that is too long is left out, too: a task ends whatever an answer says */
static void
settle_word(TaskEnd *end, const char *name, Field *field)
{
	int			length = field->isnull ? 0 : text_chars(DatumGetTextPP(field->value));

	if (length > MAX_TASK_WORD)
		leave_out(end, name, field, psprintf("it has %d characters, more than %d",
											 length, MAX_TASK_WORD));
}

#define SERVED_OF_STATE(name)	.name = state->name,

/* What is known of a task for its charge, before its end */
ChargeBasis
task_charge_basis(const TaskState *state)
{
	return (ChargeBasis) {
		.model_id = state->model_id,
		.provider = state->provider,
		.endpoint = state->endpoint,
		.metadata = state->metadata,
		.usage = state->usage,
		.response_data = state->response_data,
		.tokens_input = state->tokens_input,
		.tokens_output = state->tokens_output,
		.client_cost = state->client_cost,
		.left_out = charge_left_out(&state->cost_details),
		.created_at = state->created_at,
		SERVED_FIELD_LIST(SERVED_OF_STATE)
	};
}

#define STATED_OF_END(name)	if (!end->name.isnull) basis->name = end->name;

/* Put what is stated about the end in place of what is known */
static void
take_stated(ChargeBasis *basis, const TaskEnd *end)
{
	STATED_OF_END(usage)
	STATED_OF_END(response_data)
	STATED_OF_END(tokens_input)
	STATED_OF_END(tokens_output)
	STATED_OF_END(left_out)
	if (!end->cost.isnull)
		basis->client_cost = end->cost;
	SERVED_FIELD_LIST(STATED_OF_END)
}

#define END_OF_BASIS(name)	end->name = basis.name;

/*
 * Take how it was served, and the tokens, from what the provider has sent: that
 * which is stated, or else that which is known, where it says them.  Done once
 * the task is known, before what is stated is compared or stored.
 */
void
task_count_end(TaskEnd *end, const ChargeBasis *known)
{
	ChargeBasis basis = *known;

	take_stated(&basis, end);
	charge_read_served(&basis);
	SERVED_FIELD_LIST(END_OF_BASIS)
	end->counted = charge_count_usage(&basis, &end->tokens_input, &end->tokens_output,
									  &end->tokens_total, &end->usage_buckets);
}

#define CHECK_LENGTH(name, type, longest, ...) \
	if (longest > 0) check_length(#name, &end->name, longest);

/*
 * PT422 unless what is stated about a task's end can be stored.  Figures that
 * cannot be are left out, with the reason: an answer that has been paid for is
 * not refused because of what is said about it.
 */
void
task_check_end(TaskEnd *end)
{
	settle_tokens(end, "tokens_input", &end->tokens_input);
	settle_tokens(end, "tokens_output", &end->tokens_output);
	settle_tokens(end, "tokens_total", &end->tokens_total);
	settle_total(end, &end->tokens_input, &end->tokens_output);
	settle_amount(end, "cost", &end->cost);
	settle_amount(end, "time_to_first_token", &end->time_to_first_token);
	settle_amount(end, "total_time", &end->total_time);
	settle_amount(end, "provider_cost", &end->provider_cost);
	settle_word(end, "served_model", &end->served_model);
	settle_word(end, "service_tier", &end->service_tier);
	TASK_END_LIST(CHECK_LENGTH)
	if (!end->response_text.isnull)
		text_check_size("response_text",
						toast_raw_datum_size(end->response_text.value) - VARHDRSZ);
}

/* ---------- texts, and calls that are repeated ---------- */

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

/* Has the task a text, or an answer, which may have none on purpose? */
static bool
text_stands(const TaskState *state)
{
	return !state->response_text.isnull || state->answer_seq > 0;
}

/* PT409: a finished task has another text, or another usage or count */
pg_noreturn static void
refuse_other(const pg_uuid_t *task_id, const TaskState *state, const char *name,
			 const char *stands)
{
	ereport(ERROR,
			(errcode(ERRCODE_AIRUN_CONFLICT),
			 errmsg("task \"%s\" is %s already, with another \"%s\"",
					uuid_string(task_id), task_status_name(state->status), name),
			 errdetail("What stands is \"%s\".", excerpt(stands, strlen(stands))),
			 errhint("An end is final, and takes only what it lacks; repeat a call only with the values that it had.")));
}

static void
check_text(const pg_uuid_t *run_id, const pg_uuid_t *task_id, const TaskState *state,
		   const TaskEnd *end)
{
	text	   *stored;

	if (end->response_text.isnull || !text_stands(state))
		return;
	stored = task_text(run_id, state);
	if (stored == NULL ? !end->text_is_derived :
		!text_equal(DatumGetTextPP(end->response_text.value), stored))
		refuse_other(task_id, state, "response_text",
					 stored == NULL ? "" : text_to_cstring(stored));
}

static void
check_tokens(const pg_uuid_t *task_id, const TaskState *state, const char *name,
			 const Field *stated, const Field *stored)
{
	if (!stated->isnull && !stored->isnull &&
		DatumGetInt64(stated->value) != DatumGetInt64(stored->value))
		refuse_other(task_id, state, name, psprintf(INT64_FORMAT, DatumGetInt64(stored->value)));
}

/* Does a call bring the usage of a task that has ended without one? */
static bool
brings_usage(const TaskState *state, const TaskEnd *end)
{
	return state->usage.isnull && !end->usage.isnull;
}

/*
 * A finished task is ended again: PT409 unless what is stated stands, or stands
 * nowhere yet.
 */
static void
check_repeated_end(const pg_uuid_t *run_id, const pg_uuid_t *task_id,
				   const TaskState *state, TaskEnd *end)
{
	task_check_transition(task_id, state->status, end->status);
	check_text(run_id, task_id, state, end);
	if (brings_usage(state, end))
		return;
	settle_total(end, &state->tokens_input, &state->tokens_output);
	if (!end->usage.isnull && !jsonb_same(DatumGetJsonbP(end->usage.value),
										  DatumGetJsonbP(state->usage.value)))
		refuse_other(task_id, state, "usage",
					 JsonbToCString(NULL, &DatumGetJsonbP(state->usage.value)->root,
									VARSIZE(DatumGetJsonbP(state->usage.value))));
	check_tokens(task_id, state, "tokens_input", &end->tokens_input, &state->tokens_input);
	check_tokens(task_id, state, "tokens_output", &end->tokens_output, &state->tokens_output);
	check_tokens(task_id, state, "tokens_total", &end->tokens_total, &state->tokens_total);
}

/* Has the task expired, without an end by who works on it? */
static bool
has_expired(const TaskState *state)
{
	return state->status == TASK_ERROR && task_error_is_expiry(&state->error);
}

/*
 * Is the task still to be ended, by this call?  One that has expired is, unless
 * the call says no more than that.
 */
bool
task_takes_end(const TaskState *state, const TaskEnd *end)
{
	if (!task_is_final(state->status))
		return true;
	return has_expired(state) &&
		!(end->status == TASK_ERROR && task_error_is_expiry(&end->error));
}

static void
forget_tokens(TaskEnd *end, bool input, bool output, bool total)
{
	const Field unknown = {(Datum) 0, true};

	if (input)
		end->tokens_input = unknown;
	if (output)
		end->tokens_output = unknown;
	if (total)
		end->tokens_total = unknown;
}

/*
 * Count what is stated about the end of a task that is locked.  Beside a usage
 * that comes late, the tokens that stand are those to count with; and what a usage
 * that stands has said was counted when it came, perhaps otherwise than by now.
 * One in an answer that comes late is counted now.
 */
void
task_count_stated(TaskEnd *end, const TaskState *state)
{
	bool		has_ended = !task_takes_end(state, end);
	bool		brings = brings_usage(state, end);
	bool		stands = !state->usage.isnull;
	ChargeBasis known = task_charge_basis(state);

	if (has_ended && brings)
		forget_tokens(end, !state->tokens_input.isnull, !state->tokens_output.isnull,
					  !state->tokens_total.isnull);
	task_count_end(end, &known);
	if (has_ended && !brings && end->counted != NULL)
		forget_tokens(end,
					  end->counted->tokens_input != USAGE_UNKNOWN &&
					  (stands || !state->tokens_input.isnull),
					  end->counted->tokens_output != USAGE_UNKNOWN &&
					  (stands || !state->tokens_output.isnull),
					  end->counted->tokens_total != USAGE_UNKNOWN &&
					  (stands || !state->tokens_total.isnull));
}

/* What the task's total is once it has ended */
static Field
resolve_total(const TaskState *state, TaskEnd *end)
{
	Field		input = end->tokens_input.isnull ? state->tokens_input : end->tokens_input;
	Field		output = end->tokens_output.isnull ? state->tokens_output : end->tokens_output;

	settle_total(end, &input, &output);
	if (!end->tokens_total.isnull)
		return end->tokens_total;
	if (end->tokens_input.isnull && end->tokens_output.isnull)
		return state->tokens_total;
	return task_sum_tokens(&input, &output);
}

/* What the task costs, by what is known of it at its end */
static void
compute_charge(const TaskState *state, const TaskEnd *end, Charge *charge)
{
	ChargeBasis basis = task_charge_basis(state);

	take_stated(&basis, end);
	basis.counted = end->counted;
	charge_compute(&basis, charge);
}

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
	bool		expired = has_expired(state);

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
	Field		total = resolve_total(state, end);
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

	compute_charge(state, end, &charge);
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
	if (end->error.isnull && !has_expired(state))
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
	task_notify(run_id, task_id, end->status, length, generation);
	return summary;
}

/* ---------- what comes after the end ---------- */

#define LEAVE_OUT_WHAT_STANDS(name, ...) \
	if (!state->name.isnull) \
		end->name = unknown; \
	lacks |= !end->name.isnull;

/* Leave of what is stated what the task lacks.  Returns whether there is any. */
static bool
leave_what_lacks(const TaskState *state, TaskEnd *end)
{
	const Field unknown = {(Datum) 0, true};
	bool		brings = brings_usage(state, end);
	TaskEnd		counted = *end;
	bool		lacks = false;

	if (text_stands(state))
		end->response_text = unknown;
	if (!state->client_cost.isnull)
		end->cost = unknown;
	LEAVE_OUT_WHAT_STANDS(error)
	TASK_END_LIST(LEAVE_OUT_WHAT_STANDS)
	LEAVE_OUT_WHAT_STANDS(region)
	LEAVE_OUT_WHAT_STANDS(speed)
	if (!brings)
	{
		if (end->response_data.isnull)
			end->usage_buckets = unknown;
		return lacks;
	}

	/* What the usage says goes before what the client has counted */
	end->tokens_input = counted.tokens_input;
	end->tokens_output = counted.tokens_output;
	end->tokens_total = counted.tokens_total;
	return true;
}

/* Does what is left change what the task costs? */
static bool
changes_charge(const TaskEnd *end)
{
	return !end->usage.isnull || !end->tokens_input.isnull || !end->tokens_output.isnull ||
		!end->tokens_total.isnull || !end->cost.isnull || !end->response_data.isnull ||
		!end->served_model.isnull || !end->service_tier.isnull || !end->billed.isnull ||
		!end->provider_cost.isnull;
}

/* The task's total with what comes late: no less than one that has been stated */
static Field
late_total(const TaskState *state, TaskEnd *end)
{
	Field		total = resolve_total(state, end);

	if (end->usage.isnull && !state->tokens_total.isnull &&
		DatumGetInt64(total.value) < DatumGetInt64(state->tokens_total.value))
		return state->tokens_total;
	return total;
}

/* Have the write write what may come late */
static void
add_late_columns(RowWrite *write)
{
	for (int i = 0; i < Natts_tasks; i++)
	{
		if (task_columns[i].rule == COLUMN_LATE && i + 1 != Anum_tasks_cost)
			task_write_add(write, i + 1, WRITE_IF_GIVEN);
	}
	task_write_add(write, Anum_tasks_usage_buckets, WRITE_IF_GIVEN);
	task_write_add(write, Anum_tasks_region, WRITE_IF_GIVEN);
	task_write_add(write, Anum_tasks_speed, WRITE_IF_GIVEN);
	task_write_add(write, Anum_tasks_client_cost, WRITE_IF_GIVEN);
	task_write_add(write, Anum_tasks_response_length, WRITE_IF_GIVEN);
	task_write_add(write, Anum_tasks_cost, WRITE_SET);
	task_write_add(write, Anum_tasks_cost_details, WRITE_SET);
	task_write_add(write, Anum_tasks_price_status, WRITE_SET);
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

	check_repeated_end(run_id, task_id, state, end);
	if (!leave_what_lacks(state, end))
		return false;
	total = late_total(state, end);
	if (changes_charge(end))
	{
		compute_charge(state, end, &charge);
		change.tokens = (total.isnull ? 0 : DatumGetInt64(total.value)) -
			(state->tokens_total.isnull ? 0 : DatumGetInt64(state->tokens_total.value));
		change.cost = cost_difference(&charge.cost, &state->cost);
		run_change(run_id, &change, &state->run);
	}
	summary = write_late(run_id, task_id, state, end, &total, &charge);
	(void) task_settle_difference(run_id, task_id, &state->run, &summary, &total, &charge.cost);
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

#define IS_ABSENT(name, ...)	end.name = unknown;

/* Nothing is stated about a task's end but the end itself */
TaskEnd
task_end_nothing(TaskStatus status)
{
	const Field unknown = {(Datum) 0, true};
	TaskEnd		end = {
		.status = status,
		.region = unknown,
		.speed = unknown,
		.usage_buckets = unknown,
		.left_out = unknown,
		.error = unknown
	};

	TASK_END_LIST(IS_ABSENT)
	return end;
}

#define UNWRAP(name, type, ...) \
	if ((type) == JSONBOID) \
		(void) unwrap_json(&end->name);

/* Put the documents that JSON strings hold in place of these */
void
task_end_unwrap(TaskEnd *end)
{
	TASK_END_LIST(UNWRAP)
}

/* An amount comes as double precision, which takes every number that drivers send */
#define TAKE_ARGUMENT(name, type, ...) \
	end.name = (type) == NUMERICOID ? argument_decimal(fcinfo, first) : \
		argument_field(fcinfo, first); \
	first++;

/*
 * What a call states about a task's end, from the arguments that all such
 * functions have in one order, beginning with response_text; run_id, the last
 * one, comes behind them.
 */
TaskEnd
task_end_arguments(FunctionCallInfo fcinfo, int first, TaskStatus status)
{
	TaskEnd		end = task_end_nothing(status);

	check_argument_count(fcinfo, first + TASK_END_COUNT + 1);
	TASK_END_LIST(TAKE_ARGUMENT)
	return end;
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
