/*
 * task_columns.c
 *		The columns of airun.tasks, and rows that are written by column.
 *
 * A write names its columns by their numbers, and a row is filled by the same
 * numbers: no two lists have to agree in order.  Nothing is locked, and nothing
 * refused.
 */
#include "task/task_columns.h"

#define DEFINITION(name, type, longest, rule, in_view, write) \
	{#name, type, rule, in_view, write},

const TaskColumn task_columns[Natts_tasks] = {TASK_COLUMN_LIST(DEFINITION)};

/* The summary is made of columns of the table */
#define IS_COLUMN(name)	StaticAssertDecl(Anum_tasks_##name > 0, #name);
TASK_SUMMARY_LIST(IS_COLUMN, IS_COLUMN, IS_COLUMN, IS_COLUMN)

StaticAssertDecl(Natts_tasks <= WRITE_MAX_COLUMNS, "a write must hold all the columns");
StaticAssertDecl(Natts_task_summary < COLUMN_LIST_MAX, "a list must hold the summary and more");

/* A row without values, but for its keys; the ids must last as long as it */
void
task_row_begin(TaskRow *row, const pg_uuid_t *run_id, const pg_uuid_t *task_id)
{
	for (int i = 0; i < Natts_tasks; i++)
		row->values[i] = (Field) {(Datum) 0, true};
	task_row_set(row, Anum_tasks_run_id, UUIDPGetDatum(run_id), false);
	task_row_set(row, Anum_tasks_task_id, UUIDPGetDatum(task_id), false);
}

/* Have a write of tasks write a column, too */
void
task_write_add(RowWrite *write, int column, WriteRule rule)
{
	const TaskColumn *added = &task_columns[column - 1];

	write->columns[write->column_count++] = (WriteColumn) {
		added->name, added->type, rule, column
	};
}

/* The arguments of a write of tasks: its keys, and its columns, out of a row */
void
task_write_args(const RowWrite *write, const TaskRow *row, Args *args)
{
	for (int i = 0; i < write->key_count; i++)
		arg_field(args, &row->values[write->keys[i].number - 1]);
	for (int i = 0; i < write->column_count; i++)
		arg_field(args, &row->values[write->columns[i].number - 1]);
}
