/*
 * budget_rules.c
 *		The budgets in force, as a backend keeps them, and whom they are for.
 *
 * Each backend keeps the rows of airun.budgets that are in force, read once.  A
 * trigger on the table has every backend read them anew after a change, as for the
 * catalog: whoever gets a lock afterwards has heard of it.  So a task that starts
 * locks the table of tasks, as its insert does anyway, and then asks: it sees the
 * budgets as airun_set_budget(), which keeps starts out meanwhile, has left them.
 * Where there is no budget, that is all that a start pays.
 *
 * A budget without a value has a counter for each: each user's, each model's.
 * Whom a call is for its user and its root run say, which the caller cannot choose;
 * tags, metadata, source, service and task name are what the caller says.
 *
 * The rows are read as the owner of the table, who alone may read it.
 *
 * Locks: the table of tasks or of calls, as an insert does.
 */
#include "budget/budget_rules.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "json/jsonb_util.h"
#include "mb/pg_wchar.h"
#include "storage/lmgr.h"
#include "store/identity.h"
#include "store/invalidation.h"
#include "store/row_trigger.h"
#include "store/store.h"
#include "usage/ledger.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(airun_budgets_changed);

static const char *const scopes[] = {
	"all", "user", "source", "provider", "model", "service", "task_name", "tag", "metadata", "run"
};
static const char *const measures[] = {"cost", "tokens", "calls"};
static const char *const unpriced[] = {"block", "allow", "assume"};

/* The budgets in force; NULL for none */
static MemoryContext context = NULL;
static Budget *budgets = NULL;
static int	budget_count = 0;
static bool is_current = false;
static Oid	table_oid = InvalidOid;

const char *
budget_scope_word(BudgetScope scope)
{
	return scopes[scope];
}

const char *
budget_measure_word(BudgetMeasure measure)
{
	return measures[measure];
}

/* ---------- the rows ---------- */

static void
relation_changed(Oid relation)
{
	if (relation == InvalidOid || relation == table_oid || table_oid == InvalidOid)
		is_current = false;
}

/* Which of the words is it?  The first for one that is none: the functions have checked it. */
static int
find_word(const char *word, const char *const *of, int count)
{
	for (int i = 0; i < count; i++)
	{
		if (strcmp(word, of[i]) == 0)
			return i;
	}
	return 0;
}

static char *
string_of(uint64 row, int column)
{
	bool		isnull;
	Datum		value = result_value(row, column, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

#define WORD_OF(row, column, of) find_word(string_of(row, column), of, lengthof(of))

static void
read_row(uint64 row, Budget *budget)
{
	bool		isnull;
	Datum		rate = result_value(row, 12, &isnull);

	memset(budget, 0, sizeof(Budget));
	if (!isnull)
		budget->assumed_rate = DatumGetNumericCopy(rate);
	budget->id = DatumGetInt64(result_value(row, 1, &isnull));
	budget->name = string_of(row, 2);
	budget->scope = WORD_OF(row, 3, scopes);
	budget->scope_key = string_of(row, 4);
	budget->scope_value = string_of(row, 5);
	budget->measure = WORD_OF(row, 6, measures);
	(void) period_from_word(string_of(row, 7), &budget->period.kind);
	budget->period.zone = pg_tzset(string_of(row, 8));
	if (budget->period.zone == NULL)
		budget->period.zone = pg_tzset("UTC");
	budget->period.anchor = DatumGetInt32(result_value(row, 9, &isnull));
	budget->is_hard = strcmp(string_of(row, 10), "hard") == 0;
	budget->unpriced = WORD_OF(row, 11, unpriced);
	budget->show_amounts = DatumGetBool(result_value(row, 13, &isnull));
	budget->slots = DatumGetInt32(result_value(row, 14, &isnull));
}

/* Read the budgets that are in force by now */
static void
read_table(void)
{
	static Statement read = {
		"SELECT b.id, b.name, b.scope, b.scope_key, b.scope_value, b.measure, b.period, b.zone, "
		"b.anchor, b.mode, b.unpriced, b.assumed_rate, b.show_amounts, b.slots "
		"FROM airun.budgets AS b WHERE b.valid_to IS NULL ORDER BY b.id",
		0, {0}
	};
	Args		args = {0};
	MemoryContext old_context;
	uint64		count;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	count = statement_write_as_owner(&read, &args, store_table_owner("budgets"));
	if (count > 0)
	{
		old_context = MemoryContextSwitchTo(context);
		budgets = palloc_array(Budget, count);
		for (uint64 i = 0; i < count; i++)
			read_row(i, &budgets[i]);
		MemoryContextSwitchTo(old_context);
	}
	budget_count = (int) count;
	SPI_finish();
}

/* Read them anew.  What a caller further out still looks at lasts as long as the transaction. */
static void
read_again(void)
{
	Oid			schema_oid = get_namespace_oid("airun", true);

	relation_changes_watch(relation_changed);
	if (context != NULL)
		MemoryContextSetParent(context, TopTransactionContext);
	budgets = NULL;
	budget_count = 0;
	context = AllocSetContextCreate(CacheMemoryContext, "airun budgets", ALLOCSET_SMALL_SIZES);
	table_oid = OidIsValid(schema_oid) ? get_relname_relid("budgets", schema_oid) : InvalidOid;
	is_current = true;			/* unless something changes while it is read */
	if (OidIsValid(table_oid))
		read_table();
}

/*
 * The budgets in force, in the order of their ids, for a task or call that starts.
 * Returns how many; they last as long as the transaction.
 */
int
budget_rules_open(const Budget **rules)
{
	if (!is_current)
		read_again();
	*rules = budgets;
	return budget_count;
}

/*
 * airun_budgets_changed() returns trigger
 *
 * AFTER any statement: every backend reads the budgets anew.
 */
Datum
airun_budgets_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = trigger_data(fcinfo, "airun", "budgets", TRIGGER_EVENT_AFTER,
										ON_INSERT | ON_UPDATE | ON_DELETE | ON_TRUNCATE |
										WITHOUT_ROWS);

	CacheInvalidateRelcacheByRelid(RelationGetRelid(trigger->tg_relation));
	PG_RETURN_POINTER(NULL);
}

/* ---------- whom they are for ---------- */

/* The run's own facts, asked for once */
static void
find_facts(const pg_uuid_t *run_id, RunFacts *facts)
{
	static Statement find = {
		"WITH RECURSIVE up AS ("
		"SELECT r.id, r.forked_from, 0 AS depth FROM airun.runs AS r WHERE r.id" EQ "$1 UNION ALL "
		"SELECT r.id, r.forked_from, u.depth" PLUS "1 FROM up AS u "
		"JOIN airun.runs AS r ON r.id" EQ "u.forked_from WHERE u.depth" LT "1000) "
		"SELECT u.id, r.source_type, r.tags, r.metadata, u.forked_from FROM up AS u "
		"JOIN airun.runs AS r ON r.id" EQ "$1 ORDER BY u.depth",
		1, {UUIDOID}
	};
	Args		args = {0};
	Field		forked_from;
	uint64		count;
	bool		isnull;

	facts->is_known = true;
	facts->source_type = facts->tags = facts->metadata = (Field) {(Datum) 0, true};
	if (run_id == NULL)
		return;
	arg_uuid(&args, run_id);
	count = statement_write_as_owner(&find, &args, store_table_owner("runs"));
	for (uint64 i = 0; i < count; i++)
		facts->ancestors = lappend(facts->ancestors,
								   uuid_string(DatumGetUUIDP(result_value(i, 1, &isnull))));
	if (count == 0)
		return;

	/* the first of all may have been purged */
	forked_from.value = result_value(count - 1, 5, &forked_from.isnull);
	if (!forked_from.isnull)
		facts->ancestors = lappend(facts->ancestors,
								   uuid_string(DatumGetUUIDP(forked_from.value)));
	facts->source_type.value = result_value(0, 2, &facts->source_type.isnull);
	facts->tags.value = result_value(0, 3, &facts->tags.isnull);
	facts->metadata.value = result_value(0, 4, &facts->metadata.isnull);
}

/* As a counter has it: cut where an index could not hold it */
static char *
fitting_value(char *value)
{
	int			length = strlen(value);

	if (length > USAGE_MAX_WORD)
		value[pg_mbcliplen(value, length, USAGE_MAX_WORD)] = '\0';
	return value;
}

static List *
one_value(const Field *word)
{
	return word->isnull ? NIL : list_make1(fitting_value(TextDatumGetCString(word->value)));
}

/* A key of an object, as text; NULL where it has none */
static List *
value_of_key(const Field *object, const char *key)
{
	JsonbValue	value;

	if (object->isnull || key == NULL || !JB_ROOT_IS_OBJECT(DatumGetJsonbP(object->value)) ||
		!jsonb_field(&DatumGetJsonbP(object->value)->root, key, &value) || value.type == jbvNull)
		return NIL;
	if (value.type == jbvString)
		return list_make1(fitting_value(pnstrdup(value.val.string.val, value.val.string.len)));
	return list_make1(fitting_value(JsonbToCString(NULL, &JsonbValueToJsonb(&value)->root, 0)));
}

static List *
values_of_tags(const Field *tags)
{
	List	   *values = NIL;
	Datum	   *elements;
	bool	   *nulls;
	int			count;

	if (tags->isnull)
		return NIL;
	deconstruct_array(DatumGetArrayTypeP(tags->value), TEXTOID, -1, false, TYPALIGN_INT,
					  &elements, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		if (!nulls[i])
			values = lappend(values, fitting_value(TextDatumGetCString(elements[i])));
	}
	return values;
}

/* The values that a task or call has in a budget's scope */
static List *
values_in_scope(const Budget *budget, const BudgetSubject *subject, RunFacts *facts)
{
	List	   *values;

	switch (budget->scope)
	{
		case SCOPE_ALL:
			return list_make1(pstrdup(""));
		case SCOPE_USER:
			return subject->user_id.isnull ? NIL :
				list_make1(uuid_string(DatumGetUUIDP(subject->user_id.value)));
		case SCOPE_SOURCE:
			return one_value(subject->run_id == NULL ? &subject->source_type :
							 &facts->source_type);
		case SCOPE_PROVIDER:
			return one_value(&subject->provider);
		case SCOPE_MODEL:
			return one_value(&subject->model_id);
		case SCOPE_SERVICE:
			return one_value(&subject->service);
		case SCOPE_TASK_NAME:
			return one_value(&subject->task_name);
		case SCOPE_TAG:
			return values_of_tags(&facts->tags);
		case SCOPE_METADATA:
			values = value_of_key(&subject->metadata, budget->scope_key);
			return values != NIL ? values : value_of_key(&facts->metadata, budget->scope_key);
		default:
			/* the run that a family of forks begins with */
			return facts->ancestors == NIL ? NIL : list_make1(llast(facts->ancestors));
	}
}

static int
value_order(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

/*
 * The counters of a budget that a task or call counts in, by their values, each
 * once and in order; NIL where the budget is not for it.  facts: empty at first.
 */
List *
budget_values(const Budget *budget, const BudgetSubject *subject, RunFacts *facts)
{
	List	   *values;
	List	   *unique = NIL;
	ListCell   *cell;

	if (!facts->is_known &&
		(budget->scope == SCOPE_SOURCE || budget->scope == SCOPE_TAG ||
		 budget->scope == SCOPE_METADATA || budget->scope == SCOPE_RUN))
		find_facts(subject->run_id, facts);
	values = budget->scope == SCOPE_RUN && budget->scope_value != NULL ? facts->ancestors :
		values_in_scope(budget, subject, facts);
	foreach(cell, values)
	{
		char	   *value = lfirst(cell);
		ListCell   *known;
		bool		is_new = budget->scope_value == NULL ||
			strcmp(value, budget->scope_value) == 0;

		foreach(known, unique)
		{
			if (strcmp(lfirst(known), value) == 0)
				is_new = false;
		}
		if (is_new)
			unique = lappend(unique, value);
	}
	list_sort(unique, value_order);
	return unique;
}
