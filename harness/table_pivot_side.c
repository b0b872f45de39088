#include "harness/table_pivot_side.h"

#include "core/err.h"
#include "harness/table_measure.h"
#include "harness/table_query.h"

#include <math.h>
#include <string.h>

int pivot_side_read(struct pivot_side *side, struct store *store, const struct table *table,
                    const char *what, const char *list, struct arena *arena)
{
    const size_t n = (size_t)table->row_count;
    const char **names;
    int rc = 0;
    *side = (struct pivot_side){0};
    if (!list)
        return 0;
    TRY(measures_split(list, &names, &side->key_count, arena));
    TRY(arena_calloc(arena, &side->keys, (size_t)side->key_count, sizeof *side->keys));
    for (int k = 0; k < side->key_count; k++) {
        struct key *key = &side->keys[k];
        key->name = names[k];
        key->numeric = true;
        TRY(arena_calloc(arena, &key->texts, n, sizeof *key->texts));
        TRY(arena_calloc(arena, &key->numbers, n, sizeof *key->numbers));
        TRY(query_column(store, table, what, names[k], key->texts, key->numbers, arena));
        for (int i = 0; i < table->row_count; i++)
            key->numeric &= !key->texts[i] || !isnan(key->numbers[i]);
    }
out:
    return rc;
}

bool pivot_side_has(const struct pivot_side *side, int row)
{
    for (int k = 0; k < side->key_count; k++)
        if (!side->keys[k].texts[row])
            return false;
    return true;
}

static bool same_group(const struct pivot_side *side, int a, int b)
{
    for (int k = 0; k < side->key_count; k++)
        if (strcmp(side->keys[k].texts[a], side->keys[k].texts[b]) != 0)
            return false;
    return true;
}

/* Where a text first stands: texts keep the order of the spec. */
static int first_place(const struct key *key, int row)
{
    int i = 0;
    while (!key->texts[i] || strcmp(key->texts[i], key->texts[row]) != 0)
        i++;
    return i;
}

static bool comes_before(const struct pivot_side *side, int a, int b)
{
    for (int k = 0; k < side->key_count; k++) {
        const struct key *key = &side->keys[k];
        if (strcmp(key->texts[a], key->texts[b]) == 0)
            continue;
        return key->numeric ? key->numbers[a] < key->numbers[b]
                            : first_place(key, a) < first_place(key, b);
    }
    return false;
}

int pivot_side_group(const struct pivot_side *side, int row)
{
    int g = 0;
    while (g < side->group_count && !same_group(side, side->groups[g], row))
        g++;
    return g;
}

int pivot_side_sort(struct pivot_side *side, const unsigned char *takes_part, int rows,
                    struct arena *arena)
{
    int rc = arena_alloc(arena, &side->groups, (size_t)rows, sizeof *side->groups);
    for (int i = 0; i < rows && rc == 0; i++) {
        if (!takes_part[i] || pivot_side_group(side, i) < side->group_count)
            continue;
        int at = side->group_count++;
        for (; at > 0 && comes_before(side, i, side->groups[at - 1]); at--)
            side->groups[at] = side->groups[at - 1];
        side->groups[at] = i;
    }
    return rc;
}

int pivot_side_name(const struct pivot_side *side, int group, struct arena *arena, const char **out)
{
    int rc = 0;
    *out = "";
    for (int k = 0; k < side->key_count; k++) {
        const struct key *key = &side->keys[k];
        const char *text = key->texts[side->groups[group]];
        const bool named = key->numeric || strcmp(text, "true") == 0 || strcmp(text, "false") == 0;
        TRY(arena_printf(arena, out, "%s%s%s%s%s", *out, k ? ", " : "", named ? key->name : "",
                         named ? "=" : "", text));
    }
out:
    return rc;
}
