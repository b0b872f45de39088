/* What one AdamW update needs to know, for simd.adam. */
#ifndef LINALG_ADAM_H
#define LINALG_ADAM_H

struct adam_step {
    float rate, shrink;       /* the weight is multiplied by shrink = 1 - rate * decay first */
    float beta1, beta2;       /* of the two moments */
    float correct1, correct2; /* 1 / (1 - beta^step) */
    float epsilon;
    float scale; /* of the gradient: less than 1 where it is clipped */
};

#endif
