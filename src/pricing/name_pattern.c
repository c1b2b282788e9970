/*
 * name_pattern.c
 *		Rules that tell whether a name is meant.
 *
 *	{"equals": "gpt-4o"}, {"starts_with": "gpt-4o-"}, {"ends_with": ":free"},
 *	{"contains": "claude"}, {"regex": "^o[134]"}, {"or": [rule, ...]},
 *	{"and": [rule, ...]}
 *
 * Case does not count.  A regular expression is one of PostgreSQL's, and is
 * compiled when the rule is first asked.  As with prices, the parser returns
 * what is wrong and raises no error over it.  Nothing is locked.
 */
#include "pricing/price_terms.h"

#include "catalog/pg_collation.h"
#include "json/jsonb_util.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pricing/names.h"
#include "regex/regex.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define MAX_RULES	200
#define MAX_PATTERN	1000

typedef enum RuleKind
{
	RULE_EQUALS,
	RULE_STARTS_WITH,
	RULE_ENDS_WITH,
	RULE_CONTAINS,
	RULE_REGEX,
	RULE_OR,
	RULE_AND
} RuleKind;

struct Rule
{
	RuleKind	kind;
	char	   *text;			/* folded, but for a regular expression */
	size_t		len;
	regex_t    *regex;			/* once it is compiled */
	int			count;			/* parts of RULE_OR and RULE_AND */
	Rule	  **parts;
};

static const char *const rule_names[] = {
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
parse_rule(JsonbContainer *container, Rule **result, int *budget)
{
	JsonbIterator *it;
	JsonbValue	key;
	JsonbValue	value;
	Rule	   *rule;
	int			kind = 0;

	check_stack_depth();
	if (--(*budget) < 0)
		return psprintf("a rule has more than %d parts", MAX_RULES);
	if (!JsonContainerIsObject(container) || JsonContainerSize(container) != 1)
		return "a rule is not an object with one key";
	it = JsonbIteratorInit(container);
	(void) JsonbIteratorNext(&it, &key, true);
	(void) JsonbIteratorNext(&it, &key, true);
	(void) JsonbIteratorNext(&it, &value, true);
	while (kind < lengthof(rule_names) &&
		   (strlen(rule_names[kind]) != key.val.string.len ||
			memcmp(rule_names[kind], key.val.string.val, key.val.string.len) != 0))
		kind++;
	if (kind == lengthof(rule_names))
		return psprintf("\"%s\" is no rule",
						pnstrdup(key.val.string.val, Min(key.val.string.len, 100)));

	rule = palloc0_object(Rule);
	rule->kind = (RuleKind) kind;
	if (rule->kind >= RULE_OR)
	{
		JsonbContainer *array = value.val.binary.data;

		if (value.type != jbvBinary || !JsonContainerIsArray(array))
			return psprintf("\"%s\" has no array of rules", rule_names[kind]);
		rule->parts = palloc0_array(Rule *, Max(JsonContainerSize(array), 1));
		for (uint32 i = 0; i < JsonContainerSize(array); i++)
		{
			JsonbValue *element = getIthJsonbValueFromContainer(array, i);
			const char *problem;

			if (element->type != jbvBinary)
				return "a rule is not an object with one key";
			problem = parse_rule(element->val.binary.data, &rule->parts[i], budget);
			if (problem != NULL)
				return problem;
			rule->count++;
		}
	}
	else
	{
		if (value.type != jbvString || value.val.string.len > MAX_PATTERN)
			return psprintf("\"%s\" has no string of at most %d bytes", rule_names[kind],
							MAX_PATTERN);
		rule->text = pnstrdup(value.val.string.val, value.val.string.len);
		if (rule->kind != RULE_REGEX)
			rule->text = fold_name(rule->text);
		rule->len = strlen(rule->text);
		if (rule->len == 0)
			return psprintf("\"%s\" has an empty string", rule_names[kind]);
	}
	*result = rule;
	return NULL;
}

/*
 * Take a rule apart, into the current memory context.  Returns what is wrong
 * with it, or NULL.  Whether a regular expression is one is not looked at
 * before rule_matches().
 */
const char *
rule_parse(JsonbContainer *container, Rule **rule)
{
	int			budget = MAX_RULES;

	return parse_rule(container, rule, &budget);
}

/* Does a regular expression match?  One that cannot be compiled never does. */
static bool
regex_matches(Rule *rule, const char *name)
{
	int			len = strlen(name);
	pg_wchar   *wide;
	bool		matches;

	if (rule->regex == NULL)
	{
		MemoryContext old_context = MemoryContextSwitchTo(GetMemoryChunkContext(rule));
		regex_t    *regex = palloc0_object(regex_t);

		if (compile(rule->text, regex))
			rule->regex = regex;
		MemoryContextSwitchTo(old_context);
		if (rule->regex == NULL)
			return false;
	}
	wide = palloc_array(pg_wchar, len + 1);
	len = pg_mb2wchar_with_len(name, wide, len);
	matches = pg_regexec(rule->regex, wide, len, 0, NULL, 0, NULL, 0) == REG_OKAY;
	pfree(wide);

	/* Before PostgreSQL 16 a match that is cancelled looks like none */
	CHECK_FOR_INTERRUPTS();
	return matches;
}

/* Is the name, which has been folded, meant? */
bool
rule_matches(Rule *rule, const char *name)
{
	size_t		len = strlen(name);

	switch (rule->kind)
	{
		case RULE_EQUALS:
			return strcmp(name, rule->text) == 0;
		case RULE_STARTS_WITH:
			return strncmp(name, rule->text, rule->len) == 0;
		case RULE_ENDS_WITH:
			return len >= rule->len && strcmp(name + len - rule->len, rule->text) == 0;
		case RULE_CONTAINS:
			return strstr(name, rule->text) != NULL;
		case RULE_REGEX:
			return regex_matches(rule, name);
		case RULE_OR:
		case RULE_AND:
			for (int i = 0; i < rule->count; i++)
			{
				if (rule_matches(rule->parts[i], name) == (rule->kind == RULE_OR))
					return rule->kind == RULE_OR;
			}
			return rule->kind == RULE_AND && rule->count > 0;
	}
	return false;
}

/* What is wrong with the regular expressions of a rule, or NULL */
const char *
rule_problem(const Rule *rule)
{
	for (int i = 0; i < rule->count; i++)
	{
		const char *problem = rule_problem(rule->parts[i]);

		if (problem != NULL)
			return problem;
	}
	if (rule->kind == RULE_REGEX)
	{
		regex_t		regex;

		if (!compile(rule->text, &regex))
			return psprintf("\"%.100s\" is not a regular expression", rule->text);
		pg_regfree(&regex);
	}
	return NULL;
}

/*
 * Give back what the rule's regular expressions hold: before PostgreSQL 16
 * that is outside of any memory context.
 */
void
rule_free(Rule *rule)
{
	if (rule == NULL)
		return;
	for (int i = 0; i < rule->count; i++)
		rule_free(rule->parts[i]);
	if (rule->regex != NULL)
		pg_regfree(rule->regex);
	rule->regex = NULL;
}
