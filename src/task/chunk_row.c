/*
 * chunk_row.c
 *		Rows of airun.task_chunks, found, written and removed.
 *
 * All without a plan where the table is as it was made (direct_scan.c, direct_write.c), and
 * else by a statement, as the owner of the table.
 *
 * The caller of these answers for the right to do so, and holds the lock on
 * the text (chunk.c).  Locks: the table and its index, as for a write.
 */
#include "task/chunk_row.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "store/direct_scan.h"
#include "store/direct_write.h"
#include "store/plans.h"
#include "store/store.h"

/* ---------- the last one ---------- */

#define LAST_COLUMNS	"c.created_at, c.hash, c.chars, c.bytes, c.generation"
#define LAST_COUNT		5

static bool
last_by_statement(const pg_uuid_t *run_id, const pg_uuid_t *task_id, Snapshot snapshot,
				  Datum *values, bool *nulls)
{
	static Statement find = {
		"SELECT " LAST_COLUMNS " FROM airun.task_chunks AS c "
		"WHERE c.run_id" EQ "$1 AND c.task_id" EQ "$2 ORDER BY c.chars DESC LIMIT 1",
		2, {UUIDOID, UUIDOID}
	};
	Args		args = {0};
	uint64		found;

	arg_uuid(&args, run_id);
	arg_uuid(&args, task_id);
	if (snapshot != NULL)
		found = statement_as_owner_at(&find, &args, store_chunks_owner(), snapshot);
	else
		found = statement_write_as_owner(&find, &args, store_chunks_owner());
	if (found > 0)
		heap_deform_tuple(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, values, nulls);
	return found > 0;
}

/*
 * The last chunk of a task that a snapshot shows; NULL for what is committed by
 * now.  Returns false for none.  The table is locked as for the chunk that
 * follows.
 */
bool
chunk_row_last(const pg_uuid_t *run_id, const pg_uuid_t *task_id, Snapshot snapshot,
			   Stream *stream)
{
	static ColumnList columns = {.text = LAST_COLUMNS};
	Find		find;
	Datum		values[LAST_COUNT];
	bool		nulls[LAST_COUNT];
	bool		found;

	if (find_begin(&find, CHUNKS_KEY, RowExclusiveLock, run_id, task_id, snapshot))
	{
		found = find.row != NULL && find_values(&find, &columns, values, nulls);
		find_end(&find);
	}
	else
		found = last_by_statement(run_id, task_id, snapshot, values, nulls);
	if (found)
		*stream = (Stream) {
			.saved_at = DatumGetTimestampTz(values[0]),
			.hash = (uint64) DatumGetInt64(values[1]),
			.chars = DatumGetInt32(values[2]),
			.bytes = DatumGetInt32(values[3]),
			.generation = DatumGetInt32(values[4]),
		};
	return found;
}

/* ---------- a new one ---------- */

/* Insert a chunk; what follows in the transaction sees it */
void
chunk_row_insert(const pg_uuid_t *run_id, const pg_uuid_t *task_id, const Stream *stream,
				 text *chunk)
{
	static Write insert = {
		.table = TABLE_CHUNKS,
		.column_count = 8,
		.columns = {
			{"run_id", UUIDOID}, {"task_id", UUIDOID}, {"created_at", TIMESTAMPTZOID},
			{"hash", INT8OID}, {"chars", INT4OID}, {"bytes", INT4OID},
			{"generation", INT4OID}, {"chunk", TEXTOID}
		}
	};
	Args		args = {0};

	arg_uuid(&args, run_id);
	arg_uuid(&args, task_id);
	arg_time(&args, stream->saved_at);
	arg_int64(&args, (int64) stream->hash);
	arg_add(&args, Int32GetDatum(stream->chars), false);
	arg_add(&args, Int32GetDatum(stream->bytes), false);
	arg_add(&args, Int32GetDatum(stream->generation), false);
	arg_pointer(&args, chunk);
	if (!write_insert(&insert, &args, true) &&
		statement_write_as_owner(write_statement(&insert), &args, store_chunks_owner()) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
				 errmsg("a trigger on airun.task_chunks has suppressed a chunk")));
}

/* ---------- the end ---------- */

/* Remove them without a plan.  Returns false where that is a statement's to do. */
static bool
remove_at_once(const pg_uuid_t *run_id, const pg_uuid_t *task_id)
{
	Find		find;
	bool		done = true;

	if (!find_begin(&find, CHUNKS_KEY, RowExclusiveLock, run_id, task_id, NULL))
		return false;
	CheckCmdReplicaIdentity(find.relation, CMD_DELETE);
	for (; done && find.row != NULL; find_next(&find))
	{
		CHECK_FOR_INTERRUPTS();
		done = delete_tuple(find.relation, &find.row->t_self, find.snapshot) == TM_Ok;
	}
	find_end(&find);
	CommandCounterIncrement();
	return done;
}

/* Remove all the chunks of a task; what follows in the transaction sees none */
void
chunk_rows_remove(const pg_uuid_t *run_id, const pg_uuid_t *task_id)
{
	static Statement remove = {
		"DELETE FROM airun.task_chunks AS c WHERE c.run_id" EQ "$1 AND c.task_id" EQ "$2",
		2, {UUIDOID, UUIDOID}
	};
	Args		args = {0};

	if (remove_at_once(run_id, task_id))
		return;
	arg_uuid(&args, run_id);
	arg_uuid(&args, task_id);
	statement_write_as_owner(&remove, &args, store_chunks_owner());
}
