/* What this machine has for bitbench's work, and what it lacks. */
#ifndef HARNESS_DOCTOR_H
#define HARNESS_DOCTOR_H

#include <jansson.h>

/* *out = what host_describe gives and: features (array of words), kernels_library (OpenBLAS's own
 * choice, "" when the user chose), sgemm {one_thread, all_threads: FLOP/s}, memory_free_bytes,
 * disk_free_bytes (of the current folder), gnuplot (version or null), corpora [{name, package,
 * version or null, expected}], missing [{what, mend}]; the caller's (json_decref). Measures for
 * about `seconds` twice; the pool must have been started. */
int doctor_examine(double seconds, json_t **out);

#endif
