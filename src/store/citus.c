/*
 * citus.c
 *		A store whose tables Citus has taken is refused.
 *
 * Where Citus has distributed a table, made it a reference table or taken it
 * into its metadata, the table of that name is an empty shell: what is written
 * past Citus' planner is acknowledged and no query finds it, and neither row
 * security nor the caller travels to the nodes.  So every call of a function
 * that needs the store looks here first, and nothing is written.  A database
 * that merely has Citus loaded works.
 *
 * What Citus has taken stands in its catalogs pg_dist_partition and
 * pg_dist_schema.  Where they are, every call reads them, as catalogs are read,
 * whatever the rights of the caller.  That they are not there is kept until the
 * server says that a table has come.
 *
 * Error: 0A000.  Locks: the two catalogs, ACCESS SHARE, while they are read.
 */
#include "store/citus.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "store/invalidation.h"
#include "utils/lsyscache.h"

static uint64 changes = 1;		/* of tables, as far as they have been heard of */
static uint64 looked_at = 0;	/* the last one before which there was no Citus */

static void
relation_changed(Oid relation)
{
	changes++;
}

/* One value of a row of a catalog; 0 where it has no such column, or none there */
static Datum
value_of(HeapTuple row, Relation catalog, const char *column)
{
	AttrNumber	number = get_attnum(RelationGetRelid(catalog), column);
	bool		is_null;
	Datum		value;

	if (number == InvalidAttrNumber)
		return (Datum) 0;
	value = heap_getattr(row, number, RelationGetDescr(catalog), &is_null);
	return is_null ? (Datum) 0 : value;
}

/* What Citus calls a table that it has so */
static const char *
kind_of_table(HeapTuple row, Relation catalog)
{
	if (DatumGetChar(value_of(row, catalog, "partmethod")) != 'n')
		return "a distributed table of Citus";
	if (DatumGetChar(value_of(row, catalog, "repmodel")) == 't')
		return "a reference table of Citus";
	return DatumGetInt32(value_of(row, catalog, "colocationid")) != 0 ?
		"a distributed table of Citus" : "a local table in the metadata of Citus";
}

static void
refuse(const char *what, const char *back)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("airun's store cannot live in what Citus has distributed"),
			 errdetail("%s.", what),
			 errhint("Take it back (SELECT %s), and read in doc/scale.md how a store grows.",
					 back)));
}

/* Refuse a schema of ours that is distributed as a whole, or else a table in it */
static void
refuse_row(HeapTuple row, Relation catalog, const char *key, Oid schema)
{
	Oid			oid = DatumGetObjectId(value_of(row, catalog, key));
	const char *table;

	if (oid == schema)
		refuse("Schema airun is a distributed schema of Citus",
			   "citus_schema_undistribute('airun')");
	if (get_rel_namespace(oid) != schema)
		return;
	table = get_rel_name(oid);
	refuse(psprintf("Table airun.%s is %s", table, kind_of_table(row, catalog)),
		   psprintf("undistribute_table('airun.%s')", table));
}

/*
 * Look through one of Citus' catalogs, whose rows are of the object that key names.
 * Returns whether it is there.
 */
static bool
look_through(const char *name, const char *key, Oid schema)
{
	Oid			oid = get_relname_relid(name, PG_CATALOG_NAMESPACE);
	Relation	catalog;
	SysScanDesc scan;
	HeapTuple	row;

	if (!OidIsValid(oid))
		return false;
	catalog = table_open(oid, AccessShareLock);
	scan = systable_beginscan(catalog, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(row = systable_getnext(scan)))
		refuse_row(row, catalog, key, schema);
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return true;
}

/* Refuse a store of which Citus has taken a part */
void
refuse_citus(void)
{
	uint64		before;
	Oid			schema;
	bool		is_there = false;

	if (looked_at == changes)
		return;
	relation_changes_watch(relation_changed);
	before = changes;			/* what comes while we look is not to be lost */
	schema = get_namespace_oid("airun", true);
	if (OidIsValid(schema))
	{
		is_there |= look_through("pg_dist_schema", "schemaid", schema);
		is_there |= look_through("pg_dist_partition", "logicalrelid", schema);
	}
	if (!is_there)
		looked_at = before;
}

/*
 * airun_store_refuse_citus() returns void
 *
 * The same for functions in SQL, whatever is known: airun_install() may have just
 * made the schema.
 */
PG_FUNCTION_INFO_V1(airun_store_refuse_citus);

Datum
airun_store_refuse_citus(PG_FUNCTION_ARGS)
{
	looked_at = 0;
	refuse_citus();
	PG_RETURN_VOID();
}
