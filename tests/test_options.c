/* Option tables: parsing, bounds, suggestions, defaults, JSON there and back, help. */
#include "core/err.h"
#include "core/mem.h"
#include "core/nearest.h"
#include "core/options.h"
#include "core/text.h"

#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct sample {
    int bits, group_size, method, scoring;
    double low_frac, percdamp;
    bool sym, mse;
    char name[OPTION_TEXT_SIZE];
};

#define FIELD(field) offsetof(struct sample, field)
static const struct option table[] = {
    {.name = "bits",
     .type = OPTION_INT,
     .offset = FIELD(bits),
     .fallback = "4",
     .low = 1,
     .high = 8,
     .help = "bits of a code"},
    {.name = "group_size",
     .type = OPTION_INT,
     .offset = FIELD(group_size),
     .fallback = "-1",
     .low = 1,
     .high = INT_MAX,
     .special = "-1=the whole row",
     .help = "columns that share a scale"},
    {.name = "low_method",
     .type = OPTION_CHOICE,
     .offset = FIELD(method),
     .fallback = "xnor",
     .choices = "xnor|sign|2bit|sign_mean",
     .help = "quantizer of the rest"},
    {.name = "scoring",
     .type = OPTION_CHOICE,
     .offset = FIELD(scoring),
     .fallback = "auto",
     .choices = "sum|pmi",
     .special = "-1=auto",
     .help = "rule"},
    {.name = "low_frac",
     .type = OPTION_REAL,
     .offset = FIELD(low_frac),
     .fallback = "0.9",
     .low = 0,
     .high = 1,
     .help = "share of low-bit weights"},
    {.name = "salient_frac",
     .alias_of = "low_frac",
     .complement = 1,
     .help = "share of salient weights"},
    {.name = "rest", .alias_of = "low_frac", .help = "an older name"},
    {.name = "percdamp",
     .type = OPTION_REAL,
     .offset = FIELD(percdamp),
     .fallback = "0.01",
     .help = "damping"},
    {.name = "sym",
     .type = OPTION_BOOL,
     .offset = FIELD(sym),
     .fallback = "false",
     .help = "symmetric"},
    {.name = "mse",
     .type = OPTION_BOOL,
     .offset = FIELD(mse),
     .fallback = "true",
     .help = "search"},
    {.name = "name", .type = OPTION_TEXT, .offset = FIELD(name), .fallback = "", .help = "a name"},
    {.name = NULL},
};

static struct sample fresh(void)
{
    struct sample sample;
    memset(&sample, 0x5a, sizeof sample);
    assert_int_equal(options_defaults(table, &sample), 0);
    return sample;
}

static void defaults(void **state)
{
    struct sample sample = fresh();
    assert_int_equal(sample.bits, 4);
    assert_int_equal(sample.group_size, -1);
    assert_int_equal(sample.method, 0);
    assert_int_equal(sample.scoring, -1);
    assert_true(sample.low_frac == 0.9);
    assert_false(sample.sym);
    assert_true(sample.mse);
    assert_string_equal(sample.name, "");
}

static void set(struct sample *sample, const char *name, const char *value)
{
    if (options_set(table, sample, name, value, "t.yaml:3") != 0)
        fail_msg("%s=%s: %s", name, value, err_text());
}

static void values(void **state)
{
    struct sample sample = fresh();
    set(&sample, "bits", "8");
    assert_int_equal(sample.bits, 8);
    set(&sample, "group-size", "128"); /* - for _ */
    assert_int_equal(sample.group_size, 128);
    set(&sample, "group_size", "-1");
    assert_int_equal(sample.group_size, -1);
    set(&sample, "low_method", "2bit");
    assert_int_equal(sample.method, 2);
    set(&sample, "low_method", "sign-mean");
    assert_int_equal(sample.method, 3);
    set(&sample, "scoring", "pmi");
    assert_int_equal(sample.scoring, 1);
    set(&sample, "scoring", "auto");
    assert_int_equal(sample.scoring, -1);
    set(&sample, "percdamp", "1e-3");
    assert_true(sample.percdamp == 1e-3);
    set(&sample, "percdamp", "-7e300"); /* no bounds */
    assert_true(sample.percdamp == -7e300);
    set(&sample, "low_frac", "0");
    assert_true(sample.low_frac == 0);
    static const char *const yes[] = {"true", "yes", "1", "on", "True"};
    static const char *const no[] = {"false", "no", "0", "off", "FALSE"};
    for (int i = 0; i < 5; i++) {
        set(&sample, "sym", yes[i]);
        assert_true(sample.sym);
        set(&sample, "sym", no[i]);
        assert_false(sample.sym);
    }
    set(&sample, "name", "a = b, \xc3\xa4");
    assert_string_equal(sample.name, "a = b, \xc3\xa4");
}

/* 1 - 0.9 is 0.09999999999999998 in binary: the complement has to be the double that 0.1 is. */
static void complements(void **state)
{
    struct sample sample = fresh();
    set(&sample, "salient_frac", "0.1");
    assert_true(sample.low_frac == 0.9);
    set(&sample, "salient_frac", "0.9");
    assert_true(sample.low_frac == 0.1);
    set(&sample, "salient_frac", "0.05");
    assert_true(sample.low_frac == 0.95);
    set(&sample, "rest", "0.25");
    assert_true(sample.low_frac == 0.25);
}

static void refuses(const char *name, const char *value, const char *text)
{
    struct sample sample = fresh(), before;
    memcpy(&before, &sample, sizeof sample);
    int rc = options_set(table, &sample, name, value, "t.yaml:3");
    if (rc != ERR_USAGE || strcmp(err_text(), text) != 0)
        fail_msg("%s=%s: expected <%s>, got %d <%s>", name, value, text, rc, err_text());
    assert_memory_equal(&sample, &before, sizeof sample);
}

static void bad_values(void **state)
{
    const char *bits = "t.yaml:3: bits: '%s' is %s: allowed is a whole number from 1 to 8";
    static const char *const out_of_range[] = {"0", "9", "-1", "99999999999999999999",
                                               "2147483648"};
    static const char *const no_number[] = {"", "4x", "four", "4.0", " 4", "0x4", "nan"};
    char text[200];
    for (size_t i = 0; i < sizeof out_of_range / sizeof *out_of_range; i++) {
        snprintf(text, sizeof text, bits, out_of_range[i], "out of range");
        refuses("bits", out_of_range[i], text);
    }
    for (size_t i = 0; i < sizeof no_number / sizeof *no_number; i++) {
        snprintf(text, sizeof text, bits, no_number[i], "not a whole number");
        refuses("bits", no_number[i], text);
    }
    refuses(
        "group_size", "0",
        "t.yaml:3: group_size: '0' is out of range: allowed is a whole number of at least 1, or "
        "-1 (the whole row)");
    refuses("low_frac", "1.5",
            "t.yaml:3: low_frac: '1.5' is out of range: allowed is a number from 0 to 1");
    refuses("salient_frac", "-0.5",
            "t.yaml:3: salient_frac: '-0.5' is out of range: allowed is a number from 0 to 1");
    refuses("percdamp", "inf", "t.yaml:3: percdamp: 'inf' is not a number: allowed is a number");
    refuses("percdamp", "1e999",
            "t.yaml:3: percdamp: '1e999' is out of range: allowed is a number");
    refuses("percdamp", "0x1p3",
            "t.yaml:3: percdamp: '0x1p3' is not a number: allowed is a number");
    refuses("sym", "maybe", "t.yaml:3: sym: 'maybe' is neither: allowed is true or false");
    refuses(
        "low_method", "signe",
        "t.yaml:3: low_method: 'signe' is no choice; did you mean 'sign'? (allowed: xnor, sign, "
        "2bit, sign_mean)");
    refuses("low_method", "",
            "t.yaml:3: low_method: '' is no choice: allowed is xnor, sign, 2bit, sign_mean");
}

static void unknown_names(void **state)
{
    refuses("bit", "4", "t.yaml:3: unknown option 'bit'; did you mean 'bits'?");
    refuses("gropu_size", "4", "t.yaml:3: unknown option 'gropu_size'; did you mean 'group_size'?");
    refuses("group", "4", "t.yaml:3: unknown option 'group'; did you mean 'group_size'?");
    refuses("zzzz", "4",
            "t.yaml:3: unknown option 'zzzz'; valid are bits, group_size, low_method, scoring, "
            "low_frac, salient_frac, rest, percdamp, sym, mse, name");
}

/* The name of the place is not said twice on the command line. */
static void places(void **state)
{
    struct sample sample = fresh();
    assert_int_equal(options_set(table, &sample, "group_size", "x", "--group-size"), ERR_USAGE);
    assert_string_equal(err_text(), "--group-size: 'x' is not a whole number: allowed is a whole "
                                    "number of at least 1, or -1 (the whole row)");
}

static void long_texts(void **state)
{
    struct sample sample = fresh();
    char text[OPTION_TEXT_SIZE + 1];
    memset(text, 'a', sizeof text);
    text[OPTION_TEXT_SIZE] = '\0';
    assert_int_equal(options_set(table, &sample, "name", text, "t"), ERR_USAGE);
    assert_string_equal(err_text(), "t: name: the text has 512 bytes; at most 511 are allowed");
    text[OPTION_TEXT_SIZE - 1] = '\0';
    set(&sample, "name", text);
    assert_int_equal(strlen(sample.name), OPTION_TEXT_SIZE - 1);
}

static void json_there_and_back(void **state)
{
    struct sample sample = fresh(), other = fresh();
    json_t *object;
    set(&sample, "bits", "2");
    set(&sample, "salient_frac", "0.3");
    set(&sample, "low_method", "sign_mean");
    set(&sample, "scoring", "sum");
    set(&sample, "sym", "true");
    set(&sample, "percdamp", "0.1234567890123456789");
    set(&sample, "name", "x \"y\"");
    assert_int_equal(options_to_json(table, &sample, &object), 0);
    assert_int_equal(json_object_size(object), 9); /* no aliases */
    assert_int_equal(options_from_json(table, &other, object, "db"), 0);
    assert_memory_equal(&other.name, &sample.name, sizeof sample.name);
    assert_int_equal(other.bits, 2);
    assert_int_equal(other.method, 3);
    assert_int_equal(other.scoring, 0);
    assert_true(other.low_frac == sample.low_frac && other.percdamp == sample.percdamp);
    json_decref(object);
    set(&sample, "percdamp", "1");
    set(&sample, "scoring", "auto");
    assert_int_equal(options_to_json(table, &sample, &object), 0);
    char *text = json_dumps(object, JSON_COMPACT);
    assert_string_equal(text,
                        "{\"bits\":2,\"group_size\":-1,\"low_method\":\"sign_mean\",\"scoring\":"
                        "\"auto\",\"low_frac\":0.69999999999999996,\"percdamp\":1.0,\"sym\":true,"
                        "\"mse\":true,\"name\":\"x \\\"y\\\"\"}");
    free(text);
    json_decref(object);
}

static void json_refuses(const char *json, const char *text)
{
    struct sample sample = fresh(), before;
    memcpy(&before, &sample, sizeof sample);
    json_t *object = json_loads(json, JSON_DECODE_ANY, NULL);
    assert_non_null(object);
    assert_int_equal(options_from_json(table, &sample, object, "db"), ERR_USAGE);
    assert_string_equal(err_text(), text);
    assert_memory_equal(&sample, &before, sizeof sample);
    json_decref(object);
}

/* A later bad member leaves the earlier good one unset. */
static void bad_json(void **state)
{
    json_refuses(
        "{\"bits\": 2, \"group_size\": \"x\"}",
        "db: group_size: 'x' is not a whole number: allowed is a whole number of at least 1, "
        "or -1 (the whole row)");
    json_refuses("{\"bits\": [2]}",
                 "db: bits: a single value is expected, not an object, a list or null");
    json_refuses("{\"bits\": null}",
                 "db: bits: a single value is expected, not an object, a list or null");
    json_refuses("{\"bits\": 2.5}",
                 "db: bits: '2.5' is not a whole number: allowed is a whole number from 1 to 8");
    json_refuses("[1]", "db: an object of options is expected");
}

static void summaries(void **state)
{
    struct sample sample = fresh();
    struct strbuf text = {0};
    assert_int_equal(options_summary(table, &sample, &text), 0);
    assert_string_equal(text.data, "");
    set(&sample, "bits", "2");
    set(&sample, "rest", "0.1");
    set(&sample, "mse", "no");
    set(&sample, "low_method", "2bit");
    assert_int_equal(options_summary(table, &sample, &text), 0);
    assert_string_equal(text.data, "bits=2 low_method=2bit low_frac=0.1 mse=false");
    strbuf_release(&text);
}

static void help_texts(void **state)
{
    struct strbuf text = {0};
    assert_int_equal(options_help(table, &text), 0);
    assert_non_null(strstr(text.data, "  bits          bits of a code (a whole number from 1 to 8; "
                                      "default 4)\n"));
    assert_non_null(strstr(text.data, "(the same as low_frac = 1 - value)"));
    for (const char *line = text.data; *line; line += strcspn(line, "\n") + 1)
        assert_true(strcspn(line, "\n") <= 100);
    text.length = 0;
    assert_int_equal(options_markdown(table, &text), 0);
    assert_non_null(
        strstr(text.data, "| `bits` | `4` | a whole number from 1 to 8 | bits of a code |\n"));
    assert_non_null(
        strstr(text.data, "| `salient_frac` |  | 1 - low_frac | share of salient weights |\n"));
    strbuf_release(&text);
}

static void wrong_tables(void **state)
{
    struct sample sample = {0};
    const struct option no_default[] = {{.name = "a", .type = OPTION_INT}, {.name = NULL}};
    const struct option bad_default[] = {
        {.name = "a", .type = OPTION_INT, .fallback = "9", .low = 1, .high = 8}, {.name = NULL}};
    const struct option bad_alias[] = {{.name = "a", .alias_of = "b"}, {.name = NULL}};
    assert_int_equal(options_defaults(no_default, &sample), ERR_INTERNAL);
    assert_int_equal(options_defaults(bad_default, &sample), ERR_INTERNAL);
    assert_int_equal(options_set(bad_alias, &sample, "a", "1", "t"), ERR_INTERNAL);
}

static void nearest_names(void **state)
{
    static const char *const names[] = {"gptq", "rtn", "billm", "pb-llm", "bitnet", "onebit", NULL};
    assert_string_equal(nearest_name("gtpq", names), "gptq"); /* a swap is one mistake */
    assert_string_equal(nearest_name("GPTQ", names), "gptq");
    assert_string_equal(nearest_name("pbllm", names), "pb-llm");
    assert_string_equal(nearest_name("pb_llm", names), "pb-llm");
    assert_string_equal(nearest_name("onebits", names), "onebit");
    assert_string_equal(nearest_name("bit", names), "bitnet"); /* a beginning */
    assert_null(nearest_name("awq-lite", names));
    assert_null(nearest_name("", names));
    char word[300];
    memset(word, 'g', sizeof word - 1);
    word[299] = '\0';
    assert_null(nearest_name(word, names));
}

static void wrapped_text(void **state)
{
    struct strbuf text = {0};
    assert_int_equal(text_wrap(&text, "one two three four", 4, 2, 12), 0);
    assert_string_equal(text.data, "one two\n  three four");
    text.length = 0;
    assert_int_equal(text_wrap(&text, "a verylongwordthatisnotcut b\n\nc", 0, 0, 10), 0);
    assert_string_equal(text.data, "a\nverylongwordthatisnotcut\nb\n\nc");
    strbuf_release(&text);
    assert_int_equal(text_columns("a\xc3\xa4\xe2\x80\xa6"), 3);
    assert_int_equal(text_cut("a\xc3\xa4\xe2\x80\xa6", 2), 3);
    size_t at;
    assert_true(text_is_utf8("a\xf0\x9f\x98\x80", 5, NULL));
    assert_false(text_is_utf8("ab\xed\xa0\x80", 5, &at)); /* a surrogate */
    assert_int_equal(at, 2);
    assert_false(text_is_utf8("\xf0\x9f\x98", 3, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),      cmocka_unit_test(values),
        cmocka_unit_test(complements),   cmocka_unit_test(bad_values),
        cmocka_unit_test(unknown_names), cmocka_unit_test(places),
        cmocka_unit_test(long_texts),    cmocka_unit_test(json_there_and_back),
        cmocka_unit_test(bad_json),      cmocka_unit_test(summaries),
        cmocka_unit_test(help_texts),    cmocka_unit_test(wrong_tables),
        cmocka_unit_test(nearest_names), cmocka_unit_test(wrapped_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
