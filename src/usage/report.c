/*
 * report.c
 *		Figures of any range, in buckets of any time zone.
 *
 * What has been asked for is read from the cheapest cube that has all of it, and
 * from the tail, which is not folded yet; where none has, from the ledger and the
 * tail.  Either way the figures are exact and of one snapshot: cubes, ledger and
 * tail are read by one statement with the caller's.  Percentiles are within 1 %.
 *
 * - A cube of days answers for its zone alone, from a day's start to a day's start,
 *	 and only while all its rows of that time are of that zone.
 * - The clock answers for any zone, since each one's days and hours begin at a
 *	 quarter of an hour UTC; before 1980 some did not.
 * - Days, weeks and months are local dates, so that no change of the clocks can split
 *	 one; an hour is told by its local time and its offset.
 * - A user has people's cube and the ledger, with row security on each; who may read
 *	 usage_daily is a reporter, and has all.
 *
 * An empty range, also from later to earlier, and a group of which everything has
 * been taken back, have no row.
 *
 * Nothing is locked.  Errors: PT401 where nobody is calling; PT422 for a bucket, a
 * zone or a word of group_by that does not exist, and a range without an end.
 */
#include "airun.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "store/args.h"
#include "store/plans.h"
#include "store/store.h"
#include "usage/report.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(airun_usage);

#define RESULT_COLUMNS	33
#define FIRST_FILTER	REPORT_PARAMETERS	/* of the function's arguments */

/* What a charge can be grouped and filtered by, in the order of the result */
typedef enum Dimension
{
	KIND, USER_ID, SOURCE_TYPE, PROVIDER, MODEL_ID, SERVED_MODEL, SERVICE, TASK_NAME, STATUS,
	PRICE_STATUS,
	DIMENSIONS
} Dimension;

#define BIT(dimension)	(1 << (dimension))

static const struct
{
	const char *name;
	int			argument;		/* its filter */
}			dimensions[DIMENSIONS] = {
	{"kind", 6}, {"user_id", 5}, {"source_type", 7}, {"provider", 8}, {"model_id", 9},
	{"served_model", 10}, {"service", 11}, {"task_name", 12}, {"status", 13},
	{"price_status", 14}
};

/* The cubes, the cheapest first */
typedef struct Cube
{
	const char *name;
	int			dimensions;
	bool		has_days;		/* else quarters of an hour */
	bool		for_users;		/* not only for reporters */
} Cube;

static const Cube cubes[] = {
	{"daily", BIT(KIND) | BIT(PROVIDER) | BIT(MODEL_ID) | BIT(SERVED_MODEL) | BIT(STATUS) |
	BIT(PRICE_STATUS), true, false},
	{"work", BIT(KIND) | BIT(SOURCE_TYPE) | BIT(SERVICE) | BIT(TASK_NAME) | BIT(MODEL_ID) |
	BIT(STATUS), true, false},
	{"people", BIT(KIND) | BIT(USER_ID) | BIT(PROVIDER) | BIT(MODEL_ID), true, true},
	{"clock", BIT(KIND) | BIT(PROVIDER) | BIT(MODEL_ID) | BIT(SERVED_MODEL) | BIT(STATUS) |
	BIT(PRICE_STATUS), false, false},
};

/* The buckets: what makes one of a local time, and how it is labelled */
typedef struct Bucket
{
	const char *name;
	const char *local;			/* SQL, %s is the local time */
} Bucket;

static const Bucket buckets[] = {
	{"hour", "pg_catalog.date_trunc('hour', %s)"},
	{"day", "pg_catalog.date_trunc('day', %s)"},
	{"week", "pg_catalog.date_trunc('week', %s)"},
	{"month", "pg_catalog.date_trunc('month', %s)"},
	{"all", NULL},
};

/* What has been asked for */
typedef struct Report
{
	TimestampTz from_time;
	TimestampTz to_time;
	const Bucket *bucket;
	const char *zone;
	int			group_by;		/* dimensions, as bits */
	int			filters;
	const char *schema;			/* of the extension, quoted */
} Report;

/*
 * The statement's parameters: 1 and 2 the range, 3 the zone, 4 and 5 the range as
 * local dates, and from FIRST_FILTER + 1 the filters, as the function has them.
 */
#define PARAMETERS	15

/* ---------------------------------------------------------------------------
 * Arguments
 * ---------------------------------------------------------------------------
 */

static const Bucket *
find_bucket(const char *name)
{
	for (int i = 0; i < lengthof(buckets); i++)
	{
		if (strcmp(name, buckets[i].name) == 0)
			return &buckets[i];
	}
	ereport(ERROR,
			(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
			 errmsg("there is no bucket \"%s\"", excerpt(name, strlen(name))),
			 errhint("\"bucket\" is hour, day, week, month or all.")));
}

/* The zone that is asked for, or that of reports */
const char *
report_zone(const Field *field)
{
	char	   *name;

	if (field->isnull)
		return airun_report_zone;
	name = TextDatumGetCString(field->value);
	(void) require_time_zone(name);
	return name;
}

static int
group_by_dimensions(ArrayType *group_by_words)
{
	Datum	   *words;
	bool	   *nulls;
	int			count;
	int			group_by = 0;

	deconstruct_array(group_by_words, TEXTOID, -1, false, TYPALIGN_INT, &words, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		char	   *word = nulls[i] ? "NULL" : TextDatumGetCString(words[i]);
		int			d = 0;

		while (d < DIMENSIONS && (nulls[i] || strcmp(word, dimensions[d].name) != 0))
			d++;
		if (d == DIMENSIONS)
			ereport(ERROR,
					(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
					 errmsg("usage cannot be grouped by \"%s\"", excerpt(word, strlen(word))),
					 errhint("\"group_by\" has words of kind, user_id, source_type, provider, "
							 "model_id, served_model, service, task_name, status, "
							 "price_status.")));
		group_by |= BIT(d);
	}
	return group_by;
}

/* The schema of the extension, quoted */
static const char *
schema_of(Oid function)
{
	return quote_identifier(get_namespace_name(get_func_namespace(function)));
}

static Report
report_arguments(FunctionCallInfo fcinfo)
{
	Report		report = {0};
	Field		zone = argument_field(fcinfo, 3);

	check_argument_count(fcinfo, PARAMETERS);
	if (PG_ARGISNULL(0))
		refuse_null("from_time");
	if (PG_ARGISNULL(1))
		refuse_null("to_time");
	report.from_time = PG_GETARG_TIMESTAMPTZ(0);
	report.to_time = PG_GETARG_TIMESTAMPTZ(1);
	report.bucket = find_bucket(PG_ARGISNULL(2) ? "day" : text_to_cstring(PG_GETARG_TEXT_PP(2)));
	report.zone = report_zone(&zone);
	report.group_by = PG_ARGISNULL(4) ? 0 : group_by_dimensions(PG_GETARG_ARRAYTYPE_P(4));
	for (int d = 0; d < DIMENSIONS; d++)
		report.filters |= PG_ARGISNULL(dimensions[d].argument) ? 0 : BIT(d);
	report.schema = schema_of(fcinfo->flinfo->fn_oid);
	return report;
}

/* ---------------------------------------------------------------------------
 * Which cube answers
 * ---------------------------------------------------------------------------
 */

/*
 * When a local date begins: %1$s is its midnight, $3 the zone.  Where midnight is
 * there twice or never, the one or the other expression finds the first instant.
 */
#define DAY_START \
	"LEAST(pg_catalog.timezone($3, %1$s), " \
	"pg_catalog.timezone($3, %1$s" MINUS "'1 microsecond'::pg_catalog.interval)" PLUS \
	"'1 microsecond'::pg_catalog.interval)"

#define MIDNIGHT(time) "pg_catalog.date_trunc('day', pg_catalog.timezone($3, " time "))"

/* The range as local dates, and whether it begins and ends where days do */
typedef struct Days
{
	Datum		from_day;
	Datum		to_day;
	bool		are_whole;
} Days;

static Days
range_days(const Report *report)
{
	static Statement read = {NULL, 3, {TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID}};
	Args		args = {0};
	Days		days;
	bool		isnull;

	if (read.sql == NULL)
		read.sql = MemoryContextStrdup(TopMemoryContext, psprintf(
			"SELECT pg_catalog.timezone($3, $1)::pg_catalog.date, "
			"pg_catalog.timezone($3, $2)::pg_catalog.date, "
			"%s" EQ "$1 AND %s" EQ "$2",
			psprintf(DAY_START, MIDNIGHT("$1")), psprintf(DAY_START, MIDNIGHT("$2"))));
	arg_time(&args, report->from_time);
	arg_time(&args, report->to_time);
	arg_pointer(&args, cstring_to_text(report->zone));
	(void) statement_read(&read, &args, 1);
	days.from_day = result_value(0, 1, &isnull);
	days.to_day = result_value(0, 2, &isnull);
	days.are_whole = DatumGetBool(result_value(0, 3, &isnull));
	SPI_freetuptable(SPI_tuptable);
	return days;
}

/*
 * Have the cubes days of another zone near the range?  A date differs by one at the
 * most.  What is folded goes to all cubes at once, so that the smallest one that the
 * caller may read tells of each.
 */
static bool
has_other_zones(const Report *report, const Days *days, bool sees_all)
{
#define OTHER_ZONES(cube) { \
		"SELECT EXISTS (SELECT FROM airun.usage_" cube " AS u " \
		"WHERE u.day" GE "($1" MINUS "1) AND u.day" LE "($2" PLUS "1) AND u.zone" NE "$3)", \
		3, {DATEOID, DATEOID, TEXTOID} \
	}
	static Statement reads[] = {OTHER_ZONES("people"), OTHER_ZONES("daily")};
	Statement  *read = &reads[sees_all ? 1 : 0];
	Args		args = {0};
	bool		isnull;
	bool		found;

	arg_add(&args, days->from_day, false);
	arg_add(&args, days->to_day, false);
	arg_pointer(&args, cstring_to_text(report->zone));
	(void) statement_read(read, &args, 1);
	found = DatumGetBool(result_value(0, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	return found;
}

static bool
is_quarter(TimestampTz time)
{
	return TIMESTAMP_NOT_FINITE(time) || time % (15 * USECS_PER_MINUTE) == 0;
}

/* Can this cube answer? */
static bool
cube_answers(const Cube *cube, const Report *report, const Days *days, bool sees_all)
{
	/* from 1980 on every zone's offset is a whole number of quarters */
	const TimestampTz since = (TimestampTz) -7305 * USECS_PER_DAY;	/* 1980-01-01 */

	if (((report->group_by | report->filters) & ~cube->dimensions) != 0)
		return false;
	if (!cube->has_days)
		return report->from_time >= since &&
			is_quarter(report->from_time) && is_quarter(report->to_time);
	return strcmp(report->bucket->name, "hour") != 0 &&
		strcmp(report->zone, airun_report_zone) == 0 && days->are_whole &&
		!has_other_zones(report, days, sees_all);
}

/* The cheapest cube that can answer and that the caller may read; NULL for the ledger */
static const Cube *
choose_cube(const Report *report, const Days *days, bool sees_all)
{
	for (int i = 0; i < lengthof(cubes); i++)
	{
		if ((sees_all || cubes[i].for_users) && cube_answers(&cubes[i], report, days, sees_all))
			return &cubes[i];
	}
	return NULL;
}

/* ---------------------------------------------------------------------------
 * The statement
 * ---------------------------------------------------------------------------
 */

/*
 * What a cube sums; a row of entries makes the same of itself.  The sums of both are
 * of one type, without which the server would compute those that nobody wants.
 */
#define SUM_OF_CALLS "pg_catalog.sum(u.calls::pg_catalog.int8)"

static const struct
{
	const char *name;
	const char *of_entry;
}			sums[] = {
	{"calls", SUM_OF_CALLS},
	{"errors", SUM_OF_CALLS " FILTER (WHERE u.status" EQ "'error')"},
	{"unpriced", SUM_OF_CALLS " FILTER (WHERE u.cost IS NULL)"},
	{"doubtful", SUM_OF_CALLS " FILTER (WHERE u.price_status" EQ "'doubtful')"},
	{"unpriced_tokens", "pg_catalog.sum(u.tokens_input" PLUS "u.tokens_cache_read" PLUS
	"u.tokens_cache_write" PLUS "u.tokens_output) FILTER (WHERE u.cost IS NULL)"},
	{"tokens_input", "pg_catalog.sum(u.tokens_input)"},
	{"tokens_cache_read", "pg_catalog.sum(u.tokens_cache_read)"},
	{"tokens_cache_write", "pg_catalog.sum(u.tokens_cache_write)"},
	{"tokens_output", "pg_catalog.sum(u.tokens_output)"},
	{"cost", "pg_catalog.sum(u.cost)"},
	{"first_token_us", "pg_catalog.sum(u.first_token_us)"},
	{"first_token_count", SUM_OF_CALLS " FILTER (WHERE u.first_token_us IS NOT NULL)"},
	{"total_us", "pg_catalog.sum(u.total_us)"},
	{"total_count", SUM_OF_CALLS " FILTER (WHERE u.total_us IS NOT NULL)"},
};

/* " GROUP BY " and a part's or the whole's key */
static void
append_group_by(StringInfo sql, const Report *report, const char *key)
{
	const char *comma = " GROUP BY ";

	if (report->bucket->local != NULL)
	{
		appendStringInfo(sql, "%s%s", comma, key);
		comma = ", ";
	}
	for (int d = 0; d < DIMENSIONS; d++)
	{
		if (report->group_by & BIT(d))
		{
			appendStringInfo(sql, "%su.%s", comma, dimensions[d].name);
			comma = ", ";
		}
	}
}

/* The dimensions as columns, NULL where not grouped by */
static void
append_dimensions(StringInfo sql, const Report *report)
{
	for (int d = 0; d < DIMENSIONS; d++)
	{
		if (report->group_by & BIT(d))
			appendStringInfo(sql, ", u.%s", dimensions[d].name);
		else
			appendStringInfo(sql, ", NULL::pg_catalog.%s AS %s", d == USER_ID ? "uuid" : "text",
							 dimensions[d].name);
	}
}

/* One table, summed by bucket and group: a cube or, where that is NULL, entries */
static void
append_part(StringInfo sql, const Report *report, const Cube *cube, const char *table)
{
	const char *time = cube == NULL ? "u.at" : "u.quarter";
	const char *local = cube != NULL && cube->has_days ? "u.day::pg_catalog.timestamp" :
		psprintf("pg_catalog.timezone($3, %s)", time);

	appendStringInfoString(sql, "SELECT ");
	if (report->bucket->local == NULL)
		appendStringInfoString(sql, "NULL::pg_catalog.timestamp AS local");
	else
	{
		appendStringInfo(sql, report->bucket->local, local);
		appendStringInfoString(sql, " AS local");
	}
	if (report->bucket == &buckets[0])
		appendStringInfo(sql, ", %1$s" MINUS "(%2$s" MINUS
						 "pg_catalog.date_trunc('hour', %2$s)) AS start", time, local);
	else
		appendStringInfoString(sql, ", NULL::pg_catalog.timestamptz AS start");
	append_dimensions(sql, report);
	for (int i = 0; i < lengthof(sums); i++)
	{
		if (cube == NULL)
			appendStringInfo(sql, ", %s AS %s", sums[i].of_entry, sums[i].name);
		else
			appendStringInfo(sql, ", pg_catalog.sum(u.%1$s) AS %1$s", sums[i].name);
	}
	if (cube == NULL)
		appendStringInfo(sql, ", %1$s.airun_sketch_agg(u.first_token_bin, u.calls) "
						 "AS first_token_sketch, "
						 "%1$s.airun_sketch_agg(u.total_bin, u.calls) AS total_sketch",
						 report->schema);
	else
		appendStringInfo(sql, ", %1$s.airun_sketch_sum(u.first_token_sketch) "
						 "AS first_token_sketch, "
						 "%1$s.airun_sketch_sum(u.total_sketch) AS total_sketch",
						 report->schema);
	appendStringInfo(sql, " FROM airun.usage_%s AS u WHERE ", table);
	if (cube != NULL && cube->has_days)
		appendStringInfoString(sql, "u.day" GE "$4 AND u.day" LT "$5 AND u.zone" EQ "$3");
	else
		appendStringInfo(sql, "%1$s" GE "$1 AND %1$s" LT "$2", time);
	for (int d = 0; d < DIMENSIONS; d++)
	{
		if (report->filters & BIT(d))
			appendStringInfo(sql, " AND u.%s" EQ "$%d", dimensions[d].name,
							 dimensions[d].argument + 1);
	}
	append_group_by(sql, report, report->bucket == &buckets[0] ? "1, 2" : "1");
}

/* The label of a bucket and when it begins, from local and start */
static void
append_bucket(StringInfo sql, const Report *report)
{
	if (report->bucket == &buckets[0])
		appendStringInfoString(sql,
							   "pg_catalog.concat("
							   "pg_catalog.to_char(u.local, 'YYYY-MM-DD\"T\"HH24:MI:SS'), "
							   "CASE WHEN u.local" LT "pg_catalog.timezone('UTC', u.start) "
							   "THEN '-' ELSE '+' END, "
							   "pg_catalog.to_char(GREATEST("
							   "u.local" MINUS "pg_catalog.timezone('UTC', u.start), "
							   "pg_catalog.timezone('UTC', u.start)" MINUS "u.local), "
							   "'HH24:MI')), u.start");
	else if (report->bucket->local != NULL)
		appendStringInfo(sql, "pg_catalog.to_char(u.local, 'YYYY-MM-DD'), " DAY_START, "u.local");
	else
		appendStringInfoString(sql, "NULL::pg_catalog.text, NULL::pg_catalog.timestamptz");
}

/* Percentiles and the average of a time, in milliseconds */
static void
append_times(StringInfo sql, const Report *report, const char *name)
{
	static const char *const fractions[] = {"0.5", "0.95", "0.99"};

	for (int i = 0; i < lengthof(fractions); i++)
		appendStringInfo(sql, ", %s.airun_sketch_quantile(u.%s_sketch, %s)", report->schema, name,
						 fractions[i]);
	appendStringInfo(sql, ", u.%1$s_us::pg_catalog.float8 OPERATOR(pg_catalog./) "
					 "(CASE WHEN u.%1$s_count" NE "0 THEN u.%1$s_count END)::pg_catalog.float8 "
					 "OPERATOR(pg_catalog./) 1000",
					 name);
}

/* Sums of sums are numeric; they fit, since the parts of one sum are of one table */
static void
append_result(StringInfo sql, const Report *report, const Cube *cube)
{
	append_bucket(sql, report);
	for (int d = 0; d < DIMENSIONS; d++)
		appendStringInfo(sql, ", u.%s", dimensions[d].name);
	appendStringInfoString(sql, ", u.calls::pg_catalog.int8, u.errors::pg_catalog.int8, "
						   "u.errors::pg_catalog.float8 OPERATOR(pg_catalog./) "
						   "u.calls::pg_catalog.float8, u.unpriced::pg_catalog.int8, "
						   "u.doubtful::pg_catalog.int8, u.unpriced_tokens::pg_catalog.int8, "
						   "u.tokens_input::pg_catalog.int8, "
						   "u.tokens_cache_read::pg_catalog.int8, "
						   "u.tokens_cache_write::pg_catalog.int8, "
						   "u.tokens_output::pg_catalog.int8, (u.tokens_input" PLUS
						   "u.tokens_cache_read" PLUS "u.tokens_cache_write" PLUS
						   "u.tokens_output)::pg_catalog.int8, u.cost");
	append_times(sql, report, "first_token");
	append_times(sql, report, "total");
	appendStringInfo(sql, ", '%s'::pg_catalog.text", cube == NULL ? "ledger" : cube->name);
}

static char *
report_sql(const Report *report, const Cube *cube)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT ");
	append_result(&sql, report, cube);
	appendStringInfoString(&sql, " FROM (SELECT u.local, u.start");
	for (int d = 0; d < DIMENSIONS; d++)
		appendStringInfo(&sql, ", u.%s", dimensions[d].name);
	for (int i = 0; i < lengthof(sums); i++)
		appendStringInfo(&sql, ", COALESCE(pg_catalog.sum(u.%1$s), 0) AS %1$s", sums[i].name);
	appendStringInfo(&sql, ", %1$s.airun_sketch_sum(u.first_token_sketch) AS first_token_sketch, "
					 "%1$s.airun_sketch_sum(u.total_sketch) AS total_sketch FROM (",
					 report->schema);
	append_part(&sql, report, cube, cube == NULL ? "ledger" : cube->name);
	appendStringInfoString(&sql, " UNION ALL ");
	append_part(&sql, report, NULL, "tail");
	appendStringInfoString(&sql, ") AS u GROUP BY u.local, u.start");
	for (int d = 0; d < DIMENSIONS; d++)
		appendStringInfo(&sql, ", u.%s", dimensions[d].name);
	appendStringInfoString(&sql, " HAVING pg_catalog.sum(u.calls)" NE "0) AS u "
						   "ORDER BY u.local, u.start");
	for (int d = 0; d < DIMENSIONS; d++)
	{
		if (report->group_by & BIT(d))
			appendStringInfo(&sql, ", u.%s%s", dimensions[d].name,
							 d == USER_ID ? "" : " COLLATE pg_catalog.\"C\"");
	}
	return sql.data;
}

/* The statement, with its first parameters */
static char *
report_statement(const Report *report, bool sees_all, Datum *values)
{
	Days		days = range_days(report);

	values[0] = TimestampTzGetDatum(report->from_time);
	values[1] = TimestampTzGetDatum(report->to_time);
	values[2] = CStringGetTextDatum(report->zone);
	values[3] = days.from_day;
	values[4] = days.to_day;
	return report_sql(report, choose_cube(report, &days, sees_all));
}

/*
 * A query with the rows of airun_usage(), to be a part of a statement, which then
 * computes no more of their columns than it uses.  The first parameters of the
 * statement are its own; they are set.
 */
char *
report_query(const ReportQuestion *question, Datum *values)
{
	Report		report = {
		.from_time = question->from_time,
		.to_time = question->to_time,
		.bucket = find_bucket(question->bucket),
		.zone = question->zone,
		.group_by = group_by_dimensions(DatumGetArrayTypeP(question->group_by)),
		.schema = schema_of(question->function)
	};

	return report_statement(&report, question->sees_all, values);
}

/* Run it, with the caller's snapshot, and put its rows into the function's */
static void
put_report(FunctionCallInfo fcinfo, const Report *report, bool sees_all)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid			types[PARAMETERS] = {REPORT_TYPES, UUIDOID};
	Datum		values[PARAMETERS] = {0};
	char		nulls[PARAMETERS];
	char	   *sql = report_statement(report, sees_all, values);

	memset(nulls, ' ', PARAMETERS);
	for (int i = FIRST_FILTER; i < PARAMETERS; i++)
	{
		types[i] = i == FIRST_FILTER ? UUIDOID : TEXTOID;
		values[i] = PG_ARGISNULL(i) ? (Datum) 0 : PG_GETARG_DATUM(i);
		nulls[i] = PG_ARGISNULL(i) ? 'n' : ' ';
	}
	if (SPI_execute_with_args(sql, PARAMETERS, types, values, nulls, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "a report of airun's returned no rows");
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		Datum		columns[RESULT_COLUMNS];
		bool		isnull[RESULT_COLUMNS];

		for (int i = 0; i < RESULT_COLUMNS; i++)
			columns[i] = result_value(row, i + 1, &isnull[i]);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, columns, isnull);
	}
	SPI_freetuptable(SPI_tuptable);
}

/*
 * airun_usage(from_time, to_time, bucket, zone, group_by, filters ...) returns
 * setof ai_usage
 */
Datum
airun_usage(PG_FUNCTION_ARGS)
{
	Report		report = report_arguments(fcinfo);
	bool		sees_all;

	result_begin_rows(fcinfo, RESULT_COLUMNS);
	store_open(false);
	sees_all = pg_class_aclcheck(store_table_oid("usage_daily"), GetUserId(),
									ACL_SELECT) == ACLCHECK_OK;
	if (!sees_all)
		store_require_caller();
	if (report.from_time < report.to_time)
		put_report(fcinfo, &report, sees_all);
	store_close();
	return (Datum) 0;
}
