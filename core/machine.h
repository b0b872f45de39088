/* What the machine, or the container that we are in, has of memory, and what of it is ours now. */
#ifndef CORE_MACHINE_H
#define CORE_MACHINE_H

#include <stddef.h>

/* Bytes that this process can have at most: the machine's memory, or less where a control group
 * (version 1 or 2, with the groups above it) sets a limit. */
size_t machine_memory(void);

/* Bytes of this process that are in memory now, the pages of mapped files among them. */
size_t machine_held(void);

/* The same for another root than "/", where the system's files are looked for: for tests. */
size_t machine_memory_below(const char *root);

#endif
