#include "harness/operator.h"

static int apply(const struct linear *linear, const float *x, int rows, float *y)
{
    const struct layer_operator *op = linear->apply_state;
    return op->method->operate(op->options, linear->weight, linear->out, linear->in, x, rows, y);
}

void operator_attach(const struct layer_operator *op, struct linear *linear)
{
    bool operates = op->method->operates && op->method->operates(op->options);
    linear->apply = operates ? apply : NULL;
    linear->apply_state = operates ? op : NULL;
}
