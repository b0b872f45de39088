/* A grid as an aligned Markdown table, and as LaTeX (booktabs). */
#include "core/err.h"
#include "harness/table_grid.h"

#include <string.h>

/* Columns on a terminal: code points (no wide letters occur here). A "|" is printed as "\|". */
static int width(const char *text)
{
    int columns = 0;
    for (; *text; text++)
        columns += ((unsigned char)*text & 0xC0) != 0x80 ? 1 + (*text == '|') : 0;
    return columns;
}

static void pad(FILE *out, int count, char letter)
{
    for (int i = 0; i < count; i++)
        fputc(letter, out);
}

static void markdown_text(const char *text, FILE *out)
{
    for (; *text; text++) {
        if (*text == '|')
            fputc('\\', out);
        fputc(*text == '\n' || *text == '\r' ? ' ' : *text, out);
    }
}

int grid_markdown(const struct grid *grid, FILE *out, struct arena *arena)
{
    int *widths;
    int rc = arena_calloc(arena, &widths, (size_t)grid->columns, sizeof *widths);
    if (rc)
        return rc;
    for (int i = 0; i < grid->rows * grid->columns; i++) {
        int w = width(grid->cells[i]);
        if (w > widths[i % grid->columns])
            widths[i % grid->columns] = w;
    }
    for (int i = 0; i < grid->rows; i++) {
        for (int j = 0; j < grid->columns; j++) {
            const char *text = grid->cells[i * grid->columns + j];
            int space = widths[j] - width(text);
            fputs("| ", out);
            pad(out, j ? space : 0, ' ');
            markdown_text(text, out);
            pad(out, j ? 1 : space + 1, ' ');
        }
        fputs("|\n", out);
        for (int j = 0; i == 0 && j < grid->columns; j++) {
            fputs(j ? "|" : "|:", out);
            pad(out, widths[j] + 1, '-');
            fputs(j ? ":" : "", out);
        }
        if (i == 0)
            fputs("|\n", out);
    }
    return 0;
}

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
                 {"±", "$\\pm$"},
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

int grid_latex(const struct grid *grid, FILE *out)
{
    fputs("\\begin{tabular}{l", out);
    pad(out, grid->columns - 1, 'r');
    fputs("}\n\\toprule\n", out);
    for (int i = 0; i < grid->rows; i++) {
        for (int j = 0; j < grid->columns; j++) {
            fputs(j ? " & " : "", out);
            latex_text(grid->cells[i * grid->columns + j], out);
        }
        fputs(" \\\\\n", out);
        if (i == 0)
            fputs("\\midrule\n", out);
    }
    fputs("\\bottomrule\n\\end{tabular}\n", out);
    return 0;
}
