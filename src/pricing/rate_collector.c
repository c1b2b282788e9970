/*
 * rate_collector.c
 *		The rates of a price, collected one by one from somebody's price list.
 *
 * A list has its rates in an order of its own.  They are put on a sheet, each
 * with the tiers that it belongs to, and written from there as the columns of
 * airun.prices.  Nothing is locked, and nothing is refused: what is wrong with
 * a number is returned.
 */
#include "pricing/rate_collector.h"

#include "json/jsonb_util.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

/* A number in a string is no longer than this, and its exponent no higher */
#define MAX_DIGITS		100
#define MAX_EXPONENT	100

static bool
same_tier(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static Cell *
find_cell(const Sheet *sheet, Bucket bucket, int64 above, const char *service_tier)
{
	for (int i = 0; i < sheet->count; i++)
	{
		Cell	   *cell = &sheet->cells[i];

		if (cell->bucket == bucket && cell->above == above &&
			same_tier(cell->service_tier, service_tier))
			return cell;
	}
	return NULL;
}

/* Put a rate on the sheet; one that is there already is replaced */
void
sheet_put(Sheet *sheet, Bucket bucket, int64 above, const char *service_tier, Numeric rate)
{
	Cell	   *cell = find_cell(sheet, bucket, above, service_tier);

	if (cell == NULL)
	{
		if (sheet->count == sheet->capacity)
		{
			sheet->capacity = sheet->capacity == 0 ? 16 : sheet->capacity * 2;
			sheet->cells = sheet->cells == NULL ? palloc_array(Cell, sheet->capacity) :
				repalloc_array(sheet->cells, Cell, sheet->capacity);
		}
		cell = &sheet->cells[sheet->count++];
	}
	*cell = (Cell) {bucket, above, service_tier, rate};
}

/* The rate that has been put there, or NULL */
Numeric
sheet_get(const Sheet *sheet, Bucket bucket, int64 above, const char *service_tier)
{
	Cell	   *cell = find_cell(sheet, bucket, above, service_tier);

	return cell == NULL ? NULL : cell->rate;
}

/* Take all context tiers from the sheet */
void
sheet_drop_context(Sheet *sheet)
{
	int			kept = 0;

	for (int i = 0; i < sheet->count; i++)
	{
		if (sheet->cells[i].above < 0)
			sheet->cells[kept++] = sheet->cells[i];
	}
	sheet->count = kept;
}

/* ---------- writing ---------- */

/* The rates of one context tier and one service tier, as an object */
static void
put_rates(Build *build, const Sheet *sheet, int64 above, const char *service_tier)
{
	build_object(build);
	for (int i = 0; i < sheet->count; i++)
	{
		const Cell *cell = &sheet->cells[i];

		if (cell->above != above || !same_tier(cell->service_tier, service_tier))
			continue;
		build_key(build, bucket_name(cell->bucket));
		build_numeric(build, cell->rate, false);
	}
	build_close(build, false);
}

/* Is the cell the first one of its service tier, in its context tier? */
static bool
begins_service_tier(const Sheet *sheet, int i)
{
	const Cell *cell = &sheet->cells[i];

	if (cell->service_tier == NULL)
		return false;
	for (int j = 0; j < i; j++)
	{
		if (sheet->cells[j].above == cell->above &&
			same_tier(sheet->cells[j].service_tier, cell->service_tier))
			return false;
	}
	return true;
}

/* Is the cell the first one of its context tier? */
static bool
begins_context_tier(const Sheet *sheet, int i)
{
	if (sheet->cells[i].above < 0)
		return false;
	for (int j = 0; j < i; j++)
	{
		if (sheet->cells[j].above == sheet->cells[i].above)
			return false;
	}
	return true;
}

static bool
has_service_tiers(const Sheet *sheet, int64 above)
{
	for (int i = 0; i < sheet->count; i++)
	{
		if (sheet->cells[i].above == above && sheet->cells[i].service_tier != NULL)
			return true;
	}
	return false;
}

static void
put_service_tiers(Build *build, const Sheet *sheet, int64 above)
{
	build_object(build);
	for (int i = 0; i < sheet->count; i++)
	{
		if (sheet->cells[i].above != above || !begins_service_tier(sheet, i))
			continue;
		build_key(build, sheet->cells[i].service_tier);
		put_rates(build, sheet, above, sheet->cells[i].service_tier);
	}
	build_close(build, false);
}

/* The rates outside of any tier */
Jsonb *
sheet_rates(const Sheet *sheet)
{
	Build		build = {0};

	put_rates(&build, sheet, -1, NULL);
	return build_end(&build);
}

/* The service tiers outside of context tiers, or NULL */
Jsonb *
sheet_service_tiers(const Sheet *sheet)
{
	Build		build = {0};

	if (!has_service_tiers(sheet, -1))
		return NULL;
	put_service_tiers(&build, sheet, -1);
	return build_end(&build);
}

static int
threshold_order(const void *a, const void *b)
{
	int64		x = *(const int64 *) a;
	int64		y = *(const int64 *) b;

	return x < y ? -1 : x > y ? 1 : 0;
}

/* The context tiers in order, or NULL; inclusive ones begin at their threshold */
Jsonb *
sheet_context_tiers(const Sheet *sheet, bool is_inclusive)
{
	int64	   *thresholds = palloc_array(int64, Max(sheet->count, 1));
	int			count = 0;
	Build		build = {0};

	for (int i = 0; i < sheet->count; i++)
	{
		if (begins_context_tier(sheet, i))
			thresholds[count++] = sheet->cells[i].above;
	}
	if (count == 0)
		return NULL;
	qsort(thresholds, count, sizeof(int64), threshold_order);

	build_array(&build);
	for (int i = 0; i < count; i++)
	{
		build_object(&build);
		build_key(&build, is_inclusive ? "from" : "above");
		build_numeric(&build, int64_to_numeric(thresholds[i]), false);
		build_key(&build, "rates");
		put_rates(&build, sheet, thresholds[i], NULL);
		if (has_service_tiers(sheet, thresholds[i]))
		{
			build_key(&build, "service_tiers");
			put_service_tiers(&build, sheet, thresholds[i]);
		}
		build_close(&build, false);
	}
	build_close(&build, true);
	return build_end(&build);
}

/* ---------- numbers ---------- */

/* Is it a decimal number, as JSON writes it, and of a sane size? */
static bool
is_number(const char *text)
{
	const char *c = text + (*text == '-' || *text == '+');
	size_t		digits = strspn(c, "0123456789");
	size_t		more = 0;

	if (strlen(text) > MAX_DIGITS)
		return false;
	c += digits;
	if (*c == '.')
	{
		more = strspn(++c, "0123456789");
		c += more;
	}
	if (digits + more == 0)
		return false;
	if (*c == 'e' || *c == 'E')
	{
		c += 1 + (c[1] == '-' || c[1] == '+');
		if (strlen(c) > 3 || strspn(c, "0123456789") != strlen(c) || *c == '\0' ||
			atoi(c) > MAX_EXPONENT)
			return false;
		return true;
	}
	return *c == '\0';
}

/* A number, or a string that holds one.  Returns what is wrong, or NULL. */
const char *
number_parse(const JsonbValue *value, Numeric *number)
{
	char	   *text;

	if (value->type == jbvNumeric)
	{
		*number = DatumGetNumericCopy(NumericGetDatum(value->val.numeric));
		return NULL;
	}
	if (value->type != jbvString)
		return "is not a number";
	text = pnstrdup(value->val.string.val, value->val.string.len);
	if (!is_number(text))
		return psprintf("is not a number but \"%.50s\"", text);
	*number = DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(text),
												  ObjectIdGetDatum(InvalidOid),
												  Int32GetDatum(-1)));
	return NULL;
}

/* The number times a factor, exactly */
Numeric
number_scale(Numeric number, const char *factor)
{
	Datum		by = DirectFunctionCall3(numeric_in, CStringGetDatum(factor),
										 ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));

	return DatumGetNumeric(DirectFunctionCall1(numeric_trim_scale,
											   DirectFunctionCall2(numeric_mul,
																   NumericGetDatum(number), by)));
}
