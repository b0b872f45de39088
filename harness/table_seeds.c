/* Points that differ in nothing but the calibration seed are repetitions of one measurement: one
 * row, whose values are means. */
#include "core/err.h"
#include "harness/table_internal.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What a row's settings say without the seed and what was drawn with it. */
struct identity {
    char *text; /* canonical JSON without them; NULL: the row stays apart */
    json_int_t seed;
};

static int identify(const struct table_row *row, struct identity *identity)
{
    json_t *settings = json_loads(row->settings, 0, NULL);
    json_t *calibration = json_object_get(settings, "calibration");
    const json_t *seed = json_object_get(calibration, "seed");
    int rc = 0;
    *identity = (struct identity){0};
    if (!row->failed && json_is_integer(seed)) {
        identity->seed = json_integer_value(seed);
        json_object_del(calibration, "seed");
        json_object_del(calibration, "hash");
        identity->text = json_dumps(settings, JSON_COMPACT | JSON_SORT_KEYS);
        if (!identity->text)
            rc = err_set(ERR_MEMORY, "out of memory: the settings of a point");
    }
    json_decref(settings);
    return rc;
}

/* The words of `label` that `other` has too: what all seeds' labels share. */
static int common_words(const char *label, const char *other, struct arena *arena, const char **out)
{
    char *text;
    size_t used = 0;
    int rc = arena_alloc(arena, &text, strlen(label) + 1, 1);
    if (rc)
        return rc;
    for (const char *word = label; *word;) {
        size_t length = strcspn(word, " ");
        const char *at = other;
        while (*at && (strcspn(at, " ") != length || memcmp(at, word, length) != 0)) {
            at += strcspn(at, " ");
            at += *at == ' ';
        }
        if (*at && length > 0) {
            if (used)
                text[used++] = ' ';
            memcpy(text + used, word, length);
            used += length;
        }
        word += length;
        word += *word == ' ';
    }
    text[used] = 0;
    *out = text;
    return 0;
}

static int join_warnings(struct table_row *row, const struct table_row *other, struct arena *arena)
{
    if (!*other->warnings || strstr(row->warnings, other->warnings))
        return 0;
    return arena_printf(arena, &row->warnings, "%s%s%s", row->warnings, *row->warnings ? "; " : "",
                        other->warnings);
}

/* other becomes one of row's seeds. */
static int join(struct table_row *row, const struct table_row *other, json_int_t seed,
                struct arena *arena)
{
    const double n = row->id_count;
    const double theirs[] = {other->paper_bits,   other->marks_bits,  other->stored_bits,
                             other->full_bits,    other->file_bytes,  other->quantize_seconds,
                             other->bytes_left,   other->bytes_outer, other->bytes_vectors,
                             other->total_seconds};
    double *const ours[] = {&row->paper_bits,   &row->marks_bits,  &row->stored_bits,
                            &row->full_bits,    &row->file_bytes,  &row->quantize_seconds,
                            &row->bytes_left,   &row->bytes_outer, &row->bytes_vectors,
                            &row->total_seconds};
    const char **ids;
    int rc;
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        *ours[i] += (theirs[i] - *ours[i]) / (n + 1);
    row->peak_memory = fmax(row->peak_memory, other->peak_memory);
    row->exceptions += other->exceptions;
    row->busy |= other->busy;
    TRY(arena_alloc(arena, &ids, (size_t)row->id_count + 1, sizeof *ids));
    memcpy(ids, row->ids, (size_t)row->id_count * sizeof *ids);
    ids[row->id_count++] = other->id;
    row->ids = ids;
    TRY(arena_printf(arena, &row->seeds, "%s, %lld", row->seeds, (long long)seed));
    TRY(common_words(row->label, other->label, arena, &row->label));
    TRY(join_warnings(row, other, arena));
out:
    return rc;
}

static bool same_measurement(const struct table_row *a, const struct identity *of_a,
                             const struct table_row *b, const struct identity *of_b)
{
    return of_a->text && of_b->text && strcmp(of_a->text, of_b->text) == 0 &&
           strcmp(a->model_hash, b->model_hash) == 0 && strcmp(a->model, b->model) == 0;
}

static int join_all(struct table *table, const struct identity *identities, struct arena *arena)
{
    int rc = 0, kept = 0, *first; /* first[k] = where the kept row k stood */
    TRY(arena_alloc(arena, &first, (size_t)table->row_count, sizeof *first));
    for (int i = 0; i < table->row_count; i++) {
        int k = 0;
        while (k < kept && !same_measurement(&table->rows[i], &identities[i], &table->rows[k],
                                             &identities[first[k]]))
            k++;
        if (k < kept) {
            struct table_row *row = &table->rows[k];
            if (row->id_count == 1)
                TRY(arena_printf(arena, &row->seeds, "%lld", (long long)identities[first[k]].seed));
            TRY(join(row, &table->rows[i], identities[i].seed, arena));
        } else {
            first[kept] = i;
            table->rows[kept++] = table->rows[i];
        }
    }
    table->row_count = kept;
out:
    return rc;
}

int table_join_seeds(struct table *table, struct arena *arena)
{
    struct identity *identities;
    const int count = table->row_count;
    int rc;
    TRY(arena_calloc(arena, &identities, (size_t)count, sizeof *identities));
    for (int i = 0; i < count && rc == 0; i++)
        rc = identify(&table->rows[i], &identities[i]);
    if (rc == 0)
        rc = join_all(table, identities, arena);
    for (int i = 0; i < count; i++)
        free(identities[i].text);
out:
    return rc;
}
