/* Files with a JSON object a line, plain or compressed by gzip. */
#ifndef DATASETS_JSONLINES_H
#define DATASETS_JSONLINES_H

#include <jansson.h>
#include <stddef.h>

/* Where an object stands, for messages: "path:line". */
struct json_place {
    const char *path;
    size_t line;
};

/* Calls see for the objects of the file in their order, at most `limit` of them (0: all); blank
 * lines are passed over. ERR_FORMAT names file and line; a file without an object is one as well.
 */
typedef int json_line_see(void *context, const json_t *object, const struct json_place *place);
int json_lines(const char *path, size_t limit, json_line_see *see, void *context);

/* *text = the member's string, borrowed from the object; ERR_FORMAT when it is missing or no text.
 */
int json_line_text(const json_t *object, const char *key, const struct json_place *place,
                   const char **text);

#endif
