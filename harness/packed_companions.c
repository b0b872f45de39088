#include "harness/packed_companions.h"

#include "core/err.h"
#include "core/file.h"
#include "core/folder.h"
#include "core/mem.h"
#include "model/gguf.h"
#include "model/tokenizer_place.h"

/* Copies a file of that name, where there is one. */
static int copy_file(const char *from, const char *name, const char *to)
{
    int rc;
    char *source = NULL, *copy = NULL;
    TRY(file_join(&source, from, name));
    TRY(file_join(&copy, to, name));
    if (file_exists(source))
        TRY(folder_copy_file(source, copy));
out:
    mem_free(source);
    mem_free(copy);
    return rc;
}

static int write_metadata(const char *from, const char *to)
{
    int rc;
    char *path = NULL;
    struct gguf *file = NULL;
    TRY(gguf_open(&file, from));
    TRY(file_join(&path, to, "tokenizer.gguf"));
    TRY(gguf_write_metadata(file, path));
out:
    gguf_free(file);
    mem_free(path);
    return rc;
}

/* The tokenizer beside a checkpoint; one that has none can still be packed. */
static int copy_vocabulary(const char *from, const char *to)
{
    int rc;
    char *path = NULL;
    struct tokenizer_place place = {0};
    if (tokenizer_find_place(&place, from) != 0)
        return 0;
    TRY(file_join(&path, to, "tokenizer.bin"));
    if (place.file && place.format == TOKENIZER_LLAMA2C)
        TRY(folder_copy_file(place.file, path));
out:
    tokenizer_place_release(&place);
    mem_free(path);
    return rc;
}

static int copy_files(const char *from, const char *const *names, const char *to)
{
    int rc = 0;
    for (; rc == 0 && *names; names++)
        rc = copy_file(from, *names, to);
    return rc;
}

/* Where there is one. */
static int copy_as(const char *file, const char *to, const char *name)
{
    char *copy = NULL;
    int rc = 0;
    if (file && (rc = file_join(&copy, to, name)) == 0)
        rc = folder_copy_file(file, copy);
    mem_free(copy);
    return rc;
}

/* The files that the path stands for, under the names that are looked for in a folder. */
static int copy_named(const char *tokenizer, const char *to)
{
    static const char *const beside[] = {"tokenizer_config.json", "special_tokens_map.json",
                                         "added_tokens.json", NULL};
    static const char *const names[] = {[TOKENIZER_JSON] = "tokenizer.json",
                                        [TOKENIZER_SENTENCEPIECE] = "tokenizer.model",
                                        [TOKENIZER_LLAMA2C] = "tokenizer.bin"};
    int rc;
    struct tokenizer_place place = {0};
    TRY(tokenizer_find_place(&place, tokenizer));
    if (place.format == TOKENIZER_GGUF) {
        TRY(write_metadata(place.file, to));
        goto out;
    }
    TRY(copy_as(place.file, to, place.merges ? "vocab.json" : names[place.format]));
    TRY(copy_as(place.merges, to, "merges.txt"));
    if (place.folder)
        TRY(copy_files(place.folder, beside, to));
out:
    tokenizer_place_release(&place);
    return rc;
}

int packed_companions(const char *from, const char *tokenizer, const char *to)
{
    static const char *const words[] = {"tokenizer.json",
                                        "tokenizer_config.json",
                                        "special_tokens_map.json",
                                        "added_tokens.json",
                                        "vocab.json",
                                        "merges.txt",
                                        "tokenizer.model",
                                        "tokenizer.gguf",
                                        "tokenizer.bin",
                                        NULL};
    static const char *const others[] = {"generation_config.json", "chat_template.jinja", NULL};
    int rc = 0;
    char *inside = NULL;
    TRY(file_join(&inside, from, "."));
    const bool folder = file_exists(inside);
    if (tokenizer)
        TRY(copy_named(tokenizer, to));
    else if (gguf_is(from))
        TRY(write_metadata(from, to));
    else if (!folder)
        TRY(copy_vocabulary(from, to));
    else
        TRY(copy_files(from, words, to));
    if (folder)
        TRY(copy_files(from, others, to));
out:
    mem_free(inside);
    return rc;
}
