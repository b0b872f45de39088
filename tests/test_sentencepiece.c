/* SentencePiece BPE: merges by hand, normalization by hand, a plain twin. */
#include "core/err.h"
#include "model/tokenizer_kind.h"
#include "tests/piece_build.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct tokenizer *open_model(const struct strbuf *file)
{
    struct tokenizer *t = NULL;
    FIXTURE_OK(
        tokenizer_open_memory(&t, TOKENIZER_SENTENCEPIECE, file->data, file->length, "made.model"));
    return t;
}

/* expected: ids, ended by -1 */
static void assert_ids(const struct tokenizer *t, const char *text, size_t size,
                       const int *expected)
{
    int32_t *ids;
    size_t count, i = 0;
    FIXTURE_OK(tokenizer_encode(t, text, size, &ids, &count));
    while (i < count && expected[i] >= 0 && ids[i] == expected[i])
        i++;
    if (i < count || expected[i] >= 0)
        fail_msg("'%s': %zu tokens, number %zu is %d, expected %d", text, count, i,
                 i < count ? (int)ids[i] : -1, expected[i]);
    mem_free(ids);
}
#define ASSERT_IDS(t, text, ...)                                                                   \
    assert_ids(t, text, sizeof text - 1, (const int[]){__VA_ARGS__, -1})

static void assert_decodes(const struct tokenizer *t, const char *text, size_t size,
                           const char *expected, size_t expected_size)
{
    int32_t *ids;
    size_t count, length;
    char *back;
    FIXTURE_OK(tokenizer_encode(t, text, size, &ids, &count));
    FIXTURE_OK(tokenizer_decode(t, ids, count, &back, &length));
    assert_int_equal(length, expected_size);
    assert_memory_equal(back, expected, length);
    mem_free(ids);
    mem_free(back);
}
#define ASSERT_DECODES(t, text, expected)                                                          \
    assert_decodes(t, text, sizeof text - 1, expected, sizeof expected - 1)

static struct tokenizer *open_small(struct piece_settings settings)
{
    struct strbuf file = {0};
    settings.kind = 2;
    put_first_pieces(&file, 0);
    put_small_pieces(&file);
    put_settings(&file, &settings);
    struct tokenizer *t = open_model(&file);
    strbuf_release(&file);
    return t;
}

static void small_vocabulary_by_hand(void **state)
{
    struct tokenizer *t = open_small((struct piece_settings){.prefix = 1, .escape = 1});
    assert_int_equal(tokenizer_vocabulary(t), 12);
    assert_int_equal(tokenizer_bos(t), 1);
    assert_int_equal(tokenizer_eos(t), 2);
    assert_true(tokenizer_adds_bos(t));
    ASSERT_IDS(t, "", -1);
    ASSERT_IDS(t, "a", 10);
    ASSERT_IDS(t, "abc", 10, 7);    /* b c first, then mark a: better than a bc */
    ASSERT_IDS(t, "ab", 3, 8);      /* a b is better than mark a */
    ASSERT_IDS(t, "aab", 3, 9, 5);  /* a a and a b are equal: the left one */
    ASSERT_IDS(t, "aaab", 3, 9, 8); /* then a b */
    ASSERT_IDS(t, "c  a", 3, 6, 3, 10);
    ASSERT_IDS(t, "xy", 3, 0); /* neighbouring unknown ones are one */
    ASSERT_IDS(t, "axya", 10, 0, 4);
    ASSERT_IDS(t, "x\xff\xc3y", 3, 0);
    ASSERT_IDS(t, "a<s>a</s>", 10, 1, 10, 2); /* what follows a special token begins anew */
    ASSERT_IDS(t, "<unk>", 0);
    assert_int_equal(tokenizer_lacks(t, "ab xy\xff", 6), 3);
    int32_t *ids;
    size_t count;
    FIXTURE_OK(tokenizer_encode_plain(t, "<s>", 3, &ids, &count));
    assert_int_equal(count, 2);
    assert_int_equal(ids[1], 0);
    mem_free(ids);
    FIXTURE_OK(tokenizer_encode_default(t, "a", 1, &ids, &count));
    assert_int_equal(count, 2);
    assert_int_equal(ids[0], 1);
    assert_int_equal(ids[1], 10);
    mem_free(ids);
    ASSERT_DECODES(t, "ab  ca", "ab  ca");
    ASSERT_DECODES(t, " a", " a");
    ASSERT_DECODES(t, "a<s>b </s>", "a<s>b </s>");
    tokenizer_free(t);
}

static void white_space_and_prefix(void **state)
{
    struct tokenizer *t = open_small(
        (struct piece_settings){.prefix = 1, .remove = 1, .escape = 1});
    ASSERT_IDS(t, "  a   c  ", 10, 3, 6);
    ASSERT_IDS(t, "   ", -1);
    ASSERT_IDS(t, "c" MARK "a", 3, 6, 10); /* a mark in the text counts as the space it stands for
                                            */
    tokenizer_free(t);
    t = open_small((struct piece_settings){.escape = 1});
    ASSERT_IDS(t, "a a", 4, 10);
    ASSERT_IDS(t, "abc", 11);
    ASSERT_IDS(t, "abc", 11);
    ASSERT_IDS(t, " a", 10);
    ASSERT_DECODES(t, " a", " a"); /* no prefix was put, none is taken */
    tokenizer_free(t);
    t = open_small((struct piece_settings){.prefix = 1});
    ASSERT_IDS(t, "a", 0, 4); /* a space that is not escaped is no piece here */
    tokenizer_free(t);
}

static void bytes_stand_in(void **state)
{
    struct strbuf file = {0};
    put_first_pieces(&file, 1);
    put_piece(&file, MARK, -1, PIECE_NORMAL);       /* 259 */
    put_piece(&file, "\xc3\xa9", -2, PIECE_NORMAL); /* 260: e with acute */
    put_settings(&file, &(struct piece_settings){.kind = 2, .bytes = 1, .prefix = 1, .escape = 1});
    struct tokenizer *t = open_model(&file);
    ASSERT_IDS(t, "\xc3\xa9", 259, 260);
    ASSERT_IDS(t, "\xc3\xaa\n", 259, 3 + 0xc3, 3 + 0xaa, 3 + '\n');
    ASSERT_IDS(t, "\xc3\xc3\xa9\xff", 259, 3 + 0xc3, 260, 3 + 0xff); /* invalid: itself */
    ASSERT_IDS(t, "<0x41>", 259, 3 + '<', 3 + '0', 3 + 'x', 3 + '4', 3 + '1', 3 + '>');
    char every[512];
    for (int i = 0; i < 256; i++) {
        every[i] = (char)i;
        every[256 + i] = (char)(255 - i);
    }
    assert_int_equal(tokenizer_lacks(t, every, sizeof every), 0);
    assert_decodes(t, every, sizeof every, every, sizeof every);
    ASSERT_DECODES(t, "\xe2\x96", "\xe2\x96"); /* half a mark */
    tokenizer_free(t);
    strbuf_release(&file);
}

static void user_defined_pieces(void **state)
{
    struct strbuf file = {0};
    put_first_pieces(&file, 0);
    put_piece(&file, "a", -1, PIECE_NORMAL);    /* 3 */
    put_piece(&file, "b", -2, PIECE_NORMAL);    /* 4 */
    put_piece(&file, "ba", -3, PIECE_NORMAL);   /* 5 */
    put_piece(&file, "ab", 0, PIECE_USER);      /* 6 */
    put_piece(&file, "abb", 0, PIECE_USER);     /* 7: the longest is taken */
    put_piece(&file, MARK MARK, 0, PIECE_USER); /* 8 */
    put_settings(&file, &(struct piece_settings){.kind = 2, .escape = 1});
    struct tokenizer *t = open_model(&file);
    ASSERT_IDS(t, "ab", 6);
    ASSERT_IDS(t, "bab", 4, 6); /* ba is not merged: ab was found before */
    ASSERT_IDS(t, "abbba", 7, 5);
    ASSERT_IDS(t, "   a", 8, 0, 3);
    tokenizer_free(t);
    strbuf_release(&file);
}

/* ---- the plain twin ---- */

struct twin_piece {
    char text[24];
    float score;
};

/* Merges the whole text at once: over and over the best joint piece, the leftmost of equals. */
static size_t plain_encode(const struct twin_piece *pieces, int count, const char *text,
                           size_t size, int *ids)
{
    size_t starts[512], n = 0;
    for (size_t i = 0; i <= size; i++)
        if (i == size || ((uint8_t)text[i] & 0xc0) != 0x80)
            starts[n++] = i;
    n--;
    for (;;) {
        float best = -INFINITY;
        size_t place = 0;
        for (size_t i = 0; i + 1 < n; i++)
            for (int p = 0; p < count; p++)
                if (strlen(pieces[p].text) == starts[i + 2] - starts[i] &&
                    strncmp(pieces[p].text, text + starts[i], starts[i + 2] - starts[i]) == 0 &&
                    pieces[p].score > best) {
                    best = pieces[p].score;
                    place = i;
                }
        if (best == -INFINITY)
            break;
        memmove(starts + place + 1, starts + place + 2, (n - place - 1) * sizeof *starts);
        n--;
    }
    for (size_t i = 0; i < n; i++) {
        ids[i] = 0;
        for (int p = 0; p < count; p++)
            if (strlen(pieces[p].text) == starts[i + 1] - starts[i] &&
                strncmp(pieces[p].text, text + starts[i], starts[i + 1] - starts[i]) == 0)
                ids[i] = 3 + p;
    }
    return n;
}

static const char *const alphabet[] = {MARK, "a", "b", "c", "\xc3\xa9", "\xe6\xbc\xa2", "d"};
enum { ALPHABET = 6, TWIN_PIECES = 60 }; /* d is in texts only: unknown */

static void add_random(struct rng *rng, int symbols, size_t length, char *out, size_t room)
{
    size_t used = 0;
    for (size_t i = 0; i < length; i++)
        used += (size_t)snprintf(out + used, room - used, "%s",
                                 alphabet[rng_below(rng, (uint64_t)symbols)]);
}

static void agrees_with_the_plain_twin(void **state)
{
    struct rng rng;
    rng_seed(&rng, 11);
    for (int turn = 0; turn < 40; turn++) {
        struct twin_piece pieces[TWIN_PIECES];
        struct strbuf file = {0};
        put_first_pieces(&file, 0);
        for (int p = 0; p < TWIN_PIECES; p++) {
            bool fresh;
            do {
                if (p < ALPHABET)
                    snprintf(pieces[p].text, sizeof pieces[p].text, "%s", alphabet[p]);
                else
                    add_random(&rng, ALPHABET, 2 + rng_below(&rng, 1 + (uint64_t)p / 12),
                               pieces[p].text, sizeof pieces[p].text);
                fresh = true;
                for (int q = 0; q < p; q++)
                    fresh = fresh && strcmp(pieces[q].text, pieces[p].text) != 0;
            } while (!fresh);
            pieces[p].score = -(float)rng_below(&rng, 30); /* many equal ones */
            put_piece(&file, pieces[p].text, pieces[p].score, PIECE_NORMAL);
        }
        put_settings(&file, &(struct piece_settings){.kind = 2, .escape = 1});
        struct tokenizer *t = open_model(&file);
        for (int line = 0; line < 40; line++) {
            char text[512] = "";
            int expected[513];
            add_random(&rng, ALPHABET + (line % 4 == 0), 1 + rng_below(&rng, 90), text,
                       sizeof text);
            size_t count = plain_encode(pieces, TWIN_PIECES, text, strlen(text), expected),
                   kept = 0;
            for (size_t i = 0; i < count; i++) /* unknown ones fuse */
                if (!kept || expected[i] || expected[kept - 1])
                    expected[kept++] = expected[i];
            expected[kept] = -1;
            assert_ids(t, text, strlen(text), expected);
        }
        tokenizer_free(t);
        strbuf_release(&file);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_vocabulary_by_hand),
        cmocka_unit_test(white_space_and_prefix),
        cmocka_unit_test(bytes_stand_in),
        cmocka_unit_test(user_defined_pieces),
        cmocka_unit_test(agrees_with_the_plain_twin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
