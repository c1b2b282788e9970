/*
 * partition.h
 *		Tables of the store that are partitioned.
 */
#ifndef AIRUN_PARTITION_H
#define AIRUN_PARTITION_H

#include "airun.h"

#include "store/definition.h"

extern char *partition_whole_name(Oid table, char **suffix);
extern char *partition_whole_words(char *words, const char *suffix);
extern bool partition_is_by_run(Relation relation, StoreTable table, Oid owner, Oid runs_oid);
extern bool partition_has_columns(Relation partition, Relation table);
extern bool partition_has_twin(Relation partition, Relation table, Oid runs_oid);
extern Oid	partition_of_run(Relation table, const pg_uuid_t *run_id);

#endif							/* AIRUN_PARTITION_H */
