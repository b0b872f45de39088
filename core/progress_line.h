/* What a progress display says, apart from where it is shown: the state of the run as text. */
#ifndef CORE_PROGRESS_LINE_H
#define CORE_PROGRESS_LINE_H

#include <stddef.h>

struct progress_state {
    char title[64], label[128], stage[32];
    int points, index; /* index -1: no point yet */
    int skipped, finished;
    int block, blocks; /* blocks 0: none */
    long done, total, tokens;
    double begin, point_begin, stage_begin, now;  /* clock_wall */
    double cost_total, cost_finished, cost_point; /* skipped points are in none of them */
    double within; /* share of the point that is done, never falling */
};

/* Share of all work that is done, 0 to 1. */
double progress_share(const struct progress_state *state);
/* Seconds left, negative while unknown. */
double progress_estimate(const struct progress_state *state);
/* Tokens a second in this stage; 0 when unknown. */
double progress_rate(const struct progress_state *state);

/* One line of at most `columns` columns (0: no limit), without a newline. */
void progress_format(const struct progress_state *state, size_t columns, char *out, size_t size);

#endif
