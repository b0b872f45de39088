#include "harness/estimate_spec.h"

#include "core/err.h"
#include "core/mem.h"
#include "core/size.h"
#include "datasets/data_folder.h"
#include "datasets/rows.h"
#include "harness/estimate.h"
#include "harness/model_folder.h"
#include "harness/planned_run.h"
#include "harness/token_ids.h"
#include "linalg/rate.h"

#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

/* ---- data sets ---- */

/* 0, or the error of what is not there. */
static int find_corpus(const char *name, int split)
{
    struct corpus_source source = {0};
    struct documents documents = {0};
    char *path = NULL;
    bool json;
    if (token_ids_named(name))
        return 0;
    int rc = corpus_open(name, &source);
    if (rc == 0)
        rc = source.corpus.rows ? rows_file(&source.corpus, (enum split)split, &path, &json)
                                : corpus_load(&source.corpus, &documents, NULL);
    documents_release(&documents);
    mem_free(path);
    corpus_close(&source);
    return rc;
}

static int find_task(const char *name)
{
    struct task_source source = {0};
    char *path = NULL, who[OPTION_TEXT_SIZE + 8];
    int rc = task_open(name, &source);
    snprintf(who, sizeof who, "task %s", name);
    if (rc == 0 && source.task.file)
        rc = data_folder_path(&path, source.task.file, who);
    mem_free(path);
    task_close(&source);
    return rc;
}

/* Tells of one data set that is not there; one line for each, however often it is named. */
struct missing {
    struct strbuf lines;
    int count;
};

static int add_missing(struct missing *missing, int code)
{
    int rc = 0;
    char line[1100];
    if (code == 0)
        return 0;
    if (code != ERR_MISSING)
        return code;
    snprintf(line, sizeof line, "- %s\n", err_text());
    if (missing->lines.data && strstr(missing->lines.data, line))
        return 0;
    TRY(strbuf_puts(&missing->lines, line));
    missing->count++;
out:
    return rc;
}

/* Calibration may be a "+" list. */
static int find_calibration(struct missing *missing, const struct calibration_spec *spec)
{
    int rc = 0;
    for (const char *at = spec->corpus;;) {
        char name[OPTION_TEXT_SIZE];
        size_t length = strcspn(at, "+");
        snprintf(name, sizeof name, "%.*s", (int)length, at);
        TRY(add_missing(missing, find_corpus(name, spec->split)));
        at += length;
        if (!*at++)
            break;
    }
out:
    return rc;
}

static int find_data(struct missing *missing, const struct experiment *experiment)
{
    int rc = 0;
    for (int i = 0; i < experiment->point_count; i++)
        if (point_calibrates(&experiment->points[i]) &&
            (i == 0 ||
             !run_same_calibration(&experiment->points[i].calibration,
                                   &experiment->points[i - 1].calibration) ||
             !point_calibrates(&experiment->points[i - 1])))
            TRY(find_calibration(missing, &experiment->points[i].calibration));
    for (int i = 0; i < experiment->perplexity_count; i++)
        TRY(add_missing(missing, find_corpus(experiment->perplexities[i].corpus,
                                             experiment->perplexities[i].split)));
    for (int i = 0; i < experiment->choice_count; i++)
        TRY(add_missing(missing, find_task(experiment->choices[i].task)));
out:
    return rc;
}

/* ---- models ---- */

static void print_disk(double bytes)
{
    struct statvfs disk;
    char need[SIZE_TEXT], room[SIZE_TEXT];
    size_text(bytes, need);
    printf("disk: %s for the weights", need);
    if (statvfs(".", &disk) == 0) {
        double free_bytes = (double)disk.f_bavail * (double)disk.f_frsize;
        size_text(free_bytes, room);
        printf("; %s are free here%s", room, free_bytes < bytes ? ": too few" : "");
    }
    printf("\n");
}

static int print_known(const struct run_options *what, struct run *run,
                       const struct known_model *known, double rate)
{
    int rc;
    char size[SIZE_TEXT];
    size_text(known_model_bytes(known), size);
    printf("%s is not here: planned from its shape, %d blocks of width %d, %.0f parameters\n",
           known->name, known->layers, known->width, known_model_parameters(known));
    printf("download: %s from huggingface.co/%s\n"
           "    hf download %s --include '*.json' '*.txt' '*.model' '%s' --local-dir models/%s\n",
           size, known->repository, known->repository, known->files,
           strchr(known->repository, '/') + 1);
    print_disk(known_model_bytes(known));
    TRY(planned_run_open(run, known));
    rc = estimate_print(run, what->database, rate);
    if (rc == ERR_MEMORY || rc == ERR_IO) { /* what is lacking here is there elsewhere */
        printf("%s\n", err_text());
        rc = 0;
    }
out:
    return rc;
}

/* A model that is here, with all its data, is estimated from these; else its shape has to do. */
static int print_model(const struct run_options *what, struct run *run, double rate, bool data_here,
                       bool *unknown)
{
    char *folder = NULL;
    const struct known_model *known = known_model_find(run->experiment.model);
    int rc = model_folder(&folder, run->experiment.model);
    if (rc == 0 && data_here) {
        TRY(run_open_model(run));
        TRY(estimate_print(run, what->database, rate));
    } else if (rc && rc != ERR_MISSING) {
        goto out;
    } else if (known) {
        TRY(print_known(what, run, known, rate));
    } else {
        if (rc == 0)
            printf("%s is here; what it takes can be told when the data sets are, too\n",
                   run->experiment.model);
        else
            printf("%s\n", err_text());
        *unknown = true;
        rc = 0;
    }
out:
    mem_free(folder);
    return rc;
}

static int estimate_models(const struct run_options *what, double rate, struct missing *missing)
{
    int rc, models = 1;
    bool unknown = false;
    struct run run = {0};
    for (int i = 0; i < models; i++) {
        struct run_options options = *what;
        options.model = i;
        TRY(run_load_spec(&run, &options));
        models = run.experiment.model_count;
        if (i == 0)
            TRY(find_data(missing, &run.experiment));
        if (models > 1)
            printf("%s== model %d of %d: %s\n", i ? "\n" : "", i + 1, models, run.experiment.model);
        TRY(print_model(what, &run, rate, missing->count == 0, &unknown));
        run_close(&run);
    }
    if (missing->count)
        printf("\ndata sets that are not here:\n%s", missing->lines.data);
    if (unknown)
        rc = err_set(ERR_MISSING, "%s: not every model could be estimated, as said above",
                     what->spec);
out:
    run_close(&run);
    return rc;
}

int estimate_spec(const struct run_options *what)
{
    struct missing missing = {0};
    double rate;
    int rc = rate_sgemm(0.2, 1, &rate);
    if (rc == 0)
        rc = estimate_models(what, rate, &missing);
    strbuf_release(&missing.lines);
    return rc;
}
