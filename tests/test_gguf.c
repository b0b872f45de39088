/* GGUF files: values of all types come back; files that lie are refused with one line, wherever
 * they are cut off. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/gguf.h"
#include "tests/expect.h"
#include "tests/gguf_build.h"

#include <math.h>

static int open_built(const struct gguf_build *b, uint32_t version, struct gguf **file,
                      struct strbuf *bytes)
{
    strbuf_release(bytes);
    *bytes = (struct strbuf){0};
    build_finish(b, version, bytes);
    return gguf_open_memory(file, bytes->data, bytes->length, "built");
}

/* Opening fails; the built file is released. */
static void refused(struct gguf_build *b, const char *words)
{
    struct gguf *file = NULL;
    struct strbuf bytes = {0};
    expect_error(open_built(b, 3, &file, &bytes), ERR_FORMAT, words);
    assert_null(file);
    assert_non_null(strstr(err_text(), "built"));
    strbuf_release(&bytes);
    build_release(b);
}

/* ---- values ---- */

static void build_values(struct gguf_build *b)
{
    static const struct {
        const char *key;
        int type, bytes;
        uint64_t bits;
    } numbers[] = {{"u8", 0, 1, 200},
                   {"i8", 1, 1, 0xff},
                   {"u16", 2, 2, 60000},
                   {"i16", 3, 2, 0xfffe},
                   {"u32", 4, 4, 4000000000u},
                   {"i32", 5, 4, 0xfffffffd},
                   {"f32", 6, 4, 0x3fc00000},
                   {"yes", 7, 1, 1},
                   {"no", 7, 1, 0},
                   {"u64", 10, 8, UINT64_C(1) << 63},
                   {"i64", 11, 8, UINT64_MAX},
                   {"f64", 12, 8, UINT64_C(0x3ff4000000000000)}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        build_key(b, numbers[i].key, numbers[i].type);
        put_number(&b->pairs, numbers[i].bits, numbers[i].bytes);
    }
    build_text(b, "text", "a text");
    build_array(b, "words", 8, 3);
    put_text(&b->pairs, "one");
    put_text(&b->pairs, "");
    put_text(&b->pairs, "three");
    build_array(b, "bytes", 1, 2);
    put_number(&b->pairs, 0x7f80, 2);
    build_array(b, "reals", 6, 2);
    put_number(&b->pairs, 0x3fc00000, 4);
    put_number(&b->pairs, 0xc0000000, 4);
    build_array(b, "none", 5, 0);
    build_array(b, "nested", 9, 2); /* [[7], ["x"]] */
    put_number(&b->pairs, 0, 4);
    put_number(&b->pairs, 1, 8);
    put_number(&b->pairs, 7, 1);
    put_number(&b->pairs, 8, 4);
    put_number(&b->pairs, 1, 8);
    put_text(&b->pairs, "x");
}

static void values_come_back(void **state)
{
    struct gguf_build b = {0};
    struct gguf *file = NULL;
    struct strbuf bytes = {0};
    static const struct {
        const char *key;
        int64_t value;
    } whole[] = {{"u8", 200}, {"i8", -1},  {"u16", 60000},     {"i16", -2}, {"u32", 4000000000},
                 {"i32", -3}, {"i64", -1}, {"u64", INT64_MAX}, {"gone", 5}};
    int64_t number;
    double real;
    bool flag;
    struct gguf_text text;
    build_values(&b);
    assert_int_equal(open_built(&b, 2, &file, &bytes), 0);
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
        assert_int_equal(gguf_int(file, whole[i].key, INT64_MIN + 1, INT64_MAX, 5, &number), 0);
        assert_true(number == whole[i].value);
    }
    assert_int_equal(gguf_real(file, "f32", -9, 9, 0, &real), 0);
    assert_true(real == 1.5);
    assert_int_equal(gguf_real(file, "f64", -9, 9, 0, &real), 0);
    assert_true(real == 1.25);
    assert_int_equal(gguf_real(file, "i16", -9, 9, 0, &real), 0);
    assert_true(real == -2);
    assert_int_equal(gguf_bool(file, "yes", false, &flag), 0);
    assert_true(flag);
    assert_int_equal(gguf_bool(file, "no", true, &flag), 0);
    assert_false(flag);
    assert_int_equal(gguf_text(file, "text", &text), 0);
    assert_int_equal(text.size, 6);
    assert_memory_equal(text.text, "a text", 6);
    assert_int_equal(gguf_key_count(file), 18);
    assert_string_equal(gguf_key_at(file, 0), "u8");
    expect_error(gguf_int(file, "gone", 0, 9, GGUF_REQUIRED, &number), ERR_MISSING, "'gone'");
    expect_error(gguf_real(file, "gone", 0, 9, NAN, &real), ERR_MISSING, "'gone'");
    expect_error(gguf_int(file, "u8", 0, 9, 0, &number), ERR_FORMAT, "is 200: 0 to 9 is possible");
    expect_error(gguf_real(file, "f32", 0, 1, 0, &real), ERR_FORMAT, "is 1.5: 0 to 1 is possible");
    expect_error(gguf_int(file, "f32", 0, 9, 0, &number), ERR_FORMAT, "is float32, where");
    expect_error(gguf_int(file, "bytes", 0, 9, 0, &number), ERR_FORMAT, "an array of int8");
    expect_error(gguf_bool(file, "u8", false, &flag), ERR_FORMAT, "true or false");
    expect_error(gguf_text(file, "gone", &text), ERR_MISSING, "a text is needed");
    gguf_free(file);
    strbuf_release(&bytes);
    build_release(&b);
}

static void arrays_come_back(void **state)
{
    struct gguf_build b = {0};
    struct gguf *file = NULL;
    struct strbuf bytes = {0};
    struct gguf_text *texts = NULL;
    int64_t *whole = NULL;
    float *reals = NULL;
    size_t count;
    build_values(&b);
    assert_int_equal(open_built(&b, 3, &file, &bytes), 0);
    assert_int_equal(gguf_texts(file, "words", &texts, &count), 0);
    assert_int_equal(count, 3);
    assert_memory_equal(texts[0].text, "one", 3);
    assert_int_equal(texts[1].size, 0);
    assert_memory_equal(texts[2].text, "three", texts[2].size);
    assert_int_equal(gguf_ints(file, "bytes", &whole, &count), 0);
    assert_true(count == 2 && whole[0] == -128 && whole[1] == 127);
    assert_int_equal(gguf_reals(file, "reals", &reals, &count), 0);
    assert_true(count == 2 && reals[0] == 1.5f && reals[1] == -2);
    mem_free(whole);
    assert_int_equal(gguf_ints(file, "none", &whole, &count), 0);
    assert_int_equal(count, 0);
    mem_free(whole);
    whole = NULL;
    expect_error(gguf_ints(file, "words", &whole, &count), ERR_FORMAT, "an array of text, where");
    expect_error(gguf_ints(file, "reals", &whole, &count), ERR_FORMAT, "whole numbers");
    expect_error(gguf_texts(file, "nested", &texts, &count), ERR_FORMAT, "an array of array");
    expect_error(gguf_reals(file, "gone", &reals, &count), ERR_MISSING, "'gone' is missing");
    mem_free(texts);
    mem_free(reals);
    gguf_free(file);
    strbuf_release(&bytes);
    build_release(&b);
}

/* ---- tensors ---- */

static void tensors_come_back(void **state)
{
    static const float values[6] = {1, 2, 3, 4, 5, 6};
    static const uint8_t block[34] = {0x00, 0x3c, 1, 0xff, 3}; /* 1 * {1, -1, 3, 0, ...} */
    struct gguf_build b = {0};
    struct gguf *file = NULL;
    struct strbuf bytes = {0};
    float out[32];
    build_tensor(&b, "matrix", 0, 3, 2, values, sizeof values);
    build_tensor(&b, "coded", 8, 32, 0, block, sizeof block);
    assert_int_equal(open_built(&b, 3, &file, &bytes), 0);
    assert_int_equal(gguf_tensor_count(file), 2);
    const struct tensor *matrix = gguf_tensor_at(file, 0), *coded = gguf_tensor_at(file, 1);
    assert_string_equal(matrix->name, "matrix");
    assert_int_equal(tensor_check_shape(matrix, 2, 3), 0);
    assert_true(tensor_is_plain(matrix) && !tensor_is_plain(coded));
    assert_int_equal(tensor_to_float(matrix, out), 0);
    assert_memory_equal(out, values, sizeof values);
    assert_int_equal(tensor_check_shape(coded, 32, 0), 0);
    assert_int_equal(coded->bytes, 34);
    assert_int_equal(tensor_to_float(coded, out), 0);
    assert_true(out[0] == 1 && out[1] == -1 && out[2] == 3 && out[31] == 0);
    gguf_free(file);
    strbuf_release(&bytes);
    build_release(&b);
}

static void lying_tensors_are_refused(void **state)
{
    static const uint8_t zeros[128];
    struct gguf_build b = {0};
    build_tensor(&b, "a", 0, 8, 0, zeros, 32);
    build_entry(&b, "b", 0, 8, 0, 64);
    refused(&b, "'b' takes 32 bytes from data byte 64, past the file's 32");
    build_tensor(&b, "a", 0, 32, 0, zeros, 128);
    build_entry(&b, "b", 0, 8, 0, 32);
    refused(&b, "'a' and 'b' overlap");
    build_tensor(&b, "a", 0, 8, 0, zeros, 128);
    build_entry(&b, "b", 0, 8, 0, 33);
    refused(&b, "begins at data byte 33, no multiple of 32");
    build_tensor(&b, "a", 0, UINT64_C(1) << 33, UINT64_C(1) << 33, zeros, 32);
    refused(&b, "product of its shape overflows");
    build_tensor(&b, "a", 0, UINT64_C(1) << 62, 0, zeros, 32);
    refused(&b, "size in bytes of its shape overflows");
    build_tensor(&b, "a", 8, 33, 32, zeros, 128);
    refused(&b, "rows of 33 elements are no blocks of 32 (Q8_0)");
    build_tensor(&b, "a", 20, 32, 0, zeros, 128);
    refused(&b, "type IQ4_NL, which is not read here");
    build_tensor(&b, "a", 99, 32, 0, zeros, 128);
    refused(&b, "unknown type 99");
    build_tensor(&b, "\xff", 0, 8, 0, zeros, 32);
    refused(&b, "not UTF-8");
    build_tensor(&b, "", 0, 8, 0, zeros, 32);
    refused(&b, "of 0 bytes");
    put_text(&b.tensors, "a");
    put_number(&b.tensors, 5, 4);
    put_number(&b.tensors, 0, 64);
    b.tensor_count = 1;
    refused(&b, "has 5 dimensions");
    b.tensor_count = UINT64_MAX;
    refused(&b, "the number of tensors");
}

static void lying_metadata_is_refused(void **state)
{
    struct gguf_build b = {0};
    b.pair_count = UINT64_C(1) << 60;
    refused(&b, "the number of metadata pairs");
    build_u32(&b, "general.alignment", 48);
    refused(&b, "is 48, no power of two");
    build_u32(&b, "general.alignment", 0);
    refused(&b, "is 0: 1 to");
    build_u32(&b, "twice", 1);
    build_u32(&b, "twice", 2);
    refused(&b, "key 'twice' is there twice");
    build_key(&b, "k", 13);
    put_number(&b.pairs, 0, 8);
    refused(&b, "13 at byte 33 is no type");
    build_key(&b, "k", 7);
    put_number(&b.pairs, 2, 1);
    refused(&b, "2 is neither true nor false");
    build_array(&b, "k", 4, UINT64_MAX / 2);
    refused(&b, "the number of an array's elements");
    build_array(&b, "k", 8, 1);
    put_number(&b.pairs, UINT64_MAX - 4, 8);
    refused(&b, "the file ends after 0 (truncated?)");
    build_array(&b, "k", 9, 1);
    for (int i = 0; i < 8; i++) { /* [[[[...]]]] */
        put_number(&b.pairs, 9, 4);
        put_number(&b.pairs, 1, 8);
    }
    refused(&b, "arrays are more than 4 deep");
    build_u32(&b, "line\nbreak", 1);
    refused(&b, "control character 0x0a");
}

static void other_files_are_refused(void **state)
{
    struct gguf *file = NULL;
    struct gguf_build b = {0};
    struct strbuf bytes = {0};
    expect_error(gguf_open_memory(&file, "GGML", 4, "old"), ERR_FORMAT, "no GGUF file");
    expect_error(gguf_open_memory(&file, "", 0, "empty"), ERR_FORMAT, "no GGUF file");
    expect_error(gguf_open_memory(&file, "GGUF\0\0\0\3", 8, "big"), ERR_FORMAT, "big-endian");
    expect_error(open_built(&b, 1, &file, &bytes), ERR_FORMAT, "version 1, where 2 and 3");
    expect_error(open_built(&b, 4, &file, &bytes), ERR_FORMAT, "version 4, where 2 and 3");
    expect_error(gguf_open(&file, "build/none.gguf"), ERR_MISSING, "build/none.gguf");
    assert_null(file);
    assert_false(gguf_is("build/none.gguf"));
    assert_false(gguf_is("build"));
    strbuf_release(&bytes);
}

static void build_all(struct gguf_build *b)
{
    static const uint8_t block[34] = {0x00, 0x3c};
    build_values(b);
    build_tensor(b, "coded", 8, 32, 0, block, sizeof block);
    build_tensor(b, "coded too", 8, 32, 1, block, sizeof block);
}

/* Every prefix is refused with a line; every changed byte is refused or does no harm. */
static void damaged_files_do_no_harm(void **state)
{
    struct gguf_build b = {0};
    struct strbuf bytes = {0};
    struct gguf *file = NULL;
    float out[1024];
    build_all(&b);
    build_finish(&b, 3, &bytes);
    char *copy;
    for (size_t size = 0; size < bytes.length; size++) {
        FIXTURE_OK(mem_alloc(&copy, size, 1)); /* so that a sanitizer sees a step too far */
        memcpy(copy, bytes.data, size);
        expect_error(gguf_open_memory(&file, copy, size, "cut"), ERR_FORMAT, "cut: ");
        assert_null(file);
        mem_free(copy);
    }
    FIXTURE_OK(mem_alloc(&copy, bytes.length, 1));
    for (size_t at = 0; at < bytes.length; at++)
        for (int bit = 0; bit < 8; bit++) {
            memcpy(copy, bytes.data, bytes.length);
            copy[at] = (char)(copy[at] ^ 1 << bit);
            if (gguf_open_memory(&file, copy, bytes.length, "changed") != 0)
                continue;
            for (size_t i = 0; i < gguf_tensor_count(file); i++)
                if (gguf_tensor_at(file, i)->count <= 1024)
                    (void)tensor_to_float(gguf_tensor_at(file, i), out);
            gguf_free(file);
            file = NULL;
        }
    mem_free(copy);
    strbuf_release(&bytes);
    build_release(&b);
}

static void failing_allocations_are_reported(void **state)
{
    struct gguf_build b = {0};
    struct strbuf bytes = {0};
    struct gguf *file = NULL;
    build_all(&b);
    build_finish(&b, 3, &bytes);
    for (long k = 1;; k++) {
        mem_fail_at(k);
        int rc = gguf_open_memory(&file, bytes.data, bytes.length, "built");
        int pending = mem_fail_pending();
        mem_fail_at(0);
        if (rc == 0) {
            assert_true(pending && k > 5);
            break;
        }
        expect_error(rc, ERR_MEMORY, "");
        assert_null(file);
    }
    gguf_free(file);
    strbuf_release(&bytes);
    build_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_come_back),
        cmocka_unit_test(arrays_come_back),
        cmocka_unit_test(tensors_come_back),
        cmocka_unit_test(lying_tensors_are_refused),
        cmocka_unit_test(lying_metadata_is_refused),
        cmocka_unit_test(other_files_are_refused),
        cmocka_unit_test(damaged_files_do_no_harm),
        cmocka_unit_test(failing_allocations_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
