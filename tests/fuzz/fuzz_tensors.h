/* Every tensor of a table is read, if it is not too large to do so for thousands of inputs a
 * second. */
#ifndef TESTS_FUZZ_FUZZ_TENSORS_H
#define TESTS_FUZZ_FUZZ_TENSORS_H

#include "model/tensor_part.h"
#include "tests/fuzz/fuzz.h"

static inline void fuzz_read_tensors(const struct tensor *tensors, size_t count)
{
    enum { MOST = 1 << 16 };
    static float values[MOST];
    static int32_t whole[MOST];
    for (size_t i = 0; i < count; i++)
        if (tensors[i].count <= MOST) {
            (void)tensor_to_float(&tensors[i], values);
            (void)tensor_to_int32(&tensors[i], whole);
        }
}

/* Opens the bytes as a file of a format, alone and in a table. */
static inline void fuzz_open_part(tensor_part_open *open, const uint8_t *bytes, size_t size)
{
    struct tensor_part part = {0};
    struct tensor_table *table = NULL;
    if (open(&part, fuzz_file(bytes, size)) != 0)
        return;
    fuzz_read_tensors(part.items, part.count);
    if (tensor_table_from_part(&table, &part) == 0)
        tensor_table_free(table);
    tensor_part_release(&part);
}

#endif
