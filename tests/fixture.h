/* What several tests need: a folder of their own, a made text, and a small untrained model with its
 * tokenizer. */
#ifndef TESTS_FIXTURE_H
#define TESTS_FIXTURE_H

#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/pool.h"
#include "core/progress.h"
#include "core/rng.h"
#include "linalg/cpu.h"
#include "linalg/matmul.h"
#include "model/bpe_train.h"
#include "model/train.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIXTURE_OK(expr)                                                                           \
    do {                                                                                           \
        if ((expr) != 0) {                                                                         \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #expr, err_text());             \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* What main does first where matrices are multiplied; threads as for pool_start. */
static inline void fixture_start(char **argv, int threads)
{
    cpu_prepare(argv);
    matmul_init();
    FIXTURE_OK(pool_start(threads));
    progress_set_mode(PROGRESS_QUIET);
}

static inline int fixture_remove(const char *path, const struct stat *info, int type,
                                 struct FTW *walk)
{
    return remove(path);
}

/* An empty folder beside the test program: "build/tests/run.d". The caller frees it. */
static inline char *fixture_folder(const char *name)
{
    char program[512], *folder;
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    if (length < 0)
        abort();
    program[length] = '\0';
    *strrchr(program, '/') = '\0';
    FIXTURE_OK(mem_printf(&folder, "%s/%s.d", program, name));
    nftw(folder, fixture_remove, 16, FTW_DEPTH | FTW_PHYS);
    FIXTURE_OK(file_make_directories(folder));
    return folder;
}

static inline void fixture_write(const char *folder, const char *name, const char *text)
{
    char *path;
    struct file_writer writer = {0};
    FIXTURE_OK(file_join(&path, folder, name));
    FIXTURE_OK(file_write_begin(&writer, path));
    FIXTURE_OK(file_write(&writer, text, strlen(text)));
    FIXTURE_OK(file_write_commit(&writer));
    mem_free(path);
}

/* A made text of about `words` words: subject, verb, object, with some order for a model to find.
 */
static inline char *fixture_text(int words, uint64_t seed)
{
    static const char *const subjects[] = {"The king",      "A shepherd", "The river",
                                           "Every servant", "My brother", "The old city"};
    static const char *const verbs[] = {"saw",      "carried", "remembered",
                                        "followed", "built",   "feared"};
    static const char *const objects[] = {"the mountain", "a golden cup", "many sheep",
                                          "the word",     "two stones",   "bread and wine"};
    struct rng rng;
    struct strbuf text = {0};
    rng_seed(&rng, seed);
    for (int i = 0; i < words; i += 5) {
        size_t s = rng_below(&rng, 6), v = (s + rng_below(&rng, 2)) % 6,
               o = (v + rng_below(&rng, 3)) % 6;
        FIXTURE_OK(strbuf_printf(&text, "%s %s %s%s", subjects[s], verbs[v], objects[o],
                                 i % 40 == 35 ? ".\n\n" : ". "));
    }
    return text.data;
}

/* FOLDER/model (untrained, 3 blocks, width 64, grouped-query attention, tied head), FOLDER/text.txt
 * and FOLDER/questions.jsonl. */
static inline void fixture_model(const char *folder)
{
    char *text = fixture_text(20000, 1), *model;
    struct bpe_text source = {.text = text, .size = strlen(text), .weight = 1};
    struct bpe_training options = {.vocabulary = 320};
    struct model_config config = {.architecture = "llama",
                                  .layers = 3,
                                  .width = 64,
                                  .hidden = 128,
                                  .heads = 4,
                                  .kv_heads = 2,
                                  .head_size = 16,
                                  .vocabulary = 320,
                                  .max_positions = 256,
                                  .norm_epsilon = 1e-5,
                                  .rope_theta = 10000,
                                  .tied_head = true,
                                  .bos_id = 0,
                                  .eos_id = 0};
    struct train_model training = {0};
    int tokens;
    fixture_write(folder, "text.txt", text);
    fixture_write(folder, "questions.jsonl",
                  "{\"context\": \"The king saw\", \"choices\": [\" the mountain.\", \" a golden "
                  "cup.\"], \"answer\": 0}\n"
                  "{\"context\": \"My brother\", \"choices\": [\" followed many sheep.\", \" "
                  "zzz\"], \"answer\": 0}\n");
    FIXTURE_OK(file_join(&model, folder, "model"));
    FIXTURE_OK(file_make_directories(model));
    FIXTURE_OK(bpe_train_folder(&source, 1, &options, model, &tokens));
    FIXTURE_OK(train_model_init(&training, &config, NULL, 1, 16, 7));
    FIXTURE_OK(train_export(model, &training));
    train_model_release(&training);
    mem_free(model);
    mem_free(text);
}

#endif
