/* WikiText-2 raw (Merity et al. 2016): what the papers calibrate and measure on. */
#include "datasets/rows.h"

#include <stddef.h>

/* As a file by itself, in Hugging Face's folder converted to JSON lines, in the original archive's
 * folder. The .tokens files have rare words replaced by <unk>; the papers take the raw text. */
#define FILES(split, word)                                                                         \
    {                                                                                              \
        "wikitext2/wiki." word ".raw", "wikitext2/" split ".jsonl",                                \
            "wikitext2/" split ".jsonl.gz", "wikitext2/" split "-00000-of-00001.jsonl",            \
            "wikitext-2-raw/wiki." word ".raw", "wikitext-2-raw-v1/" split ".jsonl",               \
            "wikitext-2-raw-v1/" split "-00000-of-00001.jsonl",                                    \
            "wikitext/wikitext-2-raw-v1/" split "-00000-of-00001.jsonl",                           \
            "wikitext2/wiki." word ".tokens", "wikitext-2/wiki." word ".tokens",                   \
            "wikitext2/" split "-00000-of-00001.parquet",                                          \
            "wikitext-2-raw-v1/" split "-00000-of-00001.parquet",                                  \
            "wikitext/wikitext-2-raw-v1/" split "-00000-of-00001.parquet", NULL                    \
    }
static const char *const train_names[] = FILES("train", "train");
static const char *const validation_names[] = FILES("validation", "valid");
static const char *const test_names[] = FILES("test", "test");

#define SPLITS                                                                                     \
    {                                                                                              \
        [SPLIT_TRAIN] = {.names = train_names, .rows = 36718},                                     \
        [SPLIT_VALIDATION] =                                                                       \
            {.names = validation_names,                                                            \
             .rows = 3760,                                                                         \
             .hash = "18c5c92e62d3aac1db20459ef29e58d88ee91ce1810dcb6b526324eb27ce330a"},          \
        [SPLIT_TEST] = {                                                                           \
            .names = test_names,                                                                   \
            .rows = 4358,                                                                          \
            .hash = "85832a0a19e062515565bfb5cd3ebe19efd21bb7cae77ff6bb7e3a3a26fe3cc5"             \
        }                                                                                          \
    }
#define ORIGIN "huggingface.co/datasets/Salesforce/wikitext, wikitext-2-raw-v1"

static const struct row_corpus billm_rows = {
    .rule = ROW_LINE, .key = "text", .origin = ORIGIN, .splits = SPLITS, .calibration_joiner = " "};

/* BiLLM's and PB-LLM's post-training scripts. */
const struct corpus corpus_wikitext2 = {
    .name = "wikitext2",
    .title = "WikiText-2 raw, as in BiLLM and PB-LLM",
    .source = "CC BY-SA 3.0 and GFDL; " ORIGIN,
    .joiner = "\n\n",
    .version = 1,
    .rows = &billm_rows,
};

static const struct row_corpus gptq_rows = {.rule = ROW_LINE,
                                            .key = "text",
                                            .origin = ORIGIN,
                                            .splits = SPLITS,
                                            .calibration_joiner = "\n\n"};

/* GPTQ's script, OneBit's, and PB-LLM's for training. */
const struct corpus corpus_wikitext2_gptq = {
    .name = "wikitext2_gptq",
    .title = "WikiText-2 raw, as in GPTQ and OneBit",
    .source = "CC BY-SA 3.0 and GFDL; " ORIGIN,
    .joiner = "\n\n",
    .version = 1,
    .rows = &gptq_rows,
};
