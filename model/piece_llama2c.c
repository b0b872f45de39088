/* llama2.c's tokenizer.bin: the longest piece's length, then score, length and text of each. */
#include "core/err.h"
#include "core/mem.h"
#include "model/bpe_table.h"
#include "model/piece_model.h"

#include <string.h>

static uint32_t word_at(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

/* The next record at *at, which goes behind it; false when there is none that is whole. */
static bool next_record(const uint8_t *bytes, size_t size, size_t *at, struct piece *piece)
{
    if (size - *at < 8)
        return false;
    uint32_t bits = word_at(bytes + *at), length = word_at(bytes + *at + 4);
    if (length > size - *at - 8 || length > word_at(bytes))
        return false;
    memcpy(&piece->score, &bits, sizeof piece->score);
    piece->text = (const char *)bytes + *at + 8;
    piece->size = length;
    *at += 8 + length;
    return true;
}

bool piece_model_is_llama2c(const void *bytes, size_t size)
{
    struct piece piece;
    size_t at = 4, count = 0;
    if (size < 4 || word_at(bytes) > PIECE_BYTES_LIMIT)
        return false;
    while (at < size && next_record(bytes, size, &at, &piece))
        count++;
    return at == size && count >= 3;
}

static int add_escaped(struct strbuf *texts, const struct piece *piece)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < piece->size; i++)
        rc = piece->text[i] == ' ' ? strbuf_add(texts, "\xe2\x96\x81", 3)
                                   : strbuf_add(texts, piece->text + i, 1);
    return rc;
}

int piece_model_read_llama2c(struct piece_model *out, const void *bytes, size_t size,
                             const char *file, char **texts)
{
    int rc;
    static const struct piece ends[] = {{"<unk>", 5, 0, PIECE_UNKNOWN},
                                        {"<s>", 3, 0, PIECE_CONTROL},
                                        {"</s>", 4, 0, PIECE_CONTROL}};
    struct piece_model model = {
        .unknown = 0, .bos = 1, .eos = 2, .add_prefix = true, .escape_space = true};
    struct strbuf all = {0};
    struct piece piece;
    size_t at = 4, number = 0;
    if (!piece_model_is_llama2c(bytes, size))
        return err_set(ERR_FORMAT,
                       "%s: is not llama2.c's tokenizer: its records do not end with the file",
                       file);
    /* Room for every text beforehand, so that pieces may point into it. */
    TRY(mem_resize(&all.data, 0, 3 * size + 1, 1));
    all.capacity = 3 * size + 1;
    while (next_record(bytes, size, &at, &piece)) {
        size_t start = all.length;
        piece.type = PIECE_NORMAL;
        TRY(add_escaped(&all, &piece));
        piece.text = all.data + start;
        piece.size = all.length - start;
        if (number < 3)
            piece = ends[number];
        else if (number < 3 + 256 && piece_byte(piece.text, piece.size) == (int)number - 3)
            piece.type = PIECE_BYTE;
        model.byte_fallback = model.byte_fallback || piece.type == PIECE_BYTE;
        TRY(piece_model_add(&model, &piece));
        number++;
    }
    *out = model;
    *texts = all.data;
    model = (struct piece_model){0};
    all = (struct strbuf){0};
out:
    piece_model_release(&model);
    strbuf_release(&all);
    return rc;
}
