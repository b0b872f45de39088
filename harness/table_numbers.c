#include "harness/table_numbers.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void table_number(char out[TABLE_NUMBER], double value)
{
    double size = fabs(value);
    if (isnan(value))
        snprintf(out, TABLE_NUMBER, TABLE_NOTHING);
    else if (size < 1e6)
        snprintf(out, TABLE_NUMBER, "%.*f", size < 100 ? 2 : size < 1000 ? 1 : 0, value);
    else
        snprintf(out, TABLE_NUMBER, "%.2e", value);
}

void table_fixed(char out[TABLE_NUMBER], double value, int digits)
{
    if (isnan(value))
        snprintf(out, TABLE_NUMBER, TABLE_NOTHING);
    else
        snprintf(out, TABLE_NUMBER, "%.*f", digits, value);
}

void table_ratio(char out[TABLE_NUMBER], double value)
{
    if (value < 10)
        table_fixed(out, value, 3);
    else
        table_number(out, value);
}

void table_points(char out[TABLE_NUMBER], double share)
{
    double value = round(share * 1000) / 10;
    table_fixed(out, value == 0 ? 0 : value, 1);
}

void table_short(char out[TABLE_NUMBER], double value)
{
    if (isnan(value))
        snprintf(out, TABLE_NUMBER, TABLE_NOTHING);
    else if (value == 0 || (fabs(value) >= 1e-4 && fabs(value) < 1e4))
        snprintf(out, TABLE_NUMBER, "%.3g", value);
    else
        snprintf(out, TABLE_NUMBER, "%.2e", value);
}

const char *table_model_name(const char *model)
{
    const char *slash = strrchr(model, '/');
    return slash && slash[1] ? slash + 1 : model;
}

void note_mark(int i, char out[4])
{
    if (i < 26)
        snprintf(out, 4, "%c", 'a' + i);
    else
        snprintf(out, 4, "%c%c", 'a' + (i / 26 - 1) % 26, 'a' + i % 26);
}
