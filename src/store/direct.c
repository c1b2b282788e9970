/*
 * direct.c
 *		Rows of the store found and written without the executor.
 *
 * Starting the executor costs more than a small row does.  So the functions
 * look for rows of the store, and write them, as the server does in its own
 * catalogs.  A statement that does the same stands beside each of these calls:
 * they return false wherever it has to be executed, and nothing has happened
 * then.  What they do is what that statement would do:
 *
 * - The way is open only where the table, and the partition where it is partitioned,
 *	 is exactly what airun_install() made (definition.c has the list), so that there is
 *	 nothing else to be honoured than what stands here: NOT NULL, the indexes, and the
 *	 policies and triggers of our own, which let our own rows pass.  What policies and
 *	 triggers would check the caller of these answers for: he has locked the run's row
 *	 under its caller's rights, or updates just that as he has seen it, or has locked
 *	 the text that a chunk belongs to.
 * - It is closed where a permission hook is set (sepgsql, pgaudit's auditing of
 *	 objects) or a hook that adds policies, where the caller lacks a privilege on
 *	 the table or on a function of its policies, in parallel mode, in a read-only
 *	 transaction, to an update under REPEATABLE READ or above (the first updater
 *	 wins there, which the executor tells), and to whoever has set row_security to
 *	 off.  The setting airun.direct_writes closes it for all tables but task_chunks
 *	 and usage_tail, which nobody but airun may write.
 * - Indexes are filled by the server's own code, whatever their kind.
 * - Statistics, predicate locks, WAL and logical decoding are those of the table
 *	 access method, as for a statement.
 *
 * That nothing is found is an answer only with a snapshot that is not older
 * than the lock on the table: a table that is written anew shows its rows to no
 * older one.  ExecutorStart and the hooks behind it (pg_stat_statements,
 * auto_explain) see nothing of these rows.
 *
 * Locks: the table and its indexes, as for a statement; direct_scan_lock(),
 * direct_hold_run() and direct_update() the row.  The first two wait for it.
 */
#include "store/direct.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "store/identity.h"
#include "store/store.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"

/* Is the way open, as far as the privileges and the kind of access do not matter? */
static bool
is_open(Relation relation, StoreTable table)
{
	return !store_has_rights_hook() && !IsInParallelMode() &&
		(airun_direct_writes || TABLE_IS_OWNERS(table)) && store_rows_are_exact(relation, table);
}

/* ---------- where rows were ---------- */

/*
 * Where rows of runs and tasks have been found or written: one is mostly asked
 * for many times in a row, and mostly where it was.  Only a hint: a row that is
 * found that way has the key, and the snapshot shows it.
 */
typedef struct Hint
{
	uint64		version;		/* of the definition: the table is the same, as written */
	pg_uuid_t	key;
	pg_uuid_t	second_key;
	ItemPointerData place;
} Hint;

#define HINTS	256
static Hint hints[STORE_TABLES][HINTS];

/* Are there hints for the rows of an index? */
static bool
has_hints(StoreIndex by)
{
	return by == RUNS_KEY || by == TASKS_KEY;
}

/* Some of the bits of an id that differ from one to the next, whoever makes it */
static uint32
low_bits(const pg_uuid_t *key)
{
	return key->data[UUID_LEN - 1] + 101 * key->data[UUID_LEN - 2];
}

/* The hint for a key, or its place */
static Hint *
hint_for(StoreTable table, const pg_uuid_t *key, const pg_uuid_t *second_key)
{
	uint64		bits = low_bits(key) + (second_key != NULL ? low_bits(second_key) : 0);

	return &hints[table][bits % HINTS];
}

static void
note_place(StoreTable table, const pg_uuid_t *key, const pg_uuid_t *second_key,
		   const ItemPointerData *place)
{
	*hint_for(table, key, second_key) = (Hint) {
		store_definition_version(), *key, second_key != NULL ? *second_key : *key, *place
	};
}

/* Note where a row with these values has been put */
static void
note_row(StoreTable table, const Datum *values, const ItemPointerData *place)
{
	StoreIndex	by = (StoreIndex) table;	/* its primary key */

	if (has_hints(by) && OidIsValid(store_index(by)))
		note_place(table, DatumGetUUIDP(values[store_index_column(by, 0) - 1]),
				   by == RUNS_KEY ? NULL :
				   DatumGetUUIDP(values[store_index_column(by, 1) - 1]), place);
}

/* ---------- rows found ---------- */

/* The row that has been found, or NULL */
static void
take_row(DirectScan *scan, HeapTuple row)
{
	if (scan->row != NULL)
	{
		heap_freetuple(scan->row);
		if (scan->values != NULL)
		{
			pfree(scan->values);
			pfree(scan->nulls);
		}
	}
	scan->row = row;
	scan->values = NULL;
	scan->nulls = NULL;
}

/* Have its values at hand */
static void
deform_row(DirectScan *scan)
{
	TupleDesc	desc = RelationGetDescr(scan->relation);

	if (scan->values != NULL)
		return;
	scan->values = palloc_array(Datum, desc->natts);
	scan->nulls = palloc_array(bool, desc->natts);
	heap_deform_tuple(scan->row, desc, scan->values, scan->nulls);
}

/* Is the column of the index this id? */
static bool
has_key(DirectScan *scan, int i, const pg_uuid_t *key)
{
	int			column = store_index_column(scan->by, i) - 1;

	deform_row(scan);
	return !scan->nulls[column] && uuid_equal(DatumGetUUIDP(scan->values[column]), key);
}

/*
 * Has the page of the row no room for a new version?  The server prunes a page
 * when it is come to through an index: without that the new version would go
 * elsewhere, with an entry in every index.
 */
static bool
page_is_full(TupleTableSlot *slot, HeapTuple row)
{
	return TTS_IS_BUFFERTUPLE(slot) &&
		PageGetHeapFreeSpace(BufferGetPage(((BufferHeapTupleTableSlot *) slot)->buffer)) <
		2 * row->t_len;
}

/* Look where the hint says; returns whether the row is there, and can be written if it is to be */
static bool
follow_hint(DirectScan *scan, LOCKMODE mode, const pg_uuid_t *key, const pg_uuid_t *second_key)
{
	Hint	   *hint = hint_for(scan->table, key, second_key);
	TupleTableSlot *slot;

	/* a vacuum may have cut off where it was; while we have the table open it will not */
	if (hint->version != store_definition_version() || !uuid_equal(&hint->key, key) ||
		(second_key != NULL && !uuid_equal(&hint->second_key, second_key)) ||
		ItemPointerGetBlockNumber(&hint->place) >= RelationGetNumberOfBlocks(scan->relation))
		return false;
	slot = table_slot_create(scan->relation, NULL);
	if (table_tuple_fetch_row_version(scan->relation, &hint->place, scan->snapshot, slot))
	{
		take_row(scan, ExecCopySlotHeapTuple(slot));
		if (!has_key(scan, 0, key) || (second_key != NULL && !has_key(scan, 1, second_key)) ||
			(mode != AccessShareLock && page_is_full(slot, scan->row)))
			take_row(scan, NULL);
	}
	ExecDropSingleTupleTableSlot(slot);
	return scan->row != NULL;
}

/*
 * Count for the index the scan that a hint has spared.  Nothing is read of it, so that
 * it is not locked: while its table is, it stays.
 */
static void
count_scan(Oid index_oid)
{
	Relation	index = RelationIdGetRelation(index_oid);

	pgstat_count_index_scan(index);
	pgstat_count_index_tuples(index, 1);
	pgstat_count_heap_fetch(index);
	RelationClose(index);
}

/*
 * Look for the row with a key, or with two, the second one a UUID or a text as
 * the index has it; of several, the last one by the rest of the index.
 *
 * mode: how the table is locked, and the index.  snapshot: NULL for what is
 * committed by the time that the lock is there; it is there, too, where this
 * returns false, because that is a statement's to do.  Else direct_scan_end()
 * follows.
 */
bool
direct_scan_begin(DirectScan *scan, StoreIndex by, LOCKMODE mode, const pg_uuid_t *key,
				  const void *second_key, Snapshot snapshot)
{
	StoreTable	table = store_index_table(by);
	ScanKeyData keys[2];
	int			count = 1;
	Oid			index_oid;

	/* the statement says that nothing can be written here */
	if (mode != AccessShareLock && XactReadOnly)
		return false;
	*scan = (DirectScan) {.by = by, .table = table};
	/* by a task's id alone, a statement looks through all partitions */
	scan->relation = store_open_rows(table, by == TASKS_BY_ID ? NULL : key, mode);
	index_oid = is_open(scan->relation, table) ? store_index_of(scan->relation, by) : InvalidOid;
	/* whoever wants no row hidden from him is told so by the statement */
	if (!OidIsValid(index_oid) || (!row_security && store_table_binds_caller(table)))
	{
		table_close(scan->relation, NoLock);
		return false;
	}
	scan->snapshot_is_ours = snapshot == NULL;
	if (scan->snapshot_is_ours)
	{
		CommandCounterIncrement();
		snapshot = RegisterSnapshot(GetLatestSnapshot());
	}
	scan->snapshot = snapshot;
	if (has_hints(by) && follow_hint(scan, mode, key, second_key))
	{
		count_scan(index_oid);
		return true;
	}
	scan->index = index_open(index_oid, mode);
	ScanKeyInit(&keys[0], store_index_column(by, 0), BTEqualStrategyNumber, F_UUID_EQ,
				UUIDPGetDatum(key));
	if (second_key != NULL)
		ScanKeyEntryInitialize(&keys[count++], 0, store_index_column(by, 1),
							   BTEqualStrategyNumber, InvalidOid, scan->index->rd_indcollation[1],
							   by == MESSAGES_BY_ID ? F_TEXTEQ : F_UUID_EQ,
							   PointerGetDatum(second_key));
	scan->scan = systable_beginscan_ordered(scan->relation, scan->index, snapshot, count, keys);
	direct_scan_next(scan);
	if (scan->row != NULL && has_hints(by))
		note_place(table, key, second_key, &scan->row->t_self);
	return true;
}

/* Go on to the row before, where several have the key */
void
direct_scan_next(DirectScan *scan)
{
	HeapTuple	row = systable_getnext_ordered(scan->scan, BackwardScanDirection);

	take_row(scan, row != NULL ? heap_copytuple(row) : NULL);
}

/*
 * Lock the row.  Returns false where it is not the latest version any more: a
 * statement goes on from there.
 */
static bool
lock_row(DirectScan *scan, LockTupleMode mode)
{
	TupleTableSlot *slot = table_slot_create(scan->relation, NULL);
	TM_FailureData failure;
	TM_Result	result;

	result = table_tuple_lock(scan->relation, &scan->row->t_self, scan->snapshot, slot,
							  GetCurrentCommandId(false), mode,
							  LockWaitBlock, TUPLE_LOCK_FLAG_LOCK_UPDATE_IN_PROGRESS, &failure);
	ExecDropSingleTupleTableSlot(slot);
	return result == TM_Ok;
}

/* The same as FOR NO KEY UPDATE does */
bool
direct_scan_lock(DirectScan *scan)
{
	return lock_row(scan, LockTupleNoKeyExclusive);
}

/* These columns of the row; returns false where one is missing */
bool
direct_scan_values(DirectScan *scan, ColumnList *list, Datum *values, bool *nulls)
{
	if (!store_find_columns(list))
		return false;
	deform_row(scan);
	for (int i = 0; i < list->count; i++)
	{
		values[i] = scan->values[list->numbers[i] - 1];
		nulls[i] = scan->nulls[list->numbers[i] - 1];
	}
	return true;
}

/* Leave */
void
direct_scan_end(DirectScan *scan)
{
	if (scan->scan != NULL)
	{
		systable_endscan_ordered(scan->scan);
		index_close(scan->index, NoLock);
	}
	if (scan->snapshot_is_ours)
		UnregisterSnapshot(scan->snapshot);
	table_close(scan->relation, NoLock);
}

/* Does row security, which is our own policy alone, let the caller have this user's run? */
static bool
is_of_caller(const DirectScan *scan, Datum user_id, bool is_nobodys)
{
	pg_uuid_t	caller;

	return !store_table_binds_caller(scan->table) ||
		(!is_nobodys && caller_id(&caller) && uuid_equal(DatumGetUUIDP(user_id), &caller));
}

/*
 * Look for a run that is not deleted, and that the caller may see and change.
 * Returns false where there is none, or that is a statement's to tell; else
 * direct_scan_end() follows.
 */
bool
direct_scan_run(DirectScan *scan, LOCKMODE mode, const pg_uuid_t *run_id)
{
	static ColumnList columns = {TABLE_RUNS, {"user_id", "deleted_at"}};
	Datum		values[2] = {0};
	bool		nulls[2] = {true, true};

	if (!store_is_granted(TABLE_RUNS, ACL_SELECT | ACL_UPDATE) ||
		!direct_scan_begin(scan, RUNS_KEY, mode, run_id, NULL, NULL))
		return false;
	if (scan->row != NULL && direct_scan_values(scan, &columns, values, nulls) && nulls[1] &&
		is_of_caller(scan, values[0], nulls[0]))
		return true;
	direct_scan_end(scan);
	return false;
}

/*
 * Hold against removal, as FOR KEY SHARE does, a run that is not deleted, and that the
 * caller may see and change.  Returns false where there is none, or that is a
 * statement's to tell.
 */
bool
direct_hold_run(const pg_uuid_t *run_id)
{
	DirectScan	scan;
	bool		is_held;

	/* where a snapshot lasts, the statement tells whether the run is in it */
	if (IsolationUsesXactSnapshot() || !direct_scan_run(&scan, RowShareLock, run_id))
		return false;
	is_held = lock_row(&scan, LockTupleKeyShare);
	direct_scan_end(&scan);
	return is_held;
}

/* ---------- rows written ---------- */

/* Find out where a column stands, if it is of its type and no modifier */
static bool
find_column(const WriteColumn *column, Relation relation, int *number)
{
	Form_pg_attribute attribute;

	*number = get_attnum(RelationGetRelid(relation), column->name);
	if (*number == InvalidAttrNumber)
		return false;
	attribute = TupleDescAttr(RelationGetDescr(relation), *number - 1);
	return attribute->atttypid == column->type && attribute->atttypmod == -1;
}

/* Would the executor do something about a column that an insert does not name? */
static bool
needs_executor(Form_pg_attribute column)
{
	return column->atthasdef || column->attnotnull || column->attidentity ||
		get_typtype(column->atttypid) == TYPTYPE_DOMAIN;
}

/* The type of the result, which is of columns of the table */
static bool
find_result(RowWrite *write, Relation relation)
{
	MemoryContext old_context;
	ColumnList *list = write->returning;

	if (list == NULL)
		return true;
	if (!store_find_columns(list))
		return false;
	if (write->result_desc == NULL)
	{
		old_context = MemoryContextSwitchTo(TopMemoryContext);
		write->result_desc = CreateTemplateTupleDesc(list->count);
		for (int i = 0; i < list->count; i++)
			TupleDescCopyEntry(write->result_desc, i + 1, RelationGetDescr(relation),
							   list->numbers[i]);
		MemoryContextSwitchTo(old_context);
	}
	return true;
}

/* Find out where the columns stand, and whether an insert names all that matter */
static bool
find_columns(RowWrite *write, Relation relation)
{
	TupleDesc	desc = RelationGetDescr(relation);
	Bitmapset  *named = NULL;

	for (int i = 0; i < write->key_count; i++)
		if (!find_column(&write->keys[i], relation, &write->key_numbers[i]))
			return false;
	for (int i = 0; i < write->column_count; i++)
	{
		if (!find_column(&write->columns[i], relation, &write->numbers[i]))
			return false;
		named = bms_add_member(named, write->numbers[i]);
	}
	for (int i = 0; write->key_count == 0 && i < desc->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(desc, i);

		if (!column->attisdropped && !bms_is_member(i + 1, named) && needs_executor(column))
			return false;
	}
	return find_result(write, relation);
}

/* May the row go straight to the table, which is open and locked? */
static bool
is_open_to(RowWrite *write, Relation relation, bool as_owner)
{
	AclMode		privileges = (write->key_count == 0 ? ACL_INSERT : ACL_UPDATE) |
		(write->returning != NULL ? ACL_SELECT : 0);
	uint64		version = store_definition_version();

	if (!is_open(relation, write->table) ||
		(write->key_count > 0 && IsolationUsesXactSnapshot()) ||
		!(as_owner || store_is_granted(write->table, privileges)))
		return false;
	if (write->version != version)
	{
		write->version = 0;
		write->is_known = find_columns(write, relation);
		write->version = version;
	}
	return write->is_known;
}

/* The run whose row is written: an update's key, or an insert's column; NULL for none */
static const pg_uuid_t *
run_of(const RowWrite *write, const Args *args)
{
	const char *name = write->table == TABLE_RUNS ? "id" : "run_id";

	if (write->key_count > 0)
		return DatumGetUUIDP(args->values[0]);
	for (int i = 0; i < write->column_count; i++)
		if (strcmp(write->columns[i].name, name) == 0 && args->nulls[i] != 'n')
			return DatumGetUUIDP(args->values[i]);
	return NULL;
}

/*
 * Open the table for a write.  Returns NULL where that is a statement's to do,
 * which also says what makes it impossible.
 */
static Relation
open_for(RowWrite *write, const Args *args, bool as_owner)
{
	Relation	relation = store_open_rows(write->table, run_of(write, args), RowExclusiveLock);

	if (!XactReadOnly && is_open_to(write, relation, as_owner))
		return relation;
	table_close(relation, NoLock);
	return NULL;
}

/* The columns of the result, from the values of the row */
static void
keep_result(const RowWrite *write, const TupleTableSlot *row, ResultRow *result)
{
	const ColumnList *list = write->returning;
	Datum		values[COLUMN_LIST_MAX];
	bool		nulls[COLUMN_LIST_MAX];

	if (list == NULL)
		return;
	for (int i = 0; i < list->count; i++)
	{
		values[i] = row->tts_values[list->numbers[i] - 1];
		nulls[i] = row->tts_isnull[list->numbers[i] - 1];
	}
	result->desc = write->result_desc;
	result->tuple = heap_form_tuple(write->result_desc, values, nulls);
}

/* May the server have to ask a function, of an expression or a condition? */
static bool
asks_functions(const ResultRelInfo *target)
{
	for (int i = 0; i < target->ri_NumIndices; i++)
		if (target->ri_IndexRelationInfo[i]->ii_Expressions != NIL ||
			target->ri_IndexRelationInfo[i]->ii_Predicate != NIL)
			return true;
	return false;
}

/*
 * Enter a new row in indexes that ask no function, as the server does in its own
 * catalogs.  None is deferrable: that takes a constraint, and all are on the list.
 */
static void
insert_plain_entries(const ResultRelInfo *target, TupleTableSlot *row)
{
	for (int i = 0; i < target->ri_NumIndices; i++)
	{
		IndexInfo  *info = target->ri_IndexRelationInfo[i];
		Datum		values[INDEX_MAX_KEYS];
		bool		nulls[INDEX_MAX_KEYS];

		if (!info->ii_ReadyForInserts)
			continue;
		FormIndexDatum(info, row, NULL, values, nulls);
		index_insert(target->ri_IndexRelationDescs[i], values, nulls, &row->tts_tid,
					 target->ri_RelationDesc,
					 info->ii_Unique ? UNIQUE_CHECK_YES : UNIQUE_CHECK_NO, false, info);
	}
}

/*
 * Enter a row, which is in its place, in the indexes of its table.  They are
 * opened after the row has been written; one that is being made since the table
 * was locked waits for us, and is passed over as not ready.
 */
static void
insert_index_entries(Relation relation, TupleTableSlot *row, bool is_update, UpdateIndexes which)
{
	ResultRelInfo *target = makeNode(ResultRelInfo);
	bool		asks;

	/* no triggers: none but our own and those of our foreign keys are there */
	target->ri_RelationDesc = relation;
	ExecOpenIndices(target, false);
	asks = asks_functions(target);
	if (!is_update && !asks)
		insert_plain_entries(target, row);
	else
	{
		EState	   *estate = CreateExecutorState();

		/*
		 * A site's function may look at the store: it sees what we have written before, as
		 * in a statement.
		 */
		if (asks)
			PushActiveSnapshot(GetTransactionSnapshot());
		exec_insert_index_tuples(target, row, estate, is_update, which);
		if (asks)
			PopActiveSnapshot();
		FreeExecutorState(estate);
	}
	ExecCloseIndices(target);
}

/* Is a value missing that the table demands?  The executor says so. */
static bool
lacks_value(const RowWrite *write, Relation relation, const TupleTableSlot *row)
{
	for (int i = 0; i < write->column_count; i++)
		if (row->tts_isnull[write->numbers[i] - 1] &&
			TupleDescAttr(RelationGetDescr(relation), write->numbers[i] - 1)->attnotnull)
			return true;
	return false;
}

/*
 * Insert a row, if that can be done without a plan; else returns false, and
 * the caller executes the statement.  as_owner: the right to do so is the
 * owner's.  result: what the write returns, if it does.
 */
bool
direct_insert(RowWrite *write, Args *args, bool as_owner, ResultRow *result)
{
	Relation	relation = open_for(write, args, as_owner);
	TupleTableSlot *row;
	bool		done = false;

	if (relation == NULL)
		return false;
	row = MakeSingleTupleTableSlot(RelationGetDescr(relation), &TTSOpsVirtual);
	memset(row->tts_isnull, true, RelationGetNumberOfAttributes(relation));
	memset(row->tts_values, 0, RelationGetNumberOfAttributes(relation) * sizeof(Datum));
	for (int i = 0; i < write->column_count; i++)
	{
		row->tts_values[write->numbers[i] - 1] = args->values[i];
		row->tts_isnull[write->numbers[i] - 1] = args->nulls[i] == 'n';
	}
	ExecStoreVirtualTuple(row);
	if (!lacks_value(write, relation, row))
	{
		keep_result(write, row, result);
		simple_table_tuple_insert(relation, row);
		insert_index_entries(relation, row, false, ALL_INDEXES);
		note_row(write->table, row->tts_values, &row->tts_tid);
		CommandCounterIncrement();
		done = true;
	}
	ExecDropSingleTupleTableSlot(row);
	table_close(relation, NoLock);
	return done;
}

/* Put an argument into a column of a row */
static void
apply(const WriteColumn *column, Datum argument, bool is_given, Datum *value, bool *isnull)
{
	if (column->rule == WRITE_SET)
	{
		*value = argument;
		*isnull = !is_given;
		return;
	}
	if (!is_given)
		return;
	switch (column->rule)
	{
		case WRITE_ADD:
			if (column->type == INT8OID)
				argument = DirectFunctionCall2(int8pl, *value, argument);
			else
				argument = DirectFunctionCall2(numeric_add, *value, argument);
			break;
		case WRITE_LATEST:
			if (DatumGetTimestampTz(*value) > DatumGetTimestampTz(argument))
				argument = *value;
			break;
		default:
			break;
	}
	*value = argument;
	*isnull = false;
}

/* Is it the row with these keys, and no other one that has come in its place? */
static bool
has_keys(const RowWrite *write, const Args *args, TupleTableSlot *row)
{
	for (int i = 0; i < write->key_count; i++)
	{
		bool		isnull;
		Datum		value = slot_getattr(row, write->key_numbers[i], &isnull);

		if (isnull || !uuid_equal(DatumGetUUIDP(value), DatumGetUUIDP(args->values[i])))
			return false;
	}
	return true;
}

/* The row as the update leaves it */
static TupleTableSlot *
updated_row(const RowWrite *write, const Args *args, Relation relation, TupleTableSlot *old)
{
	TupleTableSlot *new = MakeSingleTupleTableSlot(RelationGetDescr(relation), &TTSOpsVirtual);
	int			count = RelationGetNumberOfAttributes(relation);

	slot_getallattrs(old);
	memcpy(new->tts_values, old->tts_values, count * sizeof(Datum));
	memcpy(new->tts_isnull, old->tts_isnull, count * sizeof(bool));
	for (int i = 0; i < write->column_count; i++)
	{
		int			argument = write->key_count + i;
		int			column = write->numbers[i] - 1;

		apply(&write->columns[i], args->values[argument], args->nulls[argument] != 'n',
			  &new->tts_values[column], &new->tts_isnull[column]);
	}
	return ExecStoreVirtualTuple(new);
}

/*
 * Have a row be the new version of the one at this place, with its entries in indexes.
 * Where that is not the latest version, once nobody holds it any more, the result says
 * so, and no lock of it is left.
 */
TM_Result
direct_replace(Relation relation, ItemPointer place, TupleTableSlot *row, Snapshot snapshot)
{
	UpdateIndexes which = NO_INDEXES;
	TM_Result	result = update_tuple(relation, place, row, snapshot, &which);

	if (result == TM_Ok && which != NO_INDEXES)
		insert_index_entries(relation, row, true, which);
	return result;
}

/*
 * Update the row at this place, if that can be done without a plan and nobody
 * has changed it since; else returns false, and the caller executes the
 * statement.  result: what the write returns, if it does.
 */
bool
direct_update(RowWrite *write, Args *args, ItemPointer place, ResultRow *result)
{
	Relation	relation = open_for(write, args, false);
	TupleTableSlot *old;
	Snapshot	snapshot;
	bool		done = false;

	if (relation == NULL)
		return false;
	CheckCmdReplicaIdentity(relation, CMD_UPDATE);

	CommandCounterIncrement();
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	old = table_slot_create(relation, NULL);
	if (table_tuple_fetch_row_version(relation, place, snapshot, old) &&
		has_keys(write, args, old))
	{
		TupleTableSlot *new = updated_row(write, args, relation, old);

		if (!lacks_value(write, relation, new) &&
			direct_replace(relation, place, new, snapshot) == TM_Ok)
		{
			keep_result(write, new, result);
			note_row(write->table, new->tts_values, &new->tts_tid);
			done = true;
		}
		ExecDropSingleTupleTableSlot(new);
		CommandCounterIncrement();
	}
	ExecDropSingleTupleTableSlot(old);
	UnregisterSnapshot(snapshot);
	table_close(relation, NoLock);
	return done;
}

/* ---------- as a statement ---------- */

static void
append_assignment(StringInfo sql, const char *alias, const WriteColumn *column, int argument)
{
	appendStringInfo(sql, "%s = ", column->name);
	switch (column->rule)
	{
		case WRITE_SET:
			appendStringInfo(sql, "$%d", argument);
			break;
		case WRITE_IF_GIVEN:
			appendStringInfo(sql, "COALESCE($%d, %s.%s)", argument, alias, column->name);
			break;
		case WRITE_ADD:
			appendStringInfo(sql, "%s.%s" PLUS "COALESCE($%d, 0)", alias, column->name, argument);
			break;
		case WRITE_LATEST:
			appendStringInfo(sql, "GREATEST(%s.%s, $%d)", alias, column->name, argument);
			break;
	}
}

/* The statement for a write */
Statement *
row_write_statement(RowWrite *write)
{
	Statement  *statement = &write->statement;
	bool		inserts = write->key_count == 0;
	const char *table = store_table_name(write->table);
	const char *alias = store_table_alias(write->table);
	StringInfoData sql;

	if (statement->sql != NULL)
		return statement;

	initStringInfo(&sql);
	if (inserts)
	{
		appendStringInfo(&sql, "INSERT INTO airun.%s AS %s (", table, alias);
		for (int i = 0; i < write->column_count; i++)
			appendStringInfo(&sql, "%s%s", i > 0 ? ", " : "", write->columns[i].name);
		appendStringInfoString(&sql, ") VALUES (");
		for (int i = 0; i < write->column_count; i++)
			appendStringInfo(&sql, "%s$%d", i > 0 ? ", " : "", i + 1);
		appendStringInfoChar(&sql, ')');
		if (write->skips_taken)
			appendStringInfoString(&sql, " ON CONFLICT DO NOTHING");
	}
	else
	{
		appendStringInfo(&sql, "UPDATE airun.%s AS %s SET ", table, alias);
		for (int i = 0; i < write->column_count; i++)
		{
			if (i > 0)
				appendStringInfoString(&sql, ", ");
			append_assignment(&sql, alias, &write->columns[i], write->key_count + i + 1);
		}
		for (int i = 0; i < write->key_count; i++)
			appendStringInfo(&sql, "%s %s.%s" EQ "$%d", i > 0 ? " AND" : " WHERE",
							 alias, write->keys[i].name, i + 1);
	}
	if (write->returning != NULL)
	{
		appendStringInfoString(&sql, " RETURNING " COLUMNS);
		statement->columns = write->returning;
	}

	for (int i = 0; i < write->key_count; i++)
		statement->argtypes[statement->nargs++] = write->keys[i].type;
	for (int i = 0; i < write->column_count; i++)
		statement->argtypes[statement->nargs++] = write->columns[i].type;
	statement->sql = MemoryContextStrdup(TopMemoryContext, sql.data);
	return statement;
}

