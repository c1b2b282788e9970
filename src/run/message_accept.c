/*
 * message_accept.c
 *		Which messages are accepted, and who speaks in them.
 *
 * Accepted is every message that a provider or a client library sends, and it
 * is kept as it was sent.  Its role is in "role".  Many items of conversations
 * have only a type, such as function_call or reasoning: these are given the
 * role that the type means, beside what was sent.  Which type means which role
 * stands in tables; a type that is not in them is the model's.
 *
 * A message may be a JSON string that holds the object: so do drivers that
 * encode twice, and so do clients that have to bring in what jsonb refuses.
 *
 * Refused, with PT422, is what is no object, what says neither a role nor a
 * type, what is only a part of a message, what says nothing at all, and what is
 * too large; and an id that is too long.  An empty answer of the model is an
 * answer.  Nothing is locked.
 */
#include "run/message_accept.h"

#include "json/json_text.h"
#include "json/jsonb_copy.h"
#include "json/jsonb_util.h"
#include "mb/pg_wchar.h"
#include "store/args.h"
#include "utils/builtins.h"

#define ROLES_HINT \
	"The roles are system, developer, user, assistant, tool, function, model and data."

/* The roles there are; the last ones come with items that OpenAI has stored */
static const char *const roles[] = {
	"system", "developer", "user", "assistant", "tool", "function", "model", "data",
	"unknown", "critic", "discriminator"
};

/* A type that means a role; NULL: it is the type of a part, and no message */
typedef struct TypeRole
{
	const char *type;
	const char *role;
} TypeRole;

/* What is not found here is looked for by its end, and a role is its own type */
static const TypeRole type_roles[] = {
	/* items that go in, of OpenAI's Responses and Conversations */
	{"mcp_approval_response", "user"},
	{"compaction_trigger", "developer"},
	{"additional_tools", "developer"},
	{"item_reference", "data"},
	/* LangChain */
	{"human", "user"},
	{"HumanMessage", "user"},
	{"HumanMessageChunk", "user"},
	{"SystemMessage", "system"},
	{"ToolMessage", "tool"},
	/* parts of a message */
	{"text", NULL},
	{"input_text", NULL},
	{"output_text", NULL},
	{"summary_text", NULL},
	{"reasoning_text", NULL},
	{"refusal", NULL},
	{"image", NULL},
	{"image_url", NULL},
	{"input_image", NULL},
	{"file", NULL},
	{"input_file", NULL},
	{"document", NULL},
	{"audio", NULL},
	{"input_audio", NULL},
	{"video", NULL},
	/* a message has a role */
	{"message", NULL},
};

/* How the types of results end */
static const TypeRole type_ends[] = {
	{"_output", "tool"},
	{"_result", "tool"},
	{"_response", "tool"},
};

/* Keys that say nothing by themselves */
static const char *const bare_keys[] = {
	"content", "created_at", "createdAt", "id", "metadata", "name", "object", "role",
	"status", "timestamp", "type"
};

static bool
string_ends(const JsonbValue *value, const char *end)
{
	int			len = strlen(end);

	return value->val.string.len > len &&
		memcmp(value->val.string.val + value->val.string.len - len, end, len) == 0;
}

static bool
is_one_of(const JsonbValue *value, const char *const *words, int count)
{
	for (int i = 0; i < count; i++)
	{
		if (jsonb_string_is(value, words[i]))
			return true;
	}
	return false;
}

/* The role that an item of this type has; NULL for a part of a message */
static const char *
role_of_type(const JsonbValue *type)
{
	for (int i = 0; i < lengthof(roles); i++)
	{
		if (jsonb_string_is(type, roles[i]))
			return roles[i];
	}
	for (int i = 0; i < lengthof(type_roles); i++)
	{
		if (jsonb_string_is(type, type_roles[i].type))
			return type_roles[i].role;
	}
	for (int i = 0; i < lengthof(type_ends); i++)
	{
		if (string_ends(type, type_ends[i].type))
			return type_ends[i].role;
	}
	return "assistant";
}

/* A message without a role, with the one that it means, or PT422 */
static Jsonb *
add_role(Jsonb *message)
{
	JsonbValue	type;
	JsonbValue	parts;
	const char *role = NULL;

	if (jsonb_field(&message->root, "type", &type) && type.type == jbvString &&
		type.val.string.len > 0)
	{
		role = role_of_type(&type);
		if (role == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
					 errmsg("message has no role"),
					 errdetail("Its type is \"%s\", which does not say who speaks.",
							   excerpt(type.val.string.val, type.val.string.len)),
					 errhint("Put parts into the \"content\" of a message, as in {\"role\": "
							 "\"user\", \"content\": [...]}.")));
	}
	else if (jsonb_field(&message->root, "parts", &parts) && parts.type == jbvBinary)
		role = "user";			/* so it is with Gemini */
	else
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("message has no role"),
				 errdetail("The key \"role\" must be a string."),
				 errhint(ROLES_HINT)));
	return jsonb_set_string(message, "role", role, strlen(role));
}

/* Has the message, content aside, a key that says anything? */
static bool
says_anything(Jsonb *message)
{
	JsonbIterator *it = JsonbIteratorInit(&message->root);
	JsonbValue	key;
	JsonbValue	value;

	(void) JsonbIteratorNext(&it, &value, true);
	while (JsonbIteratorNext(&it, &key, true) == WJB_KEY)
	{
		(void) JsonbIteratorNext(&it, &value, true);
		if (value.type != jbvNull && !is_one_of(&key, bare_keys, lengthof(bare_keys)))
			return true;
	}
	return false;
}

static void
check_content(Jsonb *message, const JsonbValue *role)
{
	JsonbValue	content;

	if (!jsonb_field(&message->root, "content", &content))
	{
		if (jsonb_string_is(role, "assistant") || jsonb_string_is(role, "model") ||
			says_anything(message))
			return;
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("message has no content"),
				 errdetail("The key \"content\" is absent or null."),
				 errhint("\"content\" may be absent or null in an answer of the model, or beside "
						 "what is said otherwise: parts, tool_call_id, audio, ...")));
	}
	if (content.type != jbvString && content.type != jbvBinary)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("message content must be a string, an array or an object"),
				 errdetail("Found a %s.", content.type == jbvBool ? "boolean" : "number"),
				 errhint("Put text into a string, and parts into an array of objects.")));
}

/* Is the message small enough? */
bool
message_fits(Jsonb *message)
{
	return VARSIZE(message) <= (Size) airun_max_message_size * 1024;
}

static void
check_size(Jsonb *message)
{
	if (!message_fits(message))
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("message is too large"),
				 errdetail("It has %zu bytes; at most %zu are allowed.",
						   (Size) VARSIZE(message), (Size) airun_max_message_size * 1024),
				 errhint("Keep large data elsewhere and refer to it, or have a superuser raise "
						 "airun.max_message_size.")));
}

/*
 * The message as it is accepted: the object, with its role.  PT422 for what is
 * not acceptable.
 */
Jsonb *
message_accept(Jsonb *message)
{
	JsonbValue	role;

	message = json_unwrap(message);
	if (!JB_ROOT_IS_OBJECT(message))
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("a message must be a JSON object"),
				 errdetail("Found %s.", JB_ROOT_IS_SCALAR(message) ? "a scalar" : "an array"),
				 errhint("Send an object such as {\"role\": \"user\", \"content\": \"Hello\"}.")));
	check_size(message);
	if (!jsonb_field(&message->root, "role", &role))
		return add_role(message);
	if (role.type != jbvString)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("message has no role"),
				 errdetail("The key \"role\" must be a string."),
				 errhint(ROLES_HINT)));
	if (!is_one_of(&role, roles, lengthof(roles)))
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("unknown message role \"%s\"",
						excerpt(role.val.string.val, role.val.string.len)),
				 errhint(ROLES_HINT)));
	check_content(message, &role);
	return message;
}

/* PT409 for what stands of a message, or is replaced another way */
void
message_refuse_change(const char *column)
{
	ereport(ERROR,
			(errcode(ERRCODE_AIRUN_CONFLICT),
			 errmsg("\"%s\" of a message cannot be changed", column),
			 errdetail("A message keeps its place, its time and its id, and what it was is kept."),
			 errhint("Replace a message with airun_save_message(), or by an UPDATE of "
					 "ai_messages.message; take the last ones back with "
					 "airun_truncate_messages().")));
}

/* ---------- ids ---------- */

/* PT422 unless the text will do as a message_id */
void
message_check_id(text *message_id)
{
	Field		field = {PointerGetDatum(message_id), false};

	if (VARSIZE_ANY_EXHDR(message_id) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("\"message_id\" must not be empty"),
				 errhint("Leave it out where there is none.")));
	check_length("message_id", &field, MAX_MESSAGE_ID);
}

/*
 * The id that a message carries itself, or NULL.  One that is too long is PT422, or
 * none where the message must be stored all the same.
 */
text *
message_own_id(Jsonb *message, bool refuse_long)
{
	JsonbValue	id;
	int			chars;

	if (!jsonb_field(&message->root, "id", &id) || id.type != jbvString ||
		id.val.string.len == 0)
		return NULL;
	chars = pg_mbstrlen_with_len(id.val.string.val, id.val.string.len);
	if (chars > MAX_MESSAGE_ID && !refuse_long)
		return NULL;
	if (chars > MAX_MESSAGE_ID)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("\"id\" of the message is too long"),
				 errdetail("It has %d characters; at most %d are allowed.", chars,
						   MAX_MESSAGE_ID),
				 errhint("Give a shorter one, such as its hash, as \"message_id\" of "
						 "airun_append_message(); the message keeps its own.")));
	return cstring_to_text_with_len(id.val.string.val, id.val.string.len);
}
