/*
 * search.c
 *		Finding what has been said.
 *
 * The caller's runs are read, newest activity first, and the text of their
 * messages is looked through; the best hits, or the newest, are kept for the page.
 * No index is asked, so that none has to be kept up: an append costs nothing more,
 * what was edited, taken back or deleted is not there to be found, and how long it
 * takes depends on the caller's own messages alone.  doc/performance.md has the
 * figures, beside those of the indexes that were tried.
 *
 * Runs that are kept out of the list are not searched, unless one is named: a branch
 * has the messages of what it branches off.
 *
 * All is read under the caller's rights with one snapshot: row security and a
 * site's own policies on runs hold.  A message is asked for by its run, once that
 * has been shown to the caller.
 *
 * Nothing is locked.  Errors: PT401 where nobody is calling; PT422 for a query, an
 * order, a cursor or a page size that is not acceptable.
 */
#include "airun.h"

#include "catalog/pg_type.h"
#include "export/convert.h"
#include "funcapi.h"
#include "json/jsonb_util.h"
#include "miscadmin.h"
#include "run/message.h"
#include "run/run.h"
#include "search/search_query.h"
#include "store/store.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(airun_search);

#define MAX_PAGE_SIZE	100

/*
 * Runs are read in such numbers.  From the second time on, all that are left are sorted; a
 * run has up to 80 kB of words.
 */
#define FIRST_RUNS		200
#define NEXT_RUNS		1000

/* The arguments, by their places */
enum
{
	ARG_QUERY, ARG_SOURCE_TYPE, ARG_SOURCE_ID, ARG_TAGS, ARG_STARRED, ARG_ARCHIVED, ARG_ROLE,
	ARG_SINCE, ARG_UNTIL, ARG_RUN_ID, ARG_SORT, ARG_CURSOR, ARG_PAGE_SIZE
};

/* The columns of ai_search_hit */
#define HIT_COLUMNS		8

/* What orders hits; no two have the same run and seq */
typedef struct HitPlace
{
	float4		rank;
	TimestampTz created_at;
	pg_uuid_t	run_id;
	int64		seq;			/* 0 for the run itself */
} HitPlace;

typedef struct Hit
{
	HitPlace	place;
	text	   *run_name;		/* NULL for none */
	text	   *role;			/* NULL for none */
	text	   *snippet;
} Hit;

typedef struct Search
{
	SearchQuery query;
	SearchMatch match;
	Field		role;
	Field		since;
	Field		until;
	bool		by_rank;
	bool		has_cursor;
	HitPlace	cursor;			/* hits must be behind it */
	int			page_size;
	int			count;
	Hit		   *hits;			/* in order */
	MemoryContext page;			/* for what hits point to */
} Search;

/* A run that is searched */
typedef struct FoundRun
{
	pg_uuid_t	id;
	text	   *name;
	text	   *words;			/* name, description and tags */
	TimestampTz created_at;
	TimestampTz last_message_at;
	TimestampTz active_hour;
} FoundRun;

/* ---------- the order ---------- */

/* Below 0 where a comes first */
static int
compare_hits(const Search *search, const HitPlace *a, const HitPlace *b)
{
	int			ids;

	if (search->by_rank && a->rank != b->rank)
		return a->rank > b->rank ? -1 : 1;
	if (a->created_at != b->created_at)
		return a->created_at > b->created_at ? -1 : 1;
	ids = memcmp(&b->run_id, &a->run_id, UUID_LEN);
	if (ids != 0)
		return ids;
	return a->seq != b->seq ? (a->seq > b->seq ? -1 : 1) : 0;
}

/* The cursor as text: the order, the rank's bits, the time, the run and seq in hexadecimal */
#define CURSOR_BYTES	(1 + 4 + 8 + UUID_LEN + 8)

static void
put_number(uint8 *bytes, uint64 number, int count)
{
	for (int i = 0; i < count; i++)
		bytes[i] = (uint8) (number >> (8 * (count - 1 - i)));
}

static uint64
get_number(const uint8 *bytes, int count)
{
	uint64		number = 0;

	for (int i = 0; i < count; i++)
		number = number << 8 | bytes[i];
	return number;
}

static text *
cursor_to_text(const Search *search, const HitPlace *place)
{
	uint8		bytes[CURSOR_BYTES];
	char		digits[2 * CURSOR_BYTES];
	uint32		rank;

	memcpy(&rank, &place->rank, sizeof(rank));
	bytes[0] = search->by_rank ? 1 : 2;
	put_number(bytes + 1, rank, 4);
	put_number(bytes + 5, (uint64) place->created_at, 8);
	memcpy(bytes + 13, place->run_id.data, UUID_LEN);
	put_number(bytes + 13 + UUID_LEN, (uint64) place->seq, 8);
	hex_encode((char *) bytes, CURSOR_BYTES, digits);
	return cstring_to_text_with_len(digits, sizeof(digits));
}

static void
cursor_from_text(Search *search, text *string)
{
	HitPlace   *place = &search->cursor;
	uint8		bytes[CURSOR_BYTES];
	uint32		rank;

	if (bytes_from_hex(string, bytes, CURSOR_BYTES) && bytes[0] == (search->by_rank ? 1 : 2))
	{
		rank = (uint32) get_number(bytes + 1, 4);
		memcpy(&place->rank, &rank, sizeof(rank));
		place->created_at = (TimestampTz) get_number(bytes + 5, 8);
		memcpy(place->run_id.data, bytes + 13, UUID_LEN);
		place->seq = (int64) get_number(bytes + 13 + UUID_LEN, 8);
		if (place->rank >= 0 && place->rank <= 1 && place->seq >= 0)
			return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
			 errmsg("malformed cursor"),
			 errdetail("Found \"%s\".", excerpt(VARDATA_ANY(string), VARSIZE_ANY_EXHDR(string))),
			 errhint("Pass the cursor of a row that airun_search() returned for the same query "
					 "and sort, or none for the first page.")));
}

/* ---------- the page ---------- */

static text *
keep_text(const Search *search, text *value)
{
	Size		size = value == NULL ? 0 : VARSIZE_ANY(value);

	return value == NULL ? NULL :
		memcpy(MemoryContextAlloc(search->page, size), value, size);
}

static void
forget_hit(Hit *hit)
{
	if (hit->run_name != NULL)
		pfree(hit->run_name);
	if (hit->role != NULL)
		pfree(hit->role);
	pfree(hit->snippet);
}

static bool
page_is_full(const Search *search)
{
	return search->count == search->page_size;
}

/* Put a hit in its place on the page, unless it is before or behind it */
static void
keep_hit(Search *search, const HitPlace *place, const FoundRun *run, Jsonb *message,
		 const PlainText *plain)
{
	int			at = search->count;

	if (search->has_cursor && compare_hits(search, place, &search->cursor) <= 0)
		return;
	while (at > 0 && compare_hits(search, place, &search->hits[at - 1].place) < 0)
		at--;
	if (at == search->page_size)
		return;
	if (page_is_full(search))
		forget_hit(&search->hits[--search->count]);
	memmove(&search->hits[at + 1], &search->hits[at], (search->count - at) * sizeof(Hit));
	search->hits[at] = (Hit) {
		*place, keep_text(search, run->name),
		keep_text(search, message == NULL ? NULL : message_role(message)),
		keep_text(search, search_snippet(plain, &search->match))
	};
	search->count++;
}

/* Look through a text of a run: that of a message at seq, or NULL for its own words */
static void
look_through(Search *search, const FoundRun *run, text *value, int64 seq, Jsonb *message,
			 TimestampTz created_at)
{
	HitPlace	place = {.created_at = created_at, .run_id = run->id, .seq = seq};
	PlainText	plain;

	if (!search_may_match(&search->query, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value)))
		return;
	plain_read(&plain, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
	if (search_match(&search->query, &plain, &search->match))
	{
		place.rank = search->match.rank;
		keep_hit(search, &place, run, message, &plain);
	}
}

/* ---------- messages ---------- */

/* What a part says, or holds that can be read: not what was thought, nor what was called */
static void
append_searched(StringInfo out, const Part *part)
{
	if (part->kind == PART_CALL && part->result != NULL)
		append_searched(out, part->result);
	if (part->kind == PART_CALL || part->kind == PART_REASONING)
		return;
	if (part->kind == PART_RESULT)
		text_of_result(out, part);
	else if (part->text.type == jbvString)
		appendBinaryStringInfo(out, part->text.val.string.val, part->text.val.string.len);
	appendStringInfoChar(out, '\n');
}

/* The text of a message that is searched, in whichever shape it is; NULL for none */
static text *
searched_text(Jsonb *message)
{
	JsonbValue	content = {.type = jbvNull};
	StringInfoData out;
	ListCell   *cell;

	/* most messages are a text and nothing else */
	if (jsonb_field(&message->root, "content", &content) && content.type == jbvString &&
		!jsonb_has_field(&message->root, "parts") && !jsonb_has_field(&message->root, "refusal") &&
		!jsonb_has_field(&message->root, "experimental_attachments") &&
		!jsonb_has_field(&message->root, "attachments"))
		return message_text(message);
	initStringInfo(&out);
	foreach(cell, message_parts(&message->root))
	{
		append_searched(&out, lfirst(cell));
	}
	if (out.len == 0)
		return message_text(message);
	/* the parts go before a text beside them, by which the message is known */
	if (content.type == jbvString &&
		strstr(out.data, pnstrdup(content.val.string.val, content.val.string.len)) == NULL)
		appendBinaryStringInfo(&out, content.val.string.val, content.val.string.len);
	return cstring_to_text_with_len(out.data, out.len);
}

/* Looks through the messages of a run as they are read */
typedef struct MessageReader
{
	DestReceiver pub;
	Search	   *search;
	const FoundRun *run;
	MemoryContext row_context;
} MessageReader;

static bool
read_message(TupleTableSlot *slot, DestReceiver *self)
{
	MessageReader *reader = (MessageReader *) self;
	MemoryContext outside = MemoryContextSwitchTo(reader->row_context);
	bool		isnull;
	int64		seq = DatumGetInt64(slot_getattr(slot, 1, &isnull));
	TimestampTz created_at = DatumGetTimestampTz(slot_getattr(slot, 2, &isnull));
	Jsonb	   *message = DatumGetJsonbP(slot_getattr(slot, 3, &isnull));
	text	   *value = searched_text(message);

	CHECK_FOR_INTERRUPTS();
	if (value != NULL)
		look_through(reader->search, reader->run, value, seq, message, created_at);
	MemoryContextSwitchTo(outside);
	MemoryContextReset(reader->row_context);
	return true;
}

static void
begin_reading(DestReceiver *self, int operation, TupleDesc columns)
{
}

static void
end_reading(DestReceiver *self)
{
}

static void
search_messages(Search *search, const FoundRun *run, MemoryContext row_context)
{
	static Statement read = {
		"SELECT m.seq, m.created_at, m.message FROM airun.messages AS m "
		"WHERE m.run_id" EQ "$1 "
		"AND ($2 IS NULL OR (m.message OPERATOR(pg_catalog.->>) 'role')" EQ "$2) "
		"AND ($3 IS NULL OR m.created_at" GE "$3) AND ($4 IS NULL OR m.created_at" LT "$4)",
		4, {UUIDOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID}
	};
	MessageReader reader = {
		{read_message, begin_reading, end_reading, end_reading, DestNone},
		search, run, row_context
	};
	Args		args = {0};

	arg_uuid(&args, &run->id);
	arg_field(&args, &search->role);
	arg_field(&args, &search->since);
	arg_field(&args, &search->until);
	(void) statement_stream_internal(&read, &args, &run->id, &reader.pub);
}

/* ---------- runs ---------- */

/* What a run is found by itself, as one text */
#define RUN_WORDS \
	"pg_catalog.concat_ws(E'\\n', r.name, r.description, " \
	"pg_catalog.array_to_string(r.tags, E'\\n'))"

#define FOUND_RUNS \
	"SELECT r.id, r.name, " RUN_WORDS ", r.created_at, r.last_message_at, r.active_hour " \
	"FROM airun.runs AS r WHERE r.deleted_at IS NULL " \
	"AND ($1 IS NULL OR r.source_type" EQ "$1) AND ($2 IS NULL OR r.source_id" EQ "$2) " \
	"AND ($3 IS NULL OR r.tags OPERATOR(pg_catalog.@>) $3) " \
	"AND ($4 IS NULL OR r.is_starred" EQ "$4) AND ($5 IS NULL OR r.is_archived" EQ "$5) " \
	"AND ($6 IS NULL OR r.last_message_at" GE "$6) AND ($7 IS NULL OR r.created_at" LT "$7) "

#define NEWEST_RUNS(limit) \
	"ORDER BY r.active_hour DESC, r.last_message_at DESC, r.id DESC LIMIT " CppAsString2(limit)

/* From $8 on: the run, or how the last one that was read stands in the order */
#define FILTER_TYPES \
	TEXTOID, UUIDOID, TEXTARRAYOID, BOOLOID, BOOLOID, TIMESTAMPTZOID, TIMESTAMPTZOID

static uint64
read_runs(FunctionCallInfo fcinfo, const FoundRun *behind)
{
	static Statement one = {
		FOUND_RUNS "AND r.id" EQ "$8", 8, {FILTER_TYPES, UUIDOID}
	};
	static Statement first = {
		FOUND_RUNS "AND r.is_listed " NEWEST_RUNS(FIRST_RUNS),
		7, {FILTER_TYPES}
	};
	static Statement next = {
		FOUND_RUNS "AND r.is_listed AND r.active_hour" LE "$8 "
		"AND ROW(r.active_hour, r.last_message_at, r.id)" LT
		"ROW($8, $9, $10) " NEWEST_RUNS(NEXT_RUNS),
		10, {FILTER_TYPES, TIMESTAMPTZOID, TIMESTAMPTZOID, UUIDOID}
	};
	static const int filters[] = {
		ARG_SOURCE_TYPE, ARG_SOURCE_ID, ARG_TAGS, ARG_STARRED, ARG_ARCHIVED, ARG_SINCE, ARG_UNTIL
	};
	Args		args = {0};

	for (int i = 0; i < lengthof(filters); i++)
		arg_add(&args, PG_ARGISNULL(filters[i]) ? (Datum) 0 : PG_GETARG_DATUM(filters[i]),
				PG_ARGISNULL(filters[i]));
	if (!PG_ARGISNULL(ARG_RUN_ID))
	{
		arg_add(&args, PG_GETARG_DATUM(ARG_RUN_ID), false);
		return statement_read(&one, &args, 0);
	}
	if (behind == NULL)
		return statement_read(&first, &args, 0);
	arg_time(&args, behind->active_hour);
	arg_time(&args, behind->last_message_at);
	arg_uuid(&args, &behind->id);
	return statement_read(&next, &args, 0);
}

static void
run_from_row(FoundRun *run, SPITupleTable *rows, uint64 row)
{
	Datum		values[6];
	bool		nulls[6] = {false};

	for (int i = 0; i < lengthof(values); i++)
		values[i] = SPI_getbinval(rows->vals[row], rows->tupdesc, i + 1, &nulls[i]);
	run->id = *DatumGetUUIDP(values[0]);
	run->name = nulls[1] ? NULL : DatumGetTextPP(values[1]);
	run->words = DatumGetTextPP(values[2]);
	run->created_at = DatumGetTimestampTz(values[3]);
	run->last_message_at = DatumGetTimestampTz(values[4]);
	run->active_hour = DatumGetTimestampTz(values[5]);
}

/* Is a run found by itself, too?  Nobody speaks in it, and its time is when it was created. */
static bool
counts_itself(const Search *search, const FoundRun *run)
{
	return search->role.isnull &&
		(search->since.isnull || run->created_at >= DatumGetTimestampTz(search->since.value));
}

/* Nothing in this run or in those behind it is newer than what is on the page */
static bool
is_too_old(const Search *search, const FoundRun *run)
{
	return !search->by_rank && page_is_full(search) &&
		run->last_message_at < search->hits[search->count - 1].place.created_at;
}

static void
search_runs(FunctionCallInfo fcinfo, Search *search)
{
	MemoryContext row_context = AllocSetContextCreate(CurrentMemoryContext, "airun search",
													  ALLOCSET_DEFAULT_SIZES);
	FoundRun	run;
	uint64		count = read_runs(fcinfo, NULL);
	uint64		at_once = FIRST_RUNS;

	for (;;)
	{
		SPITupleTable *rows = SPI_tuptable;

		for (uint64 i = 0; i < count; i++)
		{
			MemoryContext outside;

			run_from_row(&run, rows, i);
			if (is_too_old(search, &run))
				return;
			outside = MemoryContextSwitchTo(row_context);
			if (counts_itself(search, &run))
				look_through(search, &run, run.words, 0, NULL, run.created_at);
			MemoryContextSwitchTo(outside);
			MemoryContextReset(row_context);
			search_messages(search, &run, row_context);
		}
		SPI_freetuptable(rows);
		if (count < at_once)
			return;
		at_once = NEXT_RUNS;
		count = read_runs(fcinfo, &run);
	}
}

/* ---------- the function ---------- */

static bool
sorts_by_rank(FunctionCallInfo fcinfo)
{
	char	   *sort = PG_ARGISNULL(ARG_SORT) ? "best" :
		text_to_cstring(PG_GETARG_TEXT_PP(ARG_SORT));

	if (strcmp(sort, "best") == 0)
		return true;
	if (strcmp(sort, "newest") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("\"sort\" must be best or newest"),
				 errdetail("Found \"%s\".", excerpt(sort, strlen(sort))),
				 errhint("Leave it out for the best first.")));
	return false;
}

static int
page_size_argument(FunctionCallInfo fcinfo)
{
	int64		page_size = PG_ARGISNULL(ARG_PAGE_SIZE) ? 20 : PG_GETARG_INT64(ARG_PAGE_SIZE);

	if (page_size < 1 || page_size > MAX_PAGE_SIZE)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("\"page_size\" must be between 1 and %d, not " INT64_FORMAT,
						MAX_PAGE_SIZE, page_size),
				 errhint("Get more rows page by page, with the cursor of the last one.")));
	return (int) page_size;
}

static void
put_hits(ReturnSetInfo *rsinfo, const Search *search)
{
	for (int i = 0; i < search->count; i++)
	{
		const Hit  *hit = &search->hits[i];
		Datum		values[HIT_COLUMNS] = {
			UUIDPGetDatum(&hit->place.run_id), PointerGetDatum(hit->run_name),
			Int64GetDatum(hit->place.seq), PointerGetDatum(hit->role),
			TimestampTzGetDatum(hit->place.created_at), PointerGetDatum(hit->snippet),
			Float4GetDatum(hit->place.rank),
			PointerGetDatum(cursor_to_text(search, &hit->place))
		};
		bool		nulls[HIT_COLUMNS] = {
			false, hit->run_name == NULL, hit->place.seq == 0, hit->role == NULL
		};

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
}

/*
 * airun_search(query, source_type, source_id, tags, starred, archived, role, since,
 * until, run_id, sort, cursor, page_size) returns setof ai_search_hit
 */
Datum
airun_search(PG_FUNCTION_ARGS)
{
	Search		search = {0};

	check_argument_count(fcinfo, ARG_PAGE_SIZE + 1);
	if (PG_ARGISNULL(ARG_QUERY))
		refuse_null("query");
	search_parse(&search.query, PG_GETARG_TEXT_PP(ARG_QUERY));
	search.role = argument_field(fcinfo, ARG_ROLE);
	search.since = argument_field(fcinfo, ARG_SINCE);
	search.until = argument_field(fcinfo, ARG_UNTIL);
	search.by_rank = sorts_by_rank(fcinfo);
	search.page_size = page_size_argument(fcinfo);
	search.has_cursor = !PG_ARGISNULL(ARG_CURSOR);
	if (search.has_cursor)
		cursor_from_text(&search, PG_GETARG_TEXT_PP(ARG_CURSOR));
	search.hits = palloc_array(Hit, search.page_size + 1);
	search.page = CurrentMemoryContext;

	result_begin_rows(fcinfo, HIT_COLUMNS);
	store_open(false);
	store_require_caller();
	search_runs(fcinfo, &search);
	put_hits((ReturnSetInfo *) fcinfo->resultinfo, &search);
	store_close();
	return (Datum) 0;
}
