/*
 * export_spans.c
 *		A run as spans of OpenTelemetry, in OTLP's JSON.
 *
 * The attributes are those of the conventions for generative AI: a span a task, the
 * oldest first, in one trace.  A span has the messages of its turn: as its input what
 * has come since the answer before it, as its output its own answer.  The last one has
 * the whole conversation, as a model is sent it, and so tells it to who reads one span
 * alone; a run without tasks is one span.  Spans hold no ids and times of messages.
 *
 * What was read from a cache is a part of the input, as the conventions have it.  What
 * they have no attribute for is in attributes of our own, so that airun_import() makes
 * the same task of a span: its usage as it was stated, or else in buckets, its status,
 * and what else it is charged by.
 *
 * Nothing is locked and nothing refused, but a text beyond 1 GB (54000).
 */
#include "export/export_spans.h"

#include "catalog/pg_type.h"
#include "json/json_text.h"
#include "json/jsonb_util.h"
#include "miscadmin.h"
#include "store/plans.h"
#include "utils/builtins.h"

/* ---------- messages ---------- */

/* What kind of media it is, in the words of the conventions */
static const char *
modality_of(const Part *part)
{
	if (media_is_image(part))
		return "image";
	return media_begins(part, "audio/") ? "audio" :
		media_begins(part, "video/") ? "video" : "document";
}

static bool
is_data_url(const JsonbValue *url)
{
	return url->type == jbvString && url->val.string.len >= 5 &&
		memcmp(url->val.string.val, "data:", 5) == 0;
}

static void
span_media(StringInfo out, const Part *part)
{
	bool		has_data = part->data.type == jbvString;
	bool		has_url = part->url.type == jbvString && !is_data_url(&part->url);

	if (!has_data && !has_url && part->file_id.type != jbvString)
		return;
	json_next(out);
	appendStringInfo(out, "{\"type\":\"%s\"", has_data ? "blob" : has_url ? "uri" : "file");
	json_field(out, "modality", modality_of(part));
	json_present(out, "mime_type", &part->mime);
	json_present(out, has_data ? "content" : has_url ? "uri" : "file_id",
				 has_data ? &part->data : has_url ? &part->url : &part->file_id);
	json_present(out, "filename", &part->filename);
	appendStringInfoChar(out, '}');
}

static void
span_result(StringInfo out, const Part *result)
{
	json_next(out);
	appendStringInfoString(out, "{\"role\":\"tool\",\"parts\":[{\"type\":\"tool_call_response\"");
	json_present(out, "id", &result->id);
	json_key(out, "response");
	if (is_present(&result->value))
		json_value(out, &result->value);
	else
		json_result_text(out, result);
	if (result->is_error)
		appendStringInfoString(out, ",\"is_error\":true");
	appendStringInfoString(out, "}]}");
}

static void
span_part(StringInfo out, const Part *part)
{
	switch (part->kind)
	{
		case PART_TEXT:
		case PART_REASONING:
			json_next(out);
			appendStringInfo(out, "{\"type\":\"%s\"",
							 part->kind == PART_TEXT ? "text" : "reasoning");
			json_key(out, "content");
			json_text_of(out, &part->text);
			appendStringInfoChar(out, '}');
			break;
		case PART_CALL:
			json_next(out);
			appendStringInfoString(out, "{\"type\":\"tool_call\"");
			json_present(out, "id", &part->id);
			json_key(out, "name");
			json_text_of(out, &part->name);
			json_key(out, "arguments");
			json_object_of(out, &part->value, "input");
			appendStringInfoChar(out, '}');
			break;
		case PART_MEDIA:
			span_media(out, part);
			break;
		case PART_OTHER:
			json_next(out);
			json_value(out, &part->raw);
			break;
		case PART_RESULT:
			break;				/* a message of its own */
	}
}

/* An utterance as a message; as an answer it says how it has ended */
static void
span_message(StringInfo out, const Utterance *utterance, const char *finish_reason)
{
	static const char *const roles[] = {
		"system", "developer", "user", "assistant", "tool", "data"
	};
	ListCell   *cell;

	if (utterance->speaker == SPEAKER_TOOL)
		return;
	json_next(out);
	appendStringInfo(out, "{\"role\":\"%s\"", roles[utterance->speaker]);
	json_present(out, "name", &utterance->name);
	appendStringInfoString(out, ",\"parts\":[");
	foreach(cell, utterance->parts)
	{
		span_part(out, lfirst(cell));
	}
	appendStringInfoChar(out, ']');
	if (finish_reason != NULL)
		json_field(out, "finish_reason",
				   utterance_has(utterance, PART_CALL) ? "tool_call" : finish_reason);
	appendStringInfoChar(out, '}');
}

/* The results of its calls, or those that it is, as one message each */
static void
span_results(StringInfo out, const Utterance *utterance)
{
	ListCell   *cell;

	foreach(cell, utterance->parts)
	{
		Part	   *part = lfirst(cell);

		if (part->kind == PART_RESULT)
			span_result(out, part);
		else if (part->kind == PART_CALL && part->result != NULL)
			span_result(out, part->result);
	}
}

/* What has come with one task */
typedef struct Turn
{
	int64		after;			/* the answer before it, whose results have come since */
	int64		answer;			/* 0 for none */
	const char *finish_reason;
} Turn;

/* The place of the first utterance that stands at this seq or behind it */
static int
first_from(const List *utterances, int64 seq)
{
	int			low = 0;
	int			high = list_length(utterances);

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (((Utterance *) list_nth(utterances, middle))->seq < seq)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void
span_input(StringInfo out, const Conversation *conversation, const Turn *turn)
{
	List	   *utterances = conversation->utterances;

	for (int i = first_from(utterances, turn->after); i < list_length(utterances); i++)
	{
		Utterance  *utterance = list_nth(utterances, i);

		CHECK_FOR_INTERRUPTS();
		if (utterance->seq >= turn->answer)
			break;
		if (utterance->seq > turn->after)
			span_message(out, utterance, NULL);
		span_results(out, utterance);
	}
}

static void
span_output(StringInfo out, const Conversation *conversation, const Turn *turn)
{
	List	   *utterances = conversation->utterances;

	for (int i = first_from(utterances, turn->answer); i < list_length(utterances); i++)
	{
		Utterance  *utterance = list_nth(utterances, i);

		if (utterance->seq != turn->answer)
			break;
		span_message(out, utterance, turn->finish_reason);
	}
}

/* Does an answer without results end the conversation? */
static Utterance *
last_answer(const Conversation *conversation)
{
	Utterance  *last = conversation->utterances == NIL ? NULL : llast(conversation->utterances);
	ListCell   *cell;

	if (last == NULL || last->speaker != SPEAKER_ASSISTANT)
		return NULL;
	foreach(cell, last->parts)
	{
		if (((Part *) lfirst(cell))->result != NULL)
			return NULL;
	}
	return last;
}

/* ---------- attributes ---------- */

/* An attribute, whose value is JSON already */
static void
attribute(StringInfo out, const char *key, const char *kind, const char *value)
{
	json_next(out);
	appendStringInfo(out, "{\"key\":\"%s\",\"value\":{\"%s\":%s}}", key, kind, value);
}

static void
attribute_string(StringInfo out, const char *key, const char *string)
{
	StringInfoData value;

	initStringInfo(&value);
	json_string(&value, string);
	attribute(out, key, "stringValue", value.data);
	pfree(value.data);
}

/* A list of messages or parts as text, which is how spans hold structure; not if empty */
static void
attribute_list(StringInfo out, const char *key, const StringInfo elements)
{
	if (elements->len > 0)
		attribute_string(out, key, psprintf("[%s]", elements->data));
	pfree(elements->data);
}

static void
turn_attributes(StringInfo out, const Conversation *conversation, const Turn *turn)
{
	StringInfoData list;

	if (turn->answer == 0)
		return;
	initStringInfo(&list);
	span_input(&list, conversation, turn);
	attribute_list(out, "gen_ai.input.messages", &list);
	initStringInfo(&list);
	span_output(&list, conversation, turn);
	attribute_list(out, "gen_ai.output.messages", &list);
}

/* All messages: what the system says first apart, and the answer that ends them */
static void
whole_attributes(StringInfo out, const Conversation *conversation, const char *finish_reason)
{
	Utterance  *answer = last_answer(conversation);
	Utterance  *first = conversation->utterances == NIL ? NULL :
		linitial(conversation->utterances);
	StringInfoData list;
	ListCell   *cell;

	initStringInfo(&list);
	if (first != NULL && first->speaker != SPEAKER_SYSTEM)
		first = NULL;
	foreach(cell, first != NULL ? first->parts : NIL)
	{
		span_part(&list, lfirst(cell));
	}
	attribute_list(out, "gen_ai.system_instructions", &list);
	initStringInfo(&list);
	foreach(cell, conversation->utterances)
	{
		CHECK_FOR_INTERRUPTS();
		if (lfirst(cell) == first || lfirst(cell) == answer)
			continue;
		span_message(&list, lfirst(cell), NULL);
		span_results(&list, lfirst(cell));
	}
	attribute_list(out, "gen_ai.input.messages", &list);
	initStringInfo(&list);
	if (answer != NULL)
		span_message(&list, answer, finish_reason);
	attribute_list(out, "gen_ai.output.messages", &list);
}

/* ---------- spans ---------- */

#define BUCKET(name)	"(t.usage_buckets OPERATOR(pg_catalog.->>) '" name "')::pg_catalog.numeric"
#define CACHE_WRITE \
	"(COALESCE(" BUCKET("cache_write_5m") ", 0)" PLUS "COALESCE(" BUCKET("cache_write_1h") ", 0))"

/* Its usage, with what it says of how it was served where that stood in the answer */
#define USAGE_OR_BUCKETS	"COALESCE(t.usage, t.usage_buckets)"
#define OWN_USAGE \
	"CASE WHEN pg_catalog.jsonb_typeof(" USAGE_OR_BUCKETS ")" EQ "'object' " \
	"THEN pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(" \
	"'inference_geo', t.region, 'speed', t.speed)) OPERATOR(pg_catalog.||) " USAGE_OR_BUCKETS \
	" ELSE t.usage END"

/* The total, where it is another than both sides are together */
#define OTHER_TOTAL \
	"CASE WHEN t.tokens_total" NE "(COALESCE(t.tokens_input, 0)" PLUS \
	"COALESCE(t.tokens_output, 0)) THEN t.tokens_total END"

/* How long it took, in milliseconds, where it is another time than from begin to end */
#define OTHER_TIME \
	"CASE WHEN t.total_time" NE "COALESCE(pg_catalog.extract('epoch', " \
	"t.completed_at" MINUS "t.created_at) OPERATOR(pg_catalog.*) 1000, -1) " \
	"THEN t.total_time END"

/* Where columns of a task t stand among the attributes */
#define TASK_ATTRIBUTES(A) \
	A("gen_ai.operation.name", "stringValue", "COALESCE(t.task_name, 'chat')") \
	A("gen_ai.provider.name", "stringValue", "t.provider") \
	A("gen_ai.request.model", "stringValue", "t.model_id") \
	A("gen_ai.response.model", "stringValue", "t.served_model") \
	A("openai.response.service_tier", "stringValue", "t.service_tier") \
	A("gen_ai.response.finish_reasons", "arrayValue", "t.finish_reason") \
	A("gen_ai.response.time_to_first_chunk", "doubleValue", \
	  "(t.time_to_first_token OPERATOR(pg_catalog./) 1000)::pg_catalog.float8") \
	A("gen_ai.usage.input_tokens", "intValue", "t.tokens_input") \
	A("gen_ai.usage.output_tokens", "intValue", "t.tokens_output") \
	A("gen_ai.usage.total_tokens", "intValue", OTHER_TOTAL) \
	A("gen_ai.usage.cache_read.input_tokens", "intValue", BUCKET("cache_read")) \
	A("gen_ai.usage.cache_creation.input_tokens", "intValue", \
	  "CASE WHEN " CACHE_WRITE NE "0 THEN " CACHE_WRITE " END") \
	A("gen_ai.usage.reasoning.output_tokens", "intValue", BUCKET("reasoning")) \
	A("gen_ai.usage.cost", "doubleValue", "t.cost") \
	A("error.type", "stringValue", "CASE WHEN t.status" EQ "'error' THEN " \
	  "COALESCE(t.error OPERATOR(pg_catalog.->>) 'code', " \
	  "t.error OPERATOR(pg_catalog.->>) 'type', '_OTHER') END") \
	A("airun.status", "stringValue", "t.status") \
	A("airun.usage", "stringValue", OWN_USAGE) \
	A("airun.provider_cost", "doubleValue", "t.provider_cost") \
	A("airun.billed", "boolValue", "t.billed") \
	A("airun.endpoint", "stringValue", "t.endpoint") \
	A("airun.service", "stringValue", "t.service") \
	A("airun.total_time", "doubleValue", OTHER_TIME)

#define ATTRIBUTE_NAME(name, kind, value)	{name, kind},
#define ATTRIBUTE_SQL(name, kind, value)	", (" value ")::pg_catalog.text"

static const struct
{
	const char *name;
	const char *kind;
}			task_attributes[] = {
	TASK_ATTRIBUTES(ATTRIBUTE_NAME)
};

/* The columns before those of the attributes */
enum
{
	SPAN_TASK = 1, SPAN_BEGIN, SPAN_END, SPAN_AFTER, SPAN_ANSWER, SPAN_IS_ERROR, SPAN_MESSAGE,
	SPAN_MODEL, SPAN_FINISH_REASON, SPAN_ATTRIBUTES
};

static Datum
span_column(uint64 row, int column, Datum otherwise)
{
	bool		isnull;
	Datum		value = result_value(row, column, &isnull);

	return isnull ? otherwise : value;
}

/* The last 8 bytes of an id, which is what is random in it */
static void
append_span_id(StringInfo out, const pg_uuid_t *id)
{
	for (int i = UUID_LEN - 8; i < UUID_LEN; i++)
		appendStringInfo(out, "%02x", id->data[i]);
}

/* When it was, in nanoseconds since 1970 */
static void
append_time(StringInfo out, const char *key, TimestampTz time)
{
	int64		seconds = (int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY;

	json_key(out, key);
	appendStringInfo(out, "\"" INT64_FORMAT "000\"", Max(time + seconds * USECS_PER_SEC, 0));
}

/* Begin a span, up to its attributes, of which the conversation's id is the first */
static void
span_begin(StringInfo out, const pg_uuid_t *run_id, const pg_uuid_t *span_id, const char *name,
		   TimestampTz begin, TimestampTz end)
{
	json_next(out);
	appendStringInfoString(out, "{\"traceId\":\"");
	for (int i = 0; i < UUID_LEN; i++)
		appendStringInfo(out, "%02x", run_id->data[i]);
	appendStringInfoString(out, "\",\"spanId\":\"");
	append_span_id(out, span_id);
	appendStringInfoChar(out, '"');
	json_field(out, "name", name);
	appendStringInfoString(out, ",\"kind\":3");
	append_time(out, "startTimeUnixNano", begin);
	append_time(out, "endTimeUnixNano", end);
	json_key(out, "attributes");
	appendStringInfoChar(out, '[');
	attribute_string(out, "gen_ai.conversation.id",
					 DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(run_id))));
}

/* What the columns of a task say */
static void
columns_as_attributes(StringInfo out, uint64 row)
{
	for (int i = 0; i < lengthof(task_attributes); i++)
	{
		Datum		column = span_column(row, SPAN_ATTRIBUTES + i, (Datum) 0);
		const char *kind = task_attributes[i].kind;
		StringInfoData value;

		if (column == (Datum) 0)
			continue;
		initStringInfo(&value);
		if (strcmp(kind, "doubleValue") == 0 || strcmp(kind, "boolValue") == 0)
			appendStringInfoString(&value, TextDatumGetCString(column));
		else
			json_string(&value, TextDatumGetCString(column));
		attribute(out, task_attributes[i].name, kind,
				  strcmp(kind, "arrayValue") != 0 ? value.data :
				  psprintf("{\"values\":[{\"stringValue\":%s}]}", value.data));
	}
}

static void
task_span(StringInfo out, const pg_uuid_t *run_id, uint64 row, const Conversation *conversation,
		  bool is_last)
{
	TimestampTz begin = DatumGetTimestampTz(span_column(row, SPAN_BEGIN, 0));
	Datum		operation = span_column(row, SPAN_ATTRIBUTES, 0);
	Datum		model = span_column(row, SPAN_MODEL, 0);
	Datum		finish_reason = span_column(row, SPAN_FINISH_REASON, 0);
	Datum		message = span_column(row, SPAN_MESSAGE, 0);
	Turn		turn = {
		.after = DatumGetInt64(span_column(row, SPAN_AFTER, 0)),
		.answer = DatumGetInt64(span_column(row, SPAN_ANSWER, 0)),
		.finish_reason = finish_reason != 0 ? TextDatumGetCString(finish_reason) : "stop"
	};

	span_begin(out, run_id, DatumGetUUIDP(span_column(row, SPAN_TASK, 0)),
			   psprintf("%s%s%s", TextDatumGetCString(operation), model != 0 ? " " : "",
						model != 0 ? TextDatumGetCString(model) : ""),
			   begin, DatumGetTimestampTz(span_column(row, SPAN_END, TimestampTzGetDatum(begin))));
	columns_as_attributes(out, row);
	if (is_last)
		whole_attributes(out, conversation, turn.finish_reason);
	else
		turn_attributes(out, conversation, &turn);
	appendStringInfoString(out, "],\"status\":{");
	if (DatumGetBool(span_column(row, SPAN_IS_ERROR, 0)))
	{
		appendStringInfoString(out, "\"code\":2");
		if (message != 0)
			json_field(out, "message", TextDatumGetCString(message));
	}
	appendStringInfoString(out, "}}");
}

/* Append the run's tasks, or else the run, with its messages */
void
spans_write(StringInfo out, const pg_uuid_t *run_id, TimestampTz begin, TimestampTz end,
			const Conversation *conversation)
{
	static Statement read = {
		"SELECT t.task_id, t.created_at, t.completed_at, "
		"pg_catalog.max(t.answer_seq) OVER (ORDER BY t.answer_seq "
		"ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), "
		"t.answer_seq, t.status" EQ "'error', CASE WHEN pg_catalog.jsonb_typeof(t.error)" EQ
		"'string' THEN t.error OPERATOR(pg_catalog.#>>) '{}' "
		"ELSE t.error OPERATOR(pg_catalog.->>) 'message' END, t.model_id, t.finish_reason"
		TASK_ATTRIBUTES(ATTRIBUTE_SQL)
		" FROM airun.tasks AS t WHERE t.run_id" EQ "$1 ORDER BY t.created_at, t.task_id",
		1, {UUIDOID}
	};
	Args		args = {0};
	uint64		count;

	appendStringInfoString(out, "{\"resourceSpans\":[{\"resource\":{\"attributes\":[");
	attribute_string(out, "service.name", "airun");
	appendStringInfoString(out, "]},\"scopeSpans\":[{\"scope\":{\"name\":\"airun\"},\"spans\":[");
	arg_uuid(&args, run_id);
	count = statement_read(&read, &args, 0);
	for (uint64 i = 0; i < count; i++)
		task_span(out, run_id, i, conversation, i == count - 1);
	if (count == 0)
	{
		span_begin(out, run_id, run_id, "chat", begin, end);
		attribute_string(out, "gen_ai.operation.name", "chat");
		whole_attributes(out, conversation, "stop");
		appendStringInfoString(out, "],\"status\":{}}");
	}
	appendStringInfoString(out, "]}]}]}");
}
