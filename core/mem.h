/* The only place that calls malloc: sizes are checked, failure is an error with a text, and tests
 * can make the k-th allocation fail. */
#ifndef CORE_MEM_H
#define CORE_MEM_H

#include <stddef.h>

/* *out = count * size bytes, zeroed, 64-byte aligned. On failure *out is NULL and the return is
 * ERR_MEMORY. A count of 0 gives a valid pointer. Freed by mem_free. `out` is a pointer to any
 * object pointer. */
int mem_calloc(void *out, size_t count, size_t size);

/* The same without zeroing: for large numeric buffers that are written before they are read. */
int mem_alloc(void *out, size_t count, size_t size);

/* Grows or shrinks *inout to count * size bytes (contents kept, new bytes not zeroed). On failure
 * it is untouched. */
int mem_resize(void *inout, size_t old_count, size_t count, size_t size);

/* *out = a copy of the text; ERR_MEMORY on failure. */
int mem_strdup(char **out, const char *text);

/* *out = printf-formatted text, owned by the caller. */
int mem_printf(char **out, const char *format, ...) __attribute__((format(printf, 2, 3)));

void mem_free(void *pointer);

/* For libraries that take an allocator: size bytes without alignment or zeroing, freed by mem_free;
 * NULL on failure. */
void *mem_raw(size_t size);

/* Tests: the nth allocation from now (1 = the next) fails, on any thread; 0 turns it off.
 * mem_fail_pending tells whether a planned failure has not yet happened. */
void mem_fail_at(long nth);
int mem_fail_pending(void);

/* A growing byte buffer for text that is built piece by piece. Zero-initialise; strbuf_release
 * frees. */
struct strbuf {
    char *data; /* always NUL-terminated once anything was added */
    size_t length, capacity;
};
int strbuf_add(struct strbuf *buffer, const char *bytes, size_t count);
int strbuf_puts(struct strbuf *buffer, const char *text);
int strbuf_printf(struct strbuf *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void strbuf_release(struct strbuf *buffer);

#endif
