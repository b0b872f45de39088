/* The table of contents of a zip file (PKWARE's APPNOTE.TXT, with zip64) whose entries are stored
 * as they are, as torch.save writes them. */
#ifndef MODEL_ZIP_H
#define MODEL_ZIP_H

#include "core/arena.h"

#include <stddef.h>
#include <stdint.h>

struct zip_entry {
    const char *name;
    const uint8_t *data; /* within the file's bytes */
    size_t size;
};

struct zip {
    struct zip_entry *entries; /* in the order of their names */
    size_t count;
};

/* Reads the table of a file that lies in memory; path stands for it in messages. Entries and names
 * are put into `memory`. ERR_FORMAT for what lies outside of the file, entries of the same name,
 * and entries that are compressed or encrypted. */
int zip_read(struct zip *out, const uint8_t *bytes, size_t size, const char *path,
             struct arena *memory);

/* NULL when there is no such entry. */
const struct zip_entry *zip_find(const struct zip *zip, const char *name);

#endif
