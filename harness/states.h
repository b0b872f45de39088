/* The hidden states of a stream between two blocks: rows x width floats, in memory or spilled to a
 * file that has no name and is gone with the process, whatever its end. Work goes through them from
 * the first row to the last. */
#ifndef HARNESS_STATES_H
#define HARNESS_STATES_H

#include <stdbool.h>
#include <stddef.h>

struct states {
    const char *what, *folder; /* "calibration"; where it is spilled to (NULL: in memory). Borrowed
                                */
    int rows, width, most;
    float *memory; /* all rows; when spilled, the rows in hand */
    int file;
};

/* most: how many rows are asked for at once, at most. Spilled, the whole space is taken at once:
 * ERR_IO with one line when it is not there. states_close of a zeroed struct is legal. */
int states_open(struct states *states, const char *what, int rows, int width, int most,
                const char *folder);
void states_close(struct states *states);

/* *x = rows first .. first + count - 1, valid until the next call. With load they hold what was put
 * there last; without, anything. */
int states_take(struct states *states, int first, int count, bool load, float **x);
/* The rows that were taken last have changed. */
int states_put(struct states *states, int first, int count);
/* out, in: rows x width, all of them. */
int states_copy(struct states *states, float *out);
int states_restore(struct states *states, const float *in);
/* These rows will be taken next: they may be read ahead. */
void states_expect(const struct states *states, int first, int count);

#endif
