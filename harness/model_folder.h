/* From a model's name in a spec or on the command line to its folder. */
#ifndef HARNESS_MODEL_FOLDER_H
#define HARNESS_MODEL_FOLDER_H

#include "model/model.h"
#include "model/tokenizer.h"

/* *out = the folder of "embedded" (the model that comes with bitbench), or the
 * path itself; the caller's. */
int model_folder(char **out, const char *name);

/* Opens a plain or a packed model (harness/packed_model.h); model_close. */
int model_folder_open(struct model *model, const char *folder);

/* ERR_FORMAT when the tokenizer has more ids than the model has embeddings. */
int model_check_tokenizer(const struct model *model, const struct tokenizer *tokenizer);

#endif
