/* The choice of OpenBLAS's kernel set: the decision as a table, the re-execution with real
 * processes, and the promise that one and several threads give the same bytes under every set. */
#include "core/hash.h"
#include "core/mem.h"
#include "core/pool.h"
#include "core/rng.h"
#include "linalg/cpu.h"
#include "linalg/matmul.h"

#include <cblas.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char guard[] = "BITBENCH_OPENBLAS_CHOSE";
static char self[4096];

static void the_decision(void **state)
{
    static const struct cpu_features sse = {0};
    static const struct cpu_features avx = {.avx = true};
    static const struct cpu_features avx2 = {.avx = true, .avx2 = true, .fma = true};
    static const struct cpu_features no_fma = {.avx = true, .avx2 = true};
    static const struct cpu_features avx512 = {
        .avx = true, .avx2 = true, .fma = true, .avx512 = true};
    static const char dynamic[] =
        "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH NO_AFFINITY MAX_THREADS=64";
    static const char fixed[] = "OpenBLAS 0.3.21 NO_AFFINITY Haswell MAX_THREADS=64";
    static const struct {
        const struct cpu_features *features;
        const char *chosen, *config, *user, *expected;
    } rows[] = {
        {&avx512, "Prescott", dynamic, NULL, "SkylakeX"},
        {&avx512, "Nehalem", dynamic, NULL, "SkylakeX"},
        {&avx512, "Sandybridge", dynamic, NULL, "SkylakeX"},
        {&avx512, "Haswell", dynamic, NULL, "SkylakeX"},
        {&avx512, "Zen", dynamic, NULL, "SkylakeX"},
        {&avx512, "haswell", dynamic, NULL, "SkylakeX"},
        {&avx512, "SkylakeX", dynamic, NULL, NULL},
        {&avx512, "Cooperlake", dynamic, NULL, NULL},
        {&avx512, "SapphireRapids", dynamic, NULL, NULL},
        {&avx2, "Prescott", dynamic, NULL, "Haswell"},
        {&avx2, "Excavator", dynamic, NULL, "Haswell"},
        {&avx2, "Haswell", dynamic, NULL, NULL},
        {&avx2, "Zen", dynamic, NULL, NULL},
        {&no_fma, "Prescott", dynamic, NULL, "Sandybridge"},
        {&avx, "Prescott", dynamic, NULL, "Sandybridge"},
        {&avx, "Bulldozer", dynamic, NULL, NULL},
        {&sse, "Prescott", dynamic, NULL, NULL},
        {&sse, "Nehalem", dynamic, NULL, NULL},
        {&avx512, "Prescott", dynamic, "Prescott", NULL}, /* the user's word is the last */
        {&avx512, "Haswell", dynamic, "Zen", NULL},
        {&avx512, "Prescott", dynamic, "", "SkylakeX"}, /* set to nothing: not set */
        {&avx512, "Prescott", fixed, NULL, NULL},
        {&avx512, "SomethingNewer", dynamic, NULL, NULL},
        {&avx512, "", dynamic, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *decided = cpu_decide(rows[i].features, rows[i].chosen, rows[i].config,
                                         rows[i].user);
        if (!rows[i].expected != !decided || (decided && strcmp(decided, rows[i].expected) != 0))
            fail_msg("row %zu: %s was decided in place of %s", i, decided ? decided : "to stay",
                     rows[i].expected ? rows[i].expected : "to stay");
    }
}

/* *out = what the shell command prints; the test fails when its exit status is not 0. */
static void run_command(struct strbuf *out, const char *command)
{
    char line[4096];
    strbuf_release(out);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    while (fgets(line, sizeof line, pipe))
        strbuf_puts(out, line);
    int status = pclose(pipe);
    if (status != 0)
        fail_msg("status %d: %s", status, command);
    assert_non_null(out->data);
}

/* Runs this program as one to which the library seems to have chosen `chosen`; environment is in
 * the shell's notation. */
static void pretend(struct strbuf *out, const char *environment, const char *chosen)
{
    char *command;
    assert_int_equal(mem_printf(&command,
                                "env -u OPENBLAS_CORETYPE %s '%s' --pretend %s 'an argument'",
                                environment, self, chosen),
                     0);
    run_command(out, command);
    mem_free(command);
}

static int occurrences(const struct strbuf *text, const char *word)
{
    int count = 0;
    for (const char *at = text->data; (at = strstr(at, word)) != NULL; at++)
        count++;
    return count;
}

/* The child: says that it started, prepares, says what came out. */
static int pretend_main(char **argv)
{
    printf("started\n");
    fflush(stdout); /* nothing may wait in a buffer across the re-execution */
    cpu_prepare_from(argv, argv[2]);
    const struct cpu_info *info = cpu_info();
    printf("choice %s, library %s, kernels %s, argument '%s', left behind: %s %s\n",
           cpu_choice_name(info->choice), info->library_choice, cpu_kernels(), argv[3],
           getenv("OPENBLAS_CORETYPE") ? "coretype" : "-", getenv(guard) ? "guard" : "-");
    return 0;
}

static void a_bad_choice_is_corrected_once(void **state)
{
    struct strbuf out = {0};
    const char *better = cpu_decide(&cpu_info()->features, "Prescott", openblas_get_config(), NULL);
    if (!better) {
        print_message("skipped: this CPU has no better kernels than Prescott's\n");
        skip();
    }
    pretend(&out, "", "Prescott");
    assert_int_equal(occurrences(&out, "started"), 2);
    char *expected;
    mem_printf(
        &expected,
        "choice program, library Prescott, kernels %s, argument 'an argument', left behind: - -\n",
        better);
    assert_non_null(strstr(out.data, expected));
    mem_free(expected);
    strbuf_release(&out);
}

static void a_good_choice_stays(void **state)
{
    struct strbuf out = {0};
    pretend(&out, "", "SkylakeX");
    assert_int_equal(occurrences(&out, "started"), 1);
    assert_non_null(strstr(out.data, "choice library, library SkylakeX,"));
    strbuf_release(&out);
}

static void the_users_choice_stays(void **state)
{
    struct strbuf out = {0};
    pretend(&out, "OPENBLAS_CORETYPE=Prescott", "Prescott");
    assert_int_equal(occurrences(&out, "started"), 1);
    assert_non_null(strstr(out.data, "choice user, library , kernels Prescott,"));
    assert_non_null(strstr(out.data, "left behind: coretype -"));
    strbuf_release(&out);
}

static void the_guard_excludes_a_loop(void **state)
{
    struct strbuf out = {0};
    pretend(&out, "BITBENCH_OPENBLAS_CHOSE=Prescott", "Prescott");
    assert_int_equal(occurrences(&out, "started"), 1);
    assert_non_null(strstr(out.data, "choice failed, library Prescott,"));
    strbuf_release(&out);
}

static void fill(struct rng *rng, float *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        values[i] = (float)rng_normal(rng);
}

/* The child: the hash of three products with sizes that are no multiple of any tile. */
static int digest_main(int threads)
{
    enum { ROWS = 391, OUT = 1157, IN = 523 };
    float *x, *w, *d, *y, *dx, *dw;
    struct rng rng;
    struct hash hash;
    char hex[HASH_HEX_SIZE];
    rng_seed(&rng, 1);
    hash_init(&hash);
    int rc = mem_alloc(&x, ROWS * IN, sizeof *x) || mem_alloc(&w, OUT * IN, sizeof *w) ||
             mem_alloc(&d, ROWS * OUT, sizeof *d) || mem_calloc(&y, ROWS * OUT, sizeof *y) ||
             mem_calloc(&dx, ROWS * IN, sizeof *dx) || mem_calloc(&dw, OUT * IN, sizeof *dw);
    if (rc)
        return 1;
    fill(&rng, x, ROWS * IN);
    fill(&rng, w, OUT * IN);
    fill(&rng, d, ROWS * OUT);
    matmul_init();
    rc = pool_start(threads) || matmul_nt(x, w, ROWS, OUT, IN, 0, y) ||
         matmul_nn(d, w, ROWS, OUT, IN, 0, dx) || matmul_tn(d, x, ROWS, OUT, IN, 0, dw);
    pool_stop();
    hash_add(&hash, y, ROWS * OUT * sizeof *y);
    hash_add(&hash, dx, ROWS * IN * sizeof *dx);
    hash_add(&hash, dw, OUT * IN * sizeof *dw);
    hash_finish(&hash, hex);
    printf("%s %s\n", cpu_kernels(), hex);
    mem_free(x), mem_free(w), mem_free(d), mem_free(y), mem_free(dx), mem_free(dw);
    return rc != 0;
}

static void threads_do_not_change_a_byte(const char *set)
{
    struct strbuf first = {0}, out = {0};
    for (int threads = 1; threads <= 3; threads++) {
        char *command;
        mem_printf(&command, "OPENBLAS_CORETYPE=%s '%s' --digest %d", set, self, threads);
        run_command(threads == 1 ? &first : &out, command);
        mem_free(command);
        assert_memory_equal(first.data, set, strlen(set));
        if (threads > 1)
            assert_string_equal(out.data, first.data);
    }
    strbuf_release(&first);
    strbuf_release(&out);
}

static void threads_do_not_change_a_byte_under_any_set(void **state)
{
    const struct cpu_features *features = &cpu_info()->features;
    if (!strstr(openblas_get_config(), "DYNAMIC_ARCH")) {
        print_message("skipped: this OpenBLAS has one kernel set\n");
        skip();
    }
    threads_do_not_change_a_byte("Prescott");
    if (features->avx)
        threads_do_not_change_a_byte("Sandybridge");
    if (features->avx2 && features->fma)
        threads_do_not_change_a_byte("Haswell");
    if (features->avx512)
        threads_do_not_change_a_byte("SkylakeX");
}

/* What `bitbench doctor --json` says of the kernels under an environment. */
static json_t *doctor(const char *environment)
{
    char *command, *program;
    struct strbuf out = {0};
    char *slash = strrchr(self, '/');
    mem_printf(&program, "%.*s/../bitbench", (int)(slash - self), self);
    if (access(program, X_OK) != 0) {
        print_message("skipped: %s is not built\n", program);
        mem_free(program);
        skip();
    }
    mem_printf(&command, "env -u OPENBLAS_CORETYPE %s '%s' doctor --json", environment, program);
    run_command(&out, command);
    json_error_t error;
    json_t *json = json_loads(out.data, 0, &error);
    if (!json)
        fail_msg("%s: %s", error.text, out.data);
    mem_free(command);
    mem_free(program);
    strbuf_release(&out);
    return json;
}

static void the_program_runs_on_fitting_kernels(void **state)
{
    json_t *json = doctor("");
    const char *choice = json_string_value(json_object_get(json, "kernels_chosen_by"));
    const char *kernels = json_string_value(json_object_get(json, "kernels"));
    assert_non_null(choice);
    assert_non_null(kernels);
    assert_true(strcmp(choice, "library") == 0 || strcmp(choice, "program") == 0);
    assert_null(cpu_decide(&cpu_info()->features, kernels, openblas_get_config(), NULL));
    json_decref(json);
}

static void the_program_respects_the_user(void **state)
{
    json_t *json = doctor("OPENBLAS_CORETYPE=Prescott");
    assert_string_equal(json_string_value(json_object_get(json, "kernels_chosen_by")), "user");
    if (strstr(openblas_get_config(), "DYNAMIC_ARCH"))
        assert_string_equal(json_string_value(json_object_get(json, "kernels")), "Prescott");
    json_decref(json);
}

static void the_cpu_has_a_name(void **state)
{
    char name[256], cut[4];
    cpu_model(name, sizeof name);
    assert_true(strlen(name) > 0);
    assert_null(strchr(name, '\n'));
    cpu_model(cut, sizeof cut);
    assert_true(strlen(cut) <= 3);
}

int main(int argc, char **argv)
{
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    self[length > 0 ? length : 0] = '\0';
    if (argc == 4 && strcmp(argv[1], "--pretend") == 0)
        return pretend_main(argv);
    if (argc == 3 && strcmp(argv[1], "--digest") == 0)
        return digest_main((int)strtol(argv[2], NULL, 10));
    cpu_prepare(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_decision),
        cmocka_unit_test(a_bad_choice_is_corrected_once),
        cmocka_unit_test(a_good_choice_stays),
        cmocka_unit_test(the_users_choice_stays),
        cmocka_unit_test(the_guard_excludes_a_loop),
        cmocka_unit_test(threads_do_not_change_a_byte_under_any_set),
        cmocka_unit_test(the_program_runs_on_fitting_kernels),
        cmocka_unit_test(the_program_respects_the_user),
        cmocka_unit_test(the_cpu_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
