/* pytorch_model.bin: tensors come back in their shape's order, from zip and zip64, whole and in
 * shards; what is no tensor, lies outside of the file or would have to be run is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/torch.h"
#include "tests/expect.h"
#include "tests/plain_model.h"
#include "tests/torch_build.h"

static char *folder, *path;

static void write_bytes(const char *to, const char *bytes, size_t size)
{
    FILE *stream = fopen(to, "wb"); /* without waiting for the disk */
    assert_non_null(stream);
    assert_int_equal(fwrite(bytes, 1, size, stream), size);
    assert_int_equal(fclose(stream), 0);
}

/* A file with the pickle and a storage "0" of the six floats 0 to 5. */
static void build_file(struct strbuf *pickle, bool big, struct strbuf *out)
{
    static const float values[6] = {0, 1, 2, 3, 4, 5};
    struct zip_build zip = {.big = big};
    zip_add(&zip, "archive/data.pkl", pickle->data, pickle->length);
    zip_add(&zip, "archive/byteorder", "little", 6);
    zip_add(&zip, "archive/data/0", values, sizeof values);
    zip_finish(&zip, out);
    strbuf_release(pickle);
}

static void write_file(struct strbuf *pickle, bool big)
{
    struct strbuf bytes = {0};
    build_file(pickle, big, &bytes);
    write_bytes(path, bytes.data, bytes.length);
    strbuf_release(&bytes);
}

/* A dictionary with one tensor "t" of storage "0". */
static void one_tensor(struct strbuf *p, const char *type, uint64_t count, uint64_t offset,
                       uint64_t rows, uint64_t columns, uint64_t row_step, uint64_t column_step)
{
    const uint64_t shape[2] = {rows, columns}, stride[2] = {row_step, column_step};
    pickle_begin(p);
    pickle_text(p, "t");
    pickle_tensor(p, type, "0", count, offset, 2, shape, stride);
    pickle_end(p);
}

static void expect_values(const char *name, const float *right, size_t count, bool plain)
{
    struct tensor_table *table = NULL;
    const struct tensor *tensor;
    float values[6];
    if (tensor_table_open_part(&table, path, torch_part_open) != 0)
        fail_msg("%s", err_text());
    FIXTURE_OK(tensor_table_get(table, name, &tensor));
    assert_int_equal(tensor->count, count);
    assert_int_equal(tensor_is_plain(tensor), plain);
    assert_int_equal(tensor_to_float(tensor, values), 0);
    assert_memory_equal(values, right, count * sizeof *right);
    tensor_table_free(table);
}

static void tensors_come_back(void **state)
{
    static const float all[6] = {0, 1, 2, 3, 4, 5}, turned[6] = {0, 3, 1, 4, 2, 5},
                       corner[4] = {1, 2, 4, 5};
    struct strbuf p = {0};
    for (int big = 0; big < 2; big++) {
        one_tensor(&p, "FloatStorage", 6, 0, 2, 3, 3, 1);
        write_file(&p, big);
        expect_values("t", all, 6, true);
        one_tensor(&p, "FloatStorage", 6, 0, 3, 2, 1, 3);
        write_file(&p, big);
        expect_values("t", turned, 6, false);
        one_tensor(&p, "FloatStorage", 6, 1, 2, 2, 3, 1);
        write_file(&p, big);
        expect_values("t", corner, 4, false);
        one_tensor(&p, "FloatStorage", 6, 2, 1, 4, 77, 1); /* a single row's step is any */
        write_file(&p, big);
        expect_values("t", all + 2, 4, true);
    }
    one_tensor(&p, "FloatStorage", 6, 6, 0, 3, 3, 1);
    write_file(&p, false);
    expect_values("t", all, 0, true);
}

/* Parameters, remembered values, attributes of the dictionary, a shared storage. */
static void what_torch_writes_around_tensors(void **state)
{
    static const float all[6] = {0, 1, 2, 3, 4, 5};
    const uint64_t six = 6, one = 1;
    struct strbuf p = {0};
    pickle_raw(&p, "\x80\x02"
                   "ccollections\nOrderedDict\n)R");
    FIXTURE_OK(strbuf_add(&p, "q\0", 2));
    pickle_raw(&p, "(");
    pickle_text(&p, "a");
    pickle_raw(&p, "ctorch._utils\n_rebuild_parameter\n(");
    pickle_tensor(&p, "FloatStorage", "0", 6, 0, 1, &six, &one);
    pickle_raw(&p, "\x88"
                   "ccollections\nOrderedDict\n)RtR");
    pickle_raw(&p, "r");
    put_number(&p, 1, 4);
    pickle_text(&p, "b");
    pickle_raw(&p, "h\x01");
    pickle_raw(&p, "u}");
    pickle_text(&p, "_metadata"); /* {"_metadata": OrderedDict({"": {"version": (1, 1.0, ...)}})} */
    pickle_raw(&p, "ccollections\nOrderedDict\n)R");
    pickle_text(&p, "");
    pickle_raw(&p, "}");
    pickle_text(&p, "version");
    pickle_raw(&p, "(K\x01"
                   "G\x3f\xf0");
    put_number(&p, 0, 6);
    pickle_raw(&p, "N]K\x01"
                   "a\x8a");
    put_number(&p, 0, 1);
    pickle_raw(&p, "M\x01\x01U\x01xtsssb.");
    write_file(&p, false);
    expect_values("a", all, 6, true);
    expect_values("b", all, 6, true);
}

static void refused(struct strbuf *pickle, const char *words)
{
    struct tensor_part part = {0};
    write_file(pickle, false);
    expect_error(torch_part_open(&part, path), ERR_FORMAT, words);
    assert_non_null(strstr(err_text(), path));
    assert_null(part.items);
}

static void raw_refused(const char *opcodes, const char *words)
{
    struct strbuf p = {0};
    pickle_raw(&p, opcodes);
    refused(&p, words);
}

static void pickles_that_run_something_are_refused(void **state)
{
    raw_refused("\x80\x02"
                "cos\nsystem\n(X\x02",
                "asks for 'os.system' at byte 2: only tensors");
    raw_refused("\x80\x02"
                "cbuiltins\neval\n",
                "'builtins.eval'");
    raw_refused("\x80\x02"
                "ctorch\nload\n",
                "'torch.load'");
    raw_refused("\x80\x04\x95", "opcode 0x95 at byte 2");
    raw_refused("\x80\x02ios\nsystem\n", "opcode 0x69 ('i') at byte 2");
    raw_refused("\x80\x02(o.", "opcode 0x6f ('o')");
    raw_refused("\x80\x02NNR.", "REDUCE at byte 4 of the pickle calls no function");
    raw_refused("\x80\x02"
                "ctorch\nFloatStorage\n)R.",
                "calls no function");
    raw_refused("\x80\x02"
                "ccollections\nOrderedDict\nN\x85R.",
                "OrderedDict at byte 29");
    raw_refused("\x80\x02"
                "ctorch._utils\n_rebuild_tensor_v2\n)R.",
                "_rebuild_tensor_v2 at byte");
    raw_refused("\x80\x02"
                "ctorch._utils\n_rebuild_parameter\n)R.",
                "_rebuild_parameter at byte");
    raw_refused("\x80\x02NQ.", "is no storage of a tensor");
    raw_refused("\x80\x02N}b.", "BUILD at byte 4");
}

static void broken_pickles_are_refused(void **state)
{
    raw_refused("", "has no end");
    raw_refused("\x80", "ends within the opcode at byte 0");
    raw_refused("\x80\x02", "has no end");
    raw_refused("\x80\x02.", "takes more from its stack");
    raw_refused("\x80\x02(.", "takes more from its stack");
    raw_refused("\x80\x02t", "takes more from its stack");
    raw_refused("\x80\x02(N\x86", "takes more from its stack");
    raw_refused("\x80\x02}}.", "leaves more than one value");
    raw_refused("\x80\x02N.", "holds no dictionary");
    raw_refused("\x80\x02}NNs.", "a key of the pickle's dictionary is no text");
    raw_refused("\x80\x02}(Nu.", "that is no dictionary");
    raw_refused("\x80\x02N(NNu.", "that is no dictionary");
    raw_refused("\x80\x02}Na.", "that is no list");
    raw_refused("\x80\x02}q\x05.", "as number 5 at byte 3");
    raw_refused("\x80\x02h\x01.", "asks for number 1 at byte 2");
    raw_refused("\x80\x02X\xff\xff\xff\xff", "ends within the opcode at byte 2");
    raw_refused("\x80\x02"
                "cno line",
                "ends within the opcode at byte 2");
    raw_refused("\x80\x02\x8a\x09", "a number of 9 bytes");
    raw_refused("\x80\x02}U\x05"
                "epochK\x01s.",
                "'epoch' is no tensor");
    raw_refused("\x80\x02}U\x02\x80yNs.", "is not UTF-8");
}

static void tensors_outside_of_their_storage_are_refused(void **state)
{
    struct strbuf p = {0};
    const uint64_t huge = UINT64_C(1) << 62;
    one_tensor(&p, "FloatStorage", 6, 1, 2, 3, 3, 1);
    refused(&p, "'t' reaches to element 7 of storage 'archive/data/0', which has 6");
    one_tensor(&p, "FloatStorage", 6, 0, 2, 3, 4, 1);
    refused(&p, "reaches to element 7");
    one_tensor(&p, "FloatStorage", 6, 0, 5, 2, 0, 0);
    refused(&p, "of storage");
    one_tensor(&p, "FloatStorage", 6, huge, 2, 3, 3, 1);
    refused(&p, "of storage");
    one_tensor(&p, "FloatStorage", 6, 0, huge, huge, 0, 0);
    refused(&p, "the size of its shape overflows");
    one_tensor(&p, "FloatStorage", 6, 0, 3, 2, huge * 2 - 1, 1);
    refused(&p, "the size of its shape overflows");
    one_tensor(&p, "FloatStorage", 6, UINT64_MAX, 3, 2, 2, 1);
    refused(&p, "arguments it cannot have");
    one_tensor(&p, "FloatStorage", 7, 0, 2, 3, 3, 1);
    refused(&p, "has 24 bytes, where 7 elements of F32");
    one_tensor(&p, "HalfStorage", 6, 0, 2, 3, 3, 1);
    refused(&p, "has 24 bytes, where 6 elements of F16");
    pickle_begin(&p);
    pickle_text(&p, "t");
    pickle_tensor(&p, "FloatStorage", "../x", 6, 0, 0, &huge, &huge);
    pickle_end(&p);
    refused(&p, "its storage '../x' is not in the file");
    pickle_begin(&p);
    for (int i = 0; i < 2; i++) {
        pickle_text(&p, "t");
        pickle_tensor(&p, "FloatStorage", "0", 6, 0, 0, &huge, &huge);
    }
    pickle_end(&p);
    write_file(&p, false);
    struct tensor_table *table = NULL;
    expect_error(tensor_table_open_part(&table, path, torch_part_open), ERR_FORMAT,
                 "'t' is there twice");
}

/* ---- zip ---- */

static void zip_refused(struct zip_build *zip, const char *words)
{
    struct strbuf bytes = {0};
    struct tensor_part part = {0};
    zip_finish(zip, &bytes);
    write_bytes(path, bytes.data, bytes.length);
    expect_error(torch_part_open(&part, path), ERR_FORMAT, words);
    strbuf_release(&bytes);
}

static void other_zip_files_are_refused(void **state)
{
    struct zip_build zip = {0};
    struct tensor_part part = {0};
    static const uint8_t old[] = {0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20};
    zip_add_as(&zip, "a/data.pkl", "abc", 3, 8, 3);
    zip_refused(&zip, "'a/data.pkl' is compressed, which torch.save never does");
    zip_add_as(&zip, "a/data.pkl", "abc", 3, 0, 100);
    zip_refused(&zip, "'a/data.pkl' takes 100 bytes");
    zip_add(&zip, "a/data.pkl", "}.", 2);
    zip_add(&zip, "a/data.pkl", "}.", 2);
    zip_refused(&zip, "'a/data.pkl' is there twice");
    zip_add(&zip, "a/data.pkl", "}.", 2);
    zip_add(&zip, "b/data.pkl", "}.", 2);
    zip_refused(&zip, "which one is the model's?");
    zip_add(&zip, "document.xml", "<a/>", 4);
    zip_refused(&zip, "none of torch.save: no entry ends with /data.pkl");
    zip_add(&zip, "a/data.pkl", "}.", 2);
    zip_add(&zip, "a/byteorder", "big", 3);
    zip_refused(&zip, "big-endian");
    write_bytes(path, (const char *)old, sizeof old);
    expect_error(torch_part_open(&part, path), ERR_FORMAT, "before PyTorch 1.6");
    write_bytes(path, "PK\003\004", 4);
    expect_error(torch_part_open(&part, path), ERR_FORMAT, "table of contents");
    write_bytes(path, "", 0);
    expect_error(torch_part_open(&part, path), ERR_FORMAT, "no file of torch.save");
}

/* Every prefix is refused with a line; every flipped bit is refused or does no harm. */
static void damaged_files_do_no_harm(void **state)
{
    struct strbuf p = {0}, bytes = {0};
    one_tensor(&p, "FloatStorage", 6, 0, 3, 2, 1, 3);
    build_file(&p, true, &bytes);
    for (size_t size = 0; size < bytes.length; size++) {
        struct tensor_part part = {0};
        write_bytes(path, bytes.data, size);
        expect_error(torch_part_open(&part, path), ERR_FORMAT, path);
    }
    for (size_t at = 0; at < bytes.length; at++)
        for (int bit = 0; bit < 8; bit += 1 + (int)(at % 3)) {
            struct tensor_part part = {0};
            float values[64];
            bytes.data[at] = (char)(bytes.data[at] ^ 1 << bit);
            write_bytes(path, bytes.data, bytes.length);
            if (torch_part_open(&part, path) == 0 && part.count == 1 && part.items[0].count <= 64)
                (void)tensor_to_float(&part.items[0], values);
            tensor_part_release(&part);
            bytes.data[at] = (char)(bytes.data[at] ^ 1 << bit);
        }
    strbuf_release(&bytes);
}

static void failing_allocations_are_reported(void **state)
{
    struct strbuf p = {0};
    struct tensor_part part = {0};
    one_tensor(&p, "FloatStorage", 6, 0, 3, 2, 1, 3);
    write_file(&p, false);
    for (long k = 1;; k++) {
        mem_fail_at(k);
        int rc = torch_part_open(&part, path);
        int pending = mem_fail_pending();
        mem_fail_at(0);
        if (rc == 0) {
            assert_true(pending && k > 4);
            break;
        }
        expect_error(rc, ERR_MEMORY, "");
    }
    tensor_part_release(&part);
}

/* ---- a model ---- */

/* Tensors first..end-1 of the plain model, as one file of torch.save, in float16. */
static void write_model_part(const struct plain *plain, const char *name, int first, int end)
{
    struct strbuf p = {0}, bytes = {0};
    struct zip_build zip = {0};
    char *to;
    pickle_begin(&p);
    for (int i = first; i < end; i++) {
        const struct model_tensor *t = &plain->tensors[i];
        const uint64_t shape[2] = {(uint64_t)t->rows, (uint64_t)t->columns},
                       stride[2] = {t->columns ? (uint64_t)t->columns : 1, 1};
        char storage[40];
        uint16_t *halves;
        FIXTURE_OK(mem_alloc(&halves, plain_size(t), sizeof *halves));
        FIXTURE_OK(dtype_from_float(DTYPE_F16, plain->values[i], plain_size(t), halves));
        snprintf(storage, sizeof storage, "model/data/%d", i);
        zip_add(&zip, storage, halves, plain_size(t) * sizeof *halves);
        pickle_text(&p, t->name);
        pickle_tensor(&p, "HalfStorage", storage + strlen("model/data/"), plain_size(t), 0,
                      t->columns ? 2 : 1, shape, stride);
        mem_free(halves);
    }
    pickle_end(&p);
    zip_add(&zip, "model/data.pkl", p.data, p.length);
    zip_finish(&zip, &bytes);
    FIXTURE_OK(file_join(&to, folder, name));
    write_bytes(to, bytes.data, bytes.length);
    mem_free(to);
    strbuf_release(&p);
    strbuf_release(&bytes);
}

static void expect_model(const struct plain *plain)
{
    struct model model = {0};
    struct plain back;
    if (model_open(&model, folder) != 0)
        fail_msg("%s", err_text());
    assert_int_equal(plain_read(&back, &model), 0);
    for (int i = 0; i < plain->count; i++)
        assert_memory_equal(back.values[i], plain->values[i],
                            plain_size(&plain->tensors[i]) * sizeof(float));
    plain_release(&back);
    model_close(&model);
}

static void a_model_in_one_file_and_in_shards(void **state)
{
    const struct model_config config = {.architecture = "llama",
                                        .layers = 2,
                                        .width = 16,
                                        .hidden = 24,
                                        .heads = 2,
                                        .kv_heads = 1,
                                        .head_size = 8,
                                        .vocabulary = 20,
                                        .max_positions = 32,
                                        .norm_epsilon = 1e-5,
                                        .rope_theta = 10000,
                                        .bos_id = 1,
                                        .eos_id = 2};
    struct plain plain;
    struct model model = {0};
    struct strbuf index = {0};
    char *whole;
    assert_int_equal(plain_random(&plain, &config, 9), 0);
    plain_round(&plain, DTYPE_F16);
    assert_int_equal(plain_write(&plain, folder, DTYPE_F16), 0); /* for config.json */
    FIXTURE_OK(file_join(&whole, folder, "model.safetensors"));
    assert_int_equal(remove(whole), 0);
    mem_free(whole);
    write_model_part(&plain, "pytorch_model.bin", 0, plain.count);
    expect_model(&plain);
    FIXTURE_OK(file_join(&whole, folder, "pytorch_model.bin"));
    expect_error(model_open(&model, whole), ERR_USAGE, "a model is the folder that this file");
    assert_int_equal(remove(whole), 0);
    write_model_part(&plain, "pytorch_model-1.bin", 0, 7);
    write_model_part(&plain, "pytorch_model-2.bin", 7, plain.count);
    FIXTURE_OK(strbuf_puts(&index, "{\"weight_map\": {"));
    for (int i = 0; i < plain.count; i++)
        FIXTURE_OK(strbuf_printf(&index, "%s\"%s\": \"pytorch_model-%d.bin\"", i ? ", " : "",
                                 plain.tensors[i].name, i < 7 ? 1 : 2));
    FIXTURE_OK(strbuf_puts(&index, "}}"));
    fixture_write(folder, "pytorch_model.bin.index.json", index.data);
    expect_model(&plain);
    strbuf_release(&index);
    plain_release(&plain);
    mem_free(whole);
}

int main(void)
{
    folder = fixture_folder("torch");
    FIXTURE_OK(file_join(&path, folder, "file.bin"));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_come_back),
        cmocka_unit_test(what_torch_writes_around_tensors),
        cmocka_unit_test(pickles_that_run_something_are_refused),
        cmocka_unit_test(broken_pickles_are_refused),
        cmocka_unit_test(tensors_outside_of_their_storage_are_refused),
        cmocka_unit_test(other_zip_files_are_refused),
        cmocka_unit_test(damaged_files_do_no_harm),
        cmocka_unit_test(failing_allocations_are_reported),
        cmocka_unit_test(a_model_in_one_file_and_in_shards),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mem_free(path);
    mem_free(folder);
    return failed;
}
