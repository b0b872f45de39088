#include "core/err.h"
#include "core/mem.h"
#include "model/bpe_train_internal.h"
#include "model/pretokenize.h"
#include "model/tokenizer_added.h"

#include <string.h>

struct counter {
    struct bpe_words *words;
    struct added_tokens specials; /* separate documents */
    int weight;                   /* of the text that is being read */
};

static int count_word(void *context, const char *word, size_t size)
{
    struct counter *c = context;
    uint32_t number;
    bool fresh;
    int rc = bpe_strings_add(&c->words->words, word, size, &number, &fresh);
    if (rc == 0)
        rc = bpe_grow(&c->words->counts, &c->words->capacity, (size_t)number + 1,
                      sizeof *c->words->counts);
    if (rc)
        return rc;
    c->words->counts[number] = (fresh ? 0 : c->words->counts[number]) + c->weight;
    return 0;
}

static int count_text(struct counter *c, const struct pretokenizer *rules,
                      const struct bpe_text *text)
{
    int rc = 0;
    c->weight = text->weight;
    for (size_t at = 0; at < text->size;) {
        size_t start = text->size, end = start;
        added_tokens_next(&c->specials, 0, false, text->text, text->size, at, &start, &end);
        TRY(pretokenizer_words(rules, text->text + at, start - at, count_word, c));
        at = end;
    }
out:
    return rc;
}

int bpe_count_words(struct bpe_words *words, const struct bpe_text *texts, size_t text_count,
                    const char *const *special_tokens, bool individual_digits)
{
    int rc;
    struct pretokenizer *rules = NULL;
    struct counter counter = {.words = words};
    json_t *json = pretokenizer_gpt2_json(individual_digits);
    for (; *special_tokens; special_tokens++) {
        struct added_token token = {.content = *special_tokens, .size = strlen(*special_tokens)};
        TRY(added_tokens_add(&counter.specials, &token));
    }
    added_tokens_prepare(&counter.specials);
    TRY(pretokenizer_from_json(&rules, json, "bpe_train"));
    for (size_t i = 0; i < text_count; i++)
        TRY(count_text(&counter, rules, &texts[i]));
out:
    added_tokens_release(&counter.specials);
    pretokenizer_free(rules);
    json_decref(json);
    return rc;
}

void bpe_words_release(struct bpe_words *words)
{
    bpe_strings_release(&words->words);
    mem_free(words->counts);
}
