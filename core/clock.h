/* Time for measuring: monotonic wall seconds, CPU seconds of the whole process, peak resident
 * memory. */
#ifndef CORE_CLOCK_H
#define CORE_CLOCK_H

#include <stddef.h>

double clock_wall(void);
double clock_cpu(void);
/* Bytes: the largest resident set of this process so far, mapped files included; and from now on,
 * where the system lets us start anew (else it goes on counting). */
size_t clock_peak_memory(void);
void clock_peak_restart(void);
/* UTC as "2026-01-31T12:00:00Z". */
void clock_utc(char out[21]);

#endif
