/*
 * export.c
 *		A run taken out, in the forms that others read.
 *
 * Messages go through the normal form (convert.c), in which each call has its
 * result.  What a form cannot hold is left out; airun's own form holds everything:
 * the run, its messages with their ids and times, its tasks.  All of it is from the
 * caller's snapshot, and under the caller's rights.
 *
 * Nothing is locked.  Errors: PT404 for no such run, PT422 for a format that is
 * not known, 54000 for a document beyond 1 GB.
 */
#include "airun.h"

#include "catalog/pg_type.h"
#include "export/convert.h"
#include "export/export_forms.h"
#include "export/export_spans.h"
#include "json/json_text.h"
#include "run/run.h"
#include "store/args.h"
#include "store/plans.h"
#include "store/store.h"
#include "task/task.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(airun_export);

/* What is known of the run, in each row of its messages */
typedef struct RunHead
{
	const pg_uuid_t *run_id;
	char	   *id;
	char	   *name;			/* NULL for none */
	TimestampTz created_at;
	TimestampTz last_message_at;
} RunHead;

/* The run's head, or PT404 */
static RunHead
read_head(const pg_uuid_t *run_id)
{
	static Statement read = {
		"SELECT r.id::pg_catalog.text, r.name, r.created_at, r.last_message_at "
		"FROM airun.runs AS r WHERE " LIVE_RUN,
		1, {UUIDOID}
	};
	Args		args = {0};
	RunHead		head = {run_id};
	Datum		value;
	bool		isnull;

	arg_uuid(&args, run_id);
	if (statement_read(&read, &args, 1) != 1)
		run_not_found(run_id);
	head.id = TextDatumGetCString(result_value(0, 1, &isnull));
	value = result_value(0, 2, &isnull);
	if (!isnull)
		head.name = TextDatumGetCString(value);
	head.created_at = DatumGetTimestampTz(result_value(0, 3, &isnull));
	head.last_message_at = DatumGetTimestampTz(result_value(0, 4, &isnull));
	return head;
}

/* All messages of a run that is there */
static Conversation *
read_conversation(const pg_uuid_t *run_id)
{
	static Statement read = {
		"SELECT m.message, m.seq, m.message_id, m.created_at FROM airun.messages AS m "
		"WHERE m.run_id" EQ "$1 ORDER BY m.seq",
		1, {UUIDOID}
	};
	Conversation *conversation = conversation_begin();
	Args		args = {0};
	uint64		count;

	arg_uuid(&args, run_id);
	count = statement_read(&read, &args, 0);
	for (uint64 i = 0; i < count; i++)
	{
		bool		isnull;
		Jsonb	   *message = DatumGetJsonbP(result_value(i, 1, &isnull));
		int64		seq = DatumGetInt64(result_value(i, 2, &isnull));
		TimestampTz created_at = DatumGetTimestampTz(result_value(i, 4, &isnull));
		Datum		id = result_value(i, 3, &isnull);

		conversation_add(conversation, message, seq, isnull ? NULL : DatumGetTextPP(id),
						 created_at);
	}
	conversation_settle(conversation, false);
	return conversation;
}

/* ---------- documents ---------- */

static void
write_openai(StringInfo out, const RunHead *head, Conversation *conversation)
{
	appendStringInfoString(out, "{\"messages\":");
	conversation_write(out, conversation, ORIGIN_OPENAI);
	appendStringInfoChar(out, '}');
}

static void
write_responses(StringInfo out, const RunHead *head, Conversation *conversation)
{
	appendStringInfoString(out, "{\"input\":");
	conversation_write(out, conversation, ORIGIN_RESPONSES);
	appendStringInfoChar(out, '}');
}

static void
write_anthropic(StringInfo out, const RunHead *head, Conversation *conversation)
{
	int			begin = out->len;

	appendStringInfoString(out, "{\"system\":");
	if (!conversation_write_system(out, conversation, ORIGIN_ANTHROPIC))
	{
		out->len = begin;
		appendStringInfoChar(out, '{');
	}
	json_key(out, "messages");
	conversation_write(out, conversation, ORIGIN_ANTHROPIC);
	appendStringInfoChar(out, '}');
}

static void
write_gemini(StringInfo out, const RunHead *head, Conversation *conversation)
{
	int			begin = out->len;

	appendStringInfoString(out, "{\"systemInstruction\":");
	if (!conversation_write_system(out, conversation, ORIGIN_GEMINI))
	{
		out->len = begin;
		appendStringInfoChar(out, '{');
	}
	json_key(out, "contents");
	conversation_write(out, conversation, ORIGIN_GEMINI);
	appendStringInfoChar(out, '}');
}

static void
write_ai_sdk(StringInfo out, const RunHead *head, Conversation *conversation)
{
	appendStringInfoString(out, "{\"id\":");
	json_string(out, head->id);
	if (head->name != NULL)
		json_field(out, "title", head->name);
	json_key(out, "messages");
	ui_messages_write(out, conversation);
	appendStringInfoChar(out, '}');
}

static void
write_sharegpt(StringInfo out, const RunHead *head, Conversation *conversation)
{
	appendStringInfoString(out, "{\"id\":");
	json_string(out, head->id);
	json_key(out, "conversations");
	sharegpt_write(out, conversation);
	appendStringInfoChar(out, '}');
}

static void
write_otel(StringInfo out, const RunHead *head, Conversation *conversation)
{
	spans_write(out, head->run_id, head->created_at, head->last_message_at, conversation);
}

static void
write_markdown(StringInfo out, const RunHead *head, Conversation *conversation)
{
	appendStringInfo(out, "# %s\n", head->name != NULL ? head->name : head->id);
	markdown_write(out, conversation);
}

typedef struct Form
{
	const char *name;
	void		(*write) (StringInfo out, const RunHead *head, Conversation *conversation);
} Form;

/* NULL: airun's own, which does not go through the normal form */
static const Form forms[] = {
	{"openai", write_openai},
	{"responses", write_responses},
	{"anthropic", write_anthropic},
	{"gemini", write_gemini},
	{"ai-sdk", write_ai_sdk},
	{"sharegpt", write_sharegpt},
	{"otel", write_otel},
	{"markdown", write_markdown},
	{"airun", NULL},
};

/* The form of this name, or PT422 */
static const Form *
find_form(const char *name)
{
	for (int i = 0; i < lengthof(forms); i++)
	{
		if (pg_strcasecmp(name, forms[i].name) == 0)
			return &forms[i];
	}
	ereport(ERROR,
			(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
			 errmsg("unknown export format \"%s\"", excerpt(name, strlen(name))),
			 errhint("The formats are openai, responses, anthropic, gemini, ai-sdk, sharegpt, "
					 "otel, markdown and airun.")));
}

/* ---------- airun's own form ---------- */

/* Append the run, its messages and its tasks, each with all that it has; or PT404 */
static void
write_airun(StringInfo out, const pg_uuid_t *run_id, Oid function)
{
	static Statement read_run = {
		"SELECT pg_catalog.row_to_json(j) FROM (SELECT " RUN_WHOLE
		" FROM airun.runs AS r WHERE " LIVE_RUN ") AS j",
		1, {UUIDOID}
	};
	static Statement messages = {
		"SELECT pg_catalog.row_to_json(j) FROM (SELECT m.seq, m.message_id, m.task_id, "
		"m.created_at, m.message FROM airun.messages AS m WHERE m.run_id" EQ "$1 "
		"ORDER BY m.seq) AS j",
		1, {UUIDOID}
	};
	static Statement tasks = {
		"SELECT pg_catalog.row_to_json(j) FROM (SELECT " TASK_SUMMARY ", "
		"t.client_cost, t.usage_buckets, " REQUEST_DATA " AS request_data, "
		RESPONSE_TEXT " AS response_text, t.response_data FROM airun.tasks AS t "
		"WHERE t.run_id" EQ "$1 ORDER BY t.created_at, t.task_id) AS j",
		1, {UUIDOID}
	};
	Args		args = {0};
	bool		isnull;

	arg_uuid(&args, run_id);
	if (statement_read(&read_run, &args, 1) != 1)
		run_not_found(run_id);
	appendStringInfoString(out, "{\"format\":\"airun\",\"version\":1,\"run\":");
	appendStringInfoString(out, TextDatumGetCString(result_value(0, 1, &isnull)));
	appendStringInfoString(out, ",\"messages\":[");
	statement_stream_internal(&messages, &args, run_id, json_array_receiver(out));
	appendStringInfoString(out, "],\"tasks\":[");
	statement_in_extension(&tasks, function);
	statement_stream_internal(&tasks, &args, run_id, json_array_receiver(out));
	appendStringInfoString(out, "]}");
}

/*
 * airun_export(run_id, format) returns text
 */
Datum
airun_export(PG_FUNCTION_ARGS)
{
	pg_uuid_t  *run_id = run_id_argument(fcinfo, 0);
	const Form *form;
	StringInfoData out;

	form = find_form(PG_ARGISNULL(1) ? "openai" : text_to_cstring(PG_GETARG_TEXT_PP(1)));
	json_begin(&out);
	store_open(false);
	if (form->write == NULL)
		write_airun(&out, run_id, fcinfo->flinfo->fn_oid);
	else
	{
		RunHead		head = read_head(run_id);

		form->write(&out, &head, read_conversation(run_id));
	}
	store_close();
	PG_RETURN_DATUM(json_end(&out));
}
