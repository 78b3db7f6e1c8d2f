/* SPDX-License-Identifier: Apache-2.0 */
/* Source: Multiboot Specification 0.6.96, chapter 3; System V ABI (ELF). */
#include "vm/multiboot.h"

#include <elf.h>
#include <string.h>

#include "lib/le.h"
#include "vm/error.h"
#include "vm/linux_kernel.h"

#define HEADER_MAGIC  0x1badb002u
#define HEADER_SEARCH 8192u
#define HEADER_BYTES  12u
#define FLAG_VIDEO    0x4u
#define FLAGS_NEEDED  0xffffu /* a loader has to know these ... */
#define FLAGS_KNOWN   0x3u    /* ... page-aligned modules, memory sizes */
#define FLAG_ADDRESS  0x10000u
#define ADDRESS_BYTES 32u

#define LOWEST   0x100000u   /* what is below is the loader's */
#define MOST     (64u << 20) /* of an image, with what is zero */
#define FIRMWARE (1u << 20)  /* the BIOS keeps tables at the top */

/* The setup code's variables: firmware/bios/multiboot.S */
#define START_ENTRY   0x20
#define START_CMDLINE 0x24
#define START_MODULES 0x28
#define START_MODULE  0x2c

#define INFO_BYTES 116u
#define INFO_FLAGS 0x24du /* memory, command line, modules, map, name */
#define MODULE_AT  INFO_BYTES
#define NAME_AT    (MODULE_AT + 16u)
#define NAME       "Backplane"
#define MAP_AT     (NAME_AT + 12u)
#define MAP_ENTRY  24u

/* Offset of the header; n: none. */
static size_t find_header(const uint8_t *file, size_t n)
{
    for (size_t at = 0; at + HEADER_BYTES <= MIN(n, HEADER_SEARCH); at += 4)
        if (le32_get(file + at) == HEADER_MAGIC &&
            le32_get(file + at) + le32_get(file + at + 4) +
                    le32_get(file + at + 8) ==
                0)
            return at;
    return n;
}

bool multiboot_is(const uint8_t *file, size_t n)
{
    return find_header(file, n) < n;
}

/* --- segments -------------------------------------------------------------*/

struct segment {
    uint64_t file_at, file_bytes, at, bytes, linear;
};

struct load {
    const char *path;
    const uint8_t *file;
    size_t n;
    GArray *segments;
    uint64_t entry;
    GError **error;
};

static bool refuse(const struct load *l, const char *why)
{
    return vm_fail(l->error, VM_ERROR_CONFIG, "kernel '%s': %s", l->path, why);
}

static bool add_segment(struct load *l, const struct segment *s)
{
    if (!s->bytes)
        return true;
    if (s->file_bytes > s->bytes || s->file_at > l->n ||
        s->file_bytes > l->n - s->file_at)
        return refuse(l, "a segment is not in the file");
    if (s->at < LOWEST || s->at > UINT32_MAX || s->bytes > MOST)
        return refuse(l, "a segment is below 1 MiB or above 4 GiB, or longer "
                         "than 64 MiB");
    g_array_append_val(l->segments, *s);
    return true;
}

static Elf64_Ehdr file_header(const struct load *l, bool wide)
{
    Elf64_Ehdr h = { 0 };
    Elf32_Ehdr narrow;

    if (wide) {
        memcpy(&h, l->file, sizeof(h));
        return h;
    }
    memcpy(&narrow, l->file, sizeof(narrow));
    h.e_entry = narrow.e_entry;
    h.e_phoff = narrow.e_phoff;
    h.e_phnum = narrow.e_phnum;
    h.e_phentsize = narrow.e_phentsize;
    return h;
}

static Elf64_Phdr program_header(const struct load *l, uint64_t at, bool wide)
{
    Elf64_Phdr p = { 0 };
    Elf32_Phdr narrow;

    if (wide) {
        memcpy(&p, l->file + at, sizeof(p));
        return p;
    }
    memcpy(&narrow, l->file + at, sizeof(narrow));
    p.p_type = narrow.p_type;
    p.p_offset = narrow.p_offset;
    p.p_vaddr = narrow.p_vaddr;
    p.p_paddr = narrow.p_paddr;
    p.p_filesz = narrow.p_filesz;
    p.p_memsz = narrow.p_memsz;
    return p;
}

/* wide: of class 64 */
static bool read_elf(struct load *l, bool wide)
{
    const Elf64_Ehdr h = file_header(l, wide);
    size_t bytes = wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);

    l->entry = h.e_entry;
    for (unsigned i = 0; i < h.e_phnum; i++) {
        uint64_t at = h.e_phoff + (uint64_t)i * h.e_phentsize;

        if (at > l->n || l->n - at < bytes)
            return refuse(l, "its program headers are cut short");
        const Elf64_Phdr p = program_header(l, at, wide);
        const struct segment s = { p.p_offset, p.p_filesz, p.p_paddr, p.p_memsz,
                                   p.p_vaddr };
        if (p.p_type == PT_LOAD && !add_segment(l, &s))
            return false;
    }
    return true;
}

/* The header's own addresses: header, begin and end of what is loaded, end
 * of what is zero, entry. */
static bool read_flat(struct load *l, size_t header)
{
    const uint8_t *h = l->file + header;
    uint32_t at, load, load_end, end;
    struct segment s;

    if (header + ADDRESS_BYTES > l->n)
        return refuse(l, "its header is cut short");
    at = le32_get(h + 12);
    load = le32_get(h + 16);
    load_end = le32_get(h + 20);
    end = le32_get(h + 24);
    l->entry = le32_get(h + 28);
    if (load > at || at - load > header)
        return refuse(l, "its addresses contradict each other");
    s.file_at = header - (at - load);
    if (!load_end)
        load_end = (uint32_t)MIN(load + (l->n - s.file_at), UINT32_MAX);
    if (!end)
        end = load_end;
    if (load_end < load || end < load_end)
        return refuse(l, "its addresses contradict each other");
    s.at = s.linear = load;
    s.file_bytes = load_end - load;
    s.bytes = end - load;
    return add_segment(l, &s);
}

static bool read_segments(struct load *l, size_t header)
{
    uint32_t flags = le32_get(l->file + header + 4);

    if (flags & FLAGS_NEEDED & ~FLAGS_KNOWN)
        return refuse(l, flags & FLAG_VIDEO
                             ? "it wants a video mode set, which is not done"
                             : "it needs a newer Multiboot loader");
    if (flags & FLAG_ADDRESS)
        return read_flat(l, header);
    if (l->n < sizeof(Elf64_Ehdr) || memcmp(l->file, ELFMAG, SELFMAG) != 0)
        return refuse(l, "it is no ELF file and has no addresses");
    return read_elf(l, l->file[EI_CLASS] == ELFCLASS64);
}

/* The entry of a kernel that is linked at other addresses than it is loaded
 * at is a linked one. */
static uint64_t physical_entry(const struct load *l)
{
    for (guint i = 0; i < l->segments->len; i++) {
        const struct segment *s =
            &g_array_index(l->segments, struct segment, i);

        if (l->entry - s->linear < s->bytes)
            return l->entry - s->linear + s->at;
    }
    return l->entry;
}

static bool make_image(struct load *l, struct linux_kernel *k,
                       uint64_t low_memory)
{
    uint64_t first = UINT64_MAX, end = 0;

    for (guint i = 0; i < l->segments->len; i++) {
        const struct segment *s =
            &g_array_index(l->segments, struct segment, i);

        first = MIN(first, s->at);
        end = MAX(end, s->at + s->bytes);
    }
    if (!l->segments->len)
        return refuse(l, "there is nothing to load in it");
    if (end - first > MOST)
        return refuse(l, "it takes more than 64 MiB");
    if (end + FIRMWARE > low_memory)
        return refuse(l, "it does not fit into the machine's memory");
    uint8_t *image = g_malloc0(end - first);
    for (guint i = 0; i < l->segments->len; i++) {
        const struct segment *s =
            &g_array_index(l->segments, struct segment, i);

        memcpy(image + (s->at - first), l->file + s->file_at, s->file_bytes);
    }
    k->image = g_bytes_new_take(image, end - first);
    k->image_at = (uint32_t)first;
    k->entry = (uint32_t)physical_entry(l);
    return true;
}

static bool place_module(struct load *l, struct linux_kernel *k,
                         uint64_t low_memory)
{
    uint64_t at = k->image_at + g_bytes_get_size(k->image);

    at = (at + 0xfff) & ~0xfffull;
    k->initrd_at = (uint32_t)at;
    return at + g_bytes_get_size(k->initrd) + FIRMWARE <= low_memory ||
           refuse(l, "its initrd does not fit into the machine's memory");
}

bool multiboot_load(struct linux_kernel *k, const char *path,
                    const uint8_t *file, size_t n, uint64_t low_memory,
                    GError **error)
{
    struct load l = { .path = path, .file = file, .n = n, .error = error };
    bool ok;

    l.segments = g_array_new(FALSE, FALSE, sizeof(struct segment));
    ok = read_segments(&l, find_header(file, n)) &&
         make_image(&l, k, low_memory) && place_module(&l, k, low_memory);
    g_array_free(l.segments, TRUE);
    k->multiboot = ok;
    return ok;
}

/* --- starting it ----------------------------------------------------------*/

/* 16 bytes */
static void put_module(const struct linux_kernel *k, uint8_t *p)
{
    le32_put(p, k->initrd_at);
    le32_put(p + 4, k->initrd_at + (uint32_t)g_bytes_get_size(k->initrd));
    le32_put(p + 8, LINUX_CMDLINE_AT);
}

bool multiboot_setup(struct linux_kernel *k, const char *start_code,
                     GError **error)
{
    gchar *code;
    gsize n;

    if (!g_file_get_contents(start_code, &code, &n, error))
        return false;
    k->setup = (uint8_t *)code;
    k->setup_bytes = n;
    le32_put(k->setup + START_ENTRY, k->entry);
    le32_put(k->setup + START_CMDLINE, LINUX_CMDLINE_AT);
    le32_put(k->setup + START_MODULES, g_bytes_get_size(k->initrd) ? 1 : 0);
    put_module(k, k->setup + START_MODULE);
    return true;
}

static uint32_t upper_kib(const struct multiboot_range *r, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (r[i].first == LOWEST && r[i].type == 1)
            return (uint32_t)MIN(r[i].bytes >> 10, UINT32_MAX);
    return 0;
}

GByteArray *multiboot_info(const struct linux_kernel *k, uint32_t at,
                           const struct multiboot_range *ranges, unsigned count)
{
    GByteArray *bytes = g_byte_array_new();
    uint8_t *p;

    g_byte_array_set_size(bytes, MAP_AT + count * MAP_ENTRY);
    p = bytes->data;
    memset(p, 0, bytes->len);
    le32_put(p, INFO_FLAGS);
    le32_put(p + 4, 640);
    le32_put(p + 8, upper_kib(ranges, count));
    le32_put(p + 16, LINUX_CMDLINE_AT);
    le32_put(p + 20, g_bytes_get_size(k->initrd) ? 1 : 0);
    le32_put(p + 24, at + MODULE_AT);
    le32_put(p + 44, count * MAP_ENTRY);
    le32_put(p + 48, at + MAP_AT);
    le32_put(p + 64, at + NAME_AT);
    put_module(k, p + MODULE_AT);
    memcpy(p + NAME_AT, NAME, sizeof(NAME));
    for (unsigned i = 0; i < count; i++) {
        uint8_t *e = p + MAP_AT + i * MAP_ENTRY;

        le32_put(e, MAP_ENTRY - 4);
        le64_put(e + 4, ranges[i].first);
        le64_put(e + 12, ranges[i].bytes);
        le32_put(e + 20, ranges[i].type);
    }
    return bytes;
}
