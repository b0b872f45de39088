/* The product of some rows with one packed panel: as many accumulators as the registers hold, one
 * broadcast of X for each two vectors of the panel. */
#include "linalg/panel.h"
#include "linalg/simd/vec.h"

#define ALWAYS_INLINE inline __attribute__((always_inline))
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* Rows of Y in registers: 2 vectors each, with room for a broadcast and the panel's own two. */
#if defined(SIMD_AVX512)
enum { MOST_ROWS = 14 };
#else
enum { MOST_ROWS = 6 };
#endif
enum { STRIP = 2 * LANES }; /* columns at a time */

struct strip {
    const float *x;
    long x_row;
    const float *panel;
    int k;
    float *y;
    long y_row;
    int columns; /* at most STRIP */
    int add;
};

static void store(const struct strip *s, float *y, VF low, VF high)
{
    if (s->columns == STRIP) {
        v_store(y, s->add ? v_load(y) + low : low);
        v_store(y + LANES, s->add ? v_load(y + LANES) + high : high);
        return;
    }
    float all[STRIP];
    v_store(all, low);
    v_store(all + LANES, high);
    for (int j = 0; j < s->columns; j++)
        y[j] = s->add ? y[j] + all[j] : all[j];
}

/* `rows` is a constant where this is inlined, so that sums lives in registers. */
static ALWAYS_INLINE void multiply_rows(const struct strip *s, const int rows)
{
    VF sums[MOST_ROWS][2];
    const float *x = s->x, *panel = s->panel;
    const long x_row = s->x_row;
    UNROLL
    for (int i = 0; i < rows; i++)
        sums[i][0] = sums[i][1] = v_all(0.0f);
    for (int p = 0; p < s->k; p++, x++, panel += PANEL) {
        VF low = v_load(panel), high = v_load(panel + LANES);
        UNROLL
        for (int i = 0; i < rows; i++) {
            VF a = v_all(x[i * x_row]);
            sums[i][0] = v_fma(a, low, sums[i][0]);
            sums[i][1] = v_fma(a, high, sums[i][1]);
        }
    }
    UNROLL
    for (int i = 0; i < rows; i++)
        store(s, s->y + i * s->y_row, sums[i][0], sums[i][1]);
}

#define ROWS(n)                                                                                    \
    case n: multiply_rows(s, n); break;

static void multiply_strip(const struct strip *s, int rows)
{
    switch (rows) {
        ROWS(1)
        ROWS(2)
        ROWS(3)
        ROWS(4)
        ROWS(5)
        ROWS(6)
#if defined(SIMD_AVX512)
        ROWS(7)
        ROWS(8)
        ROWS(9)
        ROWS(10)
        ROWS(11)
        ROWS(12)
        ROWS(13)
        ROWS(14)
#endif
    }
}

void SIMD(panel_multiply)(const float *x, long x_row, int rows, const float *panel, int k, float *y,
                          long y_row, int columns, int add)
{
    /* Groups of nearly equal size: 128 rows are 8 times 13 and 2 times 12, rather than 9 times 14
     * and once 2. */
    int groups = (rows + MOST_ROWS - 1) / MOST_ROWS;
    for (int first = 0, group = 0; group < groups; group++) {
        int count = (rows - first + groups - group - 1) / (groups - group);
        for (int column = 0; column < columns; column += STRIP) {
            struct strip s = {x + first * x_row,
                              x_row,
                              panel + column,
                              k,
                              y + first * y_row + column,
                              y_row,
                              columns - column < STRIP ? columns - column : STRIP,
                              add};
            multiply_strip(&s, count);
        }
        first += count;
    }
}

#if defined(SIMD_AVX512)
/* to (16 x 16, 32 floats from row to row) = the transpose of from: pairs, then fours, then lanes of
 * four. */
static void transpose_16(const float *from, long row, float *to)
{
    __m512 r[16], t[16];
    UNROLL
    for (int i = 0; i < 16; i++)
        r[i] = v_load(from + i * row);
    UNROLL
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
    UNROLL
    for (int i = 0; i < 16; i += 4) {
        r[i] = (VF)_mm512_unpacklo_pd((__m512d)t[i], (__m512d)t[i + 2]);
        r[i + 1] = (VF)_mm512_unpackhi_pd((__m512d)t[i], (__m512d)t[i + 2]);
        r[i + 2] = (VF)_mm512_unpacklo_pd((__m512d)t[i + 1], (__m512d)t[i + 3]);
        r[i + 3] = (VF)_mm512_unpackhi_pd((__m512d)t[i + 1], (__m512d)t[i + 3]);
    }
    UNROLL
    for (int c = 0; c < 4; c++) {
        __m512 even_low = _mm512_shuffle_f32x4(r[c], r[4 + c], 0x88),
               odd_low = _mm512_shuffle_f32x4(r[c], r[4 + c], 0xdd);
        __m512 even_high = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], 0x88);
        __m512 odd_high = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], 0xdd);
        v_store(to + c * PANEL, _mm512_shuffle_f32x4(even_low, even_high, 0x88));
        v_store(to + (4 + c) * PANEL, _mm512_shuffle_f32x4(odd_low, odd_high, 0x88));
        v_store(to + (8 + c) * PANEL, _mm512_shuffle_f32x4(even_low, even_high, 0xdd));
        v_store(to + (12 + c) * PANEL, _mm512_shuffle_f32x4(odd_low, odd_high, 0xdd));
    }
}
#define SQUARE    16
#define TRANSPOSE transpose_16
#elif defined(__x86_64__)
static void transpose_4(const float *from, long row, float *to)
{
    __m128 a = _mm_loadu_ps(from), b = _mm_loadu_ps(from + row);
    __m128 c = _mm_loadu_ps(from + 2 * row), d = _mm_loadu_ps(from + 3 * row);
    _MM_TRANSPOSE4_PS(a, b, c, d);
    _mm_storeu_ps(to, a);
    _mm_storeu_ps(to + PANEL, b);
    _mm_storeu_ps(to + 2 * PANEL, c);
    _mm_storeu_ps(to + 3 * PANEL, d);
}
#define SQUARE    4
#define TRANSPOSE transpose_4
#else
static void transpose_1(const float *from, long row, float *to)
{
    *to = *from;
}
#define SQUARE    1
#define TRANSPOSE transpose_1
#endif

void SIMD(panel_transpose)(const float *w, long w_row, int columns, int k, float *panel)
{
    int whole_columns = columns / SQUARE * SQUARE, whole_k = k / SQUARE * SQUARE;
    for (int j = 0; j < whole_columns; j += SQUARE) {
        for (int p = 0; p < whole_k; p += SQUARE)
            TRANSPOSE(w + j * w_row + p, w_row, panel + (long)p * PANEL + j);
    }
    for (int p = 0; p < k; p++) {
        for (int j = p < whole_k ? whole_columns : 0; j < PANEL; j++)
            panel[(long)p * PANEL + j] = j < columns ? w[j * w_row + p] : 0.0f;
    }
}
