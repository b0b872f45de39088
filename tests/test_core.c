/* Errors, memory, arenas, SHA-256 and random draws against known values. */
#include "core/arena.h"
#include "core/clock.h"
#include "core/err.h"
#include "core/hash.h"
#include "core/mem.h"
#include "core/rng.h"
#include "core/version.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void errors_carry_one_text(void **state)
{
    assert_int_equal(err_set(ERR_FORMAT, "%s: byte %d", "a.bin", 7), ERR_FORMAT);
    assert_string_equal(err_text(), "a.bin: byte 7");
    assert_int_equal(err_prefix(ERR_FORMAT, "point %d", 3), ERR_FORMAT);
    assert_string_equal(err_text(), "point 3: a.bin: byte 7");
    err_set(ERR_IO, "again: %s", err_text()); /* its own text as an argument */
    assert_string_equal(err_text(), "again: point 3: a.bin: byte 7");
    assert_string_equal(err_name(ERR_NUMERIC), "numeric");
    assert_string_equal(err_name(ERR_INTERNAL), "internal");
    assert_string_equal(err_name(99), "unknown");
    assert_string_equal(err_name(-1), "unknown");
}

static void long_errors_are_cut(void **state)
{
    char text[3000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    err_set(ERR_IO, "%s", text);
    assert_int_equal(strlen(err_text()), 1023);
    err_prefix(ERR_IO, "%s", text);
    assert_int_equal(strlen(err_text()), 1023);
    err_set(ERR_IO, "short");
    err_prefix(ERR_IO, "%s", text);
    assert_int_equal(strlen(err_text()), 1023);
}

static void errors_travel_between_threads(void **state)
{
    struct err_saved saved;
    err_set(ERR_BUSY, "first");
    err_save(&saved, ERR_BUSY);
    err_set(ERR_IO, "second");
    assert_int_equal(err_restore(&saved), ERR_BUSY);
    assert_string_equal(err_text(), "first");
}

static void memory_is_aligned_zeroed_and_checked(void **state)
{
    unsigned char *bytes;
    assert_int_equal(mem_calloc(&bytes, 1000, 3), 0);
    assert_int_equal((uintptr_t)bytes % 64, 0);
    for (int i = 0; i < 3000; i++)
        assert_int_equal(bytes[i], 0);
    mem_free(bytes);
    assert_int_equal(mem_alloc(&bytes, 0, 8), 0);
    assert_non_null(bytes);
    mem_free(bytes);
    mem_free(NULL);
    assert_int_equal(mem_alloc(&bytes, SIZE_MAX / 4, 8), ERR_MEMORY);
    assert_null(bytes);
    assert_non_null(strstr(err_text(), "overflow"));
    assert_int_equal(mem_calloc(&bytes, SIZE_MAX, 1), ERR_MEMORY);
    assert_null(bytes);
}

static void resizing_keeps_the_content(void **state)
{
    int *numbers = NULL;
    assert_int_equal(mem_resize(&numbers, 0, 4, sizeof *numbers), 0);
    for (int i = 0; i < 4; i++)
        numbers[i] = i;
    assert_int_equal(mem_resize(&numbers, 4, 1000, sizeof *numbers), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(numbers[i], i);
    int *before = numbers;
    assert_int_equal(mem_resize(&numbers, 1000, SIZE_MAX / 2, sizeof *numbers), ERR_MEMORY);
    assert_ptr_equal(numbers, before);
    mem_fail_at(1);
    assert_int_equal(mem_resize(&numbers, 1000, 2000, sizeof *numbers), ERR_MEMORY);
    assert_ptr_equal(numbers, before);
    assert_int_equal(mem_resize(&numbers, 1000, 2, sizeof *numbers), 0);
    assert_int_equal(numbers[1], 1);
    mem_free(numbers);
}

static void the_planned_allocation_fails(void **state)
{
    void *a, *b, *c;
    mem_fail_at(2);
    assert_true(mem_fail_pending());
    assert_int_equal(mem_alloc(&a, 1, 1), 0);
    assert_int_equal(mem_alloc(&b, 1, 1), ERR_MEMORY);
    assert_false(mem_fail_pending());
    assert_int_equal(mem_alloc(&c, 1, 1), 0);
    mem_free(a);
    mem_free(c);
    mem_fail_at(5);
    mem_fail_at(0);
    assert_false(mem_fail_pending());
}

static void text_buffers_grow(void **state)
{
    struct strbuf text = {0};
    for (int i = 0; i < 1000; i++)
        assert_int_equal(strbuf_printf(&text, "%d,", i), 0);
    assert_int_equal(text.length, 10 * 2 + 90 * 3 + 900 * 4);
    assert_int_equal(strlen(text.data), text.length);
    assert_memory_equal(text.data, "0,1,2,3,", 8);
    assert_string_equal(text.data + text.length - 8, "998,999,");
    assert_int_equal(strbuf_add(&text, "a\0b", 3), 0); /* bytes, not strings */
    assert_int_equal(text.data[text.length - 2], 0);
    assert_int_equal(text.data[text.length], 0);
    mem_fail_at(1);
    size_t length = text.length;
    int rc = 0;
    while (rc == 0 && text.length < 1 << 20)
        rc = strbuf_puts(&text, "0123456789abcdef");
    assert_int_equal(rc, ERR_MEMORY);
    assert_int_equal((text.length - length) % 16, 0);
    assert_int_equal(text.data[text.length], 0);
    strbuf_release(&text);
    assert_null(text.data);

    char *copy;
    assert_int_equal(mem_printf(&copy, "%s-%d", "layer", 12), 0);
    assert_string_equal(copy, "layer-12");
    mem_free(copy);
    assert_int_equal(mem_strdup(&copy, ""), 0);
    assert_string_equal(copy, "");
    mem_free(copy);
}

static void arenas_return_to_their_marks(void **state)
{
    struct arena arena = {0};
    float *first, *second, *third, *large;
    struct arena_mark empty = arena_mark(&arena);
    assert_int_equal(arena_alloc(&arena, &first, 10, sizeof *first), 0);
    assert_int_equal((uintptr_t)first % 64, 0);
    first[9] = 1.5f;
    struct arena_mark mark = arena_mark(&arena);
    assert_int_equal(arena_calloc(&arena, &second, 10, sizeof *second), 0);
    assert_int_equal((uintptr_t)second % 64, 0);
    assert_true(second >= first + 10);
    for (int i = 0; i < 10; i++) {
        assert_true(second[i] == 0);
        second[i] = 7;
    }
    assert_int_equal(arena_alloc(&arena, &large, 1 << 20, sizeof *large), 0); /* more than a chunk
                                                                               */
    large[(1 << 20) - 1] = 2;
    arena_reset(&arena, mark);
    assert_int_equal(arena_calloc(&arena, &third, 10, sizeof *third), 0);
    assert_ptr_equal(third, second); /* the same place, zeroed anew */
    assert_true(third[3] == 0);
    assert_true(first[9] == 1.5f);
    assert_int_equal(arena_alloc(&arena, &large, SIZE_MAX / 8, 16), ERR_MEMORY);
    arena_reset(&arena, empty);
    assert_null(arena.chunks);
    arena_release(&arena);
}

static void arenas_survive_failing_allocations(void **state)
{
    for (long nth = 1; nth <= 3; nth++) {
        struct arena arena = {0};
        char *bytes;
        mem_fail_at(nth);
        int rc = arena_alloc(&arena, &bytes, 1, 1);
        assert_int_equal(rc, nth <= 2 ? ERR_MEMORY : 0); /* a chunk is two allocations */
        mem_fail_at(0);
        assert_int_equal(arena_alloc(&arena, &bytes, 1, 1), 0);
        arena_release(&arena);
    }
}

/* FIPS 180-4's examples. */
static void hashes_match_the_standard(void **state)
{
    char hex[HASH_HEX_SIZE];
    hash_bytes("", 0, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    hash_bytes("abc", 3, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    struct hash hash;
    hash_init(&hash);
    for (int i = 0; i < 1000000; i += 100)
        hash_add(&hash,
                 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                 "aaaaaaaaaaaaaaaaaaa",
                 100);
    hash_finish(&hash, hex);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    assert_int_equal(hash_file("/no/such/file", hex), ERR_MISSING);
}

/* The authors' test values: xoshiro256** from the state 1, 2, 3, 4, and splitmix64 from 0. */
static void draws_match_the_published_generator(void **state)
{
    struct rng rng = {{1, 2, 3, 4}};
    static const uint64_t expected[] = {11520u, 0u, 1509978240u, 1215971899390074240u,
                                        1216172134540287360u};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        assert_true(rng_next(&rng) == expected[i]);
    static const uint64_t seeded[] = {16294208416658607535u, 7960286522194355700u,
                                      487617019471545679u, 17909611376780542444u};
    rng_seed(&rng, 0);
    assert_memory_equal(rng.state, seeded, sizeof seeded);
}

static void draws_stay_in_bounds(void **state)
{
    struct rng rng;
    rng_seed(&rng, 7);
    enum { DRAWS = 20000, BOUND = 6 };
    int seen[BOUND] = {0};
    double sum = 0, squares = 0, uniform = 0;
    for (int i = 0; i < DRAWS; i++) {
        uint64_t k = rng_below(&rng, BOUND);
        assert_true(k < BOUND);
        seen[k]++;
        double u = rng_uniform(&rng), z = rng_normal(&rng);
        assert_true(u >= 0 && u < 1);
        assert_true(isfinite(z));
        uniform += u;
        sum += z;
        squares += z * z;
    }
    for (int k = 0; k < BOUND; k++) /* five standard deviations */
        assert_true(abs(seen[k] - DRAWS / BOUND) < 5 * sqrt(DRAWS / 6.0 * 5 / 6));
    assert_true(fabs(uniform / DRAWS - 0.5) < 5 * sqrt(1.0 / 12 / DRAWS));
    assert_true(fabs(sum / DRAWS) < 5 / sqrt(DRAWS));
    assert_true(fabs(squares / DRAWS - 1) < 5 * sqrt(2.0 / DRAWS));
    assert_true(rng_below(&rng, 1) == 0);
    rng_below(&rng, UINT64_MAX);
}

static void clocks_and_build_tell_something(void **state)
{
    char utc[21];
    clock_utc(utc);
    assert_int_equal(strlen(utc), 20);
    assert_true(utc[4] == '-' && utc[10] == 'T' && utc[19] == 'Z');
    double before = clock_wall();
    assert_true(clock_wall() >= before);
    assert_true(clock_cpu() > 0);
    assert_true(clock_peak_memory() > 1 << 20);
    assert_true(strlen(version.commit) == 40 || strcmp(version.commit, "unknown") == 0);
    assert_true(strlen(version.compiler) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_carry_one_text),
        cmocka_unit_test(long_errors_are_cut),
        cmocka_unit_test(errors_travel_between_threads),
        cmocka_unit_test(memory_is_aligned_zeroed_and_checked),
        cmocka_unit_test(resizing_keeps_the_content),
        cmocka_unit_test(the_planned_allocation_fails),
        cmocka_unit_test(text_buffers_grow),
        cmocka_unit_test(arenas_return_to_their_marks),
        cmocka_unit_test(arenas_survive_failing_allocations),
        cmocka_unit_test(hashes_match_the_standard),
        cmocka_unit_test(draws_match_the_published_generator),
        cmocka_unit_test(draws_stay_in_bounds),
        cmocka_unit_test(clocks_and_build_tell_something),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
