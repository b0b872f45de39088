#include "harness/train_spec.h"

#include "core/err.h"
#include "core/mem.h"
#include "core/nearest.h"
#include "core/yaml.h"
#include "datasets/dataset.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AT(type, field) offsetof(struct type, field)

const struct option train_model_table[] = {
    {"layers", OPTION_INT, AT(train_model_options, layers), "4", 1, 1024,
     .help = "transformer blocks"},
    {"width", OPTION_INT, AT(train_model_options, width), "256", 2, 65536,
     .help = "size of the residual stream"},
    {"hidden", OPTION_INT, AT(train_model_options, hidden), "768", 2, 1 << 20,
     .help = "size of the MLP's inner layer"},
    {"heads", OPTION_INT, AT(train_model_options, heads), "4", 1, 1024, .help = "query heads"},
    {"kv_heads", OPTION_INT, AT(train_model_options, kv_heads), "2", 1, 1024,
     .help = "key-value heads, a divisor of heads"},
    {"head_size", OPTION_INT, AT(train_model_options, head_size), "0", 2, 1024,
     .help = "size of one head, even", .special = "0=width / heads"},
    {"tied_head", OPTION_BOOL, AT(train_model_options, tied_head), "true",
     .help = "the head's matrix is the embedding's"},
    {"norm_epsilon", OPTION_REAL, AT(train_model_options, norm_epsilon), "1e-5", 1e-12, 1e-2,
     .help = "epsilon of RMSNorm"},
    {"rope_theta", OPTION_REAL, AT(train_model_options, rope_theta), "10000", 10, 1e9,
     .help = "base of the rotary positions"},
    {.name = NULL}};

const struct option train_training_table[] = {
    {"sequences", OPTION_INT, AT(train_training_options, sequences), "8", 1, 65536,
     .help = "windows in a batch"},
    {"context", OPTION_INT, AT(train_training_options, context), "256", 2, 65536,
     .help = "tokens in a window"},
    {"shards", OPTION_INT, AT(train_training_options, shards), "1", 1, 4096,
     .help = "parts of a batch that are computed independently, a divisor of sequences"},
    {"tokens", OPTION_REAL, AT(train_training_options, tokens), "1000000", 1, 1e15,
     .help = "tokens to train on; the learning rate reaches its end there"},
    {"warmup_tokens", OPTION_REAL, AT(train_training_options, warmup_tokens), "200000", 0, 1e15,
     .help = "tokens over which the learning rate rises from 0"},
    {"learning_rate", OPTION_REAL, AT(train_training_options, learning_rate), "2e-3", 1e-9, 1,
     .help = "highest learning rate"},
    {"schedule", OPTION_CHOICE, AT(train_training_options, schedule), "cosine",
     .choices = "cosine|trapezoid",
     .help = "the learning rate's way down: half a cosine, or constant and then a straight line"},
    {"decay_share", OPTION_REAL, AT(train_training_options, decay_share), "0.3", 0.001, 1,
     .help = "the line's share of all tokens, for the schedule trapezoid"},
    {"final_rate", OPTION_REAL, AT(train_training_options, final_rate), "0.02", 0, 1,
     .help = "where the learning rate ends, as a share of learning_rate"},
    {"weight_decay", OPTION_REAL, AT(train_training_options, weight_decay), "0.1", 0, 10,
     .help = "decoupled weight decay of matrices"},
    {"beta1", OPTION_REAL, AT(train_training_options, beta1), "0.9", 0, 0.9999,
     .help = "AdamW's first moment"},
    {"beta2", OPTION_REAL, AT(train_training_options, beta2), "0.95", 0, 0.99999,
     .help = "AdamW's second moment"},
    {"clip", OPTION_REAL, AT(train_training_options, clip), "1", 0, 1e9,
     .help = "largest norm of the whole gradient, 0 for no limit"},
    {"dropout", OPTION_REAL, AT(train_training_options, dropout), "0", 0, 0.9,
     .help = "share of the embedding's and the branches' outputs that is dropped in training"},
    {"seed", OPTION_INT, AT(train_training_options, seed), "1", 0, 2147483647,
     .help = "of first weights, windows and dropout"},
    {.name = NULL}};

const struct option train_report_table[] = {
    {"log_steps", OPTION_INT, AT(train_report_options, log_steps), "50", 1, 1 << 30,
     .help = "updates between log lines"},
    {"validation_steps", OPTION_INT, AT(train_report_options, validation_steps), "500", 1, 1 << 30,
     .help = "updates between validations"},
    {"validation_tokens", OPTION_INT, AT(train_report_options, validation_tokens), "32768", 0,
     1 << 30, .help = "tokens of each validation split that are looked at, 0 for all"},
    {"checkpoint_minutes", OPTION_REAL, AT(train_report_options, checkpoint_minutes), "5", 0, 1e6,
     .help = "minutes between checkpoints"},
    {.name = NULL}};

const struct option train_tokenizer_table[] = {
    {"vocabulary", OPTION_INT, AT(train_tokenizer_options, vocabulary), "4096", 258, 1 << 20,
     .help = "tokens of the byte-level BPE that is trained where the output folder has no "
             "tokenizer.json"},
    {.name = NULL}};

const struct option train_corpus_table[] = {
    {"name", OPTION_TEXT, AT(train_corpus_options, name), "",
     .help = "a corpus of `bitbench datasets`"},
    {"weight", OPTION_REAL, AT(train_corpus_options, weight), "1", 1e-6, 1e6,
     .help = "its share of the windows, relative to the others"},
    {"validate", OPTION_BOOL, AT(train_corpus_options, validate), "true",
     .help = "whether its validation split counts for the best loss"},
    {"tokenizer", OPTION_BOOL, AT(train_corpus_options, tokenizer), "true",
     .help = "whether the tokenizer is trained on it"},
    {.name = NULL}};

static int read_section(const struct yaml *yaml, const struct yaml_node *node,
                        const struct option *table, void *target)
{
    char where[OPTION_TEXT_SIZE];
    int rc = 0;
    if (node->kind != YAML_MAP)
        return yaml_error(yaml, node, "'%s' must be a mapping of options, not %s",
                          node->key ? node->key : "corpora", yaml_kind_name(node->kind));
    for (int i = 0; i < node->count; i++) {
        const struct yaml_node *item = &node->items[i];
        if (item->kind != YAML_TEXT)
            return yaml_error(yaml, item, "'%s' must be a single value, not %s", item->key,
                              yaml_kind_name(item->kind));
        yaml_where(yaml, item, where, sizeof where);
        TRY(options_set(table, target, item->key, item->text, where));
    }
out:
    return rc;
}

/* There is a corpus of that name; a text of one's own is looked for when it is read. */
static int check_name(const struct yaml *yaml, const struct yaml_node *node, const char *name)
{
    struct corpus_source source = {0};
    int rc = corpus_open(name, &source);
    corpus_close(&source);
    if (rc != ERR_USAGE)
        return rc;
    char text[800];
    snprintf(text, sizeof text, "%s", err_text());
    return yaml_error(yaml, node, "%s", text);
}

static int read_corpora(struct train_spec *spec, const struct yaml *yaml,
                        const struct yaml_node *node)
{
    int rc = 0;
    if (node->kind != YAML_LIST || node->count == 0 || node->count > TRAIN_MAX_CORPORA)
        return yaml_error(yaml, node,
                          "'corpora' must be a list of 1 to %d mappings with name and weight",
                          TRAIN_MAX_CORPORA);
    spec->corpus_count = 0;
    for (int i = 0; i < node->count; i++) {
        struct train_corpus_options *corpus = &spec->corpora[spec->corpus_count++];
        TRY(options_defaults(train_corpus_table, corpus));
        TRY(read_section(yaml, &node->items[i], train_corpus_table, corpus));
        if (corpus->name[0] == '\0')
            return yaml_error(yaml, &node->items[i], "a corpus needs a 'name'");
        TRY(check_name(yaml, &node->items[i], corpus->name));
        for (int j = 0; j < i; j++)
            if (strcmp(spec->corpora[j].name, corpus->name) == 0)
                return yaml_error(yaml, &node->items[i], "corpus '%s' is listed twice",
                                  corpus->name);
    }
out:
    return rc;
}

static int read_text(const struct yaml *yaml, const struct yaml_node *node, char **text)
{
    if (node->kind != YAML_TEXT || node->text[0] == '\0')
        return yaml_error(yaml, node, "'%s' must be a text", node->key);
    mem_free(*text);
    return mem_strdup(text, node->text);
}

static int read_key(struct train_spec *spec, const struct yaml *yaml, const struct yaml_node *node)
{
    static const char *const keys[] = {"title",  "output",    "model",  "training",
                                       "report", "tokenizer", "corpora"};
    if (strcmp(node->key, "title") == 0)
        return read_text(yaml, node, &spec->title);
    if (strcmp(node->key, "output") == 0)
        return read_text(yaml, node, &spec->output);
    if (strcmp(node->key, "model") == 0)
        return read_section(yaml, node, train_model_table, &spec->model);
    if (strcmp(node->key, "training") == 0)
        return read_section(yaml, node, train_training_table, &spec->training);
    if (strcmp(node->key, "report") == 0)
        return read_section(yaml, node, train_report_table, &spec->report);
    if (strcmp(node->key, "tokenizer") == 0)
        return read_section(yaml, node, train_tokenizer_table, &spec->tokenizer);
    if (strcmp(node->key, "corpora") == 0)
        return read_corpora(spec, yaml, node);
    struct nearest nearest = {.word = node->key};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        nearest_offer(&nearest, keys[i]);
    return yaml_error(
        yaml, node,
        "unknown key '%s'%s%s%s; a training spec has title, output, model, training, report, "
        "tokenizer and corpora",
        node->key, nearest.best ? ", did you mean '" : "", nearest.best ? nearest.best : "",
        nearest.best ? "'?" : "");
}

static int check(const struct train_spec *spec)
{
    const struct train_model_options *m = &spec->model;
    if (!spec->output)
        return err_set(ERR_USAGE, "%s: 'output' is missing: the folder that receives the model",
                       spec->path);
    if (spec->corpus_count == 0)
        return err_set(ERR_USAGE, "%s: 'corpora' is missing: a list of names and weights",
                       spec->path);
    if (m->heads % m->kv_heads)
        return err_set(ERR_USAGE, "%s: model.kv_heads %d must divide model.heads %d", spec->path,
                       m->kv_heads, m->heads);
    if (m->head_size == 0 && (m->width % m->heads || m->width / m->heads % 2))
        return err_set(
            ERR_USAGE,
            "%s: model.width %d over model.heads %d gives no even head size; set model.head_size",
            spec->path, m->width, m->heads);
    if (m->head_size % 2)
        return err_set(ERR_USAGE, "%s: model.head_size %d must be even", spec->path, m->head_size);
    if (spec->training.sequences % spec->training.shards)
        return err_set(ERR_USAGE, "%s: training.shards %d must divide training.sequences %d",
                       spec->path, spec->training.shards, spec->training.sequences);
    if (spec->training.warmup_tokens >= spec->training.tokens)
        return err_set(ERR_USAGE,
                       "%s: training.warmup_tokens %.0f must be less than training.tokens %.0f",
                       spec->path, spec->training.warmup_tokens, spec->training.tokens);
    return 0;
}

/* "key=value" */
static int override(struct yaml *yaml, const char *text)
{
    const char *equals = strchr(text, '=');
    char *path = NULL, *where = NULL;
    int rc = 0;
    if (!equals || equals == text)
        return err_set(ERR_USAGE, "--set %s: expected key=value, such as training.tokens=2000000",
                       text);
    TRY(mem_printf(&path, "%.*s", (int)(equals - text), text));
    TRY(mem_printf(&where, "--set %s", text));
    TRY(yaml_override(yaml, &yaml->root, path, equals + 1, where));
out:
    mem_free(path);
    mem_free(where);
    return rc;
}

int train_spec_load(struct train_spec *spec, const char *path, const char *const *sets)
{
    struct yaml yaml = {0};
    int rc = 0;
    memset(spec, 0, sizeof *spec);
    if (!*path)
        return err_set(ERR_USAGE, "the spec's name is empty: a YAML file is expected");
    TRY(mem_strdup(&spec->path, path));
    TRY(options_defaults(train_model_table, &spec->model));
    TRY(options_defaults(train_training_table, &spec->training));
    TRY(options_defaults(train_report_table, &spec->report));
    TRY(options_defaults(train_tokenizer_table, &spec->tokenizer));
    TRY(yaml_load(&yaml, path));
    for (size_t i = 0; sets && sets[i]; i++)
        TRY(override(&yaml, sets[i]));
    if (yaml.root.kind != YAML_MAP)
        TRY(yaml_error(&yaml, &yaml.root, "a training spec is a mapping"));
    for (int i = 0; i < yaml.root.count; i++)
        TRY(read_key(spec, &yaml, &yaml.root.items[i]));
    TRY(check(spec));
out:
    yaml_release(&yaml);
    if (rc)
        train_spec_release(spec);
    return rc;
}

void train_spec_release(struct train_spec *spec)
{
    mem_free(spec->title);
    mem_free(spec->output);
    mem_free(spec->path);
    memset(spec, 0, sizeof *spec);
}

static int hash_options(struct hash *hash, const struct option *table, const void *options)
{
    json_t *json = NULL;
    int rc = options_to_json(table, options, &json);
    if (rc)
        return rc;
    json_object_del(json, "tokens");
    json_object_del(json, "decay_share");
    char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
    if (text)
        hash_add(hash, text, strlen(text) + 1);
    else
        rc = err_set(ERR_MEMORY, "out of memory");
    free(text);
    json_decref(json);
    return rc;
}

int train_spec_hash(const struct train_spec *spec, struct hash *hash)
{
    int rc = 0;
    TRY(hash_options(hash, train_model_table, &spec->model));
    TRY(hash_options(hash, train_training_table, &spec->training));
    for (int i = 0; i < spec->corpus_count; i++)
        TRY(hash_options(hash, train_corpus_table, &spec->corpora[i]));
out:
    return rc;
}

void train_spec_config(const struct train_spec *spec, int vocabulary, int bos, int eos,
                       struct model_config *config)
{
    const struct train_model_options *m = &spec->model;
    *config = (struct model_config){.architecture = "llama",
                                    .layers = m->layers,
                                    .width = m->width,
                                    .hidden = m->hidden,
                                    .heads = m->heads,
                                    .kv_heads = m->kv_heads,
                                    .head_size = m->head_size ? m->head_size : m->width / m->heads,
                                    .vocabulary = vocabulary,
                                    .max_positions = spec->training.context,
                                    .norm_epsilon = m->norm_epsilon,
                                    .rope_theta = m->rope_theta,
                                    .tied_head = m->tied_head,
                                    .bos_id = bos,
                                    .eos_id = eos};
}
