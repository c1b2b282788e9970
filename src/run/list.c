/*
 * list.c
 *		The sidebar's list of runs.
 *
 * Newest activity first, a page at a time, by keyset: the cursor of a row
 * holds the values that the order compares, so that a page costs the same
 * wherever it is, and a run that moves up meanwhile is neither the cause of a
 * gap nor of a repetition among those that stay.
 *
 * The order is (active_hour, last_message_at, id), each descending.  An index
 * covers the user and the hour, which changes at most once an hour, and no index
 * covers what an append changes.  So a page is read to the end of its last hour,
 * and sorted here.  Row security supplies the condition on the user; who is not
 * bound by it reads an index on the hour alone.
 *
 * Where that hour has many more runs than the page, they are not copied whole:
 * another statement sorts their places alone and then fetches the runs of the
 * page.  Every page could be read so, but would touch each of its rows twice; a
 * large one has all sorted as they are.
 *
 * Without a page size all runs come: what a client cuts and counts by itself,
 * as PostgREST does for limit, offset and count.
 *
 * What is searched for is a substring, whatever the case and the marks on its
 * letters.
 *
 * Nothing is locked.  Errors: PT401 where nobody is calling; PT422 for a cursor
 * or a page size that is not acceptable.
 */
#include "airun.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "run/run.h"
#include "store/identity.h"
#include "store/store.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(airun_list_runs);

#define SHORT_PAGE			20		/* what the planner plans for */
#define MAX_PAGE_SIZE		1000
#define MAX_SEARCH			1000	/* characters */

/*
 * What the planner should know makes a statement of its own.
 */
#define LIST_BY_SOURCE_TYPE	1
#define LIST_BY_SOURCE_ID	2
#define LIST_AFTER_CURSOR	4
#define LIST_LONGER_PAGE	8	/* more than SHORT_PAGE rows */
#define LIST_LARGE_PAGE		16	/* more than LONGER_PAGE rows */
#define LIST_FILTERED		32	/* by something that no index knows */
#define LIST_OF_ALL			64		/* users: row security does not bind the caller */
#define LIST_BUSY			128		/* many runs in the hour in which the page ends */
#define LIST_USUAL			256	/* neither archived runs nor those kept out of lists */
#define LIST_KINDS			512
#define LONGER_PAGE			100

/* So many rows more than the page, and the hour is busy */
#define MANY_MORE			100

/* A place in the list */
typedef struct Cursor
{
	TimestampTz active_hour;
	TimestampTz last_message_at;
	pg_uuid_t	id;
} Cursor;

/* A row of the list */
typedef struct ListRow
{
	Cursor		cursor;
	Datum		values[Natts_run_summary + 1];
	bool		nulls[Natts_run_summary + 1];
} ListRow;

/*
 * The cursor as text: a version, the two times in microseconds since 2000 and
 * the id, in hexadecimal digits.
 */
#define CURSOR_VERSION	1
#define CURSOR_BYTES	(1 + 8 + 8 + 16)

static text *
cursor_to_text(const Cursor *cursor)
{
	uint8		bytes[CURSOR_BYTES];
	char		digits[2 * CURSOR_BYTES];

	bytes[0] = CURSOR_VERSION;
	for (int i = 0; i < 8; i++)
	{
		bytes[1 + i] = (uint8) ((uint64) cursor->active_hour >> (56 - 8 * i));
		bytes[9 + i] = (uint8) ((uint64) cursor->last_message_at >> (56 - 8 * i));
	}
	memcpy(bytes + 17, cursor->id.data, UUID_LEN);
	hex_encode((char *) bytes, CURSOR_BYTES, digits);
	return cstring_to_text_with_len(digits, sizeof(digits));
}

static void
cursor_from_text(text *string, Cursor *cursor)
{
	const char *digits = VARDATA_ANY(string);
	uint8		bytes[CURSOR_BYTES];
	uint64		times[2] = {0, 0};

	if (bytes_from_hex(string, bytes, CURSOR_BYTES) && bytes[0] == CURSOR_VERSION)
	{
		for (int i = 0; i < 16; i++)
			times[i / 8] = times[i / 8] << 8 | bytes[1 + i];
		cursor->active_hour = (TimestampTz) times[0];
		cursor->last_message_at = (TimestampTz) times[1];
		memcpy(cursor->id.data, bytes + 17, UUID_LEN);
		if (IS_VALID_TIMESTAMP(cursor->active_hour) &&
			IS_VALID_TIMESTAMP(cursor->last_message_at))
			return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
			 errmsg("malformed cursor"),
			 errdetail("Found \"%s\".", excerpt(digits, VARSIZE_ANY_EXHDR(string))),
			 errhint("Pass the cursor of a row that airun_list_runs() returned, or none for the "
					 "first page.")));
}

/*
 * A text as it is searched, in SQL: in lower case and without accents and other
 * marks on letters.  %s is the text; Unicode tells what is a mark, and letters
 * that it does not take apart are named.  Only UTF-8 texts can be taken apart, and
 * those of ASCII need not be.
 */
#define PLAIN_IN_UTF8 \
	"CASE WHEN pg_catalog.octet_length(%1$s)" EQ "pg_catalog.length(%1$s) " \
	"THEN pg_catalog.lower(%1$s) ELSE " \
	"pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(pg_catalog.translate(" \
	"pg_catalog.lower(pg_catalog.normalize(pg_catalog.regexp_replace(" \
	"pg_catalog.normalize(%1$s, 'NFKD'), " \
	"E'[\\u0300-\\u036f\\u0591-\\u05c7\\u064b-\\u065f]', '', 'g'), 'NFKC')), " \
	"E'\u00f8\u0142\u0111\u0127\u0131', 'oldhi'), " \
	"E'\u00df', 'ss'), E'\u00e6', 'ae'), E'\u0153', 'oe') END"
#define PLAIN_ELSEWHERE	"pg_catalog.lower(%1$s)"

static char *
plain_sql(const char *value)
{
	return GetDatabaseEncoding() == PG_UTF8 ? psprintf(PLAIN_IN_UTF8, value) :
		psprintf(PLAIN_ELSEWHERE, value);
}

/* What is searched for, made plain; absent where nothing is left of it */
static Field
plain_search(const Field *search)
{
	static Statement make_plain = {NULL, 1, {TEXTOID}};
	Args		args = {0};
	Field		plain;

	if (search->isnull)
		return *search;
	if (make_plain.sql == NULL)
		make_plain.sql = MemoryContextStrdup(TopMemoryContext,
											 psprintf("SELECT %s", plain_sql("$1")));
	arg_field(&args, search);
	(void) statement_read(&make_plain, &args, 1);
	plain.value = result_value(0, 1, &plain.isnull);
	plain.isnull = plain.isnull || VARSIZE_ANY_EXHDR(DatumGetTextPP(plain.value)) == 0;
	return plain;
}

/* What a kind of list has, as a condition on r */
static char *
list_condition(int kind)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "r.deleted_at IS NULL ");
	appendStringInfoString(&sql, kind & LIST_USUAL ? "AND NOT r.is_archived AND r.is_listed" :
						   "AND r.is_archived" EQ "$5 AND ($11 IS NULL OR r.is_listed" EQ "$11)");
	if (kind & LIST_FILTERED)
		appendStringInfo(&sql,
						 " AND ($3 IS NULL OR r.status" EQ "$3) "
						 "AND ($4 IS NULL OR r.is_starred" EQ "$4) "
						 "AND ($6 IS NULL "
						 "OR pg_catalog.strpos(%s, $6)" GT "0 "
						 "OR pg_catalog.strpos(%s, $6)" GT "0 "
						 "OR EXISTS (SELECT FROM pg_catalog.unnest(r.tags) AS tag "
						 "WHERE pg_catalog.strpos(%s, $6)" GT "0)) "
						 "AND ($7 IS NULL OR $7" EQ "ANY (r.tags))",
						 plain_sql("r.name"), plain_sql("r.description"), plain_sql("tag"));
	if (kind & LIST_BY_SOURCE_TYPE)
		appendStringInfoString(&sql, " AND r.source_type" EQ "$1");
	if (kind & LIST_BY_SOURCE_ID)
		appendStringInfoString(&sql, " AND r.source_id" EQ "$2");
	if (kind & LIST_AFTER_CURSOR)
		appendStringInfoString(&sql,
							   " AND r.active_hour" LE "$8 "
							   "AND ROW(r.active_hour, r.last_message_at, r.id)" LT
							   "ROW($8, $9, $10)");
	return sql.data;
}

/* The statement for a kind of list, its text made when it is first wanted */
static Statement *
list_statement(int kind)
{
	static Statement statements[LIST_KINDS];
	Statement  *statement = &statements[kind];
	static const Oid argtypes[] = {
		TEXTOID, UUIDOID, TEXTOID, BOOLOID, BOOLOID, TEXTOID, TEXTOID,
		TIMESTAMPTZOID, TIMESTAMPTZOID, UUIDOID, BOOLOID, INT8OID
	};
	/* as in its index */
	const char *by_hour = kind & LIST_OF_ALL ? "ORDER BY r.active_hour DESC NULLS LAST" :
		"ORDER BY r.active_hour DESC";
	/* for the planner, who cannot see that the page's size, an argument, is less */
	int			most = kind & LIST_LARGE_PAGE ? MAX_PAGE_SIZE :
		kind & LIST_LONGER_PAGE ? LONGER_PAGE : SHORT_PAGE;
	const char *form;

	if (statement->sql != NULL)
		return statement;

	if (kind & LIST_LARGE_PAGE)
		form = "SELECT " RUN_SUMMARY " FROM airun.runs AS r WHERE %1$s "
			"%2$s, r.last_message_at DESC, r.id DESC LIMIT %3$d";
	else if (kind & LIST_BUSY)
		form = "SELECT " RUN_SUMMARY " FROM (SELECT p.id, p.ctid FROM ("
			"SELECT r.id, r.ctid FROM airun.runs AS r WHERE %1$s "
			"%2$s, r.last_message_at DESC, r.id DESC LIMIT %3$d) AS p LIMIT $12) AS p "
			"JOIN airun.runs AS r ON r.id" EQ "p.id AND r.ctid" EQ "p.ctid";
	else
		form = "SELECT r.* FROM (SELECT " RUN_SUMMARY " FROM airun.runs AS r WHERE %1$s "
			"%2$s FETCH FIRST %3$d ROWS WITH TIES) AS r %2$s FETCH FIRST $12 ROWS WITH TIES";

	/* Which plan is best for filters depends on what they filter */
	statement->has_range = (kind & LIST_FILTERED) != 0;
	statement->nargs = lengthof(argtypes);
	memcpy(statement->argtypes, argtypes, sizeof(argtypes));
	statement->sql = MemoryContextStrdup(TopMemoryContext,
										 psprintf(form, list_condition(kind), by_hour, most));
	return statement;
}

/* The kind of statement that a page of so many rows is best read by */
static int
page_kind(int64 page_size)
{
	if (page_size > LONGER_PAGE)
		return LIST_LARGE_PAGE;
	return page_size > SHORT_PAGE ? LIST_LONGER_PAGE : 0;
}

/*
 * Read what a page is made of: its rows, and those that share their hour, in any
 * order.  Returns how many SPI_tuptable has.
 */
static uint64
read_page(int kind, Args *args, int64 page_size)
{
	uint64		rows;

	if (kind & LIST_LARGE_PAGE)
		return statement_read(list_statement(kind), args, page_size);

	rows = statement_read(list_statement(kind), args, page_size + MANY_MORE);
	if (rows < page_size + MANY_MORE)
		return rows;
	SPI_freetuptable(SPI_tuptable);
	return statement_read(list_statement(kind | LIST_BUSY), args, page_size);
}

/* Newest activity first */
static int
compare_rows(const void *a, const void *b)
{
	const Cursor *one = &((const ListRow *) a)->cursor;
	const Cursor *other = &((const ListRow *) b)->cursor;

	if (one->active_hour != other->active_hour)
		return one->active_hour > other->active_hour ? -1 : 1;
	if (one->last_message_at != other->last_message_at)
		return one->last_message_at > other->last_message_at ? -1 : 1;
	return memcmp(other->id.data, one->id.data, UUID_LEN);
}

/*
 * Put the first rows of the current SPI result into the function's, page_size at
 * the most.  *cursor becomes that of the last one.  Returns how many there are.
 */
static int64
put_page(ReturnSetInfo *rsinfo, uint64 count, int64 page_size, Cursor *cursor)
{
	ListRow    *rows = palloc(Max(count, 1) * sizeof(ListRow));
	int64		size = Min((int64) count, page_size);

	for (uint64 i = 0; i < count; i++)
	{
		Datum	   *values = rows[i].values;

		heap_deform_tuple(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, values, rows[i].nulls);
		rows[i].cursor.active_hour =
			DatumGetTimestampTz(values[Anum_run_summary_active_hour - 1]);
		rows[i].cursor.last_message_at =
			DatumGetTimestampTz(values[Anum_run_summary_last_message_at - 1]);
		rows[i].cursor.id = *DatumGetUUIDP(values[Anum_run_summary_id - 1]);
	}
	qsort(rows, count, sizeof(ListRow), compare_rows);
	for (int64 i = 0; i < size; i++)
	{
		text	   *place = cursor_to_text(&rows[i].cursor);

		rows[i].values[Natts_run_summary] = PointerGetDatum(place);
		rows[i].nulls[Natts_run_summary] = false;
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, rows[i].values, rows[i].nulls);
		pfree(place);
	}
	if (size > 0)
		*cursor = rows[size - 1].cursor;
	pfree(rows);
	SPI_freetuptable(SPI_tuptable);
	return size;
}

/*
 * airun_list_runs(source_type, source_id, status, starred, archived, search,
 * tag, cursor, page_size, listed) returns setof ai_run_listing
 */
Datum
airun_list_runs(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Field		status = argument_field(fcinfo, 2);
	Field		starred = argument_field(fcinfo, 3);
	Field		search = argument_field(fcinfo, 5);
	Field		tag = argument_field(fcinfo, 6);
	Field		listed = argument_field(fcinfo, 9);
	bool		archived = !PG_ARGISNULL(4) && PG_GETARG_BOOL(4);
	bool		all_pages = PG_ARGISNULL(8);
	int64		page_size = all_pages ? MAX_PAGE_SIZE : PG_GETARG_INT64(8);
	int			kind = page_kind(page_size);
	Cursor		cursor;
	int64		rows;

	check_argument_count(fcinfo, 10);
	if (page_size < 1 || page_size > MAX_PAGE_SIZE)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("\"page_size\" must be between 1 and %d, not " INT64_FORMAT,
						MAX_PAGE_SIZE, page_size),
				 errhint("Get more rows page by page, with the cursor of the last one; or leave "
						 "\"page_size\" out to get all.")));
	check_length("search", &search, MAX_SEARCH);
	check_length("tag", &tag, MAX_SEARCH);
	if (!status.isnull)
		status.value = CStringGetTextDatum(run_status_word(DatumGetTextPP(status.value)));
	if (!PG_ARGISNULL(0))
		kind |= LIST_BY_SOURCE_TYPE;
	if (!PG_ARGISNULL(1))
		kind |= LIST_BY_SOURCE_ID;
	if (!PG_ARGISNULL(7))
	{
		kind |= LIST_AFTER_CURSOR;
		cursor_from_text(PG_GETARG_TEXT_PP(7), &cursor);
	}

	result_begin_rows(fcinfo, Natts_run_summary + 1);
	store_open(false);
	store_require_caller();		/* nobody's list is no list */
	search = plain_search(&search);
	if (!status.isnull || !starred.isnull || !search.isnull || !tag.isnull)
		kind |= LIST_FILTERED;
	if (!archived && !listed.isnull && DatumGetBool(listed.value))
		kind |= LIST_USUAL;
	if (!store_binds_caller())
		kind |= LIST_OF_ALL;

	do
	{
		Args		args = {0};

		CHECK_FOR_INTERRUPTS();
		arg_add(&args, PG_GETARG_DATUM(0), PG_ARGISNULL(0));
		arg_add(&args, PG_GETARG_DATUM(1), PG_ARGISNULL(1));
		arg_field(&args, &status);
		arg_field(&args, &starred);
		arg_add(&args, BoolGetDatum(archived), false);
		arg_field(&args, &search);
		arg_field(&args, &tag);
		if (kind & LIST_AFTER_CURSOR)
		{
			arg_time(&args, cursor.active_hour);
			arg_time(&args, cursor.last_message_at);
			arg_uuid(&args, &cursor.id);
		}
		else
		{
			arg_null(&args);
			arg_null(&args);
			arg_null(&args);
		}
		arg_field(&args, &listed);
		arg_int64(&args, page_size);
		rows = read_page(kind, &args, page_size);
		rows = put_page(rsinfo, rows, page_size, &cursor);
		kind |= LIST_AFTER_CURSOR;
	} while (all_pages && rows == MAX_PAGE_SIZE);
	store_close();
	return (Datum) 0;
}
