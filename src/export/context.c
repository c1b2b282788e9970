/*
 * context.c
 *		What a model is sent to continue a run.
 *
 * The run's messages, as one provider takes them, within limits:
 *
 * - System messages that the run begins with stay.  Later ones go with the turn in
 *	 which they stand.
 * - The oldest turns are left out first; a turn begins at what a user says.  Where the
 *	 last turn alone is too large, its user's message and its newest steps stay; a step
 *	 is what the model says, with the results of its calls.
 * - What the provider would refuse is left out, and counted.
 *
 * Only the end of the run is read, in chunks, until a limit is reached, and what it
 * begins with.  All of it is from the caller's snapshot, and under the caller's rights.
 *
 * Nothing is locked.  Errors: PT404 for no such run; PT422 for a provider that is not
 * known, and for limits that are not positive or that do not hold even the last step.
 */
#include "airun.h"

#include "catalog/pg_type.h"
#include "export/convert.h"
#include "json/json_text.h"
#include "json/jsonb_util.h"
#include "json/token_estimate.h"
#include "miscadmin.h"
#include "run/run.h"
#include "store/args.h"
#include "store/plans.h"
#include "store/store.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(airun_context);

/* How many messages are read at a time, at least */
#define CHUNK				16

/* An estimate: what a message takes beside its text */
#define TOKENS_A_MESSAGE	3

/* A message as it is stored */
typedef struct Source
{
	Jsonb	   *message;
	int64		seq;
	int64		tokens;			/* that its task has counted; -1 for not known */
} Source;

typedef struct Limits
{
	int64		tokens;
	int64		messages;
} Limits;

/* What has been read of a run */
typedef struct Reading
{
	const pg_uuid_t *run_id;
	Origin		target;
	Limits		limits;
	int64		message_count;	/* of the run */
	List	   *head;			/* Sources: the system's, oldest first */
	int64		head_end;		/* seq of the last one of them, or 0 */
	List	   *tail;			/* Sources after them, newest first */
	int64		next;			/* all from here on have been read */
} Reading;

/* Which messages of the tail are sent: from first_seq on, and that at anchor_seq */
typedef struct Choice
{
	int64		first_seq;
	int64		anchor_seq;		/* 0 for none */
} Choice;

/* A choice as it would be sent */
typedef struct Draft
{
	Conversation *conversation;
	int64	   *tokens;			/* of each utterance */
	int64		total;
	int64		estimated;		/* of them */
	int64		messages;		/* of the tail */
	int64		parts_not_taken;
	int64		before_first_user;
} Draft;

/* ---------- reading ---------- */

static void
read_count(Reading *reading)
{
	static Statement count = {
		"SELECT r.message_count FROM airun.runs AS r WHERE " LIVE_RUN, 1, {UUIDOID}
	};
	Args		args = {0};
	bool		isnull;

	arg_uuid(&args, reading->run_id);
	if (statement_read(&count, &args, 1) != 1)
		run_not_found(reading->run_id);
	reading->message_count = DatumGetInt64(result_value(0, 1, &isnull));
	reading->next = reading->message_count + 1;
}

/* Both ends are exclusive; the newest comes first */
static uint64
read_messages(const Reading *reading, int64 after, int64 before)
{
	static Statement read = {
		"SELECT m.message, m.seq, CASE WHEN m.message OPERATOR(pg_catalog.->>) 'role'" EQ
		"ANY (ARRAY['assistant', 'model']) THEN (SELECT t.tokens_output FROM airun.tasks AS t "
		"WHERE t.run_id" EQ "m.run_id AND t.task_id" EQ "m.task_id AND t.answer_seq" EQ
		"m.seq) END FROM airun.messages AS m WHERE m.run_id" EQ "$1 AND m.seq" GT "$2 "
		"AND m.seq" LT "$3 ORDER BY m.seq DESC",
		3, {UUIDOID, INT8OID, INT8OID}
	};
	Args		args = {0};

	arg_uuid(&args, reading->run_id);
	arg_int64(&args, after);
	arg_int64(&args, before);
	return statement_read(&read, &args, 0);
}

static Source *
source_of_row(uint64 row)
{
	Source	   *source = palloc_object(Source);
	Datum		tokens;
	bool		isnull;

	source->message = DatumGetJsonbPCopy(result_value(row, 1, &isnull));
	source->seq = DatumGetInt64(result_value(row, 2, &isnull));
	tokens = result_value(row, 3, &isnull);
	source->tokens = isnull ? -1 : DatumGetInt64(tokens);
	return source;
}

static bool
is_of_system(Jsonb *message)
{
	JsonbValue	role;

	return jsonb_field(&message->root, "role", &role) &&
		(jsonb_string_is(&role, "system") || jsonb_string_is(&role, "developer"));
}

/* The system's messages that the run begins with */
static void
read_head(Reading *reading)
{
	for (int64 after = 0;; after += CHUNK)
	{
		uint64		count = read_messages(reading, after, after + CHUNK + 1);

		for (uint64 i = count; i-- > 0;)
		{
			Source	   *source = source_of_row(i);

			if (!is_of_system(source->message))
				return;
			reading->head = lappend(reading->head, source);
			reading->head_end = source->seq;
		}
		if (count == 0)
			return;
	}
}

/* Some more of the tail; false where all has been read */
static bool
read_chunk(Reading *reading, int64 size)
{
	int64		after = Max(reading->head_end, reading->next - 1 - size);
	uint64		count;

	if (reading->next - 1 <= reading->head_end)
		return false;
	count = read_messages(reading, after, reading->next);
	for (uint64 i = 0; i < count; i++)
		reading->tail = lappend(reading->tail, source_of_row(i));
	reading->next = after + 1;
	return true;
}

/* How many messages of the tail stand at this place or behind it */
static int
messages_from(const Reading *reading, int64 seq)
{
	int			low = 0;
	int			high = list_length(reading->tail);

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (((Source *) list_nth(reading->tail, middle))->seq >= seq)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* What a task has counted for the message at this place; -1 for not known */
static int64
counted_tokens(const Reading *reading, int64 seq)
{
	int			count = messages_from(reading, seq);
	Source	   *source = count == 0 ? NULL : list_nth(reading->tail, count - 1);

	return source != NULL && source->seq == seq ? source->tokens : -1;
}

/* ---------- what the provider takes ---------- */

/* Would it, of media whose references to others have been left out? */
static bool
media_is_taken(const Part *part, Speaker speaker, Origin target)
{
	bool		has_data = is_present(&part->data);

	if (!media_has_content(part))
		return false;
	if (speaker == SPEAKER_ASSISTANT)
		return target == ORIGIN_GEMINI;
	if (speaker == SPEAKER_TOOL && target != ORIGIN_RESPONSES && target != ORIGIN_ANTHROPIC)
		return target == ORIGIN_GEMINI && part->origin == target;
	switch (target)
	{
		case ORIGIN_OPENAI:
			return has_data ||
				is_present(media_is_image(part) ? &part->url : &part->file_id);
		case ORIGIN_RESPONSES:
			return !media_begins(part, "audio/") && !media_begins(part, "video/");
		case ORIGIN_ANTHROPIC:
			return !media_begins(part, "audio/") && !media_begins(part, "video/") &&
				(!has_data || media_begins(part, "image/") ||
				 jsonb_string_is(&part->mime, "application/pdf"));
		default:
			return true;
	}
}

static bool
reasoning_is_taken(const Part *part, Origin target)
{
	if (part->origin != target || part->raw.type != jbvBinary)
		return false;
	return (target == ORIGIN_ANTHROPIC || target == ORIGIN_RESPONSES) &&
		is_present(&part->signature);
}

/* Would the array of this provider have the part, and the provider take it? */
static bool
part_is_taken(const Part *part, Speaker speaker, Origin target)
{
	bool		is_system = speaker == SPEAKER_SYSTEM || speaker == SPEAKER_DEVELOPER;

	switch (part->kind)
	{
		case PART_TEXT:
			return !part_is_blank(part) ||
				(target == ORIGIN_GEMINI && part_is_signed(part, target));
		case PART_REASONING:
			return speaker == SPEAKER_ASSISTANT && reasoning_is_taken(part, target);
		case PART_CALL:
			return speaker == SPEAKER_ASSISTANT;
		case PART_RESULT:
			return false;
		case PART_MEDIA:
			return !is_system && media_is_taken(part, speaker, target);
		case PART_OTHER:
			return !is_system && target != ORIGIN_OPENAI && part->origin == target &&
				part->raw.type == jbvBinary;
	}
	return false;
}

static List *
parts_taken(Draft *draft, List *parts, Speaker speaker, Origin target)
{
	List	   *taken = NIL;
	ListCell   *cell;

	foreach(cell, parts)
	{
		Part	   *part = lfirst(cell);

		if (part->kind == PART_CALL && part->result != NULL)
			part->result->parts = parts_taken(draft, part->result->parts, SPEAKER_TOOL, target);
		if (part->kind == PART_MEDIA)
			media_leave_references(part, target);
		/* every provider takes what a file says, and some not the file of another one */
		if (part->kind == PART_MEDIA && is_present(&part->text) &&
			((media_is_document(part) && !media_is_own(part, target)) ||
			 !part_is_taken(part, speaker, target)))
			part->kind = PART_TEXT;
		if (part_is_taken(part, speaker, target))
			taken = lappend(taken, part);
		else if (part->kind != PART_REASONING && !part_is_blank(part))
			draft->parts_not_taken++;
	}
	/* reasoning is refused without what it has led to */
	while (taken != NIL && ((Part *) llast(taken))->kind == PART_REASONING)
		taken = list_delete_last(taken);
	return taken;
}

/* Leave out what is not for this provider */
static void
adapt(Draft *draft, Origin target)
{
	bool		from_user = target == ORIGIN_ANTHROPIC || target == ORIGIN_GEMINI;
	bool		has_begun = !from_user;
	List	   *kept = NIL;
	ListCell   *cell;

	foreach(cell, draft->conversation->utterances)
	{
		Utterance  *utterance = lfirst(cell);

		utterance->parts = parts_taken(draft, utterance->parts, utterance->speaker, target);
		if (utterance->parts == NIL)
			continue;
		has_begun |= utterance->speaker == SPEAKER_USER;
		if (has_begun || utterance_is_system(utterance))
			kept = lappend(kept, utterance);
		else
			draft->before_first_user++;
	}
	draft->conversation->utterances = kept;
}

/* ---------- tokens ---------- */

static int64
quarters_of_value(const JsonbValue *value)
{
	StringInfoData text;
	int64		quarters;

	if (value->type == jbvString)
		return tokens_in_quarters(value->val.string.val, value->val.string.len);
	if (!is_present(value))
		return 0;
	initStringInfo(&text);
	json_value(&text, value);
	quarters = tokens_in_quarters(text.data, text.len);
	pfree(text.data);
	return quarters;
}

static int64
quarters_of_part(const Part *part)
{
	switch (part->kind)
	{
		case PART_MEDIA:
			return TOKENS_A_FILE * 4;
		case PART_OTHER:
			return quarters_of_value(&part->raw);
		case PART_CALL:
			return quarters_of_value(&part->name) + quarters_of_value(&part->value);
		default:
			return quarters_of_value(&part->text);
	}
}

static int64
tokens_of_result(const Part *result)
{
	int64		quarters = quarters_of_value(&result->value);
	ListCell   *cell;

	foreach(cell, result->parts)
	{
		quarters += quarters_of_part(lfirst(cell));
	}
	return TOKENS_A_MESSAGE + (quarters + 3) / 4;
}

/*
 * Tokens of an utterance, with the results of its calls.  counted: of what it says,
 * or -1.  Adds to *estimated what is not counted.
 */
static int64
tokens_of_utterance(const Utterance *utterance, int64 counted, int64 *estimated)
{
	int64		quarters = 0;
	int64		results = 0;
	int64		says;
	ListCell   *cell;

	foreach(cell, utterance->parts)
	{
		Part	   *part = lfirst(cell);

		quarters += quarters_of_part(part);
		if (part->kind == PART_CALL && part->result != NULL)
			results += tokens_of_result(part->result);
	}
	says = counted >= 0 ? counted : TOKENS_A_MESSAGE + (quarters + 3) / 4;
	*estimated += results + (counted >= 0 ? 0 : says);
	return says + results;
}

/* Is the utterance the first one of its message? */
static bool
begins_message(const List *utterances, int i)
{
	return i == 0 || ((Utterance *) list_nth(utterances, i - 1))->seq !=
		((Utterance *) list_nth(utterances, i))->seq;
}

static void
count_tokens(const Reading *reading, Draft *draft)
{
	List	   *utterances = draft->conversation->utterances;
	int			count = list_length(utterances);

	draft->tokens = palloc_array(int64, count);
	for (int i = 0; i < count; i++)
	{
		Utterance  *utterance = list_nth(utterances, i);
		bool		is_whole = utterance->speaker == SPEAKER_ASSISTANT &&
			begins_message(utterances, i) &&
			(i == count - 1 || begins_message(utterances, i + 1));

		draft->tokens[i] =
			tokens_of_utterance(utterance,
								is_whole ? counted_tokens(reading, utterance->seq) : -1,
								&draft->estimated);
		draft->total += draft->tokens[i];
	}
}

/* ---------- what is sent ---------- */

static void
draft_add(Draft *draft, const Source *source)
{
	conversation_add(draft->conversation, source->message, source->seq, NULL, 0);
}

static Draft
draft_of(const Reading *reading, Choice choice)
{
	Draft		draft = {.conversation = conversation_begin()};
	ListCell   *cell;

	CHECK_FOR_INTERRUPTS();
	foreach(cell, reading->head)
	{
		draft_add(&draft, lfirst(cell));
	}
	for (int i = list_length(reading->tail); i-- > 0;)
	{
		Source	   *source = list_nth(reading->tail, i);

		if (source->seq < choice.first_seq && source->seq != choice.anchor_seq)
			continue;
		draft_add(&draft, source);
		draft.messages++;
	}
	conversation_settle(draft.conversation, true);
	adapt(&draft, reading->target);
	count_tokens(reading, &draft);
	return draft;
}

static bool
fits(const Reading *reading, int64 tokens, int64 messages)
{
	return tokens <= reading->limits.tokens && messages <= reading->limits.messages;
}

static int
last_user(const Draft *draft)
{
	List	   *utterances = draft->conversation->utterances;
	int			i = list_length(utterances);

	while (--i >= 0 && ((Utterance *) list_nth(utterances, i))->speaker != SPEAKER_USER)
		;
	return i;
}

/* Read as much of the end as the limits can hold, and at least the last turn */
static void
read_tail(Reading *reading)
{
	bool		has_limit = reading->limits.tokens < PG_INT64_MAX ||
		reading->limits.messages < PG_INT64_MAX;

	while (read_chunk(reading, has_limit ? Max(CHUNK, list_length(reading->tail) / 2) :
					  reading->message_count))
	{
		Draft		draft = draft_of(reading, (Choice) {0, 0});

		if (!fits(reading, draft.total, draft.messages) && last_user(&draft) >= 0)
			break;
	}
}

/* Tokens of the system's messages that always stay */
static int64
head_tokens(const Reading *reading, const Draft *draft)
{
	int64		tokens = 0;
	ListCell   *cell;

	foreach(cell, draft->conversation->utterances)
	{
		if (((Utterance *) lfirst(cell))->seq <= reading->head_end)
			tokens += draft->tokens[foreach_current_index(cell)];
	}
	return tokens;
}

/*
 * The longest end of a draft that begins with this speaker behind the utterance
 * "after", and that fits beside so many tokens and messages; 0 for none.
 */
static int64
longest_end(const Reading *reading, const Draft *draft, Speaker speaker, int after,
			int64 tokens, int64 messages)
{
	List	   *utterances = draft->conversation->utterances;
	int64		first_seq = 0;

	for (int i = list_length(utterances) - 1; i > after; i--)
	{
		Utterance  *utterance = list_nth(utterances, i);

		tokens += draft->tokens[i];
		if (utterance->seq <= reading->head_end ||
			!fits(reading, tokens, messages + messages_from(reading, utterance->seq)))
			break;
		if (utterance->speaker == speaker && begins_message(utterances, i))
			first_seq = utterance->seq;
	}
	return first_seq;
}

pg_noreturn static void
refuse_limits(const Reading *reading, const Draft *draft)
{
	bool		is_tokens = draft->total > reading->limits.tokens;

	ereport(ERROR,
			(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
			 errmsg("\"%s\" of " INT64_FORMAT " does not hold the last step of the run",
					is_tokens ? "max_tokens" : "max_messages",
					is_tokens ? reading->limits.tokens : reading->limits.messages),
			 errdetail("The system's messages take " INT64_FORMAT " tokens; the last turn "
					   "with them takes " INT64_FORMAT " tokens, and without them " INT64_FORMAT
					   " messages.", head_tokens(reading, draft), draft->total, draft->messages),
			 errhint("Allow more, or shorten the message.")));
}

/* A shorter choice for a draft that does not fit, or PT422 */
static Choice
shorten(const Reading *reading, const Draft *draft, Choice now)
{
	int			user = last_user(draft);
	int64		tokens = head_tokens(reading, draft);
	Choice		choice = {0, 0};

	choice.first_seq = longest_end(reading, draft, SPEAKER_USER, -1, tokens, 0);
	if (choice.first_seq == 0)
	{
		if (user >= 0)
		{
			choice.anchor_seq = ((Utterance *) list_nth(draft->conversation->utterances,
														user))->seq;
			tokens += draft->tokens[user];
		}
		choice.first_seq = longest_end(reading, draft, SPEAKER_ASSISTANT, user, tokens,
									   user >= 0 ? 1 : 0);
	}
	if (choice.first_seq <= now.first_seq)
		refuse_limits(reading, draft);
	return choice;
}

/* ---------- the result ---------- */

static void
json_count(StringInfo out, const char *key, int64 count)
{
	json_key(out, key);
	appendStringInfo(out, INT64_FORMAT, count);
}

static void
write_left_out(StringInfo out, const Reading *reading, const Draft *draft, const char *reason)
{
	json_key(out, "left_out");
	appendStringInfoChar(out, '{');
	json_count(out, "messages", reading->message_count - list_length(reading->head) -
			   draft->messages);
	json_key(out, "reason");
	if (reason != NULL)
		json_string(out, reason);
	else
		appendStringInfoString(out, "null");
	json_count(out, "calls_without_result", draft->conversation->calls_without_result);
	json_count(out, "results_without_call", draft->conversation->results_without_call);
	json_count(out, "blank_messages", draft->conversation->blank_messages);
	json_count(out, "parts_not_taken", draft->parts_not_taken);
	json_count(out, "before_first_user", draft->before_first_user);
	appendStringInfoChar(out, '}');
}

static void
write_context(StringInfo out, const Reading *reading, const Draft *draft, Choice choice,
			  const char *reason)
{
	bool		is_apart = reading->target == ORIGIN_ANTHROPIC ||
		reading->target == ORIGIN_GEMINI;

	appendStringInfoString(out, "{\"messages\":");
	conversation_write(out, draft->conversation, reading->target);
	json_key(out, "system");
	if (!is_apart || !conversation_write_system(out, draft->conversation, reading->target))
		appendStringInfoString(out, "null");
	json_count(out, "tokens", draft->total);
	json_count(out, "estimated_tokens", draft->estimated);
	json_count(out, "message_count", draft->messages + list_length(reading->head));
	json_key(out, "first_seq");
	if (draft->messages == 0)
		appendStringInfoString(out, "null");
	else
		appendStringInfo(out, INT64_FORMAT, Max(choice.first_seq, reading->head_end + 1));
	json_key(out, "user_seq");
	if (choice.anchor_seq == 0)
		appendStringInfoString(out, "null");
	else
		appendStringInfo(out, INT64_FORMAT, choice.anchor_seq);
	write_left_out(out, reading, draft, reason);
	appendStringInfoChar(out, '}');
}

/* ---------- arguments ---------- */

static Origin
provider_argument(FunctionCallInfo fcinfo, int argument)
{
	static const struct
	{
		const char *name;
		Origin		origin;
	}			providers[] = {
		{"openai", ORIGIN_OPENAI},
		{"responses", ORIGIN_RESPONSES},
		{"anthropic", ORIGIN_ANTHROPIC},
		{"gemini", ORIGIN_GEMINI},
	};
	char	   *name;

	if (PG_ARGISNULL(argument))
		return ORIGIN_OPENAI;
	name = text_to_cstring(PG_GETARG_TEXT_PP(argument));
	for (int i = 0; i < lengthof(providers); i++)
	{
		if (pg_strcasecmp(name, providers[i].name) == 0)
			return providers[i].origin;
	}
	ereport(ERROR,
			(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
			 errmsg("unknown provider \"%s\"", excerpt(name, strlen(name))),
			 errhint("The providers are openai, responses, anthropic and gemini.")));
}

static int64
limit_argument(FunctionCallInfo fcinfo, int argument, const char *name)
{
	int64		limit;

	if (PG_ARGISNULL(argument))
		return PG_INT64_MAX;
	limit = PG_GETARG_INT64(argument);
	if (limit < 1)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("\"%s\" must be at least 1, not " INT64_FORMAT, name, limit),
				 errhint("Leave it out to have no limit.")));
	return limit;
}

/*
 * airun_context(run_id, max_tokens, max_messages, for_provider) returns json
 */
Datum
airun_context(PG_FUNCTION_ARGS)
{
	Reading		reading = {.run_id = run_id_argument(fcinfo, 0)};
	Choice		choice = {0, 0};
	const char *reason = NULL;
	Draft		draft;
	StringInfoData out;

	reading.limits.tokens = limit_argument(fcinfo, 1, "max_tokens");
	reading.limits.messages = limit_argument(fcinfo, 2, "max_messages");
	reading.target = provider_argument(fcinfo, 3);
	json_begin(&out);
	store_open(false);
	read_count(&reading);
	read_head(&reading);
	read_tail(&reading);
	for (;;)
	{
		draft = draft_of(&reading, choice);
		if (fits(&reading, draft.total, draft.messages))
			break;
		reason = draft.total > reading.limits.tokens ? "max_tokens" : "max_messages";
		choice = shorten(&reading, &draft, choice);
	}
	write_context(&out, &reading, &draft, choice, reason);
	store_close();
	PG_RETURN_DATUM(json_end(&out));
}
