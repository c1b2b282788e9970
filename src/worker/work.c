/*
 * work.c
 *		One round of upkeep: what airun_work() does, and the worker.
 *
 * A round does the steps of steps.c in their order.  A step goes on, in transactions
 * of its own, until it has no more to do or its share of the time is over; what is
 * left is the next round's.  What it has come to stands in airun.worker_status, where
 * its beginning is committed before the work, so that a crash shows.  A step that fails takes
 * nothing with it but its last transaction: the others are done all the same, and it is
 * tried again after a minute, two, four, and so on up to an hour.
 *
 * Everything is done in the name of the store's owner, within a security-restricted
 * operation, whoever calls: a site's triggers run as that role, and leave nothing behind
 * that would run as the caller.  What they defer is done at once.
 *
 * Only one round at a time: another one in the same database returns at once, and waits
 * for nobody.
 *
 * Locks: an advisory lock of a class of our own, by session, while a round lasts; those of
 * the functions that it calls, for less than a second each; no lock is waited for longer
 * than that.
 *
 * Errors: 42501 for everybody but the owner of the store; 25001 within a transaction;
 * 25006 on a standby; PT422 for a time that is none.
 */
#include "worker/work.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "commands/trigger.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "store/args.h"
#include "store/store.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"
#include "worker/steps.h"

PG_FUNCTION_INFO_V1(airun_work);

/* The class of our advisory lock, which pg_locks shows as objsubid */
#define LOCK_CLASS	0x6164

/* The longest that one transaction of a step may take, in milliseconds */
#define MAX_CALL_MS		(30 * 1000)

/* What a step is told in its name: its lock_timeout */
#define LOCK_TIMEOUT	"1s"

/* After a failure it is tried again in so many seconds, then in twice as many, up to an hour */
#define RETRY_AFTER		60
#define MAX_RETRY_AFTER	3600

/* The longest error that is kept, in bytes */
#define MAX_ERROR		1000

/* One step in a round */
typedef struct Progress
{
	Step	   *step;
	int64		rows;
	int64		last_rows;		/* of the last call */
	char	   *position;		/* where that has come to, or NULL */
	bool		has_moved;		/* from where it was before */
	int32		failures;		/* in a row, before this round */
	TimestampTz retry_at;		/* not before then, if it is more than 0 */
	TimestampTz begun;
	bool		is_done;
	ErrorData  *error;
} Progress;

/* What is done in the owner's name */
typedef void (*Work) (Progress *progress);

/* ---------- in the owner's name, and in time ---------- */

static TimeoutId call_timer;
static bool call_timer_is_registered = false;
static volatile sig_atomic_t call_took_too_long = false;

static void
call_time_is_up(void)
{
	call_took_too_long = true;
	QueryCancelPending = true;
	InterruptPending = true;
	SetLatch(MyLatch);
}

static void
start_timer(void)
{
	if (!call_timer_is_registered)
	{
		call_timer = RegisterTimeout(USER_TIMEOUT, call_time_is_up);
		call_timer_is_registered = true;
	}
	call_took_too_long = false;
	enable_timeout_after(call_timer, MAX_CALL_MS);
}

/* It may have struck between the end of the call and this */
static void
stop_timer(void)
{
	disable_timeout(call_timer, false);
	if (call_took_too_long)
		QueryCancelPending = false;
}

/* Become the owner of the store, in the transaction that has begun */
static void
become_owner(void)
{
	ConstraintsSetStmt *immediately = makeNode(ConstraintsSetStmt);
	Oid			owner = store_table_owner("worker_status");
	Oid			user;
	int			context;

	/* a restricted operation refuses what is deferred */
	AfterTriggerSetState(immediately);

	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(owner, context | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION | SECURITY_NOFORCE_RLS);
	(void) set_config_option("search_path", "", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
	(void) set_config_option("lock_timeout", LOCK_TIMEOUT, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/*
 * Do a piece of work in the owner's name, in a subtransaction.  Returns what went
 * wrong, or NULL.  Somebody's request to cancel goes on to whoever has called us.
 */
static ErrorData *
try_as_owner(Work work, Progress *progress)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner resources = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;
	Oid			user;
	int			security;

	GetUserIdAndSecContext(&user, &security);
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	start_timer();
	PG_TRY();
	{
		int			level = NewGUCNestLevel();

		become_owner();
		PushActiveSnapshot(GetTransactionSnapshot());
		work(progress);
		PopActiveSnapshot();
		AtEOXact_GUC(false, level);
		SetUserIdAndSecContext(user, security);
		stop_timer();
		ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		stop_timer();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
	}
	PG_END_TRY();
	CurrentResourceOwner = resources;
	if (error != NULL && error->sqlerrcode == ERRCODE_QUERY_CANCELED)
	{
		if (!call_took_too_long)
			ReThrowError(error);
		error->message = psprintf("it took longer than %d ms", MAX_CALL_MS);
	}
	return error;
}

/* The same for what is not to fail */
static void
do_as_owner(Work work, Progress *progress)
{
	ErrorData  *error = try_as_owner(work, progress);

	if (error != NULL)
		ReThrowError(error);
}

/* ---------- airun.worker_status ---------- */

/* A text of the last result, where it outlives that, or NULL */
static char *
text_result(uint64 row, int column)
{
	bool		isnull;
	Datum		value = result_value(row, column, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

static void
read_status(Progress *progress)
{
	static Statement read = {
		"SELECT w.failures, w.retry_at, w.position FROM airun.worker_status AS w "
		"WHERE w.step" EQ "$1",
		1, {TEXTOID}
	};
	Args		args = {0};
	bool		isnull;

	arg_pointer(&args, cstring_to_text(progress->step->name));
	if (statement_write(&read, &args) != 1)
		return;
	progress->failures = DatumGetInt32(result_value(0, 1, &isnull));
	progress->retry_at = DatumGetTimestampTz(result_value(0, 2, &isnull));
	if (isnull)
		progress->retry_at = 0;
	progress->position = text_result(0, 3);
}

static void
note_beginning(Progress *progress)
{
	static Statement note = {
		"INSERT INTO airun.worker_status AS w (step, last_started) VALUES ($1, $2) "
		"ON CONFLICT (step) DO UPDATE SET last_started = excluded.last_started",
		2, {TEXTOID, TIMESTAMPTZOID}
	};
	Args		args = {0};

	arg_pointer(&args, cstring_to_text(progress->step->name));
	arg_time(&args, progress->begun);
	(void) statement_write(&note, &args);
}

/* The step, and the figures of what it has done */
static void
add_figures(Args *args, const Progress *progress, TimestampTz now)
{
	arg_pointer(args, cstring_to_text(progress->step->name));
	arg_time(args, now);
	arg_int64(args, progress->rows);
	arg_int64(args, TimestampDifferenceMilliseconds(progress->begun, now));
	arg_pointer(args, progress->position == NULL ? NULL : cstring_to_text(progress->position));
}

/* How much a step has left to do, as far as that is known */
static void
add_backlog(Args *args, Progress *progress)
{
	Statement  *backlog = &progress->step->backlog;
	Args		none = {0};
	Datum		rows;
	bool		isnull;

	if (progress->is_done)
		arg_int64(args, 0);
	else if (backlog->sql == NULL)
		arg_null(args);
	else
	{
		(void) statement_write(backlog, &none);
		rows = result_value(0, 1, &isnull);
		arg_add(args, rows, isnull);
	}
}

static void
note_end(Progress *progress)
{
	static Statement note = {
		"UPDATE airun.worker_status AS w SET last_ok = $2, rows = $3, ms = $4, position = $5, "
		"backlog = $6, failures = 0, retry_at = NULL, last_error = NULL WHERE w.step" EQ "$1",
		6, {TEXTOID, TIMESTAMPTZOID, INT8OID, INT8OID, TEXTOID, INT8OID}
	};
	Args		args = {0};

	add_figures(&args, progress, GetCurrentTimestamp());
	add_backlog(&args, progress);
	(void) statement_write(&note, &args);
}

/* Without the error's detail: that may have what users wrote */
static void
note_failure(Progress *progress)
{
	static Statement note = {
		"UPDATE airun.worker_status AS w SET last_failed = $2, rows = $3, ms = $4, position = $5, "
		"backlog = NULL, failures = $6, retry_at = $7, last_error = $8 WHERE w.step" EQ "$1",
		8, {TEXTOID, TIMESTAMPTZOID, INT8OID, INT8OID, TEXTOID, INT4OID, TIMESTAMPTZOID, TEXTOID}
	};
	TimestampTz now = GetCurrentTimestamp();
	int			seconds = Min(RETRY_AFTER << Min(progress->failures, 6), MAX_RETRY_AFTER);
	char	   *error = psprintf("%s: %s", unpack_sql_state(progress->error->sqlerrcode),
								 progress->error->message);
	Args		args = {0};

	add_figures(&args, progress, now);
	arg_add(&args, Int32GetDatum(Min(progress->failures, PG_INT32_MAX - 1) + 1), false);
	arg_time(&args, now + seconds * USECS_PER_SEC);
	arg_pointer(&args, cstring_to_text_with_len(error,
												pg_mbcliplen(error, strlen(error), MAX_ERROR)));
	(void) statement_write(&note, &args);
}

/* ---------- steps ---------- */

static void
call_step(Progress *progress)
{
	Statement  *call = &progress->step->call;
	char	   *position = progress->position;
	Args		args = {0};
	bool		has_no_more;	/* in this round, wherever it has come to */

	if (call->nargs > 0)
		arg_pointer(&args, position == NULL ? NULL : cstring_to_text(position));
	(void) statement_write(call, &args);
	progress->last_rows = DatumGetInt64(result_value(0, 1, &has_no_more));
	if (has_no_more)
		progress->last_rows = 0;
	if (call->nargs > 0)
		progress->position = text_result(0, 2);
	progress->has_moved = !has_no_more && progress->position != NULL &&
		(position == NULL || strcmp(position, progress->position) != 0);
}

static void
commit(void)
{
	SPI_commit();
	CHECK_FOR_INTERRUPTS();
}

/* Do a step until there is no more to do, it fails, or the time is over */
static void
do_step(Progress *progress, TimestampTz until)
{
	do_as_owner(note_beginning, progress);
	commit();
	do
	{
		progress->error = try_as_owner(call_step, progress);
		if (progress->error != NULL)
			break;
		commit();
		progress->rows += progress->last_rows;
		progress->is_done = progress->last_rows < progress->step->batch && !progress->has_moved;
	} while (!progress->is_done && GetCurrentTimestamp() < until && work_is_possible());

	if (progress->error == NULL)
		do_as_owner(note_end, progress);
	else
		do_as_owner(note_failure, progress);
	commit();
	if (progress->error != NULL)
		ereport(WARNING,
				(errcode(progress->error->sqlerrcode),
				 errmsg("step \"%s\" of airun's upkeep failed: %s", progress->step->name,
						progress->error->message),
				 progress->error->detail ? errdetail("%s", progress->error->detail) : 0,
				 errhint("It is tried again later; airun.worker_status says when.")));
}

/* Can the step be done now?  The extension may have gone meanwhile. */
static bool
is_due(Progress *progress)
{
	Oid			function;

	if (!work_is_possible())
		return false;
	function = step_function(progress->step, get_extension_oid("airun", true));
	if (!OidIsValid(function))
		return false;
	statement_in_extension(&progress->step->call, function);
	do_as_owner(read_status, progress);
	return progress->retry_at <= progress->begun;
}

/* Do them all.  Returns whether any has more to do. */
static bool
do_steps(int64 max_ms, bool shows_steps)
{
	TimestampTz end = GetCurrentTimestamp() + max_ms * 1000;
	bool		more = false;

	for (int i = 0; i < step_count; i++)
	{
		TimestampTz now = GetCurrentTimestamp();
		Progress	progress = {.step = &steps[i], .begun = now};

		if (!is_due(&progress))
			continue;
		if (shows_steps)
			pgstat_report_activity(STATE_RUNNING, psprintf("airun: %s", steps[i].name));

		/* Each has its share of the time that is left */
		do_step(&progress, now + Max(end - now, 0) / (step_count - i));
		more |= !progress.is_done && progress.error == NULL;
	}
	return more;
}

/*
 * Is there a store that this library knows, in an extension of the same version?  Asked
 * between steps, since both may go or change meanwhile.
 */
bool
work_is_possible(void)
{
	Oid			schema = get_namespace_oid("airun", true);

	return OidIsValid(get_extension_oid("airun", true)) && OidIsValid(schema) &&
		OidIsValid(get_relname_relid("worker_status", schema));
}

/*
 * Do one round, in at most so many milliseconds, in transactions of our own; within one that
 * has begun when this is called, and another one when it returns.  Returns whether there is
 * more to do.  shows_steps: is what is going on shown as the activity of the process?
 */
bool
work_round(int64 max_ms, bool shows_steps)
{
	LOCKTAG		tag;
	volatile bool more = false;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, 0, LOCK_CLASS);
	if (LockAcquire(&tag, ExclusiveLock, true, true) == LOCKACQUIRE_NOT_AVAIL)
	{
		ereport(NOTICE, (errmsg("another session is at airun's upkeep in this database")));
		return false;
	}
	PG_TRY();
	{
		if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
			elog(ERROR, "SPI_connect_ext failed");
		more = do_steps(max_ms, shows_steps);
		store_close();
	}
	PG_FINALLY();
	{
		(void) LockRelease(&tag, ExclusiveLock, true);
	}
	PG_END_TRY();
	return more;
}

/*
 * airun_work(max_ms), a procedure
 */
Datum
airun_work(PG_FUNCTION_ARGS)
{
	int64		max_ms;

	if (PG_ARGISNULL(0))
		refuse_null("max_ms");
	max_ms = PG_GETARG_INT64(0);
	if (max_ms < 1 || max_ms > PG_INT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("\"max_ms\" must be between 1 and %d, not " INT64_FORMAT, PG_INT32_MAX,
						max_ms),
				 errhint("Leave it out to work for up to 10000 ms.")));
	store_require_owner("airun_work");
	(void) store_table_oid("worker_status");
	PreventCommandIfReadOnly("airun_work()");
	if (fcinfo->context == NULL || !IsA(fcinfo->context, CallContext) ||
		castNode(CallContext, fcinfo->context)->atomic || IsSubTransaction())
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("airun_work() cannot run inside a transaction block"),
				 errdetail("It commits after each piece of its work."),
				 errhint("Send CALL airun_work() by itself.")));
	(void) work_round(max_ms, false);
	PG_RETURN_VOID();
}
