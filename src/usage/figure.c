/*
 * figure.c
 *		How figures are written.
 *
 * It guarantees: a figure keeps all its digits beside what is shown; it is rounded
 * once, as a decimal number, when it is written; whatever the locale, a decimal
 * point and commas between thousands.  What would be rounded to nothing is written
 * as less than the least that can be shown, so that only nothing is 0.
 *
 * Nothing is locked, nothing refused.
 */
#include "airun.h"

#include <math.h>

#include "usage/chart.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

Figure
figure_unknown(void)
{
	return (Figure) {0};
}

/* A figure from its decimal digits; NULL is one that is not known */
Figure
figure_exact(const char *exact)
{
	Figure		figure = {0};

	if (exact == NULL)
		return figure;
	figure.known = true;
	figure.exact = exact;
	figure.shown = exact;
	figure.number = strtod(exact, NULL);
	if (!isfinite(figure.number))
		figure = figure_unknown();
	return figure;
}

/* A word in the place of a figure; NULL is none */
Figure
figure_word(const char *word)
{
	return (Figure) {.known = word != NULL, .exact = word, .shown = word};
}

static Datum
exact_number(const Figure *figure)
{
	return DirectFunctionCall3(numeric_in, CStringGetDatum(figure->exact),
							   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
}

/* The sum of two; of what is not known there is no more than the other */
Figure
figure_sum(const Figure *a, const Figure *b)
{
	Datum		sum;

	if (!a->known || !b->known)
		return a->known ? *a : *b;
	sum = DirectFunctionCall2(numeric_add, exact_number(a), exact_number(b));
	return figure_exact(DatumGetCString(DirectFunctionCall1(numeric_out, sum)));
}

Figure
figure_difference(const Figure *a, const Figure *b)
{
	Datum		difference;

	if (!a->known || !b->known)
		return figure_unknown();
	difference = DirectFunctionCall2(numeric_sub, exact_number(a), exact_number(b));
	return figure_exact(DatumGetCString(DirectFunctionCall1(numeric_out, difference)));
}

/* The decimals of money in a column whose largest amount this is */
int
money_decimals(double largest)
{
	largest = fabs(largest);
	if (largest >= 10 || largest == 0)
		return 2;
	return largest >= 0.1 ? 4 : largest >= 0.001 ? 6 : 9;
}

/* The digits of a number without its sign, rounded */
static char *
rounded(const Figure *figure, int decimals)
{
	Datum		number = DirectFunctionCall2(numeric_round, exact_number(figure),
											 Int32GetDatum(decimals));

	number = DirectFunctionCall1(numeric_abs, number);
	return DatumGetCString(DirectFunctionCall1(numeric_out, number));
}

/* Digits with commas between the thousands before the point */
static void
put_grouped(StringInfo out, const char *digits)
{
	int			whole = (int) strcspn(digits, ".");

	for (int i = 0; i < whole; i++)
	{
		if (i > 0 && (whole - i) % 3 == 0)
			appendStringInfoChar(out, ',');
		appendStringInfoChar(out, digits[i]);
	}
	appendStringInfoString(out, digits + whole);
}

/* A number with its sign, and a symbol between them */
static void
put_rounded(StringInfo out, const Figure *figure, const char *symbol, int decimals)
{
	char	   *digits = rounded(figure, decimals);
	bool		is_tiny = figure->number != 0 && strspn(digits, "0.") == strlen(digits);

	/* the last place is all that there is */
	if (is_tiny)
		digits[strlen(digits) - 1] = '1';
	if (is_tiny)
		appendStringInfoChar(out, figure->number < 0 ? '>' : '<');
	if (figure->number < 0)
		appendStringInfoChar(out, '-');
	appendStringInfoString(out, symbol);
	put_grouped(out, digits);
}

/* Milliseconds, with the three digits that an error of 1 % leaves */
static void
put_time(StringInfo out, double time)
{
	double		seconds = time / 1000;

	if (fabs(time) < 999.5)
		appendStringInfo(out, "%.*f ms", time != 0 && fabs(time) < 9.995 ? 1 : 0, time);
	else
		appendStringInfo(out, "%.*f s", fabs(seconds) < 9.995 ? 2 : fabs(seconds) < 99.95 ? 1 : 0,
						 seconds);
}

/* Set what people are shown; decimals is for money */
void
figure_show(Figure *figure, Unit unit, int decimals)
{
	StringInfoData out;

	if (!figure->known)
		return;
	initStringInfo(&out);
	switch (unit)
	{
		case UNIT_COUNT:
			put_rounded(&out, figure, "", 0);
			break;
		case UNIT_MONEY:
			put_rounded(&out, figure, "$", decimals);
			break;
		case UNIT_TIME:
			put_time(&out, figure->number);
			break;
		case UNIT_SHARE:
			if (figure->number > 0 && figure->number < 0.0005)
				appendStringInfoString(&out, "<0.1%");
			else
				appendStringInfo(&out, "%.1f%%", figure->number * 100);
			break;
	}
	figure->shown = out.data;
}

/* A figure as it stands alone, in a few digits; what is not known is NULL */
char *
figure_brief(const Figure *figure, Unit unit)
{
	Figure		copy = *figure;

	if (!figure->known)
		return NULL;
	if (unit == UNIT_COUNT && fabs(figure->number) >= 1e12)
		return psprintf("%.2fT", figure->number / 1e12);
	if (unit == UNIT_COUNT && fabs(figure->number) >= 1e9)
		return psprintf("%.2fB", figure->number / 1e9);
	if (unit == UNIT_COUNT && fabs(figure->number) >= 1e6)
		return psprintf("%.2fM", figure->number / 1e6);
	figure_show(&copy, unit,
				fabs(figure->number) >= 1 ? 2 : money_decimals(figure->number));
	return pstrdup(copy.shown);
}
