/* What the points of a run share: made once, before the first of them. */
#include "harness/run.h"

#include "core/err.h"
#include "core/mem.h"
#include "datasets/data_folder.h"
#include "harness/host.h"
#include "harness/layer_plan.h"
#include "harness/memory_limit.h"
#include "harness/model_folder.h"
#include "harness/token_ids.h"

#include <stdio.h>
#include <string.h>

/* How many, or "100-199" where they are not the first: as a spec has it. */
static json_t *items_of(const struct choice_set *set)
{
    char range[32];
    int first = set->spec->first, count = (int)set->questions.count;
    if (first == 0)
        return json_integer(count);
    snprintf(range, sizeof range, "%d-%d", first, first + count - 1);
    return json_string(range);
}

/* {texts: [...], questions: [...]} with every setting and the hash of what is
 * measured. */
static int describe_evaluation(const struct evaluation *evaluation, json_t **out)
{
    json_t *texts = json_array(), *questions = json_array();
    int bad = 0;
    for (int i = 0; i < evaluation->perplexity_count; i++) {
        const struct perplexity_set *set = &evaluation->perplexities[i];
        bad |= json_array_append_new(texts, json_pack("{s:s, s:i, s:i, s:i, s:s}", "corpus",
                                                      set->spec->corpus, "split", set->spec->split,
                                                      "window", set->spec->window, "windows",
                                                      set->windows, "hash", set->hash));
        /* Points of before there was a choice keep their ids. */
        if (set->spec->rule != RULE_WINDOWS)
            bad |= json_object_set_new(json_array_get(texts, (size_t)i), "rule",
                                       json_string(perplexity_rule_names[set->spec->rule]));
    }
    for (int i = 0; i < evaluation->choice_count; i++) {
        const struct choice_set *set = &evaluation->choices[i];
        char rules[128];
        choice_rules(set, rules, sizeof rules);
        bad |= json_array_append_new(questions,
                                     json_pack("{s:s, s:i, s:s, s:o, s:s}", "task", set->task->name,
                                               "version", set->task->version, "scoring", rules,
                                               "items", items_of(set), "hash", set->hash));
        /* Where it draws; a point of the default seed has the id that it always had. */
        if (set->task->corpus && set->spec->seed != 0)
            bad |= json_object_set_new(json_array_get(questions, (size_t)i), "seed",
                                       json_integer(set->spec->seed));
    }
    json_t *object = json_pack("{s:o, s:o}", "texts", texts, "questions", questions);
    if (bad || !object) {
        json_decref(object);
        return err_set(ERR_MEMORY, "out of memory: the description of the evaluation");
    }
    *out = object;
    return 0;
}

/* Whether there is anything to tokenize: a run on token ids alone needs no tokenizer. */
static bool reads_text(const struct experiment *experiment)
{
    for (int i = 0; i < experiment->perplexity_count; i++)
        if (!token_ids_named(experiment->perplexities[i].corpus))
            return true;
    for (int i = 0; i < experiment->point_count; i++)
        if (point_calibrates(&experiment->points[i]) &&
            !token_ids_named(experiment->points[i].calibration.corpus))
            return true;
    return experiment->choice_count > 0;
}

/* The experiment's, or that of the model's folder. */
static int open_tokenizer(struct run *run, const char *folder)
{
    const char *named = run->experiment.tokenizer;
    char *path = NULL;
    int rc;
    TRY(tokenizer_folder(&path, named && *named ? named : folder));
    TRY(tokenizer_open(&run->tokenizer, path));
    TRY(model_check_tokenizer(&run->model, run->tokenizer));
out:
    mem_free(path);
    return rc;
}

int run_open_model(struct run *run)
{
    int rc;
    char *folder = NULL;
    TRY(model_folder(&folder, run->experiment.model));
    TRY(model_folder_open(&run->model, folder));
    if (reads_text(&run->experiment))
        TRY(open_tokenizer(run, folder));
    run->corpora.tokenizer = run->tokenizer;
    run->corpora.vocabulary = run->model.config.vocabulary;
    run->evaluation.max_positions = run->model.config.max_positions;
    for (int i = 0; i < run->experiment.point_count; i++)
        TRY(layer_plan_check(&run->experiment.points[i], run->model.config.layers,
                             run->model.architecture->linear_names));
    TRY(evaluation_prepare(&run->evaluation, &run->experiment, &run->corpora));
    TRY(evaluation_check_lengths(&run->evaluation, &run->model.config));
    TRY(host_check_memory("evaluation", run->evaluation.stream.rows, run->model.config.width));
    TRY(describe_evaluation(&run->evaluation, &run->evaluation_settings));
    TRY(host_describe(&run->host));
out:
    mem_free(folder);
    return rc;
}

int run_load_spec(struct run *run, const struct run_options *options)
{
    int rc;
    run->command = options->command;
    TRY(spec_load(&run->experiment, options->spec, options->overrides, options->override_count));
    TRY(experiment_choose_model(&run->experiment, options->model));
    if (options->full)
        TRY(experiment_ask_all(&run->experiment));
    memory_limit_from_spec(run->experiment.memory);
    TRY(data_folder_suggest(run->experiment.data));
out:
    return rc;
}

int run_open(struct run *run, const struct run_options *options)
{
    int rc = run_load_spec(run, options);
    return rc ? rc : run_open_model(run);
}

void run_close(struct run *run)
{
    for (int i = 0; i < run->calibration_count; i++) {
        stream_release(&run->calibrations[i].stream);
        mem_free(run->calibrations[i].overlaps);
    }
    mem_free(run->calibrations);
    reference_states_release(&run->reference);
    drift_kept_release(&run->drift_kept);
    evaluation_release(&run->evaluation);
    corpus_cache_release(&run->corpora);
    tokenizer_free(run->tokenizer);
    model_close(&run->model);
    mem_free(run->planned);
    experiment_release(&run->experiment);
    json_decref(run->host);
    json_decref(run->evaluation_settings);
    *run = (struct run){0};
}
