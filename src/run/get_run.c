/*
 * get_run.c
 *		A whole run in one round trip: what a client loads to continue it.
 *
 * The run, its messages and its tasks come from one snapshot, the caller's.
 * Nothing is locked.  Errors: PT404 for no such run, PT422 for an argument.
 */
#include "airun.h"

#include "catalog/pg_type.h"
#include "json/json_text.h"
#include "run/message.h"
#include "run/run.h"
#include "store/plans.h"
#include "store/store.h"
#include "task/task.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(airun_get_run);

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
	", " text_column " AS response_text" more " FROM airun.tasks AS t WHERE t.run_id" EQ "$1 " \
	"ORDER BY t.created_at, t.task_id) AS j"
	static Statement tasks = {
		TASKS_OF_RUN("CASE WHEN t.status" NE "'completed' THEN " RESPONSE_TEXT " END", ""),
		1, {UUIDOID}
	};
	static Statement tasks_with_requests = {
		TASKS_OF_RUN(RESPONSE_TEXT,
					 ", " REQUEST_DATA " AS request_data, t.response_data"),
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
	statement_in_extension(&tasks, fcinfo->flinfo->fn_oid);
	statement_in_extension(&tasks_with_requests, fcinfo->flinfo->fn_oid);
	statement_stream_internal(with_requests ? &tasks_with_requests : &tasks, &args, run_id,
						 json_array_receiver(&out));
	appendStringInfoString(&out, "]}");

	store_close();
	PG_RETURN_DATUM(json_end(&out));
}
