/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands of an ATA disk.
 *
 * Source: INCITS ATA/ATAPI-6 chapter 8.
 */
#include <stdio.h>
#include <string.h>

#include "ide.h"

#define LBA28_MAX        0x0fffffffull
#define PHYSICAL_HEADS   16u
#define PHYSICAL_SECTORS 63u
#define CYLINDERS_MAX    16383u

static uint64_t sectors_of(const struct ide_channel *ch, unsigned unit)
{
    return ch->info[unit].bytes / IDE_SECTOR;
}

void ata_default_geometry(struct ide_channel *ch, unsigned unit)
{
    struct ide_drive *d = &ch->st->drive[unit];
    uint64_t cylinders =
        sectors_of(ch, unit) / (PHYSICAL_HEADS * PHYSICAL_SECTORS);

    d->heads = PHYSICAL_HEADS;
    d->sectors = PHYSICAL_SECTORS;
    d->cylinders = cylinders > CYLINDERS_MAX ? CYLINDERS_MAX : cylinders;
    if (!d->cylinders)
        d->cylinders = 1;
}

/* --- IDENTIFY ------------------------------------------------------------ */

static void put_word(uint8_t *out, unsigned word, uint16_t v)
{
    out[2 * word] = v;
    out[2 * word + 1] = v >> 8;
}

/* Strings lie byte-swapped in words, padded with blanks. */
static void put_string(uint8_t *out, unsigned word, unsigned chars,
                       const char *s)
{
    for (unsigned i = 0; i < chars; i++)
        out[2 * word + (i ^ 1)] = *s ? *s++ : ' ';
}

static void put_names(struct ide_channel *ch, unsigned unit, uint8_t *out)
{
    char serial[24];

    if (ch->info[unit].serial[0])
        snprintf(serial, sizeof(serial), "%.20s", ch->info[unit].serial);
    else
        snprintf(serial, sizeof(serial), "BP%u%u", ch->index, unit);
    put_string(out, 10, 20, serial);
    put_string(out, 23, 8, "1.0");
    put_string(out, 27, 40,
               ide_is_cd(ch, unit) ? "Backplane DVD-ROM"
                                   : "Backplane HARDDISK");
}

static void put_transfer_modes(const struct ide_drive *d, uint8_t *out)
{
    unsigned mode = d->transfer_mode;

    put_word(out, 63, 0x07 | (mode >> 3 == 4 ? 1u << (8 + (mode & 7)) : 0));
    put_word(out, 64, 0x03); /* PIO 3 and 4 */
    for (unsigned w = 65; w <= 68; w++)
        put_word(out, w, 120); /* cycle times, ns */
    put_word(out, 88, 0x07 | (mode >> 3 == 8 ? 1u << (8 + (mode & 7)) : 0));
}

static void identify_disk(struct ide_channel *ch, unsigned unit, uint8_t *out)
{
    struct ide_drive *d = &ch->st->drive[unit];
    uint64_t total = sectors_of(ch, unit);
    uint64_t lba28 = total > LBA28_MAX ? LBA28_MAX : total;
    uint64_t physical = total / (PHYSICAL_HEADS * PHYSICAL_SECTORS);
    uint32_t current = (uint32_t)d->cylinders * d->heads * d->sectors;

    put_word(out, 0, 0x0040); /* fixed disk */
    put_word(out, 1, physical > CYLINDERS_MAX ? CYLINDERS_MAX : physical);
    put_word(out, 3, PHYSICAL_HEADS);
    put_word(out, 6, PHYSICAL_SECTORS);
    put_word(out, 47, 0x8000 | IDE_MULTIPLE_MAX);
    put_word(out, 48, 1);      /* 32-bit data port */
    put_word(out, 49, 0x0f00); /* LBA, DMA, IORDY */
    put_word(out, 50, 0x4000);
    put_word(out, 51, 0x0200);
    put_word(out, 53, 0x0007);
    put_word(out, 54, d->cylinders);
    put_word(out, 55, d->heads);
    put_word(out, 56, d->sectors);
    put_word(out, 57, current);
    put_word(out, 58, current >> 16);
    put_word(out, 59, d->multiple ? 0x100 | d->multiple : 0);
    put_word(out, 60, lba28);
    put_word(out, 61, lba28 >> 16);
    put_word(out, 80, 0x007e); /* ATA-1 to ATA-6 */
    /* SMART, power, write cache, look-ahead, buffers, NOP */
    put_word(out, 82, 0x7069);
    put_word(out, 83, 0x7400); /* 48 bits, FLUSH CACHE (EXT) */
    put_word(out, 84, 0x4000);
    put_word(out, 85,
             0x7008 | (d->smart ? 0x01 : 0) | (d->write_cache ? 0x20 : 0) |
                 (d->look_ahead ? 0x40 : 0));
    put_word(out, 86, 0x3400);
    put_word(out, 87, 0x4000);
    put_word(out, 93, 0x6001 | (unit ? 0x0b00 : 0));
    for (unsigned i = 0; i < 4; i++)
        put_word(out, 100 + i, total >> 16 * i);
    if (ch->info[unit].physical_block > IDE_SECTOR) {
        unsigned log2 =
            __builtin_ctz(ch->info[unit].physical_block / IDE_SECTOR);

        put_word(out, 106, 0x6000 | log2);
    }
}

static void identify_cd(uint8_t *out)
{
    put_word(out, 0, 0x85c0); /* ATAPI CD, 12-byte packets, DRQ < 50 us */
    put_word(out, 49, 0x0b00);
    put_word(out, 53, 0x0006);
    put_word(out, 71, 30);
    put_word(out, 72, 30);
    put_word(out, 80, 0x001e);
    put_word(out, 82, 0x0210); /* DEVICE RESET, PACKET */
    put_word(out, 83, 0x4000);
    put_word(out, 84, 0x4000);
    put_word(out, 85, 0x0210);
    put_word(out, 87, 0x4000);
}

void ata_identify(struct ide_channel *ch, unsigned unit, uint8_t *out)
{
    uint8_t sum = 0xa5;

    memset(out, 0, IDE_SECTOR);
    put_names(ch, unit, out);
    if (ide_is_cd(ch, unit))
        identify_cd(out);
    else
        identify_disk(ch, unit, out);
    put_transfer_modes(&ch->st->drive[unit], out);
    out[510] = 0xa5; /* integrity word */
    for (unsigned i = 0; i < 510; i++)
        sum += out[i];
    out[511] = -sum;
}

/* --- addresses ----------------------------------------------------------- */

/* Sector number from the task file; UINT64_MAX when there is none such. */
static uint64_t task_lba(const struct ide_channel *ch,
                         const struct ide_drive *d)
{
    uint32_t cylinder = d->mid | d->high << 8;
    uint32_t head = d->device & 15;

    if (ch->st->is_ext)
        return d->low | d->mid << 8 | (uint64_t)d->high << 16 |
               (uint64_t)d->hob_low << 24 | (uint64_t)d->hob_mid << 32 |
               (uint64_t)d->hob_high << 40;
    if (d->device & DEV_LBA)
        return d->low | d->mid << 8 | d->high << 16 | (uint64_t)head << 24;
    if (!d->low || d->low > d->sectors || head >= d->heads)
        return UINT64_MAX;
    return ((uint64_t)cylinder * d->heads + head) * d->sectors + d->low - 1;
}

void ata_report_position(struct ide_channel *ch, uint64_t lba)
{
    struct ide_drive *d = ide_selected(ch);

    if (ch->st->is_ext) {
        d->hob_low = lba >> 24;
        d->hob_mid = lba >> 32;
        d->hob_high = lba >> 40;
    } else if (d->device & DEV_LBA) {
        d->device = (d->device & 0xf0) | (lba >> 24 & 15);
    } else {
        uint64_t track = lba / d->sectors;

        d->low = lba % d->sectors + 1;
        d->device = (d->device & 0xf0) | track % d->heads;
        d->mid = track / d->heads;
        d->high = track / d->heads >> 8;
        return;
    }
    d->low = lba;
    d->mid = lba >> 8;
    d->high = lba >> 16;
}

static uint32_t task_count(const struct ide_channel *ch,
                           const struct ide_drive *d)
{
    uint32_t n = d->count;

    if (ch->st->is_ext) {
        n |= d->hob_count << 8;
        return n ? n : 65536;
    }
    return n ? n : 256;
}

/* Takes address and count; 0 after an error was reported. */
static int take_range(struct ide_channel *ch)
{
    struct ide_drive *d = ide_selected(ch);
    uint64_t total = sectors_of(ch, ch->st->selected);
    uint64_t lba = task_lba(ch, d);
    uint32_t n = task_count(ch, d);

    if (lba >= total || n > total - lba) {
        ide_abort(ch, ER_IDNF);
        return 0;
    }
    ch->st->lba = lba;
    ch->st->left = n;
    d->standby = 0;
    return 1;
}

/* --- transfers ----------------------------------------------------------- */

static void read_pio(struct ide_channel *ch, unsigned sectors)
{
    if (!sectors) {
        ide_abort(ch, ER_ABRT);
        return;
    }
    ch->st->block = sectors * IDE_SECTOR;
    ch->st->phase = IDE_PIO_IN;
    if (take_range(ch))
        ide_fetch(ch);
}

static void write_pio(struct ide_channel *ch, unsigned sectors)
{
    uint32_t bytes;

    if (!sectors || ch->info[ch->st->selected].flags & BP_BLOCK_READONLY) {
        ide_abort(ch, ER_ABRT);
        return;
    }
    ch->st->block = sectors * IDE_SECTOR;
    ch->st->writing = 1;
    if (!take_range(ch))
        return;
    bytes = ch->st->left * IDE_SECTOR;
    ide_receive(ch, bytes < ch->st->block ? bytes : ch->st->block, 1);
}

static void start_dma(struct ide_channel *ch, int writing)
{
    if (writing && ch->info[ch->st->selected].flags & BP_BLOCK_READONLY) {
        ide_abort(ch, ER_ABRT);
        return;
    }
    ch->st->writing = writing;
    if (take_range(ch))
        ide_begin_dma(ch);
}

static void send_page(struct ide_channel *ch)
{
    ch->st->block = IDE_SECTOR;
    ide_send(ch, IDE_SECTOR);
}

/* --- SMART --------------------------------------------------------------- */

static void smart_checksum(uint8_t *page)
{
    uint8_t sum = 0;

    for (unsigned i = 0; i < 511; i++)
        sum += page[i];
    page[511] = -sum;
}

static void smart_attribute(uint8_t *p, uint8_t id, uint8_t value)
{
    p[0] = id;
    p[1] = 0x03;
    p[3] = p[4] = value;
}

static void smart_data(struct ide_channel *ch, int thresholds)
{
    static const uint8_t id[] = { 1, 3, 4, 5, 9, 12, 194 };
    uint8_t *b = ch->st->buffer;

    memset(b, 0, IDE_SECTOR);
    b[0] = 1;
    for (unsigned i = 0; i < sizeof(id); i++) {
        uint8_t *p = b + 2 + 12 * i;

        if (thresholds) {
            p[0] = id[i];
            p[1] = 1;
        } else {
            smart_attribute(p, id[i], 100);
        }
    }
    if (!thresholds) {
        b[362] = 2; /* off-line collection: completed */
        b[367] = 0x79;
        b[368] = 3; /* saves attributes */
        b[370] = 1; /* error logging */
    }
    smart_checksum(b);
    send_page(ch);
}

static void smart(struct ide_channel *ch)
{
    struct ide_drive *d = ide_selected(ch);

    if (d->mid != 0x4f || d->high != 0xc2 ||
        (!d->smart && d->feature != 0xd8)) {
        ide_abort(ch, ER_ABRT);
        return;
    }
    switch (d->feature) {
    case 0xd0: smart_data(ch, 0); return;
    case 0xd1: smart_data(ch, 1); return;
    case 0xd5: /* logs are empty */
        memset(ch->st->buffer, 0, IDE_SECTOR);
        if (d->low == 1)
            ch->st->buffer[0] = 1;
        smart_checksum(ch->st->buffer);
        send_page(ch);
        return;
    case 0xd8: d->smart = 1; break;
    case 0xd9: d->smart = 0; break;
    case 0xda: /* healthy: the signature stays */
    case 0xd2:
    case 0xd3:
    case 0xd4: break;
    default: ide_abort(ch, ER_ABRT); return;
    }
    ide_finish(ch);
}

/* --- the rest ------------------------------------------------------------ */

static void set_features(struct ide_channel *ch)
{
    struct ide_drive *d = ide_selected(ch);
    unsigned kind = d->count >> 3, mode = d->count & 7;

    switch (d->feature) {
    case 0x02: d->write_cache = 1; break;
    case 0x82: d->write_cache = 0; break;
    case 0xaa: d->look_ahead = 1; break;
    case 0x55: d->look_ahead = 0; break;
    case 0x05:
    case 0x85:
    case 0x42:
    case 0xc2: /* power, noise */
    case 0x66:
    case 0xcc: break; /* defaults at reset */
    case 0x03:
        if (kind > 1 && !((kind == 4 || kind == 8) && mode <= 2)) {
            ide_abort(ch, ER_ABRT);
            return;
        }
        if (kind > 1) /* a PIO mode leaves the DMA mode */
            d->transfer_mode = d->count;
        break;
    default: ide_abort(ch, ER_ABRT); return;
    }
    ide_finish(ch);
}

static void set_geometry(struct ide_channel *ch)
{
    struct ide_drive *d = ide_selected(ch);
    uint64_t cylinders;

    if (!d->count) {
        ide_abort(ch, ER_ABRT);
        return;
    }
    d->heads = (d->device & 15) + 1;
    d->sectors = d->count;
    cylinders =
        sectors_of(ch, ch->st->selected) / ((uint32_t)d->heads * d->sectors);
    d->cylinders = cylinders > CYLINDERS_MAX ? CYLINDERS_MAX : cylinders;
    ide_finish(ch);
}

static void set_multiple(struct ide_channel *ch)
{
    struct ide_drive *d = ide_selected(ch);
    uint8_t n = d->count;

    if (n > IDE_MULTIPLE_MAX || n & (n - 1)) {
        ide_abort(ch, ER_ABRT);
        return;
    }
    d->multiple = n;
    ide_finish(ch);
}

static void native_max(struct ide_channel *ch, int ext)
{
    uint64_t last = sectors_of(ch, ch->st->selected) - 1;

    ch->st->is_ext = ext;
    if (!ext && last >= LBA28_MAX)
        last = LBA28_MAX - 1;
    ide_selected(ch)->device |= DEV_LBA;
    ata_report_position(ch, last);
    ide_finish(ch);
}

static void verify(struct ide_channel *ch)
{
    if (!take_range(ch))
        return;
    ch->st->left = 0;
    ide_finish(ch);
}

void ata_received(struct ide_channel *ch)
{
    ide_finish(ch); /* WRITE BUFFER: READ BUFFER gives it back */
}

/* Media access; 0 when the command is none. */
static int transfer_command(struct ide_channel *ch, uint8_t command)
{
    struct ide_drive *d = ide_selected(ch);

    switch (command) {
    case 0x24:
    case 0x25:
    case 0x29:
    case 0x34:
    case 0x35:
    case 0x39:
    case 0x42:
    case 0x3d: ch->st->is_ext = 1; break;
    }
    switch (command) {
    case 0x20:
    case 0x21:
    case 0x24: read_pio(ch, 1); return 1;
    case 0xc4:
    case 0x29: read_pio(ch, d->multiple); return 1;
    case 0x30:
    case 0x31:
    case 0x34:
    case 0x3c: write_pio(ch, 1); return 1;
    case 0xc5:
    case 0x39: write_pio(ch, d->multiple); return 1;
    case 0xc8:
    case 0xc9:
    case 0x25: start_dma(ch, 0); return 1;
    case 0xca:
    case 0xcb:
    case 0x35:
    case 0x3d: start_dma(ch, 1); return 1;
    case 0x40:
    case 0x41:
    case 0x42: verify(ch); return 1;
    default: return 0;
    }
}

/* Power: everything is accepted, nothing spins. */
static int power_command(struct ide_channel *ch, uint8_t command)
{
    struct ide_drive *d = ide_selected(ch);

    switch (command) {
    case 0xe0:
    case 0xe2:
    case 0x94:
    case 0x96: d->standby = 1; break;
    case 0xe1:
    case 0xe3:
    case 0x95:
    case 0x97: d->standby = 0; break;
    case 0xe5:
    case 0x98: d->count = d->standby ? 0x00 : 0xff; break;
    case 0xe6:
    case 0x99: d->standby = 1; break;
    default: return 0;
    }
    ide_finish(ch);
    return 1;
}

void ata_command(struct ide_channel *ch, uint8_t command)
{
    if (transfer_command(ch, command) || power_command(ch, command))
        return;
    switch (command) {
    case 0x10 ... 0x1f:                        /* RECALIBRATE */
    case 0x70 ... 0x7f: ide_finish(ch); break; /* SEEK */
    case 0x91: set_geometry(ch); break;
    case 0xb0: smart(ch); break;
    case 0xc6: set_multiple(ch); break;
    case 0xe4: send_page(ch); break;
    case 0xe8: ide_receive(ch, IDE_SECTOR, 1); break; /* WRITE BUFFER */
    case 0xe7:
    case 0xea: ide_flush(ch); break;
    case 0xec:
        ata_identify(ch, ch->st->selected, ch->st->buffer);
        send_page(ch);
        break;
    case 0xef: set_features(ch); break;
    case 0xf5: ide_finish(ch); break; /* security freeze: nothing to lock */
    case 0xf8: native_max(ch, 0); break;
    case 0x27: native_max(ch, 1); break;
    default: ide_abort(ch, ER_ABRT); break;
    }
}
