/* bitbench eval and tasks in specs, as a user meets them: a zero-shot data set of our own, samples,
 * ranges, last words, several rules a task in the database. */
#include "tests/database_says.h"
#include "tests/program.h"

#include <jansson.h>
#include <math.h>

#define EVAL "$B eval -q --model $T/model --data $T/data "

static char *folder;

static void write_data(const char *name, const char *text)
{
    char *path;
    FIXTURE_OK(file_join(&path, folder, name));
    *strrchr(path, '/') = '\0';
    FIXTURE_OK(file_make_directories(path));
    mem_free(path);
    fixture_write(folder, name, text);
}

/* Ten questions, whose answers are A and B by turns. */
static void write_arc(void)
{
    struct strbuf text = {0};
    for (int i = 0; i < 10; i++)
        FIXTURE_OK(strbuf_printf(
            &text,
            "{\"id\": \"q%d\", \"question\": {\"stem\": \"What did the king see on day %d?\", "
            "\"choices\": [{\"text\": \"the mountain\", \"label\": \"A\"}, {\"text\": \"a golden "
            "cup "
            "and many sheep\", \"label\": \"B\"}]}, \"answerKey\": \"%c\"}\n",
            i, i, i % 2 ? 'B' : 'A'));
    write_data("data/arc/ARC-Easy-Test.jsonl", text.data);
    strbuf_release(&text);
}

/* Line number `line` of the file as an object; the caller's. */
static json_t *line_of(const char *name, int line)
{
    const char *at = program_output(name);
    for (int i = 0; i < line && at; i++)
        at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL;
    return at ? json_loadb(at, strcspn(at, "\n"), 0, NULL) : NULL;
}

static void samples_have_an_object_a_question(void **state)
{
    struct result r = shell(EVAL "--tasks arc_easy --items 3-7 --samples $T/items.jsonl");
    char ends;
    double sum[2];
    if (r.status != 0 || sscanf(r.out,
                                "arc_easy accuracy %lf %% +- %*f (sum, 5 items)\narc_easy accuracy "
                                "%lf %% +- %*f (characters, 5 items%c",
                                &sum[0], &sum[1], &ends) != 3)
        fail_msg("%d <%s> <%s>", r.status, r.out, r.err);
    int right[2] = {0};
    for (int i = 0; i < 5; i++) {
        json_t *one = line_of("items.jsonl", i), *ll = json_object_get(one, "ll");
        assert_string_equal(json_string_value(json_object_get(one, "task")), "arc_easy");
        assert_int_equal(json_integer_value(json_object_get(one, "doc_id")), i + 3);
        assert_int_equal(json_integer_value(json_object_get(one, "gold")), (i + 3) % 2);
        assert_int_equal(json_array_size(ll), 2);
        assert_int_equal(json_array_size(json_object_get(one, "is_greedy")), 2);
        double first = json_real_value(json_array_get(ll, 0)),
               second = json_real_value(json_array_get(ll, 1));
        int pred = second > first, normed = second / 29 > first / 12; /* letters of the choices */
        assert_int_equal(json_integer_value(json_object_get(one, "pred")), pred);
        assert_int_equal(json_integer_value(json_object_get(one, "pred_norm")), normed);
        assert_int_equal(json_object_size(one), 7);
        right[0] += pred == (i + 3) % 2;
        right[1] += normed == (i + 3) % 2;
        json_decref(one);
    }
    assert_null(line_of("items.jsonl", 5));
    assert_true(fabs(sum[0] - 20.0 * right[0]) < 0.01 && fabs(sum[1] - 20.0 * right[1]) < 0.01);
    works(EVAL "--tasks arc_easy --items 3-7 --threads 1 --samples $T/one.jsonl >$T/o && "
               "cmp $T/one.jsonl $T/items.jsonl");
    works(EVAL "--tasks arc_easy --scoring pmi+tokens --items 1 --samples $T/one.jsonl >$T/o");
    json_t *one = line_of("one.jsonl", 0);
    assert_true(json_is_integer(json_object_get(one, "pred_pmi")) &&
                json_is_integer(json_object_get(one, "pred_tokens")));
    json_decref(one);
}

static void last_words_are_measured(void **state)
{
    write_data("words.jsonl", "{\"text\": \"The king saw the mountain\"}\n"
                              "{\"text\": \"My brother built two stones\"}\n");
    struct result r = shell(EVAL "--tasks lastword:$T/words.jsonl --json");
    const char *first = strstr(r.out, "{\"kind\""); /* behind the progress */
    assert_non_null(first);
    json_t *accuracy = json_loadb(first, strcspn(first, "\n"), 0, NULL),
           *perplexity = json_loads(strchr(first, '\n') + 1, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(accuracy, "rule")), "greedy");
    assert_string_equal(json_string_value(json_object_get(perplexity, "rule")), "words");
    assert_int_equal(json_integer_value(json_object_get(perplexity, "count")), 2);
    json_decref(accuracy);
    json_decref(perplexity);
    r = shell(EVAL "--tasks lastword:$T/words.jsonl");
    if (!strstr(r.out, "perplexity") || !strstr(r.out, "(2 words)"))
        fail_msg("<%s>", r.out);
}

static void specs_store_each_rule(void **state)
{
    struct strbuf text = {0};
    FIXTURE_OK(strbuf_printf(&text,
                             "name: rules\nmodel: %s/model\ndata: %s/data\nevaluation:\n  tasks:\n"
                             "    - {task: arc_easy, items: 4}\n"
                             "    - {task: arc_easy, items: 8-9, scoring: tokens}\n"
                             "    - {task: 'lastword:%s/words.jsonl'}\n"
                             "methods:\n  - {method: full}\n  - {method: rtn, bits: 2}\n",
                             folder, folder, folder));
    fixture_write(folder, "rules.yaml", text.data);
    strbuf_release(&text);
    last_words_are_measured(state);
    struct result r = shell("$B run -q $T/rules.yaml --database $T/r.db");
    if (r.status != 0 || !strstr(r.out, "arc_easy sum") || !strstr(r.out, "arc_easy characters"))
        fail_msg("%d <%s> <%s>", r.status, r.out, r.err);
    database_says(folder, "r.db", "SELECT count(*) FROM metrics WHERE rule = 'sum' AND count = 4",
                  "2");
    database_says(folder, "r.db", "SELECT count(*) FROM metrics WHERE rule = 'characters'", "2");
    database_says(folder, "r.db", "SELECT count(*) FROM metrics WHERE rule = 'words' AND value > 1",
                  "2");
    database_says(folder, "r.db",
                  "SELECT count(*) FROM items i JOIN metrics m ON m.id = i.metric_id "
                  "WHERE m.rule = 'tokens' AND i.number IN (8, 9)",
                  "4");
    works("$B run -q $T/rules.yaml --database $T/r.db --full --no-table >$T/o 2>&1");
    database_says(folder, "r.db", "SELECT count(*) FROM metrics WHERE rule = 'sum' AND count = 10",
                  "2");
}

static void wrong_words_are_refused(void **state)
{
    refuses(EVAL "--tasks arc_easy --items 5-3", 2, "items: '5-3'");
    refuses(EVAL "--tasks arc_easy --items 10-12", 2, "the last one is number 9");
    struct result r = shell(EVAL "--tasks arc_easy --items 8-12");
    if (r.status != 0 || !strstr(r.out, ", 2 items)") ||
        strcmp(r.err,
               "bitbench: warning: task arc_easy: items 8-12 are asked for, and the last one "
               "is number 9\n") != 0)
        fail_msg("%d <%s> <%s>", r.status, r.out, r.err);
    works(EVAL "--tasks arc_easy --items 100 >$T/o"); /* at most so many */
    refuses(EVAL "--tasks arc_easy --scoring summ", 2, "scoring: 'summ' is no rule");
    refuses(EVAL "--tasks arc_easy --scoring greedy", 2, "is for questions with one continuation");
    refuses(EVAL "--tasks arc_challenge", 3, "/arc/ARC-Challenge-Test.jsonl is not there");
    refuses("unset BITBENCH_DATASETS; $B eval -q --model $T/model --tasks piqa", 3,
            "give --data DIR");
    refuses(EVAL "--tasks lastword:", 2, "a path must follow the colon");
    refuses(EVAL "--tasks lastword:$T/none.jsonl", 3, "none.jsonl: No such file");
    refuses("$B datasets lastword:", 2, "a path must follow the colon");
    write_data("bad.jsonl", "{\"task\": {\"scoring\": \"best\"}}\n");
    refuses(EVAL "--tasks jsonl:$T/bad.jsonl", 1, "bad.jsonl:1: \"scoring\" is one of");
    refuses("$B datasets jsonl:$T/bad.jsonl", 1, "bad.jsonl:1: \"scoring\" is one of");
}

/* One window has no interval; rules are named; another model is compared with. */
static void texts_by_rule_and_reference(void **state)
{
    struct result r = shell(EVAL "--corpora file:$T/text.txt --window 64 --windows 1");
    if (r.status != 0 || strstr(r.out, "nan") || !strstr(r.out, "  [-]  ") ||
        !strstr(r.out, "(1 window of 64: no interval from a single one)"))
        fail_msg("%d <%s> <%s>", r.status, r.out, r.err);
    r = shell(EVAL "--tasks arc_easy,lastword:$T/words.jsonl --items 1");
    if (r.status != 0 || strstr(r.out, "nan") ||
        !strstr(r.out, " % +- -  (sum, 1 item: no error from a single one)") ||
        !strstr(r.out, "  [-]  (1 word: no interval from a single one)"))
        fail_msg("%d <%s> <%s>", r.status, r.out, r.err);
    r = shell(EVAL "--tasks arc_easy --items 1 --json");
    if (r.status != 0 || !strstr(r.out, "\"standard_error\":null"))
        fail_msg("%d <%s> <%s>", r.status, r.out, r.err);
    r = shell(EVAL
              "--corpora file:$T/text.txt --window 64 --windows 5 --rule second-half --samples "
              "$T/half.jsonl");
    if (r.status != 0 || !strstr(r.out, "(5 windows of 64, second half of each)"))
        fail_msg("%d <%s> <%s>", r.status, r.out, r.err);
    json_t *one = line_of("half.jsonl", 0);
    assert_int_equal(json_integer_value(json_object_get(one, "tokens")), 64 - 1 - 32);
    assert_null(json_object_get(one, "kl"));
    json_decref(one);
    r = shell(EVAL "--corpora file:$T/text.txt --window 64 --windows 5 --tasks arc_easy --items 1 "
                   "--reference $T/model --samples $T/same.jsonl");
    if (r.status != 0 ||
        !strstr(r.out, "divergence   0.000000 +- 0.000000 nats from the reference, "
                       "the same most likely token at 100.00 %"))
        fail_msg("%d <%s> <%s>", r.status, r.out, r.err);
    one = line_of("same.jsonl", 4);
    assert_int_equal(json_integer_value(json_object_get(one, "same_top")), 63);
    assert_true(json_real_value(json_object_get(one, "kl")) == 0);
    json_decref(one);
    works("printf 'name: one\\nmodel: model\\nevaluation: {perplexity: {corpus: \"file:text.txt\", "
          "window: 64, windows: 1}}\\nmethods: [{method: full}, {method: rtn, bits: 2, "
          "layer_errors: false}]\\n' >$T/one.yaml; cd $T && $B run -q one.yaml --database one.db "
          ">one.out && $B compare full --database one.db >>one.out");
    const char *tables = program_output("one.out");
    if (strstr(tables, "nan") || !strstr(tables, " [-]"))
        fail_msg("<%s>", tables);
    refuses(EVAL "--tasks arc_easy --items 1 --reference $T/model", 2, "give --corpora too");
    refuses(EVAL "--corpora file:$T/text.txt --reference embedded", 2,
            "a vocabulary of 4096 tokens, and 320 of the model's");
    refuses(EVAL "--corpora file:$T/text.txt --rule halves", 2, "windows, second-half");
}

/* What cannot be written whole is an error, and leaves nothing behind. */
static void samples_need_room(void **state)
{
    (void)state;
    refuses(EVAL "--tasks arc_easy --items 1 --samples /dev/full", 1,
            "something that is no file is in the way");
    refuses(EVAL "--tasks arc_easy --items 1 --samples $T/none/items.jsonl", 1,
            "none/items.jsonl: cannot write: No such file or directory");
    struct result r = shell("ulimit -f 2; " EVAL "--tasks arc_easy --samples $T/room.jsonl");
    if (r.status != 1 || !strstr(r.err, "room.jsonl: cannot write: File too large"))
        fail_msg("%d <%s> <%s>", r.status, r.out, r.err);
    works("test -z \"$(ls $T | grep room)\"");
}

/* Questions compressed by gzip are the same questions; an archive that is cut is an error. */
static void compressed_questions(void **state)
{
    (void)state;
    works(
        "cd $T && gzip -c words.jsonl >words.jsonl.gz && head -c 40 words.jsonl.gz >cut.jsonl.gz");
    works(
        "cd $T && $B eval -q --model model --tasks lastword:words.jsonl >a && "
        "$B eval -q --model model --tasks lastword:words.jsonl.gz | sed s/.jsonl.gz/.jsonl/ >b && "
        "test -s a && tr -s ' ' <a >c && tr -s ' ' <b | cmp - c");
    refuses(EVAL "--tasks lastword:$T/cut.jsonl.gz", 1, "cut or damaged, get it again");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_have_an_object_a_question),
        cmocka_unit_test(last_words_are_measured),
        cmocka_unit_test(specs_store_each_rule),
        cmocka_unit_test(texts_by_rule_and_reference),
        cmocka_unit_test(wrong_words_are_refused),
        cmocka_unit_test(compressed_questions),
        cmocka_unit_test(samples_need_room),
    };
    folder = fixture_folder("eval");
    if (program_start(folder) != 0)
        return 1;
    fixture_model(folder);
    write_arc();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mem_free(folder);
    return failed;
}
