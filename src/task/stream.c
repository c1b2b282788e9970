/*
 * stream.c
 *		Progress of a task, and following it while it runs.
 *
 * airun_update_task() takes the whole text so far, airun_stream_delta() only
 * the new piece; both store the new piece alone (chunk.c).  The task's row is
 * touched by the first progress, which moves it to streaming, and by the end.
 * Progress that comes late changes nothing and returns the task as it is.
 *
 * airun_stream_read() gives what follows a position, and can wait for it: it
 * looks again in growing intervals, each time with a new snapshot.  It writes
 * nothing and so works on a standby; what it holds while it waits is what any
 * statement holds that takes as long.
 *
 * Locks: progress takes the lock on the task's text, and the task's row where
 * it changes it.  Where a site has policies on runs or tasks for one command
 * alone, it also locks the task's row and holds the run against removal: that
 * is what makes the server apply the policies for changing them.  Otherwise
 * whoever sees them may change them, and a look is enough.  Reading locks
 * nothing.
 *
 * Errors: PT404 for a task that the caller cannot change, or see; PT409 for a
 * piece that does not fit; PT422 for values.
 */
#include "airun.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "run/run.h"
#include "storage/latch.h"
#include "store/definition.h"
#include "store/direct.h"
#include "store/identity.h"
#include "store/store.h"
#include "task/chunk.h"
#include "task/task.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"

PG_FUNCTION_INFO_V1(airun_update_task);
PG_FUNCTION_INFO_V1(airun_stream_delta);
PG_FUNCTION_INFO_V1(airun_stream_read);

/* Milliseconds between two looks at a task that somebody waits for */
#define FIRST_PAUSE		10
#define LONGEST_PAUSE	200

/* ---------- commit without waiting ---------- */

/*
 * Where the WAL of this transaction ended when it held nothing but progress;
 * 0 where it holds something else.
 */
static XLogRecPtr progress_end = 0;

/*
 * At commit: a transaction in which nothing has been written behind our
 * progress, triggers at the commit included, need not wait for the disk.  The
 * setting goes back to what it was when the transaction is over.
 */
static void
commit_progress(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_PRE_COMMIT && progress_end != 0 &&
		progress_end == XactLastRecEnd && synchronous_commit > SYNCHRONOUS_COMMIT_OFF)
		(void) set_config_option("synchronous_commit", "off", PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_LOCAL, true, 0, false);
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT ||
		event == XACT_EVENT_PREPARE)
		progress_end = 0;
}

/*
 * Does the transaction hold nothing but progress so far?  Asked before a save.
 * What a site's own trigger writes along with it is something else.
 */
static bool
only_progress(void)
{
	static bool callback_registered = false;

	if (!airun_async_progress)
		return false;
	if (!callback_registered)
	{
		RegisterXactCallback(commit_progress, NULL);
		callback_registered = true;
	}
	if (store_has_site_trigger(TABLE_TASKS) || store_has_site_trigger(TABLE_CHUNKS))
		return false;
	return progress_end != 0 ? progress_end == XactLastRecEnd :
		!TransactionIdIsValid(GetTopTransactionIdIfAny());
}

/* ---------- progress ---------- */

/* The columns that are read of a task */
static ColumnList progress_columns = {TABLE_TASKS, {"generation", TASK_SUMMARY_NAMES}};
enum
{
	COLUMN_GENERATION,
	SUMMARY,
	PROGRESS_COUNT = SUMMARY + Natts_task_summary
};

/* A task that progress is for, its text locked */
typedef struct Progress
{
	pg_uuid_t	run_id;
	pg_uuid_t  *task_id;
	TaskStatus	status;
	Stream		stream;
	bool		only_progress;
	ItemPointerData place;		/* of its row; invalid where that is not known */
	Datum		values[PROGRESS_COUNT];
	bool		nulls[PROGRESS_COUNT];
} Progress;

/* The values are there */
static void
know_status(Progress *progress)
{
	progress->status = task_status_word(
		DatumGetTextPP(progress->values[SUMMARY + Anum_task_summary_status - 1]));
}

/* From a row of these columns */
static void
take_row(Progress *progress, const ResultRow *row)
{
	ItemPointerSetInvalid(&progress->place);
	result_row_values(row, progress->values, progress->nulls);
	know_status(progress);
}

/*
 * The usual case of read_task(): seeing is changing, and both rows can be found
 * without a plan.  Returns false for any other.
 */
static bool
find_task(Progress *progress)
{
	DirectScan	run;
	DirectScan	task;
	bool		found = false;

	if (!store_is_granted(TABLE_TASKS, ACL_SELECT | ACL_UPDATE) ||
		!direct_scan_run(&run, AccessShareLock, &progress->run_id))
		return false;
	/* one snapshot does: where a table has been written anew since, it shows nothing */
	if (direct_scan_begin(&task, TASKS_KEY, AccessShareLock, &progress->run_id,
						  progress->task_id, run.snapshot))
	{
		found = task.row != NULL &&
			direct_scan_values(&task, &progress_columns, progress->values, progress->nulls);
		if (found)
		{
			progress->place = task.row->t_self;
			know_status(progress);
		}
		direct_scan_end(&task);
	}
	direct_scan_end(&run);
	return found;
}

/*
 * Read how the task stands, under the caller's right to see its run, or to
 * change it.  Where a snapshot lasts as long as the transaction, a task that has
 * been changed since is 40001, as by any statement that would change it.
 */
static void
read_task(Progress *progress, bool to_change)
{
#define READ_TASK \
	"SELECT " COLUMNS " FROM airun.runs AS r, airun.tasks AS t " \
	"WHERE " LIVE_RUN " AND " THIS_TASK
	static Statement look = {READ_TASK, 2, {UUIDOID, UUIDOID}, &progress_columns};
	static Statement hold = {
		READ_TASK " FOR KEY SHARE OF r FOR NO KEY UPDATE OF t", 2, {UUIDOID, UUIDOID},
		&progress_columns
	};
	bool		keeps_snapshot = IsolationUsesXactSnapshot();
	bool		holds = to_change && (keeps_snapshot || !store_seeing_is_changing());
	ResultRow	row;
	Args		args = {0};

	if (!keeps_snapshot && find_task(progress))
		return;
	arg_uuid(&args, &progress->run_id);
	arg_uuid(&args, progress->task_id);
	if (statement_write_internal(holds ? &hold : &look, &args, &progress->run_id) != 1)
		task_not_found(progress->task_id);
	row = result_row();
	take_row(progress, &row);
}

/* How far has the text come? */
static void
find_text(Progress *progress)
{
	if (progress->status != TASK_STREAMING ||
		!chunk_find(&progress->run_id, progress->task_id, &progress->stream))
		chunk_begin(&progress->stream, DatumGetInt32(progress->values[COLUMN_GENERATION]));
}

static void
begin_progress(FunctionCallInfo fcinfo, int run_argument, Progress *progress)
{
	progress->task_id = task_id_argument(fcinfo, 0);
	store_open(true);
	progress->run_id = task_run_argument(fcinfo, run_argument, progress->task_id);
	progress->only_progress = only_progress();
	if (!chunk_try_lock(&progress->run_id, progress->task_id))
	{
		/* Who may not see the task is not to learn from waiting that it is there */
		read_task(progress, false);
		chunk_lock(&progress->run_id, progress->task_id);
	}
	read_task(progress, true);
	find_text(progress);
}

/*
 * Move a task to streaming, if it is pending, and fix the time to the first
 * token; with data, keep that, too.
 */
static void
touch_task(Progress *progress, const Field *response_data)
{
	static Statement touch = {
		"UPDATE airun.tasks AS t SET status = 'streaming', "
		"response_data = COALESCE($3, t.response_data), "
		"time_to_first_token = COALESCE(t.time_to_first_token, GREATEST(0, "
		"pg_catalog.round((EXTRACT(EPOCH FROM $4)" MINUS "EXTRACT(EPOCH FROM t.created_at))"
		" OPERATOR(pg_catalog.*) 1000, 3))), "
		"updated_at = GREATEST(t.updated_at, $4) "
		"WHERE " THIS_TASK " AND (t.status" EQ "'pending' OR t.status" EQ "'streaming') "
		"RETURNING " COLUMNS,
		4, {UUIDOID, UUIDOID, JSONBOID, TIMESTAMPTZOID}, &progress_columns
	};
	static RowWrite touch_at_once = {
		.table = TABLE_TASKS,
		.key_count = 2,
		.keys = {TASK_KEYS},
		.returning = &progress_columns
	};
	TimestampTz now = GetCurrentTimestamp();
	ResultRow	row;
	Args		args = {0};

	if (touch_at_once.column_count == 0)
	{
		task_write_add(&touch_at_once, Anum_tasks_status, WRITE_SET);
		task_write_add(&touch_at_once, Anum_tasks_response_data, WRITE_IF_GIVEN);
		task_write_add(&touch_at_once, Anum_tasks_time_to_first_token, WRITE_IF_GIVEN);
		task_write_add(&touch_at_once, Anum_tasks_updated_at, WRITE_LATEST);
	}
	if (ItemPointerIsValid(&progress->place))
	{
		const Datum *summary = progress->values + SUMMARY;
		TaskRow		touched;
		Args		values = {0};

		task_row_begin(&touched, &progress->run_id, progress->task_id);
		task_row_set(&touched, Anum_tasks_status,
					 PointerGetDatum(cstring_to_text(task_status_name(TASK_STREAMING))), false);
		task_row_field(&touched, Anum_tasks_response_data, response_data);
		if (progress->nulls[SUMMARY + Anum_task_summary_time_to_first_token - 1])
			task_row_set(&touched, Anum_tasks_time_to_first_token, NumericGetDatum(task_elapsed(
				DatumGetTimestampTz(summary[Anum_task_summary_created_at - 1]), now)), false);
		task_row_set(&touched, Anum_tasks_updated_at, TimestampTzGetDatum(now), false);
		task_write_args(&touch_at_once, &touched, &values);
		if (direct_update(&touch_at_once, &values, &progress->place, &row))
		{
			take_row(progress, &row);
			return;
		}
	}
	arg_uuid(&args, &progress->run_id);
	arg_uuid(&args, progress->task_id);
	arg_field(&args, response_data);
	arg_time(&args, now);
	if (statement_write_task(&touch, &args, &progress->run_id, progress->task_id) == 1)
	{
		row = result_row();
		take_row(progress, &row);
	}
	else
	{
		/* Past the functions it has been ended meanwhile: then this is late */
		read_task(progress, true);
		find_text(progress);
	}
}

/* Returns the task's summary as it stands after the progress */
static Datum
end_progress(FunctionCallInfo fcinfo, Progress *progress, bool grown)
{
	const Stream *stream = &progress->stream;
	Datum	   *summary = progress->values + SUMMARY;
	Datum		result;

	if (stream->chars > 0)
	{
		/* The last chunk tells when it was last changed, and how long its text is */
		TimestampTz updated_at = DatumGetTimestampTz(summary[Anum_task_summary_updated_at - 1]);

		summary[Anum_task_summary_updated_at - 1] =
			TimestampTzGetDatum(Max(updated_at, stream->saved_at));
		summary[Anum_task_summary_response_length - 1] = Int64GetDatum(stream->chars);
	}
	if (grown)
		task_notify(&progress->run_id, progress->task_id, TASK_STREAMING,
					stream->chars, stream->generation);
	if (progress->only_progress)
		progress_end = XactLastRecEnd;
	result = composite_result(fcinfo, summary, progress->nulls + SUMMARY, Natts_task_summary);
	store_close();
	return result;
}

/*
 * airun_update_task(task_id, response_text, response_data, run_id)
 * returns ai_task_summary
 *
 * response_text is the whole text so far.  One that is the beginning of what
 * is stored came late: then nothing is kept of the call, response_data
 * neither.
 */
Datum
airun_update_task(PG_FUNCTION_ARGS)
{
	Progress	progress;
	text	   *whole = PG_ARGISNULL(1) ? NULL : PG_GETARG_TEXT_PP(1);
	Field		response_data = json_argument(fcinfo, 2);
	bool		is_kept = response_data.isnull;
	bool		grown = false;

	begin_progress(fcinfo, 3, &progress);
	if (progress.status == TASK_PENDING)
	{
		touch_task(&progress, &response_data);
		is_kept = true;
	}
	if (progress.status == TASK_STREAMING)
	{
		if (whole != NULL)
			grown = chunk_put(&progress.run_id, progress.task_id, &progress.stream, whole);
		if (!is_kept &&
			(whole == NULL || VARSIZE_ANY_EXHDR(whole) >= progress.stream.bytes))
			touch_task(&progress, &response_data);
	}
	PG_RETURN_DATUM(end_progress(fcinfo, &progress, grown));
}

/*
 * airun_stream_delta(task_id, delta, at, run_id) returns ai_task_summary
 *
 * delta is what follows the first at characters of the text; without at, what
 * follows all of it.  What has been stored of it before is not stored again.
 */
Datum
airun_stream_delta(PG_FUNCTION_ARGS)
{
	Progress	progress;
	Field		none = {(Datum) 0, true};
	Field		at = argument_field(fcinfo, 2);
	bool		grown = false;

	if (PG_ARGISNULL(1))
		refuse_null("delta");
	begin_progress(fcinfo, 3, &progress);
	if (progress.status == TASK_PENDING)
		touch_task(&progress, &none);
	if (progress.status == TASK_STREAMING)
		grown = chunk_append(&progress.run_id, progress.task_id, &progress.stream,
							 PG_GETARG_TEXT_PP(1), &at);
	PG_RETURN_DATUM(end_progress(fcinfo, &progress, grown));
}

/* ---------- following ---------- */

/* What a look at a task gives: a row of ai_stream_part */
typedef struct Part
{
	text	   *text;
	int64		from_position;
	int64		position;
	int32		generation;
	TaskStatus	status;
} Part;

/* The text behind the first skip characters */
static text *
text_behind(text *whole, int64 skip)
{
	int			bytes = skip >= VARSIZE_ANY_EXHDR(whole) ? VARSIZE_ANY_EXHDR(whole) :
		pg_mbcharcliplen(VARDATA_ANY(whole), VARSIZE_ANY_EXHDR(whole), skip);

	return cstring_to_text_with_len(VARDATA_ANY(whole) + bytes,
									VARSIZE_ANY_EXHDR(whole) - bytes);
}

/*
 * Look at a task, by one statement with a snapshot of its own.  known: the
 * generation that the position belongs to, NULL where the reader does not
 * say; in another one the reader begins anew.  Returns whether there is
 * something new.
 */
static bool
look_at(const pg_uuid_t *run_id, const pg_uuid_t *task_id, int64 from, const Field *known,
		Part *part)
{
	/* The chunks from the one on that the position is in */
	static Statement look = {
		"SELECT COALESCE(c.generation, t.generation), t.status, "
		"COALESCE(c.chars, t.response_length), "
		"COALESCE(t.response_text, (SELECT pg_catalog.string_agg(k.chunk, '' ORDER BY k.chars) "
		"FROM airun.task_chunks AS k WHERE k.run_id" EQ "t.run_id AND k.task_id" EQ "t.task_id "
		"AND k.chars" GT "CASE WHEN c.generation" NE "$4 THEN 0 ELSE $3 END)), "
		"(SELECT a.message FROM airun.messages AS a WHERE t.text_in_answer "
		"AND a.run_id" EQ "t.run_id AND a.seq" EQ "t.answer_seq) "
		"FROM airun.runs AS r, airun.tasks AS t LEFT JOIN LATERAL "
		"(SELECT k.generation, k.chars FROM airun.task_chunks AS k "
		"WHERE k.run_id" EQ "t.run_id AND k.task_id" EQ "t.task_id "
		"ORDER BY k.chars DESC LIMIT 1) AS c ON true "
		"WHERE " LIVE_RUN " AND " THIS_TASK,
		4, {UUIDOID, UUIDOID, INT8OID, INT4OID}
	};
	int			column = 0;
	Args		args = {0};
	text	   *have = NULL;
	Datum		value;
	bool		isnull;

	arg_uuid(&args, run_id);
	arg_uuid(&args, task_id);
	arg_int64(&args, from);
	arg_field(&args, known);
	if (statement_write_internal(&look, &args, run_id) != 1)
		task_not_found(task_id);
	part->generation = DatumGetInt32(result_value(0, ++column, &isnull));
	part->text = cstring_to_text("");
	part->status = task_status_word(DatumGetTextPP(result_value(0, ++column, &isnull)));
	part->position = DatumGetInt64(result_value(0, ++column, &isnull));
	part->from_position = !known->isnull && DatumGetInt32(known->value) != part->generation ?
		0 : Min(from, part->position);

	value = result_value(0, ++column, &isnull);
	if (!isnull)
		have = DatumGetTextPP(value);
	value = result_value(0, ++column, &isnull);
	if (!isnull)
		have = message_text(DatumGetJsonbP(value));
	if (have == NULL)
		have = cstring_to_text("");

	/*
	 * What we have ends at the position, wherever it begins.  Where a site hides
	 * the message that the text is in, there is none for the reader.
	 */
	if (part->position - text_chars(have) > part->from_position)
		part->position = part->from_position;
	else
		part->text = text_behind(have,
								 part->from_position - (part->position - text_chars(have)));
	return part->position > part->from_position || part->from_position != from ||
		task_is_final(part->status);
}

/* Sleep, until it is time to look again */
static void
pause_for(long milliseconds)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 milliseconds, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/* How long the caller wants to wait, in milliseconds, and may */
static long
wait_argument(FunctionCallInfo fcinfo, int argument)
{
	Interval   *max_wait;
	int64		milliseconds;

	if (PG_ARGISNULL(argument))
		return 0;
	max_wait = PG_GETARG_INTERVAL_P(argument);
	if (max_wait->month != 0 || max_wait->day != 0)
		milliseconds = max_wait->month < 0 || max_wait->day < 0 ? -1 : airun_max_wait;
	else
		milliseconds = max_wait->time < 0 ? -1 : max_wait->time / 1000;
	if (milliseconds < 0)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("\"max_wait\" must not be negative"),
				 errdetail("Found %s.",
						   DatumGetCString(DirectFunctionCall1(interval_out,
															   PG_GETARG_DATUM(argument)))),
				 errhint("Leave it out to have what is there at once.")));
	return Min(milliseconds, airun_max_wait);
}

/*
 * airun_stream_read(task_id, from_position, max_wait, generation, run_id)
 * returns ai_stream_part
 *
 * What follows the first from_position characters, once there is something or
 * the task has ended, but after max_wait (an interval, at most airun.max_wait)
 * as it is.  Where a snapshot lasts as long as the transaction there is
 * nothing to wait for.
 */
Datum
airun_stream_read(PG_FUNCTION_ARGS)
{
	pg_uuid_t  *task_id = task_id_argument(fcinfo, 0);
	int64		from = PG_ARGISNULL(1) ? 0 : PG_GETARG_INT64(1);
	long		max_wait = wait_argument(fcinfo, 2);
	Field		known = argument_field(fcinfo, 3);
	TimestampTz deadline;
	long		pause = FIRST_PAUSE;
	MemoryContext look_context;
	MemoryContext call_context = CurrentMemoryContext;
	TupleDesc	desc;
	pg_uuid_t	run_id;
	bool		run_is_known = false;
	Part		part;
	Datum		values[5];
	bool		nulls[5] = {false};

	if (from < 0)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("\"from_position\" must not be negative"),
				 errdetail("Found " INT64_FORMAT ".", from),
				 errhint("It is how many characters the reader has.")));
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	result_check_type(desc, lengthof(values));
	desc = BlessTupleDesc(desc);

	deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
										   IsolationUsesXactSnapshot() ? 0 : max_wait);
	for (;;)
	{
		long		left;

		/* Each look in an SPI procedure of its own: what it has read goes with it */
		store_open(false);
		if (!run_is_known)
			run_id = task_run_argument(fcinfo, 4, task_id);
		run_is_known = true;
		if (look_at(&run_id, task_id, from, &known, &part) ||
			(left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline)) <= 0)
			break;
		store_close();
		pause_for(Min(pause, left));
		pause = Min(pause * 2, LONGEST_PAUSE);
	}

	look_context = MemoryContextSwitchTo(call_context);
	values[0] = datumCopy(PointerGetDatum(part.text), false, -1);
	values[1] = Int64GetDatum(part.from_position);
	values[2] = Int64GetDatum(part.position);
	values[3] = Int32GetDatum(part.generation);
	values[4] = CStringGetTextDatum(task_status_name(part.status));
	MemoryContextSwitchTo(look_context);
	store_close();
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}
