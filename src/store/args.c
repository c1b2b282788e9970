/*
 * args.c
 *		What clients state: values that may be absent, and their checks.
 *
 * Each check is one condition with one message, PT422, and an absent value
 * passes it.  Nothing is locked.
 */
#include "store/args.h"

#include <ctype.h>

#include "common/shortest_dec.h"
#include "json/json_text.h"
#include "mb/pg_wchar.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"

/*
 * The function must have been declared with this number of arguments: no other
 * one may be read.
 */
void
check_argument_count(FunctionCallInfo fcinfo, int count)
{
	if (PG_NARGS() != count)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("function \"%s\" is declared with %d arguments, and the library has %d",
						get_func_name(fcinfo->flinfo->fn_oid), PG_NARGS(), count),
				 errdetail("The extension and its library are of different versions."),
				 errhint("Run ALTER EXTENSION airun UPDATE.")));
}

/*
 * An argument of type double precision, as the shortest decimal that is read
 * back as the same number: what a client has written with at most 15 digits is
 * stored exactly so.  NaN and infinities stay what they are, for the checks.
 *
 * Drivers send floats as double precision, which a numeric parameter would not
 * take; double precision takes every kind of number.
 */
Field
argument_decimal(FunctionCallInfo fcinfo, int i)
{
	char		digits[DOUBLE_SHORTEST_DECIMAL_LEN];

	if (PG_ARGISNULL(i))
		return (Field) {(Datum) 0, true};
	(void) double_to_shortest_decimal_buf(PG_GETARG_FLOAT8(i), digits);
	return (Field) {
		DirectFunctionCall3(numeric_in, CStringGetDatum(digits), ObjectIdGetDatum(InvalidOid),
							Int32GetDatum(-1)), false
	};
}

/* An argument that must be there is not */
void
refuse_null(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
			 errmsg("\"%s\" must not be null", name),
			 errhint("This argument has no default; name it in the call, as in %s => ...", name)));
}

/*
 * Put the document that a JSON string holds in place of the string; true where
 * there was one.  Where an object is asked for, check_object() refuses the rest.
 */
bool
unwrap_json(Field *field)
{
	Jsonb	   *value;
	Jsonb	   *document;

	if (field->isnull)
		return false;
	value = DatumGetJsonbP(field->value);
	document = json_unwrap(value);
	if (document == value)
		return false;
	field->value = JsonbPGetDatum(document);
	return true;
}

/* An argument of type jsonb as a field */
Field
json_argument(FunctionCallInfo fcinfo, int i)
{
	Field		field = argument_field(fcinfo, i);

	(void) unwrap_json(&field);
	return field;
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* So many bytes from hexadecimal digits, as cursors have them; false where the text is other */
bool
bytes_from_hex(text *digits, uint8 *bytes, int count)
{
	const char *digit = VARDATA_ANY(digits);

	if (VARSIZE_ANY_EXHDR(digits) != 2 * count)
		return false;
	for (int i = 0; i < count; i++)
	{
		int			high = hex_value(digit[2 * i]);
		int			low = hex_value(digit[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		bytes[i] = (uint8) (high << 4 | low);
	}
	return true;
}

/*
 * A time zone, by a name of pg_timezone_names; NULL for none.  The server takes POSIX's
 * words, too, in which "+05:30" is west of Greenwich: who sends that means east.  Such words
 * have a number, and are kept in capitals, as no other name is but these.
 */
pg_tz *
time_zone(const char *name)
{
	static const char *const numbered[] = {
		"CST6CDT", "EST5EDT", "MST7MDT", "PST8PDT", "GMT0", "GMT+0", "GMT-0"
	};
	pg_tz	   *zone = strlen(name) > TZ_STRLEN_MAX ? NULL : pg_tzset(name);
	const char *known;
	bool		is_word = true;

	if (zone == NULL || !pg_tz_acceptable(zone))
		return NULL;
	known = pg_get_timezone_name(zone);
	for (const char *c = known; *c != '\0' && is_word; c++)
		is_word = !islower((unsigned char) *c);
	if (!is_word || strpbrk(known, "0123456789") == NULL)
		return zone;
	for (int i = 0; i < lengthof(numbered); i++)
	{
		if (strcmp(known, numbered[i]) == 0)
			return zone;
	}
	return NULL;
}

/* The same; PT422 for none */
pg_tz *
require_time_zone(const char *name)
{
	pg_tz	   *zone = time_zone(name);

	if (zone == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("there is no time zone \"%s\"", excerpt(name, strlen(name))),
				 errhint("pg_timezone_names lists the names, such as Europe/Berlin.")));
	return zone;
}

/* What a message shows of a client's string: not more than 100 bytes of it */
char *
excerpt(const char *string, int len)
{
	return pnstrdup(string, pg_mbcliplen(string, len, 100));
}

/* PT422 unless the jsonb is an object; absent is fine */
void
check_object(const char *name, const Field *field)
{
	if (!field->isnull && !JB_ROOT_IS_OBJECT(DatumGetJsonbP(field->value)))
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("\"%s\" must be a JSON object", name),
				 errdetail("Found %s.", JB_ROOT_IS_SCALAR(DatumGetJsonbP(field->value)) ?
						   "a scalar" : "an array"),
				 errhint("Send an object, or leave it out.")));
}

/* PT422 unless the text has at most max_chars characters; absent is fine */
void
check_length(const char *name, const Field *field, int max_chars)
{
	text	   *value;
	int			chars;

	if (field->isnull)
		return;
	value = DatumGetTextPP(field->value);
	chars = pg_mbstrlen_with_len(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
	if (chars > max_chars)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("\"%s\" is too long", name),
				 errdetail("It has %d characters; at most %d are allowed.", chars, max_chars),
				 errhint("Shorten it.")));
}

/* How much a call may do at most, or how long; one that is larger than it can be is none */
int32
bound_argument(FunctionCallInfo fcinfo, int i, const char *name)
{
	int64		bound;

	if (PG_ARGISNULL(i))
		refuse_null(name);
	bound = PG_GETARG_INT64(i);
	if (bound < 1)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("\"%s\" must be at least 1, not " INT64_FORMAT, name, bound),
				 errhint("Leave it out to have its default.")));
	return (int32) Min(bound, PG_INT32_MAX);
}
