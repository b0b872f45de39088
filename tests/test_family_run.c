/* Models of other families than LLaMA through the whole program: measured, quantized by every
 * method, packed and read back, in part and whole; inspected; and what is refused. */
#include "tests/packing.h"

#include "core/pool.h"
#include "harness/packed_model.h"
#include "tests/fixture.h"
#include "tests/program.h"
#include "tests/variants.h"

#include <math.h>

enum { VOCABULARY = 320, POSITIONS = 64 };

/* packing_root/NAME: the variant with the fixture's tokenizer. */
static void write_model(const char *of, const char *name)
{
    struct model_config config = *variant(of);
    struct plain plain;
    char *path = packing_path(name), line[200];
    config.vocabulary = VOCABULARY;
    config.max_positions = POSITIONS;
    FIXTURE_OK(plain_random(&plain, &config, 5));
    FIXTURE_OK(plain_write(&plain, path, DTYPE_F32));
    snprintf(line, sizeof line, "cp $T/model/tokenizer.json $T/%s", name);
    works(line);
    plain_release(&plain);
    mem_free(path);
}

static const struct {
    const char *of, *name, *some; /* some: part of the names of half its layers */
    int layers;                   /* with that name */
} models[] = {{"opt", "opt", "fc", 6},
              {"opt, norms behind, projections", "opt350", "self_attn", 12},
              {"qwen2 with a window", "qwen", "mlp", 9},
              {"mistral", "mistral", "v_proj", 3},
              {"llama with biases", "biased", "gate", 3}};
enum { MODELS = sizeof models / sizeof *models };

static void assert_same(const char *what, const struct packing_result *made, const char *folder_of,
                        struct run *run)
{
    struct packing_result read;
    packing_measure(run, folder_of, &read);
    for (int i = 0; i < 2; i++) {
        const struct metric_record *a = &made->metrics[i], *b = &read.metrics[i];
        if (!(a->value == b->value) || a->part_count != b->part_count)
            fail_msg("%s: %s %.17g and %.17g", what, a->kind, a->value, b->value);
        for (int p = 0; p < a->part_count; p++)
            assert_true(a->parts[p].value == b->parts[p].value);
    }
    packing_release(&read);
}

/* What is measured on a packed model is what was measured when it was made: OPT by every method,
 * the others by one of each kind. */
static void packed_models_measure_the_same(void **state)
{
    for (int m = 0; m < MODELS; m++) {
        struct run run;
        packing_open(&run, models[m].name);
        for (int i = 0; methods[i]; i++) {
            struct point point;
            struct packing_result made;
            bool every = m == 0 || strcmp(methods[i]->name, "gptq") == 0;
            if (!every || !(methods[i]->caps & QM_PACKS))
                continue;
            packing_point(&point, methods[i]);
            FIXTURE_OK(packing_run(&run, &point, "packed", &made));
            assert_int_equal(made.output.layer_count,
                             run.model.config.layers * (run.model.config.relu ? 6 : 7));
            assert_true(isfinite(made.metrics[0].value) && made.metrics[0].value > 1);
            print_message("%s, %s: perplexity %.2f\n", models[m].name, methods[i]->name,
                          made.metrics[0].value);
            assert_same(methods[i]->name, &made, "packed", &run);
            packing_release(&made);
            mem_free(point.method_options);
            works("rm -r $T/packed");
        }
        run_close(&run);
    }
}

/* Blocks and layers can be chosen; the others stay as they are, biases and all. */
static void some_layers_stay(void **state)
{
    for (int m = 0; m < MODELS; m++) {
        struct run run;
        struct point point;
        struct packing_result full, made;
        packing_open(&run, models[m].name);
        packing_point(&point, method_find("rtn"));
        packing_measure(&run, models[m].name, &full);
        snprintf(point.harness.quant_only, OPTION_TEXT_SIZE, "%s", models[m].some);
        FIXTURE_OK(packing_run(&run, &point, "packed", &made));
        assert_int_equal(made.output.layer_count, models[m].layers);
        assert_true(made.metrics[0].value != full.metrics[0].value);
        assert_same(models[m].name, &made, "packed", &run);
        packing_release(&made);
        works("rm -r $T/packed");
        point.harness.min_layer = 1;
        point.harness.max_layer = 2;
        FIXTURE_OK(packing_run(&run, &point, NULL, &made));
        assert_int_equal(made.output.layer_count, models[m].layers / 3);
        for (int i = 0; i < made.output.layer_count; i++)
            assert_int_equal(made.output.layers[i].block, 1);
        packing_release(&made);
        packing_release(&full);
        mem_free(point.method_options);
        run_close(&run);
    }
}

#define EVAL "$B eval -q --threads 1 --corpora file:$T/text.txt --tokens 300 -m $T/"

static void positions_have_an_end(void **state)
{
    static const char *const windows[] = {
        "corpus file:", "windows of 65 tokens are longer than the model's 64 positions"};
    struct result r;
    works(EVAL "opt --window 64 >$T/o");
    r = shell(EVAL "opt --window 65");
    assert_int_equal(r.status, 2);
    assert_string_equal(r.out, "");
    for (int i = 0; i < 2; i++)
        assert_non_null(strstr(r.err, windows[i]));
    assert_non_null(strstr(r.err, "no embeddings for later positions; shorten them"));
    r = shell(EVAL "mistral --window 65"); /* rotary: only a warning */
    assert_int_equal(r.status, 0);
    assert_non_null(strstr(r.err, "warning: "));
    assert_non_null(strstr(r.err, windows[1]));
    refuses("$B quantize gptq -q -m $T/opt --out $T/long --calibration.corpus file:$T/text.txt "
            "--calibration.samples 2 --calibration.length 65",
            2, "calibration: segments of 65 tokens are longer than the model's 64 positions");
}

/* The line works, and its output holds the texts. */
static void prints(const char *line, const char *const *texts)
{
    struct result r = shell(line);
    if (r.status != 0 || *r.err)
        fail_msg("%s: %d <%s>", line, r.status, r.err);
    for (; *texts; texts++)
        if (!strstr(r.out, *texts))
            fail_msg("%s: '%s' is not in <%s>", line, *texts, r.out);
}

static void inspect_says_what_a_model_is(void **state)
{
    prints("$B models inspect $T/opt",
           (const char *const[]){"container     safetensors, 1 file\n",
                                 "opt, 3 blocks, width 48, hidden 80, 4 heads of 12",
                                 "LayerNorm before attention and MLP, ReLU; biases of q_proj, "
                                 "k_proj, v_proj, out_proj, fc1, fc2\n",
                                 "up to 64, learned\n", "320, tied head\n",
                                 /* 320 x 48 + 66 x 48 + 2 x 48 + 3 (4 x 48 + 4 (48 x 48 + 48) +
                                  * 2 x 48 x 80 + 80 + 48) */
                                 "parameters    70848\n", "F32 70848\n", NULL});
    prints("$B models inspect $T/opt350",
           (const char *const[]){"LayerNorm behind", "stored with width 24, and projected", NULL});
    prints("$B models inspect $T/qwen",
           (const char *const[]){"biases of q_proj, k_proj, v_proj\n",
                                 "attention reaches back 7, from block 1 on", "separate head",
                                 NULL});
    write_model("llama 3", "llama3");
    prints("$B models inspect $T/llama3",
           (const char *const[]){"theta 10000, llama3 scaling by 8 from 64\n", NULL});
}

static void inspect_in_json(void **state)
{
    struct result r = shell("$B models inspect $T/qwen --json");
    json_t *json = json_loads(r.out, 0, NULL);
    const char *family;
    int block, window;
    assert_int_equal(r.status, 0);
    assert_int_equal(json_unpack(json, "{s:s, s:{s:i}, s:{s:{s:i}}}", "architecture", &family,
                                 "memory", "block", &block, "positions", "window", "positions",
                                 &window),
                     0);
    assert_string_equal(family, "qwen2");
    /* two norms, q k v with biases, o, gate, up and down, in float32 */
    assert_int_equal(block,
                     4 * (2 * 48 + 48 * 96 + 96 + 2 * (48 * 32 + 32) + 96 * 48 + 3 * 48 * 80));
    assert_int_equal(window, 7);
    json_decref(json);
}

/* Tokenizers that are larger or smaller than the embedding, and tensors that are left alone. */
static void inspect_notes(void **state)
{
    struct model_config config = *variant("mistral");
    struct plain plain;
    char *path = packing_path("odd");
    for (int vocabulary = 300; vocabulary <= 340; vocabulary += 40) {
        config.vocabulary = vocabulary;
        FIXTURE_OK(plain_random(&plain, &config, 5));
        plain.layers[plain.count] = -1;
        plain.tensors[plain.count] = (struct model_tensor){
            .name = "model.layers.0.self_attn.rotary_emb.inv_freq", .rows = 8};
        FIXTURE_OK(mem_calloc(&plain.values[plain.count++], 8, sizeof(float)));
        FIXTURE_OK(plain_write(&plain, path, DTYPE_F16));
        works("cp $T/model/tokenizer.json $T/odd");
        prints("$B models inspect $T/odd",
               (const char *const[]){vocabulary < VOCABULARY
                                         ? "the tokenizer has 320 ids, but the model has only 300 "
                                           "embeddings"
                                         : "the tokenizer has 320 of the model's 340 ids",
                                     "1 tensor that the model does not need: "
                                     "model.layers.0.self_attn.rotary_emb.inv_freq\n",
                                     NULL});
        plain_release(&plain);
    }
    mem_free(path);
}

static void inspect_refuses(void **state)
{
    works("cp -r $T/opt $T/bad && sed -i 's/\"num_hidden_layers\": 3/\"num_hidden_layers\": 5/' "
          "$T/bad/config.json");
    refuses("$B models inspect $T/bad", 3, "; 31 others are missing too");
    works("sed -i 's/\"num_hidden_layers\": 5/\"num_hidden_layers\": 2/' $T/bad/config.json");
    refuses("$B models inspect $T/bad", 1, "(opt, 2 layers, tied head), nor have 15 others");
    works("sed -i 's/\"opt\"/\"bloom\"/' $T/bad/config.json");
    refuses("$B models inspect $T/bad", 1,
            "models of type 'bloom' are not supported; there are: llama, mistral, qwen2, opt");
}

int main(int argc, char **argv)
{
    fixture_start(argv, 2);
    packing_begin("family_runs");
    folder = packing_root;
    if (program_start(packing_root) != 0)
        return 1;
    for (int i = 0; i < MODELS; i++)
        write_model(models[i].of, models[i].name);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packed_models_measure_the_same),
        cmocka_unit_test(some_layers_stay),
        cmocka_unit_test(positions_have_an_end),
        cmocka_unit_test(inspect_says_what_a_model_is),
        cmocka_unit_test(inspect_in_json),
        cmocka_unit_test(inspect_notes),
        cmocka_unit_test(inspect_refuses),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mem_free(packing_root);
    pool_stop();
    return failed;
}
