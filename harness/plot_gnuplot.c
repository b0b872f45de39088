/* gnuplot as a child process: the script on its standard input, its complaints from a file. */
#include "core/err.h"
#include "harness/plot_internal.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { COMPLAINT = 600 };

/* The first line of gnuplot's that says what is wrong and where ("\"x.gp\" line 3: ..."); what
 * follows it is mostly its consequence. Echoes of the script, carets and warnings (a method
 * without points in one panel) are passed over. */
static void first_words(FILE *complaints, char text[COMPLAINT])
{
    char line[COMPLAINT];
    text[0] = '\0';
    rewind(complaints);
    while (fgets(line, sizeof line, complaints)) {
        char *begin = line + strspn(line, " \t");
        begin[strcspn(begin, "\n")] = '\0';
        if (!*begin || *begin == '^' || strncmp(begin, "gnuplot>", 8) == 0 ||
            strstr(begin, "warning:"))
            continue;
        int placed = strstr(begin, "line ") && strchr(begin, ':');
        if (placed || !*text)
            snprintf(text, COMPLAINT, "%s", begin);
        if (placed)
            break;
    }
}

static int start(FILE *script, FILE *complaints, pid_t *child)
{
    char program[] = "gnuplot";
    char *arguments[] = {program, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fileno(script), STDIN_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", 1 /* O_WRONLY */, 0);
    posix_spawn_file_actions_adddup2(&actions, fileno(complaints), STDERR_FILENO);
    int error = posix_spawnp(child, program, &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error == ENOENT)
        return err_set(
            ERR_MISSING,
            "gnuplot is not installed, so nothing was drawn: apt-get install gnuplot-nox");
    return error ? err_set(ERR_IO, "gnuplot cannot be started: %s", strerror(error)) : 0;
}

int plot_gnuplot(const char *script_path, const struct strbuf *text)
{
    FILE *script = tmpfile(), *complaints = tmpfile();
    char words[COMPLAINT];
    pid_t child;
    int rc = 0, status;
    if (!script || !complaints || fwrite(text->data, 1, text->length, script) != text->length ||
        fflush(script) != 0)
        TRY(err_set(ERR_IO, "%s: cannot write a temporary file: %s", script_path, strerror(errno)));
    rewind(script);
    TRY(start(script, complaints, &child));
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            TRY(err_set(ERR_IO, "gnuplot was lost: %s", strerror(errno)));
    first_words(complaints, words);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || strstr(words, "line "))
        rc = err_set(ERR_INTERNAL, "%s: gnuplot says: %s", script_path,
                     *words ? words : "nothing, but it failed");
out:
    if (script)
        fclose(script);
    if (complaints)
        fclose(complaints);
    return rc;
}
