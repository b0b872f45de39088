/* What points of a run have in common is computed once, and they have the same rows as when each is
 * computed alone. */
#include "core/machine.h"
#include "core/pool.h"
#include "harness/memory_limit.h"
#include "tests/run_rows.h"

/* Beginnings and ends of blocks, methods with a Hessian and without, another calibration, a method
 * with a product of its own. */
static const char *const many_points =
    "  - {method: full}\n"
    "  - {method: gptq, bits: 3, block_size: 32, max_layer: [-1, 1, 2]}\n"
    "  - {method: gptq, bits: 3, block_size: 32, min_layer: [1, 2]}\n"
    "  - {method: gptq, bits: 2, block_size: 32, quant_only: mlp}\n"
    "  - {method: rtn, bits: 2, max_layer: [2, -1]}\n"
    "  - {method: rtn, bits: 2, layer_errors: false, min_layer: 2}\n"
    "  - {method: bitnet, activation_bits: 8, max_layer: [-1, 2]}\n"
    "  - {method: billm, block_size: 32, max_layer: [1, -1]}\n";

/* Each point in a run of its own. */
static int run_alone(const char *database)
{
    struct run_summary summary;
    int runs = 0;
    do {
        assert_int_equal(run_spec(database, 1, &summary), 0);
        assert_int_equal(summary.failed, 0);
        assert_true(summary.saved == 0);
        runs += summary.computed;
    } while (summary.left > 0);
    return runs;
}

static void test_together_as_alone(void **state)
{
    struct run_summary summary;
    run_seeds = "[3, 4]";
    run_spec_write("sharing", many_points);
    int count = run_alone("alone.db");
    assert_int_equal(run_spec("together.db", 0, &summary), 0);
    assert_int_equal(summary.computed, count);
    assert_true(summary.saved > 0);
    expect_same_rows("alone.db", "together.db");
    run_seeds = "3";
    /* Those that go on behind others' blocks, and those that find the first block's Hessians. */
    char *saved = run_query("together.db", "SELECT count(*) FROM points WHERE saved > 0 AND "
                                           "label LIKE '%_layer=%'");
    assert_true(strtol(saved, NULL, 10) >= 8);
    mem_free(saved);
    saved = run_query("together.db",
                      "SELECT saved > 0 FROM points WHERE label LIKE '%quant_only=mlp%'");
    assert_string_equal(saved, "1|\n1|\n");
    mem_free(saved);
    /* The times are those of the whole work. */
    saved = run_query("together.db", "SELECT count(*) FROM points p JOIN timings t ON t.point_id = "
                                     "p.id WHERE stage = 'total' AND wall < saved");
    assert_string_equal(saved, "0|\n");
    mem_free(saved);
}

/* The same where memory has room for fewer and fewer copies, down to where a point needs all of it
 * alone. */
static void test_little_memory(void **state)
{
    struct run_summary summary = {0};
    int limits = 0;
    run_spec_write("sharing", "  - {method: full}\n"
                              "  - {method: gptq, bits: 3, block_size: 32, max_layer: [-1, 2]}\n"
                              "  - {method: gptq, bits: 3, block_size: 32, min_layer: 2}\n");
    run_alone("few.db");
    for (double mebibytes = 64;; mebibytes *= 0.8, limits++) {
        char *path = run_path("little.db"), bytes[32];
        remove(path);
        mem_free(path);
        snprintf(bytes, sizeof bytes, "%.0fK", (double)machine_held() / 1024 + mebibytes * 1024);
        FIXTURE_OK(memory_limit_from_command_line(bytes, "test"));
        int rc = run_spec("little.db", 0, &summary);
        FIXTURE_OK(memory_limit_from_command_line("", "test"));
        if (rc == ERR_MEMORY || summary.failed > 0)
            break;
        assert_int_equal(rc, 0);
        expect_same_rows("few.db", "little.db");
    }
    assert_true(limits > 1);
}

int main(int argc, char **argv)
{
    run_start("sharing", argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_together_as_alone),
        cmocka_unit_test(test_little_memory),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mem_free(folder);
    pool_stop();
    return failed;
}
