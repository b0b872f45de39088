#include "model/pickle.h"
#include "tests/fuzz/fuzz.h"
#include "tests/torch_build.h"

FUZZ_TARGET(pickle, bytes, size)
{
    struct arena memory = {0};
    struct pickle_tensor *tensors;
    size_t count, sum = 0;
    if (pickle_read(bytes, size, "fuzz", &memory, &tensors, &count) == 0)
        for (size_t i = 0; i < count; i++)
            sum += strlen(tensors[i].name) + strlen(tensors[i].storage);
    (void)sum;
    arena_release(&memory);
}

FUZZ_SEEDS(pickle)
{
    static const uint64_t shape[2] = {200, 70000}, stride[2] = {1, UINT64_C(1) << 40};
    struct strbuf p = {0};
    pickle_begin(&p);
    pickle_text(&p, "weight");
    pickle_tensor(&p, "HalfStorage", "0", 6, 300, 2, shape, stride);
    FIXTURE_OK(strbuf_add(&p, "q\0", 2));
    pickle_text(&p, "again");
    FIXTURE_OK(strbuf_add(&p, "h\0", 2));
    pickle_end(&p);
    fuzz_seed("tensors", p.data, p.length);
    strbuf_release(&p);
    pickle_raw(&p, "\x80\x02"
                   "ccollections\nOrderedDict\n)Rq");
    put_number(&p, 0, 1);
    pickle_raw(&p, "}U\x01"
                   "a]K\x01"
                   "aNeGabcdefgh\x88\x85sbs.");
    fuzz_seed("around", p.data, p.length);
    strbuf_release(&p);
}
