/* What the tests of the store, the table and the plots share: a fresh folder, and points to write.
 */
#ifndef TESTS_STORE_SAMPLE_H
#define TESTS_STORE_SAMPLE_H

#include "core/err.h"
#include "harness/statistics.h"
#include "harness/store_internal.h"
#include "tests/expect.h"

#include <ftw.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64], database[96];

/* A fresh folder for every test, where every user can come. */
static inline int setup(void **state)
{
    snprintf(folder, sizeof folder, "/tmp/bitbench-store-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(database, sizeof database, "%s/x.db", folder);
    return 0;
}

static inline int remove_entry(const char *path, const struct stat *info, int type,
                               struct FTW *walk)
{
    return remove(path);
}

static inline int teardown(void **state)
{
    chmod(folder, 0700);
    return nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* A point with two layers, a perplexity of three windows, an accuracy of two items, two timings,
 * the drift of one block, one exception. */
struct sample {
    struct point_record point;
    struct layer_record layers[2];
    struct metric_record metrics[2];
    struct metric_part windows[3], items[2];
    struct timing_record timings[2];
    struct block_record blocks[1];
    struct exception_record exceptions[2];
    char id[65];
};

static inline void sample_layers(struct sample *s)
{
    for (int i = 0; i < 2; i++)
        s->layers[i] = (struct layer_record){.block = i,
                                             .name = "mlp.up_proj",
                                             .method = "rtn",
                                             .rows = 4,
                                             .columns = 8,
                                             .hessian_loss = NAN,
                                             .relative_loss = 0.25,
                                             .weight_mse = 1e-3,
                                             .paper_bits = 2,
                                             .bytes = {8, 16},
                                             .condition = 2500,
                                             .salient = 0.125,
                                             .split = NAN,
                                             .seconds = 0.5};
}

static inline void sample_metrics(struct sample *s, int number)
{
    for (int i = 0; i < 3; i++)
        s->windows[i] = (struct metric_part){
            .index = i, .value = 10.0 + number + 0.1 * i, .count = 7};
    for (int i = 0; i < 2; i++)
        s->items[i] = (struct metric_part){
            .index = 10 + i, .value = i, .count = 3, .gold = 2 + i, .margin = 0.5};
    s->metrics[0] = (struct metric_record){.kind = "perplexity",
                                           .dataset = "kjv",
                                           .split = "test",
                                           .rule = "windows",
                                           .data_hash = "aaaaaaaaaaaa",
                                           .value = 12.5,
                                           .standard_error = 0.5,
                                           .low = 11.5,
                                           .high = 13.5,
                                           .bits_per_byte = 1.5,
                                           .window = 8,
                                           .count = 21,
                                           .bytes = 80,
                                           .parts = s->windows,
                                           .part_count = 3};
    s->metrics[1] = (struct metric_record){.kind = "accuracy",
                                           .dataset = "kjv_half",
                                           .split = "test",
                                           .rule = "pmi",
                                           .data_hash = "bbbbbbbbbbbb",
                                           .value = 0.5,
                                           .standard_error = 0.5,
                                           .low = 0.1,
                                           .high = 0.9,
                                           .bits_per_byte = NAN,
                                           .count = 2,
                                           .parts = s->items,
                                           .part_count = 2};
}

static inline void sample_init(struct sample *s, int number)
{
    memset(s, 0, sizeof *s);
    snprintf(s->id, sizeof s->id, "%064d", number);
    sample_layers(s);
    sample_metrics(s, number);
    s->timings[0] = (struct timing_record){"load", 0.25, 0.5, 0};
    s->timings[1] = (struct timing_record){"evaluate", 2, 3.5, 21};
    s->blocks[0] = (struct block_record){.block = 0, .drift = 0.25, .cosine = 0.96875};
    s->exceptions[0] = (struct exception_record){
        .block = 1, .name = "mlp.up_proj", .kind = EXCEPTION_GROUP, .detail = "a narrow row"};
    s->point = (struct point_record){
        .id = s->id,
        .experiment = "trial",
        .label = "rtn bits=2",
        .method = "rtn",
        .settings = json_pack("{s:i,s:s}", "z", 1, "a", "x"),
        .host = json_pack("{s:s}", "cpu", "none"),
        .status = "done",
        .model = "embedded",
        .model_hash = "cc",
        .started = "2026-01-01T00:00:00Z",
        .weights = 64,
        .paper_bits = 2,
        .stored_bits = 6,
        .file_bytes = 48,
        .full_bits = 6,
        .peak_memory = 1e9,
        .warnings = "",
        .layers = s->layers,
        .layer_count = 2,
        .metrics = s->metrics,
        .metric_count = 2,
        .timings = s->timings,
        .timing_count = 2,
        .repetition = {.threads = 2, .load_before = 0.5, .load_after = NAN, .busy = 1},
        .blocks = s->blocks,
        .block_count = 1,
        .exceptions = s->exceptions,
        .exception_count = 1,
        .command = "bitbench run trial.yaml",
        .spec_text = "text: 1\n"};
}

static inline void sample_release(struct sample *s)
{
    json_decref(s->point.settings);
    json_decref(s->point.host);
}

/* Writes the sample and releases it. */
static inline void sample_store(struct store *store, struct sample *s, int order)
{
    if (store_write_point(store, &s->point, order) != 0)
        fail_msg("%s", err_text());
    sample_release(s);
}

static inline void check(int rc)
{
    if (rc)
        fail_msg("%s", err_text());
}

static inline struct store *open_writer(void)
{
    struct store *store;
    check(store_open(&store, database, 1));
    check(store_experiment(store, "trial", "A trial", "trial.yaml", "text: 1\n"));
    return store;
}

/* The first column of the first row of sql is this text. */
static inline void text_is(const struct store *store, const char *sql, const char *want)
{
    sqlite3_stmt *statement;
    int row;
    if (store_prepare(store, &statement, sql) != 0 || store_step(store, statement, &row) != 0 ||
        !row)
        fail_msg("%s: %s", sql, err_text());
    assert_string_equal((const char *)sqlite3_column_text(statement, 0), want);
    sqlite3_finalize(statement);
}

#endif
