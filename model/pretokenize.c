#include "model/pretokenize.h"

#include "core/err.h"
#include "core/mem.h"
#include "model/pretokenize_steps.h"

#include <stdint.h>
#include <string.h>

static const char gpt2_pattern[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/* In the order of enum behavior. */
static const char *const behavior_names[] = {"Isolated",       "Removed",    "MergedWithPrevious",
                                             "MergedWithNext", "Contiguous", NULL};

static void *pcre_alloc(size_t size, void *unused)
{
    void *pointer;
    return mem_alloc(&pointer, size, 1) == 0 ? pointer : NULL;
}

static void pcre_free(void *pointer, void *unused)
{
    mem_free(pointer);
}

/* ---- reading the rules ---- */

static int compile(struct pretokenizer *rules, struct pretokenizer_step *step, const char *pattern,
                   uint32_t options, const char *file)
{
    int error, rc = 0;
    size_t offset;
    pcre2_compile_context *context = pcre2_compile_context_create(rules->memory);
    if (!context)
        return err_set(ERR_MEMORY, "%s: out of memory for a pattern", file);
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    step->code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_UTF | options,
                               &error, &offset, context);
    pcre2_compile_context_free(context);
    if (!step->code) {
        PCRE2_UCHAR text[160];
        pcre2_get_error_message(error, text, sizeof text);
        rc = err_set(error == PCRE2_ERROR_HEAP_FAILED ? ERR_MEMORY : ERR_FORMAT,
                     "%s: pre_tokenizer: the pattern '%s' does not compile: %s (at byte %zu)", file,
                     pattern, (const char *)text, offset);
    } else {
        step->jit = pcre2_jit_compile(step->code, PCRE2_JIT_COMPLETE) == 0;
    }
    return rc;
}

static int compile_regex(struct pretokenizer *rules, struct pretokenizer_step *step,
                         const char *pattern, const char *file)
{
    char *translated = NULL;
    int rc = pretokenize_translate(pattern, &translated, file);
    if (rc == 0) /* Oniguruma's ^ and $ always stand at lines */
        rc = compile(rules, step, translated, PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C,
                     file);
    mem_free(translated);
    return rc;
}

/* *value = object[key], or the fallback where it is absent. */
static int get_bool(const json_t *object, const char *key, bool fallback, bool *value,
                    const char *type, const char *file)
{
    const json_t *member = json_object_get(object, key);
    if (member && !json_is_boolean(member))
        return err_set(ERR_FORMAT, "%s: pre_tokenizer '%s': '%s' is neither true nor false", file,
                       type, key);
    *value = member ? json_is_true(member) : fallback;
    return 0;
}

static int add_split(struct pretokenizer *rules, struct pretokenizer_step *step,
                     const json_t *object, const char *file)
{
    const json_t *pattern = json_object_get(object, "pattern");
    const char *regex = json_string_value(json_object_get(pattern, "Regex"));
    const char *literal = json_string_value(json_object_get(pattern, "String"));
    const char *behavior = json_string_value(json_object_get(object, "behavior"));
    if (!regex && !literal)
        return err_set(
            ERR_FORMAT,
            "%s: pre_tokenizer 'Split' needs a pattern {\"Regex\": ...} or {\"String\": ...}",
            file);
    if (!behavior)
        return err_set(ERR_FORMAT, "%s: pre_tokenizer 'Split' has no behavior", file);
    int i = 0;
    while (behavior_names[i] && strcmp(behavior_names[i], behavior) != 0)
        i++;
    if (!behavior_names[i])
        return err_set(ERR_FORMAT,
                       "%s: pre_tokenizer 'Split': behavior '%s' is not supported; supported: "
                       "Isolated, Removed, "
                       "MergedWithPrevious, MergedWithNext, Contiguous",
                       file, behavior);
    step->behavior = (enum behavior)i;
    int rc = get_bool(object, "invert", false, &step->invert, "Split", file);
    if (rc)
        return rc;
    return regex ? compile_regex(rules, step, regex, file)
                 : compile(rules, step, literal, PCRE2_LITERAL, file);
}

static int add_rule(struct pretokenizer *rules, const json_t *object, int depth, const char *file);

static int add_sequence(struct pretokenizer *rules, const json_t *object, int depth,
                        const char *file)
{
    const json_t *list = json_object_get(object, "pretokenizers");
    if (!json_is_array(list))
        return err_set(ERR_FORMAT, "%s: pre_tokenizer 'Sequence' has no list 'pretokenizers'",
                       file);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < json_array_size(list); i++)
        rc = add_rule(rules, json_array_get(list, i), depth + 1, file);
    return rc;
}

static int add_rule(struct pretokenizer *rules, const json_t *object, int depth, const char *file)
{
    const char *type = json_string_value(json_object_get(object, "type"));
    if (!type)
        return err_set(ERR_FORMAT, "%s: pre_tokenizer has no type", file);
    if (strcmp(type, "Sequence") == 0 && depth < PRETOKENIZER_STEPS)
        return add_sequence(rules, object, depth, file);
    if (rules->byte_level)
        return err_set(
            ERR_FORMAT,
            "%s: pre_tokenizer '%s' after ByteLevel is not supported; ByteLevel must come last",
            file, type);
    if (rules->count == PRETOKENIZER_STEPS)
        return err_set(ERR_FORMAT, "%s: pre_tokenizer has more than %d steps", file,
                       PRETOKENIZER_STEPS);
    struct pretokenizer_step *step = &rules->steps[rules->count++];
    int rc;
    bool flag = false;
    if (strcmp(type, "ByteLevel") == 0) {
        rules->byte_level = true;
        if ((rc = get_bool(object, "add_prefix_space", true, &step->add_space, type, file)) ||
            (rc = get_bool(object, "use_regex", true, &flag, type, file)))
            return rc;
        return flag ? compile_regex(rules, step, gpt2_pattern, file) : 0;
    }
    if (strcmp(type, "Digits") == 0) {
        if ((rc = get_bool(object, "individual_digits", false, &flag, type, file)))
            return rc;
        step->behavior = flag ? ISOLATED : CONTIGUOUS;
        return compile_regex(rules, step, "\\p{N}", file);
    }
    if (strcmp(type, "Split") == 0)
        return add_split(rules, step, object, file);
    return err_set(ERR_FORMAT,
                   "%s: pre_tokenizer type '%s' is not supported; supported: ByteLevel, Digits, "
                   "Split, Sequence; Metaspace alone",
                   file, type);
}

static int open_rules(struct pretokenizer **out, const json_t *object, bool byte_level,
                      const char *file)
{
    int rc;
    struct pretokenizer *rules;
    TRY(mem_calloc(&rules, 1, sizeof *rules));
    if (!(rules->memory = pcre2_general_context_create(pcre_alloc, pcre_free, NULL))) {
        rc = err_set(ERR_MEMORY, "%s: out of memory for the pre-tokenizer", file);
        goto out;
    }
    if (!json_is_object(object)) {
        rc = err_set(ERR_FORMAT,
                     "%s: pre_tokenizer is missing; byte-level BPE needs at least ByteLevel", file);
        goto out;
    }
    TRY(add_rule(rules, object, 0, file));
    if (rules->byte_level != byte_level) {
        rc = err_set(ERR_FORMAT, "%s: pre_tokenizer has %s ByteLevel, unlike the vocabulary", file,
                     byte_level ? "no" : "a");
        goto out;
    }
    *out = rules;
    rules = NULL;
out:
    pretokenizer_free(rules);
    return rc;
}

int pretokenizer_from_json(struct pretokenizer **out, const json_t *rules, const char *file)
{
    return open_rules(out, rules, true, file);
}

int pretokenizer_for_characters(struct pretokenizer **out, const json_t *rules, const char *file)
{
    return open_rules(out, rules, false, file);
}

void pretokenizer_free(struct pretokenizer *rules)
{
    if (!rules)
        return;
    for (int i = 0; i < rules->count; i++)
        pcre2_code_free(rules->steps[i].code);
    pcre2_general_context_free(rules->memory);
    mem_free(rules);
}

json_t *pretokenizer_gpt2_json(bool individual_digits)
{
    json_t *bytes = json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel", "add_prefix_space", 0,
                              "trim_offsets", 1, "use_regex", 1);
    if (!individual_digits || !bytes)
        return bytes;
    return json_pack("{s:s, s:[{s:s, s:b}, o]}", "type", "Sequence", "pretokenizers", "type",
                     "Digits", "individual_digits", 1, bytes);
}
