#include "harness/method_option.h"

#include "core/err.h"
#include "core/mem.h"

#include <stdio.h>
#include <string.h>

/* Sets what -o says, "bits=2". ERR_USAGE names what is wrong and the nearest key. */
static int method_option_set(const struct quant_method *method, void *options, const char *text)
{
    char name[80];
    const char *equals = strchr(text, '=');
    if (!equals || equals == text || equals - text >= (long)sizeof name)
        return err_set(ERR_USAGE,
                       "-o %.80s: KEY=VALUE is expected, such as bits=2 (`bitbench methods %s` "
                       "lists the keys)",
                       text, method->name);
    snprintf(name, sizeof name, "%.*s", (int)(equals - text), text);
    return options_set(method->options, options, name, equals + 1, "-o");
}

int method_options_make(const struct quant_method *method, const char *const *texts, int count,
                        void **options)
{
    void *made = NULL;
    int rc;
    TRY(mem_calloc(&made, 1, method->options_size));
    TRY(options_defaults(method->options, made));
    for (int i = 0; i < count; i++)
        TRY(method_option_set(method, made, texts[i]));
    if (method->check)
        TRY(method->check(made));
    *options = made;
    made = NULL;
out:
    mem_free(made);
    return rc;
}
