/* SPDX-License-Identifier: Apache-2.0 */
/* Floating point: in SSE registers as compilers use them, and on the x87. */
#include <math.h>
#include <string.h>

#include "rows.h"

#define BODIES 5u

/* Bodies that pull one another, in doubles. */
static uint64_t nbody(unsigned n)
{
    double p[BODIES][3], v[BODIES][3], m[BODIES];
    uint64_t seed = 1;

    for (unsigned i = 0; i < BODIES; i++) {
        for (unsigned k = 0; k < 3; k++) {
            p[i][k] = next_random(&seed) * 0x1p-27;
            v[i][k] = next_random(&seed) * 0x1p-34;
        }
        m[i] = 0.5 + i;
    }
    for (n *= 1000; n; n--) {
        for (unsigned i = 0; i < BODIES; i++) {
            for (unsigned k = i + 1; k < BODIES; k++) {
                double x = p[i][0] - p[k][0], y = p[i][1] - p[k][1];
                double z = p[i][2] - p[k][2];
                double d = x * x + y * y + z * z + 0.01;
                double f = 0.001 / (d * sqrt(d));
                v[i][0] -= x * m[k] * f;
                v[i][1] -= y * m[k] * f;
                v[i][2] -= z * m[k] * f;
                v[k][0] += x * m[i] * f;
                v[k][1] += y * m[i] * f;
                v[k][2] += z * m[i] * f;
            }
        }
        for (unsigned i = 0; i < BODIES; i++) {
            for (unsigned k = 0; k < 3; k++)
                p[i][k] += 0.001 * v[i][k];
        }
    }
    return mix_bytes(mix_bytes(0, p, sizeof(p)), v, sizeof(v));
}

#define ORDER 64u

/* LU decomposition in place, without pivots: the diagonal is heavy. */
static uint64_t lu(unsigned n)
{
    static double a[ORDER][ORDER];
    uint64_t seed = 2, sum = 0;

    while (n--) {
        for (unsigned i = 0; i < ORDER; i++) {
            for (unsigned k = 0; k < ORDER; k++)
                a[i][k] = next_random(&seed) * 0x1p-31;
            a[i][i] += ORDER;
        }
        for (unsigned k = 0; k < ORDER; k++) {
            for (unsigned i = k + 1; i < ORDER; i++) {
                double f = a[i][k] /= a[k][k];
                for (unsigned j = k + 1; j < ORDER; j++)
                    a[i][j] -= f * a[k][j];
            }
        }
        sum = mix_double(sum, a[ORDER - 1][ORDER - 1]);
    }
    return sum;
}

/* Newton's square roots and a harmonic sum in long double. */
static uint64_t x87(unsigned n)
{
    long double sum = 0;

    for (n *= 1000; n; n--) {
        long double a = (n & 1023) + 2, x = a / 2;
        for (unsigned i = 0; i < 6; i++)
            x = (x + a / x) * 0.5L;
        sum += x * x - a + 1 / a;
    }
    return mix_double(0, (double)(sum * 0x1p-8L));
}

/*
 * The library picks code by processor, which may differ in the last place:
 * the result counts to eight digits.
 */
static uint64_t libm(unsigned n)
{
    double sum = 0;

    for (n *= 1000; n; n--) {
        double x = (n & 4095) * 0.001 + 0.1;
        sum += sin(x) * cos(x) + exp(-x) + log(x) + pow(x, 1.25) + atan(x);
    }
    return (uint64_t)(int64_t)(sum * 0x1p-6);
}

const struct row float_rows[] = {
    { "nbody", "fp", nbody, 1500, NULL },
    { "lu", "fp", lu, 1800, NULL },
    { "x87", "fp", x87, 3000, NULL },
    { "libm", "fp", libm, 2500, NULL },
    { 0 },
};
