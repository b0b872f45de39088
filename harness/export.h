/* One experiment as one file for somebody else, and several databases as one. */
#ifndef HARNESS_EXPORT_H
#define HARNESS_EXPORT_H

#include "harness/store_copy.h"

/* Writes a database with the experiment's points and nothing else: a single file, also readable
 * where nothing may be written. `path` must not be there yet, and is whole or absent afterwards. */
int export_database(struct store *store, const char *experiment, const char *path,
                    struct store_copied *copied);

/* Writes one JSON object a line for each point of the experiment, with everything that belongs to
 * it: docs/results.md. The same rules for `path`. */
int export_lines(struct store *store, const char *experiment, const char *path,
                 struct store_copied *copied);

/* *out = a temporary database with what such a file holds, the same rows as those it was written
 * from; several files behind each other are one. ERR_FORMAT names the line that is not right. */
int import_lines(struct store **out, const char *path);

/* Copies all points and experiments of the databases `paths`, or files of JSON lines where the name
 * ends with .jsonl, into the one at `database`, which is
 * made when it is not there: all in one transaction. The files themselves are only read, whatever
 * their schema. report is called for each, in order, with what became of its rows. */
typedef void merge_report(void *context, const char *path, const struct store_copied *copied);
int merge_databases(const char *database, const char *const *paths, int count, merge_report *report,
                    void *context);

#endif
