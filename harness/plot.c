#include "harness/plot.h"

#include "core/err.h"
#include "core/file.h"
#include "core/log.h"
#include "harness/paths.h"
#include "harness/plot_internal.h"
#include "harness/store_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void plot_list_release(struct plot_list *list)
{
    mem_free(list->entries);
    mem_free(list->folder);
    *list = (struct plot_list){0};
}

/* A line is "NAME SOURCE WHAT...", or empty, or a comment. */
static int read_line(struct plot_list *list, const char *path, const char *line)
{
    struct plot_entry entry;
    int rc, fields = sscanf(line, "%63s %511s", entry.name, entry.source);
    if (fields <= 0 || entry.name[0] == '#')
        return 0;
    if (fields < 2)
        return err_set(ERR_FORMAT, "%s: '%s' has no source; a line is NAME SOURCE WHAT", path,
                       entry.name);
    TRY(mem_resize(&list->entries, (size_t)list->count, (size_t)list->count + 1,
                   sizeof *list->entries));
    list->entries[list->count++] = entry;
out:
    return rc;
}

int plot_list_load(struct plot_list *list)
{
    char *path = NULL, *text = NULL;
    int rc;
    *list = (struct plot_list){0};
    TRY(paths_data(&list->folder, "plots"));
    TRY(file_join(&path, list->folder, "plots.list"));
    TRY(file_read(path, &text, NULL));
    for (char *line = text, *end; *line; line = end) {
        end = line + strcspn(line, "\n");
        if (*end)
            *end++ = '\0';
        TRY(read_line(list, path, line));
    }
out:
    mem_free(path);
    mem_free(text);
    if (rc)
        plot_list_release(list);
    return rc;
}

/* What all the pictures of one request share. */
struct drawing {
    const struct plot_request *request;
    struct plot_list list;
    struct store *store; /* opened for the first plot that needs it */
    char *experiment;
};

static int open_store(struct drawing *drawing)
{
    int rc;
    if (drawing->store)
        return 0;
    TRY(store_open(&drawing->store, drawing->request->database, 0));
    TRY(store_find_experiment(drawing->store, drawing->request->experiment, &drawing->experiment));
out:
    return rc;
}

/* gnuplot draws into a file beside the picture, which takes its place only when it is whole. */
static int render(const struct plot_script *script, const struct strbuf *text, const char *picture)
{
    struct stat info;
    int rc = plot_gnuplot(script->path, text);
    if (rc == 0 && (stat(script->output, &info) != 0 || info.st_size == 0))
        rc = err_set(ERR_IO, "%s: gnuplot wrote no picture; is the disk full?", picture);
    if (rc == 0 && rename(script->output, picture) != 0)
        rc = err_set(ERR_IO, "%s: cannot write: %s", picture, strerror(errno));
    if (rc)
        unlink(script->output);
    return rc;
}

/* *data = the CSV that the plot reads, owned by the caller; *reason is set when there is none. */
static int find_data(const struct drawing *drawing, const struct plot_entry *entry, char **data,
                     const char **reason)
{
    int rc;
    const char *given = drawing->request->data;
    if (given) {
        if (!file_exists(given))
            return err_set(ERR_MISSING, "%s: no such file", given);
        return mem_strdup(data, given);
    }
    rc = paths_data(data, entry->source);
    if (rc == ERR_MISSING) {
        *reason = "there is no data file; name one with --data";
        rc = 0;
    }
    return rc;
}

/* Draws one plot. *reason says why there was nothing to draw; it is NULL when there was. */
static int draw(struct drawing *drawing, const struct plot_entry *entry, char **picture,
                const char **reason)
{
    const struct plot_request *request = drawing->request;
    int from_database = strcmp(entry->source, "database") == 0;
    struct plot_script script = {.format = request->format, .folder = drawing->list.folder};
    struct strbuf text = {0};
    char *path = NULL, *data = NULL, *output = NULL, block[64];
    const char *empty = NULL;
    int rc;
    *reason = NULL;
    TRY(mem_printf(&path, "%s/%s.gp", drawing->list.folder, entry->name));
    if (from_database)
        TRY(open_store(drawing));
    else
        TRY(find_data(drawing, entry, &data, reason));
    if (*reason)
        goto out;
    TRY(mem_printf(picture, "%s/%s%s%s.%s", request->folder,
                   from_database ? drawing->experiment : "", from_database ? "-" : "", entry->name,
                   request->format));
    TRY(mem_printf(&output, "%s.tmp.%ld", *picture, (long)getpid()));
    script.path = path;
    script.data = data;
    script.output = output;
    script.store = from_database ? drawing->store : NULL;
    script.experiment = from_database ? drawing->experiment : NULL;
    TRY(plot_script_build(&script, &text, block, &empty));
    if (empty) {
        *reason = "the experiment has nothing measured for it";
        goto out;
    }
    TRY(file_make_directories(request->folder));
    TRY(render(&script, &text, *picture));
out:
    strbuf_release(&text);
    mem_free(path);
    mem_free(data);
    mem_free(output);
    return rc;
}

static int unknown_name(const struct plot_list *list, const char *name)
{
    struct strbuf names = {0};
    int rc = 0;
    for (int i = 0; i < list->count && rc == 0; i++)
        rc = strbuf_printf(&names, "%s%s", i ? ", " : "", list->entries[i].name);
    if (rc == 0)
        rc = err_set(ERR_USAGE, "there is no plot '%s', only %s", name, names.data);
    strbuf_release(&names);
    return rc;
}

int plot_draw(const struct plot_request *request, plot_report *report, void *context)
{
    struct drawing drawing = {.request = request};
    int rc, all = !request->name || strcmp(request->name, "all") == 0, known = all;
    TRY(plot_list_load(&drawing.list));
    for (int i = 0; i < drawing.list.count; i++) {
        const struct plot_entry *entry = &drawing.list.entries[i];
        const char *reason = NULL;
        char *picture = NULL;
        if (!all && strcmp(entry->name, request->name) != 0)
            continue;
        known = 1;
        rc = draw(&drawing, entry, &picture, &reason);
        if (rc == 0 && reason && !all)
            rc = err_set(ERR_MISSING, "%s: nothing to draw: %s", entry->name, reason);
        if (rc == 0) {
            char left_out[256];
            snprintf(left_out, sizeof left_out, "%s: %s", entry->name, reason ? reason : "");
            report(context, reason ? NULL : picture, reason ? left_out : NULL);
        }
        mem_free(picture);
        if (rc)
            goto out;
    }
    if (!known)
        rc = unknown_name(&drawing.list, request->name);
out:
    store_close(drawing.store);
    mem_free(drawing.experiment);
    plot_list_release(&drawing.list);
    return rc;
}
