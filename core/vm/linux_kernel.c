/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Source: Linux Documentation/x86/boot.rst, "THE REAL-MODE KERNEL HEADER".
 */
#include "vm/linux_kernel.h"

#include <string.h>

#include "lib/le.h"
#include "lib/number.h"
#include "vm/error.h"
#include "vm/firmware.h"
#include "vm/multiboot.h"
#include "vm/vm.h"

/* fw_cfg items, as firmware/bios/linuxboot.S fetches them. */
/* clang-format off */
enum {
    ITEM_KERNEL_ADDR = 0x07, ITEM_KERNEL_SIZE = 0x08,
    ITEM_INITRD_ADDR = 0x0a, ITEM_INITRD_SIZE = 0x0b,
    ITEM_KERNEL_DATA = 0x11, ITEM_INITRD_DATA = 0x12,
    ITEM_CMDLINE_ADDR = 0x13, ITEM_CMDLINE_SIZE = 0x14,
    ITEM_CMDLINE_DATA = 0x15, ITEM_SETUP_ADDR = 0x16,
    ITEM_SETUP_SIZE = 0x17, ITEM_SETUP_DATA = 0x18,
};
/* clang-format on */

#define ROM_FILE "genroms/linuxboot.bin"

#define SETUP_SECTS     0x1f1
#define VIDEO_MODE      0x1fa
#define BOOT_FLAG       0x1fe
#define HEADER_MAGIC    0x202
#define VERSION         0x206
#define LOADER_TYPE     0x210
#define LOAD_FLAGS      0x211
#define RAMDISK_IMAGE   0x218
#define RAMDISK_SIZE    0x21c
#define HEAP_END_PTR    0x224
#define CMD_LINE_PTR    0x228
#define INITRD_ADDR_MAX 0x22c
#define CMDLINE_SIZE    0x238
#define HEADER_END      0x268

#define LOADED_HIGH    0x01
#define CAN_USE_HEAP   0x80
#define LOADER_UNKNOWN 0xff

#define SETUP_AT     0x10000u
#define SETUP_MOST   0x10000u /* up to the command line */
#define CMDLINE_MOST 0x4000u
#define HEAP_END     0xfe00u /* end of the setup segment - 200h */
/* SeaBIOS keeps its tables in the last pages of low memory. */
#define FIRMWARE_TOP     (1u << 20)
#define INITRD_MAX_OLD   0x37ffffffu /* protocol before 2.03 */
#define CMDLINE_MOST_OLD 255u        /* protocol before 2.06 */

static void add_number(struct vm *vm, uint32_t key, uint32_t v)
{
    uint8_t le[4];

    le32_put(le, v);
    firmware_add_item(vm, key, NULL, le, sizeof(le));
}

static bool read_file(const char *what, const char *path, GBytes **out,
                      GError **error)
{
    g_autoptr(GError) why = NULL;
    gchar *data;
    gsize n;

    if (!g_file_get_contents(path, &data, &n, &why))
        return vm_fail(error, VM_ERROR_CONFIG, "cannot read %s '%s': %s", what,
                       path, why->message);
    *out = g_bytes_new_take(data, n);
    return true;
}

static bool is_linux(const uint8_t *k, size_t n)
{
    return n >= HEADER_END && le16_get(k + BOOT_FLAG) == 0xaa55 &&
           memcmp(k + HEADER_MAGIC, "HdrS", 4) == 0;
}

static bool check_header(const char *path, const uint8_t *k, size_t n,
                         size_t *setup, GError **error)
{
    size_t sectors;

    if (!is_linux(k, n))
        return vm_fail(error, VM_ERROR_CONFIG,
                       "'%s' is no Linux kernel image and no "
                       "Multiboot kernel",
                       path);
    if (le16_get(k + VERSION) < 0x202 || !(k[LOAD_FLAGS] & LOADED_HIGH))
        return vm_fail(error, VM_ERROR_CONFIG,
                       "kernel '%s' is too old (boot protocol %u.%02u; 2.02 "
                       "and a bzImage are needed)",
                       path, k[VERSION + 1], k[VERSION]);
    sectors = k[SETUP_SECTS] ? k[SETUP_SECTS] : 4;
    *setup = (sectors + 1) * 512;
    if (*setup > n || *setup > SETUP_MOST)
        return vm_fail(error, VM_ERROR_CONFIG,
                       "kernel '%s' is cut short: its setup code takes %zu "
                       "bytes, the file has %zu",
                       path, *setup, n);
    return true;
}

static bool place_initrd(const char *path, const uint8_t *k, size_t kernel,
                         size_t initrd, uint64_t low_memory, uint32_t *at,
                         GError **error)
{
    uint64_t top = le16_get(k + VERSION) >= 0x203
                       ? le32_get(k + INITRD_ADDR_MAX)
                       : INITRD_MAX_OLD;

    if (low_memory > FIRMWARE_TOP && top >= low_memory - FIRMWARE_TOP)
        top = low_memory - FIRMWARE_TOP - 1;
    if (LINUX_KERNEL_AT + kernel + initrd > top)
        return vm_fail(error, VM_ERROR_CONFIG,
                       "kernel and initrd '%s' (%zu bytes) do not fit in "
                       "%" G_GUINT64_FORMAT " MiB of memory",
                       path, initrd, low_memory >> 20);
    *at = (top + 1 - initrd) & ~(uint64_t)0xfff;
    return true;
}

static bool load_initrd(struct linux_kernel *k, const char *initrd,
                        uint64_t low_memory, GError **error)
{
    gsize n;

    if (!initrd) {
        k->initrd = g_bytes_new(NULL, 0);
        return true;
    }
    if (!read_file("initrd", initrd, &k->initrd, error))
        return false;
    n = g_bytes_get_size(k->initrd);
    if (!place_initrd(initrd, k->setup, g_bytes_get_size(k->image), n,
                      low_memory, &k->initrd_at, error))
        return false;
    le32_put(k->setup + RAMDISK_IMAGE, k->initrd_at);
    le32_put(k->setup + RAMDISK_SIZE, n);
    return true;
}

static bool check_command_line(const uint8_t *setup, const char *append,
                               GError **error)
{
    size_t most = le16_get(setup + VERSION) >= 0x206
                      ? le32_get(setup + CMDLINE_SIZE)
                      : CMDLINE_MOST_OLD;
    size_t n = strlen(append);

    if (most > CMDLINE_MOST - 1)
        most = CMDLINE_MOST - 1;
    return n <= most || vm_fail(error, VM_ERROR_CONFIG,
                                "the kernel command line has %zu bytes, this "
                                "kernel takes %zu",
                                n, most);
}

/* "vga=" is for the loader.  Documentation/arch/x86/boot.rst, "Special
 * Command Line Options" */
static void set_video_mode(uint8_t *setup, const char *append)
{
    static const struct {
        const char *word;
        uint16_t mode;
    } names[] = { { "normal", 0xffff }, { "ext", 0xfffe }, { "ask", 0xfffd } };
    const char *at = append;
    uint64_t mode;

    while ((at = strstr(at, "vga="))) {
        bool begins = at == append || at[-1] == ' ';
        g_autofree char *word = NULL;

        at += strlen("vga=");
        if (!begins)
            continue;
        word = g_strndup(at, strcspn(at, " "));
        for (unsigned n = 0; n < G_N_ELEMENTS(names); n++)
            if (!strcmp(word, names[n].word))
                le16_put(setup + VIDEO_MODE, names[n].mode);
        if (number_parse(word, &mode) && mode <= 0xffff)
            le16_put(setup + VIDEO_MODE, (uint16_t)mode);
    }
}

static bool load_multiboot(struct linux_kernel *k, const char *kernel,
                           const uint8_t *file, size_t n, const char *initrd,
                           uint64_t low_memory, GError **error)
{
    if (strlen(k->append) >= CMDLINE_MOST)
        return vm_fail(error, VM_ERROR_CONFIG,
                       "the kernel command line has %zu bytes, at most %u "
                       "are possible",
                       strlen(k->append), CMDLINE_MOST - 1);
    if (!initrd)
        k->initrd = g_bytes_new(NULL, 0);
    else if (!read_file("initrd", initrd, &k->initrd, error))
        return false;
    return multiboot_load(k, kernel, file, n, low_memory, error);
}

bool linux_kernel_load(struct linux_kernel *k, const char *kernel,
                       const char *initrd, const char *append,
                       uint64_t low_memory, GError **error)
{
    g_autoptr(GBytes) file = NULL;
    const uint8_t *data;
    gsize n;

    if (!read_file("kernel", kernel, &file, error))
        return false;
    data = g_bytes_get_data(file, &n);
    k->append = g_strdup(append ? append : "");
    if (!is_linux(data, n) && multiboot_is(data, n))
        return load_multiboot(k, kernel, data, n, initrd, low_memory, error);
    if (!check_header(kernel, data, n, &k->setup_bytes, error))
        return false;
    k->image_at = LINUX_KERNEL_AT;
    k->setup = g_memdup2(data, k->setup_bytes);
    k->image = g_bytes_new_from_bytes(file, k->setup_bytes, n - k->setup_bytes);
    k->setup[LOADER_TYPE] = LOADER_UNKNOWN;
    k->setup[LOAD_FLAGS] |= CAN_USE_HEAP;
    le16_put(k->setup + HEAP_END_PTR, HEAP_END);
    le32_put(k->setup + CMD_LINE_PTR, LINUX_CMDLINE_AT);
    set_video_mode(k->setup, k->append);
    return load_initrd(k, initrd, low_memory, error) &&
           check_command_line(k->setup, k->append, error);
}

void linux_kernel_clear(struct linux_kernel *k)
{
    g_clear_pointer(&k->image, g_bytes_unref);
    g_clear_pointer(&k->initrd, g_bytes_unref);
    g_clear_pointer(&k->setup, g_free);
    g_clear_pointer(&k->append, g_free);
}

bool linux_kernel_add(struct vm *vm, const struct linux_kernel *k,
                      const char *rom, GError **error)
{
    GBytes *rom_image;

    if (!read_file("option ROM", rom, &rom_image, error))
        return false;
    add_number(vm, ITEM_INITRD_ADDR, k->initrd_at);
    add_number(vm, ITEM_INITRD_SIZE, g_bytes_get_size(k->initrd));
    firmware_add_bytes(vm, ITEM_INITRD_DATA, NULL, g_bytes_ref(k->initrd));
    add_number(vm, ITEM_CMDLINE_ADDR, LINUX_CMDLINE_AT);
    add_number(vm, ITEM_CMDLINE_SIZE, strlen(k->append) + 1);
    firmware_add_item(vm, ITEM_CMDLINE_DATA, NULL, k->append,
                      strlen(k->append) + 1);
    add_number(vm, ITEM_SETUP_ADDR, SETUP_AT);
    add_number(vm, ITEM_SETUP_SIZE, k->setup_bytes);
    firmware_add_item(vm, ITEM_SETUP_DATA, NULL, k->setup, k->setup_bytes);
    add_number(vm, ITEM_KERNEL_ADDR, k->image_at);
    add_number(vm, ITEM_KERNEL_SIZE, g_bytes_get_size(k->image));
    firmware_add_bytes(vm, ITEM_KERNEL_DATA, NULL, g_bytes_ref(k->image));
    firmware_add_bytes(vm, FIRMWARE_FILE, ROM_FILE, rom_image);
    return true;
}
