/*
 * span_attributes.c
 *		The attributes of a span, and the messages in them.
 *
 * Attributes come as objects, or as OTLP's lists of keys and typed values.  Messages
 * are in one of them as JSON, as OpenTelemetry has it, or in one for each of their
 * fields, as OpenInference has it: these are put together again, in the order of
 * their numbers.
 *
 * PT422 for messages that are no list.  Nothing is locked.
 */
#include "import/import.h"

#include "miscadmin.h"

/* Put the value of an attribute of OTLP, under a key or as an element, where it has one */
static void
put_otlp_value(JsonbBuilder *builder, const char *key, JsonbValue *value)
{
	static const char *const kinds[] = {
		"stringValue", "intValue", "doubleValue", "boolValue", NULL
	};
	JsonbValue *plain = json_get_any(value, kinds);
	JsonbValue *values = json_get_path(value, "arrayValue.values");
	JsonbValue *pairs = json_get_path(value, "kvlistValue.values");

	check_stack_depth();
	if (plain == NULL && !json_is_array(values) && json_length(pairs) == 0)
		return;
	if (key != NULL)
		jsonb_put_key(builder, key);
	if (plain != NULL)
	{
		push_jsonb(builder, key != NULL ? WJB_VALUE : WJB_ELEM, plain);
		return;
	}
	if (json_is_array(values))
		jsonb_begin_array(builder);
	else
		jsonb_begin_object(builder);
	for (int i = 0; i < json_length(values); i++)
		put_otlp_value(builder, NULL, json_element(values, i));
	for (int i = 0; !json_is_array(values) && i < json_length(pairs); i++)
	{
		JsonbValue *pair = json_element(pairs, i);
		char	   *name = json_get_string(pair, "key");

		if (name != NULL)
			put_otlp_value(builder, name, json_get(pair, "value"));
	}
	jsonb_close(builder, json_is_array(values));
}

/* The value of an attribute of OTLP; NULL for none */
static JsonbValue *
otlp_value(JsonbValue *value)
{
	JsonbBuilder builder = {0};

	/* an array of one: a value alone is not what a builder makes */
	jsonb_begin_array(&builder);
	put_otlp_value(&builder, NULL, value);
	jsonb_close(&builder, true);
	value = json_root(jsonb_finish(&builder));
	return json_length(value) > 0 ? json_element(value, 0) : NULL;
}

/* The attributes of a span as one object; what has none is attributes alone */
JsonbValue *
span_attributes(JsonbValue *span)
{
	JsonbValue *attributes = json_get(span, "attributes");
	List	   *pairs = NIL;

	if (attributes == NULL)
		return span;
	if (json_is_object(attributes))
		return attributes;
	for (int i = 0; i < json_length(attributes); i++)
	{
		JsonbValue *attribute = json_element(attributes, i);
		char	   *key = json_get_string(attribute, "key");

		if (key != NULL)
			pairs = json_add_pair(pairs, key, otlp_value(json_get(attribute, "value")));
	}
	return json_from_pairs(pairs);
}

/* A pair of an element of a list that OpenInference has flattened */
typedef struct FlatPair
{
	int			number;			/* of the element */
	int			place;			/* among all pairs */
	const char *key;			/* within the element */
	JsonbValue *value;
} FlatPair;

/* So many digits may the number of an element have */
#define MAX_NUMBER_DIGITS	9

/* What a key has behind its prefix, a number and ".", and what follows; NULL for another key */
static const char *
key_in_element(const char *key, const char *prefix, const char *inner, int *number)
{
	int			digits;

	if (strncmp(key, prefix, strlen(prefix)) != 0)
		return NULL;
	key += strlen(prefix);
	digits = strspn(key, "0123456789");
	if (digits == 0 || digits > MAX_NUMBER_DIGITS || key[digits] != '.' ||
		strncmp(key + digits + 1, inner, strlen(inner)) != 0)
		return NULL;
	*number = atoi(key);
	return key + digits + 1 + strlen(inner);
}

static int
compare_flat_pairs(const void *a, const void *b)
{
	const FlatPair *left = a;
	const FlatPair *right = b;

	if (left->number != right->number)
		return left->number < right->number ? -1 : 1;
	return left->place < right->place ? -1 : 1;
}

/*
 * The elements of a list that has been flattened to keys "PREFIX NUMBER . INNER KEY", as
 * objects in the order of their numbers.  Numbers that are left out cost nothing.
 */
static List *
flat_elements(JsonbValue *object, const char *prefix, const char *inner)
{
	List	   *pairs = json_pairs(object);
	FlatPair   *flat = palloc_array(FlatPair, list_length(pairs) + 1);
	List	   *elements = NIL;
	List	   *own = NIL;
	int			count = 0;
	ListCell   *cell;

	foreach(cell, pairs)
	{
		JsonPair   *pair = lfirst(cell);
		FlatPair   *next = &flat[count];

		CHECK_FOR_INTERRUPTS();
		next->key = key_in_element(pair->key, prefix, inner, &next->number);
		next->value = pair->value;
		next->place = count;
		count += next->key != NULL ? 1 : 0;
	}
	qsort(flat, count, sizeof(FlatPair), compare_flat_pairs);
	for (int i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		own = json_add_pair(own, flat[i].key, flat[i].value);
		if (i + 1 < count && flat[i + 1].number == flat[i].number)
			continue;
		elements = lappend(elements, json_from_pairs(own));
		own = NIL;
	}
	return elements;
}

/* A message of OpenInference in OpenAI's shape */
static JsonbValue *
unflatten_message(JsonbValue *flat)
{
	List	   *pairs = NIL;
	List	   *calls = NIL;
	List	   *parts = NIL;
	ListCell   *cell;
	static const char *const keys[] = {"role", "content", "name", "tool_call_id"};

	for (int i = 0; i < lengthof(keys); i++)
		pairs = json_add_pair(pairs, keys[i], json_get(flat, psprintf("message.%s", keys[i])));
	foreach(cell, flat_elements(flat, "message.tool_calls.", "tool_call."))
	{
		JsonbValue *call = lfirst(cell);
		List	   *function = json_add_pair(NIL, "name", json_get(call, "function.name"));
		List	   *pairs_of_call = json_add_pair(NIL, "id", json_get(call, "id"));

		function = json_add_pair(function, "arguments", json_get(call, "function.arguments"));
		pairs_of_call = json_add_pair(pairs_of_call, "function", json_from_pairs(function));
		calls = lappend(calls, json_from_pairs(pairs_of_call));
	}
	foreach(cell, flat_elements(flat, "message.contents.", "message_content."))
	{
		JsonbValue *part = lfirst(cell);

		if (json_get(part, "image.image.url") != NULL)
		{
			JsonbValue *url = json_from_pairs(json_add_pair(NIL, "url",
															json_get(part, "image.image.url")));

			part = json_from_pairs(json_add_pair(json_add_pair(NIL, "type",
															   json_new_string("image_url")),
												 "image_url", url));
		}
		parts = lappend(parts, part);
	}
	if (calls != NIL)
		pairs = json_add_pair(pairs, "tool_calls", json_from_elements(calls));
	if (parts != NIL)
		pairs = json_add_pair(pairs, "content", json_from_elements(parts));
	return json_from_pairs(pairs);
}

static void
compose_flat(Composer *composer, JsonbValue *attributes, const char *prefix)
{
	ListCell   *cell;

	foreach(cell, flat_elements(attributes, prefix, ""))
	{
		compose_any_message(composer, unflatten_message(lfirst(cell)));
	}
}

static void
compose_structured(Composer *composer, JsonbValue *messages, const char *name)
{
	messages = json_in_string(messages);
	if (messages == NULL)
		return;
	if (!json_is_array(messages))
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("\"%s\" is %s", name, json_type_name(messages)),
				 errdetail("It must be a list of messages.")));
	for (int i = 0; i < json_length(messages); i++)
		compose_any_message(composer, json_element(messages, i));
}

bool
has_messages(JsonbValue *attributes)
{
	return json_get(attributes, "gen_ai.input.messages") != NULL ||
		json_get(attributes, "gen_ai.output.messages") != NULL ||
		flat_elements(attributes, "llm.input_messages.", "") != NIL ||
		flat_elements(attributes, "llm.output_messages.", "") != NIL;
}

Composer *
compose_attributes(JsonbValue *attributes)
{
	Composer   *composer = compose_begin();
	JsonbValue *system = json_in_string(json_get(attributes, "gen_ai.system_instructions"));

	compose_system(composer, system);
	compose_structured(composer, json_get(attributes, "gen_ai.input.messages"),
					   "gen_ai.input.messages");
	compose_flat(composer, attributes, "llm.input_messages.");
	compose_structured(composer, json_get(attributes, "gen_ai.output.messages"),
					   "gen_ai.output.messages");
	compose_flat(composer, attributes, "llm.output_messages.");
	compose_end(composer);
	return composer;
}
