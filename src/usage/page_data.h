/*
 * page_data.h
 *		What a page of the usage is made of, as it is read.
 */
#ifndef AIRUN_PAGE_DATA_H
#define AIRUN_PAGE_DATA_H

#include "airun.h"

#include "nodes/pg_list.h"
#include "store/plans.h"
#include "usage/chart.h"

/* The measures of a row of airun_usage(), in the order of MEASURES */
typedef enum Measure
{
	CALLS, ERRORS, UNPRICED, DOUBTFUL, UNPRICED_TOKENS,
	INPUT, CACHE_READ, CACHE_WRITE, OUTPUT, TOKENS, COST,
	SUMS,						/* those before can be added up */
	FIRST_P50 = SUMS, FIRST_P95, FIRST_P99, TOTAL_P50, TOTAL_P95, TOTAL_P99,
	MEASURES
} Measure;

/* A way to ask airun_usage(): the dimensions, and what a group is called */
typedef struct Grouping
{
	const char *group_by;		/* an array */
	const char *name;			/* SQL, of "u" */
	const char *note;
	const char *word;			/* in titles */
} Grouping;

enum
{
	BY_NOTHING, BY_MODEL_AND_PROVIDER, BY_USER, BY_WORK, BY_FIRST_DIMENSION
};

/* A row of the answer: a group at a place, or a group, or all */
typedef struct UsageRow
{
	int			group;			/* 1 for the first in the order */
	char	   *name;			/* NULL: it has none, or it is the rest */
	char	   *note;
	int			merged;			/* groups that are in the row */
	int			place;			/* on the axis; from 0 */
	Figure		figures[MEASURES];
} UsageRow;

typedef struct UsageRows
{
	int			count;
	UsageRow   *rows;
	int			groups;			/* the highest that occurs */
} UsageRows;

/* What the page is of, and what has been read for it */
typedef struct UsagePage
{
	Oid			function;
	const char *title;
	const char *zone;
	int			days;
	Datum		first;
	Datum		last;
	const char *bucket;
	const char *axis;			/* the bucket's word */
	int			stack;			/* the grouping to stack by */
	const char *stack_word;
	bool		sees_all;
	char	   *first_day;
	char	   *last_day;
	char	   *before_first;
	char	   *before_last;
	Datum		begin;
	Datum		end;
	Datum		before;			/* where the period before begins */
	int			nplaces;
	Place	   *places;
	List	   *sources;		/* what has answered: strings */
	UsageRows	now;			/* one row */
	UsageRows	then;
	UsageRows	course;			/* a row a place */
} UsagePage;

/* What airun_usage() is asked for */
typedef struct Question
{
	Datum		begin;
	Datum		end;
	bool		by_place;		/* a row for each place, else one for all */
	int			grouping;
	int			first;			/* groups that are not merged to the rest */
	bool		has_times;		/* with percentiles */
	bool		unpriced_first;
} Question;

extern int	page_dimension(const char *name);
extern const char *page_dimension_word(int grouping);
extern void page_read_range(UsagePage *page, const Field *from_day, const Field *to_day);
extern void page_read_places(UsagePage *page);
extern UsageRows page_read_usage(UsagePage *page, const Question *question);

#endif							/* AIRUN_PAGE_DATA_H */
