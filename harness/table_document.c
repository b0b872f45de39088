#include "harness/table_document.h"

#include "core/err.h"

#include <stdarg.h>
#include <string.h>

int document_add(struct document *document, const char *caption, const struct grid *grid)
{
    const int room = sizeof document->sections / sizeof *document->sections;
    if (document->section_count == room)
        return err_set(ERR_INTERNAL, "table: more than %d sections", room);
    document->sections[document->section_count++] = (struct section){caption, *grid};
    return 0;
}

int document_line(struct document *document, struct arena *arena, const char *format, ...)
{
    va_list args;
    char text[1024];
    int rc = 0;
    if (document->line_count % 16 == 0) {
        const char **more;
        TRY(arena_alloc(arena, &more, (size_t)document->line_count + 16, sizeof *more));
        if (document->line_count)
            memcpy(more, document->lines, (size_t)document->line_count * sizeof *more);
        document->lines = more;
    }
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    TRY(arena_printf(arena, &document->lines[document->line_count], "%s", text));
    document->line_count++;
out:
    return rc;
}

int document_notes(struct document *document, const struct notes *notes, struct arena *arena)
{
    char mark[4];
    int rc = 0;
    for (int i = 0; i < notes->count; i++) {
        note_mark(i, mark);
        TRY(document_line(document, arena, "[%s] %s", mark, notes->texts[i]));
    }
out:
    return rc;
}

static int print_markdown(const struct document *document, FILE *out, struct arena *arena)
{
    const struct table *table = document->table;
    int rc = 0;
    markdown_text(*table->title ? table->title : table->experiment, out);
    fprintf(out, " (%s, ", table->experiment);
    if (table->models > 1)
        fprintf(out, "%d models)\n", table->models);
    else
        fprintf(out, "model %s)\n", table->model);
    for (int i = 0; i < document->section_count; i++) {
        const struct section *section = &document->sections[i];
        fprintf(out, "%s%s%s\n", *section->caption ? "\n" : "", section->caption,
                *section->caption ? "\n" : "");
        TRY(grid_markdown(&section->grid, out, arena));
    }
    fputs("\n", out);
    for (int i = 0; i < document->line_count; i++) {
        fputs("- ", out);
        markdown_text(document->lines[i], out);
        fputs("\n", out);
    }
out:
    return rc;
}

/* What follows a % ends with the line. */
static void latex_comment(const char *text, FILE *out)
{
    for (; *text; text++)
        fputc((unsigned char)*text < ' ' ? ' ' : *text, out);
}

static int print_latex(const struct document *document, FILE *out)
{
    const struct table *table = document->table;
    int rc = 0;
    fputs("% ", out);
    latex_comment(table->experiment, out);
    fputs(", model ", out);
    latex_comment(table->models > 1 ? "in each row" : table->model, out);
    fputs("; needs \\usepackage{booktabs}\n", out);
    for (int i = 0; i < document->section_count; i++) {
        const struct section *section = &document->sections[i];
        if (*section->caption) {
            fputs("\n% ", out);
            latex_comment(section->caption, out);
            fputs("\n", out);
        }
        TRY(grid_latex(&section->grid, out));
    }
    for (int i = 0; i < document->line_count; i++) {
        fputs("\n\\noindent ", out);
        latex_text(document->lines[i], out);
        fputs("\\par", out);
    }
    fputs("\n", out);
out:
    return rc;
}

static int print_json(const struct document *document, const struct grid *records, FILE *out)
{
    const struct table *table = document->table;
    json_t *lines = json_array();
    for (int i = 0; i < document->line_count; i++)
        json_array_append_new(lines, json_string(document->lines[i]));
    return json_print_line(json_pack("{s:s,s:s,s:s,s:o,s:o}", "experiment", table->experiment,
                                     "title", table->title, "model", table->model, "rows",
                                     records ? grid_json(records) : json_array(), "notes", lines),
                           out);
}

int document_print(const struct document *document, enum table_format format, FILE *out,
                   struct arena *arena)
{
    const struct grid *records = document->records         ? document->records
                                 : document->section_count ? &document->sections[0].grid
                                                           : NULL;
    switch (format) {
    case TABLE_CSV: return records ? grid_csv(records, out) : 0;
    case TABLE_JSON: return print_json(document, records, out);
    case TABLE_LATEX: return print_latex(document, out);
    default: return print_markdown(document, out, arena);
    }
}
