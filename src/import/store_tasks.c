/*
 * store_tasks.c
 *		The requests of a conversation of another system, as tasks of its run.
 *
 * Guaranteed is:
 *
 * - A task's id follows from the run's and the source's, or where it has none from all
 *	 that it says: the same again is there, and stays as it is.
 * - What has been paid for is stored: figures that are none, and words that are too
 *	 long, are left out, with the reasons in cost_details.
 * - The times are the source's, which the guard takes from us; the task is charged as
 *	 any other of its day.
 *
 * Locks: the run, where one that has come in before gets another task; those of an INSERT.
 */
#include "import/import.h"

#include "catalog/pg_type.h"
#include "json/call.h"
#include "json/jsonb_copy.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "run/run.h"
#include "store/store.h"
#include "task/task.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"

static void
add_text(Args *args, JsonbValue *columns, const char *name)
{
	JsonbValue *value = json_get(columns, name);

	arg_pointer(args, value != NULL ? cstring_to_text(json_as_text(value)) : NULL);
}

/* What is no object or array, and what no string holds, is kept as it is */
static void
add_document(Args *args, JsonbValue *columns, const char *name)
{
	JsonbValue *value = json_get(columns, name);

	arg_pointer(args, value != NULL ? JsonbValueToJsonb(value) : NULL);
}

#define LONGEST(name, type, longest, ...)	{#name, longest},

/* Leave out words that are longer than their columns take, with the reasons */
static void
leave_out_words(Jsonb **columns, Jsonb **reasons)
{
	static const struct
	{
		const char *name;
		int			longest;	/* 0 for any length */
	}			words[] = {TASK_CREATION_LIST(LONGEST) TASK_END_LIST(LONGEST)};

	for (int i = 0; i < lengthof(words); i++)
	{
		const char *name = words[i].name;
		JsonbValue	value;
		int			length;
		char	   *reason;

		if (words[i].longest == 0 || !jsonb_field(&(*columns)->root, name, &value))
			continue;
		length = pg_mbstrlen(json_as_text(&value));
		if (length <= words[i].longest)
			continue;
		reason = psprintf("it has %d characters, more than %d", length, words[i].longest);
		*reasons = jsonb_set_string(*reasons, name, reason, strlen(reason));
		*columns = DatumGetJsonbP(DirectFunctionCall2(jsonb_delete, JsonbPGetDatum(*columns),
													  CStringGetTextDatum(name)));
	}
}

/*
 * A task without an id is known by what it is, and by how many alike came before it: so it
 * is known again wherever it stands in what comes later.
 */
void
name_tasks(Conversation *conversation)
{
	HTAB	   *names = words_begin();
	ListCell   *cell;

	foreach(cell, conversation->tasks)
	{
		ImportTask *task = lfirst(cell);

		CHECK_FOR_INTERRUPTS();
		if (task->id == NULL)
			task->id = words_number(names, psprintf("%s " INT64_FORMAT,
													json_as_text(task->columns),
													task->created_at));
	}
	hash_destroy(names);
}

void
task_run_id(const pg_uuid_t *run_id, const ImportTask *task, pg_uuid_t *task_id)
{
	derived_id(task_id, run_id, "task", task->id);
}

/*
 * Insert a task.  What has been paid for is stored: figures that are none, and words that
 * are too long, are left out, with the reasons in cost_details.
 */
static void
insert_task(const pg_uuid_t *run_id, const pg_uuid_t *task_id, const pg_uuid_t *user_id,
			const ImportTask *task, TimestampTz begin)
{
	static const char *const documents[] = {
		"usage", "error", "metadata", "request_data", "response_data"
	};
	static const char *const texts[] = {
		"service", "task_name", "provider", "endpoint", "model_id", "finish_reason", "status",
		"served_model", "service_tier", "response_text", "tokens_input", "tokens_output",
		"tokens_total", "cost", "time_to_first_token", "total_time", "provider_cost", "billed"
	};
	static Statement insert = {
		"INSERT INTO airun.tasks (run_id, task_id, user_id, created_at, completed_at, "
		"usage, error, metadata, request_data, response_data, "
		"service, task_name, provider, endpoint, model_id, finish_reason, status, served_model, "
		"service_tier, response_text, tokens_input, tokens_output, tokens_total, cost, "
		"time_to_first_token, total_time, provider_cost, billed) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, "
		"$18, $19, $20, $21::pg_catalog.int8, $22::pg_catalog.int8, $23::pg_catalog.int8, "
		"$24::pg_catalog.numeric, $25::pg_catalog.numeric, $26::pg_catalog.numeric, "
		"$27::pg_catalog.numeric, $28::pg_catalog.bool)",
		28, {UUIDOID, UUIDOID, UUIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID, JSONBOID, JSONBOID,
		JSONBOID, JSONBOID, JSONBOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID,
		TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID,
		TEXTOID, TEXTOID}
	};
	TimestampTz created_at = task->created_at != NO_TIME ? task->created_at : begin;
	Jsonb	   *stated = JsonbValueToJsonb(task->columns);
	Jsonb	   *reasons = call_leave_out_figures(&stated);
	JsonbValue *columns;
	Args		args = {0};

	leave_out_words(&stated, &reasons);
	columns = json_root(stated);
	arg_uuid(&args, run_id);
	arg_uuid(&args, task_id);
	arg_uuid(&args, user_id);
	arg_time(&args, created_at);
	arg_time(&args, Max(created_at, task->completed_at));
	for (int i = 0; i < lengthof(documents); i++)
		add_document(&args, columns, documents[i]);
	for (int i = 0; i < lengthof(texts); i++)
		add_text(&args, columns, texts[i]);
	PG_TRY();
	{
		call_tell_left_out(reasons);
		(void) statement_write_past(&insert, &args, run_id);
	}
	PG_FINALLY();
	{
		call_tell_left_out(NULL);
	}
	PG_END_TRY();
}

/* lacks_end: had it not ended when it came in, or nothing been counted of it? */
bool
has_task(const pg_uuid_t *run_id, const pg_uuid_t *task_id, bool *lacks_end)
{
	static Statement find = {
		"SELECT t.usage IS NULL AND t.tokens_total IS NULL AND t.cost IS NULL OR COALESCE("
		"t.status" EQ "'error' AND "
		"t.error OPERATOR(pg_catalog.->>) 'code'" EQ "'expired', false) "
		"FROM airun.tasks AS t WHERE t.run_id" EQ "$1 AND t.task_id" EQ "$2",
		2, {UUIDOID, UUIDOID}
	};
	Args		args = {0};
	bool		isnull;

	arg_uuid(&args, run_id);
	arg_uuid(&args, task_id);
	if (statement_write(&find, &args) == 0)
		return false;
	*lacks_end = DatumGetBool(result_value(0, 1, &isnull));
	return true;
}

/*
 * The tasks of a conversation; those that are there already stay as they are.  is_again:
 * requests of the conversation have come in before.  Returns the last one's id in
 * answer_task.
 */
void
insert_tasks(const pg_uuid_t *run_id, const pg_uuid_t *user_id, const Conversation *conversation,
			 TimestampTz begin, bool is_again, pg_uuid_t *answer_task)
{
	bool		is_locked = !is_again;
	ListCell   *cell;

	foreach(cell, conversation->tasks)
	{
		ImportTask *task = lfirst(cell);
		RunState	run;
		bool		lacks_end;

		task_run_id(run_id, task, answer_task);
		if ((is_again && task->is_sum) || has_task(run_id, answer_task, &lacks_end))
			continue;
		if (!is_locked)
		{
			/* Another import may be bringing it in */
			if (!run_try_lock(run_id, &run))
				run_refuse_taken(run_id);
			is_locked = true;
			if (has_task(run_id, answer_task, &lacks_end))
				continue;
		}
		insert_task(run_id, answer_task, user_id, task, begin);
	}
}
