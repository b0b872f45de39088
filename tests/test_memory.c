/* Hidden states in files, the limit of memory, and what happens when there is no room: results are
 * the same bytes wherever the states lie. */
#include "core/interrupt.h"
#include "core/machine.h"
#include "core/pool.h"
#include "core/size.h"
#include "harness/memory_limit.h"
#include "harness/memory_plan.h"
#include "harness/pipeline.h"
#include "harness/readahead.h"
#include "model/tensor_pages.h"
#include "model/tensor_table.h"
#include "tests/fixture.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>

static char *folder;
static struct model model;
static struct stream calibration, evaluation;
static struct point gptq;

/* ---- sizes and what the machine has ---- */

static void sizes_are_read(void **state)
{
    static const struct {
        const char *text;
        double bytes;
    } good[] = {{"12G", 12884901888.0}, {"1.5k", 1536},         {"7", 7},
                {"800MiB", 838860800},  {"2tb", 2199023255552}, {"10B", 10}};
    static const char *const bad[] = {"",     "G",   "-1G", "12X", "12GG",     "0",   "1e400",
                                      "12 G", "nan", "inf", "0.1", "9999999T", "12Gi"};
    size_t bytes;
    char text[SIZE_TEXT];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        FIXTURE_OK(size_parse(good[i].text, "--memory", &bytes));
        assert_true((double)bytes == good[i].bytes);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        bytes = 5;
        if (size_parse(bad[i], "--memory", &bytes) != ERR_USAGE || bytes != 5)
            fail_msg("'%s' was read as %zu", bad[i], bytes);
        assert_non_null(strstr(err_text(), "--memory: "));
    }
    size_text(12884901888.0, text);
    assert_string_equal(text, "12.0 GiB");
    size_text(2048, text);
    assert_string_equal(text, "2 KiB");
}

static void write_in(const char *root, const char *name, const char *text)
{
    char *path, *slash;
    FIXTURE_OK(mem_printf(&path, "%s/%s", root, name));
    slash = strrchr(path, '/');
    *slash = '\0';
    FIXTURE_OK(file_make_directories(path));
    fixture_write(path, slash + 1, text);
    mem_free(path);
}

/* The least of the groups' limits counts, also of those above; "max" is none. */
static void control_groups_limit_memory(void **state)
{
    char *root;
    FIXTURE_OK(file_join(&root, folder, "root"));
    size_t whole = machine_memory_below(root);
    assert_true(whole > 1 << 20);
    write_in(root, "proc/self/cgroup", "0::/slice/unit\n");
    assert_true(machine_memory_below(root) == whole);
    write_in(root, "sys/fs/cgroup/slice/unit/memory.max", "max\n");
    assert_true(machine_memory_below(root) == whole);
    write_in(root, "sys/fs/cgroup/slice/memory.max", "2000000\n");
    assert_true(machine_memory_below(root) == 2000000);
    write_in(root, "sys/fs/cgroup/slice/unit/memory.max", "1000000\n");
    assert_true(machine_memory_below(root) == 1000000);
    write_in(root, "proc/self/cgroup", "3:cpu:/slice/unit\n4:hugetlb,memory:/old\n");
    assert_true(machine_memory_below(root) == whole);
    write_in(root, "sys/fs/cgroup/memory/memory.limit_in_bytes", "3000000\n");
    assert_true(machine_memory_below(root) == 3000000);
    mem_free(root);
}

/* ---- the store of states ---- */

static void states_come_back(void **state)
{
    for (int spilled = 0; spilled < 2; spilled++) {
        struct states states = {0};
        float *x;
        FIXTURE_OK(states_open(&states, "test", 10, 3, 4, spilled ? folder : NULL));
        for (int first = 0; first < 10; first += 4) {
            int count = first + 4 <= 10 ? 4 : 10 - first;
            FIXTURE_OK(states_take(&states, first, count, false, &x));
            for (int i = 0; i < count * 3; i++)
                x[i] = (float)(first * 3 + i);
            FIXTURE_OK(states_put(&states, first, count));
        }
        FIXTURE_OK(states_take(&states, 5, 3, true, &x));
        states_expect(&states, 8, 2);
        for (int i = 0; i < 9; i++)
            assert_true(x[i] == (float)(15 + i));
        states_close(&states);
    }
}

static void empty_states_are_legal(void **state)
{
    struct states states = {0};
    states_close(&states);
    FIXTURE_OK(states_open(&states, "test", 0, 3, 0, folder));
    states_close(&states);
}

static int files_in(const char *path)
{
    int count = 0;
    DIR *directory = opendir(path);
    assert_non_null(directory);
    while (readdir(directory))
        count++;
    closedir(directory);
    return count - 2;
}

/* In a child whose files may have `most` bytes: the message goes to the pipe. */
static void spill_under_limit(rlim_t most, char text[1024])
{
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    pool_stop();
    pid_t child = fork();
    if (child == 0) {
        struct states states = {0};
        struct rlimit limit = {most, most};
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
        int rc = states_open(&states, "calibration", 1000, 100, 10, folder);
        states_close(&states);
        ssize_t put = write(ends[1], rc == ERR_IO ? err_text() : "other",
                            rc == ERR_IO ? strlen(err_text()) : 5);
        _exit(put < 0);
    }
    close(ends[1]);
    ssize_t got = read(ends[0], text, 1023);
    text[got > 0 ? got : 0] = '\0';
    close(ends[0]);
    waitpid(child, &status, 0);
    FIXTURE_OK(pool_start(2));
}

static void full_disk_is_one_line(void **state)
{
    char text[1024];
    struct states states = {0};
    spill_under_limit(100000, text);
    assert_non_null(strstr(text, "calibration: cannot spill 391 KiB of hidden states to "));
    assert_non_null(strstr(text, "--spill-dir"));
    assert_int_equal(states_open(&states, "calibration", 10, 10, 1, "/no/such/folder"), ERR_IO);
    assert_non_null(strstr(err_text(), "/no/such/folder: No such file or directory"));
    char *small;
    FIXTURE_OK(file_join(&small, folder, "small"));
    FIXTURE_OK(file_make_directories(small));
    if (mount("bitbench", small, "tmpfs", 0, "size=64k") == 0) {
        int rc = states_open(&states, "calibration", 1000, 100, 1, small);
        umount(small);
        assert_int_equal(rc, ERR_IO);
        assert_non_null(strstr(err_text(), "No space left on device"));
    } else {
        print_message("skipped: no right to mount a small file system\n");
    }
    mem_free(small);
}

/* ---- the plan ---- */

static void needs_of(struct memory_needs *needs, const struct block *block)
{
    memory_needs_of(&model, &gptq, &calibration, &evaluation, needs);
    needs->block = block;
}

static void plan_spills_what_it_must(void **state)
{
    struct block block = {0};
    struct memory_needs needs;
    struct memory_plan plan, all;
    FIXTURE_OK(model.architecture->load_block(&model, 0, &block));
    needs_of(&needs, &block);
    needs.held = 1000;
    FIXTURE_OK(memory_limit_from_command_line("1T", ""));
    FIXTURE_OK(memory_plan_make(&needs, &all));
    assert_true(all.calibration_file == 0 && all.evaluation_file == 0 && !all.folder);
    assert_true(all.bytes[MEMORY_CALIBRATION] == 4.0 * 64 * calibration.rows);
    assert_true(all.bytes[MEMORY_HESSIANS] == 4.0 * (3 * 64 * 64 + 128 * 128));
    int steps[3] = {0};
    for (double limit = all.peak - 1; limit > 0; limit *= 0.98) {
        char text[40];
        snprintf(text, sizeof text, "%.0f", limit);
        FIXTURE_OK(memory_limit_from_command_line(text, ""));
        int rc = memory_plan_make(&needs, &plan);
        if (rc) {
            assert_int_equal(rc, ERR_MEMORY);
            assert_non_null(strstr(err_text(), "is too small: about"));
            break;
        }
        assert_true(plan.peak <= limit && plan.folder);
        steps[(plan.calibration_file > 0) * 2 + (plan.evaluation_file > 0) - 1]++;
    }
    assert_true(steps[0] > 0 && steps[2] > 0); /* first the evaluation's, in the end both */
    FIXTURE_OK(memory_limit_from_command_line("", ""));
    memory_limit_from_spec(123);
    assert_true(memory_limit() == 123);
    FIXTURE_OK(memory_limit_from_command_line("5M", ""));
    assert_true(memory_limit() == 5 << 20);
    FIXTURE_OK(memory_limit_from_command_line("", ""));
    memory_limit_from_spec(0);
    block_release(&block);
}

/* ---- whole pipelines ---- */

/* The limit at which everything is spilled. */
static void limit_to_spill(void)
{
    struct block block = {0};
    struct memory_needs needs;
    struct memory_plan plan;
    char text[40];
    FIXTURE_OK(model.architecture->load_block(&model, 0, &block));
    needs_of(&needs, &block);
    FIXTURE_OK(memory_limit_from_command_line("1", ""));
    needs.held = 0;
    assert_int_equal(memory_plan_make(&needs, &plan), ERR_MEMORY); /* plan: all spilled */
    snprintf(text, sizeof text, "%.0f", plan.peak + (double)machine_held() + (6 << 20));
    FIXTURE_OK(memory_limit_from_command_line(text, ""));
    needs.held = (double)machine_held();
    FIXTURE_OK(memory_plan_make(&needs, &plan));
    assert_true(plan.calibration_file > 0 && plan.evaluation_file > 0);
    block_release(&block);
}

static void run_pipeline(struct pipeline_output *output)
{
    const struct pipeline_input input = {
        .model = &model, .point = &gptq, .calibration = &calibration, .evaluation = &evaluation};
    FIXTURE_OK(pipeline_run(&input, output));
}

static void assert_same(const struct pipeline_output *a, const struct pipeline_output *b)
{
    assert_int_equal(a->layer_count, b->layer_count);
    for (int i = 0; i < a->layer_count; i++) {
        assert_true(a->layers[i].hessian_loss == b->layers[i].hessian_loss);
        assert_true(a->layers[i].weight_mse == b->layers[i].weight_mse);
    }
    assert_memory_equal(a->scores, b->scores, (size_t)evaluation.rows * sizeof *a->scores);
}

static void spilled_or_not_the_results_are_the_same(void **state)
{
    struct pipeline_output in_memory, spilled;
    FIXTURE_OK(memory_limit_from_command_line("1T", ""));
    run_pipeline(&in_memory);
    int files = files_in(folder);
    for (int threads = 1; threads <= 3; threads++) {
        FIXTURE_OK(pool_start(threads));
        FIXTURE_OK(memory_limit_from_command_line("1T", ""));
        run_pipeline(&spilled); /* and each thread has its memory now */
        assert_same(&in_memory, &spilled);
        pipeline_output_release(&spilled);
        limit_to_spill();
        run_pipeline(&spilled);
        assert_same(&in_memory, &spilled);
        pipeline_output_release(&spilled);
    }
    FIXTURE_OK(pool_start(2));
    assert_int_equal(files_in(folder), files);
    pipeline_output_release(&in_memory);
    FIXTURE_OK(memory_limit_from_command_line("", ""));
}

static void interruption_leaves_no_files(void **state)
{
    struct pipeline_output output = {0};
    const struct pipeline_input input = {
        .model = &model, .point = &gptq, .calibration = &calibration, .evaluation = &evaluation};
    limit_to_spill();
    int files = files_in(folder), descriptors = files_in("/proc/self/fd");
    interrupt_simulate(SIGINT);
    assert_int_equal(pipeline_run(&input, &output), ERR_INTERRUPTED);
    interrupt_simulate(0);
    assert_null(output.layers);
    assert_int_equal(files_in(folder), files);
    assert_int_equal(files_in("/proc/self/fd"), descriptors);
    FIXTURE_OK(memory_limit_from_command_line("", ""));
}

/* Every allocation fails once: an error, and nothing is left open. */
static void allocations_may_fail(void **state)
{
    struct pipeline_output output = {0};
    const struct pipeline_input input = {
        .model = &model, .point = &gptq, .calibration = &calibration, .evaluation = &evaluation};
    int descriptors = files_in("/proc/self/fd"), failures = 0, pending = 0;
    for (long k = 1; !pending; k += 1 + k / 4) { /* fewer and fewer of the later ones */
        limit_to_spill();
        mem_fail_at(k);
        int rc = pipeline_run(&input, &output);
        pending = mem_fail_pending();
        mem_fail_at(0);
        assert_int_equal(files_in("/proc/self/fd"), descriptors);
        assert_int_equal(rc, pending ? 0 : ERR_MEMORY);
        failures += !pending;
    }
    pipeline_output_release(&output);
    assert_true(failures > 20);
    FIXTURE_OK(memory_limit_from_command_line("", ""));
}

/* Only one block of the model is quantized and nothing evaluated: the blocks behind it are not
 * even read. */
static void work_ends_with_the_last_quantized_block(void **state)
{
    struct pipeline_output output, whole;
    struct point first = gptq;
    struct pipeline_input input = {.model = &model, .point = &first, .calibration = &calibration};
    first.harness.max_layer = 1;
    FIXTURE_OK(pipeline_run(&input, &output));
    input.evaluation = &evaluation;
    FIXTURE_OK(pipeline_run(&input, &whole));
    assert_int_equal(output.layer_count, 7);
    assert_int_equal(whole.layer_count, 7);
    for (int i = 0; i < 7; i++)
        assert_true(output.layers[i].hessian_loss == whole.layers[i].hessian_loss);
    assert_true(output.timings[STAGE_CALIBRATE].tokens == calibration.rows);
    assert_null(output.scores);
    pipeline_output_release(&output);
    pipeline_output_release(&whole);
}

/* ---- pages ---- */

static void dropped_pages_come_back(void **state)
{
    struct readahead ahead = {0};
    const struct tensor *tensor = tensor_table_at(model.tensors, 0);
    float *before, *after;
    FIXTURE_OK(mem_alloc(&before, tensor->count, sizeof *before));
    FIXTURE_OK(mem_alloc(&after, tensor->count, sizeof *after));
    FIXTURE_OK(tensor_to_float(tensor, before));
    tensor_pages_drop(model.tensors, "");
    readahead_start(&ahead, &model, 0);
    readahead_wait(&ahead);
    readahead_start(&ahead, &model, model.config.layers);
    assert_false(ahead.running);
    readahead_wait(&ahead);
    FIXTURE_OK(tensor_to_float(tensor, after));
    assert_memory_equal(before, after, tensor->bytes);
    mem_free(before);
    mem_free(after);
}

static void add_sequences(struct stream *stream, int count, int length, uint64_t seed)
{
    int32_t tokens[256];
    struct rng rng;
    rng_seed(&rng, seed);
    for (int s = 0; s < count; s++) {
        for (int i = 0; i < length; i++)
            tokens[i] = (int32_t)rng_below(&rng, 320);
        FIXTURE_OK(stream_add(stream, tokens, length, 1));
    }
}

int main(int argc, char **argv)
{
    char *path;
    fixture_start(argv, 2);
    folder = fixture_folder("memory");
    fixture_model(folder);
    FIXTURE_OK(file_join(&path, folder, "model"));
    FIXTURE_OK(model_open(&model, path));
    add_sequences(&calibration, 400, 100, 1); /* several chunks each */
    add_sequences(&evaluation, 160, 250, 2);
    memory_set_spill_folder(folder);
    gptq.method = method_find("gptq");
    gptq.harness = (struct harness_options){.min_layer = -1, .max_layer = -1};
    FIXTURE_OK(mem_calloc(&gptq.method_options, 1, gptq.method->options_size));
    FIXTURE_OK(options_defaults(gptq.method->options, gptq.method_options));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_read),
        cmocka_unit_test(control_groups_limit_memory),
        cmocka_unit_test(states_come_back),
        cmocka_unit_test(empty_states_are_legal),
        cmocka_unit_test(full_disk_is_one_line),
        cmocka_unit_test(plan_spills_what_it_must),
        cmocka_unit_test(spilled_or_not_the_results_are_the_same),
        cmocka_unit_test(interruption_leaves_no_files),
        cmocka_unit_test(allocations_may_fail),
        cmocka_unit_test(work_ends_with_the_last_quantized_block),
        cmocka_unit_test(dropped_pages_come_back),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    stream_release(&calibration);
    stream_release(&evaluation);
    model_close(&model);
    mem_free(gptq.method_options);
    mem_free(path);
    mem_free(folder);
    pool_stop();
    return failed;
}
