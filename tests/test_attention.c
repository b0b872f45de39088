/* Blocked causal attention against the formula written out in double precision. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/mem.h"
#include "core/pool.h"
#include "core/rng.h"
#include "model/attention.h"

#include <math.h>
#include <string.h>

static float *floats(size_t count)
{
    float *out;
    assert_int_equal(mem_alloc(&out, count, sizeof *out), 0);
    return out;
}

/* Whether row p sees row s: it is the trunk's or its own branch's, not later, and within reach. */
static bool sees(const struct attention_shape *a, const int *branch, int trunk, int p, int s)
{
    int own = branch ? branch[p] : 0, other = branch ? branch[s] : 0;
    int at = own ? trunk + p - own : p, key = other ? trunk + s - other : s;
    return s <= p && (other == 0 || other == own) && (a->window == 0 || key > at - a->window);
}

/* Scores, softmax and products written out, in double. */
static void naive_attention(const struct attention_shape *a, const int *branch, int length,
                            const float *q, const float *k, const float *v, double *out)
{
    double *weights;
    int trunk = 0;
    while (branch && branch[trunk] == 0)
        trunk++;
    assert_int_equal(mem_alloc(&weights, (size_t)length, sizeof *weights), 0);
    for (int p = 0; p < length; p++) {
        for (int h = 0; h < a->heads; h++) {
            int at = h / (a->heads / a->kv_heads) * a->head_size;
            double sum = 0;
            for (int s = 0; s <= p; s++) {
                double score = 0;
                weights[s] = 0;
                if (!sees(a, branch, trunk, p, s))
                    continue;
                for (int i = 0; i < a->head_size; i++)
                    score += (double)q[p * a->q_stride + h * a->head_size + i] *
                             k[s * a->k_stride + at + i];
                weights[s] = exp(score / sqrt(a->head_size));
                sum += weights[s];
            }
            for (int i = 0; i < a->head_size; i++) {
                double total = 0;
                for (int s = 0; s <= p; s++)
                    total += weights[s] / sum * v[s * a->v_stride + at + i];
                out[p * a->q_stride + h * a->head_size + i] = total;
            }
        }
    }
    mem_free(weights);
}

static void check_attention(const struct attention_shape *a, const int *branch, int length,
                            struct rng *rng)
{
    const int offsets[] = {0, length};
    struct batch batch = {.offsets = offsets, .count = 1, .branch = branch};
    int wide = length * a->q_stride, narrow = length * a->k_stride;
    float *q = floats((size_t)wide), *k = floats((size_t)narrow), *v = floats((size_t)narrow);
    float *memory = floats(attention_floats(a, &batch));
    double *right;
    assert_int_equal(mem_alloc(&right, (size_t)wide, sizeof *right), 0);
    for (int i = 0; i < wide; i++)
        q[i] = (float)(4 * rng_normal(rng) / sqrt(a->head_size / 8.0));
    for (int i = 0; i < narrow; i++)
        k[i] = (float)rng_normal(rng), v[i] = (float)rng_normal(rng);
    naive_attention(a, branch, length, q, k, v, right);
    assert_int_equal(attention_causal(a, &batch, q, k, v, memory), 0);
    for (int i = 0; i < wide; i++) {
        if (!(fabs(q[i] - right[i]) < 2e-5))
            fail_msg("%d keys, heads of %d: output %d is %g, not %g", length, a->head_size, i, q[i],
                     right[i]);
    }
    mem_free(q);
    mem_free(k);
    mem_free(v);
    mem_free(memory);
    mem_free(right);
}

/* Lengths around the tiles', head sizes around the panels'. */
static void blocked_attention_equals_naive(void **state)
{
    static const int lengths[] = {1, 2, 31, 48, 49, 97, 511, 513, 1100},
                     sizes[] = {8, 32, 40, 64, 80};
    struct rng rng;
    rng_seed(&rng, 11);
    for (size_t n = 0; n < sizeof lengths / sizeof *lengths; n++) {
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            int size = sizes[i];
            struct attention_shape a = {4, 2, size, 4 * size, 2 * size, 2 * size, 0};
            if (lengths[n] < 200 || size == 8 || size == 64)
                check_attention(&a, NULL, lengths[n], &rng);
        }
    }
    struct attention_shape many = {13, 1, 6, 78, 6, 6, 0};
    check_attention(&many, NULL, 50, &rng);
}

/* Windows around the sizes of tiles and parts, in a trunk alone and in branches behind short and
 * long ones. */
static void windows_reach_back_so_far(void **state)
{
    enum { LENGTH = 1300 };
    static const int windows[] = {1, 2, 47, 48, 100, 511, 512, 513, 700, 1299},
                     trunks[] = {1, 90, 530, 1100};
    struct attention_shape a = {2, 1, 8, 16, 8, 8, 0};
    struct rng rng;
    int branch[LENGTH];
    rng_seed(&rng, 14);
    for (size_t w = 0; w < sizeof windows / sizeof *windows; w++) {
        a.window = windows[w];
        check_attention(&a, NULL, 600 + (int)w * 60, &rng);
        for (size_t t = 0; t < sizeof trunks / sizeof *trunks && w % 3 == 0; t++) {
            for (int i = 0; i < LENGTH; i++) /* branches of 90 rows */
                branch[i] = i < trunks[t] ? 0 : i - (i - trunks[t]) % 90;
            check_attention(&a, branch, LENGTH, &rng);
        }
    }
}

/* Scores far beyond the range of exp: the running maximum keeps them finite. */
static void large_scores_do_not_overflow(void **state)
{
    enum { LENGTH = 1100, SIZE = 8 };
    static const struct attention_shape a = {1, 1, SIZE, SIZE, SIZE, SIZE, 0};
    const int offsets[] = {0, LENGTH};
    struct batch batch = {.offsets = offsets, .count = 1};
    float *q = floats(LENGTH * SIZE), *k = floats(LENGTH * SIZE), *v = floats(LENGTH * SIZE);
    float *memory = floats(attention_floats(&a, &batch));
    for (int i = 0; i < LENGTH * SIZE; i++) {
        q[i] = 100;
        k[i] = (float)(i / SIZE); /* the latest key wins by far */
        v[i] = (float)(i / SIZE);
    }
    assert_int_equal(attention_causal(&a, &batch, q, k, v, memory), 0);
    for (int i = 0; i < LENGTH * SIZE; i++)
        assert_true(fabsf(q[i] - (float)(i / SIZE)) < 1e-3f);
    mem_free(q);
    mem_free(k);
    mem_free(v);
    mem_free(memory);
}

static void threads_do_not_change_a_bit(void **state)
{
    enum { LENGTH = 700 };
    static const struct attention_shape a = {6, 2, 64, 384, 128, 128, 0};
    const int offsets[] = {0, 1, 90, LENGTH};
    struct batch batch = {.offsets = offsets, .count = 3};
    struct rng rng;
    float *q[3], *k = floats(LENGTH * 128), *v = floats(LENGTH * 128);
    rng_seed(&rng, 12);
    for (int i = 0; i < LENGTH * 128; i++)
        k[i] = (float)rng_normal(&rng), v[i] = (float)rng_normal(&rng);
    for (int threads = 1; threads <= 3; threads++) {
        assert_int_equal(pool_start(threads), 0);
        float *own = floats(LENGTH * 384), *memory = floats(attention_floats(&a, &batch));
        rng_seed(&rng, 13);
        for (int i = 0; i < LENGTH * 384; i++)
            own[i] = (float)rng_normal(&rng);
        assert_int_equal(attention_causal(&a, &batch, own, k, v, memory), 0);
        q[threads - 1] = own;
        mem_free(memory);
    }
    for (int i = 2; i >= 0; i--) {
        assert_memory_equal(q[0], q[i], LENGTH * 384 * sizeof **q);
        mem_free(q[i]);
    }
    mem_free(k);
    mem_free(v);
}

/* Twice the length must not take four times the memory. */
static void memory_grows_with_the_length(void **state)
{
    static const struct attention_shape a = {9, 3, 64, 576, 192, 192, 0};
    const int once[] = {0, 8192}, twice[] = {0, 16384};
    struct batch small = {.offsets = once, .count = 1}, large = {.offsets = twice, .count = 1};
    assert_true(attention_floats(&a, &large) < 2 * attention_floats(&a, &small));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocked_attention_equals_naive),
        cmocka_unit_test(windows_reach_back_so_far),
        cmocka_unit_test(large_scores_do_not_overflow),
        cmocka_unit_test(threads_do_not_change_a_bit),
        cmocka_unit_test(memory_grows_with_the_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
