/* In which settings two points differ. */
#ifndef HARNESS_TABLE_SETTINGS_H
#define HARNESS_TABLE_SETTINGS_H

#include "harness/table_data.h"

struct strbuf;

/* Appends "model, bits, calibration.seed": the names that table_query.h has for what differs, and
 * "after" and "layers" for what goes before and for rules of single layers. */
int settings_differences(const struct table_row *a, const struct table_row *b,
                         struct strbuf *names);

#endif
