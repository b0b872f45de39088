/* What a point's record says beside its results: timings, drift by block, exceptions. */
#include "core/clock.h"
#include "core/err.h"
#include "harness/store_internal.h"

#include <math.h>

/* No id of a point; its references are checked at the end of the transaction, which leaves none. */
#define KEPT "kept"

int store_keep_timings(const struct store *store, const char *id)
{
    int rc;
    TRY(store_execute(store, "PRAGMA defer_foreign_keys = ON"));
    TRY(store_run(store, "UPDATE timings SET point_id = '" KEPT "' WHERE point_id = ?1", "t", id));
    TRY(store_run(store, "UPDATE repetitions SET point_id = '" KEPT "' WHERE point_id = ?1", "t",
                  id));
out:
    return rc;
}

int store_restore_timings(const struct store *store, const char *id)
{
    static const char *const tables[] = {"timings", "repetitions"};
    struct strbuf sql = {0};
    int rc = 0;
    for (int i = 0; i < 2; i++) {
        sql.length = 0;
        TRY(strbuf_printf(
            &sql,
            "UPDATE %s SET repetition = repetition + (SELECT ifnull(max(repetition) + "
            "1, 0) FROM %s WHERE point_id = '" KEPT "') WHERE point_id = ?1",
            tables[i], tables[i]));
        TRY(store_run(store, sql.data, "t", id));
        sql.length = 0;
        TRY(strbuf_printf(&sql, "UPDATE %s SET point_id = ?1 WHERE point_id = '" KEPT "'",
                          tables[i]));
        TRY(store_run(store, sql.data, "t", id));
    }
out:
    strbuf_release(&sql);
    return rc;
}

static int add_timings(const struct store *store, const struct point_record *r, int64_t repetition)
{
    int rc = 0;
    char now[21];
    clock_utc(now);
    for (int i = 0; i < r->timing_count; i++) {
        const struct timing_record *t = &r->timings[i];
        TRY(store_run(store,
                      "INSERT INTO timings (point_id, repetition, stage, wall, cpu, tokens) "
                      "VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                      "titddd", r->id, repetition, t->stage, t->wall, t->cpu,
                      t->tokens > 0 ? t->tokens : NAN));
    }
    if (r->timing_count > 0)
        TRY(store_run(store,
                      "INSERT INTO repetitions (point_id, repetition, started, threads, "
                      "load_before, load_after, busy) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                      "titiddi", r->id, repetition, r->started ? r->started : now,
                      (int64_t)r->repetition.threads, r->repetition.load_before,
                      r->repetition.load_after, (int64_t)r->repetition.busy));
out:
    return rc;
}

int store_write_timings(const struct store *store, const struct point_record *r)
{
    sqlite3_stmt *last = NULL;
    int rc, row;
    TRY(store_run(store, "UPDATE timings SET point_id = ?1 WHERE point_id = '" KEPT "'", "t",
                  r->id));
    TRY(store_run(store, "UPDATE repetitions SET point_id = ?1 WHERE point_id = '" KEPT "'", "t",
                  r->id));
    TRY(store_prepare(store, &last,
                      "SELECT ifnull(max(repetition) + 1, 0) FROM timings WHERE point_id = ?1"));
    TRY(store_bind(store, last, "t", r->id));
    TRY(store_step(store, last, &row));
    TRY(add_timings(store, r, sqlite3_column_int64(last, 0)));
out:
    sqlite3_finalize(last);
    return rc;
}

int store_write_blocks(const struct store *store, const struct point_record *r)
{
    int rc = 0;
    for (int i = 0; i < r->block_count; i++)
        TRY(store_run(
            store, "INSERT INTO blocks (point_id, block, drift, cosine) VALUES (?1, ?2, ?3, ?4)",
            "tidd", r->id, (int64_t)r->blocks[i].block, r->blocks[i].drift, r->blocks[i].cosine));
out:
    return rc;
}

int store_write_exceptions(const struct store *store, const struct point_record *r)
{
    int rc = 0;
    for (int i = 0; i < r->exception_count; i++) {
        const struct exception_record *e = &r->exceptions[i];
        TRY(store_run(store,
                      "INSERT INTO exceptions (point_id, block, name, kind, detail) "
                      "VALUES (?1, ?2, ?3, ?4, ?5)",
                      "tittt", r->id, (int64_t)e->block, e->name, layer_exception_names[e->kind],
                      e->detail));
    }
out:
    return rc;
}
