/*
 * search_query.h
 *		What is searched for, and where a text has it.
 */
#ifndef AIRUN_SEARCH_QUERY_H
#define AIRUN_SEARCH_QUERY_H

#include "airun.h"

#include "search/plain_text.h"

#define MAX_QUERY	1000		/* characters */
#define MAX_TERMS	32
#define MAX_PLACES	64			/* of all terms in one text, for the snippet */

/* A word or a phrase: a part of the query */
typedef struct Term
{
	int			from;			/* in the query's plain text */
	int			to;				/* exclusive */
	bool		is_excluded;
	bool		has_other;		/* characters beyond ASCII */
	int			piece;			/* its longest part without a space, and how long that is */
	int			piece_length;
} Term;

typedef struct SearchQuery
{
	PlainText	plain;
	int			count;
	Term		terms[MAX_TERMS];
} SearchQuery;

/* Where a text has a term, in plain characters */
typedef struct Place
{
	int			from;
	int			to;
	int			term;
} Place;

/* What a text has of a query */
typedef struct SearchMatch
{
	float4		rank;			/* between 0 and 1 */
	int			count;
	Place		places[MAX_PLACES]; /* by their term, and then in order */
} SearchMatch;

extern void search_parse(SearchQuery *query, text *string);
extern bool search_may_match(const SearchQuery *query, const char *source, int len);
extern bool search_match(const SearchQuery *query, const PlainText *text, SearchMatch *match);
extern text *search_snippet(const PlainText *text, SearchMatch *match);

#endif							/* AIRUN_SEARCH_QUERY_H */
