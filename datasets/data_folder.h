/* The folder with the data sets that users bring: WikiText-2, PIQA and the like, laid out as
 * docs/datasets.md says. */
#ifndef DATASETS_DATA_FOLDER_H
#define DATASETS_DATA_FOLDER_H

/* Names the folder for the whole process (--data DIR; NULL or "": none is named, and what a spec or
 * the environment's BITBENCH_DATASETS says stands in). Called once, before anything is loaded.
 * ERR_USAGE for a path that is too long. */
int data_folder_set(const char *folder);

/* The same with the key `data` of a spec: the command line goes before it, the environment behind.
 */
int data_folder_suggest(const char *folder);

/* The folder in use, or NULL: none is named. */
const char *data_folder(void);

/* *path = the file `name` ("piqa/valid.jsonl") within the folder; owned by the caller. ERR_MISSING
 * when no folder is named or the file is not there, in one line that begins with `who` ("task
 * piqa"); ERR_FORMAT, with how to convert it, when a parquet file of that split is in its place or
 * one folder deeper. */
int data_folder_path(char **path, const char *name, const char *who);

/* The same with several names for the same thing, ending with NULL: the first that is there. *found
 * (may be NULL) = its place in the list. Messages name the first one. A name that ends in .parquet
 * is ERR_FORMAT when it is what is there, with how to convert it. */
int data_folder_first(char **path, const char *const *names, const char *who, int *found);

#endif
