/* Models with a given shape and random weights: for measuring time and memory of what is too large
 * to be at hand. They say nothing of quality. */
#ifndef HARNESS_MOCKUP_H
#define HARNESS_MOCKUP_H

#include "harness/known_models.h"
#include "model/model.h"

/* Fills the configuration of a model of the LLaMA family; ERR_USAGE for the others. */
int mockup_config(const struct known_model *known, struct model_config *config);

/* Writes folder (new or empty): config.json, model.safetensors in float16, and the embedded model's
 * tokenizer, so that texts can be drawn; its ids are the first of the vocabulary. Embedding, head
 * and the first `blocks` blocks are normal draws of deviation 1 / sqrt(columns), the norms are 1;
 * the other blocks are zeros, and holes in the file where the file system has them. */
int mockup_write(const char *folder, const struct model_config *config, int blocks, uint64_t seed);

#endif
