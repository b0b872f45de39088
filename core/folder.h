/* Folders that are complete or absent: files go into FOLDER.tmp.PID, which takes the folder's name
 * at the end. */
#ifndef CORE_FOLDER_H
#define CORE_FOLDER_H

struct folder_writer {
    char *path;      /* as it will be called, without a slash at the end */
    char *temporary; /* where its files are written meanwhile */
};

/* Makes the temporary folder, and the folders above it where they are missing. ERR_USAGE when path
 * is there already and is not an empty folder. */
int folder_write_begin(struct folder_writer *writer, const char *path);
/* The files have been written and synced: gives the folder its name. */
int folder_write_commit(struct folder_writer *writer);
/* Removes the temporary folder and the files in it; legal after commit and on a zeroed struct. */
void folder_write_abort(struct folder_writer *writer);

/* Copies the file's bytes, whole or not at all. */
int folder_copy_file(const char *from, const char *to);

#endif
