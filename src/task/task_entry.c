/*
 * task_entry.c
 *		What the ledger is told of tasks.
 *
 * Budgets are told at the same places, as far as the task holds of any (budget_hold.c).
 *
 * A task is entered when it has ended, and entered anew when what it has used or
 * cost changes after that (ledger.c): by the functions that end it, and for whatever
 * else changes tasks by the triggers of statements.  Tasks that are deleted are not,
 * since they have been paid for.
 *
 * The source of the run is that which it has by then.
 *
 * Locks: counters of budgets, after what whoever calls this has locked.
 */
#include "task/task_entry.h"

#include "access/table.h"
#include "budget/budget.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "store/identity.h"
#include "store/store.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

static const Field unknown = {(Datum) 0, true};

/* A column of the summary */
static Field
summary_field(const ResultRow *summary, int column)
{
	Field		field;

	field.value = result_row_value(summary, column, &field.isnull);
	return field;
}

/* What restored rows may lack, since no trigger has seen them */
static Field
price_status_or_none(Field status)
{
	return status.isnull ? (Field) {CStringGetTextDatum("unpriced"), false} : status;
}

#define OF_SUMMARY(name)	summary_field(summary, Anum_task_summary_##name)

/* The entry of a task that has ended, as its summary and its usage_buckets tell it */
UsageEntry
task_entry(const ResultRow *summary, const Field *buckets, const Field *source_type)
{
	Field		total = OF_SUMMARY(tokens_total);
	Field		output = OF_SUMMARY(tokens_output);
	Field		first_token = OF_SUMMARY(time_to_first_token);
	Field		total_time = OF_SUMMARY(total_time);
	UsageEntry	entry = {
		.at = DatumGetTimestampTz(OF_SUMMARY(created_at).value),
		.kind = "task",
		.charge_id = *DatumGetUUIDP(OF_SUMMARY(task_id).value),
		.user_id = OF_SUMMARY(user_id),
		.status = OF_SUMMARY(status),
		.price_status = price_status_or_none(OF_SUMMARY(price_status)),
		.source_type = *source_type,
		.service = OF_SUMMARY(service),
		.task_name = OF_SUMMARY(task_name),
		.provider = OF_SUMMARY(provider),
		.model_id = OF_SUMMARY(model_id),
		.served_model = OF_SUMMARY(served_model),
		.cost = OF_SUMMARY(cost),
	};

	usage_set_tokens(&entry, &total, &output, buckets);
	usage_set_times(&entry, &first_token, &total_time);
	return entry;
}

/* The entry of a task as it was locked, once it has ended; the rest is as in another one of it */
static UsageEntry
entry_of_state(const TaskState *state, const UsageEntry *other)
{
	UsageEntry	entry = *other;

	entry.status = (Field) {CStringGetTextDatum(task_status_name(state->status)), false};
	entry.price_status = price_status_or_none(state->price_status);
	entry.served_model = state->served_model;
	entry.cost = state->cost;
	usage_set_tokens(&entry, &state->tokens_total, &state->tokens_output, &state->usage_buckets);
	usage_set_times(&entry, &state->time_to_first_token, &state->total_time);
	return entry;
}

/* A task as it was locked, as far as its holds ask */
static BudgetState
budget_state_before(const TaskState *state)
{
	return (BudgetState) {
		.holds = state->holds,
		.has_ended = task_is_final(state->status),
		.is_completed = state->status == TASK_COMPLETED,
		.cost = state->cost,
		.tokens = state->tokens_total,
		.length = state->response_length,
	};
}

/* A task that has ended, likewise, as its summary tells it */
BudgetState
task_budget_state(const ResultRow *summary, const Field *holds)
{
	Field		status = OF_SUMMARY(status);

	return (BudgetState) {
		.holds = *holds,
		.has_ended = true,
		.is_completed = task_status_word(DatumGetTextPP(status.value)) == TASK_COMPLETED,
		.cost = OF_SUMMARY(cost),
		.tokens = OF_SUMMARY(tokens_total),
		.length = DatumGetInt64(OF_SUMMARY(response_length).value),
	};
}

/* Tell budgets of a task that has been ended or changed */
static void
settle_budgets(const TaskState *before, const ResultRow *summary)
{
	BudgetState was;
	BudgetState is;

	if (before->holds.isnull)
		return;
	was = budget_state_before(before);
	is = task_budget_state(summary, &before->holds);
	budget_settle(&was, &is);
}

/*
 * Enter a task that has been ended, or has been given what it lacked.  before: as
 * it was locked; buckets: its usage_buckets by now.
 */
void
task_enter_end(const TaskState *before, const ResultRow *summary, const Field *buckets)
{
	UsageEntry	after = task_entry(summary, buckets, &before->run.source_type);
	UsageEntry	was;

	if (!task_is_final(before->status))
		usage_write_entry(&after, 1);
	else
	{
		was = entry_of_state(before, &after);
		usage_write_change(&was, &after);
	}
	settle_budgets(before, summary);
}

/* ---------- rows of statements ---------- */

#define ROW_LIST(COLUMN) \
	COLUMN(run_id) COLUMN(task_id) COLUMN(created_at) COLUMN(completed_at) COLUMN(user_id) \
	COLUMN(status) COLUMN(price_status) COLUMN(service) COLUMN(task_name) COLUMN(provider) \
	COLUMN(model_id) COLUMN(served_model) COLUMN(cost) COLUMN(tokens_total) \
	COLUMN(tokens_output) COLUMN(usage_buckets) COLUMN(time_to_first_token) COLUMN(total_time) \
	COLUMN(holds) COLUMN(response_length)
#define ROW_NAME(name)		#name,
#define ROW_NUMBER(name)	ROW_##name,

static ColumnList row_columns = {TABLE_TASKS, {ROW_LIST(ROW_NAME)}};
enum
{
	ROW_LIST(ROW_NUMBER)
};

/* The rows of a transition table, one after the other */
typedef struct Rows
{
	Tuplestorestate *store;
	TupleTableSlot *slot;
} Rows;

static Rows
begin_rows(Tuplestorestate *store, Relation relation)
{
	tuplestore_select_read_pointer(store, 0);
	tuplestore_rescan(store);
	return (Rows) {
		store, MakeSingleTupleTableSlot(RelationGetDescr(relation), &TTSOpsMinimalTuple)
	};
}

static Field
row_field(const Rows *rows, int column)
{
	Field		field;

	field.value = slot_getattr(rows->slot, row_columns.numbers[column], &field.isnull);
	return field;
}

/* The source of a run, deleted or not */
static Field
source_of_run(const pg_uuid_t *run_id)
{
	static Statement find = {
		"SELECT r.source_type FROM airun.runs AS r WHERE r.id" EQ "$1", 1, {UUIDOID}
	};
	Args		args = {0};
	Field		source = unknown;

	arg_uuid(&args, run_id);
	if (statement_write_as_owner(&find, &args, store_table_owner("runs")) == 1)
		source.value = result_value(0, 1, &source.isnull);
	return source;
}

/* The entry of a task that has ended, from its row */
static UsageEntry
entry_of_row(const Rows *rows, const Field *source_type)
{
	Field		total = row_field(rows, ROW_tokens_total);
	Field		output = row_field(rows, ROW_tokens_output);
	Field		buckets = row_field(rows, ROW_usage_buckets);
	Field		first_token = row_field(rows, ROW_time_to_first_token);
	Field		total_time = row_field(rows, ROW_total_time);
	UsageEntry	entry = {
		.at = DatumGetTimestampTz(row_field(rows, ROW_created_at).value),
		.kind = "task",
		.charge_id = *DatumGetUUIDP(row_field(rows, ROW_task_id).value),
		.user_id = row_field(rows, ROW_user_id),
		.status = row_field(rows, ROW_status),
		.price_status = price_status_or_none(row_field(rows, ROW_price_status)),
		.source_type = *source_type,
		.service = row_field(rows, ROW_service),
		.task_name = row_field(rows, ROW_task_name),
		.provider = row_field(rows, ROW_provider),
		.model_id = row_field(rows, ROW_model_id),
		.served_model = row_field(rows, ROW_served_model),
		.cost = row_field(rows, ROW_cost),
	};

	usage_set_tokens(&entry, &total, &output, &buckets);
	usage_set_times(&entry, &first_token, &total_time);
	return entry;
}

/* The source of a run, which is looked for once where a statement has many tasks of it */
typedef struct RunSource
{
	MemoryContext context;			/* where it is kept */
	bool		is_known;
	pg_uuid_t	run_id;
	Field		source_type;
} RunSource;

static void
find_source(RunSource *source, const pg_uuid_t *run_id)
{
	MemoryContext old_context;

	if (source->is_known && uuid_equal(&source->run_id, run_id))
		return;
	source->source_type = source_of_run(run_id);
	old_context = MemoryContextSwitchTo(source->context);
	if (!source->source_type.isnull)
		source->source_type.value = datumCopy(source->source_type.value, false, -1);
	MemoryContextSwitchTo(old_context);
	source->run_id = *run_id;
	source->is_known = true;
}

/* A task's row, as far as its holds ask */
static BudgetState
budget_state_of_row(const Rows *rows)
{
	TaskStatus	status = task_status_word(DatumGetTextPP(row_field(rows, ROW_status).value));

	return (BudgetState) {
		.holds = row_field(rows, ROW_holds),
		.has_ended = !row_field(rows, ROW_completed_at).isnull,
		.is_completed = status == TASK_COMPLETED,
		.cost = row_field(rows, ROW_cost),
		.tokens = row_field(rows, ROW_tokens_total),
		.length = DatumGetInt64(row_field(rows, ROW_response_length).value),
	};
}

/*
 * Tell budgets what has become of one task.  One that is new holds already: there is
 * more to tell only where it has ended, too.
 */
static void
change_budgets(const Rows *is, const Rows *was, BudgetChanges *changes)
{
	BudgetState before;
	BudgetState after;

	if (row_field(is, ROW_holds).isnull)
		return;
	after = budget_state_of_row(is);
	if (was != NULL)
		before = budget_state_of_row(was);
	if (was != NULL || after.has_ended)
		budget_changes_add(changes, was != NULL ? &before : NULL, &after);
}

/* Enter what has become of one task; was: NULL for one that is new */
static void
enter_row(const Rows *is, const Rows *was, RunSource *source)
{
	UsageEntry	after;
	UsageEntry	before;

	if (row_field(is, ROW_completed_at).isnull)
		return;
	find_source(source, DatumGetUUIDP(row_field(is, ROW_run_id).value));
	after = entry_of_row(is, &source->source_type);
	if (was == NULL || row_field(was, ROW_completed_at).isnull)
	{
		usage_write_entry(&after, 1);
		return;
	}
	before = entry_of_row(was, &source->source_type);
	usage_write_change(&before, &after);
}

static void
find_row_columns(void)
{
	if (!store_find_columns(&row_columns))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("a column of airun.tasks is missing"),
				 errhint("Run SELECT airun_install() as the owner of the store.")));
}

/* Release what the tasks held that a statement has deleted, for its trigger */
void
task_release_rows(TriggerData *trigger)
{
	Rows		was = begin_rows(trigger->tg_oldtable, trigger->tg_relation);
	BudgetChanges *changes = budget_changes_begin();

	find_row_columns();
	while (tuplestore_gettupleslot(was.store, true, false, was.slot))
	{
		BudgetState before;

		CHECK_FOR_INTERRUPTS();
		if (row_field(&was, ROW_holds).isnull)
			continue;
		before = budget_state_of_row(&was);
		budget_changes_add(changes, &before, NULL);
	}
	ExecDropSingleTupleTableSlot(was.slot);
	budget_changes_write(changes);
}

/*
 * Enter the tasks that a statement has inserted or changed, for its trigger.  The
 * server keeps old rows and new ones in the same order.
 */
void
task_enter_rows(TriggerData *trigger)
{
	bool		is_update = trigger->tg_oldtable != NULL;
	Rows		is = begin_rows(trigger->tg_newtable, trigger->tg_relation);
	Rows		was = {0};
	RunSource	source = {.context = CurrentMemoryContext};
	BudgetChanges *changes = budget_changes_begin();
	MemoryContext row_context = AllocSetContextCreate(CurrentMemoryContext, "airun usage entry",
													  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old_context;

	if (is_update)
		was = begin_rows(trigger->tg_oldtable, trigger->tg_relation);
	find_row_columns();
	while (tuplestore_gettupleslot(is.store, true, false, is.slot))
	{
		CHECK_FOR_INTERRUPTS();
		if (is_update && !tuplestore_gettupleslot(was.store, true, false, was.slot))
			elog(ERROR, "an old row of airun.tasks is missing");
		/* a row that comes from disk belongs to its slot, and not to row_context */
		old_context = MemoryContextSwitchTo(row_context);
		enter_row(&is, is_update ? &was : NULL, &source);
		change_budgets(&is, is_update ? &was : NULL, changes);
		MemoryContextSwitchTo(old_context);
		MemoryContextReset(row_context);
	}
	ExecDropSingleTupleTableSlot(is.slot);
	if (is_update)
		ExecDropSingleTupleTableSlot(was.slot);
	MemoryContextDelete(row_context);
	budget_changes_write(changes);
}
