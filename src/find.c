/*
 * find.c
 *		Rows of the store found by their keys, without a plan.
 *
 * Every call looks for its run, its task or the last chunk of a text; as a
 * statement that costs several times what the index and the row do.  So the
 * look-up goes straight to the primary key, as the server does in its own
 * catalogs, where the table is plain (shape.c).  Whoever calls this has a
 * statement for where it is not, and for every refusal: what is found here is
 * what the statement would find, and what is not found here the statement is
 * asked for again.
 *
 * A run's policy is asked for as what it is: shape.c has made sure that it is
 * ours alone, which compares the row's user with the caller.
 *
 * Locks: the table and its index, as the caller says; find_lock() the row, for
 * which it waits.
 */
#include "find.h"

#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "identity.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "store.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"

/* As which the tables stand in statements */
const char *const table_aliases[STORE_TABLES] = {"r.", "m.", "t.", "c."};

/* Find out where columns stand in their table; false where one is missing */
bool
columns_find(ColumnList *list, StoreTable table)
{
	const char *alias = table_aliases[table];
	uint64		generation = shape_generation();

	if (list->generation == generation)
		return true;
	list->count = 0;
	for (const char *name = list->text; name != NULL; name = strstr(name, alias))
	{
		char		column[NAMEDATALEN] = {0};
		AttrNumber	number;

		name += strlen(alias);
		memcpy(column, name, Min(strcspn(name, ", "), NAMEDATALEN - 1));
		number = get_attnum(shape_table(table), column);
		if (number == InvalidAttrNumber)
			return false;
		Assert(list->count < COLUMN_LIST_MAX);
		list->numbers[list->count++] = number;
	}
	list->generation = generation;
	return true;
}

/*
 * Where rows of runs and tasks have been found: one is mostly asked for many
 * times in a row, and mostly where it was.  Only a hint: a row that is found
 * that way has the key, and the snapshot shows it.  Where we have put a row is
 * not noted: what follows is to come through the index, which prunes the page,
 * or its versions would fill it and the next one go elsewhere.
 */
typedef struct Hint
{
	uint64		generation;		/* of the shape: the table is the same one, as it was written */
	pg_uuid_t	key;
	pg_uuid_t	second_key;
	ItemPointerData place;
} Hint;

#define HINTS	4
static Hint hints[STORE_TABLES][HINTS];

/* The hint for a key, or its place */
static Hint *
find_hint(StoreTable table, const pg_uuid_t *key, const pg_uuid_t *second_key)
{
	return &hints[table][(key->data[UUID_LEN - 1] ^
						  (second_key != NULL ? second_key->data[UUID_LEN - 1] : 0)) % HINTS];
}

/* Is the column of the row this id? */
static bool
has_key(const Find *find, HeapTuple row, int i, const pg_uuid_t *key)
{
	bool		isnull;
	Datum		value = heap_getattr(row, shape_key_column(find->table, i),
									 RelationGetDescr(find->relation), &isnull);

	return !isnull && uuid_equal(DatumGetUUIDP(value), key);
}

/* Look where the hint says; returns whether the row is there */
static bool
follow_hint(Find *find, const pg_uuid_t *key, const pg_uuid_t *second_key)
{
	Hint	   *hint = find_hint(find->table, key, second_key);
	TupleTableSlot *slot;

	/* a vacuum may have cut off where it was; while we have the table open it will not */
	if (hint->generation != shape_generation() || !uuid_equal(&hint->key, key) ||
		(second_key != NULL && !uuid_equal(&hint->second_key, second_key)) ||
		ItemPointerGetBlockNumber(&hint->place) >= RelationGetNumberOfBlocks(find->relation))
		return false;
	slot = table_slot_create(find->relation, NULL);
	if (table_tuple_fetch_row_version(find->relation, &hint->place, find->snapshot, slot))
	{
		HeapTuple	row = ExecCopySlotHeapTuple(slot);

		if (has_key(find, row, 0, key) &&
			(second_key == NULL || has_key(find, row, 1, second_key)))
			find->row = row;
	}
	ExecDropSingleTupleTableSlot(slot);
	return find->row != NULL;
}

/*
 * Look for the row with a key, or with two; of several, the last one by the
 * rest of the primary key.  mode: how the table is locked, and the index.
 * snapshot: NULL for what is committed by the time that the lock is there; it
 * is there, too, where this returns false, because that is a statement's to do.
 * Else find_end() follows.
 */
bool
find_begin(Find *find, StoreTable table, LOCKMODE mode, const pg_uuid_t *key,
		   const pg_uuid_t *second_key, Snapshot snapshot)
{
	ScanKeyData keys[2];
	int			count = 0;
	Oid			index_oid;

	/* the statement says that nothing can be written here */
	if (mode != AccessShareLock && XactReadOnly)
		return false;
	find->table = table;
	find->relation = shape_open_table(table, mode);
	index_oid = shape_is_plain(table) ? shape_primary_key(table) : InvalidOid;
	if (!OidIsValid(index_oid))
	{
		table_close(find->relation, NoLock);
		return false;
	}
	find->snapshot_is_ours = snapshot == NULL;
	if (find->snapshot_is_ours)
	{
		CommandCounterIncrement();
		snapshot = RegisterSnapshot(GetLatestSnapshot());
	}
	find->snapshot = snapshot;
	find->index = NULL;
	find->scan = NULL;
	find->row = NULL;
	if ((table == TABLE_RUNS || table == TABLE_TASKS) &&
		follow_hint(find, key, second_key))
		return true;
	find->index = index_open(index_oid, mode);
	ScanKeyInit(&keys[count], shape_key_column(table, count),
				BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(key));
	count++;
	if (second_key != NULL)
	{
		ScanKeyInit(&keys[count], shape_key_column(table, count),
					BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(second_key));
		count++;
	}
	find->scan = systable_beginscan_ordered(find->relation, find->index, snapshot, count, keys);
	find_next(find);
	if (find->row != NULL)
		*find_hint(table, key, second_key) = (Hint) {
			shape_generation(), *key, second_key != NULL ? *second_key : *key,
			find->row->t_self
		};
	return true;
}

/* Go on to the row before, where several have the key */
void
find_next(Find *find)
{
	HeapTuple	row = systable_getnext_ordered(find->scan, BackwardScanDirection);

	if (find->row != NULL)
		heap_freetuple(find->row);
	find->row = row != NULL ? heap_copytuple(row) : NULL;
}

/*
 * Lock the row, as FOR NO KEY UPDATE does.  Returns false where it is not the
 * latest version any more: a statement goes on from there.
 */
bool
find_lock(Find *find)
{
	TupleTableSlot *slot = table_slot_create(find->relation, NULL);
	TM_FailureData failure;
	TM_Result	result;

	result = table_tuple_lock(find->relation, &find->row->t_self, find->snapshot, slot,
							  GetCurrentCommandId(false), LockTupleNoKeyExclusive,
							  LockWaitBlock, TUPLE_LOCK_FLAG_LOCK_UPDATE_IN_PROGRESS, &failure);
	ExecDropSingleTupleTableSlot(slot);
	return result == TM_Ok;
}

/* These columns of the row; returns false where one is missing */
bool
find_values(const Find *find, ColumnList *list, Datum *values, bool *nulls)
{
	TupleDesc	desc = RelationGetDescr(find->relation);
	Datum	   *all_values = palloc_array(Datum, desc->natts);
	bool	   *all_nulls = palloc_array(bool, desc->natts);

	if (!columns_find(list, find->table))
		return false;
	heap_deform_tuple(find->row, desc, all_values, all_nulls);
	for (int i = 0; i < list->count; i++)
	{
		values[i] = all_values[list->numbers[i] - 1];
		nulls[i] = all_nulls[list->numbers[i] - 1];
	}
	return true;
}

/* Leave */
void
find_end(Find *find)
{
	if (find->scan != NULL)
		systable_endscan_ordered(find->scan);
	if (find->index != NULL)
		index_close(find->index, NoLock);
	if (find->snapshot_is_ours)
		UnregisterSnapshot(find->snapshot);
	table_close(find->relation, NoLock);
}

/* Does row security, which is our own policy alone, let the caller have this user's run? */
static bool
is_of_caller(const Find *find, Datum user_id, bool is_nobodys)
{
	pg_uuid_t	caller;

	if (check_enable_rls(RelationGetRelid(find->relation), InvalidOid, true) != RLS_ENABLED)
		return true;
	return row_security && !is_nobodys && caller_id(&caller) &&
		uuid_equal(DatumGetUUIDP(user_id), &caller);
}

/*
 * Look for a run that is not deleted, and that the caller may see and change.
 * Returns false where there is none, or that is a statement's to tell; else
 * find_end() follows.
 */
bool
find_run_of_caller(Find *find, LOCKMODE mode, const pg_uuid_t *run_id)
{
	static ColumnList columns = {.text = "r.user_id, r.deleted_at"};
	Datum		values[2] = {0};
	bool		nulls[2] = {true, true};

	if (!shape_is_granted(TABLE_RUNS, ACL_SELECT | ACL_UPDATE) ||
		!find_begin(find, TABLE_RUNS, mode, run_id, NULL, NULL))
		return false;
	if (find->row != NULL && find_values(find, &columns, values, nulls) && nulls[1] &&
		is_of_caller(find, values[0], nulls[0]))
		return true;
	find_end(find);
	return false;
}
