/* Byte-level BPE against a plain one on random words, and on any bytes. */
#include "core/pool.h"
#include "model/bpe_bytes.h"
#include "model/tokenizer.h"
#include "tests/fixture.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* A tokenizer learned from random text, with its merges by rank. */
struct twin {
    struct tokenizer *tokenizer;
    json_t *root;
};

static void twin_open(struct twin *twin, uint64_t seed, uint64_t letters)
{
    struct rng rng;
    char text[6000], *folder = fixture_folder("tokenizer_twin"), *path;
    rng_seed(&rng, seed);
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = rng_below(&rng, 9) ? (char)('a' + rng_below(&rng, letters)) : ' ';
    const struct bpe_text source = {text, sizeof text, 1};
    const struct bpe_training options = {.vocabulary = 600};
    FIXTURE_OK(bpe_train_folder(&source, 1, &options, folder, NULL));
    FIXTURE_OK(tokenizer_open(&twin->tokenizer, folder));
    FIXTURE_OK(file_join(&path, folder, "tokenizer.json"));
    twin->root = json_load_file(path, 0, NULL);
    assert_non_null(twin->root);
    mem_free(path);
    mem_free(folder);
}

static void twin_close(struct twin *twin)
{
    tokenizer_free(twin->tokenizer);
    json_decref(twin->root);
}

/* Parts of one word as strings; the merges are searched from the first on, each from the left.
 * Appends ids. */
static size_t plain_word(const struct twin *twin, const char *word, size_t size, int32_t *ids)
{
    const json_t *model = json_object_get(twin->root, "model");
    const json_t *merges = json_object_get(model, "merges"),
                 *vocab = json_object_get(model, "vocab");
    static char parts[800][64];
    size_t count = size, m = 0;
    for (size_t i = 0; i < size; i++)
        parts[i][utf8_encode(bpe_byte_to_char((uint8_t)word[i]), parts[i])] = '\0';
    while (m < json_array_size(merges)) {
        const char *merge = json_string_value(json_array_get(merges, m)),
                   *space = strchr(merge, ' ');
        size_t left = (size_t)(space - merge), i = 0;
        while (i + 1 < count && !(strncmp(parts[i], merge, left) == 0 && !parts[i][left] &&
                                  strcmp(parts[i + 1], space + 1) == 0))
            i++;
        if (i + 1 >= count) {
            m++;
            continue;
        }
        memcpy(parts[i] + left, space + 1, strlen(space + 1) + 1);
        memmove(parts[i + 1], parts[i + 2], (count - i - 2) * sizeof *parts);
        count--;
        m = 0; /* a merge may make room for one of lower rank */
    }
    for (size_t i = 0; i < count; i++)
        ids[i] = (int32_t)json_integer_value(json_object_get(vocab, parts[i]));
    return count;
}

static void fast_and_plain_merges_agree(void **state)
{
    struct rng rng;
    rng_seed(&rng, 11);
    for (uint64_t letters = 1; letters <= 4; letters++) {
        struct twin twin;
        twin_open(&twin, letters, letters);
        for (int turn = 0; turn < 60; turn++) {
            char word[700];
            int32_t plain[700], *ids;
            size_t size = 1 + rng_below(&rng, turn % 4 ? 30 : 600), count;
            for (size_t i = 0; i < size; i++)
                word[i] = (char)('a' + rng_below(&rng, letters));
            size_t expected = plain_word(&twin, word, size, plain);
            FIXTURE_OK(tokenizer_encode(twin.tokenizer, word, size, &ids, &count));
            assert_int_equal(count, expected);
            assert_memory_equal(ids, plain, count * sizeof *ids);
            mem_free(ids);
        }
        twin_close(&twin);
    }
}

/* More different words than the cache holds: the same ids as in pieces that fit. */
static void the_cache_may_overflow(void **state)
{
    struct twin twin;
    struct strbuf text = {0};
    int32_t *whole, *part;
    size_t count, size, at = 0;
    enum { WORDS = 70000, PIECE = 4000 };
    twin_open(&twin, 3, 3);
    for (uint32_t w = 0; w < WORDS; w++) {
        char word[20] = " ";
        size_t length = 1;
        for (uint32_t rest = w + 1; rest; rest /= 3)
            word[length++] = (char)('a' + rest % 3);
        FIXTURE_OK(strbuf_add(&text, word, length));
    }
    FIXTURE_OK(tokenizer_encode(twin.tokenizer, text.data, text.length, &whole, &count));
    for (size_t from = 0, to; from < text.length; from = to) {
        for (to = from + PIECE; to < text.length && text.data[to] != ' ';)
            to++;
        to = to < text.length ? to : text.length;
        FIXTURE_OK(tokenizer_encode(twin.tokenizer, text.data + from, to - from, &part, &size));
        assert_true(size <= count - at);
        assert_memory_equal(part, whole + at, size * sizeof *part);
        mem_free(part);
        at += size;
    }
    assert_int_equal(at, count);
    mem_free(whole);
    strbuf_release(&text);
    twin_close(&twin);
}

/* ---- any bytes ---- */

static void bytes_come_back(void **state)
{
    struct twin twin;
    struct rng rng;
    twin_open(&twin, 4, 4);
    rng_seed(&rng, 21);
    for (int turn = 0; turn < 300; turn++) {
        char bytes[600], *back;
        int32_t *ids;
        size_t size = rng_below(&rng, sizeof bytes), count, length;
        for (size_t i = 0; i < size; i++) {
            /* a mix of ASCII, beginnings and continuations of UTF-8, and anything */
            static const uint8_t low[] = {' ', 0xc0, 0x80, 0xe0, 0},
                                 range[] = {95, 64, 64, 32, 255};
            size_t kind = rng_below(&rng, turn % 3 ? 5 : 1);
            bytes[i] = (char)(low[kind] + rng_below(&rng, range[kind]));
        }
        FIXTURE_OK(tokenizer_encode(twin.tokenizer, bytes, size, &ids, &count));
        FIXTURE_OK(tokenizer_decode(twin.tokenizer, ids, count, &back, &length));
        assert_int_equal(length, size);
        assert_memory_equal(back, bytes, size);
        assert_int_equal(back[length], 0);
        assert_int_equal(tokenizer_lacks(twin.tokenizer, bytes, size), 0);
        mem_free(ids);
        mem_free(back);
    }
    twin_close(&twin);
}

/* Long runs must not take quadratic time: a megabyte each. */
static void long_runs_end_soon(void **state)
{
    struct twin twin;
    static const char *const runs[] = {" ", "a", "=", "\n", "\xff", "\xcc\x81", "ab"};
    enum { SIZE = 1 << 20 };
    char *text, *back;
    twin_open(&twin, 2, 2);
    FIXTURE_OK(mem_alloc(&text, SIZE + 2, 1));
    for (size_t r = 0; r < sizeof runs / sizeof *runs; r++) {
        int32_t *ids;
        size_t count, length, unit = strlen(runs[r]);
        for (size_t i = 0; i < SIZE; i++)
            text[i] = runs[r][i % unit];
        text[SIZE] = 'x';
        FIXTURE_OK(tokenizer_encode(twin.tokenizer, text, SIZE + 1, &ids, &count));
        FIXTURE_OK(tokenizer_decode(twin.tokenizer, ids, count, &back, &length));
        assert_int_equal(length, SIZE + 1);
        assert_memory_equal(back, text, length);
        mem_free(ids);
        mem_free(back);
    }
    mem_free(text);
    twin_close(&twin);
}

/* ---- threads ---- */

struct shared_work {
    const struct tokenizer *tokenizer;
    const char *text;
    uint64_t sums[8];
};

static int encode_shared(void *context, int index, int worker)
{
    struct shared_work *work = context;
    int32_t *ids;
    size_t count;
    int rc = tokenizer_encode(work->tokenizer, work->text, strlen(work->text), &ids, &count);
    if (rc)
        return rc;
    for (size_t i = 0; i < count; i++)
        work->sums[index] = work->sums[index] * 31 + (uint64_t)ids[i];
    mem_free(ids);
    return 0;
}

static void threads_share_a_tokenizer(void **state)
{
    struct twin twin;
    char *text = fixture_text(4000, 8);
    twin_open(&twin, 3, 4);
    struct shared_work work = {.tokenizer = twin.tokenizer, .text = text};
    FIXTURE_OK(pool_start(4));
    FIXTURE_OK(pool_run(encode_shared, &work, 8));
    pool_stop();
    for (int i = 1; i < 8; i++)
        assert_int_equal(work.sums[i], work.sums[0]);
    mem_free(text);
    twin_close(&twin);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fast_and_plain_merges_agree),
        cmocka_unit_test(the_cache_may_overflow),
        cmocka_unit_test(bytes_come_back),
        cmocka_unit_test(long_runs_end_soon),
        cmocka_unit_test(threads_share_a_tokenizer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
