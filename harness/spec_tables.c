/* The option tables of a spec's sections. */
#include "harness/spec.h"

#include <stddef.h>

#define NAME(text) text

#define FIELD(name) offsetof(struct harness_options, name)
const struct option harness_option_table[] = {
#include "harness/selection_rows.def"
    {.name = "layer_errors",
     .type = OPTION_BOOL,
     .offset = FIELD(layer_errors),
     .fallback = "true",
     .measures = true,
     .help = "calibrate methods that need no calibration as well, to measure their "
             "Hessian-weighted layer errors"},
    {.name = "drift",
     .type = OPTION_BOOL,
     .offset = FIELD(drift),
     .fallback = "true",
     .measures = true,
     .help = "measure behind each block how far the calibration's activations are from the full "
             "model's"},
    {.name = NULL},
};
#undef FIELD

#define FIELD(name) offsetof(struct calibration_spec, name)
const struct option calibration_option_table[] = {
#include "harness/calibration_rows.def"
    {.name = NULL},
};
#undef FIELD

const struct option calibration_flag_table[] = {
    {.name = "allow_overlap",
     .type = OPTION_BOOL,
     .offset = offsetof(struct experiment, allow_overlap),
     .fallback = "false",
     .help = "measure, and mark, points whose calibration holds more than 5 % of an evaluation"},
    {.name = NULL},
};

const struct option evaluation_flag_table[] = {
    {.name = "divergence",
     .type = OPTION_BOOL,
     .offset = offsetof(struct experiment, divergence),
     .fallback = "true",
     .help =
         "compare quantized points with full precision, token by token of the perplexity texts"},
    {.name = "drift",
     .type = OPTION_BOOL,
     .offset = offsetof(struct experiment, drift),
     .fallback = "true",
     .help = "measure by block how far the calibration's activations are from the full model's; "
             "false: for no point of the spec"},
    {.name = NULL},
};

#define FIELD(name) offsetof(struct perplexity_spec, name)
const struct option perplexity_option_table[] = {
    {.name = "corpus",
     .type = OPTION_TEXT,
     .offset = FIELD(corpus),
     .fallback = "",
     .help = "corpus to measure on: a name, file:PATH or ids:FILE"},
    {.name = "tokens",
     .type = OPTION_INT,
     .offset = FIELD(tokens),
     .fallback = "0",
     .low = 0,
     .high = 2147483647,
     .help = "only the first tokens of the text; 0: all"},
    {.name = "window",
     .type = OPTION_INT,
     .offset = FIELD(window),
     .fallback = "256",
     .low = 2,
     .high = 1 << 20,
     .help = "tokens of a window; windows do not overlap"},
    {.name = "windows",
     .type = OPTION_INT,
     .offset = FIELD(windows),
     .fallback = "0",
     .low = 0,
     .high = 2147483647,
     .help = "only the first windows; 0: all"},
    {.name = "split",
     .type = OPTION_CHOICE,
     .offset = FIELD(split),
     .fallback = "test",
     .choices = "train|validation|test",
     .help = "part of the corpus"},
    {.name = "rule",
     .type = OPTION_CHOICE,
     .offset = FIELD(rule),
     .fallback = "windows",
     .choices = "windows|second-half",
     .help = "which tokens of a window count: all but its first, as in the papers, or those of its "
             "second half, as llama.cpp does"},
    {.name = NULL},
};
#undef FIELD

#define FIELD(name) offsetof(struct choice_spec, name)
const struct option choice_option_table[] = {
    {.name = "task",
     .type = OPTION_TEXT,
     .offset = FIELD(task),
     .fallback = "",
     .help = "multiple-choice task: a name, or jsonl:PATH"},
    {.name = "items",
     .type = OPTION_TEXT,
     .offset = FIELD(range),
     .fallback = "0",
     .help = "the first so many questions (0: all), or A-B: those from number A to B, counted from "
             "0"},
    {.name = "scoring",
     .type = OPTION_TEXT,
     .offset = FIELD(rules),
     .fallback = "default",
     .help = "how log-likelihoods become a score: sum, tokens, bytes, characters or pmi, several "
             "joined by +; default: the task's own rules"},
    {.name = "seed",
     .type = OPTION_INT,
     .offset = FIELD(seed),
     .fallback = "0",
     .low = 0,
     .high = 2147483647,
     .help = "seed of the draw of questions"},
    {.name = NULL},
};
#undef FIELD
