/*
 * jsonb_copy.c
 *		jsonb containers copied whole, and written as text.
 *
 * A jsonb value is a tree of containers.  Core builds one by walking every
 * scalar of every document that goes into it; here a child that is already in
 * jsonb format is copied with one memcpy, and only the container around it is
 * made anew.  Guaranteed is:
 *
 * - What it builds is byte for byte what core would have built from the same
 *	 children (utils/jsonb.h describes the format): airun_array_agg() gives the
 *	 value of jsonb_agg(), jsonb_set_string() that of the || operator.
 * - What it writes as text parses to the same jsonb again, and has no blanks
 *	 outside of strings.
 * - What it repairs in a document is only what JSON allows and jsonb refuses.
 * - No document, however large, deep or malformed, reaches an elog(ERROR): the
 *	 limits of jsonb are reported as 54000, malformed JSON by the SQLSTATE that
 *	 is asked for.
 */
#include "postgres.h"

#include "airun.h"
#include "json/jsonb_copy.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

/* What an aggregate starts with: small, since there may be many groups */
#define INITIAL_ELEMENTS	16
#define INITIAL_DATA		1024

/* The largest block that elements are copied into, several to one */
#define LARGEST_BLOCK		65536

/* The largest array for which malloc is to keep memory */
#define LARGEST_KEPT		(2 * 1024 * 1024)

/*
 * A container in the making.  An object's children are its keys, then its
 * values.  Who adds a child sees to it that there is room for it.
 */
typedef struct ChildWriter
{
	JEntry	   *entries;		/* one for each child */
	char	   *data;			/* the children's data, one after the other */
	uint32		count;			/* children so far */
	uint32		len;			/* bytes of data so far */
} ChildWriter;

/* A child of a container, as it is written in it */
typedef struct Child
{
	JEntry		type;			/* the JENTRY_IS... bits and nothing else */
	const char *data;			/* without the padding that aligns it */
	uint32		len;
} Child;

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
	uint32		max_elements;	/* room in elements */
	uint64		len;			/* of all data, padding included */
	bool		is_ordered;		/* elements came in the order of their places */
	char	   *free;			/* room for data, and how much of it */
	uint32		free_len;
	uint32		block_len;		/* of the last block */
} ArrayState;

/* A position in a container */
typedef struct ChildReader
{
	const JEntry *entry;		/* of the next child */
	const char *base;			/* where the container's data begin */
	uint32		offset;			/* of the next child's data, padding included */
} ChildReader;

/*
 * For each byte of a string: the letter that follows the backslash when JSON
 * wants it escaped, or 0.  'u' stands for the form with four digits.
 */
static const char escape_letter[256] = {
	'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'b', 't', 'n', 'u', 'f', 'r', 'u', 'u',
	'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u',
	['"'] = '"',
	['\\'] = '\\'
};

/*
 * The same question for eight bytes at a time, in a word whose lowest byte is
 * the first.  Each test leaves the top bit of a byte set if that byte is sought;
 * a borrow may mark a byte that is not, but only above one that is, so that the
 * lowest mark is always right.
 */
#define EVERY_BYTE(c)		(UINT64CONST(0x0101010101010101) * (c))
#define BYTES_BELOW(word, c) \
	(((word) - EVERY_BYTE(c)) & ~(word) & EVERY_BYTE(0x80))
#define BYTES_EQUAL(word, c) \
	BYTES_BELOW((word) ^ EVERY_BYTE(c), 0x01)
#define BYTES_TO_ESCAPE(word) \
	(BYTES_BELOW(word, 0x20) | BYTES_EQUAL(word, '"') | BYTES_EQUAL(word, '\\'))

PG_FUNCTION_INFO_V1(airun_array_add);
PG_FUNCTION_INFO_V1(airun_array_result);
PG_FUNCTION_INFO_V1(airun_json);

/* ---------------------------------------------------------------------------
 * Children of a container
 * ---------------------------------------------------------------------------
 */

/* Where the data of a child of this type begin, if they come after len bytes */
static inline uint32
child_start(JEntry type, uint32 len)
{
	if (type == JENTRY_ISNUMERIC || type == JENTRY_ISCONTAINER)
		return INTALIGN(len);
	return len;
}

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

/*
 * Stands before the child with this index.  The container must be aligned, as
 * it is in any detoasted jsonb.
 */
static inline void
start_reading(ChildReader *reader, const JsonbContainer *container, uint32 index)
{
	uint32		count = JsonContainerSize(container);

	if (JsonContainerIsObject(container))
		count *= 2;
	reader->entry = &container->children[index];
	reader->base = (const char *) &container->children[count];
	reader->offset = index == 0 ? 0 : getJsonbOffset(container, index);
}

/*
 * Reads a child and steps past it.  Whether an entry is an offset or a length
 * is told by its own bit only: the stride is the writer's business.
 */
static inline void
next_child(ChildReader *reader, Child *child)
{
	JEntry		entry = *reader->entry++;
	uint32		start;

	child->type = entry & JENTRY_TYPEMASK;
	start = child_start(child->type, reader->offset);
	JBE_ADVANCE_OFFSET(reader->offset, entry);
	child->data = reader->base + start;
	child->len = reader->offset - start;
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

/*
 * Has malloc keep the memory of a query that makes an array of this size, for
 * the next one.
 *
 * To send it to the client the query touches five times as much, in blocks as
 * large: the elements, the array, a subplan's copy of it, the text, the message.
 * When it ends, glibc gives all that back to the kernel, and the next query
 * faults in every page anew, which took half of its time.  glibc keeps what is
 * free at the end of the heap as long as it is less than twice the largest block
 * that was mapped apart and freed; so it is shown a larger one, once for each
 * power of two.  Nobody writes to that block, so that it takes no memory.  What
 * a backend keeps is what its queries have used, at most 8 times LARGEST_KEPT,
 * to which glibc comes by itself after one text of 8 MB.  Other allocators are
 * not disturbed by it.
 */
static void
keep_memory_for(Size size)
{
	static Size shown = 128 * 1024; /* as large a block is mapped at first */
	Size		block;

	if (size > LARGEST_KEPT)
		return;
	block = pg_nextpower2_size_t(4 * size);
	if (block > shown)
	{
		pfree(palloc(block));
		shown = block;
	}
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
	keep_memory_for(size);
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

/* ---------------------------------------------------------------------------
 * jsonb as text
 * ---------------------------------------------------------------------------
 */

/*
 * json_append_string
 *
 * Appends len bytes of text as a JSON string, quoted and escaped.  Escaped is
 * only what JSON demands (RFC 8259, section 7): quotes, backslashes and control
 * characters.  The text must be valid in the server's encoding and have no NUL
 * in it; in every server encoding the bytes of a multibyte character are above
 * ASCII, so that byte by byte is safe.  Raises 54000 when out would pass 1 GB.
 */
void
json_append_string(StringInfo out, const char *str, int len)
{
	static const char digits[] = "0123456789abcdef";
	const char *end = str + len;
	char	   *to;

	/*
	 * Throughout, out has room for the rest of the text as it is, for the
	 * closing quote, and for one more word or escape sequence.
	 */
	enlargeStringInfo(out, len + 2 + sizeof(uint64));
	to = out->data + out->len;
	*to++ = '"';

	for (;;)
	{
		unsigned char c;
		char		letter;

		/* Copy first and then look: what was too much is overwritten */
		while (end - str >= sizeof(uint64))
		{
			uint64		word;
			uint64		marks;
			int			clean = sizeof(word);

			memcpy(&word, str, sizeof(word));
			memcpy(to, &word, sizeof(word));
			word = pg_bswap64(pg_ntoh64(word)); /* first byte lowest, everywhere */
			marks = BYTES_TO_ESCAPE(word);
			if (marks != 0)
				clean = pg_rightmost_one_pos64(marks) / BITS_PER_BYTE;
			str += clean;
			to += clean;
			if (marks != 0)
				break;
		}
		while (str < end && escape_letter[(unsigned char) *str] == 0)
			*to++ = *str++;
		if (str >= end)
			break;

		c = (unsigned char) *str++;
		letter = escape_letter[c];
		*to++ = '\\';
		*to++ = letter;
		if (letter == 'u')
		{
			*to++ = '0';
			*to++ = '0';
			*to++ = digits[c >> 4];
			*to++ = digits[c & 0x0F];
		}

		/* That took more than the one byte it had in the text */
		out->len = to - out->data;
		if (out->maxlen - out->len <= (end - str) + 1 + sizeof(uint64))
		{
			enlargeStringInfo(out, (end - str) + 1 + sizeof(uint64));
			to = out->data + out->len;
		}
	}

	*to++ = '"';
	*to = '\0';
	out->len = to - out->data;
	Assert(out->len < out->maxlen);
}

/* Appends the value of a child */
static inline void
append_child(StringInfo out, const Child *child)
{
	switch (child->type)
	{
		case JENTRY_ISSTRING:
			json_append_string(out, child->data, child->len);
			break;
		case JENTRY_ISNUMERIC:
			{
				char	   *number;

				/* for a number, numeric's text is JSON as it is */
				number = DatumGetCString(DirectFunctionCall1(numeric_out,
															 PointerGetDatum(child->data)));
				appendBinaryStringInfo(out, number, strlen(number));
				pfree(number);
				break;
			}
		case JENTRY_ISBOOL_TRUE:
			appendBinaryStringInfo(out, "true", 4);
			break;
		case JENTRY_ISBOOL_FALSE:
			appendBinaryStringInfo(out, "false", 5);
			break;
		case JENTRY_ISNULL:
			appendBinaryStringInfo(out, "null", 4);
			break;
		case JENTRY_ISCONTAINER:
			json_append_container(out, (JsonbContainer *) child->data);
			break;
		default:
			elog(ERROR, "unknown type of jsonb child: %x", child->type);
	}
}

/*
 * json_append_container
 *
 * Appends the JSON text of a container, without blanks; of the pseudo-array
 * that holds a raw scalar, the text of the scalar.  The text parses to the same
 * jsonb.  The container must be aligned and in memory as a whole: the root of
 * a detoasted jsonb, or a container within one.  Raises 54000 when out would
 * pass 1 GB, 54001 when it is nested too deep for the stack; can be cancelled.
 */
void
json_append_container(StringInfo out, JsonbContainer *container)
{
	uint32		count = JsonContainerSize(container);
	ChildReader values;
	Child		child;
	uint32		i;

	check_stack_depth();

	if (JsonContainerIsObject(container))
	{
		ChildReader keys;

		start_reading(&keys, container, 0);
		start_reading(&values, container, count);
		appendStringInfoCharMacro(out, '{');
		for (i = 0; i < count; i++)
		{
			CHECK_FOR_INTERRUPTS();
			if (i > 0)
				appendStringInfoCharMacro(out, ',');
			next_child(&keys, &child);
			json_append_string(out, child.data, child.len);
			appendStringInfoCharMacro(out, ':');
			next_child(&values, &child);
			append_child(out, &child);
		}
		appendStringInfoCharMacro(out, '}');
		return;
	}

	start_reading(&values, container, 0);
	if (JsonContainerIsScalar(container))
	{
		next_child(&values, &child);
		append_child(out, &child);
		return;
	}

	appendStringInfoCharMacro(out, '[');
	for (i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (i > 0)
			appendStringInfoCharMacro(out, ',');
		next_child(&values, &child);
		append_child(out, &child);
	}
	appendStringInfoCharMacro(out, ']');
}

/* ---------------------------------------------------------------------------
 * JSON that jsonb refuses
 * ---------------------------------------------------------------------------
 */

/* The value of four hexadecimal digits, or -1 */
static int
read_hex4(const char *p)
{
	int			value = 0;
	int			i;

	for (i = 0; i < 4; i++)
	{
		char		c = p[i];

		if (c >= '0' && c <= '9')
			value = value * 16 + (c - '0');
		else if (c >= 'a' && c <= 'f')
			value = value * 16 + (c - 'a' + 10);
		else if (c >= 'A' && c <= 'F')
			value = value * 16 + (c - 'A' + 10);
		else
			return -1;
	}
	return value;
}

/*
 * The length of the escape sequence that begins with the backslash at p, and
 * whether it is one to repair.  A pair of surrogates is one sequence.  What is
 * not JSON is passed over, for the parser to refuse.
 */
static int
read_escape(const char *p, const char *end, bool *repair)
{
	int			code;

	*repair = false;
	if (end - p < 6 || p[1] != 'u' || (code = read_hex4(p + 2)) < 0)
		return Min(2, (int) (end - p));

	if (code >= 0xD800 && code <= 0xDBFF && end - p >= 12 && p[6] == '\\' && p[7] == 'u')
	{
		int			low = read_hex4(p + 8);

		if (low >= 0xDC00 && low <= 0xDFFF)
			return 12;
	}
	*repair = code == 0 || (code >= 0xD800 && code <= 0xDFFF);
	return 6;
}

/* Is there anything to repair, if every backslash is taken to be in a string? */
static bool
may_need_repair(const char *p, const char *end)
{
	while ((p = memchr(p, '\\', end - p)) != NULL)
	{
		bool		repair;

		p += read_escape(p, end, &repair);
		if (repair)
			return true;
	}
	return false;
}

/*
 * A repaired copy of the document, NUL-terminated.  The character that is put
 * in is shorter than the sequence it replaces.
 */
static char *
repair_document(const char *p, const char *end)
{
	const char *replacement = GetDatabaseEncoding() == PG_UTF8 ? "\xEF\xBF\xBD" : "?";
	int			replacement_len = strlen(replacement);
	char	   *result = palloc(end - p + 1);
	char	   *to = result;
	bool		in_string = false;

	while (p < end)
	{
		bool		repair;
		int			len;

		if (*p != '\\' || !in_string)
		{
			if (*p == '"')
				in_string = !in_string;
			*to++ = *p++;
			continue;
		}

		len = read_escape(p, end, &repair);
		if (repair)
		{
			memcpy(to, replacement, replacement_len);
			to += replacement_len;
		}
		else
		{
			memcpy(to, p, len);
			to += len;
		}
		p += len;
	}
	*to = '\0';
	return result;
}

/*
 * Reports, by the SQLSTATE that is asked for, what jsonb's parser had to say.
 * Its context goes into the detail, too, since a client over HTTP sees no
 * context; of a syntax error its first line is the parser's own, and tells the
 * place.
 */
static void
report_invalid_document(const ErrorData *error, int sqlerrcode, const char *what)
{
	bool		beyond_limit = error->sqlerrcode == ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE ||
		ERRCODE_TO_CATEGORY(error->sqlerrcode) ==
		ERRCODE_TO_CATEGORY(ERRCODE_PROGRAM_LIMIT_EXCEEDED);
	StringInfoData detail;

	initStringInfo(&detail);
	appendStringInfoString(&detail, error->message);
	if (error->detail != NULL)
		appendStringInfo(&detail, ": %s", error->detail);
	else
		appendStringInfoChar(&detail, '.');
	if (error->sqlerrcode == ERRCODE_INVALID_TEXT_REPRESENTATION && error->context != NULL)
		appendStringInfo(&detail, " (%.*s)",
						 (int) strcspn(error->context, "\n"), error->context);

	ereport(ERROR,
			(errcode(sqlerrcode),
			 errmsg("%s is not valid JSON", what),
			 errdetail_internal("%s", detail.data),
			 beyond_limit ?
			 errhint("Send a document that jsonb can hold: shorter strings, fewer elements, "
					 "less nesting, numbers closer to zero.") :
			 errhint("Send one complete JSON document; in a string, quotes, backslashes "
					 "and control characters must be escaped.")));
}

/*
 * jsonb's parser, with what it refuses reported by the SQLSTATE that is asked
 * for.
 *
 * It takes no locks, pins or other resources that a subtransaction would have
 * to give back, so that its errors can be caught without one.  What is no fault
 * of the document, such as a cancel, goes on unchanged.
 */
static Datum
parse_document(char *json, int sqlerrcode, const char *what)
{
	MemoryContext context = CurrentMemoryContext;
	volatile Datum result = (Datum) 0;

	PG_TRY();
	{
		result = DirectFunctionCall1(jsonb_in, CStringGetDatum(json));
	}
	PG_CATCH();
	{
		ErrorData  *error;
		int			category;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		category = ERRCODE_TO_CATEGORY(error->sqlerrcode);
		if (category != ERRCODE_TO_CATEGORY(ERRCODE_DATA_EXCEPTION) &&
			category != ERRCODE_TO_CATEGORY(ERRCODE_PROGRAM_LIMIT_EXCEEDED))
			PG_RE_THROW();
		FlushErrorState();
		report_invalid_document(error, sqlerrcode, what);
	}
	PG_END_TRY();

	return result;
}

/*
 * Parse JSON as jsonb does, but take what is valid JSON and jsonb refuses:
 * \u0000 and a surrogate (\uD800 to \uDFFF) that is not half of a pair become
 * U+FFFD, or a question mark if the server's encoding is not UTF8.  Nothing
 * else is repaired.  For everything else that jsonb refuses: an error with
 * this SQLSTATE, that names what is not valid, with what jsonb's parser said
 * as the detail.
 */
Jsonb *
json_parse(text *document, int sqlerrcode, const char *what)
{
	const char *start = VARDATA_ANY(document);
	const char *end = start + VARSIZE_ANY_EXHDR(document);
	char	   *json;
	Datum		result;

	/* The parser wants a NUL at the end, so that one copy is always needed */
	if (may_need_repair(start, end))
		json = repair_document(start, end);
	else
		json = text_to_cstring(document);

	result = parse_document(json, sqlerrcode, what);
	pfree(json);
	return DatumGetJsonbP(result);
}

/*
 * airun_json(document text) returns jsonb
 *
 * PT422 for what json_parse() does not take.
 */
Datum
airun_json(PG_FUNCTION_ARGS)
{
	PG_RETURN_JSONB_P(json_parse(PG_GETARG_TEXT_PP(0), ERRCODE_AIRUN_UNACCEPTABLE,
								 "document"));
}
