#include "core/mem.h"

#include "core/err.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { ALIGNMENT = 64, HUGE_PAGE = 1 << 21, HUGE_FROM = 2 * HUGE_PAGE };

static atomic_long fail_countdown;

void mem_fail_at(long nth)
{
    atomic_store(&fail_countdown, nth);
}

int mem_fail_pending(void)
{
    return atomic_load(&fail_countdown) > 0;
}

/* True once, when the planned failure is reached. */
static int planned_failure(void)
{
    return atomic_load(&fail_countdown) > 0 && atomic_fetch_sub(&fail_countdown, 1) == 1;
}

/* Large blocks on huge pages where the system has them: a page fault for each 4 KiB of a matrix,
 * and its misses in the translation buffer, cost a tenth of a factorisation. */
static void *allocate(size_t bytes)
{
    if (bytes < HUGE_FROM)
        return aligned_alloc(ALIGNMENT, bytes ? bytes : ALIGNMENT);
    void *pointer = NULL; /* aligned_alloc would want a multiple of the page */
    if (posix_memalign(&pointer, HUGE_PAGE, bytes) != 0)
        return NULL;
    (void)madvise(pointer, bytes, MADV_HUGEPAGE);
    return pointer;
}

int mem_alloc(void *out, size_t count, size_t size)
{
    void *pointer = NULL;
    memcpy(out, &pointer, sizeof pointer);
    if (size != 0 && count > (SIZE_MAX - ALIGNMENT) / size)
        return err_set(ERR_MEMORY,
                       "out of memory: %zu elements of %zu bytes overflow the address space", count,
                       size);
    size_t bytes = (count * size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (!planned_failure())
        pointer = allocate(bytes);
    if (!pointer)
        return err_set(ERR_MEMORY, "out of memory: %zu bytes were asked for", count * size);
    memcpy(out, &pointer, sizeof pointer);
    return 0;
}

int mem_calloc(void *out, size_t count, size_t size)
{
    int rc = mem_alloc(out, count, size);
    if (rc == 0) {
        void *pointer;
        memcpy(&pointer, out, sizeof pointer);
        memset(pointer, 0, count * size);
    }
    return rc;
}

int mem_resize(void *inout, size_t old_count, size_t count, size_t size)
{
    void *old, *fresh;
    memcpy(&old, inout, sizeof old);
    int rc = mem_alloc(&fresh, count, size);
    if (rc)
        return rc;
    if (old)
        memcpy(fresh, old, (old_count < count ? old_count : count) * size);
    free(old);
    memcpy(inout, &fresh, sizeof fresh);
    return 0;
}

int mem_strdup(char **out, const char *text)
{
    size_t bytes = strlen(text) + 1;
    int rc = mem_alloc(out, bytes, 1);
    if (rc == 0)
        memcpy(*out, text, bytes);
    return rc;
}

int mem_printf(char **out, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    int rc = mem_alloc(out, (size_t)length + 1, 1);
    if (rc == 0)
        vsnprintf(*out, (size_t)length + 1, format, again);
    va_end(again);
    return rc;
}

void *mem_raw(size_t size)
{
    return planned_failure() ? NULL : malloc(size);
}

void mem_free(void *pointer)
{
    free(pointer);
}

static int strbuf_reserve(struct strbuf *buffer, size_t extra)
{
    if (buffer->length + extra + 1 <= buffer->capacity)
        return 0;
    size_t capacity = (buffer->length + extra + 1) * 2;
    int rc = mem_resize(&buffer->data, buffer->length, capacity, 1);
    if (rc == 0)
        buffer->capacity = capacity;
    return rc;
}

int strbuf_add(struct strbuf *buffer, const char *bytes, size_t count)
{
    int rc = strbuf_reserve(buffer, count);
    if (rc)
        return rc;
    if (count)
        memcpy(buffer->data + buffer->length, bytes, count);
    buffer->length += count;
    buffer->data[buffer->length] = '\0';
    return 0;
}

int strbuf_puts(struct strbuf *buffer, const char *text)
{
    return strbuf_add(buffer, text, strlen(text));
}

int strbuf_printf(struct strbuf *buffer, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    int rc = strbuf_reserve(buffer, (size_t)length);
    if (rc == 0) {
        vsnprintf(buffer->data + buffer->length, (size_t)length + 1, format, again);
        buffer->length += (size_t)length;
    }
    va_end(again);
    return rc;
}

void strbuf_release(struct strbuf *buffer)
{
    free(buffer->data);
    memset(buffer, 0, sizeof *buffer);
}
