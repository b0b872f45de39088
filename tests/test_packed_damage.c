/* Packed models that lie, lack something or were cut off: each is refused with one clear line; and
 * arrays of any content cannot make a method's unpack or product leave its bounds. */
#include "tests/packing.h"

#include "core/pool.h"
#include "harness/packed_model.h"
#include "tests/fixture.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/resource.h>

#include <cmocka.h>

/* Opens the folder and loads every block. */
static int open_and_load(const char *name)
{
    int rc;
    char *folder = NULL;
    struct model model = {0};
    struct block block = {0};
    TRY(file_join(&folder, packing_root, name));
    TRY(model_folder_open(&model, folder));
    for (int layer = 0; rc == 0 && layer < model.config.layers; layer++) {
        rc = model.architecture->load_block(&model, layer, &block);
        block_release(&block);
    }
out:
    model_close(&model);
    mem_free(folder);
    return rc;
}

static void expect_refused(const char *what, const char *words)
{
    int rc = open_and_load("damaged");
    if (rc != ERR_FORMAT && rc != ERR_MISSING && rc != ERR_NUMERIC)
        fail_msg("%s: code %d: %s", what, rc, err_text());
    if (!strstr(err_text(), words) || strchr(err_text(), '\n') || !strstr(err_text(), "damaged/"))
        fail_msg("%s: '%s' is not in: %s", what, words, err_text());
}

static void copy(const char *name)
{
    char from[64], to[64];
    snprintf(from, sizeof from, "base/%s", name);
    snprintf(to, sizeof to, "damaged/%s", name);
    char *a = packing_path(from), *b = packing_path(to);
    FIXTURE_OK(folder_copy_file(a, b));
    mem_free(a);
    mem_free(b);
}

/* ---- config.json ---- */

/* Sets the value at a path of keys "options/bits" below the object "bitbench" (NULL: takes the key
 * out); the last key "." is the object itself. */
static void edit_config(const char *path, const char *value)
{
    char *from = packing_path("base/config.json"), *to = packing_path("damaged/config.json");
    json_t *config = json_load_file(from, 0, NULL), *at = config;
    char key[80] = "bitbench";
    for (const char *rest = path; *rest && strcmp(path, ".") != 0; rest += rest[0] == '/') {
        at = json_object_get(at, key);
        snprintf(key, sizeof key, "%.*s", (int)strcspn(rest, "/"), rest);
        rest += strcspn(rest, "/");
    }
    assert_non_null(at);
    if (value)
        assert_int_equal(json_object_set_new(at, key, json_loads(value, JSON_DECODE_ANY, NULL)), 0);
    else
        assert_int_equal(json_object_del(at, key), 0);
    assert_int_equal(json_dump_file(config, to, JSON_INDENT(1)), 0);
    json_decref(config);
    mem_free(from);
    mem_free(to);
}

#define Q_PROJ "layers/model.layers.1.self_attn.q_proj"

static void configurations_that_lie(void **state)
{
    static const struct {
        const char *path, *value, *words;
    } cases[] = {
        {".", "[1]", "bitbench: not an object"},
        {".", NULL, "there is no tensor 'model.layers.0.self_attn.q_proj.weight'"},
        {"format", NULL, "key 'format' is missing"},
        {"format", "3", "is of format 3; this program reads up to 2"},
        {"format", "\"1\"", "'format' is not a whole number"},
        {"method", NULL, "key 'method' is missing"},
        {"method", "\"rnt\"", "no method 'rnt'; did you mean 'rtn'"},
        {"method", "\"onebit\"", "option"}, /* whose options these are not */
        {"method_version", "0", "'method_version' is 0"},
        {"options", NULL, "an object of options is expected"},
        {"options/bits", "9", "from 1 to 8"},
        {"options/bits", "[4]", "a single value is expected"},
        {"options/bytes", "1", "bytes"},
        {"options/bits", "3", "packed array 'codes' is 64 x 32 of type U8, expected 64 x 24"},
        {"options/group_size", "64", "packed array 'scale' is 64 x 2"},
        {"options/sym", "true", "unpacks to other weights"},
        {"layers", NULL, "'layers' is no object"},
        {"layers", "{}", "'layers' is no object"},
        {Q_PROJ, NULL, "there is no tensor 'model.layers.1.self_attn.q_proj.weight'"},
        {Q_PROJ, "1", "key 'rows' is missing"},
        {Q_PROJ "/rows", "-4", "'rows' is -4"},
        {Q_PROJ "/columns", "32", "is 64 x 32, where the model's configuration implies 64 x 64"},
        {Q_PROJ "/arrays", NULL, "'arrays' is no list"},
        {Q_PROJ "/arrays", "[\"codes\", \"scale\"]", "zero' has no place in the model"},
        {Q_PROJ "/arrays", "[\"codes\", 7]", "arrays: name 1 is no text"},
        {Q_PROJ "/arrays", "[\"codes\", \"scale\", \"zero\", \"perm\"]",
         "there is no tensor 'model.layers.1.self_attn.q_proj.packed.perm'"},
        {Q_PROJ "/arrays", "[\"codes\", \"scale\", \"zero\", \"a name that is far too long\"]",
         "arrays: name 3 is no text of 1 to 23"},
        {Q_PROJ "/sha256", "\"0\"", "q_proj' unpacks to other weights than were packed"},
        {"layers/model.layers.7.mlp.up_proj", "{\"rows\": 1, \"columns\": 1, \"arrays\": []}",
         "'model.layers.7.mlp.up_proj' is no layer of this model"},
    };
    copy("model.safetensors");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        edit_config(cases[i].path, cases[i].value);
        expect_refused(cases[i].path, cases[i].words);
    }
    edit_config(Q_PROJ "/sha256", NULL); /* may be left out: then it is not checked */
    FIXTURE_OK(open_and_load("damaged"));
    edit_config("categories", NULL);
    FIXTURE_OK(open_and_load("damaged"));
}

/* ---- model.safetensors ---- */

enum edit { DROP, RETYPE, RESHAPE, FLATTEN, CHANGE_BYTE, NOT_A_NUMBER, ADD };

static void edit_tensor(const char *name, enum edit edit, enum dtype dtype)
{
    char *from = packing_path("base/model.safetensors"), *to = packing_path("damaged/model.safeten"
                                                                            "sors");
    struct tensor_table *tensors;
    struct tensor_source sources[200];
    size_t count = 0, found = 0;
    static uint8_t data[1 << 16];
    FIXTURE_OK(safetensors_open_file(&tensors, from));
    for (size_t i = 0; i < tensor_table_count(tensors); i++) {
        const struct tensor *t = tensor_table_at(tensors, i);
        struct tensor_source *s = &sources[count++];
        *s = (struct tensor_source){
            .name = t->name, .dtype = t->dtype, .rank = t->rank, .data = t->data};
        memcpy(s->shape, t->shape, sizeof s->shape);
        if (strcmp(t->name, name) != 0)
            continue;
        found++;
        assert_true(t->bytes < sizeof data);
        memcpy(data, t->data, t->bytes);
        s->data = data;
        switch (edit) {
        case DROP: count--; break;
        case RETYPE: s->dtype = dtype; break;
        case RESHAPE:
            s->shape[0] = t->shape[1];
            s->shape[1] = t->shape[0];
            break;
        case FLATTEN:
            s->rank = 1;
            s->shape[0] *= s->shape[1];
            break;
        case CHANGE_BYTE: data[t->bytes / 2] ^= 1; break;
        case NOT_A_NUMBER: memset(data + 4, 0xff, 4); break;
        case ADD:
            sources[count] = *s;
            sources[count++].name = "model.layers.0.self_attn.q_proj.packed.more";
        }
    }
    assert_int_equal(found, 1);
    FIXTURE_OK(safetensors_write(to, sources, count, NULL));
    tensor_table_free(tensors);
    mem_free(from);
    mem_free(to);
}

static void tensors_that_lie(void **state)
{
    static const struct {
        const char *name;
        enum edit edit;
        enum dtype dtype;
        const char *words;
    } cases[] = {
        {"codes", DROP, 0, "there is no tensor 'model.layers.2.mlp.up_proj.packed.codes'"},
        {"scale", DROP, 0, "there is no tensor 'model.layers.2.mlp.up_proj.packed.scale'"},
        {"scale", RETYPE, DTYPE_I32,
         "packed array 'scale' is 128 x 2 of type I32, expected 128 x "
         "2 of type F32"},
        {"codes", RETYPE, DTYPE_I8, "is I8; packed arrays are F32"},
        {"codes", RESHAPE, 0, "packed array 'codes' is 32 x 128 of type U8, expected 128 x 32"},
        {"scale", RESHAPE, 0, "packed array 'scale' is 2 x 128"},
        {"codes", FLATTEN, 0, "has 1 dimensions; a packed array has two"},
        {"codes", CHANGE_BYTE, 0, "up_proj' unpacks to other weights than were packed"},
        {"scale", CHANGE_BYTE, 0, "up_proj' unpacks to other weights than were packed"},
        {"scale", NOT_A_NUMBER, 0, "column 32 is not finite"},
        {"codes", ADD, 0, "packed.more' has no place in the model"},
    };
    copy("config.json");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[80];
        snprintf(name, sizeof name, "model.layers.2.mlp.up_proj.packed.%s", cases[i].name);
        edit_tensor(name, cases[i].edit, cases[i].dtype);
        expect_refused(name, cases[i].words);
    }
}

static void files_cut_off(void **state)
{
    char *path = packing_path("base/model.safetensors"), *text;
    size_t size;
    copy("config.json");
    FIXTURE_OK(file_read(path, &text, &size));
    mem_free(path);
    path = packing_path("damaged/model.safetensors");
    for (size_t kept = 0; kept < size; kept += 1 + size / 37) {
        struct file_writer writer = {0};
        FIXTURE_OK(file_write_begin(&writer, path));
        FIXTURE_OK(file_write(&writer, text, kept));
        FIXTURE_OK(file_write_commit(&writer));
        expect_refused("cut off", "model.safetensors");
    }
    mem_free(text);
    mem_free(path);
}

/* ---- arrays of any content ---- */

static void assert_bounded(const struct packed_model *model, const struct packed_layer *layer,
                           const struct packed *packed, bool may_succeed)
{
    const struct quant_method *method = model->op.method;
    float *weight, *x, *y;
    size_t rows = (size_t)layer->rows, columns = (size_t)layer->columns;
    FIXTURE_OK(mem_calloc(&weight, rows * columns, sizeof *weight));
    FIXTURE_OK(mem_calloc(&x, columns, sizeof *x));
    FIXTURE_OK(mem_calloc(&y, rows, sizeof *y));
    int rc = method->unpack(model->op.options, packed, layer->rows, layer->columns, weight);
    if (rc != ERR_FORMAT && !(rc == 0 && may_succeed))
        fail_msg("%s: unpack gives %d: %s", method->name, rc, rc ? err_text() : "");
    if (method->caps & QM_MATVEC) {
        rc = method->matvec(model->op.options, packed, layer->rows, layer->columns, x, y);
        if (rc != ERR_FORMAT && !(rc == 0 && may_succeed))
            fail_msg("%s: matvec gives %d: %s", method->name, rc, rc ? err_text() : "");
    }
    mem_free(weight);
    mem_free(x);
    mem_free(y);
}

/* Arrays of random bytes, too short, too long, of other types, or gone, one after the other. */
static void damage_arrays(const struct model *model, struct rng *rng)
{
    const struct packed_model *packed_model = packed_model_of(model);
    const struct packed_layer *layer = &packed_model->layers[0];
    struct packed packed = {0};
    FIXTURE_OK(packed_model_arrays(packed_model, model->tensors, layer, &packed));
    assert_bounded(packed_model, layer, &packed, true);
    for (int a = 0; a < packed.count; a++) {
        struct packed_array *array = &packed.arrays[a], saved = *array;
        size_t bytes = array->shape[0] * array->shape[1] * array_type_size(array->type);
        array->name[0] = '?'; /* gone: an array that tells exceptions may be */
        assert_bounded(packed_model, layer, &packed, strstr(saved.name, "exact") != NULL);
        *array = saved;
        for (int turn = 0; turn < 4; turn++) {
            array->shape[turn / 2] += turn % 2 ? (size_t)1 : (size_t)-1;
            if (array->shape[0] * array->shape[1] * array_type_size(array->type) <= bytes)
                assert_bounded(packed_model, layer, &packed, strstr(saved.name, "exact") != NULL);
            *array = saved;
        }
        array->type = saved.type == ARRAY_U8 ? ARRAY_U16 : ARRAY_U8;
        if (saved.type != ARRAY_U8 || bytes % 2 == 0) {
            array->shape[1] = saved.type == ARRAY_U8 ? saved.shape[1] / 2 : saved.shape[1];
            assert_bounded(packed_model, layer, &packed, saved.type != ARRAY_U8);
        }
        *array = saved;
        for (int turn = 0; turn < 8; turn++) {
            void *bytes_of;
            FIXTURE_OK(mem_calloc(&bytes_of, bytes, 1));
            for (size_t i = 0; i < bytes; i++)
                ((uint8_t *)bytes_of)[i] = turn == 0   ? 0xff
                                           : turn == 1 ? 0x80
                                                       : (uint8_t)rng_below(rng, 256);
            array->data = bytes_of;
            assert_bounded(packed_model, layer, &packed, true);
            mem_free(bytes_of);
            *array = saved;
        }
    }
    packed_release(&packed);
}

static void arrays_of_any_content(void **state)
{
    static const char *const defaults[] = {NULL};
    struct rng rng;
    rng_seed(&rng, 5);
    for (int i = 0; methods[i]; i++) {
        struct model model = {0};
        if (!(methods[i]->caps & QM_PACKS))
            continue;
        packing_make(methods[i]->name, methods[i]->name, defaults);
        char *folder = packing_path(methods[i]->name);
        FIXTURE_OK(model_folder_open(&model, folder));
        damage_arrays(&model, &rng);
        model_close(&model);
        mem_free(folder);
    }
}

/* ---- short of memory, short of disk ---- */

static void short_memory_is_an_error(void **state)
{
    struct run run;
    struct point point;
    struct packing_result result;
    int rc, failed = 0;
    for (long k = 1, pending = 0; !pending; k += 1 + k / 16) {
        mem_fail_at(k);
        rc = open_and_load("base");
        pending = mem_fail_pending();
        mem_fail_at(0);
        assert_int_equal(rc, pending ? 0 : ERR_MEMORY);
        failed += !pending;
    }
    packing_open(&run, "model");
    packing_point(&point, method_find("rtn"));
    point.harness.layer_errors = false;
    for (long k = 1, pending = 0; !pending; k += 1 + k / 8) {
        mem_fail_at(k);
        rc = packing_run(&run, &point, "unwritten", &result);
        pending = mem_fail_pending();
        mem_fail_at(0);
        assert_int_equal(rc, pending ? 0 : ERR_MEMORY);
        failed += !pending;
    }
    assert_true(failed > 60);
    packing_release(&result);
    mem_free(point.method_options);
    run_close(&run);
}

static void a_full_disk_leaves_nothing(void **state)
{
    struct run run;
    struct point point;
    struct packing_result result;
    struct rlimit before, limit;
    packing_open(&run, "model");
    packing_point(&point, method_find("rtn"));
    getrlimit(RLIMIT_FSIZE, &before);
    limit = before;
    limit.rlim_cur = 40000;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    int rc = packing_run(&run, &point, "full", &result);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(rc, ERR_IO);
    assert_non_null(strstr(err_text(), "full: cannot write: File too large; nothing was changed"));
    DIR *folder = opendir(packing_root);
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;)
        assert_null(strstr(entry->d_name, "full"));
    closedir(folder);
    mem_free(point.method_options);
    run_close(&run);
}

int main(int argc, char **argv)
{
    static const char *const options[] = {"bits=4", "group_size=32", "sym=false", NULL};
    fixture_start(argv, 1);
    packing_begin("packed_damage");
    packing_make("base", "rtn", options);
    char *damaged = packing_path("damaged");
    FIXTURE_OK(file_make_directories(damaged));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(configurations_that_lie),
        cmocka_unit_test(tensors_that_lie),
        cmocka_unit_test(files_cut_off),
        cmocka_unit_test(arrays_of_any_content),
        cmocka_unit_test(short_memory_is_an_error),
        cmocka_unit_test(a_full_disk_leaves_nothing),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mem_free(damaged);
    mem_free(packing_root);
    pool_stop();
    return failed;
}
