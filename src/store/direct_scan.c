/*
 * direct_scan.c
 *		Rows of the store found by their keys, without a plan.
 *
 * Every call looks for its run, its task, the last chunk of a text or a
 * message by its id; as a statement that costs several times what the index and
 * the row do.  So the look-up goes straight to an index, as the server does in
 * its own catalogs, where the table is plain (definition.c).  Whoever calls this has
 * a statement for where it is not, and for every refusal.  What is found here is
 * what the statement would find; that nothing is found is an answer only with a
 * snapshot that is not older than the lock on the table, because a table that is
 * written anew shows its rows to no older one.
 *
 * A run's policy is asked for as what it is: definition.c has made sure that it is
 * ours alone, which compares the row's user with the caller.
 *
 * Locks: the table and its index, as the caller says; find_lock() the row, for
 * which it waits.
 */
#include "store/direct_scan.h"

#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "store/identity.h"
#include "store/store.h"
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
 * Where rows of runs and tasks have been found or written: one is mostly asked
 * for many times in a row, and mostly where it was.  Only a hint: a row that is
 * found that way has the key, and the snapshot shows it.
 */
typedef struct Hint
{
	uint64		generation;		/* of the shape: the table is the same one, as it was written */
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
find_hint(StoreTable table, const pg_uuid_t *key, const pg_uuid_t *second_key)
{
	return &hints[table][(low_bits(key) + (second_key != NULL ? low_bits(second_key) : 0)) % HINTS];
}

static void
note_place(StoreTable table, const pg_uuid_t *key, const pg_uuid_t *second_key,
		   const ItemPointerData *place)
{
	*find_hint(table, key, second_key) = (Hint) {
		shape_generation(), *key, second_key != NULL ? *second_key : *key, *place
	};
}

/* Note where a row with these values has been put */
void
find_note(StoreTable table, const Datum *values, const ItemPointerData *place)
{
	StoreIndex	by = (StoreIndex) table;	/* its primary key */

	if (has_hints(by) && OidIsValid(shape_index(by)))
		note_place(table, DatumGetUUIDP(values[shape_index_column(by, 0) - 1]),
				   by == RUNS_KEY ? NULL :
				   DatumGetUUIDP(values[shape_index_column(by, 1) - 1]), place);
}

/* The row that has been found, or NULL */
static void
take_row(Find *find, HeapTuple row)
{
	if (find->row != NULL)
	{
		heap_freetuple(find->row);
		if (find->values != NULL)
		{
			pfree(find->values);
			pfree(find->nulls);
		}
	}
	find->row = row;
	find->values = NULL;
	find->nulls = NULL;
}

/* Have its values at hand */
static void
deform_row(Find *find)
{
	TupleDesc	desc = RelationGetDescr(find->relation);

	if (find->values != NULL)
		return;
	find->values = palloc_array(Datum, desc->natts);
	find->nulls = palloc_array(bool, desc->natts);
	heap_deform_tuple(find->row, desc, find->values, find->nulls);
}

/* Is the column of the index this id? */
static bool
has_key(Find *find, int i, const pg_uuid_t *key)
{
	int			column = shape_index_column(find->by, i) - 1;

	deform_row(find);
	return !find->nulls[column] && uuid_equal(DatumGetUUIDP(find->values[column]), key);
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
follow_hint(Find *find, LOCKMODE mode, const pg_uuid_t *key, const pg_uuid_t *second_key)
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
		take_row(find, ExecCopySlotHeapTuple(slot));
		if (!has_key(find, 0, key) || (second_key != NULL && !has_key(find, 1, second_key)) ||
			(mode != AccessShareLock && page_is_full(slot, find->row)))
			take_row(find, NULL);
	}
	ExecDropSingleTupleTableSlot(slot);
	return find->row != NULL;
}

/* Does row security bind the caller, if the table has it? */
static bool
binds_caller(const Find *find)
{
	return check_enable_rls(RelationGetRelid(find->relation), InvalidOid, true) == RLS_ENABLED;
}

/*
 * Look for the row with a key, or with two, the second one a UUID or a text as
 * the index has it; of several, the last one by the rest of the index.
 *
 * mode: how the table is locked, and the index.  snapshot: NULL for what is
 * committed by the time that the lock is there; it is there, too, where this
 * returns false, because that is a statement's to do.  Else find_end() follows.
 */
bool
find_begin(Find *find, StoreIndex by, LOCKMODE mode, const pg_uuid_t *key,
		   const void *second_key, Snapshot snapshot)
{
	StoreTable	table = shape_index_table(by);
	ScanKeyData keys[2];
	int			count = 1;
	Oid			index_oid;

	/* the statement says that nothing can be written here */
	if (mode != AccessShareLock && XactReadOnly)
		return false;
	*find = (Find) {.by = by, .table = table};
	find->relation = shape_open_table(table, mode);
	index_oid = shape_is_plain(table) ? shape_index(by) : InvalidOid;
	/* whoever wants no row hidden from him is told so by the statement */
	if (!OidIsValid(index_oid) || (!row_security && binds_caller(find)))
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
	if (has_hints(by) && follow_hint(find, mode, key, second_key))
		return true;
	find->index = index_open(index_oid, mode);
	ScanKeyInit(&keys[0], shape_index_column(by, 0), BTEqualStrategyNumber, F_UUID_EQ,
				UUIDPGetDatum(key));
	if (second_key != NULL)
		ScanKeyEntryInitialize(&keys[count++], 0, shape_index_column(by, 1),
							   BTEqualStrategyNumber, InvalidOid, find->index->rd_indcollation[1],
							   by == MESSAGES_BY_ID ? F_TEXTEQ : F_UUID_EQ,
							   PointerGetDatum(second_key));
	find->scan = systable_beginscan_ordered(find->relation, find->index, snapshot, count, keys);
	find_next(find);
	if (find->row != NULL && has_hints(by))
		note_place(table, key, second_key, &find->row->t_self);
	return true;
}

/* Go on to the row before, where several have the key */
void
find_next(Find *find)
{
	HeapTuple	row = systable_getnext_ordered(find->scan, BackwardScanDirection);

	take_row(find, row != NULL ? heap_copytuple(row) : NULL);
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
find_values(Find *find, ColumnList *list, Datum *values, bool *nulls)
{
	if (!columns_find(list, find->table))
		return false;
	deform_row(find);
	for (int i = 0; i < list->count; i++)
	{
		values[i] = find->values[list->numbers[i] - 1];
		nulls[i] = find->nulls[list->numbers[i] - 1];
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

	return !binds_caller(find) ||
		(!is_nobodys && caller_id(&caller) && uuid_equal(DatumGetUUIDP(user_id), &caller));
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
		!find_begin(find, RUNS_KEY, mode, run_id, NULL, NULL))
		return false;
	if (find->row != NULL && find_values(find, &columns, values, nulls) && nulls[1] &&
		is_of_caller(find, values[0], nulls[0]))
		return true;
	find_end(find);
	return false;
}
