/* One point and everything of it, in one transaction. */
#include "core/clock.h"
#include "core/err.h"
#include "harness/store.h"
#include "harness/store_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

int store_link(const struct store *store, const char *id, const char *experiment, int order)
{
    int rc = store_run(
        store,
        "INSERT OR REPLACE INTO experiment_points (experiment_id, point_id, position) "
        "SELECT id, ?2, ?3 FROM experiments WHERE name = ?1",
        "tti", experiment, id, (int64_t)order);
    if (rc == 0 && sqlite3_changes(store->db) != 1)
        rc = err_set(ERR_INTERNAL, "%s: the experiment '%s' was not registered before its points",
                     store->path, experiment);
    return rc;
}

/* *out = sorted, compact JSON, freed by free(): equal objects give equal bytes. */
static int canonical(const struct store *store, const json_t *object, const char *what, char **out)
{
    *out = object ? json_dumps(object, JSON_SORT_KEYS | JSON_COMPACT | JSON_REAL_PRECISION(17))
                  : NULL;
    if (!*out)
        return err_set(ERR_INTERNAL, "%s: a point's %s cannot be written as JSON", store->path,
                       what);
    return 0;
}

static int write_head(const struct store *store, const struct point_record *r)
{
    char now[21], *settings = NULL, *host = NULL;
    int rc;
    clock_utc(now);
    TRY(canonical(store, r->settings, "settings", &settings));
    TRY(canonical(store, r->host, "host", &host));
    /* A failed attempt never takes the place of a finished point: the insertion then fails. */
    TRY(store_run(store,
                  "DELETE FROM points WHERE id = ?1 AND NOT (status = 'done' AND ?2 = 'failed')",
                  "tt", r->id, r->status));
    TRY(store_run(
        store,
        "INSERT INTO points (id, method, label, status, error, warnings, model, "
        "model_hash, settings, host, "
        "started, finished, weights, paper_bits, paper_bits_marks, stored_bits, "
        "file_bytes, full_bits, "
        "peak_memory, weights_left, bytes_left, bytes_outer, bytes_vectors, command, spec_text, "
        "saved) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, "
        "?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26)",
        "ttttttttttttiddddddddddttd", r->id, r->method, or_empty(r->label), r->status, r->error,
        or_empty(r->warnings), or_empty(r->model), or_empty(r->model_hash), settings, host,
        r->started ? r->started : now, now, (int64_t)r->weights, r->paper_bits, r->paper_bits_marks,
        r->stored_bits, r->file_bytes, r->full_bits, r->peak_memory, r->weights_left, r->bytes_left,
        r->bytes_outer, r->bytes_vectors, or_empty(r->command), or_empty(r->spec_text), r->saved));
out:
    free(settings);
    free(host);
    return rc;
}

static int write_layers(const struct store *store, const struct point_record *r)
{
    _Static_assert(BITS_CATEGORIES == 7,
                   "a new category needs a column in results/schema.sql and here");
    sqlite3_stmt *insert = NULL;
    int rc, row;
    TRY(store_prepare(
        store, &insert,
        "INSERT INTO layers (point_id, block, name, method, rows, columns, hessian_loss, "
        "relative_loss, "
        "weight_mse, paper_bits, paper_bits_marks, bytes_payload, bytes_scales, bytes_zeros, "
        "bytes_masks, "
        "bytes_indices, bytes_salient, bytes_other, damping, damping_raised, seconds, condition, "
        "salient, split, options) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, "
        "?14, ?15, "
        "?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25)"));
    for (int i = 0; i < r->layer_count; i++) {
        const struct layer_record *l = &r->layers[i];
        const size_t *bytes = l->bytes;
        TRY(store_bind(
            store, insert, "tittiidddddiiiiiiididdddt", r->id, (int64_t)l->block, l->name,
            or_empty(l->method), (int64_t)l->rows, (int64_t)l->columns, l->hessian_loss,
            l->relative_loss, l->weight_mse, l->paper_bits, l->paper_bits_marks,
            (int64_t)bytes[BITS_PAYLOAD], (int64_t)bytes[BITS_SCALES], (int64_t)bytes[BITS_ZEROS],
            (int64_t)bytes[BITS_MASKS], (int64_t)bytes[BITS_INDICES], (int64_t)bytes[BITS_SALIENT],
            (int64_t)bytes[BITS_OTHER], l->damping, (int64_t)l->damping_raised, l->seconds,
            l->condition, l->salient, l->split, or_empty(l->options)));
        TRY(store_step(store, insert, &row));
    }
out:
    sqlite3_finalize(insert);
    return rc;
}

static int write_windows(const struct store *store, const struct metric_record *m, int64_t metric)
{
    sqlite3_stmt *insert = NULL;
    int rc, row;
    TRY(store_prepare(
        store, &insert,
        "INSERT INTO windows (metric_id, number, nll, tokens, kl, same_top) VALUES (?1, ?2, ?3, "
        "?4, ?5, ?6)"));
    for (int i = 0; i < m->part_count; i++) {
        const struct metric_part *part = &m->parts[i];
        TRY(store_bind(store, insert, "iididd", metric, (int64_t)part->index, part->value,
                       (int64_t)part->count, m->compared ? part->kl : NAN,
                       m->compared ? part->same_top : NAN));
        TRY(store_step(store, insert, &row));
    }
out:
    sqlite3_finalize(insert);
    return rc;
}

static int write_items(const struct store *store, const struct metric_record *m, int64_t metric)
{
    sqlite3_stmt *insert = NULL;
    int rc, row;
    TRY(store_prepare(store, &insert,
                      "INSERT INTO items (metric_id, number, correct, choice, gold, margin) "
                      "VALUES (?1, ?2, ?3, ?4, ?5, ?6)"));
    for (int i = 0; i < m->part_count; i++) {
        const struct metric_part *part = &m->parts[i];
        TRY(store_bind(store, insert, "iidiid", metric, (int64_t)part->index, part->value,
                       (int64_t)part->count, (int64_t)part->gold, part->margin));
        TRY(store_step(store, insert, &row));
    }
out:
    sqlite3_finalize(insert);
    return rc;
}

static int write_metric(const struct store *store, const char *id, const struct metric_record *m)
{
    int rc;
    TRY(store_run(store,
                  "INSERT INTO metrics (point_id, kind, dataset, split, rule, window, data_hash, "
                  "value, standard_error, "
                  "low, high, bits_per_byte, count, bytes, kl_divergence, kl_error, same_top, "
                  "overlap, overlap_allowed) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, "
                  "?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)",
                  "tttttitdddddiiddddi", id, m->kind, m->dataset, or_empty(m->split),
                  or_empty(m->rule), (int64_t)m->window, or_empty(m->data_hash), m->value,
                  m->standard_error, m->low, m->high, m->bits_per_byte, (int64_t)m->count,
                  (int64_t)m->bytes, m->compared ? m->kl_divergence : NAN,
                  m->compared ? m->kl_error : NAN, m->compared ? m->same_top : NAN,
                  m->overlap_measured ? m->overlap : NAN, (int64_t)m->overlap_allowed));
    int64_t metric = sqlite3_last_insert_rowid(store->db);
    TRY(strcmp(m->kind, "perplexity") == 0 ? write_windows(store, m, metric)
                                           : write_items(store, m, metric));
out:
    return rc;
}

static int write_all(const struct store *store, const struct point_record *record, int order)
{
    int rc;
    TRY(store_keep_timings(store, record->id));
    TRY(write_head(store, record));
    TRY(store_write_timings(store, record));
    TRY(store_write_blocks(store, record));
    TRY(store_write_exceptions(store, record));
    TRY(write_layers(store, record));
    for (int i = 0; i < record->metric_count; i++)
        TRY(write_metric(store, record->id, &record->metrics[i]));
    TRY(store_link(store, record->id, record->experiment, order));
out:
    return rc;
}

int store_write_point(struct store *store, const struct point_record *record, int order)
{
    int rc = store_begin(store);
    if (rc)
        return rc;
    rc = store_end(store, write_all(store, record, order));
    if (rc)
        rc = err_prefix(rc, "the point '%s' was not stored", or_empty(record->label));
    return rc;
}
