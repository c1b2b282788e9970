/*
 * json_text.c
 *		JSON as text: written from jsonb and from rows, and read with repairs.
 *
 * What goes to a client is text in the end.  So the functions that give a whole
 * run send the rows of their query through a receiver that writes the text at
 * once: no row is kept, no jsonb array is built and taken apart again.
 * Guaranteed is:
 *
 * - What is written as text parses to the same jsonb again, and has no blanks
 *	 outside of strings.
 * - What is repaired in a document is only what JSON allows and jsonb refuses.
 * - No document, however large, deep or malformed, reaches an elog(ERROR): the
 *	 limits of jsonb are reported as 54000, malformed JSON by the SQLSTATE that
 *	 is asked for.
 *
 * Nothing is locked.
 */
#include "json/json_text.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "json/jsonb_child.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "port/pg_bswap.h"
#include "store/identity.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(airun_json);

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

/* ---------- jsonb as text ---------- */

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
	 * Throughout, out has memory for the rest of the text as it is, for the
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

/* ---------- rows as text ---------- */

typedef struct JsonArrayReceiver
{
	DestReceiver pub;
	StringInfo	out;
	MemoryContext row_context;
	bool		first;
	bool		is_jsonb;		/* else json or text that is JSON already */
} JsonArrayReceiver;

/*
 * Begin a JSON result, in the current memory context, where it also grows.
 * The varlena header comes first, so that json_end() need not copy.
 */
void
json_begin(StringInfo out)
{
	initStringInfo(out);
	appendStringInfoSpaces(out, VARHDRSZ);
}

/* The finished result, of type json */
Datum
json_end(StringInfo out)
{
	SET_VARSIZE(out->data, out->len);
	return PointerGetDatum(out->data);
}

/* Append a string that needs no escapes */
static void
append_quoted(StringInfo out, const char *string)
{
	appendStringInfoCharMacro(out, '"');
	appendStringInfoString(out, string);
	appendStringInfoCharMacro(out, '"');
}

/* Append a value of one of the types that the summaries have */
static void
append_value(StringInfo out, Datum value, Oid type)
{
	switch (type)
	{
		case BOOLOID:
			appendStringInfoString(out, DatumGetBool(value) ? "true" : "false");
			break;
		case INT8OID:
			{
				char		digits[MAXINT8LEN + 1];

				appendBinaryStringInfo(out, digits, pg_lltoa(DatumGetInt64(value), digits));
				break;
			}
		case NUMERICOID:
			appendStringInfoString(out,
								   DatumGetCString(DirectFunctionCall1(numeric_out, value)));
			break;
		case TEXTOID:
			{
				text	   *string = DatumGetTextPP(value);

				json_append_string(out, VARDATA_ANY(string), VARSIZE_ANY_EXHDR(string));
				break;
			}
		case UUIDOID:
			append_quoted(out, uuid_string(DatumGetUUIDP(value)));
			break;
		case TIMESTAMPTZOID:
			{
				char		buffer[MAXDATELEN + 1];

				append_quoted(out, JsonEncodeDateTime(buffer, value, TIMESTAMPTZOID, NULL));
				break;
			}
		case JSONBOID:
			json_append_container(out, &DatumGetJsonbP(value)->root);
			break;
		case TEXTARRAYOID:
			{
				text	   *json = DatumGetTextPP(DirectFunctionCall1(array_to_json, value));

				appendBinaryStringInfo(out, VARDATA_ANY(json), VARSIZE_ANY_EXHDR(json));
				break;
			}
		default:
			elog(ERROR, "no JSON for type %u", type);
	}
}

/*
 * Append a row of a result as an object: what row_to_json() gives,
 * without looking up for each value how its type is written.
 */
void
json_append_row(StringInfo out, const ResultRow *row)
{
	TupleDesc	desc = row->desc;
	Datum	   *values = palloc_array(Datum, desc->natts);
	bool	   *nulls = palloc_array(bool, desc->natts);

	result_row_values(row, values, nulls);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(desc, i);

		appendStringInfoCharMacro(out, i == 0 ? '{' : ',');
		append_quoted(out, NameStr(column->attname));
		appendStringInfoCharMacro(out, ':');
		if (nulls[i])
			appendStringInfoString(out, "null");
		else
			append_value(out, values[i], column->atttypid);
	}
	appendStringInfoCharMacro(out, '}');
}

static void
receiver_startup(DestReceiver *self, int operation, TupleDesc typeinfo)
{
	JsonArrayReceiver *receiver = (JsonArrayReceiver *) self;

	receiver->first = true;
	receiver->is_jsonb = TupleDescAttr(typeinfo, 0)->atttypid == JSONBOID;
	receiver->row_context = AllocSetContextCreate(CurrentMemoryContext, "airun row",
												  ALLOCSET_DEFAULT_SIZES);
}

static bool
receiver_receive(TupleTableSlot *slot, DestReceiver *self)
{
	JsonArrayReceiver *receiver = (JsonArrayReceiver *) self;
	StringInfo	out = receiver->out;
	MemoryContext old_context = MemoryContextSwitchTo(receiver->row_context);
	struct varlena *value;
	bool		isnull;

	if (!receiver->first)
		appendStringInfoCharMacro(out, ',');
	receiver->first = false;

	value = PG_DETOAST_DATUM(slot_getattr(slot, 1, &isnull));
	if ((Size) out->len + VARSIZE(value) >= MaxAllocSize)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the messages of the run are too large for one JSON value"),
				 errhint("Read them in parts, with airun_messages(run_id, after_seq, "
						 "max_messages).")));
	if (receiver->is_jsonb)
		json_append_container(out, &((Jsonb *) value)->root);
	else
		appendBinaryStringInfo(out, VARDATA(value), VARSIZE(value) - VARHDRSZ);

	MemoryContextSwitchTo(old_context);
	MemoryContextReset(receiver->row_context);
	return true;
}

static void
receiver_shutdown(DestReceiver *self)
{
	MemoryContextDelete(((JsonArrayReceiver *) self)->row_context);
}

static void
receiver_destroy(DestReceiver *self)
{
	pfree(self);
}

/*
 * A receiver that appends the first column of each row, with commas between
 * them: jsonb is written as text, json and text are taken as they are.
 */
DestReceiver *
json_array_receiver(StringInfo out)
{
	JsonArrayReceiver *receiver = palloc0_object(JsonArrayReceiver);

	receiver->pub.receiveSlot = receiver_receive;
	receiver->pub.rStartup = receiver_startup;
	receiver->pub.rShutdown = receiver_shutdown;
	receiver->pub.rDestroy = receiver_destroy;
	receiver->pub.mydest = DestNone;
	receiver->out = out;
	return (DestReceiver *) receiver;
}

/* ---------- text that becomes jsonb ---------- */


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
 * jsonb's parser.  Where it refuses the document, NULL, and in *refusal what it
 * has to say.
 *
 * It takes no locks, pins or other resources that a subtransaction would have
 * to give back, so that its errors can be caught without one.  What is no fault
 * of the document, such as a cancel, goes on unchanged.
 */
static Jsonb *
parse_document(char *json, ErrorData **refusal)
{
	MemoryContext context = CurrentMemoryContext;
	Jsonb	   *volatile result = NULL;

	PG_TRY();
	{
		result = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(json)));
	}
	PG_CATCH();
	{
		int			category;

		MemoryContextSwitchTo(context);
		*refusal = CopyErrorData();
		category = ERRCODE_TO_CATEGORY((*refusal)->sqlerrcode);
		if (category != ERRCODE_TO_CATEGORY(ERRCODE_DATA_EXCEPTION) &&
			category != ERRCODE_TO_CATEGORY(ERRCODE_PROGRAM_LIMIT_EXCEEDED))
			PG_RE_THROW();
		FlushErrorState();
	}
	PG_END_TRY();

	return result;
}

/* The same of a document that is repaired first, where it needs that; NULL: see refusal */
Jsonb *
json_try_parse(const char *start, int len, ErrorData **refusal)
{
	char	   *json = may_need_repair(start, start + len) ?
		repair_document(start, start + len) : pnstrdup(start, len);
	Jsonb	   *result = parse_document(json, refusal);

	pfree(json);
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
	ErrorData  *refusal = NULL;
	Jsonb	   *result = json_try_parse(VARDATA_ANY(document), VARSIZE_ANY_EXHDR(document),
										&refusal);

	if (result == NULL)
		report_invalid_document(refusal, sqlerrcode, what);
	return result;
}

/*
 * The document that a JSON string holds, repaired like any other text: some
 * drivers encode twice, and a string is the way to bring in what jsonb refuses.
 * Everything else comes back as it is, a string that holds no object and no
 * array included.
 */
Jsonb *
json_unwrap(Jsonb *value)
{
	JsonbValue	string;
	ErrorData  *refusal;
	Jsonb	   *document;
	int			blank;

	if (!JB_ROOT_IS_SCALAR(value) || !JsonbExtractScalar(&value->root, &string) ||
		string.type != jbvString)
		return value;
	for (blank = 0; blank < string.val.string.len; blank++)
	{
		if (strchr(" \t\n\r", string.val.string.val[blank]) == NULL)
			break;
	}
	if (blank == string.val.string.len ||
		(string.val.string.val[blank] != '{' && string.val.string.val[blank] != '['))
		return value;
	document = json_try_parse(string.val.string.val, string.val.string.len, &refusal);
	return document != NULL ? document : value;
}

/* Is it one JSON document, which jsonb takes as it is? */
bool
json_is_valid(const char *start, int len)
{
	ErrorData  *refusal;
	char	   *json = pnstrdup(start, len);
	Jsonb	   *document = parse_document(json, &refusal);

	pfree(json);
	return document != NULL;
}

/* ---------- strings that are cut within a character ---------- */

#define IS_HIGH_HALF(code)	((code) >= 0xD800 && (code) <= 0xDBFF)
#define IS_LOW_HALF(code)	((code) >= 0xDC00 && (code) <= 0xDFFF)

static const char *
skip_blanks(const char *p, const char *end)
{
	while (p < end && strchr(" \t\n\r", *p) != NULL && *p != '\0')
		p++;
	return p;
}

/*
 * The end of the string that begins with the quote at p, behind its last quote;
 * end where it has none.  *last: where its last character or escape begins.
 */
static const char *
string_end(const char *p, const char *end, const char **last)
{
	*last = NULL;
	for (p++; p < end && *p != '"';)
	{
		bool		repair;

		*last = p;
		p += *p == '\\' ? read_escape(p, end, &repair) : 1;
	}
	return p < end ? p + 1 : end;
}

/* The half of a character whose escape is at p, or 0 where there is none */
static int
half_at(const char *p, const char *end)
{
	bool		is_alone;
	int			code;

	if (p == NULL || end - p < 6 || *p != '\\' || read_escape(p, end, &is_alone) != 6)
		return 0;
	code = p[1] == 'u' ? read_hex4(p + 2) : 0;
	return is_alone && code != 0 ? code : 0;
}

/*
 * Parse a JSON string that is a piece of a text.  Half a character at its begin
 * or end is told apart, to meet its other half; the rest is repaired, as by
 * json_parse().  The SQLSTATE is for what is no JSON string.
 */
JsonPiece
json_parse_piece(text *literal, int sqlerrcode, const char *what)
{
	const char *end = VARDATA_ANY(literal) + VARSIZE_ANY_EXHDR(literal);
	const char *start = skip_blanks(VARDATA_ANY(literal), end);
	JsonPiece	piece = {NULL, 0, 0};
	const char *last;
	const char *behind;
	StringInfoData whole;
	JsonbValue	value;
	Jsonb	   *parsed;

	if (start == end || *start != '"')
		ereport(ERROR,
				(errcode(sqlerrcode),
				 errmsg("%s is not a JSON string", what),
				 errhint("Send the piece as JSON.stringify() writes it, with its quotes.")));
	behind = string_end(start, end, &last);
	initStringInfo(&whole);
	appendStringInfoChar(&whole, '"');
	if (IS_LOW_HALF(half_at(start + 1, behind)))
		piece.low = half_at(start + 1, behind);
	if (IS_HIGH_HALF(half_at(last, behind)))
		piece.high = half_at(last, behind);
	start += piece.low != 0 ? 7 : 1;
	if (piece.high != 0)
	{
		appendBinaryStringInfo(&whole, start, last - start);
		start = last + 6;
	}
	appendBinaryStringInfo(&whole, start, end - start);
	parsed = json_parse(cstring_to_text_with_len(whole.data, whole.len), sqlerrcode, what);
	if (!JsonbExtractScalar(&parsed->root, &value) || value.type != jbvString)
		elog(ERROR, "a JSON string is none");
	piece.body = cstring_to_text_with_len(value.val.string.val, value.val.string.len);
	return piece;
}

/*
 * The string under a key of the document's objects at this depth, as it stands
 * there, with quotes; NULL for none.  Of several the last one counts, as for jsonb.
 * The document is JSON, with or without repairs.
 */
text *
json_raw_string(text *document, int depth, const char *key)
{
	const char *p = VARDATA_ANY(document);
	const char *end = p + VARSIZE_ANY_EXHDR(document);
	text	   *found = NULL;
	int			level = 0;

	while (p < end)
	{
		const char *start = p;
		const char *last;

		if (*p == '{' || *p == '[')
			level++;
		else if (*p == '}' || *p == ']')
			level--;
		if (*p != '"')
		{
			p++;
			continue;
		}
		p = string_end(p, end, &last);
		if (level != depth || p - start != strlen(key) + 2 ||
			memcmp(start + 1, key, strlen(key)) != 0)
			continue;
		start = skip_blanks(p, end);
		if (start == end || *start != ':')
			continue;
		start = skip_blanks(start + 1, end);
		if (start < end && *start == '"')
			found = cstring_to_text_with_len(start, string_end(start, end, &last) - start);
		else
			found = NULL;
	}
	return found;
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
