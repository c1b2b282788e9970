/*
 * chunkrow.c
 *		Rows of airun.task_chunks, found and written without a plan.
 *
 * Every save of a text that arrives looks for the last chunk of its task and
 * adds one.  As statements these two are half of what a save costs, nearly all
 * of it for starting the executor.  So they go straight to the table and its
 * index, as the server does for its large objects.
 *
 * What is not as airun_install() made it, such as a site's own column with a
 * default, trigger or rule, is the executor's to honour: then both are
 * statements, run as the owner of the table.
 *
 * The caller of these answers for the right to do so, and holds the lock on
 * the text (chunk.c).  Locks: the table and its index, as a statement would.
 */
#include "chunkrow.h"

#include "access/genam.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "statement.h"
#include "store.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* The columns of the table */
enum
{
	COLUMN_RUN_ID = 1,
	COLUMN_TASK_ID,
	COLUMN_CREATED_AT,
	COLUMN_HASH,
	COLUMN_CHARS,
	COLUMN_BYTES,
	COLUMN_GENERATION,
	COLUMN_CHUNK,
	COLUMNS = COLUMN_CHUNK
};

static const struct
{
	const char *name;
	Oid			type;
}			columns[COLUMNS] = {
	{"run_id", UUIDOID}, {"task_id", UUIDOID}, {"created_at", TIMESTAMPTZOID},
	{"hash", INT8OID}, {"chars", INT4OID}, {"bytes", INT4OID}, {"generation", INT4OID},
	{"chunk", TEXTOID}
};

/* Is the table as it was made, with nothing that only the executor knows to honour? */
static bool
is_plain(Relation chunks)
{
	TupleDesc	desc = RelationGetDescr(chunks);

	if (chunks->rd_rel->relkind != RELKIND_RELATION || chunks->trigdesc != NULL ||
		chunks->rd_rules != NULL || desc->natts != COLUMNS ||
		desc->constr == NULL || desc->constr->num_check > 0)
		return false;
	for (int i = 0; i < COLUMNS; i++)
	{
		if (TupleDescAttr(desc, i)->atttypid != columns[i].type ||
			strcmp(NameStr(TupleDescAttr(desc, i)->attname), columns[i].name) != 0)
			return false;
	}
	return true;
}

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
	Relation	index = is_plain(chunks) ? open_key(chunks) : NULL;
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
		Datum		values[COLUMNS];
		bool		nulls[COLUMNS];

		heap_deform_tuple(tuple, RelationGetDescr(chunks), values, nulls);
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

static void
insert_by_statement(const pg_uuid_t *run_id, const pg_uuid_t *task_id, const Stream *stream,
					text *chunk)
{
	static Statement insert = {
		"INSERT INTO airun.task_chunks "
		"(run_id, task_id, created_at, hash, chars, bytes, generation, chunk) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
		8, {UUIDOID, UUIDOID, TIMESTAMPTZOID, INT8OID, INT4OID, INT4OID, INT4OID, TEXTOID}
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
	if (statement_write_as_owner(&insert, &args, store_chunks_owner()) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
				 errmsg("a trigger on airun.task_chunks has suppressed a chunk")));
}

/* Insert a chunk; what follows in the transaction sees it */
void
chunk_row_insert(const pg_uuid_t *run_id, const pg_uuid_t *task_id, const Stream *stream,
				 text *chunk)
{
	Relation	chunks = table_open(store_chunks_oid(), RowExclusiveLock);
	EState	   *estate;
	ResultRelInfo *target;
	TupleTableSlot *slot;

	PreventCommandIfReadOnly("INSERT");
	if (!is_plain(chunks))
	{
		table_close(chunks, NoLock);
		insert_by_statement(run_id, task_id, stream, chunk);
		return;
	}

	estate = CreateExecutorState();
	target = makeNode(ResultRelInfo);
	InitResultRelInfo(target, chunks, 0, NULL, 0);
	ExecOpenIndices(target, false);

	slot = MakeSingleTupleTableSlot(RelationGetDescr(chunks), &TTSOpsVirtual);
	slot->tts_values[COLUMN_RUN_ID - 1] = UUIDPGetDatum(run_id);
	slot->tts_values[COLUMN_TASK_ID - 1] = UUIDPGetDatum(task_id);
	slot->tts_values[COLUMN_CREATED_AT - 1] = TimestampTzGetDatum(stream->saved_at);
	slot->tts_values[COLUMN_HASH - 1] = Int64GetDatum((int64) stream->hash);
	slot->tts_values[COLUMN_CHARS - 1] = Int32GetDatum(stream->chars);
	slot->tts_values[COLUMN_BYTES - 1] = Int32GetDatum(stream->bytes);
	slot->tts_values[COLUMN_GENERATION - 1] = Int32GetDatum(stream->generation);
	slot->tts_values[COLUMN_CHUNK - 1] = PointerGetDatum(chunk);
	memset(slot->tts_isnull, false, COLUMNS * sizeof(bool));
	ExecStoreVirtualTuple(slot);
	ExecSimpleRelationInsert(target, estate, slot);

	ExecDropSingleTupleTableSlot(slot);
	ExecCloseIndices(target);
	FreeExecutorState(estate);
	table_close(chunks, NoLock);
	CommandCounterIncrement();
}
