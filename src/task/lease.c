/*
 * lease.c
 *		Tasks that show no progress.
 *
 * A task that is pending or streaming and has shown no progress for its
 * timeout (or else for airun.task_timeout) is overdue: whoever worked on it
 * is gone.  airun_expire_tasks() ends what is overdue, and a turn that starts
 * ends what is overdue in its own run, so that nothing is stuck for ever even
 * where nothing calls the former.  A task that has expired is a failed one
 * with {"code": "expired"}, its text and its figures kept as far as they came.
 * Its worker's end counts all the same, once it comes (task_end.c); progress does
 * not, and is answered with the task as it is.
 *
 * Locks: as ending a task does, but a run, a text or a task that somebody else holds is
 * left for the next time.  airun_expire_tasks() comes to counters of budgets at last, for
 * all that it has ended: these are waited for, with the runs of it still locked.
 *
 * Errors: those of ending a task.
 */
#include "task/lease.h"

#include "access/xact.h"
#include "budget/budget.h"
#include "catalog/pg_type.h"
#include "datatype/timestamp.h"
#include "miscadmin.h"
#include "shard/shard_call.h"
#include "store/direct.h"
#include "store/identity.h"
#include "store/store.h"
#include "task/chunk.h"
#include "task/task_end.h"
#include "upkeep/upkeep.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

PG_FUNCTION_INFO_V1(airun_heartbeat_task);
PG_FUNCTION_INFO_V1(airun_expire_tasks);
PG_FUNCTION_INFO_V1(airun_is_overdue);

/* The most that one call expires */
#define MAX_EXPIRED		10000

/* How long a task, or a call, may be without progress where it does not say */
Datum
lease_default_timeout(void)
{
	Interval   *timeout = palloc0_object(Interval);

	timeout->time = (int64) airun_task_timeout * USECS_PER_SEC;
	return IntervalPGetDatum(timeout);
}

/*
 * The tasks t that are overdue at $1, with the default timeout $2.  A chunk
 * that is newer is progress.
 */
#define OVERDUE \
	"t.completed_at IS NULL " \
	"AND (t.updated_at" PLUS "COALESCE(t.timeout, $2))" LT "$1 " \
	"AND NOT EXISTS (SELECT FROM airun.task_chunks AS c WHERE c.run_id" EQ "t.run_id " \
	"AND c.task_id" EQ "t.task_id AND (c.created_at" PLUS "COALESCE(t.timeout, $2))" GE "$1)"

/* Has a task been without progress for longer than it may?  timeout may be absent */
bool
task_is_overdue(TaskStatus status, TimestampTz last_progress, const Field *timeout)
{
	Datum		since;

	if (task_is_final(status))
		return false;
	since = DirectFunctionCall2(timestamptz_mi_interval,
								TimestampTzGetDatum(GetCurrentTimestamp()),
								timeout->isnull ? lease_default_timeout() : timeout->value);
	return last_progress < DatumGetTimestampTz(since);
}

/*
 * airun_is_overdue(status, last_progress, timeout) returns boolean
 */
Datum
airun_is_overdue(PG_FUNCTION_ARGS)
{
	Field		timeout = argument_field(fcinfo, 2);

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_BOOL(false);
	PG_RETURN_BOOL(task_is_overdue(task_status_word(PG_GETARG_TEXT_PP(0)),
								   PG_GETARG_TIMESTAMPTZ(1), &timeout));
}

/*
 * airun_heartbeat_task(task_id, run_id) returns ai_task_summary
 */
Datum
airun_heartbeat_task(PG_FUNCTION_ARGS)
{
	static Statement beat = {
		"UPDATE airun.tasks AS t SET updated_at = GREATEST(t.updated_at, $3) "
		"WHERE " THIS_TASK " AND t.completed_at IS NULL",
		3, {UUIDOID, UUIDOID, TIMESTAMPTZOID}
	};
	pg_uuid_t  *task_id = task_id_argument(fcinfo, 0);
	pg_uuid_t	run_id;
	TaskStatus	status;
	bool		changed;
	bool		isnull;
	ResultRow	summary;
	Args		args = {0};
	Datum		result;

	store_open(true);
	run_id = task_run_argument(fcinfo, 1, task_id);
	if (!run_hold_deleted(&run_id))
		task_not_found(task_id);
	arg_uuid(&args, &run_id);
	arg_uuid(&args, task_id);
	arg_time(&args, GetCurrentTimestamp());
	changed = statement_write_task(&beat, &args, &run_id, task_id) == 1;
	summary = task_read_summary(&run_id, task_id);
	status = task_status_word(DatumGetTextPP(result_row_value(&summary, Anum_task_summary_status,
															  &isnull)));
	if (!changed && !task_is_final(status))
		task_not_found(task_id);
	result = result_row_composite(fcinfo, &summary);
	store_close();
	PG_RETURN_DATUM(result);
}

/* What is said of a task that has expired */
static Field
expired_error(void)
{
	return (Field) {
		DirectFunctionCall1(jsonb_in, CStringGetDatum(EXPIRY_ERROR)), false
	};
}

/*
 * End one task, if it is still overdue at a time and nobody holds it.  Its
 * run is locked by now.  Returns whether it has been ended.
 */
static bool
expire(const pg_uuid_t *run_id, const pg_uuid_t *task_id, TimestampTz at)
{
	static Statement lock = {
		"SELECT FROM airun.tasks AS t WHERE t.run_id" EQ "$3 AND t.task_id" EQ "$4 AND " OVERDUE
		" FOR NO KEY UPDATE OF t SKIP LOCKED",
		4, {TIMESTAMPTZOID, INTERVALOID, UUIDOID, UUIDOID}
	};
	TaskEnd		end = task_end_nothing(TASK_ERROR);
	TaskState	state;
	Args		args = {0};

	if (!chunk_try_lock(run_id, task_id))
		return false;
	arg_time(&args, at);
	arg_add(&args, lease_default_timeout(), false);
	arg_uuid(&args, run_id);
	arg_uuid(&args, task_id);
	if (statement_read_latest(&lock, &args, run_id) != 1)
		return false;
	end.error = expired_error();
	task_lock(run_id, task_id, &state);
	task_end(run_id, task_id, &state, &end, NULL);
	return true;
}

/* What a turn that starts has to know of tasks */
typedef struct Look
{
	bool		is_in_run;		/* its own task */
	bool		is_elsewhere;	/* the id, in another run that the caller can see */
	bool		may_be_overdue; /* another task of the run */
} Look;

/* By one statement */
static void
look_by_statement(const pg_uuid_t *run_id, const pg_uuid_t *task_id, TimestampTz now, Look *look)
{
	static Statement ask = {
		"SELECT (SELECT t.run_id" EQ "$1 FROM airun.tasks AS t WHERE t.task_id" EQ "$2 "
		"ORDER BY 1 DESC LIMIT 1), "
		"EXISTS (SELECT FROM airun.tasks AS t WHERE t.run_id" EQ "$1 "
		"AND t.completed_at IS NULL AND (t.updated_at" PLUS "COALESCE(t.timeout, $4))" LT "$3)",
		4, {UUIDOID, UUIDOID, TIMESTAMPTZOID, INTERVALOID}
	};
	Args		args = {0};
	bool		isnull;

	arg_uuid(&args, run_id);
	arg_uuid(&args, task_id);
	arg_time(&args, now);
	arg_add(&args, lease_default_timeout(), false);
	(void) statement_write_internal(&ask, &args, run_id);
	look->may_be_overdue = DatumGetBool(result_value(0, 2, &isnull));
	look->is_in_run = DatumGetBool(result_value(0, 1, &isnull)) && !isnull;
	look->is_elsewhere = !isnull && !look->is_in_run;
}

/*
 * Without one: there is no such task but in the run, whose tasks the caller
 * sees, since he has locked it.  Returns false for all that a statement has to
 * tell.
 */
static bool
look_at_once(const pg_uuid_t *run_id, const pg_uuid_t *task_id, TimestampTz now, Look *look)
{
	static ColumnList columns = {TABLE_TASKS, {"run_id", "updated_at", "timeout"}};
	bool		is_known = true;
	DirectScan	find;
	Datum		values[3];
	bool		nulls[3];

	if (IsolationUsesXactSnapshot() || !store_is_granted(TABLE_TASKS, ACL_SELECT))
		return false;
	if (task_id != NULL)
	{
		if (!direct_scan_begin(&find, TASKS_BY_ID, RowExclusiveLock, task_id, NULL, NULL))
			return false;
		for (; is_known && find.row != NULL; direct_scan_next(&find))
		{
			CHECK_FOR_INTERRUPTS();
			is_known = direct_scan_values(&find, &columns, values, nulls) &&
				uuid_equal(DatumGetUUIDP(values[0]), run_id);
			look->is_in_run = true;
		}
		direct_scan_end(&find);
	}
	if (!is_known ||
		!direct_scan_begin(&find, TASKS_UNFINISHED, RowExclusiveLock, run_id, NULL, NULL))
		return false;
	for (; is_known && !look->may_be_overdue && find.row != NULL; direct_scan_next(&find))
	{
		CHECK_FOR_INTERRUPTS();
		is_known = direct_scan_values(&find, &columns, values, nulls);
		if (is_known &&
			DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval, values[1],
													nulls[2] ? lease_default_timeout()
													: values[2])) < now)
			look->may_be_overdue = true;
	}
	direct_scan_end(&find);
	return is_known;
}

/*
 * Look whether a turn's own task, if it has an id, is in the run, which is
 * locked by now, and whether another one of the run may be overdue: what its
 * chunks say is left out.  PT409 where the caller can see the task's id in
 * another run.
 */
bool
lease_look(const pg_uuid_t *run_id, const pg_uuid_t *task_id, bool *may_be_overdue)
{
	TimestampTz now = GetCurrentTimestamp();
	Look		look = {0};

	if (!look_at_once(run_id, task_id, now, &look))
		look_by_statement(run_id, task_id, now, &look);
	if (look.is_elsewhere)
		task_refuse_taken(task_id);
	*may_be_overdue = look.may_be_overdue;
	return look.is_in_run;
}

/*
 * End what is overdue in a run, which is locked by now.  Returns how many
 * have been ended.
 */
int
lease_expire_run(const pg_uuid_t *run_id)
{
	static Statement find = {
		"SELECT t.task_id FROM airun.tasks AS t WHERE t.run_id" EQ "$3 AND " OVERDUE
		" LIMIT 100",
		3, {TIMESTAMPTZOID, INTERVALOID, UUIDOID}
	};
	TimestampTz now = GetCurrentTimestamp();
	SPITupleTable *found;
	Args		args = {0};
	uint64		count;
	int			expired = 0;

	arg_time(&args, now);
	arg_add(&args, lease_default_timeout(), false);
	arg_uuid(&args, run_id);
	count = statement_write_internal(&find, &args, run_id);
	found = SPI_tuptable;
	for (uint64 i = 0; i < count; i++)
	{
		bool		isnull;

		if (expire(run_id, DatumGetUUIDP(SPI_getbinval(found->vals[i], found->tupdesc, 1,
													   &isnull)), now))
			expired++;
	}
	return expired;
}

/*
 * airun_expire_tasks(max_tasks) returns integer
 *
 * One transaction: call it again for more.  It ends the tasks of the runs
 * that the caller can change, deleted ones too, or of all for an operator; the longest
 * overdue first.  On a shard not those of a bucket that is moving.
 */
Datum
airun_expire_tasks(PG_FUNCTION_ARGS)
{
	static Statement find = {
		"SELECT t.run_id, t.task_id, t.updated_at, r.user_id "
		"FROM airun.tasks AS t JOIN airun.runs AS r ON r.id" EQ "t.run_id WHERE " OVERDUE
		" AND (t.updated_at, t.run_id, t.task_id)" GT "($4, $5, $6) "
		"ORDER BY t.updated_at, t.run_id, t.task_id LIMIT $3",
		6, {TIMESTAMPTZOID, INTERVALOID, INT8OID, TIMESTAMPTZOID, UUIDOID, UUIDOID}
	};
	static Statement lock_run = {
		"SELECT FROM airun.runs AS r WHERE r.id" EQ "$1 FOR NO KEY UPDATE OF r SKIP LOCKED",
		1, {UUIDOID}
	};
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz last_time = DT_NOBEGIN;
	pg_uuid_t	last_run = {{0}};
	pg_uuid_t	last_task = {{0}};
	Bitmapset  *moving;
	uint64		count;
	int32		expired = 0;
	int64		max_tasks;
	Operator	operator;
	bool		is_operator;
	bool		defers;

	if (PG_ARGISNULL(0))
		refuse_null("max_tasks");
	max_tasks = PG_GETARG_INT64(0);
	if (max_tasks < 1 || max_tasks > MAX_EXPIRED)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("\"max_tasks\" must be between 1 and %d, not " INT64_FORMAT,
						MAX_EXPIRED, max_tasks),
				 errhint("Call airun_expire_tasks() again for more.")));

	is_operator = operator_begin(&operator);
	store_open(true);
	defers = budget_defer_begin();
	moving = shard_moving_buckets(true);
	do
	{
		SPITupleTable *found;
		Args		args = {0};

		arg_time(&args, now);
		arg_add(&args, lease_default_timeout(), false);
		arg_int64(&args, max_tasks - expired);
		arg_time(&args, last_time);
		arg_uuid(&args, &last_run);
		arg_uuid(&args, &last_task);
		count = statement_write(&find, &args);
		found = SPI_tuptable;
		for (uint64 i = 0; i < count; i++)
		{
			Args		key = {0};
			Field		user;
			bool		isnull;

			CHECK_FOR_INTERRUPTS();
			last_run = *DatumGetUUIDP(SPI_getbinval(found->vals[i], found->tupdesc, 1, &isnull));
			last_task = *DatumGetUUIDP(SPI_getbinval(found->vals[i], found->tupdesc, 2, &isnull));
			last_time = DatumGetTimestampTz(SPI_getbinval(found->vals[i], found->tupdesc, 3,
														  &isnull));
			user.value = SPI_getbinval(found->vals[i], found->tupdesc, 4, &user.isnull);
			if (shard_has_user(moving, &user))
				continue;
			arg_uuid(&key, &last_run);
			if (statement_write(&lock_run, &key) == 1 && expire(&last_run, &last_task, now))
				expired++;
		}

		/* Others in the place of those that somebody holds */
	} while (count > 0 && expired < max_tasks);
	budget_defer_end(defers);
	store_close();
	if (is_operator)
		operator_end(&operator);
	PG_RETURN_INT32(expired);
}
