/* bitbench layer METHOD: one matrix quantized, what it cost and what came out, as tensors in a
 * file. */
#include "core/arena.h"
#include "core/clock.h"
#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"
#include "harness/command.h"
#include "harness/layer_loss.h"
#include "harness/layer_read.h"
#include "harness/method_option.h"
#include "methods/method.h"
#include "model/safetensors.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct layer_command {
    char weight[OPTION_TEXT_SIZE], hessian[OPTION_TEXT_SIZE], input[OPTION_TEXT_SIZE];
    char out[OPTION_TEXT_SIZE], packed[OPTION_TEXT_SIZE];
    int seed;
};

#define FIELD(name) offsetof(struct layer_command, name)
static const struct option layer_table[] = {
    {.name = "weight",
     .type = OPTION_TEXT,
     .offset = FIELD(weight),
     .fallback = "",
     .choices = "FILE[:TENSOR]",
     .help = "the matrix, out x in; without a name the file's tensor W, or its only one"},
    {.name = "hessian",
     .type = OPTION_TEXT,
     .offset = FIELD(hessian),
     .fallback = "",
     .choices = "FILE[:TENSOR]",
     .help = "the Hessian of the layer's inputs, in x in (by default the tensor H)"},
    {.name = "input",
     .type = OPTION_TEXT,
     .offset = FIELD(input),
     .fallback = "",
     .choices = "FILE[:TENSOR]",
     .help =
         "the inputs themselves, tokens x in or sequences x tokens x in (by default the tensor X)"},
    {.name = "out",
     .type = OPTION_TEXT,
     .offset = FIELD(out),
     .fallback = "",
     .choices = "FILE",
     .help = "where W_q and the method's masks, scales and codes go (safetensors)"},
    {.name = "packed",
     .type = OPTION_TEXT,
     .offset = FIELD(packed),
     .fallback = "",
     .choices = "FILE",
     .help = "where the packed form goes, if it is wanted"},
    {.name = "seed",
     .type = OPTION_INT,
     .offset = FIELD(seed),
     .fallback = "0",
     .low = 0,
     .high = 2147483647,
     .help = "seed of the methods that draw"},
    {.name = NULL},
};

struct job {
    const struct command_line *line;
    const struct layer_command *options;
    const struct quant_method *method;
    void *method_options;
    int rows, columns;
    float *weight;
    struct hessian hessian;
    bool have_hessian;
    struct arena arena;
    struct layer_result result;
    struct packed packed;
    struct layer_loss loss;
    double seconds, pack_seconds;
    size_t file_bytes;
};

static void job_release(struct job *job)
{
    mem_free(job->method_options);
    mem_free(job->weight);
    mem_free(job->result.quantized);
    hessian_release(&job->hessian);
    layer_result_release(&job->result);
    packed_release(&job->packed);
    arena_release(&job->arena);
}

/* ---- reading ---- */

static int read_job(struct job *job)
{
    const struct layer_command *o = job->options;
    int rc = 0;
    job->method = method_find(job->line->arguments[0]);
    if (!job->method)
        return ERR_USAGE;
    if (!o->weight[0] || !o->out[0])
        return err_set(ERR_USAGE, "layer: --%s is missing",
                       o->weight[0] ? "out FILE" : "weight FILE[:TENSOR]");
    if (o->hessian[0] && o->input[0])
        return err_set(ERR_USAGE,
                       "layer: --hessian and --input exclude each other: inputs give a Hessian");
    if ((job->method->caps & QM_NEEDS_HESSIAN) && !o->hessian[0] && !o->input[0])
        return err_set(ERR_USAGE,
                       "layer: %s needs --hessian FILE[:TENSOR] or --input FILE[:TENSOR]",
                       job->method->name);
    TRY(method_options_make(job->method, job->line->list, job->line->list_count,
                            &job->method_options));
    TRY(layer_read_weight(o->weight, &job->weight, &job->rows, &job->columns));
    if (o->hessian[0])
        TRY(layer_read_hessian(o->hessian, job->columns, &job->hessian));
    if (o->input[0])
        TRY(layer_read_input(o->input, job->columns, &job->hessian));
    job->have_hessian = job->hessian.matrix != NULL;
out:
    return rc;
}

/* ---- working ---- */

static int quantize(struct job *job)
{
    int rc = 0;
    struct layer_problem problem = {.name = job->options->weight,
                                    .weight = job->weight,
                                    .rows = job->rows,
                                    .columns = job->columns,
                                    .hessian = job->have_hessian ? &job->hessian : NULL,
                                    .seed = (uint64_t)job->options->seed,
                                    .arena = &job->arena};
    TRY(mem_alloc(&job->result.quantized, (size_t)job->rows * (size_t)job->columns, sizeof(float)));
    double start = clock_wall();
    TRY(job->method->quantize_layer(job->method_options, &problem, &job->result));
    job->seconds = clock_wall() - start;
    TRY(job->method->pack(job->method_options, &problem, &job->result, &job->packed));
    job->pack_seconds = clock_wall() - start - job->seconds;
    TRY(layer_loss(job->weight, job->result.quantized, job->rows, job->columns, problem.hessian,
                   &job->arena, &job->loss));
out:
    return rc;
}

static enum dtype tensor_type(enum array_type type)
{
    static const enum dtype types[] = {[ARRAY_F32] = DTYPE_F32,
                                       [ARRAY_F16] = DTYPE_F16,
                                       [ARRAY_I32] = DTYPE_I32,
                                       [ARRAY_U16] = DTYPE_U16,
                                       [ARRAY_U8] = DTYPE_U8};
    return types[type];
}

/* Vectors of one number a block, row or column have rank 1; scales keep their column of groups. */
static int tensor_rank(const struct packed_array *array)
{
    static const char *const vectors[] = {"split", "weight_scale", "input_factor"};
    if (array->shape[1] != 1)
        return 2;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
        if (strcmp(array->name, vectors[i]) == 0)
            return 1;
    return array->type == ARRAY_I32 ? 1 : 2;
}

static struct tensor_source source_of(const struct packed_array *array)
{
    return (struct tensor_source){.name = array->name,
                                  .dtype = tensor_type(array->type),
                                  .rank = tensor_rank(array),
                                  .shape = {array->shape[0], array->shape[1]},
                                  .data = array->data};
}

static int metadata_of(const struct job *job, json_t **out)
{
    json_t *options = NULL, *metadata = NULL;
    int rc = options_to_json(job->method->options, job->method_options, &options);
    char *text = rc ? NULL : json_dumps(options, JSON_COMPACT | JSON_SORT_KEYS);
    if (rc == 0) {
        metadata = text ? json_pack("{s:s, s:s, s:s}", "method", job->method->name, "options", text,
                                    "made_by", "bitbench layer")
                        : NULL;
        if (!metadata)
            rc = err_set(ERR_MEMORY, "out of memory: a file's description");
    }
    free(text);
    json_decref(options);
    *out = metadata;
    return rc;
}

static int file_size(const char *path, size_t *bytes)
{
    struct file_map map = {0};
    int rc = file_map_open(&map, path);
    *bytes = map.size;
    file_unmap(&map);
    return rc;
}

/* The packed form as a file: kept under --packed, else written beside --out to be measured. */
static int write_packed(struct job *job, const json_t *metadata)
{
    struct tensor_source sources[PACKED_MAX];
    char *path = NULL;
    bool keep = job->options->packed[0] != '\0';
    int rc = 0;
    for (int i = 0; i < job->packed.count; i++)
        sources[i] = source_of(&job->packed.arrays[i]);
    TRY(keep ? mem_strdup(&path, job->options->packed)
             : mem_printf(&path, "%s.packed", job->options->out));
    TRY(safetensors_write(path, sources, (size_t)job->packed.count, metadata));
    rc = file_size(path, &job->file_bytes);
    if (!keep)
        unlink(path);
out:
    mem_free(path);
    return rc;
}

static int write_out(struct job *job)
{
    struct tensor_source sources[PACKED_MAX + 1];
    json_t *metadata = NULL;
    int rc = 0, count = 0;
    sources[count++] = (struct tensor_source){.name = "W_q",
                                              .dtype = DTYPE_F32,
                                              .rank = 2,
                                              .data = job->result.quantized,
                                              .shape = {(size_t)job->rows, (size_t)job->columns}};
    for (int i = 0; i < job->result.details.count; i++)
        if (job->result.details.arrays[i].shape[0] * job->result.details.arrays[i].shape[1] > 0)
            sources[count++] = source_of(&job->result.details.arrays[i]);
    TRY(metadata_of(job, &metadata));
    TRY(safetensors_write(job->options->out, sources, (size_t)count, metadata));
    TRY(write_packed(job, metadata));
out:
    json_decref(metadata);
    return rc;
}

/* ---- reporting ---- */

static double bits_of(const struct job *job, size_t bytes)
{
    return 8.0 * (double)bytes / ((double)job->rows * job->columns);
}

static int print_json(const struct job *job)
{
    size_t bytes[BITS_CATEGORIES];
    json_t *options = NULL, *categories = json_object();
    int rc = options_to_json(job->method->options, job->method_options, &options);
    packed_category_bytes(&job->packed, bytes);
    for (int i = 0; i < BITS_CATEGORIES; i++)
        json_object_set_new(categories, bit_category_names[i], json_integer((json_int_t)bytes[i]));
    json_t *report = json_pack(
        "{s:s, s:o, s:i, s:i, s:{s:f}, s:{s:f, s:f, s:f, s:f}, s:o, s:I, s:f, s:f, s:f, s:i, s:s}",
        "method", job->method->name, "options", options ? options : json_object(), "rows",
        job->rows, "columns", job->columns, "loss", "mse", job->loss.weight_mse, "bits", "paper",
        job->result.paper_bits, "paper_marks", job->result.paper_bits_marks, "stored",
        bits_of(job, packed_bytes(&job->packed)), "file", bits_of(job, job->file_bytes),
        "stored_bytes", categories, "file_bytes", (json_int_t)job->file_bytes, "seconds",
        job->seconds, "pack_seconds", job->pack_seconds, "damping", job->result.damping,
        "damping_raised", job->result.damping_raised, "out", job->options->out);
    if (report && job->have_hessian) {
        json_t *loss = json_object_get(report, "loss");
        json_object_set_new(loss, "hessian", json_real(job->loss.hessian_loss));
        if (isfinite(job->loss.relative_loss)) /* not for a weight of zeros */
            json_object_set_new(loss, "relative_output", json_real(job->loss.relative_loss));
    }
    return rc ? rc : command_print_json(report);
}

static void print_text(const struct job *job)
{
    size_t bytes[BITS_CATEGORIES];
    struct strbuf summary = {0};
    const char *before = " ";
    if (options_summary(job->method->options, job->method_options, &summary) == 0)
        printf("%s %s: %d x %d in %.3f s\n", job->method->name,
               summary.data && summary.data[0] ? summary.data : "(defaults)", job->rows,
               job->columns, job->seconds);
    strbuf_release(&summary);
    printf("mean squared error of the weights  %.6g\n", job->loss.weight_mse);
    if (job->have_hessian) {
        printf("Hessian-weighted loss              %.10g\n", job->loss.hessian_loss);
        printf("relative output error              %.6g\n", job->loss.relative_loss);
    }
    if (job->result.damping_raised > 0)
        printf("damping                            %g of the diagonal's mean, raised %d times\n",
               job->result.damping, job->result.damping_raised);
    printf("paper's count                      %.4f bits a weight", job->result.paper_bits);
    if (job->result.paper_bits_marks > 0)
        printf(", and %.4f for marks that it counts apart", job->result.paper_bits_marks);
    printf("\nstored                             %.4f bits a weight:",
           bits_of(job, packed_bytes(&job->packed)));
    packed_category_bytes(&job->packed, bytes);
    for (int i = 0; i < BITS_CATEGORIES; i++)
        if (bytes[i]) {
            printf("%s%s %.4f", before, bit_category_names[i], bits_of(job, bytes[i]));
            before = ", ";
        }
    printf("\npacked file                        %.4f bits a weight, %zu bytes\n",
           bits_of(job, job->file_bytes), job->file_bytes);
}

static int run_layer(const struct command_line *line)
{
    struct job job = {.line = line, .options = line->options};
    int rc = 0;
    TRY(read_job(&job));
    TRY(quantize(&job));
    TRY(write_out(&job));
    if (line->global.json)
        TRY(print_json(&job));
    else if (!line->global.quiet)
        print_text(&job);
out:
    job_release(&job);
    return rc;
}

const struct command command_layer = {
    .name = "layer",
    .summary = "quantizes one matrix and tells what it cost",
    .arguments = "METHOD",
    .arguments_min = 1,
    .arguments_max = 1,
    .argument_kind = ARGUMENT_METHOD,
    .flags = COMMAND_JSON | COMMAND_COMPUTES,
    .options = layer_table,
    .options_size = sizeof(struct layer_command),
    .list = {.name = "option",
             .value = "KEY=VALUE",
             .help = "an option of the method",
             .letter = 'o'},
    .description = "Reads one weight matrix, quantizes it with METHOD, writes W_q and everything "
                   "the method decided (masks, scales, "
                   "codes), and prints the losses, the three bit counts and the time.\n\n"
                   "With --input the Hessian is 2/n sum x x^T, n being the number of sequences: a "
                   "tensor of tokens x in is one "
                   "sequence. Files are safetensors, with F32, F16, BF16 or F64 values.",
    .examples =
        "bitbench layer gptq --weight w.safetensors --input x.safetensors -o bits=2 --out "
        "q.safetensors\n"
        "# the sixth block's down projection of a checkpoint, with a stored Hessian\n"
        "bitbench layer billm --weight model.safetensors:model.layers.5.mlp.down_proj.weight "
        "--hessian h.safetensors --out q.safetensors --json\n",
    .run = run_layer,
};
