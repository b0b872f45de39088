/* Options that several methods have: the same name, bounds, default and words everywhere. s is the
 * method's options struct, with a field of that name: COMMON_BITS(struct rtn_options) is a row of
 * its table. */
#ifndef METHODS_COMMON_OPTIONS_H
#define METHODS_COMMON_OPTIONS_H

#include "core/options.h"

#define COMMON_BITS(s)                                                                             \
    {                                                                                              \
        .name = "bits", .type = OPTION_INT, .offset = offsetof(s, bits), .fallback = "4",          \
        .low = 1, .high = 8, .help = "bits of a code"                                              \
    }

#define COMMON_SYM(s)                                                                              \
    {                                                                                              \
        .name = "sym", .type = OPTION_BOOL, .offset = offsetof(s, sym), .fallback = "false",       \
        .help = "grid symmetric about zero instead of from the smallest to the largest weight"     \
    }

#define COMMON_MSE(s)                                                                              \
    {                                                                                              \
        .name = "mse", .type = OPTION_BOOL, .offset = offsetof(s, mse), .fallback = "false",       \
        .help = "shrink the range where that lessens the error sum |w_q - w|^2.4"                  \
    }

#define COMMON_GROUP_SIZE(s)                                                                       \
    {                                                                                              \
        .name = "group_size", .type = OPTION_INT, .offset = offsetof(s, group_size),               \
        .fallback = "-1", .low = 1, .high = 1 << 20, .special = "-1=the whole row",                \
        .help = "columns that share a scale"                                                       \
    }

#define COMMON_BLOCK_SIZE(s)                                                                       \
    {                                                                                              \
        .name = "block_size", .type = OPTION_INT, .offset = offsetof(s, block_size),               \
        .fallback = "128", .low = 1, .high = 65536, .special = "-1=the whole row",                 \
        .help = "columns between two updates of the rest of the matrix"                            \
    }

#define COMMON_PERCDAMP(s)                                                                         \
    {                                                                                              \
        .name = "percdamp", .type = OPTION_REAL, .offset = offsetof(s, percdamp),                  \
        .fallback = "0.01", .low = 0, .high = 1000,                                                \
        .help = "share of the Hessian diagonal's mean that is added to it"                         \
    }

#define COMMON_SCALE_BITS(s)                                                                       \
    {                                                                                              \
        .name = "scale_bits", .type = OPTION_CHOICE, .offset = offsetof(s, scale_bits),            \
        .fallback = "32", .choices = "32|16",                                                      \
        .help = "bits of a stored scale: 32 as the references compute, 16 as the papers count"     \
    }

#endif
