#include "model/bpe_bytes.h"

#include <string.h>

/* Bytes that stand for themselves. */
static int is_visible(uint32_t c)
{
    return (c >= 0x21 && c <= 0x7e) || (c >= 0xa1 && c <= 0xff && c != 0xad);
}

uint32_t bpe_byte_to_char(uint8_t byte)
{
    if (is_visible(byte))
        return byte;
    if (byte <= 0x20)
        return 0x100u + byte;
    return byte == 0xad ? 0x143u : 0x100u + 33u + (byte - 0x7fu); /* after the 33 of 00 to 20: 7F to
                                                                     A0, then AD */
}

int bpe_char_to_byte(uint32_t c)
{
    if (c < 0x100)
        return is_visible(c) ? (int)c : -1;
    if (c <= 0x120)
        return (int)(c - 0x100);
    if (c < 0x143)
        return (int)(c - 0x121 + 0x7f);
    return c == 0x143 ? 0xad : -1;
}

int utf8_decode(const char *text, size_t size, uint32_t *code_point)
{
    const uint8_t *p = (const uint8_t *)text;
    uint8_t first = p[0];
    if (first < 0x80) {
        *code_point = first;
        return 1;
    }
    if (first < 0xc2 || first > 0xf4)
        return 0;
    int length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (size < (size_t)length)
        return 0;
    uint32_t c = first & (0xffu >> (length + 1));
    for (int i = 1; i < length; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3fu);
    }
    if ((length == 3 && c < 0x800) || (length == 4 && c < 0x10000) ||
        (c >= 0xd800 && c <= 0xdfff) || c > 0x10ffff)
        return 0;
    *code_point = c;
    return length;
}

int utf8_encode(uint32_t c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    int length = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (int i = length - 1; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)((0xf00u >> length & 0xf0) | c);
    return length;
}

size_t utf8_valid_prefix(const char *text, size_t size)
{
    size_t at = 0;
    while (at < size) {
        uint64_t eight;
        if (size - at >= sizeof eight) {
            memcpy(&eight, text + at, sizeof eight);
            if (!(eight & 0x8080808080808080u)) {
                at += sizeof eight;
                continue;
            }
        }
        uint32_t c;
        int length = utf8_decode(text + at, size - at, &c);
        if (!length)
            return at;
        at += (size_t)length;
    }
    return size;
}

/* Unicode's White_Space. */
static int utf8_is_space(uint32_t c)
{
    return (c >= 9 && c <= 13) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
           c == 0x205f || c == 0x3000;
}

size_t utf8_space_before(const char *text, size_t from, size_t at)
{
    while (at > from) {
        size_t start = at - 1;
        while (start > from && at - start < 4 && ((uint8_t)text[start] & 0xc0) == 0x80)
            start--;
        uint32_t c;
        if ((size_t)utf8_decode(text + start, at - start, &c) != at - start || !utf8_is_space(c))
            break;
        at = start;
    }
    return at;
}

size_t utf8_space_behind(const char *text, size_t size, size_t at)
{
    uint32_t c;
    int length;
    while (at < size && (length = utf8_decode(text + at, size - at, &c)) != 0 && utf8_is_space(c))
        at += (size_t)length;
    return at;
}

size_t bpe_token_bytes(const char *token, char *out)
{
    size_t size = strlen(token), count = 0;
    for (size_t at = 0; at < size;) {
        uint32_t c;
        int length = utf8_decode(token + at, size - at, &c);
        int byte = length ? bpe_char_to_byte(c) : -1;
        if (byte < 0) {
            memcpy(out, token, size);
            return size;
        }
        out[count++] = (char)byte;
        at += (size_t)length;
    }
    return count;
}
