/*
 * stream_read.c
 *		Following a task's text while it arrives.
 *
 * airun_stream_read() gives what follows a position, and can wait for it: it
 * looks again in growing intervals, each time with a new snapshot.  It writes
 * nothing and so works on a standby; what it holds while it waits is what any
 * statement holds that takes as long.
 *
 * A reader that waits answers before the server would cut its statement or its
 * transaction off, and only airun.max_waiting readers of a server wait at a
 * time: each has a connection for itself meanwhile.  Others are answered at once.
 *
 * Locks: none on rows.  Whoever waits holds one of the server's places for that,
 * an advisory lock that nobody waits for, until it goes on or fails.
 *
 * Errors: PT404 for a task that the caller cannot see; PT422 for values.
 */
#include "airun.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "run/run.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "store/store.h"
#include "task/position.h"
#include "task/task.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/timeout.h"
#include "utils/wait_event.h"

PG_FUNCTION_INFO_V1(airun_stream_read);

/* Milliseconds between two looks at a task that somebody waits for */
#define FIRST_PAUSE		10
#define LONGEST_PAUSE	200

/* How long before a limit of the server's a reader has its answer, in milliseconds */
#define LEAST_MARGIN	50
#define GREATEST_MARGIN	500

/* Places to wait are advisory locks of a class of their own; see chunk.c */
#define PLACE_CLASS		0x6177

/* ---------- a look ---------- */

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

/* The same with positions in UTF-16 units, for which the whole text is read */
static bool
look_in_utf16(const pg_uuid_t *run_id, const pg_uuid_t *task_id, int64 from, const Field *known,
			  Part *part)
{
	const Field any = {(Datum) 0, true};
	const char *data;
	Size		len;
	Size		skip;
	int64		wanted;

	(void) look_at(run_id, task_id, 0, &any, part);
	data = VARDATA_ANY(part->text);
	len = VARSIZE_ANY_EXHDR(part->text);
	wanted = !known->isnull && DatumGetInt32(known->value) != part->generation ? 0 : from;
	skip = text_clip_utf16(data, len, wanted, &part->from_position);
	part->position = part->from_position + text_count_utf16(data + skip, len - skip);
	part->text = cstring_to_text_with_len(data + skip, len - skip);
	return part->position > part->from_position || part->from_position != from ||
		task_is_final(part->status);
}

/* ---------- waiting ---------- */

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

/* The earlier of a time and of a limit of the server's, with a margin before it */
static TimestampTz
before_limit(TimestampTz deadline, TimestampTz now, TimeoutId limit)
{
	TimestampTz strikes;
	int64		left;
	int64		margin;

	if (!get_timeout_active(limit))
		return deadline;
	strikes = get_timeout_finish_time(limit);
	left = (strikes - now) / 1000;
	margin = Min(Max(left / 10, LEAST_MARGIN), GREATEST_MARGIN);
	return Min(deadline, TimestampTzPlusMilliseconds(strikes, -Min(margin, left / 2)));
}

/* By when a reader who may wait so long, in milliseconds, has its answer */
static TimestampTz
answer_by(long max_wait)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz deadline = TimestampTzPlusMilliseconds(now, max_wait);

	deadline = before_limit(deadline, now, STATEMENT_TIMEOUT);
#if PG_VERSION_NUM >= 170000
	deadline = before_limit(deadline, now, TRANSACTION_TIMEOUT);
#endif
	return deadline;
}

/*
 * Take one of the server's places to wait, whichever is free.  Returns false
 * where none is.  An error gives it back, as any lock.
 */
static bool
take_place(LOCKTAG *place)
{
	for (int i = 0; i < airun_max_waiting; i++)
	{
		uint32		number = ((uint32) MyProcPid + i) % airun_max_waiting;

		SET_LOCKTAG_ADVISORY(*place, InvalidOid, 0, number, PLACE_CLASS);
		if (LockAcquire(place, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL)
			return true;
	}
	return false;
}

/* The generation that the reader's position belongs to; one that cannot be is another */
static Field
generation_argument(FunctionCallInfo fcinfo, int argument)
{
	int64		generation = PG_ARGISNULL(argument) ? 0 : PG_GETARG_INT64(argument);

	if (generation < 0 || generation > PG_INT32_MAX)
		generation = -1;
	return (Field) {Int32GetDatum((int32) generation), PG_ARGISNULL(argument)};
}

/*
 * airun_stream_read(task_id, from_position, max_wait, generation, run_id, unit)
 * returns ai_stream_part
 *
 * What follows the first from_position characters or units, once there is something or
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
	Field		known = generation_argument(fcinfo, 3);
	TextUnit	unit = text_unit_argument(fcinfo, 5);
	LOCKTAG		place;
	bool		has_place = false;
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
				 errhint("It is how much of the text the reader has, as the call before "
						 "returned it.")));
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	result_check_type(desc, lengthof(values));
	desc = BlessTupleDesc(desc);

	deadline = answer_by(IsolationUsesXactSnapshot() ? 0 : max_wait);
	for (;;)
	{
		bool		is_new;
		long		left;

		/* Each look in an SPI procedure of its own: what it has read goes with it */
		store_open(false);
		if (!run_is_known)
			run_id = task_run_argument(fcinfo, 4, task_id);
		run_is_known = true;
		is_new = unit == UNIT_UTF16 ?
			look_in_utf16(&run_id, task_id, from, &known, &part) :
			look_at(&run_id, task_id, from, &known, &part);
		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline);
		if (is_new || left <= 0 || !(has_place || (has_place = take_place(&place))))
			break;
		store_close();
		pause_for(Min(pause, left));
		pause = Min(pause * 2, LONGEST_PAUSE);
	}

	if (has_place)
		LockRelease(&place, ExclusiveLock, false);
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
