/*
 * direct.h
 *		Rows of the store found and written without the executor.
 */
#ifndef AIRUN_DIRECT_H
#define AIRUN_DIRECT_H

#include "airun.h"

#include "access/genam.h"
#include "access/tableam.h"
#include "store/definition.h"
#include "store/plans.h"
#include "utils/snapshot.h"
#include "utils/uuid.h"

/* A look-up that is under way */
typedef struct DirectScan
{
	StoreIndex	by;
	StoreTable	table;
	Relation	relation;
	Relation	index;			/* NULL, as scan, where the row was found without it */
	SysScanDesc scan;
	Snapshot	snapshot;
	bool		snapshot_is_ours;	/* to be unregistered */
	HeapTuple	row;			/* a copy; NULL where there is none */
	Datum	   *values;			/* of the row, once they are asked for */
	bool	   *nulls;
} DirectScan;

/* What becomes of a column */
typedef enum WriteRule
{
	WRITE_SET,					/* the value */
	WRITE_IF_GIVEN,				/* the value; NULL leaves what is there */
	WRITE_ADD,					/* is added to what is there; NULL adds nothing */
	WRITE_LATEST				/* the later of both times; NULL leaves what is there */
} WriteRule;

typedef struct WriteColumn
{
	const char *name;
	Oid			type;
	WriteRule	rule;			/* of an update */
	int			number;			/* by which the caller knows it, if he does */
} WriteColumn;

#define WRITE_MAX_COLUMNS	48

/*
 * One way to write a row, by a statement or without one.  The arguments are
 * the keys, for an update, and behind them the columns' values, in order.
 */
typedef struct RowWrite
{
	StoreTable	table;
	int			key_count;		/* of an update; 0 inserts */
	WriteColumn keys[2];		/* UUIDs */
	int			column_count;
	WriteColumn columns[WRITE_MAX_COLUMNS];
	bool		skips_taken;	/* a key that is taken is not an error; only as a statement */
	ColumnList *returning;		/* NULL for nothing */

	/* made when it is first used, and anew when the table has changed */
	Statement	statement;
	uint64		version;		/* of the definition that the rest is good for */
	bool		is_known;		/* the columns are there, and an insert names all that matter */
	int			key_numbers[2];
	int			numbers[WRITE_MAX_COLUMNS];
	TupleDesc	result_desc;
} RowWrite;

extern bool direct_scan_begin(DirectScan *scan, StoreIndex by, LOCKMODE mode,
							  const pg_uuid_t *key, const void *second_key, Snapshot snapshot);
extern bool direct_scan_run(DirectScan *scan, LOCKMODE mode, const pg_uuid_t *run_id);
extern void direct_scan_next(DirectScan *scan);
extern bool direct_scan_lock(DirectScan *scan);
extern bool direct_scan_values(DirectScan *scan, ColumnList *list, Datum *values, bool *nulls);
extern void direct_scan_end(DirectScan *scan);
extern bool direct_hold_run(const pg_uuid_t *run_id);

extern bool direct_insert(RowWrite *write, Args *args, bool as_owner, ResultRow *result);
extern bool direct_update(RowWrite *write, Args *args, ItemPointer place, ResultRow *result);
extern TM_Result direct_replace(Relation relation, ItemPointer place, TupleTableSlot *row,
								Snapshot snapshot);
extern Statement *row_write_statement(RowWrite *write);

#endif							/* AIRUN_DIRECT_H */
