/* Where and with what a point was computed: its provenance. */
#ifndef HARNESS_HOST_H
#define HARNESS_HOST_H

#include <jansson.h>

/* *out = {cpu, kernels, kernels_chosen_by, threads, memory_bytes, system,
 * release; libraries {...}; bitbench {version, commit, dirty, compiler,
 * flags}}; the caller's (json_decref). */
int host_describe(json_t **out);

/* ERR_MEMORY, before any work, when so many tokens are more than the limit of memory, or their
 * hidden states more than memory and the folder for spilling together can take. what:
 * "calibration". */
int host_check_memory(const char *what, double tokens, int width);

#endif
