/*
 * direct_write.c
 *		Rows of the store, written with a plan or without one.
 *
 * Half of what a small write costs is not the row but starting the executor,
 * and firing triggers and asking policies that let our own rows pass.  So a
 * row goes straight to its table and indexes, as the server does it in its
 * own catalogs, wherever a statement would do no more: where the table is plain
 * (definition.c), the caller has the privilege, and for an update the row is still
 * where it was.  Else it is a statement, made from the same list of
 * columns: there is one description of each write.
 *
 * The caller of these has locked the run's row (or updates just that, as he has
 * seen it), or the text for chunks, under its caller's rights, and answers for
 * what triggers and policies would check.
 *
 * Locks: those of a statement that does the same.
 */
#include "store/direct_write.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "store/identity.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

static const char *const table_names[STORE_TABLES] = {
	"airun.runs", "airun.messages", "airun.tasks", "airun.task_chunks"
};

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
			appendStringInfo(sql, "COALESCE($%d, %s%s)", argument, alias, column->name);
			break;
		case WRITE_ADD:
			appendStringInfo(sql, "%s%s" PLUS "COALESCE($%d, 0)", alias, column->name, argument);
			break;
		case WRITE_LATEST:
			appendStringInfo(sql, "GREATEST(%s%s, $%d)", alias, column->name, argument);
			break;
	}
}

/* The statement for a write */
Statement *
write_statement(Write *write)
{
	Statement  *statement = &write->statement;
	bool		inserts = write->key_count == 0;
	const char *alias = table_aliases[write->table];
	StringInfoData sql;

	if (statement->sql != NULL)
		return statement;

	initStringInfo(&sql);
	if (inserts)
	{
		appendStringInfo(&sql, "INSERT INTO %s AS %c (", table_names[write->table], *alias);
		for (int i = 0; i < write->column_count; i++)
			appendStringInfo(&sql, "%s%s", i > 0 ? ", " : "", write->columns[i].name);
		appendStringInfoString(&sql, ") VALUES (");
		for (int i = 0; i < write->column_count; i++)
			appendStringInfo(&sql, "%s$%d", i > 0 ? ", " : "", i + 1);
		appendStringInfoChar(&sql, ')');
	}
	else
	{
		appendStringInfo(&sql, "UPDATE %s AS %c SET ", table_names[write->table], *alias);
		for (int i = 0; i < write->column_count; i++)
		{
			if (i > 0)
				appendStringInfoString(&sql, ", ");
			append_assignment(&sql, alias, &write->columns[i], write->key_count + i + 1);
		}
		for (int i = 0; i < write->key_count; i++)
			appendStringInfo(&sql, "%s %s%s" EQ "$%d", i > 0 ? " AND" : " WHERE",
							 alias, write->keys[i].name, i + 1);
	}
	if (write->returning != NULL)
		appendStringInfo(&sql, " RETURNING %s", write->returning);

	for (int i = 0; i < write->key_count; i++)
		statement->argtypes[statement->nargs++] = write->keys[i].type;
	for (int i = 0; i < write->column_count; i++)
		statement->argtypes[statement->nargs++] = write->columns[i].type;
	statement->sql = MemoryContextStrdup(TopMemoryContext, sql.data);
	return statement;
}

/* ---------- without one ---------- */

/* Find out where the columns of the result stand in the table */
static bool
find_result(Write *write, Relation relation)
{
	MemoryContext old_context;

	if (write->returning == NULL)
		return true;
	write->result.text = write->returning;
	if (!columns_find(&write->result, write->table))
		return false;
	if (write->result_desc == NULL)
	{
		old_context = MemoryContextSwitchTo(TopMemoryContext);
		write->result_desc = CreateTemplateTupleDesc(write->result.count);
		for (int i = 0; i < write->result.count; i++)
			TupleDescCopyEntry(write->result_desc, i + 1, RelationGetDescr(relation),
							   write->result.numbers[i]);
		MemoryContextSwitchTo(old_context);
	}
	return true;
}

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

/* Find out where the columns stand, and whether an insert names all that matter */
static bool
find_columns(Write *write, Relation relation)
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

		if (!column->attisdropped && !bms_is_member(i + 1, named) &&
			(column->atthasdef || column->attnotnull || column->attidentity ||
			 get_typtype(column->atttypid) == TYPTYPE_DOMAIN))
			return false;
	}
	return find_result(write, relation);
}

/* Leave the columns of the result as the current SPI result */
static void
leave_result(Write *write, const Datum *values, const bool *nulls)
{
	SPITupleTable *result;
	Datum		result_values[COLUMN_LIST_MAX];
	bool		result_nulls[COLUMN_LIST_MAX];

	if (write->returning == NULL)
		return;
	for (int i = 0; i < write->result_desc->natts; i++)
	{
		result_values[i] = values[write->result.numbers[i] - 1];
		result_nulls[i] = nulls[write->result.numbers[i] - 1];
	}
	result = palloc0_object(SPITupleTable);
	result->tupdesc = write->result_desc;
	result->vals = palloc_object(HeapTuple);
	result->vals[0] = heap_form_tuple(write->result_desc, result_values, result_nulls);
	result->numvals = 1;
	SPI_tuptable = result;
}

/*
 * The indexes of a table, which take a row as the executor would give it to
 * them.  They are kept as long as the shape is.
 */
typedef struct TableIndex
{
	Oid			oid;
	IndexInfo  *info;
	AttrNumber	tested;			/* of a partial one: the column that must be NULL, or not */
	NullTestType test;
} TableIndex;

typedef struct TableIndexes
{
	uint64		generation;
	MemoryContext context;
	bool		are_known;		/* else they are the executor's to fill */
	int			count;
	TableIndex *indexes;
} TableIndexes;

static TableIndexes all_indexes[STORE_TABLES];

/* Look at an index, as the executor does; returns whether there is nothing else to it */
static bool
know_index(TableIndex *index, Oid oid)
{
	Relation	relation = index_open(oid, RowExclusiveLock);
	const NullTest *test;
	bool		is_known;

	*index = (TableIndex) {.oid = oid, .info = BuildIndexInfo(relation)};
	is_known = relation->rd_rel->relam == BTREE_AM_OID && relation->rd_index->indimmediate &&
		index->info->ii_ReadyForInserts && index->info->ii_Expressions == NIL &&
		index->info->ii_ExclusionOps == NULL;
	if (index->info->ii_Predicate != NIL)
	{
		test = linitial(index->info->ii_Predicate);
		if (list_length(index->info->ii_Predicate) == 1 && IsA(test, NullTest) &&
			!test->argisrow && IsA(test->arg, Var) && ((const Var *) test->arg)->varattno > 0)
		{
			index->tested = ((const Var *) test->arg)->varattno;
			index->test = test->nulltesttype;
		}
		else
			is_known = false;
	}
	index_close(relation, NoLock);
	return is_known;
}

/* Know the indexes of a table, which is open */
static const TableIndexes *
indexes_of(StoreTable table, Relation relation)
{
	TableIndexes *known = &all_indexes[table];
	uint64		generation = shape_generation();
	MemoryContext old_context;
	List	   *oids;

	if (known->generation == generation)
		return known;
	if (known->context == NULL)
		known->context = AllocSetContextCreate(TopMemoryContext, "airun indexes",
											   ALLOCSET_SMALL_SIZES);
	known->generation = 0;
	MemoryContextReset(known->context);
	old_context = MemoryContextSwitchTo(known->context);
	oids = RelationGetIndexList(relation);
	known->indexes = palloc_array(TableIndex, list_length(oids));
	known->count = list_length(oids);
	known->are_known = true;
	for (int i = 0; i < known->count; i++)
		known->are_known &= know_index(&known->indexes[i], list_nth_oid(oids, i));
	MemoryContextSwitchTo(old_context);
	known->generation = generation;
	return known;
}

/* Does an update leave the columns of an index as they are? */
static bool
leaves_index(const Write *write, const IndexInfo *info)
{
	for (int i = 0; i < write->column_count; i++)
		for (int j = 0; j < info->ii_NumIndexKeyAttrs; j++)
			if (info->ii_IndexAttrNumbers[j] == write->numbers[i])
				return false;
	return true;
}

/*
 * Enter a row, which is in its place, in the indexes that were there before it
 * was written: one that is being made since then waits for us, and is not to be
 * touched yet.
 */
static void
fill_indexes(const Write *write, const TableIndexes *known, Relation relation,
			 TupleTableSlot *row)
{
	for (int i = 0; i < known->count; i++)
	{
		const TableIndex *index = &known->indexes[i];
		Datum		values[INDEX_MAX_KEYS];
		bool		nulls[INDEX_MAX_KEYS];
		Relation	target;

		if (index->tested != InvalidAttrNumber &&
			slot_attisnull(row, index->tested) != (index->test == IS_NULL))
			continue;
		target = index_open(index->oid, RowExclusiveLock);
		FormIndexDatum(index->info, row, NULL, values, nulls);
		index_insert(target, values, nulls, &row->tts_tid, relation,
					 index->info->ii_Unique ? UNIQUE_CHECK_YES : UNIQUE_CHECK_NO,
					 write->key_count > 0 && leaves_index(write, index->info), index->info);
		index_close(target, NoLock);
	}
}

/* Is a value missing that the table demands?  The executor says so. */
static bool
lacks_value(const Write *write, Relation relation, const TupleTableSlot *row)
{
	for (int i = 0; i < write->column_count; i++)
		if (row->tts_isnull[write->numbers[i] - 1] &&
			TupleDescAttr(RelationGetDescr(relation), write->numbers[i] - 1)->attnotnull)
			return true;
	return false;
}

/* The indexes of the table, if the row may go straight to it and to them; else NULL */
static const TableIndexes *
direct_way(Write *write, Relation relation, bool as_owner)
{
	AclMode		privileges = (write->key_count == 0 ? ACL_INSERT : ACL_UPDATE) |
		(write->returning != NULL ? ACL_SELECT : 0);
	const TableIndexes *known = indexes_of(write->table, relation);
	uint64		generation = shape_generation();

	if (write->generation != generation)
	{
		write->generation = 0;
		write->is_direct = shape_is_plain(write->table) && find_columns(write, relation);
		write->generation = generation;
	}
	return write->is_direct && known->are_known &&
		(as_owner || shape_is_granted(write->table, privileges)) ? known : NULL;
}

/*
 * Insert a row, if that can be done without a plan; else returns false, and
 * the caller executes the statement.  as_owner: the right to do so is the
 * owner's.  The result, if it has one, is the current SPI result.
 */
bool
write_insert(Write *write, Args *args, bool as_owner)
{
	Relation	relation = shape_open_table(write->table, RowExclusiveLock);
	const TableIndexes *indexes = direct_way(write, relation, as_owner);
	TupleTableSlot *row;
	bool		done = false;

	if (indexes == NULL)
	{
		table_close(relation, NoLock);
		return false;
	}
	PreventCommandIfReadOnly("INSERT");
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
		leave_result(write, row->tts_values, row->tts_isnull);
		simple_table_tuple_insert(relation, row);
		fill_indexes(write, indexes, relation, row);
		find_note(write->table, row->tts_values, &row->tts_tid);
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
has_keys(const Write *write, const Args *args, TupleTableSlot *row)
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

/*
 * Update the row at this place, if that can be done without a plan and nobody
 * has changed it since; else returns false, and the caller executes the
 * statement.  The result, if it has one, is the current SPI result.
 */
bool
write_update(Write *write, Args *args, ItemPointer place)
{
	Relation	relation = shape_open_table(write->table, RowExclusiveLock);
	const TableIndexes *indexes = direct_way(write, relation, false);
	TupleTableSlot *old;
	Snapshot	snapshot;
	bool		done = false;

	if (indexes == NULL)
	{
		table_close(relation, NoLock);
		return false;
	}
	PreventCommandIfReadOnly("UPDATE");
	CheckCmdReplicaIdentity(relation, CMD_UPDATE);

	CommandCounterIncrement();
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	old = table_slot_create(relation, NULL);
	if (table_tuple_fetch_row_version(relation, place, snapshot, old) &&
		has_keys(write, args, old))
	{
		TupleTableSlot *new = MakeSingleTupleTableSlot(RelationGetDescr(relation),
													   &TTSOpsVirtual);
		int			count = RelationGetNumberOfAttributes(relation);
		UpdateIndexes affected = NO_INDEXES;

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
		ExecStoreVirtualTuple(new);
		if (!lacks_value(write, relation, new) &&
			update_tuple(relation, place, new, snapshot, &affected) == TM_Ok)
		{
			/* indexes that only summarize are not known ones */
			if (affected != NO_INDEXES)
				fill_indexes(write, indexes, relation, new);
			leave_result(write, new->tts_values, new->tts_isnull);
			find_note(write->table, new->tts_values, &new->tts_tid);
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
