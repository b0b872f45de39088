/* Between pretokenize.c, which reads the rules, and pretokenize_cut.c, which applies them. */
#ifndef MODEL_PRETOKENIZE_STEPS_H
#define MODEL_PRETOKENIZE_STEPS_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdbool.h>

enum { PRETOKENIZER_STEPS = 16 };

/* What becomes of a match and of the text between matches, in Hugging Face's words. */
enum behavior { ISOLATED, REMOVED, MERGED_WITH_PREVIOUS, MERGED_WITH_NEXT, CONTIGUOUS };

struct pretokenizer_step {
    enum behavior behavior;
    bool invert;      /* the text between matches takes the part of the matches */
    bool add_space;   /* a piece that does not begin with a space gets one in front */
    pcre2_code *code; /* NULL: the piece stays whole */
    bool jit;
};

struct pretokenizer {
    struct pretokenizer_step steps[PRETOKENIZER_STEPS];
    int count;
    bool byte_level; /* reached the ByteLevel that ends the rules */
    pcre2_general_context *memory;
};

#endif
