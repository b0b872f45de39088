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

int packed_companions(const char *from, const char *to)
{
    static const char *const names[] = {"tokenizer.json",
                                        "tokenizer_config.json",
                                        "special_tokens_map.json",
                                        "added_tokens.json",
                                        "vocab.json",
                                        "merges.txt",
                                        "generation_config.json",
                                        "tokenizer.model",
                                        "tokenizer.gguf",
                                        "tokenizer.bin",
                                        "chat_template.jinja"};
    int rc = 0;
    char *inside = NULL;
    TRY(file_join(&inside, from, "."));
    if (gguf_is(from))
        TRY(write_metadata(from, to));
    else if (!file_exists(inside))
        TRY(copy_vocabulary(from, to));
    else
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            TRY(copy_file(from, names[i], to));
out:
    mem_free(inside);
    return rc;
}
