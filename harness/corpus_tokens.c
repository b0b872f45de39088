#include "harness/corpus_tokens.h"

#include "core/err.h"
#include "core/log.h"
#include "datasets/rows.h"
#include "harness/row_draw.h"
#include "harness/token_ids.h"

#include <stdio.h>
#include <string.h>

static int tokenize(const struct tokenizer *tokenizer, const struct corpus *corpus,
                    struct corpus_tokens *entry)
{
    int rc;
    char *text = NULL;
    size_t size, lacking;
    TRY(corpus_text(corpus, (enum split)entry->split, (enum corpus_use)entry->use, &text, &size,
                    &entry->changed));
    hash_bytes(text, size, entry->text_hash);
    if ((lacking = tokenizer_lacks(tokenizer, text, size)) != 0)
        log_warning("corpus %s: %zu of %zu bytes have no token in this vocabulary and are left out",
                    entry->name, lacking, size);
    if (size > 0)
        TRY(tokenizer_encode_default(tokenizer, text, size, &entry->ids, &entry->count));
    if (entry->count == 0)
        rc = err_set(ERR_FORMAT, "corpus %s: the text is empty", entry->name);
out:
    mem_free(text);
    return rc;
}

/* Whether the corpus is drawn from single rows for this use. */
static bool draws(const struct corpus *corpus, enum corpus_use use)
{
    const struct row_corpus *rows = corpus->rows;
    return rows && (use == USE_CALIBRATION ? rows->draws_rows : rows->evaluates_drawn);
}

static int draw(const struct tokenizer *tokenizer, const struct corpus *corpus,
                const struct corpus_request *request, struct corpus_tokens *entry)
{
    bool evaluates = request->use == USE_EVALUATION;
    int rc;
    entry->samples = evaluates ? (int)corpus->rows->most_windows : request->samples;
    entry->seed = evaluates ? 0 : request->seed;
    entry->length = request->length;
    entry->row = (size_t)entry->length;
    entry->count = entry->row * (size_t)entry->samples;
    TRY(row_draw(corpus, (enum split)entry->split, tokenizer, entry->samples, entry->length,
                 entry->seed, &entry->ids, &entry->changed));
out:
    return rc;
}

static int fill(const struct corpus_cache *cache, const struct corpus *corpus,
                const struct corpus_request *request, struct corpus_tokens *entry)
{
    if (!corpus)
        return token_ids_read(entry->name,
                              cache->vocabulary ? cache->vocabulary
                                                : tokenizer_vocabulary(cache->tokenizer),
                              &entry->ids, &entry->count, &entry->row);
    if (!cache->tokenizer)
        return err_set(ERR_INTERNAL, "corpus %s: text is asked for without a tokenizer",
                       entry->name);
    entry->is_text = true;
    entry->brought = corpus->rows != NULL;
    entry->most_windows = corpus->rows ? corpus->rows->most_windows : 0;
    return draws(corpus, request->use) ? draw(cache->tokenizer, corpus, request, entry)
                                       : tokenize(cache->tokenizer, corpus, entry);
}

/* Whether what was asked for before answers this request; corpus NULL: ids. */
static bool answers(const struct corpus_tokens *entry, const struct corpus *corpus,
                    const struct corpus_request *request)
{
    if (strcmp(entry->name, request->name) != 0)
        return false;
    if (!corpus) /* ids are the same for every split and use */
        return true;
    if (entry->split != request->split)
        return false;
    if (!corpus->rows)
        return true;
    return entry->use == (int)request->use &&
           (!draws(corpus, request->use) ||
            (entry->length == request->length &&
             (request->use == USE_EVALUATION ||
              (entry->samples == request->samples && entry->seed == request->seed))));
}

static int add_entry(struct corpus_cache *cache, const struct corpus *corpus,
                     const struct corpus_request *request, const struct corpus_tokens **out)
{
    int rc;
    struct corpus_tokens *entry = NULL;
    if (cache->count == cache->capacity) {
        int capacity = cache->capacity * 2 + 8;
        TRY(mem_resize(&cache->entries, (size_t)cache->count, (size_t)capacity,
                       sizeof *cache->entries));
        cache->capacity = capacity;
    }
    TRY(mem_calloc(&entry, 1, sizeof *entry));
    snprintf(entry->name, sizeof entry->name, "%s", request->name);
    entry->split = request->split;
    entry->use = (int)request->use;
    TRY(fill(cache, corpus, request, entry));
    cache->entries[cache->count++] = entry;
    *out = entry;
    entry = NULL;
out:
    if (entry)
        mem_free(entry->ids);
    mem_free(entry);
    return rc;
}

int corpus_cache_get(struct corpus_cache *cache, const struct corpus_request *request,
                     const struct corpus_tokens **out)
{
    int rc = 0;
    bool ids = token_ids_named(request->name);
    struct corpus_source source = {0};
    if (!ids)
        TRY(corpus_open(request->name, &source));
    const struct corpus *corpus = ids ? NULL : &source.corpus;
    for (int i = 0; i < cache->count; i++)
        if (answers(cache->entries[i], corpus, request)) {
            *out = cache->entries[i];
            goto out;
        }
    TRY(add_entry(cache, corpus, request, out));
out:
    corpus_close(&source);
    return rc;
}

void corpus_cache_release(struct corpus_cache *cache)
{
    for (int i = 0; i < cache->count; i++) {
        mem_free(cache->entries[i]->ids);
        mem_free(cache->entries[i]);
    }
    mem_free(cache->entries);
    *cache = (struct corpus_cache){0};
}
