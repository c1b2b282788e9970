/*
 * store_conversation.c
 *		A conversation of another system as a run, with its branches and tasks.
 *
 * Guaranteed is:
 *
 * - The run's id follows from the user, the format and the source's id, or where
 *	 it has none from all that it says: the same again finds its run, and changes
 *	 nothing; another user's is another run.  A conversation with messages that its run
 *	 neither has nor had is told of, and so is one whose run is deleted.  Requests that its
 *	 run has not are charged all the same.
 * - The times are the source's.  A message stands behind the one before it, and so
 *	 is never said to be older; its "timestamp" is the source's own.
 * - The branch that the source shows is the run.  Each other one is a run of its own
 *	 that is not listed, forked from it behind the last message that both have.
 *	 Branches are stored one after the other, each in memory that the next one reuses.
 * - What the source knows of a usage is a task of its day, charged as any other.
 *
 * A run is inserted with all that it counts; its messages as rows of our own, and its
 * tasks as anybody's, for which the guard takes the times from us.
 *
 * Locks: the run's row, of one that was there before only if it gets a task.
 *
 * Errors: PT422 for what airun cannot hold; PT409 for a run that is deleted.
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
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/uuid.h"

/* As run.c has it */
#define MAX_NAME		500
#define MAX_TEXT		10000
#define MAX_TAGS		100
#define MAX_TAG			100

/* Does a row say what message n does?  When is told by the import where the source does not */
#define WITHOUT_TIME(row)	"(" row ".message OPERATOR(pg_catalog.-) 'timestamp'::pg_catalog.text)"
#define SAME_MESSAGE(row)	"(" WITHOUT_TIME(row) EQ WITHOUT_TIME("n") ")"

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
void
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

static int
branch_count(const Conversation *conversation)
{
	return list_length(conversation->branches) + tree_branch_count(conversation->tree);
}

/* One of its branches, in the memory of the caller where it is not there yet */
static Composer *
branch_at(const Conversation *conversation, int number)
{
	int			composed = list_length(conversation->branches);

	return number < composed ? list_nth(conversation->branches, number) :
		tree_branch(conversation->tree, number - composed);
}

/*
 * Memory for one branch after another, so that they need no more than the longest of
 * them does.  It is emptied for each, and gone with the memory that is in use now.
 */
static MemoryContext
branch_memory(void)
{
	return AllocSetContextCreate(CurrentMemoryContext, "airun import branch",
								 ALLOCSET_DEFAULT_SIZES);
}

static TimestampTz
first_time(const Composer *branch)
{
	ListCell   *cell;

	foreach(cell, branch->messages)
	{
		if (((OutMessage *) lfirst(cell))->time != NO_TIME)
			return ((OutMessage *) lfirst(cell))->time;
	}
	return NO_TIME;
}

/*
 * When it began, for all of its branches: as the source says, or else with the earliest
 * of the messages that are the first with a time in a branch.
 */
static TimestampTz
begin_of(const Conversation *conversation)
{
	TimestampTz begin = conversation->created_at;
	MemoryContext own;

	if (begin != NO_TIME)
		return begin;
	own = branch_memory();
	for (int i = 0; i < branch_count(conversation); i++)
	{
		MemoryContext caller = MemoryContextSwitchTo(own);
		TimestampTz time = first_time(branch_at(conversation, i));

		CHECK_FOR_INTERRUPTS();
		if (time != NO_TIME)
			begin = begin == NO_TIME ? time : Min(begin, time);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(own);
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
	import = json_add_pair(import, "unread_times", json_unread_times());
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
		   TimestampTz begin, TimestampTz updated_at, const Composer *branch,
		   NewMessage *messages, text *name, const Origin *origin)
{
	static Statement insert = {
		"INSERT INTO airun.runs AS r (id, user_id, source_id, created_at, "
		"is_starred, is_archived, message_count, last_message_at, updated_at, active_hour, "
		"source_type, name, description, tags, metadata, settings, variable_values, "
		"forked_from, forked_at_seq, is_listed, task_count, total_tokens, total_cost, status) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, "
		"$18, $19, $20, 0, 0, 0, 'active') ON CONFLICT (id) DO NOTHING",
		20, {UUIDOID, UUIDOID, UUIDOID, TIMESTAMPTZOID, BOOLOID, BOOLOID, INT8OID,
		TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, TEXTOID, TEXTOID, TEXTARRAYOID,
		JSONBOID, JSONBOID, JSONBOID, UUIDOID, INT8OID, BOOLOID}
	};
	int			count = list_length(branch->messages);
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
	arg_add(&args, BoolGetDatum(conversation->is_starred && !is_fork), false);
	arg_add(&args, BoolGetDatum(conversation->is_archived), false);
	arg_int64(&args, count);
	arg_time(&args, end);
	arg_time(&args, updated_at);
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

/*
 * What tasks have moved is not what has happened to the run just now; and only now, since
 * a deleted run takes none, is one deleted that is in the source.
 */
static void
leave_as_source(const pg_uuid_t *run_id, TimestampTz updated_at, bool is_deleted)
{
	static Statement leave = {
		"UPDATE airun.runs AS r SET updated_at = $2, "
		"deleted_at = CASE WHEN $3 THEN r.last_message_at END WHERE r.id" EQ "$1",
		3, {UUIDOID, TIMESTAMPTZOID, BOOLOID}
	};
	Args		args = {0};

	arg_uuid(&args, run_id);
	arg_time(&args, updated_at);
	arg_add(&args, BoolGetDatum(is_deleted), false);
	(void) statement_write_internal(&leave, &args, run_id);
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
		task_run_id(run_id, task, messages[i].task_id);
	}
}

/* ---------- all of it ---------- */

static bool
store_branch(const pg_uuid_t *run_id, const pg_uuid_t *user_id, const Conversation *conversation,
			 TimestampTz begin, const Composer *branch, NewMessage *messages, text *name,
			 const Origin *origin)
{
	MemoryContext own = CurrentMemoryContext;
	int			count = list_length(branch->messages);
	TimestampTz updated_at = Max(messages[count - 1].created_at, conversation->active_at);
	pg_uuid_t  *answer_task = palloc_object(pg_uuid_t);

	if (!insert_run(run_id, user_id, conversation, begin, updated_at, branch, messages, name,
					origin))
		return false;
	if (origin->run_id == NULL && conversation->tasks != NIL)
	{
		insert_tasks(run_id, user_id, conversation, begin, false, answer_task);
		if (((OutMessage *) llast(branch->messages))->answers)
			messages[count - 1].task_id = answer_task;
		link_messages(run_id, conversation, messages, count);
	}
	for (int i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(own); /* a statement leaves SPI's in place */
		message_insert(run_id, &messages[i]);
		if (messages[i].task_id != NULL)
			message_answers_task(run_id, &messages[i]);
	}
	if (conversation->tasks != NIL || conversation->is_deleted)
		leave_as_source(run_id, updated_at, conversation->is_deleted);
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

/* Store one of the other branches; messages: those of the one that is shown */
static void
store_fork(const pg_uuid_t *run_id, const pg_uuid_t *user_id, const Conversation *conversation,
		   TimestampTz begin, NewMessage *messages, int count, text *name, int number)
{
	Composer   *branch = branch_at(conversation, number);
	NewMessage *own = branch_messages(branch, begin);
	pg_uuid_t	fork_id;
	Origin		origin = {run_id, 0};

	if (branch->messages == NIL)
		return;
	origin.seq = common_messages(messages, count, own, list_length(branch->messages));
	derived_id(&fork_id, run_id, "fork", psprintf("%d", number));
	if (!store_branch(&fork_id, user_id, conversation, begin, branch, own, name, &origin))
		run_refuse_taken(&fork_id);
}

static void
store_forks(const pg_uuid_t *run_id, const pg_uuid_t *user_id, const Conversation *conversation,
			TimestampTz begin, NewMessage *messages, int count, text *name)
{
	MemoryContext own = branch_memory();

	for (int i = 1; i < branch_count(conversation); i++)
	{
		MemoryContext caller = MemoryContextSwitchTo(own);

		store_fork(run_id, user_id, conversation, begin, messages, count, name, i);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(own);
	}
}

/* ---------- what has come in before ---------- */

/* What there is of a run that has been brought in before.  Returns whether it has its words. */
static bool
read_stored(const pg_uuid_t *run_id, const Conversation *conversation, ImportResult *result)
{
	static Statement read = {
		"SELECT r.name, r.message_count, (SELECT pg_catalog.count(*) FROM airun.runs AS f "
		"WHERE f.forked_from" EQ "r.id AND f.deleted_at IS NULL AND NOT f.is_listed), "
		"r.deleted_at IS NOT NULL, r.stripped_at IS NULL "
		"FROM airun.runs AS r WHERE r.id" EQ "$1",
		1, {UUIDOID}
	};
	Args		args = {0};
	bool		isnull;
	bool		is_deleted;
	bool		has_words;
	Datum		name;

	arg_uuid(&args, run_id);
	if (statement_write(&read, &args) == 0)
		run_refuse_taken(run_id);
	name = result_value(0, 1, &isnull);
	result->name = isnull ? NULL : DatumGetTextPP(SPI_datumTransfer(name, false, -1));
	result->message_count = DatumGetInt64(result_value(0, 2, &isnull));
	result->fork_count = DatumGetInt64(result_value(0, 3, &isnull));
	is_deleted = DatumGetBool(result_value(0, 4, &isnull));
	has_words = DatumGetBool(result_value(0, 5, &isnull));
	if (is_deleted && !conversation->is_deleted)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_CONFLICT),
				 errmsg("run \"%s\" has been deleted", uuid_string(run_id)),
				 errdetail("The conversation has come in before; airun_restore_run() brings its "
						   "run back.")));
	return has_words;
}

/* The place of the first message that the run neither has nor had there; 0 for none */
static int64
first_missing(const pg_uuid_t *run_id, const NewMessage *messages, int count)
{
	/* by places, one after the other: a join may compare each message with each */
	static Statement find = {
		"SELECT pg_catalog.min(n.seq) FROM pg_catalog.unnest($2) WITH ORDINALITY "
		"AS n (message, seq) "
		"WHERE COALESCE((SELECT NOT " SAME_MESSAGE("m") " FROM airun.messages AS m "
		"WHERE m.run_id" EQ "$1 AND m.seq" EQ "n.seq), true) "
		"AND NOT COALESCE((SELECT pg_catalog.bool_or(" SAME_MESSAGE("v") ") "
		"FROM airun.message_versions AS v WHERE v.run_id" EQ "$1 AND v.seq" EQ "n.seq), false)",
		2, {UUIDOID, JSONBARRAYOID}
	};
	Datum	   *values = palloc_array(Datum, count);
	Args		args = {0};
	bool		isnull;
	Datum		seq;

	for (int i = 0; i < count; i++)
		values[i] = JsonbPGetDatum(messages[i].message);
	arg_uuid(&args, run_id);
	arg_pointer(&args, construct_array(values, count, JSONBOID, -1, false, TYPALIGN_INT));
	(void) statement_write(&find, &args);
	seq = result_value(0, 1, &isnull);
	return isnull ? 0 : DatumGetInt64(seq);
}

/* What is told of a run, in memory that outlives this */
static char *
tell(const pg_uuid_t *run_id, const char *what)
{
	char	   *problem = psprintf("run \"%s\" %s", uuid_string(run_id), what);
	Size		size = strlen(problem) + 1;

	return memcpy(SPI_palloc(size), problem, size);
}

/* Of one that lacks a part of its conversation */
static char *
tell_lack(const pg_uuid_t *run_id, const char *part, int64 number, int count)
{
	return tell(run_id, psprintf("lacks %s " INT64_FORMAT " of %d: A conversation with this id "
								 "has come in before, and what has gone on since is not brought "
								 "together; under another id it is a run of its own.",
								 part, number, count));
}

/* What the run, or a fork of it, lacks of a branch; or NULL */
static char *
find_lack_of_branch(const pg_uuid_t *run_id, const Conversation *conversation,
					TimestampTz begin, int number)
{
	const Composer *branch = branch_at(conversation, number);
	int			count = list_length(branch->messages);
	pg_uuid_t	id = *run_id;
	int64		seq;

	if (number > 0)
		derived_id(&id, run_id, "fork", psprintf("%d", number));
	seq = first_missing(&id, branch_messages(branch, begin), count);
	if (seq != 0 && number == 0)
		return tell_lack(run_id, "message", seq, count);
	return seq == 0 ? NULL :
		tell_lack(run_id, "branch", number + 1, branch_count(conversation));
}

/* What the run lacks of its conversation, and did before its user changed it; or NULL */
static char *
find_lack(const pg_uuid_t *run_id, const Conversation *conversation, TimestampTz begin)
{
	static const char *const counts[] = {
		"usage", "tokens_total", "tokens_input", "tokens_output", "cost", NULL
	};
	MemoryContext own = branch_memory();
	char	   *lack = NULL;
	ListCell   *cell;

	for (int i = 0; lack == NULL && i < branch_count(conversation); i++)
	{
		MemoryContext caller = MemoryContextSwitchTo(own);

		CHECK_FOR_INTERRUPTS();
		lack = find_lack_of_branch(run_id, conversation, begin, i);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(own);
	}
	if (lack != NULL)
		return lack;
	foreach(cell, conversation->tasks)
	{
		ImportTask *task = lfirst(cell);
		int			number = foreach_current_index(cell) + 1;
		int			count = list_length(conversation->tasks);
		pg_uuid_t	task_id;
		bool		lacks_end;

		task_run_id(run_id, task, &task_id);
		if (!has_task(run_id, &task_id, &lacks_end))
			return tell_lack(run_id, "request", number, count);
		if (lacks_end && json_get_any(task->columns, counts) != NULL)
			return tell_lack(run_id, "the end of request", number, count);
	}
	return NULL;
}

/* That the run has been charged with the sum of requests that are told by now; or NULL */
static char *
find_sum(const pg_uuid_t *run_id, const Conversation *conversation)
{
	ListCell   *cell;

	foreach(cell, conversation->sums)
	{
		pg_uuid_t	task_id;
		bool		lacks_end;

		derived_id(&task_id, run_id, "task", lfirst(cell));
		if (has_task(run_id, &task_id, &lacks_end) && !lacks_end)
			return tell(run_id, "has come in with the sum of requests that are told one by one "
						"now: none of these is charged");
	}
	return NULL;
}

/*
 * Look at a run that has been brought in before.  Of what has gone on since, requests
 * have been paid for, and come in; that it lacks anything else is told, and so is a
 * usage that may be the sum of what has come in.
 */
static void
look_again(const pg_uuid_t *user_id, const Conversation *conversation, TimestampTz begin,
		   ImportResult *result)
{
	pg_uuid_t	last_task;

	if (!read_stored(&result->run_id, conversation, result))
		return;
	result->problem = find_sum(&result->run_id, conversation);
	if (result->problem != NULL)
		return;
	if (!conversation->is_deleted)
		insert_tasks(&result->run_id, user_id, conversation, begin, true, &last_task);
	result->problem = find_lack(&result->run_id, conversation, begin);
}

static text *
copy_out(text *value)
{
	return value == NULL ? NULL :
		DatumGetTextPP(SPI_datumTransfer(PointerGetDatum(value), false, -1));
}

/*
 * Store a conversation for a user, or nobody (NULL).  entry: what it was read from.
 * PT422 where it has no messages, PT409 where its run is deleted; that it lacks anything
 * is told in the result.  The caller has opened the store.
 */
void
store_conversation(Conversation *conversation, const pg_uuid_t *user_id, JsonbValue *entry,
				   ImportResult *result)
{
	Composer   *shown = conversation->branches != NIL ? linitial(conversation->branches) : NULL;
	Origin		origin = {NULL, 0};
	NewMessage *messages;
	TimestampTz begin;
	text	   *name;
	int			count;

	if (shown == NULL || shown->messages == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("the conversation has no messages"),
				 errdetail("None that is neither empty nor hidden.")));
	count = list_length(shown->messages);
	name_tasks(conversation);
	if (conversation->branches_left_out > 0)
	{
		char	   *count = psprintf("%d", conversation->branches_left_out);

		conversation->import = json_add_pair(conversation->import, "branches_left_out",
											 json_new_string(count));
	}
	conversation_run_id(conversation, entry, user_id, &result->run_id);
	begin = begin_of(conversation);
	messages = branch_messages(shown, begin);
	name = name_of(conversation, messages, count);
	if (!store_branch(&result->run_id, user_id, conversation, begin, shown, messages, name,
					  &origin))
	{
		look_again(user_id, conversation, begin, result);
		return;
	}
	store_forks(&result->run_id, user_id, conversation, begin, messages, count, name);
	result->name = copy_out(name);
	result->message_count = count;
	result->fork_count = branch_count(conversation) - 1;
}
