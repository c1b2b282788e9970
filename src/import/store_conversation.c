/*
 * store_conversation.c
 *		A conversation of another system as a run, with its branches and tasks.
 *
 * Guaranteed is:
 *
 * - The run's id follows from the user, the format and the source's id, or where
 *	 it has none from all that it says: the same again finds its run, and changes
 *	 nothing; another user's is another run.
 * - The times are the source's.  A message stands behind the one before it, and so
 *	 is never said to be older; its "timestamp" is the source's own.
 * - The branch that the source shows is the run.  Each other one is a run of its own
 *	 that is not listed, forked from it behind the last message that both have.
 * - What the source knows of a usage is a task of its day, charged as any other.
 *
 * A run is inserted with all that it counts; its messages as rows of our own, and its
 * tasks as anybody's, for which the guard takes the times from us.
 *
 * Locks: the new run's row.  PT422 for what airun cannot hold.
 */
#include "import/import.h"

#include "catalog/pg_type.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "run/message.h"
#include "run/run_name.h"
#include "store/identity.h"
#include "store/store.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/uuid.h"

/* As run.c has it */
#define MAX_NAME		500
#define MAX_TEXT		10000
#define MAX_TAGS		100
#define MAX_TAG			100

/* ---------- ids ---------- */

/* The first bytes of SHA-256 over words that are joined by NULs */
static void
hash_id(pg_uuid_t *id, const char *const *words, const int *lengths, int count)
{
	pg_cryptohash_ctx *context = pg_cryptohash_create(PG_SHA256);
	uint8		digest[PG_SHA256_DIGEST_LENGTH];
	bool		fine = context != NULL && pg_cryptohash_init(context) == 0;

	for (int i = 0; fine && i < count; i++)
		fine = pg_cryptohash_update(context, (const uint8 *) words[i], lengths[i]) == 0 &&
			pg_cryptohash_update(context, (const uint8 *) "", 1) == 0;
	if (!fine || pg_cryptohash_final(context, digest, sizeof(digest)) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY), errmsg("could not compute SHA-256")));
	pg_cryptohash_free(context);
	memcpy(id->data, digest, UUID_LEN);
	id->data[6] = 0x50 | (id->data[6] & 0x0f);
	id->data[8] = 0x80 | (id->data[8] & 0x3f);
}

static void
id_of_words(pg_uuid_t *id, const char *first, const char *second, const char *third)
{
	const char *const words[] = {first, second, third};
	const int	lengths[] = {strlen(first), strlen(second), strlen(third)};

	hash_id(id, words, lengths, 3);
}

/* The id of a conversation's run, by its own id or by all that it says */
static void
conversation_run_id(const Conversation *conversation, JsonbValue *entry,
					const pg_uuid_t *user_id, pg_uuid_t *run_id)
{
	pg_uuid_t	source;

	if (conversation->id != NULL && conversation->id[0] != '\0')
		id_of_words(&source, "conversation", conversation->format, conversation->id);
	else
		id_of_words(&source, "document", conversation->format, json_as_text(entry));
	uuid_derive(run_id, &source, user_id);
}

/* The id of a task, or of a fork, of a run */
static void
derived_id(pg_uuid_t *id, const pg_uuid_t *run_id, const char *kind, const char *word)
{
	id_of_words(id, uuid_string(run_id), kind, word);
	uuid_take_bucket(id, run_id);
}

/* ---------- messages ---------- */

typedef struct MessageId
{
	char		id[MAX_MESSAGE_ID * MAX_MULTIBYTE_CHAR_LEN + 1];
	int			count;			/* the number that the next one with this id gets */
} MessageId;

/* The id of a message: the source's, if it fits; one that stands twice gets a number */
static char *
unique_id(HTAB *ids, const char *id)
{
	MessageId  *first;
	MessageId  *numbered;
	char	   *result;
	bool		found;

	if (id == NULL || id[0] == '\0' || pg_mbstrlen(id) > MAX_MESSAGE_ID - 10)
		return NULL;
	first = hash_search(ids, id, HASH_ENTER, &found);
	if (!found)
	{
		first->count = 2;
		return pstrdup(id);
	}
	do
	{
		result = psprintf("%s.%d", id, first->count++);
		numbered = hash_search(ids, result, HASH_ENTER, &found);
		if (!found)
			numbered->count = 2;
	} while (found);
	return result;
}

/* The messages of a branch as they are stored; begin: the time of what has none */
static NewMessage *
branch_messages(const Composer *branch, TimestampTz begin)
{
	HASHCTL		info = {.keysize = sizeof(MessageId), .entrysize = sizeof(MessageId)};
	NewMessage *messages = palloc0_array(NewMessage, list_length(branch->messages) + 1);
	TimestampTz now = begin;
	HTAB	   *ids;
	ListCell   *cell;

	info.hcxt = CurrentMemoryContext;
	ids = hash_create("airun import message ids", 64, &info,
					  HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	foreach(cell, branch->messages)
	{
		OutMessage *message = lfirst(cell);
		NewMessage *new = &messages[foreach_current_index(cell)];
		char	   *id = unique_id(ids, message->id);

		if (message->time != NO_TIME)
			now = Max(now, message->time);
		message_new(new, compose_message(message, id, message->time), NULL);
		new->seq = foreach_current_index(cell) + 1;
		new->created_at = now;
		new->message = message_complete(new->message, now);
	}
	hash_destroy(ids);
	return messages;
}

/* ---------- the run ---------- */

/* When it began: as the source says, or else with the first message that has a time */
static TimestampTz
begin_of(const Conversation *conversation, const Composer *branch)
{
	TimestampTz begin = conversation->created_at;
	ListCell   *cell;

	foreach(cell, branch->messages)
	{
		if (begin == NO_TIME)
			begin = ((OutMessage *) lfirst(cell))->time;
	}
	if (begin == NO_TIME)
		begin = conversation->active_at;
	return begin != NO_TIME ? begin : GetCurrentTimestamp();
}

/* A text as long as it may be; what is cut off stands in the metadata in full */
static text *
text_of(const char *string, int max_chars)
{
	int			len;

	if (string == NULL)
		return NULL;
	len = strlen(string);
	return cstring_to_text_with_len(string, pg_mbcharcliplen(string, len, max_chars));
}

static ArrayType *
tags_of(const Conversation *conversation)
{
	Datum	   *tags = palloc_array(Datum, list_length(conversation->tags) + 1);
	int			count = 0;
	ListCell   *cell;

	foreach(cell, conversation->tags)
	{
		if (count < MAX_TAGS)
			tags[count++] = PointerGetDatum(text_of(lfirst(cell), MAX_TAG));
	}
	return construct_array(tags, count, TEXTOID, -1, false, TYPALIGN_INT);
}

static Jsonb *
run_metadata(const Conversation *conversation, const Composer *branch)
{
	List	   *import = NIL;
	List	   *metadata = list_copy(conversation->metadata);

	import = json_add_pair(import, "format", json_new_string(conversation->format));
	import = json_add_pair(import, "id", json_new_string(conversation->id));
	import = list_concat(list_copy(conversation->import), import);
	if (branch->left_out != NIL)
		import = json_add_pair(import, "left_out", json_from_elements(branch->left_out));
	if (conversation->name != NULL && pg_mbstrlen(conversation->name) > MAX_NAME)
		import = json_add_pair(import, "name", json_new_string(conversation->name));
	if (conversation->description != NULL && pg_mbstrlen(conversation->description) > MAX_TEXT)
		import = json_add_pair(import, "description", json_new_string(conversation->description));
	metadata = json_add_pair(metadata, "import", json_from_pairs(import));
	return JsonbValueToJsonb(json_from_pairs(metadata));
}

static Jsonb *
object_of(JsonbValue *object)
{
	return JsonbValueToJsonb(object != NULL ? object : json_from_pairs(NIL));
}

/* The name that the source has, or that its first message gives */
static text *
name_of(const Conversation *conversation, NewMessage *messages, int count)
{
	text	   *name = NULL;

	if (conversation->name != NULL &&
		text_is_visible(conversation->name, strlen(conversation->name)))
		return text_of(conversation->name, MAX_NAME);
	for (int i = 0; i < count && name == NULL; i++)
		name = run_name_from_message(messages[i].message);
	return name;
}

/* Where a fork comes from */
typedef struct Origin
{
	const pg_uuid_t *run_id;	/* NULL for none */
	int64		seq;
} Origin;

/* Insert the run; false where there is one with this id */
static bool
insert_run(const pg_uuid_t *run_id, const pg_uuid_t *user_id, const Conversation *conversation,
		   const Composer *branch, NewMessage *messages, text *name, const Origin *origin)
{
	static Statement insert = {
		"INSERT INTO airun.runs AS r (id, user_id, source_id, created_at, deleted_at, "
		"is_starred, is_archived, message_count, last_message_at, updated_at, active_hour, "
		"source_type, name, description, tags, metadata, settings, variable_values, "
		"forked_from, forked_at_seq, is_listed, task_count, total_tokens, total_cost, status) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, "
		"$18, $19, $20, $21, 0, 0, 0, 'active') ON CONFLICT (id) DO NOTHING",
		21, {UUIDOID, UUIDOID, UUIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID, BOOLOID, BOOLOID, INT8OID,
		TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, TEXTOID, TEXTOID, TEXTARRAYOID,
		JSONBOID, JSONBOID, JSONBOID, UUIDOID, INT8OID, BOOLOID}
	};
	int			count = list_length(branch->messages);
	TimestampTz begin = Min(begin_of(conversation, branch), messages[0].created_at);
	TimestampTz end = messages[count - 1].created_at;
	bool		is_fork = origin->run_id != NULL;
	text	   *source_type = cstring_to_text(conversation->source_type != NULL ?
											  conversation->source_type : "chat");
	RunFields	fields = {
		.source_type = {PointerGetDatum(source_type), false},
		.source_id = {(Datum) 0, true}, .name = {(Datum) 0, true},
		.description = {(Datum) 0, true}, .settings = {(Datum) 0, true},
		.variable_values = {(Datum) 0, true}, .tags = {(Datum) 0, true},
		.metadata = {(Datum) 0, true}, .user_id = {(Datum) 0, true},
	};
	Args		args = {0};

	run_check_fields(&fields);
	arg_uuid(&args, run_id);
	arg_uuid(&args, user_id);
	arg_uuid(&args, conversation->source_id);
	arg_time(&args, begin);
	arg_add(&args, TimestampTzGetDatum(end), !conversation->is_deleted);
	arg_add(&args, BoolGetDatum(conversation->is_starred && !is_fork), false);
	arg_add(&args, BoolGetDatum(conversation->is_archived), false);
	arg_int64(&args, count);
	arg_time(&args, end);
	arg_time(&args, Max(end, conversation->active_at));
	arg_time(&args, hour_of(end));
	arg_pointer(&args, source_type);
	arg_pointer(&args, name);
	arg_pointer(&args, text_of(conversation->description, MAX_TEXT));
	arg_pointer(&args, tags_of(conversation));
	arg_pointer(&args, run_metadata(conversation, branch));
	arg_pointer(&args, object_of(conversation->settings));
	arg_pointer(&args, object_of(conversation->variable_values));
	arg_uuid(&args, origin->run_id);
	arg_add(&args, Int64GetDatum(origin->seq), !is_fork);
	arg_add(&args, BoolGetDatum(!is_fork), false);
	return statement_write_internal(&insert, &args, run_id) == 1;
}

/* ---------- tasks ---------- */

static void
add_column(Args *args, JsonbValue *columns, const char *name)
{
	JsonbValue *value = json_get(columns, name);

	arg_pointer(args, value != NULL ? cstring_to_text(json_as_text(value)) : NULL);
}

static void
task_run_id(const pg_uuid_t *run_id, const ImportTask *task, int number, pg_uuid_t *task_id)
{
	if (task->id == NULL || !uuid_from_string(task->id, strlen(task->id), task_id))
		derived_id(task_id, run_id, "task", task->id != NULL ? task->id : psprintf("%d", number));
	else
		derived_id(task_id, run_id, "task", task->id);
}

static void
insert_task(const pg_uuid_t *run_id, const pg_uuid_t *task_id, const pg_uuid_t *user_id,
			const ImportTask *task, TimestampTz begin)
{
	static const char *const columns[] = {
		"service", "task_name", "provider", "endpoint", "model_id", "finish_reason", "status",
		"served_model", "service_tier", "response_text", "usage", "error", "metadata",
		"request_data", "response_data", "tokens_input", "tokens_output", "tokens_total", "cost",
		"time_to_first_token", "total_time"
	};
	static Statement insert = {
		"INSERT INTO airun.tasks (run_id, task_id, user_id, created_at, completed_at, "
		"service, task_name, provider, endpoint, model_id, finish_reason, status, served_model, "
		"service_tier, response_text, usage, error, metadata, request_data, response_data, "
		"tokens_input, tokens_output, tokens_total, cost, time_to_first_token, total_time) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, "
		"$16::pg_catalog.jsonb, $17::pg_catalog.jsonb, $18::pg_catalog.jsonb, "
		"$19::pg_catalog.jsonb, $20::pg_catalog.jsonb, $21::pg_catalog.int8, "
		"$22::pg_catalog.int8, $23::pg_catalog.int8, $24::pg_catalog.numeric, "
		"$25::pg_catalog.numeric, $26::pg_catalog.numeric)",
		26, {UUIDOID, UUIDOID, UUIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, TEXTOID, TEXTOID,
		TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID,
		TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID}
	};
	TimestampTz created_at = task->created_at != NO_TIME ? task->created_at : begin;
	Args		args = {0};

	arg_uuid(&args, run_id);
	arg_uuid(&args, task_id);
	arg_uuid(&args, user_id);
	arg_time(&args, created_at);
	arg_time(&args, Max(created_at, task->completed_at));
	for (int i = 0; i < lengthof(columns); i++)
		add_column(&args, task->columns, columns[i]);
	(void) statement_write_past(&insert, &args, run_id);
}

/* The tasks of a conversation; returns the last one's id in answer_task */
static void
insert_tasks(const pg_uuid_t *run_id, const pg_uuid_t *user_id, const Conversation *conversation,
			 TimestampTz begin, pg_uuid_t *answer_task)
{
	ListCell   *cell;

	foreach(cell, conversation->tasks)
	{
		task_run_id(run_id, lfirst(cell), foreach_current_index(cell), answer_task);
		insert_task(run_id, answer_task, user_id, lfirst(cell), begin);
	}
}

/* What tasks have moved is not what has happened to the run just now */
static void
restore_times(const pg_uuid_t *run_id, TimestampTz updated_at)
{
	static Statement restore = {
		"UPDATE airun.runs AS r SET updated_at = $2 WHERE r.id" EQ "$1",
		2, {UUIDOID, TIMESTAMPTZOID}
	};
	Args		args = {0};

	arg_uuid(&args, run_id);
	arg_time(&args, updated_at);
	(void) statement_write_internal(&restore, &args, run_id);
}

/* Which task a message of the original application went in with, or came out of */
static void
link_messages(const pg_uuid_t *run_id, const Conversation *conversation, NewMessage *messages,
			  int count)
{
	HTAB	   *tasks = words_begin();
	ListCell   *cell;

	foreach(cell, conversation->tasks)
	{
		ImportTask *task = lfirst(cell);

		if (task->id != NULL)
			*words_place(tasks, task->id) = task;
	}
	for (int i = 0; i < count; i++)
	{
		char	   *id = NULL;
		JsonbValue	value;
		ImportTask *task;

		if (jsonb_field(&messages[i].message->root, "metadata", &value) &&
			value.type == jbvBinary)
			id = json_get_string(&value, "taskId");
		task = id == NULL ? NULL : *words_place(tasks, id);
		if (task == NULL)
			continue;
		messages[i].task_id = palloc_object(pg_uuid_t);
		task_run_id(run_id, task, 0, messages[i].task_id);
	}
}

/* ---------- all of it ---------- */

static bool
store_branch(const pg_uuid_t *run_id, const pg_uuid_t *user_id, const Conversation *conversation,
			 const Composer *branch, NewMessage *messages, text *name, const Origin *origin)
{
	int			count = list_length(branch->messages);
	TimestampTz begin = begin_of(conversation, branch);
	pg_uuid_t	answer_task;

	if (!insert_run(run_id, user_id, conversation, branch, messages, name, origin))
		return false;
	if (origin->run_id == NULL && conversation->tasks != NIL)
	{
		insert_tasks(run_id, user_id, conversation, begin, &answer_task);
		if (((OutMessage *) llast(branch->messages))->answers)
			messages[count - 1].task_id = &answer_task;
		link_messages(run_id, conversation, messages, count);
		restore_times(run_id, messages[count - 1].created_at);
	}
	for (int i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		message_insert(run_id, &messages[i]);
		if (messages[i].task_id != NULL)
			message_answers_task(run_id, &messages[i]);
	}
	return true;
}

/* How many messages two branches begin with alike */
static int
common_messages(NewMessage *a, int a_count, NewMessage *b, int b_count)
{
	int			count = 0;

	while (count < a_count && count < b_count && jsonb_same(a[count].message, b[count].message))
		count++;
	return count;
}

static void
store_forks(const pg_uuid_t *run_id, const pg_uuid_t *user_id, const Conversation *conversation,
			NewMessage *messages, int count, text *name)
{
	for (int i = 1; i < list_length(conversation->branches); i++)
	{
		Composer   *branch = list_nth(conversation->branches, i);
		NewMessage *own;
		pg_uuid_t	fork_id;
		Origin		origin = {run_id, 0};

		if (branch->messages == NIL)
			continue;
		own = branch_messages(branch, begin_of(conversation, branch));
		origin.seq = common_messages(messages, count, own, list_length(branch->messages));
		derived_id(&fork_id, run_id, "fork", psprintf("%d", i));
		if (!store_branch(&fork_id, user_id, conversation, branch, own, name, &origin))
			run_refuse_taken(&fork_id);
	}
}

/* What there is of a run that has been brought in before; all zero where it is deleted */
static void
read_stored(const pg_uuid_t *run_id, ImportResult *result)
{
	static Statement read = {
		"SELECT r.name, r.message_count, (SELECT pg_catalog.count(*) FROM airun.runs AS f "
		"WHERE f.forked_from" EQ "r.id AND f.deleted_at IS NULL AND NOT f.is_listed) "
		"FROM airun.runs AS r WHERE r.id" EQ "$1",
		1, {UUIDOID}
	};
	Args		args = {0};
	bool		isnull;
	Datum		name;

	arg_uuid(&args, run_id);
	if (statement_write(&read, &args) == 0)
		run_refuse_taken(run_id);
	name = result_value(0, 1, &isnull);
	result->name = isnull ? NULL : DatumGetTextPP(SPI_datumTransfer(name, false, -1));
	result->message_count = DatumGetInt64(result_value(0, 2, &isnull));
	result->fork_count = DatumGetInt64(result_value(0, 3, &isnull));
}

static text *
copy_out(text *value)
{
	return value == NULL ? NULL :
		DatumGetTextPP(SPI_datumTransfer(PointerGetDatum(value), false, -1));
}

/*
 * Store a conversation for a user, or nobody (NULL).  entry: what it was read from.
 * PT422 where it has no messages.  The caller has opened the store.
 */
void
store_conversation(Conversation *conversation, const pg_uuid_t *user_id, JsonbValue *entry,
				   ImportResult *result)
{
	Composer   *shown = conversation->branches != NIL ? linitial(conversation->branches) : NULL;
	Origin		origin = {NULL, 0};
	NewMessage *messages;
	text	   *name;
	int			count;

	if (shown == NULL || shown->messages == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("the conversation has no messages"),
				 errdetail("None that is neither empty nor hidden.")));
	count = list_length(shown->messages);
	if (conversation->branches_left_out > 0)
	{
		char	   *count = psprintf("%d", conversation->branches_left_out);

		conversation->import = json_add_pair(conversation->import, "branches_left_out",
											 json_new_string(count));
	}
	conversation_run_id(conversation, entry, user_id, &result->run_id);
	messages = branch_messages(shown, begin_of(conversation, shown));
	name = name_of(conversation, messages, count);
	if (!store_branch(&result->run_id, user_id, conversation, shown, messages, name, &origin))
	{
		read_stored(&result->run_id, result);
		return;
	}
	store_forks(&result->run_id, user_id, conversation, messages, count, name);
	result->name = copy_out(name);
	result->message_count = count;
	result->fork_count = list_length(conversation->branches) - 1;
}
