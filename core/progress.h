/* The progress of a long command. On a terminal (stderr) one line redrawn in place; otherwise plain
 * lines on stderr; with
 * --json one JSON object a line on stdout; with -q nothing. Every function may be called from any
 * thread, before progress_begin and after progress_end (it then does nothing, but progress_line
 * still prints), and none fails.
 *
 *     progress_begin("quickstart", 9, NULL);
 *     for each point i: progress_point(i, "gptq bits=2");
 *         for each block b: progress_block(b, 30); progress_stage("quantize", done, total, 0);
 *         progress_stage("evaluate", window, windows, tokens so far in this stage);
 *     progress_point_done("perplexity kjv 27.9");      or  progress_skip(i, label, "already done")
 *     progress_end(); */
#ifndef CORE_PROGRESS_H
#define CORE_PROGRESS_H

enum progress_mode {
    PROGRESS_AUTO,  /* live on a terminal, else plain lines */
    PROGRESS_LIVE,  /* live, whatever stderr is: tests */
    PROGRESS_PLAIN, /* plain lines, whatever stderr is */
    PROGRESS_QUIET, /* nothing */
    PROGRESS_JSON   /* JSON lines on stdout */
};
/* Called by main.c from -q and --json, before anything begins. */
void progress_set_mode(enum progress_mode mode);
/* The mode in force; AUTO is answered with LIVE or PLAIN. */
enum progress_mode progress_mode(void);

/* Starts a display of `points` points. costs (may be NULL; copied) are `points` expected costs in
 * any unit: they only weigh the points against each other for the time that is left. */
void progress_begin(const char *title, int points, const double *costs);

/* Point index (0-based) starts now. */
void progress_point(int index, const char *label);

/* The point index needs no work; its cost no longer counts. Prints nothing on a terminal but the
 * count. */
void progress_skip(int index, const char *label, const char *why);

/* Within the point: block (0-based) of blocks. */
void progress_block(int block, int blocks);

/* Within the point: `done` of `total` units of a stage (total 0: unknown), and the tokens processed
 * since the stage began (0: tokens have no meaning here). A stage begins when its name changes or
 * `done` falls. */
void progress_stage(const char *stage, long done, long total, long tokens);

/* The point ended; result is a short text for its line ("perplexity kjv 27.9", "failed: ..."). */
void progress_point_done(const char *result);

/* A point that another process computed beside the present one ended; it took so many seconds. */
void progress_beside_done(int index, const char *label, const char *result, double seconds);

/* A line that stays, above the live line ({"event": "line"} in JSON mode; nothing with -q). */
void progress_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Takes the live line away. Legal twice. */
void progress_end(void);

/* Other output to the terminal goes between these two, so that it does not mix with the live line.
 */
void progress_pause(void);
void progress_resume(void);

/* In a process that works for another one: what would be shown goes there instead, which gives it
 * to progress_replay. NULL: it is shown here. */
struct progress_event {
    enum { PROGRESS_BLOCK, PROGRESS_STAGE, PROGRESS_DONE, PROGRESS_LINE } kind;
    int block, blocks;
    long done, total, tokens;
    char text[1024]; /* the stage's name, the result, the line */
};
void progress_redirect(void (*take)(const struct progress_event *event));
void progress_replay(const struct progress_event *event);

/* "0.4 s", "12 s", "3:05", "2:03:05", "128 h" */
void progress_duration(double seconds, char out[32]);

#endif
