#include "core/interrupt.h"

#include "core/err.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t caught;
static _Atomic(const char *) epilogue;

static void handle(int number)
{
    if (!caught) {
        caught = number;
        return;
    }
    const char *bytes = atomic_load(&epilogue);
    if (bytes) {
        ssize_t written = write(STDERR_FILENO, bytes, strlen(bytes));
        (void)written;
    }
    _exit(128 + number);
}

void interrupt_install(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < 3; i++) {
        struct sigaction before;
        /* A signal that our parent chose to ignore (nohup) stays ignored. */
        if (sigaction(signals[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(signals[i], &action, NULL);
    }
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigemptyset(&ignore.sa_mask);
    sigaction(SIGPIPE, &ignore, NULL);
    sigaction(SIGXFSZ, &ignore, NULL);
}

int interrupted(void)
{
    return caught;
}

int interrupt_check(void)
{
    return caught
               ? err_set(ERR_INTERRUPTED, "stopped by %s", caught == SIGINT ? "Ctrl-C" : "a signal")
               : 0;
}

void interrupt_epilogue(const char *bytes)
{
    atomic_store(&epilogue, bytes);
}

void interrupt_simulate(int number)
{
    caught = number;
}
