/*
 * html.c
 *		A page of charts, tables and tiles.
 *
 * It guarantees: what it writes is HTML and well-formed XML at once, in plain
 * ASCII but for the texts that it is given, so that it is right in every encoding;
 * it refers to nothing outside of itself, has no script, no link, no id, and no
 * style but that of html_style(), so that a policy can name its hash.  Every text
 * that it is given is text: the five characters are escaped, controls and marks
 * that turn the direction of writing are replaced, long ones are cut.
 *
 * Colours have a contrast of at least 4.5 (text) and 3 (shapes) to what is behind
 * them, in the light and in the dark; series are told apart by their order and, as
 * lines, by their dashes too.
 *
 * Nothing is locked, nothing refused.
 */
#include "airun.h"

#include "mb/pg_wchar.h"
#include "usage/chart.h"

#define MAX_TEXT	80			/* characters of a name */

#define NOTHING		"<p class=\"none\">Nothing in this time.</p>\n"

static const char style[] =
":root{color-scheme:light dark;--page:#f4f5f7;--card:#ffffff;--ink:#171a21;--soft:#586070;"
"--line:#e4e7ec;--zero:#8b93a1;--rail:#eceef2;--s1:#2f6fde;--s2:#d4610b;--s3:#0f8f7d;"
"--s4:#c2388e;--s5:#9a7400;--s6:#7a55d3;--s7:#cc3d3d;--rest:#78808d}\n"
"@media(prefers-color-scheme:dark){:root{--page:#0e1014;--card:#171a20;--ink:#eceef2;"
"--soft:#a3abb9;--line:#2a2f38;--zero:#6f7785;--rail:#262b34;--s1:#6ea3ff;--s2:#f2944d;"
"--s3:#3fc1ad;--s4:#ee82be;--s5:#d6b23c;--s6:#ab90f7;--s7:#f57c7c;--rest:#8f97a5}}\n"
"@media(prefers-contrast:more){:root{--soft:var(--ink);--line:var(--zero)}}\n"
"*{box-sizing:border-box}\n"
"body{margin:0;background:var(--page);color:var(--ink);"
"font:15px/1.45 system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}\n"
"main{max-width:1140px;margin:0 auto;padding:28px 20px 40px;display:grid;gap:16px;"
"grid-template-columns:repeat(2,minmax(0,1fr))}\n"
"header,.card.wide,.tiles,.sheet,footer{grid-column:1/-1}\n"
"h1{font-size:24px;line-height:1.2;margin:0 0 4px;letter-spacing:-.01em}\n"
"h2{font-size:16px;line-height:1.3;margin:0}\n"
"header p,.note,footer{color:var(--soft);margin:0}\n"
".note,footer{font-size:13px}\n"
"footer p{margin:0 0 4px}\n"
".card,.tile,.sheet{background:var(--card);border:1px solid var(--line);border-radius:12px}\n"
".card{padding:18px 20px 14px;min-width:0}\n"
".sheet{padding:0 20px}\n"
".tiles{display:grid;gap:16px;grid-template-columns:repeat(4,minmax(0,1fr));margin:0}\n"
".tile{padding:16px 20px 12px;min-width:0;display:flex;flex-direction:column}\n"
".tile dt{color:var(--soft);font-size:13px}\n"
".tile dd{margin:0}\n"
".tile .now{font-size:28px;font-weight:650;line-height:1.25;letter-spacing:-.02em;"
"overflow-wrap:anywhere}\n"
".tile .then{color:var(--soft);font-size:13px}\n"
".tile .then b{color:var(--ink);font-weight:600}\n"
".tile .way{margin-top:auto;padding-top:10px}\n"
".course{display:block;width:100%;height:34px}\n"
".keys{list-style:none;display:flex;flex-wrap:wrap;gap:4px 18px;margin:10px 0 8px;padding:0;"
"font-size:13px}\n"
".keys li{display:flex;align-items:center;gap:6px;min-width:0;max-width:100%;"
"overflow-wrap:anywhere}\n"
".keys span{color:var(--soft);white-space:nowrap;font-variant-numeric:tabular-nums}\n"
".mark{width:22px;height:12px;flex:none}\n"
".scroll{overflow-x:auto}\n"
".chart{display:block;width:100%;height:auto}\n"
".chart.wide{min-width:680px}.chart.half{min-width:420px}\n"
".chart text{font-size:11px;fill:var(--soft);font-variant-numeric:tabular-nums}\n"
".chart .y{text-anchor:end}.chart .x{text-anchor:middle}\n"
".grid{stroke:var(--line)}.zero{stroke:var(--zero)}\n"
".rail{fill:var(--rail)}\n"
".s1{fill:var(--s1);stroke:var(--s1)}.s2{fill:var(--s2);stroke:var(--s2)}"
".s3{fill:var(--s3);stroke:var(--s3)}.s4{fill:var(--s4);stroke:var(--s4)}"
".s5{fill:var(--s5);stroke:var(--s5)}.s6{fill:var(--s6);stroke:var(--s6)}"
".s7{fill:var(--s7);stroke:var(--s7)}.rest{fill:var(--rest);stroke:var(--rest)}\n"
"rect{stroke-width:0}.bars path:hover,circle:hover{opacity:.7}\n"
"path.line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round;"
"vector-effect:non-scaling-stroke}\n"
".d2{stroke-dasharray:7 5}.d3{stroke-dasharray:1 5}\n"
"circle{stroke-width:0}.area{fill:var(--s1);opacity:.12;stroke:none}\n"
"details{margin-top:6px;font-size:13px}.sheet details{margin:0}\n"
"summary{color:var(--soft);cursor:pointer;padding:6px 0}.sheet summary{padding:10px 0}\n"
"summary:hover{color:var(--ink)}\n"
"table{border-collapse:collapse;width:100%;font-size:13px;margin:8px 0;"
"font-variant-numeric:tabular-nums}\n"
"caption{text-align:left;color:var(--soft);padding:0 0 6px}\n"
"th,td{padding:6px 0 6px 14px;text-align:right;border-bottom:1px solid var(--line);"
"vertical-align:top}\n"
"td{white-space:nowrap}\n"
"th:first-child{text-align:left;padding-left:0}\n"
"thead th{color:var(--soft);font-weight:500;vertical-align:bottom}\n"
"tbody th{font-weight:500;overflow-wrap:anywhere;min-width:9em}\n"
"tfoot th,tfoot td{font-weight:650;border-bottom:0}\n"
"small{display:block;color:var(--soft);font-size:12px;font-weight:400}\n"
".share{display:block;width:100%;min-width:64px;height:4px;margin-top:4px}\n"
".none{color:var(--soft);padding:28px 0;text-align:center;margin:0}\n"
"@media(max-width:820px){main{grid-template-columns:minmax(0,1fr);padding:20px 12px}"
".tiles{grid-template-columns:repeat(2,minmax(0,1fr));gap:12px}.tile{padding:14px}"
".tile .now{font-size:23px}.card{padding:16px 14px 12px}}\n"
"@media print{body{background:none}.card,.tile{break-inside:avoid}}\n"
"@media(forced-colors:active){.chart,.course,.share,.mark{forced-color-adjust:none}}\n";

/* The style of a page, as it stands in its element */
const char *
html_style(void)
{
	return style;
}

/* Is it a mark that turns the direction of writing, or a control? */
static bool
is_disruptive(const char *c, int len)
{
	pg_wchar	code;

	if (len == 1)
		return ((unsigned char) *c < 0x20 && *c != '\t' && *c != '\n' && *c != '\r') || *c == 0x7f;
	if (GetDatabaseEncoding() != PG_UTF8)
		return false;
	code = utf8_to_unicode((const unsigned char *) c);
	return (code >= 0x80 && code < 0xa0) || code == 0x061c ||
		(code >= 0x200e && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
		(code >= 0x2066 && code <= 0x2069) || (code >= 0xfff9 && code <= 0xfffb) ||
		code == 0xfeff || (code & 0xfffe) == 0xfffe;
}

static void
put_character(StringInfo page, const char *c, int len)
{
	if (is_disruptive(c, len))
		appendStringInfoString(page, "&#65533;");
	else if (*c == '&')
		appendStringInfoString(page, "&amp;");
	else if (*c == '<')
		appendStringInfoString(page, "&lt;");
	else if (*c == '>')
		appendStringInfoString(page, "&gt;");
	else if (*c == '"')
		appendStringInfoString(page, "&quot;");
	else if (*c == '\'')
		appendStringInfoString(page, "&#39;");
	else if (len == 1 && (unsigned char) *c < 0x20)
		appendStringInfoChar(page, ' ');
	else
		appendBinaryStringInfo(page, c, len);
}

/* A text, in an element or an attribute */
void
html_text(StringInfo page, const char *text)
{
	for (int count = 0; *text != '\0'; count++)
	{
		int			len = pg_mblen(text);

		if (count == MAX_TEXT)
		{
			appendStringInfoString(page, "&#8230;");
			return;
		}
		put_character(page, text, len);
		text += len;
	}
}

/* An element with a text; attributes may be "" */
static void
put_element(StringInfo page, const char *element, const char *attributes, const char *text)
{
	appendStringInfo(page, "<%s%s>", element, attributes);
	html_text(page, text);
	appendStringInfo(page, "</%s>", element);
}

void
html_begin(StringInfo page, const char *title, const char *policy)
{
	appendStringInfoString(page,
						   "<!DOCTYPE html>\n"
						   "<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\">\n<head>\n"
						   "<meta charset=\"utf-8\"/>\n"
						   "<meta http-equiv=\"Content-Security-Policy\" content=\"");
	appendStringInfoString(page, policy);
	appendStringInfoString(page,
						   "\"/>\n<meta name=\"viewport\" "
						   "content=\"width=device-width, initial-scale=1\"/>\n"
						   "<meta name=\"referrer\" content=\"no-referrer\"/>\n");
	put_element(page, "title", "", title);
	appendStringInfo(page, "\n<style>%s</style>\n</head>\n<body>\n<main>\n", style);
}

void
html_end(StringInfo page)
{
	appendStringInfoString(page, "</main>\n</body>\n</html>\n");
}

/* Does what is shown have all digits, commas between them at most? */
static bool
is_shown_whole(const Figure *figure)
{
	const char *exact = figure->exact;

	for (const char *c = figure->shown; *c != '\0'; c++)
	{
		if (*c == ',')
			continue;
		if (*c != *exact++)
			return false;
	}
	return *exact == '\0';
}

/* A figure: rounded for people, and where it is, whole for machines beside */
static void
html_figure(StringInfo page, const Figure *figure)
{
	if (!figure->known)
	{
		appendStringInfoString(page, "&#8211;");
		return;
	}
	if (is_shown_whole(figure))
	{
		html_text(page, figure->shown);
		return;
	}
	appendStringInfo(page, "<data value=\"%s\">", figure->exact);
	html_text(page, figure->shown);
	appendStringInfoString(page, "</data>");
}

static void
put_cell(StringInfo page, const Figure *figure)
{
	appendStringInfoString(page, "<td>");
	html_figure(page, figure);
	appendStringInfoString(page, "</td>");
}

/* How a figure has changed since the period before */
static void
put_change(StringInfo page, const Tile *tile)
{
	double		change;

	if (!tile->before.known || !tile->now.known || (!tile->is_share && tile->before.number <= 0))
	{
		appendStringInfoString(page, "nothing before to compare");
		return;
	}
	change = tile->now.number - tile->before.number;
	if (!tile->is_share)
		change /= tile->before.number;
	change *= 100;
	if (change > -0.05 && change < 0.05)
		appendStringInfoString(page, "<b>no change</b> from ");
	else
	{
		appendStringInfo(page, "<b>%s %s", change < 0 ? "&#9660;" : "&#9650;",
						 change < 0 ? "&#8722;" : "+");
		change = change < 0 ? -change : change;
		appendStringInfo(page, "%.*f%s</b> from ", change >= 1000 ? 0 : 1, change,
						 tile->is_share ? " points" : "%");
	}
	html_text(page, tile->before.shown);
}

void
html_tiles(StringInfo page, const Tile *tiles, int count)
{
	appendStringInfoString(page, "<dl class=\"tiles\">\n");
	for (int i = 0; i < count; i++)
	{
		appendStringInfoString(page, "<div class=\"tile\">");
		put_element(page, "dt", "", tiles[i].name);
		appendStringInfoString(page, "<dd class=\"now\">");
		html_figure(page, &tiles[i].now);
		appendStringInfoString(page, "</dd><dd class=\"then\">");
		put_change(page, &tiles[i]);
		appendStringInfoString(page, "</dd><dd class=\"way\">");
		svg_course(page, tiles[i].course, tiles[i].nplaces);
		appendStringInfoString(page, "</dd></div>\n");
	}
	appendStringInfoString(page, "</dl>\n");
}

/* The head and the foot of a chart's table: names, or totals */
static void
put_table_names(StringInfo page, const Chart *chart)
{
	appendStringInfoString(page, "<thead><tr>");
	put_element(page, "th", " scope=\"col\"", chart->axis);
	for (int j = 0; j < chart->nbeside; j++)
		put_element(page, "th", " scope=\"col\"", chart->beside[j].name);
	for (int j = 0; j < chart->nseries; j++)
		put_element(page, "th", " scope=\"col\"", chart->series[j].name);
	if (chart->sum != NULL)
		put_element(page, "th", " scope=\"col\"", chart->sum->name);
	appendStringInfoString(page, "</tr></thead>\n");
}

static void
put_table_totals(StringInfo page, const Chart *chart)
{
	appendStringInfoString(page, "<tfoot><tr><th scope=\"row\">Total</th>");
	for (int j = 0; j < chart->nbeside; j++)
		put_cell(page, &chart->beside[j].total);
	for (int j = 0; j < chart->nseries; j++)
		put_cell(page, &chart->series[j].total);
	if (chart->sum != NULL)
		put_cell(page, &chart->sum->total);
	appendStringInfoString(page, "</tr></tfoot>\n");
}

/* All figures of a chart, to be unfolded */
void
html_figures(StringInfo page, const char *summary, const Chart *chart)
{
	appendStringInfoString(page, "<details>");
	put_element(page, "summary", "", summary);
	appendStringInfoString(page, "<div class=\"scroll\"><table>");
	put_element(page, "caption", "", chart->title);
	put_table_names(page, chart);
	appendStringInfoString(page, "<tbody>\n");
	for (int i = 0; i < chart->nplaces; i++)
	{
		appendStringInfoString(page, "<tr>");
		put_element(page, "th", " scope=\"row\"", chart->places[i].label);
		for (int j = 0; j < chart->nbeside; j++)
			put_cell(page, &chart->beside[j].figures[i]);
		for (int j = 0; j < chart->nseries; j++)
			put_cell(page, &chart->series[j].figures[i]);
		if (chart->sum != NULL)
			put_cell(page, &chart->sum->figures[i]);
		appendStringInfoString(page, "</tr>\n");
	}
	appendStringInfoString(page, "</tbody>\n");
	put_table_totals(page, chart);
	appendStringInfoString(page, "</table></div></details>\n");
}

static void
begin_card(StringInfo page, const char *title, const char *note, bool is_wide)
{
	appendStringInfo(page, "<section class=\"card %s\">\n", is_wide ? "wide" : "half");
	put_element(page, "h2", "", title);
	if (note != NULL)
		put_element(page, "p", " class=\"note\"", note);
	appendStringInfoString(page, "\n");
}

/* The names of the series, in the order in which they are drawn */
static void
put_keys(StringInfo page, const Chart *chart, bool is_line)
{
	appendStringInfoString(page, "<ul class=\"keys\">");
	for (int j = 0; j < chart->nseries; j++)
	{
		const Series *series = &chart->series[j];

		appendStringInfoString(page, "<li>");
		svg_key(page, series, is_line);
		put_element(page, "bdi", "", series->name);
		if (series->total.known && !is_line)
			put_element(page, "span", "", series->total.shown);
		appendStringInfoString(page, "</li>");
	}
	appendStringInfoString(page, "</ul>\n");
}

/* Is there anything to be drawn? */
static bool
has_figures(const Chart *chart)
{
	for (int j = 0; j < chart->nseries; j++)
		for (int i = 0; i < chart->nplaces; i++)
			if (chart->series[j].figures[i].known && chart->series[j].figures[i].number != 0)
				return true;
	return false;
}

/* A chart with its names and its figures */
void
html_chart(StringInfo page, const Chart *chart, bool is_line)
{
	begin_card(page, chart->title, chart->note, chart->is_wide);
	if (has_figures(chart))
	{
		put_keys(page, chart, is_line);
		appendStringInfoString(page, "<div class=\"scroll\">");
		if (is_line)
			svg_lines(page, chart);
		else
			svg_bars(page, chart);
		appendStringInfoString(page, "</div>\n");
	}
	else
		appendStringInfoString(page, NOTHING);
	html_figures(page, "Figures", chart);
	appendStringInfoString(page, "</section>\n");
}

/* The largest figure of a column, that its bars are measured by */
static double
column_largest(const Row *rows, int nrows, int column)
{
	double		largest = 0;

	for (int i = 0; i < nrows; i++)
		if (!rows[i].is_total && !rows[i].is_rest && rows[i].figures[column].known)
			largest = Max(largest, rows[i].figures[column].number);
	return largest;
}

static void
put_ranking_row(StringInfo page, const Column *columns, int ncolumns, const Row *row,
				const double *largest)
{
	appendStringInfoString(page, "<tr><th scope=\"row\">");
	put_element(page, "bdi", "", row->name);
	if (row->note != NULL)
		put_element(page, "small", "", row->note);
	appendStringInfoString(page, "</th>");
	for (int j = 0; j < ncolumns; j++)
	{
		appendStringInfoString(page, "<td>");
		html_figure(page, &row->figures[j]);
		if (columns[j].has_bar && !row->is_total && !row->is_rest)
			svg_share(page, largest[j] > 0 && row->figures[j].known ?
					  row->figures[j].number / largest[j] : 0);
		appendStringInfoString(page, "</td>");
	}
	appendStringInfoString(page, "</tr>\n");
}

/* A table whose rows have names; the totals come last */
void
html_ranking(StringInfo page, const char *title, const char *note, const Column *columns,
			 int ncolumns, const Row *rows, int nrows, bool is_wide)
{
	double	   *largest = palloc0(sizeof(double) * ncolumns);
	bool		is_foot = false;

	begin_card(page, title, note, is_wide);
	if (nrows == 0)
	{
		appendStringInfoString(page, NOTHING "</section>\n");
		return;
	}
	appendStringInfoString(page, "<div class=\"scroll\"><table><thead><tr><th scope=\"col\">"
						   "Name</th>");
	for (int j = 0; j < ncolumns; j++)
	{
		put_element(page, "th", " scope=\"col\"", columns[j].name);
		largest[j] = columns[j].is_share ? 1 : column_largest(rows, nrows, j);
	}
	appendStringInfoString(page, "</tr></thead>\n<tbody>\n");
	for (int i = 0; i < nrows; i++)
	{
		if (rows[i].is_total && !is_foot)
			appendStringInfoString(page, "</tbody>\n<tfoot>\n");
		is_foot = is_foot || rows[i].is_total;
		put_ranking_row(page, columns, ncolumns, &rows[i], largest);
	}
	appendStringInfo(page, "</%s></table></div>\n</section>\n", is_foot ? "tfoot" : "tbody");
}
