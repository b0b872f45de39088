/* bitbench train from spec to model folder: bad specs give one clear line, an interrupted and
 * resumed run gives the same bytes as one that was never stopped, and the folder opens as a model.
 */
#include "harness/train_run.h"
#include "harness/train_spec.h"

#include "core/interrupt.h"
#include "core/log.h"
#include "core/pool.h"
#include "linalg/matmul.h"
#include "model/model.h"
#include "model/safetensors.h"
#include "tests/fixture.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/file.h>

#include <cmocka.h>

static const char good[] = "title: A small one\n"
                           "output: %s/%s\n"
                           "tokenizer: {vocabulary: 320}\n"
                           "model: {layers: 1, width: 32, hidden: 64, heads: 2, kv_heads: 1}\n"
                           "training:\n"
                           "  sequences: 4\n"
                           "  shards: 2\n"
                           "  context: 32\n"
                           "  tokens: 12800\n"
                           "  warmup_tokens: 1000\n"
                           "  learning_rate: 4e-3\n"
                           "  dropout: 0.1\n"
                           "report: {log_steps: 10, validation_steps: 25, validation_tokens: 500}\n"
                           "corpora:\n"
                           "  - {name: \"docs:%s/one.txt\", weight: 2}\n"
                           "  - {name: \"docs:%s/two.txt\", validate: false}\n";

/* FOLDER/NAME.yaml, training into FOLDER/NAME. */
static char *write_spec(const char *folder, const char *name)
{
    char *text, *file, *path;
    FIXTURE_OK(mem_printf(&text, good, folder, name, folder, folder));
    FIXTURE_OK(mem_printf(&file, "%s.yaml", name));
    fixture_write(folder, file, text);
    FIXTURE_OK(file_join(&path, folder, file));
    mem_free(text);
    mem_free(file);
    return path;
}

static char *make_folder(const char *name)
{
    char *folder = fixture_folder(name), *one = fixture_text(6000, 1), *two = fixture_text(3000, 2);
    fixture_write(folder, "one.txt", one);
    fixture_write(folder, "two.txt", two);
    mem_free(one);
    mem_free(two);
    return folder;
}

static void assert_same_file(const char *folder, const char *a, const char *b, const char *name)
{
    char *first, *second, hash[2][HASH_HEX_SIZE];
    FIXTURE_OK(mem_printf(&first, "%s/%s/%s", folder, a, name));
    FIXTURE_OK(mem_printf(&second, "%s/%s/%s", folder, b, name));
    FIXTURE_OK(hash_file(first, hash[0]));
    FIXTURE_OK(hash_file(second, hash[1]));
    assert_string_equal(hash[0], hash[1]);
    mem_free(first);
    mem_free(second);
}

/* Tensors of two checkpoints, moments included. */
static void assert_same_checkpoint(const char *folder, const char *a, const char *b)
{
    struct tensor_table *files[2];
    const char *names[2] = {a, b};
    for (int i = 0; i < 2; i++) {
        char *path;
        FIXTURE_OK(mem_printf(&path, "%s/%s/checkpoint.safetensors", folder, names[i]));
        FIXTURE_OK(safetensors_open_file(&files[i], path));
        mem_free(path);
    }
    assert_true(tensor_table_count(files[0]) > 30);
    assert_int_equal(tensor_table_count(files[0]), tensor_table_count(files[1]));
    for (size_t i = 0; i < tensor_table_count(files[0]); i++) {
        const struct tensor *first = tensor_table_at(files[0], i),
                            *second = tensor_table_at(files[1], i);
        assert_string_equal(first->name, second->name);
        assert_int_equal(first->bytes, second->bytes);
        assert_memory_equal(first->data, second->data, first->bytes);
    }
    tensor_table_free(files[0]);
    tensor_table_free(files[1]);
}

static void test_interrupted_run_resumes(void **state)
{
    char *folder = make_folder("train_run"), *whole, *parts;
    struct train_request request = {0};
    int stops = 0, rc;
    whole = write_spec(folder, "whole");
    parts = write_spec(folder, "parts");
    request.spec = whole;
    FIXTURE_OK(train_run(&request));
    /* one update a run, for the first few; then through to the end */
    request.spec = parts;
    do {
        interrupt_simulate(stops < 4 ? SIGTERM : 0);
        rc = train_run(&request);
        interrupt_simulate(0);
        if (rc)
            assert_int_equal(rc, ERR_INTERRUPTED);
    } while (rc && ++stops < 10);
    assert_int_equal(stops, 4);
    assert_same_checkpoint(folder, "whole", "parts");
    assert_same_file(folder, "whole", "parts", "model.safetensors");
    assert_same_file(folder, "whole", "parts", "config.json");
    /* nothing is left to do */
    FIXTURE_OK(train_run(&request));
    assert_same_checkpoint(folder, "whole", "parts");
    mem_free(whole);
    mem_free(parts);
    mem_free(folder);
}

static void test_output_opens_as_model(void **state)
{
    char *folder = make_folder("train_model"), *spec, *path, *text;
    const char *sets[] = {"training.tokens=2560", NULL};
    struct model model = {0};
    struct train_request request = {.sets = sets};
    spec = write_spec(folder, "out");
    request.spec = spec;
    FIXTURE_OK(train_run(&request));
    FIXTURE_OK(file_join(&path, folder, "out"));
    FIXTURE_OK(model_open(&model, path));
    assert_int_equal(model.config.layers, 1);
    assert_int_equal(model.config.kv_heads, 1);
    assert_int_equal(model.config.head_size, 16);
    assert_int_equal(model.config.vocabulary, 320);
    assert_true(model.config.tied_head);
    model_close(&model);
    mem_free(path);
    FIXTURE_OK(mem_printf(&path, "%s/out/training.csv", folder));
    FIXTURE_OK(file_read(path, &text, NULL));
    assert_memory_equal(
        text, "step,tokens,seconds,learning_rate,train_loss,gradient_norm,validation_loss", 73);
    assert_non_null(strstr(text, "\n10,1280,"));
    assert_non_null(strstr(text, "\n20,2560,"));
    mem_free(text);
    mem_free(path);
    mem_free(spec);
    mem_free(folder);
}

/* Another seed is another run; a longer schedule is the same one. */
static void test_checkpoint_belongs_to_its_spec(void **state)
{
    char *folder = make_folder("train_other"), *spec;
    const char *first[] = {"training.tokens=1280", NULL},
               *seed[] = {"training.tokens=1280", "training.seed=2", NULL};
    const char *longer[] = {"training.tokens=1536", NULL};
    struct train_request request = {.sets = first};
    spec = write_spec(folder, "out");
    request.spec = spec;
    FIXTURE_OK(train_run(&request));
    request.sets = seed;
    assert_int_equal(train_run(&request), ERR_USAGE);
    assert_non_null(strstr(err_text(), "checkpoint.safetensors"));
    request.sets = longer;
    FIXTURE_OK(train_run(&request));
    request.sets = seed;
    request.fresh = 1;
    FIXTURE_OK(train_run(&request));
    mem_free(spec);
    mem_free(folder);
}

/* A folder in which another process trains is left alone. */
static void test_two_runs_at_once(void **state)
{
    char *folder = make_folder("train_busy"), *spec = write_spec(folder, "out"), *out;
    const char *sets[] = {"training.tokens=1280", NULL};
    struct train_request request = {.spec = spec, .sets = sets};
    FIXTURE_OK(file_join(&out, folder, "out"));
    FIXTURE_OK(file_make_directories(out));
    int lock = open(out, O_RDONLY | O_DIRECTORY);
    assert_true(lock >= 0);
    assert_int_equal(flock(lock, LOCK_EX), 0);
    assert_int_equal(train_run(&request), ERR_BUSY);
    assert_non_null(strstr(err_text(), out));
    close(lock);
    FIXTURE_OK(train_run(&request));
    mem_free(out);
    mem_free(spec);
    mem_free(folder);
}

/* Loads `text` as a spec; the error must contain every one of the words. */
static void expect_line(const char *folder, const char *text, const char *const *words)
{
    struct train_spec spec;
    char *path;
    fixture_write(folder, "bad.yaml", text);
    FIXTURE_OK(file_join(&path, folder, "bad.yaml"));
    assert_int_not_equal(train_spec_load(&spec, path, NULL), 0);
    for (int i = 0; words[i]; i++)
        if (!strstr(err_text(), words[i]))
            fail_msg("'%s' lacks '%s'", err_text(), words[i]);
    assert_null(strchr(err_text(), '\n'));
    mem_free(path);
}

#define EXPECT(text, ...) expect_line(folder, text, (const char *const[]){__VA_ARGS__, NULL})
#define REST              "output: x\ncorpora: [{name: kjv}]\n"

static void test_bad_specs(void **state)
{
    char *folder = fixture_folder("train_bad");
    EXPECT("output: x\n", "corpora", "missing");
    EXPECT("corpora: [{name: kjv}]\n", "output", "missing");
    EXPECT(REST "modell: {layers: 2}\n", "bad.yaml:3", "modell", "did you mean 'model'");
    EXPECT(REST "model: {layer: 2}\n", "bad.yaml:3", "layer", "layers");
    EXPECT(REST "model: {layers: two}\n", "bad.yaml:3", "layers", "two");
    EXPECT(REST "model: {layers: 0}\n", "bad.yaml:3", "layers");
    EXPECT(REST "model: 3\n", "bad.yaml:3", "model", "mapping");
    EXPECT(REST "model: {heads: 4, kv_heads: 3}\n", "kv_heads 3", "heads 4");
    EXPECT(REST "model: {width: 30, heads: 4}\n", "width 30", "head_size");
    EXPECT(REST "training: {learning_rate: -1}\n", "bad.yaml:3", "learning_rate");
    EXPECT(REST "training: {learning_rate: [1, 2]}\n", "bad.yaml:3", "single value");
    EXPECT(REST "training: {schedule: linear}\n", "schedule", "cosine", "trapezoid");
    EXPECT(REST "training: {tokens: 100, warmup_tokens: 100}\n", "warmup_tokens");
    EXPECT(REST "training: {sequences: 4, shards: 3}\n", "shards 3", "sequences 4");
    EXPECT("output: x\ncorpora: []\n", "bad.yaml:2", "corpora");
    EXPECT("output: x\ncorpora: [{weight: 1}]\n", "bad.yaml:2", "name");
    EXPECT("output: x\ncorpora: [{name: kjv}, {name: kjv}]\n", "kjv", "twice");
    EXPECT("output: x\ncorpora: [{name: kjv, weight: 0}]\n", "weight");
    EXPECT("output: [x]\ncorpora: [{name: kjv}]\n", "bad.yaml:1", "output");
    mem_free(folder);
}

static void test_bad_requests(void **state)
{
    char *folder = make_folder("train_requests"), *spec = write_spec(folder, "out");
    const char *no_value[] = {"training.seed", NULL}, *no_corpus[] = {"corpora.0.name=kjb", NULL};
    const char *short_text[] = {"corpora.1.name=docs:short.txt", "training.context=4000", NULL};
    struct train_request request = {.spec = "nosuch.yaml"};
    assert_int_equal(train_run(&request), ERR_MISSING);
    request.spec = spec;
    request.sets = no_value;
    assert_int_equal(train_run(&request), ERR_USAGE);
    assert_non_null(strstr(err_text(), "key=value"));
    request.sets = no_corpus;
    assert_int_not_equal(train_run(&request), 0);
    assert_non_null(strstr(err_text(), "kjb"));
    request.sets = short_text;
    assert_int_not_equal(train_run(&request), 0);
    assert_non_null(strstr(err_text(), "short.txt"));
    mem_free(spec);
    mem_free(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_interrupted_run_resumes),
        cmocka_unit_test(test_output_opens_as_model),
        cmocka_unit_test(test_checkpoint_belongs_to_its_spec),
        cmocka_unit_test(test_two_runs_at_once),
        cmocka_unit_test(test_bad_specs),
        cmocka_unit_test(test_bad_requests),
    };
    matmul_init();
    log_set_mode(LOG_QUIET);
    if (pool_start(2))
        return 1;
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    pool_stop();
    return failures;
}
