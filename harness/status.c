#include "harness/status.h"

#include "core/err.h"
#include "harness/store_internal.h"
#include "harness/table_data.h"

#include <math.h>
#include <string.h>

/* A point as the database lists it. */
struct stored {
    struct status_point point;
    int position, taken;
};

struct stored_list {
    struct stored *rows;
    int count;
};

static int copy_text(struct arena *arena, sqlite3_stmt *statement, int column, const char **out)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);
    return arena_printf(arena, out, "%s", text ? text : "");
}

static int read_stored(struct stored *row, sqlite3_stmt *statement, struct arena *arena)
{
    int rc;
    struct status_point *point = &row->point;
    TRY(copy_text(arena, statement, 0, &point->label));
    TRY(copy_text(arena, statement, 1, &point->model));
    TRY(copy_text(arena, statement, 2, &point->method));
    TRY(copy_text(arena, statement, 3, &point->error));
    TRY(copy_text(arena, statement, 4, &point->id));
    point->state = sqlite3_column_int(statement, 5) ? POINT_DONE : POINT_FAILED;
    point->seconds = sqlite3_column_type(statement, 6) == SQLITE_NULL
                         ? NAN
                         : sqlite3_column_double(statement, 6);
    row->position = sqlite3_column_int(statement, 7);
    row->taken = 0;
out:
    return rc;
}

static int load_stored(struct stored_list *list, const struct store *store, const char *name,
                       struct arena *arena)
{
    static const char sql[] =
        "SELECT label, model, method, error, id, status = 'done', (SELECT wall - "
        "ifnull(r.saved, 0) FROM stage_times t WHERE t.point_id = r.id AND stage = 'total'), "
        "position, count(*) OVER () FROM "
        "experiment_rows r WHERE experiment = ?1 ORDER BY position, id";
    sqlite3_stmt *statement = NULL;
    int rc, row;
    TRY(store_prepare(store, &statement, sql));
    TRY(store_bind(store, statement, "t", name));
    for (;; list->count++) {
        TRY(store_step(store, statement, &row));
        if (!row)
            break;
        if (list->count == 0)
            TRY(arena_calloc(arena, &list->rows, (size_t)sqlite3_column_int64(statement, 8),
                             sizeof *list->rows));
        TRY(read_stored(&list->rows[list->count], statement, arena));
    }
out:
    sqlite3_finalize(statement);
    return rc;
}

/* *text = the spec at the last run, NULL when the experiment is not stored. */
static int load_head(struct status *status, const struct store *store, const char *name,
                     const char **text, struct arena *arena)
{
    sqlite3_stmt *statement = NULL;
    int rc, row;
    *text = NULL;
    TRY(store_prepare(store, &statement,
                      "SELECT title, path, text FROM experiments WHERE name = ?1"));
    TRY(store_bind(store, statement, "t", name));
    TRY(store_step(store, statement, &row));
    if (!row)
        goto out;
    TRY(copy_text(arena, statement, 0, &status->title));
    TRY(copy_text(arena, statement, 1, &status->path));
    TRY(copy_text(arena, statement, 2, text));
out:
    sqlite3_finalize(statement);
    return rc;
}

static int is_it(const struct stored *row, const char *model, const char *label)
{
    return !row->taken && strcmp(row->point.label, label) == 0 &&
           strcmp(row->point.model, model) == 0;
}

/* The stored point at this place, or else one of this name; NULL: there is none. */
static struct stored *find_stored(const struct stored_list *list, const char *model,
                                  const struct point *point, int position)
{
    struct stored *found = NULL;
    for (int i = 0; i < list->count; i++) {
        struct stored *row = &list->rows[i];
        if (!is_it(row, model, point->label))
            continue;
        if (row->position == position)
            return row;
        if (!found)
            found = row;
    }
    return found;
}

static int match_spec(struct status *status, const struct stored_list *list,
                      const struct experiment *spec, struct arena *arena)
{
    int rc;
    TRY(arena_calloc(arena, &status->points, (size_t)spec->point_count * (size_t)spec->model_count,
                     sizeof *status->points));
    for (int m = 0; m < spec->model_count; m++)
        for (int i = 0; i < spec->point_count; i++) {
            const struct point *point = &spec->points[i];
            struct stored *row = find_stored(list, spec->models[m], point,
                                             m * STORE_MODEL_PLACES + i);
            struct status_point *out = &status->points[status->count++];
            if (row) {
                row->taken = 1;
                *out = row->point;
            } else {
                *out = (struct status_point){.label = point->label,
                                             .model = spec->models[m],
                                             .method = point->method ? point->method->name : "full",
                                             .error = "",
                                             .id = "",
                                             .seconds = NAN,
                                             .state = POINT_LEFT};
            }
        }
out:
    return rc;
}

static int list_stored(struct status *status, const struct stored_list *list, struct arena *arena)
{
    int rc;
    TRY(arena_calloc(arena, &status->points, (size_t)list->count, sizeof *status->points));
    for (; list->rows && status->count < list->count; status->count++)
        status->points[status->count] = list->rows[status->count].point;
out:
    return rc;
}

/* The mean time of the finished points of a method, or of all when method is NULL; NaN: there are
 * none. */
static double mean_seconds(const struct status *status, const char *method)
{
    double sum = 0;
    int count = 0;
    for (int i = 0; i < status->count; i++) {
        const struct status_point *point = &status->points[i];
        if (point->state == POINT_DONE && !isnan(point->seconds) &&
            (!method || strcmp(method, point->method) == 0)) {
            sum += point->seconds;
            count++;
        }
    }
    return count ? sum / count : NAN;
}

static void count_points(struct status *status)
{
    double all = mean_seconds(status, NULL);
    for (int i = 0; i < status->count; i++) {
        struct status_point *point = &status->points[i];
        status->done += point->state == POINT_DONE;
        status->failed += point->state == POINT_FAILED;
        status->left += point->state == POINT_LEFT;
        if (point->state != POINT_LEFT)
            continue;
        point->seconds = mean_seconds(status, point->method);
        if (isnan(point->seconds))
            point->seconds = all;
        status->seconds_left += point->seconds;
    }
}

int status_load(struct status *status, const struct store *store, const char *name,
                const struct experiment *spec, struct arena *arena)
{
    struct stored_list list = {0};
    const char *text = NULL;
    int rc = 0;
    *status = (struct status){.name = name, .title = "", .path = ""};
    if (store) {
        TRY(load_head(status, store, name, &text, arena));
        TRY(load_stored(&list, store, name, arena));
    }
    if (spec) {
        status->title = spec->title ? spec->title : "";
        status->path = spec->path;
        status->left_known = 1;
        status->changed = text && strcmp(text, spec->text) != 0;
        TRY(match_spec(status, &list, spec, arena));
    } else {
        TRY(list_stored(status, &list, arena));
    }
    count_points(status);
out:
    return rc;
}

/* A line of the labels: a point that is not done, and not yet marked for another line. */
static void mark_running(struct status *status, const char *label, size_t length)
{
    for (int i = 0; i < status->count; i++) {
        struct status_point *point = &status->points[i];
        if ((point->state != POINT_LEFT && point->state != POINT_FAILED) ||
            strncmp(point->label, label, length) != 0 || point->label[length])
            continue;
        status->failed -= point->state == POINT_FAILED;
        status->left -= point->state == POINT_LEFT;
        status->running++;
        point->state = POINT_RUNNING;
        return;
    }
}

void status_mark_running(struct status *status, const struct store_writer *writer)
{
    int lines = 0;
    if (!writer->there || strcmp(writer->experiment, status->name) != 0)
        return;
    for (const char *line = writer->label; *line;) {
        size_t length = strcspn(line, "\n");
        mark_running(status, line, length);
        line += length + (line[length] == '\n');
        lines++;
    }
    if (lines > 1)
        status->seconds_left /= lines;
}
