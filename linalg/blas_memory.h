/* OpenBLAS's work memory, where addresses are scarce. */
#ifndef LINALG_BLAS_MEMORY_H
#define LINALG_BLAS_MEMORY_H

/* OpenBLAS asks for its buffer, one for each thread that is in it, again and again until it gets
 * it: under a limit of the address space (ulimit -v) a program could wait for ever. Call after
 * pool_start: where there is such a limit, lets each thread of the pool get its buffer now, or
 * returns ERR_MEMORY. Without a limit it does nothing. */
int blas_memory_reserve(void);

#endif
