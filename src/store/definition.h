/*
 * definition.h
 *		What a site has added to the tables of the store.
 */
#ifndef AIRUN_DEFINITION_H
#define AIRUN_DEFINITION_H

#include "airun.h"

#include "utils/rel.h"

/* The tables that are asked about */
typedef enum StoreTable
{
	TABLE_RUNS,
	TABLE_MESSAGES,
	TABLE_TASKS,
	TABLE_CHUNKS
} StoreTable;

#define STORE_TABLES	(TABLE_CHUNKS + 1)

/* The indexes that rows are looked for with: the primary keys first */
typedef enum StoreIndex
{
	RUNS_KEY,
	MESSAGES_KEY,
	TASKS_KEY,
	CHUNKS_KEY,
	MESSAGES_BY_ID,
	TASKS_BY_ID,
	TASKS_UNFINISHED
} StoreIndex;

#define STORE_INDEXES	(TASKS_UNFINISHED + 1)

extern uint64 shape_generation(void);
extern Oid	shape_table(StoreTable table);
extern Oid	shape_known_table(StoreTable table);
extern Relation shape_open_table(StoreTable table, LOCKMODE mode);
extern bool shape_is_plain(StoreTable table);
extern StoreTable shape_index_table(StoreIndex index);
extern Oid	shape_index(StoreIndex index);
extern AttrNumber shape_index_column(StoreIndex index, int place);
extern bool shape_is_granted(StoreTable table, AclMode mode);
extern bool shape_seeing_is_changing(void);
extern bool shape_has_site_trigger(StoreTable table);
extern bool shape_is_open_to_all(Relation relation);

#endif							/* AIRUN_DEFINITION_H */
