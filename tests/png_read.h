/* Reads the pixels of a PNG of 8-bit RGB or RGBA without interlacing: what browsers and gnuplot
 * write. */
#ifndef TESTS_PNG_READ_H
#define TESTS_PNG_READ_H

#include "core/file.h"
#include "core/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

struct png {
    int width, height, channels;
    unsigned char *pixels; /* height x width x channels; mem_free */
};

static inline uint32_t png_word(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* The filters of a row: what a byte was predicted from. */
static inline int png_predict(int filter, int left, int above, int corner)
{
    int estimate = left + above - corner, a = abs(estimate - left), b = abs(estimate - above),
        c = abs(estimate - corner);
    switch (filter) {
    case 1: return left;
    case 2: return above;
    case 3: return (left + above) / 2;
    case 4: return a <= b && a <= c ? left : b <= c ? above : corner;
    default: return 0;
    }
}

static inline void png_unfilter(struct png *png, const unsigned char *raw)
{
    const int step = png->channels, row = png->width * step;
    for (int y = 0; y < png->height; y++) {
        const unsigned char *in = raw + (size_t)y * (size_t)(row + 1);
        unsigned char *out = png->pixels + (size_t)y * (size_t)row, *up = out - row;
        for (int x = 0; x < row; x++) {
            int left = x < step ? 0 : out[x - step], above = y ? up[x] : 0;
            int corner = y && x >= step ? up[x - step] : 0;
            out[x] = (unsigned char)(in[1 + x] + png_predict(in[0], left, above, corner));
        }
    }
}

/* 0, or -1 when the file is not such a picture. */
static inline int png_read(struct png *png, const char *path)
{
    struct file_map map = {0};
    struct strbuf packed = {0};
    unsigned char *raw = NULL;
    int rc = -1;
    *png = (struct png){0};
    if (file_map_open(&map, path) != 0)
        return -1;
    const unsigned char *data = (const unsigned char *)map.data;
    if (map.size < 33 || memcmp(data, "\x89PNG\r\n\x1a\n", 8) != 0 || data[24] != 8 ||
        data[28] != 0)
        goto out;
    png->width = (int)png_word(data + 16);
    png->height = (int)png_word(data + 20);
    png->channels = data[25] == 2 ? 3 : data[25] == 6 ? 4 : 0;
    for (size_t at = 8; at + 12 <= map.size; at += 12 + png_word(data + at))
        if (memcmp(data + at + 4, "IDAT", 4) == 0 && at + 12 + png_word(data + at) <= map.size)
            strbuf_add(&packed, (const char *)data + at + 8, png_word(data + at));
    uLongf size = (uLongf)(png->width * png->channels + 1) * (uLongf)png->height, wanted = size;
    if (!png->channels || mem_alloc(&raw, size, 1) != 0 || mem_alloc(&png->pixels, size, 1) != 0 ||
        uncompress(raw, &size, (unsigned char *)packed.data, packed.length) != Z_OK ||
        size != wanted)
        goto out;
    png_unfilter(png, raw);
    rc = 0;
out:
    mem_free(raw);
    strbuf_release(&packed);
    file_unmap(&map);
    return rc;
}

#endif
