/* Files that lie, as the user meets them: each is refused by every command that reads it, with one
 * line that says what, where and what to do, and the exit status of docs/command-line.md. */
#include "harness/command.h"
#include "tests/fixture.h"
#include "tests/program.h"

#include <jansson.h>

static char *folder;

static void write_bytes(const char *name, const void *bytes, size_t size)
{
    char *path;
    struct file_writer writer = {0};
    FIXTURE_OK(file_join(&path, folder, name));
    FIXTURE_OK(file_write_begin(&writer, path));
    FIXTURE_OK(file_write(&writer, bytes, size));
    FIXTURE_OK(file_write_commit(&writer));
    mem_free(path);
}

/* $T/broken is the whole model again, but for the named file. */
static void break_file(const char *name, const void *bytes, size_t size)
{
    char path[100];
    snprintf(path, sizeof path, "broken/%s", name);
    works("rm -rf $T/broken && cp -r $T/model $T/broken");
    write_bytes(path, bytes, size);
}

static json_t *load(const char *name)
{
    char *path;
    FIXTURE_OK(file_join(&path, folder, name));
    json_t *json = json_load_file(path, 0, NULL);
    assert_non_null(json);
    mem_free(path);
    return json;
}

#define MODELS "$B models inspect $T/broken"
#define EVAL                                                                                       \
    "$B eval -q --threads 1 --window 48 --tokens 300 -m $T/broken --corpora file:$T/text.txt"
#define TOKENIZE "$B tokenize -t $T/broken $T/text.txt"

static void refused_by_both(int status, const char *text)
{
    refuses(MODELS, status, text);
    refuses(EVAL, status, text);
}

/* ---- weights ---- */

struct weights {
    char *bytes; /* of the whole file */
    size_t size, data;
    json_t *header;
};

static void weights_open(struct weights *w)
{
    char *path;
    FIXTURE_OK(file_join(&path, folder, "model/model.safetensors"));
    FIXTURE_OK(file_read(path, &w->bytes, &w->size));
    size_t length = (size_t)(unsigned char)w->bytes[0] + (size_t)(unsigned char)w->bytes[1] * 256;
    w->data = 8 + length;
    w->header = json_loadb(w->bytes + 8, length, 0, NULL);
    assert_non_null(w->header);
    mem_free(path);
}

static void weights_close(struct weights *w)
{
    json_decref(w->header);
    mem_free(w->bytes);
}

/* The file with this header, whose length field says `claimed` (0: the truth). */
static void weights_write(const struct weights *w, const char *header, uint64_t claimed)
{
    struct strbuf file = {0};
    uint64_t length = claimed ? claimed : strlen(header);
    for (int i = 0; i < 8; i++)
        FIXTURE_OK(strbuf_add(&file, (char[]){(char)(length >> 8 * i)}, 1));
    FIXTURE_OK(strbuf_puts(&file, header));
    FIXTURE_OK(strbuf_add(&file, w->bytes + w->data, w->size - w->data));
    break_file("model.safetensors", file.data, file.length);
    strbuf_release(&file);
}

static void cut_weights(void **state)
{
    struct weights w;
    weights_open(&w);
    break_file("model.safetensors", w.bytes, w.size / 2);
    refused_by_both(1, "past the file's");
    break_file("model.safetensors", w.bytes, w.size - 1);
    refused_by_both(1, "past the file's");
    break_file("model.safetensors", w.bytes, w.data / 2);
    refused_by_both(1, "(truncated, or not a safetensors file)");
    break_file("model.safetensors", w.bytes, 7);
    refused_by_both(1, "7 bytes are too few");
    break_file("model.safetensors", w.bytes, 0);
    refused_by_both(1, "0 bytes are too few");
    weights_close(&w);
    works("rm -rf $T/broken; cp -r $T/model $T/broken; rm $T/broken/model.safetensors");
    refused_by_both(3, "neither model.safetensors nor");
    works("mkdir $T/broken/model.safetensors");
    refused_by_both(1, "model.safetensors: not a regular file");
    works("rmdir $T/broken/model.safetensors; mkfifo $T/broken/model.safetensors");
    refused_by_both(1, "model.safetensors: not a regular file"); /* and nobody waits for a writer */
}

static void lying_weights(void **state)
{
    static const struct {
        const char *key, *value, *text;
    } lies[] = {
        {"data_offsets", "[115072, 99999999]", "ends at data byte 99999999, past the file's"},
        {"data_offsets", "[-1, 16383]", "-1 to 16383 are no range"},
        {"data_offsets", "[16384, 0]", "16384 to 0 are no range"},
        {"data_offsets", "[0, 16384]", "overlap at data byte 0"},
        {"data_offsets", "[9223372036854775807, 9223372036854775807]", "model.layers.1.mlp.down"},
        {"data_offsets", "\"0\"", "model.layers.1.mlp.down"},
        {"dtype", "\"F32\"", "type F32 take 32768 bytes, but its data offsets span 16384"},
        {"dtype", "\"F8_E4M3\"", "take 8192 bytes, but its data offsets span 16384"},
        {"dtype", "\"Q9\"", "unknown element type 'Q9'"},
        {"dtype", "\"I16\"", "model.layers.1.mlp.down_proj.weight"},
        {"dtype", "3", "model.layers.1.mlp.down_proj.weight"},
        {"shape", "[128, 64]", "has shape (128 x 64), where (64 x 128) is needed by config.json"},
        {"shape", "[64, 64, 2]", "where (64 x 128) is needed"},
        {"shape", "[8192]", "where (64 x 128) is needed"},
        {"shape", "[4611686018427387904, 4611686018427387904]", "overflow"},
        {"shape", "[-64, -128]", "model.layers.1.mlp.down_proj.weight"},
        {"shape", "[]", "model.layers.1.mlp.down_proj.weight"},
    };
    struct weights w;
    weights_open(&w);
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        json_t *header = json_deep_copy(w.header);
        json_t *tensor = json_object_get(header, "model.layers.1.mlp.down_proj.weight");
        assert_non_null(tensor);
        json_object_set_new(tensor, lies[i].key, json_loads(lies[i].value, JSON_DECODE_ANY, NULL));
        char *text = json_dumps(header, JSON_COMPACT);
        weights_write(&w, text, 0);
        refused_by_both(1, lies[i].text);
        free(text);
        json_decref(header);
    }
    char *text = json_dumps(w.header, JSON_COMPACT);
    weights_write(&w, text, UINT64_C(1) << 63);
    refused_by_both(1, "its header claims 9223372036854775808 bytes");
    weights_write(&w, text, UINT64_MAX);
    refused_by_both(1, "its header claims 18446744073709551615 bytes");
    free(text);
    weights_write(&w, "{\"a\":", 0);
    refused_by_both(1, "its header is not valid JSON");
    weights_write(&w, "[]", 0);
    refused_by_both(1, "its header is not a JSON object");
    weights_write(&w, "{}", 0);
    refused_by_both(1, "model.safetensors");
    weights_close(&w);
}

/* A NaN or an infinity fails `eval`, and every point of `run`, which stores why. */
static void weights_that_are_no_numbers(void **state)
{
    struct weights w;
    weights_open(&w);
    for (int infinite = 0; infinite < 2; infinite++) {
        const char *what = infinite ? "is infinite" : "is not a number (NaN)";
        json_t *offsets = json_object_get(
            json_object_get(w.header, "model.layers.1.mlp.down_proj.weight"), "data_offsets");
        size_t at = w.data + (size_t)json_integer_value(json_array_get(offsets, 0)) + 20;
        w.bytes[at] = 0;
        w.bytes[at + 1] = infinite ? 0x7c : 0x7e;
        break_file("model.safetensors", w.bytes, w.size);
        refuses(EVAL, 1, "tensor 'model.layers.1.mlp.down_proj.weight': element 10");
        refuses("rm -f $T/nan.db*; $B run $T/spec.yaml --set model=$T/broken --database $T/nan.db "
                "--set evaluation.divergence=false -q --no-table",
                1, "2 of 2 points failed: `bitbench table bad` says why");
        struct result r = shell("$B table --database $T/nan.db");
        assert_int_equal(r.status, 0);
        assert_non_null(strstr(r.out, what));
    }
    works("$B run $T/spec.yaml --database $T/nan.db -q >/dev/null"); /* the whole model */
    weights_close(&w);
}

/* ---- config.json ---- */

static void contradicting_config(void **state)
{
    static const struct {
        const char *key, *value, *text;
        int status;
    } lies[] = {
        {"hidden_size", "128", "has shape (320 x 64), where (320 x 128) is needed", 1},
        {"hidden_size", "0", "key 'hidden_size' is 0", 1},
        {"hidden_size", "1099511627776", "key 'hidden_size' is 1099511627776", 1},
        {"hidden_size", "\"64\"", "key 'hidden_size' is not a whole number", 1},
        {"hidden_size", NULL, "key 'hidden_size' is missing", 1},
        {"num_hidden_layers", "4", "there is no tensor 'model.layers.3.", 3},
        {"num_hidden_layers", "2", "'model.layers.2.input_layernorm.weight' has no place", 1},
        {"vocab_size", "300", "where (300 x 64) is needed", 1},
        {"num_attention_heads", "3", "3 attention heads cannot share 2 key-value heads", 1},
        {"num_key_value_heads", "4", "where (64 x 64) is needed", 1},
        {"head_dim", "15", "a head size of 15 is odd", 1},
        {"intermediate_size", "64", "where (64 x 64) is needed", 1},
        {"tie_word_embeddings", "false", "there is no tensor 'lm_head.weight'", 3},
        {"rms_norm_eps", "-1", "key 'rms_norm_eps' is -1", 1},
        {"rope_theta", "0", "key 'rope_theta' is 0", 1},
        {"hidden_act", "\"gelu\"", "only 'silu' is supported", 1},
        {"model_type", "\"bert\"", "models of type 'bert' are not supported", 1},
    };
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        json_t *config = load("model/config.json");
        if (lies[i].value)
            json_object_set_new(config, lies[i].key,
                                json_loads(lies[i].value, JSON_DECODE_ANY, NULL));
        else
            json_object_del(config, lies[i].key);
        char *text = json_dumps(config, 0);
        break_file("config.json", text, strlen(text));
        refused_by_both(lies[i].status, lies[i].text);
        free(text);
        json_decref(config);
    }
    break_file("config.json", "", 0);
    refused_by_both(1, "config.json:1: not valid JSON");
    break_file("config.json", "\1\2\377\0", 4);
    refused_by_both(1, "config.json:1: not valid JSON");
    break_file("config.json", "[1]", 3);
    refused_by_both(1, "config.json: not a JSON object");
    works("rm $T/broken/config.json");
    refused_by_both(3, "broken/config.json: No such file");
    works("rm -r $T/broken");
    refused_by_both(3, "broken: no such model; a model is a folder");
    refuses("$B models inspect ''", 2, "the model's name is empty");
    refuses("$B eval -m $T/text.txt --corpora kjv", 1,
            "text.txt: the header says 1752375361 dimensions, where");
}

/* ---- tokenizer ---- */

static void tokenizer_is(const char *path, const char *key, const char *value)
{
    json_t *tokenizer = load("model/tokenizer.json"), *at = tokenizer;
    if (*path)
        at = json_object_get(tokenizer, path);
    assert_non_null(at);
    if (value)
        json_object_set_new(at, key, json_loads(value, JSON_DECODE_ANY, NULL));
    else
        json_object_del(at, key);
    char *text = json_dumps(tokenizer, 0);
    break_file("tokenizer.json", text, strlen(text));
    free(text);
    json_decref(tokenizer);
}

static void refused_by_tokenizers(int status, const char *text)
{
    refuses(TOKENIZE, status, text);
    refuses(EVAL, status, text);
}

static void broken_tokenizers(void **state)
{
    static const struct {
        const char *path, *key, *value, *text;
    } lies[] = {
        {"model", "merges", NULL, "the model has no merges"},
        {"model", "merges", "[\"zzz qqq\"]", "merge 0 makes or uses 'zzz', which is not in"},
        {"model", "merges", "[\"zzz\"]", "merge 0 is 'zzz'; expected two tokens"},
        {"model", "merges", "[7]", "merge 0 is neither"},
        {"model", "vocab", NULL, "the vocabulary is missing or empty"},
        {"model", "vocab", "{\"a\": 0, \"b\": 0}", "id 0 is given to two tokens"},
        {"model", "vocab", "{\"a\": 0, \"b\": 99999}", "id 99999 of token 'b' is out of range"},
        {"model", "vocab", "{\"a\": 0, \"b\": -1}", "id -1 of token 'b' is out of range"},
        {"model", "type", "\"WordPiece\"", "'WordPiece' is not supported"},
        {"", "model", NULL, "has no 'model'"},
        {"", "normalizer", "{\"type\": \"Bert\"}", "normalizer type 'Bert' is not supported"},
        {"", "pre_tokenizer", "null", "byte-level BPE needs at least ByteLevel"},
    };
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        tokenizer_is(lies[i].path, lies[i].key, lies[i].value);
        refused_by_tokenizers(1, lies[i].text);
    }
    refuses("$B tokenize -t /nope $T/text.txt", 3,
            "/nope: no such tokenizer; a model (its folder,");
    refuses("d=$(mktemp -d); cp $B $d/b; cd $d; BITBENCH_DATA=/nope ./b tokenize $T/text.txt; "
            "s=$?; rm -r $d; exit $s",
            3, "model/embedded: not found in $BITBENCH_DATA (/nope)");
    refuses("$B quantize rtn --out $T/q --tokenizer /nope", 3, "/nope: no such tokenizer;");
    break_file("tokenizer.json", "", 0);
    refused_by_tokenizers(1, "tokenizer.json: is empty");
    break_file("tokenizer.json", "\377\0", 2);
    refused_by_tokenizers(1, "tokenizer.json:1: ");
    works("rm $T/broken/tokenizer.json");
    refused_by_tokenizers(3, "has neither tokenizer.json, nor vocab.json with merges.txt, nor");
    struct result r = shell(MODELS); /* which can be looked at all the same */
    assert_int_equal(r.status, 0);
    assert_non_null(strstr(r.out, "tokenizer     none: "));
    /* one that belongs to a larger model */
    json_t *tokenizer = load("model/tokenizer.json");
    json_t *vocabulary = json_object_get(json_object_get(tokenizer, "model"), "vocab");
    for (int i = 0; i < 50; i++) {
        char name[16];
        snprintf(name, sizeof name, "more%d", i);
        json_object_set_new(vocabulary, name, json_integer(320 + i));
    }
    char *text = json_dumps(tokenizer, 0);
    break_file("tokenizer.json", text, strlen(text));
    refuses(EVAL, 1, "the tokenizer has 370 ids, but the model has only 320 embeddings");
    free(text);
    json_decref(tokenizer);
}

static void ids_that_are_none(void **state)
{
    refuses("printf '1 2 99999' | $B tokenize -t $T/model --decode", 1, "id 99999 (number 2)");
    refuses("printf '1 -2' | $B tokenize -t $T/model --decode", 1, "byte 2: '-2' is not a token");
    refuses("printf '1 \\0 2' | $B tokenize -t $T/model --decode", 1, "byte 2: '' is not a token");
    refuses("echo '1 x' | $B tokenize -t $T/model --decode", 1, "byte 2: 'x' is not a token id");
    refuses("printf '9%%040d' 1 | $B tokenize -t $T/model --decode", 1, "is not a token id");
    refuses("$B tokenize -t $T/model /no/such", 3, "/no/such: No such file");
    refuses("$B tokenize -t $T/model $T", 1, "not a regular file");
}

int main(void)
{
    folder = fixture_folder("bad_input");
    fixture_model(folder);
    fixture_write(folder, "spec.yaml",
                  "name: bad\nmodel: model\nevaluation: {perplexity: [{corpus: 'file:text.txt', "
                  "tokens: 300, window: 48}]}\nmethods: [{method: full}, {method: rtn, bits: 2, "
                  "layer_errors: false}]\n");
    if (program_start(folder) != 0 || chdir(folder) != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_weights),
        cmocka_unit_test(lying_weights),
        cmocka_unit_test(weights_that_are_no_numbers),
        cmocka_unit_test(contradicting_config),
        cmocka_unit_test(broken_tokenizers),
        cmocka_unit_test(ids_that_are_none),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mem_free(folder);
    return failed;
}
