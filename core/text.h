/* Laying text out on a terminal: columns of UTF-8, cutting, and wrapping. */
#ifndef CORE_TEXT_H
#define CORE_TEXT_H

#include <stddef.h>

struct strbuf;

/* Columns that the text takes: one for each code point (no double-width characters are used here).
 */
size_t text_columns(const char *text);

/* Bytes of the longest beginning of text that takes at most `columns` columns. */
size_t text_cut(const char *text, size_t columns);

/* Appends text, broken at spaces so that no line passes `width` columns, where the first line
 * starts at column `column` and further lines are indented by `indent` spaces. A newline in the
 * text breaks too. No newline is added at the end. */
int text_wrap(struct strbuf *out, const char *text, size_t column, size_t indent, size_t width);

/* 1 when the bytes are well-formed UTF-8; else 0, with the offset of the first wrong byte in *at
 * (may be NULL). */
int text_is_utf8(const char *bytes, size_t size, size_t *at);

#endif
