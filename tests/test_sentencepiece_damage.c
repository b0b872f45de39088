/* SentencePiece models that lie, are cut off or damaged, and memory that runs out. */
#include "core/err.h"
#include "model/tokenizer_kind.h"
#include "tests/piece_build.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_refused(const struct strbuf *file, const char *expected)
{
    struct tokenizer *t = NULL;
    assert_int_equal(
        tokenizer_open_memory(&t, TOKENIZER_SENTENCEPIECE, file->data, file->length, "made.model"),
        ERR_FORMAT);
    assert_null(t);
    if (!strstr(err_text(), expected) || strncmp(err_text(), "made.model", 10) != 0)
        fail_msg("'%s' should have '%s'", err_text(), expected);
}

static void files_that_lie(void **state)
{
    const struct piece_settings bpe = {.kind = 2, .escape = 1};
    static const struct {
        const char *text;
        float score;
        uint64_t type;
        const char *expected;
    } pieces[] = {
        {"x", 0, 9, "piece 3 has type 9"},
        {"x", 0, UINT64_MAX, "piece 3 has type -1"},
        {"x", NAN, PIECE_NORMAL, "the score of piece 3 is not a number"},
        {"x", 0, PIECE_UNUSED, "piece 3 is of type UNUSED"},
        {"<0xfg>", 0, PIECE_BYTE, "expected <0x00> to <0xFF>"},
        {"\xc3", 0, PIECE_NORMAL, "piece 3 is not UTF-8"},
        {"xy", 0, PIECE_NORMAL, "piece 3 has a character, 'x', that is not a piece itself"},
    };
    struct strbuf file = {0};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        put_first_pieces(&file, 0);
        put_piece(&file, pieces[i].text, pieces[i].score, pieces[i].type);
        put_settings(&file, &bpe);
        assert_refused(&file, pieces[i].expected);
        file.length = 0;
    }
    char *longest = NULL;
    FIXTURE_OK(mem_calloc(&longest, 5000, 1));
    put_first_pieces(&file, 0);
    memset(longest, 'x', 4999);
    put_piece(&file, longest, 0, PIECE_NORMAL);
    put_settings(&file, &bpe);
    assert_refused(&file, "piece 3 has 4999 bytes");
    mem_free(longest);
    file.length = 0;
    put_first_pieces(&file, 0);
    put_piece(&file, "x", 0, PIECE_NORMAL);
    put_piece(&file, "x", 0, PIECE_NORMAL);
    put_settings(&file, &bpe);
    assert_refused(&file, "pieces 3 and 4 are the same text");
    file.length = 0;
    put_first_pieces(&file, 0);
    put_settings(&file, &(struct piece_settings){.kind = 1});
    assert_refused(&file, "of type unigram; only BPE is supported");
    file.length = 0;
    put_settings(&file, &bpe);
    assert_refused(&file, "has no pieces");
    file.length = 0;
    put_first_pieces(&file, 0);
    put_settings(&file, &(struct piece_settings){
                            .kind = 2, .charsmap = "\4\0\0\0abcde", .charsmap_size = 9});
    assert_refused(&file, "precompiled_charsmap of 9 bytes is damaged");
    file.length = 0;
    put_first_pieces(&file, 0);
    put_bytes(&file, 2, "\x18\x02\xc0\x02\x07", 5); /* unk_id = 7 */
    assert_refused(&file, "the unknown piece's id is 7, but there are 3 pieces");
    file.length = 0;
    put_bytes(&file, 2, "\x18\x02\xc0\x01\x01", 5); /* treat_whitespace_as_suffix */
    assert_refused(&file, "treat_whitespace_as_suffix is not supported");
    file.length = 0;
    FIXTURE_OK(strbuf_add(&file, "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11));
    assert_refused(&file, "byte 0: no field of the model begins here");
    file.length = 0;
    assert_refused(&file, "is empty");
    strbuf_release(&file);
}

/* A model that uses every kind of field. */
static void put_rich_model(struct strbuf *file)
{
    put_first_pieces(file, 0);
    put_small_pieces(file);
    put_piece(file, "<0x41>", 0, PIECE_BYTE);
    put_piece(file, "<u>", 0, PIECE_USER);
    put_settings(file, &(struct piece_settings){.kind = 2,
                                                .bytes = 1,
                                                .prefix = 1,
                                                .remove = 1,
                                                .escape = 1,
                                                .charsmap = "\4\0\0\0\0\0\0\0x",
                                                .charsmap_size = 10});
}

static void try_to_use(const void *bytes, size_t size)
{
    static const char text[] = "abc <u>A aa\xff  <s>bca";
    struct tokenizer *t = NULL;
    int32_t *ids;
    size_t count;
    if (tokenizer_open_memory(&t, TOKENIZER_SENTENCEPIECE, bytes, size, "made.model") != 0) {
        assert_null(t);
        return;
    }
    FIXTURE_OK(tokenizer_encode(t, text, sizeof text - 1, &ids, &count));
    for (size_t i = 0; i < count; i++)
        assert_in_range(ids[i], 0, tokenizer_vocabulary(t) - 1);
    mem_free(ids);
    tokenizer_free(t);
}

static void cut_and_damaged_files(void **state)
{
    struct strbuf file = {0};
    struct rng rng;
    uint8_t *copy;
    put_rich_model(&file);
    try_to_use(file.data, file.length);
    for (size_t size = 0; size < file.length; size++) {
        /* A copy of its own, so that the sanitizer sees what is read behind the end. */
        FIXTURE_OK(mem_alloc(&copy, size, 1));
        memcpy(copy, file.data, size);
        try_to_use(copy, size);
        mem_free(copy);
    }
    rng_seed(&rng, 3);
    for (int turn = 0; turn < 4000; turn++) {
        FIXTURE_OK(mem_alloc(&copy, file.length, 1));
        memcpy(copy, file.data, file.length);
        for (uint64_t i = 0; i < 1 + rng_below(&rng, 3); i++)
            copy[rng_below(&rng, file.length)] = (uint8_t)rng_next(&rng);
        try_to_use(copy, file.length);
        mem_free(copy);
    }
    strbuf_release(&file);
}

static void every_failed_allocation_is_survived(void **state)
{
    struct strbuf file = {0};
    static const char text[] =
        "abc aaa \xff ab<s> aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabc<u>";
    put_rich_model(&file);
    for (long nth = 1;; nth++) {
        struct tokenizer *t = NULL;
        int32_t *ids = NULL;
        size_t count;
        mem_fail_at(nth);
        int rc = tokenizer_open_memory(&t, TOKENIZER_SENTENCEPIECE, file.data, file.length,
                                       "made.model");
        if (rc == 0)
            rc = tokenizer_encode(t, text, sizeof text - 1, &ids, &count);
        bool pending = mem_fail_pending();
        mem_fail_at(0);
        assert_true(rc == 0 || rc == ERR_MEMORY);
        mem_free(ids);
        tokenizer_free(t);
        if (pending)
            break;
    }
    strbuf_release(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_that_lie),
        cmocka_unit_test(cut_and_damaged_files),
        cmocka_unit_test(every_failed_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
