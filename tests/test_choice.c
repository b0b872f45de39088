/* Scores of choices on a small model against the plain way: each context and choice alone through
 * the whole model, log-softmax in double. Rules, ranges of items, last words, and the first line of
 * a task of one's own. */
#include "harness/run.h"

#include "core/pool.h"
#include "harness/token_pair.h"
#include "tests/fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static char *folder;

static const char questions[] =
    "{\"context\": \"The king saw\", \"choices\": [\" the mountain.\", \" a golden cup.\"], "
    "\"answer\": 0}\n"
    "{\"context\": \"My brother \", \"choices\": [\"followed many sheep.\", \"zzz\", \"built\"], "
    "\"answer\": 2}\n"
    "{\"contexts\": [\"Every servant feared\", \"The old city\", \"\"], \"choices\": [\" bread\", "
    "\" "
    "bread\", \" bread\"], \"answer\": 1, \"id\": 70}\n"
    "{\"context\": \"The old city\", \"choices\": [\" carried\", \" remembered\"], \"answer\": "
    "1}\n";

/* Opens FOLDER/model with one task of FOLDER/NAME; scheme is "jsonl" or "lastword". */
static int open_task(struct run *run, const char *scheme, const char *name, const char *items,
                     const char *scoring)
{
    *run = (struct run){0};
    struct experiment *e = &run->experiment;
    FIXTURE_OK(file_join(&e->model, folder, "model"));
    FIXTURE_OK(mem_calloc(&e->choices, 1, sizeof *e->choices));
    e->choice_count = 1;
    snprintf(e->choices[0].task, OPTION_TEXT_SIZE, "%s:%s/%s", scheme, folder, name);
    snprintf(e->choices[0].range, OPTION_TEXT_SIZE, "%s", items);
    snprintf(e->choices[0].rules, OPTION_TEXT_SIZE, "%s", scoring);
    int rc = choice_spec_resolve(&e->choices[0]);
    return rc ? rc : run_open_model(run);
}

static void compute(const struct run *run, struct pipeline_output *output)
{
    static const struct point full = {.label = NULL};
    const struct pipeline_input input = {
        .model = &run->model, .point = &full, .evaluation = &run->evaluation.stream};
    FIXTURE_OK(pipeline_run(&input, output));
}

/* The plain way: the log-likelihood of the pair's continuation, and whether it is greedy. */
static double plain_score(const struct run *run, const struct token_pair *pair, bool *greedy)
{
    int rows = pair->count - 1, vocabulary = run->model.config.vocabulary;
    const int offsets[] = {0, rows};
    const struct batch batch = {.tokens = pair->ids, .offsets = offsets, .count = 1};
    float *x, *logits;
    double total = 0;
    *greedy = true;
    FIXTURE_OK(mem_alloc(&x, (size_t)rows * (size_t)run->model.config.width, sizeof *x));
    FIXTURE_OK(mem_alloc(&logits, (size_t)rows * (size_t)vocabulary, sizeof *logits));
    FIXTURE_OK(model_forward(&run->model, &batch, x));
    FIXTURE_OK(model_logits(&run->model, x, rows, logits));
    for (int t = pair->first; t < pair->count; t++) {
        const float *row = logits + (size_t)(t - 1) * (size_t)vocabulary;
        double sum = 0, own = (double)row[pair->ids[t]];
        for (int v = 0; v < vocabulary; v++) {
            sum += exp((double)row[v]);
            *greedy &= row[v] <= row[pair->ids[t]];
        }
        total += own - log(sum);
    }
    mem_free(x);
    mem_free(logits);
    return total;
}

/* Every choice of every question against the plain way; the choices follow from the scores. */
static void assert_plain(const struct run *run, const struct pipeline_output *output)
{
    const struct choice_set *set = &run->evaluation.choices[0];
    struct pair_encoder encoder = {.tokenizer = run->tokenizer,
                                   .rule = set->task->pairs,
                                   .max_positions = run->model.config.max_positions};
    for (int q = 0; q < (int)set->questions.count; q++) {
        const struct question *item = &set->questions.items[q];
        json_t *sample;
        int best = 0, normed = 0;
        double lls[8], lengths[8];
        FIXTURE_OK(choice_sample(set, q, &run->evaluation.stream, output->scores, &sample));
        assert_int_equal(json_integer_value(json_object_get(sample, "doc_id")), item->id);
        assert_int_equal(json_integer_value(json_object_get(sample, "gold")), item->gold);
        for (int c = 0; c < item->choices; c++) {
            struct token_pair pair;
            bool greedy;
            FIXTURE_OK(
                token_pair_encode(&encoder, item->contexts[c], item->continuations[c], &pair));
            lls[c] = plain_score(run, &pair, &greedy);
            lengths[c] = (double)strlen(item->continuations[c]); /* ASCII */
            best = lls[c] > lls[best] ? c : best;
            normed = lls[c] / lengths[c] > lls[normed] / lengths[normed] ? c : normed;
            assert_true(fabs(lls[c] - json_number_value(json_array_get(
                                          json_object_get(sample, "ll"), (size_t)c))) < 1e-4);
            assert_int_equal(
                json_is_true(json_array_get(json_object_get(sample, "is_greedy"), (size_t)c)),
                greedy);
            mem_free(pair.ids);
        }
        if (item->choices > 1) {
            assert_int_equal(json_integer_value(json_object_get(sample, "pred")), best);
            assert_int_equal(json_integer_value(json_object_get(sample, "pred_norm")), normed);
        }
        json_decref(sample);
    }
    pair_encoder_release(&encoder);
}

static void choices_are_scored_the_plain_way(void **state)
{
    static const char *const headings[] = {"", "{\"task\": {\"tokens\": \"plain\"}}\n"};
    for (int h = 0; h < 2; h++) {
        struct run run;
        struct pipeline_output output;
        char *text;
        FIXTURE_OK(mem_printf(&text, "%s%s", headings[h], questions));
        fixture_write(folder, "q.jsonl", text);
        FIXTURE_OK(open_task(&run, "jsonl", "q.jsonl", "0", "sum+characters+tokens"));
        assert_int_equal(run.evaluation.choices[0].task->pairs, h ? PAIRS_PLAIN : PAIRS_START);
        assert_int_equal(evaluation_metric_count(&run.evaluation), 3);
        compute(&run, &output);
        assert_plain(&run, &output);
        pipeline_output_release(&output);
        run_close(&run);
        mem_free(text);
    }
}

/* The metric of a rule; its parts are released. */
static struct metric_record metric(const struct run *run, const struct pipeline_output *output,
                                   int index)
{
    struct metric_record m;
    FIXTURE_OK(evaluation_metric(&run->evaluation, index, output->scores, &m));
    mem_free(m.parts);
    m.parts = NULL;
    return m;
}

static void rules_and_ranges(void **state)
{
    struct run run;
    struct pipeline_output output;
    fixture_write(folder, "q.jsonl", questions);
    FIXTURE_OK(open_task(&run, "jsonl", "q.jsonl", "1-2", "characters+sum"));
    const struct choice_set *set = &run.evaluation.choices[0];
    assert_int_equal(set->questions.count, 2);
    assert_int_equal(set->questions.items[0].id, 1);
    assert_int_equal(set->questions.items[1].id, 70);
    assert_int_equal(set->rule_count, 2);
    char rules[128];
    choice_rules(set, rules, sizeof rules);
    assert_string_equal(rules, "sum+characters");
    compute(&run, &output);
    struct metric_record sum = metric(&run, &output, 0), characters = metric(&run, &output, 1);
    assert_string_equal(sum.rule, "sum");
    assert_string_equal(characters.rule, "characters");
    assert_string_equal(sum.kind, "accuracy");
    assert_int_equal(sum.count, 2);
    if (sum.value == 0.5) /* sqrt(p (1 - p) / (n - 1)) */
        assert_true(fabs(sum.standard_error - 0.5) < 1e-12);
    pipeline_output_release(&output);
    run_close(&run);
    FIXTURE_OK(open_task(&run, "jsonl", "q.jsonl", "3", "default"));
    assert_int_equal(run.evaluation.choices[0].questions.count, 3);
    assert_int_equal(run.evaluation.choices[0].rules[0], SCORE_PMI);
    run_close(&run);
    assert_int_equal(open_task(&run, "jsonl", "q.jsonl", "4-9", "default"), ERR_USAGE);
    assert_non_null(strstr(err_text(), "the last one is number 3"));
    run_close(&run);
    assert_int_equal(open_task(&run, "jsonl", "q.jsonl", "0", "greedy"), ERR_USAGE);
    assert_non_null(strstr(err_text(), "scoring greedy is for questions with one continuation"));
    run_close(&run);
}

static void words_of_specs(void **state)
{
    static const struct {
        const char *range, *rules, *error, *kept;
        int first, items;
        unsigned scorings;
    } cases[] = {
        {"0", "default", NULL, "default", 0, 0, 0},
        {"200", "sum", NULL, "sum", 0, 200, 1u << SCORE_SUM},
        {"5-5", "pmi,sum", NULL, "sum+pmi", 5, 1, 1u << SCORE_SUM | 1u << SCORE_PMI},
        {"0-199", "tokens+tokens", NULL, "tokens", 0, 200, 1u << SCORE_TOKENS},
        {"", "sum", "items: ''", NULL, 0, 0, 0},
        {"-3", "sum", "items: '-3'", NULL, 0, 0, 0},
        {"9-3", "sum", "items: '9-3'", NULL, 0, 0, 0},
        {"1-", "sum", "items: '1-'", NULL, 0, 0, 0},
        {"1x", "sum", "items: '1x'", NULL, 0, 0, 0},
        {"99999999999999999999", "sum", "items: '9999", NULL, 0, 0, 0},
        {"1", "som", "scoring: 'som' is no rule", NULL, 0, 0, 0},
        {"1", "sum+default", "scoring: 'default' is no rule", NULL, 0, 0, 0},
        {"1", "sum++pmi", "scoring: '' is no rule", NULL, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct choice_spec spec = {.seed = 0};
        snprintf(spec.range, sizeof spec.range, "%s", cases[i].range);
        snprintf(spec.rules, sizeof spec.rules, "%s", cases[i].rules);
        int rc = choice_spec_resolve(&spec);
        assert_int_equal(rc, cases[i].error ? ERR_USAGE : 0);
        if (cases[i].error) {
            assert_non_null(strstr(err_text(), cases[i].error));
            continue;
        }
        assert_int_equal(spec.first, cases[i].first);
        assert_int_equal(spec.items, cases[i].items);
        assert_int_equal(spec.scorings, cases[i].scorings);
        assert_string_equal(spec.rules, cases[i].kept);
    }
}

static void last_words(void **state)
{
    static const char texts[] = "{\"text\": \"The king saw the mountain\"}\n"
                                "{\"context\": \"My brother built\", \"target\": \" zzz\"}\n"
                                "{\"text\": \"The river carried many sheep\", \"id\": 9}\n";
    struct run run;
    struct pipeline_output output;
    double total = 0;
    int right = 0;
    fixture_write(folder, "words.jsonl", texts);
    FIXTURE_OK(open_task(&run, "lastword", "words.jsonl", "0", "default"));
    const struct choice_set *set = &run.evaluation.choices[0];
    assert_int_equal(set->questions.count, 3);
    assert_string_equal(set->questions.items[0].contexts[0], "The king saw the");
    assert_string_equal(set->questions.items[0].continuations[0], " mountain");
    assert_int_equal(set->questions.items[2].id, 9);
    compute(&run, &output);
    assert_plain(&run, &output);
    for (int q = 0; q < 3; q++) {
        json_t *sample;
        FIXTURE_OK(choice_sample(set, q, &run.evaluation.stream, output.scores, &sample));
        total += json_number_value(json_array_get(json_object_get(sample, "ll"), 0));
        right += json_is_true(json_array_get(json_object_get(sample, "is_greedy"), 0));
        assert_null(json_object_get(sample, "pred"));
        json_decref(sample);
    }
    struct metric_record accuracy = metric(&run, &output, 0), perplexity = metric(&run, &output, 1);
    assert_string_equal(accuracy.rule, "greedy");
    assert_true(fabs(accuracy.value - right / 3.0) < 1e-12);
    assert_string_equal(perplexity.kind, "perplexity");
    assert_string_equal(perplexity.rule, "words");
    assert_true(fabs(log(perplexity.value) + total / 3) < 1e-9);
    pipeline_output_release(&output);
    run_close(&run);
    static const char *const bad[][2] = {
        {"{\"text\": \"word\"}", "must have a space with the last word behind it"},
        {"{\"text\": \"a word \"}", "must have a space with the last word behind it"},
        {"{\"text\": 3}", "\"text\" is no text"},
        {"{\"context\": \"a\"}", "\"target\" (a text) is missing"},
        {"{\"context\": \"a\", \"target\": \"\"}", "\"target\" is empty"},
        {"{\"id\": 3}", "\"text\", or \"context\" with \"target\", is missing"},
        {"{\"text\": \"a b\", \"id\": -1}", "\"id\" must be a whole number"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fixture_write(folder, "words.jsonl", bad[i][0]);
        assert_int_equal(open_task(&run, "lastword", "words.jsonl", "0", "default"), ERR_FORMAT);
        assert_non_null(strstr(err_text(), bad[i][1]));
        run_close(&run);
    }
    fixture_write(folder, "words.jsonl", texts);
    assert_int_equal(open_task(&run, "lastword", "words.jsonl", "0", "sum"), ERR_USAGE);
    assert_non_null(strstr(err_text(), "scoring sum is for questions with choices"));
    run_close(&run);
}

static void first_lines(void **state)
{
    static const char question[] =
        "{\"context\": \"a\", \"choices\": [\" b\", \" c\"], \"answer\": 0}\n";
    static const struct {
        const char *heading, *error;
        enum scoring scoring;
        unsigned more;
        enum pair_rule pairs;
    } cases[] = {
        {"{\"task\": {}}", NULL, SCORE_PMI, 0, PAIRS_START},
        {"{\"task\": {\"scoring\": \"sum\"}}", NULL, SCORE_SUM, 1u << SCORE_SUM, PAIRS_START},
        {"{\"task\": {\"scoring\": [\"characters\", \"sum\"], \"tokens\": \"plain\"}}", NULL,
         SCORE_SUM, 1u << SCORE_SUM | 1u << SCORE_CHARACTERS, PAIRS_PLAIN},
        {"{\"task\": {\"premise\": \"So\"}}", NULL, SCORE_PMI, 0, PAIRS_START},
        {"{\"task\": 3}", "\"task\" must be an object", 0, 0, 0},
        {"{\"task\": {\"scoring\": \"greedy\"}}", "\"scoring\" is one of", 0, 0, 0},
        {"{\"task\": {\"scoring\": []}}", "\"scoring\" is one of", 0, 0, 0},
        {"{\"task\": {\"tokens\": true}}", "\"tokens\" is \"start\" or \"plain\"", 0, 0, 0},
        {"{\"task\": {\"premise\": 1}}", "\"premise\": a task's first line may have", 0, 0, 0},
        {"{\"task\": {\"title\": \"t\"}}", "\"title\": a task's first line may have", 0, 0, 0},
    };
    char hashes[4][HASH_HEX_SIZE], *name;
    FIXTURE_OK(mem_printf(&name, "jsonl:%s/q.jsonl", folder));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct task_source source = {0};
        struct questions out;
        char *text;
        FIXTURE_OK(mem_printf(&text, "%s\n%s", cases[i].heading, question));
        fixture_write(folder, "q.jsonl", text);
        mem_free(text);
        assert_int_equal(task_open(name, &source), cases[i].error ? ERR_FORMAT : 0);
        if (cases[i].error) {
            assert_non_null(strstr(err_text(), cases[i].error));
            continue;
        }
        assert_int_equal(source.task.scoring, cases[i].scoring);
        assert_int_equal(source.task.more, cases[i].more);
        assert_int_equal(source.task.pairs, cases[i].pairs);
        if (i == 3)
            assert_string_equal(source.task.premise, "So");
        FIXTURE_OK(source.task.load(&source.task, &out, 1, 0));
        assert_int_equal(out.count, 1); /* the first line does not count */
        memcpy(hashes[i], out.hash, sizeof hashes[i]);
        for (size_t k = 0; k < i; k++) /* but it is part of what was measured */
            assert_string_not_equal(hashes[k], hashes[i]);
        questions_release(&out);
        task_close(&source);
    }
    mem_free(name);
}

/* A pair that is too long is cut for tasks that follow the reference, and refused for others. */
static void long_questions(void **state)
{
    struct strbuf text = {0};
    struct run run;
    struct pipeline_output output;
    FIXTURE_OK(strbuf_puts(&text, "{\"task\": {\"tokens\": \"plain\", \"scoring\": \"sum\"}}\n"
                                  "{\"context\": \""));
    for (int i = 0; i < 200; i++)
        FIXTURE_OK(strbuf_puts(&text, "qwertz "));
    FIXTURE_OK(strbuf_puts(&text, "\", \"choices\": [\" the mountain\", \" a cup of bread and "
                                  "wine\"], \"answer\": 1}\n"));
    fixture_write(folder, "q.jsonl", text.data);
    FIXTURE_OK(open_task(&run, "jsonl", "q.jsonl", "0", "default"));
    compute(&run, &output);
    assert_plain(&run, &output); /* 256 rows, which is all that the model has positions for */
    assert_int_equal(run.evaluation.stream.rows, 2 * 256);
    pipeline_output_release(&output);
    run_close(&run);
    fixture_write(folder, "q.jsonl", strchr(text.data, '\n') + 1);
    assert_int_equal(open_task(&run, "jsonl", "q.jsonl", "0", "default"), ERR_USAGE);
    assert_non_null(strstr(err_text(), "more than the model's 256 positions"));
    run_close(&run);
    strbuf_release(&text);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(choices_are_scored_the_plain_way),
        cmocka_unit_test(rules_and_ranges),
        cmocka_unit_test(words_of_specs),
        cmocka_unit_test(last_words),
        cmocka_unit_test(first_lines),
        cmocka_unit_test(long_questions),
    };
    fixture_start(argv, 2);
    folder = fixture_folder("choice");
    fixture_model(folder);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pool_stop();
    mem_free(folder);
    return failed;
}
