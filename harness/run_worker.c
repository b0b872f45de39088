/* A process that computes points for the one that writes the database. Everything that was opened
 * before it was forked is there; threads are its own. */
#include "core/clock.h"
#include "core/err.h"
#include "core/interrupt.h"
#include "core/pool.h"
#include "core/progress.h"
#include "harness/run_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static int output = -1;

/* The parent is gone when it cannot take what is written. */
static void put(const void *bytes, size_t size)
{
    for (const char *at = bytes; size > 0;) {
        ssize_t written = write(output, at, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            _exit(1);
        at += written;
        size -= (size_t)written;
    }
}

/* Stages move more often than anybody looks. A block that was left out would show the one before
 * until it ends. */
static void send_progress(const struct progress_event *event)
{
    static double last;
    const double interval = 0.1;
    double now = clock_wall();
    if (event->kind == PROGRESS_STAGE && now - last < interval)
        return;
    last = now;
    const struct run_message message = {.kind = RUN_PROGRESS, .size = sizeof *event};
    put(&message, sizeof message);
    put(event, sizeof *event);
}

static void send_error(int code)
{
    const struct run_message message = {.kind = RUN_ERROR, .size = sizeof(struct err_saved)};
    struct err_saved error;
    memset(&error, 0, sizeof error);
    err_save(&error, code);
    put(&message, sizeof message);
    put(&error, sizeof error);
}

static int compute(struct run_work *work, int index)
{
    const struct experiment *experiment = &work->run->experiment;
    struct run_summary summary = {0};
    struct store *store = NULL;
    unsigned char *image = NULL;
    size_t size = 0;
    int rc;
    TRY(store_open_memory(&store));
    TRY(store_experiment(store, experiment->name, "", "", ""));
    TRY(run_point(work->run, store, work->shared, index, &summary));
    TRY(store_image(store, &image, &size));
    const struct run_result result = {summary.failed, summary.spent, summary.saved};
    const struct run_message message = {.kind = RUN_RESULT, .size = sizeof result + size};
    put(&message, sizeof message);
    put(&result, sizeof result);
    put(image, size);
out:
    store_image_free(image);
    store_close(store);
    return rc;
}

/* *index = the next point; false: there are no more. */
static bool next_point(int in, int *index)
{
    ssize_t got;
    do
        got = read(in, index, sizeof *index);
    while (got < 0 && errno == EINTR && !interrupted());
    return got == (ssize_t)sizeof *index;
}

/* Points that stand before this one are done, or somebody else's. */
static void skip_before(struct run_work *work, int index)
{
    for (int at = 0; at < work->count && work->order[at] != index; at++)
        shared_skip(work->shared, work->order[at]);
}

/* When memory runs out, the system ends this process and not the one that holds the results. */
static void volunteer(void)
{
    static const char score[] = "500";
    int file = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (file < 0)
        return;
    ssize_t written = write(file, score, sizeof score - 1);
    (void)written;
    close(file);
}

void run_worker(struct run_work *work, int threads, int in, int out)
{
    int index, rc;
    output = out;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGINT, SIG_IGN); /* Ctrl-C is for the parent, which tells us by SIGTERM */
    signal(SIGHUP, SIG_IGN);
    volunteer();
    store_leave(work->store);
    progress_redirect(send_progress);
    if ((rc = pool_start(threads)) != 0)
        send_error(rc);
    while (rc == 0 && next_point(in, &index)) {
        skip_before(work, index);
        rc = compute(work, index);
        if (rc)
            send_error(rc);
    }
    _exit(0);
}
