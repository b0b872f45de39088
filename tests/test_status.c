/* How far an experiment is, beside a database written by hand, and who writes to it. */
#include "core/arena.h"
#include "harness/status.h"
#include "harness/store_internal.h"
#include "tests/store_sample.h"

static const char spec_text[] = "name: trial\n"
                                "model: embedded\n"
                                "evaluation:\n"
                                "  perplexity:\n"
                                "    - {corpus: kjv, tokens: 1000, window: 100}\n"
                                "methods:\n"
                                "  - {method: full}\n"
                                "  - {method: rtn, bits: [4, 3, 2]}\n"
                                "  - {method: onebit}\n";

static char spec_path[96];

static int status_setup(void **state)
{
    int rc = setup(state);
    snprintf(spec_path, sizeof spec_path, "%s/trial.yaml", folder);
    FILE *file = fopen(spec_path, "we");
    if (!file || fputs(spec_text, file) < 0 || fclose(file) != 0)
        return -1;
    return rc;
}

static void load_spec(struct experiment *spec)
{
    *spec = (struct experiment){0};
    if (spec_load(spec, spec_path, NULL, 0) != 0)
        fail_msg("%s", err_text());
    assert_int_equal(spec->point_count, 5);
}

/* Stores point i of the spec; it took so many seconds, or failed. */
static void put(struct store *store, const struct experiment *spec, int i, double seconds)
{
    struct sample s;
    sample_init(&s, i);
    s.point.label = spec->points[i].label;
    s.point.method = i == 0 ? "full" : "rtn";
    s.timings[0] = (struct timing_record){"total", seconds, 1, 0};
    if (seconds < 0) {
        s.point.status = "failed";
        s.point.error = "NaN in block 3";
        s.point.metric_count = s.point.layer_count = s.point.timing_count = 0;
    }
    sample_store(store, &s, i);
}

static struct status load(const struct store *store, const struct experiment *spec,
                          struct arena *arena)
{
    struct status status;
    if (status_load(&status, store, "trial", spec, arena) != 0)
        fail_msg("%s", err_text());
    return status;
}

static void test_counts(void **state)
{
    struct experiment spec;
    struct arena arena = {0};
    load_spec(&spec);
    struct store *store = open_writer();
    assert_int_equal(store_experiment(store, "trial", "A trial", spec_path, spec_text), 0);
    put(store, &spec, 0, 2);
    put(store, &spec, 1, 10);
    put(store, &spec, 2, -1);
    struct status status = load(store, &spec, &arena);
    assert_int_equal(status.count, 5);
    assert_int_equal(status.done, 2);
    assert_int_equal(status.failed, 1);
    assert_int_equal(status.left, 2);
    assert_true(status.left_known && !status.changed);
    assert_string_equal(status.points[2].error, "NaN in block 3");
    assert_int_equal(status.points[3].state, POINT_LEFT);
    assert_string_equal(status.points[3].label, spec.points[3].label);
    /* rtn as the one that is done, onebit as the mean of all */
    assert_true(status.points[3].seconds == 10 && status.points[4].seconds == 6);
    assert_true(status.seconds_left == 16);

    put(store, &spec, 2, 20);
    put(store, &spec, 3, 30);
    put(store, &spec, 4, 40);
    status = load(store, &spec, &arena);
    assert_int_equal(status.done, 5);
    assert_int_equal(status.left + status.failed, 0);
    assert_true(status.seconds_left == 0);
    store_close(store);
    experiment_release(&spec);
    arena_release(&arena);
}

static void test_without(void **state)
{
    struct experiment spec;
    struct arena arena = {0};
    load_spec(&spec);
    struct status status = load(NULL, &spec, &arena); /* no database */
    assert_int_equal(status.left, 5);
    assert_true(isnan(status.seconds_left));
    struct store *store = open_writer(); /* its text is another one */
    put(store, &spec, 0, 2);
    status = load(store, &spec, &arena);
    assert_true(status.changed);
    status = load(store, NULL, &arena); /* no spec */
    assert_int_equal(status.count, 1);
    assert_false(status.left_known);
    assert_string_equal(status.path, "trial.yaml");
    store_close(store);
    experiment_release(&spec);
    arena_release(&arena);
}

/* A point of another model, or of another place with the same name. */
static void test_matching(void **state)
{
    struct experiment spec;
    struct arena arena = {0};
    struct sample s;
    load_spec(&spec);
    struct store *store = open_writer();
    sample_init(&s, 1);
    s.point.label = spec.points[1].label;
    s.point.model = "another";
    sample_store(store, &s, 1);
    sample_init(&s, 2);
    s.point.label = spec.points[3].label; /* the spec had a line less then */
    sample_store(store, &s, 2);
    struct status status = load(store, &spec, &arena);
    assert_int_equal(status.done, 1);
    assert_int_equal(status.points[1].state, POINT_LEFT);
    assert_int_equal(status.points[3].state, POINT_DONE);
    store_close(store);
    experiment_release(&spec);
    arena_release(&arena);
}

static void test_writer(void **state)
{
    struct store_writer writer;
    char label[3000];
    store_find_writer(database, &writer);
    assert_false(writer.there);
    struct store *store = open_writer();
    store_find_writer(database, &writer);
    assert_true(writer.there && writer.process == (long)getpid());
    assert_int_equal(strlen(writer.since), 20);
    assert_string_equal(writer.label, "");
    store_working_on(store, "trial", "gptq bits=2 group_size=128");
    store_working_on(store, "trial", "rtn bits=2"); /* shorter: nothing of the last one is left */
    store_find_writer(database, &writer);
    assert_string_equal(writer.experiment, "trial");
    assert_string_equal(writer.label, "rtn bits=2");
    memset(label, 'x', sizeof label);
    label[sizeof label - 1] = '\0';
    store_working_on(store, "trial", label);
    store_find_writer(database, &writer);
    assert_int_equal(writer.process, (long)getpid());
    assert_int_equal(strspn(writer.label, "x"), sizeof writer.label - 1);
    struct store *second;
    expect_error(store_open(&second, database, 1), ERR_BUSY, "is writing to this database");
    store_close(store);
    store_find_writer(database, &writer);
    assert_false(writer.there);
    char path[128]; /* what a killed run leaves behind holds nothing */
    snprintf(path, sizeof path, "%s.lock", database);
    FILE *file = fopen(path, "we");
    fputs("12345\nnever\na\nb\n", file);
    fclose(file);
    store_find_writer(database, &writer);
    assert_false(writer.there);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, status_setup, teardown)
    const struct CMUnitTest tests[] = {TEST(test_counts), TEST(test_without), TEST(test_matching),
                                       TEST(test_writer)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
