/* Contexts and continuations as tokens: lm-evaluation-harness's pairs, by SmolLM2's tokenizer, and
 * what each rule does with starts, spaces and lengths, by a small one. */
#include "harness/token_pair.h"
#include "tests/fixture.h"
#include "tests/zeroshot_golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static char *folder;
static struct tokenizer *small, *smollm2;

static struct token_pair encode(struct pair_encoder *encoder, const char *context,
                                const char *continuation)
{
    struct token_pair pair = {0};
    if (token_pair_encode(encoder, context, continuation, &pair) != 0)
        fail_msg("'%s' + '%s': %s", context, continuation, err_text());
    return pair;
}

static void need_smollm2(void)
{
    char *path = zeroshot_shared("tokenizers/smollm2");
    if (!smollm2 && golden_folder() && file_exists(path))
        FIXTURE_OK(tokenizer_open(&smollm2, path));
    mem_free(path);
    if (!smollm2) {
        print_message("skipped: ../shared/golden and ../shared/tokenizers are not there\n");
        skip();
    }
}

static void assert_ids(const int32_t *ids, size_t count, const json_t *expected, const char *what)
{
    if (count != json_array_size(expected))
        fail_msg("%s: %zu tokens, not %zu", what, count, json_array_size(expected));
    for (size_t i = 0; i < count; i++)
        if (ids[i] != json_integer_value(json_array_get(expected, i)))
            fail_msg("%s: token %zu is %d", what, i, ids[i]);
}

static void pairs_are_the_reference(void **state)
{
    need_smollm2();
    struct pair_encoder encoder = {.tokenizer = smollm2, .rule = PAIRS_PLAIN};
    json_t *golden = zeroshot_golden("pairs");
    int without = 0;
    assert_int_equal(json_array_size(golden), 35);
    for (size_t i = 0; i < json_array_size(golden); i++) {
        const json_t *one = json_array_get(golden, i);
        const char *context = zeroshot_text(one, "context", 0),
                   *continuation = zeroshot_text(one, "continuation", 0);
        if (json_object_get(one, "error")) { /* the reference stops there; see below */
            without++;
            continue;
        }
        struct token_pair pair = encode(&encoder, context, continuation);
        assert_ids(pair.ids, (size_t)pair.first, json_object_get(one, "ctx_ids"), context);
        assert_ids(pair.ids + pair.first, (size_t)(pair.count - pair.first),
                   json_object_get(one, "cont_ids"), continuation);
        mem_free(pair.ids);
    }
    assert_int_equal(without, 3);
    /* A context of white space alone counts as empty here; a continuation that only changes the
     * context's last token cannot be scored. */
    struct token_pair pair = encode(&encoder, "  ", " only spaces before");
    assert_int_equal(pair.first, 1);
    assert_int_equal(pair.ids[0], tokenizer_bos(smollm2));
    mem_free(pair.ids);
    assert_int_equal(token_pair_encode(&encoder, "na\xc3\xafve caf", "\xc3\xa9", &pair),
                     ERR_FORMAT);
    assert_non_null(strstr(err_text(), "a continuation gives no token of its own"));
    pair_encoder_release(&encoder);
    json_decref(golden);
}

static void tasks_are_the_reference(void **state)
{
    need_smollm2();
    for (int t = 0; zeroshot_tasks[t]; t++) {
        struct pair_encoder encoder = {.tokenizer = smollm2, .rule = PAIRS_PLAIN};
        json_t *golden = zeroshot_golden(zeroshot_tasks[t]);
        for (size_t i = 0; i < json_array_size(golden); i++) {
            const json_t *one = json_array_get(golden, i),
                         *lists = json_object_get(one, "cont_ids");
            for (size_t c = 0; c < json_array_size(lists); c++) {
                struct token_pair pair = encode(&encoder, zeroshot_text(one, "context", c),
                                                zeroshot_text(one, "continuations", c));
                assert_int_equal(pair.first, zeroshot_number(one, "n_ctx_tok", c));
                assert_ids(pair.ids + pair.first, (size_t)(pair.count - pair.first),
                           json_array_get(lists, c), zeroshot_tasks[t]);
                mem_free(pair.ids);
            }
        }
        pair_encoder_release(&encoder);
        json_decref(golden);
    }
}

/* What is too long keeps its end, a token more than the model's positions. */
static void long_pairs_keep_their_end(void **state)
{
    need_smollm2();
    json_t *golden = zeroshot_golden("truncation");
    assert_int_equal(json_array_size(golden), 90);
    for (size_t i = 0; i < json_array_size(golden); i++) {
        const json_t *one = json_array_get(golden, i);
        int most = (int)zeroshot_number(one, "max_length", 0);
        const char *context = zeroshot_text(one, "context", 0),
                   *continuation = zeroshot_text(one, "continuation", 0);
        struct pair_encoder whole = {.tokenizer = smollm2, .rule = PAIRS_PLAIN},
                            cut = {
                                .tokenizer = smollm2, .rule = PAIRS_PLAIN, .max_positions = most};
        struct token_pair all = encode(&whole, context, continuation),
                          end = encode(&cut, context, continuation);
        assert_int_equal(all.first, zeroshot_number(one, "n_ctx_tok", 0));
        assert_int_equal(end.count, all.count > most + 1 ? most + 1 : all.count);
        assert_int_equal(end.count - end.first, all.count - all.first);
        assert_memory_equal(end.ids, all.ids + all.count - end.count,
                            (size_t)end.count * sizeof *end.ids);
        assert_ids(end.ids + end.first, (size_t)(end.count - end.first),
                   json_object_get(one, "cont_ids"), "truncated");
        mem_free(all.ids);
        mem_free(end.ids);
        pair_encoder_release(&whole);
        pair_encoder_release(&cut);
    }
    json_decref(golden);
}

/* The pair's tokens spell start, context and continuation. */
static void assert_spells(const struct token_pair *pair, int from, const char *text)
{
    char *decoded;
    size_t size;
    FIXTURE_OK(
        tokenizer_decode(small, pair->ids + from, (size_t)(pair->count - from), &decoded, &size));
    assert_string_equal(decoded, text);
    mem_free(decoded);
}

static void rules_differ_in_the_start(void **state)
{
    struct pair_encoder start = {.tokenizer = small, .rule = PAIRS_START},
                        plain = {.tokenizer = small, .rule = PAIRS_PLAIN};
    int bos = tokenizer_bos(small);
    assert_false(tokenizer_adds_bos(small));
    struct token_pair with = encode(&start, "The king saw", " the mountain"),
                      without = encode(&plain, "The king saw", " the mountain");
    assert_int_equal(with.ids[0], bos);
    assert_int_equal(with.count, without.count + 1);
    assert_int_equal(with.first, without.first + 1);
    assert_spells(&with, 1, "The king saw the mountain");
    assert_spells(&without, 0, "The king saw the mountain");
    mem_free(with.ids);
    mem_free(without.ids);
    with = encode(&start, "The king saw \n", "the mountain"); /* spaces go to the continuation */
    assert_spells(&with, with.first, " \nthe mountain");
    mem_free(with.ids);
    /* U+3000 is white space to Python, and so to the rule that follows it. */
    without = encode(&plain, "The king\xe3\x80\x80", "saw");
    assert_spells(&without, without.first, "\xe3\x80\x80saw");
    mem_free(without.ids);
    with = encode(&start, "The king\xe3\x80\x80", "saw");
    assert_spells(&with, with.first, "saw");
    mem_free(with.ids);
    for (int i = 0; i < 2; i++) { /* the empty context is the start alone */
        struct token_pair pair = encode(i ? &plain : &start, "", "The king");
        assert_int_equal(pair.first, 1);
        assert_int_equal(pair.ids[0], bos);
        assert_spells(&pair, 1, "The king");
        mem_free(pair.ids);
    }
    pair_encoder_release(&start);
    pair_encoder_release(&plain);
}

/* LLaMA's and OPT's tokenizers: the start stands in front of every context, once. */
static void starts_of_tokenizers_that_add_them(void **state)
{
    static const char *const contexts[] = {"The king saw", "The king saw ", "", "  "};
    struct tokenizer *adding;
    fixture_write(folder, "tokenizer_config.json",
                  "{\"tokenizer_class\": \"LlamaTokenizer\", \"bos_token\": \"<|endoftext|>\", "
                  "\"eos_token\": \"<|endoftext|>\", \"add_bos_token\": true}");
    FIXTURE_OK(tokenizer_open(&adding, folder));
    assert_true(tokenizer_adds_bos(adding));
    struct pair_encoder plain = {.tokenizer = small, .rule = PAIRS_PLAIN},
                        with = {.tokenizer = adding, .rule = PAIRS_PLAIN};
    for (int i = 0; i < 4; i++) {
        struct token_pair without = encode(&plain, contexts[i], " the mountain"),
                          pair = encode(&with, contexts[i], " the mountain");
        int more = i < 2; /* an empty context is the start in any case */
        assert_int_equal(pair.ids[0], tokenizer_bos(adding));
        assert_int_equal(pair.count, without.count + more);
        assert_int_equal(pair.first, without.first + more);
        assert_memory_equal(pair.ids + more, without.ids, (size_t)without.count * sizeof *pair.ids);
        mem_free(pair.ids);
        mem_free(without.ids);
    }
    struct token_pair pair = encode(&with, "", "<|endoftext|>The king"); /* it is there already */
    assert_int_equal(pair.first, 1);
    assert_int_not_equal(pair.ids[1], tokenizer_bos(adding));
    mem_free(pair.ids);
    pair_encoder_release(&plain);
    pair_encoder_release(&with);
    tokenizer_free(adding);
}

static void limits_are_kept(void **state)
{
    struct pair_encoder plain = {.tokenizer = small, .rule = PAIRS_PLAIN, .max_positions = 4},
                        start = {.tokenizer = small, .rule = PAIRS_START, .max_positions = 4};
    struct token_pair pair = {0};
    pair = encode(&plain, "The king saw the mountain. The king saw", " the"); /* one token */
    assert_int_equal(pair.count, 5);
    assert_int_equal(pair.first, 4);
    mem_free(pair.ids);
    pair = encode(&start, "The king saw the mountain. The king saw", " the"); /* kept whole */
    assert_true(pair.count > 6);
    mem_free(pair.ids);
    pair.ids = NULL;
    assert_int_equal(token_pair_encode(&plain, "a", "xqxqxqxqxqxqxq", &pair), ERR_FORMAT);
    assert_non_null(strstr(err_text(), "more than the model's 4 positions"));
    assert_int_equal(token_pair_encode(&plain, "a", "", &pair), ERR_FORMAT);
    assert_int_equal(token_pair_encode(&plain, "", "", &pair), ERR_FORMAT);
    assert_null(pair.ids);
    for (long nth = 1;; nth++) {
        mem_fail_at(nth);
        int rc = token_pair_encode(&plain, nth % 2 ? "The king" : "Every servant", " saw", &pair),
            pending = mem_fail_pending();
        mem_fail_at(0);
        assert_int_equal(rc, pending ? 0 : ERR_MEMORY);
        mem_free(pair.ids);
        pair.ids = NULL;
        if (pending)
            break;
    }
    pair_encoder_release(&plain);
    pair_encoder_release(&start);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_are_the_reference),
        cmocka_unit_test(tasks_are_the_reference),
        cmocka_unit_test(long_pairs_keep_their_end),
        cmocka_unit_test(rules_differ_in_the_start),
        cmocka_unit_test(starts_of_tokenizers_that_add_them),
        cmocka_unit_test(limits_are_kept),
    };
    folder = fixture_folder("token_pair");
    char *text = fixture_text(4000, 1);
    struct bpe_text source = {.text = text, .size = strlen(text), .weight = 1};
    struct bpe_training options = {.vocabulary = 320};
    int tokens;
    FIXTURE_OK(bpe_train_folder(&source, 1, &options, folder, &tokens));
    FIXTURE_OK(tokenizer_open(&small, folder));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    tokenizer_free(small);
    tokenizer_free(smollm2);
    mem_free(text);
    mem_free(folder);
    return failed;
}
