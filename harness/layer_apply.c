#include "harness/layer_apply.h"

#include "core/err.h"
#include "core/mem.h"
#include "methods/kept.h"

/* The weights that the pruning method returns, and which of them are not 0. */
static int prune(const struct layer_choice *choice, const struct layer_problem *problem,
                 struct layer_problem *step)
{
    int rc;
    struct layer_result pruned = {LAYER_RESULT_NONE};
    const size_t count = (size_t)problem->rows * (size_t)problem->columns;
    uint8_t *kept;
    TRY(arena_alloc(problem->arena, &pruned.quantized, count, sizeof *pruned.quantized));
    TRY(arena_alloc(problem->arena, &kept, count, sizeof *kept));
    TRY(choice->after->quantize_layer(choice->after_options, problem, &pruned));
    for (size_t i = 0; i < count; i++)
        kept[i] = pruned.quantized[i] != 0;
    step->weight = pruned.quantized;
    step->kept = kept;
out:
    layer_result_release(&pruned);
    return rc;
}

int layer_apply(const struct layer_choice *choice, const struct layer_problem *problem,
                struct layer_problem *step, struct layer_result *result)
{
    int rc;
    *step = *problem;
    if (choice->after)
        TRY(prune(choice, problem, step));
    TRY(choice->method->quantize_layer(choice->options, step, result));
    if (step->kept) {
        kept_clear(step->kept, step->rows, step->columns, result->quantized);
        result->paper_bits_marks += 1;
    }
out:
    return rc;
}

int layer_apply_pack(const struct layer_choice *choice, const struct layer_problem *step,
                     const struct layer_result *result, struct packed *packed)
{
    int rc = choice->method->pack(choice->options, step, result, packed);
    if (rc == 0 && step->kept)
        rc = kept_pack(step->kept, step->rows, step->columns, packed);
    return rc;
}

int layer_apply_unpack(const struct quant_method *method, const void *options, bool masked,
                       const struct packed *packed, int rows, int columns, float *weight)
{
    int rc;
    uint8_t *kept = NULL;
    TRY(method->unpack(options, packed, rows, columns, weight));
    if (!masked)
        return 0;
    TRY(mem_alloc(&kept, (size_t)rows * (size_t)columns, sizeof *kept));
    TRY(kept_unpack(packed, rows, columns, kept));
    kept_clear(kept, rows, columns, weight);
out:
    mem_free(kept);
    return rc;
}
