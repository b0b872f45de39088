/* bitbench eval: a model as it is, on texts and questions, without a database */
#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/progress.h"
#include "harness/command.h"
#include "harness/run.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct eval_command {
    char model[OPTION_TEXT_SIZE], tokenizer[OPTION_TEXT_SIZE], corpora[OPTION_TEXT_SIZE],
        tasks[OPTION_TEXT_SIZE], items[OPTION_TEXT_SIZE], scoring[OPTION_TEXT_SIZE],
        samples[OPTION_TEXT_SIZE];
    int window, tokens, windows, split, seed;
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
                                         .windows = options->windows};
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

/* One line of JSON; takes the object over. */
static int print_line(FILE *out, const char *path, json_t *object)
{
    char *text = object ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
    int rc = 0;
    errno = 0;
    if (!text)
        rc = err_set(ERR_MEMORY, "out of memory: a line of JSON");
    else if (fputs(text, out) < 0 || fputc('\n', out) < 0)
        rc = err_set(ERR_IO, "%s: cannot write: %s", path, strerror(errno));
    free(text);
    json_decref(object);
    return rc;
}

static void set_number(json_t *object, const char *key, double value)
{
    json_object_set_new(object, key, isfinite(value) ? json_real(value) : json_null());
}

static int print_json(const struct metric_record *m)
{
    json_t *object = json_pack("{s:s, s:s, s:s, s:s, s:i, s:I}", "kind", m->kind, "dataset",
                               m->dataset, "split", m->split, "rule", m->rule, "window", m->window,
                               "count", (json_int_t)m->count);
    set_number(object, "value", m->value);
    set_number(object, "standard_error", m->standard_error);
    set_number(object, "low", m->low);
    set_number(object, "high", m->high);
    set_number(object, "bits_per_byte", m->bits_per_byte);
    return print_line(stdout, "standard output", object);
}

static int print_metric(const struct metric_record *m, bool json)
{
    bool accuracy = strcmp(m->kind, "accuracy") == 0;
    if (json)
        return print_json(m);
    if (accuracy)
        printf("%-16s accuracy   %6.2f %% +- %.2f  (%s, %ld items)\n", m->dataset, 100 * m->value,
               100 * m->standard_error, m->rule, m->count);
    else {
        printf("%-16s perplexity %10.4f  [%.4f, %.4f]", m->dataset, m->value, m->low, m->high);
        if (isfinite(m->bits_per_byte))
            printf("  %.4f bits per byte", m->bits_per_byte);
        if (m->window)
            printf("  (%d windows of %d)\n", m->part_count, m->window);
        else
            printf("  (%ld words)\n", m->count);
    }
    return 0;
}

/* One line a window: its summed loss, and the mean that other implementations print. */
static int write_windows(struct file_writer *writer, const struct metric_record *m)
{
    int rc = 0;
    for (int i = 0; rc == 0 && i < m->part_count; i++) {
        const struct metric_part *part = &m->parts[i];
        rc = print_line(writer->stream, writer->path,
                        json_pack("{s:s, s:i, s:f, s:i, s:f}", "corpus", m->dataset, "window",
                                  part->index, "nll", part->value, "tokens", part->count, "loss",
                                  part->value / part->count));
    }
    return rc;
}

/* One line a question. */
static int write_items(struct file_writer *writer, const struct choice_set *set,
                       const struct stream *stream, const struct token_score *scores)
{
    int rc = 0;
    for (int q = 0; rc == 0 && q < (int)set->questions.count; q++) {
        json_t *sample = NULL;
        rc = choice_sample(set, q, stream, scores, &sample);
        if (rc == 0)
            rc = print_line(writer->stream, writer->path, sample);
    }
    return rc;
}

/* Metrics one after another: printed, and written with their parts. */
static int report(const struct evaluation *evaluation, const struct pipeline_output *output,
                  bool json, struct file_writer *writer)
{
    int rc = 0, total = evaluation_metric_count(evaluation);
    for (int i = 0; rc == 0 && i < total; i++) {
        struct metric_record metric = {0};
        rc = evaluation_metric(evaluation, i, output->scores, &metric);
        if (rc == 0)
            rc = print_metric(&metric, json);
        if (rc == 0 && writer && i < evaluation->perplexity_count)
            rc = write_windows(writer, &metric);
        mem_free(metric.parts);
    }
    for (int i = 0; rc == 0 && writer && i < evaluation->choice_count; i++)
        rc = write_items(writer, &evaluation->choices[i], &evaluation->stream, output->scores);
    return rc;
}

static int eval_command(const struct command_line *line)
{
    int rc;
    struct run run = {0};
    struct pipeline_output output = {0};
    struct file_writer writer = {0};
    const struct eval_command *options = line->options;
    static const struct point full = {.label = NULL};
    TRY(make_experiment(options, &run.experiment));
    TRY(run_open_model(&run));
    const struct pipeline_input input = {
        .model = &run.model, .point = &full, .evaluation = &run.evaluation.stream};
    if (options->samples[0])
        TRY(file_write_begin(&writer, options->samples));
    progress_begin("eval", 1, NULL);
    progress_point(0, options->model);
    rc = pipeline_run(&input, &output);
    progress_point_done(rc ? "failed" : "done");
    progress_end();
    if (rc)
        goto out;
    TRY(report(&run.evaluation, &output, line->global.json, options->samples[0] ? &writer : NULL));
    if (options->samples[0])
        TRY(file_write_commit(&writer));
out:
    file_write_abort(&writer);
    pipeline_output_release(&output);
    run_close(&run);
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
        "pred_norm (by characters), gold.",
    .examples = "bitbench eval --corpora kjv,wordnet,perldoc --tasks kjv_half\n"
                "bitbench eval --model PATH --data DIR --tasks piqa,arc_easy --items 0-199 "
                "--samples items.jsonl\n"
                "bitbench eval --model PATH --corpora file:mytext.txt --window 512\n"
                "# the papers' perplexities\n"
                "bitbench eval --model PATH --data FOLDER --corpora wikitext2,ptb,c4 --window "
                "2048\n",
    .run = eval_command,
};
