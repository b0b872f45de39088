#include "datasets/pythontext.h"

#include "core/err.h"
#include "core/mem.h"

#include <locale.h>
#include <string.h>
#include <wctype.h>

/* str.isspace of one character: Unicode's white space and the separators 1C to 1F. */
static int python_is_space(uint32_t c)
{
    return (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 ||
           c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
           c == 0x202f || c == 0x205f || c == 0x3000;
}

/* The character at text[0..size), size > 0, and the bytes it takes; U+FFFD for a byte that begins
 * none. Enough of UTF-8 for text that was checked before (JSON, a file of our own). */
static uint32_t character_at(const char *text, size_t size, size_t *bytes)
{
    static const unsigned char first[] = {0, 0xc0, 0xe0, 0xf0};
    const unsigned char *s = (const unsigned char *)text;
    size_t more = s[0] >= 0xf0 ? 3 : s[0] >= 0xe0 ? 2 : s[0] >= 0xc0 ? 1 : 0;
    uint32_t c = s[0] - first[more];
    *bytes = 1;
    if (more == 0 || more >= size)
        return s[0] < 0x80 ? c : 0xfffd;
    for (size_t i = 1; i <= more; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0xfffd;
        c = c << 6 | (s[i] & 0x3f);
    }
    *bytes = more + 1;
    return c;
}

size_t python_rstrip(const char *text, size_t size)
{
    while (size > 0) {
        size_t start = size - 1, bytes;
        while (start > 0 && size - start < 4 && ((unsigned char)text[start] & 0xc0) == 0x80)
            start--;
        uint32_t c = character_at(text + start, size - start, &bytes);
        if (start + bytes != size || !python_is_space(c))
            break;
        size = start;
    }
    return size;
}

size_t python_strip(const char *text, size_t size, const char **start)
{
    size_t at = 0, bytes;
    size = python_rstrip(text, size);
    while (at < size && python_is_space(character_at(text + at, size - at, &bytes)))
        at += bytes;
    *start = text + at;
    return size - at;
}

static int add_character(struct strbuf *out, uint32_t c)
{
    char bytes[4];
    if (c < 0x80)
        return strbuf_add(out, (const char[]){(char)c}, 1);
    size_t count = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = count; i-- > 1; c >>= 6)
        bytes[i] = (char)(0x80 | (c & 0x3f));
    static const unsigned char mark[] = {0, 0, 0xc0, 0xe0, 0xf0};
    bytes[0] = (char)(mark[count] | c);
    return strbuf_add(out, bytes, count);
}

int python_capitalize(const char *text, char **out)
{
    struct strbuf built = {0};
    size_t size = strlen(text), bytes;
    int rc;
    /* The user's language must have no part in it: this locale is built into the C library. */
    locale_t unicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    if (unicode == (locale_t)0)
        return err_set(ERR_MISSING, "the C library has no locale C.UTF-8, which says what letters "
                                    "are called in lower case: install glibc 2.35 or newer");
    TRY(strbuf_puts(&built, ""));
    for (size_t at = 0; at < size; at += bytes) {
        uint32_t c = character_at(text + at, size - at, &bytes);
        if (bytes == 1 && c >= 0x80) { /* no character */
            TRY(strbuf_add(&built, text + at, 1));
            continue;
        }
        TRY(add_character(&built, (uint32_t)(at == 0 ? towupper_l((wint_t)c, unicode)
                                                     : towlower_l((wint_t)c, unicode))));
    }
    *out = built.data;
    built = (struct strbuf){0};
out:
    freelocale(unicode);
    strbuf_release(&built);
    return rc;
}

size_t python_length(const char *text)
{
    size_t count = 0;
    for (; *text; text++)
        count += ((unsigned char)*text & 0xc0) != 0x80;
    return count;
}
