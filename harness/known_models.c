#include "harness/known_models.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

static const struct known_model known_models[] = {
#define MODEL(name, repository, family, layers, width, hidden, heads, kv_heads, vocabulary,        \
              positions, files)                                                                    \
    {name,  repository, FAMILY_##family, layers,    width, hidden,                                 \
     heads, kv_heads,   vocabulary,      positions, files},
#include "harness/known_models.def"
#undef MODEL
};

enum { KNOWN_COUNT = sizeof known_models / sizeof *known_models };

const struct known_model *known_model_at(int i)
{
    return i >= 0 && i < KNOWN_COUNT ? &known_models[i] : NULL;
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

const struct known_model *known_model_find(const char *text)
{
    char trimmed[300];
    size_t length = strlen(text);
    while (length > 1 && text[length - 1] == '/')
        length--;
    if (length >= sizeof trimmed)
        return NULL;
    memcpy(trimmed, text, length);
    trimmed[length] = '\0';
    const char *last = last_part(trimmed);
    for (int i = 0; i < KNOWN_COUNT; i++) {
        const struct known_model *m = &known_models[i];
        if (strcasecmp(last, m->name) == 0 || strcasecmp(last, last_part(m->repository)) == 0)
            return m;
    }
    return NULL;
}

/* One linear layer of a block; the same for all blocks. */
struct known_linear {
    int out, in;
    int input; /* layers with the same number share their input */
};
enum { KNOWN_MAX_LINEARS = 8 };

/* Fills linears and returns how many there are. */
static int known_model_linears(const struct known_model *m,
                               struct known_linear linears[KNOWN_MAX_LINEARS])
{
    int count = 0, kv = m->width / m->heads * m->kv_heads;
    linears[count++] = (struct known_linear){m->width, m->width, 0};
    linears[count++] = (struct known_linear){kv, m->width, 0};
    linears[count++] = (struct known_linear){kv, m->width, 0};
    linears[count++] = (struct known_linear){m->width, m->width, 1};
    linears[count++] = (struct known_linear){m->hidden, m->width, 2};
    if (m->family == FAMILY_LLAMA) /* gate and up */
        linears[count++] = (struct known_linear){m->hidden, m->width, 2};
    linears[count++] = (struct known_linear){m->width, m->hidden, 3};
    return count;
}

double known_model_linear_weights(const struct known_model *m)
{
    struct known_linear linears[KNOWN_MAX_LINEARS];
    double sum = 0;
    int count = known_model_linears(m, linears);
    for (int i = 0; i < count; i++)
        sum += (double)linears[i].out * linears[i].in;
    return sum * m->layers;
}

double known_model_parameters(const struct known_model *m)
{
    const double width = m->width, vocabulary = m->vocabulary;
    double linear = known_model_linear_weights(m);
    if (m->family == FAMILY_LLAMA) /* embedding and head; two norms a block, one behind them */
        return linear + 2 * vocabulary * width + (2.0 * m->layers + 1) * width;
    /* OPT: biases of q, k, v, o, fc1, fc2; two LayerNorms of two vectors; positions with an offset
     * of 2; the head is the embedding. */
    double block = 4 * width + m->hidden + width + 4 * width;
    double outer = vocabulary * width + (m->positions + 2.0) * width + 2 * width;
    if (m->family == FAMILY_OPT_PROJECTED) { /* embeddings of 512, projected; no final norm */
        const double narrow = 512;
        outer = vocabulary * narrow + (m->positions + 2.0) * width + 2 * narrow * width;
    }
    return linear + m->layers * block + outer;
}

double known_model_bytes(const struct known_model *model)
{
    return 2 * known_model_parameters(model);
}
