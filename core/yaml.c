#include "core/yaml.h"

#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

struct anchor {
    char *name;
    struct yaml_node node; /* a copy: the tree's own nodes move while it grows */
};

struct builder {
    yaml_parser_t parser;
    const char *path, *text;
    size_t size;
    int nodes;
    struct anchor *anchors;
    int anchor_count;
};

static int fail(const struct builder *b, int line, const char *what)
{
    return err_set(ERR_FORMAT, "%s:%d: %s", b->path, line, what);
}

/* ---- errors of the parser ---- */

static int line_of_offset(const struct builder *b, size_t offset)
{
    int line = 1;
    for (size_t i = 0; i < offset && i < b->size; i++)
        line += b->text[i] == '\n';
    return line;
}

/* 1 when the line is indented by a tab, or by spaces and a tab. */
static int indented_by_tab(const struct builder *b, int line)
{
    const char *at = b->text, *end = b->text + b->size;
    for (; line > 1 && at < end; at++)
        line -= *at == '\n';
    while (at < end && *at == ' ')
        at++;
    return at < end && *at == '\t';
}

static int parser_error(const struct builder *b)
{
    const yaml_parser_t *p = &b->parser;
    int line = (int)p->problem_mark.line + 1;
    /* The end of the file belongs to the last line that has text. */
    int last = line_of_offset(b, b->size && b->text[b->size - 1] == '\n' ? b->size - 1 : b->size);
    line = line > last ? last : line;
    if (p->error == YAML_MEMORY_ERROR)
        return err_set(ERR_MEMORY, "%s: out of memory while reading YAML", b->path);
    if (p->error == YAML_READER_ERROR)
        return err_set(ERR_FORMAT, "%s:%d: byte %zu: %s", b->path,
                       line_of_offset(b, p->problem_offset), p->problem_offset,
                       p->problem ? p->problem : "unreadable");
    if (indented_by_tab(b, line))
        return fail(b, line, "a tab where YAML wants spaces for indentation");
    if (p->context && (int)p->context_mark.line + 1 != line)
        return err_set(ERR_FORMAT, "%s:%d: %s (%s from line %zu)", b->path, line, p->problem,
                       p->context, p->context_mark.line + 1);
    return err_set(ERR_FORMAT, "%s:%d: %s%s%s%s", b->path, line,
                   p->problem ? p->problem : "not YAML", p->context ? " (" : "",
                   p->context ? p->context : "", p->context ? ")" : "");
}

static int next_event(struct builder *b, yaml_event_t *event)
{
    return yaml_parser_parse(&b->parser, event) ? 0 : parser_error(b);
}

/* ---- the tree ---- */

static int count_node(struct builder *b, int line)
{
    char what[96];
    if (++b->nodes <= YAML_MAX_NODES)
        return 0;
    snprintf(what, sizeof what, "more than %d values, aliases included", YAML_MAX_NODES);
    return fail(b, line, what);
}

static int copy_node(struct builder *b, const struct yaml_node *from, int line,
                     struct yaml_node *to)
{
    int rc;
    struct yaml_node *item;
    *to = (struct yaml_node){.kind = from->kind, .line = line, .quoted = from->quoted};
    TRY(count_node(b, line));
    if (from->text)
        TRY(mem_strdup(&to->text, from->text));
    for (int i = 0; i < from->count; i++) {
        const struct yaml_node *source = &from->items[i];
        TRY(yaml_node_append(to, &item));
        TRY(copy_node(b, source, source->line, item));
        item->key_line = source->key_line;
        if (source->key)
            TRY(mem_strdup(&item->key, source->key));
    }
out:
    return rc; /* what was built is released with the tree */
}

static int remember_anchor(struct builder *b, const yaml_char_t *name, const struct yaml_node *node)
{
    int rc = 0;
    struct anchor anchor = {0};
    if (!name)
        return 0;
    if (b->anchor_count >= 256)
        return fail(b, node->line, "more than 256 anchors");
    if (!b->anchors)
        TRY(mem_calloc(&b->anchors, 256, sizeof *b->anchors));
    TRY(mem_strdup(&anchor.name, (const char *)name));
    b->anchors[b->anchor_count].name = anchor.name;
    TRY(copy_node(b, node, node->line, &b->anchors[b->anchor_count++].node));
out:
    return rc;
}

static int use_alias(struct builder *b, const char *name, int line, struct yaml_node *node)
{
    /* The last one of a name counts, as YAML says. */
    for (int i = b->anchor_count - 1; i >= 0; i--)
        if (strcmp(b->anchors[i].name, name) == 0)
            return copy_node(b, &b->anchors[i].node, line, node);
    return err_set(ERR_FORMAT,
                   "%s:%d: alias *%.80s: no complete value before it has the anchor &%.80s",
                   b->path, line, name, name);
}

static int build_scalar(struct builder *b, const yaml_event_t *event, struct yaml_node *node)
{
    int rc;
    const char *value = (const char *)event->data.scalar.value;
    if (strlen(value) != event->data.scalar.length)
        return fail(b, node->line, "a text with a NUL byte");
    node->kind = YAML_TEXT;
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    TRY(mem_strdup(&node->text, value));
    TRY(remember_anchor(b, event->data.scalar.anchor, node));
out:
    return rc;
}

static int build(struct builder *b, const yaml_event_t *event, int depth, struct yaml_node *node);

static int build_list(struct builder *b, int depth, struct yaml_node *node)
{
    int rc = 0;
    yaml_event_t event;
    for (;;) {
        struct yaml_node *item;
        if ((rc = next_event(b, &event)) != 0)
            return rc;
        if (event.type == YAML_SEQUENCE_END_EVENT)
            break;
        rc = yaml_node_append(node, &item);
        if (rc == 0)
            rc = build(b, &event, depth + 1, item);
        yaml_event_delete(&event);
        if (rc)
            return rc;
    }
    yaml_event_delete(&event);
    return 0;
}

/* Takes the key out of its event. */
static int read_key(struct builder *b, const yaml_event_t *event, struct yaml_node *map,
                    struct yaml_node **item)
{
    int rc, line = (int)event->start_mark.line + 1;
    if (event->type != YAML_SCALAR_EVENT)
        return fail(b, line, "a key has to be plain text, not a list, a mapping or an alias");
    const char *key = (const char *)event->data.scalar.value;
    if (strcmp(key, "<<") == 0)
        return fail(b, line,
                    "merge keys (<<) are not supported: write the keys out, or use an alias for "
                    "the whole value");
    if (event->data.scalar.tag || event->data.scalar.anchor ||
        strlen(key) != event->data.scalar.length)
        return fail(b, line, "tags, anchors and NUL bytes are not supported in keys");
    if (map->count >= YAML_MAX_KEYS)
        return fail(b, line, "more than 4096 keys in one mapping");
    const struct yaml_node *before = yaml_get(map, key);
    if (before)
        return err_set(ERR_FORMAT,
                       "%s:%d: the key '%.80s' stands here for the second time; first on line %d",
                       b->path, line, key, before->key_line);
    TRY(yaml_node_append(map, item));
    (*item)->key_line = line;
    TRY(mem_strdup(&(*item)->key, key));
out:
    return rc;
}

static int build_map(struct builder *b, int depth, struct yaml_node *node)
{
    int rc = 0;
    yaml_event_t event;
    for (;;) {
        struct yaml_node *item = NULL;
        if ((rc = next_event(b, &event)) != 0)
            return rc;
        if (event.type == YAML_MAPPING_END_EVENT)
            break;
        rc = read_key(b, &event, node, &item);
        yaml_event_delete(&event);
        if (rc || (rc = next_event(b, &event)) != 0)
            return rc;
        rc = build(b, &event, depth + 1, item);
        yaml_event_delete(&event);
        if (rc)
            return rc;
    }
    yaml_event_delete(&event);
    return 0;
}

/* The value that begins with event (which stays the caller's) into *node, whose key is already
 * there. */
static int build(struct builder *b, const yaml_event_t *event, int depth, struct yaml_node *node)
{
    int rc, list = event->type == YAML_SEQUENCE_START_EVENT;
    node->line = (int)event->start_mark.line + 1;
    if (event->type == YAML_ALIAS_EVENT) {
        struct yaml_node copy = {0};
        rc = use_alias(b, (const char *)event->data.alias.anchor, node->line, &copy);
        copy.key = node->key;
        copy.key_line = node->key_line;
        *node = copy;
        return rc;
    }
    const yaml_char_t *tag = event->type == YAML_SCALAR_EVENT ? event->data.scalar.tag
                             : list                           ? event->data.sequence_start.tag
                                                              : event->data.mapping_start.tag;
    if (tag)
        return fail(b, node->line, "tags (!name) are not supported");
    TRY(count_node(b, node->line));
    if (event->type == YAML_SCALAR_EVENT)
        return build_scalar(b, event, node);
    if (depth >= YAML_MAX_DEPTH)
        return fail(b, node->line, "lists and mappings nested more than 32 deep");
    node->kind = list ? YAML_LIST : YAML_MAP;
    TRY(list ? build_list(b, depth, node) : build_map(b, depth, node));
    TRY(remember_anchor(
        b, list ? event->data.sequence_start.anchor : event->data.mapping_start.anchor, node));
out:
    return rc;
}

/* ---- the document ---- */

/* Reads events up to the given type; those before it have to be stream and document starts. */
static int expect(struct builder *b, yaml_event_type_t type, const char *otherwise)
{
    yaml_event_t event;
    int rc = next_event(b, &event);
    if (rc)
        return rc;
    if (event.type != type)
        rc = fail(b, (int)event.start_mark.line + 1, otherwise);
    yaml_event_delete(&event);
    return rc;
}

static int build_document(struct builder *b, struct yaml_node *root)
{
    int rc;
    yaml_event_t event;
    TRY(expect(b, YAML_STREAM_START_EVENT, "not a YAML stream"));
    TRY(next_event(b, &event));
    int empty = event.type == YAML_STREAM_END_EVENT;
    yaml_event_delete(&event);
    if (empty) {
        *root = (struct yaml_node){.kind = YAML_MAP, .line = 1};
        return 0;
    }
    TRY(next_event(b, &event));
    rc = build(b, &event, 0, root);
    yaml_event_delete(&event);
    TRY(rc);
    TRY(expect(b, YAML_DOCUMENT_END_EVENT, "text behind the document's end"));
    TRY(expect(b, YAML_STREAM_END_EVENT, "a second document begins; one is expected"));
    if (yaml_is_null(root)) {
        yaml_node_release(root);
        *root = (struct yaml_node){.kind = YAML_MAP, .line = 1};
    }
out:
    return rc;
}

int yaml_parse(struct yaml *yaml, const char *name, const char *text, size_t size)
{
    int rc = 0;
    size_t wrong;
    struct yaml fresh = {0};
    struct builder b = {.path = name, .text = text, .size = size};
    if (size > YAML_MAX_BYTES)
        return err_set(ERR_FORMAT, "%s: %zu bytes; a YAML file of at most %d is read", name, size,
                       YAML_MAX_BYTES);
    if (!text_is_utf8(text, size, &wrong))
        return err_set(ERR_FORMAT, "%s:%d: byte %zu (0x%02x) is not UTF-8", name,
                       line_of_offset(&b, wrong), wrong, (unsigned)(unsigned char)text[wrong]);
    if (!yaml_parser_initialize(&b.parser))
        return err_set(ERR_MEMORY, "%s: out of memory while reading YAML", name);
    yaml_parser_set_encoding(&b.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&b.parser, (const unsigned char *)text, size);
    TRY(mem_strdup(&fresh.path, name));
    TRY(build_document(&b, &fresh.root));
    *yaml = fresh;
    fresh = (struct yaml){0};
out:
    yaml_parser_delete(&b.parser);
    for (int i = 0; i < b.anchor_count; i++) {
        yaml_node_release(&b.anchors[i].node);
        mem_free(b.anchors[i].name);
    }
    mem_free(b.anchors);
    yaml_release(&fresh);
    return rc;
}

int yaml_load(struct yaml *yaml, const char *path)
{
    char *text = NULL;
    size_t size;
    int rc = file_read(path, &text, &size);
    if (rc == 0)
        rc = yaml_parse(yaml, path, text, size);
    mem_free(text);
    return rc;
}

void yaml_release(struct yaml *yaml)
{
    yaml_node_release(&yaml->root);
    mem_free(yaml->path);
    *yaml = (struct yaml){0};
}
