/*
 * message_in_answer.c
 *		The message in a provider's whole answer.
 *
 * A turn that is finished with nothing but what the provider has sent has its
 * message in there.  The table says where; the first path at which there is one
 * counts.  A message is taken as it was sent; of a text alone one is made.
 *
 * Where the answer is a list (the items of OpenAI's Responses, the steps of the AI
 * SDK), all of it is one message of the model's: its content has what the messages
 * of the list have in theirs, and the other items as they were sent, in order.
 * All else that it has (id, phase, ...) is that of the last message in the list.
 *
 * An array is the chunks of a stream (message_in_chunks.c).
 *
 * Nothing is locked, and nothing is refused: an answer without a message, such
 * as embeddings, has none.
 */
#include "run/message_in_answer.h"

#include "json/jsonb_copy.h"
#include "json/jsonb_util.h"

/*
 * Keys joined by points.  [] is the first element of a list, [*] all of the list.
 * Empty is the answer itself.
 */
static const char *const paths[] = {
	"",							/* Anthropic */
	"choices.[].message",		/* OpenAI Chat, and what speaks it */
	"output.message",			/* Bedrock */
	"output.choices.[].message",	/* DashScope */
	"output.[*]",				/* OpenAI Responses */
	"candidates.[].content",	/* Gemini */
	"message",					/* Ollama, Cohere */
	"response.messages.[*]",	/* AI SDK */
	"response.choices.[].message",
	"response.output.[*]",
	"response.candidates.[].content",
	"response.body.choices.[].message",
	"response.body.output.[*]",
	"result.message",
	"body.choices.[].message",
	"body.output.[*]",
	/* texts */
	"text", "choices.[].text", "generation", "results.[].outputText", "completion", "response",
	"generations.[].text", "outputs.[].text"
};

/* What an object says as a message: its content, or else its parts */
static bool
get_content(JsonbContainer *object, JsonbValue *content)
{
	return jsonb_field(object, "content", content) || jsonb_field(object, "parts", content);
}

static bool
has_role(JsonbContainer *object)
{
	return jsonb_field_string(object, "role") != NULL;
}

static bool
is_model(const char *role)
{
	return strcmp(role, "assistant") == 0 || strcmp(role, "model") == 0;
}

/*
 * Does the model speak in it?  Where it says so, it may do that elsewhere than in the
 * content: in its calls, or nowhere.  Without a role it has content, or is an item.
 */
static bool
is_message(JsonbContainer *object)
{
	char	   *role = jsonb_field_string(object, "role");
	JsonbValue	content;

	if (jsonb_field(object, "content", &content) &&
		content.type != jbvString && content.type != jbvBinary)
		return false;
	if (role != NULL)
		return is_model(role);
	return get_content(object, &content) ||
		(jsonb_has_field(object, "type") && jsonb_has_field(object, "id") &&
		 !jsonb_has_field(object, "object"));
}

/* ---------- lists ---------- */

/*
 * Does an element of a list belong to what the model has said: a text, an item, a
 * message of the model's, or what a tool has said to it?
 */
static bool
is_said(const JsonbValue *element)
{
	char	   *role;

	if (!jsonb_is_object(element))
		return element->type == jbvString;
	role = jsonb_field_string(element->val.binary.data, "role");
	if (role == NULL)
		return jsonb_has_field(element->val.binary.data, "type");
	return is_model(role) || strcmp(role, "tool") == 0;
}

/* Put in an element: what a message says, and all else as it was sent */
static void
push_said(JsonbInState *state, JsonbValue *element)
{
	JsonbContainer *object = element->val.binary.data;
	JsonbValue	content;
	char	   *type;

	if (!jsonb_is_object(element) || !get_content(object, &content) ||
		(!has_role(object) &&
		 ((type = jsonb_field_string(object, "type")) == NULL || strcmp(type, "message") != 0)))
		push_jsonb(state, WJB_ELEM, element);
	else if (!jsonb_is_array(&content))
		push_jsonb(state, WJB_ELEM, &content);
	else
	{
		int			count = JsonContainerSize(content.val.binary.data);

		for (int i = 0; i < count; i++)
			push_jsonb(state, WJB_ELEM,
					   getIthJsonbValueFromContainer(content.val.binary.data, i));
	}
}

/* Put in what a message has beside what it says */
static void
push_other_keys(JsonbInState *state, JsonbContainer *message)
{
	JsonbIterator *it = JsonbIteratorInit(message);
	JsonbValue	key;
	JsonbValue	value;

	(void) JsonbIteratorNext(&it, &value, true);
	while (JsonbIteratorNext(&it, &key, true) == WJB_KEY)
	{
		(void) JsonbIteratorNext(&it, &value, true);
		if (jsonb_string_is(&key, "content") || jsonb_string_is(&key, "parts"))
			continue;
		push_jsonb(state, WJB_KEY, &key);
		push_jsonb(state, WJB_VALUE, &value);
	}
}

/* The one message that a list makes, or NULL where nothing is said in it */
Jsonb *
message_of_list(JsonbContainer *list)
{
	JsonbInState state = {0};
	int			count = JsonContainerSize(list);
	int			said = 0;
	JsonbValue *message = NULL;

	for (int i = 0; i < count; i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(list, i);

		if (!is_said(element))
			continue;
		said++;
		if (jsonb_is_object(element) && has_role(element->val.binary.data) &&
			is_message(element->val.binary.data))
			message = element;
	}
	if (said == 0)
		return NULL;
	if (said == 1 && message != NULL)
		return JsonbValueToJsonb(message);

	push_jsonb(&state, WJB_BEGIN_OBJECT, NULL);
	if (message != NULL)
		push_other_keys(&state, message->val.binary.data);
	else
	{
		jsonb_put_key(&state, "role");
		jsonb_put_string(&state, "assistant", false);
	}
	jsonb_put_key(&state, "content");
	jsonb_begin_array(&state);
	for (int i = 0; i < count; i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(list, i);

		if (is_said(element))
			push_said(&state, element);
	}
	jsonb_close(&state, true);
	jsonb_close(&state, false);
	return jsonb_finish(&state);
}

/* ---------- where it stands ---------- */

/* What stands at a path, or NULL */
JsonbValue *
answer_find(JsonbValue *value, const char *path)
{
	while (value != NULL && *path != '\0')
	{
		size_t		len = strcspn(path, ".");
		JsonbContainer *container;

		if (value->type != jbvBinary)
			return NULL;
		container = value->val.binary.data;
		if (path[0] == '[')
		{
			if (!JsonContainerIsArray(container))
				return NULL;
			if (path[1] != '*')
				value = getIthJsonbValueFromContainer(container, 0);
		}
		else
			value = !JsonContainerIsObject(container) ? NULL :
				getKeyJsonValueFromContainer(container, path, len, NULL);
		path += len + (path[len] == '.' ? 1 : 0);
	}
	return value;
}

/* The assistant's message with nothing but text */
static Jsonb *
message_of_text(const JsonbValue *text)
{
	return jsonb_set_string(jsonb_set_string(NULL, "role", "assistant", strlen("assistant")),
							"content", text->val.string.val, text->val.string.len);
}

/* A message as it was sent, with its role */
static Jsonb *
message_of_object(JsonbValue *object)
{
	Jsonb	   *message = JsonbValueToJsonb(object);

	return has_role(&message->root) ? message :
		jsonb_set_string(message, "role", "assistant", strlen("assistant"));
}

/* The message in an answer, or in the chunks of its stream; NULL where there is none */
Jsonb *
message_in_answer(Jsonb *answer)
{
	JsonbValue	root = {.type = jbvBinary};

	if (JB_ROOT_IS_ARRAY(answer) && !JB_ROOT_IS_SCALAR(answer))
		return message_in_chunks(&answer->root);
	if (!JB_ROOT_IS_OBJECT(answer))
		return NULL;
	root.val.binary.data = &answer->root;
	root.val.binary.len = VARSIZE_ANY_EXHDR(answer);
	for (int i = 0; i < lengthof(paths); i++)
	{
		JsonbValue *found = answer_find(&root, paths[i]);
		Jsonb	   *message;

		if (found == NULL)
			continue;
		if (found->type == jbvString && found->val.string.len > 0)
			return message_of_text(found);
		if (jsonb_is_array(found) && (message = message_of_list(found->val.binary.data)) != NULL)
			return message;
		if (jsonb_is_object(found) &&
			(i > 0 || has_role(found->val.binary.data)) &&
			is_message(found->val.binary.data))
			return message_of_object(found);
	}
	return NULL;
}
