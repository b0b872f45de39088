#include "model/tokenizer_place.h"

#include "core/err.h"
#include "core/mem.h"
#include "model/gguf.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void tokenizer_place_release(struct tokenizer_place *place)
{
    mem_free(place->folder);
    mem_free(place->file);
    mem_free(place->merges);
    *place = (struct tokenizer_place){0};
}

/* *out = folder/name where that exists, else NULL. */
static int find_file(char **out, const char *folder, const char *name)
{
    int rc = file_join(out, folder, name);
    if (rc == 0 && !file_exists(*out)) {
        mem_free(*out);
        *out = NULL;
    }
    return rc;
}

/* What a packed model brings along that was made from a single file: nothing beside it counts. */
static int find_single(struct tokenizer_place *place, const char *folder)
{
    int rc;
    place->format = TOKENIZER_GGUF;
    TRY(find_file(&place->file, folder, "tokenizer.gguf"));
    if (!place->file) {
        place->format = TOKENIZER_LLAMA2C;
        TRY(find_file(&place->file, folder, "tokenizer.bin"));
    }
    if (place->file) {
        mem_free(place->folder);
        place->folder = NULL;
    } else {
        rc = err_set(ERR_MISSING,
                     "%s: has neither tokenizer.json, nor vocab.json with merges.txt, nor "
                     "tokenizer.model; name one (tokenizer, --tokenizer)",
                     folder);
    }
out:
    return rc;
}

/* Hugging Face takes the same one where there are several. */
static int find_in_folder(struct tokenizer_place *place, const char *folder)
{
    int rc;
    TRY(mem_strdup(&place->folder, folder));
    place->format = TOKENIZER_JSON;
    TRY(find_file(&place->file, folder, "tokenizer.json"));
    if (place->file)
        goto out;
    TRY(find_file(&place->file, folder, "vocab.json"));
    TRY(find_file(&place->merges, folder, "merges.txt"));
    if (place->file && place->merges)
        goto out;
    mem_free(place->file);
    mem_free(place->merges);
    place->file = place->merges = NULL;
    place->format = TOKENIZER_SENTENCEPIECE;
    TRY(find_file(&place->file, folder, "tokenizer.model"));
    if (!place->file)
        TRY(find_single(place, folder));
out:
    return rc;
}

static int folder_of(char **out, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return mem_strdup(out, ".");
    return mem_printf(out, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

static bool ends_with(const char *path, const char *ending)
{
    size_t length = strlen(path), size = strlen(ending);
    return length >= size && strcmp(path + length - size, ending) == 0;
}

/* The vocabulary's size where the bytes begin as a llama2.c checkpoint does (model/llama2c.h),
 * else 0. */
static int64_t checkpoint_vocabulary(const uint8_t *bytes, size_t size)
{
    int32_t numbers[7];
    size_t start = size >= 4 && memcmp(bytes, "24ka", 4) == 0 ? 8 : 0;
    if (size < 256 + sizeof numbers)
        return 0;
    for (int i = 0; i < 7; i++) {
        const uint8_t *at = bytes + start + 4 * i;
        numbers[i] = (int32_t)((uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
                               (uint32_t)at[3] << 24);
        if (i != 5 && (numbers[i] < 1 || numbers[i] > 1 << 24))
            return 0;
    }
    return llabs((long long)numbers[5]) <= 1 << 24 ? llabs((long long)numbers[5]) : 0;
}

/* A llama2.c checkpoint has its tokenizer beside it: tok512.bin for 512 tokens, or tokenizer.bin.
 */
static int find_beside_checkpoint(struct tokenizer_place *place, const char *path,
                                  int64_t vocabulary)
{
    int rc;
    char *folder = NULL, name[40];
    snprintf(name, sizeof name, "tok%" PRId64 ".bin", vocabulary);
    place->format = TOKENIZER_LLAMA2C;
    TRY(folder_of(&folder, path));
    TRY(find_file(&place->file, folder, name));
    if (!place->file)
        TRY(find_file(&place->file, folder, "tokenizer.bin"));
    if (!place->file)
        rc = err_set(
            ERR_MISSING,
            "%s: neither %s nor tokenizer.bin is beside it; name a tokenizer (--tokenizer)", path,
            name);
out:
    mem_free(folder);
    return rc;
}

/* NAMEvocab.json stands for itself and NAMEmerges.txt. */
static int find_merges(struct tokenizer_place *place, const char *path)
{
    int rc;
    TRY(mem_strdup(&place->file, path));
    TRY(mem_printf(&place->merges, "%.*smerges.txt", (int)(strlen(path) - strlen("vocab.json")),
                   path));
    TRY(folder_of(&place->folder, path));
out:
    return rc;
}

/* Told by its content, but for a .json, whose content may be damaged. */
static int find_format(struct tokenizer_place *place, const char *path)
{
    int rc;
    struct file_map map = {0};
    TRY(file_map_open(&map, path));
    size_t skipped = 0;
    while (skipped < map.size && strchr(" \t\r\n", map.data[skipped]) && map.data[skipped])
        skipped++;
    int64_t vocabulary = checkpoint_vocabulary(map.data, map.size);
    if (ends_with(path, ".json") || (skipped < map.size && map.data[skipped] == '{')) {
        place->format = TOKENIZER_JSON;
    } else if (gguf_is(path)) {
        place->format = TOKENIZER_GGUF;
    } else if (piece_model_is_llama2c(map.data, map.size)) {
        place->format = TOKENIZER_LLAMA2C;
    } else if (vocabulary && !ends_with(path, ".model")) {
        TRY(find_beside_checkpoint(place, path, vocabulary));
        goto out;
    } else {
        place->format = TOKENIZER_SENTENCEPIECE;
    }
    TRY(mem_strdup(&place->file, path));
    if (place->format == TOKENIZER_JSON || place->format == TOKENIZER_SENTENCEPIECE)
        TRY(folder_of(&place->folder, path));
out:
    file_unmap(&map);
    return rc;
}

int tokenizer_find_place(struct tokenizer_place *out, const char *path)
{
    int rc;
    char *probe = NULL;
    struct tokenizer_place place = {0};
    TRY(file_join(&probe, path, "."));
    if (file_exists(probe))
        TRY(find_in_folder(&place, path));
    else
        TRY(ends_with(path, "vocab.json") ? find_merges(&place, path) : find_format(&place, path));
    *out = place;
    place = (struct tokenizer_place){0};
out:
    tokenizer_place_release(&place);
    mem_free(probe);
    return rc;
}
