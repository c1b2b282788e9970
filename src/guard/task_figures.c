/*
 * task_figures.c
 *		The second wall: what a row says that a task has used and cost.
 *
 * As at the end of a task by the functions (task_end.c), figures that cannot be are
 * kept out of the row, and the reasons in its cost_details: they never refuse it.
 * What is known is counted from the usage, and a task that has ended is charged by
 * the price book; a cost that is stated is the client's.  A change after the end
 * leaves a cost that was known.
 *
 * Nothing is locked or written here, but the row that is about to be.
 */
#include "guard/task_figures.h"

#include "pricing/charge.h"
#include "run/message.h"
#include "task/chunk.h"
#include "task/task_end.h"
#include "utils/builtins.h"

#define SERVED_OF_ROW(name)	basis.name = row_new(row, #name);

/* What the row says for its charge; an answer that goes on has no usage yet */
static ChargeBasis
charge_basis(Row *row, TaskStatus status)
{
	const Field unknown = {(Datum) 0, true};
	Field		details = row_new(row, "cost_details");
	ChargeBasis	basis = {
		.model_id = row_new(row, "model_id"),
		.provider = row_new(row, "provider"),
		.endpoint = row_new(row, "endpoint"),
		.metadata = row_new(row, "metadata"),
		.usage = row_new(row, "usage"),
		.response_data = task_is_final(status) ? row_new(row, "response_data") : unknown,
		.tokens_input = row_new(row, "tokens_input"),
		.tokens_output = row_new(row, "tokens_output"),
		.tokens_total = row_new(row, "tokens_total"),
		.client_cost = row_new(row, "client_cost"),
		.left_out = charge_left_out(&details),
	};

	SERVED_FIELD_LIST(SERVED_OF_ROW)
	return basis;
}

/* Have a task that has ended cost what it costs */
static void
charge_task(Row *row, TaskStatus status)
{
	ChargeBasis	basis = charge_basis(row, status);
	Charge		charge;

	basis.created_at = DatumGetTimestampTz(row_new(row, "created_at").value);
	charge_compute(&basis, &charge);
	if (row->old != NULL && !row_old(row, "completed_at").isnull)
	{
		Field		cost = row_old(row, "cost");
		Field		details = row_old(row, "cost_details");

		charge_keep_cost(&cost, &details, &charge);
	}
	row_set(row, "cost", charge.cost.value, charge.cost.isnull);
	row_set(row, "cost_details", charge.cost_details.value, charge.cost_details.isnull);
	row_set(row, "price_status", charge.price_status.value, charge.price_status.isnull);
}

/* Keep figures that cannot be out of the row, and the reasons in its cost_details */
static void
keep_figures_out(Row *row, const TaskEnd *end)
{
	const struct
	{
		const char *column;
		const Field *field;
	}			figures[] = {
		{"cost", &end->cost},
		{"time_to_first_token", &end->time_to_first_token},
		{"total_time", &end->total_time},
		{"served_model", &end->served_model},
		{"service_tier", &end->service_tier},
		{"provider_cost", &end->provider_cost},
	};

	if (end->left_out.isnull)
		return;
	for (int i = 0; i < lengthof(figures); i++)
		row_set(row, figures[i].column, figures[i].field->value, figures[i].field->isnull);
	row_set(row, "cost_details",
			JsonbPGetDatum(charge_left_out_details(DatumGetJsonbP(end->left_out.value))), false);
}

/* Does anything change what a task costs, or that it has ended? */
static bool
figures_change(Row *row)
{
	static const char *const columns[] = {
		"status", "usage", "tokens_input", "tokens_output", "tokens_total", "client_cost",
		"response_data", "model_id", "provider", "served_model", "service_tier", "billed",
		"provider_cost"
	};

	for (int i = 0; i < lengthof(columns); i++)
	{
		if (row->old == NULL || row_changed(row, columns[i]))
			return true;
	}
	return false;
}

/* Does the usage say a total? */
static bool
says_total(const TaskEnd *end)
{
	return end->counted != NULL && end->counted->tokens_total != USAGE_UNKNOWN;
}

#define END_OF_ROW(name, ...)	end.name = row_new(row, #name);

#define SERVED_TO_ROW(name)	row_set(row, #name, end.name.value, end.name.isnull);

/*
 * Settle the figures of a task, and count what its usage and its total say.  stands: a
 * total, or NULL; it is not less with what comes late, unless a usage that comes says so.
 */
static void
settle_figures(Row *row, TaskStatus status, const Field *stands, bool brings_usage)
{
	TaskEnd		end = task_end_nothing(status);

	TASK_END_LIST(END_OF_ROW)
	if (row->old != NULL && !row_changed(row, "tokens_total") &&
		(row_changed(row, "tokens_input") || row_changed(row, "tokens_output")))
		end.tokens_total.isnull = true;
	task_check_end(&end);
	keep_figures_out(row, &end);
	if (!end.usage.isnull || (row->old != NULL && row_changed(row, "usage")) ||
		(task_is_final(status) && figures_change(row)))
	{
		ChargeBasis	basis = charge_basis(row, status);

		if (row->old == NULL || row_changed(row, "cost"))
			basis.client_cost = end.cost;
		end.region = basis.region;
		end.speed = basis.speed;
		task_count_end(&end, &basis);
		row_set(row, "usage_buckets", end.usage_buckets.value, end.usage_buckets.isnull);
		if (task_is_final(status))
		{
			SERVED_FIELD_LIST(SERVED_TO_ROW)
		}
	}
	row_set(row, "tokens_input", end.tokens_input.value, end.tokens_input.isnull);
	row_set(row, "tokens_output", end.tokens_output.value, end.tokens_output.isnull);
	if (end.tokens_total.isnull)
		end.tokens_total = task_sum_tokens(&end.tokens_input, &end.tokens_output);
	if (stands != NULL && !stands->isnull && !(brings_usage && says_total(&end)) &&
		DatumGetInt64(end.tokens_total.value) < DatumGetInt64(stands->value))
		end.tokens_total = *stands;
	row_set(row, "tokens_total", end.tokens_total.value, end.tokens_total.isnull);

	/* A cost that is stated is the client's, whether it is trusted or not */
	if (row->old == NULL || row_changed(row, "cost"))
	{
		Field		known = {(Datum) 0, true};

		if (row->old != NULL)
			known = row_old(row, "cost");
		row_set(row, "client_cost", end.cost.value, end.cost.isnull);
		if (!airun_trust_client_cost)
			row_set(row, "cost", known.value, known.isnull);
	}
	if (task_is_final(status) && figures_change(row))
		charge_task(row, status);
}

/* Settle the figures of a task, and count what its usage and its total say */
void
task_figures_check(Row *row, TaskStatus status)
{
	settle_figures(row, status, NULL, false);
}

/* Is the usage that counts of a task that has ended the one in its answer? */
bool
task_figures_count_answer(Row *row, TaskStatus status)
{
	ChargeBasis	basis = charge_basis(row, status);

	return charge_counts_answer(&basis);
}

/* A task that has ended takes what it lacks, which is in the row, and is charged with it */
void
task_figures_take(Row *row, TaskStatus status, bool brings_usage)
{
	Field		total = row_old(row, "tokens_total");

	settle_figures(row, status, &total, brings_usage);
	if (row_changed(row, "response_text"))
		row_set(row, "response_length",
				Int64GetDatum(text_chars(DatumGetTextPP(row_new(row, "response_text").value))),
				false);
}
