#include "core/load.h"

#include "core/clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const double share = 0.1;

double load_machine_seconds(const char *line, long ticks_a_second)
{
    enum { USER, NICE, SYSTEM, IDLE, IOWAIT, IRQ, SOFTIRQ, STEAL, FIELDS };
    double busy = 0;
    if (strncmp(line, "cpu ", 4) != 0 || ticks_a_second < 1)
        return NAN;
    const char *at = line + 4;
    for (int field = 0; field < FIELDS; field++) {
        char *end;
        unsigned long long ticks = strtoull(at, &end, 10);
        if (end == at) /* old kernels have fewer */
            return field > IDLE ? busy : NAN;
        at = end;
        if (field != IDLE && field != IOWAIT)
            busy += (double)ticks / (double)ticks_a_second;
    }
    return busy;
}

void load_now(struct load *load)
{
    char line[512] = "";
    FILE *file = fopen("/proc/stat", "re");
    if (file && !fgets(line, sizeof line, file))
        line[0] = '\0';
    if (file)
        fclose(file);
    *load = (struct load){.wall = clock_wall(),
                          .own = clock_cpu(),
                          .machine = load_machine_seconds(line, sysconf(_SC_CLK_TCK)),
                          .cores = (int)sysconf(_SC_NPROCESSORS_ONLN)};
    if (getloadavg(&load->average, 1) != 1)
        load->average = NAN;
}

bool load_busy(const struct load *before, const struct load *after, int threads)
{
    double others = (after->machine - before->machine) - (after->own - before->own);
    if (!isnan(others))
        return others > share * after->cores * (after->wall - before->wall);
    return after->average > threads + share * after->cores;
}
