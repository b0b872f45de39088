#include "core/size.h"

#include "core/err.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The power of 1024 that the letters stand for, or -1. */
static int power_of(const char *unit)
{
    static const char letters[] = "KMGT";
    const char *at = *unit ? strchr(letters, toupper((unsigned char)*unit)) : NULL;
    if (!*unit || strcasecmp(unit, "B") == 0)
        return 0;
    if (!at || (unit[1] && strcasecmp(unit + 1, "B") != 0 && strcasecmp(unit + 1, "iB") != 0))
        return -1;
    return (int)(at - letters) + 1;
}

int size_parse(const char *text, const char *where, size_t *bytes)
{
    char *end = NULL;
    double value = isdigit((unsigned char)*text) ? strtod(text, &end) : 0;
    int power = end && value > 0 ? power_of(end) : -1;
    if (power >= 0)
        value = ldexp(value, 10 * power);
    if (power < 0 || !(value >= 1) || value > 0x1p62)
        return err_set(ERR_USAGE,
                       "%s: '%.40s' is no size: a number with K, M, G or T is expected, such as "
                       "12G or 800M",
                       where, text);
    *bytes = (size_t)value;
    return 0;
}

void size_text(double bytes, char out[SIZE_TEXT])
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    int unit = 0;
    bytes /= 1024;
    for (; bytes >= 1000 && unit < 3; unit++)
        bytes /= 1024;
    snprintf(out, SIZE_TEXT, "%.*f %s", unit ? 1 : 0, bytes, units[unit]);
}
