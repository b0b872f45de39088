/* `bitbench datasets`: the corpora and tasks, whether they are installed, and what they look like.
 */
#include "core/err.h"
#include "core/mem.h"
#include "core/text.h"
#include "datasets/dataset.h"
#include "datasets/documents.h"
#include "harness/command.h"
#include "harness/datasets_rows.h"

#include <stdio.h>
#include <string.h>

struct datasets_options {
    int show, split, seed;
};

static const struct option datasets_table[] = {
    {.name = "show",
     .type = OPTION_INT,
     .offset = offsetof(struct datasets_options, show),
     .fallback = "0",
     .low = 0,
     .high = 1000000,
     .help = "print so many documents of the corpus, or questions of the task"},
    {.name = "split",
     .type = OPTION_CHOICE,
     .offset = offsetof(struct datasets_options, split),
     .fallback = "test",
     .choices = "train|validation|test",
     .help = "part of the corpus that --show takes"},
    {.name = "seed",
     .type = OPTION_INT,
     .offset = offsetof(struct datasets_options, seed),
     .fallback = "0",
     .low = 0,
     .high = 2147483647,
     .help = "seed of a task's draw"},
    {.name = NULL},
};

static const char *const split_names[] = {"train", "validation", "test"};

/* ---- the list ---- */

static void print_corpus_row(const struct corpus *corpus)
{
    char found[64];
    if (corpus->rows) {
        printf("%-16s %-16s %-22s %s\n", corpus->name, "data folder",
               datasets_rows_found(corpus, found), corpus->title);
        return;
    }
    char *have = corpus->package ? package_version(corpus->package) : NULL;
    printf("%-16s %-16s %-22s %s\n", corpus->name, corpus->package ? corpus->package : "-",
           have               ? have
           : !corpus->package ? "-"
                              : "not installed",
           corpus->title);
    mem_free(have);
}

static json_t *corpus_json(const struct corpus *corpus)
{
    char *have = corpus->package ? package_version(corpus->package) : NULL;
    json_t *object = json_pack(
        "{s:s, s:s, s:s, s:s?, s:s?, s:s?, s:s?, s:i, s:I, s:I}", "kind", "corpus", "name",
        corpus->name, "title", corpus->title, "source", corpus->source, "package", corpus->package,
        "installed_version", have, "expected_version", corpus->expected_version, "version",
        corpus->version, "expected_documents", (json_int_t)corpus->expected_documents,
        "expected_words", (json_int_t)corpus->expected_words);
    mem_free(have);
    return object;
}

/* "sum+characters": what is measured when nothing else is asked for. */
static void rule_names(const struct task *task, char *out, size_t size)
{
    size_t used = (size_t)snprintf(out, size, "%s", scoring_names[task->scoring]);
    for (int s = 0; s < SCORE_COUNT && used < size; s++)
        if (s != (int)task->scoring && task->more >> s & 1)
            used += (size_t)snprintf(out + used, size - used, "+%s", scoring_names[s]);
}

static json_t *task_json(const struct task *task)
{
    char rules[128];
    rule_names(task, rules, sizeof rules);
    return json_pack("{s:s, s:s, s:s, s:s?, s:i, s:s, s:s?, s:s?}", "kind", "task", "name",
                     task->name, "title", task->title, "source", task->source, "version",
                     task->version, "scoring", rules, "corpus", task->corpus, "file", task->file);
}

static void print_task_row(const struct task *task)
{
    char rules[128];
    rule_names(task, rules, sizeof rules);
    printf("%-16s %-16s %-22s %s\n", task->name,
           task->corpus ? task->corpus
           : task->file ? "data folder"
                        : "-",
           rules, task->title);
}

static int list_all(bool json)
{
    if (json) {
        json_t *list = json_array();
        for (int i = 0; corpora[i]; i++)
            json_array_append_new(list, corpus_json(corpora[i]));
        for (int i = 0; tasks[i]; i++)
            json_array_append_new(list, task_json(tasks[i]));
        return command_print_json(list);
    }
    printf("%-16s %-16s %-22s %s\n", "corpus", "from", "installed, found", "title");
    for (int i = 0; corpora[i]; i++)
        print_corpus_row(corpora[i]);
    printf("\n%-16s %-16s %-22s %s\n", "task", "from", "scored by", "title");
    for (int i = 0; tasks[i]; i++)
        print_task_row(tasks[i]);
    puts("\nA text of your own: file:PATH (undivided) or docs:PATH (documents between empty "
         "lines), token ids ids:FILE; a task of your own: "
         "jsonl:PATH, lastword:PATH.\n`bitbench datasets NAME` extracts one and counts it.");
    return 0;
}

/* ---- one corpus ---- */

/* Counts of one split; an absent split counts nothing. */
static int split_json(const struct corpus *corpus, const struct documents *all, enum split split,
                      json_t **out)
{
    struct documents part = {0};
    int rc = corpus_split(corpus, all, split, &part);
    if (rc && rc != ERR_FORMAT)
        return rc;
    size_t bytes = part.count ? part.offsets[part.count] : 0;
    *out = json_pack("{s:I, s:I, s:I}", "documents", (json_int_t)part.count, "words",
                     (json_int_t)(part.count ? documents_words(&part) : 0), "bytes",
                     (json_int_t)bytes);
    documents_release(&part);
    return *out ? 0 : err_set(ERR_MEMORY, "out of memory: JSON");
}

static void print_counts(const char *name, const json_t *counts)
{
    printf("%-12s %10lld documents %12lld words %12lld bytes\n", name,
           (long long)json_integer_value(json_object_get(counts, "documents")),
           (long long)json_integer_value(json_object_get(counts, "words")),
           (long long)json_integer_value(json_object_get(counts, "bytes")));
}

static int show_documents(const struct corpus *corpus, const struct documents *all,
                          enum split split, int count)
{
    struct documents part = {0};
    int rc = corpus_split(corpus, all, split, &part);
    for (size_t d = 0; rc == 0 && d < part.count && d < (size_t)count; d++) {
        printf("\n--- document %zu of %zu of %s ---\n", d + 1, part.count, split_names[split]);
        fwrite(part.text + part.offsets[d], 1, part.offsets[d + 1] - part.offsets[d], stdout);
        putchar('\n');
    }
    documents_release(&part);
    return rc;
}

static int describe_rows(const struct corpus *corpus, const struct command_line *line)
{
    const struct datasets_options *options = line->options;
    const bool json = line->global.json;
    json_t *object = corpus_json(corpus);
    int rc;
    TRY(datasets_rows_describe(corpus, json, object));
    if (options->show && !json)
        TRY(datasets_rows_show(corpus, (enum split)options->split, options->show));
    if (json) {
        rc = command_print_json(object);
        object = NULL;
    }
out:
    json_decref(object);
    return rc;
}

static int describe_corpus(const struct corpus *corpus, const struct command_line *line)
{
    int rc, changed = 0;
    const struct datasets_options *options = line->options;
    struct documents all = {0};
    json_t *object = NULL, *part;
    TRY(corpus_load(corpus, &all, &changed));
    object = corpus_json(corpus);
    json_object_set_new(object, "hash", json_string(all.hash));
    json_object_set_new(object, "changed", json_boolean(changed));
    for (int s = SPLIT_TRAIN; s <= SPLIT_TEST; s++) {
        TRY(split_json(corpus, &all, (enum split)s, &part));
        json_object_set_new(object, split_names[s], part);
    }
    if (line->global.json) {
        rc = command_print_json(object);
        object = NULL;
        goto out;
    }
    printf("%s: %s\n", corpus->name, corpus->title);
    if (corpus->source)
        printf("source       %s\n", corpus->source);
    if (corpus->package)
        printf("package      %s\n", corpus->package);
    printf("text         %.16s, %s\n", all.hash,
           !corpus->expected_hash ? "with nothing to compare to"
           : changed              ? "NOT the text that bitbench was published with"
                                  : "the one that bitbench was published with");
    for (int s = SPLIT_TRAIN; s <= SPLIT_TEST; s++)
        print_counts(split_names[s], json_object_get(object, split_names[s]));
    if (options->show)
        TRY(show_documents(corpus, &all, (enum split)options->split, options->show));
out:
    json_decref(object);
    documents_release(&all);
    return rc;
}

/* ---- one task ---- */

static void show_question(const struct question *question)
{
    int shared = 1;
    for (int c = 1; c < question->choices; c++)
        shared &= strcmp(question->contexts[c], question->contexts[0]) == 0;
    printf("\n--- question %d ---\n", question->id);
    if (shared)
        puts(question->contexts[0]);
    for (int c = 0; c < question->choices; c++)
        printf("  %c %s%s%s\n", c == question->gold ? '*' : ' ',
               shared ? "" : question->contexts[c], shared ? "" : " |", question->continuations[c]);
}

/* [{"id": ..., "contexts": [...], "continuations": [...], "gold": ...}, ...] */
static json_t *questions_json(const struct questions *questions, int limit)
{
    json_t *list = json_array();
    for (size_t i = 0; i < questions->count && i < (size_t)limit; i++) {
        const struct question *q = &questions->items[i];
        json_t *contexts = json_array(), *continuations = json_array();
        for (int c = 0; c < q->choices; c++) {
            json_array_append_new(contexts, json_string(q->contexts[c]));
            json_array_append_new(continuations, json_string(q->continuations[c]));
        }
        json_array_append_new(list,
                              json_pack("{s:i, s:o, s:o, s:i}", "id", q->id, "contexts", contexts,
                                        "continuations", continuations, "gold", q->gold));
    }
    return list;
}

static void count_choices(const struct questions *questions, int *least, int *most)
{
    for (size_t i = 0; i < questions->count; i++) {
        int choices = questions->items[i].choices;
        *least = i == 0 || choices < *least ? choices : *least;
        *most = choices > *most ? choices : *most;
    }
}

static int describe_task(const struct task *task, const struct command_line *line)
{
    int rc;
    const struct datasets_options *options = line->options;
    struct questions questions = {0};
    TRY(task->load(task, &questions, 0, (uint64_t)options->seed));
    if (line->global.json) {
        json_t *object = task_json(task);
        json_object_set_new(object, "questions", json_integer((json_int_t)questions.count));
        json_object_set_new(object, "hash", json_string(questions.hash));
        if (options->show)
            json_object_set_new(object, "items", questions_json(&questions, options->show));
        TRY(command_print_json(object));
    } else {
        printf("%s: %s\n", task->name, task->title);
        if (task->source)
            printf("source       %s\n", task->source);
        int least = 0, most = 0;
        char rules[128];
        rule_names(task, rules, sizeof rules);
        count_choices(&questions, &least, &most);
        printf("scored by    %s\nquestions    %zu, ", rules, questions.count);
        if (least < most)
            printf("%d to ", least);
        printf("%d choice%s, hash %.16s\n", most, most == 1 ? "" : "s", questions.hash);
        for (size_t i = 0; i < questions.count && i < (size_t)options->show; i++)
            show_question(&questions.items[i]);
    }
out:
    questions_release(&questions);
    return rc;
}

/* The nearest of both lists. */
static int unknown_name(const char *name)
{
    const char *names[256] = {0};
    int count = 0;
    for (int i = 0; corpora[i] && count < 255; i++)
        names[count++] = corpora[i]->name;
    for (int i = 0; tasks[i] && count < 255; i++)
        names[count++] = tasks[i]->name;
    const char *nearest = nearest_name(name, names);
    if (nearest)
        return err_set(ERR_USAGE, "there is no corpus or task '%.80s'; did you mean '%s'?", name,
                       nearest);
    return err_set(ERR_USAGE, "there is no corpus or task '%.80s'; `bitbench datasets` lists them",
                   name);
}

static int run_datasets(const struct command_line *line)
{
    int rc;
    struct corpus_source corpus = {0};
    struct task_source task = {0};
    const char *name = line->arguments[0];
    if (!line->argument_count)
        return list_all(line->global.json);
    if (strcmp(name, "file:") == 0 || strcmp(name, "docs:") == 0 || strcmp(name, "jsonl:") == 0 ||
        strcmp(name, "lastword:") == 0)
        rc = err_set(ERR_USAGE, "'%s': a path must follow the colon", name);
    else if ((rc = task_open(name, &task)) == 0)
        rc = describe_task(&task.task, line);
    else if (rc != ERR_USAGE) /* it is a task, with something wrong in it */
        goto out;
    else if (corpus_open(name, &corpus) == 0)
        rc = (corpus.corpus.rows ? describe_rows : describe_corpus)(&corpus.corpus, line);
    else
        rc = unknown_name(name);
out:
    corpus_close(&corpus);
    task_close(&task);
    return rc;
}

const struct command command_datasets = {
    .name = "datasets",
    .summary = "lists the corpora and tasks, or counts and shows one",
    .arguments = "[NAME]",
    .arguments_max = 1,
    .argument_kind = ARGUMENT_DATASET,
    .flags = COMMAND_JSON | COMMAND_DATA,
    .options = datasets_table,
    .options_size = sizeof(struct datasets_options),
    .description =
        "The text of the corpora comes out of Debian packages; a corpus that is not "
        "installed says which one. wikitext2, ptb, c4 and the zero-shot tasks are files "
        "in the folder that --data names. "
        "Names may also be file:PATH, docs:PATH (texts of your own), jsonl:PATH and lastword:PATH "
        "(questions of your own).",
    .examples = "bitbench datasets\n"
                "bitbench datasets kjv\n"
                "# three questions\n"
                "bitbench datasets kjv_half --show 3\n",
    .run = run_datasets,
};
