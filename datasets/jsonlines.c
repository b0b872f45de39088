#include "datasets/jsonlines.h"

#include "core/err.h"
#include "datasets/textlines.h"

#include <string.h>

static int see_line(const char *line, size_t length, const struct json_place *place,
                    json_line_see *see, void *context)
{
    json_error_t error;
    json_t *object = json_loadb(line, length, JSON_REJECT_DUPLICATES, &error);
    if (!object)
        return err_set(ERR_FORMAT, "%s:%zu: not a JSON object: column %d: %s", place->path,
                       place->line, error.column, error.text);
    int rc = json_is_object(object)
                 ? see(context, object, place)
                 : err_set(ERR_FORMAT, "%s:%zu: not a JSON object: one a line is expected",
                           place->path, place->line);
    json_decref(object);
    return rc;
}

static int is_blank(const char *line, size_t length)
{
    size_t at = 0;
    while (at < length && line[at] && strchr(" \t\r", line[at]))
        at++;
    return at == length;
}

int json_lines(const char *path, size_t limit, json_line_see *see, void *context)
{
    struct text_lines lines = {0};
    struct json_place place = {.path = path};
    size_t seen = 0, length;
    const char *line;
    int rc;
    TRY(text_lines_open(&lines, path));
    while (limit == 0 || seen < limit) {
        TRY(text_lines_next(&lines, &line, &length, NULL));
        if (!line)
            break;
        place.line = lines.number;
        if (is_blank(line, length))
            continue;
        TRY(see_line(line, length, &place, see, context));
        seen++;
    }
    if (seen == 0)
        rc = err_set(ERR_FORMAT, "%s: there is no question in it", path);
out:
    text_lines_close(&lines);
    return rc;
}

int json_line_text(const json_t *object, const char *key, const struct json_place *place,
                   const char **text)
{
    const json_t *value = json_object_get(object, key);
    const char *found = json_string_value(value);
    if (!found)
        return err_set(ERR_FORMAT, "%s:%zu: \"%s\" %s", place->path, place->line, key,
                       value ? "is no text" : "(a text) is missing");
    *text = found;
    return 0;
}
