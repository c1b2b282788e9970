/*
 * end_stated.c
 *		What is stated about an end, against what stands.
 *
 * Figures that cannot be are left out of it, with the reason; the rest is counted,
 * from the usage first, and charged.  When what has ended is ended again, what is
 * stated is compared with what stands, where that is text, usage or tokens, and only
 * what was lacking is left of it.
 *
 * For tasks (task_end.c), and for calls (usage/utility_call.c), which are described
 * like tasks, without a run and without a text.  Nothing is written here, and
 * nothing locked.
 *
 * Errors: PT409 for what stands otherwise; PT422 for what cannot be stored.
 */
#include "task/end_stated.h"

#include "access/detoast.h"
#include "catalog/pg_type.h"
#include "json/call.h"
#include "json/jsonb_copy.h"
#include "json/jsonb_util.h"
#include "store/identity.h"
#include "task/task_end.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

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

/* Is there a total that somebody has stated?  One that is the only side known follows from it. */
bool
task_total_stands(const Field *total, const Field *input, const Field *output)
{
	if (total->isnull)
		return false;
	if (input->isnull == output->isnull)
		return true;
	return DatumGetInt64(total->value) != DatumGetInt64(task_sum_tokens(input, output).value);
}

static bool
total_stands(const TaskState *state)
{
	return task_total_stands(&state->tokens_total, &state->tokens_input, &state->tokens_output);
}

/* A figure that cannot be is left out of a task's end, which stands; here is why */
void
end_leave_out(TaskEnd *end, const char *name, Field *field, const char *reason)
{
	charge_leave_out(&end->left_out, name, reason);
	*field = (Field) {(Datum) 0, true};
}

static void
settle_tokens(TaskEnd *end, const char *name, Field *field)
{
	int64		tokens = DatumGetInt64(field->value);

	if (!field->isnull && (tokens < 0 || tokens > MAX_TOKENS))
		end_leave_out(end, name, field,
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
		end_leave_out(end, name, field,
				  psprintf("%.100s is not between 0 and %s",
						   DatumGetCString(DirectFunctionCall1(numeric_out, field->value)),
						   max_amount));
	else if (DatumGetInt32(DirectFunctionCall1(numeric_scale, field->value)) > MAX_SCALE)
		end_leave_out(end, name, field, psprintf("it has more than %d decimal places", MAX_SCALE));
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
		end_leave_out(end, "tokens_total", &end->tokens_total,
				  psprintf(INT64_FORMAT " is less than its parts, " INT64_FORMAT,
						   DatumGetInt64(end->tokens_total.value), parts));
}

/* A word that is too long is left out, too: a task ends whatever an answer says */
static void
settle_word(TaskEnd *end, const char *name, Field *field)
{
	int			length = field->isnull ? 0 : text_chars(DatumGetTextPP(field->value));

	if (length > MAX_TASK_WORD)
		end_leave_out(end, name, field, psprintf("it has %d characters, more than %d",
											 length, MAX_TASK_WORD));
}

#define SERVED_OF_STATE(name)	.name = state->name,

/* What is known of a task for its charge, before its end */
static ChargeBasis
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
	if (end->counts_anew || !end->tokens_input.isnull)
		basis->tokens_input = end->tokens_input;
	if (end->counts_anew || !end->tokens_output.isnull)
		basis->tokens_output = end->tokens_output;
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
	END_OF_BASIS(left_out)
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

/* ---------- against what stands ---------- */

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
			 errmsg("%s \"%s\" is %s already, with another \"%s\"", state->noun,
					uuid_string(task_id), task_status_name(state->status), name),
			 errdetail("What stands is \"%s\".", excerpt(stands, strlen(stands))),
			 errhint("An end is final, and takes only what it lacks; repeat a call only with the "
					 "values that it had.")));
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

/*
 * A finished task is ended again: PT409 unless what is stated stands, or stands
 * nowhere yet.  Tokens that are stated beside a usage are not compared: what it says
 * goes before them, and for what it leaves open what stands does.
 */
void
end_check_repeated(const pg_uuid_t *run_id, const pg_uuid_t *task_id,
				   const TaskState *state, TaskEnd *end)
{
	check_text(run_id, task_id, state, end);
	if (!end->usage.isnull && !state->usage.isnull &&
		!jsonb_same(DatumGetJsonbP(end->usage.value), DatumGetJsonbP(state->usage.value)))
		refuse_other(task_id, state, "usage",
					 JsonbToCString(NULL, &DatumGetJsonbP(state->usage.value)->root,
									VARSIZE(DatumGetJsonbP(state->usage.value))));
	if (end->counts_anew)
		return;
	settle_total(end, &state->tokens_input, &state->tokens_output);
	if (end->states_usage)
		return;
	check_tokens(task_id, state, "tokens_input", &end->tokens_input, &state->tokens_input);
	check_tokens(task_id, state, "tokens_output", &end->tokens_output, &state->tokens_output);
	if (total_stands(state))
		check_tokens(task_id, state, "tokens_total", &end->tokens_total, &state->tokens_total);
}

/* Has the task expired, without an end by who works on it? */
bool
end_has_expired(const TaskState *state)
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
	return end_has_expired(state) &&
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
 * Find out whether a call states a usage, in the answer perhaps, and whether the one
 * that counts comes with it, late.  An answer that comes after another one is left
 * aside.
 */
static void
find_late_usage(TaskEnd *end, const TaskState *state, const ChargeBasis *known)
{
	ChargeBasis basis = *known;
	bool		answers = false;

	if (!end->response_data.isnull)
	{
		take_stated(&basis, end);
		if (!state->usage.isnull)
			basis.usage = state->usage;
		if (!state->response_data.isnull)
			basis.response_data = state->response_data;
		answers = charge_counts_answer(&basis);
	}
	end->states_usage = answers || !end->usage.isnull;
	end->counts_anew = (answers && state->response_data.isnull) ||
		(!end->usage.isnull && state->usage.isnull);
	if (!state->response_data.isnull)
		end->response_data = state->response_data;
}

/* Count with the tokens that stand, and where there are none, those that are stated */
static void
count_with_standing(TaskEnd *end, const TaskState *state, const ChargeBasis *known)
{
	if (!state->tokens_input.isnull)
		end->tokens_input = state->tokens_input;
	if (!state->tokens_output.isnull)
		end->tokens_output = state->tokens_output;
	if (total_stands(state))
		end->tokens_total = state->tokens_total;
	task_count_end(end, known);
}

/*
 * Count what is stated about a task that has ended.  What a usage that stands has
 * said was counted when it came, perhaps otherwise than by now.  Where one comes
 * late, all is counted as if it had come in time.  So it is where a count of the
 * output comes late to a total alone: that has been taken for the input, which is
 * not known from now on, unless it is stated, too.
 */
static void
count_late(TaskEnd *end, const TaskState *state, const ChargeBasis *known)
{
	TaskEnd		stated;

	find_late_usage(end, state, known);
	stated = *end;
	count_with_standing(end, state, known);
	if (!state->tokens_input.isnull && end->tokens_input.isnull)
	{
		TaskState	opened = *state;

		*end = stated;
		end->counts_anew = true;
		opened.tokens_input.isnull = true;
		count_with_standing(end, &opened, known);
	}
	if (end->counts_anew)
		return;
	end->tokens_input = stated.tokens_input;
	end->tokens_output = stated.tokens_output;
	end->tokens_total = stated.tokens_total;
	if (end->counted != NULL)
		forget_tokens(end, end->counted->tokens_input != USAGE_UNKNOWN,
					  end->counted->tokens_output != USAGE_UNKNOWN,
					  end->counted->tokens_total != USAGE_UNKNOWN);
}

/* Count what is stated about the end of a task that is locked */
void
task_count_stated(TaskEnd *end, const TaskState *state)
{
	ChargeBasis known = task_charge_basis(state);

	if (task_takes_end(state, end))
		task_count_end(end, &known);
	else
		count_late(end, state, &known);
}

/* What the task's total is once it has ended */
Field
end_resolve_total(const TaskState *state, TaskEnd *end)
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

/* What the task costs, by what is known of it at its end, or after it; total: its tokens */
void
end_compute_charge(const TaskState *state, const TaskEnd *end, const Field *total,
				   Charge *charge)
{
	ChargeBasis basis = task_charge_basis(state);

	take_stated(&basis, end);
	basis.tokens_total = *total;
	basis.counted = end->counted;
	charge_compute(&basis, charge);
	if (task_is_final(state->status))
		charge_keep_cost(&state->cost, &state->cost_details, charge);
}

/* ---------- what has been lacking ---------- */

#define LEAVE_OUT_WHAT_STANDS(name, ...) \
	if (!state->name.isnull) \
		end->name = unknown; \
	lacks |= !end->name.isnull;

/* Leave of what is stated what the task lacks.  Returns whether there is any. */
bool
end_leave_what_lacks(const TaskState *state, TaskEnd *end)
{
	const Field unknown = {(Datum) 0, true};
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
	if (end->counts_anew)
	{
		/* What the usage says goes before what the client has counted */
		end->tokens_input = counted.tokens_input;
		end->tokens_output = counted.tokens_output;
		end->tokens_total = counted.tokens_total;
		return true;
	}
	if (!counted.tokens_total.isnull && !state->tokens_total.isnull && !total_stands(state) &&
		DatumGetInt64(counted.tokens_total.value) != DatumGetInt64(state->tokens_total.value))
	{
		end->tokens_total = counted.tokens_total;
		lacks = true;
	}
	return lacks;
}

/* Does what is left change what the task costs? */
bool
end_changes_charge(const TaskEnd *end)
{
	return !end->usage.isnull || !end->tokens_input.isnull || !end->tokens_output.isnull ||
		!end->tokens_total.isnull || !end->cost.isnull || !end->response_data.isnull ||
		!end->served_model.isnull || !end->service_tier.isnull || !end->billed.isnull ||
		!end->provider_cost.isnull;
}

/* The task's total with what comes late: no less than one that has been stated */
Field
end_late_total(const TaskState *state, TaskEnd *end)
{
	Field		total;

	if (end->counts_anew)
		return end->tokens_total.isnull ?
			task_sum_tokens(&end->tokens_input, &end->tokens_output) : end->tokens_total;
	total = end_resolve_total(state, end);
	if (!state->tokens_total.isnull &&
		DatumGetInt64(total.value) < DatumGetInt64(state->tokens_total.value))
		return state->tokens_total;
	return total;
}

/* Have the end state what is counted of the task with it, as that is written */
void
end_fill_counts(const TaskState *state, TaskEnd *end)
{
	if (end->counts_anew)
		return;
	if (end->tokens_input.isnull)
		end->tokens_input = state->tokens_input;
	if (end->tokens_output.isnull)
		end->tokens_output = state->tokens_output;
	end->usage_buckets = state->usage_buckets;
}

/* ---------- as it comes ---------- */

#define IS_ABSENT(name, ...)	end.name = unknown;

/* Nothing is stated about a task's end but the end itself, and what airun_call() has left out */
TaskEnd
task_end_nothing(TaskStatus status)
{
	const Field unknown = {(Datum) 0, true};
	Jsonb	   *left_out = call_take_left_out();
	TaskEnd		end = {
		.status = status,
		.region = unknown,
		.speed = unknown,
		.usage_buckets = unknown,
		.left_out = {PointerGetDatum(left_out), left_out == NULL},
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
