/* The rows behind a table, read from the store; nothing here knows how they are printed. */
#ifndef HARNESS_TABLE_DATA_H
#define HARNESS_TABLE_DATA_H

#include "core/arena.h"
#include "harness/statistics.h"
#include "harness/store.h"

#include <stdbool.h>

/* What was measured: everything that must agree before two values may stand in one column. */
struct table_metric {
    const char *kind, *dataset, *split, *rule, *data_hash;
    int window;
    long count, parts; /* scored tokens or items; windows or items */
    const char *title; /* "kjv", with what tells it from other columns of that name: "kjv w512" */
};

/* How a value stands to the best quantized one of its column: see table_marks.h. */
enum table_mark { MARK_NONE, MARK_BEST, MARK_NEAR };

struct table_value {
    int present;
    double value, standard_error, low, high, bits_per_byte;
    double deviation;    /* standard deviation over calibration seeds; NaN for a single point */
    double kl, same_top; /* against full precision, as stored; NaN where not measured */
    double overlap;      /* share of the evaluation's 13-grams that calibration holds; NaN */
    int overlap_allowed; /* 1: above the limit, and the spec allowed it */
    int compared;        /* 1: paired holds the difference to full precision; 2: this is that row
                            itself */
    struct paired paired;
    double to_wrong, to_right; /* where compared, accuracies: items that are right in full precision
                                  and wrong here, and the other way round; means over seeds */
    enum table_mark mark;
    double mark_p; /* corrected p against the best of the column; NaN where it was not compared */
};

struct table_row {
    const char *id, *label, *method, *error, *warnings, *model, *model_hash;
    const char *settings; /* JSON: what the id is the hash of */
    int position, failed;
    double paper_bits, marks_bits, stored_bits, full_bits, file_bytes, weights, peak_memory;
    double weights_left;                           /* of linear layers left as they are, and */
    double bytes_left, bytes_outer, bytes_vectors; /* of file_bytes; NaN when not known */
    double quantize_seconds, total_seconds;        /* NaN when not known */
    int exceptions;                                /* tensors that did not get what was asked */
    int busy;         /* 1: every time was taken on a machine with other work */
    const char **ids; /* the points that the row stands for: one, or one a calibration seed */
    int id_count;
    const char *seeds;          /* "0, 1, 2"; "" for a single point */
    struct table_value *values; /* one for each metric */
};

struct table {
    const char *experiment, *title, *model; /* model: of the first row */
    int models;                             /* how many different ones the rows have */
    struct table_metric *metrics;           /* perplexities first, then in the order of measuring */
    int metric_count;
    struct table_row *rows;
    int row_count;
};

/* Which points, and whether those that differ in the calibration seed alone are one row. */
struct table_selection {
    const char *experiment; /* NULL: the only one */
    const char *where;      /* an SQL expression (harness/table_query.h), or NULL: all points */
    bool seeds_together;
};

static inline int table_metric_is_perplexity(const struct table_metric *metric)
{
    return metric->kind[0] == 'p';
}

/* Reads an experiment (NULL: the only one), each point a row. All memory is the arena's. */
int table_load(struct table *table, struct store *store, const char *experiment,
               struct arena *arena);

/* The same for a part of it. ERR_USAGE for an expression that is wrong, ERR_MISSING where no point
 * is left. */
int table_select(struct table *table, struct store *store, const struct table_selection *selection,
                 struct arena *arena);

/* The difference of row `ours` to `base` in a metric that both have. *same = 0, and no result,
 * where their windows or items do not match one by one. Rows of several seeds take part with the
 * mean of each window's or item's value. */
int table_compare(struct store *store, const struct table_row *ours, const struct table_row *base,
                  const struct table_metric *metric, struct paired *out, int *same,
                  struct arena *arena);

/* The windows or items of a metric of a row, as above; *count = 0 where it was not measured or the
 * seeds' parts do not match. */
int table_parts(struct store *store, const struct table_row *row, const struct table_metric *metric,
                struct arena *arena, struct metric_part **parts, int *count);

/* *out = formatted text in the arena. */
int arena_printf(struct arena *arena, const char **out, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
