/* Which files a tokenizer's path stands for. */
#ifndef MODEL_TOKENIZER_PLACE_H
#define MODEL_TOKENIZER_PLACE_H

#include "model/tokenizer_kind.h"

struct tokenizer_place {
    char *folder; /* of the files that say more (tokenizer_config.json); NULL: none do */
    char *file;   /* vocab.json where merges is set */
    char *merges; /* NULL: one file holds all, in this format */
    enum tokenizer_format format;
};

int tokenizer_find_place(struct tokenizer_place *place, const char *path);
void tokenizer_place_release(struct tokenizer_place *place);

#endif
