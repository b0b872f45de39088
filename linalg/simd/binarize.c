/* Errors of binary approximations, for the searches over many candidates: 16 rows side by side. */
#include "linalg/simd/vec.h"

enum { ROWS = 16 };

/* |x| and the sign bit of x. */
static inline VF v_abs(VF x)
{
    return (VF)((VI)x & 0x7fffffff);
}

static inline VF v_copysign(VF magnitude, VF sign)
{
    return (VF)((VI)magnitude | ((VI)sign & (VI)v_all(-0.0f)));
}

static inline VF v_where(VI mask, VF x)
{
    return (VF)(mask & (VI)x);
}

static inline VF v_count(VI counted) /* of lanes counted down by masks of -1 */
{
    return -__builtin_convertvector(counted, VF);
}

/* sum (u - sign(u) s)^2 with s = spread / n, from spread = sum |u| and squares = sum u^2; zeros of
 * the u are 0. */
static inline VF v_left(VF squares, VF spread, VF n, VF zeros)
{
    VF s = spread / n;
    return squares - 2 * s * spread + (n - zeros) * s * s;
}

static VF order_one(const float *x, int count, VF mean)
{
    VF spread = v_all(0), squares = v_all(0);
    VI zeros = {0};
    for (int i = 0; i < count; i++) {
        VF r = v_load(x + ROWS * i) - mean;
        spread += v_abs(r);
        squares = v_fma(r, r, squares);
        zeros += r == 0;
    }
    return v_left(squares, spread, v_all((float)count), v_count(zeros));
}

/* The first pass gives the first scale and, by the balance of signs, the mean of what it leaves;
 * the second its error. */
static VF order_two(const float *x, int count, VF mean, VF mean_rest)
{
    VF spread[2] = {v_all(0), v_all(0)}, squares[2] = {v_all(0), v_all(0)}, n = v_all((float)count);
    VI above[2] = {{0}}, below[2] = {{0}}, zeros[2] = {{0}};
    for (int i = 0; i < count; i++) {
        VF r = v_load(x + ROWS * i) - mean;
        spread[i & 1] += v_abs(r);
        above[i & 1] += r > 0;
        below[i & 1] += r < 0;
    }
    VF scale = (spread[0] + spread[1]) / n;
    VF balance = v_count(above[0] + above[1]) - v_count(below[0] + below[1]);
    VF second = mean_rest - scale * balance / n;
    spread[0] = spread[1] = v_all(0);
    for (int i = 0; i < count; i++) {
        VF r = v_load(x + ROWS * i) - mean;
        VF u = r - v_where(r != 0, v_copysign(scale, r)) - second;
        spread[i & 1] += v_abs(u);
        squares[i & 1] = v_fma(u, u, squares[i & 1]);
        zeros[i & 1] += u == 0;
    }
    return v_left(squares[0] + squares[1], spread[0] + spread[1], n, v_count(zeros[0] + zeros[1]));
}

void SIMD(binary_error)(const float *x, int count, const double *sum, int order, float *error)
{
    float mean[ROWS], rest[ROWS];
    for (int l = 0; l < ROWS; l++) {
        double exact = count > 0 ? sum[l] / count : 0;
        mean[l] = (float)exact;
        rest[l] = (float)(exact - (double)mean[l]); /* the mean of x - mean, which rounding leaves
                                                     */
    }
    for (int l = 0; l < ROWS; l += LANES) {
        VF result = v_all(0);
        if (count > 0)
            result = order == 1 ? order_one(x + l, count, v_load(mean + l))
                                : order_two(x + l, count, v_load(mean + l), v_load(rest + l));
        v_store(error + l, result);
    }
}

static VF two_groups(const float *x, int count, VF split)
{
    VF sum[2] = {v_all(0), v_all(0)}, spread[2] = {v_all(0), v_all(0)},
       squares[2] = {v_all(0), v_all(0)};
    VI members = {0}, zeros[2] = {{0}};
    const VF one = v_all(1);
    for (int i = 0; i < count; i++) {
        VF w = v_load(x + ROWS * i);
        VI inner = v_abs(w) < split;
        sum[0] += v_where(inner, w);
        sum[1] += v_where(~inner, w);
        members += inner;
    }
    VF n0 = v_count(members), n1 = v_all((float)count) - n0;
    VF safe0 = v_max(n0, one), safe1 = v_max(n1, one); /* an empty group: 0 / 1 */
    VF mean0 = sum[0] / safe0, mean1 = sum[1] / safe1;
    for (int i = 0; i < count; i++) {
        VF w = v_load(x + ROWS * i);
        VI inner = v_abs(w) < split, zero;
        VF u = w - v_select(inner, mean0, mean1), size = v_abs(u), square = u * u;
        zero = u == 0;
        spread[0] += v_where(inner, size);
        spread[1] += v_where(~inner, size);
        squares[0] += v_where(inner, square);
        squares[1] += v_where(~inner, square);
        zeros[0] += inner & zero;
        zeros[1] += ~inner & zero;
    }
    return v_left(squares[0], spread[0], safe0, v_count(zeros[0])) +
           v_left(squares[1], spread[1], safe1, v_count(zeros[1]));
}

void SIMD(split_error)(const float *x, int count, float split, float *error)
{
    for (int l = 0; l < ROWS; l += LANES)
        v_store(error + l, two_groups(x + l, count, v_all(split)));
}
