/*
 * reprice.c
 *		What has been used, charged again.
 *
 * A task that has ended without a price, or by one that has been corrected
 * since, is charged anew by the prices that were in force when it was created.
 * Its run's total moves by the difference in the same transaction, so that it
 * is the sum of its tasks throughout.  Deleted runs keep their money, and so
 * they are charged as well.  On a shard, what is moving is left for another time.
 *
 * Tasks are gone through in the order of their runs, some at a time, and calls
 * that belong to no run after them: all by airun_reprice(), or the next ones by
 * airun_store_reprice(), for upkeep, which leaves what somebody holds and says so.
 *
 * What would have another cost is locked and read again before it is charged, since it
 * may have got a usage meanwhile.
 *
 * Locks: the rows of the runs that change, in the order of their ids, each with its
 * tasks that do, then of calls, and counters of budgets at last.
 *
 * Errors: 42501 for everybody but the owner of the store, since it moves
 * everybody's totals; PT422 for values.
 */
#include "airun.h"

#include "access/htup_details.h"
#include "budget/budget.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "pricing/charge.h"
#include "run/run.h"
#include "shard/shard_call.h"
#include "store/identity.h"
#include "store/plans.h"
#include "store/store.h"
#include "task/task.h"
#include "task/task_entry.h"
#include "usage/utility_call.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(airun_reprice);
PG_FUNCTION_INFO_V1(airun_store_reprice);

/* The columns of ai_repricing */
#define REPORT_COLUMNS	7

/* What is read of each task */
#define REPRICED_COLUMNS	24

/* Tasks read at a time */
#define BATCH	500

/* What repricing makes of one model: ai_repricing */
typedef struct Report
{
	struct Report *next;
	text	   *provider;		/* NULL for none */
	text	   *model_id;		/* NULL for none */
	int64		tasks;
	int64		changed;
	Numeric		before;
	Numeric		after;
	char	   *reason;			/* why one of them was not changed, or NULL */
} Report;

/* What is going on */
typedef struct Repricing
{
	bool		dry_run;
	int64		left;			/* tasks that may still be changed */
	Report	   *reports;
	MemoryContext context;		/* where they live */
	Bitmapset  *moving;			/* buckets of users that are left out */
	bool		skips_locked;	/* what somebody holds is left out */
	bool		has_left_out;
	pg_uuid_t	locked_run;
	Field		source_type;	/* of that */
	bool		any_locked;
} Repricing;

static Numeric
add(Numeric sum, const Field *amount)
{
	if (amount->isnull)
		return sum;
	return DatumGetNumeric(DirectFunctionCall2(numeric_add, NumericGetDatum(sum),
											   amount->value));
}

static bool
same_word(const text *a, const Field *b)
{
	text	   *word = b->isnull ? NULL : DatumGetTextPP(b->value);

	if (a == NULL || word == NULL)
		return a == NULL && word == NULL;
	return VARSIZE_ANY_EXHDR(a) == VARSIZE_ANY_EXHDR(word) &&
		memcmp(VARDATA_ANY(a), VARDATA_ANY(word), VARSIZE_ANY_EXHDR(a)) == 0;
}

static text *
copy_word(const Field *field)
{
	text	   *word = field->isnull ? NULL : DatumGetTextPP(field->value);

	return word == NULL ? NULL :
		cstring_to_text_with_len(VARDATA_ANY(word), VARSIZE_ANY_EXHDR(word));
}

/* The report of a model, moved to the front: tasks of one model come together */
static Report *
report_of(Repricing *repricing, const Field *provider, const Field *model_id)
{
	Report	  **link = &repricing->reports;
	Report	   *report;

	while ((report = *link) != NULL)
	{
		if (same_word(report->model_id, model_id) && same_word(report->provider, provider))
		{
			*link = report->next;
			break;
		}
		link = &report->next;
	}
	if (report == NULL)
	{
		report = palloc0_object(Report);
		report->provider = copy_word(provider);
		report->model_id = copy_word(model_id);
		report->before = report->after = int64_to_numeric(0);
	}
	report->next = repricing->reports;
	repricing->reports = report;
	return report;
}

#define LOCK_RUN \
	"SELECT r.source_type, r.user_id FROM airun.runs AS r WHERE r.id" EQ "$1 " \
	"FOR NO KEY UPDATE OF r"

/*
 * Lock a run, deleted or not.  False where the caller may not change it, it is moving, or
 * somebody holds it and it is not waited for.
 */
static bool
lock_run(Repricing *repricing, const pg_uuid_t *run_id)
{
	static Statement lock[] = {
		{LOCK_RUN, 1, {UUIDOID}},
		{LOCK_RUN " SKIP LOCKED", 1, {UUIDOID}}
	};
	MemoryContext old_context;
	Args		args = {0};
	Field		user;
	bool		isnull;

	if (repricing->any_locked && uuid_equal(&repricing->locked_run, run_id))
		return true;
	arg_uuid(&args, run_id);
	if (statement_write(&lock[repricing->skips_locked], &args) != 1)
		return false;
	user.value = result_value(0, 2, &user.isnull);
	if (shard_has_user(repricing->moving, &user))
		return false;
	old_context = MemoryContextSwitchTo(repricing->context);
	repricing->source_type = (Field) {
		datumCopy(result_value(0, 1, &isnull), false, -1), false
	};
	MemoryContextSwitchTo(old_context);
	repricing->locked_run = *run_id;
	repricing->any_locked = true;
	return true;
}

/* Tell budgets of a task, by its summary with its holds, that has had another cost before */
static void
tell_budgets(const ResultRow *summary, const Field *before)
{
	Field		holds;
	BudgetState was;
	BudgetState is;

	holds.value = result_row_value(summary, Natts_task_summary + 1, &holds.isnull);
	if (holds.isnull)
		return;
	is = task_budget_state(summary, &holds);
	was = is;
	was.cost = *before;
	budget_settle(&was, &is);
}

/* What is looked at, of tasks and calls aliased t, beside the keys */
#define REPRICED(response_data) \
	"t.provider, t.model_id, t.usage, t.tokens_input, t.tokens_output, t.cost, t.created_at, " \
	"t.client_cost, t.cost_details, t.endpoint, " response_data ", t.metadata, t.served_model, " \
	"t.service_tier, t.region, t.speed, t.provider_cost, t.billed, t.price_status, " \
	"t.usage_buckets, t.tokens_total"

/* Some of the columns, from 0 */
enum
{
	FOUND_RUN = 0,
	FOUND_ID = 1,
	FOUND_COST = 7,
	FOUND_STATUS = 20,
	FOUND_BUCKETS = 21,
	FOUND_CALLER = 23			/* of a call */
};

/* Which of them; the keys that they come after are $1 and $2, the last ones $8 and $9 */
#define IS_ASKED_FOR \
	"t.completed_at IS NOT NULL AND ($3 OR t.price_status" EQ "'unpriced' " \
	"OR (t.price_status" EQ "'doubtful' AND t.cost IS NULL)) " \
	"AND ($4 IS NULL OR t.created_at" GE "$4) AND ($5 IS NULL OR t.created_at" LT "$5) " \
	"AND ($6 IS NULL OR t.model_id" EQ "$6 OR t.served_model" EQ "$6) "

#define KEY_TYPES	UUIDOID, UUIDOID, BOOLOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID
#define ASKED_TYPES	9, {KEY_TYPES, INT8OID, UUIDOID, UUIDOID}

#define FIND_TASKS \
	"SELECT t.run_id, t.task_id, " REPRICED("t.response_data") ", NULL::pg_catalog.uuid " \
	"FROM airun.tasks AS t WHERE "
#define FIND_CALLS \
	"SELECT NULL::pg_catalog.uuid, t.id, " REPRICED("NULL::pg_catalog.jsonb") \
	", t.user_id FROM airun.calls AS t WHERE "
#define LOCK	"FOR NO KEY UPDATE OF t"

static Statement find_tasks = {
	FIND_TASKS "(t.run_id, t.task_id)" GT "($1, $2) AND (t.run_id, t.task_id)" LE "($8, $9) AND "
	IS_ASKED_FOR "ORDER BY t.run_id, t.task_id LIMIT $7",
	ASKED_TYPES
};
static Statement find_calls = {
	FIND_CALLS "($1 IS NULL OR t.id" GT "$2) AND t.id" LE "$9 AND "
	IS_ASKED_FOR "ORDER BY t.id LIMIT $7",
	ASKED_TYPES
};

/* A task by its run's id and its own; a call by its own, and LAST_ID */
typedef struct Key
{
	pg_uuid_t	run_id;
	pg_uuid_t	task_id;
} Key;

/* No id is after it */
#define LAST_ID \
	{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, \
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}

/* What is asked for */
typedef struct Asked
{
	Key			after;
	Key			last;
	bool		all_tasks;
	Field		since;
	Field		until;
	Field		model_id;
} Asked;

/* They, as the arguments of IS_ASKED_FOR */
static void
arg_asked(Args *args, const Asked *asked)
{
	arg_add(args, BoolGetDatum(asked->all_tasks), false);
	arg_field(args, &asked->since);
	arg_field(args, &asked->until);
	arg_field(args, &asked->model_id);
}

/*
 * Write the charge to the task, which is locked, as its run is, move the run's total and
 * enter the change.  Returns whether it has been written.
 */
static bool
charge_again(Repricing *repricing, const Field *fields, const Charge *charge)
{
	static Statement update = {
		"UPDATE airun.tasks AS t SET cost = $3, cost_details = $4, price_status = $5 "
		"WHERE " THIS_TASK " RETURNING " COLUMNS ", t.holds",
		5, {UUIDOID, UUIDOID, NUMERICOID, JSONBOID, TEXTOID},
		&task_summary_columns
	};
	static Statement move = {
		"UPDATE airun.runs AS r SET total_cost = r.total_cost" PLUS "$2 WHERE r.id" EQ "$1",
		2, {UUIDOID, NUMERICOID}
	};
	pg_uuid_t  *run_id = DatumGetUUIDP(fields[FOUND_RUN].value);
	pg_uuid_t  *task_id = DatumGetUUIDP(fields[FOUND_ID].value);
	const Field *before = &fields[FOUND_COST];
	Datum		zero = NumericGetDatum(int64_to_numeric(0));
	Datum		difference;
	ResultRow	summary;
	UsageEntry	is;
	UsageEntry	was;
	Args		args = {0};
	Args		run = {0};

	arg_uuid(&args, run_id);
	arg_uuid(&args, task_id);
	arg_field(&args, &charge->cost);
	arg_field(&args, &charge->cost_details);
	arg_field(&args, &charge->price_status);
	if (statement_write_task(&update, &args, run_id, task_id) != 1)
		return false;
	summary = result_row();

	difference = DirectFunctionCall2(numeric_sub, charge->cost.isnull ? zero : charge->cost.value,
									 before->isnull ? zero : before->value);
	arg_uuid(&run, run_id);
	arg_add(&run, difference, false);
	if (statement_write_internal(&move, &run, run_id) != 1)
		run_not_found(run_id);

	is = task_entry(&summary, &fields[FOUND_BUCKETS], &repricing->source_type);
	was = is;
	was.cost = *before;
	was.price_status = fields[FOUND_STATUS];
	usage_write_change(&was, &is);
	tell_budgets(&summary, before);
	return true;
}

/*
 * Lock the task and its run, or the call, and read it again.  NULL where it is no more
 * among those that are asked for, or is left out.
 */
static SPITupleTable *
lock_and_read(Repricing *repricing, const Asked *asked, const Field *fields)
{
	static Statement task[] = {
		{FIND_TASKS THIS_TASK " AND " IS_ASKED_FOR LOCK, 6, {KEY_TYPES}},
		{FIND_TASKS THIS_TASK " AND " IS_ASKED_FOR LOCK " SKIP LOCKED", 6, {KEY_TYPES}}
	};
	static Statement call[] = {
		{FIND_CALLS "t.id" EQ "$2 AND " IS_ASKED_FOR LOCK, 6, {KEY_TYPES}},
		{FIND_CALLS "t.id" EQ "$2 AND " IS_ASKED_FOR LOCK " SKIP LOCKED", 6, {KEY_TYPES}}
	};
	const Field *run_id = &fields[FOUND_RUN];
	Statement  *again = run_id->isnull ? call : task;
	Args		args = {0};

	arg_field(&args, run_id);
	arg_field(&args, &fields[FOUND_ID]);
	arg_asked(&args, asked);
	if ((!run_id->isnull && !lock_run(repricing, DatumGetUUIDP(run_id->value))) ||
		shard_has_user(repricing->moving, &fields[FOUND_CALLER]) ||
		statement_write(&again[repricing->skips_locked], &args) != 1)
	{
		repricing->has_left_out = true;
		return NULL;
	}
	return SPI_tuptable;
}

/* What a row that has been found says, and what it costs by now */
static void
charge_found(SPITupleTable *found, uint64 i, Field *fields, ChargeBasis *basis, Charge *charge)
{
	for (int column = 0; column < REPRICED_COLUMNS; column++)
		fields[column].value = SPI_getbinval(found->vals[i], found->tupdesc, column + 1,
											 &fields[column].isnull);
	*basis = (ChargeBasis) {
		.provider = fields[2],
		.model_id = fields[3],
		.usage = fields[4],
		.tokens_input = fields[5],
		.tokens_output = fields[6],
		.tokens_total = fields[22],
		.client_cost = fields[9],
		.left_out = charge_left_out(&fields[10]),
		.created_at = DatumGetTimestampTz(fields[8].value),
		.endpoint = fields[11],
		.response_data = fields[12],
		.metadata = fields[13],
		.served_model = fields[14],
		.service_tier = fields[15],
		.region = fields[16],
		.speed = fields[17],
		.provider_cost = fields[18],
		.billed = fields[19],
	};
	charge_read_served(basis);
	charge_compute(basis, charge);
}

/* What has a cost keeps it where there is no price */
static bool
is_other_cost(const Charge *charge, const Field *fields)
{
	return !charge->cost.isnull && !same_amount(&charge->cost, &fields[FOUND_COST]);
}

/*
 * Charge the task, or without a run the call, in a row of what has been found, if
 * that changes anything
 */
static void
reprice_task(Repricing *repricing, const Asked *asked, SPITupleTable *found, uint64 i)
{
	Field		fields[REPRICED_COLUMNS];
	ChargeBasis	basis;
	Charge		charge;
	SPITupleTable *again = NULL;
	Report	   *report;
	MemoryContext old_context;
	bool		is_charged;
	const char *reason = NULL;

	charge_found(found, i, fields, &basis, &charge);
	is_charged = is_other_cost(&charge, fields);
	if (is_charged && !repricing->dry_run)
	{
		again = lock_and_read(repricing, asked, fields);
		if (again != NULL)
			charge_found(again, 0, fields, &basis, &charge);
		else
			reason = "it was changed by another transaction, is not the caller's to change, or "
				"moves to another shard";
		is_charged = again != NULL && is_other_cost(&charge, fields) &&
			(fields[FOUND_RUN].isnull ?
			 call_charge_again(DatumGetUUIDP(fields[FOUND_ID].value), &charge) :
			 charge_again(repricing, fields, &charge));
	}
	if (is_charged)
		repricing->left--;
	else if (reason == NULL)
		reason = charge.cost.isnull ? charge.reason : "it costs that already";

	old_context = MemoryContextSwitchTo(repricing->context);
	report = report_of(repricing, &basis.provider, &basis.model_id);
	report->tasks++;
	report->changed += is_charged ? 1 : 0;
	report->before = add(report->before, &fields[FOUND_COST]);
	report->after = add(report->after, is_charged ? &charge.cost : &fields[FOUND_COST]);
	if (!is_charged && reason != NULL && report->reason == NULL)
		report->reason = pstrdup(reason);
	MemoryContextSwitchTo(old_context);
	if (again != NULL)
		SPI_freetuptable(again);
}

/* Go through what a statement finds, some at a time */
static void
reprice_all(Repricing *repricing, Statement *find, const Asked *asked)
{
	Key			last = asked->after;
	uint64		count = BATCH;

	while (count == BATCH && repricing->left > 0)
	{
		MemoryContext batch_context = AllocSetContextCreate(CurrentMemoryContext,
															"airun reprice",
															ALLOCSET_DEFAULT_SIZES);
		SPITupleTable *found;
		Args		args = {0};

		arg_uuid(&args, &last.run_id);
		arg_uuid(&args, &last.task_id);
		arg_asked(&args, asked);
		arg_int64(&args, BATCH);
		arg_uuid(&args, &asked->last.run_id);
		arg_uuid(&args, &asked->last.task_id);
		count = statement_write(find, &args);
		found = SPI_tuptable;
		for (uint64 i = 0; i < count && repricing->left > 0; i++)
		{
			MemoryContext old_context = MemoryContextSwitchTo(batch_context);
			Datum		run_id;
			bool		isnull;

			CHECK_FOR_INTERRUPTS();
			run_id = SPI_getbinval(found->vals[i], found->tupdesc, 1, &isnull);
			if (!isnull)
				last.run_id = *DatumGetUUIDP(run_id);
			last.task_id = *DatumGetUUIDP(SPI_getbinval(found->vals[i], found->tupdesc, 2,
														&isnull));
			reprice_task(repricing, asked, found, i);
			MemoryContextSwitchTo(old_context);
		}
		SPI_freetuptable(found);
		MemoryContextDelete(batch_context);
	}
}

/*
 * airun_reprice(since, until, model_id, dry_run, all_tasks, max_tasks)
 * returns setof ai_repricing
 */
Datum
airun_reprice(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Repricing	repricing = {
		.dry_run = !PG_ARGISNULL(3) && PG_GETARG_BOOL(3),
		.context = CurrentMemoryContext,
	};
	Asked		asked = {
		.last = {LAST_ID, LAST_ID},
		.all_tasks = !PG_ARGISNULL(4) && PG_GETARG_BOOL(4),
		.since = argument_field(fcinfo, 0),
		.until = argument_field(fcinfo, 1),
		.model_id = argument_field(fcinfo, 2),
	};
	bool		defers;

	store_require_owner("airun_reprice");
	if (PG_ARGISNULL(5))
		refuse_null("max_tasks");
	repricing.left = PG_GETARG_INT64(5);
	if (repricing.left < 1)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("\"max_tasks\" must be at least 1, not " INT64_FORMAT,
						repricing.left),
				 errhint("Leave it out to change up to 100000 tasks in one call.")));

	result_begin_rows(fcinfo, REPORT_COLUMNS);
	store_open(true);
	defers = budget_defer_begin();
	repricing.moving = shard_moving_buckets(true);
	reprice_all(&repricing, &find_tasks, &asked);
	reprice_all(&repricing, &find_calls, &asked);
	budget_defer_end(defers);
	store_close();

	for (Report *report = repricing.reports; report != NULL; report = report->next)
	{
		Datum		values[REPORT_COLUMNS];
		bool		nulls[REPORT_COLUMNS] = {false};

		nulls[0] = report->provider == NULL;
		values[0] = PointerGetDatum(report->provider);
		nulls[1] = report->model_id == NULL;
		values[1] = PointerGetDatum(report->model_id);
		values[2] = Int64GetDatum(report->tasks);
		values[3] = Int64GetDatum(report->changed);
		values[4] = NumericGetDatum(report->before);
		values[5] = NumericGetDatum(report->after);
		nulls[6] = report->changed > 0 || report->reason == NULL;
		if (!nulls[6])
			values[6] = CStringGetTextDatum(report->reason);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* The key that is so many rows behind another one; LAST_ID where there are no more rows */
static Key
key_behind(Statement *find, const Key *key, int64 rows)
{
	Key			behind = {LAST_ID, LAST_ID};
	Args		args = {0};
	bool		isnull;

	arg_uuid(&args, &key->run_id);
	arg_uuid(&args, &key->task_id);
	arg_int64(&args, rows - 1);
	if (statement_write(find, &args) == 1)
		behind = (Key) {
			*DatumGetUUIDP(result_value(0, 1, &isnull)),
			*DatumGetUUIDP(result_value(0, 2, &isnull))
		};
	return behind;
}

/*
 * airun_store_reprice(run_id, task_id, max_rows) returns record
 *
 * Charges those without a cost among the rows that come next behind a key, first of tasks and
 * then of calls.  Returns how many have one now, the key that it has come to, NULL when
 * there are no more, and whether any was left out, since somebody holds it.
 */
Datum
airun_store_reprice(PG_FUNCTION_ARGS)
{
	static Statement next_task = {
		"SELECT t.run_id, t.task_id FROM airun.tasks AS t WHERE "
		"(t.run_id, t.task_id)" GT "($1, $2) ORDER BY t.run_id, t.task_id OFFSET $3 LIMIT 1",
		3, {UUIDOID, UUIDOID, INT8OID}
	};
	static Statement next_call = {
		"SELECT $1, t.id FROM airun.calls AS t WHERE t.id" GT "$2 ORDER BY t.id OFFSET $3 LIMIT 1",
		3, {UUIDOID, UUIDOID, INT8OID}
	};
	static const pg_uuid_t last_id = LAST_ID;
	Repricing	repricing = {
		.left = PG_INT64_MAX,
		.skips_locked = true,
		.context = CurrentMemoryContext,
	};
	Asked		asked = {
		.since = {(Datum) 0, true}, .until = {(Datum) 0, true}, .model_id = {(Datum) 0, true}
	};
	Datum		values[4];
	bool		nulls[4] = {false};
	bool		is_of_calls;
	bool		defers;
	TupleDesc	desc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (!PG_ARGISNULL(0))
		asked.after = (Key) {*PG_GETARG_UUID_P(0), *PG_GETARG_UUID_P(1)};
	is_of_calls = uuid_equal(&asked.after.run_id, &last_id);

	store_open(true);
	defers = budget_defer_begin();
	repricing.moving = shard_moving_buckets(true);
	asked.last = key_behind(is_of_calls ? &next_call : &next_task, &asked.after,
							PG_GETARG_INT32(2));
	reprice_all(&repricing, is_of_calls ? &find_calls : &find_tasks, &asked);
	budget_defer_end(defers);
	store_close();

	/* Behind the last task come the calls */
	if (uuid_equal(&asked.last.task_id, &last_id))
	{
		nulls[1] = nulls[2] = is_of_calls;
		asked.last.task_id = (pg_uuid_t) {{0}};
	}
	values[0] = Int64GetDatum(PG_INT64_MAX - repricing.left);
	values[1] = UUIDPGetDatum(&asked.last.run_id);
	values[2] = UUIDPGetDatum(&asked.last.task_id);
	values[3] = BoolGetDatum(repricing.has_left_out);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}
