/* bitbench merge FILE ... */
#include "core/err.h"
#include "core/log.h"
#include "harness/command.h"
#include "harness/export.h"

#include <jansson.h>
#include <stdio.h>

struct printer {
    json_t *files; /* NULL: text */
    int failed;
};

static void print_file(void *context, const char *path, const struct store_copied *copied)
{
    struct printer *printer = context;
    const char *different = copied->different.data ? copied->different.data : "";
    if (printer->files) {
        json_t *file = json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:s}", "file", path, "added",
                                 copied->added, "replaced", copied->replaced, "there",
                                 copied->there, "experiments", copied->experiments, "joined",
                                 copied->joined, "different_specs", different);
        printer->failed |= json_array_append_new(printer->files, file);
        return;
    }
    printf("%s: %d points added, %d failed ones replaced by finished ones, %d were there already; "
           "%d experiments added, %d joined\n",
           path, copied->added, copied->replaced, copied->there, copied->experiments,
           copied->joined);
    if (*different)
        log_warning("%s: the spec texts of these experiments differ from those there, which were "
                    "kept: %s",
                    path, different);
}

static int run_merge(const struct command_line *line)
{
    struct printer printer = {.files = line->global.json ? json_array() : NULL};
    int rc;
    TRY(merge_databases(line->global.database, line->arguments, line->argument_count, print_file,
                        &printer));
    if (line->global.json && printer.failed)
        rc = err_set(ERR_MEMORY, "out of memory: what was merged, as JSON");
    else if (line->global.json)
        rc = command_print_json(
            json_pack("{s:s, s:O}", "database", line->global.database, "files", printer.files));
out:
    json_decref(printer.files);
    return rc;
}

const struct command command_merge = {
    .name = "merge",
    .summary = "joins other databases to this one, no point twice",
    .arguments = "FILE ...",
    .arguments_min = 1,
    .arguments_max = -1,
    .argument_kind = ARGUMENT_FILE,
    .flags = COMMAND_JSON | COMMAND_DATABASE,
    .description =
        "The files are databases, or experiments that were exported as JSON lines (.jsonl). Every "
        "point and experiment of them goes into the database that --database names, "
        "which is made when it is not there. A point is the same where its id is: a finished one "
        "takes the place of a failed one, else the one that is there stays. Experiments of the "
        "same name become one, their points by their places in the spec; where the specs differ, "
        "the one that is there stays, and a warning says so. All files are merged, or none; they "
        "themselves are only read, also those of an older bitbench.",
    .examples = "bitbench merge night.db other-machine.db --database all.db\n"
                "bitbench merge quickstart.jsonl --database all.db\n",
    .run = run_merge,
};
