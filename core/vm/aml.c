/* SPDX-License-Identifier: Apache-2.0 */

#include "vm/aml.h"

#include <string.h>

#define ZERO_OP    0x00
#define ONE_OP     0x01
#define NAME_OP    0x08
#define BYTE_OP    0x0a
#define WORD_OP    0x0b
#define DWORD_OP   0x0c
#define STRING_OP  0x0d
#define QWORD_OP   0x0e
#define SCOPE_OP   0x10
#define BUFFER_OP  0x11
#define PACKAGE_OP 0x12
#define METHOD_OP  0x14
#define IF_OP      0xa0
#define EXT_OP     0x5b
#define EXT_REGION 0x80
#define EXT_FIELD  0x81
#define EXT_DEVICE 0x82

#define REGION_PCI_CONFIG 2
#define FIELD_BYTE_ACCESS 1

void aml_init(struct aml *a)
{
    a->out = g_byte_array_new();
    a->depth = 0;
}

GByteArray *aml_take(struct aml *a)
{
    g_assert(a->depth == 0);
    return a->out;
}

void aml_raw(struct aml *a, const void *bytes, unsigned n)
{
    g_byte_array_append(a->out, bytes, n);
}

void aml_byte(struct aml *a, uint8_t byte)
{
    aml_raw(a, &byte, 1);
}

static void put16(struct aml *a, uint16_t v)
{
    aml_byte(a, v);
    aml_byte(a, v >> 8);
}

static void put32(struct aml *a, uint32_t v)
{
    put16(a, v);
    put16(a, v >> 16);
}

static void put64(struct aml *a, uint64_t v)
{
    put32(a, v);
    put32(a, v >> 32);
}

static void open_package(struct aml *a)
{
    g_assert(a->depth < AML_DEPTH);
    a->start[a->depth++] = a->out->len;
}

/*
 * Inserts the package length before what was written since the opening.  It
 * counts itself: one byte up to 63, else a nibble and one to three bytes.
 */
void aml_end(struct aml *a)
{
    guint start = a->start[--a->depth];
    guint body = a->out->len - start;
    uint8_t length[4];
    unsigned n = body + 1 < 0x40       ? 1
                 : body + 2 < 0x1000   ? 2
                 : body + 3 < 0x100000 ? 3
                                       : 4;
    guint total = body + n;

    if (n == 1) {
        length[0] = total;
    } else {
        length[0] = (n - 1) << 6 | (total & 15);
        for (unsigned i = 1; i < n; i++)
            length[i] = total >> (4 + 8 * (i - 1));
    }
    g_byte_array_set_size(a->out, a->out->len + n);
    memmove(a->out->data + start + n, a->out->data + start, body);
    memcpy(a->out->data + start, length, n);
}

void aml_path(struct aml *a, const char *segment)
{
    aml_raw(a, segment, strlen(segment));
}

void aml_begin_scope(struct aml *a, const char *path)
{
    aml_byte(a, SCOPE_OP);
    open_package(a);
    aml_path(a, path);
}

void aml_begin_device(struct aml *a, const char *name)
{
    aml_byte(a, EXT_OP);
    aml_byte(a, EXT_DEVICE);
    open_package(a);
    aml_path(a, name);
}

void aml_begin_method(struct aml *a, const char *name, unsigned args_flags)
{
    aml_byte(a, METHOD_OP);
    open_package(a);
    aml_path(a, name);
    aml_byte(a, args_flags);
}

void aml_begin_package(struct aml *a, unsigned elements)
{
    aml_byte(a, PACKAGE_OP);
    open_package(a);
    aml_byte(a, elements);
}

void aml_begin_if(struct aml *a)
{
    aml_byte(a, IF_OP);
    open_package(a);
}

/* The buffer's size operand is always a word, filled in at the end. */
void aml_begin_resources(struct aml *a)
{
    aml_byte(a, BUFFER_OP);
    open_package(a);
    aml_byte(a, WORD_OP);
    put16(a, 0);
}

void aml_end_resources(struct aml *a)
{
    guint start = a->start[a->depth - 1];
    guint bytes;

    aml_byte(a, 0x79); /* end tag, checksum not used */
    aml_byte(a, 0);
    bytes = a->out->len - start - 3;
    a->out->data[start + 1] = bytes;
    a->out->data[start + 2] = bytes >> 8;
    aml_end(a);
}

void aml_name(struct aml *a, const char *name)
{
    aml_byte(a, NAME_OP);
    aml_path(a, name);
}

void aml_integer(struct aml *a, uint64_t v)
{
    if (v <= 1) {
        aml_byte(a, v ? ONE_OP : ZERO_OP);
    } else if (v <= 0xff) {
        aml_byte(a, BYTE_OP);
        aml_byte(a, v);
    } else if (v <= 0xffff) {
        aml_byte(a, WORD_OP);
        put16(a, v);
    } else if (v <= 0xffffffff) {
        aml_byte(a, DWORD_OP);
        put32(a, v);
    } else {
        aml_byte(a, QWORD_OP);
        put64(a, v);
    }
}

static unsigned hex(char c)
{
    return g_ascii_xdigit_value(c);
}

/* Three letters in five bits each, then four hexadecimal digits. */
void aml_eisaid(struct aml *a, const char *id)
{
    uint32_t v = (id[0] - 0x40u) << 26 | (id[1] - 0x40u) << 21 |
                 (id[2] - 0x40u) << 16 | hex(id[3]) << 12 | hex(id[4]) << 8 |
                 hex(id[5]) << 4 | hex(id[6]);

    aml_byte(a, DWORD_OP);
    put32(a, __builtin_bswap32(v));
}

void aml_string(struct aml *a, const char *text)
{
    aml_byte(a, STRING_OP);
    aml_raw(a, text, strlen(text) + 1);
}

void aml_name_string(struct aml *a, const char *name, const char *text)
{
    aml_name(a, name);
    aml_string(a, text);
}

void aml_name_integer(struct aml *a, const char *name, uint64_t v)
{
    aml_name(a, name);
    aml_integer(a, v);
}

void aml_name_eisaid(struct aml *a, const char *name, const char *id)
{
    aml_name(a, name);
    aml_eisaid(a, id);
}

void aml_pci_config(struct aml *a, const char *region, unsigned offset,
                    unsigned bytes)
{
    aml_byte(a, EXT_OP);
    aml_byte(a, EXT_REGION);
    aml_path(a, region);
    aml_byte(a, REGION_PCI_CONFIG);
    aml_integer(a, offset);
    aml_integer(a, bytes);
}

void aml_field_bytes(struct aml *a, const char *region_path,
                     const char *const *names, unsigned n)
{
    aml_byte(a, EXT_OP);
    aml_byte(a, EXT_FIELD);
    open_package(a);
    aml_path(a, region_path);
    aml_byte(a, FIELD_BYTE_ACCESS);
    for (unsigned i = 0; i < n; i++) {
        aml_path(a, names[i]);
        aml_byte(a, 8); /* bits */
    }
    aml_end(a);
}

void aml_res_io(struct aml *a, uint16_t first, uint8_t ports)
{
    aml_byte(a, 0x47);
    aml_byte(a, 1); /* decodes 16 bits */
    put16(a, first);
    put16(a, first);
    aml_byte(a, 1); /* alignment */
    aml_byte(a, ports);
}

void aml_res_irq(struct aml *a, unsigned irq)
{
    aml_byte(a, 0x22);
    put16(a, 1u << irq);
}

void aml_res_dma(struct aml *a, unsigned channel)
{
    aml_byte(a, 0x2a);
    aml_byte(a, 1u << channel);
    aml_byte(a, 0); /* compatibility mode, 8 bits */
}

/* Level, active high, shared: the PIRQ lines as the board wires them. */
void aml_res_interrupts(struct aml *a, const uint32_t *irqs, unsigned n)
{
    aml_byte(a, 0x89);
    put16(a, 2 + 4 * n);
    aml_byte(a, 0x09);
    aml_byte(a, n);
    for (unsigned i = 0; i < n; i++)
        put32(a, irqs[i]);
}

static void word_range(struct aml *a, uint8_t type, uint8_t flags,
                       uint16_t first, uint16_t last)
{
    aml_byte(a, 0x88);
    put16(a, 0x0d);
    aml_byte(a, type);
    aml_byte(a, 0x0c); /* fixed minimum and maximum */
    aml_byte(a, flags);
    put16(a, 0);
    put16(a, first);
    put16(a, last);
    put16(a, 0);
    put16(a, last - first + 1);
}

void aml_res_bus_numbers(struct aml *a, uint16_t first, uint16_t last)
{
    word_range(a, 2, 0, first, last);
}

void aml_res_word_io(struct aml *a, uint16_t first, uint16_t last)
{
    word_range(a, 1, 3, first, last);
}

void aml_res_dword_memory(struct aml *a, uint32_t first, uint32_t last,
                          bool cacheable)
{
    aml_byte(a, 0x87);
    put16(a, 0x17);
    aml_byte(a, 0);
    aml_byte(a, 0x0c);
    aml_byte(a, cacheable ? 3 : 1); /* writable */
    put32(a, 0);
    put32(a, first);
    put32(a, last);
    put32(a, 0);
    put32(a, last - first + 1);
}

void aml_res_qword_memory(struct aml *a, uint64_t first, uint64_t last)
{
    aml_byte(a, 0x8a);
    put16(a, 0x2b);
    aml_byte(a, 0);
    aml_byte(a, 0x0c);
    aml_byte(a, 1); /* writable, not cacheable */
    put64(a, 0);
    put64(a, first);
    put64(a, last);
    put64(a, 0);
    put64(a, last - first + 1);
}
