#include "core/nearest.h"

#include "core/options.h"

#include <ctype.h>
#include <string.h>

enum { LONGEST = 64 };

static int letter(char c)
{
    return c == '-' ? '_' : tolower((unsigned char)c);
}

int name_equal(const char *a, const char *b)
{
    for (; *a && *b; a++, b++)
        if (*a != *b && !((*a == '-' || *a == '_') && (*b == '-' || *b == '_')))
            return 0;
    return *a == *b;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Insertions, deletions, substitutions and swaps of two neighbours each cost 1 (Damerau's distance,
 * restricted form); before_last, last and row are three rows of the usual table. */
static size_t edit_distance(const char *a, size_t m, const char *b, size_t n)
{
    size_t rows[3][LONGEST + 1];
    size_t *before_last = rows[0], *last = rows[1], *row = rows[2];
    for (size_t j = 0; j <= n; j++)
        last[j] = j;
    for (size_t i = 1; i <= m; i++) {
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            int same = letter(a[i - 1]) == letter(b[j - 1]);
            row[j] = least(least(last[j] + 1, row[j - 1] + 1), last[j - 1] + !same);
            if (i > 1 && j > 1 && letter(a[i - 1]) == letter(b[j - 2]) &&
                letter(a[i - 2]) == letter(b[j - 1]))
                row[j] = least(row[j], before_last[j - 2] + 1);
        }
        size_t *spare = before_last;
        before_last = last;
        last = row;
        row = spare;
    }
    return last[n];
}

void nearest_offer(struct nearest *nearest, const char *candidate)
{
    size_t m = strlen(nearest->word), n = strlen(candidate);
    if (m == 0 || m > LONGEST || n > LONGEST)
        return;
    size_t distance = edit_distance(nearest->word, m, candidate, n);
    /* A beginning of at least three letters counts as near, however much is missing. */
    int prefix = m >= 3 && n > m && edit_distance(nearest->word, m, candidate, m) == 0;
    if (prefix)
        distance = least(distance, m / 2);
    if (distance * 2 <= m && (!nearest->best || distance < nearest->distance)) {
        nearest->best = candidate;
        nearest->distance = distance;
    }
}

const char *nearest_name(const char *word, const char *const *names)
{
    struct nearest nearest = {.word = word};
    for (; *names; names++)
        nearest_offer(&nearest, *names);
    return nearest.best;
}
