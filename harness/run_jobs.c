/* Points in processes of their own: what goes wrong in one is that point's result. Only this
 * process writes the database. */
#include "core/clock.h"
#include "core/err.h"
#include "core/interrupt.h"
#include "core/mem.h"
#include "core/pool.h"
#include "core/progress.h"
#include "harness/run_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct worker {
    pid_t process; /* 0: not running */
    int to, from;
    int index, group; /* of its point, -1: it waits; and where that stands: shared_order */
    double began;
    char said[1024]; /* of its point's result, which is shown when it is stored */
};

struct jobs {
    struct run_work *work;
    struct worker workers[RUN_MAX_JOBS];
    int count, threads; /* of each worker */
    int shown;          /* the worker whose progress is shown */
    bool stopping;
};

static const char *label_of(const struct jobs *jobs, int index)
{
    return jobs->work->run->experiment.points[index].label;
}

/* ---- processes ---- */

static void close_pipes(struct worker *worker)
{
    close(worker->to);
    close(worker->from);
    worker->to = worker->from = -1;
}

static int start_worker(struct jobs *jobs, struct worker *worker)
{
    int to[2], from[2];
    if (pipe2(to, O_CLOEXEC) != 0)
        return err_set(ERR_IO, "cannot make a pipe: %s", strerror(errno));
    if (pipe2(from, O_CLOEXEC) != 0) {
        int rc = err_set(ERR_IO, "cannot make a pipe: %s", strerror(errno));
        close(to[0]);
        close(to[1]);
        return rc;
    }
    *worker = (struct worker){.to = to[1], .from = from[0], .index = -1, .group = -1};
    fflush(NULL); /* what is buffered is written once */
    pid_t parent = getpid(), process = fork();
    if (process == 0) {
        for (int i = 0; i < jobs->count; i++)
            if (jobs->workers[i].process > 0)
                close_pipes(&jobs->workers[i]);
        close_pipes(worker);
        if (getppid() != parent)
            _exit(1);
        run_worker(jobs->work, jobs->threads, to[0], from[1]);
    }
    close(to[0]);
    close(from[1]);
    if (process < 0) {
        close_pipes(worker);
        return err_set(ERR_IO, "cannot start a process for points: %s; use fewer --jobs",
                       strerror(errno));
    }
    worker->process = process;
    return 0;
}

static bool get(const struct worker *worker, void *bytes, size_t size)
{
    for (char *at = bytes; size > 0;) {
        ssize_t got = read(worker->from, at, size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        at += got;
        size -= (size_t)got;
    }
    return true;
}

/* ---- dealing ---- */

/* The point that this worker does best next: one that has something in common with what it just
 * did, else the first of a family that nobody works on, else the first. -1: there is none. */
static int choose(const struct jobs *jobs, const struct worker *worker)
{
    const struct run_work *work = jobs->work;
    int first = -1, fresh = -1;
    for (int at = 0; at < work->count; at++) {
        bool taken = false;
        if (work->there[work->order[at]])
            continue;
        if (work->group[at] == worker->group)
            return at;
        for (int i = 0; i < jobs->count; i++)
            taken |= jobs->workers[i].process > 0 && jobs->workers[i].index >= 0 &&
                     jobs->workers[i].group == work->group[at];
        first = first < 0 ? at : first;
        fresh = fresh < 0 && !taken ? at : fresh;
    }
    return fresh >= 0 ? fresh : first;
}

/* For `bitbench status`: what is being computed, a line each. */
static void tell_readers(const struct jobs *jobs)
{
    struct strbuf labels = {0};
    int rc = strbuf_puts(&labels, "");
    for (int i = 0; rc == 0 && i < jobs->count; i++)
        if (jobs->workers[i].process > 0 && jobs->workers[i].index >= 0)
            rc = strbuf_printf(&labels, "%s%s", labels.length ? "\n" : "",
                               label_of(jobs, jobs->workers[i].index));
    if (rc == 0)
        store_working_on(jobs->work->store, jobs->work->run->experiment.name, labels.data);
    strbuf_release(&labels);
}

static bool may_deal(const struct jobs *jobs)
{
    int running = 0;
    for (int i = 0; i < jobs->count; i++)
        running += jobs->workers[i].process > 0 && jobs->workers[i].index >= 0;
    const struct run_work *work = jobs->work;
    const struct run_summary *sum = work->summary;
    return !jobs->stopping && (work->options->limit == 0 ||
                               sum->computed + sum->failed + running < work->options->limit);
}

static int deal(struct jobs *jobs, struct worker *worker)
{
    struct run_work *work = jobs->work;
    int rc = 0, at = may_deal(jobs) ? choose(jobs, worker) : -1;
    if (at < 0) {
        if (worker->process > 0 && worker->to >= 0)
            close(worker->to); /* it ends */
        worker->to = -1;
        return 0;
    }
    if (worker->process == 0)
        TRY(start_worker(jobs, worker));
    worker->index = work->order[at];
    worker->group = work->group[at];
    worker->began = clock_wall();
    work->there[worker->index] = true;
    if (write(worker->to, &worker->index, sizeof worker->index) != sizeof worker->index)
        goto out; /* it is gone, which its other pipe tells */
    if (jobs->shown < 0) {
        jobs->shown = (int)(worker - jobs->workers);
        progress_point(worker->index, label_of(jobs, worker->index));
    }
    tell_readers(jobs);
out:
    return rc;
}

/* ---- what they say ---- */

/* The point's line, whichever of those that run side by side it is. */
static void show_done(struct jobs *jobs, const struct worker *worker, const char *result)
{
    if (jobs->shown == worker - jobs->workers) {
        progress_point_done(result);
        jobs->shown = -1;
    } else {
        progress_beside_done(worker->index, label_of(jobs, worker->index), result,
                             clock_wall() - worker->began);
    }
}

static void replay(struct jobs *jobs, struct worker *worker, const struct progress_event *event)
{
    if (event->kind == PROGRESS_DONE)
        memcpy(worker->said, event->text, sizeof worker->said);
    else if (event->kind == PROGRESS_LINE || jobs->shown == worker - jobs->workers)
        progress_replay(event);
}

static int take_result(struct jobs *jobs, struct worker *worker, const struct run_result *result,
                       const unsigned char *image, size_t size)
{
    struct run_work *work = jobs->work;
    const struct experiment *experiment = &work->run->experiment;
    int rc;
    rc = store_take_point(work->store, image, size, work->ids[worker->index], experiment->name,
                          experiment->model_index * STORE_MODEL_PLACES + worker->index);
    if (rc) {
        err_prefix(rc, "the point '%s' was not stored", label_of(jobs, worker->index));
        goto out;
    }
    show_done(jobs, worker, worker->said);
    work->summary->computed += !result->failed;
    work->summary->failed += result->failed;
    work->summary->left--;
    work->summary->spent += result->spent;
    work->summary->saved += result->saved;
    worker->index = -1;
out:
    return rc;
}

/* It came to an end in the middle of a point. */
static int lose_worker(struct jobs *jobs, struct worker *worker)
{
    struct run_work *work = jobs->work;
    int status = 0, rc = 0, index = worker->index;
    char text[256];
    while (waitpid(worker->process, &status, 0) < 0 && errno == EINTR)
        ;
    if (worker->to >= 0)
        close(worker->to);
    close(worker->from);
    worker->process = 0;
    if (index < 0 || jobs->stopping)
        return 0;
    int number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    if (number == SIGKILL)
        snprintf(text, sizeof text,
                 "its process was killed (signal 9): by the system because memory ran out, or by "
                 "somebody; --memory or fewer --jobs make it smaller");
    else if (number)
        snprintf(text, sizeof text, "its process crashed: signal %d, %s", number,
                 strsignal(number));
    else
        snprintf(text, sizeof text, "its process ended with status %d before it had a result",
                 WEXITSTATUS(status));
    TRY(run_lost_point(work->run, work->store, index, text));
    progress_line("%s failed: %s", label_of(jobs, index), text);
    show_done(jobs, worker, "failed");
    work->summary->failed++;
    work->summary->left--;
    worker->index = -1;
out:
    return rc;
}

/* The body of a message; *whole = false when the worker ended within it. */
static int take_message(struct jobs *jobs, struct worker *worker, const struct run_message *message,
                        bool *whole)
{
    unsigned char *bytes = NULL;
    struct progress_event event;
    struct err_saved error;
    struct run_result result;
    int rc;
    TRY(mem_alloc(&bytes, message->size, 1));
    *whole = get(worker, bytes, message->size);
    if (!*whole)
        goto out;
    switch (message->kind) {
    case RUN_PROGRESS:
        memcpy(&event, bytes, sizeof event);
        replay(jobs, worker, &event);
        break;
    case RUN_RESULT:
        memcpy(&result, bytes, sizeof result);
        TRY(take_result(jobs, worker, &result, bytes + sizeof result,
                        message->size - sizeof result));
        TRY(deal(jobs, worker));
        break;
    case RUN_ERROR:
        memcpy(&error, bytes, sizeof error);
        if (!jobs->stopping)
            rc = err_restore(&error);
        break;
    }
out:
    mem_free(bytes);
    return rc;
}

static int hear(struct jobs *jobs, struct worker *worker)
{
    struct run_message message;
    int rc = 0;
    bool whole = get(worker, &message, sizeof message);
    if (whole)
        TRY(take_message(jobs, worker, &message, &whole));
    if (!whole) {
        TRY(lose_worker(jobs, worker));
        TRY(deal(jobs, worker));
    }
out:
    return rc;
}

/* ---- the whole ---- */

/* Asks all to end; what is finished meanwhile is stored. */
static void stop(struct jobs *jobs)
{
    jobs->stopping = true;
    for (int i = 0; i < jobs->count; i++) {
        struct worker *worker = &jobs->workers[i];
        if (worker->process == 0)
            continue;
        kill(worker->process, SIGTERM);
        if (worker->to >= 0)
            close(worker->to);
        worker->to = -1;
    }
}

/* Waits until somebody says something; *some = false when nobody is left. */
static int listen_once(struct jobs *jobs, bool *some)
{
    struct pollfd waiting[RUN_MAX_JOBS];
    int rc = 0, live = 0, who[RUN_MAX_JOBS];
    for (int i = 0; i < jobs->count; i++)
        if (jobs->workers[i].process > 0) {
            waiting[live] = (struct pollfd){.fd = jobs->workers[i].from, .events = POLLIN};
            who[live++] = i;
        }
    *some = live > 0;
    if (live == 0)
        return 0;
    int ready = poll(waiting, (nfds_t)live, 1000);
    if (interrupted() && !jobs->stopping)
        stop(jobs);
    for (int i = 0; ready > 0 && i < live; i++)
        if (waiting[i].revents)
            TRY(hear(jobs, &jobs->workers[who[i]]));
out:
    return rc;
}

/* After an error: nobody goes on. */
static void end_all(struct jobs *jobs)
{
    stop(jobs);
    for (int i = 0; i < jobs->count; i++)
        if (jobs->workers[i].process > 0) {
            kill(jobs->workers[i].process, SIGKILL);
            lose_worker(jobs, &jobs->workers[i]);
        }
}

int run_in_processes(struct run_work *work)
{
    struct jobs jobs = {.work = work, .count = work->options->jobs, .shown = -1};
    int rc = 0, threads = pool_threads();
    bool some = true;
    jobs.threads = threads / jobs.count > 0 ? threads / jobs.count : 1;
    pool_stop(); /* a fork has none of its parent's threads */
    for (int i = 0; i < jobs.count; i++)
        jobs.workers[i] = (struct worker){.to = -1, .from = -1, .index = -1, .group = -1};
    for (int i = 0; i < jobs.count; i++)
        TRY(deal(&jobs, &jobs.workers[i]));
    while (some)
        TRY(listen_once(&jobs, &some));
    rc = interrupt_check();
out:
    if (rc) {
        struct err_saved error;
        err_save(&error, rc);
        end_all(&jobs);
        rc = err_restore(&error);
    }
    int started = pool_start(threads);
    return rc ? rc : started;
}
