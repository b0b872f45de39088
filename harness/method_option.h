/* A method's options as commands take them. */
#ifndef HARNESS_METHOD_OPTION_H
#define HARNESS_METHOD_OPTION_H

#include "methods/method.h"

/* *options = the method's defaults with what the `count` texts of -o say, checked; the caller frees
 * it. */
int method_options_make(const struct quant_method *method, const char *const *texts, int count,
                        void **options);

#endif
