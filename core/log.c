#include "core/log.h"

#include "core/progress.h"

#include <stdarg.h>
#include <stdio.h>

static enum log_mode mode;

void log_set_mode(enum log_mode wanted)
{
    mode = wanted;
}

void log_warning(const char *format, ...)
{
    char line[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
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
