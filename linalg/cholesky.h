/* Cholesky factors and triangular inverses in fixed tiles on the pool: the tiles depend on n alone and each element is
 * one task's sum, so one thread and N give the same bytes. Row-major float32. Not from within a pool task. */
#ifndef LINALG_CHOLESKY_H
#define LINALG_CHOLESKY_H

/* A = L L^T: replaces the lower triangle of a (n x n) by L; what lies above the diagonal is overwritten with rubbish.
 * ERR_NUMERIC with the failing pivot when A is not positive definite. */
int cholesky_lower(float *a, int n);

/* L := L^-1 for the lower triangle of l (n x n); what lies above the diagonal is overwritten with rubbish. ERR_NUMERIC
 * on a zero on the diagonal. */
int triangle_invert(float *l, int n);

/* upper (n x n) = the upper triangular U with positive diagonal and H^-1 = U^T U, zeros below its diagonal. Of h (n x n,
 * symmetric) the upper triangle is read. With H = R R^T and R upper, U = R^-1: the reversed matrix J H J, which is h's
 * memory read backwards, has the lower factor J R J, so one potrf and one trtri (2/3 n^3) do the work of the
 * references' potrf, potri, potrf (4/3 n^3). ERR_NUMERIC when H is not positive definite; upper is then rubbish. */
int cholesky_inverse_upper(const float *h, int n, float *upper);

/* The same by textbook loops in double, one thread: the twin that tests compare with. upper is n x n. */
int cholesky_inverse_upper_ref(const double *h, int n, double *upper);

#endif
