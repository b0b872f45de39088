/* Calibration segments and perplexity windows out of the papers' data sets: C4's documents against
 * the scripts' loop written plainly, and the reference's segments where they are at hand. */
#include "core/log.h"
#include "core/python_random.h"
#include "datasets/data_folder.h"
#include "tests/draws.h"
#include "tests/golden.h"

#include <jansson.h>

static char *folder;
static struct tokenizer *tokenizer; /* of the fixture */

static int start(void **state)
{
    char *path;
    folder = fixture_folder("calibration");
    fixture_model(folder);
    FIXTURE_OK(file_join(&path, folder, "model"));
    FIXTURE_OK(tokenizer_open(&tokenizer, path));
    mem_free(path);
    log_set_mode(LOG_QUIET);
    return 0;
}

static int end(void **state)
{
    tokenizer_free(tokenizer);
    mem_free(folder);
    return data_folder_set(NULL);
}

enum { DOCUMENTS = 700 };

/* Most documents are short; *texts are theirs. */
static void put_documents(char *texts[DOCUMENTS])
{
    struct rng rng;
    struct strbuf file = {0};
    char *path;
    rng_seed(&rng, 11);
    for (int d = 0; d < DOCUMENTS; d++) {
        int words = (int)rng_below(&rng, d % 50 == 3 ? 900 : 12) + 5;
        char *text = fixture_text(words, (uint64_t)d + 100);
        json_t *object = json_pack("{s:s}", "text", text);
        char *line = json_dumps(object, JSON_COMPACT);
        FIXTURE_OK(strbuf_printf(&file, "%s\n", line));
        free(line);
        json_decref(object);
        texts[d] = text;
    }
    FIXTURE_OK(file_join(&path, folder, "data/c4"));
    FIXTURE_OK(file_make_directories(path));
    mem_free(path);
    fixture_write(folder, "data/c4/validation.jsonl", file.data);
    FIXTURE_OK(file_join(&path, folder, "data"));
    FIXTURE_OK(data_folder_set(path));
    mem_free(path);
    strbuf_release(&file);
}

/* The loop of the papers' get_c4, with all documents in memory. */
static int32_t *plain_draw(char *const texts[DOCUMENTS], int samples, int length, int seed,
                           long *tries)
{
    struct python_random random;
    int32_t *out;
    FIXTURE_OK(mem_alloc(&out, (size_t)samples * (size_t)length, sizeof *out));
    python_random_seed(&random, (uint64_t)seed);
    for (int s = 0; s < samples; s++) {
        int32_t *ids = NULL;
        size_t count = 0;
        do {
            uint32_t d = python_random_below(&random, DOCUMENTS);
            mem_free(ids);
            FIXTURE_OK(
                tokenizer_encode_default(tokenizer, texts[d], strlen(texts[d]), &ids, &count));
            ++*tries;
        } while (count <= (size_t)length);
        uint32_t at = python_random_below(&random, (uint32_t)(count - (size_t)length));
        memcpy(out + (size_t)s * (size_t)length, ids + at, (size_t)length * sizeof *out);
        mem_free(ids);
    }
    return out;
}

static void documents_are_drawn_as_in_the_scripts(void **state)
{
    /* the last case reads beyond what one pass over the file holds ready */
    static const struct {
        int samples, length, seed;
    } cases[] = {{1, 8, 0}, {40, 100, 0}, {40, 100, 1234}, {900, 300, 5}};
    char *texts[DOCUMENTS];
    long tries = 0;
    put_documents(texts);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct stream stream = {0};
        struct calibration_facts facts;
        struct calibration_spec spec = spec_of("c4", cases[i].samples, cases[i].length, -1);
        spec.seed = cases[i].seed;
        tries = 0;
        int32_t *expected = plain_draw(texts, spec.samples, spec.length, spec.seed, &tries);
        assert_int_equal(draw(tokenizer, 0, &spec, &stream, &facts), 0);
        assert_int_equal(facts.draw, DRAW_PYTHON);
        assert_int_equal(facts.changed, 1); /* not the published file */
        assert_int_equal(stream.count, spec.samples);
        assert_memory_equal(stream.tokens, expected, (size_t)stream.rows * sizeof *expected);
        mem_free(expected);
        stream_release(&stream);
    }
    assert_true(tries > 40000);
    assert_no_draw(tokenizer, "c4", 2, 100000, -1,
                   "none of its 700 documents has more than 100000 tokens");
    assert_no_draw(tokenizer, "c4", 2, 100, DRAW_OWN, "set draw: python");
    for (int d = 0; d < DOCUMENTS; d++)
        mem_free(texts[d]);
}

/* Whichever allocation fails, the error comes through and nothing stays behind. */
static void failed_allocations_are_reported(void **state)
{
    char *texts[DOCUMENTS];
    struct calibration_spec spec = spec_of("c4", 1, 8, -1);
    put_documents(texts);
    for (long nth = 1;; nth++) {
        struct stream stream = {0};
        mem_fail_at(nth);
        int rc = draw(tokenizer, 0, &spec, &stream, NULL), pending = mem_fail_pending();
        mem_fail_at(0);
        stream_release(&stream);
        if (pending) {
            assert_int_equal(rc, 0);
            assert_true(nth > 20);
            break;
        }
        assert_int_equal(rc, ERR_MEMORY);
    }
    for (int d = 0; d < DOCUMENTS; d++)
        mem_free(texts[d]);
}

/* C4: 256 windows at most, cut from the joined text, or as GPTQ's script draws them. */
static void c4_has_256_windows(void **state)
{
    char *texts[DOCUMENTS];
    long tries = 0, bytes;
    put_documents(texts);
    assert_int_equal(windows_of(tokenizer, "c4", 0, 16, 0, &bytes), 256);
    assert_true(bytes > 256 * 15);
    assert_true(windows_of(tokenizer, "c4", 0, 512, 0, NULL) < 256);
    struct perplexity_spec spec = {.corpus = "c4_gptq", .window = 64, .split = SPLIT_TEST};
    struct perplexity_set set;
    struct stream stream = {0};
    int32_t *expected = plain_draw(texts, 256, 64, 0, &tries);
    assert_int_equal(prepare(tokenizer, &spec, &set, &stream), 0);
    assert_int_equal(set.windows, 256);
    assert_memory_equal(stream.tokens, expected, (size_t)256 * 64 * sizeof *expected);
    stream_release(&stream);
    mem_free(expected);
    for (int d = 0; d < DOCUMENTS; d++)
        mem_free(texts[d]);
}

/* ---- the reference's segments ---- */

/* The joined test rows as tokens: how many, and their hash. */
static void check_text(const json_t *entry, const struct tokenizer *real)
{
    const struct corpus_request request = {
        .name = "wikitext2", .split = SPLIT_TEST, .use = USE_EVALUATION};
    struct corpus_cache cache = {.tokenizer = real};
    const struct corpus_tokens *text;
    char hash[HASH_HEX_SIZE];
    assert_int_equal(corpus_cache_get(&cache, &request, &text), 0);
    assert_int_equal(text->count, json_integer_value(json_object_get(entry, "n")));
    hash_bytes(text->ids, text->count * sizeof *text->ids, hash);
    assert_string_equal(hash, json_string_value(json_object_get(entry, "sha256")));
    corpus_cache_release(&cache);
}

/* The segments that BiLLM's loader draws from the validation rows. */
static void check_segments(const json_t *entry, const struct tokenizer *real)
{
    for (int length = 512; length <= 2048; length *= 4) {
        char key[16], hash[HASH_HEX_SIZE];
        struct stream stream = {0};
        struct calibration_spec spec = spec_of("wikitext2", 16, length, -1);
        snprintf(key, sizeof key, "%d", length);
        assert_int_equal(draw(real, 0, &spec, &stream, NULL), 0);
        hash_bytes(stream.tokens, (size_t)stream.rows * sizeof *stream.tokens, hash);
        assert_string_equal(hash, json_string_value(json_object_get(json_object_get(entry, key),
                                                                    "sha256_of_16_segments")));
        stream_release(&stream);
    }
}

static void tokens_as_in_the_reference(void **state)
{
    static const char *const known[][2] = {{"smollm2", "tokenizers/smollm2"},
                                           {"opt", "tokenizers/opt-vocab.json"},
                                           {"gpt2", "tokenizers/gpt2-vocab.json"},
                                           {"llama_hf", "tokenizers/llama_tokenizer.model"}};
    const char *golden = golden_folder(), *shared = getenv("BITBENCH_SHARED");
    char *path;
    if (!golden) {
        print_message("skipped: ../shared/golden is not there\n");
        skip();
    }
    shared = shared ? shared : "../shared";
    FIXTURE_OK(file_join(&path, golden, "tokens/index.json"));
    json_t *index = json_load_file(path, 0, NULL);
    assert_non_null(index);
    mem_free(path);
    FIXTURE_OK(file_join(&path, shared, "data"));
    FIXTURE_OK(data_folder_set(path));
    mem_free(path);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        char name[64];
        struct tokenizer *real;
        FIXTURE_OK(file_join(&path, shared, known[i][1]));
        FIXTURE_OK(tokenizer_open(&real, path));
        mem_free(path);
        snprintf(name, sizeof name, "%s.wt2_test_nn", known[i][0]);
        check_text(json_object_get(json_object_get(index, "files"), name), real);
        check_segments(json_object_get(json_object_get(index, "wikitext2_calib"), known[i][0]),
                       real);
        tokenizer_free(real);
    }
    json_decref(index);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_are_drawn_as_in_the_scripts),
        cmocka_unit_test(failed_allocations_are_reported),
        cmocka_unit_test(c4_has_256_windows),
        cmocka_unit_test(tokens_as_in_the_reference),
    };
    return cmocka_run_group_tests(tests, start, end);
}
