/*
 * recognise.c
 *		What a document is, and the conversations in it.
 *
 * A document is JSON, an array of JSON or a line of JSON each; its format is found
 * by what is in it.  The tests stand in tables, in the order in which they are
 * tried: each asks for more than one thing where one thing proves little.  What is
 * no conversation stays an entry, with the reason.
 *
 * PT422 for a format that there is none of.  Nothing is locked.
 */
#include "import/import.h"

#include "json/json_text.h"
#include "utils/builtins.h"

static const ImportFormat formats[] = {
	{"otlp", read_spans, NULL},
	{"openinference", read_attributes, NULL},
	{"original", read_original, NULL},
	{"chatgpt", read_chatgpt, NULL},
	{"claude", read_claude, NULL},
	{"openwebui", read_openwebui, NULL},
	{"librechat", read_librechat, NULL},
	{"aistudio", read_aistudio, NULL},
	{"gemini-takeout", read_takeout, NULL},
	{"sharegpt", read_messages, NULL},
	{"gemini", read_messages, NULL},
	{"langchain", read_messages, "session_id"},
	{"mastra", read_messages, "thread_id"},
	{"ai-sdk", read_messages, "chatId"},
	{"openai-responses", read_messages, NULL},
	{"anthropic", read_messages, NULL},
	{"openai", read_messages, NULL},
};

/* What a value must be */
typedef enum TestKind
{
	IS_THERE,
	IS_ARRAY,
	IS_OBJECT,
	IS_STRING,
	IS_WORD,					/* one of these, separated by blanks */
	BEGINS_SO					/* a key of the object begins so */
} TestKind;

/* [] in a path stands for any of the first elements of an array */
typedef struct ValueTest
{
	const char *path;
	TestKind	kind;
	const char *words;
} ValueTest;

typedef struct Recogniser
{
	const char *format;
	ValueTest	tests[3];
} Recogniser;

#define LANGCHAIN_TYPES \
	"human ai system tool function chat generic remove HumanMessageChunk AIMessageChunk"
#define ANTHROPIC_BLOCKS \
	"tool_use tool_result thinking redacted_thinking document server_tool_use image"
#define RESPONSES_ITEMS \
	"input_text output_text input_image input_file"
#define RESPONSES_TYPES \
	"reasoning function_call function_call_output web_search_call computer_call " \
	"file_search_call mcp_call compaction"

/* One object is one conversation */
static const Recogniser objects[] = {
	{"otlp", {{"resourceSpans", IS_ARRAY}}},
	{"otlp", {{"spans", IS_ARRAY}}},
	{"openinference", {{"llm.input_messages.", BEGINS_SO}}},
	{"openinference", {{"gen_ai.input.messages", BEGINS_SO}}},
	{"openinference", {{"llm.output_messages.", BEGINS_SO}}},
	{"openinference", {{"attributes", IS_OBJECT}, {"spanId", IS_STRING}}},
	{"original", {{"ai_runs", IS_ARRAY}}},
	{"original", {{"messages", IS_ARRAY}, {"source_type", IS_STRING}, {"user_id", IS_THERE}}},
	{"chatgpt", {{"mapping", IS_OBJECT}}},
	{"claude", {{"chat_messages", IS_ARRAY}}},
	{"openwebui", {{"chat.history.messages", IS_OBJECT}}},
	{"openwebui", {{"chat.messages", IS_ARRAY}}},
	{"openwebui", {{"history.messages", IS_OBJECT}, {"history.currentId", IS_THERE}}},
	{"librechat", {{"conversationId", IS_STRING}, {"messagesTree", IS_ARRAY}}},
	{"librechat", {{"conversationId", IS_STRING}, {"messages[].messageId", IS_STRING}}},
	{"aistudio", {{"chunkedPrompt.chunks", IS_ARRAY}}},
	{"gemini-takeout", {{"products", IS_ARRAY}, {"title", IS_STRING}, {"time", IS_STRING}}},
	{"sharegpt", {{"conversations[].value", IS_THERE}}},
	{"sharegpt", {{"conversation[].value", IS_THERE}}},
	{"sharegpt", {{"items[].value", IS_THERE}}},
	{"gemini", {{"contents[].parts", IS_ARRAY}}},
	{"openai-responses", {{"object", IS_WORD, "response"}}},
	{"openai-responses", {{"object", IS_WORD, "list conversation"}, {"data[].type", IS_STRING}}},
	{"openai-responses", {{"input[].role", IS_STRING}}},
	{"openai-responses", {{"input[].type", IS_STRING}}},
	{"openai-responses", {{"input", IS_STRING}, {"model", IS_STRING}}},
	{"openai", {{"input.messages", IS_ARRAY}}},
	{"langchain", {{"messages[].lc", IS_THERE}}},
	{"langchain", {{"messages[].type", IS_WORD, LANGCHAIN_TYPES}}},
	{"mastra", {{"thread", IS_OBJECT}, {"messages", IS_ARRAY}}},
	{"ai-sdk", {{"messages[].parts[].type", IS_STRING}}},
	{"ai-sdk", {{"messages[].content[].type", IS_WORD, "tool-call tool-result"}}},
	{"anthropic", {{"messages[].role", IS_STRING}, {"system", IS_THERE}}},
	{"anthropic", {{"messages[].content[].type", IS_WORD, ANTHROPIC_BLOCKS}}},
	{"anthropic", {{"type", IS_WORD, "message"}, {"content", IS_ARRAY},
		{"stop_reason", IS_THERE}}},
	{"openai", {{"messages[].role", IS_STRING}}},
	{"openai", {{"prompt[].role", IS_STRING}, {"completion[].role", IS_STRING}}},
	{"openai", {{"prompt[].role", IS_STRING}, {"chosen[].role", IS_STRING}}},
};

/* A list of such elements is one conversation; [] stands for the list */
static const Recogniser elements[] = {
	{"langchain", {{"[].session_id", IS_THERE}, {"[].message.data", IS_OBJECT}}},
	{"langchain", {{"[].type", IS_WORD, LANGCHAIN_TYPES}, {"[].data.content", IS_THERE}}},
	{"langchain", {{"[].lc", IS_THERE}, {"[].kwargs", IS_OBJECT}}},
	{"langchain", {{"[].type", IS_WORD, LANGCHAIN_TYPES}, {"[].content", IS_THERE}}},
	{"mastra", {{"[].thread_id", IS_THERE}, {"[].content", IS_STRING}}},
	{"ai-sdk", {{"[].parts[].type", IS_STRING}, {"[].role", IS_STRING}}},
	{"ai-sdk", {{"[].content[].type", IS_WORD, "tool-call tool-result"}}},
	{"gemini", {{"[].parts", IS_ARRAY}, {"[].role", IS_STRING}}},
	{"openai-responses", {{"[].content[].type", IS_WORD, RESPONSES_ITEMS}}},
	{"openai-responses", {{"[].type", IS_WORD, RESPONSES_TYPES}}},
	{"anthropic", {{"[].content[].type", IS_WORD, ANTHROPIC_BLOCKS}, {"[].role", IS_STRING}}},
	{"sharegpt", {{"[].from", IS_STRING}, {"[].value", IS_THERE}}},
	{"openai", {{"[].role", IS_STRING}, {"[].content", IS_THERE}}},
};

/* Keys under which a list of conversations stands */
static const char *const wrappers[] = {"conversations", "chats", "data", "items", "history"};

/* So many elements of an array are looked at */
#define LOOKED_AT	20

/* ---------- tests ---------- */

static bool
is_one_of_words(const JsonbValue *value, const char *words)
{
	char	   *word = json_string_of(value);
	char	   *list = psprintf(" %s ", words);

	return word != NULL && strchr(word, ' ') == NULL &&
		strstr(list, psprintf(" %s ", word)) != NULL;
}

static bool
value_is(const JsonbValue *value, const ValueTest *test)
{
	switch (test->kind)
	{
		case IS_THERE:
			return value != NULL;
		case IS_ARRAY:
			return json_is_array(value);
		case IS_OBJECT:
			return json_is_object(value);
		case IS_STRING:
			return value != NULL && value->type == jbvString;
		case IS_WORD:
			return is_one_of_words(value, test->words);
		case BEGINS_SO:
			break;
	}
	return false;
}

/* Is there a value on the path for which the test holds? */
static bool
holds(const JsonbValue *value, const char *path, const ValueTest *test)
{
	size_t		len = strcspn(path, ".[");

	if (value == NULL)
		return false;
	if (len > 0)
		return holds(json_get(value, pnstrdup(path, len)), path + len, test);
	if (path[0] == '.')
		return holds(value, path + 1, test);
	if (path[0] == '\0')
		return value_is(value, test);
	for (int i = 0; i < Min(json_length(value), LOOKED_AT); i++)
	{
		if (holds(json_element(value, i), path + 2, test))
			return true;
	}
	return false;
}

static bool
has_key_so(const JsonbValue *object, const char *beginning)
{
	ListCell   *cell;

	foreach(cell, json_pairs(object))
	{
		if (strncmp(((JsonPair *) lfirst(cell))->key, beginning, strlen(beginning)) == 0)
			return true;
	}
	return false;
}

static bool
fits(const JsonbValue *value, const Recogniser *recogniser)
{
	for (int i = 0; i < lengthof(recogniser->tests) && recogniser->tests[i].path != NULL; i++)
	{
		const ValueTest *test = &recogniser->tests[i];

		if (test->kind == BEGINS_SO ? !has_key_so(value, test->path) :
			!holds(value, test->path, test))
			return false;
	}
	return true;
}

static const ImportFormat *
format_of(const JsonbValue *value, const Recogniser *recognisers, int count)
{
	if (value == NULL)
		return NULL;
	for (int i = 0; i < count; i++)
	{
		if (fits(value, &recognisers[i]))
			return import_format_named(recognisers[i].format);
	}
	return NULL;
}

#define OBJECT_FORMAT(value)	format_of(value, objects, lengthof(objects))
#define ELEMENT_FORMAT(value)	format_of(value, elements, lengthof(elements))

/* The format of this name, or PT422 */
const ImportFormat *
import_format_named(const char *name)
{
	StringInfoData names;

	for (int i = 0; i < lengthof(formats); i++)
	{
		if (strcmp(formats[i].name, name) == 0)
			return &formats[i];
	}
	initStringInfo(&names);
	for (int i = 0; i < lengthof(formats); i++)
		appendStringInfo(&names, "%s%s", i > 0 ? ", " : "", formats[i].name);
	ereport(ERROR,
			(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
			 errmsg("\"%s\" is not a format of conversations", excerpt(name, strlen(name))),
			 errhint("The formats are %s; leave it out to have it found.", names.data)));
}

/* ---------- entries ---------- */

static List *
add_entry(List *entries, int position, const ImportFormat *format, JsonbValue *value,
		  const char *problem)
{
	ImportEntry *entry = palloc0_object(ImportEntry);

	entry->position = position;
	entry->format = format;
	entry->value = value;
	entry->problem = problem;
	return lappend(entries, entry);
}

/* Runs of the original application, each with its tasks; of the same id the first has them */
static List *
original_entries(List *entries, JsonbValue *document)
{
	JsonbValue *runs = json_get(document, "ai_runs");
	JsonbValue *tasks = json_get(document, "ai_tasks");
	HTAB	   *tasks_of = words_begin();

	for (int i = 0; i < json_length(tasks); i++)
	{
		JsonbValue *task = json_element(tasks, i);
		char	   *run_id = json_get_string(task, "run_id");
		List	  **own = run_id == NULL ? NULL : (List **) words_place(tasks_of, run_id);

		if (own != NULL)
			*own = lappend(*own, task);
	}
	for (int i = 0; i < json_length(runs); i++)
	{
		JsonbValue *run = json_element(runs, i);
		char	   *id = json_get_string(run, "id");
		List	  **own = id == NULL ? NULL : (List **) words_place(tasks_of, id);

		if (json_is_object(run))
			run = json_from_pairs(json_add_pair(json_pairs(run), "tasks",
												json_from_elements(own != NULL ? *own : NIL)));
		if (own != NULL)
			*own = NIL;
		entries = add_entry(entries, i, import_format_named("original"), run, NULL);
	}
	return entries;
}

/* The elements that have a value by which they are told apart */
typedef struct RowGroup
{
	List	   *members;
} RowGroup;

static List *
add_to_group(List *groups, HTAB *keys, char *key, JsonbValue *member)
{
	RowGroup  **place = (RowGroup **) words_place(keys, key);

	if (*place == NULL)
	{
		*place = palloc0_object(RowGroup);
		groups = lappend(groups, *place);
	}
	(*place)->members = lappend((*place)->members, member);
	return groups;
}

/* The spans of all that OTLP wraps around them */
static List *
all_spans(JsonbValue *document)
{
	List	   *spans = NIL;
	JsonbValue *resources = json_get(document, "resourceSpans");

	for (int i = 0; i < json_length(resources); i++)
	{
		JsonbValue *scopes = json_get(json_element(resources, i), "scopeSpans");

		for (int j = 0; j < json_length(scopes); j++)
		{
			JsonbValue *list = json_get(json_element(scopes, j), "spans");

			for (int k = 0; k < json_length(list); k++)
			{
				if (json_is_object(json_element(list, k)))
					spans = lappend(spans, json_element(list, k));
			}
		}
	}
	return spans;
}

/* The conversation of a trace, where all of its spans that name one name the same; else "" */
static void
note_trace(HTAB *traces, JsonbValue *span)
{
	char	   *trace = json_get_string(span, "traceId");
	char	   *id = span_conversation_id(span);
	char	  **place = trace == NULL || id == NULL ? NULL : (char **) words_place(traces, trace);

	if (place != NULL)
		*place = *place == NULL || strcmp(*place, id) == 0 ? id : "";
}

/* What tells the conversation of a span: its id, or its trace's, or else the trace */
static char *
span_group(HTAB *traces, JsonbValue *span)
{
	char	   *trace = json_get_string(span, "traceId");
	char	   *id = span_conversation_id(span);

	if (id == NULL && trace != NULL)
		id = *words_place(traces, trace);
	if (id != NULL && id[0] != '\0')
		return id;
	return trace != NULL ? trace : pstrdup("");
}

static List *
span_entries(List *entries, JsonbValue *document)
{
	List	   *groups = NIL;
	List	   *spans = all_spans(document);
	HTAB	   *keys = words_begin();
	HTAB	   *traces = words_begin();
	ListCell   *cell;

	foreach(cell, spans)
	{
		note_trace(traces, lfirst(cell));
	}
	foreach(cell, spans)
	{
		groups = add_to_group(groups, keys, span_group(traces, lfirst(cell)), lfirst(cell));
	}
	if (groups == NIL)
		return add_entry(entries, list_length(entries), NULL, NULL, "the export has no spans");
	foreach(cell, groups)
	{
		JsonbValue *spans = json_from_elements(((RowGroup *) lfirst(cell))->members);

		entries = add_entry(entries, list_length(entries), import_format_named("otlp"),
							json_from_pairs(json_add_pair(NIL, "spans", spans)), NULL);
	}
	return entries;
}

/* Messages, or rows of them: a conversation, or one for each value that groups them */
static List *
row_entries(List *entries, JsonbValue *list, const ImportFormat *format)
{
	List	   *groups = NIL;
	HTAB	   *keys = words_begin();
	ListCell   *cell;

	for (int i = 0; i < json_length(list); i++)
	{
		JsonbValue *row = json_element(list, i);
		JsonbValue *key = format->group_by != NULL ? json_get(row, format->group_by) : NULL;

		groups = add_to_group(groups, keys, json_as_text(key),
							  row != NULL ? row : json_new_bool(false));
	}
	foreach(cell, groups)
	{
		entries = add_entry(entries, list_length(entries), format,
							json_from_elements(((RowGroup *) lfirst(cell))->members), NULL);
	}
	return entries;
}

static List *value_entries(List *entries, int position, JsonbValue *value,
						   const ImportFormat *format);

static List *
array_entries(List *entries, JsonbValue *list, const ImportFormat *format)
{
	const ImportFormat *whole = ELEMENT_FORMAT(list);
	bool		has_conversations = false;

	for (int i = 0; i < Min(json_length(list), LOOKED_AT); i++)
		has_conversations |= OBJECT_FORMAT(json_element(list, i)) != NULL;
	if (!has_conversations && format == NULL && whole != NULL)
		return row_entries(entries, list, whole);
	if (format != NULL && format->read == read_messages && !has_conversations)
		return row_entries(entries, list, format);
	for (int i = 0; i < json_length(list); i++)
		entries = value_entries(entries, i, json_element(list, i), format);
	return entries;
}

/* A list of conversations that stands under a key of this object, or NULL */
static JsonbValue *
wrapped_list(JsonbValue *document)
{
	for (int i = 0; i < lengthof(wrappers); i++)
	{
		JsonbValue *list = json_get(document, wrappers[i]);

		for (int j = 0; j < Min(json_length(list), LOOKED_AT); j++)
		{
			if (OBJECT_FORMAT(json_element(list, j)) != NULL)
				return list;
		}
	}
	return NULL;
}

/* The first keys of an object, for messages */
static char *
some_keys(JsonbValue *object)
{
	List	   *pairs = json_pairs(object);
	StringInfoData out;

	initStringInfo(&out);
	for (int i = 0; i < Min(list_length(pairs), 5); i++)
	{
		const char *key = ((JsonPair *) list_nth(pairs, i))->key;

		appendStringInfo(&out, "%s\"%s\"", i == 0 ? " with the keys " : ", ",
						 excerpt(key, strlen(key)));
	}
	return out.data;
}

/* One value of a document: a conversation, or no conversation */
static List *
value_entries(List *entries, int position, JsonbValue *value, const ImportFormat *format)
{
	const ImportFormat *found = format;

	if (found == NULL && json_is_object(value))
		found = OBJECT_FORMAT(value);
	if (found == NULL && json_is_array(value))
		found = ELEMENT_FORMAT(value);
	if (found == NULL && json_is_object(value) && json_is_array(json_get(value, "conversations")))
		found = import_format_named("sharegpt");
	if (found == NULL)
		return add_entry(entries, position, NULL, value,
						 psprintf("no format of conversations is recognised in %s%s",
								  json_type_name(value), some_keys(value)));
	if (found->read == read_original && json_is_array(json_get(value, "ai_runs")))
		return original_entries(entries, value);
	if (found->read == read_spans && json_is_array(json_get(value, "resourceSpans")))
		return span_entries(entries, value);
	return add_entry(entries, position, found, value, NULL);
}

/* ---------- documents ---------- */

static const char *
parse_problem(ErrorData *refusal)
{
	return psprintf("not valid JSON: %s", refusal->detail != NULL ? refusal->detail :
					refusal->message);
}

/* The end of the line that begins here, behind its last character */
static const char *
line_end(const char *line, const char *end)
{
	const char *newline = memchr(line, '\n', end - line);

	return newline != NULL ? newline : end;
}

static bool
is_blank(const char *from, const char *to)
{
	while (from < to && strchr(" \t\r\n", *from) != NULL)
		from++;
	return from == to;
}

/* Is the document a value in its first line and more below it? */
static bool
is_lines(const char *start, const char *end)
{
	ErrorData  *refusal = NULL;
	const char *line = start;
	const char *stop = line_end(line, end);

	while (stop < end && is_blank(line, stop))
	{
		line = stop + 1;
		stop = line_end(line, end);
	}
	if (stop == end || is_blank(stop, end) || (*line != '{' && *line != '['))
		return false;
	return json_try_parse(line, stop - line, &refusal) != NULL;
}

/* The lines that are values, as entries; those that are not, with the reason */
static List *
line_entries(const char *start, const char *end, const ImportFormat *format)
{
	List	   *entries = NIL;
	List	   *values = NIL;
	int			position = 0;
	bool		is_known = format != NULL;
	JsonbValue *all;

	for (const char *line = start; line < end;)
	{
		const char *stop = line_end(line, end);

		if (!is_blank(line, stop))
		{
			ErrorData  *refusal = NULL;
			Jsonb	   *document = json_try_parse(line, stop - line, &refusal);

			if (document == NULL)
				entries = add_entry(entries, position, NULL, NULL, parse_problem(refusal));
			else
			{
				JsonbValue *value = json_root(document);

				values = lappend(values, value != NULL ? value : json_new_bool(false));
				if (list_length(values) <= LOOKED_AT && !is_known)
					is_known = OBJECT_FORMAT(value) != NULL || ELEMENT_FORMAT(value) != NULL;
				entries = value_entries(entries, position, value, format);
			}
			position++;
		}
		line = stop + 1;
	}
	if (is_known || values == NIL)
		return entries;
	/* a message in each line */
	all = json_from_elements(values);
	return ELEMENT_FORMAT(all) != NULL ? row_entries(NIL, all, ELEMENT_FORMAT(all)) : entries;
}

/* Spans alone, of which those of one conversation are one entry, at the place of the first */
static List *
join_spans(List *entries)
{
	HTAB	   *spans_of = words_begin();
	List	   *joined = NIL;
	ListCell   *cell;

	foreach(cell, entries)
	{
		ImportEntry *entry = lfirst(cell);
		bool		is_span = entry->format != NULL && entry->format->read == read_attributes;
		char	   *id = is_span ? span_conversation_id(entry->value) : NULL;
		List	  **place = id == NULL ? NULL : (List **) words_place(spans_of, id);

		if (place == NULL || *place == NIL)
			joined = lappend(joined, entry);
		if (place != NULL)
			*place = lappend(*place, entry->value);
	}
	foreach(cell, joined)
	{
		ImportEntry *entry = lfirst(cell);
		bool		is_span = entry->format != NULL && entry->format->read == read_attributes;
		char	   *id = is_span ? span_conversation_id(entry->value) : NULL;
		List	   *spans = id == NULL ? NIL : *words_place(spans_of, id);

		if (list_length(spans) > 1)
			entry->value = json_from_pairs(json_add_pair(NIL, "spans",
														 json_from_elements(spans)));
	}
	return joined;
}

/* All entries of a document; format: what they are, or NULL to find that out */
List *
import_entries(text *document, const ImportFormat *format)
{
	const char *start = VARDATA_ANY(document);
	const char *end = start + VARSIZE_ANY_EXHDR(document);
	ErrorData  *refusal = NULL;
	Jsonb	   *whole;
	JsonbValue *value;

	if (end - start >= 3 && memcmp(start, "\xEF\xBB\xBF", 3) == 0)
		start += 3;
	if (is_blank(start, end))
		return add_entry(NIL, 0, NULL, NULL, "the document is empty");
	if (is_lines(start, end))
		return join_spans(line_entries(start, end, format));
	whole = json_try_parse(start, end - start, &refusal);
	if (whole == NULL)
		return add_entry(NIL, 0, NULL, NULL, parse_problem(refusal));
	value = json_root(whole);
	if (json_is_object(value) && wrapped_list(value) != NULL)
		value = wrapped_list(value);
	if (json_is_array(value))
	{
		if (json_length(value) == 0)
			return add_entry(NIL, 0, NULL, NULL, "the document is an empty list");
		return join_spans(array_entries(NIL, value, format));
	}
	return value_entries(NIL, 0, value, format);
}
