/*
 * words.c
 *		What stands for words of a document, such as ids.
 *
 * Guaranteed is that it is found in the same time however many words there are, and
 * however long they are.  Nothing is locked and nothing refused.
 */
#include "json/words.h"

#include "common/hashfn.h"

/* What stands for a word, of any length */
typedef struct WordEntry
{
	const char *word;
	void	   *value;
} WordEntry;

static uint32
hash_of_word(const void *key, Size size)
{
	const char *word = *(const char *const *) key;

	return hash_bytes((const unsigned char *) word, strlen(word));
}

static int
compare_words(const void *a, const void *b, Size size)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

/* No words as yet, in the caller's memory */
HTAB *
words_begin(void)
{
	HASHCTL		info = {
		.keysize = sizeof(char *),
		.entrysize = sizeof(WordEntry),
		.hash = hash_of_word,
		.match = compare_words,
		.hcxt = CurrentMemoryContext
	};

	return hash_create("airun words", 32, &info,
					   HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
}

/* The place of what stands for a word, which is kept as it is; NULL stands for one that is new */
void **
words_place(HTAB *words, const char *word)
{
	bool		found;
	WordEntry  *entry = hash_search(words, &word, HASH_ENTER, &found);

	if (!found)
		entry->value = NULL;
	return &entry->value;
}

/* The same for a string of a document */
void **
words_place_of(HTAB *words, const JsonbValue *string)
{
	return words_place(words, pnstrdup(string->val.string.val, string->val.string.len));
}

/* The word as it is, or with a number behind it where it has stood before */
char *
words_number(HTAB *words, char *word)
{
	int		  **place = (int **) words_place(words, word);

	if (*place != NULL)
		return psprintf("%s %d", word, ++**place);
	*place = palloc0_object(int);
	return word;
}
