/*
 * svg.c
 *		Charts as SVG: stacked bars, lines, small courses and shares.
 *
 * It guarantees: well-formed XML that refers to nothing outside of itself, without
 * script, style attributes and ids, so that any number of charts can stand in one
 * document; the same figures give the same bytes, in every locale.  Colours are the
 * page's, by the classes s1 to s7 and rest.
 *
 * A chart is an image to who cannot see it, named by its title; its figures are in
 * the table that html.c writes below it.  What is too small to be seen is not drawn.
 *
 * Nothing is locked, nothing refused.
 */
#include "airun.h"

#include <math.h>

#include "usage/chart.h"

#define WIDE_WIDTH		1040
#define WIDE_HEIGHT		260
#define HALF_WIDTH		510
#define HALF_HEIGHT		220
#define LEFT			54		/* for the labels of the axis */
#define RIGHT			8
#define TOP				10
#define BOTTOM			24
#define MAX_BAR			44
#define LETTER			6.4		/* the width of one below the axis, about */
#define TICKS			4		/* so many or a few more */
#define MAX_DOTS		93		/* points of a line that are marked */
#define GAP				1.0		/* between segments of a bar */
#define COURSE_WIDTH	160
#define COURSE_HEIGHT	32

/* A chart's frame: how places and numbers become positions */
typedef struct Frame
{
	int			width;
	int			height;
	double		low;
	double		high;
	double		step;			/* from tick to tick */
	double		place;			/* width of a place */
} Frame;

/* The classes of a series */
static const char *
series_class(const Series *series)
{
	static const char *const classes[] = {"s1", "s2", "s3", "s4", "s5", "s6", "s7"};

	return series->is_rest || series->colour >= (int) lengthof(classes) ? "rest" :
		classes[series->colour];
}

/* A step that people like, of which at least TICKS fit into a span */
static double
tick_step(double span)
{
	double		power;
	double		rest;

	power = pow(10, floor(log10(span / TICKS)));
	rest = span / TICKS / power;
	return power * (rest >= 5 ? 5 : rest >= 2 ? 2 : 1);
}

/* The frame for numbers from low to high; zero is always in it */
static Frame
make_frame(const Chart *chart, double low, double high)
{
	Frame		frame = {0};

	frame.width = chart->is_wide ? WIDE_WIDTH : HALF_WIDTH;
	frame.height = chart->is_wide ? WIDE_HEIGHT : HALF_HEIGHT;
	low = Min(low, 0);
	high = Max(high, 0);
	if (high - low < 1e-300)
		high = low + 1;
	frame.step = tick_step(high - low);
	if (chart->unit == UNIT_COUNT && frame.step < 1)
		frame.step = 1;
	frame.low = floor(low / frame.step) * frame.step;
	frame.high = ceil(high / frame.step) * frame.step;
	frame.place = (double) (frame.width - LEFT - RIGHT) / Max(chart->nplaces, 1);
	return frame;
}

static double
frame_y(const Frame *frame, double number)
{
	return TOP + (frame->height - TOP - BOTTOM) *
		(frame->high - number) / (frame->high - frame->low);
}

/* The middle of a place */
static double
frame_x(const Frame *frame, int place)
{
	return LEFT + frame->place * (place + 0.5);
}

/* A number of the axis, as short as it can be told from the next one */
static void
put_tick_number(StringInfo page, double number, double step)
{
	static const struct
	{
		double		size;
		const char *letter;
	}			sizes[] = {{1e12, "T"}, {1e9, "B"}, {1e6, "M"}, {1e3, "k"}};
	int			decimals;

	if (step < 1e-6 && number != 0)
	{
		appendStringInfo(page, "%.0e", number);
		return;
	}
	for (int i = 0; i < (int) lengthof(sizes); i++)
	{
		if (fabs(number) >= sizes[i].size && number != 0)
		{
			decimals = Max(0, (int) -floor(log10(step / sizes[i].size) + 1e-9));
			appendStringInfo(page, "%.*f%s", decimals, number / sizes[i].size, sizes[i].letter);
			return;
		}
	}
	decimals = number == 0 ? 0 : Max(0, (int) -floor(log10(step) + 1e-9));
	appendStringInfo(page, "%.*f", decimals, number);
}

static void
put_tick(StringInfo page, Unit unit, double number, const Frame *frame)
{
	bool		is_long = unit == UNIT_TIME && frame->high >= 1000;
	double		step = frame->step;

	if (number < 0)
		appendStringInfoChar(page, '-');
	number = fabs(number);
	if (unit == UNIT_MONEY)
		appendStringInfoChar(page, '$');
	/* cents come in two digits */
	if (unit == UNIT_MONEY && step >= 0.1 && step < 1 && number < 1000)
		appendStringInfo(page, "%.2f", number);
	else if (unit == UNIT_SHARE)
		put_tick_number(page, number * 100, step * 100);
	else if (is_long)
		put_tick_number(page, number / 1000, step / 1000);
	else
		put_tick_number(page, number, step);
	if (unit == UNIT_TIME)
		appendStringInfoString(page, is_long ? " s" : " ms");
	else if (unit == UNIT_SHARE)
		appendStringInfoString(page, "%");
}

static void
begin_chart(StringInfo page, const Chart *chart, const Frame *frame)
{
	appendStringInfo(page, "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"chart %s\" "
					 "viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"",
					 chart->is_wide ? "wide" : "half", frame->width, frame->height);
	html_text(page, chart->title);
	appendStringInfoString(page, ". The figures are in the table below.\">\n");
}

/* Lines across for the ticks, with their numbers */
static void
put_ticks(StringInfo page, const Chart *chart, const Frame *frame)
{
	int			count = (int) rint((frame->high - frame->low) / frame->step);

	for (int i = 0; i <= count; i++)
	{
		double		number = frame->low + i * frame->step;
		double		y;

		if (fabs(number) < frame->step / 2)
			number = 0;
		y = frame_y(frame, number);
		appendStringInfo(page, "<path class=\"%s\" d=\"M%d %.1fH%d\"/>",
						 number == 0 ? "zero" : "grid", LEFT, y, frame->width - RIGHT);
		appendStringInfo(page, "<text x=\"%d\" y=\"%.1f\" class=\"y\">", LEFT - 7, y + 3.5);
		put_tick(page, chart->unit, number, frame);
		appendStringInfoString(page, "</text>\n");
	}
}

/* As many labels below the axis as have room */
static void
put_labels(StringInfo page, const Chart *chart, const Frame *frame)
{
	int			longest = 1;
	int			every;

	for (int i = 0; i < chart->nplaces; i++)
		longest = Max(longest, (int) strlen(chart->places[i].brief));
	every = (int) ceil((longest + 2) * LETTER / frame->place);
	every = Max(every, 1);
	for (int i = 0; i < chart->nplaces; i += every)
	{
		double		half = strlen(chart->places[i].brief) * LETTER / 2;
		double		x = Min(frame_x(frame, i), frame->width - half - 1);

		appendStringInfo(page, "<text x=\"%.1f\" y=\"%d\" class=\"x\">", Max(x, half + 1),
						 frame->height - 6);
		html_text(page, chart->places[i].brief);
		appendStringInfoString(page, "</text>");
	}
	appendStringInfoString(page, "\n");
}

/* What a pointer that rests on a mark is told */
static void
put_tip(StringInfo page, const Chart *chart, int place, const Series *series)
{
	appendStringInfoString(page, "<title>");
	html_text(page, chart->places[place].label);
	appendStringInfoString(page, ", ");
	html_text(page, series->name);
	appendStringInfoString(page, ": ");
	html_text(page, series->figures[place].shown);
	appendStringInfoString(page, "</title>");
}

/* The lowest and the highest end of all bars */
static void
bar_ends(const Chart *chart, double *low, double *high)
{
	*low = *high = 0;
	for (int i = 0; i < chart->nplaces; i++)
	{
		double		below = 0;
		double		above = 0;

		for (int j = 0; j < chart->nseries; j++)
		{
			const Figure *figure = &chart->series[j].figures[i];

			if (figure->known && figure->number < 0)
				below += figure->number;
			else if (figure->known)
				above += figure->number;
		}
		*low = Min(*low, below);
		*high = Max(*high, above);
	}
}

/*
 * One series: at each place a stroke as wide as a bar, upwards what is positive,
 * downwards what is negative; below and above are the ends of the series before.
 */
static void
put_segments(StringInfo page, const Chart *chart, const Frame *frame, const Series *series,
			 double *below, double *above)
{
	appendStringInfo(page, "<g class=\"bars %s\" stroke-width=\"%.1f\">", series_class(series),
					 Min(frame->place * 0.74, MAX_BAR));
	for (int i = 0; i < chart->nplaces; i++)
	{
		const Figure *figure = &series->figures[i];
		double	   *end = figure->number < 0 ? &below[i] : &above[i];
		double		y;
		double		height;

		if (!figure->known || figure->number == 0)
			continue;
		y = frame_y(frame, Max(*end, *end + figure->number));
		height = fabs(frame_y(frame, *end + figure->number) - frame_y(frame, *end));
		*end += figure->number;
		if (height < 0.05)
			continue;
		if (height > 3 * GAP)
			height -= GAP;
		appendStringInfo(page, "<path d=\"M%.1f %.1fV%.1f\">", frame_x(frame, i), y,
						 y + Max(height, 0.1));
		put_tip(page, chart, i, series);
		appendStringInfoString(page, "</path>");
	}
	appendStringInfoString(page, "</g>\n");
}

/* Stacked bars, the first series at the axis */
void
svg_bars(StringInfo page, const Chart *chart)
{
	double		low;
	double		high;
	double	   *below = palloc0_array(double, chart->nplaces);
	double	   *above = palloc0_array(double, chart->nplaces);
	Frame		frame;

	bar_ends(chart, &low, &high);
	frame = make_frame(chart, low, high);
	begin_chart(page, chart, &frame);
	put_ticks(page, chart, &frame);
	for (int j = 0; j < chart->nseries; j++)
		put_segments(page, chart, &frame, &chart->series[j], below, above);
	put_labels(page, chart, &frame);
	appendStringInfoString(page, "</svg>\n");
}

/* One line, broken where a figure is not known */
static void
put_line(StringInfo page, const Chart *chart, const Frame *frame, int j)
{
	const Series *series = &chart->series[j];
	const char *class = series_class(series);
	bool		is_open = false;

	/* a path has to begin somewhere */
	appendStringInfo(page, "<path class=\"line %s d%d\" d=\"M%d %.1f", class,
					 series->colour + 1, LEFT, frame_y(frame, 0));
	for (int i = 0; i < chart->nplaces; i++)
	{
		if (series->figures[i].known)
			appendStringInfo(page, "%c%.1f %.1f", is_open ? 'L' : 'M', frame_x(frame, i),
							 frame_y(frame, series->figures[i].number));
		is_open = series->figures[i].known;
	}
	appendStringInfo(page, "\"/>\n<g class=\"%s\">", class);
	for (int i = 0; i < chart->nplaces && chart->nplaces <= MAX_DOTS; i++)
	{
		if (!series->figures[i].known)
			continue;
		appendStringInfo(page, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%s\">",
						 frame_x(frame, i), frame_y(frame, series->figures[i].number),
						 chart->nplaces <= MAX_DOTS / 3 ? "3" : "2");
		put_tip(page, chart, i, series);
		appendStringInfoString(page, "</circle>");
	}
	appendStringInfoString(page, "</g>\n");
}

/* Lines, told apart by their dashes as well */
void
svg_lines(StringInfo page, const Chart *chart)
{
	double		high = 0;
	Frame		frame;

	for (int j = 0; j < chart->nseries; j++)
		for (int i = 0; i < chart->nplaces; i++)
			if (chart->series[j].figures[i].known)
				high = Max(high, chart->series[j].figures[i].number);
	frame = make_frame(chart, 0, high);
	begin_chart(page, chart, &frame);
	put_ticks(page, chart, &frame);
	for (int j = 0; j < chart->nseries; j++)
		put_line(page, chart, &frame, j);
	put_labels(page, chart, &frame);
	appendStringInfoString(page, "</svg>\n");
}

/* A small line without axes, as decoration of a figure */
void
svg_course(StringInfo page, const Figure *figures, int count)
{
	double		low = 0;
	double		high = 0;
	double		step = count > 1 ? (double) COURSE_WIDTH / (count - 1) : 0;

	for (int i = 0; i < count; i++)
	{
		low = Min(low, figures[i].known ? figures[i].number : 0);
		high = Max(high, figures[i].known ? figures[i].number : 0);
	}
	if (count < 2 || high - low < 1e-300)
		return;
	appendStringInfo(page, "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"course\" "
					 "viewBox=\"0 -2 %d %d\" preserveAspectRatio=\"none\" aria-hidden=\"true\">",
					 COURSE_WIDTH, COURSE_HEIGHT + 4);
	for (int area = 1; area >= 0; area--)
	{
		appendStringInfo(page, "<path class=\"%s\" d=\"M", area ? "area" : "line s1");
		if (area)
			appendStringInfo(page, "0 %d", COURSE_HEIGHT);
		for (int i = 0; i < count; i++)
		{
			double		number = figures[i].known ? figures[i].number : 0;

			appendStringInfo(page, "%s%.1f %.1f", i > 0 || area ? "L" : "", i * step,
							 COURSE_HEIGHT * (high - number) / (high - low));
		}
		if (area)
			appendStringInfo(page, "L%d %dZ", COURSE_WIDTH, COURSE_HEIGHT);
		appendStringInfoString(page, "\"/>");
	}
	appendStringInfoString(page, "</svg>");
}

/* A bar of at most one in a table, beside the figure that it shows */
void
svg_share(StringInfo page, double share)
{
	appendStringInfo(page, "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"share\" "
					 "viewBox=\"0 0 100 8\" preserveAspectRatio=\"none\" aria-hidden=\"true\">"
					 "<rect class=\"rail\" width=\"100\" height=\"8\"/>"
					 "<rect class=\"s1\" width=\"%.1f\" height=\"8\"/></svg>",
					 Max(0, Min(share, 1)) * 100);
}

/* The mark of a series before its name */
void
svg_key(StringInfo page, const Series *series, bool is_line)
{
	const char *class = series_class(series);

	appendStringInfoString(page, "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"mark\" "
						   "viewBox=\"0 0 22 12\" aria-hidden=\"true\">");
	if (is_line)
		appendStringInfo(page, "<path class=\"line %s d%d\" d=\"M0 6H22\"/>", class,
						 series->colour + 1);
	else
		appendStringInfo(page, "<rect class=\"%s\" x=\"5\" width=\"12\" height=\"12\" rx=\"2\"/>",
						 class);
	appendStringInfoString(page, "</svg>");
}
