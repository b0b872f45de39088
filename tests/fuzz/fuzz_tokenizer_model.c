/* SentencePiece's tokenizer.model, and llama2.c's tokenizer.bin, which is tried first. */
#include "tests/fuzz/fuzz_tokenizer.h"
#include "tests/piece_build.h"

FUZZ_TARGET(tokenizer_model, bytes, size)
{
    if (piece_model_is_llama2c(bytes, size))
        fuzz_use_tokenizer(TOKENIZER_LLAMA2C, bytes, size);
    fuzz_use_tokenizer(TOKENIZER_SENTENCEPIECE, bytes, size);
}

FUZZ_SEEDS(tokenizer_model)
{
    static const char records[] = "\7\0\0\0"
                                  "\0\0\0\0\5\0\0\0<unk>\0\0\0\0\5\0\0\0\n<s>\n"
                                  "\0\0\0\0\6\0\0\0\n</s>\n\0\0\0\0\6\0\0\0<0x00>"
                                  "\0\0\0\x40\1\0\0\0 \0\0\x80\x3f\1\0\0\0a\0\0\x80\x40\2\0\0\0 a";
    /* A map with one entry, "a" to "b": the root's children from unit 1 on, a's value behind it. */
    enum { UNITS = 260 };
    uint32_t units[1 + UNITS] = {4 * UNITS, 1u << 10};
    units[1 + (1 ^ 'a')] = ((uint32_t)(1 ^ 'a') ^ 256) << 10 | 0x100 | 'a';
    units[1 + 256] = 0x80000000u;
    struct strbuf file = {0}, map = {0};
    FIXTURE_OK(strbuf_add(&map, (const char *)units, sizeof units));
    FIXTURE_OK(strbuf_add(&map, "b", 2));
    for (int i = 0; i < 4; i++) {
        struct piece_settings settings = {
            .kind = 2, .bytes = i & 1, .prefix = i<2, .remove = i> 1, .escape = i != 3};
        if (i == 1) {
            settings.charsmap = map.data;
            settings.charsmap_size = map.length;
        }
        file.length = 0;
        put_first_pieces(&file, 0);
        put_small_pieces(&file);
        put_piece(&file, "<0x0A>", 0, PIECE_BYTE);
        put_piece(&file, "[u]", 0, PIECE_USER);
        put_settings(&file, &settings);
        fuzz_seed(i == 0   ? "plain"
                  : i == 1 ? "map"
                  : i == 2 ? "remove"
                           : "unescaped",
                  file.data, file.length);
    }
    fuzz_seed("llama2c", records, sizeof records - 1);
    strbuf_release(&file);
    strbuf_release(&map);
}
