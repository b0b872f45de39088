#include "linalg/cpu.h"

#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* Set across the re-execution: its value is the library's own choice. */
static const char guard[] = "BITBENCH_OPENBLAS_CHOSE";
static const char coretype[] = "OPENBLAS_CORETYPE";

static struct cpu_info info;
static bool features_known;

/* How wide the kernels of a set are; sets of one width differ by less than a tenth in our products.
 */
enum width { WIDTH_UNKNOWN = -1, WIDTH_SSE, WIDTH_AVX, WIDTH_AVX2, WIDTH_AVX512 };

static enum width kernel_width(const char *name)
{
    static const struct {
        const char *name;
        enum width width;
    } sets[] = {
        {"Generic", WIDTH_SSE},     {"Prescott", WIDTH_SSE},      {"Core2", WIDTH_SSE},
        {"Penryn", WIDTH_SSE},      {"Dunnington", WIDTH_SSE},    {"Nehalem", WIDTH_SSE},
        {"Athlon", WIDTH_SSE},      {"Opteron", WIDTH_SSE},       {"Opteron_SSE3", WIDTH_SSE},
        {"Barcelona", WIDTH_SSE},   {"Bobcat", WIDTH_SSE},        {"Atom", WIDTH_SSE},
        {"Nano", WIDTH_SSE},        {"Katmai", WIDTH_SSE},        {"Coppermine", WIDTH_SSE},
        {"Northwood", WIDTH_SSE},   {"Banias", WIDTH_SSE},        {"Sandybridge", WIDTH_AVX},
        {"Bulldozer", WIDTH_AVX},   {"Piledriver", WIDTH_AVX},    {"Steamroller", WIDTH_AVX},
        {"Excavator", WIDTH_AVX},   {"Haswell", WIDTH_AVX2},      {"Zen", WIDTH_AVX2},
        {"SkylakeX", WIDTH_AVX512}, {"Cooperlake", WIDTH_AVX512}, {"SapphireRapids", WIDTH_AVX512},
    };
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++)
        if (strcasecmp(sets[i].name, name) == 0)
            return sets[i].width;
    return WIDTH_UNKNOWN;
}

/* The widest set that this CPU runs. */
static const char *best_set(const struct cpu_features *features)
{
    if (features->avx512)
        return "SkylakeX";
    if (features->avx2 && features->fma)
        return "Haswell";
    if (features->avx)
        return "Sandybridge";
    return "Prescott";
}

const char *cpu_decide(const struct cpu_features *features, const char *corename,
                       const char *config, const char *user)
{
    if (user && *user)
        return NULL;
    if (!strstr(config, "DYNAMIC_ARCH")) /* built for one kind of CPU: there is nothing to choose */
        return NULL;
    enum width chosen = kernel_width(corename);
    const char *best = best_set(features);
    /* A name that is not known here is a newer library's, which then knows more CPUs too. */
    return chosen != WIDTH_UNKNOWN && chosen < kernel_width(best) ? best : NULL;
}

static void find_features(struct cpu_features *out)
{
    *out = (struct cpu_features){0};
#if defined(__x86_64__)
    __builtin_cpu_init(); /* what follows also asks whether the operating system saves the registers
                           */
    out->avx = __builtin_cpu_supports("avx") != 0;
    out->avx2 = __builtin_cpu_supports("avx2") != 0;
    out->fma = __builtin_cpu_supports("fma") != 0;
    out->f16c = out->avx2; /* every CPU with AVX2 has it; clang 14 cannot ask for it */
    out->avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") &&
                  __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl");
    out->avx512_vnni = out->avx512 && __builtin_cpu_supports("avx512vnni");
    out->avx512_bf16 = out->avx512 && __builtin_cpu_supports("avx512bf16");
#endif
}

const struct cpu_info *cpu_info(void)
{
    if (!features_known) {
        find_features(&info.features);
        features_known = true;
    }
    return &info;
}

/* Takes up the state that the re-execution left in the environment, and clears it: programs that we
 * start decide anew. */
static void resume(const char *chosen_before)
{
    snprintf(info.library_choice, sizeof info.library_choice, "%s", chosen_before);
    const char *asked = getenv(coretype);
    bool followed = asked && kernel_width(openblas_get_corename()) >= kernel_width(asked);
    info.choice = followed ? CPU_CHOICE_PROGRAM : CPU_CHOICE_FAILED;
    unsetenv(coretype);
    unsetenv(guard);
}

int cpu_prepare_from(char **argv, const char *corename)
{
    cpu_info();
    const char *chosen_before = getenv(guard);
    if (chosen_before) {
        resume(chosen_before);
        return 0;
    }
    const char *user = getenv(coretype);
    if (user && *user) {
        info.choice = CPU_CHOICE_USER;
        return 0;
    }
    snprintf(info.library_choice, sizeof info.library_choice, "%s", corename);
    info.choice = CPU_CHOICE_LIBRARY;
    const char *better = cpu_decide(&info.features, corename, openblas_get_config(), user);
    if (!better)
        return 0;
    if (setenv(guard, corename, 1) == 0 && setenv(coretype, better, 1) == 0)
        execv("/proc/self/exe", argv);
    info.choice = CPU_CHOICE_FAILED;
    unsetenv(coretype);
    unsetenv(guard);
    return 0;
}

int cpu_prepare(char **argv)
{
    return cpu_prepare_from(argv, openblas_get_corename());
}

const char *cpu_kernels(void)
{
    return openblas_get_corename();
}

const char *cpu_choice_name(enum cpu_choice choice)
{
    static const char *const names[] = {"library", "user", "program", "failed"};
    return choice <= CPU_CHOICE_FAILED ? names[choice] : "unknown";
}

void cpu_model(char *out, size_t size)
{
    static const char key[] = "model name";
    char line[512];
    snprintf(out, size, "unknown");
    FILE *stream = fopen("/proc/cpuinfo", "re");
    if (!stream)
        return;
    while (fgets(line, sizeof line, stream)) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, key, sizeof key - 1) != 0 || !colon)
            continue;
        line[strcspn(line, "\n")] = '\0';
        snprintf(out, size, "%s", colon + 1 + strspn(colon + 1, " \t"));
        break;
    }
    fclose(stream);
}
