/* An experiment from spec to database: every point that is not stored yet is
 * computed and written in one transaction. */
#ifndef HARNESS_RUN_H
#define HARNESS_RUN_H

#include "harness/calibration.h"
#include "harness/evaluation.h"
#include "harness/pipeline.h"

/* What the points of a run share: made once. */
struct run {
    struct experiment experiment;
    struct model model;
    struct tokenizer *tokenizer;
    struct corpus_cache corpora;
    struct evaluation evaluation;
    json_t *host, *evaluation_settings;
    const char *command; /* the command line, for the record; borrowed, or NULL */
    struct drift_kept drift_kept;
    struct run_calibration *calibrations; /* drawn streams, one for each distinct setting */
    int calibration_count;
    struct reference_states reference; /* what quantized points are compared with */
    struct architecture *planned; /* planned_run.h: there are no weights, and no ids of points */
    int planned_questions;
};

enum { RUN_MAX_JOBS = 64 };

struct run_options {
    const char *spec, *database;
    const char *const *overrides; /* "key=value" */
    int override_count;
    const char *command; /* the command line, for the record; or NULL */
    int limit;           /* points computed at most; 0: all */
    int model;           /* number in the spec's list of models */
    bool full;           /* all questions: experiment_ask_all */
    /* Points are computed in so many processes, which share threads and memory; 0: in this one,
     * which then does not outlive a crash. At most RUN_MAX_JOBS. */
    int jobs;
    const char *rerun; /* finished points that are computed again: "all", or labels that match
                          (layer_plan_matches); NULL or "failed": none, failed ones always are */
};

/* What happened, for the exit code and the closing line. */
struct run_summary {
    int computed, skipped, failed, left;
    double spent, saved; /* seconds of the points that were computed; and of work that they took
                            over from each other, which is not in spent */
};

/* Fills run->experiment from the spec, for the model that the options name, and takes over what it
 * says of memory and data. */
int run_load_spec(struct run *run, const struct run_options *options);
/* Opens the spec, the model, the tokenizer, the texts. */
int run_open(struct run *run, const struct run_options *options);
/* The same for an experiment that is already filled in. */
int run_open_model(struct run *run);
void run_close(struct run *run);

/* Computes what is missing. A point that fails is stored with its text and the
 * run goes on; ERR_INTERRUPTED after Ctrl-C, with everything finished so far in
 * the database. */
int run_points(struct run *run, const struct run_options *options, struct run_summary *summary);

/* *settings = what the point's id is the hash of; the caller's (json_decref).
 * id receives 64 digits. */
int run_point_id(struct run *run, const struct point *point, json_t **settings,
                 char id[HASH_HEX_SIZE]);

/* The calibration stream that the point needs (NULL when none): borrowed from
 * the run. */
int run_calibration_of(struct run *run, const struct point *point,
                       const struct run_calibration **out);

/* Whether two draws give the same segments. */
bool run_same_calibration(const struct calibration_spec *a, const struct calibration_spec *b);

struct run_calibration {
    struct calibration_spec spec;
    struct stream stream;
    char hash[HASH_HEX_SIZE];
    struct calibration_facts facts;
    double *overlaps; /* of each text, then of each task: overlap_share. NULL in a planned run */
};

/* run_measures.c. Before the first point, once: draws all calibrations, refuses those that hold too
 * much of the evaluation (ERR_USAGE), and knows what there is to compare with. */
int run_prepare_points(struct run *run);
/* The full model's states, when the point is to be compared with them and they are not there yet: a
 * pass of their own, before the point's clock starts. They are then the run's; a process that it
 * forks has them too. A failure is a warning, and nothing is compared; ERR_INTERRUPTED. */
int run_make_reference(struct run *run, const struct point *point);
/* Sets input->keep or input->reference. */
void run_use_reference(struct run *run, struct pipeline_input *input);
/* Adds divergence and overlap to the point's metrics, and to its warnings. calibration may be NULL.
 */
int run_complete_metrics(const struct run *run, const struct point *point,
                         const struct run_calibration *calibration,
                         const struct pipeline_output *output, struct metric_record *metrics,
                         struct strbuf *warnings);
/* Fills calibration->overlaps. */
int run_measure_overlap(const struct run *run, struct run_calibration *calibration);

#endif
