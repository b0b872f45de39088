/* Ctrl-C and SIGTERM: the first asks for a clean end, the second ends the process at once. */
#ifndef CORE_INTERRUPT_H
#define CORE_INTERRUPT_H

/* Installs the handlers for SIGINT, SIGTERM and SIGHUP; called once by main.c. SIGPIPE and
 * SIGXFSZ are ignored: a closed pipe and a file at its limit are then write errors like others. */
void interrupt_install(void);

/* 0, or the number of the signal that asked us to stop. Cheap: loops ask it once a block, a window
 * or a step. */
int interrupted(void);

/* 0, or ERR_INTERRUPTED with a line: for TRY(interrupt_check()). */
int interrupt_check(void);

/* Bytes (borrowed, kept until replaced) that the second signal writes to stderr before it ends the
 * process, so that a live display leaves a usable terminal; NULL: none. */
void interrupt_epilogue(const char *bytes);

/* As if the signal had come (0: none came), for tests. */
void interrupt_simulate(int signal);

#endif
