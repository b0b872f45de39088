/* bitbench run as a program, from a shell line: what it printed, how it ended, within a time limit.
 */
#ifndef TESTS_PROGRAM_H
#define TESTS_PROGRAM_H

#include "core/mem.h"

#include <fcntl.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* What a line may take, in seconds: it is there to tell a hang from a busy machine. */
#define PROGRAM_SECONDS "100"

static char *program_folder; /* a folder of the test's own, $T */

struct result {
    int status;      /* the exit status; 124: the time limit; 1000 + the signal */
    char *out, *err; /* both valid until the next run */
};

/* Sets $B, the program beside the folder of this test, and $T; 0, or -1 when it was not built. */
static inline int program_start(char *folder)
{
    char path[4096];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    program_folder = folder;
    if (length <= 0)
        return -1;
    path[length] = '\0';
    for (int i = 0; i < 2; i++)
        *strrchr(path, '/') = '\0';
    length = (ssize_t)strlen(path);
    snprintf(path + length, sizeof path - (size_t)length, "/bitbench");
    if (access(path, X_OK) != 0) {
        fprintf(stderr, "%s is not there: build it first\n", path);
        return -1;
    }
    return setenv("B", path, 1) || setenv("T", folder, 1) ? -1 : 0;
}

/* The file's content; "" when there is none. One of two texts that take turns. */
static inline char *program_output(const char *name)
{
    static struct strbuf texts[2];
    static int turn;
    struct strbuf *text = &texts[turn++ & 1];
    char path[4200], piece[4096];
    size_t got;
    snprintf(path, sizeof path, "%s/%s", program_folder, name);
    FILE *file = fopen(path, "rbe");
    text->length = 0;
    if (strbuf_puts(text, "") != 0)
        abort();
    while (file && (got = fread(piece, 1, sizeof piece, file)) > 0)
        if (strbuf_add(text, piece, got) != 0)
            abort();
    if (file)
        fclose(file);
    return text->data;
}

static inline int program_status(pid_t pid)
{
    int status;
    if (waitpid(pid, &status, 0) != pid)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* Starts the words; standard input is empty, standard output and error go to $T/out and $T/err. */
static inline pid_t program_spawn(const char *const *words)
{
    pid_t pid;
    char path[2][4200];
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    for (int i = 0; i < 2; i++) {
        snprintf(path[i], sizeof path[i], "%s/%s", program_folder, i ? "err" : "out");
        posix_spawn_file_actions_addopen(&actions, i + 1, path[i], O_WRONLY | O_CREAT | O_TRUNC,
                                         0666);
    }
    int error = posix_spawnp(&pid, words[0], &actions, NULL, (char *const *)(uintptr_t)words,
                             environ);
    posix_spawn_file_actions_destroy(&actions);
    return error ? -1 : pid;
}

/* Runs a line of shell. */
static inline struct result shell(const char *line)
{
    const char *words[] = {"timeout", "-k", "5", PROGRAM_SECONDS, "sh", "-c", line, NULL};
    pid_t pid = program_spawn(words);
    struct result result = {.status = pid < 0 ? -1 : program_status(pid)};
    result.out = program_output("out");
    result.err = program_output("err");
    return result;
}

/* The line fails with this status, without output, and with one line of error that holds the text
 * (and, where the words were wrong, one that points at the help). */
static inline void refuses(const char *line, int status, const char *text)
{
    struct result r = shell(line);
    const char *end = strchr(r.err, '\n');
    const char *help = end && strncmp(end + 1, "See `bitbench ", 14) == 0 ? strchr(end + 1, '\n')
                                                                          : end;
    if (r.status != status || *r.out || !help || help[1] || strncmp(r.err, "bitbench: ", 10) != 0 ||
        !strstr(r.err, text))
        fail_msg("%s\nexpected %d <%s>\ngot %d <%s> and the output <%.200s>", line, status, text,
                 r.status, r.err, r.out);
}

/* The line ends well and has no complaint. */
static inline void works(const char *line)
{
    struct result r = shell(line);
    if (r.status != 0 || *r.err)
        fail_msg("%s\ngot %d <%s>", line, r.status, r.err);
}

#endif
