/*
 * jsonb_copy.c
 *		jsonb containers copied whole.
 *
 * A jsonb value is a tree of containers.  Core builds one by walking every
 * scalar of every document that goes into it; here a child that is already in
 * jsonb format is copied with one memcpy, and only the container around it is
 * made anew.  Guaranteed is:
 *
 * - What it builds is byte for byte what core would have built from the same
 *	 children (utils/jsonb.h describes the format): airun_array_agg() gives the
 *	 value of jsonb_agg(), jsonb_set_string() that of the || operator.
 * - The limits of jsonb are reported as 54000: no document, however large,
 *	 reaches an elog(ERROR).
 *
 * Nothing is locked.
 */
#include "json/jsonb_copy.h"

#include "airun.h"

#include "json/jsonb_child.h"
#include "json/malloc_keep.h"
#include "utils/memutils.h"

/* What an aggregate starts with: small, since there may be many groups */
#define INITIAL_ELEMENTS	16
#define INITIAL_DATA		1024

/* The largest block that elements are copied into, several to one */
#define LARGEST_BLOCK		65536

/*
 * A container in the making.  An object's children are its keys, then its
 * values.  Who adds a child has allocated the memory for it.
 */
typedef struct ChildWriter
{
	JEntry	   *entries;		/* one for each child */
	char	   *data;			/* the children's data, one after the other */
	uint32		count;			/* children so far */
	uint32		len;			/* bytes of data so far */
} ChildWriter;

typedef struct Element
{
	int64		place;			/* by which elements are ordered */
	Child		child;
} Element;

/*
 * Transition state of airun_array_agg; all of it lives in the aggregate's
 * context.  Data are copied once when they come and once into the result, and
 * never moved in between: for a long array touching memory is what takes time.
 */
typedef struct ArrayState
{
	Element    *elements;
	uint32		count;
	uint32		max_elements;	/* that elements has memory for */
	uint64		len;			/* of all data, padding included */
	bool		is_ordered;		/* elements came in the order of their places */
	char	   *free;			/* memory for data, and how much of it */
	uint32		free_len;
	uint32		block_len;		/* of the last block */
} ArrayState;

PG_FUNCTION_INFO_V1(airun_array_add);
PG_FUNCTION_INFO_V1(airun_array_result);

/* ---------------------------------------------------------------------------
 * Children of a container
 * ---------------------------------------------------------------------------
 */

/* The size of a container: its header, its entries, its data */
static inline uint64
container_size(uint64 count, uint64 len)
{
	return offsetof(JsonbContainer, children) + count * sizeof(JEntry) + len;
}

/*
 * Adds a child.  This is the only place that writes the format: the padding
 * belongs to the child that needs it, and every JB_OFFSET_STRIDE-th entry
 * tells where its child ends, the others how long it is.
 */
static void
put_child(ChildWriter *writer, const Child *child)
{
	uint32		start = child_start(child->type, writer->len);
	uint32		end = start + child->len;

	/* core pads with zeros, and equal values should be equal bytes */
	memset(writer->data + writer->len, 0, start - writer->len);
	if (child->len > 0)
		memcpy(writer->data + start, child->data, child->len);

	if (writer->count % JB_OFFSET_STRIDE == 0)
		writer->entries[writer->count] = child->type | JENTRY_HAS_OFF | end;
	else
		writer->entries[writer->count] = child->type | (end - writer->len);
	writer->count++;
	writer->len = end;
}

/* Copies the next count children */
static void
copy_children(ChildWriter *writer, ChildReader *reader, uint32 count)
{
	while (count-- > 0)
	{
		Child		child;

		next_child(reader, &child);
		put_child(writer, &child);
	}
}

/* ---------------------------------------------------------------------------
 * airun_array_agg
 * ---------------------------------------------------------------------------
 */

/*
 * Makes a jsonb value the child that stands for it in an array: a container
 * whole, a raw scalar (which jsonb keeps in a pseudo-array) without its wrap.
 * The value may be packed, and so need not be aligned: nothing in it is read
 * but the first eight bytes, and those by memcpy.
 */
static void
child_of_datum(Child *child, const struct varlena *datum)
{
	const char *data = VARDATA_ANY(datum);
	uint32		header;
	JEntry		entry;

	memcpy(&header, data, sizeof(header));
	if ((header & JB_FSCALAR) == 0)
	{
		child->type = JENTRY_ISCONTAINER;
		child->data = data;
		child->len = VARSIZE_ANY_EXHDR(datum);
		return;
	}

	memcpy(&entry, data + offsetof(JsonbContainer, children), sizeof(entry));
	child->type = entry & JENTRY_TYPEMASK;
	child->data = data + offsetof(JsonbContainer, children) + sizeof(JEntry);
	child->len = JBE_OFFLENFLD(entry);	/* an only child ends where it is long */
}

static void
refuse_array(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("array of messages is too large for jsonb"),
			 errdetail("A jsonb array can have %d bytes.", JENTRY_OFFLENMASK),
			 errhint("Read it in parts, with "
					 "airun_messages(run_id, after_seq, max_messages).")));
}

/* Copies data to where they stay until the aggregate is done */
static const char *
keep_data(ArrayState *state, MemoryContext context, const char *data, uint32 len)
{
	char	   *kept;

	if (len > LARGEST_BLOCK / 4)
		kept = MemoryContextAlloc(context, len);
	else
	{
		if (len > state->free_len)
		{
			state->block_len = Min(Max(state->block_len * 2, len), LARGEST_BLOCK);
			state->free_len = state->block_len;
			state->free = MemoryContextAlloc(context, state->free_len);
		}
		kept = state->free;
		state->free += len;
		state->free_len -= len;
	}
	memcpy(kept, data, len);
	return kept;
}

/*
 * Adds an element to the array.
 *
 * The limit is core's: header and entries count too, for the array may become
 * a child itself.  It also keeps all that follows far from MaxAllocSize, and
 * the number of elements from the 28 bits it has.
 */
static void
add_element(ArrayState *state, MemoryContext context, const Child *child, int64 place)
{
	Element    *element;
	uint64		end = (uint64) child_start(child->type, state->len) + child->len;

	if (container_size((uint64) state->count + 1, end) > JENTRY_OFFLENMASK)
		refuse_array();

	if (state->count >= state->max_elements)
	{
		state->max_elements *= 2;
		state->elements = repalloc_huge(state->elements,
										state->max_elements * sizeof(Element));
	}
	if (state->count > 0 && place < state->elements[state->count - 1].place)
		state->is_ordered = false;
	element = &state->elements[state->count++];
	element->place = place;
	element->child = *child;
	if (child->len > 0)
		element->child.data = keep_data(state, context, child->data, child->len);
	state->len = end;
}

/*
 * airun_array_add(state internal, element jsonb, place bigint) returns internal
 *
 * Transition function of airun_array_agg: state with the element added, a SQL
 * NULL as a JSON null, as jsonb_agg has it.  The first state is NULL.  place
 * may be left out, then elements stay as they come; NULL comes first.  Raises
 * 0A000 when it is called by hand, 54000 when the array outgrows jsonb.
 */
Datum
airun_array_add(PG_FUNCTION_ARGS)
{
	MemoryContext context;
	ArrayState *state;
	int64		place = 0;

	if (!AggCheckCallContext(fcinfo, &context))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("airun_array_add called in non-aggregate context"),
				 errhint("Use the aggregate airun_array_agg(jsonb).")));

	if (PG_ARGISNULL(0))
	{
		state = MemoryContextAllocZero(context, sizeof(ArrayState));
		state->max_elements = INITIAL_ELEMENTS;
		state->elements = MemoryContextAlloc(context, INITIAL_ELEMENTS * sizeof(Element));
		state->is_ordered = true;
		state->block_len = INITIAL_DATA / 2;
	}
	else
		state = (ArrayState *) PG_GETARG_POINTER(0);

	if (PG_NARGS() > 2)
		place = PG_ARGISNULL(2) ? PG_INT64_MIN : PG_GETARG_INT64(2);
	if (PG_ARGISNULL(1))
		add_element(state, context, &(Child) {.type = JENTRY_ISNULL}, place);
	else
	{
		/* packed: a short value of a table is copied once, not twice */
		struct varlena *element = PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(1));
		Child		child;

		child_of_datum(&child, element);
		add_element(state, context, &child, place);
		PG_FREE_IF_COPY(element, 1);
	}

	PG_RETURN_POINTER(state);
}

static int
compare_places(const void *a, const void *b)
{
	int64		left = ((const Element *) a)->place;
	int64		right = ((const Element *) b)->place;

	return left < right ? -1 : left > right;
}

/*
 * airun_array_result(state internal) returns jsonb
 *
 * Final function of airun_array_agg: the array of the elements so far, NULL if
 * there was no row.  The state keeps all that it has: as a window function the
 * aggregate goes on from here.
 */
Datum
airun_array_result(PG_FUNCTION_ARGS)
{
	ArrayState *state;
	Element    *elements;
	ChildWriter writer = {0};
	Jsonb	   *result;
	Size		size;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	if (!AggCheckCallContext(fcinfo, NULL))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("airun_array_result called in non-aggregate context"),
				 errhint("Use the aggregate airun_array_agg(jsonb).")));

	state = (ArrayState *) PG_GETARG_POINTER(0);
	elements = state->elements;
	if (!state->is_ordered)
	{
		elements = MemoryContextAllocHuge(CurrentMemoryContext,
										  state->count * sizeof(Element));
		memcpy(elements, state->elements, state->count * sizeof(Element));
		qsort(elements, state->count, sizeof(Element), compare_places);
	}

	/* in another order the padding may take three bytes more an element */
	size = VARHDRSZ + container_size(state->count, state->len) +
		(state->is_ordered ? 0 : 3 * (Size) state->count);
	malloc_keep(size);
	result = palloc_extended(size, MCXT_ALLOC_HUGE);
	writer.entries = result->root.children;
	writer.data = (char *) &result->root.children[state->count];
	for (uint32 i = 0; i < state->count; i++)
		put_child(&writer, &elements[i].child);
	size = VARHDRSZ + container_size(writer.count, writer.len);
	if (size - VARHDRSZ > JENTRY_OFFLENMASK)
		refuse_array();
	SET_VARSIZE(result, size);
	result->root.header = JB_FARRAY | writer.count;

	PG_RETURN_JSONB_P(result);
}

/* ---------------------------------------------------------------------------
 * One key of an object
 * ---------------------------------------------------------------------------
 */

static void
report_object_too_large(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("object is too large for jsonb"),
			 errdetail("A jsonb object can have %d bytes.", JENTRY_OFFLENMASK)));
}

/*
 * jsonb_set_string
 *
 * Returns a new object, allocated in the current context: the given one with
 * the key set to a string, in the place of the value it had or as a new key.
 * It is what "object || jsonb_build_object(key, value)" makes.
 *
 * object is a detoasted jsonb object, which stays as it is, or NULL for an
 * empty one.  key is NUL-terminated; value has len bytes.  Both must be valid
 * in the server's encoding: this is not checked.  Raises 54000 when the result
 * outgrows jsonb.
 */
Jsonb *
jsonb_set_string(Jsonb *object, const char *key, const char *value, int len)
{
	size_t		key_len = strlen(key);
	uint32		pairs = 0;		/* of the given object */
	uint32		place;			/* how many keys come before ours */
	uint32		replaced = 0;	/* 1 if ours is there already */
	uint32		new_pairs;
	uint64		size;
	Jsonb	   *result;
	ChildReader reader;
	ChildWriter writer;
	Child		new_key;
	Child		new_value;

	Assert(len >= 0);

	if (object != NULL)
	{
		if (!JB_ROOT_IS_OBJECT(object))
			elog(ERROR, "jsonb value is not an object");
		pairs = JB_ROOT_COUNT(object);
		start_reading(&reader, &object->root, 0);
	}
	if (key_len > JENTRY_OFFLENMASK || len > JENTRY_OFFLENMASK)
		report_object_too_large();

	/* Keys are sorted by length, then by bytes */
	for (place = 0; place < pairs; place++)
	{
		Child		found;
		int			order;

		next_child(&reader, &found);
		if (found.len < key_len)
			continue;
		order = found.len > key_len ? 1 : memcmp(found.data, key, key_len);
		if (order >= 0)
		{
			replaced = order == 0 ? 1 : 0;
			break;
		}
	}
	new_pairs = pairs + 1 - replaced;

	/*
	 * Allocate what it can take at most: all that was there, and for each
	 * value the padding it may need at its new place.  Each of the three parts
	 * is within jsonb's limit, so that the sum is within MaxAllocSize.
	 */
	size = object != NULL ? VARSIZE(object) : VARHDRSZ + container_size(0, 0);
	size += 2 * sizeof(JEntry) + key_len + len;
	size += (uint64) pairs * (ALIGNOF_INT - 1);
	result = palloc(size);

	writer.entries = result->root.children;
	writer.data = (char *) &result->root.children[2 * new_pairs];
	writer.count = 0;
	writer.len = 0;

	new_key.type = JENTRY_ISSTRING;
	new_key.data = key;
	new_key.len = key_len;
	new_value.type = JENTRY_ISSTRING;
	new_value.data = value;
	new_value.len = len;

	/* The keys, then the values, with ours in the same place among both */
	if (object != NULL)
		start_reading(&reader, &object->root, 0);
	copy_children(&writer, &reader, place);
	put_child(&writer, &new_key);
	if (object != NULL)
		start_reading(&reader, &object->root, place + replaced);
	copy_children(&writer, &reader, pairs - place - replaced);

	if (object != NULL)
		start_reading(&reader, &object->root, pairs);
	copy_children(&writer, &reader, place);
	put_child(&writer, &new_value);
	if (object != NULL)
		start_reading(&reader, &object->root, pairs + place + replaced);
	copy_children(&writer, &reader, pairs - place - replaced);

	Assert(writer.count == 2 * new_pairs);
	size = container_size(writer.count, writer.len);
	if (size > JENTRY_OFFLENMASK)
		report_object_too_large();
	result->root.header = JB_FOBJECT | new_pairs;
	SET_VARSIZE(result, VARHDRSZ + size);
	return result;
}
