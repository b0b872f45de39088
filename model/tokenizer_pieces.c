/* BPE of characters as a kind of tokenizer: SentencePiece's, from its own file, from a GGUF file,
 * from llama2.c's, or as Hugging Face writes it into a tokenizer.json. */
#include "core/err.h"
#include "core/mem.h"
#include "model/bpe.h"
#include "model/bpe_bytes.h"
#include "model/piece_model.h"
#include "model/prefix_set.h"
#include "model/pretokenize.h"
#include "model/tokenizer_characters.h"

#include <string.h>

static const char space_mark[] = "\xe2\x96\x81"; /* U+2581 */
enum { MARK_SIZE = 3, SPACE_MARK = 0x2581 };

/* ---- encoding ---- */

struct characters_encoder {
    const struct characters *state;
    struct bpe_encoder bpe;
    struct strbuf marked; /* what Metaspace makes of a text */
};

static int encoder_open(const struct tokenizer *tokenizer, void **out)
{
    struct characters_encoder *encoder;
    int rc = mem_calloc(&encoder, 1, sizeof *encoder);
    if (rc == 0) {
        encoder->state = tokenizer->state;
        encoder->bpe.bpe = encoder->state->bpe;
    }
    *out = encoder;
    return rc;
}

static void encoder_free(void *context)
{
    struct characters_encoder *encoder = context;
    if (encoder) {
        bpe_encoder_release(&encoder->bpe);
        strbuf_release(&encoder->marked);
    }
    mem_free(encoder);
}

/* Text without user-defined pieces: cut wherever nothing can merge across, so that words are short
 * and come again. That gives what merging the whole gives, since merges on either side of a cut
 * never meet. */
static int encode_run(struct characters_encoder *encoder, const char *text, size_t size)
{
    const struct bpe *bpe = encoder->bpe.bpe;
    int rc = 0;
    size_t start = 0, length;
    uint32_t last = 0, c;
    bool last_valid = false;
    for (size_t at = 0; at < size; at += length) {
        c = 0;
        length = (size_t)utf8_decode(text + at, size - at, &c);
        bool valid = length != 0;
        length += !valid;
        if (bpe->unknown < 0 && !bpe_has_character(bpe, text + at, length, c))
            continue; /* is left out, and its neighbours meet */
        if (at > start && !(valid && last_valid && bpe_may_join(bpe, last, c))) {
            TRY(bpe_encode_word(&encoder->bpe, text + start, at - start));
            start = at;
        }
        last = c;
        last_valid = valid;
    }
    if (start < size)
        TRY(bpe_encode_word(&encoder->bpe, text + start, size - start));
out:
    return rc;
}

/* Unknown tokens that follow each other become one. */
static void fuse_unknown(struct token_list *list, size_t from, int32_t unknown)
{
    size_t kept = from;
    for (size_t i = from; i < list->count; i++)
        if (i == from || list->ids[i] != unknown || list->ids[i - 1] != unknown)
            list->ids[kept++] = list->ids[i];
    list->count = kept;
}

/* What Hugging Face calls a word, SentencePiece the normalized text. */
static int encode_word(void *context, const char *text, size_t size)
{
    struct characters_encoder *encoder = context;
    const struct prefix_set *user = &encoder->state->user;
    struct token_list *out = encoder->bpe.out;
    const struct bpe *bpe = encoder->bpe.bpe;
    int rc = 0;
    size_t done = 0, before = out->count;
    if (bpe->whole_words)
        return bpe_encode_word(&encoder->bpe, text, size);
    for (size_t at = 0; user->count && at < size;) {
        const struct prefix_item *piece = prefix_set_find(user, text + at, size - at);
        if (!piece) {
            at++; /* pieces begin with characters, so none begins within one */
            continue;
        }
        TRY(encode_run(encoder, text + done, at - done));
        TRY(token_list_add(out, &piece->value, 1));
        done = at += piece->size;
    }
    TRY(encode_run(encoder, text + done, size - done));
    if (bpe->fuse_unknown && bpe->unknown >= 0)
        fuse_unknown(out, before, bpe->unknown);
out:
    return rc;
}

/* Each space mark begins a word. */
static int encode_marked_words(struct characters_encoder *encoder, const char *text, size_t size)
{
    int rc = 0;
    size_t start = 0;
    for (size_t at = 1; at <= size; at++)
        if (at == size ||
            (size - at >= MARK_SIZE && memcmp(text + at, space_mark, MARK_SIZE) == 0)) {
            TRY(encode_word(encoder, text + start, at - start));
            start = at;
        }
out:
    return rc;
}

/* Hugging Face's Metaspace. */
static int encode_metaspace(struct characters_encoder *encoder, const char *text, size_t size,
                            bool at_start)
{
    const struct characters *state = encoder->state;
    struct strbuf *marked = &encoder->marked;
    bool marked_already = text[0] == ' ' ||
                          (size >= MARK_SIZE && memcmp(text, space_mark, MARK_SIZE) == 0);
    int rc = 0;
    marked->length = 0;
    if (!marked_already &&
        (state->prefix == PREFIX_ALWAYS || (state->prefix == PREFIX_FIRST && at_start)))
        TRY(strbuf_add(marked, space_mark, MARK_SIZE));
    for (size_t at = 0; at < size;) {
        const char *space = memchr(text + at, ' ', size - at);
        size_t end = space ? (size_t)(space - text) : size;
        TRY(strbuf_add(marked, text + at, end - at));
        if (space)
            TRY(strbuf_add(marked, space_mark, MARK_SIZE));
        at = end + (space != NULL);
    }
    TRY(state->split ? encode_marked_words(encoder, marked->data, marked->length)
                     : encode_word(encoder, marked->data, marked->length));
out:
    return rc;
}

static int encode(void *context, const char *text, size_t size, bool at_start,
                  struct token_list *out)
{
    struct characters_encoder *encoder = context;
    encoder->bpe.out = out;
    if (encoder->state->metaspace)
        return encode_metaspace(encoder, text, size, at_start);
    if (encoder->bpe.bpe->rules)
        return pretokenizer_words(encoder->bpe.bpe->rules, text, size, encode_word, encoder);
    return encode_word(encoder, text, size);
}

static size_t lacking(const struct tokenizer *tokenizer, const char *text, size_t size)
{
    const struct characters *state = tokenizer->state;
    const struct bpe *bpe = state->bpe;
    size_t count = 0, length;
    for (size_t at = 0; at < size; at += length) {
        uint32_t c = 0;
        const char *character = text + at;
        length = (size_t)utf8_decode(character, size - at, &c);
        length += length == 0;
        bool space = *character == ' ' && bpe->byte_ids[' '] < 0;
        if (!(space ? bpe_has_character(bpe, space_mark, MARK_SIZE, SPACE_MARK)
                    : bpe_has_character(bpe, character, length, c)))
            count += length;
    }
    return count;
}

static void free_state(void *context)
{
    struct characters *state = context;
    if (!state)
        return;
    bpe_free(state->bpe);
    prefix_set_release(&state->user);
    mem_free(state->user_texts);
    mem_free(state);
}

static const struct tokenizer_kind kind_characters = {
    .name = "BPE of characters",
    .encoder_open = encoder_open,
    .encoder_free = encoder_free,
    .encode = encode,
    .lacking = lacking,
    .free = free_state,
};

int characters_start(struct tokenizer *tokenizer, struct characters **state)
{
    int rc = mem_calloc(state, 1, sizeof **state);
    if (rc)
        return rc;
    tokenizer->kind = &kind_characters;
    tokenizer->state = *state;
    if ((rc = mem_calloc(&(*state)->bpe, 1, sizeof *(*state)->bpe)) == 0)
        (*state)->bpe->unknown = -1;
    return rc;
}

/* ---- from pieces ---- */

/* Control and unknown pieces are found in the text itself, as Hugging Face's LlamaTokenizer finds
 * unk, bos and eos; tokenizer_encode_plain passes over them, as SentencePiece does. */
static int add_special_pieces(struct tokenizer *tokenizer, const struct piece_model *model,
                              bool every_control)
{
    int rc = 0;
    for (size_t i = 0; i < model->count; i++) {
        const struct piece *piece = &model->pieces[i];
        int id = (int)i;
        bool edge = id == model->unknown || id == model->bos || id == model->eos;
        if (!piece->size || (piece->type != PIECE_CONTROL && piece->type != PIECE_UNKNOWN) ||
            !(edge || every_control))
            continue;
        struct added_token token = {
            .content = piece->text, .size = piece->size, .id = id, .special = true};
        TRY(added_tokens_add(&tokenizer->added, &token));
    }
out:
    return rc;
}

static int set_user_pieces(struct characters *state, const struct tokenizer *tokenizer,
                           const struct piece_model *model)
{
    int rc = 0;
    size_t total = 0, used = 0;
    for (size_t i = 0; i < model->count; i++)
        total += model->pieces[i].type == PIECE_USER ? model->pieces[i].size : 0;
    TRY(mem_alloc(&state->user_texts, total, 1));
    for (size_t i = 0; i < model->count; i++) {
        const struct piece *piece = &model->pieces[i];
        if (piece->type != PIECE_USER || !piece->size)
            continue;
        memcpy(state->user_texts + used, piece->text, piece->size);
        TRY(prefix_set_add(&state->user, state->user_texts + used, piece->size, (int32_t)i));
        used += piece->size;
    }
out:
    prefix_set_prepare(&state->user);
    return rc;
}

/* An id that the model names, or -1 where the piece there is of another type. */
static int edge(const struct piece_model *model, int id, enum piece_type type)
{
    bool there = id >= 0 && (size_t)id < model->count && model->pieces[id].type == type;
    return there ? id : -1;
}

int tokenizer_from_pieces(struct tokenizer *tokenizer, const struct piece_model *given,
                          bool first_only, bool every_control, const char *file)
{
    int rc;
    struct characters *state;
    struct piece_model model = *given;
    if (model.count > 1 << 24)
        return err_set(ERR_FORMAT, "%s: %zu pieces are too many; at most %d are read", file,
                       model.count, 1 << 24);
    if (model.unknown >= 0 && (size_t)model.unknown >= model.count)
        return err_set(ERR_FORMAT, "%s: the unknown piece's id is %d, but there are %zu pieces",
                       file, model.unknown, model.count);
    model.bos = edge(given, given->bos, PIECE_CONTROL);
    model.eos = edge(given, given->eos, PIECE_CONTROL);
    TRY(characters_start(tokenizer, &state));
    TRY(tokenizer_set_vocabulary(tokenizer, (int)model.count));
    for (size_t i = 0; i < model.count; i++)
        TRY(bpe_set_piece(tokenizer, (int)i, model.pieces[i].text, model.pieces[i].size,
                          model.pieces[i].type == PIECE_BYTE));
    TRY(bpe_from_pieces(state->bpe, &model, file));
    TRY(set_user_pieces(state, tokenizer, &model));
    TRY(normalizer_from_pieces(&tokenizer->normalizer, &model, first_only, file));
    TRY(add_special_pieces(tokenizer, &model, every_control));
    tokenizer->bos = model.bos;
    tokenizer->eos = model.eos;
    tokenizer->adds_bos = model.bos >= 0;
    if (model.add_prefix)
        tokenizer->prefix = first_only ? PREFIX_FIRST : PREFIX_ALWAYS;
out:
    return rc;
}
