/* The lists of corpora and tasks, and both by name or by path. */
#include "datasets/dataset.h"

#include "core/err.h"
#include "datasets/own.h"

#include <string.h>

#define CORPUS(name) extern const struct corpus corpus_##name;
#define TASK(name)   extern const struct task task_##name;
#include "datasets/datasets.def"
#undef CORPUS
#undef TASK

const struct corpus *const corpora[] = {
#define CORPUS(name) &corpus_##name,
#define TASK(name)
#include "datasets/datasets.def"
#undef CORPUS
#undef TASK
    NULL};

const struct task *const tasks[] = {
#define CORPUS(name)
#define TASK(name) &task_##name,
#include "datasets/datasets.def"
#undef CORPUS
#undef TASK
    NULL};

enum { CORPORA = sizeof corpora / sizeof *corpora, TASKS = sizeof tasks / sizeof *tasks };

static void unknown(const char *kind, const char *name, const char *const *names, const char *own)
{
    const char *nearest = nearest_name(name, names);
    if (nearest)
        err_set(ERR_USAGE, "there is no %s '%s'; did you mean '%s'? 'bitbench datasets' lists them",
                kind, name, nearest);
    else
        err_set(ERR_USAGE, "there is no %s '%s'; 'bitbench datasets' lists them; %s", kind, name,
                own);
}

const struct corpus *corpus_find(const char *name)
{
    const char *names[CORPORA] = {0};
    for (int i = 0; corpora[i]; i++) {
        if (strcmp(corpora[i]->name, name) == 0)
            return corpora[i];
        names[i] = corpora[i]->name;
    }
    unknown("corpus", name, names, "a text of your own is given as file:PATH or docs:PATH");
    return NULL;
}

const struct task *task_find(const char *name)
{
    const char *names[TASKS] = {0};
    for (int i = 0; tasks[i]; i++) {
        if (strcmp(tasks[i]->name, name) == 0)
            return tasks[i];
        names[i] = tasks[i]->name;
    }
    unknown("task", name, names, "a task of your own is given as jsonl:PATH or lastword:PATH");
    return NULL;
}

/* "file:PATH" -> PATH; NULL when name does not start with the scheme. */
static const char *behind(const char *name, const char *scheme)
{
    size_t length = strlen(scheme);
    return strncmp(name, scheme, length) == 0 ? name + length : NULL;
}

/* Copies of the name and of the path in it. */
static int keep(const char *name, const char *path, char **name_out, char **path_out)
{
    char *kept;
    if (!*path)
        return err_set(ERR_USAGE, "'%s': a path must follow the colon", name);
    int rc = mem_strdup(&kept, name);
    if (rc)
        return rc;
    rc = mem_strdup(path_out, path);
    if (rc)
        mem_free(kept);
    else
        *name_out = kept;
    return rc;
}

int corpus_open(const char *name, struct corpus_source *source)
{
    struct corpus_source fresh = {0};
    const char *path = behind(name, "file:");
    const struct corpus *found = &corpus_own_file;
    if (!path && (path = behind(name, "docs:")) != NULL)
        found = &corpus_own_documents;
    if (!path && !(found = corpus_find(name)))
        return ERR_USAGE;
    fresh.corpus = *found;
    if (path) {
        int rc = keep(name, path, &fresh.name, &fresh.path);
        if (rc)
            return rc;
        fresh.corpus.name = fresh.corpus.title = fresh.name;
        fresh.corpus.path = fresh.path;
    }
    *source = fresh;
    return 0;
}

void corpus_close(struct corpus_source *source)
{
    mem_free(source->name);
    mem_free(source->path);
    *source = (struct corpus_source){0};
}

int task_open(const char *name, struct task_source *source)
{
    struct task_source fresh = {0};
    const char *path = behind(name, "jsonl:");
    const struct task *found = &task_own;
    int rc = 0;
    if (!path && (path = behind(name, "lastword:")) != NULL)
        found = &task_own_last_word;
    if (!path && !(found = task_find(name)))
        return ERR_USAGE;
    fresh.task = *found;
    if (path) {
        TRY(keep(name, path, &fresh.name, &fresh.path));
        fresh.task.name = fresh.task.title = fresh.name;
        fresh.task.path = fresh.path;
    }
    if (found == &task_own)
        TRY(own_task_describe(&fresh.task, &fresh.premise));
    *source = fresh;
    fresh = (struct task_source){0};
out:
    task_close(&fresh);
    return rc;
}

void task_close(struct task_source *source)
{
    mem_free(source->name);
    mem_free(source->path);
    mem_free(source->premise);
    *source = (struct task_source){0};
}
