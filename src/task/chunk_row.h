/*
 * chunk_row.h
 *		Rows of airun.task_chunks, found, written and removed.
 */
#ifndef AIRUN_CHUNK_ROW_H
#define AIRUN_CHUNK_ROW_H

#include "airun.h"

#include "task/chunk.h"
#include "utils/snapshot.h"

extern bool chunk_row_last(const pg_uuid_t *run_id, const pg_uuid_t *task_id,
						   Snapshot snapshot, Stream *stream);
extern void chunk_row_insert(const pg_uuid_t *run_id, const pg_uuid_t *task_id,
							 const Stream *stream, text *chunk);
extern void chunk_rows_remove(const pg_uuid_t *run_id, const pg_uuid_t *task_id);

#endif							/* AIRUN_CHUNK_ROW_H */
