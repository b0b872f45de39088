/* Between the files of the spec reader; nobody else includes this. */
#ifndef HARNESS_SPEC_INTERNAL_H
#define HARNESS_SPEC_INTERNAL_H

#include "core/mem.h"
#include "core/yaml.h"
#include "harness/spec.h"

/* Keys of the sections calibration and evaluation that are fields of struct experiment. */
extern const struct option calibration_flag_table[], evaluation_flag_table[];

/* A key whose values span one dimension of a grid. */
struct axis {
    const struct option *table; /* where the key was found */
    const struct option *row;
    const struct yaml_node *node; /* the key's value: a text, or a list of texts */
    size_t count;
};

enum { SPEC_MAX_AXES = 64 };

struct axes {
    struct axis items[SPEC_MAX_AXES];
    int count;
};

/* The value number i of an axis. */
const struct yaml_node *axis_value(const struct axis *axis, size_t i);

/* Adds a key; every value must be a single one. ERR_USAGE names file and line. */
int axes_add(struct axes *axes, const struct yaml *yaml, const struct option *table,
             const struct option *row, const struct yaml_node *node);

/* The product of all counts, at most `limit` + 1. */
size_t axes_combinations(const struct axes *axes, size_t limit);

/* The values of combination number `index`, the last axis fastest, into target by axes' table. */
int axes_apply(const struct axes *axes, const struct yaml *yaml, const struct option *table,
               void *target, size_t index);

/* Sets a single value from the node. */
int spec_set(const struct yaml *yaml, const struct option *table, void *target,
             const struct yaml_node *node);

/* "unknown key ...", with the nearest of the two tables' names (second may be NULL) and the further
 * words (end with NULL). */
int spec_unknown(const struct yaml *yaml, const struct yaml_node *node, const struct option *first,
                 const struct option *second, const char *const *words);

/* Checks the names of corpora in "a+file:b": each must be known. `joined`: whether '+' is allowed.
 */
int spec_check_corpora(const struct yaml *yaml, const struct yaml_node *node, const char *list,
                       bool joined);

/* spec_include.c: the file, what it includes, and its sets in place of their names; *text receives
 * the files' texts. */
int spec_read_files(struct yaml *yaml, const char *path, struct strbuf *text);

/* Applies one "key=value"; *methods_touched becomes true by keys of methods. */
int spec_override(struct yaml *yaml, const char *text, bool *methods_touched);

/* spec_grid.c: fills points. drop_equal: equal points are counted once instead of being an error.
 */
int spec_read_methods(struct experiment *experiment, const struct yaml *yaml,
                      const struct axes *calibration, bool drop_equal);

/* spec_point.c. `set` holds the keys of the entry that were written out; calibration the axes that
 * vary. */
int point_make_label(struct point *point, const struct axes *set, const struct axes *calibration);
void point_release(struct point *point);
/* ERR_USAGE naming both places, or, with drop_equal, the later ones are taken out. */
int points_check_equal(struct experiment *experiment, bool drop_equal);

#endif
