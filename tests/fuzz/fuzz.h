/* What the targets of libFuzzer share. A target is a file fuzz_NAME.c with FUZZ_TARGET(NAME, bytes,
 * size) { }, which has to survive any bytes, and FUZZ_SEEDS(NAME) { }, which calls fuzz_seed with
 * small good inputs, and a line in tests/test_fuzz.c. `make fuzz` runs it; `make test` runs the
 * seeds and what is kept in tests/fuzz/regressions/NAME. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include "tests/fixture.h"

#include <stdint.h>
#include <sys/mman.h>

/* Receives each seed of a target. */
extern void (*fuzz_seed)(const char *name, const void *bytes, size_t size);

#ifdef FUZZING
#define FUZZ_TARGET(NAME, BYTES, SIZE)                                                             \
    int LLVMFuzzerTestOneInput(const uint8_t *BYTES, size_t SIZE);                                 \
    static void fuzz_##NAME(const uint8_t *BYTES, size_t SIZE);                                    \
    int LLVMFuzzerTestOneInput(const uint8_t *BYTES, size_t SIZE)                                  \
    {                                                                                              \
        fuzz_##NAME(BYTES, SIZE);                                                                  \
        return 0;                                                                                  \
    }                                                                                              \
    static void fuzz_##NAME(const uint8_t *BYTES, size_t SIZE)

void (*fuzz_seed)(const char *name, const void *bytes, size_t size);

static const char *fuzz_seed_folder;

static void fuzz_seed_write(const char *name, const void *bytes, size_t size)
{
    char *path;
    FIXTURE_OK(file_join(&path, fuzz_seed_folder, name));
    FILE *stream = fopen(path, "wb");
    if (!stream || fwrite(bytes, 1, size, stream) != size || fclose(stream) != 0)
        abort();
    mem_free(path);
}

/* With $FUZZ_SEEDS the program writes the target's seeds into that folder, and ends. */
#define FUZZ_SEEDS(NAME)                                                                           \
    static void fuzz_seeds_##NAME(void);                                                           \
    int LLVMFuzzerInitialize(int *count, char ***arguments);                                       \
    int LLVMFuzzerInitialize(int *count, char ***arguments)                                        \
    {                                                                                              \
        (void)count, (void)arguments;                                                              \
        fuzz_seed_folder = getenv("FUZZ_SEEDS");                                                   \
        if (!fuzz_seed_folder)                                                                     \
            return 0;                                                                              \
        fuzz_seed = fuzz_seed_write;                                                               \
        fuzz_seeds_##NAME();                                                                       \
        exit(0);                                                                                   \
    }                                                                                              \
    static void fuzz_seeds_##NAME(void)
#else /* the test includes the targets' files */
#define FUZZ_TARGET(NAME, BYTES, SIZE)                                                             \
    __attribute__((unused)) static void fuzz_##NAME(const uint8_t *BYTES, size_t SIZE)
#define FUZZ_SEEDS(NAME) __attribute__((unused)) static void fuzz_seeds_##NAME(void)
#endif

/* The path of a file in memory with these bytes, valid until the next call. */
static inline const char *fuzz_file(const uint8_t *bytes, size_t size)
{
    static int file = -1;
    static char path[64];
    if (file < 0)
        file = memfd_create("fuzz", MFD_CLOEXEC);
    if (file < 0 || ftruncate(file, 0) != 0 || pwrite(file, bytes, size, 0) != (ssize_t)size)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    return path;
}

#endif
