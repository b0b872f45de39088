/* YAML as a small tree with line numbers, over libyaml's parser. What a spec has no use for is
 * refused with a clear line: more than one document, tags, keys that are not plain text, duplicate
 * keys, and files, depths or alias expansions beyond the limits below. Anchors and aliases work: an
 * alias is a copy of what its anchor names. */
#ifndef CORE_YAML_H
#define CORE_YAML_H

#include <stddef.h>

enum {
    YAML_MAX_BYTES = 4 << 20, /* of a file */
    YAML_MAX_DEPTH = 32,      /* nested lists and mappings */
    YAML_MAX_KEYS = 4096,     /* of one mapping */
    YAML_MAX_NODES = 1 << 18  /* after aliases are expanded */
};

enum yaml_kind { YAML_TEXT, YAML_LIST, YAML_MAP };

struct yaml_node {
    enum yaml_kind kind;
    int line;  /* 1-based */
    char *key; /* within a mapping; else NULL */
    int key_line;
    char *text; /* YAML_TEXT: the scalar without its quotes */
    int quoted; /* the scalar was quoted, or a block of text: it is no number, boolean or null */
    struct yaml_node *items; /* YAML_LIST and YAML_MAP: in the order of the file */
    int count;
    char *origin;   /* NULL: the file; else where it is from: "--set bits=2", "other.yaml:3" */
    int overridden; /* 1: set by yaml_override */
};

struct yaml {
    struct yaml_node root;
    char *path; /* for messages */
};

/* Reads a file, or the given text under a name for messages. An empty document is an empty mapping.
 * Errors are "PATH:LINE: what". yaml_release of a zeroed struct is legal. */
int yaml_load(struct yaml *yaml, const char *path);
int yaml_parse(struct yaml *yaml, const char *name, const char *text, size_t size);
void yaml_release(struct yaml *yaml);

/* The member of a mapping, or NULL (also for NULL and for nodes that are no mapping). */
const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);

/* 1 for an empty, ~ or null scalar without quotes. */
int yaml_is_null(const struct yaml_node *node);

/* ERR_USAGE "PATH:LINE: message"; returns the code. */
int yaml_error(const struct yaml *yaml, const struct yaml_node *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* "PATH:LINE" of the node's value, or of its key where it has one, for options_set. */
void yaml_where(const struct yaml *yaml, const struct yaml_node *node, char *out, size_t size);

/* Sets a value below `start` (&yaml->root, or a node of the tree) from outside the file. key is
 * "a.b.c", a way through mappings, which are made where they are absent; a number stands for an
 * element of a list ("tasks.0.items"), and a name that meets a list goes to every element of it,
 * which then have to be mappings. value is read as YAML, so "[4, 3]" is a list. origin names where
 * it comes from in messages: "--set bits=2". */
int yaml_override(struct yaml *yaml, struct yaml_node *start, const char *key, const char *value,
                  const char *origin);

/* Adds the members of base's mapping that yaml's lacks; where both have a mapping these are merged
 * in the same way, where both have something else yaml's stays. Both roots have to be mappings.
 * What is taken leaves base, and its origin becomes "PATH:LINE" of base. */
int yaml_merge(struct yaml *yaml, struct yaml *base);

/* *to = a copy of the whole node, its key included. *budget is lessened by the number of nodes;
 * ERR_FORMAT when it does not suffice. */
int yaml_node_copy(struct yaml_node *to, const struct yaml_node *from, int *budget);

/* *item = one more element, zeroed, of a list or a mapping (which then needs its key). */
int yaml_node_append(struct yaml_node *node, struct yaml_node **item);
/* Takes out element number `index` and releases it. */
void yaml_node_remove(struct yaml_node *node, int index);
void yaml_node_release(struct yaml_node *node);

/* Kinds in words for messages: "a text", "a list", "a mapping". */
const char *yaml_kind_name(enum yaml_kind kind);

#endif
