#include "model/normalizer.h"

#include "core/err.h"
#include "model/bpe_bytes.h"
#include "model/normalizer_steps.h"

#include <string.h>

/* In the order of enum normalizer_type. */
static const char *const type_names[] = {"Prepend", "Replace", "Strip", "NFC",
                                         "NFD",     "NFKC",    "NFKD",  "Lowercase"};
enum { TYPE_NAMES = sizeof type_names / sizeof *type_names };

/* ---- reading ---- */

static int copy_text(char **out, size_t *size, const json_t *value, const char *what,
                     const char *file)
{
    if (!json_is_string(value))
        return err_set(ERR_FORMAT, "%s: normalizer: %s is not a text", file, what);
    *size = json_string_length(value);
    int rc = mem_alloc(out, *size + 1, 1);
    if (rc == 0)
        memcpy(*out, json_string_value(value), *size + 1);
    return rc;
}

static int read_replace(struct normalizer_step *step, const json_t *object, const char *file)
{
    const json_t *from = json_object_get(json_object_get(object, "pattern"), "String");
    if (!from)
        return err_set(ERR_FORMAT,
                       "%s: normalizer 'Replace' needs a pattern {\"String\": ...}; regular "
                       "expressions are not supported",
                       file);
    int rc = copy_text(&step->from, &step->from_size, from, "the pattern of Replace", file);
    if (rc == 0 && !step->from_size)
        rc = err_set(ERR_FORMAT, "%s: normalizer 'Replace' has an empty pattern", file);
    return rc ? rc
              : copy_text(&step->to, &step->to_size, json_object_get(object, "content"),
                          "the content of Replace", file);
}

static int read_rule(struct normalizer *normalizer, const json_t *object, int depth,
                     const char *file);

static int read_sequence(struct normalizer *normalizer, const json_t *object, int depth,
                         const char *file)
{
    const json_t *list = json_object_get(object, "normalizers");
    int rc = 0;
    if (!json_is_array(list))
        return err_set(ERR_FORMAT, "%s: normalizer 'Sequence' has no list 'normalizers'", file);
    for (size_t i = 0; rc == 0 && i < json_array_size(list); i++)
        rc = read_rule(normalizer, json_array_get(list, i), depth + 1, file);
    return rc;
}

static int read_rule(struct normalizer *normalizer, const json_t *object, int depth,
                     const char *file)
{
    const char *name = json_string_value(json_object_get(object, "type"));
    int type = 0;
    if (name && strcmp(name, "Sequence") == 0 && depth < NORMALIZER_STEPS)
        return read_sequence(normalizer, object, depth, file);
    while (type < TYPE_NAMES && !(name && strcmp(name, type_names[type]) == 0))
        type++;
    if (type == TYPE_NAMES)
        return err_set(ERR_FORMAT,
                       "%s: normalizer type '%s' is not supported; supported: none (null), "
                       "Prepend, Replace, Strip, NFC, NFD, NFKC, NFKD, Lowercase, Sequence",
                       file, name ? name : "?");
    if (normalizer->count == NORMALIZER_STEPS)
        return err_set(ERR_FORMAT, "%s: normalizer has more than %d steps", file, NORMALIZER_STEPS);
    struct normalizer_step *step = &normalizer->steps[normalizer->count++];
    step->type = (enum normalizer_type)type;
    if (step->type == NORMALIZE_PREPEND)
        return copy_text(&step->to, &step->to_size, json_object_get(object, "prepend"),
                         "'prepend' of Prepend", file);
    if (step->type == NORMALIZE_REPLACE)
        return read_replace(step, object, file);
    if (step->type == NORMALIZE_STRIP) {
        step->left = !json_is_false(json_object_get(object, "strip_left"));
        step->right = !json_is_false(json_object_get(object, "strip_right"));
    }
    return 0;
}

int normalizer_from_json(struct normalizer **out, const json_t *rules, const char *file)
{
    int rc;
    struct normalizer *normalizer = NULL;
    if (!rules || json_is_null(rules)) {
        *out = NULL;
        return 0;
    }
    TRY(mem_calloc(&normalizer, 1, sizeof *normalizer));
    TRY(read_rule(normalizer, rules, 0, file));
    if (normalizer->count) {
        *out = normalizer;
        normalizer = NULL;
    } else {
        *out = NULL; /* an empty Sequence */
    }
out:
    normalizer_free(normalizer);
    return rc;
}

void normalizer_free(struct normalizer *normalizer)
{
    if (!normalizer)
        return;
    for (int i = 0; i < normalizer->count; i++) {
        struct normalizer_step *step = &normalizer->steps[i];
        mem_free(step->from);
        mem_free(step->to);
        if (step->pieces) {
            prefix_set_release(&step->pieces->user);
            mem_free(step->pieces->user_texts);
            mem_free(step->pieces->map_bytes);
            mem_free(step->pieces);
        }
    }
    mem_free(normalizer);
}

/* ---- applying ---- */

static int replace(const struct normalizer_step *step, const char *text, size_t size,
                   struct strbuf *out)
{
    int rc = 0;
    const char *end = text + size, *hit;
    while ((hit = memmem(text, (size_t)(end - text), step->from, step->from_size)) != NULL) {
        TRY(strbuf_add(out, text, (size_t)(hit - text)));
        TRY(strbuf_add(out, step->to, step->to_size));
        text = hit + step->from_size;
    }
    TRY(strbuf_add(out, text, (size_t)(end - text)));
out:
    return rc;
}

static int apply_step(const struct normalizer_step *step, const char *text, size_t size,
                      bool at_start, struct strbuf *out)
{
    int rc = 0;
    size_t from = 0;
    switch (step->type) {
    case NORMALIZE_PREPEND:
        if (size)
            TRY(strbuf_add(out, step->to, step->to_size));
        TRY(strbuf_add(out, text, size));
        break;
    case NORMALIZE_REPLACE: TRY(replace(step, text, size, out)); break;
    case NORMALIZE_STRIP:
        from = step->left ? utf8_space_behind(text, size, 0) : 0;
        size = step->right ? utf8_space_before(text, from, size) : size;
        TRY(strbuf_add(out, text + from, size - from));
        break;
    case NORMALIZE_PIECES: TRY(normalize_pieces(step->pieces, text, size, at_start, out)); break;
    default: TRY(normalize_unicode(step->type, text, size, out)); break;
    }
out:
    return rc;
}

int normalizer_apply(const struct normalizer *normalizer, const char *text, size_t size,
                     bool at_start, struct strbuf *out)
{
    int rc = 0;
    struct strbuf other = {0};
    for (int i = 0; i < normalizer->count; i++) {
        struct strbuf swap = other;
        other = *out; /* holds the text by now, but for the first step */
        *out = swap;
        out->length = 0;
        TRY(strbuf_add(out, "", 0));
        TRY(apply_step(&normalizer->steps[i], i ? other.data : text, i ? other.length : size,
                       at_start, out));
    }
out:
    strbuf_release(&other);
    return rc;
}
