/* What stands beside a point's results in the database: repetitions of timings, drift by block,
 * exceptions, the command. */
#include "core/err.h"
#include "harness/store.h"
#include "harness/store_internal.h"
#include "tests/store_sample.h"

static void rows_are_there(void **state)
{
    struct store *store = open_writer();
    struct sample s;
    sample_init(&s, 1);
    sample_store(store, &s, 0);
    text_is(store, "SELECT group_concat(block || ':' || drift || ':' || cosine) FROM blocks",
            "0:0.25:0.96875");
    text_is(store, "SELECT block || name || kind || detail FROM exceptions",
            "1mlp.up_projgroupa narrow row");
    text_is(store,
            "SELECT started || ' ' || threads || ' ' || load_before || ' ' || "
            "ifnull(load_after, '-') || ' ' || busy FROM repetitions",
            "2026-01-01T00:00:00Z 2 0.5 - 1");
    text_is(store, "SELECT command || '|' || spec_text FROM points",
            "bitbench run trial.yaml|text: 1\n");
    text_is(store,
            "SELECT group_concat(ifnull(condition, '-') || ':' || ifnull(salient, '-') || ':' || "
            "ifnull(split, '-')) FROM layers",
            "2500.0:0.125:-,2500.0:0.125:-");
    store_close(store);
}

/* A point that is computed again appends its timings, and they are all that it appends. */
static void timings_are_kept(void **state)
{
    struct store *store = open_writer();
    struct sample s;
    for (int i = 0; i < 3; i++) {
        sample_init(&s, 1);
        s.timings[1].wall = 3 - i;
        s.timings[1].cpu = 5 + i;
        s.point.repetition.busy = i == 0;
        sample_store(store, &s, 0);
    }
    text_is(store,
            "SELECT group_concat(repetition || ':' || wall || ':' || cpu) FROM (SELECT * FROM "
            "timings WHERE stage = 'evaluate' ORDER BY repetition)",
            "0:3.0:5.0,1:2.0:6.0,2:1.0:7.0");
    text_is(store, "SELECT group_concat(repetition || ':' || busy) FROM repetitions",
            "0:1,1:0,2:0");
    text_is(store,
            "SELECT wall || ':' || cpu || ':' || repetitions || ':' || longest FROM stage_times "
            "WHERE stage = 'evaluate'",
            "1.0:5.0:3:3.0");
    text_is(store,
            "SELECT (SELECT count(*) FROM points) || (SELECT count(*) FROM layers) || (SELECT "
            "count(*) FROM metrics) || (SELECT count(*) FROM blocks) || (SELECT count(*) FROM "
            "exceptions)",
            "12211");
    text_is(store, "SELECT count(*) FROM pragma_foreign_key_check", "0");
    store_close(store);
}

/* What fails changes nothing: neither an attempt over a finished point nor a bad record. */
static void failures_keep_them(void **state)
{
    struct store *store = open_writer();
    struct sample s;
    sample_init(&s, 1);
    sample_store(store, &s, 0);
    sample_init(&s, 1);
    s.point.status = "failed";
    s.point.error = "no";
    s.point.timing_count = 0;
    assert_int_not_equal(store_write_point(store, &s.point, 0), 0);
    s.point.status = "done";
    s.point.timing_count = 2;
    s.point.exception_count = 2; /* the second is the first once more */
    s.exceptions[1] = s.exceptions[0];
    assert_int_not_equal(store_write_point(store, &s.point, 0), 0);
    text_is(store,
            "SELECT status || (SELECT group_concat(repetition || stage) FROM timings) || (SELECT "
            "count(*) FROM repetitions) FROM points",
            "done0evaluate,0load1");
    sample_release(&s);
    store_close(store);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(rows_are_there),
        TEST(timings_are_kept),
        TEST(failures_keep_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
