/* From plots/NAME.gp and the database to the text that gnuplot reads.
 *
 * The comment lines on top of a script say what it needs:
 *   #size WIDTH, HEIGHT      in pixels at 96 a inch; gnuplot expressions, may use NAME_rows
 *   #sql NAME: SELECT ...    becomes the data block $NAME (tab-separated) and NAME_rows
 *   #sql NAME?: SELECT ...   the same, and no rows are fine
 *   #list NAME: SELECT ...   a single column, becomes the array NAME with NAME_count elements, of
 *                            which the longest has NAME_longest letters; NAME? as above
 *   #need TEXT               what to say when a block or list has no rows: what is missing and how
 *                            to get it
 *   #+ ...                   continues the line above
 * In the SQL :experiment is the experiment's name, and the views of plots/views.sql are there. NULL
 * becomes NaN. The script finds the variables `experiment`, `data_file`, `picture_width` and
 * `picture_height` (pixels), `mark_size` (of points), `letter_width` (pixels, a mean), `small_size`
 * and `small_width` (the same of smaller letters), and what plots/common.gp defines, which #size
 * may use, too. */
#include "core/err.h"
#include "core/file.h"
#include "harness/plot_internal.h"
#include "harness/store_internal.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { MAX_ROWS = 100000 };

struct directive {
    char word[8];  /* "size", "need", "sql", "list" */
    char name[64]; /* of the block; "" for size and need */
    int optional;
    struct strbuf text;
};

/* Directives that are a text and no SQL. */
static int is_text(const char *word)
{
    return strcmp(word, "size") == 0 || strcmp(word, "need") == 0;
}

/* Text in gnuplot's quotes, where '' stands for a quote; on one line. */
static int quoted(struct strbuf *out, const char *text)
{
    int rc;
    TRY(strbuf_puts(out, "'"));
    for (; *text; text++) {
        char letter = (unsigned char)*text < ' ' ? ' ' : *text;
        TRY(*text == '\'' ? strbuf_puts(out, "''") : strbuf_add(out, &letter, 1));
    }
    TRY(strbuf_puts(out, "'"));
out:
    return rc;
}

/* A field of a data block: no tabs, line ends or double quotes, which gnuplot would read as such.
 */
static int field(struct strbuf *out, sqlite3_stmt *statement, int column)
{
    int rc = 0;
    if (sqlite3_column_type(statement, column) == SQLITE_NULL)
        return strbuf_puts(out, "NaN");
    const char *text = (const char *)sqlite3_column_text(statement, column);
    if (!text)
        return err_set(ERR_MEMORY, "plot: out of memory");
    for (; *text; text++) {
        char letter = (unsigned char)*text < ' ' ? ' ' : *text;
        TRY(strbuf_add(out, letter == '"' ? "'" : &letter, 1));
    }
out:
    return rc;
}

static int prepare(const struct plot_script *script, const struct directive *directive,
                   sqlite3_stmt **statement)
{
    int rc;
    TRY(store_prepare(script->store, statement, directive->text.data));
    if (!*statement || !sqlite3_stmt_readonly(*statement))
        TRY(err_set(ERR_FORMAT, "%s: #%s %s is not a SELECT", script->path, directive->word,
                    directive->name));
    int parameter = sqlite3_bind_parameter_index(*statement, ":experiment");
    if (parameter)
        sqlite3_bind_text(*statement, parameter, script->experiment, -1, SQLITE_STATIC);
out:
    return rc;
}

static int data_block(const struct directive *directive, struct store *store,
                      sqlite3_stmt *statement, struct strbuf *out, int *rows)
{
    int rc, row;
    TRY(strbuf_printf(out, "$%s << END_OF_BLOCK\n", directive->name));
    for (*rows = 0; *rows < MAX_ROWS; ++*rows) {
        TRY(store_step(store, statement, &row));
        if (!row)
            break;
        for (int i = 0; i < sqlite3_column_count(statement); i++) {
            TRY(strbuf_puts(out, i ? "\t" : ""));
            TRY(field(out, statement, i));
        }
        TRY(strbuf_puts(out, "\n"));
    }
    TRY(strbuf_printf(out, "END_OF_BLOCK\n%s_rows = %d\n", directive->name, *rows));
out:
    return rc;
}

/* In UTF-8. */
static int letters_of(const char *text)
{
    int letters = 0;
    for (; *text; text++)
        letters += ((unsigned char)*text & 0xC0) != 0x80;
    return letters;
}

static int list_block(const struct directive *directive, struct store *store,
                      sqlite3_stmt *statement, struct strbuf *out, int *rows)
{
    struct strbuf elements = {0};
    int rc, row, longest = 0;
    for (*rows = 0; *rows < MAX_ROWS; ++*rows) {
        TRY(store_step(store, statement, &row));
        if (!row)
            break;
        const char *text = (const char *)sqlite3_column_text(statement, 0);
        TRY(strbuf_printf(&elements, "%s[%d] = ", directive->name, *rows + 1));
        TRY(quoted(&elements, text ? text : ""));
        TRY(strbuf_puts(&elements, "\n"));
        if (text && letters_of(text) > longest)
            longest = letters_of(text);
    }
    TRY(strbuf_printf(out, "%s_count = %d\n%s_longest = %d\narray %s[%d]\n", directive->name, *rows,
                      directive->name, longest, directive->name, *rows ? *rows : 1));
    TRY(strbuf_puts(out, elements.data ? elements.data : ""));
out:
    strbuf_release(&elements);
    return rc;
}

/* One size of picture, letters and marks for the three kinds, whose units differ. */
static int terminal(const struct plot_script *script, const char *size, struct strbuf *out)
{
    static const struct {
        const char *format, *terminal, *size, *font, *variables;
    } kinds[] = {{"png", "pngcairo", "'%d,%d', w, h", "10",
                  "1.0\nletter_width = 7.5\nsmall_size = 9\nsmall_width = 6.75"},
                 {"svg", "svg", "'%d,%d', w, h", "13",
                  "0.55\nletter_width = 7.2\nsmall_size = 12\nsmall_width = 6.7"},
                 {"pdf", "pdfcairo", "'%gin,%gin', w / 96.0, h / 96.0", "12",
                  "0.6\nletter_width = 6.2\nsmall_size = 11\nsmall_width = 5.6"}};
    int rc, i = 0;
    while (i < 2 && strcmp(kinds[i].format, script->format) != 0)
        i++;
    TRY(strbuf_printf(
        out,
        "mark_size = %s\nsmall_font = sprintf('%%d', small_size)\nplot_size(w, h) = sprintf(%s)\n",
        kinds[i].variables, kinds[i].size));
    TRY(strbuf_printf(
        out,
        "first_of(w, h) = w\nsecond_of(w, h) = h\npicture_width = 1.0 * first_of(%s)\n"
        "picture_height = 1.0 * second_of(%s)\n",
        size, size));
    TRY(strbuf_printf(out,
                      "eval 'set terminal %s size ' . plot_size(%s) . "
                      "' font \"DejaVu Sans,%s\" background \"#ffffff\"'\nset output ",
                      kinds[i].terminal, size, kinds[i].font));
    TRY(quoted(out, script->output));
    TRY(strbuf_puts(out, "\n"));
out:
    return rc;
}

/* What the comment block on top comes to, beside the data. */
struct head {
    struct strbuf size, need;
    int lacking; /* a block that the plot cannot do without has no rows */
};

static int apply(const struct plot_script *script, const struct directive *directive,
                 struct head *head, struct strbuf *out)
{
    sqlite3_stmt *statement = NULL;
    int rc, rows = 0;
    if (is_text(directive->word)) {
        struct strbuf *text = directive->word[0] == 's' ? &head->size : &head->need;
        text->length = 0;
        return strbuf_puts(text, directive->text.data + strspn(directive->text.data, " "));
    }
    if (!script->store)
        return err_set(ERR_FORMAT, "%s: it has SQL, but plots.list says that it reads a file",
                       script->path);
    TRY(prepare(script, directive, &statement));
    if (strcmp(directive->word, "sql") == 0)
        TRY(data_block(directive, script->store, statement, out, &rows));
    else
        TRY(list_block(directive, script->store, statement, out, &rows));
    head->lacking |= rows == 0 && !directive->optional;
out:
    sqlite3_finalize(statement);
    return rc ? err_prefix(rc, "%s: #%s %s", script->path, directive->word, directive->name) : 0;
}

/* Splits "#sql NAME?: TEXT" and "#size TEXT"; *is = 0 when the line is no directive. */
static int parse(const char *path, const char *line, size_t length, struct directive *directive,
                 int *is)
{
    const char *end = line + length;
    int n = 0;
    struct strbuf kept = directive->text;
    *is = 0;
    kept.length = 0;
    *directive = (struct directive){.text = kept};
    for (line++; line < end && islower((unsigned char)*line) && n < 7; line++)
        directive->word[n++] = *line;
    int plain = is_text(directive->word);
    if (!plain && strcmp(directive->word, "sql") != 0 && strcmp(directive->word, "list") != 0)
        return 0;
    while (line < end && *line == ' ')
        line++;
    for (n = 0; !plain && line < end && (isalnum((unsigned char)*line) || *line == '_') && n < 63;
         line++)
        directive->name[n++] = *line;
    directive->optional = !plain && line < end && *line == '?';
    line += directive->optional;
    if (!plain && (line >= end || *line != ':' || !n))
        return err_set(ERR_FORMAT, "%s: '#%s' is not followed by 'NAME: SELECT ...'", path,
                       directive->word);
    *is = 1;
    line += !plain;
    return strbuf_add(&directive->text, line, (size_t)(end - line));
}

/* Runs the directives of the comment block on top. */
static int read_head(const struct plot_script *script, const char *text, struct head *head,
                     struct strbuf *out)
{
    struct directive directive = {0};
    int rc = 0, is;
    while (*text == '#') {
        size_t length = strcspn(text, "\n");
        TRY(parse(script->path, text, length, &directive, &is));
        text += length + (text[length] == '\n');
        while (text[0] == '#' && text[1] == '+') {
            length = strcspn(text, "\n");
            if (is)
                TRY(strbuf_add(&directive.text, text + 2, length - 2));
            text += length + (text[length] == '\n');
        }
        if (is)
            TRY(apply(script, &directive, head, out));
    }
out:
    strbuf_release(&directive.text);
    return rc;
}

int plot_script_build(const struct plot_script *script, struct strbuf *out, struct strbuf *lacking)
{
    struct head head = {0};
    char *text = NULL;
    int rc;
    lacking->length = 0;
    TRY(file_read(script->path, &text, NULL));
    TRY(strbuf_puts(&head.size, "900, 500"));
    TRY(strbuf_puts(&head.need, "nothing was measured for it"));
    TRY(strbuf_puts(out, "set datafile separator \"\\t\"\nset datafile missing 'NaN'\n"
                         "set datafile commentschars ''\nset encoding utf8\nset loadpath "));
    TRY(quoted(out, script->folder));
    TRY(strbuf_puts(out, "\nexperiment = "));
    TRY(quoted(out, script->experiment ? script->experiment : ""));
    TRY(strbuf_puts(out, "\ndata_file = "));
    TRY(quoted(out, script->data ? script->data : ""));
    TRY(strbuf_puts(out, "\nload 'common.gp'\n"));
    TRY(read_head(script, text, &head, out));
    if (head.lacking)
        TRY(strbuf_puts(lacking, head.need.data));
    TRY(terminal(script, head.size.data, out));
    TRY(strbuf_puts(out, "load "));
    TRY(quoted(out, script->path));
    TRY(strbuf_puts(out, "\n"));
out:
    strbuf_release(&head.size);
    strbuf_release(&head.need);
    mem_free(text);
    return rc;
}
