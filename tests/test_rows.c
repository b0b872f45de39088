/* Corpora that users bring as files: lines and JSON objects as Hugging Face's loaders give them,
 * joined as the papers' scripts join them, damaged files, and the published files where they are at
 * hand. */
#include "core/log.h"
#include "datasets/data_folder.h"
#include "datasets/rows.h"
#include "tests/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <zlib.h>

#include <cmocka.h>

static char *folder;

static int start(void **state)
{
    folder = fixture_folder("rows");
    log_set_mode(LOG_QUIET);
    return data_folder_set(folder);
}

static int end(void **state)
{
    mem_free(folder);
    return data_folder_set(NULL);
}

static char *path_of(const char *name)
{
    char *path;
    FIXTURE_OK(file_join(&path, folder, name));
    char *slash = strrchr(path, '/');
    *slash = '\0';
    FIXTURE_OK(file_make_directories(path));
    *slash = '/';
    return path;
}

static void put(const char *name, const void *bytes, size_t size)
{
    char *path = path_of(name);
    struct file_writer writer = {0};
    FIXTURE_OK(file_write_begin(&writer, path));
    FIXTURE_OK(file_write(&writer, bytes, size));
    FIXTURE_OK(file_write_commit(&writer));
    mem_free(path);
}

static void put_compressed(const char *name, const char *text, size_t size)
{
    char *path = path_of(name);
    gzFile file = gzopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(gzwrite(file, text, (unsigned)size), size);
    assert_int_equal(gzclose(file), Z_OK);
    mem_free(path);
}

static void take_away(const char *name)
{
    char *path = path_of(name);
    assert_int_equal(remove(path), 0);
    mem_free(path);
}

static int text_of(const char *name, enum split split, enum corpus_use use, struct strbuf *text,
                   int *changed)
{
    text->data = NULL;
    return corpus_text(corpus_find(name), split, use, &text->data, &text->length, changed);
}

static void assert_text(const char *name, enum split split, enum corpus_use use,
                        const char *expected, size_t size)
{
    struct strbuf text;
    assert_int_equal(text_of(name, split, use, &text, NULL), 0);
    assert_int_equal(text.length, size);
    assert_memory_equal(text.data, expected, size);
    mem_free(text.data);
}
#define ASSERT_TEXT(name, split, use, expected)                                                    \
    assert_text(name, split, use, expected, sizeof(expected) - 1)

static void assert_refused(const char *name, enum split split, int code, const char *part)
{
    struct strbuf text;
    assert_int_equal(text_of(name, split, USE_EVALUATION, &text, NULL), code);
    assert_null(text.data);
    if (!strstr(err_text(), part))
        fail_msg("'%s' is not in: %s", part, err_text());
}

/* The rows of this file: "", " = T = \n", "" (an ideographic space), " text \n", "one\n", "two\n",
 * "nul\0\n", "end". */
static const char lines[] = " \n = T = \n\xe3\x80\x80\n text \r\none\rtwo\nnul\0\nend";

static void wikitext_is_lines(void **state)
{
    put("wikitext2/wiki.test.raw", lines, sizeof lines - 1);
    ASSERT_TEXT("wikitext2", SPLIT_TEST, USE_EVALUATION,
                "\n\n = T = \n\n\n\n\n text \n\n\none\n\n\ntwo\n\n\nnul\0\n\n\nend");
    ASSERT_TEXT("wikitext2", SPLIT_TEST, USE_CALIBRATION,
                "  = T = \n   text \n one\n two\n nul\0\n end");
    ASSERT_TEXT("wikitext2_gptq", SPLIT_TEST, USE_CALIBRATION,
                "\n\n = T = \n\n\n\n\n text \n\n\none\n\n\ntwo\n\n\nnul\0\n\n\nend");
    /* a carriage return that ends the file ends its line */
    put("wikitext2/wiki.test.raw", "a\rb\r", 4);
    ASSERT_TEXT("wikitext2", SPLIT_TEST, USE_CALIBRATION, "a\n b\n");
    put("wikitext2/wiki.test.raw", "\r\n\r\n", 4);
    ASSERT_TEXT("wikitext2", SPLIT_TEST, USE_CALIBRATION, " ");
    take_away("wikitext2/wiki.test.raw");
}

static void penn_treebank_is_sentences(void **state)
{
    put("ptb/ptb.test.txt", " no it was n't \n\n <unk> N \n", 27);
    put("ptb/ptb.valid.txt", " a \n b \n", 8);
    ASSERT_TEXT("ptb", SPLIT_TEST, USE_EVALUATION, "no it was n't  <unk> N");
    ASSERT_TEXT("ptb", SPLIT_VALIDATION, USE_CALIBRATION, "a b");
    /* GPTQ measures on the validation split */
    ASSERT_TEXT("ptb_gptq", SPLIT_TEST, USE_EVALUATION, "a\n\nb");
    ASSERT_TEXT("ptb_gptq", SPLIT_VALIDATION, USE_CALIBRATION, "a\n\nb");
    take_away("ptb/ptb.test.txt");
    take_away("ptb/ptb.valid.txt");
}

static void objects_are_rows(void **state)
{
    static const char objects[] =
        "{\"text\": \" a\\n\", \"id\": 1}\n\n \t\r\n{\"text\": \"\"}\r\n{\"text\": \"z\\u0000\"}";
    put("wikitext2/train.jsonl", objects, sizeof objects - 1);
    ASSERT_TEXT("wikitext2", SPLIT_TRAIN, USE_EVALUATION, " a\n\n\n\n\nz\0");
    take_away("wikitext2/train.jsonl");
    put_compressed("wikitext2/train.jsonl.gz", objects, sizeof objects - 1);
    ASSERT_TEXT("wikitext2", SPLIT_TRAIN, USE_EVALUATION, " a\n\n\n\n\nz\0");
    take_away("wikitext2/train.jsonl.gz");
    put("ptb/train.jsonl", "{\"sentence\": \"a b\"}\n", 20);
    ASSERT_TEXT("ptb", SPLIT_TRAIN, USE_CALIBRATION, "a b");
    take_away("ptb/train.jsonl");
}

/* Perplexity on C4 is on the first 1,100 documents; lines here are longer than a read. */
static void c4_takes_its_beginning(void **state)
{
    enum { DOCUMENTS = 1105, LONG = 300000 };
    struct strbuf file = {0}, expected = {0}, text;
    for (int i = 0; i < DOCUMENTS; i++) {
        char name[32], filler[2] = {(char)('a' + i % 26), '\0'};
        snprintf(name, sizeof name, "%d", i);
        FIXTURE_OK(strbuf_printf(&file, "{\"text\":\"%s", name));
        if (i < 1100)
            FIXTURE_OK(strbuf_printf(&expected, "%s%s", i ? " " : "", name));
        for (int k = 0; i % 400 == 7 && k < LONG; k++) {
            FIXTURE_OK(strbuf_puts(&file, filler));
            if (i < 1100)
                FIXTURE_OK(strbuf_puts(&expected, filler));
        }
        FIXTURE_OK(strbuf_puts(&file, "\",\"url\":\"x\"}\n"));
    }
    put_compressed("c4/en/c4-validation.00000-of-00008.json.gz", file.data, file.length);
    int changed = 0;
    assert_int_equal(text_of("c4", SPLIT_TEST, USE_EVALUATION, &text, &changed), 0);
    assert_int_equal(changed, 1); /* the published file has 45,576 */
    assert_int_equal(text.length, expected.length);
    assert_memory_equal(text.data, expected.data, expected.length);
    mem_free(text.data);
    /* nobody draws from it as one text, but whoever asks gets all of it */
    assert_int_equal(text_of("c4", SPLIT_TEST, USE_CALIBRATION, &text, &changed), 0);
    assert_memory_equal(text.data, expected.data, expected.length);
    assert_string_equal(text.data + text.length - 10, " 1103 1104");
    mem_free(text.data);
    strbuf_release(&file);
    strbuf_release(&expected);
    take_away("c4/en/c4-validation.00000-of-00008.json.gz");
}

static void absent_files_are_named(void **state)
{
    assert_refused("wikitext2", SPLIT_TEST, ERR_MISSING, "/wikitext2/wiki.test.raw is not there");
    assert_refused("c4", SPLIT_TRAIN, ERR_MISSING, "huggingface.co/datasets/allenai/c4");
    put("wikitext-2-raw-v1/test-00000-of-00001.parquet", "PAR1", 4);
    assert_refused("wikitext2", SPLIT_TEST, ERR_FORMAT,
                   "wikitext-2-raw-v1/test-00000-of-00001.jsonl', orient='records', lines=True)");
    /* converted, as the line says, it is what is read */
    put("wikitext-2-raw-v1/test-00000-of-00001.jsonl", "{\"text\":\"x\\n\"}\n", 15);
    ASSERT_TEXT("wikitext2", SPLIT_TEST, USE_EVALUATION, "x\n");
    take_away("wikitext-2-raw-v1/test-00000-of-00001.jsonl");
    take_away("wikitext-2-raw-v1/test-00000-of-00001.parquet");
    data_folder_set(NULL);
    unsetenv("BITBENCH_DATASETS");
    assert_refused("ptb", SPLIT_TEST, ERR_MISSING, "give --data DIR, where DIR/ptb/ptb.test.txt");
    /* the command line goes before a spec, and both before the environment */
    setenv("BITBENCH_DATASETS", "/environment", 1);
    assert_string_equal(data_folder(), "/environment");
    FIXTURE_OK(data_folder_suggest("/spec"));
    assert_string_equal(data_folder(), "/spec");
    FIXTURE_OK(data_folder_set(folder));
    assert_string_equal(data_folder(), folder);
    FIXTURE_OK(data_folder_suggest(NULL));
    unsetenv("BITBENCH_DATASETS");
}

static void bad_rows_are_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *text;
    } bad[] = {
#define CASE(bytes, text) {bytes, sizeof(bytes) - 1, text}
        CASE("", "there is no row in it"),
        CASE("\n \n", "there is no row in it"),
        CASE("{\"text\":\"a\"}\n{\"body\":\"b\"}\n", ".jsonl:2: \"text\" (a text) is missing"),
        CASE("{\"text\":7}\n", ".jsonl:1: \"text\" is no text"),
        CASE("{\"text\":null}\n", ".jsonl:1: \"text\" is no text"),
        CASE("[\"text\"]\n", ".jsonl:1: not a JSON object: one a line is expected"),
        CASE("\n{\"text\":\"a\n", ".jsonl:2: not a JSON object: column"),
        CASE("{\"text\":\"caf\xe9\"}\n", ".jsonl:1: not a JSON object: column"),
        CASE("{\"text\":\"a\0b\"}\n", ".jsonl:1: not a JSON object: column"),
        CASE("{\"text\":\"\\ud800\"}\n", ".jsonl:1: not a JSON object: column"),
        CASE("{\"text\":\"a\"} x\n", ".jsonl:1: not a JSON object: column"),
        CASE("{\"text\":\"a\",\"text\":\"b\"}\n", ".jsonl:1: not a JSON object: column"),
        CASE("PAR1", ".jsonl:1: not a JSON object: column"),
#undef CASE
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put("wikitext2/test.jsonl", bad[i].bytes, bad[i].size);
        assert_refused("wikitext2", SPLIT_TEST, ERR_FORMAT, bad[i].text);
    }
    take_away("wikitext2/test.jsonl");
    put("wikitext2/wiki.test.raw", "fine\ncaf\xe9\n", 10);
    assert_refused("wikitext2", SPLIT_TEST, ERR_FORMAT,
                   "wiki.test.raw:2: not UTF-8: byte 3 of the line is 0xe9");
    put("wikitext2/wiki.test.raw", "", 0);
    assert_refused("wikitext2", SPLIT_TEST, ERR_FORMAT, "there is no row in it");
    take_away("wikitext2/wiki.test.raw");
    put("wikitext2/wiki.test.raw/file", "x", 1); /* a folder where the file belongs */
    assert_refused("wikitext2", SPLIT_TEST, ERR_IO, "not a regular file");
    take_away("wikitext2/wiki.test.raw/file");
    take_away("wikitext2/wiki.test.raw");
}

/* Cut short anywhere, compressed text is an error: a part of a data set is none. */
static void cut_files_are_refused(void **state)
{
    struct strbuf text = {0}, out;
    for (int i = 0; i < 60; i++)
        FIXTURE_OK(strbuf_printf(&text, "{\"text\":\"document %d of %d\"}\n", i, i * i));
    put_compressed("c4/train.jsonl.gz", text.data, text.length);
    char *path = path_of("c4/train.jsonl.gz"), *bytes;
    size_t size;
    FIXTURE_OK(file_read(path, &bytes, &size));
    assert_int_equal(text_of("c4", SPLIT_TRAIN, USE_EVALUATION, &out, NULL), 0);
    mem_free(out.data);
    for (size_t cut = 0; cut < size; cut++) {
        put("c4/train.jsonl.gz", bytes, cut);
        int rc = text_of("c4", SPLIT_TRAIN, USE_EVALUATION, &out, NULL);
        if (rc != ERR_FORMAT)
            fail_msg("cut to %zu of %zu bytes: %d", cut, size, rc);
        if (cut == size / 2 &&
            !strstr(err_text(), ": unexpected end of file: the compressed file is cut or damaged"))
            fail_msg("<%s>", err_text());
    }
    for (size_t at = 20; at < size; at += 7) { /* a damaged byte never goes by in silence */
        bytes[at] = (char)(bytes[at] ^ 0x10);
        put("c4/train.jsonl.gz", bytes, size);
        assert_int_equal(text_of("c4", SPLIT_TRAIN, USE_EVALUATION, &out, NULL), ERR_FORMAT);
        bytes[at] = (char)(bytes[at] ^ 0x10);
    }
    take_away("c4/train.jsonl.gz");
    mem_free(path);
    mem_free(bytes);
    strbuf_release(&text);
}

static void failed_allocations_are_reported(void **state)
{
    struct strbuf text;
    put("wikitext2/wiki.test.raw", lines, sizeof lines - 1);
    for (long nth = 1;; nth++) {
        mem_fail_at(nth);
        int rc = text_of("wikitext2", SPLIT_TEST, USE_EVALUATION, &text, NULL),
            pending = mem_fail_pending();
        mem_fail_at(0);
        if (pending) {
            assert_int_equal(rc, 0);
            assert_true(nth > 8);
            break;
        }
        assert_int_equal(rc, ERR_MEMORY);
        assert_null(text.data);
    }
    mem_free(text.data);
    take_away("wikitext2/wiki.test.raw");
}

static void visits_can_be_chosen(void **state)
{
    static const struct row_visitor all = {0};
    struct row_count count;
    char *line;
    const struct corpus *corpus = corpus_find("wikitext2");
    put("wikitext2/wiki.valid.raw", "a b\nc\n", 6);
    assert_int_equal(rows_visit(corpus, SPLIT_VALIDATION, &all, &count), 0);
    assert_int_equal(count.rows, 2);
    assert_int_equal(count.words, 3);
    assert_int_equal(count.bytes, 6);
    char hash[HASH_HEX_SIZE];
    hash_bytes("a b\n\0c\n", 8, hash);
    assert_string_equal(count.hash, hash);
    assert_int_equal(rows_difference(corpus, SPLIT_VALIDATION, &count, &line), 0);
    assert_non_null(strstr(line, "has 2 rows here, the published one has 3760"));
    mem_free(line);
    count.rows = 3760;
    assert_int_equal(rows_difference(corpus, SPLIT_VALIDATION, &count, &line), 0);
    assert_non_null(strstr(line, "is not the published one"));
    mem_free(line);
    take_away("wikitext2/wiki.valid.raw");
    put("wikitext2/wiki.valid.tokens", "a b\nc\n", 6);
    assert_int_equal(rows_visit(corpus, SPLIT_VALIDATION, &all, &count), 0);
    assert_int_equal(rows_difference(corpus, SPLIT_VALIDATION, &count, &line), 0);
    assert_non_null(strstr(line, "<unk>"));
    mem_free(line);
    take_away("wikitext2/wiki.valid.tokens");
}

/* The published files, joined: SHA-256 of what Python's join gives. */
static void published_files_are_known(void **state)
{
    static const struct {
        const char *corpus;
        enum split split;
        enum corpus_use use;
        const char *hash;
    } known[] = {
        {"wikitext2", SPLIT_TEST, USE_EVALUATION,
         "696cca6b65a171b0a358a4be6732cdfdf2dd6164a32e20fd70e3c13fc4dfae83"},
        {"wikitext2", SPLIT_VALIDATION, USE_CALIBRATION,
         "353ad68be0d8717030dd78110471c415b3e44a6dd75080a6e9eb08a1c413b544"},
        {"ptb", SPLIT_TEST, USE_EVALUATION,
         "900cfc61a7a63afcd086c5e1cce90554764eae65cb2ca9f5d4cac47be5f0f394"},
        {"ptb_gptq", SPLIT_TEST, USE_EVALUATION,
         "352a9351af725c5d5d6ccdd38357a35ebfef8c79916364fdf458fa72a4fb91c3"},
    };
    const char *shared = getenv("BITBENCH_SHARED");
    char *data;
    FIXTURE_OK(file_join(&data, shared ? shared : "../shared", "data"));
    if (!file_exists(data)) {
        print_message("skipped: %s is not there\n", data);
        mem_free(data);
        skip();
    }
    FIXTURE_OK(data_folder_set(data));
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        struct strbuf text;
        char hash[HASH_HEX_SIZE];
        int changed = 1;
        assert_int_equal(text_of(known[i].corpus, known[i].split, known[i].use, &text, &changed),
                         0);
        assert_int_equal(changed, 0);
        hash_bytes(text.data, text.length, hash);
        assert_string_equal(hash, known[i].hash);
        mem_free(text.data);
    }
    FIXTURE_OK(data_folder_set(folder));
    mem_free(data);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(wikitext_is_lines),      cmocka_unit_test(penn_treebank_is_sentences),
        cmocka_unit_test(objects_are_rows),       cmocka_unit_test(c4_takes_its_beginning),
        cmocka_unit_test(absent_files_are_named), cmocka_unit_test(bad_rows_are_refused),
        cmocka_unit_test(cut_files_are_refused),  cmocka_unit_test(failed_allocations_are_reported),
        cmocka_unit_test(visits_can_be_chosen),   cmocka_unit_test(published_files_are_known),
    };
    return cmocka_run_group_tests(tests, start, end);
}
