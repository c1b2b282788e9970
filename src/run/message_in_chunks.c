/*
 * message_in_chunks.c
 *		The message in the chunks of a provider's stream.
 *
 * A turn that is finished with the chunks alone, as they came, has its message in
 * them.  OpenAI's Responses send it whole: in the last event, or item by item.  Of
 * others the pieces are put together, as the table says where they stand:
 *
 * - a string of a key in growing_keys is a piece of one text; of all others, and of
 *	 what is no string, the first one counts;
 * - what is in a list belongs to the last element with the same "index", unless its
 *	 id is another one, or else is a new one; of neighbours without an index, texts
 *	 that differ in nothing but their text are one.
 *
 * Nothing is locked, and nothing is refused: chunks of which the table knows none
 * have no message.  Of an object with more keys than any message has the first ones are
 * taken, and what is nested deeper is not merged.
 */
#include "run/message_in_answer.h"

#include "json/json_text.h"
#include "json/jsonb_util.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/numeric.h"

/* Where a chunk has its piece; the first one that it has counts */
typedef struct Source
{
	const char *type;			/* of the chunk; NULL: any */
	const char *beside;			/* a key that the chunk has, too; NULL: none in particular */
	const char *path;			/* of the piece, as in message_in_answer.c */
	bool		is_text;		/* the piece is a string of the content, else an object */
	const char *choice;			/* which of several answers it belongs to: the first is taken */
	const char *block;			/* which element of the content it is of; NULL: the message */
} Source;

static const Source sources[] = {
	/* OpenAI Chat, and what speaks it; completions */
	{NULL, NULL, "choices.[].delta", false, "choices.[].index", NULL},
	{NULL, NULL, "choices.[].text", true, "choices.[].index", NULL},
	/* Gemini */
	{NULL, NULL, "candidates.[].content", false, "candidates.[].index", NULL},
	/* Anthropic */
	{"message_start", NULL, "message", false, NULL, NULL},
	{"content_block_start", NULL, "content_block", false, NULL, "index"},
	{"content_block_delta", NULL, "delta", false, NULL, "index"},
	{"message_delta", NULL, "delta", false, NULL, NULL},
	/* Bedrock */
	{NULL, NULL, "contentBlockStart.start", false, NULL, "contentBlockStart.contentBlockIndex"},
	{NULL, NULL, "contentBlockDelta.delta", false, NULL, "contentBlockDelta.contentBlockIndex"},
	/* Ollama */
	{NULL, "done", "message", false, NULL, NULL},
	{NULL, "done", "response", true, NULL, NULL}
};

/* The most keys of an object of a message: more are in the answer alone */
#define MAX_KEYS	1000

/* How deep pieces are merged, and how deep it is now */
#define MAX_MERGE_DEPTH	500
static int	merge_depth = 0;

/* Keys whose strings come in pieces */
static const char *const growing_keys[] = {
	"content", "text", "refusal", "reasoning", "reasoning_content", "thinking", "summary",
	"signature", "arguments", "partial_json", "input", "data", "transcript"
};

/* What is being put together: a string, an object, a list, or another value as it was sent */
typedef struct MergeNode
{
	JsonbValue	value;			/* its type, and what is no string, object or list */
	StringInfoData text;		/* of a string */
	List	   *keys;			/* of an object: strings */
	List	   *nodes;			/* of an object its values, of a list its elements */
	int			index;			/* of an element of a list; -1 for none */
	int			highest;		/* of a list: the highest index of its elements */
} MergeNode;

static void merge(MergeNode *node, const JsonbValue *more, const char *key);

static MergeNode *
new_node(const JsonbValue *value)
{
	MergeNode  *node = palloc0_object(MergeNode);

	node->index = -1;
	node->value.type = jbvNull;
	merge(node, value, NULL);
	return node;
}

/* The number at a path, or -1 */
static int
number_at(JsonbValue *value, const char *path)
{
	JsonbValue *found = path == NULL ? NULL : answer_find(value, path);
	bool		failed = false;
	int			number = -1;

	if (found != NULL && found->type == jbvNumeric)
		number = numeric_to_int4(found->val.numeric, &failed);
	return failed ? -1 : number;
}

static MergeNode *
child(const MergeNode *node, const char *key)
{
	ListCell   *name;
	ListCell   *value;

	forboth(name, node->keys, value, node->nodes)
	{
		if (strcmp(lfirst(name), key) == 0)
			return lfirst(value);
	}
	return NULL;
}

static MergeNode *
add_child(MergeNode *node, const char *key, const JsonbValue *value)
{
	MergeNode  *added = new_node(value);

	node->keys = lappend(node->keys, pstrdup(key));
	node->nodes = lappend(node->nodes, added);
	return added;
}

/* Is the object the next piece of the text that an element has? */
static bool
goes_on(const MergeNode *element, JsonbContainer *object)
{
	ListCell   *name;
	ListCell   *value;

	if (element->value.type != jbvObject || child(element, "text") == NULL ||
		list_length(element->keys) != JsonContainerSize(object))
		return false;
	forboth(name, element->keys, value, element->nodes)
	{
		const MergeNode *node = lfirst(value);
		JsonbValue	other;

		if (jsonb_get_key(object, lfirst(name), &other) == NULL || other.type != node->value.type)
			return false;
		if (strcmp(lfirst(name), "text") == 0)
			continue;
		if (node->value.type == jbvString ? !jsonb_string_is(&other, node->text.data) :
			node->value.type != jbvBool || other.val.boolean != node->value.val.boolean)
			return false;
	}
	return true;
}

/* Is the element, by its id, another one?  Some number all calls with 0. */
static bool
is_other(const MergeNode *node, JsonbValue *element)
{
	const MergeNode *id = child(node, "id");
	JsonbValue *other = answer_find(element, "id");

	return id != NULL && id->value.type == jbvString && id->text.len > 0 &&
		other != NULL && other->type == jbvString && other->val.string.len > 0 &&
		!jsonb_string_is(other, id->text.data);
}

/* Merge an element into a list */
static void
merge_element(MergeNode *list, JsonbValue *element, int index)
{
	MergeNode  *last = list->nodes == NIL ? NULL : llast(list->nodes);
	MergeNode  *added;

	CHECK_FOR_INTERRUPTS();
	for (int i = list_length(list->nodes) - 1;
		 last != NULL && index >= 0 && index <= list->highest && i >= 0; i--)
	{
		MergeNode  *node = list_nth(list->nodes, i);

		if (node->index != index)
			continue;
		if (is_other(node, element))
			break;
		merge(node, element, NULL);
		return;
	}
	if (index < 0 && last != NULL && last->index < 0 &&
		(element->type == jbvString ? last->value.type == jbvString :
		 jsonb_is_object(element) && goes_on(last, element->val.binary.data)))
	{
		merge(last, element, "text");
		return;
	}
	added = new_node(element);
	added->index = index;
	list->highest = Max(list->highest, index);
	list->nodes = lappend(list->nodes, added);
}

static void
merge_list(MergeNode *list, JsonbContainer *more)
{
	int			count = JsonContainerSize(more);

	for (int i = 0; i < count; i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(more, i);

		merge_element(list, element, number_at(element, "index"));
	}
}

static void
merge_object(MergeNode *object, JsonbContainer *more)
{
	JsonbIterator *it = JsonbIteratorInit(more);
	JsonbValue	key;
	JsonbValue	value;

	(void) JsonbIteratorNext(&it, &value, true);
	while (JsonbIteratorNext(&it, &key, true) == WJB_KEY)
	{
		char	   *name = pnstrdup(key.val.string.val, key.val.string.len);
		MergeNode  *node;

		CHECK_FOR_INTERRUPTS();
		(void) JsonbIteratorNext(&it, &value, true);
		/* one by one, Anthropic's citations come */
		if (strcmp(name, "citation") == 0)
		{
			node = child(object, "citations");
			if (node == NULL)
				node = add_child(object, "citations", &(JsonbValue) {.type = jbvNull});
			if (node->value.type == jbvNull)
				node->value.type = jbvArray;
			merge_element(node, &value, -1);
		}
		else if ((node = child(object, name)) != NULL)
			merge(node, &value, name);
		else if (list_length(object->keys) < MAX_KEYS)
			(void) add_child(object, name, &value);
		pfree(name);
	}
}

/* Have a string begin.  There may be many, so that none takes much more than it needs. */
static void
begin_text(MergeNode *node, int len)
{
	node->value.type = jbvString;
	node->text = (StringInfoData) {.data = palloc(len + 1), .maxlen = len + 1};
	node->text.data[0] = '\0';
}

/* Does a string under the key go on what stands there? */
static bool
grows(const MergeNode *node, const char *key)
{
	if (node->text.len == 0)
		return true;
	for (int i = 0; key != NULL && i < lengthof(growing_keys); i++)
	{
		if (strcmp(key, growing_keys[i]) == 0)
			return true;
	}
	return false;
}

/*
 * Merge what comes under a key into what stands there; NULL is no key.  What is nested
 * deeper than any message is kept as it came first.
 */
static void
merge(MergeNode *node, const JsonbValue *more, const char *key)
{
	bool		is_first = node->value.type == jbvNull;

	if (more->type == jbvBinary && merge_depth >= MAX_MERGE_DEPTH)
	{
		if (is_first)
			node->value = *more;
		return;
	}
	merge_depth++;
	if (more->type == jbvString)
	{
		if (is_first)
			begin_text(node, more->val.string.len);
		if (node->value.type == jbvString && grows(node, key))
			appendBinaryStringInfo(&node->text, more->val.string.val, more->val.string.len);
		else if (node->value.type == jbvArray && more->val.string.len > 0)
			merge_element(node, unconstify(JsonbValue *, more), -1);
	}
	else if (more->type != jbvBinary)
	{
		if (is_first)
			node->value = *more;
	}
	else if (JsonContainerIsObject(more->val.binary.data))
	{
		if (is_first)
			node->value.type = jbvObject;
		if (node->value.type == jbvObject)
			merge_object(node, more->val.binary.data);
		else if (node->value.type == jbvArray)
			merge_element(node, unconstify(JsonbValue *, more), -1);
	}
	else
	{
		/* a text that goes on in parts is the first of them */
		if (node->value.type == jbvString)
		{
			MergeNode  *text = palloc_object(MergeNode);

			*text = *node;
			text->index = -1;
			node->nodes = text->text.len > 0 ? list_make1(text) : NIL;
			node->value.type = jbvArray;
		}
		if (is_first)
			node->value.type = jbvArray;
		if (node->value.type == jbvArray)
			merge_list(node, more->val.binary.data);
	}
	merge_depth--;
}

/* ---------- chunks ---------- */

/* The content of the message, of which blocks are the elements */
static MergeNode *
content_of(MergeNode *message, bool with_blocks)
{
	MergeNode  *content = child(message, "content");

	if (content == NULL)
		content = add_child(message, "content", &(JsonbValue) {.type = jbvNull});
	if (with_blocks && content->value.type == jbvNull)
		content->value.type = jbvArray;
	return content;
}

/* Merge the piece that a chunk has into the message; false where it has none */
static bool
take_chunk(MergeNode *message, JsonbValue *chunk)
{
	char	   *type = jsonb_field_string(chunk->val.binary.data, "type");

	for (int i = 0; i < lengthof(sources); i++)
	{
		const Source *source = &sources[i];
		int			block = number_at(chunk, source->block);
		JsonbValue *piece;

		if ((source->type != NULL && (type == NULL || strcmp(type, source->type) != 0)) ||
			(source->beside != NULL &&
			 !jsonb_has_field(chunk->val.binary.data, source->beside)) ||
			(source->block != NULL && block < 0) ||
			(piece = answer_find(chunk, source->path)) == NULL ||
			!(source->is_text ? piece->type == jbvString : jsonb_is_object(piece)))
			continue;
		if (number_at(chunk, source->choice) > 0)
			return false;
		if (source->block != NULL)
			merge_element(content_of(message, true), piece, block);
		else if (source->is_text)
			merge(content_of(message, false), piece, "content");
		else
			merge(message, piece, NULL);
		return true;
	}
	return false;
}

/* ---------- the message ---------- */

static void push_node(JsonbInState *state, MergeNode *node, bool is_element);

/* The input of a call of Anthropic's, whose pieces are the text of an object */
static void
push_input(JsonbInState *state, MergeNode *json)
{
	ErrorData  *refusal;
	Jsonb	   *document;

	jsonb_put_key(state, "input");
	document = json->text.len == 0 ? NULL :
		json_try_parse(json->text.data, json->text.len, &refusal);
	if (document != NULL && JB_ROOT_IS_OBJECT(document))
		jsonb_put_document(state, document, false);
	else
		push_node(state, json, false);
}

static void
push_object(JsonbInState *state, const MergeNode *object)
{
	MergeNode  *input = child(object, "partial_json");
	ListCell   *name;
	ListCell   *value;

	if (input != NULL && (input->value.type != jbvString || input->text.len == 0))
		input = NULL;
	jsonb_begin_object(state);
	forboth(name, object->keys, value, object->nodes)
	{
		if (strcmp(lfirst(name), "partial_json") == 0 ||
			(input != NULL && strcmp(lfirst(name), "input") == 0))
			continue;
		jsonb_put_key(state, lfirst(name));
		push_node(state, lfirst(value), false);
	}
	if (input != NULL)
		push_input(state, input);
	jsonb_close(state, false);
}

static void
push_node(JsonbInState *state, MergeNode *node, bool is_element)
{
	ListCell   *cell;

	if (node->value.type == jbvObject)
		push_object(state, node);
	else if (node->value.type == jbvArray)
	{
		jsonb_begin_array(state);
		foreach(cell, node->nodes)
		{
			push_node(state, lfirst(cell), true);
		}
		jsonb_close(state, true);
	}
	else
	{
		if (node->value.type == jbvString)
		{
			node->value.val.string.val = node->text.data;
			node->value.val.string.len = node->text.len;
		}
		push_jsonb(state, is_element ? WJB_ELEM : WJB_VALUE, &node->value);
	}
}

/*
 * The message that is put together, with its role.  A usage in it is what the first
 * chunk said, and left out.
 */
static Jsonb *
finish_message(MergeNode *message)
{
	JsonbInState state = {0};
	MergeNode  *role = child(message, "role");
	bool		is_model = role != NULL && role->value.type == jbvString &&
		strcmp(role->text.data, "model") == 0;
	ListCell   *name;
	ListCell   *value;

	jsonb_begin_object(&state);
	forboth(name, message->keys, value, message->nodes)
	{
		JsonbValue *sent = &((MergeNode *) lfirst(value))->value;

		if (strcmp(lfirst(name), "role") == 0 || strcmp(lfirst(name), "usage") == 0 ||
			(strcmp(lfirst(name), "content") == 0 &&
			 (sent->type == jbvNumeric || sent->type == jbvBool)))
			continue;
		jsonb_put_key(&state, lfirst(name));
		push_node(&state, lfirst(value), false);
	}
	jsonb_put_key(&state, "role");
	jsonb_put_string(&state, is_model ? "model" : "assistant", false);
	jsonb_close(&state, false);
	return jsonb_finish(&state);
}

/*
 * The items that events of OpenAI's Responses have brought, or else the last whole
 * answer in one; NULL for neither.
 */
static Jsonb *
message_of_events(JsonbContainer *chunks)
{
	JsonbInState state = {0};
	JsonbValue *output = NULL;
	Jsonb	   *items;
	int			count = JsonContainerSize(chunks);

	jsonb_begin_array(&state);
	for (int i = 0; i < count; i++)
	{
		JsonbValue *chunk = getIthJsonbValueFromContainer(chunks, i);
		JsonbValue *found;
		char	   *type;

		if (!jsonb_is_object(chunk) ||
			(type = jsonb_field_string(chunk->val.binary.data, "type")) == NULL ||
			strncmp(type, "response.", strlen("response.")) != 0)
			continue;
		if (strcmp(type, "response.output_item.done") == 0 &&
			(found = answer_find(chunk, "item")) != NULL)
			push_jsonb(&state, WJB_ELEM, found);
		if ((found = answer_find(chunk, "response.output.[*]")) != NULL)
			output = found;
	}
	jsonb_close(&state, true);
	items = jsonb_finish(&state);
	if (JB_ROOT_COUNT(items) > 0)
		return message_of_list(&items->root);
	return output == NULL ? NULL : message_of_list(output->val.binary.data);
}

/* The message in an array of chunks, or NULL where there is none */
Jsonb *
message_in_chunks(JsonbContainer *chunks)
{
	Jsonb	   *whole = message_of_events(chunks);
	MergeNode  *message = palloc0_object(MergeNode);
	int			count = JsonContainerSize(chunks);
	bool		has_piece = false;

	if (whole != NULL)
		return whole;
	merge_depth = 0;
	message->value.type = jbvObject;
	for (int i = 0; i < count; i++)
	{
		JsonbValue *chunk = getIthJsonbValueFromContainer(chunks, i);

		if (jsonb_is_object(chunk))
			has_piece |= take_chunk(message, chunk);
	}
	return has_piece ? finish_message(message) : NULL;
}
