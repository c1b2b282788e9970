/*
 * json_text.c
 *		From rows to JSON text, for the functions that load.
 *
 * What goes to a client is text in the end.  So the functions that load a
 * run send the rows of their query through a receiver that writes the text
 * at once: no row is kept, no jsonb array is built and taken apart again.
 */
#include "json/json_text.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "json/jsonb_copy.h"
#include "store/identity.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

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
 * Append the first row of an SPI result as an object: what row_to_json() gives,
 * without looking up for each value how its type is written.
 */
void
json_append_row(StringInfo out, SPITupleTable *rows)
{
	TupleDesc	desc = rows->tupdesc;
	Datum	   *values = palloc_array(Datum, desc->natts);
	bool	   *nulls = palloc_array(bool, desc->natts);

	heap_deform_tuple(rows->vals[0], desc, values, nulls);
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
				 errhint("Read them in parts, with airun_messages(run_id, after_seq, max_messages).")));
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
