/*
 * import.c
 *		Price lists of others, brought into airun.prices.
 *
 * The two formats are told apart by what they are made of.  Each model of a
 * list is entered by itself, as price_period.c says: the same list again changes
 * nothing, a changed rate closes the old row and opens a new one, and what a
 * list no longer has stays as it was.  An entry that cannot be read is skipped
 * and says why; the others are entered all the same.  Of a rate that can hardly
 * be meant, and of tasks that have waited for the price, the result tells.
 *
 * Locks: the table of prices against other writers, until the end of the
 * transaction.  Nobody who reads waits, and they see the new prices with the
 * commit.
 *
 * Errors: PT422 for a document that is no price list; 42501 for who may not
 * write prices.
 */
#include "pricing/import.h"

#include "funcapi.h"
#include "json/jsonb_util.h"
#include "miscadmin.h"
#include "pricing/odd_rates.h"
#include "pricing/price_cache.h"
#include "pricing/unpriced.h"
#include "store/args.h"
#include "store/store.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(airun_import_prices);

#define CHANGE_COLUMNS	6

/* Another model of the list */
ImportItem *
import_add(ImportList *list, const char *provider, const char *model)
{
	ImportItem *item;

	if (list->count == list->capacity)
	{
		list->capacity = list->capacity == 0 ? 256 : list->capacity * 2;
		list->items = list->items == NULL ? palloc_array(ImportItem, list->capacity) :
			repalloc_array(list->items, ImportItem, list->capacity);
	}
	item = &list->items[list->count++];
	memset(item, 0, sizeof(ImportItem));
	item->entry.provider = pstrdup(provider);
	item->entry.model = pstrdup(model);
	return item;
}

/* What the model costs from a time on; times come in order */
void
import_segment(ImportItem *item, TimestampTz from, Jsonb *content)
{
	PriceEntry *entry = &item->entry;

	/* of two that begin together, the later one counts */
	if (entry->segment_count > 0 && entry->segments[entry->segment_count - 1].from == from)
		entry->segment_count--;
	entry->segments = entry->segments == NULL ? palloc_array(PriceSegment, 1) :
		repalloc_array(entry->segments, PriceSegment, entry->segment_count + 1);
	entry->segments[entry->segment_count++] = (PriceSegment) {from, content};
}

/* Does an element look like one of genai-prices' providers? */
static bool
is_provider(const JsonbValue *element)
{
	JsonbValue	value;

	return element->type == jbvBinary && JsonContainerIsObject(element->val.binary.data) &&
		jsonb_field(element->val.binary.data, "models", &value) &&
		value.type == jbvBinary && JsonContainerIsArray(value.val.binary.data);
}

/* Has the object an entry that looks like one of LiteLLM's models? */
static bool
has_litellm_model(JsonbContainer *document)
{
	JsonbIterator *it = JsonbIteratorInit(document);
	JsonbValue	key;
	JsonbValue	value;
	JsonbValue	field;

	(void) JsonbIteratorNext(&it, &key, true);
	while (JsonbIteratorNext(&it, &key, true) == WJB_KEY)
	{
		(void) JsonbIteratorNext(&it, &value, true);
		if (value.type == jbvBinary && JsonContainerIsObject(value.val.binary.data) &&
			(jsonb_field(value.val.binary.data, "litellm_provider", &field) ||
			 jsonb_field(value.val.binary.data, "mode", &field) ||
			 jsonb_field(value.val.binary.data, "input_cost_per_token", &field)))
			return true;
	}
	return false;
}

/* Read the document, whichever it is.  Returns its usual name, or NULL. */
static const char *
read_document(Jsonb *document, ImportList *list)
{
	if (!JB_ROOT_IS_SCALAR(document) && JB_ROOT_IS_ARRAY(document) &&
		JB_ROOT_COUNT(document) > 0)
	{
		for (uint32 i = 0; i < JB_ROOT_COUNT(document); i++)
		{
			if (is_provider(getIthJsonbValueFromContainer(&document->root, i)))
			{
				read_genai(&document->root, list);
				return "genai-prices";
			}
		}
	}
	else if (JB_ROOT_IS_OBJECT(document) && has_litellm_model(&document->root))
	{
		read_litellm(&document->root, list);
		return "litellm";
	}
	return NULL;
}

static int
item_order(const void *a, const void *b)
{
	const ImportItem *x = *(ImportItem *const *) a;
	const ImportItem *y = *(ImportItem *const *) b;
	int			order = strcmp(x->entry.provider, y->entry.provider);

	if (order == 0)
		order = strcmp(x->entry.model, y->entry.model);
	return order != 0 ? order : x < y ? -1 : x > y ? 1 : 0;
}

/* Skip what comes twice and what has a name that no task could have */
static void
check_names(ImportList *list)
{
	ImportItem **items = palloc_array(ImportItem *, Max(list->count, 1));
	int			count = 0;

	for (int i = 0; i < list->count; i++)
	{
		ImportItem *item = &list->items[i];

		if (item->skipped != NULL)
			continue;
		if (item->entry.model[0] == '\0' || strlen(item->entry.model) > MAX_PRICE_NAME ||
			strlen(item->entry.provider) > MAX_PRICE_NAME)
			item->skipped = "its name or its provider's is empty or too long";
		else
			items[count++] = item;
	}
	qsort(items, count, sizeof(ImportItem *), item_order);
	for (int i = 1; i < count; i++)
	{
		if (strcmp(items[i]->entry.provider, items[i - 1]->entry.provider) == 0 &&
			strcmp(items[i]->entry.model, items[i - 1]->entry.model) == 0)
			items[i]->skipped = "the list has it twice";
	}
}

/* What there is to say of a price that has been entered, or NULL */
static char *
remarks(const PriceEntry *entry, const char *source, const UnpricedModel *models, int count)
{
	const char *odd = entry->action == PRICE_UNCHANGED ? NULL : odd_rates(&entry->price_id);
	UnpricedTasks waiting;
	char	   *advice = NULL;

	if (unpriced_of_price(models, count, entry->provider, entry->model, source, &waiting))
		advice = psprintf(waiting.is_late ?
						  INT64_FORMAT " tasks from %s on have no cost, some from before this "
						  "price: import it with that effective_from, then call airun_reprice()" :
						  INT64_FORMAT " tasks from %s on have no cost: airun_reprice() charges "
						  "them",
						  waiting.tasks, timestamptz_to_str(waiting.first));
	if (odd != NULL)
		return advice == NULL ? pstrdup(odd) : psprintf("%s; %s", odd, advice);
	return advice;
}

/* One row of the result; said: what there is to say of what has been entered, or NULL */
static void
put_item(ReturnSetInfo *rsinfo, const ImportItem *item, const PriceEntry *entry,
		 const char *said)
{
	static const char *const actions[] = {"added", "changed", "unchanged"};
	Datum		values[CHANGE_COLUMNS] = {0};
	bool		nulls[CHANGE_COLUMNS] = {0};

	values[0] = CStringGetTextDatum(item->entry.provider);
	values[1] = CStringGetTextDatum(item->entry.model);
	values[2] = CStringGetTextDatum(entry == NULL ? "skipped" : actions[entry->action]);
	if (entry == NULL)
	{
		nulls[3] = nulls[4] = true;
		values[5] = CStringGetTextDatum(item->skipped);
	}
	else
	{
		values[3] = UUIDPGetDatum(&entry->price_id);
		values[4] = TimestampTzGetDatum(entry->effective_from);
		nulls[5] = said == NULL;
		if (said != NULL)
			values[5] = CStringGetTextDatum(said);
	}
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/* airun_import_prices(document, source, effective_from) returns setof ai_price_change */
Datum
airun_import_prices(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Field		source = argument_field(fcinfo, 1);
	ImportList	list = {0};
	const char *format;
	PriceEntry *entries;
	UnpricedModel *models;
	int			model_count = 0;
	int			count = 0;
	bool		is_open;

	(void) store_runs_oid();
	if (PG_ARGISNULL(0))
		refuse_null("document");
	if (PG_ARGISNULL(2))
		refuse_null("effective_from");
	check_length("source", &source, MAX_PRICE_NAME);
	list.since = PG_GETARG_TIMESTAMPTZ(2);
	if (list.since == DT_NOEND)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("a price must be in force for some time"),
				 errdetail("It would begin at infinity."),
				 errhint("Leave \"effective_from\" out for prices that are in force "
						 "from now on.")));

	format = read_document(PG_GETARG_JSONB_P(0), &list);
	if (format == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("the document is not a price list that is known here"),
				 errdetail("It is neither LiteLLM's object of models nor genai-prices' array of "
						   "providers."),
				 errhint("For a price of your own call airun_set_price().")));
	check_names(&list);

	result_begin_rows(fcinfo, CHANGE_COLUMNS);
	store_open(true);
	entries = palloc_array(PriceEntry, Max(list.count, 1));
	for (int i = 0; i < list.count; i++)
	{
		if (list.items[i].skipped == NULL)
			entries[count++] = list.items[i].entry;
	}
	if (!source.isnull)
		format = TextDatumGetCString(source.value);
	price_period_enter(format, list.since, entries, count);
	is_open = price_cache_open_latest();
	models = is_open ? unpriced_read(&model_count) : NULL;
	count = 0;
	for (int i = 0; i < list.count; i++)
	{
		PriceEntry *entry = list.items[i].skipped == NULL ? &entries[count++] : NULL;

		CHECK_FOR_INTERRUPTS();
		put_item(rsinfo, &list.items[i], entry,
				 entry == NULL || !is_open ? NULL :
				 remarks(entry, format, models, model_count));
	}
	store_close();
	return (Datum) 0;
}
