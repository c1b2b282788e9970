/*
 * convert.h
 *		Messages in any provider's shape, turned into one normal form.
 *
 * What is guaranteed is said at the head of convert.c; provider_arrays.c writes
 * the normal form as the arrays that providers take.
 */
#ifndef AIRUN_CONVERT_H
#define AIRUN_CONVERT_H

#include "airun.h"

#include "json/words.h"
#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

/* Whose shape it is; ORIGIN_ANY is common to several */
typedef enum Origin
{
	ORIGIN_ANY,
	ORIGIN_OPENAI,				/* chat completions */
	ORIGIN_RESPONSES,
	ORIGIN_ANTHROPIC,
	ORIGIN_GEMINI,
	ORIGIN_AI_SDK
} Origin;

typedef enum Speaker
{
	SPEAKER_SYSTEM,
	SPEAKER_DEVELOPER,
	SPEAKER_USER,
	SPEAKER_ASSISTANT,
	SPEAKER_TOOL,				/* results without their call */
	SPEAKER_DATA				/* nothing that a model is sent */
} Speaker;

typedef enum PartKind
{
	PART_TEXT,
	PART_REASONING,
	PART_CALL,
	PART_RESULT,
	PART_MEDIA,					/* image, sound, video or file: its bytes or a reference */
	PART_OTHER					/* what only its origin takes, as it was sent */
} PartKind;

/* Parts of tools that a provider brings */
typedef enum BuiltInRole
{
	NOT_BUILT_IN,
	CALL_FOR_CLIENT,			/* the client answers it */
	CALL_FOR_PROVIDER,			/* the provider answers it itself, before a user speaks again */
	BUILT_IN_OUTPUT
} BuiltInRole;

/* What a type of a part means */
typedef struct PartType
{
	const char *type;
	PartKind	kind;
	Origin		origin;
	BuiltInRole built_in;
	const char *id_keys[3];		/* where it has the id of the call, the likeliest first */
} PartType;

/*
 * A part of a message.  Values that are absent have the type jbvNull; the others
 * point into the message.
 */
typedef struct Part
{
	PartKind	kind;
	Origin		origin;
	JsonbValue	raw;			/* the part as it was sent */
	JsonbValue	text;			/* of text and reasoning, or what media say: a string */
	JsonbValue	notes;			/* citations or annotations of a text */
	JsonbValue	signature;		/* a string that proves reasoning, or a call */
	JsonbValue	id;				/* of a call, or of the call that a result answers */
	JsonbValue	name;			/* of the tool */
	JsonbValue	value;			/* arguments of a call, output of a result */
	List	   *parts;			/* the output of a result, where it is made of parts */
	bool		is_custom;		/* a call whose argument is free text */
	bool		is_error;		/* a result that is one */
	bool		is_refusal;		/* a text that is one */
	bool		is_redacted;	/* reasoning whose signature is all there is of it */
	bool		is_unpaired;	/* a built-in tool's call without its output, or the reverse */
	struct Part *result;		/* of a call, once conversation_settle() has found it */
	JsonbValue	mime;			/* of media */
	JsonbValue	data;			/* base64 */
	JsonbValue	url;
	JsonbValue	file_id;
	JsonbValue	filename;
} Part;

/* What one speaker says at a time */
typedef struct Utterance
{
	Speaker		speaker;
	List	   *parts;
	JsonbValue	name;			/* of the participant */
	JsonbValue	phase;			/* of an answer of Responses */
	int64		seq;			/* of the message that it is from */
	text	   *message_id;		/* NULL for none */
	TimestampTz created_at;
	bool		is_item;		/* an item that is no message of its own */
} Utterance;

typedef struct Conversation
{
	List	   *utterances;
	bool		for_request;	/* see conversation_settle() */
	/* what has been left out, for a request */
	int64		calls_without_result;
	int64		results_without_call;
	int64		blank_messages;
} Conversation;

extern Conversation *conversation_begin(void);
extern void conversation_add(Conversation *conversation, Jsonb *message, int64 seq,
							 text *message_id, TimestampTz created_at);
extern void conversation_settle(Conversation *conversation, bool for_request);

/* provider_arrays.c */
extern void conversation_write(StringInfo out, Conversation *conversation, Origin target);
extern bool conversation_write_system(StringInfo out, Conversation *conversation,
									  Origin target);

/* message_parts.c */
extern List *message_parts(JsonbContainer *message);
extern Part *read_part(const JsonbValue *value);
extern JsonbValue joined_texts(const JsonbValue *array);

/* part_values.c */
extern bool is_present(const JsonbValue *value);
extern JsonbContainer *object_at(JsonbContainer *object, const char *key);
extern JsonbValue first_string(JsonbContainer *object, const char *const *keys);
extern JsonbValue string_value(char *string, int len);
extern bool string_begins(const JsonbValue *value, const char *beginning);

/* part_types.c */
extern const PartType *part_type_of(const JsonbValue *type);

/* part_media.c */
extern void read_media(Part *part, JsonbContainer *object);
extern void read_response_parts(Part *part, JsonbContainer *response);
extern bool media_has_content(const Part *part);
extern char *media_url(const Part *part);
extern bool media_begins(const Part *part, const char *beginning);
extern bool media_is_image(const Part *part);
extern bool media_is_document(const Part *part);
extern bool media_is_own(const Part *part, Origin target);
extern void media_leave_references(Part *part, Origin target);

/* for who writes an array */
extern bool part_is_blank(const Part *part);
extern bool part_is_signed(const Part *part, Origin origin);
extern bool part_has_text(const Part *part);
extern bool utterance_is_system(const Utterance *utterance);
extern bool utterance_has(const Utterance *utterance, PartKind kind);

/* part_text.c */
extern void json_next(StringInfo out);
extern void json_key(StringInfo out, const char *key);
extern void json_value(StringInfo out, const JsonbValue *value);
extern void json_string(StringInfo out, const char *string);
extern void json_field(StringInfo out, const char *key, const char *string);
extern void json_present(StringInfo out, const char *key, const JsonbValue *value);
extern void json_name(StringInfo out, const JsonbValue *name);
extern void json_text_of(StringInfo out, const JsonbValue *value);
extern void json_object_of(StringInfo out, const JsonbValue *value, const char *otherwise);
extern void json_object_without(StringInfo out, JsonbContainer *object, const char *one,
								const char *other);
extern void text_of_result(StringInfo out, const Part *result);
extern void json_result_text(StringInfo out, const Part *result);

#endif							/* AIRUN_CONVERT_H */
