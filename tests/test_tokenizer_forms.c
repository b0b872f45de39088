/* One vocabulary in several forms of file gives the same ids: LLaMA's as tokenizer.model, as
 * tokenizer.json in Hugging Face's two ways, as GGUF; SmolLM2's as tokenizer.json and GGUF;
 * tok512's as tokenizer.model and llama2.c's tok512.bin, found beside stories260K.bin. */
#include "core/folder.h"
#include "harness/command.h"
#include "model/tokenizer_kind.h"
#include "tests/fixture.h"
#include "tests/gguf_build.h"
#include "tests/golden.h"
#include "tests/smollm2.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* LLaMA's vocabulary; pieces borrow from map. */
static struct {
    char *path;
    struct file_map map;
    struct piece_model pieces;
    struct tokenizer *tokenizer;
} llama;
static const char *golden; /* NULL: no shared data */

static char *shared_path(const char *name)
{
    const char *shared = getenv("BITBENCH_SHARED");
    char *path;
    FIXTURE_OK(mem_printf(&path, "%s/%s", shared ? shared : "../shared", name));
    return path;
}

static int open_llama(void **state)
{
    if (!(golden = golden_folder()))
        return 0;
    llama.path = shared_path("tokenizers/llama_tokenizer.model");
    FIXTURE_OK(file_map_open(&llama.map, llama.path));
    FIXTURE_OK(piece_model_read(&llama.pieces, llama.map.data, llama.map.size, llama.path));
    FIXTURE_OK(tokenizer_open(&llama.tokenizer, llama.path));
    return 0;
}

static int close_llama(void **state)
{
    tokenizer_free(llama.tokenizer);
    piece_model_release(&llama.pieces);
    file_unmap(&llama.map);
    mem_free(llama.path);
    return 0;
}

static void need_golden(void)
{
    if (!golden) {
        printf("skipped: ../shared/golden is not there\n");
        skip();
    }
}

/* ---- comparing ---- */

static void same_ids(const struct tokenizer *left, const struct tokenizer *right, const char *text,
                     size_t size)
{
    int32_t *a, *b;
    size_t count_a, count_b, i = 0;
    FIXTURE_OK(tokenizer_encode_default(left, text, size, &a, &count_a));
    FIXTURE_OK(tokenizer_encode_default(right, text, size, &b, &count_b));
    while (i < count_a && i < count_b && a[i] == b[i])
        i++;
    if (i < count_a || i < count_b)
        fail_msg("'%.40s': %zu and %zu tokens, number %zu differs", text, count_a, count_b, i);
    mem_free(a);
    mem_free(b);
}

static void same_on_file(const struct tokenizer *left, const struct tokenizer *right, char *path)
{
    char *text;
    size_t size;
    FIXTURE_OK(file_read(path, &text, &size));
    same_ids(left, right, text, size);
    mem_free(text);
    mem_free(path);
}

static void same_everywhere(const struct tokenizer *left, const struct tokenizer *right)
{
    char *path;
    same_on_file(left, right, shared_path("data/wikitext2/wiki.test.raw"));
    FIXTURE_OK(mem_printf(&path, "%s/tokens/hard.txt", golden));
    same_on_file(left, right, path);
}

/* special.txt line by line against golden ids. With `metaspace`, lines that begin with a space are
 * passed over: Metaspace adds none to them, SentencePiece, which made the ids, does. */
static void check_special(const struct tokenizer *t, const char *key, bool metaspace)
{
    char *path, *line = NULL;
    size_t capacity = 0, checked = 0;
    FIXTURE_OK(mem_printf(&path, "%s/tokens/special_lines.jsonl", golden));
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (getline(&line, &capacity, file) > 0) {
        json_t *object = json_loads(line, 0, NULL), *expected = json_object_get(object, key);
        const char *text = json_string_value(json_object_get(object, "text"));
        int32_t *ids;
        size_t count;
        checked++;
        if (!metaspace || text[0] != ' ') {
            FIXTURE_OK(tokenizer_encode_default(t, text, strlen(text), &ids, &count));
            bool same = count == json_array_size(expected);
            for (size_t i = 0; same && i < count; i++)
                same = ids[i] == json_integer_value(json_array_get(expected, i));
            if (!same)
                fail_msg("%s: '%s' gives %zu tokens", key, text, count);
            mem_free(ids);
        }
        json_decref(object);
    }
    assert_int_equal(checked, 16);
    free(line);
    fclose(file);
    mem_free(path);
}

/* ---- tokenizer.json ---- */

static void add_merge(const struct piece_model *model, json_t *ids, size_t id, json_t *merges)
{
    const struct piece *piece = &model->pieces[id];
    for (size_t at = 1; at < piece->size; at++)
        if (json_object_getn(ids, piece->text, at) &&
            json_object_getn(ids, piece->text + at, piece->size - at))
            json_array_append_new(merges, json_pack("[s#, s#]", piece->text, (int)at,
                                                    piece->text + at, (int)(piece->size - at)));
}

static const struct piece_model *ordered;
static int by_score(const void *left, const void *right)
{
    size_t a = *(const size_t *)left, b = *(const size_t *)right;
    float x = ordered->pieces[a].score, y = ordered->pieces[b].score;
    return x != y ? (x > y ? -1 : 1) : a < b ? -1 : a > b;
}

/* LLaMA's pieces in the form of a tokenizer.json's model: merges in the order of the scores. */
static json_t *json_model(const struct piece_model *model)
{
    json_t *ids = json_object(), *merges = json_array();
    size_t *order;
    assert_int_equal(mem_alloc(&order, model->count, sizeof *order), 0);
    for (size_t i = 0; i < model->count; i++) {
        order[i] = i;
        json_object_setn_new(ids, model->pieces[i].text, model->pieces[i].size,
                             json_integer((json_int_t)i));
    }
    ordered = model;
    qsort(order, model->count, sizeof *order, by_score);
    for (size_t i = 0; i < model->count; i++)
        if (model->pieces[order[i]].type == PIECE_NORMAL)
            add_merge(model, ids, order[i], merges);
    mem_free(order);
    return json_pack("{s:s, s:o, s:o, s:s, s:b, s:b}", "type", "BPE", "vocab", ids, "merges",
                     merges, "unk_token", "<unk>", "fuse_unk", 1, "byte_fallback", 1);
}

static struct tokenizer *open_json(json_t *model, const char *normalizer, const char *words)
{
    static const char rest[] =
        "{\"added_tokens\": [{\"id\": 0, \"content\": \"<unk>\", \"special\": true}, "
        "{\"id\": 1, \"content\": \"<s>\", \"special\": true}, "
        "{\"id\": 2, \"content\": \"</s>\", \"special\": true}], "
        "\"post_processor\": {\"type\": \"TemplateProcessing\", "
        "\"single\": [{\"SpecialToken\": {\"id\": \"<s>\"}}], "
        "\"special_tokens\": {\"<s>\": {\"ids\": [1]}}}}";
    struct tokenizer *t;
    json_t *root = json_loads(rest, 0, NULL);
    json_object_set(root, "model", model);
    json_object_set_new(root, "normalizer", json_loads(normalizer, JSON_DECODE_ANY, NULL));
    json_object_set_new(root, "pre_tokenizer", json_loads(words, JSON_DECODE_ANY, NULL));
    char *text = json_dumps(root, 0);
    if (tokenizer_open_memory(&t, TOKENIZER_JSON, text, strlen(text), "made.json") != 0)
        fail_msg("%s", err_text());
    free(text);
    json_decref(root);
    return t;
}

static void llama_as_a_tokenizer_json(void **state)
{
    need_golden();
    json_t *model = json_model(&llama.pieces);
    struct tokenizer *prepend = open_json(
        model,
        "{\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"Prepend\", "
        "\"prepend\": \"\\u2581\"}, {\"type\": \"Replace\", \"pattern\": "
        "{\"String\": \" \"}, \"content\": \"\\u2581\"}]}",
        "null");
    struct tokenizer *metaspace = open_json(
        model, "null",
        "{\"type\": \"Metaspace\", \"replacement\": \"\\u2581\", "
        "\"prepend_scheme\": \"first\", \"split\": false}");
    check_special(prepend, "llama_hf_parse", false);
    check_special(metaspace, "llama_hf_legacy_false", true);
    same_everywhere(llama.tokenizer, prepend);
    same_on_file(metaspace, prepend, shared_path("data/c4/c4_validation_2k.jsonl"));
    tokenizer_free(prepend);
    tokenizer_free(metaspace);
    json_decref(model);
}

/* ---- a folder ---- */

static struct tokenizer *open_folder(const char *folder, const char *config)
{
    struct tokenizer *t;
    fixture_write(folder, "tokenizer_config.json", config);
    FIXTURE_OK(tokenizer_open(&t, folder));
    return t;
}

static void llama_in_a_folder(void **state)
{
    need_golden();
    char *folder = fixture_folder("tokenizer_forms"), *file;
    FIXTURE_OK(file_join(&file, folder, "tokenizer.model"));
    FIXTURE_OK(folder_copy_file(llama.path, file));
    struct tokenizer *t = open_folder(
        folder, "{\"tokenizer_class\": \"LlamaTokenizer\", \"legacy\": false}");
    check_special(t, "llama_hf_legacy_false", false);
    tokenizer_free(t);
    t = open_folder(folder, "{\"bos_token\": {\"content\": \"<s>\"}}");
    check_special(t, "llama_hf_parse", false);
    assert_true(tokenizer_adds_bos(t));
    tokenizer_free(t);
    t = open_folder(folder, "{\"tokenizer_class\": \"LlamaTokenizer\", \"add_bos_token\": false}");
    assert_false(tokenizer_adds_bos(t));
    assert_int_equal(tokenizer_bos(t), 1);
    tokenizer_free(t);
    t = open_folder(folder, "{\"added_tokens_decoder\": {\"1\": {\"content\": \"<s>\"}, "
                            "\"32000\": {\"content\": \"<pad>\", \"special\": true}}}");
    assert_int_equal(tokenizer_vocabulary(t), 32001);
    int32_t *ids;
    size_t count;
    FIXTURE_OK(tokenizer_encode(t, "<s>a<pad>", 9, &ids, &count));
    assert_int_equal(count, 3);
    assert_int_equal(ids[0], 1);
    assert_int_equal(ids[2], 32000);
    mem_free(ids);
    tokenizer_free(t);
    fixture_write(folder, "added_tokens.json", "{\"[PAD]\": 32000, \"<s>\": 1}");
    t = open_folder(folder, "{}");
    FIXTURE_OK(tokenizer_encode(t, "[PAD]<s>", 8, &ids, &count));
    assert_int_equal(count, 2);
    assert_int_equal(ids[0], 32000);
    assert_int_equal(ids[1], 1);
    mem_free(ids);
    tokenizer_free(t);
    fixture_write(folder, "tokenizer_config.json",
                  "{\"added_tokens_decoder\": {\"x\": {\"content\": \"<pad>\"}}}");
    assert_int_equal(tokenizer_open(&t, folder), ERR_FORMAT);
    assert_non_null(strstr(err_text(), "id -1 of '<pad>' is out of range"));
    fixture_write(folder, "tokenizer_config.json", "{\"added_tokens_decoder\": {\"32000\": 7}}");
    assert_int_equal(tokenizer_open(&t, folder), ERR_FORMAT);
    assert_non_null(strstr(err_text(), "a token without text"));
    fixture_write(folder, "tokenizer_config.json",
                  "{\"added_tokens_decoder\": {\"5\": {\"content\": \"<pad>\"}}}");
    assert_int_equal(tokenizer_open(&t, folder), ERR_FORMAT);
    assert_non_null(strstr(err_text(), "id 5 of '<pad>' is that of another token"));
    mem_free(folder);
    mem_free(file);
}

/* ---- GGUF ---- */

static void llama_in_a_gguf_file(void **state)
{
    need_golden();
    struct gguf_build b = {0};
    struct strbuf file = {0};
    struct tokenizer *t;
    build_text(&b, "tokenizer.ggml.model", "llama");
    build_array(&b, "tokenizer.ggml.tokens", 8, llama.pieces.count);
    for (size_t i = 0; i < llama.pieces.count; i++) {
        put_number(&b.pairs, llama.pieces.pieces[i].size, 8);
        FIXTURE_OK(strbuf_add(&b.pairs, llama.pieces.pieces[i].text, llama.pieces.pieces[i].size));
    }
    build_array(&b, "tokenizer.ggml.scores", 6, llama.pieces.count);
    for (size_t i = 0; i < llama.pieces.count; i++) {
        uint32_t bits;
        memcpy(&bits, &llama.pieces.pieces[i].score, sizeof bits);
        put_number(&b.pairs, bits, 4);
    }
    build_array(&b, "tokenizer.ggml.token_type", 5, llama.pieces.count);
    for (size_t i = 0; i < llama.pieces.count; i++)
        put_number(&b.pairs, llama.pieces.pieces[i].type, 4);
    build_finish(&b, 3, &file);
    FIXTURE_OK(tokenizer_open_memory(&t, TOKENIZER_GGUF, file.data, file.length, "made.gguf"));
    assert_true(tokenizer_adds_bos(t));
    check_special(t, "llama_hf_parse", false);
    same_everywhere(llama.tokenizer, t);
    tokenizer_free(t);
    strbuf_release(&file);
    build_release(&b);
}

static void smollm2_in_a_gguf_file(void **state)
{
    need_golden();
    const char *path = getenv("BITBENCH_LONG") ? smollm2_path() : NULL;
    if (!path) {
        printf("skipped: SmolLM2 is a long test, and must be there or be fetched\n");
        skip();
    }
    char *json = shared_path("tokenizers/smollm2");
    struct tokenizer *a, *b;
    FIXTURE_OK(tokenizer_open(&a, json));
    FIXTURE_OK(tokenizer_open(&b, path));
    same_everywhere(a, b);
    assert_false(tokenizer_adds_bos(b));
    assert_int_equal(tokenizer_bos(b), 1);
    assert_int_equal(tokenizer_eos(b), 2);
    tokenizer_free(a);
    tokenizer_free(b);
    mem_free(json);
}

/* ---- llama2.c ---- */

/* tok512.bin does not say that its model takes extra white space away, so the texts have none. */
static void tok512_beside_its_checkpoint(void **state)
{
    need_golden();
    static const char *const texts[] = {"", "Once upon a time", "caf\xc3\xa9 \xe2\x80\x8a",
                                        "x\ny\xff", "Tim's cat, the \"red\" one."};
    char *model = shared_path("models/tok512.model"), *bin = shared_path("models/tok512.bin"),
         *checkpoint = shared_path("models/stories260K.bin");
    struct tokenizer *a, *b, *c;
    FIXTURE_OK(tokenizer_open(&a, model));
    FIXTURE_OK(tokenizer_open(&b, bin));
    FIXTURE_OK(tokenizer_open(&c, checkpoint));
    assert_string_equal(tokenizer_hash(b), tokenizer_hash(c));
    assert_true(tokenizer_adds_bos(b));
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        same_ids(a, b, texts[i], strlen(texts[i]));
    tokenizer_free(a);
    tokenizer_free(b);
    tokenizer_free(c);
    mem_free(model);
    mem_free(bin);
    mem_free(checkpoint);
}

/* ---- the command ---- */

static void the_command_writes_golden_ids(void **state)
{
    need_golden();
    char *folder = fixture_folder("tokenizer_forms"), *in, *out, *expected_path, *ids, *expected;
    size_t size, expected_size;
    FIXTURE_OK(file_join(&out, folder, "ids"));
    FIXTURE_OK(mem_printf(&in, "%s/tokens/hard.txt", golden));
    FIXTURE_OK(mem_printf(&expected_path, "%s/tokens/llama_hf.hard.ids", golden));
    char *arguments[] = {"bitbench", "tokenize", "-t", llama.path, "--bos", "--out", out, in, NULL};
    FIXTURE_OK(command_line_run(8, arguments, NULL));
    FIXTURE_OK(file_read(out, &ids, &size));
    FIXTURE_OK(file_read(expected_path, &expected, &expected_size));
    assert_int_equal(size, expected_size);
    assert_memory_equal(ids, expected, size);
    mem_free(ids);
    mem_free(expected);
    mem_free(expected_path);
    mem_free(in);
    mem_free(out);
    mem_free(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(llama_as_a_tokenizer_json),
        cmocka_unit_test(llama_in_a_folder),
        cmocka_unit_test(llama_in_a_gguf_file),
        cmocka_unit_test(smollm2_in_a_gguf_file),
        cmocka_unit_test(tok512_beside_its_checkpoint),
        cmocka_unit_test(the_command_writes_golden_ids),
    };
    return cmocka_run_group_tests(tests, open_llama, close_llama);
}
