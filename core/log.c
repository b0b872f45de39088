#include "core/log.h"

#include "core/mem.h"
#include "core/progress.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static enum log_mode mode;
static struct strbuf *capture;

void log_set_mode(enum log_mode wanted)
{
    mode = wanted;
}

enum log_mode log_mode(void)
{
    return mode;
}

void log_capture(struct strbuf *buffer)
{
    pthread_mutex_lock(&lock);
    capture = buffer;
    pthread_mutex_unlock(&lock);
}

/* A warning that cannot be kept for lack of memory was still printed. */
static void keep(const char *line)
{
    pthread_mutex_lock(&lock);
    if (capture && !(capture->data && strstr(capture->data, line)) &&
        (capture->length == 0 || strbuf_puts(capture, "; ") == 0))
        (void)strbuf_puts(capture, line);
    pthread_mutex_unlock(&lock);
}

void log_warning(const char *format, ...)
{
    char line[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    keep(line);
    progress_pause();
    fprintf(stderr, "bitbench: warning: %s\n", line);
    progress_resume();
}

void log_note(const char *format, ...)
{
    char line[1024];
    va_list args;
    if (mode == LOG_QUIET)
        return;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    progress_pause();
    fprintf(stderr, "%s\n", line);
    progress_resume();
}
