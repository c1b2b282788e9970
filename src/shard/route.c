/*
 * route.c
 *		Where a proxy sends a call.
 *
 * Each call through a proxy asks these two before anything else (install_proxy.sql),
 * so they are in C: what they tell is cheap, and functions in SQL would be planned
 * anew in each transaction.
 *
 * What is guaranteed: the same ids and the same caller find the same bucket, on every
 * proxy; the shard is the one that the map names, or named within the last second.
 *
 * Nothing is locked, written or refused here.
 */
#include "airun.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "shard/shard_call.h"
#include "store/identity.h"
#include "store/plans.h"

PG_FUNCTION_INFO_V1(airun_store_call_bucket);
PG_FUNCTION_INFO_V1(airun_store_shard_of);

/* The bucket that an argument carries; -1 for none */
static int
carried_bucket(FunctionCallInfo fcinfo, int number)
{
	return PG_ARGISNULL(number) ? -1 : uuid_bucket(PG_GETARG_UUID_P(number));
}

/* The bucket that the ids of a call carry; -1 where they do not tell */
static int
bucket_of_ids(FunctionCallInfo fcinfo)
{
	int			bucket = carried_bucket(fcinfo, 0);

	if (PG_ARGISNULL(0))
		bucket = carried_bucket(fcinfo, 1);
	if (PG_ARGISNULL(0) && bucket < 0)
		bucket = carried_bucket(fcinfo, 2);
	return bucket;
}

/*
 * airun_store_call_bucket(run_id uuid, task_id uuid, call_id uuid, owner uuid) returns integer
 *
 * Ids that airun has made tell; else it is whose the thing is to be, or the caller's.
 * NULL where nobody is calling and an id tells nothing: then the shards know.
 */
Datum
airun_store_call_bucket(PG_FUNCTION_ARGS)
{
	int			bucket = bucket_of_ids(fcinfo);
	pg_uuid_t	caller;

	if (bucket >= 0)
		PG_RETURN_INT32(bucket);
	if (!PG_ARGISNULL(3))
		PG_RETURN_INT32(user_bucket(PG_GETARG_UUID_P(3)));
	if (caller_id(&caller))
		PG_RETURN_INT32(user_bucket(&caller));
	if (!PG_ARGISNULL(0) || !PG_ARGISNULL(1) || !PG_ARGISNULL(2))
		PG_RETURN_NULL();
	PG_RETURN_INT32(user_bucket(NULL));
}

/*
 * What the map said, and when.  A shard refuses what it no longer has, and then the map is
 * asked anew; so this may be old, but not for long, since a shard that is away cannot refuse.
 */
#define MAP_IS_KEPT_FOR		USECS_PER_SEC

static struct
{
	int			shard;
	TimestampTz looked_up;
}			kept_map[BUCKETS];

/*
 * airun_store_shard_of(bucket integer, anew boolean) returns integer
 *
 * anew: as committed now, also within a statement that has begun before.
 */
Datum
airun_store_shard_of(PG_FUNCTION_ARGS)
{
	static Statement find = {
		"SELECT b.shard FROM airun_remote.buckets AS b WHERE b.bucket" EQ "$1::pg_catalog.int4",
		1, {INT8OID},
		.has_range = true		/* no store is here whose shape a plan could rest on */
	};
	int			bucket = PG_GETARG_INT32(0);
	TimestampTz now = GetCurrentStatementStartTimestamp();
	bool		is_unknown = true;

	if (bucket < 0 || bucket >= BUCKETS)
		PG_RETURN_NULL();
	if (!PG_GETARG_BOOL(1) && kept_map[bucket].looked_up != 0 &&
		now >= kept_map[bucket].looked_up && now - kept_map[bucket].looked_up < MAP_IS_KEPT_FOR)
		PG_RETURN_INT32(kept_map[bucket].shard);
	if (find_bucket(&find, bucket))
	{
		kept_map[bucket].shard = DatumGetInt32(result_value(0, 1, &is_unknown));
		kept_map[bucket].looked_up = now;
	}
	SPI_finish();
	if (is_unknown)
		PG_RETURN_NULL();
	PG_RETURN_INT32(kept_map[bucket].shard);
}
