#include "core/err.h"
#include "core/mem.h"
#include "model/pretokenize.h"

#include <string.h>

/* Unicode's White_Space and its complement, as the inside of a class. */
static const char space_class[] =
    "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}"
    "\\x{202f}\\x{205f}\\x{3000}";
static const char not_space_class[] =
    "\\x{0}-\\x{8}\\x{e}-\\x{1f}\\x{21}-\\x{84}\\x{86}-\\x{9f}\\x{a1}-\\x{167f}"
    "\\x{1681}-\\x{1fff}\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}\\x{2030}-\\x{205e}"
    "\\x{2060}-\\x{2fff}\\x{3001}-\\x{10ffff}";
static const char word_class[] = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}";

static int add_class(struct strbuf *out, const char *inside, int in_class, int negated)
{
    if (in_class)
        return strbuf_puts(out, inside);
    return strbuf_printf(out, negated ? "[^%s]" : "[%s]", inside);
}

/* One escape, at its backslash; the character behind it exists. */
static int add_escape(struct strbuf *out, const char *at, int in_class, const char *pattern,
                      const char *file)
{
    switch (at[1]) {
    case 's': return add_class(out, space_class, in_class, 0);
    case 'S': return add_class(out, not_space_class, in_class, 0);
    case 'w': return add_class(out, word_class, in_class, 0);
    case 'W':
        if (!in_class)
            return add_class(out, word_class, 0, 1);
        /* fall through */
    case 'h':
    case 'H':
    case 'b':
    case 'B':
    case 'R':
    case 'X':
        return err_set(
            ERR_FORMAT,
            "%s: pre_tokenizer: the Split pattern '%s' uses \\%c, which is not supported here",
            file, pattern, at[1]);
    default: return strbuf_add(out, at, 2);
    }
}

int pretokenize_translate(const char *pattern, char **out, const char *file)
{
    int rc = 0, depth = 0; /* of nested classes; PCRE2 has none, so they are refused */
    struct strbuf text = {0};
    *out = NULL;
    TRY(strbuf_puts(&text, ""));
    for (const char *at = pattern; *at; at++) {
        if (*at == '\\' && at[1]) {
            TRY(add_escape(&text, at, depth > 0, pattern, file));
            at++;
            continue;
        }
        int posix = depth && *at == '[' && at[1] == ':';
        if ((depth && *at == '[') || (depth && *at == '&' && at[1] == '&')) {
            rc = err_set(ERR_FORMAT,
                         "%s: pre_tokenizer: the Split pattern '%s' has %s in a class, which is "
                         "not supported here",
                         file, pattern,
                         posix        ? "a POSIX name"
                         : *at == '[' ? "a class"
                                      : "an intersection (&&)");
            goto out;
        }
        if (*at == '[')
            depth = 1;
        else if (*at == ']')
            depth = 0;
        TRY(strbuf_add(&text, at, 1));
        if (depth && at[0] == '[' && at[1] == '^') {
            TRY(strbuf_add(&text, ++at, 1));
        }
    }
    *out = text.data;
    text = (struct strbuf){0};
out:
    strbuf_release(&text);
    return rc;
}
