/* Where the text of the corpora comes from: installed files, plain or compressed, and programs that
 * print it. */
#include "datasets/documents.h"

#include "core/err.h"
#include "core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

int corpus_path(char **out, const char *below_root)
{
    const char *root = getenv("BITBENCH_CORPUS_ROOT");
    return mem_printf(out, "%s/%s", root ? root : "", below_root);
}

static int read_compressed(const char *path, struct strbuf *out)
{
    static const size_t piece = 1 << 18;
    char *bytes = NULL;
    gzFile file = NULL;
    int rc, got;
    TRY(mem_alloc(&bytes, piece, 1));
    if (!(file = gzopen(path, "rbe")))
        TRY(err_set(ERR_IO, "%s: cannot read: %s", path, strerror(errno)));
    while ((got = gzread(file, bytes, (unsigned)piece)) > 0)
        TRY(strbuf_add(out, bytes, (size_t)got));
    int code = Z_OK;
    const char *text = gzerror(file, &code);
    if (got < 0 || code != Z_OK)
        rc = err_set(ERR_FORMAT, "%s: cannot decompress behind byte %zu: %s", path, out->length,
                     text);
out:
    if (file)
        gzclose_r(file);
    mem_free(bytes);
    return rc;
}

int corpus_read(const struct corpus *corpus, const char *below_root, struct strbuf *out)
{
    char *path = NULL;
    struct file_map map = {0};
    int rc;
    TRY(corpus_path(&path, below_root));
    if (!file_exists(path))
        TRY(err_set(ERR_MISSING, "corpus %s: %s is not there: apt-get install %s", corpus->name,
                    path, corpus->package));
    size_t length = strlen(path);
    if (length > 3 &&
        (strcmp(path + length - 3, ".dz") == 0 || strcmp(path + length - 3, ".gz") == 0))
        TRY(read_compressed(path, out));
    else {
        TRY(file_map_open(&map, path));
        TRY(strbuf_add(out, (const char *)map.data, map.size));
    }
out:
    file_unmap(&map);
    mem_free(path);
    return rc;
}

/* Reads the pipe until its end. */
static int drain(int fd, const char *program, struct strbuf *out)
{
    char bytes[1 << 14];
    for (;;) {
        ssize_t got = read(fd, bytes, sizeof bytes);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_set(ERR_IO, "%s: cannot read its output: %s", program, strerror(errno));
        if (got == 0)
            return 0;
        int rc = strbuf_add(out, bytes, (size_t)got);
        if (rc)
            return rc;
    }
}

static int spawn(const char *const *arguments, int fds[2], pid_t *child)
{
    posix_spawn_file_actions_t actions;
    if (posix_spawn_file_actions_init(&actions) != 0)
        return ENOMEM;
    int error = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    if (!error)
        error = posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    if (!error)
        error = posix_spawn_file_actions_adddup2(&actions, fds[1], 1);
    if (!error) {
        /* The interface wants non-const strings but does not write to them. */
        char *const *words = (char *const *)(uintptr_t)arguments;
        error = posix_spawnp(child, words[0], &actions, NULL, words, environ);
    }
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

int command_read(const char *const *arguments, struct strbuf *out)
{
    int fds[2], status = 0, rc;
    pid_t child;
    if (pipe2(fds, O_CLOEXEC) != 0)
        return err_set(ERR_IO, "%s: cannot make a pipe: %s", arguments[0], strerror(errno));
    int error = spawn(arguments, fds, &child);
    close(fds[1]);
    if (error) {
        close(fds[0]);
        return err_set(error == ENOENT ? ERR_MISSING : ERR_IO, "%s: cannot start it: %s",
                       arguments[0], strerror(error));
    }
    rc = drain(fds[0], arguments[0], out);
    close(fds[0]);
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return rc ? rc
                      : err_set(ERR_IO, "%s: cannot wait for it: %s", arguments[0],
                                strerror(errno));
    if (rc == 0 && WIFSIGNALED(status))
        rc = err_set(ERR_IO, "%s: ended by signal %d", arguments[0], WTERMSIG(status));
    else if (rc == 0 && WEXITSTATUS(status) == 127)
        rc = err_set(ERR_MISSING, "%s: cannot start it", arguments[0]);
    else if (rc == 0 && WEXITSTATUS(status) != 0)
        rc = err_set(ERR_IO, "%s: ended with status %d", arguments[0], WEXITSTATUS(status));
    return rc;
}

char *package_version(const char *package)
{
    const char *arguments[] = {"dpkg-query", "-W", "-f=${Version}", package, NULL};
    struct strbuf version = {0};
    struct err_saved saved;
    err_save(&saved, 0); /* not knowing is no error: the caller's text stays as it was */
    if (!package || command_read(arguments, &version) != 0 || version.length == 0)
        strbuf_release(&version);
    err_restore(&saved);
    return version.data;
}
