#include "harness/shared_work.h"

#include "core/err.h"
#include "core/mem.h"
#include "harness/layer_plan.h"

#include <stdlib.h>
#include <string.h>

/* What there is to know of a point: where its blocks differ from another's. */
struct shared_point {
    const struct stream *calibration;
    int first, last; /* blocks with a layer to quantize; layers and -1: none */
    bool pending;    /* not computed yet */
};

struct shared_work {
    int count, blocks, now; /* now: the present point */
    struct shared_point *points;
    uint64_t *digests; /* count x blocks: of what a point does with a block; 0: nothing */
    struct shared_item *items;
    int item_count;
    size_t bytes;
    double limit;
};

static void release_item(struct shared_item *item)
{
    if (item->release)
        item->release(item->data);
}

static void drop(struct shared_work *work, int index)
{
    work->bytes -= work->items[index].bytes;
    release_item(&work->items[index]);
    work->items[index] = work->items[--work->item_count];
}

/* ---- what the points do ---- */

static int add_options(struct strbuf *text, const struct quant_method *method, const void *options)
{
    json_t *object = NULL;
    char *words = NULL;
    int rc;
    TRY(options_to_json(method->options, options, &object));
    words = json_dumps(object, JSON_SORT_KEYS | JSON_COMPACT | JSON_REAL_PRECISION(17));
    if (!words)
        rc = err_set(ERR_MEMORY, "out of memory: the options of %s", method->name);
    else
        rc = strbuf_printf(text, "%s %s\n", method->name, words);
out:
    free(words);
    json_decref(object);
    return rc;
}

/* *digest = of the methods, options and seed for each layer of the block. */
static int digest_block(const struct model *model, const struct point *point, int block,
                        struct strbuf *text, uint64_t *digest)
{
    const struct architecture *family = model->architecture;
    struct model_tensor tensor;
    bool any = false;
    int rc = 0;
    char hex[HASH_HEX_SIZE];
    text->length = 0;
    for (int i = 0; family->tensor_at(&model->config, block, i, &tensor); i++) {
        const char *name = family->linear_names[tensor.index];
        if (tensor.place != TENSOR_LINEAR)
            continue;
        TRY(strbuf_printf(text, "%s: ", name));
        struct layer_choice choice = layer_plan_find(point, model->config.layers, block, name);
        if (choice.after)
            TRY(add_options(text, choice.after, choice.after_options));
        if (choice.method) {
            TRY(add_options(text, choice.method, choice.options));
            any = true;
        }
    }
    TRY(strbuf_printf(text, "seed %d", point->harness.seed));
    hash_bytes(text->data, text->length, hex);
    hex[15] = '\0';
    *digest = any ? strtoull(hex, NULL, 16) | 1 : 0;
out:
    return rc;
}

static int digest_point(struct shared_work *work, const struct model *model,
                        const struct point *point, int index, struct strbuf *text)
{
    struct shared_point *shared = &work->points[index];
    shared->first = work->blocks;
    shared->last = -1;
    for (int block = 0; block < work->blocks; block++) {
        uint64_t *digest = &work->digests[(size_t)index * (size_t)work->blocks + (size_t)block];
        int rc = digest_block(model, point, block, text, digest);
        if (rc)
            return rc;
        if (*digest) {
            shared->first = block < shared->first ? block : shared->first;
            shared->last = block;
        }
    }
    return 0;
}

int shared_open(struct shared_work **out, const struct model *model, const struct point *points,
                const struct stream *const *calibrations, int count)
{
    struct shared_work *work;
    struct strbuf text = {0};
    int rc = mem_calloc(&work, 1, sizeof *work);
    if (rc)
        return rc;
    work->count = count;
    work->blocks = model->config.layers;
    TRY(mem_calloc(&work->points, (size_t)count, sizeof *work->points));
    TRY(mem_calloc(&work->digests, (size_t)count * (size_t)work->blocks, sizeof *work->digests));
    for (int i = 0; i < count; i++) {
        work->points[i].calibration = calibrations[i];
        work->points[i].pending = true;
        TRY(digest_point(work, model, &points[i], i, &text));
    }
out:
    strbuf_release(&text);
    if (rc)
        shared_close(work);
    else
        *out = work;
    return rc;
}

void shared_close(struct shared_work *work)
{
    if (!work)
        return;
    while (work->item_count > 0)
        drop(work, work->item_count - 1);
    mem_free(work->items);
    mem_free(work->points);
    mem_free(work->digests);
    mem_free(work);
}

/* Blocks from the first on that both points do the same with. */
static int alike(const struct shared_work *work, int a, int b)
{
    const uint64_t *x = work->digests + (size_t)a * (size_t)work->blocks,
                   *y = work->digests + (size_t)b * (size_t)work->blocks;
    int block = 0;
    while (block < work->blocks && x[block] == y[block])
        block++;
    return block;
}

/* The last block before which an item of the kind is the same for both; -1: it never is. Before any
 * layer is quantized, the evaluation does not depend on the calibration. */
static int common(const struct shared_work *work, enum shared_kind kind, int a, int b)
{
    const struct shared_point *x = &work->points[a], *y = &work->points[b];
    int blocks = alike(work, a, b);
    if (x->calibration == y->calibration)
        return blocks;
    if (kind != SHARED_EVALUATION)
        return -1;
    return blocks < x->first ? blocks : x->first;
}

/* A point that goes on before `block` needs this. */
static bool needs(const struct shared_work *work, int index, enum shared_kind kind, int block)
{
    const struct shared_point *point = &work->points[index];
    switch (kind) {
    case SHARED_EVALUATION: return block > 0;
    case SHARED_CALIBRATION: return point->calibration && block > 0 && block <= point->last;
    case SHARED_HESSIANS:
        return point->calibration &&
               work->digests[(size_t)index * (size_t)work->blocks + (size_t)block];
    case SHARED_LAYERS: return block > point->first;
    case SHARED_KINDS: break;
    }
    return false;
}

/* ---- the order ---- */

/* The next point after `last`: of those left the one that has most in common with it, and of these
 * the one that goes furthest: its states serve the others. */
static int choose_next(const struct shared_work *work, const bool *done, int last, bool *joined)
{
    int best = -1, most = -1, furthest = -1;
    for (int i = 0; i < work->count; i++) {
        int blocks = common(work, SHARED_EVALUATION, last, i);
        if (done[i] || blocks < most)
            continue;
        if (best < 0 || blocks > most || (blocks > 0 && work->points[i].last > furthest)) {
            best = i;
            most = blocks;
            furthest = work->points[i].last;
        }
    }
    *joined = most > 0;
    return best;
}

/* Where a new family begins: its member that goes furthest, in place of its first. */
static int choose_first(const struct shared_work *work, const bool *done, int first)
{
    int best = first;
    for (int i = first + 1; i < work->count && work->points[first].first == 0; i++)
        if (!done[i] && common(work, SHARED_CALIBRATION, first, i) > 0 &&
            work->points[i].last > work->points[best].last)
            best = i;
    return best;
}

/* Full precision first, where it is asked for: the others are compared with it. */
static int choose_very_first(const struct shared_work *work, const bool *done)
{
    for (int i = 0; i < work->count; i++)
        if (work->points[i].last < 0)
            return i;
    return choose_first(work, done, 0);
}

void shared_order(const struct shared_work *work, int *order, int *group)
{
    bool *done;
    int groups = 0;
    for (int i = 0; i < work->count; i++) {
        order[i] = i;
        group[i] = i;
    }
    if (mem_calloc(&done, (size_t)work->count, sizeof *done) != 0)
        return;
    for (int i = 0; i < work->count; i++) {
        bool joined = false;
        int next = i > 0 ? choose_next(work, done, order[i - 1], &joined)
                         : choose_very_first(work, done);
        if (i > 0 && !joined)
            next = choose_first(work, done, next);
        groups += !joined;
        order[i] = next;
        group[i] = groups;
        done[next] = true;
    }
    mem_free(done);
}

/* ---- the items ---- */

/* Whether the item is, for this point, what it would compute itself. */
static bool fits(const struct shared_work *work, const struct shared_item *item, int point)
{
    return needs(work, point, item->kind, item->block) &&
           item->block <= common(work, item->kind, item->owner, point);
}

static const struct shared_item *find_for(const struct shared_work *work, enum shared_kind kind,
                                          int block, int point)
{
    for (int i = 0; i < work->item_count; i++) {
        const struct shared_item *item = &work->items[i];
        if (item->kind == kind && item->block == block && fits(work, item, point))
            return item;
    }
    return NULL;
}

static void drop_unneeded(struct shared_work *work)
{
    for (int i = work->item_count - 1; i >= 0; i--) {
        bool needed = fits(work, &work->items[i], work->now);
        for (int p = 0; !needed && p < work->count; p++)
            needed = work->points[p].pending && fits(work, &work->items[i], p);
        if (!needed)
            drop(work, i);
    }
}

void shared_skip(struct shared_work *work, int point)
{
    work->points[point].pending = false;
}

void shared_begin(struct shared_work *work, int point)
{
    work->now = point;
    work->points[point].pending = false;
    drop_unneeded(work);
}

size_t shared_bytes(const struct shared_work *work)
{
    return work ? work->bytes : 0;
}

void shared_limit(struct shared_work *work, double bytes)
{
    if (!work)
        return;
    work->limit = bytes;
    while (work->item_count > 0 && (double)work->bytes > bytes)
        drop(work, work->item_count - 1);
}

const struct shared_item *shared_find(const struct shared_work *work, enum shared_kind kind,
                                      int block)
{
    return work ? find_for(work, kind, block, work->now) : NULL;
}

bool shared_wanted(const struct shared_work *work, enum shared_kind kind, int block, size_t bytes)
{
    if (!work || (double)work->bytes + (double)bytes > work->limit)
        return false;
    for (int p = 0; p < work->count; p++)
        if (work->points[p].pending && needs(work, p, kind, block) &&
            common(work, kind, work->now, p) == block && !find_for(work, kind, block, p))
            return true;
    return false;
}

int shared_keep(struct shared_work *work, const struct shared_item *item, int block)
{
    struct shared_item kept = *item;
    int rc = mem_resize(&work->items, (size_t)work->item_count, (size_t)work->item_count + 1,
                        sizeof *work->items);
    if (rc) {
        release_item(&kept);
        return rc;
    }
    kept.owner = work->now;
    kept.block = block;
    work->items[work->item_count++] = kept;
    work->bytes += kept.bytes;
    return 0;
}
