/*
 * part_media.c
 *		Images, sounds, videos and files in messages, whoever has shaped them.
 *
 * Of each is read where its bytes are, or what stands for them, and what it says: the
 * text that was taken out of a file, the words that were heard.  A file whose bytes are
 * not here, and whose text is, is that text: an address within the application that it
 * comes from is nothing that a model could follow.  A file of text is read itself, where
 * it is UTF-8.  Whose shape a medium has decides who may have it as it was, and who
 * knows its file id.
 *
 * Nothing is locked and nothing refused.
 */
#include "export/convert.h"

#include "common/base64.h"
#include "json/jsonb_util.h"
#include "mb/pg_wchar.h"

/* The keys under which the shapes have the same thing, the likeliest first */
static const char *const mime_keys[] = {
	"mimeType", "mime_type", "mediaType", "media_type", "contentType", NULL
};
static const char *const url_keys[] = {
	"url", "image_url", "file_url", "fileUri", "file_uri", "uri", "image", NULL
};
static const char *const data_keys[] = {"data", "file_data", "base64", "content", NULL};
static const char *const file_id_keys[] = {"file_id", NULL};
static const char *const filename_keys[] = {"filename", "file_name", "title", "name", NULL};
static const char *const text_keys[] = {"text", "transcript", "extracted_content", NULL};
static const char *const content_keys[] = {"content", NULL};

/* Objects within a part that hold what the part is about */
static const char *const media_objects[] = {
	"image_url", "input_audio", "file", "source", "inlineData", "inline_data", "fileData",
	"file_data", "inlineImage", "inlineFile", NULL
};

/* Such an object that one provider alone has, where it has one of the keys */
static const struct
{
	const char *object;
	const char *keys[3];
	Origin		origin;
}			own_objects[] = {
	{"source", {"type"}, ORIGIN_ANTHROPIC},
	{"image_url", {"url"}, ORIGIN_OPENAI},
	{"input_audio", {"data"}, ORIGIN_OPENAI},
	{"file", {"file_id", "file_data"}, ORIGIN_OPENAI},
};

/* How addresses begin that a provider follows; ORIGIN_ANY for all of them */
static const struct
{
	const char *beginning;
	Origin		origin;
}			addresses[] = {
	{"https://generativelanguage.googleapis.com/", ORIGIN_GEMINI},
	{"gs://", ORIGIN_GEMINI},
	{"https://", ORIGIN_ANY},
	{"http://", ORIGIN_ANY},
};

/* Types of sources that are no bytes, and where they have their text */
static const char *const text_sources[][2] = {{"text", "data"}, {"content", "content"}};

/* The text of a source that is one, or jbvNull */
static JsonbValue
text_of_source(JsonbContainer *source)
{
	JsonbValue	type;
	JsonbValue	value;

	if (!jsonb_field(source, "type", &type))
		type.type = jbvNull;
	for (int i = 0; i < lengthof(text_sources); i++)
	{
		if (!jsonb_string_is(&type, text_sources[i][0]) ||
			!jsonb_field(source, text_sources[i][1], &value))
			continue;
		if (value.type == jbvString)
			return value;
		if (value.type == jbvBinary && JsonContainerIsArray(value.val.binary.data))
			return joined_texts(&value);
	}
	return (JsonbValue) {.type = jbvNull};
}

static void
read_keys(Part *part, JsonbContainer *object)
{
	const struct
	{
		JsonbValue *value;
		const char *const *keys;
	}			fields[] = {
		{&part->mime, mime_keys},
		{&part->data, data_keys},
		{&part->url, url_keys},
		{&part->file_id, file_id_keys},
		{&part->filename, filename_keys},
		{&part->text, text_keys},
	};

	for (int i = 0; i < lengthof(fields); i++)
	{
		if (!is_present(fields[i].value))
			*fields[i].value = first_string(object, fields[i].keys);
	}
}

/* The type that the "format" of a sound means */
static void
read_format(Part *part, JsonbContainer *object)
{
	static const char *const types[][2] = {{"mp3", "audio/mpeg"}, {"wav", "audio/wav"}};
	JsonbValue	format;

	if (is_present(&part->mime) || !jsonb_field(object, "format", &format))
		return;
	for (int i = 0; i < lengthof(types); i++)
	{
		if (jsonb_string_is(&format, types[i][0]))
			part->mime = string_value(unconstify(char *, types[i][1]), strlen(types[i][1]));
	}
}

static void
read_inner(Part *part, JsonbContainer *inner)
{
	JsonbContainer *data = object_at(inner, "data");
	JsonbValue	text = text_of_source(inner);

	if (is_present(&text))
	{
		part->text = text;
		return;
	}
	read_keys(part, inner);
	read_format(part, inner);
	if (data != NULL && !is_present(&part->text))
		part->text = first_string(data, content_keys);
}

/* Take a data URL apart */
static void
split_data_url(Part *part)
{
	char	   *url = part->url.val.string.val;
	int			len = part->url.val.string.len;
	char	   *comma;
	char	   *semicolon;		/* parameters of the type may follow it */

	if (!string_begins(&part->url, "data:") || (comma = memchr(url, ',', len)) == NULL)
		return;
	semicolon = memchr(url, ';', comma - url);
	if (semicolon == NULL || comma - semicolon < 7 || memcmp(comma - 7, ";base64", 7) != 0)
		return;
	part->data = string_value(comma + 1, len - (comma + 1 - url));
	part->mime = string_value(url + 5, semicolon - url - 5);
	part->url.type = jbvNull;
}

/* The text of a file that is one */
static void
read_text_of_bytes(Part *part)
{
	int			size;
	int			len;
	char	   *bytes;

	if (part->data.type != jbvString || !media_begins(part, "text/") ||
		GetDatabaseEncoding() != PG_UTF8)
		return;
	size = pg_b64_dec_len(part->data.val.string.len);
	bytes = palloc(size + 1);
	len = pg_b64_decode(part->data.val.string.val, part->data.val.string.len, (void *) bytes,
						size);
	if (len > 0 && pg_verify_mbstr(PG_UTF8, bytes, len, true))
		part->text = string_value(bytes, len);
	else
		pfree(bytes);
}

/* Whose shape an object that is a medium has, where its type does not say it */
static Origin
origin_of_shape(JsonbContainer *object)
{
	for (int i = 0; i < lengthof(own_objects); i++)
	{
		JsonbContainer *inner = object_at(object, own_objects[i].object);
		JsonbValue	value;

		for (int k = 0; inner != NULL && own_objects[i].keys[k] != NULL; k++)
		{
			if (jsonb_field(inner, own_objects[i].keys[k], &value) && value.type == jbvString)
				return own_objects[i].origin;
		}
	}
	return ORIGIN_ANY;
}

/* Read what an object that is a medium has */
void
read_media(Part *part, JsonbContainer *object)
{
	if (origin_of_shape(object) != ORIGIN_ANY)
		part->origin = origin_of_shape(object);
	read_keys(part, object);
	for (int i = 0; media_objects[i] != NULL; i++)
	{
		JsonbContainer *inner = object_at(object, media_objects[i]);

		if (inner != NULL)
			read_inner(part, inner);
	}
	/* OpenAI's files have a URL as their data; base64 has no colon */
	if (part->data.type == jbvString &&
		memchr(part->data.val.string.val, ':', part->data.val.string.len) != NULL)
	{
		part->url = part->data;
		part->data.type = jbvNull;
	}
	if (is_present(&part->url))
		split_data_url(part);
	if (!is_present(&part->text))
		read_text_of_bytes(part);
	else if (!is_present(&part->data) && media_is_document(part))
		part->url.type = part->file_id.type = jbvNull;
}

/* What Gemini has beside a response: media, which stand in parts of their own */
void
read_response_parts(Part *part, JsonbContainer *response)
{
	JsonbValue	array;
	int			count;

	if (part->origin != ORIGIN_GEMINI || !jsonb_field(response, "parts", &array) ||
		array.type != jbvBinary || !JsonContainerIsArray(array.val.binary.data))
		return;
	count = JsonContainerSize(array.val.binary.data);
	for (int i = 0; i < count; i++)
	{
		Part	   *inner = read_part(getIthJsonbValueFromContainer(array.val.binary.data, i));

		if (inner != NULL && inner->kind == PART_MEDIA)
			part->parts = lappend(part->parts, inner);
	}
}

/* Are there bytes, or where they are? */
bool
media_has_content(const Part *part)
{
	return is_present(&part->data) || is_present(&part->url) || is_present(&part->file_id);
}

/* The URL of media: as it is, or a data URL of its bytes; NULL for none */
char *
media_url(const Part *part)
{
	if (part->data.type == jbvString)
		return psprintf("data:%.*s;base64,%.*s",
						part->mime.type == jbvString ? part->mime.val.string.len : 24,
						part->mime.type == jbvString ? part->mime.val.string.val :
						"application/octet-stream",
						part->data.val.string.len, part->data.val.string.val);
	if (part->url.type == jbvString)
		return pnstrdup(part->url.val.string.val, part->url.val.string.len);
	return NULL;
}

bool
media_begins(const Part *part, const char *beginning)
{
	return string_begins(&part->mime, beginning);
}

/* An image?  So is what has no type and whose own shape says image. */
bool
media_is_image(const Part *part)
{
	JsonbValue	type;

	if (is_present(&part->mime))
		return media_begins(part, "image/");
	return part->raw.type == jbvBinary &&
		jsonb_field(part->raw.val.binary.data, "type", &type) && type.type == jbvString &&
		(jsonb_string_is(&type, "image") || jsonb_string_is(&type, "image_url") ||
		 jsonb_string_is(&type, "input_image"));
}

/* Something to be read, and not to be seen or heard? */
bool
media_is_document(const Part *part)
{
	static const char *const others[] = {
		"audio", "video", "input_audio", "output_audio"
	};
	JsonbValue	type;

	if (is_present(&part->mime))
		return !media_begins(part, "image/") && !media_begins(part, "audio/") &&
			!media_begins(part, "video/");
	if (part->raw.type != jbvBinary || !jsonb_field(part->raw.val.binary.data, "type", &type))
		return true;
	for (int i = 0; i < lengthof(others); i++)
	{
		if (jsonb_string_is(&type, others[i]))
			return false;
	}
	return !media_is_image(part);
}

/*
 * May this provider, of OpenAI chat, Responses and Anthropic, have the part as it was
 * sent?  A data URL that stood as the address of a source has become its bytes.
 */
bool
media_is_own(const Part *part, Origin target)
{
	JsonbContainer *source;
	JsonbValue	type;

	if (part->origin != target || part->raw.type != jbvBinary)
		return false;
	if (target == ORIGIN_RESPONSES)
		return jsonb_field(part->raw.val.binary.data, "type", &type) &&
			string_begins(&type, "input_");
	if (origin_of_shape(part->raw.val.binary.data) != target)
		return false;
	source = object_at(part->raw.val.binary.data, "source");
	return source == NULL || !jsonb_field(source, "type", &type) ||
		!jsonb_string_is(&type, "url") || is_present(&part->url);
}

/* Does the provider follow this address? */
static bool
address_is_followed(const JsonbValue *url, Origin target)
{
	for (int i = 0; i < lengthof(addresses); i++)
	{
		int			len = strlen(addresses[i].beginning);

		if (url->val.string.len > len &&
			pg_strncasecmp(url->val.string.val, addresses[i].beginning, len) == 0)
			return addresses[i].origin == ORIGIN_ANY || addresses[i].origin == target;
	}
	return false;
}

/*
 * Leave of what stands for the bytes only what this provider knows: an id that it has
 * given itself, or an address that it follows.
 */
void
media_leave_references(Part *part, Origin target)
{
	Origin		owner = part->origin == ORIGIN_OPENAI ? ORIGIN_RESPONSES : part->origin;

	if (owner != (target == ORIGIN_OPENAI ? ORIGIN_RESPONSES : target))
		part->file_id.type = jbvNull;
	/* Gemini's own addresses are ids, in whichever form */
	if (is_present(&part->url) && !(target == ORIGIN_GEMINI && part->origin == target) &&
		!address_is_followed(&part->url, target))
		part->url.type = jbvNull;
}
