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
 * Locks: the table and its index, as a statement that reads would.
 */
#include "find.h"

#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "identity.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "store.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"

/* As which the tables stand in statements */
static const char *const aliases[STORE_TABLES] = {"r.", "m.", "t.", "c."};

/* Find out where columns stand in their table; false where one is missing */
bool
columns_find(ColumnList *list, StoreTable table)
{
	const char *alias = aliases[table];
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
 * that way has the key, and the snapshot shows it.
 */
typedef struct Hint
{
	uint64		generation;		/* no other row comes there without a new one */
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
	Datum		value = heap_getattr(row, find->index->rd_index->indkey.values[i],
									 RelationGetDescr(find->relation), &isnull);

	return !isnull && uuid_equal(DatumGetUUIDP(value), key);
}

/* Look where the hint says; returns whether the row is there */
static bool
follow_hint(Find *find, StoreTable table, const pg_uuid_t *key, const pg_uuid_t *second_key,
			Snapshot snapshot)
{
	Hint	   *hint = find_hint(table, key, second_key);
	TupleTableSlot *slot;

	/* a vacuum may have cut off where it was; while we have the table open it will not */
	if (hint->generation != shape_generation() || !uuid_equal(&hint->key, key) ||
		(second_key != NULL && !uuid_equal(&hint->second_key, second_key)) ||
		ItemPointerGetBlockNumber(&hint->place) >= RelationGetNumberOfBlocks(find->relation))
		return false;
	slot = table_slot_create(find->relation, NULL);
	if (table_tuple_fetch_row_version(find->relation, &hint->place, snapshot, slot))
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
 * rest of the primary key.  Returns false where that is a statement's to do;
 * else find_end() follows.
 */
bool
find_begin(Find *find, StoreTable table, const pg_uuid_t *key, const pg_uuid_t *second_key,
		   Snapshot snapshot)
{
	ScanKeyData keys[2];
	int			count = 0;
	Oid			index_oid;

	find->relation = table_open(shape_table(table), AccessShareLock);
	index_oid = shape_is_plain(table) ? shape_primary_key(table) : InvalidOid;
	if (!OidIsValid(index_oid))
	{
		table_close(find->relation, NoLock);
		return false;
	}
	find->index = index_open(index_oid, AccessShareLock);
	find->scan = NULL;
	find->row = NULL;
	if ((table == TABLE_RUNS || table == TABLE_TASKS) &&
		follow_hint(find, table, key, second_key, snapshot))
		return true;
	ScanKeyInit(&keys[count], find->index->rd_index->indkey.values[count],
				BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(key));
	count++;
	if (second_key != NULL)
	{
		ScanKeyInit(&keys[count], find->index->rd_index->indkey.values[count],
					BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(second_key));
		count++;
	}
	find->scan = systable_beginscan_ordered(find->relation, find->index, snapshot, count, keys);
	find->row = systable_getnext_ordered(find->scan, BackwardScanDirection);
	if (find->row != NULL)
		*find_hint(table, key, second_key) = (Hint) {
			shape_generation(), *key, second_key != NULL ? *second_key : *key,
			find->row->t_self
		};
	return true;
}

/* Leave */
void
find_end(Find *find)
{
	if (find->scan != NULL)
		systable_endscan_ordered(find->scan);
	index_close(find->index, NoLock);
	table_close(find->relation, NoLock);
}

/* A column of the row that has been found */
Datum
find_value(const Find *find, const char *column, bool *isnull)
{
	return heap_getattr(find->row, get_attnum(RelationGetRelid(find->relation), column),
						RelationGetDescr(find->relation), isnull);
}

/* Does row security, which is our own policy alone, let the caller have the row? */
static bool
is_of_caller(const Find *find)
{
	pg_uuid_t	caller;
	Datum		user_id;
	bool		isnull;

	if (check_enable_rls(RelationGetRelid(find->relation), InvalidOid, true) != RLS_ENABLED)
		return true;
	user_id = find_value(find, "user_id", &isnull);
	return row_security && !isnull && caller_id(&caller) &&
		uuid_equal(DatumGetUUIDP(user_id), &caller);
}

/*
 * Look for a run that is not deleted, and that the caller may see and change.
 * Returns false where there is none, or that is a statement's to tell; else
 * find_end() follows.
 */
bool
find_run_of_caller(Find *find, const pg_uuid_t *run_id, Snapshot snapshot)
{
	bool		isnull;

	if (!shape_is_granted(TABLE_RUNS, ACL_SELECT | ACL_UPDATE) ||
		!find_begin(find, TABLE_RUNS, run_id, NULL, snapshot))
		return false;
	if (find->row != NULL && is_of_caller(find))
	{
		(void) find_value(find, "deleted_at", &isnull);
		if (isnull)
			return true;
	}
	find_end(find);
	return false;
}
