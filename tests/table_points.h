/* Points for the tests of tables: settings as JSON, ten windows each. */
#ifndef TESTS_TABLE_POINTS_H
#define TESTS_TABLE_POINTS_H

#include "harness/store_internal.h"
#include "harness/table.h"
#include "tests/expect.h"
#include "tests/store_sample.h"

enum { POINT_WINDOWS = 10, POINT_ITEMS = 5 };

struct made {
    struct sample sample;
    struct metric_part windows[POINT_WINDOWS], items[POINT_ITEMS];
};

/* A perplexity of ten windows of ten tokens, `base` nats each, the first `worse` of them one more
 * and the others one less; an accuracy of no items unless made_items adds them. */
static inline void made_init(struct made *made, int number, const char *method, const char *label,
                             const char *settings, double base, int worse)
{
    struct sample *s = &made->sample;
    sample_init(s, number);
    json_decref(s->point.settings);
    s->point.settings = json_loads(settings, 0, NULL);
    assert_non_null(s->point.settings);
    s->point.method = method;
    s->point.label = label;
    s->point.weights = strcmp(method, "full") == 0 ? 0 : 64;
    s->point.exception_count = 0;
    s->point.repetition.busy = 0;
    s->point.metric_count = 1;
    for (int i = 0; i < POINT_WINDOWS; i++)
        made->windows[i] = (struct metric_part){.index = i,
                                                .value = base + (worse < 0   ? 0
                                                                 : i < worse ? 1
                                                                             : -1),
                                                .count = 10};
    struct metric_record *m = &s->metrics[0];
    m->parts = made->windows;
    m->part_count = POINT_WINDOWS;
    m->count = 10 * POINT_WINDOWS;
    assert_int_equal(statistics_perplexity(m->parts, m->part_count, 0, &m->value,
                                           &m->standard_error, &m->low, &m->high),
                     0);
}

/* right: one letter an item, '1' where it was answered rightly. */
static inline void made_items(struct made *made, const char *right)
{
    struct metric_record *m = &made->sample.metrics[1];
    for (int i = 0; i < POINT_ITEMS; i++)
        made->items[i] = (struct metric_part){.index = i, .value = right[i] == '1', .gold = 1};
    m->parts = made->items;
    m->part_count = m->count = POINT_ITEMS;
    assert_int_equal(statistics_accuracy(m->parts, POINT_ITEMS, &m->value, &m->standard_error,
                                         &m->low, &m->high),
                     0);
    made->sample.point.metric_count = 2;
}

/* The text of a table, or NULL with the error in *rc. */
static inline char *answer(const struct table_request *request, int *rc)
{
    struct store *store;
    char *written = NULL, *text;
    size_t size;
    FILE *out = open_memstream(&written, &size);
    *rc = store_open(&store, database, 0);
    if (*rc == 0) {
        *rc = table_answer(store, request, out);
        store_close(store);
    }
    fclose(out);
    text = *rc ? NULL : strdup(written);
    free(written);
    return text;
}

static inline char *answered(const struct table_request *request)
{
    int rc;
    char *text = answer(request, &rc);
    if (rc)
        fail_msg("%s", err_text());
    return text;
}

static inline void refused(const struct table_request *request, int want, const char *part)
{
    int rc;
    char *text = answer(request, &rc);
    free(text);
    expect_error(rc, want, part);
}

#endif
