/* The seven zero-shot tasks: prompts, answers and lengths against lm-evaluation-harness's, item by
 * item, and on small files of our own with every oddity that their prompts are made of. */
#include "datasets/dataset.h"
#include "datasets/pythontext.h"
#include "tests/fixture.h"
#include "tests/zeroshot_golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char *folder;

/* ---- against the reference ---- */

static void compare_item(const char *name, const struct task *task, const struct question *ours,
                         const json_t *golden)
{
    size_t choices = json_array_size(json_object_get(golden, "continuations"));
    assert_int_equal(ours->id, zeroshot_number(golden, "doc_id", 0));
    assert_int_equal(ours->gold, zeroshot_number(golden, "gold", 0));
    assert_int_equal(ours->choices, choices);
    for (size_t c = 0; c < choices; c++) {
        const char *continuation = zeroshot_text(golden, "continuations", c);
        assert_string_equal(ours->contexts[c], zeroshot_text(golden, "context", c));
        assert_string_equal(ours->continuations[c], continuation);
        assert_int_equal(strlen(continuation), zeroshot_number(golden, "cont_bytes", c));
        const char *measured = task->lengths == LENGTH_CONTEXT ? ours->contexts[c]
                                                               : continuation + 1;
        if (python_length(measured) != (size_t)zeroshot_number(golden, "norm_chars", c))
            fail_msg("%s item %d: length %zu", name, ours->id, python_length(measured));
    }
}

static void prompts_are_the_reference(void **state)
{
    if (!zeroshot_there()) {
        print_message("skipped: ../shared/golden and ../shared/data are not there\n");
        skip();
    }
    for (int t = 0; zeroshot_tasks[t]; t++) {
        const struct task *task = task_find(zeroshot_tasks[t]);
        json_t *golden = zeroshot_golden(zeroshot_tasks[t]);
        struct questions questions;
        assert_non_null(task);
        assert_int_equal(json_array_size(golden), 200);
        FIXTURE_OK(task->load(task, &questions, 200, 0));
        assert_int_equal(questions.count, 200);
        assert_int_equal(task->scoring, SCORE_SUM);
        assert_int_equal(task->pairs, PAIRS_PLAIN);
        for (size_t i = 0; i < questions.count; i++)
            compare_item(task->name, task, &questions.items[i], json_array_get(golden, i));
        questions_release(&questions);
        json_decref(golden);
    }
}

/* The sizes that the data sets' papers and licences name. */
static void sets_are_complete(void **state)
{
    static const size_t counts[] = {1838, 3270, 500, 1267, 2376, 1172, 10042};
    if (!zeroshot_there()) {
        print_message("skipped: ../shared/data is not there\n");
        skip();
    }
    for (int t = 0; zeroshot_tasks[t]; t++) {
        const struct task *task = task_find(zeroshot_tasks[t]);
        struct questions all;
        FIXTURE_OK(task->load(task, &all, 0, 0));
        assert_int_equal(all.count, counts[t]);
        questions_release(&all);
    }
}

/* ---- small files of our own ---- */

static void write_data(const char *name, const char *text)
{
    char *path;
    FIXTURE_OK(file_join(&path, folder, name));
    *strrchr(path, '/') = '\0';
    FIXTURE_OK(file_make_directories(path));
    mem_free(path);
    fixture_write(folder, name, text);
}

static void remove_data(const char *name)
{
    char *path;
    FIXTURE_OK(file_join(&path, folder, name));
    assert_int_equal(remove(path), 0);
    mem_free(path);
}

static void load(const char *name, size_t limit, struct questions *out)
{
    FIXTURE_OK(data_folder_set(folder));
    const struct task *task = task_find(name);
    FIXTURE_OK(task->load(task, out, limit, 5));
}

static void assert_question(const struct question *q, const char *context, const char *first,
                            const char *last, int choices, int gold)
{
    assert_string_equal(q->contexts[0], context);
    assert_int_equal(q->choices, choices);
    assert_string_equal(q->continuations[0], first);
    assert_string_equal(q->continuations[choices - 1], last);
    assert_int_equal(q->gold, gold);
}

static void both_forms_of_the_files(void **state)
{
    struct questions q;
    write_data(
        "piqa/valid.jsonl",
        "{\"goal\": \"cut bread\", \"sol1\": \"use a knife \", \"sol2\": \"use a spoon\"}\n\n"
        "{\"goal\": \"x\", \"sol1\": \"a\", \"sol2\": \"b\"}\n");
    write_data("piqa/valid-labels.lst", "0\r\n1");
    load("piqa", 0, &q);
    assert_int_equal(q.count, 2);
    assert_question(&q.items[0], "Question: cut bread\nAnswer:", " use a knife ", " use a spoon", 2,
                    0);
    assert_int_equal(q.items[1].gold, 1);
    assert_int_equal(q.items[1].id, 1);
    questions_release(&q);

    write_data(
        "boolq/val.jsonl",
        "{\"passage\": \"P.\", \"question\": \"is it\", \"label\": true}\n"
        "{\"passage\": \"P.\", \"question\": \"is it\", \"answer\": false, \"title\": \"t\"}\n"
        "{\"passage\": \"P.\", \"question\": \"is it\", \"label\": 1}\n");
    load("boolq", 0, &q);
    assert_question(&q.items[0], "P.\nQuestion: is it?\nAnswer:", " no", " yes", 2, 1);
    assert_int_equal(q.items[1].gold, 0);
    assert_int_equal(q.items[2].gold, 1);
    questions_release(&q);

    write_data(
        "openbookqa/test.jsonl",
        "{\"question\": {\"stem\": \"Ice is\", \"choices\": [{\"text\": \"cold\", \"label\": "
        "\"A\"}, {\"text\": \"hot\", \"label\": \"B\"}]}, \"answerKey\": \"B\"}\n"
        "{\"question_stem\": \"Ice is\", \"choices\": {\"text\": [\"cold\", \"hot\"], "
        "\"label\": [\"A\", \"B\"]}, \"answerKey\": \"A\"}\n");
    load("openbookqa", 0, &q);
    assert_question(&q.items[0], "Ice is", " cold", " hot", 2, 1);
    assert_question(&q.items[1], "Ice is", " cold", " hot", 2, 0);
    questions_release(&q);

    write_data(
        "arc/ARC-Easy-Test.jsonl",
        "{\"question\": {\"stem\": \"Which?\", \"choices\": [{\"text\": \"this\", \"label\": "
        "\"1\"}, {\"text\": \"that\", \"label\": \"2\"}, {\"text\": \"none\", \"label\": "
        "\"3\"}]}, \"answerKey\": \"3\"}\n"
        "{\"question\": \"Which?\", \"choices\": {\"text\": [\"this\", \"that\"], "
        "\"label\": [\"A\", \"B\"]}, \"answerKey\": \"A\"}\n");
    load("arc_easy", 0, &q);
    assert_question(&q.items[0], "Question: Which?\nAnswer:", " this", " none", 3, 2);
    assert_question(&q.items[1], "Question: Which?\nAnswer:", " this", " that", 2, 0);
    questions_release(&q);
}

static void gaps_and_endings(void **state)
{
    struct questions q;
    write_data("winogrande/dev.jsonl",
               "{\"sentence\": \"Tom hit Bob as _ was  angry \\u00a0\", \"option1\": \"Tom\", "
               "\"option2\": \"Bob\", \"answer\": \"2\"}\n");
    load("winogrande", 0, &q);
    assert_question(&q.items[0], "Tom hit Bob as Tom", " was  angry", " was  angry", 2, 1);
    assert_string_equal(q.items[0].contexts[1], "Tom hit Bob as Bob");
    questions_release(&q);

    /* One pass each: "[title]" with its space becomes a full stop with a space; a bracket that is
     * not closed on its line stays; of three spaces two stay. */
    write_data(
        "hellaswag/hellaswag_val.jsonl",
        "{\"activity_label\": \" Baking\", \"ctx_a\": \"How to bake [header] it [title] "
        "Now.\", \"ctx_b\": \"\\u00e9lan OF Tom\", \"endings\": [\" he [x] runs [title] on "
        "\", \"[a\\n] [b\", \"a   b\", \"\"], \"label\": \"2\"}\n"
        "{\"activity_label\": \"A\", \"ctx_a\": \"b\", \"ctx_b\": \"\", \"endings\": [\"c\", "
        "\"d\"], \"label\": 1}\n");
    load("hellaswag", 0, &q);
    assert_question(&q.items[0], "Baking: How to bake it. Now. \xc3\x89lan of tom", " he runs. on",
                    " ", 4, 2);
    assert_string_equal(q.items[0].continuations[1], " [a\n] [b");
    assert_string_equal(q.items[0].continuations[2], " a  b");
    assert_question(&q.items[1], "A: b", " c", " d", 2, 1);
    questions_release(&q);
}

static void python_text(void **state)
{
    static const char text[] = "\x1c \xe2\x80\x83"
                               "a\xc2\xa0 b\xe3\x80\x80\xc2\x85\t";
    const char *start;
    size_t size = python_strip(text, strlen(text), &start);
    assert_int_equal(size, 5);
    assert_memory_equal(start, "a\xc2\xa0 b", 5);
    assert_int_equal(python_strip(" \n", 2, &start), 0);
    assert_int_equal(python_rstrip("a\xe2\x80\x8b", 4), 4); /* zero width space is none */
    assert_int_equal(python_rstrip("\xa0", 1), 1);          /* a lone byte is no character */
    assert_int_equal(python_rstrip("a\xff ", 3), 2);
    assert_int_equal(python_length("a\xc3\xa9\xf0\x9f\x98\x80"), 3);
    static const char *const pairs[][2] = {{"", ""},
                                           {"hello WORLD", "Hello world"},
                                           {"\xc3\xa9t\xc3\x89", "\xc3\x89t\xc3\xa9"},
                                           {"\xd0\xb6\xd0\x96", "\xd0\x96\xd0\xb6"},
                                           {"1A", "1a"},
                                           {"\xff"
                                            "A\xc3",
                                            "\xff"
                                            "a\xc3"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        char *out;
        FIXTURE_OK(python_capitalize(pairs[i][0], &out));
        assert_string_equal(out, pairs[i][1]);
        mem_free(out);
    }
}

static void bad_data_is_refused(void **state)
{
    static const struct {
        const char *task, *file, *content, *text;
    } cases[] = {
        {"boolq", "boolq/val.jsonl", "", "there is no question in it"},
        {"boolq", "boolq/val.jsonl", "{", "val.jsonl:1: not a JSON object"},
        {"boolq", "boolq/val.jsonl", "{\"question\": \"q\", \"label\": true}",
         "\"passage\" (a text) is missing"},
        {"boolq", "boolq/val.jsonl", "\n{\"passage\": \"p\", \"question\": \"q\"}",
         "val.jsonl:2: \"label\" must be the right answer, 0 to 1"},
        {"boolq", "boolq/val.jsonl", "{\"passage\": \"p\", \"question\": \"q\", \"label\": 2}",
         "\"label\" must be the right answer"},
        {"piqa", "piqa/valid-labels.lst", "0\n", "has no line for the question"},
        {"piqa", "piqa/valid-labels.lst", "0\n2\n", "'2' answers the question"},
        {"piqa", "piqa/valid-labels.lst", "0\n\n", "'' answers the question"},
        {"piqa", "piqa/valid-labels.lst", "0\n1\n1\n", "has more lines than the 2 questions"},
        {"openbookqa", "openbookqa/test.jsonl",
         "{\"question\": {\"stem\": \"s\", \"choices\": "
         "[{\"text\": \"a\", \"label\": \"A\"}]}, "
         "\"answerKey\": \"A\"}",
         "\"choices\" must be 2 to 8 texts with labels"},
        {"openbookqa", "openbookqa/test.jsonl",
         "{\"question\": {\"stem\": \"s\", \"choices\": [{\"text\": \"a\", \"label\": \"A\"}, "
         "{\"text\": \"b\"}]}, \"answerKey\": \"A\"}",
         "choice 1 has no \"text\" or no \"label\""},
        {"openbookqa", "openbookqa/test.jsonl",
         "{\"question_stem\": \"s\", \"choices\": {\"text\": [\"a\", \"b\"], \"label\": [\"A\", "
         "\"B\"]}, \"answerKey\": \"\"}",
         "\"answerKey\" '' is none of the labels"},
        {"winogrande", "winogrande/dev.jsonl",
         "{\"sentence\": \"no gap\", \"option1\": \"a\", \"option2\": \"b\", \"answer\": \"1\"}",
         "has no _ for the gap"},
        {"winogrande", "winogrande/dev.jsonl",
         "{\"sentence\": \"a _\", \"option1\": \"a\", \"option2\": \"b\", \"answer\": \"\"}",
         "\"answer\" must be the right answer, 1 to 2"},
        {"hellaswag", "hellaswag/hellaswag_val.jsonl",
         "{\"activity_label\": \"a\", \"ctx_a\": \"b\", \"ctx_b\": \"c\", \"endings\": [\"d\", 1], "
         "\"label\": 0}",
         "\"endings\"[1] is not a text"},
        {"hellaswag", "hellaswag/hellaswag_val.jsonl",
         "{\"activity_label\": \"a\", \"ctx_a\": \"b\", \"ctx_b\": \"c\", \"endings\": \"d\", "
         "\"label\": 0}",
         "\"endings\" must be a list"},
    };
    FIXTURE_OK(data_folder_set(folder));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct questions out = {0};
        const struct task *task = task_find(cases[i].task);
        write_data(cases[i].file, cases[i].content);
        assert_int_equal(task->load(task, &out, 0, 1), ERR_FORMAT);
        if (!strstr(err_text(), cases[i].text) || strchr(err_text(), '\n'))
            fail_msg("'%s' is not in '%s'", cases[i].text, err_text());
        assert_null(out.items);
    }
}

static void absent_data_is_said(void **state)
{
    struct questions out = {0};
    const struct task *task = task_find("arc_challenge");
    FIXTURE_OK(data_folder_set(folder));
    assert_int_equal(task->load(task, &out, 0, 1), ERR_MISSING);
    assert_non_null(strstr(err_text(), "task arc_challenge: "));
    assert_non_null(strstr(err_text(), "/arc/ARC-Challenge-Test.jsonl is not there"));
    write_data("arc/train-00000-of-00001.parquet", "PAR1");
    assert_int_equal(task->load(task, &out, 0, 1), ERR_MISSING);
    /* Hugging Face's layout, which has no file of the wanted name */
    write_data("arc/ARC-Easy/test-00000-of-00001.parquet", "PAR1");
    write_data("arc/ARC-Challenge/train-00000-of-00001.parquet", "PAR1");
    write_data("arc/ARC-Challenge/test-00000-of-00001.parquet", "PAR1");
    assert_int_equal(task->load(task, &out, 0, 1), ERR_FORMAT);
    assert_non_null(
        strstr(err_text(), "/arc/ARC-Challenge/test-00000-of-00001.parquet').to_json('"));
    assert_non_null(strstr(err_text(), "/arc/ARC-Challenge-Test.jsonl', orient='records', lines"));
    assert_null(out.items);
    task = task_find("piqa");
    remove_data("piqa/valid.jsonl");
    write_data("piqa/test-00000-of-00001.parquet", "PAR1");
    assert_int_equal(task->load(task, &out, 0, 1), ERR_MISSING);
    write_data("piqa/plain_text/validation-00000-of-00001.parquet", "PAR1");
    assert_int_equal(task->load(task, &out, 0, 1), ERR_FORMAT);
    assert_non_null(strstr(err_text(), "/piqa/valid.jsonl', orient='records'"));
    remove_data("arc/ARC-Challenge/test-00000-of-00001.parquet");
    remove_data("arc/ARC-Easy/test-00000-of-00001.parquet");
    task = task_find("arc_challenge");
    assert_int_equal(unsetenv("BITBENCH_DATASETS"), 0);
    FIXTURE_OK(data_folder_set(NULL));
    assert_int_equal(task->load(task, &out, 0, 1), ERR_MISSING);
    assert_non_null(strstr(err_text(), "give --data DIR"));
    assert_int_equal(setenv("BITBENCH_DATASETS", folder, 1), 0);
    assert_int_equal(task->load(task, &out, 0, 1), ERR_MISSING);
    assert_non_null(strstr(err_text(), "/arc/ARC-Challenge-Test.jsonl is not there"));
}

static void failed_allocations_are_reported(void **state)
{
    static const char *const names[] = {"piqa", "hellaswag", "winogrande", "openbookqa"};
    both_forms_of_the_files(state);
    gaps_and_endings(state);
    for (int t = 0; t < 4; t++) {
        const struct task *task = task_find(names[t]);
        for (long nth = 1;; nth++) {
            struct questions out = {0};
            mem_fail_at(nth);
            int rc = task->load(task, &out, 0, 1), pending = mem_fail_pending();
            mem_fail_at(0);
            assert_int_equal(rc, pending ? 0 : ERR_MEMORY);
            questions_release(&out);
            if (pending)
                break;
        }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(prompts_are_the_reference),
        cmocka_unit_test(sets_are_complete),
        cmocka_unit_test(python_text),
        cmocka_unit_test(both_forms_of_the_files),
        cmocka_unit_test(gaps_and_endings),
        cmocka_unit_test(failed_allocations_are_reported),
        cmocka_unit_test(bad_data_is_refused),
        cmocka_unit_test(absent_data_is_said),
    };
    folder = fixture_folder("zeroshot");
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mem_free(folder);
    return failed;
}
