/*
 * direct_write.h
 *		Rows of the store, written with a plan or without one.
 */
#ifndef AIRUN_DIRECT_WRITE_H
#define AIRUN_DIRECT_WRITE_H

#include "airun.h"

#include "store/definition.h"
#include "store/direct_scan.h"
#include "store/plans.h"

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
} WriteColumn;

#define WRITE_MAX_COLUMNS	24

/*
 * One way to write a row.  The arguments are the keys, for an update, and
 * behind them the columns' values, in order.
 */
typedef struct Write
{
	StoreTable	table;
	int			key_count;		/* of an update; 0 inserts */
	WriteColumn keys[2];		/* UUIDs */
	int			column_count;
	WriteColumn columns[WRITE_MAX_COLUMNS];
	const char *returning;		/* columns, with the table's alias; NULL for none */

	/* made when it is first used, and anew when the table has changed */
	Statement	statement;
	uint64		generation;
	bool		is_direct;
	int			key_numbers[2];
	int			numbers[WRITE_MAX_COLUMNS];
	ColumnList	result;
	TupleDesc	result_desc;
} Write;

extern Statement *write_statement(Write *write);
extern bool write_insert(Write *write, Args *args, bool as_owner);
extern bool write_update(Write *write, Args *args, ItemPointer place);

#endif							/* AIRUN_DIRECT_WRITE_H */
