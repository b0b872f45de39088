/* The plots of plots.list, drawn into a folder that is removed again, and put into the page. */
#include "core/err.h"
#include "core/file.h"
#include "harness/plot_internal.h"
#include "harness/report_internal.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What takes the place of a quote that opens an id. */
static int add_id(struct strbuf *out, const char **at, const char *prefix, int number)
{
    static const char ours[] = "gnuplot_";
    const char *value = *at + strlen(prefix);
    /* gnuplot numbers the plots of each panel anew: an id that is there twice, and that nothing
     * refers to. */
    if (strncmp(prefix, "id=", 3) == 0 && strncmp(value, ours, sizeof ours - 1) == 0) {
        *at = value + strcspn(value, "'\"");
        *at += **at != '\0';
        return 0;
    }
    *at = value;
    return strbuf_printf(out, "%sp%d-", prefix, number);
}

/* The picture with ids of its own, a name and a description; all from its <svg on. */
static int inline_picture(struct strbuf *out, const char *svg, int number)
{
    static const char *const prefixes[] = {"id='", "id=\"", "href='#", "href=\"#", "url(#"};
    int rc = 0;
    for (const char *at = svg; *at;) {
        size_t plain = strcspn(at, "ihu<");
        TRY(strbuf_add(out, at, plain));
        at += plain;
        const char *before = at;
        /* An attribute stands inside a tag, where text has no bare "<"; gnuplot escapes labels. */
        if (strncmp(at, "<script", 7) == 0)
            TRY(err_set(ERR_FORMAT, "a plot holds a script; it was not put into the report"));
        for (int i = 0; i < 5 && at == before; i++)
            if (strncmp(at, prefixes[i], strlen(prefixes[i])) == 0 && (i > 1 || at[-1] == ' '))
                TRY(add_id(out, &at, prefixes[i], number));
        if (at == before && *at)
            TRY(strbuf_add(out, at++, 1));
    }
out:
    return rc;
}

static int add_figure(struct report *report, const char *name, const char *what, const char *svg,
                      int number)
{
    struct strbuf *out = report->out;
    const size_t before = out->length;
    const char *tag = strstr(svg, "<svg"), *described = tag ? strstr(tag, "</desc>") : NULL;
    const char *open = tag ? strchr(tag, '>') : NULL;
    int rc;
    if (!described || !open || open > described)
        return err_set(ERR_FORMAT, "the plot %s is no picture", name);
    TRY(strbuf_puts(out, "<figure class=\"plot\"><div class=\"scroll\" role=\"region\" "
                         "tabindex=\"0\" aria-label=\""));
    TRY(html_text(out, what));
    TRY(strbuf_printf(out, "\"><svg role=\"img\" aria-labelledby=\"p%d-t p%d-d\"", number, number));
    tag += strlen(strncmp(tag, PLOT_SVG_OPEN, strlen(PLOT_SVG_OPEN)) == 0 ? PLOT_SVG_OPEN : "<svg");
    TRY(strbuf_add(out, tag, (size_t)(open + 1 - tag)));
    TRY(strbuf_printf(out, "<title id=\"p%d-t\">", number));
    TRY(html_text(out, name));
    TRY(strbuf_printf(out, "</title><desc id=\"p%d-d\">", number));
    TRY(html_text(out, what));
    TRY(strbuf_puts(out, "</desc>"));
    TRY(inline_picture(out, described + 7, number));
    TRY(strbuf_puts(out, "</div>\n"));
    TRY(html_element(out, "figcaption", what));
    TRY(strbuf_puts(out, "</figure>\n"));
out:
    if (rc) /* a figure is there whole or not at all */
        out->length = before;
    return rc;
}

static void ignore_report(void *context, const char *path, const char *reason)
{
}

/* *path = the only file in the folder, the caller's; NULL when it is empty. */
static int find_only(const char *folder, char **path)
{
    DIR *directory = opendir(folder);
    struct dirent *entry;
    int rc = 0;
    *path = NULL;
    while (directory && !*path && rc == 0 && (entry = readdir(directory)))
        if (entry->d_name[0] != '.')
            rc = file_join(path, folder, entry->d_name);
    if (directory)
        closedir(directory);
    return rc;
}

static int add_plot(struct report *report, const struct plot_entry *entry, const char *folder,
                    int number, int *drawn)
{
    const struct plot_request request = {.name = entry->name,
                                         .database = report->database,
                                         .experiment = report->table->experiment,
                                         .format = "svg",
                                         .folder = folder};
    char *path = NULL, *svg = NULL;
    int rc = plot_draw(&request, ignore_report, NULL);
    if (rc == ERR_MISSING && strncmp(err_text(), "nothing to draw", 15) == 0)
        return 0;
    if (rc)
        return rc;
    TRY(find_only(folder, &path));
    if (!path)
        goto out;
    TRY(file_read(path, &svg, NULL));
    TRY(add_figure(report, entry->name, entry->what, svg, number));
    ++*drawn;
out:
    if (path)
        unlink(path);
    mem_free(path);
    mem_free(svg);
    return rc;
}

/* What a plot lacks (gnuplot, a number that it needs) is told in its place: the rest is worth
 * having. */
static int add_all(struct report *report, const struct plot_list *list, const char *folder)
{
    int rc = 0, shown = 0;
    for (int i = 0; i < list->count; i++) {
        if (strcmp(list->entries[i].source, "database") != 0 ||
            strcmp(list->entries[i].name, "bits-ledger") == 0) /* report_bits.c has its own */
            continue;
        rc = add_plot(report, &list->entries[i], folder, i, &shown);
        int told = rc == ERR_MISSING || rc == ERR_INTERNAL || rc == ERR_FORMAT;
        int missing = rc == ERR_MISSING;
        if (told)
            rc = html_element(report->out, "p class=bad", err_text());
        shown += told;
        TRY(rc);
        if (missing) /* it would be for the others, too */
            break;
    }
    if (shown == 0)
        rc = html_element(report->out, "p", "Nothing was measured that could be drawn.");
out:
    return rc;
}

int report_plots(struct report *report)
{
    const char *place = getenv("TMPDIR");
    struct plot_list list = {0};
    char *folder = NULL;
    int rc, made = 0;
    TRY(strbuf_puts(report->out, "<section id=\"plots\"><h2>Plots</h2>\n"));
    TRY(mem_printf(&folder, "%s/bitbench-report-XXXXXX", place && *place ? place : "/tmp"));
    if (!mkdtemp(folder))
        TRY(err_set(ERR_IO, "%s: a folder for the plots cannot be made", folder));
    made = 1;
    TRY(plot_list_load(&list));
    TRY(add_all(report, &list, folder));
    TRY(strbuf_puts(report->out, "</section>\n"));
out:
    if (made)
        rmdir(folder);
    mem_free(folder);
    plot_list_release(&list);
    return rc;
}
