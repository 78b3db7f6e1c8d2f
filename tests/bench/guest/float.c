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

#define POINTS 1024u

/* There and back, radix 2. The roots of one come from halving angles. */
static void fft(double (*z)[2], const double (*root)[2])
{
    for (unsigned i = 1, k = 0; i < POINTS; i++) {
        unsigned bit = POINTS >> 1;
        for (; k & bit; bit >>= 1)
            k ^= bit;
        k |= bit;
        if (i < k) {
            for (unsigned part = 0; part < 2; part++) {
                double t = z[i][part];
                z[i][part] = z[k][part];
                z[k][part] = t;
            }
        }
    }
    for (unsigned half = 1; half < POINTS; half *= 2) {
        for (unsigned from = 0; from < POINTS; from += 2 * half) {
            for (unsigned i = 0; i < half; i++) {
                const double *w = root[half + i];
                double *a = z[from + i], *b = z[from + i + half];
                double x = w[0] * b[0] - w[1] * b[1];
                double y = w[0] * b[1] + w[1] * b[0];
                b[0] = a[0] - x;
                b[1] = a[1] - y;
                a[0] += x;
                a[1] += y;
            }
        }
    }
}

static uint64_t fourier(unsigned n)
{
    static double z[POINTS][2], root[POINTS][2];
    double c = -1, s = 0;
    uint64_t seed = 4;

    /* root[half + i] is the i'th power of the root of one of order 2 half. */
    for (unsigned half = 1; half < POINTS; half *= 2) {
        double x = 1, y = 0;
        for (unsigned i = 0; i < half; i++) {
            double t = x * c - y * s;
            root[half + i][0] = x;
            root[half + i][1] = y;
            y = x * s + y * c;
            x = t;
        }
        s = sqrt((1 - c) / 2);
        c = sqrt((1 + c) / 2);
    }
    for (unsigned i = 0; i < POINTS; i++) {
        z[i][0] = next_random(&seed) * 0x1p-31;
        z[i][1] = next_random(&seed) * 0x1p-31;
    }
    while (n--) {
        fft(z, (const double(*)[2])root);
        for (unsigned i = 0; i < POINTS; i++) {
            z[i][0] *= 1.0 / 32;
            z[i][1] *= -1.0 / 32;
        }
    }
    return mix_bytes(0, z, sizeof(z));
}

static uint64_t mandelbrot(unsigned n)
{
    uint64_t sum = 0;

    for (n *= 100; n; n--) {
        double x0 = (n & 63) * 0.04 - 2, y0 = (n >> 6 & 63) * 0.04 - 1.25;
        double x = 0, y = 0;
        unsigned i = 0;
        while (i < 200 && x * x + y * y < 4) {
            double t = x * x - y * y + x0;
            y = 2 * x * y + y0;
            x = t;
            i++;
        }
        sum = sum * 3 + i;
    }
    return sum;
}

/* A filter on samples: float and int back and forth. */
static uint64_t convert(unsigned n)
{
    static int16_t samples[4096];
    uint64_t seed = 6;

    for (unsigned i = 0; i < 4096; i++)
        samples[i] = (int16_t)next_random(&seed);
    while (n--) {
        float low = 0;
        for (unsigned i = 0; i < 4096; i++) {
            float in = samples[i];
            low += (in - low) * 0.25f;
            float out = in * 0.75f + low * 0.5f;
            if (out > 32767.0f)
                out = 32767.0f;
            if (out < -32768.0f)
                out = -32768.0f;
            samples[i] = (int16_t)out;
        }
        samples[n & 4095] ^= 0x1234;
    }
    return mix_bytes(0, samples, sizeof(samples));
}

/* Exponentials, logarithms and roots in long double, to eight digits. */
static uint64_t x87_library(unsigned n)
{
    long double sum = 0;

    for (n *= 1000; n; n--) {
        long double x = (n & 4095) * 0.001L + 0.1L;
        sum += expl(-x) + logl(x) + sqrtl(x) + atanl(x) + floorl(x * 8);
    }
    return (uint64_t)(int64_t)(sum * 0x1p-6L);
}

const struct row float_rows[] = {
    { "nbody", "fp", nbody, 1500, NULL },
    { "lu", "fp", lu, 1800, NULL },
    { "x87", "fp", x87, 3000, NULL },
    { "libm", "fp", libm, 2500, NULL },
    { "fft", "fp", fourier, 8000, NULL },
    { "mandelbrot", "fp", mandelbrot, 7000, NULL },
    { "convert", "fp", convert, 7000, NULL },
    { "x87-libm", "fp", x87_library, 600, NULL },
    { 0 },
};
