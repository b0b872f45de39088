/* From a model's name in a spec or on the command line to its folder. */
#ifndef HARNESS_MODEL_FOLDER_H
#define HARNESS_MODEL_FOLDER_H

#include "model/model.h"
#include "model/tokenizer.h"

/* *out = what the name stands for: "embedded" (the model that comes with bitbench), a path, or what
 * model_search finds; the caller's. ERR_MISSING says how a known model is downloaded. */
int model_folder(char **out, const char *name);
/* The same for where a tokenizer is: a model, or a tokenizer's own file. */
int tokenizer_folder(char **out, const char *name);

/* Looks for "facebook/opt-1.3b" in each of the folders: as it is, without "facebook/", by the
 * other names of a known model (known_models.h), and in the layout of Hugging Face's cache. *out is
 * untouched when it is not there. */
int model_search(char **out, const char *name);
/* What $BITBENCH_MODELS says, one or more folders with ':' between, else "models". */
const char *model_search_folders(void);

/* Opens a plain or a packed model (harness/packed_model.h); model_close. */
int model_folder_open(struct model *model, const char *folder);

/* ERR_FORMAT when the tokenizer has more ids than the model has embeddings. */
int model_check_tokenizer(const struct model *model, const struct tokenizer *tokenizer);

#endif
