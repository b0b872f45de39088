/* The report's sections on what the harness records beside the results, its colours, and its size.
 */
#include "tests/report_sample.h"

static char *search_path;

/* No gnuplot: the plots are tested elsewhere. */
static int setup_plain(void **state)
{
    mem_free(search_path);
    if (setup(state) != 0 || mem_strdup(&search_path, getenv("PATH")) != 0)
        return -1;
    return setenv("PATH", folder, 1);
}

static int teardown_plain(void **state)
{
    setenv("PATH", search_path, 1);
    mem_free(search_path);
    search_path = NULL;
    return teardown(state);
}

static void execute(struct store *store, const char *sql)
{
    if (store_execute(store, sql) != 0)
        fail_msg("%s", err_text());
}

/* Point 2 of two: everything that the schema has a place for, with values that are easy to tell. */
static const char extras[] =
    "UPDATE metrics SET kl_divergence = 0.0625, kl_error = 0.0125, same_top = 0.875, overlap = "
    "0.0712, overlap_allowed = 1 WHERE kind = 'perplexity' AND point_id LIKE '%2';"
    "UPDATE points SET settings = json_set(settings, '$.calibration', "
    "json('{\"corpus\":\"here\"}')) "
    "WHERE id LIKE '%2';"
    "UPDATE items SET correct = 1 - correct, choice = 7 - choice WHERE metric_id IN (SELECT id "
    "FROM "
    "metrics WHERE kind = 'accuracy' AND point_id LIKE '%2');"
    "UPDATE layers SET condition = 1234000, salient = 0.125, split = 0.4321, damping = 0.015, "
    "damping_raised = 1 WHERE point_id LIKE '%2';"
    "INSERT OR REPLACE INTO blocks SELECT id, 0, 0.1111, 0.99 FROM points WHERE id LIKE '%2';"
    "INSERT OR REPLACE INTO blocks SELECT id, 1, 0.2222, 0.98 FROM points WHERE id LIKE '%2';"
    "INSERT OR REPLACE INTO exceptions SELECT id, 0, 'mlp.up_proj', 'group', 'asked 128, took 8: "
    "not divisible' FROM points WHERE id LIKE '%2';"
    "INSERT OR REPLACE INTO exceptions SELECT id, 1, 'mlp.up_proj', 'group', 'asked 128, took 8: "
    "not divisible' FROM points WHERE id LIKE '%2';"
    "DELETE FROM repetitions;"
    "INSERT INTO repetitions SELECT id, 0, '2026-01-01T00:00:00Z', 2, 3.5, 4.5, 1 FROM points "
    "WHERE id LIKE '%2';"
    "UPDATE points SET saved = 12.25 WHERE id LIKE '%2';";

static void test_extras(void **state)
{
    struct strbuf page = {0};
    struct store *store = open_writer();
    put(store, 1, "full", 0, 0);
    put(store, 2, "rtn bits=2", 0.1, 0);
    execute(store, extras);
    store_close(store);
    write_page(&page);
    is_balanced(page.data);
    page_holds(&page, "<td>0.0625</td><td>0.0125</td><td>87.5 %</td>");
    /* items 0 and 1 of the full model: wrong and right, here the other way round */
    page_holds(&page, "<td>2</td><td>1</td><td>1</td><td>100.0 %</td><td>+0.0</td>");
    page_holds(&page,
               "<td>7.12 %</td><td class=\"text\">above the limit, allowed by the spec</td>");
    page_holds(&page, "<td>1.23e+06</td>");
    page_holds(&page, "<td>2</td><td>12.5 %</td><td>0.4321</td><td>0.015</td><td>2</td>");
    page_holds(&page, "<td>0.111</td><td>0.222</td>");
    page_holds(&page, "<td>2</td><td class=\"wrap\">asked 128, took 8: not divisible</td>"
                      "<td class=\"wrap\">0.mlp.up_proj, 1.mlp.up_proj</td>");
    page_holds(&page, "<td>3.5 → 4.5</td><td class=\"text\">⚠ busy</td><td>12.25</td>");
    strbuf_release(&page);
}

/* An experiment without layers, tasks or times, and one where nothing succeeded. */
static void test_nothing(void **state)
{
    struct strbuf page = {0};
    struct sample s;
    struct store *store = open_writer();
    sample_init(&s, 1);
    s.point.method = s.point.label = "full";
    s.point.weights = 0;
    s.point.metric_count = s.point.layer_count = s.point.timing_count = 0;
    sample_store(store, &s, 1);
    put_failed(store, 2, "nothing worked");
    execute(store, "DELETE FROM blocks; DELETE FROM exceptions");
    store_close(store);
    write_page(&page);
    is_balanced(page.data);
    page_holds(&page, "No divergence from full precision");
    page_holds(&page, "Nothing was quantized.");
    page_holds(&page, "No layer was quantized.");
    page_holds(&page, "No times were recorded.");
    page_holds(&page, "There is no full-precision point");
    page_holds(&page, "nothing worked");
    strbuf_release(&page);
}

/* 500 points: every one is there, and the page stays of a size that can be sent. */
static void test_many(void **state)
{
    enum { POINTS = 500 };
    struct strbuf page = {0};
    struct store *store = open_writer();
    char label[32];
    int rows = 0;
    put(store, 1, "full", 0, 0);
    for (int i = 2; i <= POINTS; i++) {
        snprintf(label, sizeof label, "rtn number=%d", i);
        put(store, i, label, 0.001 * i, 0);
    }
    execute(store, "UPDATE layers SET condition = 10; INSERT OR REPLACE INTO exceptions SELECT id, "
                   "0, 'x', 'nan', 'y' FROM points");
    store_close(store);
    write_page(&page);
    is_balanced(page.data);
    for (const char *at = page.data; (at = strstr(at, "<summary>rtn number=")); at++)
        rows++;
    assert_int_equal(rows, POINTS - 1);
    if (page.length > 4u << 20)
        fail_msg("%zu bytes", page.length);
    strbuf_release(&page);
}

/* ---- contrast, by WCAG 2: (lighter + 0.05) / (darker + 0.05) of the relative luminances ---- */

static double luminance(const char *colour)
{
    static const double weights[3] = {0.2126, 0.7152, 0.0722};
    const size_t digits = strspn(colour + 1, "0123456789abcdef");
    const long value = strtol(colour + 1, NULL, 16);
    double sum = 0;
    assert_true(colour[0] == '#' && (digits == 3 || digits == 6));
    for (int i = 0; i < 3; i++) {
        long part = digits == 6 ? value >> (16 - 8 * i) & 255 : (value >> (8 - 4 * i) & 15) * 17;
        double share = (double)part / 255;
        sum += weights[i] * (share <= 0.03928 ? share / 12.92 : pow((share + 0.055) / 1.055, 2.4));
    }
    return sum;
}

/* The value of --name in the style's palette; dark ones fall back to the light palette's. */
static const char *colour_of(const char *style, const char *name, int dark)
{
    char wanted[16];
    const char *begin = dark ? strstr(style, "(prefers-color-scheme:dark){:root{") : style;
    snprintf(wanted, sizeof wanted, "--%s:", name);
    const char *at = strstr(begin, wanted);
    if (!at || at > strchr(begin, '}'))
        at = strstr(style, wanted);
    assert_non_null(at);
    return at + strlen(wanted);
}

static double contrast(const char *style, const char *a, const char *b, int dark)
{
    double x = luminance(colour_of(style, a, dark)), y = luminance(colour_of(style, b, dark));
    return (fmax(x, y) + 0.05) / (fmin(x, y) + 0.05);
}

static void test_contrast(void **state)
{
    static const struct {
        const char *ink, *ground;
        double least; /* 4.5 for text, 3 for what is drawn or focused (WCAG 2.1, AA) */
    } pairs[] = {{"ink", "page", 4.5}, {"ink", "panel", 4.5}, {"ink", "best", 4.5},
                 {"ink", "near", 4.5}, {"soft", "page", 4.5}, {"soft", "panel", 4.5},
                 {"bad", "page", 4.5}, {"link", "page", 4.5}, {"link", "panel", 4.5},
                 {"link", "page", 3},  {"ink", "c0", 3},      {"c3", "panel", 3}};
    struct strbuf page = {0};
    struct store *store = open_writer();
    put(store, 1, "full", 0, 0);
    store_close(store);
    write_page(&page);
    const char *style = strstr(page.data, "<style>");
    assert_true(fabs(luminance("#fff") - 1) < 1e-12 && luminance("#000000") < 1e-12);
    assert_true(fabs(luminance("#808080") - 0.21586) < 1e-4);
    for (int dark = 0; dark < 2; dark++)
        for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
            double ratio = contrast(style, pairs[i].ink, pairs[i].ground, dark);
            if (ratio < pairs[i].least)
                fail_msg("%s on %s, %s: %.2f to 1", pairs[i].ink, pairs[i].ground,
                         dark ? "dark" : "light", ratio);
        }
    strbuf_release(&page);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_plain, teardown_plain)
    const struct CMUnitTest tests[] = {TEST(test_extras), TEST(test_nothing), TEST(test_many),
                                       TEST(test_contrast)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
