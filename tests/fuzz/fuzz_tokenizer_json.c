/* tokenizer.json, of bytes and of characters. */
#include "tests/fuzz/fuzz_tokenizer.h"

FUZZ_TARGET(tokenizer_json, bytes, size)
{
    fuzz_use_tokenizer(TOKENIZER_JSON, bytes, size);
}

FUZZ_SEEDS(tokenizer_json)
{
    static const char of_bytes[] =
        "{\"added_tokens\":[{\"id\":0,\"content\":\"<|e|>\",\"special\":true,\"normalized\":false,"
        "\"lstrip\":true}],\"normalizer\":{\"type\":\"NFC\"},\"pre_tokenizer\":{\"type\":"
        "\"Sequence\",\"pretokenizers\":[{\"type\":\"Digits\",\"individual_digits\":true},{"
        "\"type\":"
        "\"Split\",\"pattern\":{\"Regex\":\"\\\\p{L}+|\\\\s+\"},\"behavior\":\"Isolated\","
        "\"invert\":false},{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"use_regex\":true}]},"
        "\"model\":{\"type\":\"BPE\",\"unk_token\":\"<|e|>\",\"fuse_unk\":true,\"ignore_merges\":"
        "true,\"vocab\":{\"<|e|>\":0,\"a\":1,\"b\":2,\"ab\":3,\"\xc4\xa0\":4},\"merges\":[\"a "
        "b\"]},"
        "\"decoder\":{\"type\":\"ByteLevel\"},\"post_processor\":{\"type\":\"TemplateProcessing\","
        "\"single\":[{\"SpecialToken\":{\"id\":\"<|e|>\"}}],\"special_tokens\":{\"<|e|>\":{\"ids\":"
        "[0]}}}}";
    static const char of_characters[] =
        "{\"added_tokens\":[{\"id\":5,\"content\":\"xx\",\"normalized\":true}],\"normalizer\":{"
        "\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFKD\"},{\"type\":\"Lowercase\"},{"
        "\"type\":\"Strip\"},{\"type\":\"Prepend\",\"prepend\":\"_\"},{\"type\":\"Replace\","
        "\"pattern\":{\"String\":\"bb\"},\"content\":\"b\"}]},\"pre_tokenizer\":{\"type\":"
        "\"Metaspace\",\"replacement\":\"\xe2\x96\x81\",\"prepend_scheme\":\"first\",\"split\":"
        "true},\"model\":{\"type\":\"BPE\",\"byte_fallback\":true,\"vocab\":{\"a\":0,\"b\":1,"
        "\"ab\":2,\"<0x0A>\":3,\"\xe2\x96\x81\":4},\"merges\":[[\"a\",\"b\"]]},\"decoder\":{"
        "\"type\":\"Sequence\",\"decoders\":[{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"}]}}";
    fuzz_seed("bytes", of_bytes, sizeof of_bytes - 1);
    fuzz_seed("characters", of_characters, sizeof of_characters - 1);
}
