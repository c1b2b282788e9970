/*
 * budget_counter.c
 *		The counters of budgets: rows of airun.budget_periods.
 *
 * A counter is what one budget has spent and holds in one period, for one value of
 * its scope.  A period that is new is a row that is new: nothing is ever reset.  So
 * that a busy budget is not one busy row, a counter may have several slots, each with
 * a part of the limit, its quota.  The quotas together are never more than the limit,
 * so that whoever fits into his slot's quota needs to look at no other.
 *
 * Who does not fit goes through the gate, slot 0: it locks that, then, unless who had the
 * gate before has left enough, all the slots in order, adds them up, is refused where
 * that is too much, and shares the free rest out again: equally while a share is several
 * times what is asked for, else all of it to who asks.  Quotas are handed out only up to
 * the next amount that shall be warned of, so that nobody passes it but at the gate, where
 * the sum is known.
 *
 * What has been spent is added whatever the limit: it has been paid for.  Where it is
 * more than was held, it goes the same way as a start, but is never refused.
 *
 * A slot that fits is changed without a plan (budget_slot.c), and else by a statement.
 * An UPDATE that waits for a row, and then finds that it does not fit, leaves the row
 * locked.  Who holds that and goes to the gate would deadlock with one who has the gate
 * and wants the row.  So that statement is a subtransaction, which is undone then.
 * With one slot the slot is the gate, and there is nothing to undo.
 *
 * A tag or a value of metadata may be a person's own word.  As long as one user alone has
 * used it, its counters name her, so that erasing her finds them.
 *
 * All is done as the owner of the table, who alone may write it.
 *
 * Refused: 40001 where a counter is removed meanwhile, as with a user who is erased.
 *
 * Locks: rows of counters, after all else, in the order of their budgets' ids, and of one
 * budget in that of values and periods, as strcmp() has it: one slot of each, or its gate
 * and then its slots by number.  Who changes several slots of one has locked its gate.
 */
#include "budget/budget_counter.h"

#include "access/xact.h"
#include "budget/budget_slot.h"
#include "budget/decimal.h"
#include "catalog/pg_type.h"
#include "commands/async.h"
#include "store/store.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

#define USED		"(p.spent" PLUS "p.estimated" PLUS "p.held)"
#define THIS_COUNTER \
	"p.budget_id" EQ "$1 AND p.value" EQ "$2 AND p.period_key" EQ "$3"

/* A share of the rest is worth handing out while it is so many times what is asked for */
#define WORTHY_SHARE	4

/* So many slots in use have all of them made */
#define BUSY_SLOTS		3

/* A slot as it was locked at the gate */
typedef struct Slot
{
	int64		id;
	int			number;
	Numeric		spent;			/* with what is estimated */
	Numeric		held;
} Slot;

/* A counter as it was locked at the gate */
typedef struct Gate
{
	int64		id;				/* of its row */
	Numeric		limit;
	Numeric		warned;			/* the largest part of the limit warned of; or NULL */
	bool		is_hard;
	int			slots;			/* that are in use */
	int			warning_count;
	Datum	   *warnings;		/* parts of the limit */
	int			count;
	Slot	   *rows;
	Slot	   *own;
} Gate;

static uint64
write_counter(Statement *statement, Args *args)
{
	return statement_write_as_owner(statement, args, store_table_owner("budget_periods"));
}

static void
arg_numeric(Args *args, Numeric number)
{
	arg_pointer(args, number);
}

static void
arg_counter(Args *args, const CounterKey *key)
{
	arg_int64(args, key->budget_id);
	arg_pointer(args, cstring_to_text(key->value));
	arg_pointer(args, cstring_to_text(key->period_key));
}

static Numeric
numeric_value(uint64 row, int column)
{
	bool		isnull;
	Datum		value = result_value(row, column, &isnull);

	return isnull ? NULL : DatumGetNumericCopy(value);
}

static int64
int64_value(uint64 row, int column)
{
	bool		isnull;

	return DatumGetInt64(result_value(row, column, &isnull));
}

/* Ids as a bigint[] */
Datum
counters_ids(Datum *ids, int count)
{
	return PointerGetDatum(construct_array(ids, count, INT8OID, sizeof(int64), FLOAT8PASSBYVAL,
										   TYPALIGN_DOUBLE));
}

/*
 * The slot of this backend, shared by as few as can be; slot 0 is the only one, or the
 * gate of others.
 */
static int
home_slot(int slots)
{
	return slots <= 1 ? 0 : 1 + MY_BACKEND_NUMBER % slots;
}

/* ---------- within a quota ---------- */

/*
 * Run a statement that changes one slot if it fits, where other slots are behind a
 * gate.  Returns whether it did; else no lock of it is left.
 */
static bool
try_slot(Statement *statement, Args *args, int64 *id)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	bool		fits;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		fits = write_counter(statement, args) == 1;
		if (fits)
			*id = int64_value(0, 1);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		ReThrowError(error);
	}
	PG_END_TRY();
	if (fits)
		ReleaseCurrentSubTransaction();
	else
		RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return fits;
}

/* Run a statement that changes one slot if it fits; many: there may be other slots */
static bool
fits_slot(Statement *statement, Args *args, bool many, int64 *id)
{
	if (many)
		return try_slot(statement, args, id);
	if (write_counter(statement, args) != 1)
		return false;
	*id = int64_value(0, 1);
	return true;
}

/* ---------- rows ---------- */

/* An id for a row: by its budget, and random */
static int64
new_id(int64 budget_id)
{
	uint64		random;

	if (!pg_strong_random(&random, sizeof(random)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random values")));
	return (int64) ((uint64) budget_id << COUNTER_RANDOM_BITS |
					random >> (64 - COUNTER_RANDOM_BITS));
}

static bool
find_slot(const CounterKey *key, int64 *id)
{
	static Statement find = {
		"SELECT p.id FROM airun.budget_periods AS p WHERE " THIS_COUNTER " AND p.slot" EQ "$4",
		4, {INT8OID, TEXTOID, TEXTOID, INT4OID}
	};
	Args		args = {0};

	arg_counter(&args, key);
	arg_add(&args, Int32GetDatum(key->slot), false);
	if (write_counter(&find, &args) != 1)
		return false;
	*id = int64_value(0, 1);
	return true;
}

/* Have a slot, with nothing in it, unless it is there; returns its id */
static int64
have_slot(const CounterKey *key)
{
	static Statement insert = {
		"INSERT INTO airun.budget_periods AS p (id, budget_id, value, period_key, slot, "
		"only_user) VALUES ($4, $1, $2, $3, $5, $6) ON CONFLICT DO NOTHING",
		6, {INT8OID, TEXTOID, TEXTOID, INT8OID, INT4OID, UUIDOID}
	};
	int64		id;

	/* an id that is random may be taken */
	for (int attempt = 0; attempt < 10; attempt++)
	{
		Args		args = {0};

		if (find_slot(key, &id))
			return id;
		arg_counter(&args, key);
		arg_int64(&args, new_id(key->budget_id));
		arg_add(&args, Int32GetDatum(key->slot), false);
		arg_uuid(&args, key->is_word ? key->user_id : NULL);
		(void) write_counter(&insert, &args);
	}
	ereport(ERROR,
			(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
			 errmsg("a trigger on airun.budget_periods has suppressed a row")));
}

/* Who starts here is one more user of a word, unless she is the only one */
static void
note_user(const CounterKey *key, int64 id)
{
	static Statement update = {
		"UPDATE airun.budget_periods AS p SET only_user = NULL "
		"WHERE p.id" EQ "$1 AND ($2 IS NULL OR p.only_user" NE "$2) AND p.only_user IS NOT NULL",
		2, {INT8OID, UUIDOID}
	};
	Args		args = {0};

	if (!key->is_word)
		return;
	arg_int64(&args, id);
	arg_uuid(&args, key->user_id);
	(void) write_counter(&update, &args);
}

/*
 * Have the own slot; and all of them where several are in use, since a counter that is
 * so busy needs them, and each that comes later has the rest shared out again
 */
static void
have_slots(const CounterKey *key, int in_use, int slots)
{
	CounterKey	other = *key;

	(void) have_slot(key);
	for (other.slot = 1; in_use >= BUSY_SLOTS && other.slot <= slots; other.slot++)
		(void) have_slot(&other);
}

/* ---------- the gate ---------- */

/* 40001 where a counter has been removed since it was found: its user is being erased */
pg_noreturn static void
refuse_removed(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("could not serialize access due to a counter of a budget that was removed"),
			 errhint("Send the call again.")));
}

static bool
try_lock_gate(const CounterKey *key, Gate *gate, Numeric *credit)
{
	static Statement lock = {
		"SELECT p.id, p.credit, p.warned FROM airun.budget_periods AS p "
		"WHERE " THIS_COUNTER " AND p.slot" EQ "0 FOR NO KEY UPDATE OF p",
		3, {INT8OID, TEXTOID, TEXTOID}
	};
	Args		args = {0};

	arg_counter(&args, key);
	if (write_counter(&lock, &args) != 1)
		return false;
	gate->id = int64_value(0, 1);
	*credit = numeric_value(0, 2);
	gate->warned = numeric_value(0, 3);
	return true;
}

/* Lock the gate, and read the budget as it is by now: who changes it has locked the gate */
static void
lock_gate(const CounterKey *key, Gate *gate)
{
	static Statement read = {
		"SELECT b.amount, b.mode" EQ "'hard', b.slots, b.warn_at FROM airun.budgets AS b "
		"WHERE b.id" EQ "$1",
		1, {INT8OID}
	};
	Args		args = {0};
	Numeric		credit;
	bool		isnull;

	if (!try_lock_gate(key, gate, &credit))
	{
		CounterKey	first = *key;

		first.slot = 0;
		(void) have_slot(&first);
		if (!try_lock_gate(key, gate, &credit))
			refuse_removed();
	}
	arg_int64(&args, key->budget_id);
	if (write_counter(&read, &args) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_FOREIGN_KEY_VIOLATION),
				 errmsg("a budget that has counters is missing in airun.budgets"),
				 errhint("Budgets are ended, and never deleted: put the row back.")));
	gate->limit = decimal_add(numeric_value(0, 1), credit);
	gate->is_hard = DatumGetBool(result_value(0, 2, &isnull));
	gate->slots = DatumGetInt32(result_value(0, 3, &isnull));
	deconstruct_array(DatumGetArrayTypePCopy(result_value(0, 4, &isnull)), NUMERICOID, -1, false,
					  TYPALIGN_INT, &gate->warnings, NULL, &gate->warning_count);
}

/* Lock all slots, in order */
static void
lock_slots(const CounterKey *key, Gate *gate)
{
	static Statement lock = {
		"SELECT p.id, p.slot, p.spent" PLUS "p.estimated, p.held FROM airun.budget_periods AS p "
		"WHERE " THIS_COUNTER " ORDER BY p.slot FOR NO KEY UPDATE OF p",
		3, {INT8OID, TEXTOID, TEXTOID}
	};
	Args		args = {0};

	arg_counter(&args, key);
	gate->count = (int) write_counter(&lock, &args);
	gate->rows = palloc_array(Slot, gate->count);
	gate->own = NULL;
	for (int i = 0; i < gate->count; i++)
	{
		Slot	   *slot = &gate->rows[i];
		bool		isnull;

		slot->id = int64_value(i, 1);
		slot->number = DatumGetInt32(result_value(i, 2, &isnull));
		slot->spent = numeric_value(i, 3);
		slot->held = numeric_value(i, 4);
		if (slot->number == key->slot)
			gate->own = slot;
	}
}

static BudgetStand
stand_of(const Gate *gate)
{
	BudgetStand stand = {
		.limit = gate->limit, .spent = decimal_of(0), .held = decimal_of(0)
	};

	for (int i = 0; i < gate->count; i++)
	{
		stand.spent = decimal_add(stand.spent, gate->rows[i].spent);
		stand.held = decimal_add(stand.held, gate->rows[i].held);
	}
	return stand;
}

/* Is a slot in use, rather than from when there were more, or the gate of others? */
static bool
is_in_use(const Gate *gate, const Slot *slot)
{
	return gate->slots <= 1 ? slot->number == 0 :
		slot->number >= 1 && slot->number <= gate->slots;
}

/* What a part of the limit is */
static Numeric
part_of_limit(const Gate *gate, Datum part)
{
	return decimal_mul(gate->limit, DatumGetNumeric(part));
}

/* Up to which sum quotas may be handed out, where so much is used; NULL for any */
static Numeric
ceiling(const Gate *gate, Numeric used)
{
	Numeric		most = gate->is_hard ? gate->limit : NULL;

	for (int i = 0; i < gate->warning_count; i++)
	{
		Numeric		next = part_of_limit(gate, gate->warnings[i]);

		if (decimal_cmp(next, used) > 0 && (most == NULL || decimal_cmp(next, most) < 0))
			most = next;
	}
	return most;
}

/* Write an event, unless there is one of this part of the limit, and notify who listens */
static void
write_event(const CounterKey *key, const Gate *gate, Datum part, Numeric used)
{
	static Statement insert = {
		"INSERT INTO airun.budget_events AS e (budget_id, value, period_key, at, warn_at, "
		"amount, used) VALUES ($1, $2, $3, $4, $5, $6, $7) "
		"ON CONFLICT (budget_id, period_key, value, warn_at) DO NOTHING",
		7, {INT8OID, TEXTOID, TEXTOID, TIMESTAMPTZOID, NUMERICOID, NUMERICOID, NUMERICOID}
	};
	Args		args = {0};

	arg_counter(&args, key);
	arg_time(&args, GetCurrentTimestamp());
	arg_add(&args, part, false);
	arg_numeric(&args, gate->limit);
	arg_numeric(&args, used);
	if (write_counter(&insert, &args) == 1)
		Async_Notify("airun_budget",
					 psprintf("{\"budget_id\":" INT64_FORMAT ",\"period_id\":" INT64_FORMAT
							  ",\"warn_at\":%s}", key->budget_id, gate->id,
							  decimal_string(DatumGetNumeric(part))));
}

/* Warn of the parts of the limit that are reached now, each once */
static void
warn(const CounterKey *key, const Gate *gate, Numeric used)
{
	static Statement update = {
		"UPDATE airun.budget_periods AS p SET warned = $2 WHERE p.id" EQ "$1",
		2, {INT8OID, NUMERICOID}
	};
	Numeric		most = gate->warned;
	Args		args = {0};

	if (decimal_sign(used) <= 0)
		return;
	for (int i = 0; i < gate->warning_count; i++)
	{
		Numeric		part = DatumGetNumeric(gate->warnings[i]);

		if (decimal_cmp(part_of_limit(gate, gate->warnings[i]), used) > 0 ||
			(gate->warned != NULL && decimal_cmp(part, gate->warned) <= 0))
			continue;
		write_event(key, gate, gate->warnings[i], used);
		if (most == NULL || decimal_cmp(part, most) > 0)
			most = part;
	}
	if (most == gate->warned)
		return;
	arg_int64(&args, gate->id);
	arg_numeric(&args, most);
	(void) write_counter(&update, &args);
}

/*
 * Change the own slot, and let it and the others have the rest in shares; NULL where
 * more is used than there is: then no slot has a quota, whatever is released of it.
 */
static void
share_out(const CounterKey *key, const Gate *gate, const CounterChange *change,
		  Numeric own_share, Numeric other_share)
{
	static Statement own = {
		"UPDATE airun.budget_periods AS p SET held = p.held" PLUS "$2, spent = p.spent" PLUS "$3, "
		"estimated = p.estimated" PLUS "$4, base = p.base" PLUS "$5, "
		"quota = COALESCE(" USED PLUS "$2" PLUS "$3" PLUS "$4" PLUS "$6, 0) WHERE p.id" EQ "$1",
		6, {INT8OID, NUMERICOID, NUMERICOID, NUMERICOID, NUMERICOID, NUMERICOID}
	};
	static Statement others = {
#define OTHER_QUOTA \
	"COALESCE(" USED PLUS "CASE WHEN $7 IS NULL OR p.slot" GE "$5 AND p.slot" LE "$6 " \
	"THEN $7 ELSE 0 END, 0)"
		"UPDATE airun.budget_periods AS p SET quota = " OTHER_QUOTA
		" WHERE " THIS_COUNTER " AND p.id" NE "$4 AND p.quota" NE OTHER_QUOTA
		" AND p.id" EQ "ANY ($8)",
		8, {INT8OID, TEXTOID, TEXTOID, INT8OID, INT4OID, INT4OID, NUMERICOID, INT8ARRAYOID}
	};
	Datum	   *ids = palloc_array(Datum, gate->count);
	Args		args = {0};
	Args		rest = {0};

	arg_int64(&args, gate->own->id);
	arg_numeric(&args, change->held);
	arg_numeric(&args, change->spent);
	arg_numeric(&args, change->estimated);
	arg_numeric(&args, change->base);
	arg_numeric(&args, own_share);
	(void) write_counter(&own, &args);
	if (gate->count == 1)
		return;
	arg_counter(&rest, key);
	arg_int64(&rest, gate->own->id);
	arg_add(&rest, Int32GetDatum(gate->slots <= 1 ? 0 : 1), false);
	arg_add(&rest, Int32GetDatum(gate->slots <= 1 ? 0 : gate->slots), false);
	arg_numeric(&rest, other_share);
	/* a slot that has come since has no part in these shares */
	for (int i = 0; i < gate->count; i++)
		ids[i] = Int64GetDatum(gate->rows[i].id);
	arg_add(&rest, counters_ids(ids, gate->count), false);
	(void) write_counter(&others, &rest);
}

/* Find the shares, and write all */
static void
settle_slots(const CounterKey *key, const Gate *gate, const CounterChange *change, Numeric need,
			 Numeric used)
{
	Numeric		zero = decimal_of(0);
	Numeric		most = ceiling(gate, used);
	Numeric		rest;
	Numeric		share;
	int			in_use = 0;

	for (int i = 0; i < gate->count; i++)
	{
		if (is_in_use(gate, &gate->rows[i]))
			in_use++;
	}
	if (most == NULL)
	{
		Numeric		any = DatumGetNumeric(DirectFunctionCall3(numeric_in,
															  CStringGetDatum("Infinity"),
															  ObjectIdGetDatum(InvalidOid),
															  Int32GetDatum(-1)));

		share_out(key, gate, change, any, any);
		return;
	}
	rest = decimal_sub(most, used);
	if (decimal_sign(rest) < 0)
	{
		share_out(key, gate, change, NULL, NULL);
		return;
	}
	if (!is_in_use(gate, gate->own))
		rest = zero;
	share = decimal_share(rest, Max(in_use, 1));
	if (decimal_cmp(share, decimal_mul(need, decimal_of(WORTHY_SHARE))) >= 0)
		share_out(key, gate, change, share, share);
	else
		share_out(key, gate, change, rest, zero);
}

/*
 * Change a counter by what does not fit into its slot's quota.  asks: for whom, or
 * NULL for what has been spent already, which is never refused.  Returns the slot's id;
 * 0 where it is refused, and sets how the counter stands.
 */
static int64
through_gate(const CounterKey *key, const CounterChange *change, Numeric need,
			 const BudgetNeed *asks, BudgetStand *stand)
{
	Gate		gate;
	Numeric		used;
	CounterKey	own = *key;
	int64		id = 0;

	lock_gate(key, &gate);
	/* who had the gate before may have left enough */
	if (key->slot != 0 && slot_change(&id, &own, change, need) == SLOT_CHANGED)
		return id;
	lock_slots(key, &gate);
	if (gate.own == NULL)
	{
		have_slots(key, gate.count - 1, gate.slots);
		lock_slots(key, &gate);
		if (gate.own == NULL)
			refuse_removed();
	}
	*stand = stand_of(&gate);
	if (asks != NULL && gate.is_hard && budget_refusal_reason(asks, stand) != NULL)
		return 0;
	used = decimal_add(decimal_add(stand->spent, stand->held), need);
	settle_slots(key, &gate, change, need, used);
	note_user(key, gate.own->id);
	warn(key, &gate, used);
	return gate.own->id;
}

/* ---------- for tasks and calls ---------- */

/* Hold what is needed of a slot, by a statement; false where it does not fit */
static bool
take_by_statement(const CounterKey *key, Numeric amount, int64 *id)
{
	static Statement take = {
		"UPDATE airun.budget_periods AS p SET held = p.held" PLUS "$5, "
		"only_user = CASE WHEN p.only_user" EQ "$6 THEN p.only_user END "
		"WHERE " THIS_COUNTER " AND p.slot" EQ "$4 AND " USED PLUS "$5" LT "p.quota "
		"RETURNING p.id",
		6, {INT8OID, TEXTOID, TEXTOID, INT4OID, NUMERICOID, UUIDOID}
	};
	Args		args = {0};

	arg_counter(&args, key);
	arg_add(&args, Int32GetDatum(key->slot), false);
	arg_numeric(&args, amount);
	arg_uuid(&args, key->user_id);
	return fits_slot(&take, &args, key->slot != 0, id);
}

/* The slot of a counter for who starts here */
CounterKey
counter_key(const Budget *budget, const char *value, const char *period_key,
			const BudgetSubject *subject)
{
	return (CounterKey) {
		.budget_id = budget->id,
		.value = value,
		.period_key = period_key,
		.slot = home_slot(budget->slots),
		.is_word = (budget->scope == SCOPE_TAG || budget->scope == SCOPE_METADATA) &&
			budget->scope_value == NULL,
		.user_id = subject->user_id.isnull ? NULL : DatumGetUUIDP(subject->user_id.value)
	};
}

/*
 * Hold what is needed of a counter.  Returns the slot's id; 0 where it does not fit, and
 * sets how the counter stands.
 */
int64
counter_take(const CounterKey *key, const BudgetNeed *need, BudgetStand *stand)
{
	CounterKey	found = *key;
	Numeric		zero = decimal_of(0);
	CounterChange change = {need->amount, zero, zero, zero};
	int64		id = 0;
	SlotAnswer	answer = slot_change(&id, &found, &change, need->amount);

	if (answer == SLOT_CHANGED ||
		(answer == SLOT_NEEDS_STATEMENT && take_by_statement(key, need->amount, &id)))
		return id;
	return through_gate(key, &change, need->amount, need, stand);
}

/* Is the slot there, and its user known?  Then counter_find() changes nothing. */
bool
counter_is_settled(const CounterKey *key)
{
	static Statement find = {
		"SELECT FROM airun.budget_periods AS p WHERE " THIS_COUNTER " AND p.slot" EQ "$4 "
		"AND (p.only_user IS NULL OR p.only_user" EQ "$5)",
		5, {INT8OID, TEXTOID, TEXTOID, INT4OID, UUIDOID}
	};
	Args		args = {0};

	arg_counter(&args, key);
	arg_add(&args, Int32GetDatum(key->slot), false);
	arg_uuid(&args, key->user_id);
	return write_counter(&find, &args) == 1;
}

/*
 * The slot of a counter, of which nothing is needed yet.  locks: it is going to be charged in
 * this transaction, behind others that are locked, and so all of it is locked in its place.
 */
int64
counter_find(const CounterKey *key, bool locks)
{
	Gate		gate;
	int64		id;

	/* a new slot is behind the gate, whoever makes it */
	if (locks || (key->slot != 0 && !find_slot(key, &id)))
		lock_gate(key, &gate);
	id = have_slot(key);
	note_user(key, id);
	if (locks)
		lock_slots(key, &gate);
	return id;
}

/* The counter that a slot is of; false where it is gone */
static bool
find_counter(int64 id, CounterKey *key)
{
	static Statement find = {
		"SELECT p.budget_id, p.slot, p.value, p.period_key FROM airun.budget_periods AS p "
		"WHERE p.id" EQ "$1",
		1, {INT8OID}
	};
	Args		args = {0};
	bool		isnull;

	arg_int64(&args, id);
	if (write_counter(&find, &args) != 1)
		return false;
	key->budget_id = int64_value(0, 1);
	key->slot = DatumGetInt32(result_value(0, 2, &isnull));
	key->value = TextDatumGetCString(result_value(0, 3, &isnull));
	key->period_key = TextDatumGetCString(result_value(0, 4, &isnull));
	return true;
}

/* What slots are of, by their ids, a bigint[]: in keys, in their places, where they are there */
void
counters_read(Datum ids, CounterKey *keys)
{
	static Statement read = {
		"SELECT k.number, p.budget_id, p.slot, p.value, p.period_key "
		"FROM pg_catalog.unnest($1) WITH ORDINALITY AS k (id, number) "
		"JOIN airun.budget_periods AS p ON p.id" EQ "k.id",
		1, {INT8ARRAYOID}
	};
	Args		args = {0};
	uint64		found;
	bool		isnull;

	arg_add(&args, ids, false);
	found = write_counter(&read, &args);
	for (uint64 i = 0; i < found; i++)
		keys[int64_value(i, 1) - 1] = (CounterKey) {
			.budget_id = int64_value(i, 2),
			.slot = DatumGetInt32(result_value(i, 3, &isnull)),
			.value = TextDatumGetCString(result_value(i, 4, &isnull)),
			.period_key = TextDatumGetCString(result_value(i, 5, &isnull)),
		};
}

/* The order in which counters are locked; of a budget, what is not there comes first */
int
counter_order(const CounterKey *a, const CounterKey *b)
{
	int			order = a->budget_id < b->budget_id ? -1 : a->budget_id > b->budget_id;

	if (order == 0 && (a->value == NULL || b->value == NULL))
		return (a->value != NULL) - (b->value != NULL);
	if (order == 0)
		order = strcmp(a->value, b->value);
	if (order == 0)
		order = strcmp(a->period_key, b->period_key);
	return order != 0 ? order : a->slot - b->slot;
}

/* For who changes several slots of it */
void
counter_lock_gate(const CounterKey *key)
{
	Gate		gate;

	lock_gate(key, &gate);
}

/* Lock the counters of these slots, a bigint[], and others, all slots of each, in order */
void
counters_lock(Datum ids, const CounterKey *others, int other_count)
{
	static Statement lock = {
		"SELECT FROM airun.budget_periods AS p WHERE p.id" EQ "ANY (ARRAY(SELECT s.id FROM ("
		"SELECT q.budget_id, q.value, q.period_key FROM airun.budget_periods AS q "
		"WHERE q.id" EQ "ANY ($1) UNION SELECT k.budget_id, k.value, k.period_key "
		"FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4)) "
		"AS k (budget_id, value, period_key)) AS c JOIN airun.budget_periods AS s "
		"ON s.budget_id" EQ "c.budget_id AND s.value" EQ "c.value "
		"AND s.period_key" EQ "c.period_key)) "
		"ORDER BY p.budget_id, p.value COLLATE pg_catalog.\"C\", "
		"p.period_key COLLATE pg_catalog.\"C\", p.slot FOR NO KEY UPDATE OF p",
		4, {INT8ARRAYOID, INT8ARRAYOID, TEXTARRAYOID, TEXTARRAYOID}
	};
	Datum	   *budgets = palloc_array(Datum, Max(other_count, 1));
	Datum	   *values = palloc_array(Datum, Max(other_count, 1));
	Datum	   *periods = palloc_array(Datum, Max(other_count, 1));
	Args		args = {0};

	for (int i = 0; i < other_count; i++)
	{
		budgets[i] = Int64GetDatum(others[i].budget_id);
		values[i] = CStringGetTextDatum(others[i].value);
		periods[i] = CStringGetTextDatum(others[i].period_key);
	}
	arg_add(&args, ids, false);
	arg_add(&args, counters_ids(budgets, other_count), false);
	arg_pointer(&args, construct_array(values, other_count, TEXTOID, -1, false, TYPALIGN_INT));
	arg_pointer(&args, construct_array(periods, other_count, TEXTOID, -1, false, TYPALIGN_INT));
	(void) write_counter(&lock, &args);
}

#define CHANGE_SLOT \
	"UPDATE airun.budget_periods AS p SET held = p.held" PLUS "$2, spent = p.spent" PLUS "$3, " \
	"estimated = p.estimated" PLUS "$4, base = p.base" PLUS "$5 WHERE p.id" EQ "$1 "

/* Change a slot by a statement, if need still fits or is NULL; key is set for who has to go on */
static bool
change_by_statement(int64 id, const CounterChange *change, Numeric need, CounterKey *key)
{
	static Statement release = {
		CHANGE_SLOT, 5, {INT8OID, NUMERICOID, NUMERICOID, NUMERICOID, NUMERICOID}
	};
	static Statement add = {
		CHANGE_SLOT "AND " USED PLUS "$6" LT "p.quota RETURNING p.id",
		6, {INT8OID, NUMERICOID, NUMERICOID, NUMERICOID, NUMERICOID, NUMERICOID}
	};
	Args		args = {0};

	arg_int64(&args, id);
	arg_numeric(&args, change->held);
	arg_numeric(&args, change->spent);
	arg_numeric(&args, change->estimated);
	arg_numeric(&args, change->base);
	if (need == NULL)
	{
		(void) write_counter(&release, &args);
		return true;
	}
	arg_numeric(&args, need);
	return find_counter(id, key) && fits_slot(&add, &args, key->slot != 0, &id);
}

/* Change a counter by what has become of a task or call that holds of it; never refused */
void
counter_change(int64 id, const CounterChange *change)
{
	Numeric		sum = decimal_add(decimal_add(change->held, change->spent), change->estimated);
	Numeric		need = decimal_sign(sum) > 0 ? sum : NULL;
	CounterKey	key = {0};
	BudgetStand stand;
	SlotAnswer	answer = slot_change(&id, &key, change, need);

	if (answer == SLOT_CHANGED ||
		(answer == SLOT_NEEDS_STATEMENT && change_by_statement(id, change, need, &key)))
		return;
	/* else the slot is gone, or full */
	if (key.value != NULL)
		(void) through_gate(&key, change, sum, NULL, &stand);
}
