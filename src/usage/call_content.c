/*
 * call_content.c
 *		What is kept of what is said about a utility call: nothing that was said in it.
 *
 * Of a usage the figures and single words are kept, of an error its code, and
 * metadata is short.  What has more is left out of a call that has been paid for,
 * with the reason; utility_call.c refuses it of one that begins.  Nothing is locked.
 */
#include "usage/call_content.h"

#include "json/jsonb_copy.h"
#include "json/jsonb_util.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

/* The most that is kept of a usage, in bytes as text */
#define MAX_USAGE		8192

/* The longest word in a usage that is kept, and the longest error code */
#define MAX_WORD		64

/* Is it a single word, such as a name or a code? */
static bool
is_word(const char *string, int len)
{
	if (len > MAX_WORD)
		return false;
	for (int i = 0; i < len; i++)
	{
		if (!isalnum((unsigned char) string[i]) && strchr("._:/@+-[]", string[i]) == NULL)
			return false;
	}
	return true;
}

static bool
is_kept(const JsonbValue *value)
{
	return value->type != jbvString || is_word(value->val.string.val, value->val.string.len);
}

/* Copy a key and its value, unless either says more than a word */
static void
copy_pair(JsonbIterator **it, JsonbValue *key, JsonbBuilder *builder)
{
	bool		dropped = !is_kept(key);
	JsonbValue	value;
	JsonbIteratorToken token = JsonbIteratorNext(it, &value, dropped);

	if (dropped || (token == WJB_VALUE && !is_kept(&value)))
		return;
	push_jsonb(builder, WJB_KEY, key);
	push_jsonb(builder, token, token == WJB_VALUE ? &value : NULL);
}

/* The figures and words of a document that is an object or an array */
static Jsonb *
figures_of(Jsonb *document)
{
	JsonbIterator *it = JsonbIteratorInit(&document->root);
	JsonbBuilder builder = {0};
	JsonbValue	value;
	JsonbIteratorToken token;

	while ((token = JsonbIteratorNext(&it, &value, false)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			copy_pair(&it, &value, &builder);
		else if (token != WJB_ELEM)
			push_jsonb(&builder, token, NULL);
		else if (is_kept(&value))
			push_jsonb(&builder, WJB_ELEM, &value);
	}
	return jsonb_finish(&builder);
}

/* How long a document is as text */
int
call_document_length(const Field *document)
{
	Jsonb	   *value = DatumGetJsonbP(document->value);

	return strlen(JsonbToCString(NULL, &value->root, VARSIZE(value)));
}

/* Keep of a usage, which has been counted by now, what is not said to anybody */
void
call_keep_figures(TaskEnd *end)
{
	if (end->usage.isnull)
		return;
	if (JB_ROOT_IS_SCALAR(DatumGetJsonbP(end->usage.value)))
	{
		end_leave_out(end, "usage", &end->usage, "it is no object");
		return;
	}
	end->usage.value = JsonbPGetDatum(figures_of(DatumGetJsonbP(end->usage.value)));
	if (call_document_length(&end->usage) > MAX_USAGE)
		end_leave_out(end, "usage", &end->usage,
					  psprintf("it has been counted, and is longer than %d bytes", MAX_USAGE));
}

/* Why metadata cannot be kept, or NULL */
const char *
call_metadata_problem(const Field *metadata)
{
	if (metadata->isnull)
		return NULL;
	if (!JB_ROOT_IS_OBJECT(DatumGetJsonbP(metadata->value)))
		return "it is no object";
	if (call_document_length(metadata) > CALL_MAX_METADATA)
		return psprintf("it is longer than %d bytes", CALL_MAX_METADATA);
	return NULL;
}

/* An error code, as tasks have it in their error */
void
call_take_error_code(TaskEnd *end, const Field *code)
{
	char	   *word;
	Field		left = *code;

	if (code->isnull)
		return;
	word = TextDatumGetCString(code->value);
	if (is_word(word, strlen(word)))
		end->error = (Field) {
			JsonbPGetDatum(jsonb_set_string(NULL, "code", word, strlen(word))), false
		};
	else
		end_leave_out(end, "error_code", &left,
					  psprintf("it is no single word of at most %d characters", MAX_WORD));
}

/* The error code of what tasks have as their error */
Field
call_error_code(const Field *error)
{
	JsonbValue	code;

	if (error->isnull || !jsonb_field(&DatumGetJsonbP(error->value)->root, "code", &code))
		return (Field) {(Datum) 0, true};
	return (Field) {
		PointerGetDatum(cstring_to_text_with_len(code.val.string.val, code.val.string.len)), false
	};
}
