/* Tokenizers that are one file each. */
#include "core/err.h"
#include "core/mem.h"
#include "model/gguf.h"
#include "model/tokenizer_kind.h"

static int read_json(struct tokenizer *tokenizer, const void *bytes, size_t size, const char *file)
{
    json_t *root = NULL;
    int rc = tokenizer_parse_json(&root, bytes, size, file, JSON_REJECT_DUPLICATES);
    if (rc == 0)
        rc = tokenizer_from_json(tokenizer, root, file);
    json_decref(root);
    return rc;
}

static int read_pieces(struct tokenizer *tokenizer, bool llama2c, const void *bytes, size_t size,
                       bool first_only, const char *file)
{
    int rc;
    char *texts = NULL;
    struct piece_model model = {0};
    TRY(llama2c ? piece_model_read_llama2c(&model, bytes, size, file, &texts)
                : piece_model_read(&model, bytes, size, file));
    TRY(tokenizer_from_pieces(tokenizer, &model, first_only, false, file));
out:
    piece_model_release(&model);
    mem_free(texts);
    return rc;
}

static int read_gguf(struct tokenizer *tokenizer, const void *bytes, size_t size, const char *file,
                     struct hash *hash)
{
    struct gguf *gguf = NULL;
    int rc = gguf_open_memory(&gguf, bytes, size, file);
    if (rc == 0)
        rc = tokenizer_from_gguf(tokenizer, gguf, hash);
    gguf_free(gguf);
    return rc;
}

int tokenizer_read_format(struct tokenizer *tokenizer, enum tokenizer_format format,
                          const void *bytes, size_t size, bool first_only, const char *file,
                          struct hash *hash)
{
    int rc;
    if (format == TOKENIZER_GGUF)
        return read_gguf(tokenizer, bytes, size, file, hash);
    rc = format == TOKENIZER_JSON
             ? read_json(tokenizer, bytes, size, file)
             : read_pieces(tokenizer, format == TOKENIZER_LLAMA2C, bytes, size, first_only, file);
    if (rc == 0)
        hash_add(hash, bytes, size);
    return rc;
}

int tokenizer_open_memory(struct tokenizer **out, enum tokenizer_format format, const void *bytes,
                          size_t size, const char *name)
{
    int rc;
    struct tokenizer *tokenizer = NULL;
    struct hash hash;
    hash_init(&hash);
    TRY(mem_calloc(&tokenizer, 1, sizeof *tokenizer));
    tokenizer->bos = tokenizer->eos = -1;
    TRY(tokenizer_read_format(tokenizer, format, bytes, size, false, name, &hash));
    TRY(tokenizer_prepare_added(tokenizer));
    hash_finish(&hash, tokenizer->hash);
    *out = tokenizer;
    tokenizer = NULL;
out:
    tokenizer_free(tokenizer);
    return rc;
}
