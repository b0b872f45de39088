/* The database: SQLite in WAL mode, STRICT tables, foreign keys, a schema version with migrations.
 * A point is written in one transaction: it is there whole or not at all. The schema is
 * results/schema.sql, embedded at build time. */
#ifndef HARNESS_STORE_H
#define HARNESS_STORE_H

#include "core/hash.h"
#include "methods/method.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store; /* opaque: one connection */

/* Opens or creates path. A newer schema, a read-only file or folder, a file that is no database, a
 * full disk, and another run holding the writer's lock (for_writing: one run a database) are one
 * clear line each (ERR_BUSY for the last). */
int store_open(struct store **out, const char *path, int for_writing);
/* Opens another's database for reading and leaves it as it is, whatever happens: one of an older
 * schema is read from a migrated copy. The same errors. */
int store_open_source(struct store **out, const char *path);
void store_close(struct store *store);
/* A database in memory alone, with the newest schema. */
int store_open_memory(struct store **out);
/* A forked process has its parent's connection and its lock: it lets go of them without a trace,
 * and must not use the store. */
void store_leave(const struct store *store);

struct layer_record {
    int block;
    const char *name;   /* "self_attn.q_proj" */
    const char *method; /* what was really applied: "gptq", or "" when left in full precision */
    int rows, columns;
    double hessian_loss;  /* tr((W - Wq) H (W - Wq)^T); NaN when no Hessian was there */
    double relative_loss; /* the same over tr(W H W^T) */
    double weight_mse;    /* mean (W - Wq)^2 */
    double paper_bits, paper_bits_marks; /* per weight */
    size_t bytes[BITS_CATEGORIES];       /* as stored */
    double damping;
    int damping_raised;
    double seconds;
    double condition, salient, split; /* NaN where they do not apply: results/schema.sql */
    const char *options;              /* JSON of what a rule set, borrowed; NULL: no rule decided */
};

/* How far the quantized model's hidden states behind a block are from the full model's. */
struct block_record {
    int block;
    double drift, cosine;
};

/* A tensor that did not get what was asked. */
struct exception_record {
    int block;        /* -1: outside the blocks */
    const char *name; /* of the layer or tensor */
    enum layer_exception kind;
    char detail[LAYER_EXCEPTION_SIZE];
};

/* One measured value with the numbers behind it. */
struct metric_record {
    const char *kind;      /* "perplexity", "accuracy" */
    const char *dataset;   /* "kjv", "kjv_half" */
    const char *split;     /* "test" */
    const char *rule;      /* "windows": every token of windows without overlap; "second-half"; or a
                              scoring rule: "pmi", "sum", ... */
    const char *data_hash; /* of the token ids or the questions */
    double value, standard_error, low, high; /* low and high: the 95 % interval */
    double bits_per_byte;                    /* perplexity only; else NaN */
    int window;                              /* tokens; 0 for accuracy */
    long count;                              /* scored tokens, or items */
    long bytes;    /* of text that the scored tokens stand for; 0 for accuracy */
    bool compared; /* with full precision: the next three are there, and each window's */
    double kl_divergence, kl_error, same_top; /* mean KL(full || quantized) in nats, its standard
                                                 error, share of equal most likely tokens */
    bool overlap_measured;                    /* the next two are there */
    double overlap;       /* share of the evaluation's 13-grams that the calibration holds */
    bool overlap_allowed; /* it is above the limit, and the spec allowed that */
    /* Windows (perplexity): parts[i].value = summed negative log-likelihood, .count = tokens. Items
     * (accuracy): .value = 1 right or 0 wrong, .count = the choice made, .gold = the right one,
     * .margin = best minus second best score. */
    struct metric_part {
        int index;
        double value, margin;
        int count, gold;
        double kl;    /* windows, compared: summed over the tokens */
        int same_top; /* how many of them */
    } * parts;        /* borrowed */
    int part_count;
};

struct timing_record {
    const char *stage; /* "load", "calibrate", "quantize", "evaluate", "total" */
    double wall, cpu;  /* seconds */
    double tokens;     /* processed, 0 when it has no meaning */
};

/* Under what load the timings were measured. */
struct repetition_record {
    int threads;
    double load_before, load_after; /* load average of one minute; NaN: not known */
    int busy;                       /* the machine had other work: core/load.h */
};

struct point_record {
    const char *id;             /* 64 hexadecimal digits */
    const char *experiment;     /* name */
    const char *label, *method; /* method: "full", "rtn", ... */
    json_t *settings;   /* borrowed: method, options, harness, calibration, model, data: what the id
                           is the hash of */
    json_t *host;       /* borrowed: CPU, kernel set, threads, library versions, commit, compiler */
    const char *status; /* "done", "failed" */
    const char *error;  /* NULL, or the line */
    const char *model, *model_hash;
    const char *started;                 /* UTC */
    long weights;                        /* quantized weights */
    double paper_bits, paper_bits_marks; /* means over all quantized weights */
    double stored_bits;                  /* bits per quantized weight from the packed arrays */
    double file_bytes;   /* of the whole packed model: packed layers, the layers left alone,
                            embeddings, norms */
    double full_bits;    /* file_bytes * 8 over all parameters */
    double weights_left; /* weights of linear layers left as they are */
    double bytes_left, bytes_outer, bytes_vectors; /* of file_bytes: linear layers left as they
                                                      are; embeddings and head; norms, biases */
    double peak_memory;                            /* bytes */
    double saved;         /* seconds of work taken over from other points, which the timings hold */
    const char *warnings; /* "", or what a reader of the row must know: changed corpus text, damping
                             raised, ... */
    struct layer_record *layers;
    int layer_count;
    struct metric_record *metrics;
    int metric_count;
    struct timing_record *timings;
    int timing_count;
    struct repetition_record repetition; /* of the timings */
    struct block_record *blocks;
    int block_count;
    struct exception_record *exceptions;
    int exception_count;
    const char *command, *spec_text; /* the command line, and the spec as it was read; NULL: "" */
};

/* Registers an experiment (name, title, spec path and text) if it is new, or updates its text. */
int store_experiment(struct store *store, const char *name, const char *title, const char *path,
                     const char *text);

/* *done = 1 when a point of this id is stored with status "done". It is then also linked to the
 * experiment, so that a point shared by two experiments is computed once and listed in both. order
 * is its place in the spec. experiment NULL:
 * it is only asked. */
int store_point_done(struct store *store, const char *id, const char *experiment, int order,
                     int *done);

/* Writes the point and everything of it in one transaction, in place of an earlier one of the same
 * id, whose timings stay: those of the record become its next repetition. A failed point never
 * takes the place of a finished one: that is an error. */
int store_write_point(struct store *store, const struct point_record *record, int order);

/* *bytes = the whole database, freed by store_image_free: for results on their way from one process
 * to another. */
int store_image(const struct store *store, unsigned char **bytes, size_t *size);
void store_image_free(unsigned char *bytes);
/* Takes the point out of the image (borrowed), in one transaction, as store_write_point would have
 * written it. */
int store_take_point(struct store *store, const unsigned char *image, size_t size, const char *id,
                     const char *experiment, int order);

/* Places of an experiment's list that belong to each of its models. */
enum { STORE_MODEL_PLACES = 10000 };

/* The list of an experiment's points, as far as it is model number `model` of `models`, becomes
 * those of the ids (64 digits each) that are done, at the places from model * STORE_MODEL_PLACES
 * on; what stood there, or belonged to models beyond the last, leaves the list. Called at the start
 * of a run, so that a table shows what the spec says now. One transaction; the points themselves
 * stay. */
int store_experiment_points(struct store *store, const char *name, const char *const *ids,
                            int count, int model, int models);

/* Stores the token ids of a calibration (segments x length, borrowed) under their hash, once. */
int store_calibration(struct store *store, const char *hash, const int32_t *ids, int segments,
                      int length);

/* Tells readers what the holder of the writer's lock is doing now; no error when it cannot. Points
 * that are computed side by side are lines of label. */
void store_working_on(const struct store *store, const char *experiment, const char *label);

/* Who holds the writer's lock of the database at `database`. there = 0: nobody. What is not known
 * is 0 or "". */
struct store_writer {
    int there;
    long process;
    char since[21];                    /* UTC */
    char experiment[256], label[1024]; /* a line for each point that is being computed */
};
void store_find_writer(const char *database, struct store_writer *writer);

#endif
