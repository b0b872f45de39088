/* Normalizers: Unicode's forms by UAX 15's examples, white space, SentencePiece's character map. */
#include "core/err.h"
#include "model/charsmap.h"
#include "model/normalizer.h"
#include "model/prefix_set.h"
#include "tests/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_normalizes(const char *rules, const char *text, size_t size,
                              const char *expected, size_t expected_size)
{
    struct normalizer *n;
    struct strbuf out = {0};
    json_t *json = json_loads(rules, 0, NULL);
    assert_non_null(json);
    FIXTURE_OK(normalizer_from_json(&n, json, "made.json"));
    FIXTURE_OK(normalizer_apply(n, text, size, true, &out));
    if (out.length != expected_size || memcmp(out.data, expected, expected_size) != 0)
        fail_msg("%s: '%s' became '%s', expected '%s'", rules, text, out.data, expected);
    strbuf_release(&out);
    normalizer_free(n);
    json_decref(json);
}
#define ASSERT_NORMALIZES(rules, text, expected)                                                   \
    assert_normalizes(rules, text, sizeof text - 1, expected, sizeof expected - 1)
#define TYPE(name) "{\"type\": \"" name "\"}"

static void unicode_forms(void **state)
{
    static const struct {
        const char *text, *nfc, *nfd, *nfkc, *nfkd;
    } cases[] = {
        {"plain text 123", "plain text 123", "plain text 123", "plain text 123", "plain text 123"},
        {"e\u0301", "\u00e9", "e\u0301", "\u00e9", "e\u0301"},
        {"cafe\u0301 e", "caf\u00e9 e", "cafe\u0301 e", "caf\u00e9 e", "cafe\u0301 e"},
        {"\u212b", "\u00c5", "A\u030a", "\u00c5", "A\u030a"},
        {"\u1100\u1161\u11a8", "\uac01", "\u1100\u1161\u11a8", "\uac01", "\u1100\u1161\u11a8"},
        {"q\u0307\u0323", "q\u0323\u0307", "q\u0323\u0307", "q\u0323\u0307", "q\u0323\u0307"},
        {"\u1e9b\u0323", "\u1e9b\u0323", "\u017f\u0323\u0307", "\u1e69", "s\u0323\u0307"},
        {"\ufb01", "\ufb01", "\ufb01", "fi", "fi"},
        {"2\u2075", "2\u2075", "2\u2075", "25", "25"},
        {"\u0958", "\u0915\u093c", "\u0915\u093c", "\u0915\u093c", "\u0915\u093c"}, /* excluded */
        {"\u0344", "\u0308\u0301", "\u0308\u0301", "\u0308\u0301", "\u0308\u0301"},
        {"a\u0301\xff\u0301", "\u00e1\xff\u0301", "a\u0301\xff\u0301", "\u00e1\xff\u0301",
         "a\u0301\xff\u0301"}, /* what is not UTF-8 separates */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *text = cases[i].text;
        assert_normalizes(TYPE("NFC"), text, strlen(text), cases[i].nfc, strlen(cases[i].nfc));
        assert_normalizes(TYPE("NFD"), text, strlen(text), cases[i].nfd, strlen(cases[i].nfd));
        assert_normalizes(TYPE("NFKC"), text, strlen(text), cases[i].nfkc, strlen(cases[i].nfkc));
        assert_normalizes(TYPE("NFKD"), text, strlen(text), cases[i].nfkd, strlen(cases[i].nfkd));
    }
}

/* A hundred thousand marks of alternating classes after one letter: in order, and soon. */
static void a_long_run_of_marks(void **state)
{
    enum { MARKS = 50000 };
    struct strbuf text = {0}, expected = {0};
    FIXTURE_OK(strbuf_puts(&text, "x"));
    FIXTURE_OK(strbuf_puts(&expected, "x"));
    for (int i = 0; i < MARKS; i++)
        FIXTURE_OK(strbuf_puts(&text, "\u0307\u0323"));
    for (int i = 0; i < 2 * MARKS; i++)
        FIXTURE_OK(strbuf_puts(&expected, i < MARKS ? "\u0323" : "\u0307"));
    assert_normalizes(TYPE("NFD"), text.data, text.length, expected.data, expected.length);
    strbuf_release(&text);
    strbuf_release(&expected);
}

static void other_rules(void **state)
{
    ASSERT_NORMALIZES(TYPE("Lowercase"), "ABC \u00c4\u0130\u03a3 \xff",
                      "abc \u00e4i\u0307\u03c3 \xff");
    ASSERT_NORMALIZES(TYPE("Strip"), " \t\u3000 a b\u00a0\n", "a b");
    ASSERT_NORMALIZES(TYPE("Strip"), "  ", "");
    ASSERT_NORMALIZES("{\"type\": \"Strip\", \"strip_left\": false, \"strip_right\": true}", " a ",
                      " a");
    ASSERT_NORMALIZES("{\"type\": \"Prepend\", \"prepend\": \"_\"}", "a", "_a");
    ASSERT_NORMALIZES("{\"type\": \"Prepend\", \"prepend\": \"_\"}", "", "");
    ASSERT_NORMALIZES("{\"type\": \"Replace\", \"pattern\": {\"String\": \"aa\"}, \"content\": "
                      "\"b\"}",
                      "aaaxa\0aa", "baxa\0b");
    ASSERT_NORMALIZES(
        "{\"type\": \"Sequence\", \"normalizers\": [" TYPE("NFKC") ", " TYPE(
            "Lowercase") ", {\"type\": \"Sequence\", \"normalizers\": [" TYPE("Strip") "]}]}",
        " \uff21\ufb01 ", "afi");
}

static void rules_that_are_refused(void **state)
{
    static const char *const cases[][2] = {
        {"{}", "normalizer type '?' is not supported"},
        {TYPE("BertNormalizer"), "normalizer type 'BertNormalizer' is not supported"},
        {TYPE("Sequence"), "'Sequence' has no list"},
        {TYPE("Prepend"), "'prepend' of Prepend is not a text"},
        {TYPE("Replace"), "'Replace' needs a pattern"},
        {"{\"type\": \"Replace\", \"pattern\": {\"Regex\": \"a+\"}, \"content\": \"\"}",
         "regular expressions are not supported"},
        {"{\"type\": \"Replace\", \"pattern\": {\"String\": \"\"}, \"content\": \"\"}",
         "has an empty pattern"},
        {"{\"type\": \"Replace\", \"pattern\": {\"String\": \"a\"}}",
         "the content of Replace is not a text"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct normalizer *n = NULL;
        json_t *json = json_loads(cases[i][0], 0, NULL);
        assert_int_equal(normalizer_from_json(&n, json, "made.json"), ERR_FORMAT);
        if (!strstr(err_text(), cases[i][1]))
            fail_msg("'%s' should have '%s'", err_text(), cases[i][1]);
        assert_null(n);
        json_decref(json);
    }
}

/* ---- the character map ---- */

enum { UNITS = 4096 };

/* A double array in the making: unit i is taken where used[i]. No two nodes share a base, since a
 * unit tells the byte that leads to it, not its parent. */
struct map_build {
    uint32_t units[UNITS];
    bool used[UNITS], is_base[UNITS];
};

struct map_entry {
    const char *from, *to;
};

/* Places the children of the node at `place`, reached by the first `depth` bytes of
 * entries[low..high), sorted: the first base at which all of them are free. */
static void place_children(struct map_build *b, const struct map_entry *entries, int low, int high,
                           size_t depth, size_t place, const uint32_t *values)
{
    uint32_t base = 1;
    bool fits;
    do {
        base++;
        fits = !b->is_base[base];
        for (int i = low; i < high; i++)
            fits = fits && !b->used[base ^ (uint8_t)entries[i].from[depth]];
    } while (!fits);
    b->is_base[base] = true;
    b->units[place] |= ((uint32_t)place ^ base) << 10;
    for (int i = low; i < high; i++)
        b->used[base ^ (uint8_t)entries[i].from[depth]] = true;
    for (int i = low, next; i < high; i = next) {
        uint8_t byte = (uint8_t)entries[i].from[depth];
        for (next = i; next < high && (uint8_t)entries[next].from[depth] == byte; next++)
            ;
        if (byte == 0) {
            b->units[base] = 0x80000000u | values[i];
            b->units[place] |= 0x100;
        } else {
            b->units[base ^ byte] = byte;
            place_children(b, entries, i, next, depth + 1, base ^ byte, values);
        }
    }
}

/* entries sorted by their bytes. */
static void build_map(struct strbuf *out, const struct map_entry *entries, int count)
{
    static struct map_build b;
    uint32_t values[16];
    struct strbuf texts = {0};
    memset(&b, 0, sizeof b);
    for (int i = 0; i < count; i++) {
        values[i] = (uint32_t)texts.length;
        FIXTURE_OK(strbuf_add(&texts, entries[i].to, strlen(entries[i].to) + 1));
    }
    b.used[0] = true;
    place_children(&b, entries, 0, count, 0, 0, values);
    const uint32_t size = sizeof b.units;
    FIXTURE_OK(strbuf_add(out, (const char *)&size, 4));
    FIXTURE_OK(strbuf_add(out, (const char *)b.units, sizeof b.units));
    FIXTURE_OK(strbuf_add(out, texts.data, texts.length));
    strbuf_release(&texts);
}

/* a: x; ab: nothing; abc: y; U+3000: a space; U+FB01: fi */
static const struct map_entry entries[] = {
    {"a", "x"}, {"ab", ""}, {"abc", "y"}, {"\u3000", " "}, {"\ufb01", "fi"}};
enum { ENTRIES = sizeof entries / sizeof *entries };

static void map_finds_the_longest(void **state)
{
    struct strbuf bytes = {0};
    struct charsmap map;
    const char *to;
    build_map(&bytes, entries, ENTRIES);
    FIXTURE_OK(charsmap_open(&map, (const uint8_t *)bytes.data, bytes.length, "made"));
    for (int i = 0; i < ENTRIES; i++) {
        size_t size = strlen(entries[i].from);
        assert_int_equal(charsmap_find(&map, entries[i].from, size, &to), size);
        assert_string_equal(to, entries[i].to);
    }
    assert_int_equal(charsmap_find(&map, "abd", 3, &to), 2);
    assert_int_equal(charsmap_find(&map, "b", 1, &to), 0);
    assert_int_equal(charsmap_find(&map, "\u3001", 3, &to), 0);
    assert_int_equal(charsmap_find(&map, "\u3000", 2, &to), 0);
    strbuf_release(&bytes);
}

/* Every byte changed: nothing read outside, no endless way. */
static void damaged_maps(void **state)
{
    struct strbuf bytes = {0};
    struct rng rng;
    uint8_t *copy;
    build_map(&bytes, entries, ENTRIES);
    rng_seed(&rng, 1);
    for (int turn = 0; turn < 3000; turn++) {
        struct charsmap map;
        const char *to;
        FIXTURE_OK(mem_alloc(&copy, bytes.length, 1));
        memcpy(copy, bytes.data, bytes.length);
        for (int i = 0; i < 40; i++)
            copy[4 + rng_below(&rng, 2048)] = (uint8_t)rng_next(&rng);
        copy[rng_below(&rng, turn % 2 ? 4 : bytes.length)] = (uint8_t)rng_next(&rng);
        if (charsmap_open(&map, copy, bytes.length, "made") == 0)
            for (int i = 0; i < ENTRIES; i++)
                if (charsmap_find(&map, entries[i].from, strlen(entries[i].from), &to))
                    assert_true(strlen(to) < bytes.length);
        mem_free(copy);
    }
    strbuf_release(&bytes);
}

static void assert_pieces(struct piece_model *model, const char *text, const char *expected)
{
    struct normalizer *n;
    struct strbuf out = {0};
    FIXTURE_OK(normalizer_from_pieces(&n, model, false, "made"));
    FIXTURE_OK(normalizer_apply(n, text, strlen(text), true, &out));
    assert_string_equal(out.data, expected);
    strbuf_release(&out);
    normalizer_free(n);
}

static void map_and_white_space(void **state)
{
    struct strbuf bytes = {0};
    build_map(&bytes, entries, ENTRIES);
    struct piece user = {.text = "ab", .size = 2, .type = PIECE_USER};
    struct piece_model model = {.add_prefix = true,
                                .escape_space = true,
                                .remove_extra_space = true,
                                .charsmap = (const uint8_t *)bytes.data,
                                .charsmap_size = bytes.length};
    assert_pieces(&model, "\ufb01", "\u2581fi");
    assert_pieces(&model, "\u3000 b\u3000\u3000 cab ", "\u2581b\u2581c"); /* ab becomes nothing */
    assert_pieces(&model, "\u3000", "");
    model.pieces = &user;
    model.count = 1;
    assert_pieces(&model, "xabc\ufb01", "\u2581xabcfi"); /* the map leaves a user's piece alone */
    model.remove_extra_space = false;
    assert_pieces(&model, " \u3000b ", "\u2581\u2581\u2581b\u2581");
    strbuf_release(&bytes);
}

/* ---- the longest of a set ---- */

static void prefix_set_finds_the_longest(void **state)
{
    static const char letters[] = "ab\xff";
    char texts[40][5];
    struct prefix_set set = {0};
    struct rng rng;
    rng_seed(&rng, 9);
    for (int i = 0; i < 40; i++) {
        size_t size = 1 + rng_below(&rng, 4);
        for (size_t k = 0; k < size; k++)
            texts[i][k] = letters[rng_below(&rng, 3)];
        texts[i][size] = '\0';
        FIXTURE_OK(prefix_set_add(&set, texts[i], size, i));
    }
    prefix_set_prepare(&set);
    for (int turn = 0; turn < 2000; turn++) {
        char text[7];
        size_t size = 1 + rng_below(&rng, 6), longest = 0;
        for (size_t k = 0; k < size; k++)
            text[k] = letters[rng_below(&rng, 3)];
        for (int i = 0; i < 40; i++)
            if (strlen(texts[i]) <= size && memcmp(texts[i], text, strlen(texts[i])) == 0 &&
                strlen(texts[i]) > longest)
                longest = strlen(texts[i]);
        const struct prefix_item *found = prefix_set_find(&set, text, size);
        assert_int_equal(found ? found->size : 0, longest);
        if (found)
            assert_memory_equal(found->text, text, longest);
    }
    prefix_set_release(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unicode_forms),         cmocka_unit_test(a_long_run_of_marks),
        cmocka_unit_test(other_rules),           cmocka_unit_test(rules_that_are_refused),
        cmocka_unit_test(map_finds_the_longest), cmocka_unit_test(damaged_maps),
        cmocka_unit_test(map_and_white_space),   cmocka_unit_test(prefix_set_finds_the_longest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
