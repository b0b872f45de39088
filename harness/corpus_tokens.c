#include "harness/corpus_tokens.h"

#include "core/err.h"
#include "core/log.h"

#include <stdio.h>
#include <string.h>

static int tokenize(const struct tokenizer *tokenizer, struct corpus_tokens *entry)
{
    int rc;
    struct corpus_source source = {0};
    struct documents all = {0}, part = {0};
    char *text = NULL;
    size_t size, lacking;
    TRY(corpus_open(entry->name, &source));
    TRY(corpus_load(&source.corpus, &all, &entry->changed));
    TRY(corpus_split(&source.corpus, &all, (enum split)entry->split, &part));
    TRY(documents_join(&part, source.corpus.joiner, &text, &size));
    hash_bytes(text, size, entry->text_hash);
    if ((lacking = tokenizer_lacks(tokenizer, text, size)) != 0)
        log_warning("corpus %s: %zu of %zu bytes have no token in this vocabulary and are left out",
                    entry->name, lacking, size);
    TRY(tokenizer_encode(tokenizer, text, size, &entry->ids, &entry->count));
    if (entry->count == 0)
        rc = err_set(ERR_FORMAT, "corpus %s: the text is empty", entry->name);
out:
    mem_free(text);
    documents_release(&part);
    documents_release(&all);
    corpus_close(&source);
    return rc;
}

int corpus_cache_get(struct corpus_cache *cache, const char *name, int split,
                     const struct corpus_tokens **out)
{
    int rc;
    struct corpus_tokens *entry = NULL;
    for (int i = 0; i < cache->count; i++)
        if (cache->entries[i]->split == split && strcmp(cache->entries[i]->name, name) == 0) {
            *out = cache->entries[i];
            return 0;
        }
    if (cache->count == cache->capacity) {
        int capacity = cache->capacity * 2 + 8;
        TRY(mem_resize(&cache->entries, (size_t)cache->count, (size_t)capacity,
                       sizeof *cache->entries));
        cache->capacity = capacity;
    }
    TRY(mem_calloc(&entry, 1, sizeof *entry));
    snprintf(entry->name, sizeof entry->name, "%s", name);
    entry->split = split;
    TRY(tokenize(cache->tokenizer, entry));
    cache->entries[cache->count++] = entry;
    *out = entry;
    entry = NULL;
out:
    if (entry)
        mem_free(entry->ids);
    mem_free(entry);
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
