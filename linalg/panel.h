/* Matrix products with one factor packed: B (k x n) is laid out in panels of 32 columns, panel j
 * holding its rows one after another, so that the kernel reads it in order; the last panel is
 * filled up with zeros. Each element of the product is one chain of multiply-adds in the order of
 * k, whatever the tiles, the number of rows and the number of threads: a row's result does not
 * depend on the rows beside it. Nothing here allocates or starts threads. */
#ifndef LINALG_PANEL_H
#define LINALG_PANEL_H

#include <stdbool.h>
#include <stddef.h>

enum { PANEL = 32 };

/* Floats of a packed matrix of k x n. */
size_t panel_floats(int n, int k);

/* panels = W^T packed, W (n x k, leading dimension ld): for X W^T. */
void panel_pack_transposed(const float *w, int ld, int n, int k, float *panels);

/* panels = B packed, B (k x n, leading dimension ld). */
void panel_pack(const float *b, int ld, int n, int k, float *panels);

/* Y (rows x n, leading dimension ldy) = X B, or Y + X B with `add`; X rows x k. */
void panel_product(const float *x, int ldx, int rows, const float *panels, int n, int k, bool add,
                   float *y, int ldy);

#endif
