/*
 * request_compact.c
 *		Requests without the messages that their run has stored already.
 *
 * What is sent to a model holds the whole conversation each time, so that the
 * requests of n turns would store n * n / 2 messages.  Instead a request is
 * stored without those that the run has, and with a reference to them:
 *
 *	{"key": "messages", "at": 1, "from": 1, "count": 17, "keys": ["role", "content"]}
 *
 * From the array under the key, at this index, 17 elements have been left out:
 * the run's messages from seq 1 on, each with only those of its keys that are
 * named, as far as it has them.  (A stored message has more than what is sent:
 * a timestamp, an id, metadata.)  Guaranteed is:
 *
 * - A request is compacted only if what is read back is the same jsonb, byte for
 *	 byte.  Values are compared as bytes, so that 1.0 is not 1 and null is not
 *	 absent; and in the end the request is put together from the rows, as a
 *	 reader will do it, and compared as a whole.
 * - What is left out is the largest stretch of elements that stand in it as the
 *	 messages stand in the run.  It is looked for where the conversation begins
 *	 with the run, system messages in front aside, and where it ends with it: a
 *	 client may send the newest messages only.
 * - The work is in proportion to the request: no more messages are read than it
 *	 has elements, a few times at most, and where nothing fits, some dozens.
 * - No request, however strange, is an error: what cannot be compacted stays whole.
 *
 * Locks: none; the caller of request_compact() has locked the run, whose last
 * messages could be deleted otherwise.
 *
 * Errors: PT422 for a reference that does not fit its request: a caller of
 * airun_request() has made it up, or somebody who writes to the store himself has
 * changed one without the other; 54000 when what is read back outgrows jsonb.
 */
#include "task/request_compact.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "json/json_text.h"
#include "json/jsonb_util.h"
#include "miscadmin.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

PG_FUNCTION_INFO_V1(airun_request);

/* A reference takes bytes, too: less than this is not worth it */
#define MIN_SAVING			200

/* Larger arrays are kept whole: we hold a JsonbValue for each element */
#define MAX_ELEMENTS		1000000

/* Different keys in one stretch, those that are left out included */
#define MAX_KEYS			64

/* Bytes of the messages of one reference: its reader has them all in one array */
#define MAX_MESSAGE_BYTES	(64 * 1024 * 1024)

/* Elements behind the run's last message: they may not have been stored yet */
#define MAX_NEWER			4

/* Elements that differ, one after the other, before we give up */
#define MAX_MISSES			16

/* Messages read at a time, after the first ones */
#define MAX_BATCH			256

/* Elements of the request that are messages of the run, in the same order */
typedef struct Stretch
{
	int			at;				/* index of the first element */
	int64		from;			/* seq of the first message */
	int			count;
	Size		size;			/* bytes of the elements */
	Size		message_size;	/* bytes of the messages */
} Stretch;

/* A key, by its hash: in all elements whose message has it, or in none */
typedef struct Key
{
	uint64		hash;
	bool		kept;
} Key;

/* A search in one array of a request */
typedef struct Search
{
	const pg_uuid_t *run_id;
	int64		message_count;	/* of the run */
	JsonbValue *elements;
	int			element_count;
	int			first;			/* index of the first that is no system message */
	Stretch		best;
	Key			keys[MAX_KEYS]; /* of the stretch at hand */
	int			key_count;
	MemoryContext row_context;	/* reset after each message */
} Search;

/* A reference, taken apart */
typedef struct Reference
{
	JsonbValue	key;
	int			at;
	int			count;			/* of the messages left out; -1 where it does not say */
	JsonbValue *names;			/* of the keys that elements have */
	int			name_count;
} Reference;

pg_noreturn static void refuse_reference(const char *detail);

/* A request cannot be put together from what is given, or stored */
static void
refuse_reference(const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
			 errmsg("a request that refers to messages of its run cannot be put together"),
			 errdetail_internal("%s", detail),
			 errhint("In airun.tasks, request_data and request_reference belong together: "
					 "change both or neither.")));
}

/* ---------- values ---------- */

/* The container in a value, if it is one of this kind, or else NULL */
static JsonbContainer *
container_of(const JsonbValue *value, uint32 kind)
{
	if (value == NULL || value->type != jbvBinary || (value->val.binary.data->header & kind) == 0)
		return NULL;
	return value->val.binary.data;
}

/* The same value, to the byte?  A container's bytes do not depend on its place. */
static bool
same_value(const JsonbValue *a, const JsonbValue *b)
{
	if (a->type != b->type)
		return false;
	switch (a->type)
	{
		case jbvNull:
			return true;
		case jbvBool:
			return a->val.boolean == b->val.boolean;
		case jbvString:
			return a->val.string.len == b->val.string.len &&
				memcmp(a->val.string.val, b->val.string.val, a->val.string.len) == 0;
		case jbvNumeric:
			return VARSIZE_ANY(a->val.numeric) == VARSIZE_ANY(b->val.numeric) &&
				memcmp(a->val.numeric, b->val.numeric, VARSIZE_ANY(a->val.numeric)) == 0;
		case jbvBinary:
			return a->val.binary.len == b->val.binary.len &&
				memcmp(a->val.binary.data, b->val.binary.data, a->val.binary.len) == 0;
		default:
			return false;
	}
}

/* The next key of an object, and its value; false at the end */
static bool
next_pair(JsonbIterator **it, JsonbValue *key, JsonbValue *value)
{
	JsonbIteratorToken token = JsonbIteratorNext(it, key, true);

	if (token == WJB_BEGIN_OBJECT)
		token = JsonbIteratorNext(it, key, true);
	if (token != WJB_KEY)
		return false;
	(void) JsonbIteratorNext(it, value, true);
	return true;
}

/* The elements of an array */
static JsonbValue *
array_elements(JsonbContainer *array, int *count)
{
	JsonbIterator *it = JsonbIteratorInit(array);
	JsonbValue *elements = palloc_array(JsonbValue, JsonContainerSize(array) + 1);

	*count = 0;
	(void) JsonbIteratorNext(&it, &elements[0], true);
	while (JsonbIteratorNext(&it, &elements[*count], true) == WJB_ELEM)
		(*count)++;
	return elements;
}

/* ---------- putting together ---------- */

/* Push a message, with those of the reference's keys that it has */
static void
push_message(JsonbInState *state, JsonbContainer *message, const Reference *reference)
{
	push_jsonb(state, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < reference->name_count; i++)
	{
		JsonbValue *name = &reference->names[i];
		JsonbValue	buffer;
		JsonbValue *value = getKeyJsonValueFromContainer(message, name->val.string.val,
														 name->val.string.len, &buffer);

		if (value != NULL)
		{
			push_jsonb(state, WJB_KEY, name);
			push_jsonb(state, WJB_VALUE, value);
		}
	}
	push_jsonb(state, WJB_END_OBJECT, NULL);
}

/*
 * A copy of the request: at the place of the reference so many elements are
 * left out, and these messages put in.  It serves both to compact a request and
 * to expand it.  PT422 where there is no such place.
 */
static Jsonb *
request_copy(Jsonb *request, const Reference *reference, int leave_out,
			 JsonbContainer **messages, int message_count)
{
	JsonbInState state = {0};
	JsonbIterator *it = JsonbIteratorInit(&request->root);
	JsonbContainer *array = NULL;
	JsonbValue	key;
	JsonbValue	value;

	if (!JB_ROOT_IS_OBJECT(request))
		refuse_reference("The request is not an object.");
	push_jsonb(&state, WJB_BEGIN_OBJECT, NULL);
	while (next_pair(&it, &key, &value))
	{
		JsonbValue *elements;
		int			count;

		push_jsonb(&state, WJB_KEY, &key);
		if (!same_value(&key, &reference->key))
		{
			push_jsonb(&state, WJB_VALUE, &value);
			continue;
		}

		array = container_of(&value, JB_FARRAY);
		if (array == NULL || JsonContainerSize(array) < reference->at)
			refuse_reference("The request has no such place.");
		elements = array_elements(array, &count);
		push_jsonb(&state, WJB_BEGIN_ARRAY, NULL);
		for (int i = 0; i < reference->at; i++)
			push_jsonb(&state, WJB_ELEM, &elements[i]);
		for (int i = 0; i < message_count; i++)
		{
			CHECK_FOR_INTERRUPTS();
			push_message(&state, messages[i], reference);
		}
		for (int i = reference->at + leave_out; i < count; i++)
			push_jsonb(&state, WJB_ELEM, &elements[i]);
		push_jsonb(&state, WJB_END_ARRAY, NULL);
	}
	if (array == NULL)
		refuse_reference("The request has no such array.");
	push_jsonb(&state, WJB_END_OBJECT, NULL);
	return JsonbValueToJsonb(state.result);
}

/* Take a reference apart, or PT422 */
static void
reference_read(Jsonb *jsonb, Reference *reference)
{
	JsonbContainer *names = NULL;
	JsonbValue	at;
	JsonbValue	count;
	JsonbValue	keys;
	bool		failed = true;

	if (JB_ROOT_IS_OBJECT(jsonb) &&
		jsonb_get_key(&jsonb->root, "key", &reference->key) != NULL &&
		reference->key.type == jbvString &&
		jsonb_get_key(&jsonb->root, "at", &at) != NULL && at.type == jbvNumeric)
	{
		reference->at = numeric_to_int4(at.val.numeric, &failed);
		reference->count = -1;
		if (!failed && jsonb_get_key(&jsonb->root, "count", &count) != NULL &&
			count.type == jbvNumeric)
			reference->count = numeric_to_int4(count.val.numeric, &failed);
		names = container_of(jsonb_get_key(&jsonb->root, "keys", &keys), JB_FARRAY);
	}
	if (failed || reference->at < 0 || names == NULL || JsonContainerSize(names) > MAX_KEYS)
		refuse_reference("The reference is not one that airun makes.");

	reference->names = array_elements(names, &reference->name_count);
	for (int i = 0; i < reference->name_count; i++)
	{
		if (reference->names[i].type != jbvString)
			refuse_reference("A key in the reference is not a string.");
	}
}

/*
 * request_expand
 *
 * The request with the messages put back where the reference says, made in the
 * current context.  messages: an array of stored messages, in order, or NULL
 * for none.  NULL where they are not as many as the reference counts: a site
 * may hide some of them from the caller.  (When the last messages of a run are
 * deleted, these go into the stored request, by a reference that counts them
 * alone; those that remain will be put in front of them, at the same place.)
 * PT422 where the three do not fit otherwise.
 */
static Jsonb *
request_expand(Jsonb *request_data, Jsonb *reference, Jsonb *messages)
{
	Reference	parts;
	JsonbContainer **containers = NULL;
	int			count = 0;

	reference_read(reference, &parts);
	if (messages != NULL)
	{
		JsonbValue *elements;

		if (!JB_ROOT_IS_ARRAY(messages) || JB_ROOT_IS_SCALAR(messages))
			refuse_reference("The messages are not an array.");
		elements = array_elements(&messages->root, &count);
		containers = palloc_array(JsonbContainer *, count + 1);
		for (int i = 0; i < count; i++)
		{
			containers[i] = container_of(&elements[i], JB_FOBJECT);
			if (containers[i] == NULL)
				refuse_reference("A message is not an object.");
		}
	}
	if (parts.count >= 0 && count != parts.count)
		return NULL;
	return request_copy(request_data, &parts, 0, containers, count);
}

/*
 * airun_request(request_data jsonb, reference jsonb, messages jsonb)
 * returns jsonb
 */
Datum
airun_request(PG_FUNCTION_ARGS)
{
	Jsonb	   *request;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	if (PG_ARGISNULL(1))
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	request = request_expand(PG_GETARG_JSONB_P(0), PG_GETARG_JSONB_P(1),
							 PG_ARGISNULL(2) ? NULL : PG_GETARG_JSONB_P(2));
	if (request == NULL)
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(request);
}

/* ---------- the search ---------- */

/* The run's messages from a seq on: seq, message */
static uint64
read_messages(const pg_uuid_t *run_id, int64 from, int64 count)
{
	static Statement read = {
		"SELECT m.seq, m.message FROM airun.messages AS m "
		"WHERE m.run_id" EQ "$1 AND m.seq" GE "$2 AND m.seq" LT "$3 ORDER BY m.seq",
		3, {UUIDOID, INT8OID, INT8OID}
	};
	Args		args = {0};

	arg_uuid(&args, run_id);
	arg_int64(&args, from);
	arg_int64(&args, from + count);
	return statement_write_internal(&read, &args, run_id);
}

/*
 * Note whether a key is kept in the elements of the stretch.  False if it has
 * been otherwise before, or if there are too many.  Two keys with one hash do
 * no harm: what comes of it does not stand the test at the end.
 */
static bool
note_key(Search *search, const JsonbValue *name, bool kept)
{
	uint64		hash = hash_bytes_extended((const unsigned char *) name->val.string.val,
										   name->val.string.len, 0);

	for (int i = 0; i < search->key_count; i++)
	{
		if (search->keys[i].hash == hash)
			return search->keys[i].kept == kept;
	}
	if (search->key_count == MAX_KEYS)
		return false;
	search->keys[search->key_count++] = (Key) {hash, kept};
	return true;
}

/*
 * Is the element the message, with the same keys left out as in the rest of
 * the stretch?  jsonb keeps the keys of both in the same order.
 */
static bool
element_matches(Search *search, JsonbContainer *element, JsonbContainer *message)
{
	JsonbIterator *element_it = JsonbIteratorInit(element);
	JsonbIterator *message_it = JsonbIteratorInit(message);
	JsonbValue	element_key;
	JsonbValue	element_value;
	JsonbValue	message_key;
	JsonbValue	message_value;
	bool		more = next_pair(&element_it, &element_key, &element_value);

	while (next_pair(&message_it, &message_key, &message_value))
	{
		bool		kept = more && same_value(&element_key, &message_key);

		if (kept && !same_value(&element_value, &message_value))
			return false;
		if (!note_key(search, &message_key, kept))
			return false;
		if (kept)
			more = next_pair(&element_it, &element_key, &element_value);
	}
	return !more;
}

/*
 * Go on with the stretch by this element and this message, or else begin
 * another one with them.  False if they differ; the stretch is empty then.
 */
static bool
stretch_grow(Search *search, Stretch *stretch, int index, int64 seq, Jsonb *message)
{
	JsonbValue *value = &search->elements[index];
	JsonbContainer *element = container_of(value, JB_FOBJECT);
	bool		grown = false;

	if (element != NULL && JB_ROOT_IS_OBJECT(message))
	{
		if (stretch->count > 0 && stretch->message_size + VARSIZE(message) <= MAX_MESSAGE_BYTES)
			grown = element_matches(search, element, &message->root);
		if (!grown)
		{
			*stretch = (Stretch) {.at = index, .from = seq};
			search->key_count = 0;
			grown = element_matches(search, element, &message->root);
		}
	}
	if (!grown)
	{
		stretch->count = 0;
		return false;
	}
	stretch->count++;
	stretch->size += value->val.binary.len;
	stretch->message_size += VARSIZE(message);
	if (stretch->size > search->best.size)
		search->best = *stretch;
	return true;
}

/*
 * Compare elements and messages place by place, index 0 with this seq (which
 * may be before the first), and note the best stretch.  Ends where either of
 * them ends, where the caller is not shown a message, and where nothing fits.
 */
static void
compare_from(Search *search, int64 offset)
{
	Stretch		stretch = {0};
	int			index = Max(1 - offset, 0);
	int			batch = MAX_MISSES;
	int			misses = 0;

	while (index < search->element_count && offset + index <= search->message_count &&
		   misses < MAX_MISSES)
	{
		int			wanted = Min(batch, search->element_count - index);
		uint64		found = read_messages(search->run_id, offset + index, wanted);
		SPITupleTable *rows = SPI_tuptable;
		MemoryContext old_context = MemoryContextSwitchTo(search->row_context);
		uint64		i;

		for (i = 0; i < found && misses < MAX_MISSES; i++, index++)
		{
			bool		isnull;
			int64		seq = DatumGetInt64(result_value(i, 1, &isnull));

			CHECK_FOR_INTERRUPTS();
			if (seq != offset + index)
				break;
			if (stretch_grow(search, &stretch, index, seq,
							 DatumGetJsonbP(result_value(i, 2, &isnull))))
				misses = 0;
			else
				misses++;
			MemoryContextReset(search->row_context);
		}
		MemoryContextSwitchTo(old_context);
		SPI_freetuptable(rows);
		if (i < wanted)
			break;
		batch = MAX_BATCH;
	}
}

/* Is all left out that can be, the conversation from its beginning on? */
static bool
is_complete(const Search *search)
{
	const Stretch *best = &search->best;

	return best->count > 0 && best->at <= search->first &&
		(best->at + best->count == search->element_count ||
		 best->from + best->count > search->message_count);
}

/* How many elements, from the first on, are instructions and not conversation? */
static int
count_instructions(const JsonbValue *elements, int count)
{
	int			i;

	for (i = 0; i < count; i++)
	{
		JsonbContainer *element = container_of(&elements[i], JB_FOBJECT);
		JsonbValue	buffer;
		JsonbValue *role = element == NULL ? NULL : jsonb_get_key(element, "role", &buffer);

		if (role == NULL ||
			!(jsonb_string_is(role, "system") || jsonb_string_is(role, "developer")))
			break;
	}
	return i;
}

/*
 * Find the best stretch.  The run may begin behind the instructions, or with
 * them, or before what the request has of it; in that case it ends with it,
 * but for the newest elements.
 */
static void
search_array(Search *search)
{
	int64		offsets[2 + MAX_NEWER + 1];
	int			count = 0;

	search->first = count_instructions(search->elements, search->element_count);
	offsets[count++] = 1 - search->first;
	offsets[count++] = 1;
	for (int newer = 0; newer <= MAX_NEWER; newer++)
		offsets[count++] = search->message_count + newer - (search->element_count - 1);

	for (int i = 0; i < count && !is_complete(search); i++)
	{
		bool		repeated = false;

		for (int j = 0; j < i; j++)
			repeated |= offsets[j] == offsets[i];
		if (!repeated)
			compare_from(search, offsets[i]);
	}
}

/* ---------- compacting ---------- */

/* The reference to the best stretch; its keys are those that elements have */
static Jsonb *
reference_make(Search *search, const char *array_key)
{
	const Stretch *best = &search->best;
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfo(&out, "{\"key\":\"%s\",\"at\":%d,\"from\":" INT64_FORMAT
					 ",\"count\":%d,\"keys\":[",
					 array_key, best->at, best->from, best->count);
	search->key_count = 0;
	for (int i = best->at; i < best->at + best->count; i++)
	{
		JsonbIterator *it = JsonbIteratorInit(search->elements[i].val.binary.data);
		JsonbValue	key;
		JsonbValue	value;

		while (next_pair(&it, &key, &value))
		{
			int			known = search->key_count;

			(void) note_key(search, &key, true);
			if (search->key_count == known)
				continue;
			if (known > 0)
				appendStringInfoChar(&out, ',');
			json_append_string(&out, key.val.string.val, key.val.string.len);
		}
	}
	appendStringInfoString(&out, "]}");
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(out.data)));
}

/* Do the rows give back the request as it was?  They are read as a reader does. */
static bool
is_restored(Search *search, const Reference *reference, Jsonb *compacted, Jsonb *request)
{
	uint64		found = read_messages(search->run_id, search->best.from, search->best.count);
	SPITupleTable *rows = SPI_tuptable;
	MemoryContext old_context = MemoryContextSwitchTo(search->row_context);
	JsonbContainer **messages = palloc_array(JsonbContainer *, found + 1);
	Jsonb	   *restored;
	bool		same;

	for (uint64 i = 0; i < found; i++)
	{
		bool		isnull;

		messages[i] = &DatumGetJsonbP(result_value(i, 2, &isnull))->root;
	}
	restored = request_copy(compacted, reference, 0, messages, found);
	same = VARSIZE(restored) == VARSIZE(request) &&
		memcmp(&restored->root, &request->root, VARSIZE(request) - VARHDRSZ) == 0;

	MemoryContextSwitchTo(old_context);
	MemoryContextReset(search->row_context);
	SPI_freetuptable(rows);
	return same;
}

/* Compact one array of the request, where it has it; NULL where there is nothing to gain */
static Jsonb *
compact_array(const pg_uuid_t *run_id, int64 message_count, Jsonb *request, const char *key,
			  Jsonb **reference)
{
	Search		search = {.run_id = run_id, .message_count = message_count};
	JsonbValue	buffer;
	JsonbContainer *array = container_of(jsonb_get_key(&request->root, key, &buffer), JB_FARRAY);
	Jsonb	   *compacted = NULL;

	if (array == NULL || JsonContainerSize(array) > MAX_ELEMENTS)
		return NULL;
	search.elements = array_elements(array, &search.element_count);
	search.row_context = AllocSetContextCreate(CurrentMemoryContext, "airun compact request",
											   ALLOCSET_DEFAULT_SIZES);
	search_array(&search);
	if (search.best.size >= MIN_SAVING)
	{
		Reference	parts;

		*reference = reference_make(&search, key);
		reference_read(*reference, &parts);
		compacted = request_copy(request, &parts, search.best.count, NULL, 0);
		if (!is_restored(&search, &parts, compacted, request))
			compacted = NULL;
	}
	MemoryContextDelete(search.row_context);
	pfree(search.elements);
	return compacted;
}

/*
 * request_compact
 *
 * Leave out of a request the messages that the run has stored already.  The
 * caller has locked the run, has opened SPI, and says how many messages the
 * run has, all of them inserted by now.  True if the request has become the one
 * without them, and *reference what says so: both made in the current context,
 * which is SPI's own.  Else the request stays as it is, and *reference is null.
 */
bool
request_compact(const pg_uuid_t *run_id, int64 message_count, Field *request_data,
				Field *reference)
{
	static const char *const keys[] = {"messages", "input", "contents"};
	Jsonb	   *request;

	*reference = (Field) {(Datum) 0, true};
	if (request_data->isnull || message_count < 1)
		return false;
	request = DatumGetJsonbP(request_data->value);
	if (!JB_ROOT_IS_OBJECT(request) || VARSIZE(request) < MIN_SAVING)
		return false;

	for (int i = 0; i < lengthof(keys); i++)
	{
		Jsonb	   *made;
		Jsonb	   *compacted = compact_array(run_id, message_count, request, keys[i], &made);

		if (compacted != NULL)
		{
			*request_data = (Field) {JsonbPGetDatum(compacted), false};
			*reference = (Field) {JsonbPGetDatum(made), false};
			return true;
		}
	}
	return false;
}
