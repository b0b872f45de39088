/* Every plot of plots.list that reads the database: drawn from a database made by hand, with texts
 * that are hard to print, failed points and exceptions; in all formats, and without a word from
 * gnuplot. */
#include "core/file.h"
#include "core/mem.h"
#include "harness/plot_internal.h"
#include "harness/store_internal.h"
#include "tests/need_gnuplot.h"
#include "tests/store_sample.h"

static const char hard[] = "it's \"x_1\"\t{a^b} \\n %s $1 `ls` äöü 50% @ # &<b>\\";

/* What the sweeps are about. */
struct settings {
    const char *method;
    double low_frac;
    int block_size, group_size, samples, seed;
    const char *corpus;
    bool failed;
};

static const struct settings points[] = {
    {.method = "full"},
    {.method = "pb-llm", .low_frac = 0.5, .samples = 8, .corpus = "kjv"},
    {.method = "pb-llm", .low_frac = 0.9, .samples = 8, .corpus = "kjv"},
    {.method = "pb-llm", .low_frac = 0.9, .samples = 8, .corpus = "kjv", .seed = 1},
    {.method = "pb-llm", .low_frac = 0.9, .samples = 32, .corpus = "kjv"},
    {.method = "pb-llm", .low_frac = 0.5, .samples = 8, .corpus = hard},
    {.method = "gptq", .block_size = 64, .samples = 8, .corpus = "kjv"},
    {.method = "gptq", .block_size = 128, .samples = 8, .corpus = "kjv"},
    {.method = "gptq", .block_size = -1, .samples = 8, .corpus = "kjv"},
    {.method = "gptq", .block_size = 32, .group_size = 32, .samples = 8, .corpus = "kjv"},
    {.method = "gptq", .block_size = 64, .group_size = 64, .samples = 8, .corpus = "kjv"},
    {.method = "new%s", .block_size = 64, .samples = 16, .corpus = "kjv"},
    {.method = "billm", .block_size = 64, .samples = 8, .corpus = "kjv", .failed = true},
};
enum { POINTS = sizeof points / sizeof *points };

static json_t *settings_of(const struct settings *s)
{
    json_t *options = json_object();
    if (strcmp(s->method, "full") == 0)
        return json_pack("{s:s, s:o}", "method", "full", "options", options);
    if (s->low_frac > 0)
        json_object_set_new(options, "low_frac", json_real(s->low_frac));
    if (s->block_size)
        json_object_set_new(options, "block_size", json_integer(s->block_size));
    if (s->group_size)
        json_object_set_new(options, "group_size", json_integer(s->group_size));
    return json_pack("{s:s, s:o, s:{s:s, s:i, s:i, s:i, s:s}}", "method", s->method, "options",
                     options, "calibration", "corpus", s->corpus, "samples", s->samples, "length",
                     64, "seed", s->seed, "hash", "aa");
}

static void write_point(struct store *store, int i)
{
    const struct settings *wanted = &points[i];
    struct sample s;
    char label[160];
    sample_init(&s, i);
    json_decref(s.point.settings);
    s.point.settings = settings_of(wanted);
    snprintf(label, sizeof label, "%s %d%s", wanted->method, i, i % 2 ? hard : "");
    s.point.label = label;
    s.point.method = wanted->method;
    s.point.paper_bits = 1 + 0.3 * i;
    s.point.stored_bits = 2 + 0.4 * i;
    s.metrics[0].value = 20 + 3 * i;
    s.metrics[0].low = s.metrics[0].value * 0.95;
    s.metrics[0].high = s.metrics[0].value * 1.05;
    s.metrics[0].dataset = hard;
    s.metrics[1].dataset = i % 3 ? "kjv_half" : hard;
    if (i == 0) {
        s.point.weights = 0;
        s.point.layer_count = s.point.block_count = s.point.exception_count = 0;
        s.point.stored_bits = s.point.paper_bits = NAN;
    }
    if (i % 2)
        s.point.exception_count = 0;
    if (wanted->failed) {
        s.point.status = "failed";
        s.point.error = "NaN";
        s.point.metric_count = s.point.layer_count = s.point.timing_count = 0;
        s.point.block_count = s.point.exception_count = 0;
    }
    sample_store(store, &s, i);
}

static void write_points(int first, int count)
{
    struct store *store = open_writer();
    for (int i = first; i < first + count; i++)
        write_point(store, i);
    store_close(store);
}

struct seen {
    int drawn, left_out;
    char reason[512];
};

static void take(void *context, const char *path, const char *reason)
{
    struct seen *seen = context;
    seen->drawn += path != NULL;
    seen->left_out += reason != NULL;
    if (reason)
        snprintf(seen->reason, sizeof seen->reason, "%s", reason);
}

static int from_database(const struct plot_entry *entry)
{
    return strcmp(entry->source, "database") == 0;
}

/* gnuplot's own words: of a block without rows for one method in one panel it always says so; there
 * must be no others. */
static void draw_quietly(const struct plot_list *list, const char *name, struct store *store)
{
    char path[256], output[160], script_path[160], words[160], command[512], line[512];
    struct strbuf text = {0}, lacking = {0};
    snprintf(path, sizeof path, "%s/%s.gp", list->folder, name);
    snprintf(output, sizeof output, "%s/quiet.svg", folder);
    snprintf(script_path, sizeof script_path, "%s/quiet.gp", folder);
    snprintf(words, sizeof words, "%s/quiet.words", folder);
    const struct plot_script script = {.path = path,
                                       .experiment = "trial",
                                       .format = "svg",
                                       .output = output,
                                       .folder = list->folder,
                                       .store = store};
    if (plot_script_build(&script, &text, &lacking) != 0)
        fail_msg("%s", err_text());
    if (lacking.length)
        fail_msg("%s lacks data: %s", name, lacking.data);
    FILE *file = fopen(script_path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text.data, 1, text.length, file), text.length);
    fclose(file);
    /* In the C locale gnuplot warns that "set encoding utf8" finds no degree sign. */
    snprintf(command, sizeof command, "LC_ALL=C.UTF-8 gnuplot < %s > /dev/null 2> %s", script_path,
             words);
    assert_int_equal(system(command), 0);
    file = fopen(words, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file))
        if (strstr(line, "arning") && !strstr(line, "Skipping data file with no valid points"))
            fail_msg("%s: gnuplot says %s", name, line);
    fclose(file);
    strbuf_release(&text);
    strbuf_release(&lacking);
}

/* The views are made as plot_draw makes them. */
static struct store *open_with_views(const struct plot_list *list)
{
    char path[256], *views;
    struct store *store;
    snprintf(path, sizeof path, "%s/views.sql", list->folder);
    assert_int_equal(file_read(path, &views, NULL), 0);
    assert_int_equal(store_open(&store, database, 0), 0);
    if (store_execute(store, views) != 0)
        fail_msg("%s", err_text());
    mem_free(views);
    return store;
}

static void test_without_warnings(void **state)
{
    struct plot_list list;
    need_gnuplot();
    write_points(0, POINTS);
    assert_int_equal(plot_list_load(&list), 0);
    struct store *store = open_with_views(&list);
    for (int i = 0; i < list.count; i++)
        if (from_database(&list.entries[i]))
            draw_quietly(&list, list.entries[i].name, store);
    store_close(store);
    plot_list_release(&list);
}

static int occurrences(const char *text, const char *part)
{
    int count = 0;
    for (const char *at = text; (at = strstr(at, part)); at += strlen(part))
        count++;
    return count;
}

/* A name and a description, text as text, a font that is everywhere. */
static void check_svg(const char *path, const char *what)
{
    char *svg, part[300];
    if (file_read(path, &svg, NULL) != 0)
        fail_msg("%s", err_text());
    assert_non_null(strstr(svg, "<svg role=\"img\" aria-labelledby=\"title desc\""));
    snprintf(part, sizeof part, "<desc id=\"desc\">%.20s", what);
    assert_non_null(strstr(svg, part));
    assert_int_equal(occurrences(svg, "<title"), 1);
    assert_null(strstr(svg, "Gnuplot"));
    assert_null(strstr(svg, "font-family=\"DejaVu Sans\""));
    assert_true(occurrences(svg, "<text") > 3);
    assert_null(strstr(svg, "<b>")); /* of the labels */
    mem_free(svg);
}

/* No entry of a key is left out for want of room, whatever the number of points. */
static void check_key(const char *path, const char *part, int count)
{
    char *svg;
    if (file_read(path, &svg, NULL) != 0)
        fail_msg("%s", err_text());
    if (occurrences(svg, part) != count)
        fail_msg("%s has %d of %d '%s'", path, occurrences(svg, part), count, part);
    mem_free(svg);
}

static void test_key(void **state)
{
    char path[160];
    struct seen seen = {0};
    const struct plot_request request = {
        .name = "block-drift", .database = database, .format = "svg", .folder = folder};
    need_gnuplot();
    for (int count = 1; count <= 16; count += 3) {
        struct store *store = open_writer();
        struct sample s;
        char label[64];
        for (int i = 0; i < count; i++) {
            sample_init(&s, i);
            snprintf(label, sizeof label, "rtn %.*s bits=%d", 2 * count,
                     "group_size=128 sym=true mse", i);
            s.point.label = label;
            sample_store(store, &s, i);
        }
        store_close(store);
        if (plot_draw(&request, take, &seen) != 0)
            fail_msg("%s", err_text());
        snprintf(path, sizeof path, "%s/trial-block-drift.svg", folder);
        check_key(path, " bits=", count);
        unlink(database);
    }
}

static void test_all_formats(void **state)
{
    static const char *const formats[] = {"svg", "png", "pdf"};
    char pictures[96], path[300];
    struct plot_list list;
    need_gnuplot();
    write_points(0, POINTS);
    snprintf(pictures, sizeof pictures, "%s/pictures", folder);
    assert_int_equal(plot_list_load(&list), 0);
    for (int f = 0; f < 3; f++)
        for (int i = 0; i < list.count; i++) {
            struct seen seen = {0};
            const struct plot_request request = {.name = list.entries[i].name,
                                                 .database = database,
                                                 .format = formats[f],
                                                 .folder = pictures};
            if (!from_database(&list.entries[i]))
                continue;
            if (plot_draw(&request, take, &seen) != 0)
                fail_msg("%s", err_text());
            assert_int_equal(seen.drawn, 1);
            snprintf(path, sizeof path, "%s/trial-%s.%s", pictures, request.name, formats[f]);
            assert_true(file_exists(path));
            if (f == 0)
                check_svg(path, list.entries[i].what);
        }
    plot_list_release(&list);
}

/* A single point has no line: the sweeps say which spec to run, the rest is drawn. */
static void test_one_point(void **state)
{
    struct seen seen = {0};
    char pictures[96];
    need_gnuplot();
    write_points(7, 1);
    snprintf(pictures, sizeof pictures, "%s/pictures", folder);
    struct plot_request request = {
        .name = "perplexity-salient", .database = database, .format = "svg", .folder = pictures};
    expect_error(plot_draw(&request, take, &seen), ERR_MISSING,
                 "bitbench run experiments/sweep-salient-fraction.yaml");
    static const char *const drawn[] = {"perplexity-bits", "perplexity-paper-bits", "bits-ledger",
                                        "accuracy-task",   "layer-error",           "block-drift",
                                        "stage-time"};
    for (int i = 0; i < 7; i++) {
        request.name = drawn[i];
        if (plot_draw(&request, take, &seen) != 0)
            fail_msg("%s", err_text());
    }
    assert_int_equal(seen.drawn, 7);
}

static void expect_rows(struct store *store, const char *sql, const char *want)
{
    struct strbuf got = {0};
    sqlite3_stmt *statement = NULL;
    int row;
    if (store_prepare(store, &statement, sql) != 0)
        fail_msg("%s", err_text());
    while (store_step(store, statement, &row) == 0 && row) {
        for (int i = 0; i < sqlite3_column_count(statement); i++)
            assert_int_equal(strbuf_printf(&got, "%s%s", i ? "|" : "",
                                           (const char *)sqlite3_column_text(statement, i)),
                             0);
        assert_int_equal(strbuf_puts(&got, "\n"), 0);
    }
    sqlite3_finalize(statement);
    assert_string_equal(got.data ? got.data : "", want);
    strbuf_release(&got);
}

/* Points that differ in the swept setting make a line; two seeds are one place, their mean and
 * range; lines of a single place are none. */
static void test_sweeps(void **state)
{
    struct plot_list list;
    write_points(0, POINTS);
    assert_int_equal(plot_list_load(&list), 0);
    struct store *store = open_with_views(&list);
    expect_rows(store,
                "SELECT name, printf('%.1f', x), value, low, high, points FROM sweep_perplexities "
                "WHERE sweep = 'salient' ORDER BY number, x",
                "pb-llm|0.1|27.5|26.0|29.0|2\npb-llm|0.5|23.0|21.85|24.15|1\n");
    expect_rows(store,
                "SELECT name, x, value, variant FROM sweep_perplexities WHERE sweep = 'block' "
                "ORDER BY number, x",
                "gptq|-1|44.0|0\ngptq|64|38.0|0\ngptq|128|41.0|0\n"
                "gptq group_size=block_size|32|47.0|1\ngptq group_size=block_size|64|50.0|1\n");
    expect_rows(store,
                "SELECT name, x, points FROM sweep_perplexities WHERE sweep = 'samples' "
                "ORDER BY number, x",
                "pb-llm|8|2\npb-llm|32|1\n");
    expect_rows(store,
                "SELECT count(*), min(x), max(x) FROM sweep_perplexities WHERE sweep = 'corpus'",
                "2|1|2\n");
    expect_rows(store, "SELECT count(*) FROM unmeasured", "1\n");
    store_close(store);
    plot_list_release(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_without_warnings, setup, teardown),
        cmocka_unit_test_setup_teardown(test_all_formats, setup, teardown),
        cmocka_unit_test_setup_teardown(test_key, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_point, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sweeps, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
