/* bitbench doctor: what this machine has, how fast it is, what is missing and what mends it. */
#include "core/mem.h"
#include "harness/command.h"
#include "harness/doctor.h"

#include <stdio.h>
#include <string.h>

struct doctor_options {
    double seconds;
};

static const struct option doctor_table[] = {
    {.name = "seconds",
     .type = OPTION_REAL,
     .offset = offsetof(struct doctor_options, seconds),
     .fallback = "0.3",
     .low = 0.01,
     .high = 60,
     .help = "how long each of the two speed measurements takes"},
    {.name = NULL},
};

static const char *text(const json_t *report, const char *key)
{
    const char *value = json_string_value(json_object_get(report, key));
    return value ? value : "none";
}

static double number(const json_t *report, const char *key)
{
    return json_number_value(json_object_get(report, key));
}

static void print_kernels(const json_t *report)
{
    const char *by = text(report, "kernels_chosen_by"), *own = text(report, "kernels_library");
    printf("kernels    OpenBLAS %s, ", text(report, "kernels"));
    if (strcmp(by, "user") == 0)
        printf("as OPENBLAS_CORETYPE says\n");
    else if (strcmp(by, "program") == 0)
        printf("set by bitbench: OpenBLAS itself had chosen %s, which is slower here\n", own);
    else if (strcmp(by, "failed") == 0)
        printf("OpenBLAS's choice, which bitbench could not change\n");
    else
        printf("OpenBLAS's own choice\n");
}

static void print_machine(const json_t *report)
{
    const json_t *list = json_object_get(report, "features"), *word,
                 *sgemm = json_object_get(report, "sgemm");
    const double gib = 1024.0 * 1024 * 1024;
    size_t i;
    printf("CPU        %s, %d threads\n", text(report, "cpu"), (int)number(report, "threads"));
    printf("can do    ");
    json_array_foreach(list, i, word)
    {
        printf(" %s%s", json_string_value(word), i + 1 < json_array_size(list) ? "," : "");
    }
    printf("%s\n", json_array_size(list) ? "" : " nothing beyond the base instruction set");
    print_kernels(report);
    printf("sgemm      %.1f GFLOP/s on one thread, %.1f on %d\n",
           number(sgemm, "one_thread") * 1e-9, number(sgemm, "all_threads") * 1e-9,
           (int)number(report, "threads"));
    printf("memory     %.1f GiB free of %.1f GiB\n", number(report, "memory_free_bytes") / gib,
           number(report, "memory_bytes") / gib);
    printf("disk       %.1f GiB free in the current folder\n",
           number(report, "disk_free_bytes") / gib);
}

static void print_software(const json_t *report)
{
    json_t *libraries = json_object_get(report, "libraries"), *value;
    const json_t *own = json_object_get(report, "bitbench");
    const json_t *corpora_list = json_object_get(report, "corpora"), *corpus;
    const char *key;
    size_t i;
    printf("system     %s %s\n", text(report, "system"), text(report, "release"));
    printf("bitbench   %s, commit %.12s%s, %s %s\n", text(own, "version"), text(own, "commit"),
           json_is_true(json_object_get(own, "dirty")) ? " with changes" : "",
           text(own, "compiler"), text(own, "flags"));
    printf("libraries ");
    const char *comma = "";
    json_object_foreach(libraries, key, value)
    {
        /* OpenBLAS's text begins with its own name */
        const char *version = json_string_value(value);
        bool named = version && strncmp(version, "OpenBLAS ", 9) == 0;
        printf("%s %s%s%s", comma, named ? "" : key, named ? "" : " ", version ? version : "?");
        comma = ",";
    }
    printf("\n");
    printf("gnuplot    %s\n", text(report, "gnuplot"));
    json_array_foreach(corpora_list, i, corpus)
    {
        printf("corpus     %s: ", text(corpus, "name"));
        if (json_is_null(json_object_get(corpus, "version")))
            printf("package %s is not installed\n", text(corpus, "package"));
        else
            printf("package %s %s\n", text(corpus, "package"), text(corpus, "version"));
    }
}

static void print_missing(const json_t *report)
{
    const json_t *list = json_object_get(report, "missing"), *item;
    size_t i;
    if (json_array_size(list) == 0) {
        printf("missing    nothing\n");
        return;
    }
    json_array_foreach(list, i, item)
    {
        printf("missing    %s\n           mend it: %s\n", text(item, "what"), text(item, "mend"));
    }
}

static int run_doctor(const struct command_line *line)
{
    const struct doctor_options *options = line->options;
    json_t *report;
    int rc = doctor_examine(options->seconds, &report);
    if (rc)
        return rc;
    if (line->global.json) {
        json_dumpf(report, stdout, JSON_INDENT(2));
        printf("\n");
    } else {
        print_machine(report);
        print_software(report);
        print_missing(report);
    }
    json_decref(report);
    return 0;
}

const struct command command_doctor = {
    .name = "doctor",
    .summary = "says what this machine can do, how fast it is, and what is missing",
    .flags = COMMAND_JSON | COMMAND_COMPUTES,
    .options = doctor_table,
    .options_size = sizeof(struct doctor_options),
    .description =
        "Prints the CPU, the kernel set that OpenBLAS uses and who chose it, the measured rate of "
        "matrix products, "
        "memory, disk, the versions of the libraries, the corpora that are installed, and for "
        "everything that is "
        "missing the line that mends it. Missing things are no error: the exit code is 0.\n\n"
        "OpenBLAS chooses its kernels by the CPU's name and may not know a newer CPU. bitbench "
        "then sets "
        "OPENBLAS_CORETYPE and starts itself anew, once. A value that was set before stays.",
    .examples = "bitbench doctor\n"
                "# the same for a script\n"
                "bitbench doctor --json\n",
    .run = run_doctor,
};
