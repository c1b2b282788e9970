/*
 * shard_call.h
 *		Calls that a proxy hands on to a shard.
 */
#ifndef AIRUN_SHARD_CALL_H
#define AIRUN_SHARD_CALL_H

#include "airun.h"

#include "nodes/bitmapset.h"
#include "store/plans.h"
#include "utils/uuid.h"

extern void shard_init(void);
extern void shard_enter(int bucket, const text *claims, const text *caller, const text *role);
extern Bitmapset *shard_moving_buckets(bool with_closed);
extern bool shard_has_user(const Bitmapset *buckets, const Field *user);
extern void shard_hold_user(const pg_uuid_t *user);
extern bool find_bucket(Statement *find, int bucket);
extern void shard_check_owner(const pg_uuid_t *id, const pg_uuid_t *owner);
extern void shard_check_id(const pg_uuid_t *id);

#endif							/* AIRUN_SHARD_CALL_H */
