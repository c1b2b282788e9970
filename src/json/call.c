/*
 * call.c
 *		A function by the raw body of a request.
 *
 * PostgREST parses the body of a call and has the server take its arguments out of
 * it: both refuse \u0000 and halves of characters, which are valid JSON and which
 * models and tools do send.  A function with one parameter that has no name gets
 * the body as it is.  airun_call() is that function for all others: it repairs the
 * body as airun_json() does, and calls what is named in it, by names of arguments,
 * as PostgREST would.
 *
 * What is stated about the end of a task has been paid for.  A figure of it that is
 * of a wrong type would be refused before the function is called; it is left out, and
 * the function is told why (call_take_left_out()).
 *
 * Only functions of airun's that are called by clients can be called, with the
 * caller's rights.  Locks and errors are those of the function; PT422 for a body
 * that names none.
 */
#include "json/call.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "json/json_text.h"
#include "json/jsonb_copy.h"
#include "json/jsonb_util.h"
#include "lib/stringinfo.h"
#include "store/args.h"
#include "store/plans.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(airun_call);

/* What is called, with which arguments */
typedef struct Call
{
	text	   *function;
	Jsonb	   *arguments;		/* an object */
} Call;

pg_noreturn static void refuse_body(const char *found);

static void
refuse_body(const char *found)
{
	ereport(ERROR,
			(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
			 errmsg("the body names no call"),
			 errdetail("Found %s.", found),
			 errhint("Send an object with one key, the function's name, whose value is an object "
					 "of its arguments: {\"airun_create_run\": {}}.")));
}

static Call
parse_call(text *body)
{
	Jsonb	   *document = json_parse(body, ERRCODE_AIRUN_UNACCEPTABLE, "the body");
	JsonbIterator *it;
	JsonbValue	name;
	JsonbValue	arguments;

	if (!JB_ROOT_IS_OBJECT(document))
		refuse_body("no object");
	if (JB_ROOT_COUNT(document) != 1)
		refuse_body(psprintf("%u keys", JB_ROOT_COUNT(document)));
	it = JsonbIteratorInit(&document->root);
	(void) JsonbIteratorNext(&it, &name, true);
	(void) JsonbIteratorNext(&it, &name, true);
	(void) JsonbIteratorNext(&it, &arguments, true);
	if (arguments.type != jbvBinary || !JsonContainerIsObject(arguments.val.binary.data))
		refuse_body("arguments that are no object");
	return (Call) {
		cstring_to_text_with_len(name.val.string.val, name.val.string.len),
		JsonbValueToJsonb(&arguments)
	};
}

/*
 * A piece of a text is handed on as it stands in the body, so that halves of a
 * character can meet.  Where the body states it twice, it is the one that jsonb
 * has, too, or else none.
 */
static void
keep_piece(Call *call, text *body)
{
	text	   *piece;
	JsonbValue	stated;
	JsonbValue	found;

	if (strcmp(text_to_cstring(call->function), "airun_stream_delta") != 0 ||
		!jsonb_field(&call->arguments->root, "delta", &stated) || stated.type != jbvString)
		return;
	piece = json_raw_string(body, 2, "delta");
	if (piece == NULL ||
		!JsonbExtractScalar(&json_parse(piece, ERRCODE_AIRUN_UNACCEPTABLE, "delta")->root,
							&found) ||
		found.val.string.len != stated.val.string.len ||
		memcmp(found.val.string.val, stated.val.string.val, found.val.string.len) != 0)
		return;
	call->arguments = DatumGetJsonbP(DirectFunctionCall2(jsonb_delete,
														 JsonbPGetDatum(call->arguments),
														 CStringGetTextDatum("delta")));
	call->arguments = jsonb_set_string(call->arguments, "delta_json", VARDATA_ANY(piece),
									   VARSIZE_ANY_EXHDR(piece));
}

/* ---------- figures of an end ---------- */

typedef enum FigureKind
{
	FIGURE_COUNT,
	FIGURE_AMOUNT,
	FIGURE_BOOLEAN
} FigureKind;

/* The figures that functions which end a task or a call have as parameters */
static const struct
{
	const char *name;
	FigureKind	kind;
}			figures[] = {
	{"tokens_input", FIGURE_COUNT},
	{"tokens_output", FIGURE_COUNT},
	{"tokens_total", FIGURE_COUNT},
	{"cost", FIGURE_AMOUNT},
	{"time_to_first_token", FIGURE_AMOUNT},
	{"total_time", FIGURE_AMOUNT},
	{"provider_cost", FIGURE_AMOUNT},
	{"billed", FIGURE_BOOLEAN},
};

/* What has been left out of the call that is being made; NULL for nothing */
static Jsonb *left_out = NULL;

/*
 * Tell the end of a task or a call that is about to be stated what has been left out of
 * it.  Who tells has it taken back when all is done, also by an error: NULL.
 */
void
call_tell_left_out(Jsonb *reasons)
{
	left_out = reasons;
}

/* For the function that is called: what has been left out, by name, with the reason; once */
Jsonb *
call_take_left_out(void)
{
	Jsonb	   *taken = left_out;

	left_out = NULL;
	return taken;
}

/* Does the type of the parameter take the word, in every version of the server? */
static bool
word_is_figure(const char *word, FigureKind kind)
{
	char	   *end;
	double		amount;
	bool		truth;

	if (kind == FIGURE_BOOLEAN)
		return parse_bool(word, &truth);
	errno = 0;
	if (kind == FIGURE_COUNT)
		(void) strtoll(word, &end, 10);
	else
	{
		amount = strtod(word, &end);
		if (errno == ERANGE && amount != 0 && !isinf(amount))
			errno = 0;			/* it is merely very small */
	}
	return errno == 0 && end != word && *end == '\0';
}

/* Why a value cannot be a figure of this kind, or NULL.  *word: the value as text. */
static const char *
figure_problem(const JsonbValue *value, FigureKind kind, char **word)
{
	static const char *const wanted[] = {
		[FIGURE_COUNT] = "a whole number of at most 18 digits",
		[FIGURE_AMOUNT] = "a number that can be stored",
		[FIGURE_BOOLEAN] = "true or false"
	};
	Datum		number;

	switch (value->type)
	{
		case jbvNumeric:
			number = DirectFunctionCall1(numeric_trim_scale,
										 NumericGetDatum(value->val.numeric));
			*word = DatumGetCString(DirectFunctionCall1(numeric_out, number));
			break;
		case jbvString:
			*word = pnstrdup(value->val.string.val, value->val.string.len);
			break;
		case jbvBool:
			*word = pstrdup(value->val.boolean ? "true" : "false");
			break;
		default:
			return JsonContainerIsArray(value->val.binary.data) ?
				"it is an array" : "it is an object";
	}
	return word_is_figure(*word, kind) ? NULL :
		psprintf("\"%s\" is not %s", excerpt(*word, strlen(*word)), wanted[kind]);
}

/*
 * Leave out of the arguments of an end, an object, what its parameters would refuse.
 * Returns that by name, with the reason; NULL for nothing.  A whole number may be
 * written with decimal places, as some languages do.
 */
Jsonb *
call_leave_out_figures(Jsonb **arguments)
{
	Jsonb	   *reasons = NULL;

	for (int i = 0; i < lengthof(figures); i++)
	{
		const char *name = figures[i].name;
		JsonbValue	value;
		const char *problem;
		char	   *word;

		if (!jsonb_field(&(*arguments)->root, name, &value) || value.type == jbvNull)
			continue;
		problem = figure_problem(&value, figures[i].kind, &word);
		if (problem == NULL)
			*arguments = jsonb_set_string(*arguments, name, word, strlen(word));
		else
		{
			*arguments = DatumGetJsonbP(DirectFunctionCall2(jsonb_delete,
															JsonbPGetDatum(*arguments),
															CStringGetTextDatum(name)));
			reasons = jsonb_set_string(reasons, name, problem, strlen(problem));
		}
	}
	return reasons;
}

/* ---------- the call ---------- */

#define EQUAL(a, b)	a " OPERATOR(pg_catalog.=) " b

/*
 * The statement that makes the call, with the arguments as $1.  self: this
 * function; only its neighbours are called.  is_end: does it end a task or a call?
 */
static char *
call_statement(const Call *call, Oid self, bool *is_end)
{
	/* the arguments that are given, as columns and as arguments; and one that is none */
	static Statement find = {
		"SELECT p.proretset, "
		"pg_catalog.string_agg(pg_catalog.format('%I %s', a.name, "
		"pg_catalog.format_type(a.type, NULL)), ', ' ORDER BY a.place) "
		"FILTER (WHERE a.name IS NOT NULL), "
		"pg_catalog.string_agg(pg_catalog.format('%1$I => a.%1$I', a.name), ', ' "
		"ORDER BY a.place) FILTER (WHERE a.name IS NOT NULL), "
		"(SELECT pg_catalog.min(k) FROM pg_catalog.jsonb_object_keys($2) AS k "
		"WHERE k OPERATOR(pg_catalog.<>) ALL (COALESCE(p.proargnames, '{}'))), "
		"pg_catalog.format('%I.%I', n.nspname, p.proname), "
		"'provider_cost' OPERATOR(pg_catalog.=) ANY (COALESCE(p.proargnames, '{}')) "
		"FROM pg_catalog.pg_proc AS p "
		"JOIN pg_catalog.pg_proc AS s ON " EQUAL("s.oid", "$3") " "
		"AND " EQUAL("s.pronamespace", "p.pronamespace") " "
		"AND p.oid OPERATOR(pg_catalog.<>) s.oid "
		"JOIN pg_catalog.pg_namespace AS n ON " EQUAL("n.oid", "p.pronamespace") " "
		"LEFT JOIN LATERAL ROWS FROM (pg_catalog.unnest(p.proargnames), "
		"pg_catalog.unnest(p.proargtypes::pg_catalog.oid[])) WITH ORDINALITY "
		"AS a (name, type, place) ON $2 OPERATOR(pg_catalog.?) a.name "
		"WHERE " EQUAL("p.proname::pg_catalog.text", "$1") " "
		"AND p.proname OPERATOR(pg_catalog.~) '^airun_(?!store_)' "
		"AND " EQUAL("p.prokind", "'f'") " "
		"AND p.prorettype OPERATOR(pg_catalog.<>) ALL "
		"('{trigger,internal}'::pg_catalog.regtype[]::pg_catalog.oid[]) "
		"AND EXISTS (SELECT FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_extension AS e "
		"ON " EQUAL("e.oid", "d.refobjid") " WHERE " EQUAL("e.extname", "'airun'") " "
		"AND " EQUAL("d.refclassid", "'pg_catalog.pg_extension'::pg_catalog.regclass") " "
		"AND " EQUAL("d.classid", "'pg_catalog.pg_proc'::pg_catalog.regclass") " "
		"AND " EQUAL("d.objid", "p.oid") " AND " EQUAL("d.deptype", "'e'") ") "
		"GROUP BY p.oid, n.oid",
		3, {TEXTOID, JSONBOID, OIDOID}
	};
	Args		args = {0};
	bool		is_set;
	bool		isnull;
	bool		has_none;
	char	   *columns;
	char	   *arguments;
	char	   *name;
	Datum		value;

	arg_pointer(&args, call->function);
	arg_pointer(&args, call->arguments);
	arg_add(&args, ObjectIdGetDatum(self), false);
	if (statement_read(&find, &args, 1) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("airun has no function \"%s\" to call",
						excerpt(VARDATA_ANY(call->function), VARSIZE_ANY_EXHDR(call->function))),
				 errhint("Its functions are described in doc/reference.md; \\df airun_* lists "
						 "them in psql.")));
	value = result_value(0, 4, &isnull);
	if (!isnull)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("%s() has no parameter \"%s\"", text_to_cstring(call->function),
						excerpt(VARDATA_ANY(DatumGetTextPP(value)),
								VARSIZE_ANY_EXHDR(DatumGetTextPP(value)))),
				 errhint("Leave it out, or correct its name.")));
	is_set = DatumGetBool(result_value(0, 1, &isnull));
	value = result_value(0, 2, &has_none);
	columns = has_none ? NULL : TextDatumGetCString(value);
	value = result_value(0, 3, &isnull);
	arguments = isnull ? pstrdup("") : TextDatumGetCString(value);
	name = TextDatumGetCString(result_value(0, 5, &isnull));
	*is_end = DatumGetBool(result_value(0, 6, &isnull));
	return psprintf("SELECT %s FROM %s %s(%s) AS f",
					is_set ? "COALESCE(pg_catalog.json_agg(f), '[]')" : "pg_catalog.to_json(f)",
					columns == NULL ? "" :
					psprintf("pg_catalog.jsonb_to_record($1) AS a (%s), LATERAL", columns),
					name, arguments);
}

/*
 * airun_call(text) returns json
 *
 * What the function returns, as JSON; an array for a set.
 */
Datum
airun_call(PG_FUNCTION_ARGS)
{
	text	   *body = PG_GETARG_TEXT_PP(0);
	Oid			argtypes[] = {JSONBOID};
	Call		call = parse_call(body);
	Datum		values[1];
	Datum		result;
	bool		isnull;
	bool		is_end;
	char	   *sql;

	keep_piece(&call, body);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	sql = call_statement(&call, fcinfo->flinfo->fn_oid, &is_end);
	left_out = is_end ? call_leave_out_figures(&call.arguments) : NULL;
	values[0] = JsonbPGetDatum(call.arguments);
	PG_TRY();
	{
		if (SPI_execute_with_args(sql, 1, argtypes, values, NULL, false, 0) != SPI_OK_SELECT ||
			SPI_processed != 1)
			elog(ERROR, "a call has no result");
	}
	PG_FINALLY();
	{
		left_out = NULL;		/* also where the function has not been reached */
	}
	PG_END_TRY();
	result = result_value(0, 1, &isnull);
	if (!isnull)
		result = SPI_datumTransfer(result, false, -1);
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "SPI_finish failed");
	if (isnull)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(result);
}
