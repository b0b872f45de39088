#include "model/zip.h"

#include "core/err.h"
#include "model/tensor_part.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of the fixed parts: an entry's header before its data, its line in the directory, the
 * directory's end, and of zip64 the end and the locator of that. */
enum { LOCAL = 30, LINE = 46, END = 22, END64 = 56, LOCATOR64 = 20, COMMENT_LIMIT = 65535 };

static const uint32_t LOCAL_MARK = 0x04034b50, LINE_MARK = 0x02014b50, END_MARK = 0x06054b50,
                      END64_MARK = 0x06064b50, LOCATOR64_MARK = 0x07064b50;

struct reading {
    const uint8_t *bytes;
    size_t size;
    const char *path;
    struct arena *memory;
    size_t directory; /* where it begins: entries end before */
};

static uint64_t number(const uint8_t *bytes, int count)
{
    uint64_t value = 0;
    for (int i = count - 1; i >= 0; i--)
        value = value << 8 | bytes[i];
    return value;
}

/* *at = where the directory's end begins: the last place with its mark whose comment ends with the
 * file. */
static int find_end(const struct reading *r, size_t *at)
{
    size_t least = r->size > END + COMMENT_LIMIT ? r->size - END - COMMENT_LIMIT : 0;
    for (size_t i = r->size < END ? 0 : r->size - END + 1; i > least; i--) {
        const uint8_t *end = r->bytes + i - 1;
        if (number(end, 4) == END_MARK && number(end + 20, 2) == r->size - (i - 1) - END) {
            *at = i - 1;
            return 0;
        }
    }
    return err_set(ERR_FORMAT,
                   "%s: the table of contents at the end of the zip file is missing (truncated?)",
                   r->path);
}

/* *count lines of the directory are the *size bytes from r->directory on. */
static int find_directory(struct reading *r, uint64_t *count, uint64_t *size)
{
    size_t at = 0;
    int rc = find_end(r, &at);
    if (rc)
        return rc;
    const uint8_t *end = r->bytes + at;
    uint64_t start = number(end + 16, 4), limit = at;
    *count = number(end + 10, 2);
    *size = number(end + 12, 4);
    if (at >= LOCATOR64 && number(end - LOCATOR64, 4) == LOCATOR64_MARK) {
        limit = number(end - LOCATOR64 + 8, 8);
        if (limit > at - LOCATOR64 || at - LOCATOR64 - limit < END64 ||
            number(r->bytes + limit, 4) != END64_MARK)
            return err_set(ERR_FORMAT,
                           "%s: the zip64 table is said to end at byte %" PRIu64 ", where it does "
                           "not",
                           r->path, limit);
        *count = number(r->bytes + limit + 32, 8);
        *size = number(r->bytes + limit + 40, 8);
        start = number(r->bytes + limit + 48, 8);
    }
    if (start > limit || *size > limit - start)
        return err_set(ERR_FORMAT,
                       "%s: the table of contents, %" PRIu64 " bytes from byte %" PRIu64
                       ", does not lie before byte %" PRIu64 ", its end",
                       r->path, *size, start, limit);
    if (*count > *size / LINE)
        return err_set(ERR_FORMAT,
                       "%s: %" PRIu64 " entries do not go into a table of contents of %" PRIu64
                       " bytes",
                       r->path, *count, *size);
    r->directory = (size_t)start;
    return 0;
}

/* The sizes and the place that do not go into 32 bits are in an extra field: those with all bits
 * set, in this order. */
static int read_zip64(const struct reading *r, const char *name, const uint8_t *extra, size_t size,
                      uint64_t *const values[3])
{
    size_t field = 0;
    while (size >= 4 && number(extra, 2) != 1) {
        size_t skip = 4 + (size_t)number(extra + 2, 2);
        skip = skip < size ? skip : size;
        extra += skip;
        size -= skip;
    }
    if (size >= 4 && number(extra + 2, 2) <= size - 4)
        field = (size_t)number(extra + 2, 2);
    for (int i = 0, used = 0; i < 3; i++) {
        if (*values[i] != UINT32_MAX)
            continue;
        if (field < (size_t)used + 8)
            return err_set(ERR_FORMAT, "%s: entry '%s' lacks its 64-bit size or place", r->path,
                           name);
        *values[i] = number(extra + 4 + used, 8);
        used += 8;
    }
    return 0;
}

static int check_kind(const struct reading *r, const char *name, const uint8_t *line,
                      uint64_t packed, uint64_t plain)
{
    if (number(line + 8, 2) & 1)
        return err_set(ERR_FORMAT, "%s: entry '%s' is encrypted", r->path, name);
    if (number(line + 10, 2) != 0)
        return err_set(ERR_FORMAT,
                       "%s: entry '%s' is compressed, which torch.save never does: unpack the file "
                       "and zip it again with `zip -0 -r`",
                       r->path, name);
    if (packed != plain)
        return err_set(ERR_FORMAT,
                       "%s: entry '%s' is stored as it is, but has two sizes, %" PRIu64
                       " and %" PRIu64,
                       r->path, name, packed, plain);
    return 0;
}

/* *at, *left: the rest of the directory. */
static int read_line(const struct reading *r, struct zip_entry *entry, size_t *at, uint64_t *left)
{
    int rc;
    const uint8_t *line = r->bytes + *at;
    if (*left < LINE || number(line, 4) != LINE_MARK)
        return err_set(ERR_FORMAT, "%s: the table of contents is damaged at byte %zu", r->path,
                       *at);
    const size_t name = (size_t)number(line + 28, 2), extra = (size_t)number(line + 30, 2);
    const size_t total = LINE + name + extra + (size_t)number(line + 32, 2);
    if (total > *left)
        return err_set(ERR_FORMAT, "%s: the table of contents is cut off at byte %zu", r->path,
                       *at);
    TRY(tensor_name_copy(r->memory, r->path, "an entry's name", (const char *)line + LINE, name,
                         &entry->name));
    uint64_t packed = number(line + 20, 4), plain = number(line + 24, 4);
    uint64_t place = number(line + 42, 4);
    TRY(read_zip64(r, entry->name, line + LINE + name, extra,
                   (uint64_t *const[]){&plain, &packed, &place}));
    TRY(check_kind(r, entry->name, line, packed, plain));
    if (place > r->directory || r->directory - place < LOCAL ||
        number(r->bytes + place, 4) != LOCAL_MARK)
        return err_set(ERR_FORMAT,
                       "%s: entry '%s' is said to begin at byte %" PRIu64 ", where none does",
                       r->path, entry->name, place);
    const uint8_t *local = r->bytes + place;
    const uint64_t data = place + LOCAL + number(local + 26, 2) + number(local + 28, 2);
    if (data > r->directory || plain > r->directory - data)
        return err_set(ERR_FORMAT,
                       "%s: entry '%s' takes %" PRIu64 " bytes from byte %" PRIu64
                       ", past the entries' end at %zu",
                       r->path, entry->name, plain, data, r->directory);
    entry->data = r->bytes + data;
    entry->size = (size_t)plain;
    *at += total;
    *left -= total;
out:
    return rc;
}

static int by_name(const void *left, const void *right)
{
    const struct zip_entry *a = left, *b = right;
    return strcmp(a->name, b->name);
}

int zip_read(struct zip *out, const uint8_t *bytes, size_t size, const char *path,
             struct arena *memory)
{
    int rc;
    struct reading r = {.bytes = bytes, .size = size, .path = path, .memory = memory};
    struct zip zip = {0};
    uint64_t count = 0, left = 0;
    TRY(find_directory(&r, &count, &left));
    TRY(arena_calloc(memory, &zip.entries, (size_t)count + 1, sizeof *zip.entries));
    for (size_t at = r.directory; zip.count < count; zip.count++)
        TRY(read_line(&r, &zip.entries[zip.count], &at, &left));
    qsort(zip.entries, zip.count, sizeof *zip.entries, by_name);
    for (size_t i = 1; i < zip.count; i++)
        if (strcmp(zip.entries[i - 1].name, zip.entries[i].name) == 0)
            return err_set(ERR_FORMAT, "%s: entry '%s' is there twice", path, zip.entries[i].name);
    *out = zip;
out:
    return rc;
}

const struct zip_entry *zip_find(const struct zip *zip, const char *name)
{
    struct zip_entry key = {.name = name};
    return zip->count ? bsearch(&key, zip->entries, zip->count, sizeof key, by_name) : NULL;
}
