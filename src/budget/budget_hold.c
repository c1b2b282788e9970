/*
 * budget_hold.c
 *		What tasks and calls hold of budgets, from their start to their end.
 *
 * A start holds of every budget that it counts in, in the same transaction, and its
 * row keeps what: in JSON, as text, which is shorter, an array of holds, each an array
 *
 *	[counter, 1]						a call
 *	[counter, amount, base]				tokens: base, and one for each that comes out
 *	[counter, amount, base, rate]		cost: base, and rate for each token that comes out
 *
 * of the slot's id, what is held until the end, and what to charge where the end does
 * not say.  The column is a part of the row: what is undone with the row is held by
 * nobody, and a hold is released with the end of the row's lease.
 *
 * What a row makes of a counter follows from the row alone: while it is open, what it
 * holds; once it has ended, what it has used or cost, or else an estimate.  A change of
 * the row changes the counter by the difference, whichever function or statement has
 * changed it, at the same places where the ledger is told (ledger.c): in the budgets
 * and periods that the row named at its start, in full, and never refused.  A row that
 * is deleted, or emptied (strip.c), releases what it holds, and leaves what it has spent.
 *
 * Who ends or removes many rows in one transaction has their changes wait until the last
 * one is locked (budget_defer_begin()).  So counters are locked in order, and not for long.
 * What may be undone by itself, in a subtransaction, does not wait.
 *
 * Locks: counters, as budget_counter.c says, after all else.
 *
 * Errors: PT402 at a start.
 */
#include "budget/budget.h"

#include "access/xact.h"
#include "budget/budget_counter.h"
#include "budget/budget_refusal.h"
#include "budget/decimal.h"
#include "catalog/pg_type.h"
#include "json/jsonb_util.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "store/definition.h"
#include "store/store.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(airun_store_hold_part);

/*
 * What waits for budget_defer_end(), in a context of its own, or NULL; and the
 * subtransaction whose rows these are
 */
static BudgetChanges *deferred = NULL;
static SubTransactionId deferred_in;

static void lock_deferred(const CounterKey *others, int count);
static void write_deferred(void);

/* Do changes wait here? */
static bool
is_deferring(void)
{
	return deferred != NULL && deferred_in == GetCurrentSubTransactionId();
}

/* ---------- the start ---------- */

/* A hold that has been taken */
typedef struct Hold
{
	int64		counter;
	const BudgetNeed *need;
} Hold;

/* Is there any budget, for a start whose table is locked here against airun_set_budget()? */
static int
open_budgets(const BudgetSubject *subject, const Budget **budgets)
{
	if (!airun_budget_enforce)
		return 0;
	LockRelationOid(subject->run_id != NULL ? store_table(TABLE_TASKS) : store_table_oid("calls"),
					RowExclusiveLock);
	return budget_rules_open(budgets);
}

/* Is there any budget? */
bool
budget_is_any(void)
{
	const Budget *budgets;

	return airun_budget_enforce && budget_rules_open(&budgets) > 0;
}

/*
 * PT402, for the tightest of those that it does not fit into, from one of them on.  Those
 * before it fit, and how they stand is not known.
 */
pg_noreturn static void
refuse(const BudgetSubject *subject, List *fits, BudgetFit *refusing)
{
	List	   *others = NIL;
	ListCell   *cell;

	foreach(cell, fits)
	{
		if (others != NIL)
			budget_fit_look(lfirst(cell), NULL);
		if (others != NIL || lfirst(cell) == refusing)
			others = lappend(others, lfirst(cell));
	}
	list_sort(others, budget_fit_order);
	budget_refuse(linitial(others), subject);
}

static CounterKey
key_of(const BudgetFit *fit, const BudgetSubject *subject)
{
	return counter_key(fit->need.budget, fit->value, fit->period_key, subject);
}

/* Hold of one counter; locks as for counter_find() */
static Hold *
hold(const BudgetSubject *subject, List *fits, BudgetFit *fit, bool locks)
{
	Hold	   *taken = palloc_object(Hold);
	CounterKey	key = key_of(fit, subject);
	BudgetStand stand;

	if (subject->is_paid)
		fit->need.amount = decimal_of(0);
	taken->need = &fit->need;
	taken->counter = decimal_sign(fit->need.amount) > 0 ?
		counter_take(&key, &fit->need, &stand) : counter_find(&key, locks);
	if (taken->counter == 0)
	{
		budget_fit_stands(fit, &stand);
		refuse(subject, fits, fit);
	}
	return taken;
}

/* What has waited until here counts: it is written first, and all is locked in one order */
static void
settle_before(const BudgetSubject *subject, List *fits)
{
	int			count = list_length(fits);
	CounterKey *keys;

	if (!is_deferring())
		return;
	keys = palloc_array(CounterKey, Max(count, 1));
	for (int i = 0; i < count; i++)
		keys[i] = key_of(list_nth(fits, i), subject);
	lock_deferred(keys, count);
	write_deferred();
}

/*
 * Does it make counters?  What has ended already holds nothing, and is charged once its row is
 * there: it then keeps what it has made until then, and all other counters with it.
 */
static bool
makes_counters(const BudgetSubject *subject, List *fits)
{
	ListCell   *cell;

	foreach(cell, fits)
	{
		CounterKey	key = key_of(lfirst(cell), subject);

		if (!counter_is_settled(&key))
			return true;
	}
	return false;
}

/* Hold of all counters that it counts in, in the order in which they are locked */
static List *
hold_all(const BudgetSubject *subject, const Budget *budgets, int count)
{
	List	   *fits = budget_fits(subject, budgets, count);
	List	   *holds = NIL;
	bool		locks;
	ListCell   *cell;

	foreach(cell, fits)
	{
		const BudgetFit *fit = lfirst(cell);

		if (fit->need.is_unpriced && !subject->is_paid)
			budget_refuse(fit, subject);
	}
	settle_before(subject, fits);
	locks = subject->is_paid && makes_counters(subject, fits);
	foreach(cell, fits)
	{
		holds = lappend(holds, hold(subject, fits, lfirst(cell), locks));
	}
	return holds;
}

/* The column of holds */
static Field
write_holds(List *holds)
{
	StringInfoData out;
	ListCell   *cell;

	if (holds == NIL)
		return (Field) {(Datum) 0, true};
	initStringInfo(&out);
	foreach(cell, holds)
	{
		const Hold *taken = lfirst(cell);

		appendStringInfo(&out, "%s[" INT64_FORMAT ",%s", out.len == 0 ? "[" : ",", taken->counter,
						 decimal_string(taken->need->amount));
		if (taken->need->budget->measure != MEASURE_CALLS)
			appendStringInfo(&out, ",%s", decimal_string(taken->need->base));
		if (taken->need->budget->measure == MEASURE_COST)
			appendStringInfo(&out, ",%s", decimal_string(taken->need->rate));
		appendStringInfoChar(&out, ']');
	}
	appendStringInfoChar(&out, ']');
	return (Field) {PointerGetDatum(cstring_to_text_with_len(out.data, out.len)), false};
}

/*
 * Hold of the budgets that a task or call counts in which starts now, or PT402.
 * Returns the column of its holds, absent where there are none, in the caller's memory.
 * The caller has locked all else that it locks.
 */
Field
budget_take(const BudgetSubject *subject)
{
	const Budget *budgets;
	int			count = open_budgets(subject, &budgets);
	MemoryContext context = CurrentMemoryContext;
	MemoryContext old_context;
	Field		holds;

	if (count == 0)
		return (Field) {(Datum) 0, true};
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	holds = write_holds(hold_all(subject, budgets, count));
	old_context = MemoryContextSwitchTo(context);
	if (!holds.isnull)
		holds.value = PointerGetDatum(DatumGetTextPCopy(holds.value));
	MemoryContextSwitchTo(old_context);
	store_close();
	return holds;
}

/* ---------- what a row makes of a counter ---------- */

/* Tokens of a text of so many characters */
static Numeric
tokens_of_text(int64 length)
{
	return decimal_of((length + 3) / 4);
}

/* The numbers of a hold; returns how many there are */
static int
read_hold(JsonbContainer *hold, Numeric *numbers)
{
	int			count = Min(JsonContainerSize(hold), 4);

	for (int i = 0; i < count; i++)
	{
		JsonbValue *value = getIthJsonbValueFromContainer(hold, i);

		if (value->type != jbvNumeric)
			return 0;
		numbers[i] = value->val.numeric;
	}
	return count;
}

/*
 * What a row that has ended is charged in the measure of a hold.  is_estimate: it has
 * not been said.  Whoever failed without a text and a usage has cost nothing.
 */
static Numeric
charge_of(const Numeric *numbers, int count, const BudgetState *state, bool *is_estimate)
{
	Numeric		rate = count == 4 ? numbers[3] : decimal_of(1);

	*is_estimate = false;
	if (count == 2)
		return decimal_of(1);
	if (count == 3 && !state->tokens.isnull)
		return decimal_of(DatumGetInt64(state->tokens.value));
	if (count == 4 && !state->cost.isnull)
		return DatumGetNumeric(state->cost.value);
	*is_estimate = true;
	if (!state->tokens.isnull)
		return decimal_mul(rate, decimal_of(DatumGetInt64(state->tokens.value)));
	if (!state->is_completed && state->length == 0)
		return decimal_of(0);
	return decimal_add(numbers[2], decimal_mul(rate, tokens_of_text(state->length)));
}

/* What a row makes of the counter of a hold; nothing where there is no row */
static CounterChange
part_of(const Numeric *numbers, int count, const BudgetState *state)
{
	Numeric		zero = decimal_of(0);
	CounterChange part = {zero, zero, zero, zero};
	bool		is_estimate;
	Numeric		charge;

	if (state == NULL)
		return part;
	if (!state->has_ended)
	{
		part.held = numbers[1];
		return part;
	}
	charge = charge_of(numbers, count, state, &is_estimate);
	if (is_estimate)
		part.estimated = charge;
	else
		part.spent = charge;
	return part;
}

/* ---------- changes ---------- */

/* What is added to one counter */
typedef struct Change
{
	int64		counter;		/* its slot's id */
	CounterChange change;
	CounterKey	key;			/* for put_in_order() */
} Change;

/* So many changes have room at first */
#define FIRST_SPACE		4

struct BudgetChanges
{
	MemoryContext context;
	int			count;
	int			space;
	Change	   *changes;
	bool		owns_numbers;	/* they are nobody else's */
};

BudgetChanges *
budget_changes_begin(void)
{
	BudgetChanges *changes = palloc0_object(BudgetChanges);

	changes->context = CurrentMemoryContext;
	changes->space = FIRST_SPACE;
	changes->changes = palloc_array(Change, changes->space);
	return changes;
}

static int
change_order(const void *a, const void *b)
{
	int64		left = ((const Change *) a)->counter;
	int64		right = ((const Change *) b)->counter;

	return left < right ? -1 : left > right;
}

static Numeric
add_up(Numeric a, Numeric b, bool owns_numbers)
{
	Numeric		sum = decimal_add(a, b);

	if (owns_numbers)
	{
		pfree(a);
		pfree(b);
	}
	return sum;
}

/* Add to a change another one of the same counter */
static void
merge(CounterChange *change, const CounterChange *other, bool owns_numbers)
{
	change->held = add_up(change->held, other->held, owns_numbers);
	change->spent = add_up(change->spent, other->spent, owns_numbers);
	change->estimated = add_up(change->estimated, other->estimated, owns_numbers);
	change->base = add_up(change->base, other->base, owns_numbers);
}

/* One change for each counter, in the order of their ids */
static void
merge_all(BudgetChanges *changes)
{
	int			kept = 0;

	if (changes->count == 0)
		return;
	qsort(changes->changes, changes->count, sizeof(Change), change_order);
	for (int i = 1; i < changes->count; i++)
	{
		if (changes->changes[i].counter == changes->changes[kept].counter)
			merge(&changes->changes[kept].change, &changes->changes[i].change,
				  changes->owns_numbers);
		else
			changes->changes[++kept] = changes->changes[i];
	}
	changes->count = kept + 1;
}

/* However many rows there are, no more is kept than counters ask for */
static void
add_change(BudgetChanges *changes, const Change *change)
{
	if (changes->count == changes->space)
		merge_all(changes);
	if (changes->count > changes->space / 2)
	{
		changes->space *= 2;
		changes->changes = repalloc_huge(changes->changes, changes->space * sizeof(Change));
	}
	changes->changes[changes->count++] = *change;
}

static void
forget_deferred(void *arg)
{
	deferred = NULL;
}

/*
 * Have what counters are told wait until budget_defer_end(), for who ends or removes many
 * tasks in one transaction.  Returns false within somebody else's.  An error forgets it.
 */
bool
budget_defer_begin(void)
{
	MemoryContextCallback *callback;
	MemoryContext context;
	MemoryContext old_context;

	if (deferred != NULL)
		return false;
	context = AllocSetContextCreate(CurTransactionContext, "airun budget changes",
									ALLOCSET_DEFAULT_SIZES);
	old_context = MemoryContextSwitchTo(context);
	callback = palloc0_object(MemoryContextCallback);
	callback->func = forget_deferred;
	MemoryContextRegisterResetCallback(context, callback);
	deferred = budget_changes_begin();
	deferred->owns_numbers = true;
	deferred_in = GetCurrentSubTransactionId();
	MemoryContextSwitchTo(old_context);
	return true;
}

/* Add changes to those that wait */
static void
defer(const BudgetChanges *changes)
{
	MemoryContext old_context = MemoryContextSwitchTo(deferred->context);

	for (int i = 0; i < changes->count; i++)
	{
		const CounterChange *change = &changes->changes[i].change;
		Change		copy = {
			changes->changes[i].counter,
			{
				decimal_copy(change->held), decimal_copy(change->spent),
				decimal_copy(change->estimated), decimal_copy(change->base)
			},
			{0}
		};

		add_change(deferred, &copy);
	}
	MemoryContextSwitchTo(old_context);
}

/* Add what one hold's row has become */
static void
add_hold(BudgetChanges *changes, JsonbContainer *hold, const BudgetState *before,
		 const BudgetState *after)
{
	Numeric		zero = decimal_of(0);
	Change		change = {.change = {zero, zero, zero, zero}};
	Numeric		numbers[4];
	int			count = read_hold(hold, numbers);
	CounterChange was;
	CounterChange is;

	if (count < 2)
		return;
	was = part_of(numbers, count, before);
	is = part_of(numbers, count, after);
	change.counter = DatumGetInt64(DirectFunctionCall1(numeric_int8, NumericGetDatum(numbers[0])));

	/* what has been spent stays, though nothing tells any more by whom */
	if (after == NULL && before->has_ended)
		change.change.base = decimal_add(was.spent, was.estimated);
	else
	{
		change.change.held = decimal_sub(is.held, was.held);
		change.change.spent = decimal_sub(is.spent, was.spent);
		change.change.estimated = decimal_sub(is.estimated, was.estimated);
	}
	add_change(changes, &change);
}

/*
 * Add what has become of a row: before is NULL for one that is new, after for one
 * that is deleted.  Those that are new hold already (budget_take()): they are here only
 * where they have ended, too.
 */
void
budget_changes_add(BudgetChanges *changes, const BudgetState *before, const BudgetState *after)
{
	const Field *column = after != NULL ? &after->holds : &before->holds;
	MemoryContext old_context;
	char	   *words;
	Jsonb	   *document;
	JsonbContainer *holds;

	if (column->isnull)
		return;
	words = TextDatumGetCString(column->value);
	document = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(words)));
	if (!JB_ROOT_IS_ARRAY(document))
		return;
	old_context = MemoryContextSwitchTo(changes->context);
	holds = &document->root;
	for (uint32 i = 0; i < JsonContainerSize(holds); i++)
	{
		JsonbValue *hold = getIthJsonbValueFromContainer(holds, i);

		if (hold->type == jbvBinary && JsonContainerIsArray(hold->val.binary.data))
			add_hold(changes, hold->val.binary.data, before, after);
	}
	MemoryContextSwitchTo(old_context);
}

static bool
is_nothing(const CounterChange *change)
{
	return decimal_sign(change->held) == 0 && decimal_sign(change->spent) == 0 &&
		decimal_sign(change->estimated) == 0 && decimal_sign(change->base) == 0;
}

/* The ids of what is changed, as a bigint[] */
static Datum
ids_of(const BudgetChanges *changes)
{
	Datum	   *ids = palloc_array(Datum, Max(changes->count, 1));

	for (int i = 0; i < changes->count; i++)
		ids[i] = Int64GetDatum(changes->changes[i].counter);
	return counters_ids(ids, changes->count);
}

static int64
budget_of(const Change *change)
{
	return change->counter >> COUNTER_RANDOM_BITS;
}

static int
lock_order(const void *a, const void *b)
{
	return counter_order(&((const Change *) a)->key, &((const Change *) b)->key);
}

static bool
is_of_counter(const Change *a, const Change *b)
{
	return a->key.value != NULL && b->key.value != NULL &&
		a->key.budget_id == b->key.budget_id && strcmp(a->key.value, b->key.value) == 0 &&
		strcmp(a->key.period_key, b->key.period_key) == 0;
}

/*
 * Put merged changes into the order in which a start locks counters.  That of ids is the
 * same, unless several are of one budget.  Returns whether it had to be done.
 */
static bool
put_in_order(BudgetChanges *changes)
{
	CounterKey *keys;
	bool		is_needed = false;

	for (int i = 1; i < changes->count; i++)
		is_needed |= budget_of(&changes->changes[i]) == budget_of(&changes->changes[i - 1]);
	if (!is_needed)
		return false;
	keys = palloc0_array(CounterKey, changes->count);
	for (int i = 0; i < changes->count; i++)
		keys[i].budget_id = budget_of(&changes->changes[i]);
	counters_read(ids_of(changes), keys);
	for (int i = 0; i < changes->count; i++)
		changes->changes[i].key = keys[i];
	qsort(changes->changes, changes->count, sizeof(Change), lock_order);
	return true;
}

static void
write_changes(BudgetChanges *changes)
{
	bool		has_keys;

	if (changes->count == 0)
		return;
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	merge_all(changes);
	has_keys = put_in_order(changes);
	for (int i = 0; i < changes->count; i++)
	{
		const Change *change = &changes->changes[i];

		CHECK_FOR_INTERRUPTS();
		if (has_keys && i + 1 < changes->count && is_of_counter(change, change + 1) &&
			(i == 0 || !is_of_counter(change - 1, change)))
			counter_lock_gate(&change->key);
		if (!is_nothing(&change->change))
			counter_change(change->counter, &change->change);
	}
	store_close();
}

/* Lock the counters of what waits, and others */
static void
lock_deferred(const CounterKey *others, int count)
{
	if (deferred->count > 0)
		counters_lock(ids_of(deferred), others, count);
}

/* The slots that what waits changes, as a bigint[] */
Datum
budget_deferred_counters(void)
{
	BudgetChanges none = {0};

	return ids_of(deferred != NULL ? deferred : &none);
}

/* Write what has waited until here; what a site's trigger changes meanwhile waits anew */
static void
write_deferred(void)
{
	BudgetChanges waiting = *deferred;

	if (waiting.count == 0)
		return;
	deferred->count = 0;
	deferred->space = FIRST_SPACE;
	deferred->changes = MemoryContextAlloc(deferred->context, FIRST_SPACE * sizeof(Change));
	waiting.owns_numbers = false;
	write_changes(&waiting);
}

/* Write the changes, or have them wait */
void
budget_changes_write(BudgetChanges *changes)
{
	if (is_deferring())
		defer(changes);
	else
		write_changes(changes);
}

/* Write what has waited; is_first is what budget_defer_begin() has returned */
void
budget_defer_end(bool is_first)
{
	if (!is_first)
		return;
	while (deferred->count > 0)
		write_deferred();
	MemoryContextDelete(deferred->context);
}

/* Write what has become of one row, as budget_changes_add() has it */
void
budget_settle(const BudgetState *before, const BudgetState *after)
{
	BudgetChanges *changes;

	if ((after != NULL ? after : before)->holds.isnull)
		return;
	changes = budget_changes_begin();
	budget_changes_add(changes, before, after);
	budget_changes_write(changes);
}

/*
 * airun_store_hold_part(hold, has_ended, is_completed, cost, tokens, length)
 * returns numeric[]
 *
 * What a row makes of the counter of a hold: held, spent and estimated.
 */
Datum
airun_store_hold_part(PG_FUNCTION_ARGS)
{
	BudgetState state = {
		.has_ended = PG_GETARG_BOOL(1),
		.is_completed = PG_GETARG_BOOL(2),
		.cost = argument_field(fcinfo, 3),
		.tokens = argument_field(fcinfo, 4),
		.length = PG_ARGISNULL(5) ? 0 : PG_GETARG_INT64(5)
	};
	Numeric		zero = decimal_of(0);
	CounterChange part = {zero, zero, zero, zero};
	Numeric		numbers[4];
	Datum		values[3];
	int			count;

	if (!PG_ARGISNULL(0) && (count = read_hold(&PG_GETARG_JSONB_P(0)->root, numbers)) >= 2)
		part = part_of(numbers, count, &state);
	values[0] = NumericGetDatum(part.held);
	values[1] = NumericGetDatum(part.spent);
	values[2] = NumericGetDatum(part.estimated);
	PG_RETURN_ARRAYTYPE_P(construct_array(values, 3, NUMERICOID, -1, false, TYPALIGN_INT));
}
