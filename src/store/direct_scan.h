/*
 * direct_scan.h
 *		Rows of the store found by their keys, without a plan.
 */
#ifndef AIRUN_DIRECT_SCAN_H
#define AIRUN_DIRECT_SCAN_H

#include "airun.h"

#include "access/genam.h"
#include "store/definition.h"
#include "utils/snapshot.h"
#include "utils/uuid.h"

/* A look-up that is under way */
typedef struct Find
{
	StoreIndex	by;
	StoreTable	table;
	Relation	relation;
	Relation	index;			/* NULL where it was not asked */
	SysScanDesc scan;			/* likewise */
	Snapshot	snapshot;
	bool		snapshot_is_ours;	/* to be unregistered */
	HeapTuple	row;			/* a copy; NULL where there is none */
	Datum	   *values;			/* of the row, once they are asked for */
	bool	   *nulls;
} Find;

/*
 * Columns of a table, as a text that a statement can have: each with the
 * table's alias (r, m, t or c), one behind the other.
 */
#define COLUMN_LIST_MAX	32

typedef struct ColumnList
{
	const char *text;
	uint64		generation;		/* of the shape that the numbers are good for */
	int			count;
	AttrNumber	numbers[COLUMN_LIST_MAX];
} ColumnList;

extern const char *const table_aliases[STORE_TABLES];

extern void find_note(StoreTable table, const Datum *values, const ItemPointerData *place);
extern bool columns_find(ColumnList *list, StoreTable table);
extern bool find_begin(Find *find, StoreIndex by, LOCKMODE mode, const pg_uuid_t *key,
					   const void *second_key, Snapshot snapshot);
extern bool find_run_of_caller(Find *find, LOCKMODE mode, const pg_uuid_t *run_id);
extern void find_next(Find *find);
extern bool find_lock(Find *find);
extern bool find_values(Find *find, ColumnList *list, Datum *values, bool *nulls);
extern void find_end(Find *find);

#endif							/* AIRUN_DIRECT_SCAN_H */
