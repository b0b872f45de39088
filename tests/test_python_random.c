/* The draws of Python's module random: the twister's published output, and numbers that CPython
 * gives. */
#include "core/python_random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { PUBLISHED = 1000 };

/* The beginning and the end of the 1,000 numbers that come with the reference implementation
 * (mt19937ar.out). */
static void twister_as_published(void **state)
{
    static const uint32_t key[] = {0x123, 0x234, 0x345, 0x456};
    static const uint32_t first[] = {1067595299u, 955945823u,  477289528u,  4107218783u,
                                     4228976476u, 3344332714u, 3355579695u, 227628506u};
    static const uint32_t last[] = {2643151863u, 3896204135u, 2416995901u, 1397735321u,
                                    3460025646u};
    struct python_random random;
    uint32_t words[PUBLISHED];
    python_random_seed_words(&random, key, 4);
    for (int i = 0; i < PUBLISHED; i++)
        words[i] = python_random_word(&random);
    assert_memory_equal(words, first, sizeof first);
    assert_memory_equal(words + PUBLISHED - 5, last, sizeof last);
}

/* >>> random.seed(n); [random.getrandbits(32) for _ in range(3)] */
static void seeds_as_in_python(void **state)
{
    static const struct {
        uint64_t seed;
        uint32_t words[3];
    } cases[] = {
        {UINT64_C(0), {3626764237u, 1654615998u, 3255389356u}},
        {UINT64_C(1), {577090037u, 2444712010u, 3639700191u}},
        {UINT64_C(3), {1022050301u, 2545373330u, 2337446730u}},
        {UINT64_C(1234), {4150886329u, 3342196574u, 1892932127u}},
        {UINT64_C(2147483647), {1364760256u, 4023463762u, 3510513048u}},
        {UINT64_C(4294967296), {485306839u, 1508871100u, 1794561286u}},
        {UINT64_C(18446744073709551615), {93740670u, 1068495656u, 1452108352u}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct python_random random;
        python_random_seed(&random, cases[i].seed);
        for (int k = 0; k < 3; k++)
            assert_int_equal(python_random_word(&random), cases[i].words[k]);
    }
}

/* >>> random.seed(0); [random.randint(0, 267504) for _ in range(4)];
 * [random.randrange(3) for _ in range(8)]; random.randrange(1); random.randrange(2 ** 32 - 5);
 * random.randrange(2 ** 31) */
static void ranges_as_in_python(void **state)
{
    static const uint32_t starts[] = {201979, 220500, 21225, 135746},
                          small[] = {2, 1, 1, 1, 1, 1, 2, 0};
    struct python_random random;
    python_random_seed(&random, 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(python_random_below(&random, 267505), starts[i]);
    for (int i = 0; i < 8; i++)
        assert_int_equal(python_random_below(&random, 3), small[i]);
    assert_int_equal(python_random_below(&random, 1), 0);
    assert_int_equal(python_random_below(&random, UINT32_MAX - 4), 1210484339u);
    assert_int_equal(python_random_below(&random, 1u << 31), 600203567u);
}

/* A word above the bound is passed over, also where the bound is a power of two. */
static void words_are_places(void **state)
{
    assert_int_equal(python_random_place(0xffffffffu, 1), 1);
    assert_int_equal(python_random_place(0x7fffffffu, 1), 0);
    assert_int_equal(python_random_place(0x80000000u, 4), 4); /* three bits: 100 */
    assert_int_equal(python_random_place(0x7fffffffu, 4), 3);
    assert_int_equal(python_random_place(5, UINT32_MAX), 5);
    assert_int_equal(python_random_place(UINT32_MAX, UINT32_MAX), UINT32_MAX);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(twister_as_published),
        cmocka_unit_test(seeds_as_in_python),
        cmocka_unit_test(ranges_as_in_python),
        cmocka_unit_test(words_are_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
