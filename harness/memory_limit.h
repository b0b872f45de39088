/* How much memory this process may take, and where hidden states go that do not fit. Like the
 * number of threads these belong to the process; no result depends on them. */
#ifndef HARNESS_MEMORY_LIMIT_H
#define HARNESS_MEMORY_LIMIT_H

#include <stddef.h>

/* The limit in bytes: what --memory said, else the spec's key, else three quarters of what machine
 * and control group have. */
size_t memory_limit(void);

/* From now on the limit is for so many processes together: memory_limit gives the share of one. */
void memory_limit_share(int processes);

/* Text as of --memory ("12G"; "": not given): ERR_USAGE, beginning with `where`, when it is none.
 */
int memory_limit_from_command_line(const char *text, const char *where);
/* Bytes; 0: the spec says nothing. */
void memory_limit_from_spec(size_t bytes);

/* The folder of spilled states: what --spill-dir said ("": not given), else $TMPDIR, else /var/tmp.
 * folder is borrowed. */
void memory_set_spill_folder(const char *folder);
const char *memory_spill_folder(void);

#endif
