#include "core/err.h"

#include <stdio.h>
#include <string.h>

static _Thread_local char text[1024];

/* A message is one line, whatever the names in it hold: control characters, which could also
 * command a terminal, become question marks. */
static void keep_line(const char *line)
{
    size_t length = strnlen(line, sizeof text - 1);
    for (size_t i = 0; i < length; i++)
        text[i] = (unsigned char)line[i] < ' ' || line[i] == 0x7f ? '?' : line[i];
    text[length] = '\0';
}

#undef err_set /* see err.h */
int err_set(enum err_code code, const char *format, ...)
{
    char line[sizeof text]; /* the arguments may point into text itself */
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    keep_line(line);
    return code;
}

int err_prefix(int code, const char *format, ...)
{
    char line[2 * sizeof text];
    va_list args;
    va_start(args, format);
    int used = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (used >= 0 && (size_t)used < sizeof text)
        snprintf(line + used, sizeof line - (size_t)used, ": %s", text);
    keep_line(line);
    return code;
}

const char *err_text(void)
{
    return text;
}

const char *err_name(int code)
{
    static const char *const names[] = {"ok",      "usage",   "format", "io",          "memory",
                                        "numeric", "missing", "busy",   "interrupted", "internal"};
    return code >= 0 && code <= ERR_INTERNAL ? names[code] : "unknown";
}

void err_save(struct err_saved *saved, int code)
{
    saved->code = code;
    memcpy(saved->text, text, sizeof text);
}

int err_restore(const struct err_saved *saved)
{
    memcpy(text, saved->text, sizeof text);
    return saved->code;
}
