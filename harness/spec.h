/* Experiment specs: YAML in, a grid of points out. Every point has every option resolved; two equal
 * points in a spec are an error. Unknown keys and bad values name file, line and the nearest valid
 * name. */
#ifndef HARNESS_SPEC_H
#define HARNESS_SPEC_H

#include "core/hash.h"
#include "core/options.h"
#include "datasets/dataset.h"
#include "methods/method.h"

#include <jansson.h>
#include <stdbool.h>

enum { SPEC_NAME = 64 };

/* Options that belong to the harness and work for every method. */
struct harness_options {
    int min_layer, max_layer; /* blocks min_layer .. max_layer - 1 are quantized; -1: from the
                                 first, to the last */
    char quant_only[OPTION_TEXT_SIZE]; /* only linear layers whose name contains this; "" all */
    bool invert;                       /* the other layers instead */
    bool layer_errors; /* measure Hessian-weighted layer errors for methods that need no calibration
                          as well */
    bool drift; /* measure by block how far activations drift from the full model's. A diagnostic:
                   no part of any id */
    int seed;
};
extern const struct option harness_option_table[];

struct calibration_spec {
    char corpus[OPTION_TEXT_SIZE]; /* a corpus name, "file:PATH", or several joined by '+' (samples
                                      split evenly) */
    int samples, length, seed;
    int split; /* enum split; the default is train */
    int draw;  /* enum calibration_draw, or -1: what the corpus implies */
};
/* Who draws the segments: bitbench's generator, Python's, or nobody: they are the text's first. */
enum calibration_draw { DRAW_OWN, DRAW_PYTHON, DRAW_GIVEN };
extern const struct option calibration_option_table[];

/* Which tokens of a window count: see perplexity_prepare. */
enum perplexity_rule { RULE_WINDOWS, RULE_SECOND_HALF };
extern const char *const perplexity_rule_names[]; /* "windows", "second-half" */

/* One text to measure perplexity on: windows without overlap over the first `tokens` tokens (0:
 * all) of a split. */
struct perplexity_spec {
    char corpus[OPTION_TEXT_SIZE];
    int tokens, window, split;
    int windows; /* at most so many of them; 0: all */
    int rule;    /* enum perplexity_rule */
};
extern const struct option perplexity_option_table[];

struct choice_spec {
    char task[OPTION_TEXT_SIZE];
    char range[OPTION_TEXT_SIZE]; /* "items" as written: "200", "100-199" */
    char rules[OPTION_TEXT_SIZE]; /* "scoring" as written: "sum", "sum+characters", "default" */
    int seed;
    int first, items;  /* of range: that many from number `first` on; 0: all */
    unsigned scorings; /* of rules: 1u << SCORE_... of each; 0: the task's own */
};
extern const struct option choice_option_table[];

/* Fills the last members from range and rules, which are brought into one form. ERR_USAGE. */
int choice_spec_resolve(struct choice_spec *spec);

enum { RULE_RANGES = 16 };

/* One entry of `layers`: what the layers get that it matches (harness/layer_plan.h). */
struct layer_rule {
    char match[OPTION_TEXT_SIZE];  /* patterns of names, "q_proj|k_proj"; "": every name */
    char blocks[OPTION_TEXT_SIZE]; /* as written, "0-3,-1"; "": every block */
    struct {
        int first, last; /* both included; negative: counted from the end, -1 is the last block */
    } ranges[RULE_RANGES];
    int range_count;
    const struct quant_method *method; /* NULL: the layers are left alone (`skip: true`) */
    void *options;                     /* method->options_size bytes, or NULL */
    char *text;                        /* the options as JSON; NULL for skipped layers */
    char *where;                       /* "quickstart.yaml:12" */
};

struct point {
    const struct quant_method *method; /* NULL: full precision (`method: full`) */
    void *method_options;              /* method->options_size bytes, or NULL */
    const struct quant_method *after;  /* `after`: prunes each layer before it is quantized; or NULL
                                        */
    void *after_options;
    struct layer_rule *rules; /* `layers`: the first that matches decides */
    int rule_count;
    struct harness_options harness;
    struct calibration_spec calibration;
    char *label; /* what the spec sets and what differs from the defaults: "gptq bits=2
                    group_size=128" */
    char *where; /* "quickstart.yaml:12" */
};

struct experiment {
    char name[SPEC_NAME];
    char *title, *path;
    char *data; /* the folder of data sets, where --data names none; or NULL. No part of any id */
    char *tokenizer; /* a path in place of the model's own tokenizer; or NULL */
    char *model;   /* the present one of `models`: a folder, a name (see models.h) or "embedded" */
    char **models; /* in the order of the spec, at least one */
    int model_count;
    int model_index; /* of `model` */
    char *text;      /* the spec as read, included files as comments: for the record */
    size_t memory;   /* bytes to keep to (harness/memory_limit.h); 0: not said. No part of any id */
    bool divergence; /* perplexity texts are compared with full precision. No part of any id */
    bool drift;      /* false: no point measures its drift, whatever its own options say */
    bool allow_overlap; /* of calibration and evaluation, marked in the rows. No part of any id */
    struct perplexity_spec *perplexities;
    int perplexity_count;
    struct choice_spec *choices;
    int choice_count;
    struct point *points;
    int point_count;
};

enum { SPEC_MAX_POINTS = 10000, SPEC_MAX_MODELS = 64 };

/* Reads a spec; a path that is not there is also looked for among the program's own data.
 * `include: FILE`, or a list of files, beside the spec brings in the keys that the spec does not
 * set, mapping by mapping; "- set: NAME" in methods, evaluation.perplexity or evaluation.tasks
 * stands for the entries of that list in `sets`. `model` may be a list: the points are the same for
 * each. In
 * `methods` and `calibration` a list of values means a grid: every combination, in the order
 * written, the last key fastest, and the calibration's keys fastest of all (methods that need no
 * calibration are not repeated for them). `zip`, ranges, `seeds`, `exclude`, `layers` and `after`
 * are described in docs/spec.md. overrides are "key=value" texts of --set ("model=PATH",
 * "calibration.samples=64", "evaluation.perplexity.tokens=16000" for all entries, "methods.bits=2"
 * for the methods that have it); they win over the file, and points that become equal by them count
 * once. */
int spec_load(struct experiment *experiment, const char *path, const char *const *overrides,
              int override_count);
void experiment_release(struct experiment *experiment);

/* The points are for the index-th model of the list from now on; spec_load chooses the first. */
int experiment_choose_model(struct experiment *experiment, int index);

/* All questions of every task; entries that become equal by that count once. */
int experiment_ask_all(struct experiment *experiment);

/* 1 when the point's settings include its calibration: the method needs one, or layer errors are
 * wanted. */
bool point_calibrates(const struct point *point);

/* The method's name in the database: "billm", "prune+billm", "full". */
enum { POINT_METHOD_SIZE = 64 };
void point_method_name(const struct point *point, char out[POINT_METHOD_SIZE]);

/* *out = the point's settings as a JSON object: method, every option, harness, calibration (only
 * where the method needs it), after and layers (only where the spec has them). With the model's,
 * data's and code's hashes added by run.c it is hashed into the point's id. */
int point_settings(const struct point *point, json_t **out);

#endif
