#include "harness/layer_read.h"

#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/options.h"
#include "model/safetensors.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Opens FILE or FILE:TENSOR; *tensor is the named one, or the one called `usual`, or the file's
 * only one. */
static int open_tensor(const char *text, const char *usual, const char *option,
                       struct tensor_table **file, const struct tensor **tensor)
{
    char path[OPTION_TEXT_SIZE];
    const char *colon = strrchr(text, ':'), *name = NULL;
    int rc = 0;
    snprintf(path, sizeof path, "%s", text);
    if (colon && !file_exists(text)) {
        path[colon - text] = '\0';
        name = colon + 1;
    }
    TRY(safetensors_open_file(file, path));
    if (name)
        return tensor_table_get(*file, name, tensor);
    *tensor = tensor_table_find(*file, usual);
    if (!*tensor && tensor_table_count(*file) == 1)
        *tensor = tensor_table_at(*file, 0);
    if (!*tensor)
        return err_set(ERR_USAGE,
                       "--%s: %s holds %zu tensors and none is called %s: write %s:TENSOR", option,
                       path, tensor_table_count(*file), usual, path);
out:
    return rc;
}

static int dimension(const struct tensor *tensor, int axis, int *size)
{
    if (tensor->shape[axis] < 1 || tensor->shape[axis] > 1 << 24)
        return err_set(ERR_FORMAT, "%s: tensor '%s': dimension %d is %zu; from 1 to %d is possible",
                       tensor->file, tensor->name, axis + 1, tensor->shape[axis], 1 << 24);
    *size = (int)tensor->shape[axis];
    return 0;
}

int layer_read_weight(const char *text, float **weight, int *rows, int *columns)
{
    struct tensor_table *file = NULL;
    const struct tensor *tensor;
    int rc = 0;
    TRY(open_tensor(text, "W", "weight", &file, &tensor));
    if (tensor->rank != 2) {
        rc = err_set(ERR_FORMAT, "%s: tensor '%s' has %d dimensions: a weight has two, out x in",
                     tensor->file, tensor->name, tensor->rank);
        goto out;
    }
    TRY(dimension(tensor, 0, rows));
    TRY(dimension(tensor, 1, columns));
    TRY(mem_alloc(weight, tensor->count, sizeof **weight));
    TRY(tensor_table_read(file, tensor->name, tensor->shape[0], tensor->shape[1], *weight));
out:
    tensor_table_free(file);
    return rc;
}

int layer_read_hessian(const char *text, int columns, struct hessian *hessian)
{
    struct tensor_table *file = NULL;
    const struct tensor *tensor;
    int rc = 0;
    size_t n = (size_t)columns;
    TRY(open_tensor(text, "H", "hessian", &file, &tensor));
    TRY(tensor_check_shape(tensor, n, n));
    TRY(hessian_init(hessian, columns));
    TRY(tensor_table_read(file, tensor->name, n, n, hessian->matrix));
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++) {
            double a = (double)hessian->matrix[i * n + j], b = (double)hessian->matrix[j * n + i];
            if (fabs(a - b) > 1e-3 * (fabs(a) + fabs(b)) + 1e-20) {
                rc = err_set(ERR_FORMAT,
                             "%s: tensor '%s' is not symmetric: element %zu, %zu is %g and element "
                             "%zu, %zu is %g",
                             tensor->file, tensor->name, i, j, a, j, i, b);
                goto out;
            }
        }
out:
    tensor_table_free(file);
    return rc;
}

/* H from the inputs, one sequence after the other as the references feed them. */
int layer_read_input(const char *text, int columns, struct hessian *hessian)
{
    struct tensor_table *file = NULL;
    const struct tensor *tensor;
    int rc = 0, sequences = 1, tokens = 0, features = 0;
    float *x = NULL;
    TRY(open_tensor(text, "X", "input", &file, &tensor));
    if (tensor->rank != 2 && tensor->rank != 3) {
        rc = err_set(
            ERR_FORMAT,
            "%s: tensor '%s' has %d dimensions: inputs are tokens x in or sequences x tokens x in",
            tensor->file, tensor->name, tensor->rank);
        goto out;
    }
    if (tensor->rank == 3)
        TRY(dimension(tensor, 0, &sequences));
    TRY(dimension(tensor, tensor->rank - 2, &tokens));
    TRY(dimension(tensor, tensor->rank - 1, &features));
    if (features != columns) {
        rc = err_set(ERR_FORMAT,
                     "%s: tensor '%s' has inputs of %d features, but the weight has %d columns",
                     tensor->file, tensor->name, features, columns);
        goto out;
    }
    TRY(mem_alloc(&x, tensor->count, sizeof *x));
    TRY(tensor_to_float(tensor, x));
    TRY(hessian_init(hessian, columns));
    for (long s = 0; s < sequences; s++)
        TRY(hessian_add(hessian, x + s * tokens * columns, tokens, 1));
    hessian_finish(hessian);
out:
    mem_free(x);
    tensor_table_free(file);
    return rc;
}
