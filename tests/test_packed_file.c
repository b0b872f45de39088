/* A GGUF file that is quantized becomes a folder: what was left alone is there in Hugging Face's
 * order, as float32; its metadata comes along; and the model is a model. */
#include "tests/program.h"

#include "harness/model_folder.h"
#include "model/gguf.h"
#include "tests/gguf_model_build.h"

static const struct model_config small = {.architecture = "llama",
                                          .layers = 2,
                                          .width = 32,
                                          .hidden = 48,
                                          .heads = 4,
                                          .kv_heads = 2,
                                          .head_size = 8,
                                          .vocabulary = 40,
                                          .max_positions = 64,
                                          .norm_epsilon = 0x1p-16,
                                          .rope_theta = 5000,
                                          .tied_head = true,
                                          .bos_id = 1,
                                          .eos_id = -1};

/* $T/model.gguf, with a second kind of tensor: the embedding in Q8_0. */
static void write_file(const struct plain *plain)
{
    struct gguf_build b = {0};
    struct strbuf bytes = {0};
    struct plain rest = *plain;
    uint8_t rows[40][34];
    char path[4200];
    gguf_model_config(&b, &plain->config);
    for (int r = 0; r < 40; r++) { /* code = row - column, times 2^-5 */
        rows[r][0] = 0;
        rows[r][1] = 0x28;
        for (int c = 0; c < 32; c++)
            rows[r][2 + c] = (uint8_t)(r - c);
    }
    assert_string_equal(rest.tensors[0].name, "model.embed_tokens.weight");
    memmove(rest.tensors, rest.tensors + 1, (size_t)(rest.count - 1) * sizeof *rest.tensors);
    memmove(rest.values, rest.values + 1, (size_t)(rest.count - 1) * sizeof *rest.values);
    rest.count--;
    build_tensor(&b, "token_embd.weight", 8, 32, 40, rows, sizeof rows);
    gguf_model_tensors(&b, &rest);
    build_finish(&b, 3, &bytes);
    snprintf(path, sizeof path, "%s/model.gguf", program_folder);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes.data, 1, bytes.length, file), bytes.length);
    assert_int_equal(fclose(file), 0);
    build_release(&b);
    strbuf_release(&bytes);
}

static void a_file_becomes_a_folder(void **state)
{
    struct plain plain;
    struct model model = {0};
    struct gguf *metadata;
    char path[4200];
    float *values;
    int64_t layers;
    assert_int_equal(plain_random(&plain, &small, 3), 0);
    write_file(&plain);
    works("$B quantize rtn --model $T/model.gguf --quant-only mlp --out $T/packed --quiet");
    snprintf(path, sizeof path, "%s/packed", program_folder);
    if (model_folder_open(&model, path) != 0)
        fail_msg("%s", err_text());
    assert_true(model.config.layers == 2 && model.config.rope_theta == 5000);
    FIXTURE_OK(mem_alloc(&values, 48 * 48, sizeof *values));
    for (int i = 0; i < plain.count; i++) {
        const struct model_tensor *t = &plain.tensors[i];
        const struct tensor *stored = tensor_table_find(model.tensors, t->name);
        if (strstr(t->name, ".mlp.")) {
            assert_null(stored); /* packed */
            continue;
        }
        assert_true(stored && stored->dtype == (i ? DTYPE_F32 : DTYPE_Q8_0) && !stored->view);
        FIXTURE_OK(
            tensor_table_read(model.tensors, t->name, (size_t)t->rows, (size_t)t->columns, values));
        for (size_t j = 0; j < plain_size(t); j++)
            assert_true(values[j] ==
                        (i ? plain.values[i][j] : ((float)(j / 32) - (float)(j % 32)) / 32));
    }
    snprintf(path, sizeof path, "%s/packed/tokenizer.gguf", program_folder);
    if (gguf_open(&metadata, path) != 0)
        fail_msg("%s", err_text());
    assert_int_equal(gguf_tensor_count(metadata), 0);
    assert_int_equal(gguf_int(metadata, "llama.block_count", 0, 9, 0, &layers), 0);
    assert_int_equal(layers, 2);
    gguf_free(metadata);
    mem_free(values);
    model_close(&model);
    plain_release(&plain);
}

/* A tokenizer of one's own goes along, under the name that is looked for. */
static void a_named_tokenizer_goes_along(void **state)
{
    works(
        "mkdir $T/bare && cp model/embedded/config.json model/embedded/model.safetensors $T/bare");
    works("cp model/embedded/tokenizer.json $T/words.json");
    refuses("$B quantize gptq --model $T/bare --out $T/q --quiet", 3, "tokenizer.json");
    works("$B quantize rtn --model $T/bare --tokenizer $T/words.json --out $T/q --quiet");
    works("cmp $T/words.json $T/q/tokenizer.json");
    works("printf '{\"tokens\": 3}' > $T/broken.json");
    refuses("$B quantize rtn --model $T/bare --tokenizer $T/broken.json --out $T/r --quiet", 1,
            "broken.json");
    works("test ! -e $T/r");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_becomes_a_folder),
        cmocka_unit_test(a_named_tokenizer_goes_along),
    };
    char *folder = fixture_folder("packed_file");
    if (program_start(folder) != 0)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mem_free(folder);
    return failed;
}
