/* The folder with the data sets that users bring: WikiText-2, PIQA and the like, laid out as
 * docs/datasets.md says. */
#ifndef DATASETS_DATA_FOLDER_H
#define DATASETS_DATA_FOLDER_H

/* Names the folder for the whole process (--data DIR; NULL or "": none is named, and the
 * environment's BITBENCH_DATASETS stands in). Called once, before anything is loaded. ERR_USAGE for
 * a path that is too long. */
int data_folder_set(const char *folder);

/* *path = the file `name` ("piqa/valid.jsonl") within the folder; owned by the caller. ERR_MISSING
 * when no folder is named or the file is not there, in one line that begins with `who` ("task
 * piqa"). */
int data_folder_path(char **path, const char *name, const char *who);

#endif
