/*
 * shard_call.c
 *		Calls that a proxy hands on to a shard.
 *
 * A store that has outgrown its machine is spread over shards by user: a user's
 * bucket lies on one shard, with all that belongs to the user.  A proxy finds the
 * bucket of a call and sends it to the shard, as the role of the proxy
 * (install_proxy.sql); there a wrapper enters with who is calling, and then calls
 * (install_shard.sql).  All of it is one transaction, at whose end the caller is
 * forgotten.
 *
 * What is guaranteed: a call that has entered a bucket finds it on this shard until
 * it has committed, since whoever moves the bucket waits for the lock that the call
 * holds; and it makes nothing for a user of another bucket.  Whoever may enter is
 * who may call airun_store_enter(): the role of the proxy, and the owner.
 *
 * Who writes for everybody enters no bucket, and leaves those alone that are moving.
 *
 * Locks: the bucket (an advisory lock, shared), before anything else; the table of runs, as an
 * UPDATE does, for who writes for everybody.
 *
 * A call that is cancelled here, by a timeout of the shard's or its administrator, is told
 * as 57000: PL/Proxy takes 57014 for a cancellation of its own, and waits for ever for the
 * shard to follow.  The proxy makes 57014 of it again.
 *
 * Refused: a bucket that is not on this shard (PT421: the proxy looks its map up
 * again); a role that the proxy may not become (42501, by the server).
 */
#include "shard/shard_call.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "storage/lmgr.h"
#include "store/args.h"
#include "store/identity.h"
#include "store/plans.h"
#include "store/store.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(airun_store_enter);
PG_FUNCTION_INFO_V1(airun_store_is_moving);

/* The class of the advisory locks of buckets: "airu" */
#define BUCKET_LOCK_CLASS	0x61697275

/* The bucket that the transaction has entered; -1 for none */
static int	entered_bucket = -1;

static emit_log_hook_type next_log_hook;

/*
 * Tell a statement of a proxy's that it has been cancelled, as said above.  Here, where an
 * error is about to be sent, since nothing below can have caught it: whatever has been
 * called, and by whichever function of airun_remote.
 */
static void
disguise_cancellation(ErrorData *error)
{
	if (error->elevel == ERROR && error->sqlerrcode == ERRCODE_QUERY_CANCELED &&
		debug_query_string != NULL && strstr(debug_query_string, "airun_remote.") != NULL)
		error->sqlerrcode = ERRCODE_OPERATOR_INTERVENTION;
	if (next_log_hook != NULL)
		next_log_hook(error);
}

/* To be called when the library is loaded */
void
shard_init(void)
{
	next_log_hook = emit_log_hook;
	emit_log_hook = disguise_cancellation;
}

static void
leave(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		entered_bucket = -1;
}

/*
 * Look a bucket up as it is now, whatever the caller's snapshot.  Returns whether there
 * is such a row; SPI is connected afterwards.
 */
bool
find_bucket(Statement *find, int bucket)
{
	Args		args = {0};
	bool		is_there;

	arg_int64(&args, bucket);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	PushActiveSnapshot(GetLatestSnapshot());
	is_there = statement_read(find, &args, 1) == 1;
	PopActiveSnapshot();
	return is_there;
}

/* Hold a bucket until the transaction ends; PT421 where it is not here */
static void
hold_bucket(int bucket)
{
	static Statement find = {
		"SELECT FROM airun_remote.buckets AS b WHERE b.bucket"
		EQ "$1::pg_catalog.int4 AND NOT b.is_moving",
		1, {INT8OID}
	};
	bool		is_here;

	DirectFunctionCall2(pg_advisory_xact_lock_shared_int4, Int32GetDatum(BUCKET_LOCK_CLASS),
						Int32GetDatum(bucket));
	/* Now that the lock is held */
	is_here = find_bucket(&find, bucket);
	SPI_finish();
	if (!is_here)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_MISDIRECTED),
				 errmsg("bucket %d is not on this shard", bucket),
				 errhint("Send the call through the proxy, which looks up where the "
						 "bucket is now.")));
}

static Oid
namespace_owner(Oid schema)
{
	HeapTuple	tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(schema));
	Oid			owner = HeapTupleIsValid(tuple) ?
		((Form_pg_namespace) GETSTRUCT(tuple))->nspowner : InvalidOid;

	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	return owner;
}

static void
set_locally(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0,
							 false);
}

static const char *
string_or_empty(const text *value)
{
	return value != NULL ? text_to_cstring(value) : "";
}

static text *
text_argument(FunctionCallInfo fcinfo, int number)
{
	return PG_ARGISNULL(number) ? NULL : PG_GETARG_TEXT_PP(number);
}

/*
 * Enter a bucket (-1: the call is for all shards, and makes nothing for a user) with who
 * is calling: request.jwt.claims, airun.user_id and the role to be become, as they are on
 * the proxy; they hold until the transaction ends.  No role: the caller remains who has
 * logged in.
 */
void
shard_enter(int bucket, const text *claims, const text *caller, const text *role)
{
	static bool is_registered = false;

	if (!is_registered)
	{
		RegisterXactCallback(leave, NULL);
		is_registered = true;
	}
	if (bucket >= 0)
	{
		hold_bucket(bucket);
		entered_bucket = bucket;
	}
	set_locally("request.jwt.claims", string_or_empty(claims));
	set_locally("airun.user_id", string_or_empty(caller));
	if (role != NULL)
		set_locally("role", text_to_cstring(role));
}

/*
 * airun_store_enter(bucket integer, claims text, caller text, role text) returns void
 *
 * No bucket: for all shards; see shard_enter().  Rows travel as text, which the proxy
 * shall read as it was meant, whatever style the shard prefers.
 */
Datum
airun_store_enter(PG_FUNCTION_ARGS)
{
	set_locally("datestyle", "ISO, MDY");
	set_locally("intervalstyle", "postgres");
	set_locally("extra_float_digits", "1");
	shard_enter(PG_ARGISNULL(0) ? -1 : PG_GETARG_INT32(0), text_argument(fcinfo, 1),
				text_argument(fcinfo, 2), text_argument(fcinfo, 3));
	PG_RETURN_VOID();
}

/* A table of what a shard keeps; invalid where this is none.  In a store that is open. */
static Oid
shard_table(const char *name)
{
	Oid			schema = get_namespace_oid("airun_remote", true);
	Oid			table = OidIsValid(schema) ? get_relname_relid(name, schema) : InvalidOid;

	/* Somebody else's schema of that name is none of ours */
	if (!OidIsValid(table) || get_rel_relkind(table) != RELKIND_RELATION ||
		namespace_owner(schema) != store_table_owner("runs"))
		return InvalidOid;
	return table;
}

/*
 * The buckets that are another shard's, or about to be: of which there are copies here and,
 * with_closed, which are closed, so that what is written to them now would be lost.  Who goes
 * over everybody's rows leaves theirs alone.  NULL for none, as where this is no shard.  In a
 * store that is open (store.h).
 *
 * Who is about to write holds the table of runs first: whoever moves a bucket waits for those
 * who have asked before there was one more (move_shard.sql).
 */
Bitmapset *
shard_moving_buckets(bool with_closed)
{
	static Statement find = {
		"SELECT a.bucket FROM airun_remote.arriving AS a UNION ALL "
		"SELECT b.bucket FROM airun_remote.buckets AS b WHERE b.is_moving AND $1",
		1, {BOOLOID}
	};
	Oid			table = shard_table("arriving");
	Bitmapset  *buckets = NULL;
	Args		args = {0};
	uint64		count;

	if (!OidIsValid(table))
		return NULL;
	if (!XactReadOnly && !RecoveryInProgress() && !IsInParallelMode())
		LockRelationOid(store_runs_oid(), RowExclusiveLock);
	arg_add(&args, BoolGetDatum(with_closed), false);
	PushActiveSnapshot(IsInParallelMode() ? GetActiveSnapshot() : GetLatestSnapshot());
	count = statement_as_owner_at(&find, &args, table_owner(table), GetActiveSnapshot());
	PopActiveSnapshot();
	for (uint64 i = 0; i < count; i++)
	{
		bool		isnull;

		buckets = bms_add_member(buckets, DatumGetInt32(result_value(i, 1, &isnull)));
	}
	return buckets;
}

/* Is a user, NULL for nobody, in one of these buckets? */
bool
shard_has_user(const Bitmapset *buckets, const Field *user)
{
	return buckets != NULL &&
		bms_is_member(user_bucket(user->isnull ? NULL : DatumGetUUIDP(user->value)), buckets);
}

/*
 * airun_store_is_moving(user_id uuid, with_closed boolean) returns boolean
 *
 * shard_moving_buckets() for statements of functions in SQL, each of which asks once.
 */
Datum
airun_store_is_moving(PG_FUNCTION_ARGS)
{
	Field		user = argument_field(fcinfo, 0);
	Bitmapset **buckets = fcinfo->flinfo->fn_extra;

	if (buckets == NULL)
	{
		Bitmapset  *found;

		store_open(false);
		found = shard_moving_buckets(PG_GETARG_BOOL(1));
		buckets = MemoryContextAlloc(fcinfo->flinfo->fn_mcxt, sizeof(Bitmapset *));
		MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
		*buckets = bms_copy(found);
		fcinfo->flinfo->fn_extra = buckets;
		store_close();
	}
	PG_RETURN_BOOL(shard_has_user(*buckets, &user));
}

/*
 * Keep a user's bucket from moving until the transaction ends; 55006 while it moves.  For
 * what an owner does to a user on all shards, which enters no bucket.  In a store that is
 * open.
 */
void
shard_hold_user(const pg_uuid_t *user)
{
	static Statement find = {
		"SELECT FROM airun_remote.buckets AS b WHERE b.bucket" EQ "$1::pg_catalog.int4 "
		"AND b.is_moving UNION ALL "
		"SELECT FROM airun_remote.arriving AS a WHERE a.bucket" EQ "$1::pg_catalog.int4",
		1, {INT8OID}
	};
	Oid			table = shard_table("arriving");
	int			bucket = user_bucket(user);
	Args		args = {0};

	if (!OidIsValid(table))
		return;
	DirectFunctionCall2(pg_advisory_xact_lock_shared_int4, Int32GetDatum(BUCKET_LOCK_CLASS),
						Int32GetDatum(bucket));
	arg_int64(&args, bucket);
	if (statement_write_as_owner(&find, &args, table_owner(table)) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("bucket %d of user \"%s\" is being moved", bucket, uuid_string(user)),
				 errhint("Call it again once it has arrived; airun_shards() shows moves that have "
						 "not ended.")));
}

/*
 * May something with this id be made here for this user (NULL for nobody)?  PT422
 * where a call through the proxy has entered another bucket.
 */
void
shard_check_owner(const pg_uuid_t *id, const pg_uuid_t *owner)
{
	shard_check_id(id);
	if (entered_bucket < 0 || user_bucket(owner) == entered_bucket)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
			 errmsg("what is made is in bucket %d, and the call has been sent to bucket %d",
					user_bucket(owner), entered_bucket),
			 errdetail("The user for whom it is made, and what else the call names, are not in "
					   "one bucket."),
			 errhint("Name only runs and tasks of that user.")));
}

/* May something of the entered bucket have this id?  PT422 for one that carries another */
void
shard_check_id(const pg_uuid_t *id)
{
	int			bucket = uuid_bucket(id);

	if (entered_bucket < 0 || bucket < 0 || bucket == entered_bucket)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
			 errmsg("id \"%s\" carries bucket %d, and what it is for is in bucket %d",
					uuid_string(id), bucket, entered_bucket),
			 errhint("Take an id of version 4 or 7, or leave it out.")));
}
