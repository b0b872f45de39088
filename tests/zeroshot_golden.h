/* lm-evaluation-harness's own results, item by item: ../shared/golden/zeroshot. */
#ifndef TESTS_ZEROSHOT_GOLDEN_H
#define TESTS_ZEROSHOT_GOLDEN_H

#include "datasets/data_folder.h"
#include "tests/golden.h"

#include <jansson.h>

static const char *const zeroshot_tasks[] = {
    "piqa", "boolq", "openbookqa", "winogrande", "arc_easy", "arc_challenge", "hellaswag", NULL};

static inline char *zeroshot_shared(const char *name)
{
    const char *shared = getenv("BITBENCH_SHARED");
    char *path;
    return mem_printf(&path, "%s/%s", shared ? shared : "../shared", name) ? NULL : path;
}

/* Names the folder with the data sets; 0 when neither it nor the golden results are there. */
static inline int zeroshot_there(void)
{
    char *data = zeroshot_shared("data");
    int there = golden_folder() && file_exists(data) && data_folder_set(data) == 0;
    mem_free(data);
    return there;
}

/* The objects of zeroshot/NAME.jsonl as an array; the caller's. NULL when it cannot be read. */
static inline json_t *zeroshot_golden(const char *name)
{
    char path[1200], *line = NULL;
    size_t size = 0;
    json_t *list = json_array();
    snprintf(path, sizeof path, "%s/zeroshot/%s.jsonl", golden_folder(), name);
    FILE *file = fopen(path, "re");
    while (file && getline(&line, &size, file) > 0)
        json_array_append_new(list, json_loads(line, 0, NULL));
    if (file)
        fclose(file);
    free(line);
    return list;
}

/* Text number i of a member that is a text (then the same for each i) or a list of them. */
static inline const char *zeroshot_text(const json_t *object, const char *key, size_t i)
{
    const json_t *value = json_object_get(object, key);
    return json_string_value(json_is_array(value) ? json_array_get(value, i) : value);
}

static inline long zeroshot_number(const json_t *object, const char *key, size_t i)
{
    const json_t *value = json_object_get(object, key);
    return (long)json_integer_value(json_is_array(value) ? json_array_get(value, i) : value);
}

#endif
