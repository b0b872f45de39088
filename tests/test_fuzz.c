/* The targets of `make fuzz`, without a fuzzer: their seeds, each cut off at every length and with
 * bytes changed at random, and the inputs that once did harm (tests/fuzz/regressions/TARGET). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/fuzz/fuzz_config.c"
#include "tests/fuzz/fuzz_gguf.c"
#include "tests/fuzz/fuzz_llama2c.c"
#include "tests/fuzz/fuzz_pickle.c"
#include "tests/fuzz/fuzz_safetensors.c"
#include "tests/fuzz/fuzz_tokenizer_gguf.c"
#include "tests/fuzz/fuzz_tokenizer_json.c"
#include "tests/fuzz/fuzz_tokenizer_model.c"
#include "tests/fuzz/fuzz_tokenizer_text.c"
#include "tests/fuzz/fuzz_torch.c"

#include <dirent.h>

void (*fuzz_seed)(const char *name, const void *bytes, size_t size);

static void (*target)(const uint8_t *bytes, size_t size);
static int seeds;

/* A copy as long as the input, so that a sanitizer sees a step too far. */
static void run(const void *bytes, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    target(copy, size);
    free(copy);
}

static void run_seed(const char *name, const void *bytes, size_t size)
{
    enum { CHANGED = 300 };
    uint8_t *copy;
    struct rng rng;
    seeds++;
    run(bytes, size);
    for (size_t length = 0; length < size; length += size < 1000 ? 1 : size / 500)
        run(bytes, length);
    rng_seed(&rng, size);
    FIXTURE_OK(mem_alloc(&copy, size, 1));
    for (int i = 0; i < CHANGED; i++) {
        memcpy(copy, bytes, size);
        for (int changes = 1 + (int)rng_below(&rng, 4); changes > 0; changes--)
            copy[rng_below(&rng, size)] = (uint8_t)(rng_below(&rng, 4)   ? rng_below(&rng, 256)
                                                    : rng_below(&rng, 2) ? 255
                                                                         : 0);
        run(copy, size);
    }
    mem_free(copy);
}

/* The kept inputs of a target: tests run in the top folder. */
static int run_kept(const char *name)
{
    char folder[200];
    struct dirent *entry;
    int count = 0;
    snprintf(folder, sizeof folder, "tests/fuzz/regressions/%s", name);
    DIR *list = opendir(folder);
    while (list && (entry = readdir(list))) {
        char *path, *bytes;
        size_t size;
        if (entry->d_name[0] == '.')
            continue;
        FIXTURE_OK(file_join(&path, folder, entry->d_name));
        FIXTURE_OK(file_read(path, &bytes, &size));
        run(bytes, size);
        mem_free(path);
        mem_free(bytes);
        count++;
    }
    if (list)
        closedir(list);
    return count;
}

#define FUZZ_TEST(NAME)                                                                            \
    static void survives_##NAME(void **state)                                                      \
    {                                                                                              \
        (void)state;                                                                               \
        target = fuzz_##NAME;                                                                      \
        fuzz_seed = run_seed;                                                                      \
        seeds = 0;                                                                                 \
        fuzz_seeds_##NAME();                                                                       \
        print_message("%s: %d seeds, %d kept inputs\n", #NAME, seeds, run_kept(#NAME));            \
        assert_true(seeds > 0);                                                                    \
    }
FUZZ_TEST(config)
FUZZ_TEST(gguf)
FUZZ_TEST(llama2c)
FUZZ_TEST(pickle)
FUZZ_TEST(safetensors)
FUZZ_TEST(tokenizer_gguf)
FUZZ_TEST(tokenizer_json)
FUZZ_TEST(tokenizer_model)
FUZZ_TEST(tokenizer_text)
FUZZ_TEST(torch)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(survives_config),         cmocka_unit_test(survives_gguf),
        cmocka_unit_test(survives_llama2c),        cmocka_unit_test(survives_pickle),
        cmocka_unit_test(survives_safetensors),    cmocka_unit_test(survives_tokenizer_gguf),
        cmocka_unit_test(survives_tokenizer_json), cmocka_unit_test(survives_tokenizer_model),
        cmocka_unit_test(survives_tokenizer_text), cmocka_unit_test(survives_torch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
