/* A grid as an aligned Markdown table, and as LaTeX (booktabs). */
#include "core/err.h"
#include "harness/table_grid.h"

#include <math.h>
#include <string.h>
#include <sys/types.h>
#include <utf8proc.h>

int grid_init(struct grid *grid, int rows, int columns, struct grid_writer *writer,
              struct arena *arena)
{
    const size_t count = (size_t)rows * (size_t)columns;
    int rc;
    *grid = (struct grid){.rows = rows, .columns = columns};
    TRY(arena_alloc(arena, &grid->cells, count, sizeof *grid->cells));
    TRY(arena_alloc(arena, &writer->values, count, sizeof *writer->values));
    TRY(arena_calloc(arena, &writer->marks, count, sizeof *writer->marks));
    for (size_t i = 0; i < count; i++) {
        grid->cells[i] = TABLE_NOTHING;
        writer->values[i] = NAN;
    }
    grid->values = writer->values;
    grid->marks = writer->marks;
out:
    return rc;
}

static enum table_mark mark_of(const struct grid *grid, int cell)
{
    return grid->marks ? grid->marks[cell] : MARK_NONE;
}

static bool is_left(const struct grid *grid, int column)
{
    return column < (grid->left ? grid->left : 1);
}

/* ---- Markdown ---- */

/* What Markdown would take for its own: a cell's end, an escape, emphasis, code. */
static const char markdown_special[] = "|\\*`";

/* Columns on a terminal. */
static int width(const struct grid *grid, int cell)
{
    static const int of_mark[] = {[MARK_NONE] = 0, [MARK_BEST] = 4, [MARK_NEAR] = 2};
    int columns = of_mark[mark_of(grid, cell)];
    for (const char *text = grid->cells[cell]; *text;) {
        int32_t letter;
        ssize_t bytes = utf8proc_iterate((const uint8_t *)text, -1, &letter);
        bool known = bytes > 0;
        columns += (known ? utf8proc_charwidth(letter) : 1) +
                   (known && letter < 128 && strchr(markdown_special, (char)letter) != NULL);
        text += known ? bytes : 1;
    }
    return columns;
}

static void pad(FILE *out, int count, char letter)
{
    for (int i = 0; i < count; i++)
        fputc(letter, out);
}

void markdown_text(const char *text, FILE *out)
{
    for (; *text; text++) {
        if (strchr(markdown_special, *text))
            fputc('\\', out);
        fputc((unsigned char)*text < ' ' ? ' ' : *text, out);
    }
}

static void markdown_cell(const struct grid *grid, int cell, int columns, FILE *out)
{
    const int space = columns - width(grid, cell);
    const bool left = is_left(grid, cell % grid->columns);
    const enum table_mark mark = mark_of(grid, cell);
    fputs("| ", out);
    pad(out, left ? 0 : space, ' ');
    fputs(mark == MARK_BEST ? "**" : "", out);
    markdown_text(grid->cells[cell], out);
    fputs(mark == MARK_BEST ? "**" : mark == MARK_NEAR ? " †" : "", out);
    pad(out, left ? space + 1 : 1, ' ');
}

int grid_markdown(const struct grid *grid, FILE *out, struct arena *arena)
{
    int *widths;
    int rc = arena_calloc(arena, &widths, (size_t)grid->columns, sizeof *widths);
    if (rc)
        return rc;
    for (int i = 0; i < grid->rows * grid->columns; i++) {
        int w = width(grid, i);
        if (w > widths[i % grid->columns])
            widths[i % grid->columns] = w;
    }
    for (int i = 0; i < grid->rows; i++) {
        for (int j = 0; j < grid->columns; j++)
            markdown_cell(grid, i * grid->columns + j, widths[j], out);
        fputs("|\n", out);
        for (int j = 0; i == 0 && j < grid->columns; j++) {
            fputs(is_left(grid, j) ? "|:" : "|", out);
            pad(out, widths[j] + 1, '-');
            fputs(is_left(grid, j) ? "" : ":", out);
        }
        if (i == 0)
            fputs("|\n", out);
    }
    return 0;
}

/* ---- LaTeX ---- */

/* Escapes, and the few letters beyond ASCII that the tables use. */
void latex_text(const char *text, FILE *out)
{
    static const struct {
        const char *from, *to;
    } table[] = {{"\\", "\\textbackslash{}"},
                 {"{", "\\{"},
                 {"}", "\\}"},
                 {"_", "\\_"},
                 {"%", "\\%"},
                 {"&", "\\&"},
                 {"#", "\\#"},
                 {"$", "\\$"},
                 {"~", "\\textasciitilde{}"},
                 {"^", "\\textasciicircum{}"},
                 {"<", "\\textless{}"},
                 {">", "\\textgreater{}"},
                 {"|", "\\textbar{}"},
                 {"\n", " "},
                 {"\r", " "},
                 {"\t", " "},
                 {"±", "$\\pm$"},
                 {"×", "$\\times$"},
                 {"→", "$\\to$"},
                 {"−", "$-$"},
                 {"†", "$^{\\dagger}$"},
                 {"…", "\\ldots{}"},
                 {"–", "--"}};
    const char *begin = text;
    while (*text) {
        /* A minus sign where a number begins: in front, or behind a bracket or a blank. */
        if (*text == '-' && text[1] >= '0' && text[1] <= '9' &&
            (text == begin || text[-1] == '[' || text[-1] == ' ')) {
            fputs("$-$", out);
            text++;
            continue;
        }
        size_t i = 0, count = sizeof table / sizeof *table;
        while (i < count && strncmp(text, table[i].from, strlen(table[i].from)) != 0)
            i++;
        if (i < count) {
            fputs(table[i].to, out);
            text += strlen(table[i].from);
        } else {
            fputc(*text++, out);
        }
    }
}

static void latex_cell(const struct grid *grid, int cell, FILE *out)
{
    const enum table_mark mark = mark_of(grid, cell);
    fputs(mark == MARK_BEST ? "\\textbf{" : "", out);
    latex_text(grid->cells[cell], out);
    fputs(mark == MARK_BEST ? "}" : mark == MARK_NEAR ? "$^{\\dagger}$" : "", out);
}

int grid_latex(const struct grid *grid, FILE *out)
{
    fputs("\\begin{tabular}{", out);
    for (int j = 0; j < grid->columns; j++)
        fputc(is_left(grid, j) ? 'l' : 'r', out);
    fputs("}\n\\toprule\n", out);
    for (int i = 0; i < grid->rows; i++) {
        for (int j = 0; j < grid->columns; j++) {
            fputs(j ? " & " : "", out);
            latex_cell(grid, i * grid->columns + j, out);
        }
        fputs(" \\\\\n", out);
        if (i == 0)
            fputs("\\midrule\n", out);
    }
    fputs("\\bottomrule\n\\end{tabular}\n", out);
    return 0;
}
