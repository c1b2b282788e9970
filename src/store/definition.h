/*
 * definition.h
 *		Are the tables of the store exactly what airun_install() made?
 */
#ifndef AIRUN_DEFINITION_H
#define AIRUN_DEFINITION_H

#include "airun.h"

#include "lib/stringinfo.h"
#include "utils/acl.h"
#include "utils/rel.h"
#include "utils/uuid.h"

/* The tables that are asked about */
typedef enum StoreTable
{
	TABLE_RUNS,
	TABLE_MESSAGES,
	TABLE_TASKS,
	TABLE_CHUNKS,
	TABLE_USAGE_TAIL,
	TABLE_BUDGET_PERIODS
} StoreTable;

#define STORE_TABLES	(TABLE_BUDGET_PERIODS + 1)

/* Written by nobody but airun, in the owner's name */
#define TABLE_IS_OWNERS(table)	((table) >= TABLE_CHUNKS)

/* The indexes that rows are looked for with: the primary keys of the first tables first */
typedef enum StoreIndex
{
	RUNS_KEY,
	MESSAGES_KEY,
	TASKS_KEY,
	CHUNKS_KEY,
	MESSAGES_BY_ID,
	TASKS_BY_ID,
	TASKS_UNFINISHED,
	BUDGET_PERIODS_KEY,
	BUDGET_PERIODS_BY_VALUE
} StoreIndex;

#define STORE_INDEXES	(BUDGET_PERIODS_BY_VALUE + 1)

/* The most columns of one of them */
#define INDEX_MAX_COLUMNS	4

#define PRIMARY_KEYS	(CHUNKS_KEY + 1)

/* Columns of a table: as a statement names them, and where they stand */
#define COLUMN_LIST_MAX	48

typedef struct ColumnList
{
	StoreTable	table;
	const char *names[COLUMN_LIST_MAX + 1]; /* the last one is NULL */
	uint64		version;		/* of the definition that the numbers are good for */
	int			count;
	AttrNumber	numbers[COLUMN_LIST_MAX];
} ColumnList;

extern const char *store_table_name(StoreTable table);
extern const char *store_table_alias(StoreTable table);
extern void store_append_columns(StringInfo sql, const ColumnList *list);
extern bool store_find_columns(ColumnList *list);

extern int	store_begin_words(void);
extern uint64 store_definition_version(void);
extern Oid	store_table(StoreTable table);
extern Relation store_open_rows(StoreTable table, const pg_uuid_t *run_id, LOCKMODE mode);
extern bool store_rows_are_exact(Relation relation, StoreTable table);
extern Oid	store_index_of(Relation relation, StoreIndex index);
extern Oid	store_known_table(StoreTable table);
extern Relation store_open_table(StoreTable table, LOCKMODE mode);
extern bool store_is_exact(StoreTable table);
extern bool store_is_all_exact(void);
extern StoreTable store_index_table(StoreIndex index);
extern Oid	store_index(StoreIndex index);
extern AttrNumber store_index_column(StoreIndex index, int place);
extern bool store_is_granted(StoreTable table, AclMode privileges);
extern bool store_table_binds_caller(StoreTable table);
extern bool store_seeing_is_changing(void);
extern bool store_has_site_trigger(StoreTable table);
extern bool store_is_open_to_all(Relation relation);

#endif							/* AIRUN_DEFINITION_H */
