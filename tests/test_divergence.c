/* The distance to full precision: against values of textbooks and a plain twin in double; the
 * summary over windows; and what a run stores, whichever way the reference was made. */
#include "core/pool.h"
#include "harness/memory_limit.h"
#include "harness/run.h"
#include "model/transformer.h"
#include "model/workspace.h"
#include "tests/fixture.h"

#include <math.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static char *folder;

/* ---- one place ---- */

/* A model whose logits are its last hidden states. */
enum { TOKENS = 4 };
static float identity[TOKENS * TOKENS];
static struct workspace workspace;
static const struct architecture plain_family = {.final_norm = transformer_final_norm};

static struct model plain_model(void)
{
    for (int i = 0; i < TOKENS; i++)
        identity[i * TOKENS + i] = 1;
    return (struct model){.config = {.width = TOKENS, .vocabulary = TOKENS, .no_final_norm = true},
                          .architecture = &plain_family,
                          .head = identity,
                          .folder = "plain",
                          .workspace = &workspace};
}

static struct token_divergence between(const double *p, const double *q)
{
    float full[TOKENS], quantized[TOKENS];
    int32_t target = 1;
    struct model model = plain_model();
    struct token_score score;
    struct token_divergence divergence;
    for (int i = 0; i < TOKENS; i++) {
        full[i] = (float)log(p[i]) + 3; /* what is added to all changes nothing */
        quantized[i] = (float)log(q[i]) - 2;
    }
    FIXTURE_OK(
        model_score_against(&model, quantized, &model, full, &target, 1, &score, &divergence));
    assert_true(fabs((double)score.log_probability - log(q[1])) < 1e-6);
    return divergence;
}

static void textbook_divergences(void **state)
{
    static const double uniform[] = {0.25, 0.25, 0.25, 0.25}, halves[] = {0.5, 0.25, 0.125, 0.125},
                        other[] = {0.125, 0.125, 0.25, 0.5};
    /* KL(halves || uniform) = log 4 - H(halves) = 2 log 2 - 1.75 log 2 */
    struct token_divergence d = between(halves, uniform);
    assert_true(fabs((double)d.kl - 0.25 * log(2)) < 1e-6 && d.same_top);
    /* KL(uniform || halves) = 1/4 log(1/2 * 1 * 2 * 2) */
    d = between(uniform, halves);
    assert_true(fabs((double)d.kl - 0.25 * log(2)) < 1e-6);
    /* sum p log(p / q) = 1/2 log 4 + 1/4 log 2 - 1/8 log 2 - 1/8 log 4 = 7/8 log 2 */
    d = between(halves, other);
    assert_true(fabs((double)d.kl - 0.875 * log(2)) < 1e-6 && !d.same_top);
    d = between(halves, halves);
    assert_true(d.kl >= 0 && (double)d.kl < 1e-6 && d.same_top);
}

/* ---- a model with several parts of the vocabulary and several tiles of rows ---- */

enum { ROWS = 300 };

static double log_sum(const float *logits, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += exp((double)logits[i]);
    return log(sum);
}

static int top_of(const float *logits, int n)
{
    int best = 0;
    for (int i = 1; i < n; i++)
        best = logits[i] > logits[best] ? i : best;
    return best;
}

static double plain_divergence(const float *full, const float *quantized, int n)
{
    double log_p = log_sum(full, n), log_q = log_sum(quantized, n), kl = 0;
    for (int i = 0; i < n; i++)
        kl += exp((double)full[i] - log_p) *
              (((double)full[i] - log_p) - ((double)quantized[i] - log_q));
    return kl;
}

static void fill(float *x, size_t count, uint64_t seed, float scale)
{
    struct rng rng;
    rng_seed(&rng, seed);
    for (size_t i = 0; i < count; i++)
        x[i] = scale * ((float)rng_uniform(&rng) - 0.5f);
}

static void open_fixture(struct model *model)
{
    char *path;
    FIXTURE_OK(file_join(&path, folder, "model"));
    FIXTURE_OK(model_open(model, path));
    mem_free(path);
}

/* Both heads the same, and one of its own. Every third row is not scored. */
static void the_plain_twin_agrees(void **state)
{
    struct model model, other;
    open_fixture(&model);
    size_t width = (size_t)model.config.width, tokens = (size_t)model.config.vocabulary;
    float *x, *y, *head, *ours, *theirs;
    struct token_score scores[2][ROWS], alone[ROWS];
    struct token_divergence found[2][ROWS];
    int32_t targets[ROWS];
    FIXTURE_OK(mem_alloc(&x, ROWS * width, sizeof *x));
    FIXTURE_OK(mem_alloc(&y, ROWS * width, sizeof *y));
    FIXTURE_OK(mem_alloc(&head, tokens * width, sizeof *head));
    FIXTURE_OK(mem_alloc(&ours, ROWS * tokens, sizeof *ours));
    FIXTURE_OK(mem_alloc(&theirs, ROWS * tokens, sizeof *theirs));
    fill(x, ROWS * width, 1, 2);
    fill(y, ROWS * width, 2, 2);
    fill(head, tokens * width, 3, 2);
    for (int r = 0; r < ROWS; r++)
        targets[r] = r % 3 == 1 ? -1 : (int32_t)(r % (int)tokens);
    other = model;
    for (int own = 0; own < 2; own++) {
        double sum = 0;
        int same = 0;
        other.head = own ? head : model.head;
        FIXTURE_OK(model_score(&model, x, targets, ROWS, alone));
        for (int threads = 1; threads <= 2; threads++) {
            FIXTURE_OK(pool_start(threads));
            FIXTURE_OK(model_score_against(&model, x, &other, y, targets, ROWS, scores[threads - 1],
                                           found[threads - 1]));
        }
        assert_memory_equal(found[0], found[1], sizeof found[0]);
        assert_memory_equal(scores[0], scores[1], sizeof scores[0]);
        assert_memory_equal(scores[0], alone, sizeof alone);
        FIXTURE_OK(model_logits(&model, x, ROWS, ours));
        FIXTURE_OK(model_logits(&other, y, ROWS, theirs));
        for (int r = 0; r < ROWS; r++) {
            const float *q = ours + (size_t)r * tokens, *p = theirs + (size_t)r * tokens;
            double expected = plain_divergence(p, q, (int)tokens);
            if (targets[r] < 0) {
                assert_true(found[0][r].kl == 0 && !found[0][r].same_top);
                continue;
            }
            if (!(fabs((double)found[0][r].kl - expected) < 2e-6 * (1 + expected)))
                fail_msg("row %d: %.9g, the twin has %.9g", r, (double)found[0][r].kl, expected);
            assert_int_equal(found[0][r].same_top,
                             top_of(p, (int)tokens) == top_of(q, (int)tokens));
            sum += expected;
            same += found[0][r].same_top;
        }
        assert_true(sum > 0.01 && same < ROWS / 2);
    }
    /* the same states: exactly no distance */
    FIXTURE_OK(model_score_against(&model, x, &model, x, targets, ROWS, scores[0], found[0]));
    for (int r = 0; r < ROWS; r++)
        assert_true(found[0][r].kl == 0 && found[0][r].same_top == (targets[r] >= 0));
    y[5 * width] = NAN;
    assert_int_equal(model_score_against(&model, x, &model, y, targets, ROWS, scores[0], found[0]),
                     ERR_NUMERIC);
    other.config.vocabulary--;
    assert_int_equal(model_score_against(&model, x, &other, x, targets, ROWS, scores[0], found[0]),
                     ERR_USAGE);
    mem_free(x);
    mem_free(y);
    mem_free(head);
    mem_free(ours);
    mem_free(theirs);
    model_close(&model);
}

/* ---- windows ---- */

static void summaries_over_windows(void **state)
{
    double mean, error;
    struct metric_part alike[] = {
        {.kl = 1, .count = 10}, {.kl = 2, .count = 10}, {.kl = 3, .count = 10}};
    struct metric_part unlike[] = {{.kl = 1, .count = 10}, {.kl = 5, .count = 20}};
    /* window means 0.1, 0.2, 0.3: standard deviation 0.1, over sqrt(3) */
    divergence_summary(alike, 3, &mean, &error);
    assert_true(fabs(mean - 0.2) < 1e-15 && fabs(error - 0.1 / sqrt(3)) < 1e-15);
    /* mean 6 / 30; rests 1 - 2 and 5 - 4; sqrt(2 / 1 * 2) / 30 */
    divergence_summary(unlike, 2, &mean, &error);
    assert_true(fabs(mean - 0.2) < 1e-15 && fabs(error - 2.0 / 30) < 1e-15);
    divergence_summary(alike, 1, &mean, &error);
    assert_true(fabs(mean - 0.1) < 1e-15 && isnan(error));
}

/* ---- runs ---- */

static void run_spec(const char *database, const char *keys, const char *grid, int limit)
{
    struct strbuf text = {0};
    struct run run = {0};
    struct run_summary summary;
    char *spec, *path;
    FIXTURE_OK(strbuf_printf(
        &text,
        "name: divergence\nmodel: %s/model\nevaluation:\n  perplexity:\n"
        "    - {corpus: 'file:%s/text.txt', tokens: 2400, window: 60}\n"
        "    - {corpus: 'file:%s/text.txt', tokens: 900, window: 61, rule: second-half}\n"
        "  tasks: [{task: 'jsonl:%s/questions.jsonl'}]\n%smethods:\n%s",
        folder, folder, folder, folder, keys, grid));
    fixture_write(folder, "spec.yaml", text.data);
    strbuf_release(&text);
    FIXTURE_OK(file_join(&spec, folder, "spec.yaml"));
    FIXTURE_OK(file_join(&path, folder, database));
    struct run_options options = {.spec = spec, .database = path, .limit = limit};
    FIXTURE_OK(run_open(&run, &options));
    FIXTURE_OK(run_points(&run, &options, &summary));
    assert_int_equal(summary.failed, 0);
    run_close(&run);
    mem_free(spec);
    mem_free(path);
}

/* Every row as text. The caller's. */
static char *query(const char *database, const char *sql)
{
    char *path;
    sqlite3 *db;
    sqlite3_stmt *rows;
    struct strbuf text = {0};
    FIXTURE_OK(file_join(&path, folder, database));
    FIXTURE_OK(strbuf_puts(&text, ""));
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &rows, NULL), SQLITE_OK);
    while (sqlite3_step(rows) == SQLITE_ROW)
        for (int i = 0; i < sqlite3_column_count(rows); i++) {
            const char *shown = (const char *)sqlite3_column_text(rows, i);
            FIXTURE_OK(strbuf_printf(&text, "%s ", shown ? shown : "-"));
        }
    sqlite3_finalize(rows);
    sqlite3_close(db);
    mem_free(path);
    return text.data;
}

static void assert_query(const char *database, const char *sql, const char *expected)
{
    char *found = query(database, sql);
    assert_string_equal(found, expected);
    mem_free(found);
}

static const char *const everything =
    "SELECT label, rule, printf('%.17g %.17g %.17g', kl_divergence, kl_error, m.same_top), "
    "w.number, printf('%.17g', w.kl), w.same_top FROM windows w JOIN metrics m ON m.id = metric_id "
    "JOIN points p ON p.id = point_id WHERE method <> 'full' ORDER BY label, rule, w.number";

/* Full precision measured on the way; before, in another process' time; or never; in memory or
 * spilled; by one thread or three. */
static void every_way_gives_the_same_bytes(void **state)
{
    static const char
        *const both = "  - {method: full}\n  - {method: rtn, bits: [2, 4], layer_errors: false}\n",
               *const quantized = "  - {method: rtn, bits: [2, 4], layer_errors: false}\n";
    run_spec("way.db", "", both, 0);
    char *whole = query("way.db", everything);
    assert_non_null(strstr(whole, "second-half"));
    run_spec("apart.db", "", both, 1);
    run_spec("apart.db", "", both, 1);
    run_spec("apart.db", "", both, 1);
    run_spec("never.db", "", quantized, 0);
    FIXTURE_OK(pool_start(3));
    run_spec("threads.db", "", both, 0);
    FIXTURE_OK(pool_start(2));
    FIXTURE_OK(memory_limit_from_command_line("1T", ""));
    run_spec("memory.db", "", both, 0);
    FIXTURE_OK(memory_limit_from_command_line("", ""));
    const char *const others[] = {"apart.db", "never.db", "threads.db", "memory.db"};
    for (int i = 0; i < 4; i++) {
        char *found = query(others[i], everything);
        if (strcmp(found, whole) != 0)
            fail_msg("%s:\n%s\nand not\n%s", others[i], found, whole);
        mem_free(found);
    }
    mem_free(whole);
    assert_query("way.db",
                 "SELECT count(*) FROM metrics JOIN points ON points.id = point_id "
                 "WHERE (kl_divergence IS NULL) <> (method = 'full' OR kind = 'accuracy')",
                 "0 ");
    /* the metric is made of its windows; 4 bits are nearer than 2 */
    assert_query("way.db",
                 "SELECT sum(abs(kl_divergence * count - (SELECT sum(kl) FROM windows WHERE "
                 "metric_id = m.id)) < 1e-9 AND abs(same_top * count - (SELECT sum(w.same_top) "
                 "FROM windows w WHERE metric_id = m.id)) < 1e-9 AND kl_error > 0) "
                 "FROM metrics m WHERE kl_divergence > 0",
                 "4 ");
    assert_query(
        "way.db",
        "SELECT sum(a.kl_divergence < b.kl_divergence / 4 AND a.same_top > b.same_top) "
        "FROM metrics a JOIN metrics b USING (kind, dataset, rule) JOIN points p ON p.id "
        "= a.point_id JOIN points q ON q.id = b.point_id WHERE p.label LIKE 'rtn bits=4%' AND "
        "q.label LIKE 'rtn bits=2%' AND kind = 'perplexity'",
        "2 ");
    /* windows of 61: 61 - 1 - 30 tokens count */
    assert_query("way.db",
                 "SELECT DISTINCT rule, window, tokens FROM windows JOIN metrics ON id = "
                 "metric_id ORDER BY rule",
                 "second-half 61 30 windows 60 59 ");
}

/* More rows than the head goes over at once, and than are read at once. */
static void spilled_states_give_the_same_bytes(void **state)
{
    enum { SEQUENCES = 140, LENGTH = 100 };
    struct model model;
    struct evaluation evaluation = {0};
    struct pipeline_output outputs[2] = {0};
    static const struct point full = {.label = NULL};
    int32_t ids[LENGTH];
    double sum = 0;
    open_fixture(&model);
    size_t weights = (size_t)model.config.vocabulary * (size_t)model.config.width;
    for (int i = 0; i < LENGTH; i++)
        ids[i] = i * 3;
    for (int w = 0; w < SEQUENCES; w++)
        FIXTURE_OK(stream_add(&evaluation.stream, ids, LENGTH, 1 + w % 50));
    evaluation.text_sequences = SEQUENCES - 10;
    FIXTURE_OK(memory_limit_from_command_line("1T", ""));
    for (int way = 0; way < 2; way++) {
        struct reference_states reference;
        reference_states_begin(&reference, &model, &evaluation, (struct memory_stream){0});
        assert_true(reference.rows > STREAM_SCORED_ROWS);
        if (way) { /* in a file, whatever would fit */
            FIXTURE_OK(states_open(&reference.x, "full precision", reference.rows,
                                   model.config.width, STREAM_SCORED_ROWS, "build"));
            reference.placed = true;
        }
        FIXTURE_OK(reference_states_make(&reference));
        assert_true(reference.ready && reference_states_needs(&reference).rows == 0);
        assert_true((reference.x.folder != NULL) == (way == 1));
        for (size_t i = 0; i < weights; i += 3) /* a difference to find, then taken back */
            model.embedding[i] *= 2;
        const struct pipeline_input input = {.model = &model,
                                             .point = &full,
                                             .evaluation = &evaluation.stream,
                                             .reference = &reference};
        FIXTURE_OK(pipeline_run(&input, &outputs[way]));
        for (size_t i = 0; i < weights; i += 3)
            model.embedding[i] /= 2;
        reference_states_release(&reference);
    }
    assert_memory_equal(outputs[0].divergences, outputs[1].divergences,
                        (size_t)evaluation.stream.rows * sizeof *outputs[0].divergences);
    for (int r = 0; r < evaluation.stream.rows; r++) {
        bool compared = r < (SEQUENCES - 10) * LENGTH && evaluation.stream.targets[r] >= 0;
        sum += (double)outputs[0].divergences[r].kl;
        assert_true(compared || outputs[0].divergences[r].kl == 0);
    }
    assert_true(sum > 0);
    FIXTURE_OK(memory_limit_from_command_line("", ""));
    pipeline_output_release(&outputs[0]);
    pipeline_output_release(&outputs[1]);
    stream_release(&evaluation.stream);
    model_close(&model);
}

static void it_can_be_left_out(void **state)
{
    run_spec("off.db", "  divergence: false\n",
             "  - {method: full}\n  - {method: rtn, bits: 2, layer_errors: false}\n", 0);
    assert_query("off.db", "SELECT count(kl_divergence), count(same_top) FROM metrics", "0 0 ");
    assert_query("off.db", "SELECT count(kl), count(same_top) FROM windows", "0 0 ");
    run_spec("on.db", "", "  - {method: full}\n  - {method: rtn, bits: 2, layer_errors: false}\n",
             0);
    char *off = query("off.db", "SELECT id FROM points ORDER BY id"),
         *on = query("on.db", "SELECT id FROM points ORDER BY id");
    assert_string_equal(off, on); /* no part of a point's identity */
    mem_free(off);
    mem_free(on);
}

/* ---- rules ---- */

/* First scored token T / 2 + 1; with a tokenizer that puts BOS before a text, each window begins
 * with it. */
static void the_second_half_by_hand(void **state)
{
    struct tokenizer *tokenizer;
    struct corpus_cache cache = {0};
    char *path, *text;
    FIXTURE_OK(file_join(&path, folder, "model"));
    fixture_write(path, "tokenizer_config.json",
                  "{\"tokenizer_class\": \"LlamaTokenizer\", \"bos_token\": \"<|endoftext|>\", "
                  "\"eos_token\": \"<|endoftext|>\", \"add_bos_token\": true}");
    FIXTURE_OK(tokenizer_open(&tokenizer, path));
    assert_true(tokenizer_adds_bos(tokenizer));
    FIXTURE_OK(mem_printf(&text, "file:%s/text.txt", folder));
    cache.tokenizer = tokenizer;
    for (int rule = RULE_WINDOWS; rule <= RULE_SECOND_HALF; rule++) {
        for (int window = 7; window <= 8; window++) {
            struct stream stream = {0};
            struct perplexity_spec spec = {
                .window = window, .windows = 3, .split = SPLIT_TEST, .rule = rule};
            struct perplexity_set set = {.spec = &spec};
            int first = rule == RULE_WINDOWS ? 1 : window == 7 ? 4 : 5;
            snprintf(spec.corpus, sizeof spec.corpus, "%s", text);
            FIXTURE_OK(perplexity_prepare(&set, &stream, &cache));
            assert_int_equal(stream.rows, 3 * window);
            for (int w = 0; w < 3; w++)
                for (int i = 0; i < window; i++) {
                    int r = w * window + i;
                    bool scored = i + 1 >= first && i + 1 < window;
                    assert_int_equal(stream.targets[r], scored ? stream.tokens[r + 1] : -1);
                    if (i == 0)
                        assert_int_equal(stream.tokens[r] == tokenizer_bos(tokenizer),
                                         w == 0 || rule == RULE_SECOND_HALF);
                }
            stream_release(&stream);
        }
    }
    struct stream stream = {0};
    struct perplexity_spec spec = {.window = 2, .split = SPLIT_TEST, .rule = RULE_SECOND_HALF};
    struct perplexity_set set = {.spec = &spec};
    snprintf(spec.corpus, sizeof spec.corpus, "%s", text);
    assert_int_equal(perplexity_prepare(&set, &stream, &cache), ERR_USAGE);
    assert_non_null(strstr(err_text(), "second-half scores nothing of windows of 2"));
    stream_release(&stream);
    corpus_cache_release(&cache);
    tokenizer_free(tokenizer);
    mem_free(path);
    mem_free(text);
}

int main(int argc, char **argv)
{
    fixture_start(argv, 2);
    folder = fixture_folder("divergence");
    fixture_model(folder);
    fixture_write(folder, "questions.jsonl",
                  "{\"context\": \"The king saw\", \"choices\": [\" the mountain.\", \" a golden "
                  "cup.\"], \"answer\": 0}\n");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(textbook_divergences),
        cmocka_unit_test(the_plain_twin_agrees),
        cmocka_unit_test(summaries_over_windows),
        cmocka_unit_test(every_way_gives_the_same_bytes),
        cmocka_unit_test(spilled_states_give_the_same_bytes),
        cmocka_unit_test(it_can_be_left_out),
        cmocka_unit_test(the_second_half_by_hand),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    workspace_release(&workspace);
    mem_free(folder);
    pool_stop();
    return failed;
}
