/* bitbench mockup: a model with a published shape and random weights */
#include "core/err.h"
#include "harness/command.h"
#include "harness/mockup.h"

#include <stdio.h>

struct mockup_command {
    char out[OPTION_TEXT_SIZE];
    int blocks, layers, seed;
};

#define FIELD(name) offsetof(struct mockup_command, name)
static const struct option mockup_table[] = {
    {.name = "out",
     .type = OPTION_TEXT,
     .offset = FIELD(out),
     .fallback = "",
     .choices = "FOLDER",
     .help = "where the model goes: a folder that is not there yet, or is empty"},
    {.name = "blocks",
     .type = OPTION_INT,
     .offset = FIELD(blocks),
     .fallback = "2",
     .low = 0,
     .high = 4096,
     .help = "blocks that have weights; the others are holes in the file"},
    {.name = "layers",
     .type = OPTION_INT,
     .offset = FIELD(layers),
     .fallback = "0",
     .low = 0,
     .high = 4096,
     .help = "blocks of the model in all (0: as published)"},
    {.name = "seed",
     .type = OPTION_INT,
     .offset = FIELD(seed),
     .fallback = "0",
     .low = 0,
     .high = 2147483647,
     .help = "of the weights"},
    {.name = NULL},
};

static int run_mockup(const struct command_line *line)
{
    int rc;
    struct model_config config;
    const struct mockup_command *options = line->options;
    const struct known_model *known = known_model_find(line->arguments[0]);
    if (!known)
        return err_set(ERR_USAGE,
                       "mockup: no published model is called '%.80s'; LLaMA-7B is an example",
                       line->arguments[0]);
    if (!options->out[0])
        return err_set(ERR_USAGE, "mockup: --out FOLDER is missing: where the model goes");
    TRY(mockup_config(known, &config));
    if (options->layers)
        config.layers = options->layers;
    TRY(mockup_write(options->out, &config, options->blocks, (uint64_t)options->seed));
    printf("%s: the shape of %s, %d of %d blocks with random weights\n", options->out, known->name,
           options->blocks < config.layers ? options->blocks : config.layers, config.layers);
out:
    return rc;
}

const struct command command_mockup = {
    .name = "mockup",
    .summary = "writes a published model's shape with random weights: for measuring",
    .arguments = "MODEL",
    .arguments_min = 1,
    .arguments_max = 1,
    .options = mockup_table,
    .options_size = sizeof(struct mockup_command),
    .description =
        "What a run of a large model takes can be measured without its weights: the folder has its "
        "configuration, random weights in float16 and the embedded model's tokenizer. Blocks that "
        "are not measured take no room on the disk; --max-layer then keeps a run to those that "
        "are. docs/memory.md has an example.",
    .examples = "bitbench mockup LLaMA-7B --out mockup-7b --blocks 2\n",
    .run = run_mockup,
};
