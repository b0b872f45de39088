/* Penn Treebank as Mikolov prepared it (rare words are <unk>, numbers N), a sentence a line. */
#include "datasets/rows.h"

#include <stddef.h>

#define FILES(split, word)                                                                         \
    {                                                                                              \
        "ptb/ptb." word ".txt", "ptb/" split ".jsonl", "ptb/" split ".jsonl.gz",                   \
            "ptb/" split "-00000-of-00001.jsonl", "simple-examples/data/ptb." word ".txt",         \
            "ptb_text_only/ptb." word ".txt", "ptb_text_only/" split ".jsonl",                     \
            "ptb/" split "-00000-of-00001.parquet",                                                \
            "ptb_text_only/" split "-00000-of-00001.parquet", NULL                                 \
    }
static const char *const train_names[] = FILES("train", "train");
static const char *const validation_names[] = FILES("validation", "valid");
static const char *const test_names[] = FILES("test", "test");

#define ORIGIN "huggingface.co/datasets/ptb-text-only/ptb_text_only"
#define TRAIN                                                                                      \
    {                                                                                              \
        .names = train_names, .rows = 42068                                                        \
    }
#define VALIDATION                                                                                 \
    {                                                                                              \
        .names = validation_names, .rows = 3370,                                                   \
        .hash = "97a40c5f3de01ad4bfa0f186b6da02b7be7a857adfac204692cfb6b0b185b85e"                 \
    }
#define TEST                                                                                       \
    {                                                                                              \
        .names = test_names, .rows = 3761,                                                         \
        .hash = "4b376dda4c31dcbca4e5f6398ba103ce5d73fd4a8e0a22e5baf64e65b2e38364"                 \
    }

static const struct row_corpus billm_rows = {.rule = ROW_STRIPPED,
                                             .key = "sentence",
                                             .origin = ORIGIN,
                                             .splits = {TRAIN, VALIDATION, TEST},
                                             .calibration_joiner = " "};

/* BiLLM's and PB-LLM's post-training scripts; "ptb-new" in GPTQ's. */
const struct corpus corpus_ptb = {
    .name = "ptb",
    .title = "Penn Treebank, as in BiLLM and PB-LLM",
    .source = "LDC99T42, for measuring only; " ORIGIN,
    .joiner = " ",
    .version = 1,
    .rows = &billm_rows,
};

/* What they measure on is the validation split. */
static const struct row_corpus gptq_rows = {.rule = ROW_STRIPPED,
                                            .key = "sentence",
                                            .origin = ORIGIN,
                                            .splits = {TRAIN, VALIDATION, VALIDATION},
                                            .calibration_joiner = "\n\n"};

/* "ptb" of GPTQ's script, OneBit's, and PB-LLM's for training. */
const struct corpus corpus_ptb_gptq = {
    .name = "ptb_gptq",
    .title = "Penn Treebank's validation split, as in GPTQ",
    .source = "LDC99T42, for measuring only; " ORIGIN,
    .joiner = "\n\n",
    .version = 1,
    .rows = &gptq_rows,
};
