/* Where the program's own data files lie (plots/, experiments/, models/, results/): in the source
 * tree, or installed. */
#ifndef HARNESS_PATHS_H
#define HARNESS_PATHS_H

/* *out = the path of a data file or folder, such as "plots/plots.list"; owned by the caller. Looked
 * for, in this order: $BITBENCH_DATA/NAME; next to the executable as installed
 * (PREFIX/bin/bitbench: PREFIX/share/bitbench/NAME) and as built (build/bitbench, build/X/bitbench,
 * build/X/tests/test_y: the source tree above it); the current directory. ERR_MISSING names the
 * places. */
int paths_data(char **out, const char *name);

#endif
