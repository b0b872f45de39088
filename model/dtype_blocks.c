#include "model/dtype_blocks.h"

#include <string.h>

/* The half at bytes as float32. */
static float half_at(const uint8_t *bytes)
{
    return half_to_float((uint16_t)(bytes[0] | bytes[1] << 8));
}

/* ---- 32 elements a block: d [m] [high bits] codes; element j and j + 16 share a byte ---- */

static void q4_0(const uint8_t *block, float *out)
{
    const float d = half_at(block);
    const uint8_t *codes = block + 2;
    for (int j = 0; j < 16; j++) {
        out[j] = (float)((codes[j] & 15) - 8) * d;
        out[j + 16] = (float)((codes[j] >> 4) - 8) * d;
    }
}

static void q4_1(const uint8_t *block, float *out)
{
    const float d = half_at(block), m = half_at(block + 2);
    const uint8_t *codes = block + 4;
    for (int j = 0; j < 16; j++) {
        out[j] = (float)(codes[j] & 15) * d + m;
        out[j + 16] = (float)(codes[j] >> 4) * d + m;
    }
}

/* The fifth bit of element i is bit i of a 32-bit word. */
static int fifth(const uint8_t *high, int i)
{
    return (high[i / 8] >> (i % 8) & 1) << 4;
}

static void q5_0(const uint8_t *block, float *out)
{
    const float d = half_at(block);
    const uint8_t *high = block + 2, *codes = block + 6;
    for (int j = 0; j < 16; j++) {
        out[j] = (float)(((codes[j] & 15) | fifth(high, j)) - 16) * d;
        out[j + 16] = (float)((codes[j] >> 4 | fifth(high, j + 16)) - 16) * d;
    }
}

static void q5_1(const uint8_t *block, float *out)
{
    const float d = half_at(block), m = half_at(block + 2);
    const uint8_t *high = block + 4, *codes = block + 8;
    for (int j = 0; j < 16; j++) {
        out[j] = (float)((codes[j] & 15) | fifth(high, j)) * d + m;
        out[j + 16] = (float)(codes[j] >> 4 | fifth(high, j + 16)) * d + m;
    }
}

static void q8_0(const uint8_t *block, float *out)
{
    const float d = half_at(block);
    for (int j = 0; j < 32; j++)
        out[j] = (float)(int8_t)block[2 + j] * d;
}

/* ---- 256 elements a block, in groups with small integer scales of their own ---- */

/* scales[16], codes[64], d, dmin: 16 groups of 16; a byte has 4 elements, 32 apart. */
static void q2_k(const uint8_t *block, float *out)
{
    const uint8_t *scales = block, *codes = block + 16;
    const float d = half_at(block + 80), dmin = half_at(block + 82);
    for (int i = 0; i < 256; i += 16) {
        int scale = scales[i / 16], shift = i % 128 / 32 * 2;
        const uint8_t *from = codes + i / 128 * 32 + i % 32;
        float step = d * (float)(scale & 15), offset = dmin * (float)(scale >> 4);
        for (int j = 0; j < 16; j++)
            out[i + j] = step * (float)(from[j] >> shift & 3) - offset;
    }
}

/* Signed 6-bit scales of 16 groups: the low four bits of the first eight, then of the others in
 * the high halves of the same bytes; the upper two bits in the last four bytes. */
static int q3_scale(const uint8_t *packed, int group)
{
    int low = packed[group % 8] >> (group / 8 * 4) & 15;
    return (low | (packed[8 + group % 4] >> (group / 4 * 2) & 3) << 4) - 32;
}

/* high[32], codes[64], scales[12], d: the value is code - 4 where its high bit is not set. */
static void q3_k(const uint8_t *block, float *out)
{
    const uint8_t *high = block, *codes = block + 32, *scales = block + 96;
    const float d = half_at(block + 108);
    for (int i = 0; i < 256; i += 16) {
        int shift = i % 128 / 32 * 2, bit = i / 32, first = i % 32;
        const uint8_t *from = codes + i / 128 * 32 + first;
        float step = d * (float)q3_scale(scales, i / 16);
        for (int j = 0; j < 16; j++) {
            int code = from[j] >> shift & 3, minus = high[first + j] >> bit & 1 ? 0 : 4;
            out[i + j] = step * (float)(code - minus);
        }
    }
}

/* The 6-bit scale and offset of one of 8 groups, packed into 12 bytes. */
static void q4_scale(const uint8_t *packed, int group, int *scale, int *offset)
{
    if (group < 4) {
        *scale = packed[group] & 63;
        *offset = packed[group + 4] & 63;
    } else {
        *scale = (packed[group + 4] & 15) | packed[group - 4] >> 6 << 4;
        *offset = packed[group + 4] >> 4 | packed[group] >> 6 << 4;
    }
}

/* d, dmin, scales[12], codes[128]: 8 groups of 32; groups 2i and 2i + 1 share bytes. */
static void q4_k(const uint8_t *block, float *out)
{
    const float d = half_at(block), dmin = half_at(block + 2);
    const uint8_t *codes = block + 16;
    for (int group = 0; group < 8; group++) {
        int scale, offset;
        q4_scale(block + 4, group, &scale, &offset);
        const float step = d * (float)scale, minus = dmin * (float)offset;
        for (int j = 0; j < 32; j++) {
            int code = codes[group / 2 * 32 + j] >> (group % 2 * 4) & 15;
            out[group * 32 + j] = step * (float)code - minus;
        }
    }
}

/* The same with high[32] before the codes: bit g of byte j is the fifth bit of element j of group
 * g. */
static void q5_k(const uint8_t *block, float *out)
{
    const float d = half_at(block), dmin = half_at(block + 2);
    const uint8_t *high = block + 16, *codes = block + 48;
    for (int group = 0; group < 8; group++) {
        int scale, offset;
        q4_scale(block + 4, group, &scale, &offset);
        const float step = d * (float)scale, minus = dmin * (float)offset;
        for (int j = 0; j < 32; j++) {
            int code = codes[group / 2 * 32 + j] >> (group % 2 * 4) & 15;
            out[group * 32 + j] = step * (float)(code + (high[j] >> group & 1) * 16) - minus;
        }
    }
}

/* low[128], high[64], scales[16] (signed), d: each half of the block has four rows of 32, whose low
 * bits are the halves of 64 bytes and whose high bits are the quarters of 32. */
static void q6_k(const uint8_t *block, float *out)
{
    const float d = half_at(block + 208);
    for (int i = 0; i < 256; i += 16) {
        int half = i / 128, row = i % 128 / 32;
        const uint8_t *low = block + half * 64 + row % 2 * 32 + i % 32;
        const uint8_t *high = block + 128 + half * 32 + i % 32;
        const float step = d * (float)(int8_t)block[192 + i / 16];
        for (int j = 0; j < 16; j++) {
            int code = (low[j] >> (row / 2 * 4) & 15) | (high[j] >> (row * 2) & 3) << 4;
            out[i + j] = step * (float)(code - 32);
        }
    }
}

/* Digit n of a byte that holds base-3 digits as a fraction of 256: multiplied by 3^n modulo 256,
 * its leading digit is what a further product with 3 carries out of the byte. */
static int ternary_digit(uint8_t byte, int n)
{
    static const uint8_t powers[] = {1, 3, 9, 27, 81};
    return (uint8_t)(byte * powers[n]) * 3 >> 8;
}

/* Digits of `bytes` bytes, all first ones first. */
static float *ternary_run(const uint8_t *codes, int bytes, int digits, float d, float *out)
{
    for (int n = 0; n < digits; n++)
        for (int j = 0; j < bytes; j++)
            *out++ = (float)(ternary_digit(codes[j], n) - 1) * d;
    return out;
}

/* codes[48] with five digits each, in runs of 32 and 16 bytes, four more bytes with four, d. */
static void tq1_0(const uint8_t *block, float *out)
{
    const float d = half_at(block + 52);
    out = ternary_run(block, 32, 5, d, out);
    out = ternary_run(block + 32, 16, 5, d, out);
    ternary_run(block + 48, 4, 4, d, out);
}

/* codes[64], d: two bits each, 32 apart. */
static void tq2_0(const uint8_t *block, float *out)
{
    const float d = half_at(block + 64);
    for (int i = 0; i < 256; i++)
        out[i] = (float)((block[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3) - 1) * d;
}

void dtype_blocks_to_float(enum dtype dtype, const void *source, size_t blocks, float *out)
{
    static void (*const readers[])(const uint8_t *, float *) = {
        [DTYPE_Q4_0 - DTYPE_FIRST_BLOCK] = q4_0,   [DTYPE_Q4_1 - DTYPE_FIRST_BLOCK] = q4_1,
        [DTYPE_Q5_0 - DTYPE_FIRST_BLOCK] = q5_0,   [DTYPE_Q5_1 - DTYPE_FIRST_BLOCK] = q5_1,
        [DTYPE_Q8_0 - DTYPE_FIRST_BLOCK] = q8_0,   [DTYPE_Q2_K - DTYPE_FIRST_BLOCK] = q2_k,
        [DTYPE_Q3_K - DTYPE_FIRST_BLOCK] = q3_k,   [DTYPE_Q4_K - DTYPE_FIRST_BLOCK] = q4_k,
        [DTYPE_Q5_K - DTYPE_FIRST_BLOCK] = q5_k,   [DTYPE_Q6_K - DTYPE_FIRST_BLOCK] = q6_k,
        [DTYPE_TQ1_0 - DTYPE_FIRST_BLOCK] = tq1_0, [DTYPE_TQ2_0 - DTYPE_FIRST_BLOCK] = tq2_0,
    };
    const uint8_t *bytes = source;
    size_t elements = dtype_block(dtype), size = dtype_size(dtype);
    for (size_t i = 0; i < blocks; i++)
        readers[dtype - DTYPE_FIRST_BLOCK](bytes + i * size, out + i * elements);
}
