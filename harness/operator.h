/* A quantized layer in the forward pass: where its method makes more of it than y = x W_q^T
 * (quantized activations, a norm behind it), the layer gets a product of its own. */
#ifndef HARNESS_OPERATOR_H
#define HARNESS_OPERATOR_H

#include "methods/method.h"
#include "model/model.h"

struct layer_operator {
    const struct quant_method *method;
    const void *options;
};

/* linear->weight holds W_q. Sets linear->apply where method and options ask for it, and
 * clears it where they do not; op is borrowed for as long as linear is used. */
void operator_attach(const struct layer_operator *op, struct linear *linear);

#endif
