/* SentencePiece's normalizer: Normalizer::Normalize of its normalizer.cc, whose order of doing
 * things decides which spaces are left. */
#include "core/err.h"
#include "model/bpe_bytes.h"
#include "model/normalizer_steps.h"

#include <string.h>

static const char space_mark[] = "\xe2\x96\x81"; /* U+2581 */
enum { MARK_SIZE = 3 };

/* ---- building ---- */

static int copy_map(struct normalize_pieces *pieces, const struct piece_model *model,
                    const char *file)
{
    int rc = mem_alloc(&pieces->map_bytes, model->charsmap_size, 1);
    if (rc)
        return rc;
    memcpy(pieces->map_bytes, model->charsmap, model->charsmap_size);
    pieces->has_map = true;
    return charsmap_open(&pieces->map, pieces->map_bytes, model->charsmap_size, file);
}

static int copy_user_pieces(struct normalize_pieces *pieces, const struct piece_model *model)
{
    int rc = 0;
    size_t total = 0, used = 0;
    for (size_t i = 0; i < model->count; i++)
        if (model->pieces[i].type == PIECE_USER)
            total += model->pieces[i].size;
    TRY(mem_alloc(&pieces->user_texts, total, 1));
    for (size_t i = 0; i < model->count; i++) {
        const struct piece *piece = &model->pieces[i];
        if (piece->type != PIECE_USER || !piece->size)
            continue;
        memcpy(pieces->user_texts + used, piece->text, piece->size);
        TRY(prefix_set_add(&pieces->user, pieces->user_texts + used, piece->size, (int32_t)i));
        used += piece->size;
    }
out:
    prefix_set_prepare(&pieces->user);
    return rc;
}

int normalizer_from_pieces(struct normalizer **out, const struct piece_model *model,
                           bool first_only, const char *file)
{
    int rc;
    struct normalizer *normalizer = NULL;
    struct normalize_pieces *pieces;
    TRY(mem_calloc(&normalizer, 1, sizeof *normalizer));
    normalizer->steps[0].type = NORMALIZE_PIECES;
    normalizer->count = 1;
    TRY(mem_calloc(&normalizer->steps[0].pieces, 1, sizeof *pieces));
    pieces = normalizer->steps[0].pieces;
    pieces->add_prefix = model->add_prefix;
    pieces->first_only = first_only;
    pieces->remove_extra_space = model->remove_extra_space;
    pieces->escape_space = model->escape_space;
    if (model->charsmap)
        TRY(copy_map(pieces, model, file));
    TRY(copy_user_pieces(pieces, model));
    *out = normalizer;
    normalizer = NULL;
out:
    normalizer_free(normalizer);
    return rc;
}

/* ---- applying ---- */

/* What the beginning of text becomes, *result[0..*result_size), and how many bytes it takes. */
static size_t next_part(const struct normalize_pieces *pieces, const char *text, size_t size,
                        const char **result, size_t *result_size)
{
    const struct prefix_item *user = prefix_set_find(&pieces->user, text, size);
    uint32_t unused;
    size_t length = user ? user->size : 0;
    if (!length && pieces->has_map) {
        length = charsmap_find(&pieces->map, text, size, result);
        if (length) {
            *result_size = strlen(*result);
            return length;
        }
    }
    if (!length)
        length = (size_t)utf8_decode(text, size, &unused);
    *result = text;
    *result_size = length ? length : 1; /* a byte that is not UTF-8 */
    return *result_size;
}

static int add_escaped(const struct normalize_pieces *pieces, const char *text, size_t size,
                       struct strbuf *out)
{
    int rc = 0;
    while (size) {
        const char *space = pieces->escape_space ? memchr(text, ' ', size) : NULL;
        size_t plain = space ? (size_t)(space - text) : size;
        TRY(strbuf_add(out, text, plain));
        if (space)
            TRY(strbuf_add(out, space_mark, MARK_SIZE));
        plain += space != NULL;
        text += plain;
        size -= plain;
    }
out:
    return rc;
}

/* The bytes of leading parts that are spaces. */
static size_t leading_space(const struct normalize_pieces *pieces, const char *text, size_t size)
{
    size_t at = 0;
    while (at < size) {
        const char *part;
        size_t part_size, taken = next_part(pieces, text + at, size - at, &part, &part_size);
        if (part_size != 1 || part[0] != ' ')
            break;
        at += taken;
    }
    return at;
}

/* Takes white space off the end. */
static void trim(const struct normalize_pieces *pieces, size_t from, struct strbuf *out)
{
    const char *space = pieces->escape_space ? space_mark : " ";
    size_t size = strlen(space);
    while (out->length - from >= size && memcmp(out->data + out->length - size, space, size) == 0)
        out->length -= size;
    out->data[out->length] = '\0';
}

int normalize_pieces(const struct normalize_pieces *pieces, const char *text, size_t size,
                     bool at_start, struct strbuf *out)
{
    int rc = 0;
    bool remove = pieces->remove_extra_space, after_space = remove;
    size_t at = remove ? leading_space(pieces, text, size) : 0, from = out->length;
    if (at == size)
        return 0;
    if (pieces->add_prefix && (at_start || !pieces->first_only))
        TRY(add_escaped(pieces, " ", 1, out));
    if (!remove && !pieces->has_map)
        return add_escaped(pieces, text, size, out); /* user-defined pieces change nothing here */
    while (at < size) {
        const char *part;
        size_t part_size;
        at += next_part(pieces, text + at, size - at, &part, &part_size);
        while (after_space && part_size && part[0] == ' ') {
            part++;
            part_size--;
        }
        if (!part_size)
            continue;
        TRY(add_escaped(pieces, part, part_size, out));
        after_space = remove && part[part_size - 1] == ' ';
    }
    if (remove)
        trim(pieces, from, out);
out:
    return rc;
}
