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
 * covers the user and the hour, which changes at most once an hour, and an
 * incremental sort does the rest: no index covers what an append changes.
 * Row security supplies the condition on the user.
 *
 * Nothing is locked.  Errors: PT422 for a cursor or a page size that is not
 * acceptable.
 */
#include "airun.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "run/run.h"
#include "store/identity.h"
#include "store/store.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(airun_list_runs);

#define DEFAULT_PAGE_SIZE	20
#define MAX_PAGE_SIZE		1000
#define MAX_SEARCH			1000	/* characters */

/*
 * What the planner should know makes a statement of its own.
 */
#define LIST_BY_SOURCE_TYPE	1
#define LIST_BY_SOURCE_ID	2
#define LIST_AFTER_CURSOR	4
#define LIST_LONGER_PAGE	8	/* than the default */
#define LIST_LARGE_PAGE		16	/* more than LONGER_PAGE rows */
#define LIST_FILTERED		32	/* by something that no index knows */
#define LIST_KINDS			64
#define LONGER_PAGE			100

/* A place in the list */
typedef struct Cursor
{
	TimestampTz active_hour;
	TimestampTz last_message_at;
	pg_uuid_t	id;
} Cursor;

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

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

static void
cursor_from_text(text *string, Cursor *cursor)
{
	const char *digits = VARDATA_ANY(string);
	uint8		bytes[CURSOR_BYTES];
	bool		valid = VARSIZE_ANY_EXHDR(string) == 2 * CURSOR_BYTES;
	uint64		times[2] = {0, 0};

	for (int i = 0; valid && i < CURSOR_BYTES; i++)
	{
		int			high = hex_value(digits[2 * i]);
		int			low = hex_value(digits[2 * i + 1]);

		valid = high >= 0 && low >= 0;
		bytes[i] = (uint8) ((uint8) high << 4 | (uint8) low);
	}
	if (valid && bytes[0] == CURSOR_VERSION)
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
			 errhint("Pass the cursor of a row that airun_list_runs() returned, or none for the first page.")));
}

/* The statement for a kind of list, its text made when it is first wanted */
static Statement *
list_statement(int kind)
{
	static Statement statements[LIST_KINDS];
	Statement  *statement = &statements[kind];
	static const Oid argtypes[] = {
		TEXTOID, UUIDOID, TEXTOID, BOOLOID, BOOLOID, TEXTOID, TEXTOID,
		TIMESTAMPTZOID, TIMESTAMPTZOID, UUIDOID
	};
	StringInfoData sql;

	if (statement->sql != NULL)
		return statement;

	initStringInfo(&sql);
	appendStringInfoString(&sql,
						   "SELECT " RUN_SUMMARY " FROM airun.runs AS r "
						   "WHERE r.deleted_at IS NULL AND r.is_archived" EQ "$5 ");
	if (kind & LIST_FILTERED)
		appendStringInfoString(&sql,
							   "AND ($3 IS NULL OR r.status" EQ "$3) "
							   "AND ($4 IS NULL OR r.is_starred" EQ "$4) "
							   "AND ($6 IS NULL "
							   "OR pg_catalog.strpos(pg_catalog.lower(r.name), $6)" GT "0 "
							   "OR pg_catalog.strpos(pg_catalog.lower(r.description), $6)" GT "0 "
							   "OR EXISTS (SELECT FROM pg_catalog.unnest(r.tags) AS tag "
							   "WHERE pg_catalog.strpos(pg_catalog.lower(tag), $6)" GT "0)) "
							   "AND ($7 IS NULL OR $7" EQ "ANY (r.tags)) ");
	if (kind & LIST_BY_SOURCE_TYPE)
		appendStringInfoString(&sql, "AND r.source_type" EQ "$1 ");
	if (kind & LIST_BY_SOURCE_ID)
		appendStringInfoString(&sql, "AND r.source_id" EQ "$2 ");
	if (kind & LIST_AFTER_CURSOR)
		appendStringInfoString(&sql,
							   "AND r.active_hour" LE "$8 "
							   "AND ROW(r.active_hour, r.last_message_at, r.id)" LT
							   "ROW($8, $9, $10) ");

	/*
	 * A page is cut by the caller of the plan; this is for the planner, who
	 * cannot see a limit that is an argument, and for the sort, which reads as
	 * many rows before it gives the first one.
	 */
	appendStringInfo(&sql,
					 "ORDER BY r.active_hour DESC, r.last_message_at DESC, r.id DESC LIMIT %d",
					 kind & LIST_LARGE_PAGE ? MAX_PAGE_SIZE :
					 kind & LIST_LONGER_PAGE ? LONGER_PAGE : DEFAULT_PAGE_SIZE);

	/* Which plan is best for filters depends on what they filter */
	statement->has_range = (kind & LIST_FILTERED) != 0;
	statement->nargs = lengthof(argtypes);
	memcpy(statement->argtypes, argtypes, sizeof(argtypes));
	statement->sql = MemoryContextStrdup(TopMemoryContext, sql.data);
	return statement;
}

/*
 * airun_list_runs(source_type, source_id, status, starred, archived, search,
 * tag, cursor, page_size) returns setof ai_run_listing
 */
Datum
airun_list_runs(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Field		status = argument_field(fcinfo, 2);
	Field		starred = argument_field(fcinfo, 3);
	Field		search = argument_field(fcinfo, 5);
	Field		tag = argument_field(fcinfo, 6);
	bool		archived = !PG_ARGISNULL(4) && PG_GETARG_BOOL(4);
	int			page_size = PG_ARGISNULL(8) ? DEFAULT_PAGE_SIZE : PG_GETARG_INT32(8);
	int			kind = 0;
	Cursor		cursor;
	Args		args = {0};
	uint64		rows;

	if (page_size < 1 || page_size > MAX_PAGE_SIZE)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("\"page_size\" must be between 1 and %d, not %d",
						MAX_PAGE_SIZE, page_size),
				 errhint("Get more rows page by page, with the cursor of the last one.")));
	check_length("search", &search, MAX_SEARCH);
	check_length("tag", &tag, MAX_SEARCH);
	if (!status.isnull)
		status.value = CStringGetTextDatum(run_status_word(DatumGetTextPP(status.value)));
	if (!search.isnull && VARSIZE_ANY_EXHDR(DatumGetTextPP(search.value)) == 0)
		search.isnull = true;
	if (!search.isnull)
		search.value = DirectFunctionCall1Coll(lower, DEFAULT_COLLATION_OID, search.value);

	if (!PG_ARGISNULL(0))
		kind |= LIST_BY_SOURCE_TYPE;
	if (!PG_ARGISNULL(1))
		kind |= LIST_BY_SOURCE_ID;
	if (!PG_ARGISNULL(7))
	{
		kind |= LIST_AFTER_CURSOR;
		cursor_from_text(PG_GETARG_TEXT_PP(7), &cursor);
	}
	if (!status.isnull || !starred.isnull || !search.isnull || !tag.isnull)
		kind |= LIST_FILTERED;
	if (page_size > LONGER_PAGE)
		kind |= LIST_LARGE_PAGE;
	else if (page_size > DEFAULT_PAGE_SIZE)
		kind |= LIST_LONGER_PAGE;

	result_begin_rows(fcinfo, Natts_run_summary + 1);
	store_open(false);

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

	rows = statement_read(list_statement(kind), &args, page_size);
	for (uint64 row = 0; row < rows; row++)
	{
		Datum		values[Natts_run_summary + 1];
		bool		nulls[Natts_run_summary + 1];

		for (int i = 0; i < Natts_run_summary; i++)
			values[i] = result_value(row, i + 1, &nulls[i]);
		cursor.active_hour = DatumGetTimestampTz(values[Anum_run_summary_active_hour - 1]);
		cursor.last_message_at = DatumGetTimestampTz(values[Anum_run_summary_last_message_at - 1]);
		cursor.id = *DatumGetUUIDP(values[Anum_run_summary_id - 1]);
		values[Natts_run_summary] = PointerGetDatum(cursor_to_text(&cursor));
		nulls[Natts_run_summary] = false;
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	store_close();
	return (Datum) 0;
}
