/*
 * row_trigger.c
 *		What the triggers share: the protocol, and rows by column name.
 *
 * Columns are found by name, since a site may add columns of its own.  The names
 * are constants, and where each was found is remembered by its address.
 */
#include "store/row_trigger.h"

#include "access/htup_details.h"
#include "catalog/partition.h"
#include "store/citus.h"
#include "store/column_types.h"
#include "store/invalidation.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

static bool
is_named(const char *name, const char *expected)
{
	return name != NULL && strcmp(name, expected) == 0;
}

/* A statement trigger reads its rows from old_rows and new_rows */
static bool
has_transition_tables(TriggerData *trigger)
{
	TriggerEvent event = trigger->tg_event;

	if (TRIGGER_FIRED_FOR_ROW(event) || TRIGGER_FIRED_BY_TRUNCATE(event))
		return true;
	return (TRIGGER_FIRED_BY_INSERT(event) ||
			is_named(trigger->tg_trigger->tgoldtable, "old_rows")) &&
		(TRIGGER_FIRED_BY_DELETE(event) ||
		 is_named(trigger->tg_trigger->tgnewtable, "new_rows"));
}

/*
 * The table that a trigger is for: where it is fired for a partition of ours, the
 * partitioned one.  A site may have made a table of ours a partition of its own.
 */
Oid
trigger_table(const TriggerData *trigger)
{
	Oid			table = RelationGetRelid(trigger->tg_relation);
	ListCell   *lc;

	if (!trigger->tg_relation->rd_rel->relispartition)
		return table;
	foreach(lc, get_partition_ancestors(table))
		if (get_rel_namespace(lfirst_oid(lc)) == RelationGetNamespace(trigger->tg_relation))
			table = lfirst_oid(lc);
	return table;
}

/*
 * The trigger's data, once it is sure that it is a trigger, fired as declared
 * on the table it was made for or a partition of it, with the transition tables
 * that its event has.
 * schema may be NULL: the extension's own.
 */
TriggerData *
trigger_data(FunctionCallInfo fcinfo, const char *schema, const char *table,
			 TriggerEvent timing_and_level, int events)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	Oid			table_oid;
	Oid			schema_oid;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by trigger manager",
						get_func_name(fcinfo->flinfo->fn_oid))));
	table_oid = trigger_table(trigger);
	schema_oid = get_rel_namespace(table_oid);
	if (strcmp(get_rel_name(table_oid), table) != 0 ||
		(schema != NULL ? strcmp(get_namespace_name(schema_oid), schema) != 0 :
		 schema_oid != get_func_namespace(fcinfo->flinfo->fn_oid)))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" is not a trigger for table \"%s\"",
						get_func_name(fcinfo->flinfo->fn_oid),
						RelationGetRelationName(trigger->tg_relation))));
	if ((trigger->tg_event & (TRIGGER_EVENT_ROW | TRIGGER_EVENT_TIMINGMASK)) != timing_and_level ||
		(events & (1 << (trigger->tg_event & TRIGGER_EVENT_OPMASK))) == 0 ||
		((events & WITHOUT_ROWS) == 0 && !has_transition_tables(trigger)))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" must be fired as airun_install() declares it",
						get_func_name(fcinfo->flinfo->fn_oid))));
	refuse_citus();
	column_types_require();
	return trigger;
}

/* The row that a row trigger is fired for, as yet without changes */
void
row_from_trigger(Row *row, TriggerData *trigger)
{
	row->desc = RelationGetDescr(trigger->tg_relation);
	row->old_fields = NULL;
	row->new_fields = NULL;
	row->changes = 0;
	row->old = TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ? NULL : trigger->tg_trigtuple;
	if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
		row->new = trigger->tg_newtuple;
	else
		row->new = TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ? trigger->tg_trigtuple : NULL;
}

#define HINTS	1021

/* Where a column was found, which is good until any table or view is changed */
typedef struct Hint
{
	const char *column;
	Oid			type;			/* of the rows */
	int			number;
} Hint;

static Hint hints[HINTS];

static void
forget_hints(Oid relation)
{
	memset(hints, 0, sizeof(hints));
}

static int
find_column(Row *row, const char *column, Hint *hint)
{
	int			number = SPI_fnumber(row->desc, column);

	if (number <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of airun's store is missing", column),
				 errhint("Run SELECT airun_install().")));
	column_types_require_in_view(get_typ_typrelid(row->desc->tdtypeid), column,
								 TupleDescAttr(row->desc, number - 1)->atttypid);
	relation_changes_watch(forget_hints);
	*hint = (Hint) {column, row->desc->tdtypeid, number};
	return number;
}

static int
column_number(Row *row, const char *column)
{
	Hint	   *hint = &hints[((uintptr_t) column + row->desc->tdtypeid) % HINTS];

	if (hint->column == column && hint->type == row->desc->tdtypeid)
		return hint->number;
	return find_column(row, column, hint);
}

/* All values of a row */
static Field *
fields_of(HeapTuple tuple, TupleDesc desc)
{
	Datum	   *values = palloc_array(Datum, desc->natts);
	bool	   *nulls = palloc_array(bool, desc->natts);
	Field	   *fields = palloc_array(Field, desc->natts);

	heap_deform_tuple(tuple, desc, values, nulls);
	for (int i = 0; i < desc->natts; i++)
		fields[i] = (Field) {values[i], nulls[i]};
	pfree(values);
	pfree(nulls);
	return fields;
}

/* A value of the new row, as it stands by now */
static Field *
new_field(Row *row, int number)
{
	if (row->new_fields == NULL)
		row->new_fields = fields_of(row->new, row->desc);
	return &row->new_fields[number - 1];
}

/* A value of the new row, as it stands by now */
Field
row_new(Row *row, const char *column)
{
	return *new_field(row, column_number(row, column));
}

/* A value of the old row */
Field
row_old(Row *row, const char *column)
{
	if (row->old_fields == NULL)
		row->old_fields = fields_of(row->old, row->desc);
	return row->old_fields[column_number(row, column) - 1];
}

/* Put a value into the new row */
void
row_set(Row *row, const char *column, Datum value, bool isnull)
{
	int			number = column_number(row, column);
	int			i;

	for (i = 0; i < row->changes && row->columns[i] != number; i++)
		;
	if (i == ROW_MAX_COLUMNS)
		elog(ERROR, "too many changes to a row");
	row->columns[i] = number;
	if (i == row->changes)
		row->changes++;
	*new_field(row, number) = (Field) {value, isnull};
}

/* Does the new row differ from the old one in this column? */
bool
row_changed(Row *row, const char *column)
{
	Field		old = row_old(row, column);
	Field		new = row_new(row, column);
	Form_pg_attribute attribute = TupleDescAttr(row->desc, column_number(row, column) - 1);

	if (old.isnull || new.isnull)
		return old.isnull != new.isnull;
	return !datum_image_eq(old.value, new.value, attribute->attbyval, attribute->attlen);
}

/* What a BEFORE or INSTEAD OF row trigger returns */
Datum
row_result(Row *row)
{
	Datum		values[ROW_MAX_COLUMNS];
	bool		nulls[ROW_MAX_COLUMNS];

	if (row->changes == 0)
		return PointerGetDatum(row->new);
	for (int i = 0; i < row->changes; i++)
	{
		values[i] = new_field(row, row->columns[i])->value;
		nulls[i] = new_field(row, row->columns[i])->isnull;
	}
	return PointerGetDatum(heap_modify_tuple_by_cols(row->new, row->desc, row->changes,
													 row->columns, values, nulls));
}

/* A column that airun keeps, and nobody else */
void
refuse_derived(const char *table, const char *column)
{
	ereport(ERROR,
			(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
			 errmsg("column \"%s\" of %s cannot be set", column, table),
			 errdetail("airun keeps it itself."),
			 errhint("Leave it out.  To restore data alone, use pg_restore --disable-triggers.")));
}

/* A column that a statement has to state */
void
refuse_missing(const char *table, const char *column)
{
	ereport(ERROR,
			(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
			 errmsg("column \"%s\" of %s must not be null", column, table),
			 errhint("Name it in the statement.")));
}
