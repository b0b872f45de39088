#include "datasets/dictionary.h"

#include <string.h>

int dictionary_next(struct dictionary_reader *reader, struct dictionary_paragraph *out)
{
    int inside = 0;
    while (reader->at < reader->size) {
        const char *line = reader->bytes + reader->at,
                   *newline = memchr(line, '\n', reader->size - reader->at);
        size_t length = newline ? (size_t)(newline - line) : reader->size - reader->at, indent = 0;
        while (indent < length &&
               (line[indent] == ' ' || line[indent] == '\t' || line[indent] == '\r'))
            indent++;
        if (indent == length && inside)
            return 1;
        if (indent < length && inside && indent == 0 && out->indent != 0)
            return 1; /* an entry without a blank line before it */
        if (indent < length && !inside) {
            *out = (struct dictionary_paragraph){.indent = indent, .text = line + indent};
            inside = 1;
        }
        if (inside)
            out->length = (size_t)(line + length - out->text);
        reader->at += length + (newline != NULL);
    }
    return inside;
}

size_t dictionary_group(const char *bytes, size_t count)
{
    char open = bytes[0], close = open == '(' ? ')' : open == '[' ? ']' : open == '{' ? '}' : '>';
    size_t depth = 0;
    for (size_t i = 0; i < count; i++) {
        depth += bytes[i] == open;
        if (bytes[i] == close && --depth == 0)
            return i + 1;
    }
    return 0;
}
