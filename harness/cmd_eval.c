/* bitbench eval: a model as it is, on texts and questions, without a database */
#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/progress.h"
#include "harness/command.h"
#include "harness/eval_report.h"
#include "harness/model_folder.h"
#include "harness/run.h"

#include <stdio.h>
#include <string.h>

struct eval_command {
    char model[OPTION_TEXT_SIZE], tokenizer[OPTION_TEXT_SIZE], corpora[OPTION_TEXT_SIZE],
        tasks[OPTION_TEXT_SIZE], items[OPTION_TEXT_SIZE], scoring[OPTION_TEXT_SIZE],
        samples[OPTION_TEXT_SIZE], reference[OPTION_TEXT_SIZE];
    int window, tokens, windows, split, seed, rule;
};

static const struct option eval_table[] = {
    {.name = "model",
     .type = OPTION_TEXT,
     .offset = offsetof(struct eval_command, model),
     .fallback = "embedded",
     .choices = "PATH",
     .help = "a model's folder or GGUF file, or embedded"},
    {.name = "tokenizer",
     .type = OPTION_TEXT,
     .offset = offsetof(struct eval_command, tokenizer),
     .fallback = "",
     .choices = "PATH",
     .help = "a tokenizer in place of the model's own: what `bitbench tokenize` takes"},
    {.name = "corpora",
     .type = OPTION_TEXT,
     .offset = offsetof(struct eval_command, corpora),
     .fallback = "",
     .choices = "NAMES",
     .help = "texts to measure perplexity on, separated by commas: kjv, file:PATH, ids:FILE, ..."},
    {.name = "window",
     .type = OPTION_INT,
     .offset = offsetof(struct eval_command, window),
     .fallback = "256",
     .low = 2,
     .high = 1 << 20,
     .choices = "TOKENS",
     .help = "length of a perplexity window"},
    {.name = "tokens",
     .type = OPTION_INT,
     .offset = offsetof(struct eval_command, tokens),
     .fallback = "0",
     .low = 0,
     .high = 1e9,
     .choices = "TOKENS",
     .help = "only the first tokens of each text (0: all)"},
    {.name = "windows",
     .type = OPTION_INT,
     .offset = offsetof(struct eval_command, windows),
     .fallback = "0",
     .low = 0,
     .high = 1e9,
     .choices = "WINDOWS",
     .help = "only the first windows of each text (0: all)"},
    {.name = "split",
     .type = OPTION_CHOICE,
     .offset = offsetof(struct eval_command, split),
     .fallback = "test",
     .choices = "train|validation|test",
     .help = "which part of the texts"},
    {.name = "rule",
     .type = OPTION_CHOICE,
     .offset = offsetof(struct eval_command, rule),
     .fallback = "windows",
     .choices = "windows|second-half",
     .help = "which tokens of a window count: all but its first, as in the papers, or those of its "
             "second half, as llama.cpp does"},
    {.name = "reference",
     .type = OPTION_TEXT,
     .offset = offsetof(struct eval_command, reference),
     .fallback = "",
     .choices = "PATH",
     .help = "a model to compare with on the texts: the one that --model was quantized from"},
    {.name = "tasks",
     .type = OPTION_TEXT,
     .offset = offsetof(struct eval_command, tasks),
     .fallback = "",
     .choices = "NAMES",
     .help = "tasks, separated by commas: piqa, kjv_half, jsonl:PATH, lastword:PATH, ..."},
    {.name = "items",
     .type = OPTION_TEXT,
     .offset = offsetof(struct eval_command, items),
     .fallback = "0",
     .choices = "ITEMS",
     .help = "only so many first questions of each task (0: all), or A-B: number A to B, from 0"},
    {.name = "scoring",
     .type = OPTION_TEXT,
     .offset = offsetof(struct eval_command, scoring),
     .fallback = "default",
     .choices = "RULES",
     .help = "how a choice is scored: sum, tokens, bytes, characters or pmi, several joined by +; "
             "default: the task's own rules"},
    {.name = "seed",
     .type = OPTION_INT,
     .offset = offsetof(struct eval_command, seed),
     .fallback = "0",
     .low = 0,
     .high = 2147483647,
     .help = "of the draw of questions"},
    {.name = "samples",
     .type = OPTION_TEXT,
     .offset = offsetof(struct eval_command, samples),
     .fallback = "",
     .choices = "FILE",
     .help = "write every window and item as a JSON line to this file"},
    {.name = NULL},
};

/* Copies the next part of a comma-separated list; returns 0 at its end. */
static int next_name(const char **list, char *name, size_t size)
{
    size_t length = strcspn(*list, ",");
    if (**list == '\0')
        return 0;
    snprintf(name, size, "%.*s", (int)length, *list);
    *list += length + ((*list)[length] == ',');
    return 1;
}

static int count_names(const char *list)
{
    char name[OPTION_TEXT_SIZE];
    int count = 0;
    while (next_name(&list, name, sizeof name))
        count++;
    return count;
}

/* The experiment that a spec file with these texts and tasks would give. */
static int make_experiment(const struct eval_command *options, struct experiment *experiment)
{
    int rc, corpora_count = count_names(options->corpora), task_count = count_names(options->tasks);
    const char *names = options->corpora;
    if (corpora_count + task_count == 0)
        return err_set(ERR_USAGE, "nothing to measure: give --corpora kjv,... or --tasks "
                                  "kjv_half,... (see `bitbench datasets`)");
    TRY(mem_strdup(&experiment->model, options->model));
    TRY(mem_strdup(&experiment->tokenizer, options->tokenizer));
    TRY(mem_calloc(&experiment->perplexities, (size_t)corpora_count,
                   sizeof *experiment->perplexities));
    TRY(mem_calloc(&experiment->choices, (size_t)task_count, sizeof *experiment->choices));
    for (int i = 0; i < corpora_count; i++) {
        struct perplexity_spec *spec = &experiment->perplexities[experiment->perplexity_count++];
        *spec = (struct perplexity_spec){.tokens = options->tokens,
                                         .window = options->window,
                                         .split = options->split,
                                         .windows = options->windows,
                                         .rule = options->rule};
        next_name(&names, spec->corpus, sizeof spec->corpus);
    }
    names = options->tasks;
    for (int i = 0; i < task_count; i++) {
        struct choice_spec *spec = &experiment->choices[experiment->choice_count++];
        *spec = (struct choice_spec){.seed = options->seed};
        snprintf(spec->range, sizeof spec->range, "%s", options->items);
        snprintf(spec->rules, sizeof spec->rules, "%s", options->scoring);
        next_name(&names, spec->task, sizeof spec->task);
        rc = choice_spec_resolve(spec);
        if (rc) {
            err_prefix(rc, "--items, --scoring");
            goto out;
        }
    }
out:
    return rc;
}

/* The states of --reference's model on the run's texts. */
static int make_reference(const struct run *run, const char *path, struct model *model,
                          struct reference_states *states)
{
    int rc;
    char *folder = NULL;
    if (!path[0])
        return 0;
    TRY(model_folder(&folder, path));
    TRY(model_folder_open(model, folder));
    if (model->config.vocabulary != run->model.config.vocabulary)
        TRY(err_set(ERR_USAGE,
                    "--reference %s: a vocabulary of %d tokens, and %d of the model's: only models "
                    "with the same tokens can be compared",
                    path, model->config.vocabulary, run->model.config.vocabulary));
    TRY(evaluation_check_lengths(&run->evaluation, &model->config));
    reference_states_begin(states, model, &run->evaluation, (struct memory_stream){0});
    if (!states->model)
        TRY(err_set(ERR_USAGE, "--reference compares on texts: give --corpora too"));
    TRY(reference_states_make(states));
out:
    mem_free(folder);
    return rc;
}

static int eval_command(const struct command_line *line)
{
    int rc;
    struct run run = {0};
    struct pipeline_output output = {0};
    struct file_writer writer = {0};
    struct model reference = {0};
    const struct eval_command *options = line->options;
    static const struct point full = {.label = NULL};
    TRY(make_experiment(options, &run.experiment));
    TRY(run_open_model(&run));
    struct pipeline_input input = {
        .model = &run.model, .point = &full, .evaluation = &run.evaluation.stream};
    if (options->samples[0])
        TRY(file_write_begin(&writer, options->samples));
    progress_begin("eval", 1, NULL);
    progress_point(0, options->model);
    rc = make_reference(&run, options->reference, &reference, &run.reference);
    if (run.reference.ready)
        input.reference = &run.reference;
    if (rc == 0)
        rc = pipeline_run(&input, &output);
    progress_point_done(rc ? "failed" : "done");
    progress_end();
    if (rc)
        goto out;
    TRY(eval_report(&run.evaluation, &output, line->global.json,
                    options->samples[0] ? &writer : NULL));
    if (options->samples[0])
        TRY(file_write_commit(&writer));
out:
    file_write_abort(&writer);
    pipeline_output_release(&output);
    run_close(&run);
    model_close(&reference);
    return rc;
}

const struct command command_eval = {
    .name = "eval",
    .summary = "measures a model as it is: perplexity on texts, accuracy on questions",
    .flags = COMMAND_JSON | COMMAND_COMPUTES | COMMAND_DATA | COMMAND_STREAMS,
    .options = eval_table,
    .options_size = sizeof(struct eval_command),
    .letters = "m=model",
    .description =
        "Nothing is quantized and nothing is stored; `bitbench run` does both.\n\n"
        "The zero-shot tasks piqa, boolq, openbookqa, winogrande, arc_easy, arc_challenge and "
        "hellaswag ask and score as lm-evaluation-harness does without examples: its acc is the "
        "accuracy by sum, its acc_norm the one by characters. --samples writes an object a "
        "question: task, doc_id, ll (the choices' log-likelihoods), is_greedy, pred (by sum), "
        "pred_norm (by characters), gold.\n\n"
        "With --reference the texts' predictions are compared token by token with another model's: "
        "mean KL(reference || model) in nats with its standard error over windows, and how often "
        "both have the same most likely next token.",
    .examples = "bitbench eval --corpora kjv,wordnet,perldoc --tasks kjv_half\n"
                "bitbench eval --model PATH --data DIR --tasks piqa,arc_easy --items 0-199 "
                "--samples items.jsonl\n"
                "bitbench eval --model PATH --corpora file:mytext.txt --window 512\n"
                "# what a packed model lost\n"
                "bitbench eval --model PACKED --reference MODEL --corpora kjv\n"
                "# llama.cpp's perplexity\n"
                "bitbench eval --model FILE.gguf --corpora file:wiki.test.raw --window 512 --rule "
                "second-half\n"
                "# the papers' perplexities\n"
                "bitbench eval --model PATH --data FOLDER --corpora wikitext2,ptb,c4 --window "
                "2048\n",
    .run = eval_command,
};
