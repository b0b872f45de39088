/* The update of a block's later columns in GPTQ's error feedback, for 32 rows at a time. */
#include "linalg/simd/vec.h"

enum { ROWS = 32, DOUBLES = LANES / 2 };

typedef double VD __attribute__((vector_size(8 * DOUBLES)));

void SIMD(feed_back)(double *w, const double *error, const float *u, int count)
{
    VD e[ROWS / DOUBLES], v;
    memcpy(e, error, sizeof e);
    for (int j = 0; j < count; j++) {
        double *column = w + ROWS * j, factor = (double)u[j];
        for (int k = 0; k < ROWS / DOUBLES; k++) {
            memcpy(&v, column + k * DOUBLES, sizeof v);
            v -= e[k] * factor;
            memcpy(column + k * DOUBLES, &v, sizeof v);
        }
    }
}
