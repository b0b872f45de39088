/* Between the files of the spec reader; nobody else includes this. */
#ifndef HARNESS_SPEC_INTERNAL_H
#define HARNESS_SPEC_INTERNAL_H

#include "core/mem.h"
#include "core/yaml.h"
#include "harness/spec.h"

/* Keys of the sections calibration and evaluation that are fields of struct experiment. */
extern const struct option calibration_flag_table[], evaluation_flag_table[];

/* Whose options an axis sets. */
enum { AXIS_AFTER = -1, AXIS_ENTRY = 0, AXIS_RULE = 1 /* and one more for each further rule */ };

/* A key whose values span one dimension of a grid, or share one with others (`zip`). */
struct axis {
    const struct option *table; /* where the key was found */
    const struct option *row;
    const struct yaml_node *node; /* the key's value: a text, or a list of texts */
    size_t count;
    int owner; /* AXIS_... */
    int zip;   /* 0, or the number of the zip that it belongs to; its axes follow each other */
};

enum { SPEC_MAX_AXES = 64 };

struct axes {
    struct axis items[SPEC_MAX_AXES];
    int count, zips;
    bool zipping; /* what is added now belongs to zip number `zips` */
};

/* The value number i of an axis. */
const struct yaml_node *axis_value(const struct axis *axis, size_t i);

/* Adds a key; every value must be a single one. ERR_USAGE names file and line. */
int axes_add(struct axes *axes, const struct yaml *yaml, const struct option *table,
             const struct option *row, const struct yaml_node *node, int owner);

/* Each mapping of `zip` (one, or a list of them), by what adds one key: context is the caller's. */
int axes_read_zip(struct axes *axes, const struct yaml *yaml, const struct yaml_node *node,
                  int (*add)(void *context, const struct yaml_node *key), void *context);

/* The product of all counts, at most `limit` + 1. */
size_t axes_combinations(const struct axes *axes, size_t limit);

/* The values of combination number `index`, the last axis fastest, into target by axes' table and
 * owner. */
int axes_apply(const struct axes *axes, const struct yaml *yaml, const struct option *table,
               int owner, void *target, size_t index);

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

/* Whether the command line set something of the methods: points that become equal by it count once;
 * or of what `exclude` speaks of: patterns may then match nothing. */
struct touched {
    bool methods, grid;
};

/* Applies one "key=value". */
int spec_override(struct yaml *yaml, const char *text, struct touched *touched);

/* spec_range.c: ranges and `seeds` become lists. */
int spec_expand_ranges(struct yaml *yaml);

/* One entry of `methods` with one method, and what its keys say. */
struct entry {
    const struct yaml *yaml;
    const struct yaml_node *node;
    const struct quant_method *method; /* NULL: full */
    struct axes axes;
    const struct axes *calibration;
    const struct quant_method *after; /* or NULL */
    struct layer_rule *rules;         /* without their options */
    int rule_count;
};

/* spec_rules.c: the entry's keys `layers` and `after`; what they find goes to entry->rules and
 * entry->after, their options to entry->axes. */
int entry_read_rules(struct entry *entry, const struct yaml_node *list);
int entry_read_after(struct entry *entry, const struct yaml_node *map);
void entry_release_rules(struct entry *entry);
/* Combination number `index` of them: into a point that has its own method and options already. */
int entry_apply_rules(const struct entry *entry, size_t index, struct point *point);

/* spec_exclude.c: takes out the points from number `first` on that a pattern of `exclude` matches.
 * One that matches none is an error, unless `lenient`. */
int spec_exclude(struct experiment *experiment, const struct yaml *yaml,
                 const struct yaml_node *exclude, int first, bool lenient);

/* spec_grid.c: fills points. */
int spec_read_methods(struct experiment *experiment, const struct yaml *yaml,
                      const struct axes *calibration, const struct touched *touched);

/* spec_point.c. `set` holds the keys of the entry that were written out; calibration the axes that
 * vary. */
int point_make_label(struct point *point, const struct axes *set, const struct axes *calibration);
void point_release(struct point *point);
/* ERR_USAGE naming both places, or, with drop_equal, the later ones are taken out. */
int points_check_equal(struct experiment *experiment, bool drop_equal);

#endif
