/* Whole quantized models against the authors' own pipelines, on the same token ids: perplexities
 * window by window, and each linear layer's Hessian-weighted loss, where the Hessian is taken after
 * the already quantized blocks. */
#include "harness/layer_loss.h"
#include "harness/pipeline.h"

#include "core/pool.h"
#include "tests/fixture.h"
#include "tests/golden.h"

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* First block: the inputs are the same to the last bits; later ones see the quantized blocks before
 * them. */
static const double first_bar = 1e-3, later_bar = 0.01, perplexity_bar = 0.005;

/* BiLLM along tiny_llama: in this layer two of 180,224 weights lie on a split, 4.3e-7 of it apart,
 * and the reference's float32 swaps them. Ours decides as double precision does, or, with other
 * kernels of OpenBLAS, takes another tie nearby, and the later blocks see other inputs: their
 * layers differ by up to 2.2 %, the perplexity by 0.25 or 0.44 %. tests/test_billm_model.c shows
 * it. So the run is compared twice: as it is, by its first block, perplexity and a block's sum, and
 * with the reference's values in this one layer, where the bars hold for every layer. */
static const char *const tied_run = "billm_hess_bs128";
static const char *const tied_layer = "model.layers.0.mlp.up_proj";
static const char *const tied_place = "block 0, mlp.up_proj";
static float *tied_values; /* taken in place of our own; NULL: ours */

static int quantize_but_tied(const void *options, const struct layer_problem *problem,
                             struct layer_result *result)
{
    int rc = method_find("billm")->quantize_layer(options, problem, result);
    if (rc == 0 && strcmp(problem->name, tied_place) == 0)
        memcpy(result->quantized, tied_values,
               (size_t)problem->rows * (size_t)problem->columns * sizeof *tied_values);
    return rc;
}

/* tiny_opt is barely trained and its Hessians are ill-conditioned (1e4 to 1e5). In block 0's fc2
 * the reference's own code takes another side of a tie for 6e-4 of the weights when float64 is its
 * default; three rows are enough to move single layers of the later blocks: our kernel sets alone
 * move them by up to 20 % against each other (block 2's k_proj under PB-LLM: 81 to 98), the
 * perplexity by 0.01 %. So there a block's sum is compared; test_golden_chain follows the model
 * with the reference's weights and finds its Hessians to 2e-7. */
static const double later_sum_bar = 0.05;

static void set_option(struct point *point, const char *name, const char *format, ...)
{
    char value[64];
    va_list args;
    va_start(args, format);
    vsnprintf(value, sizeof value, format, args);
    va_end(args);
    FIXTURE_OK(options_set(point->method->options, point->method_options, name, value, "golden"));
}

/* The point that the reference's arguments stand for; returns 0 when the method is not there. */
static int make_point(const json_t *run, struct point *point)
{
    const char *method = json_string_value(json_object_get(run, "method"));
    int bits = (int)json_integer_value(json_object_get(run, "bits"));
    int group = (int)json_integer_value(json_object_get(run, "gs"));
    *point = (struct point){.harness = {.min_layer = -1, .max_layer = -1, .layer_errors = true}};
    if (strcmp(method, "fp") == 0)
        return 1;
    point->method = method_find(strcmp(method, "pbllm") == 0 ? "pb-llm" : method);
    if (!point->method)
        return 0;
    FIXTURE_OK(mem_calloc(&point->method_options, 1, point->method->options_size));
    FIXTURE_OK(options_defaults(point->method->options, point->method_options));
    if (options_find(point->method->options, "bits")) {
        set_option(point, "bits", "%d", bits);
        set_option(point, "sym", json_is_true(json_object_get(run, "sym")) ? "true" : "false");
    } else {
        set_option(point, "low_method", "%s", json_string_value(json_object_get(run, "low")));
        set_option(point, "salient_metric", "%s",
                   json_string_value(json_object_get(run, "metric")));
    }
    if (options_find(point->method->options, "low_frac"))
        set_option(point, "low_frac", "%.17g", json_number_value(json_object_get(run, "low_frac")));
    if (options_find(point->method->options, "group_size"))
        set_option(point, "group_size", "%d", group);
    if (options_find(point->method->options, "block_size"))
        set_option(point, "block_size", "%d",
                   (int)json_integer_value(json_object_get(run, "blocksize")));
    return 1;
}

static void fill_stream(struct stream *stream, const struct tensor_table *ids, const char *name,
                        int count, int length, int first_target)
{
    const struct tensor *tensor;
    int32_t *values;
    FIXTURE_OK(tensor_table_get(ids, name, &tensor));
    FIXTURE_OK(mem_alloc(&values, tensor->count, sizeof *values));
    FIXTURE_OK(tensor_to_int32(tensor, values));
    assert_true((size_t)count * (size_t)length <= tensor->count);
    for (int i = 0; i < count; i++)
        FIXTURE_OK(stream_add(stream, values + (size_t)i * (size_t)length, length, first_target));
    mem_free(values);
}

/* exp of the mean of the windows' mean losses; *worst = the largest difference of a window's loss.
 */
static double perplexity(const struct stream *stream, const struct token_score *scores,
                         const json_t *losses, double *worst)
{
    double total = 0;
    *worst = 0;
    for (int s = 0; s < stream->count; s++) {
        double sum = 0;
        int count = 0;
        for (int r = stream->offsets[s]; r < stream->offsets[s + 1]; r++)
            if (stream->targets[r] >= 0) {
                sum -= (double)scores[r].log_probability;
                count++;
            }
        total += sum / count;
        *worst = fmax(*worst,
                      fabs(sum / count - json_number_value(json_array_get(losses, (size_t)s))));
    }
    return exp(total / stream->count);
}

static const struct layer_record *find_record(const struct model *model,
                                              const struct pipeline_output *output,
                                              const char *wanted)
{
    char name[MODEL_NAME_SIZE];
    for (int i = 0; i < output->layer_count; i++) {
        model_linear_name(model, output->layers[i].block, output->layers[i].name, name);
        if (strcmp(name, wanted) == 0)
            return &output->layers[i];
    }
    fail_msg("there is no layer %s", wanted);
    return NULL;
}

/* Compares the layers' losses; returns how many layers and later blocks miss their bar. */
static int compare_layers(const struct model *model, const struct pipeline_output *output,
                          const json_t *layers, double later_most, double worst[2])
{
    int missed = 0;
    double sums[16][2] = {{0}};
    worst[0] = worst[1] = 0;
    for (size_t i = 0; i < json_array_size(layers); i++) {
        const json_t *layer = json_array_get(layers, i);
        const struct layer_record *record = find_record(
            model, output, json_string_value(json_object_get(layer, "name")));
        double expected = json_number_value(json_object_get(layer, "hloss"));
        double off = fabs(record->hessian_loss / expected - 1);
        int later = record->block > 0;
        assert_in_range(record->block, 0, 15);
        sums[record->block][0] += record->hessian_loss;
        sums[record->block][1] += expected;
        worst[later] = fmax(worst[later], off);
        missed += off > (later ? later_most : first_bar);
    }
    for (int block = 0; block < 16 && sums[block][1] > 0; block++)
        missed += fabs(sums[block][0] / sums[block][1] - 1) > later_sum_bar;
    return missed;
}

static int compare_run(const char *folder, const char *kind, const char *name,
                       const struct model *model, const struct tensor_table *ids)
{
    struct quant_method but_tied = *method_find("billm");
    but_tied.quantize_layer = quantize_but_tied;
    char path[2048];
    struct point point;
    struct stream calibration = {0}, evaluation = {0};
    struct pipeline_output output = {0};
    snprintf(path, sizeof path, "%s/models/%s.runs/%s", folder, kind, name);
    json_t *run = json_load_file(path, 0, NULL);
    assert_non_null(run);
    if (!make_point(run, &point)) {
        print_message("%-28s skipped: the method is not there\n", name);
        json_decref(run);
        return 0;
    }
    if (tied_values)
        point.method = &but_tied;
    int length = (int)json_integer_value(json_object_get(run, "seqlen"));
    fill_stream(&calibration, ids, "calib",
                (int)json_integer_value(json_object_get(run, "nsamples")), length, length);
    fill_stream(&evaluation, ids, "test", (int)json_integer_value(json_object_get(run, "evalwin")),
                length, 1);
    const struct pipeline_input input = {.model = model,
                                         .point = &point,
                                         .calibration = point.method ? &calibration : NULL,
                                         .evaluation = &evaluation};
    FIXTURE_OK(pipeline_run(&input, &output));
    double worst[2], window, expected = json_number_value(json_object_get(run, "ppl"));
    bool billm = point.method && strcmp(point.method->name, "billm") == 0;
    bool flips = strcmp(kind, "tiny_opt") == 0 || (billm && !tied_values);
    double later = flips ? INFINITY : later_bar;
    int missed = compare_layers(model, &output, json_object_get(run, "layers"), later, worst);
    double ours = perplexity(&evaluation, output.scores, json_object_get(run, "window_loss"),
                             &window);
    missed += fabs(ours / expected - 1) > perplexity_bar;
    print_message("%-28s perplexity %9.3f (reference %9.3f, %+.3f %%), worst window %.1e, layers "
                  "off by %.1e and %.1e%s\n",
                  tied_values ? "... with the tie as there" : name, ours, expected,
                  100 * (ours / expected - 1), window, worst[0], worst[1],
                  missed ? "  MISSED" : "");
    pipeline_output_release(&output);
    stream_release(&calibration);
    stream_release(&evaluation);
    mem_free(point.method_options);
    json_decref(run);
    return missed;
}

/* One linear layer with the Hessian that the reference had for it: the same loss to 1e-5, or within
 * the bars where single decisions flip; returns whether it misses 1e-5. */
static int compare_saved(const struct point *point, const json_t *layer,
                         const struct tensor_table *weights, const struct tensor_table *saved)
{
    char key[160];
    struct arena arena = {0};
    struct hessian hessian;
    struct layer_result result = {0};
    struct layer_loss loss;
    const char *name = json_string_value(json_object_get(layer, "name"));
    size_t rows = (size_t)json_integer_value(json_object_get(layer, "rows"));
    size_t columns = (size_t)json_integer_value(json_object_get(layer, "cols"));
    float *weight;
    FIXTURE_OK(mem_alloc(&weight, rows * columns, sizeof *weight));
    FIXTURE_OK(mem_alloc(&result.quantized, rows * columns, sizeof *weight));
    FIXTURE_OK(hessian_init(&hessian, (int)columns));
    snprintf(key, sizeof key, "%s.weight", name);
    FIXTURE_OK(tensor_table_read(weights, key, rows, columns, weight));
    snprintf(key, sizeof key, "%s.H", name);
    FIXTURE_OK(tensor_table_read(saved, key, columns, columns, hessian.matrix));
    struct layer_problem problem = {.name = name,
                                    .weight = weight,
                                    .rows = (int)rows,
                                    .columns = (int)columns,
                                    .hessian = &hessian,
                                    .arena = &arena};
    FIXTURE_OK(point->method->quantize_layer(point->method_options, &problem, &result));
    FIXTURE_OK(
        layer_loss(weight, result.quantized, (int)rows, (int)columns, &hessian, &arena, &loss));
    double off = fabs(loss.hessian_loss / json_number_value(json_object_get(layer, "hloss")) - 1);
    if (off > 1e-5)
        print_message("    %-36s the loss differs by %.1e\n", name, off);
    assert_true(off < (strstr(name, "layers.0.") ? first_bar : later_bar));
    hessian_release(&hessian);
    layer_result_release(&result);
    arena_release(&arena);
    mem_free(result.quantized);
    mem_free(weight);
    return off > 1e-5;
}

static void compare_saved_run(const char *folder, const char *model, const char *name)
{
    char path[2048];
    struct point point;
    struct tensor_table *weights, *saved;
    int missed = 0;
    snprintf(path, sizeof path, "%s/models/%s.runs/%s.json", folder, model, name);
    json_t *run = json_load_file(path, 0, NULL), *layers = json_object_get(run, "layers");
    assert_non_null(run);
    assert_true(make_point(run, &point));
    snprintf(path, sizeof path, "%s/models/%s/model.safetensors", folder, model);
    FIXTURE_OK(safetensors_open_file(&weights, path));
    snprintf(path, sizeof path, "%s/models/%s.runs/%s.saved.safetensors", folder, model, name);
    FIXTURE_OK(safetensors_open_file(&saved, path));
    for (size_t i = 0; i < json_array_size(layers); i++)
        missed += compare_saved(&point, json_array_get(layers, i), weights, saved);
    print_message("%s %s: %zu layers with the reference's Hessians, %d with another loss\n", model,
                  name, json_array_size(layers), missed);
    /* tiny_opt is barely trained: one row's flip, four weights, is up to 8e-3 of a layer's loss
     * there */
    assert_true(missed <= 1 || strcmp(model, "tiny_opt") == 0);
    tensor_table_free(weights);
    tensor_table_free(saved);
    mem_free(point.method_options);
    json_decref(run);
}

static void test_saved_hessians(void **state)
{
    const char *folder = golden_folder();
    if (!folder) {
        print_message("skipped: ../shared/golden is not here\n");
        skip();
    }
    compare_saved_run(folder, "tiny_llama", "billm_hess_bs128");
    compare_saved_run(folder, "tiny_llama", "pb_xnor0.9_hess_g128");
    compare_saved_run(folder, "tiny_opt", "gptq2");
}

static int is_run(const struct dirent *entry)
{
    const char *end = strrchr(entry->d_name, '.');
    return end && strcmp(end, ".json") == 0;
}

static int compare_tied(const char *folder, const struct model *model,
                        const struct tensor_table *ids)
{
    char path[2048], name[64];
    struct tensor_table *saved;
    snprintf(path, sizeof path, "%s/models/tiny_llama.runs/%s.saved.safetensors", folder, tied_run);
    FIXTURE_OK(safetensors_open_file(&saved, path));
    snprintf(name, sizeof name, "%s.W_q", tied_layer);
    tied_values = golden_tensor(saved, name, NULL);
    assert_non_null(tied_values);
    snprintf(name, sizeof name, "%s.json", tied_run);
    int missed = compare_run(folder, "tiny_llama", name, model, ids);
    mem_free(tied_values);
    tied_values = NULL;
    tensor_table_free(saved);
    return missed;
}

static void compare_all(const char *kind)
{
    const char *folder = golden_folder();
    if (!folder) {
        print_message("skipped: ../shared/golden is not here\n");
        skip();
    }
    char path[2048];
    struct model model = {0};
    struct tensor_table *ids;
    struct dirent **entries;
    int missed = 0;
    snprintf(path, sizeof path, "%s/models/%s", folder, kind);
    FIXTURE_OK(model_open(&model, path));
    snprintf(path, sizeof path, "%s/models/tiny_ids.safetensors", folder);
    FIXTURE_OK(safetensors_open_file(&ids, path));
    snprintf(path, sizeof path, "%s/models/%s.runs", folder, kind);
    int count = scandir(path, &entries, is_run, alphasort);
    assert_true(count > 4);
    for (int i = 0; i < count; i++) {
        missed += compare_run(folder, kind, entries[i]->d_name, &model, ids);
        if (strcmp(kind, "tiny_llama") == 0 &&
            strncmp(entries[i]->d_name, tied_run, strlen(tied_run)) == 0)
            missed += compare_tied(folder, &model, ids);
        free(entries[i]);
    }
    free(entries);
    tensor_table_free(ids);
    model_close(&model);
    assert_int_equal(missed, 0);
}

static void test_tiny_llama(void **state)
{
    compare_all("tiny_llama");
}

static void test_tiny_opt(void **state)
{
    compare_all("tiny_opt");
}

int main(int argc, char **argv)
{
    fixture_start(argv, 0);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tiny_llama),
                                       cmocka_unit_test(test_tiny_opt),
                                       cmocka_unit_test(test_saved_hessians)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pool_stop();
    return failed;
}
