#include "harness/eval_report.h"

#include "core/err.h"
#include "core/mem.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    if (m->compared) {
        set_number(object, "kl_divergence", m->kl_divergence);
        set_number(object, "kl_error", m->kl_error);
        set_number(object, "same_top", m->same_top);
    }
    return print_line(stdout, "standard output", object);
}

/* A text, or the words that end questions (window 0). */
static void print_perplexity(const struct metric_record *m)
{
    const char *rule = strcmp(m->rule, "second-half") == 0 ? ", second half of each" : "",
               *many = m->part_count == 1 ? "" : "s";
    printf("%-16s perplexity %10.4f", m->dataset, m->value);
    if (isfinite(m->low))
        printf("  [%.4f, %.4f]", m->low, m->high);
    else
        printf("  [-]");
    if (isfinite(m->bits_per_byte))
        printf("  %.4f bits per byte", m->bits_per_byte);
    if (m->window)
        printf("  (%d window%s of %d%s", m->part_count, many, m->window, rule);
    else
        printf("  (%ld word%s", m->count, many);
    puts(isfinite(m->low) ? ")" : ": no interval from a single one)");
    if (!m->compared)
        return;
    printf("%-16s divergence %10.6f", "", m->kl_divergence);
    if (isfinite(m->kl_error))
        printf(" +- %.6f", m->kl_error);
    printf(" nats from the reference, the same most likely token at %.2f %%\n", 100 * m->same_top);
}

/* A single item has no standard error. */
static void print_accuracy(const struct metric_record *m)
{
    printf("%-16s accuracy   %6.2f %%", m->dataset, 100 * m->value);
    if (isfinite(m->standard_error))
        printf(" +- %.2f  (%s, %ld items)\n", 100 * m->standard_error, m->rule, m->count);
    else
        printf(" +- -  (%s, %ld item: no error from a single one)\n", m->rule, m->count);
}

static int print_metric(const struct metric_record *m, bool json)
{
    if (json)
        return print_json(m);
    if (strcmp(m->kind, "accuracy") == 0)
        print_accuracy(m);
    else
        print_perplexity(m);
    return 0;
}

/* One line a window: its summed loss, and the mean that other implementations print. */
static int write_windows(struct file_writer *writer, const struct metric_record *m)
{
    int rc = 0;
    for (int i = 0; rc == 0 && i < m->part_count; i++) {
        const struct metric_part *part = &m->parts[i];
        json_t *line = json_pack("{s:s, s:i, s:f, s:i, s:f}", "corpus", m->dataset, "window",
                                 part->index, "nll", part->value, "tokens", part->count, "loss",
                                 part->value / part->count);
        if (m->compared && line) {
            json_object_set_new(line, "kl", json_real(part->kl));
            json_object_set_new(line, "same_top", json_integer(part->same_top));
        }
        rc = print_line(writer->stream, writer->path, line);
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

int eval_report(const struct evaluation *evaluation, const struct pipeline_output *output,
                bool json, struct file_writer *writer)
{
    int rc = 0, total = evaluation_metric_count(evaluation);
    for (int i = 0; rc == 0 && i < total; i++) {
        struct metric_record metric = {0};
        rc = evaluation_metric(evaluation, i, output->scores, &metric);
        if (rc == 0 && output->divergences && i < evaluation->perplexity_count)
            perplexity_divergence(&evaluation->perplexities[i], &evaluation->stream,
                                  output->divergences, &metric);
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
