/*
 * convert.c
 *		Messages in any provider's shape, turned into one normal form.
 *
 * Messages are stored as clients have sent them.  Here they become utterances of
 * speakers, made of parts (message_parts.c), in which each call has its result:
 *
 * - One source message may become several utterances: what a model says after the
 *	 results of its calls, and what a user says beside results.
 * - Items of OpenAI's Responses that belong to one answer become one utterance.
 * - A result finds its call by the id.  Without one it answers the first call
 *	 before it that has no result yet, of its name where it has one.
 * - Calls have ids that are unique within the conversation and that every provider
 *	 takes: those that lack one, or have another, get call_1, call_2, ...
 *
 * For a request to a model, what providers refuse is left out, and counted: calls
 * without a result, results without a call, messages that say nothing.  So are calls of
 * the tools that a provider brings, and their outputs, which are not converted.
 *
 * Nothing is locked and nothing refused.
 */
#include "export/convert.h"

#include "json/jsonb_util.h"
#include "miscadmin.h"
#include "utils/hsearch.h"

/* OpenAI's limit */
#define MAX_CALL_ID	40

/* An empty conversation, in the current memory context */
Conversation *
conversation_begin(void)
{
	return palloc0_object(Conversation);
}

/* ---------- messages ---------- */

static Speaker
speaker_of(JsonbContainer *message)
{
	static const struct
	{
		const char *role;
		Speaker		speaker;
	}			speakers[] = {
		{"system", SPEAKER_SYSTEM},
		{"developer", SPEAKER_DEVELOPER},
		{"user", SPEAKER_USER},
		{"tool", SPEAKER_TOOL},
		{"function", SPEAKER_TOOL},
		{"data", SPEAKER_DATA},
	};
	JsonbValue	role;

	if (jsonb_field(message, "role", &role))
	{
		for (int i = 0; i < lengthof(speakers); i++)
		{
			if (jsonb_string_is(&role, speakers[i].role))
				return speakers[i].speaker;
		}
	}
	return SPEAKER_ASSISTANT;
}

static Utterance *
add_utterance(Conversation *conversation, const Utterance *model, Speaker speaker)
{
	Utterance  *utterance = palloc_object(Utterance);

	*utterance = *model;
	utterance->speaker = speaker;
	utterance->parts = NIL;
	conversation->utterances = lappend(conversation->utterances, utterance);
	return utterance;
}

/* Is the message an item that is a part of an answer, and no message itself? */
static bool
is_item_part(JsonbContainer *message, List *parts)
{
	Part	   *part = parts == NIL ? NULL : linitial(parts);
	JsonbValue	type;

	return list_length(parts) == 1 && part->raw.type == jbvBinary &&
		part->raw.val.binary.data == message && jsonb_field(message, "type", &type) &&
		part->kind != PART_RESULT;
}

/* May an item go on what the last utterance has said? */
static bool
goes_on(const Utterance *last, bool is_item, JsonbContainer *message)
{
	JsonbValue	type;
	ListCell   *cell;

	if (last == NULL || last->speaker != SPEAKER_ASSISTANT || !last->is_item)
		return false;
	if (is_item)
		return true;
	/* what an item of the type message says goes on what was thought before it */
	if (!jsonb_field(message, "type", &type) || !jsonb_string_is(&type, "message"))
		return false;
	foreach(cell, last->parts)
	{
		if (((Part *) lfirst(cell))->kind != PART_REASONING)
			return false;
	}
	return true;
}

/* What was thought last, before an item of the type message, belongs to what that says */
static List *
take_last_thoughts(Utterance *last)
{
	List	   *thoughts = NIL;

	if (last == NULL || last->speaker != SPEAKER_ASSISTANT || !last->is_item)
		return NIL;
	while (last->parts != NIL && ((Part *) llast(last->parts))->kind == PART_REASONING)
	{
		thoughts = lcons(llast(last->parts), thoughts);
		last->parts = list_delete_last(last->parts);
	}
	return thoughts;
}

/*
 * Add a message as it is stored.  It must last as long as the conversation.
 * message_id may be NULL.
 */
void
conversation_add(Conversation *conversation, Jsonb *message, int64 seq, text *message_id,
				 TimestampTz created_at)
{
	List	   *parts = message_parts(&message->root);
	Speaker		speaker = speaker_of(&message->root);
	Utterance	model = {.seq = seq, .message_id = message_id, .created_at = created_at};
	Utterance  *last = conversation->utterances == NIL ? NULL : llast(conversation->utterances);
	Utterance  *utterance = NULL;
	JsonbValue	type;
	bool		answered = false;
	ListCell   *cell;

	if (speaker != SPEAKER_TOOL && jsonb_field(&message->root, "name", &model.name) &&
		model.name.type != jbvString)
		model.name.type = jbvNull;
	if (speaker == SPEAKER_ASSISTANT && jsonb_field(&message->root, "phase", &model.phase) &&
		model.phase.type != jbvString)
		model.phase.type = jbvNull;
	model.is_item = is_item_part(&message->root, parts);
	if (model.is_item)
		model.name.type = jbvNull;
	if (speaker == SPEAKER_ASSISTANT && goes_on(last, model.is_item, &message->root))
	{
		utterance = last;
		if (is_present(&model.phase))
			last->phase = model.phase;
	}
	else if (jsonb_field(&message->root, "type", &type) && jsonb_string_is(&type, "message"))
	{
		model.is_item = true;	/* calls that follow it belong to it */
		if (speaker == SPEAKER_ASSISTANT)
			parts = list_concat(take_last_thoughts(last), parts);
	}

	foreach(cell, parts)
	{
		Part	   *part = lfirst(cell);
		Speaker		says = part->kind == PART_RESULT ? SPEAKER_TOOL :
			speaker == SPEAKER_TOOL ? SPEAKER_USER : speaker;

		/* what follows results was said after them */
		if (answered && part->kind != PART_CALL)
			utterance = NULL;
		if (utterance == NULL || utterance->speaker != says)
		{
			utterance = add_utterance(conversation, &model, says);
			answered = false;
		}
		utterance->parts = lappend(utterance->parts, part);
		answered |= part->kind == PART_CALL && part->result != NULL;
	}
	if (parts == NIL)
		(void) add_utterance(conversation, &model, speaker);
}

/* ---------- calls and results ---------- */

/* Calls in order, of which those before "next" have their results */
typedef struct CallQueue
{
	List	   *calls;			/* Part */
	int			next;
} CallQueue;

/* The calls so far: all of them, by their ids, by their names, and those without an id */
typedef struct OpenCalls
{
	CallQueue	all;
	HTAB	   *by_id;			/* of CallQueues */
	HTAB	   *by_name;
	HTAB	   *without_id;	/* by name */
} OpenCalls;

/* The queue for a string */
static CallQueue *
queue_of(HTAB *queues, const JsonbValue *string)
{
	CallQueue **place = (CallQueue **) words_place_of(queues, string);

	if (*place == NULL)
		*place = palloc0_object(CallQueue);
	return *place;
}

/* The first call that has no result yet; NULL for none */
static Part *
queue_first(CallQueue *queue)
{
	while (queue->next < list_length(queue->calls))
	{
		Part	   *call = list_nth(queue->calls, queue->next);

		if (call->result == NULL)
			return call;
		queue->next++;
	}
	return NULL;
}

static Part *
first_of(HTAB *queues, const JsonbValue *string)
{
	return string->type == jbvString ? queue_first(queue_of(queues, string)) : NULL;
}

static void
add_to(HTAB *queues, const JsonbValue *string, Part *call)
{
	CallQueue  *queue;

	if (string->type != jbvString)
		return;
	queue = queue_of(queues, string);
	queue->calls = lappend(queue->calls, call);
}

static void
add_open_call(OpenCalls *open, Part *call)
{
	open->all.calls = lappend(open->all.calls, call);
	add_to(open->by_id, &call->id, call);
	add_to(open->by_name, &call->name, call);
	if (!is_present(&call->id))
		add_to(open->without_id, &call->name, call);
}

/*
 * The call that the result answers, among those before it that have none yet;
 * NULL for none.
 */
static Part *
call_of(OpenCalls *open, const Part *result)
{
	Part	   *call;

	if (!is_present(&result->id))
		return is_present(&result->name) ? first_of(open->by_name, &result->name) :
			queue_first(&open->all);
	call = first_of(open->by_id, &result->id);
	/* ids are given by some on one side alone */
	return call != NULL ? call : first_of(open->without_id, &result->name);
}

/* Give each call its result; results that have found one leave their utterance */
static void
pair_results(Conversation *conversation)
{
	OpenCalls	open = {
		.by_id = words_begin(), .by_name = words_begin(), .without_id = words_begin()
	};
	List	   *kept = NIL;
	ListCell   *cell;
	ListCell   *inner;

	foreach(cell, conversation->utterances)
	{
		Utterance  *utterance = lfirst(cell);
		List	   *parts = NIL;

		foreach(inner, utterance->parts)
		{
			Part	   *part = lfirst(inner);
			Part	   *call = NULL;

			CHECK_FOR_INTERRUPTS();
			if (part->kind == PART_CALL && part->result == NULL)
				add_open_call(&open, part);
			if (part->kind == PART_RESULT)
				call = call_of(&open, part);
			if (call == NULL)
				parts = lappend(parts, part);
			else
				call->result = part;
		}
		if (parts != NIL || utterance->speaker != SPEAKER_TOOL)
			kept = lappend(kept, utterance);
		utterance->parts = parts;
	}
	conversation->utterances = kept;
}

/* ---------- tools that a provider brings ---------- */

/* What kind of part of such a tool it is, by its type; NULL for none */
static const PartType *
built_in_of(const Part *part)
{
	const PartType *known;
	JsonbValue	type;

	if (part->kind != PART_OTHER || part->raw.type != jbvBinary ||
		!jsonb_field(part->raw.val.binary.data, "type", &type) || type.type != jbvString)
		return NULL;
	known = part_type_of(&type);
	return known != NULL && known->built_in != NOT_BUILT_IN ? known : NULL;
}

/* The calls of such tools that wait for their output */
typedef struct WaitingCalls
{
	HTAB	   *by_id;
	List	   *of_provider;	/* all of the provider's own, since a user has spoken */
} WaitingCalls;

/* What a user says ends the calls that the provider has not answered */
static void
end_provider_calls(WaitingCalls *open)
{
	ListCell   *cell;

	foreach(cell, open->of_provider)
	{
		Part	   *call = lfirst(cell);

		if (call->id.type == jbvString)
			*words_place_of(open->by_id, &call->id) = NULL;
	}
	open->of_provider = NIL;
}

/* The open call that an output answers is answered; an output of none is unpaired */
static void
pair_built_in(WaitingCalls *open, const PartType *known, Part *part)
{
	Part	  **place;

	CHECK_FOR_INTERRUPTS();
	part->id = first_string(part->raw.val.binary.data, known->id_keys);
	part->is_unpaired = true;
	if (known->built_in == CALL_FOR_PROVIDER)
		open->of_provider = lappend(open->of_provider, part);
	if (part->id.type != jbvString)
		return;
	place = (Part **) words_place_of(open->by_id, &part->id);
	if (known->built_in != BUILT_IN_OUTPUT)
		*place = *place != NULL ? *place : part;
	else if (*place != NULL)
	{
		(*place)->is_unpaired = part->is_unpaired = false;
		*place = NULL;
	}
}

/* Find the calls of such tools that have no output, and the reverse */
static void
pair_built_ins(Conversation *conversation)
{
	WaitingCalls open = {.by_id = words_begin()};
	ListCell   *cell;
	ListCell   *inner;

	foreach(cell, conversation->utterances)
	{
		Utterance  *utterance = lfirst(cell);

		if (utterance->speaker == SPEAKER_USER)
			end_provider_calls(&open);
		foreach(inner, utterance->parts)
		{
			const PartType *known = built_in_of(lfirst(inner));

			if (known != NULL)
				pair_built_in(&open, known, lfirst(inner));
		}
	}
	/* a provider may still go on with its own */
	foreach(cell, open.of_provider)
	{
		((Part *) lfirst(cell))->is_unpaired = false;
	}
}

/* ---------- ids ---------- */

/* Would every provider take it as the id of a call? */
static bool
is_plain_id(const JsonbValue *id)
{
	if (id->type != jbvString || id->val.string.len == 0 || id->val.string.len > MAX_CALL_ID)
		return false;
	for (int i = 0; i < id->val.string.len; i++)
	{
		unsigned char c = id->val.string.val[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
			c != '_' && c != '-')
			return false;
	}
	return true;
}

/* The ids that have been given */
typedef struct IdSet
{
	HTAB	   *ids;
	int			made;			/* number of the last one that was made */
} IdSet;

/* Enter a plain id; false where it is taken */
static bool
take_id(IdSet *set, const JsonbValue *id)
{
	char		key[MAX_CALL_ID + 1] = {0};
	bool		found;

	CHECK_FOR_INTERRUPTS();
	memcpy(key, id->val.string.val, id->val.string.len);
	hash_search(set->ids, key, HASH_ENTER, &found);
	return !found;
}

/* Have a call, with its result, or a result alone, a plain id of its own */
static void
give_id(IdSet *set, Part *part)
{
	while (!is_plain_id(&part->id) || !take_id(set, &part->id))
	{
		char	   *made = psprintf("call_%d", ++set->made);

		part->id.type = jbvString;
		part->id.val.string.val = made;
		part->id.val.string.len = strlen(made);
	}
	if (part->result != NULL)
	{
		part->result->id = part->id;
		part->result->name = part->name;
	}
}

static void
give_ids(Conversation *conversation)
{
	HASHCTL		info = {.keysize = MAX_CALL_ID + 1, .entrysize = MAX_CALL_ID + 1,
		.hcxt = CurrentMemoryContext};
	IdSet		set = {
		hash_create("airun ids of calls", 32, &info, HASH_ELEM | HASH_STRINGS | HASH_CONTEXT), 0
	};
	ListCell   *cell;
	ListCell   *inner;

	foreach(cell, conversation->utterances)
	{
		foreach(inner, ((Utterance *) lfirst(cell))->parts)
		{
			Part	   *part = lfirst(inner);

			if (part->kind == PART_CALL || part->kind == PART_RESULT)
				give_id(&set, part);
		}
	}
}

/* ---------- what a provider would refuse ---------- */

/* Has the part nothing but blanks? */
bool
part_is_blank(const Part *part)
{
	if (part->kind != PART_TEXT)
		return false;
	if (part->text.type != jbvString)
		return true;
	for (int i = 0; i < part->text.val.string.len; i++)
	{
		if (strchr(" \t\r\n", part->text.val.string.val[i]) == NULL)
			return false;
	}
	return true;
}

/* Has it a signature of this provider's?  Gemini's may come with an empty text. */
bool
part_is_signed(const Part *part, Origin origin)
{
	return part->origin == origin && is_present(&part->signature);
}

/* Does the utterance belong to the system prompt of who keeps that apart? */
bool
utterance_is_system(const Utterance *utterance)
{
	return utterance->speaker == SPEAKER_SYSTEM || utterance->speaker == SPEAKER_DEVELOPER;
}

/* Is it an answer's reasoning that Responses take only with the item after it? */
static bool
needs_next_item(const Part *part)
{
	return part->kind == PART_REASONING && part->origin == ORIGIN_RESPONSES;
}

/* Leave out what providers refuse, of one utterance; returns whether anything stays */
static bool
keep_acceptable(Conversation *conversation, Utterance *utterance)
{
	List	   *parts = NIL;
	bool		says_something = false;
	bool		call_is_gone = false;	/* since the last one that was kept */
	ListCell   *cell;

	foreach(cell, utterance->parts)
	{
		Part	   *part = lfirst(cell);
		bool		is_output = part->kind == PART_RESULT ||
			(part->is_unpaired && built_in_of(part)->built_in == BUILT_IN_OUTPUT);

		if (is_output)
			conversation->results_without_call++;
		else if (part->is_unpaired || (part->kind == PART_CALL && part->result == NULL))
		{
			conversation->calls_without_result++;
			call_is_gone = true;
		}
		else if (!part_is_blank(part) || part_is_signed(part, ORIGIN_GEMINI))
		{
			while (call_is_gone && needs_next_item(part) && parts != NIL &&
				   needs_next_item(llast(parts)))
				parts = list_delete_last(parts);
			call_is_gone = false;
			parts = lappend(parts, part);
			says_something |= part->kind != PART_REASONING && !part_is_blank(part);
		}
	}
	if (utterance->parts == NIL || (!says_something && parts != NIL) ||
		(parts == NIL && list_length(utterance->parts) > 0 &&
		 part_is_blank(linitial(utterance->parts))))
		conversation->blank_messages++;
	utterance->parts = parts;
	return says_something && utterance->speaker != SPEAKER_DATA;
}

/*
 * Settle what has been added: to be called once, before anything is written.
 * for_request: the arrays are to be sent to a model, so that what providers
 * refuse is left out; else they are to hold as much as their form can.
 */
void
conversation_settle(Conversation *conversation, bool for_request)
{
	List	   *kept = NIL;
	ListCell   *cell;

	conversation->for_request = for_request;
	pair_results(conversation);
	if (for_request)
	{
		pair_built_ins(conversation);
		foreach(cell, conversation->utterances)
		{
			if (keep_acceptable(conversation, lfirst(cell)))
				kept = lappend(kept, lfirst(cell));
		}
		conversation->utterances = kept;
	}
	give_ids(conversation);
}
