/* safetensors: what is written comes back, bit for bit; files that lie are refused with one line.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/rng.h"
#include "model/safetensors.h"
#include "tests/expect.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char path[] = "build/test_safetensors/file.safetensors";

/* A file of the given length field (-1: the true one), header text and `data` zero bytes. */
static void write_raw(long long length, const char *header, size_t size, size_t data)
{
    unsigned char field[8];
    uint64_t value = length == -1 ? size : (uint64_t)length;
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    for (int i = 0; i < 8; i++)
        field[i] = (unsigned char)(value >> 8 * i & 0xff);
    fwrite(field, 1, 8, file);
    fwrite(header, 1, size, file);
    for (size_t i = 0; i < data; i++)
        fputc(0, file);
    fclose(file);
}

static void refused(const char *header, size_t data, const char *words)
{
    struct tensor_table *tensors = NULL;
    write_raw(-1, header, strlen(header), data);
    expect_error(safetensors_open_file(&tensors, path), ERR_FORMAT, words);
    assert_null(tensors);
    assert_non_null(strstr(err_text(), path));
}

static void lying_headers_are_refused(void **state)
{
    refused("", 0, "not valid JSON");
    refused("{", 0, "not valid JSON");
    refused("[]", 0, "not a JSON object");
    refused("{}trailing", 0, "not valid JSON");
    refused("{\"a\": 3}", 0, "no 'dtype'");
    refused("{\"a\": {\"shape\": [1], \"data_offsets\": [0, 4]}}", 4, "no 'dtype'");
    refused("{\"a\": {\"dtype\": \"F33\", \"shape\": [1], \"data_offsets\": [0, 4]}}", 4,
            "unknown element type 'F33'");
    refused("{\"a\": {\"dtype\": 32, \"shape\": [1], \"data_offsets\": [0, 4]}}", 4, "no 'dtype'");
    refused("{\"a\": {\"dtype\": \"F32\", \"shape\": 1, \"data_offsets\": [0, 4]}}", 4,
            "'shape' is not a list");
    refused("{\"a\": {\"dtype\": \"F32\", \"data_offsets\": [0, 4]}}", 4, "'shape' is not a list");
    refused(
        "{\"a\": {\"dtype\": \"F32\", \"shape\": [1,1,1,1,1,1,1,1,1], \"data_offsets\": [0, 4]}}",
        4, "at most 8");
    refused("{\"a\": {\"dtype\": \"F32\", \"shape\": [-1], \"data_offsets\": [0, 4]}}", 4,
            "not a whole number");
    refused("{\"a\": {\"dtype\": \"F32\", \"shape\": [1.5], \"data_offsets\": [0, 4]}}", 4,
            "not a whole number");
    refused("{\"a\": {\"dtype\": \"F32\", \"shape\": [4294967296, 4294967296], \"data_offsets\": "
            "[0, 4]}}",
            4, "overflows");
    refused(
        "{\"a\": {\"dtype\": \"F32\", \"shape\": [4611686018427387904], \"data_offsets\": [0, 0]}}",
        0, "overflows");
    refused("{\"a\": {\"dtype\": \"F32\", \"shape\": [99999999999999999999], \"data_offsets\": [0, "
            "0]}}",
            0, "not valid JSON");
    refused("{\"a\": {\"dtype\": \"F32\", \"shape\": [2], \"data_offsets\": [0, 4]}}", 4,
            "take 8 bytes, but");
    refused("{\"a\": {\"dtype\": \"F16\", \"shape\": [2], \"data_offsets\": [0, 8]}}", 8,
            "take 4 bytes, but");
    refused("{\"a\": {\"dtype\": \"F32\", \"shape\": [1]}}", 4, "'data_offsets' is not a pair");
    refused("{\"a\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [0]}}", 4,
            "'data_offsets' is not a pair");
    refused("{\"a\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [-4, 0]}}", 4,
            "no range");
    refused("{\"a\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [4, 0]}}", 4,
            "no range");
    refused("{\"a\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [0, 4]}}", 3,
            "past the file's 3");
    refused("{\"a\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [9223372036854775800, "
            "9223372036854775804]}}",
            4, "past the file's 4");
    refused("{\"a\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [0, 4]},"
            " \"b\": {\"dtype\": \"F32\", \"shape\": [2], \"data_offsets\": [0, 8]}}",
            8, "overlap");
    refused("{\"a\": {\"dtype\": \"F32\", \"shape\": [2], \"data_offsets\": [0, 8]},"
            " \"b\": {\"dtype\": \"F32\", \"shape\": [2], \"data_offsets\": [4, 12]}}",
            12, "overlap at data byte 4");
    refused("{\"a\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [0, 4]},"
            " \"b\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [8, 12]}}",
            12, "bytes 4 to 8, before tensor 'b'");
    refused("{\"a\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [0, 4]}}", 9,
            "5 bytes at the end");
    refused("{\"a\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [0, 4]},"
            " \"a\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [4, 8]}}",
            8, "duplicate");
    refused("{\"a\\n\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [0, 4]}}", 4,
            "control character");
    refused("{\"__metadata__\": 3}", 0, "'__metadata__' is not");
    refused("{\"__metadata__\": {\"a\": 3}}", 0, "'__metadata__' is not");
    refused("{\"__metadata__\": {\"blocks:a\": \"Q9_0\"}, \"a\": {\"dtype\": \"U8\", \"shape\": "
            "[34], \"data_offsets\": [0, 34]}}",
            34, "blocks of 'Q9_0'");
    refused("{\"__metadata__\": {\"blocks:a\": \"Q8_0\"}, \"a\": {\"dtype\": \"U8\", \"shape\": "
            "[35], \"data_offsets\": [0, 35]}}",
            35, "blocks of 'Q8_0'");
    refused("{\"__metadata__\": {\"blocks:a\": \"Q8_0\"}, \"a\": {\"dtype\": \"I8\", \"shape\": "
            "[34], \"data_offsets\": [0, 34]}}",
            34, "blocks of 'Q8_0'");
    refused("{\"__metadata__\": {\"blocks:a\": \"Q8_0\"}, \"a\": {\"dtype\": \"U8\", \"shape\": "
            "[], \"data_offsets\": [0, 1]}}",
            1, "blocks of 'Q8_0'");
}

static void false_lengths_are_refused(void **state)
{
    static const long long lengths[] = {3, 100, 0x7fffffffffffffffLL,
                                        (long long)0x8000000000000000ULL, -8};
    struct tensor_table *tensors = NULL;
    for (size_t i = 1; i < sizeof lengths / sizeof *lengths; i++) {
        write_raw(lengths[i], "{}", 2, 0);
        expect_error(safetensors_open_file(&tensors, path), ERR_FORMAT, "header claims");
    }
    write_raw(1, "{}", 2, 0);
    expect_error(safetensors_open_file(&tensors, path), ERR_FORMAT, "not valid JSON");
    assert_int_equal(truncate(path, 7), 0);
    expect_error(safetensors_open_file(&tensors, path), ERR_FORMAT, "truncated");
    assert_int_equal(truncate(path, 0), 0);
    expect_error(safetensors_open_file(&tensors, path), ERR_FORMAT, "truncated");
    expect_error(safetensors_open_file(&tensors, "build/test_safetensors/none"), ERR_MISSING,
                 "none");
    expect_error(safetensors_open_file(&tensors, "build/test_safetensors"), ERR_IO, "regular file");
}

/* Deep nesting must not exhaust the stack. */
static void deep_json_is_refused(void **state)
{
    struct tensor_table *tensors = NULL;
    char *deep;
    size_t size = 1 << 20;
    assert_int_equal(mem_alloc(&deep, size, 1), 0);
    memset(deep, '[', size);
    write_raw(-1, deep, size, 0);
    expect_error(safetensors_open_file(&tensors, path), ERR_FORMAT, "not valid JSON");
    mem_free(deep);
}

static void put_byte(FILE *file, size_t at, int byte)
{
    assert_int_equal(fseek(file, (long)at, SEEK_SET), 0);
    assert_int_equal(fputc(byte, file), byte);
}

/* Every cut of a good file is refused, and every single byte of its header may be anything. */
static void damaged_files_do_no_harm(void **state)
{
    static const float values[6] = {1, 2, 3, 4, 5, 6};
    static const uint8_t bytes[3] = {1, 0, 1};
    const struct tensor_source sources[] = {
        {.name = "a", .dtype = DTYPE_F32, .rank = 2, .shape = {2, 3}, .data = values},
        {.name = "b", .dtype = DTYPE_BOOL, .rank = 1, .shape = {3}, .data = bytes}};
    char *good;
    size_t size;
    struct tensor_table *tensors = NULL;
    assert_int_equal(safetensors_write(path, sources, 2, NULL), 0);
    assert_int_equal(file_read(path, &good, &size), 0);
    struct rng rng;
    rng_seed(&rng, 5);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    setvbuf(file, NULL, _IONBF, 0);
    for (int i = 0; i < 2000; i++) {
        size_t at[2] = {rng_below(&rng, size - 27), rng_below(&rng, size - 27)};
        for (int j = 0; j < 2; j++)
            put_byte(file, at[j], (int)rng_below(&rng, 256));
        int rc = safetensors_open_file(&tensors, path);
        assert_true(rc == 0 || (rc == ERR_FORMAT && !strchr(err_text(), '\n')));
        if (rc == 0)
            tensor_table_free(tensors);
        for (int j = 0; j < 2; j++)
            put_byte(file, at[j], (unsigned char)good[at[j]]);
    }
    fclose(file);
    for (size_t cut = size; cut-- > 0;) {
        assert_int_equal(truncate(path, (off_t)cut), 0);
        assert_int_equal(safetensors_open_file(&tensors, path), ERR_FORMAT);
    }
    mem_free(good);
}

static void what_is_written_comes_back(void **state)
{
    static const float values[6] = {1.5f, -2.25f, 3e-5f, 65504, -0.0f, 1e-8f};
    static const int32_t whole[2] = {-7, 2147483647};
    static const uint8_t flags[3] = {1, 0, 1};
    static const int64_t wide[1] = {-5};
    const struct tensor_source sources[] = {
        {.name = "z",
         .dtype = DTYPE_F32,
         .rank = 2,
         .shape = {2, 3},
         .data = values,
         .from_float = 1},
        {.name = "half",
         .dtype = DTYPE_F16,
         .rank = 2,
         .shape = {3, 2},
         .data = values,
         .from_float = 1},
        {.name = "brain",
         .dtype = DTYPE_BF16,
         .rank = 1,
         .shape = {6},
         .data = values,
         .from_float = 1},
        {.name = "double",
         .dtype = DTYPE_F64,
         .rank = 1,
         .shape = {6},
         .data = values,
         .from_float = 1},
        {.name = "whole", .dtype = DTYPE_I32, .rank = 1, .shape = {2}, .data = whole},
        {.name = "flags", .dtype = DTYPE_BOOL, .rank = 1, .shape = {3}, .data = flags},
        {.name = "wide", .dtype = DTYPE_I64, .rank = 0, .data = wide},
        {.name = "empty", .dtype = DTYPE_U8, .rank = 2, .shape = {0, 5}, .data = flags}};
    enum { COUNT = sizeof sources / sizeof *sources };
    struct tensor_table *tensors = NULL;
    float back[6];
    int32_t integers[3];
    json_t *metadata = json_pack("{s:s}", "format", "pt");
    assert_int_equal(safetensors_write(path, sources, COUNT, metadata), 0);
    json_decref(metadata);
    if (safetensors_open_file(&tensors, path) != 0)
        fail_msg("%s", err_text());
    assert_int_equal(tensor_table_count(tensors), COUNT);
    assert_string_equal(tensor_table_at(tensors, 0)->name, "brain");
    assert_string_equal(tensor_table_metadata(tensors, "format"), "pt");
    assert_null(tensor_table_metadata(tensors, "none"));
    assert_int_equal(tensor_table_read(tensors, "z", 2, 3, back), 0);
    assert_memory_equal(back, values, sizeof values);
    assert_int_equal((uintptr_t)tensor_table_find(tensors, "double")->data % 8, 0);
    assert_int_equal(tensor_table_read(tensors, "double", 6, 0, back), 0);
    assert_memory_equal(back, values, sizeof values);
    assert_int_equal(tensor_table_read(tensors, "half", 3, 2, back), 0);
    assert_true(back[0] == 1.5f && back[1] == -2.25f && back[3] == 65504 && back[4] == 0 &&
                signbit(back[4]) && back[5] == 0);
    assert_true(fabsf(back[2] - 3e-5f) < 3e-8f);
    assert_int_equal(tensor_to_int32(tensor_table_find(tensors, "whole"), integers), 0);
    assert_memory_equal(integers, whole, sizeof whole);
    assert_int_equal(tensor_to_int32(tensor_table_find(tensors, "wide"), integers), 0);
    assert_int_equal(integers[0], -5);
    assert_int_equal(tensor_to_int32(tensor_table_find(tensors, "flags"), integers), 0);
    assert_int_equal(integers[0] + integers[2], 2);
    assert_int_equal(tensor_table_find(tensors, "empty")->count, 0);
    assert_null(tensor_table_find(tensors, "none"));
    expect_error(tensor_table_read(tensors, "none", 1, 0, back), ERR_MISSING, "no tensor 'none'");
    expect_error(tensor_table_read(tensors, "z", 3, 2, back), ERR_FORMAT,
                 "shape (2 x 3), where (3 x 2) is needed");
    expect_error(tensor_table_read(tensors, "z", 6, 0, back), ERR_FORMAT, "where (6) is needed");
    expect_error(tensor_table_read(tensors, "whole", 2, 0, back), ERR_FORMAT, "I32, where F32");
    expect_error(tensor_to_int32(tensor_table_find(tensors, "z"), integers), ERR_FORMAT,
                 "whole numbers");
    tensor_table_free(tensors);
}

/* The layout, byte by byte: widest first, then by name; compact JSON padded with spaces. */
static void the_layout_is_fixed(void **state)
{
    static const float one[1] = {1};
    static const uint8_t byte[1] = {9};
    const struct tensor_source sources[] = {
        {.name = "u", .dtype = DTYPE_U8, .rank = 1, .shape = {1}, .data = byte},
        {.name = "f", .dtype = DTYPE_F32, .rank = 0, .data = one}};
    static const char header[] =
        "{\"f\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
        "\"u\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[4,5]}}       ";
    char *text;
    size_t size;
    assert_int_equal(safetensors_write(path, sources, 2, NULL), 0);
    assert_int_equal(file_read(path, &text, &size), 0);
    assert_int_equal((sizeof header - 1) % 8, 0);
    assert_int_equal(size, 8 + sizeof header - 1 + 5);
    assert_int_equal((unsigned char)text[0], sizeof header - 1);
    assert_memory_equal(text + 8, header, sizeof header - 1);
    assert_memory_equal(text + size - 5, "\0\0\x80\x3f\x09", 5);
    mem_free(text);
}

static void values_that_cannot_be_are_refused(void **state)
{
    static const float values[3] = {1, NAN, 2};
    static const int64_t wide[1] = {1LL << 40};
    const struct tensor_source sources[] = {
        {.name = "f", .dtype = DTYPE_F16, .rank = 1, .shape = {3}, .data = values, .from_float = 1},
        {.name = "i", .dtype = DTYPE_I64, .rank = 1, .shape = {1}, .data = wide}};
    struct tensor_table *tensors = NULL;
    float back[3];
    int32_t integer;
    assert_int_equal(safetensors_write(path, sources, 2, NULL), 0);
    assert_int_equal(safetensors_open_file(&tensors, path), 0);
    expect_error(tensor_table_read(tensors, "f", 3, 0, back), ERR_NUMERIC,
                 "tensor 'f': element 1 is not a number");
    expect_error(tensor_to_int32(tensor_table_find(tensors, "i"), &integer), ERR_FORMAT,
                 "beyond 32 bits");
    tensor_table_free(tensors);
    struct tensor_source wrong[2] = {sources[0], sources[0]};
    expect_error(safetensors_write(path, wrong, 2, NULL), ERR_INTERNAL, "written twice");
    wrong[0].dtype = DTYPE_I32;
    expect_error(safetensors_write(path, wrong, 1, NULL), ERR_INTERNAL, "does not convert");
    expect_error(safetensors_write("build/test_safetensors/none/x", sources, 1, NULL), ERR_IO,
                 "cannot write");
    assert_int_equal(safetensors_open_file(&tensors, path), 0); /* the old file is still whole */
    tensor_table_free(tensors);
}

static void write_text(const char *name, const char *text)
{
    FILE *file = fopen(name, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void bad_shards_are_refused(void **state)
{
    static const char folder[] = "build/test_safetensors/shards",
                      index[] = "build/test_safetensors/shards/model.safetensors.index.json";
    static const float one[1] = {1};
    const struct tensor_source a = {
        .name = "a", .dtype = DTYPE_F32, .rank = 1, .shape = {1}, .data = one};
    const struct tensor_source both[] = {
        {.name = "b", .dtype = DTYPE_F32, .rank = 1, .shape = {1}, .data = one}, a};
    struct tensor_table *tensors = NULL;
    assert_int_equal(file_make_directories(folder), 0);
    unlink(index);
    expect_error(tensor_table_open_folder(&tensors, folder), ERR_MISSING, "neither");
    assert_int_equal(safetensors_write("build/test_safetensors/shards/1.safetensors", &a, 1, NULL),
                     0);
    assert_int_equal(
        safetensors_write("build/test_safetensors/shards/2.safetensors", both, 1, NULL), 0);
    write_text(index, "{\"weight_map\": {\"a\": \"1.safetensors\", \"b\": \"2.safetensors\"}}");
    assert_int_equal(tensor_table_open_folder(&tensors, folder), 0);
    assert_int_equal(tensor_table_count(tensors), 2);
    assert_int_equal(tensor_table_file_count(tensors), 2);
    tensor_table_free(tensors);
    write_text(index, "{\"weight_map\": {\"a\": \"2.safetensors\", \"b\": \"1.safetensors\"}}");
    expect_error(tensor_table_open_folder(&tensors, folder), ERR_MISSING,
                 "tensor 'a' is not in 2.safetensors");
    write_text(index, "{\"weight_map\": {\"a\": \"1.safetensors\", \"b\": \"2.safetensors\", "
                      "\"c\": \"2.safetensors\"}}");
    expect_error(tensor_table_open_folder(&tensors, folder), ERR_MISSING,
                 "tensor 'c' is not in 2.safetensors");
    write_text(index, "{\"weight_map\": {\"a\": \"1.safetensors\", \"b\": \"3.safetensors\"}}");
    expect_error(tensor_table_open_folder(&tensors, folder), ERR_MISSING, "3.safetensors");
    write_text(index, "{\"weight_map\": {\"a\": \"../shards/1.safetensors\"}}");
    expect_error(tensor_table_open_folder(&tensors, folder), ERR_FORMAT,
                 "not the name of a file beside it");
    write_text(index, "{\"weight_map\": {}}");
    expect_error(tensor_table_open_folder(&tensors, folder), ERR_FORMAT, "no 'weight_map'");
    write_text(index, "{\"weight_map\": ");
    expect_error(tensor_table_open_folder(&tensors, folder), ERR_FORMAT, "not valid JSON");
    assert_int_equal(
        safetensors_write("build/test_safetensors/shards/2.safetensors", both, 2, NULL), 0);
    write_text(index, "{\"weight_map\": {\"a\": \"1.safetensors\", \"b\": \"2.safetensors\"}}");
    expect_error(tensor_table_open_folder(&tensors, folder), ERR_FORMAT,
                 "tensor 'a' is in two files");
    write_text(index, "{\"weight_map\": {\"b\": \"2.safetensors\"}}");
    expect_error(tensor_table_open_folder(&tensors, folder), ERR_FORMAT,
                 "'a' of build/test_safetensors/shards/2.safetensors is not in");
}

/* Every half is its own float; every float goes to the nearest half, by search in double. */
static void halves_round_to_nearest_even(void **state)
{
    static const struct {
        float value;
        uint16_t half;
    } known[] = {{0, 0},
                 {-0.0f, 0x8000},
                 {1, 0x3c00},
                 {-2, 0xc000},
                 {65504, 0x7bff},
                 {65519.996f, 0x7bff},
                 {65520, 0x7c00},
                 {1e10f, 0x7c00},
                 {0x1p-24f, 1},
                 {0x1p-25f, 0},
                 {0x1.000002p-25f, 1},
                 {0x1.8p-24f, 2},
                 {0x1p-14f, 0x400},
                 {1 + 0x1p-11f, 0x3c00},
                 {1 + 0x3p-11f, 0x3c02},
                 {1 + 0x1.004p-11f, 0x3c01},
                 {INFINITY, 0x7c00},
                 {0x1.ffcp-15f, 0x400},
                 {0x1p-149f, 0}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        assert_int_equal(float_to_half(known[i].value), known[i].half);
    for (uint32_t h = 0; h < 0x10000; h++) {
        float value = half_to_float((uint16_t)h);
        int exponent = h >> 10 & 31, mantissa = h & 1023;
        double right = exponent ? ldexp(1024 + mantissa, exponent - 25) : ldexp(mantissa, -24);
        if (exponent == 31) {
            assert_true(mantissa ? isnan(value) : isinf(value));
            assert_true(mantissa ? isnan(half_to_float(float_to_half(value)))
                                 : float_to_half(value) == h);
            continue;
        }
        assert_true(value == (h & 0x8000 ? -right : right));
        assert_int_equal(float_to_half(value), h);
        if (exponent == 30 && mantissa == 1023)
            continue;
        /* halfway to the next: to the even one; a little beyond and before: to the nearer one */
        float next = half_to_float((uint16_t)(h + 1)), middle = (float)(((double)value + next) / 2);
        assert_int_equal(float_to_half(middle), h & 1 ? h + 1 : h);
        assert_int_equal(float_to_half(nextafterf(middle, next)), h + 1);
        assert_int_equal(float_to_half(nextafterf(middle, value)), h);
    }
}

static void brain_floats_round_to_nearest_even(void **state)
{
    for (uint32_t h = 0; h < 0x7f80; h++) {
        float value = bfloat_to_float((uint16_t)h), next = bfloat_to_float((uint16_t)(h + 1));
        assert_int_equal(float_to_bfloat(value), h);
        assert_int_equal(float_to_bfloat(-value), h | 0x8000);
        if (isinf(next))
            continue;
        float middle = (float)(((double)value + next) / 2);
        assert_int_equal(float_to_bfloat(middle), h & 1 ? h + 1 : h);
        assert_int_equal(float_to_bfloat(nextafterf(middle, next)), h + 1);
        assert_int_equal(float_to_bfloat(nextafterf(middle, value)), h);
    }
    assert_true(isnan(bfloat_to_float(float_to_bfloat(NAN))));
    assert_true(isinf(bfloat_to_float(float_to_bfloat(3.4e38f))));
}

static int set_up(void **state)
{
    return file_make_directories("build/test_safetensors");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lying_headers_are_refused),
        cmocka_unit_test(false_lengths_are_refused),
        cmocka_unit_test(deep_json_is_refused),
        cmocka_unit_test(damaged_files_do_no_harm),
        cmocka_unit_test(what_is_written_comes_back),
        cmocka_unit_test(the_layout_is_fixed),
        cmocka_unit_test(values_that_cannot_be_are_refused),
        cmocka_unit_test(bad_shards_are_refused),
        cmocka_unit_test(halves_round_to_nearest_even),
        cmocka_unit_test(brain_floats_round_to_nearest_even),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
