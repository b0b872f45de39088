#include "core/err.h"
#include "core/mem.h"
#include "model/bpe_bytes.h"
#include "model/pretokenize.h"
#include "model/pretokenize_steps.h"

#include <stdint.h>
#include <string.h>

/* One call of pretokenizer_words. The rules see `base`, valid UTF-8; it stands for `original`,
 * which is the same text or has a byte wherever base has one of the U+FFFD listed in `replaced`.
 * Pieces are delivered in ascending order, so that a cursor finds their place in the list. */
struct cutter {
    const struct pretokenizer *rules;
    pcre2_match_data *match; /* one serves every step: its offsets are read before the next search
                              */
    pretokenize_word *emit;
    void *context;
    const char *base, *original;
    size_t *replaced, replaced_count, cursor; /* offsets in base, ascending */
    struct strbuf spaced, word;
};

/* A stretch of a step's subject: a match, what lies between two, or several joined. */
struct stretch {
    size_t start, end;
};

/* A step at work on one piece, base[piece, piece + size). Its subject is that piece, with a space
 * before it or not. */
struct splitter {
    struct cutter *cut;
    int step;
    const char *subject;
    size_t piece, size;
    bool spaced;
    bool has_pending, previous_match;
    struct stretch pending; /* may still grow */
};

static int cut_piece(struct cutter *cut, int step, size_t start, size_t size);

/* base[start, start + size) has gone through all steps; with `spaced` a space goes before it. */
static int deliver(struct cutter *cut, size_t start, size_t size, bool spaced)
{
    const char *word = cut->base + start;
    if (cut->replaced_count) {
        size_t end = start + size;
        while (cut->cursor < cut->replaced_count && cut->replaced[cut->cursor] < start)
            cut->cursor++;
        word = cut->original + start - 2 * cut->cursor;
        for (; cut->cursor < cut->replaced_count && cut->replaced[cut->cursor] < end; cut->cursor++)
            size -= 2;
    }
    if (!spaced)
        return cut->emit(cut->context, word, size);
    cut->word.length = 0;
    int rc = strbuf_add(&cut->word, " ", 1);
    if (rc == 0)
        rc = strbuf_add(&cut->word, word, size);
    return rc ? rc : cut->emit(cut->context, cut->word.data, cut->word.length);
}

/* subject[start, end) leaves this step. Only the last step (ByteLevel) puts spaces in. */
static int pass_on(struct splitter *split, size_t start, size_t end)
{
    if (start == end)
        return 0;
    if (!split->spaced)
        return cut_piece(split->cut, split->step + 1, split->piece + start, end - start);
    bool first = start == 0;
    return deliver(split->cut, split->piece + start - !first, end - start - first, first);
}

static int flush(struct splitter *split)
{
    if (!split->has_pending)
        return 0;
    split->has_pending = false;
    return pass_on(split, split->pending.start, split->pending.end);
}

/* The next stretch of the subject: passed on, dropped, or joined with its neighbour as the behavior
 * says. */
static int feed(struct splitter *split, size_t start, size_t end, bool is_match)
{
    const struct pretokenizer_step *step = &split->cut->rules->steps[split->step];
    is_match ^= step->invert;
    bool previous = split->previous_match, join = false;
    split->previous_match = is_match;
    switch (step->behavior) {
    case ISOLATED: return pass_on(split, start, end);
    case REMOVED: return is_match ? 0 : pass_on(split, start, end);
    case MERGED_WITH_PREVIOUS: join = is_match && !previous; break;
    case MERGED_WITH_NEXT: join = !is_match && previous; break;
    case CONTIGUOUS: join = is_match == previous; break;
    }
    if (join && split->has_pending) {
        split->pending.end = end;
        return 0;
    }
    int rc = flush(split);
    split->pending = (struct stretch){start, end};
    split->has_pending = true;
    return rc;
}

/* The first match at or behind `from`; *found is 0 when there is none. */
static int search(const struct splitter *split, size_t from, bool *found, size_t *start,
                  size_t *end)
{
    const struct pretokenizer_step *step = &split->cut->rules->steps[split->step];
    pcre2_match_data *match = split->cut->match;
    PCRE2_SPTR subject = (PCRE2_SPTR)split->subject;
    int result = PCRE2_ERROR_JIT_STACKLIMIT;
    if (step->jit)
        result = pcre2_jit_match(step->code, subject, split->size, from, 0, match, NULL);
    if (result == PCRE2_ERROR_JIT_STACKLIMIT)
        result = pcre2_match(step->code, subject, split->size, from,
                             PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, match, NULL);
    *found = result != PCRE2_ERROR_NOMATCH;
    if (!*found)
        return 0;
    if (result < 0) {
        PCRE2_UCHAR text[160];
        pcre2_get_error_message(result, text, sizeof text);
        return err_set(result == PCRE2_ERROR_NOMEMORY ? ERR_MEMORY : ERR_FORMAT,
                       "tokenizer: the pre_tokenizer's pattern gave up on a piece of %zu bytes: %s",
                       split->size, (const char *)text);
    }
    const size_t *offsets = pcre2_get_ovector_pointer(match);
    *start = offsets[0];
    *end = offsets[1] > offsets[0] ? offsets[1] : offsets[0]; /* \K in a lookahead may turn them
                                                                 round */
    return 0;
}

/* Matches one after another, with what lies between them. An empty match counts, as in Hugging
 * Face's library, unless it stands at the end of the match before it; then the search goes on
 * behind the next character. */
static int split_subject(struct splitter *split)
{
    int rc = 0;
    size_t done = 0, from = 0, last = SIZE_MAX, start = 0, end = 0; /* last: the last match's end */
    while (from <= split->size) {
        bool found;
        TRY(search(split, from, &found, &start, &end));
        if (!found)
            break;
        if (start < done) /* only \K can do this */
            start = done;
        if (end < start)
            end = start;
        if (start == end && end == last) {
            uint32_t code_point;
            from += from == split->size ? 1
                                        : (size_t)utf8_decode(split->subject + from,
                                                              split->size - from, &code_point);
            continue;
        }
        if (start > done)
            TRY(feed(split, done, start, false));
        TRY(feed(split, start, end, true));
        done = from = last = end;
    }
    if (done < split->size)
        TRY(feed(split, done, split->size, false));
    rc = flush(split);
out:
    return rc;
}

/* Takes base[start, start + size) through the steps from `step` on. */
static int cut_piece(struct cutter *cut, int step, size_t start, size_t size)
{
    if (step == cut->rules->count)
        return deliver(cut, start, size, false);
    const struct pretokenizer_step *rule = &cut->rules->steps[step];
    struct splitter split = {
        .cut = cut, .step = step, .piece = start, .size = size, .subject = cut->base + start};
    split.spaced = rule->add_space && split.subject[0] != ' ';
    if (!rule->code)
        return deliver(cut, start, size, split.spaced);
    if (split.spaced) {
        cut->spaced.length = 0;
        int rc = strbuf_add(&cut->spaced, " ", 1);
        if (rc == 0)
            rc = strbuf_add(&cut->spaced, cut->base + start, size);
        if (rc)
            return rc;
        split.subject = cut->spaced.data;
        split.size = size + 1;
    }
    return split_subject(&split);
}

/* *copy = text with U+FFFD for each byte that is not UTF-8, its places in cut->replaced. */
static int replace_invalid(struct cutter *cut, const char *text, size_t size, char **copy,
                           size_t *copy_size)
{
    static const char replacement[] = "\xef\xbf\xbd";
    size_t invalid = 0, used = 0, listed = 0;
    for (size_t at = 0; (at += utf8_valid_prefix(text + at, size - at)) < size; at++)
        invalid++;
    if (invalid > (SIZE_MAX - size) / 2)
        return err_set(ERR_MEMORY, "tokenizer: a text of %zu bytes is too long", size);
    int rc = mem_alloc(copy, size + 2 * invalid, 1);
    if (rc == 0)
        rc = mem_alloc(&cut->replaced, invalid, sizeof *cut->replaced);
    if (rc)
        return rc;
    for (size_t at = 0;; at++) {
        size_t valid = utf8_valid_prefix(text + at, size - at);
        memcpy(*copy + used, text + at, valid);
        used += valid;
        if ((at += valid) >= size)
            break;
        cut->replaced[listed++] = used;
        memcpy(*copy + used, replacement, 3);
        used += 3;
    }
    cut->replaced_count = listed;
    *copy_size = used;
    return 0;
}

int pretokenizer_words(const struct pretokenizer *rules, const char *text, size_t size,
                       pretokenize_word *emit, void *context)
{
    int rc = 0;
    char *copy = NULL;
    struct cutter cut = {
        .rules = rules, .emit = emit, .context = context, .base = text, .original = text};
    if (size == 0)
        return 0;
    if (!(cut.match = pcre2_match_data_create(1, rules->memory)))
        return err_set(ERR_MEMORY, "out of memory for a pattern's matches");
    if (utf8_valid_prefix(text, size) < size) {
        TRY(replace_invalid(&cut, text, size, &copy, &size));
        cut.base = copy;
    }
    TRY(cut_piece(&cut, 0, 0, size));
out:
    pcre2_match_data_free(cut.match);
    strbuf_release(&cut.spaced);
    strbuf_release(&cut.word);
    mem_free(cut.replaced);
    mem_free(copy);
    return rc;
}
