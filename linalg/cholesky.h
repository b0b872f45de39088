/* Cholesky factors and triangular inverses in fixed tiles on the pool: the tiles depend on n alone
 * and each element is one task's sum, so one thread and N give the same bytes. Row-major. Not from
 * within a pool task.
 *
 * In float64 although the references compute in float32: their roundings decide which of two nearly
 * equal values a weight goes to, and no other implementation has the same ones. Of the reference
 * cases in which float32 and float64 agree, a float32 factor of ours flipped decisions in one of
 * nine, a float64 factor in none. */
#ifndef LINALG_CHOLESKY_H
#define LINALG_CHOLESKY_H

/* Above this size in float32, as the references: it saves a quarter of the time of GPTQ. U's error
 * was 5e-5 of its norm at 4096 inputs, 1e-3 when these are strongly correlated; the references',
 * who factorise three times, were 6e-5 and 1.3e-3 on the same matrices, and 1e-3 against 5e-5 on
 * the diagonal. Below, exactness costs little. */
enum { CHOLESKY_DOUBLE = 2048 };

/* upper (n x n) = the upper triangular U with positive diagonal and H^-1 = U^T U, zeros below its
 * diagonal, rounded to float32; H is h (n x n, symmetric, both triangles filled) with its rows and
 * columns in the given order (NULL: as they are) and its diagonal replaced by diagonal (in h's own
 * order). work is n x n, or NULL for n > CHOLESKY_DOUBLE. With H = R R^T and R upper, U = R^-1: the
 * reversed matrix J H J has the lower factor J R J, so one potrf and one trtri (2/3 n^3) do the
 * work of the references' potrf, potri, potrf (4/3 n^3). ERR_NUMERIC when H is not positive
 * definite. */
int cholesky_inverse_upper(const float *h, const float *diagonal, const int *order, int n,
                           double *work, float *upper);

/* The same of h alone by textbook loops on one thread: the twin that tests compare with. upper is n
 * x n. */
int cholesky_inverse_upper_ref(const double *h, int n, double *upper);

#endif
