/*
 * chunk.c
 *		The text of an answer while it arrives, in pieces.
 *
 * While a task streams, its text is in rows of airun.task_chunks, each a piece
 * with the running length (in characters and in bytes) and a running hash of
 * all the bytes up to its end.  A client that sends the whole text so far is
 * thus understood without reading back what is stored: the text goes on where
 * the last chunk ends if its beginning has that hash, and only the rest is
 * written.  What a save costs does not depend on what is there already.
 *
 * The hash is the server's CRC-32C of the text and beside it the sum of its
 * bytes and the sum of these sums, 16 bits each: all of them can be continued
 * from where they stand, and take several bytes a cycle.
 *
 * Chunks are written and removed the way referential integrity does it, as
 * the owner of the table, for a task that the caller has been let to change
 * by the rules for its run: nobody else has the right to write here, so that
 * there is no trigger and no policy for it to pay for.  Nor is there a foreign
 * key, which would lock the task's row for every piece (56 bytes of WAL and a
 * query); whatever removes a task removes its chunks, in totals.c.
 *
 * Rows are read, written and removed without a plan where the table is as it was
 * made (direct.c), and else by a statement.  The callers of
 * the public functions answer for the right to do so.
 *
 * Locks: chunk_lock() is a lock on the task's text, until the end of the
 * transaction.  Whoever adds a chunk, or ends or removes a task that streams,
 * takes it, behind the run's row and before the task's.  Under the lock chunks
 * are read as they are now, whatever the isolation level.
 *
 * Errors: PT409 for a piece that does not fit, PT422 for a text too long; 40001
 * in REPEATABLE READ for a text that has changed since the snapshot.
 */
#include "task/chunk.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "port/pg_crc32c.h"
#include "storage/lock.h"
#include "store/direct.h"
#include "store/identity.h"
#include "store/store.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

/*
 * Our locks on texts are advisory locks of a class of their own; pg_locks
 * shows it as objsubid, where SQL's functions have 1 and 2.
 */
#define LOCK_CLASS	0x6169

/* ---------- the lock ---------- */

static bool
lock_text(const pg_uuid_t *run_id, const pg_uuid_t *task_id, bool wait)
{
	uint64		key = hash_bytes_extended(task_id->data, UUID_LEN,
										  hash_bytes_extended(run_id->data, UUID_LEN, 0));
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) (key >> 32), (uint32) key, LOCK_CLASS);
	return LockAcquire(&tag, ExclusiveLock, false, !wait) != LOCKACQUIRE_NOT_AVAIL;
}

/* Lock the text of a task against whoever adds to it, ends or removes it */
void
chunk_lock(const pg_uuid_t *run_id, const pg_uuid_t *task_id)
{
	(void) lock_text(run_id, task_id, true);
}

/* The same unless somebody holds it; returns whether it is locked now */
bool
chunk_try_lock(const pg_uuid_t *run_id, const pg_uuid_t *task_id)
{
	return lock_text(run_id, task_id, false);
}

/* ---------- the hash ---------- */

static uint64
hash_more(uint64 hash, const char *data, Size len)
{
	const unsigned char *bytes = (const unsigned char *) data;
	const uint64 lanes = UINT64CONST(0x00FF00FF00FF00FF);
	pg_crc32c	crc = (pg_crc32c) (hash >> 32);
	uint32		sums = (uint32) hash >> 16;
	uint32		sum = hash & 0xFFFF;

	COMP_CRC32C(crc, data, len);

	/*
	 * Eight bytes at a time, in lanes of 16 bits: what the highest lane of a
	 * product holds is the sum of the bytes, or the sum of these sums.
	 */
	for (; len >= sizeof(uint64); len -= sizeof(uint64), bytes += sizeof(uint64))
	{
		uint64		word;
		uint64		odd;
		uint64		even;

		memcpy(&word, bytes, sizeof(uint64));
		word = pg_ntoh64(word);
		even = word >> 8 & lanes;	/* the 1st, 3rd, 5th and 7th byte */
		odd = word & lanes;
		sums += 8 * sum + ((even * UINT64CONST(0x0002000400060008)) >> 48) +
			((odd * UINT64CONST(0x0001000300050007)) >> 48);
		sum += ((even + odd) * UINT64CONST(0x0001000100010001)) >> 48;
	}
	for (; len > 0; len--)
	{
		sum += *bytes++;
		sums += sum;
	}
	return (uint64) crc << 32 | (sums & 0xFFFF) << 16 | (sum & 0xFFFF);
}

/* The hash of no text */
#define HASH_OF_NOTHING		UINT64_MAX

/* Where a text stands of which nothing has come */
void
chunk_begin(Stream *stream, int32 generation)
{
	*stream = (Stream) {.generation = generation, .hash = HASH_OF_NOTHING};
}

/* Is what has come so far the beginning of this text? */
bool
chunk_is_beginning_of(const Stream *stream, text *whole)
{
	return stream->bytes <= VARSIZE_ANY_EXHDR(whole) &&
		hash_more(HASH_OF_NOTHING, VARDATA_ANY(whole), stream->bytes) == stream->hash;
}

/* ---------- lengths ---------- */

/*
 * The characters of some bytes.  In UTF-8 these are the bytes that do not
 * continue one, which is counted ten times as fast as by stepping through.
 */
static int32
count_chars(const char *data, Size len)
{
	int32		chars = 0;

	if (GetDatabaseEncoding() != PG_UTF8)
		return pg_mbstrlen_with_len(data, len);
	for (Size i = 0; i < len; i++)
		chars += ((unsigned char) data[i] & 0xC0) != 0x80;
	return chars;
}

int32
text_chars(text *value)
{
	return count_chars(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
}

/* PT422 for a text that no message could hold */
void
text_check_size(const char *name, Size size)
{
	if (size > MAX_TEXT_SIZE)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("\"%s\" is too long", name),
				 errdetail("The text would have %zu bytes; at most %d are allowed.",
						   size, MAX_TEXT_SIZE),
				 errhint("Keep what is that large elsewhere and refer to it.")));
}

/* ---------- rows ---------- */

static ColumnList last_columns = {
	TABLE_CHUNKS, {"created_at", "hash", "chars", "bytes", "generation"}
};
#define LAST_COLUMN_COUNT		5

static bool
last_by_statement(const pg_uuid_t *run_id, const pg_uuid_t *task_id, Snapshot snapshot,
				  Datum *values, bool *nulls)
{
	static Statement find = {
		"SELECT " COLUMNS " FROM airun.task_chunks AS c "
		"WHERE c.run_id" EQ "$1 AND c.task_id" EQ "$2 ORDER BY c.chars DESC LIMIT 1",
		2, {UUIDOID, UUIDOID}, &last_columns
	};
	ResultRow	last;
	Args		args = {0};

	arg_uuid(&args, run_id);
	arg_uuid(&args, task_id);
	if (snapshot != NULL)
		(void) statement_as_owner_at(&find, &args, store_table_owner("task_chunks"), snapshot);
	else
		(void) statement_write_as_owner(&find, &args, store_table_owner("task_chunks"));
	last = result_row();
	if (last.tuple != NULL)
		result_row_values(&last, values, nulls);
	return last.tuple != NULL;
}

/*
 * The last chunk of a task that a snapshot shows; NULL for what is committed by
 * now.  Returns false for none.  The table is locked as for the chunk that
 * follows.
 */
static bool
last_chunk(const pg_uuid_t *run_id, const pg_uuid_t *task_id, Snapshot snapshot, Stream *stream)
{
	DirectScan	find;
	Datum		values[LAST_COLUMN_COUNT];
	bool		nulls[LAST_COLUMN_COUNT];
	bool		found;

	if (direct_scan_begin(&find, CHUNKS_KEY, RowExclusiveLock, run_id, task_id, snapshot))
	{
		found = find.row != NULL && direct_scan_values(&find, &last_columns, values, nulls);
		direct_scan_end(&find);
	}
	else
		found = last_by_statement(run_id, task_id, snapshot, values, nulls);
	if (found)
		*stream = (Stream) {
			.saved_at = DatumGetTimestampTz(values[0]),
			.hash = (uint64) DatumGetInt64(values[1]),
			.chars = DatumGetInt32(values[2]),
			.bytes = DatumGetInt32(values[3]),
			.generation = DatumGetInt32(values[4]),
		};
	return found;
}

/* Insert the row of a chunk; what follows in the transaction sees it */
static void
insert_row(const pg_uuid_t *run_id, const pg_uuid_t *task_id, const Stream *stream,
		   text *chunk)
{
	static RowWrite insert = {
		.table = TABLE_CHUNKS,
		.column_count = 8,
		.columns = {
			{"run_id", UUIDOID}, {"task_id", UUIDOID}, {"created_at", TIMESTAMPTZOID},
			{"hash", INT8OID}, {"chars", INT4OID}, {"bytes", INT4OID},
			{"generation", INT4OID}, {"chunk", TEXTOID}
		}
	};
	Args		args = {0};

	arg_uuid(&args, run_id);
	arg_uuid(&args, task_id);
	arg_time(&args, stream->saved_at);
	arg_int64(&args, (int64) stream->hash);
	arg_add(&args, Int32GetDatum(stream->chars), false);
	arg_add(&args, Int32GetDatum(stream->bytes), false);
	arg_add(&args, Int32GetDatum(stream->generation), false);
	arg_pointer(&args, chunk);
	if (!direct_insert(&insert, &args, true, NULL) &&
		statement_write_as_owner(row_write_statement(&insert), &args,
								 store_table_owner("task_chunks")) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
				 errmsg("a trigger on airun.task_chunks has suppressed a chunk")));
}

/* Remove the chunks of a task without a plan.  Returns false where that is a statement's to do. */
static bool
remove_at_once(const pg_uuid_t *run_id, const pg_uuid_t *task_id)
{
	DirectScan	find;
	bool		done = true;

	if (!direct_scan_begin(&find, CHUNKS_KEY, RowExclusiveLock, run_id, task_id, NULL))
		return false;
	CheckCmdReplicaIdentity(find.relation, CMD_DELETE);
	for (; done && find.row != NULL; direct_scan_next(&find))
	{
		CHECK_FOR_INTERRUPTS();
		done = delete_tuple(find.relation, &find.row->t_self, find.snapshot) == TM_Ok;
	}
	direct_scan_end(&find);
	CommandCounterIncrement();
	return done;
}

/* Remove all the chunks of a task; what follows in the transaction sees none */
static void
remove_rows(const pg_uuid_t *run_id, const pg_uuid_t *task_id)
{
	static Statement remove = {
		"DELETE FROM airun.task_chunks AS c WHERE c.run_id" EQ "$1 AND c.task_id" EQ "$2",
		2, {UUIDOID, UUIDOID}
	};
	Args		args = {0};

	if (remove_at_once(run_id, task_id))
		return;
	arg_uuid(&args, run_id);
	arg_uuid(&args, task_id);
	statement_write_as_owner(&remove, &args, store_table_owner("task_chunks"));
}

/* ---------- what is there, and a piece behind it ---------- */

/*
 * Where a snapshot lasts as long as the transaction, it must show the text
 * that is going to be changed: else what is added would be seen behind a gap.
 */
static void
check_snapshot(const pg_uuid_t *run_id, const pg_uuid_t *task_id)
{
	Stream		latest;
	Stream		seen;

	if (!IsolationUsesXactSnapshot())
		return;
	chunk_find(run_id, task_id, &latest);
	PushCopiedSnapshot(GetTransactionSnapshot());
	UpdateActiveSnapshotCommandId();
	if (!last_chunk(run_id, task_id, GetActiveSnapshot(), &seen))
		chunk_begin(&seen, 0);
	PopActiveSnapshot();
	if (seen.chars != latest.chars || seen.generation != latest.generation)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent update"),
				 errdetail("The text of task \"%s\" has changed since this transaction began.",
						   uuid_string(task_id)),
				 errhint("Run the transaction again.")));
}

/*
 * How far has the text of a task come?  Its text is locked by now.  Returns
 * false where there is none.
 */
bool
chunk_find(const pg_uuid_t *run_id, const pg_uuid_t *task_id, Stream *stream)
{
	bool		found = last_chunk(run_id, task_id, NULL, stream);

	if (!found)
		chunk_begin(stream, 0);
	return found;
}

/* Write a piece behind what there is */
static void
insert_chunk(const pg_uuid_t *run_id, const pg_uuid_t *task_id, Stream *stream,
			 const char *data, Size len)
{
	text_check_size("response_text", (Size) stream->bytes + len);
	check_snapshot(run_id, task_id);
	stream->hash = hash_more(stream->hash, data, len);
	stream->chars += count_chars(data, len);
	stream->bytes += len;
	stream->saved_at = GetCurrentTimestamp();
	insert_row(run_id, task_id, stream, cstring_to_text_with_len(data, len));
}

/* ---------- the whole text so far ---------- */

/*
 * Is this text, which is shorter than what is stored, the beginning of it?
 * Compared by the hash up to the last chunk that ends within it, and with the
 * one chunk that it ends in.
 */
static bool
is_late(const pg_uuid_t *run_id, const pg_uuid_t *task_id, text *whole)
{
#define CHUNK_OF_TASK \
	"FROM airun.task_chunks AS c WHERE c.run_id" EQ "$1 AND c.task_id" EQ "$2 AND c.chars"
	static Statement find = {
		"(SELECT c.bytes, c.hash, NULL::pg_catalog.text " CHUNK_OF_TASK LE "$3 "
		"ORDER BY c.chars DESC LIMIT 1) UNION ALL "
		"(SELECT c.bytes, c.hash, c.chunk " CHUNK_OF_TASK GT "$3 ORDER BY c.chars LIMIT 1)",
		3, {UUIDOID, UUIDOID, INT4OID}
	};
	Stream		before;
	Args		args = {0};
	text	   *next = NULL;
	uint64		count;

	chunk_begin(&before, 0);
	arg_uuid(&args, run_id);
	arg_uuid(&args, task_id);
	arg_add(&args, Int32GetDatum(text_chars(whole)), false);
	count = statement_write_as_owner(&find, &args, store_table_owner("task_chunks"));
	for (uint64 i = 0; i < count; i++)
	{
		bool		isnull;
		Datum		chunk = result_value(i, 3, &isnull);

		if (!isnull)
		{
			next = DatumGetTextPP(chunk);
			continue;
		}
		before.bytes = DatumGetInt32(result_value(i, 1, &isnull));
		before.hash = (uint64) DatumGetInt64(result_value(i, 2, &isnull));
	}
	if (next == NULL || !chunk_is_beginning_of(&before, whole))
		return false;
	return VARSIZE_ANY_EXHDR(whole) - before.bytes <= VARSIZE_ANY_EXHDR(next) &&
		memcmp(VARDATA_ANY(next), VARDATA_ANY(whole) + before.bytes,
			   VARSIZE_ANY_EXHDR(whole) - before.bytes) == 0;
}

/*
 * Save the whole text so far: what goes on from the stored text is appended, a
 * text that is a beginning of it came late and changes nothing, and any other
 * replaces it as a new generation.  The text is locked by now.  Returns
 * whether anything has changed.
 */
bool
chunk_put(const pg_uuid_t *run_id, const pg_uuid_t *task_id, Stream *stream, text *whole)
{
	Size		len = VARSIZE_ANY_EXHDR(whole);

	if (chunk_is_beginning_of(stream, whole))
	{
		if (len == stream->bytes)
			return false;
		insert_chunk(run_id, task_id, stream, VARDATA_ANY(whole) + stream->bytes,
					 len - stream->bytes);
		return true;
	}
	if (len < stream->bytes && is_late(run_id, task_id, whole))
		return false;

	chunk_remove(run_id, task_id);
	chunk_begin(stream, stream->generation + 1);
	insert_chunk(run_id, task_id, stream, VARDATA_ANY(whole), len);
	return true;
}

/* ---------- a new piece ---------- */

/* Where a piece is to go, as its sender says */
typedef struct Place
{
	int64		at;				/* in characters */
	TextUnit	unit;
	int64		stated;			/* in the unit */
	int64		length;			/* of the text, in the unit */
} Place;

pg_noreturn static void refuse_piece(const pg_uuid_t *task_id, const Place *place, bool is_gap);

static void
refuse_piece(const pg_uuid_t *task_id, const Place *place, bool is_gap)
{
	const char *unit = text_unit_name(place->unit);

	ereport(ERROR,
			(errcode(ERRCODE_AIRUN_CONFLICT),
			 is_gap ?
			 errmsg("a piece of task \"%s\" is missing", uuid_string(task_id)) :
			 errmsg("task \"%s\" has another text at position " INT64_FORMAT,
					uuid_string(task_id), place->stated),
			 errdetail("The piece begins at " INT64_FORMAT "; the text has " INT64_FORMAT " %s.",
					   place->stated, place->length, unit),
			 is_gap ?
			 errhint("Send what follows the first " INT64_FORMAT " %s.", place->length, unit) :
			 errhint("Read the text with airun_stream_read(), or replace it: airun_update_task() "
					 "takes the whole text.")));
}

/*
 * How many bytes of the piece, which begins before the end of the text, are
 * there already?  PT409 where the text is another one.
 */
static Size
stored_already(const pg_uuid_t *run_id, const pg_uuid_t *task_id, text *delta,
			   const Place *place)
{
	static Statement read = {
		"SELECT c.chars, c.chunk FROM airun.task_chunks AS c "
		"WHERE c.run_id" EQ "$1 AND c.task_id" EQ "$2 AND c.chars" GT "$3 ORDER BY c.chars",
		3, {UUIDOID, UUIDOID, INT4OID}
	};
	Size		done = 0;
	Args		args = {0};
	uint64		count;

	arg_uuid(&args, run_id);
	arg_uuid(&args, task_id);
	arg_add(&args, Int32GetDatum((int32) place->at), false);
	count = statement_write_as_owner(&read, &args, store_table_owner("task_chunks"));
	for (uint64 i = 0; i < count && done < VARSIZE_ANY_EXHDR(delta); i++)
	{
		bool		isnull;
		int32		end = DatumGetInt32(result_value(i, 1, &isnull));
		text	   *chunk = DatumGetTextPP(result_value(i, 2, &isnull));
		const char *data = VARDATA_ANY(chunk);
		Size		len = VARSIZE_ANY_EXHDR(chunk);

		if (i == 0)
		{
			/* the piece may begin within its first chunk */
			int			skip = pg_mbcharcliplen(data, len,
												place->at - (end - text_chars(chunk)));

			data += skip;
			len -= skip;
		}
		len = Min(len, VARSIZE_ANY_EXHDR(delta) - done);
		if (memcmp(data, VARDATA_ANY(delta) + done, len) != 0)
			refuse_piece(task_id, place, false);
		done += len;
	}
	return done;
}

/*
 * The text whose UTF-16 units were counted last, so that not every piece of it has
 * all that is before it counted again.  A text is known by its task and its hash,
 * whatever has been rolled back meanwhile.
 */
static struct
{
	pg_uuid_t	run_id;
	pg_uuid_t	task_id;
	Stream		stream;
	int64		units;
}			counted;

static void
remember_length(const pg_uuid_t *run_id, const pg_uuid_t *task_id, const Stream *stream,
				int64 units)
{
	counted.run_id = *run_id;
	counted.task_id = *task_id;
	counted.stream = *stream;
	counted.units = units;
}

static bool
is_counted(const pg_uuid_t *run_id, const pg_uuid_t *task_id, const Stream *stream)
{
	return memcmp(&counted.task_id, task_id, UUID_LEN) == 0 &&
		memcmp(&counted.run_id, run_id, UUID_LEN) == 0 &&
		counted.stream.hash == stream->hash && counted.stream.bytes == stream->bytes &&
		counted.stream.chars == stream->chars &&
		counted.stream.generation == stream->generation;
}

/* How long is the text so far, in this unit? */
int64
chunk_length(const pg_uuid_t *run_id, const pg_uuid_t *task_id, const Stream *stream,
			 TextUnit unit)
{
	text	   *whole;

	if (unit == UNIT_CHARACTERS || !text_may_differ(stream->bytes, stream->chars))
		return stream->chars;
	if (!is_counted(run_id, task_id, stream))
	{
		whole = chunk_text(run_id, task_id);
		remember_length(run_id, task_id, stream,
						text_count_utf16(VARDATA_ANY(whole), VARSIZE_ANY_EXHDR(whole)));
	}
	return counted.units;
}

/*
 * Where is the text at this position?  PT409 where it is beyond its end, or within
 * a character.
 */
static Place
find_place(const pg_uuid_t *run_id, const pg_uuid_t *task_id, const Stream *stream, int64 stated,
		   TextUnit unit)
{
	Place		place = {stated, unit, stated, chunk_length(run_id, task_id, stream, unit)};

	if (stated == place.length)
		place.at = stream->chars;
	else if (stated < place.length && place.length != stream->chars)
	{
		text	   *whole = chunk_text(run_id, task_id);
		const char *data = VARDATA_ANY(whole);
		Size		len = VARSIZE_ANY_EXHDR(whole);
		int64		clipped;
		Size		before = text_clip_utf16(data, len, stated, &clipped);

		place.at = count_chars(data, before);
		if (clipped != stated)
			refuse_piece(task_id, &place, false);
	}
	if (stated > place.length)
		refuse_piece(task_id, &place, true);
	return place;
}

/*
 * Append a piece.  at: how much of the text, in this unit, the sender believes to
 * be stored before it; where more is, because the piece has come before, what is there
 * must be the same, and only the rest is added.  The text is locked by now.
 * Returns whether anything has changed.
 */
bool
chunk_append(const pg_uuid_t *run_id, const pg_uuid_t *task_id, Stream *stream,
			 text *delta, const Field *at, TextUnit unit)
{
	Size		done = 0;
	int64		length = -1;	/* of the text before, in the unit, where that is known */

	if (!at->isnull)
	{
		int64		position = DatumGetInt64(at->value);
		Place		place;

		if (position < 0)
			ereport(ERROR,
					(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
					 errmsg("\"at\" must not be negative"),
					 errdetail("Found " INT64_FORMAT ".", position),
					 errhint("It is the length of the text before the piece.")));
		place = find_place(run_id, task_id, stream, position, unit);
		length = place.length;
		if (place.at < stream->chars)
			done = stored_already(run_id, task_id, delta, &place);
	}
	if (done == VARSIZE_ANY_EXHDR(delta))
		return false;
	insert_chunk(run_id, task_id, stream, VARDATA_ANY(delta) + done,
				 VARSIZE_ANY_EXHDR(delta) - done);
	if (unit == UNIT_UTF16 && length >= 0)
		remember_length(run_id, task_id, stream,
						length + text_count_utf16(VARDATA_ANY(delta) + done,
												  VARSIZE_ANY_EXHDR(delta) - done));
	return true;
}

/* ---------- the end ---------- */

typedef struct Piece
{
	int32		end;
	text	   *chunk;
} Piece;

static int
compare_pieces(const void *a, const void *b)
{
	int32		left = ((const Piece *) a)->end;
	int32		right = ((const Piece *) b)->end;

	return left < right ? -1 : left > right;
}

/* The text that a statement's chunks make, or NULL for none */
static text *
join_chunks(Statement *statement, const pg_uuid_t *run_id, const pg_uuid_t *task_id)
{
	StringInfoData whole;
	Args		args = {0};
	uint64		count;
	Piece	   *pieces;

	arg_uuid(&args, run_id);
	arg_uuid(&args, task_id);
	count = statement_write_as_owner(statement, &args, store_table_owner("task_chunks"));
	if (count == 0)
		return NULL;

	pieces = palloc_array(Piece, count);
	for (uint64 i = 0; i < count; i++)
	{
		bool		isnull;

		pieces[i].end = DatumGetInt32(result_value(i, 1, &isnull));
		pieces[i].chunk = DatumGetTextPP(result_value(i, 2, &isnull));
	}
	qsort(pieces, count, sizeof(Piece), compare_pieces);
	initStringInfo(&whole);
	appendStringInfoSpaces(&whole, VARHDRSZ);
	for (uint64 i = 0; i < count; i++)
		appendBinaryStringInfo(&whole, VARDATA_ANY(pieces[i].chunk),
							   VARSIZE_ANY_EXHDR(pieces[i].chunk));
	SET_VARSIZE(whole.data, whole.len);
	return (text *) whole.data;
}

/* The text of a task as far as it has come, or NULL for none; it is locked by now */
text *
chunk_text(const pg_uuid_t *run_id, const pg_uuid_t *task_id)
{
	static Statement read = {
		"SELECT c.chars, c.chunk FROM airun.task_chunks AS c "
		"WHERE c.run_id" EQ "$1 AND c.task_id" EQ "$2",
		2, {UUIDOID, UUIDOID}
	};

	return join_chunks(&read, run_id, task_id);
}

/* The same, and the chunks are removed */
text *
chunk_take(const pg_uuid_t *run_id, const pg_uuid_t *task_id)
{
	static Statement take = {
		"DELETE FROM airun.task_chunks AS c WHERE c.run_id" EQ "$1 AND c.task_id" EQ "$2 "
		"RETURNING c.chars, c.chunk",
		2, {UUIDOID, UUIDOID}
	};

	check_snapshot(run_id, task_id);
	return join_chunks(&take, run_id, task_id);
}

/* Remove the chunks of a task, whose text is locked by now */
void
chunk_remove(const pg_uuid_t *run_id, const pg_uuid_t *task_id)
{
	check_snapshot(run_id, task_id);
	remove_rows(run_id, task_id);
}
