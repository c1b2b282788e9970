/*
 * rows.c
 *		From rows to JSON text, for the functions that load.
 *
 * What goes to a client is text in the end.  So the functions that load a
 * run send the rows of their query through a receiver that writes the text
 * at once: no row is kept, no jsonb array is built and taken apart again.
 */
#include "rows.h"

#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "json.h"
#include "utils/builtins.h"
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
