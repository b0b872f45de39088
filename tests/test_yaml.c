/* The YAML tree: what is read, where it stands, and one clear line for everything that is refused.
 */
#include "core/err.h"
#include "core/mem.h"
#include "core/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int parse(struct yaml *yaml, const char *text)
{
    return yaml_parse(yaml, "t.yaml", text, strlen(text));
}

static void test_tree(void **state)
{
    struct yaml yaml;
    const char *text = "# a comment\nname: quick\nmethods:\n  - method: rtn\n    bits: [4, 3]\n  - "
                       "{method: \"gptq\", x: }\n"
                       "empty: ''\ntext: |\n  two\n  lines\n";
    assert_int_equal(parse(&yaml, text), 0);
    assert_int_equal(yaml.root.kind, YAML_MAP);
    assert_int_equal(yaml.root.count, 4);
    assert_string_equal(yaml_get(&yaml.root, "name")->text, "quick");
    assert_null(yaml_get(&yaml.root, "nam"));
    const struct yaml_node *methods_node = yaml_get(&yaml.root, "methods");
    assert_int_equal(methods_node->kind, YAML_LIST);
    assert_int_equal(methods_node->count, 2);
    const struct yaml_node *bits = yaml_get(&methods_node->items[0], "bits");
    assert_int_equal(bits->count, 2);
    assert_int_equal(bits->key_line, 5);
    assert_string_equal(bits->items[1].text, "3");
    const struct yaml_node *second = &methods_node->items[1];
    assert_int_equal(second->line, 6);
    assert_true(yaml_get(second, "method")->quoted);
    assert_true(yaml_is_null(yaml_get(second, "x")));
    assert_false(yaml_is_null(yaml_get(&yaml.root, "empty")));
    assert_string_equal(yaml_get(&yaml.root, "text")->text, "two\nlines\n");
    yaml_release(&yaml);
    yaml_release(&yaml);
}

static void test_aliases(void **state)
{
    struct yaml yaml;
    assert_int_equal(parse(&yaml, "a: &x {bits: 3}\nb: *x\nc: [&y 1, *y, *x]\n"), 0);
    assert_string_equal(yaml_get(yaml_get(&yaml.root, "b"), "bits")->text, "3");
    assert_int_equal(yaml_get(&yaml.root, "b")->key_line, 2);
    assert_string_equal(yaml_get(&yaml.root, "c")->items[1].text, "1");
    yaml_release(&yaml);
}

static void test_empty_documents(void **state)
{
    static const char *const texts[] = {"", "\n\n", "# nothing\n", "---\n", "~\n", "\xEF\xBB\xBF"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct yaml yaml;
        assert_int_equal(parse(&yaml, texts[i]), 0);
        assert_int_equal(yaml.root.kind, YAML_MAP);
        assert_int_equal(yaml.root.count, 0);
        yaml_release(&yaml);
    }
}

static void refuses(const char *text, const char *line)
{
    struct yaml yaml = {0};
    int rc = parse(&yaml, text);
    if (rc != ERR_FORMAT || !strstr(err_text(), line))
        fail_msg("for <%s> expected <%s>, got %d <%s>", text, line, rc, err_text());
    assert_null(yaml.path);
}

static void test_bad_input(void **state)
{
    refuses("a: [1, 2", "t.yaml:1: did not find expected ',' or ']'");
    refuses("a: 1\nb: {c: 2\n", "t.yaml:2: did not find");
    refuses("a: 1\nb: 2\na: 3\n",
            "t.yaml:3: the key 'a' stands here for the second time; first on line 1");
    refuses("a:\n\tb: 1\n", "t.yaml:2: a tab where YAML wants spaces");
    refuses("a: 'open\n", "t.yaml:");
    refuses("a: \xFF\n", "t.yaml:1: byte 3 (0xff) is not UTF-8");
    refuses("a: 1\nb: \xC0\x80\n", "t.yaml:2: byte 8 (0xc0) is not UTF-8");
    refuses("a: \x01\n", "t.yaml:1: ");
    refuses("a: \"x\\0y\"\n", "NUL");
    refuses("a: 1\n---\nb: 2\n", "t.yaml:2: a second document begins");
    refuses("a: !!int 3\n", "t.yaml:1: tags");
    refuses("a: !x [3]\n", "t.yaml:1: tags");
    refuses("a: *b\n", "t.yaml:1: alias *b");
    refuses("a: &a [1, *a]\n", "t.yaml:1: alias *a");
    refuses("a: &x {b: 1}\nc:\n  <<: *x\n", "t.yaml:3: merge keys");
    refuses("? [a, b]\n: 1\n", "t.yaml:1: a key has to be plain text");
    refuses("a: b: c\n", "t.yaml:1: ");
    refuses("%TAG ! x", "t.yaml:");
}

static void test_depth(void **state)
{
    char text[2 * 5000 + 2];
    memset(text, '[', 5000);
    memset(text + 5000, ']', 5000);
    text[10000] = '\0';
    refuses(text, "nested more than 32 deep");
    struct yaml yaml;
    assert_int_equal(yaml_parse(&yaml, "t.yaml", text + 5000 - 32, 64), 0);
    yaml_release(&yaml);
}

/* Ten levels of ten aliases each would be 10^10 values. */
static void test_alias_expansion(void **state)
{
    struct strbuf text = {0};
    assert_int_equal(strbuf_puts(&text, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"), 0);
    for (int i = 1; i < 10; i++) {
        assert_int_equal(strbuf_printf(&text, "a%d: &a%d [", i, i), 0);
        for (int k = 0; k < 10; k++)
            assert_int_equal(strbuf_printf(&text, "*a%d%s", i - 1, k < 9 ? ", " : "]\n"), 0);
    }
    refuses(text.data, "more than 262144 values");
    strbuf_release(&text);
}

static void test_sizes(void **state)
{
    struct strbuf text = {0};
    assert_int_equal(strbuf_puts(&text, "a: ["), 0);
    for (int i = 0; i < 300000; i++)
        assert_int_equal(strbuf_puts(&text, "1, "), 0);
    assert_int_equal(strbuf_puts(&text, "1]\n"), 0);
    refuses(text.data, "more than 262144 values");
    text.length = 0;
    for (int i = 0; i < 5000; i++)
        assert_int_equal(strbuf_printf(&text, "k%d: 1\n", i), 0);
    refuses(text.data, "t.yaml:4097: more than 4096 keys");
    strbuf_release(&text);
    struct yaml yaml;
    assert_int_equal(yaml_parse(&yaml, "t.yaml", "", (size_t)YAML_MAX_BYTES + 1), ERR_FORMAT);
    assert_int_equal(yaml_load(&yaml, "no/such/file.yaml"), ERR_MISSING);
}

static void test_overrides(void **state)
{
    struct yaml yaml;
    char where[100];
    assert_int_equal(
        parse(&yaml, "model: embedded\ntasks:\n  - {task: a}\n  - {task: b, items: 5}\n"), 0);
    struct yaml_node *root = &yaml.root;
    assert_int_equal(yaml_override(&yaml, root, "model", "m/x", "--set model=m/x"), 0);
    assert_string_equal(yaml_get(root, "model")->text, "m/x");
    yaml_where(&yaml, yaml_get(root, "model"), where, sizeof where);
    assert_string_equal(where, "--set model=m/x");
    assert_int_equal(yaml_override(&yaml, root, "tasks.items", "[1, 2]", "--set"), 0);
    const struct yaml_node *tasks_node = yaml_get(root, "tasks");
    assert_int_equal(yaml_get(&tasks_node->items[0], "items")->count, 2);
    assert_int_equal(yaml_get(&tasks_node->items[1], "items")->kind, YAML_LIST);
    assert_int_equal(yaml_override(&yaml, root, "tasks.1.items", "7", "--set"), 0);
    assert_string_equal(yaml_get(&tasks_node->items[1], "items")->text, "7");
    assert_int_equal(yaml_override(&yaml, root, "calibration.samples", "", "--set"), 0);
    assert_string_equal(yaml_get(yaml_get(root, "calibration"), "samples")->text, "");
    assert_int_equal(yaml_override(&yaml, root, "tasks.2.items", "7", "--set x"), ERR_USAGE);
    assert_non_null(strstr(err_text(), "--set x: the list has 2 elements"));
    assert_int_equal(yaml_override(&yaml, root, "model.x", "7", "--set"), ERR_USAGE);
    assert_int_equal(yaml_override(&yaml, root, "", "7", "--set"), ERR_USAGE);
    assert_int_equal(yaml_override(&yaml, root, "a..b", "7", "--set"), ERR_USAGE);
    assert_int_equal(yaml_override(&yaml, root, "x", "[1", "--set x=[1"), ERR_FORMAT);
    yaml_release(&yaml);
}

/* Every allocation fails once: an error, nothing lost (the sanitizer's build looks for leaks). */
static void test_memory(void **state)
{
    const char *text = "a: &x {b: [1, 2, 3], c: 'd'}\ne: *x\n";
    for (long k = 1;; k++) {
        struct yaml yaml = {0};
        mem_fail_at(k);
        int rc = parse(&yaml, text);
        if (rc == 0)
            rc = yaml_override(&yaml, &yaml.root, "a.f.g", "[1, 2]", "--set");
        int pending = mem_fail_pending();
        mem_fail_at(0);
        yaml_release(&yaml);
        if (pending) {
            assert_int_equal(rc, 0);
            break;
        }
        assert_int_equal(rc, ERR_MEMORY);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tree),
        cmocka_unit_test(test_aliases),
        cmocka_unit_test(test_empty_documents),
        cmocka_unit_test(test_bad_input),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_alias_expansion),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_overrides),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
