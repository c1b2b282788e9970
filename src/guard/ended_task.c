/*
 * ended_task.c
 *		What an UPDATE may still do to a task that has ended.
 *
 * The second wall's part of what task_end.c does for the functions.  An end is
 * final, and takes what it lacks: a column that is NULL and that an end may state.
 * A text that is the beginning of what is stored is a late save: nothing is kept of
 * it.  A task that has expired takes the end by who works on it, and what its expiry
 * has left behind goes.
 *
 * Nothing is locked: the row is by now.
 *
 * Errors: PT409 for a change of what stands.
 */
#include "guard/ended_task.h"

#include "guard/task_figures.h"
#include "run/message.h"
#include "store/identity.h"
#include "store/store.h"
#include "task/task_end.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

/* PT409: what stands in a task that has ended would change */
pg_noreturn static void
refuse_change(Row *row, TaskStatus status, const TaskColumn *column)
{
	Field		old = row_old(row, column->name);
	char	   *stands = "";
	Oid			output;
	bool		is_varlena;

	if (!old.isnull)
	{
		getTypeOutputInfo(column->type, &output, &is_varlena);
		stands = OidOutputFunctionCall(output, old.value);
	}
	ereport(ERROR,
			(errcode(ERRCODE_AIRUN_CONFLICT),
			 errmsg("task \"%s\" is %s and cannot be changed",
					uuid_string(DatumGetUUIDP(row_old(row, "task_id").value)),
					task_status_name(status)),
			 old.isnull ? errdetail("Column \"%s\" would change.", column->name) :
			 errdetail("Column \"%s\" would change; what stands is \"%s\".", column->name,
					   excerpt(stands, strlen(stands))),
			 errhint("An end is final, and takes only what it lacks; create another task with "
					 "airun_create_task(run_id).")));
}

/* The text of a task that has ended, or NULL for none, as long as SPI is open */
static text *
ended_text(Row *row)
{
	Field		answer_seq = row_old(row, "answer_seq");
	TaskState	state = {
		.response_text = row_old(row, "response_text"),
		.text_in_answer = DatumGetBool(row_old(row, "text_in_answer").value),
		.answer_seq = answer_seq.isnull ? 0 : DatumGetInt64(answer_seq.value)
	};

	return task_text(DatumGetUUIDP(row_old(row, "run_id").value), &state);
}

/*
 * Is a text that a task which has ended is given the beginning of what it has, or
 * all of it?  Then it is a late save.
 */
bool
ended_task_is_late_save(Row *row)
{
	Field		stated = row_new(row, "response_text");
	text	   *had;
	bool		is_late;

	if (stated.isnull || !row_changed(row, "response_text"))
		return false;
	store_open(true);
	had = ended_text(row);
	is_late = had != NULL && text_begins(had, DatumGetTextPP(stated.value));
	store_close();
	return is_late;
}

static void
put_back(Row *row, const char *column)
{
	Field		old = row_old(row, column);

	row_set(row, column, old.value, old.isnull);
}

/* Nothing is kept of a late save: text, what came with it, and that it streams */
void
ended_task_drop_save(Row *row, TaskStatus from, TaskStatus *to)
{
	put_back(row, "response_text");
	put_back(row, "response_data");
	if (!task_is_final(*to))
	{
		put_back(row, "status");
		*to = from;
	}
}

/* Is there a total that somebody has stated? */
static bool
total_stands(Row *row)
{
	Field		total = row_old(row, "tokens_total");
	Field		input = row_old(row, "tokens_input");
	Field		output = row_old(row, "tokens_output");

	return task_total_stands(&total, &input, &output);
}

/* May a task that has ended take a column, which would change, since it lacks it? */
static bool
lacks(Row *row, TaskStatus status, const TaskColumn *column)
{
	int			number = column - task_columns + 1;

	if (number == Anum_tasks_tokens_total)
		return !total_stands(row) && !row_new(row, column->name).isnull;
	if (column->rule != COLUMN_LATE || !row_old(row, column->name).isnull)
		return false;
	switch (number)
	{
		case Anum_tasks_response_text:
			return row_old(row, "answer_seq").isnull;
		case Anum_tasks_cost:
			return row_old(row, "client_cost").isnull;
		case Anum_tasks_error:
			return status == TASK_ERROR;
		default:
			return true;
	}
}

/*
 * May the task take all that would change, since it lacks it?  PT409 where it may
 * not.  Beside a usage that comes late, in the answer perhaps, the tokens that stand
 * are those to count with.  Returns whether there is anything.
 */
bool
ended_task_lacks(Row *row, TaskStatus status, bool *brings_usage)
{
	bool		changes = false;

	*brings_usage = (row_old(row, "usage").isnull && row_changed(row, "usage")) ||
		(row_old(row, "response_data").isnull && row_changed(row, "response_data") &&
		 task_figures_count_answer(row, status));
	if (*brings_usage)
	{
		if (!row_old(row, "tokens_input").isnull)
			put_back(row, "tokens_input");
		if (!row_old(row, "tokens_output").isnull)
			put_back(row, "tokens_output");
		if (total_stands(row))
			put_back(row, "tokens_total");
	}
	for (int i = 0; i < Natts_tasks; i++)
	{
		const TaskColumn *column = &task_columns[i];

		if ((column->rule != COLUMN_OPEN && column->rule != COLUMN_LATE) ||
			!row_changed(row, column->name))
			continue;
		if (!lacks(row, status, column))
			refuse_change(row, status, column);
		changes = true;
	}
	return changes;
}

/*
 * Is a task that has expired ended by who works on it, after all?  He says how, or
 * what has gone wrong.
 */
bool
expired_task_ends(Row *row, TaskStatus from, TaskStatus to)
{
	Field		error = row_old(row, "error");

	return from == TASK_ERROR && task_error_is_expiry(&error) && task_is_final(to) &&
		(to != from || row_changed(row, "error"));
}

/* What its expiry has left behind, and the end does not state otherwise, goes */
void
expired_task_end(Row *row, TimestampTz now)
{
	Field		text_stated = row_new(row, "response_text");
	text	   *had;

	if (!row_changed(row, "error"))
		row_set(row, "error", (Datum) 0, true);
	if (!row_changed(row, "total_time"))
		row_set(row, "total_time", NumericGetDatum(
			task_elapsed(DatumGetTimestampTz(row_old(row, "created_at").value), now)), false);
	if (!row_changed(row, "response_text") || text_stated.isnull)
	{
		put_back(row, "response_text");
		return;
	}
	store_open(true);
	had = ended_text(row);
	if (had != NULL && !text_begins(DatumGetTextPP(text_stated.value), had))
		row_set(row, "generation",
				Int32GetDatum(DatumGetInt32(row_old(row, "generation").value) + 1), false);
	store_close();
	row_set(row, "text_in_answer", BoolGetDatum(false), false);
	row_set(row, "response_length",
			Int64GetDatum(text_chars(DatumGetTextPP(text_stated.value))), false);
}
