/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seal-rom IN OUT - make a linked image a valid option ROM.
 *
 * A BIOS accepts an option ROM when it begins with 55 AA, byte 2 gives its
 * length in 512-byte blocks and all its bytes sum to 0 (mod 256). The linker
 * can do none of these but the first, so this pads the image and fills in
 * the length and, as the last byte, the checksum.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { BLOCK = 512, MAX_BLOCKS = 127 };

static int fail(const char *file, const char *why)
{
    fprintf(stderr, "seal-rom: '%s': %s\n", file, why);
    return 1;
}

/* A Plug and Play header (16 bytes times its length) sums to 0 as well. */
static void seal_pnp(uint8_t *rom, size_t len)
{
    size_t at = len > 0x1b ? rom[0x1a] | rom[0x1b] << 8 : 0;
    uint8_t sum = 0;

    if (!at || at + 32 > len || memcmp(rom + at, "$PnP", 4) != 0)
        return;
    for (size_t i = 0; i < rom[at + 5] * 16u && at + i < len; i++)
        sum += rom[at + i];
    rom[at + 9] -= sum;
}

int main(int argc, char **argv)
{
    static uint8_t rom[MAX_BLOCKS * BLOCK + 1];
    uint8_t sum = 0;
    size_t len, blocks;
    FILE *f;

    if (argc != 3) {
        fprintf(stderr, "usage: seal-rom IN OUT\n");
        return 2;
    }
    f = fopen(argv[1], "rb");
    if (!f)
        return fail(argv[1], "cannot be read");
    len = fread(rom, 1, sizeof rom, f);
    fclose(f);
    if (len < 3 || rom[0] != 0x55 || rom[1] != 0xaa)
        return fail(argv[1], "does not begin with 55 AA");

    /* The byte after the image is the checksum's. */
    blocks = (len + 1 + BLOCK - 1) / BLOCK;
    if (blocks > MAX_BLOCKS)
        return fail(argv[1], "is longer than 127 blocks of 512 bytes");
    rom[2] = (uint8_t)blocks;
    seal_pnp(rom, len);
    for (size_t i = 0; i < len; i++)
        sum = (uint8_t)(sum + rom[i]);
    rom[blocks * BLOCK - 1] = (uint8_t)-sum;

    f = fopen(argv[2], "wb");
    if (!f)
        return fail(argv[2], "cannot be made");
    len = fwrite(rom, BLOCK, blocks, f);
    if (fclose(f) != 0 || len != blocks)
        return fail(argv[2], "cannot be written");
    return 0;
}
