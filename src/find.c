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
#include "identity.h"
#include "miscadmin.h"
#include "store.h"
#include "utils/acl.h"
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
	return true;
}

/* Leave */
void
find_end(Find *find)
{
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

/* May the caller read and change the table, as far as privileges go? */
bool
find_is_granted(StoreTable table)
{
	return pg_class_aclcheck(shape_table(table), GetUserId(), ACL_SELECT) == ACLCHECK_OK &&
		pg_class_aclcheck(shape_table(table), GetUserId(), ACL_UPDATE) == ACLCHECK_OK;
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

	if (!find_is_granted(TABLE_RUNS) ||
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
