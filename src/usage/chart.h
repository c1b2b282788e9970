/*
 * chart.h
 *		Figures, and the charts, tables and tiles that are made of them.
 *
 * Nothing here knows what the figures are about.  What is drawn and what stands in
 * the table below it come from the same Figure, so that they cannot differ.
 */
#ifndef AIRUN_CHART_H
#define AIRUN_CHART_H

#include "airun.h"

#include "lib/stringinfo.h"

/* What a figure counts, which decides how it is written */
typedef enum Unit
{
	UNIT_COUNT,
	UNIT_MONEY,					/* US dollars */
	UNIT_TIME,					/* milliseconds */
	UNIT_SHARE					/* of one; written as a percentage */
} Unit;

/* One figure */
typedef struct Figure
{
	bool		known;
	double		number;			/* for the place in a drawing */
	const char *exact;			/* all its digits: what sums are made of */
	const char *shown;			/* rounded for people */
} Figure;

/* The colour of what went wrong */
#define COLOUR_BAD	6

/* Figures of one kind, one for each place on the axis */
typedef struct Series
{
	const char *name;
	int			colour;			/* from 0 */
	bool		is_rest;		/* of all that have no series of their own */
	Figure	   *figures;
	Figure		total;			/* unknown: there is none */
} Series;

/* A place on the axis */
typedef struct Place
{
	const char *label;			/* whole, for tables and tips */
	const char *brief;			/* for below the axis */
} Place;

typedef struct Chart
{
	const char *title;
	const char *note;			/* a sentence below the title, or NULL */
	const char *axis;			/* what a place is, such as "Day" */
	Unit		unit;
	bool		is_wide;		/* the whole width of the page */
	int			nplaces;
	const Place *places;
	int			nseries;
	const Series *series;
	const Series *sum;			/* of all series at each place, or NULL */
	int			nbeside;		/* columns that only the table has, after the place */
	const Series *beside;
} Chart;

/* A column of a ranking or of any other table */
typedef struct Column
{
	const char *name;
	bool		has_bar;		/* a bar beside the figure */
	bool		is_share;		/* which is as long as the figure says, not as the largest one */
} Column;

/* A row of one; in the order of the columns */
typedef struct Row
{
	const char *name;
	const char *note;			/* beside the name, or NULL */
	bool		is_total;
	bool		is_rest;		/* of all that have no row of their own */
	Figure	   *figures;
} Row;

/* A figure with its change, and how it went */
typedef struct Tile
{
	const char *name;
	Figure		now;
	Figure		before;
	bool		is_share;		/* its change is a difference */
	int			nplaces;
	const Figure *course;		/* one figure a place */
} Tile;

extern Figure figure_unknown(void);
extern Figure figure_exact(const char *exact);
extern Figure figure_word(const char *word);
extern Figure figure_sum(const Figure *a, const Figure *b);
extern Figure figure_difference(const Figure *a, const Figure *b);
extern int	money_decimals(double largest);
extern void figure_show(Figure *figure, Unit unit, int decimals);
extern char *figure_brief(const Figure *figure, Unit unit);

extern void svg_bars(StringInfo page, const Chart *chart);
extern void svg_lines(StringInfo page, const Chart *chart);
extern void svg_course(StringInfo page, const Figure *figures, int count);
extern void svg_share(StringInfo page, double share);
extern void svg_key(StringInfo page, const Series *series, bool is_line);

extern const char *html_style(void);
extern void html_text(StringInfo page, const char *text);
extern void html_begin(StringInfo page, const char *title, const char *policy);
extern void html_end(StringInfo page);
extern void html_tiles(StringInfo page, const Tile *tiles, int count);
extern void html_chart(StringInfo page, const Chart *chart, bool is_line);
extern void html_ranking(StringInfo page, const char *title, const char *note,
						 const Column *columns, int ncolumns, const Row *rows, int nrows,
						 bool is_wide);
extern void html_figures(StringInfo page, const char *summary, const Chart *chart);

#endif							/* AIRUN_CHART_H */
