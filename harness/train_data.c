#include "harness/train_data.h"

#include "core/err.h"
#include "core/file.h"
#include "core/log.h"
#include "core/mem.h"
#include "datasets/dataset.h"
#include "model/bpe_train.h"

#include <string.h>

struct corpus_texts {
    struct corpus_source source;
    struct documents train, validation;
};

static int extract(const char *name, struct corpus_texts *texts)
{
    struct documents all = {0};
    int rc = 0;
    TRY(corpus_open(name, &texts->source));
    const struct corpus *corpus = &texts->source.corpus;
    TRY(corpus_load(corpus, &all, NULL));
    TRY(corpus_split(corpus, &all, SPLIT_TRAIN, &texts->train));
    TRY(corpus_split(corpus, &all, SPLIT_VALIDATION, &texts->validation));
out:
    documents_release(&all);
    return rc;
}

/* output/tokenizer.json from the train splits, unless it is there. */
static int make_tokenizer(const struct train_spec *spec, const struct corpus_texts *texts)
{
    struct bpe_training options = {.vocabulary = spec->tokenizer.vocabulary};
    struct bpe_text joined[TRAIN_MAX_CORPORA] = {0};
    char *owned[TRAIN_MAX_CORPORA] = {0}, *path = NULL;
    size_t used = 0;
    int tokens = 0, rc = 0;
    TRY(file_join(&path, spec->output, "tokenizer.json"));
    if (file_exists(path))
        goto out;
    TRY(file_make_directories(spec->output));
    for (int i = 0; i < spec->corpus_count; i++) {
        if (!spec->corpora[i].tokenizer)
            continue;
        TRY(documents_join(&texts[i].train, texts[i].source.corpus.joiner, &owned[i],
                           &joined[used].size));
        joined[used].text = owned[i];
        joined[used++].weight = 1;
    }
    if (used == 0)
        TRY(err_set(ERR_USAGE, "%s: no corpus has tokenizer: true, and %s is absent", spec->path,
                    path));
    log_note("training a tokenizer of %d tokens on the train splits", spec->tokenizer.vocabulary);
    TRY(bpe_train_folder(joined, used, &options, spec->output, &tokens));
    if (tokens < spec->tokenizer.vocabulary)
        log_note("the texts give only %d tokens", tokens);
out:
    for (int i = 0; i < spec->corpus_count; i++)
        mem_free(owned[i]);
    mem_free(path);
    return rc;
}

static int tokenize_train(const struct tokenizer *tokenizer, const struct documents *documents,
                          struct train_corpus_data *data)
{
    size_t capacity = documents->offsets[documents->count] / 3 + 1024, used = 0;
    int32_t *ids = NULL;
    int rc = 0;
    TRY(mem_alloc(&data->offsets, documents->count + 1, sizeof *data->offsets));
    TRY(mem_alloc(&data->tokens, capacity, sizeof *data->tokens));
    data->offsets[0] = 0;
    for (size_t d = 0; d < documents->count; d++) {
        size_t count, at = documents->offsets[d];
        TRY(tokenizer_encode(tokenizer, documents->text + at, documents->offsets[d + 1] - at, &ids,
                             &count));
        if (used + count > capacity) {
            TRY(mem_resize(&data->tokens, used, 2 * (used + count), sizeof *data->tokens));
            capacity = 2 * (used + count);
        }
        if (count)
            memcpy(data->tokens + used, ids, count * sizeof *ids);
        used += count;
        data->offsets[d + 1] = used;
        mem_free(ids);
        ids = NULL;
    }
    data->count = documents->count;
out:
    mem_free(ids);
    return rc;
}

static int tokenize(const struct tokenizer *tokenizer, const struct corpus_texts *texts,
                    struct train_corpus_data *data)
{
    char *text = NULL;
    int rc = 0;
    const char *joiner = texts->source.corpus.joiner;
    TRY(tokenize_train(tokenizer, &texts->train, data));
    TRY(tokenizer_encode(tokenizer, joiner, strlen(joiner), &data->joiner, &data->joiner_count));
    TRY(documents_join(&texts->validation, joiner, &text, &data->validation_bytes));
    TRY(tokenizer_encode(tokenizer, text, data->validation_bytes, &data->validation,
                         &data->validation_count));
    log_note(
        "corpus %s: %zu train documents, %zu tokens; validation: %zu tokens, %.2f bytes a token",
        data->name, data->count, data->offsets[data->count], data->validation_count,
        (double)data->validation_bytes / (double)data->validation_count);
out:
    mem_free(text);
    return rc;
}

int train_data_load(struct train_data *data, const struct train_spec *spec)
{
    struct corpus_texts texts[TRAIN_MAX_CORPORA] = {0};
    int rc = 0;
    memset(data, 0, sizeof *data);
    for (int i = 0; i < spec->corpus_count; i++)
        TRY(extract(spec->corpora[i].name, &texts[i]));
    TRY(make_tokenizer(spec, texts));
    TRY(tokenizer_open(&data->tokenizer, spec->output));
    for (int i = 0; i < spec->corpus_count; i++) {
        struct train_corpus_data *corpus = &data->corpora[data->count++];
        corpus->name = spec->corpora[i].name;
        corpus->weight = spec->corpora[i].weight;
        corpus->validate = spec->corpora[i].validate;
        TRY(tokenize(data->tokenizer, &texts[i], corpus));
    }
out:
    for (int i = 0; i < spec->corpus_count; i++) {
        documents_release(&texts[i].train);
        documents_release(&texts[i].validation);
        corpus_close(&texts[i].source);
    }
    if (rc)
        train_data_release(data);
    return rc;
}

void train_data_release(struct train_data *data)
{
    for (int i = 0; i < data->count; i++) {
        mem_free(data->corpora[i].tokens);
        mem_free(data->corpora[i].offsets);
        mem_free(data->corpora[i].joiner);
        mem_free(data->corpora[i].validation);
    }
    tokenizer_free(data->tokenizer);
    memset(data, 0, sizeof *data);
}

void train_data_hash(const struct train_data *data, struct hash *hash)
{
    hash_add(hash, tokenizer_hash(data->tokenizer), HASH_HEX_SIZE);
    for (int i = 0; i < data->count; i++) {
        const struct train_corpus_data *c = &data->corpora[i];
        hash_add(hash, c->offsets, (c->count + 1) * sizeof *c->offsets);
        hash_add(hash, c->tokens, c->offsets[c->count] * sizeof *c->tokens);
    }
}

void train_data_streams(const struct train_data *data, struct train_stream *streams)
{
    for (int i = 0; i < data->count; i++) {
        const struct train_corpus_data *c = &data->corpora[i];
        streams[i] = (struct train_stream){.name = c->name,
                                           .tokens = c->tokens,
                                           .offsets = c->offsets,
                                           .count = c->count,
                                           .joiner = c->joiner,
                                           .joiner_count = c->joiner_count,
                                           .weight = c->weight};
    }
}
