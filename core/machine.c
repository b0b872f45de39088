#include "core/machine.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_SIZE = 1024 };

/* The number in a file that holds one, or `otherwise` ("max", no such file). */
static size_t read_number(const char *path, size_t otherwise)
{
    char text[64] = "", *end;
    FILE *file = fopen(path, "re");
    if (!file)
        return otherwise;
    size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[length] = '\0';
    unsigned long long value = strtoull(text, &end, 10);
    return end == text || value == 0 ? otherwise : (size_t)value;
}

/* The least of the limits of the group and of those above it. Within a container a group's path may
 * be the host's and lead nowhere here; the topmost folder is then the container's own. */
static size_t group_limit(const char *root, const char *controller, const char *group,
                          const char *name, size_t limit)
{
    char path[PATH_SIZE], within[PATH_SIZE];
    snprintf(within, sizeof within, "%s", group);
    for (;;) {
        int length = snprintf(path, sizeof path, "%s/sys/fs/cgroup%s%s/%s", root, controller,
                              within, name);
        size_t here = length < (int)sizeof path ? read_number(path, limit) : limit;
        limit = here < limit ? here : limit;
        char *slash = strrchr(within, '/');
        if (!slash)
            return limit;
        *slash = '\0';
    }
}

/* Lines of /proc/self/cgroup: "0::/user.slice/..." (version 2), "4:memory:/..." (version 1). */
size_t machine_memory_below(const char *root)
{
    char path[PATH_SIZE], line[PATH_SIZE];
    size_t limit = (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':'),
             *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group)
            continue;
        *group++ = '\0';
        if (controllers[1] == '\0')
            limit = group_limit(root, "", group, "memory.max", limit);
        else if (strstr(controllers, "memory"))
            limit = group_limit(root, "/memory", group, "memory.limit_in_bytes", limit);
    }
    if (file)
        fclose(file);
    return limit;
}

size_t machine_memory(void)
{
    return machine_memory_below("");
}

size_t machine_held(void)
{
    char line[256];
    size_t kilobytes = 0;
    FILE *file = fopen("/proc/self/status", "re");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "VmRSS:", 6) == 0)
            kilobytes = (size_t)strtoull(line + 6, NULL, 10);
    if (file)
        fclose(file);
    return kilobytes * 1024;
}
