/* The program: everything that belongs to the process and to no command. */
#include "core/err.h"
#include "core/interrupt.h"
#include "core/mem.h"
#include "core/progress.h"
#include "harness/command.h"
#include "linalg/cpu.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Results that did not reach their file are a failure, whatever the command said; but a reader that
 * has seen enough (`| head`) is none. */
static int finish_output(int rc)
{
    errno = 0;
    int flushed = fflush(stdout), code = errno;
    if (flushed == 0 && !ferror(stdout))
        return rc;
    struct pollfd output = {.fd = STDOUT_FILENO};
    if (code == EPIPE || (poll(&output, 1, 0) == 1 && (output.revents & POLLERR)))
        return rc;
    if (rc)
        return rc;
    return err_set(ERR_IO, "standard output: %s; what is there is not complete",
                   code ? strerror(code) : "a write failed");
}

/* jansson's parser drops characters where its memory does not suffice (2.14): no result is better
 * than another one. What is stored stays whole. */
static void *json_memory(size_t size)
{
    static const char text[] = "bitbench: out of memory: JSON\n";
    void *memory = mem_raw(size);
    if (memory)
        return memory;
    ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
    (void)written;
    _exit(command_exit_code(ERR_MEMORY));
}

/* Were one of the three closed, the next file to be opened would take its number, and messages
 * would go into it. What takes the place cannot be written to, nor read. */
static void hold_standard_files(void)
{
    for (int file = 0; file < 3; file++)
        if (fcntl(file, F_GETFD) < 0)
            (void)open("/dev/null", file == 0 ? O_WRONLY : O_RDONLY); /* the lowest that is free */
}

/* Where the address space is limited, OpenBLAS's own threads, which are not used here, ask for
 * buffers for ever, and the program could not end: it starts anew without them. */
static void leave_out_library_threads(char **argv)
{
    static const char name[] = "OPENBLAS_NUM_THREADS";
    struct rlimit space;
    if (getrlimit(RLIMIT_AS, &space) == 0 && space.rlim_cur != RLIM_INFINITY && !getenv(name) &&
        setenv(name, "1", 1) == 0)
        execv("/proc/self/exe", argv);
}

int main(int argc, char **argv)
{
    static char output[1 << 16];
    const struct command *misused;
    hold_standard_files();
    json_set_alloc_funcs(json_memory, mem_free);
    leave_out_library_threads(argv);
    cpu_prepare(argv);
    interrupt_install();
    if (!isatty(STDOUT_FILENO)) /* most outputs are then written, and can fail, in one go at the end
                                 */
        setvbuf(stdout, output, _IOFBF, sizeof output);
    int rc = command_line_run(argc, argv, &misused);
    progress_end();
    rc = finish_output(rc);
    if (rc) {
        fprintf(stderr, "bitbench: %s\n", err_text());
        if (misused)
            fprintf(stderr, "See `bitbench %s --help`.\n", misused->name);
    }
    return command_exit_code(rc);
}
