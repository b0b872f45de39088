/* The ids of ../shared/golden/tokens: whole texts, web documents, hard cases line by line. */
#include "model/tokenizer.h"
#include "tests/golden.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* LLaMA's model file is read as Hugging Face's LlamaTokenizer reads it (special tokens in the text,
 * BOS), and as SentencePiece does (neither). */
static struct known {
    const char *name, *path; /* below ../shared */
    int raw;
    struct tokenizer *tokenizer;
} known[] = {{"smollm2", "tokenizers/smollm2", 0, NULL},
             {"gpt2", "tokenizers/gpt2-vocab.json", 0, NULL},
             {"opt", "tokenizers/opt-vocab.json", 0, NULL},
             {"llama_hf", "tokenizers/llama_tokenizer.model", 0, NULL},
             {"llama_raw", "tokenizers/llama_tokenizer.model", 1, NULL},
             {"tok512", "models/tok512.model", 1, NULL}};
enum { KNOWN = sizeof known / sizeof *known };

static const char *tokens; /* folder; NULL: no shared data */
static json_t *golden;     /* tokens/index.json */

static char *shared_path(const char *name)
{
    const char *shared = getenv("BITBENCH_SHARED");
    char *path;
    assert_int_equal(mem_printf(&path, "%s/%s", shared ? shared : "../shared", name), 0);
    return path;
}

static char *golden_path(const char *name)
{
    char *path;
    assert_int_equal(mem_printf(&path, "%s/tokens/%s", tokens, name), 0);
    return path;
}

static int open_all(void **state)
{
    tokens = golden_folder();
    for (int i = 0; tokens && i < KNOWN; i++) {
        char *path = shared_path(known[i].path);
        if (tokenizer_open(&known[i].tokenizer, path) != 0) {
            fprintf(stderr, "%s\n", err_text());
            return -1;
        }
        mem_free(path);
    }
    if (tokens) {
        char *path = golden_path("index.json");
        golden = json_load_file(path, 0, NULL);
        mem_free(path);
    }
    return 0;
}

static int close_all(void **state)
{
    for (int i = 0; i < KNOWN; i++)
        tokenizer_free(known[i].tokenizer);
    json_decref(golden);
    return 0;
}

static void need_golden(void)
{
    if (!tokens) {
        printf("skipped: ../shared/golden is not there\n");
        skip();
    }
}

/* *ids = the text's tokens, with BOS in front where the tokenizer's authors put it. */
static void encode(const struct known *k, int plain, const char *text, size_t size, int32_t **ids,
                   size_t *count)
{
    const struct tokenizer *t = k->tokenizer;
    int32_t *bare = NULL;
    size_t bos = !k->raw && tokenizer_adds_bos(t), bare_count = 0;
    int rc;
    if (!plain && !k->raw) {
        rc = tokenizer_encode_default(t, text, size, ids, count);
        assert_int_equal(rc, 0);
        return;
    }
    rc = tokenizer_encode_plain(t, text, size, &bare, &bare_count);
    if (rc || !bare)
        fail_msg("%s", err_text());
    assert_int_equal(mem_alloc(ids, bare_count + 1, sizeof **ids), 0);
    (*ids)[0] = tokenizer_bos(t);
    for (size_t i = 0; bare && i < bare_count; i++)
        (*ids)[bos + i] = bare[i];
    *count = bos + bare_count;
    mem_free(bare);
}

/* U+2581 in the text: comes back as a space. */
static size_t count_marks(const char *text, size_t size)
{
    size_t count = 0;
    for (size_t i = 0; i + 3 <= size; i++)
        count += memcmp(text + i, "\xe2\x96\x81", 3) == 0;
    return count;
}

/* The text back, where the tokenizer keeps all of it. */
static void check_back(const struct known *k, const char *text, size_t size, const int32_t *ids,
                       size_t count)
{
    const struct tokenizer *t = k->tokenizer;
    size_t bos = !k->raw && tokenizer_adds_bos(t), length;
    char *back;
    assert_int_equal(tokenizer_decode(t, ids + bos, count - bos, &back, &length), 0);
    if (strcmp(k->name, "tok512") == 0) { /* removes white space */
        assert_true(length <= size);
    } else {
        size_t marks = strncmp(k->name, "llama", 5) == 0 ? count_marks(text, size) : 0;
        assert_int_equal(length, size - tokenizer_lacks(t, text, size) - 2 * marks);
        if (length == size)
            assert_memory_equal(back, text, size);
    }
    mem_free(back);
}

static void check_text(const char *input, const char *text, size_t size)
{
    for (int i = 0; i < KNOWN; i++) {
        char key[64], hex[HASH_HEX_SIZE];
        int32_t *ids;
        size_t count;
        snprintf(key, sizeof key, "%s.%s", known[i].name, input);
        const json_t *entry = json_object_get(json_object_get(golden, "files"), key);
        assert_non_null(entry);
        encode(&known[i], 0, text, size, &ids, &count);
        hash_bytes(ids, count * sizeof *ids, hex);
        if (count != (size_t)json_integer_value(json_object_get(entry, "n")) ||
            strcmp(hex, json_string_value(json_object_get(entry, "sha256"))) != 0)
            fail_msg("%s: %zu tokens, SHA-256 %s", key, count, hex);
        check_back(&known[i], text, size, ids, count);
        mem_free(ids);
    }
}

static void check_file(const char *input, char *path)
{
    char *text;
    size_t size;
    assert_int_equal(file_read(path, &text, &size), 0);
    check_text(input, text, size);
    mem_free(text);
    mem_free(path);
}

static void whole_texts(void **state)
{
    need_golden();
    check_file("wiki_test_raw", shared_path("data/wikitext2/wiki.test.raw"));
    check_file("ptb_test", shared_path("data/ptb/ptb.test.txt"));
    check_file("hard", golden_path("hard.txt"));
    check_file("hard_nul", golden_path("hard_nul.txt"));
}

/* Hugging Face's rows of WikiText: the line with its newline, or nothing when it is blank; joined.
 */
static void check_rows(const char *input, const char *name, const char *joint)
{
    char *path = shared_path(name), *text;
    size_t size;
    struct strbuf joined = {0};
    assert_int_equal(file_read(path, &text, &size), 0);
    for (size_t at = 0; at < size;) {
        const char *newline = memchr(text + at, '\n', size - at);
        size_t length = newline ? (size_t)(newline - text) + 1 - at : size - at;
        if (at)
            assert_int_equal(strbuf_puts(&joined, joint), 0);
        if (strspn(text + at, " \n") < length)
            assert_int_equal(strbuf_add(&joined, text + at, length), 0);
        at += length;
    }
    check_text(input, joined.data, joined.length);
    strbuf_release(&joined);
    mem_free(text);
    mem_free(path);
}

static void joined_rows(void **state)
{
    need_golden();
    check_rows("wt2_test_nn", "data/wikitext2/wiki.test.raw", "\n\n");
    check_rows("wt2_valid_sp", "data/wikitext2/wiki.valid.raw", " ");
}

static void web_documents(void **state)
{
    need_golden();
    char *path = shared_path("data/c4/c4_validation_2k.jsonl");
    for (int i = 0; i < KNOWN; i++) {
        FILE *file = fopen(path, "r");
        char *line = NULL, hex[HASH_HEX_SIZE];
        size_t capacity = 0;
        struct hash hash;
        const json_t *expected = json_object_get(json_object_get(golden, "c4_300"), known[i].name);
        const json_t *counts = json_object_get(expected, "counts");
        assert_int_equal(json_array_size(counts), 300);
        hash_init(&hash);
        assert_non_null(file);
        for (size_t d = 0; d < 300 && getline(&line, &capacity, file) > 0; d++) {
            json_t *document = json_loads(line, 0, NULL), *text = json_object_get(document, "text");
            int32_t *ids;
            size_t count;
            encode(&known[i], 0, json_string_value(text), json_string_length(text), &ids, &count);
            assert_int_equal(count, json_integer_value(json_array_get(counts, d)));
            hash_add(&hash, ids, count * sizeof *ids);
            mem_free(ids);
            json_decref(document);
        }
        hash_finish(&hash, hex);
        assert_string_equal(hex, json_string_value(json_object_get(expected, "sha256_concat")));
        free(line);
        fclose(file);
    }
    mem_free(path);
}

/* One line of text against the ids under `key`, where the line has them. */
static int check_line(const json_t *line, const char *key, const struct known *k, int plain)
{
    const json_t *text = json_object_get(line, "text"), *expected = json_object_get(line, key);
    int32_t *ids;
    size_t count;
    if (!expected)
        return 0;
    encode(k, plain, json_string_value(text), json_string_length(text), &ids, &count);
    int same = count == json_array_size(expected);
    for (size_t i = 0; same && i < count; i++)
        same = ids[i] == json_integer_value(json_array_get(expected, i));
    if (!same)
        fail_msg("%s: '%s' gives %zu tokens, golden %zu", key, json_string_value(text), count,
                 json_array_size(expected));
    mem_free(ids);
    return 1;
}

static int check_lines(const char *name, const char *suffix, int plain)
{
    char *path = golden_path(name), *line = NULL;
    size_t capacity = 0;
    int checked = 0;
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (getline(&line, &capacity, file) > 0) {
        json_t *object = json_loads(line, JSON_ALLOW_NUL, NULL);
        assert_non_null(object);
        for (int i = 0; i < KNOWN; i++) {
            char key[64];
            snprintf(key, sizeof key, "%s%s", known[i].name, suffix);
            checked += check_line(object, key, &known[i], plain);
        }
        json_decref(object);
    }
    free(line);
    fclose(file);
    mem_free(path);
    return checked;
}

static void hard_lines_alone(void **state)
{
    need_golden();
    assert_int_equal(check_lines("hard_lines.jsonl", "", 0), KNOWN * 212);
}

static void special_tokens_recognised_and_not(void **state)
{
    need_golden();
    assert_int_equal(check_lines("special_lines.jsonl", "_parse", 0), 4 * 16);
    assert_int_equal(check_lines("special_lines.jsonl", "_noparse", 1), 3 * 16);
    assert_int_equal(check_lines("special_lines.jsonl", "", 1), 2 * 16); /* SentencePiece's own */
}

/* What invalid bytes become is ours: themselves. Where the tokens of the whole text are those of
 * U+FFFD in golden, the reference has forgotten them. */
static void invalid_utf8_comes_back(void **state)
{
    need_golden();
    char *path = golden_path("hard.bin"), *text, *back;
    size_t size, count, length;
    int32_t *ids;
    assert_int_equal(file_read(path, &text, &size), 0);
    for (int i = 0; i < KNOWN; i++) {
        const struct tokenizer *t = known[i].tokenizer;
        assert_int_equal(tokenizer_encode_plain(t, text, size, &ids, &count), 0);
        assert_int_equal(tokenizer_decode(t, ids, count, &back, &length), 0);
        size_t lacking = tokenizer_lacks(t, text, size);
        assert_true(lacking == 0 || strcmp(known[i].name, "smollm2") == 0);
        if (strcmp(known[i].name, "tok512") != 0)
            assert_int_equal(length, size - lacking);
        if (length == size)
            assert_memory_equal(back, text, size);
        mem_free(ids);
        mem_free(back);
    }
    mem_free(text);
    mem_free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_texts),
        cmocka_unit_test(joined_rows),
        cmocka_unit_test(web_documents),
        cmocka_unit_test(hard_lines_alone),
        cmocka_unit_test(special_tokens_recognised_and_not),
        cmocka_unit_test(invalid_utf8_comes_back),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
