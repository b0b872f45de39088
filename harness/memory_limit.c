#include "harness/memory_limit.h"

#include "core/machine.h"
#include "core/size.h"

#include <stdlib.h>

static size_t of_command_line, of_spec;
static size_t sharing = 1;
static const char *spill_folder = "";

size_t memory_limit(void)
{
    return (of_command_line ? of_command_line
            : of_spec       ? of_spec
                            : machine_memory() / 4 * 3) /
           sharing;
}

void memory_limit_share(int processes)
{
    sharing = (size_t)processes;
}

int memory_limit_from_command_line(const char *text, const char *where)
{
    of_command_line = 0;
    return *text ? size_parse(text, where, &of_command_line) : 0;
}

void memory_limit_from_spec(size_t bytes)
{
    of_spec = bytes;
}

void memory_set_spill_folder(const char *folder)
{
    spill_folder = folder;
}

const char *memory_spill_folder(void)
{
    const char *temporary = getenv("TMPDIR");
    return *spill_folder ? spill_folder : temporary && *temporary ? temporary : "/var/tmp";
}
