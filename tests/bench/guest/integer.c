/* SPDX-License-Identifier: Apache-2.0 */
/* Integers, branches and calls. */
#include <stdlib.h>
#include <string.h>

#include "rows.h"

/* Primes below SIEVE, n times. */
#define SIEVE 1000000u

static uint64_t sieve(unsigned n)
{
    static uint8_t composite[SIEVE];
    uint64_t sum = 0;

    while (n--) {
        memset(composite, 0, sizeof(composite));
        for (uint32_t i = 2; i * i < SIEVE; i++) {
            if (composite[i])
                continue;
            for (uint32_t k = i * i; k < SIEVE; k += i)
                composite[k] = 1;
        }
        for (uint32_t i = 2; i < SIEVE; i++)
            sum += composite[i] ? 0 : i;
    }
    return sum;
}

static uint64_t crc32(unsigned n)
{
    uint32_t table[256], crc = ~0u;
    uint8_t data[4096];
    uint64_t seed = 1;

    for (uint32_t i = 0; i < 256; i++) {
        table[i] = i;
        for (int k = 0; k < 8; k++)
            table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xedb88320u : 0);
    }
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)next_random(&seed);
    while (n--) {
        for (size_t i = 0; i < sizeof(data); i++)
            crc = table[(crc ^ data[i]) & 255] ^ crc >> 8;
    }
    return ~crc;
}

static int compare_words(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

#define SORTED 50000u

static uint64_t sort(unsigned n)
{
    static uint32_t words[SORTED];
    uint64_t seed = 7, sum = 0;

    while (n--) {
        for (unsigned i = 0; i < SORTED; i++)
            words[i] = next_random(&seed);
        qsort(words, SORTED, sizeof(words[0]), compare_words);
        for (unsigned i = 0; i < SORTED; i += 997)
            sum = mix(sum, words[i]);
    }
    return sum;
}

/* Schoolbook products of two numbers of LIMBS times 64 bits. */
#define LIMBS 64u

static uint64_t bignum(unsigned n)
{
    uint64_t a[LIMBS], b[LIMBS], product[2 * LIMBS], seed = 3;

    for (unsigned i = 0; i < LIMBS; i++) {
        a[i] = (uint64_t)next_random(&seed) << 33 ^ next_random(&seed);
        b[i] = (uint64_t)next_random(&seed) << 33 ^ next_random(&seed);
    }
    while (n--) {
        memset(product, 0, sizeof(product));
        for (unsigned i = 0; i < LIMBS; i++) {
            uint64_t carry = 0;
            for (unsigned k = 0; k < LIMBS; k++) {
                unsigned __int128 t =
                    (unsigned __int128)a[i] * b[k] + product[i + k] + carry;
                product[i + k] = (uint64_t)t;
                carry = (uint64_t)(t >> 64);
            }
            product[i + LIMBS] = carry;
        }
        memcpy(a, product + LIMBS / 2, sizeof(a));
    }
    return mix_bytes(0, a, sizeof(a));
}

static uint32_t rotate_right(uint32_t x, unsigned by)
{
    return x >> by | x << (32 - by);
}

/* One block of FIPS 180-4; the constants are those of the standard: the
 * fractions of the cube roots of the first primes. */
static uint32_t sha_constant[64];

static void sha_make_constants(void)
{
    unsigned prime = 2;

    for (unsigned i = 0; i < 64; prime++) {
        bool is_prime = true;
        for (unsigned k = 2; k * k <= prime; k++)
            is_prime = is_prime && prime % k;
        if (!is_prime)
            continue;
        /* The largest x with x^3 <= prime * 2^96. */
        unsigned __int128 x = 0;
        for (int bit = 35; bit >= 0; bit--) {
            unsigned __int128 y = x | (unsigned __int128)1 << bit;
            if (y * y * y <= (unsigned __int128)prime << 96)
                x = y;
        }
        sha_constant[i++] = (uint32_t)x;
    }
}

static void sha_block(uint32_t state[8], const uint8_t *data)
{
    uint32_t w[64], s[8];

    for (unsigned i = 0; i < 16; i++)
        w[i] = (uint32_t)data[4 * i] << 24 | (uint32_t)data[4 * i + 1] << 16 |
               (uint32_t)data[4 * i + 2] << 8 | data[4 * i + 3];
    for (unsigned i = 16; i < 64; i++) {
        uint32_t a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + w[i - 7] +
               (rotate_right(a, 7) ^ rotate_right(a, 18) ^ a >> 3) +
               (rotate_right(b, 17) ^ rotate_right(b, 19) ^ b >> 10);
    }
    memcpy(s, state, sizeof(s));
    for (unsigned i = 0; i < 64; i++) {
        uint32_t e = s[4], a = s[0];
        uint32_t t =
            s[7] + sha_constant[i] + w[i] +
            (rotate_right(e, 6) ^ rotate_right(e, 11) ^ rotate_right(e, 25)) +
            ((e & s[5]) ^ (~e & s[6]));
        uint32_t u =
            (rotate_right(a, 2) ^ rotate_right(a, 13) ^ rotate_right(a, 22)) +
            ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));
        memmove(s + 1, s, 7 * sizeof(s[0]));
        s[4] += t;
        s[0] = t + u;
    }
    for (unsigned i = 0; i < 8; i++)
        state[i] += s[i];
}

static uint64_t sha256(unsigned n)
{
    uint8_t data[64 * 16];
    uint32_t state[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
    uint64_t seed = 5;

    sha_make_constants();
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)next_random(&seed);
    while (n--) {
        for (unsigned i = 0; i < 16; i++)
            sha_block(state, data + 64 * i);
    }
    return mix_bytes(0, state, sizeof(state));
}

/* A binary search tree in an array of nodes. */
#define NODES 60000u

static uint64_t tree(unsigned n)
{
    static struct node {
        uint32_t key, left, right, value;
    } nodes[NODES + 1];
    uint64_t seed = 11, sum = 0;
    uint32_t used = 1;

    memset(nodes, 0, sizeof(nodes));
    nodes[1].key = 0x40000000;
    while (used < NODES) {
        uint32_t key = next_random(&seed), *link, at = 1;
        do {
            link = key < nodes[at].key ? &nodes[at].left : &nodes[at].right;
            at = *link;
        } while (at);
        *link = ++used;
        nodes[used].key = key;
        nodes[used].value = key * 3;
    }
    for (n *= 1000; n; n--) {
        uint32_t key = next_random(&seed), at = 1, best = 0;
        while (at) {
            best = at;
            at = key < nodes[at].key ? nodes[at].left : nodes[at].right;
        }
        sum += nodes[best].value;
    }
    return sum;
}

/* A machine of eight registers whose programs are bytes. */
enum {
    OP_SET,
    OP_ADD,
    OP_SUB,
    OP_XOR,
    OP_SHIFT,
    OP_LOAD,
    OP_STORE,
    OP_DEC,
    OP_JUMP,
    OP_STOP
};

/* clang-format off */
static const uint8_t interpreted[] = {
    OP_SET, 0, 200,             /* outer count */
    OP_SET, 1, 1,
    OP_SET, 2, 250,             /* 6: inner count */
    OP_ADD, 1, 2,               /* 9 */
    OP_XOR, 3, 1,
    OP_STORE, 3, 1,
    OP_LOAD, 4, 2,
    OP_SHIFT, 4, 3,
    OP_SUB, 5, 4,
    OP_XOR, 1, 5,
    OP_DEC, 2, 0,
    OP_JUMP, 2, 9,
    OP_DEC, 0, 0,
    OP_JUMP, 0, 6,
    OP_STOP, 0, 0,
};
/* clang-format on */

static uint64_t interpret(unsigned n)
{
    uint64_t sum = 0;
    uint32_t memory[256] = { 0 };

    while (n--) {
        uint32_t r[8] = { 0 };
        const uint8_t *pc = interpreted;
        bool stopped = false;
        while (!stopped) {
            uint32_t *a = &r[pc[1] & 7], b = pc[2];
            unsigned op = *pc;
            pc += 3;
            switch (op) {
            case OP_SET: *a = b; break;
            case OP_ADD: *a += r[b & 7]; break;
            case OP_SUB: *a -= r[b & 7]; break;
            case OP_XOR: *a ^= r[b & 7] + 0x9e3779b9; break;
            case OP_SHIFT: *a = *a >> b | *a << (32 - b); break;
            case OP_LOAD: *a = memory[r[b & 7] & 255]; break;
            case OP_STORE: memory[r[b & 7] & 255] = *a; break;
            case OP_DEC: --*a; break;
            case OP_JUMP:
                if (*a)
                    pc = interpreted + b;
                break;
            default: stopped = true; break;
            }
        }
        sum = mix(sum, r[1]);
    }
    return sum;
}

static __attribute__((noinline)) uint32_t fib(uint32_t n)
{
    /* Not what the compiler would make a loop of. */
    __asm__ volatile("");
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

static uint64_t calls(unsigned n)
{
    uint64_t sum = 0;

    while (n--)
        sum += fib(24 + (n & 1));
    return sum;
}

/*
 * Words, numbers and quoted strings of a text, by jumps from state to state:
 * an indirect jump for each letter, from many places.
 */
static uint64_t states(unsigned n)
{
    static const char text[] =
        "let width = 640; let title = \"main \\\" window\"; # a note\n"
        "while (width > 17) { width = width / 2; call show(title, width); }\n"
        "if not done then begin x9 = 0x7f + 12.75; end else stop;\n";
    enum { SPACE, LETTER, DIGIT, QUOTE, ESCAPE, HASH, OTHER, END };
    uint8_t kind[256];
    uint64_t words = 0, numbers = 0, strings = 0, marks = 0;
    const unsigned char *p;

    for (unsigned c = 0; c < 256; c++) {
        kind[c] = c - 'a' < 26 ? LETTER : c - '0' < 10 ? DIGIT : OTHER;
        if (c == ' ' || c == '\n')
            kind[c] = SPACE;
    }
    kind['"'] = QUOTE;
    kind['\\'] = ESCAPE;
    kind['#'] = HASH;
    kind[0] = END;

    static const void *const outside[] = {
        &&outside, &&word, &&number, &&string, &&mark, &&note, &&mark, &&end,
    };
    static const void *const in_word[] = {
        &&outside, &&in_word, &&in_word, &&string,
        &&mark,    &&note,    &&mark,    &&end,
    };
    static const void *const in_number[] = {
        &&outside, &&in_number, &&in_number, &&string,
        &&mark,    &&note,      &&in_number, &&end,
    };
    static const void *const in_string[] = {
        &&in_string, &&in_string, &&in_string, &&outside,
        &&escape,    &&in_string, &&in_string, &&end,
    };
again:
    p = (const unsigned char *)text;
outside:
    goto *outside[kind[*p++]];
word:
    words++;
in_word:
    goto *in_word[kind[*p++]];
number:
    numbers++;
in_number:
    goto *in_number[kind[*p++]];
string:
    strings++;
in_string:
    goto *in_string[kind[*p++]];
escape:
    p++;
    goto in_string;
mark:
    marks++;
    goto outside;
note:
    while (*p && *p != '\n')
        p++;
    goto outside;
end:
    if (--n)
        goto again;
    return mix(mix(mix(words, numbers), strings), marks);
}

/* Shapes that only a table of functions tells apart. */
struct shape {
    const struct shape_class *class;
    uint32_t a, b;
};

struct shape_class {
    uint32_t (*area)(const struct shape *s);
    void (*grow)(struct shape *s, uint32_t by);
};

static uint32_t box_area(const struct shape *s)
{
    return s->a * s->b;
}

static uint32_t wedge_area(const struct shape *s)
{
    return s->a * s->b / 2;
}

static uint32_t disc_area(const struct shape *s)
{
    return s->a * s->a * 355u / 113u;
}

static uint32_t ring_area(const struct shape *s)
{
    return (s->a * s->a - s->b * s->b) * 355u / 113u;
}

static void grow_one(struct shape *s, uint32_t by)
{
    s->a += by & 15;
}

static void grow_both(struct shape *s, uint32_t by)
{
    s->a += by & 3;
    s->b ^= by >> 3;
}

static uint64_t virtual_calls(unsigned n)
{
    static const struct shape_class classes[] = {
        { box_area, grow_both },
        { wedge_area, grow_one },
        { disc_area, grow_one },
        { ring_area, grow_both },
    };
    struct shape shapes[500];
    uint64_t seed = 13, sum = 0;

    for (unsigned i = 0; i < 500; i++) {
        shapes[i].class = &classes[next_random(&seed) & 3];
        shapes[i].a = next_random(&seed) & 1023;
        shapes[i].b = next_random(&seed) & 1023;
    }
    while (n--) {
        uint32_t total = 0;
        for (unsigned i = 0; i < 500; i++) {
            struct shape *s = &shapes[i];
            total += s->class->area(s);
            s->class->grow(s, total);
        }
        sum = mix(sum, total);
    }
    return sum;
}

/* Counting, reversing and scattering bits, divisions and remainders. */
static uint64_t bits(unsigned n)
{
    uint64_t x = 0x123456789abcdef, sum = 0;

    for (n *= 1000; n; n--) {
        uint64_t y = x ^ x << 13;
        y ^= y >> 7;
        y ^= y << 17;
        x = y;
        uint64_t c = y - (y >> 1 & 0x5555555555555555);
        c = (c & 0x3333333333333333) + (c >> 2 & 0x3333333333333333);
        c = (c + (c >> 4)) & 0x0f0f0f0f0f0f0f0f;
        sum += c * 0x0101010101010101 >> 56;
        sum += (unsigned)__builtin_clzll(y | 1) ^ (unsigned)__builtin_ctzll(y);
        sum ^= __builtin_bswap64(y) ^ (y << (sum & 63) | y >> (-sum & 63));
        sum += (uint32_t)y % ((uint32_t)(y >> 32) | 1);
    }
    return sum;
}

const struct row integer_rows[] = {
    { "sieve", "int", sieve, 50, NULL },
    { "crc32", "int", crc32, 11000, NULL },
    { "qsort", "int", sort, 25, NULL },
    { "bignum", "int", bignum, 30000, NULL },
    { "sha256", "int", sha256, 10000, NULL },
    { "tree", "int", tree, 800, NULL },
    { "interp", "int", interpret, 160, NULL },
    { "calls", "int", calls, 600, NULL },
    { "states", "int", states, 250000, NULL },
    { "virtual", "int", virtual_calls, 25000, NULL },
    { "bits", "int", bits, 20000, NULL },
    { 0 },
};
