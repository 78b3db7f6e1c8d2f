/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decode tables (see core/cpu/decode_tables.h): for every opcode the
 * lists of rows in order of how much they demand.
 */
#include "tools/gen-x86.h"

#include <stdlib.h>
#include <string.h>

#include "cpu/decode_tables.h"

/* A row that stands under one opcode, with what it demands of the key. */
struct candidate {
    const struct row *row;
    struct x86_match match;
    unsigned groups; /* bit g: it is in group g */
    int score;
};

struct lists {
    struct x86_match *items;
    unsigned count;
};

struct groups {
    uint16_t (*items)[16];
    unsigned count;
};

static void *grow(void *p, unsigned count, size_t size)
{
    p = realloc(p, count * size);
    if (!p) {
        perror("gen-x86");
        exit(1);
    }
    return p;
}

/* --- what a row demands -------------------------------------------------- */

static void demand(struct x86_match *m, uint32_t mask, uint32_t value)
{
    m->mask |= mask;
    m->value |= value;
}

static void demand_prefix(struct x86_match *m, const struct row *r)
{
    if (r->vex || r->prefix > X86_PFX_NP) {
        demand(m, X86_KEY_PFX,
               r->prefix == X86_PFX_66   ? X86_KEY_66
               : r->prefix == X86_PFX_F3 ? X86_KEY_F3
               : r->prefix == X86_PFX_F2 ? X86_KEY_F2
                                         : X86_KEY_NP);
    } else if (r->prefix == X86_PFX_NP) {
        demand(m, X86_KEY_PFX, X86_KEY_NP);
    } else if (r->prefix == X86_PFX_NF) {
        demand(m, X86_KEY_REP, 0);
    }
}

static void demand_osz(struct x86_match *m, const struct row *r)
{
    uint32_t v = r->osz == 16 ? 0 : r->osz == 32 ? 1 : 2;

    if (r->osz && (r->attrs & X86_A_DF64))
        demand(m, X86_KEY_DF64, v << X86_KEY_DF64_SHIFT);
    else if (r->osz)
        demand(m, X86_KEY_OSZ, v << X86_KEY_OSZ_SHIFT);
}

/* The order of the essay in x86.def. */
static int score_of(const struct row *r)
{
    int modrm = r->exact >= 0 ? 4
                : r->ext >= 0 ? (r->form ? 3 : 2)
                              : r->form != 0;
    int prefix = r->prefix >= X86_PFX_NP ? 2 : r->prefix == X86_PFX_NF;
    int rest = (r->w >= 0) + (r->osz != 0) + !r->plus_r +
               (r->valid == X86_VALID_NO64 || r->valid == X86_VALID_ONLY64);

    return modrm * 100 + prefix * 10 + rest;
}

static unsigned groups_of(const struct row *r)
{
    unsigned groups = 0;

    for (unsigned g = 0; g < 16; g++) {
        bool reg_form = g >= 8;

        if (r->exact >= 0) {
            if (g == 8u + (r->exact >> 3 & 7))
                groups |= 1u << g;
            continue;
        }
        if ((r->ext < 0 || (unsigned)r->ext == (g & 7)) &&
            (!r->form || (r->form == 'r') == reg_form))
            groups |= 1u << g;
    }
    return groups;
}

/*
 * Where W chooses between 32 and 64 bits, W1 is an only64 row of its own; the
 * w0 row then takes both, because W is ignored outside of 64-bit mode.
 */
static bool ignores_w(const struct row *r, const struct row *rows, unsigned n)
{
    if (!r->vex || r->w != 0)
        return false;
    for (unsigned i = 0; i < n; i++) {
        const struct row *o = &rows[i];

        if (o->vex && o->w == 1 && o->valid == X86_VALID_ONLY64 &&
            o->map == r->map && o->opcode == r->opcode &&
            o->prefix == r->prefix && o->l == r->l && o->ext == r->ext)
            return true;
    }
    return false;
}

static struct candidate candidate_of(const struct row *r, unsigned number,
                                     bool shadows_plus_r, bool any_w)
{
    struct candidate c = { .row = r, .score = score_of(r) - any_w };

    c.match.row = (uint16_t)number;
    c.groups = groups_of(r);
    if (r->exact >= 0)
        demand(&c.match, X86_KEY_MODRM, (uint32_t)r->exact);
    demand_prefix(&c.match, r);
    demand_osz(&c.match, r);
    if (r->w >= 0 && !any_w)
        demand(&c.match, X86_KEY_W, r->w ? X86_KEY_W : 0);
    if (r->l >= 0)
        demand(&c.match, X86_KEY_L, r->l ? X86_KEY_L : 0);
    if (r->valid == X86_VALID_NO64)
        demand(&c.match, X86_KEY_64, 0);
    if (r->valid == X86_VALID_ONLY64)
        demand(&c.match, X86_KEY_64, X86_KEY_64);
    /* 90 is one of 90+r: with REX.B it is not NOP but XCHG R8. */
    if (shadows_plus_r)
        demand(&c.match, X86_KEY_REX_B, 0);
    return c;
}

/* --- lists --------------------------------------------------------------- */

static int by_score(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;

    if (x->score != y->score)
        return y->score - x->score;
    return x->match.row - y->match.row;
}

static bool same_match(const struct x86_match *a, const struct x86_match *b)
{
    return a->mask == b->mask && a->value == b->value && a->row == b->row;
}

/* Puts a list into the pool, or finds it there. */
static uint16_t intern(struct lists *pool, const struct x86_match *list,
                       unsigned n)
{
    for (unsigned i = 0; i + n <= pool->count; i++) {
        unsigned k = 0;

        while (k < n && same_match(&pool->items[i + k], &list[k]))
            k++;
        if (k == n)
            return (uint16_t)i;
    }
    pool->items = grow(pool->items, pool->count + n, sizeof *list);
    memcpy(pool->items + pool->count, list, n * sizeof *list);
    pool->count += n;
    return (uint16_t)(pool->count - n);
}

static uint16_t list_of(struct lists *pool, const struct candidate *c,
                        unsigned n, unsigned groups)
{
    struct x86_match list[256 + 1] = { 0 };
    unsigned len = 0;

    for (unsigned i = 0; i < n; i++) {
        if (c[i].groups & groups)
            list[len++] = c[i].match;
    }
    return intern(pool, list, len + 1);
}

static uint16_t add_groups(struct groups *pool, struct lists *lists,
                           const struct candidate *c, unsigned n)
{
    uint16_t set[16];

    for (unsigned g = 0; g < 16; g++)
        set[g] = list_of(lists, c, n, 1u << g);
    for (unsigned i = 0; i < pool->count; i++) {
        if (memcmp(pool->items[i], set, sizeof set) == 0)
            return (uint16_t)i;
    }
    pool->items = grow(pool->items, pool->count + 1, sizeof set);
    memcpy(pool->items[pool->count], set, sizeof set);
    return (uint16_t)pool->count++;
}

/* --- checks -------------------------------------------------------------- */

static bool overlap(const struct candidate *a, const struct candidate *b)
{
    uint32_t both = a->match.mask & b->match.mask;

    return (a->groups & b->groups) &&
           ((a->match.value ^ b->match.value) & both) == 0;
}

static bool check_opcode(const struct candidate *c, unsigned n)
{
    bool ok = true;

    for (unsigned i = 0; i < n; i++) {
        if (c[i].row->exact >= 0 && c[i].row->exact < 0xc0) {
            row_error(c[i].row, "=%02x: an exact ModRM is a register form",
                      (unsigned)c[i].row->exact);
            ok = false;
        }
        if (c[i].row->has_modrm != c[0].row->has_modrm) {
            row_error(c[i].row,
                      "'%s' has %sModRM, but '%s' (%s:%u) of the "
                      "same opcode has not",
                      c[i].row->enc, c[i].row->has_modrm ? "" : "no ",
                      c[0].row->enc, c[0].row->file, c[0].row->line);
            ok = false;
        }
        for (unsigned k = 0; k < i; k++) {
            if (c[i].score != c[k].score || !overlap(&c[i], &c[k]))
                continue;
            row_error(c[i].row, "'%s' conflicts with '%s' (%s:%u)",
                      c[i].row->enc, c[k].row->enc, c[k].row->file,
                      c[k].row->line);
            ok = false;
        }
    }
    return ok;
}

/* --- the whole ----------------------------------------------------------- */

static bool is_under(const struct row *r, unsigned map, unsigned opcode)
{
    unsigned m = r->vex ? r->map + 3u : r->map;

    return m == map &&
           (r->plus_r ? r->opcode == (opcode & ~7u) : r->opcode == opcode);
}

static unsigned collect(struct candidate *c, const struct row *rows, unsigned n,
                        unsigned map, unsigned opcode)
{
    bool plus_r = false;
    unsigned count = 0;

    for (unsigned i = 0; i < n; i++)
        plus_r |= is_under(&rows[i], map, opcode) && rows[i].plus_r;
    for (unsigned i = 0; i < n && count < 256; i++) {
        if (is_under(&rows[i], map, opcode)) {
            c[count++] =
                candidate_of(&rows[i], i + 1, plus_r && !rows[i].plus_r,
                             ignores_w(&rows[i], rows, n));
        }
    }
    qsort(c, count, sizeof *c, by_score);
    return count;
}

static struct x86_opcode opcode_of(const struct candidate *c, unsigned n,
                                   struct lists *lists, struct groups *groups)
{
    struct x86_opcode o = { 0 };
    bool grouped = false;

    if (n == 0)
        return o;
    for (unsigned i = 0; i < n; i++)
        grouped |= c[i].groups != 0xffff;
    if (c[0].row->has_modrm)
        o.flags |= X86_OPC_MODRM;
    if (grouped) {
        o.flags |= X86_OPC_GROUPS;
        o.list = add_groups(groups, lists, c, n);
    } else {
        o.list = list_of(lists, c, n, 0xffff);
    }
    return o;
}

static void print_pools(FILE *out, const struct lists *lists,
                        const struct groups *groups)
{
    fputs("};\n\nconst struct x86_match x86_matches[] = {\n", out);
    for (unsigned i = 0; i < lists->count; i++) {
        fprintf(out, "    { 0x%05x, 0x%05x, %u },\n", lists->items[i].mask,
                lists->items[i].value, lists->items[i].row);
    }
    fputs("};\n\nconst uint16_t x86_groups[][16] = {\n", out);
    for (unsigned i = 0; i < groups->count; i++) {
        fputs("    {", out);
        for (unsigned g = 0; g < 16; g++)
            fprintf(out, " %u,", groups->items[i][g]);
        fputs(" },\n", out);
    }
    if (groups->count == 0)
        fputs("    { 0 }\n", out);
    fputs("};\n", out);
}

bool gen_decode(const struct row *rows, unsigned n, FILE *out)
{
    struct candidate c[256];
    struct groups groups = { 0 };
    struct lists lists = { 0 };
    bool ok = true;

    intern(&lists, &(struct x86_match){ 0 }, 1);
    fputs("/* generated by gen-x86 from x86.def; do not edit */\n"
          "#include \"cpu/decode_tables.h\"\n\n"
          "const struct x86_opcode x86_opcodes[X86_MAPS][256] = {\n",
          out);
    for (unsigned map = 0; map < X86_MAPS; map++) {
        for (unsigned op = 0; op < 256; op++) {
            unsigned count = collect(c, rows, n, map, op);
            struct x86_opcode o;

            ok &= check_opcode(c, count);
            o = opcode_of(c, count, &lists, &groups);
            if (count) {
                fprintf(out, "    [%u][0x%02x] = { %u, %u },\n", map, op,
                        o.list, o.flags);
            }
        }
    }
    print_pools(out, &lists, &groups);
    return ok;
}
