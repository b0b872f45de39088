#include "model/torch.h"
#include "tests/fuzz/fuzz_tensors.h"
#include "tests/torch_build.h"

FUZZ_TARGET(torch, bytes, size)
{
    fuzz_open_part(torch_part_open, bytes, size);
}

FUZZ_SEEDS(torch)
{
    static const float values[6] = {0, 1, 2, 3, 4, 5};
    static const uint64_t shape[2] = {2, 3}, turned[2] = {1, 2};
    for (int big = 0; big < 2; big++) {
        struct zip_build zip = {.big = big};
        struct strbuf p = {0}, out = {0};
        pickle_begin(&p);
        pickle_text(&p, "t");
        pickle_tensor(&p, "FloatStorage", "0", 6, 0, 2, shape, turned);
        pickle_end(&p);
        zip_add(&zip, "a/data.pkl", p.data, p.length);
        zip_add(&zip, "a/data/0", values, sizeof values);
        zip_finish(&zip, &out);
        fuzz_seed(big ? "zip64" : "zip", out.data, out.length);
        strbuf_release(&p);
        strbuf_release(&out);
    }
}
