/*
 * ledger.c
 *		Entries of the ledger: what a charge has used and cost.
 *
 * A charge is what a task or a utility call has used and cost.  When it has ended,
 * and so is known, an entry of it is added to airun.usage_tail.  When it changes,
 * by a usage that comes late, a correction or another price, two are added: what
 * was known with the opposite sign, and what is known now.  Nothing is ever changed
 * or removed: what is deleted later has been paid for, and has no entry for that.
 * So sums over any entries are those of the charges, in whatever order they come,
 * and airun_rollup() may fold them when it likes.
 *
 * The four kinds of tokens are disjoint and add up to the charge's total: what no
 * side of it claims went in.  A cost that is not known is NULL, never 0.
 *
 * Entries are written as chunks are (chunk.c): in the transaction of the charge, as
 * the owner of the table, by whoever has been let to end or change what is charged,
 * without a plan where the table is as it was made.  Nobody else may write them.
 * The table has no index, and nothing of it is read here.
 *
 * Locks: nothing but the table, as for a statement.
 */
#include "usage/ledger.h"

#include "catalog/pg_type.h"
#include "json/jsonb_util.h"
#include "mb/pg_wchar.h"
#include "run/message.h"
#include "store/direct.h"
#include "store/store.h"
#include "usage/sketch.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

PG_FUNCTION_INFO_V1(airun_store_usage_tokens);
PG_FUNCTION_INFO_V1(airun_store_usage_time);
PG_FUNCTION_INFO_V1(airun_store_usage_word);

/* ---------- figures ---------- */

/* What the buckets of a usage have under these names, together */
static int64
sum_buckets(const Field *buckets, const char *const *names, int count)
{
	int64		sum = 0;

	if (buckets->isnull || !JB_ROOT_IS_OBJECT(DatumGetJsonbP(buckets->value)))
		return 0;
	for (int i = 0; i < count; i++)
	{
		JsonbValue	value;

		if (jsonb_field(&DatumGetJsonbP(buckets->value)->root, names[i], &value) &&
			value.type == jbvNumeric)
			sum += DatumGetInt64(DirectFunctionCall1(numeric_int8,
													 NumericGetDatum(value.val.numeric)));
	}
	return sum;
}

/* As much of it as there is, which is taken away */
static int64
take(int64 *rest, int64 count)
{
	int64		taken = Max(Min(count, *rest), 0);

	*rest -= taken;
	return taken;
}

/*
 * Set the tokens of an entry from a task's tokens_total, tokens_output and
 * usage_buckets, each of which may be absent.
 */
void
usage_set_tokens(UsageEntry *entry, const Field *total, const Field *output,
				 const Field *buckets)
{
	static const char *const reads[] = {"cache_read", "cache_read_audio", "cache_read_image"};
	static const char *const writes[] = {"cache_write_5m", "cache_write_1h"};
	int64		rest = total->isnull ? 0 : DatumGetInt64(total->value);

	entry->tokens_output = take(&rest, output->isnull ? 0 : DatumGetInt64(output->value));
	entry->tokens_cache_read = take(&rest, sum_buckets(buckets, reads, lengthof(reads)));
	entry->tokens_cache_write = take(&rest, sum_buckets(buckets, writes, lengthof(writes)));
	entry->tokens_input = rest;
}

/* Milliseconds in microseconds */
static Field
microseconds(const Field *milliseconds)
{
	Datum		thousand = NumericGetDatum(int64_to_numeric(1000));

	if (milliseconds->isnull)
		return (Field) {(Datum) 0, true};
	return (Field) {
		DirectFunctionCall1(numeric_int8,
							DirectFunctionCall2(numeric_mul, milliseconds->value, thousand)),
		false
	};
}

/* The bin of a sketch that microseconds fall into */
static Field
bin_of(const Field *us)
{
	if (us->isnull)
		return *us;
	return (Field) {Int16GetDatum(sketch_bin(DatumGetInt64(us->value))), false};
}

/* Set the times of an entry from those of a task, in milliseconds, which may be absent */
void
usage_set_times(UsageEntry *entry, const Field *time_to_first_token, const Field *total_time)
{
	entry->first_token_us = microseconds(time_to_first_token);
	entry->total_us = microseconds(total_time);
	entry->first_token_bin = bin_of(&entry->first_token_us);
	entry->total_bin = bin_of(&entry->total_us);
}

/* A word of an entry, cut to USAGE_MAX_WORD */
static Field
fitting_word(const Field *word)
{
	text	   *value;

	if (word->isnull)
		return *word;
	value = DatumGetTextPP(word->value);
	if (VARSIZE_ANY_EXHDR(value) > USAGE_MAX_WORD)
		value = cstring_to_text_with_len(VARDATA_ANY(value),
										 pg_mbcliplen(VARDATA_ANY(value),
													  VARSIZE_ANY_EXHDR(value), USAGE_MAX_WORD));
	return (Field) {PointerGetDatum(value), false};
}

/* ---------- entries ---------- */

static void
arg_signed(Args *args, const Field *number, int sign)
{
	arg_add(args, number->isnull ? (Datum) 0 : Int64GetDatum(sign * DatumGetInt64(number->value)),
			number->isnull);
}

static void
arg_word(Args *args, const Field *word)
{
	Field		fitting = fitting_word(word);

	arg_field(args, &fitting);
}

#define WORD_COLUMN(name)	{#name, TEXTOID},
#define WORD_ARGUMENT(name)	arg_word(&args, &entry->name);

/*
 * Write an entry, or with sign -1 the entry that takes it back.  The caller answers
 * for the right to charge; what follows in the transaction sees it.
 */
void
usage_write_entry(const UsageEntry *entry, int sign)
{
	static RowWrite insert = {
		.table = TABLE_USAGE_TAIL,
		.column_count = 22,
		.columns = {
			{"at", TIMESTAMPTZOID}, {"tokens_input", INT8OID}, {"tokens_cache_read", INT8OID},
			{"tokens_cache_write", INT8OID}, {"tokens_output", INT8OID},
			{"first_token_us", INT8OID}, {"total_us", INT8OID}, {"calls", INT4OID},
			{"first_token_bin", INT2OID}, {"total_bin", INT2OID}, {"charge_id", UUIDOID},
			{"user_id", UUIDOID}, {"kind", TEXTOID}, USAGE_WORD_LIST(WORD_COLUMN)
			{"cost", NUMERICOID}
		}
	};
	Args		args = {0};
	Datum		cost = entry->cost.value;

	if (!entry->cost.isnull && sign < 0)
		cost = DirectFunctionCall1(numeric_uminus, cost);
	arg_time(&args, entry->at);
	arg_int64(&args, sign * entry->tokens_input);
	arg_int64(&args, sign * entry->tokens_cache_read);
	arg_int64(&args, sign * entry->tokens_cache_write);
	arg_int64(&args, sign * entry->tokens_output);
	arg_signed(&args, &entry->first_token_us, sign);
	arg_signed(&args, &entry->total_us, sign);
	arg_add(&args, Int32GetDatum(sign), false);
	arg_field(&args, &entry->first_token_bin);
	arg_field(&args, &entry->total_bin);
	arg_uuid(&args, &entry->charge_id);
	arg_field(&args, &entry->user_id);
	arg_pointer(&args, cstring_to_text(entry->kind));
	USAGE_WORD_LIST(WORD_ARGUMENT)
	arg_add(&args, cost, entry->cost.isnull);
	if (!direct_insert(&insert, &args, true, NULL) &&
		statement_write_as_owner(row_write_statement(&insert), &args,
								 store_table_owner("usage_tail")) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
				 errmsg("a trigger on airun.usage_tail has suppressed an entry")));
}

/* ---------- what has changed ---------- */

static bool
same_word(const Field *a, const Field *b)
{
	return a->isnull == b->isnull &&
		(a->isnull || text_equal(DatumGetTextPP(a->value), DatumGetTextPP(b->value)));
}

static bool
same_number(const Field *a, const Field *b)
{
	return a->isnull == b->isnull &&
		(a->isnull || DatumGetInt64(a->value) == DatumGetInt64(b->value));
}

static bool
same_cost(const Field *a, const Field *b)
{
	return a->isnull == b->isnull &&
		(a->isnull || DatumGetBool(DirectFunctionCall2(numeric_eq, a->value, b->value)));
}

#define IS_SAME_WORD(name)	&& same_word(&a->name, &b->name)

/* Do two entries of one charge say the same? */
static bool
same_entry(const UsageEntry *a, const UsageEntry *b)
{
	return a->tokens_input == b->tokens_input && a->tokens_cache_read == b->tokens_cache_read &&
		a->tokens_cache_write == b->tokens_cache_write &&
		a->tokens_output == b->tokens_output && same_cost(&a->cost, &b->cost) &&
		same_number(&a->first_token_us, &b->first_token_us) &&
		same_number(&a->total_us, &b->total_us) && a->at == b->at
		USAGE_WORD_LIST(IS_SAME_WORD);
}

/* A charge that has been entered is another one by now: take back what was, unless the same */
void
usage_write_change(const UsageEntry *before, const UsageEntry *after)
{
	if (same_entry(before, after))
		return;
	usage_write_entry(before, -1);
	usage_write_entry(after, 1);
}

/* ---------- for statements ---------- */

/*
 * airun_store_usage_tokens(total, output, buckets) returns bigint[]
 *
 * Fresh input, cache reads, cache writes and output.
 */
Datum
airun_store_usage_tokens(PG_FUNCTION_ARGS)
{
	Field		total = argument_field(fcinfo, 0);
	Field		output = argument_field(fcinfo, 1);
	Field		buckets = argument_field(fcinfo, 2);
	UsageEntry	entry;
	Datum		values[4];

	usage_set_tokens(&entry, &total, &output, &buckets);
	values[0] = Int64GetDatum(entry.tokens_input);
	values[1] = Int64GetDatum(entry.tokens_cache_read);
	values[2] = Int64GetDatum(entry.tokens_cache_write);
	values[3] = Int64GetDatum(entry.tokens_output);
	PG_RETURN_ARRAYTYPE_P(construct_array(values, 4, INT8OID, sizeof(int64), FLOAT8PASSBYVAL,
										  TYPALIGN_DOUBLE));
}

/* airun_store_usage_time(milliseconds) returns bigint, in microseconds */
Datum
airun_store_usage_time(PG_FUNCTION_ARGS)
{
	Field		milliseconds = argument_field(fcinfo, 0);

	PG_RETURN_DATUM(microseconds(&milliseconds).value);
}

/* airun_store_usage_word(word) returns text, as an entry has it */
Datum
airun_store_usage_word(PG_FUNCTION_ARGS)
{
	Field		word = argument_field(fcinfo, 0);

	PG_RETURN_DATUM(fitting_word(&word).value);
}
