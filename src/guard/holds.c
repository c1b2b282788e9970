/*
 * holds.c
 *		Budgets at the second wall.
 *
 * A task that is inserted past the functions holds of the budgets that it counts in, as
 * one that they create.  It does so before its row is there, and the row may never be:
 * ON CONFLICT or a trigger of the site's may skip it.  So one whose id is taken already
 * holds nothing, and when the statement has ended, what was held for rows that are not
 * there is released.
 *
 * What holds and is deleted, task or call, releases that; tasks that are changed or
 * deleted otherwise, task_entry.c tells of.
 *
 * Locks: counters of budgets.
 *
 * Errors: PT402 for a task that does not fit into a budget.
 */
#include "guard/holds.h"

#include "access/xact.h"
#include "budget/budget.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "store/store.h"
#include "task/task.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(airun_roll_up_calls);

#define SUBJECT_OF_ROW(name)	subject.name = row_new(row, #name);

/* What a row that is being inserted holds */
typedef struct NewHold
{
	pg_uuid_t	run_id;
	pg_uuid_t	task_id;
	Field		holds;
	int			depth;			/* of the trigger */
	SubTransactionId subid;
} NewHold;

/* Of statements that go on; in the transaction's memory, and gone with it */
static List *new_holds = NIL;

static void
forget_new_holds(void *arg)
{
	new_holds = NIL;
}

/* Note what a row that is being inserted holds */
static void
note_new_hold(const BudgetSubject *subject, const pg_uuid_t *task_id, Field holds)
{
	MemoryContext old_context = MemoryContextSwitchTo(TopTransactionContext);
	NewHold    *new = palloc_object(NewHold);

	if (new_holds == NIL)
	{
		MemoryContextCallback *callback = palloc0_object(MemoryContextCallback);

		callback->func = forget_new_holds;
		MemoryContextRegisterResetCallback(TopTransactionContext, callback);
	}
	*new = (NewHold) {
		.run_id = *subject->run_id,
		.task_id = *task_id,
		.holds = {PointerGetDatum(DatumGetTextPCopy(holds.value)), false},
		.depth = trigger_depth(),
		.subid = GetCurrentSubTransactionId(),
	};
	new_holds = lappend(new_holds, new);
	MemoryContextSwitchTo(old_context);
}

/* Is there a task with this id in a run that is locked, whoever may see it? */
static bool
is_there(const pg_uuid_t *run_id, const pg_uuid_t *task_id)
{
	static Statement find = {
		"SELECT FROM airun.tasks AS t WHERE " THIS_TASK, 2, {UUIDOID, UUIDOID}
	};
	Args		args = {0};
	bool		found;

	arg_uuid(&args, run_id);
	arg_uuid(&args, task_id);
	store_open(true);
	found = statement_write_as_owner(&find, &args, store_table_owner("tasks")) > 0;
	store_close();
	return found;
}

/*
 * A statement that inserts tasks has ended: release what was held for rows that it has
 * skipped.  What statements hold within which this one has run, from a trigger of theirs,
 * is theirs to release.
 */
void
guard_release_skipped(void)
{
	BudgetChanges *changes;
	ListCell   *cell;

	if (new_holds == NIL)
		return;
	store_open(true);
	changes = budget_changes_begin();
	foreach(cell, new_holds)
	{
		NewHold    *new = lfirst(cell);
		BudgetState before = {.holds = new->holds};

		if (SubTransactionIsActive(new->subid) && new->depth < trigger_depth())
			continue;
		/* what has been undone is held by nobody */
		if (SubTransactionIsActive(new->subid) && !is_there(&new->run_id, &new->task_id))
			budget_changes_add(changes, &before, NULL);
		new_holds = foreach_delete_current(new_holds, cell);
	}
	budget_changes_write(changes);
	store_close();
}

/*
 * Have a task that is inserted hold of the budgets that it counts in.  What happened
 * before, and is brought in now, counts in none.
 */
void
guard_hold(Row *row, const Field *request_data, bool has_ended)
{
	BudgetSubject subject = {
		.run_id = DatumGetUUIDP(row_new(row, "run_id").value),
		.request_data = *request_data,
		.at = DatumGetTimestampTz(row_new(row, "created_at").value),
		.is_paid = has_ended,
	};
	pg_uuid_t  *task_id = DatumGetUUIDP(row_new(row, "task_id").value);
	Field		holds;

	if (!budget_is_any() || is_there(subject.run_id, task_id))
		return;
	SUBJECT_OF_ROW(user_id)
	SUBJECT_OF_ROW(service)
	SUBJECT_OF_ROW(task_name)
	SUBJECT_OF_ROW(provider)
	SUBJECT_OF_ROW(endpoint)
	SUBJECT_OF_ROW(model_id)
	SUBJECT_OF_ROW(metadata)
	holds = budget_take(&subject);
	if (holds.isnull)
		return;
	row_set(row, "holds", holds.value, false);
	if (!has_ended)
		note_new_hold(&subject, task_id, holds);
}

/*
 * Tasks or calls are gone, all of them: what counters hold and tell by rows is that
 * of the others
 */
void
guard_release_all(Oid function)
{
	static Statement release = {
		"UPDATE airun.budget_periods AS p SET held = d.held, "
		"base = p.spent" PLUS "p.estimated" MINUS "d.charged "
		"FROM airun.budget_periods AS q LEFT JOIN " EXTSCHEMA ".airun_store_budget_parts() AS s "
		"ON s.counter" EQ "q.id CROSS JOIN LATERAL (SELECT COALESCE(s.held, 0) AS held, "
		"COALESCE(s.spent" PLUS "s.estimated, 0) AS charged) AS d WHERE q.id" EQ "p.id "
		"AND (p.held" NE "d.held OR p.base" NE "(p.spent" PLUS "p.estimated" MINUS "d.charged))",
		0, {0}
	};
	Args		args = {0};

	statement_in_extension(&release, function);
	statement_write_as_owner(&release, &args, store_table_owner("budget_periods"));
}

/* The columns of a call that its holds ask for, in the order of their numbers */
enum
{
	OF_CALL_holds,
	OF_CALL_completed_at,
	OF_CALL_status,
	OF_CALL_cost,
	OF_CALL_tokens_total,
	OF_CALL_COUNT
};

static const char *const call_names[OF_CALL_COUNT] = {
	"holds", "completed_at", "status", "cost", "tokens_total"
};

/* A call in a slot, as far as its holds ask */
static BudgetState
budget_state_of_call(TupleTableSlot *slot, const int *numbers)
{
	Field		fields[OF_CALL_COUNT];

	for (int i = 0; i < OF_CALL_COUNT; i++)
		fields[i].value = slot_getattr(slot, numbers[i], &fields[i].isnull);
	return (BudgetState) {
		.holds = fields[OF_CALL_holds],
		.has_ended = !fields[OF_CALL_completed_at].isnull,
		.is_completed = strcmp(TextDatumGetCString(fields[OF_CALL_status].value),
							   "completed") == 0,
		.cost = fields[OF_CALL_cost],
		.tokens = fields[OF_CALL_tokens_total],
	};
}

/* Release what the calls held that a statement has deleted */
static void
release_calls(TriggerData *trigger)
{
	TupleDesc	desc = RelationGetDescr(trigger->tg_relation);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	BudgetChanges *changes = budget_changes_begin();
	int			numbers[OF_CALL_COUNT];

	for (int i = 0; i < OF_CALL_COUNT; i++)
	{
		numbers[i] = SPI_fnumber(desc, call_names[i]);
		if (numbers[i] <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of airun.calls is missing", call_names[i]),
					 errhint("Run SELECT airun_install() as the owner of the store.")));
	}
	while (tuplestore_gettupleslot(trigger->tg_oldtable, true, false, slot))
	{
		BudgetState before;
		bool		isnull;

		CHECK_FOR_INTERRUPTS();
		(void) slot_getattr(slot, numbers[OF_CALL_holds], &isnull);
		if (isnull)
			continue;
		before = budget_state_of_call(slot, numbers);
		budget_changes_add(changes, &before, NULL);
	}
	ExecDropSingleTupleTableSlot(slot);
	budget_changes_write(changes);
}

/*
 * airun_roll_up_calls() returns trigger
 *
 * AFTER DELETE with old_rows, AFTER TRUNCATE; for each statement.
 */
Datum
airun_roll_up_calls(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = trigger_data(fcinfo, "airun", "calls", TRIGGER_EVENT_AFTER,
										ON_DELETE | ON_TRUNCATE);

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
		release_calls(trigger);
	else
		guard_release_all(fcinfo->flinfo->fn_oid);
	store_close();
	return PointerGetDatum(NULL);
}
