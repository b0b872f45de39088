/* Numbers and names for a reader: how many digits, which units. */
#ifndef HARNESS_TABLE_NUMBERS_H
#define HARNESS_TABLE_NUMBERS_H

#define TABLE_NOTHING "–"

enum { TABLE_NUMBER = 32 };

/* "27.94", "1234", "1.20e+07": two digits behind the point up to 100, fewer above; powers of ten
 * from a million. NaN is TABLE_NOTHING, here and below. */
void table_number(char out[TABLE_NUMBER], double value);

void table_fixed(char out[TABLE_NUMBER], double value, int digits);

/* Ratios near one need more digits than the numbers they are made of. */
void table_ratio(char out[TABLE_NUMBER], double value);

/* A share in percent: "-1.5", and never "-0.0". */
void table_points(char out[TABLE_NUMBER], double share);

/* Small and large ones alike: "0.00123", "1.20e+07"; three digits that count. */
void table_short(char out[TABLE_NUMBER], double value);

/* The last part of a path or a repository's name. */
const char *table_model_name(const char *model);

/* The mark of note i: a..z, then aa, ab, ... */
void note_mark(int i, char out[4]);

#endif
