/*
 * seen.h
 *		Tasks that this backend has been shown, and may be shown again.
 */
#ifndef AIRUN_SEEN_H
#define AIRUN_SEEN_H

#include "airun.h"

#include "access/htup.h"
#include "storage/itemptr.h"
#include "utils/uuid.h"

/* A version of a row: it never changes, and another one has another place or author */
typedef struct RowVersion
{
	ItemPointerData place;
	TransactionId author;
} RowVersion;

extern HeapTuple seen_again(const pg_uuid_t *run_id, const pg_uuid_t *task_id, RowVersion *run);
extern void seen_remember(const pg_uuid_t *run_id, const pg_uuid_t *task_id,
						  const RowVersion *run, const RowVersion *task, HeapTuple summary);

#endif							/* AIRUN_SEEN_H */
