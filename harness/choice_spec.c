/* How many questions, and scored by which rules: the words of specs and of the command line. */
#include "core/err.h"
#include "harness/spec.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int read_whole(const char **text, long *number)
{
    char *end;
    errno = 0;
    if (**text < '0' || **text > '9')
        return 1;
    *number = strtol(*text, &end, 10);
    *text = end;
    return errno || *number > INT_MAX - 1;
}

/* "200", or "100-199". */
static int read_items(struct choice_spec *spec)
{
    const char *at = spec->range;
    long first = 0, last = 0;
    int bad = read_whole(&at, &first), range = *at == '-';
    if (range) {
        at++;
        bad |= read_whole(&at, &last);
    }
    if (bad || *at || (range && last < first))
        return err_set(ERR_USAGE,
                       "items: '%.40s': a number of questions (0: all), or A-B, the questions from "
                       "number A to number B, counted from 0, is expected",
                       spec->range);
    spec->first = range ? (int)first : 0;
    spec->items = range ? (int)(last - first) + 1 : (int)first;
    return 0;
}

/* "default", or rules joined by commas or plus signs; the text is brought into one order. */
static int read_rules(struct choice_spec *spec)
{
    unsigned rules = 0;
    for (const char *at = spec->rules; *at;) {
        size_t length = strcspn(at, ",+");
        int found = 0;
        for (int s = 0; s < SCORE_COUNT; s++)
            if (strlen(scoring_names[s]) == length && strncmp(at, scoring_names[s], length) == 0) {
                rules |= 1u << s;
                found = 1;
            }
        if (!found && strcmp(spec->rules, "default") != 0)
            return err_set(ERR_USAGE,
                           "scoring: '%.*s' is no rule; valid are default, sum, tokens, bytes, "
                           "characters, pmi, greedy, perplexity, and several joined by +",
                           (int)(length < 40 ? length : 40), at);
        at += length + (at[length] != '\0');
    }
    size_t used = 0;
    char text[OPTION_TEXT_SIZE] = "default";
    for (int s = 0; s < SCORE_COUNT; s++)
        if (rules >> s & 1)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", used ? "+" : "",
                                     scoring_names[s]);
    memset(spec->rules, 0, sizeof spec->rules);
    memcpy(spec->rules, text, strlen(text));
    spec->scorings = rules;
    return 0;
}

int choice_spec_resolve(struct choice_spec *spec)
{
    int rc = read_items(spec);
    return rc ? rc : read_rules(spec);
}
