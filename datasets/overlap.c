#include "datasets/overlap.h"

#include "core/err.h"
#include "datasets/documents.h"

#include <string.h>

enum { MAX_WORDS = 64 };

/* A window over the hashes of the last words of a text. */
struct window {
    uint64_t words[MAX_WORDS];
    int length; /* of the n-grams */
    size_t seen;
};

/* The next word's hash: letters in lower case, digits and bytes above ASCII; anything else in it is
 * passed over, so that "king's," is "kings". 0 at the end. */
static int next_word(const char *text, size_t *at, size_t end, uint64_t *key)
{
    while (*at < end) {
        char word[64];
        size_t length = 0;
        uint64_t hash = 0;
        for (; *at < end && (unsigned char)text[*at] > ' '; ++*at) {
            unsigned char byte = (unsigned char)text[*at];
            if (byte >= 'A' && byte <= 'Z')
                byte = (unsigned char)(byte + 32);
            if (byte < 0x80 && !(byte >= 'a' && byte <= 'z') && !(byte >= '0' && byte <= '9'))
                continue;
            if (length == sizeof word) {
                hash = key_mix(hash ^ key_of(word, length));
                length = 0;
            }
            word[length++] = (char)byte;
        }
        while (*at < end && (unsigned char)text[*at] <= ' ')
            ++*at;
        if (length) {
            *key = key_mix(hash ^ key_of(word, length));
            return 1;
        }
    }
    return 0;
}

/* Takes in one word; 1 when the window is full, and *key is then its n-gram's hash. */
static int push(struct window *window, uint64_t word, uint64_t *key)
{
    window->words[window->seen++ % (size_t)window->length] = word;
    if (window->seen < (size_t)window->length)
        return 0;
    uint64_t hash = 0;
    for (int i = 0; i < window->length; i++)
        hash = key_mix(hash ^ window->words[(window->seen + (size_t)i) % (size_t)window->length]);
    *key = hash;
    return 1;
}

/* Adds the n-grams of text[at, end) to the set, or counts them and those that are in it. */
static int add_ngrams(struct keyset *set, int words, const char *text, size_t at, size_t end)
{
    struct window window = {.length = words};
    uint64_t word, key;
    int rc = 0;
    while (rc == 0 && next_word(text, &at, end, &word))
        if (push(&window, word, &key))
            rc = keyset_add(set, key, NULL);
    return rc;
}

static void count_ngrams(const struct keyset *set, int words, const char *text, size_t at,
                         size_t end, struct overlap *counts)
{
    struct window window = {.length = words};
    uint64_t word, key;
    while (next_word(text, &at, end, &word)) {
        if (!push(&window, word, &key))
            continue;
        counts->ngrams++;
        counts->shared += (size_t)keyset_has(set, key);
    }
}

static int check_words(int words)
{
    if (words < 1 || words > MAX_WORDS)
        return err_set(ERR_USAGE, "overlap: n-grams of %d words; 1 to %d are possible", words,
                       MAX_WORDS);
    return 0;
}

int overlap_measure(const struct documents *train, const struct documents *test, int words,
                    struct overlap *out)
{
    struct keyset set = {0};
    struct overlap counts = {0};
    int rc;
    TRY(check_words(words));
    for (size_t d = 0; d < train->count; d++)
        TRY(add_ngrams(&set, words, train->text, train->offsets[d], train->offsets[d + 1]));
    for (size_t d = 0; d < test->count; d++)
        count_ngrams(&set, words, test->text, test->offsets[d], test->offsets[d + 1], &counts);
    *out = counts;
out:
    keyset_release(&set);
    return rc;
}
