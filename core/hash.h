/* SHA-256 (nettle), as 64 hexadecimal digits. */
#ifndef CORE_HASH_H
#define CORE_HASH_H

#include <nettle/sha2.h>
#include <stddef.h>

enum { HASH_HEX_SIZE = 65 };

struct hash {
    struct sha256_ctx state;
};
void hash_init(struct hash *hash);
void hash_add(struct hash *hash, const void *bytes, size_t count);
/* hex receives 64 digits and a NUL. */
void hash_finish(struct hash *hash, char hex[HASH_HEX_SIZE]);
void hash_bytes(const void *bytes, size_t count, char hex[HASH_HEX_SIZE]);
/* Of a file's content. */
int hash_file(const char *path, char hex[HASH_HEX_SIZE]);

#endif
