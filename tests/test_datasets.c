/* What holds for every corpus: cleaning, documents, splits, overlap, text of one's own, and the
 * built-in corpora as their packages have them. */
#include "core/log.h"
#include "core/text.h"
#include "datasets/documents.h"
#include "datasets/overlap.h"
#include "datasets/rows.h"
#include "tests/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char *folder;

/* Documents of the given texts, the last of which is NULL. */
static struct documents make_documents(const char *const *texts)
{
    struct documents_builder builder = {0};
    struct documents out = {0};
    for (; *texts; texts++) {
        assert_int_equal(documents_add(&builder, *texts, strlen(*texts)), 0);
        assert_int_equal(documents_close(&builder), 0);
    }
    assert_int_equal(documents_finish(&builder, "made", &out), 0);
    return out;
}

static void assert_document(const struct documents *documents, size_t d, const char *text)
{
    size_t length = documents->offsets[d + 1] - documents->offsets[d];
    assert_true(d < documents->count);
    assert_int_equal(length, strlen(text));
    assert_memory_equal(documents->text + documents->offsets[d], text, length);
}

static void text_is_squeezed(void **state)
{
    struct strbuf out = {0};
    const char text[] = " \t a\n\nb\x01"
                        "c\x7f  d\xc3\xa9 \r\n";
    assert_int_equal(text_squeeze(&out, text, sizeof text - 1), 0);
    assert_string_equal(out.data, "a bc d\xc3\xa9");
    strbuf_release(&out);
    assert_int_equal(text_words(" one  two\nthree", 15), 3);
    assert_int_equal(text_words(" \n ", 3), 0);
}

static void documents_keep_their_borders(void **state)
{
    static const char *const texts[] = {"one two", "three", "four", NULL};
    static const char *const moved[] = {"one two", "threef", "our", NULL};
    struct documents a = make_documents(texts), b = make_documents(moved);
    char *joined;
    size_t size;
    assert_int_equal(a.count, 3);
    assert_document(&a, 1, "three");
    assert_int_equal(documents_words(&a), 4);
    assert_string_not_equal(a.hash, b.hash); /* the same text, other borders */
    assert_int_equal(documents_join(&a, "\n\n", &joined, &size), 0);
    assert_string_equal(joined, "one two\n\nthree\n\nfour");
    assert_int_equal(size, strlen(joined));
    mem_free(joined);
    documents_release(&a);
    documents_release(&b);

    struct documents_builder empty = {0};
    assert_int_equal(documents_finish(&empty, "corpus nothing", &a), ERR_FORMAT);
    assert_string_equal(err_text(), "corpus nothing: there is no text in it");
}

static void lines_make_documents(void **state)
{
    struct documents_builder builder = {0};
    struct documents out;
    assert_int_equal(documents_add_line(&builder, "a", 1), 0);
    assert_int_equal(documents_add_line(&builder, "b", 1), 0);
    assert_int_equal(documents_open_size(&builder), 3);
    assert_int_equal(documents_close(&builder), 0);
    assert_int_equal(documents_close(&builder), 0); /* an empty document leaves nothing */
    assert_int_equal(documents_add_line(&builder, "c", 1), 0);
    assert_int_equal(documents_finish(&builder, "made", &out), 0);
    assert_int_equal(out.count, 2);
    assert_document(&out, 0, "a\nb");
    assert_document(&out, 1, "c");
    documents_release(&out);
}

static void keys_are_a_set(void **state)
{
    struct keyset set = {0};
    int fresh;
    assert_false(keyset_has(&set, 5));
    for (uint64_t key = 0; key < 5000; key++) {
        assert_int_equal(keyset_add(&set, key_mix(key), &fresh), 0);
        assert_true(fresh);
    }
    assert_int_equal(keyset_add(&set, key_mix(17), &fresh), 0);
    assert_false(fresh);
    assert_int_equal(set.count, 5000);
    for (uint64_t key = 0; key < 10000; key++)
        assert_int_equal(keyset_has(&set, key_mix(key)), key < 5000);
    keyset_release(&set);
    /* splitmix64's first value from seed 0, and FNV-1a of "a", which splits depend on */
    assert_true(key_mix(0) == UINT64_C(0xe220a8397b1dcdaf));
    assert_true(key_of("a", 1) == key_mix(UINT64_C(0xaf63dc4c8601ec8c)));
}

/* Every document is in one split, in its order; more documents at the end move none. */
static void splits_partition(void **state)
{
    struct corpus corpus = {.name = "made", .joiner = "\n"};
    struct documents_builder builder = {0};
    struct documents all, parts[3];
    size_t counts[3] = {0}, next[3] = {0};
    for (int d = 0; d < 2000; d++) {
        char text[32];
        int length = snprintf(text, sizeof text, "text %d", d);
        assert_int_equal(documents_add(&builder, text, (size_t)length), 0);
        assert_int_equal(documents_close(&builder), 0);
    }
    assert_int_equal(documents_finish(&builder, "made", &all), 0);
    for (int s = 0; s < 3; s++)
        assert_int_equal(corpus_split(&corpus, &all, (enum split)s, &parts[s]), 0);
    assert_int_equal(parts[0].count + parts[1].count + parts[2].count, all.count);
    for (size_t d = 0; d < all.count; d++) {
        enum split split = corpus_split_of(&corpus, d);
        char text[32];
        snprintf(text, sizeof text, "text %zu", d);
        assert_document(&parts[split], next[split]++, text);
        counts[split]++;
    }
    /* 12 % and 4 % of 2,000, within four standard deviations */
    assert_in_range(counts[SPLIT_TEST], 240 - 58, 240 + 58);
    assert_in_range(counts[SPLIT_VALIDATION], 80 - 35, 80 + 35);
    for (int s = 0; s < 3; s++)
        documents_release(&parts[s]);
    documents_release(&all);

    static const char *const single[] = {"alone", NULL};
    all = make_documents(single);
    enum split other = corpus_split_of(&corpus, 0) == SPLIT_TEST ? SPLIT_TRAIN : SPLIT_TEST;
    assert_int_equal(corpus_split(&corpus, &all, other, &parts[0]), ERR_FORMAT);
    assert_non_null(strstr(err_text(), "corpus made"));
    documents_release(&all);
}

static void overlap_counts_ngrams(void **state)
{
    /* 3-grams of test: "a b c", "b c d", "c d e" and "x y z"; of train: "b c d", "c d q", "x y",
     * none across documents */
    static const char *const train_texts[] = {"B, c d. q", "x y", "z", NULL};
    static const char *const test_texts[] = {"A b\nC -- d e", "x y z", "only two", NULL};
    struct documents train = make_documents(train_texts), test = make_documents(test_texts);
    struct overlap overlap;
    assert_int_equal(overlap_measure(&train, &test, 3, &overlap), 0);
    assert_int_equal(overlap.ngrams, 4);
    assert_int_equal(overlap.shared, 1);
    assert_int_equal(overlap_measure(&train, &test, 2, &overlap), 0);
    assert_int_equal(overlap.ngrams, 7);
    assert_int_equal(overlap.shared, 3); /* b c, c d, x y */
    assert_int_equal(overlap_measure(&train, &test, 1, &overlap), 0);
    assert_int_equal(overlap.ngrams, 10);
    assert_int_equal(overlap.shared, 6); /* b c d x y z */
    assert_int_equal(overlap_measure(&train, &test, 0, &overlap), ERR_USAGE);
    assert_int_equal(overlap_measure(&train, &test, 65, &overlap), ERR_USAGE);
    documents_release(&train);
    documents_release(&test);
}

/* Opens "scheme:folder/name" with the given content. */
static int load_own(const char *scheme, const char *content, size_t size,
                    struct corpus_source *source, struct documents *all)
{
    char *path, *name;
    struct file_writer writer = {0};
    assert_int_equal(file_join(&path, folder, "own.txt"), 0);
    assert_int_equal(file_write_begin(&writer, path), 0);
    assert_int_equal(file_write(&writer, content, size), 0);
    assert_int_equal(file_write_commit(&writer), 0);
    assert_int_equal(mem_printf(&name, "%s:%s", scheme, path), 0);
    int rc = corpus_open(name, source);
    if (rc == 0) {
        int changed = -1;
        assert_string_equal(source->corpus.name, name);
        rc = corpus_load(&source->corpus, all, &changed);
        if (rc == 0)
            assert_int_equal(changed, 0);
    }
    mem_free(name);
    mem_free(path);
    return rc;
}

static void own_text_is_a_corpus(void **state)
{
    static const char text[] = "First line.\r\nSecond.\n\n \t\n\nThird \xc3\xa9.\n";
    struct corpus_source source = {0};
    struct documents all, part;
    assert_int_equal(load_own("file", text, sizeof text - 1, &source, &all), 0);
    assert_int_equal(all.count, 1);
    assert_document(&all, 0, text); /* byte for byte */
    for (int s = 0; s < 3; s++) {
        assert_int_equal(corpus_split(&source.corpus, &all, (enum split)s, &part), 0);
        assert_string_equal(part.hash, all.hash);
        documents_release(&part);
    }
    documents_release(&all);
    corpus_close(&source);

    assert_int_equal(load_own("docs", text, sizeof text - 1, &source, &all), 0);
    assert_int_equal(all.count, 2);
    assert_document(&all, 0, "First line.\nSecond.");
    assert_document(&all, 1, "Third \xc3\xa9.");
    documents_release(&all);
    corpus_close(&source);
    corpus_close(&source);
}

static void bad_own_text_is_refused(void **state)
{
    struct corpus_source source = {0};
    struct documents all = {0};
    assert_int_equal(load_own("file", "", 0, &source, &all), ERR_FORMAT);
    assert_non_null(strstr(err_text(), "there is no text in it (0 bytes)"));
    corpus_close(&source);
    assert_int_equal(load_own("docs", " \n\n", 3, &source, &all), ERR_FORMAT);
    corpus_close(&source);
    assert_int_equal(load_own("file", "caf\xe9 au lait", 12, &source, &all), ERR_FORMAT);
    assert_non_null(strstr(err_text(), "not UTF-8: byte 3 is 0xe9"));
    corpus_close(&source);
    assert_int_equal(corpus_open("file:", &source), ERR_USAGE);
    assert_int_equal(corpus_open("wordnett", &source), ERR_USAGE);
    assert_non_null(strstr(err_text(), "did you mean 'wordnet'?"));
    assert_int_equal(corpus_open("file:/no/such/file", &source), 0);
    assert_int_equal(corpus_load(&source.corpus, &all, NULL), ERR_MISSING);
    corpus_close(&source);
    assert_null(all.text);
}

/* A corpus out of a package; one that is being added has nothing to compare with yet. */
static void check_package_descriptor(const struct corpus *corpus)
{
    assert_true(corpus->package && corpus->extract);
    if (!corpus->expected_hash)
        return;
    assert_int_equal(strlen(corpus->expected_hash), 64);
    assert_non_null(corpus->expected_version);
    assert_true(corpus->expected_documents > 0 && corpus->expected_words > 0);
}

static void check_row_descriptor(const struct row_corpus *rows)
{
    assert_true(rows->key && rows->origin);
    assert_true(rows->draws_rows || rows->calibration_joiner);
    for (int s = 0; s < 3; s++) {
        assert_true(rows->splits[s].names && rows->splits[s].names[0]);
        assert_true(rows->splits[s].rows > 0);
        assert_true(!rows->splits[s].hash || strlen(rows->splits[s].hash) == 64);
    }
}

static void descriptors_are_complete(void **state)
{
    struct corpus_source source;
    for (int i = 0; corpora[i]; i++) {
        const struct corpus *corpus = corpora[i];
        assert_true(corpus->name && corpus->title && corpus->source && corpus->joiner);
        assert_true(corpus->version > 0);
        if (corpus->rows)
            check_row_descriptor(corpus->rows);
        else
            check_package_descriptor(corpus);
        assert_ptr_equal(corpus_find(corpus->name), corpus);
        assert_int_equal(corpus_open(corpus->name, &source), 0);
        assert_ptr_equal(source.corpus.extract, corpus->extract);
        corpus_close(&source);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(corpora[k]->name, corpus->name);
    }
}

static void commands_are_read(void **state)
{
    static const char *const fine[] = {"sh", "-c", "echo one; echo two >&2", NULL};
    static const char *const failing[] = {"sh", "-c", "echo one; exit 3", NULL};
    static const char *const killed[] = {"sh", "-c", "kill -9 $$", NULL};
    static const char *const absent[] = {"no-such-program-here", NULL};
    struct strbuf out = {0};
    assert_int_equal(command_read(fine, &out), 0);
    assert_string_equal(out.data, "one\n");
    assert_int_equal(command_read(failing, &out), ERR_IO);
    assert_string_equal(err_text(), "sh: ended with status 3");
    assert_int_equal(command_read(killed, &out), ERR_IO);
    assert_string_equal(err_text(), "sh: ended by signal 9");
    assert_int_equal(command_read(absent, &out), ERR_MISSING);
    strbuf_release(&out);
    err_set(ERR_IO, "as it was");
    assert_null(package_version("no-such-package-here"));
    assert_string_equal(err_text(), "as it was");
}

/* A built-in corpus as it is installed: the text that the descriptor promises, and the size of its
 * splits. */
static void check_corpus(const char *name, size_t least_test_words)
{
    const struct corpus *corpus = corpus_find(name);
    struct documents all, parts[3];
    size_t words = 0;
    int changed;
    int rc = corpus_load(corpus, &all, &changed);
    if (rc == ERR_MISSING) {
        print_message("skipped: %s\n", err_text());
        skip();
    }
    assert_int_equal(rc, 0);
    char *version = package_version(corpus->package);
    if (changed && version && strcmp(version, corpus->expected_version) != 0) {
        print_message("skipped: corpus %s: package version %s, expected %s\n", name, version,
                      corpus->expected_version);
        mem_free(version);
        documents_release(&all);
        skip();
    }
    mem_free(version);
    assert_false(changed);
    assert_non_null(corpus->expected_hash);
    assert_string_equal(all.hash, corpus->expected_hash);
    assert_int_equal(all.count, corpus->expected_documents);
    assert_int_equal(documents_words(&all), corpus->expected_words);
    assert_null(strpbrk(all.text, "\r\t\x7f"));
    assert_null(strstr(all.text, "  "));
    for (int s = 0; s < 3; s++) {
        assert_int_equal(corpus_split(corpus, &all, (enum split)s, &parts[s]), 0);
        words += documents_words(&parts[s]);
    }
    assert_int_equal(parts[0].count + parts[1].count + parts[2].count, all.count);
    assert_int_equal(words, corpus->expected_words);
    assert_true(documents_words(&parts[SPLIT_TEST]) >= least_test_words);
    struct overlap overlap;
    assert_int_equal(
        overlap_measure(&parts[SPLIT_TRAIN], &parts[SPLIT_TEST], OVERLAP_WORDS, &overlap), 0);
    print_message("%s: %.3f %% of the test %d-grams are in train\n", name,
                  100.0 * (double)overlap.shared / (double)overlap.ngrams, OVERLAP_WORDS);
    assert_true((double)overlap.shared < 0.02 * (double)overlap.ngrams);
    for (int s = 0; s < 3; s++)
        documents_release(&parts[s]);
    documents_release(&all);
}

static void kjv_as_installed(void **state)
{
    check_corpus("kjv", 60000);
}

static void wordnet_as_installed(void **state)
{
    check_corpus("wordnet", 60000);
}

static void perldoc_as_installed(void **state)
{
    check_corpus("perldoc", 60000);
}

static void wordnet_rest_as_installed(void **state)
{
    check_corpus("wordnet_rest", 0);
}

static void gcide_as_installed(void **state)
{
    check_corpus("gcide", 0);
}

static void foldoc_as_installed(void **state)
{
    check_corpus("foldoc", 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_squeezed),         cmocka_unit_test(documents_keep_their_borders),
        cmocka_unit_test(lines_make_documents),     cmocka_unit_test(keys_are_a_set),
        cmocka_unit_test(splits_partition),         cmocka_unit_test(overlap_counts_ngrams),
        cmocka_unit_test(own_text_is_a_corpus),     cmocka_unit_test(bad_own_text_is_refused),
        cmocka_unit_test(descriptors_are_complete), cmocka_unit_test(commands_are_read),
        cmocka_unit_test(kjv_as_installed),         cmocka_unit_test(wordnet_as_installed),
        cmocka_unit_test(perldoc_as_installed),     cmocka_unit_test(wordnet_rest_as_installed),
        cmocka_unit_test(gcide_as_installed),       cmocka_unit_test(foldoc_as_installed),
    };
    folder = fixture_folder("datasets");
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mem_free(folder);
    return failed;
}
