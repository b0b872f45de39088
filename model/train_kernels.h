/* Elementwise work of training, on one row or one piece at a time and on the calling thread. Sums run in 16 lanes that are
 * added pairwise at the end, so every instruction set gives the same bytes. */
#ifndef MODEL_TRAIN_KERNELS_H
#define MODEL_TRAIN_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* y = w * x * inverse; returns inverse = 1 / sqrt(mean(x^2) + epsilon). */
float train_rmsnorm(const float *x, const float *w, int n, float epsilon, float *y);
/* dx += d loss / d x given dy; dw += dy * x * inverse. */
void train_rmsnorm_backward(const float *x, const float *w, const float *dy, int n, float inverse, float *dx, float *dw);
/* y = silu(gate) * up. */
void train_swiglu(const float *gate, const float *up, int n, float *y);
/* dgate, dup from dy; dup may be dy. */
void train_swiglu_backward(const float *gate, const float *up, const float *dy, int n, float *dgate, float *dup);
/* x = softmax(scale * x) over the first n. */
void train_softmax(float *x, int n, float scale);
/* dx = p * (dp - sum(p * dp)) * scale, in place of dp. */
void train_softmax_backward(const float *p, float *dp, int n, float scale);
/* Returns -log softmax(logits)[target]; logits become (softmax - onehot) * scale. */
float train_cross_entropy(float *logits, int n, int target, float scale);
/* The two halves of x (size wide) turned by the angles of cosine and sine (size / 2 each); direction -1: back. */
void train_rope(float *x, int size, const float *cosine, const float *sine, float direction);
/* y = base + mask(x), where mask keeps an element with probability keep (scaled by 1 / keep), decided by a hash of
 * key and place + i. base NULL: 0. y may be base or x. */
void train_dropout_add(const float *base, const float *x, int n, uint32_t key, uint32_t place, double keep, float *y);
/* y += x. */
void train_add(const float *x, int n, float *y);
double train_square_sum(const float *x, size_t n);

struct train_adam {
    float rate, shrink; /* shrink = 1 - rate * decay */
    float beta1, beta2, correct1, correct2, epsilon, scale; /* correct = 1 / (1 - beta^step); scale: of the gradient */
};
/* One update of n elements; the gradient is zeroed. */
void train_adam_update(const struct train_adam *a, size_t n, float *w, float *g, float *m, float *v);

#endif
