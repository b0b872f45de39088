#include "model/safetensors.h"
#include "tests/fuzz/fuzz_tensors.h"

FUZZ_TARGET(safetensors, bytes, size)
{
    fuzz_open_part(safetensors_part_open, bytes, size);
}

FUZZ_SEEDS(safetensors)
{
    static const char *const headers[] = {
        "{}", "{\"__metadata__\":{\"format\":\"pt\"}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
        "\"b\":{\"dtype\":\"BF16\",\"shape\":[4],\"data_offsets\":[24,32]},"
        "\"c\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[32,40]}}"};
    for (int i = 0; i < 3; i++) {
        char file[512] = {0};
        char name[2] = {(char)('0' + i), '\0'};
        const size_t length = strlen(headers[i]);
        file[0] = (char)(length & 255);
        file[1] = (char)(length >> 8);
        memcpy(file + 8, headers[i], length);
        fuzz_seed(name, file, 8 + length + (i == 2 ? 40 : 0));
    }
}
