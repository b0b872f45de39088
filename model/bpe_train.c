#include "model/bpe_train.h"

#include "core/err.h"
#include "core/mem.h"
#include "model/bpe_bytes.h"
#include "model/bpe_train_internal.h"

#include <stdint.h>
#include <string.h>

static const char *const default_special[] = {"<|endoftext|>", NULL};

/* A pair of adjacent tokens: how often it occurs, and a list of the words that have or had it. */
struct pair {
    uint32_t left, right;
    int64_t count;
    uint32_t words; /* head of its list within `links`; UINT32_MAX: empty */
    uint32_t step;  /* the last step that put it on the list of changed pairs */
    bool merged;
};

struct link {
    uint32_t word, next;
};

/* An entry of the heap: a pair with the count that it had when it was pushed, never less than the
 * present one. */
struct candidate {
    int64_t count;
    uint32_t left, right, pair;
};

struct trainer {
    struct bpe_learned learned;
    int64_t least_count;
    struct bpe_words words;
    uint32_t *symbols;    /* the tokens of all words; word w begins at its offset within the words'
                             pool */
    uint32_t *word_sizes; /* in tokens, as they stand */
    struct bpe_pairs pair_numbers;
    struct pair *pairs;
    size_t pair_count, pair_capacity;
    struct link *links;
    size_t link_count, link_capacity;
    struct candidate *heap;
    size_t heap_count, heap_capacity;
    uint32_t *changed; /* pairs with the new token, in this step */
    size_t changed_count, changed_capacity;
    uint32_t step;
};

static void trainer_release(struct trainer *t)
{
    bpe_strings_release(&t->learned.tokens);
    mem_free(t->learned.merges);
    bpe_words_release(&t->words);
    mem_free(t->symbols);
    mem_free(t->word_sizes);
    bpe_pairs_release(&t->pair_numbers);
    mem_free(t->pairs);
    mem_free(t->links);
    mem_free(t->heap);
    mem_free(t->changed);
}

/* ---- the heap: most frequent first, then the lowest left id, then the lowest right id ---- */

static bool goes_before(const struct candidate *a, const struct candidate *b)
{
    if (a->count != b->count)
        return a->count > b->count;
    return a->left != b->left ? a->left < b->left : a->right < b->right;
}

static int push(struct trainer *t, uint32_t pair)
{
    int rc = bpe_grow(&t->heap, &t->heap_capacity, t->heap_count + 1, sizeof *t->heap);
    if (rc)
        return rc;
    const struct pair *p = &t->pairs[pair];
    struct candidate fresh = {p->count, p->left, p->right, pair};
    size_t at = t->heap_count++;
    for (; at && goes_before(&fresh, &t->heap[(at - 1) / 2]); at = (at - 1) / 2)
        t->heap[at] = t->heap[(at - 1) / 2];
    t->heap[at] = fresh;
    return 0;
}

static struct candidate pop(struct trainer *t)
{
    struct candidate top = t->heap[0], last = t->heap[--t->heap_count];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < t->heap_count; at = child) {
        if (child + 1 < t->heap_count && goes_before(&t->heap[child + 1], &t->heap[child]))
            child++;
        if (!goes_before(&t->heap[child], &last))
            break;
        t->heap[at] = t->heap[child];
    }
    t->heap[at] = last;
    return top;
}

/* ---- counting pairs ---- */

static int pair_number(struct trainer *t, uint32_t left, uint32_t right, uint32_t *number)
{
    struct bpe_pair_slot *slot;
    bool fresh;
    int rc = bpe_pairs_add(&t->pair_numbers, left, right, &slot, &fresh);
    if (rc == 0 && fresh) {
        slot->value = (uint32_t)t->pair_count;
        if ((rc = bpe_grow(&t->pairs, &t->pair_capacity, t->pair_count + 1, sizeof *t->pairs)))
            return rc;
        t->pairs[t->pair_count++] = (struct pair){
            .left = left, .right = right, .words = UINT32_MAX};
    }
    if (rc == 0)
        *number = slot->value;
    return rc;
}

/* Pair `number` occurs in the word; words are added one after the other, so a look at the head
 * suffices. */
static int list_word(struct trainer *t, uint32_t number, uint32_t word)
{
    struct pair *pair = &t->pairs[number];
    if (pair->words != UINT32_MAX && t->links[pair->words].word == word)
        return 0;
    if (t->link_count >= UINT32_MAX)
        return err_set(ERR_MEMORY, "bpe_train: the texts have too many distinct words");
    int rc = bpe_grow(&t->links, &t->link_capacity, t->link_count + 1, sizeof *t->links);
    if (rc)
        return rc;
    t->links[t->link_count] = (struct link){word, pair->words};
    pair->words = (uint32_t)t->link_count++;
    return 0;
}

/* Adds sign times the word's count to each of its pairs. With `fresh_token`, pairs that have that
 * token are listed as changed and get the word; UINT32_MAX: all of them get it. */
static int count_pairs(struct trainer *t, uint32_t word, int sign, uint32_t fresh_token)
{
    int rc = 0;
    const uint32_t *symbols = t->symbols + t->words.words.items[word].offset;
    for (uint32_t i = 0; i + 1 < t->word_sizes[word]; i++) {
        uint32_t number;
        TRY(pair_number(t, symbols[i], symbols[i + 1], &number));
        t->pairs[number].count += sign * t->words.counts[word];
        if (sign < 0 || (fresh_token != UINT32_MAX && symbols[i] != fresh_token &&
                         symbols[i + 1] != fresh_token))
            continue;
        TRY(list_word(t, number, word));
        if (t->pairs[number].step != t->step) {
            t->pairs[number].step = t->step;
            TRY(bpe_grow(&t->changed, &t->changed_capacity, t->changed_count + 1,
                         sizeof *t->changed));
            t->changed[t->changed_count++] = number;
        }
    }
out:
    return rc;
}

static int push_changed(struct trainer *t)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < t->changed_count; i++)
        rc = push(t, t->changed[i]);
    t->changed_count = 0;
    return rc;
}

/* Words as tokens of one byte each, their pairs counted. */
static int start_pairs(struct trainer *t)
{
    int rc;
    uint32_t ids[256];
    for (int byte = 0; byte < 256; byte++) {
        char c = (char)byte;
        ids[byte] = t->learned.special_count +
                    bpe_strings_find(&t->learned.tokens, &c, 1, bpe_hash(&c, 1));
    }
    TRY(mem_alloc(&t->symbols, t->words.words.pool_size, sizeof *t->symbols));
    TRY(mem_alloc(&t->word_sizes, t->words.words.count, sizeof *t->word_sizes));
    for (size_t i = 0; i < t->words.words.pool_size; i++)
        t->symbols[i] = ids[(uint8_t)t->words.words.pool[i]];
    t->step = 1;
    for (uint32_t w = 0; w < t->words.words.count; w++) {
        t->word_sizes[w] = t->words.words.items[w].size;
        TRY(count_pairs(t, w, 1, UINT32_MAX));
    }
    TRY(push_changed(t));
out:
    return rc;
}

/* ---- merging ---- */

/* The id of left and right joined: a new one, or that of an equal token that was made of other
 * parts. */
static int join_tokens(struct trainer *t, uint32_t left, uint32_t right, uint32_t *id)
{
    int rc;
    struct bpe_strings *tokens = &t->learned.tokens;
    struct strbuf bytes = {0};
    const struct bpe_string *a = &tokens->items[left - t->learned.special_count];
    const struct bpe_string *b = &tokens->items[right - t->learned.special_count];
    TRY(strbuf_add(&bytes, tokens->pool + a->offset, a->size));
    TRY(strbuf_add(&bytes, tokens->pool + b->offset, b->size));
    TRY(bpe_strings_add(tokens, bytes.data, bytes.length, id, NULL));
    *id += t->learned.special_count;
out:
    strbuf_release(&bytes);
    return rc;
}

/* Replaces left, right by id in a word, from its start on; returns whether it was there. */
static bool merge_word(uint32_t *symbols, uint32_t *size, uint32_t left, uint32_t right,
                       uint32_t id)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < *size; i++) {
        bool here = i + 1 < *size && symbols[i] == left && symbols[i + 1] == right;
        symbols[kept++] = here ? id : symbols[i];
        i += here;
    }
    bool found = kept < *size;
    *size = kept;
    return found;
}

static bool has_pair(const uint32_t *symbols, uint32_t size, uint32_t left, uint32_t right)
{
    for (uint32_t i = 0; i + 1 < size; i++)
        if (symbols[i] == left && symbols[i + 1] == right)
            return true;
    return false;
}

static int merge_pair(struct trainer *t, uint32_t number)
{
    int rc;
    uint32_t left = t->pairs[number].left, right = t->pairs[number].right, id;
    TRY(join_tokens(t, left, right, &id));
    if (!t->pairs[number].merged) { /* a pair can come back when an equal token is made of other
                                       parts; its rank stays */
        TRY(bpe_grow(&t->learned.merges, &t->learned.merge_capacity, t->learned.merge_count + 1,
                     sizeof *t->learned.merges));
        t->learned.merges[t->learned.merge_count++] = (struct bpe_merge){left, right};
        t->pairs[number].merged = true;
    }
    t->step++;
    uint32_t at = t->pairs[number].words;
    t->pairs[number].words = UINT32_MAX;
    while (at != UINT32_MAX) {
        uint32_t word = t->links[at].word,
                 *symbols = t->symbols + t->words.words.items[word].offset;
        at = t->links[at].next;
        if (!has_pair(symbols, t->word_sizes[word], left, right))
            continue;
        TRY(count_pairs(t, word, -1, id));
        merge_word(symbols, &t->word_sizes[word], left, right, id);
        TRY(count_pairs(t, word, 1, id));
    }
    TRY(push_changed(t));
out:
    return rc;
}

static int learn(struct trainer *t, uint32_t vocabulary)
{
    int rc = 0;
    while (t->learned.special_count + t->learned.tokens.count < vocabulary && t->heap_count) {
        struct candidate top = pop(t);
        if (top.count < t->least_count)
            break;
        int64_t count = t->pairs[top.pair].count;
        if (count == top.count)
            TRY(merge_pair(t, top.pair));
        else if (count >= t->least_count)
            TRY(push(t, top.pair));
    }
out:
    return rc;
}

/* ---- */

static int check_options(const struct bpe_text *texts, size_t text_count,
                         const struct bpe_training *options, const char *const *specials)
{
    int count = 0;
    for (; specials[count]; count++) {
        const char *token = specials[count];
        if (strlen(token) < 2)
            return err_set(ERR_USAGE, "bpe_train: special token '%s' needs two characters or more",
                           token);
        for (const char *c = token; *c; c++)
            if (*c < ' ' || *c > '~')
                return err_set(
                    ERR_USAGE,
                    "bpe_train: special token '%s' has a character outside of printable ASCII",
                    token);
        for (int i = 0; i < count; i++)
            if (strcmp(specials[i], token) == 0)
                return err_set(ERR_USAGE, "bpe_train: special token '%s' is given twice", token);
    }
    if (options->vocabulary < count + 256 || options->vocabulary > 1 << 24)
        return err_set(
            ERR_USAGE,
            "bpe_train: a vocabulary of %d is outside of %d (special tokens and bytes) to %d",
            options->vocabulary, count + 256, 1 << 24);
    for (size_t i = 0; i < text_count; i++)
        if (texts[i].weight < 1)
            return err_set(ERR_USAGE, "bpe_train: text %zu has weight %d; it must be 1 or more", i,
                           texts[i].weight);
    return 0;
}

/* The bytes in the order of the characters that stand for them: the first tokens behind the special
 * ones. */
static int add_bytes(struct bpe_learned *learned)
{
    for (uint32_t c = 0; c < 0x144; c++) {
        int byte = bpe_char_to_byte(c);
        uint32_t number;
        char value = (char)byte;
        int rc = byte < 0 ? 0 : bpe_strings_add(&learned->tokens, &value, 1, &number, NULL);
        if (rc)
            return rc;
    }
    return 0;
}

int bpe_train(const struct bpe_text *texts, size_t text_count, const struct bpe_training *options,
              char **json, int *tokens)
{
    int rc;
    struct trainer t = {.least_count = options->least_count > 0 ? options->least_count : 2};
    t.learned.special_tokens = options->special_tokens ? options->special_tokens : default_special;
    TRY(check_options(texts, text_count, options, t.learned.special_tokens));
    while (t.learned.special_tokens[t.learned.special_count])
        t.learned.special_count++;
    TRY(add_bytes(&t.learned));
    TRY(bpe_count_words(&t.words, texts, text_count, t.learned.special_tokens,
                        options->individual_digits));
    if (!t.words.words.count) {
        rc = err_set(ERR_USAGE, "bpe_train: the texts are empty");
        goto out;
    }
    TRY(start_pairs(&t));
    TRY(learn(&t, (uint32_t)options->vocabulary));
    TRY(bpe_train_json(&t.learned, options, json));
    if (tokens)
        *tokens = (int)(t.learned.special_count + t.learned.tokens.count);
out:
    trainer_release(&t);
    return rc;
}
