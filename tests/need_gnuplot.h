/* Tests of pictures are skipped where gnuplot is not installed. */
#ifndef TESTS_NEED_GNUPLOT_H
#define TESTS_NEED_GNUPLOT_H

#include "core/err.h"
#include "core/mem.h"
#include "harness/plot_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static inline void need_gnuplot(void)
{
    struct strbuf text = {0};
    assert_int_equal(strbuf_puts(&text, "exit\n"), 0);
    int rc = plot_gnuplot("check", &text);
    strbuf_release(&text);
    if (rc == ERR_MISSING) {
        print_message("skipped: gnuplot is not installed\n");
        skip();
    }
}

#endif
