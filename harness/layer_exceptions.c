#include "harness/layer_exceptions.h"

#include "core/err.h"
#include "core/mem.h"
#include "linalg/finite.h"

#include <string.h>

int layer_exceptions_add(struct pipeline_output *output, int block, const char *name,
                         const struct layer_result *result)
{
    int rc = 0;
    for (int kind = 0; kind < EXCEPTION_KINDS; kind++) {
        if (!result->exceptions[kind][0])
            continue;
        size_t count = (size_t)output->exception_count;
        TRY(mem_resize(&output->exceptions, count, count + 1, sizeof *output->exceptions));
        struct exception_record *record = &output->exceptions[output->exception_count++];
        *record = (struct exception_record){
            .block = block, .name = name, .kind = (enum layer_exception)kind};
        memcpy(record->detail, result->exceptions[kind], sizeof record->detail);
    }
out:
    return rc;
}

static bool all_finite(const float *values, size_t rows, size_t columns)
{
    return first_not_finite(values, rows * columns) < 0;
}

void layer_exceptions_refused(const struct layer_problem *problem, struct layer_result *result)
{
    size_t rows = (size_t)problem->rows, columns = (size_t)problem->columns;
    bool numbers = all_finite(problem->weight, rows, columns) &&
                   (!problem->hessian || all_finite(problem->hessian->matrix, columns, columns));
    memset(result->exceptions, 0, sizeof result->exceptions);
    layer_exception(result, numbers ? EXCEPTION_METHOD : EXCEPTION_NAN,
                    "left in full precision: %s", err_text());
}
