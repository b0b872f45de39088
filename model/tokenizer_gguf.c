/* The tokenizer within a GGUF file: keys tokenizer.ggml.*, by llama.cpp's conventions. */
#include "core/err.h"
#include "core/mem.h"
#include "model/bpe_bytes.h"
#include "model/gguf.h"
#include "model/pretokenize.h"
#include "model/tokenizer_kind.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define KEY "tokenizer.ggml."

/* What the metadata holds, before it is a tokenizer. */
struct contents {
    const struct gguf *gguf;
    const char *file;
    char pre[64]; /* which words; "" where it is not said */
    struct gguf_text *tokens, *merges;
    size_t token_count, merge_count;
    int64_t *types; /* enum piece_type; NULL: all normal */
    float *scores;  /* NULL but for SentencePiece */
    int64_t unknown, bos, eos;
};

static void release(struct contents *all)
{
    mem_free(all->tokens);
    mem_free(all->merges);
    mem_free(all->types);
    mem_free(all->scores);
}

/* ---- the words of byte-level BPE ---- */

/* `pre` names of llama.cpp and what they stand for. */
static const struct rules {
    const char *name;
    enum { RULES_GPT2, RULES_DIGITS, RULES_LLAMA3, RULES_QWEN2 } kind;
} rules[] = {
    {"gpt-2", RULES_GPT2},       {"phi-2", RULES_GPT2},
    {"olmo", RULES_GPT2},        {"mpt", RULES_GPT2},
    {"smollm", RULES_DIGITS},    {"starcoder", RULES_DIGITS},
    {"refact", RULES_DIGITS},    {"command-r", RULES_DIGITS},
    {"codeshell", RULES_DIGITS}, {"llama-bpe", RULES_LLAMA3},
    {"llama3", RULES_LLAMA3},    {"llama-v3", RULES_LLAMA3},
    {"qwen2", RULES_QWEN2},      {"deepseek-r1-qwen", RULES_QWEN2},
};
enum { RULES = sizeof rules / sizeof *rules };

/* LLaMA 3's and Qwen2's words: contractions, letters with one sign before them, digits, signs, line
 * ends, white space. */
#define TIKTOKEN(digits)                                                                           \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}" digits                     \
    "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

static json_t *split_json(const char *pattern)
{
    return json_pack("{s:s, s:[{s:s, s:{s:s}, s:s, s:b}, {s:s, s:b, s:b}]}", "type", "Sequence",
                     "pretokenizers", "type", "Split", "pattern", "Regex", pattern, "behavior",
                     "Isolated", "invert", 0, "type", "ByteLevel", "add_prefix_space", 0,
                     "use_regex", 0);
}

static int find_rules(const struct contents *all, const struct rules **found)
{
    for (int i = 0; i < RULES; i++)
        if (strcmp(rules[i].name, all->pre) == 0) {
            *found = &rules[i];
            return 0;
        }
    return err_set(ERR_FORMAT,
                   "%s: " KEY "pre is '%s': how such a tokenizer cuts words is not known here; "
                   "known are gpt-2, smollm, starcoder, refact, command-r, codeshell, phi-2, olmo, "
                   "mpt, llama-bpe, qwen2",
                   all->file, all->pre);
}

/* ---- byte-level BPE, as a tokenizer.json would say it ---- */

static int type_of(const struct contents *all, size_t id)
{
    return all->types ? (int)all->types[id] : PIECE_NORMAL;
}

static json_t *text_json(const struct gguf_text *text)
{
    return memchr(text->text, 0, text->size) ? NULL : json_stringn(text->text, text->size);
}

static int add_vocabulary(const struct contents *all, json_t *vocabulary, json_t *added)
{
    for (size_t id = 0; id < all->token_count; id++) {
        const struct gguf_text *text = &all->tokens[id];
        int type = type_of(all, id);
        json_t *token = text_json(text);
        if (!token)
            return err_set(ERR_FORMAT, "%s: " KEY "tokens: number %zu is not UTF-8 text", all->file,
                           id);
        if (type == PIECE_CONTROL || type == PIECE_USER || type == PIECE_UNKNOWN)
            json_array_append_new(added,
                                  json_pack("{s:I, s:O, s:b, s:b}", "id", (json_int_t)id, "content",
                                            token, "special", type != PIECE_USER, "normalized", 0));
        int failed = json_object_setn_new(vocabulary, text->text, text->size,
                                          json_integer((json_int_t)id));
        json_decref(token);
        if (failed)
            return err_set(ERR_MEMORY, "%s: out of memory for the vocabulary", all->file);
    }
    if (json_object_size(vocabulary) != all->token_count)
        return err_set(ERR_FORMAT, "%s: " KEY "tokens: %zu of %zu are there twice", all->file,
                       all->token_count - json_object_size(vocabulary), all->token_count);
    return 0;
}

static int add_merges(const struct contents *all, json_t *merges)
{
    for (size_t i = 0; i < all->merge_count; i++)
        if (json_array_append_new(merges, text_json(&all->merges[i])) != 0)
            return err_set(ERR_FORMAT, "%s: " KEY "merges: number %zu is not UTF-8 text", all->file,
                           i);
    return 0;
}

static int add_rules(const struct rules *found, json_t *root)
{
    json_t *words = found->kind == RULES_LLAMA3 ? split_json(TIKTOKEN("{1,3}"))
                    : found->kind == RULES_QWEN2
                        ? split_json(TIKTOKEN(""))
                        : pretokenizer_gpt2_json(found->kind == RULES_DIGITS);
    int failed = json_object_set_new(root, "pre_tokenizer", words);
    if (found->kind == RULES_QWEN2)
        failed |= json_object_set_new(root, "normalizer", json_pack("{s:s}", "type", "NFC"));
    return failed;
}

static int build_bytes(struct tokenizer *tokenizer, const struct contents *all)
{
    int rc;
    const struct rules *found = NULL;
    json_t *vocabulary = json_object(), *merges = json_array(), *added = json_array();
    json_t *root = json_pack("{s:{s:s, s:O, s:O}, s:O}", "model", "type", "BPE", "vocab",
                             vocabulary, "merges", merges, "added_tokens", added);
    TRY(root ? 0 : err_set(ERR_MEMORY, "%s: out of memory for the vocabulary", all->file));
    TRY(find_rules(all, &found));
    TRY(add_vocabulary(all, vocabulary, added));
    TRY(add_merges(all, merges));
    if (add_rules(found, root) ||
        json_object_set_new(json_object_get(root, "model"), "ignore_merges",
                            json_boolean(found->kind == RULES_LLAMA3))) {
        rc = err_set(ERR_MEMORY, "%s: out of memory for the pre-tokenizer", all->file);
        goto out;
    }
    TRY(tokenizer_from_json(tokenizer, root, all->file));
    tokenizer->adds_bos = found->kind == RULES_LLAMA3;
out:
    json_decref(root);
    json_decref(vocabulary);
    json_decref(merges);
    json_decref(added);
    return rc;
}

/* ---- SentencePiece ---- */

static int build_pieces(struct tokenizer *tokenizer, const struct contents *all)
{
    int rc;
    struct piece_model model = {.unknown = (int)all->unknown,
                                .bos = (int)all->bos,
                                .eos = (int)all->eos,
                                .escape_space = true};
    for (size_t id = 0; id < all->token_count; id++) {
        struct piece piece = {.text = all->tokens[id].text,
                              .size = all->tokens[id].size,
                              .score = all->scores[id],
                              .type = (enum piece_type)type_of(all, id)};
        if (piece.type < PIECE_NORMAL || piece.type > PIECE_BYTE)
            piece.type = PIECE_UNUSED; /* llama.cpp's "undefined" */
        model.byte_fallback = model.byte_fallback || piece.type == PIECE_BYTE;
        TRY(piece_model_add(&model, &piece));
    }
    TRY(gguf_bool(all->gguf, KEY "add_space_prefix", true, &model.add_prefix));
    TRY(gguf_bool(all->gguf, KEY "remove_extra_whitespaces", false, &model.remove_extra_space));
    TRY(tokenizer_from_pieces(tokenizer, &model, false, true, all->file));
out:
    piece_model_release(&model);
    return rc;
}

/* ---- reading ---- */

static int check_count(const struct contents *all, const char *key, size_t count)
{
    if (count == all->token_count)
        return 0;
    return err_set(ERR_FORMAT, "%s: %s has %zu values for %zu tokens", all->file, key, count,
                   all->token_count);
}

static int read_contents(struct contents *all, bool pieces)
{
    int rc;
    size_t count = 0;
    struct gguf_text pre = {"", 0};
    const struct gguf *gguf = all->gguf;
    TRY(gguf_texts(gguf, KEY "tokens", &all->tokens, &all->token_count));
    const int64_t last = (int64_t)all->token_count - 1;
    if (last < 0 || last >= 1 << 24) {
        rc = err_set(ERR_FORMAT, "%s: " KEY "tokens has %zu tokens; expected 1 to %d", all->file,
                     all->token_count, 1 << 24);
        goto out;
    }
    if (gguf_has(gguf, KEY "token_type")) {
        TRY(gguf_ints(gguf, KEY "token_type", &all->types, &count));
        TRY(check_count(all, KEY "token_type", count));
    }
    if (pieces) {
        TRY(gguf_reals(gguf, KEY "scores", &all->scores, &count));
        TRY(check_count(all, KEY "scores", count));
    } else {
        TRY(gguf_texts(gguf, KEY "merges", &all->merges, &all->merge_count));
        if (gguf_has(gguf, KEY "pre"))
            TRY(gguf_text(gguf, KEY "pre", &pre));
        snprintf(all->pre, sizeof all->pre, "%.*s", pre.size > 63 ? 63 : (int)pre.size, pre.text);
    }
    TRY(gguf_int(gguf, KEY "unknown_token_id", -1, last, pieces ? 0 : -1, &all->unknown));
    TRY(gguf_int(gguf, KEY "bos_token_id", -1, last, pieces && last > 0 ? 1 : -1, &all->bos));
    TRY(gguf_int(gguf, KEY "eos_token_id", -1, last, pieces && last > 1 ? 2 : -1, &all->eos));
out:
    return rc;
}

static void add_text(struct hash *hash, const struct gguf_text *texts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        hash_add(hash, texts[i].text, texts[i].size);
        hash_add(hash, "\n", 1);
    }
}

static void add_contents(const struct contents *all, struct hash *hash)
{
    char ends[160];
    snprintf(ends, sizeof ends, "%s %" PRId64 " %" PRId64 " %" PRId64 "\n", all->pre, all->unknown,
             all->bos, all->eos);
    hash_add(hash, ends, strlen(ends));
    add_text(hash, all->tokens, all->token_count);
    add_text(hash, all->merges, all->merge_count);
    if (all->types)
        hash_add(hash, all->types, all->token_count * sizeof *all->types);
    if (all->scores)
        hash_add(hash, all->scores, all->token_count * sizeof *all->scores);
}

int tokenizer_from_gguf(struct tokenizer *tokenizer, const struct gguf *gguf, struct hash *hash)
{
    int rc;
    struct contents all = {.gguf = gguf, .file = gguf_path(gguf)};
    struct gguf_text model;
    bool add_bos;
    TRY(gguf_text(gguf, KEY "model", &model));
    bool pieces = model.size == 5 && memcmp(model.text, "llama", 5) == 0;
    if (!pieces && !(model.size == 4 && memcmp(model.text, "gpt2", 4) == 0)) {
        rc = err_set(ERR_FORMAT,
                     "%s: " KEY "model '%.*s' is not supported; supported: gpt2 (byte-level BPE), "
                     "llama (SentencePiece)",
                     all.file, model.size > 40 ? 40 : (int)model.size, model.text);
        goto out;
    }
    TRY(read_contents(&all, pieces));
    TRY(pieces ? build_pieces(tokenizer, &all) : build_bytes(tokenizer, &all));
    if (all.bos >= 0)
        tokenizer->bos = (int)all.bos;
    if (all.eos >= 0)
        tokenizer->eos = (int)all.eos;
    TRY(gguf_bool(gguf, KEY "add_bos_token", tokenizer->adds_bos, &add_bos));
    tokenizer->adds_bos = add_bos && tokenizer->bos >= 0;
    add_contents(&all, hash);
out:
    release(&all);
    return rc;
}
