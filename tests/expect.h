/* What tests say of texts and of errors; cmocka's words for it tell too little. */
#ifndef TESTS_EXPECT_H
#define TESTS_EXPECT_H

#include "core/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* rc, with one line of text that holds the words. */
static inline void expect_error(int rc, enum err_code code, const char *words)
{
    if (rc != (int)code || !strstr(err_text(), words) || strchr(err_text(), '\n'))
        fail_msg("expected %s with '%s', not %s: %s", err_name(code), words, err_name(rc),
                 err_text());
}

static inline void holds(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("'%s' is not in\n%s", part, text);
}

static inline void lacks(const char *text, const char *part)
{
    if (strstr(text, part))
        fail_msg("'%s' is in\n%s", part, text);
}

#endif
