/* experiments/papers: every spec loads, is listed in the README, and together they have a point for
 * each published number that post-training methods can reproduce. */
#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"
#include "harness/calibration.h"
#include "harness/known_models.h"
#include "harness/published.h"
#include "harness/spec.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char folder[] = "experiments/papers";

enum { MOST_SPECS = 64 };
static struct experiment specs[MOST_SPECS];
static int spec_count;

static void specs_load(void **state)
{
    char path[300], *readme;
    struct dirent *entry;
    assert_int_equal(file_read("experiments/papers/README.md", &readme, NULL), 0);
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        const char *end = strrchr(entry->d_name, '.');
        if (!end || strcmp(end, ".yaml") != 0 || strcmp(entry->d_name, "common.yaml") == 0)
            continue;
        assert_true(spec_count < MOST_SPECS);
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        struct experiment *e = &specs[spec_count];
        if (spec_load(e, path, NULL, 0) != 0)
            fail_msg("%s", err_text());
        spec_count++;
        /* Named as its file, told of, with known models only. */
        if (strncmp(e->name, entry->d_name, (size_t)(end - entry->d_name)) != 0 ||
            strlen(e->name) != (size_t)(end - entry->d_name))
            fail_msg("%s is named %s", path, e->name);
        snprintf(path, sizeof path, "`%s`", entry->d_name);
        if (!strstr(readme, path))
            fail_msg("%s is not in the README", entry->d_name);
        for (int m = 0; m < e->model_count; m++) {
            const struct known_model *known = known_model_find(e->models[m]);
            assert_non_null(known);
            assert_string_equal(known->repository, e->models[m]);
        }
        assert_true(e->perplexity_count + e->choice_count > 0);
    }
    closedir(dir);
    mem_free(readme);
    assert_int_equal(spec_count, 14);
}

/* As the authors' scripts calibrate and measure. */
static void conventions_are_the_scripts(void **state)
{
    for (int s = 0; s < spec_count; s++) {
        const struct experiment *e = &specs[s];
        for (int i = 0; i < e->point_count; i++) {
            const struct calibration_spec *c = &e->points[i].calibration;
            assert_false(e->points[i].harness.drift); /* no table has it, and it costs hours */
            assert_null(strstr(e->points[i].label, "drift"));
            if (!point_calibrates(&e->points[i]))
                continue;
            assert_true(c->samples == 128 && c->length == 2048 && c->seed == 0);
            assert_true(strcmp(c->corpus, "c4") == 0 || strcmp(c->corpus, "c4_gptq") == 0);
            assert_string_equal(calibration_draw_names[c->draw], "python");
        }
        for (int i = 0; i < e->perplexity_count; i++)
            assert_true(e->perplexities[i].window == 2048 &&
                        e->perplexities[i].split == SPLIT_TEST);
        for (int i = 0; i < e->choice_count; i++)
            assert_true(e->choices[i].items == 0 && e->choices[i].scorings == 0);
    }
}

/* Whether the spec measures the row's data set by a task's own rules or on that text. */
static bool measures(const struct experiment *e, const struct published_row *row,
                     struct measured *ours)
{
    ours->metric = row->metric;
    ours->rule = row->rule;
    ours->split = "test";
    for (int i = 0; i < e->perplexity_count && strcmp(row->metric, "perplexity") == 0; i++) {
        ours->dataset = e->perplexities[i].corpus;
        ours->window = e->perplexities[i].window;
        if (strncmp(ours->dataset, row->dataset, 9) == 0)
            return true;
    }
    if (strcmp(row->metric, "size_gb") == 0 || strcmp(row->metric, "compression_percent") == 0) {
        ours->dataset = ""; /* every point has a size */
        return true;
    }
    for (int i = 0; i < e->choice_count && strcmp(row->metric, "accuracy") == 0; i++) {
        ours->dataset = e->choices[i].task;
        if (strcmp(ours->dataset, row->dataset) == 0)
            return true;
    }
    return false;
}

static bool has_point(const struct experiment *e, const struct published_row *row)
{
    struct measured ours = {0};
    bool found = false;
    if (!measures(e, row, &ours))
        return false;
    for (int m = 0; m < e->model_count && !found; m++) {
        const struct known_model *known = known_model_find(e->models[m]);
        ours.model = e->models[m];
        ours.weights = known_model_linear_weights(known);
        ours.parameters = known_model_parameters(known);
        for (int i = 0; i < e->point_count && !found; i++) {
            json_t *settings;
            assert_int_equal(point_settings(&e->points[i], &settings), 0);
            ours.settings = settings;
            found = published_matches(row, &ours);
            json_decref(settings);
        }
    }
    return found;
}

static void every_number_has_a_point(void **state)
{
    struct arena arena = {0};
    struct published all;
    int rows = 0;
    if (published_load(&all, "results/published.csv", &arena) != 0)
        fail_msg("%s", err_text());
    for (int r = 0; r < all.count; r++) {
        const struct published_row *row = &all.rows[r];
        bool wanted = strcmp(row->kind, "ptq") == 0 || strcmp(row->kind, "full") == 0;
        bool found = false;
        if (!wanted || strcmp(row->dataset, "average") == 0) /* of what is in a spec */
            continue;
        rows++;
        for (int s = 0; s < spec_count && !found; s++)
            found = has_point(&specs[s], row);
        if (!found)
            fail_msg("line %d (%s, %s, %s, %s %s) is in no spec", row->line, row->paper, row->table,
                     row->model, row->method, row->settings);
    }
    assert_true(rows > 300);
    arena_release(&arena);
}

static int release(void **state)
{
    for (int i = 0; i < spec_count; i++)
        experiment_release(&specs[i]);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(specs_load),
        cmocka_unit_test(conventions_are_the_scripts),
        cmocka_unit_test(every_number_has_a_point),
    };
    return cmocka_run_group_tests_name("the papers' specs", tests, NULL, release);
}
