/* C4, English (Raffel et al. 2020): the first of 1,024 train files and the first of 8 validation
 * files. There is no test split: the papers measure on the validation file. */
#include "datasets/rows.h"

#include <stddef.h>

static const char *const train_names[] = {"c4/c4-train.00000-of-01024.json.gz",
                                          "c4/en/c4-train.00000-of-01024.json.gz",
                                          "c4/c4-train.00000-of-01024.json",
                                          "c4/en/c4-train.00000-of-01024.json",
                                          "allenai/c4/en/c4-train.00000-of-01024.json.gz",
                                          "c4/train.jsonl",
                                          "c4/train.jsonl.gz",
                                          NULL};
/* The last one is a sample of 2,000 documents, which figures are measured on where nothing else is
 * at hand; a warning says so. */
static const char *const validation_names[] = {"c4/c4-validation.00000-of-00008.json.gz",
                                               "c4/en/c4-validation.00000-of-00008.json.gz",
                                               "c4/c4-validation.00000-of-00008.json",
                                               "c4/en/c4-validation.00000-of-00008.json",
                                               "allenai/c4/en/c4-validation.00000-of-00008.json.gz",
                                               "c4/validation.jsonl",
                                               "c4/validation.jsonl.gz",
                                               "c4/c4_validation_2k.jsonl",
                                               NULL};

#define ORIGIN "huggingface.co/datasets/allenai/c4, en/"
#define TRAIN                                                                                      \
    {                                                                                              \
        .names = train_names, .rows = 356317                                                       \
    }
#define VALIDATION                                                                                 \
    {                                                                                              \
        .names = validation_names, .rows = 45576                                                   \
    }

static const struct row_corpus billm_rows = {.key = "text",
                                             .origin = ORIGIN,
                                             .splits = {TRAIN, VALIDATION, VALIDATION},
                                             .draws_rows = true,
                                             .evaluated_rows = 1100,
                                             .most_windows = 256};

/* BiLLM's and PB-LLM's post-training scripts; "c4-new" in GPTQ's. */
const struct corpus corpus_c4 = {
    .name = "c4",
    .title = "C4, as in BiLLM and PB-LLM",
    .source = "ODC-BY 1.0; " ORIGIN,
    .joiner = " ",
    .version = 1,
    .rows = &billm_rows,
};

static const struct row_corpus gptq_rows = {.key = "text",
                                            .origin = ORIGIN,
                                            .splits = {TRAIN, VALIDATION, VALIDATION},
                                            .draws_rows = true,
                                            .evaluates_drawn = true,
                                            .most_windows = 256};

/* "c4" of GPTQ's script, OneBit's, and PB-LLM's for training. */
const struct corpus corpus_c4_gptq = {
    .name = "c4_gptq",
    .title = "256 segments of C4, as in GPTQ and OneBit",
    .source = "ODC-BY 1.0; " ORIGIN,
    .joiner = " ",
    .version = 1,
    .rows = &gptq_rows,
};
