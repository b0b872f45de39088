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
    struct plot_entry entry = {0};
    int rc, fields = sscanf(line, "%63s %511s %255[^\n]", entry.name, entry.source, entry.what);
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
    int all, drawn;
    plot_report *report;
    void *context;
    char reason[512]; /* why the last picture was left out */
    struct plot_list list;
    struct store *store;       /* opened for the first plot that needs it */
    struct strbuf experiments; /* their names, each with its NUL */
};

static int open_store(struct drawing *drawing)
{
    char *path = NULL, *views = NULL;
    int rc;
    if (drawing->store)
        return 0;
    TRY(file_join(&path, drawing->list.folder, "views.sql"));
    TRY(file_read(path, &views, NULL));
    TRY(store_open(&drawing->store, drawing->request->database, 0));
    TRY(store_experiments(drawing->store, drawing->request->experiment, &drawing->experiments));
    rc = store_execute(drawing->store, views);
    if (rc)
        rc = err_prefix(rc, "%s", path);
out:
    mem_free(path);
    mem_free(views);
    return rc;
}

/* An empty file for gnuplot, which itself does not say why it cannot write. */
static int try_to_write(const char *output, const char *picture)
{
    FILE *file = fopen(output, "wbe");
    if (!file || fclose(file) != 0)
        return err_set(ERR_IO, "%s: cannot write: %s", picture, strerror(errno));
    return 0;
}

/* 1 when the picture has the end that its format demands: gnuplot ends with status 0 also when the
 * disk was full. */
static int is_whole(const char *path, const char *format)
{
    static const struct {
        const char *format, *end;
        size_t within; /* this many last bytes */
    } ends[] = {{"svg", "</svg>", 16}, {"png", "IEND", 16}, {"pdf", "%%EOF", 1024}};
    struct file_map map = {0};
    int whole = 0;
    if (file_map_open(&map, path) != 0)
        return 0;
    for (size_t i = 0; map.size > 0 && i < sizeof ends / sizeof *ends; i++) {
        size_t tail = map.size < ends[i].within ? map.size : ends[i].within;
        whole |= strcmp(ends[i].format, format) == 0 &&
                 memmem(map.data + map.size - tail, tail, ends[i].end, strlen(ends[i].end)) != NULL;
    }
    file_unmap(&map);
    return whole;
}

/* gnuplot draws into a file beside the picture, which takes its place only when it is whole. */
static int render(const struct plot_script *script, const struct plot_entry *entry,
                  const struct strbuf *text, const char *picture)
{
    int rc = try_to_write(script->output, picture);
    if (rc == 0)
        rc = plot_gnuplot(script->path, text);
    if (rc == 0 && !is_whole(script->output, script->format))
        rc = err_set(ERR_IO, "%s: gnuplot wrote no whole picture; is the disk full?", picture);
    if (rc == 0 && strcmp(script->format, "svg") == 0)
        rc = plot_svg_describe(script->output, entry, script->experiment);
    if (rc == 0 && rename(script->output, picture) != 0)
        rc = err_set(ERR_IO, "%s: cannot write: %s", picture, strerror(errno));
    if (rc)
        unlink(script->output);
    return rc;
}

/* *path = "FOLDER/PREFIX-NAME.ENDING"; without a prefix (NULL) "FOLDER/NAME.ENDING". */
static int name_file(const struct drawing *drawing, const char *name, const char *prefix,
                     const char *ending, char **path)
{
    const char *folder = drawing->request->folder;
    int rc = mem_printf(path, "%s/%s%s%s.%s", folder, prefix ? prefix : "", prefix ? "-" : "", name,
                        ending);
    for (char *at = rc ? NULL : *path + strlen(folder) + 1; at && *at; at++)
        if (*at == '/') /* in an experiment's name */
            *at = '-';
    return rc;
}

/* *prefix = "MODEL-LAYER", for the files of a matrix. */
static int name_matrix(const struct weight_histogram *weights, char **prefix)
{
    size_t length = strlen(weights->model);
    while (length > 1 && weights->model[length - 1] == '/')
        length--;
    size_t begin = length;
    while (begin > 0 && weights->model[begin - 1] != '/')
        begin--;
    return mem_printf(prefix, "%.*s-%s", (int)(length - begin), weights->model + begin,
                      weights->layer);
}

/* What a plot reads that is not in the database; all owned by the caller. reason is set when there
 * is nothing to read. */
struct plot_data {
    char *path, *prefix;
    const char *reason;
};

static int find_data(const struct drawing *drawing, const struct plot_entry *entry,
                     struct plot_data *data)
{
    const struct plot_request *request = drawing->request;
    int rc;
    if (request->data) {
        if (!file_exists(request->data))
            return err_set(ERR_MISSING, "%s: no such file", request->data);
        return mem_strdup(&data->path, request->data);
    }
    if (strcmp(entry->source, "weights") != 0) {
        rc = paths_data(&data->path, entry->source);
        if (rc == ERR_MISSING) {
            data->reason = "there is no data file; name one with --data";
            rc = 0;
        }
        return rc;
    }
    if (!request->weights) {
        data->reason = "it is computed from a model: `bitbench plot weight-histogram --model PATH "
                       "--layer BLOCK.NAME`";
        return 0;
    }
    TRY(name_matrix(request->weights, &data->prefix));
    TRY(name_file(drawing, entry->name, data->prefix, "tsv", &data->path));
    TRY(file_make_directories(request->folder));
    TRY(weight_histogram_write(request->weights, data->path));
out:
    return rc;
}

/* Draws one picture and reports it. reason says why there was nothing to draw, else it is empty. */
static int draw(struct drawing *drawing, const struct plot_entry *entry, const char *experiment,
                const struct plot_data *data, struct strbuf *reason)
{
    struct plot_script script = {.format = drawing->request->format,
                                 .folder = drawing->list.folder,
                                 .data = data ? data->path : NULL,
                                 .store = experiment ? drawing->store : NULL,
                                 .experiment = experiment};
    struct strbuf text = {0};
    char *path = NULL, *picture = NULL, *output = NULL;
    int rc;
    TRY(mem_printf(&path, "%s/%s.gp", drawing->list.folder, entry->name));
    TRY(name_file(drawing, entry->name, data ? data->prefix : experiment, drawing->request->format,
                  &picture));
    TRY(mem_printf(&output, "%s.tmp.%ld", picture, (long)getpid()));
    script.path = path;
    script.output = output;
    TRY(plot_script_build(&script, &text, reason));
    if (reason->length)
        goto out;
    TRY(file_make_directories(drawing->request->folder));
    TRY(render(&script, entry, &text, picture));
    drawing->report(drawing->context, picture, NULL);
    drawing->drawn++;
out:
    strbuf_release(&text);
    mem_free(path);
    mem_free(picture);
    mem_free(output);
    return rc;
}

/* In the words of the entry, and of the experiment when there is one. */
static void leave_out(struct drawing *drawing, const struct plot_entry *entry,
                      const char *experiment, const char *reason)
{
    snprintf(drawing->reason, sizeof drawing->reason, "%s%s%s: %s", experiment ? experiment : "",
             experiment ? "-" : "", entry->name, reason);
    if (drawing->all)
        drawing->report(drawing->context, NULL, drawing->reason);
}

/* A plot of a file is one picture, one of the database a picture for each experiment. */
static int draw_entry(struct drawing *drawing, const struct plot_entry *entry)
{
    struct strbuf reason = {0};
    struct plot_data data = {0};
    int rc;
    if (strcmp(entry->source, "database") != 0) {
        TRY(find_data(drawing, entry, &data));
        if (!data.reason)
            TRY(draw(drawing, entry, NULL, &data, &reason));
        if (data.reason || reason.length)
            leave_out(drawing, entry, NULL, data.reason ? data.reason : reason.data);
        goto out;
    }
    TRY(open_store(drawing));
    const char *name = drawing->experiments.data, *end = name + drawing->experiments.length;
    for (; name < end; name += strlen(name) + 1) {
        TRY(draw(drawing, entry, name, NULL, &reason));
        if (reason.length)
            leave_out(drawing, entry, name, reason.data);
    }
out:
    strbuf_release(&reason);
    mem_free(data.path);
    mem_free(data.prefix);
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
    struct drawing drawing = {.request = request,
                              .all = !request->name || strcmp(request->name, "all") == 0,
                              .report = report,
                              .context = context};
    int rc, known = drawing.all;
    TRY(plot_list_load(&drawing.list));
    for (int i = 0; i < drawing.list.count; i++) {
        const struct plot_entry *entry = &drawing.list.entries[i];
        if (!drawing.all && strcmp(entry->name, request->name) != 0)
            continue;
        known = 1;
        TRY(draw_entry(&drawing, entry));
    }
    if (!known)
        rc = unknown_name(&drawing.list, request->name);
    else if (!drawing.all && drawing.drawn == 0)
        rc = err_set(ERR_MISSING, "nothing to draw: %s", drawing.reason);
out:
    store_close(drawing.store);
    strbuf_release(&drawing.experiments);
    plot_list_release(&drawing.list);
    return rc;
}
