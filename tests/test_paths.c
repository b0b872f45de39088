/* The program's data files: the variable first, then the source tree above the program. */
#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"
#include "harness/paths.h"
#include "tests/store_sample.h"

static void test_source_tree(void **state)
{
    char *path = NULL;
    assert_int_equal(paths_data(&path, "plots/plots.list"), 0);
    assert_true(file_exists(path));
    mem_free(path);
}

static void test_variable(void **state)
{
    char *path = NULL, wanted[128];
    snprintf(wanted, sizeof wanted, "%s/plots", folder);
    assert_int_equal(file_make_directories(wanted), 0);
    setenv("BITBENCH_DATA", folder, 1);
    assert_int_equal(paths_data(&path, "plots"), 0);
    assert_string_equal(path, wanted);
    mem_free(path);
    path = NULL; /* what it does not hold is still found in the tree */
    assert_int_equal(paths_data(&path, "plots/plots.list"), 0);
    assert_null(strstr(path, folder));
    mem_free(path);
    unsetenv("BITBENCH_DATA");
}

static void test_missing(void **state)
{
    char *path = NULL;
    expect_error(paths_data(&path, "no/such.file"), ERR_MISSING, "no/such.file: not found");
    assert_null(path);
}

static void test_memory(void **state)
{
    for (long k = 1;; k++) {
        char *path = NULL;
        mem_fail_at(k);
        int rc = paths_data(&path, "plots/plots.list"), reached = !mem_fail_pending();
        mem_fail_at(0);
        assert_int_equal(rc, reached ? ERR_MEMORY : 0);
        mem_free(path);
        if (!reached)
            break;
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_source_tree),
        TEST(test_variable),
        TEST(test_missing),
        TEST(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
