#include "datasets/rows.h"

#include "core/err.h"
#include "core/text.h"
#include "datasets/data_folder.h"
#include "datasets/documents.h"
#include "datasets/pythontext.h"
#include "datasets/textlines.h"

#include <jansson.h>
#include <string.h>

static const char *const split_names[] = {"train", "validation", "test"};

int rows_file(const struct corpus *corpus, enum split split, char **path, bool *json)
{
    char *who = NULL;
    const char *const *names = corpus->rows->splits[split].names;
    int found, rc;
    TRY(mem_printf(&who, "corpus %s: %s split (from %s)", corpus->name, split_names[split],
                   corpus->rows->origin));
    TRY(data_folder_first(path, names, who, &found));
    *json = strstr(names[found], ".json") != NULL;
out:
    mem_free(who);
    return rc;
}

/* A pass over one file. */
struct pass {
    const struct row_corpus *rows;
    const struct row_visitor *visitor;
    struct text_lines lines;
    struct row_count count;
    struct hash hash;
    bool skipped; /* a row was not looked at: there is no hash */
};

static int give(struct pass *pass, const char *text, size_t size)
{
    const struct row_visitor *visitor = pass->visitor;
    hash_add(&pass->hash, text, size);
    hash_add(&pass->hash, "", 1);
    pass->count.bytes += size;
    pass->count.words += text_words(text, size);
    pass->count.rows++;
    return visitor->see ? visitor->see(visitor->context, pass->count.rows - 1, text, size) : 0;
}

/* 1 when the next row is to be parsed; else it is counted. */
static int is_wanted(struct pass *pass)
{
    const struct row_visitor *visitor = pass->visitor;
    if (!visitor->wanted || visitor->wanted(visitor->context, pass->count.rows))
        return 1;
    pass->count.rows++;
    pass->skipped = true;
    return 0;
}

/* ---- JSON objects ---- */

static int give_object(struct pass *pass, const char *line, size_t length)
{
    json_error_t error;
    const struct text_lines *lines = &pass->lines;
    json_t *object = json_loadb(line, length, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    const json_t *text = json_object_get(object, pass->rows->key);
    int rc;
    if (!object)
        rc = err_set(ERR_FORMAT, "%s:%zu: not a JSON object: column %d: %s", lines->path,
                     lines->number, error.column, error.text);
    else if (!json_is_object(object))
        rc = err_set(ERR_FORMAT, "%s:%zu: not a JSON object: one a line is expected", lines->path,
                     lines->number);
    else if (!json_is_string(text))
        rc = err_set(ERR_FORMAT, "%s:%zu: \"%s\" %s", lines->path, lines->number, pass->rows->key,
                     text ? "is no text" : "(a text) is missing");
    else
        rc = give(pass, json_string_value(text), json_string_length(text));
    json_decref(object);
    return rc;
}

static int take_json_line(struct pass *pass, const char *line, size_t length)
{
    size_t at = 0;
    while (at < length && (line[at] == ' ' || line[at] == '\t' || line[at] == '\r'))
        at++;
    return at == length || !is_wanted(pass) ? 0 : give_object(pass, line, length);
}

/* ---- lines of text ---- */

/* One line as Python's file object gives it: without its end, and whether it has one. */
static int give_line(struct pass *pass, const char *line, size_t length, bool ended)
{
    const char *start;
    if (!is_wanted(pass))
        return 0;
    size_t stripped = python_strip(line, length, &start);
    if (pass->rows->rule == ROW_STRIPPED || stripped == 0)
        return give(pass, start, stripped);
    if (!ended)
        return give(pass, line, length);
    struct strbuf row = {0};
    int rc = strbuf_add(&row, line, length);
    if (rc == 0)
        rc = strbuf_add(&row, "\n", 1);
    if (rc == 0)
        rc = give(pass, row.data, row.length);
    strbuf_release(&row);
    return rc;
}

/* What stands between two line feeds: one line, or several that carriage returns end. */
static int take_text_line(struct pass *pass, const char *line, size_t length, bool ended)
{
    size_t bad;
    int rc = 0;
    if (!text_is_utf8(line, length, &bad))
        return err_set(ERR_FORMAT, "%s:%zu: not UTF-8: byte %zu of the line is 0x%02x",
                       pass->lines.path, pass->lines.number, bad, (unsigned char)line[bad]);
    if (ended && length && line[length - 1] == '\r')
        length--;
    while (rc == 0) {
        const char *end = memchr(line, '\r', length);
        size_t size = end ? (size_t)(end - line) : length;
        if (size == 0 && length == 0 && !ended)
            break; /* a carriage return ended the file */
        rc = give_line(pass, line, size, end || ended);
        if (!end)
            break;
        line += size + 1;
        length -= size + 1;
    }
    return rc;
}

/* ---- the whole file ---- */

static int pass_over(struct pass *pass, bool json)
{
    int rc = 0;
    while (rc == 0) {
        const char *line;
        size_t length;
        bool ended;
        rc = text_lines_next(&pass->lines, &line, &length, &ended);
        if (rc || !line)
            break;
        rc = json ? take_json_line(pass, line, length) : take_text_line(pass, line, length, ended);
    }
    return rc;
}

int rows_visit(const struct corpus *corpus, enum split split, const struct row_visitor *visitor,
               struct row_count *count)
{
    struct pass pass = {.rows = corpus->rows, .visitor = visitor};
    char *path = NULL;
    bool json;
    int rc;
    TRY(rows_file(corpus, split, &path, &json));
    TRY(text_lines_open(&pass.lines, path));
    pass.count.tokens = strstr(path, ".tokens") != NULL;
    hash_init(&pass.hash);
    rc = pass_over(&pass, json);
    if (rc == 0 && !pass.skipped)
        hash_finish(&pass.hash, pass.count.hash);
    if (rc == ROWS_STOP)
        rc = 0;
    if (rc == 0 && pass.count.rows == 0)
        rc = err_set(ERR_FORMAT, "%s: there is no row in it", path);
    if (rc == 0 && count)
        *count = pass.count;
out:
    text_lines_close(&pass.lines);
    mem_free(path);
    return rc;
}

int rows_difference(const struct corpus *corpus, enum split split, const struct row_count *count,
                    char **line)
{
    const struct row_split *expected = &corpus->rows->splits[split];
    *line = NULL;
    if (count->tokens)
        return mem_printf(line,
                          "corpus %s: the .tokens file of its %s split has <unk> for rare words; "
                          "published figures are measured on the raw text",
                          corpus->name, split_names[split]);
    if (expected->rows && count->rows != expected->rows)
        return mem_printf(line,
                          "corpus %s: its %s split has %zu rows here, the published one has %zu: "
                          "figures do not compare with published ones",
                          corpus->name, split_names[split], count->rows, expected->rows);
    if (expected->hash && count->hash[0] && strcmp(expected->hash, count->hash) != 0)
        return mem_printf(line,
                          "corpus %s: the text of its %s split is not the published one: figures "
                          "do not compare with published ones",
                          corpus->name, split_names[split]);
    return 0;
}
