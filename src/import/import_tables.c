/*
 * import_tables.c
 *		What airun_import_tables() does that no statement of a stranger could.
 *
 * A stranger's message gets the place behind the last one and the server's time, one
 * row after the other.  Here messages of many runs go in by one statement, with their
 * places from the order in the source's array and with the source's times; they are
 * accepted as those of an append, and totals.c counts them by the run.
 *
 * A message is never older than the one before it, nor than its run: a time that is
 * missing, or goes back, is the time before it.  An id that stands in a run twice is
 * that of the first; the message keeps its own.
 *
 * Only the owner of the store may call these (42501).  PT422 for what is no message.
 *
 * Locks: the runs' rows, in the order of their ids (totals.c).
 */
#include "airun.h"

#include "catalog/pg_type.h"
#include "import/json_read.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "run/message.h"
#include "store/args.h"
#include "store/plans.h"
#include "store/store.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(airun_store_import_messages);
PG_FUNCTION_INFO_V1(airun_store_import_states);
PG_FUNCTION_INFO_V1(airun_store_messages_of);

/* When a message was, as it says itself; false where it does not */
static bool
message_own_time(Jsonb *message, TimestampTz *time)
{
	static const char *const keys[] = {"timestamp", "created_at", "createdAt"};
	JsonbValue	value;
	bool		is_sure;

	*time = NO_TIME;
	for (int i = 0; i < lengthof(keys) && *time == NO_TIME; i++)
	{
		if (jsonb_field(&message->root, keys[i], &value))
			*time = time_of_value(&value, &is_sure);
	}
	return *time != NO_TIME;
}

/* ---------- messages ---------- */

/* The first with its id in the run? */
static bool
id_is_new(HTAB **ids, text *message_id)
{
	HASHCTL		info = {.keysize = MAX_MESSAGE_ID * MAX_MULTIBYTE_CHAR_LEN + 1};
	bool		found;

	if (*ids == NULL)
	{
		info.entrysize = info.keysize;
		info.hcxt = CurrentMemoryContext;
		*ids = hash_create("airun imported message ids", 32, &info,
						   HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	}
	hash_search(*ids, text_to_cstring(message_id), HASH_ENTER, &found);
	return !found;
}

static void
put_message(ReturnSetInfo *result, int seq, TimestampTz time, const NewMessage *message,
			bool has_id)
{
	Datum		values[] = {
		Int64GetDatum(seq), TimestampTzGetDatum(time), PointerGetDatum(message->message_id),
		JsonbPGetDatum(message_complete(message->message, time))
	};
	bool		nulls[] = {false, false, !has_id, false};

	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/*
 * airun_store_messages_of(messages jsonb, begin timestamptz)
 *		returns TABLE (seq bigint, created_at timestamptz, message_id text, message jsonb)
 *
 * The messages of an array as they are stored in a run that began then.  PT422 for
 * what is none.
 */
Datum
airun_store_messages_of(PG_FUNCTION_ARGS)
{
	Jsonb	   *messages = PG_GETARG_JSONB_P(0);
	TimestampTz now = PG_GETARG_TIMESTAMPTZ(1);
	HTAB	   *ids = NULL;
	NewMessage *parsed;
	int			count;

	result_begin_rows(fcinfo, 4);
	parsed = messages_parse(messages, &count);
	for (int i = 0; i < count; i++)
	{
		NewMessage *message = &parsed[i];
		TimestampTz own;

		CHECK_FOR_INTERRUPTS();
		if (message_own_time(message->message, &own))
			now = Max(now, own);
		put_message((ReturnSetInfo *) fcinfo->resultinfo, i + 1, now, message,
					message->message_id != NULL && id_is_new(&ids, message->message_id));
	}
	return (Datum) 0;
}

/*
 * airun_store_import_messages(run_ids uuid[], begins timestamptz[], messages jsonb[])
 *		returns bigint
 *
 * Insert the messages of runs that have none; returns how many there were.
 */
Datum
airun_store_import_messages(PG_FUNCTION_ARGS)
{
	static Statement insert = {
		"INSERT INTO airun.messages (run_id, seq, created_at, message_id, message) "
		"SELECT r.id, m.seq, m.created_at, m.message_id, m.message "
		"FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3)) "
		"AS r (id, begin, messages) "
		"CROSS JOIN LATERAL " EXTSCHEMA ".airun_store_messages_of(r.messages, r.begin) AS m",
		3, {UUIDARRAYOID, TIMESTAMPTZARRAYOID, JSONBARRAYOID}
	};
	Args		args = {0};
	uint64		count;

	store_require_owner("airun_import_tables");
	store_open(true);
	statement_in_extension(&insert, fcinfo->flinfo->fn_oid);
	for (int i = 0; i < 3; i++)
		arg_add(&args, PG_GETARG_DATUM(i), false);
	count = statement_write_messages_of_runs(&insert, &args);
	store_close();
	PG_RETURN_INT64(count);
}

/*
 * airun_store_import_states(run_ids uuid[], statuses text[], deleted_at timestamptz[],
 *		updated_at timestamptz[]) returns void
 *
 * Leave runs as they are in the source: with their status, hidden where they are
 * deleted there, and with the time of their last change.
 */
Datum
airun_store_import_states(PG_FUNCTION_ARGS)
{
	static Statement update = {
		"UPDATE airun.runs AS r SET status = s.status, deleted_at = s.deleted_at, "
		"updated_at = GREATEST(s.updated_at, r.last_message_at) "
		"FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3), "
		"pg_catalog.unnest($4)) AS s (id, status, deleted_at, updated_at) "
		"WHERE r.id" EQ "s.id",
		4, {UUIDARRAYOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZARRAYOID}
	};
	Args		args = {0};

	store_require_owner("airun_import_tables");
	store_open(true);
	for (int i = 0; i < 4; i++)
		arg_add(&args, PG_GETARG_DATUM(i), false);
	(void) statement_write_internal(&update, &args, NULL);
	store_close();
	PG_RETURN_VOID();
}
