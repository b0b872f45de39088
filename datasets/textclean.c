#include "datasets/documents.h"

static int is_space(unsigned char byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

int text_squeeze(struct strbuf *out, const char *bytes, size_t count)
{
    int pending = 0, written = 0;
    for (size_t i = 0; i < count;) {
        unsigned char byte = (unsigned char)bytes[i];
        if (is_space(byte)) {
            pending = 1;
            i++;
            continue;
        }
        if (byte < 0x20 || byte == 0x7f) {
            i++;
            continue;
        }
        size_t end = i + 1;
        while (end < count && (unsigned char)bytes[end] > 0x20 && bytes[end] != 0x7f)
            end++;
        int rc = pending && written ? strbuf_add(out, " ", 1) : 0;
        if (rc == 0)
            rc = strbuf_add(out, bytes + i, end - i);
        if (rc)
            return rc;
        pending = 0;
        written = 1;
        i = end;
    }
    return 0;
}

size_t text_words(const char *bytes, size_t count)
{
    size_t words = 0;
    int inside = 0;
    for (size_t i = 0; i < count; i++) {
        int space = is_space((unsigned char)bytes[i]);
        words += !space && !inside;
        inside = !space;
    }
    return words;
}
