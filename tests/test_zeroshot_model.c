/* SmolLM2 on the zero-shot tasks against lm-evaluation-harness with transformers: every item's
 * log-likelihoods and choices. Part of make test-long, where the model is at hand. */
#include "harness/run.h"

#include "core/pool.h"
#include "core/progress.h"
#include "harness/token_pair.h"
#include "linalg/cpu.h"
#include "linalg/matmul.h"
#include "tests/fixture.h"
#include "tests/smollm2.h"
#include "tests/zeroshot_golden.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* float32 sums over a hundred tokens, in another order. */
static const double bar = 2e-3;

static const char *model_path;

static void need_model(void)
{
    if (!getenv("BITBENCH_LONG")) {
        print_message("skipped: minutes of computing: make test-long\n");
        skip();
    }
    model_path = smollm2_path();
    if (!model_path || !zeroshot_there()) {
        print_message("skipped: SmolLM2 or ../shared/golden is not there: see tests/smollm2.h\n");
        skip();
    }
}

static void run(const struct run *run, struct pipeline_output *output)
{
    static const struct point full = {.label = NULL};
    const struct pipeline_input input = {
        .model = &run->model, .point = &full, .evaluation = &run->evaluation.stream};
    FIXTURE_OK(pipeline_run(&input, output));
}

static double reference(const json_t *golden, const char *key, size_t c)
{
    const json_t *value = json_object_get(golden, key);
    return json_number_value(json_is_array(value) ? json_array_get(value, c) : value);
}

/* How far the reference's best choice is ahead of its second, by log-likelihoods over lengths. */
static double margin(const json_t *golden, const char *lengths)
{
    double best = -INFINITY, second = -INFINITY;
    for (size_t c = 0; c < json_array_size(json_object_get(golden, "ll")); c++) {
        double score = reference(golden, "ll", c) / (lengths ? reference(golden, lengths, c) : 1);
        if (score > best) {
            second = best;
            best = score;
        } else if (score > second) {
            second = score;
        }
    }
    return best - second;
}

static void compare_choice(const char *task, const json_t *ours, const json_t *golden,
                           const char *key, const char *lengths)
{
    long pred = zeroshot_number(ours, key, 0), expected = zeroshot_number(golden, key, 0);
    if (pred != expected && margin(golden, lengths) > bar)
        fail_msg("%s item %ld: %s is %ld, not %ld", task, zeroshot_number(golden, "doc_id", 0), key,
                 pred, expected);
}

static void items_are_the_reference(void **state)
{
    need_model();
    struct run all = {0};
    struct pipeline_output output = {0};
    struct experiment *e = &all.experiment;
    FIXTURE_OK(mem_strdup(&e->model, model_path));
    FIXTURE_OK(mem_calloc(&e->choices, 7, sizeof *e->choices));
    for (; e->choice_count < 7; e->choice_count++) {
        struct choice_spec *spec = &e->choices[e->choice_count];
        snprintf(spec->task, sizeof spec->task, "%s", zeroshot_tasks[e->choice_count]);
        spec->items = 200;
    }
    FIXTURE_OK(run_open_model(&all));
    run(&all, &output);
    for (int t = 0; t < 7; t++) {
        const struct choice_set *set = &all.evaluation.choices[t];
        json_t *golden = zeroshot_golden(zeroshot_tasks[t]);
        double worst = 0;
        for (int q = 0; q < 200; q++) {
            const json_t *one = json_array_get(golden, (size_t)q);
            json_t *sample;
            FIXTURE_OK(choice_sample(set, q, &all.evaluation.stream, output.scores, &sample));
            for (size_t c = 0; c < json_array_size(json_object_get(one, "ll")); c++)
                worst = fmax(worst, fabs(reference(sample, "ll", c) - reference(one, "ll", c)));
            assert_true(json_equal(json_object_get(sample, "is_greedy"),
                                   json_object_get(one, "is_greedy")));
            compare_choice(zeroshot_tasks[t], sample, one, "pred", NULL);
            compare_choice(zeroshot_tasks[t], sample, one, "pred_norm", "norm_chars");
            json_decref(sample);
        }
        print_message("%s: log-likelihoods differ by %.1e at most\n", zeroshot_tasks[t], worst);
        assert_true(worst < bar);
        json_decref(golden);
    }
    pipeline_output_release(&output);
    run_close(&all);
}

/* Scores each pair of the list by itself. */
static void compare_pairs(struct run *all, const struct tokenizer *tokenizer, const char *name)
{
    json_t *golden = zeroshot_golden(name);
    struct stream *stream = &all->evaluation.stream;
    struct pipeline_output output = {0};
    size_t count = json_array_size(golden);
    struct stream_branch *branches;
    FIXTURE_OK(mem_calloc(&branches, count, sizeof *branches));
    for (size_t i = 0; i < count; i++) {
        const json_t *one = json_array_get(golden, i);
        struct pair_encoder encoder = {.tokenizer = tokenizer,
                                       .rule = PAIRS_PLAIN,
                                       .max_positions = (int)zeroshot_number(one, "max_length", 0)};
        struct token_pair pair;
        if (json_object_get(one, "error"))
            continue;
        FIXTURE_OK(token_pair_encode(&encoder, zeroshot_text(one, "context", 0),
                                     zeroshot_text(one, "continuation", 0), &pair));
        branches[i] = (struct stream_branch){
            .tokens = pair.ids, .length = pair.count, .first_target = pair.first};
        FIXTURE_OK(stream_add_branches(stream, &branches[i], 1));
        mem_free(pair.ids);
        pair_encoder_release(&encoder);
    }
    run(all, &output);
    for (size_t i = 0; i < count; i++) {
        const json_t *one = json_array_get(golden, i);
        double sum = 0;
        bool greedy = true;
        if (json_object_get(one, "error"))
            continue;
        for (int r = 0; r < branches[i].length - branches[i].first_target; r++) {
            sum += (double)output.scores[branches[i].row + r].log_probability;
            greedy &= output.scores[branches[i].row + r].top ==
                      stream->targets[branches[i].row + r];
        }
        if (fabs(sum - reference(one, "ll", 0)) > bar ||
            greedy != json_is_true(json_object_get(one, "is_greedy")))
            fail_msg("%s %zu: %.5f, not %.5f", name, i, sum, reference(one, "ll", 0));
    }
    mem_free(branches);
    pipeline_output_release(&output);
    stream_release(stream);
    json_decref(golden);
}

static void pairs_are_the_reference(void **state)
{
    need_model();
    struct run all = {0};
    struct tokenizer *tokenizer;
    FIXTURE_OK(mem_strdup(&all.experiment.model, model_path));
    FIXTURE_OK(run_open_model(&all)); /* which needs no tokenizer when nothing is measured */
    FIXTURE_OK(tokenizer_open(&tokenizer, model_path));
    compare_pairs(&all, tokenizer, "pairs");
    compare_pairs(&all, tokenizer, "truncation");
    tokenizer_free(tokenizer);
    run_close(&all);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_are_the_reference),
        cmocka_unit_test(items_are_the_reference),
    };
    cpu_prepare(argv);
    matmul_init();
    progress_set_mode(PROGRESS_QUIET);
    FIXTURE_OK(pool_start(0));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pool_stop();
    return failed;
}
