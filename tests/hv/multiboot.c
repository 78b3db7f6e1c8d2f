/* SPDX-License-Identifier: Apache-2.0 */
/* What the loader tells, and the state it leaves. */
#include "guest.h"

struct info {
    uint32_t flags, lower, upper, device, cmdline, modules, module_at;
    uint32_t symbols[4];
    uint32_t map_bytes, map_at, drives[2], config, name;
};

struct module {
    uint32_t begin, end, string, reserved;
};

struct range {
    uint32_t bytes_after;
    uint64_t first, bytes;
    uint32_t type;
} __attribute__((packed));

extern uint32_t multiboot_info, multiboot_magic;
extern char image_end[];

static const struct info *info(void)
{
    return (const void *)(uintptr_t)multiboot_info;
}

static bool equal(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

CASE(information)
{
    CHECK_EQ(multiboot_magic, 0x2badb002u);
    CHECK_EQ(info()->flags & 0x24d, 0x24d);
    CHECK(info()->lower >= 512 && info()->lower <= 640);
    CHECK(info()->upper >= 62 * 1024 && info()->upper <= 63 * 1024);
    CHECK_EQ(option("answer", 0), 42);
    CHECK(equal((const char *)(uintptr_t)info()->name, "Backplane"));
}

CASE(memory_map)
{
    uintptr_t at = info()->map_at, end = at + info()->map_bytes;
    unsigned low = 0, main = 0;

    while (at < end) {
        const struct range *r = (const void *)at;

        if (r->type == 1 && r->first == 0 && r->bytes >= 512 * 1024)
            low++;
        if (r->type == 1 && r->first == 1 << 20 && r->bytes >= 62 << 20)
            main++;
        at += r->bytes_after + 4;
    }
    CHECK_EQ(low, 1);
    CHECK_EQ(main, 1);
}

CASE(module)
{
    const struct module *m = (const void *)(uintptr_t)info()->module_at;
    const char *text = (const void *)(uintptr_t)m->begin;

    CHECK_EQ(info()->modules, 1);
    CHECK(m->begin >= (uintptr_t)image_end && m->begin % PAGE == 0);
    CHECK_EQ(m->end - m->begin, 15);
    CHECK(text[0] == 'o' && text[14] == 'e');
}
