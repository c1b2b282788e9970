/*
 * column_types.c
 *		Are the columns of the store of the types that airun_install() gave them?
 *
 * The library reads values by the type that a column was made with, wherever they come
 * from: a number of another type would be read as an address.  So a store in which
 * somebody has changed one is refused, by every call and every trigger of ours, until the
 * column is what it was.  One that is read in the same way (varchar in place of text, a
 * domain) will do, and a column that is missing is the server's to tell.  The answer is kept
 * until the server says that one of the tables has changed.
 *
 * Error: 55000.  Locks: none; who changes a type locks out who uses the table.
 */
#include "store/column_types.h"

#include "catalog/namespace.h"
#include "parser/parse_coerce.h"
#include "store/definition.h"
#include "store/invalidation.h"
#include "store/object_list.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

/* The tables whose columns are on the list */
#define MAX_TABLES	64
static Oid	tables[MAX_TABLES];
static int	table_count = 0;
static bool has_missing = false;
static bool are_as_made = false;
static uint64 changes = 0;		/* of these tables */

static void
relation_changed(Oid relation)
{
	bool		is_listed = !OidIsValid(relation);

	for (int i = 0; i < table_count; i++)
		is_listed |= tables[i] == relation;
	if (is_listed)
	{
		are_as_made = false;
		changes++;
	}
}

/* Is the type read as that which a column was made with? */
static bool
is_read_alike(Oid type, const StoreObject *column)
{
	return strcmp(format_type_be(type), column->definition) == 0 ||
		IsBinaryCoercible(type, DatumGetObjectId(
			DirectFunctionCall1(regtypein, CStringGetDatum(column->definition))));
}

/* Refuse a column of another type than it was made with */
static void
require_type(Oid table, const StoreObject *column)
{
	AttrNumber	number = get_attnum(table, column->name);

	if (number == InvalidAttrNumber || is_read_alike(get_atttype(table, number), column))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("column \"%s\" of table airun.%s is of type %s", column->name,
					column->relation, format_type_be(get_atttype(table, number))),
			 errdetail("airun keeps values of type %s there.", column->definition),
			 errhint("Make it that again: ALTER TABLE airun.%s ALTER COLUMN %s TYPE %s.",
					 column->relation, column->name, column->definition)));
}

/*
 * Refuse a column of one of our views, which are ai_ and the table's name, that is of
 * another type than the table's
 */
void
column_types_require_in_view(Oid view, const char *name, Oid type)
{
	const char *view_name = get_rel_name(view);
	const StoreObject *column = NULL;
	int			nest_level;

	if (view_name == NULL || strncmp(view_name, "ai_", 3) != 0)
		return;
	while ((column = object_next("column", column)) != NULL &&
		   (strcmp(column->relation, view_name + 3) != 0 || strcmp(column->name, name) != 0))
		;
	if (column == NULL)
		return;
	nest_level = store_begin_words();
	if (!is_read_alike(type, column))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("column \"%s\" of view %s is of type %s", name, view_name,
						format_type_be(type)),
				 errdetail("airun shows values of type %s there.", column->definition),
				 errhint("Drop the view, and run SELECT airun_install().")));
	AtEOXact_GUC(true, nest_level);
}

/* Compare all columns that are on the list */
static void
compare_all(Oid schema)
{
	const char *relation = "";
	Oid			table = InvalidOid;

	table_count = 0;
	has_missing = false;
	for (const StoreObject *column = NULL; (column = object_next("column", column)) != NULL;)
	{
		if (strcmp(column->relation, relation) != 0)
		{
			relation = column->relation;
			table = get_relname_relid(relation, schema);
			if (!OidIsValid(table) || table_count == MAX_TABLES)
				has_missing = true;
			else
				tables[table_count++] = table;
		}
		if (OidIsValid(table))
			require_type(table, column);
	}
}

/* Refuse a store of which a column has another type than it was made with */
void
column_types_require(void)
{
	Oid			schema;
	uint64		before;
	int			nest_level;

	if (are_as_made)
		return;
	schema = get_namespace_oid("airun", true);
	if (!OidIsValid(schema))
		return;
	relation_changes_watch(relation_changed);
	if (!object_list_is_known())
		object_list_read();
	/* a change that comes while we compare is not to be lost */
	before = changes;
	nest_level = store_begin_words();
	compare_all(schema);
	AtEOXact_GUC(true, nest_level);
	/* what is to come in the place of a missing one is nobody's yet */
	are_as_made = object_list_is_known() && !has_missing && before == changes;
}
