#include "model/charsmap.h"

#include "core/err.h"

static uint32_t word_at(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

int charsmap_open(struct charsmap *map, const uint8_t *bytes, size_t size, const char *file)
{
    size_t trie = size < 4 ? 0 : word_at(bytes);
    if (size < 4 || trie == 0 || trie % 4 || trie > size - 4 || trie == size - 4 ||
        bytes[size - 1] != 0)
        return err_set(ERR_FORMAT,
                       "%s: precompiled_charsmap of %zu bytes is damaged: its table of %zu bytes "
                       "and the texts behind it do not fill it",
                       file, size, trie);
    *map = (struct charsmap){bytes + 4, trie / 4, (const char *)bytes + 4 + trie, size - 4 - trie};
    return 0;
}

/* The units of Darts-clone's double array: bits 0 to 7 the byte that leads here (with bit 31: no
 * byte, but a value in bits 0 to 30), bit 8 whether a value hangs below, bits 10 to 30 the distance
 * to the children, times 256 where bit 9 is set. */
static uint32_t children_of(uint32_t unit)
{
    return (unit >> 10 & 0x1fffff) << ((unit & 0x200) ? 8 : 0);
}

size_t charsmap_find(const struct charsmap *map, const char *text, size_t size,
                     const char **replacement)
{
    size_t length = 0, place = 0;
    uint32_t unit = word_at(map->units);
    place ^= children_of(unit);
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = (uint8_t)text[i];
        place ^= byte;
        if (place >= map->unit_count)
            break;
        unit = word_at(map->units + 4 * place);
        if ((unit & 0x800000ff) != byte)
            break;
        place ^= children_of(unit);
        if (!(unit & 0x100))
            continue;
        if (place >= map->unit_count)
            break;
        uint32_t value = word_at(map->units + 4 * place) & 0x7fffffff;
        if (value < map->texts_size) {
            length = i + 1;
            *replacement = map->texts + value;
        }
    }
    return length;
}
