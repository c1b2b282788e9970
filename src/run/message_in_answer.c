/*
 * message_in_answer.c
 *		The message in a provider's whole answer.
 *
 * A turn that is finished with nothing but what the provider has sent has its
 * message in there.  The table says where; the first path at which there is one
 * counts.  It is taken as it was sent; of a text alone a message is made.
 *
 * Nothing is locked, and nothing is refused: an answer without a message, such
 * as embeddings, has none.
 */
#include "run/message_in_answer.h"

#include "json/jsonb_copy.h"
#include "json/jsonb_util.h"
#include "utils/builtins.h"

/*
 * Keys joined by points.  [] is the first element of a list; [*] the last one
 * that is a message of the model's, or else the last one.  Empty is the answer
 * itself.
 */
static const char *const paths[] = {
	"",							/* Anthropic */
	"choices.[].message",		/* OpenAI Chat, and what speaks it */
	"output.message",			/* Bedrock */
	"output.[*]",				/* OpenAI Responses */
	"candidates.[].content",	/* Gemini */
	"message",					/* Ollama, Cohere */
	"response.messages.[*]",	/* AI SDK */
	"response.choices.[].message",
	"response.output.[*]",
	"response.body.choices.[].message",
	"response.body.output.[*]",
	"result.message",
	"body.choices.[].message",
	/* texts */
	"text", "choices.[].text", "generation", "results.[].outputText", "completion", "response",
	"generations.[].text", "outputs.[].text"
};

/* Does it say that the model speaks, or what kind of item it is? */
static bool
is_message(JsonbContainer *object)
{
	char	   *role = jsonb_field_string(object, "role");

	if (role != NULL)
		return (strcmp(role, "assistant") == 0 || strcmp(role, "model") == 0) &&
			(jsonb_has_field(object, "content") || jsonb_has_field(object, "parts"));
	return jsonb_has_field(object, "type") && jsonb_has_field(object, "id") &&
		!jsonb_has_field(object, "object");
}

/* The last message of a list, or else the last element */
static JsonbValue *
last_message(JsonbContainer *list)
{
	int			count = JsonContainerSize(list);

	for (int i = count - 1; i >= 0; i--)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(list, i);

		if (element->type == jbvBinary && JsonContainerIsObject(element->val.binary.data) &&
			jsonb_field_string(element->val.binary.data, "role") != NULL &&
			is_message(element->val.binary.data))
			return element;
	}
	return count == 0 ? NULL : getIthJsonbValueFromContainer(list, count - 1);
}

/* What stands at a path, or NULL */
static JsonbValue *
find(JsonbValue *value, const char *path)
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
			value = path[1] == '*' ? last_message(container) :
				getIthJsonbValueFromContainer(container, 0);
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

/* The message in an answer, as it was sent, or NULL where there is none */
Jsonb *
message_in_answer(Jsonb *answer)
{
	JsonbValue	root = {.type = jbvBinary};

	if (!JB_ROOT_IS_OBJECT(answer))
		return NULL;
	root.val.binary.data = &answer->root;
	root.val.binary.len = VARSIZE_ANY_EXHDR(answer);
	for (int i = 0; i < lengthof(paths); i++)
	{
		JsonbValue *found = find(&root, paths[i]);

		if (found == NULL)
			continue;
		if (found->type == jbvString && found->val.string.len > 0)
			return message_of_text(found);
		if (found->type == jbvBinary && JsonContainerIsObject(found->val.binary.data) &&
			(i > 0 || jsonb_has_field(found->val.binary.data, "role")) &&
			is_message(found->val.binary.data))
			return JsonbValueToJsonb(found);
	}
	return NULL;
}
