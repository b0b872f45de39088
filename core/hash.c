#include "core/hash.h"

#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"

#include <stdio.h>
#include <unistd.h>

void hash_init(struct hash *hash)
{
    sha256_init(&hash->state);
}

void hash_add(struct hash *hash, const void *bytes, size_t count)
{
    sha256_update(&hash->state, count, bytes);
}

void hash_finish(struct hash *hash, char hex[HASH_HEX_SIZE])
{
    uint8_t digest[SHA256_DIGEST_SIZE];
    sha256_digest(&hash->state, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

void hash_bytes(const void *bytes, size_t count, char hex[HASH_HEX_SIZE])
{
    struct hash hash;
    hash_init(&hash);
    hash_add(&hash, bytes, count);
    hash_finish(&hash, hex);
}

/* Read and not mapped: the pages of a large model would all count as ours. */
int hash_file(const char *path, char hex[HASH_HEX_SIZE])
{
    enum { PIECE = 1 << 20 };
    int rc, file = -1;
    size_t size;
    uint8_t *piece = NULL;
    struct hash hash;
    TRY(file_open(path, &file, &size));
    TRY(mem_alloc(&piece, PIECE, 1));
    hash_init(&hash);
    for (size_t at = 0; at < size;) {
        size_t count = size - at < PIECE ? size - at : PIECE;
        TRY(file_read_at(file, path, at, piece, count));
        hash_add(&hash, piece, count);
        at += count;
    }
    hash_finish(&hash, hex);
out:
    if (file >= 0)
        close(file);
    mem_free(piece);
    return rc;
}
