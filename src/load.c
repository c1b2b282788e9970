/*
 * load.c
 *		From rows to JSON text, for the functions that load.
 *
 * What goes to a client is text in the end.  So the functions that load a
 * run send the rows of their query through a receiver that writes the text
 * at once: no row is kept, no jsonb array is built and taken apart again.
 */
#include "load.h"

#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "json.h"
#include "message.h"
#include "run.h"
#include "store.h"
#include "task.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(airun_get_run);

typedef struct JsonArrayReceiver
{
	DestReceiver pub;
	StringInfo	out;
	MemoryContext row_context;
	bool		first;
	bool		is_jsonb;		/* else json or text that is JSON already */
} JsonArrayReceiver;

/*
 * Begin a JSON result, in the current memory context, where it also grows.
 * The varlena header comes first, so that json_end() need not copy.
 */
void
json_begin(StringInfo out)
{
	initStringInfo(out);
	appendStringInfoSpaces(out, VARHDRSZ);
}

/* The finished result, of type json */
Datum
json_end(StringInfo out)
{
	SET_VARSIZE(out->data, out->len);
	return PointerGetDatum(out->data);
}

static void
receiver_startup(DestReceiver *self, int operation, TupleDesc typeinfo)
{
	JsonArrayReceiver *receiver = (JsonArrayReceiver *) self;

	receiver->first = true;
	receiver->is_jsonb = TupleDescAttr(typeinfo, 0)->atttypid == JSONBOID;
	receiver->row_context = AllocSetContextCreate(CurrentMemoryContext, "airun row",
												  ALLOCSET_DEFAULT_SIZES);
}

static bool
receiver_receive(TupleTableSlot *slot, DestReceiver *self)
{
	JsonArrayReceiver *receiver = (JsonArrayReceiver *) self;
	StringInfo	out = receiver->out;
	MemoryContext old_context = MemoryContextSwitchTo(receiver->row_context);
	struct varlena *value;
	bool		isnull;

	if (!receiver->first)
		appendStringInfoCharMacro(out, ',');
	receiver->first = false;

	value = PG_DETOAST_DATUM(slot_getattr(slot, 1, &isnull));
	if ((Size) out->len + VARSIZE(value) >= MaxAllocSize)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the messages of the run are too large for one JSON value"),
				 errhint("Read them in parts, with airun_messages(run_id, after_seq, max_messages).")));
	if (receiver->is_jsonb)
		json_append_container(out, &((Jsonb *) value)->root);
	else
		appendBinaryStringInfo(out, VARDATA(value), VARSIZE(value) - VARHDRSZ);

	MemoryContextSwitchTo(old_context);
	MemoryContextReset(receiver->row_context);
	return true;
}

static void
receiver_shutdown(DestReceiver *self)
{
	MemoryContextDelete(((JsonArrayReceiver *) self)->row_context);
}

static void
receiver_destroy(DestReceiver *self)
{
	pfree(self);
}

/*
 * A receiver that appends the first column of each row, with commas between
 * them: jsonb is written as text, json and text are taken as they are.
 */
DestReceiver *
json_array_receiver(StringInfo out)
{
	JsonArrayReceiver *receiver = palloc0_object(JsonArrayReceiver);

	receiver->pub.receiveSlot = receiver_receive;
	receiver->pub.rStartup = receiver_startup;
	receiver->pub.rShutdown = receiver_shutdown;
	receiver->pub.rDestroy = receiver_destroy;
	receiver->pub.mydest = DestNone;
	receiver->out = out;
	return (DestReceiver *) receiver;
}

/* ---------- a whole run ---------- */

#define LIVE_RUN	"r.id" EQ "$1 AND r.deleted_at IS NULL"

/*
 * The whole run but its messages and tasks, as a JSON object, or PT404.
 */
static char *
run_as_json(const pg_uuid_t *run_id)
{
	static Statement read_run = {
		"SELECT pg_catalog.row_to_json(j) FROM (SELECT " RUN_SUMMARY
		", r.settings, r.variable_values FROM airun.runs AS r WHERE " LIVE_RUN ") AS j",
		1, {UUIDOID}
	};
	Args		args = {0};
	bool		isnull;

	arg_uuid(&args, run_id);
	if (statement_read(&read_run, &args, 1) != 1)
		run_not_found(run_id);
	return TextDatumGetCString(result_value(0, 1, &isnull));
}

/*
 * airun_get_run(run_id, max_messages, include_requests) returns json
 *
 * The run's own columns, first_seq, messages and tasks, from one snapshot.
 * first_seq is the seq of the first message that is given, or null.
 */
Datum
airun_get_run(PG_FUNCTION_ARGS)
{
#define TASKS_OF_RUN(text_column, more) \
	"SELECT pg_catalog.row_to_json(j) FROM (SELECT " TASK_SUMMARY \
	", " text_column more " FROM airun.tasks AS t WHERE t.run_id" EQ "$1 " \
	"ORDER BY t.created_at, t.task_id) AS j"
	static Statement tasks = {
		TASKS_OF_RUN("CASE WHEN t.status" NE "'completed' THEN t.response_text END "
					 "AS response_text", ""),
		1, {UUIDOID}
	};
	static Statement tasks_with_requests = {
		TASKS_OF_RUN("t.response_text", ", t.request_data, t.response_data"),
		1, {UUIDOID}
	};
	pg_uuid_t  *run_id = run_id_argument(fcinfo, 0);
	bool		with_requests = !PG_ARGISNULL(2) && PG_GETARG_BOOL(2);
	MessageRange range = ALL_MESSAGES;
	StringInfoData out;
	Args		args = {0};
	int64		first_seq;
	char	   *run;

	range.max = message_limit(fcinfo, 1);
	range.from_end = true;
	json_begin(&out);
	store_open(false);

	run = run_as_json(run_id);
	appendBinaryStringInfo(&out, run, strlen(run) - 1);
	appendStringInfoString(&out, ",\"messages\":");
	first_seq = messages_as_json(&out, run_id, &range);
	appendStringInfoString(&out, ",\"first_seq\":");
	if (first_seq > 0)
		appendStringInfo(&out, INT64_FORMAT, first_seq);
	else
		appendStringInfoString(&out, "null");

	appendStringInfoString(&out, ",\"tasks\":[");
	arg_uuid(&args, run_id);
	statement_stream_own(with_requests ? &tasks_with_requests : &tasks, &args, run_id,
						 json_array_receiver(&out));
	appendStringInfoString(&out, "]}");

	store_close();
	PG_RETURN_DATUM(json_end(&out));
}
