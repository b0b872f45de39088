/* GGUF's quantized types: blocks packed here element by element give the values that were packed,
 * and pseudo-random blocks of every type give, bit for bit, what the dequantizers of the Python
 * package gguf 0.19 give (hashes of their float32 output). Views: elements in another order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/err.h"
#include "core/hash.h"
#include "model/dtype.h"
#include "model/tensor_part.h"

#include <string.h>

enum { BLOCKS = 64, MOST = 256 };

static void random_blocks_give_known_values(void **state)
{
    static const struct {
        enum dtype dtype;
        int halves[2]; /* offsets of scales, kept finite */
        const char *hash;
    } cases[] = {
        {DTYPE_Q4_0, {0, 0}, "b898027311482795e3b3ec86f2c507c723e26e0dc6928abbb93065dd56d30a4c"},
        {DTYPE_Q4_1, {0, 2}, "d85182e3542dad27df10af4ff5cf3885e73b5be8ca540df928f612c4de0ce0b8"},
        {DTYPE_Q5_0, {0, 0}, "b6f81b395603fa9598b52515cd365058012c42a9adccd49c54ae55285d5a5cf0"},
        {DTYPE_Q5_1, {0, 2}, "af296a3c3eaba5b00b390bf5aa1eb3cfddd4e2515319eecf4d760313cc0cf81d"},
        {DTYPE_Q8_0, {0, 0}, "5cd30fbd5c5638425ca4d93fd54f9940b1f1c1e4c3f60f285f19c4f37e27f8c1"},
        {DTYPE_Q2_K, {80, 82}, "cf016eaa7a2756907febdd6d36568fe6af591f78b1a87598f19692cc62e34bb0"},
        {DTYPE_Q3_K,
         {108, 108},
         "db7d6ecb54fd5d148f9ce7f1f124f7d20362ae967cb403f50fcb74c140c5dabe"},
        {DTYPE_Q4_K, {0, 2}, "31ef4ef4b1ba3983278064e1b2b10cd22f1184a565833a7ae9d517bda9e1c07b"},
        {DTYPE_Q5_K, {0, 2}, "c47acdcad141e20b68ebf360b6910a81e17d548b15ce4561e3c662858a4bb39e"},
        {DTYPE_Q6_K,
         {208, 208},
         "d9b070473ff7851ad3a30bc804f3424c2cb8fcabd2960a0ae058772ae6cda1a6"},
        {DTYPE_TQ1_0, {52, 52}, "c8d98af72250c57d16d65f72a78756dd1ad4ebefe2ecfa782508a6bbeb72d248"},
        {DTYPE_TQ2_0, {64, 64}, "764d7ad643cbf25cc9d4e0a8504e3d6b7e696b581f93f7ea6c0b0a56b75e3189"},
    };
    static uint8_t bytes[BLOCKS * MOST];
    static float values[BLOCKS * MOST];
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        const size_t size = dtype_size(cases[c].dtype), block = dtype_block(cases[c].dtype);
        uint32_t random = 1;
        char hash[HASH_HEX_SIZE];
        for (size_t i = 0; i < BLOCKS * size; i++) {
            random = random * 1664525 + 1013904223;
            bytes[i] = (uint8_t)(random >> 24);
        }
        for (size_t i = 0; i < BLOCKS; i++) /* without the exponent's highest bit */
            for (int h = 0; h < 2; h++)
                bytes[i * size + (size_t)cases[c].halves[h] + 1] &= 0xbf;
        assert_int_equal(dtype_to_float(cases[c].dtype, bytes, BLOCKS * block, values), 0);
        hash_bytes(values, BLOCKS * block * sizeof *values, hash);
        assert_string_equal(hash, cases[c].hash);
    }
}

static void put_half(uint8_t *at, float value)
{
    uint16_t half = float_to_half(value);
    at[0] = (uint8_t)half;
    at[1] = (uint8_t)(half >> 8);
}

static void small_blocks_give_what_was_packed(void **state)
{
    uint8_t q4_1[20] = {0}, q5_0[22] = {0};
    float out[32];
    put_half(q4_1, 0.5f);
    put_half(q4_1 + 2, -3);
    put_half(q5_0, 0.25f);
    for (int i = 0; i < 32; i++) { /* code i % 16 in Q4_1, i in Q5_0 */
        q4_1[4 + i % 16] |= (uint8_t)(i % 16 << (i < 16 ? 0 : 4));
        q5_0[6 + i % 16] |= (uint8_t)((i & 15) << (i < 16 ? 0 : 4));
        q5_0[2 + i / 8] |= (uint8_t)((i >> 4) << i % 8);
    }
    assert_int_equal(dtype_to_float(DTYPE_Q4_1, q4_1, 32, out), 0);
    for (int i = 0; i < 32; i++)
        assert_true(out[i] == 0.5f * (float)(i % 16) - 3);
    assert_int_equal(dtype_to_float(DTYPE_Q5_0, q5_0, 32, out), 0);
    for (int i = 0; i < 32; i++)
        assert_true(out[i] == 0.25f * (float)(i - 16));
    assert_int_equal(dtype_to_float(DTYPE_Q4_1, q4_1, 31, out), ERR_FORMAT); /* no whole block */
}

/* Group g: scale 7 g + 3, offset 63 - 5 g, codes (i + g) % 16. */
static void groups_give_what_was_packed(void **state)
{
    uint8_t block[144] = {0};
    float out[256];
    put_half(block, 0.125f);
    put_half(block + 2, 0.5f);
    for (int g = 0; g < 8; g++) {
        const int scale = 7 * g + 3, offset = 63 - 5 * g;
        uint8_t *packed = block + 4;
        if (g < 4) {
            packed[g] |= (uint8_t)scale;
            packed[g + 4] |= (uint8_t)offset;
        } else {
            packed[g + 4] |= (uint8_t)((scale & 15) | (offset & 15) << 4);
            packed[g - 4] |= (uint8_t)(scale >> 4 << 6);
            packed[g] |= (uint8_t)(offset >> 4 << 6);
        }
        for (int i = 0; i < 32; i++)
            block[16 + g / 2 * 32 + i] |= (uint8_t)((i + g) % 16 << g % 2 * 4);
    }
    assert_int_equal(dtype_to_float(DTYPE_Q4_K, block, 256, out), 0);
    for (int i = 0; i < 256; i++) {
        const int g = i / 32;
        assert_true(out[i] == 0.125f * (float)(7 * g + 3) * (float)((i % 32 + g) % 16) -
                                  0.5f * (float)(63 - 5 * g));
    }
}

/* Element i is (i * i) % 3 - 1. */
static void ternary_digits_give_what_was_packed(void **state)
{
    uint8_t block[54] = {0};
    float out[256];
    int start = 0;
    static const struct {
        int first, bytes, digits;
    } runs[] = {{0, 32, 5}, {32, 16, 5}, {48, 4, 4}};
    put_half(block + 52, 2);
    for (int r = 0; r < 3; r++) {
        for (int j = 0; j < runs[r].bytes; j++) {
            int number = 0; /* its digits, the first leading; five places always */
            for (int n = 0; n < 5; n++) {
                int i = start + n * runs[r].bytes + j;
                number = number * 3 + (n < runs[r].digits ? i * i % 3 : 0);
            }
            block[runs[r].first + j] = (uint8_t)((number * 256 + 242) / 243);
        }
        start += runs[r].bytes * runs[r].digits;
    }
    assert_int_equal(start, 256);
    assert_int_equal(dtype_to_float(DTYPE_TQ1_0, block, 256, out), 0);
    for (int i = 0; i < 256; i++)
        assert_true(out[i] == 2 * (float)(i * i % 3 - 1));
}

static void names_and_sizes(void **state)
{
    enum dtype dtype;
    assert_string_equal(dtype_name(DTYPE_TQ2_0), "TQ2_0");
    assert_true(dtype_block(DTYPE_F32) == 1 && dtype_size(DTYPE_F32) == 4);
    assert_true(dtype_block(DTYPE_Q6_K) == 256 && dtype_size(DTYPE_Q6_K) == 210);
    assert_int_equal(dtype_parse(&dtype, "Q6_K"), ERR_FORMAT); /* not in safetensors */
}

/* A view reads any order, plain or in blocks. */
static void views_change_the_order(void **state)
{
    static const float plain[6] = {0, 1, 2, 3, 4, 5};
    const struct tensor_view transposed = {.rank = 2, .shape = {3, 2}, .stride = {1, 3}};
    struct tensor t = {.name = "t",
                       .file = "f",
                       .dtype = DTYPE_F32,
                       .rank = 2,
                       .shape = {3, 2},
                       .count = 6,
                       .bytes = 24,
                       .data = plain,
                       .view = &transposed};
    static const float right[6] = {0, 3, 1, 4, 2, 5};
    float out[8 * 32];
    uint8_t rows[8 * 34];
    int32_t whole[6];
    struct arena memory = {0};
    assert_int_equal(tensor_to_float(&t, out), 0);
    assert_memory_equal(out, right, sizeof right);
    assert_false(tensor_is_plain(&t));
    assert_int_equal(tensor_to_int32(&t, whole), ERR_FORMAT);
    for (int r = 0; r < 8; r++) {
        put_half(rows + 34 * r, 1);
        memset(rows + 34 * r + 2, r, 32);
    }
    t = (struct tensor){.name = "q",
                        .file = "f",
                        .dtype = DTYPE_Q8_0,
                        .rank = 2,
                        .shape = {8, 32},
                        .count = 256,
                        .bytes = sizeof rows,
                        .data = rows};
    assert_int_equal(tensor_split_pairs(&t, 2, &memory), 0);
    assert_int_equal(tensor_to_float(&t, out), 0);
    static const int order[8] = {0, 2, 1, 3, 4, 6, 5, 7}; /* two heads of two pairs */
    for (int i = 0; i < 256; i++)
        assert_true(out[i] == (float)order[i / 32]);
    t.view = NULL;
    assert_int_equal(tensor_split_pairs(&t, 3, &memory), 0); /* 8 rows are no three heads */
    assert_null(t.view);
    arena_release(&memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_blocks_give_known_values),
        cmocka_unit_test(small_blocks_give_what_was_packed),
        cmocka_unit_test(groups_give_what_was_packed),
        cmocka_unit_test(ternary_digits_give_what_was_packed),
        cmocka_unit_test(names_and_sizes),
        cmocka_unit_test(views_change_the_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
