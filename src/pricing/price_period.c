/*
 * price_period.c
 *		Prices over time: what is entered closes what was before.
 *
 * A price is in force from effective_from until effective_to, or for good.
 * What is entered says what a model costs from a time on.  Where the prices
 * say so already, nothing changes; where they say something else, the old row
 * is closed at that moment and a new one is opened.  No row is ever deleted: a
 * row that had not begun yet ends when it begins, and was never in force.  Of
 * a price that has an end, what was to be in force then goes on.
 *
 * The id of a row follows from what it says and how many rows were there: stores
 * in which the same has been entered in the same order have the same ids, so that
 * what tells of a price on one shard tells of it on all.
 *
 * Locks: the table of prices against other writers, until the end of the
 * transaction.  Nobody who reads waits.
 *
 * Errors: PT422 for a price that says what cannot be; 42501 for who may not
 * write prices.
 */
#include "pricing/price_period.h"

#include "catalog/pg_type.h"
#include "json/jsonb_util.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "pricing/odd_rates.h"
#include "pricing/price_cache.h"
#include "pricing/price_terms.h"
#include "pricing/unpriced.h"
#include "store/args.h"
#include "store/identity.h"
#include "store/store.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(airun_set_price);

/* What a price says, of a table aliased p */
#define CONTENT \
	"pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(" \
	"'aliases', CASE WHEN pg_catalog.cardinality(p.aliases)" GT "0 " \
	"THEN pg_catalog.to_jsonb(p.aliases) END, 'match_rule', p.match_rule, " \
	"'provider_rule', p.provider_rule, 'rates', p.rates, " \
	"'context_tiers', p.context_tiers, 'service_tiers', p.service_tiers, " \
	"'time_windows', p.time_windows, 'multipliers', p.multipliers))"

/* A row of airun.prices */
typedef struct PriceRow
{
	char	   *provider;
	char	   *model;
	pg_uuid_t	price_id;
	TimestampTz from;
	TimestampTz to;				/* DT_NOEND for none */
	Jsonb	   *content;
	Jsonb	   *raw;			/* or NULL */
} PriceRow;

/* Columns of rows to be written, as arrays for unnest() */
typedef struct Column
{
	Oid			type;
	int16		len;
	bool		by_value;
	char		align;
} Column;

static const Column column_uuid = {UUIDOID, UUID_LEN, false, TYPALIGN_CHAR};
static const Column column_text = {TEXTOID, -1, false, TYPALIGN_INT};
static const Column column_time = {TIMESTAMPTZOID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE};
static const Column column_jsonb = {JSONBOID, -1, false, TYPALIGN_INT};

typedef struct Values
{
	const Column *column;
	int			count;
	int			capacity;
	Datum	   *values;
	bool	   *nulls;
} Values;

/* What has to be written */
typedef struct Changes
{
	const char *source;
	int64		row_count;		/* of the table, as it was before */
	Values		close_id;
	Values		close_to;
	Values		open_id;
	Values		open_provider;
	Values		open_model;
	Values		open_from;
	Values		open_to;
	Values		open_content;
	Values		open_raw;
	Values		refresh_id;
	Values		refresh_raw;
} Changes;

/* ---------- reading and writing ---------- */

static void
add_value(Values *values, const Column *column, Datum value, bool isnull)
{
	if (values->count == values->capacity)
	{
		values->column = column;
		values->capacity = values->capacity == 0 ? 64 : values->capacity * 2;
		values->values = values->values == NULL ? palloc_array(Datum, values->capacity) :
			repalloc_array(values->values, Datum, values->capacity);
		values->nulls = values->nulls == NULL ? palloc_array(bool, values->capacity) :
			repalloc_array(values->nulls, bool, values->capacity);
	}
	values->values[values->count] = value;
	values->nulls[values->count++] = isnull;
}

static void
arg_values(Args *args, const Values *values)
{
	int			dims[1] = {values->count};
	int			bounds[1] = {1};

	arg_pointer(args, construct_md_array(values->values, values->nulls, 1, dims, bounds,
										 values->column->type, values->column->len,
										 values->column->by_value, values->column->align));
}

static int
row_order(const char *provider, const char *model, const PriceRow *row)
{
	int			order = strcmp(provider, row->provider);

	return order != 0 ? order : strcmp(model, row->model);
}

static int
compare_rows(const void *a, const void *b)
{
	const PriceRow *x = a;
	const PriceRow *y = b;
	int			order = row_order(x->provider, x->model, y);

	return order != 0 ? order : x->from < y->from ? -1 : x->from > y->from ? 1 : 0;
}

/* The source's rows that are in force at any time after since, in order */
static PriceRow *
read_rows(const char *source, TimestampTz since, const PriceEntry *only, int *count)
{
	static Statement read = {
		"SELECT p.provider, p.model, p.price_id, p.effective_from, p.effective_to, " CONTENT
		", p.raw FROM airun.prices AS p WHERE p.source" EQ "$1 "
		"AND (p.effective_to IS NULL "
		"OR (p.effective_to" GT "p.effective_from AND p.effective_to" GT "$2)) "
		"AND ($3 IS NULL OR p.provider" EQ "$3) AND ($4 IS NULL OR p.model" EQ "$4)",
		4, {TEXTOID, TIMESTAMPTZOID, TEXTOID, TEXTOID}
	};
	Args		args = {0};
	PriceRow   *rows;
	bool		isnull;

	arg_pointer(&args, cstring_to_text(source));
	arg_time(&args, since);
	arg_pointer(&args, only == NULL ? NULL : cstring_to_text(only->provider));
	arg_pointer(&args, only == NULL ? NULL : cstring_to_text(only->model));
	*count = statement_write(&read, &args);
	rows = palloc0_array(PriceRow, Max(*count, 1));
	for (int i = 0; i < *count; i++)
	{
		Datum		value;

		rows[i].provider = TextDatumGetCString(result_value(i, 1, &isnull));
		rows[i].model = TextDatumGetCString(result_value(i, 2, &isnull));
		rows[i].price_id = *DatumGetUUIDP(result_value(i, 3, &isnull));
		rows[i].from = DatumGetTimestampTz(result_value(i, 4, &isnull));
		value = result_value(i, 5, &isnull);
		rows[i].to = isnull ? DT_NOEND : DatumGetTimestampTz(value);
		rows[i].content = DatumGetJsonbPCopy(result_value(i, 6, &isnull));
		value = result_value(i, 7, &isnull);
		rows[i].raw = isnull ? NULL : DatumGetJsonbPCopy(value);
	}
	qsort(rows, *count, sizeof(PriceRow), compare_rows);
	return rows;
}

static void
write_changes(const Changes *changes)
{
	static Statement close = {
		"UPDATE airun.prices AS p SET effective_to = c.effective_to "
		"FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) "
		"AS c (price_id, effective_to) WHERE p.price_id" EQ "c.price_id",
		2, {UUIDARRAYOID, TIMESTAMPTZARRAYOID}
	};
	static Statement open = {
		"INSERT INTO airun.prices (source, price_id, provider, model, effective_from, "
		"effective_to, aliases, match_rule, provider_rule, rates, context_tiers, "
		"service_tiers, time_windows, multipliers, raw) "
		"SELECT $1, o.price_id, o.provider, o.model, o.effective_from, o.effective_to, "
		"ARRAY(SELECT pg_catalog.jsonb_array_elements_text("
		"o.content OPERATOR(pg_catalog.->) 'aliases')), "
		"o.content OPERATOR(pg_catalog.->) 'match_rule', "
		"o.content OPERATOR(pg_catalog.->) 'provider_rule', "
		"o.content OPERATOR(pg_catalog.->) 'rates', "
		"o.content OPERATOR(pg_catalog.->) 'context_tiers', "
		"o.content OPERATOR(pg_catalog.->) 'service_tiers', "
		"o.content OPERATOR(pg_catalog.->) 'time_windows', "
		"o.content OPERATOR(pg_catalog.->) 'multipliers', o.raw "
		"FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4), "
		"pg_catalog.unnest($5), pg_catalog.unnest($6), pg_catalog.unnest($7), "
		"pg_catalog.unnest($8)) "
		"AS o (price_id, provider, model, effective_from, effective_to, content, raw)",
		8, {TEXTOID, UUIDARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID,
		TIMESTAMPTZARRAYOID, JSONBARRAYOID, JSONBARRAYOID}
	};
	static Statement refresh = {
		"UPDATE airun.prices AS p SET raw = c.raw "
		"FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS c (price_id, raw) "
		"WHERE p.price_id" EQ "c.price_id",
		2, {UUIDARRAYOID, JSONBARRAYOID}
	};

	if (changes->close_id.count > 0)
	{
		Args		args = {0};

		arg_values(&args, &changes->close_id);
		arg_values(&args, &changes->close_to);
		if (statement_write(&close, &args) != changes->close_id.count)
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("permission denied to change what is in force in airun.prices"),
					 errdetail("A policy keeps role \"%s\" from a row that has to be closed.",
							   GetUserNameFromId(GetUserId(), false)),
					 errhint("Call it as the owner of the store, or give the role a policy "
							 "for UPDATE.")));
	}
	if (changes->open_id.count > 0)
	{
		Args		args = {0};

		arg_pointer(&args, cstring_to_text(changes->source));
		arg_values(&args, &changes->open_id);
		arg_values(&args, &changes->open_provider);
		arg_values(&args, &changes->open_model);
		arg_values(&args, &changes->open_from);
		arg_values(&args, &changes->open_to);
		arg_values(&args, &changes->open_content);
		arg_values(&args, &changes->open_raw);
		(void) statement_write(&open, &args);
	}
	if (changes->refresh_id.count > 0)
	{
		Args		args = {0};

		arg_values(&args, &changes->refresh_id);
		arg_values(&args, &changes->refresh_raw);
		(void) statement_write(&refresh, &args);
	}
}

/* ---------- what changes ---------- */

/* When a segment ends: when the next one begins */
static TimestampTz
segment_end(const PriceEntry *entry, int i)
{
	return i + 1 < entry->segment_count ? entry->segments[i + 1].from : DT_NOEND;
}

/* Until when a row says what is entered, from a time on */
static TimestampTz
agrees_until(const PriceEntry *entry, const PriceRow *row, TimestampTz from)
{
	TimestampTz until = from;

	for (int i = 0; i < entry->segment_count && until < row->to; i++)
	{
		if (segment_end(entry, i) <= until)
			continue;
		if (entry->segments[i].content == NULL ||
			!jsonb_same(entry->segments[i].content, row->content))
			break;
		until = Min(segment_end(entry, i), row->to);
	}
	return until;
}

static void
note_price(PriceEntry *entry, bool *is_noted, const pg_uuid_t *price_id, TimestampTz from)
{
	if (*is_noted && entry->effective_from <= from)
		return;
	entry->price_id = *price_id;
	entry->effective_from = from;
	*is_noted = true;
}

static void
make_price_id(pg_uuid_t *price_id, const PriceEntry *entry, Jsonb *content, TimestampTz from,
			  TimestampTz to, const Changes *changes)
{
	StringInfoData name;

	initStringInfo(&name);
	appendStringInfo(&name, "%s\n%s\n%s\n" INT64_FORMAT "\n" INT64_FORMAT "\n" INT64_FORMAT "\n",
					 changes->source, entry->provider, entry->model, from, to,
					 changes->row_count + changes->open_id.count);
	(void) JsonbToCString(&name, &content->root, VARSIZE(content));
	uuid_from_name(price_id, name.data, name.len);
}

/* Open a row, from a time until another */
static void
open_row(PriceEntry *entry, Jsonb *content, TimestampTz from, TimestampTz to, Changes *changes,
		 bool *is_noted)
{
	pg_uuid_t  *price_id = palloc_object(pg_uuid_t);

	make_price_id(price_id, entry, content, from, to, changes);
	add_value(&changes->open_id, &column_uuid, UUIDPGetDatum(price_id), false);
	add_value(&changes->open_provider, &column_text, CStringGetTextDatum(entry->provider), false);
	add_value(&changes->open_model, &column_text, CStringGetTextDatum(entry->model), false);
	add_value(&changes->open_from, &column_time, TimestampTzGetDatum(from), false);
	add_value(&changes->open_to, &column_time, TimestampTzGetDatum(to), to == DT_NOEND);
	add_value(&changes->open_content, &column_jsonb, JsonbPGetDatum(content), false);
	add_value(&changes->open_raw, &column_jsonb, JsonbPGetDatum(entry->raw), entry->raw == NULL);
	note_price(entry, is_noted, price_id, from);
}

/*
 * What the rows say from the time of the last segment on is to stand in its
 * place.  rows are in order of time.
 */
static void
keep_later(PriceEntry *entry, const PriceRow *rows, int count)
{
	int			kept = entry->segment_count - 1;
	TimestampTz at = entry->segments[kept].from;
	PriceSegment *segments = palloc_array(PriceSegment, kept + 2 * count + 1);

	memcpy(segments, entry->segments, kept * sizeof(PriceSegment));
	for (int i = 0; i < count && at != DT_NOEND; i++)
	{
		if (rows[i].to <= at || rows[i].from >= rows[i].to)
			continue;
		if (rows[i].from > at)
			segments[kept++] = (PriceSegment) {at, NULL};
		segments[kept++] = (PriceSegment) {Max(rows[i].from, at), rows[i].content};
		at = rows[i].to;
	}
	if (at != DT_NOEND)
		segments[kept++] = (PriceSegment) {at, NULL};
	entry->segments = segments;
	entry->segment_count = kept;
}

/*
 * Enter one model.  rows are its own, in order of time.  What they say rightly
 * stays; each ends where it goes wrong; the gaps are filled.
 */
static void
enter(PriceEntry *entry, TimestampTz since, PriceRow *rows, int count, Changes *changes)
{
	TimestampTz *kept_from = palloc_array(TimestampTz, Max(count, 1));
	TimestampTz *kept_to = palloc_array(TimestampTz, Max(count, 1));
	TimestampTz covered = since;
	bool		is_noted = false;
	int			written = changes->close_id.count + changes->open_id.count;

	if (entry->keeps_later)
		keep_later(entry, rows, count);
	for (int i = 0; i < count; i++)
	{
		TimestampTz from = Max(rows[i].from, covered);
		TimestampTz until = from < rows[i].to ? agrees_until(entry, &rows[i], from) : from;

		kept_from[i] = from;
		kept_to[i] = until;
		covered = Max(covered, until);
		if (until < rows[i].to)
		{
			add_value(&changes->close_id, &column_uuid, UUIDPGetDatum(&rows[i].price_id), false);
			add_value(&changes->close_to, &column_time,
					  TimestampTzGetDatum(Max(until, rows[i].from)), false);
		}
		if (until > from)
		{
			note_price(entry, &is_noted, &rows[i].price_id, rows[i].from);
			if (entry->raw != NULL && !jsonb_same(entry->raw, rows[i].raw))
			{
				add_value(&changes->refresh_id, &column_uuid,
						  UUIDPGetDatum(&rows[i].price_id), false);
				add_value(&changes->refresh_raw, &column_jsonb, JsonbPGetDatum(entry->raw),
						  entry->raw == NULL);
			}
		}
	}

	for (int i = 0; i < entry->segment_count; i++)
	{
		TimestampTz from = entry->segments[i].from;
		TimestampTz to = segment_end(entry, i);

		if (entry->segments[i].content == NULL)
			continue;
		for (int k = 0; k < count && from < to; k++)
		{
			if (kept_to[k] <= from || kept_from[k] >= to || kept_from[k] == kept_to[k])
				continue;
			if (kept_from[k] > from)
				open_row(entry, entry->segments[i].content, from, kept_from[k], changes,
						 &is_noted);
			from = kept_to[k];
		}
		if (from < to)
			open_row(entry, entry->segments[i].content, from, to, changes, &is_noted);
	}

	if (changes->close_id.count + changes->open_id.count == written)
		entry->action = PRICE_UNCHANGED;
	else
		entry->action = count == 0 ? PRICE_ADDED : PRICE_CHANGED;
}

/*
 * Enter what models cost from since on.  A source is the only one that changes
 * its own prices.  SPI has to be connected.  Refuses whoever may not write prices.
 */
void
price_period_enter(const char *source, TimestampTz since, PriceEntry *entries, int count)
{
	static Statement lock = {
		"LOCK TABLE airun.prices IN SHARE ROW EXCLUSIVE MODE", 0, {0}
	};
	static Statement count_rows = {"SELECT pg_catalog.count(*) FROM airun.prices", 0, {0}};
	Changes		changes = {.source = source};
	Args		args = {0};
	bool		isnull;
	PriceRow   *rows;
	int			row_count;

	store_require_rights("prices", ACL_INSERT | ACL_UPDATE, "insert and update");
	(void) statement_write(&lock, &args);
	(void) statement_write(&count_rows, &args);
	changes.row_count = DatumGetInt64(result_value(0, 1, &isnull));
	rows = read_rows(source, since, count == 1 ? &entries[0] : NULL, &row_count);
	for (int i = 0; i < count; i++)
	{
		int			low = 0;
		int			high = row_count;
		int			own = 0;

		while (low < high)
		{
			int			middle = (low + high) / 2;

			if (row_order(entries[i].provider, entries[i].model, &rows[middle]) > 0)
				low = middle + 1;
			else
				high = middle;
		}
		while (low + own < row_count &&
			   row_order(entries[i].provider, entries[i].model, &rows[low + own]) == 0)
			own++;
		enter(&entries[i], since, rows + low, own, &changes);
	}
	write_changes(&changes);
}

/* ---------- a price of one's own ---------- */

/* What one unit of the rates' "per" is: they are multiplied by it */
static Numeric
unit_of(int64 per)
{
	const char *unit = per == 1 ? "1" : per == 1000 ? "0.001" :
		per == 1000000 ? "0.000001" : NULL;

	if (unit == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("\"per_tokens\" must be 1, 1000 or 1000000, not " INT64_FORMAT, per),
				 errhint("It says how many tokens the rates are for.")));
	return DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(unit),
											   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
}

/*
 * The same document with the rates of tokens multiplied by a unit.  A rate is
 * the number of a bucket's name; nothing else in a price is.
 */
static Jsonb *
scale_rates(Jsonb *document, Numeric unit)
{
	JsonbInState state = {0};
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	value;
	Bucket		bucket = BUCKET_REQUESTS;

	if (document == NULL)
		return NULL;
	it = JsonbIteratorInit(&document->root);
	while ((token = JsonbIteratorNext(&it, &value, false)) != WJB_DONE)
	{
		if (token == WJB_KEY &&
			!bucket_from_name(value.val.string.val, value.val.string.len, &bucket))
			bucket = BUCKET_REQUESTS;
		if (token == WJB_VALUE && value.type == jbvNumeric && BUCKET_IS_TOKENS(bucket))
		{
			Datum		rate = DirectFunctionCall2(numeric_mul, NumericGetDatum(value.val.numeric),
												   NumericGetDatum(unit));

			value.val.numeric = DatumGetNumeric(DirectFunctionCall1(numeric_trim_scale, rate));
		}
		push_jsonb(&state, token,
				   token == WJB_KEY || token == WJB_VALUE || token == WJB_ELEM ?
				   &value : NULL);
	}
	return JsonbValueToJsonb(state.result);
}

/* A part of a price that has to be an object, or an array; or NULL */
static Jsonb *
document_argument(FunctionCallInfo fcinfo, int i, const char *name, bool is_array)
{
	Jsonb	   *document;

	if (PG_ARGISNULL(i))
		return NULL;
	document = PG_GETARG_JSONB_P(i);
	if (JB_ROOT_IS_SCALAR(document) ||
		(is_array ? !JB_ROOT_IS_ARRAY(document) : !JB_ROOT_IS_OBJECT(document)))
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("\"%s\" must be a JSON %s", name, is_array ? "array" : "object"),
				 errdetail("Found %s.", JB_ROOT_IS_SCALAR(document) ? "a scalar" :
						   is_array ? "an object" : "an array"),
				 errhint("See the comment on airun_set_price().")));
	return document;
}

/* Tell who has entered a price which tasks have waited for it, and what is odd about it */
static void
tell_about(const PriceEntry *entry, const char *source)
{
	int			count;
	UnpricedModel *models;
	UnpricedTasks waiting;
	const char *odd;

	if (!price_cache_open_latest())
		return;
	models = unpriced_read(&count);
	odd = odd_rates(&entry->price_id);
	if (odd != NULL)
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("the price of \"%s\" is odd: %s",
						excerpt(entry->model, strlen(entry->model)), odd),
				 errhint("Rates are for one token unless \"per_tokens\" says otherwise.")));
	if (!unpriced_of_price(models, count, entry->provider, entry->model, source, &waiting))
		return;
	ereport(NOTICE,
			(errmsg(INT64_FORMAT " tasks of model \"%s\" have no cost yet", waiting.tasks,
					excerpt(waiting.model, strlen(waiting.model))),
			 errdetail("The first was created at %s.", timestamptz_to_str(waiting.first)),
			 waiting.is_late ?
			 errhint("Call airun_set_price() with an \"effective_from\" not later than that, then "
					 "airun_reprice().") :
			 errhint("Call airun_reprice() to charge them.")));
}

/*
 * airun_set_price(model, rates, provider, effective_from, effective_to,
 * per_tokens, aliases, match_rule, context_tiers, service_tiers, time_windows,
 * source, multipliers) returns uuid
 */
Datum
airun_set_price(PG_FUNCTION_ARGS)
{
	Field		model = argument_field(fcinfo, 0);
	Field		provider = argument_field(fcinfo, 2);
	Field		source = argument_field(fcinfo, 11);
	PriceSegment segments[2];
	PriceEntry	entry = {.segment_count = 1, .segments = segments};
	Numeric		unit;
	Jsonb	   *content;
	const char *problem;
	pg_uuid_t  *result = palloc_object(pg_uuid_t);

	(void) store_runs_oid();
	if (PG_ARGISNULL(0))
		refuse_null("model");
	if (PG_ARGISNULL(1))
		refuse_null("rates");
	if (PG_ARGISNULL(3))
		refuse_null("effective_from");
	if (PG_ARGISNULL(5))
		refuse_null("per_tokens");
	if (PG_ARGISNULL(11))
		refuse_null("source");
	check_length("model", &model, MAX_PRICE_NAME);
	check_length("provider", &provider, MAX_PRICE_NAME);
	check_length("source", &source, MAX_PRICE_NAME);
	entry.model = TextDatumGetCString(model.value);
	entry.provider = provider.isnull ? pstrdup("") : TextDatumGetCString(provider.value);
	if (entry.model[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("\"model\" must not be empty"),
				 errhint("Name the model as it is called in tasks.")));

	unit = unit_of(PG_GETARG_INT64(5));
	content = price_content_make(PG_ARGISNULL(6) ? NULL : PG_GETARG_ARRAYTYPE_P(6),
								 document_argument(fcinfo, 7, "match_rule", false), NULL,
								 scale_rates(document_argument(fcinfo, 1, "rates", false), unit),
								 scale_rates(document_argument(fcinfo, 8, "context_tiers", true),
											 unit),
								 scale_rates(document_argument(fcinfo, 9, "service_tiers", false),
											 unit),
								 scale_rates(document_argument(fcinfo, 10, "time_windows", true),
											 unit),
								 document_argument(fcinfo, 12, "multipliers", false));
	problem = price_content_problem(content);
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("the price of \"%s\" is not acceptable",
						excerpt(entry.model, strlen(entry.model))),
				 errdetail("What it says cannot be: %s.", problem),
				 errhint("See the comment on airun_set_price().")));

	segments[0] = (PriceSegment) {PG_GETARG_TIMESTAMPTZ(3), content};
	if (!PG_ARGISNULL(4) && PG_GETARG_TIMESTAMPTZ(4) != DT_NOEND)
	{
		segments[entry.segment_count++] = (PriceSegment) {PG_GETARG_TIMESTAMPTZ(4), NULL};
		entry.keeps_later = true;
	}
	if (segments[0].from == DT_NOEND ||
		(entry.segment_count == 2 && segments[1].from <= segments[0].from))
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("a price must be in force for some time"),
				 errdetail("It would begin at %s and end at %s.",
						   pstrdup(timestamptz_to_str(segments[0].from)),
						   entry.segment_count == 2 ?
						   pstrdup(timestamptz_to_str(segments[1].from)) : "infinity"),
				 errhint("Leave \"effective_to\" out where no end is known.")));

	store_open(true);
	price_period_enter(TextDatumGetCString(source.value), segments[0].from, &entry, 1);
	*result = entry.price_id;
	if (entry.action != PRICE_UNCHANGED)
		tell_about(&entry, TextDatumGetCString(source.value));
	store_close();
	PG_RETURN_UUID_P(result);
}
