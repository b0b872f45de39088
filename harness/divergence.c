/* How far a quantized model's predictions moved from the full model's, window by window. */
#include "harness/evaluation.h"

#include <math.h>

void divergence_summary(const struct metric_part *parts, int count, double *mean, double *error)
{
    double kl = 0, tokens = 0, squares = 0;
    for (int i = 0; i < count; i++) {
        kl += parts[i].kl;
        tokens += parts[i].count;
    }
    *mean = kl / tokens;
    for (int i = 0; i < count; i++) {
        double rest = parts[i].kl - *mean * parts[i].count;
        squares += rest * rest;
    }
    *error = count > 1 ? sqrt(squares * count / (count - 1.0)) / tokens : NAN;
}

void perplexity_divergence(const struct perplexity_set *set, const struct stream *stream,
                           const struct token_divergence *divergences, struct metric_record *metric)
{
    long same = 0;
    for (int w = 0; w < set->windows; w++) {
        struct metric_part *part = &metric->parts[w];
        int s = set->first_sequence + w;
        part->kl = 0;
        part->same_top = 0;
        for (int r = stream->offsets[s]; r < stream->offsets[s + 1]; r++) {
            if (stream->targets[r] < 0)
                continue;
            part->kl += (double)divergences[r].kl;
            part->same_top += divergences[r].same_top;
        }
        same += part->same_top;
    }
    metric->compared = true;
    metric->same_top = (double)same / (double)metric->count;
    divergence_summary(metric->parts, set->windows, &metric->kl_divergence, &metric->kl_error);
}
