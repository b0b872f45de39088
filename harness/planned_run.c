#include "harness/planned_run.h"

#include "core/err.h"
#include "core/mem.h"
#include "harness/layer_plan.h"

#include <stdlib.h>
#include <string.h>

/* ---- the model ---- */

static json_t *config_of(const struct known_model *m)
{
    if (m->family == FAMILY_LLAMA)
        return json_pack("{s:i,s:i,s:i,s:i,s:i,s:i,s:i}", "num_hidden_layers", m->layers,
                         "hidden_size", m->width, "intermediate_size", m->hidden,
                         "num_attention_heads", m->heads, "num_key_value_heads", m->kv_heads,
                         "vocab_size", m->vocabulary, "max_position_embeddings", m->positions);
    bool projected = m->family == FAMILY_OPT_PROJECTED;
    return json_pack("{s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:b}", "num_hidden_layers", m->layers,
                     "hidden_size", m->width, "ffn_dim", m->hidden, "num_attention_heads", m->heads,
                     "vocab_size", m->vocabulary, "max_position_embeddings", m->positions,
                     "word_embed_proj_dim", projected ? 512 : m->width, "do_layer_norm_before",
                     !projected);
}

/* In place of the family's own: shapes, no weights. */
static int shapes_of_block(const struct model *model, int layer, struct block *block)
{
    const struct architecture *family = model->architecture;
    struct model_tensor tensor;
    *block = (struct block){0};
    for (int i = 0; family->tensor_at(&model->config, layer, i, &tensor); i++) {
        if (tensor.place != TENSOR_LINEAR)
            continue;
        block->linears[tensor.index] = (struct linear){.name = family->linear_names[tensor.index],
                                                       .out = tensor.rows,
                                                       .in = tensor.columns,
                                                       .input = tensor.input};
        block->linear_count++;
        if (block->input_count <= tensor.input)
            block->input_count = tensor.input + 1;
    }
    return 0;
}

static int take_family(struct run *run, const struct known_model *known)
{
    const char *name = known->family == FAMILY_LLAMA ? "llama" : "opt";
    const struct architecture *family = NULL;
    struct architecture *shapes;
    int rc;
    for (int i = 0; architectures[i]; i++)
        if (strcmp(architectures[i]->name, name) == 0)
            family = architectures[i];
    json_t *config = config_of(known);
    if (!family || !config) {
        rc = err_set(ERR_INTERNAL, "%s: no family '%s'", known->name, name);
        goto out;
    }
    TRY(family->read_config(config, &run->model.config, known->repository));
    TRY(mem_alloc(&shapes, 1, sizeof *shapes));
    *shapes = *family;
    shapes->load_block = shapes_of_block;
    run->planned = shapes;
    run->model.architecture = shapes;
out:
    json_decref(config);
    return rc;
}

/* ---- the data ---- */

/* Tokens of the texts that perplexity is measured on, by the OPT and the LLaMA tokenizer; rows that
 * a question takes with its choices, their shared beginning once, and questions. Counted, or for
 * the tasks the mean of 200. */
static const struct {
    const char *name;
    int opt, llama;
    double rows;
    int items;
} lengths[] = {
    {"wikitext2", 287645, 341469, 0, 0}, {"wikitext2_gptq", 287645, 341469, 0, 0},
    {"ptb", 97722, 106527, 0, 0},        {"ptb_gptq", 93213, 101549, 0, 0},
    {"c4", 524288, 524288, 0, 0},        {"c4_gptq", 524288, 524288, 0, 0},
    {"piqa", 0, 0, 59.4, 1838},          {"boolq", 0, 0, 157.1, 3270},
    {"openbookqa", 0, 0, 25.6, 500},     {"winogrande", 0, 0, 45.2, 1267},
    {"arc_easy", 0, 0, 45.6, 2376},      {"arc_challenge", 0, 0, 54.1, 1172},
    {"hellaswag", 0, 0, 84.7, 10042},
};
enum { GUESSED_TOKENS = 300000, GUESSED_ITEMS = 1000, GUESSED_ROWS = 60 };

static int length_of(const char *name)
{
    for (int i = 0; i < (int)(sizeof lengths / sizeof *lengths); i++)
        if (strcmp(lengths[i].name, name) == 0)
            return i;
    return -1;
}

/* count sequences of length rows each. */
static int add_sequences(struct stream *stream, long count, int length, int first_target)
{
    int32_t *zeros = NULL;
    int rc;
    TRY(mem_calloc(&zeros, (size_t)length, sizeof *zeros));
    for (long i = 0; i < count; i++)
        TRY(stream_add(stream, zeros, length, first_target));
out:
    mem_free(zeros);
    return rc;
}

static int plan_text(struct run *run, const struct perplexity_spec *spec, bool llama)
{
    int i = length_of(spec->corpus);
    long tokens = i < 0 ? GUESSED_TOKENS : llama ? lengths[i].llama : lengths[i].opt;
    if (spec->tokens > 0 && spec->tokens < tokens)
        tokens = spec->tokens;
    return add_sequences(&run->evaluation.stream, tokens / spec->window, spec->window, 1);
}

static int plan_task(struct run *run, const struct choice_spec *spec)
{
    int i = length_of(spec->task), items = i < 0 ? GUESSED_ITEMS : lengths[i].items;
    double rows = i < 0 ? GUESSED_ROWS : lengths[i].rows;
    if (spec->items > 0 && spec->items < items)
        items = spec->items;
    run->planned_questions += items;
    int length = (int)(rows + 0.5);
    return add_sequences(&run->evaluation.stream, items, length, length / 2);
}

/* One stream for each distinct number of segments; run_calibration_of then finds it. */
static int plan_calibration(struct run *run, const struct point *point)
{
    struct run_calibration fresh = {.spec = point->calibration};
    int rc;
    if (!point_calibrates(point))
        return 0;
    for (int i = 0; i < run->calibration_count; i++)
        if (run_same_calibration(&run->calibrations[i].spec, &fresh.spec))
            return 0;
    TRY(add_sequences(&fresh.stream, fresh.spec.samples, fresh.spec.length, fresh.spec.length));
    TRY(mem_resize(&run->calibrations, (size_t)run->calibration_count,
                   (size_t)run->calibration_count + 1, sizeof *run->calibrations));
    run->calibrations[run->calibration_count++] = fresh;
    fresh = (struct run_calibration){0};
out:
    stream_release(&fresh.stream);
    return rc;
}

int planned_run_open(struct run *run, const struct known_model *known)
{
    const struct experiment *experiment = &run->experiment;
    bool llama = known->family == FAMILY_LLAMA;
    int rc;
    TRY(take_family(run, known));
    for (int i = 0; i < experiment->perplexity_count; i++)
        TRY(plan_text(run, &experiment->perplexities[i], llama));
    run->evaluation.text_sequences = run->evaluation.stream.count;
    for (int i = 0; i < experiment->choice_count; i++)
        TRY(plan_task(run, &experiment->choices[i]));
    for (int i = 0; i < experiment->point_count; i++)
        TRY(layer_plan_check(&experiment->points[i], run->model.config.layers,
                             run->model.architecture->linear_names));
    for (int i = 0; i < experiment->point_count; i++)
        TRY(plan_calibration(run, &experiment->points[i]));
out:
    return rc;
}
