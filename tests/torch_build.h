/* Builds zip files and the pickles that torch.save puts into them, after the formats' descriptions:
 * for tests and fuzzing. */
#ifndef TESTS_TORCH_BUILD_H
#define TESTS_TORCH_BUILD_H

#include "tests/gguf_build.h"

/* ---- zip ---- */

struct zip_build {
    struct strbuf bytes, directory;
    int count;
    bool big; /* 64-bit sizes and places */
};

/* An entry, whose line in the directory names the given method and size. */
static inline void zip_add_as(struct zip_build *zip, const char *name, const void *data,
                              size_t size, int method, size_t claimed)
{
    const size_t place = zip->bytes.length, name_size = strlen(name);
    struct strbuf *d = &zip->directory;
    put_number(&zip->bytes, 0x04034b50, 4);
    put_number(&zip->bytes, 0, 22); /* torch repeats sizes here; the directory counts */
    put_number(&zip->bytes, name_size, 2);
    put_number(&zip->bytes, 6, 2); /* an extra field of two bytes, as padding */
    FIXTURE_OK(strbuf_add(&zip->bytes, name, name_size));
    put_number(&zip->bytes, 0x24242, 4);
    put_number(&zip->bytes, 0, 2);
    FIXTURE_OK(strbuf_add(&zip->bytes, data, size));
    put_number(d, 0x02014b50, 4);
    put_number(d, 0, 6); /* versions, flags */
    put_number(d, (uint64_t)method, 2);
    put_number(d, 0, 8); /* time, checksum */
    put_number(d, zip->big ? UINT32_MAX : claimed, 4);
    put_number(d, zip->big ? UINT32_MAX : claimed, 4);
    put_number(d, name_size, 2);
    put_number(d, zip->big ? 34 : 0, 2);
    put_number(d, 0, 10);
    put_number(d, zip->big ? UINT32_MAX : place, 4);
    FIXTURE_OK(strbuf_add(d, name, name_size));
    if (zip->big) {
        put_number(d, 7, 2); /* a field of another kind first */
        put_number(d, 2, 2);
        put_number(d, 0, 2);
        put_number(d, 1, 2);
        put_number(d, 24, 2);
        put_number(d, claimed, 8);
        put_number(d, claimed, 8);
        put_number(d, place, 8);
    }
    zip->count++;
}

static inline void zip_add(struct zip_build *zip, const char *name, const void *data, size_t size)
{
    zip_add_as(zip, name, data, size, 0, size);
}

/* out (empty) = the file. */
static inline void zip_finish(struct zip_build *zip, struct strbuf *out)
{
    const size_t start = zip->bytes.length, size = zip->directory.length;
    FIXTURE_OK(strbuf_add(out, zip->bytes.data, start));
    FIXTURE_OK(strbuf_add(out, zip->directory.data, size));
    if (zip->big) {
        put_number(out, 0x06064b50, 4);
        put_number(out, 44, 8);
        put_number(out, 0, 12); /* versions, disks */
        put_number(out, (uint64_t)zip->count, 8);
        put_number(out, (uint64_t)zip->count, 8);
        put_number(out, size, 8);
        put_number(out, start, 8);
        put_number(out, 0x07064b50, 4);
        put_number(out, 0, 4);
        put_number(out, start + size, 8);
        put_number(out, 1, 4);
    }
    put_number(out, 0x06054b50, 4);
    put_number(out, 0, 4);
    put_number(out, zip->big ? 0xffff : (uint64_t)zip->count, 2);
    put_number(out, zip->big ? 0xffff : (uint64_t)zip->count, 2);
    put_number(out, zip->big ? UINT32_MAX : size, 4);
    put_number(out, zip->big ? UINT32_MAX : start, 4);
    put_number(out, 0, 2);
    strbuf_release(&zip->bytes);
    strbuf_release(&zip->directory);
    *zip = (struct zip_build){0};
}

/* ---- pickle ---- */

static inline void pickle_raw(struct strbuf *p, const char *opcodes)
{
    FIXTURE_OK(strbuf_puts(p, opcodes));
}

static inline void pickle_text(struct strbuf *p, const char *text)
{
    pickle_raw(p, "X");
    put_number(p, strlen(text), 4);
    pickle_raw(p, text);
}

static inline void pickle_number(struct strbuf *p, uint64_t value)
{
    if (value < 256) {
        pickle_raw(p, "K");
        put_number(p, value, 1);
    } else if (value < 1u << 31) {
        pickle_raw(p, "J");
        put_number(p, value, 4);
    } else {
        pickle_raw(p, "\x8a");
        put_number(p, 8, 1);
        put_number(p, value, 8);
    }
}

static inline void pickle_sizes(struct strbuf *p, int rank, const uint64_t *sizes)
{
    pickle_raw(p, "(");
    for (int i = 0; i < rank; i++)
        pickle_number(p, sizes[i]);
    pickle_raw(p, "t");
}

/* A tensor's value, as a call of _rebuild_tensor_v2. */
static inline void pickle_tensor(struct strbuf *p, const char *type, const char *storage,
                                 uint64_t count, uint64_t offset, int rank, const uint64_t *shape,
                                 const uint64_t *stride)
{
    pickle_raw(p, "ctorch._utils\n_rebuild_tensor_v2\n((");
    pickle_text(p, "storage");
    pickle_raw(p, "ctorch\n");
    pickle_raw(p, type);
    pickle_raw(p, "\n");
    pickle_text(p, storage);
    pickle_text(p, "cpu");
    pickle_number(p, count);
    pickle_raw(p, "tQ");
    pickle_number(p, offset);
    pickle_sizes(p, rank, shape);
    pickle_sizes(p, rank, stride);
    pickle_raw(p, "\x89"
                  "ccollections\nOrderedDict\n)RtR");
}

static inline void pickle_begin(struct strbuf *p)
{
    pickle_raw(p, "\x80\x02}(");
}

static inline void pickle_end(struct strbuf *p)
{
    pickle_raw(p, "u.");
}

#endif
