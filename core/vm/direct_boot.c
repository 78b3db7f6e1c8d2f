/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Source: Linux Documentation/x86/boot.rst ("32-bit boot protocol", "64-bit
 * boot protocol") and zero-page.rst.
 */
#include "vm/direct_boot.h"

#include <string.h>

#include "cpu/vcpu.h"
#include "hwaccel/accel.h"
#include "lib/le.h"
#include "vm/linux_kernel.h"
#include "vm/multiboot.h"
#include "vm/vm.h"

/* In guest memory, beside the command line */
#define PARAMS_AT 0x10000u
#define GDT_AT    0x2f000u
#define PAGES_AT  0x30000u /* six pages */

#define PARAMS_BYTES      4096u
#define PARAMS_RSDP       0x070
#define PARAMS_E820       0x2d0
#define PARAMS_E820_N     0x1e8
#define E820_MOST         16u
#define E820_BYTES        20u
#define SETUP_HEADER      0x1f1
#define SETUP_HEADER_NR   0x201 /* its end, less 0x202 */
#define SETUP_HEADER_MOST 0x290u
#define XLOADFLAGS        0x236
#define VERSION           0x206
#define XLF_KERNEL_64     0x0001
#define ENTRY_64          0x200

#define PAGE_TABLE  0x003ull /* present, writable */
#define PAGE_LARGE  0x083ull
#define LARGE_BYTES (2ull << 20)

#define BOOT_CS 0x10
#define BOOT_DS 0x18

#define MTRR_ENABLE  0x0c06ull /* fixed ranges too; write-back */
#define MTRR_WB8     0x0606060606060606ull
#define MTRR_UC_BASE 0xf8000000ull
#define MTRR_UC_MASK 0xfff8000800ull /* 128 MiB, valid */
#define MTRR_FIX_UC1 1u /* registers 80000h (WB), A0000h, then C0000h .. */
#define MTRR_FIX_ROM 7u /* ... and E0000h on are memory again */

struct place {
    uint64_t at;
    GByteArray *bytes;
};

struct direct_boot {
    struct vm *vm;
    struct linux_kernel kernel;
    struct multiboot_range ranges[E820_MOST]; /* types as in E820 */
    unsigned range_count;
    GArray *places; /* struct place */
    uint64_t rsdp;
};

struct direct_boot *direct_boot_new(struct vm *vm, struct linux_kernel *k)
{
    struct direct_boot *b = g_new0(struct direct_boot, 1);

    b->vm = vm;
    b->kernel = *k;
    memset(k, 0, sizeof(*k));
    b->places = g_array_new(FALSE, FALSE, sizeof(struct place));
    return b;
}

void direct_boot_free(struct direct_boot *b)
{
    if (!b)
        return;
    for (guint i = 0; i < b->places->len; i++)
        g_byte_array_unref(g_array_index(b->places, struct place, i).bytes);
    g_array_free(b->places, TRUE);
    linux_kernel_clear(&b->kernel);
    g_free(b);
}

void direct_boot_range(struct direct_boot *b, uint64_t first, uint64_t bytes,
                       uint32_t type)
{
    g_assert(b->range_count < E820_MOST);
    b->ranges[b->range_count++] =
        (struct multiboot_range){ first, bytes, type };
}

void direct_boot_place(struct direct_boot *b, uint64_t at, GByteArray *bytes)
{
    struct place p = { at, bytes };

    g_array_append_val(b->places, p);
}

void direct_boot_rsdp(struct direct_boot *b, uint64_t at)
{
    b->rsdp = at;
}

/* --- memory --------------------------------------------------------------*/

static void copy(struct direct_boot *b, uint64_t at, const void *data, size_t n)
{
    map_dma_write(b->vm->map, at, data, n);
}

static void copy_bytes(struct direct_boot *b, uint64_t at, GBytes *bytes)
{
    gsize n;
    const void *data = g_bytes_get_data(bytes, &n);

    copy(b, at, data, n);
}

static void put_params(struct direct_boot *b)
{
    uint8_t p[PARAMS_BYTES] = { 0 };
    const uint8_t *setup = b->kernel.setup;
    size_t end = MIN(setup[SETUP_HEADER_NR] + 0x202u, SETUP_HEADER_MOST);

    memcpy(p + SETUP_HEADER, setup + SETUP_HEADER, end - SETUP_HEADER);
    le64_put(p + PARAMS_RSDP, b->rsdp);
    p[PARAMS_E820_N] = (uint8_t)b->range_count;
    for (unsigned i = 0; i < b->range_count; i++) {
        uint8_t *e = p + PARAMS_E820 + i * E820_BYTES;
        le64_put(e, b->ranges[i].first);
        le64_put(e + 8, b->ranges[i].bytes);
        le32_put(e + 16, b->ranges[i].type);
    }
    copy(b, PARAMS_AT, p, sizeof(p));
}

static void put_gdt(struct direct_boot *b, bool long_mode)
{
    const uint64_t gdt[4] = {
        [BOOT_CS / 8] =
            long_mode ? 0x00af9b000000ffffull : 0x00cf9b000000ffffull,
        [BOOT_DS / 8] = 0x00cf93000000ffffull,
    };

    copy(b, GDT_AT, gdt, sizeof(gdt));
}

/* The first 4 GiB at their own addresses. */
static void put_pages(struct direct_boot *b)
{
    uint64_t table[512] = { PAGES_AT + 0x1000 + PAGE_TABLE };

    copy(b, PAGES_AT, table, sizeof(table));
    for (unsigned i = 0; i < 4; i++)
        table[i] = PAGES_AT + 0x2000 + 0x1000 * i + PAGE_TABLE;
    copy(b, PAGES_AT + 0x1000, table, sizeof(table));
    for (unsigned i = 0; i < 4 * 512; i++) {
        table[i % 512] = i * LARGE_BYTES + PAGE_LARGE;
        if (i % 512 == 511)
            copy(b, PAGES_AT + 0x2000 + 0x1000 * (i / 512), table,
                 sizeof(table));
    }
}

/* --- processors ----------------------------------------------------------*/

/* What firmware leaves in all of them. */
static void set_memory_types(struct x86_state *st)
{
    st->mtrr_def_type = MTRR_ENABLE;
    st->mtrr_base[0] = MTRR_UC_BASE;
    st->mtrr_mask[0] = MTRR_UC_MASK;
    for (unsigned i = 0; i < X86_MTRR_FIXED; i++) {
        bool hole = i > MTRR_FIX_UC1 && i < MTRR_FIX_ROM;
        st->mtrr_fixed[i] = hole ? 0 : MTRR_WB8;
    }
}

static void set_segments(struct x86_state *st, bool long_mode)
{
    const struct x86_segment data = { 0, 0xffffffffu, BOOT_DS,
                                      SEG_G | SEG_DB | SEG_P | SEG_S |
                                          SEG_TYPE_WRITE | SEG_TYPE_ACCESSED };
    struct x86_segment code = data;

    code.selector = BOOT_CS;
    code.attr = SEG_G | SEG_P | SEG_S | SEG_TYPE_CODE | SEG_TYPE_WRITE |
                SEG_TYPE_ACCESSED | (long_mode ? SEG_L : SEG_DB);
    for (unsigned i = 0; i < SEG_COUNT; i++)
        st->seg[i] = i == SEG_CS ? code : data;
    st->gdt = (struct x86_table){ GDT_AT, 4 * 8 - 1 };
}

static void set_boot_state(struct x86_state *st, bool long_mode)
{
    memset(st->gpr, 0, sizeof(st->gpr));
    st->gpr[RSI] = PARAMS_AT;
    st->gpr[RSP] = PARAMS_AT; /* downwards from there */
    st->rip = LINUX_KERNEL_AT + (long_mode ? ENTRY_64 : 0);
    st->rflags = 2;
    st->cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_MP;
    if (long_mode) {
        st->cr0 |= CR0_PG;
        st->cr3 = PAGES_AT;
        st->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT;
        st->efer = EFER_LME | EFER_LMA | EFER_NXE;
    }
    set_segments(st, long_mode);
}

/* EAX and EBX, flat segments, paging off: chapter 3.2 */
static void set_multiboot_state(struct x86_state *st, uint32_t entry)
{
    set_boot_state(st, false);
    st->gpr[RAX] = MULTIBOOT_MAGIC;
    st->gpr[RBX] = PARAMS_AT;
    st->gpr[RSI] = 0;
    st->cr0 = CR0_PE | CR0_ET;
    st->rip = entry;
}

static void put_multiboot(struct direct_boot *b)
{
    GByteArray *info =
        multiboot_info(&b->kernel, PARAMS_AT, b->ranges, b->range_count);

    copy(b, PARAMS_AT, info->data, info->len);
    g_byte_array_unref(info);
}

static bool wants_long_mode(const struct linux_kernel *k)
{
    return !k->multiboot && le16_get(k->setup + VERSION) >= 0x20c &&
           le16_get(k->setup + XLOADFLAGS) & XLF_KERNEL_64;
}

void direct_boot_enter(struct direct_boot *b)
{
    bool long_mode = wants_long_mode(&b->kernel);
    struct vm *vm = b->vm;

    if (b->kernel.multiboot)
        put_multiboot(b);
    else
        put_params(b);
    put_gdt(b, long_mode);
    put_pages(b);
    copy(b, LINUX_CMDLINE_AT, b->kernel.append, strlen(b->kernel.append) + 1);
    copy_bytes(b, b->kernel.image_at, b->kernel.image);
    copy_bytes(b, b->kernel.initrd_at, b->kernel.initrd);
    for (guint i = 0; i < b->places->len; i++) {
        struct place *p = &g_array_index(b->places, struct place, i);
        copy(b, p->at, p->bytes->data, p->bytes->len);
    }
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        struct x86_state st;
        vm->accel->get_state(vm->vcpus[i], &st);
        set_memory_types(&st);
        if (i == 0 && b->kernel.multiboot)
            set_multiboot_state(&st, b->kernel.entry);
        else if (i == 0)
            set_boot_state(&st, long_mode);
        vm->accel->set_state(vm->vcpus[i], &st);
    }
}
