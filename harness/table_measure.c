#include "harness/table_measure.h"

#include "core/err.h"
#include "core/mem.h"
#include "harness/table_mean.h"
#include "harness/table_query.h"

#include <math.h>
#include <string.h>

/* The names of quantities, as --show and --value take them, and their heads. */
struct quantity_name {
    const char *name;
    enum quantity quantity;
    enum { OF_ROW, OF_TASKS, OF_PERPLEXITY, OF_ACCURACY, OF_METRIC } of;
    const char *head; /* behind the metric's title, where it is of one; of the mean its own */
};
static const struct quantity_name names[] = {
    {"paper_bits", QUANTITY_PAPER_BITS, OF_ROW, "paper bits"},
    {"marks_bits", QUANTITY_MARKS_BITS, OF_ROW, "marks"},
    {"stored_bits", QUANTITY_STORED_BITS, OF_ROW, "stored bits"},
    {"file_bits", QUANTITY_FILE_BITS, OF_ROW, "file bits"},
    {"quantize_seconds", QUANTITY_QUANTIZE, OF_ROW, "quantize s"},
    {"total_seconds", QUANTITY_TOTAL, OF_ROW, "total s"},
    {"peak_memory", QUANTITY_MEMORY, OF_ROW, "peak MB"},
    {"seeds", QUANTITY_SEEDS, OF_ROW, "seeds"},
    {"mean_accuracy", QUANTITY_MEAN_ACCURACY, OF_TASKS, NULL},
    {"perplexity", QUANTITY_VALUE, OF_PERPLEXITY, "ppl"},
    {"accuracy", QUANTITY_VALUE, OF_ACCURACY, "%"},
    {"deviation", QUANTITY_DEVIATION, OF_METRIC, "s.d."},
    {"ratio", QUANTITY_DIFFERENCE, OF_PERPLEXITY, "ppl ratio"},
    {"difference", QUANTITY_DIFFERENCE, OF_ACCURACY, "% diff."},
    {"bits_per_byte", QUANTITY_BITS_PER_BYTE, OF_PERPLEXITY, "bits/byte"},
    {"kl", QUANTITY_KL, OF_PERPLEXITY, "KL"},
    {"same_top", QUANTITY_SAME_TOP, OF_PERPLEXITY, "same top %"},
    {"flips", QUANTITY_FLIPS, OF_ACCURACY, "flips"},
    {"to_wrong", QUANTITY_TO_WRONG, OF_ACCURACY, "to wrong"},
    {"to_right", QUANTITY_TO_RIGHT, OF_ACCURACY, "to right"},
    {"published", QUANTITY_PUBLISHED, OF_METRIC, "papers"},
};
enum { NAMES = sizeof names / sizeof *names };

static bool is_of(const struct quantity_name *name, const struct table_metric *metric)
{
    return name->of == OF_METRIC ||
           (name->of == OF_PERPLEXITY) == (table_metric_is_perplexity(metric) != 0);
}

static int add(struct measures *measures, const struct measure *measure, struct arena *arena)
{
    if (measures->count % 32 == 0) {
        struct measure *more;
        int rc = arena_alloc(arena, &more, (size_t)measures->count + 32, sizeof *more);
        if (rc)
            return rc;
        if (measures->count)
            memcpy(more, measures->all, (size_t)measures->count * sizeof *more);
        measures->all = more;
    }
    measures->all[measures->count++] = *measure;
    return 0;
}

static int add_of_row(struct measures *measures, enum quantity quantity, struct arena *arena)
{
    int i = 0;
    while (names[i].quantity != quantity)
        i++;
    return add(measures, &(struct measure){.quantity = quantity, .head = names[i].head}, arena);
}

/* The papers' numbers that stand beside a metric of a row: "9.07 (billm)"; several joined. */
static int papers_of(struct measure *measure, const struct table *table,
                     const struct comparison *papers, struct arena *arena)
{
    int rc = 0;
    TRY(arena_calloc(arena, &measure->texts, (size_t)table->row_count, sizeof *measure->texts));
    TRY(arena_calloc(arena, &measure->numbers, (size_t)table->row_count, sizeof *measure->numbers));
    for (int i = 0; i < table->row_count; i++)
        measure->numbers[i] = NAN;
    for (int k = 0; papers && k < papers->count; k++) {
        const struct comparison_line *line = &papers->lines[k];
        const int i = (int)(line->row - table->rows);
        const char *before = measure->texts[i] ? measure->texts[i] : "";
        if (line->metric != &table->metrics[measure->metric])
            continue;
        TRY(arena_printf(arena, &measure->texts[i], "%s%s%s (%s)", before, *before ? "; " : "",
                         line->theirs->text, line->theirs->paper));
        if (isnan(measure->numbers[i]))
            measure->numbers[i] = line->theirs->value;
    }
out:
    return rc;
}

static int add_of_metric(struct measures *measures, enum quantity quantity,
                         const struct table *table, int metric, const struct comparison *papers,
                         struct arena *arena)
{
    const struct table_metric *m = &table->metrics[metric];
    struct measure measure = {.quantity = quantity, .metric = metric};
    int rc, i = 0;
    while (names[i].quantity != quantity || !is_of(&names[i], m))
        i++;
    TRY(arena_printf(arena, &measure.head, "%s %s", m->title, names[i].head));
    if (quantity == QUANTITY_PUBLISHED)
        TRY(papers_of(&measure, table, papers, arena));
    TRY(add(measures, &measure, arena));
out:
    return rc;
}

bool measures_have_times(const struct measures *measures)
{
    for (int i = 0; i < measures->count; i++) {
        const struct measure *m = &measures->all[i];
        if (m->quantity == QUANTITY_QUANTIZE || m->quantity == QUANTITY_TOTAL ||
            (m->quantity == QUANTITY_EXPRESSION && strstr(m->head, "seconds")))
            return true;
    }
    return false;
}

/* ---- the usual columns ---- */

/* True when some row counts marks apart: only then there is a column for them. */
static bool has_marks(const struct table *table)
{
    for (int i = 0; i < table->row_count; i++)
        if (table->rows[i].marks_bits > 0)
            return true;
    return false;
}

static bool has_seeds(const struct table *table)
{
    for (int i = 0; i < table->row_count; i++)
        if (table->rows[i].id_count > 1)
            return true;
    return false;
}

static bool has_papers(const struct table *table, const struct comparison *papers, int metric)
{
    for (int k = 0; papers && k < papers->count; k++)
        if (papers->lines[k].metric == &table->metrics[metric])
            return true;
    return false;
}

int measures_results(struct measures *measures, const struct table *table,
                     const struct comparison *papers, struct arena *arena)
{
    const bool seeds = has_seeds(table);
    int rc;
    *measures = (struct measures){0};
    TRY(add_of_row(measures, QUANTITY_PAPER_BITS, arena));
    if (has_marks(table))
        TRY(add_of_row(measures, QUANTITY_MARKS_BITS, arena));
    TRY(add_of_row(measures, QUANTITY_STORED_BITS, arena));
    TRY(add_of_row(measures, QUANTITY_FILE_BITS, arena));
    if (seeds)
        TRY(add_of_row(measures, QUANTITY_SEEDS, arena));
    for (int j = 0; j < table->metric_count; j++) {
        TRY(add_of_metric(measures, QUANTITY_VALUE, table, j, papers, arena));
        if (seeds)
            TRY(add_of_metric(measures, QUANTITY_DEVIATION, table, j, papers, arena));
        if (has_papers(table, papers, j))
            TRY(add_of_metric(measures, QUANTITY_PUBLISHED, table, j, papers, arena));
    }
    TRY(add_of_row(measures, QUANTITY_QUANTIZE, arena));
    TRY(add_of_row(measures, QUANTITY_TOTAL, arena));
out:
    return rc;
}

/* Whether a row other than the full-precision one has the quantity. */
static bool has_value(const struct table *table, enum quantity quantity, int metric)
{
    for (int i = 0; i < table->row_count; i++) {
        const struct table_value *v = &table->rows[i].values[metric];
        if (!v->present)
            continue;
        if (quantity == QUANTITY_DIFFERENCE || quantity == QUANTITY_FLIPS) {
            if (v->compared == 1)
                return true;
        } else if (!isnan(quantity == QUANTITY_KL         ? v->kl
                          : quantity == QUANTITY_SAME_TOP ? v->same_top
                                                          : v->bits_per_byte)) {
            return true;
        }
    }
    return false;
}

int measures_differences(struct measures *measures, const struct table *table, struct arena *arena)
{
    static const enum quantity order[] = {QUANTITY_DIFFERENCE, QUANTITY_FLIPS, QUANTITY_KL,
                                          QUANTITY_SAME_TOP, QUANTITY_BITS_PER_BYTE};
    int rc = 0;
    *measures = (struct measures){0};
    for (size_t k = 0; k < sizeof order / sizeof *order; k++)
        for (int j = 0; j < table->metric_count; j++) {
            const bool perplexity = table_metric_is_perplexity(&table->metrics[j]);
            if (order[k] != QUANTITY_DIFFERENCE && perplexity == (order[k] == QUANTITY_FLIPS))
                continue;
            if (has_value(table, order[k], j))
                TRY(add_of_metric(measures, order[k], table, j, NULL, arena));
        }
out:
    return rc;
}

/* ---- columns to choose ---- */

int measures_split(const char *list, const char ***parts, int *count, struct arena *arena)
{
    const char *begin = list;
    int rc, depth = 0;
    char quote = 0;
    *count = 0;
    TRY(arena_alloc(arena, parts, strlen(list) + 1, sizeof **parts));
    for (const char *at = list;; at++) {
        if (*at && quote) {
            quote = *at == quote ? 0 : quote;
            continue;
        }
        if (*at == '\'' || *at == '"')
            quote = *at;
        depth += (*at == '(') - (*at == ')');
        if (*at && (*at != ',' || depth > 0))
            continue;
        begin += strspn(begin, " \t\n");
        size_t length = begin < at ? (size_t)(at - begin) : 0;
        while (length > 0 && strchr(" \t\n", begin[length - 1]))
            length--;
        TRY(arena_printf(arena, &(*parts)[(*count)++], "%.*s", (int)length, begin));
        if (!*at)
            break;
        begin = at + 1;
    }
out:
    return rc;
}

/* The mean over the tasks. rule: NULL for the usual one. */
static int add_mean(struct measures *measures, const struct table *table, const char *what,
                    const char *word, const char *rule, struct arena *arena)
{
    struct measure measure = {.quantity = QUANTITY_MEAN_ACCURACY, .rule = rule ? rule : "sum"};
    const char *rules;
    int rc;
    TRY(table_mean_rules(table, arena, &rules));
    if (!*rules)
        TRY(err_set(ERR_USAGE, "%s %s: no task was measured", what, word));
    if (rule && !table_mean_has_rule(table, rule))
        TRY(err_set(ERR_USAGE, "%s %s: no task was scored by '%s', only by %s", what, word, rule,
                    rules));
    TRY(arena_printf(arena, &measure.head, "mean %s%s%%", rule ? rule : "", rule ? " " : ""));
    TRY(add(measures, &measure, arena));
out:
    return rc;
}

/* *known = whether the word is a quantity of its own or of metrics, all of which are then added. */
static int add_named(struct measures *measures, const struct table *table, const char *what,
                     const char *word, const struct comparison *papers, struct arena *arena,
                     bool *known)
{
    const size_t length = strcspn(word, ":");
    const char *title = word[length] ? word + length + 1 : NULL;
    const struct quantity_name *name = NULL;
    struct strbuf titles = {0};
    int rc = 0, before = measures->count;
    for (int i = 0; i < NAMES; i++)
        if (strlen(names[i].name) == length && memcmp(names[i].name, word, length) == 0)
            name = &names[i];
    *known = name && !(name->of == OF_ROW && title);
    if (!*known)
        goto out;
    if (name->of == OF_ROW) {
        TRY(add_of_row(measures, name->quantity, arena));
        goto out;
    }
    if (name->of == OF_TASKS) {
        TRY(add_mean(measures, table, what, word, title, arena));
        goto out;
    }
    if (name->quantity == QUANTITY_PUBLISHED && !papers)
        TRY(err_set(ERR_USAGE, "%s %s: add --beside, which reads the papers' numbers", what, word));
    for (int j = 0; j < table->metric_count; j++) {
        const struct table_metric *m = &table->metrics[j];
        if (!is_of(name, m))
            continue;
        TRY(strbuf_printf(&titles, "%s'%s'", titles.length ? ", " : "", m->title));
        if (!title || strcmp(title, m->title) == 0)
            TRY(add_of_metric(measures, name->quantity, table, j, papers, arena));
    }
    if (measures->count == before && title)
        rc = err_set(ERR_USAGE, "%s %s: nothing called '%s' was measured, only %s", what, word,
                     title, titles.data ? titles.data : "nothing of that kind");
    else if (measures->count == before)
        rc = err_set(ERR_USAGE, "%s %s: nothing of that kind was measured", what, word);
out:
    strbuf_release(&titles);
    return rc;
}

static int add_expression(struct measures *measures, struct store *store, const struct table *table,
                          const char *what, const char *word, struct arena *arena)
{
    struct measure measure = {.quantity = QUANTITY_EXPRESSION, .head = word};
    int rc;
    TRY(arena_calloc(arena, &measure.texts, (size_t)table->row_count, sizeof *measure.texts));
    TRY(arena_calloc(arena, &measure.numbers, (size_t)table->row_count, sizeof *measure.numbers));
    TRY(query_column(store, table, what, word, measure.texts, measure.numbers, arena));
    TRY(add(measures, &measure, arena));
out:
    return rc;
}

int measures_parse(struct measures *measures, struct store *store, const struct table *table,
                   const char *what, const char *list, const struct comparison *papers,
                   struct arena *arena)
{
    const char **words;
    int rc, count;
    *measures = (struct measures){0};
    TRY(measures_split(list, &words, &count, arena));
    for (int i = 0; i < count; i++) {
        bool known;
        TRY(add_named(measures, table, what, words[i], papers, arena, &known));
        if (!known)
            TRY(add_expression(measures, store, table, what, words[i], arena));
    }
out:
    return rc;
}
