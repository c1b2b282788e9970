/*
 * names.c
 *		The many names of models and of the companies that serve them.
 *
 * One provider goes by several names: what a price list calls
 * vertex_ai-language-models is google to one client library, gcp.vertex_ai to
 * another and google.generative-ai to a third.  A family is the name that all
 * of them are compared by.  Names that are not known here are families of
 * their own.
 *
 * A model's name may have a provider or a region in front of it and a date or
 * a version behind.  Nothing is locked, and nothing refused.
 */
#include "pricing/names.h"

#include <ctype.h>

/* A name begins with the first, and ends there or goes on after one of "._-/:" */
static const struct
{
	const char *prefix;
	const char *family;
}			families[] = {
	{"amazon", "aws"},
	{"anthropic", "anthropic"},
	{"aws", "aws"},
	{"azure", "azure"},
	{"bedrock", "aws"},
	{"claude", "anthropic"},
	{"cohere", "cohere"},
	{"deepseek", "deepseek"},
	{"fireworks", "fireworks"},
	{"gcp", "google"},
	{"gemini", "google"},
	{"google", "google"},
	{"groq", "groq"},
	{"minimax", "minimax"},
	{"mistral", "mistral"},
	{"mistralai", "mistral"},
	{"moonshot", "moonshot"},
	{"moonshotai", "moonshot"},
	{"openai", "openai"},
	{"openrouter", "openrouter"},
	{"perplexity", "perplexity"},
	{"text-completion-openai", "openai"},
	{"together", "together"},
	{"togetherai", "together"},
	{"vertex", "google"},
	{"vertexai", "google"},
	{"voyage", "voyage"},
	{"voyageai", "voyage"},
	{"x-ai", "xai"},
	{"x.ai", "xai"},
	{"x_ai", "xai"},
	{"xai", "xai"},
	{"zai", "zhipu"},
	{"z-ai", "zhipu"},
	{"zhipu", "zhipu"},
	{"zhipuai", "zhipu"},
};

/* ---------- providers ---------- */

/* A name as it is compared: without white space around it, in lower case */
char *
name_normalize(const char *name)
{
	size_t		len;
	char	   *normalized;

	while (isspace((unsigned char) *name))
		name++;
	len = strlen(name);
	while (len > 0 && isspace((unsigned char) name[len - 1]))
		len--;
	normalized = pnstrdup(name, len);
	for (char *c = normalized; *c != '\0'; c++)
		*c = pg_ascii_tolower((unsigned char) *c);
	return normalized;
}

/* The family that a provider's name belongs to */
char *
provider_family(const char *name)
{
	char	   *normalized = name_normalize(name);

	for (int i = 0; i < lengthof(families); i++)
	{
		size_t		len = strlen(families[i].prefix);

		if (strncmp(normalized, families[i].prefix, len) == 0 &&
			(normalized[len] == '\0' || strchr("._-/:", normalized[len]) != NULL))
			return pstrdup(families[i].family);
	}
	return normalized;
}

/* Does the name, which may be NULL, belong to the family? */
bool
provider_is(const char *name, const char *family)
{
	return name != NULL && strcmp(provider_family(name), family) == 0;
}

/* ---------- models ---------- */

/* Is it a date or a version, as it stands behind a model's name? */
static bool
is_suffix(const char *text)
{
	static const char *const forms[] = {
		"-dddd-dd-dd", "-dddddddd", "@dddddddd", "-dddd", "-dd-dddd", "-latest", ":latest"
	};

	for (int i = 0; i < lengthof(forms); i++)
	{
		const char *form = forms[i];
		const char *c = text;

		while (*form != '\0' && (*form == *c || (*form == 'd' && isdigit((unsigned char) *c))))
			form++, c++;
		if (*form == '\0' && *c == '\0')
			return true;
	}
	/* -v1, -v1:0 and :0, as Bedrock has them */
	if (text[0] == '-' && text[1] == 'v' && isdigit((unsigned char) text[2]))
		return strspn(text + 2, "0123456789:") == strlen(text + 2);
	return text[0] == ':' && isdigit((unsigned char) text[1]) &&
		strspn(text + 1, "0123456789") == strlen(text + 1);
}

/* The name without dates and versions behind it, or NULL where there are none */
char *
model_undated(const char *name)
{
	char	   *rest = pstrdup(name);
	bool		any = false;
	bool		found;

	do
	{
		char	   *c = rest[0] == '\0' ? NULL : strpbrk(rest + 1, "-@:");

		/* the longest one first: -10-2025 is one date, not a year behind something */
		while (c != NULL && !is_suffix(c))
			c = strpbrk(c + 1, "-@:");
		found = c != NULL;
		if (found)
			*c = '\0';
		any |= found;
	} while (found);
	return any ? rest : NULL;
}

/*
 * The name without the variant behind it, or NULL where there is none.  A
 * variant is a word behind the last colon: deepseek-r1:free, :beta, :nitro.  It
 * is served at a price of its own.  The tuned models that OpenAI serves have
 * their owner's names behind colons.
 */
char *
model_without_variant(const char *name)
{
	const char *colon = strrchr(name, ':');

	if (colon == NULL || colon == name || !isalpha((unsigned char) colon[1]) ||
		is_suffix(colon) || strncmp(name, "ft:", 3) == 0)
		return NULL;
	return pnstrdup(name, colon - name);
}

/*
 * What is behind a provider or a region in front of a name, or NULL.  *front
 * is what stands there.
 */
static const char *
without_prefix(const char *name, char **front)
{
	const char *end = strchr(name, '/');

	if (end == NULL)
	{
		/* letters up to a dot, with letters behind it: eu.anthropic.claude */
		end = name + strspn(name, "abcdefghijklmnopqrstuvwxyz-_");
		if (end == name || *end != '.' || !isalpha((unsigned char) end[1]))
			return NULL;
	}
	if (end[1] == '\0')
		return NULL;
	*front = pnstrdup(name, end - name);
	return end + 1;
}

/*
 * The names that a model's price is looked for by, at most MODEL_NAMES: the
 * name itself, the name without each piece in front of it, and all of them
 * without what stands behind.  fronts: the piece in front of each, which may
 * be a provider.  model has to be normalized.
 */
int
model_names(const char *model, const char **names, const char **fronts)
{
	int			count = 1;
	int			plain;
	char	   *front = NULL;
	const char *rest;

	names[0] = model;
	fronts[0] = NULL;
	while (count < MODEL_NAMES / 2 && (rest = without_prefix(names[count - 1], &front)) != NULL)
	{
		names[count] = rest;
		fronts[count++] = front;
	}
	plain = count;
	for (int i = 0; i < plain; i++)
	{
		const char *shorter = model_undated(names[i]);

		if (shorter != NULL)
		{
			names[count] = shorter;
			fronts[count++] = fronts[i];
		}
	}
	return count;
}
