/* Unicode's normalization forms (UAX 15) and lower case. utf8proc has the tables; marks are put in
 * order here, since its own way takes time that is quadratic in a run of them. */
#include "core/err.h"
#include "model/bpe_bytes.h"
#include "model/bpe_table.h"
#include "model/normalizer_steps.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

struct code_points {
    int32_t *points;
    size_t count, capacity;
};

static int decompose(struct code_points *all, uint32_t c, int options)
{
    enum { LONGEST = 64 }; /* U+FDFA becomes 18 */
    int last_class = 0;
    int rc = bpe_grow(&all->points, &all->capacity, all->count + LONGEST, sizeof *all->points);
    if (rc)
        return rc;
    utf8proc_ssize_t count = utf8proc_decompose_char((utf8proc_int32_t)c, all->points + all->count,
                                                     LONGEST, (utf8proc_option_t)options,
                                                     &last_class);
    if (count < 0 || count > LONGEST) { /* no code point that utf8proc knows; it stands for itself
                                         */
        all->points[all->count] = (int32_t)c;
        count = 1;
    }
    all->count += (size_t)count;
    return 0;
}

static int class_of(int32_t c)
{
    return utf8proc_get_property(c)->combining_class;
}

static int by_key(const void *left, const void *right)
{
    uint64_t a, b;
    memcpy(&a, left, sizeof a);
    memcpy(&b, right, sizeof b);
    return a < b ? -1 : a > b;
}

/* Every run of marks in ascending order of their classes, equal ones as they stand. */
static int order_marks(struct code_points *all)
{
    int rc = 0;
    uint64_t *keys = NULL; /* class, place within the run, code point */
    size_t capacity = 0;
    for (size_t at = 0, end; at < all->count; at = end + 1) {
        for (end = at; end < all->count && class_of(all->points[end]); end++)
            ;
        if (end - at < 2)
            continue;
        TRY(bpe_grow(&keys, &capacity, end - at, sizeof *keys));
        for (size_t i = at; i < end; i++)
            keys[i - at] = (uint64_t)class_of(all->points[i]) << 56 | (uint64_t)(i - at) << 24 |
                           (uint32_t)all->points[i];
        qsort(keys, end - at, sizeof *keys, by_key);
        for (size_t i = at; i < end; i++)
            all->points[i] = (int32_t)(keys[i - at] & 0xffffff);
    }
out:
    mem_free(keys);
    return rc;
}

static int add_points(const struct code_points *all, struct strbuf *out)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < all->count; i++) {
        char bytes[4];
        rc = strbuf_add(out, bytes, (size_t)utf8_encode((uint32_t)all->points[i], bytes));
    }
    return rc;
}

/* Lower case of a character alone, as Unicode's SpecialCasing has it without conditions: U+0130 is
 * the one that becomes two. */
static int lower(struct code_points *all, uint32_t c)
{
    int rc = bpe_grow(&all->points, &all->capacity, all->count + 2, sizeof *all->points);
    if (rc)
        return rc;
    all->points[all->count++] = c == 0x130 ? 'i' : utf8proc_tolower((utf8proc_int32_t)c);
    if (c == 0x130)
        all->points[all->count++] = 0x307;
    return 0;
}

/* A stretch of valid UTF-8. */
static int convert(enum normalizer_type type, const char *text, size_t size, struct strbuf *out,
                   struct code_points *all)
{
    int rc = 0;
    bool compose = type == NORMALIZE_NFC || type == NORMALIZE_NFKC;
    int options = UTF8PROC_STABLE | (compose ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE) |
                  (type == NORMALIZE_NFKC || type == NORMALIZE_NFKD ? UTF8PROC_COMPAT : 0);
    all->count = 0;
    for (size_t at = 0; at < size;) {
        uint32_t c = 0;
        at += (size_t)utf8_decode(text + at, size - at, &c);
        TRY(type == NORMALIZE_LOWERCASE ? lower(all, c) : decompose(all, c, options));
    }
    if (type != NORMALIZE_LOWERCASE)
        TRY(order_marks(all));
    if (compose) {
        utf8proc_ssize_t count = utf8proc_normalize_utf32(all->points, (utf8proc_ssize_t)all->count,
                                                          (utf8proc_option_t)options);
        if (count >= 0)
            all->count = (size_t)count;
    }
    TRY(add_points(all, out));
out:
    return rc;
}

/* Where the ASCII characters from `at` on end. No form joins such a character to what precedes it,
 * and alone it stays as it is. */
static size_t plain_end(const char *text, size_t size, size_t at)
{
    while (at < size && (uint8_t)text[at] < 0x80)
        at++;
    return at;
}

int normalize_unicode(enum normalizer_type type, const char *text, size_t size, struct strbuf *out)
{
    int rc = 0;
    struct code_points all = {0};
    bool lowercase = type == NORMALIZE_LOWERCASE;
    for (size_t at = 0; at < size;) {
        size_t plain = lowercase ? at : plain_end(text, size, at), end;
        plain -= plain > at && plain < size; /* the last may take a mark */
        TRY(strbuf_add(out, text + at, plain - at));
        if (plain == size)
            break;
        for (end = plain + 1; end < size && (lowercase || (uint8_t)text[end] >= 0x80); end++)
            ;
        while (plain < end) {
            size_t valid = utf8_valid_prefix(text + plain, end - plain);
            TRY(convert(type, text + plain, valid, out, &all));
            plain += valid;
            if (plain < end)
                TRY(strbuf_add(out, text + plain++, 1));
        }
        at = end;
    }
out:
    mem_free(all.points);
    return rc;
}
