/*
 * purge.c
 *		Removing runs for good, with all that belongs to them.
 *
 * A call works in batches of runs, so that memory and locks are bounded however
 * many there are.  In each batch the tasks that have not ended are cancelled first,
 * past the functions: so what they have used is in the ledger, and what was held for
 * them is free.  Then the runs' rows are removed, and by cascade those of messages,
 * versions and tasks.  Totals need no moving, since the runs go (totals.c).  The
 * ledger keeps what was spent.  Of a run from which a fork may have copied words of
 * somebody but its owner, the row and its tasks' figures stay, stripped, until the fork
 * is gone.  On a shard, runs of users whose bucket is moving are left for another time.
 *
 * A text that streams is locked, as by whoever adds to it; that is an entry in the
 * server's table of locks until the transaction ends.  Beyond MAX_TEXTS of them, the
 * runs that have more are left for another call: by then their tasks have ended or
 * expired.  A task that is pending has no text, and its row is enough.
 *
 * Locks: the rows of a batch's runs, in the order of their ids, against everybody once
 * its texts are locked, or at once where none streams; the texts that stream; the tasks
 * that have not ended.  A later batch has higher ids.  Counters of
 * budgets come behind the last one.
 *
 * Errors: 42501 for who may not delete rows and is no operator; PT422 for a bound that is none.
 */
#include "upkeep/purge.h"

#include "budget/budget.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "shard/shard_call.h"
#include "store/args.h"
#include "store/identity.h"
#include "store/plans.h"
#include "store/store.h"
#include "task/chunk.h"
#include "upkeep/upkeep.h"
#include "utils/array.h"
#include "utils/portal.h"

PG_FUNCTION_INFO_V1(airun_purge_runs);

/* The most texts that one transaction locks here */
#define MAX_TEXTS	1000

/* So long a batch of who waits tries texts once its runs are held, in milliseconds */
#define PATIENCE	100

/*
 * The runs of one DELETE.  The server keeps all rows that go with them for the triggers of
 * statements, and writes them to disk once they need more than work_mem.
 */
#define AT_ONCE		10

/* The ids of a batch, as uuid[] */
Datum
purge_ids(const Purge *purge)
{
	Datum	   *ids = palloc_array(Datum, Max(purge->count, 1));

	for (int i = 0; i < purge->count; i++)
		ids[i] = UUIDPGetDatum(&purge->ids[i]);
	return PointerGetDatum(construct_array(ids, purge->count, UUIDOID, UUID_LEN, false,
										   TYPALIGN_CHAR));
}

/* Have the batch be the runs that the last statement has found, in its first column */
static void
take_found(Purge *purge, uint64 count)
{
	bool		isnull;

	purge->count = (int) count;
	for (int i = 0; i < purge->count; i++)
		purge->ids[i] = *DatumGetUUIDP(result_value(i, 1, &isnull));
}

/* Leave a run out */
static void
leave(Purge *purge, const pg_uuid_t *run_id)
{
	int			kept = 0;

	for (int i = 0; i < purge->count; i++)
	{
		if (!uuid_equal(&purge->ids[i], run_id))
			purge->ids[kept++] = purge->ids[i];
	}
	purge->count = kept;
}

/* On a shard: leave out the runs of users whose bucket is moving */
void
purge_leave_moving(Purge *purge)
{
	static Statement find = {
		"SELECT r.id, r.user_id FROM airun.runs AS r WHERE r.id" EQ "ANY ($1)", 1, {UUIDARRAYOID}
	};
	Bitmapset  *moving = shard_moving_buckets(true);
	Args		args = {0};
	uint64		count;

	if (moving == NULL)
		return;
	arg_add(&args, purge_ids(purge), false);
	count = statement_write(&find, &args);
	for (uint64 i = 0; i < count; i++)
	{
		bool		isnull;
		Field		user;

		user.value = result_value(i, 2, &user.isnull);
		if (shard_has_user(moving, &user))
			leave(purge, DatumGetUUIDP(result_value(i, 1, &isnull)));
	}
}

/* What has not ended in the runs $1, of everybody or of the person $2 */
#define OPEN_TASKS \
	"t.run_id" EQ "ANY ($1) AND t.completed_at IS NULL AND ($2 IS NULL OR t.user_id" EQ "$2) "
#define STREAMING	OPEN_TASKS "AND t.status" EQ "'streaming' "

/* Leave out the runs that the last statement has found, in its first column */
static void
leave_found(Purge *purge, uint64 count)
{
	bool		isnull;

	for (uint64 i = 0; i < count; i++)
		leave(purge, DatumGetUUIDP(result_value(i, 1, &isnull)));
}

/* Does a text stream in any of the runs? */
static bool
any_streams(const Purge *purge)
{
	static Statement find = {
		"SELECT FROM airun.tasks AS t WHERE " STREAMING "LIMIT 1", 2, {UUIDARRAYOID, UUIDOID}
	};
	Args		args = {0};

	arg_add(&args, purge_ids(purge), false);
	arg_uuid(&args, purge->person);
	return statement_write_as_owner(&find, &args, store_table_owner("tasks")) > 0;
}

/* The table of locks has room for no more: leave out the runs that have texts, from one on */
static void
leave_from(Purge *purge, const pg_uuid_t *first)
{
	static Statement find = {
		"SELECT DISTINCT t.run_id FROM airun.tasks AS t WHERE " STREAMING "AND t.run_id" GE "$3",
		3, {UUIDARRAYOID, UUIDOID, UUIDOID}
	};
	Args		args = {0};

	arg_add(&args, purge_ids(purge), false);
	arg_uuid(&args, purge->person);
	arg_uuid(&args, first);
	leave_found(purge, statement_write_as_owner(&find, &args, store_table_owner("tasks")));
}

/*
 * Lock a text, if that can be had in so many milliseconds.  Who has just committed gives
 * his locks back one after the other: the run's may be free before the text's.
 */
static bool
try_text(const pg_uuid_t *run_id, const pg_uuid_t *task_id, int *patience)
{
	bool		is_locked = chunk_try_lock(run_id, task_id);

	for (; !is_locked && *patience > 0; (*patience)--)
	{
		CHECK_FOR_INTERRUPTS();
		pg_usleep(1000L);
		is_locked = chunk_try_lock(run_id, task_id);
	}
	return is_locked;
}

/*
 * Lock the texts that stream; unless it waits, the runs of those that somebody holds are left
 * out.  Returns the tasks of which they are locked, as uuid[].
 */
static Datum
lock_texts(Purge *purge, bool waits)
{
	static Statement find = {
		"SELECT t.run_id, t.task_id FROM airun.tasks AS t WHERE " STREAMING
		"ORDER BY t.run_id, t.task_id LIMIT $3",
		3, {UUIDARRAYOID, UUIDOID, INT8OID}
	};
	Datum	   *locked;
	int			lock_count = 0;
	int			patience = purge->waits ? PATIENCE : 0;
	SPITupleTable *found;
	Args		args = {0};
	uint64		count;

	arg_add(&args, purge_ids(purge), false);
	arg_uuid(&args, purge->person);
	arg_int64(&args, MAX_TEXTS - purge->texts + 1);
	count = statement_write_as_owner(&find, &args, store_table_owner("tasks"));
	found = SPI_tuptable;
	locked = palloc_array(Datum, Max(count, 1));
	for (uint64 i = 0; i < count; i++)
	{
		bool		isnull;
		pg_uuid_t  *run_id = DatumGetUUIDP(SPI_getbinval(found->vals[i], found->tupdesc, 1,
														 &isnull));
		pg_uuid_t  *task_id = DatumGetUUIDP(SPI_getbinval(found->vals[i], found->tupdesc, 2,
														  &isnull));

		if (purge->texts == MAX_TEXTS)
		{
			leave_from(purge, run_id);
			break;
		}
		purge->texts++;
		if (waits)
			chunk_lock(run_id, task_id);
		else if (!try_text(run_id, task_id, &patience))
		{
			leave(purge, run_id);
			continue;
		}
		locked[lock_count++] = UUIDPGetDatum(task_id);
	}
	return PointerGetDatum(construct_array(locked, lock_count, UUIDOID, UUID_LEN, false,
										   TYPALIGN_CHAR));
}

/*
 * Cancel what has not ended in the runs of a batch, which are locked; a run of which
 * something goes on is left out
 *
 * Texts before tasks, as everybody else does: progress may wait for one of these.  A text that
 * has begun meanwhile is tried, in a second round or where none streamed before, since the
 * runs are held by then.
 */
void
purge_cancel_tasks(Purge *purge)
{
	/* Not before the texts: progress that holds one may want the run, as the key that it is */
	static Statement hold = {
		"SELECT FROM airun.runs AS r WHERE r.id" EQ "ANY ($1) ORDER BY r.id FOR UPDATE OF r",
		1, {UUIDARRAYOID}
	};
	static Statement cancel = {
		"UPDATE airun.tasks AS t SET status = 'cancelled' WHERE " OPEN_TASKS
		"AND (t.status" EQ "'pending' OR t.task_id" EQ "ANY ($3))",
		3, {UUIDARRAYOID, UUIDOID, UUIDARRAYOID}
	};
	static Statement find = {
		"SELECT DISTINCT t.run_id FROM airun.tasks AS t WHERE " OPEN_TASKS,
		2, {UUIDARRAYOID, UUIDOID}
	};
	Oid			owner = store_table_owner("tasks");
	Args		ids;

	for (int round = 0; round < 2; round++)
	{
		bool		waits = purge->waits && !purge->is_held && round == 0;
		Datum		texts = lock_texts(purge, waits);
		Args		args;

		if (purge->count == 0)
			return;
		ids = (Args) {0};
		arg_add(&ids, purge_ids(purge), false);
		if (waits)
			(void) statement_write(&hold, &ids);
		arg_uuid(&ids, purge->person);
		if (statement_write_as_owner(&find, &ids, owner) == 0)
			return;
		args = ids;
		arg_add(&args, texts, false);
		(void) statement_write_as_owner(&cancel, &args, owner);
	}
	leave_found(purge, statement_write_as_owner(&find, &ids, owner));
}

/* A run whose row airun_erase_user() needs, for a fork: as airun_store_erase_needs() has it */
#define HAS_FORKS \
	"EXISTS (SELECT FROM airun.runs AS f WHERE f.forked_from" EQ "r.id AND " \
	"((f.user_id" EQ "r.user_id) IS NOT TRUE OR r.forked_from IS NOT NULL " \
	"OR EXISTS (SELECT FROM airun.tasks AS t WHERE t.run_id" EQ "r.id " \
	"AND t.user_id" NE "r.user_id)))"
#define HAS_WORDS	"(r.stripped_at IS NULL OR r.message_count" GT "0)"

/*
 * Leave out the runs that forks of others have copied from, and take from them what was
 * said: by the row that stays airun_erase_user() finds the forks.  Returns how many
 * had words.
 */
static uint64
keep_forked(Purge *purge)
{
	static Statement find = {
		"SELECT r.id, " HAS_WORDS " FROM airun.runs AS r WHERE r.id" EQ "ANY (ARRAY("
		"SELECT o.forked_from FROM airun.runs AS o WHERE o.forked_from" EQ "ANY ($1))) "
		"AND " HAS_FORKS " ORDER BY r.id",
		1, {UUIDARRAYOID}
	};
	Purge	   *forked = palloc0_object(Purge);
	Args		args = {0};
	Operator	caller;
	uint64		found;
	bool		isnull;

	arg_add(&args, purge_ids(purge), false);
	owner_begin(&caller);
	/* also those that have been made since a snapshot that lasts */
	found = statement_write_as_owner(&find, &args, store_table_owner("runs"));
	for (uint64 i = 0; i < found; i++)
	{
		pg_uuid_t  *id = DatumGetUUIDP(result_value(i, 1, &isnull));

		leave(purge, id);
		if (DatumGetBool(result_value(i, 2, &isnull)))
			forked->ids[forked->count++] = *id;
	}
	if (forked->count > 0)
		(void) strip_locked_runs(forked);
	operator_end(&caller);
	return forked->count;
}

/*
 * Remove the runs of a batch, which are locked by now under the caller's rights,
 * as far as their texts can be locked.  Returns how many have gone.
 */
uint64
purge_locked_runs(Purge *purge)
{
	static Statement remove = {
		"DELETE FROM airun.runs AS r WHERE r.id" EQ "ANY (($1)[$2:$3])",
		3, {UUIDARRAYOID, INT4OID, INT4OID}
	};
	Args		ids = {0};
	uint64		gone;

	purge_leave_moving(purge);
	purge_cancel_tasks(purge);
	if (purge->count == 0)
		return 0;
	gone = purge->with_forked ? 0 : keep_forked(purge);
	arg_add(&ids, purge_ids(purge), false);
	for (int first = 1; first <= purge->count; first += AT_ONCE)
	{
		Args		args = ids;

		arg_add(&args, Int32GetDatum(first), false);
		arg_add(&args, Int32GetDatum(first + AT_ONCE - 1), false);
		gone += statement_write_runs(&remove, &args, purge->ids, purge->count);
	}
	return gone;
}

/* What remains to be purged, as it is now: a cursor over ids, in their order */
static Portal
open_deleted(Datum before, Field *max_runs)
{
	Oid			types[] = {TIMESTAMPTZOID, INT8OID};
	Datum		values[] = {before, max_runs->value};
	char		nulls[] = {' ', max_runs->isnull ? 'n' : ' '};

	return SPI_cursor_open_with_args(NULL,
		"SELECT d.id FROM (SELECT r.id FROM airun.runs AS r WHERE r.deleted_at" LT "$1 "
		"AND (" HAS_WORDS " OR NOT " HAS_FORKS ") "
		"ORDER BY r.deleted_at LIMIT $2) AS d ORDER BY d.id",
		lengthof(types), types, values, nulls, false, 0);
}

/* The next batch of these, those that are still deleted; returns false behind the last one */
static bool
next_batch(Portal deleted, Datum before, Purge *purge)
{
#define STILL_DELETED \
	"SELECT r.id FROM airun.runs AS r WHERE r.id" EQ "ANY ($1) AND r.deleted_at" LT "$2 " \
	"ORDER BY r.id "
	static Statement lock = {
		STILL_DELETED "FOR NO KEY UPDATE OF r", 2, {UUIDARRAYOID, TIMESTAMPTZOID}
	};
	static Statement hold = {
		STILL_DELETED "FOR UPDATE OF r", 2, {UUIDARRAYOID, TIMESTAMPTZOID}
	};
	Args		args = {0};

	SPI_cursor_fetch(deleted, true, PURGE_BATCH);
	if (SPI_processed == 0)
		return false;
	take_found(purge, SPI_processed);
	arg_add(&args, purge_ids(purge), false);
	arg_add(&args, before, false);
	purge->is_held = !any_streams(purge);
	take_found(purge, statement_write(purge->is_held ? &hold : &lock, &args));
	return true;
}

/*
 * airun_purge_runs(deleted_before, max_runs) returns bigint
 *
 * Those that the caller may delete, or any for an operator.
 */
Datum
airun_purge_runs(PG_FUNCTION_ARGS)
{
	Field		max_runs = argument_field(fcinfo, 1);
	Purge	   *purge = palloc0_object(Purge);
	int64		purged = 0;
	bool		is_more = true;
	Operator	operator;
	bool		is_operator;
	bool		defers;
	Portal		deleted;

	if (PG_ARGISNULL(0))
		refuse_null("deleted_before");
	if (!max_runs.isnull && DatumGetInt64(max_runs.value) < 1)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("\"max_runs\" must be at least 1, not " INT64_FORMAT,
						DatumGetInt64(max_runs.value)),
				 errhint("Leave it out to remove all of them.")));
	purge->waits = true;
	PreventCommandIfReadOnly("airun_purge_runs()");	/* also where there is nothing to purge */
	is_operator = operator_begin(&operator);
	if (!is_operator)
		store_require_rights("runs", ACL_DELETE, "delete");
	store_open(true);
	defers = budget_defer_begin();
	deleted = open_deleted(PG_GETARG_DATUM(0), &max_runs);
	while (is_more)
	{
		CHECK_FOR_INTERRUPTS();
		store_open(true);		/* what a batch needs of memory ends with it */
		is_more = next_batch(deleted, PG_GETARG_DATUM(0), purge);
		if (is_more)
			purged += purge_locked_runs(purge);
		store_close();
	}
	SPI_cursor_close(deleted);
	budget_defer_end(defers);
	store_close();
	if (is_operator)
		operator_end(&operator);
	PG_RETURN_INT64(purged);
}
