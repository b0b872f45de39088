/* bitbench train SPEC */
#include "harness/command.h"
#include "harness/train_run.h"

struct train_command {
    bool fresh;
};

static const struct option train_table[] = {
    {.name = "fresh",
     .type = OPTION_BOOL,
     .offset = offsetof(struct train_command, fresh),
     .fallback = "false",
     .help = "start anew even where the output folder has a checkpoint"},
    {.name = NULL},
};

static int run_train(const struct command_line *line)
{
    const struct train_command *options = line->options;
    const struct train_request request = {
        .spec = line->arguments[0], .sets = line->list, .fresh = options->fresh};
    return train_run(&request);
}

const struct command command_train = {
    .name = "train",
    .summary = "trains a model from a spec, and its tokenizer where there is none",
    .arguments = "SPEC",
    .arguments_min = 1,
    .arguments_max = 1,
    .argument_kind = ARGUMENT_SPEC,
    .flags = COMMAND_COMPUTES,
    .options = train_table,
    .options_size = sizeof(struct train_command),
    .list = {.name = "set",
             .value = "KEY=VALUE",
             .letter = 's',
             .help = "override a value of the spec, such as training.tokens=2000000"},
    .description =
        "The output folder receives a model in Hugging Face's layout (config.json, "
        "model.safetensors in float16, tokenizer.json), whenever the mean validation loss is the "
        "lowest so far; training.csv, the log; and checkpoint.safetensors, written every few "
        "minutes and when the run is interrupted. The same command goes on from the checkpoint, "
        "to the same bytes as a run that was never stopped.\n\n"
        "The learning rate's schedule is counted in tokens. With `schedule: trapezoid` a run may "
        "be made longer or shorter while the rate is still constant: stop it, change "
        "training.tokens, start it again.",
    .examples = "bitbench train experiments/train/embedded.yaml\n"
                "# a short trial into another folder\n"
                "bitbench train experiments/train/embedded.yaml --set output=build/trial "
                "--set training.tokens=1000000\n",
    .run = run_train,
};
