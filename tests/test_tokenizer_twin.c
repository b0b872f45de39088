/* Byte-level BPE against a plain one on random words, and on any bytes. */
#include "core/pool.h"
#include "model/bpe_bytes.h"
#include "model/tokenizer.h"
#include "model/tokenizer_kind.h"
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

/* ---- words of several windows ---- */

enum { VOCABULARY = 600 };
static struct {
    int rank, joined;
} table[VOCABULARY][VOCABULARY];

static int vocabulary_id(const struct twin *twin, const char *token)
{
    const json_t *vocab = json_object_get(json_object_get(twin->root, "model"), "vocab");
    return (int)json_integer_value(json_object_get(vocab, token));
}

static void fill_table(const struct twin *twin)
{
    const json_t *merges = json_object_get(json_object_get(twin->root, "model"), "merges");
    memset(table, -1, sizeof table);
    for (size_t m = 0; m < json_array_size(merges); m++) {
        char left[100], right[100], joined[200];
        const char *merge = json_string_value(json_array_get(merges, m));
        assert_int_equal(sscanf(merge, "%99s %99s", left, right), 2);
        snprintf(joined, sizeof joined, "%s%s", left, right);
        int l = vocabulary_id(twin, left), r = vocabulary_id(twin, right);
        table[l][r].rank = (int)m;
        table[l][r].joined = vocabulary_id(twin, joined);
    }
}

/* The same as plain_word, but with ids from the start: fast enough for thousands of symbols. */
static size_t plain_ids(int32_t *ids, size_t count)
{
    for (;;) {
        size_t best = count;
        for (size_t i = 0; i + 1 < count; i++) {
            int rank = table[ids[i]][ids[i + 1]].rank;
            if (rank >= 0 && (best == count || rank < table[ids[best]][ids[best + 1]].rank))
                best = i;
        }
        if (best == count)
            return count;
        ids[best] = table[ids[best]][ids[best + 1]].joined;
        memmove(ids + best + 1, ids + best + 2, (count - best - 2) * sizeof *ids);
        count--;
    }
}

/* Anything, a short piece again and again, or long runs of one letter. */
static void long_word(struct rng *rng, int kind, uint64_t letters, char *word, size_t size)
{
    size_t period = 1 + rng_below(rng, 9);
    for (size_t i = 0; i < size; i++) {
        bool again = kind == 1 ? i >= period : kind == 2 && i && rng_below(rng, 50);
        word[i] = (char)('a' + rng_below(rng, letters));
        if (again)
            word[i] = word[i - (kind == 1 ? period : 1)];
    }
}

static void windows_change_nothing(void **state)
{
    struct rng rng;
    rng_seed(&rng, 17);
    for (uint64_t letters = 1; letters <= 4; letters++) {
        struct twin twin;
        twin_open(&twin, letters + 20, letters);
        fill_table(&twin);
        for (int turn = 0; turn < 9; turn++) {
            enum { LONGEST = 3000 };
            char word[LONGEST];
            int32_t plain[LONGEST], *ids;
            size_t size = 400 + rng_below(&rng, LONGEST - 400), count;
            long_word(&rng, turn % 3, letters, word, size);
            for (size_t i = 0; i < size; i++)
                plain[i] = vocabulary_id(&twin, (const char[]){word[i], 0});
            size_t expected = plain_ids(plain, size);
            FIXTURE_OK(tokenizer_encode(twin.tokenizer, word, size, &ids, &count));
            assert_int_equal(count, expected);
            assert_memory_equal(ids, plain, count * sizeof *ids);
            mem_free(ids);
        }
        twin_close(&twin);
    }
}

/* Token 1 + k is a b with k letters a behind it, or before it, made one by one: a b takes all that
 * are there, up to MOST. Tokens that do not fit into what windows share, or into a window, are
 * found all the same. */
static void check_long_tokens(bool before)
{
    enum { MOST = 700, RUNS = 60 };
    struct strbuf json = {0}, merges = {0}, text = {0};
    struct tokenizer *t;
    struct rng rng;
    char letters[MOST + 200];
    int32_t *ids, expected[RUNS * 200];
    size_t count, there = 0;
    memset(letters, 'a', sizeof letters);
    FIXTURE_OK(strbuf_printf(&json, "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0"));
    for (int k = 0; k <= MOST; k++) {
        FIXTURE_OK(strbuf_printf(&json, before ? ", \"%.*sb\": %d" : ", \"b%.*s\": %d", k, letters,
                                 k + 1));
        if (k)
            FIXTURE_OK(strbuf_printf(&merges, before ? "%s\"a %.*sb\"" : "%s\"b%.*s a\"",
                                     k > 1 ? ", " : "", k - 1, letters));
    }
    FIXTURE_OK(strbuf_printf(&json, "}, \"merges\": [%s]}}", merges.data));
    FIXTURE_OK(tokenizer_open_memory(&t, TOKENIZER_JSON, json.data, json.length, "made.json"));
    rng_seed(&rng, 23);
    for (int r = 0; r < RUNS; r++) {
        /* tokens shorter than what windows share, longer than that, longer than a window */
        int run = (int)rng_below(&rng, r < 20 ? 100 : r < 40 ? 300 : sizeof letters);
        int alone = run > MOST ? run - MOST : 0;
        FIXTURE_OK(strbuf_printf(&text, before ? "%.*sb" : "b%.*s", run, letters));
        expected[there + (before ? (size_t)alone : 0)] = 1 + run - alone;
        for (int i = 0; i < alone; i++)
            expected[there + (size_t)i + !before] = 0;
        there += (size_t)alone + 1;
    }
    FIXTURE_OK(tokenizer_encode(t, text.data, text.length, &ids, &count));
    assert_int_equal(count, there);
    assert_memory_equal(ids, expected, count * sizeof *ids);
    mem_free(ids);
    tokenizer_free(t);
    strbuf_release(&json);
    strbuf_release(&merges);
    strbuf_release(&text);
}

static void tokens_longer_than_a_window(void **state)
{
    check_long_tokens(false);
    check_long_tokens(true);
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
        cmocka_unit_test(windows_change_nothing),
        cmocka_unit_test(tokens_longer_than_a_window),
        cmocka_unit_test(the_cache_may_overflow),
        cmocka_unit_test(bytes_come_back),
        cmocka_unit_test(long_runs_end_soon),
        cmocka_unit_test(threads_share_a_tokenizer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
