/* What the program says beside its results: notes and warnings, on stderr, whole lines, from any
 * thread. A warning also stays silent for nobody: -q takes away notes and progress only. */
#ifndef CORE_LOG_H
#define CORE_LOG_H

enum log_mode { LOG_NORMAL, LOG_QUIET };
void log_set_mode(enum log_mode mode);

/* "bitbench: warning: text". */
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A line of text; nothing with -q. */
void log_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
