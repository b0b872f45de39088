/* The data folder from the outside: named on the command line, in a spec or in the environment, for
 * eval, run, quantize and datasets. */
#include "tests/database_says.h"
#include "tests/program.h"

static char *folder;

/* DATA/wikitext2 with a test and a validation split, DATA/c4 with documents. */
static void put_data(void)
{
    static const char *const folders[] = {"data/wikitext2", "data/c4", "other"};
    char *path, *text = fixture_text(3000, 5);
    struct strbuf lines = {0};
    for (int i = 0; i < 3; i++) {
        FIXTURE_OK(file_join(&path, folder, folders[i]));
        FIXTURE_OK(file_make_directories(path));
        mem_free(path);
    }
    fixture_write(folder, "data/wikitext2/wiki.test.raw", text);
    fixture_write(folder, "data/wikitext2/wiki.valid.raw", text);
    mem_free(text);
    for (int i = 0; i < 30; i++) {
        text = fixture_text(i % 5 ? 20 : 400, (uint64_t)i);
        for (char *c = text; *c; c++)
            *c = *c == '\n' ? ' ' : *c;
        FIXTURE_OK(strbuf_printf(&lines, "{\"text\": \"%s\"}\n", text));
        mem_free(text);
    }
    fixture_write(folder, "data/c4/validation.jsonl", lines.data);
    strbuf_release(&lines);
    fixture_write(folder, "data.yaml",
                  "name: data\nmodel: model\ndata: data\n"
                  "calibration: {corpus: wikitext2, split: validation, samples: 4, length: 48, "
                  "allow_overlap: true}\n"
                  "evaluation: {perplexity: [{corpus: wikitext2, window: 48, windows: 2}, "
                  "{corpus: c4, window: 48, windows: 2}]}\n"
                  "methods: [{method: gptq, bits: 3}]\n");
}

/* Ends well; the only complaints are that the texts are not the published ones. */
static void runs(const char *line, const char *output)
{
    struct result r = shell(line);
    if (r.status != 0 || !strstr(r.err, "the published one has") || !strstr(r.out, output))
        fail_msg("%s\ngot %d <%s> and the output <%s>", line, r.status, r.err, r.out);
}

static void a_spec_names_it(void **state)
{
    runs("$B run data.yaml -q --no-table --database data.db", "");
    database_says(folder, "data.db", "SELECT settings ->> '$.calibration.draw' FROM points",
                  "python");
    database_says(folder, "data.db", "SELECT substr(warnings, 1, 64) FROM points",
                  "corpus text differs from the published one; calibration holds 29");
    database_says(folder, "data.db",
                  "SELECT group_concat(dataset || ' ' || split || ' ' || count) FROM metrics",
                  "wikitext2 test 94,c4 test 94");
    /* whoever names another folder is heard; the point's id does not hang on the folder's name */
    refuses("$B run data.yaml -q --database data.db --data other", 3,
            "other/wikitext2/wiki.test.raw is not there");
    runs("cp -r data moved && $B run data.yaml --json --database data.db --data moved",
         "\"computed\": 0, \"skipped\": 1");
    struct result r = shell("$B run data.yaml -q --set calibration.corpus=c4 --set "
                            "calibration.draw=own");
    assert_int_equal(r.status, 2);
    assert_non_null(strstr(r.err, "corpus c4 is drawn document by document"));
    refuses("$B run data.yaml -q --set calibration.draw=pythn", 2, "own, python, given");
    refuses("$B run data.yaml -q --set data=[a,b]", 2, "data: a text is expected");
}

static void commands_take_it(void **state)
{
    runs("$B eval -q --model model --data data --corpora wikitext2,c4,c4_gptq --window 48 "
         "--windows 3",
         "(3 windows of 48)");
    runs("BITBENCH_DATASETS=data $B eval -q --model model --corpora wikitext2 --window 48", "48)");
    refuses("$B eval -q --model model --corpora wikitext2", 3, "give --data DIR");
    runs("$B quantize gptq -o bits=3 --model model --data data --calibration.corpus c4 "
         "--calibration.split validation --calibration.samples 3 --calibration.length 48 -q "
         "--out packed",
         "gptq bits=3");
    struct result r = shell("$B datasets --data data");
    assert_int_equal(r.status, 0);
    assert_non_null(strstr(r.out, "wikitext2        data folder      validation, test"));
    assert_non_null(strstr(r.out, "ptb              data folder      not found"));
    r = shell("$B datasets wikitext2 --data data --show 1");
    assert_int_equal(r.status, 0);
    assert_non_null(strstr(r.out, "train        not found: data/wikitext2/wiki.train.raw"));
    assert_non_null(strstr(r.out, "NOT the published file"));
    assert_non_null(strstr(r.out, "--- row 0 ---"));
    r = shell("$B datasets c4 --data data --json");
    assert_int_equal(r.status, 0);
    assert_non_null(strstr(r.out, "\"rows\": 30"));
    refuses("$B datasets ptb --data data", 3, "data/ptb/ptb.test.txt is not there");
    refuses("$B train --data x spec.yaml", 2, "data");
}

int main(void)
{
    folder = fixture_folder("data_run");
    fixture_model(folder);
    put_data();
    if (program_start(folder) != 0 || chdir(folder) != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_spec_names_it),
        cmocka_unit_test(commands_take_it),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mem_free(folder);
    return failed;
}
