/* The matrices of `bitbench layer`, from safetensors files: FILE or FILE:TENSOR. */
#ifndef HARNESS_LAYER_READ_H
#define HARNESS_LAYER_READ_H

#include "linalg/hessian.h"

/* *weight (rows x columns, owned by the caller) = the named tensor, or W, or the file's only one.
 */
int layer_read_weight(const char *text, float **weight, int *rows, int *columns);

/* hessian (zeroed; hessian_release) = the named tensor, or H, or the only one: columns x columns,
 * symmetric. */
int layer_read_hessian(const char *text, int columns, struct hessian *hessian);

/* The same from the inputs (the named tensor, or X, or the only one): tokens x in, which is one
 * sequence, or sequences x tokens x in. */
int layer_read_input(const char *text, int columns, struct hessian *hessian);

#endif
