#include "linalg/panel.h"

#include "linalg/simd.h"

#include <string.h>

size_t panel_floats(int n, int k)
{
    return (size_t)((n + PANEL - 1) / PANEL * PANEL) * (size_t)k;
}

static int width_at(int n, int column)
{
    return n - column < PANEL ? n - column : PANEL;
}

void panel_pack_transposed(const float *w, int ld, int n, int k, float *panels)
{
    for (int column = 0; column < n; column += PANEL)
        simd.panel_transpose(w + (size_t)column * (size_t)ld, ld, width_at(n, column), k,
                             panels + (size_t)column * (size_t)k);
}

void panel_pack(const float *b, int ld, int n, int k, float *panels)
{
    for (int column = 0; column < n; column += PANEL) {
        float *panel = panels + (size_t)column * (size_t)k;
        size_t width = (size_t)width_at(n, column);
        for (int p = 0; p < k; p++) {
            memcpy(panel + (size_t)p * PANEL, b + (size_t)p * (size_t)ld + column,
                   width * sizeof *b);
            if (width < PANEL)
                memset(panel + (size_t)p * PANEL + width, 0, (PANEL - width) * sizeof *b);
        }
    }
}

void panel_product(const float *x, int ldx, int rows, const float *panels, int n, int k, bool add,
                   float *y, int ldy)
{
    for (int column = 0; column < n; column += PANEL)
        simd.panel_multiply(x, ldx, rows, panels + (size_t)column * (size_t)k, k, y + column, ldy,
                            width_at(n, column), add);
}
