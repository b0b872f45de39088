/* Text and questions of the user's own, opened by path: patterns that registry.c fills with name
 * and path. */
#ifndef DATASETS_OWN_H
#define DATASETS_OWN_H

#include "datasets/dataset.h"

extern const struct corpus corpus_own_file, corpus_own_documents;
extern const struct task task_own, task_own_last_word;

/* Takes over what the file's first line says of a task_own: {"task": {...}}. *premise (may stay
 * NULL) is the caller's. A file that cannot be read says so when it is loaded. */
int own_task_describe(struct task *task, char **premise);

#endif
