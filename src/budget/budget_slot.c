/*
 * budget_slot.c
 *		Slots of counters changed without the executor.
 *
 * Each start and each end changes a small row of each of its budgets, and starting the
 * executor costs more than that.  So a slot is looked for and changed as direct.c does
 * with rows of runs, by the same conditions: the table is exactly what airun_install()
 * made, and nothing else has to be honoured.  Who does so acts for the table's owner.
 *
 * The change waits for whoever has changed the slot and not ended yet.  Then the row is
 * another one, and is looked at anew: no lock of it is left, whether what is needed still
 * fits or not.  That an UPDATE cannot do, whose recheck leaves a lock (budget_counter.c).
 * Where the slot is the gate, the only one of a busy counter, a statement goes on then:
 * its queue is fair.
 *
 * Locks: the table and its index, as a statement; the slot's row.
 */
#include "budget/budget_slot.h"

#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/xact.h"
#include "budget/decimal.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "store/direct.h"
#include "store/identity.h"
#include "store/store.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* The columns that matter, as columns has them */
enum
{
	OF_ID,
	OF_BUDGET,
	OF_SLOT,
	OF_VALUE,
	OF_PERIOD,
	OF_QUOTA,
	OF_BASE,
	OF_ESTIMATED,
	OF_SPENT,
	OF_HELD,
	OF_ONLY_USER
};

static ColumnList columns = {
	TABLE_BUDGET_PERIODS,
	{"id", "budget_id", "slot", "value", "period_key", "quota", "base", "estimated",
	"spent", "held", "only_user"}
};

#define AT(column)	(columns.numbers[column] - 1)

/* A slot's row as it is looked at */
typedef struct SlotRow
{
	Relation	relation;
	Snapshot	snapshot;
	HeapTuple	tuple;
	Datum	   *values;
	bool	   *nulls;
} SlotRow;

/* The index by which a slot is looked for: by its id or, where that is 0, by its key */
static StoreIndex
index_by(int64 id)
{
	return id != 0 ? BUDGET_PERIODS_KEY : BUDGET_PERIODS_BY_VALUE;
}

/* Open the table, if a row may be changed without a plan; else NULL */
static Relation
open_table(StoreIndex by)
{
	Relation	relation;

	if (XactReadOnly || IsInParallelMode() || IsolationUsesXactSnapshot() ||
		store_has_rights_hook() || !airun_direct_writes)
		return NULL;
	relation = store_open_table(TABLE_BUDGET_PERIODS, RowExclusiveLock);
	if (store_is_exact(TABLE_BUDGET_PERIODS) && OidIsValid(store_index(by)) &&
		store_find_columns(&columns))
		return relation;
	table_close(relation, NoLock);
	return NULL;
}

/* Ask the index for an id or, where that is 0, for a key; returns for how many columns */
static int
set_keys(ScanKeyData *keys, Relation index, int64 id, const CounterKey *key)
{
	static const RegProcedure equals[] = {F_INT8EQ, F_TEXTEQ, F_TEXTEQ, F_INT4EQ};
	Datum		arguments[lengthof(equals)];

	if (id != 0)
	{
		ScanKeyInit(keys, store_index_column(BUDGET_PERIODS_KEY, 0), BTEqualStrategyNumber,
					F_INT8EQ, Int64GetDatum(id));
		return 1;
	}
	arguments[0] = Int64GetDatum(key->budget_id);
	arguments[1] = CStringGetTextDatum(key->period_key);
	arguments[2] = CStringGetTextDatum(key->value);
	arguments[3] = Int32GetDatum(key->slot);
	for (int i = 0; i < lengthof(equals); i++)
		ScanKeyEntryInitialize(&keys[i], 0, store_index_column(BUDGET_PERIODS_BY_VALUE, i),
							   BTEqualStrategyNumber, InvalidOid, index->rd_indcollation[i],
							   equals[i], arguments[i]);
	return lengthof(equals);
}

/* Look for the latest version of the row that is committed; false where there is none */
static bool
find_row(SlotRow *row, int64 id, const CounterKey *key)
{
	Relation	index = index_open(store_index(index_by(id)), RowExclusiveLock);
	TupleDesc	desc = RelationGetDescr(row->relation);
	ScanKeyData keys[INDEX_MAX_COLUMNS];
	SysScanDesc scan;
	HeapTuple	found;

	scan = systable_beginscan_ordered(row->relation, index, row->snapshot,
									  set_keys(keys, index, id, key), keys);
	found = systable_getnext_ordered(scan, ForwardScanDirection);
	row->tuple = found == NULL ? NULL : heap_copytuple(found);
	systable_endscan_ordered(scan);
	index_close(index, NoLock);
	if (row->tuple == NULL)
		return false;
	row->values = palloc_array(Datum, desc->natts);
	row->nulls = palloc_array(bool, desc->natts);
	heap_deform_tuple(row->tuple, desc, row->values, row->nulls);
	return true;
}

static Numeric
number_of(const SlotRow *row, int column)
{
	return DatumGetNumeric(row->values[AT(column)]);
}

/* Does so much more stay below the slot's quota? */
static bool
fits(const SlotRow *row, Numeric need)
{
	Numeric		used = decimal_add(number_of(row, OF_SPENT), number_of(row, OF_ESTIMATED));

	used = decimal_add(decimal_add(used, number_of(row, OF_HELD)), need);
	return decimal_cmp(used, number_of(row, OF_QUOTA)) < 0;
}

static void
add_to(SlotRow *row, int column, Numeric number)
{
	row->values[AT(column)] = NumericGetDatum(decimal_add(number_of(row, column), number));
}

/* Write the row as it is by the change, if nobody has changed it meanwhile */
static TM_Result
replace_row(SlotRow *row, const CounterChange *change)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(row->relation),
													&TTSOpsVirtual);
	int			count = RelationGetNumberOfAttributes(row->relation);
	TM_Result	result;

	add_to(row, OF_HELD, change->held);
	add_to(row, OF_SPENT, change->spent);
	add_to(row, OF_ESTIMATED, change->estimated);
	add_to(row, OF_BASE, change->base);
	memcpy(slot->tts_values, row->values, count * sizeof(Datum));
	memcpy(slot->tts_isnull, row->nulls, count * sizeof(bool));
	ExecStoreVirtualTuple(slot);
	result = direct_replace(row->relation, &row->tuple->t_self, slot, row->snapshot);
	ExecDropSingleTupleTableSlot(slot);
	return result;
}

/* Has nobody but this user used it? */
static bool
is_of_user(const SlotRow *row, const pg_uuid_t *user_id)
{
	return user_id != NULL && !row->nulls[AT(OF_ONLY_USER)] &&
		uuid_equal(DatumGetUUIDP(row->values[AT(OF_ONLY_USER)]), user_id);
}

/* Change the slot as it is found now; key is what it is then */
static SlotAnswer
change_once(SlotRow *row, int64 id, CounterKey *key, const CounterChange *change, Numeric need)
{
	if (!find_row(row, id, key))
	{
		/* who looked for an id has none, even if there was one a moment ago */
		if (id != 0)
			key->value = NULL;
		return SLOT_MISSED;
	}
	key->budget_id = DatumGetInt64(row->values[AT(OF_BUDGET)]);
	key->slot = DatumGetInt32(row->values[AT(OF_SLOT)]);
	key->value = TextDatumGetCString(row->values[AT(OF_VALUE)]);
	key->period_key = TextDatumGetCString(row->values[AT(OF_PERIOD)]);
	if (need != NULL && !fits(row, need))
		return SLOT_MISSED;
	if (key->is_word && !is_of_user(row, key->user_id))
		row->nulls[AT(OF_ONLY_USER)] = true;
	return replace_row(row, change) == TM_Ok ? SLOT_CHANGED : SLOT_NEEDS_STATEMENT;
}

/*
 * Change a slot, found by its id or, where that is 0, by its key.  need: what has to fit
 * into its quota, NULL for whatever it is.  Sets the id of one that has been changed, and
 * the key of one that is there.
 */
SlotAnswer
slot_change(int64 *id, CounterKey *key, const CounterChange *change, Numeric need)
{
	SlotRow		row = {.relation = open_table(index_by(*id))};
	SlotAnswer	answer;

	if (row.relation == NULL)
		return SLOT_NEEDS_STATEMENT;
	CheckCmdReplicaIdentity(row.relation, CMD_UPDATE);
	do
	{
		CHECK_FOR_INTERRUPTS();
		CommandCounterIncrement();
		row.snapshot = RegisterSnapshot(GetLatestSnapshot());
		answer = change_once(&row, *id, key, change, need);
		UnregisterSnapshot(row.snapshot);
	} while (answer == SLOT_NEEDS_STATEMENT && key->slot != 0);
	if (answer == SLOT_CHANGED)
	{
		*id = DatumGetInt64(row.values[AT(OF_ID)]);
		CommandCounterIncrement();
	}
	table_close(row.relation, NoLock);
	return answer;
}
