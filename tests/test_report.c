/* The HTML report: whole, harmless, with the numbers that are in the database. */
#include "core/mem.h"
#include "harness/spec.h"
#include "harness/store_internal.h"
#include "tests/report_sample.h"

#define EVIL "<script>alert(1)</script> & \"it's\" </svg> <b"

/* Each id once; what names a picture is there. */
static void ids_are_unique(const char *page)
{
    for (const char *at = page; (at = strstr(at, " id=")); at++) {
        char id[80];
        int length = (int)strcspn(at + 5, "'\""), count = 0;
        snprintf(id, sizeof id, " id=%c%.*s%c", at[4], length, at + 5, at[4]);
        for (const char *other = page; (other = strstr(other, id)); other++)
            count++;
        if (count != 1)
            fail_msg("%s is there %d times", id, count);
    }
    int pictures = 0;
    for (const char *at = page; (at = strstr(at, "<svg ")); at++, pictures++) {
        char label[32], wanted[48];
        assert_int_equal(sscanf(at, "<svg role=\"img\" aria-labelledby=\"%31s", label), 1);
        snprintf(wanted, sizeof wanted, "<title id=\"%s\">", label);
        if (!strstr(at, wanted))
            fail_msg("a picture has no name: %s", wanted);
    }
    assert_true(pictures >= 1);
}

/* No address but the names of XML's spaces. */
static void is_self_contained(const char *page)
{
    for (const char *at = page; (at = strstr(at, "://")); at++)
        if (strncmp(at, "://www.w3.org/", 14) != 0)
            fail_msg("an address: %.60s", at - 6);
    assert_null(strstr(page, "src="));
    assert_null(strstr(page, "@import"));
}

/* The policy names the hash of exactly what stands in <script>, by another program's reckoning. */
static void script_is_allowed(const char *page)
{
    char command[160], wanted[96], code[64] = "";
    const char *begin = strstr(page, "<script>") + strlen("<script>");
    const char *end = strstr(begin, "</script>");
    assert_true(begin && end && *end);
    assert_null(memchr(begin, '<', (size_t)(end - begin)));
    snprintf(command, sizeof command, "openssl dgst -sha256 -binary %s/script 2>/dev/null | base64",
             folder);
    snprintf(wanted, sizeof wanted, "%s/script", folder);
    FILE *file = fopen(wanted, "we");
    fwrite(begin, 1, (size_t)(end - begin), file);
    fclose(file);
    FILE *pipe = popen(command, "re");
    if (!pipe || fscanf(pipe, "%63s", code) != 1) {
        print_message("skipped: openssl is not here, the policy's hash was not compared\n");
    } else {
        snprintf(wanted, sizeof wanted, "'sha256-%.50s'", code);
        assert_non_null(strstr(page, wanted));
    }
    if (pipe)
        pclose(pipe);
}

static void test_page(void **state)
{
    struct strbuf page = {0}, again = {0};
    struct store *store = open_writer();
    put(store, 1, "full", 0, 0);
    put(store, 2, "rtn best", 0.1, 0);
    put(store, 3, "rtn near", 0.1, 1);
    put(store, 4, "rtn far", 0.5, 0);
    put_failed(store, 5, "NaN in block 3");
    store_close(store);
    write_page(&page);
    is_balanced(page.data);
    ids_are_unique(page.data);
    is_self_contained(page.data);
    script_is_allowed(page.data);
    page_holds(&page, "<h1>A trial</h1>");
    page_holds(&page, "<span class=\"bad\">1 failed</span>");
    page_holds(&page, "NaN in block 3");
    /* exp of the mean loss; the near one wins half of the windows, the far one none */
    page_holds(&page, "<td class=\"best\">★ 26.98");
    page_holds(&page, "<td class=\"near\">≈ 26.98");
    page_holds(&page, "<td>40.25");
    page_holds(&page, "<td>× 1.649</td>"); /* exp(0.5) */
    page_holds(&page, "<td>40 of 40</td>");
    /* 2 bits by the paper; two layers of 32 weights with 8 and 16 bytes each, 8 bytes of layers
     * left alone, 16 of embedding and 8 of norms in a file of 84 bytes */
    page_holds(&page, "<td>2.000</td><td>6.000</td><td>4.000</td><td>7.000</td><td>6.000</td>");
    page_holds(&page, "<td>2.000</td><td>4.000</td><td>1.000</td><td>2.000</td><td>1.000</td>");
    page_holds(&page, "<rect class=\"k10\""); /* 4 bytes that nothing explains */
    page_holds(&page, "kjv, test split, rule windows, windows of 8 tokens");
    page_holds(&page, "cpu=none");
    write_page(&again);
    assert_string_equal(page.data, again.data);
    strbuf_release(&page);
    strbuf_release(&again);
}

/* Whatever a database says, it stays text. */
static void test_evil(void **state)
{
    struct strbuf page = {0};
    struct sample s;
    struct store *store = open_writer();
    assert_int_equal(store_experiment(store, "trial", EVIL, EVIL, "# " EVIL "\n" EVIL), 0);
    put(store, 1, EVIL, 0, 0);
    put_failed(store, 5, EVIL);
    sample_init(&s, 7);
    s.point.label = s.point.method = s.point.model = s.point.model_hash = EVIL;
    s.point.warnings = s.point.started = EVIL;
    json_object_set_new(s.point.settings, "options", json_pack("{s:s}", EVIL, EVIL));
    json_object_set_new(s.point.host, EVIL, json_string(EVIL));
    s.layers[0].name = s.layers[1].name = EVIL;
    for (int i = 0; i < 2; i++) {
        s.metrics[i].dataset = s.metrics[i].split = s.metrics[i].rule = EVIL;
        s.metrics[i].data_hash = EVIL;
        s.timings[i].stage = i ? EVIL : "total";
    }
    sample_store(store, &s, 7);
    store_close(store);
    write_page(&page);
    is_balanced(page.data);
    ids_are_unique(page.data);
    page_holds(&page, "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;it&#39;s&quot;");
    strbuf_release(&page);
}

/* Writes a spec into the test's folder and reads it. */
static void load_spec(struct experiment *experiment, const char *text, size_t length)
{
    char path[96];
    snprintf(path, sizeof path, "%s/x.yaml", folder);
    FILE *file = fopen(path, "we");
    fwrite(text, 1, length, file);
    fclose(file);
    *experiment = (struct experiment){0};
    if (spec_load(experiment, path, NULL, 0) != 0)
        fail_msg("%s", err_text());
}

/* The spec that the page shows for its first point. */
static void load_shown(struct experiment *experiment, char *page)
{
    static const char head[] = "&#39;END&#39;\n";
    char *begin = strstr(page, head), *end = strstr(page, "\nEND\n");
    size_t length = 0;
    assert_true(begin && end && end > begin);
    begin += strlen(head);
    for (char *at = begin; at <= end; at++) {
        int quote = strncmp(at, "&quot;", 6) == 0;
        begin[length++] = quote ? '"' : *at;
        at += quote ? 5 : 0;
    }
    load_spec(experiment, begin, length);
}

/* The spec under each point means the point: read again it has the same settings. */
static void means_the_point(const char *entry)
{
    struct experiment experiment, single;
    struct strbuf page = {0}, spec = {0};
    struct sample s;
    json_t *settings, *wanted;
    assert_int_equal(
        strbuf_printf(&spec,
                      "name: trial\nmodel: embedded\n"
                      "calibration: {corpus: kjv, samples: 3, length: 64, seed: 9}\n"
                      "evaluation:\n  perplexity:\n    - {corpus: kjv, window: 100, windows: 4}\n"
                      "  tasks:\n    - {task: kjv_half, items: 7, seed: 5}\nmethods:\n  - %s\n",
                      entry),
        0);
    load_spec(&experiment, spec.data, spec.length);
    assert_int_equal(experiment.point_count, 1);
    assert_int_equal(point_settings(&experiment.points[0], &settings), 0);
    wanted = json_deep_copy(settings);
    json_object_set_new(settings, "evaluation",
                        json_pack("{s:[{s:s,s:i,s:i,s:i,s:s}],s:[{s:s,s:i,s:s,s:i,s:s,s:i}]}",
                                  "texts", "corpus", "kjv", "split", 2, "window", 100, "windows", 4,
                                  "hash", "ab", "questions", "task", "kjv_half", "version", 2,
                                  "scoring", "pmi", "items", 7, "hash", "cd", "seed", 5));
    json_object_set_new(json_object_get(settings, "calibration"), "hash", json_string("ef"));
    struct store *store = open_writer();
    sample_init(&s, 1);
    json_decref(s.point.settings);
    s.point.settings = settings;
    s.point.method = json_string_value(json_object_get(wanted, "method"));
    s.point.metric_count = 0;
    sample_store(store, &s, 0);
    store_close(store);
    write_page(&page);
    load_shown(&single, page.data);
    assert_int_equal(single.point_count, 1);
    assert_int_equal(point_settings(&single.points[0], &settings), 0);
    if (!json_equal(settings, wanted))
        fail_msg("%s", json_dumps(settings, 0));
    assert_int_equal(single.perplexities[0].windows, 4);
    assert_int_equal(single.perplexities[0].split, 2);
    assert_int_equal(single.choices[0].items, 7);
    assert_int_equal(single.choices[0].seed, 5);
    json_decref(settings);
    json_decref(wanted);
    experiment_release(&experiment);
    experiment_release(&single);
    strbuf_release(&page);
    strbuf_release(&spec);
}

static void test_again(void **state)
{
    means_the_point("{method: pb-llm, low_frac: 0.85, percdamp: 0.015, quant_only: mlp}");
}

static void test_again_with_rules(void **state)
{
    means_the_point("{method: gptq, bits: 2, layers: [{match: [down_proj, fc2], bits: 3}, {blocks: "
                    "[0, -1], method: rtn, bits: 4}, {match: o_proj, blocks: 1-2, skip: true}]}");
}

static void test_again_after(void **state)
{
    means_the_point("{method: billm, block_size: 64, after: {method: prune, share: 0.3}}");
}

/* The page that leads to others: titles and links are escaped, failures counted. */
static void test_index(void **state)
{
    static const char *const names[] = {"trial", "trial"}, *const files[] = {"a&b.html", "b.html"};
    struct strbuf page = {0};
    struct store *store = open_writer();
    assert_int_equal(
        store_experiment(store, "trial", EVIL, "x.yaml", "# Why <it> is\n#\n# asked.\nname: x\n"),
        0);
    put(store, 1, "full", 0, 0);
    put_failed(store, 5, "no");
    if (report_index(store, names, files, 2, &page) != 0)
        fail_msg("%s", err_text());
    store_close(store);
    is_balanced(page.data);
    is_self_contained(page.data);
    page_holds(&page, "<a href=\"a&amp;b.html\">&lt;script&gt;");
    page_holds(&page, "Why &lt;it&gt; is \nasked. </p>");
    page_holds(&page,
               "2 points, <span class=\"bad\">1 failed</span>; model embedded; measured from "
               "2026-01-01T00:00:00Z");
    strbuf_release(&page);
}

/* Without gnuplot the rest is still there; without memory there is an error and nothing is lost. */
static void test_without(void **state)
{
    struct strbuf page = {0};
    struct store *store = open_writer();
    int rc = ERR_MEMORY, k;
    put(store, 1, "full", 0, 0);
    put(store, 2, "rtn best", 0.1, 0);
    store_close(store);
    char *path = NULL;
    assert_int_equal(mem_strdup(&path, getenv("PATH")), 0);
    setenv("PATH", folder, 1);
    write_page(&page);
    page_holds(&page, "gnuplot is not installed");
    page_holds(&page, "<section id=\"again\">");
    is_balanced(page.data);
    strbuf_release(&page);
    assert_int_equal(store_open(&store, database, 0), 0);
    for (k = 1; rc == ERR_MEMORY && k < 2000; k += 1 + k / 16) {
        mem_fail_at(k);
        rc = report_html(store, database, "trial", &page);
        mem_fail_at(0);
        strbuf_release(&page);
    }
    assert_int_equal(rc, 0);
    assert_true(k > 30);
    expect_error(report_html(store, database, "none", &page), ERR_USAGE, "no experiment 'none'");
    store_close(store);
    setenv("PATH", path, 1);
    mem_free(path);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_page),        TEST(test_evil),  TEST(test_again),  TEST(test_again_with_rules),
        TEST(test_again_after), TEST(test_index), TEST(test_without)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
