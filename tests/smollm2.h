/* SmolLM2-135M-Instruct, the standing real model of the long tests. */
#ifndef TESTS_SMOLLM2_H
#define TESTS_SMOLLM2_H

#include "core/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

/* The GGUF file: $BITBENCH_SMOLLM2 (a GGUF file or a folder in Hugging Face's layout), else
 * models/, where `make smollm2` puts it, else build/smollm2/, by ../shared/models/get-smollm2. NULL
 * when it cannot be had. */
static inline const char *smollm2_path(void)
{
    static const char made[] = "models/SmolLM2-135M-Instruct.Q4_1.gguf",
                      file[] = "build/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
    const char *named = getenv("BITBENCH_SMOLLM2"), *shared = getenv("BITBENCH_SHARED");
    char command[1200];
    if (named)
        return file_exists(named) ? named : NULL;
    if (file_exists(made))
        return made;
    if (file_exists(file))
        return file;
    snprintf(command, sizeof command, "'%s/models/get-smollm2' build/smollm2 >/dev/null 2>&1",
             shared ? shared : "../shared");
    return system(command) == 0 && file_exists(file) ? file : NULL;
}

#endif
