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

enum { BLOCK = 512, MAX_BLOCKS = 127 };

static int fail(const char *file, const char *why)
{
    fprintf(stderr, "seal-rom: '%s': %s\n", file, why);
    return 1;
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
