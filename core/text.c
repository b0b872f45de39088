#include "core/text.h"

#include "core/err.h"
#include "core/mem.h"

#include <string.h>

size_t text_columns(const char *text)
{
    size_t columns = 0;
    for (; *text; text++)
        columns += ((unsigned char)*text & 0xC0) != 0x80;
    return columns;
}

size_t text_cut(const char *text, size_t columns)
{
    size_t at = 0;
    for (size_t seen = 0; text[at]; at++) {
        seen += ((unsigned char)text[at] & 0xC0) != 0x80;
        if (seen > columns)
            break;
    }
    return at;
}

/* Columns of the next word of the text. */
static size_t word_columns(const char *text, size_t *bytes)
{
    size_t columns = 0;
    *bytes = strcspn(text, " \n");
    for (size_t i = 0; i < *bytes; i++)
        columns += ((unsigned char)text[i] & 0xC0) != 0x80;
    return columns;
}

int text_wrap(struct strbuf *out, const char *text, size_t column, size_t indent, size_t width)
{
    int rc = 0, fresh = 1;
    while (*text) {
        size_t spaces = strspn(text, " "), bytes, columns = word_columns(text + spaces, &bytes);
        if (text[spaces] == '\n') {
            TRY(strbuf_printf(out, "\n%*s", (int)indent, ""));
            column = indent;
            text += spaces + 1;
            fresh = 1;
            continue;
        }
        if (!fresh && column + spaces + columns > width) {
            TRY(strbuf_printf(out, "\n%*s", (int)indent, ""));
            column = indent;
            spaces = 0;
            text += strspn(text, " ");
        }
        TRY(strbuf_add(out, text, spaces + bytes));
        column += spaces + columns;
        text += spaces + bytes;
        fresh = 0;
    }
out:
    return rc;
}

/* Bytes of the sequence that starts here, 0 when it is not well-formed (overlong forms, surrogates
 * and code points beyond U+10FFFF are not). */
static size_t sequence(const unsigned char *s, size_t left)
{
    size_t length = s[0] < 0x80   ? 1
                    : s[0] < 0xC2 ? 0
                    : s[0] < 0xE0 ? 2
                    : s[0] < 0xF0 ? 3
                    : s[0] < 0xF5 ? 4
                                  : 0;
    if (length > left)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((s[i] & 0xC0) != 0x80)
            return 0;
    if ((s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xED && s[1] > 0x9F) ||
        (s[0] == 0xF0 && s[1] < 0x90) || (s[0] == 0xF4 && s[1] > 0x8F))
        return 0;
    return length;
}

int text_is_utf8(const char *bytes, size_t size, size_t *at)
{
    const unsigned char *s = (const unsigned char *)bytes;
    for (size_t i = 0; i < size;) {
        size_t length = sequence(s + i, size - i);
        if (length == 0) {
            if (at)
                *at = i;
            return 0;
        }
        i += length;
    }
    return 1;
}
