/* What the tests of the report share: points to report on, and what a page must be. */
#ifndef TESTS_REPORT_SAMPLE_H
#define TESTS_REPORT_SAMPLE_H

#include "core/file.h"
#include "core/mem.h"
#include "harness/report.h"
#include "harness/store_internal.h"
#include "tests/store_sample.h"

#include <ctype.h>

enum { WINDOWS = 40 };

/* A point of 40 windows of 100 tokens around 3 + loss nats each. */
static inline void put(struct store *store, int number, const char *label, double loss,
                       double wiggle)
{
    struct sample s;
    struct metric_part parts[WINDOWS];
    sample_init(&s, number);
    s.point.label = label;
    s.point.method = number == 1 ? "full" : "rtn";
    for (int i = 0; i < WINDOWS; i++)
        parts[i] = (struct metric_part){
            .index = i, .value = 300 + 100 * loss + i + (i & 1 ? wiggle : -wiggle), .count = 100};
    s.metrics[0].parts = parts;
    s.metrics[0].part_count = WINDOWS;
    s.metrics[0].value = exp(3.195 + loss);
    if (number == 1) {
        s.point.weights = 0;
        s.point.layer_count = 0;
    }
    s.point.file_bytes = 84;
    s.point.bytes_left = s.point.bytes_vectors = 8;
    s.point.bytes_outer = 16;
    s.point.model_hash = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    sample_store(store, &s, number);
}

static inline void put_failed(struct store *store, int number, const char *error)
{
    struct sample s;
    sample_init(&s, number);
    s.point.label = "billm";
    s.point.method = "billm";
    s.point.status = "failed";
    s.point.error = error;
    s.point.metric_count = s.point.layer_count = s.point.timing_count = 0;
    sample_store(store, &s, number);
}

static inline void write_page(struct strbuf *page)
{
    struct store *store;
    if (store_open(&store, database, 0) != 0 || report_html(store, database, "trial", page) != 0)
        fail_msg("%s", err_text());
    store_close(store);
}

static inline void page_holds(const struct strbuf *page, const char *part)
{
    if (!strstr(page->data, part))
        fail_msg("'%s' is not in the page", part);
}

static inline int is_void(const char *name)
{
    return strcmp(name, "meta") == 0 || strcmp(name, "!DOCTYPE") == 0;
}

/* Reads a tag from its "<" on; name without the slash. Returns its end. */
static inline const char *read_tag(const char *at, char name[32], int *closing, int *empty)
{
    int n = 0;
    const char *end = at + strcspn(at, ">");
    *closing = at[1] == '/';
    for (at += 1 + *closing; at < end && !isspace((unsigned char)*at) && *at != '/' && n < 31; at++)
        name[n++] = *at;
    name[n] = '\0';
    *empty = end[-1] == '/';
    return end;
}

/* Every element is closed where it should be, and no name is one that acts but the page's own
 * script, which has no less-than sign in it. */
static inline void is_balanced(const char *page)
{
    char open[64][32], name[32];
    int depth = 0, scripts = 0, closing, empty;
    for (const char *at = page; (at = strchr(at, '<')); at++) {
        const char *end = read_tag(at, name, &closing, &empty);
        if (!closing && strcmp(name, "script") == 0 && scripts++ > 0)
            fail_msg("there is a second <script>: %.80s", at);
        if (strcmp(name, "iframe") == 0)
            fail_msg("there is a <%s>", name);
        if (closing && (depth == 0 || strcmp(open[--depth], name) != 0))
            fail_msg("</%s> closes <%s>: %.80s", name, open[depth], at);
        if (!closing && !empty && !is_void(name)) {
            assert_true(depth < 64);
            memcpy(open[depth++], name, sizeof name);
        }
        at = end;
    }
    assert_int_equal(depth, 0);
}

#endif
