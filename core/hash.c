#include "core/hash.h"

#include "core/file.h"

#include <stdio.h>

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

int hash_file(const char *path, char hex[HASH_HEX_SIZE])
{
    struct file_map map;
    int rc = file_map_open(&map, path);
    if (rc == 0) {
        hash_bytes(map.data, map.size, hex);
        file_unmap(&map);
    }
    return rc;
}
