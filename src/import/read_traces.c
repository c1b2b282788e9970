/*
 * read_traces.c
 *		Spans of OpenTelemetry and OpenInference.
 *
 * These tell of requests to models, and so give tasks with their usage beside
 * messages.  The spans of one conversation repeat its history: the last one that
 * holds messages is what is read.
 *
 * Each span that is a request to a model is a task.  That is one with a usage or a
 * model, unless it says to be something else, or spans below it, which is told by
 * their parents, have the usage: what agents, chains and workflows tell is the sum of
 * their requests.  Where no span below has one, theirs is what was paid, and is
 * charged.  Requests whose parents are not there, or that have no ids, count as parts
 * of an agent in their trace that began before and ended after all of them.  Of a request
 * that two libraries have traced, one within the other, the inner span counts; a span that
 * was sent twice is one, as it was when it ended last.
 *
 * Its task keeps the ids and the name of a span, and its short attributes.  What spans
 * repeat, their messages and all that instrumentation puts beside them, is kept once, as
 * messages of the run.
 *
 * PT422 for spans without messages; nothing is locked.
 */
#include "import/import.h"

#include "miscadmin.h"
#include "store/identity.h"

/* ---------- attributes ---------- */

/* Where attributes say what the columns of a task are */
static const struct
{
	const char *attribute;
	const char *column;
}			attribute_columns[] = {
	{"gen_ai.request.model", "model_id"}, {"llm.request.model_name", "model_id"},
	{"llm.model_name", "model_id"}, {"gen_ai.response.model", "served_model"},
	{"llm.response.model_name", "served_model"}, {"gen_ai.provider.name", "provider"},
	{"gen_ai.system", "provider"}, {"llm.provider", "provider"},
	{"gen_ai.operation.name", "task_name"}, {"openai.response.service_tier", "service_tier"},
	{"llm.finish_reason", "finish_reason"}, {"gen_ai.usage.cost", "cost"},
	{"llm.cost.total", "cost"}, {"airun.provider_cost", "provider_cost"},
	{"airun.billed", "billed"}, {"airun.endpoint", "endpoint"}, {"airun.service", "service"},
	{"airun.total_time", "total_time"}
};

/* Where our own spans say what was counted, by the client or by their usage */
static const struct
{
	const char *attribute;
	const char *column;
}			token_columns[] = {
	{"gen_ai.usage.input_tokens", "tokens_input"},
	{"gen_ai.usage.output_tokens", "tokens_output"},
	{"gen_ai.usage.total_tokens", "tokens_total"}
};

/* The usage of a span: all that counts tokens, with whole numbers as numbers */
static JsonbValue *
span_usage(JsonbValue *attributes)
{
	List	   *usage = NIL;
	ListCell   *cell;

	foreach(cell, json_pairs(attributes))
	{
		JsonPair   *pair = lfirst(cell);

		if (strncmp(pair->key, "gen_ai.usage.", 13) == 0 ||
			strncmp(pair->key, "llm.token_count.", 16) == 0)
			usage = lappend(usage, pair);
	}
	return usage != NIL ? json_from_pairs(usage) : NULL;
}

/* ---------- requests among spans ---------- */

/* What a span is, as it says itself */
typedef enum SpanKind
{
	SPAN_UNTOLD,
	SPAN_REQUEST,				/* to a model */
	SPAN_OTHER					/* an agent, a tool, a step: its usage is that of its requests */
} SpanKind;

/* By which attribute a span tells, and by which words */
static const struct
{
	const char *attribute;
	const char *requests;
	const char *others;
}			span_kinds[] = {
	{"airun.status", " pending streaming completed error cancelled ", ""},
	{"gen_ai.operation.name",
		" chat generate_content text_completion completion embeddings rerank ",
		" invoke_agent create_agent invoke_workflow execute_tool plan retrieval create_memory "
		"search_memory update_memory upsert_memory delete_memory "},
	{"openinference.span.kind",
		" LLM EMBEDDING RERANKER ",
		" AGENT CHAIN TOOL RETRIEVER GUARDRAIL EVALUATOR PROMPT "},
	{"langfuse.observation.type",
		" generation embedding ",
		" agent tool chain retriever evaluator guardrail span event "},
	{"llm.request.type", " chat completion embedding rerank ", ""},
	{"traceloop.span.kind", "", " workflow task agent tool "}
};

/* A span among those of its conversation */
typedef struct Span
{
	JsonbValue *source;
	JsonbValue *attributes;
	JsonbValue *usage;			/* NULL for none */
	SpanKind	kind;
	const char *trace;
	TimestampTz begin;
	TimestampTz end;
	struct Span *above;			/* the one that it is part of, if that is here */
	int			walk;			/* the way up on which it has been met; 0 for none */
	bool		is_loose;		/* the way up from it is cut off */
	bool		has_paid;		/* below it is a usage */
	bool		is_told_below;	/* the same request has a span of its own below */
} Span;

/* From when to when the loose requests of a trace were */
typedef struct LooseRequests
{
	TimestampTz begin;
	TimestampTz end;
} LooseRequests;

/* Longer strings of a span, in bytes, are not kept, nor more attributes */
#define MAX_SHORT			500
#define MAX_OTHER			100

/* So far is looked for another span of a request, past those without a usage */
#define MAX_STEPS_TO_TWIN	10

static SpanKind
span_kind(JsonbValue *attributes)
{
	for (int i = 0; i < lengthof(span_kinds); i++)
	{
		char	   *word = json_get_string(attributes, span_kinds[i].attribute);
		char	   *wanted;

		if (word == NULL || strchr(word, ' ') != NULL)
			continue;
		wanted = psprintf(" %s ", word);
		if (strstr(span_kinds[i].requests, wanted) != NULL)
			return SPAN_REQUEST;
		if (strstr(span_kinds[i].others, wanted) != NULL)
			return SPAN_OTHER;
	}
	return SPAN_UNTOLD;
}

/* Is it a request of which two spans tell?  Their tokens are the same, then. */
static bool
same_tokens(const Span *a, const Span *b)
{
	static const char *const sides[2][5] = {
		{"gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt"},
		{"gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens",
			"llm.token_count.completion"}
	};

	for (int i = 0; i < lengthof(sides); i++)
	{
		double		of_a = -1;
		double		of_b = -1;

		(void) json_number(json_get_any(a->usage, sides[i]), &of_a);
		(void) json_number(json_get_any(b->usage, sides[i]), &of_b);
		if (of_a != of_b)
			return false;
	}
	return true;
}

static Span *
span_of(JsonbValue *source)
{
	static const char *const begin_keys[] = {"startTimeUnixNano", "start_time", NULL};
	static const char *const end_keys[] = {"endTimeUnixNano", "end_time", NULL};
	Span	   *span = palloc0_object(Span);
	char	   *trace = json_get_string(source, "traceId");

	span->source = source;
	span->attributes = span_attributes(source);
	span->usage = span_usage(span->attributes);
	span->kind = span_kind(span->attributes);
	span->trace = trace != NULL ? trace : "";
	span->begin = json_get_time(source, begin_keys);
	span->end = json_get_time(source, end_keys);
	return span;
}

static char *
span_word(const Span *span, const char *key)
{
	char	   *id = json_get_string(span->source, key);

	return id != NULL ? psprintf("%s %s", span->trace, id) : NULL;
}

/* Nothing is part of itself: a ring is cut */
static void
cut_rings(List *spans)
{
	ListCell   *cell;

	foreach(cell, spans)
	{
		int			walk = foreach_current_index(cell) + 1;

		for (Span *span = lfirst(cell); span != NULL && span->walk == 0; span = span->above)
		{
			span->walk = walk;
			if (span->above != NULL && span->above->walk == walk)
				span->above = NULL;
		}
	}
}

/* The spans of a list, each once, with what they are part of */
static List *
spans_of(JsonbValue *list)
{
	List	   *spans = NIL;
	HTAB	   *by_id = words_begin();
	ListCell   *cell;

	for (int i = 0; i < json_length(list); i++)
	{
		Span	   *span;
		Span	   *first;
		char	   *id;

		CHECK_FOR_INTERRUPTS();
		if (!json_is_object(json_element(list, i)))
			continue;
		span = span_of(json_element(list, i));
		id = span_word(span, "spanId");
		first = id != NULL ? *words_place(by_id, id) : NULL;
		if (first != NULL)
		{
			/* it has been sent twice, the first time perhaps before it had ended */
			if (span->end > first->end)
				*first = *span;
			continue;
		}
		if (id != NULL)
			*words_place(by_id, id) = span;
		spans = lappend(spans, span);
	}
	foreach(cell, spans)
	{
		Span	   *span = lfirst(cell);
		char	   *parent = span_word(span, "parentSpanId");

		span->above = parent != NULL ? *words_place(by_id, parent) : NULL;
		span->is_loose = span->above == NULL &&
			(parent != NULL || json_get(span->source, "spanId") == NULL);
	}
	cut_rings(spans);
	return spans;
}

/* Does a span above tell of the same request? */
static void
tell_twin(Span *span)
{
	Span	   *above = span->above;

	for (int i = 0; i < MAX_STEPS_TO_TWIN && above != NULL && above->usage == NULL; i++)
		above = above->above;
	if (above != NULL && above->usage != NULL && span->kind != SPAN_OTHER &&
		same_tokens(span, above))
		above->is_told_below = true;
}

/*
 * Tell all that a span with a usage is part of that there is one, and find out whether
 * the way up is cut off.  Who has been told has told those above.
 */
static void
tell_above(Span *span)
{
	Span	   *above;
	bool		is_loose = span->is_loose;

	for (above = span->above; above != NULL; above = above->above)
	{
		is_loose = above->is_loose;
		if (above->has_paid)
			break;
		above->has_paid = true;
	}
	for (Span *each = span; each->above != above; each = each->above)
		each->above->is_loose = is_loose;
	span->is_loose = is_loose;
}

static void
add_loose(HTAB *traces, const Span *span)
{
	void	  **place = words_place(traces, span->trace);
	LooseRequests *loose = *place;

	if (loose == NULL)
	{
		loose = *place = palloc_object(LooseRequests);
		*loose = (LooseRequests) {span->begin, span->end};
	}
	loose->begin = Min(loose->begin, span->begin);
	loose->end = Max(loose->end, span->end);
}

/* Has a span's usage been told by others, which are requests? */
static bool
is_told_by_others(const Span *span, HTAB *traces)
{
	LooseRequests *loose;

	if (span->kind == SPAN_REQUEST)
		return span->is_told_below;
	if (span->has_paid || span->kind == SPAN_UNTOLD)
		return span->has_paid;
	loose = *words_place(traces, span->trace);
	return loose != NULL && span->begin <= loose->begin && span->end >= loose->end;
}

/* ---------- tasks ---------- */

static JsonbValue *
exception_of(JsonbValue *span, const char *key)
{
	JsonbValue *events = json_get(span, "events");

	for (int i = json_length(events) - 1; i >= 0; i--)
	{
		JsonbValue *value = json_get(span_attributes(json_element(events, i)), key);

		if (value != NULL)
			return value;
	}
	return NULL;
}

/* What went wrong, as an object; NULL where nothing did */
static JsonbValue *
span_error(JsonbValue *attributes, JsonbValue *span)
{
	static const char *const failures[] = {"2", "STATUS_CODE_ERROR", "ERROR", "error"};
	JsonbValue *status = json_get(span, "status");
	JsonbValue *code = json_is_object(status) ? json_get(status, "code") : status;
	JsonbValue *message = json_get(status, "message");
	JsonbValue *type = json_get(attributes, "error.type");
	bool		has_failed = type != NULL ||
		json_is(json_get(attributes, "langfuse.observation.level"), "ERROR");
	List	   *error = NIL;

	if (code == NULL)
		code = json_get(span, "status_code");
	for (int i = 0; code != NULL && i < lengthof(failures); i++)
		has_failed |= strcmp(json_as_text(code), failures[i]) == 0;
	if (!has_failed)
		return NULL;
	if (type == NULL)
		type = exception_of(span, "exception.type");
	if (message == NULL)
		message = json_get(span, "status_message");
	if (json_says_nothing(message))
		message = exception_of(span, "exception.message");
	error = json_add_pair(error, "code", type != NULL ? type : json_new_string("error"));
	if (!json_says_nothing(message))
		error = json_add_pair(error, "message", message);
	return json_from_pairs(error);
}

/* Is a span one that says that a model was asked, or what that has used? */
static bool
span_is_task(const Span *span)
{
	bool		has_model = false;

	if (span->usage != NULL || json_get(span->attributes, "airun.status") != NULL)
		return true;
	for (int i = 0; i < lengthof(attribute_columns); i++)
	{
		if (strcmp(attribute_columns[i].column, "model_id") == 0)
			has_model |= json_get(span->attributes, attribute_columns[i].attribute) != NULL;
	}
	return has_model && span->kind != SPAN_OTHER &&
		json_get(span->attributes, "gen_ai.tool.name") == NULL;
}

/* What a span has used.  One of our own has the usage as it was stated, and the counts. */
static List *
add_usage(List *columns, const Span *span)
{
	JsonbValue *attributes = span->attributes;

	if (json_get(attributes, "airun.status") == NULL)
		return json_add_pair(columns, "usage", span->usage);
	for (int i = 0; i < lengthof(token_columns); i++)
		columns = json_add_pair(columns, token_columns[i].column,
								json_get(attributes, token_columns[i].attribute));
	return json_add_pair(columns, "usage", json_in_string(json_get(attributes, "airun.usage")));
}

/* How a span has ended, and how long it took.  One of our own that had not has expired. */
static List *
add_end(List *columns, const Span *span)
{
	JsonbValue *own = json_get(span->attributes, "airun.status");
	JsonbValue *error = span_error(span->attributes, span->source);
	const char *status = error != NULL ? "error" : "completed";
	bool		has_ended = !json_is(own, "pending") && !json_is(own, "streaming");

	if (json_is(own, "cancelled") && error == NULL)
		status = "cancelled";
	if (!has_ended && error == NULL)
	{
		status = "error";
		error = json_from_pairs(json_add_pair(NIL, "code", json_new_string("expired")));
	}
	columns = json_add_pair(columns, "status", json_new_string(status));
	columns = json_add_pair(columns, "error", error);
	if (has_ended && span->begin != NO_TIME && span->end >= span->begin &&
		json_get(span->attributes, "airun.total_time") == NULL)
		columns = json_add_pair(columns, "total_time",
								json_new_number((span->end - span->begin) / 1000.0));
	return columns;
}

/* Has an attribute a place of its own: among messages, in a column, in the usage? */
static bool
has_place(const char *key)
{
	static const char *const prefixes[] = {
		"airun.", "gen_ai.usage.", "llm.token_count.", "gen_ai.conversation.id", "session.id",
		"langfuse.session.id", "gen_ai.response.finish_reasons",
		"gen_ai.response.time_to_first_chunk", "gen_ai.prompt.", "gen_ai.completion."
	};

	for (int i = 0; i < lengthof(attribute_columns); i++)
	{
		if (strcmp(key, attribute_columns[i].attribute) == 0)
			return true;
	}
	for (int i = 0; i < lengthof(prefixes); i++)
	{
		if (strncmp(key, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	}
	return strstr(key, "_messages.") != NULL || strstr(key, ".messages") != NULL;
}

/* The attributes without a place of their own, so many and so short that lists can carry them */
static List *
other_attributes(JsonbValue *attributes)
{
	List	   *kept = NIL;
	ListCell   *cell;

	foreach(cell, json_pairs(attributes))
	{
		JsonPair   *pair = lfirst(cell);
		JsonbValue *value = pair->value;

		if (list_length(kept) < MAX_OTHER && !has_place(pair->key) && value->type != jbvBinary &&
			(value->type != jbvString || value->val.string.len <= MAX_SHORT))
			kept = lappend(kept, pair);
	}
	return kept;
}

/* What a task keeps of its span; NULL for nothing */
static JsonbValue *
span_metadata(const Span *span)
{
	static const char *const keys[] = {"traceId", "spanId", "parentSpanId", "name"};
	List	   *other = other_attributes(span->attributes);
	List	   *kept = NIL;

	for (int i = 0; i < lengthof(keys); i++)
	{
		JsonbValue *value = json_get(span->source, keys[i]);

		if (value != NULL && value->type == jbvString && value->val.string.len <= MAX_SHORT)
			kept = json_add_pair(kept, keys[i], value);
	}
	if (other != NIL)
		kept = json_add_pair(kept, "attributes", json_from_pairs(other));
	return kept == NIL ? NULL : json_from_pairs(json_add_pair(NIL, "span", json_from_pairs(kept)));
}

static void
add_span_task(const Span *span, const char *id, Conversation *conversation)
{
	ImportTask *task = palloc0_object(ImportTask);
	JsonbValue *attributes = span->attributes;
	JsonbValue *reasons = json_get(attributes, "gen_ai.response.finish_reasons");
	List	   *columns = NIL;
	double		seconds;

	for (int i = lengthof(attribute_columns) - 1; i >= 0; i--)
		columns = json_add_pair(columns, attribute_columns[i].column,
								json_get(attributes, attribute_columns[i].attribute));
	if (json_length(reasons) > 0)
		columns = json_add_pair(columns, "finish_reason", json_element(reasons, 0));
	if (json_number(json_get(attributes, "gen_ai.response.time_to_first_chunk"), &seconds))
		columns = json_add_pair(columns, "time_to_first_token", json_new_number(seconds * 1000));
	columns = add_usage(columns, span);
	columns = add_end(columns, span);
	columns = json_add_pair(columns, "metadata", span_metadata(span));
	task->id = id;
	task->columns = json_from_pairs(columns);
	task->created_at = span->begin;
	task->completed_at = span->end;
	task->is_sum = span->kind == SPAN_OTHER;
	conversation->tasks = lappend(conversation->tasks, task);
}

/* The tasks of the spans: each request once, and a usage that no request has told */
static void
add_span_tasks(List *spans, Conversation *conversation)
{
	HTAB	   *traces = words_begin();
	HTAB	   *alike = words_begin();
	ListCell   *cell;

	foreach(cell, spans)
	{
		Span	   *span = lfirst(cell);

		if (span->usage == NULL)
			continue;
		tell_twin(span);
		tell_above(span);
		if (span->is_loose && span->kind == SPAN_REQUEST)
			add_loose(traces, span);
	}
	foreach(cell, spans)
	{
		Span	   *span = lfirst(cell);
		char	   *id = span_word(span, "spanId");

		if (!span_is_task(span))
			continue;
		/* what has none is known by what it says, and by how many alike came before it */
		if (id == NULL)
			id = words_number(alike, json_as_text(span->attributes));
		if (span->usage != NULL && is_told_by_others(span, traces))
			conversation->sums = lappend(conversation->sums, id);
		else
			add_span_task(span, id, conversation);
	}
}

static void
mark_answer(Composer *composer)
{
	if (composer->messages != NIL)
		((OutMessage *) llast(composer->messages))->answers = true;
}

static char *
conversation_id(JsonbValue *attributes)
{
	static const char *const keys[] = {
		"gen_ai.conversation.id", "session.id", "langfuse.session.id", NULL
	};

	return json_string_of(json_get_any(attributes, keys));
}

/* The id of the conversation of a span; NULL for none */
char *
span_conversation_id(JsonbValue *span)
{
	return conversation_id(span_attributes(span));
}

/* All spans of an export of OTLP, or those of one conversation */
void
read_spans(JsonbValue *entry, Conversation *conversation)
{
	List	   *spans = spans_of(json_get(entry, "spans"));
	Span	   *last = NULL;
	ListCell   *cell;

	foreach(cell, spans)
	{
		Span	   *span = lfirst(cell);

		if (conversation->id == NULL)
			conversation->id = conversation_id(span->attributes);
		if (!has_messages(span->attributes))
			continue;
		if (conversation->created_at == NO_TIME ||
			(span->begin != NO_TIME && span->begin < conversation->created_at))
			conversation->created_at = span->begin;
		if (last == NULL || span->begin >= last->begin)
			last = span;
	}
	if (last == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("the spans have no messages"),
				 errdetail("None has gen_ai.input.messages or llm.input_messages."),
				 errhint("Have the instrumentation capture the content of messages.")));
	if (conversation_id(last->attributes) != NULL)
		conversation->id = conversation_id(last->attributes);
	conversation->active_at = last->end;
	conversation->branches = list_make1(compose_attributes(last->attributes));
	add_span_tasks(spans, conversation);
	if (list_length(conversation->tasks) == 1)
		mark_answer(linitial(conversation->branches));
}

/* Attributes of a span alone, or of some of one conversation */
void
read_attributes(JsonbValue *entry, Conversation *conversation)
{
	JsonbValue *attributes = span_attributes(entry);
	Composer   *composer = compose_attributes(attributes);

	if (json_is_array(json_get(entry, "spans")))
	{
		read_spans(entry, conversation);
		return;
	}
	conversation->id = conversation_id(attributes);
	conversation->branches = list_make1(composer);
	add_span_tasks(list_make1(span_of(entry)), conversation);
	if (conversation->tasks == NIL)
		conversation->import = other_attributes(attributes);
	mark_answer(composer);
}
