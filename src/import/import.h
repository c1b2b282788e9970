/*
 * import.h
 *		Conversations of other systems on their way into runs.
 *
 * A reader takes one entry of a document and fills a Conversation in; it knows
 * nothing of the store.  What is guaranteed is said at the head of import.c.
 */
#ifndef AIRUN_IMPORT_IMPORT_H
#define AIRUN_IMPORT_IMPORT_H

#include "airun.h"

#include "import/json_read.h"
#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "store/args.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

/* A message of ours under construction, or finished */
typedef struct OutMessage
{
	const char *role;
	const char *id;				/* the source's; NULL for none */
	TimestampTz time;			/* the source's, or NO_TIME */
	List	   *parts;			/* JsonbValue: all that it says, in order */
	List	   *calls;			/* JsonbValue: tool_calls */
	bool		has_text;
	bool		says_more;		/* by one of its own keys: refusal, audio, ... */
	JsonbValue *content;		/* in place of parts: the result of a tool */
	const char *tool_call_id;
	const char *name;
	List	   *keys;			/* pairs of key and JsonbValue, beside role and content */
	List	   *metadata;		/* likewise */
	bool		answers;		/* the answer of the conversation's task */
} OutMessage;

/* A call of a tool whose result may still come */
typedef struct OpenCall
{
	const char *id;
	const char *name;
	bool		is_answered;
	OutMessage *last;			/* the last message that has a call of this id */
} OpenCall;

/* The calls of one tool */
typedef struct NamedCalls
{
	List	   *calls;			/* OpenCall */
	int			first_waiting;	/* those before it have results */
} NamedCalls;

/* One branch of a conversation as it is put together, message by message */
typedef struct Composer
{
	List	   *messages;		/* OutMessage */
	OutMessage *open;			/* the last one, while it may grow */
	const char *role;			/* of the source's message that is being read */
	const char *id;
	TimestampTz time;
	int			pieces;			/* messages that it has become so far */
	List	   *keys;			/* of it, for the next message that is begun */
	List	   *metadata;
	List	   *calls;			/* OpenCall */
	int			first_waiting;	/* those before it have results */
	HTAB	   *calls_by_id;	/* the first one of each id */
	HTAB	   *calls_by_name;	/* NamedCalls */
	List	   *results;		/* OutMessage: of calls that came with their results */
	List	   *left_out;		/* JsonbValue: what is no message */
} Composer;

/* A request to a model that the source tells of */
typedef struct ImportTask
{
	const char *id;				/* the source's; NULL for none, until name_tasks() */
	JsonbValue *columns;		/* object: columns of airun.tasks as the source has them */
	TimestampTz created_at;
	TimestampTz completed_at;
	bool		is_sum;			/* of requests that may have come in before */
} ImportTask;

/* A conversation of another system */
typedef struct Conversation
{
	const char *format;
	const char *id;				/* NULL for none */
	const char *name;
	const char *description;
	const char *source_type;	/* NULL for chat */
	pg_uuid_t  *source_id;
	TimestampTz created_at;
	TimestampTz active_at;		/* of its last message, where that is not told by it */
	bool		is_archived;
	bool		is_starred;
	bool		is_deleted;
	List	   *tags;			/* char * */
	JsonbValue *settings;
	JsonbValue *variable_values;
	List	   *metadata;		/* pairs for the run's metadata */
	List	   *import;			/* pairs for its metadata.import */
	List	   *branches;		/* Composer; the first is what is shown */
	struct Tree *tree;			/* of which there are more, composed one at a time; NULL */
	int			branches_left_out;
	List	   *tasks;			/* ImportTask */
	List	   *sums;			/* ids of those that tell the sum of others */
} Conversation;

typedef void (*ConversationReader) (JsonbValue *entry, Conversation *conversation);

/* A format, the words by which it is asked for, and its reader */
typedef struct ImportFormat
{
	const char *name;
	ConversationReader read;
	const char *group_by;		/* rows of one conversation have the same value here */
} ImportFormat;

/* One entry of a document */
typedef struct ImportEntry
{
	int			position;
	const ImportFormat *format; /* NULL where it is no conversation */
	JsonbValue *value;
	const char *problem;		/* why it cannot be read; NULL */
} ImportEntry;

/* recognise.c */
extern const ImportFormat *import_format_named(const char *name);
extern List *import_entries(text *document, const ImportFormat *format);

/* compose.c */
extern Composer *compose_begin(void);
extern void compose_source(Composer *composer, const char *role, const char *id,
						   TimestampTz time);
extern void compose_key(Composer *composer, const char *key, JsonbValue *value);
extern void compose_metadata(Composer *composer, const char *key, JsonbValue *value);
extern void compose_text(Composer *composer, const char *text, JsonbValue *part);
extern void compose_keys_alone(Composer *composer);
extern void compose_part(Composer *composer, JsonbValue *part);
extern void compose_call(Composer *composer, const char *id, const char *name,
						 JsonbValue *input, JsonbValue *rest, bool joins);
extern void compose_custom_call(Composer *composer, const char *id, const char *name,
								JsonbValue *input, JsonbValue *rest, bool joins);
extern void compose_result(Composer *composer, const char *id, const char *name,
						   JsonbValue *output, bool is_error, JsonbValue *rest);
extern void compose_result_later(Composer *composer, const char *id, const char *name,
								 JsonbValue *output, bool is_error);
extern void compose_step(Composer *composer);
extern void compose_end(Composer *composer);
extern const char *compose_role(const char *word);
extern Jsonb *compose_message(const OutMessage *message, const char *id, TimestampTz time);

/* parts.c */
extern void compose_content(Composer *composer, JsonbValue *content);
extern void compose_any_part(Composer *composer, JsonbValue *part);
extern char *part_spoken_text(JsonbValue *part);

/* tree.c */
typedef struct TreeNode
{
	const char *id;
	const char *parent;
	JsonbValue *source;
	TimestampTz time;
	int			position;
	struct TreeNode *up;		/* the nearest one above that says anything */
	bool		says_anything;
	List	   *next;			/* those of whom it is that one: TreeNode */
	bool		is_passed;		/* says nothing, and its "up" is known */
	bool		is_seen;		/* while a way up is walked */
	bool		is_below;		/* at what the source shows, or below it */
} TreeNode;

typedef void (*NodeReader) (Composer *composer, JsonbValue *source);

extern void tree_to_branches(List *nodes, const char *current, List *first_messages,
							 NodeReader read, Conversation *conversation);
extern int	tree_branch_count(const struct Tree *tree);
extern Composer *tree_branch(const struct Tree *tree, int number);
extern void compose_system(Composer *composer, JsonbValue *content);

/* span_attributes.c */
extern JsonbValue *span_attributes(JsonbValue *span);
extern bool has_messages(JsonbValue *attributes);
extern Composer *compose_attributes(JsonbValue *attributes);

/* read_chats.c, read_messages.c, read_traces.c, read_original.c */
extern void read_chatgpt(JsonbValue *entry, Conversation *conversation);
extern void read_claude(JsonbValue *entry, Conversation *conversation);
extern void read_openwebui(JsonbValue *entry, Conversation *conversation);
extern void read_librechat(JsonbValue *entry, Conversation *conversation);
extern void read_aistudio(JsonbValue *entry, Conversation *conversation);
extern void read_takeout(JsonbValue *entry, Conversation *conversation);
extern void read_messages(JsonbValue *entry, Conversation *conversation);
extern void compose_any_message(Composer *composer, JsonbValue *item);
extern void read_spans(JsonbValue *entry, Conversation *conversation);
extern char *span_conversation_id(JsonbValue *span);
extern void read_attributes(JsonbValue *entry, Conversation *conversation);
extern void read_original(JsonbValue *entry, Conversation *conversation);

/* store_conversation.c */
typedef struct ImportResult
{
	pg_uuid_t	run_id;
	text	   *name;			/* NULL for none */
	int64		message_count;
	int64		fork_count;
	char	   *problem;		/* what is not brought together; NULL for nothing */
} ImportResult;

/* store_tasks.c */
extern void name_tasks(Conversation *conversation);
extern void task_run_id(const pg_uuid_t *run_id, const ImportTask *task, pg_uuid_t *task_id);
extern bool has_task(const pg_uuid_t *run_id, const pg_uuid_t *task_id, bool *lacks_end);
extern void insert_tasks(const pg_uuid_t *run_id, const pg_uuid_t *user_id,
						 const Conversation *conversation, TimestampTz begin, bool is_again,
						 pg_uuid_t *answer_task);

extern void derived_id(pg_uuid_t *id, const pg_uuid_t *run_id, const char *kind,
					   const char *word);
extern void store_conversation(Conversation *conversation, const pg_uuid_t *user_id,
							   JsonbValue *entry, ImportResult *result);

#endif							/* AIRUN_IMPORT_IMPORT_H */
