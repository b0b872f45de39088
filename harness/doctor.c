#include "harness/doctor.h"

#include "core/err.h"
#include "core/mem.h"
#include "datasets/documents.h"
#include "harness/host.h"
#include "harness/paths.h"
#include "linalg/cpu.h"
#include "linalg/rate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

/* Hands value over to the object under the key; ERR_MEMORY when either could not be made. */
static int put(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value) == 0
               ? 0
               : err_set(ERR_MEMORY, "out of memory: doctor's '%s'", key);
}

/* `mend` is a command or a sentence that makes `what` whole. */
static int miss(json_t *missing, const char *what, const char *mend)
{
    return json_array_append_new(missing, json_pack("{s:s, s:s}", "what", what, "mend", mend)) == 0
               ? 0
               : err_set(ERR_MEMORY, "out of memory: doctor's list");
}

static int features(json_t *report)
{
    const struct cpu_features *f = &cpu_info()->features;
    const struct {
        const char *name;
        bool there;
    } rows[] = {{"AVX", f->avx},
                {"AVX2", f->avx2},
                {"FMA", f->fma},
                {"F16C", f->f16c},
                {"AVX-512", f->avx512},
                {"AVX-512 VNNI", f->avx512_vnni},
                {"AVX-512 BF16", f->avx512_bf16}};
    json_t *list = json_array();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].there)
            json_array_append_new(list, json_string(rows[i].name));
    return put(report, "features", list);
}

static int speed(json_t *report, double seconds)
{
    double one, all;
    int rc = rate_sgemm(seconds, 0, &one);
    if (rc == 0)
        rc = rate_sgemm(seconds, 1, &all);
    return rc ? rc
              : put(report, "sgemm",
                    json_pack("{s:f, s:f}", "one_thread", one, "all_threads", all));
}

static json_int_t memory_free(void)
{
    static const char key[] = "MemAvailable:";
    char line[256];
    long long kilobytes = 0;
    FILE *stream = fopen("/proc/meminfo", "re");
    if (!stream)
        return 0;
    while (fgets(line, sizeof line, stream))
        if (strncmp(line, key, sizeof key - 1) == 0)
            kilobytes = strtoll(line + sizeof key - 1, NULL, 10);
    fclose(stream);
    return kilobytes * 1024;
}

static int space(json_t *report, json_t *missing)
{
    struct statvfs disk;
    json_int_t memory = memory_free(), left = 0;
    if (statvfs(".", &disk) == 0)
        left = (json_int_t)disk.f_bavail * (json_int_t)disk.f_frsize;
    int rc = put(report, "memory_free_bytes", json_integer(memory));
    if (rc == 0)
        rc = put(report, "disk_free_bytes", json_integer(left));
    if (rc == 0 && memory && memory < 1 << 29)
        rc = miss(missing, "memory: less than 512 MiB is free",
                  "end other programs, or use a smaller model");
    if (rc == 0 && left < 1 << 28)
        rc = miss(missing, "disk: less than 256 MiB is free in the current folder",
                  "make room, or give --db a path elsewhere");
    return rc;
}

static int gnuplot(json_t *report, json_t *missing)
{
    static const char *const arguments[] = {"gnuplot", "--version", NULL};
    struct strbuf version = {0};
    int rc;
    if (command_read(arguments, &version) == 0 && version.data) {
        version.data[strcspn(version.data, "\n")] = '\0';
        rc = put(report, "gnuplot", json_string(version.data));
    } else {
        rc = put(report, "gnuplot", json_null());
        if (rc == 0)
            rc = miss(missing, "gnuplot: no plots can be drawn", "apt-get install gnuplot-nox");
    }
    strbuf_release(&version);
    return rc;
}

static int corpus_packages(json_t *report, json_t *missing)
{
    int rc = 0;
    json_t *list = json_array();
    for (const struct corpus *const *c = corpora; *c && rc == 0; c++) {
        if (!(*c)->package)
            continue;
        char what[256], mend[256], *version = package_version((*c)->package);
        json_array_append_new(list, json_pack("{s:s, s:s, s:s?, s:s?}", "name", (*c)->name,
                                              "package", (*c)->package, "version", version,
                                              "expected", (*c)->expected_version));
        if (!version) {
            snprintf(what, sizeof what, "corpus %s", (*c)->name);
            snprintf(mend, sizeof mend, "apt-get install %s", (*c)->package);
            rc = miss(missing, what, mend);
        }
        mem_free(version);
    }
    if (rc == 0)
        rc = put(report, "corpora", list);
    else
        json_decref(list);
    return rc;
}

/* The program that prints a corpus is a package of its own. */
static int corpus_programs(json_t *missing)
{
    static const char package[] = "bible-kjv";
    char *version = package_version(package);
    int rc = version
                 ? 0
                 : miss(missing, "corpus kjv: the program 'bible'", "apt-get install bible-kjv");
    mem_free(version);
    return rc;
}

/* Files of ours without which the first command fails. */
static int own_files(json_t *missing)
{
    static const char *const files[] = {"experiments/quickstart.yaml", "model/embedded/config.json",
                                        "plots"};
    int rc = 0;
    for (size_t i = 0; i < sizeof files / sizeof files[0] && rc == 0; i++) {
        char *path = NULL;
        if (paths_data(&path, files[i]) != 0)
            rc = miss(missing, files[i], "run bitbench from its checkout, or make install");
        mem_free(path);
    }
    return rc;
}

static int kernels(json_t *report, json_t *missing)
{
    const struct cpu_info *info = cpu_info();
    int rc = put(report, "kernels_library", json_string(info->library_choice));
    const char *better = cpu_decide(&info->features, cpu_kernels(), "DYNAMIC_ARCH", NULL);
    if (rc == 0 && better) {
        char what[256], mend[256];
        snprintf(what, sizeof what, "fast kernels: this CPU could run %s's, OpenBLAS uses %s's",
                 better, cpu_kernels());
        if (info->choice == CPU_CHOICE_USER)
            snprintf(mend, sizeof mend, "unset OPENBLAS_CORETYPE, which is set to %s",
                     cpu_kernels());
        else
            snprintf(mend, sizeof mend, "apt-get install libopenblas0-pthread");
        rc = miss(missing, what, mend);
    }
    return rc;
}

int doctor_examine(double seconds, json_t **out)
{
    json_t *report = NULL, *missing = json_array();
    int rc;
    TRY(host_describe(&report));
    TRY(features(report));
    TRY(kernels(report, missing));
    TRY(speed(report, seconds));
    TRY(space(report, missing));
    TRY(gnuplot(report, missing));
    TRY(corpus_packages(report, missing));
    TRY(corpus_programs(missing));
    TRY(own_files(missing));
    TRY(put(report, "missing", json_incref(missing)));
    *out = report;
    report = NULL;
out:
    json_decref(report);
    json_decref(missing);
    return rc;
}
