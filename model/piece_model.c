#include "model/piece_model.h"

#include "core/err.h"
#include "core/mem.h"
#include "model/bpe_table.h"
#include "model/protobuf.h"

#include <limits.h>
#include <string.h>

/* Field numbers and defaults are those of sentencepiece_model.proto. */
enum { MODEL_PIECE = 1, MODEL_TRAINER = 2, MODEL_NORMALIZER = 3 };
enum { KIND_UNIGRAM = 1, KIND_BPE = 2, KIND_WORD = 3, KIND_CHAR = 4 };

int piece_model_add(struct piece_model *model, const struct piece *piece)
{
    int rc = bpe_grow(&model->pieces, &model->capacity, model->count + 1, sizeof *model->pieces);
    if (rc == 0)
        model->pieces[model->count++] = *piece;
    return rc;
}

void piece_model_release(struct piece_model *model)
{
    mem_free(model->pieces);
    *model = (struct piece_model){0};
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int piece_byte(const char *text, size_t size)
{
    if (size != 6 || memcmp(text, "<0x", 3) != 0 || text[5] != '>' || digit(text[3]) < 0 ||
        digit(text[4]) < 0)
        return -1;
    return digit(text[3]) * 16 + digit(text[4]);
}

/* What a message inside of the model is read with. */
struct reading {
    struct piece_model *model;
    int64_t kind;
    const uint8_t *start; /* of the file */
    const char *file;
};

static int malformed(const struct reading *reading, const struct protobuf *reader, const char *what)
{
    return err_set(ERR_FORMAT,
                   "%s: byte %zu: no field of %s begins here; the file is cut off, or it is no "
                   "SentencePiece model",
                   reading->file, (size_t)(reader->at - reading->start), what);
}

/* int32 fields are written as 64 bits, negative ones with all high bits set. */
static int to_int(const struct protobuf_field *field)
{
    int64_t value = (int64_t)field->value;
    return value < INT_MIN || value > INT_MAX ? -1 : (int)value;
}

static int read_piece(struct reading *reading, struct protobuf reader)
{
    struct protobuf_field field;
    struct piece piece = {.text = "", .type = PIECE_NORMAL};
    int64_t type = PIECE_NORMAL;
    int more;
    while ((more = protobuf_next(&reader, &field)) > 0) {
        if (field.number == 1 && field.wire == PROTOBUF_BYTES) {
            piece.text = (const char *)field.bytes;
            piece.size = field.size;
        } else if (field.number == 2 && field.wire == PROTOBUF_FIXED32) {
            piece.score = protobuf_float(&field);
        } else if (field.number == 3 && field.wire == PROTOBUF_VARINT) {
            type = (int64_t)field.value;
        }
    }
    if (more < 0)
        return malformed(reading, &reader, "a piece");
    if (type < PIECE_NORMAL || type > PIECE_BYTE)
        return err_set(ERR_FORMAT, "%s: piece %zu has type %lld; known are 1 to 6", reading->file,
                       reading->model->count, (long long)type);
    piece.type = (enum piece_type)type;
    if (piece.type == PIECE_UNUSED) /* built by merging, then taken apart again */
        return err_set(ERR_FORMAT, "%s: piece %zu is of type UNUSED, which is not supported",
                       reading->file, reading->model->count);
    return piece_model_add(reading->model, &piece);
}

static int read_trainer(struct reading *reading, struct protobuf reader)
{
    struct protobuf_field field;
    struct piece_model *model = reading->model;
    int more;
    while ((more = protobuf_next(&reader, &field)) > 0) {
        if (field.wire != PROTOBUF_VARINT)
            continue;
        switch (field.number) {
        case 3: reading->kind = (int64_t)field.value; break;
        case 35: model->byte_fallback = field.value != 0; break;
        case 40: model->unknown = to_int(&field); break;
        case 41: model->bos = to_int(&field); break;
        case 42: model->eos = to_int(&field); break;
        case 24:
            if (field.value)
                return err_set(ERR_FORMAT,
                               "%s: treat_whitespace_as_suffix is not supported; the model must "
                               "be trained without it",
                               reading->file);
            break;
        default: break;
        }
    }
    return more < 0 ? malformed(reading, &reader, "the trainer's settings") : 0;
}

static int read_normalizer(struct reading *reading, struct protobuf reader)
{
    struct protobuf_field field;
    struct piece_model *model = reading->model;
    int more;
    while ((more = protobuf_next(&reader, &field)) > 0) {
        if (field.number == 2 && field.wire == PROTOBUF_BYTES) {
            model->charsmap = field.size ? field.bytes : NULL;
            model->charsmap_size = field.size;
        } else if (field.wire == PROTOBUF_VARINT) {
            bool set = field.value != 0;
            if (field.number == 3)
                model->add_prefix = set;
            else if (field.number == 4)
                model->remove_extra_space = set;
            else if (field.number == 5)
                model->escape_space = set;
        }
    }
    return more < 0 ? malformed(reading, &reader, "the normalizer's settings") : 0;
}

static int read_messages(struct reading *reading, struct protobuf *reader)
{
    struct protobuf_field field;
    int rc = 0, more;
    while (rc == 0 && (more = protobuf_next(reader, &field)) > 0) {
        if (field.wire != PROTOBUF_BYTES)
            continue;
        struct protobuf inside = {field.bytes, field.bytes, field.bytes + field.size};
        if (field.number == MODEL_PIECE)
            rc = read_piece(reading, inside);
        else if (field.number == MODEL_TRAINER)
            rc = read_trainer(reading, inside);
        else if (field.number == MODEL_NORMALIZER)
            rc = read_normalizer(reading, inside);
    }
    return rc ? rc : more < 0 ? malformed(reading, reader, "the model") : 0;
}

int piece_model_read(struct piece_model *out, const void *bytes, size_t size, const char *file)
{
    int rc = 0;
    static const char *const kinds[] = {"", "unigram", "BPE", "word", "char"};
    struct piece_model model = {
        .bos = 1, .eos = 2, .add_prefix = true, .remove_extra_space = true, .escape_space = true};
    struct reading reading = {.model = &model, .kind = KIND_UNIGRAM, .start = bytes, .file = file};
    struct protobuf reader = {bytes, bytes, NULL};
    if (!size)
        return err_set(ERR_FORMAT, "%s: is empty", file);
    reader.end = reader.start + size;
    TRY(read_messages(&reading, &reader));
    if (!model.count)
        rc = err_set(ERR_FORMAT, "%s: has no pieces; is it a SentencePiece model?", file);
    else if (reading.kind != KIND_BPE)
        rc = err_set(ERR_FORMAT,
                     "%s: is a SentencePiece model of type %s; only BPE is supported, which LLaMA "
                     "and its relatives have",
                     file,
                     reading.kind > 0 && reading.kind <= KIND_CHAR ? kinds[reading.kind] : "?");
    if (rc == 0) {
        *out = model;
        model = (struct piece_model){0};
    }
out:
    piece_model_release(&model);
    return rc;
}
