/* What weight-histogram writes about a matrix, against the matrix itself. */
#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"
#include "harness/model_folder.h"
#include "harness/weight_histogram.h"
#include "model/model.h"
#include "tests/store_sample.h"

static char text_path[96], out_path[96];
static struct calibration_spec calibration;

/* A text of one's own, so that no package of texts is needed. */
static int histogram_setup(void **state)
{
    int rc = setup(state);
    snprintf(text_path, sizeof text_path, "%s/text", folder);
    snprintf(out_path, sizeof out_path, "%s/out.tsv", folder);
    FILE *file = fopen(text_path, "w");
    if (!file)
        return -1;
    for (int i = 0; i < 2000; i++)
        fprintf(file, "And %d of the sons of %c went out, and it was so. ", i * 7919 % 1000,
                'a' + i % 26);
    fclose(file);
    calibration = (struct calibration_spec){.samples = 4, .length = 32, .split = SPLIT_TRAIN};
    snprintf(calibration.corpus, sizeof calibration.corpus, "file:%s", text_path);
    return rc;
}

static struct weight_histogram request_of(const char *layer, const char *const *options, int count)
{
    return (struct weight_histogram){.model = "embedded",
                                     .layer = layer,
                                     .calibration = &calibration,
                                     .options = options,
                                     .option_count = count};
}

struct rows {
    int rows, columns, block_size, bins, column_rows, salient_columns;
    double boundary;
    long small, large, salient, inside; /* inside: small and large in bins below the boundary */
};

static void read_rows(struct rows *r)
{
    char *text, *rest, *line;
    *r = (struct rows){0};
    if (file_read(out_path, &text, NULL) != 0)
        fail_msg("%s", err_text());
    for (rest = text; (line = strsep(&rest, "\n"));) {
        double low, high, rms;
        long small, large, salient;
        int column, marked;
        if (strncmp(line, "about\t", 6) == 0)
            assert_int_equal(sscanf(line, "about\t%*[^\t]\t%*[^\t]\t%d\t%d\t%d\t%lf", &r->rows,
                                    &r->columns, &r->block_size, &r->boundary),
                             4);
        if (sscanf(line, "bin\t%lf\t%lf\t%ld\t%ld\t%ld", &low, &high, &small, &large, &salient) ==
            5) {
            assert_true(high > low);
            r->bins++;
            r->small += small;
            r->large += large;
            r->salient += salient;
            if (fabs(low + high) / 2 < r->boundary)
                r->inside += small + large;
        }
        if (sscanf(line, "column\t%d\t%lf\t%d", &column, &rms, &marked) == 3) {
            assert_int_equal(column, r->column_rows++);
            assert_true(rms >= 0);
            r->salient_columns += marked;
        }
    }
    mem_free(text);
}

/* Every weight is in one bin, salient columns are so in all rows; with the magnitude as metric and
 * one block the split parts the two groups. */
static void test_counts(void **state)
{
    static const char *const options[] = {"salient_metric=magnitude", "block_size=-1"};
    const struct weight_histogram request = request_of("1.self_attn.o_proj", options, 2);
    struct rows r;
    if (weight_histogram_write(&request, out_path) != 0)
        fail_msg("%s", err_text());
    read_rows(&r);
    assert_int_equal(r.small + r.large + r.salient, r.rows * r.columns);
    assert_int_equal(r.column_rows, r.columns);
    assert_int_equal(r.block_size, r.columns);
    assert_true(r.salient_columns >= 1 && r.salient_columns < 50);
    assert_int_equal(r.salient, (long)r.salient_columns * r.rows);
    assert_true(r.small > 0 && r.large > 0 && r.boundary > 0);
    /* But for the bin that holds the split. */
    assert_true(labs(r.inside - r.small) < (r.small + r.large) / 10);
}

static void test_wrong_requests(void **state)
{
    static const char *const layers[] = {
        "mlp.up_proj", "9.mlp.up_proj", "-1.mlp.up_proj", "1.mlp", "1", ""};
    static const char *const three[] = {"split_groups=3"}, *const bad[] = {"block_size"};
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        const struct weight_histogram request = request_of(layers[i], NULL, 0);
        expect_error(weight_histogram_write(&request, out_path), ERR_USAGE, "mlp.down_proj");
    }
    struct weight_histogram request = request_of("0.mlp.up_proj", three, 1);
    expect_error(weight_histogram_write(&request, out_path), ERR_USAGE, "split_groups must be 2");
    request.options = bad;
    expect_error(weight_histogram_write(&request, out_path), ERR_USAGE, "KEY=VALUE");
    request = request_of("0.mlp.up_proj", NULL, 0);
    request.model = "/nowhere";
    assert_int_equal(weight_histogram_write(&request, out_path), ERR_MISSING);
    assert_int_equal(file_exists(out_path), 0);
}

int main(void)
{
    struct model model;
    char *path;
    if (model_folder(&path, "embedded") != 0 || model_folder_open(&model, path) != 0) {
        printf("skipped: %s\n", err_text());
        return 0;
    }
    mem_free(path);
    model_close(&model);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_counts, histogram_setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_requests, histogram_setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
