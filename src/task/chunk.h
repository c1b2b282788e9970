/*
 * chunk.h
 *		The text of an answer while it arrives, in pieces.
 */
#ifndef AIRUN_CHUNK_H
#define AIRUN_CHUNK_H

#include "airun.h"

#include "store/plans.h"
#include "task/position.h"

/* How far a text has come: what its last chunk says */
typedef struct Stream
{
	int32		generation;		/* how often it has been replaced */
	int32		chars;			/* 0 while there is no chunk */
	int32		bytes;
	uint64		hash;			/* of all its bytes */
	TimestampTz saved_at;		/* when its last chunk was added */
} Stream;

/* The text so far of the task t */
#define TEXT_OF_CHUNKS \
	"(SELECT pg_catalog.string_agg(k.chunk, '' ORDER BY k.chars) FROM airun.task_chunks AS k " \
	"WHERE k.run_id" EQ "t.run_id AND k.task_id" EQ "t.task_id)"

/* The longest text, in bytes: what a jsonb string can hold */
#define MAX_TEXT_SIZE	(256 * 1024 * 1024 - 1)

extern void chunk_lock(const pg_uuid_t *run_id, const pg_uuid_t *task_id);
extern bool chunk_try_lock(const pg_uuid_t *run_id, const pg_uuid_t *task_id);
extern void chunk_begin(Stream *stream, int32 generation);
extern bool chunk_find(const pg_uuid_t *run_id, const pg_uuid_t *task_id, Stream *stream);
extern bool chunk_put(const pg_uuid_t *run_id, const pg_uuid_t *task_id, Stream *stream,
					  text *whole);
extern bool chunk_append(const pg_uuid_t *run_id, const pg_uuid_t *task_id, Stream *stream,
						 text *delta, const Field *at, TextUnit unit);
extern int64 chunk_length(const pg_uuid_t *run_id, const pg_uuid_t *task_id,
						  const Stream *stream, TextUnit unit);
extern bool chunk_is_beginning_of(const Stream *stream, text *whole);
extern text *chunk_text(const pg_uuid_t *run_id, const pg_uuid_t *task_id);
extern text *chunk_take(const pg_uuid_t *run_id, const pg_uuid_t *task_id);
extern void chunk_remove(const pg_uuid_t *run_id, const pg_uuid_t *task_id);
extern int32 text_chars(text *value);
extern void text_check_size(const char *name, Size size);

#endif							/* AIRUN_CHUNK_H */
