/*
 * chunkrow.c
 *		Rows of airun.task_chunks, found and written.
 *
 * Every save of a text that arrives looks for the last chunk of its task and
 * adds one.  Starting the executor is nearly all of what looking costs; so it
 * goes straight to the index, as the server does for its large objects, where
 * the table is plain (shape.c), and else by a statement.
 *
 * The caller of these answers for the right to do so, and holds the lock on
 * the text (chunk.c).  Locks: the table and its index, as a statement would.
 */
#include "chunkrow.h"

#include "access/genam.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "statement.h"
#include "store.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "write.h"

/* The columns of the table as it was made, up to those that are read here */
enum
{
	COLUMN_RUN_ID = 1,
	COLUMN_TASK_ID,
	COLUMN_CREATED_AT,
	COLUMN_HASH,
	COLUMN_CHARS,
	COLUMN_BYTES,
	COLUMN_GENERATION
};

/* The index of (run_id, task_id, chars), or NULL where there is none such */
static Relation
open_key(Relation chunks)
{
	const AttrNumber key[] = {COLUMN_RUN_ID, COLUMN_TASK_ID, COLUMN_CHARS};
	Oid			index_oid = relation_primary_key(chunks);
	Relation	index;

	if (!OidIsValid(index_oid))
		return NULL;
	index = index_open(index_oid, AccessShareLock);
	if (index->rd_index->indnkeyatts == lengthof(key))
	{
		int			i = 0;

		while (i < lengthof(key) && index->rd_index->indkey.values[i] == key[i])
			i++;
		if (i == lengthof(key))
			return index;
	}
	index_close(index, AccessShareLock);
	return NULL;
}

/* ---------- the last one ---------- */

static bool
last_by_statement(const pg_uuid_t *run_id, const pg_uuid_t *task_id, Snapshot snapshot,
				  Stream *stream)
{
	static Statement find = {
		"SELECT c.created_at, c.hash, c.chars, c.bytes, c.generation FROM airun.task_chunks AS c "
		"WHERE c.run_id" EQ "$1 AND c.task_id" EQ "$2 ORDER BY c.chars DESC LIMIT 1",
		2, {UUIDOID, UUIDOID}
	};
	Args		args = {0};
	uint64		found;
	bool		isnull;

	arg_uuid(&args, run_id);
	arg_uuid(&args, task_id);
	found = statement_as_owner_at(&find, &args, store_chunks_owner(), snapshot);
	if (found == 0)
		return false;
	*stream = (Stream) {
		.saved_at = DatumGetTimestampTz(result_value(0, 1, &isnull)),
		.hash = (uint64) DatumGetInt64(result_value(0, 2, &isnull)),
		.chars = DatumGetInt32(result_value(0, 3, &isnull)),
		.bytes = DatumGetInt32(result_value(0, 4, &isnull)),
		.generation = DatumGetInt32(result_value(0, 5, &isnull)),
	};
	return true;
}

/*
 * The last chunk of a task that a snapshot shows.  Returns false for none.
 */
bool
chunk_row_last(const pg_uuid_t *run_id, const pg_uuid_t *task_id, Snapshot snapshot,
			   Stream *stream)
{
	Relation	chunks = table_open(store_chunks_oid(), AccessShareLock);
	Relation	index = shape_is_plain(TABLE_CHUNKS) ? open_key(chunks) : NULL;
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	if (index == NULL)
	{
		table_close(chunks, NoLock);
		return last_by_statement(run_id, task_id, snapshot, stream);
	}

	ScanKeyInit(&keys[0], COLUMN_RUN_ID, BTEqualStrategyNumber, F_UUID_EQ,
				UUIDPGetDatum(run_id));
	ScanKeyInit(&keys[1], COLUMN_TASK_ID, BTEqualStrategyNumber, F_UUID_EQ,
				UUIDPGetDatum(task_id));
	scan = systable_beginscan_ordered(chunks, index, snapshot, lengthof(keys), keys);
	tuple = systable_getnext_ordered(scan, BackwardScanDirection);
	if (tuple != NULL)
	{
		TupleDesc	desc = RelationGetDescr(chunks);
		Datum	   *values = palloc_array(Datum, desc->natts);
		bool	   *nulls = palloc_array(bool, desc->natts);

		heap_deform_tuple(tuple, desc, values, nulls);
		*stream = (Stream) {
			.saved_at = DatumGetTimestampTz(values[COLUMN_CREATED_AT - 1]),
			.hash = (uint64) DatumGetInt64(values[COLUMN_HASH - 1]),
			.chars = DatumGetInt32(values[COLUMN_CHARS - 1]),
			.bytes = DatumGetInt32(values[COLUMN_BYTES - 1]),
			.generation = DatumGetInt32(values[COLUMN_GENERATION - 1]),
		};
	}
	systable_endscan_ordered(scan);
	index_close(index, NoLock);
	table_close(chunks, NoLock);
	return tuple != NULL;
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
