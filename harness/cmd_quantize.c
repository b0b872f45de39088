/* bitbench quantize METHOD: a model in a method's packed form, as a folder */
#include "core/err.h"
#include "core/mem.h"
#include "core/progress.h"
#include "core/version.h"
#include "harness/calibration.h"
#include "harness/command.h"
#include "harness/method_option.h"
#include "harness/model_folder.h"
#include "harness/packed_write.h"
#include "harness/positions.h"
#include "harness/spec_internal.h"
#include "harness/token_ids.h"

#include <stdio.h>
#include <string.h>

struct quantize_command {
    char model[OPTION_TEXT_SIZE], out[OPTION_TEXT_SIZE], tokenizer[OPTION_TEXT_SIZE];
    struct harness_options harness;
    struct calibration_spec calibration;
};

#define FIELD(name) offsetof(struct quantize_command, name)
static const struct option quantize_table[] = {
    {.name = "model",
     .type = OPTION_TEXT,
     .offset = FIELD(model),
     .fallback = "embedded",
     .choices = "PATH",
     .help = "the model's folder or GGUF file, or embedded"},
    {.name = "out",
     .type = OPTION_TEXT,
     .offset = FIELD(out),
     .fallback = "",
     .choices = "FOLDER",
     .help = "where the packed model goes: a folder that is not there yet, or is empty"},
    {.name = "tokenizer",
     .type = OPTION_TEXT,
     .offset = FIELD(tokenizer),
     .fallback = "",
     .choices = "PATH",
     .help = "a tokenizer in place of the model's own, which goes into the folder as well: what "
             "`bitbench tokenize` takes"},
#undef FIELD
#define FIELD(name) offsetof(struct quantize_command, harness.name)
#define NAME(text)  text
#include "harness/selection_rows.def"
#undef FIELD
#undef NAME
#define FIELD(name) offsetof(struct quantize_command, calibration.name)
#define NAME(text)  "calibration." text
#include "harness/calibration_rows.def"
#undef FIELD
#undef NAME
    {.name = NULL},
};

/* Everything that one call needs. */
struct quantize_job {
    const struct command_line *line;
    const struct quantize_command *options;
    struct point point;
    struct model model;
    struct tokenizer *tokenizer;
    char *words; /* where the tokenizer is */
    struct corpus_cache corpora;
    struct stream calibration;
    struct packed_writer writer;
    struct pipeline_output output;
    json_t *made;
    size_t file_bytes;
};

static void job_release(struct quantize_job *job)
{
    packed_write_abort(&job->writer);
    pipeline_output_release(&job->output);
    stream_release(&job->calibration);
    corpus_cache_release(&job->corpora);
    tokenizer_free(job->tokenizer);
    mem_free(job->words);
    model_close(&job->model);
    point_release(&job->point);
    json_decref(job->made);
}

/* "layers=..." and "after=..." of -o have YAML as in a spec. */
static bool is_plan(const char *text)
{
    return strncmp(text, "layers=", 7) == 0 || strncmp(text, "after=", 6) == 0;
}

/* Adds to *set which options it gave, for the label. */
static int add_plan(struct point *point, const char *text, struct axes *set)
{
    int rc;
    struct yaml yaml = {0};
    const struct axes none = {.count = 0};
    struct entry entry = {.yaml = &yaml, .method = point->method, .calibration = &none};
    const char *value = strchr(text, '=') + 1;
    TRY(yaml_parse(&yaml, "-o", value, strlen(value)));
    TRY(text[0] == 'l' ? entry_read_rules(&entry, &yaml.root)
                       : entry_read_after(&entry, &yaml.root));
    if (axes_combinations(&entry.axes, 1) > 1) {
        rc = err_set(ERR_USAGE,
                     "-o %.80s: one model is written, and a list of values makes several", text);
        goto out;
    }
    if (text[0] == 'l' ? point->rule_count > 0 : point->after != NULL) {
        rc = err_set(ERR_USAGE, "-o %.80s: given twice", text);
        goto out;
    }
    TRY(entry_apply_rules(&entry, 0, point));
    for (int i = 0; i < entry.axes.count && set->count < SPEC_MAX_AXES; i++)
        set->items[set->count++] = entry.axes.items[i];
out:
    entry_release_rules(&entry);
    yaml_release(&yaml);
    return rc;
}

static int make_point(struct quantize_job *job)
{
    int rc = 0, plain = 0;
    const struct axes none = {.count = 0};
    struct axes set = {.count = 0};
    const char **options = NULL;
    struct point *point = &job->point;
    point->method = method_find(job->line->arguments[0]);
    if (!point->method)
        return ERR_USAGE;
    point->harness = job->options->harness;
    point->calibration = job->options->calibration;
    TRY(mem_calloc(&options, (size_t)job->line->list_count, sizeof *options));
    for (int i = 0; i < job->line->list_count; i++)
        if (!is_plan(job->line->list[i]))
            options[plain++] = job->line->list[i];
    TRY(method_options_make(point->method, options, plain, &point->method_options));
    for (int i = 0; i < job->line->list_count; i++)
        if (is_plan(job->line->list[i]))
            TRY(add_plan(point, job->line->list[i], &set));
    TRY(point_make_label(point, &set, &none));
out:
    mem_free(options);
    return rc;
}

/* The model; and, where the method looks at data, its tokenizer and the calibration's tokens. */
static int open_inputs(struct quantize_job *job)
{
    int rc;
    const struct quantize_command *options = job->options;
    char *folder = NULL;
    TRY(model_folder(&folder, options->model));
    TRY(model_folder_open(&job->model, folder));
    TRY(tokenizer_folder(&job->words, options->tokenizer[0] ? options->tokenizer : folder));
    TRY(packed_write_begin(&job->writer, options->out, &job->model, &job->point));
    job->writer.tokenizer = options->tokenizer[0] ? job->words : NULL;
    const bool calibrates = layer_plan_caps(&job->point) & QM_NEEDS_HESSIAN;
    if (options->tokenizer[0] || (calibrates && !token_ids_named(options->calibration.corpus))) {
        TRY(tokenizer_open(&job->tokenizer, job->words));
        TRY(model_check_tokenizer(&job->model, job->tokenizer));
    }
    if (calibrates) {
        job->corpora.tokenizer = job->tokenizer;
        job->corpora.vocabulary = job->model.config.vocabulary;
        TRY(calibration_draw(&job->point.calibration, &job->corpora, &job->calibration, NULL));
        TRY(positions_check(&job->model.config, "calibration: segments",
                            job->point.calibration.length));
    }
out:
    mem_free(folder);
    return rc;
}

/* What config.json keeps of how the model was made. */
static int describe(struct quantize_job *job)
{
    int rc;
    char hash[HASH_HEX_SIZE];
    json_t *selection = NULL, *calibration = NULL;
    const struct pipeline_output *output = &job->output;
    TRY(options_to_json(harness_option_table, &job->point.harness, &selection));
    json_object_del(selection, "layer_errors"); /* nothing is measured */
    json_object_del(selection, "drift");
    job->made = json_pack("{s:s, s:s, s:s, s:o, s:{s:f, s:f, s:f, s:f}}", "bitbench",
                          BITBENCH_VERSION, "commit", version.commit, "model_hash", job->model.hash,
                          "selection", selection, "bits", "paper", output->paper_bits,
                          "paper_marks", output->paper_bits_marks, "stored", output->stored_bits,
                          "whole_model", output->full_bits);
    if (!job->made) {
        rc = err_set(ERR_MEMORY, "out of memory: the description of a packed model");
        goto out;
    }
    if (job->calibration.rows == 0)
        goto out;
    TRY(options_to_json(calibration_option_table, &job->point.calibration, &calibration));
    stream_hash(&job->calibration, hash);
    int bad = json_object_set_new(calibration, "hash", json_string(hash));
    if (json_object_set_new(job->made, "calibration", calibration) != 0 || bad)
        rc = err_set(ERR_MEMORY, "out of memory: the description of a packed model");
out:
    return rc;
}

static int print_json(const struct quantize_job *job)
{
    const struct pipeline_output *o = &job->output;
    return command_print_json(json_pack(
        "{s:s, s:s, s:s, s:i, s:I, s:{s:f, s:f, s:f, s:f}, s:I, s:I, s:f}", "folder",
        job->options->out, "method", job->point.method->name, "label", job->point.label, "layers",
        o->layer_count, "weights", (json_int_t)o->weights, "bits", "paper", o->paper_bits,
        "paper_marks", o->paper_bits_marks, "stored", o->stored_bits, "whole_model", o->full_bits,
        "tensor_bytes", (json_int_t)o->file_bytes, "file_bytes", (json_int_t)job->file_bytes,
        "seconds", o->timings[STAGE_QUANTIZE].wall));
}

static void print_text(const struct quantize_job *job)
{
    const struct pipeline_output *o = &job->output;
    printf("%s: %d layers, %ld weights, quantized in %.1f s\n", job->point.label, o->layer_count,
           o->weights, o->timings[STAGE_QUANTIZE].wall);
    printf("paper's count  %8.4f bits a weight", o->paper_bits);
    if (o->paper_bits_marks > 0)
        printf(", and %.4f for marks that it counts apart", o->paper_bits_marks);
    printf("\nstored         %8.4f bits a weight: everything that rebuilds the layers\n",
           o->stored_bits);
    printf("whole model    %8.4f bits a parameter: %.0f bytes with embeddings and norms\n",
           o->full_bits, o->file_bytes);
    printf("%s/model.safetensors: %zu bytes\n", job->options->out, job->file_bytes);
}

static int run_quantize(const struct command_line *line)
{
    int rc;
    struct quantize_job job = {.line = line, .options = line->options};
    const struct layer_sink sink = {packed_write_take, &job.writer};
    if (!job.options->out[0])
        return err_set(ERR_USAGE, "quantize: --out FOLDER is missing: where the packed model goes");
    TRY(make_point(&job));
    TRY(open_inputs(&job));
    char result[64];
    const struct pipeline_input input = {.model = &job.model,
                                         .point = &job.point,
                                         .calibration = job.calibration.rows ? &job.calibration
                                                                             : NULL,
                                         .sink = &sink};
    progress_begin("quantize", 1, NULL);
    progress_point(0, job.point.label);
    rc = pipeline_run(&input, &job.output);
    if (rc == 0) {
        snprintf(result, sizeof result, "%.2f bits a weight", job.output.stored_bits);
        progress_point_done(result);
    }
    progress_end();
    if (rc)
        goto out;
    TRY(describe(&job));
    TRY(packed_write_commit(&job.writer, job.made, &job.file_bytes));
    if (line->global.json)
        TRY(print_json(&job));
    else
        print_text(&job);
out:
    job_release(&job);
    return rc;
}

const struct command command_quantize = {
    .name = "quantize",
    .summary = "quantizes a model and writes it in packed form",
    .arguments = "METHOD",
    .arguments_min = 1,
    .arguments_max = 1,
    .argument_kind = ARGUMENT_METHOD,
    .flags = COMMAND_JSON | COMMAND_COMPUTES | COMMAND_DATA | COMMAND_STREAMS,
    .options = quantize_table,
    .options_size = sizeof(struct quantize_command),
    .letters = "m=model",
    .list = {.name = "option",
             .value = "KEY=VALUE",
             .letter = 'o',
             .help = "set an option of the method, such as bits=2; `bitbench methods METHOD` "
                     "lists them"},
    .description =
        "The folder that results is a model like any other: eval, run and models open it, and "
        "what they measure on it is what they would measure on the model quantized in place. Its "
        "layout is described in docs/format.md, so that other programs can read it. It appears "
        "whole or not at all.\n\n"
        "Three counts are printed. The paper's is its own formula; stored is every byte that is "
        "needed to rebuild the quantized layers; the whole model has embeddings, norms and the "
        "layers left alone as well.",
    .examples = "bitbench quantize rtn -o bits=4 -o group_size=64 --out rtn4\n"
                "bitbench quantize gptq -o bits=2 --calibration.samples 64 --out gptq2\n"
                "bitbench eval --model gptq2 --corpora kjv\n"
                "# all blocks but the first\n"
                "bitbench quantize billm --min-layer 1 --model PATH --out packed\n"
                "# more bits for some layers, and pruning before (docs/spec.md)\n"
                "bitbench quantize gptq -o bits=2 -o 'layers=[{match: down_proj, bits: 4}]' "
                "--out mixed\n"
                "bitbench quantize billm -o 'after={method: prune, share: 0.3}' --out pruned\n",
    .run = run_quantize,
};
