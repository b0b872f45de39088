/* The reference results of ../shared/golden for the tests that compare with them. */
#ifndef TESTS_GOLDEN_H
#define TESTS_GOLDEN_H

#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"
#include "model/safetensors.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* The folder with the unpacked data, or NULL when ../shared (or $BITBENCH_SHARED) has none. Unpacks
 * once into build/golden; several tests may ask at once. */
static inline const char *golden_folder(void)
{
    static char folder[1024];
    const char *shared = getenv("BITBENCH_SHARED");
    char script[900], command[2100];
    snprintf(script, sizeof script, "%s/golden/unpack", shared ? shared : "../shared");
    if (folder[0])
        return folder;
    if (!file_exists(script) || file_make_directories("build/golden") != 0)
        return NULL;
    int lock = open("build/golden/.lock", O_CREAT | O_RDWR | O_CLOEXEC, 0666);
    if (lock < 0)
        return NULL;
    snprintf(command, sizeof command, "sh '%s' build/golden", script);
    int done = flock(lock, LOCK_EX) == 0 && system(command) == 0;
    close(lock);
    if (!done)
        return NULL;
    snprintf(folder, sizeof folder, "build/golden");
    return folder;
}

/* A tensor of the file as floats (F32, F16, F64) or, for integers and booleans, their values; NULL
 * when there is none. The caller frees it. */
static inline float *golden_tensor(const struct tensor_table *file, const char *name, size_t *count)
{
    const struct tensor *tensor = tensor_table_find(file, name);
    float *values = NULL;
    int32_t *whole = NULL;
    if (!tensor || mem_alloc(&values, tensor->count, sizeof *values) != 0)
        return NULL;
    if (count)
        *count = tensor->count;
    if (tensor->dtype == DTYPE_F32 || tensor->dtype == DTYPE_F16 || tensor->dtype == DTYPE_F64) {
        if (tensor_to_float(tensor, values) == 0)
            return values;
    } else if (mem_alloc(&whole, tensor->count, sizeof *whole) == 0 &&
               tensor_to_int32(tensor, whole) == 0) {
        for (size_t i = 0; i < tensor->count; i++)
            values[i] = (float)whole[i];
        mem_free(whole);
        return values;
    }
    mem_free(whole);
    mem_free(values);
    return NULL;
}

#endif
