/* The numbers of the papers (results/published.csv, docs/published.md), and which of ours may stand
 * beside them. */
#ifndef HARNESS_PUBLISHED_H
#define HARNESS_PUBLISHED_H

#include "core/arena.h"

#include <jansson.h>
#include <stdbool.h>

struct published_row {
    const char *paper, *table, *model; /* "billm", "Table 1", "OPT-1.3B" */
    const char *method;                /* as bitbench names it: "full", "gptq", ... */
    const char *kind;     /* "full", "ptq": computed from the weights; "trained"; "other" */
    const char *settings; /* "bits=2 group_size=128": options and their values */
    const char *bits;     /* as printed: "1.09" */
    const char *dataset, *metric, *rule; /* "wikitext2", "perplexity", "windows"; rule "": unknown
                                          */
    const char *text, *note;             /* the value as printed */
    double value;
    int line;
};

struct published {
    struct published_row *rows;
    int count;
};

/* Reads the file; everything is the arena's. ERR_FORMAT names line and column. */
int published_load(struct published *published, const char *path, struct arena *arena);

/* Something of ours that was measured. */
struct measured {
    const char *model;      /* as the spec named it */
    const json_t *settings; /* of the point: method, options, harness, calibration */
    double weights;         /* quantized */
    double parameters;      /* of the model; 0: not known */
    const char *dataset, *metric, *split, *rule;
    int window;
};

/* Whether ours is the same experiment as theirs: the same model (by its name, and the number of its
 * parameters is that model's; all linear weights are quantized), the same method with the settings
 * the row names and all other options at their defaults, data set, metric and rule; perplexity on
 * windows of 2048 tokens of the test split. Rows of trained models and of methods that bitbench
 * lacks match nothing. How much of a data set was measured, and what was calibrated on, is not
 * asked here: published_remark says it. */
bool published_matches(const struct published_row *row, const struct measured *ours);

/* *out = what differs although the row matches ("" when nothing): another calibration than the
 * papers' 128 segments of 2048 tokens of C4, or a part of the data set. count: items or scored
 * tokens. */
int published_remark(const struct measured *ours, long count, struct arena *arena,
                     const char **out);

#endif
