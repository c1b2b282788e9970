/*
 * usage_page.c
 *		The picture of the usage: one page of HTML that needs nothing else.
 *
 * It guarantees: all panels agree, since they are of one snapshot; nobody sees
 * another's figures, since they are read with the caller's rights (page_data.c),
 * and users are ranked for who may read the figures of all.  Equal figures give
 * equal bytes: the time of its making is not on the page.
 *
 * A panel is a function, and the page a list of them.  What is drawn is drawn by
 * svg.c and html.c, which know nothing of calls and tokens.
 *
 * Where PostgREST is calling, the response's headers forbid scripts, guessing of
 * the type and keeping of copies.  Nothing is locked.  Refuses a title that is too
 * long (PT422), what page_data.c refuses, and nobody (PT401).
 */
#include "airun.h"

#include <math.h>

#include "budget/budget_status.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "store/args.h"
#include "store/store.h"
#include "usage/chart.h"
#include "usage/page_data.h"
#include "usage/report.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"

PG_FUNCTION_INFO_V1(airun_usage_page);

#define MAX_TITLE		200
#define STACKED			7		/* groups with a colour of their own */
#define RANKED			10		/* rows of a ranking */
#define BUDGETS			20		/* budgets, the fullest first, and of each */
#define COUNTERS		5		/* so many of its counters */

#define POLICY_FORMAT \
	"default-src 'none'; style-src 'sha256-%s'; base-uri 'none'; form-action 'none'"

/* --- from rows to figures ------------------------------------------------- */

static Figure
zero(void)
{
	return figure_exact("0");
}

/* The measure of all; where there is no row there was nothing */
static Figure
total_of(const UsageRows *rows, Measure measure)
{
	if (rows->count == 0)
		return measure < SUMS ? zero() : figure_unknown();
	return rows->rows[0].figures[measure];
}

/* The part of the calls that are errors */
static Figure
error_rate(const Figure *calls, const Figure *errors)
{
	if (!calls->known || !errors->known || calls->number == 0)
		return figure_unknown();
	return figure_exact(psprintf("%.6f", errors->number / calls->number));
}

static void
show_all(Figure *figures, int count, Unit unit, int decimals)
{
	for (int i = 0; i < count; i++)
		figure_show(&figures[i], unit, decimals);
}

/* The figures of one group, one a place; what there is no row for, was nothing */
static Figure *
figures_of(const UsagePage *page, const UsageRows *rows, int group, Measure measure)
{
	Figure	   *figures = palloc_array(Figure, page->nplaces);

	for (int i = 0; i < page->nplaces; i++)
		figures[i] = measure < SUMS ? zero() : figure_unknown();
	for (int i = 0; i < rows->count; i++)
		if (rows->rows[i].group == group)
			figures[rows->rows[i].place] = rows->rows[i].figures[measure];
	return figures;
}

/* A series of a measure of all, with its total */
static Series
course_series(const UsagePage *page, const char *name, Measure measure, Unit unit, int decimals)
{
	Series		series = {.name = name};

	series.figures = figures_of(page, &page->course, 1, measure);
	if (measure < SUMS)
		series.total = total_of(&page->now, measure);
	show_all(series.figures, page->nplaces, unit, decimals);
	show_all(&series.total, 1, unit, decimals);
	return series;
}

/* What a group is called */
static const char *
group_name(const UsageRow *row, const char *word)
{
	if (row->merged > 1)
		return psprintf("%d others", row->merged);
	return row->name != NULL ? row->name : psprintf("(no %s)", word);
}

static Chart
begin_chart(const UsagePage *page, const char *title, Unit unit)
{
	return (Chart) {
		.title = title, .unit = unit, .axis = page->axis,
		.nplaces = page->nplaces, .places = page->places
	};
}

/* Decimals that suit the cost of all */
static int
cost_decimals(const UsagePage *page)
{
	Figure		total = total_of(&page->now, COST);

	return money_decimals(total.known ? total.number : 0);
}

/* --- panels, in the order of the page ------------------------------------- */

static Tile
make_tile(const UsagePage *page, const char *name, Measure measure, Unit unit)
{
	Tile		tile = {.name = name, .nplaces = page->nplaces};

	tile.now = total_of(&page->now, measure);
	tile.before = total_of(&page->then, measure);
	tile.now.shown = figure_brief(&tile.now, unit);
	tile.before.shown = figure_brief(&tile.before, unit);
	tile.course = figures_of(page, &page->course, 1, measure);
	return tile;
}

/* The part of errors at each place */
static Figure *
error_rates(const UsagePage *page)
{
	Figure	   *calls = figures_of(page, &page->course, 1, CALLS);
	Figure	   *errors = figures_of(page, &page->course, 1, ERRORS);
	Figure	   *rates = palloc_array(Figure, page->nplaces);

	for (int i = 0; i < page->nplaces; i++)
		rates[i] = error_rate(&calls[i], &errors[i]);
	show_all(rates, page->nplaces, UNIT_SHARE, 0);
	return rates;
}

static Figure
total_error_rate(const UsageRows *rows)
{
	Figure		calls = total_of(rows, CALLS);
	Figure		errors = total_of(rows, ERRORS);
	Figure		rate = error_rate(&calls, &errors);

	figure_show(&rate, UNIT_SHARE, 0);
	return rate;
}

static void
panel_tiles(UsagePage *page, StringInfo out)
{
	Tile		tiles[4];
	Series		columns[5];
	Chart		table = begin_chart(page, "All figures", UNIT_COUNT);

	tiles[0] = make_tile(page, "Cost, US dollars", COST, UNIT_MONEY);
	tiles[1] = make_tile(page, "Calls", CALLS, UNIT_COUNT);
	tiles[2] = make_tile(page, "Tokens", TOKENS, UNIT_COUNT);
	tiles[3] = (Tile) {
		.name = "Error rate", .is_share = true, .nplaces = page->nplaces,
		.now = total_error_rate(&page->now), .before = total_error_rate(&page->then),
		.course = error_rates(page)
	};
	html_tiles(out, tiles, lengthof(tiles));

	columns[0] = course_series(page, "Cost (USD)", COST, UNIT_MONEY, cost_decimals(page));
	columns[1] = course_series(page, "Calls", CALLS, UNIT_COUNT, 0);
	columns[2] = course_series(page, "Tokens", TOKENS, UNIT_COUNT, 0);
	columns[3] = course_series(page, "Errors", ERRORS, UNIT_COUNT, 0);
	columns[4] = (Series) {
		.name = "Error rate", .figures = error_rates(page),
		.total = total_error_rate(&page->now)
	};
	table.nseries = lengthof(columns);
	table.series = columns;
	appendStringInfoString(out, "<div class=\"sheet\">");
	html_figures(out, psprintf("These figures by %s", page->bucket), &table);
	appendStringInfoString(out, "</div>\n");
}

/* The series of each group, in their order */
static Series *
group_series(const UsagePage *page, const UsageRows *rows)
{
	Series	   *series = palloc0_array(Series, Max(rows->groups, 1));

	for (int i = 0; i < rows->count; i++)
	{
		Series	   *this = &series[rows->rows[i].group - 1];

		this->total = figure_sum(&this->total, &rows->rows[i].figures[COST]);
		if (this->name != NULL)
			continue;
		this->name = group_name(&rows->rows[i], page->stack_word);
		this->is_rest = rows->rows[i].merged > 1;
		this->colour = rows->rows[i].group - 1;
		this->figures = figures_of(page, rows, rows->rows[i].group, COST);
		show_all(this->figures, page->nplaces, UNIT_MONEY, cost_decimals(page));
	}
	for (int i = 0; i < rows->groups; i++)
		figure_show(&series[i].total, UNIT_MONEY, cost_decimals(page));
	return series;
}

static void
panel_cost(UsagePage *page, StringInfo out)
{
	UsageRows	rows = page_read_usage(page, &(Question) {
		page->begin, page->end, true, page->stack, STACKED
	});
	Chart		chart = begin_chart(page, psprintf("Cost by %s", page->stack_word), UNIT_MONEY);
	Series		sum = course_series(page, "All", COST, UNIT_MONEY, cost_decimals(page));
	Figure		unpriced = total_of(&page->now, UNPRICED);

	chart.note = psprintf("US dollars by %s", page->bucket);
	if (unpriced.known && unpriced.number != 0)
	{
		figure_show(&unpriced, UNIT_COUNT, 0);
		chart.note = psprintf("%s; %s calls without a known price are not in it", chart.note,
							  unpriced.shown);
	}
	chart.is_wide = true;
	chart.nseries = rows.groups;
	chart.series = group_series(page, &rows);
	chart.sum = &sum;
	html_chart(out, &chart, false);
}

static void
panel_tokens(UsagePage *page, StringInfo out)
{
	Chart		chart = begin_chart(page, "Tokens by kind", UNIT_COUNT);
	Series		sum = course_series(page, "All", TOKENS, UNIT_COUNT, 0);
	Series		series[4];

	series[0] = course_series(page, "Input", INPUT, UNIT_COUNT, 0);
	series[1] = course_series(page, "Cache read", CACHE_READ, UNIT_COUNT, 0);
	series[2] = course_series(page, "Cache write", CACHE_WRITE, UNIT_COUNT, 0);
	series[3] = course_series(page, "Output", OUTPUT, UNIT_COUNT, 0);
	for (int i = 0; i < (int) lengthof(series); i++)
		series[i].colour = i;
	chart.nseries = lengthof(series);
	chart.series = series;
	chart.sum = &sum;
	html_chart(out, &chart, false);
}

/* Calls that ended well, and errors */
static void
panel_calls(UsagePage *page, StringInfo out)
{
	Chart		chart = begin_chart(page, "Calls", UNIT_COUNT);
	Series		sum = course_series(page, "All", CALLS, UNIT_COUNT, 0);
	Series		series[2];

	series[1] = course_series(page, "Errors", ERRORS, UNIT_COUNT, 0);
	series[1].colour = COLOUR_BAD;
	series[0] = (Series) {.name = "Without error"};
	series[0].figures = palloc_array(Figure, page->nplaces);
	for (int i = 0; i < page->nplaces; i++)
		series[0].figures[i] = figure_difference(&sum.figures[i], &series[1].figures[i]);
	series[0].total = figure_difference(&sum.total, &series[1].total);
	show_all(series[0].figures, page->nplaces, UNIT_COUNT, 0);
	show_all(&series[0].total, 1, UNIT_COUNT, 0);
	chart.nseries = lengthof(series);
	chart.series = series;
	chart.sum = &sum;
	html_chart(out, &chart, false);
}

/* Three percentiles, beginning with a measure; the calls beside them */
static void
draw_times(UsagePage *page, StringInfo out, const char *title, Measure p50)
{
	static const char *const names[] = {"p50", "p95", "p99"};
	Chart		chart = begin_chart(page, title, UNIT_TIME);
	Series		calls = course_series(page, "Calls", CALLS, UNIT_COUNT, 0);
	Series		series[lengthof(names)];

	for (int i = 0; i < (int) lengthof(names); i++)
	{
		series[i] = course_series(page, names[i], p50 + i, UNIT_TIME, 0);
		series[i].colour = i;
		series[i].total = total_of(&page->now, p50 + i);
		figure_show(&series[i].total, UNIT_TIME, 0);
	}
	chart.note = "Percentiles, each within 1 % of the exact one";
	chart.nbeside = 1;
	chart.beside = &calls;
	chart.nseries = lengthof(series);
	chart.series = series;
	html_chart(out, &chart, true);
}

static void
panel_total_time(UsagePage *page, StringInfo out)
{
	draw_times(page, out, "Time to the whole answer", TOTAL_P50);
}

static void
panel_first_token(UsagePage *page, StringInfo out)
{
	draw_times(page, out, "Time to the first token", FIRST_P50);
}

/* What a ranking has in its columns */
typedef struct RankingColumn
{
	Column		column;
	Unit		unit;
	Measure		measure;		/* MEASURES: the error rate */
} RankingColumn;

static const RankingColumn ranking_columns[] = {
	{{"Cost (USD)", true}, UNIT_MONEY, COST},
	{{"Calls"}, UNIT_COUNT, CALLS},
	{{"Errors"}, UNIT_SHARE, MEASURES},
	{{"Tokens"}, UNIT_COUNT, TOKENS},
	{{"p50"}, UNIT_TIME, TOTAL_P50},
	{{"p95"}, UNIT_TIME, TOTAL_P95}
};
#define WIDE_COLUMNS	lengthof(ranking_columns)
#define HALF_COLUMNS	4		/* without the times */

static const RankingColumn unpriced_columns[] = {
	{{"Calls"}, UNIT_COUNT, CALLS},
	{{"Without a price", true}, UNIT_COUNT, UNPRICED},
	{{"Their tokens"}, UNIT_COUNT, UNPRICED_TOKENS},
	{{"With a doubtful price", true}, UNIT_COUNT, DOUBTFUL}
};

/* The figures of one row in the columns of a ranking */
static Figure *
ranking_figures(const UsagePage *page, const UsageRow *row, const RankingColumn *columns,
				int ncolumns)
{
	Figure	   *figures = palloc_array(Figure, ncolumns);

	for (int i = 0; i < ncolumns; i++)
	{
		figures[i] = columns[i].measure == MEASURES ?
			error_rate(&row->figures[CALLS], &row->figures[ERRORS]) :
			row->figures[columns[i].measure];
		figure_show(&figures[i], columns[i].unit, cost_decimals(page));
	}
	return figures;
}

/* Groups in their order, with the sum of all below them if it is theirs */
static void
draw_ranking(const UsagePage *page, StringInfo out, const char *title, const char *note,
			 const char *word, const UsageRows *rows, const RankingColumn *columns, int ncolumns,
			 bool is_wide, bool has_total)
{
	Column	   *names = palloc_array(Column, ncolumns);
	Row		   *lines = palloc0_array(Row, rows->count + 1);
	int			count = rows->count;

	for (int i = 0; i < ncolumns; i++)
		names[i] = columns[i].column;
	for (int i = 0; i < count; i++)
	{
		lines[i].name = group_name(&rows->rows[i], word);
		lines[i].note = rows->rows[i].note;
		lines[i].is_rest = rows->rows[i].merged > 1;
		lines[i].figures = ranking_figures(page, &rows->rows[i], columns, ncolumns);
	}
	if (has_total && page->now.count > 0)
	{
		lines[count].name = "Total";
		lines[count].is_total = true;
		lines[count].figures = ranking_figures(page, &page->now.rows[0], columns, ncolumns);
		count++;
	}
	html_ranking(out, title, note, names, ncolumns, lines, count, is_wide);
}

static void
panel_models(UsagePage *page, StringInfo out)
{
	UsageRows	rows = page_read_usage(page, &(Question) {
		page->begin, page->end, false, BY_MODEL_AND_PROVIDER, RANKED, .has_times = true
	});

	draw_ranking(page, out, "Models", NULL, "model", &rows, ranking_columns, WIDE_COLUMNS, true,
				 true);
}

/* For who sees the figures of all; to others there is nothing to rank */
static void
panel_users(UsagePage *page, StringInfo out)
{
	UsageRows	rows;

	if (!page->sees_all)
		return;
	rows = page_read_usage(page, &(Question) {page->begin, page->end, false, BY_USER, RANKED});
	draw_ranking(page, out, "Users", NULL, "user", &rows, ranking_columns, HALF_COLUMNS, false,
				 true);
}

static void
panel_work(UsagePage *page, StringInfo out)
{
	UsageRows	rows = page_read_usage(page, &(Question) {
		page->begin, page->end, false, BY_WORK, RANKED, .has_times = !page->sees_all
	});

	draw_ranking(page, out, "Work", "By service and task name, and the source of the run", "name",
				 &rows, ranking_columns, page->sees_all ? HALF_COLUMNS : WIDE_COLUMNS,
				 !page->sees_all, true);
}

/* Models of which some calls have no price, or one that may be wrong */
static void
panel_unpriced(UsagePage *page, StringInfo out)
{
	Figure		unpriced = total_of(&page->now, UNPRICED);
	Figure		doubtful = total_of(&page->now, DOUBTFUL);
	UsageRows	rows;
	int			kept = 0;

	if (unpriced.number == 0 && doubtful.number == 0)
		return;
	rows = page_read_usage(page, &(Question) {
		page->begin, page->end, false, BY_MODEL_AND_PROVIDER, RANKED,
		.unpriced_first = true
	});
	for (int i = 0; i < rows.count; i++)
		if (rows.rows[i].figures[UNPRICED].number != 0 ||
			rows.rows[i].figures[DOUBTFUL].number != 0)
			rows.rows[kept++] = rows.rows[i];
	rows.count = kept;
	draw_ranking(page, out, "Calls whose cost is not known",
				 "airun_reprice() charges them when the price book knows their models", "model",
				 &rows, unpriced_columns, lengthof(unpriced_columns), true, false);
}

/* What a budget counts, and for whom */
static char *
budget_note(const BudgetRow *row)
{
	StringInfoData note;

	initStringInfo(&note);
	if (row->is_exhausted)
		appendStringInfoString(&note, "exhausted; ");
	appendStringInfoString(&note, row->measure);
	if (strcmp(row->period, "none") != 0)
		appendStringInfo(&note, " per %s", row->period);
	if (strcmp(row->mode, "soft") == 0)
		appendStringInfoString(&note, ", only warned of");
	if (row->value != NULL)
		appendStringInfo(&note, "; %s %s", row->scope, row->value);
	else if (strcmp(row->scope, "all") != 0)
		appendStringInfo(&note, "; each %s", row->scope);
	return note.data;
}

static const Column budget_columns[] = {
	{"Limit"}, {"Spent"}, {"Held"}, {"Used", .has_bar = true, .is_share = true}, {"Resets"}
};

static Figure *
budget_figures(const BudgetRow *row)
{
	Unit		unit = strcmp(row->measure, "cost") == 0 ? UNIT_MONEY : UNIT_COUNT;
	Figure	   *figures = palloc_array(Figure, lengthof(budget_columns));

	figures[0] = figure_exact(row->amount);
	figures[1] = figure_exact(row->spent);
	figures[2] = figure_exact(row->held);
	figures[3] = figure_exact(row->share);
	figures[4] = figure_word(row->resets_at);
	for (int i = 0; i < 3; i++)
		figures[i].shown = figure_brief(&figures[i], unit);
	show_all(&figures[3], 1, UNIT_SHARE, 0);
	return figures;
}

/* So many that have no row of their own */
static Row
budget_rest(int count, const char *of)
{
	return (Row) {
		.name = psprintf("%d other%s", count, count == 1 ? "" : "s"),
		.note = of,
		.is_rest = true,
		.figures = palloc0_array(Figure, lengthof(budget_columns))
	};
}

/* How budgets stand now: to a user her own, if there is one */
static void
panel_budgets(UsagePage *page, StringInfo out)
{
	BudgetRow  *budgets;
	int			count = budget_read_fullest(page->function, page->sees_all, page->zone, BUDGETS,
											COUNTERS, &budgets);
	Row		   *rows = palloc0_array(Row, 2 * count + 1);
	int			nrows = 0;

	if (count == 0)
		return;
	for (int i = 0; i < count; i++)
	{
		const BudgetRow *this = &budgets[i];

		rows[nrows].name = this->name;
		rows[nrows].note = budget_note(this);
		rows[nrows++].figures = budget_figures(this);
		if (this->place == COUNTERS && this->counters > COUNTERS)
			rows[nrows++] = budget_rest(this->counters - COUNTERS,
										psprintf("of %s", this->name));
	}
	if (budgets[0].budgets > BUDGETS)
		rows[nrows++] = budget_rest(budgets[0].budgets - BUDGETS, "budgets that are less full");
	html_ranking(out, "Budgets", "In their current periods, the fullest first",
				 budget_columns, lengthof(budget_columns), rows, nrows, true);
}

static void
panel_footnote(UsagePage *page, StringInfo out)
{
	ListCell   *cell;
	const char *separator = "";

	appendStringInfoString(out, "<footer>\n<p>");
	html_text(out, page->sees_all ? "The figures of all users." : "Your own figures.");
	appendStringInfo(out, " %s to %s, both days included, in the time zone ", page->first_day,
					 page->last_day);
	html_text(out, page->zone);
	appendStringInfo(out, "; compared with %s to %s.</p>\n", page->before_first,
					 page->before_last);
	appendStringInfoString(out,
						   "<p>Costs are US dollars, added up without rounding and rounded to "
						   "be shown. A call counts when it began. "
						   "Percentiles are within 1&#160;% of the exact ones; of a few calls "
						   "they tell little.</p>\n<p>Made by airun from its usage");
	foreach(cell, page->sources)
	{
		appendStringInfo(out, "%s%s", cell == list_head(page->sources) ? ": " : separator,
						 strVal(lfirst(cell)));
		separator = ", ";
	}
	appendStringInfoString(out, ".</p>\n</footer>\n");
}

/* The page; a panel that has nothing to show leaves its place to the next one */
static void (*const panels[]) (UsagePage *page, StringInfo out) =
{
	panel_tiles, panel_cost, panel_tokens, panel_calls, panel_total_time, panel_first_token,
	panel_models, panel_users, panel_work, panel_unpriced, panel_budgets,
	panel_footnote
};

/* --- the function --------------------------------------------------------- */

/* The policy for the page's only style */
static char *
content_policy(void)
{
	Datum		hash = DirectFunctionCall1(sha256_bytea,
										   PointerGetDatum(cstring_to_text(html_style())));

	return psprintf(POLICY_FORMAT,
					TextDatumGetCString(DirectFunctionCall2(binary_encode, hash,
															CStringGetTextDatum("base64"))));
}

/* Add the response's headers to those that a site may have set, under PostgREST */
static void
set_headers(const char *policy)
{
	static Statement set = {
		"SELECT pg_catalog.set_config('response.headers', "
		"($2::pg_catalog.jsonb OPERATOR(pg_catalog.||) pg_catalog.jsonb_build_array("
		"pg_catalog.jsonb_build_object('Content-Security-Policy', $1), "
		"pg_catalog.jsonb_build_object('X-Content-Type-Options', 'nosniff'), "
		"pg_catalog.jsonb_build_object('Referrer-Policy', 'no-referrer'), "
		"pg_catalog.jsonb_build_object('Cache-Control', 'no-store')))::pg_catalog.text, true)",
		2, {TEXTOID, TEXTOID}
	};
	const char *method = GetConfigOption("request.method", true, false);
	const char *headers = GetConfigOption("response.headers", true, false);
	Args		args = {0};

	if (method == NULL || method[0] == '\0')
		return;
	arg_pointer(&args, cstring_to_text(psprintf("%s; frame-ancestors 'self'", policy)));
	if (headers == NULL || headers[0] == '\0')
		headers = "[]";
	arg_pointer(&args, cstring_to_text(headers));
	(void) statement_read(&set, &args, 1);
}

/* Read what several panels share */
static void
read_common(UsagePage *page, const Field *from_day, const Field *to_day)
{
	page_read_range(page, from_day, to_day);
	page_read_places(page);
	page->now = page_read_usage(page, &(Question) {
		page->begin, page->end, false, BY_NOTHING, 1, .has_times = true
	});
	page->then = page_read_usage(page, &(Question) {
		page->before, page->begin, false, BY_NOTHING, 1
	});
	page->course = page_read_usage(page, &(Question) {
		page->begin, page->end, true, BY_NOTHING, 1, .has_times = true
	});
}

static void
put_header(const UsagePage *page, StringInfo out)
{
	appendStringInfoString(out, "<header>\n<h1>");
	html_text(out, page->title);
	appendStringInfo(out, "</h1>\n<p>%s to %s, ", page->first_day, page->last_day);
	html_text(out, page->zone);
	appendStringInfo(out, ", by %s</p>\n</header>\n", page->bucket);
}

/* airun_usage_page(from_day, to_day, zone, group_by, title) returns "text/html" */
Datum
airun_usage_page(PG_FUNCTION_ARGS)
{
	Field		from_day = argument_field(fcinfo, 0);
	Field		to_day = argument_field(fcinfo, 1);
	Field		zone = argument_field(fcinfo, 2);
	Field		group_by = argument_field(fcinfo, 3);
	Field		title = argument_field(fcinfo, 4);
	UsagePage	page = {.function = fcinfo->flinfo->fn_oid};
	StringInfoData out;
	char	   *policy;

	check_argument_count(fcinfo, 5);
	check_length("title", &title, MAX_TITLE);
	page.title = title.isnull ? "Usage" : TextDatumGetCString(title.value);
	page.stack = group_by.isnull ? BY_FIRST_DIMENSION :
		page_dimension(TextDatumGetCString(group_by.value));
	page.stack_word = page_dimension_word(page.stack);
	page.zone = report_zone(&zone);
	policy = content_policy();
	initStringInfo(&out);

	store_open(false);
	page.sees_all = pg_class_aclcheck(store_table_oid("usage_daily"), GetUserId(),
									  ACL_SELECT) == ACLCHECK_OK;
	if (!page.sees_all)
		store_require_caller();	/* nobody has no figures */
	read_common(&page, &from_day, &to_day);
	html_begin(&out, page.title, policy);
	put_header(&page, &out);
	for (int i = 0; i < (int) lengthof(panels); i++)
		panels[i] (&page, &out);
	html_end(&out);
	set_headers(policy);
	store_close();
	PG_RETURN_TEXT_P(cstring_to_text_with_len(out.data, out.len));
}
