/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/cpu/decode_bytes.h"

#include <string.h>

#include "cpu/decode.h"
#include "cpu/table.h"

/* xorshift64*, see Vigna, "An experimental exploration ..." (2016) */
uint64_t bytes_random(struct byte_source *s)
{
    s->seed ^= s->seed >> 12;
    s->seed ^= s->seed << 25;
    s->seed ^= s->seed >> 27;
    return s->seed * 2685821657736338717u;
}

static unsigned below(struct byte_source *s, unsigned n)
{
    return (unsigned)((bytes_random(s) >> 32) * n >> 32);
}

static void fill_random(struct byte_source *s, uint8_t *p, unsigned n)
{
    for (; n >= 8; n -= 8, p += 8)
        memcpy(p, &(uint64_t){ bytes_random(s) }, 8);
    memcpy(p, &(uint64_t){ bytes_random(s) }, n);
}

static bool has_kind(const struct x86_row *r, unsigned kind)
{
    for (unsigned k = 0; k < X86_MAX_OPERANDS; k++) {
        if (r->op[k].kind == kind)
            return true;
    }
    return false;
}

bool bytes_row_takes(const struct byte_source *s, unsigned row, uint8_t modrm)
{
    const struct x86_row *r = &x86_rows[row];
    bool any_mod = has_kind(r, X86_OP_C) || has_kind(r, X86_OP_D);

    if (r->valid == X86_VALID_NO64 && s->mode == X86_MODE_64)
        return false;
    if (s->mode != X86_MODE_64 && (r->valid == X86_VALID_ONLY64 ||
                                   r->osz == 64 || (r->w == 1 && !r->vex)))
        return false;
    if (!r->has_modrm)
        return modrm == 0;
    if (r->exact >= 0)
        return modrm == r->exact;
    if (r->ext >= 0 && (modrm >> 3 & 7) != r->ext)
        return false;
    return !r->form || any_mod || (modrm >= 0xc0) == (r->form == 'r');
}

/* --- prefixes ------------------------------------------------------------ */

/* Those that mean something with this row, or any. */
static uint8_t *put_legacy(struct byte_source *s, const struct x86_row *r,
                           uint8_t modrm, uint8_t *p)
{
    static const uint8_t segs[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65 };
    bool memory = r->has_modrm && modrm < 0xc0 && !has_kind(r, X86_OP_C) &&
                  !has_kind(r, X86_OP_D);
    bool string = r->attrs & (X86_A_REP | X86_A_REPZ);
    bool free_66 = r->prefix == X86_PFX_ANY || r->prefix == X86_PFX_NF;

    if (s->plain) {
        /* 3E, DS, has another meaning before indirect branches. */
        bool no_ds = r->map == 0 && r->opcode == 0xff;

        if (memory && below(s, 4) == 0)
            *p++ = segs[s->mode == X86_MODE_64 || no_ds ? 4 + below(s, 2)
                                                        : below(s, 6)];
        if (memory && below(s, 8) == 0)
            *p++ = 0x67;
        if (memory && (r->attrs & X86_A_LOCK) && below(s, 4) == 0)
            *p++ = 0xf0;
        if (string && below(s, 2) == 0)
            *p++ = 0xf2 + (uint8_t)below(s, 2);
        if (free_66 && !r->vex && !(r->attrs & X86_A_BYTE) && !r->osz &&
            below(s, 4) == 0)
            *p++ = 0x66;
        return p;
    }
    for (unsigned n = below(s, 4); n > 0; n--) {
        static const uint8_t all[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66,
                                       0x67, 0x66, 0x67, 0xf0, 0xf2, 0xf3 };
        *p++ = all[below(s, sizeof all)];
    }
    return p;
}

static uint8_t *put_osz(const struct byte_source *s, const struct x86_row *r,
                        uint8_t *p)
{
    unsigned native = s->mode == X86_MODE_16 ? 16 : 32;

    if (s->mode == X86_MODE_64 && (r->attrs & (X86_A_DF64 | X86_A_F64)))
        native = 64;
    if (r->osz && r->osz != 64 && r->osz != native)
        *p++ = 0x66;
    return p;
}

static uint8_t *put_prefixes(struct byte_source *s, const struct x86_row *r,
                             uint8_t modrm, uint8_t *p)
{
    static const uint8_t mandatory[] = {
        [X86_PFX_66] = 0x66, [X86_PFX_F3] = 0xf3, [X86_PFX_F2] = 0xf2
    };
    uint8_t rex = 0;

    p = put_legacy(s, r, modrm, p);
    if (r->vex)
        return p;
    p = put_osz(s, r, p);
    if (r->prefix >= X86_PFX_66)
        *p++ = mandatory[r->prefix];
    if (s->mode != X86_MODE_64)
        return p;
    if (below(s, 2))
        rex = 0x40 | (uint8_t)below(s, 16);
    if (s->plain && !r->has_modrm && !r->plus_r)
        rex = 0;
    if (r->w == 1 || (r->osz == 64 && !(r->attrs & X86_A_DF64)))
        rex |= 0x48;
    if (r->w == 0 || r->osz == 16 || r->osz == 32)
        rex &= 0x47;
    if (rex)
        *p++ = rex;
    return p;
}

/* --- VEX ----------------------------------------------------------------- */

static uint8_t *put_vex(struct byte_source *s, const struct x86_row *r,
                        uint8_t *p)
{
    bool uses_vvvv = has_kind(r, X86_OP_H) || has_kind(r, X86_OP_B);
    bool vvvv = uses_vvvv || (!s->plain && below(s, 8) == 0);
    unsigned pp = r->prefix == X86_PFX_66   ? 1
                  : r->prefix == X86_PFX_F3 ? 2
                  : r->prefix == X86_PFX_F2 ? 3
                                            : 0;
    unsigned rxb = s->mode == X86_MODE_64 ? below(s, 8) : 7;
    unsigned w = r->w >= 0 ? (unsigned)r->w : s->plain ? 0 : below(s, 2);
    unsigned l = r->l >= 0 ? (unsigned)r->l : s->plain ? 0 : below(s, 2);
    unsigned v = vvvv ? below(s, 16) : 15;

    if (s->mode != X86_MODE_64) {
        v |= 8;
        rxb ^= s->plain ? 0 : below(s, 2);
    }
    pp |= v << 3 | l << 2;
    if (r->map == 1 && !w && (rxb & 3) == 3 && below(s, 2)) {
        *p++ = 0xc5;
        *p++ = (uint8_t)((rxb & 4) << 5 | pp);
        return p;
    }
    *p++ = 0xc4;
    *p++ = (uint8_t)(rxb << 5 | r->map);
    *p++ = (uint8_t)(w << 7 | pp);
    return p;
}

/* --- whole instructions -------------------------------------------------- */

void bytes_of_row(struct byte_source *s, unsigned row, uint8_t modrm,
                  uint8_t *out)
{
    const struct x86_row *r = &x86_rows[row];
    uint8_t *p = out;

    fill_random(s, out, CASE_BYTES);
    p = put_prefixes(s, r, modrm, p);
    if (r->vex) {
        p = put_vex(s, r, p);
    } else if (r->map) {
        *p++ = 0x0f;
        if (r->map > 1)
            *p++ = r->map == 2 ? 0x38 : 0x3a;
    }
    *p++ = r->plus_r ? (uint8_t)(r->opcode + below(s, 8)) : r->opcode;
    if (r->has_modrm)
        *p = modrm;
}

void bytes_noise(struct byte_source *s, uint8_t *out)
{
    static const uint8_t prefixes[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65,
                                        0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x66,
                                        0x40, 0x48, 0x4f, 0x41, 0xf2, 0xf3 };
    uint8_t *p = out;

    fill_random(s, out, CASE_BYTES);
    if (below(s, 32) == 0) { /* near and over 15 bytes */
        for (unsigned n = below(s, 12); n > 0; n--)
            *p++ = prefixes[below(s, sizeof prefixes)];
    }
    for (unsigned n = below(s, 3); n > 0; n--)
        *p++ = prefixes[below(s, sizeof prefixes)];
    switch (below(s, 8)) {
    case 0:
    case 1: *p++ = 0x0f; break;
    case 2:
        *p++ = 0x0f;
        *p++ = 0x38;
        break;
    case 3:
        *p++ = 0x0f;
        *p++ = 0x3a;
        break;
    case 4: *p++ = 0xc5; break;
    case 5:
        *p++ = 0xc4;
        *p &= 0xe3;
        break;
    }
}

/* --- all opcodes --------------------------------------------------------- */

static unsigned take(unsigned *n, unsigned of)
{
    unsigned digit = *n % of;

    *n /= of;
    return digit;
}

bool bytes_of_opcode(struct byte_source *s, unsigned n, uint8_t *out)
{
    static const uint8_t prefix[] = { 0, 0x66, 0xf3, 0xf2 };
    unsigned modrm = take(&n, 72), opcode = take(&n, 256);
    unsigned pp = take(&n, 4), w = take(&n, 2), l = take(&n, 2);
    unsigned map = n; /* 0..3 legacy, 4..6 VEX */
    uint8_t *p = out;

    fill_random(s, out, CASE_BYTES);
    if (map > 6)
        return false;
    if (map < 4) {
        if (prefix[pp])
            *p++ = prefix[pp];
        if (w && s->mode == X86_MODE_64)
            *p++ = 0x48;
        if (map)
            *p++ = 0x0f;
        if (map > 1)
            *p++ = map == 2 ? 0x38 : 0x3a;
    } else {
        unsigned vvvv = below(s, 4) ? 15 : below(s, 16);

        *p++ = 0xc4;
        *p++ = (uint8_t)(0xe0 | (map - 3));
        *p++ = (uint8_t)(w << 7 | vvvv << 3 | l << 2 | pp);
    }
    *p++ = (uint8_t)opcode;
    *p = (uint8_t)(modrm < 8 ? modrm << 3 : 0xc0 + modrm - 8);
    return true;
}
