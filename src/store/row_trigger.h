/*
 * row_trigger.h
 *		What the triggers share: the protocol, and rows by column name.
 */
#ifndef AIRUN_ROW_TRIGGER_H
#define AIRUN_ROW_TRIGGER_H

#include "airun.h"

#include "commands/trigger.h"
#include "store/plans.h"

#define ROW_MAX_COLUMNS	48

/* The row that a trigger is about, with changes to it */
typedef struct Row
{
	TupleDesc	desc;
	HeapTuple	old;			/* NULL on INSERT */
	HeapTuple	new;			/* NULL on DELETE */
	Field	   *old_fields;		/* NULL until one is asked for */
	Field	   *new_fields;		/* with the changes */
	int			changes;
	int			columns[ROW_MAX_COLUMNS];
} Row;

/* Events that a trigger is declared for, as bits */
#define ON_INSERT	(1 << TRIGGER_EVENT_INSERT)
#define ON_DELETE	(1 << TRIGGER_EVENT_DELETE)
#define ON_UPDATE	(1 << TRIGGER_EVENT_UPDATE)
#define ON_TRUNCATE	(1 << TRIGGER_EVENT_TRUNCATE)

/* With the events: a statement trigger that reads no rows */
#define WITHOUT_ROWS	(1 << 4)

extern Oid	trigger_table(const TriggerData *trigger);
extern TriggerData *trigger_data(FunctionCallInfo fcinfo, const char *schema,
								 const char *table, TriggerEvent timing_and_level,
								 int events);
extern void row_from_trigger(Row *row, TriggerData *trigger);
extern Field row_new(Row *row, const char *column);
extern Field row_old(Row *row, const char *column);
extern void row_set(Row *row, const char *column, Datum value, bool isnull);
extern bool row_changed(Row *row, const char *column);
extern Datum row_result(Row *row);
pg_noreturn extern void refuse_derived(const char *table, const char *column);
pg_noreturn extern void refuse_missing(const char *table, const char *column);

#endif							/* AIRUN_ROW_TRIGGER_H */
