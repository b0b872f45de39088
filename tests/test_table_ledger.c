/* The ledgers and the layers of hand-made points. */
#include "core/mem.h"
#include "tests/table_points.h"

/* Two layers of 32 weights: 16 bytes of payload, 32 of scales. 16 more weights were left alone. */
static void write_point(int masks)
{
    struct store *store = open_writer();
    struct made made;
    made_init(&made, 1, "billm", "billm", "{}", 20, -1);
    struct point_record *p = &made.sample.point;
    for (int i = 0; i < 2; i++) {
        made.sample.layers[i].name = i ? "mlp.up_proj" : "self_attn.q_proj";
        made.sample.layers[i].bytes[BITS_MASKS] = (size_t)masks;
        made.sample.layers[i].relative_loss = i ? 0.5 : 0.25;
        made.sample.layers[i].split = i ? NAN : 0.375;
    }
    p->paper_bits = 1.08;
    p->paper_bits_marks = 1;
    p->stored_bits = 6 + masks * 16 / 64.0;
    p->weights_left = 16;
    p->bytes_left = 32;
    p->bytes_outer = 20;
    p->bytes_vectors = 4;
    p->file_bytes = 48 + 2 * masks + 56;
    p->exception_count = 1;
    sample_store(store, &made.sample, 0);
    made_init(&made, 2, "full", "full", "{}", 20, -1);
    made.sample.point.layer_count = made.sample.point.block_count = 0;
    sample_store(store, &made.sample, 1);
    store_close(store);
}

static void test_bits(void **state)
{
    struct table_request request = {.form = TABLE_BITS};
    write_point(4);
    char *text = answered(&request);
    /* stored: 56 bytes over 64 weights; all linear: 88 bytes over 80 weights */
    holds(text,
          "| method | paper | paper's marks | stored | not counted by the paper | all linear | "
          " file |\n");
    holds(text,
          "| billm  | 1.080 |         1.000 |  7.000 |                    5.920 |      8.800 | "
          "6.000 |\n");
    holds(text,
          "| method | payload | scales | masks | layers left alone | embedding+head | norms |\n");
    holds(text,
          "| billm  |   2.000 |  4.000 | 1.000 |             4.000 |          2.500 | 0.500 |\n");
    holds(text,
          "| billm  |      16 |     32 |     8 |                32 |             20 |     4 |\n");
    lacks(text, "| full");
    free(text);
    request.format = TABLE_CSV;
    text = answered(&request);
    holds(text, "label,payload bits,scales bits,zero points bits,masks bits,");
    holds(text,
          "\r\nbillm,2,4,0,1,0,0,0,4,2.5,0.5,,1.08,1,7,5.92,8.8,6,16,32,0,8,0,0,0,32,20,4,,00");
    free(text);
    request.where = "method = 'full'";
    refused(&request, ERR_MISSING, "nothing was quantized");
}

/* A point of an older program: only the rest of the file is known. */
static void test_old_bits(void **state)
{
    struct store *store;
    write_point(0);
    assert_int_equal(store_open(&store, database, 1), 0);
    assert_int_equal(store_execute(store,
                                   "UPDATE points SET bytes_left = NULL, bytes_outer = NULL, "
                                   "bytes_vectors = NULL, weights_left = NULL"),
                     0);
    store_close(store);
    char *text = answered(&(struct table_request){.form = TABLE_BITS});
    holds(text, "| method | payload | scales | rest of the file |\n");
    holds(text, "| billm  |   2.000 |  4.000 |            7.000 |\n");
    holds(text, "| method | paper | paper's marks | stored | not counted by the paper |  file |\n");
    free(text);
}

static void test_exceptions(void **state)
{
    struct table_request request = {.form = TABLE_EXCEPTIONS};
    write_point(0);
    char *text = answered(&request);
    holds(text, "| billm  | 1     | mlp.up_proj | group     | a narrow row");
    holds(text, "- 1 exception: tensors that did not get");
    free(text);
    request.where = "method = 'full'";
    text = answered(&request);
    holds(text, "- No exceptions: every tensor of every point got the method");
    lacks(text, "|");
    free(text);
    request.format = TABLE_CSV;
    text = answered(&request);
    assert_string_equal(text, "method,block,tensor,exception,what was asked and what it got\r\n");
    free(text);
    request.format = TABLE_JSON;
    text = answered(&request);
    holds(text, "\"rows\":[],\"notes\":[\"No exceptions");
    free(text);
}

static void test_layers(void **state)
{
    struct table_request request = {.form = TABLE_LAYERS};
    write_point(0);
    char *text = answered(&request);
    holds(text, "| method | self_attn.q_proj | mlp.up_proj |   all |\n"
                "|:-------|-----------------:|------------:|------:|\n"
                "| billm  |             0.25 |         0.5 | 0.375 |\n");
    holds(text, "Relative loss by block, mean\n\n"
                "| method |    0 |   1 |   all |\n|:-------|-----:|----:|------:|\n"
                "| billm  | 0.25 | 0.5 | 0.375 |\n");
    holds(text, "| billm  |          2.5e+03 |     2.5e+03 | 2.5e+03 |\n");
    holds(text, "| billm  |            0.125 |       0.125 | 0.125 |\n");
    holds(text, "| billm  |            0.375 |           – | 0.375 |\n");
    holds(text, "Drift of the hidden states");
    holds(text, "| billm  | 0.25 |\n");
    free(text);
    request.format = TABLE_CSV;
    text = answered(&request);
    holds(text, "label,block,projection,relative loss,hessian loss,weight mse,condition,salient,"
                "split,damping,damping raised,stored bits,id\r\n"
                "billm,0,self_attn.q_proj,0.25,,0.001,2500,0.125,0.375,0,0,6,00");
    free(text);
}

static void test_memory(void **state)
{
    struct store *store;
    static const struct table_request requests[] = {
        {.form = TABLE_BITS},
        {.form = TABLE_LAYERS, .format = TABLE_CSV},
        {.form = TABLE_EXCEPTIONS},
        {.form = TABLE_PIVOT, .rows = "label", .where = "stored_bits = 6"},
        {.show = "perplexity, stored_bits * 2", .format = TABLE_LATEX}};
    write_point(0);
    assert_int_equal(store_open(&store, database, 0), 0);
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++)
        for (long k = 1;; k++) {
            FILE *out = fopen("/dev/null", "w");
            mem_fail_at(k);
            int rc = table_answer(store, &requests[i], out), reached = !mem_fail_pending();
            mem_fail_at(0);
            fclose(out);
            if (rc != (reached ? ERR_MEMORY : 0))
                fail_msg("form %zu, allocation %ld: %s (%s)", i, k, err_name(rc), err_text());
            if (!reached)
                break;
        }
    store_close(store);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {TEST(test_bits), TEST(test_old_bits), TEST(test_exceptions),
                                       TEST(test_layers), TEST(test_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
