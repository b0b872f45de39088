/* bitbench layer through the program: every method on one matrix, from its inputs and from its
 * Hessian. */
#include "core/arena.h"
#include "core/rng.h"
#include "linalg/hessian.h"
#include "methods/method.h"
#include "model/safetensors.h"
#include "tests/fixture.h"
#include "tests/program.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { OUT = 24, IN = 192, TOKENS = 64, SEQUENCES = 4 };

static char *folder;

/* FOLDER/w.safetensors (W), x.safetensors (X, sequences x tokens x in), h.safetensors (H of X). */
static void write_inputs(void)
{
    struct rng rng;
    struct hessian hessian;
    float *w, *x;
    char path[600];
    rng_seed(&rng, 5);
    FIXTURE_OK(mem_alloc(&w, OUT * IN, sizeof *w));
    FIXTURE_OK(mem_alloc(&x, SEQUENCES * TOKENS * IN, sizeof *x));
    for (int i = 0; i < OUT * IN; i++)
        w[i] = (float)rng_normal(&rng);
    for (int i = 0; i < SEQUENCES * TOKENS * IN; i++)
        x[i] = (float)rng_normal(&rng) * (float)(1 + i % 7);
    FIXTURE_OK(hessian_init(&hessian, IN));
    for (int s = 0; s < SEQUENCES; s++)
        FIXTURE_OK(hessian_add(&hessian, x + (size_t)s * TOKENS * IN, TOKENS, 1));
    hessian_finish(&hessian);
    const struct tensor_source sources[] = {
        {.name = "W", .dtype = DTYPE_F32, .rank = 2, .shape = {OUT, IN}, .data = w},
        {.name = "X", .dtype = DTYPE_F32, .rank = 3, .shape = {SEQUENCES, TOKENS, IN}, .data = x},
        {.name = "H", .dtype = DTYPE_F32, .rank = 2, .shape = {IN, IN}, .data = hessian.matrix}};
    static const char *const names[] = {"w", "x", "h"};
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s.safetensors", folder, names[i]);
        FIXTURE_OK(safetensors_write(path, &sources[i], 1, NULL));
    }
    hessian_release(&hessian);
    mem_free(w);
    mem_free(x);
}

static float *read_quantized(const char *name)
{
    char path[600];
    float *out;
    struct tensor_table *file;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FIXTURE_OK(safetensors_open_file(&file, path));
    FIXTURE_OK(mem_alloc(&out, OUT * IN, sizeof *out));
    FIXTURE_OK(tensor_table_read(file, "W_q", OUT, IN, out));
    tensor_table_free(file);
    return out;
}

static json_t *run_layer(const char *method, const char *source, const char *out)
{
    char line[900];
    snprintf(line, sizeof line, "$B layer %s --weight $T/w.safetensors --%s --out $T/%s --json",
             method, source, out);
    struct result result = shell(line);
    if (result.status != 0)
        fail_msg("%s: status %d: %s", line, result.status, result.err);
    json_t *object = json_loads(result.out, 0, NULL);
    assert_non_null(object);
    return object;
}

static double printed_loss(const json_t *object)
{
    return json_number_value(json_object_get(json_object_get(object, "loss"), "hessian"));
}

/* The loss that is printed is that of the W_q that is written; inputs and their Hessian give the
 * same. */
static void test_every_method(void **state)
{
    for (int m = 0; methods[m]; m++) {
        const char *name = methods[m]->name;
        json_t *from_input = run_layer(name, "input $T/x.safetensors", "a.safetensors");
        json_t *from_hessian = run_layer(name, "hessian $T/h.safetensors:H", "b.safetensors");
        float *a = read_quantized("a.safetensors"), *b = read_quantized("b.safetensors");
        double loss = printed_loss(from_input);
        double again = printed_loss(from_hessian);
        assert_true(loss > 0 && fabs(loss / again - 1) < 1e-6);
        assert_memory_equal(a, b, OUT * IN * sizeof *a);
        mem_free(a);
        mem_free(b);
        json_decref(from_input);
        json_decref(from_hessian);
    }
}

static void test_bad_input(void **state)
{
    refuses("$B layer gptq --weight $T/w.safetensors --out $T/o", 2, "hessian");
    refuses("$B layer gptq --weight $T/w.safetensors:Z --hessian $T/h.safetensors --out $T/o", 3,
            "Z");
    refuses("$B layer gptq --weight $T/w.safetensors --hessian $T/w.safetensors:W --out $T/o", 1,
            "W");
    refuses(
        "$B layer gptq -o bitz=3 --weight $T/w.safetensors --hessian $T/h.safetensors --out $T/o",
        2, "bits");
    refuses("$B layer nosuch --weight $T/w.safetensors --out $T/o", 2, "nosuch");
}

int main(void)
{
    folder = fixture_folder("layer");
    write_inputs();
    if (program_start(folder) != 0)
        return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_method),
                                       cmocka_unit_test(test_bad_input)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mem_free(folder);
    return failed;
}
