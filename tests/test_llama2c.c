/* Checkpoints of llama2.c: both versions give the model that they were made from, files of other
 * lengths are refused, and stories260K tells its story. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/llama2c.h"
#include "tests/expect.h"
#include "tests/gguf_model_build.h"

static char *folder, *path;

static const struct model_config small = {.architecture = "llama",
                                          .layers = 2,
                                          .width = 24,
                                          .hidden = 20,
                                          .heads = 4,
                                          .kv_heads = 2,
                                          .head_size = 6,
                                          .vocabulary = 11,
                                          .max_positions = 9,
                                          .norm_epsilon = 1e-5,
                                          .rope_theta = 10000,
                                          .bos_id = 1,
                                          .eos_id = 2};

/* The tensors of that name, block after block (or the one outside of them). */
static void put_all(struct strbuf *out, const struct plain *plain, const char *name)
{
    const struct model_config *c = &plain->config;
    for (int i = 0; i < plain->count; i++) {
        const struct model_tensor *t = &plain->tensors[i];
        const size_t count = plain_size(t), columns = (size_t)(t->columns ? t->columns : 1);
        const bool q = strstr(name, "q_proj"), k = strstr(name, "k_proj");
        float *values;
        if (!strstr(t->name, name))
            continue;
        FIXTURE_OK(mem_alloc(&values, count, sizeof *values));
        memcpy(values, plain->values[i], count * sizeof *values);
        if (q || k)
            gguf_model_permute(plain->values[i], (size_t)t->rows, columns,
                               (size_t)(q ? c->heads : c->kv_heads), values);
        FIXTURE_OK(strbuf_add(out, (const char *)values, count * sizeof *values));
        mem_free(values);
    }
}

static void put_header(struct strbuf *out, const struct model_config *c, bool negative)
{
    const int numbers[] = {c->width,        c->hidden,   c->layers,
                           c->heads,        c->kv_heads, negative ? -c->vocabulary : c->vocabulary,
                           c->max_positions};
    for (int i = 0; i < 7; i++)
        put_number(out, (uint64_t)numbers[i], 4);
}

static const char *const linears[] = {"q_proj",    "k_proj",    "v_proj", "o_proj",
                                      "gate_proj", "down_proj", "up_proj"};

static void build_old(struct strbuf *out, const struct plain *plain)
{
    const struct model_config *c = &plain->config;
    put_header(out, c, !c->tied_head);
    put_all(out, plain, "embed_tokens");
    put_all(out, plain, "input_layernorm");
    for (int i = 0; i < 7; i++) {
        if (i == 4)
            put_all(out, plain, "post_attention_layernorm");
        put_all(out, plain, linears[i]);
    }
    put_all(out, plain, "model.norm");
    for (int i = 0; i < c->max_positions * c->head_size; i++) /* cosines and sines */
        put_number(out, 0x7fc00000, 4);
    if (!c->tied_head)
        put_all(out, plain, "lm_head");
}

static void build_new(struct strbuf *out, const struct plain *plain)
{
    put_number(out, 0x616b3432, 4);
    put_number(out, 1, 4);
    put_header(out, &plain->config, false);
    put_number(out, plain->config.tied_head, 1);
    while (out->length < 256)
        put_number(out, 0, 1);
    put_all(out, plain, "input_layernorm");
    put_all(out, plain, "post_attention_layernorm");
    put_all(out, plain, "model.norm");
    put_all(out, plain, "embed_tokens");
    for (int i = 0; i < 7; i++)
        put_all(out, plain, linears[i]);
    if (!plain->config.tied_head)
        put_all(out, plain, "lm_head");
}

static void write_bytes(const char *bytes, size_t size)
{
    FILE *stream = fopen(path, "wb"); /* without waiting for the disk */
    assert_non_null(stream);
    assert_int_equal(fwrite(bytes, 1, size, stream), size);
    assert_int_equal(fclose(stream), 0);
}

static void both_versions_give_the_model(void **state)
{
    for (int kind = 0; kind < 4; kind++) {
        struct model_config config = small;
        struct plain plain, back;
        struct strbuf bytes = {0};
        struct model model = {0}, right = {0};
        config.tied_head = kind & 1;
        assert_int_equal(plain_random(&plain, &config, 5), 0);
        assert_int_equal(plain_write(&plain, folder, DTYPE_F32), 0);
        (kind & 2 ? build_new : build_old)(&bytes, &plain);
        write_bytes(bytes.data, bytes.length);
        if (model_open(&model, path) != 0 || model_open(&right, folder) != 0)
            fail_msg("%s", err_text());
        assert_memory_equal(&model.config, &right.config, sizeof model.config);
        assert_int_equal(plain_read(&back, &model), 0);
        for (int i = 0; i < plain.count; i++)
            assert_memory_equal(back.values[i], plain.values[i],
                                plain_size(&plain.tensors[i]) * sizeof(float));
        plain_release(&plain);
        plain_release(&back);
        strbuf_release(&bytes);
        model_close(&model);
        model_close(&right);
    }
}

static void other_files_are_refused(void **state)
{
    struct plain plain;
    struct strbuf bytes = {0};
    json_t *config = NULL;
    struct tensor_table *tensors = NULL;
    assert_int_equal(plain_random(&plain, &small, 5), 0);
    build_old(&bytes, &plain);
    for (size_t size = 0; size < bytes.length; size += size < 40 ? 1 : 97) {
        write_bytes(bytes.data, size);
        expect_error(llama2c_open(path, &config, &tensors), ERR_FORMAT, "truncated");
    }
    FIXTURE_OK(strbuf_add(&bytes, "more", 4));
    write_bytes(bytes.data, bytes.length);
    expect_error(llama2c_open(path, &config, &tensors), ERR_FORMAT, "4 bytes behind the last");
    static const struct {
        int place;
        int32_t value;
        const char *words;
    } wrong[] = {{0, 0, "0 dimensions"},
                 {0, 26, "do not divide into 4 heads"},
                 {1, 1 << 30, "dimensions of the MLP"},
                 {2, -1, "-1 layers"},
                 {3, 1 << 30, "heads"},
                 {4, 3, "key-value heads"},
                 {5, INT32_MIN, "tokens in the vocabulary"},
                 {6, 0, "0 positions"},
                 {6, 1 << 30, "past the file's"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char copy[4];
        memcpy(copy, bytes.data + 4 * wrong[i].place, 4);
        memcpy(bytes.data + 4 * wrong[i].place, &wrong[i].value, 4);
        write_bytes(bytes.data, bytes.length);
        expect_error(llama2c_open(path, &config, &tensors), ERR_FORMAT, wrong[i].words);
        memcpy(bytes.data + 4 * wrong[i].place, copy, 4);
    }
    strbuf_release(&bytes);
    put_number(&bytes, 0x616b3432, 4);
    put_number(&bytes, 2, 4);
    while (bytes.length < 300)
        put_number(&bytes, 0, 1);
    write_bytes(bytes.data, bytes.length);
    expect_error(llama2c_open(path, &config, &tensors), ERR_FORMAT, "of version 2: 0 and 1");
    assert_null(config);
    assert_null(tensors);
    strbuf_release(&bytes);
    plain_release(&plain);
}

static void failing_allocations_are_reported(void **state)
{
    struct plain plain;
    struct strbuf bytes = {0};
    json_t *config = NULL;
    struct tensor_table *tensors = NULL;
    assert_int_equal(plain_random(&plain, &small, 5), 0);
    build_old(&bytes, &plain);
    write_bytes(bytes.data, bytes.length);
    for (long k = 1;; k++) {
        mem_fail_at(k);
        int rc = llama2c_open(path, &config, &tensors);
        int pending = mem_fail_pending();
        mem_fail_at(0);
        if (rc == 0) {
            assert_true(pending && k > 4);
            break;
        }
        expect_error(rc, ERR_MEMORY, "");
    }
    json_decref(config);
    tensor_table_free(tensors);
    strbuf_release(&bytes);
    plain_release(&plain);
}

/* ---- a real model ---- */

/* The texts of llama2.c's tokenizer file: after one number, for each token a score, a length, and
 * the bytes. */
static void read_vocabulary(const char *file, char words[512][40])
{
    char *bytes;
    size_t size, at = 4;
    FIXTURE_OK(file_read(file, &bytes, &size));
    for (int i = 0; i < 512; i++) {
        int32_t length;
        assert_true(at + 8 <= size);
        memcpy(&length, bytes + at + 4, 4);
        assert_true(length >= 0 && length < 40 && at + 8 + (size_t)length <= size);
        memcpy(words[i], bytes + at + 8, (size_t)length);
        words[i][length] = '\0';
        at += 8 + (size_t)length;
    }
    mem_free(bytes);
}

/* The most probable tokens from the beginning-of-text token on. */
static void stories_begin_as_they_should(void **state)
{
    enum { LENGTH = 40 };
    static char words[512][40];
    const char *named = getenv("BITBENCH_SHARED"), *shared = named ? named : "../shared";
    char file[1100], text[LENGTH * 40] = "";
    struct model model = {0};
    int32_t tokens[LENGTH] = {1};
    float *x, logits[512];
    snprintf(file, sizeof file, "%s/models/stories260K.bin", shared);
    if (!file_exists(file)) {
        print_message("skipped: %s is not there\n", file);
        skip();
    }
    FIXTURE_OK(model_open(&model, file));
    assert_int_equal(model.config.vocabulary, 512);
    snprintf(file, sizeof file, "%s/models/tok512.bin", shared);
    read_vocabulary(file, words);
    FIXTURE_OK(mem_alloc(&x, LENGTH * (size_t)model.config.width, sizeof *x));
    for (int n = 1; n < LENGTH; n++) {
        const int offsets[2] = {0, n};
        const struct batch batch = {.tokens = tokens, .offsets = offsets, .count = 1};
        FIXTURE_OK(model_forward(&model, &batch, x));
        FIXTURE_OK(
            model_logits(&model, x + (size_t)(n - 1) * (size_t)model.config.width, 1, logits));
        for (int i = 0; i < 512; i++)
            if (logits[i] > logits[tokens[n]])
                tokens[n] = i;
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s", words[tokens[n]]);
    }
    if (!strstr(text, "Once upon a time, there was a little girl named Lily. She loved to play "
                      "outside"))
        fail_msg("the story goes: %s", text);
    mem_free(x);
    model_close(&model);
}

int main(void)
{
    folder = fixture_folder("llama2c");
    FIXTURE_OK(file_join(&path, folder, "model.bin"));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_versions_give_the_model),
        cmocka_unit_test(other_files_are_refused),
        cmocka_unit_test(failing_allocations_are_reported),
        cmocka_unit_test(stories_begin_as_they_should),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mem_free(path);
    mem_free(folder);
    return failed;
}
