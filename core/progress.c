#include "core/progress.h"

#include "core/clock.h"
#include "core/interrupt.h"
#include "core/mem.h"
#include "core/progress_line.h"

#include <jansson.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Seconds between two redrawings, two JSON lines, two plain lines within a point. */
static const double live_interval = 0.1, json_interval = 1, plain_interval = 30;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static enum progress_mode chosen;
static struct progress_state state;
static double *costs; /* state.points of them; NULL: all alike */
static int active, drawn, paused;
static void (*redirected)(const struct progress_event *event);
static double last_shown;

void progress_set_mode(enum progress_mode mode)
{
    chosen = mode;
}

enum progress_mode progress_mode(void)
{
    if (chosen != PROGRESS_AUTO)
        return chosen;
    const char *terminal = getenv("TERM");
    int dumb = !terminal || strcmp(terminal, "dumb") == 0;
    return isatty(STDERR_FILENO) && !dumb ? PROGRESS_LIVE : PROGRESS_PLAIN;
}

/* ---- showing; the lock is held ---- */

static void erase(void)
{
    if (drawn) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
        drawn = 0;
        interrupt_epilogue(NULL);
    }
}

static void draw(void)
{
    struct winsize window;
    char line[512];
    size_t columns = 80;
    if (paused || state.index < 0)
        return;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0)
        columns = window.ws_col;
    progress_format(&state, columns > 1 ? columns - 1 : 1, line, sizeof line);
    fprintf(stderr, "\r%s\033[K", line);
    fflush(stderr);
    drawn = 1;
    interrupt_epilogue("\r\033[K");
}

/* Writes one event; members are packed by jansson's format and stolen. */
static void event(json_t *object)
{
    if (!object)
        return;
    json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
    fputc('\n', stdout);
    fflush(stdout);
    json_decref(object);
}

static void say(const char *line)
{
    erase();
    fprintf(stderr, "%s\n", line);
    fflush(stderr);
}

static json_t *progress_event(void)
{
    json_t *object = json_pack("{s:s, s:i, s:i, s:s, s:s, s:f}", "event", "progress", "index",
                               state.index, "points", state.points, "label", state.label, "stage",
                               state.stage, "share", progress_share(&state));
    if (!object)
        return NULL;
    if (state.blocks > 0) {
        json_object_set_new(object, "block", json_integer(state.block));
        json_object_set_new(object, "blocks", json_integer(state.blocks));
    }
    if (state.total > 0) {
        json_object_set_new(object, "done", json_integer(state.done));
        json_object_set_new(object, "total", json_integer(state.total));
    }
    if (progress_rate(&state) > 0)
        json_object_set_new(object, "tokens_per_second", json_real(progress_rate(&state)));
    if (progress_estimate(&state) >= 0)
        json_object_set_new(object, "eta", json_real(progress_estimate(&state)));
    return object;
}

/* Shows the present state when enough time has passed. */
static void refresh(int force)
{
    char line[512];
    enum progress_mode mode = progress_mode();
    double interval = mode == PROGRESS_LIVE   ? live_interval
                      : mode == PROGRESS_JSON ? json_interval
                                              : plain_interval;
    state.now = clock_wall();
    if (!active || state.index < 0 || (!force && state.now - last_shown < interval))
        return;
    last_shown = state.now;
    if (mode == PROGRESS_LIVE) {
        draw();
    } else if (mode == PROGRESS_JSON) {
        event(progress_event());
    } else if (mode == PROGRESS_PLAIN && !force) {
        progress_format(&state, 0, line, sizeof line);
        say(line);
    }
}

/* ---- a process that works for another ---- */

void progress_redirect(void (*take)(const struct progress_event *event))
{
    redirected = take;
}

void progress_replay(const struct progress_event *event)
{
    switch (event->kind) {
    case PROGRESS_BLOCK: progress_block(event->block, event->blocks); break;
    case PROGRESS_STAGE:
        progress_stage(event->text, event->done, event->total, event->tokens);
        break;
    case PROGRESS_DONE: progress_point_done(event->text); break;
    case PROGRESS_LINE: progress_line("%s", event->text); break;
    }
}

/* Whether what is to be shown was sent away. */
static int sent(struct progress_event event, const char *text)
{
    if (!redirected)
        return 0;
    snprintf(event.text, sizeof event.text, "%s", text);
    redirected(&event);
    return 1;
}

/* ---- what the commands call ---- */

static double cost_of(int index)
{
    return costs && index >= 0 && index < state.points ? costs[index] : 1;
}

void progress_begin(const char *title, int points, const double *expected)
{
    pthread_mutex_lock(&lock);
    mem_free(costs);
    costs = NULL;
    state = (struct progress_state){.points = points, .index = -1, .begin = clock_wall()};
    snprintf(state.title, sizeof state.title, "%s", title);
    if (expected && points > 0 && mem_alloc(&costs, (size_t)points, sizeof *costs) == 0)
        for (int i = 0; i < points; i++)
            costs[i] = expected[i] > 0 ? expected[i] : 0;
    for (int i = 0; i < points; i++)
        state.cost_total += cost_of(i);
    active = 1;
    paused = drawn = 0;
    last_shown = state.now = state.begin;
    if (progress_mode() == PROGRESS_JSON)
        event(
            json_pack("{s:s, s:s, s:i}", "event", "begin", "title", state.title, "points", points));
    pthread_mutex_unlock(&lock);
}

void progress_point(int index, const char *label)
{
    pthread_mutex_lock(&lock);
    state.index = index;
    snprintf(state.label, sizeof state.label, "%s", label);
    state.stage[0] = '\0';
    state.block = state.blocks = 0;
    state.done = state.total = state.tokens = 0;
    state.within = 0;
    state.cost_point = cost_of(index);
    state.point_begin = state.stage_begin = clock_wall();
    if (active && progress_mode() == PROGRESS_JSON)
        event(json_pack("{s:s, s:i, s:i, s:s}", "event", "point", "index", index, "points",
                        state.points, "label", state.label));
    else if (progress_mode() == PROGRESS_PLAIN)
        last_shown = state.point_begin;
    else
        refresh(1);
    pthread_mutex_unlock(&lock);
}

void progress_skip(int index, const char *label, const char *why)
{
    char line[512];
    pthread_mutex_lock(&lock);
    state.skipped++;
    state.cost_total -= cost_of(index);
    if (active && progress_mode() == PROGRESS_JSON) {
        event(json_pack("{s:s, s:i, s:i, s:s, s:s}", "event", "skip", "index", index, "points",
                        state.points, "label", label, "why", why));
    } else if (active && progress_mode() == PROGRESS_PLAIN) {
        snprintf(line, sizeof line, "[%d/%d] %s: %s", index + 1, state.points, label, why);
        say(line);
    }
    pthread_mutex_unlock(&lock);
}

/* The share of the point that is done, as far as blocks and stages tell. */
static void update_within(void)
{
    double part = state.total > 0 ? (double)state.done / (double)state.total : 0, within = part;
    if (state.blocks > 0)
        within = (state.block + 0.5 * part) / state.blocks;
    if (within > state.within)
        state.within = within < 1 ? within : 1;
}

void progress_block(int block, int blocks)
{
    if (sent((struct progress_event){.kind = PROGRESS_BLOCK, .block = block, .blocks = blocks}, ""))
        return;
    pthread_mutex_lock(&lock);
    if (block != state.block || blocks != state.blocks) {
        state.block = block;
        state.blocks = blocks;
        state.stage[0] = '\0';
        state.done = state.total = state.tokens = 0;
        update_within();
        refresh(0);
    }
    pthread_mutex_unlock(&lock);
}

void progress_stage(const char *stage, long done, long total, long tokens)
{
    if (sent(
            (struct progress_event){
                .kind = PROGRESS_STAGE, .done = done, .total = total, .tokens = tokens},
            stage))
        return;
    pthread_mutex_lock(&lock);
    if (strncmp(state.stage, stage, sizeof state.stage - 1) != 0 || done < state.done) {
        snprintf(state.stage, sizeof state.stage, "%s", stage);
        state.stage_begin = clock_wall();
    }
    state.done = done;
    state.total = total;
    state.tokens = tokens;
    update_within();
    refresh(0);
    pthread_mutex_unlock(&lock);
}

/* The line of a point that ended; the lock is held. */
static void show_done(int index, const char *label, const char *result, double seconds)
{
    char line[768], took[32], left[48] = "", rest[32];
    double estimate = progress_estimate(&state);
    if (active && progress_mode() == PROGRESS_JSON) {
        event(json_pack("{s:s, s:i, s:i, s:s, s:s, s:f}", "event", "done", "index", index, "points",
                        state.points, "label", label, "result", result, "seconds", seconds));
    } else if (active && progress_mode() != PROGRESS_QUIET) {
        progress_duration(seconds, took);
        progress_duration(estimate, rest);
        if (progress_mode() == PROGRESS_PLAIN && estimate > 0)
            snprintf(left, sizeof left, ", %s left", rest);
        snprintf(line, sizeof line, "[%d/%d] %s%s%s  (%s%s)", index + 1, state.points, label,
                 *result ? ": " : "", result, took, left);
        say(line);
    }
}

void progress_point_done(const char *result)
{
    if (sent((struct progress_event){.kind = PROGRESS_DONE}, result))
        return;
    pthread_mutex_lock(&lock);
    state.now = clock_wall();
    state.finished++;
    state.cost_finished += state.cost_point;
    state.cost_point = state.within = 0;
    show_done(state.index, state.label, result, state.now - state.point_begin);
    pthread_mutex_unlock(&lock);
}

void progress_beside_done(int index, const char *label, const char *result, double seconds)
{
    pthread_mutex_lock(&lock);
    state.now = clock_wall();
    state.finished++;
    state.cost_finished += cost_of(index);
    show_done(index, label, result, seconds);
    pthread_mutex_unlock(&lock);
}

void progress_line(const char *format, ...)
{
    char line[1024];
    va_list args;
    if (progress_mode() == PROGRESS_QUIET && !redirected)
        return;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (sent((struct progress_event){.kind = PROGRESS_LINE}, line))
        return;
    pthread_mutex_lock(&lock);
    if (progress_mode() == PROGRESS_JSON) {
        event(json_pack("{s:s, s:s}", "event", "line", "text", line));
    } else {
        say(line);
        refresh(progress_mode() == PROGRESS_LIVE);
    }
    pthread_mutex_unlock(&lock);
}

void progress_end(void)
{
    pthread_mutex_lock(&lock);
    if (active) {
        erase();
        state.now = clock_wall();
        if (progress_mode() == PROGRESS_JSON)
            event(json_pack("{s:s, s:i, s:i, s:f}", "event", "end", "finished", state.finished,
                            "skipped", state.skipped, "seconds", state.now - state.begin));
        active = 0;
        mem_free(costs);
        costs = NULL;
        interrupt_epilogue(NULL);
    }
    pthread_mutex_unlock(&lock);
}

void progress_pause(void)
{
    pthread_mutex_lock(&lock);
    erase();
    paused = 1;
    pthread_mutex_unlock(&lock);
}

void progress_resume(void)
{
    pthread_mutex_lock(&lock);
    paused = 0;
    if (active && progress_mode() == PROGRESS_LIVE)
        refresh(1);
    pthread_mutex_unlock(&lock);
}
