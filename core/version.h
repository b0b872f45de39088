/* What the program knows of its own build, for the stored record of every point. */
#ifndef CORE_VERSION_H
#define CORE_VERSION_H

#define BITBENCH_VERSION "0.1.0"

struct version {
    const char *commit;   /* 40 hexadecimal digits; "unknown" outside a git checkout */
    int dirty;            /* 1: a source file differed from the commit */
    const char *compiler; /* "gcc (Debian 12.2.0-14) 12.2.0" */
    const char *flags;    /* the optimisation and sanitizer flags */
};
extern const struct version version;

#endif
