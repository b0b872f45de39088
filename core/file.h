/* Files: read-only maps, whole reads, and writes that are complete or absent. */
#ifndef CORE_FILE_H
#define CORE_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct file_map {
    const uint8_t *data; /* NULL for an empty file */
    size_t size;
};

/* Maps path read-only. ERR_MISSING when there is no such file, ERR_FORMAT when it is a pointer of
 * Git LFS, else ERR_IO. file_unmap of a zeroed struct is legal. */
int file_map_open(struct file_map *map, const char *path);
void file_unmap(struct file_map *map);

/* Opens a regular file for reading (close); *size = its bytes. */
int file_open(const char *path, int *file, size_t *size);
/* bytes = the `count` bytes from byte `at` on; path is for the message. */
int file_read_at(int file, const char *path, size_t at, void *bytes, size_t count);

/* *out = the whole content with a NUL behind it (not counted in *size; size may be NULL); owned by
 * the caller. */
int file_read(const char *path, char **out, size_t *size);

/* A file under construction: bytes go to PATH.tmp.PID; file_write_commit flushes, fsyncs and
 * renames it to path, so path is either the old file or the whole new one. What is there and is no
 * regular file (a folder, a device) is refused. file_write_abort (legal after commit and on a
 * zeroed struct) removes it. */
struct file_writer {
    FILE *stream;
    char *path, *temporary;
};
int file_write_begin(struct file_writer *writer, const char *path);
int file_write(struct file_writer *writer, const void *bytes, size_t count);
/* `count` bytes of zeros that take no room on the disk where the file system can leave holes. */
int file_write_hole(struct file_writer *writer, size_t count);
int file_write_commit(struct file_writer *writer);
void file_write_abort(struct file_writer *writer);

/* Makes the directory and its parents. */
int file_make_directories(const char *path);
/* 1 when path exists, else 0. */
int file_exists(const char *path);
/* *out = "folder/name"; owned by the caller. */
int file_join(char **out, const char *folder, const char *name);

#endif
