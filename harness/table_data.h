/* The rows behind a table, read from the store; nothing here knows how they are printed. */
#ifndef HARNESS_TABLE_DATA_H
#define HARNESS_TABLE_DATA_H

#include "core/arena.h"
#include "harness/statistics.h"
#include "harness/store.h"

/* What was measured: everything that must agree before two values may stand in one column. */
struct table_metric {
    const char *kind, *dataset, *split, *rule, *data_hash;
    int window;
    long count, parts; /* scored tokens or items; windows or items */
    const char *title; /* "kjv", with what tells it from other columns of that name: "kjv w512" */
};

struct table_value {
    int present;
    double value, standard_error, low, high, bits_per_byte;
    int compared; /* 1: paired holds the difference to full precision; 2: this is that row itself */
    struct paired paired;
};

struct table_row {
    const char *id, *label, *method, *error, *warnings, *model, *model_hash;
    const char *settings; /* JSON: what the id is the hash of */
    int position, failed;
    double paper_bits, marks_bits, stored_bits, full_bits, file_bytes, weights, peak_memory;
    double quantize_seconds, total_seconds; /* NaN when not known */
    struct table_value *values;             /* one for each metric */
};

struct table {
    const char *experiment, *title, *model; /* model: of the first row */
    int models;                             /* how many different ones the rows have */
    struct table_metric *metrics;           /* perplexities first, then in the order of measuring */
    int metric_count;
    struct table_row *rows;
    int row_count;
};

static inline int table_metric_is_perplexity(const struct table_metric *metric)
{
    return metric->kind[0] == 'p';
}

/* Reads an experiment (NULL: the only one). All memory is the arena's. */
int table_load(struct table *table, struct store *store, const char *experiment,
               struct arena *arena);

/* The difference of row `ours` to `base` in a metric that both have. *same = 0, and no result,
 * where their windows or items do not match one by one. */
int table_compare(struct store *store, const struct table_row *ours, const struct table_row *base,
                  const struct table_metric *metric, struct paired *out, int *same,
                  struct arena *arena);

/* *out = formatted text in the arena. */
int arena_printf(struct arena *arena, const char **out, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
