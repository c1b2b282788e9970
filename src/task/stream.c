/*
 * stream.c
 *		Progress of a task.
 *
 * airun_update_task() takes the whole text so far, airun_stream_delta() only
 * the new piece; both store the new piece alone (chunk.c).  The task's row is
 * touched by the first progress, which moves it to streaming, and by the end.
 * Progress that comes late changes nothing and returns the task as it is.  In a
 * run that has been deleted meanwhile it is kept, since the run may be restored;
 * nobody reads it until then.
 *
 * UTF-16 cuts an emoji into two halves where two pieces meet.  The first half waits
 * in the task's row until its other half comes with the next piece; no reader sees
 * it before.  A half that stays alone is U+FFFD, or nothing at the text's end.
 *
 * Locks: progress takes the lock on the task's text, and the task's row where
 * it changes it.  Where a site has policies on runs or tasks for one command
 * alone, it also locks the task's row and holds the run against removal: that
 * is what makes the server apply the policies for changing them.  Otherwise
 * whoever sees them may change them, and a look is enough.
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
#include "json/json_text.h"
#include "mb/pg_wchar.h"
#include "run/run.h"
#include "store/definition.h"
#include "store/direct.h"
#include "store/identity.h"
#include "store/store.h"
#include "task/chunk.h"
#include "task/task.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(airun_update_task);
PG_FUNCTION_INFO_V1(airun_stream_delta);

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
static ColumnList progress_columns = {
	TABLE_TASKS, {"generation", "pending_half", TASK_SUMMARY_NAMES}
};
enum
{
	COLUMN_GENERATION,
	COLUMN_HALF,
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
	"WHERE r.id" EQ "$1 AND " THIS_TASK
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

/* ---------- characters that come in two halves ---------- */

/* The half that the text so far ends with, beside what is stored of it; 0 for none */
static int
pending_half(const Progress *progress)
{
	return progress->nulls[COLUMN_HALF] ? 0 : DatumGetInt32(progress->values[COLUMN_HALF]);
}

static void
set_pending_half(Progress *progress, int half)
{
	static Statement set_half = {
		"UPDATE airun.tasks AS t SET pending_half = $3 WHERE " THIS_TASK
		" AND t.status" EQ "'streaming'",
		3, {UUIDOID, UUIDOID, INT4OID}
	};
	Args		args = {0};

	arg_uuid(&args, &progress->run_id);
	arg_uuid(&args, progress->task_id);
	arg_add(&args, Int32GetDatum(half), half == 0);
	(void) statement_write_task(&set_half, &args, &progress->run_id, progress->task_id);
}

/* A text without the U+FFFD that it ends with: half a character, as drivers send it */
static text *
without_half(text *whole)
{
	const char *data = VARDATA_ANY(whole);
	int			len = VARSIZE_ANY_EXHDR(whole);

	if (GetDatabaseEncoding() != PG_UTF8 || len < 3 ||
		memcmp(data + len - 3, "\xEF\xBF\xBD", 3) != 0)
		return whole;
	return cstring_to_text_with_len(data, len - 3);
}

/* A text with a character in front of it: of these two halves, or one that is lost */
static text *
put_in_front(int high, int low, text *body)
{
	unsigned char character[MAX_UNICODE_EQUIVALENT_STRING + 1] = {0};
	pg_wchar	code = high != 0 && low != 0 ?
		0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00) : 0xFFFD;
	StringInfoData whole;

	if (GetDatabaseEncoding() == PG_UTF8)
		(void) unicode_to_utf8(code, character);
	else
		character[0] = '?';
	initStringInfo(&whole);
	appendStringInfoString(&whole, (char *) character);
	appendBinaryStringInfo(&whole, VARDATA_ANY(body), VARSIZE_ANY_EXHDR(body));
	return cstring_to_text_with_len(whole.data, whole.len);
}

/*
 * The piece is one that has come before, and begins with the second half of a
 * character that is whole by now: begin it with that character.  at: in UTF-16
 * units; false where there is no such character.
 */
static bool
begin_with_whole(Progress *progress, JsonPiece *piece, int64 *at)
{
	text	   *whole = *at > 0 && progress->stream.chars > 0 ?
		chunk_text(&progress->run_id, progress->task_id) : NULL;
	int64		clipped;
	Size		before;
	pg_wchar	code;

	if (whole == NULL || GetDatabaseEncoding() != PG_UTF8)
		return false;
	before = text_clip_utf16(VARDATA_ANY(whole), VARSIZE_ANY_EXHDR(whole), *at, &clipped);
	if (clipped != *at - 1 || before >= VARSIZE_ANY_EXHDR(whole))
		return false;
	code = utf8_to_unicode((unsigned char *) VARDATA_ANY(whole) + before);
	if (code < 0x10000 || 0xDC00 + ((code - 0x10000) & 0x3FF) != piece->low)
		return false;
	piece->body = put_in_front(0xD800 + ((code - 0x10000) >> 10), piece->low, piece->body);
	piece->low = 0;
	*at = clipped;
	return true;
}

/*
 * Append a piece that begins or ends within a character, or that follows half of
 * one.  JavaScript counts the half, too.  A half whose other half does not come is
 * U+FFFD, but where the piece is said to follow what stands before the half: then it
 * comes in its place.  Returns whether the text has grown.
 */
static bool
append_halves(Progress *progress, JsonPiece *piece, const Field *at, TextUnit unit)
{
	int			pending = pending_half(progress);
	int			half = pending;
	int64		length = chunk_length(&progress->run_id, progress->task_id,
									  &progress->stream, unit);
	int64		position = at->isnull ? length : DatumGetInt64(at->value);
	Field		place = *at;
	bool		is_behind = position == length || (half != 0 && position == length + 1);
	bool		grown;

	if (!is_behind)
	{
		/* It has come before, or it does not fit; what it ends with is there by now */
		if (piece->low != 0 && unit == UNIT_UTF16)
			(void) begin_with_whole(progress, piece, &position);
		place.value = Int64GetDatum(position);
		return chunk_append(&progress->run_id, progress->task_id, &progress->stream,
							piece->body, &place, unit);
	}
	if (piece->low == 0 && VARSIZE_ANY_EXHDR(piece->body) == 0 &&
		(piece->high == 0 || piece->high == half))
		return false;
	if (!at->isnull && position == length && piece->low == 0)
		half = 0;
	if (half != 0 || piece->low != 0)
		piece->body = put_in_front(half, piece->low, piece->body);
	place.value = Int64GetDatum(length);
	grown = chunk_append(&progress->run_id, progress->task_id, &progress->stream,
						 piece->body, &place, unit);
	if (piece->high != pending)
		set_pending_half(progress, piece->high);
	return grown;
}

/* ---------- the functions ---------- */

/*
 * airun_update_task(task_id, response_text, response_data, run_id)
 * returns ai_task_summary
 *
 * response_text is the whole text so far.  Half a character at its end, which
 * has become U+FFFD on its way, is left for the next call.  One that is the beginning of what
 * is stored came late: then nothing is kept of the call, response_data
 * neither.
 */
Datum
airun_update_task(PG_FUNCTION_ARGS)
{
	Progress	progress;
	text	   *whole = PG_ARGISNULL(1) ? NULL : without_half(PG_GETARG_TEXT_PP(1));
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
		if (grown && pending_half(&progress) != 0)
			set_pending_half(&progress, 0);
		if (!is_kept &&
			(whole == NULL || VARSIZE_ANY_EXHDR(whole) >= progress.stream.bytes))
			touch_task(&progress, &response_data);
	}
	PG_RETURN_DATUM(end_progress(fcinfo, &progress, grown));
}

/* The piece that a call brings, as text or as a JSON string */
static JsonPiece
piece_argument(FunctionCallInfo fcinfo, int as_text, int as_json)
{
	if (!PG_ARGISNULL(as_json))
	{
		if (!PG_ARGISNULL(as_text))
			ereport(ERROR,
					(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
					 errmsg("\"delta\" and \"delta_json\" are both given"),
					 errhint("Send the piece once, as text or as a JSON string.")));
		return json_parse_piece(PG_GETARG_TEXT_PP(as_json), ERRCODE_AIRUN_UNACCEPTABLE,
								"\"delta_json\"");
	}
	if (PG_ARGISNULL(as_text))
		refuse_null("delta");
	return (JsonPiece) {PG_GETARG_TEXT_PP(as_text), 0, 0};
}

/*
 * airun_stream_delta(task_id, delta, at, run_id, unit, delta_json)
 * returns ai_task_summary
 *
 * The piece is what follows the first at characters or units of the text; without
 * at, what follows all of it.  What has been stored of it before is not stored
 * again.
 */
Datum
airun_stream_delta(PG_FUNCTION_ARGS)
{
	Progress	progress;
	Field		none = {(Datum) 0, true};
	Field		at = argument_field(fcinfo, 2);
	TextUnit	unit = text_unit_argument(fcinfo, 4);
	JsonPiece	piece = piece_argument(fcinfo, 1, 5);
	bool		grown = false;

	begin_progress(fcinfo, 3, &progress);
	if (progress.status == TASK_PENDING)
		touch_task(&progress, &none);
	if (progress.status == TASK_STREAMING)
		grown = pending_half(&progress) != 0 || piece.low != 0 || piece.high != 0 ?
			append_halves(&progress, &piece, &at, unit) :
			chunk_append(&progress.run_id, progress.task_id, &progress.stream,
						 piece.body, &at, unit);
	PG_RETURN_DATUM(end_progress(fcinfo, &progress, grown));
}
