#include "linalg/finite.h"

#include <stdint.h>
#include <string.h>

long first_not_finite(const float *values, size_t count)
{
    enum { CHUNK = 1024 };
    const uint32_t exponent = 0x7f800000u;
    for (size_t start = 0; start < count; start += CHUNK) {
        size_t end = start + CHUNK < count ? start + CHUNK : count;
        uint32_t found = 0, bits;
        for (size_t i = start; i < end; i++) {
            memcpy(&bits, values + i, sizeof bits);
            found |= (bits & exponent) == exponent;
        }
        for (size_t i = start; found && i < end; i++) {
            memcpy(&bits, values + i, sizeof bits);
            if ((bits & exponent) == exponent)
                return (long)i;
        }
    }
    return -1;
}
