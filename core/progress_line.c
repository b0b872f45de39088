#include "core/progress_line.h"

#include "core/progress.h"
#include "core/text.h"

#include <stdio.h>
#include <string.h>

void progress_duration(double seconds, char out[32])
{
    if (seconds < 0)
        snprintf(out, 32, "?");
    else if (seconds < 9.95)
        snprintf(out, 32, "%.1f s", seconds);
    else if (seconds < 59.5)
        snprintf(out, 32, "%.0f s", seconds);
    else {
        long whole = (long)(seconds < 3.6e8 ? seconds + 0.5 : 3.6e8);
        if (whole < 3600)
            snprintf(out, 32, "%ld:%02ld", whole / 60, whole % 60);
        else if (whole >= 360000)
            snprintf(out, 32, "%ld h", (whole + 1800) / 3600);
        else
            snprintf(out, 32, "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
    }
}

double progress_share(const struct progress_state *state)
{
    if (!(state->cost_total > 0))
        return state->finished + state->skipped >= state->points ? 1 : 0;
    double share = (state->cost_finished + state->within * state->cost_point) / state->cost_total;
    return share < 0 ? 0 : share > 1 ? 1 : share;
}

double progress_estimate(const struct progress_state *state)
{
    double share = progress_share(state), elapsed = state->now - state->begin;
    if (share >= 1)
        return 0;
    /* The first moments say nothing. */
    return share < 0.005 || elapsed < 1 ? -1 : elapsed * (1 - share) / share;
}

double progress_rate(const struct progress_state *state)
{
    double seconds = state->now - state->stage_begin;
    return state->tokens > 0 && seconds > 0.2 ? (double)state->tokens / seconds : 0;
}

struct piece {
    char *out;
    size_t size, used;
};

static void add(struct piece *piece, const char *separator, const char *text)
{
    if (piece->used + 1 < piece->size) {
        int wrote = snprintf(piece->out + piece->used, piece->size - piece->used, "%s%s", separator,
                             text);
        piece->used += wrote > 0 ? (size_t)wrote : 0;
        if (piece->used >= piece->size)
            piece->used = piece->size - 1;
    }
}

/* The right part, which stays when the line is narrow: "54 % · ETA 1:20". */
static void tail(const struct progress_state *state, char *out, size_t size)
{
    char left[32];
    double seconds = progress_estimate(state);
    progress_duration(seconds, left);
    if (seconds >= 0)
        snprintf(out, size, "%.0f %%, ETA %s", 100 * progress_share(state), left);
    else
        snprintf(out, size, "%.0f %%", 100 * progress_share(state));
}

void progress_format(const struct progress_state *state, size_t columns, char *out, size_t size)
{
    char text[96], end[64];
    struct piece line = {out, size, 0};
    out[0] = '\0';
    snprintf(text, sizeof text, "[%d/%d] ", state->index + 1, state->points);
    add(&line, "", text);
    add(&line, "", state->label);
    if (state->blocks > 0) {
        snprintf(text, sizeof text, "block %d/%d", state->block + 1, state->blocks);
        add(&line, "  ", text);
    }
    if (state->stage[0]) {
        add(&line, state->blocks > 0 ? ", " : "  ", state->stage);
        if (state->total > 0) {
            snprintf(text, sizeof text, " %.0f %%",
                     100.0 * (double)state->done / (double)state->total);
            add(&line, "", text);
        }
    }
    double rate = progress_rate(state);
    if (rate > 0) {
        snprintf(text, sizeof text, rate < 100 ? "%.1f tokens/s" : "%.0f tokens/s", rate);
        add(&line, ", ", text);
    }
    tail(state, end, sizeof end);
    size_t room = columns ? columns : size, need = text_columns(end) + 2;
    if (text_columns(out) + need > room) {
        size_t keep = text_cut(out, room > need + 1 ? room - need - 1 : 0);
        snprintf(out + keep, size - keep, "%s", room > need + 1 ? "…" : "");
        line.used = strlen(out);
    }
    add(&line, line.used ? "  " : "", end);
    out[text_cut(out, room)] = '\0';
}
