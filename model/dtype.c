#include "model/dtype.h"

#include "core/err.h"
#include "model/dtype_blocks.h"

#include <string.h>

static const struct {
    const char *name;
    uint16_t bytes, elements; /* of a block; one element where there are none */
} types[DTYPES] = {
    [DTYPE_BOOL] = {"BOOL", 1, 1},       [DTYPE_U8] = {"U8", 1, 1},
    [DTYPE_I8] = {"I8", 1, 1},           [DTYPE_F8_E4M3] = {"F8_E4M3", 1, 1},
    [DTYPE_F8_E5M2] = {"F8_E5M2", 1, 1}, [DTYPE_F8_E8M0] = {"F8_E8M0", 1, 1},
    [DTYPE_U16] = {"U16", 2, 1},         [DTYPE_I16] = {"I16", 2, 1},
    [DTYPE_F16] = {"F16", 2, 1},         [DTYPE_BF16] = {"BF16", 2, 1},
    [DTYPE_U32] = {"U32", 4, 1},         [DTYPE_I32] = {"I32", 4, 1},
    [DTYPE_F32] = {"F32", 4, 1},         [DTYPE_U64] = {"U64", 8, 1},
    [DTYPE_I64] = {"I64", 8, 1},         [DTYPE_F64] = {"F64", 8, 1},
    [DTYPE_C64] = {"C64", 8, 1},         [DTYPE_Q4_0] = {"Q4_0", 18, 32},
    [DTYPE_Q4_1] = {"Q4_1", 20, 32},     [DTYPE_Q5_0] = {"Q5_0", 22, 32},
    [DTYPE_Q5_1] = {"Q5_1", 24, 32},     [DTYPE_Q8_0] = {"Q8_0", 34, 32},
    [DTYPE_Q2_K] = {"Q2_K", 84, 256},    [DTYPE_Q3_K] = {"Q3_K", 110, 256},
    [DTYPE_Q4_K] = {"Q4_K", 144, 256},   [DTYPE_Q5_K] = {"Q5_K", 176, 256},
    [DTYPE_Q6_K] = {"Q6_K", 210, 256},   [DTYPE_TQ1_0] = {"TQ1_0", 54, 256},
    [DTYPE_TQ2_0] = {"TQ2_0", 66, 256},
};

size_t dtype_block(enum dtype dtype)
{
    return types[dtype].elements;
}

size_t dtype_size(enum dtype dtype)
{
    return types[dtype].bytes;
}

const char *dtype_name(enum dtype dtype)
{
    return types[dtype].name;
}

int dtype_parse(enum dtype *dtype, const char *name)
{
    for (int i = 0; i < DTYPE_FIRST_BLOCK; i++) {
        if (strcmp(types[i].name, name) == 0) {
            *dtype = (enum dtype)i;
            return 0;
        }
    }
    return err_set(
        ERR_FORMAT,
        "unknown element type '%.40s': known are F32, F16, BF16, F64, F8_*, I8 to I64, U8 to U64, "
        "BOOL, C64",
        name);
}

static inline uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* binary16's exponent and mantissa, moved to float32's places, stand for the value times 2^-112:
 * the product restores it, subnormals included, without a branch. */
float half_to_float(uint16_t half)
{
    uint32_t magnitude = (uint32_t)(half & 0x7fff) << 13, sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t bits = bits_of(float_of(magnitude) * 0x1p112f);
    uint32_t special = magnitude >= 0x0f800000u ? 0x7f800000u : 0; /* infinity and NaN */
    return float_of(bits | special | sign);
}

uint16_t float_to_half(float value)
{
    uint32_t bits = bits_of(value), magnitude = bits & 0x7fffffff, sign = bits >> 16 & 0x8000;
    if (magnitude > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x1ff));
    if (magnitude >= 0x477ff000u) /* 65520 and above rounds to infinity */
        return (uint16_t)(sign | 0x7c00);
    if (magnitude < 0x38800000u) /* below 2^-14: the unit in the last place of 0.5 is that of a
                                    subnormal half */
        return (uint16_t)(sign | (bits_of(float_of(magnitude) + 0.5f) - 0x3f000000u));
    magnitude += 0xfff + (magnitude >> 13 & 1);
    return (uint16_t)(sign | ((magnitude - 0x38000000u) >> 13));
}

float bfloat_to_float(uint16_t bfloat)
{
    return float_of((uint32_t)bfloat << 16);
}

uint16_t float_to_bfloat(float value)
{
    uint32_t bits = bits_of(value);
    if ((bits & 0x7fffffff) > 0x7f800000u)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

int dtype_to_float(enum dtype dtype, const void *source, size_t count, float *out)
{
    const unsigned char *bytes = source;
    uint16_t narrow;
    double wide;
    switch (dtype) {
    case DTYPE_F32:
        if (count)
            memcpy(out, source, count * sizeof *out);
        return 0;
    case DTYPE_F16:
        for (size_t i = 0; i < count; i++) {
            memcpy(&narrow, bytes + 2 * i, sizeof narrow);
            out[i] = half_to_float(narrow);
        }
        return 0;
    case DTYPE_BF16:
        for (size_t i = 0; i < count; i++) {
            memcpy(&narrow, bytes + 2 * i, sizeof narrow);
            out[i] = bfloat_to_float(narrow);
        }
        return 0;
    case DTYPE_F64:
        for (size_t i = 0; i < count; i++) {
            memcpy(&wide, bytes + 8 * i, sizeof wide);
            out[i] = (float)wide;
        }
        return 0;
    default:
        if (dtype >= DTYPE_FIRST_BLOCK && count % dtype_block(dtype) == 0) {
            dtype_blocks_to_float(dtype, source, count / dtype_block(dtype), out);
            return 0;
        }
        return err_set(ERR_FORMAT, "elements are %s, where F32, F16, BF16 or F64 is needed",
                       dtype_name(dtype));
    }
}

int dtype_from_float(enum dtype dtype, const float *source, size_t count, void *out)
{
    uint16_t *narrow = out;
    double *wide = out;
    switch (dtype) {
    case DTYPE_F32:
        if (count)
            memcpy(out, source, count * sizeof *source);
        return 0;
    case DTYPE_F16:
        for (size_t i = 0; i < count; i++)
            narrow[i] = float_to_half(source[i]);
        return 0;
    case DTYPE_BF16:
        for (size_t i = 0; i < count; i++)
            narrow[i] = float_to_bfloat(source[i]);
        return 0;
    case DTYPE_F64:
        for (size_t i = 0; i < count; i++)
            wide[i] = source[i];
        return 0;
    default:
        return err_set(ERR_FORMAT, "float32 cannot be stored as %s: only as F32, F16, BF16 or F64",
                       dtype_name(dtype));
    }
}
