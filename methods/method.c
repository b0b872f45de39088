#include "methods/method.h"

#include "core/err.h"
#include "linalg/finite.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define METHOD(identifier) extern const struct quant_method method_##identifier;
#include "methods/methods.def"
#undef METHOD

#define METHOD(identifier) &method_##identifier,
const struct quant_method *const methods[] = {
#include "methods/methods.def"
    NULL};
#undef METHOD

const struct quant_method *method_find(const char *name)
{
    const char *names[sizeof methods / sizeof *methods] = {0};
    for (int i = 0; methods[i]; i++) {
        if (strcmp(methods[i]->name, name) == 0)
            return methods[i];
        names[i] = methods[i]->name;
    }
    const char *nearest = nearest_name(name, names);
    if (nearest)
        err_set(ERR_USAGE,
                "there is no method '%s'; did you mean '%s'? (`bitbench methods` lists them)", name,
                nearest);
    else
        err_set(ERR_USAGE, "there is no method '%s': `bitbench methods` lists those that there are",
                name);
    return NULL;
}

void layer_result_release(struct layer_result *result)
{
    packed_release(&result->details);
}

int layer_check(const struct layer_problem *problem, bool needs_hessian)
{
    const char *name = problem->name ? problem->name : "the layer";
    if (problem->rows < 1 || problem->columns < 1)
        return err_set(ERR_USAGE, "%s: a weight matrix of %d x %d has nothing to quantize", name,
                       problem->rows, problem->columns);
    long columns = problem->columns,
         bad = first_not_finite(problem->weight, (size_t)problem->rows * (size_t)columns);
    if (bad >= 0)
        return err_set(ERR_NUMERIC,
                       "%s: the weight in row %ld, column %ld is %g: every weight must be finite",
                       name, bad / columns, bad % columns, (double)problem->weight[bad]);
    if (!needs_hessian)
        return 0;
    if (!problem->hessian)
        return err_set(ERR_USAGE, "%s: this method needs the layer's Hessian, and there is none",
                       name);
    if (problem->hessian->size != problem->columns)
        return err_set(ERR_USAGE, "%s: the Hessian is %d x %d, but the weight has %d columns", name,
                       problem->hessian->size, problem->hessian->size, problem->columns);
    return 0;
}

int layer_factor(const struct layer_problem *problem, double percdamp, bool ordered,
                 struct layer_result *result, const struct hessian_factor **factor)
{
    int rc = hessian_factorize(problem->hessian, percdamp, ordered, factor);
    if (rc)
        return err_prefix(rc, "%s", problem->name ? problem->name : "the layer");
    result->factor = *factor;
    result->damping = (*factor)->damping;
    result->damping_raised = (*factor)->raised;
    if ((*factor)->raised > 0)
        layer_exception(result, EXCEPTION_DAMPING,
                        "damping %g asked, %g used: the Hessian was not positive definite (raised "
                        "%d times)",
                        percdamp, (*factor)->damping, (*factor)->raised);
    return 0;
}

const char *const layer_exception_names[] = {[EXCEPTION_METHOD] = "method",
                                             [EXCEPTION_GROUP] = "group",
                                             [EXCEPTION_DAMPING] = "damping",
                                             [EXCEPTION_NAN] = "nan"};

void layer_exception(struct layer_result *result, enum layer_exception kind, const char *format,
                     ...)
{
    va_list values;
    va_start(values, format);
    vsnprintf(result->exceptions[kind], LAYER_EXCEPTION_SIZE, format, values);
    va_end(values);
}

void layer_check_group(struct layer_result *result, const char *option, int asked, int columns)
{
    if (asked > columns)
        layer_exception(result, EXCEPTION_GROUP,
                        "%s %d asked, the layer has %d columns: the whole row is one", option,
                        asked, columns);
    else if (asked > 0 && columns % asked != 0)
        layer_exception(result, EXCEPTION_GROUP,
                        "%s %d asked, the layer has %d columns: the last of a row has %d", option,
                        asked, columns, columns % asked);
}
