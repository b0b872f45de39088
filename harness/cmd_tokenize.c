/* bitbench tokenize: text to token ids, and back. */
#include "core/err.h"
#include "core/file.h"
#include "core/log.h"
#include "core/mem.h"
#include "harness/command.h"
#include "harness/model_folder.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tokenize_options {
    char tokenizer[OPTION_TEXT_SIZE], out[OPTION_TEXT_SIZE];
    bool bos, plain, decode;
};

static const struct option tokenize_table[] = {
    {.name = "tokenizer",
     .type = OPTION_TEXT,
     .offset = offsetof(struct tokenize_options, tokenizer),
     .fallback = "embedded",
     .choices = "PATH",
     .help = "a model's folder, a tokenizer.json, tokenizer.model, vocab.json (with merges.txt), "
             "FILE.gguf, llama2.c's tokenizer.bin or a checkpoint beside it, or embedded"},
    {.name = "bos",
     .type = OPTION_BOOL,
     .offset = offsetof(struct tokenize_options, bos),
     .fallback = "false",
     .help = "put the token that begins a text in front"},
    {.name = "plain",
     .type = OPTION_BOOL,
     .offset = offsetof(struct tokenize_options, plain),
     .fallback = "false",
     .help = "take special tokens within the text as ordinary text"},
    {.name = "decode",
     .type = OPTION_BOOL,
     .offset = offsetof(struct tokenize_options, decode),
     .fallback = "false",
     .help = "the other way: ids, separated by white space, to text"},
    {.name = "out",
     .type = OPTION_TEXT,
     .offset = offsetof(struct tokenize_options, out),
     .fallback = "",
     .choices = "FILE",
     .help = "write to this file: ids as little-endian int32, or the text"},
    {.name = NULL},
};

static int read_stream(FILE *stream, struct strbuf *text)
{
    char part[1 << 16];
    size_t got;
    int rc = strbuf_add(text, "", 0);
    while (rc == 0 && (got = fread(part, 1, sizeof part, stream)) > 0)
        rc = strbuf_add(text, part, got);
    if (rc == 0 && ferror(stream))
        rc = err_set(ERR_IO, "standard input: %s", strerror(errno));
    return rc;
}

static int read_input(const char *path, struct strbuf *text)
{
    struct file_map map = {0};
    int rc = path ? file_map_open(&map, path) : read_stream(stdin, text);
    if (rc == 0 && path)
        rc = strbuf_add(text, (const char *)map.data, map.size);
    file_unmap(&map);
    return rc;
}

/* Bytes to a file that is complete or absent. */
static int write_file(const char *path, const void *bytes, size_t size)
{
    int rc;
    struct file_writer writer = {0};
    TRY(file_write_begin(&writer, path));
    TRY(file_write(&writer, bytes, size));
    TRY(file_write_commit(&writer));
out:
    file_write_abort(&writer);
    return rc;
}

static int write_ids(const char *path, const int32_t *ids, size_t count)
{
    uint8_t *bytes;
    int rc = mem_alloc(&bytes, count, 4);
    if (rc)
        return rc;
    for (size_t i = 0; i < count; i++)
        for (int b = 0; b < 4; b++)
            bytes[4 * i + (size_t)b] = (uint8_t)((uint32_t)ids[i] >> 8 * b);
    rc = write_file(path, bytes, 4 * count);
    mem_free(bytes);
    return rc;
}

/* The ids, or with --json an object; ids NULL: only what is known about them. */
static void print_ids(const struct tokenizer *tokenizer, const int32_t *ids, size_t count,
                      size_t bytes, bool json)
{
    const char *ids_key = ids ? ", \"ids\": [" : "";
    if (json)
        printf("{\"tokenizer\": \"%s\", \"vocabulary\": %d, \"bytes\": %zu, \"tokens\": %zu%s",
               tokenizer_hash(tokenizer), tokenizer_vocabulary(tokenizer), bytes, count, ids_key);
    for (size_t i = 0; ids && i < count; i++)
        printf("%s%" PRId32, i == 0 ? "" : json ? ", " : i % 16 ? " " : "\n", ids[i]);
    if (json)
        printf(ids ? "]}\n" : "}\n");
    else if (ids && count)
        printf("\n");
}

static int encode(const struct tokenizer *tokenizer, const struct tokenize_options *options,
                  const struct strbuf *text, bool json)
{
    int rc;
    int32_t *ids = NULL, *all = NULL;
    size_t count, lacking = tokenizer_lacks(tokenizer, text->data, text->length);
    int bos = tokenizer_bos(tokenizer);
    if (options->bos && bos < 0)
        return err_set(ERR_USAGE, "--bos: %s has no token that begins a text", options->tokenizer);
    if (lacking)
        log_warning("%zu bytes of the text have no token in this vocabulary; decoding the ids "
                    "will not give them back",
                    lacking);
    TRY(options->plain ? tokenizer_encode_plain(tokenizer, text->data, text->length, &ids, &count)
                       : tokenizer_encode(tokenizer, text->data, text->length, &ids, &count));
    TRY(mem_alloc(&all, count + 1, sizeof *all));
    all[0] = bos;
    memcpy(all + options->bos, ids, count * sizeof *ids);
    count += options->bos;
    if (options->out[0])
        TRY(write_ids(options->out, all, count));
    if (json || !options->out[0])
        print_ids(tokenizer, options->out[0] ? NULL : all, count, text->length, json);
out:
    mem_free(ids);
    mem_free(all);
    return rc;
}

/* ids = the whole numbers of the text. */
static int parse_ids(const struct strbuf *text, int32_t **ids, size_t *count)
{
    static const char space[] = " \t\r\n,";
    size_t capacity = text->length / 2 + 1, used = 0;
    int rc = mem_alloc(ids, capacity, sizeof **ids);
    if (rc)
        return rc;
    const char *at = text->data + strspn(text->data, space), *last = text->data + text->length;
    for (; at < last; at += strspn(at, space)) {
        char *end;
        errno = 0;
        long id = strtol(at, &end, 10);
        if (end == at || (*end && !strchr(space, *end)) || errno || id < 0 || id > INT32_MAX) {
            size_t length = strcspn(at, space);
            return err_set(ERR_FORMAT, "input, byte %zu: '%.*s' is not a token id",
                           (size_t)(at - text->data), (int)(length < 20 ? length : 20), at);
        }
        (*ids)[used++] = (int32_t)id;
        at = end;
    }
    *count = used;
    return 0;
}

static int decode(const struct tokenizer *tokenizer, const struct tokenize_options *options,
                  const struct strbuf *input)
{
    int rc;
    int32_t *ids = NULL;
    size_t count = 0, size = 0;
    char *text = NULL;
    TRY(parse_ids(input, &ids, &count));
    TRY(tokenizer_decode(tokenizer, ids, count, &text, &size));
    if (options->out[0])
        TRY(write_file(options->out, text, size));
    else
        fwrite(text, 1, size, stdout);
out:
    mem_free(ids);
    mem_free(text);
    return rc;
}

static int run_tokenize(const struct command_line *line)
{
    int rc;
    const struct tokenize_options *options = line->options;
    char *folder = NULL;
    struct tokenizer *tokenizer = NULL;
    struct strbuf text = {0};
    if (options->decode && line->global.json)
        return err_set(ERR_USAGE, "--decode gives text, which --json has no form for");
    TRY(tokenizer_folder(&folder, options->tokenizer));
    TRY(tokenizer_open(&tokenizer, folder));
    TRY(read_input(line->argument_count ? line->arguments[0] : NULL, &text));
    if (options->decode)
        TRY(decode(tokenizer, options, &text));
    else
        TRY(encode(tokenizer, options, &text, line->global.json));
out:
    strbuf_release(&text);
    tokenizer_free(tokenizer);
    mem_free(folder);
    return rc;
}

const struct command command_tokenize = {
    .name = "tokenize",
    .summary = "turns text into token ids, or ids into text",
    .arguments = "[FILE]",
    .arguments_max = 1,
    .argument_kind = ARGUMENT_FILE,
    .flags = COMMAND_JSON,
    .options = tokenize_table,
    .options_size = sizeof(struct tokenize_options),
    .letters = "t=tokenizer o=out",
    .description = "Reads FILE, or standard input, whole and prints the ids, 16 a line. The text "
                   "may be any bytes.",
    .examples = "echo 'In the beginning' | bitbench tokenize\n"
                "bitbench tokenize --tokenizer PATH/tokenizer.json --out ids.bin text.txt\n"
                "# and back\n"
                "bitbench tokenize text.txt | bitbench tokenize --decode\n",
    .run = run_tokenize,
};
