/* What else the machine did while something was timed. */
#ifndef CORE_LOAD_H
#define CORE_LOAD_H

#include <stdbool.h>

/* One moment. What the system does not tell is NaN. */
struct load {
    double wall, own; /* seconds: the clock, and CPU time of this process */
    double machine;   /* CPU seconds of everything that runs here, stolen ones among them */
    double average;   /* load average of one minute */
    int cores;
};
void load_now(struct load *load);

/* Whether others took more than a tenth of the machine between two moments: CPU time of the machine
 * less our own, over cores times wall clock. Counted time does not lag, as the load average does,
 * and small noise (an idle system, our own writing to disk) stays below. Where there is none, the
 * load average has to do: more than our threads and a tenth of the cores. Processes of one run that
 * work side by side are others to each other. */
bool load_busy(const struct load *before, const struct load *after, int threads);

/* CPU seconds in the first line of /proc/stat, "cpu user nice system idle iowait irq softirq steal
 * ..." in ticks: all but idle and iowait. NaN for another text. */
double load_machine_seconds(const char *line, long ticks_a_second);

#endif
