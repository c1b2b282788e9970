/*
 * name_pattern.c
 *		Patterns for the names of models and providers.
 *
 *	{"equals": "gpt-4o"}, {"starts_with": "gpt-4o-"}, {"ends_with": ":free"},
 *	{"contains": "claude"}, {"regex": "^o[134]"}, {"or": [pattern, ...]},
 *	{"and": [pattern, ...]}
 *
 * The columns match_rule and provider_rule of airun.prices hold them, which is
 * why the messages call them rules.  Case does not count.  A regular expression
 * is one of PostgreSQL's, and is compiled when the pattern is first asked.  As
 * with prices, the parser returns what is wrong and raises no error over it.
 * Nothing is locked.
 */
#include "pricing/name_pattern.h"

#include "catalog/pg_collation.h"
#include "json/jsonb_util.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pricing/names.h"
#include "regex/regex.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define MAX_PARTS	200
#define MAX_STRING	1000

typedef enum PatternKind
{
	PATTERN_EQUALS,
	PATTERN_STARTS_WITH,
	PATTERN_ENDS_WITH,
	PATTERN_CONTAINS,
	PATTERN_REGEX,
	PATTERN_OR,
	PATTERN_AND
} PatternKind;

struct NamePattern
{
	PatternKind kind;
	char	   *text;			/* normalized, but for a regular expression */
	size_t		len;
	regex_t    *regex;			/* once it is compiled */
	int			count;			/* parts of PATTERN_OR and PATTERN_AND */
	NamePattern **parts;
};

static const char *const pattern_keys[] = {
	"equals", "starts_with", "ends_with", "contains", "regex", "or", "and"
};

/* Compile a regular expression; true where it is one */
static bool
compile(const char *pattern, regex_t *regex)
{
	int			len = strlen(pattern);
	pg_wchar   *wide = palloc_array(pg_wchar, len + 1);
	int			rc;

	len = pg_mb2wchar_with_len(pattern, wide, len);
	rc = pg_regcomp(regex, wide, len, REG_ADVANCED | REG_ICASE | REG_NOSUB, C_COLLATION_OID);
	pfree(wide);
	return rc == REG_OKAY;
}

static const char *
parse_pattern(JsonbContainer *container, NamePattern **result, int *budget)
{
	JsonbIterator *it;
	JsonbValue	key;
	JsonbValue	value;
	NamePattern *pattern;
	int			kind = 0;

	check_stack_depth();
	if (--(*budget) < 0)
		return psprintf("a rule has more than %d parts", MAX_PARTS);
	if (!JsonContainerIsObject(container) || JsonContainerSize(container) != 1)
		return "a rule is not an object with one key";
	it = JsonbIteratorInit(container);
	(void) JsonbIteratorNext(&it, &key, true);
	(void) JsonbIteratorNext(&it, &key, true);
	(void) JsonbIteratorNext(&it, &value, true);
	while (kind < lengthof(pattern_keys) &&
		   (strlen(pattern_keys[kind]) != key.val.string.len ||
			memcmp(pattern_keys[kind], key.val.string.val, key.val.string.len) != 0))
		kind++;
	if (kind == lengthof(pattern_keys))
		return psprintf("\"%s\" is no rule",
						pnstrdup(key.val.string.val, Min(key.val.string.len, 100)));

	pattern = palloc0_object(NamePattern);
	pattern->kind = (PatternKind) kind;
	if (pattern->kind >= PATTERN_OR)
	{
		JsonbContainer *array = value.val.binary.data;

		if (value.type != jbvBinary || !JsonContainerIsArray(array))
			return psprintf("\"%s\" has no array of rules", pattern_keys[kind]);
		pattern->parts = palloc0_array(NamePattern *, Max(JsonContainerSize(array), 1));
		for (uint32 i = 0; i < JsonContainerSize(array); i++)
		{
			JsonbValue *element = getIthJsonbValueFromContainer(array, i);
			const char *problem;

			if (element->type != jbvBinary)
				return "a rule is not an object with one key";
			problem = parse_pattern(element->val.binary.data, &pattern->parts[i], budget);
			if (problem != NULL)
				return problem;
			pattern->count++;
		}
	}
	else
	{
		if (value.type != jbvString || value.val.string.len > MAX_STRING)
			return psprintf("\"%s\" has no string of at most %d bytes", pattern_keys[kind],
							MAX_STRING);
		pattern->text = pnstrdup(value.val.string.val, value.val.string.len);
		if (pattern->kind != PATTERN_REGEX)
			pattern->text = name_normalize(pattern->text);
		pattern->len = strlen(pattern->text);
		if (pattern->len == 0)
			return psprintf("\"%s\" has an empty string", pattern_keys[kind]);
	}
	*result = pattern;
	return NULL;
}

/*
 * Take a pattern apart, into the current memory context.  Returns what is wrong
 * with it, or NULL.  Whether a regular expression is one is not looked at
 * before name_pattern_matches().
 */
const char *
name_pattern_parse(JsonbContainer *container, NamePattern **pattern)
{
	int			budget = MAX_PARTS;

	return parse_pattern(container, pattern, &budget);
}

/* Does a regular expression match?  One that cannot be compiled never does. */
static bool
regex_matches(NamePattern *pattern, const char *name)
{
	int			len = strlen(name);
	pg_wchar   *wide;
	bool		matches;

	if (pattern->regex == NULL)
	{
		MemoryContext old_context = MemoryContextSwitchTo(GetMemoryChunkContext(pattern));
		regex_t    *regex = palloc0_object(regex_t);

		if (compile(pattern->text, regex))
			pattern->regex = regex;
		MemoryContextSwitchTo(old_context);
		if (pattern->regex == NULL)
			return false;
	}
	wide = palloc_array(pg_wchar, len + 1);
	len = pg_mb2wchar_with_len(name, wide, len);
	matches = pg_regexec(pattern->regex, wide, len, 0, NULL, 0, NULL, 0) == REG_OKAY;
	pfree(wide);

	/* Before PostgreSQL 16 a match that is cancelled looks like none */
	CHECK_FOR_INTERRUPTS();
	return matches;
}

/* Is the name, which has been normalized, meant? */
bool
name_pattern_matches(NamePattern *pattern, const char *name)
{
	size_t		len = strlen(name);

	switch (pattern->kind)
	{
		case PATTERN_EQUALS:
			return strcmp(name, pattern->text) == 0;
		case PATTERN_STARTS_WITH:
			return strncmp(name, pattern->text, pattern->len) == 0;
		case PATTERN_ENDS_WITH:
			return len >= pattern->len && strcmp(name + len - pattern->len, pattern->text) == 0;
		case PATTERN_CONTAINS:
			return strstr(name, pattern->text) != NULL;
		case PATTERN_REGEX:
			return regex_matches(pattern, name);
		case PATTERN_OR:
		case PATTERN_AND:
			for (int i = 0; i < pattern->count; i++)
			{
				if (name_pattern_matches(pattern->parts[i], name) == (pattern->kind == PATTERN_OR))
					return pattern->kind == PATTERN_OR;
			}
			return pattern->kind == PATTERN_AND && pattern->count > 0;
	}
	return false;
}

/*
 * Is the name meant as such, and not only because base is, which it begins with?
 * So a pattern for a variant (":free") is told from one for the model.
 */
bool
name_pattern_means(NamePattern *pattern, const char *name, const char *base)
{
	if (!name_pattern_matches(pattern, name))
		return false;
	if (pattern->kind != PATTERN_OR && pattern->kind != PATTERN_AND)
		return !name_pattern_matches(pattern, base);
	for (int i = 0; i < pattern->count; i++)
	{
		if (name_pattern_means(pattern->parts[i], name, base))
			return true;
	}
	return false;
}

/* What is wrong with the regular expressions of a pattern, or NULL */
const char *
name_pattern_problem(const NamePattern *pattern)
{
	for (int i = 0; i < pattern->count; i++)
	{
		const char *problem = name_pattern_problem(pattern->parts[i]);

		if (problem != NULL)
			return problem;
	}
	if (pattern->kind == PATTERN_REGEX)
	{
		regex_t		regex;

		if (!compile(pattern->text, &regex))
			return psprintf("\"%.100s\" is not a regular expression", pattern->text);
		pg_regfree(&regex);
	}
	return NULL;
}

/*
 * Give back what the pattern's regular expressions hold: before PostgreSQL 16
 * that is outside of any memory context.
 */
void
name_pattern_free(NamePattern *pattern)
{
	if (pattern == NULL)
		return;
	for (int i = 0; i < pattern->count; i++)
		name_pattern_free(pattern->parts[i]);
	if (pattern->regex != NULL)
		pg_regfree(pattern->regex);
	pattern->regex = NULL;
}
