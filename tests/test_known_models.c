/* The papers' models: their shapes give the published numbers of parameters, names find them, and
 * folders are searched in the documented order. */
#include "core/err.h"
#include "core/mem.h"
#include "harness/known_models.h"
#include "harness/model_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* Counted by the checkpoints' own tensors. */
static void shapes_give_the_parameters(void **state)
{
    static const struct {
        const char *name;
        double parameters;
    } rows[] = {
        {"OPT-125M", 125239296},     {"OPT-350M", 331196416},    {"OPT-1.3B", 1315758080},
        {"OPT-2.7B", 2651596800},    {"OPT-6.7B", 6658473984},   {"OPT-13B", 12853473280},
        {"OPT-30B", 29974540288},    {"LLaMA-7B", 6738415616},   {"LLaMA-13B", 13015864320},
        {"LLaMA-30B", 32528943616},  {"LLaMA-65B", 65285660672}, {"LLaMA2-7B", 6738415616},
        {"LLaMA2-70B", 68976648192},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct known_model *m = known_model_find(rows[i].name);
        assert_non_null(m);
        if (known_model_parameters(m) != rows[i].parameters)
            fail_msg("%s: %.0f, not %.0f", m->name, known_model_parameters(m), rows[i].parameters);
    }
    for (int i = 0; known_model_at(i); i++) {
        const struct known_model *m = known_model_at(i);
        assert_int_equal(m->width % m->heads, 0);
        assert_int_equal(m->heads % m->kv_heads, 0);
        assert_non_null(strchr(m->repository, '/'));
        assert_ptr_equal(known_model_find(m->repository), m); /* no two share a name */
        assert_ptr_equal(known_model_find(m->name), m);
        assert_true(known_model_linear_weights(m) < known_model_parameters(m));
    }
}

static void names_are_found(void **state)
{
    const struct known_model *m = known_model_find("OPT-1.3B");
    static const char *const same[] = {"opt-1.3b", "facebook/opt-1.3b", "/data/models/opt-1.3b/",
                                       "Opt-1.3B"};
    static const char *const none[] = {"",     "/",        "opt",       "opt-1.3b-quantized",
                                       "gpt2", "embedded", "opt-1.3b/x"};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        assert_ptr_equal(known_model_find(same[i]), m);
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_null(known_model_find(none[i]));
}

static char folder[] = "/tmp/bitbench-models-XXXXXX";

static void make(const char *name)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(mkdir(path, 0755), 0);
}

static void finds(const char *name, const char *expected)
{
    char *found = NULL, path[200];
    assert_int_equal(model_folder(&found, name), 0);
    snprintf(path, sizeof path, "%s/%s", folder, expected);
    assert_string_equal(found, path);
    mem_free(found);
}

static void folders_are_searched(void **state)
{
    char text[200], *found = NULL;
    make("a");
    make("b");
    make("b/opt-1.3b");
    make("b/meta-llama");
    make("b/meta-llama/Llama-2-7b-hf");
    make("b/LLaMA-13B");
    make("b/other");
    make("b/models--huggyllama--llama-7b");
    make("b/models--huggyllama--llama-7b/refs");
    make("b/models--huggyllama--llama-7b/snapshots");
    make("b/models--huggyllama--llama-7b/snapshots/abc");
    snprintf(text, sizeof text, "%s/b/models--huggyllama--llama-7b/refs/main", folder);
    FILE *file = fopen(text, "w");
    assert_non_null(file);
    fputs("abc\n", file);
    fclose(file);
    snprintf(text, sizeof text, "%s/a:%s/b", folder, folder);
    setenv("BITBENCH_MODELS", text, 1);
    finds("facebook/opt-1.3b", "b/opt-1.3b");
    finds("OPT-1.3B", "b/opt-1.3b");
    finds("LLaMA2-7B", "b/meta-llama/Llama-2-7b-hf");
    finds("huggyllama/llama-13b", "b/LLaMA-13B");
    finds("huggyllama/llama-7b", "b/models--huggyllama--llama-7b/snapshots/abc");
    finds("LLaMA-7B", "b/models--huggyllama--llama-7b/snapshots/abc");
    finds("somebody/other", "b/other");
    make("a/opt-1.3b");
    finds("facebook/opt-1.3b", "a/opt-1.3b"); /* the first folder wins */
    assert_int_equal(model_folder(&found, "facebook/opt-2.7b"), ERR_MISSING);
    assert_non_null(strstr(err_text(), "hf download facebook/opt-2.7b"));
    assert_int_equal(model_folder(&found, "nobody/nothing"), ERR_MISSING);
    assert_non_null(strstr(err_text(), "nobody/nothing: no such model"));
    assert_int_equal(model_folder(&found, "/no/opt-1.3b"), ERR_MISSING); /* a path stays one */
    assert_null(found);
    unsetenv("BITBENCH_MODELS");
    assert_string_equal(model_search_folders(), "models");
}

static int make_folder(void **state)
{
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    char command[100];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_give_the_parameters),
        cmocka_unit_test(names_are_found),
        cmocka_unit_test(folders_are_searched),
    };
    return cmocka_run_group_tests_name("known models", tests, make_folder, remove_folder);
}
