/* Multiple-choice questions: how they are drawn, the built-in ones from the installed corpora, and
 * one's own from JSON lines. */
#include "datasets/draw.h"
#include "datasets/questions.h"
#include "tests/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char *folder;
static const struct task made_task = {
    .name = "made", .corpus = "made", .scoring = SCORE_PMI, .version = 1};

/* Passages of `documents` documents of ten; the continuations of passage i are " word<i> ...". */
static struct draw_pool make_pool(int documents)
{
    struct draw_pool pool = {0};
    for (int i = 0; i < documents * 10; i++) {
        char context[64], continuation[64];
        int context_length = snprintf(context, sizeof context, "context %d of it,", i);
        int length = snprintf(continuation, sizeof continuation, " word%d%.*s", i, i % 30,
                              "..............................");
        assert_int_equal(draw_add(&pool, context, (size_t)context_length, continuation,
                                  (size_t)length, (size_t)i / 10),
                         0);
    }
    return pool;
}

static void assert_equal_questions(const struct question *a, const struct question *b)
{
    assert_int_equal(a->id, b->id);
    assert_int_equal(a->gold, b->gold);
    for (int c = 0; c < a->choices; c++) {
        assert_string_equal(a->contexts[c], b->contexts[c]);
        assert_string_equal(a->continuations[c], b->continuations[c]);
    }
}

static void draws_keep_their_promises(void **state)
{
    struct draw_pool pool = make_pool(40);
    struct questions all = {0}, again = {0}, few = {0}, other = {0};
    size_t gold[DRAW_CHOICES] = {0};
    assert_int_equal(draw_questions(&pool, &made_task, 0, 1, &all), 0);
    assert_int_equal(all.count, 400);
    for (size_t i = 0; i < all.count; i++) {
        const struct question *question = &all.items[i];
        const struct draw_item *item = &pool.items[question->id];
        assert_string_equal(question->contexts[0], pool.texts.data + item->context);
        assert_string_equal(question->continuations[question->gold],
                            pool.texts.data + item->continuation);
        gold[question->gold]++;
        for (int c = 0; c < DRAW_CHOICES; c++) {
            int word = -1;
            assert_ptr_equal(question->contexts[c], question->contexts[0]);
            assert_int_equal(sscanf(question->continuations[c], " word%d", &word), 1);
            assert_int_equal(c == question->gold, word / 10 == (int)item->document);
            for (int k = 0; k < c; k++)
                assert_string_not_equal(question->continuations[k], question->continuations[c]);
            /* within 60 of 400 ranks: the lengths are 6 to 37, each held by some 13 */
            assert_in_range(strlen(question->continuations[c]) + 6, item->length,
                            item->length + 12);
        }
    }
    for (int c = 0; c < DRAW_CHOICES; c++) /* 100 expected, within four standard deviations */
        assert_in_range(gold[c], 100 - 35, 100 + 35);
    assert_int_equal(draw_questions(&pool, &made_task, 0, 1, &again), 0);
    assert_string_equal(all.hash, again.hash);
    assert_int_equal(draw_questions(&pool, &made_task, 25, 1, &few), 0);
    assert_int_equal(few.count, 25);
    for (size_t i = 0; i < few.count; i++)
        assert_equal_questions(&few.items[i], &all.items[i]);
    assert_int_equal(draw_questions(&pool, &made_task, 0, 2, &other), 0);
    assert_string_not_equal(all.hash, other.hash);
    questions_release(&all);
    questions_release(&again);
    questions_release(&few);
    questions_release(&other);
    questions_release(&other);
    draw_release(&pool);
}

static void draws_avoid_giveaways(void **state)
{
    struct draw_pool pool = {0};
    struct questions out = {0};
    static const char *const texts[][2] = {
        {"the one and only", " same thing"}, {"another one", " same thing"},
        {"a third", " other thing"},         {"a fourth", " Capital thing"},
        {"a fifth", " last thing"},          {"has other thing in it", " sixth thing"},
    };
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(
            draw_add(&pool, texts[i][0], strlen(texts[i][0]), texts[i][1], strlen(texts[i][1]), i),
            0);
    assert_int_equal(draw_questions(&pool, &made_task, 0, 7, &out), 0);
    /* 0 and 1: each other's text is equal; 3: nothing else has a capital; 5: "other thing" stands
     * in its context */
    assert_int_equal(out.count, 4);
    for (size_t i = 0; i < out.count; i++)
        assert_true(out.items[i].id != 3 && out.items[i].id != 5);
    questions_release(&out);
    draw_release(&pool);

    pool = make_pool(1); /* all in one document: there is nothing to choose from */
    assert_int_equal(draw_questions(&pool, &made_task, 0, 1, &out), ERR_FORMAT);
    assert_non_null(
        strstr(err_text(), "task made: corpus made gives no question (10 test passages"));
    draw_release(&pool);
    assert_int_equal(draw_questions(&pool, &made_task, 0, 1, &out), ERR_FORMAT);
    assert_int_equal(out.count, 0);
}

/* Where the text of the training split has it, a continuation can be known by heart. */
static void check_task(const char *name, size_t least, const char *hash)
{
    const struct task *task = task_find(name);
    const struct corpus *corpus = corpus_find(task->corpus);
    struct documents all, test;
    struct questions questions, few;
    size_t gold[DRAW_CHOICES] = {0}, longest = 0;
    int changed;
    int rc = corpus_load(corpus, &all, &changed);
    if (rc == ERR_MISSING) {
        print_message("skipped: %s\n", err_text());
        skip();
    }
    assert_int_equal(rc, 0);
    assert_int_equal(corpus_split(corpus, &all, SPLIT_TEST, &test), 0);
    assert_int_equal(task->load(task, &questions, 0, 1), 0);
    assert_true(questions.count >= least);
    assert_int_equal(task->scoring, SCORE_PMI);
    for (size_t i = 0; i < questions.count; i++) {
        const struct question *question = &questions.items[i];
        size_t right = strlen(question->continuations[question->gold]), longer = 0;
        char *passage;
        gold[question->gold]++;
        assert_int_equal(mem_printf(&passage, "%s%s", question->contexts[0],
                                    question->continuations[question->gold]),
                         0);
        if (i % 50 == 0)
            assert_non_null(memmem(test.text, test.offsets[test.count], passage, strlen(passage)));
        mem_free(passage);
        for (int c = 0; c < DRAW_CHOICES; c++) {
            assert_non_null(strchr(" \n", question->continuations[c][0]));
            assert_true(question->continuations[c][1] > ' ');
            longer += c != question->gold && strlen(question->continuations[c]) >= right;
        }
        longest += longer == 0;
    }
    double expected = (double)questions.count / DRAW_CHOICES;
    for (int c = 0; c < DRAW_CHOICES; c++) /* four standard deviations are 4 sqrt(n 3/16) */
        assert_true((gold[c] - expected) * (gold[c] - expected) < 16.0 * 0.75 * expected);
    assert_true((double)longest < 0.25 * (double)questions.count); /* the longest is no hint */
    assert_int_equal(task->load(task, &few, 100, 1), 0);
    assert_int_equal(few.count, 100);
    for (size_t i = 0; i < few.count; i++)
        assert_equal_questions(&few.items[i], &questions.items[i]);
    print_message("%s: %zu questions, hash %s\n", name, questions.count, questions.hash);
    if (!changed)
        assert_string_equal(questions.hash, hash);
    questions_release(&questions);
    questions_release(&few);
    documents_release(&all);
    documents_release(&test);
}

static void kjv_half_as_installed(void **state)
{
    check_task("kjv_half", 1000,
               "1b6ab70568ad6bd2e69900ae309c6612a0ba9b00c741fbe3a537eabf8aab0df6");
}

static void kjv_next_as_installed(void **state)
{
    check_task("kjv_next", 1000,
               "94dfb4de387d6ab238ccc58ac95ad45012954273047b8ba7c0bdd9d5bf97603b");
}

static void wordnet_example_as_installed(void **state)
{
    check_task("wordnet_example", 1000,
               "64477a4ac5ce04cdfc67a4a9cfd43ef281a74feac939aa0e085721f80b418f8c");
}

static void perldoc_next_as_installed(void **state)
{
    check_task("perldoc_next", 1000,
               "47aea56a8861bc2b146ab10e94e6377254aae3796b5433a68c188bf97b0aeab1");
}

/* Loads "jsonl:folder/own.jsonl" with the content. */
static int load_own(const char *content, size_t limit, struct questions *out)
{
    struct task_source source = {0};
    char *name;
    fixture_write(folder, "own.jsonl", content);
    assert_int_equal(mem_printf(&name, "jsonl:%s/own.jsonl", folder), 0);
    assert_int_equal(task_open(name, &source), 0);
    assert_string_equal(source.task.name, name);
    mem_free(name);
    int rc = source.task.load(&source.task, out, limit, 3);
    task_close(&source);
    task_close(&source);
    return rc;
}

static void own_questions_are_read(void **state)
{
    struct questions out;
    assert_int_equal(load_own("{\"context\": \"The sky is\", \"choices\": [\" blue.\", \" a "
                              "fish.\"], \"answer\": 0}\r\n\n"
                              "{\"contexts\": [\"A\", \"B\", \"\\u00e9\"], \"choices\": [\"x\", "
                              "\"x\", \"x\"], \"answer\": 2,"
                              " \"id\": 77, \"more\": null}",
                              0, &out),
                     0);
    assert_int_equal(out.count, 2);
    assert_int_equal(out.items[0].choices, 2);
    assert_int_equal(out.items[0].gold, 0);
    assert_int_equal(out.items[0].id, 0);
    assert_string_equal(out.items[0].contexts[1], "The sky is");
    assert_string_equal(out.items[0].continuations[1], " a fish.");
    assert_int_equal(out.items[1].choices, 3);
    assert_int_equal(out.items[1].gold, 2);
    assert_int_equal(out.items[1].id, 77);
    assert_string_equal(out.items[1].contexts[2], "\xc3\xa9");
    questions_release(&out);
    assert_int_equal(
        load_own("{\"context\": \"\", \"choices\": [\"a\", \"b\"], \"answer\": 1}\nnot read", 1,
                 &out),
        0);
    assert_int_equal(out.count, 1);
    questions_release(&out);
}

static void bad_own_questions_are_refused(void **state)
{
    static const struct {
        const char *content, *text;
    } cases[] = {
        {"", "there is no question in it"},
        {"\n \n", "there is no question in it"},
        {"\n{\"context\": \"a\",}", "own.jsonl:2: not a JSON object"},
        {"[1]", "own.jsonl:1: not a JSON object"},
        {"{\"context\": \"\xff\", \"choices\": [\"a\", \"b\"], \"answer\": 0}",
         "own.jsonl:1: not a JSON object"},
        {"{\"context\": \"a\", \"answer\": 0}", "\"choices\" is missing"},
        {"{\"context\": \"a\", \"choices\": \"b\", \"answer\": 0}",
         "\"choices\" must be a list of 2 to 64 texts"},
        {"{\"context\": \"a\", \"choices\": [\"b\"], \"answer\": 0}", "must be a list of 2 to 64"},
        {"{\"context\": \"a\", \"choices\": [\"b\", 3], \"answer\": 0}",
         "\"choices\"[1] is not a text"},
        {"{\"context\": \"a\", \"choices\": [\"b\", \"\"], \"answer\": 0}",
         "\"choices\"[1] is empty"},
        {"{\"choices\": [\"b\", \"c\"], \"answer\": 0}",
         "\"context\" (a text) or \"contexts\" is missing"},
        {"{\"contexts\": [\"a\", \"b\", \"c\"], \"choices\": [\"b\", \"c\"], \"answer\": 0}",
         "3 \"contexts\" for 2"},
        {"{\"context\": \"a\", \"contexts\": [\"a\", \"b\"], \"choices\": [\"b\", \"c\"], "
         "\"answer\": 0}",
         "\"context\" and \"contexts\" exclude each other"},
        {"{\"context\": \"a\", \"choices\": [\"b\", \"c\"]}",
         "\"answer\" must be a whole number from 0 to 1"},
        {"{\"context\": \"a\", \"choices\": [\"b\", \"c\"], \"answer\": 2}", "\"answer\" must be"},
        {"{\"context\": \"a\", \"choices\": [\"b\", \"c\"], \"answer\": -1}", "\"answer\" must be"},
        {"{\"context\": \"a\", \"choices\": [\"b\", \"c\"], \"answer\": 0.0}",
         "\"answer\" must be"},
        {"{\"context\": \"a\", \"choices\": [\"b\", \"c\"], \"answer\": 0, \"id\": \"x\"}",
         "\"id\" must be"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct questions out = {0};
        assert_int_equal(load_own(cases[i].content, 0, &out), ERR_FORMAT);
        if (!strstr(err_text(), cases[i].text))
            fail_msg("'%s' is not in '%s'", cases[i].text, err_text());
        assert_null(out.items);
    }
    struct task_source source = {0};
    struct questions out = {0};
    assert_int_equal(task_open("jsonl:", &source), ERR_USAGE);
    assert_int_equal(task_open("kjv-half", &source), ERR_USAGE);
    assert_non_null(strstr(err_text(), "did you mean 'kjv_half'?"));
    assert_int_equal(task_open("jsonl:/no/such/file", &source), 0);
    assert_int_equal(source.task.load(&source.task, &out, 0, 1), ERR_MISSING);
    task_close(&source);
}

static void hashes_tell_questions_apart(void **state)
{
    static const char *const ab[] = {"a", "b"}, *const context[] = {"c"}, *const other[] = {"d"};
    struct questions variants[4] = {{0}};
    assert_int_equal(questions_add(&variants[0], context, 1, ab, 2, 0, 0), 0);
    assert_int_equal(questions_add(&variants[1], context, 1, ab, 2, 1, 0), 0);
    assert_int_equal(questions_add(&variants[2], context, 1, ab, 2, 0, 1), 0);
    assert_int_equal(questions_add(&variants[3], other, 1, ab, 2, 0, 0), 0);
    for (int i = 0; i < 4; i++) {
        questions_finish(&variants[i]);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(variants[k].hash, variants[i].hash);
    }
    for (int i = 0; i < 4; i++)
        questions_release(&variants[i]);
    for (int s = 0; s < SCORE_COUNT; s++)
        assert_non_null(scoring_names[s]);
    assert_null(scoring_names[SCORE_COUNT]);
    assert_string_equal(scoring_names[SCORE_PMI], "pmi");
}

static void failed_allocations_are_reported(void **state)
{
    struct draw_pool pool = make_pool(5);
    struct questions out = {0};
    for (long nth = 1;; nth++) {
        mem_fail_at(nth);
        int rc = draw_questions(&pool, &made_task, 4, 1, &out), pending = mem_fail_pending();
        mem_fail_at(0);
        assert_int_equal(rc, pending ? 0 : ERR_MEMORY);
        if (pending)
            break;
        assert_null(out.items);
    }
    questions_release(&out);
    draw_release(&pool);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_keep_their_promises),
        cmocka_unit_test(draws_avoid_giveaways),
        cmocka_unit_test(own_questions_are_read),
        cmocka_unit_test(bad_own_questions_are_refused),
        cmocka_unit_test(hashes_tell_questions_apart),
        cmocka_unit_test(failed_allocations_are_reported),
        cmocka_unit_test(kjv_half_as_installed),
        cmocka_unit_test(kjv_next_as_installed),
        cmocka_unit_test(wordnet_example_as_installed),
        cmocka_unit_test(perldoc_next_as_installed),
    };
    folder = fixture_folder("tasks");
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mem_free(folder);
    return failed;
}
