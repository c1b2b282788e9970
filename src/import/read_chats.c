/*
 * read_chats.c
 *		Exports of applications: ChatGPT, Claude, Open WebUI, LibreChat, Google.
 *
 * These hold whole conversations, most of them as trees: every edit and every
 * regenerated answer is there.  Hidden nodes and custom instructions are no
 * messages; they are in the run's metadata.  Formats grow by the month: a key that
 * nobody knows is kept there as well, and fails nothing.
 *
 * PT422 where there are no messages at their place.  Nothing is locked.
 */
#include "import/import.h"

#include "miscadmin.h"

static const char *const created_keys[] = {
	"create_time", "created_at", "createdAt", "createTime", "timestamp", "time", NULL
};
static const char *const updated_keys[] = {"update_time", "updated_at", "updatedAt", NULL};

pg_noreturn static void
refuse_no_messages(const char *key, const JsonbValue *value)
{
	ereport(ERROR,
			(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
			 errmsg("the conversation has no messages"),
			 errdetail("Its \"%s\" is %s.", key, json_type_name(value))));
}

static TreeNode *
add_node(List **nodes, const char *id, const char *parent, JsonbValue *source, TimestampTz time)
{
	TreeNode   *node = palloc0_object(TreeNode);

	node->id = id;
	node->parent = parent;
	node->source = source;
	node->time = time;
	node->position = list_length(*nodes);
	*nodes = lappend(*nodes, node);
	return node;
}

static void
require_object(const JsonbValue *value, const char *what)
{
	if (!json_is_object(value))
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("%s is %s", what, json_type_name(value)),
				 errdetail("It must be an object.")));
}

static void
add_tags(Conversation *conversation, JsonbValue *tags)
{
	for (int i = 0; i < json_length(tags); i++)
	{
		JsonbValue *tag = json_element(tags, i);
		char	   *word = json_string_of(tag);

		if (word == NULL)
			word = json_get_string(tag, "name");
		if (word != NULL && word[0] != '\0')
			conversation->tags = lappend(conversation->tags, word);
	}
}

static void
read_times(JsonbValue *entry, Conversation *conversation)
{
	conversation->created_at = json_get_time(entry, created_keys);
	conversation->active_at = json_get_time(entry, updated_keys);
}

/* Put what a message has beside what has been read into its metadata */
static void
keep_rest(Composer *composer, JsonbValue *source, const char *const *known)
{
	ListCell   *cell;

	foreach(cell, json_rest(source, known))
	{
		JsonPair   *pair = lfirst(cell);

		compose_metadata(composer, pair->key, pair->value);
	}
}

static void
read_files(Composer *composer, JsonbValue *files)
{
	for (int i = 0; i < json_length(files); i++)
	{
		JsonbValue *file = json_element(files, i);

		if (json_is_object(file))
			compose_part(composer, json_with_type(file, "file"));
	}
}

/* ---------- ChatGPT ---------- */

/* Kinds of content that are thought, and not said */
static bool
is_thought(const char *content_type)
{
	return content_type != NULL && (strcmp(content_type, "thoughts") == 0 ||
									strcmp(content_type, "reasoning_recap") == 0);
}

/* Kinds of content that are context, and no message */
static bool
is_context(const char *content_type)
{
	return content_type != NULL && (strcmp(content_type, "user_editable_context") == 0 ||
									strcmp(content_type, "model_editable_context") == 0);
}

static bool
is_hidden(JsonbValue *message)
{
	return json_get_bool(json_get(message, "metadata"), "is_visually_hidden_from_conversation") ||
		json_get_bool(json_get(message, "metadata"), "is_user_system_message") ||
		is_context(json_get_string(json_get(message, "content"), "content_type"));
}

/* Where each kind of content has its text */
static const char *const chatgpt_texts[] = {"text", "result", "output_str", NULL};

static bool
is_all_text(JsonbValue *parts)
{
	for (int i = 0; i < json_length(parts); i++)
	{
		JsonbValue *part = json_element(parts, i);

		if (part != NULL && part->type != jbvString)
			return false;
	}
	return true;
}

/* The strings of a list, a line each */
static char *
join_lines(JsonbValue *parts)
{
	StringInfoData out;

	initStringInfo(&out);
	for (int i = 0; i < json_length(parts); i++)
	{
		char	   *text = json_string_of(json_element(parts, i));

		if (text == NULL || text[0] == '\0')
			continue;
		if (out.len > 0)
			appendStringInfoChar(&out, '\n');
		appendStringInfoString(&out, text);
	}
	return out.data;
}

/* The output of a tool: a text, or a list where it holds more */
static JsonbValue *
chatgpt_output(JsonbValue *content)
{
	JsonbValue *parts = json_get(content, "parts");
	JsonbValue *text = json_get_any(content, chatgpt_texts);
	List	   *elements = NIL;

	if (parts == NULL)
		return text != NULL ? text : json_from_elements(list_make1(content));
	if (is_all_text(parts))
		return json_new_string(join_lines(parts));
	for (int i = 0; i < json_length(parts); i++)
	{
		JsonbValue *part = json_element(parts, i);
		const char *type = json_get_string(part, "content_type");

		if (json_is_object(part))
			part = json_with_type(part, type != NULL ? type : "unknown");
		else if (part != NULL && part->type == jbvString)
			part = json_from_pairs(json_add_pair(json_add_pair(NIL, "type",
															   json_new_string("text")),
												 "text", part));
		else
			continue;
		elements = lappend(elements, part);
	}
	return json_from_elements(elements);
}

static void
chatgpt_content(Composer *composer, JsonbValue *content)
{
	const char *type = json_get_string(content, "content_type");
	JsonbValue *parts = json_get(content, "parts");

	if (is_thought(type))
		compose_part(composer, json_from_pairs(json_add_pair(json_pairs(content), "type",
															 json_new_string("reasoning"))));
	else if (parts != NULL && json_is_array(parts) && is_all_text(parts))
		compose_text(composer, join_lines(parts), NULL);
	else if (parts != NULL)
		compose_content(composer, parts);
	else if (json_string_of(json_get_any(content, chatgpt_texts)) != NULL)
		compose_text(composer, json_string_of(json_get_any(content, chatgpt_texts)),
					 type != NULL && strcmp(type, "text") != 0 && strcmp(type, "code") != 0 ?
					 json_with_type(content, "text") : NULL);
	else
		compose_part(composer, json_with_type(content, type != NULL ? type : "unknown"));
}

static void
chatgpt_node(Composer *composer, JsonbValue *node)
{
	static const char *const known[] = {
		"id", "author", "create_time", "content", "metadata", "weight", "recipient", NULL
	};
	JsonbValue *message = json_get(node, "message");
	JsonbValue *content = json_get(message, "content");
	const char *role = compose_role(json_string_of(json_get_path(message, "author.role")));
	const char *recipient = json_get_string(message, "recipient");
	const char *type = json_get_string(content, "content_type");
	const char *id = json_get_string(message, "id");

	if (message == NULL)
		return;
	require_object(message, "a message");
	if (is_hidden(message))
		return;
	require_object(content, "the content of a message");
	if (role == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("a message does not say who speaks"),
				 errdetail("Its author.role is %s.",
						   json_type_name(json_get_path(message, "author.role")))));
	if (id == NULL)
		id = json_get_string(node, "id");
	compose_source(composer, role, id, json_time(json_get(message, "create_time")));
	keep_rest(composer, json_get(message, "metadata"), (const char *const[]) {NULL});
	keep_rest(composer, message, known);
	if (json_get(message, "weight") != NULL)
		compose_metadata(composer, "weight", json_get(message, "weight"));
	if (strcmp(role, "tool") == 0)
		compose_result(composer, NULL, json_string_of(json_get_path(message, "author.name")),
					   chatgpt_output(content), type != NULL && strcmp(type, "system_error") == 0,
					   json_get_path(message, "author.metadata"));
	else if (strcmp(role, "assistant") == 0 && recipient != NULL && strcmp(recipient, "all") != 0)
		compose_call(composer, id, recipient, chatgpt_output(content), NULL, false);
	else
		chatgpt_content(composer, content);
}

/* What is hidden, for the run's metadata */
static List *
hidden_messages(List *nodes)
{
	List	   *hidden = NIL;
	ListCell   *cell;

	foreach(cell, nodes)
	{
		JsonbValue *message = json_get(((TreeNode *) lfirst(cell))->source, "message");
		JsonbValue *content = json_get(message, "content");

		if (json_is_object(message) && is_hidden(message) && content != NULL &&
			!(json_length(json_get(content, "parts")) == 1 &&
			  json_says_nothing(json_element(json_get(content, "parts"), 0))))
			hidden = lappend(hidden, content);
	}
	return hidden;
}

void
read_chatgpt(JsonbValue *entry, Conversation *conversation)
{
	static const char *const known[] = {
		"id", "title", "create_time", "mapping", "current_node", "is_archived", "is_starred", NULL
	};
	JsonbValue *mapping = json_get(entry, "mapping");
	List	   *nodes = NIL;
	ListCell   *cell;

	if (!json_is_object(mapping))
		refuse_no_messages("mapping", mapping);
	foreach(cell, json_pairs(mapping))
	{
		JsonPair   *pair = lfirst(cell);

		require_object(pair->value, "a node");
		(void) add_node(&nodes, pair->key, json_get_string(pair->value, "parent"), pair->value,
						json_time(json_get_path(pair->value, "message.create_time")));
	}
	conversation->id = json_get_string(entry, "id");
	if (conversation->id == NULL)
		conversation->id = json_get_string(entry, "conversation_id");
	conversation->name = json_string_of(json_get(entry, "title"));
	conversation->is_archived = json_get_bool(entry, "is_archived");
	conversation->is_starred = json_get_bool(entry, "is_starred");
	conversation->import = json_rest(entry, known);
	read_times(entry, conversation);
	if (hidden_messages(nodes) != NIL)
		conversation->import = json_add_pair(conversation->import, "context",
											 json_from_elements(hidden_messages(nodes)));
	tree_to_branches(nodes, json_get_string(entry, "current_node"), NIL, chatgpt_node,
					 conversation);
}

/* ---------- Claude ---------- */

/* Does a list hold a block that says anything? */
static bool
has_block(JsonbValue *content)
{
	for (int i = 0; i < json_length(content); i++)
	{
		JsonbValue *block = json_element(content, i);

		if (json_is_object(block) && !json_is(json_get(block, "type"), "token_budget") &&
			!(json_is(json_get(block, "type"), "text") &&
			  json_says_nothing(json_get(block, "text"))))
			return true;
	}
	return false;
}

static void
claude_message(Composer *composer, JsonbValue *message)
{
	static const char *const known[] = {
		"uuid", "text", "content", "sender", "created_at", "updated_at", "attachments", "files",
		"parent_message_uuid", "index", NULL
	};
	const char *role = compose_role(json_string_of(json_get(message, "sender")));
	JsonbValue *content = json_get(message, "content");

	if (role == NULL || role[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("a message does not say who speaks"),
				 errdetail("Its sender is %s.", json_type_name(json_get(message, "sender")))));
	compose_source(composer, role, json_get_string(message, "uuid"),
				   json_get_time(message, created_keys));
	keep_rest(composer, message, known);
	for (int i = 0; has_block(content) && i < json_length(content); i++)
	{
		JsonbValue *block = json_element(content, i);

		if (json_is(json_get(block, "type"), "token_budget"))
			compose_metadata(composer, "token_budget", block);
		else
			compose_any_part(composer, block);
	}
	if (!has_block(content))
		compose_content(composer, content != NULL && content->type == jbvString ? content :
						json_get(message, "text"));
	read_files(composer, json_get(message, "attachments"));
	read_files(composer, json_get(message, "files"));
}

void
read_claude(JsonbValue *entry, Conversation *conversation)
{
	static const char *const known[] = {
		"uuid", "name", "summary", "created_at", "chat_messages", "is_starred",
		"current_leaf_message_uuid", NULL
	};
	JsonbValue *messages = json_get(entry, "chat_messages");
	List	   *nodes = NIL;
	bool		has_parents = false;
	const char *before = NULL;

	if (!json_is_array(messages))
		refuse_no_messages("chat_messages", messages);
	for (int i = 0; i < json_length(messages); i++)
		has_parents |= json_get(json_element(messages, i), "parent_message_uuid") != NULL;
	for (int i = 0; i < json_length(messages); i++)
	{
		JsonbValue *message = json_element(messages, i);
		char	   *id = json_get_string(message, "uuid");

		require_object(message, "a message");
		if (id == NULL)
			id = psprintf("#%d", i);
		(void) add_node(&nodes, id, has_parents ? json_get_string(message, "parent_message_uuid") :
						before, message, json_get_time(message, created_keys));
		before = id;
	}
	conversation->id = json_get_string(entry, "uuid");
	conversation->name = json_string_of(json_get(entry, "name"));
	conversation->description = json_get_string(entry, "summary");
	conversation->is_starred = json_get_bool(entry, "is_starred");
	conversation->import = json_rest(entry, known);
	read_times(entry, conversation);
	tree_to_branches(nodes, json_get_string(entry, "current_leaf_message_uuid"), NIL,
					 claude_message, conversation);
}

/* ---------- Open WebUI ---------- */

static void
openwebui_message(Composer *composer, JsonbValue *message)
{
	static const char *const known[] = {
		"id", "parentId", "childrenIds", "role", "content", "timestamp", "files",
		"output", "error", NULL
	};
	const char *role = compose_role(json_string_of(json_get(message, "role")));
	JsonbValue *output = json_get(message, "output");

	if (role == NULL || role[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("a message does not say who speaks"),
				 errdetail("Its role is %s.", json_type_name(json_get(message, "role")))));
	compose_source(composer, role, json_get_string(message, "id"),
				   json_get_time(message, created_keys));
	keep_rest(composer, message, known);
	for (int i = 0; i < json_length(output); i++)
	{
		JsonbValue *item = json_element(output, i);

		if (json_is(json_get(item, "type"), "message"))
			compose_content(composer, json_get(item, "content"));
		else
			compose_any_part(composer, item);
	}
	if (json_length(output) == 0)
		compose_content(composer, json_get(message, "content"));
	read_files(composer, json_get(message, "files"));
	compose_key(composer, "error", json_get(message, "error"));
	compose_keys_alone(composer);
}

void
read_openwebui(JsonbValue *entry, Conversation *conversation)
{
	static const char *const known[] = {
		"id", "title", "chat", "history", "messages", "archived", "meta", NULL
	};
	JsonbValue *chat = json_is_object(json_get(entry, "chat")) ? json_get(entry, "chat") : entry;
	JsonbValue *messages = json_get_path(chat, "history.messages");
	JsonbValue *system = json_get_path(chat, "params.system");
	List	   *nodes = NIL;
	ListCell   *cell;

	if (!json_is_object(messages) && !json_is_array(json_get(chat, "messages")))
		refuse_no_messages("history.messages", messages);
	foreach(cell, json_pairs(messages))
	{
		JsonPair   *pair = lfirst(cell);

		require_object(pair->value, "a message");
		(void) add_node(&nodes, pair->key, json_get_string(pair->value, "parentId"), pair->value,
						json_get_time(pair->value, created_keys));
	}
	for (int i = 0; !json_is_object(messages) && i < json_length(json_get(chat, "messages")); i++)
	{
		JsonbValue *message = json_element(json_get(chat, "messages"), i);

		require_object(message, "a message");
		(void) add_node(&nodes, psprintf("#%d", i), i > 0 ? psprintf("#%d", i - 1) : NULL, message,
						json_get_time(message, created_keys));
	}
	if (system == NULL)
		system = json_get(chat, "system");
	conversation->id = json_get_string(entry, "id");
	conversation->name = json_get_string(entry, "title");
	if (conversation->name == NULL)
		conversation->name = json_get_string(chat, "title");
	conversation->is_archived = json_get_bool(entry, "archived");
	conversation->is_starred = json_get_bool(entry, "pinned");
	add_tags(conversation, json_get_path(entry, "meta.tags"));
	add_tags(conversation, json_get(chat, "tags"));
	conversation->settings = json_is_object(json_get(chat, "params")) ?
		json_get(chat, "params") : NULL;
	conversation->import = list_concat(json_rest(entry, known), json_rest(chat, known));
	read_times(entry, conversation);
	if (conversation->created_at == NO_TIME)
		conversation->created_at = json_time(json_get(chat, "timestamp"));
	tree_to_branches(nodes, json_string_of(json_get_path(chat, "history.currentId")),
					 json_string_of(system) != NULL ? list_make1(system) : NIL, openwebui_message,
					 conversation);
}

/* ---------- LibreChat ---------- */

static void
librechat_message(Composer *composer, JsonbValue *message)
{
	static const char *const known[] = {
		"messageId", "parentMessageId", "conversationId", "isCreatedByUser", "text", "content",
		"createdAt", "children", "files", "attachments", NULL
	};
	JsonbValue *content = json_get(message, "content");
	JsonbValue *by_user = json_get(message, "isCreatedByUser");

	if (by_user == NULL || by_user->type != jbvBool)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("a message does not say who speaks"),
				 errdetail("Its isCreatedByUser is %s.", json_type_name(by_user))));
	compose_source(composer, by_user->val.boolean ? "user" : "assistant",
				   json_get_string(message, "messageId"), json_get_time(message, created_keys));
	keep_rest(composer, message, known);
	if (json_length(content) > 0)
		compose_content(composer, content);
	else
		compose_content(composer, json_get(message, "text"));
	read_files(composer, json_get(message, "files"));
	read_files(composer, json_get(message, "attachments"));
}

/* The messages of a list, and those below them */
static void
librechat_nodes(List **nodes, JsonbValue *messages, const char *parent)
{
	check_stack_depth();
	for (int i = 0; i < json_length(messages); i++)
	{
		JsonbValue *message = json_element(messages, i);
		const char *id = json_get_string(message, "messageId");

		require_object(message, "a message");
		if (id == NULL)
			id = psprintf("#%d", list_length(*nodes));
		(void) add_node(nodes, id, parent != NULL ? parent :
						json_get_string(message, "parentMessageId"), message,
						json_get_time(message, created_keys));
		librechat_nodes(nodes, json_get(message, "children"), id);
	}
}

void
read_librechat(JsonbValue *entry, Conversation *conversation)
{
	static const char *const known[] = {
		"conversationId", "title", "messagesTree", "messages", NULL
	};
	JsonbValue *messages = json_get(entry, "messagesTree");
	JsonbValue *prompt = json_get_path(entry, "options.promptPrefix");
	List	   *nodes = NIL;

	if (messages == NULL)
		messages = json_get(entry, "messages");
	if (!json_is_array(messages))
		refuse_no_messages("messages", messages);
	librechat_nodes(&nodes, messages, NULL);
	conversation->id = json_get_string(entry, "conversationId");
	conversation->name = json_string_of(json_get(entry, "title"));
	conversation->settings = json_is_object(json_get(entry, "options")) ?
		json_get(entry, "options") : NULL;
	conversation->import = json_rest(entry, known);
	tree_to_branches(nodes, NULL, json_string_of(prompt) != NULL ? list_make1(prompt) : NIL,
					 librechat_message, conversation);
}

/* ---------- Google ---------- */

static void
aistudio_chunk(Composer *composer, JsonbValue *chunk)
{
	static const char *const known[] = {
		"role", "text", "parts", "createTime", "isThought", "thoughtSignatures", "driveImage",
		"driveDocument", "driveAudio", "driveVideo", "inlineImage", "inlineFile",
		"youtubeVideo", "executableCode", "codeExecutionResult", NULL
	};
	/* of these, the keys that are parts */
	const char *const *media = &known[6];
	const char *role = compose_role(json_string_of(json_get(chunk, "role")));

	require_object(chunk, "a chunk");
	if (role == NULL || role[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("a chunk does not say who speaks"),
				 errdetail("Its role is %s.", json_type_name(json_get(chunk, "role")))));
	compose_source(composer, role, NULL, json_get_time(chunk, created_keys));
	keep_rest(composer, chunk, known);
	if (json_get_bool(chunk, "isThought"))
	{
		static const char *const role_key[] = {"role", NULL};

		compose_part(composer, json_with_type(json_from_pairs(json_rest(chunk, role_key)),
											  "reasoning"));
		return;
	}
	for (int i = 0; media[i] != NULL; i++)
	{
		if (json_get(chunk, media[i]) != NULL)
		{
			List	   *pair = json_add_pair(NIL, media[i], json_get(chunk, media[i]));

			compose_part(composer, json_with_type(json_from_pairs(pair), media[i]));
		}
	}
	if (!json_says_nothing(json_get(chunk, "text")))
		compose_content(composer, json_get(chunk, "text"));
	else
		compose_content(composer, json_get(chunk, "parts"));
}

void
read_aistudio(JsonbValue *entry, Conversation *conversation)
{
	static const char *const known[] = {
		"runSettings", "systemInstruction", "chunkedPrompt", NULL
	};
	JsonbValue *chunks = json_get_path(entry, "chunkedPrompt.chunks");
	Composer   *composer = compose_begin();

	if (!json_is_array(chunks))
		refuse_no_messages("chunkedPrompt.chunks", chunks);
	compose_system(composer, json_get(entry, "systemInstruction"));
	for (int i = 0; i < json_length(chunks); i++)
		aistudio_chunk(composer, json_element(chunks, i));
	compose_end(composer);
	conversation->branches = list_make1(composer);
	conversation->id = json_get_string(entry, "id");
	conversation->settings = json_is_object(json_get(entry, "runSettings")) ?
		json_get(entry, "runSettings") : NULL;
	conversation->import = json_add_pair(json_rest(entry, known), "pendingInputs",
										 json_get_path(entry, "chunkedPrompt.pendingInputs"));
}

/* What the words before a prompt are, in Google's languages */
static const char *const prompt_words[] = {
	"Prompted ", "Asked ", "Prompt : ", "Prompt: ", "Said ", "Gefragt: ", "Demande : "
};

/* Names of characters in HTML */
static const struct
{
	const char *name;
	const char *text;
}			entities[] = {
	{"&amp;", "&"}, {"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&#39;", "'"},
	{"&nbsp;", " "}
};

/* HTML as text: without tags, a line for each paragraph */
static char *
html_text(const char *html)
{
	StringInfoData out;
	const char *last = strrchr(html, '>');	/* what begins behind it is no tag */

	initStringInfo(&out);
	while (*html != '\0')
	{
		const char *end = *html == '<' && last != NULL && html < last ? strchr(html, '>') : NULL;
		int			i = lengthof(entities);

		CHECK_FOR_INTERRUPTS();
		if (end != NULL)
		{
			if (strncmp(html, "<br", 3) == 0 || strncmp(html, "</p", 3) == 0 ||
				strncmp(html, "</li", 4) == 0 || strncmp(html, "</h", 3) == 0)
				appendStringInfoChar(&out, '\n');
			html = end + 1;
			continue;
		}
		for (i = 0; *html == '&' && i < lengthof(entities); i++)
		{
			if (strncmp(html, entities[i].name, strlen(entities[i].name)) == 0)
				break;
		}
		if (*html == '&' && i < lengthof(entities))
		{
			appendStringInfoString(&out, entities[i].text);
			html += strlen(entities[i].name);
		}
		else
			appendStringInfoChar(&out, *html++);
	}
	while (out.len > 0 && strchr("\n ", out.data[out.len - 1]) != NULL)
		out.data[--out.len] = '\0';
	return out.data;
}

void
read_takeout(JsonbValue *entry, Conversation *conversation)
{
	static const char *const known[] = {
		"title", "time", "safeHtmlItem", "attachedFiles", "imageFile", NULL
	};
	const char *title = json_get_string(entry, "title");
	JsonbValue *answers = json_get(entry, "safeHtmlItem");
	JsonbValue *files = json_get(entry, "attachedFiles");
	TimestampTz time = json_time(json_get(entry, "time"));
	Composer   *composer = compose_begin();
	bool		is_prompt = false;

	for (int i = 0; title != NULL && i < lengthof(prompt_words); i++)
	{
		if (strncmp(title, prompt_words[i], strlen(prompt_words[i])) != 0)
			continue;
		title += strlen(prompt_words[i]);
		is_prompt = true;
	}
	if (title == NULL || (!is_prompt && json_length(answers) == 0))
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("the entry is no conversation"),
				 errdetail("It has neither a prompt nor an answer.")));
	compose_source(composer, "user", NULL, time);
	compose_text(composer, title, NULL);
	for (int i = 0; i < json_length(files); i++)
	{
		List	   *part = json_add_pair(NIL, "type", json_new_string("file"));

		compose_part(composer, json_from_pairs(json_add_pair(part, "filename",
															 json_element(files, i))));
	}
	for (int i = 0; i < json_length(answers); i++)
	{
		char	   *html = json_get_string(json_element(answers, i), "html");

		compose_source(composer, "assistant", NULL, time);
		compose_metadata(composer, "html", json_new_string(html));
		compose_text(composer, html != NULL ? html_text(html) : NULL, NULL);
	}
	compose_end(composer);
	conversation->branches = list_make1(composer);
	conversation->name = title;
	conversation->created_at = time;
	conversation->import = json_rest(entry, known);
}
