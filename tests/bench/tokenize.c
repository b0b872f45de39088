/* Tokenizing speed in seconds of one core: a vocabulary is learned from a text, and the text then
 * encoded and decoded, as it is and as one giant word. A text and tokenizers to compare may be
 * given: build/bench/tokenize [TEXT [TOKENIZER...]].
 */
#include "core/clock.h"
#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/rng.h"
#include "model/bpe_train.h"
#include "model/tokenizer.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MADE_BYTES = 8 << 20, MADE_WORDS = 40000, TURNS = 5 };

/* English in its statistics only: words of 1 to 12 letters, drawn so that the k-th is about 1 / k
 * as frequent. */
static int make_text(char **out, size_t *size)
{
    int rc = 0;
    struct rng rng;
    struct strbuf text = {0};
    static char words[MADE_WORDS][16];
    rng_seed(&rng, 1);
    for (int w = 0; w < MADE_WORDS; w++) {
        size_t length = 1 + rng_below(&rng, 6) + rng_below(&rng, 6);
        for (size_t i = 0; i < length; i++)
            words[w][i] = "etaoinshrdlucmfwypvbgkjqxz"[rng_below(&rng, 1 + rng_below(&rng, 26))];
    }
    while (text.length < MADE_BYTES) {
        uint64_t kind = rng_below(&rng, 16);
        uint64_t w = rng_below(&rng, 1 + rng_below(&rng, 1 + rng_below(&rng, MADE_WORDS)));
        TRY(strbuf_printf(&text, "%s%s", words[w], kind == 0 ? ".\n" : kind == 1 ? ", " : " "));
    }
    *out = text.data;
    *size = text.length;
out:
    return rc;
}

static int learn(const char *text, size_t size, struct tokenizer **tokenizer)
{
    int rc, tokens;
    const struct bpe_text source = {text, size, 1};
    const struct bpe_training options = {.vocabulary = 4096};
    char *json = NULL, path[512];
    FILE *file = NULL;
    const char *temporary = getenv("TMPDIR");
    double start = clock_cpu();
    snprintf(path, sizeof path, "%s/bitbench-XXXXXX", temporary ? temporary : P_tmpdir);
    TRY(bpe_train(&source, 1, &options, &json, &tokens));
    printf("learn      %6.2f s for %d tokens from %.1f MB\n", clock_cpu() - start, tokens,
           (double)size * 1e-6);
    int descriptor = mkstemp(path);
    if (descriptor < 0 || !(file = fdopen(descriptor, "w"))) {
        rc = err_set(ERR_IO, "%s: cannot be written", path);
        goto out;
    }
    fputs(json, file);
    fclose(file);
    rc = tokenizer_open(tokenizer, path);
    unlink(path);
out:
    mem_free(json);
    return rc;
}

/* MB/s of encoding, the best of several turns, and of decoding; *speed is that of encoding. */
static int measure(const struct tokenizer *tokenizer, const char *name, const char *text,
                   size_t size, double *speed)
{
    int rc = 0;
    double encoding = 1e9, decoding = 1e9;
    size_t count = 0, length = 0;
    for (int turn = 0; turn < TURNS; turn++) {
        int32_t *ids;
        char *back;
        double start = clock_cpu(), middle;
        TRY(tokenizer_encode(tokenizer, text, size, &ids, &count));
        middle = clock_cpu();
        rc = tokenizer_decode(tokenizer, ids, count, &back, &length);
        mem_free(ids);
        if (rc)
            goto out;
        mem_free(back);
        encoding = middle - start < encoding ? middle - start : encoding;
        decoding = clock_cpu() - middle < decoding ? clock_cpu() - middle : decoding;
    }
    *speed = (double)size * 1e-6 / encoding;
    printf("%-9s  encode %6.1f MB/s, %.1f times the 5 MB/s that are asked for; %.1f million "
           "tokens/s, %.2f bytes a token; decode %.1f MB/s\n",
           name, *speed, *speed / 5, (double)count * 1e-6 / encoding, (double)size / (double)count,
           (double)length * 1e-6 / decoding);
out:
    return rc;
}

/* The text as it is, and its letters as one giant word. */
static int measure_both(const struct tokenizer *tokenizer, const char *text, size_t size,
                        double *speed)
{
    int rc;
    char *word = NULL;
    size_t length = 0;
    double word_speed;
    TRY(mem_alloc(&word, size, 1));
    for (size_t i = 0; i < size; i++)
        if ((uint8_t)text[i] >= 0x80 || isalpha((uint8_t)text[i]))
            word[length++] = text[i];
    TRY(measure(tokenizer, "text", text, size, speed));
    if (length)
        TRY(measure(tokenizer, "one word", word, length, &word_speed));
out:
    mem_free(word);
    return rc;
}

static int measure_file(const char *path, const char *text, size_t size, double *first)
{
    int rc;
    struct tokenizer *tokenizer = NULL;
    double start = clock_cpu(), speed;
    TRY(tokenizer_open(&tokenizer, path));
    printf("%s (%s)\nopen       %6.1f ms\n", path, tokenizer_kind_name(tokenizer),
           1e3 * (clock_cpu() - start));
    TRY(measure_both(tokenizer, text, size, &speed));
    if (*first > 0)
        printf("ratio      %6.2f to the first\n", speed / *first);
    else
        *first = speed;
out:
    tokenizer_free(tokenizer);
    return rc;
}

int main(int argc, char **argv)
{
    int rc;
    char *text = NULL;
    size_t size = 0;
    double speed = 0;
    struct tokenizer *tokenizer = NULL;
    TRY(argc > 1 ? file_read(argv[1], &text, &size) : make_text(&text, &size));
    for (int i = 2; i < argc; i++)
        TRY(measure_file(argv[i], text, size, &speed));
    if (argc <= 2) {
        TRY(learn(text, size, &tokenizer));
        TRY(measure_both(tokenizer, text, size, &speed));
    }
out:
    if (rc)
        fprintf(stderr, "tokenize: %s\n", err_text());
    tokenizer_free(tokenizer);
    mem_free(text);
    return rc ? EXIT_FAILURE : EXIT_SUCCESS;
}
