/* Training a vocabulary: against a plain trainer that counts every pair anew at each step, and what
 * options mean. */
#include "model/bpe_bytes.h"
#include "model/tokenizer.h"
#include "tests/fixture.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* ---- the plain trainer: words of ASCII letters and single spaces, tokens as visible text ---- */

enum { PLAIN_WORDS = 4096, PLAIN_PARTS = 64, PLAIN_TOKEN = 80 };

struct plain_word {
    int parts[PLAIN_PARTS], count;
    long times;
};

struct plain {
    struct plain_word words[PLAIN_WORDS];
    int word_count;
    char tokens[1024][PLAIN_TOKEN]; /* by id, visible characters */
    int token_count;
    char merges[1024][2 * PLAIN_TOKEN + 1];
    int merge_count;
};

static struct plain plain;

/* "Ġ" for the space, other bytes (ASCII letters) as they are. */
static void plain_start(void)
{
    plain.word_count = plain.merge_count = 0;
    snprintf(plain.tokens[0], PLAIN_TOKEN, "<|endoftext|>");
    plain.token_count = 1;
    for (uint32_t c = 0; c < 0x144; c++) {
        char *token = plain.tokens[plain.token_count];
        if (bpe_char_to_byte(c) < 0)
            continue;
        token[utf8_encode(c, token)] = '\0';
        plain.token_count++;
    }
    assert_int_equal(plain.token_count, 257);
}

static int plain_token(const char *text)
{
    for (int i = 0; i < plain.token_count; i++)
        if (strcmp(plain.tokens[i], text) == 0)
            return i;
    return -1;
}

static void plain_add_word(const char *word, size_t size, int weight)
{
    struct plain_word fresh = {.times = weight};
    for (size_t i = 0; i < size; i++) {
        char text[5];
        text[utf8_encode(bpe_byte_to_char((uint8_t)word[i]), text)] = '\0';
        fresh.parts[fresh.count++] = plain_token(text);
        assert_true(fresh.count < PLAIN_PARTS);
    }
    for (int i = 0; i < plain.word_count; i++)
        if (plain.words[i].count == fresh.count &&
            memcmp(plain.words[i].parts, fresh.parts, (size_t)fresh.count * sizeof(int)) == 0) {
            plain.words[i].times += weight;
            return;
        }
    assert_true(plain.word_count < PLAIN_WORDS);
    plain.words[plain.word_count++] = fresh;
}

/* A space belongs to the word behind it. */
static void plain_add_text(const char *text, int weight)
{
    for (const char *at = text; *at;) {
        size_t size = 1 + strcspn(at + 1, " ");
        plain_add_word(at, size, weight);
        at += size;
    }
}

static long plain_count(int left, int right)
{
    long count = 0;
    for (int w = 0; w < plain.word_count; w++)
        for (int i = 0; i + 1 < plain.words[w].count; i++)
            if (plain.words[w].parts[i] == left && plain.words[w].parts[i + 1] == right)
                count += plain.words[w].times;
    return count;
}

/* Most frequent, then lowest left, then lowest right id. Only pairs that occur are looked at. */
static long plain_best(int *left, int *right)
{
    long best = 0;
    for (int w = 0; w < plain.word_count; w++)
        for (int i = 0; i + 1 < plain.words[w].count; i++) {
            int a = plain.words[w].parts[i], b = plain.words[w].parts[i + 1];
            long count = plain_count(a, b);
            if (count > best || (count == best && (a < *left || (a == *left && b < *right)))) {
                best = count;
                *left = a;
                *right = b;
            }
        }
    return best;
}

static void plain_merge(int left, int right)
{
    char joined[2 * PLAIN_TOKEN];
    snprintf(joined, sizeof joined, "%s%s", plain.tokens[left], plain.tokens[right]);
    int id = plain_token(joined);
    if (id < 0) {
        id = plain.token_count++;
        assert_true(strlen(joined) < PLAIN_TOKEN);
        memcpy(plain.tokens[id], joined, strlen(joined) + 1);
    }
    char merge[2 * PLAIN_TOKEN + 1];
    snprintf(merge, sizeof merge, "%s %s", plain.tokens[left], plain.tokens[right]);
    bool listed = false;
    for (int i = 0; i < plain.merge_count; i++)
        listed |= strcmp(plain.merges[i], merge) == 0;
    if (!listed)
        memcpy(plain.merges[plain.merge_count++], merge, sizeof merge);
    for (int w = 0; w < plain.word_count; w++) {
        struct plain_word *word = &plain.words[w];
        int kept = 0;
        for (int i = 0; i < word->count; i++) {
            bool here = i + 1 < word->count && word->parts[i] == left &&
                        word->parts[i + 1] == right;
            word->parts[kept++] = here ? id : word->parts[i];
            i += here;
        }
        word->count = kept;
    }
}

static void plain_learn(int vocabulary, long least)
{
    int left = 0, right = 0;
    while (plain.token_count < vocabulary && plain_best(&left, &right) >= least)
        plain_merge(left, right);
}

/* ---- comparing ---- */

static json_t *train(const struct bpe_text *texts, size_t count, const struct bpe_training *options,
                     int *tokens)
{
    char *text;
    FIXTURE_OK(bpe_train(texts, count, options, &text, tokens));
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(root);
    mem_free(text);
    return root;
}

static void assert_as_plain(const json_t *root)
{
    const json_t *model = json_object_get(root, "model"), *vocab = json_object_get(model, "vocab");
    const json_t *merges = json_object_get(model, "merges");
    assert_int_equal(json_object_size(vocab), plain.token_count);
    for (int i = 0; i < plain.token_count; i++)
        assert_int_equal(json_integer_value(json_object_get(vocab, plain.tokens[i])), i);
    assert_int_equal(json_array_size(merges), plain.merge_count);
    for (int i = 0; i < plain.merge_count; i++)
        assert_string_equal(json_string_value(json_array_get(merges, (size_t)i)), plain.merges[i]);
}

/* Words of `letters` different letters, so few that pairs tie and runs overlap. */
static void random_text(struct strbuf *text, uint64_t seed, int words, int letters, int longest)
{
    struct rng rng;
    rng_seed(&rng, seed);
    for (int w = 0; w < words; w++) {
        FIXTURE_OK(strbuf_puts(text, w ? " " : ""));
        uint64_t size = 1 + rng_below(&rng, (uint64_t)longest);
        for (uint64_t i = 0; i < size; i++) {
            char c = (char)('a' + rng_below(&rng, (uint64_t)letters));
            FIXTURE_OK(strbuf_add(text, &c, 1));
        }
    }
}

static void the_merges_are_the_plain_trainers(void **state)
{
    static const struct {
        int words, letters, longest, vocabulary;
    } cases[] = {{60, 1, 30, 300},
                 {300, 2, 20, 330},
                 {400, 3, 12, 330},
                 {500, 8, 8, 340},
                 {200, 26, 6, 400}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct strbuf text = {0};
        int tokens;
        random_text(&text, c + 1, cases[c].words, cases[c].letters, cases[c].longest);
        const struct bpe_text source = {text.data, text.length, 1};
        const struct bpe_training options = {.vocabulary = cases[c].vocabulary};
        json_t *root = train(&source, 1, &options, &tokens);
        plain_start();
        plain_add_text(text.data, 1);
        plain_learn(cases[c].vocabulary, 2);
        assert_int_equal(tokens, plain.token_count);
        assert_as_plain(root);
        json_decref(root);
        strbuf_release(&text);
    }
}

static void weights_count_words_more_often(void **state)
{
    static const char *const texts[] = {"low lower lowest", "new newer newest wide", "lo lo ne ne"};
    static const int weights[] = {5, 2, 3};
    struct bpe_text sources[3];
    const struct bpe_training options = {.vocabulary = 290, .least_count = 3};
    int tokens;
    plain_start();
    for (int i = 0; i < 3; i++) {
        sources[i] = (struct bpe_text){texts[i], strlen(texts[i]), weights[i]};
        plain_add_text(texts[i], weights[i]);
    }
    plain_learn(290, 3);
    json_t *root = train(sources, 3, &options, &tokens);
    assert_int_equal(tokens, plain.token_count);
    assert_as_plain(root);
    json_decref(root);
}

static void ties_go_to_the_lowest_ids(void **state)
{
    /* Words ba, Ġba, Ġab twice, Ġaa twice: first Ġ a, which occurs four times. Then b a, Ġa a
     * and Ġa b occur twice each; b has the lowest id of the left ones. */
    static const char text[] = "ba ba ab ab aa aa";
    const struct bpe_text source = {text, sizeof text - 1, 1};
    const struct bpe_training options = {.vocabulary = 259};
    json_t *root = train(&source, 1, &options, NULL);
    const json_t *merges = json_object_get(json_object_get(root, "model"), "merges");
    assert_int_equal(json_array_size(merges), 2);
    assert_string_equal(json_string_value(json_array_get(merges, 0)), "\xc4\xa0 a");
    assert_string_equal(json_string_value(json_array_get(merges, 1)), "b a");
    json_decref(root);
}

static void special_tokens_separate_and_are_not_learned(void **state)
{
    static const char *const specials[] = {"<|endoftext|>", "<|x|>", NULL};
    static const char text[] = "aa<|endoftext|>aa<|x|>aa<|endoftext|><|endoftext|>";
    const struct bpe_text source = {text, sizeof text - 1, 1};
    const struct bpe_training options = {.vocabulary = 300, .special_tokens = specials};
    int tokens;
    json_t *root = train(&source, 1, &options, &tokens), *model = json_object_get(root, "model");
    assert_int_equal(tokens, 2 + 256 + 1);
    assert_int_equal(json_array_size(json_object_get(model, "merges")), 1);
    assert_string_equal(json_string_value(json_array_get(json_object_get(model, "merges"), 0)),
                        "a a");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(model, "vocab"), "<|x|>")),
                     1);
    assert_int_equal(json_array_size(json_object_get(root, "added_tokens")), 2);
    json_decref(root);
}

static void digits_alone_do_not_merge(void **state)
{
    static const char text[] = "1234 1234 1234 1234";
    const struct bpe_text source = {text, sizeof text - 1, 1};
    struct bpe_training options = {.vocabulary = 300, .individual_digits = true};
    int alone, together;
    json_decref(train(&source, 1, &options, &alone));
    options.individual_digits = false;
    json_decref(train(&source, 1, &options, &together));
    assert_int_equal(alone, 257);
    assert_true(together > 257);
}

static void a_folder_opens_and_encodes_what_was_learned(void **state)
{
    char *folder = fixture_folder("bpe_train"), *text = fixture_text(3000, 3), *back;
    const struct bpe_text source = {text, strlen(text), 1};
    const struct bpe_training options = {.vocabulary = 400};
    struct tokenizer *tokenizer;
    int tokens;
    int32_t *ids;
    size_t count, size;
    FIXTURE_OK(bpe_train_folder(&source, 1, &options, folder, &tokens));
    FIXTURE_OK(tokenizer_open(&tokenizer, folder));
    assert_int_equal(tokenizer_vocabulary(tokenizer), tokens);
    assert_int_equal(tokenizer_bos(tokenizer), 0);
    assert_int_equal(tokenizer_eos(tokenizer), 0);
    assert_false(tokenizer_adds_bos(tokenizer));
    FIXTURE_OK(tokenizer_encode(tokenizer, text, strlen(text), &ids, &count));
    assert_true(count < strlen(text) / 4); /* few words, so they became tokens */
    FIXTURE_OK(tokenizer_decode(tokenizer, ids, count, &back, &size));
    assert_int_equal(size, strlen(text));
    assert_memory_equal(back, text, size);
    mem_free(ids);
    mem_free(back);
    FIXTURE_OK(tokenizer_encode(tokenizer, "a<|endoftext|>", 14, &ids, &count));
    assert_int_equal(count, 2);
    assert_int_equal(ids[1], 0);
    mem_free(ids);
    tokenizer_free(tokenizer);
    mem_free(text);
    mem_free(folder);
}

static void any_bytes_can_be_learned_from(void **state)
{
    struct rng rng;
    char bytes[4096], *json;
    rng_seed(&rng, 9);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)rng_next(&rng);
    const struct bpe_text source = {bytes, sizeof bytes, 1};
    const struct bpe_training options = {.vocabulary = 320};
    FIXTURE_OK(bpe_train(&source, 1, &options, &json, NULL));
    mem_free(json);
}

static void bad_requests_are_refused(void **state)
{
    static const char *const twice[] = {"<|a|>", "<|a|>", NULL}, *const one[] = {"a", NULL},
                             *const strange[] = {"<\xc4\xa0>", NULL};
    static const char text[] = "abc abc";
    const struct {
        struct bpe_training options;
        int weight;
        size_t size;
        const char *expected;
    } cases[] = {
        {{.vocabulary = 256}, 1, 7, "a vocabulary of 256"},
        {{.vocabulary = 300, .special_tokens = twice}, 1, 7, "given twice"},
        {{.vocabulary = 300, .special_tokens = one}, 1, 7, "two characters"},
        {{.vocabulary = 300, .special_tokens = strange}, 1, 7, "printable ASCII"},
        {{.vocabulary = 300}, 0, 7, "weight 0"},
        {{.vocabulary = 300}, 1, 0, "empty"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *json = NULL;
        const struct bpe_text source = {text, cases[i].size, cases[i].weight};
        assert_int_equal(bpe_train(&source, 1, &cases[i].options, &json, NULL), ERR_USAGE);
        assert_non_null(strstr(err_text(), cases[i].expected));
        assert_null(json);
    }
}

static void every_failed_allocation_is_survived(void **state)
{
    static const char text[] = "to be or not to be, that is the question: 42<|endoftext|>to be";
    const struct bpe_text source = {text, sizeof text - 1, 1};
    const struct bpe_training options = {.vocabulary = 270, .individual_digits = true};
    for (long nth = 1;; nth++) {
        char *json = NULL;
        mem_fail_at(nth);
        int rc = bpe_train(&source, 1, &options, &json, NULL);
        bool pending = mem_fail_pending();
        mem_fail_at(0);
        if (pending) {
            assert_int_equal(rc, 0);
            mem_free(json);
            break;
        }
        if (rc == 0) /* PCRE2 may do without its JIT */
            mem_free(json);
        else
            assert_int_equal(rc, ERR_MEMORY);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_merges_are_the_plain_trainers),
        cmocka_unit_test(weights_count_words_more_often),
        cmocka_unit_test(ties_go_to_the_lowest_ids),
        cmocka_unit_test(special_tokens_separate_and_are_not_learned),
        cmocka_unit_test(digits_alone_do_not_merge),
        cmocka_unit_test(a_folder_opens_and_encodes_what_was_learned),
        cmocka_unit_test(any_bytes_can_be_learned_from),
        cmocka_unit_test(bad_requests_are_refused),
        cmocka_unit_test(every_failed_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
