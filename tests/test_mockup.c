/* Models with a published shape and random weights. */
#include "harness/mockup.h"

#include "core/pool.h"
#include "model/tensor_table.h"
#include "tests/fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>

static char *folder;

static struct model_config shape(int layers)
{
    struct model_config config;
    const struct known_model known = {.name = "tiny",
                                      .family = FAMILY_LLAMA,
                                      .layers = layers,
                                      .width = 512,
                                      .hidden = 1376,
                                      .heads = 8,
                                      .kv_heads = 8,
                                      .vocabulary = 4096,
                                      .positions = 64};
    FIXTURE_OK(mockup_config(&known, &config));
    return config;
}

static void write_and_open(const char *name, int layers, int blocks, uint64_t seed,
                           struct model *model)
{
    char *path;
    struct model_config config = shape(layers);
    FIXTURE_OK(file_join(&path, folder, name));
    FIXTURE_OK(mockup_write(path, &config, blocks, seed));
    FIXTURE_OK(model_open(model, path));
    mem_free(path);
}

static void weights_are_drawn_from_the_seed(void **state)
{
    struct model one = {0}, same = {0}, other = {0};
    struct block block = {0};
    write_and_open("one", 2, 1, 5, &one);
    write_and_open("same", 2, 1, 5, &same);
    write_and_open("other", 2, 1, 6, &other);
    assert_string_equal(one.hash, same.hash);
    assert_string_not_equal(one.hash, other.hash);
    FIXTURE_OK(one.architecture->load_block(&one, 0, &block));
    for (int i = 0; i < block.linear_count; i++) {
        const struct linear *linear = &block.linears[i];
        size_t count = (size_t)linear->out * (size_t)linear->in;
        double sum = 0, squares = 0;
        for (size_t k = 0; k < count; k++) {
            sum += (double)linear->weight[k];
            squares += (double)linear->weight[k] * (double)linear->weight[k];
        }
        assert_true(fabs(sum / (double)count) < 1e-3);
        assert_true(fabs(squares / (double)count * linear->in - 1) < 0.01);
    }
    assert_true(block.vectors[0][0] == 1 && block.vectors[1][511] == 1);
    block_release(&block);
    FIXTURE_OK(one.architecture->load_block(&one, 1, &block));
    assert_true(block.linears[6].weight[100] == 0);
    block_release(&block);
    model_close(&one);
    model_close(&same);
    model_close(&other);
}

/* Three blocks of 6 MB that nobody measures take no room. */
static void blocks_without_weights_are_holes(void **state)
{
    struct stat info;
    struct model model = {0};
    char *path;
    write_and_open("holes", 3, 0, 0, &model);
    FIXTURE_OK(mem_printf(&path, "%s/holes/model.safetensors", folder));
    assert_int_equal(stat(path, &info), 0);
    double outside = 2.0 * 2 * 4096 * 512;
    assert_true((double)info.st_size > outside + 3 * 6.2e6);
    if ((double)info.st_blocks * 512 > outside + 1e6)
        print_message("skipped: the file system leaves no holes\n");
    mem_free(path);
    model_close(&model);
}

static void other_families_are_refused(void **state)
{
    struct model_config config;
    const struct known_model *opt = known_model_find("OPT-125M");
    assert_non_null(opt);
    assert_int_equal(mockup_config(opt, &config), ERR_USAGE);
    assert_non_null(known_model_find("LLaMA-7B"));
    FIXTURE_OK(mockup_config(known_model_find("LLaMA-7B"), &config));
    assert_int_equal(config.hidden, 11008);
}

int main(int argc, char **argv)
{
    fixture_start(argv, 2);
    folder = fixture_folder("mockup");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_are_drawn_from_the_seed),
        cmocka_unit_test(blocks_without_weights_are_holes),
        cmocka_unit_test(other_families_are_refused),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mem_free(folder);
    pool_stop();
    return failed;
}
