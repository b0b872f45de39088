/* Errors: every fallible function returns 0 or an err_code, and leaves one complete line of text
 * behind. */
#ifndef CORE_ERR_H
#define CORE_ERR_H

#include <stdarg.h>

enum err_code {
    ERR_OK = 0,
    ERR_USAGE,  /* unknown option, bad value, contradictory request: the caller's words are wrong */
    ERR_FORMAT, /* a file's content is not what it claims to be */
    ERR_IO,     /* the operating system refused: open, read, write, disk full */
    ERR_MEMORY, /* an allocation failed or would overflow */
    ERR_NUMERIC,     /* NaN, Inf, a matrix that is not positive definite */
    ERR_MISSING,     /* something that is needed is absent: a package, a file, a tensor */
    ERR_BUSY,        /* another process holds what we need */
    ERR_INTERRUPTED, /* the user asked us to stop */
    ERR_INTERNAL     /* a bug of ours */
};

/* Stores the formatted text for this thread (cut at 1023 bytes, control characters replaced) and
 * returns code, so that `return err_set(ERR_FORMAT, "%s: ...", path)` is the whole error path. */
int err_set(enum err_code code, const char *format, ...) __attribute__((format(printf, 2, 3)));

#ifdef __clang_analyzer__ /* it has to know that an error is never 0 */
#define err_set(code, ...) ((err_set)(code, __VA_ARGS__), (int)(code))
#endif

/* Puts "context: " before the present text; returns code unchanged. */
int err_prefix(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The last text set on this thread; "" when none was. Valid until its next err_set. */
const char *err_text(void);

/* The word for a code, as stored in the database and printed in JSON: "usage", "format", ... */
const char *err_name(int code);

/* Copies this thread's error into *saved and back: for workers that report to another thread. */
struct err_saved {
    int code;
    char text[1024];
};
void err_save(struct err_saved *saved, int code);
int err_restore(const struct err_saved *saved);

/* Jumps to the function's single `out:` label with rc set when expr is not 0. */
#define TRY(expr)                                                                                  \
    do {                                                                                           \
        if ((rc = (expr)) != 0)                                                                    \
            goto out;                                                                              \
    } while (0)

#endif
