/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Source: DMTF DSP0134 2.8.0: section 5.2.1 (entry point), 7.1 (BIOS), 7.2
 * (system), 7.4 (chassis), 7.5 (processor), 7.17-7.20 (memory), 7.33 (boot).
 */
#include "vm/smbios.h"

#include <stdbool.h>
#include <string.h>

#define MAKER        "Backplane"
#define VERSION_TEXT "1.0"

#define HANDLE_BIOS    0x0000
#define HANDLE_SYSTEM  0x0100
#define HANDLE_CHASSIS 0x0300
#define HANDLE_CPU     0x0400
#define HANDLE_ARRAY   0x1000
#define HANDLE_DEVICE  0x1100
#define HANDLE_MAPPED  0x1300
#define HANDLE_BOOT    0x2000
#define HANDLE_END     0x7f00
#define HANDLE_NONE    0xfffe

#define DIMM_MIB 16384u /* memory is shown as modules this large */

/* A structure being written: fixed part, then its strings. */
struct piece {
    GByteArray *out;
    guint start;
    GString *strings;
    unsigned string_count;
    guint largest;
    unsigned count;
};

static void put8(struct piece *p, uint8_t v)
{
    g_byte_array_append(p->out, &v, 1);
}

static void put16(struct piece *p, uint16_t v)
{
    put8(p, v);
    put8(p, v >> 8);
}

static void put32(struct piece *p, uint32_t v)
{
    put16(p, v);
    put16(p, v >> 16);
}

static void put64(struct piece *p, uint64_t v)
{
    put32(p, v);
    put32(p, v >> 32);
}

static void put_string(struct piece *p, const char *s)
{
    g_string_append_len(p->strings, s, strlen(s) + 1);
    put8(p, ++p->string_count);
}

static void begin(struct piece *p, uint8_t type, uint16_t handle)
{
    p->start = p->out->len;
    g_string_truncate(p->strings, 0);
    p->string_count = 0;
    put8(p, type);
    put8(p, 0); /* length */
    put16(p, handle);
}

static void end(struct piece *p)
{
    guint bytes;

    p->out->data[p->start + 1] = p->out->len - p->start;
    if (!p->string_count)
        put8(p, 0);
    g_byte_array_append(p->out, (const guint8 *)p->strings->str,
                        p->strings->len);
    put8(p, 0);
    bytes = p->out->len - p->start;
    if (bytes > p->largest)
        p->largest = bytes;
    p->count++;
}

static void put_bios(struct piece *p)
{
    begin(p, 0, HANDLE_BIOS);
    put_string(p, MAKER);
    put_string(p, VERSION_TEXT);
    put16(p, 0xe800);
    put_string(p, "01/01/2026");
    put8(p, 0);     /* 64 KiB */
    put64(p, 0x08); /* characteristics are not supported */
    put8(p, 0);
    put8(p, 0x14); /* targeted content, virtual machine */
    put8(p, 0);    /* release */
    put8(p, 1);
    put8(p, 0xff); /* embedded controller: none */
    put8(p, 0xff);
    end(p);
}

static void put_system(struct piece *p, const struct smbios_board *board)
{
    begin(p, 1, HANDLE_SYSTEM);
    /* Linux's ata_piix leaves disks to hv_storvsc when it reads this maker
     * and "Virtual Machine"; without it a disk would be there twice. */
    put_string(p, board->ide_paths ? "Microsoft Corporation" : MAKER);
    put_string(p, "Virtual Machine");
    put_string(p, VERSION_TEXT);
    put_string(p, board->name);
    g_byte_array_append(p->out, board->uuid, 16);
    put8(p, 6); /* wake-up: power switch */
    put8(p, 0);
    put_string(p, "Virtual Machine");
    end(p);
}

static void put_chassis(struct piece *p)
{
    begin(p, 3, HANDLE_CHASSIS);
    put_string(p, MAKER);
    put8(p, 3); /* desktop */
    put_string(p, VERSION_TEXT);
    put8(p, 0);
    put8(p, 0);
    put8(p, 3); /* states: safe */
    put8(p, 3);
    put8(p, 3);
    put8(p, 3); /* security: none */
    put32(p, 0);
    put8(p, 0);
    put8(p, 0);
    put8(p, 0);
    put8(p, 0);
    put8(p, 0);
    end(p);
}

static void put_cpu(struct piece *p, unsigned n)
{
    char socket[16];

    g_snprintf(socket, sizeof(socket), "CPU %u", n);
    begin(p, 4, HANDLE_CPU + n);
    put_string(p, socket);
    put8(p, 3); /* central processor */
    put8(p, 1); /* family: other */
    put_string(p, MAKER);
    put64(p, 0);
    put_string(p, VERSION_TEXT);
    put8(p, 0);
    put16(p, 0); /* clock, speeds: unknown */
    put16(p, 2000);
    put16(p, 2000);
    put8(p, 0x41); /* populated, enabled */
    put8(p, 1);
    put16(p, 0xffff); /* caches: not described */
    put16(p, 0xffff);
    put16(p, 0xffff);
    put8(p, 0);
    put8(p, 0);
    put8(p, 0);
    put8(p, 1); /* cores, enabled, threads */
    put8(p, 1);
    put8(p, 1);
    put16(p, 0x02); /* unknown characteristics */
    put16(p, 1);
    end(p);
}

static void put_memory(struct piece *p, uint64_t memory)
{
    uint64_t mib = memory >> 20;
    unsigned modules = (mib + DIMM_MIB - 1) / DIMM_MIB;

    begin(p, 16, HANDLE_ARRAY);
    put8(p, 1);
    put8(p, 3); /* system memory */
    put8(p, 6); /* multi-bit ECC */
    put32(p, memory >= 1ull << 41 ? 0x80000000u : memory >> 10);
    put16(p, HANDLE_NONE);
    put16(p, modules);
    put64(p, memory >= 1ull << 41 ? memory : 0);
    end(p);
    for (unsigned i = 0; i < modules && i < 64; i++) {
        uint64_t here = mib - (uint64_t)i * DIMM_MIB;
        char name[16];

        if (here > DIMM_MIB)
            here = DIMM_MIB;
        g_snprintf(name, sizeof(name), "DIMM %u", i);
        begin(p, 17, HANDLE_DEVICE + i);
        put16(p, HANDLE_ARRAY);
        put16(p, HANDLE_NONE);
        put16(p, 0xffff); /* widths unknown */
        put16(p, 0xffff);
        put16(p, here);
        put8(p, 9); /* DIMM */
        put8(p, 0);
        put_string(p, name);
        put8(p, 0);
        put8(p, 7); /* RAM */
        put16(p, 2);
        put16(p, 0);
        put_string(p, MAKER);
        put8(p, 0);
        put8(p, 0);
        put8(p, 0);
        put8(p, 0);
        put32(p, 0);
        put16(p, 0);
        put16(p, 0); /* voltages */
        put16(p, 0);
        put16(p, 0);
        end(p);
    }
    begin(p, 19, HANDLE_MAPPED);
    put32(p, 0);
    put32(p, memory >= 1ull << 42 ? 0xffffffffu : (memory >> 10) - 1);
    put16(p, HANDLE_ARRAY);
    put8(p, 1);
    put64(p, 0);
    put64(p, memory - 1);
    end(p);
}

static void put_end(struct piece *p)
{
    begin(p, 32, HANDLE_BOOT);
    put32(p, 0);
    put16(p, 0);
    put8(p, 0); /* no errors */
    end(p);
    begin(p, 127, HANDLE_END);
    end(p);
}

void smbios_build(const struct smbios_board *board, GByteArray **anchor,
                  GByteArray **tables)
{
    struct piece p = { .out = g_byte_array_new(),
                       .strings = g_string_new(NULL) };
    struct piece a = { .out = g_byte_array_new() };

    put_bios(&p);
    put_system(&p, board);
    put_chassis(&p);
    for (unsigned n = 0; n < board->cpus; n++)
        put_cpu(&p, n);
    put_memory(&p, board->memory);
    put_end(&p);
    g_string_free(p.strings, TRUE);

    g_byte_array_append(a.out, (const guint8 *)"_SM_", 4);
    put8(&a, 0); /* checksum: by the firmware */
    put8(&a, 0x1f);
    put8(&a, 2); /* version 2.8 */
    put8(&a, 8);
    put16(&a, p.largest);
    put8(&a, 0);
    put32(&a, 0);
    put8(&a, 0);
    g_byte_array_append(a.out, (const guint8 *)"_DMI_", 5);
    put8(&a, 0);
    put16(&a, p.out->len);
    put32(&a, 0); /* address: by the firmware */
    put16(&a, p.count);
    put8(&a, 0x28);
    *anchor = a.out;
    *tables = p.out;
}
