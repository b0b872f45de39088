#include "harness/train_run.h"

#include "core/clock.h"
#include "core/err.h"
#include "core/file.h"
#include "core/interrupt.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/progress.h"
#include "harness/train_data.h"
#include "harness/train_log.h"
#include "harness/train_spec.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

struct run {
    struct train_spec spec;
    struct train_data data;
    struct train_group group;
    struct train_optimizer optimizer;
    struct train_sampler sampler;
    struct train_progress progress;
    struct train_log log;
    int32_t *tokens, *targets;
    char *checkpoint;
    int lock;              /* the output folder, open and locked; -1: not */
    double started, saved; /* wall clock: of this run, of the last checkpoint */
    double seconds_before; /* of earlier runs */
    int64_t tokens_before;
    double loss_sum; /* since the last log line */
    int loss_count;
};

static double spent(const struct run *run)
{
    return run->seconds_before + clock_wall() - run->started;
}

/* One run at a time in a folder: a second one would overwrite checkpoint and log of the first. The
 * lock goes with the process, however it ends. */
static int lock_output(struct run *run)
{
    const char *folder = run->spec.output;
    int rc = file_make_directories(folder);
    if (rc)
        return rc;
    run->lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (run->lock < 0)
        return err_set(ERR_IO, "%s: %s", folder, strerror(errno));
    if (flock(run->lock, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (errno == EWOULDBLOCK)
        return err_set(ERR_BUSY, "%s: another run is training there; wait for its end, or stop it",
                       folder);
    return err_set(ERR_IO, "%s: cannot lock: %s", folder, strerror(errno));
}

static int set_up(struct run *run, const struct train_request *request)
{
    const struct train_training_options *t = &run->spec.training;
    struct train_stream streams[TRAIN_MAX_CORPORA];
    struct model_config config;
    struct hash hash;
    int rc = 0;
    const struct tokenizer *tokenizer = run->data.tokenizer;
    train_spec_config(&run->spec, tokenizer_vocabulary(tokenizer), tokenizer_bos(tokenizer),
                      tokenizer_eos(tokenizer), &config);
    TRY(train_group_init(&run->group, &config, NULL, t->shards, t->sequences, t->context,
                         (uint64_t)t->seed));
    TRY(train_optimizer_init(&run->optimizer, &run->group.shards[0]));
    run->optimizer.beta1 = t->beta1;
    run->optimizer.beta2 = t->beta2;
    run->optimizer.decay = t->weight_decay;
    train_data_streams(&run->data, streams);
    TRY(train_sampler_init(&run->sampler, streams, run->data.count, t->context, config.eos_id,
                           (uint64_t)t->seed));
    TRY(mem_calloc(&run->tokens, (size_t)run->group.rows, sizeof *run->tokens));
    TRY(mem_calloc(&run->targets, (size_t)run->group.rows, sizeof *run->targets));
    hash_init(&hash);
    TRY(train_spec_hash(&run->spec, &hash));
    train_data_hash(&run->data, &hash);
    hash_finish(&hash, run->progress.spec_hash);
    run->progress.best_validation = HUGE_VAL;
    TRY(file_join(&run->checkpoint, run->spec.output, "checkpoint.safetensors"));
    if (!request->fresh && file_exists(run->checkpoint)) {
        TRY(train_checkpoint_load(run->checkpoint, &run->group.shards[0], &run->optimizer,
                                  &run->sampler, &run->progress));
        log_note("resuming at update %lld, %.0f of %.0f tokens", (long long)run->optimizer.step,
                 (double)run->progress.tokens, t->tokens);
    }
    run->tokens_before = run->progress.tokens;
    run->seconds_before = run->progress.seconds;
    TRY(train_log_open(&run->log, run->spec.output, &run->data, run->optimizer.step));
    log_note("model: %zu parameters; batches of %d x %d tokens; %.0f tokens in all",
             run->group.shards[0].parameters, t->sequences, t->context, t->tokens);
out:
    return rc;
}

static int save(struct run *run)
{
    run->progress.seconds = spent(run);
    run->saved = clock_wall();
    return train_checkpoint_save(run->checkpoint, &run->group.shards[0], &run->optimizer,
                                 &run->sampler, &run->progress);
}

/* Mean loss (nats a token) over windows without overlap of a validation split. */
static int validate_corpus(struct run *run, const struct train_corpus_data *corpus, double *loss)
{
    size_t context = (size_t)run->spec.training.context,
           limit = (size_t)run->spec.report.validation_tokens, at = 0;
    size_t end = corpus->validation_count;
    double total = 0.0, part;
    long counted = 0;
    int rc = 0;
    if (limit && limit + 1 < end)
        end = limit + 1;
    while (at + 1 < end) {
        int rows = 0;
        memset(run->tokens, 0, (size_t)run->group.rows * sizeof *run->tokens);
        for (int r = 0; r < run->group.rows; r++)
            run->targets[r] = -1;
        for (int s = 0; s < run->spec.training.sequences && at + 1 < end; s++) {
            size_t count = end - 1 - at < context ? end - 1 - at : context;
            memcpy(run->tokens + (size_t)s * context, corpus->validation + at,
                   count * sizeof *run->tokens);
            memcpy(run->targets + (size_t)s * context, corpus->validation + at + 1,
                   count * sizeof *run->targets);
            at += count;
            rows += (int)count;
        }
        TRY(train_group_loss(&run->group, run->tokens, run->targets, false, 0.0, 0, &part));
        total += part * rows;
        counted += rows;
    }
    *loss = counted ? total / (double)counted : 0.0;
out:
    return rc;
}

/* Validates, logs, and writes the model when it is the best so far. */
static int validate(struct run *run)
{
    double losses[TRAIN_MAX_CORPORA], mean = 0.0;
    struct strbuf line = {0};
    int judged = 0, rc = 0;
    for (int i = 0; i < run->data.count; i++) {
        const struct train_corpus_data *c = &run->data.corpora[i];
        TRY(validate_corpus(run, c, &losses[i]));
        double bits = losses[i] / log(2.0) * (double)c->validation_count /
                      (double)c->validation_bytes;
        TRY(strbuf_printf(&line, "  %s %.4f (%.3f bits/byte, perplexity %.1f)", c->name, losses[i],
                          bits, exp(losses[i])));
        if (c->validate) {
            mean += losses[i];
            judged++;
        }
    }
    mean /= judged ? judged : 1;
    bool best = judged == 0 || mean < run->progress.best_validation;
    log_note("validation %.4f%s:%s", mean, best ? " (best)" : "", line.data);
    TRY(train_log_validation(&run->log, run->optimizer.step, run->progress.tokens, losses, mean,
                             spent(run)));
    if (best) {
        run->progress.best_validation = mean;
        TRY(train_export(run->spec.output, &run->group.shards[0]));
    }
out:
    strbuf_release(&line);
    return rc;
}

static int report(struct run *run, double rate, double norm)
{
    double speed = (double)(run->progress.tokens - run->tokens_before) /
                   (clock_wall() - run->started);
    double left = (run->spec.training.tokens - (double)run->progress.tokens) / speed;
    double loss = run->loss_sum / run->loss_count;
    char duration[32];
    progress_duration(left > 0.0 ? left : 0.0, duration);
    log_note("update %lld  %.2f of %.2f M tokens  loss %.4f  rate %.2e  gradient %.2f  %.0f "
             "tokens/s  %s left",
             (long long)run->optimizer.step, 1e-6 * (double)run->progress.tokens,
             1e-6 * run->spec.training.tokens, loss, rate, norm, speed, duration);
    run->loss_sum = 0.0;
    run->loss_count = 0;
    return train_log_update(&run->log, run->optimizer.step, run->progress.tokens, rate, loss, norm,
                            spent(run));
}

static int update(struct run *run)
{
    const struct train_training_options *t = &run->spec.training;
    double loss, norm;
    int rc = 0;
    TRY(train_sampler_draw(&run->sampler, t->sequences, run->tokens, run->targets));
    uint64_t key = (uint64_t)t->seed * 0xd1342543de82ef95u + (uint64_t)run->optimizer.step * 65536u;
    TRY(train_group_loss(&run->group, run->tokens, run->targets, true, t->dropout, key, &loss));
    run->progress.tokens += run->group.rows;
    struct train_schedule schedule = {.shape = t->schedule ? TRAIN_TRAPEZOID : TRAIN_COSINE,
                                      .peak = t->learning_rate,
                                      .floor = t->final_rate,
                                      .decay = t->decay_share,
                                      .warmup = (int64_t)t->warmup_tokens,
                                      .total = (int64_t)t->tokens};
    double rate = train_rate(&schedule, run->progress.tokens);
    TRY(train_optimizer_step(&run->optimizer, &run->group.shards[0], rate, t->clip, &norm));
    run->loss_sum += loss;
    run->loss_count++;
    if (run->optimizer.step % run->spec.report.log_steps == 0)
        TRY(report(run, rate, norm));
    if (run->optimizer.step % run->spec.report.validation_steps == 0)
        TRY(validate(run));
out:
    return rc;
}

static int loop(struct run *run)
{
    double total = run->spec.training.tokens;
    int rc = 0;
    run->started = run->saved = clock_wall();
    while ((double)run->progress.tokens < total) {
        TRY(update(run));
        TRY(interrupt_check());
        if (clock_wall() - run->saved > 60.0 * run->spec.report.checkpoint_minutes)
            TRY(save(run));
    }
    TRY(validate(run));
    TRY(save(run));
    log_note("done: %s holds the model of the best validation loss, %.4f", run->spec.output,
             run->progress.best_validation);
out:
    return rc;
}

int train_run(const struct train_request *request)
{
    struct run *run = NULL;
    int rc = 0;
    TRY(mem_calloc(&run, 1, sizeof *run));
    run->lock = -1;
    TRY(train_spec_load(&run->spec, request->spec, request->sets));
    TRY(lock_output(run));
    TRY(train_data_load(&run->data, &run->spec));
    TRY(set_up(run, request));
    rc = loop(run);
    if (rc == ERR_INTERRUPTED) {
        TRY(save(run));
        rc = err_set(ERR_INTERRUPTED,
                     "interrupted after update %lld; the same command goes on from %s",
                     (long long)run->optimizer.step, run->checkpoint);
    }
out:
    if (run) {
        train_log_close(&run->log);
        train_sampler_release(&run->sampler);
        train_optimizer_release(&run->optimizer);
        train_group_release(&run->group);
        train_data_release(&run->data);
        train_spec_release(&run->spec);
        mem_free(run->tokens);
        mem_free(run->targets);
        mem_free(run->checkpoint);
        if (run->lock >= 0)
            close(run->lock);
        mem_free(run);
    }
    return rc;
}
