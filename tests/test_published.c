/* The papers' numbers: the file is consistent, what may stand beside what, and the printed lines.
 */
#include "core/mem.h"
#include "core/options.h"
#include "harness/known_models.h"
#include "harness/published.h"
#include "harness/spec.h"
#include "harness/table.h"
#include "harness/table_published.h"
#include "tests/expect.h"
#include "tests/store_sample.h"

static const char csv_head[] =
    "paper,table,model,method,kind,settings,bits,dataset,metric,rule,value,note\n";

static void load(struct published *published, struct arena *arena)
{
    if (published_load(published, "results/published.csv", arena) != 0)
        fail_msg("%s", err_text());
}

/* ---- the file ---- */

static bool one_of(const char *text, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(text, *words) == 0)
            return true;
    return false;
}

static void names_are_ours(void **state)
{
    static const char *const papers[] = {"billm", "pb-llm", "onebit", "bitnet", NULL};
    static const char *const kinds[] = {"full", "ptq", "trained", "other", NULL};
    static const char *const datasets[] = {"wikitext2", "ptb", "c4", "c4_gptq", NULL};
    static const char *const task_names[] = {"piqa",       "boolq",    "openbookqa",
                                             "winogrande", "arc_easy", "arc_challenge",
                                             "hellaswag",  "average",  NULL};
    struct arena arena = {0};
    struct published all;
    load(&all, &arena);
    assert_int_equal(all.count, 620);
    for (int i = 0; i < all.count; i++) {
        const struct published_row *r = &all.rows[i];
        bool computed = strcmp(r->kind, "ptq") == 0;
        if (!one_of(r->paper, papers) || !one_of(r->kind, kinds) || !*r->table || !*r->model)
            fail_msg("line %d: %s %s", r->line, r->paper, r->kind);
        if (strcmp(r->metric, "perplexity") == 0 && strcmp(r->paper, "bitnet") != 0)
            assert_true(one_of(r->dataset, datasets) && strcmp(r->rule, "windows") == 0);
        if (strcmp(r->metric, "accuracy") == 0)
            assert_true(one_of(r->dataset, task_names) && r->value > 0 && r->value < 100);
        if (computed || strcmp(r->kind, "full") == 0)
            assert_non_null(known_model_find(r->model));
        if (!computed)
            continue;
        /* The settings are options of the method, and their values are legal. */
        const struct quant_method *method = method_find(r->method);
        assert_non_null(method);
        char settings[300], *rest = NULL;
        snprintf(settings, sizeof settings, "%s", r->settings);
        for (char *word = strtok_r(settings, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
            char *equals = strchr(word, '=');
            assert_non_null(equals);
            *equals = '\0';
            if (options_check(method->options, word, equals + 1, "published") != 0)
                fail_msg("line %d: %s", r->line, err_text());
        }
    }
    arena_release(&arena);
}

/* The printed averages are those of the printed accuracies, but for two of other papers' rows. */
static void averages_are_right(void **state)
{
    struct arena arena = {0};
    struct published all;
    int checked = 0, wrong = 0;
    load(&all, &arena);
    for (int i = 0; i < all.count; i++) {
        const struct published_row *a = &all.rows[i];
        double sum = 0;
        int count = 0;
        if (strcmp(a->dataset, "average") != 0)
            continue;
        for (int k = 0; k < all.count; k++) {
            const struct published_row *b = &all.rows[k];
            if (strcmp(b->metric, "accuracy") == 0 && strcmp(b->dataset, "average") != 0 &&
                strcmp(a->paper, b->paper) == 0 && strcmp(a->table, b->table) == 0 &&
                strcmp(a->model, b->model) == 0 && strcmp(a->method, b->method) == 0 &&
                strcmp(a->kind, b->kind) == 0 && strcmp(a->settings, b->settings) == 0) {
                sum += b->value;
                count++;
            }
        }
        assert_true(count == 6 || count == 7);
        checked++;
        if (fabs(sum / count - a->value) > 0.06) {
            wrong++;
            assert_true(strcmp(a->kind, "other") == 0 && fabs(sum / count - a->value) < 0.2);
        }
    }
    assert_int_equal(checked, 41);
    assert_int_equal(wrong, 2);
    arena_release(&arena);
}

static void refuses(const char *text, const char *expected)
{
    char path[120];
    struct arena arena = {0};
    struct published all;
    snprintf(path, sizeof path, "%s/p.csv", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(published_load(&all, path, &arena), ERR_FORMAT);
    if (!strstr(err_text(), expected))
        fail_msg("'%s' is not in '%s'", expected, err_text());
    arena_release(&arena);
}

static void bad_files_are_refused(void **state)
{
    char text[400];
    refuses("a,b\n", "p.csv:1: the columns have to be paper,");
    snprintf(text, sizeof text, "%sbillm,t,m,full,full,,16,wikitext2,perplexity\n", csv_head);
    refuses(text, "p.csv:2: 9 fields, not 12");
    snprintf(text, sizeof text, "%sbillm,t,m,full,full,,16,w,perplexity,windows,abc,\n", csv_head);
    refuses(text, "p.csv:2: value: 'abc' is not a number");
    snprintf(text, sizeof text, "%sbillm,t,m,full,full,,16,w,perplexity,windows,nan,\n", csv_head);
    refuses(text, "p.csv:2: value");
    snprintf(text, sizeof text, "%s\"billm\",t,m,full,full,,16,w,p,windows,1,\n", csv_head);
    refuses(text, "p.csv:2: quoted");
}

/* ---- what matches ---- */

/* The settings of a point as a run stores them. */
static json_t *settings_of(const char *entry)
{
    char path[120], text[400];
    struct experiment experiment = {0};
    json_t *settings = NULL;
    snprintf(path, sizeof path, "%s/s.yaml", folder);
    snprintf(text, sizeof text,
             "calibration: {corpus: c4, samples: 128, length: 2048, seed: 0, draw: python}\n"
             "methods: [{%s}]\n",
             entry);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    if (spec_load(&experiment, path, NULL, 0) != 0)
        fail_msg("%s", err_text());
    assert_int_equal(point_settings(&experiment.points[0], &settings), 0);
    experiment_release(&experiment);
    return settings;
}

static const struct measured sample = {.model = "facebook/opt-1.3b",
                                       .weights = 1207959552,
                                       .parameters = 1315758080,
                                       .dataset = "c4",
                                       .metric = "perplexity",
                                       .split = "test",
                                       .rule = "windows",
                                       .window = 2048};

/* The values that match ours, as "24.5675 ..."; the settings are released. */
static const char *matches(const struct published *all, struct measured ours, json_t *settings)
{
    static char text[300];
    size_t used = 0;
    ours.settings = settings;
    text[0] = '\0';
    for (int i = 0; i < all->count; i++)
        if (published_matches(&all->rows[i], &ours) && used < sizeof text)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", used ? " " : "",
                                     all->rows[i].text);
    json_decref(settings);
    return text;
}

static void same_experiments_match(void **state)
{
    struct arena arena = {0};
    struct published all;
    struct measured ours = sample;
    load(&all, &arena);
    /* PB-LLM's table 1: metric of salience, error feedback, groups and fraction all count. */
    assert_string_equal(
        matches(&all, ours, settings_of("method: pb-llm, low_frac: 0.9, salient_metric: hessian")),
        "165.6767");
    assert_string_equal(
        matches(&all, ours, settings_of("method: pb-llm, salient_frac: 0.1, group_size: 128")),
        "157.8825");
    assert_string_equal(matches(&all, ours,
                                settings_of("method: pb-llm, low_frac: 0.5, gptq: false, "
                                            "salient_metric: magnitude")),
                        "24.5675");
    ours.dataset = "wikitext2";
    assert_string_equal(matches(&all, ours, settings_of("method: full")), "14.62 14.63");
    assert_string_equal(matches(&all, ours, settings_of("method: rtn, bits: 3")), "13337.38");
    assert_string_equal(matches(&all, ours, settings_of("method: gptq, bits: 3")), "20.97");
    assert_string_equal(matches(&all, ours, settings_of("method: gptq, bits: 2, group_size: 128")),
                        "115.17");
    assert_string_equal(matches(&all, ours, settings_of("method: gptq, bits: 2")), "9500");
    assert_string_equal(matches(&all, ours, settings_of("method: billm")), "69.97");
    ours.model = "/data/OPT-1.3B"; /* a folder of that name with that many parameters */
    assert_string_equal(matches(&all, ours, settings_of("method: billm")), "69.97");
    ours.dataset = "wikitext2_gptq";
    assert_string_equal(matches(&all, ours, settings_of("method: billm")), "69.97");
    /* Accuracy by its rule. */
    ours.model = "huggyllama/llama-7b";
    ours.weights = 6476005376;
    ours.parameters = 6738415616;
    ours.metric = "accuracy";
    ours.dataset = "piqa";
    ours.window = 0;
    ours.rule = "characters";
    assert_string_equal(matches(&all, ours, settings_of("method: billm")), "61.2");
    assert_string_equal(matches(&all, ours, settings_of("method: full")), "77.37");
    ours.rule = "sum";
    assert_string_equal(matches(&all, ours, settings_of("method: billm")), "");
    arena_release(&arena);
}

static void others_do_not(void **state)
{
    struct arena arena = {0};
    struct published all;
    load(&all, &arena);
#define NOT(change, entry)                                                                         \
    do {                                                                                           \
        struct measured ours = sample;                                                             \
        ours.dataset = "wikitext2";                                                                \
        change;                                                                                    \
        assert_string_equal(matches(&all, ours, settings_of(entry)), "");                          \
    } while (0)
    NOT(ours.model = "facebook/opt-350m", "method: billm");
    NOT(ours.model = "opt-1.3b-mine", "method: billm");
    NOT(ours.weights -= 2048, "method: billm");    /* a layer was left out */
    NOT(ours.parameters -= 2048, "method: billm"); /* another model of that name */
    NOT(ours.parameters -= 2048, "method: full");
    NOT(ours.window = 1024, "method: billm");
    NOT(ours.split = "validation", "method: billm");
    NOT(ours.dataset = "kjv", "method: billm");
    NOT(ours.metric = "bits", "method: billm");
    NOT(, "method: billm, block_size: 64");
    NOT(, "method: billm, follow: paper");
    NOT(, "method: billm, scale_bits: 16");
    NOT(, "method: billm, salient_metric: magnitude");
    NOT(, "method: billm, max_layer: 3");
    NOT(, "method: billm, quant_only: mlp");
    NOT(, "method: rtn, bits: 4");
    NOT(, "method: rtn, bits: 3, group_size: 128");
    NOT(, "method: rtn, bits: 3, sym: true");
    NOT(, "method: gptq, bits: 2, group_size: 64");
    NOT(, "method: gptq, bits: 2, group_size: 128, act_order: true");
    NOT(, "method: onebit"); /* the paper's row is of a trained model */
    /* What tells nothing of the weights is passed over. */
    struct measured ours = sample;
    ours.dataset = "wikitext2";
    assert_string_equal(matches(&all, ours, settings_of("method: billm, layer_errors: false")),
                        "69.97");
    arena_release(&arena);
}

static void remark_is(struct measured ours, long count, json_t *settings, const char *expected)
{
    struct arena arena = {0};
    const char *text;
    ours.settings = settings;
    assert_int_equal(published_remark(&ours, count, &arena, &text), 0);
    assert_string_equal(text, expected);
    json_decref(settings);
    arena_release(&arena);
}

static json_t *calibrated(const char *entry, const char *corpus, int samples, int length)
{
    json_t *settings = settings_of(entry);
    json_object_set_new(settings, "calibration",
                        json_pack("{s:s,s:i,s:i,s:i,s:s}", "corpus", corpus, "samples", samples,
                                  "length", length, "seed", 0, "draw", "python"));
    return settings;
}

static void remarks_tell_what_differs(void **state)
{
    struct measured ours = sample;
    ours.dataset = "wikitext2";
    remark_is(ours, 140 * 2047L, calibrated("method: billm", "c4", 128, 2048), "");
    remark_is(ours, 16 * 2047L, calibrated("method: billm", "c4", 128, 2048), "16 of 140 windows");
    remark_is(ours, 140 * 2047L, calibrated("method: billm", "wikitext2", 128, 2048),
              "calibrated on wikitext2 128 x 2048");
    remark_is(ours, 2047, calibrated("method: billm", "c4", 16, 2048),
              "1 of 140 windows; calibrated on c4 16 x 2048");
    /* Without error feedback nothing hangs on the calibration. */
    remark_is(ours, 140 * 2047L, calibrated("method: rtn", "kjv", 1, 8), "");
    ours.model = "huggyllama/llama-7b";
    remark_is(ours, 140 * 2047L, settings_of("method: full"), "140 of 166 windows");
    ours.dataset = "ptb";
    remark_is(ours, 51 * 2047L, settings_of("method: full"), "51 of 52 windows");
    ours.dataset = "piqa";
    remark_is(ours, 1000, settings_of("method: full"), "1000 of 1838 items");
    remark_is(ours, 1838, settings_of("method: full"), "");
}

/* ---- the lines ---- */

/* A database of our own: a model that nobody can mistake for the real one is not in the table, one
 * that says it is OPT-1.3B and has its counts is. */
static void write_points(void)
{
    struct store *store;
    struct sample s;
    assert_int_equal(store_open(&store, database, 1), 0);
    assert_int_equal(store_experiment(store, "trial", "A trial", "", ""), 0);
    for (int i = 0; i < 3; i++) {
        sample_init(&s, i + 1);
        s.point.label = i ? "billm" : "full";
        s.point.method = s.point.label;
        json_decref(s.point.settings);
        s.point.settings = i ? calibrated("method: billm", "c4", 64, 2048)
                             : settings_of("method: full");
        s.point.model = i == 2 ? "something/else" : "facebook/opt-1.3b";
        s.point.weights = i ? 1207959552 : 0;
        s.point.full_bits = i ? 2 : 16;
        s.point.file_bytes = 1315758080.0 * s.point.full_bits / 8;
        s.metrics[0].dataset = "wikitext2";
        s.metrics[0].window = 2048;
        s.metrics[0].value = i ? 70.3199 : 14.6;
        s.metrics[0].count = 140 * 2047L;
        s.metrics[1].dataset = "boolq";
        s.metrics[1].rule = "sum";
        s.metrics[1].value = 0.6;
        s.metrics[1].count = 1000;
        s.point.warnings = i == 1 ? "the text is another" : "";
        sample_store(store, &s, i);
    }
    store_close(store);
}

static char *printed_form(enum table_form form, enum table_format format)
{
    struct store *store;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (store_open(&store, database, 0) != 0 ||
        table_answer(store,
                     &(struct table_request){.form = form,
                                             .format = format,
                                             .experiment = "trial",
                                             .papers = "results/published.csv"},
                     out) != 0)
        fail_msg("%s", err_text());
    store_close(store);
    fclose(out);
    return text;
}

static char *printed(enum table_format format)
{
    return printed_form(TABLE_PUBLISHED, format);
}

static void lines_stand_beside_each_other(void **state)
{
    write_points();
    char *text = printed(TABLE_MARKDOWN);
    holds(text, "A trial beside the papers' numbers\n");
    holds(text, "| OPT-1.3B |   full | wikitext2 ppl |  14.62 | 14.60 |      -0.02 | -0.14 | "
                "billm, OPT wikitext2 |");
    holds(text, "| OPT-1.3B |   full | wikitext2 ppl |  14.63 | 14.60 |      -0.03 | -0.21 | "
                "     onebit, Table 2 |");
    holds(text, "| OPT-1.3B |  billm | wikitext2 ppl |  69.97 | 70.32 |      +0.35 | +0.50 | "
                "billm, OPT wikitext2 | calibrated on c4 64 x 2048; the text is another |");
    holds(text, "|   boolq acc % |  57.68 | 60.00 |      +2.32 | +4.02 |");
    holds(text, "1000 of 3270 items");
    holds(text, "\n- 4 lines; of the 620 published numbers");
    assert_null(strstr(text, "something"));
    free(text);
    text = printed(TABLE_CSV);
    holds(text, "paper,table,model,method,settings,dataset,metric,rule,published,ours,low,high,"
                "difference,relative,remark,note,label,id\r\n");
    holds(text, "billm,OPT wikitext2,OPT-1.3B,full,,wikitext2,perplexity,windows,14.62,14.6,");
    holds(text, ",calibrated on c4 64 x 2048; the text is another,,billm,");
    free(text);
    text = printed(TABLE_JSON);
    json_t *json = json_loads(text, 0, NULL);
    assert_int_equal(json_array_size(json_object_get(json, "lines")), 4);
    const json_t *last = json_array_get(json_object_get(json, "lines"), 3);
    assert_string_equal(json_string_value(json_object_get(last, "dataset")), "wikitext2");
    assert_true(fabs(json_real_value(json_object_get(last, "difference")) - 0.3499) < 1e-9);
    assert_true(fabs(json_real_value(json_object_get(last, "relative")) - 0.3499 / 69.97) < 1e-9);
    json_decref(json);
    free(text);
    text = printed(TABLE_LATEX);
    holds(text, "\\begin{tabular}{lrrrrrrrr}");
    holds(text, "OPT-1.3B & billm & wikitext2 ppl & 69.97 & 70.32 & +0.35 & +0.50 &");
    free(text);
    text = printed_form(TABLE_RESULTS, TABLE_CSV); /* in the table of results itself */
    holds(text, ",wikitext2 ppl,wikitext2 ppl mark,wikitext2 papers,boolq %,");
    holds(text, ",14.6,,14.62,0.6,,57.68,");
    holds(text, ",70.3199,best,69.97,");
    free(text);
    text = printed_form(TABLE_RESULTS, TABLE_MARKDOWN);
    holds(text, "14.62 (billm); 14.63 (onebit)");
    free(text);
}

/* LLaMA-7B in float16 with `task_count` of OneBit's six, and as its packed form. */
static void write_whole_model(int task_count)
{
    static const char *const names[] = {"winogrande", "hellaswag", "piqa",
                                        "boolq",      "arc_easy",  "arc_challenge"};
    static const double values[] = {0.6685, 0.7299, 0.7737, 0.7321, 0.5253, 0.4220};
    struct store *store;
    struct sample s;
    assert_int_equal(store_open(&store, database, 1), 0);
    assert_int_equal(store_experiment(store, "trial", "A trial", "", ""), 0);
    for (int i = 0; i < 2; i++) {
        struct metric_record metrics[6];
        sample_init(&s, i + 1);
        for (int t = 0; t < 6; t++) {
            metrics[t] = s.metrics[1];
            metrics[t].dataset = metrics[t].data_hash = names[t];
            metrics[t].rule = t == 0 || t == 3 ? "sum" : "characters";
            metrics[t].value = values[t];
            metrics[t].count = t == 2 ? 100 : 20000;
        }
        s.point.metrics = metrics;
        s.point.metric_count = i ? 0 : task_count;
        s.point.label = s.point.method = i ? "onebit" : "full";
        json_decref(s.point.settings);
        s.point.settings = settings_of(i ? "method: onebit, scale_bits: 16" : "method: full");
        s.point.model = "huggyllama/llama-7b";
        s.point.weights = i ? 6476005376 : 0;
        s.point.file_bytes = i ? 1.346e9 : 2 * 6738415616.0;
        s.point.full_bits = s.point.file_bytes * 8 / 6738415616.0;
        sample_store(store, &s, i);
    }
    store_close(store);
}

/* What the papers' tables end with, and what the models take. */
static void means_and_sizes(void **state)
{
    (void)state;
    write_whole_model(6);
    char *text = printed(TABLE_MARKDOWN);
    holds(text, "piqa acc_norm % |  77.37 | 77.37 |       0.00 | +0.00 | onebit, Table 2 |");
    holds(text, "100 of 1838 items |");
    holds(text, " average acc % |  64.06 | 64.19 |      +0.13 | +0.21 | onebit, Table 2 |");
    holds(text, " of tasks with remarks |");
    holds(text, " size GB |   13.5 | 13.48 |      -0.02 | -0.17 | onebit, Table 3 |");
    holds(text, " size GB |    1.3 |  1.35 |      +0.05 | +3.54 | onebit, Table 3 |");
    holds(text, " saved % |   90.4 | 90.01 |      -0.39 | -0.43 | onebit, Table 3 |");
    holds(text, "a size does not hang on training |");
    free(text);
    text = printed(TABLE_CSV);
    holds(text, "onebit,Table 3,LLaMA-7B,onebit,scale_bits=16,,size_gb,,1.3,1.346,,,");
    free(text);
    assert_int_equal(remove(database), 0);
    write_whole_model(5); /* no mean of some of the tasks */
    text = printed(TABLE_MARKDOWN);
    assert_null(strstr(text, "average"));
    holds(text, "arc_easy acc_norm %");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_ours),
        cmocka_unit_test(averages_are_right),
        cmocka_unit_test_setup_teardown(bad_files_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(same_experiments_match, setup, teardown),
        cmocka_unit_test_setup_teardown(others_do_not, setup, teardown),
        cmocka_unit_test_setup_teardown(remarks_tell_what_differs, setup, teardown),
        cmocka_unit_test_setup_teardown(means_and_sizes, setup, teardown),
        cmocka_unit_test_setup_teardown(lines_stand_beside_each_other, setup, teardown),
    };
    return cmocka_run_group_tests_name("published", tests, NULL, NULL);
}
