/*
 * read_original.c
 *		Rows of the original application: a run with its tasks.
 *
 * A message that was sent again for the same task stands once, and so does a task, as it
 * was last: where it has ended, or was changed.  A task that had not
 * ended is one that has expired, and what its application knew no figure of, and wrote
 * 0 for, has none.  A status that airun has no word for is an error, with that word for
 * its code.
 *
 * PT422 for messages that are no list; nothing is locked.
 */
#include "import/import.h"

#include "store/identity.h"

/* The columns of its tasks that are ours, and what their names are here */
static const struct
{
	const char *original;
	const char *column;
}			original_columns[] = {
	{"service", "service"}, {"task_name", "task_name"}, {"provider", "provider"},
	{"endpoint", "endpoint"}, {"model", "model_id"}, {"model_id", "model_id"},
	{"request_data", "request_data"}, {"response_text", "response_text"},
	{"response_data", "response_data"}, {"response_errors", "error"},
	{"tokens_input", "tokens_input"}, {"tokens_output", "tokens_output"},
	{"tokens_total", "tokens_total"}, {"cost", "cost"},
	{"time_to_first_token", "time_to_first_token"}, {"total_time", "total_time"},
	{"usage", "usage"}
};

static const char *const original_metadata[] = {
	"response_info", "tool_updates", "response_metadata", "response_complete"
};

/* A task's row, of several with its id the last one */
typedef struct TaskRow
{
	JsonbValue *row;
} TaskRow;

static bool
has_ended(JsonbValue *row)
{
	JsonbValue *status = json_get(row, "status");

	return !json_is(status, "pending") && !json_is(status, "streaming");
}

static TimestampTz
last_time(JsonbValue *row)
{
	TimestampTz completed_at = json_time(json_get(row, "completed_at"));

	return completed_at != NO_TIME ? completed_at : json_time(json_get(row, "updated_at"));
}

/* The rows of tasks, each once */
static List *
task_rows(JsonbValue *tasks)
{
	HTAB	   *by_id = words_begin();
	List	   *rows = NIL;

	for (int i = 0; i < json_length(tasks); i++)
	{
		JsonbValue *row = json_element(tasks, i);
		char	   *id = json_get_string(row, "task_id");
		TaskRow   **place = id != NULL ? (TaskRow **) words_place(by_id, id) : NULL;
		TaskRow    *first = place != NULL ? *place : NULL;

		if (first == NULL)
		{
			first = palloc_object(TaskRow);
			first->row = row;
			rows = lappend(rows, first);
			if (place != NULL)
				*place = first;
		}
		else if (has_ended(row) != has_ended(first->row) ? has_ended(row) :
				 last_time(row) > last_time(first->row))
			first->row = row;
	}
	return rows;
}

static void
read_original_task(JsonbValue *row, Conversation *conversation)
{
	ImportTask *task = palloc0_object(ImportTask);
	static const char *const ends[] = {"completed", "error", "failed", "cancelled", "canceled"};
	JsonbValue *status = json_get(row, "status");
	bool		is_open = !has_ended(row);
	bool		is_completed = json_is(status, "completed");
	bool		is_known = false;
	List	   *columns = NIL;
	List	   *metadata = NIL;

	for (int i = 0; i < lengthof(original_columns); i++)
	{
		JsonbValue *value = json_get(row, original_columns[i].original);
		double		number;

		/* It writes 0 where it does not know */
		if (!is_completed && json_number(value, &number) && number == 0)
			continue;
		columns = json_add_pair(columns, original_columns[i].column, value);
	}
	for (int i = 0; i < lengthof(original_metadata); i++)
		metadata = json_add_pair(metadata, original_metadata[i],
								 json_get(row, original_metadata[i]));
	if (metadata != NIL)
		columns = json_add_pair(columns, "metadata", json_from_pairs(metadata));
	for (int i = 0; i < lengthof(ends); i++)
		is_known |= json_is(status, ends[i]);
	columns = json_add_pair(columns, "status", is_known ? status : json_new_string("error"));
	if (is_open)
		status = json_new_string("expired");
	/* a word that only its writers know is kept */
	if (!is_known && status != NULL && (is_open || json_get(row, "response_errors") == NULL))
		columns = json_add_pair(columns, "error",
								json_from_pairs(json_add_pair(NIL, "code", status)));
	task->id = json_get_string(row, "task_id");
	task->columns = json_from_pairs(columns);
	task->created_at = json_time(json_get(row, "created_at"));
	task->completed_at = last_time(row);
	conversation->tasks = lappend(conversation->tasks, task);
}

/* Messages, of which one that was sent again stands once */
static Composer *
compose_original(JsonbValue *messages)
{
	Composer   *composer = compose_begin();
	JsonbValue *before = NULL;

	if (messages != NULL && !json_is_array(messages))
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("the messages of a conversation are %s", json_type_name(messages)),
				 errdetail("They must be a list.")));
	for (int i = 0; i < json_length(messages); i++)
	{
		JsonbValue *message = json_element(messages, i);

		if (before == NULL || message == NULL || json_get(message, "taskId") == NULL ||
			!jsonb_same(JsonbValueToJsonb(before), JsonbValueToJsonb(message)))
			compose_any_message(composer, message);
		before = message;
	}
	compose_end(composer);
	return composer;
}

void
read_original(JsonbValue *entry, Conversation *conversation)
{
	static const char *const known[] = {
		"id", "user_id", "source_type", "source_id", "name", "description", "tags", "messages",
		"settings", "variable_values", "metadata", "status", "is_starred", "created_at",
		"updated_at", "last_message_at", "tasks", NULL
	};
	JsonbValue *source = json_get(entry, "source_type");
	JsonbValue *status = json_get(entry, "status");
	JsonbValue *tags = json_get(entry, "tags");
	ListCell   *cell;

	conversation->id = json_get_string(entry, "id");
	conversation->name = json_string_of(json_get(entry, "name"));
	conversation->description = json_get_string(entry, "description");
	conversation->source_type = json_is(source, "prompts") || json_is(source, "prompt_builtins") ?
		"prompt" : json_string_of(source);
	for (int i = 0; i < json_length(tags); i++)
	{
		if (json_string_of(json_element(tags, i)) != NULL)
			conversation->tags = lappend(conversation->tags,
										 json_string_of(json_element(tags, i)));
	}
	conversation->settings = json_is_object(json_get(entry, "settings")) ?
		json_get(entry, "settings") : NULL;
	conversation->variable_values = json_is_object(json_get(entry, "variable_values")) ?
		json_get(entry, "variable_values") : NULL;
	conversation->metadata = json_pairs(json_get(entry, "metadata"));
	conversation->is_archived = json_is(status, "archived");
	conversation->is_deleted = json_is(status, "deleted");
	conversation->is_starred = json_get_bool(entry, "is_starred");
	conversation->created_at = json_time(json_get(entry, "created_at"));
	conversation->active_at = json_time(json_get(entry, "last_message_at"));
	conversation->import = json_rest(entry, known);
	if (json_is(source, "prompt_builtins"))
		conversation->metadata = json_add_pair(conversation->metadata, "source",
											   json_new_string("builtin"));
	conversation->source_id = palloc_object(pg_uuid_t);
	if (json_string_of(json_get(entry, "source_id")) == NULL ||
		!uuid_from_string(json_string_of(json_get(entry, "source_id")),
						  strlen(json_string_of(json_get(entry, "source_id"))),
						  conversation->source_id))
	{
		conversation->source_id = NULL;
		conversation->metadata = json_add_pair(conversation->metadata, "source_id",
											   json_get(entry, "source_id"));
	}
	conversation->branches = list_make1(compose_original(json_get(entry, "messages")));
	foreach(cell, task_rows(json_get(entry, "tasks")))
	{
		read_original_task(((TaskRow *) lfirst(cell))->row, conversation);
	}
}
