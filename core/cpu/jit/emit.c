/* SPDX-License-Identifier: Apache-2.0 */
#include "cpu/jit/emit.h"

static void modrm_sib(struct emit *e, unsigned reg, const struct host_mem *m)
{
    unsigned r = (reg & 7) << 3, mod;

    if (m->base == H_NONE) { /* [disp32 (+ index)], never RIP-relative */
        unsigned index = m->index == H_NONE ? 4 : m->index & 7;

        emit8(e, r | 4);
        emit8(e, m->scale << 6 | index << 3 | 5);
        emit32(e, (uint32_t)m->disp);
        return;
    }
    mod = m->disp == 0 && (m->base & 7) != 5 ? 0
          : m->disp == (int8_t)m->disp       ? 1
                                             : 2;
    if (m->index == H_NONE && (m->base & 7) != 4) {
        emit8(e, mod << 6 | r | (m->base & 7));
    } else {
        unsigned index = m->index == H_NONE ? 4 : m->index & 7;

        emit8(e, mod << 6 | r | 4);
        emit8(e, m->scale << 6 | index << 3 | (m->base & 7));
    }
    if (mod == 1)
        emit8(e, (uint8_t)m->disp);
    else if (mod == 2)
        emit32(e, (uint32_t)m->disp);
}

static void put_imm(struct emit *e, uint64_t v, unsigned n)
{
    memcpy(e->p, &v, 8);
    e->p += n;
}

static void put_vex(struct emit *e, const struct host_insn *i, unsigned r,
                    unsigned x, unsigned b)
{
    unsigned pp = i->p66 ? 1 : i->rep == 0xf3 ? 2 : i->rep == 0xf2 ? 3 : 0;

    emit8(e, 0xc4);
    emit8(e, (r ^ 1) << 7 | (x ^ 1) << 6 | (b ^ 1) << 5 | i->map);
    emit8(e, i->w << 7 | (~i->vvvv & 15u) << 3 | i->l << 2 | pp);
}

void emit_insn(struct emit *e, const struct host_insn *i)
{
    const struct host_mem *m = i->mem;
    unsigned r = i->plus_r || i->bare ? 0 : i->reg >> 3 & 1;
    unsigned x = m && m->index != H_NONE ? m->index >> 3 & 1 : 0;
    unsigned b = m         ? m->base != H_NONE ? m->base >> 3 & 1 : 0
                 : i->bare ? 0
                           : i->rm >> 3 & 1;

    if (i->lock)
        emit8(e, 0xf0);
    if (m && m->gs)
        emit8(e, 0x65);
    if (i->vex) {
        put_vex(e, i, r, x, b);
    } else {
        unsigned rex = i->w << 3 | r << 2 | x << 1 | b;

        if (i->p66)
            emit8(e, 0x66);
        if (i->rep)
            emit8(e, i->rep);
        if (rex || i->rex)
            emit8(e, 0x40 | rex);
        if (i->map)
            emit8(e, 0x0f);
        if (i->map > 1)
            emit8(e, i->map == 2 ? 0x38 : 0x3a);
    }
    if (i->plus_r) {
        emit8(e, i->op | (i->rm & 7));
    } else {
        emit8(e, i->op);
        if (m)
            modrm_sib(e, i->reg, m);
        else if (!i->bare)
            emit8(e, 0xc0 | (i->reg & 7) << 3 | (i->rm & 7));
    }
    put_imm(e, i->imm, i->imm_bytes);
}

void emit_rr(struct emit *e, bool w, unsigned op, unsigned reg, unsigned rm)
{
    emit_insn(e, &(struct host_insn){ .w = w,
                                      .op = (uint8_t)op,
                                      .reg = (uint8_t)reg,
                                      .rm = (uint8_t)rm });
}

void emit_rm(struct emit *e, bool w, unsigned op, unsigned reg,
             const struct host_mem *m)
{
    emit_insn(e,
              &(struct host_insn){
                  .w = w, .op = (uint8_t)op, .reg = (uint8_t)reg, .mem = m });
}

static struct host_insn alu_imm(bool w, unsigned n, int32_t imm)
{
    bool small = imm == (int8_t)imm;

    return (struct host_insn){ .w = w,
                               .op = small ? 0x83 : 0x81,
                               .reg = (uint8_t)n,
                               .imm = (uint32_t)imm,
                               .imm_bytes = small ? 1 : 4 };
}

void emit_ri(struct emit *e, bool w, unsigned n, unsigned rm, int32_t imm)
{
    struct host_insn i = alu_imm(w, n, imm);

    i.rm = (uint8_t)rm;
    emit_insn(e, &i);
}

void emit_mi(struct emit *e, bool w, unsigned n, const struct host_mem *m,
             int32_t imm)
{
    struct host_insn i = alu_imm(w, n, imm);

    i.mem = m;
    emit_insn(e, &i);
}

void emit_mov_imm(struct emit *e, unsigned reg, uint64_t v)
{
    struct host_insn i = {
        .op = 0xb8, .plus_r = true, .rm = (uint8_t)reg, .imm = v, .imm_bytes = 4
    };

    if ((uint32_t)v == v) {
        emit_insn(e, &i);
    } else if ((uint64_t)(int32_t)v == v) {
        i = (struct host_insn){
            .w = true, .op = 0xc7, .rm = (uint8_t)reg, .imm = v, .imm_bytes = 4
        };
        emit_insn(e, &i);
    } else {
        i.w = true;
        i.imm_bytes = 8;
        emit_insn(e, &i);
    }
}

void emit_shift(struct emit *e, bool w, unsigned n, unsigned rm, unsigned by)
{
    emit_insn(e, &(struct host_insn){ .w = w,
                                      .op = 0xc1,
                                      .reg = (uint8_t)n,
                                      .rm = (uint8_t)rm,
                                      .imm = by,
                                      .imm_bytes = 1 });
}

void emit_flags_pack(struct emit *e)
{
    emit8(e, 0x9f); /* lahf; seto al */
    emit_insn(e, &(struct host_insn){ .map = 1, .op = 0x90 });
}

void emit_flags_unpack(struct emit *e)
{
    emit8(e, 0x04); /* add al, 7f; sahf */
    emit8(e, 0x7f);
    emit8(e, 0x9e);
}

void emit_push(struct emit *e, unsigned reg)
{
    emit_insn(e, &(struct host_insn){
                     .op = 0x50, .plus_r = true, .rm = (uint8_t)reg });
}

void emit_pop(struct emit *e, unsigned reg)
{
    emit_insn(e, &(struct host_insn){
                     .op = 0x58, .plus_r = true, .rm = (uint8_t)reg });
}

void emit_load(struct emit *e, bool w, unsigned reg, size_t offset)
{
    struct host_mem m = state_mem(offset);

    emit_rm(e, w, 0x8b, reg, &m);
}

void emit_store(struct emit *e, bool w, unsigned reg, size_t offset)
{
    struct host_mem m = state_mem(offset);

    emit_rm(e, w, 0x89, reg, &m);
}

void emit_lea(struct emit *e, bool w, unsigned reg, unsigned base, int32_t disp)
{
    struct host_mem m = { (uint8_t)base, H_NONE, 0, false, disp };

    emit_rm(e, w, 0x8d, reg, &m);
}

uint8_t *emit_jcc(struct emit *e, enum host_cc cc)
{
    if (cc == CC_ALWAYS) {
        emit8(e, 0xe9);
    } else {
        emit8(e, 0x0f);
        emit8(e, 0x80 | cc);
    }
    emit32(e, 0);
    return e->p - 4;
}

uint8_t *emit_call(struct emit *e)
{
    emit8(e, 0xe8);
    emit32(e, 0);
    return e->p - 4;
}

void emit_patch(uint8_t *rel, const uint8_t *target)
{
    int32_t d = (int32_t)(target - (rel + 4));

    memcpy(rel, &d, 4);
}

void emit_call_to(struct emit *e, const uint8_t *target)
{
    emit_patch(emit_call(e), target);
}

void emit_jmp_to(struct emit *e, const uint8_t *target)
{
    emit_patch(emit_jcc(e, CC_ALWAYS), target);
}
