/* --full: all questions in place of the part that a spec names. */
#include "harness/spec.h"

#include <stdio.h>
#include <string.h>

static bool met(const struct experiment *e, const struct choice_spec *spec, int before)
{
    for (int i = 0; i < before; i++)
        if (memcmp(&e->choices[i], spec, sizeof *spec) == 0)
            return true;
    return false;
}

int experiment_ask_all(struct experiment *e)
{
    int kept = 0;
    for (int i = 0; i < e->choice_count; i++) {
        struct choice_spec spec = e->choices[i];
        memset(spec.range, 0, sizeof spec.range);
        snprintf(spec.range, sizeof spec.range, "0");
        int rc = choice_spec_resolve(&spec);
        if (rc)
            return rc;
        if (!met(e, &spec, kept))
            e->choices[kept++] = spec;
    }
    e->choice_count = kept;
    return 0;
}
