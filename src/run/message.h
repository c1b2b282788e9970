/*
 * message.h
 *		Messages: how they are appended and read.
 */
#ifndef AIRUN_MESSAGE_H
#define AIRUN_MESSAGE_H

#include "airun.h"

#include "lib/stringinfo.h"
#include "run/message_accept.h"
#include "run/run.h"

/* A message on its way into a run, and where it came to stand */
typedef struct NewMessage
{
	Jsonb	   *message;		/* as stored, once it is */
	text	   *message_id;		/* NULL for none */
	pg_uuid_t  *task_id;		/* NULL for none */
	bool		is_stored;		/* it stood in the run before */
	int64		seq;
	TimestampTz created_at;
} NewMessage;

/* Which messages of a run, both ends exclusive */
typedef struct MessageRange
{
	int64		after;
	int64		before;
	int64		max;
	bool		from_end;		/* the last ones, not the first, up to max */
} MessageRange;

#define ALL_MESSAGES	((MessageRange) {0, PG_INT64_MAX, PG_INT64_MAX, false})

static inline bool
text_equal(text *a, text *b)
{
	return VARSIZE_ANY_EXHDR(a) == VARSIZE_ANY_EXHDR(b) &&
		memcmp(VARDATA_ANY(a), VARDATA_ANY(b), VARSIZE_ANY_EXHDR(a)) == 0;
}

/* Is a text the beginning of another, or all of it? */
static inline bool
text_begins(text *whole, text *beginning)
{
	return VARSIZE_ANY_EXHDR(beginning) <= VARSIZE_ANY_EXHDR(whole) &&
		memcmp(VARDATA_ANY(whole), VARDATA_ANY(beginning), VARSIZE_ANY_EXHDR(beginning)) == 0;
}

extern Jsonb *message_complete(Jsonb *message, TimestampTz time);
extern text *message_role(Jsonb *message);
extern text *message_text(Jsonb *message);
extern bool message_same(Jsonb *a, Jsonb *b);

extern void message_new(NewMessage *new, Jsonb *message, text *message_id);
extern bool message_require_task(const pg_uuid_t *run_id, const pg_uuid_t *task_id);
extern void message_answers_task(const pg_uuid_t *run_id, const NewMessage *message);
extern NewMessage *messages_parse(Jsonb *messages, int *count);
extern int	messages_find_stored(const pg_uuid_t *run_id, NewMessage *messages, int count);
extern void message_insert(const pg_uuid_t *run_id, NewMessage *message);
extern void messages_store(const pg_uuid_t *run_id, NewMessage *messages, int count,
						   RunState *state);
extern void messages_append(const pg_uuid_t *run_id, NewMessage *messages, int count);

extern void messages_refuse_repeated_ids(NewMessage *messages, int count);

extern Datum message_result(FunctionCallInfo fcinfo, const pg_uuid_t *run_id,
							NewMessage *message);
extern void message_begin_rows(FunctionCallInfo fcinfo);
extern void message_put_row(FunctionCallInfo fcinfo, const pg_uuid_t *run_id,
							NewMessage *message);

extern int64 message_limit(FunctionCallInfo fcinfo, int argument);
extern int64 messages_as_json(StringInfo out, const pg_uuid_t *run_id,
							  const MessageRange *range);

#endif							/* AIRUN_MESSAGE_H */
