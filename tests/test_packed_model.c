/* Packed models: what is measured on them is what was measured when they were quantized, to the
 * last bit, for every method. */
#include "tests/packing.h"

#include "core/interrupt.h"
#include "core/pool.h"
#include "harness/command.h"
#include "harness/model_size.h"
#include "harness/packed_model.h"
#include "tests/fixture.h"

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>

#include <cmocka.h>

static bool same(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b));
}

/* Every number of the metrics, as doubles. */
static void assert_same(const char *what, const struct packing_result *a,
                        const struct packing_result *b)
{
    for (int i = 0; i < 2; i++) {
        const struct metric_record *x = &a->metrics[i], *y = &b->metrics[i];
        bool equal = same(x->value, y->value) && same(x->standard_error, y->standard_error) &&
                     same(x->low, y->low) && same(x->high, y->high) &&
                     same(x->bits_per_byte, y->bits_per_byte) && x->part_count == y->part_count;
        for (int p = 0; equal && p < x->part_count; p++)
            equal = same(x->parts[p].value, y->parts[p].value) &&
                    same(x->parts[p].margin, y->parts[p].margin) &&
                    x->parts[p].count == y->parts[p].count;
        if (!equal)
            fail_msg("%s: %s %.17g and %.17g", what, x->kind, x->value, y->value);
    }
}

static void assert_same_file(const char *a, const char *b)
{
    char *one = packing_path(a), *two = packing_path(b), *x, *y;
    size_t size, other;
    FIXTURE_OK(file_read(one, &x, &size));
    FIXTURE_OK(file_read(two, &y, &other));
    assert_int_equal(size, other);
    assert_memory_equal(x, y, size);
    mem_free(x);
    mem_free(y);
    mem_free(one);
    mem_free(two);
}

/* Nothing of the original config.json changes but its end. */
static void assert_config_extended(const char *name)
{
    char *original = packing_path("model/config.json"), *path, *before, *after;
    FIXTURE_OK(mem_printf(&path, "%s/%s/config.json", packing_root, name));
    FIXTURE_OK(file_read(original, &before, NULL));
    FIXTURE_OK(file_read(path, &after, NULL));
    size_t length = (size_t)(strrchr(before, '}') - before);
    while (before[length - 1] == '\n' || before[length - 1] == ' ')
        length--;
    assert_memory_equal(before, after, length);
    assert_memory_equal(after + length, ",\n  \"bitbench\": {", 17);
    mem_free(original);
    mem_free(path);
    mem_free(before);
    mem_free(after);
}

static size_t tensor_bytes(const char *model)
{
    char *path = packing_path(model);
    struct tensor_table *tensors;
    size_t bytes = 0;
    FIXTURE_OK(tensor_table_open_folder(&tensors, path));
    for (size_t i = 0; i < tensor_table_count(tensors); i++)
        bytes += tensor_table_at(tensors, i)->bytes;
    tensor_table_free(tensors);
    mem_free(path);
    return bytes;
}

/* Quantizes, writes to the folder `name`, and measures the folder. Returns 0 when the method
 * refuses the options (ERR_USAGE). */
static int round_trip(struct run *run, const struct point *point, const char *name,
                      const char *label)
{
    struct packing_result made, read;
    size_t parameters, bytes;
    int rc = packing_run(run, point, name, &made);
    if (rc == ERR_USAGE)
        return 0;
    if (rc)
        fail_msg("%s: %s", label, err_text());
    assert_true(made.output.layer_count > 0);
    packing_measure(run, name, &read);
    assert_same(label, &made, &read);
    model_size(&run->model, &parameters, &bytes);
    assert_true(made.output.file_bytes == (double)tensor_bytes(name));
    assert_true(read.output.file_bytes == made.output.file_bytes);
    assert_true(read.output.full_bits == made.output.full_bits);
    assert_true(made.output.full_bits == made.output.file_bytes * 8 / (double)parameters);
    double parts = made.output.bytes_left + made.output.bytes_outer + made.output.bytes_vectors;
    for (int i = 0; i < made.output.layer_count; i++)
        for (int k = 0; k < BITS_CATEGORIES; k++)
            parts += (double)made.output.layers[i].bytes[k];
    assert_true(parts == made.output.file_bytes && made.output.bytes_outer > 0);
    assert_true(made.output.weights_left >= 0 && read.output.weights_left >= 0);
    assert_true((double)made.file_bytes > made.output.file_bytes);
    packing_release(&made);
    packing_release(&read);
    return 1;
}

static void forget(const char *name)
{
    char *path = packing_path(name);
    nftw(path, fixture_remove, 16, FTW_DEPTH | FTW_PHYS);
    mem_free(path);
}

static void every_method_measures_the_same(void **state)
{
    struct run run;
    struct point point;
    struct packing_result full, one, two;
    packing_open(&run, "model");
    packing_measure(&run, "model", &full);
    for (int i = 0; methods[i]; i++) {
        if (!(methods[i]->caps & QM_PACKS))
            continue;
        packing_point(&point, methods[i]);
        FIXTURE_OK(pool_start(1));
        assert_int_equal(round_trip(&run, &point, "one", methods[i]->name), 1);
        packing_measure(&run, "one", &one);
        FIXTURE_OK(pool_start(2));
        assert_int_equal(round_trip(&run, &point, "two", methods[i]->name), 1);
        packing_measure(&run, "one", &two);
        assert_same(methods[i]->name, &one, &two);
        assert_false(same(one.metrics[0].value, full.metrics[0].value));
        assert_same_file("one/model.safetensors", "two/model.safetensors");
        assert_same_file("one/config.json", "two/config.json");
        assert_config_extended("one");
        assert_same_file("one/tokenizer.json", "model/tokenizer.json");
        packing_release(&one);
        packing_release(&two);
        forget("one");
        forget("two");
        mem_free(point.method_options);
    }
    packing_release(&full);
    run_close(&run);
}

/* Sets the option to its value number index; 0 when it has no more. */
static int set_value(struct point *point, const struct option *row, int index)
{
    static const char *const numbers[] = {"1", "2", "3", "8", "16", "32", "0.25"};
    const char *text = row->choices;
    char value[OPTION_TEXT_SIZE];
    switch (row->type) {
    case OPTION_BOOL:
        if (index > 1)
            return 0;
        snprintf(value, sizeof value, "%s", index ? "true" : "false");
        break;
    case OPTION_CHOICE:
        for (int i = 0; i < index && text; i++)
            text = (text = strchr(text, '|')) ? text + 1 : NULL;
        if (!text)
            return 0;
        snprintf(value, sizeof value, "%.*s", (int)strcspn(text, "|"), text);
        break;
    case OPTION_INT:
    case OPTION_REAL:
        if (index == (int)(sizeof numbers / sizeof *numbers))
            return 0;
        snprintf(value, sizeof value, "%s", numbers[index]);
        break;
    default: return 0;
    }
    if (options_check(point->method->options, row->name, value, "test") == 0)
        packing_set(point, row->name, value);
    return 1;
}

/* Each value of each option alone. */
static void every_option_measures_the_same(void **state)
{
    struct run run;
    struct point point;
    int tried = 0, taken = 0;
    FIXTURE_OK(pool_start(1));
    packing_open(&run, "model");
    for (int i = 0; methods[i]; i++) {
        if (!(methods[i]->caps & QM_PACKS))
            continue;
        for (const struct option *row = methods[i]->options; row->name; row++) {
            for (int index = 0; !row->alias_of; index++) {
                char label[200], value[OPTION_TEXT_SIZE];
                int same_as_default, more;
                packing_point(&point, methods[i]);
                snprintf(point.harness.quant_only, OPTION_TEXT_SIZE, "_proj");
                point.harness.max_layer = 1;
                more = set_value(&point, row, index);
                FIXTURE_OK(options_is_default(row, point.method_options, &same_as_default));
                FIXTURE_OK(options_value(row, point.method_options, value));
                snprintf(label, sizeof label, "%s %s=%.80s", methods[i]->name, row->name, value);
                bool valid = !methods[i]->check || methods[i]->check(point.method_options) == 0;
                if (more && !same_as_default && valid) {
                    tried++;
                    taken += round_trip(&run, &point, "option", label);
                    forget("option");
                }
                mem_free(point.method_options);
                if (!more)
                    break;
            }
        }
    }
    run_close(&run);
    FIXTURE_OK(pool_start(2));
    print_message("%d of %d settings quantize\n", taken, tried);
    assert_true(taken > 40);
}

/* Layers that are left alone stay plain tensors, to the byte. */
static void layers_left_alone_stay(void **state)
{
    struct run run;
    struct point point;
    struct model packed = {0};
    const struct tensor *a, *b;
    packing_open(&run, "model");
    packing_point(&point, method_find("rtn"));
    point.harness.min_layer = 1;
    snprintf(point.harness.quant_only, OPTION_TEXT_SIZE, "mlp");
    assert_int_equal(round_trip(&run, &point, "part", "part"), 1);
    char *path = packing_path("part");
    FIXTURE_OK(model_folder_open(&packed, path));
    assert_int_equal(packed_model_of(&packed)->layer_count, 6);
    assert_null(packed_model_of(&run.model));
    for (size_t i = 0; i < tensor_table_count(run.model.tensors); i++) {
        a = tensor_table_at(run.model.tensors, i);
        b = tensor_table_find(packed.tensors, a->name);
        bool gone = strstr(a->name, ".mlp.") && !strstr(a->name, "layers.0.");
        assert_int_equal(gone, b == NULL);
        if (b)
            assert_memory_equal(a->data, b->data, a->bytes);
    }
    assert_non_null(tensor_table_find(packed.tensors, "model.layers.1.mlp.up_proj.packed.codes"));
    size_t bytes = model_layer_bytes(&run.model, "model.layers.1.mlp.up_proj");
    assert_int_equal(bytes, 64 * 128 * 2);
    assert_true(model_layer_bytes(&packed, "model.layers.1.mlp.up_proj") < bytes);
    assert_int_equal(model_layer_bytes(&packed, "model.layers.0.mlp.up_proj"), bytes);
    model_close(&packed);
    mem_free(path);
    mem_free(point.method_options);
    run_close(&run);
}

/* A packed model is a model: it can be quantized again, though not written again. */
static void a_packed_model_is_a_model(void **state)
{
    struct run run;
    struct point point;
    struct packing_result result;
    static const char *const options[] = {"bits=4", NULL};
    packing_make("again", "rtn", options);
    packing_open(&run, "again");
    packing_point(&point, method_find("rtn"));
    packing_set(&point, "bits", "2");
    FIXTURE_OK(packing_run(&run, &point, NULL, &result));
    assert_int_equal(result.output.layer_count, 21);
    assert_true(result.output.file_bytes < (double)tensor_bytes("again"));
    packing_release(&result);
    assert_int_equal(packing_run(&run, &point, "twice", &result), ERR_USAGE);
    assert_non_null(strstr(err_text(), "packed already, by rtn"));
    mem_free(point.method_options);
    run_close(&run);
}

static int count_entries(const char *part)
{
    int count = 0;
    DIR *folder = opendir(packing_root);
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;)
        count += strstr(entry->d_name, part) != NULL;
    closedir(folder);
    return count;
}

/* Nothing is there when writing fails, and what was there is not touched. */
static void a_folder_is_whole_or_absent(void **state)
{
    struct run run;
    struct point point;
    struct packing_result result;
    packing_open(&run, "model");
    packing_point(&point, method_find("rtn"));
    assert_int_equal(packing_run(&run, &point, "model", &result), ERR_USAGE);
    assert_non_null(strstr(err_text(), "not empty"));
    assert_int_equal(packing_run(&run, &point, "text.txt", &result), ERR_USAGE);
    assert_non_null(strstr(err_text(), "in the way"));
    interrupt_simulate(SIGINT);
    assert_int_equal(packing_run(&run, &point, "stopped", &result), ERR_INTERRUPTED);
    interrupt_simulate(0);
    snprintf(point.harness.quant_only, OPTION_TEXT_SIZE, "no such layer");
    assert_int_equal(packing_run(&run, &point, "stopped", &result), ERR_USAGE);
    assert_non_null(strstr(err_text(), "leave no layer"));
    assert_int_equal(count_entries("stopped"), 0);
    assert_int_equal(count_entries(".tmp."), 0);
    char *empty = packing_path("deep/er/empty");
    FIXTURE_OK(file_make_directories(empty)); /* an empty folder is taken */
    point.harness.quant_only[0] = '\0';
    FIXTURE_OK(packing_run(&run, &point, "deep/er/empty", &result));
    packing_release(&result);
    mem_free(empty);
    mem_free(point.method_options);
    run_close(&run);
}

static int command(const char *const *words)
{
    char *argv[24];
    int argc = 0;
    for (; words[argc]; argc++)
        FIXTURE_OK(mem_strdup(&argv[argc], words[argc]));
    argv[argc] = NULL;
    int rc = command_line_run(argc, argv, NULL);
    while (argc)
        mem_free(argv[--argc]);
    return rc;
}

static void the_command_writes_a_model(void **state)
{
    char *model = packing_path("model"), *out = packing_path("command"), *text;
    struct model packed = {0};
    FIXTURE_OK(mem_printf(&text, "--calibration.corpus=file:%s/text.txt", packing_root));
    const char *const gptq[] = {"bitbench",
                                "quantize",
                                "gptq",
                                "--model",
                                model,
                                "--out",
                                out,
                                "-o",
                                "bits=3",
                                "-o",
                                "group_size=32",
                                text,
                                "--calibration.samples",
                                "4",
                                "--calibration.length",
                                "32",
                                "--max-layer=2",
                                "-q",
                                NULL};
    FIXTURE_OK(command(gptq));
    FIXTURE_OK(model_folder_open(&packed, out));
    const struct packed_model *p = packed_model_of(&packed);
    assert_string_equal(p->op.method->name, "gptq");
    assert_int_equal(p->layer_count, 14);
    const json_t *made = json_object_get(json_object_get(p->config, "bitbench"), "made");
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(made, "calibration"), "samples")), 4);
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(made, "selection"), "max_layer")), 2);
    model_close(&packed);
    assert_int_equal(command(gptq), ERR_USAGE); /* it is there now */
    const char *const wrong[][7] = {{"bitbench", "quantize", "rtn", "-q", NULL},
                                    {"bitbench", "quantize", "rnt", "--out", "x", NULL},
                                    {"bitbench", "quantize", "rtn", "--out", "x", "-obits=9", NULL},
                                    {"bitbench", "quantize", "rtn", "--out", "x", "-obits", NULL},
                                    {"bitbench", "quantize", "rtn", "--out", "x", "-obit=4", NULL}};
    static const char *const expected[] = {"--out FOLDER is missing", "did you mean 'rtn'",
                                           "from 1 to 8", "KEY=VALUE", "bits"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(command(wrong[i]), ERR_USAGE);
        if (!strstr(err_text(), expected[i]))
            fail_msg("'%s' is not in: %s", expected[i], err_text());
    }
    mem_free(text);
    mem_free(model);
    mem_free(out);
}

int main(int argc, char **argv)
{
    fixture_start(argv, 2);
    packing_begin("packed_model");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_method_measures_the_same),
        cmocka_unit_test(every_option_measures_the_same),
        cmocka_unit_test(layers_left_alone_stay),
        cmocka_unit_test(a_packed_model_is_a_model),
        cmocka_unit_test(a_folder_is_whole_or_absent),
        cmocka_unit_test(the_command_writes_a_model),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mem_free(packing_root);
    pool_stop();
    return failed;
}
