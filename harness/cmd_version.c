#include "core/err.h"
#include "core/version.h"
#include "harness/command.h"

#include <stdio.h>

static int run_version(const struct command_line *line)
{
    if (line->global.json) {
        json_t *object = json_pack("{s:s, s:s, s:b, s:s, s:s}", "version", BITBENCH_VERSION,
                                   "commit", version.commit, "dirty", version.dirty, "compiler",
                                   version.compiler, "flags", version.flags);
        if (!object)
            return err_set(ERR_MEMORY, "out of memory while writing JSON");
        json_dumpf(object, stdout, JSON_INDENT(2));
        json_decref(object);
        putchar('\n');
        return 0;
    }
    printf("bitbench %s (commit %.12s%s, %s, %s)\n", BITBENCH_VERSION, version.commit,
           version.dirty ? ", changed" : "", version.compiler, version.flags);
    return 0;
}

const struct command command_version = {
    .name = "version",
    .summary = "tells the version, the commit and the compiler",
    .flags = COMMAND_JSON,
    .run = run_version,
};
