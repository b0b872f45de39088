/* Bytes, UTF-8 and the rules that cut text into words: by hand. */
#include "model/bpe_bytes.h"
#include "model/pretokenize.h"
#include "tests/fixture.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* ---- bytes and characters ---- */

static void bytes_have_characters_of_their_own(void **state)
{
    bool taken[0x144] = {false};
    for (int byte = 0; byte < 256; byte++) {
        uint32_t c = bpe_byte_to_char((uint8_t)byte);
        assert_true(c < 0x144 && !taken[c]);
        taken[c] = true;
        assert_int_equal(bpe_char_to_byte(c), byte);
    }
    assert_int_equal(bpe_byte_to_char(' '), 0x120);
    assert_int_equal(bpe_byte_to_char('\n'), 0x10a);
    assert_int_equal(bpe_byte_to_char(0x7f), 0x121);
    assert_int_equal(bpe_byte_to_char(0xa0), 0x142);
    assert_int_equal(bpe_byte_to_char(0xad), 0x143);
    assert_int_equal(bpe_byte_to_char('a'), 'a');
    assert_int_equal(bpe_char_to_byte(' '), -1);
    assert_int_equal(bpe_char_to_byte(0xad), -1);
    assert_int_equal(bpe_char_to_byte(0x144), -1);
    assert_int_equal(bpe_char_to_byte(0x4e00), -1);
}

static void utf8_is_that_of_rfc_3629(void **state)
{
    static const struct {
        const char *bytes;
        size_t size, valid;
    } cases[] = {
        {"plain text, long enough for a word", 34, 34},
        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9, 9},
        {"ab\xc0\x80", 4, 2},        /* overlong NUL */
        {"\xe0\x9f\xbf", 3, 0},      /* overlong */
        {"\xed\xa0\x80", 3, 0},      /* a surrogate */
        {"\xf4\x90\x80\x80", 4, 0},  /* above U+10FFFF */
        {"\xf4\x8f\xbf\xbf", 4, 4},  /* U+10FFFF */
        {"abcdefgh\xe2\x82", 10, 8}, /* cut off */
        {"\x80", 1, 0},              /* a continuation without a beginning */
        {"\xff", 1, 0},
        {"abcdefgh\xc3(", 10, 8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(utf8_valid_prefix(cases[i].bytes, cases[i].size), cases[i].valid);
    for (uint32_t c = 0; c < 0x110000; c += c < 0x3000 ? 1 : 97) {
        char bytes[4];
        uint32_t back = 0;
        int length = utf8_encode(c, bytes);
        bool surrogate = c >= 0xd800 && c <= 0xdfff;
        assert_int_equal(utf8_decode(bytes, (size_t)length, &back), surrogate ? 0 : length);
        assert_true(surrogate || back == c);
    }
}

/* ---- pre-tokenizers ---- */

static int add_word(void *context, const char *word, size_t size)
{
    struct strbuf *words = context;
    FIXTURE_OK(strbuf_puts(words, "["));
    FIXTURE_OK(strbuf_add(words, word, size));
    return strbuf_puts(words, "]");
}

static void assert_words(const char *rules, const char *text, const char *expected)
{
    struct pretokenizer *pretokenizer;
    struct strbuf words = {0};
    json_t *json = json_loads(rules, 0, NULL);
    FIXTURE_OK(pretokenizer_from_json(&pretokenizer, json, "rules"));
    FIXTURE_OK(pretokenizer_words(pretokenizer, text, strlen(text), add_word, &words));
    FIXTURE_OK(strbuf_puts(&words, ""));
    assert_string_equal(words.data, expected);
    strbuf_release(&words);
    pretokenizer_free(pretokenizer);
    json_decref(json);
}

#define BYTES       "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"use_regex\": true}"
#define BYTES_WHOLE "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"use_regex\": false}"
#define BYTES_SPACE "{\"type\": \"ByteLevel\", \"add_prefix_space\": true, \"use_regex\": true}"
#define SEQUENCE(first, second)                                                                    \
    "{\"type\": \"Sequence\", \"pretokenizers\": [" first ", " second "]}"
#define DIGITS(individual) "{\"type\": \"Digits\", \"individual_digits\": " individual "}"
#define SPLIT(pattern, behavior, invert)                                                           \
    "{\"type\": \"Split\", \"pattern\": " pattern ", \"behavior\": \"" behavior                    \
    "\", \"invert\": " invert "}"

static void gpt2_words(void **state)
{
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"", ""},
        {"Hello world", "[Hello][ world]"},
        {"I'm you're he'll O'Neill's I'M",
         "[I]['m][ you]['re][ he]['ll][ O]['][Neill]['s][ I]['][M]"},
        {"a  b   c", "[a][ ][ b][  ][ c]"},
        {"a \n b\n", "[a][ \n][ b][\n]"},
        {"  ", "[  ]"},
        {"x=12,5 3rd", "[x][=][12][,][5][ 3][rd]"},
        {"caf\xc3\xa9 na\xc3\xafve \xe6\x97\xa5\xe6\x9c\xac", /* café naïve and two ideographs */
         "[caf\xc3\xa9][ na\xc3\xafve][ \xe6\x97\xa5\xe6\x9c\xac]"},
        /* No: superscript two and a Roman numeral are numbers */
        {"x\xc2\xb2 \xe2\x85\xab", "[x][\xc2\xb2][ \xe2\x85\xab]"},
        /* a combining accent is no letter */
        {"e\xcc\x81"
         "a",
         "[e][\xcc\x81][a]"},
        /* white space: U+0085, U+00A0, U+3000 */
        {"a\xc2\x85"
         "b",
         "[a][\xc2\x85][b]"},
        {"a\xc2\xa0\xc2\xa0"
         "b",
         "[a][\xc2\xa0][\xc2\xa0][b]"},
        {"a\xe3\x80\x80!", "[a][\xe3\x80\x80][!]"},
        /* none: U+180E, U+200B, U+001C */
        {"a\xe1\xa0\x8e!", "[a][\xe1\xa0\x8e!]"},
        {"a\xe2\x80\x8b!", "[a][\xe2\x80\x8b!]"},
        {"a\x1c!", "[a][\x1c!]"},
        /* a byte that is not UTF-8 is a symbol, and comes out as itself */
        {"ok \xff bad", "[ok][ \xff][ bad]"},
        {"\xff\xe2\x82 x\xf0\x9f", "[\xff\xe2\x82][ x][\xf0\x9f]"},
        {"\xef\xbf\xbd\xff\xef\xbf\xbd z\xff", "[\xef\xbf\xbd\xff\xef\xbf\xbd][ z][\xff]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_words(BYTES, cases[i].text, cases[i].words);
}

static void other_rules(void **state)
{
    static const struct {
        const char *rules, *text, *words;
    } cases[] = {
        {BYTES_WHOLE, "as it  is", "[as it  is]"},
        {BYTES_SPACE, "Hello you", "[ Hello][ you]"},
        {BYTES_SPACE, " Hello", "[ Hello]"},
        {BYTES_SPACE, "\nx", "[ ][\n][x]"}, /* the piece is then " \nx" */
        {BYTES_SPACE, "\xffz \xfe", "[ \xff][z][ \xfe]"},
        {SEQUENCE(DIGITS("true"), BYTES), "in 1984, x", "[in][ ][1][9][8][4][,][ x]"},
        {SEQUENCE(DIGITS("false"), BYTES), "in 1984, x", "[in][ ][1984][,][ x]"},
        {SEQUENCE(DIGITS("true"), BYTES_SPACE), "a12", "[ a][ 1][ 2]"},
        /* the five behaviors, by Hugging Face's own example */
        {SEQUENCE(SPLIT("{\"String\": \"-\"}", "Removed", "false"), BYTES_WHOLE),
         "the-final--countdown", "[the][final][countdown]"},
        {SEQUENCE(SPLIT("{\"String\": \"-\"}", "Isolated", "false"), BYTES_WHOLE),
         "the-final--countdown", "[the][-][final][-][-][countdown]"},
        {SEQUENCE(SPLIT("{\"String\": \"-\"}", "MergedWithPrevious", "false"), BYTES_WHOLE),
         "the-final--countdown", "[the-][final-][-][countdown]"},
        {SEQUENCE(SPLIT("{\"String\": \"-\"}", "MergedWithNext", "false"), BYTES_WHOLE),
         "the-final--countdown", "[the][-final][-][-countdown]"},
        {SEQUENCE(SPLIT("{\"String\": \"-\"}", "Contiguous", "false"), BYTES_WHOLE),
         "the-final--countdown", "[the][-][final][--][countdown]"},
        {SEQUENCE(SPLIT("{\"Regex\": \"[a-z]+\"}", "Removed", "true"), BYTES_WHOLE),
         "the-final--countdown", "[the][final][countdown]"},
        {SEQUENCE(SPLIT("{\"Regex\": \"x*\"}", "Isolated", "false"), BYTES_WHOLE), "axxb",
         "[a][xx][b]"}, /* empty matches cut, and do not hang */
        /* before a, then xx; none at the end of xx; one at the end of the text */
        {SEQUENCE(SPLIT("{\"Regex\": \"x*\"}", "MergedWithPrevious", "false"), BYTES_WHOLE),
         "abxxcd", "[a][bxx][c][d]"},
        {SEQUENCE(SPLIT("{\"Regex\": \"(?:(?=c)|b)\"}", "MergedWithNext", "false"), BYTES_WHOLE),
         "abcbcc", "[a][bc][bc][c]"},
        {SEQUENCE(SPLIT("{\"Regex\": \"\\\\w+|[^\\\\w\\\\s]+\"}", "Isolated", "false"),
                  BYTES_WHOLE),
         "e\xcc\x81_1 !\xe1\xa0\x8e", "[e\xcc\x81_1][ ][!\xe1\xa0\x8e]"},
        {SEQUENCE(SPLIT("{\"Regex\": \"[\\\\S]+\"}", "Removed", "true"), BYTES_WHOLE),
         "a\xe1\xa0\x8e\xc2\x85"
         "b",
         "[a\xe1\xa0\x8e][b]"},
        /* LLaMA 3's rules */
        {SEQUENCE(
             SPLIT("{\"Regex\": "
                   "\"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|"
                   "\\\\p{N}{1,3}| ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|"
                   "\\\\s+(?!\\\\S)|\\\\s+\"}",
                   "Isolated", "false"),
             BYTES_WHOLE),
         "It'S 12345 (ok)!\n\n  x", "[It]['S][ ][123][45][ (][ok][)!\n\n][ ][ x]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_words(cases[i].rules, cases[i].text, cases[i].words);
}

static void bad_rules_are_named(void **state)
{
    static const struct {
        const char *rules, *expected;
    } cases[] = {
        {"null", "pre_tokenizer is missing"},
        {"{}", "has no type"},
        {"{\"type\": \"Metaspace\"}",
         "pre_tokenizer type 'Metaspace' is not supported; supported: ByteLevel"},
        {DIGITS("true"), "no ByteLevel"},
        {DIGITS("7"), "'individual_digits' is neither true nor false"},
        {"{\"type\": \"Sequence\"}", "no list 'pretokenizers'"},
        {SEQUENCE(BYTES, DIGITS("true")), "'Digits' after ByteLevel"},
        {SPLIT("{}", "Isolated", "false"), "needs a pattern"},
        {SPLIT("{\"Regex\": \"a\"}", "Sideways", "false"), "behavior 'Sideways' is not supported"},
        {SPLIT("{\"Regex\": \"a(\"}", "Isolated", "false"), "does not compile"},
        {SPLIT("{\"Regex\": \"\\\\p{Wrong}\"}", "Isolated", "false"), "does not compile"},
        {SPLIT("{\"Regex\": \"[a&&b]\"}", "Isolated", "false"), "an intersection"},
        {SPLIT("{\"Regex\": \"\\\\C\"}", "Isolated", "false"), "does not compile"},
        {SPLIT("{\"Regex\": \"\\\\h\"}", "Isolated", "false"), "uses \\h"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pretokenizer *rules = NULL;
        json_t *json = json_loads(cases[i].rules, JSON_DECODE_ANY, NULL);
        assert_non_null(json);
        assert_int_equal(pretokenizer_from_json(&rules, json, "tokenizer.json"), ERR_FORMAT);
        assert_non_null(strstr(err_text(), cases[i].expected));
        assert_null(rules);
        json_decref(json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_have_characters_of_their_own),
        cmocka_unit_test(utf8_is_that_of_rfc_3629),
        cmocka_unit_test(gpt2_words),
        cmocka_unit_test(other_rules),
        cmocka_unit_test(bad_rules_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
