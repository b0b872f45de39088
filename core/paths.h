/* Where the program's own data lies: experiments, plot scripts, the embedded model. */
#ifndef CORE_PATHS_H
#define CORE_PATHS_H

/* *out = the path of a file or folder of ours ("experiments/quickstart.yaml"), owned by the caller. Looked for in the folder
 * that BITBENCH_DATADIR names; else in share/bitbench beside the program's bin/; else in the folders above the program (a
 * checkout with its build/ inside); else where `make install` put it. ERR_MISSING says where it was looked for. */
int paths_find(char **out, const char *relative);

/* *out = the folder of the running program, without a slash at its end; owned by the caller. */
int paths_program_folder(char **out);

#endif
