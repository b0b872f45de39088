#include "harness/table.h"

#include "core/err.h"
#include "harness/table_grid.h"
#include "harness/table_published.h"

#include <errno.h>
#include <string.h>

struct page {
    const struct table *table;
    struct notes notes;
    struct grid results, differences;
};

static int print_markdown(const struct page *page, FILE *out, struct arena *arena)
{
    const struct table *table = page->table;
    int rc;
    char mark[4];
    fprintf(out, "%s (%s, ", *table->title ? table->title : table->experiment, table->experiment);
    if (table->models > 1)
        fprintf(out, "%d models)\n\n", table->models);
    else
        fprintf(out, "model %s)\n\n", table->model);
    TRY(grid_markdown(&page->results, out, arena));
    if (page->differences.rows) {
        fputs("\nAgainst full precision, on the same windows and items\n\n", out);
        TRY(grid_markdown(&page->differences, out, arena));
    }
    fputs("\n", out);
    for (int i = 0; i < page->notes.count; i++) {
        note_mark(i, mark);
        fprintf(out, "- [%s] %s\n", mark, page->notes.texts[i]);
    }
    for (int j = 0; j < table->metric_count; j++) {
        const char *legend;
        TRY(table_legend(&table->metrics[j], arena, &legend));
        fprintf(out, "- %s\n", legend);
    }
    fputs("- bits: a weight as the paper counts; as stored, everything included; the whole file "
          "over all parameters. [low, high]: 95 % intervals, bootstrap over windows or items. "
          "±: standard error.\n",
          out);
out:
    return rc;
}

static int print_latex(const struct page *page, FILE *out, struct arena *arena)
{
    const struct table *table = page->table;
    int rc;
    char mark[4];
    fprintf(out, "%% %s, model %s; needs \\usepackage{booktabs}\n", table->experiment,
            table->models > 1 ? "in each row" : table->model);
    TRY(grid_latex(&page->results, out));
    if (page->differences.rows) {
        fputs("\n% against full precision, on the same windows and items\n", out);
        TRY(grid_latex(&page->differences, out));
    }
    for (int i = 0; i < page->notes.count; i++) {
        note_mark(i, mark);
        fprintf(out, "\n\\noindent [%s] ", mark);
        latex_text(page->notes.texts[i], out);
        fputs("\\par", out);
    }
    for (int j = 0; j < table->metric_count; j++) {
        const char *legend;
        TRY(table_legend(&table->metrics[j], arena, &legend));
        fputs("\n\\noindent ", out);
        latex_text(legend, out);
        fputs("\\par", out);
    }
    fputs("\n", out);
out:
    return rc;
}

static int print_page(const struct table *table, enum table_format format, FILE *out,
                      struct arena *arena)
{
    struct page page = {.table = table};
    int rc;
    TRY(table_notes(&page.notes, table, arena));
    TRY(table_results(&page.results, table, &page.notes, arena));
    TRY(table_differences(&page.differences, table, arena));
    TRY(format == TABLE_LATEX ? print_latex(&page, out, arena) : print_markdown(&page, out, arena));
out:
    return rc;
}

static int close_output(FILE *out)
{
    if (fflush(out) != 0 || ferror(out))
        return err_set(ERR_IO, "table: cannot write: %s", strerror(errno));
    return 0;
}

int table_print(struct store *store, const char *experiment, enum table_format format, FILE *out)
{
    struct arena arena = {0};
    struct table table;
    int rc;
    TRY(table_load(&table, store, experiment, &arena));
    if (format == TABLE_CSV)
        rc = table_csv(&table, out);
    else if (format == TABLE_JSON)
        rc = table_json(&table, out);
    else
        rc = print_page(&table, format, out, &arena);
    if (rc == 0)
        rc = close_output(out);
out:
    arena_release(&arena);
    return rc;
}

int table_print_published(struct store *store, const char *experiment, const char *path,
                          enum table_format format, FILE *out)
{
    struct arena arena = {0};
    struct table table;
    struct published published;
    struct comparison comparison;
    int rc;
    TRY(table_load(&table, store, experiment, &arena));
    TRY(published_load(&published, path, &arena));
    TRY(comparison_make(&comparison, &table, &published, &arena));
    TRY(comparison_print(&comparison, &table, format, out, &arena));
    TRY(close_output(out));
out:
    arena_release(&arena);
    return rc;
}
