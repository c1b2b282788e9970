/*
 * page_data.c
 *		What a page of the usage is made of, as it is read.
 *
 * It guarantees: every figure comes from airun_usage()'s query, run with the caller's
 * rights and in the snapshot of the statement; percentiles are computed only where
 * they are shown; days begin when they do in the zone,
 * also those without midnight or with two of them; a range of any length has a few
 * dozen places.
 *
 * Nothing is locked.  Refuses, with PT422, days that are no range, one longer than
 * MAX_DAYS, or an unknown dimension.
 */
#include "airun.h"

#include "catalog/pg_type.h"
#include "nodes/value.h"
#include "store/args.h"
#include "usage/page_data.h"
#include "usage/report.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"

#define MAX_DAYS		36525	/* a century */
#define MAX_HOUR_DAYS	2		/* days by hour, then by day, week, month */
#define MAX_DAY_DAYS	62
#define MAX_WEEK_DAYS	(62 * 7)

static const char *const measure_columns[] = {
	"calls", "errors", "unpriced", "doubtful", "unpriced_tokens",
	"tokens_input", "tokens_cache_read", "tokens_cache_write", "tokens_output",
	"tokens_total", "known_cost", "first_token_p50", "first_token_p95", "first_token_p99",
	"total_p50", "total_p95", "total_p99"
};

StaticAssertDecl(lengthof(measure_columns) == MEASURES, "a measure has no column");

#define DIMENSION(column, word) \
	{"{" column "}", "u." column "::pg_catalog.text", "NULL::pg_catalog.text", word}

static const Grouping groupings[] = {
	[BY_NOTHING] = {"{}", "NULL::pg_catalog.text", "NULL::pg_catalog.text", ""},
	[BY_MODEL_AND_PROVIDER] = {"{provider,model_id}", "u.model_id", "u.provider", "model"},
	[BY_USER] = {"{user_id}", "u.user_id::pg_catalog.text", "NULL::pg_catalog.text", "user"},
	[BY_WORK] = {"{source_type,service,task_name}",
		"CASE WHEN COALESCE(u.service, u.task_name)" NE "'' OR u.task_name" NE "'' "
		"THEN pg_catalog.concat_ws(' / ', u.service, u.task_name) END", "u.source_type", "work"},
	[BY_FIRST_DIMENSION] = DIMENSION("model_id", "model"),
	DIMENSION("served_model", "served model"),
	DIMENSION("provider", "provider"),
	DIMENSION("kind", "kind"),
	DIMENSION("source_type", "source"),
	DIMENSION("service", "service"),
	DIMENSION("task_name", "task name"),
	DIMENSION("user_id", "user"),
	DIMENSION("status", "status"),
	DIMENSION("price_status", "price status")
};

/* A day as text, whatever the session's DateStyle */
#define DAY_TEXT(day)	"pg_catalog.to_char((" day ")::pg_catalog.timestamp, 'YYYY-MM-DD')"

/*
 * When a day begins in a zone: midnight, or, where there is none or are two, the
 * end of the day before.
 */
#define DAY_START(day) \
	"LEAST(pg_catalog.timezone($3, (" day ")::pg_catalog.timestamp), " \
	"pg_catalog.timezone($3, (" day ")::pg_catalog.timestamp" MINUS "interval '1 microsecond')" \
	PLUS "interval '1 microsecond')"

/* The grouping by the dimension of that name */
int
page_dimension(const char *name)
{
	StringInfoData known;

	initStringInfo(&known);
	for (int i = BY_FIRST_DIMENSION; i < (int) lengthof(groupings); i++)
	{
		const char *list = groupings[i].group_by;
		int			len = (int) strlen(list) - 2;

		if (len == (int) strlen(name) && strncmp(list + 1, name, len) == 0)
			return i;
		appendStringInfo(&known, "%s%.*s", i > BY_FIRST_DIMENSION ? ", " : "", len, list + 1);
	}
	ereport(ERROR,
			(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
			 errmsg("\"group_by\" cannot be \"%s\"", excerpt(name, strlen(name))),
			 errhint("Known dimensions: %s.", known.data)));
}

/* What a page calls it */
const char *
page_dimension_word(int grouping)
{
	return groupings[grouping].word;
}

/* Refuse days that are no range */
static void
check_days(int64 days)
{
	if (days < 1)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("\"to_day\" is before \"from_day\""),
				 errhint("Both days are part of the page.")));
	if (days > MAX_DAYS)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("the days from \"from_day\" to \"to_day\" are too many"),
				 errdetail("There are " INT64_FORMAT "; a page shows at most %d.", days, MAX_DAYS),
				 errhint("Ask for fewer days.")));
}

static char *
result_string(uint64 row, int column)
{
	return SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);
}

/* Refuse a day that is none */
static void
check_day(const char *name, const Field *day)
{
	if (!day->isnull && DATE_NOT_FINITE(DatumGetDateADT(day->value)))
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("\"%s\" must be a day, not infinity", name),
				 errhint("Leave it out to get the last 30 days.")));
}

/*
 * Set the days and the instants of the page.  Days that are not stated make the
 * range the last 30 days, in the zone.
 */
void
page_read_range(UsagePage *page, const Field *from_day, const Field *to_day)
{
	static Statement read = {
		"SELECT d.first, d.last, " DAY_TEXT("d.first") ", " DAY_TEXT("d.last") ", "
		DAY_TEXT("d.first" MINUS "d.days") ", " DAY_TEXT("d.first" MINUS "1") ", "
		DAY_START("d.first") ", " DAY_START("d.last" PLUS "1") ", "
		DAY_START("d.first" MINUS "d.days") ", d.days "
		"FROM (SELECT c.*, c.last" MINUS "c.first" PLUS "1 AS days FROM ("
		"SELECT COALESCE($1, b.last" MINUS "29) AS first, b.last FROM ("
		"SELECT COALESCE($2, GREATEST($1, "
		"pg_catalog.timezone($3, pg_catalog.now())::pg_catalog.date)) AS last) AS b) AS c) AS d",
		3, {DATEOID, DATEOID, TEXTOID}
	};
	Args		args = {0};
	bool		isnull;

	check_day("from_day", from_day);
	check_day("to_day", to_day);
	if (!from_day->isnull && !to_day->isnull)
		check_days((int64) DatumGetDateADT(to_day->value) - DatumGetDateADT(from_day->value) + 1);
	arg_field(&args, from_day);
	arg_field(&args, to_day);
	arg_pointer(&args, cstring_to_text(page->zone));
	(void) statement_read(&read, &args, 1);
	page->first = result_value(0, 1, &isnull);
	page->last = result_value(0, 2, &isnull);
	page->first_day = result_string(0, 3);
	page->last_day = result_string(0, 4);
	page->before_first = result_string(0, 5);
	page->before_last = result_string(0, 6);
	page->begin = datumCopy(result_value(0, 7, &isnull), FLOAT8PASSBYVAL, sizeof(int64));
	page->end = datumCopy(result_value(0, 8, &isnull), FLOAT8PASSBYVAL, sizeof(int64));
	page->before = datumCopy(result_value(0, 9, &isnull), FLOAT8PASSBYVAL, sizeof(int64));
	page->days = DatumGetInt32(result_value(0, 10, &isnull));
	check_days(page->days);
}

/* Days, weeks or months from the first day to the last one, in local time */
static Statement calendar_places = {
	"SELECT " DAY_TEXT("d") ", pg_catalog.to_char(d, $2) "
	"FROM pg_catalog.generate_series(pg_catalog.date_trunc($1, $3::pg_catalog.timestamp), "
	"$4::pg_catalog.timestamp, ('1 ' OPERATOR(pg_catalog.||) $1)::pg_catalog.interval) AS d "
	"ORDER BY d",
	4, {TEXTOID, TEXTOID, DATEOID, DATEOID}
};

/*
 * Local hours; zones are set forward and back by quarters of an hour at the least.
 * The offset to UTC tells apart the hour that comes twice.
 */
static Statement hour_places = {
	"SELECT h.label, pg_catalog.min(h.brief) FROM (SELECT t, "
	"pg_catalog.to_char(l, 'YYYY-MM-DD\"T\"HH24\":00:00\"') OPERATOR(pg_catalog.||) "
	"CASE WHEN l" LT "u THEN '-' ELSE '+' END OPERATOR(pg_catalog.||) "
	"pg_catalog.to_char(GREATEST(l" MINUS "u, u" MINUS "l), 'HH24:MI') AS label, "
	"CASE WHEN pg_catalog.date_part('hour', l)" EQ "0 THEN pg_catalog.to_char(l, 'FMMon FMDD') "
	"ELSE pg_catalog.to_char(l, 'HH24\":00\"') END AS brief "
	"FROM pg_catalog.generate_series($1, $2" MINUS "interval '1 microsecond', "
	"interval '15 minutes') AS t, "
	"pg_catalog.timezone($3, t) AS l, pg_catalog.timezone('UTC', t) AS u) AS h "
	"GROUP BY h.label ORDER BY pg_catalog.min(h.t)",
	3, {TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID}
};

/*
 * Read the places of the axis.  The bucket is chosen so that there are a few dozen.
 */
void
page_read_places(UsagePage *page)
{
	static const struct
	{
		int			days;
		const char *bucket;
		const char *axis;
		const char *format;
	}			buckets[] = {
		{MAX_HOUR_DAYS, "hour", "Hour", NULL},
		{MAX_DAY_DAYS, "day", "Day", "FMMon FMDD"},
		{MAX_WEEK_DAYS, "week", "Week from", "FMMon FMDD, YYYY"},
		{MAX_DAYS, "month", "Month from", "FMMon YYYY"}
	};
	Args		args = {0};
	int			kind = 0;

	while (page->days > buckets[kind].days)
		kind++;
	page->bucket = buckets[kind].bucket;
	page->axis = buckets[kind].axis;
	if (kind == 0)
	{
		arg_add(&args, page->begin, false);
		arg_add(&args, page->end, false);
		arg_pointer(&args, cstring_to_text(page->zone));
		page->nplaces = (int) statement_read(&hour_places, &args, 0);
	}
	else
	{
		arg_pointer(&args, cstring_to_text(page->bucket));
		arg_pointer(&args, cstring_to_text(buckets[kind].format));
		arg_add(&args, page->first, false);
		arg_add(&args, page->last, false);
		page->nplaces = (int) statement_read(&calendar_places, &args, 0);
	}
	page->places = palloc0_array(Place, page->nplaces);
	for (int i = 0; i < page->nplaces; i++)
		page->places[i] = (Place) {result_string(i, 1), result_string(i, 2)};
}

/* The parameters of a statement: those of the report, and */
enum
{
	PLACES = REPORT_PARAMETERS, FIRST, UNPRICED_FIRST,
	PARAMETERS
};

/*
 * The statement around a report.  Groups come in the order of their cost, or of the
 * calls whose cost is not known; those after the first $7 as one, the rest, unless
 * there is but one.  Where no call has a known cost, the sum of costs is not 0, but
 * not known.
 */
static char *
usage_statement(const Grouping *grouping, const char *report, bool has_times)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql,
					 "WITH a AS (SELECT %s AS group_name, %s AS group_note, "
					 "pg_catalog.array_position($6, u.bucket)" MINUS "1 AS place, "
					 "CASE WHEN u.unpriced" LT "u.calls THEN u.cost END AS known_cost, u.* "
					 "FROM (%s) AS u (" REPORT_COLUMNS ")), "
					 "b AS (SELECT a.*, pg_catalog.sum(a.known_cost) OVER w AS group_cost, "
					 "pg_catalog.sum(a.calls) OVER w AS group_calls, CASE WHEN $8 THEN "
					 "pg_catalog.sum(a.unpriced" PLUS "a.doubtful) OVER w END AS group_unpriced "
					 "FROM a WINDOW w AS (PARTITION BY a.group_name, a.group_note)), "
					 "c AS (SELECT b.*, pg_catalog.dense_rank() OVER ("
					 "ORDER BY b.group_unpriced DESC NULLS LAST, b.group_cost DESC NULLS LAST, "
					 "b.group_calls DESC, b.group_name COLLATE pg_catalog.\"C\", "
					 "b.group_note COLLATE pg_catalog.\"C\") AS rank FROM b), "
					 "d AS (SELECT c.*, pg_catalog.max(c.rank) OVER () AS ranks FROM c), "
					 "e AS (SELECT d.*, d.ranks" GT "($7" PLUS "1) AND d.rank" GT "$7 "
					 "AS is_rest FROM d) "
					 "SELECT CASE WHEN e.is_rest THEN $7" PLUS "1 ELSE e.rank END, "
					 "CASE WHEN NOT e.is_rest THEN pg_catalog.min(e.group_name) END, "
					 "CASE WHEN NOT e.is_rest THEN pg_catalog.min(e.group_note) END, "
					 "CASE WHEN e.is_rest THEN pg_catalog.max(e.ranks)" MINUS "$7 ELSE 1 END, "
					 "COALESCE(e.place, 0), pg_catalog.min(e.answered_by)",
					 grouping->name, grouping->note, report);
	for (int i = 0; i < SUMS; i++)
		appendStringInfo(&sql, ", pg_catalog.trim_scale(pg_catalog.sum(e.%s)::pg_catalog.numeric)",
						 measure_columns[i]);
	for (int i = SUMS; i < (has_times ? MEASURES : SUMS); i++)
		appendStringInfo(&sql, ", CASE WHEN pg_catalog.count(*)" EQ "1 THEN pg_catalog.trim_scale("
						 "pg_catalog.round(pg_catalog.min(e.%s)::pg_catalog.numeric, 3)) END",
						 measure_columns[i]);
	appendStringInfoString(&sql, " FROM e GROUP BY 1, e.is_rest, e.place ORDER BY 1, e.place");
	return sql.data;
}

static Datum
places_array(const UsagePage *page)
{
	Datum	   *labels = palloc_array(Datum, page->nplaces);

	for (int i = 0; i < page->nplaces; i++)
		labels[i] = CStringGetTextDatum(page->places[i].label);
	return PointerGetDatum(construct_array(labels, page->nplaces, TEXTOID, -1, false,
										   TYPALIGN_INT));
}

/* A row of the current result */
static UsageRow
usage_row(UsagePage *page, uint64 row, int measures)
{
	UsageRow	usage = {0};
	bool		isnull;
	char	   *source = result_string(row, 6);

	usage.group = (int) DatumGetInt64(result_value(row, 1, &isnull));
	usage.name = result_string(row, 2);
	usage.note = result_string(row, 3);
	usage.merged = (int) DatumGetInt64(result_value(row, 4, &isnull));
	usage.place = DatumGetInt32(result_value(row, 5, &isnull));
	if (source != NULL && !list_member(page->sources, makeString(source)))
		page->sources = lappend(page->sources, makeString(source));
	for (int i = 0; i < measures; i++)
		usage.figures[i] = figure_exact(result_string(row, 7 + i));
	return usage;
}

/*
 * Run the statement for a question.  It is planned for this range: a year wants
 * another plan than a day.
 */
static void
run_question(const UsagePage *page, const Question *question)
{
	const Grouping *grouping = &groupings[question->grouping];
	Oid			types[PARAMETERS] = {REPORT_TYPES, TEXTARRAYOID, INT8OID, BOOLOID};
	Datum		values[PARAMETERS];
	char	   *report;

	report = report_query(&(ReportQuestion) {
		.function = page->function,
		.sees_all = page->sees_all,
		.from_time = DatumGetTimestampTz(question->begin),
		.to_time = DatumGetTimestampTz(question->end),
		.bucket = question->by_place ? page->bucket : "all",
		.zone = page->zone,
		.group_by = OidInputFunctionCall(F_ARRAY_IN, pstrdup(grouping->group_by), TEXTOID, -1)
	}, values);
	values[PLACES] = places_array(page);
	values[FIRST] = Int64GetDatum(question->first);
	values[UNPRICED_FIRST] = BoolGetDatum(question->unpriced_first);
	if (SPI_execute_with_args(usage_statement(grouping, report, question->has_times), PARAMETERS,
							  types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "a page of airun's read no rows");
}

UsageRows
page_read_usage(UsagePage *page, const Question *question)
{
	UsageRows	answer = {0};

	run_question(page, question);
	answer.count = (int) SPI_processed;
	answer.rows = palloc0_array(UsageRow, Max(answer.count, 1));
	for (int i = 0; i < answer.count; i++)
	{
		answer.rows[i] = usage_row(page, i, question->has_times ? MEASURES : SUMS);
		answer.groups = Max(answer.groups, answer.rows[i].group);
	}
	SPI_freetuptable(SPI_tuptable);
	return answer;
}
