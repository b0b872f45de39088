/* Plots: whole pictures of all kinds, and one clear line for whatever is in the way. */
#include "core/file.h"
#include "core/mem.h"
#include "harness/plot.h"
#include "harness/plot_internal.h"
#include "tests/need_gnuplot.h"
#include "tests/store_sample.h"

#include <dirent.h>

static char pictures[96];

/* What was reported, and what was left out. */
struct seen {
    int drawn, left_out;
    char last[512], reason[512];
};

static void take(void *context, const char *path, const char *reason)
{
    struct seen *seen = context;
    seen->drawn += path != NULL;
    seen->left_out += reason != NULL;
    snprintf(path ? seen->last : seen->reason, sizeof seen->last, "%s", path ? path : reason);
}

static int plot_setup(void **state)
{
    int rc = setup(state);
    snprintf(pictures, sizeof pictures, "%s/pictures", folder);
    return rc;
}

static int plot_teardown(void **state)
{
    unsetenv("BITBENCH_DATA");
    return teardown(state);
}

/* Full precision and three quantized points, one with a label that is hard to print, one failed. */
static void write_points(void)
{
    struct store *store = open_writer();
    struct sample s;
    for (int i = 0; i < 5; i++) {
        sample_init(&s, i);
        for (int j = 0; j < 2; j++)
            s.layers[j].relative_loss = 0.01 * (i + 1);
        s.metrics[0].value = i == 3 ? 4e5 : 12.0 + i;
        s.metrics[0].low = s.metrics[0].value * 0.9;
        s.metrics[0].high = s.metrics[0].value * 1.1;
        s.point.stored_bits = 5 - i;
        if (i == 0) {
            s.point.label = s.point.method = "full";
            s.point.weights = 0;
            s.point.layer_count = 0;
        } else if (i == 2) {
            s.point.label =
                "it's \"x_1\"\t{a^b} \\n $1 `ls` äöü\n, group_size=128 static_groups=true";
            s.point.method = "another";
        } else if (i == 4) {
            s.point.status = "failed";
            s.point.error = "NaN";
            s.point.metric_count = s.point.layer_count = s.point.timing_count = 0;
        }
        sample_store(store, &s, i);
    }
    store_close(store);
}

static struct plot_request request_for(const char *name, const char *format)
{
    return (struct plot_request){
        .name = name, .database = database, .format = format, .folder = pictures};
}

static int visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int count_files(const char *path)
{
    struct dirent **entries;
    int count = scandir(path, &entries, visible, NULL);
    for (int i = 0; i < count; i++)
        free(entries[i]);
    if (count >= 0)
        free(entries);
    return count < 0 ? 0 : count;
}

/* Begins and ends as a picture of its kind does. */
static void is_picture(const char *path, const char *format)
{
    char *bytes;
    size_t size;
    if (file_read(path, &bytes, &size) != 0)
        fail_msg("%s", err_text());
    assert_true(size > 2000);
    char tail[65] = "";
    memcpy(tail, bytes + size - 64, 64);
    if (strcmp(format, "png") == 0)
        assert_true(memcmp(bytes, "\x89PNG\r\n\x1a\n", 8) == 0 &&
                    memcmp(bytes + size - 8, "IEND", 4) == 0);
    else if (strcmp(format, "svg") == 0)
        assert_true(strstr(bytes, "<svg") && strstr(tail, "</svg>"));
    else
        assert_true(memcmp(bytes, "%PDF-", 5) == 0 && strstr(tail, "%%EOF"));
    mem_free(bytes);
}

static void test_all_kinds(void **state)
{
    static const char *const formats[] = {"svg", "png", "pdf"}, *const names[] = {"perplexity-bits",
                                                                                  "layer-error",
                                                                                  "stage-time"};
    need_gnuplot();
    write_points();
    for (int f = 0; f < 3; f++) {
        struct seen seen = {0};
        struct plot_request request = request_for(NULL, formats[f]);
        if (plot_draw(&request, take, &seen) != 0)
            fail_msg("%s", err_text());
        assert_true(seen.drawn >= 3);
        for (int i = 0; i < 3; i++) {
            char path[160];
            snprintf(path, sizeof path, "%s/trial-%s.%s", pictures, names[i], formats[f]);
            is_picture(path, formats[f]);
        }
        assert_int_equal(count_files(pictures) % seen.drawn, 0); /* nothing temporary stays */
    }
}

/* A single quantized point of a single window, without an interval and without full precision. */
static void test_one_point(void **state)
{
    struct seen seen = {0};
    struct plot_request request = request_for("perplexity-bits", "png");
    struct sample s;
    need_gnuplot();
    struct store *store = open_writer();
    sample_init(&s, 1);
    s.metrics[0].low = s.metrics[0].high = NAN;
    sample_store(store, &s, 0);
    store_close(store);
    if (plot_draw(&request, take, &seen) != 0)
        fail_msg("%s", err_text());
    is_picture(seen.last, "png");
    request.name = "layer-error";
    if (plot_draw(&request, take, &seen) != 0)
        fail_msg("%s", err_text());
    is_picture(seen.last, "png");
}

static void write_text(const char *name, const char *text)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void test_training(void **state)
{
    char path[96];
    struct seen seen = {0};
    struct plot_request request = request_for("training-loss", "svg");
    need_gnuplot();
    snprintf(path, sizeof path, "%s/log.csv", folder);
    request.data = path;
    expect_error(plot_draw(&request, take, &seen), ERR_MISSING, "log.csv: no such file");
    write_text("log.csv",
               "step,tokens,train_loss,validation_loss,kjv_loss,kjv_bits_per_byte,new_loss,"
               "new_bits_per_byte\n1,1000,5,,,,,\n2,2000,4,,,,,\n2,2000,,4.1,4,1.9,,\n"
               "3,3000,3.5,,,,,\n3,3000,,3.6,3.6,1.7,,\n");
    request.database = "/nowhere/x.db"; /* is not needed */
    if (plot_draw(&request, take, &seen) != 0)
        fail_msg("%s", err_text());
    is_picture(seen.last, "svg");
    assert_non_null(strstr(seen.last, "/pictures/training-loss.svg"));
    write_text("log.csv", "step,tokens,train_loss,validation_loss,kjv_loss,kjv_bits_per_byte\n");
    expect_error(plot_draw(&request, take, &seen), ERR_INTERNAL, "has no rows yet");
    write_text("log.csv", "a,b,c\n1,2,3\n");
    expect_error(plot_draw(&request, take, &seen), ERR_INTERNAL, "is no training log");
    assert_int_equal(seen.drawn, 1);
}

/* A matrix's counts, from the file beside the picture; without one there is a model to name. */
static void test_weights(void **state)
{
    char path[96];
    struct seen seen = {0};
    struct plot_request request = request_for("weight-histogram", "svg");
    need_gnuplot();
    expect_error(plot_draw(&request, take, &seen), ERR_MISSING, "--layer BLOCK.NAME");
    snprintf(path, sizeof path, "%s/counts.tsv", folder);
    request.data = path;
    write_text("counts.tsv", "about\tit's \"100%\"\t0.x\t4\t3\t2\t0.5\nbin\t-1\t0\t3\t0\t2\n"
                             "bin\t0\t1\t4\t1\t2\ncolumn\t0\t0.5\t0\ncolumn\t1\t0.25\t1\n"
                             "column\t2\t0.25\t0\n");
    if (plot_draw(&request, take, &seen) != 0)
        fail_msg("%s", err_text());
    is_picture(seen.last, "svg");
    write_text("counts.tsv", "about\tx\t0.x\t4\t3\t2\tnan\n");
    expect_error(plot_draw(&request, take, &seen), ERR_INTERNAL, "all weights are zero");
    write_text("counts.tsv", "a,b\n1,2\n");
    expect_error(plot_draw(&request, take, &seen), ERR_INTERNAL, "is not what bitbench plot");
    assert_int_equal(seen.drawn, 1);
}

static void test_wrong_requests(void **state)
{
    struct seen seen = {0};
    struct plot_request request = request_for("perplexity", "svg");
    write_points();
    expect_error(plot_draw(&request, take, &seen), ERR_USAGE, "only perplexity-bits, ");
    request.name = "perplexity-bits";
    request.experiment = "tryal";
    expect_error(plot_draw(&request, take, &seen), ERR_USAGE, "no experiment 'tryal', only trial");
    request.database = "/nowhere/x.db";
    expect_error(plot_draw(&request, take, &seen), ERR_MISSING, "no such database");
    assert_int_equal(seen.drawn + seen.left_out, 0);
}

static int draw_without_gnuplot(const struct plot_request *request, struct seen *seen)
{
    char *path = getenv("PATH"), *kept;
    assert_int_equal(mem_strdup(&kept, path ? path : ""), 0);
    setenv("PATH", folder, 1);
    int rc = plot_draw(request, take, seen);
    setenv("PATH", kept, 1);
    mem_free(kept);
    return rc;
}

/* Without a name every experiment is drawn, under a file name that is one. */
static void test_several_experiments(void **state)
{
    struct seen seen = {0};
    struct plot_request request = request_for("stage-time", "svg");
    need_gnuplot();
    write_points();
    struct store *store = open_writer();
    char id[65];
    int done;
    snprintf(id, sizeof id, "%064d", 1);
    assert_int_equal(store_experiment(store, "other/one", "", "", ""), 0);
    assert_int_equal(store_experiment(store, "without points", "", "", ""), 0);
    assert_int_equal(store_point_done(store, id, "other/one", 0, &done), 0);
    store_close(store);
    assert_int_equal(plot_draw(&request, take, &seen), 0);
    assert_int_equal(seen.drawn, 2);
    assert_int_equal(count_files(pictures), 2);
    char path[160];
    snprintf(path, sizeof path, "%s/other-one-stage-time.svg", pictures);
    is_picture(path, "svg");
    request.experiment = "without points";
    expect_error(plot_draw(&request, take, &seen), ERR_MISSING, "nothing to draw: without points");
}

/* Nothing measured: alone an error, among all a remark. */
static void test_nothing_to_draw(void **state)
{
    struct seen seen = {0};
    struct plot_request request = request_for("perplexity-bits", "svg");
    store_close(open_writer());
    expect_error(plot_draw(&request, take, &seen), ERR_MISSING, "nothing to draw");
    request.name = "all";
    int rc = draw_without_gnuplot(&request, &seen);
    assert_true(rc == 0 || rc == ERR_MISSING); /* where the embedded model's log is there to draw */
    assert_true(seen.left_out >= 3 && seen.drawn == 0);
    assert_int_equal(count_files(pictures), 0);
}

static void test_no_gnuplot(void **state)
{
    struct seen seen = {0};
    struct plot_request request = request_for("stage-time", "svg");
    write_points();
    int rc = draw_without_gnuplot(&request, &seen);
    expect_error(rc, ERR_MISSING, "apt-get install gnuplot-nox");
    assert_int_equal(count_files(pictures), 0);
}

/* A data folder of our own with one plot of this text. */
static void own_plot(const char *text)
{
    char path[160];
    snprintf(path, sizeof path, "%s/plots", folder);
    assert_int_equal(file_make_directories(path), 0);
    write_text("plots/plots.list", "# a comment\n\nmine database what it shows\n");
    write_text("plots/common.gp", "one = 1\n");
    write_text("plots/views.sql", "CREATE TEMP VIEW two AS SELECT 2 AS two;\n");
    write_text("plots/mine.gp", text);
    setenv("BITBENCH_DATA", folder, 1);
}

static int draw_own(const char *text, struct seen *seen)
{
    struct plot_request request = request_for("mine", "svg");
    own_plot(text);
    return plot_draw(&request, take, seen);
}

static void test_broken_scripts(void **state)
{
    struct seen seen = {0};
    char picture[160];
    need_gnuplot();
    write_points();
    assert_int_equal(
        draw_own("#size 400, 300 * one_count\n#list one: SELECT 1\nplot sin(x)\n", &seen), 0);
    snprintf(picture, sizeof picture, "%s/trial-mine.svg", pictures);
    is_picture(picture, "svg");
    expect_error(draw_own("plot sin(x)\nplot 5 * nonesuch\n", &seen), ERR_INTERNAL,
                 "line 2: undefined variable");
    expect_error(draw_own("#sql a: SELECT nonesuch\nplot $a\n", &seen), ERR_INTERNAL,
                 "no such column: nonesuch");
    expect_error(draw_own("#sql a SELECT 1\n", &seen), ERR_FORMAT, "'#sql' is not followed by");
    expect_error(draw_own("#list : SELECT 1\n", &seen), ERR_FORMAT, "'#list' is not followed by");
    expect_error(draw_own("#sql a: DELETE FROM points\n", &seen), ERR_FORMAT, "is not a SELECT");
    expect_error(draw_own("#sql a:\n", &seen), ERR_FORMAT, "is not a SELECT");
    expect_error(draw_own("#sql a: SELECT 1 WHERE 0\n", &seen), ERR_MISSING, "nothing to draw");
    /* Comments, optional blocks, continued lines. */
    assert_int_equal(
        draw_own("# a word\n#+ of text\n#sql a?: SELECT 1\n#+ WHERE 0\nplot a_rows\n", &seen), 0);
    is_picture(picture, "svg"); /* whatever failed, the last good one is there */
    assert_int_equal(count_files(pictures), 1);
    assert_int_equal(seen.drawn, 2);
    write_text("plots/plots.list", "mine\n");
    struct plot_request request = request_for("mine", "svg");
    expect_error(plot_draw(&request, take, &seen), ERR_FORMAT, "'mine' has no source");
}

/* What gnuplot reads for hard texts: no tabs, line ends or quotes that it would take as its own. */
static void test_quoting(void **state)
{
    struct plot_script script = {
        .path = NULL, .experiment = "it's", .format = "svg", .output = "o'o.svg", .folder = "f"};
    struct strbuf text = {0}, lacking = {0};
    char path[160];
    write_points();
    own_plot("#sql a: SELECT 'x' || char(9, 10, 34) || 'y', NULL, 1.5, :experiment\n"
             "#list b: SELECT 'it''s' UNION SELECT 'z'\n");
    snprintf(path, sizeof path, "%s/plots/mine.gp", folder);
    script.path = path;
    assert_int_equal(store_open(&script.store, database, 0), 0);
    if (plot_script_build(&script, &text, &lacking) != 0)
        fail_msg("%s", err_text());
    assert_int_equal(lacking.length, 0);
    assert_non_null(
        strstr(text.data, "$a << END_OF_BLOCK\nx  'y\tNaN\t1.5\tit's\nEND_OF_BLOCK\na_rows = 1\n"));
    assert_non_null(
        strstr(text.data, "b_count = 2\nb_longest = 4\narray b[2]\nb[1] = 'it''s'\nb[2] = 'z'\n"));
    assert_non_null(strstr(text.data, "set output 'o''o.svg'\n"));
    assert_non_null(strstr(text.data, "experiment = 'it''s'\n"));
    store_close(script.store);
    strbuf_release(&text);
    strbuf_release(&lacking);
}

static void test_unwritable(void **state)
{
    struct seen seen = {0};
    struct plot_request request = request_for("stage-time", "svg");
    need_gnuplot();
    write_points();
    write_text("file", "");
    snprintf(pictures, sizeof pictures, "%s/file/pictures", folder);
    expect_error(plot_draw(&request, take, &seen), ERR_IO, "/file");
    request.folder = "/proc/self";
    int rc = plot_draw(&request, take, &seen);
    assert_true(rc == ERR_INTERNAL || rc == ERR_IO);
    assert_int_equal(seen.drawn, 0);
}

static void test_memory(void **state)
{
    struct seen seen = {0};
    struct plot_request request = request_for("stage-time", "svg");
    need_gnuplot();
    write_points();
    for (long k = 1;; k++) {
        mem_fail_at(k);
        int rc = plot_draw(&request, take, &seen), reached = !mem_fail_pending();
        mem_fail_at(0);
        assert_int_equal(rc, reached ? ERR_MEMORY : 0);
        if (!reached)
            break;
    }
    assert_int_equal(seen.drawn, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, plot_setup, plot_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_all_kinds),       TEST(test_one_point),
        TEST(test_training),        TEST(test_wrong_requests),
        TEST(test_no_gnuplot),      TEST(test_broken_scripts),
        TEST(test_quoting),         TEST(test_unwritable),
        TEST(test_memory),          TEST(test_several_experiments),
        TEST(test_nothing_to_draw), TEST(test_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
