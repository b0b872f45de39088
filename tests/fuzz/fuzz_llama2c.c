#include "model/model.h"
#include "tests/fuzz/fuzz_tensors.h"
#include "tests/gguf_build.h"

FUZZ_TARGET(llama2c, bytes, size)
{
    struct model model = {0};
    if (size >= 4 && (memcmp(bytes, "GGUF", 4) == 0 || memcmp(bytes, "PK\003\004", 4) == 0))
        return; /* other targets */
    if (model_open(&model, fuzz_file(bytes, size)) != 0)
        return;
    fuzz_read_tensors(tensor_table_at(model.tensors, 0), tensor_table_count(model.tensors));
    model_close(&model);
}

/* Width 4, hidden 2, one layer, 2 heads, 1 for keys and values, 3 tokens, 2 positions. */
FUZZ_SEEDS(llama2c)
{
    static const uint32_t numbers[] = {4, 2, 1, 2, 1, 3, 2};
    for (int version = 0; version < 2; version++)
        for (int tied = 0; tied < 2; tied++) {
            struct strbuf out = {0};
            char name[3] = {(char)('0' + version), (char)('0' + tied), '\0'};
            if (version) {
                put_number(&out, 0x616b3432, 4);
                put_number(&out, 1, 4);
            }
            for (int i = 0; i < 7; i++)
                put_number(&out, i == 5 && !version && !tied ? 0u - numbers[i] : numbers[i], 4);
            put_number(&out, (uint64_t)tied, version);
            while (version && out.length < 256)
                put_number(&out, 0, 1);
            /* embedding, two norms, q, k, v, o, MLP, the last norm, tables, head */
            int floats = 12 + 8 + 16 + 8 + 8 + 16 + 24 + 4 + (version ? 0 : 4) + (tied ? 0 : 12);
            for (int i = 0; i < floats; i++)
                put_number(&out, 0x3f000000, 4);
            fuzz_seed(name, out.data, out.length);
            strbuf_release(&out);
        }
}
