/* The vector kernels of training, of every instruction set that this CPU has, against their plain
 * twins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/rng.h"
#include "linalg/adam.h"
#include "linalg/simd.h"

#include <math.h>
#include <string.h>

enum { MOST = 600, BUFFERS = 6 };
static const int lengths[] = {1, 3, 4, 7, 15, 16, 17, 31, 33, 64, 100, 256, 599};
enum { LENGTHS = sizeof lengths / sizeof *lengths };

/* in: drawn; set, ref: copies that the kernel and its twin work on. Addresses are not aligned. */
static float in[BUFFERS][MOST + 2], set[BUFFERS][MOST + 2], ref[BUFFERS][MOST + 2];

static void draw(struct rng *rng)
{
    for (int b = 0; b < BUFFERS; b++)
        for (int i = 0; i < MOST + 2; i++)
            in[b][i] = (float)rng_normal(rng);
    memcpy(set, in, sizeof in);
    memcpy(ref, in, sizeof in);
}

/* All buffers agree within the tolerance, and nothing was written outside 1 .. n. */
static void compare(const char *name, const char *kernel, int n, double tolerance)
{
    for (int b = 0; b < BUFFERS; b++) {
        for (int i = 0; i < MOST + 2; i++) {
            double a = (double)set[b][i], c = (double)ref[b][i];
            if (i >= 1 && i <= n ? !(fabs(a - c) <= tolerance * fmax(1.0, fabs(c)))
                                 : set[b][i] != in[b][i])
                fail_msg("%s %s: n = %d: buffer %d, element %d is %.9g, the twin has %.9g", name,
                         kernel, n, b, i - 1, a, c);
        }
    }
}

#define P(which, b) (which[b] + 1)

static void check_set(const struct simd *s, int n, struct rng *rng)
{
    static const struct adam_step step = {2e-3f, 0.9998f, 0.9f, 0.95f, 1.5f, 2.5f, 1e-8f, 0.7f};
    draw(rng);
    s->rmsnorm_back(P(set, 0), P(set, 1), P(in, 2), P(in, 3), P(in, 4), 1e-5f, n);
    rmsnorm_back_ref(P(ref, 0), P(ref, 1), P(in, 2), P(in, 3), P(in, 4), 1e-5f, n);
    compare(s->name, "rmsnorm_back", n, 1e-5);
    draw(rng);
    s->silu_mul_back(P(set, 0), P(set, 1), P(in, 2), P(in, 3), P(in, 4), n);
    silu_mul_back_ref(P(ref, 0), P(ref, 1), P(in, 2), P(in, 3), P(in, 4), n);
    compare(s->name, "silu_mul_back", n, 1e-5);
    draw(rng);
    s->softmax_back(P(set, 0), P(in, 1), P(set, 0), n);
    softmax_back_ref(P(ref, 0), P(in, 1), P(in, 0), n);
    compare(s->name, "softmax_back", n, 1e-4);
    draw(rng);
    s->dropout_add(P(set, 0), P(in, 1), P(in, 2), 12345, 678, 50000, n);
    dropout_add_ref(P(ref, 0), P(in, 1), P(in, 2), 12345, 678, 50000, n);
    compare(s->name, "dropout_add", n, 1e-6);
    draw(rng);
    for (int i = 0; i < MOST + 2; i++) /* the second moment is not negative */
        in[3][i] = set[3][i] = ref[3][i] = in[3][i] * in[3][i] + 1e-3f;
    s->adam(P(set, 0), P(set, 1), P(set, 2), P(set, 3), &step, n);
    adam_ref(P(ref, 0), P(ref, 1), P(ref, 2), P(ref, 3), &step, n);
    compare(s->name, "adam", n, 1e-6);
}

static void test_kernels_agree_with_twins(void **state)
{
    struct rng rng;
    const struct simd *s;
    rng_seed(&rng, 1);
    for (int which = 0; (s = simd_set(which)) != NULL; which++)
        for (int l = 0; l < LENGTHS; l++)
            check_set(s, lengths[l], &rng);
}

/* Dropout keeps its share, and neighbours and keys have masks of their own. */
static void test_dropout_is_random(void **state)
{
    enum { COUNT = 20000 };
    static float zero[COUNT], one[COUNT], y[2][COUNT];
    int kept = 0, both = 0, pairs = 0;
    for (int i = 0; i < COUNT; i++)
        one[i] = 1.0f;
    simd.dropout_add(y[0], zero, one, 1, 0, 65536 * 3 / 4, COUNT);
    simd.dropout_add(y[1], zero, one, 2, 0, 65536 * 3 / 4, COUNT);
    for (int i = 0; i < COUNT; i++) {
        kept += y[0][i] > 0;
        both += y[0][i] > 0 && y[1][i] > 0;
        pairs += i > 0 && y[0][i] > 0 && y[0][i - 1] > 0;
    }
    /* binomial with deviations 0.0031 and 0.0035: five of them */
    assert_true(fabs(kept / (double)COUNT - 0.75) < 0.016);
    assert_true(fabs(both / (double)COUNT - 0.5625) < 0.018);
    assert_true(fabs(pairs / (double)COUNT - 0.5625) < 0.025);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kernels_agree_with_twins),
        cmocka_unit_test(test_dropout_is_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
